//! What cannot be so: contradictions in what our own officers are about to say. They are stopped here, with the rule and
//! the remedy, before another State is troubled with them and weeks are lost.
//!
//! Only our own words are looked at, and only before they are recorded: what a peer says is put before an officer, however
//! absurd, and a replay asks nothing here. Only what is sure is stopped. What is merely odd is doubted (`item`, `serial`),
//! and an officer decides; what is lacking is found by whoever defines the body (`missing`).

use std::fmt::Display;

use jiff::civil::Date;

use crate::authority::{StateCode, Timestamp};
use crate::handling::Coded;
use crate::item::{Action, Firearm, FirearmType, Item};
use crate::licence::Presented;
use crate::mark::{MarkKind, Raw};
use crate::message::{Outcome, Subject};
use crate::operator::{Act, Question};
use crate::trace::{
    Conclusion, Diversion, MatchLevel, ResultCode, TraceOutcome, TraceRequest, TraceResponse,
};
use crate::transit::{TransitDecision, TransitNotification};

/// What is asked in a trace, R-12.4.
const ASKED: &str = "R-12.4, Art. 12(4), ITI 18";
/// What is answered to a trace.
const ANSWERED: &str = "R-12.4, Art. 12(4), ITI 20";
/// When an answer that is put off will come.
const PUT_OFF: &str = "R-ITI-22, ITI 22";
/// Where an item left the licit circuit.
const DIVERTED: &str = "R-SDG-1, SDG 16.4.2";
/// Who is notified of a transit, and what is decided.
const TRANSIT: &str = "R-10.2b, Art. 10(2)(b)";
/// What a licence and a notification say, taken together.
const DATA: &str = "R-10.3a, Art. 10(3)";
/// On which days a licence holds.
const DATES: &str = "R-10.3c, Art. 10(3)";
/// How much is licensed.
const QUANTITIES: &str = "R-10.3d, Art. 10(3)";

/// Who is about to speak, to whom, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Occasion<'a> {
    /// Our State.
    pub(crate) us: &'a StateCode,
    /// The State that is spoken to.
    pub(crate) them: &'a StateCode,
    /// Now.
    pub(crate) now: Timestamp,
}

impl Occasion<'_> {
    /// What cannot be so in a question. A document whose authenticity is asked (Art. 10(5)) is presented as it stands, for
    /// what cannot be so in it is what its issuer is to see.
    pub(crate) fn contradictions_in_question(self, question: &Question) -> Vec<String> {
        let mut found = Findings::at(self.now);
        match question {
            Question::Authenticity { .. } => {}
            Question::Trace { request, .. } => self.request(request, &mut found),
            Question::Transit { notification } => self.notification(notification, &mut found),
            Question::Verification { presented } => {
                found.within = "presented.".into();
                self.licence(presented, &mut found);
            }
        }
        found.list
    }

    /// What cannot be so in an act, in an exchange about `subject`.
    pub(crate) fn contradictions_in_act(self, act: &Act, subject: Subject<'_>) -> Vec<String> {
        let mut found = Findings::at(self.now);
        match (act, subject) {
            (Act::Acknowledge { expected: Some(expected), .. }, _) => {
                let why = "give the day by which an answer can be expected, or none";
                found.past("expected", *expected, why, "R-ITI-19, ITI 19");
            }
            (Act::Answer { outcome, .. } | Act::Correct { outcome, .. }, _) => {
                found.within = "outcome.".into();
                match (outcome, subject) {
                    (Outcome::Trace(response), _) => self.response(response, &mut found),
                    (Outcome::Transit(decision), Subject::Transit(notification)) => {
                        self.decision(decision, notification, &mut found);
                    }
                    _ => {}
                }
            }
            (Act::Conclude { outcome }, _) => {
                found.within = "outcome.".into();
                self.conclusion(outcome, &mut found);
            }
            (Act::SupplyInformation { item: Some(item), .. }, Subject::Trace(request)) => {
                self.item(item, request.recovery.date, &mut found);
            }
            _ => {}
        }
        found.list
    }

    fn last_year(self) -> u16 {
        u16::try_from(self.now.last_date().year()).unwrap_or(0)
    }

    fn request(self, request: &TraceRequest, found: &mut Findings) {
        found.within = "request.".into();
        let recovered = request.recovery.date;
        found.future("recovery.date", recovered, "give the day on which the item was found", ASKED);
        let why = "own registers are searched first: give the day on which they were";
        found.future("national_search.date", request.national_search.date, why, ASKED);
        if let Some(day) = request.respond_by {
            found.past("respond_by", day, "give a day that an answer can still keep, or none", ASKED);
        }
        self.item(&request.item, recovered, found);
    }

    fn item(self, item: &Item, recovered: Date, found: &mut Findings) {
        let year = |field: &str, year: Option<u16>, found: &mut Findings| {
            let Some(year) = year else { return };
            if year > self.last_year() {
                let why =
                    format!("{year} has not come yet: give the year as it is marked or on record, or none");
                found.add(field, why, ASKED);
            } else if i32::from(year) > i32::from(recovered.year()) {
                let why =
                    format!("{year}, and yet it was found in {}: one of the two is wrong", recovered.year());
                found.add(field, why, ASKED);
            }
        };
        match item {
            Item::AmmunitionLot(lot) => {
                if lot.quantity == Some(0) {
                    found.add("item.quantity", "0: say how many there are, or leave it out", ASKED);
                }
                year("item.headstamp.year", lot.headstamp.as_ref().and_then(|stamp| stamp.year), found);
                unread("item.lot_number", lot.lot_number.as_ref(), found);
            }
            Item::Firearm(firearm) => {
                let made = firearm.year_of_manufacture.as_ref().and_then(|year| year.gregorian());
                year("item.year_of_manufacture", made, found);
                for (field, length) in [
                    ("item.barrel_length_mm", firearm.barrel_length_mm),
                    ("item.overall_length_mm", firearm.overall_length_mm),
                ] {
                    if length == Some(0) {
                        found.add(field, "0: measure it, or leave it out", ASKED);
                    }
                }
                if let Some(why) = action_of_another_type(firearm) {
                    found.add("item.action", why, ASKED);
                }
                for (place, part) in firearm.component_serials.iter().enumerate() {
                    unread(&format!("item.component_serials.{place}.serial"), Some(&part.serial), found);
                }
            }
            Item::Part(_) => {}
        }
        for (place, mark) in item.marks().iter().enumerate() {
            unread(&format!("item.marks.{place}.raw"), mark.raw_of(MarkKind::Serial), found);
            let decoded = mark.decoded.as_ref().and_then(|decoded| decoded.year);
            year(&format!("item.marks.{place}.decoded.year"), decoded, found);
        }
    }

    fn response(self, response: &TraceResponse, found: &mut Findings) {
        found.future("search_date", response.search_date, "give the day of the search", ANSWERED);
        let happened = "what has not happened is no record: give the day that is on record, or none";
        for (place, event) in response.events.iter().enumerate() {
            if let Some(date) = event.date {
                found.future(&format!("events.{place}.date"), date, happened, ANSWERED);
            }
        }
        if let Some(date) = response.last_legal_record.as_ref().and_then(|record| record.date) {
            found.future("last_legal_record.date", date, happened, ANSWERED);
        }
        self.diversion(response.point_of_diversion.as_ref(), found);
        if response.next_hop.as_ref().is_some_and(|next| next.state == *self.us) {
            let why = format!(
                "{} is our own State: name the State it went to, or answer what our own records say of it",
                self.us
            );
            found.add("next_hop.state", why, ANSWERED);
        }
        let Coded::Known(code) = response.result_code else { return };
        if let Some(until) =
            response.until.filter(|day| code == ResultCode::Delayed && *day <= self.now.first_date())
        {
            found.add("until", format!("{until} is not to come: give a later day, or answer now"), PUT_OFF);
        }
        if code.identifies_item() && response.match_level.is(MatchLevel::None) {
            let why = format!(
                "NONE, and yet {code} speaks of one item on record: say how well that agrees (EXACT, NORMALISED, CONFUSABLE, \
                 PARTIAL, DESCRIPTION_ONLY), or answer NO_RECORD"
            );
            found.add("match_level", why, ANSWERED);
        }
        if code == ResultCode::NoRecord && response.matched_item.is_some() {
            found.add(
                "matched_item",
                "and yet the result is NO_RECORD: leave out the one or change the other",
                ANSWERED,
            );
        }
        let is_uncertain =
            matches!(response.match_level, Coded::Known(MatchLevel::Confusable | MatchLevel::Partial));
        let is_of_one = code != ResultCode::MultipleCandidates && !code.may_withhold_item();
        if is_uncertain && is_of_one && response.matched_item.is_none() {
            let why = format!(
                "missing, and yet the match is {}: name the record that was chosen, and in chosen_because on what basis; if \
                 none was chosen, answer MULTIPLE_CANDIDATES",
                response.match_level
            );
            found.add("matched_item", why, ANSWERED);
        }
    }

    fn diversion(self, diversion: Option<&Diversion>, found: &mut Findings) {
        if let Some(date) = diversion.and_then(|diversion| diversion.date) {
            let why = "give the day on which it left the licit circuit, or none";
            found.future("point_of_diversion.date", date, why, DIVERTED);
        }
    }

    fn conclusion(self, outcome: &TraceOutcome, found: &mut Findings) {
        let Coded::Known(conclusion) = outcome.conclusion else { return };
        let is_established = conclusion == Conclusion::PodEstablished;
        if is_established && outcome.point_of_diversion.is_none() && outcome.note.is_none() {
            let why = "missing, and yet it is said to be established: name the State and the circumstances, or say in note \
                       why they may not be told (Art. 12(5))";
            found.add("point_of_diversion", why, DIVERTED);
        }
        if !is_established && outcome.point_of_diversion.is_some() {
            let why = format!(
                "named, and yet the conclusion is {conclusion}: conclude POD_ESTABLISHED, or leave it out"
            );
            found.add("point_of_diversion", why, DIVERTED);
        }
        self.diversion(outcome.point_of_diversion.as_ref(), found);
    }

    fn notification(self, notice: &TransitNotification, found: &mut Findings) {
        found.within = "notification.".into();
        let route = &notice.countries_transit;
        if !route.contains(self.them) {
            let why = format!(
                "{} is notified and not among them: name every State of transit, or notify one that is named",
                self.them
            );
            found.add("countries_transit", why, TRANSIT);
        }
        if route.contains(self.us) {
            let why =
                format!("{} is our own State: name only those that the shipment passes through", self.us);
            found.add("countries_transit", why, TRANSIT);
        }
        for (place, state) in route.iter().enumerate() {
            if route.iter().take(place).any(|before| before == state) {
                let why = format!("{state} is named twice: name each State of transit once");
                found.add(&format!("countries_transit.{place}"), why, TRANSIT);
            }
        }
        found.past("window_to", notice.window_to, "a shipment is notified before it passes", TRANSIT);
        if let Some(day) = notice.respond_by {
            found.past("respond_by", day, "give a day that a decision can still keep, or none", TRANSIT);
        }
        for (place, licence) in notice.import_licences.iter().enumerate() {
            found.within = format!("notification.import_licences.{place}.");
            self.licence(licence, found);
            for (field, end) in
                [("country_export", &licence.country_export), ("country_import", &licence.country_import)]
            {
                // Ours alone is told above.
                if let Some(state) = end.as_ref().filter(|state| route.contains(state) && *state != self.us) {
                    let why = format!(
                        "{state} is among countries_transit too: a shipment begins or ends there, or passes through"
                    );
                    found.add(field, why, DATA);
                }
            }
        }
    }

    fn licence(self, licence: &Presented, found: &mut Findings) {
        if let Some(issued) = licence.issue_date {
            let why = "nothing follows from a licence before it is issued: look at the document again";
            found.future("issue_date", issued, why, DATES);
            if let Some(last) = licence.expiry_date.filter(|last| *last < issued) {
                let why = format!("{last} is before the issue_date, {issued}: look at the document again");
                found.add("expiry_date", why, DATES);
            }
        }
        if licence.country_export.is_some() && licence.country_export == licence.country_import {
            let why = "is the country_export too: what stays in one State is neither exported nor imported";
            found.add("country_import", why, DATA);
        }
        for (place, line) in licence.lines.iter().enumerate() {
            if line.quantity == 0 {
                let why = "0: give the quantity that stands on the licence, or leave the line out";
                found.add(&format!("lines.{place}.quantity"), why, QUANTITIES);
            }
        }
    }

    fn decision(self, decision: &TransitDecision, notice: &TransitNotification, found: &mut Findings) {
        let Some((first, last)) = decision.valid_from.zip(decision.valid_to) else { return };
        if decision.clears() && (last < notice.window_from || notice.window_to < first) {
            let why = format!(
                "{first} to {last} is outside of the days notified, {} to {}: clear days of these, or object",
                notice.window_from, notice.window_to
            );
            found.add("valid_from, valid_to", why, TRANSIT);
        }
    }
}

/// What the type of a firearm excludes by its definition (law/requirements 11.1).
fn action_of_another_type(firearm: &Firearm) -> Option<String> {
    let (kind, action) = (firearm.kind.known()?, firearm.action.known()?);
    let is_self_loading = matches!(action, Action::FullAuto | Action::SelectFire | Action::SemiAuto);
    let is_open = matches!(action, Action::Other | Action::Unknown);
    match kind {
        FirearmType::Pistol if !is_self_loading && !is_open => Some(format!(
            "F-PIS is a self-loading pistol, and {action} is not: take F-REV for a revolver, F-PI1 for another handgun"
        )),
        FirearmType::Rifle if is_self_loading => {
            Some(format!("F-RIF is a rifle repeated by hand, and {action} is not: take F-RIS or F-ASR"))
        }
        _ => None,
    }
}

/// A number of which nothing was read says nothing but its length, if that.
fn unread(field: &str, raw: Option<&Raw>, found: &mut Findings) {
    if let Some(raw) = raw.filter(|raw| raw.is_partial() && !raw.as_str().chars().any(char::is_alphanumeric))
    {
        let why =
            format!("\"{raw}\": nothing of it was read. Leave it out, and say in state what became of it");
        found.add(field, why, ASKED);
    }
}

/// What was found: the field, what contradicts, the remedy, and the rule with its article.
struct Findings {
    now: Timestamp,
    within: String,
    list: Vec<String>,
}

impl Findings {
    fn at(now: Timestamp) -> Self {
        Self { now, within: String::new(), list: Vec::new() }
    }

    fn add(&mut self, field: &str, why: impl Display, rule: &str) {
        self.list.push(format!("{}{field}: {why} [{rule}]", self.within));
    }

    /// A day is written where the officer is, so only one that has come nowhere on Earth is surely to come.
    fn future(&mut self, field: &str, day: Date, why: &str, rule: &str) {
        if day > self.now.last_date() {
            self.add(field, format!("{day} has not come yet: {why}"), rule);
        }
    }

    fn past(&mut self, field: &str, day: Date, why: &str, rule: &str) {
        if day < self.now.first_date() {
            self.add(field, format!("{day} is past: {why}"), rule);
        }
    }
}

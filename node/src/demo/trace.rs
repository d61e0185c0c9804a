//! The trace: a pistol with a worn number, from the State that found it to the point of diversion (Art. 12(4)).

use std::time::Instant;

use jiff::ToSpan;
use liaison_protocol::authority::By;
use liaison_protocol::item::{Action, Calibre, Firearm, FirearmType, Item, Make, Provenance};
use liaison_protocol::licence::LicenceNo;
use liaison_protocol::mark::{Decoded, Mark, MarkKind, MarkLocation, MarkState, Raw};
use liaison_protocol::message::{Kind, Outcome};
use liaison_protocol::operator::{
    Act, CandidateView, CaseView, Enclosed, ExchangeView, Question, State, TimelineItem,
};
use liaison_protocol::trace::{
    Conclusion, CriminalContext, IdentificationConfidence, IllicitBasis, IntendedUse, NationalSearch,
    NextHop, Offence, PreviousHop, Recovery, RecoveryMode, ResultCode, TraceGround, TraceOutcome,
    TraceQuestion, TraceRequest, TraceResponse, Urgency,
};

use super::{
    DemoError, Office, Story, Told, aside, chapter, expect, line, millis, prose, say, stopped, tell,
};

/// What stands on the slide, and is no serial number.
const STOCK_NUMBER: &str = "1005-19-016-2243";
/// The serial number as a Serbian officer reads it: three Cyrillic letters, and one figure worn away.
const SEEN: &str = "ТАС 4?317";
/// The serial number as it was stamped in Brazil.
const STAMPED: &str = "TAC 48317";

/// Serbia's case, as it grows.
pub(super) struct Case {
    /// Its name.
    name: String,
    /// The request, hop by hop.
    request: TraceRequest,
    /// The photographs that go with it.
    photographs: Enclosed,
    /// The exchange with Brazil.
    brazil: String,
    /// The exchange with Uganda.
    pub(super) stolen: String,
}

impl Case {
    /// Follow the answer of `office`: what of it the next question takes over.
    fn follow(&mut self, office: &Office, view: &ExchangeView) -> Result<NextHop, DemoError> {
        let response = response(view)?;
        let next = response.next_hop.clone().ok_or_else(|| DemoError::Unexpected {
            expected: "a next hop".into(),
            found: response.to_string(),
        })?;
        self.request.hop += 1;
        self.request.previous_hop = answered(view).map(|item| PreviousHop {
            state: office.state.parse().expect("a State code"),
            response: item.id,
        });
        self.request.item = response.matched_item.clone().unwrap_or_else(|| self.request.item.clone());
        self.request.linked_licence = next.licence_no.clone();
        Ok(next)
    }
}

impl Story {
    /// Serbia describes what it found; the node stops a wrong string.
    pub(super) fn recovery(&self) -> Result<Case, DemoError> {
        chapter("Novi Sad, Serbia: a pistol under the spare wheel");
        tell(
            "At a road check the police find a self-loading pistol nobody may have there. Serbia's own register does not \
             know it. The slide says INDUSTRIA BRASILEIRA, so the first question goes to Brazil.",
        );
        let item = described(Mark::seen(MarkKind::Serial, raw(STOCK_NUMBER)));
        let mut case = Case {
            name: self.name_of_case(),
            request: self.request(item),
            photographs: self.photographs()?,
            brazil: String::new(),
            stolen: String::new(),
        };
        say("Serbia", &format!("an officer types the long number on the slide: {STOCK_NUMBER}"));
        let why = stopped("a wrong string", self.trace(&self.brazil, &case))?;
        say("", &format!("The node stops it: {why}"));
        let mut worn = Mark::seen(MarkKind::Serial, raw(SEEN));
        worn.state = MarkState::Worn.into();
        worn.location = Some(MarkLocation::Frame.into());
        case.request.item = described(worn);
        say(
            "Serbia",
            &format!(
                "under grease and rust on the frame: {SEEN}. He types it as he reads it, in Cyrillic, with ? for the \
                 figure that is worn away"
            ),
        );
        Ok(case)
    }

    /// Brazil: look-alike letters and a worn figure need an officer, a question back, and a reason.
    pub(super) fn ask_the_maker(&self, case: &mut Case) -> Told {
        let id = self.trace(&self.brazil, case)?;
        case.brazil.clone_from(&id);
        let view = self
            .brazil
            .wait_for(&id, "the request", |view| view.summary.for_officer && !view.candidates.is_empty())?;
        self.look_at_photographs(&self.brazil, &id)?;
        say(
            "Brazil",
            &format!(
                "no rule may answer what is not sure. Of 3,000 firearms on record, {} may be it, for an officer to choose:",
                view.candidates.len()
            ),
        );
        for candidate in &view.candidates {
            let agrees = candidate.why.last().is_some_and(|why| why.ends_with("agree"));
            let went = candidate.response.next_hop.as_ref().map(|next| format!("exported to {}", next.state));
            let fate = went.unwrap_or_else(|| candidate.response.result_code.to_string());
            let agrees = if agrees { "agrees " } else { "differs" };
            say("", &format!("{:<54} {agrees}  {fate}", candidate.item));
        }
        say("", &format!("Why {STAMPED}? {}", stamped(&view)?.why.join("; ")));
        self.brazil.act(
            &id,
            Act::Acknowledge {
                unit: line("Tracing desk"),
                expected: Some(self.today.saturating_add(14.days())),
                note: None,
            },
        )?;
        let questions = vec![prose("Does the pistol bear an import mark, perhaps under the grip?")];
        self.brazil.act(&id, Act::AskInformation { questions })?;
        self.serbia.wait_until(&id, State::InformationRequested)?;
        say(
            "Brazil",
            "asks back: is there an import mark, perhaps under the grip? Its clock stands still meanwhile",
        );
        let mark = format!("KEN {}", self.today.year() - 1);
        let mut imported = Mark::seen(MarkKind::ImportCountry, raw(&mark));
        imported.location = Some(MarkLocation::Grip.into());
        imported.decoded = Some(Decoded { country: "KEN".parse().ok(), ..Decoded::default() });
        if let Item::Firearm(firearm) = &mut case.request.item {
            firearm.marks.push(imported);
        }
        let answers =
            vec![prose(&format!("Yes: {mark}. The worn figure has two closed loops, or an open lower one."))];
        let item = Some(case.request.item.clone());
        self.serbia.act(&id, Act::SupplyInformation { answers, item })?;
        let view = self.brazil.wait_until(&id, State::Acknowledged)?;
        say("Serbia", &format!("unscrews the grip: {mark}"));
        let mut answer = stamped(&view)?.response;
        let why =
            "ТАС reads as TAC, the ? stands for 8; of the numbers it may be, only this pistol went to Kenya.";
        answer.chosen_because = Some(prose(why));
        self.answer(&self.brazil, &id, answer)?;
        let view = self.serbia.wait_until(&id, State::Answered)?;
        let answer = response(&view)?;
        say("Brazil", &format!("{answer}, under licence {}", licence_of(answer)));
        say("", &format!("{}, chosen by an officer: {why}", answer.match_level));
        Ok(())
    }

    /// Kenya and Uganda: numbers that agree beyond doubt are answered by rule, in the same round.
    pub(super) fn hop_by_hop(&self, case: &mut Case) -> Told {
        chapter("Hop by hop");
        let mut last = (&self.brazil, case.brazil.clone());
        for (office, expected) in [(&self.kenya, ResultCode::ExportedTo), (&self.uganda, ResultCode::Stolen)]
        {
            let next = case.follow(last.0, &self.serbia.exchange(&last.1)?)?;
            let proposed = self.case(case)?.next.map(|next| next.state.to_string()).unwrap_or_default();
            expect("the State that the case proposes", office.state, &proposed)?;
            say("Serbia", &format!("the case proposes {}: {}. An officer asks", next.state, next.why));
            let began = Instant::now();
            let id = self.trace(office, case)?;
            let view = self.serbia.wait_until(&id, State::Answered)?;
            let answer = response(&view)?;
            expect("the answer", expected.as_str(), &answer.result_code.to_string())?;
            let under = match licence_of(answer) {
                "" => String::new(),
                licence => format!(", under licence {licence}"),
            };
            say(office.name, &format!("{answer}{under}   {}", millis(began)));
            say("", &format!("{}: {}, answered {}", answer.match_level, recorded(answer), by_whom(&view)));
            last = (office, id);
        }
        case.stolen = last.1;
        aside(
            "Kenya has a shotgun with the same number, too; make and calibre told them apart. Uganda writes its numbers \
             with a hyphen: the same letters and figures, so its rule could answer as well.",
        );
        Ok(())
    }

    /// Tanzania declines, and must say on what ground.
    pub(super) fn side_question(&self, case: &mut Case) -> Told {
        case.request.hop += 1;
        case.request.previous_hop = None;
        case.request.questions = vec![TraceQuestion::TheftStatus.into()];
        let id = self.trace(&self.tanzania, case)?;
        say("Serbia", "asks Tanzania aside: did the ferries lose any of these pistols on the way?");
        self.tanzania.wait_for(&id, "the question", |view| view.summary.for_officer)?;
        let mut refusal = TraceResponse::of(ResultCode::Refused, self.today);
        let why = stopped("a refusal without a ground", self.answer(&self.tanzania, &id, refusal.clone()))?;
        say("Tanzania", "an officer refuses, and gives no ground");
        say("", &format!("The node stops it: {why}"));
        refusal.grounds = vec![TraceGround::OngoingInvestigation.into()];
        refusal.reason = Some(prose("Reasons cannot be given while the investigation lasts."));
        self.answer(&self.tanzania, &id, refusal)?;
        let view = self.serbia.wait_until(&id, State::Refused)?;
        say("Tanzania", &format!("{}. A refusal is an answer, too", response(&view)?));
        Ok(())
    }

    /// The case comes to its end, and whoever answered is told.
    pub(super) fn conclude(&self, case: &Case) -> Told {
        chapter("The point of diversion");
        let found = self.case(case)?;
        let diversion = found.diversion.clone().ok_or_else(|| DemoError::Unexpected {
            expected: "a point of diversion".into(),
            found: found.why.clone(),
        })?;
        say("Serbia", &format!("case {}: {}", found.trace_case, found.item));
        for hop in &found.hops {
            let view = self.serbia.exchange(&hop.exchange.id.to_string())?;
            let outcome = hop.exchange.outcome.clone().unwrap_or_default();
            say("", &format!("hop {}  {}  {outcome:<34} {}", hop.hop, hop.asked, by_whom(&view)));
        }
        say("", &format!("{}: {} in {}", found.progress, diversion.circumstances, diversion.state));
        if let Some(days) = found.time_to_recovery_days {
            say("", &format!("{days} days later it was in Serbia"));
        }
        let outcome = TraceOutcome {
            conclusion: Conclusion::PodEstablished.into(),
            useful: true,
            point_of_diversion: Some(diversion),
            note: Some(prose(
                "Thank you. The pistol is held in Novi Sad; evidence follows through the courts.",
            )),
        };
        let concluded: CaseView =
            self.serbia.post(&format!("/v1/cases/{}/conclusion", case.name), &outcome)?;
        for (office, hop) in
            [&self.brazil, &self.kenya, &self.uganda, &self.tanzania].into_iter().zip(&concluded.hops)
        {
            office.wait_until(&hop.exchange.id.to_string(), State::Closed)?;
        }
        say("Serbia", "tells all four what it concluded, and thanks them; the exchanges close on both sides");
        Ok(())
    }

    fn trace(&self, office: &Office, case: &Case) -> Result<String, DemoError> {
        let question = Question::Trace { request: case.request.clone(), looked_again: false };
        self.serbia.ask(office, question, &case.name, case.photographs.clone())
    }

    fn answer(&self, office: &Office, id: &str, response: TraceResponse) -> Told {
        office.act(id, Act::Answer { outcome: Outcome::Trace(response), note: None }).map(drop)
    }

    fn case(&self, case: &Case) -> Result<CaseView, DemoError> {
        self.serbia.get(&format!("/v1/cases/{}", case.name))
    }

    fn request(&self, item: Item) -> TraceRequest {
        let yesterday = self.today.saturating_sub(1.day());
        TraceRequest {
            trace_case: line(&self.name_of_case()),
            hop: 1,
            previous_hop: None,
            urgency: Urgency::Routine,
            urgency_reason: None,
            respond_by: None,
            respond_by_reason: None,
            illicit_basis: vec![IllicitBasis::ItUnauthorised.into()],
            legal_justification: prose("Possession without a licence; no lawful import is on record."),
            suspected_offences: vec![Offence::Article5Para1B.into()],
            recovery: Recovery {
                mode: RecoveryMode::SeizedCriminal.into(),
                date: yesterday,
                place: line("Novi Sad, South Backa"),
                circumstances: prose("Under the spare wheel of a car stopped at a road check."),
            },
            criminal_context: vec![CriminalContext::OrganisedCrime.into()],
            item,
            identification: IdentificationConfidence::ExpertExamined.into(),
            no_photo_reason: None,
            national_search: NationalSearch {
                registers: vec![line("national register of firearms")],
                date: self.today,
                result: prose("No record of this pistol."),
            },
            other_searches: Vec::new(),
            questions: vec![TraceQuestion::ConfirmManufacture.into(), TraceQuestion::Disposition.into()],
            intended_use: IntendedUse::Investigation.into(),
            do_not_contact: Vec::new(),
            linked_licence: None,
            ballistic_refs: Vec::new(),
        }
    }

    fn name_of_case(&self) -> String {
        format!("RS-{}-0415", self.today.year())
    }
}

/// The pistol with what can be read on it, and the number that an officer takes for its own.
fn described(serial: Mark) -> Item {
    let mut country = Mark::seen(MarkKind::Country, raw("INDUSTRIA BRASILEIRA"));
    country.location = Some(MarkLocation::Slide.into());
    country.decoded = Some(Decoded { country: "BRA".parse().ok(), ..Decoded::default() });
    let mut pistol = Firearm::of(FirearmType::Pistol);
    pistol.action = Action::SemiAuto.into();
    pistol.make = Some(Make { as_marked: Some(line("FORJA AURORA")), ..Make::default() });
    pistol.model = Some(line("AV-9"));
    pistol.calibres = vec![Calibre::marked(line("9x19 mm"))];
    pistol.country_of_manufacture = "BRA".parse().ok();
    pistol.provenance = Provenance::Factory.into();
    pistol.marks = vec![country, serial];
    Item::Firearm(Box::new(pistol))
}

fn raw(text: &str) -> Raw {
    Raw::typed(text).expect("a mark")
}

/// The record of that very pistol, among those that may be it.
fn stamped(view: &ExchangeView) -> Result<CandidateView, DemoError> {
    let found = view.candidates.iter().find(|candidate| candidate.item.contains(STAMPED));
    found.cloned().ok_or_else(|| DemoError::Unexpected {
        expected: format!("{STAMPED} among the candidates"),
        found: format!("{} others", view.candidates.len()),
    })
}

/// The answer that an exchange came to.
fn response(view: &ExchangeView) -> Result<&TraceResponse, DemoError> {
    match &view.result {
        Some(Outcome::Trace(response)) => Ok(response),
        _ => Err(DemoError::Unexpected {
            expected: "an answer to a trace request".into(),
            found: view.summary.state.as_str().into(),
        }),
    }
}

/// The message with that answer.
fn answered(view: &ExchangeView) -> Option<&TimelineItem> {
    view.timeline.iter().rev().find(|item| item.kind == Kind::TraceResponse && item.effective)
}

fn by_whom(view: &ExchangeView) -> &'static str {
    match answered(view).map(|item| &item.by) {
        Some(By::Auto { .. }) => "by rule",
        Some(By::Officers { .. }) => "by an officer",
        None => "by nobody",
    }
}

/// The item as the register has it, and since when.
fn recorded(response: &TraceResponse) -> String {
    let item = response.matched_item.as_ref().map(Item::title).unwrap_or_default();
    let since = response.last_legal_record.as_ref().and_then(|record| record.date);
    let since = since.map(|date| format!(", since {date}")).unwrap_or_default();
    format!("{item}{since}")
}

/// The licence under which it left, if it did.
fn licence_of(response: &TraceResponse) -> &str {
    let licence = response.next_hop.as_ref().and_then(|next| next.licence_no.as_ref());
    licence.map(LicenceNo::as_str).unwrap_or_default()
}

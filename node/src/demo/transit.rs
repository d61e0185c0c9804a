//! The transit: two States on the way are notified before anything leaves, and neither silence nor an objection clears
//! (Art. 10(2)(b)).

use jiff::ToSpan;
use jiff::civil::Date;
use liaison_protocol::authority::{StateCode, Timestamp};
use liaison_protocol::message::Outcome;
use liaison_protocol::operator::{Act, Enclosed, ExchangeView, Question, State};
use liaison_protocol::transit::{DecisionCode, TransitDecision, TransitNotification, TransportMode};

use super::export::LICENCE;
use super::{DemoError, Office, Story, Told, aside, chapter, line, prose, say, tell};

/// The shipment, by its exchanges.
pub(super) struct Shipment {
    /// Brazil's notification to Tanzania.
    pub(super) tanzania: String,
    /// Brazil's notification to Uganda.
    pub(super) uganda: String,
    /// Uganda's question to Kenya whether the licence is genuine.
    pub(super) doubt: String,
}

/// Where a shipment passes through a State, and how.
struct Passage {
    mode: TransportMode,
    entry: &'static str,
    exit: &'static str,
}

const BY_RAIL: Passage =
    Passage { mode: TransportMode::Rail, entry: "Dar es Salaam", exit: "Mwanza, lake port" };
const BY_ROAD: Passage = Passage { mode: TransportMode::Road, entry: "Port Bell", exit: "Busia" };

impl Story {
    pub(super) fn notify_transit(&self) -> Result<Shipment, DemoError> {
        chapter("Two States lie on the way: does either object?");
        tell(
            "By sea to Dar es Salaam, by rail and ferry across Lake Victoria, by road from Port Bell to Kisumu. Tanzania \
             and Uganda are told in writing before anything leaves, with all that stands on the import licence \
             (Art. 10(2)(b), 10(3)).",
        );
        let tanzania = self.notify(&self.tanzania, &BY_RAIL)?;
        let uganda = self.notify(&self.uganda, &BY_ROAD)?;
        for (office, id) in [(&self.tanzania, &tanzania), (&self.uganda, &uganda)] {
            let view = self.brazil.wait_until(id, State::Delivered)?;
            // It is owed at the end of a day, which is the first moment of the next.
            let due = view.summary.due.map(|due| Timestamp(due.at.0.saturating_sub(1)).date());
            let due = due.map(|day| format!("; it should say by {day} who takes charge")).unwrap_or_default();
            say("Brazil", &format!("notifies {}: delivered, and proven{due}", office.name));
        }
        aside(
            "If that day passes in silence, Brazil's node reminds, and that is all: silence clears nothing.",
        );
        Ok(Shipment { tanzania, uganda, doubt: String::new() })
    }

    fn notify(&self, office: &Office, passage: &Passage) -> Result<String, DemoError> {
        let state = |office: &Office| office.state.parse::<StateCode>().expect("a State code");
        let notification = TransitNotification {
            export_file: line("BR-EXP-0088"),
            import_licences: vec![self.papers.paper(LICENCE)?],
            countries_transit: vec![state(&self.tanzania), state(&self.uganda)],
            exporter: Some(line("Forja Aurora")),
            carrier: Some(line("Great Lakes Freight")),
            mode: passage.mode.into(),
            entry_point: line(passage.entry),
            exit_point: line(passage.exit),
            transhipment: true,
            window_from: self.in_days(21),
            window_to: self.in_days(42),
            respond_by: None,
        };
        self.brazil.ask(office, Question::Transit { notification }, "BR-EXP-0088", Enclosed::default())
    }

    pub(super) fn conditions(&self, shipment: &Shipment) -> Told {
        let id = &shipment.tanzania;
        self.tanzania.wait_for(id, "the notification", |view| view.summary.for_officer)?;
        let unit = line("Transit desk");
        self.tanzania.act(id, Act::Acknowledge { unit, expected: Some(self.in_days(7)), note: None })?;
        let view = self.brazil.wait_until(id, State::Acknowledged)?;
        say("Tanzania", &format!("takes charge: Transit desk, answer by {}", self.in_days(7)));
        self.still_blocked(&view)?;
        let mut decision = self.clearance(DecisionCode::NoObjectionWithConditions);
        decision.conditions = vec![
            prose("Seals of the carrier and of Tanzanian customs on every crate."),
            prose("A police escort between Dar es Salaam and Mwanza."),
        ];
        self.decide(&self.tanzania, id, decision.clone())?;
        let view = self.brazil.wait_until(id, State::ConditionsOpen)?;
        say(
            "Tanzania",
            "NO_OBJECTION_WITH_CONDITIONS: customs seals on every crate, a police escort to Mwanza",
        );
        self.still_blocked(&view)?;
        self.brazil.act(id, Act::ReplyToConditions { accepted: true, note: None })?;
        self.tanzania.wait_until(id, State::Cleared)?;
        let view = self.brazil.wait_until(id, State::Cleared)?;
        say("Brazil", &format!("accepts the conditions. Tanzania is {}", cleared(&view)));
        let view = self.brazil.exchange(&shipment.uganda)?;
        say("Uganda", "says nothing");
        self.still_blocked(&view)
    }

    pub(super) fn objection(&self, shipment: &Shipment) -> Told {
        chapter("A wrong answer, an objection, and both put right");
        self.wrong_answer(&shipment.doubt)?;
        let id = &shipment.uganda;
        let objection = TransitDecision {
            decision: DecisionCode::Objection.into(),
            conditions: Vec::new(),
            valid_from: None,
            valid_to: None,
            reason: None,
        };
        self.decide(&self.uganda, id, objection)?;
        let view = self.brazil.wait_until(id, State::Blocked)?;
        say("Uganda", "OBJECTION. It owes no reason, and gives none");
        self.still_blocked(&view)?;
        self.correction(&shipment.doubt)?;
        self.decide(&self.uganda, id, self.clearance(DecisionCode::NoObjection))?;
        let view = self.brazil.wait_until(id, State::Cleared)?;
        say("Uganda", "NO_OBJECTION, in the place of its objection");
        say("Brazil", &format!("Uganda is {}: only now may the export licence be issued", cleared(&view)));
        Ok(())
    }

    fn clearance(&self, code: DecisionCode) -> TransitDecision {
        TransitDecision {
            decision: code.into(),
            conditions: Vec::new(),
            valid_from: Some(self.in_days(21)),
            valid_to: Some(self.in_days(42)),
            reason: None,
        }
    }

    fn decide(&self, office: &Office, id: &str, decision: TransitDecision) -> Told {
        office.act(id, Act::Answer { outcome: Outcome::Transit(decision), note: None }).map(drop)
    }

    /// What Brazil's file says as long as nothing clears.
    fn still_blocked(&self, view: &ExchangeView) -> Told {
        if view.summary.state == State::Cleared || view.summary.valid_to.is_some() {
            return Err(DemoError::Unexpected {
                expected: "that nothing is cleared yet".into(),
                found: view.summary.state.as_str().into(),
            });
        }
        say("", &format!("Brazil's file: {}, not cleared", view.summary.state.as_str().replace('_', " ")));
        Ok(())
    }

    fn in_days(&self, days: i32) -> Date {
        self.today.saturating_add(days.days())
    }
}

fn cleared(view: &ExchangeView) -> String {
    let until = view.summary.valid_to.map(|last| format!(" until {last}")).unwrap_or_default();
    format!("cleared{until}")
}

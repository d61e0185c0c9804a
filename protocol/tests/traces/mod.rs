//! Traces that are asked and answered between two States.
#![allow(dead_code, reason = "each test uses a part of it")]

use liaison_protocol::authority::StateCode;
use liaison_protocol::handling::Coded;
use liaison_protocol::message::{MessageId, Outcome};
use liaison_protocol::operator::{Act, Question};
use liaison_protocol::trace::{
    Conclusion, MatchLevel, ResultCode, TraceOutcome, TraceRequest, TraceResponse,
};

use crate::office::{EVERYTHING, Office, line};
use crate::samples::{delayed, exported_to, prose, searched};

pub(crate) fn question(request: TraceRequest) -> Question {
    Question::Trace { request, looked_again: true }
}

pub(crate) fn answer(response: TraceResponse) -> Act {
    Act::Answer { outcome: Outcome::Trace(searched(response)), note: None }
}

pub(crate) fn acknowledge() -> Act {
    Act::Acknowledge { unit: line("Tracing Centre"), expected: None, note: None }
}

/// Peru has asked Kenya, and Kenya holds it, proven.
pub(crate) fn asked(request: TraceRequest) -> (Office, Office, MessageId) {
    let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
    let id = ask(&mut peru, &mut kenya, request);
    (kenya, peru, id)
}

pub(crate) fn ask(peru: &mut Office, kenya: &mut Office, request: TraceRequest) -> MessageId {
    let opener = peru.open(&kenya.us(), question(request)).expect("complete");
    assert_eq!(kenya.take(peru, &opener), Vec::new());
    opener.id()
}

/// `from` acts, and `to` takes it.
pub(crate) fn act(from: &mut Office, to: &mut Office, id: MessageId, act: Act) -> MessageId {
    let said = from.act(id, act).expect("open to it");
    to.take(from, &said);
    said.id()
}

pub(crate) fn peru() -> StateCode {
    "PER".parse().expect("a State")
}

pub(crate) fn concluded(conclusion: Conclusion) -> TraceOutcome {
    TraceOutcome { conclusion: Coded::Known(conclusion), useful: true, point_of_diversion: None, note: None }
}

pub(crate) fn corrected(response: TraceResponse) -> Act {
    Act::Correct { outcome: Outcome::Trace(response), reason: prose("A file was found.") }
}

/// A response of this code with all that any code needs, of a record that is the item.
pub(crate) fn whole(code: ResultCode) -> TraceResponse {
    TraceResponse {
        match_level: Coded::Known(MatchLevel::Exact),
        authority: Some(line("Tracing Centre")),
        ..TraceResponse {
            result_code: Coded::Known(code),
            next_hop: exported_to("CHL").next_hop.filter(|_| code == ResultCode::ExportedTo),
            ..delayed("2026-12-01")
        }
    }
}

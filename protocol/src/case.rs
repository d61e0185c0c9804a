//! A trace case: the chain of hops from State to State, to the point of diversion or to where it breaks off
//! (law/requirements 7.1; SDG 16.4.2).
//!
//! A case is ours alone: peers see its name in each request and nothing more. What it has come to is a function of its
//! exchanges; a next hop is proposed here and asked by an officer only.

use crate::authority::{Line, StateCode};
use crate::deadline::Due;
use crate::exchange::Exchange;
use crate::handling::{Coded, code_list};
use crate::item::Item;
use crate::mark::MarkKind;
use crate::message::{Outcome, Subject};
use crate::operator::State;
use crate::trace::{Diversion, NextHop, ResultCode, TraceOutcome, TraceRequest, TraceResponse};

code_list! {
    /// How far a case has come.
    Progress {
        Concluded = "CONCLUDED",
        ExhaustedUnsuccessful = "EXHAUSTED_UNSUCCESSFUL",
        LastLegalRecordOnly = "LAST_LEGAL_RECORD_ONLY",
        NextHopProposed = "NEXT_HOP_PROPOSED",
        PodEstablished = "POD_ESTABLISHED",
        Stalled = "STALLED",
        Waiting = "WAITING",
    }
}

/// One hop: a request to one State, and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Hop {
    /// The State that was asked.
    pub state: StateCode,
    /// The exchange.
    pub exchange: Exchange,
    /// What the State that was asked owes next, and by when.
    pub due: Option<Due>,
}

impl Hop {
    /// Whether the time for that has passed.
    fn no_reply(&self) -> bool {
        self.due.is_some_and(|due| self.exchange.has_passed(due))
    }

    /// Its number in the case.
    pub fn number(&self) -> u32 {
        self.request().map_or(0, |request| request.hop)
    }

    /// What was asked.
    pub fn request(&self) -> Option<&TraceRequest> {
        match self.exchange.subject() {
            Subject::Trace(request) => Some(request),
            _ => None,
        }
    }
}

/// What a case has come to, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// How far it has come.
    pub progress: Progress,
    /// In words.
    pub why: String,
    /// Where the item left the licit circuit.
    pub diversion: Option<Diversion>,
    /// Whom to ask next.
    pub next: Option<NextHop>,
}

impl Finding {
    fn of(progress: Progress, why: impl Into<String>) -> Self {
        Self { progress, why: why.into(), diversion: None, next: None }
    }
}

/// What a case with these hops has come to. `hops` is in any order.
pub fn find(hops: &[Hop]) -> Finding {
    let mut hops: Vec<&Hop> = hops.iter().collect();
    hops.sort_by_key(|hop| (hop.number(), hop.exchange.opener().leaf));
    let standings: Vec<_> = hops.iter().map(|hop| (*hop, hop.exchange.standing())).collect();
    let answers: Vec<(&Hop, TraceResponse)> = standings
        .iter()
        .filter_map(|(hop, standing)| match &standing.outcome {
            Some(Outcome::Trace(response)) => Some((*hop, response.clone())),
            _ => None,
        })
        .collect();
    let concluded = standings.iter().find_map(|(_, standing)| standing.conclusion.clone());
    let diverted = answers.iter().find(|(_, response)| {
        response.point_of_diversion.is_some()
            || response.result_code.known().is_some_and(|code| code.establishes_diversion())
    });
    let diversion = concluded
        .as_ref()
        .and_then(|outcome: &TraceOutcome| outcome.point_of_diversion.clone())
        .or_else(|| diverted.and_then(|(_, response)| response.point_of_diversion.clone()));
    if let Some(outcome) = concluded {
        let mut finding = Finding::of(Progress::Concluded, format!("concluded: {}", outcome.conclusion));
        finding.diversion = diversion;
        return finding;
    }
    if let Some((hop, response)) = diverted {
        let mut finding = Finding::of(Progress::PodEstablished, format!("{} answered {response}", hop.state));
        finding.diversion = diversion;
        return finding;
    }
    let open: Vec<_> = standings.iter().filter(|(_, standing)| standing.state.is_open()).collect();
    if let Some((hop, _)) = open.iter().find(|(hop, _)| !hop.no_reply()) {
        return Finding::of(Progress::Waiting, format!("{} has not answered yet", hop.state));
    }
    let asked = |state: &StateCode| hops.iter().any(|hop| hop.state == *state);
    if let Some((hop, next)) = answers.iter().rev().find_map(|(hop, response)| {
        Some((hop, response.next_hop.clone().filter(|next| !asked(&next.state))?))
    }) {
        let why = format!("{} names {}: {}", hop.state, next.state, next.why);
        let mut finding = Finding::of(Progress::NextHopProposed, why);
        finding.next = Some(next);
        return finding;
    }
    if let Some((hop, _)) = open.first() {
        return Finding::of(
            Progress::Stalled,
            format!("{} has not answered in time; nothing follows from silence", hop.state),
        );
    }
    let Some((last, standing)) = standings.last() else {
        return Finding::of(Progress::Waiting, "nobody was asked yet");
    };
    broken_off(last, standing.state, &answers)
}

/// Days from the last legal record of the item to its recovery, as far as the answers tell.
pub fn time_to_recovery(hops: &[Hop]) -> Option<i64> {
    let recovered = hops.iter().filter_map(Hop::request).min_by_key(|request| request.hop)?.recovery.date;
    let dates = hops.iter().filter_map(|hop| match hop.exchange.standing().outcome {
        Some(Outcome::Trace(response)) => response.last_legal_record?.date,
        _ => None,
    });
    let last = dates.filter(|date| *date <= recovered).max()?;
    Some(i64::from(recovered.since(last).ok()?.get_days()))
}

/// Why the chain ends here without a point of diversion.
fn broken_off(last: &Hop, state: State, answers: &[(&Hop, TraceResponse)]) -> Finding {
    match state {
        State::MlaRequired | State::Redirected | State::Refused | State::Restricted | State::TurnedAway => {
            return Finding::of(Progress::Stalled, format!("{}: {}", last.state, state.as_str()));
        }
        State::Withdrawn => {
            return Finding::of(Progress::Stalled, format!("the request to {} was withdrawn", last.state));
        }
        _ => {}
    }
    let sent_here = answers.iter().find(|(hop, response)| {
        hop.state != last.state && response.next_hop.as_ref().is_some_and(|next| next.state == last.state)
    });
    let answer = answers.iter().rfind(|(hop, _)| hop.exchange.id() == last.exchange.id());
    let is_without_record = answer.is_some_and(|(_, response)| {
        matches!(
            response.result_code,
            Coded::Known(
                ResultCode::NoRecord
                    | ResultCode::ImportedNoDomesticRecord
                    | ResultCode::RecordsLost
                    | ResultCode::RetentionExpired
            )
        )
    });
    match (sent_here, is_without_record) {
        (Some((from, _)), true) => Finding::of(
            Progress::LastLegalRecordOnly,
            format!(
                "{} exported it to {}, and {} has no record of it: it was lost between the two, or after",
                from.state, last.state, last.state
            ),
        ),
        _ if answers.iter().any(|(_, response)| response.last_legal_record.is_some()) => {
            Finding::of(Progress::LastLegalRecordOnly, "the last legal record is known, the diversion is not")
        }
        _ => Finding::of(Progress::ExhaustedUnsuccessful, "no State that was asked has a record of it"),
    }
}

/// Whom to ask first, from the marks: the State of the last lawful import, then that of a transfer from government
/// stocks, then that of manufacture (law/requirements 4.2).
pub fn first_hops(item: &Item) -> Vec<(StateCode, Line)> {
    let line = |text: &str| text.parse::<Line>().expect("a line");
    let decoded = |kind: MarkKind, why: &'static str| {
        let of_kind = item.marks().iter().filter(move |mark| mark.kind.is(kind));
        of_kind.filter_map(move |mark| Some((mark.decoded.as_ref()?.country.clone()?, line(why))))
    };
    let mut hops: Vec<(StateCode, Line)> = decoded(MarkKind::ImportCountry, "its import mark is the latest")
        .chain(decoded(MarkKind::ExGovernmentTransfer, "it came from that State's government stocks"))
        .chain(decoded(MarkKind::SymbolCode, "its symbol and code say that it was made there"))
        .chain(decoded(MarkKind::Country, "it is marked as made there"))
        .collect();
    if let Item::Firearm(firearm) = item {
        hops.extend(
            firearm.country_of_manufacture.iter().map(|state| (state.clone(), line("it was made there"))),
        );
    }
    let mut seen = Vec::new();
    hops.retain(|(state, _)| {
        let new = !seen.contains(state);
        seen.push(state.clone());
        new
    });
    hops
}

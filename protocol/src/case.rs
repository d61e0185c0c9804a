//! A trace case: the chain of hops from State to State, to the point of diversion or to where it breaks off
//! (law/requirements 7.1; SDG 16.4.2).
//!
//! A case is ours alone: peers see its name in each request and nothing more. What it has come to is a function of its
//! exchanges; a next hop is proposed here and asked by an officer only. What was concluded stands until an answer changes;
//! an answer that is not final, or of no record that matches the item, establishes nothing.

use crate::authority::{Line, StateCode};
use crate::deadline::Due;
use crate::exchange::Exchange;
use crate::handling::code_list;
use crate::item::Item;
use crate::mark::MarkKind;
use crate::merkle::LeafIndex;
use crate::message::{Body, Outcome, Subject};
use crate::operator::State;
use crate::standing::Standing;
use crate::trace::{Conclusion, Diversion, NextHop, ResultCode, TraceOutcome, TraceRequest, TraceResponse};

code_list! {
    /// How far a case has come.
    Progress {
        Concluded = "CONCLUDED",
        ExhaustedUnsuccessful = "EXHAUSTED_UNSUCCESSFUL",
        LastLegalRecordOnly = "LAST_LEGAL_RECORD_ONLY",
        NextHopProposed = "NEXT_HOP_PROPOSED",
        PodEstablished = "POD_ESTABLISHED",
        Reopened = "REOPENED",
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

/// What our case with these hops has come to. `hops` is in any order.
pub fn find(us: &StateCode, hops: &[Hop]) -> Finding {
    let case = Chain::of(us, hops);
    match (case.since_concluded(), case.concluded()) {
        (Some((state, change)), _) => {
            let found = case.found();
            let why = format!("reopened: {state} {} since it was concluded; {}", change.words(), found.why);
            Finding { progress: Progress::Reopened, why, ..found }
        }
        (None, Some(outcome)) => {
            let told = outcome.point_of_diversion.clone();
            // It may be established, and not be told to the States that were asked.
            let established = || case.diverted().and_then(|(_, answer)| answer.point_of_diversion.clone());
            let is_diversion = outcome.conclusion.is(Conclusion::PodEstablished);
            Finding {
                diversion: told.or_else(|| established().filter(|_| is_diversion)),
                ..Finding::of(Progress::Concluded, format!("concluded: {}", outcome.conclusion))
            }
        }
        (None, None) => case.found(),
    }
}

/// Days from the last legal record of the item to its recovery, as far as answers that establish it tell.
pub fn time_to_recovery(hops: &[Hop]) -> Option<i64> {
    let recovered = hops.iter().filter_map(Hop::request).min_by_key(|request| request.hop)?.recovery.date;
    let dates = hops.iter().filter_map(|hop| match &hop.exchange.standing().outcome {
        Some(Outcome::Trace(response)) if response.is_firm() => response.last_legal_record.as_ref()?.date,
        _ => None,
    });
    let last = dates.filter(|date| *date <= recovered).max()?;
    Some(i64::from(recovered.since(last).ok()?.get_days()))
}

/// The hops of a case in their order, each with where it stands.
struct Chain<'a> {
    us: &'a StateCode,
    links: Vec<Link<'a>>,
}

/// A hop, and where it stands.
struct Link<'a> {
    hop: &'a Hop,
    standing: &'a Standing,
}

/// What can change in a hop after the case was concluded.
#[derive(Clone, Copy)]
enum Change {
    Answered,
    Asked,
    Corrected,
}

/// Where the State that an answer names stands in the case.
enum Named {
    /// Asked after that answer, or with it: the chain goes on there.
    After,
    /// Asked before, as hop of this number.
    Before(u32),
    /// The State that answers.
    Itself,
    /// Not asked yet.
    New,
    /// Ours.
    Us,
}

impl<'a> Chain<'a> {
    fn of(us: &'a StateCode, hops: &'a [Hop]) -> Self {
        let mut links: Vec<_> =
            hops.iter().map(|hop| Link { hop, standing: hop.exchange.standing() }).collect();
        links.sort_by_key(|link| (link.hop.number(), link.hop.exchange.opener().leaf));
        Self { us, links }
    }

    /// The newest conclusion of those that stand.
    fn concluded(&self) -> Option<&TraceOutcome> {
        let newest = self.links.iter().filter(|link| link.standing.conclusion.is_some());
        newest.max_by_key(|link| link.concluded_at())?.standing.conclusion.as_ref()
    }

    /// The newest of what changed since the case was concluded, and where: nothing if it was not concluded. A request
    /// that was withdrawn or turned away changes nothing.
    fn since_concluded(&self) -> Option<(&'a StateCode, Change)> {
        let concluded = self.links.iter().filter_map(Link::concluded_at).max()?;
        let lives = |link: &&Link<'_>| !matches!(link.standing.state, State::TurnedAway | State::Withdrawn);
        let changes = self.links.iter().filter(lives).filter_map(|link| {
            let (leaf, change) = link.changed_at()?;
            // What a State corrected while we told the others what we concluded was not known when we did.
            let dropped = link.concluded_at().is_some() && link.standing.conclusion.is_none();
            (dropped || leaf > concluded).then_some((leaf, &link.hop.state, change))
        });
        changes.max_by_key(|(leaf, ..)| *leaf).map(|(_, state, change)| (state, change))
    }

    /// What the answers come to, whatever was concluded from them.
    fn found(&self) -> Finding {
        if let Some((state, answer)) = self.diverted() {
            return Finding {
                diversion: answer.point_of_diversion.clone(),
                ..Finding::of(Progress::PodEstablished, format!("{state} answered {answer}"))
            };
        }
        let open: Vec<_> = self.links.iter().filter(|link| link.standing.state.is_open()).collect();
        if let Some(link) = open.iter().find(|link| !link.hop.no_reply()) {
            return Finding::of(Progress::Waiting, link.awaited());
        }
        if let Some((why, next)) = self.proposal() {
            return Finding { next: Some(next), ..Finding::of(Progress::NextHopProposed, why) };
        }
        if let Some(link) = open.first() {
            let owed =
                if link.standing.state == State::Clarifying { "explained its answer" } else { "answered" };
            let said = link.for_now().map(|said| said + "; ").unwrap_or_default();
            let why =
                format!("{said}{} has not {owed} in time; nothing follows from silence", link.hop.state);
            return Finding::of(Progress::Stalled, why);
        }
        self.broken_off()
    }

    /// The answer that establishes where the item left the licit circuit.
    fn diverted(&self) -> Option<(&'a StateCode, &TraceResponse)> {
        let mut answers = self.links.iter().filter_map(|link| Some((&link.hop.state, link.answer()?)));
        answers.find(|(_, answer)| answer.establishes_diversion())
    }

    /// Whom to ask next, as the newest answer has it that names a State which is neither ours nor asked yet.
    fn proposal(&self) -> Option<(String, NextHop)> {
        self.links.iter().enumerate().rev().find_map(|(place, link)| {
            let (answer, (Named::New, next)) = (link.answer()?, self.named(place)?) else { return None };
            let mut next = next.clone();
            let redirected = answer.result_code.is(ResultCode::Redirected);
            next.authority = next.authority.or_else(|| answer.authority.clone().filter(|_| redirected));
            let to = next.authority.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
            let names = match (redirected, answer.interim) {
                (true, _) => "redirects to",
                (false, true) => "names for now",
                (false, false) => "names",
            };
            Some((format!("{} {names} {}{to}: {}", link.hop.state, next.state, next.why), next))
        })
    }

    /// The State that the answer in this place names, and where it stands in the case.
    fn named(&self, place: usize) -> Option<(Named, &NextHop)> {
        let link = self.links.get(place)?;
        let next = link.answer()?.next_hop.as_ref()?;
        let asked = |link: &&Link<'_>| link.hop.state == next.state;
        let named = if next.state == *self.us {
            Named::Us
        } else if next.state == link.hop.state {
            Named::Itself
        } else if self.links.iter().skip(place).any(|link| asked(&link)) {
            Named::After
        } else {
            let before = self.links.iter().take(place).rfind(asked);
            before.map_or(Named::New, |link| Named::Before(link.hop.number()))
        };
        Some((named, next))
    }

    /// Why the chain ends here without a point of diversion. Of several ends, what is on record counts most, then what
    /// somebody can still do.
    fn broken_off(&self) -> Finding {
        if self.links.is_empty() {
            return Finding::of(Progress::Waiting, "nobody was asked yet");
        }
        let has_no_record = |link: &Link<'_>| {
            let answer = link.answer().filter(|answer| !answer.interim);
            answer.is_some_and(|answer| answer.result_code.is(ResultCode::NoRecord))
        };
        if self.links.iter().all(has_no_record) {
            return Finding::of(
                Progress::ExhaustedUnsuccessful,
                "no State that was asked has a record of it",
            );
        }
        let ends: Vec<_> = (0..self.links.len()).filter_map(|place| self.end(place)).collect();
        let on_record = self
            .links
            .iter()
            .filter_map(Link::answer)
            .any(|answer| answer.is_firm() && answer.last_legal_record.is_some());
        let ended = |progress| ends.iter().any(|(end, _)| *end == progress);
        let progress = if ended(Progress::LastLegalRecordOnly) {
            Progress::LastLegalRecordOnly
        } else if ended(Progress::Stalled) {
            Progress::Stalled
        } else if on_record {
            Progress::LastLegalRecordOnly
        } else {
            Progress::ExhaustedUnsuccessful
        };
        let words: Vec<_> = ends.into_iter().map(|(_, words)| words).collect();
        Finding::of(progress, words.join("; "))
    }

    /// How the hop in this place ends, if the chain does not go on from it.
    fn end(&self, place: usize) -> Option<(Progress, String)> {
        let link = self.links.get(place)?;
        let state = &link.hop.state;
        let stalled = |words: String| Some((Progress::Stalled, words));
        match link.standing.state {
            State::TurnedAway => return stalled(format!("the node of {state} turned the request away")),
            State::Withdrawn => return stalled(format!("the request to {state} was withdrawn")),
            _ => {}
        }
        let Some(answer) = link.answer() else { return stalled(format!("{state} has not answered")) };
        let exported = answer.result_code.is(ResultCode::ExportedTo);
        match self.named(place) {
            Some((Named::After, _)) => return None,
            Some((Named::Before(hop), next)) => {
                return stalled(format!(
                    "{state} names {}, which was asked already, as hop {hop}: ask it again if it may know more ({})",
                    next.state, next.why
                ));
            }
            Some((Named::Itself, next)) if exported => {
                return stalled(format!(
                    "{state} says that it was exported to {}, which is {state} itself: ask what that means",
                    next.state
                ));
            }
            Some((Named::Itself, next)) => {
                let name = next.authority.as_ref().or(answer.authority.as_ref());
                let name = name.map_or_else(|| "another authority".to_owned(), Line::to_string);
                return stalled(format!("{state} names {name} of its own: ask that one ({})", next.why));
            }
            Some((Named::Us, next)) => {
                let words = if exported { "it was exported to us" } else { "we may know it ourselves" };
                return stalled(format!("{state} says that {words}: search our own records ({})", next.why));
            }
            // What is proposed is no end.
            Some((Named::New, _)) => return None,
            None => {}
        }
        Some(self.end_of(state, answer))
    }

    /// How a hop ends with this final answer of `state`, which names nobody to ask next.
    fn end_of(&self, state: &StateCode, answer: &TraceResponse) -> (Progress, String) {
        use Progress::{ExhaustedUnsuccessful, LastLegalRecordOnly, Stalled};
        let Some(code) = answer.result_code.known() else {
            let words = format!(
                "{state} answered {}, a code that is not in our list: ask what it means",
                answer.result_code
            );
            return (Stalled, words);
        };
        let claims_record = answer.tells_of_diversion() || answer.last_legal_record.is_some();
        if (claims_record || code.is_on_record()) && !answer.is_firm() {
            let words = format!(
                "{state} answered {answer}, but of no record that matches the item, which establishes nothing: \
                 ask what it means"
            );
            return (Stalled, words);
        }
        let authority = answer.authority.as_ref().map(|name| format!(" by {name}")).unwrap_or_default();
        let (progress, words) = match code {
            ResultCode::CompanyDefunct => {
                (ExhaustedUnsuccessful, format!("{state} says that the company which would know is no more"))
            }
            ResultCode::Duplicate => {
                let other =
                    answer.duplicate_of.as_ref().map(|other| format!(", {other}")).unwrap_or_default();
                (
                    Stalled,
                    format!("{state} has the same request already{other}: what it answers there counts"),
                )
            }
            ResultCode::GovernmentStock => {
                (LastLegalRecordOnly, format!("{state} has it in government stock; how it left is not known"))
            }
            ResultCode::ImportedNoDomesticRecord => (
                LastLegalRecordOnly,
                format!("{state} imported it, and has no record of what became of it there"),
            ),
            ResultCode::InsufficientInformation => (
                Stalled,
                format!("{state} cannot search with what it was told: tell it more, in a new request"),
            ),
            ResultCode::LastLegalHolderIdentified => (
                LastLegalRecordOnly,
                format!("{state} knows the last legal holder; how it left those hands is not known"),
            ),
            ResultCode::ManufactureConfirmedNoDisposition => (
                LastLegalRecordOnly,
                format!("{state} confirms the manufacture, and does not know where it went from there"),
            ),
            ResultCode::MarkObliterated => {
                (Stalled, format!("{state} cannot search without the mark: ask anew once it is restored"))
            }
            ResultCode::MlaRequired => {
                (Stalled, format!("{state} requires mutual legal assistance{authority}"))
            }
            ResultCode::MultipleCandidates => {
                let many = answer.candidates.map_or_else(|| "several".to_owned(), |many| many.to_string());
                let words = format!(
                    "{state} found {many} candidates: give it more marks, with a question about its answer \
                     or in a new request"
                );
                (Stalled, words)
            }
            ResultCode::NoRecord => (ExhaustedUnsuccessful, format!("{state} has no record of it")),
            ResultCode::NotOfOurManufacture => (
                Stalled,
                format!("{state} did not make it, and does not say who did: look at the marks again"),
            ),
            ResultCode::PredatesRecords => {
                (ExhaustedUnsuccessful, format!("it is older than the records of {state}"))
            }
            ResultCode::PrivatelyMadeNoRecord => (
                ExhaustedUnsuccessful,
                format!("{state} holds it to be privately made, and has no record of it"),
            ),
            ResultCode::RecordsLost => (ExhaustedUnsuccessful, format!("the records of {state} are lost")),
            ResultCode::Redirected => {
                let to = answer.authority.as_ref().map(|name| format!(" to {name}")).unwrap_or_default();
                (
                    Stalled,
                    format!(
                        "{state} redirects{to}, and names no State: ask there, or ask {state} what it means"
                    ),
                )
            }
            ResultCode::Refused => (Stalled, format!("{state} refused{}", grounds(answer))),
            ResultCode::Restricted => (Stalled, format!("{state} restricted its answer{}", grounds(answer))),
            ResultCode::RetentionExpired => (
                ExhaustedUnsuccessful,
                format!("{state} had to keep records of that time no longer, and has none"),
            ),
            ResultCode::SerialInvalidForModel => (
                Stalled,
                format!(
                    "{state} says that the model never bore such a serial number: look at the marks again"
                ),
            ),
            ResultCode::TracedToDealerOnly => {
                (LastLegalRecordOnly, format!("{state} traced it to a dealer, and no further"))
            }
            // An export that names no State, or what would establish the diversion: there is nothing to add.
            ResultCode::Delayed
            | ResultCode::ExportedTo
            | ResultCode::IllicitManufactureEstablished
            | ResultCode::Lost
            | ResultCode::PreviouslySeized
            | ResultCode::PreviouslySurrendered
            | ResultCode::RecordedDeactivated
            | ResultCode::RecordedDestroyed
            | ResultCode::Stolen => (Stalled, format!("{state} answered {answer}")),
        };
        match (progress, self.exporter(state)) {
            (ExhaustedUnsuccessful, Some(from)) if *code == ResultCode::NoRecord => (
                LastLegalRecordOnly,
                format!("{from} exported it to {state}, and {words}: it was lost between the two, or after"),
            ),
            (ExhaustedUnsuccessful, Some(from)) => {
                (LastLegalRecordOnly, format!("{from} exported it to {state}; {words}"))
            }
            (progress, _) if progress == ExhaustedUnsuccessful && claims_record => {
                (LastLegalRecordOnly, format!("{words}, but knows the last legal record"))
            }
            (progress, _) => (progress, words),
        }
    }

    /// The State on whose records it was exported to `state`.
    fn exporter(&self, state: &StateCode) -> Option<&'a StateCode> {
        let sent = |link: &&Link<'_>| {
            link.hop.state != *state
                && link.answer().is_some_and(|answer| {
                    answer.is_firm()
                        && answer.result_code.is(ResultCode::ExportedTo)
                        && answer.next_hop.as_ref().is_some_and(|next| next.state == *state)
                })
        };
        self.links.iter().find(sent).map(|link| &link.hop.state)
    }
}

impl Link<'_> {
    fn answer(&self) -> Option<&TraceResponse> {
        match &self.standing.outcome {
            Some(Outcome::Trace(answer)) => Some(answer),
            _ => None,
        }
    }

    /// The messages that took effect, and where they stand in our log.
    fn effective(&self) -> impl DoubleEndedIterator<Item = (LeafIndex, &Body)> {
        let effective = self.standing.order.iter().filter(|(_, effective)| *effective);
        effective.filter_map(|(id, _)| self.hop.exchange.get(id).map(|said| (said.leaf, &said.message.body)))
    }

    /// Where in our log we last concluded something from it.
    fn concluded_at(&self) -> Option<LeafIndex> {
        self.effective().rev().find_map(|(leaf, body)| matches!(body, Body::TraceOutcome(_)).then_some(leaf))
    }

    /// Where in our log its answer last changed. That an answer is put off is none; that it was asked is the first.
    fn changed_at(&self) -> Option<(LeafIndex, Change)> {
        self.effective().rev().find_map(|(leaf, body)| match body {
            Body::Correction(_) => Some((leaf, Change::Corrected)),
            Body::TraceRequest(_) => Some((leaf, Change::Asked)),
            Body::TraceResponse(answer) => {
                (!answer.result_code.is(ResultCode::Delayed)).then_some((leaf, Change::Answered))
            }
            _ => None,
        })
    }

    /// What is waited for, and what was said meanwhile.
    fn awaited(&self) -> String {
        let state = &self.hop.state;
        let answered = self.for_now().unwrap_or_else(|| format!("{state} has not answered yet"));
        match (self.standing.state, self.standing.delayed_until) {
            (State::Clarifying, _) => match self.answer() {
                Some(answer) => format!("{state} answered {answer}, and has not explained it yet"),
                None => answered,
            },
            (State::Delayed, Some(until)) => format!("{answered}: it was put off until {until}"),
            (State::InformationRequested, _) => format!("{answered}: it asks us for more information first"),
            _ => answered,
        }
    }

    /// An answer that is not the last one.
    fn for_now(&self) -> Option<String> {
        let interim = self.answer().filter(|answer| answer.interim)?;
        let answer = TraceResponse { interim: false, ..interim.clone() };
        Some(format!(
            "{} answered for now {answer}, which establishes nothing; more is to come",
            self.hop.state
        ))
    }
}

impl Change {
    fn words(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Asked => "was asked",
            Self::Corrected => "corrected its answer",
        }
    }
}

/// The grounds of an answer, in brackets.
fn grounds(answer: &TraceResponse) -> String {
    let words: Vec<_> = answer.grounds.iter().map(ToString::to_string).collect();
    if words.is_empty() { String::new() } else { format!(" ({})", words.join(", ")) }
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

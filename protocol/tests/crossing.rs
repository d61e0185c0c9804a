//! Messages that cross: whatever arrives when, both sides end in the same state, with the same outcome, and owe the
//! same by the same time. For small exchanges of each kind every order of delivery is tried; longer ones by chance.

mod office;
mod samples;
mod shelf;
mod world;

use std::collections::{BTreeSet, VecDeque};

use liaison_protocol::authority::Timestamp;
use liaison_protocol::deadline;
use liaison_protocol::desk::load_exchange;
use liaison_protocol::entry::{Logged, Record, Staged};
use liaison_protocol::envelope::{Verified, seal};
use liaison_protocol::exchange::Exchange;
use liaison_protocol::handling::Coded;
use liaison_protocol::licence::{Answer, Authenticity, LicenceEvent};
use liaison_protocol::merkle::{LeafIndex, TreeHead};
use liaison_protocol::message::{
    Acknowledgement, AuthenticityCheck, AuthenticityResult, Body, Clarification, ClarificationRequest,
    Correction, InformationRequest, InformationSupply, LicenceVerificationResponse, Message, MessageId,
    Outcome, Reminder, Withdrawal,
};
use liaison_protocol::operator::{Act, Enclosed, Order, Question, Side, State};
use liaison_protocol::trace::{Conclusion, ResultCode, TraceOutcome};
use liaison_protocol::transit::{ConditionReply, DecisionCode, TransitDecisionWithdrawal};
use office::{EVERYTHING, Office};
use proptest::prelude::*;
use samples::{
    date, decision, delayed, exported_to, interim, line, prose, refused, response, searched, trace_request,
    transit_notification, transit_through_kenya,
};
use world::{KENYA, PERU, Party, START};

/// What a side says when it is its turn, given what it holds; nothing, if it has nothing to say.
type Word = fn(&Exchange) -> Option<Body>;

/// One side of one exchange.
#[derive(Clone)]
struct Desk {
    party: Party,
    exchange: Option<Exchange>,
    facts: u64,
    said: u64,
    /// Said, and not delivered yet.
    mail: VecDeque<Verified>,
    /// Proofs of what it took, not delivered yet.
    receipts: VecDeque<Record>,
}

impl Desk {
    fn new(party: Party) -> Self {
        Self { party, exchange: None, facts: 0, said: 0, mail: VecDeque::new(), receipts: VecDeque::new() }
    }

    fn note(&mut self, record: Record, message: Option<Verified>, at: Timestamp) {
        let staged = Staged { leaf: LeafIndex(self.facts), at, record, message };
        self.facts += 1;
        match &mut self.exchange {
            Some(exchange) => exchange.add(&staged),
            None => self.exchange = Exchange::open(&self.party.node(), &staged),
        }
    }

    fn held(&self) -> &Exchange {
        self.exchange.as_ref().expect("it was opened")
    }
}

/// Two sides, the requesting one first, and the mail between them.
#[derive(Clone)]
struct Line {
    sides: [Desk; 2],
    hours: u64,
    /// Whether proofs come at once, or only when all is said.
    prompt: bool,
}

impl Line {
    fn open(body: Body, prompt: bool) -> Self {
        let mut line = Self { sides: [PERU, KENYA].map(Desk::new), hours: 0, prompt };
        line.send(0, body);
        line.deliver(0);
        line
    }

    fn now(&self) -> Timestamp {
        START.plus(self.hours * 3600)
    }

    fn send(&mut self, from: usize, body: Body) {
        let (at, to) = (self.now(), self.sides[1 - from].party);
        let side = &mut self.sides[from];
        side.said += 1;
        let opener = world::opener(&side.party, &to, side.said, body);
        let message = match &side.exchange {
            None => opener,
            Some(exchange) => {
                let (prev, saw) =
                    (exchange.last_of(exchange.side()), exchange.last_of(exchange.side().other()));
                Message { thr: Some(exchange.id()), irt: saw, prev, saw, ..opener }
            }
        };
        let verified = seal(message, "msg-1", &side.party.secret("msg-1"));
        let record = Record::Sent { to: to.node(), token: verified.token().to_owned() };
        side.note(record, Some(verified.clone()), at);
        side.mail.push_back(verified);
    }

    fn deliver(&mut self, from: usize) {
        let at = self.now();
        let verified = self.sides[from].mail.pop_front().expect("there is mail");
        let (sender, id) = (self.sides[from].party.node(), verified.id());
        let proof = |entry: String| Logged { entry, leaf: LeafIndex(0), proof: Vec::new() };
        let (token, head) = (verified.token().to_owned(), TreeHead::empty());
        let record = Record::Received { from: sender, token, proof: proof(String::new()), head };
        let entry = record.write(at, &[0; 32]).entry;
        let side = &mut self.sides[1 - from];
        side.note(record, Some(verified), at);
        let node = side.party.node();
        side.receipts.push_back(Record::Receipt { node, message: id, proof: proof(entry), head });
        if self.prompt {
            self.prove(1 - from);
        }
    }

    fn prove(&mut self, from: usize) {
        let at = self.now();
        if let Some(receipt) = self.sides[from].receipts.pop_front() {
            self.sides[1 - from].note(receipt, None, at);
        }
    }

    /// All that was said is delivered, and proven.
    fn settle(&mut self) {
        for from in [0, 1] {
            while !self.sides[from].mail.is_empty() {
                self.deliver(from);
            }
        }
        for from in [0, 1] {
            while !self.sides[from].receipts.is_empty() {
                self.prove(from);
            }
        }
    }

    /// Every order in which what is left may be said and delivered; `each` sees where it ends.
    fn go_on(&self, words: [&[Word]; 2], each: &mut impl FnMut(Self)) {
        let mut over = true;
        for from in [0, 1] {
            if let Some((word, rest)) = words[from].split_first() {
                over = false;
                let mut next = self.clone();
                next.hours += 7;
                if let Some(body) = word(next.sides[from].held()) {
                    next.send(from, body);
                }
                let mut left = words;
                left[from] = rest;
                next.go_on(left, each);
            }
            if !self.sides[from].mail.is_empty() {
                over = false;
                let mut next = self.clone();
                next.hours += 7;
                next.deliver(from);
                next.go_on(words, each);
            }
        }
        if over {
            let mut end = self.clone();
            end.settle();
            each(end);
        }
    }
}

/// Try every order, and return the states that both came to.
fn every_order(opener: Body, before: &[(usize, Word)], asking: &[Word], asked: &[Word]) -> BTreeSet<State> {
    let mut ends = BTreeSet::new();
    let mut orders = 0;
    for prompt in [true, false] {
        let mut line = Line::open(opener.clone(), prompt);
        for (from, word) in before {
            let body = word(line.sides[*from].held()).expect("it is said");
            line.send(*from, body);
            line.hours += 1;
            line.deliver(*from);
        }
        line.go_on([asking, asked], &mut |end| {
            orders += 1;
            let [peru, kenya] = [end.sides[0].held(), end.sides[1].held()];
            let [here, there] = [peru.standing(), kenya.standing()];
            assert_eq!(here, there);
            assert_eq!(here.order.len(), peru.len(), "nothing waits for ever");
            let owed = |exchange: &Exchange| {
                deadline::due(exchange, &KENYA.first(), &"PER".parse().expect("a State"))
            };
            assert_eq!(owed(peru), owed(kenya));
            // Only a decision of the transit State clears, and never one that an objection or a withdrawal follows.
            if here.clears(date("2026-11-10")) {
                let decided = here.decided.and_then(|id| peru.get(&id)).expect("a decision");
                assert!(matches!(decided.message.body, Body::TransitDecision(_)));
            }
            ends.insert(here.state);
        });
    }
    assert!(orders > 4, "{orders}");
    ends
}

// Words of the State that asks.

fn withdraws(_: &Exchange) -> Option<Body> {
    Some(Body::Withdrawal(Withdrawal { reason: prose("Not needed any more.") }))
}

fn reminds(_: &Exchange) -> Option<Body> {
    Some(Body::Reminder(Reminder { due: START }))
}

fn supplies(_: &Exchange) -> Option<Body> {
    Some(Body::InformationSupply(InformationSupply { answers: vec![prose("Here.")], item: None }))
}

fn asks_what_it_means(_: &Exchange) -> Option<Body> {
    Some(Body::ClarificationRequest(ClarificationRequest { question: prose("What does it mean?") }))
}

fn concludes(_: &Exchange) -> Option<Body> {
    Some(Body::TraceOutcome(TraceOutcome {
        conclusion: Coded::Known(Conclusion::LastLegalRecordOnly),
        useful: true,
        point_of_diversion: None,
        note: None,
    }))
}

/// To the conditions that stand as far as it knows.
fn replies(exchange: &Exchange, accepted: bool) -> Option<Body> {
    let standing = exchange.standing();
    let of = standing.decided.filter(|_| standing.state == State::ConditionsOpen)?;
    Some(Body::ConditionReply(ConditionReply { of, accepted, note: None }))
}

fn accepts(exchange: &Exchange) -> Option<Body> {
    replies(exchange, true)
}

fn rejects(exchange: &Exchange) -> Option<Body> {
    replies(exchange, false)
}

// Words of the State that is asked.

fn acknowledges(_: &Exchange) -> Option<Body> {
    let (unit, expected) = (line("Tracing Centre"), None);
    Some(Body::Acknowledgement(Acknowledgement { unit, expected, note: None }))
}

fn asks_more(_: &Exchange) -> Option<Body> {
    Some(Body::InformationRequest(InformationRequest { questions: vec![prose("Which one?")] }))
}

fn answers(_: &Exchange) -> Option<Body> {
    Some(Body::TraceResponse(exported_to("CHL")))
}

fn answers_in_part(_: &Exchange) -> Option<Body> {
    Some(Body::TraceResponse(interim()))
}

fn puts_off(_: &Exchange) -> Option<Body> {
    Some(Body::TraceResponse(delayed("2026-12-01")))
}

fn refuses(_: &Exchange) -> Option<Body> {
    Some(Body::TraceResponse(refused()))
}

fn explains(_: &Exchange) -> Option<Body> {
    Some(Body::Clarification(Clarification { answer: prose("This.") }))
}

fn corrects(_: &Exchange) -> Option<Body> {
    let outcome = Outcome::Trace(response(ResultCode::NoRecord));
    Some(Body::Correction(Correction::of(outcome, prose("It was another one."))))
}

fn corrects_by_putting_off(_: &Exchange) -> Option<Body> {
    let outcome = Outcome::Trace(delayed("2026-12-24"));
    Some(Body::Correction(Correction::of(outcome, prose("A file was found."))))
}

fn has_no_objection(_: &Exchange) -> Option<Body> {
    Some(Body::TransitDecision(decision(DecisionCode::NoObjection)))
}

fn has_conditions(_: &Exchange) -> Option<Body> {
    Some(Body::TransitDecision(decision(DecisionCode::NoObjectionWithConditions)))
}

fn objects(_: &Exchange) -> Option<Body> {
    Some(Body::TransitDecision(decision(DecisionCode::Objection)))
}

fn needs_more(_: &Exchange) -> Option<Body> {
    Some(Body::TransitDecision(decision(DecisionCode::MoreInformation)))
}

fn rescinds(_: &Exchange) -> Option<Body> {
    Some(Body::TransitDecisionWithdrawal(TransitDecisionWithdrawal { reason: None }))
}

fn verifies(_: &Exchange) -> Option<Body> {
    let answer = Answer::Valid { valid_until: None };
    Some(Body::LicenceVerificationResponse(LicenceVerificationResponse { answer, note: None }))
}

fn authenticates(_: &Exchange) -> Option<Body> {
    Some(Body::AuthenticityResult(AuthenticityResult { result: Authenticity::Match, note: None }))
}

fn tells_news(exchange: &Exchange) -> Option<Body> {
    Some(Body::LicenceNotice(liaison_protocol::licence::LicenceNotice {
        licence_no: exchange.presented()?.licence_no.clone(),
        event: Coded::Known(LicenceEvent::Revoked),
        effective: date("2026-10-01"),
        note: None,
    }))
}

fn corrects_licence(_: &Exchange) -> Option<Body> {
    let outcome = Outcome::Answer(Answer::Revoked);
    Some(Body::Correction(Correction::of(outcome, prose("The register was behind."))))
}

fn trace() -> Body {
    Body::TraceRequest(trace_request())
}

fn transit() -> Body {
    Body::TransitNotification(transit_notification())
}

#[test]
fn a_withdrawal_and_the_answers_of_a_trace_cross() {
    let ends = every_order(trace(), &[], &[withdraws], &[acknowledges, answers]);
    assert_eq!(ends, BTreeSet::from([State::Closed, State::Withdrawn]));
    let ends = every_order(trace(), &[], &[withdraws], &[puts_off, refuses]);
    // Whoever saw the refusal has nothing to withdraw any more.
    assert_eq!(ends, BTreeSet::from([State::Refused, State::Withdrawn]));
    every_order(trace(), &[], &[reminds, withdraws], &[acknowledges, answers_in_part, answers]);
}

#[test]
fn a_question_for_information_and_a_withdrawal_cross() {
    let ends = every_order(trace(), &[], &[withdraws], &[asks_more, answers]);
    assert_eq!(ends, BTreeSet::from([State::Closed, State::Withdrawn]));
    let before: &[(usize, Word)] = &[(1, acknowledges), (1, asks_more)];
    let ends = every_order(trace(), before, &[supplies, withdraws], &[answers_in_part, asks_more]);
    assert_eq!(ends, BTreeSet::from([State::Withdrawn]));
    let ends = every_order(trace(), before, &[supplies, supplies], &[asks_more, puts_off]);
    assert_eq!(ends, BTreeSet::from([State::Delayed]), "what is put off does not wait for information");
}

#[test]
fn a_clarification_a_correction_and_the_outcome_cross() {
    let before: &[(usize, Word)] = &[(1, answers)];
    let ends = every_order(trace(), before, &[asks_what_it_means, concludes], &[corrects, explains]);
    assert_eq!(ends, BTreeSet::from([State::Answered, State::Closed]));
    every_order(trace(), before, &[asks_what_it_means, asks_what_it_means], &[explains, corrects, explains]);
    let ends = every_order(trace(), before, &[concludes], &[corrects_by_putting_off, refuses]);
    assert!(ends.contains(&State::Refused) && !ends.contains(&State::Withdrawn), "{ends:?}");
    every_order(trace(), before, &[withdraws, asks_what_it_means], &[corrects, corrects_by_putting_off]);
    every_order(trace(), &[(1, refuses)], &[asks_what_it_means, concludes], &[explains, corrects]);
}

#[test]
fn three_words_of_one_side_of_a_trace_and_two_of_the_other_cross() {
    let before: &[(usize, Word)] = &[(1, asks_more)];
    every_order(trace(), before, &[supplies, asks_what_it_means, concludes], &[answers, corrects]);
    every_order(trace(), before, &[supplies, concludes], &[answers, corrects, explains]);
}

#[test]
fn a_decision_the_one_that_supersedes_it_and_the_reply_to_its_conditions_cross() {
    let before: &[(usize, Word)] = &[(1, has_conditions)];
    let ends = every_order(transit(), before, &[accepts], &[has_conditions]);
    // Accepted was what stood before, or what stands now.
    assert_eq!(ends, BTreeSet::from([State::Cleared, State::ConditionsOpen]));
    let ends = every_order(transit(), before, &[accepts, rejects], &[objects, has_conditions]);
    assert_eq!(ends, BTreeSet::from([State::Blocked, State::Cleared, State::ConditionsOpen]));
    let ends = every_order(transit(), before, &[accepts], &[objects]);
    assert_eq!(ends, BTreeSet::from([State::Blocked]), "an objection stands, whatever it crossed");
    every_order(transit(), &[], &[accepts, withdraws], &[acknowledges, has_conditions, has_no_objection]);
}

#[test]
fn a_clearance_taken_back_is_taken_back_whatever_it_crosses() {
    let cleared: &[(usize, Word)] = &[(1, has_no_objection)];
    let conditions: &[(usize, Word)] = &[(1, has_conditions)];
    for before in [cleared, conditions] {
        let ends = every_order(transit(), before, &[accepts, reminds], &[rescinds]);
        assert_eq!(ends, BTreeSet::from([State::Rescinded]));
        let ends = every_order(transit(), before, &[withdraws], &[rescinds]);
        assert_eq!(ends, BTreeSet::from([State::Withdrawn]));
    }
    // Rejected first, there is no clearance to be taken back: blocked either way.
    let ends = every_order(transit(), conditions, &[rejects], &[rescinds]);
    assert_eq!(ends, BTreeSet::from([State::Blocked, State::Rescinded]));
}

#[test]
fn information_about_a_transit_and_decisions_cross() {
    let before: &[(usize, Word)] = &[(1, needs_more)];
    let ends = every_order(transit(), before, &[supplies, supplies], &[needs_more, objects]);
    assert_eq!(ends, BTreeSet::from([State::Blocked]));
    let ends = every_order(transit(), before, &[supplies, withdraws], &[has_no_objection, needs_more]);
    assert_eq!(ends, BTreeSet::from([State::Withdrawn]));
    let ends = every_order(transit(), before, &[supplies], &[has_no_objection]);
    assert_eq!(ends, BTreeSet::from([State::Cleared]));
    every_order(transit(), before, &[supplies, supplies], &[needs_more, needs_more]);
}

#[test]
fn licences_cross_as_before() {
    let ends = every_order(world::request(), &[], &[withdraws], &[acknowledges, verifies]);
    assert_eq!(ends, BTreeSet::from([State::Closed, State::Withdrawn]));
    every_order(
        world::request(),
        &[(1, verifies)],
        &[withdraws],
        &[tells_news, corrects_licence, tells_news],
    );
    let check = Body::AuthenticityCheck(AuthenticityCheck { presented: world::presented() });
    let ends = every_order(check, &[], &[withdraws, withdraws], &[authenticates, tells_news]);
    assert_eq!(ends, BTreeSet::from([State::Closed, State::Withdrawn]));
}

/// Acts of both sides, in an order that does not matter: what is not open is not done.
fn acts(decided: Option<MessageId>) -> Vec<Act> {
    let answer = |outcome| Act::Answer { outcome, note: None };
    let reason = prose("For a reason.");
    let mut acts = vec![
        Act::Acknowledge { unit: line("A unit"), expected: None, note: None },
        Act::AskClarification { question: prose("What?") },
        Act::AskInformation { questions: vec![prose("Which?")] },
        Act::Clarify { answer: prose("This.") },
        Act::Rescind { reason: None },
        Act::SupplyInformation { answers: vec![prose("Here.")], item: None },
        Act::Withdraw { reason: reason.clone() },
    ];
    for response in [delayed("2026-12-01"), exported_to("CHL"), interim(), refused()] {
        acts.push(answer(Outcome::Trace(searched(response))));
    }
    for code in DecisionCode::ALL {
        acts.push(answer(Outcome::Transit(decision(*code))));
    }
    acts.push(Act::Correct { outcome: Outcome::Trace(searched(response(ResultCode::NoRecord))), reason });
    if decided.is_some() {
        acts.extend([true, false].map(|accepted| Act::ReplyToConditions { accepted, note: None }));
    }
    acts
}

#[derive(Clone, Debug)]
enum Turn {
    /// One side does one of the acts open to it.
    Act(usize, prop::sample::Index),
    /// Mail of one side arrives.
    Deliver(usize),
    /// Proofs of one side arrive.
    Prove(usize),
    /// Time passes for both, in hours.
    Wait(u64),
}

fn turns() -> impl Strategy<Value = Turn> {
    prop_oneof![
        4 => (0..2_usize, any::<prop::sample::Index>()).prop_map(|(from, which)| Turn::Act(from, which)),
        4 => (0..2_usize).prop_map(Turn::Deliver),
        3 => (0..2_usize).prop_map(Turn::Prove),
        1 => (1_u64..400).prop_map(Turn::Wait),
    ]
}

/// Two desks, their mail and their proofs under way.
struct Talk {
    offices: [Office; 2],
    mail: [VecDeque<Verified>; 2],
    proofs: [VecDeque<(Verified, Timestamp)>; 2],
    id: MessageId,
}

impl Talk {
    fn open(question: Question) -> Self {
        let (kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
        let opener = peru.open(&kenya.us(), question).expect("complete");
        let id = opener.id();
        let mut talk =
            Self { offices: [peru, kenya], mail: Default::default(), proofs: Default::default(), id };
        talk.mail[0].push_back(opener);
        talk.deliver(0);
        talk
    }

    fn deliver(&mut self, from: usize) {
        if let Some(verified) = self.mail[from].pop_front() {
            let office = &mut self.offices[1 - from];
            office.receive(&verified).expect("what crosses is taken");
            self.proofs[1 - from].push_back((verified, office.now));
        }
    }

    fn prove(&mut self, from: usize) {
        if let Some((verified, at)) = self.proofs[from].pop_front() {
            let node = self.offices[from].us();
            self.offices[1 - from].receipt(&node, &verified, at);
        }
    }

    fn turn(&mut self, turn: &Turn) {
        match turn {
            Turn::Act(from, which) => {
                let office = &mut self.offices[*from];
                let exchange = office.exchange(&self.id);
                let peer = exchange.peer().clone();
                let order = |act| Order::Act {
                    exchange: self.id,
                    peer: peer.clone(),
                    act,
                    enclosed: Enclosed::default(),
                };
                let open: Vec<_> = acts(exchange.standing().decided)
                    .into_iter()
                    .filter(|act| office.check(&order(act.clone())).is_ok())
                    .collect();
                if !open.is_empty() {
                    let said = office.act(self.id, which.get(&open).clone()).expect("open");
                    self.mail[*from].push_back(said);
                }
            }
            Turn::Deliver(from) => self.deliver(*from),
            Turn::Prove(from) => self.prove(*from),
            Turn::Wait(hours) => {
                for from in [0, 1] {
                    // Nothing is under way for so long that it is not taken any more.
                    let now = self.offices[1 - from].now.plus(hours * 3600);
                    while self.mail[from].front().is_some_and(|mail| mail.message().accept_until < now) {
                        self.deliver(from);
                    }
                }
                for from in [0, 1] {
                    let now = self.offices[from].now.plus(hours * 3600);
                    let reminders = self.offices[from].wait(now);
                    self.mail[from].extend(reminders);
                }
            }
        }
    }

    fn settle(&mut self) {
        for from in [0, 1] {
            while !self.mail[from].is_empty() {
                self.deliver(from);
            }
        }
        for from in [0, 1] {
            while !self.proofs[from].is_empty() {
                self.prove(from);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn two_desks_come_to_the_same_and_owe_the_same(
        is_trace in any::<bool>(),
        turns in prop::collection::vec(turns(), 0..40),
    ) {
        let mut talk = Talk::open(match is_trace {
            true => Question::Trace { request: trace_request(), looked_again: true },
            false => Question::Transit { notification: transit_through_kenya() },
        });
        for turn in &turns {
            talk.turn(turn);
        }
        talk.settle();
        let [peru, kenya] = &talk.offices;
        prop_assert_eq!(peru.standing(&talk.id), kenya.standing(&talk.id));
        prop_assert_eq!(peru.due(&talk.id), kenya.due(&talk.id));
        for office in &talk.offices {
            // What is believed is a function of the log, and what is due next is on the shelf.
            let exchange = office.exchange(&talk.id);
            prop_assert_eq!(load_exchange(&office.us(), &office.shelf, &talk.id), Some(exchange.clone()));
            let next = office.due(&talk.id).filter(|due| !exchange.has_passed(*due));
            prop_assert_eq!(office.desk.next_due(&office.shelf), next.map(|due| due.at));
        }
        let standing = peru.standing(&talk.id);
        let exchange = peru.exchange(&talk.id);
        let effective = standing.order.iter().filter(|(_, effective)| *effective);
        let said = effective.filter_map(|(id, _)| exchange.get(id)).collect::<Vec<_>>();
        // A clearance is the word of the transit State, its conditions accepted.
        if standing.state == State::Cleared {
            let clears = |code| matches!(
                code,
                Coded::Known(DecisionCode::NoObjection | DecisionCode::NoObjectionWithConditions)
            );
            let by_word = said.iter().any(|said| {
                said.from == Side::Requested
                    && matches!(&said.message.body, Body::TransitDecision(body) if clears(body.decision.clone()))
            });
            prop_assert!(by_word);
        }
    }
}

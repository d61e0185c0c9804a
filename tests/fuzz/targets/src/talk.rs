//! The desk as a whole: three States that do, say, lose, repeat, reorder and forge whatever the bytes say.
//!
//! Four bytes are one step. Afterwards everything that can be delivered is: nothing was recorded twice, each desk is a
//! function of its log, and where nobody lied both sides of an exchange stand alike and owe the same by the same time.

use std::collections::BTreeSet;

use liaison_protocol::authority::{NodeId, Timestamp};
use liaison_protocol::desk::{Desk, Effect, Judgement, Shelf, load_exchange};
use liaison_protocol::entry::{Entry, Logged, Record, Staged};
use liaison_protocol::envelope::{self, Verified};
use liaison_protocol::fault::Fault;
use liaison_protocol::handling::Coded;
use liaison_protocol::licence::{Answer, Authenticity, LicenceEvent, LicenceNotice};
use liaison_protocol::merkle::{Hash, LeafIndex, TreeHead};
use liaison_protocol::message::{
    Acknowledgement, AuthenticityCheck, AuthenticityResult, Body, Clarification, ClarificationRequest,
    Correction, InformationRequest, InformationSupply, LicenceVerificationResponse, Message, MessageId,
    Outcome, Reminder, Withdrawal,
};
use liaison_protocol::operator::{Act, Enclosed, Order, Question, Rules, State};
use liaison_protocol::trace::{ResultCode, TraceOutcome};
use liaison_protocol::transit::{ConditionReply, DecisionCode, TransitDecisionWithdrawal};

use crate::office::{EVERYTHING, HOUR, Office, introduce};
use crate::samples::{
    date, decision, delayed, exported_to, interim, line, outcome, prose, refused, response, searched,
    trace_request, transit_through_kenya,
};
use crate::shelf::Memory;
use crate::world::{self, receipt_entry};

/// Most steps of one input: each may fold an exchange some times.
const MOST_STEPS: usize = 64;

/// A message under way. It may come more than once, and the proof of what became of it too.
struct Letter {
    from: usize,
    to: usize,
    verified: Verified,
    /// Whether it was made behind the back of its sender's own log.
    forged: bool,
    /// What became of it at the other side: taken at that time, or refused for good.
    decided: Option<(Timestamp, Option<Fault>)>,
    proven: bool,
}

struct Talk {
    offices: Vec<Office>,
    letters: Vec<Letter>,
    exchanges: Vec<MessageId>,
    /// States of which one lied to the other.
    lied: BTreeSet<(usize, usize)>,
}

/// What the three do, step by step, and what must hold whatever that is.
pub(crate) fn desk(bytes: &[u8]) {
    let mut talk = Talk::begin();
    for step in bytes.as_chunks::<4>().0.iter().take(MOST_STEPS) {
        talk.step(*step);
    }
    talk.settle();
    talk.nothing_happened_twice();
    talk.both_sides_stand_alike();
    talk.each_desk_is_a_function_of_its_log();
}

impl Talk {
    fn begin() -> Self {
        let mut offices = vec![
            Office::new(1, "firearms.example.ke/liaison", "KEN", EVERYTHING),
            Office::new(2, "armas.example.pe/liaison", "PER", EVERYTHING),
            Office::new(3, "rastreo.example.uy/liaison", "URY", EVERYTHING),
        ];
        let [kenya, peru, uruguay] = offices.as_mut_slice() else { unreachable!("three") };
        introduce(kenya, peru);
        introduce(peru, uruguay);
        introduce(uruguay, kenya);
        Self { offices, letters: Vec::new(), exchanges: Vec::new(), lied: BTreeSet::new() }
    }

    fn step(&mut self, [what, who, which, how]: [u8; 4]) {
        let (one, other) = self.pair(who);
        let (which, how) = (usize::from(which), usize::from(how));
        match what % 16 {
            0 | 1 => self.open(one, other, how),
            2..5 => self.act(one, which, how),
            5..8 => {
                let waiting: Vec<_> =
                    (0..self.letters.len()).filter(|at| self.letters[*at].decided.is_none()).collect();
                if !waiting.is_empty() {
                    self.deliver(waiting[which % waiting.len()]);
                }
            }
            8 if !self.letters.is_empty() => self.deliver(which % self.letters.len()),
            9 | 10 if !self.letters.is_empty() => self.prove(which % self.letters.len()),
            11 => self.wait(1 + how as u64 * how as u64 / 16),
            12 => self.reopen(one),
            13 => self.blurt(one, other, which, how),
            14 => self.lie(one, other, which, how),
            15 => self.set_rules(one, other, how),
            _ => {}
        }
    }

    fn pair(&self, who: u8) -> (usize, usize) {
        let (one, apart) = (usize::from(who) % 3, 1 + usize::from(who / 3) % 2);
        (one, (one + apart) % 3)
    }

    fn place_of(&self, verified: &Verified) -> (usize, usize) {
        let at = |node: &NodeId| {
            self.offices.iter().position(|office| office.us() == *node).expect("one of three")
        };
        (at(&verified.message().iss), at(&verified.message().aud))
    }

    fn post(&mut self, verified: Verified, forged: bool) {
        let (from, to) = self.place_of(&verified);
        if verified.message().thr.is_none() {
            self.exchanges.push(verified.id());
        }
        self.letters.push(Letter { from, to, verified, forged, decided: None, proven: false });
    }

    /// Seal what is owed and consult what is to be consulted, as a node does; both in its log.
    fn follow(&mut self, at: usize, effects: Vec<Effect>) {
        let mut owed: std::collections::VecDeque<_> = effects.into();
        while let Some(effect) = owed.pop_front() {
            let office = &mut self.offices[at];
            match effect {
                Effect::Send(_) => {
                    let sealed = office.send(&effect);
                    self.post(sealed, false);
                }
                Effect::Consult { exchange, rule, .. } => {
                    let on = office.now.date();
                    let record = match office.exchange(&exchange).presented() {
                        Some(_) => Record::Query { exchange, rule, found: None, on },
                        None => Record::Search { exchange, rule, found: None, on },
                    };
                    owed.extend(office.record(record, None));
                }
            }
        }
    }

    fn open(&mut self, one: usize, other: usize, how: usize) {
        let question = match how % 4 {
            0 => Question::Trace { request: trace_request(), looked_again: true },
            1 => Question::Transit { notification: transit_through_kenya() },
            2 => Question::Verification { presented: world::presented() },
            _ => Question::Authenticity { presented: world::presented() },
        };
        let peer = self.offices[other].us();
        if let Ok(opener) = self.offices[one].open(&peer, question) {
            self.post(opener, false);
        }
    }

    /// An exchange that this one holds.
    fn held(&self, one: usize, which: usize) -> Option<MessageId> {
        let id = *self.exchanges.get(which % self.exchanges.len().max(1))?;
        self.offices[one].desk.exchange(&self.offices[one].shelf, &id).map(|_| id)
    }

    fn act(&mut self, one: usize, which: usize, how: usize) {
        let Some(id) = self.held(one, which) else { return };
        let office = &mut self.offices[one];
        let exchange = office.exchange(&id);
        let peer = exchange.peer().clone();
        let open = exchange.standing().acts(exchange.kind(), exchange.side());
        let acts = acts();
        // The first that may be done by this side now, from there on.
        let from_there = (0..acts.len()).map(|at| &acts[(how + at) % acts.len()]);
        for act in from_there.filter(|act| open.contains(&act.name())).cloned() {
            let order = Order::Act { exchange: id, peer: peer.clone(), act, enclosed: Enclosed::default() };
            if let Ok(effects) = office.order(order) {
                assert_eq!(effects.len(), 1, "an act that may be done is one message");
                return self.follow(one, effects);
            }
        }
    }

    fn wait(&mut self, hours: u64) {
        for at in 0..self.offices.len() {
            let now = self.offices[at].now.plus(hours * HOUR);
            let reminders = self.offices[at].wait(now);
            reminders.into_iter().for_each(|reminder| self.post(reminder, false));
        }
    }

    /// The node stops and starts: what is at hand is what the shelf has.
    fn reopen(&mut self, one: usize) {
        let office = &mut self.offices[one];
        office.desk = Desk::open(office.us(), &office.shelf).expect("what the log made");
    }

    fn set_rules(&mut self, one: usize, other: usize, how: usize) {
        let on = |bit: usize| how & bit != 0;
        let rules = Rules {
            verifications: on(1),
            authenticity: on(2),
            traces: on(4),
            attempts_per_licence: 1 + (how as u32 / 8),
        };
        let node = self.offices[other].us();
        self.offices[one].rules(&node, rules);
    }

    /// Something that was not looked at before it was said, honestly sealed and in its sender's log.
    fn blurt(&mut self, one: usize, other: usize, which: usize, how: usize) {
        let bodies = bodies(self.letters.get(which).map(|letter| letter.verified.id()));
        let body = bodies[how % bodies.len()].clone();
        let exchange = if body.kind().opens() { None } else { self.held(one, which) };
        if exchange.is_none() && !body.kind().opens() {
            return;
        }
        let peer = match exchange {
            Some(id) => self.offices[one].exchange(&id).peer().clone(),
            None => self.offices[other].us(),
        };
        let sealed = self.offices[one].blurt(&peer, exchange, body);
        self.post(sealed, false);
    }

    /// Something sealed with the right key that its sender's own log knows nothing of, and that is false in itself.
    fn lie(&mut self, one: usize, other: usize, which: usize, how: usize) {
        let any = |at: usize| self.letters.get(at % self.letters.len().max(1)).map(|letter| &letter.verified);
        let bodies = bodies(any(which).map(Verified::id));
        let mut message = match any(which) {
            Some(verified) => verified.message().clone(),
            None => world::opener(&world::PERU, &world::KENYA, 1, bodies[0].clone()),
        };
        let node = |at: usize| self.offices[at].us();
        (message.iss, message.aud) = (node(one), node(other));
        message.body = bodies[how % bodies.len()].clone();
        let [first, second] = [which + 1, which + how].map(|at| any(at).map(Verified::id));
        match message.body.kind().opens() {
            true => (message.thr, message.irt, message.prev, message.saw) = (None, None, None, None),
            false => {
                message.thr = self.exchanges.get(which % self.exchanges.len().max(1)).copied().or(first);
                if message.thr.is_none() {
                    return;
                }
                (message.prev, message.saw) =
                    (first.filter(|_| how & 16 != 0), second.filter(|_| how & 32 != 0));
                message.irt = message.saw.filter(|_| how & 64 != 0);
            }
        }
        let mut jti = [0; 16];
        jti[..2].copy_from_slice(&[which as u8, how as u8]);
        message.jti = liaison_protocol::jws::encode(&jti);
        message.seq = 1 + (how as u64 / 2) % 9;
        message.log = 1 + u32::from(how.is_multiple_of(13));
        message.iat = Timestamp(self.offices[one].now.0.saturating_add_signed(how as i64 * 7 - 700));
        message.accept_until = message.iat.plus(how as u64 * HOUR);
        let forged = seal(&self.offices[one], message);
        if self.letters.iter().any(|letter| letter.verified.id() == forged.id()) {
            return; // The same lie once more is the same letter: that it comes again is another step.
        }
        self.lied.insert((one.min(other), one.max(other)));
        self.letters.push(Letter {
            from: one,
            to: other,
            verified: forged,
            forged: true,
            decided: None,
            proven: false,
        });
    }

    /// A letter comes: opened, judged, recorded or refused, as a node does it.
    fn deliver(&mut self, at: usize) {
        let Letter { from, to, ref verified, .. } = self.letters[at];
        let (token, id) = (verified.token().to_owned(), verified.id());
        let from = self.offices[from].us();
        let office = &mut self.offices[to];
        let chain = office.desk.peer(&from).expect("admitted").chain().clone();
        let opened = envelope::open(&token, &from, &chain, &office.us());
        let judged = match &opened {
            Ok(opened) => office.desk.judge(&office.shelf, opened, office.now),
            Err(fault) => Err(*fault),
        };
        let before = self.letters[at].decided;
        match (judged, opened) {
            (Ok(Judgement::Repeated(leaf)), _) => {
                assert!(before.is_some(), "seen before, and never delivered");
                assert!(office.shelf.record(leaf).is_some());
            }
            (Ok(Judgement::New), Ok(opened)) => {
                assert!(before.is_none(), "taken twice");
                let (now, proof) =
                    (office.now, Logged { entry: String::new(), leaf: LeafIndex(0), proof: Vec::new() });
                let record = Record::Received { from, token, proof, head: TreeHead::empty() };
                let effects = office.record(record, Some(opened));
                self.letters[at].decided = Some((now, None));
                self.follow(to, effects);
            }
            (Err(fault), opened) if !fault.is_passing() => {
                if office.desk.seen(&office.shelf, &from, &id).is_some() {
                    assert!(before.is_some());
                    return;
                }
                assert!(before.is_none(), "refused after it was decided");
                let (now, opened) = (office.now, opened.ok());
                let denied = office.desk.deny(&office.shelf, &from, fault, opened.as_ref(), Some(id), now);
                let denied = denied.expect("fewer than a day's");
                office.record(denied, None);
                self.letters[at].decided = Some((now, Some(fault)));
            }
            _ => {}
        }
    }

    /// The proof of what became of a letter comes back.
    fn prove(&mut self, at: usize) {
        let Letter { from, to, ref verified, forged, decided, .. } = self.letters[at];
        let Some((when, refused)) = decided.filter(|_| !forged) else { return };
        let (id, node) = (verified.id(), self.offices[to].us());
        let office = &mut self.offices[from];
        // A proof that is here already changes nothing: the node looks for its message among those that are owed.
        let owed = office.desk.peer(&node).expect("admitted").place_of(&id);
        assert_eq!(owed.is_none(), self.letters[at].proven, "owed until it is proven");
        if owed.is_some() {
            let entry = receipt_entry(&office.us(), id, refused, when).line();
            assert!(Entry::parse(&entry).is_ok());
            let proof = Logged { entry, leaf: LeafIndex(0), proof: Vec::new() };
            let record = Record::Receipt { node, message: id, proof, head: TreeHead::empty() };
            let effects = office.record(record, None);
            self.letters[at].proven = true;
            self.follow(from, effects);
        }
    }

    /// Everything that can be delivered is, in the order in which it was said, and proven.
    fn settle(&mut self) {
        loop {
            let waiting =
                |letters: &[Letter]| letters.iter().filter(|letter| letter.decided.is_none()).count();
            let before = (self.letters.len(), waiting(&self.letters));
            (0..self.letters.len())
                .filter(|at| self.letters[*at].decided.is_none())
                .collect::<Vec<_>>()
                .into_iter()
                .for_each(|at| self.deliver(at));
            (0..self.letters.len()).for_each(|at| self.prove(at));
            if before == (self.letters.len(), waiting(&self.letters)) {
                return;
            }
        }
    }

    fn records(office: &Office) -> Vec<Staged> {
        (0..).map_while(|leaf| office.shelf.record(LeafIndex(leaf))).collect()
    }

    fn nothing_happened_twice(&self) {
        for office in &self.offices {
            let (mut decided, mut receipted, mut numbers) =
                (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
            for staged in Self::records(office) {
                let fresh = match &staged.record {
                    Record::Received { from, .. } => {
                        decided.insert((from.clone(), staged.message.as_ref().map(Verified::id)))
                    }
                    Record::Denied { from, id, .. } => decided.insert((from.clone(), *id)),
                    Record::Receipt { message, .. } => receipted.insert(*message),
                    Record::Sent { to, .. } => {
                        let message = staged.message.as_ref().expect("it was read").message();
                        numbers.insert((to.clone(), message.seq))
                    }
                    _ => true,
                };
                assert!(fresh, "twice in the log of {}: {:?}", office.us(), staged.record);
            }
        }
    }

    fn both_sides_stand_alike(&self) {
        for id in &self.exchanges {
            let holds: Vec<_> = (0..self.offices.len())
                .filter(|at| self.offices[*at].desk.exchange(&self.offices[*at].shelf, id).is_some())
                .collect();
            for at in &holds {
                let office = &self.offices[*at];
                let exchange = office.exchange(id);
                assert_eq!(load_exchange(&office.us(), &office.shelf, id), Some(exchange.clone()));
                let standing = exchange.standing();
                // A transit is cleared by the word of the State that is passed through, and by nothing else.
                if standing.state == State::Cleared {
                    let said = standing.decided.and_then(|id| exchange.get(&id)).expect("a decision");
                    assert!(matches!(said.message.body, Body::TransitDecision(_)));
                }
            }
            let [one, other] = holds.as_slice() else { continue };
            let stuck = self
                .letters
                .iter()
                .any(|letter| letter.decided.is_none() && letter.verified.exchange() == *id);
            if self.lied.contains(&(*one, *other)) || stuck {
                continue;
            }
            let [here, there] = [one, other].map(|at| &self.offices[*at]);
            assert_eq!(here.standing(id), there.standing(id), "{id}");
            assert_eq!(here.due(id), there.due(id), "{id}");
        }
    }

    fn each_desk_is_a_function_of_its_log(&self) {
        for office in &self.offices {
            let mut again = Memory::default();
            let mut desk = Desk::new(office.us());
            for staged in Self::records(office) {
                let bytes = serde_json::to_vec(&staged.record).expect("string keys");
                let record = Record::parse(&bytes).expect("what we write we read");
                let staged = Staged::replayed(staged.leaf, staged.at, record).expect("what was recorded");
                again.records.push(staged.clone());
                // What was owed then is recorded behind.
                desk.apply(&mut again, &staged);
                desk.settle(&mut again);
            }
            // What has passed is taken off the shelf where it is recorded.
            for (key, row) in &again.rows {
                assert_eq!(office.shelf.get(key.0, &key.1).as_ref(), Some(row), "{:?} {:?}", key.0, key.1);
            }
            for table in again.rows.keys().map(|(table, _)| *table).collect::<BTreeSet<_>>() {
                let held = office.shelf.scan(table, &[], usize::MAX).len();
                assert_eq!(held, again.scan(table, &[], usize::MAX).len(), "{table:?}");
            }
            let reopened = Desk::open(office.us(), &office.shelf).expect("what the log made");
            for other in [&desk, &reopened] {
                assert_eq!(other.next_due(&office.shelf), office.desk.next_due(&office.shelf));
                for (node, peer) in office.desk.peers() {
                    let other = other.peer(node).expect("the same peers");
                    assert_eq!((peer.outbox(), peer.head()), (other.outbox(), other.head()));
                    assert_eq!((peer.rules(), peer.missing()), (other.rules(), other.missing()));
                    assert_eq!(
                        (peer.chain(), peer.open_exchanges()),
                        (other.chain(), other.open_exchanges())
                    );
                }
            }
        }
    }
}

fn seal(office: &Office, message: Message) -> Verified {
    envelope::seal(message, "msg-1", &office.message_key())
}

/// Acts of both sides: what is not open is not done.
pub(crate) fn acts() -> Vec<Act> {
    let answer = |outcome| Act::Answer { outcome, note: None };
    let reason = prose("For a reason.");
    let mut acts = vec![
        Act::Acknowledge { unit: line("A unit"), expected: None, note: None },
        answer(Outcome::Answer(Answer::Valid { valid_until: None })),
        Act::AskClarification { question: prose("What?") },
        answer(Outcome::Authenticity(Authenticity::Match)),
        Act::AskInformation { questions: vec![prose("Which?")] },
        Act::Clarify { answer: prose("This.") },
        Act::Conclude { outcome: outcome() },
        Act::Notify { event: LicenceEvent::Revoked, effective: date("2026-09-20"), note: None },
        Act::Rescind { reason: None },
        Act::SupplyInformation { answers: vec![prose("Here.")], item: None },
        Act::Withdraw { reason: reason.clone() },
        Act::Correct { outcome: Outcome::Answer(Answer::Revoked), reason: reason.clone() },
    ];
    for response in [delayed("2026-12-01"), exported_to("CHL"), interim(), refused()] {
        acts.push(answer(Outcome::Trace(searched(response))));
    }
    acts.extend(DecisionCode::ALL.iter().map(|code| answer(Outcome::Transit(decision(*code)))));
    acts.push(Act::Correct { outcome: Outcome::Trace(searched(response(ResultCode::NoRecord))), reason });
    acts.extend([true, false].map(|accepted| Act::ReplyToConditions { accepted, note: None }));
    acts
}

/// Bodies of every kind.
fn bodies(of: Option<MessageId>) -> Vec<Body> {
    let reason = prose("For a reason.");
    let presented = world::presented();
    let notice = LicenceNotice {
        licence_no: presented.licence_no.clone(),
        event: Coded::Known(LicenceEvent::Revoked),
        effective: date("2026-10-01"),
        note: None,
    };
    let mut bodies = vec![
        Body::TraceRequest(trace_request()),
        Body::TransitNotification(transit_through_kenya()),
        world::request(),
        Body::AuthenticityCheck(AuthenticityCheck { presented }),
        Body::Acknowledgement(Acknowledgement { unit: line("A unit"), expected: None, note: None }),
        Body::AuthenticityResult(AuthenticityResult { result: Authenticity::Match, note: None }),
        Body::Clarification(Clarification { answer: prose("This.") }),
        Body::ClarificationRequest(ClarificationRequest { question: prose("What?") }),
        Body::Correction(Correction::of(Outcome::Answer(Answer::Revoked), reason.clone())),
        Body::Correction(Correction::of(Outcome::Trace(delayed("2026-12-24")), reason.clone())),
        Body::Correction(Correction::of(Outcome::Transit(decision(DecisionCode::Objection)), reason.clone())),
        Body::InformationRequest(InformationRequest { questions: vec![prose("Which?")] }),
        Body::InformationSupply(InformationSupply { answers: vec![prose("Here.")], item: None }),
        Body::LicenceNotice(notice),
        Body::LicenceVerificationResponse(LicenceVerificationResponse {
            answer: Answer::Valid { valid_until: None },
            note: None,
        }),
        Body::Reminder(Reminder { due: world::START }),
        Body::TraceOutcome(TraceOutcome { useful: false, ..outcome() }),
        Body::TraceResponse(exported_to("CHL")),
        Body::TraceResponse(interim()),
        Body::TraceResponse(delayed("2026-12-01")),
        Body::TraceResponse(refused()),
        Body::TransitDecisionWithdrawal(TransitDecisionWithdrawal { reason: None }),
        Body::Withdrawal(Withdrawal { reason }),
    ];
    bodies.extend(DecisionCode::ALL.iter().map(|code| Body::TransitDecision(decision(*code))));
    let of = of.unwrap_or(MessageId(Hash::of(b"no message")));
    bodies.extend(
        [true, false].map(|accepted| Body::ConditionReply(ConditionReply { of, accepted, note: None })),
    );
    bodies
}

//! One exchange, two logs: whatever the order of arrival, both sides come to the same.

use liaison_protocol::authority::{By, NodeId, Timestamp};
use liaison_protocol::entry::{Logged, Record, Staged};
use liaison_protocol::envelope::{Verified, seal};
use liaison_protocol::exchange::Exchange;
use liaison_protocol::fault::Fault;
use liaison_protocol::handling::{Coded, Handling, LegalBasis};
use liaison_protocol::licence::{Answer, LicenceEvent, LicenceNotice, Presented};
use liaison_protocol::merkle::{LeafIndex, TreeHead};
use liaison_protocol::message::{
    Acknowledgement, Body, CaseRefs, Correction, LicenceVerificationRequest, LicenceVerificationResponse,
    Message, MessageId, Outcome, Withdrawal,
};
use liaison_protocol::operator::{Side, State};
use liaison_protocol::sign::SecretKey;
use liaison_tests::Dice;

/// One side: its facts in the order of its log, and what it makes of them.
struct Party {
    id: NodeId,
    facts: Vec<Staged>,
    exchange: Option<Exchange>,
    seq: u64,
    /// What it said and the other has not taken.
    mail: Vec<Verified>,
    /// What became of the other's mail, and the other does not know yet.
    receipts: Vec<Record>,
}

impl Party {
    fn new(name: &str) -> Self {
        let id = format!("firearms.example.{name}/liaison").parse().expect("a node id");
        Self { id, facts: Vec::new(), exchange: None, seq: 0, mail: Vec::new(), receipts: Vec::new() }
    }

    fn note(&mut self, record: Record, message: Option<Verified>) {
        let leaf = LeafIndex(self.facts.len() as u64);
        let staged = Staged { leaf, at: Timestamp(1_790_000_000 + leaf.0), record, message };
        match &mut self.exchange {
            Some(exchange) => exchange.add(&staged),
            None => self.exchange = Exchange::open(&self.id, &staged),
        }
        self.facts.push(staged);
    }

    fn say(&mut self, body: Body, to: &NodeId) {
        self.seq += 1;
        let last = |side: fn(Side) -> Side| self.exchange.as_ref().and_then(|e| e.last_of(side(e.side())));
        let message = Message {
            iss: self.id.clone(),
            aud: to.clone(),
            iat: Timestamp(1_790_000_000),
            accept_until: Timestamp(1_790_000_000),
            jti: "AAAAAAAAAAAAAAAAAAAAAA".into(),
            log: 1,
            seq: self.seq,
            thr: self.exchange.as_ref().map(Exchange::id),
            irt: None,
            prev: last(|side| side),
            saw: last(Side::other),
            body,
            beyond_us: false,
            handling: Handling::for_licences(LegalBasis::Article10Para2a),
            by: By::Auto { rule: "a rule".parse().expect("a line") },
            lang: "en".into(),
            case: CaseRefs::default(),
            attachments: Vec::new(),
            parts: Vec::new(),
        };
        let verified = seal(message, "msg-1", &SecretKey::from_seed(&[7; 32]));
        let record = Record::Sent { to: to.clone(), token: verified.token().to_owned() };
        self.note(record, Some(verified.clone()));
        self.mail.push(verified);
    }

    /// Take the next mail of `other`, or refuse it for good; in both cases say so.
    fn take(&mut self, other: &mut Self, refused: Option<bool>) {
        if other.mail.is_empty() {
            return;
        }
        let verified = other.mail.remove(0);
        let (id, token) = (verified.id(), verified.token().to_owned());
        let head = TreeHead::empty();
        let record = match refused {
            // Refused before it could be told where it belongs: no fact of this exchange.
            Some(is_known) => {
                let exchange = verified.message().thr.filter(|_| is_known);
                Record::Denied {
                    from: other.id.clone(),
                    fault: Fault::BodyMalformed,
                    id: Some(id),
                    exchange,
                    number: None,
                    uncounted: 0,
                }
            }
            None => {
                let proof = Logged { entry: String::new(), leaf: LeafIndex(9), proof: Vec::new() };
                Record::Received { from: other.id.clone(), token, proof, head }
            }
        };
        let entry = record.write(Timestamp(1_790_000_000), &[0; 32]).entry;
        let proof = Logged { entry, leaf: LeafIndex(9), proof: Vec::new() };
        self.receipts.push(Record::Receipt { node: self.id.clone(), message: id, proof, head });
        match refused {
            None => self.note(record, Some(verified)),
            Some(true) => self.note(record, None),
            Some(false) => {}
        }
    }

    fn hear(&mut self, other: &mut Self) {
        if !other.receipts.is_empty() {
            let record = other.receipts.remove(0);
            self.note(record, None);
        }
    }

    fn exchange(&self) -> &Exchange {
        self.exchange.as_ref().expect("it was opened")
    }
}

fn presented() -> Presented {
    Presented::number("KE-1".parse().expect("a number"))
}

fn request() -> Body {
    Body::LicenceVerificationRequest(LicenceVerificationRequest { presented: presented() })
}

fn answer() -> Body {
    let answer = Answer::Valid { valid_until: None };
    Body::LicenceVerificationResponse(LicenceVerificationResponse { answer, note: None })
}

fn withdrawal() -> Body {
    Body::Withdrawal(Withdrawal { reason: "not needed any more".parse().expect("prose") })
}

/// Anything that `side` may say, whether or not it takes effect.
fn anything(side: Side, dice: &mut Dice) -> Body {
    match (side, dice.below(5)) {
        (Side::Requesting, _) => withdrawal(),
        (Side::Requested, 0) => Body::Acknowledgement(Acknowledgement {
            unit: format!("unit {}", dice.below(9)).parse().expect("a line"),
            expected: None,
            note: None,
        }),
        (Side::Requested, 1 | 2) => answer(),
        (Side::Requested, 3) => Body::Correction(Correction {
            outcome: Outcome::Answer(Answer::Revoked),
            reason: "it was said in error".parse().expect("prose"),
        }),
        (Side::Requested, _) => Body::LicenceNotice(LicenceNotice {
            licence_no: presented().licence_no,
            event: Coded::Known(LicenceEvent::Suspended),
            effective: format!("2026-10-0{}", 1 + dice.below(9)).parse().expect("a date"),
            note: None,
        }),
    }
}

/// Peru asks Kenya, and Kenya holds the request.
fn opened() -> [Party; 2] {
    let [mut peru, mut kenya] = ["pe", "ke"].map(Party::new);
    peru.say(request(), &kenya.id.clone());
    kenya.take(&mut peru, None);
    [peru, kenya]
}

fn settle(peru: &mut Party, kenya: &mut Party) {
    for _ in 0..100 {
        peru.take(kenya, None);
        kenya.take(peru, None);
        peru.hear(kenya);
        kenya.hear(peru);
    }
}

fn conversation(dice: &mut Dice) -> [Party; 2] {
    let [mut peru, mut kenya] = opened();
    let refusals = *dice.pick(&[0, 0, 10, 40]);
    for _ in 0..dice.below(30) {
        let refused = dice.chance(refusals).then(|| dice.chance(50));
        match dice.below(10) {
            0 if dice.chance(40) => peru.say(anything(Side::Requesting, dice), &kenya.id.clone()),
            0..=2 => kenya.say(anything(Side::Requested, dice), &peru.id.clone()),
            3 | 4 => peru.take(&mut kenya, refused),
            5 | 6 => kenya.take(&mut peru, refused),
            7 => peru.hear(&mut kenya),
            _ => kenya.hear(&mut peru),
        }
    }
    settle(&mut peru, &mut kenya);
    [peru, kenya]
}

fn shuffled<'a>(facts: &'a [Staged], dice: &mut Dice) -> Vec<&'a Staged> {
    let mut these: Vec<_> = facts.iter().collect();
    for n in (1..these.len()).rev() {
        these.swap(n, dice.below(n as u64 + 1) as usize);
    }
    these
}

#[test]
fn both_sides_come_to_the_same_in_any_order_of_arrival() {
    for seed in 0..1500 {
        let mut dice = Dice::new(seed);
        let parties = conversation(&mut dice);
        let [peru, kenya] = &parties;
        assert_eq!(peru.exchange().standing(), kenya.exchange().standing(), "seed {seed}");
        for party in &parties {
            let mut again = Exchange::open(&party.id, &party.facts[0]).expect("an opener");
            // Twice over: a repetition changes nothing, and a receipt finds its message at the latest then.
            for staged in
                shuffled(&party.facts, &mut dice).into_iter().chain(shuffled(&party.facts, &mut dice))
            {
                again.add(staged);
            }
            assert_eq!(again, *party.exchange(), "seed {seed}");
            assert_eq!(again.standing(), party.exchange().standing(), "seed {seed}");
        }
    }
}

#[test]
fn nothing_waits_for_ever_for_what_was_refused() {
    for seed in 0..1500 {
        let [peru, kenya] = conversation(&mut Dice::new(seed));
        let refused = |party: &Party| {
            let is_refused = |id: &MessageId| {
                party.exchange().get(id).and_then(|said| said.receipt.as_ref()?.refused).is_some()
            };
            party.exchange().timeline().iter().filter(|said| is_refused(&said.id)).count()
        };
        for party in [&peru, &kenya] {
            let ordered = party.exchange().standing().order.len();
            assert_eq!(ordered + refused(party), party.exchange().timeline().len(), "seed {seed}");
        }
    }
}

#[test]
fn a_withdrawal_that_crosses_the_answer_comes_first_on_both_sides() {
    let [mut peru, mut kenya] = opened();
    kenya.say(answer(), &peru.id.clone());
    peru.say(withdrawal(), &kenya.id.clone());
    assert_eq!(kenya.exchange().standing().state, State::Answered);
    settle(&mut peru, &mut kenya);
    for party in [&peru, &kenya] {
        let standing = party.exchange().standing();
        assert_eq!((standing.state, standing.outcome.clone()), (State::Withdrawn, None));
    }
    // The answer is kept and shown, and has no effect.
    assert_eq!(
        peru.exchange().standing().order.iter().map(|said| said.1).collect::<Vec<_>>(),
        [true, true, false]
    );
}

#[test]
fn a_withdrawal_after_the_answer_was_seen_closes_the_exchange_on_both_sides() {
    let [mut peru, mut kenya] = opened();
    kenya.say(answer(), &peru.id.clone());
    peru.take(&mut kenya, None);
    peru.say(withdrawal(), &kenya.id.clone());
    settle(&mut peru, &mut kenya);
    for party in [&peru, &kenya] {
        assert_eq!(party.exchange().standing().state, State::Closed);
    }
}

#[test]
fn what_is_refused_is_stepped_over_by_both() {
    for is_known in [true, false] {
        let [mut peru, mut kenya] = opened();
        kenya.say(anything(Side::Requested, &mut Dice::new(0)), &peru.id.clone());
        peru.take(&mut kenya, Some(is_known));
        kenya.say(answer(), &peru.id.clone());
        settle(&mut peru, &mut kenya);
        for party in [&peru, &kenya] {
            assert_eq!(party.exchange().standing().state, State::Answered, "{is_known}");
            assert_eq!(party.exchange().standing().order.len(), 2);
        }
    }
}

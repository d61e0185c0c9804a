//! The rules of the law that the desk enforces, by their ids (R-10.5, R-13.2, R-SOV): two States' desks over shelves in
//! memory, handed each other's messages directly.

use std::collections::BTreeMap;

use liaison_protocol::authority::{By, Function, Line, NodeId, Timestamp};
use liaison_protocol::desk::{Desk, Effect, Judgement, Shelf, Table};
use liaison_protocol::entry::{Logged, Record, Staged};
use liaison_protocol::envelope::{self, Verified};
use liaison_protocol::fault::Fault;
use liaison_protocol::key_set::{
    Contact, Key, KeySet, KeyUse, LogName, Root, SignedKeySet, TransportIdentity,
};
use liaison_protocol::licence::{Answer, GoodsLine, LicenceRecord, LicenceStatus, Presented};
use liaison_protocol::merkle::{LeafIndex, TreeHead};
use liaison_protocol::message::{MessageId, Outcome};
use liaison_protocol::operator::{Act, Mistake, Opening, Order, Question, Rules, State};
use liaison_protocol::sign::SecretKey;

const NOW: Timestamp = Timestamp(1_790_000_000);

#[derive(Default)]
struct Memory {
    rows: BTreeMap<(Table, Vec<u8>), Vec<u8>>,
    records: Vec<Staged>,
}

impl Shelf for Memory {
    fn get(&self, table: Table, key: &[u8]) -> Option<Vec<u8>> {
        self.rows.get(&(table, key.to_vec())).cloned()
    }

    fn put(&mut self, table: Table, key: &[u8], row: Vec<u8>) {
        assert!(row.len() <= 1024, "rows are at most 1 KiB");
        self.rows.insert((table, key.to_vec()), row);
    }

    fn remove(&mut self, table: Table, key: &[u8]) {
        self.rows.remove(&(table, key.to_vec()));
    }

    fn scan(&self, table: Table, prefix: &[u8], limit: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
        let rows = self.rows.range((table, prefix.to_vec())..);
        let within = rows.take_while(|((of, key), _)| *of == table && key.starts_with(prefix));
        within.take(limit).map(|((_, key), row)| (key.clone(), row.clone())).collect()
    }

    fn record(&self, leaf: LeafIndex) -> Option<Staged> {
        self.records.get(leaf.0 as usize).cloned()
    }
}

/// One State: its desk, its shelf, its keys, and no network.
struct Office {
    desk: Desk,
    shelf: Memory,
    key: SecretKey,
    chain: String,
}

impl Office {
    fn new(seed: u8, node: &str, functions: &[Function]) -> Self {
        let secret = |n: u8| SecretKey::from_seed(&[seed.wrapping_mul(16) + n; 32]);
        let (root, key, log, witness) = (secret(1), secret(2), secret(3), secret(4));
        let (nbf, naf) = (Timestamp(NOW.0 - 1000), Timestamp(NOW.0 + 10_000_000));
        let listed = |kid: &str, usage, key: &SecretKey| Key {
            kid: kid.into(),
            usage,
            alg: "Ed25519".into(),
            public: key.public(),
            nbf,
            naf,
            functions: Vec::new(),
        };
        let set = KeySet {
            v: 1,
            node: node.parse().expect("a node id"),
            state: "KEN".parse().expect("a State"),
            authority: line("An authority"),
            functions: functions.to_vec(),
            version: 1,
            prev: None,
            issued: nbf,
            expires: naf,
            roots: vec![Root { kid: "root-1".into(), public: root.public() }],
            threshold: 1,
            keys: vec![
                listed("msg-1", KeyUse::Msg, &key),
                listed("log-1", KeyUse::Log, &log),
                listed("witness-1", KeyUse::Witness, &witness),
            ],
            peers: vec![TransportIdentity { peer_id: "12D3KooW".into(), nbf, naf }],
            addrs: Vec::new(),
            logs: vec![LogName { n: 1, kid: "log-1".into() }],
            revoked: Vec::new(),
            contact: Contact::default(),
        };
        let signers = [("root-1", &root), ("msg-1", &key), ("log-1", &log), ("witness-1", &witness)];
        let signed = SignedKeySet::sign(set, &signers).expect("well made");
        let us = signed.set().node.clone();
        let mut office = Self {
            desk: Desk::open(us.clone(), &Memory::default()),
            shelf: Memory::default(),
            key,
            chain: signed.json().to_owned(),
        };
        office.record(Record::KeySet { node: us, key_set: signed.json().to_owned() }, None);
        office
    }

    fn pair(kenyas: &[Function], perus: &[Function]) -> (Self, Self) {
        let mut kenya = Self::new(1, "firearms.example.ke/liaison", kenyas);
        let mut peru = Self::new(2, "armas.example.pe/liaison", perus);
        let (to_kenya, to_peru) = (peru.invitation(), kenya.invitation());
        kenya.order(to_kenya).expect("admissible");
        peru.order(to_peru).expect("admissible");
        (kenya, peru)
    }

    /// The order by which another State admits this one.
    fn invitation(&self) -> Order {
        Order::AdmitPeer { node: self.us(), key_sets: self.chain.clone(), channel: line("telephone") }
    }

    fn us(&self) -> NodeId {
        self.desk.us().clone()
    }

    fn record(&mut self, record: Record, message: Option<Verified>) -> Vec<Effect> {
        let leaf = LeafIndex(self.shelf.records.len() as u64);
        let staged = Staged { leaf, at: NOW, record, message };
        self.shelf.records.push(staged.clone());
        self.desk.apply(&mut self.shelf, &staged)
    }

    fn order(&mut self, order: Order) -> Result<Vec<Effect>, Mistake> {
        self.desk.check(&self.shelf, &order)?;
        Ok(self.record(
            Record::Order {
                order,
                by: officer(),
                key: None,
                via: "okello".parse().expect("an officer"),
                register: None,
            },
            None,
        ))
    }

    /// Seal what is owed, as the node does.
    fn send(&mut self, effect: &Effect) -> Verified {
        let Effect::Send(draft) = effect else { panic!("nothing to send: {effect:?}") };
        let to = draft.peer.clone();
        let message = self.desk.compose(&self.shelf, (**draft).clone(), 1, NOW, &[9; 16]).expect("a peer");
        let verified = envelope::seal(message, "msg-1", &self.key);
        self.record(Record::Sent { to, token: verified.token().to_owned() }, Some(verified.clone()));
        verified
    }

    fn receive(&mut self, verified: &Verified) -> Result<Vec<Effect>, Fault> {
        assert_eq!(self.desk.judge(&self.shelf, verified, NOW)?, Judgement::New);
        let proof = Logged { entry: String::new(), leaf: LeafIndex(0), proof: Vec::new() };
        let from = verified.message().iss.clone();
        let token = verified.token().to_owned();
        Ok(self
            .record(Record::Received { from, token, proof, head: TreeHead::empty() }, Some(verified.clone())))
    }

    fn ask(&mut self, peer: NodeId, presented: Presented) -> Result<Verified, Mistake> {
        let opening = Opening { question: Question::Verification, presented, case_ref: None, handling: None };
        let owed = self.order(Order::Open { peer, opening })?;
        Ok(self.send(&owed[0]))
    }

    fn act(&mut self, exchange: MessageId, act: Act) -> Result<Verified, Mistake> {
        let found = self.desk.exchange(&self.shelf, &exchange).expect("held");
        let owed = self.order(Order::Act { exchange, peer: found.peer().clone(), act })?;
        Ok(self.send(&owed[0]))
    }

    fn answer_by_rule(&mut self, peer: NodeId, attempts_per_licence: u32) {
        let rules = Rules { verifications: true, authenticity: false, attempts_per_licence };
        self.order(Order::SetRules { node: peer, rules }).expect("well formed");
    }
}

fn line(text: &str) -> Line {
    text.parse().expect("a line")
}

fn officer() -> By {
    By::Officers { prepared: "okello".parse().expect("an officer"), approved: None }
}

fn licence() -> Presented {
    let mut presented = Presented::number("KE-1".parse().expect("a number"));
    presented.issue_date = Some("2026-01-01".parse().expect("a date"));
    presented.final_recipient = Some(line("Kenya Wildlife Service"));
    presented.lines =
        vec![GoodsLine { line: 1, description: line("Rifle"), quantity: 40, unit: line("pieces") }];
    presented
}

const EVERYTHING: &[Function] = &[Function::Art13Contact];

#[test]
fn r_sov_without_a_rule_a_request_consults_nothing_and_waits_for_an_officer() {
    let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
    let asked = peru.ask(kenya.us(), licence()).expect("may ask");
    assert_eq!(kenya.receive(&asked), Ok(Vec::new()));
    let exchange = kenya.desk.exchange(&kenya.shelf, &asked.id()).expect("held");
    assert!(exchange.summary().for_officer);
    assert_eq!(exchange.standing().outcome, None);
}

#[test]
fn r_sov_a_rule_consults_the_register_about_that_licence_only_and_the_answer_names_the_rule() {
    let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
    kenya.answer_by_rule(peru.us(), 20);
    let asked = peru.ask(kenya.us(), licence()).expect("may ask");
    let owed = kenya.receive(&asked).expect("acceptable");
    let [Effect::Consult { exchange, rule, licence_no }] = owed.as_slice() else { panic!("{owed:?}") };
    assert_eq!((*exchange, licence_no), (asked.id(), &licence().licence_no));
    let found = Some(LicenceRecord { content: licence(), status: LicenceStatus::Active });
    let owed =
        kenya.record(Record::Query { exchange: *exchange, rule: rule.clone(), found, on: NOW.date() }, None);
    let answer = kenya.send(&owed[0]);
    assert_eq!(answer.message().by, By::Auto { rule: rule.clone() });
    peru.receive(&answer).expect("acceptable");
    let standing = peru.desk.exchange(&peru.shelf, &asked.id()).expect("held").standing();
    assert_eq!(standing.state, State::Answered);
    assert_eq!(standing.outcome, Some(Outcome::Answer(Answer::Valid { valid_until: None })));
}

#[test]
fn r_sov_what_is_not_understood_is_put_before_an_officer_whatever_the_rule() {
    let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
    kenya.answer_by_rule(peru.us(), 20);
    let mut handling = liaison_protocol::handling::Handling::for_licences(
        liaison_protocol::handling::LegalBasis::Article10Para2a,
    );
    handling.restrictions.push(liaison_protocol::handling::Coded::Unknown(line("EYES_ONLY_2031")));
    let opening = Opening {
        question: Question::Verification,
        presented: licence(),
        case_ref: None,
        handling: Some(handling),
    };
    let owed = peru.order(Order::Open { peer: kenya.us(), opening }).expect("may ask");
    let asked = peru.send(&owed[0]);
    assert_eq!(kenya.receive(&asked), Ok(Vec::new()));
}

#[test]
fn r_10_5_attempts_on_one_licence_are_capped_and_then_an_officer_decides() {
    let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
    kenya.answer_by_rule(peru.us(), 3);
    let mut answered = 0;
    for guess in 1..=6 {
        let mut presented = licence();
        presented.lines[0].quantity = guess;
        let asked = peru.ask(kenya.us(), presented).expect("may ask");
        answered += kenya.receive(&asked).expect("acceptable").len();
    }
    assert_eq!(answered, 3);
}

#[test]
fn r_10_5_a_number_alone_cannot_be_asked_about_nor_is_it_accepted() {
    let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
    let bare = Presented::number(licence().licence_no);
    let mistake = peru.ask(kenya.us(), bare.clone()).expect_err("not a document");
    assert!(
        mistake.to_string().contains("presented.issue_date") && mistake.to_string().contains("R-10.5"),
        "{mistake}"
    );
    // A peer that sends it all the same is refused.
    let asked = peru.ask(kenya.us(), licence()).expect("may ask");
    let mut message = asked.message().clone();
    message.body = liaison_protocol::message::Body::LicenceVerificationRequest(
        liaison_protocol::message::LicenceVerificationRequest { presented: bare },
    );
    let forged = envelope::seal(message, "msg-1", &peru.key);
    assert_eq!(kenya.receive(&forged), Err(Fault::BodyForbidden));
}

#[test]
fn r_10_5_an_officer_cannot_answer_about_a_field_that_was_not_presented() {
    let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
    let asked = peru.ask(kenya.us(), licence()).expect("may ask");
    kenya.receive(&asked).expect("acceptable");
    let differences = vec![liaison_protocol::licence::Field::PlaceOfIssue];
    let outcome = Outcome::Answer(Answer::ValidWithDifferences { differences });
    let mistake = kenya.act(asked.id(), Act::Answer { outcome, note: None }).expect_err("was not presented");
    assert!(mistake.to_string().contains("R-10.5"), "{mistake}");
}

#[test]
fn r_13_2_an_authority_sends_only_what_its_functions_cover() {
    let (kenya, mut peru) = Office::pair(EVERYTHING, &[Function::TracingCentre]);
    let mistake = peru.ask(kenya.us(), licence()).expect_err("no function for it");
    assert!(mistake.to_string().contains("R-13.2"), "{mistake}");
}

#[test]
fn r_13_2_a_message_beyond_the_senders_functions_is_refused() {
    // Peru's own node believes it may; Kenya holds the key set that says it may not.
    let (mut kenya, _) = Office::pair(EVERYTHING, &[Function::TracingCentre]);
    let (_, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
    let asked = peru.ask(kenya.us(), licence()).expect("it believes it may");
    assert_eq!(kenya.receive(&asked), Err(Fault::FunctionMissing));
}

#[test]
fn a_crossing_withdrawal_and_answer_end_the_same_on_both_sides() {
    let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
    let asked = peru.ask(kenya.us(), licence()).expect("may ask");
    kenya.receive(&asked).expect("acceptable");
    let reason = "No longer needed.".parse().expect("a text");
    let withdrawal = peru.act(asked.id(), Act::Withdraw { reason }).expect("open to it");
    let outcome = Outcome::Answer(Answer::Revoked);
    let answer = kenya.act(asked.id(), Act::Answer { outcome, note: None }).expect("open to it");
    kenya.receive(&withdrawal).expect("recorded, though it crossed");
    peru.receive(&answer).expect("recorded, though it crossed");
    let here = kenya.desk.exchange(&kenya.shelf, &asked.id()).expect("held").standing();
    let there = peru.desk.exchange(&peru.shelf, &asked.id()).expect("held").standing();
    assert_eq!((here.state, &here.outcome, &here.order), (there.state, &there.outcome, &there.order));
    assert_eq!(here.state, State::Withdrawn);
}

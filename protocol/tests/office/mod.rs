//! A State's desk over a shelf in memory, with its keys and no network: two of them are handed each other's messages
//! directly.
#![allow(dead_code, reason = "each test uses a part of it")]

use liaison_protocol::attachment;
use liaison_protocol::authority::{By, Function, Line, NodeId, Timestamp};
use liaison_protocol::deadline::Due;
use liaison_protocol::desk::{Desk, Draft, Effect, Judgement};
use liaison_protocol::entry::{Logged, Record, Staged};
use liaison_protocol::envelope::{self, Verified};
use liaison_protocol::exchange::Exchange;
use liaison_protocol::fault::Fault;
use liaison_protocol::handling::Handling;
use liaison_protocol::key_set::{
    Contact, Key, KeyChain, KeySet, KeyUse, LogName, Root, SignedKeySet, TransportIdentity,
};
use liaison_protocol::merkle::{LeafIndex, TreeHead};
use liaison_protocol::message::{Body, MessageId};
use liaison_protocol::operator::{Act, Enclosed, Mistake, Opening, Order, Question, Rules};
use liaison_protocol::sign::SecretKey;
use liaison_protocol::standing::Standing;

use crate::shelf::Memory;

/// When everything starts: Monday 2026-09-21 14:13:20Z.
pub(crate) const NOW: Timestamp = Timestamp(1_790_000_000);
pub(crate) const HOUR: u64 = 3600;
pub(crate) const DAY: u64 = 24 * HOUR;
/// The functions of an Art. 13 contact point: it may send everything.
pub(crate) const EVERYTHING: &[Function] = &[Function::Art13Contact];

/// One State.
pub(crate) struct Office {
    pub(crate) desk: Desk,
    pub(crate) shelf: Memory,
    pub(crate) now: Timestamp,
    pub(crate) seed: u8,
    pub(crate) chain: KeyChain,
    sealed: u64,
}

fn secret(seed: u8, n: u8) -> SecretKey {
    SecretKey::from_seed(&[seed.wrapping_mul(16) + n; 32])
}

impl Office {
    pub(crate) fn new(seed: u8, node: &str, state: &str, functions: &[Function]) -> Self {
        Self::with(seed, node, state, functions, |_| ())
    }

    /// One whose key set says something more.
    pub(crate) fn with(
        seed: u8,
        node: &str,
        state: &str,
        functions: &[Function],
        change: impl FnOnce(&mut KeySet),
    ) -> Self {
        let (nbf, naf) = (Timestamp(NOW.0 - 1000), Timestamp(NOW.0 + 30_000_000));
        let listed = |kid: &str, usage, n| Key {
            kid: kid.into(),
            usage,
            alg: "Ed25519".into(),
            public: secret(seed, n).public(),
            nbf,
            naf,
            functions: Vec::new(),
        };
        let mut set = KeySet {
            v: 1,
            node: node.parse().expect("a node id"),
            state: state.parse().expect("a State"),
            authority: line("An authority"),
            functions: functions.to_vec(),
            version: 1,
            prev: None,
            issued: nbf,
            expires: naf,
            roots: vec![Root { kid: "root-1".into(), public: secret(seed, 1).public() }],
            threshold: 1,
            keys: vec![
                listed("msg-1", KeyUse::Msg, 2),
                listed("log-1", KeyUse::Log, 3),
                listed("witness-1", KeyUse::Witness, 4),
            ],
            peers: vec![TransportIdentity { peer_id: format!("12D3KooW-{seed}"), nbf, naf }],
            addrs: Vec::new(),
            logs: vec![LogName { n: 1, kid: "log-1".into() }],
            revoked: Vec::new(),
            contact: Contact::default(),
            calendar: None,
            targets: Vec::new(),
        };
        change(&mut set);
        let signed = sign(seed, set);
        let us = signed.set().node.clone();
        let mut office = Self {
            desk: Desk::new(us.clone()),
            shelf: Memory::default(),
            now: NOW,
            seed,
            chain: KeyChain::start(signed.clone()).expect("version 1"),
            sealed: 0,
        };
        office.record(Record::KeySet { node: us, key_set: signed.json().to_owned() }, None);
        office
    }

    /// Kenya and Peru, each of whom has admitted the other.
    pub(crate) fn pair(kenyas: &[Function], perus: &[Function]) -> (Self, Self) {
        let mut kenya = Self::new(1, "firearms.example.ke/liaison", "KEN", kenyas);
        let mut peru = Self::new(2, "armas.example.pe/liaison", "PER", perus);
        introduce(&mut kenya, &mut peru);
        (kenya, peru)
    }

    /// The order by which another State admits this one.
    pub(crate) fn invitation(&self) -> Order {
        Order::AdmitPeer { node: self.us(), key_sets: self.chain.file(), channel: line("telephone") }
    }

    pub(crate) fn us(&self) -> NodeId {
        self.desk.us().clone()
    }

    /// The key it seals with.
    pub(crate) fn message_key(&self) -> SecretKey {
        secret(self.seed, 2)
    }

    pub(crate) fn record(&mut self, record: Record, message: Option<Verified>) -> Vec<Effect> {
        let leaf = LeafIndex(self.shelf.records.len() as u64);
        let staged = Staged { leaf, at: self.now, record, message };
        self.shelf.records.push(staged.clone());
        let effects = self.desk.apply(&mut self.shelf, &staged);
        self.desk.settle(&mut self.shelf);
        effects
    }

    pub(crate) fn check(&self, order: &Order) -> Result<(), Mistake> {
        self.desk.check(&self.shelf, order, self.now)
    }

    pub(crate) fn order(&mut self, order: Order) -> Result<Vec<Effect>, Mistake> {
        self.check(&order)?;
        Ok(self.obey(order))
    }

    /// What is ordered is done, whether or not it may be.
    fn obey(&mut self, order: Order) -> Vec<Effect> {
        let (by, via) = (officer(), "okello".parse().expect("an officer"));
        self.record(Record::Order { order, by, key: None, via, register: None }, None)
    }

    /// Seal what is owed, as the node does.
    pub(crate) fn send(&mut self, effect: &Effect) -> Verified {
        let Effect::Send(draft) = effect else { panic!("nothing to send: {effect:?}") };
        self.seal((**draft).clone())
    }

    /// Seal and record a draft, whether or not it may be sent.
    pub(crate) fn seal(&mut self, mut draft: Draft) -> Verified {
        self.sealed += 1;
        let mut jti = [self.seed; 16];
        jti[..8].copy_from_slice(&self.sealed.to_be_bytes());
        let to = draft.peer.clone();
        let salt = |n: usize| [n as u8; attachment::SALT_LEN];
        let persons = std::mem::take(&mut draft.enclosed.persons).into_iter().enumerate();
        let parts: Vec<_> = persons.map(|(n, person)| attachment::write_part(person, &salt(n))).collect();
        draft.enclosed.parts.extend(parts.iter().map(|(_, digest)| *digest));
        let message = self.desk.compose(&self.shelf, draft, 1, self.now, &jti).expect("an admitted peer");
        let verified = envelope::seal(message, "msg-1", &self.message_key());
        self.record(Record::Sent { to, token: verified.token().to_owned() }, Some(verified.clone()));
        for (text, _) in parts {
            self.record(Record::Part { of: verified.id(), exchange: verified.exchange(), text }, None);
        }
        verified
    }

    /// What a hostile or careless node would send: nothing of it is checked.
    pub(crate) fn blurt(&mut self, peer: &NodeId, exchange: Option<MessageId>, body: Body) -> Verified {
        self.seal(Draft {
            peer: peer.clone(),
            exchange,
            irt: None,
            body,
            handling: Handling::for_traces(),
            by: officer(),
            case_ref: None,
            enclosed: Enclosed::default(),
        })
    }

    pub(crate) fn receive(&mut self, verified: &Verified) -> Result<Vec<Effect>, Fault> {
        let from = verified.message().iss.clone();
        let chain = self.desk.peer(&from).ok_or(Fault::IssuerMismatch)?.chain().clone();
        let verified = envelope::open(verified.token(), &from, &chain, &self.us())?;
        assert_eq!(self.desk.judge(&self.shelf, &verified, self.now)?, Judgement::New);
        let proof = Logged { entry: String::new(), leaf: LeafIndex(0), proof: Vec::new() };
        let token = verified.token().to_owned();
        Ok(self.record(Record::Received { from, token, proof, head: TreeHead::empty() }, Some(verified)))
    }

    /// Take a message of `other`'s, and give the proof of it.
    pub(crate) fn take(&mut self, other: &mut Self, verified: &Verified) -> Vec<Effect> {
        let effects = self.receive(verified).expect("acceptable");
        other.receipt(&self.us(), verified, self.now);
        effects
    }

    /// The other node's proof that it took a message of ours at a time of its log.
    pub(crate) fn receipt(&mut self, node: &NodeId, verified: &Verified, at: Timestamp) {
        let proof = Logged { entry: String::new(), leaf: LeafIndex(0), proof: Vec::new() };
        let (from, token, head) = (self.us(), verified.token().to_owned(), TreeHead::empty());
        let entry = Record::Received { from, token, proof, head }.write(at, &[0; 32]).entry;
        let proof = Logged { entry, leaf: LeafIndex(0), proof: Vec::new() };
        self.record(Record::Receipt { node: node.clone(), message: verified.id(), proof, head }, None);
    }

    pub(crate) fn open(&mut self, peer: &NodeId, question: Question) -> Result<Verified, Mistake> {
        self.open_with(peer, question, Enclosed::default())
    }

    pub(crate) fn open_with(
        &mut self,
        peer: &NodeId,
        question: Question,
        enclosed: Enclosed,
    ) -> Result<Verified, Mistake> {
        let opening = Opening { question, case_ref: None, handling: None, enclosed };
        let owed = self.order(Order::Open { peer: peer.clone(), opening })?;
        Ok(self.send(&owed[0]))
    }

    pub(crate) fn act(&mut self, exchange: MessageId, act: Act) -> Result<Verified, Mistake> {
        let peer = self.exchange(&exchange).peer().clone();
        let owed = self.order(Order::Act { exchange, peer, act, enclosed: Enclosed::default() })?;
        Ok(self.send(&owed[0]))
    }

    /// Act as an older or a careless node may, which looks at nothing before it speaks.
    pub(crate) fn act_unchecked(&mut self, exchange: MessageId, act: Act) -> Verified {
        let peer = self.exchange(&exchange).peer().clone();
        let owed = self.obey(Order::Act { exchange, peer, act, enclosed: Enclosed::default() });
        self.send(&owed[0])
    }

    pub(crate) fn rules(&mut self, node: &NodeId, rules: Rules) {
        self.order(Order::SetRules { node: node.clone(), rules }).expect("well formed");
    }

    pub(crate) fn exchange(&self, id: &MessageId) -> Exchange {
        std::sync::Arc::unwrap_or_clone(self.desk.exchange(&self.shelf, id).expect("held"))
    }

    pub(crate) fn standing(&self, id: &MessageId) -> Standing {
        self.exchange(id).standing().clone()
    }

    pub(crate) fn due(&self, id: &MessageId) -> Option<Due> {
        let exchange = self.exchange(id);
        self.desk.due_of(&exchange)
    }

    /// Time passes to `now`: what has passed without what was owed is recorded, and reminders are sealed.
    pub(crate) fn wait(&mut self, now: Timestamp) -> Vec<Verified> {
        self.now = now;
        let mut sent = Vec::new();
        for record in self.desk.passed(&mut self.shelf, now, 100) {
            let effects = self.record(record, None);
            sent.extend(effects.iter().map(|effect| self.send(effect)));
        }
        sent
    }
}

/// Each admits the other.
pub(crate) fn introduce(one: &mut Office, other: &mut Office) {
    one.order(other.invitation()).expect("admissible");
    other.order(one.invitation()).expect("admissible");
}

/// Sign a key set with the keys of the office of that seed.
pub(crate) fn sign(seed: u8, set: KeySet) -> SignedKeySet {
    let [root, key, log, witness] = [1, 2, 3, 4].map(|n| secret(seed, n));
    let signers = [("root-1", &root), ("msg-1", &key), ("log-1", &log), ("witness-1", &witness)];
    SignedKeySet::sign(set, &signers).expect("well made")
}

pub(crate) fn line(text: &str) -> Line {
    text.parse().expect("a line")
}

pub(crate) fn officer() -> By {
    By::Officers { prepared: "okello".parse().expect("an officer"), approved: None }
}

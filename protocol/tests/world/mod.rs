//! Four States with fixed keys, and a desk in memory: what the vectors and the examples are made of and held against.
//!
//! Every key is the Ed25519 key of the seed `SHA-256("liaison vectors <domain> <key name>")`, so anyone can make them
//! again. Nothing here is secret, and no node must ever use such a key.
#![allow(dead_code, reason = "each test uses a part of it")]

use liaison_protocol::authority::{By, Function, NodeId, Timestamp};
use liaison_protocol::deadline::{Day, Owing, Span, Target, WorkingCalendar};
use liaison_protocol::desk::{Desk, Effect, Judgement};
use liaison_protocol::entry::{Entry, Logged, Record, SALT_LEN, Staged};
use liaison_protocol::envelope::{self, Verified};
use liaison_protocol::fault::Fault;
use liaison_protocol::handling::{Handling, LegalBasis};
use liaison_protocol::jws::{self, Header};
use liaison_protocol::key_set::{
    Contact, Key, KeyChain, KeySet, KeyUse, LogName, Root, SignedKeySet, TransportIdentity,
};
use liaison_protocol::licence::{GoodsLine, LicenceKind, Presented};
use liaison_protocol::merkle::{Hash, LeafIndex, TreeHead};
use liaison_protocol::message::{Body, CaseRefs, Kind, LicenceVerificationRequest, Message, MessageId};
use liaison_protocol::operator::Order;
use liaison_protocol::sign::SecretKey;
use liaison_protocol::trace::Urgency;

use crate::shelf::Memory;

/// When everything starts: 2026-09-21 14:13:20Z.
pub(crate) const START: Timestamp = Timestamp(1_790_000_000);
pub(crate) const DAY: u64 = 24 * 3600;
pub(crate) const YEAR: u64 = 365 * DAY;

/// One State of the cast.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Party {
    pub(crate) short: &'static str,
    pub(crate) domain: &'static str,
    pub(crate) state: &'static str,
    pub(crate) authority: &'static str,
    pub(crate) functions: &'static [Function],
}

/// Imports: is asked about its import licences.
pub(crate) const KENYA: Party = Party {
    short: "ke",
    domain: "firearms.example.ke",
    state: "KEN",
    authority: "National Firearms Bureau",
    functions: &[Function::Art13Contact],
};
/// Exports: asks.
pub(crate) const PERU: Party = Party {
    short: "pe",
    domain: "armas.example.pe",
    state: "PER",
    authority: "Superintendencia de Control de Armas",
    functions: &[Function::ExportLicensing, Function::ImportLicensing],
};
/// May only check documents at the border.
pub(crate) const CHILE: Party = Party {
    short: "cl",
    domain: "aduana.example.cl",
    state: "CHL",
    authority: "Servicio Nacional de Aduanas",
    functions: &[Function::Customs],
};

/// Traces firearms and lets shipments pass; says when it works, and how long it takes.
pub(crate) const URUGUAY: Party = Party {
    short: "uy",
    domain: "rastreo.example.uy",
    state: "URY",
    authority: "Servicio de Material y Armamento",
    functions: &[Function::TracingCentre, Function::TransitAuthority],
};

/// Three hours behind UTC, closed on Saturday, Sunday and two holidays.
pub(crate) fn calendar() -> WorkingCalendar {
    WorkingCalendar {
        utc_offset_minutes: -180,
        weekend: vec![Day::Saturday, Day::Sunday],
        holidays: ["2026-10-12", "2026-11-02"].map(|day| day.parse().expect("a date")).to_vec(),
    }
}

/// Acknowledges traces within two working days, Kenya's urgent ones within twelve hours.
pub(crate) fn targets() -> Vec<Target> {
    let target = |within, urgency, with: &[&str]| Target {
        owing: Owing::Acknowledgement,
        kind: Kind::TraceRequest,
        urgency,
        within,
        with: with.iter().map(|state| state.parse().expect("a State")).collect(),
    };
    vec![target(Span::WorkingDays(2), None, &[]), target(Span::Hours(12), Some(Urgency::Urgent), &["KEN"])]
}

impl Party {
    pub(crate) fn node(&self) -> NodeId {
        format!("{}/liaison", self.domain).parse().expect("a node id")
    }

    pub(crate) fn secret(&self, name: &str) -> SecretKey {
        let seed = Hash::of(format!("liaison vectors {} {name}", self.domain).as_bytes());
        SecretKey::from_seed(seed.as_bytes())
    }

    pub(crate) fn key(&self, name: &str, usage: KeyUse) -> Key {
        Key {
            kid: name.into(),
            usage,
            alg: jws::ALGORITHM.into(),
            public: self.secret(name).public(),
            nbf: START,
            naf: START.plus(2 * YEAR),
            functions: Vec::new(),
        }
    }

    /// What version 1 says; 2 of 3 roots.
    pub(crate) fn first(&self) -> KeySet {
        let root = |n: u8| {
            let kid = format!("root-{n}");
            Root { public: self.secret(&kid).public(), kid }
        };
        KeySet {
            v: 1,
            node: self.node(),
            state: self.state.parse().expect("a State"),
            authority: self.authority.parse().expect("a line"),
            functions: self.functions.to_vec(),
            version: 1,
            prev: None,
            issued: START,
            expires: START.plus(YEAR),
            roots: vec![root(1), root(2), root(3)],
            threshold: 2,
            keys: vec![
                self.key("msg-1", KeyUse::Msg),
                self.key("log-1", KeyUse::Log),
                self.key("witness-1", KeyUse::Witness),
            ],
            peers: vec![TransportIdentity {
                peer_id: format!("12D3KooW-{}", self.short),
                nbf: START,
                naf: START.plus(2 * YEAR),
            }],
            addrs: vec![format!("/dns4/{}/tcp/4710", self.domain)],
            logs: vec![LogName { n: 1, kid: "log-1".into() }],
            revoked: Vec::new(),
            contact: Contact::default(),
            calendar: (self.short == URUGUAY.short).then(calendar),
            targets: if self.short == URUGUAY.short { targets() } else { Vec::new() },
        }
    }

    /// The version after `before`, changed by `change`.
    pub(crate) fn after(&self, before: &SignedKeySet, change: impl FnOnce(&mut KeySet)) -> KeySet {
        let mut next = before.set().clone();
        next.version += 1;
        next.prev = Some(before.digest());
        next.issued = before.set().issued.plus(30 * DAY);
        next.expires = next.issued.plus(YEAR);
        change(&mut next);
        next
    }

    pub(crate) fn sign(&self, set: KeySet, signers: &[&str]) -> SignedKeySet {
        let secrets: Vec<_> = signers.iter().map(|name| (*name, self.secret(name))).collect();
        let signers: Vec<_> = secrets.iter().map(|(name, key)| (*name, key)).collect();
        SignedKeySet::sign(set, &signers).expect("a good key set")
    }

    pub(crate) fn signed(&self) -> SignedKeySet {
        self.sign(self.first(), &["root-1", "root-2", "msg-1", "log-1", "witness-1"])
    }

    pub(crate) fn chain(&self) -> KeyChain {
        KeyChain::start(self.signed()).expect("version 1")
    }

    pub(crate) fn seal(&self, message: Message) -> Verified {
        envelope::seal(message, "msg-1", &self.secret("msg-1"))
    }

    /// Whatever header and payload, sealed with the message key.
    pub(crate) fn seal_raw(&self, header: &str, payload: &str) -> String {
        let input = format!("{}.{}", jws::encode(header.as_bytes()), jws::encode(payload.as_bytes()));
        let signature = self.secret("msg-1").sign(input.as_bytes());
        format!("{input}.{}", jws::encode(&signature))
    }

    pub(crate) fn header(&self, kind: &str) -> Header {
        Header::new(envelope::TYP, format!("liaison.{kind}.v1+json"), format!("{}#msg-1", self.node()))
    }
}

pub(crate) fn presented() -> Presented {
    let mut presented = Presented::number("KE-IMP 2026/0042".parse().expect("a number"));
    presented.licence_kind = Some(LicenceKind::Import);
    presented.issue_date = Some("2026-03-01".parse().expect("a date"));
    presented.final_recipient = Some("Kenya Wildlife Service".parse().expect("a line"));
    presented.lines = vec![GoodsLine {
        line: 1,
        description: "Rifle, bolt action, .308".parse().expect("a line"),
        quantity: 40,
        unit: "pieces".parse().expect("a line"),
    }];
    presented
}

pub(crate) fn request() -> Body {
    Body::LicenceVerificationRequest(LicenceVerificationRequest { presented: presented() })
}

/// A message that opens an exchange, `n` seconds after the start and with number `n`.
pub(crate) fn opener(from: &Party, to: &Party, n: u64, body: Body) -> Message {
    let digest = Hash::of(format!("{} {} {n}", from.short, to.short).as_bytes());
    Message {
        iss: from.node(),
        aud: to.node(),
        iat: START.plus(n),
        accept_until: START.plus(n + 30 * DAY),
        jti: jws::encode(&digest.as_bytes()[..16]),
        log: 1,
        seq: n,
        thr: None,
        irt: None,
        prev: None,
        saw: None,
        body,
        beyond_us: false,
        handling: Handling::for_licences(LegalBasis::Article10Para2a),
        by: By::Officers { prepared: "officer-17".parse().expect("an officer"), approved: None },
        lang: "en".into(),
        case: CaseRefs::default(),
        attachments: Vec::new(),
        parts: Vec::new(),
    }
}

/// A message in the exchange that `thread` opened.
pub(crate) fn follow(
    from: &Party,
    to: &Party,
    n: u64,
    thread: MessageId,
    [prev, saw]: [Option<MessageId>; 2],
    body: Body,
) -> Message {
    Message { thr: Some(thread), irt: saw, prev, saw, ..opener(from, to, n, body) }
}

/// The octets of a payload, as the code writes them.
pub(crate) fn payload_of(verified: &Verified) -> String {
    let part = verified.token().split('.').nth(1).expect("three parts");
    String::from_utf8(jws::decode(part).expect("base64url")).expect("JSON")
}

/// A desk with its shelf and the log behind it, in memory.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) us: NodeId,
    pub(crate) desk: Desk,
    pub(crate) shelf: Memory,
    pub(crate) now: Timestamp,
}

impl House {
    pub(crate) fn new(us: NodeId) -> Self {
        Self { desk: Desk::new(us.clone()), us, shelf: Memory::default(), now: START.plus(DAY) }
    }

    /// A house of `us` that has admitted the other States of the cast.
    pub(crate) fn of(us: &Party) -> Self {
        let mut house = Self::new(us.node());
        house.record(Record::KeySet { node: us.node(), key_set: us.chain().file() }, None);
        for peer in [KENYA, PERU, CHILE, URUGUAY].iter().filter(|peer| peer.node() != us.node()) {
            house.admit(&peer.chain());
        }
        house
    }

    pub(crate) fn record(&mut self, record: Record, message: Option<Verified>) -> Vec<Effect> {
        let leaf = LeafIndex(self.shelf.records.len() as u64);
        let staged = Staged { leaf, at: self.now, record, message };
        self.shelf.records.push(staged.clone());
        let effects = self.desk.apply(&mut self.shelf, &staged);
        self.desk.settle(&mut self.shelf);
        effects
    }

    pub(crate) fn order(&mut self, order: Order) -> Vec<Effect> {
        let by = By::Officers { prepared: "officer-1".parse().expect("an officer"), approved: None };
        self.record(
            Record::Order {
                order,
                by,
                key: None,
                via: "officer".parse().expect("an officer"),
                register: None,
            },
            None,
        )
    }

    pub(crate) fn admit(&mut self, chain: &KeyChain) {
        let (node, key_sets) = (chain.current().node.clone(), chain.file());
        self.order(Order::AdmitPeer { node, key_sets, channel: "in person".parse().expect("a line") });
    }

    /// A message of ours goes out.
    pub(crate) fn send(&mut self, token: &str) -> MessageId {
        let verified = envelope::assume_recorded(token).expect("ours");
        let (id, to) = (verified.id(), verified.message().aud.clone());
        self.record(Record::Sent { to, token: token.into() }, Some(verified));
        id
    }

    /// A message of a peer's comes: opened, judged, recorded or refused, as a node does it.
    pub(crate) fn deliver(&mut self, from: &NodeId, token: &str) -> Result<Judgement, Fault> {
        let chain = self.desk.peer(from).ok_or(Fault::IssuerMismatch)?.chain().clone();
        let opened = envelope::open(token, from, &chain, &self.us);
        let judged = match &opened {
            Ok(verified) => self.desk.judge(&self.shelf, verified, self.now),
            Err(fault) => Err(*fault),
        };
        match (judged, opened) {
            (Ok(Judgement::New), Ok(verified)) => {
                let proof = Logged { entry: String::new(), leaf: LeafIndex(0), proof: Vec::new() };
                let (from, head) = (from.clone(), TreeHead::empty());
                self.record(Record::Received { from, token: token.into(), proof, head }, Some(verified));
            }
            (Err(fault), opened) if !fault.is_passing() => {
                let (id, verified) = (envelope::id_of(token), opened.ok());
                let deny = self.desk.deny(&self.shelf, from, fault, verified.as_ref(), id, self.now);
                if let Some(record) = deny {
                    self.record(record, None);
                }
            }
            _ => {}
        }
        judged
    }

    /// The other side's proof for a message of ours: taken, or refused for good.
    pub(crate) fn receipt(&mut self, from: &NodeId, message: MessageId, refused: Option<Fault>) {
        let entry = receipt_entry(&self.us, message, refused, self.now);
        let proof = Logged { entry: entry.line(), leaf: LeafIndex(0), proof: Vec::new() };
        let (node, head) = (from.clone(), TreeHead::empty());
        self.record(Record::Receipt { node, message, proof, head }, None);
    }
}

/// The entry with which a peer's log speaks of a message of `us`.
pub(crate) fn receipt_entry(us: &NodeId, message: MessageId, refused: Option<Fault>, at: Timestamp) -> Entry {
    let from = us.clone();
    let record = Record::Denied {
        from,
        fault: refused.unwrap_or(Fault::Expired),
        id: Some(message),
        exchange: None,
        number: None,
        uncounted: 0,
    };
    let mut entry = Entry::parse(&record.write(at, &[7; SALT_LEN]).entry).expect("ours");
    if refused.is_none() {
        entry.k = liaison_protocol::entry::EntryKind::MessageReceived;
        entry.f = None;
        entry.h = Some(TreeHead { size: 3, root: Hash::of(b"a head of ours") });
    }
    entry
}

//! A State that lies: it has its real keys, its real log and its place in the network, and says what it likes.

use std::fs;
use std::path::Path;
use std::time::Duration;

use liaison_node::disk::Folder;
use liaison_node::keys::Keys;
use liaison_node::log::{Log, Place};
use liaison_node::peers::{self, Event, Network, PeerAddress, TransportKey};
use liaison_node::serve::clock;
use liaison_protocol::authority::{By, NodeId};
use liaison_protocol::entry::{Logged, Record};
use liaison_protocol::envelope::{self, Verified};
use liaison_protocol::handling::{Handling, LegalBasis};
use liaison_protocol::jws;
use liaison_protocol::key_set::KeyChain;
use liaison_protocol::mail::{self, Mail, MailReply, Posted};
use liaison_protocol::merkle::{LeafIndex, consistency_proof};
use liaison_protocol::message::{CaseRefs, MAX_ACCEPT, Message};
use liaison_protocol::note::{self, AddCheckpoint, Checkpoint, SignedNote};
use liaison_protocol::operator::{NodeView, Opening};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::processes::House;
use crate::proxy::Proxy;

/// How long an honest node may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// The liar, and the one peer it talks to.
pub struct Liar {
    /// Receipts that the peer gave it, in the order they came.
    pub receipts: Vec<Logged>,
    /// The size of its log that the peer holds, as far as it told.
    held: u64,
    us: NodeId,
    peer: NodeId,
    keys: Keys,
    log: Log<Folder>,
    network: Network,
    events: mpsc::Receiver<Event>,
    runtime: Runtime,
    _data: TempDir,
}

impl Liar {
    /// Whoever holds a copy of the folder of `house` may be this. `house` itself does not run; its folder is left alone.
    pub fn with_copy_of(house: &House, peer: &House) -> Self {
        Self::reaching(house, peer, None)
    }

    /// The same, but it reaches its peer through `proxy`.
    pub fn reaching(house: &House, peer: &House, proxy: Option<&Proxy>) -> Self {
        let data = tempfile::tempdir().expect("a folder for the test");
        copy(&house.at("data"), data.path());
        let keys = Keys::read(&house.at("keys")).expect("init made them");
        let us: NodeId = house.node.parse().expect("a node id");
        let place = Place { folder: "log1".into(), origin: us.log_origin(1), key: keys.log.key.public() };
        let (log, _) = Log::open(Folder::new(data.path()), place).expect("a sound copy");

        let NodeView { key_sets, .. } = peer.api().get("/v1/node");
        let chain = KeyChain::parse(&key_sets).expect("the node shows its key sets");
        let set = chain.current();
        let runtime = Runtime::new().expect("threads");
        let (mail, events) = mpsc::channel(64);
        let settings = peers::Settings {
            identity: TransportKey::new(keys.transport.key.seed()),
            listen: Vec::new(),
            max_request: mail::MAX_MAIL,
            max_response: mail::MAX_REPLY,
            request_timeout: PATIENCE,
            idle_timeout: PATIENCE,
        };
        let network = runtime
            .block_on(peers::start(settings, mail, mpsc::unbounded_channel().0))
            .expect("a network of its own");
        network.admit(vec![PeerAddress {
            node: set.node.clone(),
            peer_ids: set.peers.iter().map(|identity| identity.peer_id.clone()).collect(),
            addrs: match proxy {
                Some(proxy) => vec![proxy.address()],
                None => set.addrs.clone(),
            },
        }]);
        let (peer, receipts) = (set.node.clone(), Vec::new());
        Self { receipts, held: 0, us, peer, keys, log, network, events, runtime, _data: data }
    }

    /// Entries in its log.
    pub fn log_size(&self) -> u64 {
        self.log.checkpoint().head().size
    }

    /// A message that opens an exchange, under any number, entered in the log as it must be.
    pub fn seals(&mut self, seq: u64, question: &Value) -> (LeafIndex, Verified) {
        self.seals_all([(seq, question.clone())]).remove(0)
    }

    /// The same, of many, in one round of its log.
    pub fn seals_all(
        &mut self,
        questions: impl IntoIterator<Item = (u64, Value)>,
    ) -> Vec<(LeafIndex, Verified)> {
        let sealed = questions.into_iter().map(|(seq, question)| self.enters(seq, &question)).collect();
        self.log.commit(&self.keys.log.key).expect("room on the disk");
        sealed
    }

    fn enters(&mut self, seq: u64, question: &Value) -> (LeafIndex, Verified) {
        let opening: Opening = serde_json::from_value(question.clone()).expect("a question");
        let message = Message {
            iss: self.us.clone(),
            aud: self.peer.clone(),
            iat: clock(),
            accept_until: clock().plus(MAX_ACCEPT),
            jti: jws::encode(&[seq.to_be_bytes(), self.log_size().to_be_bytes()].concat()),
            log: 1,
            seq,
            thr: None,
            irt: None,
            prev: None,
            saw: None,
            body: opening.question.body(),
            beyond_us: false,
            handling: Handling::for_licences(LegalBasis::Article10Para5),
            by: By::Auto { rule: "whatever-it-likes".parse().expect("a line") },
            lang: "en".into(),
            case: CaseRefs::default(),
            attachments: Vec::new(),
            parts: Vec::new(),
        };
        let named = self.keys.messages.last().expect("it has a message key");
        let verified = envelope::seal(message, &named.kid, &named.key);
        let record = Record::Sent { to: self.peer.clone(), token: verified.token().to_owned() };
        let leaf = self.log.stage(record.write(clock(), &[7; 32]));
        (leaf, verified)
    }

    /// Hand these messages over, with a head that starts where the peer's size of this log is `old`.
    pub fn says(&mut self, old: u64, messages: &[&(LeafIndex, Verified)]) -> MailReply {
        self.tries(old, messages).unwrap_or_else(|why| panic!("{why}"))
    }

    /// The same, from where the peer is as far as it told, whatever becomes of it.
    pub fn goes_on(&mut self, messages: &[&(LeafIndex, Verified)]) {
        let size = self.log_size();
        match self.tries(self.held, messages) {
            Ok(MailReply::Cosigned { .. }) => self.held = size,
            Ok(MailReply::Stale { held }) => {
                let size = |held: &String| {
                    let signed = SignedNote::parse(held).ok()?;
                    Some(Checkpoint::parse(signed.text()).ok()?.head.size)
                };
                self.held = held.as_ref().and_then(size).unwrap_or(0);
            }
            _ => {}
        }
    }

    /// The same as [`says`](Self::says), but it may fail.
    pub fn tries(&mut self, old: u64, messages: &[&(LeafIndex, Verified)]) -> Result<MailReply, String> {
        let head = self.log.checkpoint().clone();
        let size = head.head().size;
        let post = |(leaf, verified): &&(LeafIndex, Verified)| Posted {
            token: verified.token().to_owned(),
            logged: mail::logged(self.log.reader().entry(*leaf).expect("readable"), *leaf, size, &self.log)
                .expect("it stands there"),
            parts: Vec::new(),
        };
        let mail = Mail {
            holds: 1,
            head: AddCheckpoint {
                old,
                proof: if old == 0 { Vec::new() } else { self.proof(old, size) },
                checkpoint: head.as_str().to_owned(),
            }
            .render(),
            messages: messages.iter().map(post).collect(),
            ..Mail::default()
        };
        self.network.send(&self.peer, mail.frame());
        loop {
            match self.next() {
                Event::Answered { frame, .. } => return Ok(MailReply::parse(&frame).expect("a response")),
                Event::Failed { why, .. } => return Err(why.to_string()),
                other => self.hears(other),
            }
        }
    }

    /// Hand any bytes over, as if they were mail. Whether they were answered.
    pub fn babbles(&mut self, bytes: Vec<u8>) -> bool {
        self.network.send(&self.peer, bytes);
        loop {
            match self.next() {
                Event::Answered { .. } => return true,
                Event::Failed { .. } => return false,
                other => self.hears(other),
            }
        }
    }

    /// Listen until the peer has given so many receipts.
    pub fn waits_for_receipts(&mut self, count: usize) {
        while self.receipts.len() < count {
            let event = self.next();
            self.hears(event);
        }
    }

    fn proof(&self, old: u64, size: u64) -> Vec<liaison_protocol::merkle::Hash> {
        consistency_proof(&self.log, old, size).expect("the log is readable")
    }

    fn next(&mut self) -> Event {
        let event = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, self.events.recv()).await });
        event.expect("the peer is there").expect("the network runs")
    }

    /// Mail of the peer's: its receipts are noted, and its head cosigned unseen.
    fn hears(&mut self, event: Event) {
        let Event::Arrived { frame, reply, .. } = event else { return };
        let mail = Mail::parse(&frame).expect("an honest node's mail");
        self.receipts.extend(mail.receipts);
        let head = AddCheckpoint::parse(&mail.head).expect("an honest node's head");
        let signed = SignedNote::parse(&head.checkpoint).expect("a note");
        let checkpoint = Checkpoint::parse(signed.text()).expect("a checkpoint");
        let line = note::cosign(&self.keys.witness.key, &self.us.witness_name(), clock().0, &checkpoint);
        self.network.respond(reply, MailReply::Cosigned { line }.frame());
    }
}

/// Copy what is below `from` to below `to`.
fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("a name");
        let to = to.join(entry.file_name());
        if entry.file_type().expect("a kind").is_dir() {
            fs::create_dir_all(&to).expect("room");
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), &to).expect("room");
        }
    }
}

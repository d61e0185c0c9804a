//! The loop: gathers a round, records it, lets it take effect, and only then speaks.
//!
//! [`Node::round`] is the whole of a node but for sockets and threads: time, randomness, disk and mail are handed to
//! it, so the rehearsal runs many of them in one thread, by seed. It is the only file that knows its neighbours.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use jiff::civil::Date;

use liaison_protocol::attachment;
use liaison_protocol::authority::{By, Line, NodeId, OfficerId, StateCode, Timestamp};
use liaison_protocol::case::Hop;
use liaison_protocol::deadline::Due;
use liaison_protocol::desk::{self, Desk, Draft, Effect, Judgement, Shelf, Sought, Table, Wanted, propose};
use liaison_protocol::entry::{Alert, Basis, IdempotencyKey, Record, Staged, Written};
use liaison_protocol::envelope::{self, Verified};
use liaison_protocol::fault::Fault;
use liaison_protocol::key_set::{Fingerprint, KeyChain, KeySetFlaw};
use liaison_protocol::licence::LicenceNo;
use liaison_protocol::mail::{self, Deferred, HeadFlaw, Mail, MailReply, Posted};
use liaison_protocol::merkle::{self, Hash, LeafIndex, Nodes, consistency_proof};
use liaison_protocol::message::{MessageId, Subject};
use liaison_protocol::note::{self, AddCheckpoint, SignedCheckpoint};
use liaison_protocol::operator::{
    Act, ActRequest, AdmitRequest, CandidateView, EvidenceRequest, InstallRequest, Mistake, OpenRequest,
    Order, PeerStanding, Rules, Side,
};
use rayon::prelude::*;

use crate::blobs::{Blobs, Found};
use crate::disk::Disk;
use crate::events::{self, About, Change};
use crate::keys::Keys;
use crate::lanes::{InFlight, Lane};
use crate::log::{Log, LogError, Place, Reader, Spiller, Unopened, witnessed_file};
use crate::metrics::{self, Laps, Metrics, Stage};
use crate::register::{Firearms, Licences, Register};
use crate::store::{Store, StoreError};

/// Key sets in one `Mail`.
const MOST_KEY_SETS: usize = 8;
/// Bytes of messages in one `Mail`: leaves room for proofs and the frame.
const MAIL_BUDGET: usize = 2 * 1024 * 1024;
/// A receipt whose time is further than this from the sealing and from our clock raises an alert, in seconds.
const STRANGE_TIME: u64 = 24 * 3600;
/// How many days back a start looks for licences that expired or came into force.
const LOOK_BACK: i32 = 400;
/// Times that have passed, recorded in one round.
const MOST_PASSED: usize = 256;
/// Entries replayed between two commits of the index.
const REPLAY_STEP: u64 = 16_384;
/// Entries read at a time for a replay.
const REPLAY_READ: u64 = 1024;

/// What stops a node. Nothing that is not recorded has left the house.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A key set that our own log holds does not hold.
    #[error("our own key set: {0}")]
    KeySet(#[from] KeySetFlaw),
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The index.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A moment: civil time, which may jump, and a clock that only goes forward.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Civil time.
    pub time: Timestamp,
    /// Milliseconds that only go forward.
    pub millis: u64,
}

/// Fills bytes with randomness: salts, message numbers, jitter.
pub type Random = Box<dyn FnMut(&mut [u8]) + Send>;

/// What an operator asks to be done.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "requests are few at a time: those of one round")]
pub enum Request {
    /// Act in an exchange.
    Act(MessageId, ActRequest),
    /// Admit a peer.
    Admit(AdmitRequest),
    /// Put our next key set in force.
    Install(InstallRequest),
    /// Open an exchange.
    Open(OpenRequest),
    /// Remove a peer.
    Remove(String, Line),
    /// Set the rules for a peer.
    SetRules(String, Rules),
}

/// What an order came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Done {
    /// An exchange was opened or changed.
    Exchange {
        /// Which.
        id: MessageId,
        /// Whether the request did it now, not an earlier one with the same key.
        new: bool,
    },
    /// Evidence was given out: the archive.
    Exported(Vec<u8>),
    /// The licence list was replaced; so many notices went out.
    Imported {
        /// Messages that tell of a change.
        notices: u64,
    },
    /// Something about this peer was changed.
    Peer(NodeId),
    /// Our own key set was replaced.
    Ourselves,
}

/// Asked between two rounds: sees what is durable, changes nothing.
pub type Question<D> = Box<dyn FnOnce(&mut Node<D>) + Send>;

/// Told when an order is durable, or that it was not taken.
pub type Answer<D> = Box<dyn FnOnce(&mut Node<D>, Result<Done, Mistake>) + Send>;

/// What comes in.
#[expect(clippy::large_enum_variant, reason = "inputs are few at a time: those of one round")]
pub enum Input<D: Disk> {
    /// A question.
    Ask(Question<D>),
    /// The response to our `Mail`.
    Answered {
        /// Whose.
        from: NodeId,
        /// The frame.
        frame: Vec<u8>,
    },
    /// A `Mail`.
    Arrived {
        /// Whose.
        from: NodeId,
        /// The frame.
        frame: Vec<u8>,
        /// To be named in the reply.
        ticket: u64,
    },
    /// A connection is open.
    Connected(NodeId),
    /// No connection is open any more.
    Disconnected(NodeId),
    /// Evidence of an exchange is asked for.
    Export {
        /// Of which.
        exchange: MessageId,
        /// For what, and for whom.
        request: EvidenceRequest,
        /// Whose token.
        who: OfficerId,
        /// Told when it is recorded: the archive.
        answer: Answer<D>,
    },
    /// Our `Mail` did not get through.
    Failed {
        /// To whom.
        to: NodeId,
        /// Why, in words.
        why: String,
    },
    /// An attachment of a message is here, whole and durable.
    Fetched {
        /// Whose message names it.
        from: NodeId,
        /// Its digest.
        digest: Hash,
    },
    /// An attachment of a message has not come.
    NotFetched {
        /// Whose message names it.
        from: NodeId,
        /// Its digest.
        digest: Hash,
        /// Why, in words.
        why: String,
    },
    /// A new register, already safe on disk.
    Register {
        /// The register.
        register: Register,
        /// Who imported it.
        who: OfficerId,
        /// Told when it is in force.
        answer: Answer<D>,
    },
    /// An operator's order.
    Order {
        /// What.
        request: Request,
        /// Whose token.
        who: OfficerId,
        /// What the client names it by.
        key: Option<IdempotencyKey>,
        /// Told when it is durable.
        answer: Answer<D>,
    },
}

/// What goes out, after the round is durable.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// A `Mail` to a peer.
    Post {
        /// To whom.
        to: NodeId,
        /// The frame.
        frame: Vec<u8>,
    },
    /// The response to a peer's `Mail`; `None`: end it unanswered.
    Reply {
        /// Which.
        ticket: u64,
        /// The frame.
        frame: Option<Vec<u8>>,
    },
    /// The peers, or their addresses, or our own key sets changed.
    Roster,
    /// A message of this peer's names attachments: they are to be fetched.
    Wanted(NodeId),
    /// A peer cosigned a head of ours.
    Witnessed {
        /// Who.
        by: NodeId,
        /// The checkpoint with both signatures.
        checkpoint: String,
    },
}

/// What a node is opened with, beside its disk.
pub struct Parts {
    /// Where its log is.
    pub place: Place,
    /// Who it is.
    pub us: NodeId,
    /// What it signs with.
    pub keys: Keys,
    /// Its index.
    pub store: Store,
    /// Finds the register of firearms that the log says is in force, by its digest.
    pub firearms: Box<dyn FnOnce(Hash) -> Firearms>,
    /// Finds the licence list that the log says is in force, by its digest.
    pub licences: Box<dyn FnOnce(Hash) -> Licences>,
    /// Where its randomness comes from.
    pub random: Random,
    /// How many entries this machine remembers to have signed, if it remembers any.
    pub signed: Option<u64>,
}

/// One State's node.
pub struct Node<D: Disk> {
    log: Log<D>,
    store: Store,
    blobs: Blobs<D>,
    desk: Desk,
    keys: Keys,
    /// Parts of the message that is ordered now, by their digests: nowhere else are the persons they name.
    parts: BTreeMap<Hash, String>,
    /// Peers whose messages of this round name attachments.
    naming: BTreeSet<NodeId>,
    lanes: BTreeMap<NodeId, Lane>,
    firearms: Firearms,
    /// The newest head of ours that each peer cosigned, with its line.
    witnessed: BTreeMap<NodeId, String>,
    licences: Licences,
    random: Random,
    /// What the clock says in this round: what we seal bears it.
    clock: Timestamp,
    /// The same moment on the clock that only goes forward.
    millis: u64,
    /// Time of the last entry.
    time: Timestamp,
    /// The day up to which those who asked were told of changes.
    day: Date,
    /// Why the node must not sign, if it must not.
    halted: Option<String>,
    failed: RefCell<Option<LogError>>,
    /// Addresses the node listens on, for views.
    pub listening: Vec<String>,
    /// What this round changes, for those who watch.
    changes: Vec<Change>,
    /// What is counted.
    pub metrics: Metrics,
    /// How long the parts of this round take.
    laps: Laps,
}

/// The desk's shelf: the index, and the log's records.
struct Shelves<'a, D: Disk> {
    store: &'a mut Store,
    log: &'a Log<D>,
    failed: &'a RefCell<Option<LogError>>,
}

impl<D: Disk> Shelf for Shelves<'_, D> {
    fn get(&self, table: Table, key: &[u8]) -> Option<Vec<u8>> {
        self.store.get(table, key)
    }

    fn put(&mut self, table: Table, key: &[u8], row: Vec<u8>) {
        self.store.put(table, key, row);
    }

    fn remove(&mut self, table: Table, key: &[u8]) {
        self.store.remove(table, key);
    }

    fn scan(&self, table: Table, prefix: &[u8], limit: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.store.scan(table, prefix, limit)
    }

    fn record(&self, leaf: LeafIndex) -> Option<Staged> {
        // An error must not pass for "no such record": it stops the node before anything is committed.
        self.log.record(leaf).unwrap_or_else(|error| {
            self.failed.replace(Some(error));
            None
        })
    }
}

/// Call a method of the desk with its shelf.
macro_rules! with_desk {
    ($node:expr, |$desk:ident, $shelf:ident| $body:expr) => {{
        let Node { desk: $desk, store, log, failed, .. } = &mut *$node; // a reborrow: the fields are borrowed apart
        #[allow(unused_mut)]
        let mut $shelf = Shelves { store, log, failed };
        $body
    }};
}

/// A `Mail` whose head holds.
struct Accepted {
    ticket: u64,
    from: NodeId,
    chain: KeyChain,
    head: SignedCheckpoint,
    mail: Mail,
}

impl<D: Disk> Node<D> {
    /// Make a node's log: its genesis and its first key set. Returns how many entries it has.
    pub fn create(
        disk: D,
        place: Place,
        key_set: &str,
        keys: &Keys,
        now: Timestamp,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Result<(u64, Spiller<D>), NodeError> {
        let chain = KeyChain::parse(key_set)?;
        let set = chain.current();
        let genesis =
            Record::Genesis { node: set.node.clone(), state: set.state.clone(), log: set.current_log() };
        let first = Record::KeySet { node: set.node.clone(), key_set: key_set.to_owned() };
        let mut write = |record: Record| -> Written {
            let mut salt = [0; 32];
            random(&mut salt);
            record.write(now, &salt)
        };
        let lines = vec![write(genesis), write(first)];
        let (log, spiller) = Log::create(disk, place, lines, &keys.log.key)?;
        Ok((log.checkpoint().head().size, spiller))
    }

    /// Open a node: its log, the index up to where it reaches, and the log's tail on top. `progress` is told how many
    /// of how many entries are replayed.
    pub fn open(
        disk: D,
        parts: Parts,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<(Self, Spiller<D>), NodeError> {
        let Parts { place, us, keys, mut store, firearms, licences, random, signed } = parts;
        let blobs = Blobs::new(disk.clone());
        let folder = place.folder.clone();
        let (log, spiller) = Log::open(disk.clone(), place)?;
        let size = log.checkpoint().head().size;
        if store.reached()? > size {
            // Tables that know more than the log are not its tables.
            store.clear()?;
        }
        let reached = store.reached()?;
        let failed = RefCell::new(None);
        let desk = Desk::open(us, &Shelves { store: &mut store, log: &log, failed: &failed });
        let time = match size.checked_sub(1) {
            Some(last) => log.record(LeafIndex(last))?.map(|staged| staged.at).unwrap_or_default(),
            None => Timestamp(0),
        };
        let mut node = Self {
            log,
            store,
            blobs,
            parts: BTreeMap::new(),
            naming: BTreeSet::new(),
            firearms: Firearms::default(),
            licences: Licences::default(),
            desk,
            keys,
            lanes: BTreeMap::new(),
            witnessed: BTreeMap::new(),
            random,
            clock: time,
            millis: 0,
            time,
            // The days before the last entry too: what could not be told then is told now, and nothing is told twice.
            day: time.date().saturating_sub(jiff::Span::new().days(LOOK_BACK)),
            halted: rolled_back(signed, size),
            failed,
            listening: Vec::new(),
            changes: Vec::new(),
            metrics: Metrics::default(),
            laps: Laps::default(),
        };
        // What is read next is read and opened while this is folded: opening takes longer than anything else.
        let reader = node.log.reader().clone();
        let read = |from: u64| -> Result<Vec<Staged>, LogError> {
            let stretch = reader.stretch(from..size.min(from + REPLAY_READ))?;
            stretch.into_par_iter().map(Unopened::open).collect()
        };
        let mut from = reached;
        let mut at_hand = read(from)?;
        while !at_hand.is_empty() {
            let next = from + at_hand.len() as u64;
            let (ahead, folded) = rayon::join(|| read(next), || node.replay(&at_hand));
            folded?;
            (from, at_hand) = (next, ahead?);
            progress(from - reached, size - reached);
        }
        node.commit_index(size)?;
        node.firearms = node.desk.firearms().map(firearms).unwrap_or_default();
        node.licences = node.desk.licences().map(licences).unwrap_or_default();
        node.witnessed = node
            .desk
            .peers()
            .filter_map(|(peer, _)| {
                // Written behind the loop's back: what is not there yet the peer will say again.
                let note = disk.read(&witnessed_file(&folder, peer, "checkpoint")).ok().flatten()?;
                Some((peer.clone(), String::from_utf8(note).ok()?))
            })
            .collect();
        Ok((node, spiller))
    }

    /// Fold a stretch of our own log.
    fn replay(&mut self, stretch: &[Staged]) -> Result<(), NodeError> {
        for staged in stretch {
            // What was owed then is recorded right behind: a round is atomic.
            with_desk!(self, |desk, shelf| desk.apply(&mut shelf, staged));
            let reached = staged.leaf.0 + 1;
            if reached.is_multiple_of(REPLAY_STEP) {
                self.commit_index(reached)?;
                // As far as it is folded, it need not be read again: whatever ends this start.
                self.store.rows().sync()?;
            }
        }
        Ok(())
    }

    /// Two officers have made sure that this data folder is the newest: record it, and sign again.
    pub fn vouch(&mut self, officers: [OfficerId; 2], reason: Line) -> Result<(), NodeError> {
        let [prepared, approved] = officers;
        let by = By::Officers { prepared, approved: Some(approved) };
        self.clock = self.time;
        self.record(Record::Backup { by, reason }, None);
        self.commit()?;
        self.halted = None;
        Ok(())
    }

    /// Make the round durable, and let the index follow.
    fn commit(&mut self) -> Result<(), NodeError> {
        with_desk!(self, |desk, shelf| desk.settle(&mut shelf));
        self.check_failed()?;
        self.laps.enter(Stage::Commit);
        self.log.commit(&self.keys.log.key)?;
        self.laps.enter(Stage::Release);
        self.store.commit(self.log.checkpoint().head().size)?;
        self.log.forget_spilled();
        Ok(())
    }

    /// Let the index have what it lacks of the first `size` entries.
    fn commit_index(&mut self, size: u64) -> Result<(), NodeError> {
        with_desk!(self, |desk, shelf| desk.settle(&mut shelf));
        self.check_failed()?;
        Ok(self.store.commit(size)?)
    }

    /// Whether everything that was asked of log and index could be read.
    fn check_failed(&mut self) -> Result<(), NodeError> {
        if let Some(error) = self.failed.take() {
            return Err(error.into());
        }
        Ok(self.store.check()?)
    }

    /// Reads what is committed, from any thread.
    pub fn reader(&self) -> Reader<D> {
        self.log.reader().clone()
    }

    /// The log.
    pub fn log(&self) -> &Log<D> {
        &self.log
    }

    /// All conversations.
    pub fn desk(&self) -> &Desk {
        &self.desk
    }

    /// The licence list.
    pub fn licences(&self) -> &Licences {
        &self.licences
    }

    /// The register of firearms.
    pub fn firearms(&self) -> &Firearms {
        &self.firearms
    }

    /// Our keys.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The way out to a peer.
    pub fn lane(&self, peer: &NodeId) -> Option<&Lane> {
        self.lanes.get(peer)
    }

    /// Say a word to a peer, though there may be no news.
    pub fn knock(&mut self, peer: &NodeId) {
        self.lanes.entry(peer.clone()).or_default().knock();
    }

    /// The index.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The content of attachments.
    pub fn blobs(&self) -> &Blobs<D> {
        &self.blobs
    }

    /// Attachments of `peer`'s messages that are to be fetched, at most `limit`.
    pub fn wanted(&mut self, peer: &NodeId, limit: usize) -> Vec<Wanted> {
        match self.desk.peer(peer) {
            Some(_) => with_desk!(self, |desk, shelf| desk.wanted(&shelf, peer, limit)),
            None => Vec::new(),
        }
    }

    /// Whether `peer` may fetch the attachment of that digest: a message of ours to it names it.
    pub fn gave(&mut self, peer: &NodeId, digest: &Hash) -> bool {
        // Nor does it fetch once its key set has expired: then it may deliver a newer one, and nothing else.
        self.desk.peer(peer).is_some_and(|peer| peer.chain().current().expires >= self.clock)
            && with_desk!(self, |desk, shelf| desk.gave(&shelf, peer, digest))
    }

    /// Why the node must not sign, if it must not.
    pub fn halted(&self) -> Option<&str> {
        self.halted.as_deref()
    }

    /// An exchange, and what an officer should know about it: why no rule answered, and what the licence list says.
    pub fn exchange(&mut self, id: &MessageId, now: Timestamp) -> Option<ExchangeAtHand> {
        with_desk!(self, |desk, shelf| {
            let exchange = desk.exchange(&shelf, id)?;
            let due = desk.due_of(&exchange);
            let waits = exchange.side() == Side::Requested && exchange.standing().state.is_open();
            let why_officer = desk.rule_for(&shelf, &exchange, now).err().filter(|_| waits);
            let us = desk.own()?.current().state.clone();
            let mut at_hand =
                ExchangeAtHand { exchange, due, why_officer, proposal: None, candidates: Vec::new() };
            match at_hand.exchange.subject() {
                Subject::Licence(presented) if waits && self.licences.digest().is_some() => {
                    let found = self.licences.find(&presented.licence_no);
                    at_hand.proposal = propose(&at_hand.exchange, found, now.date());
                }
                _ => {
                    let item = at_hand.exchange.item().filter(|_| waits);
                    at_hand.candidates =
                        item.map(|item| self.firearms.candidates(item, now.date(), &us)).unwrap_or_default();
                }
            }
            Some(at_hand)
        })
    }

    /// The exchange whose id begins with `prefix`.
    pub fn find_exchange(&self, prefix: &str) -> Result<MessageId, Mistake> {
        if let Ok(id) = prefix.parse::<MessageId>() {
            return Ok(id);
        }
        if !prefix.is_ascii() || !(6..=43).contains(&prefix.len()) {
            return Err(Mistake::Malformed(
                "an exchange is named by its id, or by at least its first 6 characters".into(),
            ));
        }
        // Six bits a character: whole bytes of the prefix find the rows, the text decides.
        let whole = &prefix[..prefix.len() - prefix.len() % 4];
        let bytes = liaison_protocol::jws::decode(whole)
            .ok_or_else(|| Mistake::Malformed(format!("{prefix} is not the beginning of an exchange id")))?;
        let rows = self.store.scan(Table::Exchange, &bytes, 1024);
        let ids = rows.into_iter().filter_map(|(key, _)| {
            let id = MessageId(liaison_protocol::merkle::Hash::from_bytes(key.try_into().ok()?));
            id.to_string().starts_with(prefix).then_some(id)
        });
        match ids.collect::<Vec<_>>().as_slice() {
            [id] => Ok(*id),
            [] => Err(Mistake::Unknown(format!("no exchange {prefix}: see the list of exchanges"))),
            _ => {
                Err(Mistake::Malformed(format!("several exchanges begin with {prefix}: give more of the id")))
            }
        }
    }

    /// What the last round changed, in the order of the log.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// How it stands at this moment, for those who watch.
    pub fn standing(&self) -> metrics::Standing {
        let entries = self.log.checkpoint().head().size;
        let peers = self.desk.peers().map(|(node, peer)| {
            let lane = self.lanes.get(node);
            metrics::PeerStanding {
                node: node.clone(),
                connected: lane.is_some_and(|lane| lane.connected),
                outbox: peer.outbox().len() as u64,
                open: peer.open_exchanges(),
                uncosigned: entries.saturating_sub(lane.map_or(0, |lane| lane.cosigned)),
            }
        });
        metrics::Standing { ready: self.why_not_ready().is_none(), entries, peers: peers.collect() }
    }

    /// What the clock says in this round.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock
    }

    /// The newest head of ours that `peer` cosigned, with its line, as far as we have it.
    pub(crate) fn witnessed(&self, peer: &NodeId) -> Option<&str> {
        self.witnessed.get(peer).map(String::as_str)
    }

    /// With whom an exchange is.
    pub(crate) fn peer_of(&mut self, id: &MessageId) -> Option<NodeId> {
        with_desk!(self, |desk, shelf| desk.exchange(&shelf, id)).map(|exchange| exchange.peer().clone())
    }

    /// What our log has of an exchange, as far as it is committed.
    pub(crate) fn records_of(&mut self, id: &MessageId) -> Result<Vec<Staged>, Mistake> {
        let places = with_desk!(self, |desk, shelf| desk.places(&shelf, id));
        let committed = self.log.checkpoint().head().size;
        let places = places.into_iter().filter(|leaf| leaf.0 < committed);
        let records = places.map(|leaf| self.log.reader().record(leaf));
        records.collect::<Result<_, _>>().map_err(|error| Mistake::NotReady(error.to_string()))
    }

    /// Where we saw the head of `size` entries of a peer's log.
    pub(crate) fn head_seen(&mut self, peer: &NodeId, size: u64) -> Option<Staged> {
        let leaf = with_desk!(self, |desk, shelf| desk.head_place(&shelf, peer, size))?;
        self.log.record(leaf).ok().flatten()
    }

    /// Record something that changes nothing of what we believe.
    pub(crate) fn note(&mut self, record: Record) {
        self.record(record, None);
    }

    /// When there is next mail to be tried, in milliseconds.
    pub fn posts_at(&self) -> Option<u64> {
        let own = self.desk.own().filter(|_| self.halted.is_none())?;
        self.desk.peers().filter_map(|(node, peer)| self.lanes.get(node)?.wakes_at(peer, own)).min()
    }

    /// When the node next wants a round although nothing arrives, in milliseconds: for its mail, or because a time passes.
    pub fn wakes_at(&mut self) -> Option<u64> {
        if self.halted.is_some() {
            return None;
        }
        let due = with_desk!(self, |desk, shelf| desk.next_due(&shelf));
        let due =
            due.map(|at| self.millis.saturating_add(at.0.saturating_sub(self.clock.0).saturating_mul(1000)));
        self.posts_at().into_iter().chain(due).min()
    }

    /// The State that we are a node of.
    pub fn state(&self) -> Option<StateCode> {
        self.desk.own().map(|chain| chain.current().state.clone())
    }

    /// The hops of one of our trace cases, or of all of them.
    pub fn hops(&mut self, trace_case: Option<&Line>) -> Vec<Hop> {
        with_desk!(self, |desk, shelf| {
            let exchanges = desk.hops(&shelf, trace_case).into_iter();
            exchanges
                .filter_map(|id| {
                    let exchange = desk.exchange(&shelf, &id)?;
                    let state = desk.state_of(exchange.peer())?;
                    let due = desk.due_of(&exchange);
                    Some(Hop { state, exchange: Arc::unwrap_or_clone(exchange), due })
                })
                .collect()
        })
    }

    /// One round: record everything that is waiting, let it take effect, and only then speak.
    pub fn round(&mut self, now: Now, inputs: Vec<Input<D>>) -> Result<Vec<Output>, NodeError> {
        (self.clock, self.millis) = (now.time, now.millis);
        self.laps = Laps::default();
        self.changes.clear();
        let before = self.log.checkpoint().head().size;
        let mut out = Vec::new();
        let mut answers: Vec<(Answer<D>, Result<Done, Mistake>)> = Vec::new();
        let mut questions = Vec::new();
        let mut mail = Vec::new();
        // What peers know of our log comes first: if it was rolled back, nothing more is signed in this round either.
        let (heard, rest): (Vec<_>, Vec<_>) =
            inputs.into_iter().partition(|input| matches!(input, Input::Answered { .. }));
        for input in heard.into_iter().chain(rest) {
            match input {
                Input::Ask(question) => questions.push(question),
                Input::Answered { from, frame } => self.answered(&from, &frame, now, &mut out),
                Input::Arrived { from, frame, ticket } => mail.push((from, frame, ticket)),
                Input::Connected(node) => self.lanes.entry(node).or_default().reachable(),
                Input::Disconnected(node) => self.lanes.entry(node).or_default().connected = false,
                Input::Export { exchange, request, who, answer } => {
                    let done = self.export(exchange, request, who);
                    answers.push((answer, done));
                }
                Input::Failed { to, why } => self.failed(&to, why, now),
                Input::Fetched { from, digest } => {
                    with_desk!(self, |_desk, shelf| Desk::has_fetched(&mut shelf, &from, &digest));
                    self.lanes.entry(from).or_default().not_fetched.remove(&digest);
                }
                Input::NotFetched { from, digest, why } => {
                    self.lanes.entry(from).or_default().note_not_fetched(digest, why);
                }
                Input::Register { register, who, answer } => {
                    let done = self.import(register, who);
                    answers.push((answer, done));
                }
                Input::Order { request, who, key, answer } => {
                    let done = self.order(request, who, key, &mut out);
                    answers.push((answer, done));
                }
            }
        }
        self.new_day(&mut out);
        self.note_passed();
        self.laps.enter(Stage::Open);
        let (accepted, mut replies) = self.accept(mail, now, &mut out);
        self.take_mail(&accepted, now);

        // One signature and one sync for the whole round. An error stops the node: nothing has left the house.
        self.commit()?;

        for accepted in accepted {
            let line = note::cosign(
                &self.keys.witness.key,
                &self.desk.us().witness_name(),
                self.time().0,
                accepted.head.checkpoint(),
            );
            replies.push((accepted.ticket, Some(MailReply::Cosigned { line })));
        }
        out.extend(
            replies
                .into_iter()
                .map(|(ticket, reply)| Output::Reply { ticket, frame: reply.map(|r| r.frame()) }),
        );
        out.extend(std::mem::take(&mut self.naming).into_iter().map(Output::Wanted));
        for (answer, done) in answers {
            answer(self, done);
        }
        for question in questions {
            question(self);
        }
        self.post(now, &mut out)?;
        self.metrics.round(std::mem::take(&mut self.laps), self.log.checkpoint().head().size - before);
        Ok(out)
    }

    /// Put a record into the round, and everything that is owed because of it.
    fn record(&mut self, record: Record, message: Option<Verified>) -> LeafIndex {
        let leaf = self.stage(record, message);
        let mut owed: VecDeque<Effect> = leaf.1.into();
        while let Some(effect) = owed.pop_front() {
            let effects = match effect {
                Effect::Consult { exchange, rule, sought } => match self.consult(exchange, rule, &sought) {
                    Some(record) => self.stage(record, None).1,
                    None => continue,
                },
                Effect::Send(draft) => match self.seal(*draft) {
                    Some((verified, parts)) => {
                        let (of, exchange) = (verified.id(), verified.exchange());
                        let to = verified.message().aud.clone();
                        let record = Record::Sent { to, token: verified.token().to_owned() };
                        let effects = self.stage(record, Some(verified)).1;
                        // Right behind their message: that is where they are found when it goes out.
                        for text in parts {
                            self.stage(Record::Part { of, exchange, text }, None);
                        }
                        effects
                    }
                    None => continue,
                },
            };
            owed.extend(effects);
        }
        leaf.0
    }

    /// The log's time: it never goes back, whatever the clock does, and a wrong clock leaves no trace in it unless
    /// something is recorded meanwhile.
    fn time(&self) -> Timestamp {
        self.time.max(self.clock)
    }

    fn stage(&mut self, record: Record, message: Option<Verified>) -> (LeafIndex, Vec<Effect>) {
        let mut salt = [0; 32];
        (self.random)(&mut salt);
        self.time = self.time();
        let leaf = self.log.stage(record.write(self.time, &salt));
        let about = About::of(&self.desk, &record, message.as_ref());
        tracing::debug!(
            leaf = leaf.0,
            kind = record.kind().as_str(),
            exchange = about.as_ref().and_then(About::exchange).map(tracing::field::display),
            peer = events::peer_of(&record).map(tracing::field::display),
            "recorded"
        );
        self.changes.extend(about.map(|about| (Some(leaf), about)));
        let staged = Staged { leaf, at: self.time, record, message };
        let effects = with_desk!(self, |desk, shelf| desk.apply(&mut shelf, &staged));
        (leaf, effects)
    }

    /// Ask a register under a rule (R-SOV). Without one there is nothing to consult: the request waits for an officer.
    fn consult(&self, exchange: MessageId, rule: Line, sought: &Sought) -> Option<Record> {
        let on = self.clock.date();
        match sought {
            Sought::Item(item) => {
                self.firearms.digest()?;
                let us = &self.desk.own()?.current().state;
                let found = self.firearms.beyond_doubt(item, on, us);
                Some(Record::Search { exchange, rule, found, on })
            }
            Sought::Licence(licence_no) => {
                self.licences.digest()?;
                let found = self.licences.find(licence_no).cloned();
                Some(Record::Query { exchange, rule, found, on })
            }
        }
    }

    /// Seal a message: once, here, and the same bytes for the log and for every delivery. The persons it names become
    /// parts beside it.
    fn seal(&mut self, draft: Draft) -> Option<(Verified, Vec<String>)> {
        let mut jti = [0; 16];
        (self.random)(&mut jti);
        let texts = draft.enclosed.parts.iter().filter_map(|digest| self.parts.remove(digest)).collect();
        let time = self.clock;
        let log = self.desk.own()?.current().current_log();
        let message = with_desk!(self, |desk, shelf| desk.compose(&shelf, draft, log, time, &jti))?;
        let named = self.keys.message_key(self.desk.own()?, time)?;
        Some((envelope::seal(message, &named.kid, &named.key), texts))
    }

    fn order(
        &mut self,
        request: Request,
        who: OfficerId,
        key: Option<IdempotencyKey>,
        out: &mut Vec<Output>,
    ) -> Result<Done, Mistake> {
        if let Some(key) = &key
            && let Some(id) = with_desk!(self, |desk, shelf| desk.created_by(&shelf, key))?
        {
            return Ok(Done::Exchange { id, new: false });
        }
        self.may_record()?;
        let (mut order, officer) = self.order_of(request)?;
        // Whatever is to be sent needs a message key; a renewed key set is the way to get one.
        if matches!(order, Order::Act { .. } | Order::Open { .. }) {
            self.may_sign()?;
        }
        let clock = self.clock;
        with_desk!(self, |desk, shelf| desk.check(&shelf, &order, clock))?;
        self.keep_enclosed(&order)?;
        self.put_persons_apart(&mut order);
        let register = self.basis_of(&order);
        let by = By::Officers { prepared: officer.unwrap_or_else(|| who.clone()), approved: None };
        let record = Record::Order { order: order.clone(), by, key, via: who, register };
        let leaf = self.record(record, None);
        Ok(match order {
            Order::Act { exchange, .. } => Done::Exchange { id: exchange, new: true },
            Order::Open { .. } => Done::Exchange { id: self.opened_after(leaf)?, new: true },
            Order::AdmitPeer { node, .. } | Order::RemovePeer { node, .. } => {
                out.push(Output::Roster);
                Done::Peer(node)
            }
            Order::SetRules { node, .. } => Done::Peer(node),
            Order::InstallKeySet { .. } => {
                out.push(Output::Roster);
                Done::Ourselves
            }
            Order::ImportFirearms { .. } | Order::ImportLicences { .. } => Done::Imported { notices: 0 },
        })
    }

    /// Whom an order names is not for its record: each person becomes a part, and has a record of its own.
    fn put_persons_apart(&mut self, order: &mut Order) {
        self.parts.clear();
        let Some(enclosed) = order.enclosed_mut() else { return };
        for person in std::mem::take(&mut enclosed.persons) {
            let mut salt = [0; attachment::SALT_LEN];
            (self.random)(&mut salt);
            let (text, digest) = attachment::write_part(person, &salt);
            enclosed.parts.push(digest);
            self.parts.insert(digest, text);
        }
    }

    /// What goes with a message must be here, as it is described, before the message names it; and stays from then on.
    fn keep_enclosed(&self, order: &Order) -> Result<(), Mistake> {
        let enclosed = match order {
            Order::Act { enclosed, .. } => enclosed,
            Order::Open { opening, .. } => &opening.enclosed,
            _ => return Ok(()),
        };
        let unreadable = |error: crate::blobs::BlobError| Mistake::NotReady(error.to_string());
        for (place, attachment) in enclosed.attachments.iter().enumerate() {
            let malformed =
                |why: &str| Err(Mistake::Malformed(format!("enclosed.attachments.{place}: {why}")));
            if !attachment::is_media_type(attachment.media_type.as_str()) {
                return malformed("media_type: a type and a subtype, such as image/jpeg");
            }
            match self.blobs.find(attachment).map_err(unreadable)? {
                Found::Kept | Found::Loose => {}
                Found::Absent => {
                    return malformed(
                        "this node does not hold it: put it in first, and give it as the node returned it",
                    );
                }
                Found::Differs => {
                    return malformed(
                        "digest, salt and length are not those of one attachment: give it as the node returned it",
                    );
                }
            }
        }
        for attachment in &enclosed.attachments {
            self.blobs.keep(&attachment.digest).map_err(unreadable)?;
        }
        Ok(())
    }

    /// Whether anything may be recorded.
    pub(crate) fn may_record(&self) -> Result<(), Mistake> {
        match &self.halted {
            Some(why) => Err(Mistake::NotReady(why.clone())),
            None => Ok(()),
        }
    }

    fn may_sign(&self) -> Result<(), Mistake> {
        self.may_record()?;
        let own = self.desk.own().ok_or_else(|| Mistake::NotReady("the log has no key set".into()))?;
        match self.keys.message_key(own, self.clock) {
            Some(_) => Ok(()),
            None => Err(Mistake::NotReady(
                "no message key of ours is in force: renew the key set with `liaison-node key-set renew`"
                    .into(),
            )),
        }
    }

    /// Why the node cannot sign now, if it cannot.
    pub fn why_not_ready(&self) -> Option<String> {
        self.may_sign().err().map(|mistake| mistake.to_string())
    }

    /// The opener of an exchange is recorded right behind the order that asked for it.
    fn opened_after(&self, leaf: LeafIndex) -> Result<MessageId, Mistake> {
        match self.log.bare(LeafIndex(leaf.0 + 1)) {
            Ok(Some(Record::Sent { token, .. })) => envelope::id_of(&token),
            _ => None,
        }
        .ok_or_else(|| Mistake::NotReady("the message could not be sealed".into()))
    }

    /// What our list says of the licence when an officer speaks of it: later changes are measured against that.
    fn basis_of(&mut self, order: &Order) -> Option<Basis> {
        let Order::Act {
            exchange, act: Act::Answer { .. } | Act::Correct { .. } | Act::Notify { .. }, ..
        } = order
        else {
            return None;
        };
        let exchange = with_desk!(self, |desk, shelf| desk.exchange(&shelf, exchange))?;
        let found = self.licences.find(&exchange.presented()?.licence_no)?;
        Some(Basis::of(found, self.clock.date()))
    }

    fn order_of(&mut self, request: Request) -> Result<(Order, Option<OfficerId>), Mistake> {
        Ok(match request {
            Request::Act(exchange, ActRequest { act, enclosed, officer }) => {
                let found = with_desk!(self, |desk, shelf| desk.exchange(&shelf, &exchange));
                let peer = found.map(|exchange| exchange.peer().clone()).ok_or_else(|| {
                    Mistake::Unknown(format!("no exchange {exchange}: see the list of exchanges"))
                })?;
                (Order::Act { exchange, peer, act, enclosed }, officer)
            }
            Request::Admit(AdmitRequest { key_sets, fingerprint, channel, officer }) => {
                let chain = KeyChain::parse(&key_sets).map_err(|flaw| {
                    Mistake::Malformed(format!(
                        "key_sets: {flaw}. Ask the other authority for its key set file again"
                    ))
                })?;
                let given: Fingerprint = fingerprint
                    .parse()
                    .map_err(|error| Mistake::Malformed(format!("fingerprint: {error}")))?;
                if given != chain.fingerprint() {
                    return Err(Mistake::Forbidden(
                        "the fingerprint is not that of the key set file. Do not admit this peer: compare again over another channel, for one of the two may be forged".into(),
                    ));
                }
                (Order::AdmitPeer { node: chain.current().node.clone(), key_sets, channel }, officer)
            }
            Request::Install(InstallRequest { key_set }) => (
                Order::InstallKeySet { node: self.desk.us().clone(), key_set: key_set.trim().to_owned() },
                None,
            ),
            Request::Open(OpenRequest { peer, opening, officer }) => {
                (Order::Open { peer: self.desk.find_peer(&peer)?.clone(), opening }, officer)
            }
            Request::Remove(peer, reason) => {
                (Order::RemovePeer { node: self.desk.find_peer(&peer)?.clone(), reason }, None)
            }
            Request::SetRules(peer, rules) => {
                (Order::SetRules { node: self.desk.find_peer(&peer)?.clone(), rules }, None)
            }
        })
    }

    /// Put a new register in force; if it is of licences, tell those who asked about one that has changed.
    fn import(&mut self, register: Register, who: OfficerId) -> Result<Done, Mistake> {
        self.may_sign()?;
        let empty = || Mistake::Malformed("the list is empty".into());
        let digest = register.digest().ok_or_else(empty)?;
        let count = register.len() as u64;
        let order = match register {
            Register::Firearms(_) => Order::ImportFirearms { digest, count },
            Register::Licences(_) => Order::ImportLicences { digest, count },
        };
        let clock = self.clock;
        with_desk!(self, |desk, shelf| desk.check(&shelf, &order, clock))?;
        let by = By::Officers { prepared: who.clone(), approved: None };
        self.record(Record::Order { order, by, key: None, via: who, register: None }, None);
        match register {
            Register::Firearms(firearms) => {
                self.firearms = firearms;
                Ok(Done::Imported { notices: 0 })
            }
            Register::Licences(list) => {
                let today = self.clock.date();
                let changed = list.changed(&self.licences, self.day.min(today), today);
                self.licences = list;
                Ok(Done::Imported { notices: self.tell_changes(changed) })
            }
        }
    }

    /// Record what has passed without what was owed. The reminder that goes out with it says so; nothing else follows.
    fn note_passed(&mut self) {
        if self.halted.is_some() {
            return;
        }
        let time = self.clock;
        for record in with_desk!(self, |desk, shelf| desk.passed(&mut shelf, time, MOST_PASSED)) {
            self.record(record, None);
        }
    }

    /// Tell those who asked what has become of these licences since. A round is atomic: with the import or the day that
    /// changed them goes the news.
    fn tell_changes(&mut self, changed: Vec<LicenceNo>) -> u64 {
        let rule: Line = "tell-changes-to-those-who-asked".parse().expect("a line");
        let on = self.clock.date();
        let mut told = 0;
        for licence_no in changed {
            let Some(found) = self.licences.find(&licence_no).cloned() else { continue };
            for exchange in with_desk!(self, |desk, shelf| desk.asked_about(&shelf, &licence_no)) {
                let held = with_desk!(self, |desk, shelf| desk.exchange(&shelf, &exchange));
                let wanted = held.is_some_and(|held| {
                    let peer = self.desk.peer(held.peer());
                    peer.is_some_and(|peer| peer.standing(self.clock) == PeerStanding::Active)
                        && held.opener().message.is_understood()
                        && desk::news(&held, &found, on).is_some()
                });
                if wanted {
                    let before = self.log.staged();
                    self.record(
                        Record::Query { exchange, rule: rule.clone(), found: Some(found.clone()), on },
                        None,
                    );
                    // The query, and the notice if there was room for it.
                    told += u64::from(self.log.staged() > before + 1);
                }
            }
        }
        told
    }

    /// Licences expire and come into force by the day, and so do transport identities.
    fn new_day(&mut self, out: &mut Vec<Output>) {
        let today = self.clock.date();
        // A clock that was ahead for a while must not make us miss the days it takes to come there again.
        self.day = self.day.min(today);
        if today > self.day && self.may_sign().is_ok() {
            let changed = self.licences.changed(&self.licences, self.day, today);
            self.day = today;
            self.tell_changes(changed);
            out.push(Output::Roster);
        }
    }

    /// Read the frames, and check sender, key sets and heads. What is not accepted has its reply.
    #[allow(clippy::type_complexity, reason = "two lists, told apart by what happens next")]
    fn accept(
        &mut self,
        mail: Vec<(NodeId, Vec<u8>, u64)>,
        now: Now,
        out: &mut Vec<Output>,
    ) -> (Vec<Accepted>, Vec<(u64, Option<MailReply>)>) {
        let parsed: Vec<_> =
            mail.into_par_iter().map(|(from, frame, ticket)| (from, Mail::parse(&frame), ticket)).collect();
        let (mut accepted, mut replies) = (Vec::new(), Vec::new());
        for (from, mail, ticket) in parsed {
            let reply = match mail {
                Ok(mail) => match self.accept_one(from, mail, ticket, now, out) {
                    Ok(one) => {
                        accepted.push(one);
                        continue;
                    }
                    Err(reply) => reply,
                },
                Err(flaw) => {
                    tracing::warn!(peer = %from, %flaw, "mail turned away");
                    None
                }
            };
            replies.push((ticket, reply));
        }
        (accepted, replies)
    }

    fn accept_one(
        &mut self,
        from: NodeId,
        mail: Mail,
        ticket: u64,
        now: Now,
        out: &mut Vec<Output>,
    ) -> Result<Accepted, Option<MailReply>> {
        if self.desk.peer(&from).is_none() {
            return Err(None);
        }
        if self.halted.is_some() {
            return Err(Some(MailReply::Busy { retry_after_secs: 60 }));
        }
        for key_set in &mail.key_sets {
            let mut chain = self.desk.peer(&from).ok_or(None)?.chain().clone();
            let Ok(next) = chain.extend(key_set) else { continue };
            if let Some(other) = self.desk.claims_identity_of(next.set()) {
                tracing::error!(peer = %from, %other, "a new key set lists the transport identity of another peer: not taken");
            } else {
                self.record(Record::KeySet { node: from.clone(), key_set: key_set.clone() }, None);
                out.push(Output::Roster);
            }
        }
        let peer = self.desk.peer(&from).ok_or(None)?;
        if peer.chain().current().expires < self.clock {
            // It may deliver key sets, and nothing else until they are in force.
            return Err(Some(MailReply::Busy { retry_after_secs: 60 }));
        }
        let chain = peer.chain().clone();
        let lane = self.lanes.entry(from.clone()).or_default();
        lane.holds_ours = mail.holds;
        lane.sent_key_sets = lane.sent_key_sets.min(mail.holds);
        let held = *peer.head();
        let head = match mail::open_head(&mail.head, &chain, &held) {
            Ok(head) => head,
            Err(HeadFlaw::Bad) => return Err(None),
            Err(HeadFlaw::Stale) => return Err(Some(MailReply::Stale { held: self.held_of(&from) })),
            Err(HeadFlaw::Forked(offered)) => {
                self.record_fork(&from, &offered, &mail);
                return Err(self.held_of(&from).map(|held| MailReply::Forked { held }));
            }
        };
        if head.head().size > held.size {
            let record = Record::HeadSeen {
                node: from.clone(),
                checkpoint: head.as_str().to_owned(),
                head: *head.head(),
            };
            self.record(record, None);
        }
        self.hints(&from, &mail.deferred, now);
        Ok(Accepted { ticket, from, chain, head, mail })
    }

    /// The head of the peer's log that we cosigned last, as the peer signed it.
    fn held_of(&self, peer: &NodeId) -> Option<String> {
        let leaf = self.desk.peer(peer)?.head_leaf()?;
        match self.log.record(leaf).ok()??.record {
            Record::HeadSeen { checkpoint, .. } => Some(checkpoint),
            _ => None,
        }
    }

    /// Two histories: both heads are kept as proof, and the mail with them; it clears nothing.
    fn record_fork(&mut self, from: &NodeId, offered: &SignedCheckpoint, mail: &Mail) {
        if self.desk.peer(from).is_none_or(|peer| peer.standing(self.clock) == PeerStanding::Forked) {
            return;
        }
        let held = self.held_of(from).unwrap_or_default();
        tracing::error!(peer = %from, "the peer signed two histories of its log; both heads are kept as proof");
        let alert = Alert::Forked {
            node: from.clone(),
            held,
            offered: offered.as_str().to_owned(),
            tokens: mail.messages.iter().take(16).map(|posted| posted.token.clone()).collect(),
        };
        self.record(Record::Alert { alert }, None);
    }

    /// The peer cannot take some messages yet: it is told again in its own time, and the operator sees why.
    fn hints(&mut self, from: &NodeId, deferred: &[Deferred], now: Now) {
        let Some(first) = deferred.first() else { return };
        let ahead = now.time.0.abs_diff(first.at.0);
        let why = format!(
            "the peer cannot take a message yet: {} (code {}); its clock differs from ours by {ahead} s",
            first.code,
            first.code.code()
        );
        self.lanes.entry(from.clone()).or_default().trouble = Some(why);
    }

    /// Take receipts and messages of the accepted mail into the round. Seals are checked on all cores.
    fn take_mail(&mut self, accepted: &[Accepted], now: Now) {
        let us = self.desk.us().clone();
        let all: Vec<(&Accepted, &Posted)> = accepted
            .iter()
            .flat_map(|one| one.mail.messages.iter().map(move |posted| (one, posted)))
            .collect();
        let opened: Vec<Result<Verified, Fault>> = all
            .par_iter()
            .map(|(one, posted)| {
                let verified = envelope::open(&posted.token, &one.from, &one.chain, &us)?;
                mail::check_posted(&posted.logged, verified.id(), &us, one.head.head())?;
                mail::check_parts(&posted.parts, verified.message())?;
                Ok(verified)
            })
            .collect();
        self.laps.enter(Stage::Stage);
        for one in accepted {
            for receipt in &one.mail.receipts {
                self.take_receipt(one, receipt);
            }
        }
        for ((one, posted), verified) in all.into_iter().zip(opened) {
            self.take_message(one, posted, verified, now);
        }
    }

    fn take_receipt(&mut self, one: &Accepted, receipt: &liaison_protocol::entry::Logged) {
        let Some((message, entry)) = mail::check_receipt(receipt, self.desk.us(), one.head.head()) else {
            return;
        };
        let Some(peer) = self.desk.peer(&one.from) else { return };
        // One that is receipted already, or never was ours, changes nothing.
        let Some(leaf) = peer.place_of(&message) else { return };
        let far = |time: Timestamp| entry.t.0.abs_diff(time.0) > STRANGE_TIME;
        // Only where something is strange is it worth to open our message again.
        let sealed = far(self.time()).then(|| self.log.record(leaf).ok().flatten()).flatten();
        let sealed = sealed.and_then(|staged| Some(staged.message?.message().iat));
        self.lanes.entry(one.from.clone()).or_default().receipted(leaf);
        let record = Record::Receipt {
            node: one.from.clone(),
            message,
            proof: receipt.clone(),
            head: *one.head.head(),
        };
        self.record(record, None);
        if sealed.is_some_and(far) {
            let alert = Alert::ReceiptTime { node: one.from.clone(), message, theirs: entry.t };
            self.record(Record::Alert { alert }, None);
        }
    }

    fn take_message(&mut self, one: &Accepted, posted: &Posted, verified: Result<Verified, Fault>, now: Now) {
        let from = &one.from;
        let verified = match verified {
            Ok(verified) => verified,
            Err(fault) => return self.refuse(from, fault, &posted.token, None, now),
        };
        match with_desk!(self, |desk, shelf| desk.judge(&shelf, &verified, now.time)) {
            Err(fault) => self.refuse(from, fault, &posted.token, Some(&verified), now),
            Ok(Judgement::Repeated(leaf)) => self.lanes.entry(from.clone()).or_default().owe_receipt(leaf),
            Ok(Judgement::New) => {
                let record = Record::Received {
                    from: from.clone(),
                    token: posted.token.clone(),
                    proof: posted.logged.clone(),
                    head: *one.head.head(),
                };
                let (of, exchange) = (verified.id(), verified.exchange());
                if !verified.message().attachments.is_empty() {
                    self.naming.insert(from.clone());
                }
                let leaf = self.record(record, Some(verified));
                for text in &posted.parts {
                    self.record(Record::Part { of, exchange, text: text.clone() }, None);
                }
                self.lanes.entry(from.clone()).or_default().owe_receipt(leaf);
            }
        }
    }

    /// Turn a message away: for good, with an entry that proves it, or for now, with a hint.
    fn refuse(&mut self, from: &NodeId, fault: Fault, token: &str, verified: Option<&Verified>, now: Now) {
        let id = envelope::id_of(token);
        let exchange = verified.map(|verified| tracing::field::display(verified.exchange()));
        let message = id.map(tracing::field::display);
        tracing::warn!(peer = %from, message, exchange, code = fault.code(), %fault, "message refused");
        self.metrics.refused(from, fault.code().into());
        if let (true, Some(id)) = (fault.is_passing(), id) {
            let lane = self.lanes.entry(from.clone()).or_default();
            if lane.deferred.len() < mail::MAX_MESSAGES {
                lane.deferred.push(Deferred { id, code: fault, at: now.time });
            }
            return;
        }
        // A message that is refused in the same way each time it comes gets its first refusal again.
        if let Some(leaf) = id.and_then(|id| with_desk!(self, |desk, shelf| desk.seen(&shelf, from, &id))) {
            self.lanes.entry(from.clone()).or_default().owe_receipt(leaf);
            return;
        }
        let time = self.time();
        let record = with_desk!(self, |desk, shelf| desk.deny(&shelf, from, fault, verified, id, time));
        let Some(record) = record else { return };
        let leaf = self.record(record, None);
        if id.is_some() {
            self.lanes.entry(from.clone()).or_default().owe_receipt(leaf);
        }
        if let (Fault::SequenceReused, Some(verified)) = (fault, verified) {
            let first = with_desk!(self, |desk, shelf| desk.holder_of(&shelf, verified.message()));
            if let Some(first) = first {
                let (seq, second) = (verified.message().seq, verified.id());
                let alert = Alert::SequenceReused { node: from.clone(), seq, first, second };
                self.record(Record::Alert { alert }, None);
            }
        }
    }

    /// The response to our `Mail`.
    fn answered(&mut self, from: &NodeId, frame: &[u8], now: Now, out: &mut Vec<Output>) {
        let jitter = self.jitter();
        let Some(lane) = self.lanes.get_mut(from) else { return };
        let Some(mail) = lane.landed() else { return };
        match MailReply::parse(frame) {
            Ok(MailReply::Cosigned { line }) => {
                let chain = self.desk.peer(from).map(|peer| peer.chain());
                let signature = note::NoteSignature::parse(&line);
                let cosigned = chain
                    .zip(signature.ok())
                    .map(|(chain, signature)| chain.cosigned_at(&[signature], mail.head.checkpoint()));
                if let Some(Ok(at)) = cosigned {
                    lane.taken(&mail, now.millis, jitter);
                    lane.ahead = at.0.checked_signed_diff(now.time.0);
                    let checkpoint = mail.head.with_cosignatures([line.as_str()]);
                    self.witnessed.insert(from.clone(), checkpoint.clone());
                    out.push(Output::Witnessed { by: from.clone(), checkpoint });
                } else {
                    lane.failed(Some(mail), Some("its cosignature does not hold".into()), now.millis, jitter);
                }
            }
            Ok(reply @ (MailReply::Stale { .. } | MailReply::Forked { .. })) => {
                let (held, is_stale) = match &reply {
                    MailReply::Stale { held } => (held.as_deref(), true),
                    MailReply::Forked { held } => (Some(held.as_str()), false),
                    MailReply::Busy { .. } | MailReply::Cosigned { .. } => (None, false),
                };
                let ours = self.log.checkpoint().head().size;
                match weighed(&self.log, self.log.place(), ours, held) {
                    Ok(Weighed::AnotherHistory(why)) => self.halt(from, mail, why, now, jitter),
                    Ok(Weighed::Ours(size)) if is_stale => lane.start_from(mail, size, now.millis, jitter),
                    Ok(Weighed::Nothing | Weighed::Ours(_)) => {
                        let why = match is_stale {
                            true => "it claims to know more of our log, and shows nothing that we signed",
                            false => "it accuses us of a second history, and what it shows is no proof of it",
                        };
                        lane.failed(Some(mail), Some(why.into()), now.millis, jitter);
                    }
                    // Our own house is on fire: the node stops before anything is committed.
                    Err(error) => {
                        lane.failed(Some(mail), None, now.millis, jitter);
                        self.failed.replace(Some(error));
                    }
                }
            }
            Ok(MailReply::Busy { retry_after_secs }) => {
                lane.failed(Some(mail), Some("it asked us to come back later".into()), now.millis, jitter);
                lane.wait(now.millis + u64::from(retry_after_secs.min(3600)) * 1000);
            }
            Err(flaw) => lane.failed(Some(mail), Some(flaw.to_string()), now.millis, jitter),
        }
    }

    /// A head that we signed is not in our log: whatever we signed now would be a second history.
    fn halt(&mut self, from: &NodeId, mail: InFlight, why: String, now: Now, jitter: u64) {
        let why = format!(
            "log rolled back: {from} holds a head that we signed, and {why}. This data folder is an old copy. Signing again would make a second history: stop, put the newest copy in place, and start again"
        );
        tracing::error!("{why}");
        if let Some(lane) = self.lanes.get_mut(from) {
            lane.failed(
                Some(mail),
                Some("it knows another history of our log than we do".into()),
                now.millis,
                jitter,
            );
        }
        self.halted = Some(why);
    }

    fn failed(&mut self, to: &NodeId, why: String, now: Now) {
        let jitter = self.jitter();
        tracing::info!(peer = %to, %why, "mail not delivered; it will be tried again");
        if let Some(lane) = self.lanes.get_mut(to) {
            let mail = lane.landed();
            lane.failed(mail, Some(why), now.millis, jitter);
        }
    }

    fn jitter(&mut self) -> u64 {
        let mut bytes = [0; 8];
        (self.random)(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// Send each peer whose lane is free what waits for it.
    fn post(&mut self, now: Now, out: &mut Vec<Output>) -> Result<(), NodeError> {
        if self.halted.is_some() {
            return Ok(());
        }
        let Some(own) = self.desk.own() else { return Ok(()) };
        let head = self.log.checkpoint().clone();
        let size = head.head().size;
        for (node, peer) in self.desk.peers() {
            let lane = self.lanes.entry(node.clone()).or_default();
            let Some((messages, receipts)) = lane.due(peer, now.millis) else { continue };
            if messages.is_empty()
                && receipts.is_empty()
                && lane.deferred.is_empty()
                && !lane.has_news(peer, own)
            {
                continue;
            }
            let holds = peer.chain().current().version;
            // Whoever is admitted holds version 1. More than a few versions take more than one Mail.
            let there = lane.holds_ours.max(lane.sent_key_sets).max(1);
            let lacking: Vec<_> = own.after(there).take(MOST_KEY_SETS).collect();
            let key_set = lacking.last().map_or(own.current().version, |signed| signed.set().version);
            let key_sets = lacking.into_iter().map(|signed| signed.json().to_owned()).collect();
            let prove = |leaf: LeafIndex| mail::logged(self.log.reader().entry(leaf)?, leaf, size, &self.log);
            let old = lane.cosigned.min(size);
            let offer = AddCheckpoint {
                old,
                proof: if old == 0 { Vec::new() } else { consistency_proof(&self.log, old, size)? },
                checkpoint: head.as_str().to_owned(),
            };
            let mut posted = Vec::new();
            let mut taken = Vec::new();
            let mut bytes = 0;
            for leaf in messages {
                let Record::Sent { token, .. } = self.log.reader().bare(leaf)? else { continue };
                let said = peer.outbox().get(&leaf).and_then(|owed| self.desk.at_hand(owed));
                let named = match said {
                    Some(said) => said.message.parts.len(),
                    None => {
                        self.log.reader().record(leaf)?.message.map_or(0, |sent| sent.message().parts.len())
                    }
                };
                let parts = parts_behind(self.log.reader(), leaf, named, size)?;
                bytes += token.len() + parts.iter().map(String::len).sum::<usize>();
                if bytes > MAIL_BUDGET && !posted.is_empty() {
                    break;
                }
                posted.push(Posted { token, logged: prove(leaf)?, parts });
                taken.push(leaf);
            }
            let mail = Mail {
                key_sets,
                holds,
                head: offer.render(),
                messages: posted,
                receipts: receipts.iter().map(|leaf| prove(*leaf)).collect::<Result<_, LogError>>()?,
                deferred: lane.deferred.clone(),
            };
            out.push(Output::Post { to: node.clone(), frame: mail.frame() });
            lane.posted(InFlight { head: head.clone(), messages: taken, receipts, holds, key_set });
        }
        Ok(())
    }
}

/// Why a log of `size` entries must not be signed, if this machine remembers to have signed another.
fn rolled_back(signed: Option<u64>, size: u64) -> Option<String> {
    let what_to_do = "Signing now could make a second history: put the newest copy of the data folder in place and start again. If this is the newest, two officers say so with `liaison-node vouch`";
    match signed {
        Some(signed) if signed <= size => None,
        Some(signed) => Some(format!(
            "log rolled back: this machine has signed {signed} entries, and the log has {size}. {what_to_do}"
        )),
        None => Some(format!(
            "log perhaps rolled back: the marker of what this machine has signed is missing, so this may be an old copy. {what_to_do}"
        )),
    }
}

/// The parts of the message at `leaf`, which names so many: they stand right behind it.
fn parts_behind<D: Disk>(
    reader: &Reader<D>,
    leaf: LeafIndex,
    named: usize,
    size: u64,
) -> Result<Vec<String>, LogError> {
    let mut parts = Vec::new();
    for next in (leaf.0 + 1..size).take(named) {
        match reader.record(LeafIndex(next))?.record {
            Record::Part { text, .. } => parts.push(text),
            _ => break,
        }
    }
    Ok(parts)
}

/// What a head that a peer shows us says of our own log.
enum Weighed {
    /// We signed it, and our log does not have it.
    AnotherHistory(String),
    /// We did not sign it: it says nothing.
    Nothing,
    /// Our log has it, at this size.
    Ours(u64),
}

/// An error is our own disk's, and says nothing of any history.
fn weighed<N: Nodes>(nodes: &N, place: &Place, ours: u64, held: Option<&str>) -> Result<Weighed, N::Error> {
    let Some(held) = held else { return Ok(Weighed::Ours(0)) };
    let Ok(signed) = note::open_checkpoint(held, &place.origin, &place.key) else {
        return Ok(Weighed::Nothing);
    };
    let theirs = *signed.head();
    Ok(if theirs.size > ours {
        Weighed::AnotherHistory(format!("it has {} entries where our log has {ours}", theirs.size))
    } else if merkle::root(nodes, theirs.size)? == theirs.root {
        Weighed::Ours(theirs.size)
    } else {
        Weighed::AnotherHistory(format!("our first {} entries are not those it was signed over", theirs.size))
    })
}

/// An exchange, and what an officer should know about it.
pub struct ExchangeAtHand {
    /// The exchange.
    pub exchange: Arc<liaison_protocol::exchange::Exchange>,
    /// What the requested State owes next.
    pub due: Option<Due>,
    /// Why no rule answered, if an officer must.
    pub why_officer: Option<&'static str>,
    /// What the licence list would answer, if an officer must.
    pub proposal: Option<liaison_protocol::message::Outcome>,
    /// What the register of firearms has that may be the item, if an officer must answer.
    pub candidates: Vec<CandidateView>,
}

#[cfg(test)]
mod tests {
    use liaison_protocol::merkle::TreeHead;
    use liaison_protocol::note::sign_checkpoint;
    use liaison_protocol::sign::SecretKey;

    use super::*;

    /// A log whose tiles cannot be read.
    struct Unreadable;

    impl Nodes for Unreadable {
        type Error = &'static str;

        fn node(&self, _: u8, _: u64) -> Result<Hash, &'static str> {
            Err("input/output error")
        }
    }

    /// A log of leaves that are all alike.
    struct Alike;

    impl Nodes for Alike {
        type Error = std::convert::Infallible;

        fn node(&self, level: u8, _: u64) -> Result<Hash, Self::Error> {
            let leaf = merkle::leaf_hash(b"alike");
            Ok((0..level).fold(leaf, |hash, _| merkle::node_hash(&hash, &hash)))
        }
    }

    #[test]
    fn a_disk_that_cannot_be_read_is_no_second_history() {
        let key = SecretKey::from_seed(&[7; 32]);
        let origin = "firearms.example.ke/liaison/log1".to_owned();
        let place = Place { origin: origin.clone(), folder: "log1".into(), key: key.public() };
        let head = |size, root| sign_checkpoint(&key, &origin, &TreeHead { size, root });
        let root = merkle::root(&Alike, 5).expect("no errors");
        let (true_one, false_one) = (head(5, root), head(5, Hash::ZERO));

        assert_eq!(
            weighed(&Unreadable, &place, 9, Some(true_one.as_str())).err(),
            Some("input/output error")
        );
        let seen = |held: Option<&str>, ours| weighed(&Alike, &place, ours, held).expect("no errors");
        assert!(matches!(seen(Some(true_one.as_str()), 9), Weighed::Ours(5)));
        assert!(matches!(seen(Some(false_one.as_str()), 9), Weighed::AnotherHistory(_)));
        assert!(matches!(seen(Some(true_one.as_str()), 4), Weighed::AnotherHistory(_)));
        assert!(matches!(seen(Some("nothing of ours"), 9), Weighed::Nothing));
        assert!(matches!(seen(None, 9), Weighed::Ours(0)));
    }
}

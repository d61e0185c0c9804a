//! All conversations: what the node believes, as a fold over its own log.
//!
//! [`Desk::apply`] takes one recorded line and returns what is owed because of it; [`Desk::judge`] says whether a
//! verified message may be recorded; [`Desk::check`] says whether an order may be given. Nothing else changes the
//! desk's mind, so replaying the log gives the same desk. What it need not hold at hand lies on a [`Shelf`]:
//! tables that can be rebuilt from the log, and the log's own records.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::attachment::{self, Attachment};
use crate::authority::{By, Line, NodeId, StateCode, Timestamp};
use crate::deadline::{self, Due};
use crate::entry::{Alert, Basis, IdempotencyKey, Record, Staged};
use crate::envelope::Verified;
use crate::exchange::{self, Exchange, Said};
use crate::fault::Fault;
use crate::handling::{Coded, Handling, LegalBasis, PersonalData};
use crate::item::Item;
use crate::key_set::{self, KeyChain, KeySet, SignedKeySet};
use crate::licence::{self, LicenceEvent, LicenceNo, LicenceNotice};
use crate::mark::MarkKind;
use crate::merkle::{Hash, LeafIndex, TreeHead};
use crate::message::{
    Acknowledgement, AuthenticityResult, Body, CaseRefs, Clarification, ClarificationRequest, Correction,
    InformationRequest, InformationSupply, Kind, LicenceVerificationResponse, MAX_ACCEPT, Message, MessageId,
    Outcome, Reminder, Subject, Withdrawal,
};
use crate::numbers::{Gap, Number, Numbers};
use crate::operator::{
    Act, Enclosed, ExchangeSummary, Mistake, Opening, Order, PeerStanding, Question, Rules, Side, State,
};
use crate::sense::Occasion;
use crate::serial;
use crate::standing::Standing;
use crate::trace::TraceResponse;
use crate::transit::{ConditionReply, TransitDecisionWithdrawal};

/// How far a peer's clock may be ahead of ours, in seconds.
pub const MAX_AHEAD: u64 = 300;
/// Most refusals for good that get an entry of their own, per peer and day.
pub const MAX_DENIED_A_DAY: u32 = 100;
/// Most open exchanges a peer may have with us, over both directions.
pub const MAX_OPEN: u64 = 100_000;
/// Most messages of ours that a peer may leave without a receipt before nothing new is opened with it.
pub const MAX_UNDELIVERED: usize = 100_000;
/// Most hops of trace cases shown at once.
const MAX_HOPS: usize = 4096;
/// Exchanges held at hand; the others are read again from the log.
const AT_HAND: usize = 4096;
/// Bytes of messages held at hand: a peer may make its own long.
const AT_HAND_BYTES: usize = 64 * 1024 * 1024;
/// Most bytes of a text in the line of an exchange, as JSON writes it.
const MAX_SHOWN: usize = 160;
/// Most records of ours that belong to one exchange; as many places fit into one row of the index.
const MAX_PLACES: usize = 120;
/// Longest row of the index, in bytes.
const ROW: usize = 1024;

/// A table on the shelf.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum Table {
    /// Licence digest, peer, exchange: who asked about which licence.
    Asked = b'a',
    /// Trace case and exchange: the hops of our cases.
    Case = b'c',
    /// Moment and exchange: when what is owed in it is due.
    Due = b'd',
    /// Exchange id: the places of its records.
    Exchange = b'e',
    /// Peer's first admission and the size of its log: the place where we saw that head.
    Head = b'h',
    /// Idempotency key: what it created, and the digest of the request.
    Key = b'k',
    /// Peer and digest: an attachment that we gave it, and that it may fetch.
    Given = b'g',
    /// Place of the opener: the line of an exchange in lists.
    Listing = b'l',
    /// Peer and place: a message of ours without a receipt.
    Outbox = b'o',
    /// Node id: what is held at hand of a peer; the empty key holds our own.
    Peer = b'p',
    /// Peer's first admission and message id: the place of the first `msg.rcvd` or `denied` about it. Kept for ever.
    Seen = b's',
    /// Peer's first admission, log and sequence number: the message that has it.
    Sequence = b'n',
    /// Peer and digest: an attachment of a message of its that is to be fetched.
    Wanted = b'w',
}

/// What the desk need not hold at hand. All of it but the records can be rebuilt from the log.
pub trait Shelf {
    /// A row.
    fn get(&self, table: Table, key: &[u8]) -> Option<Vec<u8>>;
    /// Put a row in place: at most 1 KiB.
    fn put(&mut self, table: Table, key: &[u8], row: Vec<u8>);
    /// Take a row away.
    fn remove(&mut self, table: Table, key: &[u8]);
    /// The rows whose keys start with `prefix`, in the order of their keys, at most `limit`.
    fn scan(&self, table: Table, prefix: &[u8], limit: usize) -> Vec<(Vec<u8>, Vec<u8>)>;
    /// The record at a place of our log.
    fn record(&self, leaf: LeafIndex) -> Option<Staged>;
}

/// What is owed because of something recorded.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// A rule asks for our register to be consulted about a licence, on behalf of an exchange (R-SOV).
    Consult {
        /// The exchange.
        exchange: MessageId,
        /// The rule.
        rule: Line,
        /// What is looked for.
        sought: Sought,
    },
    /// A message is to be sealed, recorded and sent.
    Send(Box<Draft>),
}

/// What a register is asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Sought {
    /// An item, in the register of firearms.
    Item(Box<Item>),
    /// A licence, in the list of licences.
    Licence(LicenceNo),
}

/// A message that is decided and not yet sealed.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// To whom.
    pub peer: NodeId,
    /// In which exchange; `None` opens one.
    pub exchange: Option<MessageId>,
    /// Which message it answers.
    pub irt: Option<MessageId>,
    /// What is said.
    pub body: Body,
    /// Under which conditions.
    pub handling: Handling,
    /// Who decided.
    pub by: By,
    /// Our file number.
    pub case_ref: Option<Line>,
    /// What goes with it.
    pub enclosed: Enclosed,
}

/// A message that may be recorded, or that was before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Judgement {
    /// Seen before: it gets the receipt of that place again, and nothing else happens.
    Repeated(LeafIndex),
    /// New, and acceptable.
    New,
}

/// An attachment that a message of a peer's names, and that is to be fetched.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// The exchange it belongs to.
    pub exchange: MessageId,
    /// What it is.
    pub attachment: Attachment,
}

/// A message of ours that its addressee has not receipted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Owed {
    /// Its id.
    pub id: MessageId,
    /// The exchange it belongs to.
    pub exchange: MessageId,
}

/// A peer, as far as the log tells.
#[derive(Clone, Debug)]
pub struct Peer {
    row: PeerRow,
    chain: KeyChain,
    channel: Line,
    outbox: BTreeMap<LeafIndex, Owed>,
    places: HashMap<MessageId, LeafIndex>,
    unrecorded: u64,
}

/// The part of a peer that is kept in the index.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct PeerRow {
    /// The order that admitted it: its key sets start there.
    added: LeafIndex,
    /// The order that first admitted these roots: what was seen of it is kept under that.
    since: LeafIndex,
    admitted: Timestamp,
    #[serde(default)]
    removed: bool,
    #[serde(default)]
    key_sets: Vec<LeafIndex>,
    #[serde(default)]
    rules: Rules,
    next_seq: u64,
    #[serde(default)]
    numbers: Numbers,
    head: TreeHead,
    #[serde(default)]
    head_leaf: Option<LeafIndex>,
    #[serde(default)]
    forked: bool,
    #[serde(default)]
    open: u64,
    #[serde(default)]
    denied_day: u64,
    #[serde(default)]
    denied: u32,
}

impl Peer {
    /// Its key sets.
    pub fn chain(&self) -> &KeyChain {
        &self.chain
    }

    /// How its fingerprint was compared.
    pub fn channel(&self) -> &Line {
        &self.channel
    }

    /// When it was admitted.
    pub fn admitted(&self) -> Timestamp {
        self.row.admitted
    }

    /// What it is answered automatically.
    pub fn rules(&self) -> &Rules {
        &self.row.rules
    }

    /// The last head of its log that we cosigned; the empty tree before the first.
    pub fn head(&self) -> &TreeHead {
        &self.row.head
    }

    /// Where our log holds that head.
    pub fn head_leaf(&self) -> Option<LeafIndex> {
        self.row.head_leaf
    }

    /// Messages of ours it has not receipted, in the order they were sealed.
    pub fn outbox(&self) -> &BTreeMap<LeafIndex, Owed> {
        &self.outbox
    }

    /// Where our log holds a message of ours that it has not receipted.
    pub fn place_of(&self, message: &MessageId) -> Option<LeafIndex> {
        self.places.get(message).copied()
    }

    /// Numbers of its messages that have not come, though later ones have.
    pub fn missing(&self) -> &[Gap] {
        self.row.numbers.missing()
    }

    /// Exchanges with it that are open.
    pub fn open_exchanges(&self) -> u64 {
        self.row.open
    }

    /// Whether it may deliver messages.
    pub fn standing(&self, now: Timestamp) -> PeerStanding {
        if self.row.forked {
            PeerStanding::Forked
        } else if self.chain.current().expires < now {
            PeerStanding::Expired
        } else {
            PeerStanding::Active
        }
    }

    /// Whether it has as much open with us, or left as much of ours without a receipt, as a peer may.
    fn is_over_its_ceilings(&self) -> bool {
        self.row.open >= MAX_OPEN || self.outbox.len() >= MAX_UNDELIVERED
    }

    fn seen_key(&self, id: &MessageId) -> Vec<u8> {
        [self.row.since.0.to_be_bytes().as_slice(), id.0.as_bytes()].concat()
    }

    fn sequence_key(&self, message: &Message) -> Vec<u8> {
        let numbers = [self.row.since.0, u64::from(message.log), message.seq];
        numbers.into_iter().flat_map(u64::to_be_bytes).collect()
    }

    fn head_key(&self, size: u64) -> Vec<u8> {
        [self.row.since.0, size].into_iter().flat_map(u64::to_be_bytes).collect()
    }

    /// Whether a refusal for good gets an entry of its own today; if not, it is counted.
    fn may_record_denial(&self, now: Timestamp) -> bool {
        self.row.denied_day != day(now) || self.row.denied < MAX_DENIED_A_DAY
    }
}

fn day(at: Timestamp) -> u64 {
    at.0 / 86_400
}

/// What our own log says of ourselves.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct OwnRow {
    key_sets: Vec<LeafIndex>,
    /// Digest of the register of firearms that was imported last.
    #[serde(default)]
    firearms: Option<Hash>,
    /// Digest of the licence list that was imported last.
    #[serde(default)]
    licences: Option<Hash>,
}

/// All conversations of one node.
#[derive(Debug)]
pub struct Desk {
    us: NodeId,
    own_row: OwnRow,
    own: Option<KeyChain>,
    peers: BTreeMap<NodeId, Peer>,
    at_hand: HashMap<MessageId, Arc<Exchange>>,
    at_hand_bytes: usize,
    /// Exchanges whose rows do not say yet what they came to: all of these are at hand.
    changed: BTreeSet<MessageId>,
    /// Peers of whom the same is true.
    changed_peers: BTreeSet<NodeId>,
}

impl Desk {
    /// The desk as the index has it; the log's tail is then applied to it.
    pub fn open(us: NodeId, shelf: &impl Shelf) -> Self {
        let own_row: OwnRow = read(shelf.get(Table::Peer, b"")).unwrap_or_default();
        let mut desk = Self {
            us,
            own: None,
            own_row,
            peers: BTreeMap::new(),
            at_hand: HashMap::new(),
            at_hand_bytes: 0,
            changed: BTreeSet::new(),
            changed_peers: BTreeSet::new(),
        };
        for leaf in desk.own_row.key_sets.clone() {
            if let Some(key_set) = shelf.record(leaf).as_ref().and_then(|staged| staged.record.key_set()) {
                desk.extend_own(key_set);
            }
        }
        for (key, row) in shelf.scan(Table::Peer, b"", usize::MAX) {
            let node = std::str::from_utf8(&key).ok().and_then(|text| text.parse::<NodeId>().ok());
            if let Some((node, row)) = node.zip(read::<PeerRow>(Some(row))) {
                desk.peers.extend(Self::load_peer(&node, row, shelf).map(|peer| (node, peer)));
            }
        }
        desk
    }

    fn load_peer(node: &NodeId, row: PeerRow, shelf: &impl Shelf) -> Option<Peer> {
        let Record::Order { order: Order::AdmitPeer { key_sets, channel, .. }, .. } =
            shelf.record(row.added)?.record
        else {
            return None;
        };
        let mut chain = KeyChain::parse(&key_sets).ok()?;
        for leaf in &row.key_sets {
            chain.extend(shelf.record(*leaf)?.record.key_set()?).ok()?;
        }
        let mut peer =
            Peer { row, chain, channel, outbox: BTreeMap::new(), places: HashMap::new(), unrecorded: 0 };
        let prefix = peer_key(node, &[]);
        for (key, value) in shelf.scan(Table::Outbox, &prefix, usize::MAX) {
            let leaf =
                key.get(prefix.len()..).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
            let ids = value.split_at_checked(32).and_then(|(a, b)| Some((message_id(a)?, message_id(b)?)));
            if let Some((leaf, (id, exchange))) = leaf.zip(ids) {
                peer.outbox.insert(LeafIndex(leaf), Owed { id, exchange });
                peer.places.insert(id, LeafIndex(leaf));
            }
        }
        Some(peer)
    }

    /// Who we are.
    pub fn us(&self) -> &NodeId {
        &self.us
    }

    /// Our key sets, once the log has them.
    pub fn own(&self) -> Option<&KeyChain> {
        self.own.as_ref()
    }

    /// Digest of the licence list that is in force: the one imported last.
    pub fn licences(&self) -> Option<Hash> {
        self.own_row.licences
    }

    /// Digest of the register of firearms that is in force: the one imported last.
    pub fn firearms(&self) -> Option<Hash> {
        self.own_row.firearms
    }

    /// The admitted peers.
    pub fn peers(&self) -> impl Iterator<Item = (&NodeId, &Peer)> {
        self.peers.iter().filter(|(_, peer)| !peer.row.removed)
    }

    /// An admitted peer.
    pub fn peer(&self, node: &NodeId) -> Option<&Peer> {
        self.peers.get(node).filter(|peer| !peer.row.removed)
    }

    /// A peer that is admitted or was: what it said stays proven.
    pub fn known_peer(&self, node: &NodeId) -> Option<&Peer> {
        self.peers.get(node)
    }

    /// The place in our log where we saw the head of `size` entries of a peer's log.
    pub fn head_place(&self, shelf: &impl Shelf, node: &NodeId, size: u64) -> Option<LeafIndex> {
        let row = shelf.get(Table::Head, &self.peers.get(node)?.head_key(size))?;
        Some(LeafIndex(u64::from_be_bytes(row.try_into().ok()?)))
    }

    /// The places in our log that tell of an exchange: its records, the order that opened it, and the refusal of what
    /// its messages follow, where that could not be read.
    pub fn places(&self, shelf: &impl Shelf, id: &MessageId) -> Vec<LeafIndex> {
        let mut places =
            self.exchange(shelf, id).map(|exchange| exchange.places().to_vec()).unwrap_or_default();
        let first = places.first().and_then(|first| shelf.record(*first));
        if let Some(Staged { leaf, record: Record::Sent { .. }, .. }) = first {
            let ordered = leaf.0.checked_sub(1).and_then(|before| shelf.record(LeafIndex(before)));
            let opens =
                |staged: &Staged| matches!(staged.record, Record::Order { order: Order::Open { .. }, .. });
            places.extend(ordered.filter(opens).map(|staged| staged.leaf));
        }
        let followed: Vec<_> = places
            .iter()
            .filter_map(|place| shelf.record(*place)?.message)
            .filter_map(|message| self.seen(shelf, &message.message().iss, &message.message().prev?))
            .filter(|leaf| is_refusal(shelf, *leaf))
            .collect();
        places.extend(followed);
        places.sort_unstable();
        places.dedup();
        places
    }

    /// The admitted peer that an operator names: by node id, or by its State if that has one node.
    pub fn find_peer(&self, name: &str) -> Result<&NodeId, Mistake> {
        let by_state = || self.peers().filter(|(_, peer)| peer.chain.current().state.as_str() == name);
        if let Some((node, _)) = self.peers().find(|(node, _)| node.as_str() == name) {
            return Ok(node);
        }
        match (by_state().next(), by_state().nth(1)) {
            (Some((node, _)), None) => Ok(node),
            (Some(_), Some(_)) => {
                Err(Mistake::Malformed(format!("{name} has several admitted nodes: name one by its node id")))
            }
            (None, _) => Err(Mistake::Unknown(format!(
                "no admitted peer {name}: admit it first, with its key set file and its fingerprint"
            ))),
        }
    }

    /// An exchange, from hand or from the log.
    pub fn exchange(&self, shelf: &impl Shelf, id: &MessageId) -> Option<Arc<Exchange>> {
        self.at_hand.get(id).cloned().or_else(|| self.load(shelf, id))
    }

    /// A message of ours without a receipt, if its exchange is at hand: one that was sent just now is.
    pub fn at_hand(&self, owed: &Owed) -> Option<&Said> {
        self.at_hand.get(&owed.exchange)?.get(&owed.id)
    }

    fn load(&self, shelf: &impl Shelf, id: &MessageId) -> Option<Arc<Exchange>> {
        load_exchange(&self.us, shelf, id).map(Arc::new)
    }

    /// Whether `verified`, delivered now by its sender, may be recorded. The checks of SPEC.md, section 2, from
    /// "seen before" on, in that order.
    pub fn judge(&self, shelf: &impl Shelf, verified: &Verified, now: Timestamp) -> Result<Judgement, Fault> {
        let message = verified.message();
        if let Some(leaf) = self.seen(shelf, &message.iss, &verified.id()) {
            return Ok(Judgement::Repeated(leaf));
        }
        let peer = self.peer(&message.iss).ok_or(Fault::IssuerMismatch)?;
        let (listed, key) = peer.chain.message_key(verified.key_name()).ok_or(Fault::KeyUnknown)?;
        if !peer.chain.is_good_at(key, message.iat) {
            return Err(Fault::KeyNotValid);
        }
        if message.iat > now.plus(MAX_AHEAD) {
            return Err(Fault::SealedInFuture);
        }
        if message.accept_until < now {
            return Err(Fault::Expired);
        }
        // A number counts within a log: one of a log that is not there would be no number at all.
        if !peer.chain.current().logs.iter().any(|log| log.n == message.log) {
            return Err(Fault::NotLogged);
        }
        if shelf.get(Table::Sequence, &peer.sequence_key(message)).is_some() {
            return Err(Fault::SequenceReused);
        }
        if !message.kind().is_open_to(listed.functions_of(key)) {
            return Err(Fault::FunctionMissing);
        }
        message.check()?;
        match message.thr {
            None if peer.is_over_its_ceilings() => Err(Fault::TooMuch),
            None => Ok(Judgement::New),
            Some(thread) => self.judge_place(shelf, message, &thread).map(|()| Judgement::New),
        }
    }

    fn judge_place(&self, shelf: &impl Shelf, message: &Message, thread: &MessageId) -> Result<(), Fault> {
        let exchange = self.exchange(shelf, thread).filter(|exchange| *exchange.peer() == message.iss);
        let Some(exchange) = exchange else {
            // Its opener may have been refused for good: then this has no place either. If it was not, it is to come.
            let refused = self.seen(shelf, &message.iss, thread).is_some();
            return Err(if refused { Fault::UnknownExchange } else { Fault::WaitsForEarlier });
        };
        if is_full(&exchange) {
            return Err(Fault::ExchangeFull);
        }
        let side = exchange.side().other();
        exchange.admits(side, &message.body)?;
        // What it says it saw must be ours; what it follows must be here, or refused for good.
        let ours = |id: &MessageId| exchange.get(id).is_some_and(|said| said.from == exchange.side());
        if !message.saw.as_ref().is_none_or(ours) || !message.irt.as_ref().is_none_or(ours) {
            return Err(Fault::OutOfPlace);
        }
        let Some(prev) = message.prev.filter(|prev| !exchange.knows(prev)) else { return Ok(()) };
        match self.seen(shelf, &message.iss, &prev) {
            None => Err(Fault::WaitsForEarlier),
            Some(leaf) if is_refusal(shelf, leaf) => Ok(()),
            // It was taken, in another exchange: here it would leave a gap that nobody can explain.
            Some(_) => Err(Fault::OutOfPlace),
        }
    }

    /// The place of the first `msg.rcvd` or `denied` about a message of this peer's. Kept apart by peer: nobody can use
    /// up another's message.
    pub fn seen(&self, shelf: &impl Shelf, from: &NodeId, id: &MessageId) -> Option<LeafIndex> {
        let row = shelf.get(Table::Seen, &self.peers.get(from)?.seen_key(id))?;
        Some(LeafIndex(u64::from_be_bytes(row.try_into().ok()?)))
    }

    fn note_seen(&self, shelf: &mut impl Shelf, from: &NodeId, id: &MessageId, leaf: LeafIndex) {
        if let Some(peer) = self.peers.get(from)
            && self.seen(shelf, from, id).is_none()
        {
            shelf.put(Table::Seen, &peer.seen_key(id), leaf.0.to_be_bytes().to_vec());
        }
    }

    /// Another admitted peer that lists a transport identity of `set`: one connection cannot be two States'.
    pub fn claims_identity_of(&self, set: &KeySet) -> Option<&NodeId> {
        let ids =
            |set: &KeySet| set.peers.iter().map(|identity| identity.peer_id.clone()).collect::<Vec<_>>();
        let theirs = ids(set);
        let shares = |peer: &Peer| ids(peer.chain.current()).iter().any(|id| theirs.contains(id));
        self.peers().find(|(node, peer)| **node != set.node && shares(peer)).map(|(node, _)| node)
    }

    /// The message that has the number `message` claims.
    pub fn holder_of(&self, shelf: &impl Shelf, message: &Message) -> Option<MessageId> {
        let peer = self.peer(&message.iss)?;
        message_id(&shelf.get(Table::Sequence, &peer.sequence_key(message))?)
    }

    /// The record of a refusal for good, or `None` if there were so many today that it is only counted.
    pub fn deny(
        &mut self,
        shelf: &impl Shelf,
        from: &NodeId,
        fault: Fault,
        verified: Option<&Verified>,
        id: Option<MessageId>,
        now: Timestamp,
    ) -> Option<Record> {
        let exchange = verified.and_then(|verified| verified.message().thr).filter(|thread| {
            self.exchange(shelf, thread)
                .is_some_and(|exchange| exchange.peer() == from && !is_full(&exchange))
        });
        // Whoever passes on what another sealed must not use up its id: the sender himself may still deliver it.
        let id = id.filter(|_| fault != Fault::IssuerMismatch);
        let peer = self.peers.get_mut(from)?;
        if !peer.may_record_denial(now) {
            peer.unrecorded += 1;
            return None;
        }
        let uncounted =
            if peer.row.denied_day == day(now) { 0 } else { std::mem::take(&mut peer.unrecorded) };
        // A number is used up by the message that first had it.
        let counts = id.is_some() && fault != Fault::SequenceReused;
        let number = verified.filter(|_| counts).map(|verified| Number::of(verified.message()));
        Some(Record::Denied { from: from.clone(), fault, id, exchange, number, uncounted })
    }

    /// Whether `order` may be given now.
    pub fn check(&self, shelf: &impl Shelf, order: &Order, now: Timestamp) -> Result<(), Mistake> {
        match order {
            Order::Act { exchange, act, enclosed, .. } => self.check_act(shelf, exchange, act, enclosed, now),
            Order::AdmitPeer { node, key_sets, .. } => self.check_admission(node, key_sets),
            Order::ImportLicences { count: 0, .. } => Err(Mistake::Malformed(
                "the list has no licence: an empty list would deny every licence there is".into(),
            )),
            Order::ImportFirearms { count: 0, .. } => Err(Mistake::Malformed(
                "the register has no firearm: an empty register would deny every firearm there is".into(),
            )),
            Order::ImportFirearms { .. } | Order::ImportLicences { .. } => Ok(()),
            Order::InstallKeySet { key_set, .. } => {
                let own = self
                    .own
                    .as_ref()
                    .ok_or_else(|| Mistake::NotReady("the log has no key set yet".into()))?;
                SignedKeySet::next(key_set, own.newest()).map(|_| ()).map_err(|flaw| {
                    Mistake::Malformed(format!("{flaw}; version {} is in force", own.current().version))
                })
            }
            Order::Open { peer, opening } => self.check_opening(peer, opening, now),
            Order::RemovePeer { node, .. } => self.find_peer(node.as_str()).map(|_| ()),
            Order::SetRules { node, rules } => {
                self.find_peer(node.as_str())?;
                if (1..=1000).contains(&rules.attempts_per_licence) {
                    Ok(())
                } else {
                    Err(Mistake::Malformed("attempts_per_licence: 1 to 1,000".into()))
                }
            }
        }
    }

    fn check_admission(&self, node: &NodeId, key_sets: &str) -> Result<(), Mistake> {
        let chain = KeyChain::parse(key_sets).map_err(|flaw| {
            Mistake::Malformed(format!("{flaw}: ask the other authority for its key set file again"))
        })?;
        if chain.current().node != *node || *node == self.us {
            return Err(Mistake::Malformed("the key set file is not that of another node".into()));
        }
        if self.peer(node).is_some() {
            return Err(Mistake::Forbidden(format!(
                "{node} is admitted already: remove it first to admit it anew"
            )));
        }
        match self.claims_identity_of(chain.current()) {
            Some(other) => Err(Mistake::Forbidden(format!(
                "{node} lists a transport identity that {other} lists, too: one of the two is not what it says. Ask both authorities"
            ))),
            None => Ok(()),
        }
    }

    fn check_opening(&self, peer: &NodeId, opening: &Opening, now: Timestamp) -> Result<(), Mistake> {
        self.find_peer(peer.as_str())?;
        if self.peer(peer).is_some_and(Peer::is_over_its_ceilings) {
            return Err(Mistake::Forbidden(format!(
                "{peer} has too much of ours open or unreceipted: nothing is lost, but wait until it answers"
            )));
        }
        if opening.handling.as_ref().is_some_and(|handling| !handling.is_bounded()) {
            return Err(Mistake::Malformed(
                "handling: 1 to 8 legal bases, at most 8 restrictions, at most 200 States".into(),
            ));
        }
        check_enclosed(&opening.enclosed)?;
        check_question(&opening.question, &opening.enclosed)?;
        self.check_sense(peer, now, |occasion| occasion.contradictions_in_question(&opening.question))?;
        let body = opening.question.body();
        if !body.codes_are_known() {
            return Err(Mistake::Malformed(
                "a code that is in none of our lists: the other State could not tell what is meant".into(),
            ));
        }
        self.may_send(body.kind())
    }

    fn check_act(
        &self,
        shelf: &impl Shelf,
        id: &MessageId,
        act: &Act,
        enclosed: &Enclosed,
        now: Timestamp,
    ) -> Result<(), Mistake> {
        let exchange = self
            .exchange(shelf, id)
            .ok_or_else(|| Mistake::Unknown(format!("no exchange {id}: see the list of exchanges")))?;
        self.find_peer(exchange.peer().as_str())?;
        let standing = exchange.standing();
        let name = act.name();
        let open = standing.acts(exchange.kind(), exchange.side());
        if !open.contains(&name) {
            let now = match open {
                [] => "nothing more".to_owned(),
                open => open.join(" or "),
            };
            return Err(Mistake::Forbidden(format!(
                "cannot {name}: the exchange is {}, and we are the {} State; open to us now: {now}",
                standing.state.as_str(),
                if exchange.side() == Side::Requesting { "requesting" } else { "requested" },
            )));
        }
        if is_full(&exchange) {
            return Err(Mistake::Forbidden("the exchange is full: open a new one".into()));
        }
        check_enclosed(enclosed)?;
        if let Act::Answer { outcome: Outcome::Transit(_), note: Some(_) } = act {
            return Err(Mistake::Malformed(
                "note: a decision has none; what is to be told stands in its reason or its conditions".into(),
            ));
        }
        let said = match act {
            Act::Answer { outcome, .. } => Some(outcome.clone()),
            Act::Correct { outcome, reason } => Some(Correction::of(outcome.clone(), reason.clone()).outcome),
            _ => None,
        };
        if let Some(outcome) = said {
            let missing = outcome.missing();
            if !missing.is_empty() {
                return Err(Mistake::Malformed(format!("outcome.{}", missing.join("; outcome."))));
            }
            if !outcome.answers(exchange.kind()) {
                return Err(Mistake::Malformed("that answer belongs to another kind of exchange".into()));
            }
        }
        self.check_sense(exchange.peer(), now, |occasion| {
            occasion.contradictions_in_act(act, exchange.subject())
        })?;
        let body = act_body(&exchange, standing, act)?;
        if !body.codes_are_known() {
            return Err(Mistake::Malformed(format!(
                "{name}: a code that is in none of our lists; the other State could not tell what is meant"
            )));
        }
        body.check(0).map_err(|_| {
            Mistake::Malformed(format!("{name}: a list is too long, or empty where one entry is needed"))
        })?;
        exchange.admits(exchange.side(), &body).map_err(|fault| {
            Mistake::Malformed(match fault {
                Fault::BodyForbidden => "the answer names fields that were not presented, or none: speak only of what was presented [R-10.5]".into(),
                _ => "that answer belongs to another kind of exchange".to_owned(),
            })
        })?;
        self.may_send(body.kind())
    }

    /// Whether what we are about to say to `peer` can be so.
    fn check_sense(
        &self,
        peer: &NodeId,
        now: Timestamp,
        contradictions: impl FnOnce(Occasion<'_>) -> Vec<String>,
    ) -> Result<(), Mistake> {
        let them = self.peer(peer).map(|peer| &peer.chain.current().state);
        let Some((own, them)) = self.own.as_ref().zip(them) else { return Ok(()) };
        match contradictions(Occasion { us: &own.current().state, them, now }) {
            found if found.is_empty() => Ok(()),
            found => Err(Mistake::Malformed(found.join("; "))),
        }
    }

    /// for ourselves: no use in sending what the other State must refuse.
    fn may_send(&self, kind: Kind) -> Result<(), Mistake> {
        let functions = self.own.as_ref().map(|own| own.current().functions.clone()).unwrap_or_default();
        if kind.is_open_to(&functions) {
            Ok(())
        } else {
            Err(Mistake::Forbidden(format!(
                "our key set gives this authority no function that may send {kind}; an authority with that function must, or the key set must be renewed [R-13.2]"
            )))
        }
    }

    /// What an idempotency key created before: the exchange. A mistake if it was another request.
    pub fn created_by(&self, shelf: &impl Shelf, key: &IdempotencyKey) -> Result<Option<MessageId>, Mistake> {
        let Some(row) = shelf.get(Table::Key, key.key.as_str().as_bytes()) else { return Ok(None) };
        let (digest, id) = row.split_at_checked(32).unwrap_or((&row, &[]));
        if digest != key.digest.as_bytes() {
            return Err(Mistake::KeyReused);
        }
        Ok(message_id(id))
    }

    /// Take in one recorded line, and say what is owed because of it. A round is atomic: on a replay what was
    /// owed is recorded right behind, and the effects are dropped.
    pub fn apply(&mut self, shelf: &mut impl Shelf, staged: &Staged) -> Vec<Effect> {
        match &staged.record {
            Record::Alert { alert } => {
                if let Alert::Forked { node, .. } = alert {
                    self.change_peer(node, |peer| peer.row.forked = true);
                }
                Vec::new()
            }
            Record::Deadline { exchange, .. } => self.apply_deadline(shelf, staged, exchange),
            Record::Denied { from, id, exchange, number, .. } => {
                if let Some(id) = id {
                    self.note_seen(shelf, from, id, staged.leaf);
                }
                self.change_peer(from, |peer| {
                    if let Some(number) = number {
                        peer.row.numbers.came(number.log, number.seq);
                    }
                    if peer.row.denied_day != day(staged.at) {
                        (peer.row.denied_day, peer.row.denied) = (day(staged.at), 0);
                    }
                    peer.row.denied += 1;
                });
                if let Some(exchange) = exchange {
                    self.change_exchange(shelf, exchange, staged);
                }
                Vec::new()
            }
            // What was given out, or vouched for, changes nothing of what we believe.
            Record::Backup { .. } | Record::Export { .. } | Record::Genesis { .. } => Vec::new(),
            Record::HeadSeen { node, head, .. } => {
                if let Some(key) = self.peers.get(node).map(|peer| peer.head_key(head.size)) {
                    shelf.put(Table::Head, &key, staged.leaf.0.to_be_bytes().to_vec());
                }
                self.change_peer(node, |peer| {
                    peer.row.head = *head;
                    peer.row.head_leaf = Some(staged.leaf);
                });
                Vec::new()
            }
            Record::KeySet { node, key_set } => {
                self.apply_key_set(shelf, node, key_set, staged);
                Vec::new()
            }
            Record::Order { order, by, key, .. } => self.apply_order(shelf, staged, order, by, key.as_ref()),
            Record::Part { exchange, .. } => {
                self.change_exchange(shelf, exchange, staged);
                Vec::new()
            }
            Record::Query { exchange, rule, found, on } => {
                self.apply_query(shelf, staged, exchange, rule, found.as_ref(), *on)
            }
            Record::Receipt { node, message, .. } => {
                let mut of = None;
                let outbox_key = |leaf: LeafIndex| peer_key(node, &leaf.0.to_be_bytes());
                self.change_peer(node, |peer| {
                    let leaf = peer.places.remove(message);
                    of = leaf.and_then(|leaf| Some((leaf, peer.outbox.remove(&leaf)?)));
                });
                if let Some((leaf, owed)) = of {
                    shelf.remove(Table::Outbox, &outbox_key(leaf));
                    self.change_exchange(shelf, &owed.exchange, staged);
                }
                Vec::new()
            }
            Record::Received { .. } => self.apply_received(shelf, staged),
            Record::Search { exchange, rule, found, .. } => {
                self.apply_search(shelf, staged, exchange, rule, found.as_ref())
            }
            Record::Sent { .. } => {
                self.apply_sent(shelf, staged);
                Vec::new()
            }
        }
    }

    fn apply_key_set(&mut self, shelf: &mut impl Shelf, node: &NodeId, key_set: &str, staged: &Staged) {
        let targets_of = |desk: &Self| {
            let chain =
                if *node == desk.us { desk.own.as_ref() } else { desk.peers.get(node).map(Peer::chain) };
            chain.map(|chain| (chain.current().calendar.clone(), chain.current().targets.clone()))
        };
        let before = targets_of(self);
        self.extend_key_sets(shelf, node, key_set, staged.leaf);
        if before != targets_of(self) {
            self.set_due_anew(shelf, node);
        }
        self.distrust(shelf, staged);
    }

    /// What was sealed under a key that is revoked from before counts no more, also where it came before the revocation:
    /// the record that revokes it becomes part of each exchange it concerns.
    fn distrust(&mut self, shelf: &mut impl Shelf, staged: &Staged) {
        let Some((node, key_sets)) = staged.record.key_sets() else { return };
        // The lines of exchanges are read below.
        self.settle(shelf);
        let revoked = key_set::revocations(key_sets);
        let Some(since) = revoked.iter().map(|revocation| revocation.untrusted_from).min() else { return };
        // Some rows of the list at a time: there may be very many.
        for rows in 0..=staged.leaf.0 >> 16 {
            let mut concerned = Vec::new();
            for (_, row) in shelf.scan(Table::Listing, &rows.to_be_bytes()[2..], usize::MAX) {
                let Some(summary) = read::<ExchangeSummary>(Some(row)) else { continue };
                if (summary.peer == *node || *node == self.us)
                    && summary.updated >= since
                    && self
                        .exchange(shelf, &summary.id)
                        .is_some_and(|exchange| exchange.rests_on(node, &revoked))
                {
                    concerned.push(summary.id);
                }
            }
            for id in concerned {
                self.change_exchange(shelf, &id, staged);
            }
        }
    }

    /// What is due in the exchanges with `node`, or in all if that is us, by the key sets that are held now.
    fn set_due_anew(&self, shelf: &mut impl Shelf, node: &NodeId) {
        for (key, _) in shelf.scan(Table::Due, b"", usize::MAX) {
            let Some((at, id)) = due_row(&key) else { continue };
            let Some(exchange) = self.exchange(shelf, &id) else { continue };
            if *node != self.us && exchange.peer() != node {
                continue;
            }
            let due = self.due_of(&exchange);
            let due = due.filter(|due| !exchange.has_passed(*due) && has_place(&exchange));
            if due.map(|due| due.at) != Some(at) {
                shelf.remove(Table::Due, &key);
                if let Some(due) = due {
                    shelf.put(Table::Due, &due_key(due.at, &id), Vec::new());
                }
            }
        }
    }

    fn extend_key_sets(&mut self, shelf: &mut impl Shelf, node: &NodeId, key_set: &str, leaf: LeafIndex) {
        if *node == self.us {
            self.extend_own(key_set);
            self.own_row.key_sets.push(leaf);
            shelf.put(Table::Peer, b"", write(&self.own_row));
        } else {
            self.change_peer(node, |peer| {
                if peer.chain.extend(key_set).is_ok() {
                    peer.row.key_sets.push(leaf);
                }
            });
        }
    }

    fn extend_own(&mut self, key_set: &str) {
        match &mut self.own {
            Some(own) => drop(own.extend(key_set)),
            None => self.own = KeyChain::parse(key_set).ok(),
        }
    }

    fn apply_order(
        &mut self,
        shelf: &mut impl Shelf,
        staged: &Staged,
        order: &Order,
        by: &By,
        key: Option<&IdempotencyKey>,
    ) -> Vec<Effect> {
        match order {
            Order::Act { exchange: id, act, enclosed, .. } => {
                self.change_exchange(shelf, id, staged);
                if let Some(key) = key {
                    note_key(shelf, key, id);
                }
                let Some(exchange) = self.exchange(shelf, id) else { return Vec::new() };
                let Ok(body) = act_body(&exchange, exchange.standing(), act) else { return Vec::new() };
                vec![self.reply(&exchange, body, by.clone(), enclosed.clone())]
            }
            Order::AdmitPeer { node, key_sets, channel } => {
                self.admit(shelf, node, key_sets, channel, staged);
                Vec::new()
            }
            Order::ImportFirearms { digest, .. } => {
                self.own_row.firearms = Some(*digest);
                shelf.put(Table::Peer, b"", write(&self.own_row));
                Vec::new()
            }
            Order::ImportLicences { digest, .. } => {
                self.own_row.licences = Some(*digest);
                shelf.put(Table::Peer, b"", write(&self.own_row));
                Vec::new()
            }
            Order::InstallKeySet { node, key_set } => {
                self.apply_key_set(shelf, node, key_set, staged);
                Vec::new()
            }
            Order::Open { peer, opening } => vec![Effect::Send(Box::new(Draft {
                peer: peer.clone(),
                exchange: None,
                irt: None,
                body: opening.question.body(),
                handling: opening
                    .handling
                    .clone()
                    .unwrap_or_else(|| default_handling(opening.question.kind())),
                by: by.clone(),
                case_ref: opening.case_ref.clone(),
                enclosed: opening.enclosed.clone(),
            }))],
            Order::RemovePeer { node, .. } => {
                self.change_peer(node, |peer| peer.row.removed = true);
                Vec::new()
            }
            Order::SetRules { node, rules } => {
                self.change_peer(node, |peer| peer.row.rules = rules.clone());
                Vec::new()
            }
        }
    }

    fn admit(
        &mut self,
        shelf: &mut impl Shelf,
        node: &NodeId,
        key_sets: &str,
        channel: &Line,
        staged: &Staged,
    ) {
        let Ok(chain) = KeyChain::parse(key_sets) else { return };
        let before = self.peers.remove(node);
        let next_seq = before.as_ref().map_or(1, |peer| peer.row.next_seq);
        // The same roots as before: the same log, and what is still owed. Other roots: another node of that name, with
        // numbers of its own, and nothing is owed to it. Our numbers go on: our log does.
        let same = before.filter(|peer| peer.chain.fingerprint() == chain.fingerprint());
        let fresh = PeerRow {
            added: staged.leaf,
            since: staged.leaf,
            admitted: staged.at,
            removed: false,
            key_sets: Vec::new(),
            rules: Rules::default(),
            next_seq,
            numbers: Numbers::default(),
            head: TreeHead::empty(),
            head_leaf: None,
            forked: false,
            open: 0,
            denied_day: 0,
            denied: 0,
        };
        let peer = match same {
            Some(peer) => {
                // An older file does not take back newer key sets that we hold.
                let older = chain.current().version < peer.chain.current().version;
                let (added, key_sets) =
                    if older { (peer.row.added, peer.row.key_sets) } else { (staged.leaf, Vec::new()) };
                Peer {
                    row: PeerRow {
                        added,
                        key_sets,
                        since: peer.row.since,
                        numbers: peer.row.numbers,
                        head: peer.row.head,
                        head_leaf: peer.row.head_leaf,
                        open: peer.row.open,
                        ..fresh
                    },
                    chain: if older { peer.chain } else { chain },
                    channel: channel.clone(),
                    outbox: peer.outbox,
                    places: peer.places,
                    unrecorded: peer.unrecorded,
                }
            }
            None => {
                for table in [Table::Outbox, Table::Given, Table::Wanted] {
                    for (key, _) in shelf.scan(table, &peer_key(node, &[]), usize::MAX) {
                        shelf.remove(table, &key);
                    }
                }
                Peer {
                    row: fresh,
                    chain,
                    channel: channel.clone(),
                    outbox: BTreeMap::new(),
                    places: HashMap::new(),
                    unrecorded: 0,
                }
            }
        };
        self.peers.insert(node.clone(), peer);
        self.change_peer(node, |_| ());
        self.set_due_anew(shelf, node);
        self.distrust(shelf, staged);
    }

    fn apply_sent(&mut self, shelf: &mut impl Shelf, staged: &Staged) {
        let Some(verified) = &staged.message else { return };
        let (message, id, exchange) = (verified.message(), verified.id(), verified.exchange());
        let owed = Owed { id, exchange };
        self.change_peer(&message.aud, |peer| {
            peer.row.next_seq = peer.row.next_seq.max(message.seq + 1);
            peer.outbox.insert(staged.leaf, owed);
            peer.places.insert(id, staged.leaf);
        });
        let row = [id.0.as_bytes().as_slice(), exchange.0.as_bytes()].concat();
        shelf.put(Table::Outbox, &peer_key(&message.aud, &staged.leaf.0.to_be_bytes()), row);
        self.change_exchange(shelf, &exchange, staged);
        for attachment in &message.attachments {
            shelf.put(Table::Given, &peer_key(&message.aud, attachment.digest.as_bytes()), Vec::new());
        }
        if let Body::TraceRequest(request) = &message.body {
            shelf.put(Table::Case, &case_key(&request.trace_case, Some(&exchange)), Vec::new());
        }
        // The opener was ordered just before, in the same round: that order's key names this exchange.
        if message.thr.is_none() {
            let ordered = staged.leaf.0.checked_sub(1).and_then(|leaf| shelf.record(LeafIndex(leaf)));
            if let Some(Record::Order { key: Some(key), .. }) = ordered.map(|staged| staged.record) {
                note_key(shelf, &key, &exchange);
            }
        }
    }

    fn apply_received(&mut self, shelf: &mut impl Shelf, staged: &Staged) -> Vec<Effect> {
        let Some(verified) = &staged.message else { return Vec::new() };
        let message = verified.message();
        let id = verified.exchange();
        self.note_seen(shelf, &message.iss, &verified.id(), staged.leaf);
        if let Some(key) = self.peers.get(&message.iss).map(|peer| peer.sequence_key(message)) {
            shelf.put(Table::Sequence, &key, verified.id().0.as_bytes().to_vec());
        }
        self.change_peer(&message.iss, |peer| peer.row.numbers.came(message.log, message.seq));
        for attachment in &message.attachments {
            let key = peer_key(&message.iss, attachment.digest.as_bytes());
            shelf.put(Table::Wanted, &key, write(&Wanted { exchange: id, attachment: attachment.clone() }));
        }
        self.change_exchange(shelf, &id, staged);
        let sought = match message.body.subject() {
            Some(Subject::Licence(presented)) => {
                shelf.put(Table::Asked, &asked_key(&presented.licence_no, &message.iss, &id), Vec::new());
                Sought::Licence(presented.licence_no.clone())
            }
            Some(Subject::Trace(request)) => Sought::Item(Box::new(request.item.clone())),
            // Whether to object is for people to decide; a later message of an exchange asks for no register.
            Some(Subject::Transit(_)) | None => return Vec::new(),
        };
        let Some(exchange) = self.exchange(shelf, &id) else { return Vec::new() };
        match self.rule_for(shelf, &exchange, staged.at) {
            Ok(rule) => vec![Effect::Consult { exchange: id, rule, sought }],
            Err(_) => Vec::new(),
        }
    }

    /// A time has passed: the requesting State's node says so to the other, and nothing else follows.
    fn apply_deadline(&mut self, shelf: &mut impl Shelf, staged: &Staged, id: &MessageId) -> Vec<Effect> {
        self.change_exchange(shelf, id, staged);
        let Record::Deadline { due, .. } = &staged.record else { return Vec::new() };
        let Some(exchange) = self.exchange(shelf, id) else { return Vec::new() };
        // Nothing is said any more to a peer that was removed.
        let is_with_peer = self.peer(exchange.peer()).is_some();
        if exchange.side() == Side::Requested || is_full(&exchange) || !is_with_peer {
            return Vec::new();
        }
        let by = By::Auto { rule: "remind-when-overdue".parse().expect("a line") };
        let body = Body::Reminder(Reminder { due: due.at });
        vec![self.reply(&exchange, body, by, Enclosed::default())]
    }

    /// What has passed by `now` without what was owed, and is not recorded yet: at most `limit`. A row that is not true
    /// any more, for a newer key set or a removed peer, is put right.
    pub fn passed(&self, shelf: &mut impl Shelf, now: Timestamp, limit: usize) -> Vec<Record> {
        let rows = shelf.scan(Table::Due, b"", limit).into_iter();
        let by_now: Vec<_> =
            rows.filter_map(|(key, _)| due_row(&key)).take_while(|(at, _)| *at <= now).collect();
        let mut passed = Vec::new();
        for (at, id) in by_now {
            let exchange = self.exchange(shelf, &id);
            let due = exchange.as_ref().and_then(|exchange| {
                let due = self.due_of(exchange)?;
                (!exchange.has_passed(due) && has_place(exchange)).then_some((exchange.peer().clone(), due))
            });
            match due {
                Some((peer, due)) if due.at == at => {
                    passed.push(Record::Deadline { exchange: id, peer, due });
                }
                other => {
                    shelf.remove(Table::Due, &due_key(at, &id));
                    if let Some((_, due)) = other {
                        shelf.put(Table::Due, &due_key(due.at, &id), Vec::new());
                    }
                }
            }
        }
        passed
    }

    /// The State of a peer, also of one that was removed.
    pub fn state_of(&self, node: &NodeId) -> Option<StateCode> {
        self.peers.get(node).map(|peer| peer.chain.current().state.clone())
    }

    /// Whether `peer` may fetch the attachment of that digest: we named it in a message to it.
    pub fn gave(&self, shelf: &impl Shelf, peer: &NodeId, digest: &Hash) -> bool {
        self.peer(peer).is_some() && shelf.get(Table::Given, &peer_key(peer, digest.as_bytes())).is_some()
    }

    /// Attachments of `peer`'s messages that are to be fetched, at most `limit`.
    pub fn wanted(&self, shelf: &impl Shelf, peer: &NodeId, limit: usize) -> Vec<Wanted> {
        let rows = shelf.scan(Table::Wanted, &peer_key(peer, &[]), limit);
        rows.into_iter().filter_map(|(_, row)| read(Some(row))).collect()
    }

    /// The attachment is here, or is not wanted any more.
    pub fn has_fetched(shelf: &mut impl Shelf, peer: &NodeId, digest: &Hash) {
        shelf.remove(Table::Wanted, &peer_key(peer, digest.as_bytes()));
    }

    /// When something next passes, if anything is owed.
    pub fn next_due(&self, shelf: &impl Shelf) -> Option<Timestamp> {
        due_row(&shelf.scan(Table::Due, b"", 1).first()?.0).map(|(at, _)| at)
    }

    /// What the requested State owes next in this exchange, and by when: alike on both sides, once both hold the same
    /// messages, receipts and key sets.
    pub fn due_of(&self, exchange: &Exchange) -> Option<Due> {
        let peer = self.peers.get(exchange.peer())?;
        let own = self.own.as_ref()?;
        let delivered = exchange.opener().delivered(exchange.side())?;
        let (answering, asking) = match exchange.side() {
            Side::Requested => (own, &peer.chain),
            Side::Requesting => (&peer.chain, own),
        };
        deadline::due(exchange, answering.at(delivered), &asking.current().state)
    }

    /// The exchanges of one of our trace cases; with no case, of all.
    pub fn hops(&self, shelf: &impl Shelf, trace_case: Option<&Line>) -> Vec<MessageId> {
        let prefix = trace_case.map(|name| case_key(name, None)).unwrap_or_default();
        let rows = shelf.scan(Table::Case, &prefix, MAX_HOPS);
        rows.into_iter().filter_map(|(key, _)| message_id(key.get(key.len().checked_sub(32)?..)?)).collect()
    }

    /// The rule that answers this request, or why an officer must (R-SOV: nothing of our records moves without one
    /// or the other).
    pub fn rule_for(
        &self,
        shelf: &impl Shelf,
        exchange: &Exchange,
        now: Timestamp,
    ) -> Result<Line, &'static str> {
        let peer = self.peer(exchange.peer()).ok_or("the peer was removed")?;
        let (enabled, rule) = match exchange.kind() {
            Kind::AuthenticityCheck => (peer.row.rules.authenticity, "authenticity-from-licence-list"),
            Kind::TraceRequest => (peer.row.rules.traces, "trace-from-firearms-register"),
            Kind::TransitNotification => {
                return Err("whether to object to a transit is for an officer to decide");
            }
            _ => (peer.row.rules.verifications, "verification-from-licence-list"),
        };
        if !enabled {
            return Err("no rule answers this peer automatically");
        }
        if peer.standing(now) != PeerStanding::Active {
            return Err("the peer is not in good standing");
        }
        if !exchange.opener().message.is_understood() {
            return Err(
                "the request has conditions or members this node does not know: the strictest are assumed",
            );
        }
        let limit = peer.row.rules.attempts_per_licence as usize;
        if let Some(presented) = exchange.presented() {
            let asked = asked_key_of_peer(&presented.licence_no, exchange.peer());
            if shelf.scan(Table::Asked, &asked, limit + 1).len() > limit {
                return Err(
                    "this peer has asked about this licence more often than the rule allows [R-10.5]",
                );
            }
        }
        Ok(rule.parse().expect("a line"))
    }

    fn apply_query(
        &mut self,
        shelf: &mut impl Shelf,
        staged: &Staged,
        id: &MessageId,
        rule: &Line,
        found: Option<&licence::LicenceRecord>,
        today: jiff::civil::Date,
    ) -> Vec<Effect> {
        let Some(before) = self.exchange(shelf, id) else { return Vec::new() };
        let news = found.and_then(|record| news(&before, record, today));
        drop(before);
        self.change_exchange(shelf, id, staged);
        let Some(exchange) = self.exchange(shelf, id) else { return Vec::new() };
        let Some(presented) = exchange.presented() else { return Vec::new() };
        let by = By::Auto { rule: rule.clone() };
        if exchange.standing().state.is_open() {
            let Some(outcome) = propose(&exchange, found, today) else { return Vec::new() };
            return vec![self.reply(&exchange, answer_body(outcome, None), by, Enclosed::default())];
        }
        let Some(event) = news.filter(|_| !is_full(&exchange)) else { return Vec::new() };
        let notice = LicenceNotice {
            licence_no: presented.licence_no.clone(),
            event: Coded::Known(event),
            effective: today,
            note: None,
        };
        vec![self.reply(&exchange, Body::LicenceNotice(notice), by, Enclosed::default())]
    }

    /// The register of firearms was searched under a rule. What it does not find beyond doubt waits for an officer.
    fn apply_search(
        &mut self,
        shelf: &mut impl Shelf,
        staged: &Staged,
        id: &MessageId,
        rule: &Line,
        found: Option<&TraceResponse>,
    ) -> Vec<Effect> {
        self.change_exchange(shelf, id, staged);
        let Some(exchange) = self.exchange(shelf, id) else { return Vec::new() };
        let Some(response) = found.filter(|_| exchange.standing().state.is_open()) else { return Vec::new() };
        let by = By::Auto { rule: rule.clone() };
        vec![self.reply(&exchange, Body::TraceResponse(response.clone()), by, Enclosed::default())]
    }

    /// The exchanges in which others asked us about a licence.
    pub fn asked_about(&self, shelf: &impl Shelf, licence: &LicenceNo) -> Vec<MessageId> {
        let rows = shelf.scan(Table::Asked, licence_digest(licence).as_bytes(), usize::MAX);
        rows.into_iter().filter_map(|(key, _)| message_id(key.get(key.len().checked_sub(32)?..)?)).collect()
    }

    /// A message of ours in an exchange under way.
    fn reply(&self, exchange: &Exchange, body: Body, by: By, enclosed: Enclosed) -> Effect {
        Effect::Send(Box::new(Draft {
            peer: exchange.peer().clone(),
            exchange: Some(exchange.id()),
            irt: exchange.last_of(exchange.side().other()),
            body,
            enclosed,
            // Whoever gives information sets its conditions (Art. 12(5)): an answer does not take over those of the question.
            handling: match (exchange.side(), exchange.kind()) {
                (Side::Requesting, _) => exchange.opener().message.handling.clone(),
                (Side::Requested, kind) => default_handling(kind),
            },
            by,
            case_ref: exchange.case_ref().cloned(),
        }))
    }

    /// The message of `draft`, ready to be sealed at `now`. Sealed and recorded at once, or its number is taken twice.
    pub fn compose(
        &self,
        shelf: &impl Shelf,
        draft: Draft,
        log: u32,
        now: Timestamp,
        jti: &[u8; 16],
    ) -> Option<Message> {
        let peer = self.peer(&draft.peer)?;
        let exchange = draft.exchange.and_then(|id| self.exchange(shelf, &id));
        let last_of = |side: fn(Side) -> Side| exchange.as_ref().and_then(|e| e.last_of(side(e.side())));
        let theirs = exchange.as_ref().and_then(|e| {
            let last = e.last_of(e.side().other())?;
            e.get(&last)?.message.case.sender.clone()
        });
        Some(Message {
            iss: self.us.clone(),
            aud: draft.peer,
            iat: now,
            accept_until: now.plus(MAX_ACCEPT),
            jti: crate::jws::encode(jti),
            log,
            seq: peer.row.next_seq,
            thr: draft.exchange,
            irt: draft.irt,
            prev: last_of(|side| side),
            saw: last_of(Side::other),
            body: draft.body,
            beyond_us: false,
            handling: match draft.enclosed.parts.is_empty() {
                true => draft.handling,
                false => Handling { personal_data: Coded::Known(PersonalData::Present), ..draft.handling },
            },
            by: draft.by,
            lang: "en".into(),
            case: CaseRefs { sender: draft.case_ref, receiver: theirs },
            attachments: draft.enclosed.attachments,
            parts: draft.enclosed.parts,
        })
    }

    fn change_peer(&mut self, node: &NodeId, change: impl FnOnce(&mut Peer)) {
        if let Some(peer) = self.peers.get_mut(node) {
            change(peer);
            if !self.changed_peers.contains(node) {
                self.changed_peers.insert(node.clone());
            }
        }
    }

    /// Bring the rows of what changed up to date: once for a round, however often something in it changed. Before this,
    /// the shelf is behind; the desk itself never is.
    pub fn settle(&mut self, shelf: &mut impl Shelf) {
        for node in std::mem::take(&mut self.changed_peers) {
            if let Some(peer) = self.peers.get(&node) {
                shelf.put(Table::Peer, node.as_str().as_bytes(), write(&peer.row));
            }
        }
        for id in std::mem::take(&mut self.changed) {
            let Some(exchange) = self.at_hand.get(&id) else { continue };
            let places = exchange.places().iter().flat_map(|leaf| leaf.0.to_be_bytes()).collect();
            shelf.put(Table::Exchange, id.0.as_bytes(), places);
            let mut summary = exchange.summary(self.due_of(exchange));
            // A peer's words may be long, and a row is short.
            let texts = [Some(&mut summary.subject), summary.case_ref.as_mut(), summary.outcome.as_mut()];
            for text in texts.into_iter().flatten() {
                cut(text, MAX_SHOWN);
            }
            shelf.put(Table::Listing, &summary.leaf.to_be_bytes(), write(&summary));
        }
    }

    /// Take a record into its exchange.
    fn change_exchange(&mut self, shelf: &mut impl Shelf, id: &MessageId, staged: &Staged) {
        let at_hand = self.at_hand.remove(id);
        self.at_hand_bytes -= at_hand.as_ref().map_or(0, |exchange| exchange.bytes());
        let (exchange, was_open, was_due) = match at_hand.or_else(|| self.load(shelf, id)) {
            Some(exchange) => {
                // A revocation counts also where nothing more may be said: the row has room for some. What it cannot
                // hold is not taken in at hand either: after a restart we must believe the same.
                let most = if staged.record.key_sets().is_some() { ROW / 8 } else { MAX_PLACES };
                if exchange.places().len() >= most {
                    return self.keep_at_hand(exchange);
                }
                // Nobody else looks at it now: it is taken out, and not copied.
                let mut exchange = Arc::unwrap_or_clone(exchange);
                let was_open = exchange.standing().state.is_open();
                let due = self.due_of(&exchange).filter(|due| !exchange.has_passed(*due));
                exchange.add(staged);
                (exchange, was_open, due)
            }
            None => match Exchange::open(&self.us, staged) {
                Some(exchange) => (exchange, false, None),
                None => return,
            },
        };
        // Without room for the entry that it has passed, nothing would ever end the waiting for it.
        let is_due = self.due_of(&exchange).filter(|due| !exchange.has_passed(*due) && has_place(&exchange));
        if is_due != was_due {
            if let Some(was) = was_due {
                shelf.remove(Table::Due, &due_key(was.at, id));
            }
            if let Some(now) = is_due {
                shelf.put(Table::Due, &due_key(now.at, id), Vec::new());
            }
        }
        let is_open = exchange.standing().state.is_open();
        if was_open != is_open {
            self.change_peer(exchange.peer(), |peer| {
                peer.row.open = if is_open { peer.row.open + 1 } else { peer.row.open.saturating_sub(1) };
            });
        }
        self.changed.insert(*id);
        self.keep_at_hand(Arc::new(exchange));
    }

    fn keep_at_hand(&mut self, exchange: Arc<Exchange>) {
        let bytes = exchange.bytes();
        if self.at_hand.len() >= AT_HAND || self.at_hand_bytes + bytes > AT_HAND_BYTES {
            self.at_hand.retain(|id, _| self.changed.contains(id));
            self.at_hand_bytes = self.at_hand.values().map(|exchange| exchange.bytes()).sum();
        }
        self.at_hand_bytes += bytes;
        self.at_hand.insert(exchange.id(), exchange);
    }
}

/// Whether the row of an exchange has room for one more record of ours.
fn has_place(exchange: &Exchange) -> bool {
    exchange.places().len() < MAX_PLACES
}

/// Whether what was seen of a message is that it was refused for good.
fn is_refusal(shelf: &impl Shelf, leaf: LeafIndex) -> bool {
    shelf.record(leaf).is_some_and(|staged| matches!(staged.record, Record::Denied { .. }))
}

/// Whether nothing more may be said in an exchange: the places left are for receipts of what was said.
fn is_full(exchange: &Exchange) -> bool {
    exchange.len() >= exchange::MAX_MESSAGES || exchange.places().len() >= MAX_PLACES - exchange::MAX_MESSAGES
}

/// An exchange as the log has it: folded from the records at its places.
pub fn load_exchange(us: &NodeId, shelf: &impl Shelf, id: &MessageId) -> Option<Exchange> {
    let places = shelf.get(Table::Exchange, id.0.as_bytes())?;
    let mut records = places.chunks_exact(8).filter_map(|bytes| {
        shelf.record(LeafIndex(u64::from_be_bytes(bytes.try_into().expect("chunks of 8"))))
    });
    let mut exchange = Exchange::open(us, &records.next()?)?;
    exchange.add_all(records);
    Some(exchange)
}

/// What our licence list would answer to the request that opened `exchange`; `None` if that asks about no licence.
pub fn propose(
    exchange: &Exchange,
    found: Option<&licence::LicenceRecord>,
    today: jiff::civil::Date,
) -> Option<Outcome> {
    let presented = exchange.presented()?;
    Some(match exchange.kind() {
        Kind::AuthenticityCheck => Outcome::Authenticity(licence::authenticate(found, presented, today)),
        _ => Outcome::Answer(licence::verify(found, presented, today)),
    })
}

/// What became of a licence since we last spoke of it, if that is to be told: to those who were answered and whose
/// document agrees with ours, while the exchange has room.
pub fn news(
    exchange: &Exchange,
    record: &licence::LicenceRecord,
    today: jiff::civil::Date,
) -> Option<LicenceEvent> {
    let standing = exchange.standing();
    let after = Basis::of(record, today);
    // Where our list did not have the licence when we spoke of it, what we said of it is what they believe.
    let told = || standing.outcome.as_ref().and_then(Outcome::told).map(|status| (status, after.version));
    let before = exchange.basis().map(|basis| (basis.status, basis.version)).or_else(told);
    let event = LicenceEvent::between(before, (after.status, after.version))?;
    // Nor to those who were told nothing: an officer who could not confirm has not let a rule speak for him (R-SOV).
    let spoke = !matches!(standing.outcome, Some(Outcome::Answer(licence::Answer::CannotConfirm { .. })));
    let wanted = standing.state == State::Answered
        && spoke
        && exchange.len() < exchange::MAX_MESSAGES
        && exchange.presented().is_some_and(|presented| licence::agrees(record, presented));
    wanted.then_some(event)
}

/// The conditions usual for what is said in an exchange opened by `kind`.
fn default_handling(kind: Kind) -> Handling {
    match kind {
        Kind::AuthenticityCheck => Handling::for_licences(LegalBasis::Article10Para5),
        Kind::TraceRequest => Handling::for_traces(),
        Kind::TransitNotification => Handling::for_transit(),
        _ => Handling::for_licences(LegalBasis::Article10Para2a),
    }
}

/// What must be there before a question may be sent: the rule's id, its article, and what to do.
fn check_question(question: &Question, enclosed: &Enclosed) -> Result<(), Mistake> {
    let malformed = |text: String| Err(Mistake::Malformed(text));
    let unbounded = match question {
        Question::Authenticity { presented } | Question::Verification { presented }
            if !presented.is_bounded() =>
        {
            Some("presented.lines: at most 100, each with its own line number")
        }
        Question::Trace { request, .. } if !request.is_bounded() => Some(
            "request: hop from 1; at most 16 of each list, 32 marks, 16 component serials and 4 calibres; no text over its length",
        ),
        Question::Transit { notification } if !notification.is_bounded() => Some(
            "notification: at most 16 import licences and 16 States of transit, at most 100 lines each with its own number",
        ),
        _ => None,
    };
    if let Some(why) = unbounded {
        return malformed(why.into());
    }
    match question {
        Question::Authenticity { presented } if !presented.enough_for_authenticity() => malformed(
            "presented: give the date of issue, the final recipient or the goods beside the number. The answer (Art. 10(5)) speaks only of what is presented [R-10.5]".into(),
        ),
        Question::Verification { presented } if !presented.missing_for_verification().is_empty() => {
            let missing = presented.missing_for_verification();
            let names =
                missing.iter().map(|field| format!("presented.{field}")).collect::<Vec<_>>().join(", ");
            malformed(format!(
                "{names}: missing. A verification (Art. 10(2)(a)) presents the licence itself, not only its number [R-10.5]"
            ))
        }
        Question::Trace { request, looked_again } => {
            let photos = attachment::photos(&enclosed.attachments);
            let missing = request.missing(photos);
            if !missing.is_empty() {
                return malformed(format!(
                    "request.{} [R-12.4, Art. 12(4), ITI 18]",
                    missing.join("; request.")
                ));
            }
            match doubts(&request.item) {
                doubts if doubts.is_empty() || *looked_again => Ok(()),
                doubts => malformed(format!(
                    "{}. If an officer looked again and it stands, say so with looked_again [R-12.4, serial handling 7]",
                    doubts.join("; ")
                )),
            }
        }
        Question::Transit { notification } => match notification.missing().as_slice() {
            [] => Ok(()),
            missing => malformed(format!("notification.{}", missing.join("; notification."))),
        },
        _ => Ok(()),
    }
}

/// What to look at again in the description of an item before another State is asked: a wrong string or a
/// contradiction costs weeks, and only an officer can tell (law/requirements 6.3, serial handling 7; scenario T8).
fn doubts(item: &Item) -> Vec<String> {
    let mut doubts: Vec<String> =
        item.contradictions().iter().map(|contradiction| format!("request.item: {contradiction}")).collect();
    for (place, mark) in item.marks().iter().enumerate() {
        let Some(raw) = mark.raw_of(MarkKind::Serial) else { continue };
        let found = serial::warnings(raw.as_str(), item);
        doubts.extend(
            found.iter().map(|warning| format!("request.item.marks.{place}.raw, \"{raw}\": {warning}")),
        );
    }
    doubts
}

fn check_enclosed(enclosed: &Enclosed) -> Result<(), Mistake> {
    if !attachment::are_bounded(&enclosed.attachments) {
        return Err(Mistake::Malformed(
            "enclosed.attachments: at most 16, each as the node returned it when it was put in".into(),
        ));
    }
    if !enclosed.parts.is_empty() {
        return Err(Mistake::Malformed(
            "enclosed.parts: give enclosed.persons, the node makes the parts".into(),
        ));
    }
    if enclosed.persons.len() > attachment::MAX_PARTS {
        return Err(Mistake::Malformed("enclosed.persons: at most 16".into()));
    }
    Ok(())
}

fn answer_body(outcome: Outcome, note: Option<crate::authority::Prose>) -> Body {
    match outcome {
        Outcome::Answer(answer) => {
            Body::LicenceVerificationResponse(LicenceVerificationResponse { answer, note })
        }
        Outcome::Authenticity(result) => Body::AuthenticityResult(AuthenticityResult { result, note }),
        Outcome::Trace(response) => {
            Body::TraceResponse(TraceResponse { note: response.note.clone().or(note), ..response })
        }
        Outcome::Transit(decision) => Body::TransitDecision(decision),
    }
}

fn act_body(exchange: &Exchange, standing: &Standing, act: &Act) -> Result<Body, Mistake> {
    Ok(match act.clone() {
        Act::Acknowledge { unit, expected, note } => {
            Body::Acknowledgement(Acknowledgement { unit, expected, note })
        }
        Act::Answer { outcome, note } => answer_body(outcome, note),
        Act::AskClarification { question } => Body::ClarificationRequest(ClarificationRequest { question }),
        Act::AskInformation { questions } => Body::InformationRequest(InformationRequest { questions }),
        Act::Clarify { answer } => Body::Clarification(Clarification { answer }),
        Act::Conclude { outcome } => Body::TraceOutcome(outcome),
        Act::Correct { outcome, reason } => Body::Correction(Correction::of(outcome, reason)),
        Act::Notify { event, effective, note } => Body::LicenceNotice(LicenceNotice {
            licence_no: exchange
                .presented()
                .map(|presented| presented.licence_no.clone())
                .ok_or_else(|| Mistake::Malformed("no licence is asked about here".into()))?,
            event: Coded::Known(event),
            effective,
            note,
        }),
        Act::ReplyToConditions { accepted, note } => Body::ConditionReply(ConditionReply {
            of: standing.decided.ok_or_else(|| Mistake::Forbidden("there are no conditions".into()))?,
            accepted,
            note,
        }),
        Act::Rescind { reason } => Body::TransitDecisionWithdrawal(TransitDecisionWithdrawal { reason }),
        Act::SupplyInformation { answers, item } => {
            Body::InformationSupply(InformationSupply { answers, item })
        }
        Act::Withdraw { reason } => Body::Withdrawal(Withdrawal { reason }),
    })
}

/// Shorten `text` to at most `limit` bytes of JSON: quotation marks count twice there.
fn cut(text: &mut String, limit: usize) {
    let mut written = 0;
    let end = text.char_indices().find(|(_, char)| {
        written += if matches!(char, '"' | '\\') { 2 } else { char.len_utf8() };
        written > limit
    });
    if let Some((end, _)) = end {
        text.truncate(end);
    }
}

fn note_key(shelf: &mut impl Shelf, key: &IdempotencyKey, exchange: &MessageId) {
    let row = [key.digest.as_bytes().as_slice(), exchange.0.as_bytes()].concat();
    shelf.put(Table::Key, key.key.as_str().as_bytes(), row);
}

fn message_id(bytes: &[u8]) -> Option<MessageId> {
    Some(MessageId(Hash::from_bytes(bytes.try_into().ok()?)))
}

/// A node id has no NUL, so this separates.
fn peer_key(node: &NodeId, rest: &[u8]) -> Vec<u8> {
    [node.as_str().as_bytes(), &[0], rest].concat()
}

fn licence_digest(licence: &LicenceNo) -> Hash {
    Hash::of(licence.canonical().as_bytes())
}

fn asked_key_of_peer(licence: &LicenceNo, peer: &NodeId) -> Vec<u8> {
    [licence_digest(licence).as_bytes().as_slice(), &peer_key(peer, &[])].concat()
}

fn asked_key(licence: &LicenceNo, peer: &NodeId, exchange: &MessageId) -> Vec<u8> {
    [asked_key_of_peer(licence, peer).as_slice(), exchange.0.as_bytes()].concat()
}

fn due_key(at: Timestamp, exchange: &MessageId) -> Vec<u8> {
    [at.0.to_be_bytes().as_slice(), exchange.0.as_bytes()].concat()
}

fn due_row(key: &[u8]) -> Option<(Timestamp, MessageId)> {
    let (at, id) = key.split_at_checked(8)?;
    Some((Timestamp(u64::from_be_bytes(at.try_into().ok()?)), message_id(id)?))
}

/// A line has no NUL, so this separates.
fn case_key(trace_case: &Line, exchange: Option<&MessageId>) -> Vec<u8> {
    let id = exchange.map_or(&[][..], |id| id.0.as_bytes());
    [trace_case.as_str().as_bytes(), &[0], id].concat()
}

fn write<T: Serialize>(row: &T) -> Vec<u8> {
    serde_json::to_vec(row).expect("rows have string keys")
}

fn read<T: for<'de> Deserialize<'de>>(row: Option<Vec<u8>>) -> Option<T> {
    serde_json::from_slice(&row?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t8_a_wrong_string_is_stopped_at_the_sender_until_an_officer_looked_again() {
        let ask = |serial: &str, looked_again: bool| {
            let request = serde_json::json!({
                "trace_case": "RS-1", "hop": 1, "urgency": "ROUTINE", "illicit_basis": ["SUSPECTED"],
                "legal_justification": "Found.", "suspected_offences": ["UNKNOWN"],
                "recovery": {"mode": "FOUND", "date": "2026-11-20", "place": "Novi Sad", "circumstances": "Found."},
                "item": {"item": "firearm", "type": "F-PIS", "action": "SEMI_AUTO", "provenance": "UNKNOWN",
                    "marks": [{"kind": "SERIAL", "raw": serial, "state": "INTACT"}]},
                "identification": "TRAINED_OFFICER", "no_photo_reason": "none taken",
                "national_search": {"registers": ["national"], "date": "2026-11-20", "result": "Nothing."},
                "questions": ["DISPOSITION"], "intended_use": "INVESTIGATION"
            });
            let request = serde_json::from_value(request).expect("a request");
            check_question(&Question::Trace { request, looked_again }, &Enclosed::default())
        };
        let Err(Mistake::Malformed(why)) = ask("1005-19-016-2243", false) else { panic!("it was sent") };
        assert!(
            why.contains("marks.0") && why.contains("NATO stock number") && why.contains("R-12.4"),
            "{why}"
        );
        assert_eq!(ask("1005-19-016-2243", true), Ok(()));
        assert_eq!(ask("TAC 48317", false), Ok(()));
    }
}

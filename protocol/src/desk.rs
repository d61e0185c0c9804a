//! All conversations: what the node believes, as a fold over its own log.
//!
//! [`Desk::apply`] takes one recorded line and returns what is owed because of it; [`Desk::judge`] says whether a
//! verified message may be recorded; [`Desk::check`] says whether an order may be given. Nothing else changes the
//! desk's mind, so replaying the log gives the same desk. [`Desk::settle`] writes the rows of what changed, once a round.
//! What it need not hold at hand lies on a [`Shelf`]: tables that can be rebuilt from the log, and the log's own records.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::due::due_key;
use self::judge::is_refusal;
use self::rows::{
    MAX_SHOWN, ROW, attempts, case_key, cut, licence_digest, message_id, peer_key, places, read, write,
};
use crate::attachment::Attachment;
use crate::authority::{By, Line, NodeId, StateCode, Timestamp};
use crate::entry::{Basis, IdempotencyKey, Record, Staged};
use crate::exchange::{Exchange, Said};
use crate::handling::Handling;
use crate::item::Item;
use crate::key_set::KeyChain;
use crate::licence::{LicenceEvent, LicenceNo};
use crate::merkle::{Hash, LeafIndex};
use crate::message::{Body, Kind, MessageId, Outcome};
use crate::operator::{Enclosed, Mistake, Order, PeerStanding, State};
use crate::{exchange, licence};

mod apply;
mod check;
mod due;
mod judge;
mod peer;
mod rows;

pub use peer::Peer;

/// How far a peer's clock may be ahead of ours, in seconds.
pub const MAX_AHEAD: u64 = 300;
/// Most refusals for good that get an entry of their own, per peer and day.
pub const MAX_DENIED_A_DAY: u32 = 100;
/// Most open exchanges a peer may have with us, over both directions.
pub const MAX_OPEN: u64 = 100_000;
/// Most attachments of a peer's messages that may be still to come.
pub const MAX_WANTED: usize = 1024;
/// Most messages of ours that a peer may leave without a receipt before nothing new is opened with it.
pub const MAX_UNDELIVERED: usize = 100_000;
/// Most hops of trace cases shown at once.
const MAX_HOPS: usize = 4096;
/// Exchanges held at hand, and as many that were before; the others are read again from the log.
const AT_HAND: usize = 2048;
/// Bytes of messages held at hand: a peer may make its own long.
const AT_HAND_BYTES: usize = 32 * 1024 * 1024;
/// Most records of ours that belong to one exchange; as many places fit into one row of the index.
const MAX_PLACES: usize = 120;

/// A table on the shelf.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum Table {
    /// Licence digest, peer, place of the opener: the exchange in which it asked about that licence.
    Asked = b'a',
    /// Licence digest and peer: in how many exchanges it asked about that licence.
    Attempts = b't',
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
    /// Peer's first admission and message id: the place of the first `msg.rcvd` or `denied` about it. Kept for ever. What
    /// opened an exchange has no row: that of the exchange says the same.
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
    /// Whether the peer says itself that it does not hold it any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_lost: bool,
}

/// A message of ours that its addressee has not receipted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Owed {
    /// Its id.
    pub id: MessageId,
    /// The exchange it belongs to.
    pub exchange: MessageId,
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
    /// What was at hand before, and has not changed since.
    before: HashMap<MessageId, Arc<Exchange>>,
    /// Exchanges whose rows do not say yet what they came to: all of these are at hand.
    changed: BTreeSet<MessageId>,
    /// Peers of whom the same is true.
    changed_peers: BTreeSet<NodeId>,
    /// Nodes whose key sets changed what is due when.
    due_anew: BTreeSet<NodeId>,
    /// The order that was taken in last, if it opens an exchange: its place and its key.
    ordered: Option<(LeafIndex, IdempotencyKey)>,
}

impl Desk {
    /// A desk before the first entry of its log.
    pub fn new(us: NodeId) -> Self {
        Self {
            us,
            own: None,
            own_row: OwnRow::default(),
            peers: BTreeMap::new(),
            at_hand: HashMap::new(),
            at_hand_bytes: 0,
            before: HashMap::new(),
            ordered: None,
            changed: BTreeSet::new(),
            changed_peers: BTreeSet::new(),
            due_anew: BTreeSet::new(),
        }
    }

    /// The desk as the index has it; the log's tail is then applied to it. `None` if the index cannot be what the log
    /// made: a peer left out would be a peer forgotten.
    pub fn open(us: NodeId, shelf: &impl Shelf) -> Option<Self> {
        let mut desk = Self::new(us);
        for (key, row) in shelf.scan(Table::Peer, b"", usize::MAX) {
            if key.is_empty() {
                desk.own_row = read(Some(row))?;
                for leaf in desk.own_row.key_sets.clone() {
                    desk.extend_own(shelf.record(leaf)?.record.key_set()?);
                }
            } else {
                let node: NodeId = std::str::from_utf8(&key).ok()?.parse().ok()?;
                let peer = Self::load_peer(&node, read(Some(row))?, shelf)?;
                desk.peers.insert(node, peer);
            }
        }
        Some(desk)
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
        self.held(id).cloned().or_else(|| self.load(shelf, id))
    }

    fn held(&self, id: &MessageId) -> Option<&Arc<Exchange>> {
        self.at_hand.get(id).or_else(|| self.before.get(id))
    }

    /// A message of ours without a receipt, if its exchange is at hand: one that was sent just now is.
    pub fn at_hand(&self, owed: &Owed) -> Option<&Said> {
        self.held(&owed.exchange)?.get(&owed.id)
    }

    fn load(&self, shelf: &impl Shelf, id: &MessageId) -> Option<Arc<Exchange>> {
        load_exchange(&self.us, shelf, id).map(Arc::new)
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

    /// The peer says itself that it does not hold the attachment any more. It is wanted on, until others need its place.
    pub fn has_lost(shelf: &mut impl Shelf, peer: &NodeId, digest: &Hash) {
        let key = peer_key(peer, digest.as_bytes());
        if let Some(wanted) = read::<Wanted>(shelf.get(Table::Wanted, &key)) {
            shelf.put(Table::Wanted, &key, write(&Wanted { is_lost: true, ..wanted }));
        }
    }

    /// A message of `peer`'s that names so many attachments is taken: what is lost makes room for them. Returns what is not
    /// asked for any more.
    pub fn make_room(&self, shelf: &mut impl Shelf, peer: &NodeId, named: usize) -> Vec<Hash> {
        let wanted = self.wanted(shelf, peer, MAX_WANTED);
        let beyond = (wanted.len() + named).saturating_sub(MAX_WANTED);
        let lost = wanted.into_iter().filter(|wanted| wanted.is_lost);
        let given_up: Vec<Hash> = lost.map(|lost| lost.attachment.digest).take(beyond).collect();
        for digest in &given_up {
            Self::has_fetched(shelf, peer, digest);
        }
        given_up
    }

    /// Whether the attachment of that digest is still asked for of `peer`, and what is known of it then.
    pub fn awaited(&self, shelf: &impl Shelf, peer: &NodeId, digest: &Hash) -> Option<Wanted> {
        read(shelf.get(Table::Wanted, &peer_key(peer, digest.as_bytes())))
    }

    /// Whether so many more attachments of `peer`'s may be still to come.
    fn has_room_for(&self, shelf: &impl Shelf, peer: &NodeId, named: usize) -> bool {
        let wanted = self.wanted(shelf, peer, MAX_WANTED);
        wanted.iter().filter(|wanted| !wanted.is_lost).count() + named <= MAX_WANTED
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
        if let Some(presented) = exchange.presented() {
            let limit = u64::from(peer.row.rules.attempts_per_licence);
            if attempts(shelf, &presented.licence_no, exchange.peer()) > limit {
                return Err(
                    "this peer has asked about this licence more often than the rule allows [R-10.5]",
                );
            }
        }
        Ok(rule.parse().expect("a line"))
    }

    /// The exchanges in which others asked us about a licence.
    pub fn asked_about(&self, shelf: &impl Shelf, licence: &LicenceNo) -> Vec<MessageId> {
        let rows = shelf.scan(Table::Asked, licence_digest(licence).as_bytes(), usize::MAX);
        rows.iter().filter_map(|(_, exchange)| message_id(exchange)).collect()
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
        for node in std::mem::take(&mut self.due_anew) {
            self.set_due_anew(shelf, &node);
        }
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
        // What opens an exchange has none yet: that need not be looked up. Where it has one, its sender lost his roots and
        // was admitted anew: it begins anew, too.
        let opens = staged.message.as_ref().is_some_and(|verified| verified.id() == *id);
        let held = at_hand.or_else(|| self.before.remove(id));
        let held = if opens { None } else { held.or_else(|| self.load(shelf, id)) };
        let (exchange, was_open, was_due) = match held {
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
        let is_full = self.at_hand.len() >= AT_HAND || self.at_hand_bytes + bytes > AT_HAND_BYTES;
        // What the round changed stays: where that is most of them, there is little to be put aside.
        if is_full && self.at_hand.len() >= 2 * self.changed.len() {
            self.before = std::mem::take(&mut self.at_hand);
            // Of those the rows are still to be written.
            self.at_hand.extend(self.changed.iter().filter_map(|id| self.before.remove_entry(id)));
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

/// Whether nothing more may be said in an exchange: the places left are for receipts of what was said.
fn is_full(exchange: &Exchange) -> bool {
    exchange.len() >= exchange::MAX_MESSAGES || exchange.places().len() >= MAX_PLACES - exchange::MAX_MESSAGES
}

/// An exchange as the log has it: folded from the records at its places.
pub fn load_exchange(us: &NodeId, shelf: &impl Shelf, id: &MessageId) -> Option<Exchange> {
    let row = shelf.get(Table::Exchange, id.0.as_bytes())?;
    let mut records = places(&row).filter_map(|leaf| shelf.record(leaf));
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

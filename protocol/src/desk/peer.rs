//! A peer, as far as our log tells.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::rows::{message_id, peer_key};
use super::{Desk, MAX_DENIED_A_DAY, MAX_OPEN, MAX_UNDELIVERED, Owed, Shelf, Table};
use crate::authority::{Line, NodeId, Timestamp};
use crate::entry::Record;
use crate::key_set::KeyChain;
use crate::merkle::{LeafIndex, TreeHead};
use crate::message::{Message, MessageId};
use crate::numbers::{Gap, Numbers};
use crate::operator::{Order, PeerStanding, Rules};

/// A peer, as far as the log tells.
#[derive(Clone, Debug)]
pub struct Peer {
    pub(super) row: PeerRow,
    pub(super) chain: KeyChain,
    pub(super) channel: Line,
    pub(super) outbox: BTreeMap<LeafIndex, Owed>,
    pub(super) places: HashMap<MessageId, LeafIndex>,
    pub(super) unrecorded: u64,
}

/// The part of a peer that is kept in the index.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PeerRow {
    /// The order that admitted it: its key sets start there.
    pub(super) added: LeafIndex,
    /// The order that first admitted these roots: what was seen of it is kept under that.
    pub(super) since: LeafIndex,
    pub(super) admitted: Timestamp,
    #[serde(default)]
    pub(super) removed: bool,
    #[serde(default)]
    pub(super) key_sets: Vec<LeafIndex>,
    #[serde(default)]
    pub(super) rules: Rules,
    pub(super) next_seq: u64,
    #[serde(default)]
    pub(super) numbers: Numbers,
    pub(super) head: TreeHead,
    #[serde(default)]
    pub(super) head_leaf: Option<LeafIndex>,
    #[serde(default)]
    pub(super) forked: bool,
    #[serde(default)]
    pub(super) open: u64,
    /// Whether a message of its was refused for good without a number: only such a one can have come before although
    /// its number is beyond all that came.
    #[serde(default)]
    pub(super) refused_unnumbered: bool,
    #[serde(default)]
    pub(super) denied_day: u64,
    #[serde(default)]
    pub(super) denied: u32,
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
    pub(super) fn is_over_its_ceilings(&self) -> bool {
        self.row.open >= MAX_OPEN || self.outbox.len() >= MAX_UNDELIVERED
    }

    /// Whether this may have come before. If not, it need not be looked for.
    pub(super) fn may_have_sent(&self, message: &Message) -> bool {
        self.row.refused_unnumbered || !self.row.numbers.is_beyond(message.log, message.seq)
    }

    pub(super) fn seen_key(&self, id: &MessageId) -> Vec<u8> {
        [self.row.since.0.to_be_bytes().as_slice(), id.0.as_bytes()].concat()
    }

    pub(super) fn sequence_key(&self, message: &Message) -> Vec<u8> {
        let numbers = [self.row.since.0, u64::from(message.log), message.seq];
        numbers.into_iter().flat_map(u64::to_be_bytes).collect()
    }

    pub(super) fn head_key(&self, size: u64) -> Vec<u8> {
        [self.row.since.0, size].into_iter().flat_map(u64::to_be_bytes).collect()
    }

    /// Whether a refusal for good gets an entry of its own today; if not, it is counted.
    pub(super) fn may_record_denial(&self, now: Timestamp) -> bool {
        self.row.denied_day != day(now) || self.row.denied < MAX_DENIED_A_DAY
    }
}

pub(super) fn day(at: Timestamp) -> u64 {
    at.0 / 86_400
}

impl Desk {
    pub(super) fn load_peer(node: &NodeId, row: PeerRow, shelf: &impl Shelf) -> Option<Peer> {
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
            let leaf = LeafIndex(u64::from_be_bytes(key.get(prefix.len()..)?.try_into().ok()?));
            let (id, exchange) = value.split_at_checked(32)?;
            let owed = Owed { id: message_id(id)?, exchange: message_id(exchange)? };
            peer.places.insert(owed.id, leaf);
            peer.outbox.insert(leaf, owed);
        }
        Some(peer)
    }
}

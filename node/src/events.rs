//! What changed, for those who watch: which exchange, which peer, and whether the node can sign. Never what was said.
//!
//! The newest changes are kept here, by their places in the log; whoever comes back says which one it saw last, and
//! misses nothing. Who comes too late, or reads too slowly, is told to list anew: nothing waits for a reader.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use liaison_protocol::authority::NodeId;
use liaison_protocol::desk::Desk;
use liaison_protocol::entry::{Alert, Record};
use liaison_protocol::envelope::Verified;
use liaison_protocol::key_set;
use liaison_protocol::merkle::LeafIndex;
use liaison_protocol::message::MessageId;
use liaison_protocol::operator::Order;
use tokio::sync::watch;

/// Changes that are kept: a minute of a node that is busy, days of one that is not.
const MOST_KEPT: usize = 65_536;
/// Changes handed out at a time.
const STEP: usize = 256;

/// What a record changes.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum About {
    /// This exchange.
    Exchange(MessageId),
    /// How it stands with this peer.
    Peer(NodeId),
    /// Whether the node can sign.
    Ready,
    /// Perhaps many exchanges: a key was revoked from before.
    Much,
}

impl About {
    /// What `record` changes. To be asked before it takes effect: then a receipt still finds its message.
    pub fn of(desk: &Desk, record: &Record, message: Option<&Verified>) -> Option<Self> {
        if record.key_sets().is_some_and(|(_, key_sets)| !key_set::revocations(key_sets).is_empty()) {
            return Some(Self::Much);
        }
        Some(match record {
            Record::Deadline { exchange, .. }
            | Record::Part { exchange, .. }
            | Record::Query { exchange, .. }
            | Record::Search { exchange, .. }
            | Record::Denied { exchange: Some(exchange), .. }
            | Record::Order { order: Order::Act { exchange, .. }, .. } => Self::Exchange(*exchange),
            Record::Received { .. } | Record::Sent { .. } => Self::Exchange(message?.exchange()),
            Record::Receipt { node, message, .. } => {
                let peer = desk.peer(node)?;
                Self::Exchange(peer.outbox().get(&peer.place_of(message)?)?.exchange)
            }
            Record::Alert {
                alert:
                    Alert::Forked { node, .. }
                    | Alert::ReceiptTime { node, .. }
                    | Alert::SequenceReused { node, .. },
            }
            | Record::KeySet { node, .. }
            | Record::Order {
                order:
                    Order::AdmitPeer { node, .. } | Order::RemovePeer { node, .. } | Order::SetRules { node, .. },
                ..
            } => Self::Peer(node.clone()),
            Record::Backup { .. }
            | Record::Denied { exchange: None, .. }
            | Record::Export { .. }
            | Record::Genesis { .. }
            | Record::HeadSeen { .. }
            | Record::Order { .. } => return None,
        })
    }
}

/// The peer that a record is about.
pub fn peer_of(record: &Record) -> Option<&NodeId> {
    match record {
        Record::Deadline { peer, .. }
        | Record::Denied { from: peer, .. }
        | Record::Export { peer, .. }
        | Record::HeadSeen { node: peer, .. }
        | Record::KeySet { node: peer, .. }
        | Record::Order { order: Order::Act { peer, .. } | Order::Open { peer, .. }, .. }
        | Record::Receipt { node: peer, .. }
        | Record::Received { from: peer, .. }
        | Record::Sent { to: peer, .. } => Some(peer),
        _ => None,
    }
}

impl About {
    /// The exchange, if it is about one.
    pub fn exchange(&self) -> Option<&MessageId> {
        match self {
            Self::Exchange(id) => Some(id),
            _ => None,
        }
    }
}

/// A change, and the entry of our log that made it, if one did.
pub type Change = (Option<LeafIndex>, About);

/// The newest changes.
#[derive(Debug)]
pub struct Events {
    kept: Mutex<Kept>,
    /// The number of the next change.
    bell: watch::Sender<u64>,
}

#[derive(Debug)]
struct Kept {
    /// The number of the first that is kept.
    first: u64,
    /// All changes made by entries from here on are kept.
    from: u64,
    /// Entries of the log.
    size: u64,
    changes: VecDeque<Change>,
}

impl Events {
    /// None yet, at a log of this size.
    pub fn new(size: u64) -> Self {
        let kept = Kept { first: 0, from: size, size, changes: VecDeque::new() };
        Self { kept: Mutex::new(kept), bell: watch::Sender::new(0) }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A round is durable: what it changed, in the order of the log, which has so many entries now.
    pub fn tell(&self, changes: impl IntoIterator<Item = Change>, size: u64) {
        let mut kept = self.kept();
        kept.changes.extend(changes);
        kept.size = size;
        while kept.changes.len() > MOST_KEPT {
            kept.first += 1;
            if let Some((Some(leaf), _)) = kept.changes.pop_front() {
                kept.from = leaf.0 + 1;
            }
        }
        let next = kept.first + kept.changes.len() as u64;
        drop(kept);
        self.bell.send_if_modified(|last| std::mem::replace(last, next) != next);
    }

    /// Follow what changes from now on, or what was changed by entries behind `after`.
    ///
    /// False: that is too long ago, and some may be missed: then from the first that is kept. Or it is still to come, so a
    /// place in another log: then from now on.
    pub fn follow(&self, after: Option<u64>) -> (Reader, bool) {
        let kept = self.kept();
        let all = kept.changes.len();
        let (skipped, is_whole) = match after {
            None => (all, true),
            Some(after) if after < kept.size && after + 1 >= kept.from => {
                let seen = |(leaf, _): &Change| leaf.is_some_and(|leaf| leaf.0 <= after);
                (kept.changes.iter().rposition(seen).map_or(0, |last| last + 1), true)
            }
            Some(after) if after < kept.size => (0, false),
            Some(_) => (all, false),
        };
        (Reader { next: kept.first + skipped as u64, bell: self.bell.subscribe() }, is_whole)
    }

    /// What comes next: waits until there is something. An error: it is kept no more; the reader goes on from now.
    pub async fn next(&self, reader: &mut Reader) -> Result<Vec<Change>, TooSlow> {
        // The sender of the bell lives as long as we do.
        let _ = reader.bell.wait_for(|next| *next > reader.next).await;
        let kept = self.kept();
        let Some(skipped) = reader.next.checked_sub(kept.first) else {
            reader.next = kept.first + kept.changes.len() as u64;
            return Err(TooSlow);
        };
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        let found: Vec<_> = kept.changes.iter().skip(skipped).take(STEP).cloned().collect();
        reader.next += found.len() as u64;
        Ok(found)
    }
}

/// Where somebody is in the changes.
#[derive(Debug)]
pub struct Reader {
    next: u64,
    bell: watch::Receiver<u64>,
}

/// What was to come next is kept no more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TooSlow;

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use liaison_protocol::merkle::Hash;

    use super::*;

    fn change(leaf: u64) -> Change {
        (Some(LeafIndex(leaf)), About::Exchange(MessageId(Hash::of(&leaf.to_be_bytes()))))
    }

    fn leaves(events: &Events, reader: &mut Reader) -> Option<Result<Vec<u64>, TooSlow>> {
        let found = events.next(reader).now_or_never()?;
        Some(found.map(|found| found.iter().filter_map(|(leaf, _)| Some((*leaf)?.0)).collect()))
    }

    #[test]
    fn who_comes_back_misses_nothing_and_sees_nothing_twice() {
        let events = Events::new(10);
        let (mut from_now, whole) = events.follow(None);
        assert!(whole && leaves(&events, &mut from_now).is_none());
        events.tell([change(10), change(12)], 13);
        events.tell([(None, About::Ready)], 13);
        events.tell([change(13)], 14);
        assert_eq!(leaves(&events, &mut from_now), Some(Ok(vec![10, 12, 13])));
        assert_eq!(leaves(&events, &mut from_now), None);
        for (after, seen) in [(9, Some(vec![10, 12, 13])), (10, Some(vec![12, 13])), (11, Some(vec![12, 13]))]
        {
            let (mut reader, whole) = events.follow(Some(after));
            assert_eq!((whole, leaves(&events, &mut reader)), (true, seen.map(Ok)), "{after}");
        }
        let (mut reader, whole) = events.follow(Some(13));
        assert_eq!((whole, leaves(&events, &mut reader)), (true, None));
        // Entries that change nothing of this have their place, too.
        events.tell([], 20);
        assert!(events.follow(Some(19)).1);
    }

    #[test]
    fn who_was_away_too_long_or_shows_a_place_that_is_not_there_is_told_so() {
        let events = Events::new(10);
        assert!(events.follow(Some(9)).1 && !events.follow(Some(8)).1 && !events.follow(Some(10)).1);
        assert!(!events.follow(Some(u64::MAX)).1);
        let (mut slow, _) = events.follow(None);
        let last = 10 + MOST_KEPT as u64;
        events.tell((10..=last).map(change), last + 1);
        assert_eq!(leaves(&events, &mut slow), Some(Err(TooSlow)));
        assert_eq!(leaves(&events, &mut slow), None);
        assert!(!events.follow(Some(9)).1);
        let (mut reader, whole) = events.follow(Some(10));
        let found = leaves(&events, &mut reader).expect("there are some").expect("they are kept");
        assert_eq!((whole, found[0], found.len()), (true, 11, STEP));
    }
}

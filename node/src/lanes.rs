//! The way out to each peer: one `Mail` in flight, and when to try again.
//!
//! A lane holds only what may be forgotten: what is owed is the desk's outbox, a function of the log. After a
//! restart everything without a receipt is due at once.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use liaison_protocol::desk::{Owed, Peer};
use liaison_protocol::key_set::KeyChain;
use liaison_protocol::mail::{Deferred, MAX_MESSAGES};
use liaison_protocol::merkle::{Hash, LeafIndex};
use liaison_protocol::note::SignedCheckpoint;

/// First wait after a failure, in milliseconds; doubled each time.
const FIRST_WAIT: u64 = 500;
/// Longest wait after failures, in milliseconds.
const LONGEST_WAIT: u64 = 60_000;
/// First wait for a receipt of a message that arrived, in milliseconds; doubled each time.
const FIRST_REPEAT: u64 = 10_000;
/// Longest wait for such a receipt, in milliseconds.
const LONGEST_REPEAT: u64 = 600_000;
/// How long receipts wait for a message that they can go with, in milliseconds: where much is said, it comes before that,
/// and need not wait itself until the peer has taken a `Mail` of receipts alone.
const RECEIPTS_WAIT: u64 = 5;
/// Receipts kept waiting; beyond these the peer repeats its message and gets them then.
const MOST_RECEIPTS: usize = 65_536;
/// Attachments whose trouble is kept.
const MOST_NOT_FETCHED: usize = 256;

/// Messages of ours that their addressee has not receipted, by their places.
type Outbox = BTreeMap<LeafIndex, Owed>;

/// What one `Mail` took along.
#[derive(Debug)]
pub struct InFlight {
    /// The head it offered.
    pub head: SignedCheckpoint,
    /// Messages of ours, by their places.
    pub messages: Vec<LeafIndex>,
    /// Receipts, by the places of our entries.
    pub receipts: Vec<LeafIndex>,
    /// Version of the peer's key set that we said we hold.
    pub holds: u64,
    /// Version of our key set when it went out: the peer has it, or got it in this `Mail`.
    pub key_set: u64,
}

#[derive(Clone, Copy, Debug)]
struct Try {
    next: u64,
    count: u32,
}

/// The way out to one peer.
#[derive(Debug, Default)]
pub struct Lane {
    in_flight: Option<InFlight>,
    /// Size of our log that the peer last cosigned, as far as we know.
    pub cosigned: u64,
    /// Version of our key set that the peer said it holds; 0 before we heard from it.
    pub holds_ours: u64,
    /// Version of its key set that we told it we hold.
    pub told_holds: u64,
    /// Version of our key set that went out last and was taken.
    pub sent_key_sets: u64,
    /// Messages of the peer's that cannot be taken yet.
    pub deferred: Vec<Deferred>,
    /// From when on it is told again that a message of the peer's is refused, in milliseconds.
    pub complains_at: u64,
    /// From when on the peer's mail is taken, in milliseconds.
    pub turn_at: u64,
    /// Whether a connection is open.
    pub connected: bool,
    /// By how many seconds its clock was ahead of ours when it cosigned last.
    pub ahead: Option<i64>,
    /// Why the last attempt failed.
    pub trouble: Option<String>,
    /// Attachments of its messages that have not come, and why.
    pub not_fetched: BTreeMap<Hash, String>,
    receipts: BTreeSet<LeafIndex>,
    /// From when on receipts go out alone.
    receipts_at: u64,
    /// Messages that the peer took, and has not receipted as far as we know.
    tries: BTreeMap<LeafIndex, Try>,
    /// The same, by when they are due again: a peer that receipts nothing has a hundred thousand, and no round reads them all.
    again: BTreeSet<(u64, LeafIndex)>,
    wait_until: u64,
    failures: u32,
    started_over: bool,
}

impl Lane {
    /// A proof of ours that the peer is to get, since `now`.
    pub fn owe_receipt(&mut self, leaf: LeafIndex, now: u64) {
        if self.receipts.is_empty() {
            self.receipts_at = now + RECEIPTS_WAIT;
        }
        if self.receipts.len() < MOST_RECEIPTS {
            self.receipts.insert(leaf);
        }
    }

    /// Whether a `Mail` is in flight.
    pub fn is_in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    /// The messages and receipts of the `Mail` that is to go out at `now` (in milliseconds of a clock that only goes
    /// forward), if one is.
    pub fn due(&mut self, peer: &Peer, own: &KeyChain, now: u64) -> Option<(Vec<LeafIndex>, Vec<LeafIndex>)> {
        if self.in_flight.is_some() || now < self.wait_until {
            return None;
        }
        let messages = self.messages_due(peer.outbox(), now);
        let says_more = !messages.is_empty() || !self.deferred.is_empty() || self.has_news(peer, own);
        let are_due = !self.receipts.is_empty() && now >= self.receipts_at;
        (says_more || are_due).then(|| (messages, self.receipts.iter().take(MAX_MESSAGES).copied().collect()))
    }

    fn messages_due(&mut self, outbox: &Outbox, now: u64) -> Vec<LeafIndex> {
        let again = self.again.range(..=(now, LeafIndex(u64::MAX))).map(|(_, leaf)| *leaf);
        let mut messages: Vec<LeafIndex> = again.take(MAX_MESSAGES).collect();
        // Of a peer that was removed and admitted again nothing is owed any more.
        for gone in messages.extract_if(.., |leaf| !outbox.contains_key(leaf)).collect::<Vec<_>>() {
            self.receipted(gone);
        }
        messages.extend(self.fresh(outbox).take(MAX_MESSAGES));
        messages.sort_unstable();
        messages.truncate(MAX_MESSAGES);
        messages
    }

    /// Messages that the peer has not taken yet. They stand behind those that it took: they go out in the order of the log.
    fn fresh(&self, outbox: &Outbox) -> impl Iterator<Item = LeafIndex> {
        let last = self.tries.last_key_value().map_or(Bound::Unbounded, |(last, _)| Bound::Excluded(*last));
        outbox.range((last, Bound::Unbounded)).map(|(leaf, _)| *leaf)
    }

    /// Whether the peer lacks a version of our key set, or has not been told in this run of ours which of its own we
    /// hold. So each start says one word to each peer, and hears at once if the peer knows more of our log than we do.
    pub fn has_news(&self, peer: &Peer, own: &KeyChain) -> bool {
        let lacks = self.holds_ours < own.current().version;
        (lacks && self.sent_key_sets != own.current().version)
            || self.told_holds != peer.chain().current().version
    }

    /// When something will be due again.
    pub fn wakes_at(&self, peer: &Peer, own: &KeyChain) -> Option<u64> {
        if self.in_flight.is_some() {
            return None;
        }
        if self.has_news(peer, own) {
            return Some(self.wait_until);
        }
        let next = self
            .fresh(peer.outbox())
            .take(1)
            .map(|_| 0)
            .chain(self.again.first().map(|(next, _)| *next))
            .chain((!self.receipts.is_empty()).then_some(self.receipts_at))
            .chain((!self.deferred.is_empty()).then_some(0))
            .min()?;
        Some(next.max(self.wait_until))
    }

    /// A `Mail` goes out.
    pub fn posted(&mut self, mail: InFlight) {
        for leaf in &mail.receipts {
            self.receipts.remove(leaf);
        }
        self.deferred.clear();
        self.in_flight = Some(mail);
    }

    /// What was in flight, when its outcome is known.
    pub fn landed(&mut self) -> Option<InFlight> {
        self.in_flight.take()
    }

    /// The peer took the `Mail`: its messages wait for their receipts now, but for those whose receipts came before.
    pub fn taken(&mut self, mail: &InFlight, outbox: &Outbox, now: u64, jitter: u64) {
        self.cosigned = mail.head.head().size;
        self.told_holds = mail.holds;
        self.sent_key_sets = mail.key_set;
        self.failures = 0;
        self.wait_until = 0;
        self.trouble = None;
        self.started_over = false;
        for leaf in mail.messages.iter().filter(|leaf| outbox.contains_key(leaf)) {
            let before = self.tries.get(leaf).copied();
            let count = before.map_or(0, |tried| tried.count);
            let wait = doubled(FIRST_REPEAT, count, LONGEST_REPEAT);
            let next = now + wait + jitter % (wait / 4);
            self.tries.insert(*leaf, Try { next, count: count + 1 });
            if let Some(before) = before {
                self.again.remove(&(before.next, *leaf));
            }
            self.again.insert((next, *leaf));
        }
    }

    /// The peer did not take the `Mail`, or not yet: try again after a while.
    pub fn failed(&mut self, mail: Option<InFlight>, why: Option<String>, now: u64, jitter: u64) {
        self.receipts.extend(mail.into_iter().flat_map(|mail| mail.receipts));
        let wait = doubled(FIRST_WAIT, self.failures, LONGEST_WAIT);
        self.failures += 1;
        self.wait_until = now + wait / 2 + jitter % wait;
        self.trouble = why.or(self.trouble.take());
    }

    /// The peer showed where it stands: repeat from there, at once if it took something since the last time.
    pub fn start_from(&mut self, mail: InFlight, size: u64, now: u64, jitter: u64) {
        self.cosigned = size;
        if std::mem::replace(&mut self.started_over, true) {
            return self.failed(Some(mail), Some("it asks for one proof after another".into()), now, jitter);
        }
        self.receipts.extend(mail.receipts);
    }

    /// The peer asked us to wait.
    pub fn wait(&mut self, until: u64) {
        self.wait_until = self.wait_until.max(until);
    }

    /// The peer is there again: no need to wait longer.
    pub fn reachable(&mut self) {
        self.connected = true;
        self.failures = 0;
        self.wait_until = 0;
    }

    /// Say a word at once, though there may be no news: to see whether the peer answers. Mail that is in flight says the
    /// same.
    pub fn knock(&mut self) {
        if self.in_flight.is_none() {
            (self.told_holds, self.wait_until) = (0, 0);
        }
    }

    /// An attachment has not come.
    pub fn note_not_fetched(&mut self, digest: Hash, why: String) {
        if self.not_fetched.len() < MOST_NOT_FETCHED || self.not_fetched.contains_key(&digest) {
            self.not_fetched.insert(digest, why);
        }
    }

    /// A message of ours got its receipt.
    pub fn receipted(&mut self, leaf: LeafIndex) {
        if let Some(tried) = self.tries.remove(&leaf) {
            self.again.remove(&(tried.next, leaf));
        }
    }
}

fn doubled(first: u64, times: u32, most: u64) -> u64 {
    first.saturating_mul(1 << times.min(20)).min(most)
}

#[cfg(test)]
mod tests {
    use liaison_protocol::merkle::TreeHead;
    use liaison_protocol::message::MessageId;
    use liaison_protocol::note::sign_checkpoint;
    use liaison_protocol::sign::SecretKey;

    use super::*;

    fn outbox(leaves: impl IntoIterator<Item = u64>) -> Outbox {
        let owed = Owed { id: MessageId(Hash::ZERO), exchange: MessageId(Hash::ZERO) };
        leaves.into_iter().map(|leaf| (LeafIndex(leaf), owed)).collect()
    }

    fn mail(messages: &[LeafIndex]) -> InFlight {
        let head =
            sign_checkpoint(&SecretKey::from_seed(&[7; 32]), "ke.example/liaison/log1", &TreeHead::empty());
        InFlight { head, messages: messages.to_vec(), receipts: Vec::new(), holds: 1, key_set: 1 }
    }

    #[test]
    fn what_was_taken_is_due_again_in_time_and_what_was_not_comes_behind_it() {
        let most = MAX_MESSAGES as u64;
        let mut lane = Lane::default();
        let mut owed = outbox(1..=2 * most);
        let first = lane.messages_due(&owed, 0);
        assert_eq!(first, (1..=most).map(LeafIndex).collect::<Vec<_>>());
        assert_eq!(lane.messages_due(&owed, 0), first, "what was not taken yet is due as before");

        // The receipt of one comes before the response.
        owed.remove(&LeafIndex(1));
        lane.taken(&mail(&first), &owed, 0, 0);
        assert_eq!((lane.tries.len(), lane.again.len()), (MAX_MESSAGES - 1, MAX_MESSAGES - 1));
        let second = lane.messages_due(&owed, 0);
        assert_eq!(second, (most + 1..=2 * most).map(LeafIndex).collect::<Vec<_>>());
        lane.taken(&mail(&second), &owed, 5, 0);
        assert_eq!(lane.messages_due(&owed, FIRST_REPEAT - 1), []);
        assert_eq!(lane.messages_due(&owed, FIRST_REPEAT), first[1..]);

        // A second time, and they wait twice as long.
        lane.taken(&mail(&first), &owed, FIRST_REPEAT, 0);
        assert_eq!(lane.messages_due(&owed, 3 * FIRST_REPEAT), second, "those that have waited longest");
        lane.taken(&mail(&second), &owed, 3 * FIRST_REPEAT, 0);
        assert_eq!(lane.messages_due(&owed, 3 * FIRST_REPEAT), first[1..]);

        // The peer was removed, and admitted again.
        owed.clear();
        while !lane.again.is_empty() {
            assert_eq!(lane.messages_due(&owed, u64::MAX), []);
        }
        assert!(lane.tries.is_empty());
    }
}

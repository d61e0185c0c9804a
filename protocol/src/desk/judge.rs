//! Whether what a peer sends may be recorded, and what is recorded of it if not.

use super::peer::day;
use super::rows::{message_id, places};
use super::{Desk, Judgement, MAX_AHEAD, Peer, Shelf, Table, is_full};
use crate::authority::{NodeId, Timestamp};
use crate::entry::Record;
use crate::envelope::Verified;
use crate::fault::Fault;
use crate::key_set::KeySet;
use crate::merkle::LeafIndex;
use crate::message::{Message, MessageId};
use crate::numbers::Number;

impl Desk {
    /// Whether `verified`, delivered now by its sender, may be recorded. The checks of SPEC.md, section 2, from
    /// "seen before" on, in that order.
    pub fn judge(&self, shelf: &impl Shelf, verified: &Verified, now: Timestamp) -> Result<Judgement, Fault> {
        let message = verified.message();
        let perhaps = self.peers.get(&message.iss).is_some_and(|peer| peer.may_have_sent(message));
        if perhaps && let Some(leaf) = self.seen(shelf, &message.iss, &verified.id()) {
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
        let is_beyond = peer.row.numbers.is_beyond(message.log, message.seq);
        if !is_beyond && shelf.get(Table::Sequence, &peer.sequence_key(message)).is_some() {
            return Err(Fault::SequenceReused);
        }
        if !message.kind().is_open_to(listed.functions_of(key)) {
            return Err(Fault::FunctionMissing);
        }
        message.check()?;
        let named = message.attachments.len();
        if named > 0 && !self.has_room_for(shelf, &message.iss, named) {
            return Err(Fault::TooMuch);
        }
        match message.thr {
            None if peer.is_over_its_ceilings() => Err(Fault::TooMuch),
            None => Ok(Judgement::New),
            Some(thread) => self.judge_place(shelf, message, &thread).map(|()| Judgement::New),
        }
    }

    pub(super) fn judge_place(
        &self,
        shelf: &impl Shelf,
        message: &Message,
        thread: &MessageId,
    ) -> Result<(), Fault> {
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
        let peer = self.peers.get(from)?;
        let Some(row) = shelf.get(Table::Seen, &peer.seen_key(id)) else {
            return self
                .opening(shelf, id)
                .filter(|leaf| *leaf >= peer.row.since && is_from(shelf, *leaf, from));
        };
        Some(LeafIndex(u64::from_be_bytes(row.try_into().ok()?)))
    }

    /// Where our log holds what opened an exchange.
    fn opening(&self, shelf: &impl Shelf, id: &MessageId) -> Option<LeafIndex> {
        match self.held(id) {
            Some(exchange) => exchange.places().first().copied(),
            None => places(&shelf.get(Table::Exchange, id.0.as_bytes())?).next(),
        }
    }

    /// Only what was not seen before is recorded with its id: there is no earlier place to be kept.
    pub(super) fn note_seen(&self, shelf: &mut impl Shelf, from: &NodeId, id: &MessageId, leaf: LeafIndex) {
        if let Some(peer) = self.peers.get(from) {
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
        // A number is used up by the message that first had it, and is one only in a log that its sender has.
        let counts = id.is_some() && !matches!(fault, Fault::SequenceReused | Fault::NotLogged);
        let number = verified.filter(|_| counts).map(|verified| Number::of(verified.message()));
        Some(Record::Denied { from: from.clone(), fault, id, exchange, number, uncounted })
    }
}

/// Whether a place of our log holds a message that came from `node`.
fn is_from(shelf: &impl Shelf, leaf: LeafIndex, node: &NodeId) -> bool {
    let staged = shelf.record(leaf);
    staged.is_some_and(|staged| matches!(&staged.record, Record::Received { from, .. } if from == node))
}

/// Whether what was seen of a message is that it was refused for good.
pub(super) fn is_refusal(shelf: &impl Shelf, leaf: LeafIndex) -> bool {
    shelf.record(leaf).is_some_and(|staged| matches!(staged.record, Record::Denied { .. }))
}

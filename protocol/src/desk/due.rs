//! When what is owed is due, and what has passed.

use super::rows::message_id;
use super::{Desk, Shelf, Table, has_place};
use crate::authority::{NodeId, Timestamp};
use crate::deadline::{self, Due};
use crate::entry::Record;
use crate::exchange::Exchange;
use crate::message::MessageId;
use crate::operator::Side;

impl Desk {
    /// What is due in the exchanges with `node`, or in all if that is us, by the key sets that are held now.
    pub(super) fn set_due_anew(&self, shelf: &mut impl Shelf, node: &NodeId) {
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
}

pub(super) fn due_key(at: Timestamp, exchange: &MessageId) -> Vec<u8> {
    [at.0.to_be_bytes().as_slice(), exchange.0.as_bytes()].concat()
}

pub(super) fn due_row(key: &[u8]) -> Option<(Timestamp, MessageId)> {
    let (at, id) = key.split_at_checked(8)?;
    Some((Timestamp(u64::from_be_bytes(at.try_into().ok()?)), message_id(id)?))
}

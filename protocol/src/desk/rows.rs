//! The rows of the shelf: their keys, and how they are written.

use serde::{Deserialize, Serialize};

use super::{Shelf, Table};
use crate::authority::{Line, NodeId};
use crate::entry::IdempotencyKey;
use crate::json;
use crate::licence::LicenceNo;
use crate::merkle::{Hash, LeafIndex};
use crate::message::MessageId;

/// Longest row of the index, in bytes.
pub(super) const ROW: usize = 1024;

/// Most bytes of a text in the line of an exchange, as JSON writes it.
pub(super) const MAX_SHOWN: usize = 160;

/// Shorten `text` to at most `limit` bytes of JSON: quotation marks count twice there.
pub(super) fn cut(text: &mut String, limit: usize) {
    let mut written = 0;
    let end = text.char_indices().find(|(_, char)| {
        written += if matches!(char, '"' | '\\') { 2 } else { char.len_utf8() };
        written > limit
    });
    if let Some((end, _)) = end {
        text.truncate(end);
    }
}

pub(super) fn note_key(shelf: &mut impl Shelf, key: &IdempotencyKey, exchange: &MessageId) {
    let row = [key.digest.as_bytes().as_slice(), exchange.0.as_bytes()].concat();
    shelf.put(Table::Key, key.key.as_str().as_bytes(), row);
}

/// The places in the row of an exchange.
pub(super) fn places(row: &[u8]) -> impl Iterator<Item = LeafIndex> {
    row.chunks_exact(8).map(|bytes| LeafIndex(u64::from_be_bytes(bytes.try_into().expect("chunks of 8"))))
}

pub(super) fn message_id(bytes: &[u8]) -> Option<MessageId> {
    Some(MessageId(Hash::from_bytes(bytes.try_into().ok()?)))
}

/// A node id has no NUL, so this separates.
pub(super) fn peer_key(node: &NodeId, rest: &[u8]) -> Vec<u8> {
    [node.as_str().as_bytes(), &[0], rest].concat()
}

pub(super) fn licence_digest(licence: &LicenceNo) -> Hash {
    Hash::of(licence.canonical().as_bytes())
}

pub(super) fn attempts_key(licence: &LicenceNo, peer: &NodeId) -> Vec<u8> {
    [licence_digest(licence).as_bytes().as_slice(), &peer_key(peer, &[])].concat()
}

/// In how many exchanges a peer asked about a licence.
pub(super) fn attempts(shelf: &impl Shelf, licence: &LicenceNo, peer: &NodeId) -> u64 {
    let row = shelf.get(Table::Attempts, &attempts_key(licence, peer));
    row.and_then(|row| row.try_into().ok()).map_or(0, u64::from_be_bytes)
}

pub(super) fn asked_key(licence: &LicenceNo, peer: &NodeId, opener: LeafIndex) -> Vec<u8> {
    [attempts_key(licence, peer).as_slice(), &opener.0.to_be_bytes()].concat()
}

/// A line has no NUL, so this separates.
pub(super) fn case_key(trace_case: &Line, exchange: Option<&MessageId>) -> Vec<u8> {
    let id = exchange.map_or(&[][..], |id| id.0.as_bytes());
    [trace_case.as_str().as_bytes(), &[0], id].concat()
}

pub(super) fn write<T: Serialize>(row: &T) -> Vec<u8> {
    json::plain(row, ROW / 2)
}

pub(super) fn read<T: for<'de> Deserialize<'de>>(row: Option<Vec<u8>>) -> Option<T> {
    serde_json::from_slice(&row?).ok()
}

//! Forms: what can be read has one spelling, or at least one meaning, and stays within its bounds.

use liaison_protocol::authority::NodeId;
use liaison_protocol::blob::{MAX_PIECE, PieceReply, PieceRequest};
use liaison_protocol::entry::{Entry, Logged, MAX_ENTRY, Record};
use liaison_protocol::envelope;
use liaison_protocol::json::{self, MAX_DEPTH, MAX_INTEGER};
use liaison_protocol::mail::{self, HeadFlaw, MAX_MAIL, MAX_MESSAGES, MAX_REPLY, Mail, MailReply};
use liaison_protocol::merkle::{
    self, Hash, LeafIndex, Tree, TreeHead, consistency_proof, inclusion_proof, leaf_hash, verify_consistency,
    verify_inclusion,
};
use liaison_protocol::message::MessageId;
use liaison_protocol::note::{
    AddCheckpoint, Checkpoint, MAX_NOTE, NoteSignature, SignedNote, TlogProof, VerifierKey, open_checkpoint,
    open_cosignature,
};
use liaison_protocol::tile::{self, TILE_WIDTH, decode_bundle, decode_tile, encode_bundle, encode_tile};
use serde_json::Value;

use crate::perus;
use crate::world::{KENYA, PERU};

/// Strict JSON is JSON, with nothing in it that two readers could read differently.
pub(crate) fn json(bytes: &[u8]) {
    let Ok(value) = json::parse::<Value>(bytes) else { return };
    assert_eq!(serde_json::from_slice::<Value>(bytes).expect("strict JSON is JSON"), value);
    let members = plain(&value, 0);
    // A member said twice is gone once it is read: all of them must still be there.
    assert_eq!(members, colons(bytes), "a member was said twice");
    let canonical = json::canonical(&value);
    assert_eq!(json::parse::<Value>(&canonical).expect("what we write we read"), value);
    assert_eq!(json::canonical(&value), canonical);
    assert_eq!(json::exact::<Value>(&value).expect("any value is its own form"), value);
}

/// The members of a value, which has whole numbers of less than 2^53 and is not too deep.
fn plain(value: &Value, depth: usize) -> usize {
    assert!(depth <= MAX_DEPTH);
    match value {
        Value::Array(items) => items.iter().map(|item| plain(item, depth + 1)).sum(),
        Value::Object(members) => {
            assert!(depth < MAX_DEPTH);
            members.values().map(|item| 1 + plain(item, depth + 1)).sum()
        }
        Value::Number(number) => {
            let size = number.as_i64().map(i64::unsigned_abs).or(number.as_u64()).expect("a whole number");
            assert!(size <= MAX_INTEGER);
            0
        }
        Value::Bool(_) | Value::Null | Value::String(_) => 0,
    }
}

/// Colons outside of strings: as many as members.
fn colons(bytes: &[u8]) -> usize {
    let (mut count, mut quoted, mut escaped) = (0, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b':' if !quoted => count += 1,
            _ => {}
        }
    }
    count
}

/// A line of the log has one form.
pub(crate) fn entry(bytes: &[u8]) {
    if let Ok(record) = Record::parse(bytes) {
        let again = serde_json::to_vec(&record).expect("a record has string keys");
        assert_eq!(Record::parse(&again).expect("what we write we read"), record);
    }
    let Ok(line) = str::from_utf8(bytes) else { return };
    let Ok(entry) = Entry::parse(line) else { return };
    assert!(line.len() <= MAX_ENTRY);
    assert_eq!(entry.line(), line);
    assert_eq!(json::canonical(&entry), bytes);
}

/// A `Mail` says the same when it is written again, and what is in it proves nothing by itself.
pub(crate) fn mail(bytes: &[u8]) {
    let Ok(mail) = Mail::parse(bytes) else { return };
    assert!(bytes.len() <= MAX_MAIL);
    for many in [mail.messages.len(), mail.receipts.len(), mail.deferred.len()] {
        assert!(many <= MAX_MESSAGES);
    }
    assert_eq!(Mail::parse(&mail.frame()).expect("what we write we read"), mail);
    let (us, chain) = (KENYA.node(), perus());
    let held = TreeHead { size: 7, root: Hash::of(b"a tree of Peru's") };
    for held in [&TreeHead::empty(), &held] {
        match mail::open_head(&mail.head, chain, held) {
            Ok(signed) => assert!(signed.head().size >= held.size && signed.head().size > 0),
            Err(HeadFlaw::Forked(signed)) => {
                assert_eq!(signed.checkpoint().origin, PERU.node().log_origin(1))
            }
            Err(HeadFlaw::Bad | HeadFlaw::Stale) => {}
        }
    }
    for posted in &mail.messages {
        let id = envelope::id_of(&posted.token).unwrap_or(MessageId(Hash::ZERO));
        logged(&posted.logged, id, &us);
        if let Ok(opened) = envelope::open(&posted.token, &PERU.node(), chain, &us) {
            let parts = mail::check_parts(&posted.parts, opened.message());
            assert!(parts.is_err() || posted.parts.len() <= opened.message().parts.len());
        }
    }
    mail.receipts.iter().for_each(|receipt| logged(receipt, MessageId(Hash::ZERO), &us));
}

/// Under a tree of one entry, only that entry is proven.
fn logged(logged: &Logged, id: MessageId, us: &NodeId) {
    let alone = TreeHead { size: 1, root: leaf_hash(logged.entry.as_bytes()) };
    let other = TreeHead { size: 1, root: leaf_hash(b"another entry") };
    assert!(mail::check_posted(logged, id, us, &other).is_err());
    assert!(mail::check_receipt(logged, us, &other).is_none());
    if let Ok(entry) = mail::check_posted(logged, id, us, &alone) {
        assert!(entry.m == Some(id) && entry.p == [us.clone()] && logged.leaf == LeafIndex(0));
    }
    if let Some((message, entry)) = mail::check_receipt(logged, us, &alone) {
        assert!(entry.m == Some(message) && entry.p == [us.clone()] && logged.proof.is_empty());
    }
}

/// A response has one meaning, and nothing beside it.
pub(crate) fn reply(bytes: &[u8]) {
    let Ok(reply) = MailReply::parse(bytes) else { return };
    assert!(bytes.len() <= MAX_REPLY);
    let said: Value = serde_json::from_slice(bytes).expect("JSON");
    assert_eq!(serde_json::to_value(&reply).expect("string keys"), said);
    assert_eq!(MailReply::parse(&reply.frame()).expect("what we write we read"), reply);
}

/// Texts of C2SP: what was read renders to the same bytes, whichever form it is of.
pub(crate) fn note(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(note) = SignedNote::parse(text) {
        assert!(text.len() <= MAX_NOTE && !note.signatures().is_empty());
        assert_eq!(note.to_string(), text);
    }
    if let Ok(checkpoint) = Checkpoint::parse(text) {
        assert_eq!(checkpoint.body(), text);
    }
    if let Ok(line) = NoteSignature::parse(text) {
        assert_eq!(line.to_string(), text);
    }
    if let Ok(key) = VerifierKey::parse(text) {
        assert_eq!(key.to_string(), text);
    }
    if let Ok(offer) = AddCheckpoint::parse(text) {
        assert_eq!(offer.render(), text);
    }
    if let Ok(proof) = TlogProof::parse(text) {
        assert_eq!(TlogProof::parse(&proof.render()), Ok(proof.clone()));
        if proof.extra.is_none() {
            assert_eq!(proof.render(), text);
        }
    }
    for party in [&KENYA, &PERU] {
        let (origin, key) = (party.node().log_origin(1), party.secret("log-1").public());
        let Ok(signed) = open_checkpoint(text, &origin, &key) else { continue };
        assert_eq!(signed.checkpoint().origin, origin);
        assert!(text.starts_with(&signed.checkpoint().body()));
        assert_eq!(open_checkpoint(signed.as_str(), &origin, &key).as_ref(), Ok(&signed));
    }
    let checkpoint = Checkpoint { origin: PERU.node().log_origin(1), head: TreeHead::empty() };
    let witness = KENYA.secret("witness-1").public();
    let cosigned = open_cosignature(text, &KENYA.node().witness_name(), &witness, &checkpoint);
    assert!(cosigned.is_err(), "Kenya cosigned no empty log");
}

/// A piece of an attachment is asked for and answered in one form each.
pub(crate) fn piece(bytes: &[u8]) {
    if let Some(request) = PieceRequest::parse(bytes) {
        assert!((1..=MAX_PIECE).contains(&request.length));
        assert_eq!(request.frame(), bytes);
    }
    if let Some(reply) = PieceReply::parse(bytes) {
        assert_eq!(reply.frame(), bytes);
    }
}

/// Tiles and bundles, of any width; and where the nodes of a tree of any size lie.
pub(crate) fn tile(bytes: &[u8]) {
    let Some((width, bytes)) = bytes.split_first_chunk::<2>() else { return };
    let width = u16::from_be_bytes(*width) % (TILE_WIDTH + 1);
    if let Ok(hashes) = decode_tile(bytes, width) {
        assert_eq!((hashes.len(), encode_tile(&hashes)), (width.into(), bytes.to_vec()));
    }
    let mut read = decode_bundle(bytes, width);
    let entries: Vec<_> = read.by_ref().collect();
    assert!(read.next().is_none(), "a flaw ends the bundle");
    if let Ok(entries) = entries.into_iter().collect::<Result<Vec<_>, _>>() {
        assert_eq!(entries.len(), usize::from(width));
        assert_eq!(encode_bundle(entries).as_deref(), Ok(bytes));
    }
    let Some((size, rest)) = bytes.split_first_chunk::<8>() else { return };
    let Some((index, rest)) = rest.split_first_chunk::<8>() else { return };
    let (size, index) = (u64::from_be_bytes(*size) % (merkle::MAX_SIZE + 1), u64::from_be_bytes(*index));
    for partial in tile::partial_tiles(size) {
        assert!(partial.width < TILE_WIDTH);
    }
    let Some(level) = rest.first().map(|level| level % 64) else { return };
    let Some((tile, range)) = tile::locate(level, index, size) else { return };
    assert!(range.end <= usize::from(tile.width) && tile.width <= TILE_WIDTH);
    assert_eq!(range.len(), 1 << (level % 8));
    assert!(tile.leaves(range.end as u16 - 1).end.0 <= size, "a node of leaves that are not there");
}

/// A proof proves what it was made for and, once altered, nothing.
pub(crate) fn proof(bytes: &[u8]) {
    let [size, old, place, edits @ ..] = bytes else { return };
    let size = u64::from(*size) + 1;
    let (old, place) = (1 + u64::from(*old) % size, LeafIndex(u64::from(*place) % size));
    let mut tree = Tree::new();
    (0..size).for_each(|leaf| _ = tree.append(leaf_hash(&leaf.to_be_bytes())));
    let (head, leaf) = (tree.head(), leaf_hash(&place.0.to_be_bytes()));
    let before = TreeHead { size: old, root: merkle::root(&tree, old).expect("all known") };
    let inclusion = inclusion_proof(&tree, place, size).expect("all known");
    let consistency = consistency_proof(&tree, old, size).expect("all known");
    assert_eq!(verify_inclusion(&leaf, place, &head, &inclusion), Ok(()));
    assert_eq!(verify_consistency(&before, &head, &consistency), Ok(()));

    let (altered, place_too, head_too) = altered(&inclusion, place, head, edits);
    if (&altered, place_too, head_too) != (&inclusion, place, head) {
        assert!(verify_inclusion(&leaf, place_too, &head_too, &altered).is_err());
    }
    let (altered, _, head_too) = self::altered(&consistency, place, head, edits);
    // Heads of one size need no proof but their roots.
    if (&altered, head_too) != (&consistency, head) {
        assert!(verify_consistency(&before, &head_too, &altered).is_err());
    }
}

/// Hashes changed, put in and taken away; another place; another head.
fn altered(
    proof: &[Hash],
    mut place: LeafIndex,
    mut head: TreeHead,
    edits: &[u8],
) -> (Vec<Hash>, LeafIndex, TreeHead) {
    let mut proof = proof.to_vec();
    let flip = |hash: &Hash, by: u8| {
        let mut bytes = *hash.as_bytes();
        bytes[usize::from(by) % 32] ^= by;
        Hash::from_bytes(bytes)
    };
    for [what, at] in edits.as_chunks::<2>().0 {
        let spot = usize::from(*at) % proof.len().max(1);
        match what % 6 {
            0 if !proof.is_empty() => proof[spot] = flip(&proof[spot], *at),
            1 => proof.insert(spot, Hash::of(&[*at])),
            2 if !proof.is_empty() => drop(proof.remove(spot)),
            3 => place.0 ^= u64::from(*at),
            4 => head.root = flip(&head.root, *at),
            5 if !proof.is_empty() => proof.swap(0, spot),
            _ => {}
        }
    }
    (proof, place, head)
}

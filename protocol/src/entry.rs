//! The lines of the log, and what stands behind each (SPEC.md, section 4).
//!
//! An [`Entry`] is one small public line: hashes, States and a time, never a person. A [`Record`] is its content:
//! a message, an order, a receipt. The entry commits to the record by a salted digest, so a leaf cannot be
//! guessed, and a record can be erased while every proof stays valid.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::authority::{By, Line, NodeId, OfficerId, StateCode, Timestamp};
use crate::deadline::Due;
use crate::envelope::{self, Verified};
use crate::fault::Fault;
use crate::handling::{Purpose, Recipient, Withheld};
use crate::json;
use crate::licence::{LicenceRecord, LicenceStatus};
use crate::merkle::{Hash, Hasher, LeafIndex, TreeHead};
use crate::message::MessageId;
use crate::numbers::Number;
use crate::operator::Order;
use crate::trace::TraceResponse;

/// Largest entry, in bytes.
pub const MAX_ENTRY: usize = 1024;

/// Length of the salt in front of a record, in bytes.
pub const SALT_LEN: usize = 32;

/// What happened, as the log names it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum EntryKind {
    /// Something needs a person's eye.
    #[serde(rename = "alert")]
    Alert,
    /// Officers vouched for the data folder, after a restore.
    #[serde(rename = "backup")]
    Backup,
    /// A time passed without what was owed.
    #[serde(rename = "deadline")]
    Deadline,
    /// A peer's mail was refused for good.
    #[serde(rename = "denied")]
    Denied,
    /// Evidence of an exchange was given out, or refused.
    #[serde(rename = "export")]
    Export,
    /// The log begins.
    #[serde(rename = "genesis")]
    Genesis,
    /// A peer's head was checked and will be cosigned.
    #[serde(rename = "head.seen")]
    HeadSeen,
    /// A key set was accepted.
    #[serde(rename = "key.set")]
    KeySet,
    /// A peer's message was taken.
    #[serde(rename = "msg.rcvd")]
    MessageReceived,
    /// A message of ours was sealed.
    #[serde(rename = "msg.sent")]
    MessageSent,
    /// An operator decided something.
    #[serde(rename = "order")]
    Order,
    /// A part of a message that names a person is held here.
    #[serde(rename = "part")]
    Part,
    /// A peer was admitted.
    #[serde(rename = "peer.added")]
    PeerAdded,
    /// A peer was removed.
    #[serde(rename = "peer.removed")]
    PeerRemoved,
    /// The rules of automatic answers were set.
    #[serde(rename = "policy.set")]
    PolicySet,
    /// A register of ours was consulted.
    #[serde(rename = "query")]
    Query,
    /// We hold a peer's proof for a message of ours.
    #[serde(rename = "receipt")]
    Receipt,
}

impl EntryKind {
    /// The name in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Backup => "backup",
            Self::Deadline => "deadline",
            Self::Denied => "denied",
            Self::Export => "export",
            Self::Genesis => "genesis",
            Self::HeadSeen => "head.seen",
            Self::KeySet => "key.set",
            Self::MessageReceived => "msg.rcvd",
            Self::MessageSent => "msg.sent",
            Self::Order => "order",
            Self::Part => "part",
            Self::PeerAdded => "peer.added",
            Self::PeerRemoved => "peer.removed",
            Self::PolicySet => "policy.set",
            Self::Query => "query",
            Self::Receipt => "receipt",
        }
    }
}

/// One line of a log. Members are in the order of JCS, so the plain serialisation is the canonical one.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// SHA-256 of salt and record.
    pub c: Hash,
    /// Code of a fault, in a `denied`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub f: Option<Fault>,
    /// The peer's head that came with the mail: our log pins theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub h: Option<TreeHead>,
    /// What happened.
    pub k: EntryKind,
    /// The message it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub m: Option<MessageId>,
    /// The peers it concerns: States' nodes, never persons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub p: Vec<NodeId>,
    /// When, by the local clock; never decreases.
    pub t: Timestamp,
    /// Format version: 1.
    pub v: u32,
}

/// Why a line is not an entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a log entry: one canonical JSON object of at most 1 KiB, version 1")]
pub struct BadEntry;

impl Entry {
    /// Read a line. Entries have one form only: what is not canonical is refused.
    pub fn parse(line: &str) -> Result<Self, BadEntry> {
        if line.len() > MAX_ENTRY {
            return Err(BadEntry);
        }
        // What is written back alike says nothing twice, and nothing in another way: only numbers are left to be checked.
        let entry: Self = serde_json::from_str(line).map_err(|_| BadEntry)?;
        let is_exact = entry.t.0.max(entry.h.map_or(0, |head| head.size)) <= json::MAX_INTEGER;
        if entry.v == 1 && is_exact && entry.line() == line { Ok(entry) } else { Err(BadEntry) }
    }

    /// The line.
    pub fn line(&self) -> String {
        String::from_utf8(json::plain(self, 512)).expect("JSON is text")
    }
}

/// What stands behind an entry: the content of messages and orders, for our eyes only.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "record", rename_all = "snake_case", deny_unknown_fields)]
#[expect(clippy::large_enum_variant, reason = "records are few at a time: those of one round")]
pub enum Record {
    /// Something needs a person's eye.
    Alert {
        /// What.
        alert: Alert,
    },
    /// After a restore, officers vouched that this is the newest copy of the data folder.
    Backup {
        /// Which two.
        by: By,
        /// Why they are sure.
        reason: Line,
    },
    /// A time passed without what was owed. Nothing follows from it but a reminder: silence is never consent.
    Deadline {
        /// In which exchange.
        exchange: MessageId,
        /// With whom it is.
        peer: NodeId,
        /// What was owed, and by when.
        due: Due,
    },
    /// A peer's mail was refused for good.
    Denied {
        /// Whose.
        from: NodeId,
        /// Why.
        fault: Fault,
        /// Its id, if it could be told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<MessageId>,
        /// The exchange it named, if we hold that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exchange: Option<MessageId>,
        /// Its number, if it was sealed by that peer: it is used up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number: Option<Number>,
        /// How many more were refused that day without an entry of their own.
        #[serde(default, skip_serializing_if = "is_zero")]
        uncounted: u64,
    },
    /// Evidence of an exchange was asked for, and given out or refused.
    Export {
        /// Of which.
        exchange: MessageId,
        /// With whom that was.
        peer: NodeId,
        /// For what.
        purpose: Purpose,
        /// To whom.
        to: Recipient,
        /// Who asked.
        by: By,
        /// Whose token it came with.
        via: OfficerId,
        /// SHA-256 of what was given out; absent if it was refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        archive: Option<Hash>,
        /// What forbade it, if it was refused.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        withheld: Vec<Withheld>,
    },
    /// The log begins.
    Genesis {
        /// Whose log.
        node: NodeId,
        /// Which State's.
        state: StateCode,
        /// Its number.
        log: u32,
    },
    /// A peer's head was checked: it extends the last one we cosigned.
    HeadSeen {
        /// Whose.
        node: NodeId,
        /// The signed checkpoint.
        checkpoint: String,
        /// What it says.
        head: TreeHead,
    },
    /// A key set, ours or a peer's, was accepted after the one before.
    KeySet {
        /// Whose.
        node: NodeId,
        /// The signed key set.
        key_set: String,
    },
    /// An operator decided something.
    Order {
        /// What.
        order: Order,
        /// Who.
        by: By,
        /// The idempotency key it came with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<IdempotencyKey>,
        /// Whose token it came with.
        via: OfficerId,
        /// What our register said of the licence when an officer answered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        register: Option<Basis>,
    },
    /// A part of a message, which names a person: a record of its own, so that it can be erased by itself.
    Part {
        /// Of which message.
        of: MessageId,
        /// In which exchange.
        exchange: MessageId,
        /// Its bytes, whose digest stands in the message.
        text: String,
    },
    /// Our register was consulted, because a rule or an import of the register said so.
    Query {
        /// For which exchange.
        exchange: MessageId,
        /// Under which rule.
        rule: Line,
        /// What it holds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        found: Option<LicenceRecord>,
        /// On which day, by the clock.
        on: Date,
    },
    /// A peer proved that it holds, or refuses for good, a message of ours.
    Receipt {
        /// Whose proof.
        node: NodeId,
        /// Which message.
        message: MessageId,
        /// The peer's entry, its place, and its proof under `head`.
        proof: Logged,
        /// The peer's head.
        head: TreeHead,
    },
    /// A peer's message was taken.
    Received {
        /// Whose.
        from: NodeId,
        /// The sealed bytes.
        token: String,
        /// The sender's entry, its place, and its proof under `head`.
        proof: Logged,
        /// The sender's head.
        head: TreeHead,
    },
    /// Our register of firearms was searched, because a rule said so.
    Search {
        /// For which exchange.
        exchange: MessageId,
        /// Under which rule.
        rule: Line,
        /// What is answered, if it found the item beyond doubt.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        found: Option<TraceResponse>,
        /// On which day, by the clock.
        on: Date,
    },
    /// A message of ours was sealed.
    Sent {
        /// To whom.
        to: NodeId,
        /// The sealed bytes.
        token: String,
    },
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// An entry of some log with the proof of its place.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Logged {
    /// The entry, byte for byte.
    pub entry: String,
    /// Its place.
    pub leaf: LeafIndex,
    /// Inclusion proof under the head it came with.
    pub proof: Vec<Hash>,
}

/// How a licence stood in our register when we spoke of it: what a later change is measured against.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Basis {
    /// Its status on that day.
    pub status: LicenceStatus,
    /// Its version.
    pub version: u32,
}

impl Basis {
    /// How `record` stands on the day `today`.
    pub fn of(record: &LicenceRecord, today: jiff::civil::Date) -> Self {
        Self { status: record.status_on(today), version: record.content.version.unwrap_or(1) }
    }
}

/// What a client names its request by, so that a repetition creates nothing new.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct IdempotencyKey {
    /// The client's own key.
    pub key: Line,
    /// Digest of what was asked: the same key with another request is a mistake.
    pub digest: Hash,
}

/// What needs a person's eye.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "alert", rename_all = "snake_case", deny_unknown_fields)]
pub enum Alert {
    /// A peer signed a head that does not extend the one we cosigned. Both are kept: they are the proof.
    Forked {
        /// Whose log.
        node: NodeId,
        /// The head we cosigned.
        held: String,
        /// The one offered now.
        offered: String,
        /// The tokens that came with it: kept, and clearing nothing.
        tokens: Vec<String>,
    },
    /// A receipt names a time far from ours.
    ReceiptTime {
        /// Whose.
        node: NodeId,
        /// For which message.
        message: MessageId,
        /// The time in the peer's entry.
        theirs: Timestamp,
    },
    /// Two messages of a peer have one number.
    SequenceReused {
        /// Whose.
        node: NodeId,
        /// The number.
        seq: u64,
        /// The first message that had it.
        first: MessageId,
        /// The second.
        second: MessageId,
    },
}

impl Record {
    /// The entry for this record, made at `t`, and the record's bytes behind it.
    pub fn write(&self, t: Timestamp, salt: &[u8; SALT_LEN]) -> Written {
        let record = json::plain(self, self.token().map_or(0, str::len) + 1024);
        let mut commitment = Hasher::default();
        commitment.update(salt);
        commitment.update(&record);
        let mut entry = Entry {
            c: commitment.finish(),
            f: None,
            h: None,
            k: self.kind(),
            m: None,
            p: Vec::new(),
            t,
            v: 1,
        };
        match self {
            Self::Alert { alert } => entry.p.push(alert.node().clone()),
            Self::Denied { from, fault, id, .. } => {
                entry.f = Some(*fault);
                entry.m = *id;
                entry.p.push(from.clone());
            }
            Self::Deadline { peer, .. } => entry.p.push(peer.clone()),
            Self::Backup { .. } | Self::Genesis { .. } | Self::Query { .. } | Self::Search { .. } => {}
            Self::Part { of, .. } => entry.m = Some(*of),
            Self::Export { exchange, peer, .. } => {
                entry.m = Some(*exchange);
                entry.p.push(peer.clone());
            }
            Self::HeadSeen { node, head, .. } => {
                entry.h = Some(*head);
                entry.p.push(node.clone());
            }
            Self::KeySet { node, .. } => entry.p.push(node.clone()),
            Self::Order { order, .. } => entry.p.extend(order.peer().cloned()),
            Self::Receipt { node, message, head, .. } => {
                entry.h = Some(*head);
                entry.m = Some(*message);
                entry.p.push(node.clone());
            }
            Self::Received { from, token, head, .. } => {
                entry.h = Some(*head);
                entry.m = envelope::id_of(token);
                entry.p.push(from.clone());
            }
            Self::Sent { to, token } => {
                entry.m = envelope::id_of(token);
                entry.p.push(to.clone());
            }
        }
        Written { entry: entry.line(), record, salt: *salt }
    }

    /// Read a record's bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, json::JsonFlaw> {
        json::parse(bytes)
    }

    /// The sealed bytes of a message, if it is of one that was sent or taken.
    fn token(&self) -> Option<&str> {
        match self {
            Self::Received { token, .. } | Self::Sent { token, .. } => Some(token),
            _ => None,
        }
    }

    /// The key sets that it puts in force, one version per line, and whose.
    pub fn key_sets(&self) -> Option<(&NodeId, &str)> {
        match self {
            Self::KeySet { node, key_set } => Some((node, key_set)),
            Self::Order { order, .. } => order.key_sets(),
            _ => None,
        }
    }

    /// The key set that it puts in force, if it does.
    pub fn key_set(&self) -> Option<&str> {
        match self {
            Self::KeySet { key_set, .. }
            | Self::Order { order: Order::InstallKeySet { key_set, .. }, .. } => Some(key_set),
            _ => None,
        }
    }

    /// What the log calls it.
    pub fn kind(&self) -> EntryKind {
        match self {
            Self::Alert { .. } => EntryKind::Alert,
            Self::Backup { .. } => EntryKind::Backup,
            Self::Deadline { .. } => EntryKind::Deadline,
            Self::Denied { .. } => EntryKind::Denied,
            Self::Export { .. } => EntryKind::Export,
            Self::Genesis { .. } => EntryKind::Genesis,
            Self::HeadSeen { .. } => EntryKind::HeadSeen,
            Self::KeySet { .. } => EntryKind::KeySet,
            Self::Order { order, .. } => match order {
                Order::AdmitPeer { .. } => EntryKind::PeerAdded,
                Order::RemovePeer { .. } => EntryKind::PeerRemoved,
                Order::SetRules { .. } => EntryKind::PolicySet,
                Order::InstallKeySet { .. } => EntryKind::KeySet,
                Order::Act { .. }
                | Order::ImportFirearms { .. }
                | Order::ImportLicences { .. }
                | Order::Open { .. } => EntryKind::Order,
            },
            Self::Part { .. } => EntryKind::Part,
            Self::Query { .. } | Self::Search { .. } => EntryKind::Query,
            Self::Receipt { .. } => EntryKind::Receipt,
            Self::Received { .. } => EntryKind::MessageReceived,
            Self::Sent { .. } => EntryKind::MessageSent,
        }
    }
}

impl Alert {
    /// The peer it is about.
    pub fn node(&self) -> &NodeId {
        match self {
            Self::Forked { node, .. }
            | Self::ReceiptTime { node, .. }
            | Self::SequenceReused { node, .. } => node,
        }
    }
}

/// An entry and the record behind it, ready for the journal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Written {
    /// The line.
    pub entry: String,
    /// The record's bytes.
    pub record: Vec<u8>,
    /// The salt in front of them.
    pub salt: [u8; SALT_LEN],
}

/// A record with its place in our log. What the desk believes is a fold over these.
#[derive(Clone, Debug, PartialEq)]
pub struct Staged {
    /// Its place.
    pub leaf: LeafIndex,
    /// When, by our clock.
    pub at: Timestamp,
    /// What.
    pub record: Record,
    /// The message in it, read once.
    pub message: Option<Verified>,
}

impl Staged {
    /// A record read back from our own log.
    pub fn replayed(leaf: LeafIndex, at: Timestamp, record: Record) -> Result<Self, Fault> {
        let message = match &record {
            Record::Received { token, .. } | Record::Sent { token, .. } => {
                Some(envelope::assume_recorded(token)?)
            }
            _ => None,
        };
        Ok(Self { leaf, at, record, message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entries() -> impl Strategy<Value = Entry> {
        let kinds = prop::sample::select(vec![
            EntryKind::Alert,
            EntryKind::Denied,
            EntryKind::HeadSeen,
            EntryKind::MessageReceived,
            EntryKind::Order,
            EntryKind::Receipt,
        ]);
        let hash = any::<[u8; 32]>().prop_map(Hash::from_bytes);
        let head = (0u64..1 << 40, any::<[u8; 32]>())
            .prop_map(|(size, root)| TreeHead { size, root: Hash::from_bytes(root) });
        (kinds, hash.clone(), prop::option::of(hash), prop::option::of(head), 0u64..1 << 40, any::<bool>())
            .prop_map(|(k, c, m, h, t, peer)| Entry {
                c,
                f: (k == EntryKind::Denied).then_some(Fault::Expired),
                h,
                k,
                m: m.map(MessageId),
                p: peer.then(|| "firearms.example.ke/liaison".parse().expect("a node")).into_iter().collect(),
                t: Timestamp(t),
                v: 1,
            })
    }

    proptest! {
        #[test]
        fn the_line_of_an_entry_is_its_jcs_form_and_reads_back(entry in entries()) {
            let line = entry.line();
            prop_assert_eq!(line.as_bytes(), json::canonical(&entry));
            prop_assert_eq!(Entry::parse(&line), Ok(entry));
        }
    }

    #[test]
    fn a_line_in_another_form_is_not_an_entry() {
        let good = r#"{"c":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","k":"query","t":1790000000,"v":1}"#;
        assert!(Entry::parse(good).is_ok());
        for bad in [
            good.replace(":1}", ":2}"),
            good.replace("query", "gossip"),
            good.replace(",\"v\":1", ""),
            good.replace("{\"c\"", "{ \"c\""),
            good.replace("\"v\":1", "\"v\":1,\"who\":\"an officer\""),
            good.replace("1790000000", "1790000000.0"),
            good.replace("1790000000", "9007199254740992"),
            format!("{good}\n"),
            good.replace("query", &"q".repeat(1100)),
        ] {
            assert_eq!(Entry::parse(&bad), Err(BadEntry), "{bad}");
        }
    }
}

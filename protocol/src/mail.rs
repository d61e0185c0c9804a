//! Mail between two nodes: one frame that takes everything that waits (SPEC.md, section 5).
//!
//! The frame itself is believed in nothing: the head in it must extend the last one held, and every message and
//! receipt must be proven to stand under that head.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::attachment;
use crate::authority::{NodeId, Timestamp};
use crate::entry::{Entry, EntryKind, Logged};
use crate::fault::Fault;
use crate::json::{self, JsonFlaw};
use crate::key_set::KeyChain;
use crate::merkle::{Hash, LeafIndex, ProofFlaw, TreeHead, leaf_hash, verify_consistency, verify_inclusion};
use crate::message::{Message, MessageId};
use crate::note::{AddCheckpoint, SignedCheckpoint, open_checkpoint};

/// Largest `Mail`, in bytes.
pub const MAX_MAIL: usize = 4 * 1024 * 1024;
/// Most messages in a `Mail`, and most receipts.
pub const MAX_MESSAGES: usize = 256;
/// Largest response, in bytes.
pub const MAX_REPLY: usize = 64 * 1024;

/// What one node hands another in one request.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// Newer versions of the sender's key set that the receiver lacks, oldest first; taken in before all else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key_sets: Vec<String>,
    /// Version of the receiver's key set that the sender holds: older, and the receiver sends the newer ones.
    pub holds: u64,
    /// The sender's head: the body of a tlog-witness `add-checkpoint` request, verbatim.
    pub head: String,
    /// Messages with the proof that their sender logged them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<Posted>,
    /// Proofs that messages of the receiver were taken, or refused for good.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub receipts: Vec<Logged>,
    /// Messages of the receiver that cannot be taken yet. A hint: it proves nothing and ends nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deferred: Vec<Deferred>,
}

/// A message on its way.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Posted {
    /// The sealed bytes.
    pub token: String,
    /// The sender's `msg.sent` entry with its proof under the head of the same `Mail`.
    pub logged: Logged,
    /// The parts that the message names, as far as they are not withheld: at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<String>,
}

/// A message that could not be taken for a passing reason.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Deferred {
    /// Which message.
    pub id: MessageId,
    /// Why not yet.
    pub code: Fault,
    /// The receiver's time: a sender whose clock is ahead learns by how much.
    pub at: Timestamp,
}

/// What became of the head of a `Mail`, and nothing else: receipts ride in the receiver's own next `Mail`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case", deny_unknown_fields)]
pub enum MailReply {
    /// Not now: come back later. Nothing of the `Mail` was looked at.
    Busy {
        /// When to come back.
        retry_after_secs: u32,
    },
    /// Taken, durably: our cosignature line for the head.
    Cosigned {
        /// The line (C2SP tlog-cosignature).
        line: String,
    },
    /// The head does not extend the one we cosigned (422). No cosignature; both heads are kept.
    Forked {
        /// The head of the sender's log that we cosigned, as the sender signed it.
        held: String,
    },
    /// The head starts from another size than the one we cosigned (409). Nothing of the `Mail` was processed.
    Stale {
        /// The head of the sender's log that we cosigned, as the sender signed it, to start from; absent before the
        /// first. It proves itself: nobody can make another State believe that it has said more than it has.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        held: Option<String>,
    },
}

/// Why a frame is not a `Mail`.
#[derive(Debug, thiserror::Error)]
pub enum MailFlaw {
    /// The JSON is not of the form it must be.
    #[error("malformed mail: {}", .0.place())]
    Form(JsonFlaw),
    /// It holds too much.
    #[error("mail beyond its bounds")]
    TooMuch,
}

impl Mail {
    /// Read a frame.
    pub fn parse(frame: &[u8]) -> Result<Self, MailFlaw> {
        if frame.len() > MAX_MAIL {
            return Err(MailFlaw::TooMuch);
        }
        let mail: Self = json::parse(frame).map_err(MailFlaw::Form)?;
        let most = [mail.messages.len(), mail.receipts.len(), mail.deferred.len()].into_iter().max();
        if most > Some(MAX_MESSAGES) || mail.key_sets.len() > crate::key_set::MAX_CHAIN {
            return Err(MailFlaw::TooMuch);
        }
        Ok(mail)
    }

    /// The frame.
    pub fn frame(&self) -> Vec<u8> {
        let of_message =
            |posted: &Posted| posted.token.len() + posted.parts.iter().map(String::len).sum::<usize>();
        let words: usize = self.messages.iter().map(of_message).sum();
        json::plain(self, words + (self.messages.len() + self.receipts.len() + 1) * 2048)
    }
}

impl MailReply {
    /// Read a response.
    pub fn parse(frame: &[u8]) -> Result<Self, MailFlaw> {
        if frame.len() > MAX_REPLY {
            return Err(MailFlaw::TooMuch);
        }
        json::parse_exact(frame).map_err(MailFlaw::Form)
    }

    /// The frame.
    pub fn frame(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a reply has string keys")
    }
}

/// Why a head is not accepted.
#[derive(Debug)]
pub enum HeadFlaw {
    /// It is malformed, or not signed by the log it names.
    Bad,
    /// It is signed, and does not extend the one held.
    Forked(SignedCheckpoint),
    /// It starts from another size than the one held.
    Stale,
}

/// Check that `head` extends `held`, the last head of this log that we cosigned.
///
/// Source: C2SP tlog-witness, `add-checkpoint`. What is offered must start exactly where we stand.
pub fn open_head(head: &str, keys: &KeyChain, held: &TreeHead) -> Result<SignedCheckpoint, HeadFlaw> {
    let offered = AddCheckpoint::parse(head).map_err(|_| HeadFlaw::Bad)?;
    let log = keys.current().current_log();
    let key = keys.log_key(log).ok_or(HeadFlaw::Bad)?;
    let origin = keys.current().node.log_origin(log);
    let signed = open_checkpoint(&offered.checkpoint, &origin, key).map_err(|_| HeadFlaw::Bad)?;
    if offered.old != held.size {
        return Err(HeadFlaw::Stale);
    }
    match verify_consistency(held, signed.head(), &offered.proof) {
        Ok(()) => Ok(signed),
        // A smaller tree, or one that cannot be shown to contain what we cosigned, is another history.
        Err(ProofFlaw::Forked | ProofFlaw::OldRoot | ProofFlaw::Root | ProofFlaw::Shrunk) => {
            Err(HeadFlaw::Forked(signed))
        }
        Err(_) => Err(HeadFlaw::Bad),
    }
}

/// Check that `posted` stands in its sender's log under `head`, as the sending of message `id` to `us`.
pub fn check_posted(posted: &Logged, id: MessageId, us: &NodeId, head: &TreeHead) -> Result<Entry, Fault> {
    let entry = check_logged(posted, us, head).ok_or(Fault::NotLogged)?;
    if entry.k == EntryKind::MessageSent && entry.m == Some(id) { Ok(entry) } else { Err(Fault::NotLogged) }
}

/// Check that each part beside a message is one that it names, and names a person. Missing ones are withheld, or erased.
pub fn check_parts(parts: &[String], message: &Message) -> Result<(), Fault> {
    let is_named = |part: &String| {
        attachment::read_part(part).is_some() && message.parts.contains(&Hash::of(part.as_bytes()))
    };
    let distinct: BTreeSet<&String> = parts.iter().collect();
    if distinct.len() == parts.len() && parts.iter().all(is_named) { Ok(()) } else { Err(Fault::PartUnknown) }
}

/// Check that `receipt` stands in the peer's log under `head` and speaks of a message of `us`. Returns which, and
/// why it was refused for good, if it was.
pub fn check_receipt(receipt: &Logged, us: &NodeId, head: &TreeHead) -> Option<(MessageId, Entry)> {
    let entry = check_logged(receipt, us, head)?;
    let speaks = match entry.k {
        EntryKind::MessageReceived => true,
        EntryKind::Denied => entry.f.is_some(),
        _ => false,
    };
    Some((entry.m.filter(|_| speaks)?, entry))
}

fn check_logged(logged: &Logged, us: &NodeId, head: &TreeHead) -> Option<Entry> {
    let entry = Entry::parse(&logged.entry).ok()?;
    verify_inclusion(&leaf_hash(logged.entry.as_bytes()), logged.leaf, head, &logged.proof).ok()?;
    (entry.p == [us.clone()]).then_some(entry)
}

/// The entry `entry` at `leaf`, with the proof that `nodes` gives under the tree of `size`.
pub fn logged<N: crate::merkle::Nodes>(
    entry: String,
    leaf: LeafIndex,
    size: u64,
    nodes: &N,
) -> Result<Logged, N::Error> {
    Ok(Logged { entry, leaf, proof: crate::merkle::inclusion_proof(nodes, leaf, size)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_malformed_mail_quotes_nothing_of_it() {
        let frames = [
            r#"{"parts":"CANARY"}"#,
            r#"{"CANARY":1}"#,
            r#"{"head":{"CANARY":1}}"#,
            r#"{"holds":"CANARY"}"#,
            r#"{"head":"CANARY"#,
            "CANARY",
        ];
        for frame in frames {
            let flaw = Mail::parse(frame.as_bytes()).expect_err("it is malformed").to_string();
            assert!(!flaw.contains("CANARY"), "{flaw}");
            let flaw = MailReply::parse(frame.as_bytes()).expect_err("it is malformed").to_string();
            assert!(!flaw.contains("CANARY"), "{flaw}");
        }
    }

    #[test]
    fn what_was_written_is_read_up_to_the_longest_frame_and_no_further() {
        let logged = Logged { entry: String::new(), leaf: LeafIndex(0), proof: Vec::new() };
        let parts = vec!["a person, longer than the message".to_owned()];
        // More receipts than messages, as a peer gets them that was answered all at once.
        let receipts = vec![logged.clone(); 2];
        let messages = vec![Posted { token: "a.b.c".to_owned(), logged, parts }];
        let mail = Mail { messages, receipts, ..Mail::default() };
        let reply = MailReply::Busy { retry_after_secs: 7 };
        // White space at the end is all that can be added.
        let padded = |mut frame: Vec<u8>, length| {
            frame.resize(length, b' ');
            frame
        };
        let (of_mail, of_reply) = (|n| padded(mail.frame(), n), |n| padded(reply.frame(), n));
        assert_eq!(Mail::parse(&of_mail(MAX_MAIL)).ok(), Some(mail.clone()));
        assert!(matches!(Mail::parse(&of_mail(MAX_MAIL + 1)), Err(MailFlaw::TooMuch)));
        assert_eq!(MailReply::parse(&of_reply(MAX_REPLY)).ok(), Some(reply.clone()));
        assert!(matches!(MailReply::parse(&of_reply(MAX_REPLY + 1)), Err(MailFlaw::TooMuch)));
    }
}

//! Evidence of an exchange: gathered from desk and log, held against the conditions on it, packed, recorded, given out.
//!
//! What is given out is verified first, by the same code as a stranger's: a node never hands over what does not hold.
//! Only gathering and recording are the loop's: with photographs an archive may have 128 MiB, and nobody waits for it but
//! whoever asked.

use std::collections::BTreeMap;

use liaison_protocol::attachment::Attachment;
use liaison_protocol::authority::{By, NodeId, OfficerId, StateCode};
use liaison_protocol::entry::{Record, Staged};
use liaison_protocol::evidence::{self, Evidence, Files, Given, Opened, Party, Proven};
use liaison_protocol::handling::{Disclosure, Recipient, Withheld};
use liaison_protocol::key_set::KeyChain;
use liaison_protocol::merkle::{self, Hash, LeafIndex, TreeHead, consistency_proof, inclusion_proof};
use liaison_protocol::message::MessageId;
use liaison_protocol::note::{self, AddCheckpoint, Checkpoint, SignedNote, TlogProof};
use liaison_protocol::operator::{EvidenceRequest, Mistake};

use crate::blobs::Blobs;
use crate::disk::Disk;
use crate::log::LogError;
use crate::node::Node;

/// What the log has of an exchange for whoever asks for it as evidence, or why it is withheld.
#[derive(Debug)]
pub struct Gathered {
    given: Given,
    peer: NodeId,
    via: OfficerId,
    found: Result<Found, Vec<Withheld>>,
    giver: StateCode,
}

/// What is given out, but for the content of attachments.
#[derive(Debug)]
struct Found {
    evidence: Evidence,
    attachments: Vec<Attachment>,
}

/// An answer to whoever asked for evidence: first it is recorded, then he gets it.
#[derive(Debug)]
pub struct Export {
    /// What is to be recorded.
    pub record: Record,
    /// The archive, or why there is none.
    pub outcome: Result<Vec<u8>, Mistake>,
}

impl<D: Disk> Node<D> {
    /// Gather what is to be given out of an exchange, and hold it against the conditions on it (R-12.5a).
    pub fn gather(
        &mut self,
        exchange: MessageId,
        request: EvidenceRequest,
        via: OfficerId,
    ) -> Result<Gathered, Mistake> {
        self.may_record()?;
        let EvidenceRequest { purpose, recipient: to, officer, without_persons } = request;
        let unknown = || Mistake::Unknown(format!("no exchange {exchange}: see the list of exchanges"));
        let peer = self.peer_of(&exchange).ok_or_else(unknown)?;
        let ours = own(self)?.current().state.clone();
        if to == Recipient::State(ours) {
            return Err(Mistake::Malformed(
                "for: our own State is named by who gets it there: auditor, court or prosecutor".into(),
            ));
        }
        let by = By::Officers { prepared: officer.unwrap_or_else(|| via.clone()), approved: None };
        let records = self.records_of(&exchange)?;
        let giver = chain_of(self, &peer)?.current().state.clone();
        let disclosure = Disclosure { purpose, to: to.clone(), on: self.now().date() };
        let received = records.iter().filter(|staged| matches!(staged.record, Record::Received { .. }));
        let received = received.filter_map(|staged| staged.message.as_ref());
        let withheld = evidence::withheld(received, &giver, &disclosure);
        // To another State goes what was said, and not how we decided it: that stays ours (R-SOV).
        let abroad = matches!(to, Recipient::State(_));
        let found = if withheld.is_empty() {
            let shown: Vec<Staged> = records
                .into_iter()
                .filter(|staged| {
                    belongs(&staged.record, without_persons) && (!abroad || is_mail(&staged.record))
                })
                .collect();
            let messages = shown.iter().filter_map(|staged| Some(staged.message.as_ref()?.message()));
            let attachments = messages.flat_map(|message| message.attachments.clone()).collect();
            Ok(Found { evidence: evidence_of(self, &peer, &shown)?, attachments })
        } else {
            Err(withheld)
        };
        let given = Given { exchange, purpose, to, by, at: self.now() };
        Ok(Gathered { given, peer, via, found, giver })
    }
}

impl Gathered {
    /// Pack it, with what is here of the attachments and fits. That is work for a second where there is much of it: none
    /// that a round should wait for.
    pub fn pack<D: Disk>(self, blobs: &Blobs<D>) -> Export {
        let Self { given, peer, via, found, giver } = self;
        let (outcome, withheld) = match found {
            Ok(found) => (found.archive(&given, blobs), Vec::new()),
            Err(withheld) => (Err(not_given(&withheld, &giver)), withheld),
        };
        let archive = outcome.as_ref().ok().map(|archive| Hash::of(archive));
        let Given { exchange, purpose, to, by, .. } = given;
        Export { record: Record::Export { exchange, peer, purpose, to, by, via, archive, withheld }, outcome }
    }
}

impl Found {
    /// The file, once it holds.
    fn archive<D: Disk>(self, given: &Given, blobs: &Blobs<D>) -> Result<Vec<u8>, Mistake> {
        let Self { mut evidence, attachments } = self;
        evidence.attachments = contents(blobs, &attachments, Room::beside(&evidence.files(given)))?;
        let files = evidence.files(given);
        let report = evidence::verify(&files);
        // A State that takes a key back takes back what it says, and not what it said: that is on record, and given out.
        let fails = |claim: &&evidence::Claim| claim.flaw.is_some() && !claim.is_revoked();
        if let Some(claim) = report.claims().iter().find(fails) {
            let flaw = claim.flaw.as_deref().unwrap_or_default();
            return Err(Mistake::NotReady(format!(
                "nothing was given out, for it would not hold: {}: {flaw}. If the peer was admitted anew under other \
                 roots, its former key sets are needed; else report this",
                claim.says
            )));
        }
        evidence::pack(&files).map_err(|flaw| Mistake::NotReady(format!("the evidence: {flaw}")))
    }
}

fn not_given(withheld: &[Withheld], giver: &StateCode) -> Mistake {
    let first = withheld.first().map(ToString::to_string).unwrap_or_default();
    let more = match withheld.len().saturating_sub(1) {
        0 => String::new(),
        more => format!(". So it is with {more} more of {giver}'s messages in this exchange"),
    };
    Mistake::Withheld(format!("not given out: {first}{more}"))
}

fn own<D: Disk>(node: &Node<D>) -> Result<&KeyChain, Mistake> {
    node.desk().own().ok_or_else(|| Mistake::NotReady("the log has no key set".into()))
}

fn chain_of<'a, D: Disk>(node: &'a Node<D>, peer: &NodeId) -> Result<&'a KeyChain, Mistake> {
    let known = node.desk().known_peer(peer);
    Ok(known.ok_or_else(|| Mistake::Unknown(format!("no peer {peer}")))?.chain())
}

/// Whether a record is shown as one of this exchange. Key sets are shown whole, with their States.
fn belongs(record: &Record, without_persons: bool) -> bool {
    record.key_sets().is_none() && !(without_persons && matches!(record, Record::Part { .. }))
}

/// Whether a record is what went between the two nodes, and no more.
fn is_mail(record: &Record) -> bool {
    matches!(
        record,
        Record::Denied { .. } | Record::Receipt { .. } | Record::Received { .. } | Record::Sent { .. }
    )
}

/// What our log has of an exchange with `peer`: these records, and what came with them; no attachments yet.
fn evidence_of<D: Disk>(node: &mut Node<D>, peer: &NodeId, shown: &[Staged]) -> Result<Evidence, Mistake> {
    let mut ours = Party { chain: own(node)?.clone(), proven: BTreeMap::new(), extensions: BTreeMap::new() };
    let mut theirs =
        Party { chain: chain_of(node, peer)?.clone(), proven: BTreeMap::new(), extensions: BTreeMap::new() };
    let mut messages = Vec::new();
    let newest = node.log().checkpoint().clone();
    let log = ours.chain.current().current_log();
    // The newest head of ours that the peer cosigned covers what it covers; the newest of all covers the rest.
    let cosigned = node.witnessed(peer).and_then(|note| {
        let (signed, _) = ours.chain.open_checkpoint(note, log).ok()?;
        let held = merkle::root(node.log(), signed.head().size).ok()? == signed.head().root;
        held.then(|| (note.to_owned(), *signed.head()))
    });
    let newest = (newest.as_str().to_owned(), *newest.head());
    let mut beyond = false;
    for Staged { leaf, record, .. } in shown {
        let (note, head) = match &cosigned {
            Some(cosigned) if leaf.0 < cosigned.1.size => cosigned,
            _ => {
                beyond = true;
                &newest
            }
        };
        let proof = prove(node, *leaf, head, note)?;
        let (salt, bytes) = node.log().reader().opened(*leaf).map_err(unreadable)?;
        let entry = node.log().reader().entry(*leaf).map_err(unreadable)?;
        let opened = Some(Opened { salt, record: bytes });
        ours.proven.insert((log, *leaf), Proven { entry, proof, opened });
        if let Record::Received { token, .. } | Record::Sent { token, .. } = record {
            messages.push(token.clone());
        }
        if let Record::Received { proof, head, .. } | Record::Receipt { proof, head, .. } = record {
            let (number, note) = head_of(node, &ours.chain, &theirs.chain, peer, head)?;
            let (index, hashes) = (proof.leaf, proof.proof.clone());
            let shown = TlogProof { index, proof: hashes, checkpoint: note, extra: None };
            let proven = Proven { entry: proof.entry.clone(), proof: shown, opened: None };
            theirs.proven.insert((number, index), proven);
        }
    }
    let apart = cosigned.filter(|(_, head)| {
        beyond && head.size < newest.1.size && ours.proven.keys().any(|(_, leaf)| leaf.0 < head.size)
    });
    if let Some((_, old)) = apart {
        let proof = consistency_proof(node.log(), old.size, newest.1.size).map_err(unreadable)?;
        let extension = AddCheckpoint { old: old.size, proof, checkpoint: newest.0 };
        ours.extensions.insert(log, extension);
    }
    Ok(Evidence { exporter: ours, other: theirs, messages, attachments: BTreeMap::new() })
}

/// What there may still be in an evidence file.
struct Room {
    files: usize,
    /// Of content.
    bytes: usize,
    /// Of the archive, in which a file takes more than its content.
    packed: usize,
}

impl Room {
    /// Beside these files.
    fn beside(files: &Files) -> Self {
        Self {
            files: evidence::MAX_FILES.saturating_sub(files.len()),
            bytes: evidence::MAX_ATTACHED,
            packed: evidence::MAX_ARCHIVE.saturating_sub(evidence::packed_len(files)),
        }
    }

    /// Take some of it for a file of `length` bytes, if there is enough.
    fn take(&mut self, length: u64) -> bool {
        let left = || {
            let length = usize::try_from(length).ok()?;
            Some(Self {
                files: self.files.checked_sub(1)?,
                bytes: self.bytes.checked_sub(length)?,
                packed: self.packed.checked_sub(length.checked_add(AROUND)?)?,
            })
        };
        left().map(|left| *self = left).is_some()
    }
}

/// More than a file takes in an archive beside its content: a header, what fills it up, and its line in the sums.
const AROUND: usize = 2048;

/// What is here of them, as much as there is room for, by the names of their files.
fn contents<D: Disk>(
    blobs: &Blobs<D>,
    attachments: &[Attachment],
    mut room: Room,
) -> Result<BTreeMap<String, Vec<u8>>, Mistake> {
    let mut contents = BTreeMap::new();
    for attachment in attachments {
        let file = attachment.file_name();
        if contents.contains_key(&file) || !blobs.holds(attachment) || !room.take(attachment.length) {
            continue;
        }
        let whole = u32::try_from(attachment.length).unwrap_or(u32::MAX);
        let content = blobs.read(&attachment.digest, 0, whole);
        let content = content.map_err(|error| Mistake::NotReady(error.to_string()))?;
        contents.extend(content.map(|content| (file, content)));
    }
    Ok(contents)
}

fn prove<D: Disk>(
    node: &Node<D>,
    leaf: LeafIndex,
    head: &TreeHead,
    note: &str,
) -> Result<TlogProof, Mistake> {
    let proof = inclusion_proof(node.log(), leaf, head.size).map_err(unreadable)?;
    Ok(TlogProof { index: leaf, proof, checkpoint: note.to_owned(), extra: None })
}

/// A head of the peer's log as it signed it, with our cosignature, and the number of that log.
fn head_of<D: Disk>(
    node: &mut Node<D>,
    own: &KeyChain,
    theirs: &KeyChain,
    peer: &NodeId,
    head: &TreeHead,
) -> Result<(u32, String), Mistake> {
    let lost = || {
        Mistake::NotReady(
            "the index does not know a head of the peer's log: stop the node, remove the folder data/index and start \
             it again; the index is made anew from the log"
                .into(),
        )
    };
    let seen = node.head_seen(peer, head.size).ok_or_else(lost)?;
    let Record::HeadSeen { checkpoint: note, head: known, .. } = &seen.record else { return Err(lost()) };
    if known != head {
        return Err(lost());
    }
    let checkpoint = SignedNote::parse(note).and_then(|note| Checkpoint::parse(note.text()));
    let checkpoint = checkpoint.map_err(|_| lost())?;
    let logs = theirs.after(0).flat_map(|signed| &signed.set().logs);
    let number = logs.map(|log| log.n).find(|n| peer.log_origin(*n) == checkpoint.origin).ok_or_else(lost)?;
    // What we told the peer when we took that head: the same key over the same words at the same time is the same line.
    let line =
        note::cosign(&node.keys().witness.key, &own.current().node.witness_name(), seen.at.0, &checkpoint);
    let holds =
        note::NoteSignature::parse(&line).is_ok_and(|line| own.cosigned_at(&[line], &checkpoint).is_ok());
    let line = if holds { line.as_str() } else { "" };
    Ok((number, format!("{note}{line}")))
}

fn unreadable(error: LogError) -> Mistake {
    Mistake::NotReady(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attachments_take_what_the_rest_leaves() {
        let mut many = Files::new();
        for number in 0..evidence::MAX_FILES - 2 {
            many.insert(format!("KEN/{number}"), vec![0; 600]);
        }
        let mut room = Room::beside(&many);
        assert_eq!([1, 1, 1].map(|length| room.take(length)), [true, true, false], "no more files");

        // Beside what is small they have all they may have; beside 100 MiB of other things, what is left of 128.
        let rest = |bytes: usize| {
            let mut files = Files::from([("a".to_owned(), vec![0; bytes])]);
            let mut room = Room::beside(&files);
            let mut taken = 0;
            for length in [[32 << 20; 4], [8 << 20; 4], [1 << 20; 4]].concat() {
                if room.take(length) {
                    taken += usize::try_from(length).expect("small");
                    files.insert(format!("attachments/{}", files.len()), Vec::new());
                }
            }
            // Each with a line in the sums.
            let sums = 128 * files.len();
            assert!(
                evidence::packed_len(&files) + taken.next_multiple_of(512) + sums <= evidence::MAX_ARCHIVE
            );
            taken
        };
        assert_eq!(rest(1), evidence::MAX_ATTACHED);
        assert!((20 << 20..28 << 20).contains(&rest(100 << 20)));
        assert!(!Room::beside(&Files::from([("a".to_owned(), vec![0; 200 << 20])])).take(0));
    }
}

//! The verification of an evidence file: what it proves, claim by claim, with no node and no trust in who made it.
//!
//! That the key sets are the two States' own it does not prove: their fingerprints decide. What the exporter left out
//! at the end it cannot see, nor what was said elsewhere; that what is shown hangs together, it can.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Evidence, Files, Layout, Party, Proven, README, SCRIPT, SCRIPT_TEXT, SUMS, leaf_file, sums};
use crate::attachment::Attachment;
use crate::authority::{NodeId, StateCode, Timestamp};
use crate::entry::{Entry, EntryKind, Logged, Record};
use crate::envelope::{self, Verified};
use crate::fault::Fault;
use crate::json;
use crate::key_set::Fingerprint;
use crate::merkle::{Hash, LeafIndex, TreeHead, leaf_hash, verify_consistency, verify_inclusion};
use crate::message::MessageId;

/// What an evidence file proves, and what it claims and does not prove.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    exchange: Option<MessageId>,
    parties: Vec<Named>,
    heard: Vec<Heard>,
    claims: Vec<Claim>,
}

impl Report {
    /// Whether every claim holds.
    pub fn holds(&self) -> bool {
        self.claims.iter().all(|claim| claim.flaw.is_none())
    }

    /// The exchange: the id of the message that opened it.
    pub fn exchange(&self) -> Option<MessageId> {
        self.exchange
    }

    /// The State that exported, and the other; none where the files cannot be read.
    pub fn parties(&self) -> &[Named] {
        &self.parties
    }

    /// The messages whose seal holds, in the order of the files.
    pub fn heard(&self) -> &[Heard] {
        &self.heard
    }

    /// The claims.
    pub fn claims(&self) -> &[Claim] {
        &self.claims
    }
}

/// A State by its key sets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Named {
    /// The State.
    pub state: StateCode,
    /// Its authority.
    pub authority: String,
    /// Its node.
    pub node: NodeId,
    /// The fingerprint of its first key set: to be compared with one from elsewhere.
    pub fingerprint: Fingerprint,
}

/// What was said in one message.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    /// Its number among the files, from 1.
    pub number: usize,
    /// Its id.
    pub id: MessageId,
    /// Who said it.
    pub from: StateCode,
    /// To whom.
    pub to: StateCode,
    /// When, by its sender's clock.
    pub at: Timestamp,
    /// Its kind.
    pub kind: String,
    /// What it says.
    pub body: Value,
}

/// What a claim is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Topic {
    /// The files of the archive.
    Files,
    /// A State's key sets.
    KeySets,
    /// A State's log: its heads, and who cosigned them.
    Log,
    /// A message: who said it, where it is logged, who took it. Its number among the files.
    Message(usize),
    /// The messages among each other.
    Order,
    /// What the exporter's own records say.
    Records,
}

/// One thing the file claims.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Claim {
    /// What it is about.
    pub topic: Topic,
    /// What it says, in words.
    pub says: String,
    /// Why it does not hold, if it does not.
    pub flaw: Option<String>,
}

/// Why a message under a key that its State has taken back proves nothing.
const REVOKED: &str = "the key was not good at that time, or is revoked from before it";

impl Claim {
    /// Whether it fails only because a State has since revoked the key from before: what it said is on record all the
    /// same.
    pub fn is_revoked(&self) -> bool {
        self.flaw.as_deref() == Some(REVOKED)
    }
}

/// Verify the files of an evidence file.
pub fn verify(files: &Files) -> Report {
    let whole = whole(files);
    let read = Evidence::read(files);
    let mut claims = Claims(Vec::new());
    claims.say(Topic::Files, format!("the {} files are those that SHA256SUMS lists", files.len()), whole);
    match &read {
        Ok(evidence) => {
            let told = files.get(README).is_some_and(|readme| evidence.is_told_by(readme));
            let flaw = || "it was written by somebody else, or altered: believe nothing it says".to_owned();
            let says = format!("{README} says of the States and the exchange what the files say");
            claims.say(Topic::Files, says, if told { Ok(()) } else { Err(flaw()) });
            verify_read(evidence, claims)
        }
        Err(flaw) => {
            claims.say(Topic::Files, "they are the parts of one exchange".to_owned(), Err(flaw.to_string()));
            Report { exchange: None, parties: Vec::new(), heard: Vec::new(), claims: claims.0 }
        }
    }
}

fn whole(files: &Files) -> Result<(), String> {
    if let Some(missing) = [README, SCRIPT, SUMS].into_iter().find(|name| !files.contains_key(*name)) {
        return Err(format!("{missing} is missing"));
    }
    if files[SCRIPT] != SCRIPT_TEXT.as_bytes() {
        return Err(format!("{SCRIPT} is not the one this version writes: do not run it"));
    }
    // Not signed by anyone: it tells of a broken copy, and the proofs below of everything else.
    if files[SUMS] == sums(files).into_bytes() {
        Ok(())
    } else {
        Err("a file was altered, added or taken away".to_owned())
    }
}

struct Claims(Vec<Claim>);

impl Claims {
    fn say(&mut self, topic: Topic, says: String, holds: Result<(), String>) {
        self.0.push(Claim { topic, says, flaw: holds.err() });
    }
}

/// An entry whose place is proven.
struct Placed {
    entry: Entry,
    head: TreeHead,
    /// When the other State cosigned that head.
    cosigned: Option<Timestamp>,
}

/// A State with its entries, checked.
struct Side<'a> {
    party: &'a Party,
    placed: BTreeMap<(u32, LeafIndex), Placed>,
}

fn verify_read(evidence: &Evidence, mut claims: Claims) -> Report {
    let Evidence { exporter, other, messages, .. } = evidence;
    for party in [exporter, other] {
        let set = party.chain.current();
        let says = format!(
            "{}, {}: {} key set{}, each signed by its roots and following the one before",
            set.state,
            set.authority,
            set.version,
            if set.version == 1 { "" } else { "s" },
        );
        claims.say(Topic::KeySets, says, Ok(()));
    }
    let [ours, theirs] = [(exporter, other), (other, exporter)].map(|(party, witness)| {
        let side = place_all(party, witness, &mut claims);
        // Entries are in the order of their time.
        let times: Vec<_> = side.placed.iter().map(|((log, _), placed)| (*log, placed.entry.t)).collect();
        let ordered = times.is_sorted();
        let range = times.first().zip(times.last()).map(|(first, last)| (first.1, last.1));
        if let Some((first, last)) = range {
            let says = format!("the times in {}'s log never go back: {first} to {last}", party.state());
            let flaw = "a later entry has an earlier time".to_owned();
            claims.say(Topic::Log, says, if ordered { Ok(()) } else { Err(flaw) });
        }
        side
    });
    let sealed: Vec<Option<Verified>> = messages
        .iter()
        .zip(1..)
        .map(|(token, number)| {
            let opened = open(token, &ours, &theirs);
            let says = match &opened {
                Ok((verified, from, to)) => format!(
                    "{} said this to {} on {}, under its key {}",
                    from.party.state(),
                    to.party.state(),
                    verified.message().iat,
                    verified.key_name()
                ),
                Err(_) => "one of the two States said this to the other".to_owned(),
            };
            let holds = opened.as_ref().map_err(Clone::clone).and_then(|(verified, from, _)| {
                let chain = &from.party.chain;
                let key = chain.message_key(verified.key_name()).map(|(_, key)| key);
                match key.is_some_and(|key| chain.is_good_at(key, verified.message().iat)) {
                    true => Ok(()),
                    false => Err(REVOKED.to_owned()),
                }
            });
            claims.say(Topic::Message(number), says, holds);
            opened.ok().map(|(verified, ..)| verified)
        })
        .collect();
    let exchange = sealed.iter().flatten().map(Verified::exchange).next();
    for (verified, number) in sealed.iter().zip(1..) {
        if let Some(verified) = verified {
            logged(verified, number, &ours, &theirs, &mut claims);
            attached(verified, number, evidence, &mut claims);
        }
    }
    let all: Vec<&Verified> = sealed.iter().flatten().collect();
    let named: BTreeSet<String> =
        all.iter().flat_map(|v| &v.message().attachments).map(Attachment::file_name).collect();
    if let Some(stray) = evidence.attachments.keys().find(|name| !named.contains(*name)) {
        let says = "what is attached was named by a message".to_owned();
        let flaw = format!("{}: no message here names it", super::attachment_file(stray));
        claims.say(Topic::Files, says, Err(flaw));
    }
    let one = order(&all, exchange, &ours, &theirs);
    let says = "all messages are of one exchange, and nothing is missing that they follow or had seen; later \
                ones may exist";
    claims.say(Topic::Order, says.to_owned(), one);
    records(&all, exchange, &ours, &theirs, &mut claims);
    let named = |party: &Party| {
        let set = party.chain.current();
        Named {
            state: set.state.clone(),
            authority: set.authority.to_string(),
            node: set.node.clone(),
            fingerprint: party.chain.fingerprint(),
        }
    };
    let state = |node: &NodeId| {
        let of = [exporter, other].into_iter().find(|party| party.chain.current().node == *node);
        of.unwrap_or(other).state().clone()
    };
    let heard = sealed.iter().zip(1..).filter_map(|(verified, number)| {
        let verified = verified.as_ref()?;
        let message = verified.message();
        Some(Heard {
            number,
            id: verified.id(),
            from: state(&message.iss),
            to: state(&message.aud),
            at: message.iat,
            kind: message.kind().to_string(),
            body: message.body.to_json(),
        })
    });
    Report {
        exchange,
        parties: vec![named(exporter), named(other)],
        heard: heard.collect(),
        claims: claims.0,
    }
}

/// Check every entry of a State: its form, its place under a head that its log signed, and the other State's
/// cosignature, if there is one. Where two heads of one log are shown, the larger must extend the smaller.
fn place_all<'a>(party: &'a Party, witness: &Party, claims: &mut Claims) -> Side<'a> {
    let state = party.state();
    let mut placed = BTreeMap::new();
    let mut flaws = Vec::new();
    let mut heads: BTreeMap<(u32, u64), (&str, TreeHead, Option<Timestamp>)> = BTreeMap::new();
    for ((log, leaf), proven) in &party.proven {
        match place(party, witness, *log, *leaf, proven) {
            Ok(one) => {
                let note = proven.proof.checkpoint.as_str();
                let known = heads.entry((*log, one.head.size)).or_insert((note, one.head, one.cosigned));
                if known.0 != note {
                    flaws.push(format!("the head of {} entries is shown in two ways", one.head.size));
                }
                placed.insert((*log, *leaf), one);
            }
            Err(flaw) => flaws.push(flaw),
        }
    }
    for log in party.extensions.keys().filter(|log| !heads.keys().any(|(of, _)| of == *log)) {
        flaws.push(format!("log{log} has an extension and no head"));
    }
    let says =
        format!("{state}'s log has the {} entries shown, under heads that it signed", party.proven.len());
    let flaw = flaws.first().cloned();
    claims.say(Topic::Log, says, flaw.map_or(Ok(()), Err));
    // Only the exporter can prove how its heads hang together. Those of the other are pinned, one by one, in its log.
    if party.proven.values().any(|proven| proven.opened.is_some()) || !party.extensions.is_empty() {
        let logs: BTreeSet<u32> = heads.keys().map(|(log, _)| *log).collect();
        for log in logs {
            let of: Vec<_> = heads.range((log, 0)..=(log, u64::MAX)).map(|(_, head)| head).collect();
            let (says, holds) = extends(party, log, &of);
            claims.say(Topic::Log, says, holds);
        }
    }
    for (note_head, at) in heads.values().filter_map(|(_, head, at)| Some((head, (*at)?))) {
        let says = format!(
            "{} cosigned {state}'s log of {} entries at {at}: it is bound to this history",
            witness.state(),
            note_head.size
        );
        claims.say(Topic::Log, says, Ok(()));
    }
    if heads.values().all(|(_, _, cosigned)| cosigned.is_none()) {
        let witness = witness.state();
        let says = format!(
            "no head of {state}'s log here is cosigned by {witness}: only {state}'s own word binds it to this history"
        );
        claims.say(Topic::Log, says, Ok(()));
    }
    Side { party, placed }
}

fn place(
    party: &Party,
    witness: &Party,
    log: u32,
    leaf: LeafIndex,
    proven: &Proven,
) -> Result<Placed, String> {
    let file = |ending| leaf_file(party.folder(), log, leaf, ending);
    let (entry_file, proof_file) = (file(super::ENTRY), file(super::PROOF));
    let entry = Entry::parse(&proven.entry).map_err(|bad| format!("{entry_file}: {bad}"))?;
    let bad = |flaw: &dyn std::fmt::Display| format!("{proof_file}: {flaw}");
    let note = &proven.proof.checkpoint;
    let (signed, others) = party.chain.open_checkpoint(note, log).map_err(|flaw| bad(&flaw))?;
    let (leaf_hash, head) = (leaf_hash(proven.entry.as_bytes()), *signed.head());
    verify_inclusion(&leaf_hash, leaf, &head, &proven.proof.proof).map_err(|flaw| bad(&flaw))?;
    // No line that nobody answers for: with the log's own, at most one, and it must be the other State's.
    let cosigned = match others.as_slice() {
        [] => None,
        [_] => Some(witness.chain.cosigned_at(&others, signed.checkpoint()).map_err(|flaw| bad(&flaw))?),
        _ => return Err(bad(&"a signature too many")),
    };
    let mut exact = signed.as_str().to_owned();
    others.iter().for_each(|line| exact.push_str(&line.to_string()));
    if exact != *note {
        return Err(bad(&"a signature too many"));
    }
    Ok(Placed { entry, head, cosigned })
}

fn extends(
    party: &Party,
    log: u32,
    heads: &[&(&str, TreeHead, Option<Timestamp>)],
) -> (String, Result<(), String>) {
    let state = party.state();
    let extension = party.extensions.get(&log);
    match (heads, extension) {
        ([one], None) => (format!("{state} shows one head of its log, of {} entries", one.1.size), Ok(())),
        ([old, new], Some(extension)) => {
            let says = format!(
                "{state}'s log of {} entries begins with the {} of the other head shown",
                new.1.size, old.1.size
            );
            let same = extension.old == old.1.size && extension.checkpoint == new.0;
            let holds = match verify_consistency(&old.1, &new.1, &extension.proof) {
                Ok(()) if same => Ok(()),
                Ok(()) => Err("the extension is of other heads".to_owned()),
                Err(flaw) => Err(flaw.to_string()),
            };
            (says, holds)
        }
        (heads, _) => (
            format!("the heads that {state} shows of its log are of one history"),
            Err(format!("{} heads, and no extension that fits them", heads.len())),
        ),
    }
}

/// Open a message as its addressee would: it is of one of the two to the other.
fn open<'s, 'a>(
    token: &str,
    ours: &'s Side<'a>,
    theirs: &'s Side<'a>,
) -> Result<(Verified, &'s Side<'a>, &'s Side<'a>), String> {
    let open = |from: &Side<'_>, to: &Side<'_>| {
        let node = &from.party.chain.current().node;
        envelope::open(token, node, &from.party.chain, &to.party.chain.current().node)
    };
    match open(ours, theirs) {
        Ok(verified) => Ok((verified, ours, theirs)),
        Err(Fault::IssuerMismatch) => match open(theirs, ours) {
            Ok(verified) => Ok((verified, theirs, ours)),
            Err(fault) => Err(fault.to_string()),
        },
        Err(fault) => Err(fault.to_string()),
    }
}

/// The entry of `side` about message `id` from or to `node`.
fn about<'s>(
    side: &'s Side<'_>,
    id: MessageId,
    node: &NodeId,
    kinds: &[EntryKind],
) -> Option<(LeafIndex, &'s Placed)> {
    let fits = |entry: &Entry| {
        entry.m == Some(id) && entry.p == std::slice::from_ref(node) && kinds.contains(&entry.k)
    };
    side.placed.iter().find(|(_, placed)| fits(&placed.entry)).map(|((_, leaf), placed)| (*leaf, placed))
}

/// Both sides' words on one message: the sender's log holds it; the receiver's took it, or refused it.
fn logged(verified: &Verified, number: usize, ours: &Side<'_>, theirs: &Side<'_>, claims: &mut Claims) {
    let message = verified.message();
    let from_us = message.iss == ours.party.chain.current().node;
    let (sender, receiver) = if from_us { (ours, theirs) } else { (theirs, ours) };
    let (s, r) = (sender.party.state(), receiver.party.state());
    let seen = |placed: &Placed, by: &StateCode| match placed.cosigned {
        Some(at) => format!("; the head over it was cosigned by {by} at {at}"),
        None => String::new(),
    };
    let sent = about(sender, verified.id(), &message.aud, &[EntryKind::MessageSent]);
    let (says, holds) = match sent {
        Some((leaf, placed)) => {
            let says = format!("{s}'s log has it, entry {leaf} of {}{}", placed.entry.t, seen(placed, r));
            (says, Ok(()))
        }
        None => (format!("{s}'s log has it"), Err("no proven entry of that log says so".to_owned())),
    };
    claims.say(Topic::Message(number), says, holds);

    let taken =
        about(receiver, verified.id(), &message.iss, &[EntryKind::MessageReceived, EntryKind::Denied]);
    let acknowledged = about(ours, verified.id(), &message.aud, &[EntryKind::Receipt]);
    let (says, holds) = match (taken, acknowledged) {
        (Some((leaf, placed)), acknowledged) => {
            let did = match placed.entry.f {
                Some(fault) => format!("refused it for good ({fault})"),
                None => "took it".to_owned(),
            };
            let says = format!("{r}'s log {did}, entry {leaf} of {}{}", placed.entry.t, seen(placed, s));
            // Each log pins the head of the other's that came with the proof.
            let pinned = match (from_us, acknowledged) {
                (true, Some((_, receipt))) => receipt.entry.h == Some(placed.head),
                (true, None) => false,
                // A refusal pins no head.
                (false, _) => {
                    placed.entry.h.is_none() || placed.entry.h == sent.map(|(_, placed)| placed.head)
                }
            };
            let flaw = "the exporter's log pins another head of the other State's log".to_owned();
            (says, if pinned { Ok(()) } else { Err(flaw) })
        }
        (None, Some(_)) => (
            format!("{r}'s log took it, or refused it"),
            Err("the proof of the receipt is missing".to_owned()),
        ),
        (None, None) if from_us => {
            (format!("no receipt of {r} is shown: nothing here proves that it arrived"), Ok(()))
        }
        (None, None) => (format!("{r}'s log took it"), Err("no proven entry of that log says so".to_owned())),
    };
    claims.say(Topic::Message(number), says, holds);
}

/// What a message names as attached to it, as far as it is here.
fn attached(verified: &Verified, number: usize, evidence: &Evidence, claims: &mut Claims) {
    for attachment in &verified.message().attachments {
        let (name, file) = (&attachment.name, attachment.file_name());
        let (says, holds) = match evidence.attachments.get(&file) {
            None => (format!("{name} went with it, and is not in this file"), Ok(())),
            Some(content) => {
                let says = format!("{name} went with it: {}", super::attachment_file(&file));
                let flaw = "it is not what the message names".to_owned();
                (says, if attachment.is_of(content) { Ok(()) } else { Err(flaw) })
            }
        };
        claims.say(Topic::Message(number), says, holds);
    }
}

/// That the messages are of one exchange and follow each other without a gap, as far as they go.
fn order(
    all: &[&Verified],
    exchange: Option<MessageId>,
    ours: &Side<'_>,
    theirs: &Side<'_>,
) -> Result<(), String> {
    let exchange = exchange.ok_or_else(|| "no message can be read".to_owned())?;
    let ids: BTreeMap<MessageId, &NodeId> = all.iter().map(|v| (v.id(), &v.message().iss)).collect();
    if ids.len() != all.len() {
        return Err("a message stands there twice".to_owned());
    }
    if !ids.contains_key(&exchange) {
        return Err("the message that opened the exchange is missing".to_owned());
    }
    let refused: BTreeSet<MessageId> = [ours, theirs]
        .into_iter()
        .flat_map(|side| side.placed.values())
        .filter(|placed| placed.entry.k == EntryKind::Denied)
        .filter_map(|placed| placed.entry.m)
        .collect();
    let mut numbers = BTreeSet::new();
    for verified in all {
        let (id, message) = (verified.id(), verified.message());
        if verified.exchange() != exchange {
            return Err(format!("message {id} is of another exchange"));
        }
        if !numbers.insert((&message.iss, message.log, message.seq)) {
            return Err(format!("message {id} has the number of another one"));
        }
        let is = |id: &MessageId, from: &NodeId| ids.get(id).is_some_and(|sender| *sender == from);
        if let Some(prev) = message.prev.filter(|prev| !is(prev, &message.iss) && !refused.contains(prev)) {
            return Err(format!("message {id} follows {prev}, which is missing"));
        }
        for seen in [message.saw, message.irt].into_iter().flatten() {
            if !is(&seen, &message.aud) {
                return Err(format!("message {id} had seen {seen}, which is missing"));
            }
        }
    }
    Ok(())
}

/// Each entry of the exporter commits to its record, and the record says what the entry says. What is shown of either
/// log has its place in the exchange.
fn records(
    all: &[&Verified],
    exchange: Option<MessageId>,
    ours: &Side<'_>,
    theirs: &Side<'_>,
    claims: &mut Claims,
) {
    let shown = Shown { all, exchange, ours, theirs };
    let mut flaws = Vec::new();
    let mut mail = 0;
    for (at, proven) in &ours.party.proven {
        let Some(placed) = ours.placed.get(at) else { continue };
        let file = leaf_file(ours.party.folder(), at.0, at.1, super::RECORD);
        match shown.record(*at, proven, placed) {
            Ok(None) => mail += 1,
            Ok(Some(says)) => claims.say(Topic::Records, says, Ok(())),
            Err(flaw) => flaws.push(format!("{file}: {flaw}")),
        }
    }
    for ((log, leaf), placed) in &theirs.placed {
        if !shown.belongs(placed) {
            let file = leaf_file(theirs.party.folder(), *log, *leaf, super::ENTRY);
            flaws.push(Layout { file, why: "it belongs to no message here".to_owned() }.to_string());
        }
    }
    let says = format!(
        "the records behind the entries of {}'s log are those they commit to, and belong to this exchange; {mail} \
         of them are its mail",
        ours.party.state()
    );
    claims.say(Topic::Records, says, flaws.into_iter().next().map_or(Ok(()), Err));
}

/// All that is shown, to see whether a record fits.
struct Shown<'s, 'a> {
    all: &'s [&'s Verified],
    exchange: Option<MessageId>,
    ours: &'s Side<'a>,
    theirs: &'s Side<'a>,
}

impl Shown<'_, '_> {
    /// What the record at a place of the exporter's log says in words; `None` if it is mail, which is told elsewhere.
    fn record(
        &self,
        at: (u32, LeafIndex),
        proven: &Proven,
        placed: &Placed,
    ) -> Result<Option<String>, String> {
        let opened = proven.opened.as_ref().ok_or("it is missing")?;
        let entry = &placed.entry;
        if Hash::of(&[opened.salt.as_slice(), &opened.record].concat()) != entry.c {
            return Err("the entry commits to another record".to_owned());
        }
        let raw: Value = json::parse(&opened.record).map_err(|flaw| flaw.to_string())?;
        let record = Record::parse(&opened.record).map_err(|_| "a record this version does not know")?;
        // What stands in the entry in clear follows from the record.
        let written =
            Entry::parse(&record.write(entry.t, &opened.salt).entry).map_err(|bad| bad.to_string())?;
        if (Entry { c: entry.c, ..written }) != *entry {
            return Err("the entry says something else than the record".to_owned());
        }
        let message = |id: Option<MessageId>| self.all.iter().find(|message| Some(message.id()) == id);
        match &record {
            Record::Sent { token, .. } => match message(entry.m) {
                Some(message) if message.token() == token => Ok(None),
                _ => Err("its message is missing, or another".to_owned()),
            },
            Record::Received { token, proof, head, .. } => match message(entry.m) {
                Some(message) if message.token() == token => self.same(proof, head).map(|()| None),
                _ => Err("its message is missing, or another".to_owned()),
            },
            Record::Receipt { proof, head, .. } => match message(entry.m) {
                Some(_) => self.same(proof, head).map(|()| None),
                None => Err("its message is missing".to_owned()),
            },
            Record::Denied { id, fault, exchange, .. } => {
                let followed = id.is_some() && self.all.iter().any(|message| message.message().prev == *id);
                if !followed && (exchange.is_none() || *exchange != self.exchange) {
                    return Err("it is about another exchange".to_owned());
                }
                let which = id.map_or("a message".to_owned(), |id| format!("message {id}"));
                Ok(Some(format!("entry {} of {}: {which} was refused for good: {fault}", at.1, entry.t)))
            }
            _ => {
                if !self.names_the_exchange(at, &opened.record) {
                    return Err("it is about another exchange".to_owned());
                }
                Ok(Some(format!("entry {} of {}: {}", at.1, entry.t, in_words(&raw, &record))))
            }
        }
    }

    /// Whether the exporter's record tells of an entry of the other State as it is shown.
    fn same(&self, logged: &Logged, head: &TreeHead) -> Result<(), String> {
        let shown = self.theirs.party.proven.iter().any(|((log, leaf), proven)| {
            let placed = self.theirs.placed.get(&(*log, *leaf));
            *leaf == logged.leaf
                && proven.entry == logged.entry
                && proven.proof.proof == logged.proof
                && placed.is_some_and(|placed| placed.head == *head)
        });
        if shown { Ok(()) } else { Err("the other State's entry that it tells of is missing".to_owned()) }
    }

    /// Whether an entry of the other State is about a message here.
    fn belongs(&self, placed: &Placed) -> bool {
        let us = &self.ours.party.chain.current().node;
        let message = self.all.iter().find(|message| Some(message.id()) == placed.entry.m);
        let Some(message) = message.filter(|_| placed.entry.p == std::slice::from_ref(us)) else {
            return false;
        };
        match placed.entry.k {
            EntryKind::MessageSent => message.message().aud == *us,
            EntryKind::MessageReceived | EntryKind::Denied => message.message().iss == *us,
            _ => false,
        }
    }

    /// A record of another kind names its exchange; the order to open one stands right before its first message.
    fn names_the_exchange(&self, (log, leaf): (u32, LeafIndex), record: &[u8]) -> bool {
        let Some(exchange) = self.exchange else { return false };
        let name = format!("\"{exchange}\"");
        let after = self.ours.placed.get(&(log, LeafIndex(leaf.0.saturating_add(1))));
        record.windows(name.len()).any(|window| window == name.as_bytes())
            || after.is_some_and(|placed| {
                placed.entry.k == EntryKind::MessageSent && placed.entry.m == Some(exchange)
            })
    }
}

/// What a record says, as far as it can be said without knowing what the exchange is about.
fn in_words(raw: &Value, record: &Record) -> String {
    let word = |path: &str| raw.pointer(path).and_then(Value::as_str).map(str::to_owned);
    match record {
        Record::Order { by, via, .. } => {
            let what = word("/order/act/act").or_else(|| word("/order/order")).unwrap_or_default();
            format!("{by} ordered \"{what}\", with the token of {via}")
        }
        Record::Query { .. } => format!(
            "our register was consulted under the rule {}: {}",
            word("/rule").unwrap_or_default(),
            if raw.get("found").is_some() { "it has a record" } else { "it has none" }
        ),
        other => format!("a record of the kind {}", other.kind().as_str()),
    }
}

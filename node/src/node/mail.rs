//! The mail of a round: what peers hand in, what their answers come to, and what goes out to them.

use liaison_protocol::authority::{NodeId, Timestamp};
use liaison_protocol::desk::Judgement;
use liaison_protocol::entry::{Alert, Logged, Record};
use liaison_protocol::envelope::Verified;
use liaison_protocol::fault::Fault;
use liaison_protocol::key_set::KeyChain;
use liaison_protocol::mail::{Deferred, HeadFlaw, Mail, MailReply, Posted};
use liaison_protocol::merkle::{LeafIndex, Nodes, consistency_proof};
use liaison_protocol::note::{AddCheckpoint, SignedCheckpoint};
use liaison_protocol::operator::PeerStanding;
use liaison_protocol::{envelope, mail, merkle, note};
use rayon::prelude::*;

use super::{Node, NodeError, Now, Output};
use crate::disk::Disk;
use crate::lanes::InFlight;
use crate::log::{LogError, Place, Reader};
use crate::metrics::Stage;

/// Key sets in one `Mail` of ours, and new ones taken of one of a peer's.
const MOST_KEY_SETS: usize = 8;
/// Bytes of messages in one `Mail`: leaves room for proofs and the frame.
const MAIL_BUDGET: usize = 2 * 1024 * 1024;
/// A receipt whose time is further than this from the sealing and from our clock raises an alert, in seconds.
const STRANGE_TIME: u64 = 24 * 3600;

/// So many frames or seals are worth to wake other cores for: it takes about as long as to check one.
const WORTH_WAKING: usize = 4;
/// Receipts and messages of one `Mail` taken in one round, while one peer alone has something to say.
const MANY: usize = 128;
/// The same, while others want to be heard too: none of them waits longer than for a few of each.
const FEW: usize = 8;
/// For so many receipts and messages that were taken of a peer, it leaves a millisecond to each other that says something
/// just now. It had about half of one itself.
const FOR_A_MILLISECOND: usize = 2;
/// Most others the time is left to: they seldom all say something at once.
const MOST_OTHERS: usize = 3;
/// For how long after it said something a peer counts among those others, in milliseconds.
const JUST_NOW: u64 = 50;
/// How long after it was told of a refused message others of that peer are told at `debug` only, in milliseconds.
const A_COMPLAINT: u64 = 1000;
/// For how long a peer that said something counts among those who want to be heard, in milliseconds.
const HEARD_LATELY: u64 = 1000;

/// A `Mail` whose head holds. It is taken in one or more rounds, and answered after the last.
pub(super) struct Accepted {
    pub(super) ticket: u64,
    pub(super) from: NodeId,
    pub(super) chain: KeyChain,
    pub(super) head: SignedCheckpoint,
    pub(super) mail: Mail,
    /// How many of its receipts, and then of its messages, are taken.
    pub(super) taken: usize,
}

impl Accepted {
    /// Those of its receipts and of its messages that come next, at most `most` together.
    fn next(&self, most: usize) -> (&[Logged], &[Posted]) {
        let Mail { receipts, messages, .. } = &self.mail;
        let until = self.taken + most;
        let receipts_until = until.min(receipts.len());
        let (first, last) = (self.taken.saturating_sub(receipts.len()), until.saturating_sub(receipts.len()));
        (
            &receipts[self.taken.min(receipts_until)..receipts_until],
            &messages[first.min(messages.len())..last.min(messages.len())],
        )
    }

    fn is_done(&self) -> bool {
        self.taken >= self.mail.receipts.len() + self.mail.messages.len()
    }
}

impl<D: Disk> Node<D> {
    /// Read the frames, and check sender, key sets and heads. What is not accepted has its reply.
    #[allow(clippy::type_complexity, reason = "two lists, told apart by what happens next")]
    pub(super) fn accept(
        &mut self,
        mail: Vec<(NodeId, Vec<u8>, u64)>,
        now: Now,
        out: &mut Vec<Output>,
    ) -> (Vec<Accepted>, Vec<(u64, Option<MailReply>)>) {
        let parsed = on_all_cores(mail, |(from, frame, ticket)| (from, Mail::parse(&frame), ticket));
        let (mut accepted, mut replies) = (Vec::new(), Vec::new());
        for (from, mail, ticket) in parsed {
            let reply = match mail {
                Ok(mail) => match self.accept_one(from, mail, ticket, now, out) {
                    Ok(one) => {
                        accepted.push(one);
                        continue;
                    }
                    Err(reply) => reply,
                },
                Err(flaw) => {
                    tracing::warn!(peer = %from, %flaw, "mail turned away");
                    None
                }
            };
            replies.push((ticket, reply));
        }
        (accepted, replies)
    }

    pub(super) fn accept_one(
        &mut self,
        from: NodeId,
        mail: Mail,
        ticket: u64,
        now: Now,
        out: &mut Vec<Output>,
    ) -> Result<Accepted, Option<MailReply>> {
        if self.desk.peer(&from).is_none() {
            return Err(None);
        }
        if self.halted.is_some() {
            return Err(Some(MailReply::Busy { retry_after_secs: 60 }));
        }
        let mut new = 0;
        for key_set in &mail.key_sets {
            let mut chain = self.desk.peer(&from).ok_or(None)?.chain().clone();
            let Ok(next) = chain.extend(key_set) else { continue };
            // As many as we send at a time: each may change much, and what is left comes with the peer's next mail.
            if new == MOST_KEY_SETS {
                break;
            }
            new += 1;
            if let Some(other) = self.desk.claims_identity_of(next.set()) {
                tracing::error!(peer = %from, %other, "a new key set lists the transport identity of another peer: not taken");
            } else {
                self.record(Record::KeySet { node: from.clone(), key_set: key_set.clone() }, None);
                out.push(Output::Roster);
            }
        }
        let peer = self.desk.peer(&from).ok_or(None)?;
        if peer.chain().current().expires < self.clock {
            // It may deliver key sets, and nothing else until they are in force.
            return Err(Some(MailReply::Busy { retry_after_secs: 60 }));
        }
        let chain = peer.chain().clone();
        let lane = self.lanes.entry(from.clone()).or_default();
        lane.holds_ours = mail.holds;
        lane.sent_key_sets = lane.sent_key_sets.min(mail.holds);
        let held = *peer.head();
        let head = match mail::open_head(&mail.head, &chain, &held) {
            Ok(head) => head,
            Err(HeadFlaw::Bad) => return Err(None),
            Err(HeadFlaw::Stale) => return Err(Some(MailReply::Stale { held: self.held_of(&from) })),
            Err(HeadFlaw::Forked(offered)) => {
                self.record_fork(&from, &offered, &mail);
                return Err(self.held_of(&from).map(|held| MailReply::Forked { held }));
            }
        };
        if head.head().size > held.size {
            let record = Record::HeadSeen {
                node: from.clone(),
                checkpoint: head.as_str().to_owned(),
                head: *head.head(),
            };
            self.record(record, None);
        }
        self.hints(&from, &mail.deferred, now);
        self.heard.insert(from.clone(), now.millis);
        Ok(Accepted { ticket, from, chain, head, mail, taken: 0 })
    }

    /// The head of the peer's log that we cosigned last, as the peer signed it.
    pub(super) fn held_of(&self, peer: &NodeId) -> Option<String> {
        let leaf = self.desk.peer(peer)?.head_leaf()?;
        match self.log.record(leaf).ok()??.record {
            Record::HeadSeen { checkpoint, .. } => Some(checkpoint),
            _ => None,
        }
    }

    /// Two histories: both heads are kept as proof, and the mail with them; it clears nothing.
    pub(super) fn record_fork(&mut self, from: &NodeId, offered: &SignedCheckpoint, mail: &Mail) {
        if self.desk.peer(from).is_none_or(|peer| peer.standing(self.clock) == PeerStanding::Forked) {
            return;
        }
        let held = self.held_of(from).unwrap_or_default();
        tracing::error!(peer = %from, "the peer signed two histories of its log; both heads are kept as proof");
        let alert = Alert::Forked {
            node: from.clone(),
            held,
            offered: offered.as_str().to_owned(),
            tokens: mail.messages.iter().take(16).map(|posted| posted.token.clone()).collect(),
        };
        self.record(Record::Alert { alert }, None);
    }

    /// The peer cannot take some messages yet: it is told again in its own time, and the operator sees why.
    pub(super) fn hints(&mut self, from: &NodeId, deferred: &[Deferred], now: Now) {
        let Some(first) = deferred.first() else { return };
        let ahead = now.time.0.abs_diff(first.at.0);
        let why = format!(
            "the peer cannot take a message yet: {} (code {}); its clock differs from ours by {ahead} s",
            first.code,
            first.code.code()
        );
        self.lanes.entry(from.clone()).or_default().trouble = Some(why);
    }

    /// Take receipts and messages of the accepted mail into the round, of each peer's as much as its turn allows. What is
    /// whole by that is returned. Seals are checked on all cores.
    pub(super) fn take_mail(&mut self, now: Now) -> Vec<Accepted> {
        let us = self.desk.us().clone();
        self.heard.retain(|_, at| now.millis.saturating_sub(*at) < HEARD_LATELY);
        let most = if self.heard.len() > 1 { FEW } else { MANY };
        let speaking = self.heard.values().filter(|at| now.millis.saturating_sub(**at) < JUST_NOW).count();
        let others = speaking.saturating_sub(1).min(MOST_OTHERS);
        let (mut accepted, mut later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.accepted)
            .into_iter()
            .partition(|one| self.turn_of(&one.from) <= now.millis);
        let all: Vec<(&Accepted, &Posted)> = accepted
            .iter()
            .flat_map(|one| one.next(most).1.iter().map(move |posted| (one, posted)))
            .collect();
        let opened = on_all_cores(all.clone(), |(one, posted)| {
            let verified = envelope::open(&posted.token, &one.from, &one.chain, &us)?;
            mail::check_posted(&posted.logged, verified.id(), &us, one.head.head())?;
            mail::check_parts(&posted.parts, verified.message())?;
            Ok(verified)
        });
        self.laps.enter(Stage::Stage);
        for one in &accepted {
            for receipt in one.next(most).0 {
                self.take_receipt(one, receipt);
            }
        }
        for ((one, posted), verified) in all.into_iter().zip(opened) {
            self.take_message(one, posted, verified, now);
        }
        for one in &mut accepted {
            let (receipts, messages) = one.next(most);
            let rest = (receipts.len() + messages.len()) * others / FOR_A_MILLISECOND;
            self.lanes.entry(one.from.clone()).or_default().turn_at = now.millis + rest as u64;
            one.taken += most;
        }
        let (done, going_on): (Vec<_>, Vec<_>) = accepted.into_iter().partition(Accepted::is_done);
        later.extend(going_on);
        self.accepted = later;
        done
    }

    /// From when on mail of this peer is taken.
    pub(super) fn turn_of(&self, peer: &NodeId) -> u64 {
        self.lanes.get(peer).map_or(0, |lane| lane.turn_at)
    }

    /// What is not taken of mail whose sender is removed, or when nothing more may be recorded, is not.
    pub(super) fn drop_mail(&mut self, replies: &mut Vec<(u64, Option<MailReply>)>) {
        let is_halted = self.halted.is_some();
        let is_over = |one: &mut Accepted| is_halted || self.desk.peer(&one.from).is_none();
        let dropped = self.accepted.extract_if(.., is_over);
        replies.extend(
            dropped.map(|one| (one.ticket, is_halted.then_some(MailReply::Busy { retry_after_secs: 60 }))),
        );
    }

    pub(super) fn take_receipt(&mut self, one: &Accepted, receipt: &Logged) {
        let Some((message, entry)) = mail::check_receipt(receipt, self.desk.us(), one.head.head()) else {
            return;
        };
        let Some(peer) = self.desk.peer(&one.from) else { return };
        // One that is receipted already, or never was ours, changes nothing.
        let Some(leaf) = peer.place_of(&message) else { return };
        let far = |time: Timestamp| entry.t.0.abs_diff(time.0) > STRANGE_TIME;
        // Only where something is strange is it worth to open our message again.
        let sealed = far(self.time()).then(|| self.log.record(leaf).ok().flatten()).flatten();
        let sealed = sealed.and_then(|staged| Some(staged.message?.message().iat));
        self.lanes.entry(one.from.clone()).or_default().receipted(leaf);
        let record = Record::Receipt {
            node: one.from.clone(),
            message,
            proof: receipt.clone(),
            head: *one.head.head(),
        };
        self.record(record, None);
        if sealed.is_some_and(far) {
            let alert = Alert::ReceiptTime { node: one.from.clone(), message, theirs: entry.t };
            self.record(Record::Alert { alert }, None);
        }
    }

    pub(super) fn take_message(
        &mut self,
        one: &Accepted,
        posted: &Posted,
        verified: Result<Verified, Fault>,
        now: Now,
    ) {
        let from = &one.from;
        let verified = match verified {
            Ok(verified) => verified,
            Err(fault) => return self.refuse(from, fault, &posted.token, None, now),
        };
        match with_desk!(self, |desk, shelf| desk.judge(&shelf, &verified, now.time)) {
            Err(fault) => self.refuse(from, fault, &posted.token, Some(&verified), now),
            Ok(Judgement::Repeated(leaf)) => {
                self.lanes.entry(from.clone()).or_default().owe_receipt(leaf, now.millis)
            }
            Ok(Judgement::New) => {
                let record = Record::Received {
                    from: from.clone(),
                    token: posted.token.clone(),
                    proof: posted.logged.clone(),
                    head: *one.head.head(),
                };
                let (of, exchange) = (verified.id(), verified.exchange());
                let named = verified.message().attachments.len();
                if named > 0 {
                    let given_up = with_desk!(self, |desk, shelf| desk.make_room(&mut shelf, from, named));
                    let lane = self.lanes.entry(from.clone()).or_default();
                    lane.not_fetched.retain(|digest, _| !given_up.contains(digest));
                    self.naming.insert(from.clone());
                }
                let leaf = self.record(record, Some(verified));
                for text in &posted.parts {
                    self.record(Record::Part { of, exchange, text: text.clone() }, None);
                }
                self.lanes.entry(from.clone()).or_default().owe_receipt(leaf, now.millis);
            }
        }
    }

    /// Turn a message away: for good, with an entry that proves it, or for now, with a hint.
    pub(super) fn refuse(
        &mut self,
        from: &NodeId,
        fault: Fault,
        token: &str,
        verified: Option<&Verified>,
        now: Now,
    ) {
        let id = envelope::id_of(token);
        let exchange = verified.map(|verified| tracing::field::display(verified.exchange()));
        let message = id.map(tracing::field::display);
        self.metrics.refused(from, fault.code().into());
        // All are counted, and one a second is told: the trace is no place for a peer to fill.
        let lane = self.lanes.entry(from.clone()).or_default();
        if now.millis >= lane.complains_at {
            lane.complains_at = now.millis + A_COMPLAINT;
            tracing::warn!(peer = %from, message, exchange, code = fault.code(), %fault, "message refused");
        } else {
            tracing::debug!(peer = %from, message, exchange, code = fault.code(), %fault, "message refused");
        }
        if let (true, Some(id)) = (fault.is_passing(), id) {
            let lane = self.lanes.entry(from.clone()).or_default();
            if lane.deferred.len() < mail::MAX_MESSAGES {
                lane.deferred.push(Deferred { id, code: fault, at: now.time });
            }
            return;
        }
        // A message that is refused in the same way each time it comes gets its first refusal again.
        if let Some(leaf) = id.and_then(|id| with_desk!(self, |desk, shelf| desk.seen(&shelf, from, &id))) {
            self.lanes.entry(from.clone()).or_default().owe_receipt(leaf, now.millis);
            return;
        }
        let time = self.time();
        let record = with_desk!(self, |desk, shelf| desk.deny(&shelf, from, fault, verified, id, time));
        let Some(record) = record else { return };
        let leaf = self.record(record, None);
        if id.is_some() {
            self.lanes.entry(from.clone()).or_default().owe_receipt(leaf, now.millis);
        }
        if let (Fault::SequenceReused, Some(verified)) = (fault, verified) {
            let first = with_desk!(self, |desk, shelf| desk.holder_of(&shelf, verified.message()));
            if let Some(first) = first {
                let (seq, second) = (verified.message().seq, verified.id());
                let alert = Alert::SequenceReused { node: from.clone(), seq, first, second };
                self.record(Record::Alert { alert }, None);
            }
        }
    }

    /// The response to our `Mail`.
    pub(super) fn answered(&mut self, from: &NodeId, frame: &[u8], now: Now, out: &mut Vec<Output>) {
        let jitter = self.jitter();
        let Some(lane) = self.lanes.get_mut(from) else { return };
        let Some(mail) = lane.landed() else { return };
        match MailReply::parse(frame) {
            Ok(MailReply::Cosigned { line }) => {
                let cosigned = self.desk.peer(from).and_then(|peer| {
                    let signature = note::NoteSignature::parse(&line).ok()?;
                    let at = peer.chain().cosigned_at(&[signature], mail.head.checkpoint()).ok()?;
                    Some((peer, at))
                });
                if let Some((peer, at)) = cosigned {
                    lane.taken(&mail, peer.outbox(), now.millis, jitter);
                    lane.ahead = at.0.checked_signed_diff(now.time.0);
                    let checkpoint = mail.head.with_cosignatures([line.as_str()]);
                    self.witnessed.insert(from.clone(), checkpoint.clone());
                    out.push(Output::Witnessed { by: from.clone(), checkpoint });
                } else {
                    lane.failed(Some(mail), Some("its cosignature does not hold".into()), now.millis, jitter);
                }
            }
            Ok(reply @ (MailReply::Stale { .. } | MailReply::Forked { .. })) => {
                let (held, is_stale) = match &reply {
                    MailReply::Stale { held } => (held.as_deref(), true),
                    MailReply::Forked { held } => (Some(held.as_str()), false),
                    MailReply::Busy { .. } | MailReply::Cosigned { .. } => (None, false),
                };
                let ours = self.log.checkpoint().head().size;
                match weighed(&self.log, self.log.place(), ours, held) {
                    Ok(Weighed::AnotherHistory(why)) => self.halt(from, mail, why, now, jitter),
                    Ok(Weighed::Ours(size)) if is_stale => lane.start_from(mail, size, now.millis, jitter),
                    Ok(Weighed::Nothing | Weighed::Ours(_)) => {
                        let why = match is_stale {
                            true => "it claims to know more of our log, and shows nothing that we signed",
                            false => "it accuses us of a second history, and what it shows is no proof of it",
                        };
                        lane.failed(Some(mail), Some(why.into()), now.millis, jitter);
                    }
                    // Our own house is on fire: the node stops before anything is committed.
                    Err(error) => {
                        lane.failed(Some(mail), None, now.millis, jitter);
                        self.failed.replace(Some(error));
                    }
                }
            }
            Ok(MailReply::Busy { retry_after_secs }) => {
                lane.failed(Some(mail), Some("it asked us to come back later".into()), now.millis, jitter);
                lane.wait(now.millis + u64::from(retry_after_secs.min(3600)) * 1000);
            }
            Err(flaw) => lane.failed(Some(mail), Some(flaw.to_string()), now.millis, jitter),
        }
    }

    /// A head that we signed is not in our log: whatever we signed now would be a second history.
    pub(super) fn halt(&mut self, from: &NodeId, mail: InFlight, why: String, now: Now, jitter: u64) {
        let why = format!(
            "log rolled back: {from} holds a head that we signed, and {why}. This data folder is an old copy. Signing again would make a second history: stop, put the newest copy in place, and start again"
        );
        tracing::error!("{why}");
        if let Some(lane) = self.lanes.get_mut(from) {
            lane.failed(
                Some(mail),
                Some("it knows another history of our log than we do".into()),
                now.millis,
                jitter,
            );
        }
        self.halted = Some(why);
    }

    pub(super) fn failed(&mut self, to: &NodeId, why: String, now: Now) {
        let jitter = self.jitter();
        tracing::info!(peer = %to, %why, "mail not delivered; it will be tried again");
        if let Some(lane) = self.lanes.get_mut(to) {
            let mail = lane.landed();
            lane.failed(mail, Some(why), now.millis, jitter);
        }
    }

    pub(super) fn jitter(&mut self) -> u64 {
        let mut bytes = [0; 8];
        (self.random)(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// Send each peer whose lane is free what waits for it.
    pub(super) fn post(&mut self, now: Now, out: &mut Vec<Output>) -> Result<(), NodeError> {
        if self.halted.is_some() {
            return Ok(());
        }
        let Some(own) = self.desk.own() else { return Ok(()) };
        let head = self.log.checkpoint().clone();
        let size = head.head().size;
        for (node, peer) in self.desk.peers() {
            let lane = self.lanes.entry(node.clone()).or_default();
            let Some((messages, receipts)) = lane.due(peer, own, now.millis) else { continue };
            let holds = peer.chain().current().version;
            // Whoever is admitted holds version 1. More than a few versions take more than one Mail.
            let there = lane.holds_ours.max(lane.sent_key_sets).max(1);
            let lacking: Vec<_> = own.after(there).take(MOST_KEY_SETS).collect();
            let key_set = lacking.last().map_or(own.current().version, |signed| signed.set().version);
            let key_sets = lacking.into_iter().map(|signed| signed.json().to_owned()).collect();
            let prove = |leaf: LeafIndex| mail::logged(self.log.reader().entry(leaf)?, leaf, size, &self.log);
            let old = lane.cosigned.min(size);
            let offer = AddCheckpoint {
                old,
                proof: if old == 0 { Vec::new() } else { consistency_proof(&self.log, old, size)? },
                checkpoint: head.as_str().to_owned(),
            };
            let mut posted = Vec::new();
            let mut taken = Vec::new();
            let mut bytes = 0;
            for leaf in messages {
                let Record::Sent { token, .. } = self.log.reader().bare(leaf)? else { continue };
                let said = peer.outbox().get(&leaf).and_then(|owed| self.desk.at_hand(owed));
                let named = match said {
                    Some(said) => said.message.parts.len(),
                    None => {
                        self.log.reader().record(leaf)?.message.map_or(0, |sent| sent.message().parts.len())
                    }
                };
                let parts = parts_behind(self.log.reader(), leaf, named, size)?;
                bytes += token.len() + parts.iter().map(String::len).sum::<usize>();
                if bytes > MAIL_BUDGET && !posted.is_empty() {
                    break;
                }
                posted.push(Posted { token, logged: prove(leaf)?, parts });
                taken.push(leaf);
            }
            let mail = Mail {
                key_sets,
                holds,
                head: offer.render(),
                messages: posted,
                receipts: receipts.iter().map(|leaf| prove(*leaf)).collect::<Result<_, LogError>>()?,
                deferred: lane.deferred.clone(),
            };
            out.push(Output::Post { to: node.clone(), frame: mail.frame() });
            lane.posted(InFlight { head: head.clone(), messages: taken, receipts, holds, key_set });
        }
        Ok(())
    }
}

/// Do it to each, in their order; on all cores where that is worth to wake them.
fn on_all_cores<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Send + Sync) -> Vec<R> {
    if items.len() < WORTH_WAKING {
        return items.into_iter().map(work).collect();
    }
    items.into_par_iter().map(work).collect()
}

/// The parts of the message at `leaf`, which names so many: they stand right behind it.
fn parts_behind<D: Disk>(
    reader: &Reader<D>,
    leaf: LeafIndex,
    named: usize,
    size: u64,
) -> Result<Vec<String>, LogError> {
    let mut parts = Vec::new();
    for next in (leaf.0 + 1..size).take(named) {
        match reader.record(LeafIndex(next))?.record {
            Record::Part { text, .. } => parts.push(text),
            _ => break,
        }
    }
    Ok(parts)
}

/// What a head that a peer shows us says of our own log.
enum Weighed {
    /// We signed it, and our log does not have it.
    AnotherHistory(String),
    /// We did not sign it: it says nothing.
    Nothing,
    /// Our log has it, at this size.
    Ours(u64),
}

/// An error is our own disk's, and says nothing of any history.
fn weighed<N: Nodes>(nodes: &N, place: &Place, ours: u64, held: Option<&str>) -> Result<Weighed, N::Error> {
    let Some(held) = held else { return Ok(Weighed::Ours(0)) };
    let Ok(signed) = note::open_checkpoint(held, &place.origin, &place.key) else {
        return Ok(Weighed::Nothing);
    };
    let theirs = *signed.head();
    Ok(if theirs.size > ours {
        Weighed::AnotherHistory(format!("it has {} entries where our log has {ours}", theirs.size))
    } else if merkle::root(nodes, theirs.size)? == theirs.root {
        Weighed::Ours(theirs.size)
    } else {
        Weighed::AnotherHistory(format!("our first {} entries are not those it was signed over", theirs.size))
    })
}

#[cfg(test)]
mod tests {
    use liaison_protocol::merkle::{Hash, TreeHead};
    use liaison_protocol::note::sign_checkpoint;
    use liaison_protocol::sign::SecretKey;

    use super::*;

    /// A log whose tiles cannot be read.
    struct Unreadable;

    impl Nodes for Unreadable {
        type Error = &'static str;

        fn node(&self, _: u8, _: u64) -> Result<Hash, &'static str> {
            Err("input/output error")
        }
    }

    /// A log of leaves that are all alike.
    struct Alike;

    impl Nodes for Alike {
        type Error = std::convert::Infallible;

        fn node(&self, level: u8, _: u64) -> Result<Hash, Self::Error> {
            let leaf = merkle::leaf_hash(b"alike");
            Ok((0..level).fold(leaf, |hash, _| merkle::node_hash(&hash, &hash)))
        }
    }

    #[test]
    fn a_disk_that_cannot_be_read_is_no_second_history() {
        let key = SecretKey::from_seed(&[7; 32]);
        let origin = "firearms.example.ke/liaison/log1".to_owned();
        let place = Place { origin: origin.clone(), folder: "log1".into(), key: key.public() };
        let head = |size, root| sign_checkpoint(&key, &origin, &TreeHead { size, root });
        let root = merkle::root(&Alike, 5).expect("no errors");
        let (true_one, false_one) = (head(5, root), head(5, Hash::ZERO));

        assert_eq!(
            weighed(&Unreadable, &place, 9, Some(true_one.as_str())).err(),
            Some("input/output error")
        );
        let seen = |held: Option<&str>, ours| weighed(&Alike, &place, ours, held).expect("no errors");
        assert!(matches!(seen(Some(true_one.as_str()), 9), Weighed::Ours(5)));
        assert!(matches!(seen(Some(false_one.as_str()), 9), Weighed::AnotherHistory(_)));
        assert!(matches!(seen(Some(true_one.as_str()), 4), Weighed::AnotherHistory(_)));
        assert!(matches!(seen(Some("nothing of ours"), 9), Weighed::Nothing));
        assert!(matches!(seen(None, 9), Weighed::Ours(0)));
    }
}

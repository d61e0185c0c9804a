//! The loop: gathers a round, records it, lets it take effect, and only then speaks.
//!
//! [`Node::round`] is the whole of a node but for sockets and threads: time, randomness, disk and mail are handed to
//! it, so the rehearsal runs many of them in one thread, by seed. It is the only file that knows its neighbours.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use jiff::civil::Date;
use liaison_protocol::authority::{Line, NodeId, OfficerId, StateCode, Timestamp};
use liaison_protocol::case::Hop;
use liaison_protocol::deadline::Due;
use liaison_protocol::desk::{Desk, Draft, Effect, Shelf, Sought, Table, Wanted, propose};
use liaison_protocol::entry::{IdempotencyKey, Record, Staged};
use liaison_protocol::envelope::Verified;
use liaison_protocol::key_set::KeySetFlaw;
use liaison_protocol::mail::MailReply;
use liaison_protocol::merkle::{Hash, LeafIndex};
use liaison_protocol::message::{MessageId, Subject};
use liaison_protocol::operator::{
    ActRequest, AdmitRequest, CandidateView, InstallRequest, Mistake, OpenRequest, PeerStanding, Rules, Side,
};
use liaison_protocol::{envelope, note};

use self::mail::Accepted;
pub use self::open::Parts;
use crate::blobs::Blobs;
use crate::disk::Disk;
use crate::events::{About, Change};
use crate::keys::Keys;
use crate::lanes::Lane;
use crate::log::{Log, LogError, Reader};
use crate::metrics::{Laps, Metrics, Stage};
use crate::register::{Firearms, Licences, Register};
use crate::store::{Store, StoreError};
use crate::{events, metrics};

/// What stops a node. Nothing that is not recorded has left the house.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A key set that our own log holds does not hold.
    #[error(
        "our own key set, as the log has it: {0}. Start the version of this program that recorded it, and report this"
    )]
    KeySet(#[from] KeySetFlaw),
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The index.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A moment: civil time, which may jump, and a clock that only goes forward.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Civil time.
    pub time: Timestamp,
    /// Milliseconds that only go forward.
    pub millis: u64,
}

/// Fills bytes with randomness: salts, message numbers, jitter.
pub type Random = Box<dyn FnMut(&mut [u8]) + Send>;

/// What an operator asks to be done.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "requests are few at a time: those of one round")]
pub enum Request {
    /// Act in an exchange.
    Act(MessageId, ActRequest),
    /// Admit a peer.
    Admit(AdmitRequest),
    /// Put our next key set in force.
    Install(InstallRequest),
    /// Open an exchange.
    Open(OpenRequest),
    /// Remove a peer.
    Remove(String, Line),
    /// Set the rules for a peer.
    SetRules(String, Rules),
}

/// What an order came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Done {
    /// An exchange was opened or changed.
    Exchange {
        /// Which.
        id: MessageId,
        /// Whether the request did it now, not an earlier one with the same key.
        new: bool,
    },
    /// That evidence was asked for is recorded.
    Exported,
    /// The licence list was replaced; so many notices went out.
    Imported {
        /// Messages that tell of a change.
        notices: u64,
    },
    /// Something about this peer was changed.
    Peer(NodeId),
    /// Our own key set was replaced.
    Ourselves,
}

/// Asked between two rounds: sees what is durable, changes nothing.
pub type Question<D> = Box<dyn FnOnce(&mut Node<D>) + Send>;

/// Told when an order is durable, or that it was not taken.
pub type Answer<D> = Box<dyn FnOnce(&mut Node<D>, Result<Done, Mistake>) + Send>;

/// What comes in.
pub enum Input<D: Disk> {
    /// A question.
    Ask(Question<D>),
    /// The response to our `Mail`.
    Answered {
        /// Whose.
        from: NodeId,
        /// The frame.
        frame: Vec<u8>,
    },
    /// A `Mail`.
    Arrived {
        /// Whose.
        from: NodeId,
        /// The frame.
        frame: Vec<u8>,
        /// To be named in the reply.
        ticket: u64,
    },
    /// A connection is open.
    Connected(NodeId),
    /// No connection is open any more.
    Disconnected(NodeId),
    /// Evidence of an exchange was asked for: given out it is, or refused, once that is recorded (R-12.5a).
    Export {
        /// What was asked for, and what it came to.
        record: Record,
        /// Told when it is recorded.
        answer: Answer<D>,
    },
    /// Our `Mail` did not get through.
    Failed {
        /// To whom.
        to: NodeId,
        /// Why, in words.
        why: String,
    },
    /// An attachment of a message is here, whole and durable.
    Fetched {
        /// Whose message names it.
        from: NodeId,
        /// Its digest.
        digest: Hash,
    },
    /// An attachment of a message has not come.
    NotFetched {
        /// Whose message names it.
        from: NodeId,
        /// Its digest.
        digest: Hash,
        /// Why, in words.
        why: String,
        /// Whether the peer says itself that it does not hold it any more.
        is_lost: bool,
    },
    /// A new register, already safe on disk.
    Register {
        /// The register.
        register: Register,
        /// Who imported it.
        who: OfficerId,
        /// Told when it is in force.
        answer: Answer<D>,
    },
    /// An operator's order.
    Order {
        /// What.
        request: Request,
        /// Whose token.
        who: OfficerId,
        /// What the client names it by.
        key: Option<IdempotencyKey>,
        /// Told when it is durable.
        answer: Answer<D>,
    },
}

/// What goes out, after the round is durable.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// A `Mail` to a peer.
    Post {
        /// To whom.
        to: NodeId,
        /// The frame.
        frame: Vec<u8>,
    },
    /// The response to a peer's `Mail`; `None`: end it unanswered.
    Reply {
        /// Which.
        ticket: u64,
        /// The frame.
        frame: Option<Vec<u8>>,
    },
    /// The peers, or their addresses, or our own key sets changed.
    Roster,
    /// A message of this peer's names attachments: they are to be fetched.
    Wanted(NodeId),
    /// A peer cosigned a head of ours.
    Witnessed {
        /// Who.
        by: NodeId,
        /// The checkpoint with both signatures.
        checkpoint: String,
    },
}

/// One State's node.
pub struct Node<D: Disk> {
    log: Log<D>,
    store: Store,
    blobs: Blobs<D>,
    desk: Desk,
    keys: Keys,
    /// Parts of the message that is ordered now, by their digests: nowhere else are the persons they name.
    parts: BTreeMap<Hash, String>,
    /// Peers whose messages of this round name attachments.
    naming: BTreeSet<NodeId>,
    lanes: BTreeMap<NodeId, Lane>,
    /// Mail that is not wholly taken.
    accepted: Vec<Accepted>,
    /// Who said something lately, and when.
    heard: BTreeMap<NodeId, u64>,
    firearms: Firearms,
    /// The newest head of ours that each peer cosigned, with its line.
    witnessed: BTreeMap<NodeId, String>,
    licences: Licences,
    random: Random,
    /// What the clock says in this round: what we seal bears it.
    clock: Timestamp,
    /// The same moment on the clock that only goes forward.
    millis: u64,
    /// Time of the last entry.
    time: Timestamp,
    /// The day up to which those who asked were told of changes.
    day: Date,
    /// Whether nobody was passed over in this run.
    all_told: bool,
    /// Why the node must not sign, if it must not.
    halted: Option<String>,
    failed: RefCell<Option<LogError>>,
    /// Tells the addresses the node listens at, for views: they come and go with the machine's.
    pub listening: Box<dyn Fn() -> Vec<String> + Send>,
    /// What this round changes, for those who watch.
    changes: Vec<Change>,
    /// What is counted.
    pub metrics: Metrics,
    /// How long the parts of this round take.
    laps: Laps,
}

/// The desk's shelf: the index, and the log's records.
struct Shelves<'a, D: Disk> {
    store: &'a mut Store,
    log: &'a Log<D>,
    failed: &'a RefCell<Option<LogError>>,
}

impl<D: Disk> Shelf for Shelves<'_, D> {
    fn get(&self, table: Table, key: &[u8]) -> Option<Vec<u8>> {
        self.store.get(table, key)
    }

    fn put(&mut self, table: Table, key: &[u8], row: Vec<u8>) {
        self.store.put(table, key, row);
    }

    fn remove(&mut self, table: Table, key: &[u8]) {
        self.store.remove(table, key);
    }

    fn scan(&self, table: Table, prefix: &[u8], limit: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.store.scan(table, prefix, limit)
    }

    fn record(&self, leaf: LeafIndex) -> Option<Staged> {
        // An error must not pass for "no such record": it stops the node before anything is committed.
        self.log.record(leaf).unwrap_or_else(|error| {
            self.failed.replace(Some(error));
            None
        })
    }
}

/// Call a method of the desk with its shelf.
macro_rules! with_desk {
    ($node:expr, |$desk:ident, $shelf:ident| $body:expr) => {{
        let Node { desk: $desk, store, log, failed, .. } = &mut *$node; // a reborrow: the fields are borrowed apart
        #[allow(unused_mut)]
        let mut $shelf = $crate::node::Shelves { store, log, failed };
        $body
    }};
}

mod mail;
mod open;
mod orders;

impl<D: Disk> Node<D> {
    /// Make the round durable, and let the index follow.
    fn commit(&mut self) -> Result<(), NodeError> {
        with_desk!(self, |desk, shelf| desk.settle(&mut shelf));
        self.check_failed()?;
        self.laps.enter(Stage::Commit);
        self.log.commit(&self.keys.log.key)?;
        self.laps.enter(Stage::Release);
        self.store.commit(self.log.checkpoint().head().size)?;
        self.log.forget_spilled();
        Ok(())
    }

    /// Whether everything that was asked of log and index could be read.
    fn check_failed(&mut self) -> Result<(), NodeError> {
        if let Some(error) = self.failed.take() {
            return Err(error.into());
        }
        Ok(self.store.check()?)
    }

    /// Reads what is committed, from any thread.
    pub fn reader(&self) -> Reader<D> {
        self.log.reader().clone()
    }

    /// The log.
    pub fn log(&self) -> &Log<D> {
        &self.log
    }

    /// All conversations.
    pub fn desk(&self) -> &Desk {
        &self.desk
    }

    /// The licence list.
    pub fn licences(&self) -> &Licences {
        &self.licences
    }

    /// The register of firearms.
    pub fn firearms(&self) -> &Firearms {
        &self.firearms
    }

    /// Our keys.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The way out to a peer.
    pub fn lane(&self, peer: &NodeId) -> Option<&Lane> {
        self.lanes.get(peer)
    }

    /// Say a word to a peer, though there may be no news.
    pub fn knock(&mut self, peer: &NodeId) {
        self.lanes.entry(peer.clone()).or_default().knock();
    }

    /// The index.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The content of attachments.
    pub fn blobs(&self) -> &Blobs<D> {
        &self.blobs
    }

    /// Attachments of `peer`'s messages that are to be fetched, at most `limit`.
    pub fn wanted(&mut self, peer: &NodeId, limit: usize) -> Vec<Wanted> {
        match self.desk.peer(peer) {
            Some(_) => with_desk!(self, |desk, shelf| desk.wanted(&shelf, peer, limit)),
            None => Vec::new(),
        }
    }

    /// What is known of an attachment of `peer`'s messages, if it is still to be fetched.
    pub fn awaited(&mut self, peer: &NodeId, digest: &Hash) -> Option<Wanted> {
        with_desk!(self, |desk, shelf| desk.awaited(&shelf, peer, digest))
    }

    /// Whether `peer` may fetch the attachment of that digest: a message of ours to it names it.
    pub fn gave(&mut self, peer: &NodeId, digest: &Hash) -> bool {
        // Nor does it fetch once its key set has expired: then it may deliver a newer one, and nothing else.
        self.desk.peer(peer).is_some_and(|peer| peer.chain().current().expires >= self.clock)
            && with_desk!(self, |desk, shelf| desk.gave(&shelf, peer, digest))
    }

    /// Why the node must not sign, if it must not.
    pub fn halted(&self) -> Option<&str> {
        self.halted.as_deref()
    }

    /// An exchange, and what an officer should know about it: why no rule answered, and what the licence list says.
    pub fn exchange(&mut self, id: &MessageId, now: Timestamp) -> Option<ExchangeAtHand> {
        with_desk!(self, |desk, shelf| {
            let exchange = desk.exchange(&shelf, id)?;
            let due = desk.due_of(&exchange);
            let waits = exchange.side() == Side::Requested && exchange.standing().state.is_open();
            let why_officer = desk.rule_for(&shelf, &exchange, now).err().filter(|_| waits);
            let us = desk.own()?.current().state.clone();
            let mut at_hand =
                ExchangeAtHand { exchange, due, why_officer, proposal: None, candidates: Vec::new() };
            match at_hand.exchange.subject() {
                Subject::Licence(presented) if waits && self.licences.digest().is_some() => {
                    let found = self.licences.find(&presented.licence_no);
                    at_hand.proposal = propose(&at_hand.exchange, found, now.date());
                }
                _ => {
                    let item = at_hand.exchange.item().filter(|_| waits);
                    at_hand.candidates =
                        item.map(|item| self.firearms.candidates(item, now.date(), &us)).unwrap_or_default();
                }
            }
            Some(at_hand)
        })
    }

    /// The exchange whose id begins with `prefix`.
    pub fn find_exchange(&self, prefix: &str) -> Result<MessageId, Mistake> {
        if let Ok(id) = prefix.parse::<MessageId>() {
            return Ok(id);
        }
        if !prefix.is_ascii() || !(6..=43).contains(&prefix.len()) {
            return Err(Mistake::Malformed(
                "an exchange is named by its id, or by at least its first 6 characters".into(),
            ));
        }
        // Six bits a character: whole bytes of the prefix find the rows, the text decides.
        let whole = &prefix[..prefix.len() - prefix.len() % 4];
        let bytes = liaison_protocol::jws::decode(whole)
            .ok_or_else(|| Mistake::Malformed(format!("{prefix} is not the beginning of an exchange id")))?;
        let rows = self.store.scan(Table::Exchange, &bytes, 1024);
        let ids = rows.into_iter().filter_map(|(key, _)| {
            let id = MessageId(liaison_protocol::merkle::Hash::from_bytes(key.try_into().ok()?));
            id.to_string().starts_with(prefix).then_some(id)
        });
        match ids.collect::<Vec<_>>().as_slice() {
            [id] => Ok(*id),
            [] => Err(Mistake::Unknown(format!("no exchange {prefix}: see the list of exchanges"))),
            _ => {
                Err(Mistake::Malformed(format!("several exchanges begin with {prefix}: give more of the id")))
            }
        }
    }

    /// What the last round changed, in the order of the log.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// How it stands at this moment, for those who watch.
    pub fn standing(&self) -> metrics::Standing {
        let entries = self.log.checkpoint().head().size;
        let peers = self.desk.peers().map(|(node, peer)| {
            let lane = self.lanes.get(node);
            let oldest = peer.outbox().first_key_value().map(|(leaf, _)| self.log.reader().time(*leaf));
            let since = oldest.transpose().unwrap_or_else(|error| {
                // Not zero, as if all were well: the next round stops the node.
                self.failed.replace(Some(error));
                None
            });
            metrics::PeerStanding {
                node: node.clone(),
                connected: lane.is_some_and(|lane| lane.connected),
                outbox: peer.outbox().len() as u64,
                oldest: since.map_or(0, |since| self.clock.0.saturating_sub(since.0)),
                open: peer.open_exchanges(),
                uncosigned: entries.saturating_sub(lane.map_or(0, |lane| lane.cosigned)),
                forked: peer.standing(self.clock) == PeerStanding::Forked,
            }
        });
        metrics::Standing {
            ready: self.why_not_ready().is_none(),
            entries,
            key_set_expires: self.desk.own().map_or(0, |own| own.current().expires.0),
            peers: peers.collect(),
        }
    }

    /// What the clock says in this round.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock
    }

    /// The newest head of ours that `peer` cosigned, with its line, as far as we have it.
    pub(crate) fn witnessed(&self, peer: &NodeId) -> Option<&str> {
        self.witnessed.get(peer).map(String::as_str)
    }

    /// With whom an exchange is.
    pub(crate) fn peer_of(&mut self, id: &MessageId) -> Option<NodeId> {
        with_desk!(self, |desk, shelf| desk.exchange(&shelf, id)).map(|exchange| exchange.peer().clone())
    }

    /// What our log has of an exchange, as far as it is committed.
    pub(crate) fn records_of(&mut self, id: &MessageId) -> Result<Vec<Staged>, Mistake> {
        let places = with_desk!(self, |desk, shelf| desk.places(&shelf, id));
        let committed = self.log.checkpoint().head().size;
        let places = places.into_iter().filter(|leaf| leaf.0 < committed);
        let records = places.map(|leaf| self.log.reader().record(leaf));
        records.collect::<Result<_, _>>().map_err(|error| Mistake::NotReady(error.to_string()))
    }

    /// Where we saw the head of `size` entries of a peer's log.
    pub(crate) fn head_seen(&mut self, peer: &NodeId, size: u64) -> Option<Staged> {
        let leaf = with_desk!(self, |desk, shelf| desk.head_place(&shelf, peer, size))?;
        self.log.record(leaf).ok().flatten()
    }

    /// When there is next mail to be tried, or to be taken on with, in milliseconds.
    pub fn posts_at(&self) -> Option<u64> {
        let taken_on = self.accepted.iter().map(|one| self.turn_of(&one.from).max(self.millis));
        let own = self.desk.own().filter(|_| self.halted.is_none());
        let peers = own.into_iter().flat_map(|own| self.desk.peers().map(move |peer| (own, peer)));
        let posted = peers.filter_map(|(own, (node, peer))| self.lanes.get(node)?.wakes_at(peer, own));
        taken_on.chain(posted).min()
    }

    /// Whether mail is here of which only a part is taken.
    pub fn is_taking_mail(&self) -> bool {
        !self.accepted.is_empty()
    }

    /// Whether some of it can be taken now.
    pub fn goes_on(&self, now: Now) -> bool {
        self.accepted.iter().any(|one| self.turn_of(&one.from) <= now.millis)
    }

    /// When the node next wants a round although nothing arrives, in milliseconds: for its mail, or because a time passes.
    pub fn wakes_at(&mut self) -> Option<u64> {
        if self.halted.is_some() {
            return None;
        }
        let due = with_desk!(self, |desk, shelf| desk.next_due(&shelf));
        let due =
            due.map(|at| self.millis.saturating_add(at.0.saturating_sub(self.clock.0).saturating_mul(1000)));
        self.posts_at().into_iter().chain(due).min()
    }

    /// The State that we are a node of.
    pub fn state(&self) -> Option<StateCode> {
        self.desk.own().map(|chain| chain.current().state.clone())
    }

    /// The hops of one of our trace cases, or of all of them.
    pub fn hops(&mut self, trace_case: Option<&Line>) -> Vec<Hop> {
        with_desk!(self, |desk, shelf| {
            let exchanges = desk.hops(&shelf, trace_case).into_iter();
            exchanges
                .filter_map(|id| {
                    let exchange = desk.exchange(&shelf, &id)?;
                    let state = desk.state_of(exchange.peer())?;
                    let due = desk.due_of(&exchange);
                    Some(Hop { state, exchange: Arc::unwrap_or_clone(exchange), due })
                })
                .collect()
        })
    }

    /// One round: record everything that is waiting, let it take effect, and only then speak.
    pub fn round(&mut self, now: Now, inputs: Vec<Input<D>>) -> Result<Vec<Output>, NodeError> {
        (self.clock, self.millis) = (now.time, now.millis);
        self.laps = Laps::default();
        self.changes.clear();
        let before = self.log.checkpoint().head().size;
        let mut out = Vec::new();
        let mut answers: Vec<(Answer<D>, Result<Done, Mistake>)> = Vec::new();
        let mut questions = Vec::new();
        let mut mail = Vec::new();
        // What peers know of our log comes first: if it was rolled back, nothing more is signed in this round either.
        let (heard, rest): (Vec<_>, Vec<_>) =
            inputs.into_iter().partition(|input| matches!(input, Input::Answered { .. }));
        for input in heard.into_iter().chain(rest) {
            match input {
                Input::Ask(question) => questions.push(question),
                Input::Answered { from, frame } => self.answered(&from, &frame, now, &mut out),
                Input::Arrived { from, frame, ticket } => mail.push((from, frame, ticket)),
                Input::Connected(node) => self.lanes.entry(node).or_default().reachable(),
                Input::Disconnected(node) => self.lanes.entry(node).or_default().connected = false,
                Input::Export { record, answer } => {
                    let done = self.may_record().map(|()| {
                        self.record(record, None);
                        Done::Exported
                    });
                    answers.push((answer, done));
                }
                Input::Failed { to, why } => self.failed(&to, why, now),
                Input::Fetched { from, digest } => {
                    with_desk!(self, |_desk, shelf| Desk::has_fetched(&mut shelf, &from, &digest));
                    self.lanes.entry(from).or_default().not_fetched.remove(&digest);
                }
                Input::NotFetched { from, digest, why, is_lost } => {
                    if is_lost {
                        with_desk!(self, |_desk, shelf| Desk::has_lost(&mut shelf, &from, &digest));
                    }
                    self.lanes.entry(from).or_default().note_not_fetched(digest, why);
                }
                Input::Register { register, who, answer } => {
                    let done = self.import(register, who);
                    answers.push((answer, done));
                }
                Input::Order { request, who, key, answer } => {
                    let done = self.order(request, who, key, &mut out);
                    answers.push((answer, done));
                }
            }
        }
        self.new_day(&mut out);
        self.note_passed();
        self.laps.enter(Stage::Open);
        let (accepted, mut replies) = self.accept(mail, now, &mut out);
        self.accepted.extend(accepted);
        self.drop_mail(&mut replies);
        let taken = self.take_mail(now);

        // One signature and one sync for the whole round. An error stops the node: nothing has left the house.
        self.commit()?;

        for accepted in taken {
            let line = note::cosign(
                &self.keys.witness.key,
                &self.desk.us().witness_name(),
                self.time().0,
                accepted.head.checkpoint(),
            );
            replies.push((accepted.ticket, Some(MailReply::Cosigned { line })));
        }
        out.extend(
            replies
                .into_iter()
                .map(|(ticket, reply)| Output::Reply { ticket, frame: reply.map(|r| r.frame()) }),
        );
        out.extend(std::mem::take(&mut self.naming).into_iter().map(Output::Wanted));
        self.laps.enter(Stage::Answer);
        for (answer, done) in answers {
            answer(self, done);
        }
        for question in questions {
            question(self);
        }
        self.laps.enter(Stage::Release);
        self.post(now, &mut out)?;
        self.metrics.round(std::mem::take(&mut self.laps), self.log.checkpoint().head().size - before);
        Ok(out)
    }

    /// Put a record into the round, and everything that is owed because of it.
    fn record(&mut self, record: Record, message: Option<Verified>) -> LeafIndex {
        self.record_sealing(record, message).0
    }

    /// The same; also the exchange of the first message that was sealed because of it.
    fn record_sealing(
        &mut self,
        record: Record,
        message: Option<Verified>,
    ) -> (LeafIndex, Option<MessageId>) {
        let leaf = self.stage(record, message);
        let mut sealed = None;
        let mut owed: VecDeque<Effect> = leaf.1.into();
        while let Some(effect) = owed.pop_front() {
            let effects = match effect {
                Effect::Consult { exchange, rule, sought } => match self.consult(exchange, rule, &sought) {
                    Some(record) => self.stage(record, None).1,
                    None => continue,
                },
                Effect::Send(draft) => match self.seal(*draft) {
                    Some((verified, parts)) => {
                        let (of, exchange) = (verified.id(), verified.exchange());
                        sealed.get_or_insert(exchange);
                        let to = verified.message().aud.clone();
                        let record = Record::Sent { to, token: verified.token().to_owned() };
                        let effects = self.stage(record, Some(verified)).1;
                        // Right behind their message: that is where they are found when it goes out.
                        for text in parts {
                            self.stage(Record::Part { of, exchange, text }, None);
                        }
                        effects
                    }
                    None => continue,
                },
            };
            owed.extend(effects);
        }
        (leaf.0, sealed)
    }

    /// The log's time: it never goes back, whatever the clock does, and a wrong clock leaves no trace in it unless
    /// something is recorded meanwhile.
    fn time(&self) -> Timestamp {
        self.time.max(self.clock)
    }

    fn stage(&mut self, record: Record, message: Option<Verified>) -> (LeafIndex, Vec<Effect>) {
        let mut salt = [0; 32];
        (self.random)(&mut salt);
        self.time = self.time();
        let leaf = self.log.stage(record.write(self.time, &salt));
        let about = About::of(&self.desk, &record, message.as_ref());
        tracing::debug!(
            leaf = leaf.0,
            kind = record.kind().as_str(),
            exchange = about.as_ref().and_then(About::exchange).map(tracing::field::display),
            peer = events::peer_of(&record).map(tracing::field::display),
            "recorded"
        );
        self.changes.extend(about.map(|about| (Some(leaf), about)));
        let staged = Staged { leaf, at: self.time, record, message };
        let effects = with_desk!(self, |desk, shelf| desk.apply(&mut shelf, &staged));
        (leaf, effects)
    }

    /// Ask a register under a rule (R-SOV). Without one there is nothing to consult: the request waits for an officer.
    fn consult(&self, exchange: MessageId, rule: Line, sought: &Sought) -> Option<Record> {
        let on = self.clock.date();
        match sought {
            Sought::Item(item) => {
                self.firearms.digest()?;
                let us = &self.desk.own()?.current().state;
                let found = self.firearms.beyond_doubt(item, on, us);
                Some(Record::Search { exchange, rule, found, on })
            }
            Sought::Licence(licence_no) => {
                self.licences.digest()?;
                let found = self.licences.find(licence_no).cloned();
                Some(Record::Query { exchange, rule, found, on })
            }
        }
    }

    /// Seal a message: once, here, and the same bytes for the log and for every delivery. The persons it names become
    /// parts beside it.
    fn seal(&mut self, draft: Draft) -> Option<(Verified, Vec<String>)> {
        let mut jti = [0; 16];
        (self.random)(&mut jti);
        let texts = draft.enclosed.parts.iter().filter_map(|digest| self.parts.remove(digest)).collect();
        let time = self.clock;
        let log = self.desk.own()?.current().current_log();
        let message = with_desk!(self, |desk, shelf| desk.compose(&shelf, draft, log, time, &jti))?;
        let named = self.keys.message_key(self.desk.own()?, time)?;
        Some((envelope::seal(message, &named.kid, &named.key), texts))
    }

    /// Whether anything may be recorded.
    pub(crate) fn may_record(&self) -> Result<(), Mistake> {
        match &self.halted {
            Some(why) => Err(Mistake::NotReady(why.clone())),
            None => Ok(()),
        }
    }

    fn may_sign(&self) -> Result<(), Mistake> {
        self.may_record()?;
        let own = self.desk.own().ok_or_else(|| Mistake::NotReady("the log has no key set".into()))?;
        match self.keys.message_key(own, self.clock) {
            Some(_) => Ok(()),
            None => Err(Mistake::NotReady(
                "no message key of ours is in force: renew the key set with `liaison-node key-set renew`"
                    .into(),
            )),
        }
    }

    /// Why the node cannot sign now, if it cannot.
    pub fn why_not_ready(&self) -> Option<String> {
        self.may_sign().err().map(|mistake| mistake.to_string())
    }
}

/// An exchange, and what an officer should know about it.
pub struct ExchangeAtHand {
    /// The exchange.
    pub exchange: Arc<liaison_protocol::exchange::Exchange>,
    /// What the requested State owes next.
    pub due: Option<Due>,
    /// Why no rule answered, if an officer must.
    pub why_officer: Option<&'static str>,
    /// What the licence list would answer, if an officer must.
    pub proposal: Option<liaison_protocol::message::Outcome>,
    /// What the register of firearms has that may be the item, if an officer must answer.
    pub candidates: Vec<CandidateView>,
}

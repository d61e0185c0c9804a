//! One conversation between two authorities about one subject, and how far it has come.
//!
//! Its state is folded from the set of its messages in an order that both sides compute alike, so late,
//! repeated, crossing and reordered news need no case of their own. The order: each side's messages by their
//! sequence number, merged so that a message comes after what its sender had seen; where neither had seen the
//! other, the requesting State's comes first (SPEC.md, section 6).

use std::collections::{BTreeMap, BTreeSet};

use crate::attachment::{self, Attachment, Person};
use crate::authority::{Line, NodeId, Timestamp};
use crate::deadline::Due;
use crate::entry::{Basis, Entry, EntryKind, Logged, Record, Staged};
use crate::fault::Fault;
use crate::item::Item;
use crate::key_set::{self, Revocation};
use crate::licence::Presented;
use crate::merkle::{Hash, LeafIndex};
use crate::message::{Body, CaseRefs, Kind, Message, MessageId, Outcome, Subject};
use crate::operator::{AttachmentView, ExchangeSummary, Order, ReceiptView, Side, State, TimelineItem};
use crate::standing::Standing;

/// Most messages of one exchange.
pub const MAX_MESSAGES: usize = 40;

/// A message of an exchange, as our log holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// Which side said it.
    pub from: Side,
    /// The message.
    pub message: Message,
    /// The name of the key that sealed it.
    pub key: String,
    /// Whether that key is revoked from before it was sealed: then it does not count.
    pub revoked: bool,
    /// When it came into our log, and where.
    pub recorded: Timestamp,
    /// Its place in our log.
    pub leaf: LeafIndex,
    /// Its place in the sender's log, for a message of theirs.
    pub sender_leaf: Option<LeafIndex>,
    /// What the other node's log says of a message of ours.
    pub receipt: Option<Receipt>,
}

/// The other node's proof for a message of ours.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Receipt {
    /// Why it was refused for good, if it was.
    pub refused: Option<Fault>,
    /// When, by the other node's clock.
    pub at: Timestamp,
    /// Its place in the other node's log.
    pub leaf: LeafIndex,
    /// When the proof came into our log.
    pub recorded: Timestamp,
}

/// One exchange: the set of its messages, and what of our own log belongs to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    id: MessageId,
    peer: NodeId,
    side: Side,
    said: BTreeMap<MessageId, Said>,
    /// Messages of theirs that we refused for good: the order steps over them.
    void: BTreeSet<MessageId>,
    /// How the licence stood in our register when we last spoke of it.
    basis: Option<Basis>,
    /// Our file number.
    case_ref: Option<Line>,
    /// The times that passed without what was owed.
    passed: BTreeSet<Timestamp>,
    /// Persons named by its messages, by the digests of their parts, as far as they are here.
    persons: BTreeMap<Hash, Person>,
    updated: Timestamp,
    /// Bytes of its messages and parts.
    bytes: usize,
    /// Where our log holds what belongs to it, in order.
    places: Vec<LeafIndex>,
    /// What all of this comes to: folded anew when it changes, and not each time it is looked at.
    standing: Standing,
}

impl Exchange {
    /// The exchange that `opener` opens, seen from `us`. `None` if that message opens none.
    pub fn open(us: &NodeId, opener: &Staged) -> Option<Self> {
        let verified = opener.message.as_ref()?;
        let message = verified.message();
        let (side, peer) = if message.iss == *us {
            (Side::Requesting, message.aud.clone())
        } else {
            (Side::Requested, message.iss.clone())
        };
        let mut exchange = Self {
            id: verified.id(),
            peer,
            side,
            said: BTreeMap::new(),
            void: BTreeSet::new(),
            basis: None,
            case_ref: None,
            passed: BTreeSet::new(),
            persons: BTreeMap::new(),
            updated: opener.at,
            bytes: 0,
            places: Vec::new(),
            standing: Standing::new(),
        };
        message.kind().opens().then(|| exchange.add(opener))?;
        Some(exchange)
    }

    /// Take in a record that belongs to this exchange. Twice is the same as once.
    pub fn add(&mut self, staged: &Staged) {
        self.add_all([staged]);
    }

    /// Take in records that belong to this exchange, and see what they come to together.
    pub fn add_all<S: std::borrow::Borrow<Staged>>(&mut self, records: impl IntoIterator<Item = S>) {
        let mut is_told = false;
        for staged in records {
            let staged = staged.borrow();
            self.take(staged);
            is_told |= staged.record.key_sets().is_some()
                || matches!(
                    staged.record,
                    Record::Denied { .. }
                        | Record::Receipt { .. }
                        | Record::Received { .. }
                        | Record::Sent { .. }
                );
        }
        if is_told {
            self.standing = self.fold();
        }
    }

    fn take(&mut self, staged: &Staged) {
        self.updated = self.updated.max(staged.at);
        if let Err(place) = self.places.binary_search(&staged.leaf) {
            self.places.insert(place, staged.leaf);
        }
        if let Some((node, key_sets)) = staged.record.key_sets() {
            let revoked = key_set::revocations(key_sets);
            let side = self.side_of(node);
            let said = self.said.values_mut().filter(|said| said.from == side);
            said.for_each(|said| said.revoked |= said.rests_on(&revoked));
        }
        match &staged.record {
            Record::Sent { .. } | Record::Received { .. } => self.add_message(staged),
            Record::Denied { id: Some(id), .. } => {
                self.void.insert(*id);
            }
            Record::Receipt { message, proof, .. } => self.add_receipt(*message, proof, staged.at),
            Record::Order { order: Order::Act { .. }, register, .. } => self.basis = register.or(self.basis),
            Record::Query { found: Some(record), on, .. } => self.basis = Some(Basis::of(record, *on)),
            Record::Deadline { due, .. } => {
                self.passed.insert(due.at);
            }
            Record::Part { text, .. } => {
                self.persons
                    .extend(attachment::read_part(text).map(|person| (Hash::of(text.as_bytes()), person)));
            }
            _ => {}
        }
    }

    fn side_of(&self, node: &NodeId) -> Side {
        if *node == self.peer { self.side.other() } else { self.side }
    }

    /// Whether a message that `node` sealed here counts so far and is under one of these keys, from when it is revoked.
    pub fn rests_on(&self, node: &NodeId, revoked: &[Revocation]) -> bool {
        let side = self.side_of(node);
        self.said.values().any(|said| said.from == side && !said.revoked && said.rests_on(revoked))
    }

    fn add_message(&mut self, staged: &Staged) {
        let Some(verified) = &staged.message else { return };
        let ours = matches!(staged.record, Record::Sent { .. });
        let sender_leaf = match &staged.record {
            Record::Received { proof, .. } => Some(proof.leaf),
            _ => None,
        };
        let case = &verified.message().case;
        // Our file number is what we say it is, not what a peer says.
        if ours {
            self.case_ref = self.case_ref.take().or_else(|| case.sender.clone());
        }
        self.void.remove(&verified.id());
        // It was taken, so what it follows was taken before it, or refused for good: perhaps before we could tell to
        // which exchange that belonged.
        self.void.extend(verified.message().prev.filter(|prev| !ours && !self.said.contains_key(prev)));
        if self.said.contains_key(&verified.id()) {
            return;
        }
        self.bytes += verified.token().len();
        self.said.entry(verified.id()).or_insert_with(|| Said {
            from: if ours { self.side } else { self.side.other() },
            message: verified.message().clone(),
            key: verified.key_name().to_owned(),
            revoked: false,
            recorded: staged.at,
            leaf: staged.leaf,
            sender_leaf,
            receipt: None,
        });
    }

    fn add_receipt(&mut self, message: MessageId, proof: &Logged, recorded: Timestamp) {
        let (Some(said), Ok(entry)) = (self.said.get_mut(&message), Entry::parse(&proof.entry)) else {
            return;
        };
        let refused = (entry.k == EntryKind::Denied).then_some(entry.f).flatten();
        said.receipt.get_or_insert(Receipt { refused, at: entry.t, leaf: proof.leaf, recorded });
    }

    /// Its id.
    pub fn id(&self) -> MessageId {
        self.id
    }

    /// With whom.
    pub fn peer(&self) -> &NodeId {
        &self.peer
    }

    /// Which side we are.
    pub fn side(&self) -> Side {
        self.side
    }

    /// What is asked.
    pub fn kind(&self) -> Kind {
        self.opener().message.kind()
    }

    /// The message that opened it.
    pub fn opener(&self) -> &Said {
        self.said.get(&self.id).expect("an exchange starts with its opener")
    }

    /// What it is about.
    pub fn subject(&self) -> Subject<'_> {
        self.opener().message.body.subject().expect("an opener says what it is about")
    }

    /// What was presented, if a licence is asked about.
    pub fn presented(&self) -> Option<&Presented> {
        match self.subject() {
            Subject::Licence(presented) => Some(presented),
            _ => None,
        }
    }

    /// The item asked about, as it was described last: whoever asked may have told more since.
    pub fn item(&self) -> Option<&Item> {
        let Subject::Trace(request) = self.subject() else { return None };
        let told = self.order().into_iter().rev().find_map(|(_, said)| match &said.message.body {
            Body::InformationSupply(told) => told.item.as_ref(),
            _ => None,
        });
        Some(told.unwrap_or(&request.item))
    }

    /// Whether this time has passed without what was owed: a word for people, from which nothing follows (R-10.2c).
    pub fn has_passed(&self, due: Due) -> bool {
        self.passed.contains(&due.at)
    }

    /// The attachments of all its messages that `side` sent.
    pub fn attachments(&self, side: Side) -> impl Iterator<Item = &Attachment> {
        self.said.values().filter(move |said| said.from == side).flat_map(|said| &said.message.attachments)
    }

    /// The messages, in the order of their ids.
    pub fn messages(&self) -> impl Iterator<Item = (&MessageId, &Said)> {
        self.said.iter()
    }

    /// How the licence stood in our register when we last spoke of it.
    pub fn basis(&self) -> Option<Basis> {
        self.basis
    }

    /// Our file number.
    pub fn case_ref(&self) -> Option<&Line> {
        self.case_ref.as_ref()
    }

    /// A message of it.
    pub fn get(&self, id: &MessageId) -> Option<&Said> {
        self.said.get(id)
    }

    /// Where our log holds what belongs to it, in order.
    pub fn places(&self) -> &[LeafIndex] {
        &self.places
    }

    /// How long its messages and parts are together, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many messages it holds.
    pub fn len(&self) -> usize {
        self.said.len() + self.void.len()
    }

    /// Whether it holds none; never so for an opened exchange.
    pub fn is_empty(&self) -> bool {
        self.said.is_empty()
    }

    /// The last message of `side` by its sequence number: what `prev` and `saw` of the next message name.
    pub fn last_of(&self, side: Side) -> Option<MessageId> {
        self.chain(side).last().map(|(id, _)| **id)
    }

    /// Whether `id` is a message here, or one that was refused for good.
    pub fn knows(&self, id: &MessageId) -> bool {
        self.said.contains_key(id) || self.void.contains(id)
    }

    fn chain(&self, side: Side) -> Vec<(&MessageId, &Said)> {
        let mut chain: Vec<_> = self.said.iter().filter(|(_, said)| said.from == side).collect();
        chain.sort_by_key(|(id, said)| (said.message.log, said.message.seq, **id));
        chain
    }

    /// The messages in the order both sides compute. One that saw what is not here yet waits outside it.
    fn order(&self) -> Vec<(MessageId, &Said)> {
        let stands = |said: &Said| said.receipt.as_ref().is_none_or(|receipt| receipt.refused.is_none());
        let voided =
            |id: &MessageId| self.void.contains(id) || self.said.get(id).is_some_and(|said| !stands(said));
        let mut chains = [Side::Requesting, Side::Requested].map(|side| {
            let mut chain: Vec<_> = self.chain(side).into_iter().filter(|(_, said)| stands(said)).collect();
            chain.reverse();
            chain
        });
        let mut order: Vec<(MessageId, &Said)> = Vec::with_capacity(self.said.len());
        let mut placed = BTreeSet::new();
        loop {
            let ready = |(_, said): &(&MessageId, &Said)| {
                [said.message.prev, said.message.saw]
                    .into_iter()
                    .flatten()
                    .all(|earlier| placed.contains(&earlier) || voided(&earlier))
            };
            let Some(next) =
                chains.iter_mut().find(|chain| chain.last().is_some_and(ready)).and_then(Vec::pop)
            else {
                return order;
            };
            placed.insert(*next.0);
            order.push((*next.0, next.1));
        }
    }

    /// Where it stands.
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    fn fold(&self) -> Standing {
        let mut standing = Standing::new();
        for (id, said) in self.order() {
            match said.revoked {
                false => standing.take(self.kind(), id, &said.message),
                true => standing.distrust(self.kind(), id, &said.message.body),
            }
        }
        if self.opener().revoked {
            standing.clear_nothing();
        }
        let receipt = self.opener().receipt.as_ref();
        match (standing.state, receipt) {
            (_, Some(Receipt { refused: Some(_), .. })) => standing.state = State::TurnedAway,
            (State::Requested, Some(_)) => standing.state = State::Delivered,
            // The requested State holds the request from the moment its log does.
            (State::Requested, None) if self.side == Side::Requested => standing.state = State::Delivered,
            _ => {}
        }
        standing
    }

    /// and the sides: whether `side` may say `body` here at all, whatever the state. What crosses is never
    /// refused, only what cannot belong here.
    pub fn admits(&self, side: Side, body: &Body) -> Result<(), Fault> {
        use Kind::*;
        let opened_by = self.kind();
        let (speaker, kinds): (Side, &[Kind]) = match body.kind() {
            kind if kind.opens() => return Err(Fault::OutOfPlace),
            Acknowledgement => (Side::Requested, &[]),
            AuthenticityResult => (Side::Requested, &[AuthenticityCheck]),
            Clarification | InformationRequest | TraceResponse => (Side::Requested, &[TraceRequest]),
            ClarificationRequest | TraceOutcome => (Side::Requesting, &[TraceRequest]),
            ConditionReply => (Side::Requesting, &[TransitNotification]),
            Correction => (Side::Requested, &[AuthenticityCheck, LicenceVerificationRequest, TraceRequest]),
            InformationSupply => (Side::Requesting, &[TraceRequest, TransitNotification]),
            LicenceNotice => (Side::Requested, &[AuthenticityCheck, LicenceVerificationRequest]),
            LicenceVerificationResponse => (Side::Requested, &[LicenceVerificationRequest]),
            TransitDecision | TransitDecisionWithdrawal => (Side::Requested, &[TransitNotification]),
            _ => (Side::Requesting, &[]),
        };
        let of_its_sort = match body {
            Body::Correction(body) => body.outcome.answers(opened_by),
            _ => true,
        };
        if side != speaker || !of_its_sort || !(kinds.is_empty() || kinds.contains(&opened_by)) {
            return Err(Fault::OutOfPlace);
        }
        let within = match (body, self.subject()) {
            (Body::AuthenticityResult(body), Subject::Licence(presented)) => {
                body.result.speaks_only_of(presented)
            }
            (Body::Correction(body), subject) => body.outcome.speaks_only_of(subject),
            (Body::LicenceNotice(body), Subject::Licence(presented)) => {
                body.licence_no.canonical() == presented.licence_no.canonical()
            }
            (Body::LicenceVerificationResponse(body), Subject::Licence(presented)) => {
                body.answer.speaks_only_of(presented)
            }
            _ => true,
        };
        if within { Ok(()) } else { Err(Fault::BodyForbidden) }
    }

    /// The line of it in a list. `due` is what the requested State owes next.
    pub fn summary(&self, due: Option<Due>) -> ExchangeSummary {
        let (opener, standing) = (self.opener(), &self.standing);
        let outcome = match (&standing.outcome, &standing.notice) {
            (Some(outcome), Some(notice)) => {
                Some(format!("{outcome}, since {} {}", notice.effective, notice.event))
            }
            (Some(outcome), None) if standing.corrected => Some(format!("{outcome}, corrected")),
            (outcome, _) => outcome.as_ref().map(Outcome::to_string),
        };
        ExchangeSummary {
            id: self.id,
            kind: self.kind(),
            peer: self.peer.clone(),
            side: self.side,
            state: standing.state,
            subject: self.subject().to_string(),
            case_ref: self.case_ref.as_ref().map(Line::to_string),
            outcome,
            for_officer: standing.state.waits_for(self.side),
            due,
            no_reply: due.is_some_and(|due| self.has_passed(due)),
            valid_to: standing.valid_to(),
            opened: opener.recorded,
            updated: self.updated,
            leaf: opener.leaf.0,
        }
    }

    /// What happened, in the common order; what still waits for its forerunners comes last.
    pub fn timeline(&self) -> Vec<TimelineItem> {
        let ordered = &self.standing.order;
        let placed: BTreeSet<MessageId> = ordered.iter().map(|(id, _)| *id).collect();
        let waiting = self.said.keys().filter(|id| !placed.contains(*id)).map(|id| (*id, false));
        ordered
            .iter()
            .copied()
            .chain(waiting)
            .map(|(id, effective)| {
                self.said.get(&id).expect("the order is of these messages").item(id, effective, &self.persons)
            })
            .collect()
    }
}

impl Said {
    fn rests_on(&self, revoked: &[Revocation]) -> bool {
        revoked.iter().any(|one| one.kid == self.key && one.untrusted_from <= self.message.iat)
    }

    /// When it was delivered, by the addressee's log: what both sides count from. `side` is ours.
    pub fn delivered(&self, side: Side) -> Option<Timestamp> {
        if self.from == side { self.receipt.as_ref().map(|receipt| receipt.at) } else { Some(self.recorded) }
    }

    fn item(&self, id: MessageId, effective: bool, persons: &BTreeMap<Hash, Person>) -> TimelineItem {
        let message = &self.message;
        let here: Vec<Person> = message.parts.iter().filter_map(|part| persons.get(part).cloned()).collect();
        TimelineItem {
            id,
            from: self.from,
            kind: message.kind(),
            body: message.body.to_json(),
            handling: message.handling.clone(),
            by: message.by.clone(),
            case: CaseRefs::clone(&message.case),
            sealed: message.iat,
            recorded: self.recorded,
            leaf: self.leaf.0,
            receipt: self.receipt.as_ref().map(|receipt| ReceiptView {
                refused: receipt.refused.map(Fault::code),
                meaning: receipt.refused.map(|fault| fault.to_string()),
                at: receipt.at,
                leaf: receipt.leaf.0,
                recorded: receipt.recorded,
            }),
            sender_leaf: self.sender_leaf.map(|leaf| leaf.0),
            effective,
            revoked: self.revoked,
            // Whether their content is here is for the house to say.
            attachments: message
                .attachments
                .iter()
                .map(|attachment| AttachmentView {
                    attachment: attachment.clone(),
                    here: false,
                    trouble: None,
                })
                .collect(),
            persons_absent: (message.parts.len() - here.len()) as u64,
            persons: here,
        }
    }
}

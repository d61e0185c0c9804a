//! One conversation between two authorities about one subject, and how far it has come.
//!
//! Its state is folded from the set of its messages in an order that both sides compute alike, so late,
//! repeated, crossing and reordered news need no case of their own. The order: each side's messages by their
//! sequence number, merged so that a message comes after what its sender had seen; where neither had seen the
//! other, the requesting State's comes first (SPEC.md, section 6).

use std::collections::{BTreeMap, BTreeSet};

use crate::authority::{Line, NodeId, Timestamp};
use crate::entry::{Basis, Entry, EntryKind, Logged, Record, Staged};
use crate::fault::Fault;
use crate::licence::{LicenceNotice, Presented};
use crate::merkle::LeafIndex;
use crate::message::{Acknowledgement, Body, CaseRefs, Kind, Message, MessageId, Outcome};
use crate::operator::{ExchangeSummary, Order, ReceiptView, Side, State, TimelineItem};

/// Most messages of one exchange.
pub const MAX_MESSAGES: usize = 40;

/// A message of an exchange, as our log holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// Which side said it.
    pub from: Side,
    /// The message.
    pub message: Message,
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
    updated: Timestamp,
}

/// Where an exchange stands: what the fold of its messages comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// How far it has come.
    pub state: State,
    /// Who took charge of it.
    pub acknowledgement: Option<Acknowledgement>,
    /// What it came to.
    pub outcome: Option<Outcome>,
    /// Whether that is a correction of an earlier answer.
    pub corrected: bool,
    /// The newest change of the licence.
    pub notice: Option<LicenceNotice>,
    /// The messages in their common order, and whether each took effect.
    pub order: Vec<(MessageId, bool)>,
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
            updated: opener.at,
        };
        message.kind().opens().then(|| exchange.add(opener))?;
        Some(exchange)
    }

    /// Take in a record that belongs to this exchange. Twice is the same as once.
    pub fn add(&mut self, staged: &Staged) {
        self.updated = self.updated.max(staged.at);
        match &staged.record {
            Record::Sent { .. } | Record::Received { .. } => self.add_message(staged),
            Record::Denied { id: Some(id), .. } => {
                self.void.insert(*id);
            }
            Record::Receipt { message, proof, .. } => self.add_receipt(*message, proof, staged.at),
            Record::Order { order: Order::Act { .. }, register, .. } => self.basis = register.or(self.basis),
            Record::Query { found: Some(record), on, .. } => self.basis = Some(Basis::of(record, *on)),
            _ => {}
        }
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
        self.said.entry(verified.id()).or_insert_with(|| Said {
            from: if ours { self.side } else { self.side.other() },
            message: verified.message().clone(),
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

    /// What stands on the licence that is asked about.
    pub fn presented(&self) -> &Presented {
        self.opener().message.body.presented().expect("openers ask about a licence")
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
    pub fn standing(&self) -> Standing {
        let mut standing = Standing {
            state: State::Requested,
            acknowledgement: None,
            outcome: None,
            corrected: false,
            notice: None,
            order: Vec::new(),
        };
        for (id, said) in self.order() {
            let effective = standing.step(&said.message.body);
            standing.order.push((id, effective));
        }
        let receipt = self.opener().receipt.as_ref();
        match (standing.state, receipt) {
            (_, Some(Receipt { refused: Some(_), .. })) => standing.state = State::Refused,
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
        let kind = self.kind();
        let fits = match body {
            Body::Acknowledgement(_) => side == Side::Requested,
            Body::AuthenticityResult(_) => side == Side::Requested && kind == Kind::AuthenticityCheck,
            Body::AuthenticityCheck(_) | Body::LicenceVerificationRequest(_) => false,
            Body::Correction(body) => {
                side == Side::Requested
                    && matches!(body.outcome, Outcome::Answer(_))
                        == (kind == Kind::LicenceVerificationRequest)
            }
            Body::LicenceNotice(_) => side == Side::Requested,
            Body::LicenceVerificationResponse(_) => {
                side == Side::Requested && kind == Kind::LicenceVerificationRequest
            }
            Body::Withdrawal(_) => side == Side::Requesting,
        };
        if !fits {
            return Err(Fault::OutOfPlace);
        }
        let presented = self.presented();
        let within = match body {
            Body::AuthenticityResult(body) => body.result.speaks_only_of(presented),
            Body::Correction(body) => body.outcome.speaks_only_of(presented),
            Body::LicenceNotice(body) => body.licence_no.canonical() == presented.licence_no.canonical(),
            Body::LicenceVerificationResponse(body) => body.answer.speaks_only_of(presented),
            _ => true,
        };
        if within { Ok(()) } else { Err(Fault::BodyForbidden) }
    }

    /// The line of it in a list.
    pub fn summary(&self) -> ExchangeSummary {
        let standing = self.standing();
        let opener = self.opener();
        let outcome = match (&standing.outcome, &standing.notice) {
            (Some(outcome), Some(notice)) => {
                Some(format!("{outcome}, since {} {}", notice.effective, code(&notice.event)))
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
            licence_no: self.presented().licence_no.to_string(),
            case_ref: self.case_ref.as_ref().map(Line::to_string),
            outcome,
            for_officer: self.side == Side::Requested && standing.state.is_open(),
            opened: opener.recorded,
            updated: self.updated,
            leaf: opener.leaf.0,
        }
    }

    /// What happened, in the common order; what still waits for its forerunners comes last.
    pub fn timeline(&self) -> Vec<TimelineItem> {
        let ordered = self.standing().order;
        let placed: BTreeSet<MessageId> = ordered.iter().map(|(id, _)| *id).collect();
        let waiting = self.said.keys().filter(|id| !placed.contains(*id)).map(|id| (*id, false));
        ordered
            .iter()
            .copied()
            .chain(waiting)
            .map(|(id, effective)| {
                self.said.get(&id).expect("the order is of these messages").item(id, effective)
            })
            .collect()
    }
}

fn code<T: std::fmt::Display>(value: &crate::handling::Coded<T>) -> String {
    match value {
        crate::handling::Coded::Known(known) => known.to_string(),
        crate::handling::Coded::Unknown(word) => word.to_string(),
    }
}

impl Said {
    fn item(&self, id: MessageId, effective: bool) -> TimelineItem {
        let message = &self.message;
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
        }
    }
}

impl Standing {
    /// One step of law/requirements §7.2. Returns whether `body` took effect.
    fn step(&mut self, body: &Body) -> bool {
        use State::*;
        let open = matches!(self.state, Requested | Acknowledged);
        match body {
            Body::AuthenticityCheck(_) | Body::LicenceVerificationRequest(_) => true,
            Body::Acknowledgement(body) if open => {
                self.state = Acknowledged;
                self.acknowledgement = Some(body.clone());
                true
            }
            Body::AuthenticityResult(body) if open => self.answer(Outcome::Authenticity(body.result.clone())),
            Body::LicenceVerificationResponse(body) if open => {
                self.answer(Outcome::Answer(body.answer.clone()))
            }
            Body::Correction(body) if matches!(self.state, Answered | Closed) => {
                self.outcome = Some(body.outcome.clone());
                self.corrected = true;
                // A correction speaks of today: earlier news of the licence are in it.
                self.notice = None;
                true
            }
            Body::LicenceNotice(body) if self.state == Answered => {
                self.notice = Some(body.clone());
                true
            }
            Body::Withdrawal(_) if open => {
                self.state = Withdrawn;
                true
            }
            Body::Withdrawal(_) if self.state == Answered => {
                self.state = Closed;
                true
            }
            _ => false,
        }
    }

    fn answer(&mut self, outcome: Outcome) -> bool {
        self.state = State::Answered;
        self.outcome = Some(outcome);
        true
    }

    /// The acts open to `side` now.
    pub fn acts(&self, side: Side) -> &'static [&'static str] {
        match (side, self.state) {
            (Side::Requested, State::Delivered | State::Requested | State::Acknowledged) => {
                &["acknowledge", "answer"]
            }
            (Side::Requested, State::Answered) => &["correct", "notify"],
            (Side::Requested, State::Closed) => &["correct"],
            (
                Side::Requesting,
                State::Delivered | State::Requested | State::Acknowledged | State::Answered,
            ) => &["withdraw"],
            _ => &[],
        }
    }
}

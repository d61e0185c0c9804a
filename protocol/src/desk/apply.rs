//! What each recorded line changes, and what is owed because of it.

use std::collections::{BTreeMap, HashMap};

use super::peer::{PeerRow, day};
use super::rows::{asked_key, attempts, attempts_key, case_key, note_key, peer_key, read, write};
use super::{Desk, Draft, Effect, Owed, Peer, Shelf, Sought, Table, Wanted, is_full, news, propose};
use crate::authority::{By, Line, NodeId, Timestamp};
use crate::entry::{Alert, IdempotencyKey, Record, Staged};
use crate::exchange::Exchange;
use crate::handling::{Coded, Handling, LegalBasis, PersonalData};
use crate::key_set::KeyChain;
use crate::licence::LicenceNotice;
use crate::merkle::{LeafIndex, TreeHead};
use crate::message::{
    Acknowledgement, AuthenticityResult, Body, CaseRefs, Clarification, ClarificationRequest, Correction,
    InformationRequest, InformationSupply, Kind, LicenceVerificationResponse, MAX_ACCEPT, Message, MessageId,
    Outcome, Reminder, Subject, Withdrawal,
};
use crate::numbers::Numbers;
use crate::operator::{Act, Enclosed, ExchangeSummary, Mistake, Order, Rules, Side};
use crate::standing::Standing;
use crate::trace::TraceResponse;
use crate::transit::{ConditionReply, TransitDecisionWithdrawal};
use crate::{key_set, licence};

impl Desk {
    /// Take in one recorded line, and say what is owed because of it. A round is atomic: on a replay what was
    /// owed is recorded right behind, and the effects are dropped.
    pub fn apply(&mut self, shelf: &mut impl Shelf, staged: &Staged) -> Vec<Effect> {
        match &staged.record {
            Record::Alert { alert } => {
                if let Alert::Forked { node, .. } = alert {
                    self.change_peer(node, |peer| peer.row.forked = true);
                }
                Vec::new()
            }
            Record::Deadline { exchange, .. } => self.apply_deadline(shelf, staged, exchange),
            Record::Denied { from, id, exchange, number, .. } => {
                if let Some(id) = id {
                    self.note_seen(shelf, from, id, staged.leaf);
                }
                self.change_peer(from, |peer| {
                    match number {
                        Some(number) => peer.row.numbers.came(number.log, number.seq),
                        None => peer.row.refused_unnumbered |= id.is_some(),
                    }
                    if peer.row.denied_day != day(staged.at) {
                        (peer.row.denied_day, peer.row.denied) = (day(staged.at), 0);
                    }
                    peer.row.denied += 1;
                });
                if let Some(exchange) = exchange {
                    self.change_exchange(shelf, exchange, staged);
                }
                Vec::new()
            }
            // What was given out, or vouched for, changes nothing of what we believe.
            Record::Backup { .. } | Record::Export { .. } | Record::Genesis { .. } => Vec::new(),
            Record::HeadSeen { node, head, .. } => {
                if let Some(key) = self.peers.get(node).map(|peer| peer.head_key(head.size)) {
                    shelf.put(Table::Head, &key, staged.leaf.0.to_be_bytes().to_vec());
                }
                self.change_peer(node, |peer| {
                    peer.row.head = *head;
                    peer.row.head_leaf = Some(staged.leaf);
                });
                Vec::new()
            }
            Record::KeySet { node, key_set } => {
                self.apply_key_set(shelf, node, key_set, staged);
                Vec::new()
            }
            Record::Order { order, by, key, .. } => self.apply_order(shelf, staged, order, by, key.as_ref()),
            Record::Part { exchange, .. } => {
                self.change_exchange(shelf, exchange, staged);
                Vec::new()
            }
            Record::Query { exchange, rule, found, on } => {
                self.apply_query(shelf, staged, exchange, rule, found.as_ref(), *on)
            }
            Record::Receipt { node, message, .. } => {
                let mut of = None;
                let outbox_key = |leaf: LeafIndex| peer_key(node, &leaf.0.to_be_bytes());
                self.change_peer(node, |peer| {
                    let leaf = peer.places.remove(message);
                    of = leaf.and_then(|leaf| Some((leaf, peer.outbox.remove(&leaf)?)));
                });
                if let Some((leaf, owed)) = of {
                    shelf.remove(Table::Outbox, &outbox_key(leaf));
                    self.change_exchange(shelf, &owed.exchange, staged);
                }
                Vec::new()
            }
            Record::Received { .. } => self.apply_received(shelf, staged),
            Record::Search { exchange, rule, found, .. } => {
                self.apply_search(shelf, staged, exchange, rule, found.as_ref())
            }
            Record::Sent { .. } => {
                self.apply_sent(shelf, staged);
                Vec::new()
            }
        }
    }

    pub(super) fn apply_key_set(
        &mut self,
        shelf: &mut impl Shelf,
        node: &NodeId,
        key_set: &str,
        staged: &Staged,
    ) {
        let targets_of = |desk: &Self| {
            let chain =
                if *node == desk.us { desk.own.as_ref() } else { desk.peers.get(node).map(Peer::chain) };
            chain.map(|chain| (chain.current().calendar.clone(), chain.current().targets.clone()))
        };
        let before = targets_of(self);
        self.extend_key_sets(shelf, node, key_set, staged.leaf);
        if before != targets_of(self) {
            self.due_anew.insert(node.clone());
        }
        self.distrust(shelf, staged);
    }

    /// What was sealed under a key that is revoked from before counts no more, also where it came before the revocation:
    /// the record that revokes it becomes part of each exchange it concerns.
    pub(super) fn distrust(&mut self, shelf: &mut impl Shelf, staged: &Staged) {
        let Some((node, key_sets)) = staged.record.key_sets() else { return };
        let revoked = key_set::revocations(key_sets);
        let Some(since) = revoked.iter().map(|revocation| revocation.untrusted_from).min() else { return };
        // The lines of exchanges are read below.
        self.settle(shelf);
        // Some rows of the list at a time: there may be very many.
        for rows in 0..=staged.leaf.0 >> 16 {
            let mut concerned = Vec::new();
            for (_, row) in shelf.scan(Table::Listing, &rows.to_be_bytes()[2..], usize::MAX) {
                let Some(summary) = read::<ExchangeSummary>(Some(row)) else { continue };
                if (summary.peer == *node || *node == self.us)
                    && summary.updated >= since
                    && self
                        .exchange(shelf, &summary.id)
                        .is_some_and(|exchange| exchange.rests_on(node, &revoked))
                {
                    concerned.push(summary.id);
                }
            }
            for id in concerned {
                self.change_exchange(shelf, &id, staged);
            }
        }
    }

    pub(super) fn extend_key_sets(
        &mut self,
        shelf: &mut impl Shelf,
        node: &NodeId,
        key_set: &str,
        leaf: LeafIndex,
    ) {
        if *node == self.us {
            self.extend_own(key_set);
            self.own_row.key_sets.push(leaf);
            shelf.put(Table::Peer, b"", write(&self.own_row));
        } else {
            self.change_peer(node, |peer| {
                if peer.chain.extend(key_set).is_ok() {
                    peer.row.key_sets.push(leaf);
                }
            });
        }
    }

    pub(super) fn extend_own(&mut self, key_set: &str) {
        match &mut self.own {
            Some(own) => drop(own.extend(key_set)),
            None => self.own = KeyChain::parse(key_set).ok(),
        }
    }

    pub(super) fn apply_order(
        &mut self,
        shelf: &mut impl Shelf,
        staged: &Staged,
        order: &Order,
        by: &By,
        key: Option<&IdempotencyKey>,
    ) -> Vec<Effect> {
        match order {
            Order::Act { exchange: id, act, enclosed, .. } => {
                self.change_exchange(shelf, id, staged);
                if let Some(key) = key {
                    note_key(shelf, key, id);
                }
                let Some(exchange) = self.exchange(shelf, id) else { return Vec::new() };
                let Ok(body) = act_body(&exchange, exchange.standing(), act) else { return Vec::new() };
                vec![self.reply(&exchange, body, by.clone(), enclosed.clone())]
            }
            Order::AdmitPeer { node, key_sets, channel } => {
                self.admit(shelf, node, key_sets, channel, staged);
                Vec::new()
            }
            Order::ImportFirearms { digest, .. } => {
                self.own_row.firearms = Some(*digest);
                shelf.put(Table::Peer, b"", write(&self.own_row));
                Vec::new()
            }
            Order::ImportLicences { digest, .. } => {
                self.own_row.licences = Some(*digest);
                shelf.put(Table::Peer, b"", write(&self.own_row));
                Vec::new()
            }
            Order::InstallKeySet { node, key_set } => {
                self.apply_key_set(shelf, node, key_set, staged);
                Vec::new()
            }
            Order::Open { peer, opening } => {
                self.ordered = key.cloned().map(|key| (staged.leaf, key));
                vec![Effect::Send(Box::new(Draft {
                    peer: peer.clone(),
                    exchange: None,
                    irt: None,
                    body: opening.question.body(),
                    handling: opening
                        .handling
                        .clone()
                        .unwrap_or_else(|| default_handling(opening.question.kind())),
                    by: by.clone(),
                    case_ref: opening.case_ref.clone(),
                    enclosed: opening.enclosed.clone(),
                }))]
            }
            Order::RemovePeer { node, .. } => {
                self.change_peer(node, |peer| peer.row.removed = true);
                Vec::new()
            }
            Order::SetRules { node, rules } => {
                self.change_peer(node, |peer| peer.row.rules = rules.clone());
                Vec::new()
            }
        }
    }

    pub(super) fn admit(
        &mut self,
        shelf: &mut impl Shelf,
        node: &NodeId,
        key_sets: &str,
        channel: &Line,
        staged: &Staged,
    ) {
        let Ok(chain) = KeyChain::parse(key_sets) else { return };
        let before = self.peers.remove(node);
        let next_seq = before.as_ref().map_or(1, |peer| peer.row.next_seq);
        // The same roots as before: the same log, and what is still owed. Other roots: another node of that name, with
        // numbers of its own, and nothing is owed to it. Our numbers go on: our log does.
        let same = before.filter(|peer| peer.chain.fingerprint() == chain.fingerprint());
        let fresh = PeerRow {
            added: staged.leaf,
            since: staged.leaf,
            admitted: staged.at,
            removed: false,
            key_sets: Vec::new(),
            rules: Rules::default(),
            next_seq,
            numbers: Numbers::default(),
            refused_unnumbered: false,
            head: TreeHead::empty(),
            head_leaf: None,
            forked: false,
            open: 0,
            denied_day: 0,
            denied: 0,
        };
        let peer = match same {
            Some(peer) => {
                // An older file does not take back newer key sets that we hold.
                let older = chain.current().version < peer.chain.current().version;
                let (added, key_sets) =
                    if older { (peer.row.added, peer.row.key_sets) } else { (staged.leaf, Vec::new()) };
                Peer {
                    row: PeerRow {
                        added,
                        key_sets,
                        since: peer.row.since,
                        numbers: peer.row.numbers,
                        refused_unnumbered: peer.row.refused_unnumbered,
                        head: peer.row.head,
                        head_leaf: peer.row.head_leaf,
                        open: peer.row.open,
                        ..fresh
                    },
                    chain: if older { peer.chain } else { chain },
                    channel: channel.clone(),
                    outbox: peer.outbox,
                    places: peer.places,
                    unrecorded: peer.unrecorded,
                }
            }
            None => {
                for table in [Table::Outbox, Table::Given, Table::Wanted] {
                    for (key, _) in shelf.scan(table, &peer_key(node, &[]), usize::MAX) {
                        shelf.remove(table, &key);
                    }
                }
                Peer {
                    row: fresh,
                    chain,
                    channel: channel.clone(),
                    outbox: BTreeMap::new(),
                    places: HashMap::new(),
                    unrecorded: 0,
                }
            }
        };
        self.peers.insert(node.clone(), peer);
        self.change_peer(node, |_| ());
        self.due_anew.insert(node.clone());
        self.distrust(shelf, staged);
    }

    pub(super) fn apply_sent(&mut self, shelf: &mut impl Shelf, staged: &Staged) {
        let Some(verified) = &staged.message else { return };
        let (message, id, exchange) = (verified.message(), verified.id(), verified.exchange());
        let owed = Owed { id, exchange };
        self.change_peer(&message.aud, |peer| {
            peer.row.next_seq = peer.row.next_seq.max(message.seq + 1);
            peer.outbox.insert(staged.leaf, owed);
            peer.places.insert(id, staged.leaf);
        });
        let row = [id.0.as_bytes().as_slice(), exchange.0.as_bytes()].concat();
        shelf.put(Table::Outbox, &peer_key(&message.aud, &staged.leaf.0.to_be_bytes()), row);
        self.change_exchange(shelf, &exchange, staged);
        for attachment in &message.attachments {
            shelf.put(Table::Given, &peer_key(&message.aud, attachment.digest.as_bytes()), Vec::new());
        }
        if let Body::TraceRequest(request) = &message.body {
            shelf.put(Table::Case, &case_key(&request.trace_case, Some(&exchange)), Vec::new());
        }
        // The opener was ordered just before, in the same round: that order's key names this exchange.
        if message.thr.is_none() {
            let order = staged.leaf.0.checked_sub(1).map(LeafIndex);
            let key = match self.ordered.take().filter(|(leaf, _)| Some(*leaf) == order) {
                Some((_, key)) => Some(key),
                // It had no key, or a replay began between the two.
                None => match order.and_then(|leaf| shelf.record(leaf)).map(|staged| staged.record) {
                    Some(Record::Order { key, .. }) => key,
                    _ => None,
                },
            };
            if let Some(key) = key {
                note_key(shelf, &key, &exchange);
            }
        }
    }

    pub(super) fn apply_received(&mut self, shelf: &mut impl Shelf, staged: &Staged) -> Vec<Effect> {
        let Some(verified) = &staged.message else { return Vec::new() };
        let message = verified.message();
        let id = verified.exchange();
        if message.thr.is_some() {
            self.note_seen(shelf, &message.iss, &verified.id(), staged.leaf);
        }
        if let Some(key) = self.peers.get(&message.iss).map(|peer| peer.sequence_key(message)) {
            shelf.put(Table::Sequence, &key, verified.id().0.as_bytes().to_vec());
        }
        self.change_peer(&message.iss, |peer| peer.row.numbers.came(message.log, message.seq));
        for attachment in &message.attachments {
            let key = peer_key(&message.iss, attachment.digest.as_bytes());
            let wanted = Wanted { exchange: id, attachment: attachment.clone(), is_lost: false };
            shelf.put(Table::Wanted, &key, write(&wanted));
        }
        self.change_exchange(shelf, &id, staged);
        let sought = match message.body.subject() {
            Some(Subject::Licence(presented)) => {
                let (licence, peer) = (&presented.licence_no, &message.iss);
                shelf.put(Table::Asked, &asked_key(licence, peer, staged.leaf), id.0.as_bytes().to_vec());
                let attempts = attempts(shelf, licence, peer) + 1;
                shelf.put(Table::Attempts, &attempts_key(licence, peer), attempts.to_be_bytes().to_vec());
                Sought::Licence(presented.licence_no.clone())
            }
            Some(Subject::Trace(request)) => Sought::Item(Box::new(request.item.clone())),
            // Whether to object is for people to decide; a later message of an exchange asks for no register.
            Some(Subject::Transit(_)) | None => return Vec::new(),
        };
        let Some(exchange) = self.exchange(shelf, &id) else { return Vec::new() };
        match self.rule_for(shelf, &exchange, staged.at) {
            Ok(rule) => vec![Effect::Consult { exchange: id, rule, sought }],
            Err(_) => Vec::new(),
        }
    }

    /// A time has passed: the requesting State's node says so to the other, and nothing else follows.
    pub(super) fn apply_deadline(
        &mut self,
        shelf: &mut impl Shelf,
        staged: &Staged,
        id: &MessageId,
    ) -> Vec<Effect> {
        self.change_exchange(shelf, id, staged);
        let Record::Deadline { due, .. } = &staged.record else { return Vec::new() };
        let Some(exchange) = self.exchange(shelf, id) else { return Vec::new() };
        // Nothing is said any more to a peer that was removed.
        let is_with_peer = self.peer(exchange.peer()).is_some();
        if exchange.side() == Side::Requested || is_full(&exchange) || !is_with_peer {
            return Vec::new();
        }
        let by = By::Auto { rule: "remind-when-overdue".parse().expect("a line") };
        let body = Body::Reminder(Reminder { due: due.at });
        vec![self.reply(&exchange, body, by, Enclosed::default())]
    }

    pub(super) fn apply_query(
        &mut self,
        shelf: &mut impl Shelf,
        staged: &Staged,
        id: &MessageId,
        rule: &Line,
        found: Option<&licence::LicenceRecord>,
        today: jiff::civil::Date,
    ) -> Vec<Effect> {
        let Some(before) = self.exchange(shelf, id) else { return Vec::new() };
        let news = found.and_then(|record| news(&before, record, today));
        drop(before);
        self.change_exchange(shelf, id, staged);
        let Some(exchange) = self.exchange(shelf, id) else { return Vec::new() };
        let Some(presented) = exchange.presented() else { return Vec::new() };
        let by = By::Auto { rule: rule.clone() };
        if exchange.standing().state.is_open() {
            let Some(outcome) = propose(&exchange, found, today) else { return Vec::new() };
            return vec![self.reply(&exchange, answer_body(outcome, None), by, Enclosed::default())];
        }
        let Some(event) = news.filter(|_| !is_full(&exchange)) else { return Vec::new() };
        let notice = LicenceNotice {
            licence_no: presented.licence_no.clone(),
            event: Coded::Known(event),
            effective: today,
            note: None,
        };
        vec![self.reply(&exchange, Body::LicenceNotice(notice), by, Enclosed::default())]
    }

    /// The register of firearms was searched under a rule. What it does not find beyond doubt waits for an officer.
    pub(super) fn apply_search(
        &mut self,
        shelf: &mut impl Shelf,
        staged: &Staged,
        id: &MessageId,
        rule: &Line,
        found: Option<&TraceResponse>,
    ) -> Vec<Effect> {
        self.change_exchange(shelf, id, staged);
        let Some(exchange) = self.exchange(shelf, id) else { return Vec::new() };
        let Some(response) = found.filter(|_| exchange.standing().state.is_open()) else { return Vec::new() };
        let by = By::Auto { rule: rule.clone() };
        vec![self.reply(&exchange, Body::TraceResponse(response.clone()), by, Enclosed::default())]
    }

    /// A message of ours in an exchange under way.
    pub(super) fn reply(&self, exchange: &Exchange, body: Body, by: By, enclosed: Enclosed) -> Effect {
        Effect::Send(Box::new(Draft {
            peer: exchange.peer().clone(),
            exchange: Some(exchange.id()),
            irt: exchange.last_of(exchange.side().other()),
            body,
            enclosed,
            // Whoever gives information sets its conditions (Art. 12(5)): an answer does not take over those of the question.
            handling: match (exchange.side(), exchange.kind()) {
                (Side::Requesting, _) => exchange.opener().message.handling.clone(),
                (Side::Requested, kind) => default_handling(kind),
            },
            by,
            case_ref: exchange.case_ref().cloned(),
        }))
    }

    /// The message of `draft`, ready to be sealed at `now`. Sealed and recorded at once, or its number is taken twice.
    pub fn compose(
        &self,
        shelf: &impl Shelf,
        draft: Draft,
        log: u32,
        now: Timestamp,
        jti: &[u8; 16],
    ) -> Option<Message> {
        let peer = self.peer(&draft.peer)?;
        let exchange = draft.exchange.and_then(|id| self.exchange(shelf, &id));
        let last_of = |side: fn(Side) -> Side| exchange.as_ref().and_then(|e| e.last_of(side(e.side())));
        let theirs = exchange.as_ref().and_then(|e| {
            let last = e.last_of(e.side().other())?;
            e.get(&last)?.message.case.sender.clone()
        });
        Some(Message {
            iss: self.us.clone(),
            aud: draft.peer,
            iat: now,
            accept_until: now.plus(MAX_ACCEPT),
            jti: crate::jws::encode(jti),
            log,
            seq: peer.row.next_seq,
            thr: draft.exchange,
            irt: draft.irt,
            prev: last_of(|side| side),
            saw: last_of(Side::other),
            body: draft.body,
            beyond_us: false,
            handling: match draft.enclosed.parts.is_empty() {
                true => draft.handling,
                false => Handling { personal_data: Coded::Known(PersonalData::Present), ..draft.handling },
            },
            by: draft.by,
            lang: "en".into(),
            case: CaseRefs { sender: draft.case_ref, receiver: theirs },
            attachments: draft.enclosed.attachments,
            parts: draft.enclosed.parts,
        })
    }
}

/// The conditions usual for what is said in an exchange opened by `kind`.
pub(super) fn default_handling(kind: Kind) -> Handling {
    match kind {
        Kind::AuthenticityCheck => Handling::for_licences(LegalBasis::Article10Para5),
        Kind::TraceRequest => Handling::for_traces(),
        Kind::TransitNotification => Handling::for_transit(),
        _ => Handling::for_licences(LegalBasis::Article10Para2a),
    }
}

pub(super) fn answer_body(outcome: Outcome, note: Option<crate::authority::Prose>) -> Body {
    match outcome {
        Outcome::Answer(answer) => {
            Body::LicenceVerificationResponse(LicenceVerificationResponse { answer, note })
        }
        Outcome::Authenticity(result) => Body::AuthenticityResult(AuthenticityResult { result, note }),
        Outcome::Trace(response) => {
            Body::TraceResponse(TraceResponse { note: response.note.clone().or(note), ..response })
        }
        Outcome::Transit(decision) => Body::TransitDecision(decision),
    }
}

pub(super) fn act_body(exchange: &Exchange, standing: &Standing, act: &Act) -> Result<Body, Mistake> {
    Ok(match act.clone() {
        Act::Acknowledge { unit, expected, note } => {
            Body::Acknowledgement(Acknowledgement { unit, expected, note })
        }
        Act::Answer { outcome, note } => answer_body(outcome, note),
        Act::AskClarification { question } => Body::ClarificationRequest(ClarificationRequest { question }),
        Act::AskInformation { questions } => Body::InformationRequest(InformationRequest { questions }),
        Act::Clarify { answer } => Body::Clarification(Clarification { answer }),
        Act::Conclude { outcome } => Body::TraceOutcome(outcome),
        Act::Correct { outcome, reason } => Body::Correction(Correction::of(outcome, reason)),
        Act::Notify { event, effective, note } => Body::LicenceNotice(LicenceNotice {
            licence_no: exchange
                .presented()
                .map(|presented| presented.licence_no.clone())
                .ok_or_else(|| Mistake::Malformed("no licence is asked about here".into()))?,
            event: Coded::Known(event),
            effective,
            note,
        }),
        Act::ReplyToConditions { accepted, note } => Body::ConditionReply(ConditionReply {
            of: standing.decided.ok_or_else(|| Mistake::Forbidden("there are no conditions".into()))?,
            accepted,
            note,
        }),
        Act::Rescind { reason } => Body::TransitDecisionWithdrawal(TransitDecisionWithdrawal { reason }),
        Act::SupplyInformation { answers, item } => {
            Body::InformationSupply(InformationSupply { answers, item })
        }
        Act::Withdraw { reason } => Body::Withdrawal(Withdrawal { reason }),
    })
}

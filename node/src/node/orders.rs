//! Orders of our operators, and what follows from registers and days: what is told to whom without being asked.

use std::sync::Arc;

use liaison_protocol::authority::{By, Line, OfficerId};
use liaison_protocol::entry::{Basis, IdempotencyKey, Record};
use liaison_protocol::exchange::Exchange;
use liaison_protocol::key_set::{Fingerprint, KeyChain};
use liaison_protocol::licence::LicenceNo;
use liaison_protocol::operator::{
    Act, ActRequest, AdmitRequest, InstallRequest, Mistake, OpenRequest, Order, PeerStanding,
};
use liaison_protocol::{attachment, desk};

use super::{Done, Node, Output, Request};
use crate::blobs::Found;
use crate::disk::Disk;
use crate::register::Register;

/// Times that have passed, recorded in one round.
const MOST_PASSED: usize = 256;

impl<D: Disk> Node<D> {
    pub(super) fn order(
        &mut self,
        request: Request,
        who: OfficerId,
        key: Option<IdempotencyKey>,
        out: &mut Vec<Output>,
    ) -> Result<Done, Mistake> {
        if let Some(key) = &key
            && let Some(id) = with_desk!(self, |desk, shelf| desk.created_by(&shelf, key))?
        {
            return Ok(Done::Exchange { id, new: false });
        }
        self.may_record()?;
        let (mut order, officer) = self.order_of(request)?;
        // Whatever is to be sent needs a message key; a renewed key set is the way to get one.
        if matches!(order, Order::Act { .. } | Order::Open { .. }) {
            self.may_sign()?;
        }
        let clock = self.clock;
        with_desk!(self, |desk, shelf| desk.check(&shelf, &order, clock))?;
        self.keep_enclosed(&order)?;
        self.put_persons_apart(&mut order);
        let register = self.basis_of(&order);
        let by = By::Officers { prepared: officer.unwrap_or_else(|| who.clone()), approved: None };
        let record = Record::Order { order: order.clone(), by, key, via: who, register };
        let (_, sealed) = self.record_sealing(record, None);
        Ok(match order {
            Order::Act { exchange, .. } => Done::Exchange { id: exchange, new: true },
            Order::Open { .. } => {
                let unsealed = || Mistake::NotReady("the message could not be sealed".into());
                Done::Exchange { id: sealed.ok_or_else(unsealed)?, new: true }
            }
            Order::AdmitPeer { node, .. } | Order::RemovePeer { node, .. } => {
                out.push(Output::Roster);
                Done::Peer(node)
            }
            Order::SetRules { node, .. } => Done::Peer(node),
            Order::InstallKeySet { .. } => {
                out.push(Output::Roster);
                Done::Ourselves
            }
            Order::ImportFirearms { .. } | Order::ImportLicences { .. } => Done::Imported { notices: 0 },
        })
    }

    /// Whom an order names is not for its record: each person becomes a part, and has a record of its own.
    pub(super) fn put_persons_apart(&mut self, order: &mut Order) {
        self.parts.clear();
        let Some(enclosed) = order.enclosed_mut() else { return };
        for person in std::mem::take(&mut enclosed.persons) {
            let mut salt = [0; attachment::SALT_LEN];
            (self.random)(&mut salt);
            let (text, digest) = attachment::write_part(person, &salt);
            enclosed.parts.push(digest);
            self.parts.insert(digest, text);
        }
    }

    /// What goes with a message must be here, as it is described, before the message names it; and stays from then on.
    pub(super) fn keep_enclosed(&self, order: &Order) -> Result<(), Mistake> {
        let enclosed = match order {
            Order::Act { enclosed, .. } => enclosed,
            Order::Open { opening, .. } => &opening.enclosed,
            _ => return Ok(()),
        };
        let unreadable = |error: crate::blobs::BlobError| Mistake::NotReady(error.to_string());
        for (place, attachment) in enclosed.attachments.iter().enumerate() {
            let malformed =
                |why: &str| Err(Mistake::Malformed(format!("enclosed.attachments.{place}: {why}")));
            if !attachment::is_media_type(attachment.media_type.as_str()) {
                return malformed("media_type: a type and a subtype, such as image/jpeg");
            }
            match self.blobs.find(attachment).map_err(unreadable)? {
                Found::Kept | Found::Loose => {}
                Found::Absent => {
                    return malformed(
                        "this node does not hold it: put it in first, and give it as the node returned it",
                    );
                }
                Found::Differs => {
                    return malformed(
                        "digest, salt and length are not those of one attachment: give it as the node returned it",
                    );
                }
            }
        }
        for attachment in &enclosed.attachments {
            self.blobs.keep(&attachment.digest).map_err(unreadable)?;
        }
        Ok(())
    }

    /// What our list says of the licence when an officer speaks of it: later changes are measured against that.
    pub(super) fn basis_of(&mut self, order: &Order) -> Option<Basis> {
        let Order::Act {
            exchange, act: Act::Answer { .. } | Act::Correct { .. } | Act::Notify { .. }, ..
        } = order
        else {
            return None;
        };
        let exchange = with_desk!(self, |desk, shelf| desk.exchange(&shelf, exchange))?;
        let found = self.licences.find(&exchange.presented()?.licence_no)?;
        Some(Basis::of(found, self.clock.date()))
    }

    pub(super) fn order_of(&mut self, request: Request) -> Result<(Order, Option<OfficerId>), Mistake> {
        Ok(match request {
            Request::Act(exchange, ActRequest { act, enclosed, officer }) => {
                let found = with_desk!(self, |desk, shelf| desk.exchange(&shelf, &exchange));
                let peer = found.map(|exchange| exchange.peer().clone()).ok_or_else(|| {
                    Mistake::Unknown(format!("no exchange {exchange}: see the list of exchanges"))
                })?;
                (Order::Act { exchange, peer, act, enclosed }, officer)
            }
            Request::Admit(AdmitRequest { key_sets, fingerprint, channel, officer }) => {
                let chain = KeyChain::parse(&key_sets).map_err(|flaw| {
                    Mistake::Malformed(format!(
                        "key_sets: {flaw}. Ask the other authority for its key set file again"
                    ))
                })?;
                let given: Fingerprint = fingerprint
                    .parse()
                    .map_err(|error| Mistake::Malformed(format!("fingerprint: {error}")))?;
                if given != chain.fingerprint() {
                    return Err(Mistake::Forbidden(
                        "the fingerprint is not that of the key set file. Do not admit this peer: compare again over another channel, for one of the two may be forged".into(),
                    ));
                }
                (Order::AdmitPeer { node: chain.current().node.clone(), key_sets, channel }, officer)
            }
            Request::Install(InstallRequest { key_set }) => (
                Order::InstallKeySet { node: self.desk.us().clone(), key_set: key_set.trim().to_owned() },
                None,
            ),
            Request::Open(OpenRequest { peer, opening, officer }) => {
                (Order::Open { peer: self.desk.find_peer(&peer)?.clone(), opening }, officer)
            }
            Request::Remove(peer, reason) => {
                (Order::RemovePeer { node: self.desk.find_peer(&peer)?.clone(), reason }, None)
            }
            Request::SetRules(peer, rules) => {
                (Order::SetRules { node: self.desk.find_peer(&peer)?.clone(), rules }, None)
            }
        })
    }

    /// Put a new register in force; if it is of licences, tell those who asked about one that has changed.
    pub(super) fn import(&mut self, register: Register, who: OfficerId) -> Result<Done, Mistake> {
        self.may_sign()?;
        let empty = || Mistake::Malformed("the list is empty".into());
        let digest = register.digest().ok_or_else(empty)?;
        let count = register.len() as u64;
        let order = match register {
            Register::Firearms(_) => Order::ImportFirearms { digest, count },
            Register::Licences(_) => Order::ImportLicences { digest, count },
        };
        let clock = self.clock;
        with_desk!(self, |desk, shelf| desk.check(&shelf, &order, clock))?;
        let by = By::Officers { prepared: who.clone(), approved: None };
        self.record(Record::Order { order, by, key: None, via: who, register: None }, None);
        match register {
            Register::Firearms(firearms) => {
                self.firearms = firearms;
                Ok(Done::Imported { notices: 0 })
            }
            Register::Licences(list) => {
                let today = self.clock.date();
                let changed = list.changed(&self.licences, self.day.min(today), today);
                self.licences = list;
                Ok(Done::Imported { notices: self.tell_changes(changed) })
            }
        }
    }

    /// Record what has passed without what was owed. The reminder that goes out with it says so; nothing else follows.
    pub(super) fn note_passed(&mut self) {
        if self.halted.is_some() {
            return;
        }
        let time = self.clock;
        for record in with_desk!(self, |desk, shelf| desk.passed(&mut shelf, time, MOST_PASSED)) {
            self.record(record, None);
        }
    }

    /// Tell those who asked what has become of these licences since. A round is atomic: with the import or the day that
    /// changed them goes the news.
    pub(super) fn tell_changes(&mut self, changed: Vec<LicenceNo>) -> u64 {
        let rule: Line = "tell-changes-to-those-who-asked".parse().expect("a line");
        let on = self.clock.date();
        let mut told = 0;
        for licence_no in changed {
            let Some(found) = self.licences.find(&licence_no).cloned() else { continue };
            for exchange in with_desk!(self, |desk, shelf| desk.asked_about(&shelf, &licence_no)) {
                let held = with_desk!(self, |desk, shelf| desk.exchange(&shelf, &exchange));
                let is_news = |held: &&Arc<Exchange>| {
                    held.opener().message.is_understood() && desk::news(held, &found, on).is_some()
                };
                let Some(held) = held.as_ref().filter(is_news) else { continue };
                let Some(peer) = self.desk.peer(held.peer()) else { continue };
                if peer.standing(self.clock) == PeerStanding::Active {
                    let before = self.log.staged();
                    self.record(
                        Record::Query { exchange, rule: rule.clone(), found: Some(found.clone()), on },
                        None,
                    );
                    // The query, and the notice if there was room for it.
                    told += u64::from(self.log.staged() > before + 1);
                } else {
                    self.all_told = false;
                    self.store.forget_told();
                }
            }
        }
        told
    }

    /// Licences expire and come into force by the day, and so do transport identities.
    pub(super) fn new_day(&mut self, out: &mut Vec<Output>) {
        let today = self.clock.date();
        // A clock that was ahead for a while must not make us miss the days it takes to come there again.
        self.day = self.day.min(today);
        if today > self.day && self.may_sign().is_ok() {
            let changed = self.licences.changed(&self.licences, self.day, today);
            self.day = today;
            self.tell_changes(changed);
            // Whoever was passed over is told after the next start, if he is in good standing by then.
            if self.all_told {
                self.store.note_told(today);
            }
            out.push(Output::Roster);
        }
    }
}

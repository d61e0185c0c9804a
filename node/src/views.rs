//! What the node shows of itself: from the desk, the lanes and the log to the types of the API.

use std::collections::BTreeMap;

use liaison_protocol::attachment::Attachment;
use liaison_protocol::authority::{Line, NodeId, StateCode, Timestamp};
use liaison_protocol::case::{self, Hop};
use liaison_protocol::merkle::{Hash, LeafIndex, consistency_proof, inclusion_proof};
use liaison_protocol::message::MessageId;
use liaison_protocol::note::TlogProof;
use liaison_protocol::operator::{
    CaseView, CheckpointView, ConsistencyView, ExchangeView, HopView, InclusionView, Mistake, NodeView,
    PeerView,
};

use crate::disk::Disk;
use crate::node::Node;

impl<D: Disk> Node<D> {
    /// The node and the State it speaks for.
    pub fn view(&self) -> Result<NodeView, Mistake> {
        let own = self.desk().own().ok_or_else(|| Mistake::NotReady("the log has no key set".into()))?;
        let set = own.current();
        Ok(NodeView {
            node: set.node.clone(),
            state: set.state.clone(),
            authority: set.authority.clone(),
            functions: set.functions.clone(),
            fingerprint: own.fingerprint().to_string(),
            key_set_version: set.version,
            key_set_expires: set.expires,
            key_sets: own.file(),
            listening: (self.listening)(),
            log_size: self.log().checkpoint().head().size,
            firearms: self.firearms().digest().map(|_| self.firearms().len() as u64),
            licences: self.licences().digest().map(|_| self.licences().len() as u64),
            disk_free: None,
            version: env!("CARGO_PKG_VERSION").into(),
        })
    }

    /// How it stands with the peer an operator names.
    pub fn peer_view(&self, name: &str, now: Timestamp) -> Result<PeerView, Mistake> {
        let node = self.desk().find_peer(name)?;
        let peer = self.desk().peer(node).ok_or_else(|| Mistake::Unknown(format!("no peer {name}")))?;
        let set = peer.chain().current();
        let lane = self.lane(node);
        Ok(PeerView {
            node: node.clone(),
            state: set.state.clone(),
            authority: set.authority.clone(),
            functions: set.functions.clone(),
            contact: set.contact.clone(),
            fingerprint: peer.chain().fingerprint().to_string(),
            key_set_version: set.version,
            key_set_expires: set.expires,
            addresses: set.addrs.clone(),
            standing: peer.standing(now),
            admitted: peer.admitted(),
            channel: peer.channel().clone(),
            rules: peer.rules().clone(),
            connected: lane.is_some_and(|lane| lane.connected),
            undelivered: peer.outbox().len() as u64,
            open_exchanges: peer.open_exchanges(),
            missing: peer.missing().to_vec(),
            head_seen: Some(peer.head().size).filter(|size| *size > 0),
            head_cosigned: lane.map(|lane| lane.cosigned).filter(|size| *size > 0),
            trouble: lane.and_then(|lane| {
                lane.trouble.clone().or_else(|| {
                    let (digest, why) = lane.not_fetched.first_key_value()?;
                    Some(format!("attachment {digest}: {why}"))
                })
            }),
        })
    }

    /// How it stands with every peer.
    pub fn peer_views(&self, now: Timestamp) -> Result<Vec<PeerView>, Mistake> {
        self.desk().peers().map(|(node, _)| self.peer_view(node.as_str(), now)).collect()
    }

    /// An exchange with everything that happened in it.
    pub fn exchange_view(&mut self, id: &MessageId, now: Timestamp) -> Result<ExchangeView, Mistake> {
        let found = self.exchange(id, now);
        let at_hand =
            found.ok_or_else(|| Mistake::Unknown(format!("no exchange {id}: see the list of exchanges")))?;
        let exchange = at_hand.exchange;
        let standing = exchange.standing();
        let mut timeline = exchange.timeline();
        for item in &mut timeline {
            let is_theirs = item.from != exchange.side();
            for view in &mut item.attachments {
                view.here = self.blobs().holds(&view.attachment);
                if !view.here && is_theirs {
                    view.trouble = self.why_not_here(exchange.peer(), &view.attachment.digest);
                }
            }
        }
        Ok(ExchangeView {
            summary: exchange.summary(at_hand.due),
            acts: standing.acts(exchange.kind(), exchange.side()).iter().map(ToString::to_string).collect(),
            candidates: at_hand.candidates,
            result: standing.outcome.clone(),
            notice: standing.notice.clone(),
            why_officer: at_hand.why_officer.map(str::to_owned),
            proposal: at_hand.proposal,
            timeline,
        })
    }

    /// Why an attachment of `peer`'s is not here, if something is known of it.
    fn why_not_here(&mut self, peer: &NodeId, digest: &Hash) -> Option<String> {
        if self.desk().peer(peer).is_none() {
            return Some("its node was removed as a peer: nothing is asked of it".into());
        }
        let lane = self.lane(peer);
        let why = lane.and_then(|lane| lane.not_fetched.get(digest)).cloned();
        match self.awaited(peer, digest) {
            None => Some("it is not asked for any more: ask the other authority to send it anew".into()),
            Some(wanted) if wanted.is_lost => {
                why.or_else(|| Some("the other node does not hold it any more".into()))
            }
            Some(_) => why,
        }
    }

    /// An attachment of a message in an exchange, once it is here.
    pub fn attachment_of(&mut self, exchange: &str, digest: &str) -> Result<Attachment, Mistake> {
        let unknown = || {
            Mistake::Unknown(format!(
                "no message of the exchange {exchange} names an attachment {digest}: see its timeline"
            ))
        };
        let id = self.find_exchange(exchange)?;
        let digest: Hash = digest.parse().map_err(|_| unknown())?;
        let view = self.exchange_view(&id, Timestamp(0))?;
        let named: Vec<_> = view.timeline.into_iter().flat_map(|item| item.attachments).collect();
        let found = named.iter().filter(|view| view.attachment.digest == digest);
        match found.max_by_key(|view| view.here) {
            Some(view) if view.here => Ok(view.attachment.clone()),
            Some(view) => Err(Mistake::Forbidden(format!(
                "pending: its content is not here yet; {}",
                view.trouble.as_deref().unwrap_or("it is fetched when the other node can be reached")
            ))),
            None => Err(unknown()),
        }
    }

    /// One of our trace cases.
    pub fn case_view(&mut self, trace_case: &Line) -> Result<CaseView, Mistake> {
        let hops = self.hops(Some(trace_case));
        self.state().and_then(|us| case_view(&us, &hops)).ok_or_else(|| {
            Mistake::Unknown(format!(
                "no trace case {trace_case}: a case begins with its first trace request"
            ))
        })
    }

    /// All our trace cases, by name.
    pub fn case_views(&mut self) -> Vec<CaseView> {
        let mut cases: BTreeMap<Line, Vec<Hop>> = BTreeMap::new();
        for hop in self.hops(None) {
            if let Some(name) = hop.request().map(|request| request.trace_case.clone()) {
                cases.entry(name).or_default().push(hop);
            }
        }
        let Some(us) = self.state() else { return Vec::new() };
        cases.values().filter_map(|hops| case_view(&us, hops)).collect()
    }

    /// The head of our log, signed.
    pub fn checkpoint_view(&self) -> CheckpointView {
        CheckpointView {
            checkpoint: self.log().checkpoint().as_str().to_owned(),
            verifier_key: self.keys().log_verifier(&self.log().place().origin),
        }
    }

    /// An inclusion proof.
    pub fn inclusion_view(&self, leaf: u64) -> Result<InclusionView, Mistake> {
        let head = self.log().checkpoint();
        let size = head.head().size;
        if leaf >= size {
            return Err(Mistake::Unknown(format!("the log has {size} entries, numbered from 0")));
        }
        let leaf = LeafIndex(leaf);
        let proof = inclusion_proof(self.log(), leaf, size).map_err(unreadable)?;
        let proof = TlogProof { index: leaf, proof, checkpoint: head.as_str().to_owned(), extra: None };
        Ok(InclusionView {
            entry: self.log().reader().entry(leaf).map_err(unreadable)?,
            proof: proof.render(),
        })
    }

    /// A consistency proof between two sizes of our log.
    pub fn consistency_view(&self, from: u64, to: u64) -> Result<ConsistencyView, Mistake> {
        let size = self.log().checkpoint().head().size;
        if from == 0 || from > to || to > size {
            return Err(Mistake::Malformed(format!(
                "from and to: 1 <= from <= to <= {size}, the size of the log"
            )));
        }
        Ok(ConsistencyView { from, to, proof: consistency_proof(self.log(), from, to).map_err(unreadable)? })
    }
}

fn case_view(us: &StateCode, hops: &[Hop]) -> Option<CaseView> {
    // The item as it was found, not as a register had it that was asked later.
    let request = hops.iter().filter_map(Hop::request).min_by_key(|request| request.hop)?;
    let finding = case::find(us, hops);
    let mut views: Vec<HopView> = hops
        .iter()
        .map(|hop| HopView {
            hop: hop.number(),
            asked: hop.state.clone(),
            exchange: hop.exchange.summary(hop.due),
        })
        .collect();
    views.sort_by_key(|view| (view.hop, view.exchange.leaf));
    Some(CaseView {
        trace_case: request.trace_case.clone(),
        item: request.item.title(),
        progress: finding.progress,
        why: finding.why,
        diversion: finding.diversion,
        next: finding.next,
        time_to_recovery_days: case::time_to_recovery(hops),
        hops: views,
    })
}

fn unreadable(error: crate::log::LogError) -> Mistake {
    Mistake::NotReady(error.to_string())
}

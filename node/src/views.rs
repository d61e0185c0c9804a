//! What the node shows of itself: from the desk, the lanes and the log to the types of the API.

use liaison_protocol::authority::Timestamp;
use liaison_protocol::merkle::{LeafIndex, consistency_proof, inclusion_proof};
use liaison_protocol::message::MessageId;
use liaison_protocol::note::TlogProof;
use liaison_protocol::operator::{
    CheckpointView, ConsistencyView, ExchangeView, InclusionView, Mistake, NodeView, PeerView,
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
            listening: self.listening.clone(),
            log_size: self.log().checkpoint().head().size,
            licences: self.licences().digest().map(|_| self.licences().len() as u64),
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
            standing: peer.standing(now),
            admitted: peer.admitted(),
            channel: peer.channel().clone(),
            rules: peer.rules().clone(),
            connected: lane.is_some_and(|lane| lane.connected),
            undelivered: peer.outbox().len() as u64,
            open_exchanges: peer.open_exchanges(),
            head_seen: Some(peer.head().size).filter(|size| *size > 0),
            head_cosigned: lane.map(|lane| lane.cosigned).filter(|size| *size > 0),
            trouble: lane.and_then(|lane| lane.trouble.clone()),
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
        Ok(ExchangeView {
            summary: exchange.summary(),
            presented: exchange.presented().clone(),
            acts: standing.acts(exchange.side()).iter().map(ToString::to_string).collect(),
            result: standing.outcome,
            notice: standing.notice,
            why_officer: at_hand.why_officer.map(str::to_owned),
            proposal: at_hand.proposal,
            timeline: exchange.timeline(),
        })
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

fn unreadable(error: crate::log::LogError) -> Mistake {
    Mistake::NotReady(error.to_string())
}

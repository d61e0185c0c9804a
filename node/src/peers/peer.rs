//! An admitted peer, as the task knows it: its identities and addresses, and what is under way with it.

use liaison_protocol::authority::NodeId;
use libp2p::request_response::{InboundRequestId, OutboundRequestId};
use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId};

use super::address::Place;
use super::frames::Kind;
use super::told::Failure;

/// An admitted peer.
#[derive(Default)]
pub(super) struct Peer {
    /// Its identities; the one that answered last is first.
    pub(super) ids: Vec<PeerId>,
    pub(super) addrs: Vec<Multiaddr>,
    /// Where it last connected to us from. Where we dial it says nothing of that: its way out may be another.
    pub(super) came_from: Option<Place>,
    pub(super) mail: Way,
    pub(super) blob: Way,
}

impl Peer {
    pub(super) fn way(&mut self, kind: Kind) -> &mut Way {
        match kind {
            Kind::Blob => &mut self.blob,
            Kind::Mail => &mut self.mail,
        }
    }

    /// Mail first.
    pub(super) fn ways(&mut self) -> [(Kind, &mut Way); 2] {
        [(Kind::Mail, &mut self.mail), (Kind::Blob, &mut self.blob)]
    }
}

/// What is under way with a peer, of one kind.
#[derive(Default)]
pub(super) struct Way {
    pub(super) outgoing: Option<Outgoing>,
    /// Its request that waits for our response.
    pub(super) arrived: Option<InboundRequestId>,
}

/// Our frame on its way to a peer.
pub(super) enum Outgoing {
    /// There is no connection yet.
    Dialling {
        frame: Vec<u8>,
        dial: ConnectionId,
        /// Addresses that have not failed.
        untried: Vec<Multiaddr>,
        /// What to say if all of them fail.
        why: Failure,
    },
    /// It was given to a connection.
    Sent {
        request: OutboundRequestId,
        /// A connection that ended meanwhile without a word from the peer.
        ended_unheard: Option<ConnectionId>,
    },
}

impl Outgoing {
    pub(super) fn sent(request: OutboundRequestId) -> Self {
        Outgoing::Sent { request, ended_unheard: None }
    }
}

/// A connection with an admitted peer.
pub(super) struct Link {
    pub(super) node: NodeId,
    pub(super) id: PeerId,
    /// Whether the peer has sent a request or a response on it.
    pub(super) heard: bool,
}

/// Connections with one node: one each way, when both dial at once, and one that nobody knows is dead.
pub(super) const MAX_LINKS: usize = 3;

//! Connections with admitted peers: as they come, and as they end.

use libp2p::PeerId;
use libp2p::core::ConnectedPoint;
use libp2p::swarm::ConnectionId;

use super::address::Place;
use super::peer::{Link, MAX_LINKS, Outgoing, Peer};
use super::room::Room;
use super::told::Event;

impl<E: From<Event>> Room<E> {
    pub(super) fn on_connected(&mut self, id: PeerId, connection: ConnectionId, endpoint: &ConnectedPoint) {
        // The roster may have changed since the handshake ended; then this connection is already being cut.
        let Some(node) = self.owners.get(&id).cloned() else { return };
        let peer = self.roster.get_mut(&node).expect("every owner is on the roster");
        let place = peer.ids.iter().position(|other| *other == id).expect("an owner lists its identity");
        peer.ids.swap(0, place);
        // Ours or theirs: a frame takes the first connection there is.
        for (kind, way) in peer.ways() {
            way.outgoing = way.outgoing.take().map(|outgoing| match outgoing {
                Outgoing::Dialling { frame, .. } => {
                    Outgoing::sent(self.swarm.behaviour_mut().of(kind).send_request(&id, frame))
                }
                sent => sent,
            });
        }

        if let ConnectedPoint::Listener { send_back_addr, .. } = endpoint
            && let from @ Some(_) = Place::of(send_back_addr)
            && from != peer.came_from
        {
            peer.came_from = from;
            self.say_where_peers_are();
        }

        let elders: Vec<ConnectionId> =
            self.links.iter().filter(|(_, link)| link.node == node).map(|(elder, _)| *elder).collect();
        self.links.insert(connection, Link { node: node.clone(), id, heard: false });
        if elders.is_empty() {
            self.news.push_back(Event::Connected { node });
        } else if elders.len() >= MAX_LINKS {
            // What a power cut or a forgetful firewall left behind must not keep a peer out.
            self.cut(elders[0]);
        }
    }

    /// Who comes from where a peer is found, or was, is no stranger.
    pub(super) fn say_where_peers_are(&self) {
        let places =
            |peer: &Peer| peer.addrs.iter().filter_map(Place::of).chain(peer.came_from).collect::<Vec<_>>();
        self.shared.set_peers_places(self.roster.values().flat_map(places).collect());
    }

    /// End a connection now.
    pub(super) fn cut(&mut self, connection: ConnectionId) {
        self.swarm.close_connection(connection);
        self.unlink(connection);
    }

    pub(super) fn unlink(&mut self, connection: ConnectionId) {
        let Some(Link { node, heard, .. }) = self.links.remove(&connection) else { return };
        let ways = self.roster.get_mut(&node).filter(|_| !heard).map(Peer::ways);
        for (_, way) in ways.into_iter().flatten() {
            if let Some(Outgoing::Sent { ended_unheard, .. }) = &mut way.outgoing {
                *ended_unheard = Some(connection);
            }
        }
        if self.links.values().all(|link| link.node != node) {
            self.news.push_back(Event::Disconnected { node });
        }
    }
}

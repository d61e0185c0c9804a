//! Who is admitted: the roster, put in force at once, and whose an identity is.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use liaison_protocol::authority::NodeId;
use libp2p::PeerId;

use super::address::parse_address;
use super::handle::PeerAddress;
use super::identity::parse_peer_id;
use super::peer::Peer;
use super::room::Room;
use super::told::{Event, Failure};

impl<E: From<Event>> Room<E> {
    pub(super) fn admit(&mut self, roster: Vec<PeerAddress>) {
        let mut claims = Vec::new();
        let mut admitted: BTreeMap<NodeId, Peer> = BTreeMap::new();
        for PeerAddress { node, peer_ids, addrs } in roster {
            let ids: Vec<PeerId> = known(&node, &peer_ids, parse_peer_id);
            claims.extend(ids.into_iter().map(|id| (id, node.clone())));
            let addrs = known(&node, &addrs, parse_address);
            admitted.entry(node).or_default().addrs.extend(addrs);
        }
        // Key sets are written by others: naming somebody else's identity must not take its connections.
        let (kept, new): (Vec<_>, Vec<_>) =
            claims.into_iter().partition(|(id, node)| self.owners.get(id) == Some(node));
        let mut owners: HashMap<PeerId, NodeId> = HashMap::new();
        for (id, node) in kept.into_iter().chain(new) {
            match owners.get(&id) {
                None => {
                    owners.insert(id, node.clone());
                    admitted.entry(node).or_default().ids.push(id);
                }
                Some(owner) if *owner == node => {}
                Some(owner) => tracing::warn!(%id, peer = %node, %owner, "two nodes claim one identity"),
            }
        }
        // Cut first: an identity that changed hands starts afresh.
        let doors = &mut self.swarm.behaviour_mut().admitted;
        for (id, owner) in &self.owners {
            if owners.get(id) != Some(owner) {
                doors.disallow_peer(*id);
            }
        }
        for id in owners.keys() {
            doors.allow_peer(*id);
        }
        self.owners = owners;

        for (node, mut before) in std::mem::replace(&mut self.roster, admitted) {
            match self.roster.get_mut(&node) {
                Some(peer) => {
                    (peer.mail, peer.blob, peer.came_from) = (before.mail, before.blob, before.came_from);
                }
                None => {
                    for (kind, _) in before.ways().into_iter().filter(|(_, way)| way.outgoing.is_some()) {
                        self.tell(kind, Event::Failed { to: node.clone(), why: Failure::NoSuchPeer });
                    }
                }
            }
        }
        self.say_where_peers_are();
    }
}

/// What can be used of what a key set lists, up to [`MAX_LISTED`]. A slip of another State's is no reason to
/// stop, only to say so.
fn known<T, F: fmt::Display>(
    node: &NodeId,
    texts: &[String],
    parse: impl Fn(&str) -> Result<T, F>,
) -> Vec<T> {
    if texts.len() > MAX_LISTED {
        tracing::warn!(peer = %node, "only the first {MAX_LISTED} of {} are used", texts.len());
    }
    let parsed = texts.iter().take(MAX_LISTED).map(|text| parse(text));
    parsed
        .filter_map(|result| result.map_err(|flaw| tracing::warn!(peer = %node, "passed over: {flaw}")).ok())
        .collect()
}

/// Identities, and addresses, of one node.
const MAX_LISTED: usize = 8;

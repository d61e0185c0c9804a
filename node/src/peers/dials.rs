//! Dialling a peer: which of its addresses and identities to try, and whom to blame.

use std::io;

use liaison_protocol::authority::NodeId;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError};
use libp2p::{Multiaddr, PeerId, Swarm, TransportError};
use tokio::sync::oneshot;

use super::address::parse_address;
use super::peer::{Outgoing, Way};
use super::room::Room;
use super::swarm::Protocols;
use super::told::{Event, Failure, reason};

impl<E: From<Event>> Room<E> {
    pub(super) fn try_address(&mut self, node: &NodeId, address: &str) -> Result<ConnectionId, Failure> {
        let peer = self.roster.get(node).ok_or(Failure::NoSuchPeer)?;
        let id = *peer.ids.first().ok_or(Failure::NoAddress)?;
        let address = parse_address(address).map_err(|flaw| Failure::Unreachable(flaw.to_string()))?;
        dial(&mut self.swarm, id, &[address])
    }

    /// The outcome of a dial for its own sake. Another identity of the same node is as good.
    fn on_try_failed(
        &mut self,
        node: &NodeId,
        error: DialError,
        outcome: oneshot::Sender<Result<(), Failure>>,
    ) {
        let found = match &error {
            DialError::WrongPeerId { obtained, .. } => Some(*obtained),
            _ => None,
        };
        let is_its_own = found.is_some_and(|found| self.owners.get(&found) == Some(node));
        let blame = self.blame(error).0;
        let _ = outcome.send(if is_its_own { Ok(()) } else { Err(blame) });
    }

    /// What to say of a dial that failed, and which of its addresses did.
    fn blame(&self, error: DialError) -> (Failure, Option<Vec<Multiaddr>>) {
        match error {
            DialError::WrongPeerId { obtained: found, address } => {
                let address = bare(address);
                let blame = Failure::WrongIdentity { address: address.to_string(), found: found.to_string() };
                (blame, Some(vec![address]))
            }
            DialError::LocalPeerId { address } => {
                let address = bare(address);
                let found = self.swarm.local_peer_id().to_string();
                (Failure::WrongIdentity { address: address.to_string(), found }, Some(vec![address]))
            }
            DialError::Transport(errors) => {
                let errors: Vec<(Multiaddr, String)> =
                    errors.into_iter().map(|(address, error)| (bare(address), blame_of(&error))).collect();
                let words = errors.iter().map(|(address, why)| format!("{address}: {why}"));
                let blame = Failure::Unreachable(words.collect::<Vec<_>>().join("; "));
                (blame, Some(errors.into_iter().map(|(address, _)| address).collect()))
            }
            other => (Failure::Unreachable(reason(&other)), None),
        }
    }

    pub(super) fn on_dial_failed(&mut self, failed: ConnectionId, error: DialError) {
        if let Some((node, outcome)) = self.tries.remove(&failed) {
            return self.on_try_failed(&node, error, outcome);
        }
        let waits =
            |way: &Way| matches!(&way.outgoing, Some(Outgoing::Dialling { dial, .. }) if *dial == failed);
        let waiting = self.roster.iter_mut().find_map(|(node, peer)| {
            let kind = peer.ways().into_iter().find(|(_, way)| waits(way))?.0;
            Some((node.clone(), kind, peer))
        });
        // Nobody waits for it: the peer has connected meanwhile, or is gone.
        let Some((to, kind, peer)) = waiting else { return };
        let Some(Outgoing::Dialling { frame, mut untried, why, .. }) = peer.way(kind).outgoing.take() else {
            return;
        };

        let found = match &error {
            DialError::WrongPeerId { obtained, .. } => Some(*obtained),
            _ => None,
        };
        let (blame, tried) = self.blame(error);
        let peer = self.roster.get_mut(&to).expect("it waits");
        match &tried {
            Some(tried) => untried.retain(|other| !tried.contains(other)),
            None => untried.clear(),
        }
        // Another identity of the same node is as good.
        let next = found.filter(|found| peer.ids.contains(found)).zip(tried);
        // Somebody else at the door is worth more words than a door that stays shut.
        let why = if matches!(why, Failure::WrongIdentity { .. }) { why } else { blame };
        let first = peer.ids.first().copied();
        let next = next.or_else(|| first.filter(|_| !untried.is_empty()).map(|id| (id, untried.clone())));
        let outcome = match next {
            Some((id, addrs)) => dial(&mut self.swarm, id, &addrs).map_err(|_| why.clone()),
            None => Err(why.clone()),
        };
        match outcome {
            Ok(dial) => peer.way(kind).outgoing = Some(Outgoing::Dialling { frame, dial, untried, why }),
            Err(why) => self.tell(kind, Event::Failed { to, why }),
        }
    }
}

/// Dial addresses at once; the first that answers must be `id`.
pub(super) fn dial(
    swarm: &mut Swarm<Protocols>,
    id: PeerId,
    addrs: &[Multiaddr],
) -> Result<ConnectionId, Failure> {
    if addrs.is_empty() {
        return Err(Failure::NoAddress);
    }
    let opts = DialOpts::peer_id(id)
        // Whether to dial is ours to decide: see `Room::send`.
        .condition(PeerCondition::Always)
        .addresses(addrs.to_vec())
        // Dialling from the port we listen at serves to get through address translators, and makes two
        // nodes that dial each other at once, or again soon, collide.
        .allocate_new_port()
        .build();
    let dial = opts.connection_id();
    match swarm.dial(opts) {
        Ok(()) => Ok(dial),
        // libp2p leaves out what we listen at ourselves.
        Err(DialError::NoAddresses) => Err(Failure::Unreachable("its address is one of our own".into())),
        Err(error) => Err(Failure::Unreachable(reason(&error))),
    }
}

/// The address without the identity that libp2p appends when it dials.
fn bare(mut address: Multiaddr) -> Multiaddr {
    if matches!(address.iter().last(), Some(Protocol::P2p(_))) {
        address.pop();
    }
    address
}

fn blame_of(error: &TransportError<io::Error>) -> String {
    match error {
        TransportError::MultiaddrNotSupported(_) => "no way to dial this kind of address".into(),
        TransportError::Other(error) => reason(error),
    }
}

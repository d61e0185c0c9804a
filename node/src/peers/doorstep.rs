//! The doorstep: how many handshakes may be under way before anybody knows whose they are.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr};
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, ToSwarm, dummy};
use libp2p::{Multiaddr, PeerId};

/// Handshakes under way, where each comes from, and whether over QUIC. Nobody knows yet who they are: without a limit of
/// its own, one machine could hold all the places there are.
#[derive(Default)]
pub(super) struct Doorstep(HashMap<ConnectionId, (IpAddr, bool)>);

/// So many handshakes are under way from one place, or over QUIC, already.
#[derive(Debug, thiserror::Error)]
#[error("too many handshakes from this address, or over QUIC, are under way already")]
struct Crowded;

impl NetworkBehaviour for Doorstep {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: &Multiaddr,
        from: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        let Some(place) = place_of(from) else { return Ok(()) };
        let is_quic = from.iter().any(|part| matches!(part, Protocol::Udp(_)));
        let from_there = self.0.values().filter(|(other, _)| *other == place).count();
        let over_quic = self.0.values().filter(|(_, is_quic)| *is_quic).count();
        if from_there >= MAX_PENDING_FROM_ONE || (is_quic && over_quic >= MAX_PENDING_QUIC) {
            return Err(ConnectionDenied::new(Crowded));
        }
        self.0.insert(connection, (place, is_quic));
        Ok(())
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<dummy::ConnectionHandler, ConnectionDenied> {
        self.0.remove(&connection);
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<dummy::ConnectionHandler, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::ListenFailure(failure) = event {
            self.0.remove(&failure.connection_id);
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: Infallible) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, Infallible>> {
        Poll::Pending
    }
}

/// The address a connection comes from; of IPv6 the network, for a machine has as many addresses in it as it likes.
fn place_of(from: &Multiaddr) -> Option<IpAddr> {
    match from.iter().next()? {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into()),
        _ => None,
    }
}

/// Handshakes under way with who knows whom.
pub(super) const MAX_PENDING_INCOMING: u32 = 128;

/// Of these, from one address: more than a State has nodes.
pub(super) const MAX_PENDING_FROM_ONE: usize = 8;

/// Of these, over QUIC, whose senders may name any address: TCP keeps its places.
const MAX_PENDING_QUIC: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_forges_addresses_over_quic_leaves_room_for_tcp() {
        let mut doorstep = Doorstep::default();
        let here: Multiaddr = "/ip4/192.0.2.1/tcp/4710".parse().expect("an address");
        let mut comes = |number: usize, from: String| {
            let connection = ConnectionId::new_unchecked(number);
            let from = from.parse().expect("an address");
            doorstep.handle_pending_inbound_connection(connection, &here, &from).is_ok()
        };
        for number in 0..2 * MAX_PENDING_QUIC {
            let from = format!("/ip4/198.51.{}.{}/udp/1/quic-v1", number / 250, number % 250);
            assert_eq!(comes(number, from), number < MAX_PENDING_QUIC);
        }
        assert!(comes(1000, "/ip4/203.0.113.9/tcp/1".into()));
        assert!(MAX_PENDING_QUIC < MAX_PENDING_INCOMING as usize);
    }

    #[test]
    fn a_network_of_ipv6_is_one_place() {
        let place = |text: &str| place_of(&text.parse().expect("an address"));
        assert_eq!(place("/ip6/2001:db8::1/tcp/1"), place("/ip6/2001:db8::ffff:2/tcp/2"));
        assert_ne!(place("/ip6/2001:db8::1/tcp/1"), place("/ip6/2001:db8:0:1::1/tcp/1"));
        assert_ne!(place("/ip4/192.0.2.1/tcp/1"), place("/ip4/192.0.2.2/tcp/1"));
    }
}

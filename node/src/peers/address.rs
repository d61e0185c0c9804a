//! Where a node is found: addresses as key sets and our own settings list them.

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

/// Check that `text` is an address we can dial or, where it holds a number, listen at.
pub fn check_address(text: &str) -> Result<(), NotAnAddress> {
    parse_address(text).map(drop)
}

/// The text is not an address of a node.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is not a node's address: write /ip4/192.0.2.7/tcp/4710, /ip6/2001:db8::7/tcp/4710 or \
     /dns4/liaison.example.ke/tcp/4710, and nothing after the port; for QUIC, udp/4710/quic-v1 in place of tcp/4710"
)]
pub struct NotAnAddress(String);

/// Where an address leads.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Destination {
    /// A name, or a number.
    pub host: String,
    /// Whether the host is a name, to be looked up.
    pub is_name: bool,
    /// Which of its numbers count, if not all: those of IPv4 (`true`) or of IPv6.
    pub only_v4: Option<bool>,
    /// The port.
    pub port: u16,
    /// Whether it is one of QUIC.
    pub is_quic: bool,
}

impl Destination {
    /// Where `address` leads.
    pub fn of(address: &str) -> Result<Self, NotAnAddress> {
        let parsed = parse_address(address)?;
        let flaw = || NotAnAddress(address.into());
        let mut parts = parsed.iter();
        let (host, is_name, only_v4) = match parts.next().ok_or_else(flaw)? {
            Protocol::Ip4(ip) => (ip.to_string(), false, None),
            Protocol::Ip6(ip) => (ip.to_string(), false, None),
            Protocol::Dns(name) => (name.into_owned(), true, None),
            Protocol::Dns4(name) => (name.into_owned(), true, Some(true)),
            Protocol::Dns6(name) => (name.into_owned(), true, Some(false)),
            _ => return Err(flaw()),
        };
        let (port, is_quic) = match parts.next().ok_or_else(flaw)? {
            Protocol::Tcp(port) => (port, false),
            Protocol::Udp(port) => (port, true),
            _ => return Err(flaw()),
        };
        Ok(Self { host, is_name, only_v4, port, is_quic })
    }
}

pub(super) fn parse_address(text: &str) -> Result<Multiaddr, NotAnAddress> {
    use Protocol::{Dns, Dns4, Dns6, Ip4, Ip6, QuicV1, Tcp, Udp};
    let flaw = || NotAnAddress(text.into());
    let address: Multiaddr = text.parse().map_err(|_| flaw())?;
    let mut parts = address.iter();
    let host = parts.next();
    let is_host = matches!(host, Some(Ip4(_) | Ip6(_) | Dns(_) | Dns4(_) | Dns6(_)));
    match (parts.next(), parts.next(), parts.next()) {
        (Some(Tcp(_)), None, None) | (Some(Udp(_)), Some(QuicV1), None) if is_host => Ok(address),
        _ => Err(flaw()),
    }
}

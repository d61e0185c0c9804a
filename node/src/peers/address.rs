//! Where a node is found: addresses as key sets and our own settings list them.

use std::net::{IpAddr, Ipv6Addr};

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

/// Check that others may be told `text`, to reach us there.
pub fn check_address(text: &str) -> Result<(), NotAnAddress> {
    let to = Destination::of(text)?;
    let is_machine = match to.number() {
        None => is_name(&to.host),
        // "This network" of RFC 1122, section 3.2.1.3, and what belongs to one link, lead nowhere from elsewhere.
        Some(ip) if is_one_machines(ip) => match ip.to_canonical() {
            IpAddr::V4(ip) => ip.octets()[0] != 0 && !ip.is_link_local(),
            IpAddr::V6(ip) => !ip.is_unspecified() && !ip.is_unicast_link_local(),
        },
        Some(_) => false,
    };
    let flaw = NotAnAddress { text: text.into(), why: "does not lead to a machine: others dial it" };
    if is_machine && to.port != 0 { Ok(()) } else { Err(flaw) }
}

/// Check that we may listen at `text`.
pub fn check_listening(text: &str) -> Result<(), NotAnAddress> {
    match Destination::of(text)?.number() {
        Some(ip) if is_one_machines(ip) => Ok(()),
        _ => Err(NotAnAddress {
            text: text.into(),
            why: "is no number of a machine: a node listens at one of this machine's, or at all with 0.0.0.0",
        }),
    }
}

/// Not many machines' at once, nor reserved (RFC 1112, section 4).
fn is_one_machines(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.octets()[0] < 224,
        IpAddr::V6(ip) => !ip.is_multicast(),
    }
}

/// A name of a machine (RFC 1123, section 2.1), whose last label is no number; one label will do, in the house.
fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let mut labels = text.strip_suffix('.').unwrap_or(text).split('.');
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    text.len() <= 253 && labels.clone().all(is_label) && !labels.next_back().is_some_and(is_number)
}

/// The text is not an address of a node, or not one for what it is to do.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{text}` {why}. Write /ip4/192.0.2.7/tcp/4710, /ip6/2001:db8::7/tcp/4710 or /dns4/liaison.example.ke/tcp/4710, and \
     nothing after the port; for QUIC, udp/4710/quic-v1 in place of tcp/4710"
)]
pub struct NotAnAddress {
    text: String,
    why: &'static str,
}

impl NotAnAddress {
    fn new(text: &str) -> Self {
        Self { text: text.into(), why: "is not a node's address" }
    }
}

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
        let flaw = || NotAnAddress::new(address);
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

    fn number(&self) -> Option<IpAddr> {
        self.host.parse().ok().filter(|_| !self.is_name)
    }
}

/// Where a connection comes from: an address, or of IPv6 the network, for a machine has as many addresses in it as it
/// likes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Place(IpAddr);

impl Place {
    /// The place of an address by number.
    pub(super) fn of(address: &Multiaddr) -> Option<Self> {
        let ip: IpAddr = match address.iter().next()? {
            Protocol::Ip4(ip) => ip.into(),
            Protocol::Ip6(ip) => ip.into(),
            _ => return None,
        };
        Some(match ip.to_canonical() {
            IpAddr::V6(ip) => Self(within(ip, 64)),
            ip => Self(ip),
        })
    }

    /// What one holder is given (RFC 6177): of IPv6, 48 bits.
    pub(super) fn site(self) -> Self {
        match self.0 {
            IpAddr::V4(_) => self,
            IpAddr::V6(ip) => Self(within(ip, 48)),
        }
    }
}

fn within(ip: Ipv6Addr, bits: u32) -> IpAddr {
    Ipv6Addr::from_bits(ip.to_bits() >> (128 - bits) << (128 - bits)).into()
}

pub(super) fn parse_address(text: &str) -> Result<Multiaddr, NotAnAddress> {
    use Protocol::{Dns, Dns4, Dns6, Ip4, Ip6, QuicV1, Tcp, Udp};
    let flaw = || NotAnAddress::new(text);
    let address: Multiaddr = text.parse().map_err(|_| flaw())?;
    let mut parts = address.iter();
    let host = parts.next();
    let is_host = matches!(host, Some(Ip4(_) | Ip6(_) | Dns(_) | Dns4(_) | Dns6(_)));
    match (parts.next(), parts.next(), parts.next()) {
        (Some(Tcp(_)), None, None) | (Some(Udp(_)), Some(QuicV1), None) if is_host => Ok(address),
        _ => Err(flaw()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_told_where_a_machine_is() {
        for good in [
            "/ip4/192.0.2.7/tcp/4710",
            "/ip4/127.0.0.1/tcp/4710",
            "/ip6/2001:db8::7/udp/4710/quic-v1",
            "/dns4/liaison.example.ke/tcp/4710",
            "/dns/node-1/tcp/1",
        ] {
            check_address(good).unwrap_or_else(|error| panic!("{error}"));
        }
        for bad in [
            "/ip4/0.0.0.0/tcp/4710",
            "/ip4/224.0.0.1/tcp/4710",
            "/ip4/255.255.255.255/tcp/4710",
            "/ip4/192.0.2.7/tcp/0",
            "/ip4/0.1.2.3/tcp/4710",
            "/ip4/169.254.1.2/tcp/4710",
            "/ip4/240.0.0.1/tcp/4710",
            "/ip6/::/tcp/4710",
            "/ip6/::ffff:0.0.0.0/tcp/4710",
            "/ip6/fe80::1/tcp/4710",
            "/dns4/192.0.2.7/tcp/4710",
            "/ip6/ff02::1/udp/4710/quic-v1",
            "/dns4/a..b/tcp/4710",
            "/dns4/-a.example/tcp/4710",
            "/dns4/a_b.example/tcp/4710",
            "/dns6/liaison example/tcp/4710",
            "/ip4/192.0.2.7/tcp/4710/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA",
        ] {
            let said = check_address(bad).expect_err(bad).to_string();
            assert!(said.contains(bad) && said.contains("Write /ip4/192.0.2.7/tcp/4710"), "{said}");
        }
    }

    #[test]
    fn a_node_listens_at_numbers() {
        for good in ["/ip4/0.0.0.0/tcp/4710", "/ip6/::/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"] {
            check_listening(good).unwrap_or_else(|error| panic!("{error}"));
        }
        for bad in [
            "/dns4/liaison.example.ke/tcp/4710",
            "/dns4/127.0.0.1/tcp/1",
            "/ip4/255.255.255.255/tcp/1",
            "/ip6/ff02::1/tcp/1",
        ] {
            let said = check_listening(bad).expect_err(bad).to_string();
            assert!(said.contains("at all with 0.0.0.0"), "{said}");
        }
    }

    #[test]
    fn a_network_of_ipv6_is_one_place() {
        let place = |text: &str| Place::of(&text.parse().expect("an address"));
        assert_eq!(place("/ip6/2001:db8::1/tcp/1"), place("/ip6/2001:db8::ffff:2/tcp/2"));
        assert_ne!(place("/ip6/2001:db8::1/tcp/1"), place("/ip6/2001:db8:0:1::1/tcp/1"));
        assert_ne!(place("/ip4/192.0.2.1/tcp/1"), place("/ip4/192.0.2.2/tcp/1"));
        assert_eq!(place("/ip6/::ffff:192.0.2.1/tcp/1"), place("/ip4/192.0.2.1/tcp/2"));
        assert_eq!(place("/dns4/liaison.example.ke/tcp/1"), None);
    }
}

//! Where we listen: everywhere we were told to, or nowhere.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, TcpListener};

use futures::StreamExt;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, Swarm};

use super::address::{check_listening, parse_address};
use super::handle::Shared;
use super::settings::NetworkError;
use super::swarm::Protocols;
use super::told::reason;

/// Listen everywhere, or nowhere.
pub(super) async fn listen(
    swarm: &mut Swarm<Protocols>,
    addresses: &[String],
    shared: &Shared,
) -> Result<(), NetworkError> {
    let failed = |text: &str, why: String| NetworkError::Listen { address: text.into(), why };
    // All of them first: a plain socket for `::` would collide with what we ourselves hold at `0.0.0.0`.
    for text in addresses {
        check_listening(text)?;
        refuse_shared_port(&parse_address(text)?).map_err(|error| failed(text, error.to_string()))?;
    }
    let mut awaited = HashSet::new();
    for text in addresses {
        let listener = swarm.listen_on(parse_address(text)?);
        awaited.insert(listener.map_err(|error| failed(text, reason(&error)))?);
    }
    while !awaited.is_empty() {
        match swarm.select_next_some().await {
            SwarmEvent::NewListenAddr { listener_id, address } => {
                awaited.remove(&listener_id);
                shared.change_listening(|all| all.push(address.to_string()));
            }
            SwarmEvent::ListenerClosed { addresses, reason: Err(error), .. } => {
                let address = addresses.iter().map(Multiaddr::to_string).collect::<Vec<_>>().join(", ");
                return Err(NetworkError::Listen { address, why: error.to_string() });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Over TCP libp2p listens in a way that lets a second program of the same user take half of our connections, and
/// lets us take half of its. A plain socket is refused in that case, so ask with one first.
fn refuse_shared_port(address: &Multiaddr) -> io::Result<()> {
    let mut parts = address.iter();
    let ip: IpAddr = match parts.next() {
        Some(Protocol::Ip4(ip)) => ip.into(),
        Some(Protocol::Ip6(ip)) => ip.into(),
        _ => return Err(io::Error::from(io::ErrorKind::AddrNotAvailable)),
    };
    match parts.next() {
        Some(Protocol::Tcp(port)) if port != 0 => TcpListener::bind((ip, port)).map(drop),
        _ => Ok(()),
    }
}

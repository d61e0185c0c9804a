//! The network between nodes: who may connect, and frames out and in.
//!
//! In scope: our transport identity, the identities and addresses of admitted peers, connections (TCP with
//! TLS 1.3, or QUIC, and nothing else), and the carrying of one frame there and one frame back. A frame is bytes with
//! a size in front. Out of scope: what a frame means, when to say it again, and who deserves admission.
//!
//! Nothing outside this file and its folder names libp2p. The network has two halves: [`Network`], a handle for any
//! thread, and a task of its own that owns every socket. Between them lie two channels: orders in, [`Event`]s out.
//!
//! **Two protocols**, mail and pieces of attachments, each with frames, streams and events of its own: no mail
//! waits behind a photograph.
//!
//! **What bounds it.** Of each protocol, a node has one frame of ours on its way and one of its own in our hands,
//! whatever number of identities and connections it has; frames have a ceiling and grow only with bytes that came.
//! Connections, handshakes and streams are counted and limited; of handshakes the oldest make room, strangers' before
//! peers'. When nobody takes the events of mail, the task stops reading the network until somebody does. TCP and QUIC
//! have places of their own: who sends from a forged address, which TCP does not allow, cannot keep TCP's.
//!
//! **QUIC beside TCP.** Both prove the same identity in the same TLS handshake. Where a peer lists addresses of both, they
//! are dialled together and the first to answer is taken: where UDP is blocked, TCP is.
//!
//! **What is deliberately absent.** Noise and every other classical handshake; discovery; relays; ports
//! shared between dialling and listening; a retry: what failed is told, and the caller says it again.
//!
//! **The rooms.** Each knows only some of those above it:
//!
//! ```text
//! identity.rs   who a node is to others      \
//! address.rs    where it is found             |
//! settings.rs   what we start with            | words
//! frames.rs     bytes with a size in front    |
//! told.rs       what the network tells        |
//! handle.rs     what it is asked             /
//! doorstep.rs   strangers, not yet proven    \
//! curt.rs       an end without ceremony       |
//! transport.rs  TCP and QUIC                  | connections
//! peer.rs       what is known of a peer       |
//! swarm.rs      what is spoken, and how much  |
//! listening.rs  where we listen              /
//! room.rs       every socket, and the loop   \
//! roster.rs     who is admitted               |
//! links.rs      who is connected              | the task
//! dials.rs      who is called, and where      |
//! outgoing.rs   frames out                    |
//! incoming.rs   frames in                    /
//! ```

mod address;
mod curt;
mod dials;
mod doorstep;
mod frames;
mod handle;
mod identity;
mod incoming;
mod links;
mod listening;
mod outgoing;
mod peer;
mod room;
mod roster;
mod settings;
mod swarm;
mod told;
mod transport;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::mpsc;

pub use self::address::{Destination, NotAnAddress, check_address, check_listening};
pub use self::handle::{Network, PeerAddress};
pub use self::identity::{NotAPeerId, TransportKey, check_peer_id, peer_id_of};
pub use self::settings::{NetworkError, Settings};
pub use self::told::{Event, Failure, Reply};

use self::handle::Shared;
use self::listening::listen;
use self::room::Room;
use self::settings::{KEY_LOG, refuse_key_log};
use self::swarm::build;

/// Start the network. It admits nobody yet; when this returns, it listens.
///
/// What happens to mail and to connections is told to `events`, what happens to pieces of attachments to `pieces`. That
/// one is unbounded, and yet bounded: a peer adds at most one outcome of what was asked of it and one request of its own.
pub async fn start<E>(
    settings: Settings,
    events: mpsc::Sender<E>,
    pieces: mpsc::UnboundedSender<Event>,
) -> Result<Network, NetworkError>
where
    E: From<Event> + Send + 'static,
{
    refuse_key_log(std::env::var_os(KEY_LOG))?;
    let shared = Arc::new(Shared::default());
    let mut swarm = build(&settings, &shared)?;
    listen(&mut swarm, &settings.listen, &shared).await?;

    let (orders, inbox) = mpsc::unbounded_channel();
    let room = Room {
        swarm,
        max_request: settings.max_request,
        max_response: settings.max_response,
        roster: BTreeMap::new(),
        owners: HashMap::new(),
        tries: HashMap::new(),
        links: BTreeMap::new(),
        news: VecDeque::new(),
        shared: Arc::clone(&shared),
        pieces,
        events,
    };
    let stopped = Arc::clone(&shared);
    tokio::spawn(async move {
        tokio::select! {
            () = stopped.stop.notified() => {}
            () = room.run(inbox) => {}
        }
    });
    Ok(Network { orders, shared })
}

#[cfg(test)]
mod tests;

//! The swarm: what every connection speaks, and how many connections and streams there may be.

use std::sync::Arc;

use liaison_protocol::blob;
use libp2p::allow_block_list::{self, AllowedPeers};
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::core::upgrade::Version;
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::NetworkBehaviour;
use libp2p::{StreamProtocol, Swarm, SwarmBuilder, Transport};

use super::doorstep::Doorstep;
use super::frames::{Frames, Kind};
use super::handle::Shared;
use super::peer::MAX_LINKS;
use super::settings::{NetworkError, Settings};
use super::transport::transport;

/// What every connection speaks. The order matters: a stranger is turned away before it is counted as a
/// connection, and either before any protocol of ours sees it.
#[derive(NetworkBehaviour)]
pub(super) struct Protocols {
    pub(super) admitted: allow_block_list::Behaviour<AllowedPeers>,
    limits: connection_limits::Behaviour,
    mail: request_response::Behaviour<Frames>,
    blob: request_response::Behaviour<Frames>,
}

impl Protocols {
    pub(super) fn of(&mut self, kind: Kind) -> &mut request_response::Behaviour<Frames> {
        match kind {
            Kind::Blob => &mut self.blob,
            Kind::Mail => &mut self.mail,
        }
    }
}

pub(super) fn build(settings: &Settings, shared: &Arc<Shared>) -> Result<Swarm<Protocols>, NetworkError> {
    let frames = Frames { max_request: settings.max_request, max_response: settings.max_response };
    let pieces = Frames { max_request: blob::REQUEST_LEN, max_response: blob::MAX_REPLY };
    let config = request_response::Config::default()
        .with_request_timeout(settings.request_timeout)
        .with_max_concurrent_streams(MAX_EXCHANGES);
    let swarm = SwarmBuilder::with_existing_identity(settings.identity.keypair())
        .with_tokio()
        .with_other_transport(|keypair| Ok(Doorstep::new(transport(keypair)?.boxed(), Arc::clone(shared))))
        .map_err(|error| NetworkError::Tls(error.to_string()))?
        .with_dns()
        .map_err(NetworkError::Resolver)?
        .with_behaviour(|_| Protocols {
            admitted: allow_block_list::Behaviour::default(),
            limits: connection_limits::Behaviour::new(
                ConnectionLimits::default()
                    .with_max_pending_outgoing(Some(MAX_PENDING_OUTGOING))
                    .with_max_established(Some(MAX_CONNECTIONS))
                    // One more than we keep: the newcomer stands before the oldest goes.
                    .with_max_established_per_peer(Some(MAX_LINKS as u32 + 1)),
            ),
            mail: request_response::Behaviour::with_codec(
                frames,
                [(MAIL, ProtocolSupport::Full)],
                config.clone(),
            ),
            blob: request_response::Behaviour::with_codec(pieces, [(BLOB, ProtocolSupport::Full)], config),
        })
        .unwrap_or_else(|never| match never {})
        .with_swarm_config(|config| {
            config
                .with_idle_connection_timeout(settings.idle_timeout)
                // A frame goes out with the name of its protocol, not a journey there and back after it.
                .with_substream_upgrade_protocol_override(Version::V1Lazy)
                .with_max_negotiating_inbound_streams(2 * MAX_EXCHANGES)
        })
        .with_connection_timeout(settings.request_timeout)
        .build();
    Ok(swarm)
}

pub(super) const MAIL_NAME: &str = "/liaison/mail/1";
pub(super) const BLOB_NAME: &str = "/liaison/blob/1";

/// Mail, the first protocol of ours. Each is a field of [`Protocols`].
const MAIL: StreamProtocol = StreamProtocol::new(MAIL_NAME);

/// Pieces of attachments.
const BLOB: StreamProtocol = StreamProtocol::new(BLOB_NAME);

/// Dials under way; more than there are States.
const MAX_PENDING_OUTGOING: u32 = 256;

/// Connections that stand.
const MAX_CONNECTIONS: u32 = 512;

/// Requests of one connection and protocol being read, answered or sent. An honest peer needs two, and for a moment a
/// third; what an admitted peer can make us hold is this times connections times the longest frame.
const MAX_EXCHANGES: usize = 4;

//! What connections are made of: TCP with TLS 1.3, or QUIC, and nothing else.

use std::error::Error;
use std::time::Duration;

use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::timeout::TransportTimeout;
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::{PeerId, Transport, quic, tcp, tls, yamux};

use super::curt::Curt;

/// Both ways to connect, each of which proves this identity.
pub(super) fn transport(
    keypair: &Keypair,
) -> Result<
    impl Transport<
        Output = (PeerId, StreamMuxerBox),
        Error: Send + Sync + 'static,
        Dial: Send,
        ListenerUpgrade: Send,
    > + Send
    + Unpin
    + use<>,
    Box<dyn Error + Send + Sync>,
> {
    let mut streams = yamux::Config::default();
    streams.set_max_num_streams(MAX_STREAMS);
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .upgrade(Version::V1Lazy)
        .authenticate(tls::Config::new(keypair)?)
        .multiplex(streams)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(Curt(muxer))));
    let mut config = quic::Config::new(keypair);
    config.handshake_timeout = HANDSHAKE_TIMEOUT;
    config.max_concurrent_stream_limit = MAX_STREAMS as u32;
    (config.max_stream_data, config.max_connection_data) = (QUIC_WINDOW, 2 * QUIC_WINDOW);
    let quic = quic::tokio::Transport::new(config).map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let transport = quic.or_transport(tcp).map(|either, _| either.into_inner());
    // Who comes to us proves itself soon, or makes room for others.
    Ok(TransportTimeout::with_ingoing_timeout(transport, HANDSHAKE_TIMEOUT))
}

/// Bytes of one stream over QUIC that may wait to be read; of one connection, twice as many.
const QUIC_WINDOW: u32 = 2 * 1024 * 1024;

/// How long who comes to us may take to prove itself.
pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Streams of one connection, with those being negotiated or closed.
const MAX_STREAMS: usize = 32;

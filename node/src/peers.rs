//! The network between nodes: who may connect, and frames out and in.
//!
//! In scope: our transport identity, the identities and addresses of admitted peers, connections (TCP with
//! TLS 1.3, or QUIC, and nothing else), and the carrying of one frame there and one frame back. A frame is bytes with
//! a size in front. Out of scope: what a frame means, when to say it again, and who deserves admission.
//!
//! This is the only file that names libp2p. It has two halves: [`Network`], a handle for any thread, and a
//! task of its own that owns every socket. Between them lie two channels: orders in, [`Event`]s out.
//!
//! **Two protocols**, mail and pieces of attachments, each with frames, streams and events of its own: no mail
//! waits behind a photograph.
//!
//! **What bounds it.** Of each protocol, a node has one frame of ours on its way and one of its own in our hands,
//! whatever number of identities and connections it has; frames have a ceiling and grow only with bytes that came.
//! Connections, handshakes and streams are counted and limited. When nobody takes the events of mail, the task
//! stops reading the network until somebody does. QUIC has its own share of the handshakes: who sends from a forged
//! address, which TCP does not allow, cannot keep TCP's places.
//!
//! **QUIC beside TCP.** Both prove the same identity in the same TLS handshake. Where a peer lists addresses of both, they
//! are dialled together and the first to answer is taken: where UDP is blocked, TCP is.
//!
//! **What is deliberately absent.** Noise and every other classical handshake; discovery; relays; ports
//! shared between dialling and listening; a retry: what failed is told, and the caller says it again.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    convert::Infallible,
    error::Error,
    ffi::OsString,
    fmt, io,
    net::{IpAddr, Ipv6Addr, TcpListener},
    pin::Pin,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, StreamExt};
use liaison_protocol::authority::NodeId;
use liaison_protocol::blob;
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder, Transport, TransportError,
    allow_block_list::{self, AllowedPeers, NotAllowed},
    connection_limits::{self, ConnectionLimits},
    core::{
        Endpoint,
        muxing::{StreamMuxer, StreamMuxerBox, StreamMuxerEvent},
        transport::{PortUse, timeout::TransportTimeout},
        upgrade::Version,
    },
    identity::{Keypair, PublicKey},
    multiaddr::Protocol,
    quic,
    request_response::{
        self, InboundRequestId, Message, OutboundFailure, OutboundRequestId, ProtocolSupport, ResponseChannel,
    },
    swarm::{
        ConnectionDenied, ConnectionId, DialError, FromSwarm, ListenError, NetworkBehaviour, SwarmEvent,
        ToSwarm,
        dial_opts::{DialOpts, PeerCondition},
        dummy,
    },
    tcp, tls, yamux,
};
use tokio::sync::{Notify, mpsc, oneshot};
use zeroize::Zeroizing;

/// What the network needs to know before it starts.
#[derive(Debug)]
pub struct Settings {
    /// Who we are to other nodes.
    pub identity: TransportKey,
    /// Where we listen, for example `/ip4/0.0.0.0/tcp/4710` and `/ip4/0.0.0.0/udp/4710/quic-v1`; port 0 lets the system
    /// choose.
    pub listen: Vec<String>,
    /// The longest frame of a request, in bytes, either way.
    pub max_request: usize,
    /// The longest frame of a response, in bytes, either way.
    pub max_response: usize,
    /// How long a request may take, from its first byte to the last of its response; also the longest dial.
    /// (Before its first byte, libp2p gives the other side ten seconds to accept the stream.)
    pub request_timeout: Duration,
    /// How long a connection that carries nothing is kept.
    pub idle_timeout: Duration,
}

/// The seed of our transport identity, an Ed25519 key. It is wiped when dropped and never shown.
#[derive(Clone)]
pub struct TransportKey(Zeroizing<[u8; 32]>);

impl TransportKey {
    /// The key with this seed.
    pub fn new(seed: Zeroizing<[u8; 32]>) -> Self {
        Self(seed)
    }

    fn keypair(&self) -> Keypair {
        Keypair::ed25519_from_bytes(self.0.clone()).expect("any 32 bytes are an Ed25519 seed")
    }
}

impl fmt::Debug for TransportKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TransportKey({})", self.keypair().public().to_peer_id())
    }
}

/// The peer identity, `12D3Koo...`, of the transport key with this seed.
pub fn peer_id_of(seed: &[u8; 32]) -> String {
    TransportKey::new(Zeroizing::new(*seed)).keypair().public().to_peer_id().to_string()
}

/// Check that `text` is the identity of an Ed25519 transport key, as key sets list them.
pub fn check_peer_id(text: &str) -> Result<(), NotAPeerId> {
    parse_peer_id(text).map(drop)
}

/// Check that `text` is an address we can dial or, where it holds a number, listen at.
pub fn check_address(text: &str) -> Result<(), NotAnAddress> {
    parse_address(text).map(drop)
}

/// The text is not the identity of a peer.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is not a peer identity: copy the text that starts with 12D3Koo from the other authority's key set"
)]
pub struct NotAPeerId(String);

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

/// A peer that may connect, and where to find it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PeerAddress {
    /// The node.
    pub node: NodeId,
    /// Its transport identities; several are valid at once while one replaces another.
    pub peer_ids: Vec<String>,
    /// Where to dial it.
    pub addrs: Vec<String>,
}

/// What the network tells.
pub enum Event {
    /// A peer's request. It waits for [`Network::respond`]; until then its next ones are turned away.
    Arrived {
        /// Whose it is, proven by the connection's identity.
        from: NodeId,
        /// The request.
        frame: Vec<u8>,
        /// The right to answer it. Dropped, it ends the request without an answer.
        reply: Reply,
    },
    /// A peer's response to what we sent.
    Answered {
        /// Who answers.
        from: NodeId,
        /// The response.
        frame: Vec<u8>,
    },
    /// What we sent has no response and will get none. Whether it arrived is not known.
    Failed {
        /// Whom it was for.
        to: NodeId,
        /// What happened.
        why: Failure,
    },
    /// A first connection with this node stands.
    Connected {
        /// The node.
        node: NodeId,
    },
    /// The last connection with this node is gone.
    Disconnected {
        /// The node.
        node: NodeId,
    },
}

/// Shows sizes, never the content of a frame.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Arrived { from, frame, .. } => write!(f, "Arrived({from}, {} bytes)", frame.len()),
            Event::Answered { from, frame } => write!(f, "Answered({from}, {} bytes)", frame.len()),
            Event::Failed { to, why } => write!(f, "Failed({to}, {why:?})"),
            Event::Connected { node } => write!(f, "Connected({node})"),
            Event::Disconnected { node } => write!(f, "Disconnected({node})"),
        }
    }
}

/// The right to answer one request, once.
#[derive(Debug)]
pub struct Reply {
    kind: Kind,
    request: InboundRequestId,
    channel: ResponseChannel<Vec<u8>>,
}

/// What a frame carries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// A piece of an attachment, or what asks for one.
    Blob,
    /// Mail.
    Mail,
}

/// Why a frame got no response, in words for our operator.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Failure {
    /// An earlier frame for the same node has no outcome yet.
    #[error("an earlier frame for this node has no outcome yet")]
    Busy,
    /// The connection broke, or the other node gave up this exchange.
    #[error("the exchange ended before an answer came")]
    Lost,
    /// We know no address, or no identity, to dial.
    #[error("no address of this node is known: ask its authority for a newer key set")]
    NoAddress,
    /// No admitted peer has this name, or it was removed meanwhile.
    #[error("no admitted peer has this name")]
    NoSuchPeer,
    /// The other node does not know our protocol.
    #[error("the other node does not speak {0}: one of the two needs a newer version")]
    NotSpoken(&'static str),
    /// The other node ended the connection before it said anything on it.
    #[error(
        "the other node ends our connections before a word is said: it has most likely not admitted us, \
         or does not know our present identity"
    )]
    Refused,
    /// The response did not come in time.
    #[error("no answer came in time")]
    Timeout,
    /// Our frame, or the response, is longer than agreed.
    #[error("a frame of {size} bytes is too large: {limit} is the most")]
    TooLarge {
        /// Its size, in bytes.
        size: usize,
        /// The ceiling, in bytes.
        limit: usize,
    },
    /// None of the node's addresses could be reached.
    #[error("the node cannot be reached: {0}")]
    Unreachable(String),
    /// Somebody else answers at the node's address.
    #[error("at {address} answers {found}, which is not an identity of this node")]
    WrongIdentity {
        /// Where.
        address: String,
        /// Who answers there.
        found: String,
    },
}

/// Why the network cannot start.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// A configured address is not one.
    #[error(transparent)]
    Address(#[from] NotAnAddress),
    /// The environment asks for the session secrets to be written to a file.
    #[error(
        "{KEY_LOG} is set: it would write the secrets of every connection to a file. Unset it and start again"
    )]
    KeyLog,
    /// We cannot listen at a configured address.
    #[error("cannot listen at {address}: {why}. Check the address, and that no other program holds the port")]
    Listen {
        /// The address.
        address: String,
        /// What the system said.
        why: String,
    },
    /// The system's name resolution cannot be read.
    #[error("cannot read the settings for names of machines: {0}. Check /etc/resolv.conf")]
    Resolver(io::Error),
    /// The TLS identity cannot be made.
    #[error("cannot make the TLS identity: {0}")]
    Tls(String),
}

/// The handle of the network, for any thread. It never blocks; the network ends with its last handle.
#[derive(Clone, Debug)]
pub struct Network {
    // Unbounded, and yet bounded: a peer adds at most one `Send` of each kind until its outcome is told, each reply
    // answers one request of which a peer has one of each, and rosters come one per recorded change. Whoever gives
    // these orders is the one who takes the events, so nothing piles up that it has not itself put here.
    orders: mpsc::UnboundedSender<Order>,
    shared: Arc<Shared>,
}

impl Network {
    /// The addresses we listen at, with their real ports.
    pub fn listening(&self) -> Vec<String> {
        self.shared.listening.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many connections ended because their identity is not on the roster.
    pub fn strangers(&self) -> u64 {
        self.shared.strangers.load(Ordering::Relaxed)
    }

    /// Replace the roster. Who is no longer on it is cut off at once and turned away from then on.
    ///
    /// An identity that two nodes claim stays with the node that had it, else goes to the one named first.
    pub fn admit(&self, roster: Vec<PeerAddress>) {
        self.order(Order::Admit(roster));
    }

    /// Send a request. Exactly one [`Event::Answered`] or [`Event::Failed`] tells its outcome.
    ///
    /// One frame per node at a time: the next one before that outcome fails as [`Failure::Busy`].
    pub fn send(&self, to: &NodeId, frame: Vec<u8>) {
        self.order(Order::Send(Kind::Mail, to.clone(), frame));
    }

    /// Ask for a piece of an attachment. As [`send`](Self::send), on a line of its own: the outcome is told to those who
    /// take the events of pieces.
    pub fn fetch(&self, from: &NodeId, frame: Vec<u8>) {
        self.order(Order::Send(Kind::Blob, from.clone(), frame));
    }

    /// Connect to an admitted peer at this address of its, though a connection may stand already: it must prove the peer's
    /// identity. The connection stays, as any other.
    pub async fn try_address(&self, node: &NodeId, address: &str) -> Result<(), Failure> {
        let (outcome, told) = oneshot::channel();
        self.order(Order::Try(node.clone(), address.to_owned(), outcome));
        told.await.unwrap_or(Err(Failure::Lost))
    }

    /// Answer a request. When it has timed out meanwhile, or is too long, the answer is dropped and traced.
    pub fn respond(&self, reply: Reply, frame: Vec<u8>) {
        self.order(Order::Respond(reply, frame));
    }

    /// End every connection and stop. The channel of events closes when it is done; what is on its way
    /// gets no outcome.
    pub fn shutdown(&self) {
        self.shared.stop.notify_one();
    }

    fn order(&self, order: Order) {
        if self.orders.send(order).is_err() {
            tracing::debug!("an order came after the network had stopped");
        }
    }
}

/// What the handle asks of the task.
#[derive(Debug)]
enum Order {
    Admit(Vec<PeerAddress>),
    Respond(Reply, Vec<u8>),
    Send(Kind, NodeId, Vec<u8>),
    Try(NodeId, String, oneshot::Sender<Result<(), Failure>>),
}

/// What the handle can see of the task.
#[derive(Debug, Default)]
struct Shared {
    listening: RwLock<Vec<String>>,
    strangers: AtomicU64,
    stop: Notify,
}

impl Shared {
    fn change_listening(&self, change: impl FnOnce(&mut Vec<String>)) {
        change(&mut self.listening.write().unwrap_or_else(PoisonError::into_inner));
    }
}

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
    let mut swarm = build(&settings)?;
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

/// libp2p-tls honours this variable, whoever set it.
fn refuse_key_log(value: Option<OsString>) -> Result<(), NetworkError> {
    if value.is_some() { Err(NetworkError::KeyLog) } else { Ok(()) }
}

fn build(settings: &Settings) -> Result<Swarm<Protocols>, NetworkError> {
    let frames = Frames { max_request: settings.max_request, max_response: settings.max_response };
    let pieces = Frames { max_request: blob::REQUEST_LEN, max_response: blob::MAX_REPLY };
    let config = request_response::Config::default()
        .with_request_timeout(settings.request_timeout)
        .with_max_concurrent_streams(MAX_EXCHANGES);
    let swarm = SwarmBuilder::with_existing_identity(settings.identity.keypair())
        .with_tokio()
        .with_other_transport(|keypair| {
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
            let quic = quic::tokio::Transport::new(config)
                .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
            let transport = quic.or_transport(tcp).map(|either, _| either.into_inner());
            // Who comes to us proves itself soon, or makes room for others.
            Ok(TransportTimeout::with_ingoing_timeout(transport, HANDSHAKE_TIMEOUT))
        })
        .map_err(|error| NetworkError::Tls(error.to_string()))?
        .with_dns()
        .map_err(NetworkError::Resolver)?
        .with_behaviour(|_| Protocols {
            doorstep: Doorstep::default(),
            admitted: allow_block_list::Behaviour::default(),
            limits: connection_limits::Behaviour::new(
                ConnectionLimits::default()
                    .with_max_pending_incoming(Some(MAX_PENDING_INCOMING))
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
                .with_max_negotiating_inbound_streams(2 * MAX_EXCHANGES)
        })
        .with_connection_timeout(settings.request_timeout)
        .build();
    Ok(swarm)
}

/// Listen everywhere, or nowhere.
async fn listen(
    swarm: &mut Swarm<Protocols>,
    addresses: &[String],
    shared: &Shared,
) -> Result<(), NetworkError> {
    let failed = |text: &str, why: String| NetworkError::Listen { address: text.into(), why };
    // All of them first: a plain socket for `::` would collide with what we ourselves hold at `0.0.0.0`.
    for text in addresses {
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

/// libp2p listens in a way that lets a second program of the same user take half of our connections, and
/// lets us take half of its. A plain socket is refused in that case, so ask with one first.
fn refuse_shared_port(address: &Multiaddr) -> io::Result<()> {
    let mut parts = address.iter();
    let ip: IpAddr = match parts.next() {
        Some(Protocol::Ip4(ip)) => ip.into(),
        Some(Protocol::Ip6(ip)) => ip.into(),
        _ => return Err(io::Error::other("a node listens at a number, not at a name")),
    };
    match parts.next() {
        Some(Protocol::Tcp(port)) if port != 0 => TcpListener::bind((ip, port)).map(drop),
        _ => Ok(()),
    }
}

/// What every connection speaks. The order matters: a stranger is turned away before it is counted as a
/// connection, and either before any protocol of ours sees it.
#[derive(NetworkBehaviour)]
struct Protocols {
    doorstep: Doorstep,
    admitted: allow_block_list::Behaviour<AllowedPeers>,
    limits: connection_limits::Behaviour,
    mail: request_response::Behaviour<Frames>,
    blob: request_response::Behaviour<Frames>,
}

impl Protocols {
    fn of(&mut self, kind: Kind) -> &mut request_response::Behaviour<Frames> {
        match kind {
            Kind::Blob => &mut self.blob,
            Kind::Mail => &mut self.mail,
        }
    }
}

/// Handshakes under way, where each comes from, and whether over QUIC. Nobody knows yet who they are: without a limit of
/// its own, one machine could hold all the places there are.
#[derive(Default)]
struct Doorstep(HashMap<ConnectionId, (IpAddr, bool)>);

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

/// The task's room: every socket, and what we know of every peer.
struct Room<E> {
    swarm: Swarm<Protocols>,
    max_request: usize,
    max_response: usize,
    roster: BTreeMap<NodeId, Peer>,
    /// Whose identity it is.
    owners: HashMap<PeerId, NodeId>,
    /// Dials for their own sake, and who waits for their outcome.
    tries: HashMap<ConnectionId, (NodeId, oneshot::Sender<Result<(), Failure>>)>,
    /// Connections with admitted peers, oldest first.
    links: BTreeMap<ConnectionId, Link>,
    /// What is to be told before anything else is done.
    news: VecDeque<Event>,
    shared: Arc<Shared>,
    pieces: mpsc::UnboundedSender<Event>,
    // Last, so that the channel closes after every socket has.
    events: mpsc::Sender<E>,
}

/// An admitted peer.
#[derive(Default)]
struct Peer {
    /// Its identities; the one that answered last is first.
    ids: Vec<PeerId>,
    addrs: Vec<Multiaddr>,
    mail: Way,
    blob: Way,
}

impl Peer {
    fn way(&mut self, kind: Kind) -> &mut Way {
        match kind {
            Kind::Blob => &mut self.blob,
            Kind::Mail => &mut self.mail,
        }
    }

    /// Mail first.
    fn ways(&mut self) -> [(Kind, &mut Way); 2] {
        [(Kind::Mail, &mut self.mail), (Kind::Blob, &mut self.blob)]
    }
}

/// What is under way with a peer, of one kind.
#[derive(Default)]
struct Way {
    outgoing: Option<Outgoing>,
    /// Its request that waits for our response.
    arrived: Option<InboundRequestId>,
}

/// Our frame on its way to a peer.
enum Outgoing {
    /// There is no connection yet.
    Dialling {
        frame: Vec<u8>,
        dial: ConnectionId,
        /// Addresses that have not failed.
        untried: Vec<Multiaddr>,
        /// What to say if all of them fail.
        why: Failure,
    },
    /// It was given to a connection.
    Sent {
        request: OutboundRequestId,
        /// A connection that ended meanwhile without a word from the peer.
        ended_unheard: Option<ConnectionId>,
    },
}

/// A connection with an admitted peer.
struct Link {
    node: NodeId,
    id: PeerId,
    /// Whether the peer has sent a request or a response on it.
    heard: bool,
}

impl<E: From<Event>> Room<E> {
    /// Work until nobody gives orders or nobody listens to what they come to.
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        loop {
            // Until this is taken, no order is obeyed and no socket is read.
            while let Some(event) = self.news.pop_front() {
                if self.events.send(event.into()).await.is_err() {
                    return;
                }
            }
            tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.obey(order),
                    None => return,
                },
                event = self.swarm.select_next_some() => self.notice(event),
            }
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Admit(roster) => self.admit(roster),
            Order::Respond(reply, frame) => self.respond(reply, frame),
            Order::Try(node, address, outcome) => match self.try_address(&node, &address) {
                Ok(dial) => drop(self.tries.insert(dial, (node, outcome))),
                Err(why) => drop(outcome.send(Err(why))),
            },
            Order::Send(kind, to, frame) => {
                if let Err(why) = self.send(kind, &to, frame) {
                    self.tell(kind, Event::Failed { to, why });
                }
            }
        }
    }

    /// Tell what happened to those who listen to this kind.
    fn tell(&mut self, kind: Kind, event: Event) {
        match kind {
            Kind::Blob => drop(self.pieces.send(event)),
            Kind::Mail => self.news.push_back(event),
        }
    }

    fn notice(&mut self, event: SwarmEvent<ProtocolsEvent>) {
        match event {
            SwarmEvent::Behaviour(ProtocolsEvent::Mail(event)) => self.on_frame(Kind::Mail, event),
            SwarmEvent::Behaviour(ProtocolsEvent::Blob(event)) => self.on_frame(Kind::Blob, event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, .. } => {
                if let Some((_, outcome)) = self.tries.remove(&connection_id) {
                    let _ = outcome.send(Ok(()));
                }
                self.on_connected(peer_id, connection_id);
            }
            SwarmEvent::ConnectionClosed { connection_id, cause, .. } => {
                tracing::debug!(?cause, "a connection ended");
                self.unlink(connection_id);
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                self.on_dial_failed(connection_id, error);
            }
            SwarmEvent::IncomingConnectionError { error, .. } => match error {
                ListenError::Denied { cause } if cause.downcast_ref::<NotAllowed>().is_some() => {
                    self.shared.strangers.fetch_add(1, Ordering::Relaxed);
                }
                error => tracing::debug!(why = reason(&error), "an incoming connection came to nothing"),
            },
            SwarmEvent::NewListenAddr { address, .. } => {
                self.shared.change_listening(|all| all.push(address.to_string()));
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                let address = address.to_string();
                self.shared.change_listening(|all| all.retain(|other| *other != address));
            }
            SwarmEvent::ListenerClosed { addresses, reason, .. } => {
                tracing::error!(?addresses, ?reason, "we no longer listen here");
            }
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "listening"),
            _ => {}
        }
    }

    // The roster.

    fn admit(&mut self, roster: Vec<PeerAddress>) {
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
                Some(peer) => (peer.mail, peer.blob) = (before.mail, before.blob),
                None => {
                    for (kind, _) in before.ways().into_iter().filter(|(_, way)| way.outgoing.is_some()) {
                        self.tell(kind, Event::Failed { to: node.clone(), why: Failure::NoSuchPeer });
                    }
                }
            }
        }
    }

    // Frames out.

    fn send(&mut self, kind: Kind, to: &NodeId, frame: Vec<u8>) -> Result<(), Failure> {
        let peer = self.roster.get_mut(to).ok_or(Failure::NoSuchPeer)?;
        // Mail is at the door already: a second connection of our own would only be in its way.
        let mail_dials = matches!(peer.mail.outgoing, Some(Outgoing::Dialling { .. }));
        if peer.way(kind).outgoing.is_some() || (kind == Kind::Blob && mail_dials) {
            return Err(Failure::Busy);
        }
        let limit = match kind {
            Kind::Blob => blob::REQUEST_LEN,
            Kind::Mail => self.max_request,
        };
        let size = frame.len();
        if size > limit {
            return Err(Failure::TooLarge { size, limit });
        }
        let outgoing = Some(match self.links.values().rev().find(|link| link.node == *to) {
            Some(link) => Outgoing::sent(self.swarm.behaviour_mut().of(kind).send_request(&link.id, frame)),
            None => {
                let id = *peer.ids.first().ok_or(Failure::NoAddress)?;
                let dial = dial(&mut self.swarm, id, &peer.addrs)?;
                Outgoing::Dialling { frame, dial, untried: peer.addrs.clone(), why: Failure::NoAddress }
            }
        });
        peer.way(kind).outgoing = outgoing;
        Ok(())
    }

    fn on_connected(&mut self, id: PeerId, connection: ConnectionId) {
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

    fn try_address(&mut self, node: &NodeId, address: &str) -> Result<ConnectionId, Failure> {
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

    fn on_dial_failed(&mut self, failed: ConnectionId, error: DialError) {
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

    fn on_answered(&mut self, kind: Kind, request: OutboundRequestId, frame: Vec<u8>) {
        if let Some((from, way)) = self.sender_of(kind, request) {
            way.outgoing = None;
            self.tell(kind, Event::Answered { from, frame });
        }
    }

    fn on_unanswered(
        &mut self,
        kind: Kind,
        request: OutboundRequestId,
        link: ConnectionId,
        error: OutboundFailure,
    ) {
        let was_heard = self.links.get(&link).map(|link| link.heard);
        // Mail on its way will find out by itself; a slow photograph must not cost it its line.
        let is_free = kind == Kind::Mail || !self.carries_mail(link);
        if matches!(error, OutboundFailure::Timeout) && is_free {
            // It may be dead without knowing. The next frame gets a fresh one.
            self.cut(link);
        }
        let Some((to, way)) = self.sender_of(kind, request) else { return };
        let ended_unheard = match way.outgoing.take() {
            Some(Outgoing::Sent { ended_unheard, .. }) => ended_unheard,
            _ => None,
        };
        let heard = was_heard.unwrap_or(ended_unheard != Some(link));
        let why = match error {
            OutboundFailure::ConnectionClosed if !heard => Failure::Refused,
            OutboundFailure::Timeout => Failure::Timeout,
            OutboundFailure::UnsupportedProtocols => Failure::NotSpoken(match kind {
                Kind::Blob => BLOB_NAME,
                Kind::Mail => MAIL_NAME,
            }),
            OutboundFailure::Io(error) => match Spoilt::of(&error) {
                Some(Spoilt::TooLarge { size, limit }) => Failure::TooLarge { size: *size, limit: *limit },
                None if !heard => Failure::Refused,
                Some(Spoilt::Midway(_)) | None => Failure::Lost,
            },
            OutboundFailure::ConnectionClosed | OutboundFailure::DialFailure => Failure::Lost,
        };
        self.tell(kind, Event::Failed { to, why });
    }

    fn sender_of(&mut self, kind: Kind, request: OutboundRequestId) -> Option<(NodeId, &mut Way)> {
        self.roster.iter_mut().find_map(|(node, peer)| {
            let way = peer.way(kind);
            match &way.outgoing {
                Some(Outgoing::Sent { request: other, .. }) if *other == request => Some((node.clone(), way)),
                _ => None,
            }
        })
    }

    fn carries_mail(&self, link: ConnectionId) -> bool {
        let peer = self.links.get(&link).and_then(|link| self.roster.get(&link.node));
        peer.is_some_and(|peer| peer.mail.outgoing.is_some() || peer.mail.arrived.is_some())
    }

    // Frames in.

    fn on_frame(&mut self, kind: Kind, event: request_response::Event<Vec<u8>, Vec<u8>>) {
        use request_response::Event as Frame;
        match event {
            Frame::Message { peer, connection_id, message } => {
                if let Some(link) = self.links.get_mut(&connection_id) {
                    link.heard = true;
                }
                match message {
                    Message::Request { request_id, request, channel } => {
                        self.on_arrived(peer, request, Reply { kind, request: request_id, channel });
                    }
                    Message::Response { request_id, response } => {
                        self.on_answered(kind, request_id, response);
                    }
                }
            }
            Frame::OutboundFailure { connection_id, request_id, error, .. } => {
                self.on_unanswered(kind, request_id, connection_id, error);
            }
            Frame::InboundFailure { peer, request_id, error, .. } => {
                tracing::debug!(%peer, %error, "a request ended without our answer");
                self.forget(kind, request_id);
            }
            Frame::ResponseSent { .. } => {}
        }
    }

    fn on_arrived(&mut self, id: PeerId, frame: Vec<u8>, reply: Reply) {
        let Some(from) = self.owners.get(&id).cloned() else { return };
        let peer = self.roster.get_mut(&from).expect("every owner is on the roster");
        let kind = reply.kind;
        let way = peer.way(kind);
        if way.arrived.is_some() {
            // Letting go of the reply ends the stream.
            tracing::debug!(peer = %from, "a request while its last one waits: turned away");
            return;
        }
        way.arrived = Some(reply.request);
        self.tell(kind, Event::Arrived { from, frame, reply });
    }

    fn respond(&mut self, Reply { kind, request, channel }: Reply, frame: Vec<u8>) {
        // From here on the peer may ask again: it can have our answer before we learn that it was sent.
        self.forget(kind, request);
        let limit = match kind {
            Kind::Blob => blob::MAX_REPLY,
            Kind::Mail => self.max_response,
        };
        if frame.len() > limit {
            tracing::error!(size = frame.len(), limit, "our response is too large");
        } else if self.swarm.behaviour_mut().of(kind).send_response(channel, frame).is_err() {
            tracing::debug!("our response came too late");
        }
    }

    fn forget(&mut self, kind: Kind, request: InboundRequestId) {
        let mut ways = self.roster.values_mut().map(|peer| peer.way(kind));
        if let Some(way) = ways.find(|way| way.arrived == Some(request)) {
            way.arrived = None;
        }
    }

    // Ends.

    /// End a connection now.
    fn cut(&mut self, connection: ConnectionId) {
        self.swarm.close_connection(connection);
        self.unlink(connection);
    }

    fn unlink(&mut self, connection: ConnectionId) {
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

impl Outgoing {
    fn sent(request: OutboundRequestId) -> Self {
        Outgoing::Sent { request, ended_unheard: None }
    }
}

/// Dial addresses at once; the first that answers must be `id`.
fn dial(swarm: &mut Swarm<Protocols>, id: PeerId, addrs: &[Multiaddr]) -> Result<ConnectionId, Failure> {
    if addrs.is_empty() {
        return Err(Failure::NoAddress);
    }
    let opts = DialOpts::peer_id(id)
        // Whether to dial is ours to decide: see `send`.
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

fn parse_peer_id(text: &str) -> Result<PeerId, NotAPeerId> {
    let flaw = || NotAPeerId(text.into());
    let id: PeerId = text.parse().map_err(|_| flaw())?;
    // The identity of an Ed25519 key holds the key itself.
    let key = PublicKey::try_decode_protobuf(id.as_ref().digest()).map_err(|_| flaw())?;
    if key.to_peer_id() == id && id.to_string() == text { Ok(id) } else { Err(flaw()) }
}

fn parse_address(text: &str) -> Result<Multiaddr, NotAnAddress> {
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

/// The innermost cause, which is the one that helps.
fn reason(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// Frames on a stream: four bytes of size, big-endian, then so many bytes.
#[derive(Clone)]
struct Frames {
    max_request: usize,
    max_response: usize,
}

impl request_response::Codec for Frames {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = Vec<u8>;

    async fn read_request<T>(&mut self, _: &StreamProtocol, stream: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        read_frame(stream, self.max_request).await
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, stream: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        read_frame(stream, self.max_response).await
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, stream: &mut T, frame: Vec<u8>) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write_frame(stream, &frame).await.map_err(Spoilt::midway)
    }

    async fn write_response<T>(
        &mut self,
        _: &StreamProtocol,
        stream: &mut T,
        frame: Vec<u8>,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write_frame(stream, &frame).await
    }
}

async fn read_frame(stream: &mut (impl AsyncRead + Unpin), limit: usize) -> io::Result<Vec<u8>> {
    let mut size = [0; 4];
    stream.read_exact(&mut size).await.map_err(Spoilt::midway)?;
    let size = usize::try_from(u32::from_be_bytes(size)).unwrap_or(usize::MAX);
    if size > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, Spoilt::TooLarge { size, limit }));
    }
    // The frame grows with what has come: a size is only a promise.
    let mut frame = Vec::new();
    stream.take(size as u64).read_to_end(&mut frame).await.map_err(Spoilt::midway)?;
    if frame.len() < size {
        return Err(Spoilt::midway(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(frame)
}

async fn write_frame(stream: &mut (impl AsyncWrite + Unpin), frame: &[u8]) -> io::Result<()> {
    let size = u32::try_from(frame.len()).map_err(io::Error::other)?;
    stream.write_all(&size.to_be_bytes()).await?;
    stream.write_all(frame).await
}

/// How a stream went wrong after the other side had accepted it. A failure without this mark came before.
#[derive(Debug, thiserror::Error)]
enum Spoilt {
    #[error("it broke off: {0}")]
    Midway(io::Error),
    #[error("a frame of {size} bytes where {limit} is the most")]
    TooLarge { size: usize, limit: usize },
}

impl Spoilt {
    fn midway(error: io::Error) -> io::Error {
        io::Error::new(error.kind(), Spoilt::Midway(error))
    }

    fn of(error: &io::Error) -> Option<&Spoilt> {
        error.get_ref()?.downcast_ref()
    }
}

/// A connection that ends without ceremony.
///
/// The usual end waits until the other side has taken what is still to be said, for a quarter of an hour if
/// its line is dead, and until then libp2p counts the connection among the living and gives it our frames.
/// Frames carry their size, so an abrupt end cannot pass for a short frame.
struct Curt<M>(M);

impl<M: StreamMuxer + Unpin> StreamMuxer for Curt<M> {
    type Substream = M::Substream;
    type Error = M::Error;

    fn poll_inbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<M::Substream, M::Error>> {
        Pin::new(&mut self.0).poll_inbound(cx)
    }

    fn poll_outbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<M::Substream, M::Error>> {
        Pin::new(&mut self.0).poll_outbound(cx)
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<StreamMuxerEvent, M::Error>> {
        Pin::new(&mut self.0).poll(cx)
    }
}

const MAIL_NAME: &str = "/liaison/mail/1";
const BLOB_NAME: &str = "/liaison/blob/1";

/// Mail, the first protocol of ours. Each is a field of [`Protocols`].
const MAIL: StreamProtocol = StreamProtocol::new(MAIL_NAME);

/// Pieces of attachments.
const BLOB: StreamProtocol = StreamProtocol::new(BLOB_NAME);

/// The variable that makes TLS libraries write session secrets to a file.
const KEY_LOG: &str = "SSLKEYLOGFILE";

/// Handshakes under way with who knows whom.
const MAX_PENDING_INCOMING: u32 = 128;

/// Of these, from one address: more than a State has nodes.
const MAX_PENDING_FROM_ONE: usize = 8;

/// Of these, over QUIC, whose senders may name any address: TCP keeps its places.
const MAX_PENDING_QUIC: usize = 64;

/// Bytes of one stream over QUIC that may wait to be read; of one connection, twice as many.
const QUIC_WINDOW: u32 = 2 * 1024 * 1024;

/// How long who comes to us may take to prove itself.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Dials under way; more than there are States.
const MAX_PENDING_OUTGOING: u32 = 256;

/// Connections that stand.
const MAX_CONNECTIONS: u32 = 512;

/// Connections with one node: one each way, when both dial at once, and one that nobody knows is dead.
const MAX_LINKS: usize = 3;

/// Requests of one connection and protocol being read, answered or sent. An honest peer needs two, and for a moment a
/// third; what an admitted peer can make us hold is this times connections times the longest frame.
const MAX_EXCHANGES: usize = 4;

/// Streams of one connection, with those being negotiated or closed.
const MAX_STREAMS: usize = 32;

/// Identities, and addresses, of one node.
const MAX_LISTED: usize = 8;

#[cfg(test)]
mod tests;

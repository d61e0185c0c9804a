//! The network between nodes: real swarms on loopback, and strangers.

use std::{
    future::pending,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use liaison_protocol::authority::NodeId;
use liaison_protocol::blob;
use libp2p::swarm::{SwarmEvent, dummy};
use libp2p::{Multiaddr, SwarmBuilder};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpSocket, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::{sleep, timeout},
};
use zeroize::Zeroizing;

use super::address::Place;
use super::doorstep::MAX_TCP;
use super::transport::HANDSHAKE_TIMEOUT;
use super::*;

/// A network as its node sees it.
struct Node {
    name: NodeId,
    seed: u8,
    network: Network,
    events: mpsc::Receiver<Event>,
    pieces: mpsc::UnboundedReceiver<Event>,
}

impl Node {
    /// The node of this seed, at a port of the system's choice.
    async fn start(name: &str, seed: u8) -> Self {
        Self::start_at(name, seed, "/ip4/127.0.0.1/tcp/0").await
    }

    async fn start_at(name: &str, seed: u8, listen: &str) -> Self {
        Self::start_with(name, seed, settings(seed, listen), 8).await
    }

    async fn start_with(name: &str, seed: u8, settings: Settings, room: usize) -> Self {
        let (sender, events) = mpsc::channel(room);
        let (piece, pieces) = mpsc::unbounded_channel();
        let network = start(settings, sender, piece).await.expect("a free port");
        Self { name: named(name), seed, network, events, pieces }
    }

    fn address(&self) -> String {
        self.network.listening()[0].clone()
    }

    fn port(&self) -> u16 {
        self.address().rsplit('/').next().and_then(|port| port.parse().ok()).expect("a port")
    }

    /// How others list it.
    fn listed(&self) -> PeerAddress {
        listed(self.name.as_str(), &[self.seed], &[&self.address()])
    }

    /// The next event that is not about connections alone.
    async fn next(&mut self) -> Event {
        loop {
            let event = timeout(Duration::from_secs(20), self.events.recv());
            match event.await.expect("an event in time").expect("a running network") {
                Event::Connected { .. } | Event::Disconnected { .. } => {}
                event => return event,
            }
        }
    }

    /// Send, and wait for the outcome, which must be the next thing to happen.
    async fn ask(&mut self, to: &NodeId, frame: Vec<u8>) -> Result<Vec<u8>, Failure> {
        self.network.send(to, frame);
        match self.next().await {
            Event::Answered { from, frame } if from == *to => Ok(frame),
            Event::Failed { to: failed, why } if failed == *to => Err(why),
            other => panic!("unexpected: {other:?}"),
        }
    }

    /// Take one request and give it back as the response.
    async fn echo(&mut self) -> (NodeId, Vec<u8>) {
        match self.next().await {
            Event::Arrived { from, frame, reply } => {
                self.network.respond(reply, frame.clone());
                (from, frame)
            }
            other => panic!("unexpected: {other:?}"),
        }
    }

    /// Echo until the network stops.
    fn echo_on(mut self) -> tokio::task::JoinHandle<Network> {
        tokio::spawn(async move {
            while let Some(event) = self.events.recv().await {
                if let Event::Arrived { frame, reply, .. } = event {
                    self.network.respond(reply, frame);
                }
            }
            self.network
        })
    }

    async fn stop(mut self) {
        self.network.shutdown();
        while self.events.recv().await.is_some() {}
    }

    /// Whatever was going to happen has happened; it was nothing.
    async fn hears_nothing(&mut self) {
        sleep(Duration::from_millis(200)).await;
        if let Ok(event) = self.events.try_recv() {
            panic!("unexpected: {event:?}");
        }
    }
}

fn named(name: &str) -> NodeId {
    let domain = name.trim_end_matches(".example/liaison").to_lowercase();
    format!("{domain}.example/liaison").parse().expect("a node's name")
}

fn settings(seed: u8, listen: &str) -> Settings {
    Settings {
        identity: TransportKey::new(Zeroizing::new([seed; 32])),
        listen: vec![listen.into()],
        max_request: 4 << 20,
        max_response: 64 << 10,
        request_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(60),
    }
}

fn listed(name: &str, seeds: &[u8], addrs: &[&str]) -> PeerAddress {
    PeerAddress {
        node: named(name),
        peer_ids: seeds.iter().map(|seed| peer_id_of(&[*seed; 32])).collect(),
        addrs: addrs.iter().map(|address| address.to_string()).collect(),
    }
}

/// Kenya and Peru, admitted to each other.
async fn pair() -> (Node, Node) {
    let (ken, per) = (Node::start("KEN", 1).await, Node::start("PER", 2).await);
    ken.network.admit(vec![per.listed()]);
    per.network.admit(vec![ken.listed()]);
    (ken, per)
}

/// An address where nobody listens.
async fn nowhere() -> String {
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    format!("/ip4/127.0.0.1/tcp/{}", socket.local_addr().expect("bound").port())
}

/// A wire to a node, which notes what the node says, and can fall silent.
struct Wire {
    address: String,
    line: Arc<Line>,
}

#[derive(Default)]
struct Line {
    said: Mutex<Vec<u8>>,
    connections: AtomicUsize,
    silenced: AtomicUsize,
    allowance: AtomicUsize,
}

impl Wire {
    async fn to(node: &Node) -> Self {
        let port = node.port();
        // A long wire with little room in it: what is not taken stays with the one who sends it.
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a small buffer");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
        let listener = socket.listen(16).expect("a port");
        let address = format!("/ip4/127.0.0.1/tcp/{}", listener.local_addr().expect("bound").port());
        let line = Arc::new(Line::default());
        let wire = Wire { address, line: line.clone() };
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(("127.0.0.1", port)).await.expect("the node listens");
                let number = line.connections.fetch_add(1, Ordering::SeqCst) + 1;
                let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                tokio::spawn(line.clone().carry(far_in, near_out, number, true));
                tokio::spawn(line.clone().carry(near_in, far_out, number, false));
            }
        });
        wire
    }

    /// The connections so far stay open, and after so many bytes more carry nothing.
    fn fall_silent(&self, after: usize) {
        self.line.allowance.store(after, Ordering::SeqCst);
        self.line.silenced.store(self.connections(), Ordering::SeqCst);
    }

    fn connections(&self) -> usize {
        self.line.connections.load(Ordering::SeqCst)
    }
}

impl Line {
    async fn carry(
        self: Arc<Self>,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
        number: usize,
        note: bool,
    ) {
        let mut bytes = vec![0; 4096];
        while let Ok(count @ 1..) = from.read(&mut bytes).await {
            if number <= self.silenced.load(Ordering::SeqCst) {
                let left = self.allowance.load(Ordering::SeqCst).saturating_sub(count);
                self.allowance.store(left, Ordering::SeqCst);
                if left == 0 {
                    return pending().await;
                }
            }
            if note {
                self.said.lock().expect("no panics here").extend(&bytes[..count]);
            }
            if to.write_all(&bytes[..count]).await.is_err() {
                return;
            }
        }
    }
}

#[tokio::test]
async fn one_connection_carries_both_directions() {
    let (mut ken, mut per) = pair().await;
    let wire = Wire::to(&per).await;
    ken.network.admit(vec![listed("PER", &[2], &[&wire.address])]);
    // Peru knows no address of Kenya's: it can only answer where Kenya came in.
    per.network.admit(vec![listed("KEN", &[1], &[])]);
    let (to_per, to_ken) = (per.name.clone(), ken.name.clone());
    assert_eq!(per.ask(&to_ken, vec![0]).await, Err(Failure::NoAddress));

    for size in [0, 1, 1000, 64 << 10] {
        let frame = vec![7; size];
        let (answer, heard) = tokio::join!(ken.ask(&to_per, frame.clone()), per.echo());
        assert_eq!((answer, heard), (Ok(frame.clone()), (to_ken.clone(), frame.clone())));
        let (answer, heard) = tokio::join!(per.ask(&to_ken, frame.clone()), ken.echo());
        assert_eq!((answer, heard), (Ok(frame.clone()), (to_per.clone(), frame)));
    }
    assert_eq!(wire.connections(), 1);
}

#[tokio::test]
async fn mail_does_not_wait_behind_a_piece() {
    let (mut ken, mut per) = pair().await;
    let wire = Wire::to(&per).await;
    ken.network.admit(vec![listed("PER", &[2], &[&wire.address])]);
    let to = per.name.clone();
    ken.network.fetch(&to, vec![1; 44]);
    let Some(Event::Arrived { from, frame, reply }) = per.pieces.recv().await else {
        panic!("a piece was asked for")
    };
    assert_eq!((&from, &frame), (&ken.name, &vec![1; 44]));
    // One at a time, of pieces as of mail; and the mail goes there and back meanwhile.
    ken.network.fetch(&to, vec![2; 44]);
    let again = ken.pieces.recv().await;
    assert!(matches!(&again, Some(Event::Failed { why: Failure::Busy, .. })), "{again:?}");
    for round in 0..3 {
        let (answer, _) = tokio::join!(ken.ask(&to, vec![round; 1000]), per.echo());
        assert_eq!(answer, Ok(vec![round; 1000]));
    }
    per.network.respond(reply, vec![3; blob::MAX_REPLY]);
    let answer = ken.pieces.recv().await;
    assert!(matches!(&answer, Some(Event::Answered { frame, .. }) if *frame == vec![3; blob::MAX_REPLY]));
    assert_eq!(wire.connections(), 1);
    // Bounds of their own.
    ken.network.fetch(&to, vec![1; 45]);
    let answer = ken.pieces.recv().await;
    assert!(matches!(&answer, Some(Event::Failed { why: Failure::TooLarge { .. }, .. })), "{answer:?}");
    ken.network.fetch(&to, vec![1; 44]);
    let Some(Event::Arrived { reply, .. }) = per.pieces.recv().await else { panic!("a piece was asked for") };
    per.network.respond(reply, vec![3; blob::MAX_REPLY + 1]);
    let answer = ken.pieces.recv().await;
    assert!(matches!(&answer, Some(Event::Failed { why: Failure::Lost, .. })), "{answer:?}");
}

#[tokio::test]
async fn a_piece_is_fetched_where_no_mail_has_made_a_connection() {
    let (mut ken, mut per) = pair().await;
    ken.network.fetch(&per.name, vec![1; 44]);
    let Some(Event::Arrived { reply, .. }) = per.pieces.recv().await else { panic!("a piece was asked for") };
    per.network.respond(reply, vec![2]);
    assert!(matches!(ken.pieces.recv().await, Some(Event::Answered { frame, .. }) if frame == [2]));
    per.network.admit(vec![]);
    ken.network.admit(vec![]);
    ken.network.fetch(&per.name, vec![1; 44]);
    let answer = ken.pieces.recv().await;
    assert!(matches!(&answer, Some(Event::Failed { why: Failure::NoSuchPeer, .. })), "{answer:?}");
}

#[tokio::test]
async fn the_handle_serves_a_thread_outside_the_runtime() {
    let (mut ken, per) = pair().await;
    let (network, to) = (ken.network.clone(), per.name.clone());
    per.echo_on();
    thread::spawn(move || network.send(&to, vec![1])).join().expect("no panic");
    assert!(matches!(ken.next().await, Event::Answered { frame, .. } if frame == [1]));
}

#[tokio::test]
async fn connections_are_told_once_per_node() {
    let (mut ken, per) = pair().await;
    let name = per.name.clone();
    ken.network.send(&name, vec![1]);
    let echo = per.echo_on();
    assert!(matches!(ken.events.recv().await, Some(Event::Connected { node }) if node == name));
    assert!(matches!(ken.events.recv().await, Some(Event::Answered { .. })));
    echo.abort();
    assert!(matches!(ken.events.recv().await, Some(Event::Disconnected { node }) if node == name));
}

#[tokio::test]
async fn both_may_dial_at_once() {
    /// Ask and be asked, in whichever order it comes.
    async fn trade(node: &mut Node) {
        let (mut answered, mut asked) = (false, false);
        while !(answered && asked) {
            match node.next().await {
                Event::Answered { .. } => answered = true,
                Event::Arrived { frame, reply, .. } => {
                    node.network.respond(reply, frame);
                    asked = true;
                }
                other => panic!("unexpected: {other:?}"),
            }
        }
    }
    for _ in 0..20 {
        let (mut ken, mut per) = pair().await;
        for _ in 0..5 {
            ken.network.send(&per.name, vec![1]);
            per.network.send(&ken.name, vec![2]);
            tokio::join!(trade(&mut ken), trade(&mut per));
        }
    }
}

#[tokio::test]
async fn a_stranger_gets_nowhere_and_is_counted() {
    let (mut ken, mut per) = (Node::start("KEN", 1).await, Node::start("PER", 2).await);
    ken.network.admit(vec![per.listed()]);
    for count in 1..=3 {
        assert_eq!(ken.ask(&per.name, vec![1]).await, Err(Failure::Refused));
        assert_eq!(per.network.strangers(), count);
    }
    per.hears_nothing().await;
    assert_eq!(per.ask(&ken.name, vec![1]).await, Err(Failure::NoSuchPeer));
}

#[tokio::test]
async fn a_stranger_who_dallies_keeps_nobody_out() {
    const EVICTED: usize = 16;
    let (mut ken, per) = pair().await;
    let port = per.port();
    let to = per.name.clone();
    let mut dalliers = Vec::new();
    for _ in 0..MAX_TCP + EVICTED {
        dalliers.push(TcpStream::connect(("127.0.0.1", port)).await.expect("it listens"));
    }
    sleep(Duration::from_millis(300)).await;
    // The newest keep their places; the others are turned away at once.
    let mut held = Vec::new();
    for dallier in &mut dalliers {
        let mut bytes = [0; 64];
        // Whoever is not turned away hears nothing, or our greeting, and no end.
        let heard = timeout(Duration::from_millis(20), dallier.read(&mut bytes)).await;
        held.push(!matches!(heard, Ok(Ok(0) | Err(_))));
    }
    assert!(held[..EVICTED].iter().all(|held| !held) && held[EVICTED..].iter().all(|held| *held));
    assert_eq!(per.network.crowded_out(), EVICTED as u64);

    // A peer from the same address is newer than all of them.
    per.echo_on();
    let began = Instant::now();
    assert_eq!(ken.ask(&to, vec![1]).await, Ok(vec![1]));
    assert!(began.elapsed() < HANDSHAKE_TIMEOUT / 2, "it did not wait for them");
    sleep(HANDSHAKE_TIMEOUT).await;
    for dallier in &mut dalliers {
        let mut bytes = Vec::new();
        let ended = timeout(Duration::from_secs(3), dallier.read_to_end(&mut bytes)).await;
        assert!(ended.is_ok(), "nobody keeps a place for long");
    }
}

#[tokio::test]
async fn who_comes_from_where_a_peer_is_or_was_is_no_stranger() {
    let (mut ken, per) = (Node::start("KEN", 1).await, Node::start("PER", 2).await);
    let here: Multiaddr = "/ip4/127.0.0.1/tcp/1".parse().expect("an address");
    let place = Place::of(&here).expect("a number");
    let (network, to) = (per.network.clone(), per.name.clone());
    ken.network.admit(vec![per.listed()]);
    per.network.admit(vec![listed(ken.name.as_str(), &[1], &[])]);
    per.echo_on();
    assert!(!network.shared.is_peers_place(&place), "no address of it is listed, and it was never here");
    assert_eq!(ken.ask(&to, vec![1]).await, Ok(vec![1]));
    assert!(network.shared.is_peers_place(&place), "it was here");
    let until = |admitted: Vec<PeerAddress>, is_known: bool| {
        network.admit(admitted);
        let network = network.clone();
        async move {
            while network.shared.is_peers_place(&place) != is_known {
                sleep(Duration::from_millis(10)).await;
            }
        }
    };
    let in_time = Duration::from_secs(10);
    timeout(in_time, until(Vec::new(), false)).await.expect("a peer that was removed is a stranger");
    timeout(in_time, until(vec![ken.listed()], true)).await.expect("its key set lists it");
}

#[tokio::test]
async fn where_a_peer_is_dialled_says_nothing_of_where_it_comes_from() {
    let ken = Node::start("KEN", 1).await;
    let mut per = Node::start_at("PER", 2, "/ip4/0.0.0.0/tcp/0").await;
    let elsewhere = format!("/ip4/127.0.0.2/tcp/{}", per.port());
    let (network, to_ken, to_per) = (ken.network.clone(), ken.name.clone(), per.name.clone());
    network.admit(vec![listed(per.name.as_str(), &[2], &[&elsewhere])]);
    per.network.admit(vec![ken.listed()]);
    ken.echo_on();
    assert_eq!(per.ask(&to_ken, vec![1]).await, Ok(vec![1]));
    // The second is asked for when all is done about the first.
    for _ in 0..2 {
        network.try_address(&to_per, &elsewhere).await.expect("it listens there too");
    }
    for (at, why) in [("127.0.0.1", "it came from there"), ("127.0.0.2", "its key set lists that")] {
        let at: Multiaddr = format!("/ip4/{at}/tcp/1").parse().expect("an address");
        assert!(network.shared.is_peers_place(&Place::of(&at).expect("a number")), "{why}");
    }
}

#[tokio::test]
async fn quic_proves_the_same_identities_as_tcp() {
    const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";
    let mut ken = Node::start_at("KEN", 1, QUIC).await;
    let mut per = Node::start_at("PER", 2, QUIC).await;
    let (to_per, to_ken) = (per.name.clone(), ken.name.clone());
    ken.network.admit(vec![per.listed()]);
    // A stranger gets nowhere.
    assert_eq!(ken.ask(&to_per, vec![1]).await, Err(Failure::Refused));
    assert_eq!(per.network.strangers(), 1);
    per.network.admit(vec![ken.listed()]);
    for size in [0, 1, 4 << 20] {
        let frame = vec![7; size];
        ken.network.send(&to_per, frame.clone());
        match per.next().await {
            Event::Arrived { from, frame: heard, reply } => {
                assert!(from == to_ken && heard == frame);
                per.network.respond(reply, vec![1]);
            }
            other => panic!("unexpected: {other:?}"),
        }
        assert!(matches!(ken.next().await, Event::Answered { frame, .. } if frame == [1]));
    }
    // Who is removed is cut off, and turned away.
    per.network.admit(vec![]);
    let after = ken.ask(&to_per, vec![1]).await;
    assert!(matches!(after, Err(Failure::Refused | Failure::Lost)), "{after:?}");
    // Somebody else at its address is somebody else.
    ken.network.admit(vec![listed("CHL", &[3], &[&per.address()])]);
    let other = ken.ask(&named("CHL"), vec![1]).await;
    assert!(
        matches!(&other, Err(Failure::WrongIdentity { found, .. }) if *found == peer_id_of(&[2; 32])),
        "{other:?}"
    );
    let tried = ken.network.try_address(&named("CHL"), &per.address()).await;
    assert!(matches!(tried, Err(Failure::WrongIdentity { .. })), "{tried:?}");
}

#[tokio::test]
async fn where_no_quic_answers_tcp_does() {
    let (mut ken, per) = pair().await;
    let dead = nowhere().await.replace("/tcp/", "/udp/") + "/quic-v1";
    ken.network.admit(vec![listed("PER", &[2], &[&dead, &per.address()])]);
    let to = per.name.clone();
    let (tcp, _network) = (per.address(), per.echo_on());
    assert_eq!(ken.ask(&to, vec![1]).await, Ok(vec![1]));
    assert_eq!(ken.network.try_address(&to, &tcp).await, Ok(()));
    let tried = ken.network.try_address(&to, &dead).await;
    assert!(matches!(tried, Err(Failure::Unreachable(_))), "{tried:?}");
    assert_eq!(ken.network.try_address(&named("CHL"), &tcp).await, Err(Failure::NoSuchPeer));
}

#[tokio::test]
async fn a_removed_peer_is_cut_off_at_once_and_refused() {
    let (mut ken, mut per) = pair().await;
    let name = per.name.clone();
    let (answer, _) = tokio::join!(ken.ask(&name, vec![1]), per.echo());
    assert_eq!(answer, Ok(vec![1]));

    // In the middle of a request, too.
    ken.network.send(&name, vec![2]);
    let Event::Arrived { reply, .. } = per.next().await else { panic!("a request was sent") };
    per.network.admit(vec![]);
    assert!(matches!(ken.next().await, Event::Failed { why: Failure::Lost, .. }));
    per.network.respond(reply, vec![2]);
    assert_eq!(ken.ask(&name, vec![3]).await, Err(Failure::Refused));
    assert!(matches!(per.events.recv().await, Some(Event::Disconnected { .. })));
    per.hears_nothing().await;

    // And what we were sending to one we remove has its outcome.
    per.network.admit(vec![ken.listed()]);
    ken.network.send(&name, vec![4]);
    let Event::Arrived { .. } = per.next().await else { panic!("a request was sent") };
    ken.network.admit(vec![]);
    assert!(matches!(ken.next().await, Event::Failed { why: Failure::NoSuchPeer, .. }));
}

#[tokio::test]
async fn a_peer_that_comes_back_is_found_again() {
    let (mut ken, per) = pair().await;
    let (name, address, list) = (per.name.clone(), per.address(), ken.listed());
    per.stop().await;
    let down = ken.ask(&name, vec![1]).await;
    assert!(matches!(&down, Err(Failure::Unreachable(why)) if why.contains(&address)), "{down:?}");

    for round in 0..3 {
        let per = Node::start_at("PER", 2, &address).await;
        per.network.admit(vec![list.clone()]);
        let echo = per.echo_on();
        let answer = ken.ask(&name, vec![round]).await;
        // The connection of the round before may be found dead only now.
        let answer = if answer.is_err() { ken.ask(&name, vec![round]).await } else { answer };
        assert_eq!(answer, Ok(vec![round]));
        echo.abort();
        let _ = echo.await;
    }
}

#[tokio::test]
async fn who_does_not_speak_our_protocol_is_said_not_to() {
    let mut ken = Node::start("KEN", 1).await;
    // It proves Peru's identity, and speaks nothing.
    let mut silent = SwarmBuilder::with_existing_identity(TransportKey::new([2; 32].into()).keypair())
        .with_tokio()
        .with_other_transport(transport::transport)
        .expect("the same transport")
        .with_behaviour(|_| dummy::Behaviour)
        .expect("no error")
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(60)))
        .build();
    silent.listen_on("/ip4/127.0.0.1/tcp/0".parse().expect("an address")).expect("a free port");
    let address = loop {
        if let SwarmEvent::NewListenAddr { address, .. } = silent.select_next_some().await {
            break address.to_string();
        }
    };
    ken.network.admit(vec![listed("PER", &[2], &[&address])]);
    let name = named("PER");
    let answer = tokio::select! {
        answer = ken.ask(&name, vec![0; 1000]) => answer,
        () = async { loop { silent.select_next_some().await; } } => unreachable!("it goes on for ever"),
    };
    assert_eq!(answer, Err(Failure::NotSpoken("/liaison/mail/1")));
}

#[tokio::test]
async fn a_frame_too_large_fails_alone() {
    let modest = Settings { max_request: 1000, max_response: 100, ..settings(2, "/ip4/127.0.0.1/tcp/0") };
    let (mut ken, mut per) = (Node::start("KEN", 1).await, Node::start_with("PER", 2, modest, 8).await);
    ken.network.admit(vec![per.listed()]);
    per.network.admit(vec![ken.listed()]);
    let (to_per, to_ken) = (per.name.clone(), ken.name.clone());

    // We know it ourselves.
    let limit = 4 << 20;
    let too_large = Failure::TooLarge { size: limit + 1, limit };
    assert_eq!(ken.ask(&to_per, vec![0; limit + 1]).await, Err(too_large));
    // The other side knows it, on a fresh connection and on a used one.
    for size in [1001, limit] {
        assert_eq!(ken.ask(&to_per, vec![0; size]).await, Err(Failure::Lost));
        let (answer, _) = tokio::join!(ken.ask(&to_per, vec![7; 100]), per.echo());
        assert_eq!(answer, Ok(vec![7; 100]));
    }
    // Our own response is too large: the other side sees a request without an answer.
    let (answer, _) = tokio::join!(ken.ask(&to_per, vec![7; 101]), per.echo());
    assert_eq!(answer, Err(Failure::Lost));
    // Their response is too large for us.
    let (answer, _) = tokio::join!(per.ask(&to_ken, vec![7; 101]), ken.echo());
    assert_eq!(answer, Err(Failure::TooLarge { size: 101, limit: 100 }));
    let (answer, _) = tokio::join!(per.ask(&to_ken, vec![7; 100]), ken.echo());
    assert_eq!(answer, Ok(vec![7; 100]));
}

#[tokio::test]
async fn any_valid_identity_of_a_node_will_do() {
    for (seeds, running) in [([2, 3], 2), ([2, 3], 3), ([3, 2], 2), ([3, 2], 3)] {
        let (mut ken, mut per) = (Node::start("KEN", 1).await, Node::start("PER", running).await);
        per.network.admit(vec![ken.listed()]);
        // An address that is dead and one that is somebody else's do not hide the good one.
        let other = Node::start("CHL", 9).await;
        let addrs = [nowhere().await, other.address(), per.address()];
        let addrs: Vec<&str> = addrs.iter().map(String::as_str).collect();
        ken.network.admit(vec![listed("PER", &seeds, &addrs)]);
        let to = per.name.clone();
        let (answer, heard) = tokio::join!(ken.ask(&to, vec![5]), per.echo());
        assert_eq!((answer, heard.0), (Ok(vec![5]), ken.name.clone()), "{seeds:?}, {running}");
    }
}

#[tokio::test]
async fn an_identity_that_expires_is_cut_and_the_other_stays() {
    let (mut old, mut new) = (Node::start("PER", 2).await, Node::start("PER", 3).await);
    let mut ken = Node::start("KEN", 1).await;
    let (to, list) = (old.name.clone(), ken.listed());
    old.network.admit(vec![list.clone()]);
    new.network.admit(vec![list]);
    let both = [old.address(), new.address()];
    let both: Vec<&str> = both.iter().map(String::as_str).collect();
    ken.network.admit(vec![listed("PER", &[2, 3], &both[..1])]);
    let (answer, _) = tokio::join!(ken.ask(&to, vec![1]), old.echo());
    assert_eq!(answer, Ok(vec![1]));

    ken.network.admit(vec![listed("PER", &[3], &both)]);
    assert!(matches!(ken.events.recv().await, Some(Event::Disconnected { .. })));
    let (answer, _) = tokio::join!(ken.ask(&to, vec![2]), new.echo());
    assert_eq!(answer, Ok(vec![2]));
    assert_eq!(old.ask(&ken.name, vec![3]).await, Err(Failure::Refused));
}

#[tokio::test]
async fn somebody_else_at_the_address_is_named() {
    let (mut ken, chl) = (Node::start("KEN", 1).await, Node::start("CHL", 3).await);
    // Chile is admitted, and still is not Peru.
    ken.network.admit(vec![chl.listed(), listed("PER", &[2], &[&nowhere().await, &chl.address()])]);
    chl.network.admit(vec![ken.listed()]);
    let wrong = Failure::WrongIdentity { address: chl.address(), found: peer_id_of(&[3; 32]) };
    assert_eq!(ken.ask(&named("PER"), vec![1]).await, Err(wrong));
    // Nor are we ourselves.
    ken.network.admit(vec![listed("PER", &[2], &[&ken.address()])]);
    let own = ken.ask(&named("PER"), vec![1]).await;
    assert!(matches!(&own, Err(Failure::Unreachable(why)) if why.contains("our own")), "{own:?}");
    let wire = Wire::to(&ken).await;
    ken.network.admit(vec![listed("PER", &[2], &[&wire.address, &ken.address()])]);
    let wrong = Failure::WrongIdentity { address: wire.address, found: peer_id_of(&[1; 32]) };
    assert_eq!(ken.ask(&named("PER"), vec![1]).await, Err(wrong));
}

#[tokio::test]
async fn an_identity_two_nodes_claim_stays_where_it_was() {
    let (mut ken, mut per) = pair().await;
    let claim = listed("CHL", &[2], &[&per.address()]);
    let (to, list) = (ken.name.clone(), per.listed());
    for roster in [vec![list.clone()], vec![claim.clone(), list.clone()], vec![list, claim]] {
        ken.network.admit(roster);
        let (answer, heard) = tokio::join!(per.ask(&to, vec![1]), ken.echo());
        assert_eq!((answer, heard.0), (Ok(vec![1]), per.name.clone()));
    }
}

#[tokio::test]
async fn one_request_per_peer_waits_and_the_next_is_turned_away() {
    // Two processes with one identity, as after a botched move to another machine.
    let (mut ken, mut twin, mut per) =
        (Node::start("KEN", 1).await, Node::start("KEN", 1).await, Node::start("PER", 2).await);
    per.network.admit(vec![ken.listed()]);
    let to = per.name.clone();
    for node in [&ken, &twin] {
        node.network.admit(vec![per.listed()]);
    }
    ken.network.send(&to, vec![1]);
    let Event::Arrived { reply, .. } = per.next().await else { panic!("a request was sent") };
    assert_eq!(twin.ask(&to, vec![2]).await, Err(Failure::Lost));
    assert_eq!(ken.ask(&to, vec![3]).await, Err(Failure::Busy));
    per.network.respond(reply, vec![4]);
    assert!(matches!(ken.next().await, Event::Answered { frame, .. } if frame == [4]));
    // A reply let go frees the place as well.
    twin.network.send(&to, vec![5]);
    drop(per.next().await);
    assert!(matches!(twin.next().await, Event::Failed { why: Failure::Lost, .. }));
    let (answer, _) = tokio::join!(twin.ask(&to, vec![6]), per.echo());
    assert_eq!(answer, Ok(vec![6]));
}

#[tokio::test]
async fn a_wire_gone_dead_costs_one_time_out() {
    let hasty = |seed| Settings {
        request_timeout: Duration::from_millis(500),
        ..settings(seed, "/ip4/127.0.0.1/tcp/0")
    };
    let mut ken = Node::start_with("KEN", 1, hasty(1), 8).await;
    let per = Node::start_with("PER", 2, hasty(2), 8).await;
    let wire = Wire::to(&per).await;
    let to = per.name.clone();
    ken.network.admit(vec![listed("PER", &[2], &[&wire.address])]);
    per.network.admit(vec![ken.listed()]);
    per.echo_on();
    // More often than a peer may have connections: Peru does not know that the old ones are dead.
    for round in 0..6 {
        assert_eq!(ken.ask(&to, vec![round; 1000]).await, Ok(vec![round; 1000]), "round {round}");
        wire.fall_silent(20_000);
        assert_eq!(ken.ask(&to, vec![round; 4 << 20]).await, Err(Failure::Timeout), "round {round}");
    }
}

#[tokio::test]
async fn events_nobody_takes_hold_the_network_back() {
    let slow = settings(9, "/ip4/127.0.0.1/tcp/0");
    let mut chl = Node::start_with("CHL", 9, slow, 1).await;
    let to = chl.name.clone();
    let mut peers = Vec::new();
    for seed in 1..=5 {
        let peer = Node::start(&format!("P{seed}"), seed).await;
        peer.network.admit(vec![chl.listed()]);
        peers.push(peer);
    }
    chl.network.admit(peers.iter().map(Node::listed).collect());
    for peer in &peers {
        peer.network.send(&to, vec![peer.seed]);
    }
    sleep(Duration::from_millis(300)).await;
    assert_eq!(chl.events.len(), 1, "the channel is full, and nothing is lost");
    for _ in &peers {
        chl.echo().await;
    }
    for peer in &mut peers {
        assert!(matches!(peer.next().await, Event::Answered { frame, .. } if frame == [peer.seed]));
    }
    // Nor does a full channel hold up the end.
    for peer in &peers {
        peer.network.send(&to, vec![0]);
    }
    sleep(Duration::from_millis(100)).await;
    timeout(Duration::from_secs(5), chl.stop()).await.expect("it stops");
}

#[tokio::test]
async fn every_frame_has_one_outcome_whatever_happens_to_the_peer() {
    for seed in 1..=4_u64 {
        let mut random = seed;
        let mut below = |limit: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % limit
        };
        let (mut ken, per) = pair().await;
        let (to, address, list) = (per.name.clone(), per.address(), ken.listed());
        let mut network = per.network.clone();
        let mut echo = Some(per.echo_on());
        let (mut answered, mut failed) = (0, 0);
        for turn in 0..60 {
            let frame = vec![turn; 1 + below(200_000) as usize % 60_000];
            ken.network.send(&to, frame.clone());
            sleep(Duration::from_micros(below(1500))).await;
            match (below(3), echo.take()) {
                (0, Some(running)) => {
                    network.shutdown();
                    drop(running.await.expect("no panic"));
                }
                (_, None) => {
                    let per = Node::start_at("PER", 2, &address).await;
                    per.network.admit(vec![list.clone()]);
                    network = per.network.clone();
                    echo = Some(per.echo_on());
                }
                (_, running) => echo = running,
            }
            match ken.next().await {
                Event::Answered { frame: answer, .. } => {
                    assert_eq!(answer, frame, "seed {seed}, turn {turn}");
                    answered += 1;
                }
                Event::Failed { .. } => failed += 1,
                other => panic!("seed {seed}, turn {turn}: {other:?}"),
            }
        }
        assert!(answered > 0 && failed > 0, "seed {seed}: {answered} answered, {failed} failed");
        while let Ok(event) = timeout(Duration::from_millis(200), ken.events.recv()).await {
            let late = matches!(event, Some(Event::Answered { .. } | Event::Failed { .. }));
            assert!(!late, "seed {seed}: a second outcome, {event:?}");
        }
    }
}

#[tokio::test]
async fn a_quiet_connection_ends_when_we_said_and_is_made_again() {
    let brief = |seed| Settings {
        idle_timeout: Duration::from_millis(200),
        ..settings(seed, "/ip4/127.0.0.1/tcp/0")
    };
    let mut ken = Node::start_with("KEN", 1, brief(1), 8).await;
    let per = Node::start_with("PER", 2, brief(2), 8).await;
    let to = per.name.clone();
    ken.network.admit(vec![per.listed()]);
    per.network.admit(vec![ken.listed()]);
    per.echo_on();
    for _ in 0..3 {
        let began = Instant::now();
        assert_eq!(ken.ask(&to, vec![1]).await, Ok(vec![1]));
        assert!(matches!(ken.events.recv().await, Some(Event::Disconnected { .. })));
        assert!(began.elapsed() >= Duration::from_millis(150));
    }
}

#[tokio::test]
async fn a_name_is_an_address() {
    let (mut ken, mut per) = pair().await;
    let name = per.address().replace("/ip4/127.0.0.1/", "/dns4/localhost/");
    ken.network.admit(vec![listed("PER", &[2], &[&name])]);
    let to = per.name.clone();
    let (answer, _) = tokio::join!(ken.ask(&to, vec![1]), per.echo());
    assert_eq!(answer, Ok(vec![1]));
}

#[tokio::test]
async fn a_port_is_not_shared() {
    let ken = Node::start("KEN", 1).await;
    let (sender, _events) = mpsc::channel::<Event>(1);
    let second = start(settings(2, &ken.address()), sender, mpsc::unbounded_channel().0).await;
    assert!(matches!(second, Err(NetworkError::Listen { address, .. }) if address == ken.address()));
}

#[test]
fn identities_and_addresses_are_checked_with_a_remedy() {
    check_peer_id(&peer_id_of(&[1; 32])).expect("our own kind of identity");
    // An RSA identity, a bare hash, a slip of the pen, nothing.
    for text in ["QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N", "12D3Koo", " 12D3KooW", ""] {
        let flaw = check_peer_id(text).expect_err(text).to_string();
        assert!(flaw.contains("key set"), "{flaw}");
    }
    for (text, host, is_name, is_quic) in [
        ("/ip4/127.0.0.1/tcp/0", "127.0.0.1", false, false),
        ("/ip6/::1/tcp/4710", "::1", false, false),
        ("/dns4/liaison.example.ke/tcp/4710", "liaison.example.ke", true, false),
        ("/ip4/127.0.0.1/udp/4710/quic-v1", "127.0.0.1", false, true),
        ("/dns/liaison.example.ke/udp/4710/quic-v1", "liaison.example.ke", true, true),
    ] {
        let to = Destination::of(text).expect("an address");
        assert_eq!((to.host.as_str(), to.is_name, to.is_quic), (host, is_name, is_quic));
    }
    let id = peer_id_of(&[1; 32]);
    for text in [
        "127.0.0.1:4710",
        "/ip4/127.0.0.1",
        "/ip4/127.0.0.1/udp/4710",
        "/ip4/127.0.0.1/udp/4710/quic",
        "/ip4/127.0.0.1/udp/4710/quic-v1/webtransport",
        "/ip4/127.0.0.1/tcp/4710/quic-v1",
        "/dnsaddr/liaison.example.ke",
        "/memory/1",
        &format!("/ip4/127.0.0.1/tcp/4710/p2p/{id}"),
        "",
    ] {
        let flaw = check_address(text).expect_err(text).to_string();
        assert!(flaw.contains("/dns4/liaison.example.ke/tcp/4710"), "{flaw}");
    }
}

#[test]
fn a_key_never_shows() {
    let shown = format!("{:?}", settings(7, ""));
    assert!(shown.contains("12D3Koo") && !shown.contains("7, 7"), "{shown}");
}

#[tokio::test]
async fn connections_use_tls_1_3_with_the_hybrid_group() {
    let (mut ken, mut per) = pair().await;
    let wire = Wire::to(&per).await;
    ken.network.admit(vec![listed("PER", &[2], &[&wire.address])]);
    let to = per.name.clone();
    let (answer, _) = tokio::join!(ken.ask(&to, vec![1]), per.echo());
    assert_eq!(answer, Ok(vec![1]));
    let said = wire.line.said.lock().expect("no panics here").clone();
    let hello = ServerHello::read(&said).expect("a ServerHello after the choice of TLS");
    // RFC 8446, section 4.2.1; draft-ietf-tls-ecdhe-mlkem, X25519MLKEM768.
    assert_eq!(hello, ServerHello { version: 0x0304, group: 0x11ec });
}

#[tokio::test]
async fn man_in_the_middle_downgrade_to_another_security_or_an_older_tls_is_refused() {
    let per = Node::start("PER", 2).await;
    let mut line = TcpStream::connect(("127.0.0.1", per.port())).await.expect("it listens");
    // multistream-select: what a node does not speak it answers with "na".
    let named = |name: &str| [&[name.len() as u8 + 1], name.as_bytes(), b"\n"].concat();
    let greeting = named("/multistream/1.0.0");
    let proposed = ["/noise", "/plaintext/2.0.0", "/tls/1.0.0"].map(named);
    line.write_all(&[greeting.clone(), proposed.concat()].concat()).await.expect("it listens");
    let expected = [greeting, named("na"), named("na"), named("/tls/1.0.0")].concat();
    let mut said = vec![0; expected.len()];
    timeout(HANDSHAKE_TIMEOUT, line.read_exact(&mut said)).await.expect("in time").expect("an answer");
    assert_eq!(said, expected);

    // A ClientHello without `supported_versions` offers TLS 1.2 at most (RFC 8446, appendix D.2).
    let suites_and_compression = [0, 2, 0xc0, 0x2b, 1, 0];
    let extensions = [0, 16, 0, 10, 0, 4, 0, 2, 0, 0x1d, 0, 13, 0, 4, 0, 2, 8, 7];
    let hello = [&[3, 3], [7; 32].as_slice(), &[0], &suites_and_compression, &extensions].concat();
    let length = hello.len() as u8;
    let record = [&[0x16, 3, 1, 0, length + 4, 1, 0, 0, length], hello.as_slice()].concat();
    line.write_all(&record).await.expect("it listens");
    let mut said = Vec::new();
    timeout(HANDSHAKE_TIMEOUT, line.read_to_end(&mut said)).await.expect("it ends").expect("in order");
    // A fatal alert: protocol_version.
    assert_eq!(said, [0x15, 3, 3, 0, 2, 2, 70]);
    per.stop().await;
}

/// What a server chose, as RFC 8446, section 4.1.3 puts it.
#[derive(Debug, Eq, PartialEq)]
struct ServerHello {
    version: u16,
    group: u16,
}

impl ServerHello {
    /// Read it from the first bytes a node says: multistream-select in clear, then TLS records.
    fn read(mut said: &[u8]) -> Option<Self> {
        let said = &mut said;
        while {
            let length = take(said, 1)?[0].into();
            take(said, length)? != b"/tls/1.0.0\n"
        } {}
        let [0x16, 3, 3, ..] = take(said, 5)? else { return None };
        let [2, ..] = take(said, 4)? else { return None };
        take(said, 2 + 32)?;
        let session = usize::from(take(said, 1)?[0]);
        take(said, session + 2 + 1)?;
        let length = number(said)?;
        let mut extensions = take(said, length.into())?;
        let (mut version, mut group) = (None, None);
        while !extensions.is_empty() {
            let (kind, length) = (number(&mut extensions)?, number(&mut extensions)?);
            let mut body = take(&mut extensions, length.into())?;
            match kind {
                43 => version = number(&mut body),
                51 => group = number(&mut body),
                _ => {}
            }
        }
        Some(Self { version: version?, group: group? })
    }
}

fn take<'a>(from: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = from.split_at_checked(count)?;
    *from = rest;
    Some(taken)
}

fn number(from: &mut &[u8]) -> Option<u16> {
    take(from, 2)?.try_into().ok().map(u16::from_be_bytes)
}

#[tokio::test]
#[ignore = "a measurement"]
async fn round_trips_per_second() {
    let (mut ken, per) = pair().await;
    let to = per.name.clone();
    per.echo_on();
    let began = Instant::now();
    for _ in 0..5000 {
        ken.ask(&to, vec![1; 1024]).await.expect("an answer");
    }
    println!("{:.0} round trips/s", 5000.0 / began.elapsed().as_secs_f64());
}

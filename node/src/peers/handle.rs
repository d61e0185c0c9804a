//! The handle of the network, and what it and the task share: orders in, and what can be seen of the task.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use liaison_protocol::authority::NodeId;
use tokio::sync::{Notify, mpsc, oneshot};

use super::address::Place;
use super::frames::Kind;
use super::told::{Failure, Reply};

/// The handle of the network, for any thread. It never blocks; the network ends with its last handle.
#[derive(Clone, Debug)]
pub struct Network {
    // Unbounded, and yet bounded: a peer adds at most one `Send` of each kind until its outcome is told, each reply
    // answers one request of which a peer has one of each, and rosters come one per recorded change. Whoever gives
    // these orders is the one who takes the events, so nothing piles up that it has not itself put here.
    pub(super) orders: mpsc::UnboundedSender<Order>,
    pub(super) shared: Arc<Shared>,
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

    /// How many handshakes made room for newer ones, because there were too many at once.
    pub fn crowded_out(&self) -> u64 {
        self.shared.crowded_out.load(Ordering::Relaxed)
    }

    /// Replace the roster. Who is no longer on it is cut off at once and turned away from then on.
    ///
    /// An identity that two nodes claim stays with the node that had it, else goes to the one named first.
    pub fn admit(&self, roster: Vec<PeerAddress>) {
        self.order(Order::Admit(roster));
    }

    /// Send a request. Exactly one [`Event::Answered`](super::Event::Answered) or
    /// [`Event::Failed`](super::Event::Failed) tells its outcome.
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

/// What the handle asks of the task.
#[derive(Debug)]
pub(super) enum Order {
    Admit(Vec<PeerAddress>),
    Respond(Reply, Vec<u8>),
    Send(Kind, NodeId, Vec<u8>),
    Try(NodeId, String, oneshot::Sender<Result<(), Failure>>),
}

/// What the handle can see of the task.
#[derive(Debug, Default)]
pub(super) struct Shared {
    listening: RwLock<Vec<String>>,
    peers_places: RwLock<HashSet<Place>>,
    pub(super) strangers: AtomicU64,
    pub(super) crowded_out: AtomicU64,
    pub(super) stop: Notify,
}

impl Shared {
    pub(super) fn change_listening(&self, change: impl FnOnce(&mut Vec<String>)) {
        change(&mut self.listening.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Whether an admitted peer is found there, or was there last.
    pub(super) fn is_peers_place(&self, place: &Place) -> bool {
        self.peers_places.read().unwrap_or_else(PoisonError::into_inner).contains(place)
    }

    pub(super) fn set_peers_places(&self, places: HashSet<Place>) {
        *self.peers_places.write().unwrap_or_else(PoisonError::into_inner) = places;
    }
}

//! The task's room: every socket, and the loop that takes orders and notices what the sockets bring.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::StreamExt;
use liaison_protocol::authority::NodeId;
use libp2p::allow_block_list::NotAllowed;
use libp2p::request_response::{self, Message};
use libp2p::swarm::{ConnectionId, ListenError, SwarmEvent};
use libp2p::{PeerId, Swarm};
use tokio::sync::{mpsc, oneshot};

use super::frames::Kind;
use super::handle::{Order, Shared};
use super::peer::{Link, Peer};
use super::swarm::{Protocols, ProtocolsEvent};
use super::told::{Event, Failure, Reply, reason};

/// The task's room: every socket, and what we know of every peer.
pub(super) struct Room<E> {
    pub(super) swarm: Swarm<Protocols>,
    pub(super) max_request: usize,
    pub(super) max_response: usize,
    pub(super) roster: BTreeMap<NodeId, Peer>,
    /// Whose identity it is.
    pub(super) owners: HashMap<PeerId, NodeId>,
    /// Dials for their own sake, and who waits for their outcome.
    pub(super) tries: HashMap<ConnectionId, (NodeId, oneshot::Sender<Result<(), Failure>>)>,
    /// Connections with admitted peers, oldest first.
    pub(super) links: BTreeMap<ConnectionId, Link>,
    /// What is to be told before anything else is done.
    pub(super) news: VecDeque<Event>,
    pub(super) shared: Arc<Shared>,
    pub(super) pieces: mpsc::UnboundedSender<Event>,
    // Last, so that the channel closes after every socket has.
    pub(super) events: mpsc::Sender<E>,
}

impl<E: From<Event>> Room<E> {
    /// Work until nobody gives orders or nobody listens to what they come to.
    pub(super) async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
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
    pub(super) fn tell(&mut self, kind: Kind, event: Event) {
        match kind {
            Kind::Blob => drop(self.pieces.send(event)),
            Kind::Mail => self.news.push_back(event),
        }
    }

    fn notice(&mut self, event: SwarmEvent<ProtocolsEvent>) {
        match event {
            SwarmEvent::Behaviour(ProtocolsEvent::Mail(event)) => self.on_frame(Kind::Mail, event),
            SwarmEvent::Behaviour(ProtocolsEvent::Blob(event)) => self.on_frame(Kind::Blob, event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                if let Some((_, outcome)) = self.tries.remove(&connection_id) {
                    let _ = outcome.send(Ok(()));
                }
                self.on_connected(peer_id, connection_id, &endpoint);
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
}

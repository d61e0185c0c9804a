//! Frames out: ours, and what became of them.

use std::io::ErrorKind;

use liaison_protocol::authority::NodeId;
use liaison_protocol::blob;
use libp2p::request_response::{OutboundFailure, OutboundRequestId};
use libp2p::swarm::ConnectionId;

use super::dials::dial;
use super::frames::{Kind, Spoilt};
use super::peer::{Outgoing, Way};
use super::room::Room;
use super::swarm::{BLOB_NAME, MAIL_NAME};
use super::told::{Event, Failure};

impl<E: From<Event>> Room<E> {
    pub(super) fn send(&mut self, kind: Kind, to: &NodeId, frame: Vec<u8>) -> Result<(), Failure> {
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

    pub(super) fn on_answered(&mut self, kind: Kind, request: OutboundRequestId, frame: Vec<u8>) {
        if let Some((from, way)) = self.sender_of(kind, request) {
            way.outgoing = None;
            self.tell(kind, Event::Answered { from, frame });
        }
    }

    pub(super) fn on_unanswered(
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
            OutboundFailure::UnsupportedProtocols => not_spoken(kind),
            OutboundFailure::Io(error) => match Spoilt::of(&error) {
                Some(Spoilt::TooLarge { size, limit }) => Failure::TooLarge { size: *size, limit: *limit },
                Some(Spoilt::NotSpoken) => not_spoken(kind),
                // A connection that ended with it was ended by whoever does not know us. Of one over QUIC, streams tell it
                // first.
                _ if (was_heard.is_none() || error.kind() == ErrorKind::NotConnected) && !heard => {
                    Failure::Refused
                }
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
}

fn not_spoken(kind: Kind) -> Failure {
    Failure::NotSpoken(match kind {
        Kind::Blob => BLOB_NAME,
        Kind::Mail => MAIL_NAME,
    })
}

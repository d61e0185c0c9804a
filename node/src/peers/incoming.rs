//! Frames in: of each peer and kind one at a time, and our response to it.

use liaison_protocol::blob;
use libp2p::PeerId;
use libp2p::request_response::InboundRequestId;

use super::frames::Kind;
use super::room::Room;
use super::told::{Event, Reply};

impl<E: From<Event>> Room<E> {
    pub(super) fn on_arrived(&mut self, id: PeerId, frame: Vec<u8>, reply: Reply) {
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

    pub(super) fn respond(&mut self, Reply { kind, request, channel }: Reply, frame: Vec<u8>) {
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

    pub(super) fn forget(&mut self, kind: Kind, request: InboundRequestId) {
        let mut ways = self.roster.values_mut().map(|peer| peer.way(kind));
        if let Some(way) = ways.find(|way| way.arrived == Some(request)) {
            way.arrived = None;
        }
    }
}

//! What the network tells the node: what came, what became of what was sent, and who is connected.

use std::error::Error;
use std::fmt;

use liaison_protocol::authority::NodeId;
use libp2p::request_response::{InboundRequestId, ResponseChannel};

use super::frames::Kind;

/// What the network tells.
pub enum Event {
    /// A peer's request. It waits for [`Network::respond`](super::Network::respond); until then its next ones are turned
    /// away.
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
    pub(super) kind: Kind,
    pub(super) request: InboundRequestId,
    pub(super) channel: ResponseChannel<Vec<u8>>,
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
         or does not know our present identity; or more knock at it than it has places for"
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

/// The innermost cause, which is the one that helps.
pub(super) fn reason(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

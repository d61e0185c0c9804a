//! Who a node is to other nodes: the key of our own transport, and identities as key sets list them.

use std::fmt;

use libp2p::PeerId;
use libp2p::identity::{Keypair, PublicKey};
use zeroize::Zeroizing;

/// The seed of our transport identity, an Ed25519 key. It is wiped when dropped and never shown.
#[derive(Clone)]
pub struct TransportKey(Zeroizing<[u8; 32]>);

impl TransportKey {
    /// The key with this seed.
    pub fn new(seed: Zeroizing<[u8; 32]>) -> Self {
        Self(seed)
    }

    pub(super) fn keypair(&self) -> Keypair {
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

/// The text is not the identity of a peer.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is not a peer identity: copy the text that starts with 12D3Koo from the other authority's key set"
)]
pub struct NotAPeerId(String);

pub(super) fn parse_peer_id(text: &str) -> Result<PeerId, NotAPeerId> {
    let flaw = || NotAPeerId(text.into());
    let id: PeerId = text.parse().map_err(|_| flaw())?;
    // The identity of an Ed25519 key holds the key itself.
    let key = PublicKey::try_decode_protobuf(id.as_ref().digest()).map_err(|_| flaw())?;
    if key.to_peer_id() == id && id.to_string() == text { Ok(id) } else { Err(flaw()) }
}

//! Where the files of a log are, and under which key it is signed.

use liaison_protocol::authority::NodeId;
use liaison_protocol::sign::PublicKey;

/// Where the log's files are, and under which key.
#[derive(Clone, Debug)]
pub struct Place {
    /// Origin of the log: `<node-id>/log<N>`.
    pub origin: String,
    /// Its folder: `log<N>`.
    pub folder: String,
    /// The key its checkpoints verify under.
    pub key: PublicKey,
}

/// Where what `peer` cosigned is kept, below the data folder: the `checkpoint`, or its `key-sets`.
pub fn witnessed_file(log_folder: &str, peer: &NodeId, what: &str) -> String {
    format!("{log_folder}/witnessed/{}.{what}", peer.as_str().trim_end_matches("/liaison"))
}

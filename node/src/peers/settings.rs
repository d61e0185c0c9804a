//! What the network needs to know before it starts, and why it cannot start with that.

use std::ffi::OsString;
use std::io;
use std::time::Duration;

use super::address::NotAnAddress;
use super::identity::TransportKey;

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
    pub request_timeout: Duration,
    /// How long a connection that carries nothing is kept.
    pub idle_timeout: Duration,
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
    #[error(
        "cannot make the TLS identity: {0}. The transport key among the keys may be another program's: put ours back"
    )]
    Tls(String),
}

/// libp2p-tls honours this variable, whoever set it.
pub(super) fn refuse_key_log(value: Option<OsString>) -> Result<(), NetworkError> {
    if value.is_some() { Err(NetworkError::KeyLog) } else { Ok(()) }
}

/// The variable that makes TLS libraries write session secrets to a file.
pub(super) const KEY_LOG: &str = "SSLKEYLOGFILE";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_secrets_are_never_written() {
        assert!(refuse_key_log(None).is_ok());
        for value in ["", "/tmp/keys"] {
            let refused = refuse_key_log(Some(value.into())).expect_err("it is set").to_string();
            assert!(refused.contains("SSLKEYLOGFILE") && refused.contains("Unset it"), "{refused}");
        }
    }
}

//! The JSON Web Signature forms we use (RFC 7515 with `alg: Ed25519`, RFC 9864), without their liberties.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use crate::sign::SIGNATURE_LEN;

/// The protected header: exactly these four members, so no `crit`, `jwk`, `jku`, `x5u`, `b64` or `zip`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Always `Ed25519`.
    pub alg: String,
    /// What the payload is: `liaison.<kind>.v<major>+json`.
    pub cty: String,
    /// Whose key: `<node-id>#<key name>`.
    pub kid: String,
    /// Which of our two kinds of token it is; separates their domains.
    pub typ: String,
}

/// The only signature algorithm.
pub const ALGORITHM: &str = "Ed25519";

impl Header {
    /// A header for our algorithm.
    pub fn new(typ: &str, cty: String, kid: String) -> Self {
        Self { alg: ALGORITHM.into(), cty, kid, typ: typ.into() }
    }

    /// The key's node and name, if `kid` is of our form.
    pub fn key_name(&self) -> Option<(&str, &str)> {
        self.kid.split_once('#')
    }
}

/// Base64url without padding.
pub fn encode(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

/// The same, behind what stands in `text`.
pub(crate) fn encode_to(bytes: &[u8], text: &mut String) {
    BASE64URL_NOPAD.encode_append(bytes, text);
}

/// Canonical base64url without padding: spare bits must be zero.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64URL_NOPAD.decode(text.as_bytes()).ok()
}

/// A signature from its base64url form.
pub fn decode_signature(text: &str) -> Option<[u8; SIGNATURE_LEN]> {
    decode(text)?.try_into().ok()
}

/// What is signed: header and payload in base64url, joined by a dot (RFC 7515, section 5.1).
pub fn signing_input(protected: &str, payload: &str) -> Vec<u8> {
    [protected.as_bytes(), b".", payload.as_bytes()].concat()
}

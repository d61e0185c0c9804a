//! Ed25519 by our rules: keys are checked once, on admission, and every signature is verified strictly.
//!
//! This is the only file that names `ed25519-dalek`. Batch verification is left out on purpose: with a
//! mixed-order key it can disagree with single verification, and then two honest nodes disagree.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// Length of a public key and of a secret seed, in bytes.
pub const KEY_LEN: usize = 32;

/// Length of a signature, in bytes.
pub const SIGNATURE_LEN: usize = 64;

/// An Ed25519 public key that passed admission: canonical encoding, not weak, torsion-free.
///
/// A small-order key lets anyone "prove" anything to most verifiers, so there is no other way to make one.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Admit a key by its 32 bytes.
    pub fn admit(bytes: &[u8; KEY_LEN]) -> Result<Self, KeyFlaw> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyFlaw::NotAPoint)?;
        let point = key.to_edwards();
        if point.compress().as_bytes() != bytes {
            return Err(KeyFlaw::NotCanonical);
        }
        if key.is_weak() {
            return Err(KeyFlaw::Weak);
        }
        if !point.is_torsion_free() {
            return Err(KeyFlaw::MixedOrder);
        }
        Ok(Self(key))
    }

    /// The key's canonical bytes.
    pub fn as_bytes(&self) -> &[u8; KEY_LEN] {
        self.0.as_bytes()
    }

    /// Whether `signature` over `message` holds, by the strict rules of RFC 8032 with small-order points refused.
    pub fn verifies(&self, message: &[u8], signature: &[u8; SIGNATURE_LEN]) -> bool {
        self.0.verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature)).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", BASE64URL_NOPAD.encode(self.as_bytes()))
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64URL_NOPAD.encode(self.as_bytes()))
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(D::Error::custom)?;
        let bytes = bytes.try_into().map_err(|_| D::Error::custom("a public key has 32 bytes"))?;
        Self::admit(&bytes).map_err(D::Error::custom)
    }
}

/// Why a public key is not admitted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyFlaw {
    /// It has a component of small order: verifiers disagree about its signatures.
    #[error("the key has a component of small order (mixed-order key)")]
    MixedOrder,
    /// The bytes are not a point of the curve.
    #[error("the key is not a point of the curve")]
    NotAPoint,
    /// The bytes are a second encoding of some point.
    #[error("the key is not canonically encoded")]
    NotCanonical,
    /// The point has small order: anything verifies under it.
    #[error("the key is weak (small order)")]
    Weak,
}

/// A secret key. It wipes itself from memory when dropped, and shows itself to no formatter.
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// The key of a 32-byte seed (RFC 8032's private key).
    pub fn from_seed(seed: &[u8; KEY_LEN]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The seed, for the key file only.
    pub fn seed(&self) -> Zeroizing<[u8; KEY_LEN]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public half. A key derived from a seed is always admissible.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Sign `message`.
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_LEN] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seeds_own_key_is_admitted_and_verifies_what_it_signed() {
        let secret = SecretKey::from_seed(&[7; KEY_LEN]);
        assert_eq!(*secret.seed(), [7; KEY_LEN]);
        let public = PublicKey::admit(secret.public().as_bytes()).expect("derived from a seed");
        let signature = secret.sign(b"to Peru");
        assert!(public.verifies(b"to Peru", &signature));
        assert!(!public.verifies(b"to Chile", &signature));
    }

    #[test]
    fn a_secret_key_does_not_show_itself() {
        assert_eq!(format!("{:?}", SecretKey::from_seed(&[7; KEY_LEN])), "SecretKey(..)");
    }
}

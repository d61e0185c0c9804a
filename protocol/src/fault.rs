//! What can be wrong with a message, and what its sender is told.
//!
//! A fault is about bad bytes or a breach of the rules of the exchange, never about a State's decision: that
//! is an answer. Peers learn the code and nothing else; the codes are stable for ever.

use serde::{Deserialize, Serialize};

/// Why a piece of mail is refused.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize, thiserror::Error)]
#[serde(into = "u16", try_from = "u16")]
pub enum Fault {
    /// The body breaks a rule of its kind (R-10.5 and the like).
    #[error("the body breaks a rule of its kind")]
    BodyForbidden,
    /// The body is not of the form its kind asks for.
    #[error("the body is malformed")]
    BodyMalformed,
    /// The exchange holds as many messages as it may.
    #[error("the exchange is full")]
    ExchangeFull,
    /// Past `accept_until` on first delivery.
    #[error("delivered after its accept_until")]
    Expired,
    /// The sender's authority does not hold the function this kind needs.
    #[error("the sender's functions do not cover this kind of message")]
    FunctionMissing,
    /// The handling block is malformed or beyond its bounds.
    #[error("the handling block is malformed")]
    HandlingMalformed,
    /// The protected header is not exactly the four members it must be.
    #[error("the header is not one we accept")]
    HeaderMalformed,
    /// The sender is not the node of the key, or not the peer on the line.
    #[error("the sender is not who the key or the connection says")]
    IssuerMismatch,
    /// The key was not valid when the message was sealed, or is revoked.
    #[error("the key was not valid at the time of sealing")]
    KeyNotValid,
    /// The key set of the sender has no such message key.
    #[error("the key is not in the sender's key set")]
    KeyUnknown,
    /// A message of a kind we do not know.
    #[error("the kind is not known here")]
    KindUnknown,
    /// The message is addressed to somebody else.
    #[error("addressed to another node")]
    Misaddressed,
    /// The proof that the sender logged it does not hold.
    #[error("not proven to be in the sender's log")]
    NotLogged,
    /// The move is not open to that side, or not in this exchange.
    #[error("not open to that side of the exchange")]
    OutOfPlace,
    /// A part beside the message is not one that it names, or names no person.
    #[error("a part is not one that the message names")]
    PartUnknown,
    /// The payload is not of the form it must be.
    #[error("the payload is malformed")]
    PayloadMalformed,
    /// The signature does not hold.
    #[error("the seal is broken")]
    SealBroken,
    /// `seq` is already taken by another message.
    #[error("the sequence number names another message")]
    SequenceReused,
    /// Sealed further in the future than clocks may differ. Passing.
    #[error("sealed in the future")]
    SealedInFuture,
    /// More open exchanges or undelivered mail than this peer may have. Passing.
    #[error("over this peer's ceiling")]
    TooMuch,
    /// Larger than a message may be.
    #[error("too large")]
    TooLarge,
    /// Not three canonical base64url parts.
    #[error("not a JWS in compact form")]
    TokenMalformed,
    /// The exchange it belongs to is not held here.
    #[error("the exchange is not held here")]
    UnknownExchange,
    /// A payload of a version we do not speak.
    #[error("a version not spoken here")]
    UnknownVersion,
    /// An earlier message of the exchange is not here yet. Passing.
    #[error("an earlier message of the exchange is awaited")]
    WaitsForEarlier,
}

/// Codes by tens: 1x form, 2x seal and sender, 3x time and order, 4x content and rights, 5x capacity.
const CODES: [(Fault, u16); 25] = [
    (Fault::TooLarge, 10),
    (Fault::TokenMalformed, 11),
    (Fault::HeaderMalformed, 12),
    (Fault::PayloadMalformed, 13),
    (Fault::UnknownVersion, 14),
    (Fault::KindUnknown, 15),
    (Fault::BodyMalformed, 16),
    (Fault::HandlingMalformed, 17),
    (Fault::PartUnknown, 18),
    (Fault::SealBroken, 20),
    (Fault::KeyUnknown, 21),
    (Fault::Misaddressed, 22),
    (Fault::IssuerMismatch, 23),
    (Fault::KeyNotValid, 24),
    (Fault::NotLogged, 25),
    (Fault::Expired, 30),
    (Fault::SealedInFuture, 31),
    (Fault::SequenceReused, 32),
    (Fault::WaitsForEarlier, 33),
    (Fault::FunctionMissing, 40),
    (Fault::OutOfPlace, 41),
    (Fault::UnknownExchange, 42),
    (Fault::BodyForbidden, 43),
    (Fault::ExchangeFull, 50),
    (Fault::TooMuch, 51),
];

impl Fault {
    /// The stable code a peer is told.
    pub fn code(self) -> u16 {
        CODES
            .iter()
            .find(|(fault, _)| *fault == self)
            .map(|(_, code)| *code)
            .expect("every fault has its row")
    }

    /// Whether the same bytes may be accepted later: not recorded, not receipted, tried again.
    pub fn is_passing(self) -> bool {
        matches!(self, Self::SealedInFuture | Self::TooMuch | Self::WaitsForEarlier)
    }
}

impl From<Fault> for u16 {
    fn from(fault: Fault) -> u16 {
        fault.code()
    }
}

/// A number that is no code of ours.
#[derive(Debug, thiserror::Error)]
#[error("no fault has the code {0}")]
pub struct NoSuchFault(u16);

impl TryFrom<u16> for Fault {
    type Error = NoSuchFault;

    fn try_from(code: u16) -> Result<Self, NoSuchFault> {
        CODES.iter().find(|(_, c)| *c == code).map(|(fault, _)| *fault).ok_or(NoSuchFault(code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_one_code_and_comes_back_from_it() {
        for (fault, code) in CODES {
            assert_eq!(fault.code(), code);
            assert_eq!(Fault::try_from(code).expect("known"), fault);
        }
        assert!(Fault::try_from(99).is_err());
    }
}

//! Fetching an attachment, a piece at a time (SPEC.md, section 5): what is asked, and what is answered.
//!
//! Frames are bytes and not JSON: most of what they carry is content. Neither proves anything; what was fetched is
//! believed when it is whole and its digest is the one that a sealed message names.

use crate::merkle::{HASH_LEN, Hash};

/// Most content of one piece, in bytes.
pub const MAX_PIECE: u32 = 256 * 1024;
/// Length of a request, in bytes.
pub const REQUEST_LEN: usize = HASH_LEN + 8 + 4;
/// Largest response, in bytes.
pub const MAX_REPLY: usize = 1 + MAX_PIECE as usize;

/// A piece of an attachment that is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PieceRequest {
    /// Which attachment.
    pub digest: Hash,
    /// Where in its content the piece begins.
    pub offset: u64,
    /// How long it is: at least 1 byte, at most [`MAX_PIECE`].
    pub length: u32,
}

/// What is answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PieceReply {
    /// Not now.
    Busy {
        /// When to come back.
        retry_after_secs: u32,
    },
    /// The node that named it does not hold it any more, or not so far.
    Gone,
    /// No message to this peer names it.
    NotYours,
    /// The bytes asked for.
    Piece(Vec<u8>),
}

impl PieceRequest {
    /// The frame.
    pub fn frame(&self) -> Vec<u8> {
        let Self { digest, offset, length } = self;
        [digest.as_bytes().as_slice(), &offset.to_be_bytes(), &length.to_be_bytes()].concat()
    }

    /// Read a frame; `None` if it is not a request, or asks for nothing or too much at once.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let (digest, rest) = frame.split_first_chunk::<HASH_LEN>()?;
        let (offset, rest) = rest.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*length);
        (rest.is_empty() && (1..=MAX_PIECE).contains(&length)).then(|| Self {
            digest: Hash::from_bytes(*digest),
            offset: u64::from_be_bytes(*offset),
            length,
        })
    }
}

impl PieceReply {
    /// The frame.
    pub fn frame(&self) -> Vec<u8> {
        match self {
            Self::Busy { retry_after_secs } => [[BUSY].as_slice(), &retry_after_secs.to_be_bytes()].concat(),
            Self::Gone => vec![GONE],
            Self::NotYours => vec![NOT_YOURS],
            Self::Piece(bytes) => [[PIECE].as_slice(), bytes].concat(),
        }
    }

    /// Read a frame; `None` if it is not a reply.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let (status, rest) = frame.split_first()?;
        match (*status, rest) {
            (PIECE, bytes) if frame.len() <= MAX_REPLY => Some(Self::Piece(bytes.to_vec())),
            (BUSY, secs) => Some(Self::Busy { retry_after_secs: u32::from_be_bytes(secs.try_into().ok()?) }),
            (GONE, []) => Some(Self::Gone),
            (NOT_YOURS, []) => Some(Self::NotYours),
            _ => None,
        }
    }
}

const PIECE: u8 = 0;
const BUSY: u8 = 1;
const GONE: u8 = 2;
const NOT_YOURS: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_what_spec_says_byte_by_byte() {
        let request = PieceRequest { digest: Hash::from_bytes([7; 32]), offset: 0x0102, length: 0x0003_0000 };
        let mut bytes = vec![7; 32];
        bytes.extend([0, 0, 0, 0, 0, 0, 1, 2, 0, 3, 0, 0]);
        assert_eq!(bytes.len(), REQUEST_LEN);
        assert_eq!((request.frame(), PieceRequest::parse(&bytes)), (bytes, Some(request)));
        for (reply, bytes) in [
            (PieceReply::Piece(vec![5, 6]), vec![0, 5, 6]),
            (PieceReply::Busy { retry_after_secs: 258 }, vec![1, 0, 0, 1, 2]),
            (PieceReply::Gone, vec![2]),
            (PieceReply::NotYours, vec![3]),
        ] {
            assert_eq!((reply.frame(), PieceReply::parse(&bytes)), (bytes, Some(reply)));
        }
    }

    #[test]
    fn what_is_not_a_frame_is_nothing() {
        let frame = |length: u32| PieceRequest { digest: Hash::ZERO, offset: 0, length }.frame();
        assert!(PieceRequest::parse(&frame(1)).is_some() && PieceRequest::parse(&frame(MAX_PIECE)).is_some());
        assert!(
            PieceRequest::parse(&frame(0)).is_none() && PieceRequest::parse(&frame(MAX_PIECE + 1)).is_none()
        );
        for length in [0, 43, 45] {
            assert!(PieceRequest::parse(&vec![1; length]).is_none());
        }
        for bytes in [&[][..], &[4], &[2, 0], &[3, 0], &[1, 0, 0, 1], &[1, 0, 0, 0, 1, 2]] {
            assert!(PieceReply::parse(bytes).is_none(), "{bytes:?}");
        }
        assert!(PieceReply::parse(&vec![0; MAX_REPLY]).is_some());
        assert!(PieceReply::parse(&vec![0; MAX_REPLY + 1]).is_none());
    }
}

//! Frames: what they carry, and how they stand on a stream.

use std::io;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::core::upgrade::NegotiationError;
use libp2p::{StreamProtocol, request_response};

/// What a frame carries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// A piece of an attachment, or what asks for one.
    Blob,
    /// Mail.
    Mail,
}

/// Frames on a stream: four bytes of size, big-endian, then so many bytes.
#[derive(Clone)]
pub(super) struct Frames {
    pub(super) max_request: usize,
    pub(super) max_response: usize,
}

impl request_response::Codec for Frames {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = Vec<u8>;

    async fn read_request<T>(&mut self, _: &StreamProtocol, stream: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        read_frame(stream, self.max_request).await
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, stream: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        read_frame(stream, self.max_response).await
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, stream: &mut T, frame: Vec<u8>) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write_frame(stream, &frame).await.map_err(Spoilt::midway)
    }

    async fn write_response<T>(
        &mut self,
        _: &StreamProtocol,
        stream: &mut T,
        frame: Vec<u8>,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write_frame(stream, &frame).await
    }
}

async fn read_frame(stream: &mut (impl AsyncRead + Unpin), limit: usize) -> io::Result<Vec<u8>> {
    let mut size = [0; 4];
    stream.read_exact(&mut size).await.map_err(Spoilt::midway)?;
    let size = usize::try_from(u32::from_be_bytes(size)).unwrap_or(usize::MAX);
    if size > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, Spoilt::TooLarge { size, limit }));
    }
    // The frame grows with what has come: a size is only a promise.
    let mut frame = Vec::new();
    stream.take(size as u64).read_to_end(&mut frame).await.map_err(Spoilt::midway)?;
    if frame.len() < size {
        return Err(Spoilt::midway(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(frame)
}

async fn write_frame(stream: &mut (impl AsyncWrite + Unpin), frame: &[u8]) -> io::Result<()> {
    let size = u32::try_from(frame.len()).map_err(io::Error::other)?;
    // In one piece: each piece written is a record of TLS, and may wake the other side for nothing.
    stream.write_all(&[&size.to_be_bytes(), frame].concat()).await
}

/// How a stream went wrong. We say what we have to say before the other side has accepted it, so as not to wait a whole
/// journey there and back for that: that it does not speak the protocol is learnt where its answer should stand.
#[derive(Debug, thiserror::Error)]
pub(super) enum Spoilt {
    #[error("it broke off: {0}")]
    Midway(io::Error),
    #[error("the other side does not speak this protocol")]
    NotSpoken,
    #[error("a frame of {size} bytes where {limit} is the most")]
    TooLarge { size: usize, limit: usize },
}

impl Spoilt {
    fn midway(error: io::Error) -> io::Error {
        let why = error.get_ref().and_then(|why| why.downcast_ref());
        let is_spoken = !matches!(why, Some(NegotiationError::Failed));
        io::Error::new(error.kind(), if is_spoken { Spoilt::Midway(error) } else { Spoilt::NotSpoken })
    }

    pub(super) fn of(error: &io::Error) -> Option<&Spoilt> {
        error.get_ref()?.downcast_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_size_is_only_a_promise() {
        let mut short: &[u8] = &[0, 0x40, 0, 0, 1, 2, 3];
        let error = read_frame(&mut short, 4 << 20).await.expect_err("it broke off");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        let mut large: &[u8] = &[0xff; 8];
        let error = read_frame(&mut large, 4 << 20).await.expect_err("too large");
        assert!(matches!(Spoilt::of(&error), Some(Spoilt::TooLarge { size: 0xffff_ffff, .. })));
        assert_eq!(large.len(), 4, "nothing after the size was read");
    }
}

//! How a connection ends: at once.

use std::pin::Pin;
use std::task::{Context, Poll};

use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};

/// A connection that ends without ceremony.
///
/// The usual end waits until the other side has taken what is still to be said, for a quarter of an hour if
/// its line is dead, and until then libp2p counts the connection among the living and gives it our frames.
/// Frames carry their size, so an abrupt end cannot pass for a short frame.
pub(super) struct Curt<M>(pub(super) M);

impl<M: StreamMuxer + Unpin> StreamMuxer for Curt<M> {
    type Substream = M::Substream;
    type Error = M::Error;

    fn poll_inbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<M::Substream, M::Error>> {
        Pin::new(&mut self.0).poll_inbound(cx)
    }

    fn poll_outbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<M::Substream, M::Error>> {
        Pin::new(&mut self.0).poll_outbound(cx)
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<StreamMuxerEvent, M::Error>> {
        Pin::new(&mut self.0).poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use futures::{AsyncRead, AsyncWrite, FutureExt};
    use libp2p::core::upgrade::OutboundConnectionUpgrade;
    use libp2p::yamux;

    use super::*;

    #[test]
    fn an_end_does_not_wait_for_a_dead_line() {
        /// A socket that takes and gives nothing.
        struct Dead;

        impl AsyncRead for Dead {
            fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
                Poll::Pending
            }
        }

        impl AsyncWrite for Dead {
            fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
                Poll::Pending
            }

            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Pending
            }

            fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Pending
            }
        }

        let mut nobody = Context::from_waker(std::task::Waker::noop());
        let upgrade = yamux::Config::default().upgrade_outbound(Dead, "/yamux/1.0.0");
        let mut muxer = upgrade.now_or_never().expect("no wait").expect("no error");
        assert!(Pin::new(&mut muxer).poll_close(&mut nobody).is_pending(), "then Curt can go");
        assert!(Pin::new(&mut Curt(muxer)).poll_close(&mut nobody).is_ready());
    }
}

//! The threshold of the operators' door: how many connections stand, whose places are given to others, and when one ends
//! on which nothing moves.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Extension;
use axum::middleware::AddExtension;
use futures::future::BoxFuture;
use futures::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tower_layer::Layer as _;

/// How long whoever is sent away may take to go.
const TO_LEAVE: Duration = Duration::from_secs(1);

/// Lets in as many connections as there are places. Each costs a file, and the log needs files, too. Where all are taken,
/// whoever has shown no token for the longest time makes room for the next.
#[derive(Clone)]
pub(super) struct Threshold {
    places: Arc<Semaphore>,
    /// Connections on which no token was shown when they came, the oldest first.
    visitors: Arc<Mutex<VecDeque<Weak<Visitor>>>>,
    /// How many there are at the most.
    connections: usize,
    patience: Patience,
}

/// How long a connection stands on which nothing moves.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// If no token is shown on it, whatever else is.
    pub(super) stranger: Duration,
    /// If nothing is taken of what is said.
    pub(super) takes: Duration,
}

impl Threshold {
    pub(super) fn new(connections: usize, patience: Patience) -> Self {
        let places = Arc::new(Semaphore::new(connections));
        Self { places, visitors: Arc::default(), connections, patience }
    }

    fn visitors(&self) -> MutexGuard<'_, VecDeque<Weak<Visitor>>> {
        self.visitors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Send away whoever has been a stranger for the longest time. False: there is none.
    fn make_room(&self) -> bool {
        let mut visitors = self.visitors();
        while let Some(oldest) = visitors.pop_front() {
            if let Some(oldest) = oldest.upgrade().filter(|oldest| !oldest.is_known()) {
                oldest.leaves.store(true, Ordering::Relaxed);
                oldest.waker.wake();
                return true;
            }
        }
        false
    }

    async fn place(&self) -> std::io::Result<OwnedSemaphorePermit> {
        let full = || std::io::Error::other("there are too many connections already");
        match self.places.clone().try_acquire_owned() {
            Ok(place) => Ok(place),
            // As many wait here as were sent away, and no longer than those take to go.
            Err(_) if self.make_room() => {
                let place = tokio::time::timeout(TO_LEAVE, self.places.clone().acquire_owned()).await;
                place.map_err(|_| full())?.map_err(|_| full())
            }
            Err(_) => Err(full()),
        }
    }

    fn comes(&self, visitor: &Arc<Visitor>) {
        let mut visitors = self.visitors();
        if visitors.len() >= 2 * self.connections {
            visitors.retain(|visitor| visitor.strong_count() > 0);
        }
        visitors.push_back(Arc::downgrade(visitor));
    }
}

impl<S: Send + 'static> axum_server::accept::Accept<TcpStream, S> for Threshold {
    type Stream = Placed;
    type Service = AddExtension<S, Arc<Visitor>>;
    type Future = BoxFuture<'static, std::io::Result<(Placed, Self::Service)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let threshold = self.clone();
        Box::pin(async move {
            let place = threshold.place().await?;
            let visitor = Arc::<Visitor>::default();
            threshold.comes(&visitor);
            let service = Extension(visitor.clone()).layer(service);
            Ok((Placed::new(stream, place, visitor, threshold.patience), service))
        })
    }
}

/// Who is on a connection.
#[derive(Default)]
pub(super) struct Visitor {
    /// Whether a token was shown that we know.
    known: AtomicBool,
    /// Whether it must make room.
    leaves: AtomicBool,
    /// Whom to wake then.
    waker: AtomicWaker,
}

impl Visitor {
    /// A token was shown that we know.
    pub(super) fn is_known_now(&self) {
        self.known.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_known(&self) -> bool {
        self.known.load(Ordering::Relaxed)
    }
}

/// A connection and its place. Who shows no token keeps it for a while only, whatever he does; and whoever takes nothing of
/// what is said to him has hung up.
pub(super) struct Placed {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
    visitor: Arc<Visitor>,
    /// Until then a token must have been shown.
    stranger_until: Pin<Box<Sleep>>,
    /// Until then some of what is said must be taken.
    takes_until: Option<Pin<Box<Sleep>>>,
    patience: Patience,
}

impl Placed {
    fn new(
        stream: TcpStream,
        place: OwnedSemaphorePermit,
        visitor: Arc<Visitor>,
        patience: Patience,
    ) -> Self {
        let stranger_until = Box::pin(tokio::time::sleep(patience.stranger));
        Self { stream, _place: place, visitor, stranger_until, takes_until: None, patience }
    }

    /// Nothing moves: has it been so for too long? Whoever waits is woken then.
    fn waits(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Error> {
        let is_known = self.visitor.is_known();
        if !is_known {
            self.visitor.waker.register(cx.waker());
        }
        let overstays = !is_known
            && (self.visitor.leaves.load(Ordering::Relaxed)
                || self.stranger_until.as_mut().poll(cx).is_ready());
        let takes_nothing = self.takes_until.as_mut().is_some_and(|until| until.as_mut().poll(cx).is_ready());
        match overstays || takes_nothing {
            true => Poll::Ready(std::io::ErrorKind::TimedOut.into()),
            false => Poll::Pending,
        }
    }
}

impl AsyncRead for Placed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        match Pin::new(&mut self.stream).poll_read(cx, into) {
            Poll::Pending => self.waits(cx).map(Err),
            heard => heard,
        }
    }
}

impl AsyncWrite for Placed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(cx, bytes) {
            Poll::Pending => {
                let takes = self.patience.takes;
                self.takes_until.get_or_insert_with(|| Box::pin(tokio::time::sleep(takes)));
                self.waits(cx).map(Err)
            }
            said => {
                self.takes_until = None;
                said
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        // A socket has nothing to flush: that this is done says nothing of who reads.
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

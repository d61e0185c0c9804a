//! What every request meets on its way in: how many there may be, who knocks, and how long it may take.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, HttpBody as _};
use axum::extract::{MatchedPath, Request, State as Held};
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::middleware::{self, AddExtension, Next};
use axum::response::Response;
use axum::{Extension, Router};
use futures::future::BoxFuture;
use futures::task::AtomicWaker;
use futures::{StreamExt as _, stream};
use liaison_protocol::authority::OfficerId;
use liaison_protocol::merkle::Hash;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, watch};
use tokio::time::Sleep;
use tower_layer::Layer as _;

use super::refusal::Refusal;
use super::routes::{LONG, for_all, for_holders};
use super::{HttpError, Operator, Token};
use crate::metrics::Metrics;

/// How much is taken at once, and for how long.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// Connections that stand, of strangers too: those beyond are closed before a word is said on them.
    pub(super) connections: usize,
    /// How long a connection stands on which no token is shown.
    pub(super) stranger: Duration,
    /// Requests under way.
    pub(super) at_once: usize,
    /// For how long nothing may be taken of what is said.
    pub(super) takes: Duration,
    /// Time to send the head of a request, and then for the rest of it and the answer.
    pub(super) request: Duration,
    /// Time for a list of licences.
    pub(super) import: Duration,
    /// Those who follow what changes.
    pub(super) following: usize,
    /// Changes that one of them has not read yet.
    pub(super) unread: usize,
    /// How long one of them may read nothing.
    pub(super) idle: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 384,
            stranger: Duration::from_secs(60),
            takes: Duration::from_secs(90),
            at_once: 256,
            request: Duration::from_secs(30),
            import: Duration::from_secs(600),
            following: 32,
            unread: 64,
            idle: Duration::from_secs(60),
        }
    }
}

/// Lets in as many connections as there are places. Each costs a file, and the log needs files, too. Where all are taken,
/// whoever has shown no token for the longest time makes room for the next.
#[derive(Clone)]
pub(super) struct Threshold {
    places: Arc<Semaphore>,
    /// Connections on which no token was shown when they came, the oldest first.
    visitors: Arc<Mutex<VecDeque<Weak<Visitor>>>>,
    bounds: Bounds,
}

impl Threshold {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { places: Arc::new(Semaphore::new(bounds.connections)), visitors: Arc::default(), bounds }
    }

    fn visitors(&self) -> MutexGuard<'_, VecDeque<Weak<Visitor>>> {
        self.visitors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Send away whoever has been a stranger for the longest time. False: there is none.
    fn make_room(&self) -> bool {
        let mut visitors = self.visitors();
        while let Some(oldest) = visitors.pop_front() {
            if let Some(oldest) = oldest.upgrade().filter(|oldest| !oldest.known.load(Ordering::Relaxed)) {
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
        if visitors.len() >= 2 * self.bounds.connections {
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
            Ok((Placed::new(stream, place, visitor, threshold.bounds), service))
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
    bounds: Bounds,
}

impl Placed {
    fn new(stream: TcpStream, place: OwnedSemaphorePermit, visitor: Arc<Visitor>, bounds: Bounds) -> Self {
        let stranger_until = Box::pin(tokio::time::sleep(bounds.stranger));
        Self { stream, _place: place, visitor, stranger_until, takes_until: None, bounds }
    }

    /// Nothing moves: has it been so for too long? Whoever waits is woken then.
    fn waits(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Error> {
        let is_known = self.visitor.known.load(Ordering::Relaxed);
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
                let takes = self.bounds.takes;
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

pub(super) struct Door {
    pub(super) operator: Arc<dyn Operator>,
    pub(super) holders: Vec<Holder>,
    pub(super) places: Semaphore,
    /// A list is held in memory while it is read: one at a time.
    pub(super) import: Semaphore,
    /// So is an attachment: a few at a time.
    pub(super) uploads: Semaphore,
    pub(super) metrics: Metrics,
    /// Places for those who follow what changes.
    pub(super) following: Arc<Semaphore>,
    pub(super) closing: watch::Receiver<bool>,
    pub(super) bounds: Bounds,
    pub(super) document: String,
}

pub(super) struct Holder {
    who: OfficerId,
    digest: Hash,
}

/// Keep only the digests. A token that could be guessed, or that two hold, lets nobody in.
pub(super) fn holders(tokens: Vec<Token>) -> Result<Vec<Holder>, HttpError> {
    let mut holders: Vec<Holder> = Vec::new();
    for Token { holder, secret } in tokens {
        let digest = Hash::of(secret.as_bytes());
        if secret.len() < MIN_TOKEN || !secret.bytes().all(|b| b.is_ascii_graphic()) {
            let why = "is not one of ours, which have at least 32 visible ASCII characters: make it with `liaison-node token`";
            return Err(HttpError::Token { holder, why });
        }
        if holders.iter().any(|other| other.digest == digest) {
            return Err(HttpError::Token {
                holder,
                why: "belongs to another holder too: take one of the two files away, and make a token with `liaison-node token`",
            });
        }
        holders.push(Holder { who: holder, digest });
    }
    Ok(holders)
}

impl Door {
    pub(super) fn import_turn(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        self.import.try_acquire().map_err(|_| {
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "another list is being imported: ask again shortly")
        })
    }

    /// Who shows a token. Every token and every byte is looked at, however early one differs.
    fn who(&self, headers: &HeaderMap) -> Result<OfficerId, Refusal> {
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some((scheme, token)) = shown.and_then(|value| value.split_once(' ')) else {
            return Err(Refusal::new(
                StatusCode::UNAUTHORIZED,
                "this needs a token: send the header `Authorization: Bearer <token>`",
            ));
        };
        let digest = Hash::of(token.trim().as_bytes());
        let mut found = None;
        for holder in &self.holders {
            let pairs = holder.digest.as_bytes().iter().zip(digest.as_bytes());
            if std::hint::black_box(pairs.fold(0, |unlike, (a, b)| unlike | (a ^ b))) == 0 {
                found = Some(&holder.who);
            }
        }
        found.filter(|_| scheme.eq_ignore_ascii_case("bearer")).cloned().ok_or_else(|| {
            Refusal::new(
                StatusCode::UNAUTHORIZED,
                "the node does not know this token: it may have been replaced",
            )
        })
    }
}

pub(super) fn router(door: Arc<Door>) -> Router {
    let (for_all, _) = for_all().split_for_parts();
    let (for_holders, _) = for_holders().split_for_parts();
    for_holders
        .route_layer(middleware::from_fn_with_state(door.clone(), receive))
        .merge(for_all)
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::from_fn_with_state(door.clone(), attend))
        .with_state(door)
}

/// Around everything: the headers each answer has, and one line in our trace, without what was said.
pub(super) async fn attend(
    Held(door): Held<Arc<Door>>,
    path: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let method = request.method().clone();
    let began = Instant::now();
    let (request, is_read) = watched(request);
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if !is_read.load(Ordering::Relaxed) {
        // What is left of the body is not read: nothing more can be said on this connection, and whoever keeps it for the
        // next request finds it closed.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // The template of the path: the path itself may name an exchange or a peer.
    let path = path.as_ref().map_or("-", MatchedPath::as_str);
    let status = response.status().as_u16();
    door.metrics.api_answered(status);
    let micros = began.elapsed().as_micros();
    // Strangers write no line each: how many were sent away is counted.
    if response.status() == StatusCode::UNAUTHORIZED {
        tracing::debug!(%method, path, status, micros, "api");
    } else {
        tracing::info!(%method, path, status, micros, "api");
    }
    response
}

/// The request, and whether its body was read to the end.
fn watched(request: Request) -> (Request, Arc<AtomicBool>) {
    let is_read = Arc::new(AtomicBool::new(request.body().is_end_stream()));
    let noted = is_read.clone();
    let end = stream::poll_fn(move |_| {
        noted.store(true, Ordering::Relaxed);
        Poll::Ready(None)
    });
    (request.map(|body| Body::from_stream(body.into_data_stream().chain(end))), is_read)
}

/// Around what needs a token. Strangers are sent away before they can take a place.
pub(super) async fn receive(
    Held(door): Held<Arc<Door>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let who = door.who(request.headers())?;
    if let Some(visitor) = request.extensions().get::<Arc<Visitor>>() {
        visitor.known.store(true, Ordering::Relaxed);
    }
    let _place = door.places.try_acquire().map_err(|_| {
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "too many requests are under way: ask again shortly")
    })?;
    let imports = LONG.contains(&request.uri().path());
    let time = if imports { door.bounds.import } else { door.bounds.request };
    request.extensions_mut().insert(who);
    tokio::time::timeout(time, next.run(request)).await.map_err(|_| {
        Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "no answer in time; an order may take effect yet: ask again, with the same Idempotency-Key",
        )
    })
}

pub(super) async fn no_such_path() -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "there is nothing here: see /openapi.json, and write the slash in a node id as %2F",
    )
}

pub(super) async fn no_such_method(method: Method) -> Refusal {
    Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("{method} is not possible here; the header Allow says what is"),
    )
}

/// Attachments taken in at a time.
pub(super) const MOST_UPLOADS: usize = 4;
const MIN_TOKEN: usize = 32;
/// How long whoever is sent away may take to go.
const TO_LEAVE: Duration = Duration::from_secs(1);

//! What every request meets on its way in: how many there may be, whose they are, and how long each may take.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::{MatchedPath, Request, State as Held};
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::Response;
use futures::{StreamExt as _, stream};
use liaison_protocol::authority::OfficerId;
use liaison_protocol::merkle::Hash;
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use super::refusal::Refusal;
use super::routes::{for_all, for_holders, takes_long};
use super::threshold::{Patience, Visitor};
use super::{HttpError, Operator, Token};
use crate::metrics::Metrics;

/// How much is taken at once, and for how long.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// Connections that stand, of strangers too. For those beyond strangers make room; where there is none, they are closed
    /// before a word is said on them.
    pub(super) connections: usize,
    /// How long each stands on which nothing moves.
    pub(super) patience: Patience,
    /// Requests under way.
    pub(super) at_once: usize,
    /// Time to send the head of a request, and then for the rest of it and the answer.
    pub(super) request: Duration,
    /// Time for what takes long, such as a list of licences.
    pub(super) long: Duration,
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
            patience: Patience { stranger: Duration::from_secs(60), takes: Duration::from_secs(90) },
            at_once: 256,
            request: Duration::from_secs(30),
            long: Duration::from_secs(600),
            following: 32,
            unread: 64,
            idle: Duration::from_secs(60),
        }
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

/// Who may come in, by the digest of his token.
pub(super) struct Holder {
    who: OfficerId,
    digest: Hash,
}

/// Keep only the digests. A token that could be guessed, or that two hold, lets nobody in.
pub(super) fn holders(tokens: &[Token]) -> Result<Vec<Holder>, HttpError> {
    let mut holders: Vec<Holder> = Vec::new();
    for Token { holder, secret } in tokens {
        let digest = Hash::of(secret.as_bytes());
        if secret.len() < MIN_TOKEN || !secret.bytes().all(|b| b.is_ascii_graphic()) {
            let why = "is not one of ours, which have at least 32 visible ASCII characters: make it with `liaison-node token`";
            return Err(HttpError::Token { holder: holder.clone(), why });
        }
        if holders.iter().any(|other| other.digest == digest) {
            return Err(HttpError::Token {
                holder: holder.clone(),
                why: "belongs to another holder too: take one of the two files away, and make a token with `liaison-node token`",
            });
        }
        holders.push(Holder { who: holder.clone(), digest });
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
    let visitor = request.extensions().get::<Arc<Visitor>>().cloned();
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
    // Strangers write no line each, whatever they ask: what they were told is counted.
    if visitor.is_some_and(|visitor| visitor.is_known()) {
        tracing::info!(%method, path, status, micros, "api");
    } else {
        tracing::debug!(%method, path, status, micros, "api");
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
        visitor.is_known_now();
    }
    let _place = door.places.try_acquire().map_err(|_| {
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "too many requests are under way: ask again shortly")
    })?;
    let is_long = takes_long(request.uri().path());
    let time = if is_long { door.bounds.long } else { door.bounds.request };
    request.extensions_mut().insert(who);
    tokio::time::timeout(time, next.run(request)).await.map_err(|_| {
        Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "no answer in time; an order may take effect yet: ask again, and where an Idempotency-Key was given, with the same",
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

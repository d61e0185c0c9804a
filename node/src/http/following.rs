//! Following what changes, as server-sent events: heartbeats, an end for who reads too slowly, and places for a few.

use std::convert::Infallible;
use std::time::Duration;

use axum::http::header::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use liaison_protocol::operator::EventView;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};

use super::Following;
use super::door::{Bounds, Door};
use super::refusal::Refusal;

/// How often a comment is sent where nothing changes: so a dead connection is noticed.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How soon whoever follows comes back, in milliseconds.
const RETRY: Duration = Duration::from_secs(2);

/// The place that a client saw last, as the header Last-Event-ID says it.
pub(super) fn last_seen(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let Some(said) = headers.get("last-event-id") else { return Ok(None) };
    let leaf = said.to_str().ok().and_then(|text| text.parse().ok());
    let what = "the header Last-Event-ID: the `id` of the last event that was seen, which is a whole number";
    leaf.map(Some).ok_or_else(|| Refusal::malformed(what))
}

/// A place among those who follow.
pub(super) fn place(door: &Door) -> Result<OwnedSemaphorePermit, Refusal> {
    door.following.clone().try_acquire_owned().map_err(|_| {
        let status = axum::http::StatusCode::SERVICE_UNAVAILABLE;
        Refusal::new(status, "too many follow what changes already: end one of them, or ask again shortly")
    })
}

/// The answer that goes on.
pub(super) fn respond(door: &Door, following: Following, place: OwnedSemaphorePermit) -> Response {
    let (sender, mut unread) = mpsc::channel(door.bounds.unread);
    let (last, ending) = oneshot::channel();
    let (closing, bounds) = (door.closing.clone(), door.bounds);
    tokio::spawn(async move {
        if let Some(why) = carry(following, sender, closing, bounds).await {
            let _ = last.send(EventView::End { why: why.into() });
        }
        drop(place);
    });
    let ending = stream::once(ending).filter_map(async |last| last.ok());
    let told = stream::poll_fn(move |cx| unread.poll_recv(cx)).chain(ending).map(|view| {
        let event = Event::default().event(view.name()).retry(RETRY);
        let event = view.leaf().into_iter().fold(event, |event, leaf| event.id(leaf.to_string()));
        Ok::<_, Infallible>(event.json_data(view).expect("the types of the API have string keys"))
    });
    Sse::new(told).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response()
}

/// Carry what changes to one reader, until one side ends it. Returns what it should know, if it still listens.
async fn carry(
    mut following: Following,
    sender: mpsc::Sender<EventView>,
    mut closing: watch::Receiver<bool>,
    bounds: Bounds,
) -> Option<&'static str> {
    const STOPS: &str = "the node is stopping: connect again, with the last id that was seen";
    loop {
        let event = tokio::select! {
            _ = closing.wait_for(|closes| *closes) => return Some(STOPS),
            () = sender.closed() => return None,
            event = following.next() => match event {
                Some(event) => event,
                None => return Some(STOPS),
            },
        };
        match sender.send_timeout(event, bounds.idle).await {
            Ok(()) => {}
            Err(SendTimeoutError::Closed(_)) => return None,
            Err(SendTimeoutError::Timeout(_)) => {
                return Some("read too slowly: connect again, with the last id that was seen");
            }
        }
    }
}

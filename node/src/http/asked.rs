//! What is read: bodies, of which nothing is ignored, names in paths, queries, and the idempotency key.

use std::error::Error;

use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::header::{self, HeaderMap};
use axum::http::request::Parts;
use data_encoding::BASE64URL_NOPAD;
use futures::StreamExt;
use liaison_protocol::attachment::View;
use liaison_protocol::authority::Line;
use liaison_protocol::entry::IdempotencyKey;
use liaison_protocol::json;
use liaison_protocol::key_set;
use liaison_protocol::merkle::Hash;
use liaison_protocol::message::Kind;
use liaison_protocol::operator::{Side, State};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::IntoParams;

use super::Filter;
use super::refusal::Refusal;

/// A JSON body of at most `LIMIT` bytes, of which nothing is ignored.
pub(super) struct Body<T, const LIMIT: usize = SMALL>(pub(super) T);

impl<S, T, const LIMIT: usize> FromRequest<S> for Body<T, LIMIT>
where
    S: Send + Sync,
    T: DeserializeOwned + Serialize,
{
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        parse(&read(request, "application/json", LIMIT).await?).map(Self)
    }
}

pub(super) fn parse<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Result<T, Refusal> {
    let said: Value = json::parse(bytes).map_err(|flaw| Refusal::malformed(format!("the body: {flaw}")))?;
    // axum names the path of the field, and serde_json the line and column.
    let Json(heard) = Json::<T>::from_bytes(bytes)
        .map_err(|rejection| Refusal::malformed(format!("the body: {}", cause(&rejection))))?;
    let kept = serde_json::to_value(&heard).expect("requests have string keys");
    match ignored(&said, &kept) {
        Some(field) => Err(Refusal::malformed(format!(
            "the body: unknown field `{field}`; a field that means nothing here is refused, lest it be missed"
        ))),
        None => Ok(heard),
    }
}

/// What lies behind a rejection of axum's, without the words it puts in front.
pub(super) fn cause(rejection: &dyn Error) -> String {
    rejection.source().unwrap_or(rejection).to_string()
}

/// The first field that was said and is not among what was kept. Types that also travel between States let
/// unknown fields pass; an officer who mistypes `expiry_date` must hear of it.
pub(super) fn ignored(said: &Value, kept: &Value) -> Option<String> {
    let nothing = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    match (said, kept) {
        (Value::Object(said), Value::Object(kept)) => {
            said.iter().find_map(|(name, value)| match kept.get(name) {
                Some(kept) => ignored(value, kept).map(|inner| format!("{name}.{inner}")),
                None => (!nothing(value)).then(|| name.clone()),
            })
        }
        (Value::Array(said), Value::Array(kept)) => {
            let mut pairs = said.iter().zip(kept).enumerate();
            pairs.find_map(|(i, (said, kept))| ignored(said, kept).map(|inner| format!("{i}.{inner}")))
        }
        _ => None,
    }
}

/// The media type of the body, without parameters.
pub(super) fn media_type(request: &Request) -> &str {
    let said = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    said.unwrap_or_default().split(';').next().unwrap_or_default().trim()
}

/// Read a body of the media type `media` and of at most `limit` bytes.
pub(super) async fn read(request: Request, media: &str, limit: usize) -> Result<Vec<u8>, Refusal> {
    if !media_type(&request).eq_ignore_ascii_case(media) {
        let detail = format!("the body must be {media}: send the header `Content-Type: {media}`");
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    read_any(request, limit).await
}

/// Read a body of at most `limit` bytes.
pub(super) async fn read_any(request: Request, limit: usize) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    let mut length = 0;
    let mut chunks = request.into_body().into_data_stream();
    // Read a little beyond the limit: a client that still writes would not see why it was refused.
    while length <= limit + SURPLUS
        && let Some(chunk) = chunks.next().await
    {
        let chunk = chunk.map_err(|_| Refusal::malformed("the body broke off"))?;
        length += chunk.len();
        if length <= limit {
            bytes.extend_from_slice(&chunk);
        }
    }
    if length > limit {
        let detail = format!("the body may have at most {limit} bytes");
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    Ok(bytes)
}

/// The name in the path, decoded: `firearms.example.ke%2Fliaison`.
pub(super) struct Named(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(name)) => Ok(Self(name)),
            Err(rejection) => Err(Refusal::malformed(format!("the path: {}", rejection.body_text()))),
        }
    }
}

/// The parameters after the question mark.
pub(super) struct Asked<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Query::try_from_uri(&parts.uri)
            .map(|Query(asked)| Self(asked))
            .map_err(|rejection| Refusal::malformed(format!("the query: {}", cause(&rejection))))
    }
}

/// The header Idempotency-Key, bound to what is asked under it.
pub(super) fn idempotency_key<T: Serialize>(
    headers: &HeaderMap,
    asked: &T,
) -> Result<Option<IdempotencyKey>, Refusal> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key: Result<Line, String> = match value.to_str() {
        Ok(text) => text.parse().map_err(|flaw: liaison_protocol::authority::BadName| flaw.to_string()),
        Err(_) => Err("visible ASCII characters only".into()),
    };
    let key = key.map_err(|why| Refusal::malformed(format!("the header Idempotency-Key: {why}")))?;
    Ok(Some(IdempotencyKey { key, digest: Hash::of(&json::canonical(asked)) }))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// With this peer: a node id, or the code of a State with one admitted node.
    peer: Option<String>,
    /// That have come this far.
    #[param(inline)]
    state: Option<State>,
    /// In which we are this side.
    #[param(inline)]
    side: Option<Side>,
    /// That ask this: `authenticity-check`, `licence-verification-request`, `trace-request` or `transit-notification`.
    #[param(inline)]
    kind: Option<Kind>,
    /// About something whose short description contains this: a licence's number, an item, an export file.
    subject: Option<String>,
    /// In which the time for what is owed has passed, or has not.
    overdue: Option<bool>,
    /// That wait for an officer of ours, or do not.
    for_officer: Option<bool>,
    /// At most so many.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// `next` of the page before.
    after: Option<String>,
}

impl TryFrom<ListQuery> for Filter {
    type Error = Refusal;

    fn try_from(query: ListQuery) -> Result<Self, Refusal> {
        let ListQuery { peer, state, side, kind, subject, overdue, for_officer, limit, after } = query;
        let limit = limit.unwrap_or(DEFAULT_PAGE);
        if !(1..=MAX_PAGE).contains(&limit) {
            return Err(Refusal::malformed("the query: limit: from 1 to 200"));
        }
        if kind.is_some_and(|kind| !kind.opens()) {
            let opening: Vec<_> =
                Kind::ALL.iter().filter(|kind| kind.opens()).map(|kind| kind.as_str()).collect();
            let why = format!("the query: kind: an exchange is one of {}", opening.join(", "));
            return Err(Refusal::malformed(why));
        }
        let leaf = |text: String| {
            let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
            Some(u64::from_be_bytes(bytes.try_into().ok()?))
        };
        let after = after.map(|text| {
            leaf(text).ok_or_else(|| Refusal::malformed("the query: after: not the `next` of a page"))
        });
        Ok(Self { peer, state, side, kind, subject, overdue, for_officer, limit, after: after.transpose()? })
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AttachmentQuery {
    /// A name for people, such as that of its file.
    #[param(value_type = String)]
    pub(super) name: Line,
    /// What it shows, if it is a photograph.
    #[param(inline)]
    pub(super) view: Option<View>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LeafQuery {
    /// The place of the entry, from 0.
    pub(super) leaf: u64,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SizesQuery {
    /// The smaller size.
    pub(super) from: u64,
    /// The larger size.
    pub(super) to: u64,
}

const IDEMPOTENCY_KEY: &str = "idempotency-key";

pub(super) const SMALL: usize = 64 * 1024;
/// One key set. In JSON its quotation marks count twice, and it is full of them.
pub(super) const MEDIUM: usize = 2 * key_set::MAX_BYTES + SMALL;
/// A peer's whole file of key sets.
pub(super) const LARGE: usize = 2 * key_set::MAX_CHAIN * key_set::MAX_BYTES + SMALL;
/// A State's whole list of licences.
pub(super) const HUGE: usize = 64 * 1024 * 1024;
/// What is read and thrown away beyond a limit.
pub(super) const SURPLUS: usize = 1024 * 1024;

const DEFAULT_PAGE: usize = 50;
const MAX_PAGE: usize = 200;

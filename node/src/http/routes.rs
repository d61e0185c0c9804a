//! What can be asked, path by path.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, Request, State as Held};
use axum::http::StatusCode;
use axum::http::header::{self, HeaderMap};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use liaison_protocol::attachment::{self, Attachment};
use liaison_protocol::authority::{Line, OfficerId};
use liaison_protocol::operator::{
    ActRequest, AdmitRequest, CaseView, CheckpointView, ConsistencyView, EventView, EvidenceRequest,
    ExchangePage, ExchangeView, FirearmsView, ImportView, InclusionView, InstallRequest, NodeView,
    OpenRequest, PeerTestView, PeerView, Problem, ReadyView, RemoveRequest, Rules,
};
use liaison_protocol::trace::TraceOutcome;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::asked::{
    Asked, AttachmentQuery, Body, HUGE, LARGE, LeafQuery, ListQuery, MEDIUM, Named, SizesQuery,
    idempotency_key, media_type, read, read_any,
};
use super::document::{Always, Guarded, Keyed, Ordered, Particular};
use super::door::Door;
use super::following::{last_seen, place, respond};
use super::refusal::Refusal;
use super::{Archive, Content, Opened, Upload};
use crate::metrics;

pub(super) fn for_all() -> OpenApiRouter<Arc<Door>> {
    OpenApiRouter::new().routes(routes!(health)).routes(routes!(ready)).routes(routes!(document))
}

pub(super) fn for_holders() -> OpenApiRouter<Arc<Door>> {
    OpenApiRouter::new()
        .routes(routes!(follow_events))
        .routes(routes!(show_metrics))
        .routes(routes!(show_node))
        .routes(routes!(install_key_set))
        .routes(routes!(list_peers, admit_peer))
        .routes(routes!(show_peer, remove_peer))
        .routes(routes!(set_rules))
        .routes(routes!(test_peer))
        .routes(routes!(list_exchanges, open_exchange))
        .routes(routes!(show_exchange))
        .routes(routes!(act_in_exchange))
        .routes(routes!(put_attachment))
        .routes(routes!(show_attachment))
        .routes(routes!(list_cases))
        .routes(routes!(show_case))
        .routes(routes!(conclude_case))
        .routes(routes!(import_firearms))
        .routes(routes!(give_evidence))
        .routes(routes!(import_licences))
        .routes(routes!(show_checkpoint))
        .routes(routes!(prove_inclusion))
        .routes(routes!(prove_consistency))
}

type Shown<T> = Result<Json<T>, Refusal>;

/// Whether the node is up.
#[utoipa::path(get, path = "/v1/health", tag = "service", security(()),
    responses((status = 200, description = "It is.", body = Health)))]
async fn health() -> Json<Health> {
    Json(Health { status: "up" })
}

/// Whether the node can sign now.
#[utoipa::path(get, path = "/v1/ready", tag = "service", security(()), responses(
    (status = 200, description = "It can.", body = ReadyView),
    (status = 503, description = "It cannot; the body says why.", body = ReadyView)))]
async fn ready(Held(door): Held<Arc<Door>>) -> Result<(StatusCode, Json<ReadyView>), Refusal> {
    let view = door.operator.ready().await?;
    Ok((if view.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(view)))
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "service", security(()),
    responses((status = 200, description = "The document.", body = Object)))]
async fn document(Held(door): Held<Arc<Door>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], door.document.clone())
}

/// What changes, as server-sent events: which exchange, which peer, whether the node can sign; never what was said. They
/// begin with how things stand that have no place in the log. Comments in between show that the line lives.
#[utoipa::path(get, path = "/v1/events", tag = "node",
    params(("Last-Event-ID" = Option<u64>, Header, description = "The `id` of the last event that was seen, a place in \
        the log: what was changed behind it comes first. If that is too long ago, an event `lost` says so: list anew.")),
    responses((status = 200, description = "One after the other; the data of each is an `EventView`.", body = EventView,
        content_type = "text/event-stream"), Always, Particular))]
async fn follow_events(Held(door): Held<Arc<Door>>, headers: HeaderMap) -> Result<Response, Refusal> {
    let after = last_seen(&headers)?;
    let place = place(&door)?;
    Ok(respond(&door, door.operator.events(after).await?, place))
}

/// What the node counts, in the text form of OpenMetrics that Prometheus reads.
#[utoipa::path(get, path = "/metrics", tag = "node",
    responses((status = 200, description = "All of it.", body = String, content_type = metrics::MEDIA_TYPE), Always))]
async fn show_metrics(Held(door): Held<Arc<Door>>) -> Result<Response, Refusal> {
    door.operator.observe().await?;
    Ok(([(header::CONTENT_TYPE, metrics::MEDIA_TYPE)], door.metrics.render()).into_response())
}

/// The node and the State it speaks for.
#[utoipa::path(get, path = "/v1/node", tag = "node",
    responses((status = 200, description = "The node.", body = NodeView), Always))]
async fn show_node(Held(door): Held<Arc<Door>>) -> Shown<NodeView> {
    Ok(Json(door.operator.node().await?))
}

/// Put our own next key set in force.
#[utoipa::path(post, path = "/v1/node/key-sets", tag = "node", request_body = InstallRequest,
    responses((status = 200, description = "The node, with it.", body = NodeView), Always, Ordered))]
async fn install_key_set(
    Held(door): Held<Arc<Door>>,
    Extension(who): Extension<OfficerId>,
    Body(request): Body<InstallRequest, MEDIUM>,
) -> Shown<NodeView> {
    Ok(Json(door.operator.install_key_set(who, request).await?))
}

/// The peers that were admitted.
#[utoipa::path(get, path = "/v1/peers", tag = "peers",
    responses((status = 200, description = "All of them.", body = Vec<PeerView>), Always))]
async fn list_peers(Held(door): Held<Arc<Door>>) -> Shown<Vec<PeerView>> {
    Ok(Json(door.operator.peers().await?))
}

/// Admit a peer whose fingerprint was compared.
#[utoipa::path(post, path = "/v1/peers", tag = "peers", request_body = AdmitRequest,
    responses((status = 201, description = "The peer.", body = PeerView), Always, Ordered))]
async fn admit_peer(
    Held(door): Held<Arc<Door>>,
    Extension(who): Extension<OfficerId>,
    Body(request): Body<AdmitRequest, LARGE>,
) -> Result<(StatusCode, Json<PeerView>), Refusal> {
    Ok((StatusCode::CREATED, Json(door.operator.admit(who, request).await?)))
}

/// How it stands with a peer.
#[utoipa::path(get, path = "/v1/peers/{peer}", tag = "peers", params(("peer" = String, Path, description = PEER)),
    responses((status = 200, description = "The peer.", body = PeerView), Always, Particular))]
async fn show_peer(Held(door): Held<Arc<Door>>, Named(peer): Named) -> Shown<PeerView> {
    Ok(Json(door.operator.peer(peer).await?))
}

/// Remove a peer.
#[utoipa::path(delete, path = "/v1/peers/{peer}", tag = "peers", request_body = RemoveRequest,
    params(("peer" = String, Path, description = PEER)),
    responses((status = 204, description = "It is removed."), Always, Particular, Ordered))]
async fn remove_peer(
    Held(door): Held<Arc<Door>>,
    Extension(who): Extension<OfficerId>,
    Named(peer): Named,
    Body(request): Body<RemoveRequest>,
) -> Result<StatusCode, Refusal> {
    door.operator.remove(who, peer, request).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Set what a peer is answered automatically.
#[utoipa::path(put, path = "/v1/peers/{peer}/rules", tag = "peers", request_body = Rules,
    params(("peer" = String, Path, description = PEER)),
    responses((status = 200, description = "The peer, with them.", body = PeerView), Always, Particular, Ordered))]
async fn set_rules(
    Held(door): Held<Arc<Door>>,
    Extension(who): Extension<OfficerId>,
    Named(peer): Named,
    Body(rules): Body<Rules>,
) -> Shown<PeerView> {
    Ok(Json(door.operator.set_rules(who, peer, rules).await?))
}

/// Test the way to a peer, step by step: which fails, and what to do. It takes up to half a minute, and changes nothing
/// but that a word is said to the peer.
#[utoipa::path(post, path = "/v1/peers/{peer}/test", tag = "peers", params(("peer" = String, Path, description = PEER)),
    responses((status = 200, description = "What was found.", body = PeerTestView), Always, Particular))]
async fn test_peer(Held(door): Held<Arc<Door>>, Named(peer): Named) -> Shown<PeerTestView> {
    Ok(Json(door.operator.test(peer).await?))
}

/// Exchanges, newest first.
#[utoipa::path(get, path = "/v1/exchanges", tag = "exchanges", params(ListQuery),
    responses((status = 200, description = "One page of them.", body = ExchangePage), Always, Particular))]
async fn list_exchanges(Held(door): Held<Arc<Door>>, Asked(query): Asked<ListQuery>) -> Shown<ExchangePage> {
    Ok(Json(door.operator.exchanges(query.try_into()?).await?))
}

/// Open an exchange: ask another State.
#[utoipa::path(post, path = "/v1/exchanges", tag = "exchanges", request_body = OpenRequest,
    params(("Idempotency-Key" = String, Header, description = KEY)),
    responses(
        (status = 200, description = "The key had opened it before.", body = ExchangeView,
            headers(("Location" = String, description = "Where it is"))),
        (status = 201, description = "It is opened.", body = ExchangeView,
            headers(("Location" = String, description = "Where it is"))),
        Always, Particular, Ordered, Keyed))]
async fn open_exchange(
    Held(door): Held<Arc<Door>>,
    Extension(who): Extension<OfficerId>,
    headers: HeaderMap,
    Body(request): Body<OpenRequest>,
) -> Result<Response, Refusal> {
    let key = idempotency_key(&headers, &request)?.ok_or_else(|| {
        Refusal::malformed(
            "the header Idempotency-Key is missing: send one of your own choice, such as your file number or a \
             UUID, and the same again when you repeat the request",
        )
    })?;
    let Opened { view, new } = door.operator.open(who, key, request).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    let location = format!("/v1/exchanges/{}", view.summary.id);
    Ok((status, [(header::LOCATION, location)], Json(view)).into_response())
}

/// An exchange with everything that happened in it.
#[utoipa::path(get, path = "/v1/exchanges/{id}", tag = "exchanges", params(("id" = String, Path, description = ID)),
    responses((status = 200, description = "The exchange.", body = ExchangeView), Always, Particular))]
async fn show_exchange(Held(door): Held<Arc<Door>>, Named(id): Named) -> Shown<ExchangeView> {
    Ok(Json(door.operator.exchange(id).await?))
}

/// Act in an exchange.
#[utoipa::path(post, path = "/v1/exchanges/{id}/acts", tag = "exchanges", request_body = ActRequest,
    params(
        ("id" = String, Path, description = ID),
        ("Idempotency-Key" = Option<String>, Header, description = KEY)),
    responses((status = 200, description = "The exchange, with it.", body = ExchangeView),
        Always, Particular, Ordered, Keyed))]
async fn act_in_exchange(
    Held(door): Held<Arc<Door>>,
    Extension(who): Extension<OfficerId>,
    Named(id): Named,
    headers: HeaderMap,
    Body(request): Body<ActRequest>,
) -> Shown<ExchangeView> {
    // The same act in another exchange is another request.
    let key = idempotency_key(&headers, &(&id, &request))?;
    Ok(Json(door.operator.act(who, key, id, request).await?))
}

/// Put in a photograph or document. What is returned is named, as it is, by the message that it goes with; what no
/// message names within a day is removed.
#[utoipa::path(put, path = "/v1/attachments", tag = "exchanges", params(AttachmentQuery),
    request_body(content = Vec<u8>, content_type = "*/*", description = "Its content, 1 byte to 32 MiB; its media \
        type is that of the header Content-Type, without parameters"),
    responses((status = 201, description = "It is in.", body = Attachment), Always, Ordered))]
async fn put_attachment(
    Held(door): Held<Arc<Door>>,
    Extension(who): Extension<OfficerId>,
    Asked(AttachmentQuery { name, view }): Asked<AttachmentQuery>,
    request: Request,
) -> Result<(StatusCode, Json<Attachment>), Refusal> {
    let said = media_type(&request).to_ascii_lowercase();
    let media_type = said.parse::<Line>().ok().filter(|said| attachment::is_media_type(said.as_str()));
    let Some(media_type) = media_type else {
        let detail = "say what it is: send a header such as `Content-Type: image/jpeg`";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    };
    let _turn = door.uploads.acquire().await.map_err(|_| {
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the node is stopping; nothing was taken")
    })?;
    let most = usize::try_from(attachment::MAX_LENGTH).expect("32 MiB");
    let content = read_any(request, most).await?;
    let upload = Upload { name, media_type, view, content };
    Ok((StatusCode::CREATED, Json(door.operator.put_attachment(who, upload).await?)))
}

/// The content of an attachment of a message in the exchange.
#[utoipa::path(get, path = "/v1/exchanges/{id}/attachments/{digest}", tag = "exchanges",
    params(
        ("id" = String, Path, description = ID),
        ("digest" = String, Path, description = "The digest of the attachment")),
    responses(
        (status = 200, description = "The bytes, to be saved: their sender chose them, and says of which media type \
            they are.", body = Vec<u8>, content_type = "*/*"),
        (status = 409, description = "It is pending: the other node has not given it yet.", body = Problem,
            content_type = "application/problem+json"),
        Always, Particular))]
async fn show_attachment(
    Held(door): Held<Arc<Door>>,
    Path((id, digest)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let Content { attachment, read } = door.operator.attachment(id, digest).await?;
    let length = attachment.length;
    // Read as it is taken: not all of it is held, however slowly the client takes it.
    let pieces = futures::stream::try_unfold(0_u64, move |offset| {
        let read = read.clone();
        async move {
            if offset >= length {
                return Ok(None);
            }
            let piece = tokio::task::spawn_blocking(move || read(offset, DOWNLOAD_STEP))
                .await
                .map_err(std::io::Error::other)??;
            let next = offset + piece.len() as u64;
            Ok::<_, std::io::Error>(Some((piece, next)))
        }
    });
    let said = attachment.media_type.as_str();
    let media_type = if attachment::is_media_type(said) { said } else { "application/octet-stream" };
    let headers = [
        (header::CONTENT_TYPE, media_type.to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::CONTENT_DISPOSITION, disposition(attachment.name.as_str())),
        // Another State chose these bytes: no browser is to make anything of them.
        (header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'".to_owned()),
    ];
    Ok((headers, axum::body::Body::from_stream(pieces)).into_response())
}

/// `attachment`, with the name as RFC 8187 puts it: every byte that could mean something else is escaped.
fn disposition(name: &str) -> String {
    let mut out = "attachment; filename*=UTF-8''".to_owned();
    for byte in name.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' => out.push(byte.into()),
            other => out += &format!("%{other:02X}"),
        }
    }
    out
}

/// Our trace cases, by name.
#[utoipa::path(get, path = "/v1/cases", tag = "cases",
    responses((status = 200, description = "All of them.", body = Vec<CaseView>), Always))]
async fn list_cases(Held(door): Held<Arc<Door>>) -> Shown<Vec<CaseView>> {
    Ok(Json(door.operator.cases().await?))
}

/// A trace case: its hops, what it has come to, and whom to ask next.
#[utoipa::path(get, path = "/v1/cases/{case}", tag = "cases", params(("case" = String, Path, description = CASE)),
    responses((status = 200, description = "The case.", body = CaseView), Always, Particular))]
async fn show_case(Held(door): Held<Arc<Door>>, Named(case): Named) -> Shown<CaseView> {
    Ok(Json(door.operator.case(case_name(&case)?).await?))
}

/// Tell every State whose answer is final what was concluded, and close the case.
#[utoipa::path(post, path = "/v1/cases/{case}/conclusion", tag = "cases", request_body = TraceOutcome,
    params(("case" = String, Path, description = CASE)),
    responses((status = 200, description = "The case, concluded.", body = CaseView), Always, Particular, Ordered))]
async fn conclude_case(
    Held(door): Held<Arc<Door>>,
    Extension(who): Extension<OfficerId>,
    Named(case): Named,
    Body(outcome): Body<TraceOutcome>,
) -> Shown<CaseView> {
    Ok(Json(door.operator.conclude(who, case_name(&case)?, outcome).await?))
}

fn case_name(text: &str) -> Result<Line, Refusal> {
    text.parse().map_err(|flaw| Refusal::malformed(format!("the path: {flaw}")))
}

/// Put a new register of firearms in place.
#[utoipa::path(put, path = "/v1/firearms", tag = "registers",
    request_body(content = String, content_type = "text/csv", description = "The whole register; at most 64 MiB"),
    responses((status = 200, description = "What that did.", body = FirearmsView), Always, Ordered))]
async fn import_firearms(
    Held(door): Held<Arc<Door>>,
    Extension(who): Extension<OfficerId>,
    request: Request,
) -> Shown<FirearmsView> {
    let _turn = door.import_turn()?;
    let list = read(request, "text/csv", HUGE).await?;
    Ok(Json(door.operator.import_firearms(who, list).await?))
}

/// Give out the evidence of an exchange: a file that anyone can verify, with no node. It is recorded for what and for
/// whom, as it is if the conditions of the other State's messages forbid it (Art. 12(5)).
#[utoipa::path(post, path = "/v1/exchanges/{id}/evidence", tag = "exchanges", request_body = EvidenceRequest,
    params(("id" = String, Path, description = ID)),
    responses(
        (status = 200, description = "The file, a tar archive.", body = Vec<u8>, content_type = TAR,
            headers(("Content-Disposition" = String, description = "A name for it"))),
        Always, Particular, Ordered, Guarded))]
async fn give_evidence(
    Held(door): Held<Arc<Door>>,
    Extension(who): Extension<OfficerId>,
    Named(id): Named,
    Body(request): Body<EvidenceRequest>,
) -> Result<Response, Refusal> {
    let Archive { exchange, content, place } = door.operator.evidence(who, id, request).await?;
    let headers = [
        (header::CONTENT_TYPE, TAR.to_owned()),
        (header::CONTENT_LENGTH, content.len().to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"evidence-{exchange:.10}.tar\"")),
    ];
    // It keeps its place until all of it is sent, or the client has gone.
    let pieces = futures::stream::iter(0..content.len().div_ceil(ARCHIVE_STEP)).map(move |number| {
        let _held = &place;
        let from = number * ARCHIVE_STEP;
        Ok::<_, std::io::Error>(content[from..content.len().min(from + ARCHIVE_STEP)].to_vec())
    });
    Ok((headers, axum::body::Body::from_stream(pieces)).into_response())
}

/// Put a new list of licences in place.
#[utoipa::path(put, path = "/v1/licences", tag = "registers",
    request_body(content = String, content_type = "text/csv", description = "The whole list; at most 64 MiB"),
    responses((status = 200, description = "What that did.", body = ImportView), Always, Ordered))]
async fn import_licences(
    Held(door): Held<Arc<Door>>,
    Extension(who): Extension<OfficerId>,
    request: Request,
) -> Shown<ImportView> {
    let _turn = door.import_turn()?;
    let list = read(request, "text/csv", HUGE).await?;
    Ok(Json(door.operator.import_licences(who, list).await?))
}

/// The head of our log, signed.
#[utoipa::path(get, path = "/v1/log/checkpoint", tag = "log",
    responses((status = 200, description = "The checkpoint.", body = CheckpointView), Always))]
async fn show_checkpoint(Held(door): Held<Arc<Door>>) -> Shown<CheckpointView> {
    Ok(Json(door.operator.checkpoint().await?))
}

/// An entry of our log and the proof of its place.
#[utoipa::path(get, path = "/v1/log/inclusion", tag = "log", params(LeafQuery),
    responses((status = 200, description = "Entry and proof.", body = InclusionView), Always, Particular))]
async fn prove_inclusion(
    Held(door): Held<Arc<Door>>,
    Asked(LeafQuery { leaf }): Asked<LeafQuery>,
) -> Shown<InclusionView> {
    Ok(Json(door.operator.inclusion(leaf).await?))
}

/// The proof that our log at a later size extends it at an earlier one.
#[utoipa::path(get, path = "/v1/log/consistency", tag = "log", params(SizesQuery),
    responses((status = 200, description = "The proof.", body = ConsistencyView), Always, Particular))]
async fn prove_consistency(
    Held(door): Held<Arc<Door>>,
    Asked(SizesQuery { from, to }): Asked<SizesQuery>,
) -> Shown<ConsistencyView> {
    Ok(Json(door.operator.consistency(from, to).await?))
}

/// That the node is up.
#[derive(Serialize, ToSchema)]
struct Health {
    /// `up`.
    status: &'static str,
}

const PEER: &str = "A node id with its slash as %2F, or the code of a State with one admitted node";
const KEY: &str =
    "1 to 200 visible ASCII characters of your choice: repeated with the same request, nothing new is done";
const ID: &str = "The id, or its beginning: at least 6 characters that no other exchange begins with";
const CASE: &str = "The name that its trace requests bear";

const TAR: &str = "application/x-tar";
/// Whether whole lists or photographs are put there, or evidence with photographs made, which takes its time.
pub(super) fn takes_long(path: &str) -> bool {
    ["/v1/attachments", "/v1/firearms", "/v1/licences"].contains(&path) || path.ends_with("/evidence")
}
/// Bytes of an attachment read at a time.
const DOWNLOAD_STEP: u32 = 64 * 1024;
/// How much of an evidence file goes out at a time, in bytes.
const ARCHIVE_STEP: usize = 64 * 1024;

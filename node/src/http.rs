//! The operator's door: JSON over TLS on a loopback address, for officers' tools and national systems.
//!
//! It asks who knocks, reads what is wanted into the types of `liaison_protocol::operator`, and puts every
//! refusal into words (RFC 9457). Deciding is left to others: the node is known here as an [`Operator`] only.
//! No other file names axum, axum-server or rcgen, or knows that the answers travel over HTTP.

use std::error::Error;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::{Path as FilePath, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::extract::{
    Extension, FromRequest, FromRequestParts, MatchedPath, Path, Query, Request, State as Held,
};
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use data_encoding::BASE64URL_NOPAD;
use futures::StreamExt;
use liaison_protocol::attachment::{self, Attachment, View};
use liaison_protocol::authority::{Line, OfficerId, Timestamp};
use liaison_protocol::entry::IdempotencyKey;
use liaison_protocol::json;
use liaison_protocol::key_set;
use liaison_protocol::merkle::Hash;
use liaison_protocol::message::{Kind, MessageId};
use liaison_protocol::operator::{
    ActRequest, AdmitRequest, CaseView, CheckpointView, ConsistencyView, EvidenceRequest, ExchangePage,
    ExchangeView, FirearmsView, ImportView, InclusionView, InstallRequest, Mistake, NodeView, OpenRequest,
    PeerView, Problem, ReadyView, RemoveRequest, Rules, Side, State,
};
use liaison_protocol::trace::TraceOutcome;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AnyOfBuilder, Schema};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{IntoParams, IntoResponses, Modify, OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use zeroize::Zeroizing;

/// What the node says to an operator, when it has made up its mind.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Mistake>> + Send + 'a>>;

/// The node, as its operators see it.
///
/// `who` is the holder of the token; where a request names an officer, that is for the node to weigh. An
/// answer may be dropped before it is there, because the client left or its time was up: an order that was
/// taken by then takes effect all the same, and the same idempotency key asks for it again.
pub trait Operator: Send + Sync + 'static {
    /// The node and the State it speaks for.
    fn node(&self) -> Answer<'_, NodeView>;
    /// Put our own next key set in force.
    fn install_key_set(&self, who: OfficerId, request: InstallRequest) -> Answer<'_, NodeView>;
    /// All admitted peers.
    fn peers(&self) -> Answer<'_, Vec<PeerView>>;
    /// One peer: by node id, or by the code of a State with one admitted node.
    fn peer(&self, name: String) -> Answer<'_, PeerView>;
    /// Admit a peer.
    fn admit(&self, who: OfficerId, request: AdmitRequest) -> Answer<'_, PeerView>;
    /// Remove a peer.
    fn remove(&self, who: OfficerId, name: String, request: RemoveRequest) -> Answer<'_, ()>;
    /// Set what a peer is answered automatically.
    fn set_rules(&self, who: OfficerId, name: String, rules: Rules) -> Answer<'_, PeerView>;
    /// A page of exchanges, newest first; its `next` is the [`cursor`] of its last leaf.
    fn exchanges(&self, filter: Filter) -> Answer<'_, ExchangePage>;
    /// One exchange: by id, or by a unique beginning of it.
    fn exchange(&self, id: String) -> Answer<'_, ExchangeView>;
    /// Open an exchange, or find the one that `key` opened.
    fn open(&self, who: OfficerId, key: IdempotencyKey, request: OpenRequest) -> Answer<'_, Opened>;
    /// Act in an exchange.
    fn act(
        &self,
        who: OfficerId,
        key: Option<IdempotencyKey>,
        id: String,
        request: ActRequest,
    ) -> Answer<'_, ExchangeView>;
    /// Take in an attachment, to be named by a message.
    fn put_attachment(&self, who: OfficerId, upload: Upload) -> Answer<'_, Attachment>;
    /// An attachment of a message in an exchange.
    fn attachment(&self, exchange: String, digest: String) -> Answer<'_, Content>;
    /// Put a new register of firearms in place.
    fn import_firearms(&self, who: OfficerId, csv: Vec<u8>) -> Answer<'_, FirearmsView>;
    /// Our trace cases, by name.
    fn cases(&self) -> Answer<'_, Vec<CaseView>>;
    /// One of them.
    fn case(&self, trace_case: Line) -> Answer<'_, CaseView>;
    /// Tell all who answered what we concluded, and close.
    fn conclude(&self, who: OfficerId, trace_case: Line, outcome: TraceOutcome) -> Answer<'_, CaseView>;
    /// Give out the evidence of an exchange: its id, and the archive.
    fn evidence(
        &self,
        who: OfficerId,
        id: String,
        request: EvidenceRequest,
    ) -> Answer<'_, (MessageId, Vec<u8>)>;
    /// Put a new list of licences in place.
    fn import_licences(&self, who: OfficerId, csv: Vec<u8>) -> Answer<'_, ImportView>;
    /// The signed head of our log.
    fn checkpoint(&self) -> Answer<'_, CheckpointView>;
    /// An entry of our log and the proof of its place.
    fn inclusion(&self, leaf: u64) -> Answer<'_, InclusionView>;
    /// The proof that our log of size `to` extends that of size `from`.
    fn consistency(&self, from: u64, to: u64) -> Answer<'_, ConsistencyView>;
    /// Whether the node can sign now.
    fn ready(&self) -> Answer<'_, ReadyView>;
}

/// Which exchanges are wanted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Filter {
    /// With this peer: a node id, or the code of a State with one admitted node.
    pub peer: Option<String>,
    /// That have come this far.
    pub state: Option<State>,
    /// In which we are this side.
    pub side: Option<Side>,
    /// That ask this.
    pub kind: Option<Kind>,
    /// About something whose short description contains this: a licence's number, an item, an export file.
    pub subject: Option<String>,
    /// In which the time for what is owed has passed, or has not.
    pub overdue: Option<bool>,
    /// That wait for an officer of ours, or do not.
    pub for_officer: Option<bool>,
    /// At most so many, 1 to 200.
    pub limit: usize,
    /// Opened before this leaf.
    pub after: Option<u64>,
}

/// `next` of a page that ends with the exchange opened at `leaf`.
pub fn cursor(leaf: u64) -> String {
    BASE64URL_NOPAD.encode(&leaf.to_be_bytes())
}

/// An exchange, and whether this request opened it.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    /// The exchange.
    pub view: ExchangeView,
    /// Whether it is new; if not, the idempotency key had opened it before.
    pub new: bool,
}

/// An attachment that is put in.
#[derive(Debug)]
pub struct Upload {
    /// A name for people.
    pub name: Line,
    /// Its media type.
    pub media_type: Line,
    /// What it shows, if it is a photograph.
    pub view: Option<View>,
    /// What it is: at most 32 MiB.
    pub content: Vec<u8>,
}

/// An attachment that is here.
pub struct Content {
    /// What it is.
    pub attachment: Attachment,
    /// Reads so many bytes of it from an offset on.
    pub read: Arc<dyn Fn(u64, u32) -> std::io::Result<Vec<u8>> + Send + Sync>,
}

/// Where the door is and who may come in.
pub struct Settings {
    /// The address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whether that may be an address that others can reach.
    pub allow_remote: bool,
    /// The certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Who may come in.
    pub tokens: Vec<Token>,
}

/// A bearer token. It has no `Debug`, so that it cannot be printed by chance.
pub struct Token {
    /// Who holds it.
    pub holder: OfficerId,
    /// What its holder shows.
    pub secret: Zeroizing<String>,
}

/// Why the door does not open.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the texts say it")]
pub enum HttpError {
    #[error("the API cannot listen on {listen}: {source}")]
    Address { listen: SocketAddr, source: std::io::Error },
    #[error("the API's certificate or key {}: {why}", path.display())]
    Certificate { path: PathBuf, why: String },
    #[error("cannot make a certificate for the API: {0}")]
    Making(#[from] rcgen::Error),
    #[error(
        "the API would listen on {0}, which other machines may reach: give a loopback address such as \
         127.0.0.1, or set `allow_remote = true` in [api]"
    )]
    Remote(SocketAddr),
    #[error("the API token of {holder} {why}")]
    Token { holder: OfficerId, why: &'static str },
}

/// The open door. Dropping it leaves it open; [`Server::shutdown`] closes it.
pub struct Server {
    address: SocketAddr,
    handle: axum_server::Handle<SocketAddr>,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Take no more connections and let the requests under way end, for a few seconds.
    pub async fn shutdown(self) {
        self.handle.graceful_shutdown(Some(GRACE));
        match self.task.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the API stopped badly"),
            Err(error) => tracing::error!(%error, "the API stopped badly"),
        }
    }
}

/// Open the door to `operator`. Returns once connections are taken.
pub async fn start<O: Operator>(settings: Settings, operator: Arc<O>) -> Result<Server, HttpError> {
    open_door(settings, operator, Bounds::default())
}

fn open_door(settings: Settings, operator: Arc<dyn Operator>, bounds: Bounds) -> Result<Server, HttpError> {
    let Settings { listen, allow_remote, certificate, key, tokens } = settings;
    if !allow_remote && !listen.ip().is_loopback() {
        return Err(HttpError::Remote(listen));
    }
    let door = Arc::new(Door {
        operator,
        holders: holders(tokens)?,
        places: Semaphore::new(bounds.at_once),
        import: Semaphore::new(1),
        uploads: Semaphore::new(MOST_UPLOADS),
        bounds,
        document: openapi(),
    });
    let tls = axum_server::tls_rustls::RustlsConfig::from_config(Arc::new(tls(&certificate, &key)?));
    let broken = |source| HttpError::Address { listen, source };
    let listener = TcpListener::bind(listen).map_err(broken)?;
    let address = listener.local_addr().map_err(broken)?;
    let handle = axum_server::Handle::new();
    let places = Arc::new(Semaphore::new(bounds.connections));
    let acceptor = axum_server::tls_rustls::RustlsAcceptor::new(tls)
        .handshake_timeout(HANDSHAKE.min(bounds.request))
        .acceptor(Threshold(places));
    let mut server = axum_server::from_tcp(listener)
        .map_err(broken)?
        .acceptor(acceptor)
        .http1_only()
        .accept_error_handler(|_, error| tracing::debug!(%error, "a connection to the API failed"))
        .handle(handle.clone());
    server.http_builder().http1().header_read_timeout(bounds.request);
    let task = tokio::spawn(server.serve(router(door).into_make_service()));
    Ok(Server { address, handle, task })
}

fn tls(certificate: &FilePath, key: &FilePath) -> Result<rustls::ServerConfig, HttpError> {
    let bad = |path: &FilePath, why: String| HttpError::Certificate { path: path.to_owned(), why };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| bad(certificate, error.to_string()))?;
    let metadata = std::fs::metadata(key).map_err(|error| bad(key, error.to_string()))?;
    if std::os::unix::fs::MetadataExt::mode(&metadata) & 0o077 != 0 {
        return Err(bad(key, format!("others may read this key file; run: chmod 600 {}", key.display())));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| bad(key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .expect("the provider has suites for both versions")
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(|error| bad(certificate, error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// A self-signed certificate for this machine's loopback names and its private key, both PEM, valid for two
/// years from `now`. A client that trusts this certificate needs no other root.
pub fn make_certificate(now: Timestamp) -> Result<(String, Zeroizing<String>), HttpError> {
    use rcgen::SanType::{DnsName, IpAddress};
    let mut asked = rcgen::CertificateParams::default();
    asked.subject_alt_names = vec![
        IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        IpAddress(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        DnsName("localhost".try_into()?),
    ];
    asked.distinguished_name = rcgen::DistinguishedName::new();
    asked.distinguished_name.push(rcgen::DnType::CommonName, "liaison node, API");
    // Not an authority, and no key usages: strict clients then accept it as its own root and nothing more.
    asked.is_ca = rcgen::IsCa::ExplicitNoCa;
    asked.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let now = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(now.0);
    // Clients' clocks may be a little behind ours.
    asked.not_before = now - DAY;
    asked.not_after = now + 730 * DAY;
    let key = rcgen::KeyPair::generate()?;
    let certificate = asked.self_signed(&key)?;
    Ok((certificate.pem(), Zeroizing::new(key.serialize_pem())))
}

/// A bearer token out of 32 random bytes. The prefix lets scanners of leaked secrets know it.
pub fn make_token(random: [u8; 32]) -> Zeroizing<String> {
    let random = Zeroizing::new(random);
    Zeroizing::new(format!("lsn_{}", BASE64URL_NOPAD.encode(random.as_slice())))
}

/// The OpenAPI document, as it is served and checked in.
pub fn openapi() -> String {
    let routes = OpenApiRouter::with_openapi(Document::openapi()).merge(for_all()).merge(for_holders());
    let mut document = routes.into_openapi();
    loosen_codes(&mut document);
    document.to_pretty_json().expect("the document has string keys") + "\n"
}

// What every request meets on its way in.

/// How much is taken at once, and for how long.
#[derive(Clone, Copy)]
struct Bounds {
    /// Connections that stand, of strangers too: those beyond are closed before a word is said on them.
    connections: usize,
    /// Requests under way.
    at_once: usize,
    /// Time to send the head of a request, and then for the rest of it and the answer.
    request: Duration,
    /// Time for a list of licences.
    import: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 384,
            at_once: 256,
            request: Duration::from_secs(30),
            import: Duration::from_secs(600),
        }
    }
}

/// Lets in as many connections as there are places. Each costs a file, and the log needs files, too.
#[derive(Clone)]
struct Threshold(Arc<Semaphore>);

impl<S> axum_server::accept::Accept<TcpStream, S> for Threshold {
    type Stream = Placed;
    type Service = S;
    type Future = std::future::Ready<std::io::Result<(Placed, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let placed = match self.0.clone().try_acquire_owned() {
            Ok(place) => Ok((Placed { stream, _place: place }, service)),
            Err(_) => Err(std::io::Error::other("there are too many connections already")),
        };
        std::future::ready(placed)
    }
}

/// A connection and its place.
struct Placed {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
}

impl AsyncRead for Placed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Placed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

struct Door {
    operator: Arc<dyn Operator>,
    holders: Vec<Holder>,
    places: Semaphore,
    /// A list is held in memory while it is read: one at a time.
    import: Semaphore,
    /// So is an attachment: a few at a time.
    uploads: Semaphore,
    bounds: Bounds,
    document: String,
}

struct Holder {
    who: OfficerId,
    digest: Hash,
}

/// Keep only the digests. A token that could be guessed, or that two hold, lets nobody in.
fn holders(tokens: Vec<Token>) -> Result<Vec<Holder>, HttpError> {
    let mut holders: Vec<Holder> = Vec::new();
    for Token { holder, secret } in tokens {
        let digest = Hash::of(secret.as_bytes());
        if secret.len() < MIN_TOKEN || !secret.bytes().all(|b| b.is_ascii_graphic()) {
            let why = "is not one of ours: at least 32 visible ASCII characters";
            return Err(HttpError::Token { holder, why });
        }
        if holders.iter().any(|other| other.digest == digest) {
            return Err(HttpError::Token { holder, why: "belongs to another holder too" });
        }
        holders.push(Holder { who: holder, digest });
    }
    Ok(holders)
}

impl Door {
    fn import_turn(&self) -> Result<SemaphorePermit<'_>, Refusal> {
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

fn router(door: Arc<Door>) -> Router {
    let (for_all, _) = for_all().split_for_parts();
    let (for_holders, _) = for_holders().split_for_parts();
    for_holders
        .route_layer(middleware::from_fn_with_state(door.clone(), receive))
        .merge(for_all)
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::from_fn(attend))
        .with_state(door)
}

/// Around everything: the headers each answer has, and one line in our trace, without what was said.
async fn attend(path: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let began = Instant::now();
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // The template of the path: the path itself may name an exchange or a peer.
    let path = path.as_ref().map_or("-", MatchedPath::as_str);
    let status = response.status().as_u16();
    tracing::info!(%method, path, status, micros = began.elapsed().as_micros(), "api");
    response
}

/// Around what needs a token. Strangers are sent away before they can take a place.
async fn receive(Held(door): Held<Arc<Door>>, mut request: Request, next: Next) -> Result<Response, Refusal> {
    let who = door.who(request.headers())?;
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

async fn no_such_path() -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "there is nothing here: see /openapi.json, and write the slash in a node id as %2F",
    )
}

async fn no_such_method(method: Method) -> Refusal {
    Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("{method} is not possible here; the header Allow says what is"),
    )
}

// What is refused, and how that is said.

/// A refusal on its way out as a [`Problem`].
struct Refusal {
    status: StatusCode,
    detail: String,
}

impl Refusal {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }

    fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }
}

/// The one place where mistakes become statuses.
impl From<Mistake> for Refusal {
    fn from(mistake: Mistake) -> Self {
        let status = match mistake {
            Mistake::Forbidden(_) => StatusCode::CONFLICT,
            Mistake::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Mistake::Malformed(_) => StatusCode::BAD_REQUEST,
            Mistake::NotReady(_) => StatusCode::SERVICE_UNAVAILABLE,
            Mistake::Unknown(_) => StatusCode::NOT_FOUND,
            Mistake::Withheld(_) => StatusCode::FORBIDDEN,
        };
        Self::new(status, mistake.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let problem = Problem {
            kind: "about:blank".into(),
            title: self.status.canonical_reason().unwrap_or_default().into(),
            status: self.status.as_u16(),
            detail: self.detail,
        };
        let mut response = (self.status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match self.status {
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECS));
            }
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        response
    }
}

// What is read.

/// A JSON body of at most `LIMIT` bytes, of which nothing is ignored.
struct Body<T, const LIMIT: usize = SMALL>(T);

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

fn parse<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Result<T, Refusal> {
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
fn cause(rejection: &dyn Error) -> String {
    rejection.source().unwrap_or(rejection).to_string()
}

/// The first field that was said and is not among what was kept. Types that also travel between States let
/// unknown fields pass; an officer who mistypes `expiry_date` must hear of it.
fn ignored(said: &Value, kept: &Value) -> Option<String> {
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
fn media_type(request: &Request) -> &str {
    let said = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    said.unwrap_or_default().split(';').next().unwrap_or_default().trim()
}

/// Read a body of the media type `media` and of at most `limit` bytes.
async fn read(request: Request, media: &str, limit: usize) -> Result<Vec<u8>, Refusal> {
    if !media_type(&request).eq_ignore_ascii_case(media) {
        let detail = format!("the body must be {media}: send the header `Content-Type: {media}`");
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    read_any(request, limit).await
}

/// Read a body of at most `limit` bytes.
async fn read_any(request: Request, limit: usize) -> Result<Vec<u8>, Refusal> {
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
struct Named(String);

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
struct Asked<T>(T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Query::try_from_uri(&parts.uri)
            .map(|Query(asked)| Self(asked))
            .map_err(|rejection| Refusal::malformed(format!("the query: {}", cause(&rejection))))
    }
}

/// The header Idempotency-Key, bound to what is asked under it.
fn idempotency_key<T: Serialize>(headers: &HeaderMap, asked: &T) -> Result<Option<IdempotencyKey>, Refusal> {
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
struct ListQuery {
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
struct AttachmentQuery {
    /// A name for people, such as that of its file.
    #[param(value_type = String)]
    name: Line,
    /// What it shows, if it is a photograph.
    #[param(inline)]
    view: Option<View>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct LeafQuery {
    /// The place of the entry, from 0.
    leaf: u64,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SizesQuery {
    /// The smaller size.
    from: u64,
    /// The larger size.
    to: u64,
}

// What can be asked.

fn for_all() -> OpenApiRouter<Arc<Door>> {
    OpenApiRouter::new().routes(routes!(health)).routes(routes!(ready)).routes(routes!(document))
}

fn for_holders() -> OpenApiRouter<Arc<Door>> {
    OpenApiRouter::new()
        .routes(routes!(show_node))
        .routes(routes!(install_key_set))
        .routes(routes!(list_peers, admit_peer))
        .routes(routes!(show_peer, remove_peer))
        .routes(routes!(set_rules))
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
    let (exchange, archive) = door.operator.evidence(who, id, request).await?;
    let name = format!("attachment; filename=\"evidence-{exchange:.10}.tar\"");
    let headers = [(header::CONTENT_TYPE, TAR.to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, archive).into_response())
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

// What the document says beside the routes.

#[derive(OpenApi)]
#[openapi(
    info(
        title = "liaison node",
        description = "What an officer's tools and a national system ask of their own State's node. Every \
                       refusal is a problem (RFC 9457) whose `detail` says what to do.",
    ),
    components(schemas(Problem)),
    modifiers(&Bearer),
    security(("bearer" = [])),
    servers((url = "https://127.0.0.1:4711", description = "The node on this machine; the port is configured")),
    tags(
        (name = "node", description = "The node itself."),
        (name = "peers", description = "Other States' nodes."),
        (name = "exchanges", description = "Questions to and from other States."),
        (name = "cases", description = "Traces from State to State, to the point of diversion."),
        (name = "registers", description = "Our own lists, from which the node answers."),
        (name = "log", description = "What was recorded, and the proofs of it."),
        (name = "service", description = "For whoever keeps the node running; needs no token."),
    ),
)]
struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let token = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("A token of the node's configuration, `lsn_...`; its holder is the officer."))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(token));
    }
}

/// A value of a code list that may have grown is one we know or any text, and one we know is a text too: the
/// derived `oneOf` would match neither.
fn loosen_codes(document: &mut utoipa::openapi::OpenApi) {
    let schemas = document.components.iter_mut().flat_map(|components| &mut components.schemas);
    for (_, schema) in schemas.filter(|(name, _)| name.starts_with("Coded_")) {
        if let RefOr::T(Schema::OneOf(one)) = schema {
            let any = one.items.drain(..).fold(AnyOfBuilder::new(), AnyOfBuilder::item);
            *schema = any.description(one.description.take()).into();
        }
    }
}

/// What anything that needs a token can be answered.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "for the document only")]
enum Always {
    /// No token, or one that the node does not know.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(Problem),
    /// The node cannot sign now, or has too much to do; Retry-After says when to ask again.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(Problem),
}

/// What a request about one particular thing can be answered.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "for the document only")]
enum Particular {
    /// Something in the request is not as it must be.
    #[response(status = 400, content_type = "application/problem+json")]
    Malformed(Problem),
    /// There is no such thing.
    #[response(status = 404, content_type = "application/problem+json")]
    Unknown(Problem),
}

/// What an order can be answered.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "for the document only")]
enum Ordered {
    /// Something in the request is not as it must be.
    #[response(status = 400, content_type = "application/problem+json")]
    Malformed(Problem),
    /// It is not possible as things stand.
    #[response(status = 409, content_type = "application/problem+json")]
    Forbidden(Problem),
    /// The body is too long.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLong(Problem),
    /// The body is of another media type.
    #[response(status = 415, content_type = "application/problem+json")]
    WrongMedia(Problem),
}

/// What an order with an idempotency key can be answered.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "for the document only")]
enum Keyed {
    /// The idempotency key was used for another request.
    #[response(status = 422, content_type = "application/problem+json")]
    Reused(Problem),
}

/// What may be forbidden by the conditions under which it was given.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "for the document only")]
enum Guarded {
    /// A condition of the State that gave it forbids it; the refusal is recorded.
    #[response(status = 403, content_type = "application/problem+json")]
    Withheld(Problem),
}

const PEER: &str = "A node id with its slash as %2F, or the code of a State with one admitted node";
const KEY: &str =
    "1 to 200 visible ASCII characters of your choice: repeated with the same request, nothing new is done";
const ID: &str = "The id, or its beginning: at least 6 characters that no other exchange begins with";

const CASE: &str = "The name that its trace requests bear";

const TAR: &str = "application/x-tar";
/// Where whole lists and photographs are put, which takes its time.
const LONG: [&str; 3] = ["/v1/attachments", "/v1/firearms", "/v1/licences"];
const IDEMPOTENCY_KEY: &str = "idempotency-key";
const RETRY_AFTER_SECS: &str = "2";

const SMALL: usize = 64 * 1024;
/// One key set. In JSON its quotation marks count twice, and it is full of them.
const MEDIUM: usize = 2 * key_set::MAX_BYTES + SMALL;
/// A peer's whole file of key sets.
const LARGE: usize = 2 * key_set::MAX_CHAIN * key_set::MAX_BYTES + SMALL;
/// A State's whole list of licences.
const HUGE: usize = 64 * 1024 * 1024;
/// Attachments taken in at a time.
const MOST_UPLOADS: usize = 4;
/// Bytes of an attachment read at a time.
const DOWNLOAD_STEP: u32 = 64 * 1024;
/// What is read and thrown away beyond a limit.
const SURPLUS: usize = 1024 * 1024;

const DEFAULT_PAGE: usize = 50;
const MAX_PAGE: usize = 200;
const MIN_TOKEN: usize = 32;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Time for the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Time for requests under way when the door closes.
const GRACE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;

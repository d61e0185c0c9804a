//! The operator's door: JSON over TLS on a loopback address, for officers' tools and national systems.
//!
//! It asks who knocks, reads what is wanted into the types of `liaison_protocol::operator`, and puts every
//! refusal into words (RFC 9457). Deciding is left to others: the node is known here as an [`Operator`] only.
//! No other room names axum, axum-server or rcgen, or knows that the answers travel over HTTP. Within it, `door.rs` lets
//! requests in, `asked.rs` reads them, `routes.rs` has what can be asked, `refusal.rs` says no, `document.rs` describes.

mod asked;
mod document;
mod door;
mod following;
mod refusal;
mod routes;
mod threshold;

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::{Path as FilePath, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use futures::Stream;
use liaison_protocol::attachment::{Attachment, View};
use liaison_protocol::authority::{Line, OfficerId, Timestamp};
use liaison_protocol::entry::IdempotencyKey;
use liaison_protocol::message::{Kind, MessageId};
use liaison_protocol::operator::{
    ActRequest, AdmitRequest, CaseView, CheckpointView, ConsistencyView, EventView, EvidenceRequest,
    ExchangePage, ExchangeView, FirearmsView, ImportView, InclusionView, InstallRequest, Mistake, NodeView,
    OpenRequest, PeerTestView, PeerView, ReadyView, RemoveRequest, Rules, Side, State,
};
use liaison_protocol::trace::TraceOutcome;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::{Semaphore, watch};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use zeroize::Zeroizing;

use document::{Document, loosen_codes};
use door::{Bounds, Door, Holder, MOST_UPLOADS, holders, router};
use routes::{for_all, for_holders};
use threshold::Threshold;

use crate::metrics::Metrics;

/// What the node says to an operator, when it has made up its mind.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Mistake>> + Send + 'a>>;

/// What changes, as it does; its end says that the node can tell no more.
pub type Following = Pin<Box<dyn Stream<Item = EventView> + Send>>;

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
    /// Test the way to a peer.
    fn test(&self, name: String) -> Answer<'_, PeerTestView>;
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
    /// Give out the evidence of an exchange.
    fn evidence(&self, who: OfficerId, id: String, request: EvidenceRequest) -> Answer<'_, Archive>;
    /// Put a new list of licences in place.
    fn import_licences(&self, who: OfficerId, csv: Vec<u8>) -> Answer<'_, ImportView>;
    /// The signed head of our log.
    fn checkpoint(&self) -> Answer<'_, CheckpointView>;
    /// An entry of our log and the proof of its place.
    fn inclusion(&self, leaf: u64) -> Answer<'_, InclusionView>;
    /// The proof that our log of size `to` extends that of size `from`.
    fn consistency(&self, from: u64, to: u64) -> Answer<'_, ConsistencyView>;
    /// What changes from now on, or what was changed by entries of our log behind `after`.
    fn events(&self, after: Option<u64>) -> Answer<'_, Following>;
    /// Bring what is counted up to date, where it is looked up and not counted.
    fn observe(&self) -> Answer<'_, ()>;
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

/// The evidence of an exchange.
pub struct Archive {
    /// Of which.
    pub exchange: MessageId,
    /// The file.
    pub content: Vec<u8>,
    /// Held until all of it is sent: so many may be in memory at a time, however slowly clients take them.
    pub place: Box<dyn Send + Sync>,
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

impl Settings {
    /// Whether the door can open with these, but for the address, which another program may hold.
    pub fn check(&self) -> Result<(), HttpError> {
        self.look().map(drop)
    }

    fn look(&self) -> Result<(Vec<Holder>, rustls::ServerConfig), HttpError> {
        if !self.allow_remote && !self.listen.ip().is_loopback() {
            return Err(HttpError::Remote(self.listen));
        }
        Ok((holders(&self.tokens)?, tls(&self.certificate, &self.key)?))
    }
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
    #[error(
        "the API cannot listen on {listen}: {source}. Stop what uses that port, or give another `listen` in [api]"
    )]
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
    /// Told when whoever follows is to be sent away.
    closing: watch::Sender<bool>,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Take no more connections and let the requests under way end, for a few seconds.
    pub async fn shutdown(self) {
        self.closing.send_replace(true);
        self.handle.graceful_shutdown(Some(GRACE));
        match self.task.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the API stopped badly"),
            Err(error) => tracing::error!(%error, "the API stopped badly"),
        }
    }
}

/// Open the door to `operator`, count what comes through it, and tell what is counted to those who may come in. Returns once
/// connections are taken.
pub async fn start<O: Operator>(
    settings: Settings,
    metrics: Metrics,
    operator: Arc<O>,
) -> Result<Server, HttpError> {
    open_door(settings, metrics, operator, Bounds::default())
}

fn open_door(
    settings: Settings,
    metrics: Metrics,
    operator: Arc<dyn Operator>,
    bounds: Bounds,
) -> Result<Server, HttpError> {
    let (holders, tls) = settings.look()?;
    let listen = settings.listen;
    let closing = watch::Sender::new(false);
    let door = Arc::new(Door {
        operator,
        holders,
        places: Semaphore::new(bounds.at_once),
        import: Semaphore::new(1),
        uploads: Semaphore::new(MOST_UPLOADS),
        metrics,
        following: Arc::new(Semaphore::new(bounds.following)),
        closing: closing.subscribe(),
        bounds,
        document: openapi(),
    });
    let tls = axum_server::tls_rustls::RustlsConfig::from_config(Arc::new(tls));
    let broken = |source| HttpError::Address { listen, source };
    let listener = TcpListener::bind(listen).map_err(broken)?;
    let address = listener.local_addr().map_err(broken)?;
    let handle = axum_server::Handle::new();
    let acceptor = axum_server::tls_rustls::RustlsAcceptor::new(tls)
        .handshake_timeout(HANDSHAKE.min(bounds.request))
        .acceptor(Threshold::new(bounds.connections, bounds.patience));
    let mut server = axum_server::from_tcp(listener)
        .map_err(broken)?
        .acceptor(acceptor)
        .http1_only()
        .accept_error_handler(|_, error| tracing::debug!(%error, "a connection to the API failed"))
        .handle(handle.clone());
    server.http_builder().http1().header_read_timeout(bounds.request);
    let task = tokio::spawn(server.serve(router(door).into_make_service()));
    Ok(Server { address, handle, closing, task })
}

fn tls(certificate: &FilePath, key: &FilePath) -> Result<rustls::ServerConfig, HttpError> {
    let bad = |path: &FilePath, why: String| HttpError::Certificate { path: path.to_owned(), why };
    let unusable = |path: &FilePath, error: &dyn std::fmt::Display| {
        bad(path, format!("{error}. Put it back, or make both anew with `liaison-node certificate`"))
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(certificate, &error))?;
    let metadata = std::fs::metadata(key).map_err(|error| unusable(key, &error))?;
    if std::os::unix::fs::MetadataExt::mode(&metadata) & 0o077 != 0 {
        return Err(bad(key, format!("others may read this key file; run: chmod 600 {}", key.display())));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, &error))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .expect("the provider has suites for both versions")
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(|error| unusable(certificate, &error))?;
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

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Time for the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Time for requests under way when the door closes.
const GRACE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;

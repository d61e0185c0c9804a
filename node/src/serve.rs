//! A node as a process: the loop in a thread of its own, the network and the operators' door around it, and what is
//! written behind it in the background.

mod following;
mod outcomes;
mod peer_test;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::time::{Duration, Instant, SystemTime};

use liaison_protocol::attachment::{self, Attachment};
use liaison_protocol::authority::{Line, NodeId, OfficerId, Timestamp};
use liaison_protocol::case::Hop;
use liaison_protocol::desk::Table;
use liaison_protocol::entry::IdempotencyKey;
use liaison_protocol::handling::Coded;
use liaison_protocol::jws;
use liaison_protocol::key_set::TransportIdentity;
use liaison_protocol::mail;
use liaison_protocol::merkle::Hash;
use liaison_protocol::message::MessageId;
use liaison_protocol::operator::{
    Act, ActRequest, AdmitRequest, CaseView, CheckpointView, ConsistencyView, Enclosed, EvidenceRequest,
    ExchangePage, ExchangeSummary, ExchangeView, FirearmsView, ImportView, InclusionView, InstallRequest,
    Mistake, NodeView, OpenRequest, PeerTestView, PeerView, ReadyView, RemoveRequest, Rules,
};
use liaison_protocol::trace::TraceOutcome;
use tokio::sync::{mpsc, oneshot};
use zeroize::Zeroizing;

use crate::blobs::{Blobs, PutError};
use crate::config::{Config, ConfigError};
use crate::courier::{Courier, Nudges};
use crate::disk::{Disk, Folder};
use crate::events::{About, Change, Events};
use crate::http::{self, Content, Filter, HttpError, Opened, Upload};
use crate::init::{KEY_SETS, place_of};
use crate::keys::{KeyError, Keys, random};
use crate::log::{LogError, Reader, Spiller, witnessed_file};
use crate::marker;
use crate::metrics::Metrics;
use crate::node::{Done, Input, Node, NodeError, Now, Output, Parts, Request};
use crate::peers::{self, Event, Network, NetworkError, PeerAddress, Reply, TransportKey};
use crate::register::{Firearms, Licences, Register, Sort};
use crate::store::{Recent, Rows, Sled, Store, StoreError};
use crate::system;
use outcomes::Outcomes;

/// Orders and questions that may wait for a round.
const OWN_WAITING: usize = 1024;
/// Frames and events of the network that may wait for a round.
const MAIL_WAITING: usize = 256;
/// Most inputs of one round.
const ROUND: usize = 1024;
/// How long an answer to whether the node is ready is given again: whoever asks needs no token.
const READY_FOR: Duration = Duration::from_millis(250);
/// How soon the loop must say so itself.
const READY_WITHIN: Duration = Duration::from_secs(5);
/// How long what takes a while to count is told again.
const COUNTED_FOR: Duration = Duration::from_secs(60);
/// How often what is durable is spilled and the index synced.
const BACKGROUND: Duration = Duration::from_millis(500);
/// Where licence lists are kept, below the data folder, each under its digest.
const REGISTERS: &str = "registers";
/// Entries to replay from which on a progress bar is shown.
const WORTH_A_BAR: u64 = 10_000;
/// Rows of the list of exchanges looked at for one page.
const MOST_LOOKED_AT: usize = 200_000;

/// Tests of the way to a peer at a time.
const MOST_TESTS: usize = 4;

/// Why a node does not run.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the texts say it")]
pub enum RunError {
    #[error("another process uses {0}: only one node may write a log. Stop that one first")]
    Busy(PathBuf),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error(transparent)]
    Node(#[from] NodeError),
    #[error("{0}")]
    NotOurs(String),
    #[error(
        "a part of the node failed; see the trace above. Nothing acknowledged is lost: start it again, and report this"
    )]
    Panicked,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Token(String),
}

impl From<LogError> for RunError {
    fn from(error: LogError) -> Self {
        Self::Node(error.into())
    }
}

impl RunError {
    /// Whether starting again is of no use before somebody has put something right. A full disk, a port that is still
    /// taken or a network that is not up yet may be gone by itself.
    pub fn needs_a_person(&self) -> bool {
        let log = |error: &LogError| matches!(error, LogError::Damaged { .. } | LogError::Missing);
        match self {
            Self::Config(_) | Self::Key(_) | Self::NotOurs(_) | Self::Token(_) => true,
            Self::Http(error) => !matches!(error, HttpError::Address { .. }),
            Self::Network(error) => matches!(error, NetworkError::Address(_) | NetworkError::KeyLog),
            Self::Node(NodeError::KeySet(_)) => true,
            Self::Node(NodeError::Log(error)) => log(error),
            Self::Busy(_)
            | Self::Io { .. }
            | Self::Node(NodeError::Store(_))
            | Self::Panicked
            | Self::Store(_) => false,
        }
    }
}

/// What a running node tells the one who started it.
pub struct Running {
    /// The operators' door.
    pub api: std::net::SocketAddr,
    /// Where peers reach it.
    pub listening: Vec<String>,
    door: http::Server,
    network: Network,
    stop: mpsc::Sender<Input<Folder>>,
    ended: oneshot::Receiver<Result<(), RunError>>,
}

/// Asks a running node how it is, and does not keep it from ending.
pub struct Pulse(mpsc::WeakSender<Input<Folder>>);

impl Pulse {
    /// Why the node cannot sign now, if it cannot; said by its loop, when that comes to it. `Err` if the loop has ended.
    pub async fn why_not_ready(&self) -> Result<Option<String>, Ended> {
        let (answer, heard) = oneshot::channel();
        let ask = Input::Ask(Box::new(move |node| drop(answer.send(node.why_not_ready()))));
        let own = self.0.upgrade().ok_or(Ended)?;
        own.send(ask).await.map_err(|_| Ended)?;
        drop(own);
        heard.await.map_err(|_| Ended)
    }
}

/// The node has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ended;

impl Running {
    /// For whoever watches over the node.
    pub fn pulse(&self) -> Pulse {
        Pulse(self.stop.downgrade())
    }

    /// Wait until `signal` says stop or the node fails; then close the doors in order.
    pub async fn until(mut self, signal: impl Future<Output = ()>) -> Result<(), RunError> {
        let early = tokio::select! {
            ended = &mut self.ended => Some(ended),
            () = signal => None,
        };
        self.door.shutdown().await;
        self.network.shutdown();
        drop(self.stop);
        match early {
            Some(ended) => ended,
            None => self.ended.await,
        }
        .unwrap_or(Err(RunError::Panicked))
    }
}

/// Everything `config` names, opened: what `run` needs, and what `check` looks at.
pub struct Prepared {
    config: Config,
    keys: Keys,
    tokens: Vec<http::Token>,
    disk: Folder,
    lock: File,
}

/// Read keys, tokens and the licence list, and take the data folder for ourselves.
pub fn prepare(config: Config) -> Result<Prepared, RunError> {
    let keys = Keys::read(&config.keys)?;
    let tokens = read_tokens(&config.api.tokens)?;
    let disk = Folder::new(&config.data);
    let lock = lock(&config.data)?;
    for address in &config.listen {
        peers::check_address(address).map_err(NetworkError::Address)?;
    }
    Ok(Prepared { config, keys, tokens, disk, lock })
}

fn lock(data: &Path) -> Result<File, RunError> {
    let path = data.join("lock");
    let at = |source| RunError::Io { path: path.clone(), source };
    if !data.join("journal").is_dir() {
        return Err(LogError::Missing.into());
    }
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(at)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(RunError::Busy(data.into())),
        Err(std::fs::TryLockError::Error(source)) => Err(at(source)),
    }
}

fn list_path(digest: &Hash) -> String {
    format!("{REGISTERS}/{digest}.csv")
}

/// The register that the log says is in force. Without it officers answer every request, and are told why.
fn read_register(disk: &Folder, sort: Sort, digest: &Hash) -> Option<Register> {
    let path = list_path(digest);
    let list = disk.read(&path).ok().flatten().and_then(|bytes| Register::parse(sort, &bytes).ok());
    let found = list.filter(|list| list.digest() == Some(*digest));
    if found.is_none() {
        tracing::error!(%path, "the register in force is missing or altered: import it again");
    }
    found
}

/// Finds the licence list in force.
fn find_licences(disk: Folder) -> Box<dyn FnOnce(Hash) -> Licences> {
    Box::new(move |digest| match read_register(&disk, Sort::Licences, &digest) {
        Some(Register::Licences(list)) => list,
        _ => Licences::default(),
    })
}

/// Finds the register of firearms in force.
fn find_firearms(disk: Folder) -> Box<dyn FnOnce(Hash) -> Firearms> {
    Box::new(move |digest| match read_register(&disk, Sort::Firearms, &digest) {
        Some(Register::Firearms(firearms)) => firearms,
        _ => Firearms::default(),
    })
}

fn read_tokens(folder: &Path) -> Result<Vec<http::Token>, RunError> {
    let at = |path: &Path, source| RunError::Io { path: path.into(), source };
    let mut tokens = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|source| at(folder, source))? {
        let path = entry.map_err(|source| at(folder, source))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(holder) = name.strip_suffix(".token") else { continue };
        let holder: OfficerId =
            holder.parse().map_err(|why| RunError::Token(format!("{}: {why}", path.display())))?;
        let metadata = std::fs::metadata(&path).map_err(|source| at(&path, source))?;
        if std::os::unix::fs::MetadataExt::mode(&metadata) & 0o077 != 0 {
            let path = path.display();
            return Err(RunError::Token(format!(
                "{path}: others may read this token; run: chmod 600 {path}"
            )));
        }
        let secret = Zeroizing::new(std::fs::read_to_string(&path).map_err(|source| at(&path, source))?);
        tokens.push(http::Token { holder, secret: Zeroizing::new(secret.trim().to_owned()) });
    }
    if tokens.is_empty() {
        let folder = folder.display();
        return Err(RunError::Token(format!(
            "{folder}: no token: nobody could use the node. Make one with `liaison-node token`"
        )));
    }
    Ok(tokens)
}

impl Prepared {
    /// Open log and index, the index rebuilt from the log where it lags.
    fn open(self, progress: impl FnMut(u64, u64)) -> Result<(Node<Folder>, Spiller<Folder>, Rest), RunError> {
        let Self { config, keys, tokens, disk, lock } = self;
        let place = place_of(&config.node, 1, &keys);
        let rows: Arc<dyn Rows> = Arc::new(Recent::new(Sled::open(&config.data.join("index"))?));
        let identity = TransportKey::new(keys.transport.key.seed());
        let signed = marker::read(&config.marker, &place.origin)
            .map_err(|source| RunError::Io { path: config.marker.clone(), source })?;
        let parts = Parts {
            place,
            us: config.node.clone(),
            keys,
            store: Store::new(rows.clone()),
            firearms: find_firearms(disk.clone()),
            licences: find_licences(disk.clone()),
            random: Box::new(random),
            signed,
        };
        let (node, spiller) = Node::open(disk.clone(), parts, progress)?;
        Ok((node, spiller, Rest { config, tokens, disk, lock, rows, identity }))
    }

    /// After a restore: record that two officers made sure that this is the newest copy, and let it be signed again.
    pub fn vouch(self, officers: [OfficerId; 2], reason: Line) -> Result<u64, RunError> {
        let (mut node, mut spiller, rest) = self.open(|_, _| ())?;
        node.vouch(officers, reason)?;
        while spiller.step()? {}
        let size = node.log().checkpoint().head().size;
        marker::write(&rest.config.marker, &node.log().place().origin, size)
            .map_err(|source| RunError::Io { path: rest.config.marker.clone(), source })?;
        Ok(size)
    }

    /// Open everything a run would open, and tell what was found.
    pub fn check(self) -> Result<Vec<String>, RunError> {
        let tokens = self.tokens.len();
        let (node, _, rest) = self.open(|_, _| ())?;
        let mut found = vec![
            format!(
                "log: {} entries, root {}",
                node.log().checkpoint().head().size,
                node.log().checkpoint().head().root
            ),
            format!("peers: {}", node.desk().peers().count()),
            format!("tokens: {tokens}"),
        ];
        if let Some(own) = node.desk().own() {
            let set = own.current();
            found.push(format!("key set: version {}, expires {}", set.version, set.expires));
        }
        match node.licences().digest() {
            Some(_) => found.push(format!("licence list: {} licences", node.licences().len())),
            None => found.push("licence list: none; officers answer every request".into()),
        }
        match node.firearms().digest() {
            Some(_) => found.push(format!("register of firearms: {} firearms", node.firearms().len())),
            None => found.push("register of firearms: none; officers answer every trace".into()),
        }
        let state = node.desk().own().map(|own| own.current().state.clone());
        if state.as_ref() != Some(&rest.config.state) {
            return Err(RunError::NotOurs(format!(
                "state = \"{}\", and the key set says otherwise",
                rest.config.state
            )));
        }
        match node.why_not_ready() {
            Some(why) => Err(RunError::NotOurs(format!("the node cannot sign: {why}"))),
            None => Ok(found),
        }
    }
}

/// What a run needs beside the node itself.
struct Rest {
    config: Config,
    tokens: Vec<http::Token>,
    disk: Folder,
    lock: File,
    rows: Arc<dyn Rows>,
    identity: TransportKey,
}

/// Start the node: log, network, loop, background, operators' door, in this order.
pub async fn start(prepared: Prepared) -> Result<Running, RunError> {
    let (mut node, spiller, rest) = prepared.open(show_progress())?;
    let (mail_in, mail_out) = mpsc::channel::<Event>(MAIL_WAITING);
    let settings = peers::Settings {
        identity: rest.identity,
        listen: rest.config.listen.clone(),
        max_request: mail::MAX_MAIL,
        max_response: mail::MAX_REPLY,
        request_timeout: Duration::from_secs(20),
        idle_timeout: Duration::from_secs(300),
    };
    let (piece_in, piece_out) = mpsc::unbounded_channel();
    let network = peers::start(settings, mail_in, piece_in).await?;
    node.listening = network.listening();
    let listening = node.listening.clone();

    let (own_in, own_out) = mpsc::channel::<Input<Folder>>(OWN_WAITING);
    let (ended_in, ended) = oneshot::channel();
    let (behind_in, behind_out) = std_mpsc::channel();
    let behind = Behind {
        spiller,
        disk: rest.disk.clone(),
        rows: rest.rows.clone(),
        origin: node.log().place().origin.clone(),
        marker: rest.config.marker.clone(),
        reader: node.reader(),
        // An old copy must not make the marker say less than it does.
        marked: if node.halted().is_some() { u64::MAX } else { 0 },
        folder: node.log().place().folder.clone(),
        key_sets: [format!("{}/{KEY_SETS}", node.log().place().folder), KEY_SETS.to_owned()],
    };
    let blobs = node.blobs().clone();
    let nudges = Arc::<Nudges>::default();
    let courier = Courier {
        blobs: blobs.clone(),
        network: network.clone(),
        pieces: piece_out,
        own: own_in.downgrade(),
        nudges: nudges.clone(),
        random: Box::new(random),
        fetchers: BTreeMap::new(),
        started: Instant::now(),
        last: None,
    };
    let metrics = node.metrics.clone();
    let outcomes = Arc::<Outcomes>::default();
    let events = Arc::new(Events::new(node.log().checkpoint().head().size));
    let mut house = House {
        node,
        nudges,
        roster_until: None,
        network: network.clone(),
        own: own_out,
        mail: mail_out,
        replies: HashMap::new(),
        tickets: 0,
        behind: behind_in,
        gave_up: Arc::default(),
        started: Instant::now(),
        metrics: metrics.clone(),
        posted: HashMap::new(),
        outcomes: outcomes.clone(),
        events: events.clone(),
        news: Vec::new(),
        ready: None,
    };
    let lock = rest.lock;
    std::thread::Builder::new()
        .name("loop".into())
        .spawn(move || {
            let gave_up = GivesUp(house.gave_up.clone());
            let behind = std::thread::Builder::new().name("behind".into()).spawn(move || {
                let _gave_up = gave_up;
                behind.run(behind_out)
            });
            let gave_up = GivesUp(house.gave_up.clone());
            let courier = std::thread::Builder::new().name("courier".into()).spawn(move || {
                let _gave_up = gave_up;
                courier.run(clock());
            });
            let mut result = house.run().map_err(RunError::from);
            // The courier ends with the network.
            house.network.shutdown();
            drop(house);
            if let Ok(courier) = courier {
                result = result.and(courier.join().map_err(|_| RunError::Panicked));
            }
            if let Ok(behind) = behind {
                let tidied = behind.join().unwrap_or(Err(RunError::Panicked));
                result = result.and(tidied);
            }
            drop(lock);
            let _ = ended_in.send(result);
        })
        .expect("the system can start a thread");

    let door = Door {
        own: own_in.clone(),
        rows: rest.rows,
        disk: rest.disk,
        blobs,
        readiness: Arc::default(),
        importing: Arc::default(),
        metrics: metrics.clone(),
        events,
        outcomes,
        network: network.clone(),
        testing: Arc::new(tokio::sync::Semaphore::new(MOST_TESTS)),
        index: rest.config.data.join("index"),
        counted: Arc::default(),
    };
    let api = &rest.config.api;
    let settings = http::Settings {
        listen: api.listen,
        allow_remote: api.allow_remote,
        certificate: api.certificate.clone(),
        key: api.key.clone(),
        tokens: rest.tokens,
        metrics,
    };
    let door = http::start(settings, Arc::new(door)).await?;
    Ok(Running { api: door.address(), listening, door, network, stop: own_in, ended })
}

/// A progress bar for the index being rebuilt, if that takes a while.
fn show_progress() -> impl FnMut(u64, u64) {
    let bar = indicatif::ProgressBar::no_length().with_style(
        indicatif::ProgressStyle::with_template(
            "rebuilding the index {bar:40} {pos}/{len} entries, {eta} left",
        )
        .expect("a template of ours"),
    );
    move |done, of| {
        if of >= WORTH_A_BAR {
            bar.set_length(of);
            bar.set_position(done);
        }
    }
}

/// Civil time.
pub fn clock() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Timestamp(since.map(|since| since.as_secs()).unwrap_or_default())
}

/// The loop with what it hears and speaks through.
struct House {
    node: Node<Folder>,
    nudges: Arc<Nudges>,
    /// When the roster is to be told anew, if nothing else changes it.
    roster_until: Option<Timestamp>,
    network: Network,
    own: mpsc::Receiver<Input<Folder>>,
    mail: mpsc::Receiver<Event>,
    replies: HashMap<u64, Reply>,
    tickets: u64,
    behind: std_mpsc::Sender<Errand>,
    /// Told when what is written in the background cannot be written any more: then the node stops.
    gave_up: Arc<tokio::sync::Notify>,
    started: Instant,
    metrics: Metrics,
    /// When the mail went out whose response is awaited.
    posted: HashMap<NodeId, Instant>,
    outcomes: Arc<Outcomes>,
    events: Arc<Events>,
    /// Changes that no entry of the log made, to be told after the round that learns of them.
    news: Vec<Change>,
    /// Whether the node could sign after the last round.
    ready: Option<bool>,
}

impl House {
    fn run(&mut self) -> Result<(), NodeError> {
        let waiting = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("the system has timers");
        self.roster();
        let mut inputs = Vec::new();
        loop {
            let now = self.now();
            let outputs = self.node.round(now, std::mem::take(&mut inputs))?;
            self.speak(outputs);
            self.tell();
            if self.roster_until.is_some_and(|until| until <= clock()) {
                self.roster();
            }
            let changes =
                self.roster_until.map(|until| Duration::from_secs(until.0.saturating_sub(clock().0).max(1)));
            let wakes_at = self.node.wakes_at();
            let pause = wakes_at.map_or(Duration::from_secs(3600), |at| {
                Duration::from_millis(at.saturating_sub(self.now().millis).max(1))
            });
            // Own work before strangers'.
            let goes_on = waiting.block_on(async {
                tokio::select! {
                    biased;
                    () = self.gave_up.notified() => false,
                    own = self.own.recv() => own.map(|own| inputs.push(own)).is_some(),
                    Some(event) = self.mail.recv() => { let input = self.hear(event); inputs.push(input); true }
                    () = tokio::time::sleep(changes.map_or(pause, |changes| changes.min(pause))) => true,
                }
            });
            if !goes_on {
                return Ok(());
            }
            while inputs.len() < ROUND
                && let Ok(own) = self.own.try_recv()
            {
                inputs.push(own);
            }
            while inputs.len() < ROUND
                && let Ok(event) = self.mail.try_recv()
            {
                let input = self.hear(event);
                inputs.push(input);
            }
        }
    }

    /// Tell those who watch what the round changed.
    fn tell(&mut self) {
        let ready = self.node.why_not_ready().is_none();
        if self.ready.replace(ready) != Some(ready) {
            self.metrics.set_ready(ready);
            self.news.push((None, About::Ready));
        }
        let mut changes = self.node.take_changes();
        changes.append(&mut self.news);
        self.events.tell(changes, self.node.log().checkpoint().head().size);
    }

    fn now(&self) -> Now {
        Now { time: clock(), millis: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX) }
    }

    fn hear(&mut self, event: Event) -> Input<Folder> {
        match event {
            Event::Arrived { from, frame, reply } => {
                self.tickets += 1;
                self.replies.insert(self.tickets, reply);
                Input::Arrived { from, frame, ticket: self.tickets }
            }
            Event::Answered { from, frame } => {
                if let Some(posted) = self.posted.remove(&from) {
                    self.metrics.mail_answered(&from, posted.elapsed());
                }
                self.outcomes.note(&from, Ok(()));
                Input::Answered { from, frame }
            }
            Event::Failed { to, why } => {
                self.posted.remove(&to);
                self.metrics.mail_failed(&to);
                let words = why.to_string();
                self.outcomes.note(&to, Err(why));
                Input::Failed { to, why: words }
            }
            Event::Connected { node } => {
                self.nudges.nudge(node.clone());
                self.news.push((None, About::Peer(node.clone())));
                Input::Connected(node)
            }
            Event::Disconnected { node } => {
                self.news.push((None, About::Peer(node.clone())));
                Input::Disconnected(node)
            }
        }
    }

    fn speak(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Post { to, frame } => {
                    self.network.send(&to, frame);
                    self.posted.insert(to, Instant::now());
                }
                Output::Reply { ticket, frame } => {
                    let reply = self.replies.remove(&ticket);
                    if let (Some(reply), Some(frame)) = (reply, frame) {
                        self.network.respond(reply, frame);
                    }
                }
                Output::Roster => self.roster(),
                Output::Wanted(from) => self.nudges.nudge(from),
                Output::Witnessed { by, checkpoint } => {
                    let key_sets = self.node.desk().peer(&by).map(|peer| peer.chain().file());
                    if let Some(key_sets) = key_sets {
                        let _ = self.behind.send(Errand::Witnessed { by, checkpoint, key_sets });
                    }
                }
            }
        }
    }

    /// Tell the network who may connect, in the order of admission: who was first keeps an identity that two claim.
    fn roster(&mut self) {
        let now = clock();
        let mut peers: Vec<_> = self.node.desk().peers().collect();
        peers.sort_by_key(|(_, peer)| peer.admitted());
        self.roster_until =
            peers.iter().filter_map(|(_, peer)| good_until(&peer.chain().current().peers, now)).min();
        let roster = peers.into_iter().map(|(node, peer)| {
            let set = peer.chain().current();
            PeerAddress {
                node: node.clone(),
                peer_ids: good_identities(&set.peers, now).map(|identity| identity.peer_id.clone()).collect(),
                addrs: set.addrs.clone(),
            }
        });
        self.network.admit(roster.collect());
        if let Some(own) = self.node.desk().own() {
            let _ = self.behind.send(Errand::OwnKeySets(own.file()));
        }
    }
}

/// The identities that are good at `now`. If all have passed, the last ones: with them a newer key set still gets
/// through, and nothing else is taken from a peer whose key set has expired (SPEC.md, section 3).
fn good_identities(listed: &[TransportIdentity], now: Timestamp) -> impl Iterator<Item = &TransportIdentity> {
    let begun = move |identity: &&TransportIdentity| identity.nbf <= now;
    let last = listed.iter().filter(begun).map(|identity| identity.naf).max().unwrap_or_default();
    listed.iter().filter(begun).filter(move |identity| identity.naf >= now.min(last))
}

/// When other identities are good than now.
fn good_until(listed: &[TransportIdentity], now: Timestamp) -> Option<Timestamp> {
    let changes = listed.iter().flat_map(|identity| [identity.nbf, identity.naf.plus(1)]);
    changes.filter(|at| *at > now).min()
}

/// Tells the loop that the background is gone, however it went.
struct GivesUp(Arc<tokio::sync::Notify>);

impl Drop for GivesUp {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// Something to be written when there is time.
enum Errand {
    OwnKeySets(String),
    Witnessed { by: NodeId, checkpoint: String, key_sets: String },
}

/// What is written behind the loop's back: tiles, records, cosigned heads, and the index's own durability.
struct Behind {
    spiller: Spiller<Folder>,
    disk: Folder,
    rows: Arc<dyn Rows>,
    folder: String,
    origin: String,
    marker: PathBuf,
    reader: Reader<Folder>,
    /// What the marker says.
    marked: u64,
    key_sets: [String; 2],
}

impl Behind {
    fn run(mut self, errands: std_mpsc::Receiver<Errand>) -> Result<(), RunError> {
        loop {
            let (mut witnessed, mut own) = (BTreeMap::new(), None);
            let mut note = |errand| match errand {
                Errand::OwnKeySets(file) => own = Some(file),
                Errand::Witnessed { by, checkpoint, key_sets } => {
                    drop(witnessed.insert(by, (checkpoint, key_sets)))
                }
            };
            let until = Instant::now() + BACKGROUND;
            let ends = loop {
                match errands.recv_timeout(until.saturating_duration_since(Instant::now())) {
                    Ok(errand) => note(errand),
                    Err(std_mpsc::RecvTimeoutError::Timeout) => break false,
                    Err(std_mpsc::RecvTimeoutError::Disconnected) => break true,
                }
            };
            let mut spilled = false;
            while self
                .spiller
                .step()
                .inspect_err(|error| tracing::error!(%error, "cannot spill the journal"))?
            {
                spilled = true;
            }
            for (by, (checkpoint, key_sets)) in witnessed {
                self.write(&witnessed_file(&self.folder, &by, "key-sets"), &key_sets)?;
                self.write(&witnessed_file(&self.folder, &by, "checkpoint"), &checkpoint)?;
            }
            if let Some(own) = own {
                for path in &self.key_sets {
                    self.write(path, &own)?;
                }
            }
            if spilled || ends {
                self.rows.sync()?;
            }
            let size = self.reader.size();
            if size > self.marked {
                marker::write(&self.marker, &self.origin, size)
                    .map_err(|source| RunError::Io { path: self.marker.clone(), source })?;
                self.marked = size;
            }
            if ends {
                return Ok(());
            }
        }
    }

    fn write(&self, path: &str, text: &str) -> Result<(), RunError> {
        let at = |source| RunError::Io { path: self.disk.root().join(path), source };
        self.disk.replace(path, text.as_bytes()).map_err(at)
    }
}

/// The operators' door into the loop.
#[derive(Clone)]
struct Door {
    own: mpsc::Sender<Input<Folder>>,
    rows: Arc<dyn Rows>,
    disk: Folder,
    blobs: Blobs<Folder>,
    /// What was answered last, and when.
    readiness: Arc<tokio::sync::Mutex<Option<(Instant, ReadyView)>>>,
    importing: Arc<tokio::sync::Mutex<()>>,
    metrics: Metrics,
    events: Arc<Events>,
    outcomes: Arc<Outcomes>,
    network: Network,
    /// Turns for tests of the way to a peer.
    testing: Arc<tokio::sync::Semaphore>,
    /// The folder of the index.
    index: PathBuf,
    /// When it was last counted what is counted seldom.
    counted: Arc<tokio::sync::Mutex<Option<Instant>>>,
}

impl Door {
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Node<Folder>) -> Result<T, Mistake> + Send + 'static,
    ) -> Result<T, Mistake> {
        let (answer, heard) = oneshot::channel();
        let ask = Input::Ask(Box::new(move |node| drop(answer.send(question(node)))));
        self.own.send(ask).await.map_err(|_| stopping())?;
        heard.await.map_err(|_| stopping())?
    }

    async fn order<T: Send + 'static>(
        &self,
        request: Request,
        who: OfficerId,
        key: Option<IdempotencyKey>,
        view: impl FnOnce(&mut Node<Folder>, Done) -> Result<T, Mistake> + Send + 'static,
    ) -> Result<T, Mistake> {
        let (sender, heard) = oneshot::channel();
        let answer: crate::node::Answer<Folder> = Box::new(move |node, done| {
            let _ = sender.send(done.and_then(|done| view(node, done)));
        });
        self.own.send(Input::Order { request, who, key, answer }).await.map_err(|_| stopping())?;
        heard.await.map_err(|_| stopping())?
    }

    async fn order_on_peer(&self, request: Request, who: OfficerId) -> Result<PeerView, Mistake> {
        self.order(request, who, None, |node, done| match done {
            Done::Peer(peer) => node.peer_view(peer.as_str(), clock()),
            _ => Err(stopping()),
        })
        .await
    }

    /// Count what takes a while to count, if that is some time ago.
    async fn count_seldom(&self) -> Result<(), Mistake> {
        let mut counted = self.counted.lock().await;
        if counted.is_some_and(|at| at.elapsed() < COUNTED_FOR) {
            return Ok(());
        }
        let (rows, index, metrics) = (self.rows.clone(), self.index.clone(), self.metrics.clone());
        tokio::task::spawn_blocking(move || {
            metrics.set_index_bytes(folder_bytes(&index));
            metrics.set_overdue(overdue(rows.as_ref())?);
            Ok(())
        })
        .await
        .map_err(|_| stopping())?
        .map_err(|error: StoreError| Mistake::NotReady(error.to_string()))?;
        *counted = Some(Instant::now());
        Ok(())
    }

    async fn page(&self, filter: Filter) -> Result<ExchangePage, Mistake> {
        let peer = match filter.peer.clone() {
            Some(name) => Some(self.ask(move |node| node.desk().find_peer(&name).cloned()).await?),
            None => None,
        };
        let rows = self.rows.clone();
        tokio::task::spawn_blocking(move || list(rows.as_ref(), &filter, peer.as_ref()))
            .await
            .map_err(|_| stopping())?
            .map_err(|error| Mistake::NotReady(error.to_string()))
    }

    /// Lists that are not in force any more. One that cannot be removed is only in the way.
    async fn forget_lists_but(&self, in_force: Vec<Hash>) {
        let disk = self.disk.clone();
        let kept: Vec<String> = in_force.iter().map(list_path).collect();
        let _ = tokio::task::spawn_blocking(move || {
            for name in disk.list(REGISTERS).unwrap_or_default() {
                let path = format!("{REGISTERS}/{name}");
                if !kept.contains(&path) {
                    let _ = disk.remove(&path);
                }
            }
        })
        .await;
    }

    /// Put a register in force: how many it has, and how many States were told of changes.
    async fn import(&self, sort: Sort, who: OfficerId, csv: Vec<u8>) -> Result<(u64, u64), Mistake> {
        let _one_at_a_time = self.importing.lock().await;
        let disk = self.disk.clone();
        let register = tokio::task::spawn_blocking(move || {
            let list =
                Register::take(sort, &csv, clock()).map_err(|flaw| Mistake::Malformed(flaw.to_string()))?;
            // Safe on disk before the log names it; until then the list before stays in force.
            let path = list_path(&Hash::of(&csv));
            disk.replace(&path, &csv).map_err(|error| {
                Mistake::NotReady(format!("cannot write {path}: {error}. Free the disk and try again"))
            })?;
            Ok(list)
        })
        .await
        .map_err(|_| stopping())??;
        let count = register.len() as u64;
        let (sender, heard) = oneshot::channel();
        let answer: crate::node::Answer<Folder> = Box::new(move |node, done| {
            let in_force = [node.firearms().digest(), node.licences().digest()];
            drop(sender.send(done.map(|done| (done, in_force.into_iter().flatten().collect()))))
        });
        self.own.send(Input::Register { register, who, answer }).await.map_err(|_| stopping())?;
        match heard.await.map_err(|_| stopping())?? {
            (Done::Imported { notices }, in_force) => {
                self.forget_lists_but(in_force).await;
                Ok((count, notices))
            }
            _ => Err(stopping()),
        }
    }
}

fn stopping() -> Mistake {
    Mistake::NotReady("the node is stopping; what it acknowledged before is safe".into())
}

/// A page of the list of exchanges, newest first.
fn list(rows: &dyn Rows, filter: &Filter, peer: Option<&NodeId>) -> Result<ExchangePage, StoreError> {
    let table = crate::store::full_key(Table::Listing, &[]);
    let from = match filter.after {
        Some(0) => return Ok(ExchangePage { exchanges: Vec::new(), next: None }),
        Some(leaf) => crate::store::full_key(Table::Listing, &(leaf - 1).to_be_bytes()),
        None => crate::store::full_key(Table::Listing, &u64::MAX.to_be_bytes()),
    };
    let subject = filter.subject.as_ref().map(|text| text.to_uppercase());
    let now = clock();
    let wanted = |summary: &ExchangeSummary| {
        peer.is_none_or(|peer| summary.peer == *peer)
            && filter.state.is_none_or(|state| summary.state == state)
            && filter.side.is_none_or(|side| summary.side == side)
            && filter.kind.is_none_or(|kind| summary.kind == kind)
            && filter.for_officer.is_none_or(|for_officer| summary.for_officer == for_officer)
            && filter.overdue.is_none_or(|overdue| summary.due.is_some_and(|due| due.at <= now) == overdue)
            && subject.as_ref().is_none_or(|subject| summary.subject.to_uppercase().contains(subject))
    };
    let (mut exchanges, mut looked_at, mut next) = (Vec::new(), 0, None);
    rows.visit(&from, true, &mut |key, row| {
        if !key.starts_with(&table) {
            return false;
        }
        let Ok(summary) = serde_json::from_slice::<ExchangeSummary>(row) else { return true };
        if exchanges.len() == filter.limit || looked_at == MOST_LOOKED_AT {
            next = Some(http::cursor(summary.leaf + 1));
            return false;
        }
        looked_at += 1;
        if wanted(&summary) {
            exchanges.push(summary);
        }
        true
    })?;
    Ok(ExchangePage { exchanges, next })
}

/// How many of the newest exchanges say in the list that a time has passed in them. Their rows are not read for that:
/// within a text these quotation marks would be escaped.
fn overdue(rows: &dyn Rows) -> Result<u64, StoreError> {
    const SAYS_SO: &[u8] = br#""no_reply":true"#;
    let table = crate::store::full_key(Table::Listing, &[]);
    let newest = crate::store::full_key(Table::Listing, &u64::MAX.to_be_bytes());
    let (mut overdue, mut looked_at) = (0, 0);
    rows.visit(&newest, true, &mut |key, row| {
        overdue += u64::from(row.windows(SAYS_SO.len()).any(|part| part == SAYS_SO));
        looked_at += 1;
        key.starts_with(&table) && looked_at < MOST_LOOKED_AT
    })?;
    Ok(overdue)
}

/// Bytes of the files in a folder.
fn folder_bytes(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files
        .filter_map(|file| file.metadata().ok())
        .filter(|about| about.is_file())
        .map(|about| about.len())
        .sum()
}

impl http::Operator for Door {
    fn node(&self) -> http::Answer<'_, NodeView> {
        Box::pin(async {
            let view = self.ask(|node| node.view()).await?;
            Ok(NodeView { disk_free: system::free_bytes(self.disk.root()).ok(), ..view })
        })
    }

    fn install_key_set(&self, who: OfficerId, request: InstallRequest) -> http::Answer<'_, NodeView> {
        Box::pin(self.order(Request::Install(request), who, None, |node, _| node.view()))
    }

    fn peers(&self) -> http::Answer<'_, Vec<PeerView>> {
        Box::pin(self.ask(|node| node.peer_views(clock())))
    }

    fn peer(&self, name: String) -> http::Answer<'_, PeerView> {
        Box::pin(self.ask(move |node| node.peer_view(&name, clock())))
    }

    fn admit(&self, who: OfficerId, request: AdmitRequest) -> http::Answer<'_, PeerView> {
        Box::pin(self.order_on_peer(Request::Admit(request), who))
    }

    fn remove(&self, who: OfficerId, name: String, request: RemoveRequest) -> http::Answer<'_, ()> {
        Box::pin(self.order(Request::Remove(name, request.reason), who, None, |_, _| Ok(())))
    }

    fn test(&self, name: String) -> http::Answer<'_, PeerTestView> {
        Box::pin(self.test_peer(name))
    }

    fn set_rules(&self, who: OfficerId, name: String, rules: Rules) -> http::Answer<'_, PeerView> {
        Box::pin(self.order_on_peer(Request::SetRules(name, rules), who))
    }

    fn exchanges(&self, filter: Filter) -> http::Answer<'_, ExchangePage> {
        Box::pin(self.page(filter))
    }

    fn exchange(&self, id: String) -> http::Answer<'_, ExchangeView> {
        Box::pin(self.ask(move |node| {
            let id = node.find_exchange(&id)?;
            node.exchange_view(&id, clock())
        }))
    }

    fn open(&self, who: OfficerId, key: IdempotencyKey, request: OpenRequest) -> http::Answer<'_, Opened> {
        Box::pin(self.order(Request::Open(request), who, Some(key), |node, done| match done {
            Done::Exchange { id, new } => Ok(Opened { view: node.exchange_view(&id, clock())?, new }),
            _ => Err(stopping()),
        }))
    }

    fn act(
        &self,
        who: OfficerId,
        key: Option<IdempotencyKey>,
        id: String,
        request: ActRequest,
    ) -> http::Answer<'_, ExchangeView> {
        Box::pin(async move {
            let id = self.ask(move |node| node.find_exchange(&id)).await?;
            self.order(Request::Act(id, request), who, key, move |node, _| node.exchange_view(&id, clock()))
                .await
        })
    }

    fn put_attachment(&self, who: OfficerId, upload: Upload) -> http::Answer<'_, Attachment> {
        let blobs = self.blobs.clone();
        Box::pin(async move {
            let Upload { name, media_type, view, content } = upload;
            let mut salt = [0; attachment::SALT_LEN];
            random(&mut salt);
            let length = content.len() as u64;
            let digest = tokio::task::spawn_blocking(move || blobs.put(content, salt, clock()))
                .await
                .map_err(|_| stopping())?
                .map_err(|error| match error {
                    PutError::Blob(error) => Mistake::NotReady(error.to_string()),
                    PutError::Length => Mistake::Malformed(error.to_string()),
                    PutError::TooMuch => Mistake::Forbidden(error.to_string()),
                })?;
            tracing::info!(%who, %digest, length, "an attachment was put in");
            let view = view.map(Coded::Known);
            Ok(Attachment { digest, salt: jws::encode(&salt), length, media_type, name, view })
        })
    }

    fn attachment(&self, exchange: String, digest: String) -> http::Answer<'_, Content> {
        let blobs = self.blobs.clone();
        Box::pin(async move {
            let attachment = self.ask(move |node| node.attachment_of(&exchange, &digest)).await?;
            let digest = attachment.digest;
            let read = move |offset, length| {
                blobs.read(&digest, offset, length).ok().flatten().ok_or(std::io::ErrorKind::NotFound.into())
            };
            Ok(Content { attachment, read: Arc::new(read) })
        })
    }

    fn import_firearms(&self, who: OfficerId, csv: Vec<u8>) -> http::Answer<'_, FirearmsView> {
        Box::pin(async move {
            let (firearms, _) = self.import(Sort::Firearms, who, csv).await?;
            Ok(FirearmsView { firearms })
        })
    }

    fn evidence(
        &self,
        who: OfficerId,
        id: String,
        request: EvidenceRequest,
    ) -> http::Answer<'_, (MessageId, Vec<u8>)> {
        Box::pin(async move {
            let exchange = self.ask(move |node| node.find_exchange(&id)).await?;
            let (sender, heard) = oneshot::channel();
            let answer: crate::node::Answer<Folder> = Box::new(move |_, done| drop(sender.send(done)));
            let input = Input::Export { exchange, request, who, answer };
            self.own.send(input).await.map_err(|_| stopping())?;
            match heard.await.map_err(|_| stopping())?? {
                Done::Exported(archive) => Ok((exchange, archive)),
                _ => Err(stopping()),
            }
        })
    }

    fn import_licences(&self, who: OfficerId, csv: Vec<u8>) -> http::Answer<'_, ImportView> {
        Box::pin(async move {
            let (licences, notices) = self.import(Sort::Licences, who, csv).await?;
            Ok(ImportView { licences, notices })
        })
    }

    fn cases(&self) -> http::Answer<'_, Vec<CaseView>> {
        Box::pin(self.ask(|node| Ok(node.case_views())))
    }

    fn case(&self, trace_case: Line) -> http::Answer<'_, CaseView> {
        Box::pin(self.ask(move |node| node.case_view(&trace_case)))
    }

    fn conclude(
        &self,
        who: OfficerId,
        trace_case: Line,
        outcome: TraceOutcome,
    ) -> http::Answer<'_, CaseView> {
        Box::pin(async move {
            let name = trace_case.clone();
            let hops = self.ask(move |node| Ok(node.hops(Some(&name)))).await?;
            let may = |hop: &Hop| {
                let acts = hop.exchange.standing().acts(hop.exchange.kind(), hop.exchange.side());
                acts.contains(&"conclude")
            };
            let answered: Vec<_> = hops.iter().filter(|hop| may(hop)).map(|hop| hop.exchange.id()).collect();
            if answered.is_empty() {
                return Err(Mistake::Forbidden(format!(
                    "nothing to conclude in the case {trace_case}: no State's final answer is open to it"
                )));
            }
            for id in answered {
                let act = Act::Conclude { outcome: outcome.clone() };
                let request = ActRequest { act, enclosed: Enclosed::default(), officer: None };
                self.order(Request::Act(id, request), who.clone(), None, |_, _| Ok(())).await?;
            }
            self.case(trace_case).await
        })
    }

    fn checkpoint(&self) -> http::Answer<'_, CheckpointView> {
        Box::pin(self.ask(|node| Ok(node.checkpoint_view())))
    }

    fn inclusion(&self, leaf: u64) -> http::Answer<'_, InclusionView> {
        Box::pin(self.ask(move |node| node.inclusion_view(leaf)))
    }

    fn consistency(&self, from: u64, to: u64) -> http::Answer<'_, ConsistencyView> {
        Box::pin(self.ask(move |node| node.consistency_view(from, to)))
    }

    fn events(&self, after: Option<u64>) -> http::Answer<'_, http::Following> {
        Box::pin(self.follow(after))
    }

    fn observe(&self) -> http::Answer<'_, ()> {
        Box::pin(async move {
            match tokio::time::timeout(READY_WITHIN, self.ask(|node| Ok(node.standing()))).await {
                Ok(standing) => self.metrics.stand(&standing?),
                // Whoever watches must see that it hangs.
                Err(_) => self.metrics.set_ready(false),
            }
            self.count_seldom().await
        })
    }

    fn ready(&self) -> http::Answer<'_, ReadyView> {
        Box::pin(async move {
            // The loop itself says so, as things are now: a key may have passed since the last round. One asks for all.
            let mut last = self.readiness.lock().await;
            if let Some((at, view)) = &*last
                && at.elapsed() < READY_FOR
            {
                return Ok(view.clone());
            }
            let asked = tokio::time::timeout(READY_WITHIN, self.ask(|node| Ok(node.why_not_ready()))).await;
            let why = match asked {
                Ok(why) => why.unwrap_or_else(|stopping| Some(stopping.to_string())),
                Err(_) => Some("the node is too busy to answer, or its disk does not: see its trace".into()),
            };
            let view = ReadyView { ready: why.is_none(), why };
            *last = Some((Instant::now(), view.clone()));
            Ok(view)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_good_within_its_dates_and_the_last_one_until_a_newer_key_set() {
        let listed = [("old", 0, 100), ("new", 90, 200), ("next", 190, 300)].map(|(name, nbf, naf)| {
            TransportIdentity { peer_id: name.into(), nbf: Timestamp(nbf), naf: Timestamp(naf) }
        });
        let at = |now| {
            let good = good_identities(&listed, Timestamp(now));
            good.map(|identity| identity.peer_id.as_str()).collect::<Vec<_>>()
        };
        let until = |now| good_until(&listed, Timestamp(now)).map(|until| until.0);
        for (now, good, changes) in [
            (89, &["old"][..], Some(90)),
            (90, &["old", "new"], Some(101)),
            (100, &["old", "new"], Some(101)),
            (101, &["new"], Some(190)),
            (195, &["new", "next"], Some(201)),
            (300, &["next"], Some(301)),
            (5000, &["next"], None),
        ] {
            assert_eq!((at(now).as_slice(), until(now)), (good, changes), "at {now}");
        }
    }
}

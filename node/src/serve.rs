//! A node as a process: the loop in a thread of its own, the network and the operators' door around it, and what is
//! written behind it in the background.

mod behind;
mod door;
mod following;
mod outcomes;
mod peer_test;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc as std_mpsc};
use std::time::{Duration, Instant, SystemTime};

use liaison_protocol::authority::{Line, NodeId, OfficerId, Timestamp};
use liaison_protocol::key_set::TransportIdentity;
use liaison_protocol::mail;
use liaison_protocol::merkle::Hash;
use tokio::sync::{mpsc, oneshot};
use zeroize::Zeroizing;

use self::behind::{Behind, Errand};
use self::door::Door;
use self::outcomes::Outcomes;
use crate::config::{Config, ConfigError};
use crate::courier::{Courier, Nudges};
use crate::disk::{Disk, Folder};
use crate::events::{About, Change, Events};
use crate::http::HttpError;
use crate::init::{KEY_SETS, place_of};
use crate::keys::{KeyError, Keys, random};
use crate::log::{LogError, Spiller};
use crate::metrics::Metrics;
use crate::node::{Input, Node, NodeError, Now, Output, Parts};
use crate::peers::{Event, Network, NetworkError, PeerAddress, Reply, TransportKey};
use crate::register::{Firearms, Licences, Register, Sort};
use crate::store::{Recent, Rows, Sled, Store, StoreError};
use crate::system::HELP_WITH_FILES;
use crate::{http, marker, peers};

/// Orders and questions that may wait for a round.
const OWN_WAITING: usize = 1024;
/// Frames and events of the network that may wait for a round.
const MAIL_WAITING: usize = 256;
/// Most inputs of one round.
const ROUND: usize = 1024;
/// Where licence lists are kept, below the data folder, each under its digest.
const REGISTERS: &str = "registers";
/// Entries to replay from which on a progress bar is shown.
const WORTH_A_BAR: u64 = 10_000;

/// How long a frame that is no `Mail` waits before it is turned away.
const NONSENSE_WAITS: Duration = Duration::from_secs(1);

/// Evidence files at a time, each of up to 128 MiB in memory, and three times that while it is packed.
const MOST_EXPORTS: usize = 4;

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
    #[error("cannot use {path}: {source}. {HELP_WITH_FILES}")]
    Io { path: PathBuf, source: io::Error },
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
    api: http::Settings,
    disk: Folder,
    lock: File,
}

/// Read what the configuration names, refuse what cannot be, and take the data folder for ourselves.
pub fn prepare(config: Config) -> Result<Prepared, RunError> {
    let keys = Keys::read(&config.keys)?;
    let api = http::Settings {
        listen: config.api.listen,
        allow_remote: config.api.allow_remote,
        certificate: config.api.certificate.clone(),
        key: config.api.key.clone(),
        tokens: read_tokens(&config.api.tokens)?,
    };
    api.check()?;
    let disk = Folder::new(&config.data);
    let lock = lock(&config.data)?;
    for address in &config.listen {
        peers::check_listening(address).map_err(NetworkError::Address)?;
    }
    Ok(Prepared { config, keys, api, disk, lock })
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
    // What is not there, or no file of text, is not there at the next try either; a token just taken away is another matter.
    let at = |path: &Path, source: io::Error| match source.kind() {
        ErrorKind::NotFound if path != folder => RunError::Io { path: path.into(), source },
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory | ErrorKind::InvalidData => {
            RunError::Token(format!(
                "{}: {source}. It takes a folder with tokens, files made by `liaison-node token`",
                path.display()
            ))
        }
        _ => RunError::Io { path: path.into(), source },
    };
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
        let Self { config, keys, api, disk, lock } = self;
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
        let state = node.desk().own().map(|own| own.current().state.clone());
        if let Some(state) = state.filter(|state| *state != config.state) {
            return Err(RunError::NotOurs(format!(
                "state = \"{}\" in the configuration, and \"{state}\" in the key set: put in what the key set says",
                config.state
            )));
        }
        Ok((node, spiller, Rest { config, api, disk, lock, rows, identity }))
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
        let tokens = self.api.tokens.len();
        let (node, ..) = self.open(|_, _| ())?;
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
        match node.why_not_ready() {
            Some(why) => Err(RunError::NotOurs(format!("the node cannot sign: {why}"))),
            None => Ok(found),
        }
    }
}

/// What a run needs beside the node itself.
struct Rest {
    config: Config,
    api: http::Settings,
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
    let listening = network.listening();
    let asked = network.clone();
    node.listening = Box::new(move || asked.listening());

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
        complains_at: 0,
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
        nonsense: VecDeque::new(),
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
        exporting: Arc::new(tokio::sync::Semaphore::new(MOST_EXPORTS)),
        metrics: metrics.clone(),
        events,
        outcomes,
        network: network.clone(),
        testing: Arc::new(tokio::sync::Semaphore::new(MOST_TESTS)),
        index: rest.config.data.join("index"),
        counted: Arc::default(),
    };
    let door = http::start(rest.api, metrics, Arc::new(door)).await?;
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
    /// Requests that get no answer, and until when they wait for it: who says what nobody understands says it seldom.
    nonsense: VecDeque<(Instant, Reply)>,
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
            let mut pause = wakes_at.map_or(Duration::from_secs(3600), |at| {
                Duration::from_millis(at.saturating_sub(self.now().millis).max(1))
            });
            self.nonsense.retain(|(until, _)| *until > Instant::now());
            if let Some((until, _)) = self.nonsense.front() {
                pause = pause.min(until.saturating_duration_since(Instant::now()));
            }
            if self.node.goes_on(self.now()) {
                pause = Duration::ZERO;
            }
            let pause = changes.map_or(pause, |changes| changes.min(pause));
            let slept = async || {
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
            };
            // Own work before strangers'.
            let goes_on = waiting.block_on(async {
                tokio::select! {
                    biased;
                    () = self.gave_up.notified() => false,
                    own = self.own.recv() => own.map(|own| inputs.push(own)).is_some(),
                    Some(event) = self.mail.recv() => { let input = self.hear(event); inputs.push(input); true }
                    () = slept() => true,
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
                    match (reply, frame) {
                        (Some(reply), Some(frame)) => self.network.respond(reply, frame),
                        // Until it is let go, the peer cannot say more.
                        (Some(reply), None) => {
                            self.nonsense.push_back((Instant::now() + NONSENSE_WAITS, reply));
                        }
                        (None, _) => {}
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

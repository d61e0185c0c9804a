//! A node as a process: the loop in a thread of its own, the network and the operators' door around it, and what is
//! written behind it in the background.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc as std_mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use liaison_protocol::authority::{NodeId, OfficerId, Timestamp};
use liaison_protocol::desk::Table;
use liaison_protocol::entry::IdempotencyKey;
use liaison_protocol::mail;
use liaison_protocol::merkle::Hash;
use liaison_protocol::operator::{
    ActRequest, AdmitRequest, CheckpointView, ConsistencyView, ExchangePage, ExchangeSummary, ExchangeView,
    ImportView, InclusionView, InstallRequest, Mistake, NodeView, OpenRequest, PeerView, ReadyView,
    RemoveRequest, Rules,
};
use tokio::sync::{mpsc, oneshot};
use zeroize::Zeroizing;

use crate::config::{Config, ConfigError};
use crate::disk::{Disk, Folder};
use crate::http::{self, Filter, HttpError, Opened};
use crate::init::{KEY_SETS, place_of};
use crate::keys::{KeyError, Keys, random};
use crate::log::{LogError, Spiller};
use crate::node::{Done, Input, Node, NodeError, Now, Output, Parts, Request};
use crate::peers::{self, Event, Network, NetworkError, PeerAddress, Reply, TransportKey};
use crate::register::Licences;
use crate::store::{Rows, Sled, Store, StoreError};

/// Orders and questions that may wait for a round.
const OWN_WAITING: usize = 1024;
/// Frames and events of the network that may wait for a round.
const MAIL_WAITING: usize = 256;
/// Most inputs of one round.
const ROUND: usize = 1024;
/// How often what is durable is spilled and the index synced.
const BACKGROUND: Duration = Duration::from_millis(500);
/// Where licence lists are kept, below the data folder, each under its digest.
const REGISTERS: &str = "registers";
/// Entries to replay from which on a progress bar is shown.
const WORTH_A_BAR: u64 = 10_000;
/// Rows of the list of exchanges looked at for one page.
const MOST_LOOKED_AT: usize = 200_000;

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

impl Running {
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

/// The licence list that the log says is in force. Without it officers answer every request, and are told why.
fn read_list(disk: &Folder, digest: &Hash) -> Licences {
    let path = list_path(digest);
    let list = disk.read(&path).ok().flatten().and_then(|bytes| Licences::parse(&bytes).ok());
    list.filter(|list| list.digest() == Some(*digest)).unwrap_or_else(|| {
        tracing::error!(%path, "the licence list in force is missing or altered: import it again");
        Licences::default()
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
        let rows: Arc<dyn Rows> = Arc::new(Sled::open(&config.data.join("index"))?);
        let identity = TransportKey::new(keys.transport.key.seed());
        let parts = Parts {
            place,
            us: config.node.clone(),
            keys,
            store: Store::new(rows.clone()),
            licences: Box::new({
                let disk = disk.clone();
                move |digest| read_list(&disk, &digest)
            }),
            random: Box::new(random),
        };
        let (node, spiller) = Node::open(disk.clone(), parts, progress)?;
        Ok((node, spiller, Rest { config, tokens, disk, lock, rows, identity }))
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
    let network = peers::start(settings, mail_in).await?;
    node.listening = network.listening();
    let listening = node.listening.clone();

    let (own_in, own_out) = mpsc::channel::<Input<Folder>>(OWN_WAITING);
    let (ended_in, ended) = oneshot::channel();
    let (behind_in, behind_out) = std_mpsc::channel();
    let why_not_ready = Arc::new(Mutex::new(None));
    let behind = Behind {
        spiller,
        disk: rest.disk.clone(),
        rows: rest.rows.clone(),
        folder: format!("{}/witnessed", node.log().place().folder),
        key_sets: [format!("{}/{KEY_SETS}", node.log().place().folder), KEY_SETS.to_owned()],
    };
    let mut house = House {
        node,
        network: network.clone(),
        own: own_out,
        mail: mail_out,
        replies: HashMap::new(),
        tickets: 0,
        behind: behind_in,
        why_not_ready: why_not_ready.clone(),
        gave_up: Arc::default(),
        started: Instant::now(),
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
            let mut result = house.run().map_err(RunError::from);
            drop(house);
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
        why_not_ready,
        importing: tokio::sync::Mutex::new(()),
    };
    let api = &rest.config.api;
    let settings = http::Settings {
        listen: api.listen,
        allow_remote: api.allow_remote,
        certificate: api.certificate.clone(),
        key: api.key.clone(),
        tokens: rest.tokens,
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
    network: Network,
    own: mpsc::Receiver<Input<Folder>>,
    mail: mpsc::Receiver<Event>,
    replies: HashMap<u64, Reply>,
    tickets: u64,
    behind: std_mpsc::Sender<Errand>,
    why_not_ready: Arc<Mutex<Option<String>>>,
    /// Told when what is written in the background cannot be written any more: then the node stops.
    gave_up: Arc<tokio::sync::Notify>,
    started: Instant,
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
            *self.why_not_ready.lock().unwrap_or_else(PoisonError::into_inner) = self.node.why_not_ready();
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
                    () = tokio::time::sleep(pause) => true,
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
            Event::Answered { from, frame } => Input::Answered { from, frame },
            Event::Failed { to, why } => Input::Failed { to, why: why.to_string() },
            Event::Connected { node } => Input::Connected(node),
            Event::Disconnected { node } => Input::Disconnected(node),
        }
    }

    fn speak(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Post { to, frame } => self.network.send(&to, frame),
                Output::Reply { ticket, frame } => {
                    let reply = self.replies.remove(&ticket);
                    if let (Some(reply), Some(frame)) = (reply, frame) {
                        self.network.respond(reply, frame);
                    }
                }
                Output::Roster => self.roster(),
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
        let roster = peers.into_iter().map(|(node, peer)| {
            let set = peer.chain().current();
            let good = |identity: &&liaison_protocol::key_set::TransportIdentity| identity.nbf <= now;
            PeerAddress {
                node: node.clone(),
                peer_ids: set.peers.iter().filter(good).map(|identity| identity.peer_id.clone()).collect(),
                addrs: set.addrs.clone(),
            }
        });
        self.network.admit(roster.collect());
        if let Some(own) = self.node.desk().own() {
            let _ = self.behind.send(Errand::OwnKeySets(own.file()));
        }
    }
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
                let domain = by.as_str().trim_end_matches("/liaison");
                self.write(&format!("{}/{domain}.key-sets", self.folder), &key_sets)?;
                self.write(&format!("{}/{domain}.checkpoint", self.folder), &checkpoint)?;
            }
            if let Some(own) = own {
                for path in &self.key_sets {
                    self.write(path, &own)?;
                }
            }
            if spilled || ends {
                self.rows.sync()?;
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
struct Door {
    own: mpsc::Sender<Input<Folder>>,
    rows: Arc<dyn Rows>,
    disk: Folder,
    why_not_ready: Arc<Mutex<Option<String>>>,
    importing: tokio::sync::Mutex<()>,
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
    async fn forget_lists_but(&self, in_force: Option<Hash>) {
        let (disk, kept) = (self.disk.clone(), in_force.map(|digest| list_path(&digest)));
        let _ = tokio::task::spawn_blocking(move || {
            for name in disk.list(REGISTERS).unwrap_or_default() {
                let path = format!("{REGISTERS}/{name}");
                if Some(&path) != kept.as_ref() {
                    let _ = disk.remove(&path);
                }
            }
        })
        .await;
    }

    async fn import(&self, who: OfficerId, csv: Vec<u8>) -> Result<ImportView, Mistake> {
        let _one_at_a_time = self.importing.lock().await;
        let disk = self.disk.clone();
        let list = tokio::task::spawn_blocking(move || {
            let list = Licences::parse(&csv).map_err(|flaw| Mistake::Malformed(flaw.to_string()))?;
            // Safe on disk before the log names it; until then the list before stays in force.
            let path = list_path(&Hash::of(&csv));
            disk.replace(&path, &csv).map_err(|error| {
                Mistake::NotReady(format!("cannot write {path}: {error}. Free the disk and try again"))
            })?;
            Ok(list)
        })
        .await
        .map_err(|_| stopping())??;
        let (licences, digest) = (list.len() as u64, list.digest());
        let (sender, heard) = oneshot::channel();
        let answer: crate::node::Answer<Folder> = Box::new(move |_, done| drop(sender.send(done)));
        self.own.send(Input::Licences { list, who, answer }).await.map_err(|_| stopping())?;
        match heard.await.map_err(|_| stopping())?? {
            Done::Imported { notices } => {
                self.forget_lists_but(digest).await;
                Ok(ImportView { licences, notices })
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
    let licence = filter.licence_no.as_ref().map(|text| text.to_uppercase());
    let wanted = |summary: &ExchangeSummary| {
        peer.is_none_or(|peer| summary.peer == *peer)
            && filter.state.is_none_or(|state| summary.state == state)
            && filter.side.is_none_or(|side| summary.side == side)
            && filter.kind.is_none_or(|kind| summary.kind == kind)
            && filter.for_officer.is_none_or(|for_officer| summary.for_officer == for_officer)
            && licence.as_ref().is_none_or(|licence| summary.licence_no.to_uppercase().contains(licence))
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

impl http::Operator for Door {
    fn node(&self) -> http::Answer<'_, NodeView> {
        Box::pin(self.ask(|node| node.view()))
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

    fn import_licences(&self, who: OfficerId, csv: Vec<u8>) -> http::Answer<'_, ImportView> {
        Box::pin(self.import(who, csv))
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

    fn ready(&self) -> ReadyView {
        let why = self.why_not_ready.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let why = why.or_else(|| self.own.is_closed().then(|| "the node is stopping".into()));
        ReadyView { ready: why.is_none(), why }
    }
}

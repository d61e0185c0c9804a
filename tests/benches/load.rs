//! The load generator: a process of its own, whose processor time is counted with the nodes'.
//!
//! It is lean, for it shares the machine: one keep-alive connection for each thread, a request written from a
//! template, of the answer nothing read but status and id. Whether an exchange is done it sees in the asking node's
//! journal ([`Watch`]), not by asking again and again.
//!
//! Two kinds of load. *Closed*: so many exchanges are under way, and each that is done makes room for the next. *Open*:
//! exchanges begin at a fixed rate, whatever becomes of them, and each is timed from the moment it was to begin: what
//! waits because the node is slow counts as the node's (no coordinated omission).

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::time::{Duration, Instant};

use liaison_tests::processes::House;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde::{Deserialize, Serialize};

use crate::licences::{self, LICENCES};
use crate::machine::process_millis;
use crate::report::quantile;
use crate::watch::{Id, Watch, between};

/// The word that makes this program the generator.
pub(crate) const WORD: &str = "generate-load";
/// Connections to the node. More exchanges than these may be under way: an order is through before its answer comes.
const MOST_CONNECTIONS: u64 = 256;
/// How long exchanges may take to finish when no more are begun.
const PATIENCE: Duration = Duration::from_secs(120);

/// What to do.
#[derive(Clone, Deserialize, Serialize)]
pub(crate) struct Plan {
    /// The asking node's folder.
    pub(crate) folder: PathBuf,
    /// The port of its API.
    pub(crate) api_port: u16,
    /// The folder of the node that is asked, if it is one: then its receipts are awaited, too.
    pub(crate) asked: Option<PathBuf>,
    /// The States asked, in turn.
    pub(crate) peers: Vec<String>,
    /// Begins each idempotency key: other runs have other keys.
    pub(crate) run: String,
    /// How.
    pub(crate) pace: Pace,
    /// For how long exchanges are begun.
    pub(crate) seconds: u64,
    /// At most so many.
    pub(crate) most: u64,
    /// How many licences are asked about, in turn.
    pub(crate) licences: u64,
    /// Whether to see them done. Else they are only begun.
    pub(crate) to_the_end: bool,
    /// How often the journal is looked at.
    pub(crate) look_micros: u64,
}

/// How exchanges begin.
#[derive(Clone, Copy, Deserialize, Serialize)]
pub(crate) enum Pace {
    /// So many are under way at a time.
    Closed(u64),
    /// So many begin in a second.
    Open(f64),
}

/// What came of it.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Outcome {
    /// Exchanges begun.
    pub(crate) begun: u64,
    /// Exchanges done.
    pub(crate) done: u64,
    /// From the first beginning to the last end, in seconds.
    pub(crate) seconds: f64,
    /// From (intended) beginning until the asking node holds answer and receipt, sorted.
    pub(crate) took: Vec<Duration>,
    /// The same, until the node that was asked holds the receipt of its answer, too. Sorted.
    pub(crate) whole: Vec<Duration>,
    /// The same, of the order alone: until the node says that it is recorded. Sorted.
    pub(crate) ordered: Vec<Duration>,
    /// Done within each second.
    pub(crate) each_second: Vec<u64>,
    /// Rounds, entries and bytes of the asking node's journal.
    pub(crate) rounds: u64,
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
    /// Processor time of the generator, in milliseconds.
    pub(crate) processor_millis: u64,
}

impl Outcome {
    /// Exchanges in a second.
    pub(crate) fn rate(&self) -> f64 {
        self.done as f64 / self.seconds
    }

    /// A quantile of the times until the asking node holds answer and receipt, in thousandths.
    pub(crate) fn took(&self, thousandths: usize) -> Duration {
        quantile(&self.took, thousandths)
    }

    /// The same, of the times until both nodes hold their receipts.
    pub(crate) fn whole(&self, thousandths: usize) -> Duration {
        quantile(&self.whole, thousandths)
    }
}

impl Plan {
    /// A closed load on a house, seen to its end.
    pub(crate) fn closed(house: &House, run: &str, under_way: u64, seconds: u64) -> Self {
        Self {
            folder: house.folder().to_owned(),
            api_port: house.api_port(),
            asked: None,
            peers: vec!["PER".into()],
            run: run.into(),
            pace: Pace::Closed(under_way),
            seconds,
            most: u64::MAX,
            licences: LICENCES,
            to_the_end: true,
            look_micros: 1000,
        }
    }

    /// Start the generator as a process of its own.
    pub(crate) fn start(&self) -> Generator {
        let plan = serde_json::to_string(self).expect("a plan is plain");
        let program = std::env::current_exe().expect("a running program has a path");
        let child = Command::new(program)
            .args([WORD, &plan])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this very program");
        Generator(child)
    }

    /// Run the generator as a process of its own.
    pub(crate) fn run(&self) -> Outcome {
        self.start().outcome()
    }
}

/// The generator at work.
pub(crate) struct Generator(std::process::Child);

impl Generator {
    /// Wait until it is through.
    pub(crate) fn outcome(self) -> Outcome {
        let output = self.0.wait_with_output().expect("it is ours");
        assert!(output.status.success(), "the load generator failed: {}", output.status);
        serde_json::from_slice(&output.stdout).expect("it tells what came of it")
    }
}

/// Be the generator: the plan is the only argument; what came of it goes to standard output.
pub(crate) fn generate(plan: &str) {
    let plan: Plan = serde_json::from_str(plan).expect("a plan of our own");
    let outcome = Load::new(plan).run();
    println!("{}", serde_json::to_string(&outcome).expect("plain"));
}

struct Load {
    plan: Plan,
    door: Door,
    /// Exchanges that may begin now, in a closed load.
    room: Mutex<u64>,
    made: Condvar,
    /// The number of the next exchange.
    next: AtomicU64,
    over: AtomicBool,
}

/// One exchange begun: its id, when it was to begin, and when the node had recorded the order.
type Begun = (String, Instant, Instant);

impl Load {
    fn new(plan: Plan) -> Arc<Self> {
        let door = Door::of(&plan);
        let room = match plan.pace {
            Pace::Closed(under_way) => under_way,
            Pace::Open(_) => 0,
        };
        let (next, over) = (AtomicU64::new(0), AtomicBool::new(false));
        Arc::new(Self { plan, door, room: Mutex::new(room), made: Condvar::new(), next, over })
    }

    fn run(self: Arc<Self>) -> Outcome {
        let connections = match self.plan.pace {
            Pace::Closed(under_way) => under_way.min(MOST_CONNECTIONS),
            // A round takes some tens of milliseconds: so many orders are waiting at a time, and some more.
            Pace::Open(rate) => ((rate / 4.0) as u64).clamp(8, MOST_CONNECTIONS),
        };
        let mut watch = Watch::from_now(&self.plan.folder.join("data"));
        let mut theirs = self.plan.asked.as_ref().map(|folder| Watch::from_now(&folder.join("data")));
        let start = Arc::new(Barrier::new(usize::try_from(connections).expect("a few") + 1));
        let begin = Instant::now() + Duration::from_millis(200 + connections);
        let clerks: Vec<_> = (0..connections)
            .map(|_| {
                let (load, start) = (self.clone(), start.clone());
                let stack = std::thread::Builder::new().stack_size(256 * 1024);
                stack.spawn(move || load.clerk(&start, begin)).expect("the system can start a thread")
            })
            .collect();
        start.wait();
        let began = begin.max(Instant::now());
        let until = began + Duration::from_secs(self.plan.seconds);
        let mut patience = until + PATIENCE;
        let mut seen = 0;
        loop {
            watch.look();
            let mut receipted = u64::MAX;
            if let Some(theirs) = &mut theirs {
                theirs.look();
                receipted = theirs.receipted.len() as u64;
            }
            let begun = self.next.load(Ordering::Relaxed).min(self.plan.most);
            let done = watch.done.len() as u64;
            if done > seen {
                if let Pace::Closed(_) = self.plan.pace {
                    *self.room.lock().expect("nobody panics") += done - seen;
                    (seen..done).for_each(|_| self.made.notify_one());
                }
                (seen, patience) = (done, Instant::now().max(until) + PATIENCE);
            }
            let now = Instant::now();
            if now >= until || begun >= self.plan.most {
                self.over.store(true, Ordering::Relaxed);
                self.made.notify_all();
                let ended = clerks.iter().all(|clerk| clerk.is_finished());
                if ended
                    && (!self.plan.to_the_end || done.min(receipted) >= self.next.load(Ordering::Relaxed))
                {
                    break;
                }
            }
            assert!(now < patience, "{} of {begun} exchanges are done, and no more come", watch.done.len());
            std::thread::sleep(Duration::from_micros(self.plan.look_micros));
        }
        let begun: Vec<Begun> =
            clerks.into_iter().flat_map(|clerk| clerk.join().expect("no clerk panics")).collect();
        outcome(begun, &watch, theirs.as_ref(), began)
    }

    /// One connection: begins exchanges as long as there are any to begin.
    fn clerk(&self, start: &Barrier, begin: Instant) -> Vec<Begun> {
        let mut connection = self.door.connect();
        start.wait();
        std::thread::sleep(begin.saturating_duration_since(Instant::now()));
        let mut begun = Vec::new();
        while let Some((number, at)) = self.turn(begin) {
            let id = connection.open(&self.plan, number);
            begun.push((id, at, Instant::now()));
        }
        begun
    }

    /// The next exchange to begin, and when it was to.
    fn turn(&self, begin: Instant) -> Option<(u64, Instant)> {
        match self.plan.pace {
            Pace::Closed(_) => {
                let mut room = self.room.lock().expect("nobody panics");
                while *room == 0 {
                    if self.over.load(Ordering::Relaxed) {
                        return None;
                    }
                    room = self.made.wait(room).expect("nobody panics");
                }
                if self.over.load(Ordering::Relaxed) || self.next.load(Ordering::Relaxed) >= self.plan.most {
                    return None;
                }
                *room -= 1;
                Some((self.next.fetch_add(1, Ordering::Relaxed), Instant::now()))
            }
            Pace::Open(rate) => {
                let taken = self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |number| {
                    let at = begin + Duration::from_secs_f64(number as f64 / rate);
                    let ends = at >= begin + Duration::from_secs(self.plan.seconds);
                    (!ends && number < self.plan.most).then_some(number + 1)
                });
                let number = taken.ok()?;
                let at = begin + Duration::from_secs_f64(number as f64 / rate);
                std::thread::sleep(at.saturating_duration_since(Instant::now()));
                Some((number, at))
            }
        }
    }
}

fn outcome(begun: Vec<Begun>, watch: &Watch, theirs: Option<&Watch>, began: Instant) -> Outcome {
    let until = |ends: &[(Id, Instant)]| -> Vec<Duration> {
        let ends: HashMap<&str, Instant> = ends.iter().map(|(id, at)| (id.as_str(), *at)).collect();
        let took = |(id, at, _): &Begun| Some(ends.get(id.as_str())?.duration_since(*at));
        let mut took: Vec<Duration> = begun.iter().filter_map(took).collect();
        took.sort_unstable();
        took
    };
    let took = until(&watch.done);
    let whole = theirs.map(|theirs| until(&theirs.receipted)).unwrap_or_default();
    let mut ordered: Vec<Duration> = begun.iter().map(|(_, at, recorded)| *recorded - *at).collect();
    ordered.sort_unstable();
    let first = begun.iter().map(|(_, at, _)| *at).min().unwrap_or(began);
    let last = watch.done.last().map_or(first, |(_, at)| *at);
    let mut each_second = Vec::new();
    for (_, at) in &watch.done {
        let second = at.duration_since(first).as_secs() as usize;
        each_second.resize(each_second.len().max(second + 1), 0);
        each_second[second] += 1;
    }
    Outcome {
        begun: begun.len() as u64,
        done: took.len() as u64,
        seconds: last.duration_since(first).as_secs_f64(),
        took,
        whole,
        ordered,
        each_second,
        rounds: watch.rounds,
        entries: watch.entries,
        bytes: watch.bytes,
        processor_millis: process_millis(std::process::id()),
    }
}

/// The operators' door of the asking node.
struct Door {
    address: (&'static str, u16),
    tls: Arc<ClientConfig>,
    /// The request up to its idempotency key.
    head: String,
}

impl Door {
    fn of(plan: &Plan) -> Self {
        let read = |path: &str| std::fs::read(plan.folder.join(path)).expect("init wrote it");
        let mut roots = RootCertStore::empty();
        let certificate =
            CertificateDer::from_pem_slice(&read("api/certificate.pem")).expect("init wrote PEM");
        roots.add(certificate).expect("a certificate");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let token = String::from_utf8(read("api/tokens/officer.token")).expect("a token is text");
        let head = format!(
            "POST /v1/exchanges HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nIdempotency-Key: ",
            token.trim()
        );
        Self { address: ("127.0.0.1", plan.api_port), tls: Arc::new(tls), head }
    }

    fn connect(&self) -> Connection {
        let socket = TcpStream::connect(self.address).expect("the node listens");
        socket.set_nodelay(true).expect("a socket");
        let name = ServerName::try_from("127.0.0.1").expect("an address");
        let session = ClientConnection::new(self.tls.clone(), name).expect("a session");
        let mut stream = StreamOwned::new(session, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).expect("the node shakes hands");
        }
        Connection { stream, head: self.head.clone(), buffer: Vec::with_capacity(16 * 1024) }
    }
}

struct Connection {
    stream: StreamOwned<ClientConnection, TcpStream>,
    head: String,
    buffer: Vec<u8>,
}

impl Connection {
    /// Open one exchange: its id, when the node says that it is recorded.
    fn open(&mut self, plan: &Plan, number: u64) -> String {
        let peer = &plan.peers[(number % plan.peers.len() as u64) as usize];
        let body = licences::request(peer, number / plan.peers.len() as u64 % plan.licences);
        let request =
            format!("{}{}-{number}\r\nContent-Length: {}\r\n\r\n{body}", self.head, plan.run, body.len());
        self.stream.write_all(request.as_bytes()).expect("the node reads");
        let answer = self.answer();
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
        between(&answer, "\"id\":\"", "\"").unwrap_or_else(|| panic!("no id: {answer}")).to_owned()
    }

    /// One whole answer.
    fn answer(&mut self) -> String {
        self.buffer.clear();
        let mut chunk = [0; 8192];
        loop {
            let read = self.stream.read(&mut chunk).expect("the node answers");
            assert!(read > 0, "the node hung up");
            self.buffer.extend_from_slice(&chunk[..read]);
            let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
            let head = std::str::from_utf8(&self.buffer[..end]).expect("a head is text");
            let length = between(head, "content-length: ", "\r")
                .or_else(|| head.split("content-length: ").nth(1))
                .and_then(|text| text.trim().parse::<usize>().ok())
                .expect("every answer has its length");
            if self.buffer.len() >= end + 4 + length {
                return String::from_utf8_lossy(&self.buffer).into_owned();
            }
        }
    }
}

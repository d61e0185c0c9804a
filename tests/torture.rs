//! Three real nodes under load, to whom everything happens that can happen to a process, in random order.
//!
//! kill -9, SIGSTOP, a full disk, a folder that cannot be written, connections that are dropped or refused, a slow line,
//! a clock that jumps. At the end every log verifies, and every exchange that was acknowledged is there on both sides, in
//! the same state, with one answer. Half a minute of it by itself; as many seconds as `LIAISON_TORTURE_SECONDS` says;
//! `LIAISON_TORTURE_SEED` deals the same blows again, if not to the microsecond.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use liaison_protocol::operator::{ExchangeSummary, State};
use liaison_tests::Dice;
use liaison_tests::processes::{Api, House, admit, program, run, said, wait_for};
use liaison_tests::proxy::Proxy;
use liaison_tests::small_disk::SmallDisk;
use serde_json::{Value, json};

const STATES: [&str; 3] = ["KEN", "PER", "CHL"];
/// Room on a disk that is not full, in MiB. It is memory, taken as it is filled.
const ROOM: u64 = 4096;
/// How long all may take to agree when the blows have ended: a lane waits for up to a minute before it tries again, and
/// a message whose receipt was lost again and again waits longer.
const PATIENCE: Duration = Duration::from_secs(300);
/// The nodes' clocks are ahead of ours by so many seconds, so that they can jump back and still be in the days of their
/// keys.
const AHEAD: i64 = 3600;

/// What happens to a node.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Blow {
    ClockJumps,
    ConnectionsDropped,
    DiskFull,
    FolderUnwritable,
    Killed,
    LineCut,
    LineSlow,
    Stopped,
}

const BLOWS: [Blow; 8] = [
    Blow::ClockJumps,
    Blow::ConnectionsDropped,
    Blow::DiskFull,
    Blow::FolderUnwritable,
    Blow::Killed,
    Blow::LineCut,
    Blow::LineSlow,
    Blow::Stopped,
];

/// One node with everything that can be done to it.
struct Victim {
    house: House,
    proxy: Proxy,
    /// What its clock says, for libfaketime.
    clock: tempfile::NamedTempFile,
    /// Absent where nothing may be mounted.
    disk: Option<SmallDisk>,
    /// Until when it may still end because it could not write: it takes a while to close its doors.
    may_end_until: Option<Instant>,
}

/// How long a node that could not write may take to end.
const CLOSING: Duration = Duration::from_secs(15);

impl Victim {
    fn new(state: &str) -> Self {
        let proxy = Proxy::new();
        let kept = tempfile::tempdir().expect("a folder for the test");
        let disk = SmallDisk::mount(kept.path(), ROOM);
        let house = House::within_behind(state, kept, &proxy);
        let clock = tempfile::NamedTempFile::new().expect("a file");
        let mut victim = Self { house, proxy, clock, disk, may_end_until: None };
        victim.set_clock(0);
        victim.start();
        victim
    }

    /// Its clock is off by so many seconds from now on.
    fn set_clock(&self, seconds: i64) {
        fs::write(self.clock.path(), format!("{:+}\n", AHEAD + seconds)).expect("a file of ours");
    }

    fn start(&mut self) {
        let mut command = match without_privileges() {
            Some(mut command) => {
                command.arg(program("liaison-node"));
                command
            }
            None => Command::new(program("liaison-node")),
        };
        command.arg("run").arg("--config").arg(self.house.at("liaison.toml")).env_remove("SSLKEYLOGFILE");
        if let Some(library) = faketime() {
            command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", self.clock.path());
            // Only civil time jumps, and at once.
            command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("FAKETIME_NO_CACHE", "1");
        }
        self.house.start_as(command);
    }

    /// It cannot write for so long, and ends by itself, unless it had nothing to write meanwhile.
    fn cannot_write_for(&mut self, time: Duration) {
        let until = Instant::now() + time;
        self.may_end_until = Some(until + CLOSING);
        while Instant::now() < until && !self.house.has_ended() {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn may_still_end(&self) -> bool {
        self.may_end_until.is_some_and(|until| Instant::now() < until)
    }

    /// Start it again if it ended because it could not write. Nothing else is a reason to end.
    fn is_there_again(&mut self) {
        if self.may_still_end() && self.house.has_ended() {
            self.start();
        }
        self.house.must_run();
    }

    fn signal(&self, signal: &str) {
        let sent = run(Command::new("kill").arg(signal).arg(self.house.pid().to_string()));
        assert!(sent.status.success(), "{}", said(&sent));
    }

    /// Deal one blow. Whether it could be dealt here.
    fn suffers(&mut self, blow: Blow, dice: &mut Dice) -> bool {
        let mut millis = |from: u64, to: u64| Duration::from_millis(from + dice.below(to - from));
        match blow {
            Blow::ClockJumps => {
                if faketime().is_none() {
                    return false;
                }
                // Far enough to be seen as wrong; what was sealed then must be taken when the clocks are right again.
                let pause = millis(200, 4000);
                self.set_clock(dice.below(500) as i64 - 250);
                std::thread::sleep(pause);
                self.set_clock(0);
            }
            Blow::ConnectionsDropped => self.proxy.drop_all(),
            Blow::DiskFull => {
                let Some(disk) = &self.disk else { return false };
                disk.fill(dice.below(64));
                self.cannot_write_for(Duration::from_secs(5));
                self.disk.as_ref().expect("as above").resize(ROOM);
            }
            Blow::FolderUnwritable => {
                let folders = ["data", "data/journal", "data/log1", "data/records", "data/index"];
                let folder = self.house.at(dice.pick::<&str>(&folders));
                if !can_be_denied(&folder) {
                    return false;
                }
                let mode = |mode| fs::set_permissions(&folder, Permissions::from_mode(mode)).expect("ours");
                mode(0o500);
                self.cannot_write_for(Duration::from_millis(500 + dice.below(2500)));
                mode(0o700);
            }
            Blow::Killed => {
                let pause = millis(0, 500);
                self.house.kill();
                std::thread::sleep(pause);
                self.start();
            }
            Blow::LineCut => {
                let pause = millis(200, 3000);
                self.proxy.cut(true);
                self.proxy.drop_all();
                std::thread::sleep(pause);
                self.proxy.cut(false);
            }
            // It stays slow until the next one.
            Blow::LineSlow => {
                let slow = !dice.chance(40);
                self.proxy.slow(if slow { 2_000 + dice.below(60_000) } else { 0 });
            }
            Blow::Stopped => {
                let pause = millis(100, 4000);
                self.signal("-STOP");
                std::thread::sleep(pause);
                self.signal("-CONT");
            }
        }
        true
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // Where a disk is mounted the process must be gone before.
        if !self.house.has_ended() {
            self.house.kill();
        }
    }
}

/// The library that makes a process see another time: Debian's package libfaketime.
fn faketime() -> Option<PathBuf> {
    let folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib", "/usr/local/lib"];
    let paths = folders.map(|folder| Path::new(folder).join("faketime/libfaketime.so.1"));
    paths.into_iter().find(|path| path.exists())
}

/// `setpriv` without the privilege to write where nobody may: root has it.
fn without_privileges() -> Option<Command> {
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set", "-dac_override,-dac_read_search", "--"]);
    let mut tried = Command::new(command.get_program());
    tried.args(command.get_args()).arg("true");
    tried.output().is_ok_and(|output| output.status.success()).then_some(command)
}

/// Whether a folder without the permission to be written is not written by the node.
fn can_be_denied(folder: &Path) -> bool {
    folder.is_dir() && (without_privileges().is_some() || !is_root())
}

fn is_root() -> bool {
    said(&run(Command::new("id").arg("-u"))).trim() == "0"
}

fn verification(licence_no: &str) -> Value {
    json!({"question": "verification", "presented": {
        "licence_no": licence_no, "licence_kind": "IMPORT", "issue_date": "2026-01-10",
        "final_recipient": "Ministerio del Interior",
        "lines": [{"line": 1, "description": "Rifle .308", "quantity": 40, "unit": "pieces"}],
    }})
}

/// What was acknowledged: by licence, who asked whom, and the exchange.
type Acknowledged = BTreeMap<String, (usize, usize, String)>;

/// Opens one exchange after the other, each until it is acknowledged, until all is over.
struct Clerk {
    us: usize,
    peer: usize,
    api: Api,
    over: Arc<AtomicBool>,
    failures: Arc<AtomicU64>,
    acknowledged: Arc<Mutex<Acknowledged>>,
}

impl Clerk {
    fn works(self, mut dice: Dice) {
        for n in 0.. {
            if self.over.load(Ordering::Relaxed) {
                return;
            }
            let licence = format!("L-{}-{}-{n}", STATES[self.us], STATES[self.peer]);
            let body = json!({"peer": STATES[self.peer], "opening": verification(&licence)});
            let id = loop {
                match self.api.try_send("POST", "/v1/exchanges", &body, Some(&licence)) {
                    Ok(answer) if [200, 201].contains(&answer.status) => {
                        break answer.body["id"].as_str().expect("an id").to_owned();
                    }
                    Ok(answer) => assert_eq!(answer.status, 503, "{licence}: {answer:?}"),
                    Err(_) => {}
                }
                self.failures.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(50));
            };
            let mut acknowledged = self.acknowledged.lock().expect("no clerk panics");
            assert!(acknowledged.insert(licence, (self.us, self.peer, id)).is_none());
            drop(acknowledged);
            std::thread::sleep(Duration::from_millis(dice.below(100)));
        }
    }
}

#[test]
fn whatever_happens_to_nodes_nothing_acknowledged_is_lost_and_nothing_is_said_twice() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seconds = number("LIAISON_TORTURE_SECONDS").unwrap_or(25);
    let seed = number("LIAISON_TORTURE_SEED").unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(1, |since| since.as_secs())
    });
    eprintln!("LIAISON_TORTURE_SEED={seed} LIAISON_TORTURE_SECONDS={seconds}");
    let mut dice = Dice::new(seed);

    let mut victims = STATES.map(Victim::new);
    for (us, peer) in pairs() {
        admit(&victims[us].house, &victims[peer].house);
        let rules = json!({"verifications": true});
        victims[us].house.api().set_rules(STATES[peer], &rules);
    }
    for victim in &victims {
        victim.house.api().import("licence_no,status\nX-1,ACTIVE\n");
    }

    let over = Arc::<AtomicBool>::default();
    let failures = Arc::<AtomicU64>::default();
    let acknowledged = Arc::<Mutex<Acknowledged>>::default();
    let clerks: Vec<_> = pairs()
        .map(|(us, peer)| {
            let clerk = Clerk {
                us,
                peer,
                api: victims[us].house.api().clone(),
                over: over.clone(),
                failures: failures.clone(),
                acknowledged: acknowledged.clone(),
            };
            let dice = dice.fork();
            std::thread::spawn(move || clerk.works(dice))
        })
        .collect();

    let started = Instant::now();
    let mut dealt = BTreeMap::<Blow, u32>::new();
    let mut not_here = BTreeMap::<Blow, u32>::new();
    while started.elapsed() < Duration::from_secs(seconds) {
        std::thread::sleep(Duration::from_millis(dice.below(1000)));
        let (victim, blow) = (dice.below(3) as usize, *dice.pick(&BLOWS));
        if std::env::var_os("LIAISON_TORTURE_TELL").is_some() {
            eprintln!("{:>6.1} s: {} {blow:?}", started.elapsed().as_secs_f64(), STATES[victim]);
        }
        victims[victim].is_there_again();
        let count = if victims[victim].suffers(blow, &mut dice) { &mut dealt } else { &mut not_here };
        *count.entry(blow).or_default() += 1;
        victims.iter_mut().for_each(Victim::is_there_again);
    }
    victims.iter().for_each(|victim| victim.proxy.slow(0));
    while victims.iter().any(Victim::may_still_end) {
        std::thread::sleep(Duration::from_millis(100));
        victims.iter_mut().for_each(Victim::is_there_again);
    }
    over.store(true, Ordering::Relaxed);
    for clerk in clerks {
        clerk.join().expect("no clerk panics");
    }
    let acknowledged = acknowledged.lock().expect("no clerk panics").clone();
    eprintln!(
        "{dealt:?}; {} exchanges acknowledged, {} attempts failed",
        acknowledged.len(),
        failures.load(Ordering::Relaxed)
    );
    if !not_here.is_empty() {
        eprintln!("not possible here (root, setpriv and libfaketime make all of it possible): {not_here:?}");
    }
    assert!(acknowledged.len() > 20, "hardly anything went through");

    let apis = victims.each_ref().map(|victim| victim.house.api().clone());
    settle(&apis);
    for (us, api) in apis.iter().enumerate() {
        let listed: BTreeMap<String, ExchangeSummary> =
            api.exchanges().into_iter().map(|summary| (summary.subject.clone(), summary)).collect();
        let ours: Vec<_> =
            acknowledged.iter().filter(|(_, (asking, asked, _))| [*asking, *asked].contains(&us)).collect();
        for (licence, (_, _, id)) in &ours {
            let found =
                listed.get(*licence).unwrap_or_else(|| panic!("{}: {licence} is missing", STATES[us]));
            assert_eq!(found.id.to_string(), *id, "{}: {licence}", STATES[us]);
            assert_eq!(found.state, State::Answered, "{}: {licence}", STATES[us]);
            assert_eq!(found.outcome.as_deref(), Some("NOT_FOUND"), "{}: {licence}", STATES[us]);
        }
        // A clerk repeats what he is not told of, under its key, until he is told: so there are no others.
        assert_eq!(api.exchanges().len(), ours.len(), "{}: a key made two exchanges", STATES[us]);
    }
    let step = (acknowledged.len() / 2000).max(1);
    for (licence, (us, peer, id)) in acknowledged.iter().step_by(step) {
        let views = [apis[*us].exchange(id), apis[*peer].exchange(id)];
        let said = views.map(|view| view.timeline.into_iter().map(|item| item.id).collect::<Vec<_>>());
        assert_eq!(said[0], said[1], "{licence}: the two sides hold different messages");
        assert_eq!(said[0].len(), 2, "{licence}: one question and one answer");
    }
    for victim in &mut victims {
        assert!(victim.house.stop().success());
        let verified = victim.house.verify_log();
        assert!(verified.status.success(), "{}: {}", victim.house.node, said(&verified));
    }
}

/// Wait until all is answered and receipted everywhere.
fn settle(apis: &[Api; 3]) {
    let until = Instant::now() + PATIENCE;
    loop {
        let owed: u64 = pairs()
            .map(|(us, peer)| {
                let peer = apis[us].peer(STATES[peer]);
                peer.undelivered + peer.open_exchanges
            })
            .sum();
        if owed == 0 {
            return;
        }
        assert!(Instant::now() < until, "{owed} things are still owed: {}", troubles(apis));
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn troubles(apis: &[Api; 3]) -> String {
    let trouble = |(us, peer): (usize, usize)| {
        let view = apis[us].peer(STATES[peer]);
        format!(
            "{} to {}: {} undelivered, {} open, {:?}",
            STATES[us], STATES[peer], view.undelivered, view.open_exchanges, view.trouble
        )
    };
    pairs().map(trouble).collect::<Vec<_>>().join("; ")
}

fn pairs() -> impl Iterator<Item = (usize, usize)> {
    (0..3).flat_map(|us| (0..3).filter(move |peer| *peer != us).map(move |peer| (us, peer)))
}

#[test]
fn the_line_between_two_nodes_can_be_cut() {
    let proxy = Proxy::new();
    let listener = std::net::TcpListener::bind(("127.0.0.1", proxy.target())).expect("it is free");
    let one = std::net::TcpStream::connect(("127.0.0.1", proxy.port())).expect("it listens");
    listener.accept().expect("it passes us on");
    proxy.drop_all();
    one.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket");
    wait_for("it is closed", || {
        use std::io::Read;
        matches!((&one).read(&mut [0]), Ok(0) | Err(_)).then_some(())
    });
}

//! A log of a million entries with 100,000 open exchanges: start, memory, index, verification.
//!
//! It is grown by the nodes' own loops in one thread, on the real disk and with no network between them; then the node
//! runs as a process, as everywhere else.

use std::collections::VecDeque;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use liaison_node::disk::{Disk, Folder};
use liaison_node::init::place_of;
use liaison_node::keys::{Keys, random};
use liaison_node::log::Spiller;
use liaison_node::marker;
use liaison_node::node::{Input, Node, Now, Output, Parts, Request};
use liaison_node::register::{Firearms, Licences, Register, Sort};
use liaison_node::serve::clock;
use liaison_node::store::{Memory, Rows, Sled, Store};
use liaison_protocol::authority::NodeId;
use liaison_protocol::desk::MAX_OPEN;
use liaison_protocol::entry::IdempotencyKey;
use liaison_protocol::key_set::KeyChain;
use liaison_protocol::merkle::Hash;
use liaison_protocol::operator::{AdmitRequest, ExchangePage, OpenRequest, Rules};
use liaison_tests::processes::{House, program};
use serde_json::json;

use crate::Bench;
use crate::licences::{self, LICENCES};
use crate::machine::{cores, disk_bytes, resident_mib};
use crate::report::millis;
use crate::restart;

/// Exchanges begun in one round.
const AT_A_TIME: u64 = 256;
/// Milliseconds from one round to the next: longer than receipts wait for a message to go with.
const A_ROUND: u64 = 10;

pub(crate) fn run(bench: &mut Bench) {
    bench.pair = None;
    let entries = bench.entries;
    // A tenth of the entries: at a million, as many as a peer may have open, but for those that come and go.
    let open = (entries / 10).min(MAX_OPEN - 2 * AT_A_TIME);
    let mut ken = grow(entries, open);
    let size = disk_bytes(&ken.at("data")) >> 20;
    println!("  on disk: {size} MiB");

    start_with_index(bench, &mut ken, entries);
    rebuild(bench, &mut ken, entries);
    verify(bench, &ken, entries);
}

fn start_with_index(bench: &mut Bench, ken: &mut House, entries: u64) {
    // The first start tidies up what growing left; it is not the one that counts.
    restart::start(ken);
    assert!(ken.stop().success());
    let took = restart::start(ken);
    bench.report.figure(
        &format!("log of {entries} entries: \"can sign\" after a start"),
        millis(took),
        String::new(),
        "1 s with the index present",
        Some(took <= Duration::from_secs(1)),
    );
    let fresh = resident_mib(ken.pid());
    // Lists and exchanges are looked at, new and old.
    let page: ExchangePage = ken.api().get("/v1/exchanges?limit=200");
    for summary in page.exchanges.iter().step_by(10) {
        ken.api().exchange(&summary.id.to_string());
    }
    let _: ExchangePage = ken.api().get("/v1/exchanges?limit=200&state=answered");
    let open = ken.api().peer("PER").open_exchanges;
    std::thread::sleep(Duration::from_secs(2));
    let used = resident_mib(ken.pid());
    bench.report.figure(
        &format!("the same, with {open} open exchanges: resident memory"),
        format!("{fresh:.0} MiB after the start, {used:.0} MiB after lists were looked at"),
        String::new(),
        "under 200 MB",
        Some(used * 1.048_576 < 200.0),
    );
    ken.kill();
    let took = restart::start(ken);
    bench.report.figure(
        "the same, after kill -9",
        millis(took),
        String::new(),
        "2 s",
        Some(took <= Duration::from_secs(2)),
    );
    assert!(ken.stop().success());
}

fn rebuild(bench: &mut Bench, ken: &mut House, entries: u64) {
    fs::remove_dir_all(ken.at("data/index")).expect("an index");
    let took = restart::start(ken);
    let memory = resident_mib(ken.pid());
    let rate = entries as f64 / took.as_secs_f64();
    bench.report.figure(
        "index rebuilt from the log",
        format!("{rate:.0} entries/s ({}, {memory:.0} MiB resident then)", millis(took)),
        String::new(),
        "100,000 entries/s",
        Some(rate >= 1e5),
    );
    assert!(ken.stop().success());
}

fn verify(bench: &mut Bench, ken: &House, entries: u64) {
    let verify = || {
        let mut command = Command::new(program("liaison"));
        command.args(["log", "verify"]).arg(ken.at("data/log1"));
        restart::timed(command)
    };
    // Read once: the page cache is as warm as it gets.
    verify();
    let took = verify();
    let rate = entries as f64 / took.as_secs_f64();
    bench.report.figure(
        "`liaison log verify`",
        format!("{rate:.0} entries/s on {} processors", cores()),
        String::new(),
        "300,000 entries/s",
        Some(rate >= 3e5),
    );
}

/// A node with a log of so many entries, of which so many are openings of exchanges that are open. It does not run.
fn grow(entries: u64, open: u64) -> House {
    let started = Instant::now();
    let (ken, per) = (House::new("KEN"), House::new("PER"));
    let mut kenya = Grown::open(&ken, Arc::new(Sled::open(&ken.at("data/index")).expect("an index")));
    let mut peru = Grown::open(&per, Arc::<Memory>::default());
    kenya.admit(&peru);
    peru.admit(&kenya);
    settle(&mut kenya, &mut peru);
    let size = |house: &Grown| house.node.log().checkpoint().head().size;
    let mut number = 0;
    // Those first that stay open: Peru answers nothing by rule yet.
    while number < open {
        let many = AT_A_TIME.min(open - number);
        kenya.open_exchanges(number, many);
        settle(&mut kenya, &mut peru);
        number += many;
    }
    peru.answer_by_rule();
    settle(&mut kenya, &mut peru);
    while size(&kenya) < entries {
        kenya.open_exchanges(number, AT_A_TIME);
        settle(&mut kenya, &mut peru);
        number += AT_A_TIME;
    }
    for house in [&mut kenya, &mut peru] {
        while house.spiller.step().expect("room on the disk") {}
    }
    kenya.rows.sync().expect("room on the disk");
    let (at, origin) = (ken.at("signed"), kenya.node.log().place().origin.clone());
    marker::write(&at, &origin, size(&kenya)).expect("room on the disk");
    println!(
        "  grown in {:.0} s: {} entries, {number} exchanges, {open} of them open",
        started.elapsed().as_secs_f64(),
        size(&kenya)
    );
    ken
}

/// A node without a process.
struct Grown {
    node: Node<Folder>,
    spiller: Spiller<Folder>,
    rows: Arc<dyn Rows>,
    us: NodeId,
    disk: Folder,
    waiting: Vec<Input<Folder>>,
    rounds: u64,
}

impl Grown {
    fn open(house: &House, rows: Arc<dyn Rows>) -> Self {
        let us: NodeId = house.node.parse().expect("a node id");
        let keys = Keys::read(&house.at("keys")).expect("init made them");
        let place = place_of(&us, 1, &keys);
        let signed = marker::read(&house.at("signed"), &place.origin).expect("readable");
        let parts = Parts {
            place,
            us: us.clone(),
            keys,
            store: Store::new(rows.clone()),
            firearms: Box::new(|_| Firearms::default()),
            licences: Box::new(|_| Licences::default()),
            random: Box::new(random),
            signed,
        };
        let disk = Folder::new(house.at("data"));
        let (node, spiller) = Node::open(disk.clone(), parts, |_, _| ()).expect("a new log");
        Self { node, spiller, rows, us, disk, waiting: Vec::new(), rounds: 0 }
    }

    fn order(&mut self, request: Request, key: Option<IdempotencyKey>) {
        let who = "officer".parse().expect("a name");
        let answer = Box::new(|_: &mut Node<Folder>, done: Result<_, _>| assert!(done.is_ok(), "{done:?}"));
        self.waiting.push(Input::Order { request, who, key, answer });
    }

    fn admit(&mut self, other: &Self) {
        let own: &KeyChain = other.node.desk().own().expect("it has key sets");
        let channel = "in person".parse().expect("a line");
        let fingerprint = own.fingerprint().to_string();
        let request = AdmitRequest { key_sets: own.file(), fingerprint, channel, officer: None };
        self.order(Request::Admit(request), None);
    }

    fn open_exchanges(&mut self, first: u64, many: u64) {
        for number in first..first + many {
            let opening = serde_json::from_value(licences::opening(number % LICENCES)).expect("an opening");
            let request = OpenRequest { peer: "PER".into(), opening, officer: None };
            let key = format!("grown-{number}");
            let digest = Hash::of(key.as_bytes());
            let key = IdempotencyKey { key: key.parse().expect("a line"), digest };
            self.order(Request::Open(request), Some(key));
        }
    }

    fn answer_by_rule(&mut self) {
        let list = licences::list(LICENCES).into_bytes();
        self.disk.replace(&format!("registers/{}.csv", Hash::of(&list)), &list).expect("room on the disk");
        let register = Register::take(Sort::Licences, &list, clock()).expect("a list");
        let who = "officer".parse().expect("a name");
        let answer = Box::new(|_: &mut Node<Folder>, done: Result<_, _>| assert!(done.is_ok(), "{done:?}"));
        self.waiting.push(Input::Register { register, who, answer });
        let rules: Rules =
            serde_json::from_value(json!({"verifications": true, "attempts_per_licence": 1000}))
                .expect("rules");
        self.order(Request::SetRules("KEN".into(), rules), None);
    }

    /// One round of everything that waits.
    fn round(&mut self) -> Vec<Output> {
        self.rounds += 1;
        let inputs = std::mem::take(&mut self.waiting);
        let outputs = self
            .node
            .round(Now { time: clock(), millis: self.rounds * A_ROUND }, inputs)
            .expect("the disk has room");
        if self.rounds.is_multiple_of(16) {
            while self.spiller.step().expect("the disk has room") {}
        }
        outputs
    }
}

/// Carry mail to and fro until there is none.
fn settle(a: &mut Grown, b: &mut Grown) {
    let mut waits = VecDeque::from([true, false]);
    let mut quiet = 0;
    while quiet < 2 {
        let first = waits.pop_front().expect("two");
        waits.push_back(first);
        let (one, other) = if first { (&mut *a, &mut *b) } else { (&mut *b, &mut *a) };
        let outputs = one.round();
        quiet = if outputs.is_empty() && one.waiting.is_empty() { quiet + 1 } else { 0 };
        for output in outputs {
            match output {
                Output::Post { frame, .. } => {
                    other.waiting.push(Input::Arrived { from: one.us.clone(), frame, ticket: 0 });
                }
                Output::Reply { frame: Some(frame), .. } => {
                    other.waiting.push(Input::Answered { from: one.us.clone(), frame });
                }
                _ => {}
            }
        }
        if !other.waiting.is_empty() {
            quiet = 0;
        }
    }
}

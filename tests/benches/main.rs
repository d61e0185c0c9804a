//! How many exchanges two nodes complete in a second, and how long one takes; beside it, what the machine can do.
//!
//! Two real nodes on one machine, with the load generator between them: all three share its processors, and what the
//! generator takes is told. An exchange is a request sealed, logged, mailed, checked, logged and receipted, and
//! its answer by rule, the same way back. `cargo bench -p liaison-tests --bench exchanges`; after
//! `--`: `--smoke` for one second, `--seconds N`, `--clients N`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use liaison_protocol::operator::State;
use liaison_protocol::sign::SecretKey;
use liaison_tests::processes::{Api, House, two};
use serde_json::{Value, json};

/// Licences in the answering State's list; each is asked about in turn, within what the rule allows.
const LICENCES: u64 = 20_000;

fn main() {
    let mut args = std::env::args().skip(1);
    let (mut seconds, mut clients) = (8, vec![1, 16, 64]);
    while let Some(arg) = args.next() {
        let mut number = || args.next().and_then(|text| text.parse().ok()).expect("a number follows");
        match arg.as_str() {
            "--smoke" => (seconds, clients) = (1, vec![16]),
            "--seconds" => seconds = number(),
            "--clients" => clients = vec![number()],
            _ => {} // `cargo bench` adds words of its own
        }
    }
    let time = Duration::from_secs(seconds);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!(
        "{cores} processors; two nodes and the load generator share them; folders in {}",
        std::env::temp_dir().display()
    );

    let signatures = bare_signatures(cores, time.min(Duration::from_secs(2)));
    let syncs = bare_syncs(time.min(Duration::from_secs(2)));
    println!(
        "bare: 2 Ed25519 signatures and 2 strict verifications of 1 KiB, all processors: {signatures:.0}/s"
    );
    println!("bare: append of 4 KiB and fdatasync, one after the other:                     {syncs:.0}/s\n");

    let (ken, per) = two("KEN", "PER");
    per.api().set_rules("KEN", &json!({"verifications": true, "attempts_per_licence": 1000}));
    let mut list = String::from(
        "licence_no,status,issue_date,expiry_date,final_recipient,line,description,quantity,unit\n",
    );
    for n in 0..LICENCES {
        writeln!(list, "PE-{n},ACTIVE,2026-01-10,2036-01-09,Ministerio del Interior,1,Rifle .308,40,pieces")
            .expect("a string");
    }
    per.api().import(&list);
    // One exchange to warm both up: connections, threads, caches.
    open_and_wait(ken.api(), 0, "warm");

    println!(
        "clients  exchanges/s  opened p50/p99   answered p50/p99   of signatures  per fdatasync  processor ms per exchange: asking, asked, load"
    );
    let mut first = 1;
    for clients in clients {
        first += round(&ken, &per, clients, time, first, signatures, syncs);
    }
}

/// One load: `clients` threads that each open the next exchange when the last is acknowledged, and one that follows
/// single exchanges to their answers. Returns how many were opened.
fn round(
    ken: &House,
    per: &House,
    clients: u64,
    time: Duration,
    first: u64,
    signatures: f64,
    syncs: f64,
) -> u64 {
    let over = AtomicBool::new(false);
    let api = ken.api();
    let spent = || [process_millis(ken.pid()), process_millis(per.pid()), process_millis(std::process::id())];
    let (before, started) = (spent(), Instant::now());
    let (opened, answered) = std::thread::scope(|scope| {
        let over = &over;
        let opening: Vec<_> = (0..clients)
            .map(|client| {
                scope.spawn(move || {
                    let mut took = Vec::new();
                    while !over.load(Ordering::Relaxed) {
                        let n = first + client + clients * took.len() as u64;
                        let at = Instant::now();
                        open(api, n, &format!("{first}-{client}-{n}"));
                        took.push(at.elapsed());
                    }
                    took
                })
            })
            .collect();
        let following = scope.spawn(move || {
            let mut took = Vec::new();
            while !over.load(Ordering::Relaxed) {
                took.push(open_and_wait(api, took.len() as u64, &format!("{first}-followed-{}", took.len())));
                std::thread::sleep(Duration::from_millis(20));
            }
            took
        });
        std::thread::sleep(time);
        over.store(true, Ordering::Relaxed);
        let opened: Vec<Duration> =
            opening.into_iter().flat_map(|client| client.join().expect("no client fails")).collect();
        (opened, following.join().expect("it does not fail"))
    });
    // Exchanges count when they are answered: the clock runs until the last is.
    while api.peer("PER").open_exchanges > 0 {
        std::thread::sleep(Duration::from_millis(2));
    }
    let (elapsed, after) = (started.elapsed().as_secs_f64(), spent());
    let done = (opened.len() + answered.len()) as f64;
    let each: Vec<f64> =
        before.iter().zip(after).map(|(before, after)| (after - before) as f64 / done).collect();
    println!(
        "{clients:>7}  {:>11.0}  {:>14}  {:>17}  {:>13.1}%  {:>13.2}  {:.2}, {:.2}, {:.2}",
        done / elapsed,
        quantiles(opened.clone()),
        quantiles(answered),
        100.0 * done / elapsed / signatures,
        done / elapsed / syncs,
        each[0],
        each[1],
        each[2],
    );
    opened.len() as u64 + clients
}

fn opening(n: u64) -> Value {
    json!({"question": "verification", "presented": {
        "licence_no": format!("PE-{}", n % LICENCES), "issue_date": "2026-01-10", "expiry_date": "2036-01-09",
        "final_recipient": "Ministerio del Interior",
        "lines": [{"line": 1, "description": "Rifle .308", "quantity": 40, "unit": "pieces"}],
    }, "case_ref": "DCI/FA/2026/00417"})
}

fn open(api: &Api, n: u64, key: &str) -> String {
    api.open_exchange("PER", &opening(n), key).summary.id.to_string()
}

/// From the order to the answer in the asking node's view, asked for again and again.
fn open_and_wait(api: &Api, n: u64, key: &str) -> Duration {
    let at = Instant::now();
    let id = open(api, n, key);
    while api.exchange(&id).summary.state != State::Answered {
        std::thread::sleep(Duration::from_micros(500));
    }
    at.elapsed()
}

fn quantiles(mut all: Vec<Duration>) -> String {
    all.sort_unstable();
    let at = |share: usize| all.get((all.len() * share / 100).min(all.len().saturating_sub(1)));
    match (at(50), at(99)) {
        (Some(p50), Some(p99)) => format!("{:.1}/{:.1} ms", p50.as_secs_f64() * 1e3, p99.as_secs_f64() * 1e3),
        _ => "none".into(),
    }
}

/// Processor time of a process, in milliseconds.
fn process_millis(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    // proc(5): utime and stime, in ticks of 10 ms, are the twelfth and thirteenth behind the name.
    let after_name = stat.rsplit(')').next().expect("a name in brackets");
    after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|ticks| ticks.parse::<u64>().expect("a number") * 10)
        .sum()
}

/// The signatures of one exchange, its two messages made and checked and nothing else, on all processors.
fn bare_signatures(cores: usize, time: Duration) -> f64 {
    let work = |core: u8| {
        let key = SecretKey::from_seed(&[core + 1; 32]);
        let (public, message) = (key.public(), [7; 1024]);
        let (mut done, started) = (0_u32, Instant::now());
        while started.elapsed() < time {
            for _ in 0..2 {
                let signature = key.sign(&message);
                assert!(public.verifies(&message, &signature));
            }
            done += 1;
        }
        f64::from(done) / started.elapsed().as_secs_f64()
    };
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..u8::try_from(cores.min(64)).expect("at most 64"))
            .map(|core| scope.spawn(move || work(core)))
            .collect();
        all.into_iter().map(|one| one.join().expect("it does not fail")).sum()
    })
}

/// What the disk does when asked as a node asks it, once a round.
fn bare_syncs(time: Duration) -> f64 {
    let mut file = tempfile::tempfile().expect("a file");
    let (mut done, started) = (0_u32, Instant::now());
    while started.elapsed() < time {
        file.write_all(&[7; 4096]).and_then(|()| file.sync_data()).expect("the disk has room");
        done += 1;
    }
    f64::from(done) / started.elapsed().as_secs_f64()
}

//! How fast and how tough a node is, in one command, beside what the machine can do.
//!
//! `cargo bench -p liaison-tests --bench exchanges` measures everything (some 15 minutes). After `--`: names of parts
//! measure these only; `--seconds N` is the time of each load (10); `--long` keeps the load up for ten minutes;
//! `--entries N` makes the long log of so many (1,000,000); `--smoke` tries every part in the small, for CI: its figures
//! mean nothing.
//!
//! The unit is one licence verification whose question has 1 KiB, answered `VALID` by rule, between two nodes in
//! processes of their own: sealed, logged, mailed over TLS, checked, logged, receipted, and its answer the same way
//! back. It is *done* when the asking node holds the answer and the receipt of its question; its own receipt of the answer is
//! the answer's place in its log, and *whole* when the node that was asked holds that, too. Both are read off the journals
//! ([`watch`]), where a round is seen when it is written, one sync before it is durable. Everything is counted in: both nodes
//! and the load generator, a third process, share the processors.

mod alone;
mod big_log;
mod catch_up;
mod footprint;
mod hostile;
mod licences;
mod load;
mod machine;
mod paced;
mod pair;
mod report;
mod restart;
mod saturated;
mod watch;

use std::time::{Duration, Instant};

use machine::Limits;
use pair::Pair;
use report::Report;

/// What is measured, and how.
struct Bench {
    /// Seconds of one load.
    seconds: u64,
    smoke: bool,
    long: bool,
    /// Entries of the long log.
    entries: u64,
    limits: Limits,
    report: Report,
    /// Two nodes that several parts use, one after the other.
    pair: Option<Pair>,
    /// Exchanges a second at saturation, and how many are under way then.
    saturated: Option<(f64, u64)>,
}

impl Bench {
    /// Two warm nodes. A part that spoils them takes new ones.
    fn pair(&mut self) -> &mut Pair {
        self.pair.get_or_insert_with(Pair::new)
    }

    /// The rate of the bare signatures that this rate is.
    fn of_signatures(&self, rate: f64) -> f64 {
        rate / self.limits.signatures
    }

    /// Saturation, measured now if it was not before.
    fn saturation(&mut self) -> (f64, u64) {
        if self.saturated.is_none() {
            saturated::find(self);
        }
        self.saturated.expect("it was measured")
    }
}

/// A part of the benchmark: its name, what it is about, and the part itself.
type Part = (&'static str, &'static str, fn(&mut Bench));

const PARTS: [Part; 8] = [
    ("alone", "one exchange at a time", alone::run),
    ("saturated", "as many as go through", saturated::run),
    ("paced", "at fixed rates, timed from when each was to begin", paced::run),
    ("catch-up", "messages queued for a peer that is down", catch_up::run),
    ("restart", "kill -9 under load", restart::run),
    ("footprint", "memory, bytes, rounds, and growth at rest", footprint::run),
    ("hostile", "50 peers, one of them hostile", hostile::run),
    ("big-log", "a log of a million entries", big_log::run),
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [word, plan] = args.as_slice()
        && word == load::WORD
    {
        return load::generate(plan);
    }
    let mut bench = Bench {
        seconds: 10,
        smoke: false,
        long: false,
        entries: 1_000_000,
        limits: Limits { signatures: 1.0, syncs: 1.0, sync: Duration::ZERO },
        report: Report::default(),
        pair: None,
        saturated: None,
    };
    let mut named = Vec::new();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let mut number = || args.next().and_then(|text| text.parse().ok()).expect("a number follows");
        match arg.as_str() {
            "--smoke" => (bench.smoke, bench.seconds, bench.entries) = (true, 1, 20_000),
            "--long" => bench.long = true,
            "--seconds" => bench.seconds = number(),
            "--entries" => bench.entries = number(),
            "--bench" => {} // cargo's own word
            name if PARTS.iter().any(|part| part.0 == name) => named.push(name.to_owned()),
            _ => {
                let names = PARTS.map(|part| part.0).join(", ");
                eprintln!("{arg}: the parts are {names}; --smoke, --long, --seconds N, --entries N");
                std::process::exit(2);
            }
        }
    }
    if cfg!(debug_assertions) {
        println!("NOT optimised: the figures mean nothing. Use `cargo bench`.");
    }
    println!("{}", machine::describe());
    let time = Duration::from_secs(if bench.smoke { 1 } else { 3 });
    bench.limits = machine::limits(time);
    println!(
        "limits: {:.0}/s bare exchanges (2 Ed25519 signatures and 2 strict verifications of 1 KiB, all processors); \
         {:.0}/s appends of 4 KiB with fdatasync, one after the other, the middle one {}",
        bench.limits.signatures,
        bench.limits.syncs,
        report::millis(bench.limits.sync),
    );
    println!("the question has {} bytes", licences::length());
    for (name, about, part) in PARTS {
        if named.is_empty() || named.iter().any(|one| one == name) {
            let started = Instant::now();
            println!("\n{name}: {about}");
            part(&mut bench);
            println!("  ({:.0} s)", started.elapsed().as_secs_f64());
        }
    }
    bench.report.print();
}

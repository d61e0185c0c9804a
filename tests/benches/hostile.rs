//! Fifty peers, one of them hostile: what the honest ones feel of it.
//!
//! Kenya asks 49 honest States in turn, at a fixed rate. The fiftieth has its real keys and a place in the network
//! ([`Liar`]); it sends junk, then floods of requests, then heads that are not the next, then does not read what it is
//! sent; then all of it at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use liaison_tests::liar::Liar;
use liaison_tests::processes::{House, admit, wait_for};
use liaison_tests::proxy::Proxy;
use serde_json::json;

use crate::Bench;
use crate::licences;
use crate::load::{Outcome, Pace, Plan};
use crate::machine::{peak_mib, process_millis, resident_mib};
use crate::report::millis;

/// The honest States.
const STATES: [&str; 49] = [
    "PER", "CHL", "BRA", "ARG", "URY", "PRY", "BOL", "ECU", "COL", "PAN", "CRI", "MEX", "CUB", "DOM", "JAM",
    "TTO", "TZA", "UGA", "RWA", "BDI", "ETH", "SDN", "EGY", "LBY", "TUN", "DZA", "MAR", "SEN", "MLI", "GHA",
    "NGA", "CMR", "AGO", "ZMB", "MOZ", "ZAF", "ESP", "PRT", "FRA", "ITA", "DEU", "AUT", "POL", "ROU", "BGR",
    "GRC", "TUR", "IND", "JPN",
];
/// Licences in the list of each.
const FEW: u64 = 200;
/// Exchanges a second, over all peers.
const RATE: f64 = 100.0;

/// What the hostile one does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Attack {
    Junk,
    Flood,
    StaleHeads,
    SlowReads,
    All,
}

pub(crate) fn run(bench: &mut Bench) {
    bench.pair = None;
    let honest = if bench.smoke { 3 } else { STATES.len() };
    let rate = if bench.smoke { 20.0 } else { RATE };
    let mut ken = House::new("KEN");
    ken.start();
    let mut srb = House::new("SRB");
    srb.start();
    admit(&ken, &srb);
    admit(&srb, &ken);
    wait_for("they have heard of each other", || srb.api().peer("KEN").head_cosigned);
    // From now on somebody else speaks with its keys.
    assert!(srb.stop().success());
    let peers: Vec<House> = STATES[..honest]
        .iter()
        .map(|state| {
            let mut peer = House::new(state);
            peer.start();
            admit(&ken, &peer);
            admit(&peer, &ken);
            peer.api().set_rules("KEN", &json!({"verifications": true, "attempts_per_licence": 1000}));
            peer.api().import(&licences::list(FEW));
            peer
        })
        .collect();
    for peer in &peers {
        wait_for("they have heard of each other", || ken.api().peer(&peer.state).head_cosigned);
    }
    let memory: f64 = peers.iter().map(|peer| resident_mib(peer.pid())).sum();
    println!("  {} nodes run; the {honest} honest peers hold {memory:.0} MiB together", honest + 1);

    let plan = Plan {
        peers: STATES[..honest].iter().map(|state| (*state).to_owned()).collect(),
        pace: Pace::Open(rate),
        licences: FEW,
        ..Plan::closed(&ken, "honest", 0, bench.seconds)
    };
    let load = |run: &str| Plan { run: run.into(), ..plan.clone() }.run();
    load("warm");
    let alone = load("alone");
    let before = resident_mib(ken.pid());
    tell("without it", &alone, before);
    let mut worst: f64 = 0.0;
    let proxy = Proxy::to(ken.peer_port());
    let mut liar = Liar::reaching(&srb, &ken, Some(&proxy));
    let attacks = [Attack::Junk, Attack::Flood, Attack::StaleHeads, Attack::SlowReads, Attack::All];
    for (number, attack) in (1..).zip(attacks) {
        if attack == Attack::SlowReads {
            // From now on it shakes hands, asks, and then hardly reads.
            proxy.slow_back(20_000);
        }
        let hostile = Hostile::begins(liar, number * 10_000_000, attack);
        let spent = process_millis(std::process::id());
        let outcome = load(&format!("{attack:?}"));
        let spent = process_millis(std::process::id()) - spent;
        let said;
        (said, liar) = hostile.ends(&proxy);
        tell(&format!("{attack:?}"), &outcome, resident_mib(ken.pid()));
        println!(
            "      it said {said} things, and took {:.2} of a processor",
            spent as f64 / 1e3 / outcome.seconds
        );
        worst = worst.max(outcome.took(990).as_secs_f64() / alone.took(990).as_secs_f64());
    }
    let after = peak_mib(ken.pid());
    bench.report.figure(
        &format!("{} peers, one hostile: honest p99 at {rate:.0}/s", honest + 1),
        format!("{} without it", millis(alone.took(990))),
        format!("{worst:.2} of that at worst"),
        "twice",
        Some(worst <= 2.0),
    );
    bench.report.figure(
        "the same: resident memory at its peak",
        format!("{after:.0} MiB"),
        format!("{:.2} of before", after / before),
        "bounded",
        Some(after < 200.0),
    );
}

fn tell(what: &str, load: &Outcome, memory: f64) {
    println!(
        "    {what}: p50 {}, p99 {}, p99.9 {}; {memory:.0} MiB",
        millis(load.took(500)),
        millis(load.took(990)),
        millis(load.took(999))
    );
}

/// The hostile one at work, in a thread of its own.
struct Hostile {
    over: Arc<AtomicBool>,
    said: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<Liar>,
}

impl Hostile {
    fn begins(mut liar: Liar, mut seq: u64, attack: Attack) -> Self {
        let (over, said) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let theirs = (over.clone(), said.clone());
        let thread = std::thread::spawn(move || {
            let (over, said) = theirs;
            let byte = |n: u32| (n.wrapping_mul(2_654_435_761) >> 24) as u8;
            let junk: Vec<u8> = (0..1_000_000).map(byte).collect();
            for turn in 0_u64.. {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                let now = match attack {
                    Attack::All => [Attack::Junk, Attack::Flood, Attack::StaleHeads][turn as usize % 3],
                    one => one,
                };
                let things = match now {
                    Attack::Junk => {
                        liar.babbles(junk.clone());
                        1
                    }
                    Attack::StaleHeads => {
                        // From a size that is not the one they hold.
                        let _ = liar.tries(1 + turn % 2, &[]);
                        1
                    }
                    _ => {
                        let questions = (seq + 1..=seq + 50).map(|seq| (seq, licences::opening(seq % FEW)));
                        let messages = liar.seals_all(questions);
                        seq += 50;
                        liar.goes_on(&messages.iter().collect::<Vec<_>>());
                        50
                    }
                };
                said.fetch_add(things, Ordering::Relaxed);
            }
            liar
        });
        Self { over, said, thread }
    }

    /// How many things it said; and it goes on another time.
    fn ends(self, proxy: &Proxy) -> (u64, Liar) {
        self.over.store(true, Ordering::Relaxed);
        proxy.drop_all();
        let liar = self.thread.join().expect("it does not fail");
        (self.said.load(Ordering::Relaxed), liar)
    }
}

//! What an exchange leaves on the disk and on the wire, what a node takes when nothing happens, and how many rounds and
//! syncs it needs.

use std::process::{Command, Stdio};
use std::time::Duration;

use liaison_tests::processes::House;
use liaison_tests::proxy::Proxy;

use crate::Bench;
use crate::machine::{disk_bytes, resident_mib};
use crate::pair::Pair;

pub(crate) fn run(bench: &mut Bench) {
    idle_memory(bench);
    bytes(bench);
    syncs(bench);
    growth(bench);
}

/// A new node that has nothing to do.
fn idle_memory(bench: &mut Bench) {
    let mut house = House::new("CHL");
    house.start();
    std::thread::sleep(Duration::from_secs(2));
    let mib = resident_mib(house.pid());
    bench.report.figure(
        "idle new node, resident",
        format!("{mib:.0} MiB"),
        String::new(),
        "under 40 MB",
        Some(mib * 1.048_576 < 40.0),
    );
}

/// Two nodes with a line between them on which bytes are counted.
fn bytes(bench: &mut Bench) {
    let (to_ken, to_per) = (Proxy::new(), Proxy::new());
    let mut pair = Pair::of(House::behind("KEN", &to_ken), House::behind("PER", &to_per), House::command);
    let settled = |pair: &Pair| {
        // Long enough for the journal to be spilled and the index to be written.
        std::thread::sleep(Duration::from_secs(2));
        [&pair.ken, &pair.per].map(|house| disk_bytes(&house.at("data")))
    };
    let (before, passed) = (settled(&pair), to_ken.passed() + to_per.passed());
    let plan = pair.closed(64, bench.seconds);
    let load = pair.run(plan).load;
    let passed = to_ken.passed() + to_per.passed() - passed;
    let after = settled(&pair);
    let each = |bytes: u64| bytes / load.done.max(1);
    bench.report.told(
        "bytes on disk an exchange, after spilling",
        format!("{} asking, {} asked", each(after[0] - before[0]), each(after[1] - before[1])),
    );
    bench.report.told(
        "bytes written to the journal an exchange, asking",
        format!("{} in {:.1} entries", each(load.bytes), load.entries as f64 / load.done.max(1) as f64),
    );
    bench.report.told(
        "bytes on the wire an exchange, both ways",
        format!("{} (TLS and all above TCP; counted by a proxy, 64 under way)", each(passed)),
    );
    bench.report.told(
        "exchanges in a round of the asking node",
        format!(
            "{:.1} ({} rounds for {} exchanges)",
            load.done as f64 / load.rounds as f64,
            load.rounds,
            load.done
        ),
    );
}

/// Syncs, counted from outside with `strace` where there is one: it slows the node, and changes no count.
fn syncs(bench: &mut Bench) {
    let seconds = bench.seconds.min(5);
    let pair = bench.pair();
    let counted = tempfile::NamedTempFile::new().expect("a file");
    let strace = Command::new("strace")
        .args(["-f", "-y", "-e", "trace=fdatasync,fsync", "-o"])
        .arg(counted.path())
        .args(["-p", &pair.ken.pid().to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut strace) = strace else {
        return bench.report.told("syncs a round", "not counted: there is no strace here".into());
    };
    std::thread::sleep(Duration::from_secs(1));
    let lines = |what: &str| {
        let text = std::fs::read_to_string(counted.path()).unwrap_or_default();
        text.lines().filter(|line| line.contains("sync(") && line.contains(what)).count()
    };
    let before = (lines("/journal/"), lines(""));
    let plan = pair.closed(16, seconds);
    let rounds = pair.run(plan).load.rounds;
    let after = (lines("/journal/"), lines(""));
    let _ = Command::new("kill").args(["-INT", &strace.id().to_string()]).status();
    let _ = strace.wait();
    let (journal, all) = (after.0 - before.0, after.1 - before.1);
    let each = |syncs: usize| syncs as f64 / rounds.max(1) as f64;
    let told = match journal {
        0 => "not counted: strace may not watch the node here".into(),
        _ => format!(
            "{:.2} of the journal, {:.2} with tiles, records, index and heads in the background ({rounds} rounds, counted with strace)",
            each(journal),
            each(all),
        ),
    };
    bench.report.told("syncs a round", told);
}

/// Two nodes that know each other and have nothing to say.
fn growth(bench: &mut Bench) {
    let seconds = match (bench.smoke, bench.long) {
        (true, _) => 2,
        // Longer than a connection that carries nothing is kept.
        (false, true) => 400,
        (false, false) => 60,
    };
    // What was said before is spilled by then.
    let before = Duration::from_secs(if bench.smoke { 3 } else { 15 });
    let pair = bench.pair();
    std::thread::sleep(before);
    let look = |house: &House| (house.api().log_size(), disk_bytes(&house.at("data")));
    let before = look(&pair.ken);
    std::thread::sleep(Duration::from_secs(seconds));
    let after = look(&pair.ken);
    let a_day = 86_400 / seconds;
    bench.report.figure(
        &format!("growth of an idle node's log a day (seen for {seconds} s, with a peer connected)"),
        format!(
            "{} entries, {} bytes",
            (after.0 - before.0) * a_day,
            after.1.saturating_sub(before.1) * a_day
        ),
        String::new(),
        "near nothing",
        bench.long.then_some(after.0 == before.0),
    );
}

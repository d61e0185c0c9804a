//! One at a time: how long an exchange takes when nothing else is done. Its three syncs are those of the order, of the answer
//! where it is given, and of the answer where it arrives; the receipt of the answer is a fourth.

use crate::Bench;
use crate::load::Plan;
use crate::report::millis;

pub(crate) fn run(bench: &mut Bench) {
    let seconds = bench.seconds;
    let pair = bench.pair();
    let plan = Plan { look_micros: 20, ..pair.closed(1, seconds) };
    let load = pair.run(plan).load;
    let sync = bench.limits.sync;
    // It is seen when it is written, and holds when it is synced.
    let (p50, p99) = (load.took(500) + sync, load.took(990) + sync);
    let target = sync * 3 + std::time::Duration::from_micros(1500);
    bench.report.figure(
        "one at a time, p50",
        millis(p50),
        format!("{:.1} syncs", p50.as_secs_f64() / sync.as_secs_f64()),
        &format!("3 syncs + 1.5 ms = {}", millis(target)),
        Some(p50 <= target),
    );
    bench.report.told("one at a time, p99", format!("{} ({} exchanges)", millis(p99), load.done));
    // A receipt waits a few milliseconds for a message to go with.
    let (p50, p99) = (load.whole(500) + sync, load.whole(990) + sync);
    bench.report.told(
        "one at a time, until the asked State holds its receipt, too",
        format!("p50 {}, p99 {}", millis(p50), millis(p99)),
    );
}

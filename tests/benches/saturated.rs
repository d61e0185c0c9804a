//! Saturated: how many exchanges go through in a second, where that ends, and whether it stays so.

use crate::Bench;
use crate::load::Outcome;
use crate::machine::resident_mib;
use crate::pair::Run;
use crate::report::millis;

/// Exchanges under way, tried one after the other.
const UNDER_WAY: [u64; 5] = [16, 64, 128, 256, 512];
/// The p99 that saturation must keep to, in milliseconds.
const MOST_MILLIS: f64 = 250.0;

pub(crate) fn run(bench: &mut Bench) {
    let (rate, under_way) = find(bench);
    overload(bench, rate, under_way);
    flat(bench, under_way);
}

/// Find the load at which most goes through with p99 within the bound.
pub(crate) fn find(bench: &mut Bench) -> (f64, u64) {
    println!(
        "  under way  exchanges/s  p50 / p99 (done)       p50 / p99 (order)      of signatures  rounds/s  of fdatasync  processor ms per exchange: asking, asked, load"
    );
    let tried: &[u64] = if bench.smoke { &UNDER_WAY[..1] } else { &UNDER_WAY };
    let mut best: Option<(f64, u64, Run)> = None;
    for &under_way in tried {
        let seconds = bench.seconds;
        let pair = bench.pair();
        let plan = pair.closed(under_way, seconds);
        let run = pair.run(plan);
        let (load, rate) = (&run.load, run.load.rate());
        let [asking, asked, generator] = run.processor;
        println!(
            "  {under_way:>9}  {rate:>11.0}  {:<21}  {:<21}  {:>12.1}%  {:>8.0}  {:>11.1}%  {asking:.3}, {asked:.3}, {generator:.3}",
            both(load, &load.took),
            both(load, &load.ordered),
            100.0 * bench.of_signatures(rate),
            load.rounds as f64 / load.seconds,
            100.0 * load.rounds as f64 / load.seconds / bench.limits.syncs,
        );
        let within = load.whole(990).as_secs_f64() * 1e3 <= MOST_MILLIS;
        if best.as_ref().is_none_or(|(most, ..)| within && rate > *most) {
            best = Some((rate, under_way, run));
        }
    }
    let (rate, under_way, run) = best.expect("at least one load was tried");
    let share = bench.of_signatures(rate);
    bench.report.figure(
        "saturated",
        format!("{rate:.0}/s with {under_way} under way"),
        format!("{share:.3} of the bare signatures"),
        "0.20",
        Some(share >= 0.2),
    );
    let p99 = run.load.whole(990);
    let met = p99.as_secs_f64() * 1e3 <= MOST_MILLIS;
    bench.report.figure(
        "saturated, p99, receipts both ways",
        millis(p99),
        String::new(),
        "under 250 ms",
        Some(met),
    );
    let cores = run.processor.iter().sum::<f64>() * rate / 1e3;
    let generator = run.processor[2] / run.processor.iter().sum::<f64>();
    bench.report.told(
        "saturated, processors busy",
        format!(
            "{cores:.2} of {}, {:.0} % of that the generator",
            crate::machine::cores(),
            100.0 * generator
        ),
    );
    bench.saturated = Some((rate, under_way));
    (rate, under_way)
}

fn both(_: &Outcome, sorted: &[std::time::Duration]) -> String {
    let at = |thousandths| millis(crate::report::quantile(sorted, thousandths));
    format!("{} / {}", at(500), at(990))
}

/// Ten times as many at once.
fn overload(bench: &mut Bench, rate: f64, under_way: u64) {
    let seconds = bench.seconds;
    let pair = bench.pair();
    let plan = pair.closed(10 * under_way, seconds);
    let load = pair.run(plan).load;
    let share = load.rate() / rate;
    bench.report.figure(
        "ten times the offered load",
        format!("{:.0}/s, p99 {}", load.rate(), millis(load.took(990))),
        format!("{share:.2} of saturated"),
        "0.9",
        Some(share >= 0.9),
    );
}

/// Ten minutes with `--long`, or a little less than nothing: the same in the last part as in the first?
fn flat(bench: &mut Bench, under_way: u64) {
    let seconds = match (bench.long, bench.smoke) {
        (true, _) => 600,
        (false, true) => 2,
        (false, false) => 30,
    };
    // Sixty parts of ten seconds, or as many seconds as there are.
    let step = if seconds >= 600 { 60 } else { (seconds / 3).max(1) };
    let pair = bench.pair();
    let plan = pair.closed(under_way, seconds);
    let generator = plan.start();
    let began = std::time::Instant::now();
    let mut memory = Vec::new();
    while began.elapsed().as_secs() < seconds {
        std::thread::sleep(std::time::Duration::from_secs(step));
        memory.push([pair.ken.pid(), pair.per.pid()].map(resident_mib));
    }
    let load = generator.outcome();
    let step = step as usize;
    let whole = load.each_second.chunks_exact(step).map(|part| part.iter().sum::<u64>() / step as u64);
    let rates: Vec<u64> = whole.collect();
    println!("  exchanges/s in each {step} s: {rates:?}");
    let megabytes: Vec<_> = memory.iter().map(|[ken, per]| format!("{ken:.0}+{per:.0}")).collect();
    println!("  resident MiB, asking and asked: {}", megabytes.join(", "));
    let (Some(first), Some(last)) = (rates.first(), rates.last()) else { return };
    let share = *last as f64 / (*first).max(1) as f64;
    bench.report.figure(
        &format!("{seconds} s of it: the last part"),
        format!("{last}/s"),
        format!("{share:.2} of the first part"),
        "flat over ten minutes (0.9)",
        bench.long.then_some(share >= 0.9),
    );
    let (Some(early), Some(late)) = (memory.first(), memory.last()) else { return };
    bench.report.figure(
        &format!("{seconds} s of it: resident memory"),
        format!("{:.0} and {:.0} MiB", late[0], late[1]),
        format!("{:.2} and {:.2} of the first part", late[0] / early[0], late[1] / early[1]),
        "flat (1.25)",
        bench.long.then_some(late.iter().zip(early).all(|(late, early)| late / early <= 1.25)),
    );
}

//! kill -9 under load: how soon a node signs again.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use liaison_tests::processes::House;

use crate::Bench;
use crate::load::Plan;
use crate::pair::Pair;
use crate::report::millis;

pub(crate) fn run(bench: &mut Bench) {
    let (_, under_way) = bench.saturation();
    bench.pair = None;
    let mut pair = Pair::new();
    let times = if bench.smoke { 1 } else { 5 };
    let mut took = Vec::new();
    for _ in 0..times {
        // Kenya is asked, Peru dies: the generator stands by Kenya until Peru is back.
        let plan = Plan { seconds: if bench.smoke { 2 } else { 6 }, ..pair.closed(under_way, 0) };
        let generator = plan.start();
        std::thread::sleep(Duration::from_millis(plan.seconds * 600));
        pair.per.kill();
        took.push(start(&mut pair.per));
        let load = generator.outcome();
        assert_eq!(load.done, load.begun, "nothing is lost");
    }
    took.sort_unstable();
    let worst = *took.last().expect("at least one");
    bench.report.figure(
        "kill -9 under load, back to \"can sign\"",
        format!("{} at worst of {times}", millis(worst)),
        String::new(),
        "2 s",
        Some(worst <= Duration::from_secs(2)),
    );
}

/// Start a node, and say how long it takes until it answers that it can sign.
pub(crate) fn start(house: &mut House) -> Duration {
    let began = Instant::now();
    house.launch(house.command());
    loop {
        if let Ok(answer) = house.api().ask("GET", "/v1/ready", None, None)
            && answer.status == 200
        {
            return began.elapsed();
        }
        house.must_run();
        assert!(began.elapsed() < Duration::from_secs(600), "{} does not start", house.node);
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Run a command to its end, unheard; how long that took.
pub(crate) fn timed(mut command: Command) -> Duration {
    let began = Instant::now();
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    assert!(status.is_ok_and(|status| status.success()), "{command:?}");
    began.elapsed()
}

//! Catch-up: what was asked while a peer was down.

use liaison_tests::processes::wait_for;

use crate::Bench;
use crate::licences;
use crate::load::{Pace, Plan};
use crate::pair::Pair;
use crate::watch::Watch;

pub(crate) fn run(bench: &mut Bench) {
    let (saturated, _) = bench.saturation();
    let messages = if bench.smoke { 200 } else { 10_000 };
    // New nodes: what they hold is counted at the end.
    bench.pair = None;
    let mut pair = Pair::new();
    let before = [pair.ken.api().exchanges().len(), pair.per.api().exchanges().len()];
    assert!(pair.per.stop().success());
    // As fast as they are taken: all were to begin at once.
    let pace = Pace::Open(1e6);
    let begin = Plan { pace, most: messages, to_the_end: false, ..pair.closed(0, 600) };
    assert_eq!(begin.run().begun, messages);
    assert_eq!(pair.ken.api().peer("PER").undelivered, messages);

    let mut watch = Watch::from_now(&pair.ken.at("data"));
    let mut asked = Watch::from_now(&pair.per.at("data"));
    pair.per.start();
    // The clock runs from the first message that Peru takes: how long until Kenya tries again is another question.
    let mut first = None;
    while (watch.done.len() as u64) < messages {
        watch.look();
        if first.is_none() && watch.received + asked_entries(&mut asked) > 0 {
            first = Some(std::time::Instant::now());
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let took = watch.done.last().expect("some").1.duration_since(first.expect("one came first"));
    wait_for("all is receipted on both sides", || {
        let owed = pair.ken.api().peer("PER").undelivered + pair.per.api().peer("KEN").undelivered;
        (owed == 0).then_some(())
    });
    // None twice in effect: as many exchanges as were asked for, and as many answers.
    for (house, before) in [&pair.ken, &pair.per].into_iter().zip(before) {
        let exchanges = house.api().exchanges();
        assert_eq!(exchanges.len() - before, messages as usize, "{}", house.state);
        assert!(exchanges.iter().all(licences::is_valid));
    }
    assert_eq!(watch.received, messages, "each was answered once");
    let rate = messages as f64 / took.as_secs_f64();
    bench.report.figure(
        &format!("catch-up of {messages} messages"),
        format!("{rate:.0}/s, none twice"),
        format!("{:.2} of saturated", rate / saturated),
        "0.5",
        Some(rate / saturated >= 0.5),
    );
}

fn asked_entries(asked: &mut Watch) -> u64 {
    asked.look();
    asked.received
}

//! Kenya asks, Peru answers by rule: two nodes in processes of their own.

use std::process::Command;

use liaison_tests::processes::{House, introduce, wait_for};
use serde_json::json;

use crate::licences::{self, LICENCES};
use crate::load::{Outcome, Plan};
use crate::machine::process_millis;

/// The two, running, and warm.
pub(crate) struct Pair {
    pub(crate) ken: House,
    pub(crate) per: House,
    runs: u32,
}

/// A load, and what it cost.
pub(crate) struct Run {
    pub(crate) load: Outcome,
    /// Processor milliseconds an exchange: asking node, asked node, generator.
    pub(crate) processor: [f64; 3],
}

impl Pair {
    /// Two new nodes.
    pub(crate) fn new() -> Self {
        Self::of(House::new("KEN"), House::new("PER"), House::command)
    }

    /// Two nodes made already, started by these commands.
    pub(crate) fn of(mut ken: House, mut per: House, command: impl Fn(&House) -> Command) -> Self {
        for house in [&mut ken, &mut per] {
            let command = command(house);
            house.start_as(command);
        }
        introduce(&ken, &per);
        per.api().set_rules("KEN", &json!({"verifications": true, "attempts_per_licence": 1000}));
        per.api().import(&licences::list(LICENCES));
        let mut pair = Self { ken, per, runs: 0 };
        // Connections, threads, caches.
        let plan = Plan { most: 50, ..Plan::closed(&pair.ken, "warm", 4, 10) };
        pair.run(plan);
        let answers = pair.ken.api().exchanges();
        let strange = answers.iter().find(|one| !licences::is_valid(one));
        assert!(strange.is_none(), "not answered VALID: {strange:?}");
        pair
    }

    /// A plan of its own name on Kenya.
    pub(crate) fn closed(&mut self, under_way: u64, seconds: u64) -> Plan {
        self.runs += 1;
        let run = format!("run-{}-{under_way}", self.runs);
        Plan {
            asked: Some(self.per.folder().to_owned()),
            ..Plan::closed(&self.ken, &run, under_way, seconds)
        }
    }

    /// Run a load, until Peru holds the receipts of its answers, too.
    pub(crate) fn run(&mut self, plan: Plan) -> Run {
        let spent = |pair: &Self| [&pair.ken, &pair.per].map(|house| process_millis(house.pid()));
        let before = spent(self);
        let load = plan.run();
        wait_for("all is receipted on both sides", || {
            let (ken, per) = (self.ken.api().peer("PER"), self.per.api().peer("KEN"));
            (ken.undelivered + per.undelivered + ken.open_exchanges == 0).then_some(())
        });
        let after = spent(self);
        let of = |millis: u64| millis as f64 / load.done.max(1) as f64;
        let processor = [of(after[0] - before[0]), of(after[1] - before[1]), of(load.processor_millis)];
        Run { load, processor }
    }
}

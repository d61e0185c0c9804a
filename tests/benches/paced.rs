//! At fixed rates: how long an exchange takes on a node that is not saturated, or nearly.

use crate::Bench;
use crate::load::{Pace, Plan};
use crate::report::millis;

pub(crate) fn run(bench: &mut Bench) {
    let (saturated, _) = bench.saturation();
    for share in [25_u32, 50, 75] {
        let rate = saturated * f64::from(share) / 100.0;
        let seconds = bench.seconds;
        let pair = bench.pair();
        let plan = Plan { pace: Pace::Open(rate), ..pair.closed(share.into(), seconds) };
        let load = pair.run(plan).load;
        bench.report.told(
            &format!("at {share} % of saturation ({rate:.0}/s)"),
            format!(
                "p50 {}, p99 {}, p99.9 {}; done {:.0}/s",
                millis(load.took(500)),
                millis(load.took(990)),
                millis(load.took(999)),
                load.rate(),
            ),
        );
    }
}

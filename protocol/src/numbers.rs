//! The numbers of a peer's messages: which have come, and which are missing (SPEC.md, section 2, `seq`).
//!
//! A number that is missing refuses nothing and delays nothing. It is shown, so that nobody can leave a message out of
//! a conversation unseen.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::message::Message;

/// Most gaps told apart. Beyond that the last one reaches to the newest number, with what it holds inside.
const MAX_GAPS: usize = 4;

/// The number of one message.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Number {
    /// Number of its sender's log.
    pub log: u32,
    /// Its number within that.
    pub seq: u64,
}

impl Number {
    /// That of `message`.
    pub fn of(message: &Message) -> Self {
        Self { log: message.log, seq: message.seq }
    }
}

/// Numbers of a peer's messages that have not come, though a later one has.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Gap {
    /// Number of its log.
    pub log: u32,
    /// The first that is missing.
    pub first: u64,
    /// The last that is missing.
    pub last: u64,
}

/// What has come of a peer's numbers.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Numbers {
    log: u32,
    highest: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    missing: Vec<Gap>,
}

impl Numbers {
    /// The numbers that are missing, in the order in which later ones showed it.
    pub(crate) fn missing(&self) -> &[Gap] {
        &self.missing
    }

    /// Whether no message has come with this number or a later one of its log: then no message has this one.
    pub(crate) fn is_beyond(&self, log: u32, seq: u64) -> bool {
        (log, seq) > (self.log, self.highest)
    }

    /// A message with this number was recorded, or refused for good.
    pub(crate) fn came(&mut self, log: u32, seq: u64) {
        if log > self.log {
            (self.log, self.highest) = (log, 0);
        }
        if log < self.log || seq <= self.highest {
            self.fill(log, seq);
            return;
        }
        if seq > self.highest + 1 {
            let gap = Gap { log, first: self.highest + 1, last: seq - 1 };
            let full = self.missing.len() >= MAX_GAPS;
            match self.missing.last_mut().filter(|_| full) {
                Some(last) if last.log == log => last.last = gap.last,
                Some(_) => {}
                None => self.missing.push(gap),
            }
        }
        self.highest = seq;
    }

    /// One that was missing is here: its gap ends before it, or begins after it, or is two.
    fn fill(&mut self, log: u32, seq: u64) {
        let holds = |gap: &Gap| gap.log == log && (gap.first..=gap.last).contains(&seq);
        let Some(at) = self.missing.iter().position(holds) else { return };
        let gap = self.missing[at];
        let halves = [Gap { last: seq - 1, ..gap }, Gap { first: seq + 1, ..gap }];
        let halves: Vec<Gap> = halves.into_iter().filter(|half| half.first <= half.last).collect();
        // Too many to tell apart: it stays one, until one of its ends comes.
        if self.missing.len() - 1 + halves.len() <= MAX_GAPS {
            self.missing.splice(at..=at, halves);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn after(came: &[(u32, u64)]) -> Vec<(u32, u64, u64)> {
        let mut numbers = Numbers::default();
        for (log, seq) in came {
            numbers.came(*log, *seq);
        }
        numbers.missing().iter().map(|gap| (gap.log, gap.first, gap.last)).collect()
    }

    #[test]
    fn what_was_left_out_is_seen_as_soon_as_a_later_one_comes() {
        assert_eq!(after(&[(1, 1), (1, 2), (1, 3)]), []);
        assert_eq!(after(&[(1, 1), (1, 3)]), [(1, 2, 2)]);
        assert_eq!(after(&[(1, 4)]), [(1, 1, 3)]);
        assert_eq!(after(&[(1, 1), (1, 9), (1, 5)]), [(1, 2, 4), (1, 6, 8)]);
        assert_eq!(after(&[(1, 1), (1, 5), (1, 2), (1, 4), (1, 3), (1, 3)]), []);
    }

    #[test]
    fn a_new_log_counts_anew_and_what_its_predecessor_owed_stays_owed() {
        assert_eq!(after(&[(1, 3), (2, 1)]), [(1, 1, 2)]);
        assert_eq!(after(&[(1, 3), (2, 2), (1, 1), (1, 7)]), [(1, 2, 2), (2, 1, 1)]);
    }

    proptest! {
        #[test]
        fn every_missing_number_is_in_a_gap_and_few_gaps_tell_nothing_else(
            came in prop::collection::vec(1_u64..60, 1..60),
        ) {
            let mut numbers = Numbers::default();
            for seq in &came {
                numbers.came(1, *seq);
            }
            let is_beyond = |seq: &u64| numbers.is_beyond(1, *seq);
            let in_gap = |seq: u64| numbers.missing.iter().any(|gap| (gap.first..=gap.last).contains(&seq));
            let highest = came.iter().max().copied().unwrap_or_default();
            prop_assert!(numbers.missing.len() <= MAX_GAPS);
            prop_assert!(!came.iter().any(is_beyond) && is_beyond(&(highest + 1)));
            for seq in 1..=highest {
                let missing = !came.contains(&seq);
                prop_assert!(!missing || in_gap(seq));
                // As long as there never were too many gaps, they are exact.
                prop_assert!(came.len() > MAX_GAPS || missing == in_gap(seq));
            }
            prop_assert!(!in_gap(highest + 1));
        }
    }
}

//! The registers and the list of licences that the demonstration ships. Persons, companies and numbers are made up;
//! dates are moved, so that the story holds whenever it is told.

use jiff::civil::Date;
use liaison_protocol::licence::Presented;

use super::DemoError;
use crate::register::Licences;

/// Brazil's register: 3,000 firearms, 300 of them the pistols that went to Kenya.
pub(super) const BRAZIL: &str = include_str!("../../demo/brazil-firearms.csv");
/// Kenya's register: the same 300 pistols, 40 of them sold on to Uganda, among 2,000.
pub(super) const KENYA: &str = include_str!("../../demo/kenya-firearms.csv");
/// Kenya's import licences.
pub(super) const LICENCES: &str = include_str!("../../demo/licences.csv");
/// Serbia's register, in Cyrillic: numbers that look like the one in the story, and none that is it.
pub(super) const SERBIA: &str = include_str!("../../demo/serbia-firearms.csv");
/// Uganda's register: of the 40 pistols, 38 were stolen in one night.
pub(super) const UGANDA: &str = include_str!("../../demo/uganda-firearms.csv");

/// The year in the lists that is moved to the present one. What the story looks back on was the year before.
const YEAR: i16 = 2027;

/// The list as it would read in the year of `today`.
pub(super) fn moved(list: &str, today: Date) -> String {
    let years = today.year() - YEAR;
    let line = |line: &str| {
        line.split(',')
            .map(|cell| cell_moved(cell, years).unwrap_or(cell.into()))
            .collect::<Vec<_>>()
            .join(",")
    };
    list.lines().map(|text| line(text) + "\n").collect()
}

/// A cell that is a date or an import mark (`KEN 2026`), that many years later.
fn cell_moved(cell: &str, years: i16) -> Option<String> {
    let (mark, rest) = cell.strip_prefix("KEN ").map_or(("", cell), |rest| ("KEN ", rest));
    let (year, day) = rest.split_at_checked(4)?;
    let is_date = day.starts_with('-') && rest.parse::<Date>().is_ok();
    let is_mark = day.is_empty() && !mark.is_empty();
    let year: i16 = year.parse().ok().filter(|_| is_date || is_mark)?;
    Some(format!("{mark}{}{day}", year + years))
}

/// The licence papers that applicants hand in: as Kenya issued them.
pub(super) struct Papers(Licences);

impl Papers {
    /// The papers behind this list.
    pub(super) fn of(list: &str) -> Result<Self, DemoError> {
        Licences::parse(list.as_bytes()).map(Self).map_err(|flaw| DemoError::Unexpected {
            expected: "a good list of licences".into(),
            found: flaw.to_string(),
        })
    }

    /// What stands on the paper of this number.
    pub(super) fn paper(&self, number: &str) -> Result<Presented, DemoError> {
        let found = self.0.find(&number.parse().expect("a number")).map(|record| record.content.clone());
        found.ok_or_else(|| DemoError::Unexpected {
            expected: format!("a licence {number} in the list"),
            found: "none".into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use liaison_protocol::authority::Timestamp;

    use super::*;
    use crate::register::Firearms;

    fn days_since_1970(day: Date) -> u64 {
        let days = day.since((jiff::Unit::Day, Date::constant(1970, 1, 1))).expect("after it").get_days();
        u64::try_from(days).expect("after it")
    }

    #[test]
    fn dates_move_and_nothing_else_does() {
        let list = "a,KEN 2026,1984,2026-04-14,SA2026,\"2026, or so\"\n";
        let told = moved(list, Date::constant(2030, 5, 1));
        assert_eq!(told, "a,KEN 2029,1984,2029-04-14,SA2026,\"2026, or so\"\n");
    }

    #[test]
    fn the_registers_are_taken_whenever_the_story_is_told() {
        for year in [2026, 2028, 2031] {
            let today = Date::constant(year, 1, 1);
            for (list, count) in [(BRAZIL, 3000), (KENYA, 2000), (SERBIA, 2400), (UGANDA, 1200)] {
                let list = moved(list, today);
                let now = Timestamp(days_since_1970(today) * 86_400);
                let register = Firearms::take(list.as_bytes(), now).expect("a good register");
                assert_eq!(register.len(), count);
                // What is on record has happened.
                assert!(!list.contains(&format!("{year}-")));
            }
            Papers::of(&moved(LICENCES, today)).expect("good").paper("KE-IMP-0147").expect("there");
        }
    }
}

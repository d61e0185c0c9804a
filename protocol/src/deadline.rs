//! By when an answer is due: agreed policy, never treaty law, and computed alike on both sides.
//!
//! The answering State publishes its working calendar and its targets in its key set. A clock starts at *delivery*,
//! which is an entry of the answering State's log that the asking State holds as a receipt (R-ITI-19); it pauses while
//! information is awaited. All of these times stand in both logs, so both sides find the same moment. That it passes
//! changes nothing but a word on the screen: silence is never consent (R-10.2c).

use std::fmt;

use jiff::civil::{Date, Weekday};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::authority::{StateCode, Timestamp};
use crate::exchange::Exchange;
use crate::handling::code_list;
use crate::key_set::KeySet;
use crate::message::Kind;
use crate::operator::State;
use crate::trace::Urgency;

/// Most holidays in a calendar.
pub const MAX_HOLIDAYS: usize = 128;
/// Most targets in a key set.
pub const MAX_TARGETS: usize = 64;
/// Longest span, in days or hours.
const MAX_SPAN: u32 = 400;
/// Days looked at for a due day: enough for the longest span in the sparsest calendar.
const MAX_DAYS: usize = 4000;

code_list! {
    /// A day of the week.
    Day {
        Friday = "FRI",
        Monday = "MON",
        Saturday = "SAT",
        Sunday = "SUN",
        Thursday = "THU",
        Tuesday = "TUE",
        Wednesday = "WED",
    }
}

impl From<Weekday> for Day {
    fn from(day: Weekday) -> Self {
        match day {
            Weekday::Monday => Self::Monday,
            Weekday::Tuesday => Self::Tuesday,
            Weekday::Wednesday => Self::Wednesday,
            Weekday::Thursday => Self::Thursday,
            Weekday::Friday => Self::Friday,
            Weekday::Saturday => Self::Saturday,
            Weekday::Sunday => Self::Sunday,
        }
    }
}

/// On which days an authority works.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkingCalendar {
    /// How far its civil time is ahead of UTC, in minutes; negative west of Greenwich.
    pub utc_offset_minutes: i32,
    /// The days of the week on which nobody works, at most 6.
    pub weekend: Vec<Day>,
    /// Other days on which nobody works, at most 128.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub holidays: Vec<Date>,
}

impl Default for WorkingCalendar {
    fn default() -> Self {
        Self { utc_offset_minutes: 0, weekend: vec![Day::Saturday, Day::Sunday], holidays: Vec::new() }
    }
}

impl WorkingCalendar {
    /// Whether it is within its bounds.
    pub fn is_bounded(&self) -> bool {
        self.utc_offset_minutes.abs() <= 14 * 60
            && self.weekend.len() <= 6
            && self.holidays.len() <= MAX_HOLIDAYS
    }

    /// Whether the authority works on that day.
    pub fn is_working(&self, day: Date) -> bool {
        !self.weekend.contains(&day.weekday().into()) && !self.holidays.contains(&day)
    }

    /// The civil day at a moment.
    pub fn day_of(&self, at: Timestamp) -> Date {
        let offset = i64::from(self.utc_offset_minutes) * 60;
        Timestamp(at.0.saturating_add_signed(offset)).date()
    }

    /// The moment at which a civil day is over.
    pub fn end_of(&self, day: Date) -> Timestamp {
        let next = day.tomorrow().unwrap_or(Date::MAX);
        let midnight = next.to_datetime(jiff::civil::Time::midnight());
        let midnight = jiff::tz::Offset::UTC.to_timestamp(midnight).map_or(0, jiff::Timestamp::as_second);
        let offset = i64::from(self.utc_offset_minutes) * 60;
        Timestamp(u64::try_from(midnight.saturating_sub(offset)).unwrap_or(0))
    }
}

/// How long something may take.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Span {
    /// Civil days, 1 to 400.
    Days(u32),
    /// Hours, 1 to 400, by night too.
    Hours(u32),
    /// Days on which the answering authority works, 1 to 400.
    WorkingDays(u32),
}

impl Span {
    fn is_bounded(self) -> bool {
        let (Self::Days(n) | Self::Hours(n) | Self::WorkingDays(n)) = self;
        (1..=MAX_SPAN).contains(&n)
    }

    /// When a clock that starts at `from` and stands still in `pauses` has run this long; `None` while it stands still.
    ///
    /// A day counts when the authority works on it, it is after the day of `from`, and the clock runs at its end.
    pub fn after(self, from: Timestamp, pauses: &[Pause], calendar: &WorkingCalendar) -> Option<Timestamp> {
        if pauses.iter().any(|pause| pause.until.is_none()) {
            return None;
        }
        let stands = |at: Timestamp| {
            pauses.iter().any(|pause| pause.from <= at && pause.until.is_some_and(|until| at < until))
        };
        let (count, works): (u32, &dyn Fn(Date) -> bool) = match self {
            Self::Hours(hours) => {
                let mut due = from.plus(u64::from(hours) * 3600);
                for pause in pauses {
                    let until = pause.until?;
                    if pause.from < due && until > from {
                        due = due.plus(until.0.saturating_sub(pause.from.max(from).0));
                    }
                }
                return Some(due);
            }
            Self::Days(days) => (days, &|_| true),
            Self::WorkingDays(days) => (days, &|day| calendar.is_working(day)),
        };
        let start = calendar.day_of(from).tomorrow().ok()?;
        let days = start.series(jiff::Span::new().days(1)).take(MAX_DAYS);
        let mut counted = days.filter(|day| works(*day) && !stands(calendar.end_of(*day)));
        counted.nth(usize::try_from(count.checked_sub(1)?).ok()?).map(|day| calendar.end_of(day))
    }
}

/// A time in which a clock stands still.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pause {
    /// From when.
    pub from: Timestamp,
    /// Until when, if it is over.
    pub until: Option<Timestamp>,
}

code_list! {
    /// What the requested State owes.
    Owing {
        Acknowledgement = "ACKNOWLEDGEMENT",
        Answer = "ANSWER",
        Clarification = "CLARIFICATION",
    }
}

/// A target an authority sets itself.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// For what.
    pub owing: Owing,
    /// In exchanges opened by this kind.
    pub kind: Kind,
    /// Of this urgency; of any, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub urgency: Option<Urgency>,
    /// Within this time from delivery.
    pub within: Span,
    /// For these States only; for all, if empty. At most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub with: Vec<StateCode>,
}

impl Target {
    /// Whether it is within its bounds.
    pub fn is_bounded(&self) -> bool {
        self.within.is_bounded() && self.with.len() <= 32
    }

    fn fits(&self, owing: Owing, kind: Kind, urgency: Urgency, asker: &StateCode) -> bool {
        self.owing == owing
            && self.kind == kind
            && self.urgency.is_none_or(|only| only == urgency)
            && (self.with.is_empty() || self.with.contains(asker))
    }

    /// The more a target says of whom and what it is for, the more it counts.
    fn weight(&self) -> (bool, bool) {
        (!self.with.is_empty(), self.urgency.is_some())
    }
}

/// The target of an authority that has published none (law/requirements 6.1, all of it policy).
fn usual(owing: Owing, kind: Kind, urgency: Urgency) -> Span {
    match (owing, kind, urgency) {
        (_, _, Urgency::EmergencyThreatToLife) => Span::Hours(24),
        (Owing::Acknowledgement, _, Urgency::Urgent) => Span::Hours(24),
        (Owing::Acknowledgement, _, Urgency::Routine) => Span::WorkingDays(3),
        (Owing::Clarification, _, _) => Span::WorkingDays(10),
        (Owing::Answer, Kind::TraceRequest, Urgency::Urgent) => Span::WorkingDays(5),
        (Owing::Answer, Kind::TraceRequest, Urgency::Routine) => Span::Days(30),
        (Owing::Answer, Kind::TransitNotification, _) => Span::WorkingDays(20),
        (Owing::Answer, Kind::AuthenticityCheck, _) => Span::WorkingDays(1),
        (Owing::Answer, _, _) => Span::WorkingDays(10),
    }
}

/// Something that is owed, and by when.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Due {
    /// What.
    pub owing: Owing,
    /// By when.
    pub at: Timestamp,
}

impl fmt::Display for Due {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.owing {
            Owing::Acknowledgement => "acknowledgement",
            Owing::Answer => "answer",
            Owing::Clarification => "clarification",
        };
        write!(f, "{what} by {}", self.at)
    }
}

/// What the requested State owes next in `exchange`, and by when: by the key set of that State which was in force at
/// the time of delivery, asked by `asker`. `None` if nothing is owed, nothing is delivered, or the clock stands still.
pub fn due(exchange: &Exchange, answering: &KeySet, asker: &StateCode) -> Option<Due> {
    let standing = exchange.standing();
    let delivered = |id| exchange.get(id)?.delivered(exchange.side());
    let owing = match standing.state {
        State::Delivered => Owing::Acknowledgement,
        State::Acknowledged | State::Delayed | State::PartlyAnswered => Owing::Answer,
        State::Clarifying => Owing::Clarification,
        _ => return None,
    };
    let opened = exchange.opener();
    let from = match (owing, &standing.clarifying) {
        (Owing::Clarification, Some(question)) => delivered(question)?,
        _ => opened.delivered(exchange.side())?,
    };
    let usual_calendar;
    let calendar = match &answering.calendar {
        Some(calendar) => calendar,
        None => {
            usual_calendar = WorkingCalendar::default();
            &usual_calendar
        }
    };
    if let (State::Delayed, Some(until)) = (standing.state, standing.delayed_until) {
        return Some(Due { owing, at: calendar.end_of(until) });
    }
    let urgency = opened.message.body.urgency();
    let fitting =
        answering.targets.iter().filter(|target| target.fits(owing, exchange.kind(), urgency, asker));
    let within = fitting
        .max_by_key(|target| target.weight())
        .map_or(usual(owing, exchange.kind(), urgency), |target| target.within);
    let mut pauses = Vec::new();
    for (asked, told) in &standing.pauses {
        // Not delivered yet: the clock goes on until it is.
        let Some(from) = delivered(asked) else { continue };
        pauses.push(Pause { from, until: told.as_ref().and_then(delivered) });
    }
    Some(Due { owing, at: within.after(from, &pauses, calendar)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        let moment: jiff::Timestamp = text.parse().expect("a moment");
        Timestamp(u64::try_from(moment.as_second()).expect("after 1970"))
    }

    #[test]
    fn r_iti_19_days_count_when_the_answering_authority_works_and_after_the_day_of_delivery() {
        // Friday and Saturday are the weekend, three hours ahead of UTC, and Monday is a holiday.
        let calendar = WorkingCalendar {
            utc_offset_minutes: 180,
            weekend: vec![Day::Friday, Day::Saturday],
            holidays: vec!["2026-11-30".parse().expect("a date")],
        };
        // Thursday late in the evening UTC is Friday there.
        let delivered = at("2026-11-26T22:00:00Z");
        let due = Span::WorkingDays(2).after(delivered, &[], &calendar);
        // Sunday 29 and Tuesday 1 are worked.
        assert_eq!(due, Some(at("2026-12-01T21:00:00Z")));
        assert_eq!(Span::Days(2).after(delivered, &[], &calendar), Some(at("2026-11-29T21:00:00Z")));
        assert_eq!(Span::Hours(24).after(delivered, &[], &calendar), Some(at("2026-11-27T22:00:00Z")));
    }

    #[test]
    fn a_clock_stands_still_while_information_is_awaited() {
        let calendar = WorkingCalendar::default();
        let delivered = at("2026-11-23T09:00:00Z");
        let asked = at("2026-11-24T12:00:00Z");
        let open = Pause { from: asked, until: None };
        assert_eq!(Span::WorkingDays(3).after(delivered, &[open], &calendar), None);
        let over = Pause { until: Some(at("2026-11-26T08:00:00Z")), ..open };
        // Tuesday and Wednesday end in the pause; Thursday, Friday and Monday count.
        assert_eq!(
            Span::WorkingDays(3).after(delivered, &[over], &calendar),
            Some(at("2026-12-01T00:00:00Z"))
        );
        assert_eq!(Span::Hours(48).after(delivered, &[over], &calendar), Some(at("2026-11-27T05:00:00Z")));
    }

    #[test]
    fn a_hundred_holidays_in_a_row_only_put_it_off() {
        let every_day = Date::constant(2026, 11, 24).series(jiff::Span::new().days(1)).take(100).collect();
        let calendar = WorkingCalendar { holidays: every_day, ..WorkingCalendar::default() };
        assert!(Span::WorkingDays(1).after(at("2026-11-23T09:00:00Z"), &[], &calendar).is_some());
    }
}

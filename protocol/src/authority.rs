//! Who speaks: States, their authorities' nodes, the functions an authority holds (Art. 13), officers.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A moment, in seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize, ToSchema)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The moment `seconds` later.
    pub fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// The civil date at this moment, in UTC.
    pub fn date(self) -> jiff::civil::Date {
        jiff::Timestamp::from_second(i64::try_from(self.0).unwrap_or(i64::MAX))
            .map(|moment| jiff::tz::Offset::UTC.to_datetime(moment).date())
            .unwrap_or(jiff::civil::Date::MAX)
    }

    /// The civil date where it is still earliest on Earth (UTC-12): a day before it is past everywhere.
    pub fn first_date(self) -> jiff::civil::Date {
        Self(self.0.saturating_sub(12 * 3600)).date()
    }

    /// The civil date where it is already latest on Earth (UTC+14): a day after it has not come yet anywhere.
    pub fn last_date(self) -> jiff::civil::Date {
        self.plus(14 * 3600).date()
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, the form people read: `2026-11-23 18:05:09Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(i64::try_from(self.0).unwrap_or(i64::MAX)) {
            Ok(moment) => {
                let civil = jiff::tz::Offset::UTC.to_datetime(moment);
                write!(f, "{} {}Z", civil.date(), civil.time())
            }
            Err(_) => write!(f, "{} s", self.0),
        }
    }
}

/// A text that is too long, too short, or has characters it must not have.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{what}: {rule}")]
pub struct BadName {
    pub(crate) what: &'static str,
    pub(crate) rule: &'static str,
}

/// Define a text newtype that can only hold what its rule allows.
macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize, ToSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schema(value_type = String)]
        pub struct $name(String);

        impl $name {
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                Self::try_from(text.to_owned())
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;

            fn try_from(text: String) -> Result<Self, BadName> {
                let check: fn(&str) -> bool = $check;
                if check(&text) { Ok(Self(text)) } else { Err(BadName { what: $what, rule: $rule }) }
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

pub(crate) use checked_text;

checked_text!(
    /// A State by its ISO 3166-1 alpha-3 code (`KEN`), or a regional organisation with competence (`EUE`).
    ///
    /// Only the form is checked: code lists change, and a peer's State is pinned when it is admitted.
    StateCode,
    "State code",
    "three capital letters of ISO 3166-1 alpha-3, such as KEN",
    |text| text.len() == 3 && text.bytes().all(|b| b.is_ascii_uppercase())
);

checked_text!(
    /// The name of a node: `<authority-domain>/liaison`, such as `firearms.example.ke/liaison`.
    NodeId,
    "node id",
    "<authority-domain>/liaison in lower case, at most 100 characters, such as firearms.example.ke/liaison",
    |text| {
        text.len() <= 100
            && text.strip_suffix("/liaison").is_some_and(|domain| {
                domain.contains('.')
                    && domain.split('.').all(|label| {
                        !label.is_empty()
                            && !label.starts_with('-')
                            && !label.ends_with('-')
                            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                    })
            })
    }
);

impl NodeId {
    /// Origin and key name of this node's log number `log`.
    pub fn log_origin(&self, log: u32) -> String {
        format!("{self}/log{log}")
    }

    /// Name under which this node cosigns others' heads.
    pub fn witness_name(&self) -> String {
        format!("{self}/witness")
    }
}

checked_text!(
    /// An officer or system as its own authority knows it: a pseudonym, never a name.
    OfficerId,
    "officer id",
    "1 to 64 of the characters A-Z a-z 0-9 . _ - (a pseudonym, not a name)",
    |text| {
        (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    }
);

checked_text!(
    /// One line of text for people: 1 to 200 characters, no control characters.
    Line,
    "text",
    "1 to 200 characters, no line breaks or control characters",
    |text| (1..=200).contains(&text.chars().count()) && !text.chars().any(breaks_line)
);

/// Whether a character is no part of a line: control characters, and the separators of lines and paragraphs of Unicode.
pub(crate) fn breaks_line(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}' | '\u{2029}')
}

checked_text!(
    /// Some text for people: 1 to 4,000 characters, no control characters but line breaks.
    Prose,
    "text",
    "1 to 4,000 characters, no control characters but line breaks",
    |text| (1..=4000).contains(&text.chars().count()) && !text.chars().any(|c| c.is_control() && c != '\n')
);

/// What an authority may do under the Protocol (law/requirements: roles of a contact point declaration).
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Function {
    /// The national body or single point of contact (Art. 13(2)): may send every kind of message.
    #[serde(rename = "ART13_CONTACT")]
    Art13Contact,
    /// Customs: checks licences at the border.
    Customs,
    /// Issues export licences.
    ExportLicensing,
    /// Issues import licences.
    ImportLicensing,
    /// Traces firearms.
    TracingCentre,
    /// Decides on transit.
    TransitAuthority,
}

/// Who prepared and approved a message, as its authority knows them; or the rule that answered.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum By {
    /// Answered automatically, under the rule of this id.
    Auto {
        /// The rule's id at the answering authority.
        rule: Line,
    },
    /// Decided by officers.
    Officers {
        /// Who prepared it.
        prepared: OfficerId,
        /// Who approved it, where a second officer is asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        approved: Option<OfficerId>,
    },
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto { rule } => write!(f, "rule {rule}"),
            Self::Officers { prepared, approved: None } => write!(f, "{prepared}"),
            Self::Officers { prepared, approved: Some(second) } => {
                write!(f, "{prepared}, approved by {second}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_and_ends_at_the_edges_of_the_earth() {
        // 2026-09-21, at 9:59:59, 10:00:00, 11:59:59 and 12:00:00 UTC.
        let day = Timestamp(1_789_948_800);
        let dates = [36_000 - 1, 36_000, 43_200 - 1, 43_200].map(|second| {
            let at = day.plus(second);
            (at.first_date().day(), at.date().day(), at.last_date().day())
        });
        assert_eq!(dates, [(20, 21, 21), (20, 21, 22), (20, 21, 22), (21, 21, 22)]);
    }

    #[test]
    fn node_ids_are_a_domain_and_liaison() {
        let id: NodeId = "firearms.example.ke/liaison".parse().expect("good");
        assert_eq!(id.log_origin(1), "firearms.example.ke/liaison/log1");
        for bad in [
            "",
            "/liaison",
            "ke/liaison",
            "Firearms.example.ke/liaison",
            "a..b/liaison",
            "-a.b/liaison",
            "a.b/liaison/x",
            "a.b",
            "a.b /liaison",
            "a+b.c/liaison",
            &format!("{}.ke/liaison", "a".repeat(90)),
        ] {
            assert!(bad.parse::<NodeId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn moments_read_as_people_write_them() {
        assert_eq!(Timestamp(1_790_000_000).to_string(), "2026-09-21 14:13:20Z");
        assert_eq!(Timestamp(u64::MAX).date(), jiff::civil::Date::MAX);
    }

    #[test]
    fn text_for_people_has_bounds() {
        assert!("".parse::<Line>().is_err());
        assert!(["a\nb", "a\u{2028}b", "a\u{2029}b"].iter().all(|text| text.parse::<Line>().is_err()));
        assert!("é".repeat(200).parse::<Line>().is_ok());
        assert!("é".repeat(201).parse::<Line>().is_err());
        assert!("a\nb".parse::<Prose>().is_ok());
        assert!("a\u{7}b".parse::<Prose>().is_err());
    }
}

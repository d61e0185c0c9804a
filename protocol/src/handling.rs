//! Conditions on use and disclosure that travel with every message (Art. 12(5); ITI 15; UNTOC 18(5), 18(19)).
//!
//! Whoever provides information sets them; whoever receives it keeps them beside it, and asks [`Handling::permits`]
//! before it leaves the house. What is not understood is treated as the strictest there is and put before an officer.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::authority::{BadName, Line, StateCode};
use crate::message::MessageId;

/// Most that a newer peer may add, in bytes of JSON.
const MAX_UNKNOWN: usize = 4096;

/// A coded value: one we know, or one that a newer peer knows and we keep and show as it is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Coded<T> {
    /// A value of our code list.
    Known(T),
    /// A value of a newer code list.
    Unknown(Line),
}

impl<T> Coded<T> {
    /// Whether it is one we know.
    pub fn is_known(&self) -> bool {
        matches!(self, Self::Known(_))
    }

    /// The value, if our code list has it.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }

    /// Whether it is this value of our code list.
    pub fn is(&self, value: T) -> bool
    where
        T: PartialEq,
    {
        self.known() == Some(&value)
    }
}

impl<T> From<T> for Coded<T> {
    fn from(value: T) -> Self {
        Self::Known(value)
    }
}

impl<T: fmt::Display> fmt::Display for Coded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(value) => value.fmt(f),
            Self::Unknown(code) => code.fmt(f),
        }
    }
}

/// Define a code list: an enum whose values are the words of a published list, kept in the order of their names.
macro_rules! code_list {
    ($(#[$doc:meta])* $name:ident { $($(#[$note:meta])* $variant:ident = $code:literal,)+ }) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, serde::Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Serialize,
            utoipa::ToSchema,
        )]
        #[allow(missing_docs, reason = "the names are the code list")]
        pub enum $name {
            $($(#[$note])* #[serde(rename = $code)] $variant,)+
        }

        impl $name {
            /// The whole list.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The word of the code list.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let known = Self::ALL.iter().find(|value| value.as_str().eq_ignore_ascii_case(text));
                known.copied().ok_or_else(|| {
                    let words: Vec<_> = Self::ALL.iter().map(|value| value.as_str()).collect();
                    format!("one of {}", words.join(", "))
                })
            }
        }
    };
}

pub(crate) use code_list;

/// The conditions under which a message is given.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Handling {
    /// What the information may be used for.
    pub purpose: Coded<Purpose>,
    /// The provisions it is given under, at most 8.
    pub legal_basis: Vec<Coded<LegalBasis>>,
    /// Whether confidentiality is asked for (Art. 12(5)).
    pub confidential: bool,
    /// Restrictions on use, at most 8; may be empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restrictions: Vec<Coded<Restriction>>,
    /// States to which it may be passed on, at most 200.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub release_to: Vec<StateCode>,
    /// Whether it may be passed on to others.
    pub onward: Coded<Onward>,
    /// Not to be used before this date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    pub embargo_until: Option<Date>,
    /// To be kept until this date; never shortens the ten years of Art. 7.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    pub retain_until: Option<Date>,
    /// Whether it has data on persons.
    pub personal_data: Coded<PersonalData>,
    /// What a newer peer added.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, serde_json::Value>,
}

impl Handling {
    /// The conditions for licence data: purpose-bound, confidential, onward only with consent, no persons.
    pub fn for_licences(basis: LegalBasis) -> Self {
        Self::usual(Purpose::Licensing, basis)
    }

    /// The conditions for traces: the same, for the purpose of tracing.
    pub fn for_traces() -> Self {
        Self::usual(Purpose::Tracing, LegalBasis::Article12Para4)
    }

    /// The conditions for transit: the same, for licensing.
    pub fn for_transit() -> Self {
        Self::usual(Purpose::Licensing, LegalBasis::Article10Para2b)
    }

    fn usual(purpose: Purpose, basis: LegalBasis) -> Self {
        Self {
            purpose: Coded::Known(purpose),
            legal_basis: vec![Coded::Known(basis)],
            confidential: true,
            restrictions: vec![
                Coded::Known(Restriction::DesignatedAuthoritiesOnly),
                Coded::Known(Restriction::PurposeBound),
                Coded::Known(Restriction::NoThirdPartyWithoutConsent),
            ],
            release_to: Vec::new(),
            onward: Coded::Known(Onward::WithConsent),
            embargo_until: None,
            retain_until: None,
            personal_data: Coded::Known(PersonalData::None),
            unknown: BTreeMap::new(),
        }
    }

    /// Whether every value is one we know. If not, only an officer may act on the message.
    pub fn is_understood(&self) -> bool {
        self.purpose.is_known()
            && self.legal_basis.iter().all(Coded::is_known)
            && self.restrictions.iter().all(Coded::is_known)
            && self.onward.is_known()
            && self.personal_data.is_known()
            && self.unknown.is_empty()
    }

    /// Whether what `giver` gave under these conditions may leave our house by `disclosure` (R-12.5a, R-12.5b). The
    /// first condition that forbids it is the answer.
    pub fn permits(&self, giver: &StateCode, disclosure: &Disclosure) -> Result<(), Restraint> {
        let Disclosure { purpose, to, on } = disclosure;
        // What a State said itself is no news to it.
        if *to == Recipient::State(giver.clone()) {
            return Ok(());
        }
        if !self.is_understood() {
            return Err(Restraint::NotUnderstood);
        }
        if let Some(until) = self.embargo_until.filter(|until| on < until) {
            return Err(Restraint::Embargo { until });
        }
        let asks_for = |restriction| self.restrictions.contains(&Coded::Known(restriction));
        if asks_for(Restriction::NoJudicialUseWithoutMla)
            && (*purpose == Purpose::Prosecution || to.is_judicial())
        {
            return Err(Restraint::JudicialUse);
        }
        if asks_for(Restriction::OriginatorStatisticsOnly) && *purpose != Purpose::Statistics {
            return Err(Restraint::StatisticsOnly);
        }
        match &self.purpose {
            Coded::Known(given_for) if asks_for(Restriction::PurposeBound) && given_for != purpose => {
                return Err(Restraint::PurposeBound { given_for: *given_for });
            }
            _ => {}
        }
        match to {
            Recipient::Auditor | Recipient::Court | Recipient::Prosecutor => Ok(()),
            Recipient::State(_) if self.onward == Coded::Known(Onward::Forbidden) => {
                Err(Restraint::OnwardForbidden)
            }
            // To be named is the consent: there is no other way on file yet.
            Recipient::State(state) if self.release_to.contains(state) => Ok(()),
            Recipient::State(state) => Err(Restraint::NotReleased { state: state.clone() }),
        }
    }

    /// Whether the lists are within their bounds.
    pub fn is_bounded(&self) -> bool {
        (1..=8).contains(&self.legal_basis.len())
            && self.restrictions.len() <= 8
            && self.release_to.len() <= 200
            && (self.unknown.is_empty()
                || serde_json::to_vec(&self.unknown).is_ok_and(|json| json.len() <= MAX_UNKNOWN))
    }
}

/// What information may be used for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "the names are the code list")]
pub enum Purpose {
    BorderControl,
    Investigation,
    Licensing,
    Prosecution,
    Statistics,
    Tracing,
}

/// The provision under which information is given.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub enum LegalBasis {
    /// Art. 10(2)(a): import licences verified before an export licence is issued.
    #[serde(rename = "FP_10_2A")]
    Article10Para2a,
    /// Art. 10(2)(b): transit States have no objection before a shipment leaves.
    #[serde(rename = "FP_10_2B")]
    Article10Para2b,
    /// Art. 10(5): authenticity of licensing documents.
    #[serde(rename = "FP_10_5")]
    Article10Para5,
    /// Art. 12(4): tracing.
    #[serde(rename = "FP_12_4")]
    Article12Para4,
    /// UNTOC Art. 27: law enforcement cooperation.
    #[serde(rename = "UNTOC_27")]
    Untoc27,
}

/// A restriction on use; the first three are those of ITI 15.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "the names are the code list")]
pub enum Restriction {
    DesignatedAuthoritiesOnly,
    NoJudicialUseWithoutMla,
    NoThirdPartyWithoutConsent,
    OriginatorStatisticsOnly,
    Proprietary,
    PurposeBound,
}

/// Whether information may be passed on.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Onward {
    /// To nobody.
    Forbidden,
    /// To the States of the release list.
    ReleaseList,
    /// Only with the provider's consent.
    WithConsent,
}

/// Whether a message has data on persons.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "the names are the code list")]
pub enum PersonalData {
    None,
    Present,
    Pseudonymised,
}

/// Something that is to leave our house.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Disclosure {
    /// What it is to be used for.
    pub purpose: Purpose,
    /// Who gets it.
    pub to: Recipient,
    /// On which day.
    pub on: Date,
}

/// Who gets something that leaves our house: an authority of our own State, or another State.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Recipient {
    /// An auditor of our State.
    Auditor,
    /// A court of our State.
    Court,
    /// A prosecutor of our State.
    Prosecutor,
    /// Another State.
    State(StateCode),
}

impl Recipient {
    /// Whether it would be used in proceedings.
    fn is_judicial(&self) -> bool {
        matches!(self, Self::Court | Self::Prosecutor)
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auditor => "auditor",
            Self::Court => "court",
            Self::Prosecutor => "prosecutor",
            Self::State(state) => state.as_str(),
        })
    }
}

impl FromStr for Recipient {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        Ok(match text {
            "auditor" => Self::Auditor,
            "court" => Self::Court,
            "prosecutor" => Self::Prosecutor,
            _ => Self::State(text.parse().map_err(|_| BadName {
                what: "recipient",
                rule: "auditor, court or prosecutor of our own State, or the code of another State, such as KEN",
            })?),
        })
    }
}

impl TryFrom<String> for Recipient {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}

impl From<Recipient> for String {
    fn from(recipient: Recipient) -> String {
        recipient.to_string()
    }
}

/// A message that may not leave our house, and the condition that forbids it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Withheld {
    /// Which.
    pub message: MessageId,
    /// Why.
    pub restraint: Restraint,
}

impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { message, restraint } = self;
        let (rule, article) = (restraint.rule(), restraint.article());
        write!(f, "message {message} was given under a condition: {restraint} [{rule}; {article}]. ")?;
        write!(f, "What can be done: {}", restraint.remedy())
    }
}

/// The condition that forbids a [`Disclosure`].
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "restraint", rename_all = "snake_case", deny_unknown_fields)]
pub enum Restraint {
    /// It is too early.
    Embargo {
        /// The first day on which it may be used.
        until: Date,
    },
    /// Not in proceedings without a request for mutual legal assistance.
    JudicialUse,
    /// Not to that State, which its giver has not named.
    NotReleased {
        /// The State.
        state: StateCode,
    },
    /// A condition that this node does not know: the strictest is assumed.
    NotUnderstood,
    /// To no other State at all.
    OnwardForbidden,
    /// For another purpose only.
    PurposeBound {
        /// The purpose it was given for.
        given_for: Purpose,
    },
    /// For statistics only.
    StatisticsOnly,
}

impl Restraint {
    /// The rule that it comes under.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::NotReleased { .. } | Self::OnwardForbidden => "R-12.5b",
            _ => "R-12.5a",
        }
    }

    /// The provisions behind that rule.
    pub fn article(&self) -> &'static str {
        match self {
            Self::JudicialUse => "Art. 12(5); UNTOC 18(19)",
            Self::NotReleased { .. } | Self::OnwardForbidden => "Art. 12(5); ITI 15(c)",
            Self::PurposeBound { .. } => "Art. 12(5); ITI 15(b)",
            Self::Embargo { .. } | Self::NotUnderstood | Self::StatisticsOnly => "Art. 12(5); UNTOC 18(5)",
        }
    }

    /// What can be done about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Embargo { .. } => "wait for that day, or ask the State that gave it to lift the embargo",
            Self::JudicialUse => "ask that State by a request for mutual legal assistance",
            Self::NotReleased { .. } | Self::OnwardForbidden => {
                "ask the State that gave it to send it there itself, or to send it anew with that State in release_to"
            }
            Self::NotUnderstood => {
                "ask the State that gave it what the condition means, and to send it anew without"
            }
            Self::PurposeBound { .. } | Self::StatisticsOnly => {
                "export it for that purpose, or ask the State that gave it to send it anew for this one"
            }
        }
    }
}

impl fmt::Display for Restraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |purpose: &Purpose| serde_json::to_value(purpose).unwrap_or_default();
        match self {
            Self::Embargo { until } => write!(f, "not to be used before {until}"),
            Self::JudicialUse => f.write_str("not for prosecution, a prosecutor or a court"),
            Self::NotReleased { state } => write!(f, "not for {state}, which its giver has not named"),
            Self::NotUnderstood => f.write_str("a condition that this node does not know"),
            Self::OnwardForbidden => f.write_str("not for any other State"),
            Self::PurposeBound { given_for } => {
                write!(f, "for {} only", word(given_for).as_str().unwrap_or_default())
            }
            Self::StatisticsOnly => f.write_str("for STATISTICS only"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> Handling {
        Handling::for_licences(LegalBasis::Article10Para2a)
    }

    fn state(code: &str) -> StateCode {
        code.parse().expect("a State")
    }

    /// Whether what Peru gave under `handling` may go to `to`, for `purpose`, on 2026-11-24.
    fn given(handling: &Handling, purpose: Purpose, to: &str) -> Result<(), Restraint> {
        let on = "2026-11-24".parse().expect("a date");
        let to = to.parse().expect("a recipient");
        handling.permits(&state("PER"), &Disclosure { purpose, to, on })
    }

    #[test]
    fn r_12_5a_what_is_bound_to_a_purpose_leaves_for_that_purpose_only() {
        for to in ["auditor", "court", "prosecutor"] {
            assert_eq!(given(&ours(), Purpose::Licensing, to), Ok(()));
            let bound = Restraint::PurposeBound { given_for: Purpose::Licensing };
            assert_eq!(given(&ours(), Purpose::Prosecution, to), Err(bound));
        }
        let free = Handling { restrictions: Vec::new(), ..ours() };
        assert_eq!(given(&free, Purpose::Prosecution, "court"), Ok(()));
        let counted =
            Handling { restrictions: vec![Coded::Known(Restriction::OriginatorStatisticsOnly)], ..ours() };
        assert_eq!(given(&counted, Purpose::Licensing, "auditor"), Err(Restraint::StatisticsOnly));
        assert_eq!(given(&counted, Purpose::Statistics, "auditor"), Ok(()));
    }

    #[test]
    fn r_12_5a_an_embargo_ends_on_its_day() {
        for (day, ends) in [("2026-11-23", true), ("2026-11-24", true), ("2026-11-25", false)] {
            let until = day.parse().expect("a date");
            let embargoed = Handling { embargo_until: Some(until), ..ours() };
            let expected = if ends { Ok(()) } else { Err(Restraint::Embargo { until }) };
            assert_eq!(given(&embargoed, Purpose::Licensing, "court"), expected, "{day}");
        }
    }

    #[test]
    fn r_12_5a_no_judicial_use_without_mutual_legal_assistance() {
        let restrictions = vec![Coded::Known(Restriction::NoJudicialUseWithoutMla)];
        let handling = Handling { restrictions, ..ours() };
        for (purpose, to, allowed) in [
            (Purpose::Prosecution, "auditor", false),
            (Purpose::Investigation, "court", false),
            (Purpose::Investigation, "prosecutor", false),
            (Purpose::Investigation, "auditor", true),
        ] {
            let expected = if allowed { Ok(()) } else { Err(Restraint::JudicialUse) };
            assert_eq!(given(&handling, purpose, to), expected, "{purpose:?} {to}");
        }
    }

    #[test]
    fn r_12_5a_a_condition_we_do_not_know_lets_nothing_out_but_to_its_giver() {
        let newer = |change: fn(&mut serde_json::Value)| -> Handling {
            let mut json = serde_json::to_value(ours()).expect("serialises");
            change(&mut json);
            serde_json::from_value(json).expect("kept")
        };
        for handling in [
            newer(|json| json["restrictions"][0] = "EYES_ONLY_2031".into()),
            newer(|json| json["onward"] = "PERHAPS".into()),
            newer(|json| json["purpose"] = "WEATHER".into()),
            newer(|json| json["shred_after_reading"] = true.into()),
        ] {
            for to in ["auditor", "court", "prosecutor", "CHL"] {
                let refused = given(&handling, Purpose::Licensing, to);
                assert_eq!(refused, Err(Restraint::NotUnderstood), "{to}");
            }
            assert_eq!(given(&handling, Purpose::Licensing, "PER"), Ok(()));
        }
    }

    #[test]
    fn r_12_5b_another_state_must_be_named_by_the_one_that_gave_it() {
        let onward = |onward, to: &[&str]| Handling {
            onward: Coded::Known(onward),
            release_to: to.iter().map(|code| state(code)).collect(),
            ..ours()
        };
        let not_released = || Err(Restraint::NotReleased { state: state("CHL") });
        for (handling, expected) in [
            (onward(Onward::Forbidden, &[]), Err(Restraint::OnwardForbidden)),
            (onward(Onward::Forbidden, &["CHL"]), Err(Restraint::OnwardForbidden)),
            (onward(Onward::ReleaseList, &[]), not_released()),
            (onward(Onward::ReleaseList, &["BRA"]), not_released()),
            (onward(Onward::ReleaseList, &["BRA", "CHL"]), Ok(())),
            (onward(Onward::WithConsent, &[]), not_released()),
            (onward(Onward::WithConsent, &["CHL"]), Ok(())),
        ] {
            assert_eq!(given(&handling, Purpose::Licensing, "CHL"), expected, "{handling:?}");
            // In our own State, and back to where it came from, it may go.
            assert_eq!(given(&handling, Purpose::Licensing, "court"), Ok(()));
            assert_eq!(given(&handling, Purpose::Prosecution, "PER"), Ok(()));
        }
        // A State that is named gets it for the purpose it was given for, and no other.
        let bound = Restraint::PurposeBound { given_for: Purpose::Licensing };
        assert_eq!(
            given(&onward(Onward::ReleaseList, &["CHL"]), Purpose::Tracing, "CHL"),
            Err(bound.clone())
        );
        assert_eq!((bound.rule(), Restraint::OnwardForbidden.rule()), ("R-12.5a", "R-12.5b"));
    }

    #[test]
    fn r_12_5_what_is_withheld_is_told_with_its_condition_rule_article_and_remedy() {
        let until = "2026-11-25".parse().expect("a date");
        for (restraint, condition, rule, remedy) in [
            (
                Restraint::Embargo { until },
                "not to be used before 2026-11-25",
                "R-12.5a; Art. 12(5); UNTOC",
                "wait",
            ),
            (
                Restraint::JudicialUse,
                "not for prosecution, a prosecutor or a court",
                "UNTOC 18(19)",
                "mutual legal",
            ),
            (Restraint::NotReleased { state: state("CHL") }, "not for CHL", "R-12.5b", "release_to"),
            (Restraint::NotUnderstood, "does not know", "R-12.5a", "what the condition means"),
            (
                Restraint::OnwardForbidden,
                "not for any other State",
                "R-12.5b; Art. 12(5); ITI 15(c)",
                "itself",
            ),
            (
                Restraint::PurposeBound { given_for: Purpose::Licensing },
                "for LICENSING only",
                "R-12.5a; Art. 12(5); ITI 15(b)",
                "for that purpose",
            ),
            (Restraint::StatisticsOnly, "for STATISTICS only", "R-12.5a", "for that purpose"),
        ] {
            let message = MessageId(crate::merkle::Hash::of(b"given"));
            let told = Withheld { message, restraint }.to_string();
            for word in [condition, rule, remedy, &message.to_string()] {
                assert!(told.contains(word), "{word}: {told}");
            }
        }
    }

    #[test]
    fn a_recipient_has_one_spelling() {
        for text in ["auditor", "court", "prosecutor", "KEN"] {
            let recipient = text.parse::<Recipient>().expect(text);
            assert_eq!((recipient.to_string(), String::from(recipient)), (text.to_owned(), text.to_owned()));
        }
        for bad in ["", "Court", "ken", "KENYA", "the press"] {
            assert!(bad.parse::<Recipient>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_condition_we_do_not_know_is_kept_and_never_taken_for_understood() {
        let ours = Handling::for_licences(LegalBasis::Article10Para2a);
        assert!(ours.is_understood() && ours.is_bounded());
        let mut json = serde_json::to_value(&ours).expect("serialises");
        json["restrictions"][0] = "EYES_ONLY_2031".into();
        let newer: Handling = serde_json::from_value(json.clone()).expect("kept");
        assert!(!newer.is_understood());
        assert_eq!(serde_json::to_value(&newer).expect("serialises"), json);

        let mut json = serde_json::to_value(&ours).expect("serialises");
        json["shred_after_reading"] = true.into();
        let newer: Handling = serde_json::from_value(json.clone()).expect("kept");
        assert!(!newer.is_understood());
        assert_eq!(serde_json::to_value(&newer).expect("serialises"), json);
    }

    #[test]
    fn what_a_newer_peer_adds_has_a_bound() {
        let mut handling = Handling::for_licences(LegalBasis::Article10Para2a);
        handling.unknown.insert("x".into(), "a".repeat(MAX_UNKNOWN - 100).into());
        assert!(handling.is_bounded());
        handling.unknown.insert("y".into(), "a".repeat(100).into());
        assert!(!handling.is_bounded());
    }
}

//! Conditions on use and disclosure that travel with every message (Art. 12(5); ITI 15; UNTOC 18(5), 18(19)).
//!
//! Whoever provides information sets them; whoever receives it keeps them beside it. What is not understood
//! is treated as the strictest there is and put before an officer.

use std::collections::BTreeMap;
use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::authority::{Line, StateCode};

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
        Self {
            purpose: Coded::Known(Purpose::Licensing),
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
        fn known<T>(value: &Coded<T>) -> bool {
            matches!(value, Coded::Known(_))
        }
        known(&self.purpose)
            && self.legal_basis.iter().all(known)
            && self.restrictions.iter().all(known)
            && known(&self.onward)
            && known(&self.personal_data)
            && self.unknown.is_empty()
    }

    /// Whether the lists are within their bounds.
    pub fn is_bounded(&self) -> bool {
        (1..=8).contains(&self.legal_basis.len())
            && self.restrictions.len() <= 8
            && self.release_to.len() <= 200
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

#[cfg(test)]
mod tests {
    use super::*;

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
}

//! Transit: a State through which a shipment is to pass says, in writing and before it leaves, that it has no
//! objection (Art. 10(2)(b), 10(3)).
//!
//! Silence is never consent: only a decision of the transit State clears, and only while it stands. An objection
//! needs no reason.

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::authority::{Line, Prose, StateCode};
use crate::handling::{Coded, code_list};
use crate::licence::{LicenceKind, Presented};
use crate::message::MessageId;

/// Most import licences, transit States or conditions in one list.
const MAX_LISTED: usize = 16;

code_list! {
    /// How a shipment travels.
    TransportMode {
        Air = "AIR",
        Inland = "INLAND_WATERWAY",
        Post = "POST",
        Rail = "RAIL",
        Road = "ROAD",
        Sea = "SEA",
    }
}

/// A shipment is to pass: do you object (Art. 10(2)(b))? Carries the import licence's information, which the transit
/// State is to have in advance (Art. 10(3)).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct TransitNotification {
    /// The exporting State's file for the export licence.
    pub export_file: Line,
    /// The import licences, whole, 1 to 16.
    pub import_licences: Vec<Presented>,
    /// All States of transit, in the order of the route, 1 to 16.
    pub countries_transit: Vec<StateCode>,
    /// Who exports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exporter: Option<Line>,
    /// Who carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<Line>,
    /// How.
    pub mode: Coded<TransportMode>,
    /// Where the shipment enters the transit State.
    pub entry_point: Line,
    /// Where it leaves.
    pub exit_point: Line,
    /// Whether the goods change their means of transport there.
    pub transhipment: bool,
    /// The first day it may be there.
    #[schema(value_type = String, format = Date)]
    pub window_from: Date,
    /// The last day.
    #[schema(value_type = String, format = Date)]
    pub window_to: Date,
    /// By when an answer is hoped for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    pub respond_by: Option<Date>,
}

impl TransitNotification {
    /// Whether all lists are within their bounds.
    pub fn is_bounded(&self) -> bool {
        self.import_licences.len() <= MAX_LISTED
            && self.countries_transit.len() <= MAX_LISTED
            && self.import_licences.iter().all(Presented::is_bounded)
    }

    /// Art. 10(3): what the notification lacks without which it cannot be sent.
    pub fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        if self.import_licences.is_empty() {
            missing.push(
                "import_licences: the import licence's information is given in advance [Art. 10(3)]".into(),
            );
        }
        for (n, licence) in self.import_licences.iter().enumerate() {
            let mut lacks = |present: bool, field: &str| {
                if !present {
                    missing.push(format!("import_licences.{n}.{field}: missing [Art. 10(3)]"));
                }
            };
            lacks(licence.place_of_issue.is_some(), "place_of_issue");
            lacks(licence.issue_date.is_some(), "issue_date");
            lacks(licence.expiry_date.is_some(), "expiry_date");
            lacks(licence.country_export.is_some(), "country_export");
            lacks(licence.country_import.is_some(), "country_import");
            lacks(licence.final_recipient.is_some(), "final_recipient");
            lacks(!licence.lines.is_empty(), "lines");
            if licence.licence_kind.is_some_and(|kind| kind == LicenceKind::Export) {
                missing.push(format!(
                    "import_licences.{n}.licence_kind: this is an export licence; present the import licence [Art. 10(3)]"
                ));
            }
            if licence.expiry_date.is_some_and(|last| last < self.window_from) {
                missing.push(format!(
                    "import_licences.{n}.expiry_date: it expires before the shipment passes; it must hold on window_from [R-10.3c, Art. 10(3)]"
                ));
            }
        }
        if self.countries_transit.is_empty() {
            missing.push("countries_transit: the States of transit [Art. 10(3)]".into());
        }
        if self.window_to < self.window_from {
            missing.push(
                "window_to: before window_from; give the last day after the first [R-10.3c, Art. 10(3)]"
                    .into(),
            );
        }
        missing
    }
}

code_list! {
    /// What a transit State decides (Art. 10(2)(b)).
    DecisionCode {
        MoreInformation = "MORE_INFORMATION",
        NoObjection = "NO_OBJECTION",
        NoObjectionWithConditions = "NO_OBJECTION_WITH_CONDITIONS",
        NotRequired = "NOT_REQUIRED",
        Objection = "OBJECTION",
    }
}

/// The transit State's decision. A later one stands in the place of an earlier one.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct TransitDecision {
    /// What it is.
    pub decision: Coded<DecisionCode>,
    /// Under which conditions, at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Prose>,
    /// The first day it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    pub valid_from: Option<Date>,
    /// The last day; after it the clearance has lapsed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    pub valid_to: Option<Date>,
    /// Why; never asked of an objection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Prose>,
}

impl TransitDecision {
    /// Whether its list is within its bounds.
    pub fn is_bounded(&self) -> bool {
        self.conditions.len() <= MAX_LISTED
    }

    /// Whether it lets a shipment pass, once conditions are accepted.
    pub fn clears(&self) -> bool {
        matches!(
            self.decision,
            Coded::Known(DecisionCode::NoObjection | DecisionCode::NoObjectionWithConditions)
        )
    }

    /// What its code needs and it lacks.
    pub fn missing(&self) -> Vec<&'static str> {
        let Coded::Known(code) = self.decision else { return Vec::new() };
        let mut missing = Vec::new();
        if self.clears() && (self.valid_from.is_none() || self.valid_to.is_none()) {
            missing.push("valid_from, valid_to: a clearance holds within days");
        }
        if self.valid_from.zip(self.valid_to).is_some_and(|(first, last)| last < first) {
            missing.push(
                "valid_to: before valid_from; give the last day after the first [R-10.2b, Art. 10(2)(b)]",
            );
        }
        if code == DecisionCode::NoObjectionWithConditions && self.conditions.is_empty() {
            missing.push("conditions: which ones?");
        }
        if code != DecisionCode::NoObjectionWithConditions && !self.conditions.is_empty() {
            missing.push("conditions: only NO_OBJECTION_WITH_CONDITIONS has any");
        }
        if matches!(code, DecisionCode::MoreInformation | DecisionCode::NotRequired) && self.reason.is_none()
        {
            missing.push("reason: what more is needed, or on what basis none is required");
        }
        missing
    }

    pub(crate) fn codes_are_known(&self) -> bool {
        self.decision.is_known()
    }
}

impl fmt::Display for TransitDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.decision)?;
        match self.valid_to {
            Some(last) => write!(f, " until {last}"),
            None => Ok(()),
        }
    }
}

/// The transit State takes back a clearance; it counts from its delivery.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct TransitDecisionWithdrawal {
    /// Why, if it is to be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Prose>,
}

/// The exporting State accepts the conditions of a decision, or does not.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ConditionReply {
    /// The decision whose conditions these are.
    #[schema(value_type = String)]
    pub of: MessageId,
    /// Whether they are accepted.
    pub accepted: bool,
    /// What people should know beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Prose>,
}

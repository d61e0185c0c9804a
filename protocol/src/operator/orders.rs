//! What an operator decides, how it is asked for, and what may be wrong with it.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::attachment::{Attachment, Person};
use crate::authority::{Line, NodeId, OfficerId, Prose};
use crate::handling::{Handling, Purpose, Recipient, code_list};
use crate::item::Item;
use crate::licence::{LicenceEvent, Presented};
use crate::merkle::Hash;
use crate::message::{AuthenticityCheck, Body, Kind, LicenceVerificationRequest, MessageId, Outcome};
use crate::trace::{TraceOutcome, TraceRequest};
use crate::transit::TransitNotification;

/// An operator's decision: it enters by the same door as mail, is recorded, and then takes effect.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "order", rename_all = "snake_case", deny_unknown_fields)]
#[expect(clippy::large_enum_variant, reason = "orders are few at a time: those of one round")]
pub enum Order {
    /// Act in an exchange.
    Act {
        /// In which.
        exchange: MessageId,
        /// With whom it is.
        peer: NodeId,
        /// What to do.
        act: Act,
        /// What goes with it.
        #[serde(default, skip_serializing_if = "Enclosed::is_empty")]
        enclosed: Enclosed,
    },
    /// Admit a peer whose fingerprint an officer has compared.
    AdmitPeer {
        /// Who.
        node: NodeId,
        /// Its key sets, version 1 first, one per line.
        key_sets: String,
        /// How the fingerprint was compared: note verbale, telephone, in person.
        channel: Line,
    },
    /// A new register of firearms was put in place.
    ImportFirearms {
        /// SHA-256 of the register.
        digest: crate::merkle::Hash,
        /// How many firearms it has.
        count: u64,
    },
    /// A new list of licences was put in place.
    ImportLicences {
        /// SHA-256 of the list.
        digest: crate::merkle::Hash,
        /// How many licences it has.
        count: u64,
    },
    /// Put our own next key set in force.
    InstallKeySet {
        /// Whose: ours.
        node: NodeId,
        /// The signed key set.
        key_set: String,
    },
    /// Open an exchange.
    Open {
        /// With whom.
        peer: NodeId,
        /// What is asked.
        opening: Opening,
    },
    /// Remove a peer.
    RemovePeer {
        /// Who.
        node: NodeId,
        /// Why.
        reason: Line,
    },
    /// Set what is answered to a peer automatically.
    SetRules {
        /// To whom.
        node: NodeId,
        /// What.
        rules: Rules,
    },
}

impl Order {
    /// What is to go with a message, where it is an order to send one.
    pub fn enclosed_mut(&mut self) -> Option<&mut Enclosed> {
        match self {
            Self::Act { enclosed, .. } => Some(enclosed),
            Self::Open { opening, .. } => Some(&mut opening.enclosed),
            _ => None,
        }
    }

    /// Key sets that it puts in force, one version per line, and whose.
    pub fn key_sets(&self) -> Option<(&NodeId, &str)> {
        match self {
            Self::AdmitPeer { node, key_sets, .. } => Some((node, key_sets)),
            Self::InstallKeySet { node, key_set } => Some((node, key_set)),
            _ => None,
        }
    }
}

impl Order {
    /// The peer it concerns.
    pub fn peer(&self) -> Option<&NodeId> {
        match self {
            Self::Act { peer, .. } | Self::Open { peer, .. } => Some(peer),
            Self::AdmitPeer { node, .. } | Self::RemovePeer { node, .. } | Self::SetRules { node, .. } => {
                Some(node)
            }
            Self::ImportFirearms { .. } | Self::ImportLicences { .. } | Self::InstallKeySet { .. } => None,
        }
    }
}

/// What is asked of another State.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(try_from = "OpeningForm", into = "OpeningForm")]
pub struct Opening {
    /// The question.
    pub question: Question,
    /// Our file number.
    pub case_ref: Option<Line>,
    /// Conditions on use; those usual for the question, if absent.
    pub handling: Option<Handling>,
    /// What goes with it.
    pub enclosed: Enclosed,
}

/// The questions that open an exchange.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "openings are few at a time: those of one round")]
pub enum Question {
    /// Is this document genuine (Art. 10(5))?
    Authenticity {
        /// What stands on it.
        presented: Presented,
    },
    /// Where did this item go (Art. 12(4))?
    Trace {
        /// The request.
        request: TraceRequest,
        /// An officer looked again at what the node warned of, and it stands.
        looked_again: bool,
    },
    /// Do you object to this shipment's passing (Art. 10(2)(b))?
    Transit {
        /// The notification.
        notification: TransitNotification,
    },
    /// Was this import licence issued, and does it stand (Art. 10(2)(a))?
    Verification {
        /// What stands on it.
        presented: Presented,
    },
}

code_list! {
    /// The names of the questions.
    QuestionName {
        /// Is this document genuine (Art. 10(5))? With `presented`.
        Authenticity = "authenticity",
        /// Where did this item go (Art. 12(4))? With `request`.
        Trace = "trace",
        /// Do you object to this shipment's passing (Art. 10(2)(b))? With `notification`.
        Transit = "transit",
        /// Was this import licence issued, and does it stand (Art. 10(2)(a))? With `presented`.
        Verification = "verification",
    }
}

/// An opening as it is written: the question by its name, and what belongs to it. So a slip is found at its place.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Opening)]
pub struct OpeningForm {
    /// The question.
    #[schema(required = true)]
    question: Option<QuestionName>,
    /// What stands on the licence that is asked about: with `verification` and `authenticity`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    presented: Option<Presented>,
    /// The trace request: with `trace`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<TraceRequest>,
    /// An officer looked again at what was doubted in the item: with `trace`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    looked_again: bool,
    /// The notification: with `transit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    notification: Option<TransitNotification>,
    /// Our file number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    case_ref: Option<Line>,
    /// Conditions on use; those usual for the question, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    handling: Option<Handling>,
    /// What goes with it.
    #[serde(default, skip_serializing_if = "Enclosed::is_empty")]
    enclosed: Enclosed,
}

impl TryFrom<OpeningForm> for Opening {
    type Error = &'static str;

    fn try_from(form: OpeningForm) -> Result<Self, Self::Error> {
        let OpeningForm {
            question,
            presented,
            request,
            looked_again,
            notification,
            case_ref,
            handling,
            enclosed,
        } = form;
        let question = match (question, presented, request, notification) {
            (Some(QuestionName::Authenticity), Some(presented), None, None) => {
                Question::Authenticity { presented }
            }
            (Some(QuestionName::Trace), None, Some(request), None) => {
                Question::Trace { request, looked_again }
            }
            (Some(QuestionName::Transit), None, None, Some(notification)) => {
                Question::Transit { notification }
            }
            (Some(QuestionName::Verification), Some(presented), None, None) => {
                Question::Verification { presented }
            }
            (None, ..) => return Err("missing field `question`"),
            (Some(QuestionName::Authenticity | QuestionName::Verification), ..) => {
                return Err("this question goes with `presented`, and with nothing else");
            }
            (Some(QuestionName::Trace), ..) => {
                return Err("the question `trace` goes with `request`, and with nothing else");
            }
            (Some(QuestionName::Transit), ..) => {
                return Err("the question `transit` goes with `notification`, and with nothing else");
            }
        };
        Ok(Self { question, case_ref, handling, enclosed })
    }
}

impl From<Opening> for OpeningForm {
    fn from(opening: Opening) -> Self {
        let Opening { question, case_ref, handling, enclosed } = opening;
        let form = Self { case_ref, handling, enclosed, ..Self::default() };
        match question {
            Question::Authenticity { presented } => {
                Self { question: Some(QuestionName::Authenticity), presented: Some(presented), ..form }
            }
            Question::Trace { request, looked_again } => {
                Self { question: Some(QuestionName::Trace), request: Some(request), looked_again, ..form }
            }
            Question::Transit { notification } => {
                Self { question: Some(QuestionName::Transit), notification: Some(notification), ..form }
            }
            Question::Verification { presented } => {
                Self { question: Some(QuestionName::Verification), presented: Some(presented), ..form }
            }
        }
    }
}

impl Question {
    /// The kind of the message that asks it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Authenticity { .. } => Kind::AuthenticityCheck,
            Self::Trace { .. } => Kind::TraceRequest,
            Self::Transit { .. } => Kind::TransitNotification,
            Self::Verification { .. } => Kind::LicenceVerificationRequest,
        }
    }

    /// The body of the message that asks it.
    pub fn body(&self) -> Body {
        match self.clone() {
            Self::Authenticity { presented } => Body::AuthenticityCheck(AuthenticityCheck { presented }),
            Self::Trace { request, .. } => Body::TraceRequest(request),
            Self::Transit { notification } => Body::TransitNotification(notification),
            Self::Verification { presented } => {
                Body::LicenceVerificationRequest(LicenceVerificationRequest { presented })
            }
        }
    }
}

/// What goes with a message: attachments that the node holds, and persons, each a part of its own.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Enclosed {
    /// Photographs and documents, put into the node before; at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// Persons, as far as it is necessary to name any; at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub persons: Vec<Person>,
    /// What the node made of the persons before it recorded anything: the digests of their parts. Not for others to
    /// give.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(ignore)]
    pub parts: Vec<Hash>,
}

impl Enclosed {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.attachments.is_empty() && self.persons.is_empty() && self.parts.is_empty()
    }
}

/// What can be done in an exchange.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum Act {
    /// Take charge of a request.
    Acknowledge {
        /// The unit that handles it.
        unit: Line,
        /// When an answer can be expected.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<String>, format = Date)]
        expected: Option<Date>,
        /// What the other State should know.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<Prose>,
    },
    /// Answer a request; in a transit exchange, decide, or decide anew.
    Answer {
        /// The answer.
        outcome: Outcome,
        /// What the other State should know; traces and decisions have their own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<Prose>,
    },
    /// Ask what an answer or a refusal means (ITI 23).
    AskClarification {
        /// What is not clear.
        question: Prose,
    },
    /// Ask for more before answering (ITI 21).
    AskInformation {
        /// What we need to know, 1 to 16 questions.
        questions: Vec<Prose>,
    },
    /// Say what an answer or a refusal means.
    Clarify {
        /// What it means.
        answer: Prose,
    },
    /// Tell the other State what we concluded from its answers, and close.
    Conclude {
        /// What we concluded.
        outcome: TraceOutcome,
    },
    /// Replace an answer that was wrong.
    Correct {
        /// What stands now.
        outcome: Outcome,
        /// Why.
        reason: Prose,
    },
    /// Tell of a later change of the licence.
    Notify {
        /// What became of it.
        event: LicenceEvent,
        /// Since when.
        #[schema(value_type = String, format = Date)]
        effective: Date,
        /// What the other State should know.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<Prose>,
    },
    /// Accept the conditions of a transit decision, or do not.
    ReplyToConditions {
        /// Whether they are accepted.
        accepted: bool,
        /// What the other State should know.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<Prose>,
    },
    /// Take back the clearance of a transit.
    Rescind {
        /// Why, if it is to be told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Prose>,
    },
    /// Tell what the other State asked for.
    SupplyInformation {
        /// The answers, 1 to 16.
        answers: Vec<Prose>,
        /// The item, if it is known better now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<Item>,
    },
    /// Need no answer any more, or no news.
    Withdraw {
        /// Why.
        reason: Prose,
    },
}

impl Act {
    /// Its name, as it is written in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Acknowledge { .. } => "acknowledge",
            Self::Answer { .. } => "answer",
            Self::AskClarification { .. } => "ask_clarification",
            Self::AskInformation { .. } => "ask_information",
            Self::Clarify { .. } => "clarify",
            Self::Conclude { .. } => "conclude",
            Self::Correct { .. } => "correct",
            Self::Notify { .. } => "notify",
            Self::ReplyToConditions { .. } => "reply_to_conditions",
            Self::Rescind { .. } => "rescind",
            Self::SupplyInformation { .. } => "supply_information",
            Self::Withdraw { .. } => "withdraw",
        }
    }
}

/// What is answered to one peer from our licence list without an officer.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Answer licence verifications.
    #[serde(default)]
    pub verifications: bool,
    /// Answer authenticity checks.
    #[serde(default)]
    pub authenticity: bool,
    /// Answer trace requests from our register of firearms, where serial number, make, calibre and country all agree.
    #[serde(default)]
    pub traces: bool,
    /// Most automatic answers about one licence to this peer; beyond it an officer decides (R-10.5). 1 to 1,000.
    #[serde(default = "default_attempts")]
    pub attempts_per_licence: u32,
}

fn default_attempts() -> u32 {
    20
}

impl Default for Rules {
    /// Nothing is answered without an officer.
    fn default() -> Self {
        Self {
            verifications: false,
            authenticity: false,
            traces: false,
            attempts_per_licence: default_attempts(),
        }
    }
}

/// A body that is an order with who gives it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenRequest {
    /// With whom: a node id, or the code of a State with one admitted node.
    pub peer: String,
    /// What is asked.
    #[schema(value_type = OpeningForm)]
    pub opening: Opening,
    /// Who prepares it; the holder of the token, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub officer: Option<OfficerId>,
}

/// An act and who does it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ActRequest {
    /// What to do.
    #[serde(flatten)]
    pub act: Act,
    /// What goes with it.
    #[serde(default, skip_serializing_if = "Enclosed::is_empty")]
    pub enclosed: Enclosed,
    /// Who does it; the holder of the token, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub officer: Option<OfficerId>,
}

/// Admit a peer.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdmitRequest {
    /// The peer's key set file: one signed version per line, version 1 first.
    pub key_sets: String,
    /// The fingerprint as the other authority read it out: 64 hexadecimal digits, spaces allowed.
    pub fingerprint: String,
    /// How it was compared: note verbale, telephone, in person.
    pub channel: Line,
    /// Who compared it; the holder of the token, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub officer: Option<OfficerId>,
}

/// Give out the evidence of an exchange.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EvidenceRequest {
    /// What it is for: held against the conditions of the other State's messages (Art. 12(5)).
    pub purpose: Purpose,
    /// Who gets it: `auditor`, `court` or `prosecutor` of our own State, or the code of another State.
    #[serde(rename = "for")]
    #[schema(value_type = String)]
    pub recipient: Recipient,
    /// Who gives it; the holder of the token, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub officer: Option<OfficerId>,
    /// Whether the parts that name persons are left out: every proof holds without them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub without_persons: bool,
}

/// Remove a peer.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveRequest {
    /// Why.
    pub reason: Line,
}

/// Put our own next key set in force.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InstallRequest {
    /// The signed key set: one line of a key set file.
    pub key_set: String,
}

/// What an operator did wrong, and what to do about it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Mistake {
    /// The act is not open now.
    #[error("{0}")]
    Forbidden(String),
    /// The idempotency key was used for another request.
    #[error("this idempotency key was used for another request: use a new key for a new request")]
    KeyReused,
    /// Something in the request is not as it must be.
    #[error("{0}")]
    Malformed(String),
    /// The node cannot sign now.
    #[error("{0}")]
    NotReady(String),
    /// There is no such thing.
    #[error("{0}")]
    Unknown(String),
    /// A condition of the State that gave it forbids that it is given out.
    #[error("{0}")]
    Withheld(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_act_and_its_officer_are_one_flat_object() {
        let json =
            r#"{"act":"answer","outcome":{"answer":"VALID","valid_until":"2027-02-28"},"officer":"okello"}"#;
        let request: ActRequest = serde_json::from_str(json).expect("well formed");
        assert!(matches!(request.act, Act::Answer { .. }));
        assert_eq!(serde_json::to_string(&request).expect("serialises"), json);
    }
}

//! What an operator or a national system may ask of its own node: the types of the HTTP API (`/v1`).
//!
//! Orders change something and become entries of the log; views are what the node shows. Node and command
//! share these types, so the two cannot drift apart.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::attachment::{Attachment, Person};
use crate::authority::{By, Function, Line, NodeId, OfficerId, Prose, StateCode, Timestamp};
use crate::case::Progress;
use crate::deadline::Due;
use crate::handling::{Handling, Purpose, Recipient, code_list};
use crate::item::Item;
use crate::key_set::Contact;
use crate::licence::{LicenceEvent, Presented};
use crate::merkle::Hash;
use crate::message::{
    AuthenticityCheck, Body, CaseRefs, Kind, LicenceVerificationRequest, MessageId, Outcome,
};
use crate::numbers::Gap;
use crate::trace::{Diversion, MatchLevel, NextHop, TraceOutcome, TraceRequest, TraceResponse};
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

/// The node and the State it speaks for.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct NodeView {
    /// Node id.
    pub node: NodeId,
    /// The State.
    pub state: StateCode,
    /// The authority's name.
    pub authority: Line,
    /// What it may do.
    pub functions: Vec<Function>,
    /// Root fingerprint, in groups of four.
    pub fingerprint: String,
    /// Version of the key set in force.
    pub key_set_version: u64,
    /// When that expires.
    pub key_set_expires: Timestamp,
    /// Our key set file, to be handed to peers.
    pub key_sets: String,
    /// Addresses the node listens on.
    pub listening: Vec<String>,
    /// Entries in the log.
    pub log_size: u64,
    /// Firearms in the register, if one is loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firearms: Option<u64>,
    /// Licences in the list, if one is loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licences: Option<u64>,
    /// Bytes that may still be written to the disk with the log, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_free: Option<u64>,
    /// Version of the program.
    pub version: String,
}

/// How it stands with a peer.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct PeerView {
    /// Node id.
    pub node: NodeId,
    /// The State.
    pub state: StateCode,
    /// The authority's name.
    pub authority: Line,
    /// What it may do.
    pub functions: Vec<Function>,
    /// How people reach it.
    pub contact: Contact,
    /// Root fingerprint, in groups of four.
    pub fingerprint: String,
    /// Version of its newest key set.
    pub key_set_version: u64,
    /// When that expires.
    pub key_set_expires: Timestamp,
    /// Whether it may deliver messages, and why not.
    pub standing: PeerStanding,
    /// When it was admitted.
    pub admitted: Timestamp,
    /// How its fingerprint was compared.
    pub channel: Line,
    /// What it is answered automatically.
    pub rules: Rules,
    /// Whether a connection is open now.
    pub connected: bool,
    /// Messages of ours without its receipt.
    pub undelivered: u64,
    /// Exchanges with it that are open.
    pub open_exchanges: u64,
    /// Numbers of its messages that have not come, though later ones have. They may be on their way; if they stay
    /// missing, ask that authority for what it has left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Gap>,
    /// Size of its log when we last cosigned it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_seen: Option<u64>,
    /// Size of our log when it last cosigned it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_cosigned: Option<u64>,
    /// Why the last attempt to deliver failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// Whether a peer may deliver messages.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PeerStanding {
    /// Admitted, and its key set is in force.
    Active,
    /// Its key set has expired: it may deliver newer key sets only.
    Expired,
    /// It showed two histories: its mail is kept, and clears nothing.
    Forked,
}

/// Which side of an exchange we are.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The State that was asked.
    Requested,
    /// The State that asked.
    Requesting,
}

impl Side {
    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::Requested => Self::Requesting,
            Self::Requesting => Self::Requested,
        }
    }
}

code_list! {
    /// How far an exchange has come.
    State {
        /// The requested authority has taken charge.
        Acknowledged = "acknowledged",
        /// Answered; news, corrections and clarifications may follow.
        Answered = "answered",
        /// The transit State objects, or our side refused its conditions.
        Blocked = "blocked",
        /// The requesting State asked what the answer means.
        Clarifying = "clarifying",
        /// The transit State has no objection, for the days it said.
        Cleared = "cleared",
        /// Over: no news are wanted any more, or the trace is concluded.
        Closed = "closed",
        /// The transit State has conditions that are not accepted yet.
        ConditionsOpen = "conditions_open",
        /// The answer is put off to a day, on a ground that was given.
        Delayed = "delayed",
        /// The other node holds the request, proven.
        Delivered = "delivered",
        /// The requested State needs to know more; its time pauses.
        InformationRequested = "information_requested",
        /// The answer can only be given to a request for mutual legal assistance.
        MlaRequired = "mla_required",
        /// The transit State says that no clearance of its is required.
        NotRequired = "not_required",
        /// A first answer is there, and more is to come.
        PartlyAnswered = "partly_answered",
        /// Another authority is to be asked.
        Redirected = "redirected",
        /// The requested State refuses, on a ground that was given.
        Refused = "refused",
        /// The request is sealed and recorded.
        Requested = "requested",
        /// The transit State took its clearance back.
        Rescinded = "rescinded",
        /// Answered in part, the rest withheld on a ground that was given.
        Restricted = "restricted",
        /// The other node refused the request for good: it is not in its books.
        TurnedAway = "turned_away",
        /// Withdrawn by the State that asked.
        Withdrawn = "withdrawn",
    }
}

impl State {
    /// Whether the requested State still owes the answer, or its next word.
    pub fn is_open(self) -> bool {
        matches!(
            self,
            Self::Acknowledged
                | Self::Clarifying
                | Self::Delayed
                | Self::Delivered
                | Self::InformationRequested
                | Self::PartlyAnswered
                | Self::Requested
        )
    }

    /// Whether our officer has the next word, if we are on `side`.
    pub fn waits_for(self, side: Side) -> bool {
        match self {
            Self::InformationRequested | Self::ConditionsOpen => side == Side::Requesting,
            state => side == Side::Requested && state.is_open(),
        }
    }
}

/// An exchange in a list.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ExchangeSummary {
    /// Its id: that of the message that opened it.
    #[schema(value_type = String)]
    pub id: MessageId,
    /// What is asked.
    pub kind: Kind,
    /// With whom.
    pub peer: NodeId,
    /// Which side we are.
    pub side: Side,
    /// How far it has come.
    pub state: State,
    /// What it is about, in a few words: the number of a licence, an item, an export file.
    pub subject: String,
    /// Our file number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case_ref: Option<String>,
    /// What it came to, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Whether an officer of ours must act.
    pub for_officer: bool,
    /// What the requested State owes next, by when. Agreed policy, not treaty law.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Due>,
    /// Whether that time has passed. It changes nothing else: silence is never consent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_reply: bool,
    /// The last day of a transit clearance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    pub valid_to: Option<Date>,
    /// When it was opened, by our log.
    pub opened: Timestamp,
    /// When something last happened.
    pub updated: Timestamp,
    /// Place in our log where it was opened; lists are ordered by it, newest first.
    pub leaf: u64,
}

/// One page of a list.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ExchangePage {
    /// Newest first.
    pub exchanges: Vec<ExchangeSummary>,
    /// Where the next page starts; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// An exchange with everything that happened in it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ExchangeView {
    /// What the list says of it.
    #[serde(flatten)]
    pub summary: ExchangeSummary,
    /// What it came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Outcome>,
    /// The newest change of the licence we were told of, or told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<crate::licence::LicenceNotice>,
    /// Why an officer must act and no rule did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_officer: Option<String>,
    /// What our register would answer, if we are asked and an officer must act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<Outcome>,
    /// What our register of firearms has that may be the item asked about, best first, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<CandidateView>,
    /// What our officers can do now.
    pub acts: Vec<String>,
    /// What happened, in the order both sides compute.
    pub timeline: Vec<TimelineItem>,
}

/// An entry of our register of firearms that may be the item asked about.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct CandidateView {
    /// Its number in our register.
    pub record: Line,
    /// The item as it is on record, in a few words.
    pub item: String,
    /// How well it agrees.
    pub level: MatchLevel,
    /// Why it may be the same, mark by mark.
    pub why: Vec<String>,
    /// What we would answer if it is.
    pub response: TraceResponse,
}

/// An attachment of a message, and whether it is here.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct AttachmentView {
    /// What it is.
    #[serde(flatten)]
    pub attachment: Attachment,
    /// Whether its content is here; until then it is pending.
    pub here: bool,
    /// Why it has not come yet, if something went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// One message of an exchange.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct TimelineItem {
    /// Its id.
    #[schema(value_type = String)]
    pub id: MessageId,
    /// Which side said it.
    pub from: Side,
    /// Its kind.
    pub kind: Kind,
    /// What it says.
    #[schema(value_type = Object)]
    pub body: serde_json::Value,
    /// The conditions on it.
    pub handling: Handling,
    /// Who decided it, or which rule.
    pub by: By,
    /// Case references.
    pub case: CaseRefs,
    /// When it was sealed, by its sender's clock.
    pub sealed: Timestamp,
    /// When it came into our log.
    pub recorded: Timestamp,
    /// Its place in our log.
    pub leaf: u64,
    /// What the other node's log says of a message of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<ReceiptView>,
    /// Its place in the sender's log, for a message of theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender_leaf: Option<u64>,
    /// Whether it took effect: a late or crossing message is kept and shown, and changes nothing.
    pub effective: bool,
    /// Whether its key is revoked from before it was sealed: it does not count, whenever it came.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub revoked: bool,
    /// Photographs and documents that belong to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<AttachmentView>,
    /// Persons it names, as far as their parts are here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub persons: Vec<Person>,
    /// How many persons it names whose parts are not here: withheld, or erased.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub persons_absent: u64,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// The other node's proof for a message of ours.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ReceiptView {
    /// Code of the fault, if the message was refused for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<u16>,
    /// What that code means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meaning: Option<String>,
    /// When, by the other node's clock.
    pub at: Timestamp,
    /// Its place in the other node's log.
    pub leaf: u64,
    /// When the proof came into our log.
    pub recorded: Timestamp,
}

/// What an import of the licence list did.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ImportView {
    /// Licences in the list now.
    pub licences: u64,
    /// States told of a change of a licence they had asked about.
    pub notices: u64,
}

/// What an import of the register of firearms did.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct FirearmsView {
    /// Firearms in the register now.
    pub firearms: u64,
}

/// A trace case: the chain of hops, and what it has come to.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct CaseView {
    /// Its name.
    pub trace_case: Line,
    /// The item, in a few words.
    pub item: String,
    /// How far it has come.
    pub progress: Progress,
    /// In words.
    pub why: String,
    /// Where the item left the licit circuit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diversion: Option<Diversion>,
    /// Whom to ask next: proposed here, asked by an officer only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<NextHop>,
    /// Days from the last legal record to the recovery, if both are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_to_recovery_days: Option<i64>,
    /// The hops, in their order.
    pub hops: Vec<HopView>,
}

/// One hop of a trace case.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct HopView {
    /// Its number, from 1.
    pub hop: u32,
    /// The State that was asked.
    pub asked: StateCode,
    /// The exchange, as in the list.
    pub exchange: ExchangeSummary,
}

/// The head of our log, signed.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct CheckpointView {
    /// The checkpoint as a signed note (C2SP tlog-checkpoint).
    pub checkpoint: String,
    /// The key it verifies under (C2SP signed-note verifier key).
    pub verifier_key: String,
}

/// An inclusion proof.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct InclusionView {
    /// The entry, byte for byte.
    pub entry: String,
    /// The proof with its checkpoint (C2SP tlog-proof).
    pub proof: String,
}

/// A consistency proof between two sizes of our log.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ConsistencyView {
    /// The smaller size.
    pub from: u64,
    /// The larger size.
    pub to: u64,
    /// The hashes (RFC 6962, section 2.1.2), base64url.
    #[schema(value_type = Vec<String>)]
    pub proof: Vec<crate::merkle::Hash>,
}

/// Whether the node can sign now.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ReadyView {
    /// Whether it can.
    pub ready: bool,
    /// Why not, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What a test of the way to a peer found.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct PeerTestView {
    /// The peer, as it was named.
    pub peer: String,
    /// Whether no step failed.
    pub passed: bool,
    /// The steps, in order. Of those about an address there is one for each.
    pub steps: Vec<StepView>,
}

/// One step of a test.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct StepView {
    /// Which.
    pub step: Step,
    /// The address it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// What it came to.
    pub result: StepResult,
    /// What was found.
    pub found: String,
    /// How long it took, in milliseconds.
    pub millis: u64,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// The steps of a test.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// We have admitted it.
    Admitted,
    /// The name in the address is known.
    Resolve,
    /// Something listens there.
    Connect,
    /// It speaks our TLS.
    Handshake,
    /// It is the node whose key set we hold.
    Identity,
    /// It takes mail from us, and speaks our protocol.
    Protocol,
    /// It answers mail with its cosignature.
    RoundTrip,
    /// Its clock agrees with ours.
    Clocks,
    /// Its key set is in force, and for how long.
    KeySet,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepResult {
    /// It failed, and something is to be done.
    Failed,
    /// All is well.
    Passed,
    /// It was not come to, or does not apply.
    Skipped,
    /// It works, and something is to be looked at.
    Warned,
}

/// Something that changed: what, never what was said. More than one change of the same thing may be told as one, and
/// what is told is how things stand when it is told.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventView {
    /// An exchange.
    Exchange {
        /// The entry of our log that changed it.
        leaf: u64,
        /// Which.
        #[schema(value_type = String)]
        exchange: MessageId,
        /// What is asked in it.
        kind: Kind,
        /// With whom it is.
        peer: NodeId,
        /// Which side we are.
        side: Side,
        /// How far it has come.
        state: State,
        /// Whether an officer of ours must act.
        for_officer: bool,
    },
    /// The last one: whoever follows connects again with the last place that it saw, and misses nothing.
    End {
        /// Why.
        why: String,
    },
    /// Changes were missed: list exchanges and peers anew.
    Lost {
        /// Why.
        why: String,
    },
    /// How it stands with a peer.
    Peer {
        /// The entry of our log that changed it, if one did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        leaf: Option<u64>,
        /// Which.
        peer: NodeId,
        /// Whether a connection is open.
        connected: bool,
        /// Whether it may deliver messages; absent once it is removed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        standing: Option<PeerStanding>,
    },
    /// Whether the node can sign.
    Ready {
        /// Whether it can.
        ready: bool,
        /// Why not, and what to do.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
}

impl EventView {
    /// Its name, as it stands in the member `event`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Exchange { .. } => "exchange",
            Self::End { .. } => "end",
            Self::Lost { .. } => "lost",
            Self::Peer { .. } => "peer",
            Self::Ready { .. } => "ready",
        }
    }

    /// The entry of our log that changed it.
    pub fn leaf(&self) -> Option<u64> {
        match self {
            Self::Exchange { leaf, .. } => Some(*leaf),
            Self::Peer { leaf, .. } => *leaf,
            Self::End { .. } | Self::Lost { .. } | Self::Ready { .. } => None,
        }
    }
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

/// A problem, as RFC 9457 has it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Problem {
    /// `about:blank`: the status says what sort it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What is wrong, where, and what to do.
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exchange_waits_for_the_officer_who_has_the_next_word_and_for_no_other() {
        for state in State::ALL {
            let asker = matches!(state, State::ConditionsOpen | State::InformationRequested);
            let answerer = state.is_open() && !asker;
            let waits = [Side::Requesting, Side::Requested].map(|side| state.waits_for(side));
            assert_eq!(waits, [asker, answerer], "{state}");
        }
    }

    #[test]
    fn an_act_and_its_officer_are_one_flat_object() {
        let json =
            r#"{"act":"answer","outcome":{"answer":"VALID","valid_until":"2027-02-28"},"officer":"okello"}"#;
        let request: ActRequest = serde_json::from_str(json).expect("well formed");
        assert!(matches!(request.act, Act::Answer { .. }));
        assert_eq!(serde_json::to_string(&request).expect("serialises"), json);
    }
}

//! What an operator or a national system may ask of its own node: the types of the HTTP API (`/v1`).
//!
//! Orders change something and become entries of the log; views are what the node shows. Node and command
//! share these types, so the two cannot drift apart.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::authority::{By, Function, Line, NodeId, OfficerId, Prose, StateCode, Timestamp};
use crate::handling::Handling;
use crate::key_set::Contact;
use crate::licence::{LicenceEvent, Presented};
use crate::message::{CaseRefs, Kind, MessageId, Outcome};

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
    /// The peer it concerns.
    pub fn peer(&self) -> Option<&NodeId> {
        match self {
            Self::Act { peer, .. } | Self::Open { peer, .. } => Some(peer),
            Self::AdmitPeer { node, .. } | Self::RemovePeer { node, .. } | Self::SetRules { node, .. } => {
                Some(node)
            }
            Self::ImportLicences { .. } | Self::InstallKeySet { .. } => None,
        }
    }
}

/// What is asked of another State.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    /// The question.
    pub question: Question,
    /// What stands on the licence.
    pub presented: Presented,
    /// Our file number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case_ref: Option<Line>,
    /// Conditions on use; those for licences, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handling: Option<Handling>,
}

/// The questions about a licence.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// Is this document genuine (Art. 10(5))?
    Authenticity,
    /// Was this import licence issued, and does it stand (Art. 10(2)(a))?
    Verification,
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
    /// Answer a request.
    Answer {
        /// The answer.
        outcome: Outcome,
        /// What the other State should know.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<Prose>,
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
    /// Need no answer any more, or no news.
    Withdraw {
        /// Why.
        reason: Prose,
    },
}

/// What is answered to one peer from our licence list without an officer.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Answer licence verifications.
    #[serde(default)]
    pub verifications: bool,
    /// Answer authenticity checks.
    #[serde(default)]
    pub authenticity: bool,
    /// Most automatic answers about one licence to this peer; beyond it an officer decides (R-10.5). 1 to 1,000.
    #[serde(default = "default_attempts")]
    pub attempts_per_licence: u32,
}

fn default_attempts() -> u32 {
    20
}

/// A body that is an order with who gives it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenRequest {
    /// With whom: a node id, or the code of a State with one admitted node.
    pub peer: String,
    /// What is asked.
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
    /// Licences in the list, if one is loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licences: Option<u64>,
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

/// How far an exchange has come.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The requested authority has taken charge.
    Acknowledged,
    /// Answered; news of the licence follow.
    Answered,
    /// Answered, and no news are wanted any more.
    Closed,
    /// The other node holds the request, proven.
    Delivered,
    /// The other node refused the request for good.
    Refused,
    /// The request is sealed and recorded.
    Requested,
    /// Withdrawn before it was answered.
    Withdrawn,
}

impl State {
    /// Whether the exchange still waits for something.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Acknowledged | Self::Delivered | Self::Requested)
    }

    /// The word people read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Acknowledged => "acknowledged",
            Self::Answered => "answered",
            Self::Closed => "closed",
            Self::Delivered => "delivered",
            Self::Refused => "refused",
            Self::Requested => "requested",
            Self::Withdrawn => "withdrawn",
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
    /// The licence it is about.
    pub licence_no: String,
    /// Our file number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case_ref: Option<String>,
    /// What it came to, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Whether an officer of ours must act.
    pub for_officer: bool,
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
    /// What stands on the licence that is asked about.
    pub presented: Presented,
    /// What it came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Outcome>,
    /// The newest change of the licence we were told of, or told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<crate::licence::LicenceNotice>,
    /// Why an officer must act and no rule did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_officer: Option<String>,
    /// What our licence list would answer, if we are asked and an officer must act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<Outcome>,
    /// What our officers can do now.
    pub acts: Vec<String>,
    /// What happened, in the order both sides compute.
    pub timeline: Vec<TimelineItem>,
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
    fn an_act_and_its_officer_are_one_flat_object() {
        let json =
            r#"{"act":"answer","outcome":{"answer":"VALID","valid_until":"2027-02-28"},"officer":"okello"}"#;
        let request: ActRequest = serde_json::from_str(json).expect("well formed");
        assert!(matches!(request.act, Act::Answer { .. }));
        assert_eq!(serde_json::to_string(&request).expect("serialises"), json);
    }
}

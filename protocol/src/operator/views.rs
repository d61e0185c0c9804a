//! What the node shows.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::orders::Rules;
use super::states::{PeerStanding, Side, State};
use crate::attachment::{Attachment, Person};
use crate::authority::{By, Function, Line, NodeId, StateCode, Timestamp};
use crate::case::Progress;
use crate::deadline::Due;
use crate::handling::Handling;
use crate::key_set::Contact;
use crate::message::{CaseRefs, Kind, MessageId, Outcome};
use crate::numbers::Gap;
use crate::trace::{Diversion, MatchLevel, NextHop, TraceResponse};

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
    /// Where it listens, as that key set lists it; none of a node that only connects to others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
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

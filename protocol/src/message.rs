//! The message around what is said: from whom, to whom, in which exchange, under which conditions.

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::attachment::{self, Attachment};
use crate::authority::{By, Function, Line, NodeId, Prose, StateCode, Timestamp};
use crate::fault::Fault;
use crate::handling::Handling;
use crate::item::Item;
use crate::json;
use crate::licence::{Answer, Authenticity, LicenceNotice, LicenceStatus, Presented};
use crate::merkle::Hash;
use crate::trace::{TraceOutcome, TraceRequest, TraceResponse, Urgency};
use crate::transit::{ConditionReply, TransitDecision, TransitDecisionWithdrawal, TransitNotification};

/// The id of a message: SHA-256 of its signing input. Two signatures over one statement are one message.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct MessageId(pub Hash);

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for MessageId {
    type Err = <Hash as std::str::FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// The payload of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Node id of the sender.
    pub iss: NodeId,
    /// Node id of the one addressee.
    pub aud: NodeId,
    /// When it was sealed.
    pub iat: Timestamp,
    /// After when a first delivery is refused: at most 30 days after `iat`.
    pub accept_until: Timestamp,
    /// 16 random bytes, base64url: makes the id unguessable.
    pub jti: String,
    /// Number of the sender's log.
    pub log: u32,
    /// Counter per addressee and log, from 1.
    pub seq: u64,
    /// The message that opened the exchange; absent in the opener.
    pub thr: Option<MessageId>,
    /// The message answered.
    pub irt: Option<MessageId>,
    /// The sender's previous message in this exchange.
    pub prev: Option<MessageId>,
    /// The last message of the addressee's in this exchange that the sender held.
    pub saw: Option<MessageId>,
    /// What is said.
    pub body: Body,
    /// Whether body or handling say something that we do not know, or say it in a way that we would not: kept in
    /// the sealed bytes, shown, not understood.
    pub beyond_us: bool,
    /// Under which conditions.
    pub handling: Handling,
    /// Who prepared and approved it, or which rule answered.
    pub by: By,
    /// Language of its free text (BCP 47).
    pub lang: String,
    /// Case references of both sides.
    pub case: CaseRefs,
    /// Photographs and documents that belong to it, by digest; they are fetched after it.
    pub attachments: Vec<Attachment>,
    /// Digests of the parts that travel beside it: persons, each erasable by itself.
    pub parts: Vec<Hash>,
}

/// Longest time between sealing and `accept_until`: 30 days, in seconds.
pub const MAX_ACCEPT: u64 = 30 * 24 * 3600;

/// The case references of both sides, always shown together.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseRefs {
    /// The sender's file number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<Line>,
    /// The addressee's file number, as far as the sender knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiver: Option<Line>,
}

impl CaseRefs {
    fn is_empty(&self) -> bool {
        self.sender.is_none() && self.receiver.is_none()
    }
}

/// Define the kinds of message: for each its name on the wire and the type of its body, which has the same name.
macro_rules! kinds {
    ($($name:ident => $word:literal,)*) => {
        /// What one message says, by kind.
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs, reason = "each holds the body of that name")]
        pub enum Body {
            $($name($name),)*
        }

        /// The kind of a message.
        #[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, ToSchema)]
        #[allow(missing_docs, reason = "each is the kind of the body of that name")]
        pub enum Kind {
            $(#[serde(rename = $word)] $name,)*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The kind's name, as it stands in `kind` and in `cty`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }

        impl Body {
            /// The kind of this body.
            pub fn kind(&self) -> Kind {
                match self {
                    $(Self::$name(_) => Kind::$name,)*
                }
            }

            /// Read a body of the kind named `kind`.
            pub fn read<'de>(kind: &str, body: impl Deserializer<'de>) -> Result<Self, Fault> {
                match kind {
                    $($word => $name::deserialize(body).map(Self::$name).map_err(|_| Fault::BodyMalformed),)*
                    _ => Err(Fault::KindUnknown),
                }
            }

            /// The body as JSON.
            pub fn to_json(&self) -> serde_json::Value {
                serde_json::to_value(self).expect("bodies have string keys")
            }
        }

        impl Serialize for Body {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $(Self::$name(body) => body.serialize(serializer),)*
                }
            }
        }
    };
}

kinds! {
    Acknowledgement => "acknowledgement",
    AuthenticityCheck => "authenticity-check",
    AuthenticityResult => "authenticity-result",
    Clarification => "clarification",
    ClarificationRequest => "clarification-request",
    ConditionReply => "condition-reply",
    Correction => "correction",
    InformationRequest => "information-request",
    InformationSupply => "information-supply",
    LicenceNotice => "licence-notice",
    LicenceVerificationRequest => "licence-verification-request",
    LicenceVerificationResponse => "licence-verification-response",
    Reminder => "reminder",
    TraceOutcome => "trace-outcome",
    TraceRequest => "trace-request",
    TraceResponse => "trace-response",
    TransitDecision => "transit-decision",
    TransitDecisionWithdrawal => "transit-decision-withdrawal",
    TransitNotification => "transit-notification",
    Withdrawal => "withdrawal",
}

/// What an exchange is about, as its opener says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Subject<'a> {
    /// A licence, as it was presented.
    Licence(&'a Presented),
    /// An item to be traced.
    Trace(&'a TraceRequest),
    /// A shipment that is to pass.
    Transit(&'a TransitNotification),
}

impl fmt::Display for Subject<'_> {
    /// In a few words, for lists.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Licence(presented) => presented.licence_no.fmt(f),
            Self::Trace(request) => f.write_str(&request.item.title()),
            Self::Transit(notice) => {
                let route: Vec<&str> = notice.countries_transit.iter().map(StateCode::as_str).collect();
                write!(f, "{} through {}", notice.export_file, route.join(", "))
            }
        }
    }
}

impl Kind {
    /// `cty` of a message of this kind.
    pub fn content_type(self) -> String {
        format!("liaison.{}.v1+json", self.as_str())
    }

    /// Whether a message of this kind opens an exchange.
    pub fn opens(self) -> bool {
        matches!(
            self,
            Self::AuthenticityCheck
                | Self::LicenceVerificationRequest
                | Self::TraceRequest
                | Self::TransitNotification
        )
    }

    /// whether an authority with these functions may send this kind. The Art. 13 contact may send all.
    pub fn is_open_to(self, functions: &[Function]) -> bool {
        use Function::*;
        const ANSWERING: &[Function] = &[ExportLicensing, ImportLicensing, TracingCentre, TransitAuthority];
        const ASKING: &[Function] =
            &[Customs, ExportLicensing, ImportLicensing, TracingCentre, TransitAuthority];
        let needed: &[Function] = match self {
            Self::AuthenticityCheck => ASKING,
            Self::AuthenticityResult | Self::LicenceNotice | Self::LicenceVerificationResponse => {
                &[ExportLicensing, ImportLicensing, TransitAuthority]
            }
            Self::ConditionReply | Self::TransitNotification => &[ExportLicensing, ImportLicensing],
            Self::LicenceVerificationRequest => &[ExportLicensing],
            Self::Clarification
            | Self::ClarificationRequest
            | Self::InformationRequest
            | Self::TraceOutcome
            | Self::TraceRequest
            | Self::TraceResponse => &[TracingCentre],
            Self::TransitDecision | Self::TransitDecisionWithdrawal => &[TransitAuthority],
            // Whoever may ask may withdraw, remind and tell more; whoever may answer may acknowledge and correct.
            Self::Acknowledgement | Self::Correction => ANSWERING,
            Self::InformationSupply | Self::Reminder | Self::Withdrawal => ASKING,
        };
        functions.iter().any(|function| *function == Art13Contact || needed.contains(function))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Was this import licence issued, and does it stand (Art. 10(2)(a))?
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct LicenceVerificationRequest {
    /// What stands on the licence.
    pub presented: Presented,
}

/// The answer to a verification request.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct LicenceVerificationResponse {
    /// The answer.
    #[serde(flatten)]
    pub answer: Answer,
    /// What people should know beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Prose>,
}

/// Is this document genuine (Art. 10(5))?
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct AuthenticityCheck {
    /// What stands on the document.
    pub presented: Presented,
}

/// The result of an authenticity check.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct AuthenticityResult {
    /// The result.
    #[serde(flatten)]
    pub result: Authenticity,
    /// What people should know beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Prose>,
}

/// The authority takes charge of a request (R-ITI-19); not to be confused with a receipt.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Acknowledgement {
    /// The unit that handles it.
    pub unit: Line,
    /// When an answer can be expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    pub expected: Option<Date>,
    /// What people should know beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Prose>,
}

/// An earlier answer was wrong; this one stands in its place.
///
/// It has one reason: a response to a trace, which has a reason of its own elsewhere, has this one here.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(from = "WrittenCorrection", into = "WrittenCorrection")]
pub struct Correction {
    /// What stands now; of the same sort as what it corrects.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Why.
    pub reason: Prose,
}

impl Correction {
    /// `outcome` stands now, for this reason.
    pub fn of(mut outcome: Outcome, reason: Prose) -> Self {
        if let Outcome::Trace(response) = &mut outcome {
            response.reason = Some(reason.clone());
        }
        Self { outcome, reason }
    }
}

/// A correction as it is written: members of the outcome and the reason side by side, each once.
#[derive(Clone, Deserialize, Serialize)]
struct WrittenCorrection {
    #[serde(flatten)]
    outcome: Outcome,
    reason: Prose,
}

impl From<WrittenCorrection> for Correction {
    fn from(written: WrittenCorrection) -> Self {
        Self::of(written.outcome, written.reason)
    }
}

impl From<Correction> for WrittenCorrection {
    fn from(correction: Correction) -> Self {
        let Correction { mut outcome, reason } = correction;
        if let Outcome::Trace(response) = &mut outcome {
            response.reason = None;
        }
        Self { outcome, reason }
    }
}

/// What an exchange came to: the answer to a verification, the result of a check or of a trace, a decision on transit.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
#[expect(clippy::large_enum_variant, reason = "one per exchange at hand")]
pub enum Outcome {
    /// Of a licence verification.
    Answer(Answer),
    /// Of an authenticity check.
    Authenticity(Authenticity),
    /// Of a trace.
    Trace(TraceResponse),
    /// Of a transit notification.
    Transit(TransitDecision),
}

impl Outcome {
    fn codes_are_known(&self) -> bool {
        match self {
            Self::Answer(answer) => answer.codes_are_known(),
            Self::Authenticity(_) => true,
            Self::Trace(response) => response.codes_are_known(),
            Self::Transit(decision) => decision.codes_are_known(),
        }
    }

    /// Whether this is the sort of outcome that an exchange opened by `kind` can come to.
    pub fn answers(&self, kind: Kind) -> bool {
        matches!(
            (self, kind),
            (Self::Answer(_), Kind::LicenceVerificationRequest)
                | (Self::Authenticity(_), Kind::AuthenticityCheck)
                | (Self::Trace(_), Kind::TraceRequest)
                | (Self::Transit(_), Kind::TransitNotification)
        )
    }

    /// whether every field of a licence that it names was presented.
    pub fn speaks_only_of(&self, subject: Subject<'_>) -> bool {
        match (self, subject) {
            (Self::Answer(answer), Subject::Licence(presented)) => answer.speaks_only_of(presented),
            (Self::Authenticity(result), Subject::Licence(presented)) => result.speaks_only_of(presented),
            (Self::Trace(_), Subject::Trace(_)) | (Self::Transit(_), Subject::Transit(_)) => true,
            _ => false,
        }
    }

    /// How a licence stands, as far as this says so.
    pub fn told(&self) -> Option<LicenceStatus> {
        match self {
            Self::Answer(answer) => answer.told(),
            Self::Authenticity(result) => result.told(),
            Self::Trace(_) | Self::Transit(_) => None,
        }
    }

    /// What it needs and lacks: without, it cannot be sent.
    pub fn missing(&self) -> Vec<&'static str> {
        match self {
            Self::Answer(_) | Self::Authenticity(_) => Vec::new(),
            Self::Trace(response) => response.missing(),
            Self::Transit(decision) => decision.missing(),
        }
    }

    fn is_bounded(&self) -> bool {
        match self {
            Self::Answer(_) | Self::Authenticity(_) => true,
            Self::Trace(response) => response.is_bounded(),
            Self::Transit(decision) => decision.is_bounded(),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(answer) => answer.fmt(f),
            Self::Authenticity(result) => result.fmt(f),
            Self::Trace(response) => response.fmt(f),
            Self::Transit(decision) => decision.fmt(f),
        }
    }
}

/// The requested State needs to know more before it can answer (ITI 21; UNTOC 18(16)). Its time pauses from here to the
/// supply.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct InformationRequest {
    /// What it needs to know, 1 to 16 questions.
    pub questions: Vec<Prose>,
}

/// What the requested State needed to know.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct InformationSupply {
    /// The answers, 1 to 16.
    pub answers: Vec<Prose>,
    /// The item, if it is known better now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<Item>,
}

/// The requesting State asks what an answer or a refusal means (ITI 23).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ClarificationRequest {
    /// What is not clear.
    pub question: Prose,
}

/// What it means.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Clarification {
    /// The answer.
    pub answer: Prose,
}

/// The requesting State's node says that the agreed time has passed. It changes nothing: silence is never consent.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Reminder {
    /// When an answer was due, as both sides compute it.
    pub due: Timestamp,
}

/// The requesting State needs no answer any more, or no news of the licence (UNTOC 18(24)).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Withdrawal {
    /// Why.
    pub reason: Prose,
}

impl Body {
    /// What the exchange is about, if this body opens one.
    pub fn subject(&self) -> Option<Subject<'_>> {
        match self {
            Self::AuthenticityCheck(body) => Some(Subject::Licence(&body.presented)),
            Self::LicenceVerificationRequest(body) => Some(Subject::Licence(&body.presented)),
            Self::TraceRequest(body) => Some(Subject::Trace(body)),
            Self::TransitNotification(body) => Some(Subject::Transit(body)),
            _ => None,
        }
    }

    /// How urgent it is, as far as its kind has degrees of it.
    pub fn urgency(&self) -> Urgency {
        match self {
            Self::TraceRequest(body) => body.urgency,
            _ => Urgency::Routine,
        }
    }

    fn is_bounded(&self) -> bool {
        let is_few = |texts: &[Prose]| (1..=16).contains(&texts.len());
        match self {
            Self::AuthenticityCheck(body) => body.presented.is_bounded(),
            Self::Correction(body) => body.outcome.is_bounded(),
            Self::InformationRequest(body) => is_few(&body.questions),
            Self::InformationSupply(body) => {
                is_few(&body.answers) && body.item.as_ref().is_none_or(Item::is_bounded)
            }
            Self::LicenceVerificationRequest(body) => body.presented.is_bounded(),
            Self::TraceRequest(body) => body.is_bounded(),
            Self::TraceResponse(body) => body.is_bounded(),
            Self::TransitDecision(body) => body.is_bounded(),
            Self::TransitNotification(body) => body.is_bounded(),
            _ => true,
        }
    }

    /// The rules of the body alone: bounds, R-ITI-22 and Art. 10(3) for what it must say. `photos` tells
    /// how many photographs go with it.
    pub fn check(&self, photos: usize) -> Result<(), Fault> {
        if !self.is_bounded() {
            return Err(Fault::BodyMalformed);
        }
        let is_whole = match self {
            Self::AuthenticityCheck(body) => body.presented.enough_for_authenticity(),
            Self::Correction(body) => body.outcome.missing().is_empty(),
            Self::LicenceVerificationRequest(body) => body.presented.missing_for_verification().is_empty(),
            Self::TraceRequest(body) => body.missing(photos).is_empty(),
            Self::TraceResponse(body) => body.missing().is_empty(),
            Self::TransitDecision(body) => body.missing().is_empty(),
            Self::TransitNotification(body) => body.missing().is_empty(),
            _ => true,
        };
        if is_whole { Ok(()) } else { Err(Fault::BodyForbidden) }
    }

    /// Whether every coded value in the body is one we know.
    pub fn codes_are_known(&self) -> bool {
        match self {
            Self::Correction(body) => body.outcome.codes_are_known(),
            Self::LicenceNotice(body) => body.event.is_known(),
            Self::LicenceVerificationResponse(body) => body.answer.codes_are_known(),
            Self::InformationSupply(body) => body.item.as_ref().is_none_or(Item::codes_are_known),
            Self::TraceOutcome(body) => body.conclusion.is_known(),
            Self::TraceRequest(body) => body.codes_are_known(),
            Self::TraceResponse(body) => body.codes_are_known(),
            Self::TransitDecision(body) => body.codes_are_known(),
            Self::TransitNotification(body) => body.mode.is_known(),
            _ => true,
        }
    }
}

/// The payload as it is written: `B` and `H` are body and handling, read or not yet.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Payload<B, H> {
    v: u32,
    iss: NodeId,
    aud: NodeId,
    iat: Timestamp,
    accept_until: Timestamp,
    jti: String,
    log: u32,
    seq: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    thr: Option<MessageId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    irt: Option<MessageId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prev: Option<MessageId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    saw: Option<MessageId>,
    kind: String,
    body: B,
    handling: H,
    by: By,
    lang: String,
    #[serde(default, skip_serializing_if = "CaseRefs::is_empty")]
    case: CaseRefs,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    att: Vec<Attachment>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    parts: Vec<Hash>,
}

impl Message {
    /// The kind of the message.
    pub fn kind(&self) -> Kind {
        self.body.kind()
    }

    /// The id of the exchange: that of its opener, which is this message if it names none.
    pub fn exchange(&self, own: MessageId) -> MessageId {
        self.thr.unwrap_or(own)
    }

    /// Whether everything in it is understood here. If not, only an officer may act on it.
    pub fn is_understood(&self) -> bool {
        !self.beyond_us && self.handling.is_understood() && self.body.codes_are_known()
    }

    /// The rules of the message alone, whoever sent it and when.
    pub fn check(&self) -> Result<(), Fault> {
        self.body.check(attachment::photos(&self.attachments))
    }

    /// The payload octets to be signed (JCS).
    pub(crate) fn to_octets(&self) -> Vec<u8> {
        json::canonical(&self.payload())
    }

    fn payload(&self) -> Payload<&Body, &Handling> {
        Payload {
            v: 1,
            iss: self.iss.clone(),
            aud: self.aud.clone(),
            iat: self.iat,
            accept_until: self.accept_until,
            jti: self.jti.clone(),
            log: self.log,
            seq: self.seq,
            thr: self.thr,
            irt: self.irt,
            prev: self.prev,
            saw: self.saw,
            kind: self.kind().as_str().into(),
            body: &self.body,
            handling: &self.handling,
            by: self.by.clone(),
            lang: self.lang.clone(),
            case: self.case.clone(),
            att: self.attachments.clone(),
            parts: self.parts.clone(),
        }
    }

    /// Read payload octets. Checks their form, and nothing of who sent them or when.
    pub(crate) fn from_octets(octets: &[u8]) -> Result<Self, Fault> {
        // Nearly all are written as we would write them, and are read at once. The others are looked at part by part.
        match Self::from_own_words(octets) {
            Some(message) => Ok(message),
            None => Self::from_other_words(octets),
        }
    }

    /// Read what says nothing that we do not know, and says it as we would: that is strict JSON.
    fn from_own_words(octets: &[u8]) -> Option<Self> {
        let payload: Payload<&RawValue, Handling> = serde_json::from_slice(octets).ok()?;
        payload.check().ok()?;
        let body = Body::read(&payload.kind, payload.body).ok()?;
        let handling = Some(payload.handling.clone()).filter(Handling::is_bounded)?;
        let message = Self::of(payload, body, handling, false).ok()?;
        (json::canonical_if_plain(&message.payload())? == octets).then_some(message)
    }

    fn from_other_words(octets: &[u8]) -> Result<Self, Fault> {
        json::check(octets).map_err(|_| Fault::PayloadMalformed)?;
        let raw: Value = serde_json::from_slice(octets).map_err(|_| Fault::PayloadMalformed)?;
        match raw.get("v").and_then(Value::as_u64) {
            Some(1) => {}
            Some(_) => return Err(Fault::UnknownVersion),
            None => return Err(Fault::PayloadMalformed),
        }
        let mut payload: Payload<Value, Value> = json::exact(&raw).map_err(|_| Fault::PayloadMalformed)?;
        payload.check()?;
        let handling: Handling =
            serde_json::from_value(payload.handling.take()).map_err(|_| Fault::HandlingMalformed)?;
        if !handling.is_bounded() {
            return Err(Fault::HandlingMalformed);
        }
        let body = Body::read(&payload.kind, payload.body.take())?;
        let handling_json = serde_json::to_value(&handling).expect("a handling block has string keys");
        let beyond_us = body.to_json() != raw["body"] || handling_json != raw["handling"];
        Self::of(payload, body, handling, beyond_us)
    }

    fn of<B, H>(
        payload: Payload<B, H>,
        body: Body,
        handling: Handling,
        beyond_us: bool,
    ) -> Result<Self, Fault> {
        // An opener stands alone; everything else names its exchange.
        let alone =
            payload.thr.is_none() && payload.irt.is_none() && payload.prev.is_none() && payload.saw.is_none();
        if body.kind().opens() != payload.thr.is_none() || (body.kind().opens() && !alone) {
            return Err(Fault::PayloadMalformed);
        }
        Ok(Self {
            iss: payload.iss,
            aud: payload.aud,
            iat: payload.iat,
            accept_until: payload.accept_until,
            jti: payload.jti,
            log: payload.log,
            seq: payload.seq,
            thr: payload.thr,
            irt: payload.irt,
            prev: payload.prev,
            saw: payload.saw,
            body,
            beyond_us,
            handling,
            by: payload.by,
            lang: payload.lang,
            case: payload.case,
            attachments: payload.att,
            parts: payload.parts,
        })
    }
}

impl<B, H> Payload<B, H> {
    /// What must hold of the members around body and handling.
    fn check(&self) -> Result<(), Fault> {
        let jti_is_random = crate::jws::decode(&self.jti).is_some_and(|bytes| bytes.len() == 16);
        let lang_is_tag = (2..=35).contains(&self.lang.len())
            && self.lang.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let waits = self.accept_until.0.checked_sub(self.iat.0);
        let is_bounded = attachment::are_bounded(&self.att) && self.parts.len() <= attachment::MAX_PARTS;
        let holds = jti_is_random
            && lang_is_tag
            && is_bounded
            && self.seq > 0
            && waits.is_some_and(|secs| secs <= MAX_ACCEPT);
        if holds { Ok(()) } else { Err(Fault::PayloadMalformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_13_2_only_the_functions_of_a_kind_may_send_it() {
        use Function::*;
        assert!(Kind::LicenceVerificationRequest.is_open_to(&[ExportLicensing]));
        assert!(!Kind::LicenceVerificationRequest.is_open_to(&[ImportLicensing, Customs, TracingCentre]));
        assert!(!Kind::LicenceVerificationResponse.is_open_to(&[TracingCentre, Customs]));
        assert!(Kind::AuthenticityCheck.is_open_to(&[Customs]));
        assert!(!Kind::AuthenticityResult.is_open_to(&[Customs]));
        assert!(!Kind::Withdrawal.is_open_to(&[]));
    }

    #[test]
    fn r_13_2_the_art_13_contact_may_send_every_kind() {
        for kind in Kind::ALL {
            assert!(kind.is_open_to(&[Function::Art13Contact]), "{kind}");
        }
    }

    #[test]
    fn r_13_2_traces_are_for_tracing_centres_and_transit_decisions_for_transit_authorities() {
        use Function::*;
        assert!(Kind::TraceRequest.is_open_to(&[TracingCentre]));
        assert!(!Kind::TraceResponse.is_open_to(&[
            Customs,
            ExportLicensing,
            ImportLicensing,
            TransitAuthority
        ]));
        assert!(Kind::TransitDecision.is_open_to(&[TransitAuthority]));
        assert!(!Kind::TransitDecision.is_open_to(&[
            Customs,
            ExportLicensing,
            ImportLicensing,
            TracingCentre
        ]));
        assert!(!Kind::TransitNotification.is_open_to(&[Customs, TracingCentre, TransitAuthority]));
    }

    #[test]
    fn the_name_of_a_kind_is_its_json() {
        let json = serde_json::to_value(Kind::LicenceVerificationRequest).expect("a string");
        assert_eq!(json, Kind::LicenceVerificationRequest.as_str());
    }
}

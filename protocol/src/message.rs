//! The message around what is said: from whom, to whom, in which exchange, under which conditions.

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::authority::{By, Function, Line, NodeId, Prose, Timestamp};
use crate::fault::Fault;
use crate::handling::{Coded, Handling};
use crate::licence::{Answer, Authenticity, LicenceNotice, Presented};
use crate::merkle::Hash;

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

/// What one message says, by kind.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "each holds the body of that name")]
pub enum Body {
    Acknowledgement(Acknowledgement),
    AuthenticityCheck(AuthenticityCheck),
    AuthenticityResult(AuthenticityResult),
    Correction(Correction),
    LicenceNotice(LicenceNotice),
    LicenceVerificationRequest(LicenceVerificationRequest),
    LicenceVerificationResponse(LicenceVerificationResponse),
    Withdrawal(Withdrawal),
}

/// The kind of a message.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "each is the kind of the body of that name")]
pub enum Kind {
    Acknowledgement,
    AuthenticityCheck,
    AuthenticityResult,
    Correction,
    LicenceNotice,
    LicenceVerificationRequest,
    LicenceVerificationResponse,
    Withdrawal,
}

impl Kind {
    /// The kind's name, as it stands in `kind` and in `cty`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Acknowledgement => "acknowledgement",
            Self::AuthenticityCheck => "authenticity-check",
            Self::AuthenticityResult => "authenticity-result",
            Self::Correction => "correction",
            Self::LicenceNotice => "licence-notice",
            Self::LicenceVerificationRequest => "licence-verification-request",
            Self::LicenceVerificationResponse => "licence-verification-response",
            Self::Withdrawal => "withdrawal",
        }
    }

    /// `cty` of a message of this kind.
    pub fn content_type(self) -> String {
        format!("liaison.{}.v1+json", self.as_str())
    }

    /// Whether a message of this kind opens an exchange.
    pub fn opens(self) -> bool {
        matches!(self, Self::AuthenticityCheck | Self::LicenceVerificationRequest)
    }

    /// whether an authority with these functions may send this kind. The Art. 13 contact may send all.
    pub fn is_open_to(self, functions: &[Function]) -> bool {
        use Function::*;
        let needed: &[Function] = match self {
            Self::LicenceVerificationRequest => &[ExportLicensing],
            Self::LicenceVerificationResponse | Self::LicenceNotice | Self::AuthenticityResult => {
                &[ImportLicensing, ExportLicensing, TransitAuthority]
            }
            Self::AuthenticityCheck => {
                &[Customs, ExportLicensing, ImportLicensing, TracingCentre, TransitAuthority]
            }
            // Whoever may ask may withdraw, whoever may answer may acknowledge and correct.
            Self::Acknowledgement | Self::Correction => &[ImportLicensing, ExportLicensing, TransitAuthority],
            Self::Withdrawal => &[Customs, ExportLicensing, ImportLicensing, TracingCentre, TransitAuthority],
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
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Correction {
    /// What stands now; of the same sort as what it corrects.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Why.
    pub reason: Prose,
}

/// What an exchange came to: the answer to a verification, or the result of a check.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Outcome {
    /// Of a licence verification.
    Answer(Answer),
    /// Of an authenticity check.
    Authenticity(Authenticity),
}

impl Outcome {
    fn codes_are_known(&self) -> bool {
        match self {
            Self::Answer(answer) => answer.codes_are_known(),
            Self::Authenticity(_) => true,
        }
    }

    /// whether every field it names was presented.
    pub fn speaks_only_of(&self, presented: &Presented) -> bool {
        match self {
            Self::Answer(answer) => answer.speaks_only_of(presented),
            Self::Authenticity(result) => result.speaks_only_of(presented),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(answer) => answer.fmt(f),
            Self::Authenticity(result) => result.fmt(f),
        }
    }
}

/// The requesting State needs no answer any more, or no news of the licence (UNTOC 18(24)).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Withdrawal {
    /// Why.
    pub reason: Prose,
}

impl Body {
    /// The kind of this body.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Acknowledgement(_) => Kind::Acknowledgement,
            Self::AuthenticityCheck(_) => Kind::AuthenticityCheck,
            Self::AuthenticityResult(_) => Kind::AuthenticityResult,
            Self::Correction(_) => Kind::Correction,
            Self::LicenceNotice(_) => Kind::LicenceNotice,
            Self::LicenceVerificationRequest(_) => Kind::LicenceVerificationRequest,
            Self::LicenceVerificationResponse(_) => Kind::LicenceVerificationResponse,
            Self::Withdrawal(_) => Kind::Withdrawal,
        }
    }

    /// Read a body of the kind named `kind`.
    pub fn read(kind: &str, body: serde_json::Value) -> Result<Self, Fault> {
        fn of<T: serde::de::DeserializeOwned>(body: serde_json::Value) -> Result<T, Fault> {
            serde_json::from_value(body).map_err(|_| Fault::BodyMalformed)
        }
        let kind: Kind =
            serde_json::from_value(serde_json::Value::String(kind.into())).map_err(|_| Fault::KindUnknown)?;
        Ok(match kind {
            Kind::Acknowledgement => Self::Acknowledgement(of(body)?),
            Kind::AuthenticityCheck => Self::AuthenticityCheck(of(body)?),
            Kind::AuthenticityResult => Self::AuthenticityResult(of(body)?),
            Kind::Correction => Self::Correction(of(body)?),
            Kind::LicenceNotice => Self::LicenceNotice(of(body)?),
            Kind::LicenceVerificationRequest => Self::LicenceVerificationRequest(of(body)?),
            Kind::LicenceVerificationResponse => Self::LicenceVerificationResponse(of(body)?),
            Kind::Withdrawal => Self::Withdrawal(of(body)?),
        })
    }

    /// The body as JSON.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Acknowledgement(body) => serde_json::to_value(body),
            Self::AuthenticityCheck(body) => serde_json::to_value(body),
            Self::AuthenticityResult(body) => serde_json::to_value(body),
            Self::Correction(body) => serde_json::to_value(body),
            Self::LicenceNotice(body) => serde_json::to_value(body),
            Self::LicenceVerificationRequest(body) => serde_json::to_value(body),
            Self::LicenceVerificationResponse(body) => serde_json::to_value(body),
            Self::Withdrawal(body) => serde_json::to_value(body),
        }
        .expect("bodies have string keys")
    }

    /// What is presented, if this body asks about a licence.
    pub fn presented(&self) -> Option<&Presented> {
        match self {
            Self::AuthenticityCheck(body) => Some(&body.presented),
            Self::LicenceVerificationRequest(body) => Some(&body.presented),
            _ => None,
        }
    }

    /// The rules of the body alone: bounds, and for what must be presented.
    pub fn check(&self) -> Result<(), Fault> {
        if !self.presented().is_none_or(Presented::is_bounded) {
            return Err(Fault::BodyMalformed);
        }
        match self {
            Self::LicenceVerificationRequest(body)
                if !body.presented.missing_for_verification().is_empty() =>
            {
                Err(Fault::BodyForbidden)
            }
            Self::AuthenticityCheck(body) if !body.presented.enough_for_authenticity() => {
                Err(Fault::BodyForbidden)
            }
            _ => Ok(()),
        }
    }

    /// Whether every coded value in the body is one we know.
    fn codes_are_known(&self) -> bool {
        match self {
            Self::Correction(body) => body.outcome.codes_are_known(),
            Self::LicenceNotice(body) => matches!(body.event, Coded::Known(_)),
            Self::LicenceVerificationResponse(body) => body.answer.codes_are_known(),
            _ => true,
        }
    }
}

/// The payload as it is written.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Payload {
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
    body: serde_json::Value,
    handling: serde_json::Value,
    by: By,
    lang: String,
    #[serde(default, skip_serializing_if = "CaseRefs::is_empty")]
    case: CaseRefs,
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

    /// The payload octets to be signed (JCS).
    pub(crate) fn to_octets(&self) -> Vec<u8> {
        crate::json::canonical(&Payload {
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
            body: self.body.to_json(),
            handling: serde_json::to_value(&self.handling).expect("a handling block has string keys"),
            by: self.by.clone(),
            lang: self.lang.clone(),
            case: self.case.clone(),
        })
    }

    /// Read payload octets. Checks their form, and nothing of who sent them or when.
    pub(crate) fn from_octets(octets: &[u8]) -> Result<Self, Fault> {
        let raw: serde_json::Value = crate::json::parse(octets).map_err(|_| Fault::PayloadMalformed)?;
        match raw.get("v").and_then(serde_json::Value::as_u64) {
            Some(1) => {}
            Some(_) => return Err(Fault::UnknownVersion),
            None => return Err(Fault::PayloadMalformed),
        }
        let payload: Payload = crate::json::exact(&raw).map_err(|_| Fault::PayloadMalformed)?;
        let jti_is_random = crate::jws::decode(&payload.jti).is_some_and(|bytes| bytes.len() == 16);
        let lang_is_tag = (2..=35).contains(&payload.lang.len())
            && payload.lang.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let waits = payload.accept_until.0.checked_sub(payload.iat.0);
        if !jti_is_random || !lang_is_tag || payload.seq == 0 || waits.is_none_or(|secs| secs > MAX_ACCEPT) {
            return Err(Fault::PayloadMalformed);
        }
        let handling: Handling =
            serde_json::from_value(payload.handling).map_err(|_| Fault::HandlingMalformed)?;
        if !handling.is_bounded() {
            return Err(Fault::HandlingMalformed);
        }
        let body = Body::read(&payload.kind, payload.body)?;
        let handling_json = serde_json::to_value(&handling).expect("a handling block has string keys");
        let beyond_us = body.to_json() != raw["body"] || handling_json != raw["handling"];
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
        })
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
        use Kind::*;
        for kind in [
            Acknowledgement,
            AuthenticityCheck,
            AuthenticityResult,
            Correction,
            LicenceNotice,
            LicenceVerificationRequest,
            LicenceVerificationResponse,
            Withdrawal,
        ] {
            assert!(kind.is_open_to(&[Function::Art13Contact]), "{kind}");
        }
    }

    #[test]
    fn the_name_of_a_kind_is_its_json() {
        let json = serde_json::to_value(Kind::LicenceVerificationRequest).expect("a string");
        assert_eq!(json, Kind::LicenceVerificationRequest.as_str());
    }
}

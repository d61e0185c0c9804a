//! The seal: from bytes to a [`Verified`] message, and back (SPEC.md, section 2).
//!
//! A message is sealed exactly once; a retry sends the same bytes. Sealing twice, once for the log and once
//! for the wire, would give two messages as soon as the clock ticks in between.

use crate::authority::NodeId;
use crate::fault::Fault;
use crate::jws::{self, Header};
use crate::key_set::KeyChain;
use crate::merkle::Hash;
use crate::message::{Message, MessageId};
use crate::sign::SecretKey;

/// `typ` of a message.
pub const TYP: &str = "liaison-msg+jws";

/// Largest token, in bytes.
pub const MAX_TOKEN: usize = 1024 * 1024;

/// A message whose seal holds under a key of its sender's key set.
///
/// Made only by [`seal`], [`open`] and [`assume_recorded`], so holding one is the proof. The sealed bytes travel
/// with it: they are what is stored, sent again and exhibited.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    id: MessageId,
    kid: String,
    message: Message,
    token: String,
}

impl Verified {
    /// The message's id.
    pub fn id(&self) -> MessageId {
        self.id
    }

    /// The name of the key that sealed it, without the node: `msg-1`.
    pub fn key_name(&self) -> &str {
        &self.kid
    }

    /// What it says.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// The sealed bytes: one JWS in compact form.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The id of the exchange it belongs to.
    pub fn exchange(&self) -> MessageId {
        self.message.exchange(self.id)
    }
}

/// Seal `message` with the sender's key named `key_name`.
pub fn seal(message: Message, key_name: &str, key: &SecretKey) -> Verified {
    let header = Header::new(TYP, message.kind().content_type(), format!("{}#{key_name}", message.iss));
    let mut token = jws::encode(&crate::json::canonical(&header));
    token.push('.');
    jws::encode_to(&message.to_octets(), &mut token);
    let id = MessageId(Hash::of(token.as_bytes()));
    let signature = key.sign(token.as_bytes());
    token.push('.');
    jws::encode_to(&signature, &mut token);
    Verified { id, kid: key_name.to_owned(), token, message }
}

/// Open a token that `sender` delivered to `us`: form, key, seal, payload, sender, addressee, in this order.
///
/// What depends on the time and on the exchange is judged later, by the desk.
pub fn open(token: &str, sender: &NodeId, keys: &KeyChain, us: &NodeId) -> Result<Verified, Fault> {
    let parts = split(token)?;
    let header = parts.header()?;
    let (node, name) = header.key_name().ok_or(Fault::HeaderMalformed)?;
    if node != sender.as_str() || *sender != keys.current().node {
        return Err(Fault::IssuerMismatch);
    }
    let (_, key) = keys.message_key(name).ok_or(Fault::KeyUnknown)?;
    let signature = jws::decode_signature(parts.signature).ok_or(Fault::TokenMalformed)?;
    if !key.public.verifies(parts.signing_input.as_bytes(), &signature) {
        return Err(Fault::SealBroken);
    }
    let verified = parts.read(&header, token)?;
    if verified.message.iss != *sender {
        return Err(Fault::IssuerMismatch);
    }
    if verified.message.aud != *us {
        return Err(Fault::Misaddressed);
    }
    Ok(verified)
}

/// Assert that `token` was verified before it was recorded: for replaying our own log, and nothing else.
pub fn assume_recorded(token: &str) -> Result<Verified, Fault> {
    let parts = split(token)?;
    let header = parts.header()?;
    parts.read(&header, token)
}

/// The id of a token, whoever sealed it and whether or not the seal holds: to name what is refused.
pub fn id_of(token: &str) -> Option<MessageId> {
    split(token).ok().map(|parts| MessageId(Hash::of(parts.signing_input.as_bytes())))
}

struct Parts<'a> {
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
    signing_input: &'a str,
}

fn split(token: &str) -> Result<Parts<'_>, Fault> {
    if token.len() > MAX_TOKEN {
        return Err(Fault::TooLarge);
    }
    // Every byte is looked at, and none asked about before the next: that goes sixteen at a time.
    let fits = |b: u8| b.is_ascii_alphanumeric() | (b == b'-') | (b == b'_') | (b == b'.');
    if !token.bytes().fold(true, |all, b| all & fits(b)) {
        return Err(Fault::TokenMalformed);
    }
    let (signing_input, signature) = token.rsplit_once('.').ok_or(Fault::TokenMalformed)?;
    let (header, payload) = signing_input.split_once('.').ok_or(Fault::TokenMalformed)?;
    if payload.contains('.') {
        return Err(Fault::TokenMalformed);
    }
    Ok(Parts { header, payload, signature, signing_input })
}

impl Parts<'_> {
    fn header(&self) -> Result<Header, Fault> {
        let octets = jws::decode(self.header).ok_or(Fault::TokenMalformed)?;
        let header: Header = crate::json::parse_exact(&octets).map_err(|_| Fault::HeaderMalformed)?;
        if header.alg == jws::ALGORITHM && header.typ == TYP {
            Ok(header)
        } else {
            Err(Fault::HeaderMalformed)
        }
    }

    fn read(&self, header: &Header, token: &str) -> Result<Verified, Fault> {
        let octets = jws::decode(self.payload).ok_or(Fault::TokenMalformed)?;
        let message = Message::from_octets(&octets)?;
        if header.cty != message.kind().content_type() {
            return Err(Fault::HeaderMalformed);
        }
        let (_, name) = header.key_name().ok_or(Fault::HeaderMalformed)?;
        Ok(Verified {
            id: MessageId(Hash::of(self.signing_input.as_bytes())),
            kid: name.to_owned(),
            message,
            token: token.to_owned(),
        })
    }
}

//! What belongs to a message and does not stand in it: photographs and documents, and parts that name persons.
//!
//! An attachment is named by a salted digest and fetched afterwards (`/liaison/blob/1`); until then the exchange shows
//! it as pending. A part travels beside the message and has a record of its own, so that it can be erased or withheld
//! by itself while the message and every proof stay as they are.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::authority::{Line, Prose, StateCode};
use crate::handling::{Coded, code_list};
use crate::json;
use crate::jws;
use crate::merkle::Hash;

/// Most attachments of one message.
pub const MAX_ATTACHMENTS: usize = 16;
/// Largest attachment, in bytes.
pub const MAX_LENGTH: u64 = 32 * 1024 * 1024;
/// Most parts of one message.
pub const MAX_PARTS: usize = 16;
/// Largest part, in bytes.
pub const MAX_PART: usize = 16 * 1024;
/// Length of the salt in front of an attachment, in bytes.
pub const SALT_LEN: usize = 16;

/// Media types of photographs and documents, and how the names of their files end.
const ENDINGS: [(&str, &str); 6] = [
    ("application/pdf", ".pdf"),
    ("image/heic", ".heic"),
    ("image/jpeg", ".jpg"),
    ("image/png", ".png"),
    ("image/tiff", ".tiff"),
    ("image/webp", ".webp"),
];

code_list! {
    /// What a photograph shows.
    View {
        Left = "LEFT",
        Mark = "MARK",
        Other = "OTHER",
        Packaging = "PACKAGING",
        Right = "RIGHT",
    }
}

/// A photograph or document.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct Attachment {
    /// SHA-256 of salt and content: its name.
    #[schema(value_type = String)]
    pub digest: Hash,
    /// 16 random bytes, base64url: so that nobody guesses a known picture from its digest.
    pub salt: String,
    /// Length of the content, in bytes.
    pub length: u64,
    /// Its media type, such as `image/jpeg`.
    pub media_type: Line,
    /// A name for people.
    pub name: Line,
    /// What it shows, if it is a photograph.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<Coded<View>>,
}

impl Attachment {
    /// Whether `content` is what this names.
    pub fn is_of(&self, content: &[u8]) -> bool {
        self.length == content.len() as u64
            && jws::decode(&self.salt).is_some_and(|salt| digest(&salt, content) == self.digest)
    }

    /// The salt, if it is one.
    pub fn salt(&self) -> Option<[u8; SALT_LEN]> {
        jws::decode(&self.salt)?.try_into().ok()
    }

    /// The name of its file among others: its digest, and the ending that programs know its media type by.
    pub fn file_name(&self) -> String {
        let known = ENDINGS.iter().find(|(media_type, _)| *media_type == self.media_type.as_str());
        format!("{}{}", self.digest, known.map_or("", |(_, ending)| ending))
    }

    /// Whether it is a photograph.
    pub fn is_photo(&self) -> bool {
        self.media_type.as_str().starts_with("image/")
    }
}

/// The digest that names `content` under this salt.
pub fn digest(salt: &[u8], content: &[u8]) -> Hash {
    Hash::of(&[salt, content].concat())
}

/// Whether `text` is a media type without parameters: two tokens of RFC 6838, section 4.2, with a slash between.
pub fn is_media_type(text: &str) -> bool {
    let is_token = |token: &str| {
        (1..=127).contains(&token.len())
            && token.starts_with(|letter: char| letter.is_ascii_alphanumeric())
            && token.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    text.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
}

/// Whether these are few enough, none too long, each with its salt.
pub(crate) fn are_bounded(attachments: &[Attachment]) -> bool {
    let is_sound = |attachment: &Attachment| {
        (1..=MAX_LENGTH).contains(&attachment.length)
            && jws::decode(&attachment.salt).is_some_and(|salt| salt.len() == SALT_LEN)
    };
    attachments.len() <= MAX_ATTACHMENTS && attachments.iter().all(is_sound)
}

/// How many of these are photographs.
pub(crate) fn photos(attachments: &[Attachment]) -> usize {
    attachments.iter().filter(|attachment| attachment.is_photo()).count()
}

code_list! {
    /// What a person has to do with the case.
    PersonRole {
        Associate = "ASSOCIATE",
        Buyer = "BUYER",
        Holder = "HOLDER",
        Possessor = "POSSESSOR",
        Seller = "SELLER",
        Trafficker = "TRAFFICKER",
    }
}

/// A person, as far as it is necessary to name one.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// What the person has to do with the case.
    pub role: Coded<PersonRole>,
    /// The name.
    pub name: Line,
    /// Date of birth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    pub birth_date: Option<Date>,
    /// Nationality.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nationality: Option<StateCode>,
    /// Sort and number of an identity document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<Line>,
    /// What else must be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Prose>,
}

/// A part of a message that travels beside it: a person, with a salt.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Part {
    person: Person,
    salt: String,
}

/// The bytes of a part, and the digest that the message names it by.
pub fn write_part(person: Person, salt: &[u8; SALT_LEN]) -> (String, Hash) {
    let part = Part { person, salt: jws::encode(salt) };
    let text = String::from_utf8(json::canonical(&part)).expect("JSON is text");
    let digest = Hash::of(text.as_bytes());
    (text, digest)
}

/// The person in the bytes of a part; `None` if they are not a part.
pub fn read_part(text: &str) -> Option<Person> {
    if text.len() > MAX_PART {
        return None;
    }
    let part: Part = json::parse_exact(text.as_bytes()).ok()?;
    jws::decode(&part.salt).is_some_and(|salt| salt.len() == SALT_LEN).then_some(part.person)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_is_two_plain_words_of_bounded_length() {
        let longest = "a".repeat(127);
        let both = format!("{longest}/{longest}");
        for good in ["image/jpeg", "image/svg+xml", "application/vnd.oasis.opendocument.text", "x/1", &both] {
            assert!(is_media_type(good), "{good}");
        }
        let [kind, subtype] = [format!("{longest}a/x"), format!("x/{longest}a")];
        for bad in [
            "",
            "/",
            "image",
            "image/",
            "/jpeg",
            "image/jpeg; charset=utf-8",
            "image/jpeg\n",
            "image/j peg",
            "image/x/y",
            "image/.x",
            "+image/x",
            "image/\u{e9}",
            &kind,
            &subtype,
        ] {
            assert!(!is_media_type(bad), "{bad:?}");
        }
    }
}

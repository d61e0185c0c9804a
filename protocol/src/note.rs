//! What a log and its witnesses sign, in the text forms of C2SP: signed notes, checkpoints, cosignatures,
//! verifier keys, the body of `add-checkpoint` and the offline proof of an entry.
//!
//! Everything is parsed strictly: one value has one text, so what was parsed renders to the same bytes.
//! Numbers are bounded by [`MAX_SIZE`](crate::merkle::MAX_SIZE), notes by [`MAX_NOTE`], proofs by
//! [`MAX_PROOF`]. Whether a head extends another is left to [`crate::merkle`], whether and when to sign to
//! the node.

use std::fmt;

use data_encoding::{BASE64, HEXLOWER};

use crate::merkle::{
    HASH_LEN, Hash, LeafIndex, MAX_PROOF, ProofFlaw, TreeHead, decimal, leaf_hash, verify_inclusion,
};
use crate::sign::{KEY_LEN, KeyFlaw, PublicKey, SIGNATURE_LEN, SecretKey};

/// The longest note we read, in bytes.
pub const MAX_NOTE: usize = 16 * 1024;

/// The most signature lines a note may have (what C2SP signed-note asks every verifier to accept).
pub const MAX_SIGNATURES: usize = 16;

/// A checkpoint signed by its log.
///
/// The only ways to obtain one are [`sign_checkpoint`], [`open_checkpoint`] and [`open_cosigned`], so holding
/// it is the proof. It carries the note with the log's own signature line and no other.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: String,
}

impl SignedCheckpoint {
    /// What the log has signed.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The head it has signed.
    pub fn head(&self) -> &TreeHead {
        &self.checkpoint.head
    }

    /// The note: three lines, an empty one, the log's signature line.
    pub fn as_str(&self) -> &str {
        &self.note
    }

    /// The note with cosignature `lines` below the log's own, as far as a note has room for them.
    ///
    /// Each line ends in a newline, as [`cosign`] makes it; lines of another form are left out.
    pub fn with_cosignatures<'a>(&self, lines: impl IntoIterator<Item = &'a str>) -> String {
        let mut note = self.note.clone();
        let sound = lines.into_iter().filter(|line| NoteSignature::parse(line).is_ok());
        for line in sound.take(MAX_SIGNATURES - 1) {
            if note.len() + line.len() <= MAX_NOTE {
                note.push_str(line);
            }
        }
        note
    }
}

/// Sign `head` as the log named `origin`, which must satisfy [`is_key_name`]: with another origin the result
/// opens for nobody (C2SP tlog-checkpoint; signed-note, type 0x01).
pub fn sign_checkpoint(key: &SecretKey, origin: &str, head: &TreeHead) -> SignedCheckpoint {
    debug_assert!(is_key_name(origin), "a log's origin comes from a node id");
    let checkpoint = Checkpoint { origin: origin.to_owned(), head: *head };
    let body = checkpoint.body();
    let line = NoteSignature {
        name: origin.to_owned(),
        key_id: key_id(origin, KeyType::Log, &key.public()),
        bytes: key.sign(body.as_bytes()).to_vec(),
    };
    SignedCheckpoint { checkpoint, note: format!("{body}\n{line}") }
}

/// Check that `note` is a checkpoint of the log `origin` under its `key`. Signatures of others are ignored.
pub fn open_checkpoint(note: &str, origin: &str, key: &PublicKey) -> Result<SignedCheckpoint, NoteFlaw> {
    open_cosigned(note, origin, key).map(|(signed, _)| signed)
}

/// As [`open_checkpoint`], with the signatures of others beside it: unverified, for [`open_cosignature`].
pub fn open_cosigned(
    note: &str,
    origin: &str,
    key: &PublicKey,
) -> Result<(SignedCheckpoint, Vec<NoteSignature>), NoteFlaw> {
    let SignedNote { text, signatures } = SignedNote::parse(note)?;
    let checkpoint = Checkpoint::parse(&text)?;
    if checkpoint.origin != origin {
        return Err(NoteFlaw::Origin);
    }
    let key_id = key_id(origin, KeyType::Log, key);
    let (own, others): (Vec<_>, Vec<_>) =
        signatures.into_iter().partition(|line| line.name == origin && line.key_id == key_id);
    let first = own.first().ok_or(NoteFlaw::NotSigned)?;
    // One false signature under a known key condemns the whole note (signed-note, "Signatures").
    for NoteSignature { bytes, .. } in &own {
        let signature = bytes.as_slice().try_into().map_err(|_| NoteFlaw::BrokenSignature)?;
        if !key.verifies(text.as_bytes(), signature) {
            return Err(NoteFlaw::BrokenSignature);
        }
    }
    let note = format!("{text}\n{first}");
    Ok((SignedCheckpoint { checkpoint, note }, others))
}

/// Say, as `cosigner`, that at `time_secs` (POSIX seconds, below 2^63) this was the largest consistent head
/// we had seen of that log. Returns one signature line with its newline (C2SP tlog-cosignature, type 0x04).
///
/// The signed text does not name the cosigner: a key of its own for each.
pub fn cosign(key: &SecretKey, cosigner: &str, time_secs: u64, checkpoint: &Checkpoint) -> String {
    debug_assert!(is_key_name(cosigner), "a cosigner's name comes from a node id");
    let signature = key.sign(cosigned_message(time_secs, checkpoint).as_bytes());
    let line = NoteSignature {
        name: cosigner.to_owned(),
        key_id: key_id(cosigner, KeyType::Cosigner, &key.public()),
        bytes: [time_secs.to_be_bytes().as_slice(), &signature].concat(),
    };
    line.to_string()
}

/// Check that `line` (with its newline) is the cosignature of `cosigner` on `checkpoint`; returns the time it
/// states, in POSIX seconds.
pub fn open_cosignature(
    line: &str,
    cosigner: &str,
    key: &PublicKey,
    checkpoint: &Checkpoint,
) -> Result<u64, NoteFlaw> {
    let line = NoteSignature::parse(line)?;
    if line.name != cosigner || line.key_id != key_id(cosigner, KeyType::Cosigner, key) {
        return Err(NoteFlaw::OtherSigner);
    }
    let (time, signature) = line.bytes.split_first_chunk().ok_or(NoteFlaw::BrokenSignature)?;
    let signature: &[u8; SIGNATURE_LEN] = signature.try_into().map_err(|_| NoteFlaw::BrokenSignature)?;
    let time_secs = u64::from_be_bytes(*time);
    if time_secs > i64::MAX as u64 {
        return Err(NoteFlaw::Time);
    }
    if !key.verifies(cosigned_message(time_secs, checkpoint).as_bytes(), signature) {
        return Err(NoteFlaw::BrokenSignature);
    }
    Ok(time_secs)
}

/// A log at one size: what its checkpoint says (C2SP tlog-checkpoint). Extension lines are refused, so that
/// no cosignature covers words its cosigner did not read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checkpoint {
    /// The log's name, unique for ever: `<node-id>/log<N>`.
    pub origin: String,
    /// Its size and root.
    pub head: TreeHead,
}

impl Checkpoint {
    /// The three lines that are signed, each with its newline.
    pub fn body(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.head.size, Base64(&self.head.root))
    }

    /// Read the three lines.
    pub fn parse(body: &str) -> Result<Self, NoteFlaw> {
        let mut lines = body.strip_suffix('\n').ok_or(NoteFlaw::Checkpoint)?.split('\n');
        let mut line = || lines.next().ok_or(NoteFlaw::Checkpoint);
        let (origin, size, root) = (line()?, line()?, line()?);
        if lines.next().is_some() {
            return Err(NoteFlaw::Extension);
        }
        if !is_key_name(origin) {
            return Err(NoteFlaw::Name);
        }
        let head = TreeHead { size: decimal(size).ok_or(NoteFlaw::Number)?, root: parse_hash(root)? };
        Ok(Self { origin: origin.to_owned(), head })
    }
}

/// A text and the signatures under it, in good form (C2SP signed-note). Nothing is verified yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedNote {
    text: String,
    signatures: Vec<NoteSignature>,
}

impl SignedNote {
    /// Read a note of at most [`MAX_NOTE`] bytes with 1 to [`MAX_SIGNATURES`] signature lines.
    pub fn parse(note: &str) -> Result<Self, NoteFlaw> {
        if note.len() > MAX_NOTE {
            return Err(NoteFlaw::TooLong);
        }
        if note.chars().any(|char| char < ' ' && char != '\n') {
            return Err(NoteFlaw::ControlCharacter);
        }
        // The text may have empty lines of its own: the last one of the note ends it.
        let (text, lines) = note.rsplit_once("\n\n").ok_or(NoteFlaw::Form)?;
        let signatures: Vec<_> =
            lines.split_inclusive('\n').map(NoteSignature::parse).collect::<Result<_, _>>()?;
        match signatures.len() {
            0 => Err(NoteFlaw::NotSigned),
            1..=MAX_SIGNATURES => Ok(Self { text: format!("{text}\n"), signatures }),
            _ => Err(NoteFlaw::TooManySignatures),
        }
    }

    /// What is signed, with its last newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures, in the order of their lines.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }
}

impl fmt::Display for SignedNote {
    /// The note, byte for byte as it was read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|line| line.fmt(f))
    }
}

/// One signature line of a note, in good form and unverified.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NoteSignature {
    name: String,
    key_id: u32,
    /// At least one byte; what they are depends on the type of key.
    bytes: Vec<u8>,
}

impl NoteSignature {
    /// Read one line: em dash, space, name, space, base64 of key id and signature, newline.
    pub fn parse(line: &str) -> Result<Self, NoteFlaw> {
        let line = line.strip_prefix("— ").and_then(|line| line.strip_suffix('\n')).ok_or(NoteFlaw::Form)?;
        let (name, signature) = line.split_once(' ').ok_or(NoteFlaw::Form)?;
        if !is_key_name(name) {
            return Err(NoteFlaw::Name);
        }
        let bytes = decode(signature)?;
        match bytes.split_first_chunk() {
            Some((key_id, bytes)) if !bytes.is_empty() => {
                Ok(Self { name: name.to_owned(), key_id: u32::from_be_bytes(*key_id), bytes: bytes.to_vec() })
            }
            _ => Err(NoteFlaw::Form),
        }
    }

    /// Who is said to have signed.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The short id of the key, to be compared with [`key_id`]; it proves nothing.
    pub fn key_id(&self) -> u32 {
        self.key_id
    }
}

impl fmt::Display for NoteSignature {
    /// The line, with its newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [self.key_id.to_be_bytes().as_slice(), &self.bytes].concat();
        writeln!(f, "— {} {}", self.name, BASE64.encode(&bytes))
    }
}

/// What a key signs; the byte sets its id, so that one key used for both could not be mistaken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyType {
    /// Timestamped cosignatures of checkpoints, 0x04 (C2SP tlog-cosignature).
    Cosigner,
    /// Checkpoints of its own log, 0x01 (C2SP signed-note, Ed25519).
    Log,
}

impl KeyType {
    /// The signature type identifier byte.
    pub fn byte(self) -> u8 {
        match self {
            Self::Cosigner => 0x04,
            Self::Log => 0x01,
        }
    }
}

/// The key id: the first four bytes of SHA-256(name ‖ 0x0A ‖ type ‖ key) (C2SP signed-note, "Signatures").
pub fn key_id(name: &str, key_type: KeyType, key: &PublicKey) -> u32 {
    let hash = Hash::of(&[name.as_bytes(), &[b'\n', key_type.byte()], key.as_bytes()].concat());
    let [first, second, third, fourth, ..] = *hash.as_bytes();
    u32::from_be_bytes([first, second, third, fourth])
}

/// Whether `name` can name a key, and so a log: not empty, no Unicode space, no plus, no control character.
pub fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|char: char| char.is_whitespace() || char.is_control() || char == '+')
}

/// A key in the form other people's tools take: `name+hex of id+base64 of type and key`.
pub fn verifier_key(name: &str, key_type: KeyType, key: &PublicKey) -> String {
    VerifierKey { name: name.to_owned(), key_type, key: *key }.to_string()
}

/// A public key with the name it signs under: the *vkey* of C2SP.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VerifierKey {
    /// The name of the log or cosigner.
    pub name: String,
    /// What it signs.
    pub key_type: KeyType,
    /// The key itself.
    pub key: PublicKey,
}

impl VerifierKey {
    /// Read a vkey of a log or cosigner; the key is admitted by the rules of [`crate::sign`].
    pub fn parse(text: &str) -> Result<Self, NoteFlaw> {
        let mut parts = text.splitn(3, '+');
        let mut part = || parts.next().ok_or(NoteFlaw::Form);
        let (name, id, typed_key) = (part()?, part()?, part()?);
        if !is_key_name(name) {
            return Err(NoteFlaw::Name);
        }
        let typed_key = decode(typed_key)?;
        let (key_type, key) = typed_key.split_first().ok_or(NoteFlaw::Form)?;
        let key_type = [KeyType::Cosigner, KeyType::Log].into_iter().find(|known| known.byte() == *key_type);
        let key_type = key_type.ok_or(NoteFlaw::Type)?;
        let key: &[u8; KEY_LEN] = key.try_into().map_err(|_| NoteFlaw::Form)?;
        let key = PublicKey::admit(key)?;
        if id != format!("{:08x}", key_id(name, key_type, &key)) {
            return Err(NoteFlaw::KeyId);
        }
        Ok(Self { name: name.to_owned(), key_type, key })
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = key_id(&self.name, self.key_type, &self.key).to_be_bytes();
        let typed_key = [&[self.key_type.byte()], self.key.as_bytes().as_slice()].concat();
        write!(f, "{}+{}+{}", self.name, HEXLOWER.encode(&id), BASE64.encode(&typed_key))
    }
}

/// A head offered to a witness, with the proof that it extends the last one the witness knows: the body of
/// `add-checkpoint` (C2SP tlog-witness).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AddCheckpoint {
    /// The size the proof starts from; 0 if the witness knows nothing yet.
    pub old: u64,
    /// The consistency proof, at most [`MAX_PROOF`] hashes.
    pub proof: Vec<Hash>,
    /// The new checkpoint, a note in good form and unverified: for [`open_checkpoint`].
    pub checkpoint: String,
}

impl AddCheckpoint {
    /// The body.
    pub fn render(&self) -> String {
        format!("old {}\n{}\n{}", self.old, Lines(&self.proof), self.checkpoint)
    }

    /// Read a body. Nothing in it is verified yet; only its form is.
    pub fn parse(body: &str) -> Result<Self, NoteFlaw> {
        let (old, rest) = numbered_line(body, "old ")?;
        let (proof, checkpoint) = proof_and_note(rest)?;
        Ok(Self { old, proof, checkpoint })
    }
}

/// The proof, for anyone and for ever, that an entry is in a log (C2SP tlog-proof; files end in
/// `.tlog-proof`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlogProof {
    /// The entry's place.
    pub index: LeafIndex,
    /// The inclusion proof, at most [`MAX_PROOF`] hashes.
    pub proof: Vec<Hash>,
    /// The checkpoint, a note in good form, with the cosignatures that speak for it.
    pub checkpoint: String,
    /// Anything the application adds, at most [`MAX_EXTRA`] bytes. Nobody has signed it. Empty is as good as
    /// none.
    pub extra: Option<Vec<u8>>,
}

/// The most extra data of a [`TlogProof`], in bytes.
pub const MAX_EXTRA: usize = 16 * 1024;

impl TlogProof {
    /// The proof as a file.
    pub fn render(&self) -> String {
        let extra = match &self.extra {
            Some(extra) if !extra.is_empty() => format!("extra {}\n", BASE64.encode(extra)),
            _ => String::new(),
        };
        format!("{PROOF_HEADER}\n{extra}index {}\n{}\n{}", self.index, Lines(&self.proof), self.checkpoint)
    }

    /// Read a file. Nothing in it is verified yet; only its form is.
    pub fn parse(text: &str) -> Result<Self, NoteFlaw> {
        let (header, mut rest) = text.split_once('\n').ok_or(NoteFlaw::Form)?;
        if header != PROOF_HEADER {
            return Err(NoteFlaw::Form);
        }
        let mut extra = None;
        if let Some((line, after)) = rest.strip_prefix("extra ").and_then(|line| line.split_once('\n')) {
            if line.is_empty() {
                return Err(NoteFlaw::Form);
            }
            if line.len() > MAX_EXTRA.div_ceil(3) * 4 {
                return Err(NoteFlaw::TooLong);
            }
            extra = Some(decode(line)?);
            rest = after;
        }
        if extra.as_ref().is_some_and(|extra| extra.len() > MAX_EXTRA) {
            return Err(NoteFlaw::TooLong);
        }
        let (index, rest) = numbered_line(rest, "index ")?;
        let (proof, checkpoint) = proof_and_note(rest)?;
        Ok(Self { index: LeafIndex(index), proof, checkpoint, extra })
    }

    /// Check that `entry` is in the log `origin`, whose key is `key`, at the place this says. Returns the
    /// checkpoint that proves it; cosignatures are for [`open_cosigned`].
    pub fn verify(&self, entry: &[u8], origin: &str, key: &PublicKey) -> Result<SignedCheckpoint, NoteFlaw> {
        let signed = open_checkpoint(&self.checkpoint, origin, key)?;
        verify_inclusion(&leaf_hash(entry), self.index, signed.head(), &self.proof)?;
        Ok(signed)
    }
}

/// Why a note, or what is made of notes, is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoteFlaw {
    /// A hash, a key or a signature is not canonical base64 of its length.
    #[error("not canonical base64, or not of the length it should have")]
    Base64,
    /// A signature under the right name and key id does not hold.
    #[error("the signature does not hold")]
    BrokenSignature,
    /// The text is not the three lines of a checkpoint.
    #[error("a checkpoint has three lines: origin, size, root")]
    Checkpoint,
    /// There is a control character that is not a newline.
    #[error("the note has a control character")]
    ControlCharacter,
    /// The checkpoint has more than three lines.
    #[error("the checkpoint has extension lines")]
    Extension,
    /// Lines, dashes, spaces or newlines are not where they belong.
    #[error("the text does not have the form it should have")]
    Form,
    /// The key is not admitted.
    #[error(transparent)]
    Key(#[from] KeyFlaw),
    /// The verifier key states an id that is not the key's.
    #[error("the key id does not belong to the key")]
    KeyId,
    /// A name is empty or has a space, a plus or a control character.
    #[error("not a key name")]
    Name,
    /// There is no signature by the key expected.
    #[error("not signed by the key expected")]
    NotSigned,
    /// Not a decimal number as we write it, or above 2^53 - 1.
    #[error("not a decimal number without leading zeros, at most 2^53 - 1")]
    Number,
    /// It is a checkpoint of another log.
    #[error("the checkpoint is of another log")]
    Origin,
    /// The line is by another cosigner, or by a key we do not have.
    #[error("the cosignature is by another name or key")]
    OtherSigner,
    /// The proof is too long or does not hold.
    #[error(transparent)]
    Proof(#[from] ProofFlaw),
    /// The time of a cosignature is 2^63 seconds or more.
    #[error("the time of the cosignature is out of range")]
    Time,
    /// The note has more than [`MAX_NOTE`] bytes, or the extra data more than [`MAX_EXTRA`].
    #[error("the text is longer than allowed")]
    TooLong,
    /// There are more than [`MAX_SIGNATURES`] signature lines.
    #[error("the note has more than 16 signatures")]
    TooManySignatures,
    /// The verifier key is of a type we do not know.
    #[error("not the key of a log (0x01) or of a cosigner (0x04)")]
    Type,
}

/// The text a cosigner signs (C2SP tlog-cosignature, "Ed25519 signed message").
fn cosigned_message(time_secs: u64, checkpoint: &Checkpoint) -> String {
    format!("cosignature/v1\ntime {time_secs}\n{}", checkpoint.body())
}

/// A first line made of a word and a number, and what comes after it.
fn numbered_line<'a>(text: &'a str, word: &str) -> Result<(u64, &'a str), NoteFlaw> {
    let (number, rest) =
        text.strip_prefix(word).and_then(|text| text.split_once('\n')).ok_or(NoteFlaw::Form)?;
    Ok((decimal(number).ok_or(NoteFlaw::Number)?, rest))
}

/// Lines of hashes up to an empty line, and the note after it.
fn proof_and_note(mut rest: &str) -> Result<(Vec<Hash>, String), NoteFlaw> {
    let mut proof = Vec::new();
    loop {
        let (line, after) = rest.split_once('\n').ok_or(NoteFlaw::Form)?;
        rest = after;
        if line.is_empty() {
            break;
        }
        if proof.len() == MAX_PROOF {
            return Err(NoteFlaw::Proof(ProofFlaw::TooLong));
        }
        proof.push(parse_hash(line)?);
    }
    SignedNote::parse(rest)?;
    Ok((proof, rest.to_owned()))
}

/// Canonical base64. The decoder takes two padded texts one behind the other for one, so what it read is compared.
fn decode(text: &str) -> Result<Vec<u8>, NoteFlaw> {
    let bytes = BASE64.decode(text.as_bytes()).map_err(|_| NoteFlaw::Base64)?;
    if BASE64.encode(&bytes) == text { Ok(bytes) } else { Err(NoteFlaw::Base64) }
}

fn parse_hash(text: &str) -> Result<Hash, NoteFlaw> {
    let bytes = decode(text)?;
    let bytes: [u8; HASH_LEN] = bytes.try_into().map_err(|_| NoteFlaw::Base64)?;
    Ok(Hash::from_bytes(bytes))
}

/// A hash as C2SP writes it: base64 with padding.
struct Base64<'a>(&'a Hash);

impl fmt::Display for Base64<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64.encode(self.0.as_bytes()))
    }
}

/// Hashes, each on a line of its own.
struct Lines<'a>(&'a [Hash]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|hash| writeln!(f, "{}", Base64(hash)))
    }
}

/// First line of a [`TlogProof`].
const PROOF_HEADER: &str = "c2sp.org/tlog-proof@v1";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::{Tree, inclusion_proof};

    const ORIGIN: &str = "firearms.example.ke/liaison/log1";
    const WITNESS: &str = "firearms.example.pe/liaison/witness";

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; KEY_LEN])
    }

    fn head() -> TreeHead {
        TreeHead { size: 20_852_163, root: Hash::of(b"some tree") }
    }

    fn signed() -> SignedCheckpoint {
        sign_checkpoint(&key(1), ORIGIN, &head())
    }

    fn open(note: &str) -> Result<SignedCheckpoint, NoteFlaw> {
        open_checkpoint(note, ORIGIN, &key(1).public())
    }

    /// Every text that differs from `text` in one character, or lacks one, or has one twice.
    fn mutations(text: &str) -> impl Iterator<Item = String> {
        text.char_indices().flat_map(move |(at, char)| {
            let (before, after) = (&text[..at], &text[at + char.len_utf8()..]);
            let other = if char == 'A' { 'B' } else { 'A' };
            let other_case =
                if char.is_ascii_lowercase() { char.to_ascii_uppercase() } else { char.to_ascii_lowercase() };
            [
                format!("{before}{other}{after}"),
                format!("{before}{other_case}{after}"),
                format!("{before}{after}"),
                format!("{before}{char}{char}{after}"),
                format!("{before}{char}\n{after}"),
                format!("{before}{char} {after}"),
            ]
            .into_iter()
            .filter(move |mutant| mutant != text)
        })
    }

    #[test]
    fn the_best_known_note_and_key_of_the_format_hold() {
        let vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let text = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n\
                    \n\
                    — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
        let known = VerifierKey::parse(vkey).expect("a good key");
        assert_eq!(known.key_type, KeyType::Log);
        assert_eq!(verifier_key(&known.name, known.key_type, &known.key), vkey);
        let note = SignedNote::parse(text).expect("a good note");
        assert_eq!(note.to_string(), text);
        let [line] = note.signatures() else { panic!("one signature") };
        assert_eq!((line.name(), line.key_id()), ("PeterNeumann", 0xc74f_20a3));
        let signature = line.bytes.as_slice().try_into().expect("64 bytes");
        assert!(known.key.verifies(note.text().as_bytes(), signature));
    }

    #[test]
    fn a_checkpoint_opens_under_its_own_name_and_key_only() {
        let signed = signed();
        assert_eq!(open(signed.as_str()), Ok(signed.clone()));
        assert_eq!(signed.checkpoint().body().lines().count(), 3);
        let note = signed.as_str();
        let other_log = open_checkpoint(note, "firearms.example.ke/liaison/log2", &key(1).public());
        assert_eq!(other_log, Err(NoteFlaw::Origin));
        assert_eq!(open_checkpoint(note, ORIGIN, &key(2).public()), Err(NoteFlaw::NotSigned));
        let empty = sign_checkpoint(&key(1), ORIGIN, &TreeHead::empty());
        assert_eq!(open(empty.as_str()), Ok(empty.clone()));
    }

    #[test]
    fn a_checkpoint_altered_anywhere_does_not_open() {
        for mutant in mutations(signed().as_str()) {
            assert!(open(&mutant).is_err(), "{mutant:?}");
        }
    }

    #[test]
    fn a_note_has_one_text() {
        // Whatever parses, altered or not, renders to the very bytes it was parsed from.
        let note = signed().with_cosignatures([cosign(&key(2), WITNESS, 5, signed().checkpoint()).as_str()]);
        let mut parsed = 0;
        for text in mutations(&note).chain([note.clone()]) {
            if let Ok(note) = SignedNote::parse(&text) {
                assert_eq!(note.to_string(), text);
                parsed += 1;
            }
        }
        assert!(parsed > 100, "only {parsed} mutants parsed");
    }

    #[test]
    fn each_bad_note_is_refused_for_its_own_reason() {
        let signed = signed();
        let good = signed.as_str();
        let (body, line) = good.split_once("\n\n").expect("an empty line");
        let line = line.trim_end();
        let many = format!("{good}{}", format!("{line}\n").repeat(16));
        let long = format!("{}{good}", "x".repeat(MAX_NOTE));
        let cases: &[(String, NoteFlaw)] = &[
            (String::new(), NoteFlaw::Form),
            ("\n\n".to_owned(), NoteFlaw::NotSigned),
            (format!("{body}\n\n"), NoteFlaw::NotSigned),
            (format!("{body}\n{line}\n"), NoteFlaw::Form),
            (format!("{body}\n\n{line}"), NoteFlaw::Form),
            (format!("{body}\n\n{line}\nmore\n"), NoteFlaw::Form),
            (format!("{body}\n\n{line}\n\n"), NoteFlaw::NotSigned),
            (good.replace('—', "-"), NoteFlaw::Form),
            (good.replace("— ", "—  "), NoteFlaw::Name),
            (good.replace("— ", "— a+"), NoteFlaw::Name),
            (good.replace("— ", "— a\u{a0}"), NoteFlaw::Name),
            (good.replace('\n', "\r\n"), NoteFlaw::ControlCharacter),
            (good.replace("=\n\n", "\n\n"), NoteFlaw::Base64),
            (format!("{body}\n\n{line}=\n"), NoteFlaw::Base64),
            (format!("{body}\n\n— {ORIGIN} AAAAAA==\n"), NoteFlaw::Form),
            (format!("{body}\nextension\n\n{line}\n"), NoteFlaw::Extension),
            (good.replacen("\n2085", "\n02085", 1), NoteFlaw::Number),
            (good.replacen("\n2085", "\n9999999999992085", 1), NoteFlaw::Number),
            (good.replacen("/log1", "/log 1", 1), NoteFlaw::Name),
            (good.replacen("/log1", "/log2", 1), NoteFlaw::Origin),
            (format!("{ORIGIN}\n5\n\n{line}\n"), NoteFlaw::Checkpoint),
            (good.replacen("\n2085", "\n3085", 1), NoteFlaw::BrokenSignature),
            (many, NoteFlaw::TooManySignatures),
            (long, NoteFlaw::TooLong),
        ];
        for (note, flaw) in cases {
            assert_eq!(open(note).as_ref(), Err(flaw), "{note:?}");
        }
    }

    #[test]
    fn a_false_signature_beside_a_true_one_condemns_the_note() {
        let (good, other) = (signed(), sign_checkpoint(&key(1), ORIGIN, &TreeHead::empty()));
        let (_, false_line) = other.as_str().split_once("\n\n").expect("an empty line");
        let note = format!("{}{false_line}", good.as_str());
        assert_eq!(open(&note), Err(NoteFlaw::BrokenSignature));
    }

    #[test]
    fn signatures_of_others_are_set_aside_and_kept_out_of_the_proof() {
        let signed = signed();
        let lines: Vec<String> =
            (2..40).map(|seed| cosign(&key(seed), WITNESS, 7, signed.checkpoint())).collect();
        let note = signed.with_cosignatures(lines.iter().map(String::as_str).chain(["junk", "\n"]));
        let (opened, others) = open_cosigned(&note, ORIGIN, &key(1).public()).expect("signed by its log");
        assert_eq!(opened, signed);
        assert_eq!(others.len(), MAX_SIGNATURES - 1);
        for (other, line) in others.iter().zip(&lines) {
            assert_eq!(other.to_string(), *line);
            assert_eq!(other.name(), WITNESS);
        }
        let upside_down = format!("{}\n{}{}", signed.checkpoint().body(), lines[0], note_line(&signed));
        assert_eq!(open(&upside_down), Ok(signed));
    }

    fn note_line(signed: &SignedCheckpoint) -> &str {
        signed.as_str().split_once("\n\n").expect("an empty line").1
    }

    #[test]
    fn a_cosignature_states_its_time_and_binds_name_key_and_checkpoint() {
        let checkpoint = signed().checkpoint().clone();
        let time = 1_679_315_147;
        let line = cosign(&key(2), WITNESS, time, &checkpoint);
        let public = key(2).public();
        assert_eq!(open_cosignature(&line, WITNESS, &public, &checkpoint), Ok(time));

        for mutant in mutations(&line) {
            assert!(open_cosignature(&mutant, WITNESS, &public, &checkpoint).is_err(), "{mutant:?}");
        }
        let smaller = Checkpoint { head: TreeHead { size: 1, ..checkpoint.head }, ..checkpoint.clone() };
        let broken = Err(NoteFlaw::BrokenSignature);
        assert_eq!(open_cosignature(&line, WITNESS, &public, &smaller), broken);
        let other = Err(NoteFlaw::OtherSigner);
        assert_eq!(open_cosignature(&line, WITNESS, &key(3).public(), &checkpoint), other);
        assert_eq!(open_cosignature(&line, "x", &public, &checkpoint), other);
        // A log's signature is no cosignature, even by the same name and key.
        let own = sign_checkpoint(&key(2), WITNESS, &head());
        assert_eq!(open_cosignature(note_line(&own), WITNESS, &public, own.checkpoint()), other);
        let late = cosign(&key(2), WITNESS, 1 << 63, &checkpoint);
        assert_eq!(open_cosignature(&late, WITNESS, &public, &checkpoint), Err(NoteFlaw::Time));
    }

    #[test]
    fn a_cosigned_message_is_that_of_the_document() {
        let checkpoint = Checkpoint {
            origin: "example.com/behind-the-sofa".to_owned(),
            head: TreeHead {
                size: 20_852_163,
                root: parse_hash("CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=").expect("a hash"),
            },
        };
        let expected = "cosignature/v1\n\
                        time 1679315147\n\
                        example.com/behind-the-sofa\n\
                        20852163\n\
                        CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
        assert_eq!(cosigned_message(1_679_315_147, &checkpoint), expected);
        assert_eq!(Checkpoint::parse(&checkpoint.body()), Ok(checkpoint));
    }

    #[test]
    fn a_verifier_key_reads_as_it_was_written_and_not_otherwise() {
        for key_type in [KeyType::Cosigner, KeyType::Log] {
            let text = verifier_key(ORIGIN, key_type, &key(1).public());
            let read = VerifierKey::parse(&text).expect("our own");
            assert_eq!((read.key_type, read.key), (key_type, key(1).public()));
            for mutant in mutations(&text) {
                assert!(VerifierKey::parse(&mutant).is_err(), "{mutant:?}");
            }
        }
        let weak = format!("x+00000000+{}", BASE64.encode(&[[1].as_slice(), &[1], &[0; 31]].concat()));
        assert_eq!(VerifierKey::parse(&weak), Err(NoteFlaw::Key(KeyFlaw::Weak)));
        let unknown = format!("x+00000000+{}", BASE64.encode(&[2; 33]));
        assert_eq!(VerifierKey::parse(&unknown), Err(NoteFlaw::Type));
    }

    #[test]
    fn an_add_checkpoint_body_reads_as_it_was_written_and_not_otherwise() {
        for count in [0, 1, MAX_PROOF] {
            let body = AddCheckpoint {
                old: 20_852_014,
                proof: vec![Hash::of(b"a"); count],
                checkpoint: signed().as_str().to_owned(),
            };
            assert_eq!(AddCheckpoint::parse(&body.render()), Ok(body));
        }
        let of = |proof: &str| AddCheckpoint::parse(&format!("{proof}\n{}", signed().as_str())).err();
        let hash = BASE64.encode(Hash::ZERO.as_bytes());
        assert_eq!(of(&format!("old 1\n{hash}\n")), None);
        assert_eq!(of(&format!("old 01\n{hash}\n")), Some(NoteFlaw::Number));
        assert_eq!(of(&format!("old\n{hash}\n")), Some(NoteFlaw::Form));
        assert_eq!(of(&format!("old  1\n{hash}\n")), Some(NoteFlaw::Number));
        assert_eq!(of(&format!("size 1\n{hash}\n")), Some(NoteFlaw::Form));
        assert_eq!(of(&format!("old 1\n{hash} \n")), Some(NoteFlaw::Base64));
        assert_eq!(of("old 1\nAAAA\n"), Some(NoteFlaw::Base64));
        let too_long = Some(NoteFlaw::Proof(ProofFlaw::TooLong));
        assert_eq!(of(&format!("old 1\n{}", format!("{hash}\n").repeat(64))), too_long);
        assert_eq!(AddCheckpoint::parse("old 1\n\n"), Err(NoteFlaw::Form));
        assert_eq!(AddCheckpoint::parse("old 1\n"), Err(NoteFlaw::Form));
    }

    #[test]
    fn an_offline_proof_holds_for_its_entry_its_place_and_its_log_only() {
        let mut tree = Tree::new();
        for entry in ["one", "two", "three", "four", "five"] {
            tree.append(leaf_hash(entry.as_bytes()));
        }
        let index = LeafIndex(2);
        let proof = inclusion_proof(&tree, index, tree.size()).expect("all known");
        let checkpoint = sign_checkpoint(&key(1), ORIGIN, &tree.head());
        for extra in [None, Some(b"beside".to_vec())] {
            let proof = TlogProof {
                index,
                proof: proof.clone(),
                checkpoint: checkpoint.as_str().to_owned(),
                extra: extra.clone(),
            };
            let text = proof.render();
            assert_eq!(TlogProof::parse(&text), Ok(proof.clone()));
            let public = key(1).public();
            assert_eq!(proof.verify(b"three", ORIGIN, &public), Ok(checkpoint.clone()));
            let flaw = Err(NoteFlaw::Proof(ProofFlaw::Root));
            assert_eq!(proof.verify(b"two", ORIGIN, &public), flaw);
            assert_eq!(proof.verify(b"three", WITNESS, &public), Err(NoteFlaw::Origin));
            for mutant in mutations(&text) {
                // Only the extra data may change unnoticed: nobody has signed it.
                if let Ok(read) = TlogProof::parse(&mutant) {
                    assert_eq!(read.render(), mutant);
                    let held = read.verify(b"three", ORIGIN, &public).is_ok();
                    assert!(!held || read.extra != extra, "{mutant:?}");
                }
            }
        }
        let start = format!("{PROOF_HEADER}\nindex 0\n\n{}", checkpoint.as_str());
        assert!(TlogProof::parse(&start).is_ok());
        let bad = |from: &str, to: &str| TlogProof::parse(&start.replacen(from, to, 1)).err();
        assert_eq!(bad("@v1", "@v2"), Some(NoteFlaw::Form));
        assert_eq!(bad("index 0", "index 00"), Some(NoteFlaw::Number));
        assert_eq!(bad("index 0", "extra \nindex 0"), Some(NoteFlaw::Form));
        assert_eq!(bad("index 0", "extra AA\nindex 0"), Some(NoteFlaw::Base64));
        assert_eq!(bad("index 0", "extra AAAA\nextra AAAA\nindex 0"), Some(NoteFlaw::Form));
        let long = format!("extra {}\nindex 0", "A".repeat(4 * MAX_EXTRA));
        assert_eq!(bad("index 0", &long), Some(NoteFlaw::TooLong));
        let extra = |length: usize| format!("extra {}\nindex 0", BASE64.encode(&vec![7; length]));
        assert_eq!(bad("index 0", &extra(MAX_EXTRA)), None);
        assert_eq!(bad("index 0", &extra(MAX_EXTRA + 1)), Some(NoteFlaw::TooLong));
    }
}

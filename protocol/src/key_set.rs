//! A State's keys: who signs for it, where its node listens, and how that changes (SPEC.md, section 3).
//!
//! A key set is self-authenticating. Version 1 is known by its fingerprint, which officers compare out of
//! band; version n+1 is accepted if the old and the new roots' thresholds sign it and it names version n.
//! Every key proves its possession by a signature of its own, so nobody can list another State's key as his.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::authority::{Function, Line, NodeId, StateCode, Timestamp};
use crate::deadline::{MAX_TARGETS, Target, WorkingCalendar};
use crate::json;
use crate::jws::{self, Header};
use crate::merkle::Hash;
use crate::note::{self, Checkpoint, NoteFlaw, NoteSignature, SignedCheckpoint};
use crate::sign::{PublicKey, SecretKey};

/// `typ` of a key set.
pub const TYP: &str = "liaison-keyset+jws";
/// `cty` of a key set.
pub const CTY: &str = "liaison.key-set.v1+json";
/// Largest serialised key set, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;
/// Longest life of a version: 13 months, in seconds.
pub const MAX_LIFE: u64 = 397 * 24 * 3600;
/// Most versions in one chain file.
pub const MAX_CHAIN: usize = 64;

/// What a key signs.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeyUse {
    /// Checkpoints of a log.
    Log,
    /// Messages.
    Msg,
    /// Cosignatures on others' checkpoints.
    Witness,
}

/// One key of a State.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Its name: `msg-1`, `log-1`, `witness-1`.
    pub kid: String,
    /// What it signs.
    #[serde(rename = "use")]
    pub usage: KeyUse,
    /// Always `Ed25519`.
    pub alg: String,
    /// The public key.
    #[serde(rename = "pub")]
    pub public: PublicKey,
    /// Valid from.
    pub nbf: Timestamp,
    /// Valid until.
    pub naf: Timestamp,
    /// For a message key: the functions it signs for; all of the authority's, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<Function>,
}

/// One root key.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Root {
    /// Its name: `root-1`.
    pub kid: String,
    /// The public key.
    #[serde(rename = "pub")]
    pub public: PublicKey,
}

/// One transport identity: the libp2p peer id of an Ed25519 key, which signs nothing but TLS.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TransportIdentity {
    /// The peer id.
    pub peer_id: String,
    /// Valid from.
    pub nbf: Timestamp,
    /// Valid until.
    pub naf: Timestamp,
}

/// One log of the node.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LogName {
    /// Its number, from 1.
    pub n: u32,
    /// The key that signs its checkpoints.
    pub kid: String,
}

/// A key that must not be believed any more.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// Which.
    pub kid: String,
    /// Since when.
    pub untrusted_from: Timestamp,
    /// Why.
    pub reason: Line,
}

/// How people reach the authority (Art. 13(2)).
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// Telephone numbers, at most 4.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phones: Vec<Line>,
    /// E-mail addresses, at most 4.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub emails: Vec<Line>,
}

/// The payload of a key set.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct KeySet {
    /// Format version: 1.
    pub v: u32,
    /// The node it is for.
    pub node: NodeId,
    /// The State.
    pub state: StateCode,
    /// The authority's official name.
    pub authority: Line,
    /// What the authority may do.
    pub functions: Vec<Function>,
    /// Number of this version, from 1.
    pub version: u64,
    /// Digest of the payload of the version before; absent in version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev: Option<Hash>,
    /// When it was issued.
    pub issued: Timestamp,
    /// When it expires: at most 13 months after it was issued.
    pub expires: Timestamp,
    /// The root keys, 1 to 9.
    pub roots: Vec<Root>,
    /// How many of them must sign.
    pub threshold: usize,
    /// Message, log and witness keys, at most 32.
    pub keys: Vec<Key>,
    /// Transport identities, 1 to 4.
    pub peers: Vec<TransportIdentity>,
    /// Where the node listens, as multiaddresses, at most 8; may be empty for a node that only dials.
    pub addrs: Vec<String>,
    /// The node's logs, the current one last.
    pub logs: Vec<LogName>,
    /// Keys not to be believed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revoked: Vec<Revocation>,
    /// How people reach the authority.
    pub contact: Contact,
    /// On which days it works; from Monday to Friday in UTC, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<WorkingCalendar>,
    /// The targets it sets itself for answering, at most 64; the usual ones, where none fits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Target>,
}

impl KeySet {
    /// The message key of that name, if it is listed here.
    pub fn message_key(&self, kid: &str) -> Option<&Key> {
        self.key(kid, KeyUse::Msg)
    }

    /// The number of the current log.
    pub fn current_log(&self) -> u32 {
        self.logs.last().map_or(1, |log| log.n)
    }

    /// The key of log `n`.
    pub fn log_key(&self, n: u32) -> Option<&PublicKey> {
        let log = self.logs.iter().find(|log| log.n == n)?;
        self.key(&log.kid, KeyUse::Log).map(|key| &key.public)
    }

    /// The keys with which this node's cosignatures are made.
    fn witness_keys(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(|key| key.usage == KeyUse::Witness)
    }

    /// The functions `key` signs for.
    pub fn functions_of<'a>(&'a self, key: &'a Key) -> &'a [Function] {
        if key.functions.is_empty() { &self.functions } else { &key.functions }
    }

    fn key(&self, kid: &str, usage: KeyUse) -> Option<&Key> {
        self.keys.iter().find(|key| key.kid == kid && key.usage == usage)
    }

    fn check_form(&self) -> Result<(), KeySetFlaw> {
        let wrong = |what| Err(KeySetFlaw::Form(what));
        let distinct = |names: Vec<&str>| names.iter().collect::<BTreeSet<_>>().len() == names.len();
        if self.v != 1 {
            return wrong("v is not 1");
        }
        if self.version == 0 || (self.version == 1) != self.prev.is_none() {
            return wrong("version 1 has no prev, later versions name the one before");
        }
        if self.expires <= self.issued || self.expires.0 - self.issued.0 > MAX_LIFE {
            return wrong("expires is not within 13 months after issued");
        }
        if self.roots.is_empty() || self.roots.len() > 9 || !(1..=self.roots.len()).contains(&self.threshold)
        {
            return wrong("1 to 9 roots, and a threshold among them");
        }
        if self.keys.len() > 32 || !(1..=4).contains(&self.peers.len()) || self.addrs.len() > 8 {
            return wrong("at most 32 keys, 1 to 4 peers, at most 8 addresses");
        }
        if !(1..=16).contains(&self.logs.len()) || self.revoked.len() > 64 || self.functions.len() > 16 {
            return wrong("1 to 16 logs, at most 64 revoked keys, at most 16 functions");
        }
        if self.contact.phones.len() > 4 || self.contact.emails.len() > 4 {
            return wrong("at most 4 phones and 4 emails");
        }
        if self.calendar.as_ref().is_some_and(|calendar| !calendar.is_bounded()) {
            return wrong(
                "calendar: an offset within 14 hours, a weekend of at most 6 days, at most 128 holidays",
            );
        }
        if self.targets.len() > MAX_TARGETS || !self.targets.iter().all(Target::is_bounded) {
            return wrong("targets: at most 64, each within 1 to 400 hours or days, for at most 32 States");
        }
        if self
            .addrs
            .iter()
            .chain(self.peers.iter().map(|p| &p.peer_id))
            .any(|text| text.len() > 200 || !text.is_ascii())
        {
            return wrong("addresses and peer ids are ASCII of at most 200 characters");
        }
        let names: Vec<&str> = self
            .keys
            .iter()
            .map(|key| key.kid.as_str())
            .chain(self.roots.iter().map(|root| root.kid.as_str()))
            .collect();
        if names.iter().any(|name| !is_key_name(name)) || !distinct(names) {
            return wrong("key names are distinct, of letters, digits and hyphens");
        }
        let publics: Vec<&[u8; 32]> = self
            .keys
            .iter()
            .map(|key| key.public.as_bytes())
            .chain(self.roots.iter().map(|root| root.public.as_bytes()))
            .collect();
        if publics.iter().collect::<BTreeSet<_>>().len() != publics.len() {
            return wrong("one key serves two purposes");
        }
        if self.keys.iter().any(|key| key.alg != jws::ALGORITHM || key.nbf > key.naf) {
            return wrong("a key's alg is Ed25519 and its nbf not after its naf");
        }
        if self.keys.iter().flat_map(|key| &key.functions).any(|function| !self.functions.contains(function))
        {
            return wrong("a key signs for functions that the authority does not hold");
        }
        if self.logs.iter().any(|log| log.n == 0)
            || self.logs.windows(2).any(|pair| pair[0].n >= pair[1].n)
            || self.logs.iter().any(|log| self.log_key(log.n).is_none())
        {
            return wrong("logs are numbered from 1, in order, and each has its key");
        }
        let is_revoked = |key: &Key| self.revoked.iter().any(|revoked| revoked.kid == key.kid);
        if self.witness_keys().all(is_revoked) || !self.keys.iter().any(|key| key.usage == KeyUse::Msg) {
            return wrong("a message key and a witness key are needed");
        }
        Ok(())
    }
}

fn is_key_name(name: &str) -> bool {
    (1..=32).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// General JSON serialisation of RFC 7515, section 7.2.1.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct General {
    payload: String,
    signatures: Vec<GeneralSignature>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct GeneralSignature {
    protected: String,
    signature: String,
}

/// The revocations in recorded key sets, one version per line. Nothing is verified: that was done before they were
/// recorded.
pub fn revocations(key_sets: &str) -> Vec<Revocation> {
    let payload = |line: &str| {
        let general: General = serde_json::from_str(line).ok()?;
        serde_json::from_slice::<KeySet>(&jws::decode(&general.payload)?).ok()
    };
    // Each version repeats those of the versions before.
    key_sets.lines().last().and_then(payload).map(|set| set.revoked).unwrap_or_default()
}

/// A key set whose signatures hold: its own roots' threshold signed it, and every key proved its possession.
///
/// Made only by [`sign`](Self::sign), [`first`](Self::first) and [`next`](Self::next).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedKeySet {
    set: KeySet,
    digest: Hash,
    json: String,
}

impl SignedKeySet {
    /// Sign a key set with everything that must sign it: root keys (of the version before, too) and its keys.
    pub fn sign(set: KeySet, signers: &[(&str, &SecretKey)]) -> Result<Self, KeySetFlaw> {
        let octets = json::canonical(&set);
        let payload = jws::encode(&octets);
        let signatures = signers
            .iter()
            .map(|(name, key)| {
                let header = Header::new(TYP, CTY.into(), format!("{}#{name}", set.node));
                let protected = jws::encode(&json::canonical(&header));
                let signature = jws::encode(&key.sign(&jws::signing_input(&protected, &payload)));
                GeneralSignature { protected, signature }
            })
            .collect();
        let json = serde_json::to_string(&General { payload, signatures }).expect("plain strings");
        let (signed, signers) = Self::open(&json)?;
        signed.check_signers(&signers)?;
        Ok(signed)
    }

    /// A State's version 1. Whether it is the one meant is decided by comparing [`fingerprint`](Self::fingerprint).
    pub fn first(json: &str) -> Result<Self, KeySetFlaw> {
        let (signed, signers) = Self::open(json)?;
        if signed.set.version != 1 {
            return Err(KeySetFlaw::NotNext);
        }
        signed.check_signers(&signers)?;
        Ok(signed)
    }

    /// The version after `before`: chained to it, signed by both versions' roots.
    pub fn next(json: &str, before: &Self) -> Result<Self, KeySetFlaw> {
        let (signed, signers) = Self::open(json)?;
        let (set, old) = (&signed.set, &before.set);
        if set.node != old.node
            || set.state != old.state
            || set.version != old.version + 1
            || set.prev != Some(before.digest)
        {
            return Err(KeySetFlaw::NotNext);
        }
        // A name keeps its key and a revocation stands, or mail under way would change its meaning.
        let renamed = set
            .keys
            .iter()
            .any(|key| old.keys.iter().any(|was| was.kid == key.kid && was.public != key.public));
        let unrevoked = old.revoked.iter().any(|was| !set.revoked.contains(was));
        if renamed || unrevoked {
            return Err(KeySetFlaw::Form("a key name has another key, or a revocation is taken back"));
        }
        signed.check_signers(&signers)?;
        if !enough_roots(&old.roots, old.threshold, &signers) {
            return Err(KeySetFlaw::OldRoots);
        }
        Ok(signed)
    }

    /// What it says.
    pub fn set(&self) -> &KeySet {
        &self.set
    }

    /// SHA-256 of the payload octets.
    pub fn digest(&self) -> Hash {
        self.digest
    }

    /// For version 1: the root fingerprint that officers compare.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(self.digest)
    }

    /// The signed bytes, as they travel.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Parse, and collect the signatures that verify under a key listed in the set or claimed by a root name.
    fn open(text: &str) -> Result<(Self, Signers), KeySetFlaw> {
        if text.len() > MAX_BYTES {
            return Err(KeySetFlaw::Form("larger than 64 KiB"));
        }
        let general: General =
            json::parse(text.as_bytes()).map_err(|_| KeySetFlaw::Form("not a JWS in general JSON form"))?;
        // One key set has one text: it is one line of a key set file, and nobody can pad it.
        if serde_json::to_string(&general).is_ok_and(|written| written != text) {
            return Err(KeySetFlaw::Form("not in its one form, without white space"));
        }
        if general.signatures.len() > 64 {
            return Err(KeySetFlaw::Form("more than 64 signatures"));
        }
        let octets = jws::decode(&general.payload).ok_or(KeySetFlaw::Form("the payload is not base64url"))?;
        let set: KeySet = json::parse_exact(&octets).map_err(|flaw| KeySetFlaw::Payload(flaw.to_string()))?;
        set.check_form()?;
        let mut inputs = Vec::new();
        for part in &general.signatures {
            let header: Header = jws::decode(&part.protected)
                .and_then(|bytes| json::parse_exact(&bytes).ok())
                .ok_or(KeySetFlaw::Form("a protected header is malformed"))?;
            let signature = jws::decode_signature(&part.signature)
                .ok_or(KeySetFlaw::Form("a signature is not 64 bytes of base64url"))?;
            let ours = header.alg == jws::ALGORITHM && header.typ == TYP && header.cty == CTY;
            let named = header.key_name().filter(|(node, _)| *node == set.node.as_str());
            let Some((_, name)) = named.filter(|_| ours) else {
                return Err(KeySetFlaw::Form("a protected header names another use or node"));
            };
            inputs.push((name.to_owned(), jws::signing_input(&part.protected, &general.payload), signature));
        }
        let signed = Self { set, digest: Hash::of(&octets), json: text.to_owned() };
        Ok((signed, Signers(inputs)))
    }

    fn check_signers(&self, signers: &Signers) -> Result<(), KeySetFlaw> {
        if !enough_roots(&self.set.roots, self.set.threshold, signers) {
            return Err(KeySetFlaw::Roots);
        }
        match self.set.keys.iter().find(|key| !signers.holds(&key.kid, &key.public)) {
            Some(key) => Err(KeySetFlaw::NotPossessed(key.kid.clone())),
            None => Ok(()),
        }
    }
}

struct Signers(Vec<(String, Vec<u8>, [u8; 64])>);

impl Signers {
    fn holds(&self, name: &str, key: &PublicKey) -> bool {
        self.0.iter().any(|(signer, input, signature)| signer == name && key.verifies(input, signature))
    }
}

fn enough_roots(roots: &[Root], threshold: usize, signers: &Signers) -> bool {
    roots.iter().filter(|root| signers.holds(&root.kid, &root.public)).count() >= threshold
}

/// A State's key sets from version 1 to the newest one held, each proven to follow the one before.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyChain(Vec<SignedKeySet>);

impl KeyChain {
    /// A chain of version 1 alone.
    pub fn start(first: SignedKeySet) -> Result<Self, KeySetFlaw> {
        if first.set.version == 1 { Ok(Self(vec![first])) } else { Err(KeySetFlaw::NotNext) }
    }

    /// Read a key set file: one signed version per line, version 1 first.
    pub fn parse(file: &str) -> Result<Self, KeySetFlaw> {
        let mut lines = file.lines().filter(|line| !line.trim().is_empty());
        let mut chain =
            Self::start(SignedKeySet::first(lines.next().ok_or(KeySetFlaw::Form("the file is empty"))?)?)?;
        for line in lines {
            chain.extend(line)?;
        }
        Ok(chain)
    }

    /// Add the version after the newest.
    pub fn extend(&mut self, json: &str) -> Result<&SignedKeySet, KeySetFlaw> {
        if self.0.len() >= MAX_CHAIN {
            return Err(KeySetFlaw::Form("more than 64 versions"));
        }
        let next = SignedKeySet::next(json, self.newest())?;
        self.0.push(next);
        Ok(self.newest())
    }

    /// The newest version.
    pub fn newest(&self) -> &SignedKeySet {
        self.0.last().expect("a chain starts with version 1")
    }

    /// What the newest version says.
    pub fn current(&self) -> &KeySet {
        &self.newest().set
    }

    /// What the version says that was in force at `at`: the newest issued by then.
    pub fn at(&self, at: Timestamp) -> &KeySet {
        let issued = self.0.iter().rev().find(|signed| signed.set.issued <= at);
        issued.map_or(&self.0[0].set, |signed| &signed.set)
    }

    /// The versions after `version`, oldest first.
    pub fn after(&self, version: u64) -> impl Iterator<Item = &SignedKeySet> {
        self.0.iter().filter(move |signed| signed.set.version > version)
    }

    /// The root fingerprint: that of version 1.
    pub fn fingerprint(&self) -> Fingerprint {
        self.0.first().expect("a chain starts with version 1").fingerprint()
    }

    /// A message key by its name: old mail still counts, so every version is searched, the newest first.
    pub fn message_key(&self, kid: &str) -> Option<(&KeySet, &Key)> {
        self.0.iter().rev().find_map(|signed| Some((&signed.set, signed.set.message_key(kid)?)))
    }

    /// Whether `key` was good at `at`: within its dates, and revoked by no version before.
    pub fn is_good_at(&self, key: &Key, at: Timestamp) -> bool {
        let revoked = self.0.iter().flat_map(|signed| &signed.set.revoked);
        key.nbf <= at
            && at <= key.naf
            && !revoked.into_iter().any(|revoked| revoked.kid == key.kid && revoked.untrusted_from <= at)
    }

    /// When this node cosigned `checkpoint`, if one of these lines is its cosignature, made with a key that was good
    /// then.
    pub fn cosigned_at(
        &self,
        lines: &[NoteSignature],
        checkpoint: &Checkpoint,
    ) -> Result<Timestamp, NoteFlaw> {
        let name = self.current().node.witness_name();
        let keys = || self.0.iter().flat_map(|signed| signed.set.witness_keys());
        let mut cosigned = Err(NoteFlaw::NotSigned);
        for line in lines.iter().filter(|line| line.name() == name) {
            for key in keys() {
                match note::open_cosignature(&line.to_string(), &name, &key.public, checkpoint).map(Timestamp)
                {
                    Ok(at) if self.is_good_at(key, at) => return Ok(at),
                    Ok(_) => cosigned = Err(NoteFlaw::Time),
                    Err(NoteFlaw::OtherSigner) => {}
                    Err(flaw) => cosigned = Err(flaw),
                }
            }
        }
        cosigned
    }

    /// Open a checkpoint of log `n` that may be older than the log's newest key, with the signatures of others beside
    /// it, unverified.
    pub fn open_checkpoint(
        &self,
        note: &str,
        n: u32,
    ) -> Result<(SignedCheckpoint, Vec<NoteSignature>), NoteFlaw> {
        let origin = self.current().node.log_origin(n);
        let mut opened = Err(NoteFlaw::NotSigned);
        for key in self.0.iter().filter_map(|signed| signed.set.log_key(n)) {
            opened = note::open_cosigned(note, &origin, key);
            // Only a note that some other key signed can still be good under the next.
            if opened != Err(NoteFlaw::NotSigned) {
                break;
            }
        }
        opened
    }

    /// The key of log `n`, whichever version lists it.
    pub fn log_key(&self, n: u32) -> Option<&PublicKey> {
        self.0.iter().rev().find_map(|signed| signed.set.log_key(n))
    }

    /// The file form: one signed version per line.
    pub fn file(&self) -> String {
        self.0.iter().map(|signed| format!("{}\n", signed.json)).collect()
    }
}

/// What officers compare at first contact: SHA-256 of version 1's payload octets.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint(Hash);

impl fmt::Display for Fingerprint {
    /// 64 hexadecimal digits in groups of four.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, pair) in self.0.as_bytes().chunks(2).enumerate() {
            let gap = if n == 0 { "" } else { " " };
            write!(f, "{gap}{:02x}{:02x}", pair[0], pair[1])?;
        }
        Ok(())
    }
}

/// A text that is no fingerprint.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a fingerprint is 64 hexadecimal digits, with or without spaces")]
pub struct BadFingerprint;

impl FromStr for Fingerprint {
    type Err = BadFingerprint;

    fn from_str(text: &str) -> Result<Self, BadFingerprint> {
        let digits: String = text.split_whitespace().collect::<String>().to_ascii_lowercase();
        let bytes = data_encoding::HEXLOWER.decode(digits.as_bytes()).map_err(|_| BadFingerprint)?;
        Ok(Self(Hash::from_bytes(bytes.try_into().map_err(|_| BadFingerprint)?)))
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = BadFingerprint;

    fn try_from(text: String) -> Result<Self, BadFingerprint> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> String {
        fingerprint.to_string()
    }
}

/// Why a key set is not accepted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeySetFlaw {
    /// Its form is wrong.
    #[error("the key set is malformed: {0}")]
    Form(&'static str),
    /// It is not the version after the one held.
    #[error("the key set does not follow the version before it")]
    NotNext,
    /// A key in it did not sign it.
    #[error("key {0} did not sign the key set: its possession is not proven")]
    NotPossessed(String),
    /// Too few of the roots of the version before signed it.
    #[error("too few roots of the version before signed the key set")]
    OldRoots,
    /// Its payload is not of the form it must be (bad keys are refused here, too).
    #[error("the key set's payload is malformed: {0}")]
    Payload(String),
    /// Too few of its own roots signed it.
    #[error("too few of its roots signed the key set")]
    Roots,
}

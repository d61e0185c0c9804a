//! Evidence: one exchange in one file, with all that a stranger needs to check it, offline and years later
//! (SPEC.md, section 11).
//!
//! An [`Evidence`] is made of what one of the two nodes holds. It is written as a list of plain files ([`Files`]) that
//! unrelated tools verify, and read back from such a list and nothing else. What it proves is for [`verify`] to say,
//! claim by claim. It never looks at what kind of messages an exchange has.

mod tar;
mod verify;

pub use tar::{TarFlaw, pack, packed_len, unpack};
pub use verify::{Claim, Heard, Report, Topic, verify};

use std::collections::BTreeMap;

use serde_json::Value;

use crate::authority::{By, StateCode, Timestamp};
use crate::entry::SALT_LEN;
use crate::envelope::{self, Verified};
use crate::handling::{Disclosure, Purpose, Recipient, Restraint, Withheld};
use crate::jws;
use crate::key_set::{KeyChain, KeySetFlaw};
use crate::merkle::{Hash, LeafIndex};
use crate::message::MessageId;
use crate::note::{AddCheckpoint, TlogProof};

/// Largest evidence file, in bytes.
pub const MAX_ARCHIVE: usize = 128 * 1024 * 1024;
/// Largest file in it, in bytes.
pub const MAX_FILE: usize = 32 * 1024 * 1024;
/// Most bytes of attachments in it: what is beyond stays out, and the verifier says so.
pub const MAX_ATTACHED: usize = 96 * 1024 * 1024;
/// Most files in it: as many small ones as an archive of that size may hold, so that no State can make an exchange too long
/// to be given out within half a year of refusals.
pub const MAX_FILES: usize = 64 * 1024;

/// The files of an evidence file by their names, with `/` between folders.
pub type Files = BTreeMap<String, Vec<u8>>;

/// One exchange, as the logs of both its States have it and as one of them can show it.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// The State that exports: the records behind its entries are opened.
    pub exporter: Party,
    /// The other: its entries are those it sent itself, with its proofs.
    pub other: Party,
    /// The sealed messages, in the order in which they came into the exporter's log.
    pub messages: Vec<String>,
    /// The content of attachments that they name, by the names of their files
    /// ([`file_name`](crate::attachment::Attachment::file_name)); as far as the exporter has it and it fits.
    pub attachments: BTreeMap<String, Vec<u8>>,
}

/// What is shown of one State.
#[derive(Clone, Debug, PartialEq)]
pub struct Party {
    /// Its key sets.
    pub chain: KeyChain,
    /// Its entries, by log number and place.
    pub proven: BTreeMap<(u32, LeafIndex), Proven>,
    /// By log number: the proof that the larger of two heads shown extends the smaller. Only where there are two.
    pub extensions: BTreeMap<u32, AddCheckpoint>,
}

impl Party {
    /// Its State.
    pub fn state(&self) -> &StateCode {
        &self.chain.current().state
    }

    /// The folder its files are in: the domain of its node.
    fn folder(&self) -> &str {
        let node = self.chain.current().node.as_str();
        node.strip_suffix(NODE).unwrap_or(node)
    }
}

/// An entry, and the proof of its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Proven {
    /// The entry, byte for byte.
    pub entry: String,
    /// Its place under a head that its log signed, with the other State's cosignature where there is one.
    pub proof: TlogProof,
    /// The record behind it, if that is opened.
    pub opened: Option<Opened>,
}

/// A record, and the salt with which its entry commits to it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Opened {
    /// The salt.
    pub salt: [u8; SALT_LEN],
    /// The record's bytes.
    pub record: Vec<u8>,
}

/// For whom an evidence file was made: said to its reader in `README.txt`, and recorded in the exporter's log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Given {
    /// Which exchange.
    pub exchange: MessageId,
    /// For what.
    pub purpose: Purpose,
    /// To whom.
    pub to: Recipient,
    /// By whom.
    pub by: By,
    /// When.
    pub at: Timestamp,
}

/// Which of these messages of `giver` may not leave our house by `disclosure`, and why (R-12.5a, R-12.5b). What we said
/// ourselves we may always give.
pub fn withheld<'a>(
    theirs: impl IntoIterator<Item = &'a Verified>,
    giver: &StateCode,
    disclosure: &Disclosure,
) -> Vec<Withheld> {
    let restrained = |verified: &'a Verified| {
        let handling = &verified.message().handling;
        let permitted = handling.permits(giver, disclosure);
        // A condition in a form that we do not write is one that we have not understood.
        let exact = said_handling(verified) == serde_json::to_value(handling).ok();
        let unclear = permitted.is_ok() && !exact && disclosure.to != Recipient::State(giver.clone());
        let restraint = if unclear { Some(Restraint::NotUnderstood) } else { permitted.err() };
        restraint.map(|restraint| Withheld { message: verified.id(), restraint })
    };
    theirs.into_iter().filter_map(restrained).collect()
}

/// The conditions as they stand in the sealed bytes.
fn said_handling(verified: &Verified) -> Option<Value> {
    let payload = jws::decode(verified.token().split('.').nth(1)?)?;
    serde_json::from_slice::<Value>(&payload).ok()?.get("handling").cloned()
}

/// Why files are not those of an evidence file.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{file}: {why}")]
pub struct Layout {
    /// The file or folder.
    pub file: String,
    /// What is wrong.
    pub why: String,
}

impl Evidence {
    /// The files, given for what `given` says.
    pub fn files(&self, given: &Given) -> Files {
        let mut files = Files::new();
        for (token, number) in self.messages.iter().zip(1..) {
            files.insert(message_file(number), token.clone().into_bytes());
        }
        for (name, content) in &self.attachments {
            files.insert(attachment_file(name), content.clone());
        }
        for party in [&self.exporter, &self.other] {
            let folder = party.folder();
            files.insert(format!("{folder}/{KEY_SETS}"), party.chain.file().into_bytes());
            for ((log, leaf), proven) in &party.proven {
                let mut put = |ending: &str, bytes: Vec<u8>| {
                    drop(files.insert(leaf_file(folder, *log, *leaf, ending), bytes))
                };
                put(ENTRY, proven.entry.clone().into_bytes());
                put(PROOF, proven.proof.render().into_bytes());
                if let Some(opened) = &proven.opened {
                    put(SALT, opened.salt.to_vec());
                    put(RECORD, opened.record.clone());
                }
            }
            for (log, extension) in &party.extensions {
                files.insert(format!("{folder}/log{log}/{EXTENSION}"), extension.render().into_bytes());
            }
        }
        files.insert(SCRIPT.to_owned(), SCRIPT_TEXT.into());
        files.insert(README.to_owned(), self.readme(&self.given_lines(given)).into_bytes());
        let sums = sums(&files).into_bytes();
        files.insert(SUMS.to_owned(), sums);
        files
    }

    /// Read the files back. Their form is checked, and the key sets; what they prove is for [`verify`].
    pub fn read(files: &Files) -> Result<Self, Layout> {
        let mut folders: BTreeMap<&str, Folder<'_>> = BTreeMap::new();
        let (mut messages, mut attachments) = (BTreeMap::new(), BTreeMap::new());
        for (name, bytes) in files {
            let bad = |why: &str| Layout { file: name.clone(), why: why.to_owned() };
            let text = || str::from_utf8(bytes).map_err(|_| bad("it is not text"));
            match name.split('/').collect::<Vec<_>>().as_slice() {
                [README | SCRIPT | SUMS] => {}
                [MESSAGES, file] => {
                    let number = file.strip_suffix(TOKEN).and_then(|number| number.parse::<usize>().ok());
                    let number = number.filter(|number| message_file(*number) == *name);
                    let number = number.ok_or_else(|| bad("messages are numbered from 01 on"))?;
                    messages.insert(number, text()?.to_owned());
                }
                [ATTACHMENTS, file] => drop(attachments.insert((*file).to_owned(), bytes.clone())),
                [folder, KEY_SETS] => folders.entry(folder).or_default().key_sets = Some(text()?),
                [folder, log, file] => {
                    let number = log.strip_prefix("log").and_then(|number| number.parse::<u32>().ok());
                    let number = number.filter(|number| format!("log{number}") == *log && *number > 0);
                    let number = number.ok_or_else(|| bad("not a log"))?;
                    let folder = folders.entry(folder).or_default();
                    if *file == EXTENSION {
                        let extension = AddCheckpoint::parse(text()?).map_err(|f| bad(&f.to_string()))?;
                        folder.extensions.insert(number, extension);
                        continue;
                    }
                    let (leaf, ending) = file.split_once('.').ok_or_else(|| bad("no part of evidence"))?;
                    let leaf = leaf.parse::<u64>().ok().filter(|number| number.to_string() == leaf);
                    let leaf = LeafIndex(leaf.ok_or_else(|| bad("not the place of an entry"))?);
                    let shown = folder.leaves.entry((number, leaf)).or_default();
                    match ending {
                        ENTRY => shown.entry = Some(text()?),
                        PROOF => {
                            let proof = TlogProof::parse(text()?).map_err(|f| bad(&f.to_string()))?;
                            // One file, one spelling, and nothing that nobody has signed.
                            if proof.extra.is_some() || proof.index != leaf || proof.render() != text()? {
                                return Err(bad("not the proof of this place, or with something added"));
                            }
                            shown.proof = Some(proof);
                        }
                        RECORD => shown.record = Some(bytes),
                        SALT => {
                            let salt = bytes.as_slice().try_into();
                            shown.salt = Some(salt.map_err(|_| bad("a salt has 32 bytes"))?);
                        }
                        _ => return Err(bad("no part of evidence")),
                    }
                }
                _ => return Err(bad("no part of evidence")),
            }
        }
        if messages.keys().zip(1..).any(|(number, expected)| *number != expected) || messages.is_empty() {
            return Err(Layout { file: MESSAGES.to_owned(), why: "a message is missing".to_owned() });
        }
        let parties: Vec<Party> =
            folders.into_iter().map(|(name, folder)| folder.party(name)).collect::<Result<_, _>>()?;
        let wrong = |why: &str| Layout { file: "the folders of the States".to_owned(), why: why.to_owned() };
        let [one, two] = <[Party; 2]>::try_from(parties).map_err(|_| wrong("there must be two"))?;
        let opens = |party: &Party| {
            let opened = party.proven.values().filter(|proven| proven.opened.is_some()).count();
            (opened > 0, opened == party.proven.len())
        };
        let (exporter, other) = match (opens(&one), opens(&two)) {
            ((true, true), (false, _)) => (one, two),
            ((false, _), (true, true)) => (two, one),
            _ => return Err(wrong("all records of one of the two must be opened, and none of the other")),
        };
        Ok(Self { exporter, other, messages: messages.into_values().collect(), attachments })
    }

    /// `README.txt`, with these lines of what it was given for.
    fn readme(&self, given: &str) -> String {
        let mut text = README_START.to_owned();
        let exchange = self.messages.first().and_then(|token| envelope::id_of(token));
        text += &fact("exchange", &exchange.map(|id| id.to_string()).unwrap_or_default());
        for (name, party) in [("exported by", &self.exporter), ("with", &self.other)] {
            let set = party.chain.current();
            text += &fact(name, &format!("{}, {}", set.state, set.authority));
            text += &fact("", &format!("folder {}/", party.folder()));
            text += &fact("", "fingerprint of its first key set:");
            text += &fact("", &party.chain.fingerprint().to_string());
        }
        text + given + README_REST
    }

    fn given_lines(&self, given: &Given) -> String {
        let purpose = serde_json::to_value(given.purpose).unwrap_or_default();
        let whom = match &given.to {
            Recipient::State(state) => state.to_string(),
            own => format!("{own} of {}", self.exporter.state()),
        };
        [
            fact("given for", purpose.as_str().unwrap_or_default()),
            fact("given to", &whom),
            fact("given by", &format!("{}, {}", given.by, given.at)),
        ]
        .concat()
    }

    /// Whether this `README.txt` says of the evidence what is so. What it was given for, nobody has signed.
    fn is_told_by(&self, readme: &[u8]) -> bool {
        let text = String::from_utf8_lossy(readme);
        let given: String = text.split_inclusive('\n').filter(|line| line.starts_with("given ")).collect();
        given.lines().count() == 3 && given.len() <= 1024 && self.readme(&given) == text
    }
}

/// A line of `README.txt`.
fn fact(name: &str, value: &str) -> String {
    format!("{name:<12} {value}\n")
}

/// What was found of one State.
#[derive(Default)]
struct Folder<'a> {
    key_sets: Option<&'a str>,
    leaves: BTreeMap<(u32, LeafIndex), Shown<'a>>,
    extensions: BTreeMap<u32, AddCheckpoint>,
}

/// What was found of one entry.
#[derive(Default)]
struct Shown<'a> {
    entry: Option<&'a str>,
    proof: Option<TlogProof>,
    record: Option<&'a Vec<u8>>,
    salt: Option<[u8; SALT_LEN]>,
}

impl Folder<'_> {
    fn party(self, name: &str) -> Result<Party, Layout> {
        let file = format!("{name}/{KEY_SETS}");
        let bad = |why: String| Layout { file: file.clone(), why };
        let text = self.key_sets.ok_or_else(|| bad("it is missing".to_owned()))?;
        let chain = KeyChain::parse(text).map_err(|flaw: KeySetFlaw| bad(flaw.to_string()))?;
        if chain.current().node.as_str() != format!("{name}{NODE}") || chain.file() != text {
            return Err(bad("not the key sets of that node, one version per line".to_owned()));
        }
        let mut proven = BTreeMap::new();
        for ((log, leaf), shown) in self.leaves {
            let missing = |ending: &str| Layout {
                file: leaf_file(name, log, leaf, ending),
                why: "it is missing".to_owned(),
            };
            let opened = match (shown.salt, shown.record) {
                (Some(salt), Some(record)) => Some(Opened { salt, record: record.clone() }),
                (None, None) => None,
                (None, Some(_)) => return Err(missing(SALT)),
                (Some(_), None) => return Err(missing(RECORD)),
            };
            let entry = shown.entry.ok_or_else(|| missing(ENTRY))?.to_owned();
            let proof = shown.proof.ok_or_else(|| missing(PROOF))?;
            proven.insert((log, leaf), Proven { entry, proof, opened });
        }
        Ok(Party { chain, proven, extensions: self.extensions })
    }
}

fn message_file(number: usize) -> String {
    format!("{MESSAGES}/{number:02}{TOKEN}")
}

fn attachment_file(name: &str) -> String {
    format!("{ATTACHMENTS}/{name}")
}

fn leaf_file(folder: &str, log: u32, leaf: LeafIndex, ending: &str) -> String {
    format!("{folder}/log{log}/{leaf}.{ending}")
}

/// `SHA256SUMS` over all files but itself, as `sha256sum` writes it.
fn sums(files: &Files) -> String {
    let lines = files.iter().filter(|(name, _)| *name != SUMS).map(|(name, bytes)| {
        let sum = data_encoding::HEXLOWER.encode(Hash::of(bytes).as_bytes());
        format!("{sum}  {name}\n")
    });
    lines.collect()
}

const README: &str = "README.txt";
const SCRIPT: &str = "verify.py";
const SUMS: &str = "SHA256SUMS";
const MESSAGES: &str = "messages";
const ATTACHMENTS: &str = "attachments";
const KEY_SETS: &str = "key-sets";
const EXTENSION: &str = "extension";
const TOKEN: &str = ".jws";
const ENTRY: &str = "entry.json";
const PROOF: &str = "tlog-proof";
const RECORD: &str = "record.json";
const SALT: &str = "salt";
/// How every node id ends.
const NODE: &str = "/liaison";

/// The verifier that travels with every evidence file.
const SCRIPT_TEXT: &str = include_str!("evidence/verify.py");

const README_START: &str = "\
EVIDENCE OF AN EXCHANGE BETWEEN TWO STATES' FIREARMS AUTHORITIES

It proves what one State's authority said to the other's, that each wrote it into its log, and
when, to anyone, without asking either of them. The facts below are for orientation; the proofs
are in the files.

";

const README_REST: &str = "
HOW TO CHECK IT

1. Compare the two fingerprints that the check prints, over a channel you trust, with those the two
   authorities publish. Everything hangs on them.
2. Unpack the archive, and in its folder:   python3 verify.py
   It needs Python 3 and its package `cryptography`, and no network. Its last line says whether
   everything holds; NOT CHECKED TO THE END means that the machine, not the evidence, is at fault.
3. Or, with the command of the project that wrote it, on the archive as it is:
   liaison evidence verify FILE --fingerprint \"...\" --fingerprint \"...\"
   It checks more (whether keys are sound, the exact form of every message) and says claim by
   claim what holds.
4. Or by hand with openssl and sha256sum: the specification (SPEC.md, section 11) has the commands.

WHAT IS HERE

messages/NN.jws             what was said: one JSON Web Signature each (RFC 7515, Ed25519)
attachments/DIGEST.ENDING   photographs and documents that a message names in `att`: SHA-256 over the
                            16 bytes of `salt` there and this file is `digest` there
DOMAIN/key-sets             who signs for that State: its signed key sets, the first one first
DOMAIN/logN/L.entry.json    entry number L of that State's log, byte for byte
DOMAIN/logN/L.tlog-proof    that it stands there (C2SP tlog-proof): the log's signed head, and on it,
                            where there is one, the other State's dated cosignature
DOMAIN/logN/L.record.json   what is behind the entry, and
DOMAIN/logN/L.salt          the 32 bytes before it: SHA-256 of both is `c` of the entry. Only of the
                            State that exported this
DOMAIN/logN/extension       where two heads of one log are shown: that one extends the other
SHA256SUMS                  for accidents of copying only: `sha256sum -c SHA256SUMS`

WHAT IT DOES NOT PROVE

That nothing was said later, or in another exchange. That what was said is true. The clock of a
State is its own; a cosignature bears the clock of the other one.

That it was given for, to and by whom it says above: nobody has signed this page. Whose heads bear no
cosignature of the other State has only its own word that it has no second history.

Persons, where a message names any, are in records of kind `part`; who exports may leave them out.
The conditions of use stand in each message, member `handling`. They bind whoever holds this file.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verifier_that_travels_along_is_short_enough_to_be_read() {
        let lines: Vec<&str> = SCRIPT_TEXT.lines().collect();
        assert!(lines.len() <= 249, "{} lines", lines.len());
        assert!(lines.iter().all(|line| line.chars().count() <= 120));
        assert!(README_START.lines().chain(README_REST.lines()).all(|line| line.len() <= 104));
    }
}

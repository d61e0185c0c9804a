//! What courts and auditors read: evidence files and log folders. Whatever was altered does not hold, or changes nothing.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::OnceLock;

use liaison_protocol::audit::{Folder, ListedFolder, verify_log};
use liaison_protocol::authority::By;
use liaison_protocol::entry::{Logged, Record, Written};
use liaison_protocol::evidence::{self, Evidence, Files, Given, Opened, Party, Proven, pack, unpack, verify};
use liaison_protocol::handling::{Purpose, Recipient};
use liaison_protocol::key_set::KeyChain;
use liaison_protocol::merkle::{LeafIndex, Tree, inclusion_proof, leaf_hash};
use liaison_protocol::note::{SignedCheckpoint, TlogProof, cosign, sign_checkpoint};
use liaison_protocol::tile::{encode_bundle, encode_tile, tiles};

use crate::world::{self, DAY, KENYA, PERU, START, opener, request};

/// An archive: one list of files has one.
pub(crate) fn archive(bytes: &[u8]) {
    let Ok(files) = unpack(bytes) else { return };
    assert_eq!(pack(&files).as_deref(), Ok(bytes));
    let report = verify(&files);
    if report.holds() {
        assert!(report.exchange().is_some() && report.parties().len() == 2);
    }
    if let Ok(read) = Evidence::read(&files) {
        assert!(!read.messages.is_empty());
    }
}

/// Evidence of which a few bytes were changed, or a file taken away or put in.
pub(crate) fn altered_evidence(bytes: &[u8]) {
    static GOOD: OnceLock<Files> = OnceLock::new();
    let good = GOOD.get_or_init(good_evidence);
    let files = altered(good, bytes);
    if files != *good {
        assert!(!verify(&files).holds(), "altered, and it holds: {:?}", differing(good, &files));
    }
}

/// A log folder of which a few bytes were changed, or a file taken away or put in.
pub(crate) fn altered_log(bytes: &[u8]) {
    static GOOD: OnceLock<Shelves> = OnceLock::new();
    let good = GOOD.get_or_init(good_log);
    let files = Shelves(altered(&good.0, bytes));
    let Ok(report) = verify_log(&files, None, |_| ()) else { return };
    let held = verify_log(good, None, |_| ()).expect("nothing was altered");
    // Witnesses may be taken away, and files that nobody reads put in: the log itself is what it was.
    assert_eq!((report.checkpoint(), report.kinds()), (held.checkpoint(), held.kinds()));
    assert_eq!((report.times(), report.chain().fingerprint()), (held.times(), held.chain().fingerprint()));
    for witness in report.witnesses() {
        assert!(held.witnesses().contains(witness), "a witness that saw nothing");
    }
}

/// What an archive is like whose files were altered: for seeds.
pub(crate) fn good_archive() -> Vec<u8> {
    pack(&good_evidence()).expect("small")
}

/// Five bytes an edit: what, which file, where, and with what.
fn altered(good: &Files, bytes: &[u8]) -> Files {
    let mut files = good.clone();
    for [what, file, high, low, byte] in bytes.as_chunks::<5>().0 {
        let Some(name) = files.keys().nth(usize::from(*file) % files.len().max(1)).cloned() else { continue };
        let content = files.get_mut(&name).expect("it is listed");
        let at = usize::from(u16::from_be_bytes([*high, *low])) % content.len().max(1);
        match what % 7 {
            0 if !content.is_empty() => content[at] ^= byte,
            1 => content.insert(at, *byte),
            2 if !content.is_empty() => drop(content.remove(at)),
            3 => content.truncate(at),
            4 => drop(files.remove(&name)),
            5 => drop(files.insert(format!("{name}{}", char::from(b'a' + byte % 26)), vec![*byte])),
            6 => {
                // One file in the place of another.
                let other = files.values().nth(usize::from(*byte) % files.len()).expect("within").clone();
                files.insert(name, other);
            }
            _ => {}
        }
    }
    files
}

fn differing<'a>(good: &'a Files, other: &'a Files) -> Vec<&'a String> {
    let all = good.keys().chain(other.keys());
    all.filter(|name| good.get(*name) != other.get(*name)).collect()
}

/// One State's log, as its node keeps it.
struct Book {
    party: world::Party,
    written: Vec<Written>,
    tree: Tree,
}

impl Book {
    fn new(party: world::Party) -> Self {
        let mut book = Self { party, written: Vec::new(), tree: Tree::new() };
        book.write(Record::Genesis {
            node: party.node(),
            state: party.state.parse().expect("a State"),
            log: 1,
        });
        book.write(Record::KeySet { node: party.node(), key_set: party.signed().json().to_owned() });
        book
    }

    fn write(&mut self, record: Record) -> LeafIndex {
        let count = self.written.len();
        self.written.push(record.write(START.plus(DAY + count as u64), &[count as u8; 32]));
        self.tree.append(leaf_hash(self.written[count].entry.as_bytes()))
    }

    fn head(&self) -> SignedCheckpoint {
        sign_checkpoint(&self.party.secret("log-1"), &self.party.node().log_origin(1), &self.tree.head())
    }

    fn proof(&self, leaf: LeafIndex, checkpoint: String) -> TlogProof {
        let proof = inclusion_proof(&self.tree, leaf, self.tree.size()).expect("all known");
        TlogProof { index: leaf, proof, checkpoint, extra: None }
    }

    /// The head with the cosignature of `by`.
    fn seen_by(&self, by: &world::Party) -> String {
        let signed = self.head();
        let at = START.plus(2 * DAY).0;
        let line = cosign(&by.secret("witness-1"), &by.node().witness_name(), at, signed.checkpoint());
        signed.with_cosignatures([line.as_str()])
    }
}

/// Kenya shows that Peru asked.
fn good_evidence() -> Files {
    let asked = PERU.seal(opener(&PERU, &KENYA, 1, request()));
    let (token, mut ken, mut per) = (asked.token().to_owned(), Book::new(KENYA), Book::new(PERU));
    let sent = per.write(Record::Sent { to: KENYA.node(), token: token.clone() });
    let theirs = per.proof(sent, per.head().as_str().to_owned());
    let entry = per.written[sent.0 as usize].entry.clone();
    let proof = Logged { entry: entry.clone(), leaf: sent, proof: theirs.proof.clone() };
    let head = *per.head().head();
    let taken = ken.write(Record::Received { from: PERU.node(), token: token.clone(), proof, head });
    let Written { entry: line, record, salt } = ken.written[taken.0 as usize].clone();
    let party = |chain: KeyChain, leaf, proven| Party {
        chain,
        proven: BTreeMap::from([((1, leaf), proven)]),
        extensions: BTreeMap::new(),
    };
    let ours = Proven {
        entry: line,
        proof: ken.proof(taken, ken.seen_by(&PERU)),
        opened: Some(Opened { salt, record }),
    };
    let evidence = Evidence {
        exporter: party(KENYA.chain(), taken, ours),
        other: party(PERU.chain(), sent, Proven { entry, proof: theirs, opened: None }),
        messages: vec![token],
        attachments: BTreeMap::new(),
    };
    let files = evidence.files(&Given {
        exchange: asked.id(),
        purpose: Purpose::Licensing,
        to: Recipient::Court,
        by: By::Officers { prepared: "okello".parse().expect("an officer"), approved: None },
        at: START.plus(3 * DAY),
    });
    assert!(evidence::verify(&files).holds(), "the good one holds");
    files
}

/// Kenya's log of 260 entries, seen by Peru.
fn good_log() -> Shelves {
    let mut book = Book::new(KENYA);
    while book.tree.size() < 260 {
        book.write(Record::HeadSeen {
            node: PERU.node(),
            checkpoint: String::new(),
            head: *book.head().head(),
        });
    }
    let mut files = Files::new();
    for tile in tiles(book.tree.size()) {
        files.insert(tile.path(), encode_tile(&tile.hashes(&book.tree).expect("all known")));
        if tile.level == 0 {
            let first = tile.leaves(0).start.0 as usize;
            let lines = &book.written[first..first + usize::from(tile.width)];
            let bundle = encode_bundle(lines.iter().map(|written| written.entry.as_bytes()));
            files.insert(tile.entries_path(), bundle.expect("short entries"));
        }
    }
    files.insert("checkpoint".into(), book.head().as_str().into());
    files.insert("key-sets".into(), KENYA.chain().file().into());
    files.insert(format!("witnessed/{}.checkpoint", PERU.domain), book.seen_by(&PERU).into());
    files.insert(format!("witnessed/{}.key-sets", PERU.domain), PERU.chain().file().into());
    let shelves = Shelves(files);
    let report = verify_log(&shelves, None, |_| ()).expect("the good one holds");
    assert_eq!(report.witnesses().len(), 1);
    shelves
}

struct Shelves(Files);

impl Folder for Shelves {
    type Error = Infallible;

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.0.get(path).cloned())
    }
}

impl ListedFolder for Shelves {
    fn names(&self, path: &str) -> Result<Vec<String>, Infallible> {
        let below = format!("{path}/");
        Ok(self.0.keys().filter_map(|file| file.strip_prefix(&below)).map(str::to_owned).collect())
    }
}

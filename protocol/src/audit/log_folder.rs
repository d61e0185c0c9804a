//! The audit of a node's log folder that explains itself: key sets, entries and witnesses beside the tiles.
//!
//! [`Audit`] holds a folder against a key and heads that the caller already trusts. Here they come from the
//! folder: `key-sets` says whose log it is, `witnessed/` which heads other States cosigned. All of it hangs on
//! fingerprints, the log's own and those of the witnesses, which the caller compares with the ones he holds.

use std::collections::BTreeMap;
use std::fmt;

use super::{Audit, AuditFlaw, Folder, Progress, read};
use crate::authority::{NodeId, Timestamp};
use crate::entry::{BadEntry, Entry, EntryKind};
use crate::key_set::{Fingerprint, KeyChain, KeySetFlaw};
use crate::merkle::{LeafIndex, TreeHead};
use crate::note::{Checkpoint, NoteFlaw, SignedCheckpoint, SignedNote};

/// A [`Folder`] that can say which files it has.
pub trait ListedFolder: Folder {
    /// The names of the files in the folder at `path`, without it; none if there is no such folder.
    fn names(&self, path: &str) -> Result<Vec<String>, Self::Error>;
}

/// What a log folder proves.
///
/// Made only by [`verify_log`], so holding one is the proof. That the key sets are the States' own it does not
/// prove: their fingerprints decide.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    chain: KeyChain,
    signed: SignedCheckpoint,
    contents: Contents,
    witnesses: Vec<Witnessed>,
}

impl Report {
    /// The key sets of the node whose log it is.
    pub fn chain(&self) -> &KeyChain {
        &self.chain
    }

    /// The checkpoint that the folder bears out.
    pub fn checkpoint(&self) -> &Checkpoint {
        self.signed.checkpoint()
    }

    /// How many entries of each kind there are.
    pub fn kinds(&self) -> &BTreeMap<EntryKind, u64> {
        &self.contents.kinds
    }

    /// The times of the first and the last entry; `None` in an empty log.
    pub fn times(&self) -> Option<(Timestamp, Timestamp)> {
        self.contents.times
    }

    /// Who cosigned the log, at which size and when, in the order of their names.
    pub fn witnesses(&self) -> &[Witnessed] {
        &self.witnesses
    }
}

/// A head of the log that another State's node has cosigned.
#[derive(Clone, Debug, PartialEq)]
pub struct Witnessed {
    /// Its key sets.
    pub chain: KeyChain,
    /// What it cosigned: the log had this root at this size.
    pub head: TreeHead,
    /// When, by its clock.
    pub at: Timestamp,
}

/// Verify a log folder: the files of C2SP tlog-tiles with `key-sets` and `witnessed/` beside them.
///
/// If `expected` is given, the root of `key-sets` must have that fingerprint; else whoever reads the report
/// compares it. `progress` hears how many entries were checked.
pub fn verify_log<F: ListedFolder + Sync>(
    folder: &F,
    expected: Option<&Fingerprint>,
    progress: impl FnMut(Progress),
) -> Result<Report, LogFlaw> {
    verify_log_by(&OneHand, folder, expected, progress)
}

/// Who does what can be done in any order.
pub trait Hands {
    /// `make` something of each number below `count`, in any order, and let `take` have it in order, until that says
    /// stop (`false`).
    fn each<T: Send>(&self, count: u64, make: impl Fn(u64) -> T + Sync, take: impl FnMut(T) -> bool);
}

/// One thing after the other.
pub struct OneHand;

impl Hands for OneHand {
    fn each<T: Send>(&self, count: u64, make: impl Fn(u64) -> T + Sync, mut take: impl FnMut(T) -> bool) {
        let _ = (0..count).all(|number| take(make(number)));
    }
}

/// The same as [`verify_log`], with more hands than one.
pub fn verify_log_by<F: ListedFolder + Sync>(
    hands: &impl Hands,
    folder: &F,
    expected: Option<&Fingerprint>,
    mut progress: impl FnMut(Progress),
) -> Result<Report, LogFlaw> {
    let chain = key_sets(folder, KEY_SETS)?;
    let found = chain.fingerprint();
    if let Some(expected) = expected.filter(|expected| **expected != found) {
        return Err(LogFlaw::Fingerprint { expected: *expected, found });
    }
    let log = LogId::of(folder, &chain)?;
    let witnesses = witnesses(folder, &log)?;
    let heads: Vec<TreeHead> = witnesses.iter().map(|witness| witness.head).collect();
    let key = chain.log_key(log.number).ok_or(AuditFlaw::Checkpoint(NoteFlaw::Origin))?;
    // Which head does not fit is known to the audit, whose it is to us.
    let of_witness = |flaw| match &flaw {
        AuditFlaw::Ahead { head, .. } | AuditFlaw::Head { head, .. } => {
            match witnesses.iter().find(|witness| witness.head == *head) {
                Some(witness) => LogFlaw::History { file: file_of(witness, CHECKPOINT), flaw },
                None => LogFlaw::Audit(flaw),
            }
        }
        _ => LogFlaw::Audit(flaw),
    };
    let mut audit = Audit::open(folder, &log.origin, key, &heads).map_err(of_witness)?;
    let mut contents = Contents::default();
    let blocks = audit.blocks();
    let mut outcome = Ok(Some(Progress { checked: 0, size: audit.checkpoint().head().size }));
    hands.each(
        blocks.count(),
        |index| blocks.read(index, |_, line| Line::read(line)),
        |block| {
            outcome = audit.take(block, |leaf, line| contents.take(leaf, line));
            if let Ok(Some(made)) = outcome {
                progress(made);
            }
            outcome.is_ok()
        },
    );
    outcome.map_err(of_witness)?;
    // An empty log has no block, and is checked all the same.
    let mut look = |leaf, line: &[u8]| -> Result<(), String> {
        let line = Line::read(line).map_err(|why| why.to_string())?;
        contents.take(leaf, line).map_err(|why| why.to_string())
    };
    while let Some(made) = audit.step(&mut look).map_err(of_witness)? {
        progress(made);
    }
    Ok(Report { signed: audit.checkpoint().clone(), chain, contents, witnesses })
}

/// What is wrong with a log folder. Paths are relative to it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LogFlaw {
    /// Tiles, entries and checkpoint do not hold.
    #[error(transparent)]
    Audit(#[from] AuditFlaw),
    /// No key of the witness has signed the head, or none that was good at that time.
    #[error("{file}: no cosignature of {by} by a key that was good at its time: {flaw}")]
    Cosignature {
        /// The checkpoint.
        file: String,
        /// Whose cosignature it should have.
        by: NodeId,
        /// Why the last line that could be it is not.
        flaw: NoteFlaw,
    },
    /// The log is another State's than was expected.
    #[error("key-sets: the root fingerprint is\n  {found}\nand should be\n  {expected}")]
    Fingerprint {
        /// The one held.
        expected: Fingerprint,
        /// The one of the file.
        found: Fingerprint,
    },
    /// The log is not the one this witness has cosigned: one of the two was rewritten or cut short.
    #[error("{file}: {flaw}")]
    History {
        /// The checkpoint with the cosigned head.
        file: String,
        /// How the log differs from it.
        flaw: AuditFlaw,
    },
    /// A key set file does not hold.
    #[error("{file}: {flaw}")]
    KeySets {
        /// The file.
        file: String,
        /// What is wrong with it.
        flaw: KeySetFlaw,
    },
    /// A file is not there.
    #[error("{0} is missing")]
    Missing(String),
    /// The file's name is that of one node, its key sets are another's, or our own.
    #[error("{file}: the key sets are those of {node}")]
    Named {
        /// The key set file.
        file: String,
        /// Whose it is.
        node: NodeId,
    },
    /// A cosigned checkpoint is not signed by this log.
    #[error("{file}: {flaw}")]
    Witnessed {
        /// The checkpoint.
        file: String,
        /// What is wrong with it.
        flaw: NoteFlaw,
    },
}

/// A log by its name: which of the node's logs it is stands in the checkpoint.
struct LogId<'a> {
    chain: &'a KeyChain,
    origin: String,
    number: u32,
}

impl<'a> LogId<'a> {
    fn of<F: Folder>(folder: &F, chain: &'a KeyChain) -> Result<Self, AuditFlaw> {
        let note = read(folder, CHECKPOINT)?.ok_or(AuditFlaw::NoCheckpoint)?;
        let note = str::from_utf8(&note).map_err(|_| NoteFlaw::Form)?;
        let origin = Checkpoint::parse(SignedNote::parse(note)?.text())?.origin;
        let node = &chain.current().node;
        let logs = chain.after(0).flat_map(|signed| &signed.set().logs);
        let number = logs.map(|log| log.n).find(|n| node.log_origin(*n) == origin);
        Ok(Self { chain, number: number.ok_or(NoteFlaw::Origin)?, origin })
    }
}

/// Every head in `witnessed/`, with its cosignature checked.
fn witnesses<F: ListedFolder>(folder: &F, log: &LogId<'_>) -> Result<Vec<Witnessed>, LogFlaw> {
    let unreadable =
        |why: F::Error| AuditFlaw::Unreadable { file: WITNESSED.to_owned(), why: why.to_string() };
    let mut names = folder.names(WITNESSED).map_err(unreadable)?;
    names.sort();
    let suffix = format!(".{CHECKPOINT}");
    names
        .iter()
        .filter_map(|name| name.strip_suffix(&suffix))
        .map(|domain| witness(folder, log, domain))
        .collect()
}

fn witness<F: Folder>(folder: &F, log: &LogId<'_>, domain: &str) -> Result<Witnessed, LogFlaw> {
    let (file, keys_file) = (witnessed(domain, CHECKPOINT), witnessed(domain, KEY_SETS));
    let chain = key_sets(folder, &keys_file)?;
    let by = chain.current().node.clone();
    // A log that cosigns itself says nothing.
    if by.as_str() != format!("{domain}/liaison") || by == log.chain.current().node {
        return Err(LogFlaw::Named { file: keys_file, node: by });
    }
    let bad = |flaw| LogFlaw::Witnessed { file: file.clone(), flaw };
    let note = read(folder, &file)?.ok_or_else(|| LogFlaw::Missing(file.clone()))?;
    let note = str::from_utf8(&note).map_err(|_| bad(NoteFlaw::Form))?;
    let (signed, lines) = log.chain.open_checkpoint(note, log.number).map_err(bad)?;
    match chain.cosigned_at(&lines, signed.checkpoint()) {
        Ok(at) => Ok(Witnessed { chain, head: *signed.head(), at }),
        Err(flaw) => Err(LogFlaw::Cosignature { file, by, flaw }),
    }
}

fn key_sets<F: Folder>(folder: &F, file: &str) -> Result<KeyChain, LogFlaw> {
    let bad = |flaw| LogFlaw::KeySets { file: file.to_owned(), flaw };
    let bytes = read(folder, file)?.ok_or_else(|| LogFlaw::Missing(file.to_owned()))?;
    let text = str::from_utf8(&bytes).map_err(|_| bad(KeySetFlaw::Form("not UTF-8")))?;
    KeyChain::parse(text).map_err(bad)
}

fn witnessed(domain: &str, what: &str) -> String {
    format!("{WITNESSED}/{domain}.{what}")
}

fn file_of(witness: &Witnessed, what: &str) -> String {
    let node = witness.chain.current().node.as_str();
    witnessed(node.strip_suffix("/liaison").unwrap_or(node), what)
}

/// What stands in the log, as far as it was read.
#[derive(Clone, Debug, Default, PartialEq)]
struct Contents {
    kinds: BTreeMap<EntryKind, u64>,
    times: Option<(Timestamp, Timestamp)>,
}

/// What an audit of the whole looks at in an entry.
struct Line {
    kind: EntryKind,
    at: Timestamp,
}

impl Line {
    fn read(line: &[u8]) -> Result<Self, BadEntry> {
        let entry = str::from_utf8(line).map_err(|_| BadEntry).and_then(Entry::parse)?;
        Ok(Self { kind: entry.k, at: entry.t })
    }
}

impl Contents {
    /// Take the next entry, if it can stand there.
    fn take(&mut self, leaf: LeafIndex, Line { kind, at }: Line) -> Result<(), EntryFlaw> {
        if (kind == EntryKind::Genesis) != (leaf == LeafIndex(0)) {
            return Err(EntryFlaw::Genesis);
        }
        let (first, before) = self.times.unwrap_or((at, at));
        if at < before {
            return Err(EntryFlaw::Time { at, before });
        }
        self.times = Some((first, at));
        *self.kinds.entry(kind).or_default() += 1;
        Ok(())
    }
}

/// Why an entry cannot stand where it stands.
enum EntryFlaw {
    Genesis,
    Time { at: Timestamp, before: Timestamp },
}

impl fmt::Display for EntryFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Genesis => f.write_str("a log has its genesis at leaf 0 and nowhere else"),
            Self::Time { at, before } => write!(f, "made at {at}, before the entry before it ({before})"),
        }
    }
}

/// The names of files, alone and as endings.
const CHECKPOINT: &str = super::CHECKPOINT;
const KEY_SETS: &str = "key-sets";
/// The folder of heads that others cosigned.
const WITNESSED: &str = "witnessed";

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::entry::Record;
    use crate::key_set::{Key, KeySet, KeyUse, LogName, Revocation, Root, SignedKeySet, TransportIdentity};
    use crate::merkle::{Hash, Tree, leaf_hash, root};
    use crate::note::{cosign, sign_checkpoint};
    use crate::sign::SecretKey;
    use crate::tile::{encode_bundle, encode_tile, tiles};

    const BORN: u64 = 1_790_000_000;

    #[derive(Clone, Default)]
    struct Memory(BTreeMap<String, Vec<u8>>);

    impl Memory {
        fn put(&mut self, file: &str, text: impl Into<Vec<u8>>) {
            self.0.insert(file.to_owned(), text.into());
        }

        fn text(&self, file: &str) -> String {
            String::from_utf8(self.0[file].clone()).expect("a text file")
        }
    }

    impl Folder for Memory {
        type Error = &'static str;

        fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Self::Error> {
            Ok(self.0.get(path).cloned())
        }
    }

    impl ListedFolder for Memory {
        fn names(&self, path: &str) -> Result<Vec<String>, Self::Error> {
            let below = format!("{path}/");
            Ok(self.0.keys().filter_map(|file| file.strip_prefix(&below)).map(str::to_owned).collect())
        }
    }

    /// A State with its keys: root, message, log and witness key from neighbouring seeds.
    struct Authority {
        seed: u8,
        set: KeySet,
        chain: KeyChain,
    }

    impl Authority {
        fn new(domain: &str, state: &str, seed: u8) -> Self {
            let key = |kid: &str, usage, n| Key {
                kid: kid.to_owned(),
                usage,
                alg: "Ed25519".to_owned(),
                public: secret(seed + n).public(),
                nbf: Timestamp(BORN),
                naf: Timestamp(BORN + 1_000_000),
                functions: Vec::new(),
            };
            let set = KeySet {
                v: 1,
                node: format!("{domain}/liaison").parse().expect("a node"),
                state: state.parse().expect("a State"),
                authority: "Firearms Bureau".parse().expect("a name"),
                functions: Vec::new(),
                version: 1,
                prev: None,
                issued: Timestamp(BORN),
                expires: Timestamp(BORN + 2_000_000),
                roots: vec![Root { kid: "root-1".into(), public: secret(seed).public() }],
                threshold: 1,
                keys: vec![
                    key("msg-1", KeyUse::Msg, 1),
                    key("log-1", KeyUse::Log, 2),
                    key("witness-1", KeyUse::Witness, 3),
                ],
                peers: vec![TransportIdentity {
                    peer_id: format!("peer{seed}"),
                    nbf: Timestamp(BORN),
                    naf: Timestamp(BORN + 1_000_000),
                }],
                addrs: Vec::new(),
                logs: vec![LogName { n: 1, kid: "log-1".into() }],
                revoked: Vec::new(),
                contact: Default::default(),
                calendar: None,
                targets: Vec::new(),
            };
            let chain = KeyChain::start(signed(&set, seed)).expect("version 1");
            Self { seed, set, chain }
        }

        /// The next version, in which the witness key is revoked from that moment on.
        fn revoke_witness(&mut self, from: Timestamp) {
            self.set.version += 1;
            self.set.prev = Some(self.chain.newest().digest());
            let old = self.set.keys.iter().find(|key| key.kid == "witness-1").expect("it has one").clone();
            self.set.keys.push(Key {
                kid: "witness-2".into(),
                public: secret(self.seed + 4).public(),
                ..old
            });
            self.set.revoked.push(Revocation {
                kid: "witness-1".into(),
                untrusted_from: from,
                reason: "stolen".parse().expect("a line"),
            });
            self.chain.extend(signed(&self.set, self.seed).json()).expect("the next version");
        }

        fn origin(&self) -> String {
            self.set.node.log_origin(1)
        }

        fn log_key(&self) -> SecretKey {
            secret(self.seed + 2)
        }

        fn checkpoint(&self, head: &TreeHead) -> SignedCheckpoint {
            sign_checkpoint(&self.log_key(), &self.origin(), head)
        }

        fn cosign(&self, at: u64, signed: &SignedCheckpoint) -> String {
            let name = self.set.node.witness_name();
            signed
                .with_cosignatures([cosign(&secret(self.seed + 3), &name, at, signed.checkpoint()).as_str()])
        }
    }

    fn secret(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    fn signed(set: &KeySet, seed: u8) -> SignedKeySet {
        let (root, msg, log, witness) = (secret(seed), secret(seed + 1), secret(seed + 2), secret(seed + 3));
        let next = secret(seed + 4);
        let signers = [
            ("root-1", &root),
            ("msg-1", &msg),
            ("log-1", &log),
            ("witness-1", &witness),
            ("witness-2", &next),
        ];
        SignedKeySet::sign(set.clone(), &signers).expect("a good set")
    }

    fn kenya() -> Authority {
        Authority::new("firearms.example.ke", "KEN", 10)
    }

    fn peru() -> Authority {
        Authority::new("armas.example.pe", "PER", 20)
    }

    fn chile() -> Authority {
        Authority::new("armas.example.cl", "CHL", 30)
    }

    /// A log as its node keeps it: a genesis, then alternately orders and heads seen.
    fn lines(count: u64) -> Vec<String> {
        let kenya = kenya().set;
        let genesis = Record::Genesis { node: kenya.node, state: kenya.state, log: 1 };
        let first = genesis.write(Timestamp(BORN), &[7; 32]).entry;
        let entry = |n: u64| {
            let k = if n % 2 == 1 { EntryKind::Order } else { EntryKind::HeadSeen };
            let t = Timestamp(BORN + n);
            Entry { c: Hash::of(&n.to_be_bytes()), f: None, h: None, k, m: None, p: Vec::new(), t, v: 1 }
                .line()
        };
        std::iter::once(first).chain((1..count).map(entry)).collect()
    }

    /// The folder of these lines and its tree, without witnesses.
    fn unseen(lines: &[String]) -> (Memory, Tree) {
        let mut tree = Tree::new();
        lines.iter().for_each(|line| _ = tree.append(leaf_hash(line.as_bytes())));
        let mut folder = Memory::default();
        for tile in tiles(tree.size()) {
            folder.put(&tile.path(), encode_tile(&tile.hashes(&tree).expect("all known")));
            if tile.level == 0 {
                let first = tile.leaves(0).start.0 as usize;
                let bundle = lines[first..first + usize::from(tile.width)].iter().map(String::as_bytes);
                folder.put(&tile.entries_path(), encode_bundle(bundle).expect("short entries"));
            }
        }
        folder.put("checkpoint", kenya().checkpoint(&tree.head()).as_str());
        folder.put("key-sets", kenya().chain.file());
        (folder, tree)
    }

    fn head(tree: &Tree, size: u64) -> TreeHead {
        TreeHead { size, root: root(tree, size).expect("all known") }
    }

    fn see(folder: &mut Memory, witness: &Authority, at: u64, head: &TreeHead) {
        let node = witness.set.node.as_str();
        let domain = node.strip_suffix("/liaison").expect("a node id");
        folder.put(&witnessed(domain, CHECKPOINT), witness.cosign(at, &kenya().checkpoint(head)));
        folder.put(&witnessed(domain, KEY_SETS), witness.chain.file());
    }

    /// 600 entries, seen by Peru at 257 and by Chile at 600.
    fn seen() -> (Memory, Tree) {
        let (mut folder, tree) = unseen(&lines(600));
        see(&mut folder, &peru(), BORN + 300, &head(&tree, 257));
        see(&mut folder, &chile(), BORN + 700, &head(&tree, 600));
        (folder, tree)
    }

    fn verify(folder: &Memory) -> Result<Report, LogFlaw> {
        verify_log(folder, None, |_| {})
    }

    fn flaw(change: impl FnOnce(&mut Memory, &Tree)) -> LogFlaw {
        let (mut folder, tree) = seen();
        change(&mut folder, &tree);
        verify(&folder).expect_err("the folder was tampered with")
    }

    fn flawed_entry(at: usize, line: impl Into<String>) -> String {
        let mut lines = lines(300);
        lines[at] = line.into();
        verify(&unseen(&lines).0).expect_err("an entry that cannot stand there").to_string()
    }

    const PERUS_HEAD: &str = "witnessed/armas.example.pe.checkpoint";
    const PERUS_KEYS: &str = "witnessed/armas.example.pe.key-sets";

    #[test]
    fn a_good_folder_says_whose_it_is_what_it_holds_and_who_saw_it() {
        let (folder, tree) = seen();
        let mut steps = Vec::new();
        let fingerprint = kenya().chain.fingerprint();
        let report =
            verify_log(&folder, Some(&fingerprint), |made| steps.push(made.checked)).expect("honest");
        assert_eq!(steps, [256, 512, 600]);
        assert_eq!(report.chain(), &kenya().chain);
        assert_eq!(report.checkpoint().head, tree.head());
        assert_eq!(report.checkpoint().origin, "firearms.example.ke/liaison/log1");
        let kinds: Vec<_> = report.kinds().iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
        assert_eq!(kinds, [("genesis", 1), ("head.seen", 299), ("order", 300)]);
        assert_eq!(report.times(), Some((Timestamp(BORN), Timestamp(BORN + 599))));
        let seen: Vec<_> = report
            .witnesses()
            .iter()
            .map(|seen| (seen.chain.current().state.to_string(), seen.head.size, seen.at.0 - BORN))
            .collect();
        assert_eq!(seen, [("CHL".to_owned(), 600, 700), ("PER".to_owned(), 257, 300)]);
    }

    #[test]
    fn a_log_nobody_saw_and_one_that_has_no_entry_yet_hold() {
        for count in [1, 2, 256] {
            let report = verify(&unseen(&lines(count)).0).expect("honest");
            assert_eq!((report.witnesses().len(), report.checkpoint().head.size), (0, count));
        }
        let report = verify(&unseen(&[]).0).expect("honest");
        assert_eq!((report.times(), report.kinds().len()), (None, 0));
    }

    #[test]
    fn another_root_than_expected_is_found_before_anything_is_read() {
        let (mut folder, _) = seen();
        folder.0.retain(|file, _| file == "key-sets");
        let (expected, found) = (peru().chain.fingerprint(), kenya().chain.fingerprint());
        let refused = verify_log(&folder, Some(&expected), |_| {});
        assert_eq!(refused, Err(LogFlaw::Fingerprint { expected, found }));
    }

    #[test]
    fn any_byte_flipped_and_any_file_missing_is_found_and_the_file_named() {
        let (honest, _) = seen();
        for (file, bytes) in &honest.0 {
            let named = |folder: &Memory| {
                let flaw = verify(folder).expect_err("the folder was tampered with").to_string();
                assert!(flaw.contains(file), "{file}: {flaw}");
            };
            let mut folder = honest.clone();
            folder.0.remove(file);
            // A head that nobody claims to have seen is no flaw.
            if !file.ends_with(".checkpoint") {
                named(&folder);
            }
            for at in (0..bytes.len()).step_by(bytes.len() / 12 + 1) {
                let mut folder = honest.clone();
                folder.0.get_mut(file).expect("it is there")[at] ^= 1;
                named(&folder);
            }
        }
    }

    #[test]
    fn an_entry_that_cannot_stand_where_it_stands_is_found() {
        let good = lines(300);
        let (bundle, next) = ("tile/entries/000, leaf 20: ", "tile/entries/001.p/44, leaf 256: ");
        let form = "not a log entry: one canonical JSON object of at most 1 KiB, version 1";
        assert_eq!(flawed_entry(20, "gossip"), format!("{bundle}{form}"));
        assert_eq!(flawed_entry(256, good[256].replace("\"v\":1", "\"v\":2")), format!("{next}{form}"));
        let genesis = "a log has its genesis at leaf 0 and nowhere else";
        assert_eq!(flawed_entry(20, &good[0]), format!("{bundle}{genesis}"));
        assert_eq!(flawed_entry(0, &good[1]), format!("tile/entries/000, leaf 0: {genesis}"));
        let early = "made at 2026-09-21 14:13:21Z, before the entry before it (2026-09-21 14:17:35Z)";
        assert_eq!(flawed_entry(256, &good[1]), format!("{next}{early}"));
        // Two entries in one second are in order.
        let mut twice = good.clone();
        twice[20] = good[19].clone();
        assert!(verify(&unseen(&twice).0).is_ok());
    }

    #[test]
    fn a_log_that_is_not_the_one_its_witnesses_saw_was_rewritten_or_cut_short() {
        // Signed anew over another history by the log's own key: nothing but the witnesses can tell.
        let mut forged = lines(600);
        forged[100] = forged[99].clone();
        let other = unseen(&forged).0;
        let rewritten = flaw(|folder, _| folder.0.extend(other.0.clone()));
        assert!(matches!(&rewritten, LogFlaw::History { file, .. } if file == PERUS_HEAD), "{rewritten}");

        let (mut short, tree) = unseen(&lines(256));
        let full = unseen(&lines(257)).1;
        see(&mut short, &peru(), BORN + 300, &full.head());
        let cut = verify(&short).expect_err("an entry is missing");
        let flaw = AuditFlaw::Ahead { head: full.head(), size: tree.size() };
        assert_eq!(cut, LogFlaw::History { file: PERUS_HEAD.to_owned(), flaw });
        assert_eq!(
            cut.to_string(),
            format!("{PERUS_HEAD}: the log has 256 entries, but a head of 257 is known: it was rolled back")
        );
    }

    #[test]
    fn a_cosignature_counts_only_if_its_witness_made_it() {
        let by = peru().set.node;
        let cosignature = |flaw| LogFlaw::Cosignature { file: PERUS_HEAD.to_owned(), by: by.clone(), flaw };
        let unsigned = flaw(|folder, tree| {
            folder.put(PERUS_HEAD, kenya().checkpoint(&head(tree, 257)).as_str());
        });
        assert_eq!(unsigned, cosignature(NoteFlaw::NotSigned));
        let of_chile = flaw(|folder, tree| {
            folder.put(PERUS_HEAD, chile().cosign(BORN + 300, &kenya().checkpoint(&head(tree, 257))));
        });
        assert_eq!(of_chile, cosignature(NoteFlaw::NotSigned));
        let of_another_head = flaw(|folder, tree| {
            let cosigned = peru().cosign(BORN + 300, &kenya().checkpoint(&head(tree, 256)));
            let line = cosigned.lines().last().expect("a line").to_owned() + "\n";
            let signed = kenya().checkpoint(&head(tree, 257));
            folder.put(PERUS_HEAD, signed.with_cosignatures([line.as_str()]));
        });
        assert_eq!(of_another_head, cosignature(NoteFlaw::BrokenSignature));
        for at in [BORN - 1, BORN + 1_000_001] {
            let outside = flaw(|folder, tree| see(folder, &peru(), at, &head(tree, 257)));
            assert_eq!(outside, cosignature(NoteFlaw::Time), "{at}");
        }
    }

    #[test]
    fn a_stolen_witness_key_counts_until_it_was_revoked() {
        let mut peru = peru();
        peru.revoke_witness(Timestamp(BORN + 301));
        let (mut folder, tree) = seen();
        see(&mut folder, &peru, BORN + 300, &head(&tree, 257));
        assert!(verify(&folder).is_ok());
        see(&mut folder, &peru, BORN + 301, &head(&tree, 257));
        assert!(matches!(verify(&folder), Err(LogFlaw::Cosignature { flaw: NoteFlaw::Time, .. })));
    }

    #[test]
    fn a_witness_is_named_by_its_file_and_is_not_the_log_itself() {
        let named = |node| LogFlaw::Named { file: PERUS_KEYS.to_owned(), node };
        let chiles = flaw(|folder, _| folder.put(PERUS_KEYS, chile().chain.file()));
        assert_eq!(chiles, named(chile().set.node));
        let own = flaw(|folder, tree| see(folder, &kenya(), BORN, &head(tree, 1)));
        let file = "witnessed/firearms.example.ke.key-sets".to_owned();
        assert_eq!(own, LogFlaw::Named { file, node: kenya().set.node });
        let no_keys = flaw(|folder, _| _ = folder.0.remove(PERUS_KEYS));
        assert_eq!(no_keys, LogFlaw::Missing(PERUS_KEYS.to_owned()));
        let broken = flaw(|folder, _| {
            let keys = folder.text(PERUS_KEYS).replacen("payload\":\"", "payload\":\"A", 1);
            folder.put(PERUS_KEYS, keys);
        });
        assert!(matches!(&broken, LogFlaw::KeySets { file, .. } if file == PERUS_KEYS), "{broken}");
    }

    #[test]
    fn a_checkpoint_of_another_log_is_not_this_logs() {
        let origin = LogFlaw::Audit(AuditFlaw::Checkpoint(NoteFlaw::Origin));
        let of_peru = |head: &TreeHead| peru().checkpoint(head).as_str().to_owned();
        assert_eq!(flaw(|folder, tree| folder.put("checkpoint", of_peru(&tree.head()))), origin);
        let unlisted = |head: &TreeHead| {
            sign_checkpoint(&kenya().log_key(), &kenya().set.node.log_origin(2), head).as_str().to_owned()
        };
        assert_eq!(flaw(|folder, tree| folder.put("checkpoint", unlisted(&tree.head()))), origin);
        let seen = flaw(|folder, tree| folder.put(PERUS_HEAD, of_peru(&tree.head())));
        assert_eq!(seen, LogFlaw::Witnessed { file: PERUS_HEAD.to_owned(), flaw: NoteFlaw::Origin });
        assert_eq!(
            flaw(|folder, _| _ = folder.0.remove("checkpoint")),
            LogFlaw::Audit(AuditFlaw::NoCheckpoint)
        );
    }
}

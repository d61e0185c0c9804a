//! The audit of a whole log folder, with no node and no trust in whoever copied it.
//!
//! Every entry is hashed again, every tile compared with what the entries make of it, the root with the
//! signed checkpoint, and earlier heads that others hold with the tree as it passed their sizes. It runs in
//! steps of 256 entries and keeps only the tiles in progress in memory; the steps themselves are in order, but what
//! they are made from can be read and hashed in any order, by as many threads as the caller has. Whether an entry says something
//! sensible is left to the caller, who may look at each; whether cosigners are to be believed is left to
//! policy.

mod log_folder;

pub use log_folder::{Hands, ListedFolder, LogFlaw, OneHand, Report, Witnessed, verify_log, verify_log_by};

use std::collections::VecDeque;
use std::fmt;

use crate::merkle::{self, Hash, LeafIndex, Tree, TreeHead, leaf_hash};
use crate::note::{NoteFlaw, NoteSignature, SignedCheckpoint, open_cosigned};
use crate::sign::PublicKey;
use crate::tile::{self, TILE_WIDTH, Tile, TileFlaw, decode_bundle, decode_tile};

/// A folder of files laid out as C2SP tlog-tiles says, wherever it is.
pub trait Folder {
    /// Why a file that may be there could not be read.
    type Error: fmt::Display;

    /// The content of the file at `path`, relative and with `/`; `None` if there is none.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Self::Error>;
}

/// An audit under way. Open it, [`step`](Self::step) until it says there is nothing left, or
/// [`run`](Self::run).
pub struct Audit<'a, F> {
    folder: &'a F,
    signed: SignedCheckpoint,
    others: Vec<NoteSignature>,
    /// Heads still to be met, by size.
    heads: VecDeque<TreeHead>,
    /// The tree over the entries seen so far; it forgets what has been compared.
    tree: Tree,
    outcome: Option<Result<(), AuditFlaw>>,
}

/// How far an audit has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Progress {
    /// Entries whose hashes agree with their tiles.
    pub checked: u64,
    /// Entries of the log.
    pub size: u64,
}

impl<'a, F: Folder> Audit<'a, F> {
    /// Read and check the checkpoint of the log `origin`, whose key is `log_key`. The tree will also be held
    /// against `heads`: earlier heads of this log, from wherever they were kept, in any order.
    pub fn open(
        folder: &'a F,
        origin: &str,
        log_key: &PublicKey,
        heads: &[TreeHead],
    ) -> Result<Self, AuditFlaw> {
        let note = read(folder, CHECKPOINT)?.ok_or(AuditFlaw::NoCheckpoint)?;
        let note = str::from_utf8(&note).map_err(|_| NoteFlaw::Form)?;
        let (signed, others) = open_cosigned(note, origin, log_key)?;
        let mut heads = heads.to_vec();
        heads.sort_by_key(|head| head.size);
        if let Some(head) = heads.last().filter(|head| head.size > signed.head().size) {
            return Err(AuditFlaw::Ahead { head: *head, size: signed.head().size });
        }
        Ok(Self { folder, signed, others, heads: heads.into(), tree: Tree::new(), outcome: None })
    }

    /// The checkpoint under audit. It is signed; that the folder bears it out is known at the end.
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.signed
    }

    /// The signatures beside the log's own on the checkpoint, unverified.
    pub fn others(&self) -> &[NoteSignature] {
        &self.others
    }

    /// Check the next 256 entries, and at the end the root. `None`: all was checked, and holds.
    ///
    /// `look` sees each entry after it has agreed with its tile, in order; what it refuses ends the audit.
    /// After a flaw every further step says the same.
    pub fn step<E: fmt::Display>(
        &mut self,
        mut look: impl FnMut(LeafIndex, &[u8]) -> Result<(), E>,
    ) -> Result<Option<Progress>, AuditFlaw> {
        if self.outcome.is_some() {
            return self.take(Block::empty(), |_, ()| Ok::<(), E>(()));
        }
        let (blocks, next) = (self.blocks(), self.tree.size() / u64::from(TILE_WIDTH));
        let block = if next < blocks.count() { blocks.read(next, &mut look) } else { Block::empty() };
        self.take(block, |_, ()| Ok::<(), E>(()))
    }

    /// The blocks of 256 entries that are to be [taken](Self::take), in their order.
    pub fn blocks(&self) -> Blocks<'a, F> {
        Blocks { folder: self.folder, size: self.signed.head().size }
    }

    /// The same as [`step`](Self::step) with the next block, which was read before. `look` sees what was made of each
    /// entry, in order.
    pub fn take<T, E: fmt::Display>(
        &mut self,
        block: Block<T>,
        look: impl FnMut(LeafIndex, T) -> Result<(), E>,
    ) -> Result<Option<Progress>, AuditFlaw> {
        match &self.outcome {
            Some(Ok(())) => return Ok(None),
            Some(Err(flaw)) => return Err(flaw.clone()),
            None => {}
        }
        let size = self.signed.head().size;
        let step = self.check(block, look);
        if step.is_err() || self.tree.size() == size {
            self.outcome = Some(step.clone());
        }
        step.map(|()| Some(Progress { checked: self.tree.size(), size }))
    }

    /// Check all that is left. Returns the checkpoint that the folder bears out.
    pub fn run<E: fmt::Display>(
        mut self,
        mut look: impl FnMut(LeafIndex, &[u8]) -> Result<(), E>,
    ) -> Result<SignedCheckpoint, AuditFlaw> {
        while self.step(&mut look)?.is_some() {}
        Ok(self.signed)
    }

    fn check<T, E: fmt::Display>(
        &mut self,
        block: Block<T>,
        mut look: impl FnMut(LeafIndex, T) -> Result<(), E>,
    ) -> Result<(), AuditFlaw> {
        let size = self.signed.head().size;
        let from = self.tree.size();
        if from < size {
            let Block { file, hashes, made, flaw } = block;
            hashes.into_iter().for_each(|hash| _ = self.tree.append(hash));
            for (leaf, made) in (from..).map(LeafIndex).zip(made) {
                look(leaf, made).map_err(|why| AuditFlaw::Entry {
                    file: file.clone(),
                    leaf,
                    why: why.to_string(),
                })?;
            }
            flaw.map_or(Ok(()), Err)?;
        }
        let now = self.tree.size();
        for tile in tile::new_tiles(from, now).filter(|tile| tile.level > 0 && tile.is_full()) {
            self.nodes(tile)?;
        }
        while let Some(head) = self.heads.pop_front_if(|head| head.size <= now) {
            let root = self.root(head.size);
            if root != head.root {
                return Err(AuditFlaw::Head { head, root });
            }
        }
        if now == size {
            for tile in tile::partial_tiles(size).filter(|tile| tile.level > 0) {
                self.nodes(tile)?;
            }
            let root = self.root(size);
            if root != self.signed.head().root {
                return Err(AuditFlaw::Root { head: *self.signed.head(), root });
            }
        }
        // Only now: the heads within this block needed what was complete before it.
        self.tree.forget_all_full_tiles();
        Ok(())
    }

    /// Compare a tile above the leaves with the tree.
    fn nodes(&self, tile: Tile) -> Result<(), AuditFlaw> {
        let (file, stored) = self.blocks().hashes(tile)?;
        let computed = tile.hashes(&self.tree).expect("the tiles in progress are not forgotten");
        match (0..).zip(computed.iter().zip(&stored)).find(|(_, (computed, stored))| computed != stored) {
            None => Ok(()),
            Some((place, _)) => {
                let leaves = tile.leaves(place);
                Err(AuditFlaw::Node { file, from: leaves.start, to: leaves.end })
            }
        }
    }

    /// The root at `size`, which lies in the block that was read last.
    fn root(&self, size: u64) -> Hash {
        merkle::root(&self.tree, size).expect("what was complete before this block is not forgotten")
    }
}

/// Reads the blocks of a folder under audit: in any order, from any thread.
pub struct Blocks<'a, F> {
    folder: &'a F,
    size: u64,
}

/// 256 entries, or those at the end, hashed and held against their tile.
pub struct Block<T> {
    file: String,
    hashes: Vec<Hash>,
    made: Vec<T>,
    /// What is wrong behind those.
    flaw: Option<AuditFlaw>,
}

impl<T> Block<T> {
    fn empty() -> Self {
        Self { file: String::new(), hashes: Vec::new(), made: Vec::new(), flaw: None }
    }
}

impl<F: Folder> Blocks<'_, F> {
    /// How many there are.
    pub fn count(&self) -> u64 {
        self.size.div_ceil(TILE_WIDTH.into())
    }

    /// Read one: hash its entries, compare them with their tile, `make` something of each.
    pub fn read<T, E: fmt::Display>(
        &self,
        index: u64,
        mut make: impl FnMut(LeafIndex, &[u8]) -> Result<T, E>,
    ) -> Block<T> {
        let mut block = Block::empty();
        block.flaw = self.fill(&mut block, index, &mut make).err();
        block
    }

    fn fill<T, E: fmt::Display>(
        &self,
        block: &mut Block<T>,
        index: u64,
        make: &mut impl FnMut(LeafIndex, &[u8]) -> Result<T, E>,
    ) -> Result<(), AuditFlaw> {
        let width = (self.size - index * u64::from(TILE_WIDTH)).min(TILE_WIDTH.into()) as u16;
        let tile = Tile { level: 0, index, width };
        let (found, file, bytes) = self.tile_file(tile, Tile::entries_path)?;
        let mut entries = Vec::with_capacity(found.width.into());
        for (place, entry) in (0..).zip(decode_bundle(&bytes, found.width)) {
            let leaf = tile.leaves(place).start;
            entries.push(entry.map_err(|flaw| AuditFlaw::Bundle { file: file.clone(), leaf, flaw })?);
        }
        // In a full bundle that stands in for a partial one, only the entries of the checkpoint count.
        entries.truncate(tile.width.into());
        let (tile_file, stored) = self.hashes(tile)?;
        for ((place, entry), stored) in (0..).zip(&entries).zip(stored) {
            let hash = leaf_hash(entry);
            if hash != stored {
                let leaf = tile.leaves(place).start;
                return Err(AuditFlaw::Leaf { entries: file, leaf, tile: tile_file });
            }
            block.hashes.push(hash);
        }
        block.file.clone_from(&file);
        for (place, entry) in (0..).zip(entries) {
            let leaf = tile.leaves(place).start;
            match make(leaf, entry) {
                Ok(made) => block.made.push(made),
                Err(why) => return Err(AuditFlaw::Entry { file, leaf, why: why.to_string() }),
            }
        }
        Ok(())
    }

    /// The file of a tile and its hashes.
    fn hashes(&self, tile: Tile) -> Result<(String, Vec<Hash>), AuditFlaw> {
        let (found, file, bytes) = self.tile_file(tile, Tile::path)?;
        match decode_tile(&bytes, found.width) {
            Ok(mut hashes) => {
                hashes.truncate(tile.width.into());
                Ok((file, hashes))
            }
            Err(flaw) => Err(AuditFlaw::Tile { file, flaw }),
        }
    }

    /// The file of a tile, or of its bundle. A partial one may be gone once the full one is there: then that.
    fn tile_file(&self, tile: Tile, path: fn(&Tile) -> String) -> Result<(Tile, String, Vec<u8>), AuditFlaw> {
        for tile in [tile, tile.full()] {
            let file = path(&tile);
            if let Some(bytes) = read(self.folder, &file)? {
                return Ok((tile, file, bytes));
            }
        }
        Err(AuditFlaw::Missing { file: path(&tile), leaf: tile.leaves(0).start })
    }
}

/// What an audit has found. Paths are relative to the log's folder.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AuditFlaw {
    /// Somebody holds a head of this log that is larger than the log: entries are missing at its end.
    #[error("the log has {size} entries, but a head of {} is known: it was rolled back", head.size)]
    Ahead {
        /// The head somebody holds.
        head: TreeHead,
        /// The size of the log.
        size: u64,
    },
    /// A bundle of entries is cut short or too long.
    #[error("{file}, at leaf {leaf}: {flaw}")]
    Bundle {
        /// The bundle.
        file: String,
        /// The leaf at which it shows.
        leaf: LeafIndex,
        /// What is wrong with it.
        flaw: TileFlaw,
    },
    /// The checkpoint is not this log's, or not signed by it.
    #[error("checkpoint: {0}")]
    Checkpoint(#[from] NoteFlaw),
    /// The caller refused an entry.
    #[error("{file}, leaf {leaf}: {why}")]
    Entry {
        /// The bundle it is in.
        file: String,
        /// Its place.
        leaf: LeafIndex,
        /// What the caller said.
        why: String,
    },
    /// Somebody holds a head of this log that is not its history: one of the two was rewritten.
    #[error(
        "at size {} the root is {root}, but a head with root {} is known: it was rewritten",
        head.size, head.root
    )]
    Head {
        /// The head somebody holds.
        head: TreeHead,
        /// The root at that size.
        root: Hash,
    },
    /// An entry and its hash differ: one of the two files was altered.
    #[error("leaf {leaf}: the entry in {entries} does not have the hash in {tile}")]
    Leaf {
        /// The bundle.
        entries: String,
        /// The leaf.
        leaf: LeafIndex,
        /// The tile.
        tile: String,
    },
    /// A file is not there.
    #[error("{file} is missing (from leaf {leaf})")]
    Missing {
        /// The file.
        file: String,
        /// The first leaf it covers.
        leaf: LeafIndex,
    },
    /// There is no checkpoint.
    #[error("checkpoint is missing")]
    NoCheckpoint,
    /// A hash above the leaves is not that of the leaves it covers.
    #[error("{file}: the hash over leaves {from} to {to} (exclusive) is not theirs")]
    Node {
        /// The tile.
        file: String,
        /// The first leaf the hash covers.
        from: LeafIndex,
        /// The first leaf after those it covers.
        to: LeafIndex,
    },
    /// Entries and tiles agree, but not with what the log has signed.
    #[error("the {} entries have root {root}, but the checkpoint says {}", head.size, head.root)]
    Root {
        /// What the checkpoint says.
        head: TreeHead,
        /// The root of the entries.
        root: Hash,
    },
    /// A tile does not have the length of its width.
    #[error("{file}: {flaw}")]
    Tile {
        /// The tile.
        file: String,
        /// What is wrong with it.
        flaw: TileFlaw,
    },
    /// A file could not be read.
    #[error("cannot read {file}: {why}")]
    Unreadable {
        /// The file.
        file: String,
        /// What the folder said.
        why: String,
    },
}

fn read<F: Folder>(folder: &F, file: &str) -> Result<Option<Vec<u8>>, AuditFlaw> {
    folder.read(file).map_err(|why| AuditFlaw::Unreadable { file: file.to_owned(), why: why.to_string() })
}

/// The name of the checkpoint's file.
const CHECKPOINT: &str = "checkpoint";

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::note::{cosign, sign_checkpoint};
    use crate::sign::SecretKey;
    use crate::tile::{encode_bundle, encode_tile, entries_path, tile_path, tiles};

    const ORIGIN: &str = "firearms.example.ke/liaison/log1";

    type Files = BTreeMap<String, Vec<u8>>;

    #[derive(Clone, Default)]
    struct Memory(Files);

    impl Folder for Memory {
        type Error = &'static str;

        fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Self::Error> {
            match self.0.get(path) {
                Some(bytes) if bytes == b"unreadable" => Err("the disk is broken"),
                found => Ok(found.cloned()),
            }
        }
    }

    fn key() -> SecretKey {
        SecretKey::from_seed(&[1; 32])
    }

    fn entry(leaf: u64) -> Vec<u8> {
        format!("entry {leaf}").into_bytes()
    }

    /// The log of these entries, with every file a log of that size has.
    fn log_of(entries: &[Vec<u8>]) -> (Memory, Tree) {
        let mut tree = Tree::new();
        entries.iter().for_each(|entry| _ = tree.append(leaf_hash(entry)));
        let mut folder = Memory::default();
        for tile in tiles(tree.size()) {
            folder.0.insert(tile.path(), encode_tile(&tile.hashes(&tree).expect("all known")));
            if tile.level == 0 {
                let first = tile.leaves(0).start.0 as usize;
                let bundle = entries[first..first + usize::from(tile.width)].iter().map(Vec::as_slice);
                folder.0.insert(tile.entries_path(), encode_bundle(bundle).expect("short entries"));
            }
        }
        let signed = sign_checkpoint(&key(), ORIGIN, &tree.head());
        folder.0.insert(CHECKPOINT.to_owned(), signed.as_str().into());
        (folder, tree)
    }

    fn log(size: u64) -> (Memory, Tree) {
        log_of(&(0..size).map(entry).collect::<Vec<_>>())
    }

    fn head(tree: &Tree, size: u64) -> TreeHead {
        TreeHead { size, root: merkle::root(tree, size).expect("all known") }
    }

    fn audit(folder: &Memory, heads: &[TreeHead]) -> Result<SignedCheckpoint, AuditFlaw> {
        let audit = Audit::open(folder, ORIGIN, &key().public(), heads)?;
        audit.run(|leaf, bytes| if bytes == entry(leaf.0) { Ok(()) } else { Err("a word too many") })
    }

    #[test]
    fn an_untouched_log_holds_at_every_size() {
        for size in [0, 1, 255, 256, 257, 511, 512, 513, 1000, 65_535, 65_536, 65_537, 70_000] {
            let (folder, tree) = log(size);
            let some = [0, 1, 255, 256, 257, 300, 512, 768, 65_535, 65_536, 65_537, 66_000, size];
            let heads: Vec<_> =
                some.into_iter().filter(|at| *at <= size).map(|at| head(&tree, at)).rev().collect();
            let signed = audit(&folder, &heads).unwrap_or_else(|flaw| panic!("at {size}: {flaw}"));
            assert_eq!(*signed.head(), tree.head());
        }
    }

    #[test]
    fn an_audit_goes_block_by_block_and_shows_each_entry_once() {
        let (folder, _) = log(600);
        let mut audit = Audit::open(&folder, ORIGIN, &key().public(), &[]).expect("a good checkpoint");
        let mut seen = Vec::new();
        let mut steps = Vec::new();
        let mut look = |leaf: LeafIndex, bytes: &[u8]| {
            assert_eq!(bytes, entry(leaf.0));
            seen.push(leaf.0);
            Ok::<(), String>(())
        };
        while let Some(Progress { checked, size: 600 }) = audit.step(&mut look).expect("an honest log") {
            steps.push(checked);
        }
        assert_eq!(audit.step(&mut look), Ok(None));
        assert_eq!(steps, [256, 512, 600]);
        assert_eq!(seen, (0..600).collect::<Vec<_>>());
    }

    #[test]
    fn any_byte_flipped_in_any_file_is_found_and_the_file_named() {
        let (honest, _) = log(600);
        for (file, bytes) in &honest.0 {
            // Every byte of a bundle or a tile would say the same thing many times over.
            for at in (0..bytes.len()).step_by(bytes.len() / 50 + 1).chain([bytes.len() - 1]) {
                let mut folder = honest.clone();
                folder.0.get_mut(file).expect("it is there")[at] ^= 1;
                let flaw = audit(&folder, &[]).expect_err("one byte was flipped");
                assert!(flaw.to_string().contains(file), "{file} at {at}: {flaw}");
            }
        }
    }

    #[test]
    fn a_byte_flipped_in_a_whole_tile_above_the_leaves_is_found_and_the_file_named() {
        let (mut folder, _) = log(65_537);
        let file = tile_path(1, 0, 256);
        folder.0.get_mut(&file).expect("it is whole")[100] ^= 1;
        let flaw = audit(&folder, &[]).expect_err("one byte was flipped").to_string();
        assert!(flaw.contains(&file), "{flaw}");
    }

    #[test]
    fn any_file_missing_cut_or_lengthened_is_found_and_named() {
        let (honest, _) = log(600);
        let change = |file: &str, change: fn(&mut Vec<u8>)| {
            let mut folder = honest.clone();
            change(folder.0.get_mut(file).expect("it is there"));
            audit(&folder, &[]).expect_err("a file was changed").to_string()
        };
        for file in honest.0.keys() {
            let mut folder = honest.clone();
            folder.0.remove(file);
            let missing = audit(&folder, &[]).expect_err("a file was removed").to_string();
            for flaw in [
                missing,
                change(file, |bytes| _ = bytes.pop()),
                change(file, |bytes| bytes.push(0)),
                change(file, |bytes| bytes.clear()),
                change(file, |bytes| *bytes = b"unreadable".to_vec()),
            ] {
                assert!(flaw.contains(file), "{file}: {flaw}");
            }
        }
    }

    #[test]
    fn each_kind_of_tampering_has_its_name() {
        let (honest, tree) = log(600);
        let flaw = |change: &dyn Fn(&mut Files), heads: &[TreeHead]| {
            let mut folder = honest.clone();
            change(&mut folder.0);
            audit(&folder, heads).expect_err("the log was tampered with")
        };
        let of = |entries: &[Vec<u8>]| log_of(entries).0.0;
        let mut altered: Vec<_> = (0..600).map(entry).collect();
        altered[300] = b"something else".to_vec();
        let forged = of(&altered);

        let (entries, tile) = (entries_path(1, 256), tile_path(0, 1, 256));
        let leaf = LeafIndex(300);
        let one_entry = flaw(&|files| _ = files.insert(entries.clone(), forged[&entries].clone()), &[]);
        assert_eq!(one_entry, AuditFlaw::Leaf { entries: entries.clone(), leaf, tile: tile.clone() });

        let entry_and_hash = flaw(
            &|files| {
                files.insert(entries.clone(), forged[&entries].clone());
                files.insert(tile.clone(), forged[&tile].clone());
            },
            &[],
        );
        // The altered entry is well hashed, so it is the caller who first sees it; who looks away sees the
        // node.
        let why = "a word too many".to_owned();
        assert_eq!(entry_and_hash, AuditFlaw::Entry { file: entries.clone(), leaf, why });
        let mut folder = honest.clone();
        folder.0.insert(entries.clone(), forged[&entries].clone());
        folder.0.insert(tile.clone(), forged[&tile].clone());
        let blind = |folder: &Memory, heads: &[TreeHead]| {
            let audit = Audit::open(folder, ORIGIN, &key().public(), heads).expect("a good checkpoint");
            audit.run(|_, _| Ok::<(), String>(())).expect_err("the log was tampered with")
        };
        let above = tile_path(1, 0, 2);
        let (from, to) = (LeafIndex(256), LeafIndex(512));
        assert_eq!(blind(&folder, &[]), AuditFlaw::Node { file: above.clone(), from, to });

        folder.0.insert(above.clone(), forged[&above].clone());
        let forged_tree = log_of(&altered).1;
        let root = forged_tree.head().root;
        assert_eq!(blind(&folder, &[]), AuditFlaw::Root { head: tree.head(), root });

        // Signed anew by the log itself: only a head that somebody kept tells.
        folder.0.insert(CHECKPOINT.to_owned(), forged[CHECKPOINT].clone());
        for size in [301, 400, 512, 600] {
            let kept = head(&tree, size);
            let root = head(&forged_tree, size).root;
            assert_eq!(blind(&folder, &[head(&tree, 300), kept]), AuditFlaw::Head { head: kept, root });
        }
        let (larger, kept) = (log(601).1, tree.head());
        assert_eq!(
            flaw(&|_| {}, &[kept, larger.head()]),
            AuditFlaw::Ahead { head: larger.head(), size: 600 }
        );

        assert_eq!(flaw(&|files| files.clear(), &[]), AuditFlaw::NoCheckpoint);
        let other = sign_checkpoint(&SecretKey::from_seed(&[2; 32]), ORIGIN, &tree.head());
        let note = other.as_str();
        let resigned = flaw(&|files| _ = files.insert(CHECKPOINT.to_owned(), note.into()), &[]);
        assert_eq!(resigned, AuditFlaw::Checkpoint(NoteFlaw::NotSigned));
        let empty_root = TreeHead { size: 0, root: Hash::ZERO };
        let false_empty = sign_checkpoint(&key(), ORIGIN, &empty_root);
        let note = false_empty.as_str();
        let hollow = flaw(&|files| _ = files.insert(CHECKPOINT.to_owned(), note.into()), &[]);
        assert_eq!(hollow, AuditFlaw::Root { head: empty_root, root: merkle::empty_root() });
    }

    #[test]
    fn a_flaw_once_found_is_said_again() {
        let (mut folder, _) = log(600);
        folder.0.remove(&tile_path(0, 1, 256));
        let mut audit = Audit::open(&folder, ORIGIN, &key().public(), &[]).expect("a good checkpoint");
        let look = |_: LeafIndex, _: &[u8]| Ok::<(), String>(());
        assert_eq!(audit.step(look), Ok(Some(Progress { checked: 256, size: 600 })));
        let missing = AuditFlaw::Missing { file: tile_path(0, 1, 256), leaf: LeafIndex(256) };
        assert_eq!(audit.step(look), Err(missing.clone()));
        assert_eq!(audit.step(look), Err(missing));
    }

    #[test]
    fn full_tiles_stand_in_for_partial_ones_that_are_gone() {
        // A folder copied while its log grew: newer tiles, the checkpoint of a moment ago.
        let (mut grown, tree) = log(70_000);
        let earlier = head(&tree, 65_700);
        let signed = sign_checkpoint(&key(), ORIGIN, &earlier);
        for tile in tile::partial_tiles(65_700).filter(|tile| tile.level > 0) {
            grown.0.insert(tile.path(), encode_tile(&tile.hashes(&tree).expect("all known")));
        }
        grown.0.insert(CHECKPOINT.to_owned(), signed.as_str().into());
        assert_eq!(audit(&grown, &[]), Ok(signed));
    }

    #[test]
    fn cosignatures_on_the_checkpoint_are_handed_on() {
        let (mut folder, tree) = log(3);
        let signed = sign_checkpoint(&key(), ORIGIN, &tree.head());
        let line = cosign(&SecretKey::from_seed(&[9; 32]), "pe/liaison/witness", 5, signed.checkpoint());
        let note = signed.with_cosignatures([line.as_str()]);
        folder.0.insert(CHECKPOINT.to_owned(), note.into_bytes());
        let audit = Audit::open(&folder, ORIGIN, &key().public(), &[]).expect("a good checkpoint");
        assert_eq!(audit.others()[0].to_string(), line);
        assert_eq!(*audit.checkpoint(), signed);
    }

    #[test]
    fn an_audit_keeps_little_in_memory() {
        let (folder, _) = log(70_000);
        let mut audit = Audit::open(&folder, ORIGIN, &key().public(), &[]).expect("a good checkpoint");
        while audit.step(|_, _| Ok::<(), String>(())).expect("an honest log").is_some() {
            let known = (0..20)
                .map(|level| {
                    let from = audit.tree.size() >> level;
                    (from.saturating_sub(2000)..=from)
                        .filter(|at| audit.tree.get(level, *at).is_some())
                        .count()
                })
                .sum::<usize>();
            assert!(known < 3 * 512, "{known} hashes at {}", audit.tree.size());
        }
    }
}

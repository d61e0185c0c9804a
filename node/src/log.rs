//! The log on disk: a journal with one sync per round, and what is spilled from it.
//!
//! A round is one checksummed frame of the journal: its entries, the records behind them, and the checkpoint
//! signed over them. Once its `fdatasync` returns, the round has happened; a torn last frame never has. Tiles,
//! record files and the public checkpoint are spilled from the journal in the background ([`Spiller`]), and
//! journal files go only after that. Opening the log is recovery, whatever happened before.
//!
//! **The rooms.** Each knows only some of those above it; this file is the writer, which knows all:
//!
//! ```text
//! error.rs     why a log cannot be used
//! place.rs     where it is, and under which key
//! journal.rs   rounds as frames, and where they stand
//! reader.rs    reads what is committed
//! spilled.rs   what is spilled, found again
//! spiller.rs   spills
//! ```

mod error;
mod journal;
mod place;
mod reader;
mod spilled;
mod spiller;

use liaison_protocol::entry::{Staged, Written};
use liaison_protocol::merkle::{Hash, LeafIndex, Nodes, Tree, TreeHead, leaf_hash};
use liaison_protocol::note::{SignedCheckpoint, open_checkpoint, sign_checkpoint};
use liaison_protocol::sign::SecretKey;

pub use self::error::LogError;
use self::error::{damaged, io_at};
use self::journal::{
    Frames, InJournal, JOURNAL_HEADER, entry_time, journal_files, journal_path, write_frame,
};
pub use self::place::{Place, witnessed_file};
use self::reader::staged;
pub use self::reader::{Reader, Unopened};
use self::spilled::{cut_tiles, open_spilled};
pub use self::spiller::Spiller;
use crate::disk::Disk;

/// A journal file longer than this is closed, and the next one begun.
const JOURNAL_FILE: u64 = 8 * 1024 * 1024;
/// Leaves whose low tree nodes stay in memory; proofs about older ones read tiles.
const RECENT: u64 = 65_536;

/// The log's one writer.
#[derive(Debug)]
pub struct Log<D: Disk> {
    disk: D,
    place: Place,
    tree: Tree,
    checkpoint: SignedCheckpoint,
    batch: Vec<Written>,
    active: u64,
    active_len: u64,
    reader: Reader<D>,
}

impl<D: Disk> Log<D> {
    /// Begin a log whose first round is `genesis`.
    pub fn create(
        disk: D,
        place: Place,
        genesis: Vec<Written>,
        key: &SecretKey,
    ) -> Result<(Self, Spiller<D>), LogError> {
        let exists = |path: &str| disk.list(path).map(|names| !names.is_empty()).map_err(io_at("read", path));
        if exists("journal")? || exists(&place.folder)? || exists("records")? {
            return Err(LogError::Exists);
        }
        let reader = Reader::new(disk.clone(), place.folder.clone());
        let checkpoint = sign_checkpoint(key, &place.origin, &TreeHead::empty());
        let spiller = Spiller::new(disk.clone(), place.clone(), reader.clone(), Tree::new(), 0);
        let mut log = Self {
            disk,
            place,
            tree: Tree::new(),
            checkpoint,
            batch: Vec::new(),
            active: 0,
            active_len: 0,
            reader,
        };
        for line in genesis {
            log.stage(line);
        }
        log.commit(key)?;
        Ok((log, spiller))
    }

    /// Open the log: what is spilled, then the journal. A torn last frame is dropped, for it never happened.
    pub fn open(disk: D, place: Place) -> Result<(Self, Spiller<D>), LogError> {
        let reader = Reader::new(disk.clone(), place.folder.clone());
        let (mut tree, mut checkpoint) = open_spilled(&disk, &place)?;
        let spilled = tree.size();
        reader.tail_mut().first = spilled;
        let spiller = Spiller::new(disk.clone(), place.clone(), reader.clone(), tree.clone(), spilled);

        // All of it is read before anything is cut: where something is missing or altered, nothing more is lost.
        let files = journal_files(&disk)?;
        let mut last = None;
        for (n, &first) in files.iter().enumerate() {
            let path = journal_path(first);
            let is_last = n + 1 == files.len();
            if first > tree.size() {
                return damaged(&path, format!("entries {} to {first} are missing", tree.size()));
            }
            let mut bytes = disk.read(&path).map_err(io_at("read", &path))?.unwrap_or_default();
            let mut frames = Frames::new(&bytes);
            while let Some(frame) = frames.next() {
                if frame.first + frame.lines.len() as u64 <= spilled {
                    continue;
                }
                if frame.first != tree.size() {
                    return damaged(&path, format!("entries {} to {} are missing", tree.size(), frame.first));
                }
                for line in &frame.lines {
                    tree.append(leaf_hash(&bytes[line.entry.clone()]));
                    reader.tail_mut().lines.push_back(line.at(first));
                }
                let signed = open_checkpoint(frame.checkpoint, &place.origin, &place.key);
                match signed {
                    Ok(signed) if *signed.head() == tree.head() => checkpoint = Some(signed),
                    _ => {
                        return damaged(
                            &path,
                            format!("the checkpoint of the round at entry {} does not hold", frame.first),
                        );
                    }
                }
            }
            let whole = frames.whole();
            if whole < bytes.len() && (!is_last || frames.go_on(tree.size())) {
                return damaged(&path, format!("it breaks off at byte {whole}"));
            }
            bytes.truncate(whole);
            last = Some((first, bytes));
        }
        let Some(checkpoint) = checkpoint else { return Err(LogError::Missing) };
        // The spiller never takes the newest file away.
        let Some((active, bytes)) = last else { return damaged("journal", "its newest file is missing") };

        reader.open_records(spilled)?;
        cut_tiles(&disk, &place, spilled, tree.size())?;
        // Written anew, not only cut: what the last run could not sync may be in the system's memory and nowhere
        // else, and no later sync would change that.
        let path = journal_path(active);
        disk.replace(&path, &bytes).map_err(io_at("write", &path))?;
        let active_len = bytes.len() as u64;
        Ok((Self { disk, place, tree, checkpoint, batch: Vec::new(), active, active_len, reader }, spiller))
    }

    /// Put a line into the round under way.
    pub fn stage(&mut self, line: Written) -> LeafIndex {
        let leaf = self.tree.append(leaf_hash(line.entry.as_bytes()));
        self.batch.push(line);
        leaf
    }

    /// How many lines the round under way has.
    pub fn staged(&self) -> usize {
        self.batch.len()
    }

    /// Make the round durable: one signature over the new head, one frame, one sync.
    ///
    /// An error ends this writer: what is on disk is found out by opening the log again, never by trying again.
    pub fn commit(&mut self, key: &SecretKey) -> Result<(), LogError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let first = self.tree.size() - self.batch.len() as u64;
        let checkpoint = sign_checkpoint(key, &self.place.origin, &self.tree.head());
        if self.active_len >= JOURNAL_FILE {
            (self.active, self.active_len) = (first, 0);
        }
        let path = journal_path(self.active);
        let header = if self.active_len == 0 { JOURNAL_HEADER } else { b"" };
        let mut bytes = header.to_vec();
        let offsets = write_frame(&mut bytes, first, &self.batch, checkpoint.as_str());
        self.disk.append(&path, &bytes).map_err(io_at("write", &path))?;
        // After this returns the round has happened, and not before. A sync that fails is not tried again: the
        // system may have dropped what it could not write.
        self.disk.sync(&path).map_err(io_at("sync", &path))?;
        let mut tail = self.reader.tail_mut();
        for (line, offset) in self.batch.drain(..).zip(offsets) {
            tail.lines.push_back(InJournal {
                file: self.active,
                offset: self.active_len + offset as u64,
                entry: u16::try_from(line.entry.len()).expect("entries are at most 1 KiB"),
                record: u32::try_from(line.record.len()).expect("records are at most a few MiB"),
            });
        }
        drop(tail);
        self.active_len += bytes.len() as u64;
        self.checkpoint = checkpoint;
        Ok(())
    }

    /// The signed head of what is committed.
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// Where it is, and under which key.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// A reader of what is committed.
    pub fn reader(&self) -> &Reader<D> {
        &self.reader
    }

    /// The record at `leaf`, of the round under way too.
    pub fn record(&self, leaf: LeafIndex) -> Result<Option<Staged>, LogError> {
        let committed = self.checkpoint.head().size;
        match leaf.0.checked_sub(committed) {
            Some(n) => match self.batch.get(n as usize) {
                Some(line) => staged(leaf, entry_time(line.entry.as_bytes()), &line.record).map(Some),
                None => Ok(None),
            },
            None => self.reader.record(leaf).map(Some),
        }
    }

    /// Forget what proofs about recent leaves do not need; older nodes are read from tiles.
    pub fn forget_spilled(&mut self) {
        let spilled = self.reader.tail().first;
        self.tree.forget_below(LeafIndex(spilled.saturating_sub(RECENT)));
    }
}

impl<D: Disk> Nodes for Log<D> {
    type Error = LogError;

    fn node(&self, level: u8, index: u64) -> Result<Hash, LogError> {
        match self.tree.get(level, index) {
            Some(hash) => Ok(hash),
            None => self.reader.node(level, index),
        }
    }
}

//! The log on disk: a journal with one sync per round, and what is spilled from it.
//!
//! A round is one checksummed frame of the journal: its entries, the records behind them, and the checkpoint
//! signed over them. Once its `fdatasync` returns, the round has happened; a torn last frame never has. Tiles,
//! record files and the public checkpoint are spilled from the journal in the background ([`Spiller`]), and
//! journal files go only after that. Opening the log is recovery, whatever happened before.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use liaison_protocol::authority::{NodeId, Timestamp};
use liaison_protocol::entry::{Record, SALT_LEN, Staged, Written};
use liaison_protocol::merkle::{self, Hash, LeafIndex, Nodes, Tree, TreeHead, leaf_hash};
use liaison_protocol::note::{SignedCheckpoint, open_checkpoint, sign_checkpoint};
use liaison_protocol::sign::{PublicKey, SecretKey};
use liaison_protocol::tile::{self, Tile};
use serde::Deserialize;

use crate::disk::Disk;

/// First line of a journal file.
const JOURNAL_HEADER: &[u8] = b"liaison journal 1\n";
/// First line of a records file.
const RECORDS_HEADER: &[u8] = b"liaison records 1\n";
/// A journal file longer than this is closed, and the next one begun.
const JOURNAL_FILE: u64 = 8 * 1024 * 1024;
/// Leaves whose low tree nodes stay in memory; proofs about older ones read tiles.
const RECENT: u64 = 65_536;
/// Hash tiles of older leaves kept in memory.
const TILES_AT_HAND: usize = 64;
/// Entries spilled in one step.
const SPILL_STEP: u64 = 8192;
/// Checksum at the end of a frame: the first bytes of its SHA-256.
const CHECKSUM: usize = 8;

/// Why the log cannot be used. The node stops: nothing that is not recorded has left the house.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Something in the files is not what we wrote.
    #[error(
        "{path}: {why}. Delete nothing. Move the data folder aside and keep it, and put the newest whole copy of it in its place: see \"A file of the log is damaged\" in OPERATING.md"
    )]
    Damaged {
        /// Which file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// There is a log already.
    #[error(
        "there is a log in this folder already, and a second one would be a second history: give another node another folder"
    )]
    Exists,
    /// The disk did not do what it was asked.
    #[error(
        "cannot {doing} {path}: {source}. Free or repair the disk, then start the node again: nothing acknowledged is lost"
    )]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// There is no log to open.
    #[error("there is no log in this folder: make a node with `liaison-node init`")]
    Missing,
}

fn io_at<'a>(doing: &'static str, path: &'a str) -> impl FnOnce(io::Error) -> LogError + 'a {
    move |source| LogError::Io { doing, path: path.to_owned(), source }
}

fn damaged<T>(path: &str, why: impl Into<String>) -> Result<T, LogError> {
    Err(LogError::Damaged { path: path.to_owned(), why: why.into() })
}

/// Where the log's files are, and under which key.
#[derive(Clone, Debug)]
pub struct Place {
    /// Origin of the log: `<node-id>/log<N>`.
    pub origin: String,
    /// Its folder: `log<N>`.
    pub folder: String,
    /// The key its checkpoints verify under.
    pub key: PublicKey,
}

/// Where a line stands in the journal.
#[derive(Clone, Copy, Debug)]
struct InJournal {
    file: u64,
    offset: u64,
    entry: u16,
    record: u32,
}

/// The lines of the journal that are not spilled yet.
#[derive(Debug, Default)]
struct Tail {
    first: u64,
    lines: VecDeque<InJournal>,
}

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

/// Reads what is committed; as many as are wanted, in any thread.
#[derive(Clone, Debug)]
pub struct Reader<D: Disk> {
    disk: D,
    folder: String,
    tail: Arc<RwLock<Tail>>,
    files: Arc<RwLock<Vec<RecordsFile>>>,
    tiles: Arc<Mutex<TilesAtHand>>,
}

/// A record as it was read.
pub struct Unopened {
    leaf: LeafIndex,
    at: Timestamp,
    record: Vec<u8>,
}

impl Unopened {
    /// Make sense of it.
    pub fn open(self) -> Result<Staged, LogError> {
        staged(self.leaf, self.at, &self.record)
    }
}

/// Hash tiles by level and index.
type TilesAtHand = HashMap<(u8, u64), Arc<Vec<Hash>>>;

#[derive(Clone, Debug)]
struct RecordsFile {
    first: u64,
    name: String,
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

impl<D: Disk> Reader<D> {
    fn new(disk: D, folder: String) -> Self {
        Self { disk, folder, tail: Arc::default(), files: Arc::default(), tiles: Arc::default() }
    }

    fn tail(&self) -> std::sync::RwLockReadGuard<'_, Tail> {
        self.tail.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn tail_mut(&self) -> std::sync::RwLockWriteGuard<'_, Tail> {
        self.tail.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Entries committed.
    pub fn size(&self) -> u64 {
        let tail = self.tail();
        tail.first + tail.lines.len() as u64
    }

    /// The record at `leaf`, which must be committed.
    pub fn record(&self, leaf: LeafIndex) -> Result<Staged, LogError> {
        let (at, _, record) = self.written(leaf)?;
        staged(leaf, at, &record)
    }

    /// The record at `leaf`, which must be committed, its message unopened: to open one costs more than to read it.
    pub fn bare(&self, leaf: LeafIndex) -> Result<Record, LogError> {
        parsed(leaf, &self.written(leaf)?.2)
    }

    /// The records of `leaves`, which must be committed, unopened. What lies together is read in one go: for a replay.
    pub fn stretch(&self, leaves: Range<u64>) -> Result<Vec<Unopened>, LogError> {
        let mut found = self.lying_together(leaves.clone())?;
        for leaf in (leaves.start + found.len() as u64..leaves.end).map(LeafIndex) {
            let (at, _, record) = self.written(leaf)?;
            found.push(Unopened { leaf, at, record });
        }
        Ok(found)
    }

    /// The first of these records, as far as they lie behind each other in one file. Not the last one there: where it
    /// ends it says only itself.
    fn lying_together(&self, leaves: Range<u64>) -> Result<Vec<Unopened>, LogError> {
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(place) = files.iter().rposition(|file| file.first <= leaves.start) else {
            return Ok(Vec::new());
        };
        let next_file = files.get(place + 1).map_or(u64::MAX, |file| file.first);
        let last = leaves.end.min(next_file).min(self.tail().first).saturating_sub(1);
        let Some(many) = last.checked_sub(leaves.start).filter(|many| *many > 0) else {
            return Ok(Vec::new());
        };
        let path = &files[place].name;
        let len = (many as usize + 1) * 8;
        let positions =
            self.disk.read_at(POSITIONS, leaves.start * 8, len).map_err(io_at("read", POSITIONS))?;
        let offsets: Vec<u64> = positions
            .chunks_exact(8)
            .map(|bytes| u64::from_be_bytes(bytes.try_into().expect("8 bytes")))
            .collect();
        let first = offsets[0];
        let end = offsets[many as usize];
        if end < first || end > self.disk.len(path).map_err(io_at("read", path))?.unwrap_or(0) {
            return damaged(path, format!("records {} to {last} are not there", leaves.start));
        }
        let bytes = self.disk.read_at(path, first, (end - first) as usize).map_err(io_at("read", path))?;
        let lines = (leaves.start..).map(LeafIndex).zip(offsets.windows(2));
        lines
            .map(|(leaf, ends)| {
                let line = ends[0].checked_sub(first).and_then(|start| {
                    bytes
                        .get(start as usize..ends[1].checked_sub(first)? as usize)?
                        .split_at_checked(12 + SALT_LEN)
                });
                let Some((head, record)) = line else {
                    return damaged(path, format!("record {leaf} is cut short"));
                };
                let at = Timestamp(u64::from_be_bytes(head[4..12].try_into().expect("8 bytes")));
                Ok(Unopened { leaf, at, record: record.to_vec() })
            })
            .collect()
    }

    /// The record at `leaf` as its entry commits to it, the salt and the bytes; it must be committed.
    pub fn opened(&self, leaf: LeafIndex) -> Result<([u8; SALT_LEN], Vec<u8>), LogError> {
        self.written(leaf).map(|(_, salt, record)| (salt, record))
    }

    fn written(&self, leaf: LeafIndex) -> Result<(Timestamp, [u8; SALT_LEN], Vec<u8>), LogError> {
        let salt = |bytes: &[u8]| bytes.try_into().expect("as many bytes as a salt has");
        if let Some((path, line)) = self.in_journal(leaf) {
            let entry = usize::from(line.entry);
            let front = entry + SALT_LEN + 4;
            match self.disk.read_at(&path, line.offset, front + line.record as usize) {
                Ok(bytes) => {
                    let at = entry_time(&bytes[..entry]);
                    return Ok((at, salt(&bytes[entry..entry + SALT_LEN]), bytes[front..].to_vec()));
                }
                // Spilled, and the journal file gone, since we looked.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(io_at("read", &path)(error)),
            }
        }
        let (path, offset) = self.in_records(leaf)?;
        let head = self.disk.read_at(&path, offset, 12 + SALT_LEN).map_err(io_at("read", &path))?;
        let len = u32::from_be_bytes(head[..4].try_into().expect("4 bytes"));
        let at = u64::from_be_bytes(head[4..12].try_into().expect("8 bytes"));
        let record = self
            .disk
            .read_at(&path, offset + head.len() as u64, len as usize)
            .map_err(io_at("read", &path))?;
        Ok((Timestamp(at), salt(&head[12..]), record))
    }

    /// The entry at `leaf`, byte for byte; it must be committed.
    pub fn entry(&self, leaf: LeafIndex) -> Result<String, LogError> {
        let text = |path: &str, bytes: Vec<u8>| {
            String::from_utf8(bytes).or_else(|_| damaged(path, format!("entry {leaf} is not text")))
        };
        if let Some((path, line)) = self.in_journal(leaf) {
            match self.disk.read_at(&path, line.offset, usize::from(line.entry)) {
                Ok(bytes) => return text(&path, bytes),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(io_at("read", &path)(error)),
            }
        }
        let (index, place) = (leaf.0 / 256, (leaf.0 % 256) as usize);
        let (path, bytes) = self.widest(|width| tile::entries_path(index, width))?;
        let entry = tile::decode_bundle(&bytes, 256).nth(place);
        match entry {
            Some(Ok(entry)) => text(&path, entry.to_vec()),
            _ => damaged(&path, format!("entry {leaf} is not there")),
        }
    }

    fn in_journal(&self, leaf: LeafIndex) -> Option<(String, InJournal)> {
        let tail = self.tail();
        let line = *tail.lines.get(usize::try_from(leaf.0.checked_sub(tail.first)?).ok()?)?;
        Some((journal_path(line.file), line))
    }

    fn in_records(&self, leaf: LeafIndex) -> Result<(String, u64), LogError> {
        let bytes = self.disk.read_at(POSITIONS, leaf.0 * 8, 8).map_err(io_at("read", POSITIONS))?;
        let offset = u64::from_be_bytes(bytes.try_into().expect("8 bytes"));
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        match files.iter().rev().find(|file| file.first <= leaf.0) {
            Some(file) => Ok((file.name.clone(), offset)),
            None => damaged("records", format!("no file holds entry {leaf}")),
        }
    }

    /// A node below a full tile that is on disk.
    fn node(&self, level: u8, index: u64) -> Result<Hash, LogError> {
        let spilled = self.tail().first;
        let Some((tile, range)) = tile::locate(level, index, spilled) else {
            return damaged(&self.folder, format!("node {index} of level {level} is not there"));
        };
        let key = (tile.level, tile.index);
        let at_hand = || self.tiles.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hashes) = at_hand().get(&key).filter(|hashes| hashes.len() >= range.end) {
            return Ok(merkle::fold(&hashes[range]));
        }
        let (path, bytes) = self.widest(|width| tile::tile_path(tile.level, tile.index, width))?;
        let width = u16::try_from(bytes.len() / 32).unwrap_or(256);
        let hashes = match tile::decode_tile(&bytes, width) {
            Ok(hashes) if hashes.len() >= range.end => Arc::new(hashes),
            _ => return damaged(&path, "the tile is cut short"),
        };
        let mut tiles = at_hand();
        if tiles.len() >= TILES_AT_HAND {
            tiles.clear();
        }
        tiles.insert(key, hashes.clone());
        Ok(merkle::fold(&hashes[range]))
    }

    /// The full tile file, or the partial one that the last spill left.
    fn widest(&self, path: impl Fn(u16) -> String) -> Result<(String, Vec<u8>), LogError> {
        let full = format!("{}/{}", self.folder, path(256));
        // Between looking and reading, a wider one may have taken its place.
        for _ in 0..3 {
            if let Some(bytes) = self.disk.read(&full).map_err(io_at("read", &full))? {
                return Ok((full, bytes));
            }
            let folder = format!("{full}.p");
            let widths = self.disk.list(&folder).map_err(io_at("read", &folder))?;
            let widest = widths.iter().filter_map(|name| name.parse::<u16>().ok()).max();
            let path = format!("{folder}/{}", widest.unwrap_or_default());
            if let Some(bytes) = self.disk.read(&path).map_err(io_at("read", &path))? {
                return Ok((path, bytes));
            }
        }
        damaged(&full, "the file is missing")
    }

    /// Cut records and positions to what the public checkpoint covers, and learn the files' names.
    fn open_records(&self, size: u64) -> Result<(), LogError> {
        let have = self.disk.len(POSITIONS).map_err(io_at("read", POSITIONS))?.unwrap_or(0);
        if have < size * 8 {
            return damaged(POSITIONS, format!("it holds {} of {size} positions", have / 8));
        }
        let mut files = Vec::new();
        for name in self.disk.list("records").map_err(io_at("read", "records"))? {
            let Some(first) = name.split_once('.').and_then(|(_, first)| first.parse::<u64>().ok()) else {
                continue;
            };
            let path = format!("records/{name}");
            if first >= size {
                self.disk.remove(&path).map_err(io_at("remove", &path))?;
            } else {
                files.push(RecordsFile { first, name: path });
            }
        }
        files.sort_by_key(|file| file.first);
        *self.files.write().unwrap_or_else(PoisonError::into_inner) = files;
        // To the byte: a torn one at its end would displace all that follow.
        if have > size * 8 {
            self.disk.truncate(POSITIONS, size * 8).map_err(io_at("cut", POSITIONS))?;
        }
        if let Some(last) = size.checked_sub(1) {
            let (path, offset) = self.in_records(LeafIndex(last))?;
            let head = self.disk.read_at(&path, offset, 4).map_err(io_at("read", &path))?;
            let len = u32::from_be_bytes(head.try_into().expect("4 bytes"));
            let end = offset + 12 + SALT_LEN as u64 + u64::from(len);
            let there = self.disk.len(&path).map_err(io_at("read", &path))?.unwrap_or(0);
            if there < end {
                return damaged(&path, "it is cut short");
            }
            if there > end {
                self.disk.truncate(&path, end).map_err(io_at("cut", &path))?;
            }
        }
        Ok(())
    }
}

/// Where each record begins in its file: 8 bytes per leaf.
const POSITIONS: &str = "records/positions";

fn staged(leaf: LeafIndex, at: Timestamp, record: &[u8]) -> Result<Staged, LogError> {
    Staged::replayed(leaf, at, parsed(leaf, record)?)
        .or_else(|fault| damaged("records", format!("record {leaf}: {fault}")))
}

fn parsed(leaf: LeafIndex, record: &[u8]) -> Result<Record, LogError> {
    Record::parse(record).or_else(|flaw| damaged("records", format!("record {leaf}: {flaw}")))
}

/// When an entry of ours was written.
fn entry_time(entry: &[u8]) -> Timestamp {
    #[derive(Deserialize)]
    struct Moment {
        t: Timestamp,
    }
    serde_json::from_slice::<Moment>(entry).map(|moment| moment.t).unwrap_or_default()
}

/// The tree up to the public checkpoint, from its tiles.
fn open_spilled<D: Disk>(disk: &D, place: &Place) -> Result<(Tree, Option<SignedCheckpoint>), LogError> {
    let path = format!("{}/checkpoint", place.folder);
    let Some(note) = disk.read(&path).map_err(io_at("read", &path))? else { return Ok((Tree::new(), None)) };
    let note = String::from_utf8(note).or_else(|_| damaged(&path, "it is not text"))?;
    let signed = open_checkpoint(&note, &place.origin, &place.key)
        .or_else(|flaw| damaged(&path, format!("{flaw} (is this folder another node's?)")))?;
    let head = *signed.head();
    // A full tile holds whatever a partial one of the same place did.
    let hashes = |level: u8, index: u64, width: u16| -> Result<Vec<Hash>, LogError> {
        let paths =
            [width, 256].map(|width| format!("{}/{}", place.folder, tile::tile_path(level, index, width)));
        for path in &paths {
            if let Some(mut bytes) = disk.read(path).map_err(io_at("read", path))? {
                bytes.truncate(usize::from(width) * 32);
                return tile::decode_tile(&bytes, width).or_else(|flaw| damaged(path, flaw.to_string()));
            }
        }
        damaged(&paths[0], "the tile is missing")
    };
    let blocks = head.size / 256;
    let mut level8 = Vec::new();
    for index in 0..blocks.div_ceil(256) {
        level8.extend(hashes(1, index, (blocks - index * 256).min(256) as u16)?);
    }
    let rest = match (head.size % 256) as u16 {
        0 => Vec::new(),
        width => hashes(0, blocks, width)?,
    };
    let tree = Tree::resume(head.size, level8, &rest).or_else(|flaw| damaged(&path, flaw.to_string()))?;
    if tree.head() != head {
        return damaged(&path, "the tiles do not have its root");
    }
    Ok((tree, Some(signed)))
}

/// Remove the tiles beyond the public checkpoint: a spill that was broken off may have left them torn.
fn cut_tiles<D: Disk>(disk: &D, place: &Place, spilled: u64, size: u64) -> Result<(), LogError> {
    let edge: Vec<Tile> = tile::partial_tiles(spilled).collect();
    for tile in tile::new_tiles(spilled, size) {
        let held = edge.iter().find(|held| (held.level, held.index) == (tile.level, tile.index));
        let held = held.map_or(0, |held| held.width);
        for path in files_of(&tile.full()) {
            let full = format!("{}/{path}", place.folder);
            let folder = format!("{full}.p");
            let widths = disk.list(&folder).map_err(io_at("read", &folder))?;
            let widths: Vec<u16> = widths.iter().filter_map(|name| name.parse().ok()).collect();
            for width in widths.iter().filter(|width| **width > held) {
                let path = format!("{folder}/{width}");
                disk.remove(&path).map_err(io_at("remove", &path))?;
            }
            // In a copy made while the log grew, the full one may stand in for the one held.
            if held == 0 || widths.contains(&held) {
                disk.remove(&full).map_err(io_at("remove", &full))?;
            }
        }
    }
    Ok(())
}

/// The files of a tile: its hashes and, at the bottom, its entries.
fn files_of(tile: &Tile) -> impl Iterator<Item = String> {
    std::iter::once(tile.path()).chain((tile.level == 0).then(|| tile.entries_path()))
}

/// Where what `peer` cosigned is kept, below the data folder: the `checkpoint`, or its `key-sets`.
pub fn witnessed_file(log_folder: &str, peer: &NodeId, what: &str) -> String {
    format!("{log_folder}/witnessed/{}.{what}", peer.as_str().trim_end_matches("/liaison"))
}

fn journal_path(first: u64) -> String {
    format!("journal/{first:020}")
}

fn journal_files<D: Disk>(disk: &D) -> Result<Vec<u64>, LogError> {
    let names = disk.list("journal").map_err(io_at("read", "journal"))?;
    Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
}

/// Write one frame: length, first leaf, number of lines, the lines, the checkpoint, a checksum. Returns where each
/// line begins.
fn write_frame(out: &mut Vec<u8>, first: u64, lines: &[Written], checkpoint: &str) -> Vec<usize> {
    let start = out.len();
    let content = |line: &Written| 2 + line.entry.len() + line.salt.len() + 4 + line.record.len();
    out.reserve(18 + lines.iter().map(content).sum::<usize>() + checkpoint.len() + CHECKSUM);
    out.extend([0; 4]);
    out.extend(first.to_be_bytes());
    out.extend(u32::try_from(lines.len()).expect("a round is bounded").to_be_bytes());
    let mut offsets = Vec::with_capacity(lines.len());
    for line in lines {
        out.extend(u16::try_from(line.entry.len()).expect("entries are at most 1 KiB").to_be_bytes());
        offsets.push(out.len());
        out.extend(line.entry.as_bytes());
        out.extend(line.salt);
        out.extend(u32::try_from(line.record.len()).expect("records are at most a few MiB").to_be_bytes());
        out.extend(&line.record);
    }
    out.extend(u16::try_from(checkpoint.len()).expect("checkpoints are short").to_be_bytes());
    out.extend(checkpoint.as_bytes());
    let len = u32::try_from(out.len() - start - 4 + CHECKSUM).expect("a round is bounded");
    out[start..start + 4].copy_from_slice(&len.to_be_bytes());
    let checksum = Hash::of(&out[start..]);
    out.extend(&checksum.as_bytes()[..CHECKSUM]);
    offsets
}

/// The frames of a journal file, as far as they are whole.
struct Frames<'a> {
    bytes: &'a [u8],
    offset: usize,
    /// Whether the bytes begin as a file of ours does, or behind a frame of one.
    is_ours: bool,
}

struct Frame<'a> {
    first: u64,
    lines: Vec<FrameLine>,
    checkpoint: &'a str,
}

struct FrameLine {
    entry: Range<usize>,
    record: Range<usize>,
}

impl FrameLine {
    fn at(&self, file: u64) -> InJournal {
        InJournal {
            file,
            offset: self.entry.start as u64,
            entry: self.entry.len() as u16,
            record: self.record.len() as u32,
        }
    }
}

impl<'a> Frames<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let is_ours = bytes.starts_with(JOURNAL_HEADER);
        Self { bytes, offset: if is_ours { JOURNAL_HEADER.len() } else { 0 }, is_ours }
    }

    /// What stands behind a frame.
    fn behind_one(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0, is_ours: true }
    }

    /// How far the file is whole.
    fn whole(&self) -> usize {
        self.offset
    }

    /// Whether a whole frame from entry `next` on stands behind the place where they break off: then that is no torn
    /// end, but damage.
    fn go_on(&self, next: u64) -> bool {
        (self.offset + 1..self.bytes.len()).any(|start| {
            let first = self.bytes.get(start + 4..start + 12);
            let first = first.map(|bytes| u64::from_be_bytes(bytes.try_into().expect("8 bytes")));
            // Hash only what can be one: every entry takes more than a byte.
            first.is_some_and(|first| (next..next + self.bytes.len() as u64).contains(&first))
                && Self::read(self.bytes, start).is_some()
        })
    }

    fn next(&mut self) -> Option<Frame<'a>> {
        if !self.is_ours {
            return None;
        }
        let (frame, len) = Self::read(self.bytes, self.offset)?;
        self.offset += len;
        Some(frame)
    }

    fn read(bytes: &'a [u8], start: usize) -> Option<(Frame<'a>, usize)> {
        let mut at = start;
        let mut take = |n: usize| {
            let range = at..at.checked_add(n)?;
            at = range.end;
            (range.end <= bytes.len()).then_some(range)
        };
        let len = u32::from_be_bytes(bytes[take(4)?].try_into().ok()?) as usize;
        let whole = bytes.get(start..start.checked_add(4)?.checked_add(len)?)?;
        let (content, checksum) = whole.split_at_checked(whole.len().checked_sub(CHECKSUM)?)?;
        if Hash::of(content).as_bytes()[..CHECKSUM] != *checksum {
            return None;
        }
        let first = u64::from_be_bytes(bytes[take(8)?].try_into().ok()?);
        let count = u32::from_be_bytes(bytes[take(4)?].try_into().ok()?);
        let mut lines = Vec::new();
        for _ in 0..count {
            let len = u16::from_be_bytes(bytes[take(2)?].try_into().ok()?);
            let entry = take(usize::from(len))?;
            take(SALT_LEN)?;
            let len = u32::from_be_bytes(bytes[take(4)?].try_into().ok()?);
            lines.push(FrameLine { entry, record: take(len as usize)? });
        }
        let len = u16::from_be_bytes(bytes[take(2)?].try_into().ok()?);
        let checkpoint = std::str::from_utf8(&bytes[take(usize::from(len))?]).ok()?;
        Some((Frame { first, lines, checkpoint }, whole.len()))
    }
}

/// Writes tiles, record files and the public checkpoint from the journal, behind the writer's back.
///
/// Everything it does can be done again: it starts from the public checkpoint, which it writes last.
#[derive(Debug)]
pub struct Spiller<D: Disk> {
    disk: D,
    place: Place,
    reader: Reader<D>,
    tree: Tree,
    spilled: u64,
    /// Where that is in the journal: the file, and the byte behind the last frame; none at first.
    reached: Option<(u64, u64)>,
}

impl<D: Disk> Spiller<D> {
    fn new(disk: D, place: Place, reader: Reader<D>, tree: Tree, spilled: u64) -> Self {
        Self { disk, place, reader, tree, spilled, reached: None }
    }

    /// Entries that are not spilled.
    pub fn waiting(&self) -> u64 {
        self.reader.size().saturating_sub(self.spilled)
    }

    /// Spill some whole rounds. Returns whether there is more to do.
    pub fn step(&mut self) -> Result<bool, LogError> {
        let committed = self.reader.size();
        if self.spilled == committed {
            return Ok(false);
        }
        let from = self.spilled;
        let Some(file) = journal_files(&self.disk)?.into_iter().rfind(|first| *first <= from) else {
            return damaged("journal", format!("entry {from} is in no journal file"));
        };
        let path = journal_path(file);
        let start = self.reached.filter(|(reached, _)| *reached == file).map_or(0, |(_, start)| start);
        let len = self.disk.len(&path).map_err(io_at("read", &path))?.unwrap_or(0).saturating_sub(start);
        let bytes = self.disk.read_at(&path, start, len as usize).map_err(io_at("read", &path))?;
        let mut frames = if start == 0 { Frames::new(&bytes) } else { Frames::behind_one(&bytes) };
        let mut whole = 0;
        let mut records = Records::new(self);
        let mut entries: Vec<&[u8]> = Vec::new();
        let mut checkpoint = None;
        while let Some(frame) = frames.next() {
            let end = frame.first + frame.lines.len() as u64;
            if end <= from {
                continue;
            }
            // The writer may have begun a frame whose sync has not returned: that round has not happened yet.
            if end > committed || (entries.len() as u64) >= SPILL_STEP {
                break;
            }
            for line in &frame.lines {
                entries.push(&bytes[line.entry.clone()]);
                let salt = &bytes[line.entry.end..line.entry.end + SALT_LEN];
                let at = entry_time(&bytes[line.entry.clone()]);
                records.add(from + entries.len() as u64 - 1, at, salt, &bytes[line.record.clone()])?;
            }
            checkpoint = Some(frame.checkpoint);
            whole = frames.whole();
        }
        let Some(checkpoint) = checkpoint else {
            return damaged(&path, format!("the round of entry {from} is not there"));
        };
        // First the records, then the tiles, and last the checkpoint that speaks of both. A crash in between leaves
        // more than the checkpoint says, and opening cuts or overwrites that.
        let files = records.write()?;
        let tiles = self.write_tiles(from, &entries)?;
        let path = format!("{}/checkpoint", self.place.folder);
        self.disk.replace(&path, checkpoint.as_bytes()).map_err(io_at("write", &path))?;
        self.spilled = self.tree.size();
        self.reached = Some((file, start + whole as u64));
        self.reader.files.write().unwrap_or_else(PoisonError::into_inner).extend(files);
        self.reader.tiles.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, tile| tile.len() == 256);
        {
            let mut tail = self.reader.tail_mut();
            let lines = (self.spilled - tail.first) as usize;
            tail.lines.drain(..lines);
            tail.first = self.spilled;
        }
        self.drop_partial(&tiles)?;
        self.drop_journal()?;
        Ok(self.spilled < committed)
    }

    fn write_tiles(&mut self, from: u64, entries: &[&[u8]]) -> Result<Vec<Tile>, LogError> {
        let folder = &self.place.folder;
        for entry in entries {
            self.tree.append(leaf_hash(entry));
        }
        let tiles: Vec<Tile> = tile::new_tiles(from, self.tree.size()).collect();
        let mut written = Vec::new();
        for new in &tiles {
            let hashes = new.hashes(&self.tree).or_else(|why| damaged(folder, why.to_string()))?;
            written.push((format!("{folder}/{}", new.path()), tile::encode_tile(&hashes)));
            if new.level == 0 {
                let start = new.index * 256;
                let mut bundle: Vec<String> = Vec::new();
                // The first tile may begin with entries that an earlier step wrote.
                for leaf in start..from.max(start) {
                    bundle.push(self.reader.entry(LeafIndex(leaf))?);
                }
                let end = start + u64::from(new.width);
                let fresh = &entries[(from.max(start) - from) as usize..(end - from) as usize];
                let bundle =
                    tile::encode_bundle(bundle.iter().map(String::as_bytes).chain(fresh.iter().copied()));
                let bundle = bundle.or_else(|flaw| damaged(folder, flaw.to_string()))?;
                written.push((format!("{folder}/{}", new.entries_path()), bundle));
            }
        }
        let mut folders = std::collections::BTreeSet::new();
        for (path, bytes) in &written {
            self.disk.write(path, bytes).map_err(io_at("write", path))?;
            self.disk.sync(path).map_err(io_at("sync", path))?;
            folders.extend(path.rsplit_once('/').map(|(folder, _)| folder.to_owned()));
        }
        for folder in &folders {
            self.disk.sync_folder(folder).map_err(io_at("sync", folder))?;
        }
        self.tree.forget_all_full_tiles();
        Ok(tiles)
    }

    /// Remove partial tiles that `tiles` contain, once the checkpoint speaks of these and not of those.
    fn drop_partial(&self, tiles: &[Tile]) -> Result<(), LogError> {
        for tile in tiles {
            for (full, new) in files_of(&tile.full()).zip(files_of(tile)) {
                let below = |path: &str| format!("{}/{path}", self.place.folder);
                let folder = below(&full) + ".p";
                for name in self.disk.list(&folder).map_err(io_at("read", &folder))? {
                    let old = format!("{folder}/{name}");
                    if old != below(&new) {
                        self.disk.remove(&old).map_err(io_at("remove", &old))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Remove journal files that are wholly spilled; the newest one stays for the writer.
    fn drop_journal(&self) -> Result<(), LogError> {
        let files = journal_files(&self.disk)?;
        for pair in files.windows(2).filter(|pair| pair[1] <= self.spilled) {
            let path = journal_path(pair[0]);
            self.disk.remove(&path).map_err(io_at("remove", &path))?;
        }
        Ok(())
    }
}

/// Rows for the record files, gathered for one write.
struct Records<'a, D: Disk> {
    disk: &'a D,
    positions: Vec<u8>,
    /// Per file: its name, where it ended, what is added.
    files: Vec<(RecordsFile, u64, Vec<u8>)>,
    fresh: usize,
    month: Option<String>,
    last: Option<RecordsFile>,
}

impl<'a, D: Disk> Records<'a, D> {
    fn new(spiller: &'a Spiller<D>) -> Self {
        let files = spiller.reader.files.read().unwrap_or_else(PoisonError::into_inner);
        Self {
            disk: &spiller.disk,
            positions: Vec::new(),
            files: Vec::new(),
            fresh: 0,
            month: None,
            last: files.last().cloned(),
        }
    }

    /// Add one row to the file of the month of `at`. A clock that steps back does not reopen an older file.
    fn add(&mut self, leaf: u64, at: Timestamp, salt: &[u8], record: &[u8]) -> Result<(), LogError> {
        let date = at.date();
        let month = format!("{:04}-{:02}", date.year(), date.month());
        if self.files.is_empty() || self.month.as_ref() != Some(&month) {
            let continues = self.files.is_empty()
                && self.last.as_ref().is_some_and(|file| file.name.starts_with(&format!("records/{month}.")));
            let (file, end) = match self.last.take().filter(|_| continues) {
                Some(file) => {
                    let end = self.disk.len(&file.name).map_err(io_at("read", &file.name))?.unwrap_or(0);
                    (file, end)
                }
                None => {
                    self.fresh += 1;
                    (RecordsFile { first: leaf, name: format!("records/{month}.{leaf:020}") }, 0)
                }
            };
            let bytes = if end == 0 { RECORDS_HEADER.to_vec() } else { Vec::new() };
            self.files.push((file, end, bytes));
            self.month = Some(month);
        }
        let (_, end, bytes) = self.files.last_mut().expect("one was just pushed");
        self.positions.extend((*end + bytes.len() as u64).to_be_bytes());
        bytes.extend(u32::try_from(record.len()).expect("records are at most a few MiB").to_be_bytes());
        bytes.extend(at.0.to_be_bytes());
        bytes.extend(salt);
        bytes.extend(record);
        Ok(())
    }

    /// Write and sync the rows, then their positions. Returns the files that are new.
    fn write(self) -> Result<Vec<RecordsFile>, LogError> {
        for (file, _, bytes) in &self.files {
            self.disk.append(&file.name, bytes).map_err(io_at("write", &file.name))?;
            self.disk.sync(&file.name).map_err(io_at("sync", &file.name))?;
        }
        self.disk.append(POSITIONS, &self.positions).map_err(io_at("write", POSITIONS))?;
        self.disk.sync(POSITIONS).map_err(io_at("sync", POSITIONS))?;
        let old = self.files.len() - self.fresh;
        Ok(self.files.into_iter().skip(old).map(|(file, _, _)| file).collect())
    }
}

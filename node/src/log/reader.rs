//! Reads what is committed: from the journal, and from the files it is spilled to.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use liaison_protocol::authority::Timestamp;
use liaison_protocol::entry::{Record, SALT_LEN, Staged};
use liaison_protocol::merkle::{self, Hash, LeafIndex};
use liaison_protocol::tile;

use super::error::{LogError, damaged, io_at};
use super::journal::{InJournal, entry_time, journal_path};
use crate::disk::Disk;

/// Hash tiles of older leaves kept in memory.
const TILES_AT_HAND: usize = 64;
/// Where each record begins in its file: 8 bytes per leaf.
pub(super) const POSITIONS: &str = "records/positions";

/// The lines of the journal that are not spilled yet.
#[derive(Debug, Default)]
pub(super) struct Tail {
    pub(super) first: u64,
    pub(super) lines: VecDeque<InJournal>,
}

/// Reads what is committed; as many as are wanted, in any thread.
#[derive(Clone, Debug)]
pub struct Reader<D: Disk> {
    disk: D,
    folder: String,
    pub(super) tail: Arc<RwLock<Tail>>,
    pub(super) files: Arc<RwLock<Vec<RecordsFile>>>,
    pub(super) tiles: Arc<Mutex<TilesAtHand>>,
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
pub(super) struct RecordsFile {
    pub(super) first: u64,
    pub(super) name: String,
}

impl<D: Disk> Reader<D> {
    pub(super) fn new(disk: D, folder: String) -> Self {
        Self { disk, folder, tail: Arc::default(), files: Arc::default(), tiles: Arc::default() }
    }

    pub(super) fn tail(&self) -> std::sync::RwLockReadGuard<'_, Tail> {
        self.tail.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tail_mut(&self) -> std::sync::RwLockWriteGuard<'_, Tail> {
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
    pub(super) fn lying_together(&self, leaves: Range<u64>) -> Result<Vec<Unopened>, LogError> {
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

    /// When the entry at `leaf`, which must be committed, was written.
    pub fn time(&self, leaf: LeafIndex) -> Result<Timestamp, LogError> {
        self.written(leaf).map(|(at, ..)| at)
    }

    /// The record at `leaf` as its entry commits to it, the salt and the bytes; it must be committed.
    pub fn opened(&self, leaf: LeafIndex) -> Result<([u8; SALT_LEN], Vec<u8>), LogError> {
        self.written(leaf).map(|(_, salt, record)| (salt, record))
    }

    pub(super) fn written(&self, leaf: LeafIndex) -> Result<(Timestamp, [u8; SALT_LEN], Vec<u8>), LogError> {
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

    pub(super) fn in_journal(&self, leaf: LeafIndex) -> Option<(String, InJournal)> {
        let tail = self.tail();
        let line = *tail.lines.get(usize::try_from(leaf.0.checked_sub(tail.first)?).ok()?)?;
        Some((journal_path(line.file), line))
    }

    pub(super) fn in_records(&self, leaf: LeafIndex) -> Result<(String, u64), LogError> {
        let bytes = self.disk.read_at(POSITIONS, leaf.0 * 8, 8).map_err(io_at("read", POSITIONS))?;
        let offset = u64::from_be_bytes(bytes.try_into().expect("8 bytes"));
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        match files.iter().rev().find(|file| file.first <= leaf.0) {
            Some(file) => Ok((file.name.clone(), offset)),
            None => damaged("records", format!("no file holds entry {leaf}")),
        }
    }

    /// A node below a full tile that is on disk.
    pub(super) fn node(&self, level: u8, index: u64) -> Result<Hash, LogError> {
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
    pub(super) fn widest(&self, path: impl Fn(u16) -> String) -> Result<(String, Vec<u8>), LogError> {
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
    pub(super) fn open_records(&self, size: u64) -> Result<(), LogError> {
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

pub(super) fn staged(leaf: LeafIndex, at: Timestamp, record: &[u8]) -> Result<Staged, LogError> {
    Staged::replayed(leaf, at, parsed(leaf, record)?)
        .or_else(|fault| damaged("records", format!("record {leaf}: {fault}")))
}

fn parsed(leaf: LeafIndex, record: &[u8]) -> Result<Record, LogError> {
    Record::parse(record).or_else(|flaw| damaged("records", format!("record {leaf}: {flaw}")))
}

//! Spills the journal: tiles, record files and the public checkpoint, written behind the writer's back.

use std::sync::PoisonError;

use liaison_protocol::authority::Timestamp;
use liaison_protocol::entry::SALT_LEN;
use liaison_protocol::merkle::{LeafIndex, Tree, leaf_hash};
use liaison_protocol::tile::{self, Tile};

use super::error::{LogError, damaged, io_at};
use super::journal::{Frames, entry_time, journal_files, journal_path};
use super::place::Place;
use super::reader::{POSITIONS, Reader, RecordsFile};
use super::spilled::files_of;
use crate::disk::Disk;

/// First line of a records file.
const RECORDS_HEADER: &[u8] = b"liaison records 1\n";
/// Entries spilled in one step.
const SPILL_STEP: u64 = 8192;

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
    pub(super) fn new(disk: D, place: Place, reader: Reader<D>, tree: Tree, spilled: u64) -> Self {
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

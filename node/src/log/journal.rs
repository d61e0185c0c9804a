//! The journal: frames of rounds, one behind the other, in files named by their first entries.

use std::ops::Range;

use liaison_protocol::authority::Timestamp;
use liaison_protocol::entry::{SALT_LEN, Written};
use liaison_protocol::merkle::Hash;
use serde::Deserialize;

use super::error::{LogError, io_at};
use crate::disk::Disk;

/// First line of a journal file.
pub(super) const JOURNAL_HEADER: &[u8] = b"liaison journal 1\n";
/// Checksum at the end of a frame: the first bytes of its SHA-256.
const CHECKSUM: usize = 8;

/// Where a line stands in the journal.
#[derive(Clone, Copy, Debug)]
pub(super) struct InJournal {
    pub(super) file: u64,
    pub(super) offset: u64,
    pub(super) entry: u16,
    pub(super) record: u32,
}

pub(super) fn journal_path(first: u64) -> String {
    format!("journal/{first:020}")
}

pub(super) fn journal_files<D: Disk>(disk: &D) -> Result<Vec<u64>, LogError> {
    let names = disk.list("journal").map_err(io_at("read", "journal"))?;
    Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
}

/// When an entry of ours was written.
pub(super) fn entry_time(entry: &[u8]) -> Timestamp {
    #[derive(Deserialize)]
    struct Moment {
        t: Timestamp,
    }
    serde_json::from_slice::<Moment>(entry).map(|moment| moment.t).unwrap_or_default()
}

/// Write one frame: length, first leaf, number of lines, the lines, the checkpoint, a checksum. Returns where each
/// line begins.
pub(super) fn write_frame(out: &mut Vec<u8>, first: u64, lines: &[Written], checkpoint: &str) -> Vec<usize> {
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
pub(super) struct Frames<'a> {
    bytes: &'a [u8],
    offset: usize,
    /// Whether the bytes begin as a file of ours does, or behind a frame of one.
    is_ours: bool,
}

pub(super) struct Frame<'a> {
    pub(super) first: u64,
    pub(super) lines: Vec<FrameLine>,
    pub(super) checkpoint: &'a str,
}

pub(super) struct FrameLine {
    pub(super) entry: Range<usize>,
    pub(super) record: Range<usize>,
}

impl FrameLine {
    pub(super) fn at(&self, file: u64) -> InJournal {
        InJournal {
            file,
            offset: self.entry.start as u64,
            entry: self.entry.len() as u16,
            record: self.record.len() as u32,
        }
    }
}

impl<'a> Frames<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let is_ours = bytes.starts_with(JOURNAL_HEADER);
        Self { bytes, offset: if is_ours { JOURNAL_HEADER.len() } else { 0 }, is_ours }
    }

    /// What stands behind a frame.
    pub(super) fn behind_one(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0, is_ours: true }
    }

    /// How far the file is whole.
    pub(super) fn whole(&self) -> usize {
        self.offset
    }

    /// Whether a whole frame from entry `next` on stands behind the place where they break off: then that is no torn
    /// end, but damage.
    pub(super) fn go_on(&self, next: u64) -> bool {
        (self.offset + 1..self.bytes.len()).any(|start| {
            let first = self.bytes.get(start + 4..start + 12);
            let first = first.map(|bytes| u64::from_be_bytes(bytes.try_into().expect("8 bytes")));
            // Hash only what can be one: every entry takes more than a byte.
            first.is_some_and(|first| (next..next + self.bytes.len() as u64).contains(&first))
                && Self::read(self.bytes, start).is_some()
        })
    }

    pub(super) fn next(&mut self) -> Option<Frame<'a>> {
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

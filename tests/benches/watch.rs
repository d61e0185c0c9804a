//! Watches a node's journal as it grows: there, and nowhere else, stands what is held durably and since when.
//!
//! A frame of the journal is a round: entries, records, checkpoint. It is seen when it is written, which is at most one
//! `fdatasync` before it is durable, and at most one look after. Counting frames counts rounds.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use liaison_protocol::jws;

/// The id of an exchange: that of the message that opened it.
pub(crate) type Id = String;

/// What the asking node holds of an exchange.
#[derive(Clone, Copy, Default)]
struct Held {
    receipt: bool,
    answer: bool,
}

/// The journal of an asking node.
pub(crate) struct Watch {
    journal: PathBuf,
    /// The file that is read: the number of its first entry.
    reads: u64,
    /// Where the next frame begins in it.
    offset: u64,
    /// The first entry of the next frame.
    next: u64,
    held: HashMap<Id, Held>,
    /// Exchanges whose answer and receipts the node holds, and since when.
    pub(crate) done: Vec<(Id, Instant)>,
    /// Exchanges of the answers that the node sent, by the answers' ids.
    answers: HashMap<String, Id>,
    /// Exchanges whose answer the node sent, and the receipt of which it holds since then.
    pub(crate) receipted: Vec<(Id, Instant)>,
    /// Messages received: answers here, questions in the log of the one who is asked.
    pub(crate) received: u64,
    /// Frames seen: rounds.
    pub(crate) rounds: u64,
    /// Entries seen.
    pub(crate) entries: u64,
    /// Bytes seen.
    pub(crate) bytes: u64,
}

impl Watch {
    /// Watch the journal of the node whose data folder this is, from now on.
    pub(crate) fn from_now(data: &Path) -> Self {
        let journal = data.join("journal");
        let names = std::fs::read_dir(&journal).expect("a node has a journal");
        let firsts = names.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u64>().ok());
        let newest = firsts.max().expect("a journal has a file");
        let mut watch = Self {
            journal,
            reads: newest,
            offset: HEADER.len() as u64,
            next: newest,
            held: HashMap::new(),
            done: Vec::new(),
            answers: HashMap::new(),
            receipted: Vec::new(),
            received: 0,
            rounds: 0,
            entries: 0,
            bytes: 0,
        };
        watch.look();
        watch.forget();
        watch
    }

    /// Count from here.
    pub(crate) fn forget(&mut self) {
        (self.received, self.rounds, self.entries, self.bytes) = (0, 0, 0, 0);
        self.held.clear();
        self.done.clear();
        self.answers.clear();
        self.receipted.clear();
    }

    /// Take in what was written since the last look.
    pub(crate) fn look(&mut self) {
        loop {
            // By its name each time: a node that starts writes its newest file anew.
            let path = self.journal.join(format!("{:020}", self.reads));
            let Ok(file) = File::open(path) else { return };
            while let Some(frame) = self.frame(&file).expect("the journal can be read") {
                self.take(&frame, Instant::now());
            }
            // The writer goes on in another file when this one is full, and names it by its first entry.
            let goes_on = self.next > self.reads && self.journal.join(format!("{:020}", self.next)).exists();
            if !goes_on {
                return;
            }
            (self.reads, self.offset) = (self.next, HEADER.len() as u64);
        }
    }

    /// The next whole frame.
    fn frame(&mut self, file: &File) -> io::Result<Option<Vec<u8>>> {
        let mut len = [0; 4];
        if file.read_at(&mut len, self.offset)? < 4 {
            return Ok(None);
        }
        let mut frame = vec![0; u32::from_be_bytes(len) as usize];
        match file.read_exact_at(&mut frame, self.offset + 4) {
            Ok(()) => {
                self.offset += 4 + frame.len() as u64;
                Ok(Some(frame))
            }
            // Written in part only: it is there the next time.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn take(&mut self, frame: &[u8], at: Instant) {
        let first = u64::from_be_bytes(frame[..8].try_into().expect("8 bytes"));
        let count = u32::from_be_bytes(frame[8..12].try_into().expect("4 bytes"));
        let mut rest = &frame[12..];
        for _ in 0..count {
            let (len, behind) = rest.split_at(2);
            let (entry, behind) =
                behind.split_at(u16::from_be_bytes(len.try_into().expect("2 bytes")).into());
            let (len, behind) = behind[SALT..].split_at(4);
            let (record, behind) =
                behind.split_at(u32::from_be_bytes(len.try_into().expect("4 bytes")) as usize);
            rest = behind;
            self.entry(text(entry), text(record), at);
        }
        self.rounds += 1;
        self.entries += u64::from(count);
        self.bytes += 4 + frame.len() as u64;
        self.next = first + u64::from(count);
    }

    fn entry(&mut self, entry: &str, record: &str, at: Instant) {
        let kind = between(entry, "\"k\":\"", "\"");
        self.received += u64::from(kind == Some("msg.rcvd"));
        let message = || between(entry, "\"m\":\"", "\"").map(str::to_owned);
        if kind == Some("msg.sent") {
            self.answers.extend(message().zip(answered(record)));
            return;
        }
        let id = match kind {
            Some("receipt") => {
                let of = message();
                if let Some(exchange) = of.as_ref().and_then(|of| self.answers.remove(of)) {
                    self.receipted.push((exchange, at));
                    return;
                }
                of
            }
            Some("msg.rcvd") => answered(record),
            _ => None,
        };
        let Some(id) = id else { return };
        let held = self.held.entry(id.clone()).or_default();
        match kind {
            Some("receipt") => held.receipt = true,
            _ => held.answer = true,
        }
        if held.receipt && held.answer {
            self.held.remove(&id);
            self.done.push((id, at));
        }
    }
}

/// The exchange that a message sent or received belongs to, if it did not open one.
fn answered(record: &str) -> Option<Id> {
    let payload = between(record, "\"token\":\"", "\"")?.split('.').nth(1)?;
    let payload = jws::decode(payload)?;
    between(text(&payload), "\"thr\":\"", "\"").map(str::to_owned)
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("entries and records are text")
}

/// What stands between `before` and `after`.
pub(crate) fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let rest = &text[text.find(before)? + before.len()..];
    rest.find(after).map(|end| &rest[..end])
}

/// As the node writes it: node/src/log.rs.
const HEADER: &[u8] = b"liaison journal 1\n";
const SALT: usize = 32;

//! Opening a node: its log, its index up to where it reaches, and what is behind that folded anew.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::thread::ScopedJoinHandle;

use liaison_protocol::authority::{By, Line, NodeId, OfficerId, Timestamp};
use liaison_protocol::desk::Desk;
use liaison_protocol::entry::{Record, Staged, Written};
use liaison_protocol::key_set::KeyChain;
use liaison_protocol::merkle::{Hash, LeafIndex};
use rayon::prelude::*;

use super::{Node, NodeError, Random, Shelves};
use crate::blobs::Blobs;
use crate::disk::Disk;
use crate::keys::Keys;
use crate::log::{Log, LogError, Place, Spiller, Unopened, witnessed_file};
use crate::metrics::{Laps, Metrics};
use crate::register::{Firearms, Licences};
use crate::store::{Store, StoreError};

/// How many days back a start looks for licences that expired or came into force, where the index does not say.
const LOOK_BACK: i32 = 400;
/// Entries replayed between two commits of the index.
const REPLAY_STEP: u64 = 16_384;
/// Entries read at a time for a replay.
const REPLAY_READ: u64 = 1024;

/// What a node is opened with, beside its disk.
pub struct Parts {
    /// Where its log is.
    pub place: Place,
    /// Who it is.
    pub us: NodeId,
    /// What it signs with.
    pub keys: Keys,
    /// Its index.
    pub store: Store,
    /// Finds the register of firearms that the log says is in force, by its digest.
    pub firearms: Box<dyn FnOnce(Hash) -> Firearms>,
    /// Finds the licence list that the log says is in force, by its digest.
    pub licences: Box<dyn FnOnce(Hash) -> Licences>,
    /// Where its randomness comes from.
    pub random: Random,
    /// How many entries this machine remembers to have signed, if it remembers any.
    pub signed: Option<u64>,
}

impl<D: Disk> Node<D> {
    /// Make a node's log: its genesis and its first key set. Returns how many entries it has.
    pub fn create(
        disk: D,
        place: Place,
        key_set: &str,
        keys: &Keys,
        now: Timestamp,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Result<(u64, Spiller<D>), NodeError> {
        let chain = KeyChain::parse(key_set)?;
        let set = chain.current();
        let genesis =
            Record::Genesis { node: set.node.clone(), state: set.state.clone(), log: set.current_log() };
        let first = Record::KeySet { node: set.node.clone(), key_set: key_set.to_owned() };
        let mut write = |record: Record| -> Written {
            let mut salt = [0; 32];
            random(&mut salt);
            record.write(now, &salt)
        };
        let lines = vec![write(genesis), write(first)];
        let (log, spiller) = Log::create(disk, place, lines, &keys.log.key)?;
        Ok((log.checkpoint().head().size, spiller))
    }

    /// Open a node: its log, the index up to where it reaches, and the log's tail on top. `progress` is told how many
    /// of how many entries are replayed.
    pub fn open(
        disk: D,
        parts: Parts,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<(Self, Spiller<D>), NodeError> {
        let Parts { place, us, keys, mut store, firearms, licences, random, signed } = parts;
        let blobs = Blobs::new(disk.clone());
        let folder = place.folder.clone();
        let (log, spiller) = Log::open(disk.clone(), place)?;
        let size = log.checkpoint().head().size;
        if !(1..=size).contains(&store.reached()?) {
            // Tables that know more than the log are not its tables, and others may be of another form.
            store.clear()?;
        }
        let failed = RefCell::new(None);
        let desk = Desk::open(us.clone(), &Shelves { store: &mut store, log: &log, failed: &failed });
        if let Some(error) = failed.take() {
            return Err(error.into());
        }
        store.check()?;
        let desk = match desk {
            Some(desk) => desk,
            None => {
                tracing::warn!("the index does not fit the log: it is made anew");
                store.clear()?;
                Desk::new(us)
            }
        };
        let reached = store.reached()?;
        let told = store.told()?;
        let time = match size.checked_sub(1) {
            Some(last) => log.record(LeafIndex(last))?.map(|staged| staged.at).unwrap_or_default(),
            None => Timestamp(0),
        };
        let mut node = Self {
            log,
            store,
            blobs,
            parts: BTreeMap::new(),
            naming: BTreeSet::new(),
            firearms: Firearms::default(),
            licences: Licences::default(),
            desk,
            keys,
            lanes: BTreeMap::new(),
            accepted: Vec::new(),
            heard: BTreeMap::new(),
            witnessed: BTreeMap::new(),
            random,
            clock: time,
            millis: 0,
            time,
            // The days before the last entry too: what could not be told then is told now, and nothing is told twice.
            day: told.unwrap_or_else(|| time.date().saturating_sub(jiff::Span::new().days(LOOK_BACK))),
            all_told: true,
            halted: rolled_back(signed, size),
            failed,
            listening: Box::new(Vec::new),
            changes: Vec::new(),
            metrics: Metrics::default(),
            laps: Laps::default(),
        };
        // What is read next is read and opened while this is folded, and what was folded before is written meanwhile.
        let (reader, rows) = (node.log.reader().clone(), node.store.rows().clone());
        let read = |from: u64| -> Result<Vec<Staged>, LogError> {
            let stretch = reader.stretch(from..size.min(from + REPLAY_READ))?;
            stretch.into_par_iter().map(Unopened::open).collect()
        };
        std::thread::scope(|scope| -> Result<(), NodeError> {
            let (mut from, mut committed) = (reached, reached);
            let mut at_hand = read(from)?;
            let mut writing = None;
            let written = |writing: ScopedJoinHandle<'_, Result<(), StoreError>>| {
                writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            while !at_hand.is_empty() {
                let next = from + at_hand.len() as u64;
                let (ahead, ()) = rayon::join(|| read(next), || node.replay(&at_hand));
                (from, at_hand) = (next, ahead?);
                progress(from - reached, size - reached);
                if from - committed >= REPLAY_STEP {
                    writing.take().map_or(Ok(()), written)?;
                    node.commit_index(from)?;
                    committed = from;
                    // As far as it is written, it need not be read again: whatever ends this start.
                    writing = Some(scope.spawn(|| rows.sync()));
                }
            }
            Ok(writing.map_or(Ok(()), written)?)
        })?;
        node.forget_fetched();
        node.commit_index(size)?;
        node.firearms = node.desk.firearms().map(firearms).unwrap_or_default();
        node.licences = node.desk.licences().map(licences).unwrap_or_default();
        node.witnessed = node
            .desk
            .peers()
            .filter_map(|(peer, _)| {
                // Written behind the loop's back: what is not there yet the peer will say again.
                let note = disk.read(&witnessed_file(&folder, peer, "checkpoint")).ok().flatten()?;
                Some((peer.clone(), String::from_utf8(note).ok()?))
            })
            .collect();
        Ok((node, spiller))
    }

    /// Fold a stretch of our own log.
    fn replay(&mut self, stretch: &[Staged]) {
        for staged in stretch {
            // What was owed then is recorded right behind: a round is atomic.
            with_desk!(self, |desk, shelf| desk.apply(&mut shelf, staged));
        }
    }

    /// What is here is not to come: an index made anew knows of every attachment that was ever named.
    fn forget_fetched(&mut self) {
        let peers: Vec<NodeId> = self.desk.peers().map(|(peer, _)| peer.clone()).collect();
        for peer in peers {
            for wanted in self.wanted(&peer, usize::MAX) {
                if self.blobs.holds(&wanted.attachment) {
                    let digest = wanted.attachment.digest;
                    with_desk!(self, |_desk, shelf| Desk::has_fetched(&mut shelf, &peer, &digest));
                }
            }
        }
    }

    /// Let the index have what it lacks of the first `size` entries.
    fn commit_index(&mut self, size: u64) -> Result<(), NodeError> {
        with_desk!(self, |desk, shelf| desk.settle(&mut shelf));
        self.check_failed()?;
        Ok(self.store.commit(size)?)
    }

    /// Two officers have made sure that this data folder is the newest: record it, and sign again.
    pub fn vouch(&mut self, officers: [OfficerId; 2], reason: Line) -> Result<(), NodeError> {
        let [prepared, approved] = officers;
        let by = By::Officers { prepared, approved: Some(approved) };
        self.clock = self.time;
        self.record(Record::Backup { by, reason }, None);
        self.commit()?;
        self.halted = None;
        Ok(())
    }
}

/// Why a log of `size` entries must not be signed, if this machine remembers to have signed another.
fn rolled_back(signed: Option<u64>, size: u64) -> Option<String> {
    let what_to_do = "Signing now could make a second history: put the newest copy of the data folder in place and start again. If this is the newest, two officers say so with `liaison-node vouch`";
    match signed {
        Some(signed) if signed <= size => None,
        Some(signed) => Some(format!(
            "log rolled back: this machine has signed {signed} entries, and the log has {size}. {what_to_do}"
        )),
        None => Some(format!(
            "log perhaps rolled back: the marker of what this machine has signed is missing, so this may be an old copy. {what_to_do}"
        )),
    }
}

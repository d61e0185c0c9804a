//! What is written behind the loop's back: tiles, records, cosigned heads, and the index.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, mpsc as std_mpsc};
use std::time::{Duration, Instant};

use liaison_protocol::authority::NodeId;

use super::RunError;
use crate::disk::{Disk, Folder};
use crate::log::{Reader, Spiller, witnessed_file};
use crate::marker;
use crate::store::Rows;

/// How often it is looked whether there is something to write.
const BACKGROUND: Duration = Duration::from_secs(1);
/// How long what is durable in the journal waits to be spilled, and the index to be synced, where there is little of it:
/// each file costs a sync, and mail waits for the same disk.
const LITTLE_WAITS: Duration = Duration::from_secs(2);
/// Entries that do not wait so long.
const MANY: u64 = 1024;
/// How often the head that a peer cosigned is written anew.
const WITNESSED: Duration = Duration::from_secs(10);

/// Something to be written when there is time.
pub(super) enum Errand {
    OwnKeySets(String),
    Witnessed { by: NodeId, checkpoint: String, key_sets: String },
}

/// What is written behind the loop's back: tiles, records, cosigned heads, and the index's own durability.
pub(super) struct Behind {
    pub(super) spiller: Spiller<Folder>,
    pub(super) disk: Folder,
    pub(super) rows: Arc<dyn Rows>,
    pub(super) folder: String,
    pub(super) origin: String,
    pub(super) marker: PathBuf,
    pub(super) reader: Reader<Folder>,
    /// What the marker says.
    pub(super) marked: u64,
    pub(super) key_sets: [String; 2],
}

impl Behind {
    pub(super) fn run(mut self, errands: std_mpsc::Receiver<Errand>) -> Result<(), RunError> {
        let mut written = Instant::now();
        let (mut witnessed, mut own) = (BTreeMap::new(), None);
        // What was written of each peer, and when.
        let mut of_peers: BTreeMap<NodeId, (Instant, String)> = BTreeMap::new();
        loop {
            let mut note = |errand| match errand {
                Errand::OwnKeySets(file) => own = Some(file),
                Errand::Witnessed { by, checkpoint, key_sets } => {
                    drop(witnessed.insert(by, (checkpoint, key_sets)))
                }
            };
            let until = Instant::now() + BACKGROUND;
            let ends = loop {
                match errands.recv_timeout(until.saturating_duration_since(Instant::now())) {
                    Ok(errand) => note(errand),
                    Err(std_mpsc::RecvTimeoutError::Timeout) => break false,
                    Err(std_mpsc::RecvTimeoutError::Disconnected) => break true,
                }
            };
            if !ends && self.spiller.waiting() < MANY && written.elapsed() < LITTLE_WAITS {
                continue;
            }
            written = Instant::now();
            let mut spilled = false;
            while self
                .spiller
                .step()
                .inspect_err(|error| tracing::error!(%error, "cannot spill the journal"))?
            {
                spilled = true;
            }
            let is_due =
                |by: &NodeId| ends || of_peers.get(by).is_none_or(|(at, _)| at.elapsed() >= WITNESSED);
            let due: Vec<_> = witnessed.extract_if(.., |by, _| is_due(by)).collect();
            for (by, (checkpoint, key_sets)) in due {
                if of_peers.get(&by).is_none_or(|(_, held)| *held != key_sets) {
                    self.write(&witnessed_file(&self.folder, &by, "key-sets"), &key_sets)?;
                }
                self.write(&witnessed_file(&self.folder, &by, "checkpoint"), &checkpoint)?;
                of_peers.insert(by, (Instant::now(), key_sets));
            }
            if let Some(own) = own.take() {
                for path in &self.key_sets {
                    self.write(path, &own)?;
                }
            }
            if spilled || ends {
                self.rows.sync()?;
            }
            let size = self.reader.size();
            if size > self.marked {
                marker::write(&self.marker, &self.origin, size)
                    .map_err(|source| RunError::Io { path: self.marker.clone(), source })?;
                self.marked = size;
            }
            if ends {
                return Ok(());
            }
        }
    }

    fn write(&self, path: &str, text: &str) -> Result<(), RunError> {
        let at = |source| RunError::Io { path: self.disk.root().join(path), source };
        self.disk.replace(path, text.as_bytes()).map_err(at)
    }
}

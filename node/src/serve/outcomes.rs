//! What became of the last mail to each peer, for a test that waits for it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use liaison_protocol::authority::NodeId;
use tokio::sync::watch;

use crate::peers::Failure;

/// A peer answered, or why it did not.
pub(super) type Outcome = Result<(), Failure>;

/// By peer: how many there were, and the last.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    last: Mutex<BTreeMap<NodeId, (u64, Outcome)>>,
    bell: watch::Sender<()>,
}

impl Outcomes {
    fn last(&self) -> std::sync::MutexGuard<'_, BTreeMap<NodeId, (u64, Outcome)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Mail to this peer has an outcome.
    pub(super) fn note(&self, peer: &NodeId, outcome: Outcome) {
        let mut last = self.last();
        let count = last.get(peer).map_or(0, |(count, _)| *count);
        last.insert(peer.clone(), (count + 1, outcome));
        drop(last);
        self.bell.send_replace(());
    }

    /// How many there were with this peer.
    pub(super) fn count(&self, peer: &NodeId) -> u64 {
        self.last().get(peer).map_or(0, |(count, _)| *count)
    }

    /// The next one with this peer, when there were so many.
    pub(super) async fn after(&self, peer: &NodeId, count: u64) -> Outcome {
        let mut bell = self.bell.subscribe();
        loop {
            bell.mark_unchanged();
            if let Some((now, outcome)) = self.last().get(peer)
                && *now > count
            {
                return outcome.clone();
            }
            // The bell lives as long as we do.
            let _ = bell.changed().await;
        }
    }
}

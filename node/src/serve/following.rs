//! Following what changes: from places in the log to what an operator is told.

use std::collections::{BTreeSet, VecDeque};

use futures::StreamExt;
use liaison_protocol::authority::NodeId;
use liaison_protocol::desk::Table;
use liaison_protocol::merkle::LeafIndex;
use liaison_protocol::message::MessageId;
use liaison_protocol::operator::{EventView, ExchangeSummary, Mistake, ReadyView};

use super::clock;
use super::door::{Door, stopping};
use crate::events::{About, Reader, TooSlow};
use crate::http::{Following, Operator};
use crate::store::{Rows, StoreError, full_key};

impl Door {
    /// What changes from now on, or behind the entry `after`. First how things stand that no entry tells: who comes back
    /// has not seen who came and went meanwhile.
    pub(super) async fn follow(&self, after: Option<u64>) -> Result<Following, Mistake> {
        let (reader, is_whole) = self.events.follow(after);
        let mut first = VecDeque::new();
        if !is_whole {
            let why = "what changed behind that entry is not kept any more: list exchanges and peers anew";
            first.push_back(EventView::Lost { why: why.into() });
        }
        first.push_back(self.readiness_now().await?);
        let peers = self.ask(|node| node.peer_views(clock())).await?.into_iter();
        first.extend(peers.map(|view| EventView::Peer {
            leaf: None,
            peer: view.node,
            connected: view.connected,
            standing: Some(view.standing),
        }));
        let state = (self.clone(), reader, first);
        Ok(futures::stream::unfold(state, |(door, mut reader, mut ready)| async move {
            loop {
                if let Some(event) = ready.pop_front() {
                    return Some((event, (door, reader, ready)));
                }
                // The node stops, or its index cannot be read: whoever follows comes back and sees.
                ready = door.more(&mut reader).await.ok()?;
            }
        })
        .boxed())
    }

    async fn readiness_now(&self) -> Result<EventView, Mistake> {
        let ReadyView { ready, why } = self.ready().await?;
        Ok(EventView::Ready { ready, why })
    }

    async fn more(&self, reader: &mut Reader) -> Result<VecDeque<EventView>, Mistake> {
        let changes = match self.events.next(reader).await {
            Ok(changes) => changes,
            Err(TooSlow) => {
                let why = "more changed than was read: list exchanges and peers anew, and read faster";
                return Ok([EventView::Lost { why: why.into() }].into());
            }
        };
        // Of each thing the last change only, in the order of these.
        let mut seen = BTreeSet::new();
        let mut last: Vec<_> =
            changes.into_iter().rev().filter(|(_, about)| seen.insert(about.clone())).collect();
        last.reverse();
        let mut told = VecDeque::new();
        for (leaf, about) in last {
            let event = match (about, leaf) {
                (About::Exchange(id), Some(leaf)) => self.exchange_now(id, leaf).await?,
                (About::Peer(node), leaf) => Some(self.peer_now(node, leaf).await?),
                (About::Ready, _) => Some(self.readiness_now().await?),
                (About::Much | About::Exchange(_), _) => Some(EventView::Lost {
                    why: "a key was revoked, which may change many exchanges: list them anew".into(),
                }),
            };
            told.extend(event);
        }
        Ok(told)
    }

    async fn exchange_now(&self, id: MessageId, leaf: LeafIndex) -> Result<Option<EventView>, Mistake> {
        let rows = self.rows.clone();
        let found = tokio::task::spawn_blocking(move || summary(rows.as_ref(), &id)).await;
        let found = found.map_err(|_| stopping())?.map_err(|error| Mistake::NotReady(error.to_string()))?;
        Ok(found.map(|summary| EventView::Exchange {
            leaf: leaf.0,
            exchange: summary.id,
            kind: summary.kind,
            peer: summary.peer,
            side: summary.side,
            state: summary.state,
            for_officer: summary.for_officer,
        }))
    }

    async fn peer_now(&self, node: NodeId, leaf: Option<LeafIndex>) -> Result<EventView, Mistake> {
        let name = node.clone();
        let view = match self.ask(move |node| node.peer_view(name.as_str(), clock())).await {
            Ok(view) => Some(view),
            Err(Mistake::Unknown(_)) => None,
            Err(mistake) => return Err(mistake),
        };
        Ok(EventView::Peer {
            leaf: leaf.map(|leaf| leaf.0),
            peer: node,
            connected: view.as_ref().is_some_and(|view| view.connected),
            standing: view.map(|view| view.standing),
        })
    }
}

/// The line of an exchange in the list: it stands where its opener does.
fn summary(rows: &dyn Rows, id: &MessageId) -> Result<Option<ExchangeSummary>, StoreError> {
    let places = rows.get(&full_key(Table::Exchange, id.0.as_bytes()))?.unwrap_or_default();
    let Some(opener) = places.first_chunk::<8>() else { return Ok(None) };
    let row = rows.get(&full_key(Table::Listing, opener))?;
    Ok(row.and_then(|row| serde_json::from_slice(&row).ok()))
}

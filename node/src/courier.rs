//! The courier: carries attachments, piece by piece, while the loop carries mail.
//!
//! It has a thread of its own, so that no mail waits for a photograph: it asks peers for what the loop says is wanted,
//! writes what comes, and gives peers what the loop says they may have. It knows files ([`crate::blobs`]), the network's
//! line for pieces, and the loop's own door; what to ask next is decided in [`crate::fetches`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use liaison_protocol::authority::{NodeId, Timestamp};
use liaison_protocol::blob::{PieceReply, PieceRequest};
use liaison_protocol::desk::MAX_WANTED;
use liaison_protocol::merkle::Hash;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::blobs::{BlobError, Blobs};
use crate::disk::Folder;
use crate::fetches::{Brought, Fetcher};
use crate::node::{Input, Node, Random};
use crate::peers::{Event, Failure, Network};

/// Pieces asked for at once, over all peers: what they may make us hold.
const MOST_AT_ONCE: usize = 16;
/// Most content of one peer that is on its way, in bytes: beyond it nothing new is begun.
const MOST_PENDING: u64 = 256 * 1024 * 1024;
/// Less room than this on our disk, in bytes, and less than a twentieth of it: then nothing more is fetched, for what is left
/// is the log's.
const ROOM: u64 = 1024 * 1024 * 1024;
/// When a peer is told to come back after our disk failed, in seconds.
const COME_BACK: u32 = 60;

/// How long after telling that the disk is nearly full it is told again, in milliseconds.
const A_COMPLAINT: u64 = 60_000;

/// Peers that the courier is to look at again.
#[derive(Debug, Default)]
pub struct Nudges {
    peers: Mutex<BTreeSet<NodeId>>,
    told: Notify,
}

impl Nudges {
    /// This peer has said something new, or is there again.
    pub fn nudge(&self, peer: NodeId) {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner).insert(peer);
        self.told.notify_one();
    }

    fn take(&self) -> BTreeSet<NodeId> {
        std::mem::take(&mut *self.peers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Carries attachments.
pub struct Courier {
    /// Where they are.
    pub blobs: Blobs<Folder>,
    /// The way to the peers.
    pub network: Network,
    /// What comes on the line for pieces.
    pub pieces: mpsc::UnboundedReceiver<Event>,
    /// The loop. Held weakly: the loop ends when nobody holds its door.
    pub own: mpsc::WeakSender<Input<Folder>>,
    /// Whom to look at.
    pub nudges: Arc<Nudges>,
    /// For jitter.
    pub random: Random,
    /// Of each peer, what is fetched.
    pub fetchers: BTreeMap<NodeId, Fetcher>,
    /// What its clock counts from.
    pub started: Instant,
    /// Whose turn it was.
    pub last: Option<NodeId>,
    /// From when on it is told again that the disk is nearly full, in milliseconds.
    pub complains_at: u64,
}

/// The loop has ended.
struct Ended;

impl Courier {
    /// Carry until the network or the loop ends.
    pub fn run(mut self, now: Timestamp) {
        let waiting = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("the system has timers");
        // Either it goes on for ever, or the house closes.
        let _ = waiting.block_on(self.carry(now));
    }

    async fn carry(&mut self, now: Timestamp) -> Result<(), Ended> {
        let (peers, wanted) = self
            .ask(|node| {
                let peers: Vec<NodeId> = node.desk().peers().map(|(peer, _)| peer.clone()).collect();
                let wanted = peers.iter().flat_map(|peer| {
                    let wanted = node.wanted(peer, MAX_WANTED).into_iter();
                    wanted.map(|wanted| (peer.clone(), wanted.attachment.digest)).collect::<Vec<_>>()
                });
                let wanted: Vec<(NodeId, Hash)> = wanted.collect();
                (peers, wanted)
            })
            .await?;
        if let Err(error) = self.blobs.tidy(now, &wanted) {
            tracing::error!(%error, "attachments that are not needed any more could not be removed");
        }
        self.fetchers.extend(peers.into_iter().map(|peer| (peer, Fetcher::default())));
        loop {
            self.fetch_what_is_due().await?;
            let pause = self.pause();
            tokio::select! {
                event = self.pieces.recv() => match event {
                    Some(event) => self.notice(event).await?,
                    None => return Err(Ended),
                },
                () = self.nudges.told.notified() => {
                    let now = self.millis();
                    for peer in self.nudges.take() {
                        self.fetchers.entry(peer).or_default().nudge(now);
                    }
                }
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn room(&self) -> usize {
        MOST_AT_ONCE.saturating_sub(self.fetchers.values().filter(|fetcher| fetcher.is_in_flight()).count())
    }

    fn pause(&self) -> Duration {
        let next = self.fetchers.values().filter_map(Fetcher::wakes_at).min().filter(|_| self.room() > 0);
        next.map_or(Duration::from_secs(3600), |at| Duration::from_millis(at.saturating_sub(self.millis())))
    }

    /// Ask peers, in turn, for the next piece each.
    async fn fetch_what_is_due(&mut self) -> Result<(), Ended> {
        let now = self.millis();
        let due = self.fetchers.iter().filter(|(_, fetcher)| fetcher.is_due(now));
        let mut due: Vec<NodeId> = due.map(|(peer, _)| peer.clone()).collect();
        let next = due.iter().position(|peer| self.last.as_ref().is_none_or(|last| peer > last));
        due.rotate_left(next.unwrap_or_default());
        for peer in due {
            if self.room() == 0 {
                break;
            }
            if let Err(error) = self.fetch(&peer, now).await? {
                self.interrupted(&peer, &error, now).await?;
            }
            self.last = Some(peer);
        }
        Ok(())
    }

    async fn fetch(&mut self, peer: &NodeId, now: u64) -> Result<Result<(), BlobError>, Ended> {
        if self.fetchers.get_mut(peer).is_none_or(|fetcher| !fetcher.is_due(now) || fetcher.is_sated(now)) {
            return Ok(Ok(()));
        }
        if self.fetchers.get(peer).is_some_and(|fetcher| fetcher.current().is_none()) {
            let name = peer.clone();
            let mut wanted = self.ask(move |node| node.wanted(&name, MAX_WANTED)).await?;
            // It may have come with another message, or before the index was made again.
            for here in
                wanted.extract_if(.., |wanted| self.blobs.holds(&wanted.attachment)).collect::<Vec<_>>()
            {
                self.tell(Input::Fetched { from: peer.clone(), digest: here.attachment.digest }).await?;
            }
            let begun = self.blobs.pending(peer).and_then(|pending| {
                if pending >= MOST_PENDING {
                    wanted.retain(|wanted| {
                        self.blobs.fetched(peer, &wanted.attachment).is_ok_and(|length| length > 0)
                    });
                }
                let fetcher = self.fetchers.entry(peer.clone()).or_default();
                if let Some(chosen) = fetcher.choose(&wanted, now) {
                    fetcher.begin(chosen.clone(), self.blobs.fetched(peer, &chosen.attachment)?);
                }
                Ok(())
            });
            if let Err(error) = begun {
                return Ok(Err(error));
            }
        }
        let current = self.fetchers.get(peer).and_then(Fetcher::current);
        let Some(attachment) = current.map(|fetch| fetch.wanted.attachment.clone()) else {
            return Ok(Ok(()));
        };
        if let Err(full) = self.blobs.check_room(ROOM) {
            return self.wait_for_room(peer, attachment.digest, &full, now).await.map(Ok);
        }
        let fetcher = self.fetchers.entry(peer.clone()).or_default();
        if let Some(request) = fetcher.ask(now) {
            self.network.fetch(peer, request.frame());
            return Ok(Ok(()));
        }
        match self.blobs.finish(peer, &attachment) {
            Ok(true) => {
                if let Some(fetch) = fetcher.current() {
                    let (exchange, resumed_at) = (fetch.wanted.exchange, fetch.resumed_at);
                    let length = attachment.length;
                    tracing::info!(%peer, %exchange, length, resumed_at, "an attachment is here");
                }
                fetcher.finished();
                self.tell(Input::Fetched { from: peer.clone(), digest: attachment.digest }).await?;
                Ok(Ok(()))
            }
            Ok(false) => self.spoilt(peer, now).await.map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn notice(&mut self, event: Event) -> Result<(), Ended> {
        let now = self.millis();
        match event {
            Event::Arrived { from, frame, reply } => match PieceRequest::parse(&frame) {
                Some(request) => {
                    let answer = self.give(&from, request).await?;
                    self.network.respond(reply, answer.frame());
                }
                None => tracing::debug!(peer = %from, "a request for a piece of an attachment is malformed"),
            },
            Event::Answered { from, frame } => {
                let jitter = self.jitter();
                let Some(fetcher) = self.fetchers.get_mut(&from) else { return Ok(()) };
                let Some(attachment) = fetcher.current().map(|fetch| fetch.wanted.attachment.clone()) else {
                    return Ok(());
                };
                match fetcher.answered(PieceReply::parse(&frame), now, jitter) {
                    Brought::Piece(piece) => match self.blobs.add(&from, &attachment, &piece) {
                        Ok(()) => fetcher.added(piece.len()),
                        Err(error) => self.interrupted(&from, &error, now).await?,
                    },
                    Brought::Spoilt => self.spoilt(&from, now).await?,
                    brought @ (Brought::Lost(why) | Brought::NotGiven(why)) => {
                        tracing::warn!(peer = %from, why, "an attachment does not come");
                        let (digest, is_lost) = (attachment.digest, matches!(brought, Brought::Lost(_)));
                        self.tell(Input::NotFetched { from, digest, why: why.to_owned(), is_lost }).await?;
                    }
                    Brought::Nothing => {}
                }
            }
            Event::Failed { to, why: Failure::NoSuchPeer } => drop(self.fetchers.remove(&to)),
            Event::Failed { to, why: Failure::TooLarge { .. } } => self.spoilt(&to, now).await?,
            Event::Failed { to, why } => {
                let jitter = self.jitter();
                let Some(fetcher) = self.fetchers.get_mut(&to) else { return Ok(()) };
                fetcher.failed(why == Failure::Timeout, now, jitter);
                tracing::debug!(peer = %to, %why, "a piece of an attachment did not come; it will be asked for again");
                let digest = fetcher.current().map(|fetch| fetch.wanted.attachment.digest);
                if let Some(digest) = digest.filter(|_| why != Failure::Busy) {
                    let why = format!("it cannot be fetched now: {why}");
                    self.not_fetched(&to, digest, why).await?;
                }
            }
            Event::Connected { .. } | Event::Disconnected { .. } => {}
        }
        Ok(())
    }

    /// A piece for a peer, if a message of ours to it names the attachment.
    async fn give(&mut self, to: &NodeId, request: PieceRequest) -> Result<PieceReply, Ended> {
        let PieceRequest { digest, offset, length } = request;
        let name = to.clone();
        if !self.ask(move |node| node.gave(&name, &digest)).await? {
            tracing::debug!(peer = %to, "it asked for an attachment that no message to it names");
            return Ok(PieceReply::NotYours);
        }
        Ok(match self.blobs.read(&digest, offset, length) {
            Ok(Some(piece)) if piece.len() == length as usize => PieceReply::Piece(piece),
            Ok(_) => PieceReply::Gone,
            Err(error) => {
                tracing::error!(%error);
                PieceReply::Busy { retry_after_secs: COME_BACK }
            }
        })
    }

    /// What came is not what was named: none of it is kept.
    async fn spoilt(&mut self, peer: &NodeId, now: u64) -> Result<(), Ended> {
        let jitter = self.jitter();
        let Some(fetcher) = self.fetchers.get_mut(peer) else { return Ok(()) };
        let Some(digest) = fetcher.current().map(|fetch| fetch.wanted.attachment.digest) else {
            return Ok(());
        };
        let why = fetcher.spoilt(now, jitter);
        tracing::warn!(%peer, %why, "an attachment is thrown away");
        if let Err(error) = self.blobs.discard(peer, &digest) {
            tracing::error!(%error);
        }
        self.not_fetched(peer, digest, why).await
    }

    /// Our disk cannot take it. The log has its own opinion of such a disk.
    async fn interrupted(&mut self, peer: &NodeId, error: &BlobError, now: u64) -> Result<(), Ended> {
        tracing::error!(%error);
        let jitter = self.jitter();
        let Some(fetcher) = self.fetchers.get_mut(peer) else { return Ok(()) };
        let digest = fetcher.current().map(|fetch| fetch.wanted.attachment.digest);
        fetcher.interrupted(now, jitter);
        match digest {
            Some(digest) => self.not_fetched(peer, digest, error.to_string()).await,
            None => Ok(()),
        }
    }

    /// The peer waits, not each of its attachments; and one word of it a minute is enough, whatever the peer says meanwhile.
    async fn wait_for_room(
        &mut self,
        peer: &NodeId,
        digest: Hash,
        full: &BlobError,
        now: u64,
    ) -> Result<(), Ended> {
        if now >= self.complains_at {
            self.complains_at = now + A_COMPLAINT;
            tracing::error!(%peer, error = %full);
        }
        let jitter = self.jitter();
        self.fetchers.entry(peer.clone()).or_default().failed(false, now, jitter);
        self.not_fetched(peer, digest, full.to_string()).await
    }

    async fn not_fetched(&self, peer: &NodeId, digest: Hash, why: String) -> Result<(), Ended> {
        self.tell(Input::NotFetched { from: peer.clone(), digest, why, is_lost: false }).await
    }

    fn jitter(&mut self) -> u64 {
        let mut bytes = [0; 8];
        (self.random)(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    async fn tell(&self, input: Input<Folder>) -> Result<(), Ended> {
        let own = self.own.upgrade().ok_or(Ended)?;
        own.send(input).await.map_err(|_| Ended)
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Node<Folder>) -> T + Send + 'static,
    ) -> Result<T, Ended> {
        let (answer, heard) = oneshot::channel();
        self.tell(Input::Ask(Box::new(move |node| drop(answer.send(question(node)))))).await?;
        heard.await.map_err(|_| Ended)
    }
}

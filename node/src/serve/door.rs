//! The operators' door into the loop: what is asked and ordered there becomes a question or an order of a round.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use liaison_protocol::attachment::Attachment;
use liaison_protocol::authority::{Line, NodeId, OfficerId, Timestamp};
use liaison_protocol::case::Hop;
use liaison_protocol::desk::Table;
use liaison_protocol::entry::IdempotencyKey;
use liaison_protocol::handling::Coded;
use liaison_protocol::merkle::Hash;
use liaison_protocol::message::MessageId;
use liaison_protocol::operator::{
    Act, ActRequest, AdmitRequest, CaseView, CheckpointView, ConsistencyView, Enclosed, EvidenceRequest,
    ExchangePage, ExchangeSummary, ExchangeView, FirearmsView, ImportView, InclusionView, InstallRequest,
    Mistake, NodeView, OpenRequest, PeerTestView, PeerView, ReadyView, RemoveRequest, Rules,
};
use liaison_protocol::trace::TraceOutcome;
use liaison_protocol::{attachment, jws};
use tokio::sync::{mpsc, oneshot};

use super::outcomes::Outcomes;
use super::{REGISTERS, clock, list_path};
use crate::blobs::{Blobs, PutError};
use crate::disk::{Disk, Folder};
use crate::events::Events;
use crate::evidence::Export;
use crate::http::{Archive, Content, Filter, Opened, Upload};
use crate::keys::random;
use crate::metrics::Metrics;
use crate::node::{Done, Input, Node, Request};
use crate::peers::Network;
use crate::register::{Register, Sort};
use crate::store::{Rows, StoreError, full_key};
use crate::{http, system};

/// How long an answer to whether the node is ready is given again: whoever asks needs no token.
const READY_FOR: Duration = Duration::from_millis(250);

/// How soon the loop must say so itself.
const READY_WITHIN: Duration = Duration::from_secs(5);

/// How long what takes a while to count is told again.
const COUNTED_FOR: Duration = Duration::from_secs(60);

/// Rows of the list of exchanges looked at for one page.
const MOST_LOOKED_AT: usize = 200_000;

/// The operators' door into the loop.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) own: mpsc::Sender<Input<Folder>>,
    pub(super) rows: Arc<dyn Rows>,
    pub(super) disk: Folder,
    pub(super) blobs: Blobs<Folder>,
    /// What was answered last, and when.
    pub(super) readiness: Arc<tokio::sync::Mutex<Option<(Instant, ReadyView)>>>,
    pub(super) importing: Arc<tokio::sync::Mutex<()>>,
    /// Places for evidence that is packed, or on its way out.
    pub(super) exporting: Arc<tokio::sync::Semaphore>,
    pub(super) metrics: Metrics,
    pub(super) events: Arc<Events>,
    pub(super) outcomes: Arc<Outcomes>,
    pub(super) network: Network,
    /// Turns for tests of the way to a peer.
    pub(super) testing: Arc<tokio::sync::Semaphore>,
    /// The folder of the index.
    pub(super) index: PathBuf,
    /// When it was last counted what is counted seldom.
    pub(super) counted: Arc<tokio::sync::Mutex<Option<Instant>>>,
}

impl Door {
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Node<Folder>) -> Result<T, Mistake> + Send + 'static,
    ) -> Result<T, Mistake> {
        let (answer, heard) = oneshot::channel();
        let ask = Input::Ask(Box::new(move |node| drop(answer.send(question(node)))));
        self.own.send(ask).await.map_err(|_| stopping())?;
        heard.await.map_err(|_| stopping())?
    }

    async fn order<T: Send + 'static>(
        &self,
        request: Request,
        who: OfficerId,
        key: Option<IdempotencyKey>,
        view: impl FnOnce(&mut Node<Folder>, Done) -> Result<T, Mistake> + Send + 'static,
    ) -> Result<T, Mistake> {
        let (sender, heard) = oneshot::channel();
        let answer: crate::node::Answer<Folder> = Box::new(move |node, done| {
            let _ = sender.send(done.and_then(|done| view(node, done)));
        });
        self.own.send(Input::Order { request, who, key, answer }).await.map_err(|_| stopping())?;
        heard.await.map_err(|_| stopping())?
    }

    /// Gather, pack and record the evidence of an exchange.
    async fn export(
        self,
        who: OfficerId,
        id: String,
        request: EvidenceRequest,
    ) -> Result<(MessageId, Vec<u8>), Mistake> {
        let (exchange, gathered) = self
            .ask(move |node| {
                let exchange = node.find_exchange(&id)?;
                Ok((exchange, node.gather(exchange, request, who)?))
            })
            .await?;
        let blobs = self.blobs.clone();
        let packed = tokio::task::spawn_blocking(move || gathered.pack(&blobs));
        let Export { record, outcome } = packed.await.map_err(|_| stopping())?;
        let (sender, heard) = oneshot::channel();
        let answer: crate::node::Answer<Folder> = Box::new(move |_, done| drop(sender.send(done)));
        self.own.send(Input::Export { record, answer }).await.map_err(|_| stopping())?;
        heard.await.map_err(|_| stopping())??;
        Ok((exchange, outcome?))
    }

    async fn order_on_peer(&self, request: Request, who: OfficerId) -> Result<PeerView, Mistake> {
        self.order(request, who, None, |node, done| match done {
            Done::Peer(peer) => node.peer_view(peer.as_str(), clock()),
            _ => Err(stopping()),
        })
        .await
    }

    /// Count what takes a while to count, if that is some time ago.
    async fn count_seldom(&self) -> Result<(), Mistake> {
        let mut counted = self.counted.lock().await;
        if counted.is_some_and(|at| at.elapsed() < COUNTED_FOR) {
            return Ok(());
        }
        let (rows, index, metrics) = (self.rows.clone(), self.index.clone(), self.metrics.clone());
        tokio::task::spawn_blocking(move || {
            metrics.set_index_bytes(folder_bytes(&index));
            metrics.set_overdue(overdue(rows.as_ref())?);
            Ok(())
        })
        .await
        .map_err(|_| stopping())?
        .map_err(|error: StoreError| Mistake::NotReady(error.to_string()))?;
        *counted = Some(Instant::now());
        Ok(())
    }

    async fn page(&self, filter: Filter) -> Result<ExchangePage, Mistake> {
        let peer = match filter.peer.clone() {
            Some(name) => Some(self.ask(move |node| node.desk().find_peer(&name).cloned()).await?),
            None => None,
        };
        let rows = self.rows.clone();
        tokio::task::spawn_blocking(move || list(rows.as_ref(), &filter, peer.as_ref()))
            .await
            .map_err(|_| stopping())?
            .map_err(|error| Mistake::NotReady(error.to_string()))
    }

    /// Lists that are not in force any more. One that cannot be removed is only in the way.
    async fn forget_lists_but(&self, in_force: Vec<Hash>) {
        let disk = self.disk.clone();
        let kept: Vec<String> = in_force.iter().map(list_path).collect();
        let _ = tokio::task::spawn_blocking(move || {
            for name in disk.list(REGISTERS).unwrap_or_default() {
                let path = format!("{REGISTERS}/{name}");
                if !kept.contains(&path) {
                    let _ = disk.remove(&path);
                }
            }
        })
        .await;
    }

    /// Put a register in force: how many it has, and how many States were told of changes.
    async fn import(&self, sort: Sort, who: OfficerId, csv: Vec<u8>) -> Result<(u64, u64), Mistake> {
        let _one_at_a_time = self.importing.lock().await;
        let disk = self.disk.clone();
        let register = tokio::task::spawn_blocking(move || {
            let list =
                Register::take(sort, &csv, clock()).map_err(|flaw| Mistake::Malformed(flaw.to_string()))?;
            // Safe on disk before the log names it; until then the list before stays in force.
            let path = list_path(&Hash::of(&csv));
            disk.replace(&path, &csv).map_err(|error| {
                Mistake::NotReady(format!("cannot write {path}: {error}. Free the disk and try again"))
            })?;
            Ok(list)
        })
        .await
        .map_err(|_| stopping())??;
        let count = register.len() as u64;
        let (sender, heard) = oneshot::channel();
        let answer: crate::node::Answer<Folder> = Box::new(move |node, done| {
            let in_force = [node.firearms().digest(), node.licences().digest()];
            drop(sender.send(done.map(|done| (done, in_force.into_iter().flatten().collect()))))
        });
        self.own.send(Input::Register { register, who, answer }).await.map_err(|_| stopping())?;
        match heard.await.map_err(|_| stopping())?? {
            (Done::Imported { notices }, in_force) => {
                self.forget_lists_but(in_force).await;
                Ok((count, notices))
            }
            _ => Err(stopping()),
        }
    }
}

pub(super) fn stopping() -> Mistake {
    Mistake::NotReady("the node is stopping; what it acknowledged before is safe".into())
}

/// The lines of exchanges, newest first, those opened before the place `before` if one is given, until `visit` says stop
/// (`false`).
fn visit_exchanges(
    rows: &dyn Rows,
    before: Option<u64>,
    visit: &mut dyn FnMut(ExchangeSummary) -> bool,
) -> Result<(), StoreError> {
    let Some(last) = before.unwrap_or(u64::MAX).checked_sub(1) else { return Ok(()) };
    let table = full_key(Table::Listing, &[]);
    rows.visit(&full_key(Table::Listing, &last.to_be_bytes()), true, &mut |key, row| {
        key.starts_with(&table) && serde_json::from_slice(row).map_or(true, &mut *visit)
    })
}

fn is_overdue(summary: &ExchangeSummary, now: Timestamp) -> bool {
    summary.due.is_some_and(|due| due.at <= now)
}

/// A page of the list of exchanges, newest first.
fn list(rows: &dyn Rows, filter: &Filter, peer: Option<&NodeId>) -> Result<ExchangePage, StoreError> {
    let subject = filter.subject.as_ref().map(|text| text.to_uppercase());
    let now = clock();
    let wanted = |summary: &ExchangeSummary| {
        peer.is_none_or(|peer| summary.peer == *peer)
            && filter.state.is_none_or(|state| summary.state == state)
            && filter.side.is_none_or(|side| summary.side == side)
            && filter.kind.is_none_or(|kind| summary.kind == kind)
            && filter.for_officer.is_none_or(|for_officer| summary.for_officer == for_officer)
            && filter.overdue.is_none_or(|overdue| is_overdue(summary, now) == overdue)
            && subject.as_ref().is_none_or(|subject| summary.subject.to_uppercase().contains(subject))
    };
    let (mut exchanges, mut looked_at, mut next) = (Vec::new(), 0, None);
    visit_exchanges(rows, filter.after, &mut |summary| {
        if exchanges.len() == filter.limit || looked_at == MOST_LOOKED_AT {
            next = Some(http::cursor(summary.leaf + 1));
            return false;
        }
        looked_at += 1;
        if wanted(&summary) {
            exchanges.push(summary);
        }
        true
    })?;
    Ok(ExchangePage { exchanges, next })
}

/// In how many of the newest exchanges something is overdue.
fn overdue(rows: &dyn Rows) -> Result<u64, StoreError> {
    let now = clock();
    let (mut overdue, mut looked_at) = (0, 0);
    visit_exchanges(rows, None, &mut |summary| {
        overdue += u64::from(is_overdue(&summary, now));
        looked_at += 1;
        looked_at < MOST_LOOKED_AT
    })?;
    Ok(overdue)
}

/// Bytes of the files in a folder.
fn folder_bytes(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files
        .filter_map(|file| file.metadata().ok())
        .filter(|about| about.is_file())
        .map(|about| about.len())
        .sum()
}

impl http::Operator for Door {
    fn node(&self) -> http::Answer<'_, NodeView> {
        Box::pin(async {
            let view = self.ask(|node| node.view()).await?;
            Ok(NodeView { disk_free: system::free_bytes(self.disk.root()).ok(), ..view })
        })
    }

    fn install_key_set(&self, who: OfficerId, request: InstallRequest) -> http::Answer<'_, NodeView> {
        Box::pin(self.order(Request::Install(request), who, None, |node, _| node.view()))
    }

    fn peers(&self) -> http::Answer<'_, Vec<PeerView>> {
        Box::pin(self.ask(|node| node.peer_views(clock())))
    }

    fn peer(&self, name: String) -> http::Answer<'_, PeerView> {
        Box::pin(self.ask(move |node| node.peer_view(&name, clock())))
    }

    fn admit(&self, who: OfficerId, request: AdmitRequest) -> http::Answer<'_, PeerView> {
        Box::pin(self.order_on_peer(Request::Admit(request), who))
    }

    fn remove(&self, who: OfficerId, name: String, request: RemoveRequest) -> http::Answer<'_, ()> {
        Box::pin(self.order(Request::Remove(name, request.reason), who, None, |_, _| Ok(())))
    }

    fn test(&self, name: String) -> http::Answer<'_, PeerTestView> {
        Box::pin(self.test_peer(name))
    }

    fn set_rules(&self, who: OfficerId, name: String, rules: Rules) -> http::Answer<'_, PeerView> {
        Box::pin(self.order_on_peer(Request::SetRules(name, rules), who))
    }

    fn exchanges(&self, filter: Filter) -> http::Answer<'_, ExchangePage> {
        Box::pin(self.page(filter))
    }

    fn exchange(&self, id: String) -> http::Answer<'_, ExchangeView> {
        Box::pin(self.ask(move |node| {
            let id = node.find_exchange(&id)?;
            node.exchange_view(&id, clock())
        }))
    }

    fn open(&self, who: OfficerId, key: IdempotencyKey, request: OpenRequest) -> http::Answer<'_, Opened> {
        Box::pin(self.order(Request::Open(request), who, Some(key), |node, done| match done {
            Done::Exchange { id, new } => Ok(Opened { view: node.exchange_view(&id, clock())?, new }),
            _ => Err(stopping()),
        }))
    }

    fn act(
        &self,
        who: OfficerId,
        key: Option<IdempotencyKey>,
        id: String,
        request: ActRequest,
    ) -> http::Answer<'_, ExchangeView> {
        Box::pin(async move {
            let id = self.ask(move |node| node.find_exchange(&id)).await?;
            self.order(Request::Act(id, request), who, key, move |node, _| node.exchange_view(&id, clock()))
                .await
        })
    }

    fn put_attachment(&self, who: OfficerId, upload: Upload) -> http::Answer<'_, Attachment> {
        let blobs = self.blobs.clone();
        Box::pin(async move {
            let Upload { name, media_type, view, content } = upload;
            let mut salt = [0; attachment::SALT_LEN];
            random(&mut salt);
            let length = content.len() as u64;
            let digest = tokio::task::spawn_blocking(move || blobs.put(content, salt, clock()))
                .await
                .map_err(|_| stopping())?
                .map_err(|error| match error {
                    PutError::Blob(error) => Mistake::NotReady(error.to_string()),
                    PutError::Length => Mistake::Malformed(error.to_string()),
                    PutError::TooMuch => Mistake::Forbidden(error.to_string()),
                })?;
            tracing::info!(%who, %digest, length, "an attachment was put in");
            let view = view.map(Coded::Known);
            Ok(Attachment { digest, salt: jws::encode(&salt), length, media_type, name, view })
        })
    }

    fn attachment(&self, exchange: String, digest: String) -> http::Answer<'_, Content> {
        let blobs = self.blobs.clone();
        Box::pin(async move {
            let attachment = self.ask(move |node| node.attachment_of(&exchange, &digest)).await?;
            let digest = attachment.digest;
            let read = move |offset, length| {
                blobs.read(&digest, offset, length).ok().flatten().ok_or(std::io::ErrorKind::NotFound.into())
            };
            Ok(Content { attachment, read: Arc::new(read) })
        })
    }

    fn import_firearms(&self, who: OfficerId, csv: Vec<u8>) -> http::Answer<'_, FirearmsView> {
        Box::pin(async move {
            let (firearms, _) = self.import(Sort::Firearms, who, csv).await?;
            Ok(FirearmsView { firearms })
        })
    }

    fn evidence(&self, who: OfficerId, id: String, request: EvidenceRequest) -> http::Answer<'_, Archive> {
        Box::pin(async move {
            let places = self.exporting.clone();
            let place = places.acquire_owned().await.map_err(|_| stopping())?;
            // On its own: it is recorded also if whoever asked has left before it is packed.
            let door = self.clone();
            let exported = tokio::spawn(async move {
                let (exchange, content) = door.export(who, id, request).await?;
                Ok(Archive { exchange, content, place: Box::new(place) })
            });
            exported.await.map_err(|_| stopping())?
        })
    }

    fn import_licences(&self, who: OfficerId, csv: Vec<u8>) -> http::Answer<'_, ImportView> {
        Box::pin(async move {
            let (licences, notices) = self.import(Sort::Licences, who, csv).await?;
            Ok(ImportView { licences, notices })
        })
    }

    fn cases(&self) -> http::Answer<'_, Vec<CaseView>> {
        Box::pin(self.ask(|node| Ok(node.case_views())))
    }

    fn case(&self, trace_case: Line) -> http::Answer<'_, CaseView> {
        Box::pin(self.ask(move |node| node.case_view(&trace_case)))
    }

    fn conclude(
        &self,
        who: OfficerId,
        trace_case: Line,
        outcome: TraceOutcome,
    ) -> http::Answer<'_, CaseView> {
        Box::pin(async move {
            let name = trace_case.clone();
            let hops = self.ask(move |node| Ok(node.hops(Some(&name)))).await?;
            let may = |hop: &Hop| {
                let acts = hop.exchange.standing().acts(hop.exchange.kind(), hop.exchange.side());
                acts.contains(&"conclude")
            };
            let answered: Vec<_> = hops.iter().filter(|hop| may(hop)).map(|hop| hop.exchange.id()).collect();
            if answered.is_empty() {
                return Err(Mistake::Forbidden(format!(
                    "nothing to conclude in the case {trace_case}: no State's final answer is open to it"
                )));
            }
            for id in answered {
                let act = Act::Conclude { outcome: outcome.clone() };
                let request = ActRequest { act, enclosed: Enclosed::default(), officer: None };
                self.order(Request::Act(id, request), who.clone(), None, |_, _| Ok(())).await?;
            }
            self.case(trace_case).await
        })
    }

    fn checkpoint(&self) -> http::Answer<'_, CheckpointView> {
        Box::pin(self.ask(|node| Ok(node.checkpoint_view())))
    }

    fn inclusion(&self, leaf: u64) -> http::Answer<'_, InclusionView> {
        Box::pin(self.ask(move |node| node.inclusion_view(leaf)))
    }

    fn consistency(&self, from: u64, to: u64) -> http::Answer<'_, ConsistencyView> {
        Box::pin(self.ask(move |node| node.consistency_view(from, to)))
    }

    fn events(&self, after: Option<u64>) -> http::Answer<'_, http::Following> {
        Box::pin(self.follow(after))
    }

    fn observe(&self) -> http::Answer<'_, ()> {
        Box::pin(async move {
            match tokio::time::timeout(READY_WITHIN, self.ask(|node| Ok(node.standing()))).await {
                Ok(standing) => self.metrics.stand(&standing?),
                // Whoever watches must see that it hangs.
                Err(_) => self.metrics.set_ready(false),
            }
            self.metrics.set_strangers(self.network.strangers(), self.network.crowded_out());
            self.count_seldom().await
        })
    }

    fn ready(&self) -> http::Answer<'_, ReadyView> {
        Box::pin(async move {
            // The loop itself says so, as things are now: a key may have passed since the last round. One asks for all.
            let mut last = self.readiness.lock().await;
            if let Some((at, view)) = &*last
                && at.elapsed() < READY_FOR
            {
                return Ok(view.clone());
            }
            let asked = tokio::time::timeout(READY_WITHIN, self.ask(|node| Ok(node.why_not_ready()))).await;
            let why = match asked {
                Ok(why) => why.unwrap_or_else(|stopping| Some(stopping.to_string())),
                Err(_) => Some("the node is too busy to answer, or its disk does not: see its trace".into()),
            };
            let view = ReadyView { ready: why.is_none(), why };
            *last = Some((Instant::now(), view.clone()));
            Ok(view)
        })
    }
}

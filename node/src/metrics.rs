//! What the node counts of itself, for Prometheus: how long the parts of a round take, how it stands with each peer,
//! what was refused and asked. The only file that names `prometheus_client`.
//!
//! On the path of a round there are a few clock readings and atomics; what can be looked up is looked up when somebody
//! asks. Labels name admitted peers and codes of ours, so no stranger can make this longer. Never a content of messages.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use liaison_protocol::authority::NodeId;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// The parts of a round.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// Parse and verify what came.
    Open,
    /// Judge it, let it take effect, seal what follows.
    Stage,
    /// Sign the head; write and sync the log.
    Commit,
    /// Commit the index, and make up what goes out.
    Release,
    /// Tell operators what became of their orders, and what they asked.
    Answer,
}

impl Stage {
    const ALL: [(Self, &str); 5] = [
        (Self::Open, "open"),
        (Self::Stage, "stage"),
        (Self::Commit, "commit"),
        (Self::Release, "release"),
        (Self::Answer, "answer"),
    ];
}

/// How long each part of one round takes.
#[derive(Debug)]
pub struct Laps {
    spent: [Duration; Stage::ALL.len()],
    now: Stage,
    since: Instant,
}

impl Default for Laps {
    fn default() -> Self {
        Self { spent: Default::default(), now: Stage::Stage, since: Instant::now() }
    }
}

impl Laps {
    /// The part that begins now.
    pub fn enter(&mut self, next: Stage) {
        let now = Instant::now();
        self.spent[self.now as usize] += now - self.since;
        (self.now, self.since) = (next, now);
    }
}

/// How the node stands at this moment.
#[derive(Debug, Default)]
pub struct Standing {
    /// Whether it can sign.
    pub ready: bool,
    /// Entries of its log.
    pub entries: u64,
    /// When its key set ends, in seconds since 1970; 0 if it has none.
    pub key_set_expires: u64,
    /// With each peer.
    pub peers: Vec<PeerStanding>,
}

/// How it stands with a peer at this moment.
#[derive(Debug)]
pub struct PeerStanding {
    /// The peer.
    pub node: NodeId,
    /// Whether a connection is open.
    pub connected: bool,
    /// Messages of ours without its receipt.
    pub outbox: u64,
    /// For how long the oldest of them has been without, in seconds.
    pub oldest: u64,
    /// Exchanges with it that are open.
    pub open: u64,
    /// Entries of our log that it has not cosigned.
    pub uncosigned: u64,
    /// Whether it showed us two histories of its log.
    pub forked: bool,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OfPeer {
    peer: String,
}

impl OfPeer {
    fn new(peer: &NodeId) -> Self {
        Self { peer: peer.to_string() }
    }
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OfStage {
    stage: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Refused {
    peer: String,
    code: u32,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OfStatus {
    status: u32,
}

type Timed = Family<OfPeer, Histogram, fn() -> Histogram>;

/// All of it. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    ready: Gauge,
    log_entries: Gauge,
    key_set_expires_timestamp_seconds: Gauge,
    deadlines_overdue: Gauge,
    index_bytes: Gauge,
    strangers: Counter,
    handshakes_crowded_out: Counter,
    stages: [Histogram; Stage::ALL.len()],
    round_entries: Histogram,
    rounds: Counter,
    peer_connected: Family<OfPeer, Gauge>,
    peer_outbox: Family<OfPeer, Gauge>,
    peer_oldest_unreceipted_seconds: Family<OfPeer, Gauge>,
    peer_open_exchanges: Family<OfPeer, Gauge>,
    peer_uncosigned: Family<OfPeer, Gauge>,
    peer_forked: Family<OfPeer, Gauge>,
    peer_mail_seconds: Timed,
    peer_mail_failures: Family<OfPeer, Counter>,
    refused: Family<Refused, Counter>,
    api_requests: Family<OfStatus, Counter>,
    /// Peers and codes that were counted, so that a peer that is removed is not told of any more.
    counted: Mutex<BTreeSet<(NodeId, Option<u32>)>>,
}

/// From 0.1 ms to 3.3 s.
fn of_a_round() -> Histogram {
    Histogram::new(exponential_buckets(0.0001, 2.0, 16))
}

/// From 1 ms to 33 s: longer than mail may take.
fn of_mail() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 16))
}

impl Default for Inner {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("liaison");
        let stage = Family::<OfStage, Histogram>::new_with_constructor(of_a_round as fn() -> Histogram);
        let inner = Self {
            ready: Gauge::default(),
            log_entries: Gauge::default(),
            key_set_expires_timestamp_seconds: Gauge::default(),
            deadlines_overdue: Gauge::default(),
            index_bytes: Gauge::default(),
            strangers: Counter::default(),
            handshakes_crowded_out: Counter::default(),
            stages: Stage::ALL
                .map(|(_, stage_name)| stage.get_or_create_owned(&OfStage { stage: stage_name })),
            round_entries: Histogram::new(exponential_buckets(1.0, 2.0, 14)),
            rounds: Counter::default(),
            peer_connected: Family::default(),
            peer_outbox: Family::default(),
            peer_oldest_unreceipted_seconds: Family::default(),
            peer_open_exchanges: Family::default(),
            peer_uncosigned: Family::default(),
            peer_forked: Family::default(),
            peer_mail_seconds: Timed::new_with_constructor(of_mail),
            peer_mail_failures: Family::default(),
            refused: Family::default(),
            api_requests: Family::default(),
            counted: Mutex::default(),
            registry: Registry::default(),
        };
        let all = &mut registry;
        all.register("ready", "Whether the node can sign now (1) or not (0)", inner.ready.clone());
        all.register("log_entries", "Entries in the log", inner.log_entries.clone());
        let help = "When our key set ends, in seconds since 1970: from then on peers take nothing of ours";
        let ends = inner.key_set_expires_timestamp_seconds.clone();
        all.register("key_set_expires_timestamp_seconds", help, ends);
        let help = "How long the parts of a round that recorded something took: open (parse and verify what came), \
                    stage (judge, fold, seal), commit (sign the head, write and sync), release (index, and what goes out), \
                    answer (operators)";
        all.register("round_seconds", help, stage);
        let help = "Entries of a round that recorded something";
        all.register("round_entries", help, inner.round_entries.clone());
        all.register("rounds", "Rounds that recorded something", inner.rounds.clone());
        let help = "Exchanges, of the newest 200,000, in which the time for what is owed has passed; counted once a minute";
        all.register("deadlines_overdue", help, inner.deadlines_overdue.clone());
        all.register("index_bytes", "Bytes of the index on disk", inner.index_bytes.clone());
        let help = "Whether a connection with the peer is open (1) or not (0)";
        all.register("peer_connected", help, inner.peer_connected.clone());
        let help = "Messages of ours without the peer's receipt";
        all.register("peer_outbox", help, inner.peer_outbox.clone());
        let help = "For how long the oldest message of ours without the peer's receipt has been without, in seconds; 0 if \
                    there is none";
        all.register("peer_oldest_unreceipted_seconds", help, inner.peer_oldest_unreceipted_seconds.clone());
        let help = "Exchanges with the peer that are open";
        all.register("peer_open_exchanges", help, inner.peer_open_exchanges.clone());
        let help = "Entries of our log that the peer has not cosigned; a few stay so while nothing is said";
        all.register("peer_uncosigned", help, inner.peer_uncosigned.clone());
        let help = "Whether the peer showed us two histories of its log (1) or not (0)";
        all.register("peer_forked", help, inner.peer_forked.clone());
        let help = "From posting mail to the peer until its response";
        all.register("peer_mail_seconds", help, inner.peer_mail_seconds.clone());
        let help = "Mail to the peer that got no response";
        all.register("peer_mail_failures", help, inner.peer_mail_failures.clone());
        all.register("refused", "Messages of the peer that were refused, by code", inner.refused.clone());
        let help = "Connections that ended because no admitted peer has the identity they proved";
        all.register("strangers", help, inner.strangers.clone());
        let help =
            "Incoming handshakes that made room for newer ones, because too many were under way at once";
        all.register("handshakes_crowded_out", help, inner.handshakes_crowded_out.clone());
        let help = "Requests to the API, by the status of the answer";
        all.register("api_requests", help, inner.api_requests.clone());
        Self { registry, ..inner }
    }
}

impl Metrics {
    /// A round is over that recorded so many entries; one that recorded nothing is not counted.
    pub fn round(&self, mut laps: Laps, entries: u64) {
        if entries == 0 {
            return;
        }
        laps.enter(Stage::Release);
        for (histogram, spent) in self.0.stages.iter().zip(laps.spent) {
            histogram.observe(spent.as_secs_f64());
        }
        self.0.rounds.inc();
        self.0.round_entries.observe(entries as f64);
    }

    /// A message of an admitted peer was refused.
    pub fn refused(&self, peer: &NodeId, code: u32) {
        self.note(peer, Some(code));
        self.0.refused.get_or_create(&Refused { peer: peer.to_string(), code }).inc();
    }

    /// A peer's response to mail came.
    pub fn mail_answered(&self, peer: &NodeId, took: Duration) {
        self.note(peer, None);
        self.0.peer_mail_seconds.get_or_create(&OfPeer::new(peer)).observe(took.as_secs_f64());
    }

    /// Mail to a peer got no response.
    pub fn mail_failed(&self, peer: &NodeId) {
        self.note(peer, None);
        self.0.peer_mail_failures.get_or_create(&OfPeer::new(peer)).inc();
    }

    /// The API answered a request.
    pub fn api_answered(&self, status: u16) {
        self.0.api_requests.get_or_create(&OfStatus { status: status.into() }).inc();
    }

    /// Whether the node can sign.
    pub fn set_ready(&self, ready: bool) {
        self.0.ready.set(ready.into());
    }

    /// How many times for answering have passed.
    pub fn set_overdue(&self, overdue: u64) {
        self.0.deadlines_overdue.set(gauge(overdue));
    }

    /// Bytes of the index.
    pub fn set_index_bytes(&self, bytes: u64) {
        self.0.index_bytes.set(gauge(bytes));
    }

    /// How many strangers knocked so far, and how many handshakes made room for newer ones.
    pub fn set_strangers(&self, strangers: u64, crowded_out: u64) {
        self.0.strangers.inner().store(strangers, Ordering::Relaxed);
        self.0.handshakes_crowded_out.inner().store(crowded_out, Ordering::Relaxed);
    }

    /// How everything else stands. Of peers that are not named nothing more is told.
    pub fn stand(&self, standing: &Standing) {
        let inner = &self.0;
        self.set_ready(standing.ready);
        inner.log_entries.set(gauge(standing.entries));
        inner.key_set_expires_timestamp_seconds.set(gauge(standing.key_set_expires));
        for family in [
            &inner.peer_connected,
            &inner.peer_outbox,
            &inner.peer_oldest_unreceipted_seconds,
            &inner.peer_open_exchanges,
            &inner.peer_uncosigned,
            &inner.peer_forked,
        ] {
            family.clear();
        }
        for peer in &standing.peers {
            let of = OfPeer::new(&peer.node);
            inner.peer_connected.get_or_create(&of).set(peer.connected.into());
            inner.peer_outbox.get_or_create(&of).set(gauge(peer.outbox));
            inner.peer_oldest_unreceipted_seconds.get_or_create(&of).set(gauge(peer.oldest));
            inner.peer_open_exchanges.get_or_create(&of).set(gauge(peer.open));
            inner.peer_uncosigned.get_or_create(&of).set(gauge(peer.uncosigned));
            inner.peer_forked.get_or_create(&of).set(peer.forked.into());
        }
        let is_here = |node: &NodeId| standing.peers.iter().any(|peer| peer.node == *node);
        self.counted().retain(|(node, code)| {
            let stays = is_here(node);
            if !stays {
                inner.peer_mail_seconds.remove(&OfPeer::new(node));
                inner.peer_mail_failures.remove(&OfPeer::new(node));
                if let Some(code) = *code {
                    inner.refused.remove(&Refused { peer: node.to_string(), code });
                }
            }
            stays
        });
    }

    /// Everything, in the text form of OpenMetrics.
    pub fn render(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.0.registry).expect("writing to a string");
        text
    }

    fn counted(&self) -> std::sync::MutexGuard<'_, BTreeSet<(NodeId, Option<u32>)>> {
        self.0.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, peer: &NodeId, code: Option<u32>) {
        self.counted().insert((peer.clone(), code));
    }
}

fn gauge(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The media type of [`Metrics::render`].
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> NodeId {
        format!("{name}.example/liaison").parse().expect("a node id")
    }

    #[test]
    fn what_is_counted_is_told_by_its_name_and_a_removed_peer_is_not() {
        let metrics = Metrics::default();
        let (ken, per) = (node("ken"), node("per"));
        for peer in [&ken, &per] {
            metrics.refused(peer, 19);
            metrics.mail_answered(peer, Duration::from_millis(3));
            metrics.mail_failed(peer);
        }
        metrics.api_answered(404);
        let mut laps = Laps::default();
        laps.enter(Stage::Commit);
        metrics.round(laps, 7);
        metrics.round(Laps::default(), 0);
        let peers = [&ken, &per].map(|node| PeerStanding {
            node: node.clone(),
            connected: true,
            outbox: 2,
            oldest: 6,
            open: 3,
            uncosigned: 4,
            forked: *node == per,
        });
        let standing =
            Standing { ready: true, entries: 9, key_set_expires: 1_800_000_000, peers: peers.into() };
        metrics.stand(&standing);
        metrics.set_overdue(5);
        metrics.set_strangers(8, 2);
        let told = metrics.render();
        for line in [
            "liaison_ready 1\n",
            "liaison_log_entries 9\n",
            "liaison_key_set_expires_timestamp_seconds 1800000000\n",
            "liaison_deadlines_overdue 5\n",
            "liaison_rounds_total 1\n",
            "liaison_round_entries_sum 7.0\n",
            "liaison_round_seconds_count{stage=\"open\"} 1\n",
            "liaison_round_seconds_count{stage=\"stage\"} 1\n",
            "liaison_round_seconds_count{stage=\"commit\"} 1\n",
            "liaison_round_seconds_count{stage=\"release\"} 1\n",
            "liaison_round_seconds_count{stage=\"answer\"} 1\n",
            "liaison_peer_connected{peer=\"ken.example/liaison\"} 1\n",
            "liaison_peer_outbox{peer=\"per.example/liaison\"} 2\n",
            "liaison_peer_oldest_unreceipted_seconds{peer=\"per.example/liaison\"} 6\n",
            "liaison_strangers_total 8\n",
            "liaison_handshakes_crowded_out_total 2\n",
            "liaison_peer_open_exchanges{peer=\"per.example/liaison\"} 3\n",
            "liaison_peer_uncosigned{peer=\"per.example/liaison\"} 4\n",
            "liaison_peer_forked{peer=\"ken.example/liaison\"} 0\n",
            "liaison_peer_forked{peer=\"per.example/liaison\"} 1\n",
            "liaison_peer_mail_seconds_count{peer=\"per.example/liaison\"} 1\n",
            "liaison_peer_mail_failures_total{peer=\"per.example/liaison\"} 1\n",
            "liaison_refused_total{peer=\"per.example/liaison\",code=\"19\"} 1\n",
            "liaison_api_requests_total{status=\"404\"} 1\n",
        ] {
            assert!(told.contains(line), "{line}is not in\n{told}");
        }
        assert!(told.ends_with("# EOF\n"));

        let ken = PeerStanding {
            node: ken,
            connected: false,
            outbox: 0,
            oldest: 0,
            open: 0,
            uncosigned: 0,
            forked: false,
        };
        metrics.stand(&Standing { ready: false, peers: vec![ken], ..standing });
        let told = metrics.render();
        assert!(!told.contains("per.example") && told.contains("liaison_ready 0\n"), "{told}");
        assert!(
            told.contains("liaison_refused_total{peer=\"ken.example/liaison\",code=\"19\"} 1\n"),
            "{told}"
        );
    }
}

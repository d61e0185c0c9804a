//! Two nodes on disks in memory, and nothing between them but what their driver carries.
//!
//! Nothing is left to chance: salts and message numbers are constant, civil time stands still, and waits are over when
//! the driver says so. So two ways to the same state give the same logs, byte by byte. The second node answers licence
//! verifications by rule.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use liaison_node::log::Spiller;
use liaison_node::node::{Done, Input, Node, NodeError, Now, Output, Parts, Request};
use liaison_node::register::Register;
use liaison_node::store::{Memory, Rows, Store};
use liaison_protocol::authority::{NodeId, Timestamp};
use liaison_protocol::desk::Table;
use liaison_protocol::entry::{Record, Staged};
use liaison_protocol::exchange::Exchange;
use liaison_protocol::licence::LicenceNo;
use liaison_protocol::merkle::{Hash, LeafIndex};
use liaison_protocol::message::MessageId;
use liaison_protocol::operator::{
    AdmitRequest, Enclosed, ExchangeView, Mistake, OpenRequest, Opening, Question, Rules,
};

use crate::dice::Dice;
use crate::officers;
use crate::sim_disk::{Failure, SimDisk, Torn};
use crate::world::{NEW_MONTH, all_rows, key_set, keys, keys_of, node_id, officer, place};

/// A node of the rehearsal.
pub type Sim = Node<SimDisk>;

/// More than any wait of a lane, in milliseconds.
const LONG: u64 = 7_200_000;

/// What becomes of a round.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Fate {
    /// The power goes when all is durable, and before anything is said. The index is behind.
    Landed,
    /// The power goes before anything is durable.
    Lost,
    /// It is committed, and what it says goes out.
    Whole,
}

/// What is on a node's disk, and its index.
#[derive(Clone)]
struct Kept {
    disk: SimDisk,
    rows: Arc<Memory>,
}

impl Kept {
    fn copy(&self) -> Self {
        Self { disk: self.disk.copy(), rows: copied(&self.rows) }
    }
}

fn copied(rows: &Memory) -> Arc<Memory> {
    let copy = Arc::new(Memory::default());
    copy.apply(&all_rows(rows)).expect("memory");
    copy
}

/// Two nodes, each of which has admitted the other; both stopped, with nothing under way. To begin from, many times.
pub struct Start([Kept; 2]);

/// Two nodes.
pub struct Pair {
    kept: [Kept; 2],
    nodes: [Sim; 2],
    now: u64,
}

impl Start {
    /// Make the two, and let them come to know each other.
    pub fn new() -> Self {
        let kept = [0, 1].map(|number| {
            let disk = SimDisk::new(Dice::new(1));
            let set = key_set(number).json();
            let made = Node::create(
                disk.clone(),
                place(number),
                set,
                keys(number),
                Timestamp(NEW_MONTH),
                &mut |salt| {
                    salt.fill(7);
                },
            );
            made.expect("nothing fails");
            Kept { disk, rows: Arc::default() }
        });
        let start = Self(kept);
        let mut pair = start.pair();
        for (side, other) in [(0, 1), (1, 0)] {
            let set = key_set(other);
            let request = AdmitRequest {
                key_sets: format!("{}\n", set.json()),
                fingerprint: set.fingerprint().to_string(),
                channel: "note verbale".parse().expect("a line"),
                officer: None,
            };
            pair.order(side, Request::Admit(request), Fate::Whole).1.expect("told").expect("admissible");
        }
        let rules = Rules { verifications: true, ..Rules::default() };
        let request = Request::SetRules(node_id(0).to_string(), rules);
        pair.order(1, request, Fate::Whole).1.expect("told").expect("good rules");
        let list = Input::Register {
            register: Register::Licences(officers::licences(1, 0)),
            who: officer("okello"),
            answer: Box::new(|_, done| drop(done.expect("imported"))),
        };
        pair.round(1, vec![list], Fate::Whole);
        pair.nodes.iter().for_each(|node| assert_eq!(node.halted(), None));
        Self(pair.kept.each_ref().map(Kept::copy))
    }

    /// Both opened from copies: what was, stays.
    pub fn pair(&self) -> Pair {
        let kept = self.0.each_ref().map(Kept::copy);
        let nodes = [0, 1].map(|side| open(side, &kept[side]).0);
        Pair { kept, nodes, now: 0 }
    }
}

impl Default for Start {
    fn default() -> Self {
        Self::new()
    }
}

fn open(side: usize, kept: &Kept) -> (Sim, Spiller<SimDisk>) {
    open_over(side, kept.disk.clone(), kept.rows.clone()).expect("what is there can be opened")
}

fn open_over(side: usize, disk: SimDisk, rows: Arc<dyn Rows>) -> Result<(Sim, Spiller<SimDisk>), NodeError> {
    let parts = Parts {
        place: place(side),
        us: node_id(side),
        keys: keys_of(side),
        store: Store::new(rows),
        firearms: Box::new(|_| officers::firearms()),
        licences: Box::new(move |_| officers::licences(side, 0)),
        random: Box::new(|bytes| bytes.fill(7)),
        // This machine remembers nothing: what a copy of a folder is, a peer must say.
        signed: Some(0),
    };
    Node::open(disk, parts, |_, _| ())
}

impl Pair {
    /// Two nodes that know each other.
    pub fn new() -> Self {
        Start::new().pair()
    }

    /// Who they are.
    pub fn id(side: usize) -> NodeId {
        node_id(side)
    }

    /// A node.
    pub fn node(&self, side: usize) -> &Sim {
        &self.nodes[side]
    }

    /// A node's disk.
    pub fn disk(&self, side: usize) -> &SimDisk {
        &self.kept[side].disk
    }

    /// One round of one node. None if the power went: then it was started again, and has said nothing.
    pub fn round(&mut self, side: usize, inputs: Vec<Input<SimDisk>>, fate: Fate) -> Option<Vec<Output>> {
        let now = Now { time: Timestamp(NEW_MONTH), millis: self.now };
        let before = (fate == Fate::Landed).then(|| copied(&self.kept[side].rows));
        if fate == Fate::Lost {
            self.kept[side].disk.fail(0, Failure::Lost);
        }
        let said = self.nodes[side].round(now, inputs);
        if fate == Fate::Whole {
            return Some(said.expect("nothing fails"));
        }
        // A round that has nothing to record writes nothing; then only what it would have said is lost.
        assert!(said.is_ok() == (fate == Fate::Landed) || self.kept[side].disk.is_about_to_fail());
        if let Some(before) = before {
            self.kept[side].rows = before;
        }
        self.restart(side);
        None
    }

    /// So long passes that receipts need not wait for a message any more.
    pub fn pause(&mut self) {
        self.now += 10;
    }

    /// So long passes that all waits are over.
    pub fn wait(&mut self) {
        self.now += LONG;
    }

    /// The moment, in milliseconds.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// The power goes and comes back. What was to be said is forgotten, and what is recorded is there.
    pub fn restart(&mut self, side: usize) {
        self.kept[side].disk.power_cut(Torn::Nothing);
        self.nodes[side] = open(side, &self.kept[side]).0;
    }

    /// A node as it starts over these rows, from a copy of its folder.
    pub fn opened_over(&self, side: usize, rows: Arc<dyn Rows>) -> Result<Sim, NodeError> {
        open_over(side, self.kept[side].disk.copy(), rows).map(|(node, _)| node)
    }

    /// A node's index.
    pub fn rows(&self, side: usize) -> &Memory {
        &self.kept[side].rows
    }

    /// A node goes on from a copy of its folder as it stands, on a machine that has no index.
    pub fn restore(&mut self, side: usize) {
        self.kept[side] = Kept { disk: self.kept[side].disk.copy(), rows: Arc::default() };
        self.restart(side);
    }

    /// A node goes on from an old copy of its folder.
    pub fn roll_back(&mut self, side: usize, start: &Start) {
        self.kept[side] = start.0[side].copy();
        self.nodes[side] = open(side, &self.kept[side]).0;
    }

    /// An officer orders something: what goes out, and what the officer was told, if anything.
    pub fn order(
        &mut self,
        side: usize,
        request: Request,
        fate: Fate,
    ) -> (Option<Vec<Output>>, Option<Result<Done, Mistake>>) {
        let told = Arc::new(Mutex::new(None));
        let answer = Box::new({
            let told = told.clone();
            move |_: &mut Sim, done| *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(done)
        });
        let input = Input::Order { request, who: officer("okello"), key: None, answer };
        let said = self.round(side, vec![input], fate);
        let told = told.lock().unwrap_or_else(PoisonError::into_inner).take();
        (said, told)
    }

    /// The question whether the other State issued a licence. The second State answers it by rule.
    pub fn question(side: usize) -> Request {
        let issuer = 1 - side;
        let number: LicenceNo = format!("L{issuer}-0").parse().expect("a number");
        let presented = officers::licences(issuer, 0).find(&number).expect("listed").content.clone();
        Request::Open(OpenRequest {
            peer: node_id(issuer).to_string(),
            opening: Opening {
                question: Question::Verification { presented },
                case_ref: None,
                handling: None,
                enclosed: Enclosed::default(),
            },
            officer: None,
        })
    }

    /// Everything in a node's log.
    pub fn records(&self, side: usize) -> Vec<Staged> {
        let node = &self.nodes[side];
        let size = node.log().checkpoint().head().size;
        (0..size).map(|leaf| node.reader().record(LeafIndex(leaf)).expect("readable")).collect()
    }

    /// The exchanges that a node holds.
    pub fn exchanges(&self, side: usize) -> BTreeSet<MessageId> {
        let rows = self.nodes[side].store().scan(Table::Exchange, &[], usize::MAX);
        let id = |key: Vec<u8>| MessageId(Hash::from_bytes(key.try_into().expect("keys are ids")));
        rows.into_iter().map(|(key, _)| id(key)).collect()
    }

    /// An exchange as a node holds it.
    pub fn exchange(&mut self, side: usize, id: &MessageId) -> Option<Exchange> {
        let at_hand = self.nodes[side].exchange(id, Timestamp(NEW_MONTH))?;
        Some(Arc::unwrap_or_clone(at_hand.exchange))
    }

    /// An exchange as a node shows it to its officers.
    pub fn exchange_view(&mut self, side: usize, id: &MessageId) -> Result<ExchangeView, Mistake> {
        self.nodes[side].exchange_view(id, Timestamp(NEW_MONTH))
    }

    /// Nothing in either log is there twice, refused, or strange: so it is between two honest nodes.
    pub fn assert_once(&self) {
        for side in [0, 1] {
            let (mut taken, mut receipted, mut numbers) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
            for staged in self.records(side) {
                let message = staged.message.as_ref();
                let fresh = match &staged.record {
                    Record::Received { .. } => taken.insert(message.map(|message| message.id())),
                    Record::Receipt { message, .. } => receipted.insert(*message),
                    Record::Sent { .. } => numbers.insert(message.map(|message| message.message().seq)),
                    Record::Alert { .. } | Record::Denied { .. } => false,
                    _ => true,
                };
                assert!(fresh, "twice, or refused, in the log of {}: {:?}", node_id(side), staged.record);
            }
        }
    }

    /// Nothing is owed any more: what one said the other has, and both believe the same.
    pub fn assert_agreed(&mut self) {
        self.assert_once();
        for (side, other) in [(0, 1), (1, 0)] {
            for (peer, row) in self.nodes[side].desk().peers() {
                assert!(row.outbox().is_empty(), "{} owes {peer} {:?}", node_id(side), row.outbox());
            }
            let has = |record: &Staged, of: MessageId| {
                matches!(&record.record, Record::Received { .. })
                    && record.message.as_ref().is_some_and(|message| message.id() == of)
            };
            let theirs = self.records(other);
            for staged in self.records(side) {
                if let (Record::Sent { .. }, Some(sent)) = (&staged.record, &staged.message) {
                    let taken = theirs.iter().filter(|record| has(record, sent.id())).count();
                    assert_eq!(taken, 1, "{} of {} was taken so often", sent.id(), node_id(side));
                }
            }
        }
        assert_eq!(self.exchanges(0), self.exchanges(1));
        for id in self.exchanges(0) {
            let [here, there] = [0, 1].map(|side| self.exchange(side, &id).expect("listed"));
            assert_eq!(here.standing(), there.standing(), "{id}");
        }
    }
}

impl Default for Pair {
    fn default() -> Self {
        Self::new()
    }
}

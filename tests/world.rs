//! A world of nodes: network, clocks, power and officers, from one seed.
//!
//! The world does to its nodes what the real one does, and keeps what they let out: heads, entries, answers to
//! officers, cosignatures. Tests ask it whether the nodes kept their word.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use liaison_node::keys::{Keys, Named};
use liaison_node::log::{Place, Spiller};
use liaison_node::node::{Done, Input, Node, Now, Output, Parts, Request};
use liaison_node::register::Register;
use liaison_node::store::{Memory, Rows, Store};
use liaison_protocol::authority::{Function, NodeId, OfficerId, Timestamp};
use liaison_protocol::desk::Table;
use liaison_protocol::entry::IdempotencyKey;
use liaison_protocol::key_set::{Contact, KeySet, KeyUse, LogName, SignedKeySet, TransportIdentity};
use liaison_protocol::mail::{Mail, MailReply};
use liaison_protocol::merkle::{self, Hash, LeafIndex, TreeHead};
use liaison_protocol::message::MessageId;
use liaison_protocol::note::{AddCheckpoint, open_checkpoint};
use liaison_protocol::operator::{ActRequest, AdmitRequest, Enclosed, Mistake, OpenRequest, Opening, Rules};
use liaison_protocol::sign::SecretKey;

use crate::dice::Dice;
use crate::officers;
use crate::sim_disk::{Failure, SimDisk, Torn};

/// Most nodes in a world.
const MOST_HOUSES: usize = 5;
/// When the worlds begin: within the hour before 2026-10-01, so that logs see two months.
pub(crate) const NEW_MONTH: u64 = 1_790_812_800;
/// After this many milliseconds a `Mail` without a response has failed.
const PATIENCE: u64 = 10_000;

type Sim = Node<SimDisk>;
type Told = Arc<Mutex<Vec<(u64, Result<Done, Mistake>)>>>;

/// One State's node, and what it let out.
pub struct House {
    /// Who it is.
    pub id: NodeId,
    /// Its disk.
    pub disk: SimDisk,
    /// Its index.
    pub rows: Arc<Memory>,
    /// The node, while it runs.
    pub node: Option<Sim>,
    /// Heads of its log that left it.
    pub heads: Vec<TreeHead>,
    /// Entries of its log that left it, with their places.
    pub entries: BTreeMap<u64, String>,
    /// The largest head of each peer that it cosigned.
    pub cosigned: BTreeMap<NodeId, TreeHead>,
    spiller: Option<Spiller<SimDisk>>,
    older: Option<Arc<Memory>>,
    clock: i64,
    run: u64,
    list: u64,
    inputs: Vec<Input<SimDisk>>,
    round_at: Option<u64>,
    orders: BTreeSet<u64>,
    again: Vec<usize>,
}

/// What an officer asked, and what came of it.
struct Asked {
    house: usize,
    request: Request,
    key: Option<IdempotencyKey>,
    /// Whether the node may call it a mistake.
    may_fail: bool,
}

enum Event {
    Arrives { to: usize, from: usize, frame: Vec<u8>, post: u64 },
    Chaos,
    Gives { post: u64 },
    Heals { one: usize, other: usize },
    Reopens { house: usize },
    Responds { post: u64, frame: Option<Vec<u8>> },
    Round { house: usize },
}

/// A `Mail` that waits for its outcome.
struct Post {
    from: usize,
    to: usize,
    run: u64,
}

/// A world of nodes.
pub struct World {
    /// The nodes.
    pub houses: Vec<House>,
    /// What officers were told is done: in which house, and which exchange.
    pub promised: Vec<(usize, MessageId)>,
    /// What each idempotency key came to.
    pub keys: BTreeMap<(usize, String), MessageId>,
    /// `Mail`s posted so far.
    pub posted: u64,
    /// What happened, counted, to see that a rehearsal rehearses.
    pub seen: BTreeMap<&'static str, u64>,
    dice: Dice,
    now: u64,
    start: u64,
    events: BTreeMap<(u64, u64), Event>,
    count: u64,
    posts: BTreeMap<u64, Post>,
    cut: BTreeSet<(usize, usize)>,
    asked: Vec<Asked>,
    told: Told,
    calm: bool,
    busy: bool,
}

impl World {
    /// The world of this seed, its nodes admitted to each other.
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let count = 2 + dice.below(MOST_HOUSES as u64 - 1).min(dice.below(4)) as usize;
        let mut world = Self {
            houses: Vec::new(),
            promised: Vec::new(),
            keys: BTreeMap::new(),
            posted: 0,
            seen: BTreeMap::new(),
            now: 0,
            start: NEW_MONTH - dice.below(3600),
            events: BTreeMap::new(),
            count: 0,
            posts: BTreeMap::new(),
            cut: BTreeSet::new(),
            asked: Vec::new(),
            told: Told::default(),
            calm: true,
            busy: dice.chance(30),
            dice,
        };
        for number in 0..count {
            world.build(number);
        }
        for house in 0..count {
            for peer in (0..count).filter(|peer| *peer != house) {
                let set = key_set(peer);
                let request = AdmitRequest {
                    key_sets: format!("{}\n", set.json()),
                    fingerprint: set.fingerprint().to_string(),
                    channel: "note verbale".parse().expect("a line"),
                    officer: None,
                };
                world.ask(house, Request::Admit(request), None, false);
                if world.dice.chance(70) {
                    world.set_rules(house, peer, false);
                }
            }
            world.import(house);
        }
        world.run_until_quiet();
        world
    }

    fn build(&mut self, number: usize) {
        let id = node_id(number);
        let disk = SimDisk::new(self.dice.fork());
        let mut salt = self.dice.fork();
        let now = Timestamp(self.start);
        let spiller =
            Node::create(disk.clone(), place(number), key_set(number).json(), keys(number), now, &mut {
                |bytes: &mut [u8]| salt.fill(bytes)
            });
        spiller.expect("nothing fails yet");
        self.houses.push(House {
            id,
            disk,
            rows: Arc::default(),
            node: None,
            heads: Vec::new(),
            entries: BTreeMap::new(),
            cosigned: BTreeMap::new(),
            spiller: None,
            older: None,
            clock: 0,
            run: 0,
            list: 0,
            inputs: Vec::new(),
            round_at: None,
            orders: BTreeSet::new(),
            again: Vec::new(),
        });
        self.reopen(number);
    }

    /// Let everything go wrong for a while.
    pub fn run_wild(&mut self) {
        self.calm = false;
        let end = self.now + 60_000 + self.dice.below(240_000);
        self.later(1, Event::Chaos);
        while self.now < end {
            self.step();
        }
        self.calm = true;
    }

    /// Mend everything, and let the nodes say what they owe. Panics if they never fall silent.
    pub fn heal(&mut self) {
        self.cut.clear();
        self.events.retain(|_, event| !matches!(event, Event::Chaos));
        for house in 0..self.houses.len() {
            self.houses[house].disk.mend();
            if self.houses[house].node.is_none() {
                self.reopen(house);
            }
        }
        // What they have begun they end by their own clocks.
        (0..self.houses.len()).for_each(|house| self.round(house));
        // Clocks are set right: all agree, none is behind what it has signed, and the month is over everywhere, with what
        // expires by then.
        let latest = self.houses.iter().map(House::time).max().unwrap_or_default().0.max(NEW_MONTH) as i64;
        for house in &mut self.houses {
            house.clock = (latest - (self.start + self.now / 1000) as i64).max(0) + 1;
        }
        for house in 0..self.houses.len() {
            for peer in 0..self.houses.len() {
                self.greet(house, peer);
            }
        }
        self.run_until_quiet();
    }

    /// Spill all that is spillable.
    pub fn spill_all(&mut self) {
        for house in &mut self.houses {
            let spiller = house.spiller.as_mut().expect("the world is healed");
            while spiller.step().expect("nothing fails any more") {}
        }
    }

    /// Weeks in which nobody orders anything: what is due and does not come passes, and is reminded of.
    pub fn let_times_pass(&mut self) {
        self.now += 60 * 24 * 3_600_000;
        for house in 0..self.houses.len() {
            self.round_within(house, 1);
        }
        self.run_until_quiet();
    }

    /// Go on until no house's day ends within the hour. With a day, licences expire and what was owed by
    /// its end is late: both are told.
    pub fn let_a_day_begin(&mut self) {
        let date = |world: &Self, house, later: u64| world.now_of(house).time.plus(later).date();
        while (0..self.houses.len()).any(|house| date(self, house, 0) != date(self, house, 3600)) {
            self.now += 3_600_000;
            for house in 0..self.houses.len() {
                self.round_within(house, 1);
            }
            self.run_until_quiet();
        }
    }

    /// An hour in which nobody orders anything. Returns how much was said in it.
    pub fn idle_hour(&mut self) -> usize {
        let mut said = 0;
        for _ in 0..4 {
            self.now += 900_000;
            for house in 0..self.houses.len() {
                let now = self.now_of(house);
                let node = self.houses[house].node.as_mut().expect("the world is healed");
                let outputs = node.round(now, Vec::new()).expect("nothing fails any more");
                said += outputs.iter().filter(|output| matches!(output, Output::Post { .. })).count();
            }
        }
        said
    }

    /// A node opened anew from a copy of `house`'s disk, with an empty index.
    pub fn rebuilt(&mut self, house: usize) -> (Sim, Arc<Memory>) {
        let rows: Arc<Memory> = Arc::default();
        let disk = self.houses[house].disk.copy();
        let parts = self.parts(house, rows.clone());
        let (node, _) = Node::open(disk, parts, |_, _| ()).expect("what is there can be opened");
        (node, rows)
    }

    /// Where `house`'s log is.
    pub fn place(&self, house: usize) -> Place {
        place(house)
    }

    fn run_until_quiet(&mut self) {
        let end = self.now + 24 * 3_600_000;
        while !self.events.is_empty() {
            assert!(self.now < end, "no silence within a day: {}", self.restless());
            self.step();
        }
    }

    fn restless(&self) -> String {
        let of = |house: &House| {
            let node = house.node.as_ref()?;
            let peers = node.desk().peers().map(|(id, peer)| {
                let lane = node.lane(id);
                format!(
                    "{} owes {id} {} messages, in flight: {:?}, trouble: {:?}",
                    house.id,
                    peer.outbox().len(),
                    lane.map(|lane| lane.is_in_flight()),
                    lane.and_then(|lane| lane.trouble.clone())
                )
            });
            Some(peers.collect::<Vec<_>>().join("; "))
        };
        self.houses.iter().filter_map(of).collect::<Vec<_>>().join("; ")
    }

    fn step(&mut self) {
        let Some(((at, _), event)) = self.events.pop_first() else {
            self.now += 1000;
            return;
        };
        self.now = self.now.max(at);
        match event {
            Event::Arrives { to, from, frame, post } => {
                if self.are_apart(to, from) || self.houses[to].node.is_none() {
                    return;
                }
                let from = self.houses[from].id.clone();
                self.hand(to, Input::Arrived { from, frame, ticket: post });
            }
            Event::Chaos => self.chaos(),
            Event::Gives { post } => self.fails(post, "no response"),
            Event::Heals { one, other } => {
                self.cut.remove(&(one, other));
                self.greet(one, other);
                self.greet(other, one);
            }
            Event::Reopens { house } => {
                if self.houses[house].node.is_none() {
                    self.reopen(house);
                }
            }
            Event::Responds { post, frame } => self.responds(post, frame),
            Event::Round { house } => {
                if self.houses[house].round_at == Some(at) {
                    self.houses[house].round_at = None;
                    self.round(house);
                }
            }
        }
    }

    fn later(&mut self, after: u64, event: Event) {
        self.count += 1;
        self.events.insert((self.now + after, self.count), event);
    }

    fn count(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    fn are_apart(&self, one: usize, other: usize) -> bool {
        self.cut.contains(&(one.min(other), one.max(other)))
    }

    fn hand(&mut self, house: usize, input: Input<SimDisk>) {
        self.houses[house].inputs.push(input);
        let after = self.dice.below(20);
        self.round_within(house, after);
    }

    fn round_within(&mut self, house: usize, after: u64) {
        let at = self.now + after;
        if self.houses[house].round_at.is_none_or(|planned| at < planned) {
            self.houses[house].round_at = Some(at);
            self.later(after, Event::Round { house });
        }
    }

    fn greet(&mut self, house: usize, peer: usize) {
        if house != peer && self.houses[house].node.is_some() && self.houses[peer].node.is_some() {
            let peer = self.houses[peer].id.clone();
            self.hand(house, Input::Connected(peer));
        }
    }

    fn now_of(&self, house: usize) -> Now {
        let time = (self.start + self.now / 1000).saturating_add_signed(self.houses[house].clock);
        Now { time: Timestamp(time), millis: self.now + 7919 * house as u64 }
    }

    fn round(&mut self, house: usize) {
        let now = self.now_of(house);
        if self.houses[house].node.is_none() {
            return;
        }
        if !self.calm && self.dice.chance(3) {
            self.threaten(house);
        }
        let inputs = std::mem::take(&mut self.houses[house].inputs);
        let node = self.houses[house].node.as_mut().expect("it runs");
        let outcome = node.round(now, inputs);
        self.hear(house);
        match outcome {
            Err(error) => {
                assert!(!self.calm, "{} stopped: {error}", self.houses[house].id);
                self.count("crashed in a round");
                self.crash(house);
            }
            Ok(outputs) => {
                let node = self.houses[house].node.as_ref().expect("it runs");
                assert_eq!(
                    node.halted(),
                    None,
                    "{} holds its own log for rolled back",
                    self.houses[house].id
                );
                for output in outputs {
                    self.carry(house, output);
                }
                let node = self.houses[house].node.as_ref().expect("it runs");
                if node.is_taking_mail() && !node.goes_on(now) {
                    *self.seen.entry("waited for its turn").or_default() += 1;
                }
                if let Some(at) = node.posts_at() {
                    // Never at once: a node that asked for that without an end would stop the world.
                    let after = at.saturating_sub(now.millis).max(1);
                    self.round_within(house, after);
                }
            }
        }
    }

    /// The next writes of this disk will not all work.
    fn threaten(&mut self, house: usize) {
        let after = self.dice.below(6);
        let failure = *self.dice.pick(&[Failure::Lost, Failure::Landed, Failure::Half, Failure::PowerCut]);
        self.houses[house].disk.fail(after, failure);
    }

    /// What the officers were told in this round.
    fn hear(&mut self, house: usize) {
        let told = std::mem::take(&mut *self.told.lock().unwrap_or_else(PoisonError::into_inner));
        for (number, told) in told {
            self.houses[house].orders.remove(&number);
            let asked = &self.asked[number as usize];
            match told {
                Ok(Done::Exchange { id, .. }) => {
                    self.promised.push((house, id));
                    if let Some(key) = &asked.key {
                        let first = *self.keys.entry((house, key.key.to_string())).or_insert(id);
                        assert_eq!(first, id, "one idempotency key, two exchanges");
                    }
                }
                Ok(_) => {}
                Err(mistake) => {
                    assert!(asked.may_fail, "{}: {:?}: {mistake}", self.houses[house].id, asked.request);
                }
            }
        }
    }

    fn carry(&mut self, house: usize, output: Output) {
        match output {
            Output::Post { to, frame } => {
                self.remember(house, &frame);
                let to = self.number_of(&to);
                self.posted += 1;
                let post = self.posted;
                self.posts.insert(post, Post { from: house, to, run: self.houses[house].run });
                let patience = PATIENCE + self.dice.below(5000);
                self.later(patience, Event::Gives { post });
                let copies = match self.dice.below(100) {
                    _ if self.calm => 1,
                    0..10 => 0,
                    10..20 => 2,
                    _ => 1,
                };
                for _ in 0..copies {
                    let after = self.delay();
                    self.later(after, Event::Arrives { to, from: house, frame: frame.clone(), post });
                }
            }
            Output::Reply { ticket, frame } => {
                if let Some(Ok(MailReply::Cosigned { .. })) = frame.as_deref().map(MailReply::parse) {
                    self.remember_cosigned(house, ticket);
                }
                if self.calm || self.dice.chance(90) {
                    let after = self.delay();
                    self.later(after, Event::Responds { post: ticket, frame });
                }
            }
            Output::Roster | Output::Wanted(_) | Output::Witnessed { .. } => {}
        }
    }

    fn delay(&mut self) -> u64 {
        match self.dice.below(20) {
            0 if !self.calm => self.dice.below(30_000),
            1..4 if !self.calm => self.dice.below(3_000),
            _ => 1 + self.dice.below(100),
        }
    }

    /// What leaves a house must stand for ever.
    fn remember(&mut self, house: usize, frame: &[u8]) {
        let mail = Mail::parse(frame).expect("what a node posts is a mail");
        let offer = AddCheckpoint::parse(&mail.head).expect("with a head");
        let Place { origin, key, .. } = place(house);
        let signed = open_checkpoint(&offer.checkpoint, &origin, &key).expect("signed by the log");
        let house = &mut self.houses[house];
        if house.heads.last() != Some(signed.head()) {
            house.heads.push(*signed.head());
        }
        for logged in mail.messages.iter().map(|posted| &posted.logged).chain(&mail.receipts) {
            let said = house.entries.entry(logged.leaf.0).or_insert_with(|| logged.entry.clone());
            assert_eq!(*said, logged.entry, "{} said two things of one place", house.id);
        }
    }

    /// A cosignature left the house: for the head that is the last it holds of that peer, or an older one.
    fn remember_cosigned(&mut self, house: usize, post: u64) {
        let Some(from) = self.posts.get(&post).map(|post| post.from) else { return };
        let from = self.houses[from].id.clone();
        let house = &mut self.houses[house];
        let peer = house.node.as_ref().and_then(|node| node.desk().peer(&from)).expect("an admitted peer");
        house.cosigned.insert(from, *peer.head());
    }

    fn responds(&mut self, post: u64, frame: Option<Vec<u8>>) {
        let Some(frame) = frame else { return self.fails(post, "ended unanswered") };
        let Some(Post { from, to, run }) = self.posts.get(&post) else { return };
        let (from, to, run) = (*from, *to, *run);
        if self.are_apart(from, to) {
            return;
        }
        self.posts.remove(&post);
        if self.houses[from].run == run && self.houses[from].node.is_some() {
            let to = self.houses[to].id.clone();
            self.hand(from, Input::Answered { from: to, frame });
        }
    }

    fn fails(&mut self, post: u64, why: &str) {
        let Some(Post { from, to, run }) = self.posts.remove(&post) else { return };
        if self.houses[from].run == run && self.houses[from].node.is_some() {
            let to = self.houses[to].id.clone();
            self.hand(from, Input::Failed { to, why: why.into() });
        }
    }

    fn number_of(&self, id: &NodeId) -> usize {
        self.houses.iter().position(|house| house.id == *id).expect("nodes write to nodes of this world")
    }

    fn crash(&mut self, house: usize) {
        self.count("crashed");
        let torn = *self.dice.pick(&[
            Torn::BySeed,
            Torn::BySeed,
            Torn::BySeed,
            Torn::Nothing,
            Torn::OneByte,
            Torn::Everything,
        ]);
        let one = &mut self.houses[house];
        (one.node, one.spiller, one.round_at) = (None, None, None);
        one.inputs.clear();
        if one.disk.is_down() || self.dice.chance(50) {
            one.disk.power_cut(torn);
        }
        one.disk.mend();
        // Officers who were told nothing ask again, if they named their request.
        let lost = std::mem::take(&mut one.orders);
        for number in lost {
            if self.asked[number as usize].key.is_some() && self.dice.chance(80) {
                self.houses[house].again.push(number as usize);
            }
        }
        let after = self.dice.below(20_000);
        self.later(after, Event::Reopens { house });
    }

    fn parts(&mut self, house: usize, rows: Arc<Memory>) -> Parts {
        let mut dice = self.dice.fork();
        Parts {
            place: place(house),
            us: node_id(house),
            keys: keys_of(house),
            store: Store::new(rows),
            signed: Some(0),
            firearms: Box::new(|_| officers::firearms()),
            licences: Box::new({
                let newest = self.houses[house].list;
                move |digest| {
                    let mut lists = (0..=newest).map(|version| officers::licences(house, version));
                    lists.find(|list| list.digest() == Some(digest)).expect("a list that was imported")
                }
            }),
            random: Box::new(move |bytes| dice.fill(bytes)),
        }
    }

    fn reopen(&mut self, house: usize) {
        match self.dice.below(10) {
            0 | 1 => self.houses[house].rows = Arc::default(),
            2 | 3 => {
                if let Some(older) = self.houses[house].older.take() {
                    self.count("opened with an old index");
                    self.houses[house].rows = older;
                }
            }
            4 => {
                let mut rows = all_rows(&*self.houses[house].rows);
                // The first row says how far an index reaches.
                if let Some((_, reached)) = rows.pop_first() {
                    self.count("opened with an index of another form");
                    rows.insert(b"!reached".to_vec(), reached);
                    let another = Memory::default();
                    another.apply(&rows).expect("memory");
                    self.houses[house].rows = Arc::new(another);
                }
            }
            _ => {}
        }
        if !self.calm && self.dice.chance(10) {
            self.threaten(house);
        }
        let parts = self.parts(house, self.houses[house].rows.clone());
        let disk = self.houses[house].disk.clone();
        match Node::open(disk, parts, |_, _| ()) {
            Err(error) => {
                let it_failed = !self.houses[house].disk.is_about_to_fail();
                assert!(!self.calm && it_failed, "{} does not open: {error}", self.houses[house].id);
                self.count("crashed while opening");
                self.crash(house);
            }
            Ok((node, spiller)) => {
                self.houses[house].check_word(&node);
                let one = &mut self.houses[house];
                one.run += 1;
                (one.node, one.spiller) = (Some(node), Some(spiller));
                self.round_within(house, 0);
                for peer in 0..self.houses.len() {
                    self.greet(house, peer);
                    self.greet(peer, house);
                }
                for number in std::mem::take(&mut self.houses[house].again) {
                    let Asked { request, key, may_fail, .. } = &self.asked[number];
                    let (request, key, may_fail) = (request.clone(), key.clone(), *may_fail);
                    self.count("asked again after a crash");
                    self.ask(house, request, key, may_fail);
                }
                if self.dice.chance(30) {
                    self.spill(house);
                }
            }
        }
    }

    fn spill(&mut self, house: usize) {
        let Some(spiller) = &mut self.houses[house].spiller else { return };
        if let Err(error) = spiller.step() {
            assert!(
                !self.calm && !self.houses[house].disk.is_about_to_fail(),
                "{} cannot spill: {error}",
                self.houses[house].id
            );
            self.count("crashed while spilling");
            self.crash(house);
        }
    }

    fn chaos(&mut self) {
        let house = self.dice.below(self.houses.len() as u64) as usize;
        let peer = (house + 1 + self.dice.below(self.houses.len() as u64 - 1) as usize) % self.houses.len();
        match self.dice.below(100) {
            0..25 => self.open(house, peer),
            25..60 => self.act(house),
            60..64 => {
                self.houses[house].list += 1;
                self.import(house);
            }
            64..67 => self.set_rules(house, peer, true),
            67..70 => self.ask_again(),
            70..74 => {
                if self.houses[house].node.is_some() {
                    self.count("killed");
                    self.crash(house);
                }
            }
            74..78 => {
                let pair = (house.min(peer), house.max(peer));
                self.cut.insert(pair);
                let after = self.dice.below(60_000);
                self.later(after, Event::Heals { one: pair.0, other: pair.1 });
            }
            78..82 => {
                let far = *self.dice.pick(&[200, 200, 200, 7200, 3 * 86_400]);
                self.houses[house].clock = self.dice.below(2 * far) as i64 - far as i64;
            }
            82..84 => self.threaten(house),
            84..86 => {
                let copy = Arc::new(Memory::default());
                copy.apply(&all_rows(&*self.houses[house].rows)).expect("memory");
                self.houses[house].older = Some(copy);
            }
            _ => self.spill(house),
        }
        if !self.calm {
            let pause = if self.busy { 500 } else { 2500 };
            let after = self.dice.below(pause);
            self.later(after, Event::Chaos);
        }
    }

    fn ask(&mut self, house: usize, request: Request, key: Option<IdempotencyKey>, may_fail: bool) {
        if self.houses[house].node.is_none() {
            return;
        }
        let number = self.asked.len() as u64;
        self.asked.push(Asked { house, request: request.clone(), key: key.clone(), may_fail });
        self.houses[house].orders.insert(number);
        let told = self.told.clone();
        let answer = Box::new(move |_: &mut Sim, done| {
            told.lock().unwrap_or_else(PoisonError::into_inner).push((number, done));
        });
        self.hand(house, Input::Order { request, who: officer("okello"), key, answer });
    }

    /// Some earlier order once more: with its key, or with its key and another request.
    fn ask_again(&mut self) {
        let named: Vec<usize> =
            (0..self.asked.len()).filter(|number| self.asked[*number].key.is_some()).collect();
        if named.is_empty() {
            return;
        }
        let number = *self.dice.pick(&named);
        let Asked { house, request, key, may_fail } = &self.asked[number];
        let (house, request, mut key, mut may_fail) = (*house, request.clone(), key.clone(), *may_fail);
        if self.dice.chance(20) {
            let key = key.as_mut().expect("it has one");
            key.digest = Hash::of(b"another request");
            may_fail = true;
            // Where the first was lost on the way, the key is this one's, and the first comes too late.
            for asked in &mut self.asked {
                asked.may_fail |= asked.key.as_ref().is_some_and(|other| other.key == key.key);
            }
        }
        self.count("asked again");
        self.ask(house, request, key, may_fail);
    }

    fn key_for(&mut self, request: &Request) -> Option<IdempotencyKey> {
        let named = self.dice.chance(60);
        let number = self.asked.len();
        named.then(|| IdempotencyKey {
            key: format!("request-{number}").parse().expect("a line"),
            digest: Hash::of(format!("{request:?}").as_bytes()),
        })
    }

    fn open(&mut self, house: usize, peer: usize) {
        if self.busy && self.promised.len() > 3 && self.dice.chance(90) {
            return self.act(house);
        }
        let question = officers::question(peer, &mut self.dice);
        let enclosed = officers::enclosed(&question, &mut self.dice);
        let case_ref =
            self.dice.chance(50).then(|| format!("file {}", self.asked.len()).parse().expect("a line"));
        let request = Request::Open(OpenRequest {
            peer: self.houses[peer].id.to_string(),
            opening: Opening { question, case_ref, handling: None, enclosed },
            officer: None,
        });
        let key = self.key_for(&request);
        self.ask(house, request, key, false);
    }

    fn act(&mut self, house: usize) {
        let now = self.now_of(house).time;
        let Some(node) = &mut self.houses[house].node else { return };
        let rows = node.store().scan(Table::Exchange, &[], usize::MAX);
        if rows.is_empty() {
            return;
        }
        let id = self.dice.pick(&rows).0.as_slice().try_into().expect("keys are ids");
        let id = MessageId(Hash::from_bytes(id));
        let exchange = node.exchange(&id, now).expect("it is listed").exchange;
        let open = exchange.standing().acts(exchange.kind(), exchange.side());
        let any = ["acknowledge", "answer", "ask_information", "conclude", "correct", "rescind", "withdraw"];
        let name = if open.is_empty() || self.dice.chance(5) {
            *self.dice.pick(&any)
        } else {
            *self.dice.pick(open)
        };
        let Some(act) = officers::act(name, &exchange, &mut self.dice) else { return };
        let request = Request::Act(
            id,
            ActRequest { act, enclosed: Enclosed::default(), officer: Some(officer("achieng")) },
        );
        let key = self.key_for(&request);
        self.ask(house, request, key, true);
    }

    fn import(&mut self, house: usize) {
        if self.houses[house].node.is_none() {
            return;
        }
        self.count("imported a list");
        let register = match self.dice.chance(30) {
            true => Register::Firearms(officers::firearms()),
            false => Register::Licences(officers::licences(house, self.houses[house].list)),
        };
        self.hand(
            house,
            Input::Register {
                register,
                who: officer("okello"),
                answer: Box::new(|_, done| drop(done.expect("imported"))),
            },
        );
    }

    fn set_rules(&mut self, house: usize, peer: usize, may_be_none: bool) {
        let rules = Rules {
            verifications: self.dice.chance(60),
            authenticity: !may_be_none || self.dice.chance(50),
            traces: self.dice.chance(60),
            attempts_per_licence: 1 + self.dice.below(8) as u32,
        };
        let request = Request::SetRules(self.houses[peer].id.to_string(), rules);
        self.ask(house, request, None, false);
    }
}

impl House {
    fn time(&self) -> Timestamp {
        let node = self.node.as_ref().expect("the world is healed");
        let last = node.log().checkpoint().head().size - 1;
        node.reader().record(LeafIndex(last)).expect("a log that can be read").at
    }

    /// Whether `node`, just opened, stands by what its house let out before.
    fn check_word(&self, node: &Sim) {
        let size = node.log().checkpoint().head().size;
        if let Some(head) = self.heads.iter().max_by_key(|head| head.size) {
            assert!(head.size <= size, "{} sent a head of {} entries and has {size}", self.id, head.size);
            let root = merkle::root(node.log(), head.size).expect("its tree can be read");
            assert_eq!(root, head.root, "{} sent another history", self.id);
        }
        for (peer, head) in &self.cosigned {
            let held = node.desk().peer(peer).expect("an admitted peer").head().size;
            assert!(
                head.size <= held,
                "{} cosigned {} entries of {peer} and knows of {held}",
                self.id,
                head.size
            );
        }
        for (leaf, entry) in self.entries.iter().rev().take(3) {
            let held = node.reader().entry(LeafIndex(*leaf)).expect("it can be read");
            assert_eq!(held, *entry, "{} said otherwise of place {leaf}", self.id);
        }
    }
}

/// Every row of an index.
pub fn all_rows(rows: &dyn Rows) -> BTreeMap<Vec<u8>, Option<Vec<u8>>> {
    let mut all = BTreeMap::new();
    rows.visit(&[], false, &mut |key, row| {
        all.insert(key.to_vec(), Some(row.to_vec()));
        true
    })
    .expect("memory");
    all
}

pub(crate) fn officer(name: &str) -> OfficerId {
    name.parse().expect("an officer")
}

pub(crate) fn node_id(number: usize) -> NodeId {
    format!("firearms.example{number}.org/liaison").parse().expect("a node id")
}

fn named(number: usize, kid: &str, salt: u8) -> Named {
    let mut seed = [salt; 32];
    seed[0] = number as u8;
    Named { kid: kid.into(), key: SecretKey::from_seed(&seed) }
}

pub(crate) fn keys_of(number: usize) -> Keys {
    Keys {
        messages: vec![named(number, "msg-1", 1)],
        log: named(number, "log-1", 2),
        witness: named(number, "witness-1", 3),
        transport: named(number, "transport-1", 4),
    }
}

pub(crate) fn keys(number: usize) -> &'static Keys {
    static KEYS: OnceLock<Vec<Keys>> = OnceLock::new();
    &KEYS.get_or_init(|| (0..MOST_HOUSES).map(keys_of).collect())[number]
}

pub(crate) fn place(number: usize) -> Place {
    Place { origin: node_id(number).log_origin(1), folder: "log1".into(), key: keys(number).log.key.public() }
}

/// Version 1 of a node's key set: good for a year around the world's time.
pub(crate) fn key_set(number: usize) -> &'static SignedKeySet {
    static SETS: OnceLock<Vec<SignedKeySet>> = OnceLock::new();
    &SETS.get_or_init(|| (0..MOST_HOUSES).map(make_key_set).collect())[number]
}

fn make_key_set(number: usize) -> SignedKeySet {
    let (keys, root) = (keys(number), named(number, "root-1", 5));
    let (nbf, naf) = (Timestamp(NEW_MONTH - 180 * 86_400), Timestamp(NEW_MONTH + 180 * 86_400));
    let set = KeySet {
        v: 1,
        node: node_id(number),
        state: officers::STATES[number].parse().expect("a State"),
        authority: "National Firearms Bureau".parse().expect("a line"),
        functions: vec![Function::Art13Contact],
        version: 1,
        prev: None,
        issued: nbf,
        expires: naf,
        roots: vec![root.root()],
        threshold: 1,
        keys: vec![
            keys.messages[0].listed(KeyUse::Msg, nbf, naf),
            keys.log.listed(KeyUse::Log, nbf, naf),
            keys.witness.listed(KeyUse::Witness, nbf, naf),
        ],
        peers: vec![TransportIdentity { peer_id: format!("peer-{number}"), nbf, naf }],
        addrs: Vec::new(),
        logs: vec![LogName { n: 1, kid: "log-1".into() }],
        revoked: Vec::new(),
        contact: Contact::default(),
        calendar: None,
        targets: Vec::new(),
    };
    let signers = [&root, &keys.messages[0], &keys.log, &keys.witness];
    let signers: Vec<_> = signers.iter().map(|named| (named.kid.as_str(), &named.key)).collect();
    SignedKeySet::sign(set, &signers).expect("a good key set")
}

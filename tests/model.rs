//! Everything that can happen to two nodes within small bounds, in every order: mail that is lost, late or repeated,
//! receipts, stale heads, restarts before and after a commit, and a node started from an old copy.
//!
//! The model is the nodes themselves: a state is the way to it, gone again each time, and two states are one if logs,
//! lanes and mail under way are the same. All of them are looked at, breadth first. `LIAISON_MODEL="1 0 1 0 1"` sets the
//! bounds: questions of either side, mails lost, mails repeated, crashes.

use std::collections::HashMap;
use std::time::Instant;

use liaison_node::node::{Input, Output};
use liaison_protocol::entry::{Alert, Record};
use liaison_protocol::mail::{Mail, MailReply};
use liaison_protocol::merkle::{self, Hash, TreeHead};
use liaison_protocol::note::{AddCheckpoint, Checkpoint, SignedNote};
use liaison_tests::{Fate, Pair, Start};

/// How much may happen.
#[derive(Clone, Copy, Debug, Default)]
struct Bounds {
    questions: [u8; 2],
    losses: u8,
    repeats: u8,
    crashes: u8,
    rollbacks: u8,
}

/// One thing that happens. Mail is named by its place among all that is under way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    /// A `Mail` arrives, for the first time or once more.
    Arrives(usize),
    /// The response to a `Mail` arrives.
    Answers(usize),
    /// An officer asks.
    Asks(usize),
    /// Its sender gives a `Mail` up. It may arrive all the same.
    Fails(usize),
    /// A `Mail` of a node that was rolled back arrives, its head made to start where the other stands.
    Forges(usize),
    /// A node stops between two rounds and starts again.
    Restarts(usize),
    /// A node goes on from an old copy of its folder.
    RollsBack(usize),
    /// A node that has something to say says it.
    Wakes(usize),
}

type Turn = (Step, Fate);

/// A `Mail` under way.
struct Post {
    from: usize,
    frame: Vec<u8>,
    head: TreeHead,
    /// The roots of its sender's log at every size, when it was sent.
    history: Vec<Hash>,
    arrived: u8,
    /// Whether its sender waits for the outcome.
    waits: bool,
    reply: Option<Vec<u8>>,
}

impl Post {
    /// Whether its addressee stopped over it: then its sender learns that the line is dead.
    fn is_broken_off(&self) -> bool {
        self.waits && self.arrived > 0 && self.reply.is_none()
    }
}

struct Model<'a> {
    start: &'a Start,
    pair: Pair,
    posts: Vec<Post>,
    left: Bounds,
    /// What each node cosigned of the other's log, newest last, and what that log was.
    cosigned: [Vec<TreeHead>; 2],
    forked: bool,
    rolled_back: bool,
}

impl<'a> Model<'a> {
    fn new(start: &'a Start, bounds: Bounds) -> Self {
        let mut model = Self {
            start,
            pair: start.pair(),
            posts: Vec::new(),
            left: bounds,
            cosigned: [Vec::new(), Vec::new()],
            forked: false,
            rolled_back: false,
        };
        for side in [0, 1] {
            let said = model.pair.round(side, Vec::new(), Fate::Whole);
            model.carry(side, said, None);
        }
        // They have just been started: each says one word to the other.
        while let Some(turn) = model.calm() {
            model.take(turn);
        }
        model
    }

    fn replay(start: &'a Start, bounds: Bounds, way: &[Turn]) -> Self {
        let mut model = Self::new(start, bounds);
        way.iter().for_each(|turn| model.take(*turn));
        model
    }

    /// What can happen now.
    fn turns(&self) -> Vec<Turn> {
        let mut steps = Vec::new();
        for (at, post) in self.posts.iter().enumerate() {
            if post.waits && post.reply.is_some() {
                steps.push(Step::Answers(at));
            }
            if post.arrived == 0 || post.arrived == 1 && self.left.repeats > 0 {
                steps.push(Step::Arrives(at));
            }
            if post.waits && (self.left.losses > 0 || post.is_broken_off()) {
                steps.push(Step::Fails(at));
            }
            if self.rolled_back && post.from == 0 && post.arrived == 0 && self.is_prefix(0, &post.head) {
                steps.push(Step::Forges(at));
            }
        }
        for side in [0, 1] {
            if self.left.questions[side] > 0 && self.pair.node(side).halted().is_none() {
                steps.push(Step::Asks(side));
            }
            // Mail takes less time than a node waits before it repeats itself; now and then it does not.
            let in_time = self.posts.iter().all(|post| !post.waits);
            if self.pair.node(side).posts_at().is_some() && (in_time || self.left.repeats > 0) {
                steps.push(Step::Wakes(side));
            }
        }
        let mut turns: Vec<Turn> = steps.iter().map(|step| (*step, Fate::Whole)).collect();
        if self.left.crashes > 0 {
            turns.extend(steps.iter().flat_map(|step| [(*step, Fate::Lost), (*step, Fate::Landed)]));
            turns.extend([0, 1].map(|side| (Step::Restarts(side), Fate::Whole)));
        }
        if self.left.rollbacks > 0 {
            turns.push((Step::RollsBack(0), Fate::Whole));
        }
        turns
    }

    /// What happens next where nothing goes wrong and nobody asks anything; none where nothing is left to do.
    fn calm(&self) -> Option<Turn> {
        let has = |wanted: fn(&Post) -> bool| self.posts.iter().position(wanted);
        let answers = has(|post| post.waits && post.reply.is_some()).map(Step::Answers);
        let arrives = || has(|post| post.waits && post.arrived == 0).map(Step::Arrives);
        let wakes =
            || [0, 1].into_iter().find(|side| self.pair.node(*side).posts_at().is_some()).map(Step::Wakes);
        let broken = || has(Post::is_broken_off).map(Step::Fails);
        let step = answers.or_else(arrives).or_else(broken).or_else(wakes)?;
        Some((step, Fate::Whole))
    }

    fn take(&mut self, (step, fate): Turn) {
        match step {
            Step::Arrives(at) => {
                let (from, frame) = (self.posts[at].from, self.posts[at].frame.clone());
                self.left.repeats -= u8::from(self.posts[at].arrived == 1);
                self.posts[at].arrived += 1;
                let input = Input::Arrived { from: Pair::id(from), frame, ticket: at as u64 };
                self.round(1 - from, vec![input], fate, Some(at));
            }
            Step::Answers(at) => {
                let from = self.posts[at].from;
                self.posts[at].waits = false;
                let frame = self.posts[at].reply.clone().expect("it was answered");
                self.round(from, vec![Input::Answered { from: Pair::id(1 - from), frame }], fate, None);
            }
            Step::Asks(side) => {
                self.left.questions[side] -= 1;
                let (said, told) = self.pair.order(side, Pair::question(side), fate);
                self.after(side, said, fate, None);
                // Whoever was told that it is done finds it.
                if let Some(done) = told.filter(|_| fate == Fate::Whole) {
                    let liaison_node::node::Done::Exchange { id, new: true } = done.expect("it may be asked")
                    else {
                        panic!("not an exchange")
                    };
                    assert!(self.pair.exchanges(side).contains(&id));
                }
            }
            Step::Fails(at) => {
                let from = self.posts[at].from;
                self.left.losses -= u8::from(!self.posts[at].is_broken_off());
                self.posts[at].waits = false;
                let input = Input::Failed { to: Pair::id(1 - from), why: "lost".into() };
                self.round(from, vec![input], fate, None);
            }
            Step::Forges(at) => {
                let held = self.pair.node(1).desk().peer(&Pair::id(0)).expect("a peer").head().size;
                let log = self.pair.node(0).log();
                let post = &mut self.posts[at];
                let mut mail = Mail::parse(&post.frame).expect("a mail");
                let offer = AddCheckpoint::parse(&mail.head).expect("with a head");
                let proof = match held <= post.head.size {
                    true => merkle::consistency_proof(log, held, post.head.size).expect("readable"),
                    false => Vec::new(),
                };
                mail.head = AddCheckpoint { old: held, proof, ..offer }.render();
                post.frame = mail.frame();
                self.take((Step::Arrives(at), fate));
            }
            Step::Restarts(side) => {
                self.left.crashes -= 1;
                self.pair.restart(side);
                self.starts(side);
            }
            Step::RollsBack(side) => {
                self.left.rollbacks -= 1;
                self.rolled_back = true;
                self.pair.roll_back(side, self.start);
                self.starts(side);
            }
            Step::Wakes(side) => {
                self.left.repeats -= u8::from(self.posts.iter().any(|post| post.waits));
                self.pair.wait();
                self.round(side, Vec::new(), fate, None);
            }
        }
        // What can come no more, and nobody waits for, is nowhere.
        let most = 1 + u8::from(self.left.repeats > 0);
        self.posts.retain(|post| post.waits || post.arrived < most);
    }

    fn round(
        &mut self,
        side: usize,
        inputs: Vec<Input<liaison_tests::SimDisk>>,
        fate: Fate,
        answering: Option<usize>,
    ) {
        let said = self.pair.round(side, inputs, fate);
        self.after(side, said, fate, answering);
    }

    fn after(&mut self, side: usize, said: Option<Vec<Output>>, fate: Fate, answering: Option<usize>) {
        if fate == Fate::Whole {
            self.carry(side, said, answering);
        } else {
            self.left.crashes -= 1;
            self.starts(side);
        }
    }

    /// A node has just been started: it waits for nothing any more.
    fn starts(&mut self, side: usize) {
        self.posts.iter_mut().filter(|post| post.from == side).for_each(|post| post.waits = false);
        let said = self.pair.round(side, Vec::new(), Fate::Whole);
        self.carry(side, said, None);
    }

    fn carry(&mut self, side: usize, said: Option<Vec<Output>>, answering: Option<usize>) {
        for output in said.expect("the round was whole") {
            match output {
                Output::Post { frame, .. } => {
                    let mail = Mail::parse(&frame).expect("what a node posts is a mail");
                    let log = self.pair.node(side).log();
                    let head = head_of(&AddCheckpoint::parse(&mail.head).expect("with a head").checkpoint);
                    let root = |size| merkle::root(log, size).expect("its tree can be read");
                    let history: Vec<_> = (0..=head.size).map(root).collect();
                    assert_eq!(history.last(), Some(&head.root), "it offers what is not its log");
                    self.posts.push(Post {
                        from: side,
                        frame,
                        head,
                        history,
                        arrived: 0,
                        waits: true,
                        reply: None,
                    });
                }
                Output::Reply { frame, .. } => {
                    let at = answering.expect("nobody else asked");
                    let frame = frame.expect("a good mail gets a response");
                    self.replied(side, at, &frame);
                    if self.posts[at].waits {
                        self.posts[at].reply.get_or_insert(frame);
                    }
                }
                Output::Roster | Output::Wanted(_) | Output::Witnessed { .. } => {}
            }
        }
    }

    /// No node ever cosigns two histories.
    fn replied(&mut self, side: usize, at: usize, frame: &[u8]) {
        let post = &self.posts[at];
        match MailReply::parse(frame).expect("a reply") {
            MailReply::Cosigned { .. } => {
                let cosigned = &mut self.cosigned[side];
                for before in &*cosigned {
                    assert!(before.size <= post.head.size, "cosigned a smaller log than before");
                    assert_eq!(post.history[before.size as usize], before.root, "cosigned two histories");
                }
                if cosigned.last() != Some(&post.head) {
                    cosigned.push(post.head);
                }
            }
            MailReply::Forked { held } => {
                let held = head_of(&held);
                let prefix = post.history.get(held.size as usize);
                assert_ne!(prefix, Some(&held.root), "an honest log is called a fork");
                self.forked = true;
            }
            MailReply::Busy { .. } => assert!(self.pair.node(side).halted().is_some()),
            MailReply::Stale { .. } => {}
        }
    }

    /// What makes it this state: logs, lanes, what is under way, and what may still happen.
    fn key(&self) -> Hash {
        let mut key = format!("{:?}", self.left);
        for side in [0, 1] {
            let node = self.pair.node(side);
            let lane = node.lane(&Pair::id(1 - side)).map(|lane| format!("{lane:?}")).unwrap_or_default();
            key += &format!("\n{:?} {:?} ", node.log().checkpoint().head(), node.halted().is_some());
            key += &without_times(&lane, self.pair.now());
        }
        let mut posts: Vec<_> = self
            .posts
            .iter()
            .map(|post| (post.from, &post.frame, post.arrived, post.waits, &post.reply))
            .collect();
        posts.sort();
        for post in posts {
            key += &format!("\n{:?}", post);
        }
        // Where a log may be rolled back, it is not all that was.
        key += &format!(
            "\n{:?} {} {}",
            self.cosigned.each_ref().map(|heads| heads.last()),
            self.forked,
            self.rolled_back
        );
        Hash::of(key.as_bytes())
    }

    /// What must hold in every state.
    fn assert_sound(&self, bounds: Bounds) {
        if bounds.rollbacks == 0 {
            self.pair.assert_once();
            assert!([0, 1].iter().all(|side| self.pair.node(*side).halted().is_none()) && !self.forked);
        }
    }

    /// Whether a node's log begins so.
    fn is_prefix(&self, side: usize, head: &TreeHead) -> bool {
        let log = self.pair.node(side).log();
        head.size <= log.checkpoint().head().size
            && merkle::root(log, head.size).expect("its tree can be read") == head.root
    }

    /// What must hold where nothing is left to do.
    fn assert_settled(&mut self) {
        if !self.rolled_back {
            return self.pair.assert_agreed();
        }
        // The first node was started from an old copy. Either nothing was missing in it that the other had cosigned, or
        // it has learnt what it is, and signs nothing more.
        let knows = self.pair.node(0).halted().is_some();
        assert!(
            knows || self.cosigned[1].iter().all(|head| self.is_prefix(0, head)),
            "a second history, unnoticed"
        );
        assert!(self.pair.node(1).halted().is_none(), "the honest one halts");
        let proof = self.pair.records(1).into_iter().find_map(|staged| match staged.record {
            Record::Alert { alert: Alert::Forked { held, offered, .. } } => {
                Some((head_of(&held), head_of(&offered)))
            }
            _ => None,
        });
        assert_eq!(proof.is_some(), self.forked, "a fork is kept as proof");
        assert!(proof.is_none_or(|(held, offered)| held != offered));
    }
}

fn head_of(note: &str) -> TreeHead {
    let note = SignedNote::parse(note).expect("a note");
    Checkpoint::parse(note.text()).expect("a checkpoint").head
}

/// A lane as it prints itself, with what is due now in place of when it is due.
fn without_times(lane: &str, now: u64) -> String {
    if lane.is_empty() {
        return String::new();
    }
    let (lane, rest) = lane.split_once(", trouble: ").expect("a lane prints all it has");
    let (_, rest) = rest.split_once(", not_fetched: ").expect("in this order");
    let mut pieces = rest.split_inclusive(": ");
    let mut text = format!("{lane} {}", pieces.next().unwrap_or_default());
    let mut name = text.clone();
    for piece in pieces {
        let digits = piece.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(piece.len());
        if ["next: ", "receipts_at: ", "wait_until: "].iter().any(|end| name.ends_with(end)) {
            let at: u64 = piece[..digits].parse().expect("a moment");
            text += if at <= now { "now" } else { "later" };
            text += &piece[digits..];
        } else if name.ends_with("count: ") || name.ends_with("failures: ") {
            text += &piece[digits..];
        } else {
            text += piece;
        }
        name = piece.to_owned();
    }
    text
}

/// A state that was found, and how.
struct Found {
    before: Option<(usize, Turn)>,
    turns: Vec<Turn>,
    calm: Option<Turn>,
    /// Where the calm turn leads.
    then: Option<usize>,
}

fn way_to(found: &[Found], mut at: usize) -> Vec<Turn> {
    let mut way = Vec::new();
    while let Some((before, turn)) = found[at].before {
        way.push(turn);
        at = before;
    }
    way.reverse();
    way
}

/// Look at every state within `bounds`. From each of them, all comes to rest once nothing goes wrong any more.
///
/// Returns how many states there are, and in how many of them a second history was seen.
fn explore(bounds: Bounds) -> (usize, usize) {
    let began = Instant::now();
    let start = Start::new();
    let (mut found, mut places) = (Vec::<Found>::new(), HashMap::new());
    let mut deepest = 0;
    let (mut turns, mut forks) = (0, 0);
    let mut meet = |model: &mut Model<'_>, before: Option<(usize, Turn)>, found: &mut Vec<Found>| {
        *places.entry(model.key()).or_insert_with(|| {
            model.assert_sound(bounds);
            forks += usize::from(model.forked);
            let calm = model.calm();
            let rests = calm.is_none() || [0, 1].iter().any(|side| model.pair.node(*side).halted().is_some());
            if rests {
                model.assert_settled();
            }
            found.push(Found { before, turns: model.turns(), calm: calm.filter(|_| !rests), then: None });
            found.len() - 1
        })
    };
    meet(&mut Model::new(&start, bounds), None, &mut found);
    let mut at = 0;
    while at < found.len() {
        let way = way_to(&found, at);
        deepest = deepest.max(way.len());
        for turn in found[at].turns.clone() {
            turns += 1;
            let mut model = Model::replay(&start, bounds, &way);
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                model.take(turn);
                meet(&mut model, Some((at, turn)), &mut found)
            }));
            let next = result.unwrap_or_else(|panic| {
                println!("on the way {way:?}, then {turn:?}");
                std::panic::resume_unwind(panic)
            });
            if found[at].calm == Some(turn) {
                found[at].then = Some(next);
            }
        }
        at += 1;
    }
    // A calm way that never ends would come back to a state it has been in.
    let mut rests = vec![false; found.len()];
    for begin in 0..found.len() {
        let (mut at, mut passed) = (begin, Vec::new());
        while let (Some(next), false) = (found[at].then, rests[at]) {
            assert!(passed.len() < found.len(), "it never rests: {:?}", way_to(&found, begin));
            passed.push(at);
            at = next;
        }
        assert!(found[at].calm.is_none() || rests[at], "every turn was taken");
        passed.into_iter().for_each(|at| rests[at] = true);
    }
    println!("{bounds:?}: {} states, {turns} turns, {deepest} deep, {:?}", found.len(), began.elapsed());
    (found.len(), forks)
}

#[test]
fn nothing_is_lost_nothing_happens_twice_and_both_agree_whatever_happens_to_two_nodes() {
    if let Ok(text) = std::env::var("LIAISON_MODEL") {
        let numbers: Vec<u8> = text.split(' ').map(|number| number.parse().expect("a number")).collect();
        let [first, second, losses, repeats, crashes] = numbers.try_into().expect("five numbers");
        explore(Bounds { questions: [first, second], losses, repeats, crashes, rollbacks: 0 });
        return;
    }
    // A question that is answered by rule, and one thing that goes wrong; or two questions that cross.
    for bounds in [
        Bounds { questions: [1, 0], losses: 1, ..Bounds::default() },
        Bounds { questions: [1, 0], repeats: 1, ..Bounds::default() },
        Bounds { questions: [1, 0], crashes: 1, ..Bounds::default() },
        Bounds { questions: [1, 1], ..Bounds::default() },
    ] {
        let (states, forks) = explore(bounds);
        assert!(states > 100 && forks == 0, "{states} states, {forks} forks");
    }
}

#[test]
fn a_node_that_starts_from_an_old_copy_gets_no_second_history_cosigned() {
    let (states, forks) = explore(Bounds { questions: [1, 0], rollbacks: 1, ..Bounds::default() });
    assert!(states > 100 && forks > 10, "{states} states, {forks} forks");
}

#[test]
fn receipts_go_with_the_next_message_or_soon_alone() {
    let start = Start::new();
    let bounds = Bounds { questions: [2, 0], ..Bounds::default() };
    let answered = [Step::Asks(0), Step::Arrives(0), Step::Answers(0), Step::Arrives(0), Step::Answers(0)];
    let mut said = Vec::new();
    for next in [Step::Asks(0), Step::Wakes(0)] {
        let way = answered.map(|step| (step, Fate::Whole));
        let mut model = Model::replay(&start, bounds, &way);
        assert!(model.posts.is_empty(), "the receipt of the answer waits");
        assert!(model.pair.node(0).posts_at().is_some_and(|at| at <= model.pair.now() + 5));
        model.take((next, Fate::Whole));
        let mail = Mail::parse(&model.posts[0].frame).expect("a mail");
        said.push((model.posts[0].from, mail.messages.len(), mail.receipts.len()));
    }
    assert_eq!(said, [(0, 1, 1), (0, 0, 1)]);
}

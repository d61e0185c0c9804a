//! Many nodes, everything that can go wrong, and what must hold all the same.
//!
//! `LIAISON_SEEDS=5000 cargo test --release -p liaison-tests --test simulation` for more seeds than the usual;
//! `LIAISON_SEED=17` for that one alone.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use liaison_protocol::audit::Audit;
use liaison_protocol::authority::{By, NodeId};
use liaison_protocol::desk::{Desk, Table};
use liaison_protocol::entry::{Alert, Record, Staged};
use liaison_protocol::exchange::Exchange;
use liaison_protocol::handling::Coded;
use liaison_protocol::merkle::{Hash, LeafIndex};
use liaison_protocol::message::{Body, MessageId, Outcome};
use liaison_protocol::operator::{Order, Side, State};
use liaison_protocol::trace::ResultCode;
use liaison_tests::{World, all_rows};

/// Seeds of the usual run.
const SEEDS: u64 = 300;

/// A long run says how far it is each so many seeds.
const PROGRESS: u64 = 1_000;

#[test]
fn nodes_keep_their_word_whatever_happens_to_them() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let seeds = match number("LIAISON_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("LIAISON_SEEDS").unwrap_or(SEEDS),
    };
    let next = AtomicU64::new(seeds.start);
    let (failed, seen) = (Mutex::new(BTreeMap::new()), Mutex::new(BTreeMap::<&str, u64>::new()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            if seed > 0 && seed.is_multiple_of(PROGRESS) {
                eprintln!("{seed} seeds begun, {} failed", failed.lock().expect("nobody panics here").len());
            }
            match catch_unwind(AssertUnwindSafe(|| rehearse(seed))) {
                Ok(counts) => {
                    let mut seen = seen.lock().expect("nobody panics here");
                    counts.into_iter().for_each(|(what, count)| *seen.entry(what).or_default() += count);
                }
                Err(panic) => {
                    let why = panic.downcast_ref::<String>().cloned();
                    let why = why.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                    eprintln!("that was seed {seed}");
                    failed.lock().expect("nobody panics here").insert(seed, why.unwrap_or_default());
                }
            }
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| (0..cores).for_each(|_| drop(scope.spawn(work))));

    let seen = seen.into_inner().expect("nobody panics here");
    println!("{seen:?}");
    // A world in which nothing goes wrong would prove nothing.
    if seeds.end - seeds.start >= SEEDS {
        for what in [
            "crashed",
            "crashed in a round",
            "deadline",
            "imported a list",
            "part",
            "asked again",
            "waited for its turn",
        ] {
            assert!(seen.get(what).is_some_and(|count| *count > 0), "it never happened: {what}");
        }
    }
    let failed = failed.into_inner().expect("nobody panics here");
    let list: Vec<_> = failed.iter().take(10).map(|(seed, why)| format!("seed {seed}: {why}")).collect();
    assert!(
        failed.is_empty(),
        "{} of {} seeds failed; repeat one with LIAISON_SEED=<seed>\n{}",
        failed.len(),
        seeds.end - seeds.start,
        list.join("\n")
    );
}

fn rehearse(seed: u64) -> BTreeMap<&'static str, u64> {
    let mut world = World::new(seed);
    world.run_wild();
    world.heal();
    everything_sent_is_receipted(&world);
    world.let_times_pass();
    everything_sent_is_receipted(&world);
    idle_nodes_fall_silent(&mut world);
    what_was_promised_is_on_both_sides_alike(&world);
    nothing_happened_twice(&world);
    rules_or_officers_answered(&world);
    a_desk_is_a_function_of_its_log(&mut world);
    world.spill_all();
    logs_hold(&world);
    // Spilled, the records are read from other files.
    a_desk_is_a_function_of_its_log(&mut world);
    *world.seen.entry("mails").or_default() += world.posted;
    *world.seen.entry("orders kept").or_default() += world.promised.len() as u64;
    for house in 0..world.houses.len() {
        for staged in records(&world, house) {
            let name = staged.record.kind().as_str();
            *world.seen.entry(name).or_default() += 1;
        }
    }
    world.seen
}

fn desk(world: &World, house: usize) -> &Desk {
    world.houses[house].node.as_ref().expect("the world is healed").desk()
}

fn records(world: &World, house: usize) -> Vec<Staged> {
    let node = world.houses[house].node.as_ref().expect("the world is healed");
    let size = node.log().checkpoint().head().size;
    (0..size).map(|leaf| node.reader().record(LeafIndex(leaf)).expect("it can be read")).collect()
}

fn exchanges(world: &World, house: usize) -> BTreeSet<MessageId> {
    let node = world.houses[house].node.as_ref().expect("the world is healed");
    let rows = node.store().scan(Table::Exchange, &[], usize::MAX);
    rows.into_iter()
        .map(|(key, _)| MessageId(Hash::from_bytes(key.try_into().expect("keys are ids"))))
        .collect()
}

fn everything_sent_is_receipted(world: &World) {
    for house in 0..world.houses.len() {
        for (peer, row) in desk(world, house).peers() {
            assert!(row.outbox().is_empty(), "{} owes {peer} {:?}", desk(world, house).us(), row.outbox());
        }
        let records = records(world, house);
        let receipted: BTreeSet<MessageId> = records
            .iter()
            .filter_map(|staged| match &staged.record {
                Record::Receipt { message, .. } => Some(*message),
                _ => None,
            })
            .collect();
        for staged in &records {
            if let (Record::Sent { .. }, Some(verified)) = (&staged.record, &staged.message) {
                assert!(receipted.contains(&verified.id()), "{} has no receipt", verified.id());
            }
        }
    }
}

fn idle_nodes_fall_silent(world: &mut World) {
    let size = |world: &World| {
        world
            .houses
            .iter()
            .map(|house| house.node.as_ref().map(|node| node.reader().size()))
            .collect::<Vec<_>>()
    };
    world.let_a_day_begin();
    let before = size(world);
    assert_eq!(world.idle_hour(), 0, "somebody speaks though nothing happens");
    assert_eq!(size(world), before, "a log grows though nothing happens");
    for house in &world.houses {
        let node = house.node.as_ref().expect("the world is healed");
        assert_eq!(node.posts_at(), None, "{} wants to wake though nothing waits", house.id);
        assert_eq!(node.why_not_ready(), None);
    }
}

fn what_was_promised_is_on_both_sides_alike(world: &World) {
    let number = |id: &NodeId| world.houses.iter().position(|house| house.id == *id).expect("of this world");
    let mut found = vec![BTreeSet::new(); world.houses.len()];
    for (house, found) in found.iter_mut().enumerate() {
        let node = world.houses[house].node.as_ref().expect("the world is healed");
        for id in exchanges(world, house) {
            let ours = rebuilt_exchange(world, house, &id);
            let theirs = rebuilt_exchange(world, number(ours.peer()), &id);
            assert_eq!(
                ours.standing(),
                theirs.standing(),
                "{id} between {} and {}",
                node.desk().us(),
                ours.peer()
            );
            assert_eq!(ours.side(), theirs.side().other());
            let persons = |exchange: &Exchange| {
                let said = exchange.timeline().into_iter();
                let taken = said.filter(|said| said.receipt.as_ref().is_none_or(|r| r.refused.is_none()));
                taken.map(|said| (said.id, said.persons, said.persons_absent)).collect::<Vec<_>>()
            };
            assert_eq!(persons(&ours), persons(&theirs), "{id}");
            let due = |house: usize, exchange: &Exchange| desk(world, house).due_of(exchange);
            assert_eq!(due(house, &ours), due(number(ours.peer()), &theirs), "{id}");
            // R-10.2c: a transit is cleared by a decision, whatever time has passed.
            if ours.standing().state == State::Cleared {
                assert!(matches!(ours.standing().outcome, Some(Outcome::Transit(_))), "{id}");
            }
            assert_ne!(ours.standing().state, State::Requested, "{id} was delivered");
            let refused = ours
                .timeline()
                .iter()
                .filter(|said| said.receipt.as_ref().is_some_and(|r| r.refused.is_some()))
                .count();
            let ordered = ours.standing().order.len();
            assert_eq!(ordered + refused, ours.timeline().len(), "{id}: something waits for ever");
            found.insert(id);
        }
    }
    for (house, id) in &world.promised {
        assert!(found[*house].contains(id), "{id} was promised to an officer and is not there");
    }
    for ((house, key), id) in &world.keys {
        assert!(found[*house].contains(id), "{key} was to have made {id}, which is not there");
    }
}

fn rebuilt_exchange(world: &World, house: usize, id: &MessageId) -> Exchange {
    struct Shelf<'a>(&'a World, usize);
    impl liaison_protocol::desk::Shelf for Shelf<'_> {
        fn get(&self, table: Table, key: &[u8]) -> Option<Vec<u8>> {
            self.node().store().get(table, key)
        }
        fn put(&mut self, _: Table, _: &[u8], _: Vec<u8>) {}
        fn remove(&mut self, _: Table, _: &[u8]) {}
        fn scan(&self, table: Table, prefix: &[u8], limit: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
            self.node().store().scan(table, prefix, limit)
        }
        fn record(&self, leaf: LeafIndex) -> Option<Staged> {
            self.node().reader().record(leaf).ok()
        }
    }
    impl Shelf<'_> {
        fn node(&self) -> &liaison_node::node::Node<liaison_tests::SimDisk> {
            self.0.houses[self.1].node.as_ref().expect("the world is healed")
        }
    }
    let shelf = Shelf(world, house);
    let at_hand =
        desk(world, house).exchange(&shelf, id).unwrap_or_else(|| panic!("{id} is not on both sides"));
    let loaded = liaison_protocol::desk::load_exchange(desk(world, house).us(), &shelf, id);
    let loaded = loaded.expect("what is at hand is in the log");
    assert!(*at_hand == loaded, "at hand: {}; from the log: {}", brief(&at_hand), brief(&loaded));
    loaded
}

fn brief(exchange: &Exchange) -> String {
    let standing = exchange.standing();
    format!(
        "{} with {} messages, {} in order, updated {}, basis {:?}",
        standing.state.as_str(),
        exchange.len(),
        standing.order.len(),
        exchange.summary(None).updated,
        exchange.basis()
    )
}

fn nothing_happened_twice(world: &World) {
    for house in 0..world.houses.len() {
        let (mut decided, mut receipted, mut sent) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let (mut keys, mut numbers) = (BTreeSet::new(), BTreeSet::new());
        for staged in records(world, house) {
            let fresh = match &staged.record {
                Record::Received { .. } => decided.insert(staged.message.as_ref().map(|m| m.id())),
                Record::Denied { id: Some(id), .. } => decided.insert(Some(*id)),
                Record::Receipt { message, .. } => receipted.insert(*message),
                Record::Sent { .. } => {
                    let verified = staged.message.as_ref().expect("it was read");
                    sent.insert(verified.id())
                        && numbers.insert((verified.message().aud.clone(), verified.message().seq))
                }
                Record::Order { key: Some(key), .. } => keys.insert(key.key.to_string()),
                // Clocks are days apart here, now and then.
                Record::Alert { alert: Alert::ReceiptTime { .. } } => true,
                Record::Alert { alert } => panic!("{alert:?} among honest nodes"),
                _ => true,
            };
            assert!(fresh, "twice in the log of {}: {:?}", desk(world, house).us(), staged.record);
        }
    }
}

/// R-SOV: silence yields no answer, and nothing is answered automatically that no rule allows.
fn rules_or_officers_answered(world: &World) {
    for house in 0..world.houses.len() {
        let mut rules = BTreeMap::new();
        let mut ordered = BTreeSet::new();
        let mut kinds = BTreeMap::new();
        for staged in records(world, house) {
            match &staged.record {
                Record::Order { order: Order::SetRules { node, rules: set }, .. } => {
                    rules.insert(node.clone(), set.clone());
                }
                Record::Order { order: Order::Act { .. } | Order::Open { .. }, .. } => {
                    ordered.insert(staged.leaf.0 + 1);
                }
                Record::Received { .. } => {
                    let verified = staged.message.as_ref().expect("it was read");
                    kinds.insert(verified.exchange(), verified.message().kind());
                }
                Record::Sent { to, .. } => {
                    let message = staged.message.as_ref().expect("it was read").message();
                    match (&message.by, &message.body) {
                        (By::Officers { .. }, _) => {
                            assert!(ordered.contains(&staged.leaf.0), "no order for {message:?}");
                        }
                        (By::Auto { .. }, Body::LicenceNotice(_) | Body::Reminder(_)) => {}
                        (By::Auto { .. }, Body::AuthenticityResult(_)) => assert!(rules[to].authenticity),
                        (By::Auto { .. }, Body::LicenceVerificationResponse(_)) => {
                            assert!(rules[to].verifications)
                        }
                        (By::Auto { .. }, Body::TraceResponse(_)) => assert!(rules[to].traces),
                        (By::Auto { rule }, body) => panic!("{rule} said {body:?}"),
                    }
                }
                _ => {}
            }
        }
        for id in exchanges(world, house) {
            let exchange = rebuilt_exchange(world, house, &id);
            let standing = exchange.standing();
            let said = standing.order.iter().any(|(id, effective)| {
                let said = exchange.get(id).expect("the order is of its messages");
                let answers = match &said.message.body {
                    // Put off is not answered.
                    Body::TraceResponse(response) => {
                        response.result_code != Coded::Known(ResultCode::Delayed)
                    }
                    Body::AuthenticityResult(_)
                    | Body::LicenceVerificationResponse(_)
                    | Body::TransitDecision(_) => true,
                    _ => false,
                };
                *effective && answers && said.from == Side::Requested
            });
            assert_eq!(
                said,
                standing.outcome.is_some(),
                "{id}: an outcome comes from an answer and nothing else"
            );
        }
    }
}

fn a_desk_is_a_function_of_its_log(world: &mut World) {
    for house in 0..world.houses.len() {
        let (node, rows) = world.rebuilt(house);
        let running = world.houses[house].node.as_ref().expect("the world is healed");
        assert_eq!(node.log().checkpoint(), running.log().checkpoint());
        let (mut rebuilt, mut held) = (all_rows(&*rows), all_rows(&*world.houses[house].rows));
        // How far it was told of changes is no part of the log: without it, it is looked further back.
        for rows in [&mut rebuilt, &mut held] {
            rows.remove(b"!told".as_slice());
        }
        let differ = rebuilt.iter().filter(|(key, row)| held.get(*key) != Some(row)).count();
        assert_eq!(rebuilt.len(), held.len(), "rows of {}", world.houses[house].id);
        for (key, row) in &rebuilt {
            let text = |row: Option<&Option<Vec<u8>>>| {
                row.cloned().flatten().map(|row| String::from_utf8_lossy(&row).into_owned())
            };
            assert_eq!(
                text(Some(row)),
                text(held.get(key)),
                "{differ} rows differ; row {:?}",
                String::from_utf8_lossy(key)
            );
        }
        for (id, peer) in running.desk().peers() {
            let other = node.desk().peer(id).expect("the same peers");
            assert_eq!(peer.outbox(), other.outbox());
            assert_eq!(peer.head(), other.head());
            assert_eq!(peer.open_exchanges(), other.open_exchanges());
            assert_eq!(peer.chain(), other.chain());
        }
    }
}

fn logs_hold(world: &World) {
    for (number, house) in world.houses.iter().enumerate() {
        let place = world.place(number);
        let audit = Audit::open(&house.disk, &place.origin, &place.key, &house.heads)
            .unwrap_or_else(|flaw| panic!("{}: {flaw}", house.id));
        let node = house.node.as_ref().expect("the world is healed");
        assert_eq!(audit.checkpoint(), node.log().checkpoint(), "all is spilled");
        let mut time = 0;
        let look = |leaf: LeafIndex, bytes: &[u8]| {
            let line = str::from_utf8(bytes).map_err(|error| error.to_string())?;
            let entry = liaison_protocol::entry::Entry::parse(line).map_err(|error| error.to_string())?;
            let said = house.entries.get(&leaf.0).is_none_or(|said| said == line);
            let goes_on = entry.t.0 >= time;
            time = entry.t.0;
            if said && goes_on {
                Ok(())
            } else {
                Err("another entry left the house, or its time goes back".into())
            }
        };
        audit.run::<String>(look).unwrap_or_else(|flaw| panic!("{}: {flaw}", house.id));
        let last = house.entries.last_key_value().map_or(0, |(leaf, _)| leaf + 1);
        assert!(last <= node.reader().size(), "{} let out what it does not have", house.id);
        for (peer, head) in &house.cosigned {
            let held = node.desk().peer(peer).expect("an admitted peer").head().size;
            assert!(head.size <= held, "{} cosigned more of {peer} than it knows", house.id);
        }
    }
}

//! The index: made anew from the log, while the log is read on; and what becomes of a start where that cannot be.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use liaison_node::node::{Input, NodeError, Request};
use liaison_node::store::{Changes, Memory, Rows, Sled, StoreError, full_key};
use liaison_protocol::desk::Table;
use liaison_protocol::operator::Rules;
use liaison_tests::{Fate, Pair, all_rows};

/// More entries than are folded between two times that the index is written.
const MANY: usize = 40_000;

/// A pair of which the first has a long log.
fn with_a_long_log() -> Pair {
    let mut pair = Pair::new();
    let order = |_| Input::Order {
        request: Request::SetRules(Pair::id(1).to_string(), Rules::default()),
        who: "okello".parse().expect("an officer"),
        key: None,
        answer: Box::new(|_, done| drop(done.expect("good rules"))),
    };
    pair.round(0, (0..MANY).map(order).collect(), Fate::Whole).expect("whole");
    pair
}

/// The rows, but how far whoever asked was told of changes: that is no part of the log.
fn from_the_log(rows: &dyn Rows) -> Changes {
    let mut rows = all_rows(rows);
    rows.remove(b"!told".as_slice());
    rows
}

#[test]
fn the_index_of_a_long_log_is_made_anew_as_it_was() {
    let pair = with_a_long_log();
    let folder = tempfile::tempdir().expect("a folder");
    let sled = Arc::new(Sled::open(folder.path()).expect("a database"));
    let rows = Arc::<Memory>::default();
    for anew in [rows.clone() as Arc<dyn Rows>, sled.clone()] {
        let node = pair.opened_over(0, anew).expect("what is there can be opened");
        assert!(node.log().checkpoint().head().size > MANY as u64);
    }
    let before = from_the_log(pair.rows(0));
    assert!(from_the_log(rows.as_ref()) == before && from_the_log(sled.as_ref()) == before);
}

/// Rows that can be made durable so many times.
struct Failing {
    rows: Memory,
    syncs: AtomicUsize,
}

impl Rows for Failing {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.rows.get(key)
    }

    fn visit(
        &self,
        from: &[u8],
        backwards: bool,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        self.rows.visit(from, backwards, visit)
    }

    fn apply(&self, changes: &Changes) -> Result<(), StoreError> {
        self.rows.apply(changes)
    }

    fn clear(&self) -> Result<(), StoreError> {
        self.rows.clear()
    }

    fn sync(&self) -> Result<(), StoreError> {
        match self.syncs.fetch_sub(1, Ordering::Relaxed) {
            0 => Sled::open(Path::new("/dev/null/index")).map(drop),
            _ => Ok(()),
        }
    }
}

#[test]
fn an_index_that_cannot_be_written_stops_the_start() {
    let pair = with_a_long_log();
    for syncs in [0, 1] {
        let rows = Arc::new(Failing { rows: Memory::default(), syncs: AtomicUsize::new(syncs) });
        let opened = pair.opened_over(0, rows.clone());
        assert!(matches!(opened, Err(NodeError::Store(_))), "after {syncs} that were written");
        assert!(rows.syncs.load(Ordering::Relaxed) > MANY, "it was tried");
    }
}

#[test]
fn an_index_that_the_log_cannot_have_made_is_made_anew() {
    let pair = Pair::new();
    let (before, rows) = (from_the_log(pair.rows(0)), Arc::<Memory>::default());
    rows.apply(&before).expect("memory");
    let peer = full_key(Table::Peer, Pair::id(1).as_str().as_bytes());
    rows.apply(&Changes::from([(peer, Some(b"{".to_vec()))])).expect("memory");
    let node = pair.opened_over(0, rows.clone()).expect("what is there can be opened");
    assert!(node.desk().peer(&Pair::id(1)).is_some());
    assert_eq!(from_the_log(rows.as_ref()), before);
}

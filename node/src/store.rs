//! Look-up tables that can be rebuilt: the desk's shelf between rounds.
//!
//! Rows of a round are held back until the round is durable. Then everybody sees them, from memory ([`Recent`]); what
//! came together since the last time goes into a database ([`Sled`]) behind the loop's back, all or nothing with the
//! number of entries it covers, so the tables never run ahead of the log. The database is trusted with nothing: every
//! row can be made again from the log.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use jiff::civil::Date;
use liaison_protocol::desk::Table;

mod database;

pub use database::Sled;

/// The tables cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error(
    "the index in {path}: {why}. Free or repair the disk, then start the node again; if that does not help, delete that folder first: it is rebuilt from the log"
)]
pub struct StoreError {
    path: PathBuf,
    why: String,
}

/// Rows by key, in order of their keys; as many readers as are wanted, in any thread.
pub trait Rows: Send + Sync {
    /// A row.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
    /// Visit the rows from `from` on until `visit` says stop (`false`); backwards from `from` if `backwards`.
    fn visit(
        &self,
        from: &[u8],
        backwards: bool,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError>;
    /// Put (`Some`) and remove (`None`) rows, all or none.
    fn apply(&self, changes: &Changes) -> Result<(), StoreError>;
    /// Remove everything.
    fn clear(&self) -> Result<(), StoreError>;
    /// Make what was applied survive a power cut.
    fn sync(&self) -> Result<(), StoreError>;
}

/// Changes to rows: `Some` puts one in place, `None` takes it away.
pub type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Rows over others, with what was changed lately in memory: one row that is written in many rounds is written below
/// once. [`Rows::sync`] takes it there.
pub struct Recent<R> {
    under: R,
    lately: RwLock<Lately>,
    /// Held by whoever moves changes below.
    moving: Mutex<()>,
}

/// What is not below yet. Whoever looks at many rows holds on to these maps, and keeps nobody waiting: whoever makes
/// changes meanwhile copies the map.
#[derive(Clone, Default)]
struct Lately {
    changes: Arc<Changes>,
    /// On their way below, older than the others.
    leaving: Arc<Changes>,
}

/// Changes kept in memory before whoever makes more must wait for the rows below.
const MOST_LATELY: usize = 32_768;

impl<R: Rows> Recent<R> {
    /// Rows over `under`.
    pub fn new(under: R) -> Self {
        Self { under, lately: RwLock::default(), moving: Mutex::default() }
    }

    fn lately(&self) -> Lately {
        self.lately.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Lately) -> T) -> T {
        change(&mut self.lately.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn only_mover(&self) -> MutexGuard<'_, ()> {
        self.moving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn move_below(&self, _moving: &MutexGuard<'_, ()>) -> Result<(), StoreError> {
        let leaving = self.change(|lately| {
            let newer = std::mem::take(&mut lately.changes);
            if lately.leaving.is_empty() {
                lately.leaving = newer;
            } else {
                // They did not get there the last time.
                Arc::make_mut(&mut lately.leaving).extend(Arc::unwrap_or_clone(newer));
            }
            lately.leaving.clone()
        });
        if !leaving.is_empty() {
            self.under.apply(&leaving)?;
            self.change(|lately| lately.leaving = Arc::default());
        }
        Ok(())
    }
}

impl<R: Rows> Rows for Recent<R> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let found = {
            let lately = self.lately.read().unwrap_or_else(PoisonError::into_inner);
            lately.changes.get(key).or_else(|| lately.leaving.get(key)).cloned()
        };
        // In neither: then it is below, and what changes meanwhile is newer than what was asked for.
        found.map_or_else(|| self.under.get(key), Ok)
    }

    fn visit(
        &self,
        from: &[u8],
        backwards: bool,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let lately = self.lately();
        let newer = in_order(&lately.changes, from, backwards);
        let changes = merged(newer, in_order(&lately.leaving, from, backwards), backwards);
        visit_with(&self.under, changes, from, backwards, visit)
    }

    fn apply(&self, changes: &Changes) -> Result<(), StoreError> {
        let many = self.change(|lately| {
            let Lately { changes: newer, leaving } = lately;
            let newer = Arc::make_mut(newer);
            for (key, row) in changes {
                // What came and went before it got below need not be taken away there. Where that cannot be told, it is
                // taken away: a round is let in whole.
                let came_lately = row.is_none() && matches!(newer.get(key), Some(Some(_)));
                if came_lately && !leaving.contains_key(key) && matches!(self.under.get(key), Ok(None)) {
                    newer.remove(key);
                } else {
                    newer.insert(key.clone(), row.clone());
                }
            }
            newer.len() > MOST_LATELY
        });
        if many { self.move_below(&self.only_mover()) } else { Ok(()) }
    }

    fn clear(&self) -> Result<(), StoreError> {
        let _moving = self.only_mover();
        self.change(|lately| *lately = Lately::default());
        self.under.clear()
    }

    fn sync(&self) -> Result<(), StoreError> {
        // Until it is durable, nobody else moves anything: what is being changed is noted below until then.
        let moving = self.only_mover();
        self.move_below(&moving)?;
        self.under.sync()
    }
}

type Change<'a> = (&'a [u8], Option<&'a [u8]>);

fn in_order<'a>(
    changes: &'a Changes,
    from: &[u8],
    backwards: bool,
) -> Box<dyn Iterator<Item = Change<'a>> + 'a> {
    let change = |(key, row): (&'a Vec<u8>, &'a Option<Vec<u8>>)| (key.as_slice(), row.as_deref());
    if backwards {
        Box::new(changes.range::<[u8], _>((Bound::Unbounded, Bound::Included(from))).rev().map(change))
    } else {
        Box::new(changes.range::<[u8], _>((Bound::Included(from), Bound::Unbounded)).map(change))
    }
}

fn is_before(one: &[u8], other: &[u8], backwards: bool) -> bool {
    if backwards { one > other } else { one < other }
}

/// Both, in their order; of two changes to one row the newer.
fn merged<'a>(
    newer: impl Iterator<Item = Change<'a>>,
    older: impl Iterator<Item = Change<'a>>,
    backwards: bool,
) -> impl Iterator<Item = Change<'a>> {
    let (mut newer, mut older) = (newer.peekable(), older.peekable());
    std::iter::from_fn(move || match (newer.peek(), older.peek()) {
        (Some((new, _)), Some((old, _))) if is_before(old, new, backwards) => older.next(),
        (Some((new, _)), Some((old, _))) => {
            if new == old {
                older.next();
            }
            newer.next()
        }
        (None, _) => older.next(),
        (_, None) => newer.next(),
    })
}

/// Visit the rows of `under` as they are with these changes, which come in the order of the visit.
fn visit_with<'a>(
    under: &(impl Rows + ?Sized),
    changes: impl Iterator<Item = Change<'a>>,
    from: &[u8],
    backwards: bool,
    visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
) -> Result<(), StoreError> {
    let (mut changes, mut goes_on) = (changes.peekable(), true);
    under.visit(from, backwards, &mut |key, row| {
        let is_before = |(changed, _): &Change<'_>| is_before(changed, key, backwards);
        while goes_on && let Some((changed, to)) = changes.next_if(is_before) {
            goes_on = to.is_none_or(|row| visit(changed, row));
        }
        if goes_on {
            let row = changes.next_if(|(changed, _)| *changed == key).map_or(Some(row), |(_, to)| to);
            goes_on = row.is_none_or(|row| visit(key, row));
        }
        goes_on
    })?;
    while goes_on && let Some((changed, to)) = changes.next() {
        goes_on = to.is_none_or(|row| visit(changed, row));
    }
    Ok(())
}

/// Rows in memory, for rehearsals.
#[derive(Debug, Default)]
pub struct Memory(Mutex<BTreeMap<Vec<u8>, Vec<u8>>>);

impl Memory {
    fn rows(&self) -> std::sync::MutexGuard<'_, BTreeMap<Vec<u8>, Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.rows().get(key).cloned())
    }

    fn visit(
        &self,
        from: &[u8],
        backwards: bool,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let rows = self.rows();
        let mut goes_on = |(key, row): (&Vec<u8>, &Vec<u8>)| visit(key, row);
        if backwards {
            let _ = rows.range(..=from.to_vec()).rev().all(&mut goes_on);
        } else {
            let _ = rows.range(from.to_vec()..).all(&mut goes_on);
        }
        Ok(())
    }

    fn apply(&self, changes: &Changes) -> Result<(), StoreError> {
        let mut rows = self.rows();
        for (key, row) in changes {
            match row {
                Some(row) => rows.insert(key.clone(), row.clone()),
                None => rows.remove(key),
            };
        }
        Ok(())
    }

    fn clear(&self) -> Result<(), StoreError> {
        self.rows().clear();
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// The tables, with the rows of the round under way held back.
pub struct Store {
    rows: Arc<dyn Rows>,
    held_back: Changes,
    failed: Mutex<Option<StoreError>>,
}

/// Key of the row that says how many entries of the log the tables cover. Sorts before every table. It has the number of
/// the rows' form: tables of another form cover nothing, and are made anew.
const REACHED: &[u8] = b"!reached 3";
/// Key of the row that says up to which day all who asked about licences were told of changes. Like the tables it can be
/// done without: then it is looked further back.
const TOLD: &[u8] = b"!told";

impl Store {
    /// Tables over `rows`.
    pub fn new(rows: Arc<dyn Rows>) -> Self {
        Self { rows, held_back: BTreeMap::new(), failed: Mutex::new(None) }
    }

    /// The committed rows, for readers in other threads.
    pub fn rows(&self) -> &Arc<dyn Rows> {
        &self.rows
    }

    /// How many entries of the log the tables cover.
    pub fn reached(&self) -> Result<u64, StoreError> {
        let row = self.rows.get(REACHED)?;
        Ok(row.and_then(|row| row.try_into().ok()).map_or(0, u64::from_be_bytes))
    }

    /// The day up to which all who asked were told of changes, if that is known.
    pub fn told(&self) -> Result<Option<Date>, StoreError> {
        let row = self.rows.get(TOLD)?;
        Ok(row.and_then(|row| std::str::from_utf8(&row).ok()?.parse().ok()))
    }

    /// All were told up to `day`, once the round is durable.
    pub fn note_told(&mut self, day: Date) {
        self.held_back.insert(TOLD.to_vec(), Some(day.to_string().into_bytes()));
    }

    /// Somebody was not told, once the round is durable: the next start looks for it.
    pub fn forget_told(&mut self) {
        self.held_back.insert(TOLD.to_vec(), None);
    }

    /// Begin anew: the log is read from its first entry.
    pub fn clear(&mut self) -> Result<(), StoreError> {
        self.held_back.clear();
        self.rows.clear()
    }

    /// A row, of the round under way too.
    pub fn get(&self, table: Table, key: &[u8]) -> Option<Vec<u8>> {
        let key = full_key(table, key);
        match self.held_back.get(&key) {
            Some(row) => row.clone(),
            None => self.note(self.rows.get(&key)).flatten(),
        }
    }

    /// Put a row in place, once the round is durable.
    pub fn put(&mut self, table: Table, key: &[u8], row: Vec<u8>) {
        self.held_back.insert(full_key(table, key), Some(row));
    }

    /// Take a row away, once the round is durable.
    pub fn remove(&mut self, table: Table, key: &[u8]) {
        self.held_back.insert(full_key(table, key), None);
    }

    /// The rows under a prefix, of the round under way too.
    pub fn scan(&self, table: Table, prefix: &[u8], limit: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
        let prefix = full_key(table, prefix);
        let mut found = Vec::new();
        if limit > 0 {
            let changes = in_order(&self.held_back, &prefix, false);
            self.note(visit_with(self.rows.as_ref(), changes, &prefix, false, &mut |key, row| {
                let belongs = key.starts_with(&prefix);
                if belongs {
                    found.push((key[1..].to_vec(), row.to_vec()));
                }
                belongs && found.len() < limit
            }));
        }
        found
    }

    /// Whether all rows asked for could be read: asked before a round is made durable, for what was decided on a row
    /// that could not be read must not be.
    pub fn check(&mut self) -> Result<(), StoreError> {
        match self.failed.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// The round is durable: let its rows in, and note that they cover `reached` entries.
    pub fn commit(&mut self, reached: u64) -> Result<(), StoreError> {
        self.check()?;
        let mut rows = std::mem::take(&mut self.held_back);
        rows.insert(REACHED.to_vec(), Some(reached.to_be_bytes().to_vec()));
        self.rows.apply(&rows)
    }

    /// Keep an error for the next check: a row that could not be read must not pass for one that is not there.
    fn note<T>(&self, result: Result<T, StoreError>) -> Option<T> {
        result.map_err(|error| *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error)).ok()
    }
}

/// The key of a row among all tables.
pub fn full_key(table: Table, key: &[u8]) -> Vec<u8> {
    [&[table as u8], key].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(super) fn seen(
        rows: &dyn Rows,
        from: &[u8],
        backwards: bool,
        most: usize,
    ) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut seen = Vec::new();
        let mut visit = |key: &[u8], row: &[u8]| {
            seen.push((key.to_vec(), row.to_vec()));
            seen.len() < most
        };
        rows.visit(from, backwards, &mut visit).expect("memory");
        seen
    }

    #[test]
    fn a_row_that_came_and_went_before_it_got_below_leaves_nothing_behind() {
        let recent = Recent::new(Memory::default());
        let change = |row: Option<&str>| {
            let row = row.map(|row| row.into());
            recent.apply(&Changes::from([(b"due".to_vec(), row)])).expect("memory");
        };
        change(Some("first"));
        change(None);
        assert!(recent.lately().changes.is_empty());

        change(Some("second"));
        recent.sync().expect("memory");
        change(None);
        assert_eq!(recent.lately().changes.len(), 1);
        assert_eq!(seen(&recent, &[], false, 9), []);
    }

    /// Rows that can be put and not read.
    struct Unreadable;

    impl Rows for Unreadable {
        fn get(&self, _: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            Err(StoreError { path: "index".into(), why: "input/output error".into() })
        }

        fn visit(
            &self,
            _: &[u8],
            _: bool,
            _: &mut dyn FnMut(&[u8], &[u8]) -> bool,
        ) -> Result<(), StoreError> {
            Ok(())
        }

        fn apply(&self, _: &Changes) -> Result<(), StoreError> {
            Ok(())
        }

        fn clear(&self) -> Result<(), StoreError> {
            Ok(())
        }

        fn sync(&self) -> Result<(), StoreError> {
            Ok(())
        }
    }

    #[test]
    fn a_round_is_let_in_whole_though_what_is_below_cannot_be_read() {
        let recent = Recent::new(Unreadable);
        let changes = |row: Option<&str>| -> Changes {
            ["a", "b"].iter().map(|key| (key.as_bytes().to_vec(), row.map(|row| row.into()))).collect()
        };
        recent.apply(&changes(Some("1"))).expect("it need not be read");
        recent.apply(&changes(None)).expect("it need not be read");
        assert_eq!(*recent.lately().changes, changes(None));
    }

    proptest! {
        #[test]
        fn a_scan_finds_the_first_rows_as_they_stand_with_those_of_the_round(
            committed in prop::collection::btree_map(0_u8..24, any::<u8>(), 0..16),
            round in prop::collection::btree_map(0_u8..24, prop::option::of(any::<u8>()), 0..16),
            limit in 0_usize..20,
        ) {
            // Eight under each prefix.
            let key = |number: u8| [number / 8, number % 8];
            let mut store = Store::new(Arc::new(Memory::default()));
            let mut expected = BTreeMap::new();
            for table in [Table::Due, Table::Exchange, Table::Head] {
                for (number, row) in &committed {
                    store.put(table, &key(*number), vec![*row]);
                }
            }
            store.commit(1).expect("memory");
            expected.extend(committed);
            for (number, row) in round {
                match row {
                    Some(row) => {
                        store.put(Table::Exchange, &key(number), vec![row]);
                        expected.insert(number, row);
                    }
                    None => {
                        store.remove(Table::Exchange, &key(number));
                        expected.remove(&number);
                    }
                }
            }
            for prefix in [&[] as &[u8], &[1], &[1, 3], &[9]] {
                let expected: Vec<_> = expected
                    .iter()
                    .map(|(number, row)| (key(*number).to_vec(), vec![*row]))
                    .filter(|(key, _)| key.starts_with(prefix))
                    .take(limit)
                    .collect();
                prop_assert_eq!(store.scan(Table::Exchange, prefix, limit), expected);
            }
        }

        #[test]
        fn rows_kept_in_memory_for_a_while_look_as_if_they_were_below(
            rounds in prop::collection::vec(
                (prop::collection::btree_map(0_u8..12, prop::option::of(any::<u8>()), 0..6), 0_u8..4),
                0..8,
            ),
            from in 0_u8..14, backwards: bool, most in 1_usize..9,
        ) {
            let (plain, recent) = (Memory::default(), Recent::new(Memory::default()));
            for (changes, then) in rounds {
                let changes: Changes =
                    changes.into_iter().map(|(key, row)| (vec![key], row.map(|row| vec![row]))).collect();
                plain.apply(&changes).expect("memory");
                recent.apply(&changes).expect("memory");
                match then {
                    0 => recent.sync().expect("memory"),
                    // On their way, and not there yet.
                    1 => recent.change(|lately| {
                        if lately.leaving.is_empty() {
                            lately.leaving = std::mem::take(&mut lately.changes);
                        }
                    }),
                    _ => {}
                }
                // What is on its way arrives before anything follows.
                if then == 0 {
                    prop_assert_eq!(seen(&recent.under, &[], false, 99), seen(&plain, &[], false, 99));
                }
                prop_assert_eq!(
                    seen(&recent, &[from], backwards, most),
                    seen(&plain, &[from], backwards, most)
                );
                for key in 0..12 {
                    prop_assert_eq!(recent.get(&[key]).expect("memory"), plain.get(&[key]).expect("memory"));
                }
            }
        }
    }
}

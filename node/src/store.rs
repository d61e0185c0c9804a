//! Look-up tables that can be rebuilt: the desk's shelf between rounds.
//!
//! sled is fast and is trusted with nothing: every row can be made again from the log. Rows of a round are held
//! back until the round is durable, then go in as one batch together with the number of entries they cover, so
//! the tables never run ahead of the log. This is the only file that names `sled`.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use liaison_protocol::desk::Table;

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
    fn apply(&self, rows: BTreeMap<Vec<u8>, Option<Vec<u8>>>) -> Result<(), StoreError>;
    /// Remove everything.
    fn clear(&self) -> Result<(), StoreError>;
    /// Make what was applied survive a power cut.
    fn sync(&self) -> Result<(), StoreError>;
}

/// Rows in a sled database.
#[derive(Debug)]
pub struct Sled {
    db: sled::Db,
    path: PathBuf,
}

impl Sled {
    /// Open or make the database in `path`.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        // No flusher of its own: `sync` is called when there is something to sync, and after a full disk the flusher
        // (0.34.7) has died and whoever drops the database waits for it for ever.
        let config = sled::Config::new().path(path).cache_capacity(32 * 1024 * 1024).flush_every_ms(None);
        let db = config.open().map_err(|error| StoreError { path: path.into(), why: error.to_string() })?;
        Ok(Self { db, path: path.into() })
    }

    fn failed(&self) -> impl Fn(sled::Error) -> StoreError + '_ {
        |error| StoreError { path: self.path.clone(), why: error.to_string() }
    }
}

impl Rows for Sled {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.db.get(key).map_err(self.failed())?.map(|row| row.to_vec()))
    }

    fn visit(
        &self,
        from: &[u8],
        backwards: bool,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let range: Box<dyn Iterator<Item = _>> =
            if backwards { Box::new(self.db.range(..=from).rev()) } else { Box::new(self.db.range(from..)) };
        for row in range {
            let (key, row) = row.map_err(self.failed())?;
            if !visit(&key, &row) {
                break;
            }
        }
        Ok(())
    }

    fn apply(&self, rows: BTreeMap<Vec<u8>, Option<Vec<u8>>>) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        for (key, row) in rows {
            match row {
                Some(row) => batch.insert(key, row),
                None => batch.remove(key),
            }
        }
        self.db.apply_batch(batch).map_err(self.failed())
    }

    fn clear(&self) -> Result<(), StoreError> {
        self.db.clear().map_err(self.failed())
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.db.flush().map_err(self.failed())?;
        // sled's own flush is no durable sync on Linux.
        File::open(self.path.join("db"))
            .and_then(|file| file.sync_data())
            .map_err(|error| StoreError { path: self.path.clone(), why: error.to_string() })
    }
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

    fn apply(&self, changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>) -> Result<(), StoreError> {
        let mut rows = self.rows();
        for (key, row) in changes {
            match row {
                Some(row) => rows.insert(key, row),
                None => rows.remove(&key),
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
    held_back: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    failed: Mutex<Option<StoreError>>,
}

/// Key of the row that says how many entries of the log the tables cover. Sorts before every table.
const REACHED: &[u8] = b"!reached";

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
        let mut found = BTreeMap::new();
        // Rows held back may remove some of these: look that much further.
        let most = limit.saturating_add(self.held_back.len());
        self.note(self.rows.visit(&prefix, false, &mut |key, row| {
            let within = key.starts_with(&prefix) && found.len() < most;
            if within {
                found.insert(key.to_vec(), row.to_vec());
            }
            within
        }));
        for (key, row) in
            self.held_back.range(prefix.clone()..).take_while(|(key, _)| key.starts_with(&prefix))
        {
            match row {
                Some(row) => found.insert(key.clone(), row.clone()),
                None => found.remove(key),
            };
        }
        found.into_iter().take(limit).map(|(key, row)| (key[1..].to_vec(), row)).collect()
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
        self.rows.apply(rows)
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

//! The rows in sled: durable when they are asked to be, all of a change or none. The only file that names `sled`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use liaison_protocol::desk::Table;
use liaison_protocol::merkle::Hash;

use super::{Changes, REACHED, Rows, StoreError};

/// Rows in a sled database.
///
/// A batch of sled's keeps all readers waiting until it is in. So changes go in one by one, and that they are all there or
/// none is seen to here: they are written down first, durably, and whoever opens the database makes them again if they
/// stand there whole. To make them twice is to make them once.
#[derive(Debug)]
pub struct Sled {
    db: sled::Db,
    path: PathBuf,
    /// What is being changed. Empty when it is done.
    under_way: File,
    /// Whether changes were broken off: what stands written down must stay.
    broken_off: AtomicBool,
}

impl Sled {
    /// Open or make the database in `path`.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        // No flusher of its own: `sync` is called when there is something to sync, and after a full disk the flusher
        // (0.34.7) has died and whoever drops the database waits for it for ever.
        let config = sled::Config::new().path(path).cache_capacity(32 * 1024 * 1024).flush_every_ms(None);
        let failed = |why: String| StoreError { path: path.into(), why };
        let db = config.open().map_err(|error| failed(error.to_string()))?;
        let mut file = File::options();
        let file = file.create(true).truncate(false).read(true).write(true).mode(0o600);
        let under_way = file.open(path.join("under-way")).map_err(|error| failed(error.to_string()))?;
        let sled = Self { db, path: path.into(), under_way, broken_off: AtomicBool::new(false) };
        let mut noted = Vec::new();
        (&sled.under_way).read_to_end(&mut noted).map_err(sled.unwritable())?;
        // Of another form, they are of tables that are made anew.
        if let Some(changes) = read_changes(&noted).filter(|changes| changes.contains_key(REACHED)) {
            sled.make(&changes)?;
        }
        sled.sync()?;
        Ok(sled)
    }

    /// Make changes, one after the other. Where that fails, only whoever opens the database anew can make them whole.
    fn make(&self, changes: &Changes) -> Result<(), StoreError> {
        self.broken_off.store(true, Ordering::Relaxed);
        let mut changes = changes.iter().peekable();
        while let Some((key, row)) = changes.next() {
            let Some((block, at)) = block_of(key) else {
                self.put(key, row.as_deref())?;
                continue;
            };
            let held = self.db.get(&block).map_err(self.failed())?.unwrap_or_default();
            let mut rows: BTreeMap<u8, Option<&[u8]>> =
                self.rows_in(&held)?.into_iter().map(|(at, row)| (at, Some(row))).collect();
            rows.insert(at, row.as_deref());
            while let Some((key, row)) = changes.next_if(|(key, _)| is_in(key, &block)) {
                rows.extend(key.last().map(|last| (last % IN_A_BLOCK, row.as_deref())));
            }
            let rows: Vec<_> = rows.into_iter().filter_map(|(at, row)| Some((at, row?))).collect();
            self.put(&block, (!rows.is_empty()).then(|| write_block(&rows)).as_deref())?;
        }
        self.broken_off.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn put(&self, key: &[u8], row: Option<&[u8]>) -> Result<(), StoreError> {
        match row {
            Some(row) => self.db.insert(key, row),
            None => self.db.remove(key),
        }
        .map(drop)
        .map_err(self.failed())
    }

    /// The rows in a block, by the number of each.
    fn rows_in<'a>(&self, block: &'a [u8]) -> Result<Vec<(u8, &'a [u8])>, StoreError> {
        let why = "a block of rows is not what was written";
        read_block(block).ok_or_else(|| StoreError { path: self.path.clone(), why: why.into() })
    }

    fn unwritable(&self) -> impl Fn(io::Error) -> StoreError + '_ {
        |error| StoreError { path: self.path.clone(), why: error.to_string() }
    }

    fn failed(&self) -> impl Fn(sled::Error) -> StoreError + '_ {
        |error| StoreError { path: self.path.clone(), why: error.to_string() }
    }
}

impl Rows for Sled {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let Some((block, at)) = block_of(key) else {
            return Ok(self.db.get(key).map_err(self.failed())?.map(|row| row.to_vec()));
        };
        let Some(block) = self.db.get(block).map_err(self.failed())? else { return Ok(None) };
        let rows = self.rows_in(&block)?;
        Ok(rows.iter().find(|(number, _)| *number == at).map(|(_, row)| row.to_vec()))
    }

    fn visit(
        &self,
        from: &[u8],
        backwards: bool,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let range: Box<dyn Iterator<Item = _>> = if backwards {
            Box::new(self.db.range(..=from).rev())
        } else {
            // A block before `from` may hold rows behind it.
            let before = is_of_blocks(from).then(|| self.db.get_lt(from).transpose()).flatten();
            Box::new(before.into_iter().chain(self.db.range(from..)))
        };
        for found in range {
            let (key, row) = found.map_err(self.failed())?;
            if !is_of_blocks(&key) {
                // What is before `from` and is no block was looked at for nothing.
                if (backwards || *key >= *from) && !visit(&key, &row) {
                    break;
                }
                continue;
            }
            let mut rows = self.rows_in(&row)?;
            if backwards {
                rows.reverse();
            }
            let mut key = key.to_vec();
            let mut goes_on = |(at, row): (u8, &[u8])| {
                key.last_mut().into_iter().for_each(|last| *last = *last / IN_A_BLOCK * IN_A_BLOCK + at);
                let belongs = if backwards { key.as_slice() <= from } else { key.as_slice() >= from };
                !belongs || visit(&key, row)
            };
            if !rows.into_iter().all(&mut goes_on) {
                break;
            }
        }
        Ok(())
    }

    fn apply(&self, changes: &Changes) -> Result<(), StoreError> {
        if self.under_way.metadata().map_err(self.unwritable())?.len() > 0 {
            // Those before must not be forgotten before they are durable.
            self.sync()?;
        }
        let bytes = write_changes(changes);
        let noted = self.under_way.write_all_at(&bytes, 0).and_then(|()| self.under_way.sync_data());
        noted.map_err(self.unwritable())?;
        self.make(changes)
    }

    fn clear(&self) -> Result<(), StoreError> {
        self.under_way.set_len(0).and_then(|()| self.under_way.sync_data()).map_err(self.unwritable())?;
        self.db.clear().map_err(self.failed())?;
        self.broken_off.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        if self.broken_off.load(Ordering::Relaxed) {
            let why = "a change was broken off, and is made when the node is started again".into();
            return Err(StoreError { path: self.path.clone(), why });
        }
        self.db.flush().map_err(self.failed())?;
        // sled's own flush is no durable sync on Linux.
        File::open(self.path.join("db"))
            .and_then(|file| file.sync_data())
            .and_then(|()| self.under_way.set_len(0))
            .map_err(self.unwritable())
    }
}

/// Tables whose rows come in the order of their keys, which end in a number. sled's pages hold few rows, however short:
/// so of these some that follow each other are one row of sled's, a block.
const IN_BLOCKS: [Table; 3] = [Table::Head, Table::Listing, Table::Sequence];

/// Most rows of a block. sled keeps a page of more than 128 KiB in a file of its own: sixteen blocks of lines as they mostly
/// are make half of that.
const IN_A_BLOCK: u8 = 8;

/// Whether the rows of that key's table stand in blocks. Nothing but the table is no key.
fn is_of_blocks(key: &[u8]) -> bool {
    key.len() > 1 && IN_BLOCKS.iter().any(|table| *table as u8 == key[0])
}

/// The key of the block that has this row, and its number there; `None` if the row stands alone.
fn block_of(key: &[u8]) -> Option<(Vec<u8>, u8)> {
    let (last, rest) = key.split_last().filter(|_| is_of_blocks(key))?;
    let at = last % IN_A_BLOCK;
    Some(([rest, &[last - at]].concat(), at))
}

/// Whether the row of that key is in the block of this one.
fn is_in(key: &[u8], block: &[u8]) -> bool {
    match (key.split_last(), block.split_last()) {
        (Some((last, rest)), Some((first, of_block))) => {
            rest == of_block && *last / IN_A_BLOCK == *first / IN_A_BLOCK
        }
        _ => false,
    }
}

/// Rows of a block as bytes: of each its number, its length and its bytes.
fn write_block(rows: &[(u8, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(rows.iter().map(|(_, row)| row.len() + 3).sum());
    for (at, row) in rows {
        let length = u16::try_from(row.len()).expect("rows are short");
        bytes.push(*at);
        bytes.extend(length.to_be_bytes());
        bytes.extend(*row);
    }
    bytes
}

/// The rows of a block, in their order.
fn read_block(mut bytes: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    let mut rows = Vec::with_capacity(IN_A_BLOCK.into());
    while let Some((&[at, high, low], rest)) = bytes.split_first_chunk() {
        let (row, rest) = rest.split_at_checked(u16::from_be_bytes([high, low]).into())?;
        rows.push((at, row));
        bytes = rest;
    }
    bytes.is_empty().then_some(rows)
}

/// Changes as bytes: of each its key and its row, or that it has none, and behind all of them their digest.
fn write_changes(changes: &Changes) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (key, row) in changes {
        let length =
            |bytes: &[u8]| u32::try_from(bytes.len()).expect("keys and rows are short").to_be_bytes();
        bytes.extend(length(key));
        bytes.extend(key);
        bytes.extend(row.as_deref().map_or(NO_ROW.to_be_bytes(), length));
        bytes.extend(row.iter().flatten());
    }
    let digest = Hash::of(&bytes);
    bytes.extend(digest.as_bytes());
    bytes
}

/// A length that no row has.
const NO_ROW: u32 = u32::MAX;

/// The changes, if they stand there whole.
fn read_changes(bytes: &[u8]) -> Option<Changes> {
    let (mut rest, digest) = bytes.split_last_chunk::<32>()?;
    if Hash::of(rest).as_bytes() != digest {
        return None;
    }
    let mut changes = Changes::new();
    while !rest.is_empty() {
        let mut next = || {
            let (length, behind) = rest.split_first_chunk()?;
            let length = u32::from_be_bytes(*length);
            let (bytes, behind) =
                behind.split_at_checked(if length == NO_ROW { 0 } else { length as usize })?;
            rest = behind;
            Some((length != NO_ROW).then(|| bytes.to_vec()))
        };
        let (key, row) = (next()??, next()?);
        changes.insert(key, row);
    }
    Some(changes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Memory;
    use super::super::tests::seen;
    use super::*;

    #[test]
    fn changes_that_were_broken_off_are_made_when_it_is_opened_and_those_that_were_not_written_down_never() {
        let folder = tempfile::tempdir().expect("a folder");
        // Two of them stand in a block.
        let changes = |rows: &[(&str, Option<&str>)]| -> Changes {
            let all = rows.iter().chain(&[("!reached", Some("1"))]);
            let key = |key: &str| if key == "!reached" { REACHED.to_vec() } else { key.as_bytes().to_vec() };
            all.map(|(name, row)| (key(name), row.map(|row| row.into()))).collect()
        };
        let open = || Sled::open(folder.path()).expect("a database");
        let rows = || seen(&open(), b"a", false, 9);
        open().apply(&changes(&[("a", Some("1")), ("l0", Some("1")), ("l1", Some("1"))])).expect("room");

        let second = changes(&[("a", Some("2")), ("l0", None), ("l2", Some("")), ("z", Some("2"))]);
        let noted = write_changes(&second);
        std::fs::write(folder.path().join("under-way"), &noted).expect("room");
        let all =
            [("a", "2"), ("l1", "1"), ("l2", ""), ("z", "2")].map(|(key, row)| (key.into(), row.into()));
        assert_eq!(rows(), all);
        // Once more, as after a power cut when a part was made.
        open().put(b"z", Some(b"1")).expect("room");
        std::fs::write(folder.path().join("under-way"), &noted).expect("room");
        assert_eq!(rows(), all);

        for torn in 0..noted.len() {
            assert_eq!(read_changes(&noted[..torn]), None);
        }
        let torn = write_changes(&changes(&[("a", Some("3"))]));
        std::fs::write(folder.path().join("under-way"), &torn[..torn.len() - 1]).expect("room");
        assert_eq!(rows(), all);
        assert_eq!(std::fs::read(folder.path().join("under-way")).expect("it is there"), b"");

        // What an older program noted is of no use.
        let mut older = changes(&[("a", Some("3"))]);
        older.remove(REACHED);
        std::fs::write(folder.path().join("under-way"), write_changes(&older)).expect("room");
        assert_eq!(rows(), all);
    }

    /// Keys of tables that stand in blocks, and of others before, between and behind.
    fn key() -> impl Strategy<Value = Vec<u8>> {
        (prop::sample::select(b"!ehlnp".to_vec()), prop::sample::select(vec![0_u64, 1, 250, 260]), 0_u64..20)
            .prop_map(|(table, high, low)| [&[table], (high + low).to_be_bytes().as_slice()].concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
        #[test]
        fn rows_in_blocks_look_as_if_each_stood_alone(
            rounds in prop::collection::vec(
                prop::collection::btree_map(
                    key(),
                    prop::option::of(prop::collection::vec(any::<u8>(), 0..9)),
                    0..40,
                ),
                1..5,
            ),
            looked_for in prop::collection::vec((key(), 0_usize..10, any::<bool>(), 1_usize..30), 8),
        ) {
            let folder = tempfile::tempdir().expect("a folder");
            let (plain, sled) = (Memory::default(), Sled::open(folder.path()).expect("a database"));
            for changes in rounds {
                plain.apply(&changes).expect("memory");
                sled.apply(&changes).expect("room");
                for (from, length, backwards, most) in &looked_for {
                    prop_assert_eq!(sled.get(from).expect("readable"), plain.get(from).expect("memory"));
                    let from = &from[..*length.min(&from.len())];
                    prop_assert_eq!(
                        seen(&sled, from, *backwards, *most),
                        seen(&plain, from, *backwards, *most)
                    );
                }
            }
        }
    }
}

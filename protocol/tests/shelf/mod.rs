//! A shelf in memory, as strict as the one of a node.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::BTreeMap;

use liaison_protocol::desk::{Shelf, Table};
use liaison_protocol::entry::Staged;
use liaison_protocol::merkle::LeafIndex;

#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) rows: BTreeMap<(Table, Vec<u8>), Vec<u8>>,
    pub(crate) records: Vec<Staged>,
}

impl Shelf for Memory {
    fn get(&self, table: Table, key: &[u8]) -> Option<Vec<u8>> {
        self.rows.get(&(table, key.to_vec())).cloned()
    }

    fn put(&mut self, table: Table, key: &[u8], row: Vec<u8>) {
        assert!(row.len() <= 1024, "rows are at most 1 KiB");
        self.rows.insert((table, key.to_vec()), row);
    }

    fn remove(&mut self, table: Table, key: &[u8]) {
        self.rows.remove(&(table, key.to_vec()));
    }

    fn scan(&self, table: Table, prefix: &[u8], limit: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
        let rows = self.rows.range((table, prefix.to_vec())..);
        let within = rows.take_while(|((of, key), _)| *of == table && key.starts_with(prefix));
        within.take(limit).map(|((_, key), row)| (key.clone(), row.clone())).collect()
    }

    fn record(&self, leaf: LeafIndex) -> Option<Staged> {
        self.records.get(leaf.0 as usize).cloned()
    }
}

//! The registers that answer for us: lists of licences and of firearms, imported as CSV.
//!
//! A list is the State's own record and not part of the log; the log notes each import by its digest, and each time
//! the list answered. The list in force is the one that the log names. A list is taken whole or not at all.

use liaison_protocol::authority::Timestamp;
use liaison_protocol::merkle::Hash;
use serde::de::DeserializeOwned;

mod firearms;
mod licences;

pub use firearms::Firearms;
pub use licences::Licences;

/// Largest list, in bytes.
pub const MAX_LIST: usize = 64 * 1024 * 1024;

/// A list that cannot be taken: where, what, and what to do.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("row {row}{}: {why}. Nothing was imported", column.map(|name| format!(", column {name}")).unwrap_or_default())]
pub struct ListFlaw {
    row: u64,
    column: Option<&'static str>,
    why: String,
}

/// A register to be put in force.
#[derive(Debug)]
pub enum Register {
    /// Of firearms.
    Firearms(Firearms),
    /// Of licences.
    Licences(Licences),
}

impl Register {
    /// Read a list of this sort.
    pub fn parse(sort: Sort, csv: &[u8]) -> Result<Self, ListFlaw> {
        Ok(match sort {
            Sort::Firearms => Self::Firearms(Firearms::parse(csv)?),
            Sort::Licences => Self::Licences(Licences::parse(csv)?),
        })
    }

    /// Read a list of this sort that is new to us.
    pub fn take(sort: Sort, csv: &[u8], now: Timestamp) -> Result<Self, ListFlaw> {
        Ok(match sort {
            Sort::Firearms => Self::Firearms(Firearms::take(csv, now)?),
            Sort::Licences => Self::Licences(Licences::parse(csv)?),
        })
    }

    /// SHA-256 of the list.
    pub fn digest(&self) -> Option<Hash> {
        match self {
            Self::Firearms(firearms) => firearms.digest(),
            Self::Licences(list) => list.digest(),
        }
    }

    /// How many firearms, or licences, it has.
    pub fn len(&self) -> usize {
        match self {
            Self::Firearms(firearms) => firearms.len(),
            Self::Licences(list) => list.len(),
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The sorts of registers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sort {
    /// Of firearms.
    Firearms,
    /// Of licences.
    Licences,
}

/// Read a table row by row: its columns are among `columns`, and `needed` among its columns.
fn read_rows(
    csv: &[u8],
    columns: &[&'static str],
    needed: &[&'static str],
    mut take: impl FnMut(&Cells<'_>) -> Result<(), ListFlaw>,
) -> Result<(), ListFlaw> {
    let flaw = |row: u64, column, why: String| ListFlaw { row, column, why };
    if csv.len() > MAX_LIST {
        return Err(flaw(0, None, "larger than 64 MiB: split the list".into()));
    }
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(csv);
    let header = reader.headers().map_err(|error| flaw(1, None, error.to_string()))?.clone();
    if let Some(unknown) = header.iter().find(|name| !columns.contains(name)) {
        let known = columns.join(", ");
        return Err(flaw(1, None, format!("no column is called {unknown:?}; known: {known}")));
    }
    let place = |name: &'static str| header.iter().position(|column| column == name);
    for name in needed {
        if place(name).is_none() {
            return Err(flaw(1, Some(name), "the column is missing".into()));
        }
    }
    for row in reader.records() {
        let row = row.map_err(|error| {
            flaw(error.position().map_or(0, csv::Position::line), None, error.to_string())
        })?;
        let number = row.position().map_or(0, csv::Position::line);
        if row.iter().any(|cell| cell.contains(char::REPLACEMENT_CHARACTER)) {
            let why = "a character was lost on the way here: export the list in UTF-8";
            return Err(flaw(number, None, why.into()));
        }
        take(&Cells { number, row: &row, place: &place })?;
    }
    Ok(())
}

/// One row, read by the names of its columns.
struct Cells<'a> {
    number: u64,
    row: &'a csv::StringRecord,
    place: &'a dyn Fn(&'static str) -> Option<usize>,
}

impl Cells<'_> {
    fn flaw(&self, column: &'static str, why: impl ToString) -> ListFlaw {
        ListFlaw { row: self.number, column: Some(column), why: why.to_string() }
    }

    fn text(&self, column: &'static str) -> Option<&str> {
        self.row.get((self.place)(column)?).filter(|text| !text.is_empty())
    }

    fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, ListFlaw> {
        self.text(column)
            .map(|text| text.parse().map_err(|why| self.flaw(column, format!("{text:?}: {why}"))))
            .transpose()
    }

    fn needed<T: std::str::FromStr<Err: std::fmt::Display>>(
        &self,
        column: &'static str,
    ) -> Result<T, ListFlaw> {
        self.parse(column)?.ok_or_else(|| self.flaw(column, "empty, though the row has a line number"))
    }

    /// A word of a code list.
    fn code<T: DeserializeOwned>(&self, column: &'static str) -> Result<Option<T>, ListFlaw> {
        self.text(column)
            .map(|text| {
                serde_json::from_value(text.to_uppercase().into())
                    .map_err(|error| self.flaw(column, format!("{text:?}: {error}")))
            })
            .transpose()
    }
}

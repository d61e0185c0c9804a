//! The list of licences: one row per line of goods. A list is taken whole or not at all.

use std::collections::HashMap;

use jiff::civil::Date;
use liaison_protocol::authority::StateCode;
use liaison_protocol::entry::Basis;
use liaison_protocol::licence::{
    GoodsLine, LicenceKind, LicenceNo, LicenceRecord, LicenceStatus, MAX_LINES, Presented,
};
use liaison_protocol::merkle::Hash;

use super::{Cells, ListFlaw, read_rows};

/// The columns of a licence list, one row per line of goods. The first three and the status must be there.
const COLUMNS: [&str; 15] = [
    "licence_no",
    "licence_kind",
    "status",
    "version",
    "issuing_authority",
    "place_of_issue",
    "issue_date",
    "expiry_date",
    "country_export",
    "country_import",
    "final_recipient",
    "line",
    "description",
    "quantity",
    "unit",
];

/// A list of licences in memory.
#[derive(Debug, Default)]
pub struct Licences {
    by_number: HashMap<String, LicenceRecord>,
    digest: Option<Hash>,
}

impl Licences {
    /// Read a list.
    pub fn parse(csv: &[u8]) -> Result<Self, ListFlaw> {
        let mut list = Self { by_number: HashMap::new(), digest: Some(Hash::of(csv)) };
        read_rows(csv, &COLUMNS, &["licence_no", "status"], |cells| list.add(cells))?;
        Ok(list)
    }

    fn add(&mut self, cells: &Cells<'_>) -> Result<(), ListFlaw> {
        let licence_no: LicenceNo =
            cells.parse("licence_no")?.ok_or_else(|| cells.flaw("licence_no", "empty"))?;
        let status: LicenceStatus = cells.code("status")?.ok_or_else(|| cells.flaw("status", "empty"))?;
        let mut content = Presented::number(licence_no.clone());
        content.licence_kind = cells.code::<LicenceKind>("licence_kind")?;
        content.version = cells.parse("version")?;
        content.issuing_authority = cells.parse("issuing_authority")?;
        content.place_of_issue = cells.parse("place_of_issue")?;
        content.issue_date = cells.parse::<Date>("issue_date")?;
        content.expiry_date = cells.parse::<Date>("expiry_date")?;
        content.country_export = cells.parse::<StateCode>("country_export")?;
        content.country_import = cells.parse::<StateCode>("country_import")?;
        content.final_recipient = cells.parse("final_recipient")?;
        if content.issue_date.zip(content.expiry_date).is_some_and(|(first, last)| first > last) {
            return Err(cells.flaw("expiry_date", "before the date of issue"));
        }
        let line = match cells.parse::<u32>("line")? {
            Some(line) => Some(GoodsLine {
                line,
                description: cells.needed("description")?,
                quantity: cells.needed("quantity")?,
                unit: cells.needed("unit")?,
            }),
            None => None,
        };
        let record = LicenceRecord { content, status };
        let known = self.by_number.entry(licence_no.canonical()).or_insert_with(|| record.clone());
        let same = Presented { lines: Vec::new(), ..known.content.clone() } == record.content
            && known.status == status;
        if !same {
            return Err(cells.flaw(
                "licence_no",
                "another row of this licence says something else in columns other than the goods",
            ));
        }
        if let Some(line) = line {
            if known.content.lines.iter().any(|other| other.line == line.line) {
                return Err(cells.flaw("line", "this licence has that line already"));
            }
            if known.content.lines.len() >= MAX_LINES {
                return Err(cells.flaw("line", "a licence has at most 100 lines"));
            }
            known.content.lines.push(line);
        }
        Ok(())
    }

    /// The licence of that number.
    pub fn find(&self, number: &LicenceNo) -> Option<&LicenceRecord> {
        self.by_number.get(&number.canonical())
    }

    /// The licences that stand otherwise on `day` in this list than they did on `day_before` in `before`.
    pub fn changed(&self, before: &Self, day_before: Date, day: Date) -> Vec<LicenceNo> {
        let changed = self.by_number.iter().filter(|(number, record)| {
            let was = before.by_number.get(*number);
            was.map(|was| Basis::of(was, day_before)) != Some(Basis::of(record, day))
        });
        changed.map(|(_, record)| record.content.licence_no.clone()).collect()
    }

    /// How many licences there are.
    pub fn len(&self) -> usize {
        self.by_number.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }

    /// SHA-256 of the list, if one is loaded.
    pub fn digest(&self) -> Option<Hash> {
        self.digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "\
licence_no,status,version,issue_date,expiry_date,final_recipient,line,description,quantity,unit
KE-1,ACTIVE,1,2026-01-01,2026-12-31,Kenya Wildlife Service,1,Rifle,40,pieces
KE-1,ACTIVE,1,2026-01-01,2026-12-31,Kenya Wildlife Service,2,Cartridges,8000,rounds
KE-2,revoked,,,,Range Ltd,,,,
";

    #[test]
    fn rows_of_one_licence_are_its_lines() {
        let list = Licences::parse(LIST.as_bytes()).expect("a good list");
        assert_eq!(list.len(), 2);
        let first = list.find(&"ke-1".parse().expect("a number")).expect("there");
        assert_eq!(first.content.lines.len(), 2);
        assert_eq!(first.status, LicenceStatus::Active);
        assert!(list.find(&"KE-3".parse().expect("a number")).is_none());
    }

    #[test]
    fn a_bad_list_names_row_and_column_and_is_not_taken() {
        for (from, to, row, column) in [
            ("KE-2,revoked", "KE-2,gone", 4, Some("status")),
            ("KE-2,revoked", ",revoked", 4, Some("licence_no")),
            (
                "2026-01-01,2026-12-31,Kenya Wildlife Service,2",
                "2026-13-01,2026-12-31,Kenya Wildlife Service,2",
                3,
                Some("issue_date"),
            ),
            (
                "2026-01-01,2026-12-31,Kenya Wildlife Service,2",
                "2026-01-01,2025-12-31,Kenya Wildlife Service,2",
                3,
                Some("expiry_date"),
            ),
            ("2,Cartridges", "1,Cartridges", 3, Some("line")),
            ("8000,rounds", ",rounds", 3, Some("quantity")),
            ("8000,rounds", "-1,rounds", 3, Some("quantity")),
            ("Service,2", "Service2,2", 3, Some("licence_no")),
            ("licence_no,status", "licence_no,colour", 1, None),
            ("8000,rounds", "8000,rounds,extra", 3, None),
        ] {
            let list = LIST.replace(from, to);
            assert_ne!(list, LIST, "{from}");
            let flaw = Licences::parse(list.as_bytes()).expect_err(to);
            assert_eq!((flaw.row, flaw.column), (row, column), "{flaw}");
        }
    }
}

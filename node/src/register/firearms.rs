//! The register of firearms: one row per firearm, found by its serial number, and never by that alone.

use jiff::civil::Date;
use liaison_protocol::authority::{Line, Prose, StateCode, Timestamp};
use liaison_protocol::handling::Coded;
use liaison_protocol::item::{
    Action, Calibre, Firearm, FirearmType, Item, Make, YearOfManufacture, YearSource,
};
use liaison_protocol::item_record::{Comparison, ItemRecord};
use liaison_protocol::licence::LicenceNo;
use liaison_protocol::mark::{Decoded, Mark, MarkKind, Raw};
use liaison_protocol::merkle::Hash;
use liaison_protocol::operator::CandidateView;
use liaison_protocol::serial::{SerialIndex, SerialMatch, Tier};
use liaison_protocol::trace::{EventKind, HolderKind, ItemEvent, LegalStatus, MatchLevel, TraceResponse};

use super::{Cells, ListFlaw, read_rows};

/// The columns of a register of firearms. `record_no`, `serial` and `status` must be there.
const COLUMNS: [&str; 20] = [
    "record_no",
    "type",
    "action",
    "make",
    "model",
    "calibre",
    "country_of_manufacture",
    "year",
    "serial",
    "import_mark",
    "manufactured_on",
    "imported_from",
    "imported_on",
    "import_licence",
    "exported_to",
    "exported_on",
    "export_licence",
    "status",
    "status_date",
    "holder",
];
/// Candidates shown to an officer.
const MOST_CANDIDATES: usize = 10;
/// What the register is called in an answer.
const NAME: &str = "national register of firearms";

/// A register of firearms in memory.
#[derive(Debug, Default)]
pub struct Firearms {
    records: Vec<ItemRecord>,
    by_serial: SerialIndex<usize>,
    digest: Option<Hash>,
}

/// A record that may be the item, and why.
struct Candidate<'a> {
    record: &'a ItemRecord,
    found: SerialMatch,
    /// Whether make, calibre and country agree as well.
    described: Comparison,
}

impl Firearms {
    /// Read a register.
    pub fn parse(csv: &[u8]) -> Result<Self, ListFlaw> {
        Self::read(csv, |_| Ok(()))
    }

    /// Read a register that is new to us: what cannot be so in it is refused. One that is in force was looked at when it
    /// came.
    pub fn take(csv: &[u8], now: Timestamp) -> Result<Self, ListFlaw> {
        Self::read(csv, |cells| check_dates(cells, now.last_date()))
    }

    fn read(csv: &[u8], check: impl Fn(&Cells<'_>) -> Result<(), ListFlaw>) -> Result<Self, ListFlaw> {
        let mut records: Vec<ItemRecord> = Vec::new();
        let mut numbers = std::collections::HashSet::new();
        read_rows(csv, &COLUMNS, &["record_no", "serial", "status"], |cells| {
            let record = read_record(cells)?;
            check(cells)?;
            if !numbers.insert(record.number.clone()) {
                return Err(cells.flaw("record_no", "another row has this number already"));
            }
            records.push(record);
            Ok(())
        })?;
        let mut by_serial = SerialIndex::new();
        for (place, record) in records.iter().enumerate() {
            for serial in record.item.serials() {
                by_serial.insert(serial.as_str(), place);
            }
        }
        Ok(Self { by_serial, records, digest: Some(Hash::of(csv)) })
    }

    /// How many firearms there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// SHA-256 of the register, if one is loaded.
    pub fn digest(&self) -> Option<Hash> {
        self.digest
    }

    /// What may be the item, best first: by serial number, and of those alike, the better described.
    fn find(&self, item: &Item) -> Vec<Candidate<'_>> {
        let mut found: Vec<Candidate<'_>> = Vec::new();
        for serial in item.serials() {
            for (place, by_serial) in self.by_serial.find(serial.as_str(), MOST_CANDIDATES) {
                let Some(record) = self.records.get(place) else { continue };
                if found.iter().any(|other| other.record.number == record.number) {
                    continue;
                }
                let described = record.compare(item);
                found.push(Candidate { record, found: by_serial, described });
            }
        }
        found.sort_by_key(|candidate| (candidate.found.tier, !candidate.described.agrees()));
        found.truncate(MOST_CANDIDATES);
        found
    }

    /// The answer to give without an officer: the serial number is the same, exactly or but for writing, and make,
    /// calibre and country agree, for one record alone (law/requirements 6.3, serial handling 5).
    pub fn beyond_doubt(&self, item: &Item, on: Date, us: &StateCode) -> Option<TraceResponse> {
        let sure: Vec<_> = self
            .find(item)
            .into_iter()
            .filter(|candidate| {
                candidate.found.tier.may_be_answered_by_rule() && candidate.described.agrees()
            })
            .collect();
        match sure.as_slice() {
            [one] => Some(one.record.response(level(one.found.tier), on, &name(), us)),
            _ => None,
        }
    }

    /// What an officer may choose from, best first, and why each may be the item.
    pub fn candidates(&self, item: &Item, on: Date, us: &StateCode) -> Vec<CandidateView> {
        let view = |candidate: Candidate<'_>| {
            let level = level(candidate.found.tier);
            let mut why: Vec<String> = candidate.found.why.iter().map(ToString::to_string).collect();
            why.extend(candidate.described.words());
            let mut response = candidate.record.response(level, on, &name(), us);
            response.chosen_because = why.join("; ").parse::<Prose>().ok();
            CandidateView {
                record: candidate.record.number.clone(),
                item: candidate.record.item.title(),
                level,
                why,
                response,
            }
        };
        self.find(item).into_iter().map(view).collect()
    }
}

fn name() -> Line {
    NAME.parse().expect("a line")
}

fn level(tier: Tier) -> MatchLevel {
    match tier {
        Tier::Exact => MatchLevel::Exact,
        Tier::Normalised => MatchLevel::Normalised,
        Tier::Confusable => MatchLevel::Confusable,
        Tier::Partial | Tier::EditDistance1 => MatchLevel::Partial,
    }
}

fn read_record(cells: &Cells<'_>) -> Result<ItemRecord, ListFlaw> {
    let number: Line = cells.parse("record_no")?.ok_or_else(|| cells.flaw("record_no", "empty"))?;
    let serial = cells.text("serial").ok_or_else(|| cells.flaw("serial", "empty"))?;
    let serial = Raw::typed(serial).map_err(|why| cells.flaw("serial", why))?;
    let mut firearm = Firearm::of(cells.code("type")?.unwrap_or(FirearmType::Unknown));
    if let Some(action) = cells.code::<Action>("action")? {
        firearm.action = Coded::Known(action);
    }
    firearm.make =
        cells.parse::<Line>("make")?.map(|name| Make { normalised: Some(name), ..Make::default() });
    firearm.model = cells.parse("model")?;
    firearm.calibres = cells.parse::<Line>("calibre")?.map(Calibre::marked).into_iter().collect();
    firearm.country_of_manufacture = cells.parse("country_of_manufacture")?;
    firearm.year_of_manufacture = cells.parse::<u16>("year")?.map(|year| YearOfManufacture {
        year: Some(year),
        as_marked: None,
        calendar: None,
        source: Coded::Known(YearSource::Record),
    });
    firearm.marks.push(Mark::seen(MarkKind::Serial, serial));
    if let Some(mark) = cells.text("import_mark") {
        let raw = Raw::typed(mark).map_err(|why| cells.flaw("import_mark", why))?;
        let country: Option<StateCode> = mark.get(..3).and_then(|code| code.parse().ok());
        let mut mark = Mark::seen(MarkKind::ImportCountry, raw);
        mark.decoded = country.map(|country| Decoded { country: Some(country), ..Decoded::default() });
        firearm.marks.push(mark);
    }
    let status: LegalStatus = cells.code("status")?.ok_or_else(|| cells.flaw("status", "empty"))?;
    let since = cells.parse::<Date>("status_date")?;
    Ok(ItemRecord {
        number,
        item: Item::Firearm(Box::new(firearm)),
        events: read_events(cells, status, since)?,
        status,
        since,
        holder: cells.code("holder")?.unwrap_or(HolderKind::Unknown),
    })
}

/// What cannot be so: a day or a year that has not come, and a firearm that was there before it was made.
fn check_dates(cells: &Cells<'_>, today: Date) -> Result<(), ListFlaw> {
    let year = cells.parse::<u16>("year")?;
    if let Some(year) = year.filter(|year| i32::from(*year) > i32::from(today.year())) {
        let why = format!("{year} has not come yet: give the year in which it was made, or leave it empty");
        return Err(cells.flaw("year", why));
    }
    let made = cells.parse::<Date>("manufactured_on")?;
    for column in ["manufactured_on", "imported_on", "exported_on", "status_date"] {
        let Some(date) = cells.parse::<Date>(column)? else { continue };
        if date > today {
            let why =
                format!("{date} has not come yet: give the day on which it happened, or leave it empty");
            return Err(cells.flaw(column, why));
        }
        if let Some(made) = made.filter(|made| date < *made) {
            let why = format!("{date} is before it was made, manufactured_on {made}: look up which is right");
            return Err(cells.flaw(column, why));
        }
        if let Some(year) = year.filter(|year| i32::from(date.year()) < i32::from(*year)) {
            let why = format!("{date} is before it was made, year {year}: look up which is right");
            return Err(cells.flaw(column, why));
        }
    }
    Ok(())
}

/// The events of a row, oldest first. What has a State has happened, also where the day is not known any more.
fn read_events(
    cells: &Cells<'_>,
    status: LegalStatus,
    since: Option<Date>,
) -> Result<Vec<ItemEvent>, ListFlaw> {
    let event = |event: EventKind, date: Option<Date>| ItemEvent {
        event: Coded::Known(event),
        date,
        from: None,
        to: None,
        licence_no: None,
    };
    let mut events = Vec::new();
    if let Some(date) = cells.parse("manufactured_on")? {
        events.push(event(EventKind::Manufactured, Some(date)));
    }
    if let Some(from) = cells.parse::<StateCode>("imported_from")? {
        let mut imported = event(EventKind::Imported, cells.parse("imported_on")?);
        imported.from = from.as_str().parse().ok();
        imported.licence_no = cells.parse::<LicenceNo>("import_licence")?;
        events.push(imported);
    }
    if let Some(to) = cells.parse::<StateCode>("exported_to")? {
        let mut exported = event(EventKind::Exported, cells.parse("exported_on")?);
        exported.to = to.as_str().parse().ok();
        exported.licence_no = cells.parse::<LicenceNo>("export_licence")?;
        events.push(exported);
    }
    let last = match status {
        LegalStatus::Deactivated => Some(EventKind::Deactivated),
        LegalStatus::Lost => Some(EventKind::Lost),
        LegalStatus::Confiscated | LegalStatus::Seized => Some(EventKind::Seized),
        LegalStatus::SentForDestruction => Some(EventKind::SentForDestruction),
        LegalStatus::Stolen => Some(EventKind::Stolen),
        LegalStatus::Surrendered => Some(EventKind::Surrendered),
        LegalStatus::LawfullyHeld => Some(EventKind::Registered),
        LegalStatus::Exported | LegalStatus::Found | LegalStatus::InTransit => None,
    };
    events.extend(last.map(|kind| event(kind, since)));
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "\
record_no,serial,year,manufactured_on,imported_from,imported_on,status,status_date
1,A 1,2020,2020-03-01,BRA,2021-01-01,STOLEN,2022-01-01
";

    #[test]
    fn r_12_4_a_register_whose_dates_cannot_be_so_is_refused_by_row_and_column() {
        // 2026-11-24.
        let now = Timestamp(1_795_500_000);
        assert_eq!(Firearms::take(LIST.as_bytes(), now).expect("a good list").len(), 1);
        for (from, to, column, why) in [
            ("2020,", "2027,", "year", "2027 has not come yet"),
            ("2020-03-01", "2026-12-01", "manufactured_on", "2026-12-01 has not come yet"),
            ("2021-01-01", "2026-12-01", "imported_on", "2026-12-01 has not come yet"),
            ("2022-01-01", "2026-12-01", "status_date", "2026-12-01 has not come yet"),
            ("2021-01-01", "2020-02-01", "imported_on", "2020-02-01 is before it was made, manufactured_on"),
            ("2020-03-01", "2019-12-01", "manufactured_on", "2019-12-01 is before it was made, year 2020"),
            ("2022-01-01", "1980-01-01", "status_date", "look up which is right"),
        ] {
            let list = LIST.replace(from, to);
            let flaw = Firearms::take(list.as_bytes(), now).expect_err(to);
            assert_eq!((flaw.row, flaw.column), (2, Some(column)), "{flaw}");
            assert!(flaw.to_string().contains(why), "{flaw}");
            // One that is in force stays so.
            assert!(Firearms::parse(list.as_bytes()).is_ok());
        }
    }
}

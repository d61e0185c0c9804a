//! The register of firearms: one row per firearm, found by its serial number, and never by that alone.

use jiff::civil::Date;
use liaison_protocol::authority::{Line, Prose, StateCode};
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
        let mut records: Vec<ItemRecord> = Vec::new();
        let mut numbers = std::collections::HashSet::new();
        read_rows(csv, &COLUMNS, &["record_no", "serial", "status"], |cells| {
            let record = read_record(cells)?;
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

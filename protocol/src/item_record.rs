//! What a State's own register has of an item (Art. 7), and what it would answer from that to a trace request.
//!
//! A register never answers by itself: a rule or an officer does (R-SOV), and only what agrees beyond doubt may be
//! answered by a rule. The answer names States, trades and authorities, never a private person.

use jiff::civil::Date;

use crate::authority::{Line, Prose, StateCode};
use crate::handling::Coded;
use crate::item::{Calibre, Item};
use crate::mark::{MarkKind, Raw};
use crate::trace::{
    Diversion, EventKind, HolderKind, ItemEvent, LastLegalRecord, LegalStatus, MatchLevel, NextHop,
    ResultCode, TraceResponse,
};

/// An item in a register.
#[derive(Clone, Debug, PartialEq)]
pub struct ItemRecord {
    /// The record's number in the register.
    pub number: Line,
    /// The item.
    pub item: Item,
    /// What happened to it, oldest first.
    pub events: Vec<ItemEvent>,
    /// How it stands.
    pub status: LegalStatus,
    /// Since when.
    pub since: Option<Date>,
    /// What sort of holder has it.
    pub holder: HolderKind,
}

impl ItemRecord {
    /// How make, calibre and country of manufacture of the item asked about compare with this record.
    pub fn compare(&self, asked: &Item) -> Comparison {
        let (here, there) = (described(&self.item), described(asked));
        let compared =
            here.iter().zip(&there).map(|(here, there)| match (here.as_slice(), there.as_slice()) {
                (_, []) => Compared::NotGiven,
                ([], _) => Compared::NotRecorded,
                (here, there) if here.iter().any(|name| there.contains(name)) => Compared::Agrees,
                _ => Compared::Differs,
            });
        let both_firearms = matches!((&self.item, asked), (Item::Firearm(_), Item::Firearm(_)));
        Comparison { fields: ASPECTS.into_iter().zip(compared).collect(), both_firearms }
    }

    /// What this register would answer if the item asked about is this one.
    pub fn response(&self, level: MatchLevel, on: Date, register: &Line, us: &StateCode) -> TraceResponse {
        let mut response = TraceResponse::of(self.result_code(), on);
        response.match_level = Coded::Known(level);
        response.matched_item = Some(self.item.clone());
        response.registers_searched = vec![register.clone()];
        response.events = self.events.clone();
        response.last_legal_record = Some(LastLegalRecord {
            status: Coded::Known(self.status),
            date: self.since,
            holder: Coded::Known(self.holder),
            reference: Some(self.number.clone()),
        });
        response.next_hop = self.next_hop();
        if let Some(circumstances) = self.diversion() {
            response.point_of_diversion =
                Some(Diversion { state: us.clone(), date: self.since, circumstances });
        }
        response
    }

    fn result_code(&self) -> ResultCode {
        match (self.status, self.holder) {
            (LegalStatus::Exported | LegalStatus::InTransit, _) if self.next_hop().is_some() => {
                ResultCode::ExportedTo
            }
            (LegalStatus::Exported | LegalStatus::InTransit, _) => {
                ResultCode::ManufactureConfirmedNoDisposition
            }
            (LegalStatus::Stolen, _) => ResultCode::Stolen,
            (LegalStatus::Lost, _) => ResultCode::Lost,
            (LegalStatus::Deactivated, _) => ResultCode::RecordedDeactivated,
            (LegalStatus::SentForDestruction, _) => ResultCode::RecordedDestroyed,
            (LegalStatus::Confiscated | LegalStatus::Found | LegalStatus::Seized, _) => {
                ResultCode::PreviouslySeized
            }
            (LegalStatus::Surrendered, _) => ResultCode::PreviouslySurrendered,
            (LegalStatus::LawfullyHeld, HolderKind::Government) => ResultCode::GovernmentStock,
            (LegalStatus::LawfullyHeld, HolderKind::Dealer) => ResultCode::TracedToDealerOnly,
            (LegalStatus::LawfullyHeld, HolderKind::Manufacturer) => {
                ResultCode::ManufactureConfirmedNoDisposition
            }
            (LegalStatus::LawfullyHeld, HolderKind::NaturalPerson | HolderKind::Organisation) => {
                ResultCode::LastLegalHolderIdentified
            }
            (LegalStatus::LawfullyHeld, HolderKind::Unknown) => ResultCode::ImportedNoDomesticRecord,
        }
    }

    /// The State of the last export, and the licence it left under.
    fn next_hop(&self) -> Option<NextHop> {
        let exported = |event: &&ItemEvent| event.event == Coded::Known(EventKind::Exported);
        let last = self.events.iter().rfind(exported)?;
        let state: StateCode = last.to.as_ref()?.as_str().parse().ok()?;
        let why: Line = match last.date {
            Some(date) => format!("exported there on {date}"),
            None => "exported there".into(),
        }
        .parse()
        .ok()?;
        Some(NextHop { state, authority: None, why, licence_no: last.licence_no.clone() })
    }

    /// How the item left the licit circuit, if the record itself says so (SDG 16.4.2).
    fn diversion(&self) -> Option<Prose> {
        if !self.result_code().establishes_diversion() {
            return None;
        }
        let since = self.since.map(|date| format!(" on {date}")).unwrap_or_default();
        let how = match self.status {
            LegalStatus::Stolen => "reported stolen",
            LegalStatus::Lost => "reported lost",
            LegalStatus::Deactivated => "recorded as deactivated",
            LegalStatus::SentForDestruction => "recorded as sent for destruction",
            LegalStatus::Surrendered => "recorded as surrendered, and out of store since",
            _ => "recorded as seized, and out of store since",
        };
        format!("{how}{since}").parse().ok()
    }
}

/// What is compared beside the serial number.
const ASPECTS: [&str; 3] = ["make", "calibre", "country of manufacture"];

/// How the item asked about compares with a record in what is compared beside the serial number.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Comparison {
    fields: Vec<(&'static str, Compared)>,
    both_firearms: bool,
}

/// How one thing compares.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Compared {
    Agrees,
    Differs,
    /// The request does not tell.
    NotGiven,
    /// The record does not tell.
    NotRecorded,
}

impl Comparison {
    /// Whether make, calibre and country of manufacture of a firearm all agree: what a rule needs beside the serial
    /// number, for numbers are used again from model to model (law/requirements 6.3, 5 and 6).
    pub fn agrees(&self) -> bool {
        self.both_firearms && self.fields.iter().all(|(_, compared)| *compared == Compared::Agrees)
    }

    /// What agrees, what differs, and what cannot be compared, each in words.
    pub fn words(&self) -> Vec<String> {
        let sorts = [
            (Compared::Agrees, "agrees", "agree"),
            (Compared::Differs, "differs", "differ"),
            (Compared::NotGiven, "was not given", "were not given"),
            (Compared::NotRecorded, "is not on record", "are not on record"),
        ];
        let words = sorts.into_iter().filter_map(|(sort, one, many)| {
            let of_sort = self.fields.iter().filter(|(_, compared)| *compared == sort);
            match of_sort.map(|(name, _)| *name).collect::<Vec<_>>().as_slice() {
                [] => None,
                [name] => Some(format!("{name} {one}")),
                [names @ .., last] => Some(format!("{} and {last} {many}", names.join(", "))),
            }
        });
        words.collect()
    }
}

/// The names of make, calibre and country of manufacture, as far as they are told. Of a part it is the make that it
/// bears, else the one that it fits, and the country that it is marked with.
fn described(item: &Item) -> [Vec<String>; 3] {
    let folded = |name: Option<&str>| name.map(fold).into_iter().collect::<Vec<_>>();
    match item {
        Item::AmmunitionLot(_) => [const { Vec::new() }; 3],
        Item::Firearm(firearm) => [
            folded(firearm.manufacturer()),
            firearm.calibres.iter().flat_map(Calibre::names).map(fold).collect(),
            folded(firearm.country()),
        ],
        Item::Part(part) => {
            let legible = || part.marks.iter().filter(|mark| mark.is_legible());
            let make = legible().find_map(|mark| mark.raw_of(MarkKind::ManufacturerName)).map(Raw::as_str);
            let country = legible().filter(|mark| mark.kind.is(MarkKind::Country));
            let country = country.filter_map(|mark| mark.decoded.as_ref()?.country.as_ref()).next();
            [
                folded(make.or(part.fits_make.as_ref().map(Line::as_str))),
                Vec::new(),
                folded(country.map(StateCode::as_str)),
            ]
        }
    }
}

/// Names of makers and calibres agree when they differ only in case, white space and punctuation.
fn fold(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_uppercase).collect()
}

//! What a State's own register has of an item (Art. 7), and what it would answer from that to a trace request.
//!
//! A register never answers by itself: a rule or an officer does (R-SOV), and only what agrees beyond doubt may be
//! answered by a rule. The answer names States, trades and authorities, never a private person.

use jiff::civil::Date;

use crate::authority::{Line, Prose, StateCode};
use crate::handling::Coded;
use crate::item::{Calibre, Item};
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
    /// Whether make, calibre and country of manufacture agree: what a rule needs beside the serial number, for numbers
    /// are used again from model to model (law/requirements 6.3, 5 and 6).
    pub fn agrees_in_description(&self, asked: &Item) -> bool {
        let (Item::Firearm(ours), Item::Firearm(theirs)) = (&self.item, asked) else { return false };
        let same = |a: Option<&str>, b: Option<&str>| a.zip(b).is_some_and(|(a, b)| fold(a) == fold(b));
        let calibres = |of: &[Calibre]| of.iter().flat_map(Calibre::names).map(fold).collect::<Vec<_>>();
        let (here, there) = (calibres(&ours.calibres), calibres(&theirs.calibres));
        same(ours.manufacturer(), theirs.manufacturer())
            && same(ours.country(), theirs.country())
            && here.iter().any(|calibre| there.contains(calibre))
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

/// Names of makers and calibres agree when they differ only in case, white space and punctuation.
fn fold(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_uppercase).collect()
}

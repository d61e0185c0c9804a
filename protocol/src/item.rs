//! Items: firearms, parts and ammunition as an officer describes them (Art. 3; law §6.3 to §6.5, §11).
//!
//! A description may be thin: what is not known is left out, and what follows from what is known is derived here
//! and not sent. Marks are in `mark`; serial numbers are compared in `serial`.

mod codes;

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use self::codes::{
    Action, AmmunitionComponent, AmmunitionType, CaseMaterial, Confidence, FirearmType, HistoricState,
    ItemKind, Material, PartKind, Provenance, ProvenanceDetail, YearSource,
};
use crate::authority::{Line, StateCode};
use crate::calendar::Calendar;
use crate::handling::Coded;
use crate::mark::{Mark, MarkKind, Raw, Shape};

/// Most marks on one item.
pub const MAX_MARKS: usize = 32;
/// Most numbered parts of one firearm.
pub const MAX_COMPONENT_SERIALS: usize = 16;
/// Most calibres of one item: combination guns and spare barrels have several.
pub const MAX_CALIBRES: usize = 4;
/// Most texts, and most symbols, of one headstamp.
pub const MAX_HEADSTAMP: usize = 8;
/// The last year in which an antique was made (Art. 3(a)).
pub const LAST_ANTIQUE_YEAR: u16 = 1899;
/// Longest barrel of a short firearm, in millimetres (ETS 101, App. I.B(e)).
pub const SHORT_BARREL_MM: u32 = 300;
/// Greatest overall length of a short firearm, in millimetres (ETS 101, App. I.B(e)).
pub const SHORT_OVERALL_MM: u32 = 600;

/// What is traced, licensed or reported.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
#[serde(tag = "item", rename_all = "snake_case")]
pub enum Item {
    /// Ammunition of one lot or of one headstamp (Art. 3(c)).
    AmmunitionLot(Box<AmmunitionLot>),
    /// A firearm or light weapon (Art. 3(a)), or what was taken for one.
    Firearm(Box<Firearm>),
    /// A part or component (Art. 3(b)).
    Part(Box<Part>),
}

impl Item {
    /// All marks: of ammunition, those of its package.
    pub fn marks(&self) -> &[Mark] {
        match self {
            Self::AmmunitionLot(lot) => &lot.packaging_marks,
            Self::Firearm(firearm) => &firearm.marks,
            Self::Part(part) => &part.marks,
        }
    }

    /// Serial numbers as seen, in the order of the marks. Those of a firearm's parts are not among them: mixed
    /// numbers are the rule in conflict zones, and each part is asked about on its own.
    pub fn serials(&self) -> Vec<&Raw> {
        self.marks().iter().filter_map(|mark| mark.raw_of(MarkKind::Serial)).collect()
    }

    /// R-8a: whether a firearm's record has what Art. 8(1)(a) asks of its marking. Parts and ammunition are not
    /// spoken of there.
    pub fn art8_complete(&self) -> bool {
        matches!(self, Self::Firearm(firearm) if firearm.art8_complete())
    }

    /// Whether the description points to one object and no other, so that tracing can succeed (law §11.4; SDG
    /// 16.4.2). A serial number alone never does (law §6.3, serial handling 6).
    pub fn uniquely_identifiable(&self) -> bool {
        match self {
            Self::AmmunitionLot(lot) => lot.uniquely_identifiable(),
            Self::Firearm(firearm) => firearm.uniquely_identifiable(),
            Self::Part(part) => part.uniquely_identifiable(),
        }
    }

    /// One line for people: what it is, and its number.
    pub fn title(&self) -> String {
        match self {
            Self::AmmunitionLot(lot) => lot.title(),
            Self::Firearm(firearm) => firearm.title(),
            Self::Part(part) => part.title(),
        }
    }

    /// Whether the lists are within their bounds.
    pub fn is_bounded(&self) -> bool {
        self.marks().len() <= MAX_MARKS
            && match self {
                Self::AmmunitionLot(lot) => lot.headstamp.as_ref().is_none_or(Headstamp::is_bounded),
                Self::Firearm(firearm) => {
                    firearm.calibres.len() <= MAX_CALIBRES
                        && firearm.component_serials.len() <= MAX_COMPONENT_SERIALS
                }
                Self::Part(_) => true,
            }
    }

    /// What contradicts itself in the description: an officer looks again before it is sent.
    pub fn contradictions(&self) -> Vec<Contradiction> {
        let mut found = Vec::new();
        if let Self::Firearm(firearm) = self {
            firearm.contradict(&mut found);
        }
        let marks = self.marks().iter().enumerate();
        found.extend(
            marks
                .filter(|(_, mark)| !mark.is_consistent())
                .map(|(place, _)| Contradiction::Mark { number: place + 1 }),
        );
        found
    }

    /// Whether every code is of our lists. If not, only an officer may act on it.
    pub fn codes_are_known(&self) -> bool {
        self.marks().iter().all(Mark::codes_are_known)
            && match self {
                Self::AmmunitionLot(lot) => lot.codes_are_known(),
                Self::Firearm(firearm) => firearm.codes_are_known(),
                Self::Part(part) => is_known(&part.part) && known(&part.material),
            }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.title())
    }
}

/// A firearm (law §6.3). What is mandatory there and absent here is unknown.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Firearm {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: Coded<FirearmType>,
    /// How it is loaded and fired.
    pub action: Coded<Action>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub make: Option<Make>,
    /// Model, in the maker's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Line>,
    /// Variant of the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<Line>,
    /// The model's number in a reference table, with the table's name: `FRT 118439`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Line>,
    /// Calibres, at most [`MAX_CALIBRES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calibres: Vec<Calibre>,
    /// Country of manufacture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country_of_manufacture: Option<StateCode>,
    /// Place of manufacture (Art. 8: country or place).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place_of_manufacture: Option<Line>,
    /// The State that was there when it was made and is no more; decides who can be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub historic_state: Option<Coded<HistoricState>>,
    /// Year of manufacture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub year_of_manufacture: Option<YearOfManufacture>,
    /// Length of the barrel, in millimetres.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub barrel_length_mm: Option<u32>,
    /// Overall length, in millimetres.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overall_length_mm: Option<u32>,
    /// Rounds it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u32>,
    /// Finish: blued, parkerised, nickel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish: Option<Line>,
    /// How it came to be.
    pub provenance: Coded<Provenance>,
    /// More of how it came to be; only with the provenances it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance_detail: Option<Coded<ProvenanceDetail>>,
    /// Marks, at most [`MAX_MARKS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<Mark>,
    /// Someone looked and found none.
    #[serde(default, skip_serializing_if = "is_false")]
    pub no_marks_visible: bool,
    /// Numbers on its parts, at most [`MAX_COMPONENT_SERIALS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub component_serials: Vec<ComponentSerial>,
    /// How it was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
    /// Held to be an antique under domestic law; never one made after [`LAST_ANTIQUE_YEAR`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub antique: Option<bool>,
    /// It may be readily converted to a firearm (Art. 3(a)).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readily_convertible: Option<bool>,
    /// Code of the Harmonised System.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hs_code: Option<Line>,
    /// Category of the UN Register of Conventional Arms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unroca_cat: Option<Line>,
    /// Category of Directive (EU) 2021/555.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eu_cat: Option<Line>,
    /// Category of the describing State's own law.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub national_cat: Option<Line>,
}

impl Firearm {
    /// A firearm of which only this is known.
    pub fn of(kind: FirearmType) -> Self {
        Self {
            kind: kind.into(),
            action: Action::Unknown.into(),
            make: None,
            model: None,
            variant: None,
            reference: None,
            calibres: Vec::new(),
            country_of_manufacture: None,
            place_of_manufacture: None,
            historic_state: None,
            year_of_manufacture: None,
            barrel_length_mm: None,
            overall_length_mm: None,
            capacity: None,
            finish: None,
            provenance: Provenance::Unknown.into(),
            provenance_detail: None,
            marks: Vec::new(),
            no_marks_visible: false,
            component_serials: Vec::new(),
            condition: None,
            antique: None,
            readily_convertible: None,
            hs_code: None,
            unroca_cat: None,
            eu_cat: None,
            national_cat: None,
        }
    }

    /// What sort of item it is under the Protocol; none for a type of a newer list. What may be readily converted
    /// counts as a firearm (Art. 3(a)).
    pub fn item_kind(&self) -> Option<ItemKind> {
        let kind = self.kind.known()?;
        Some(match kind.item_kind() {
            ItemKind::NonProtocol if self.readily_convertible == Some(true) => ItemKind::Firearm,
            kind => kind,
        })
    }

    /// Whether it is short: barrel of at most 300 mm or 600 mm overall (ETS 101, App. I.B(e)); none if neither
    /// was measured, or if only one was and does not settle it.
    pub fn is_short(&self) -> Option<bool> {
        let barrel = self.barrel_length_mm.map(|length| length <= SHORT_BARREL_MM);
        let overall = self.overall_length_mm.map(|length| length <= SHORT_OVERALL_MM);
        match (barrel, overall) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        }
    }

    /// R-8a: (manufacturer's name, country or place, and serial number), or a symbol and code decoded to a country
    /// (Art. 8(1)(a)). A brand is not a manufacturer, and a number with unread positions is none.
    pub fn art8_complete(&self) -> bool {
        let place = self.country().is_some()
            || self.place_of_manufacture.is_some()
            || self.has_legible(MarkKind::Country)
            || self.has_legible(MarkKind::Place);
        (self.manufacturer().is_some() && place && self.has_legible(MarkKind::Serial))
            || self.marks.iter().any(Mark::names_country_by_symbol)
    }

    /// Whether manufacturer, country or place, model, calibre and number are known: the key that manufacturers do
    /// not use twice (law §6.3, serial handling 6); or a symbol and code with a number.
    pub fn uniquely_identifiable(&self) -> bool {
        let numbered = self.has_legible(MarkKind::Serial);
        let key = self.model_name().is_some()
            && (!self.calibres.is_empty() || self.has_legible(MarkKind::Calibre))
            && numbered;
        self.art8_complete() && (key || numbered && self.marks.iter().any(Mark::names_country_by_symbol))
    }

    /// The manufacturer's name: as established, else as marked.
    pub fn manufacturer(&self) -> Option<&str> {
        let make = self.make.as_ref().and_then(Make::manufacturer).map(Line::as_str);
        make.or_else(|| self.marked(MarkKind::ManufacturerName))
    }

    /// The model: as described, else as marked.
    pub fn model_name(&self) -> Option<&str> {
        self.model.as_ref().map(Line::as_str).or_else(|| self.marked(MarkKind::Model))
    }

    /// The country of manufacture: as established, else the State that is no more.
    pub fn country(&self) -> Option<&str> {
        let historic = || Some(self.historic_state.as_ref()?.known()?.as_str());
        self.country_of_manufacture.as_ref().map(StateCode::as_str).or_else(historic)
    }

    /// The first legible mark of this kind.
    fn marked(&self, kind: MarkKind) -> Option<&str> {
        let mut marks = self.marks.iter().filter(|mark| mark.is_legible());
        marks.find_map(|mark| mark.raw_of(kind)).map(Raw::as_str)
    }

    fn has_legible(&self, kind: MarkKind) -> bool {
        self.marked(kind).is_some()
    }

    fn title(&self) -> String {
        let mut words = vec![name_of(&self.kind, FirearmType::name)];
        let make = self.make.as_ref();
        words.extend(make.and_then(Make::shown).map(Line::as_str).or_else(|| self.manufacturer()));
        words.extend(self.model_name());
        words.extend(self.variant.as_ref().map(Line::as_str));
        let mut title = words.join(" ");
        if let Some(calibre) = self.calibres.first().and_then(Calibre::shown) {
            title += &format!(", {calibre}");
        }
        title + &number(&self.marks)
    }

    fn contradict(&self, found: &mut Vec<Contradiction>) {
        let years = self.year_of_manufacture.as_ref();
        if let Some(year) = years.and_then(YearOfManufacture::gregorian)
            && year > LAST_ANTIQUE_YEAR
            && self.antique == Some(true)
        {
            found.push(Contradiction::AntiqueAfter1899 { year });
        }
        if years.is_some_and(|year| !year.is_consistent()) {
            found.push(Contradiction::Calendar);
        }
        if self.no_marks_visible && !self.marks.is_empty() {
            found.push(Contradiction::MarksNotVisible);
        }
        if self.kind.is(FirearmType::AirGun)
            && self.item_kind() == Some(ItemKind::NonProtocol)
            && !self.provenance.is(Provenance::Converted)
        {
            found.push(Contradiction::NotOfTheProtocol);
        }
        if let Some(Coded::Known(detail)) = &self.provenance_detail
            && self.provenance.known().is_some_and(|provenance| !detail.belongs_to(*provenance))
        {
            found.push(Contradiction::Provenance);
        }
        if let (Some(barrel), Some(overall)) = (self.barrel_length_mm, self.overall_length_mm)
            && barrel > overall
        {
            found.push(Contradiction::BarrelLongerThanFirearm);
        }
    }

    fn codes_are_known(&self) -> bool {
        is_known(&self.kind)
            && is_known(&self.action)
            && is_known(&self.provenance)
            && known(&self.provenance_detail)
            && known(&self.historic_state)
            && self.component_serials.iter().all(|serial| is_known(&serial.part))
            && self.make.as_ref().is_none_or(|make| known(&make.confidence))
            && self
                .year_of_manufacture
                .as_ref()
                .is_none_or(|year| is_known(&year.source) && known(&year.calendar))
    }
}

/// A part or component (law §6.4).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Part {
    /// What it is.
    pub part: Coded<PartKind>,
    /// It needs more work before it serves, an "80 %" receiver for one.
    #[serde(default, skip_serializing_if = "is_false")]
    pub semi_finished: bool,
    /// Marks, its serial number among them, at most [`MAX_MARKS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<Mark>,
    /// The firearm it came from is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_known: Option<bool>,
    /// The make it fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fits_make: Option<Line>,
    /// The model it fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fits_model: Option<Line>,
    /// What it is made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub material: Option<Coded<Material>>,
    /// Fingerprint of the file it was printed or milled from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_fingerprint: Option<Line>,
}

impl Part {
    /// A part of which only this is known.
    pub fn of(part: PartKind) -> Self {
        Self {
            part: part.into(),
            semi_finished: false,
            marks: Vec::new(),
            host_known: None,
            fits_make: None,
            fits_model: None,
            material: None,
            file_fingerprint: None,
        }
    }

    /// Whether its number and who made it, or what it fits, are known.
    fn uniquely_identifiable(&self) -> bool {
        let legible = |kind| self.marks.iter().any(|mark| mark.kind.is(kind) && mark.is_legible());
        let made_by =
            legible(MarkKind::ManufacturerName) || self.fits_make.is_some() && self.fits_model.is_some();
        legible(MarkKind::Serial) && made_by
    }

    fn title(&self) -> String {
        let mut words = Vec::new();
        if self.semi_finished {
            words.push("semi-finished");
        }
        words.push(name_of(&self.part, PartKind::name));
        if self.fits_make.is_some() || self.fits_model.is_some() {
            words.push("for");
        }
        words.extend(self.fits_make.as_ref().map(Line::as_str));
        words.extend(self.fits_model.as_ref().map(Line::as_str));
        words.join(" ") + &number(&self.marks)
    }
}

/// Ammunition (law §6.5). A round bears the headstamp only, the package the lot number: two identifiers, neither
/// of which stands for the other.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct AmmunitionLot {
    /// Complete rounds, or which component.
    pub component: Coded<AmmunitionComponent>,
    /// What sort of round.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<Coded<AmmunitionType>>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub make: Option<Make>,
    /// Its calibre.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibre: Option<Calibre>,
    /// What stands on the base of the case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headstamp: Option<Headstamp>,
    /// Lot or batch number, as it stands on the package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lot_number: Option<Raw>,
    /// Marks on the package, at most [`MAX_MARKS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packaging_marks: Vec<Mark>,
    /// How many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<u64>,
    /// Of what, if not rounds: `pieces`, `kg`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Line>,
    /// What the case is made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case_material: Option<Coded<CaseMaterial>>,
    /// What the primer shows: annulus colour, crimp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primer_notes: Option<Line>,
    /// What the bullet shows: jacket, tip colour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bullet_notes: Option<Line>,
}

impl AmmunitionLot {
    /// Ammunition of which only this is known.
    pub fn of(component: AmmunitionComponent) -> Self {
        Self {
            component: component.into(),
            kind: None,
            make: None,
            calibre: None,
            headstamp: None,
            lot_number: None,
            packaging_marks: Vec::new(),
            quantity: None,
            unit: None,
            case_material: None,
            primer_notes: None,
            bullet_notes: None,
        }
    }

    /// Whether manufacturer, lot number and calibre are known, as EU law has them on each package. A headstamp
    /// alone points to millions of rounds.
    fn uniquely_identifiable(&self) -> bool {
        let marked = |kind| self.packaging_marks.iter().any(|mark| mark.kind.is(kind) && mark.is_legible());
        let made_by = self.make.as_ref().is_some_and(|make| make.manufacturer().is_some())
            || marked(MarkKind::ManufacturerName);
        let lot = self.lot_number.as_ref().is_some_and(|lot| !lot.is_partial());
        made_by && lot && (self.calibre.is_some() || marked(MarkKind::Calibre))
    }

    fn codes_are_known(&self) -> bool {
        is_known(&self.component)
            && known(&self.kind)
            && known(&self.case_material)
            && self.make.as_ref().is_none_or(|make| known(&make.confidence))
            && self.headstamp.as_ref().is_none_or(|stamp| stamp.symbols.iter().all(is_known))
    }

    fn title(&self) -> String {
        let mut words = Vec::new();
        words.extend(self.quantity.map(|quantity| quantity.to_string()));
        words.extend(self.unit.as_ref().map(|unit| format!("{unit} of")));
        words.extend(self.calibre.as_ref().and_then(Calibre::shown).map(str::to_owned));
        words.extend(self.kind.as_ref().map(|kind| name_of(kind, AmmunitionType::name).to_owned()));
        words.push(name_of(&self.component, AmmunitionComponent::name).to_owned());
        let mut title = words.join(" ");
        if let Some(lot) = &self.lot_number {
            title += &format!(", lot {lot}");
        }
        if let Some(stamp) = self.headstamp.as_ref().filter(|stamp| !stamp.clockwise.is_empty()) {
            let texts: Vec<&str> = stamp.clockwise.iter().map(Raw::as_str).collect();
            title += &format!(", headstamp {}", texts.join(" "));
        }
        title
    }
}

/// What stands on the base of a cartridge case.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Headstamp {
    /// Texts clockwise from twelve o'clock, at most [`MAX_HEADSTAMP`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clockwise: Vec<Raw>,
    /// Symbols, at most [`MAX_HEADSTAMP`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub symbols: Vec<Coded<Shape>>,
    /// The factory it points to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factory: Option<Line>,
    /// The year it tells, Gregorian.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub year: Option<u16>,
}

impl Headstamp {
    fn is_bounded(&self) -> bool {
        self.clockwise.len() <= MAX_HEADSTAMP && self.symbols.len() <= MAX_HEADSTAMP
    }
}

/// Who made an item, as far as it is known. A brand is not a manufacturer: licensees mark the brand too.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Make {
    /// As it stands on the item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_marked: Option<Line>,
    /// The manufacturer's usual name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalised: Option<Line>,
    /// The manufacturer's id in a reference table, with the table's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manufacturer_id: Option<Line>,
    /// The brand it was sold under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brand: Option<Line>,
    /// How sure the describer is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Coded<Confidence>>,
}

impl Make {
    /// The manufacturer's name, as established or as marked.
    pub fn manufacturer(&self) -> Option<&Line> {
        self.normalised.as_ref().or(self.as_marked.as_ref())
    }

    /// What to call it in one word or two: the manufacturer, else the brand.
    fn shown(&self) -> Option<&Line> {
        self.manufacturer().or(self.brand.as_ref())
    }
}

/// A calibre by its names.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Calibre {
    /// As it stands on the item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_marked: Option<Line>,
    /// The name in the tables of CIP or SAAMI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Line>,
    /// Bore and case length: `7.62x39`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<Line>,
    /// Gauge of a shotgun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gauge: Option<Line>,
}

impl Calibre {
    /// A calibre as it is marked, nothing else established.
    pub fn marked(text: Line) -> Self {
        Self { as_marked: Some(text), ..Self::default() }
    }

    /// All its names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        [&self.name, &self.metric, &self.gauge, &self.as_marked].into_iter().flatten().map(Line::as_str)
    }

    fn shown(&self) -> Option<&str> {
        self.names().next()
    }
}

/// A year of manufacture: as marked and as understood.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct YearOfManufacture {
    /// Gregorian. Of two that a marked year touches, the first, unless more is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub year: Option<u16>,
    /// As it stands on the item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_marked: Option<Line>,
    /// The calendar it was marked in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<Coded<Calendar>>,
    /// Where the year comes from.
    pub source: Coded<YearSource>,
}

impl YearOfManufacture {
    /// The Gregorian year: as stated, else the first that the marked year means.
    pub fn gregorian(&self) -> Option<u16> {
        self.year.or_else(|| self.meant().map(|years| years.first))
    }

    fn meant(&self) -> Option<crate::calendar::Years> {
        self.calendar.as_ref()?.known()?.years(self.as_marked.as_ref()?.as_str())
    }

    /// Whether the stated year may be the marked one.
    fn is_consistent(&self) -> bool {
        match (self.year, self.meant()) {
            (Some(year), Some(years)) => years.contains(year),
            _ => true,
        }
    }
}

/// A number on a part of a firearm.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct ComponentSerial {
    /// The part.
    pub part: Coded<PartKind>,
    /// The number as seen.
    pub serial: Raw,
    /// Whether it is the frame's number.
    pub matches_frame: bool,
}

/// How a firearm was found; what was not examined is left out.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Condition {
    /// It fires, or would.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operable: Option<bool>,
    /// It was deactivated (Art. 9).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deactivated: Option<bool>,
    /// The standard or certificate it was deactivated to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deactivation_standard: Option<Line>,
    /// It was converted from something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub converted: Option<bool>,
    /// Parts are missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<bool>,
}

/// Something in a description that cannot be so.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Contradiction {
    /// Called an antique, but made after 1899 (Art. 3(a)).
    AntiqueAfter1899 {
        /// When it was made.
        year: u16,
    },
    /// The barrel is longer than the firearm.
    BarrelLongerThanFirearm,
    /// The Gregorian year is not what the marked one means in its calendar.
    Calendar,
    /// The fields of this mark do not agree.
    Mark {
        /// Its number in the list, from 1.
        number: usize,
    },
    /// No marks are visible, but some are described.
    MarksNotVisible,
    /// An air gun, and nothing says that it was converted or may readily be (Art. 3(a)).
    NotOfTheProtocol,
    /// The detail does not belong to this provenance.
    Provenance,
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AntiqueAfter1899 { year } => {
                write!(f, "made in {year}: no antique, those were made before 1900 (Art. 3(a))")
            }
            Self::BarrelLongerThanFirearm => f.write_str("the barrel is longer than the firearm"),
            Self::Calendar => f.write_str("the year of manufacture is not the marked year in its calendar"),
            Self::Mark { number } => write!(
                f,
                "mark {number}: what was read, its state, symbol or method of restoration do not go together"
            ),
            Self::MarksNotVisible => f.write_str("no marks are visible, and yet marks are described"),
            Self::NotOfTheProtocol => f.write_str(
                "an air gun fires by no explosive and is none of the Protocol's firearms (Art. 3(a)), unless it was converted, in provenance, or is readily_convertible",
            ),
            Self::Provenance => f.write_str("the detail does not belong to this provenance"),
        }
    }
}

fn is_known<T>(value: &Coded<T>) -> bool {
    value.known().is_some()
}

fn known<T>(value: &Option<Coded<T>>) -> bool {
    value.as_ref().is_none_or(is_known)
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
fn is_false(value: &bool) -> bool {
    !*value
}

fn name_of<T: Copy>(value: &Coded<T>, name: fn(T) -> &'static str) -> &str {
    match value {
        Coded::Known(value) => name(*value),
        Coded::Unknown(code) => code.as_str(),
    }
}

/// The number for a title: the first there is, or that there is none.
fn number(marks: &[Mark]) -> String {
    match marks.iter().find_map(|mark| mark.raw_of(MarkKind::Serial)) {
        Some(serial) => format!(", no. {serial}"),
        None => ", no number".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mark::{Decoded, MarkState, SymbolMark};

    fn line(text: &str) -> Line {
        text.parse().expect("a line")
    }

    fn mark(kind: MarkKind, text: &str) -> Mark {
        Mark::seen(kind, Raw::typed(text).expect("a mark"))
    }

    fn pistol() -> Firearm {
        let mut pistol = Firearm::of(FirearmType::Pistol);
        pistol.make = Some(Make { normalised: Some(line("Beretta")), ..Make::default() });
        pistol.model = Some(line("92FS"));
        pistol.calibres = vec![Calibre::marked(line("9x19"))];
        pistol.country_of_manufacture = Some("ITA".parse().expect("a State"));
        pistol.marks = vec![mark(MarkKind::Serial, "M12345Z")];
        pistol
    }

    fn item(firearm: Firearm) -> Item {
        Item::Firearm(Box::new(firearm))
    }

    #[test]
    fn r_8a_name_place_and_number_are_complete_and_none_may_be_missing() {
        assert!(item(pistol()).art8_complete());
        for spoil in [
            |pistol: &mut Firearm| pistol.make = None,
            |pistol: &mut Firearm| pistol.country_of_manufacture = None,
            |pistol: &mut Firearm| pistol.marks.clear(),
            |pistol: &mut Firearm| pistol.marks = vec![mark(MarkKind::Serial, "M12?45Z")],
            |pistol: &mut Firearm| pistol.marks[0].state = MarkState::Obliterated.into(),
            |pistol: &mut Firearm| {
                pistol.make = Some(Make { brand: Some(line("Beretta")), ..Make::default() });
            },
        ] {
            let mut pistol = pistol();
            spoil(&mut pistol);
            assert!(!item(pistol.clone()).art8_complete(), "{pistol:?}");
        }
        let mut by_place = pistol();
        by_place.country_of_manufacture = None;
        by_place.marks.push(mark(MarkKind::Place, "GARDONE V.T."));
        by_place.make = None;
        by_place.marks.push(mark(MarkKind::ManufacturerName, "P. BERETTA"));
        assert!(item(by_place).art8_complete());
    }

    #[test]
    fn r_8a_a_symbol_and_code_decoded_to_a_country_are_complete() {
        let mut rifle = Firearm::of(FirearmType::AssaultRifle);
        let mut symbol = mark(MarkKind::SymbolCode, "66");
        symbol.symbol = Some(SymbolMark { shape: Shape::Triangle.into(), inner_code: Raw::typed("66").ok() });
        rifle.marks = vec![symbol];
        assert!(!rifle.art8_complete());
        rifle.marks[0].decoded =
            Some(Decoded { country: Some("CHN".parse().expect("a State")), ..Decoded::default() });
        assert!(rifle.art8_complete() && !rifle.uniquely_identifiable());
        rifle.marks.push(mark(MarkKind::Serial, "3012345"));
        assert!(rifle.uniquely_identifiable());
    }

    #[test]
    fn a_number_alone_identifies_nothing() {
        assert!(item(pistol()).uniquely_identifiable());
        let mut bare = Firearm::of(FirearmType::Pistol);
        bare.marks = vec![mark(MarkKind::Serial, "12345")];
        assert!(!item(bare).uniquely_identifiable());
        let mut lot = AmmunitionLot::of(AmmunitionComponent::CompleteRound);
        lot.headstamp =
            Some(Headstamp { clockwise: vec![Raw::typed("17").expect("17")], ..Headstamp::default() });
        assert!(!lot.uniquely_identifiable());
    }

    #[test]
    fn an_item_says_what_it_is_and_its_serial_numbers() {
        let pistol = item(pistol());
        assert_eq!(pistol.to_string(), pistol.title());
        assert_eq!(pistol.serials(), [&Raw::typed("M12345Z").expect("a mark")]);
    }

    #[test]
    fn a_part_is_known_by_its_number_and_what_it_fits_and_a_lot_by_its_number_and_its_maker() {
        let mut part = Part::of(PartKind::Slide);
        part.fits_make = Some(line("Glock"));
        part.fits_model = Some(line("17"));
        assert!(!part.uniquely_identifiable());
        part.marks = vec![mark(MarkKind::Serial, "ABC123")];
        assert!(part.uniquely_identifiable());
        part.fits_model = None;
        assert!(!part.uniquely_identifiable());

        let mut lot = AmmunitionLot::of(AmmunitionComponent::CompleteRound);
        lot.lot_number = Raw::typed("L-7").ok();
        lot.calibre = Some(Calibre::marked(line("9x19")));
        assert!(!lot.uniquely_identifiable());
        let make = Make { normalised: Some(line("Sellier & Bellot")), ..Make::default() };
        let marks = vec![mark(MarkKind::ManufacturerName, "S&B")];
        let made = AmmunitionLot { make: Some(make), ..lot.clone() };
        let marked = AmmunitionLot { packaging_marks: marks, ..lot };
        assert!(made.uniquely_identifiable() && marked.uniquely_identifiable());
    }

    #[test]
    fn a_headstamp_has_so_many_texts_and_so_many_symbols() {
        let is_bounded = |texts: usize, symbols: usize| {
            let mut lot = AmmunitionLot::of(AmmunitionComponent::CompleteRound);
            lot.headstamp = Some(Headstamp {
                clockwise: vec![Raw::typed("17").expect("17"); texts],
                symbols: vec![Coded::Known(Shape::Circle); symbols],
                ..Headstamp::default()
            });
            Item::AmmunitionLot(Box::new(lot)).is_bounded()
        };
        assert!(is_bounded(MAX_HEADSTAMP, MAX_HEADSTAMP));
        assert!(!is_bounded(MAX_HEADSTAMP + 1, 0) && !is_bounded(0, MAX_HEADSTAMP + 1));
    }

    #[test]
    fn nothing_made_after_1899_is_an_antique() {
        let mut rifle = Firearm::of(FirearmType::Replica);
        rifle.antique = Some(true);
        rifle.year_of_manufacture = Some(YearOfManufacture {
            year: Some(1899),
            as_marked: None,
            calendar: None,
            source: YearSource::Marked.into(),
        });
        assert_eq!(rifle.clone().into_item().contradictions(), []);
        let year = rifle.year_of_manufacture.as_mut().expect("set");
        (year.year, year.as_marked) = (None, Some(line("١٣٤٢")));
        year.calendar = Some(Calendar::Hijri.into());
        let found = rifle.into_item().contradictions();
        assert_eq!(found, [Contradiction::AntiqueAfter1899 { year: 1923 }]);
    }

    impl Firearm {
        fn into_item(self) -> Item {
            item(self)
        }
    }

    #[test]
    fn what_cannot_be_so_is_named() {
        let mut gun = pistol();
        gun.no_marks_visible = true;
        gun.provenance = Provenance::Factory.into();
        gun.provenance_detail = Some(ProvenanceDetail::FromAlarm.into());
        (gun.barrel_length_mm, gun.overall_length_mm) = (Some(400), Some(300));
        gun.marks.push(mark(MarkKind::Model, "9?"));
        assert_eq!(
            item(gun).contradictions(),
            [
                Contradiction::MarksNotVisible,
                Contradiction::Provenance,
                Contradiction::BarrelLongerThanFirearm,
                Contradiction::Mark { number: 2 },
            ]
        );
    }

    #[test]
    fn short_is_a_barrel_of_300_or_600_overall() {
        for (barrel, overall, expected) in [
            (Some(300), None, Some(true)),
            (Some(301), Some(600), Some(true)),
            (Some(301), Some(601), Some(false)),
            (Some(301), None, None),
            (None, None, None),
        ] {
            let mut gun = Firearm::of(FirearmType::Carbine);
            (gun.barrel_length_mm, gun.overall_length_mm) = (barrel, overall);
            assert_eq!(gun.is_short(), expected, "{barrel:?} {overall:?}");
        }
    }

    #[test]
    fn a_title_says_what_it_is_and_its_number() {
        assert_eq!(item(pistol()).title(), "pistol Beretta 92FS, 9x19, no. M12345Z");
        let mut part = Part::of(PartKind::ReceiverLower);
        part.semi_finished = true;
        part.fits_model = Some(line("AR-15"));
        assert_eq!(Item::Part(Box::new(part)).title(), "semi-finished lower receiver for AR-15, no number");
        let mut lot = AmmunitionLot::of(AmmunitionComponent::CompleteRound);
        lot.quantity = Some(1440);
        lot.kind = Some(AmmunitionType::Ball.into());
        lot.calibre = Some(Calibre::marked(line("7.62x39")));
        lot.lot_number = Raw::typed("А12-78").ok();
        assert_eq!(Item::AmmunitionLot(Box::new(lot)).title(), "1440 7.62x39 ball rounds, lot А12-78");
    }

    #[test]
    fn an_item_reads_back_as_written_and_absent_fields_are_not_written() {
        let json = serde_json::json!({
            "item": "firearm", "type": "F-ASR", "action": "SELECT_FIRE", "provenance": "3D_PRINTED",
            "country_of_manufacture": "SUN", "historic_state": "SUN",
            "marks": [{"kind": "SERIAL", "raw": "АК 0123", "state": "WORN"}],
        });
        let item: Item = serde_json::from_value(json.clone()).expect("an item");
        assert!(item.codes_are_known() && item.is_bounded());
        assert_eq!(serde_json::to_value(&item).expect("serialises"), json);
        let mut newer = json;
        newer["type"] = "F-RAY".into();
        let item: Item = serde_json::from_value(newer.clone()).expect("kept");
        assert!(!item.codes_are_known());
        assert_eq!(item.title(), "F-RAY, no. АК 0123");
        assert_eq!(serde_json::to_value(&item).expect("serialises"), newer);
    }

    #[test]
    fn lists_have_bounds() {
        let mut gun = pistol();
        gun.marks = vec![mark(MarkKind::Other, "x"); MAX_MARKS];
        assert!(item(gun.clone()).is_bounded());
        gun.marks.push(mark(MarkKind::Other, "x"));
        assert!(!item(gun).is_bounded());
        let mut gun = pistol();
        gun.calibres = vec![Calibre::default(); MAX_CALIBRES + 1];
        assert!(!item(gun).is_bounded());
    }

    #[test]
    fn every_code_list_is_sorted_and_has_each_word_once() {
        let words: Vec<&str> = FirearmType::ALL.iter().map(|kind| kind.as_str()).collect();
        let mut distinct = words.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!((words.len(), distinct.len()), (23, 23));
        assert!(FirearmType::ALL.is_sorted_by_key(|kind| format!("{kind:?}")));
        assert!(PartKind::ALL.is_sorted_by_key(|kind| format!("{kind:?}")));
        assert!(Provenance::ALL.is_sorted_by_key(|kind| format!("{kind:?}")));
        assert_eq!(FirearmType::AlarmWeapon.item_kind(), ItemKind::NonProtocol);
        assert_eq!(FirearmType::Mortar.item_kind(), ItemKind::LightWeapon);
    }
}

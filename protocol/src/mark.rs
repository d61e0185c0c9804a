//! Marks: what stands on a firearm, a part or a package, letter by letter as it was seen (Art. 8; law §6.3, §11.4).
//!
//! A mark is evidence. What was seen is never overwritten: what it was taken to mean stands beside it. Comparing
//! serial numbers is done in `serial`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::authority::{BadName, Line, StateCode, breaks_line, checked_text};
use crate::handling::{Coded, code_list};
use crate::letters;

checked_text!(
    /// A mark as it was seen: one line of 1 to 200 characters in Unicode's composed form (NFC).
    ///
    /// `?` stands for one position that could not be read. So a worn `124456` is `12?45?`, and no list of
    /// positions is kept beside it.
    Raw,
    "mark as seen",
    "1 to 200 characters in NFC, no line breaks or control characters",
    |text| (1..=200).contains(&text.chars().count())
        && !text.chars().any(breaks_line)
        && letters::is_nfc(text)
);

impl Raw {
    /// What someone typed, put into composed form: keyboards differ in how they write accents.
    pub fn typed(text: &str) -> Result<Self, BadName> {
        Self::try_from(letters::nfc(text.trim()))
    }

    /// Whether some position could not be read.
    pub fn is_partial(&self) -> bool {
        self.as_str().contains(UNREAD)
    }
}

/// One mark.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Mark {
    /// What the mark says.
    pub kind: Coded<MarkKind>,
    /// Where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Coded<MarkLocation>>,
    /// How it was applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Coded<MarkMethod>>,
    /// Letter by letter as seen; none where nothing is left to see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<Raw>,
    /// The script of what was seen, where an examiner says more than [`Script::of`] can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<Coded<Script>>,
    /// How it was found.
    pub state: Coded<MarkState>,
    /// How it was made legible again; only with [`MarkState::Restored`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_method: Option<Coded<RestorationMethod>>,
    /// Its geometric symbol and code; only with [`MarkKind::SymbolCode`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbol: Option<SymbolMark>,
    /// What it was taken to mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoded: Option<Decoded>,
}

impl Mark {
    /// A mark of this kind, seen intact, and nothing more known of it.
    pub fn seen(kind: MarkKind, raw: Raw) -> Self {
        Self {
            kind: kind.into(),
            location: None,
            method: None,
            raw: Some(raw),
            script: None,
            state: MarkState::Intact.into(),
            state_method: None,
            symbol: None,
            decoded: None,
        }
    }

    /// What was seen, if the mark is of this kind.
    pub fn raw_of(&self, kind: MarkKind) -> Option<&Raw> {
        if self.kind.is(kind) { self.raw.as_ref() } else { None }
    }

    /// The script of what was seen: as the examiner says, else as its letters tell.
    pub fn script(&self) -> Option<Script> {
        let said = self.script.as_ref().and_then(Coded::known).copied();
        said.or_else(|| Script::of(self.raw.as_ref()?.as_str()))
    }

    /// Whether every position was read and the mark is not known to be false or another's.
    pub fn is_legible(&self) -> bool {
        let truthful = match &self.state {
            Coded::Known(state) => state.is_truthful(),
            Coded::Unknown(_) => false,
        };
        truthful && self.raw.as_ref().is_some_and(|raw| !raw.is_partial())
    }

    /// R-8a: whether it is a symbol with a code that was decoded to a country (Art. 8(1)(a), the alternative).
    pub fn names_country_by_symbol(&self) -> bool {
        let coded = self.symbol.as_ref().is_some_and(|symbol| symbol.inner_code.is_some());
        let country = self.decoded.as_ref().is_some_and(|decoded| decoded.country.is_some());
        self.kind.is(MarkKind::SymbolCode) && coded && country
    }

    /// Whether the fields agree: an intact mark has no unread position, a missing one has nothing to read, a
    /// method of restoration belongs to a restored mark, a symbol to a symbol mark.
    pub fn is_consistent(&self) -> bool {
        let state = |of| self.state.is(of);
        let unread = self.raw.as_ref().is_some_and(Raw::is_partial);
        let absent = state(MarkState::NeverMarked) || state(MarkState::RemovedWithPart);
        let misread = state(MarkState::Intact) && unread || absent && self.raw.is_some();
        !misread
            && (self.state_method.is_none() || state(MarkState::Restored))
            && (self.symbol.is_none() || self.kind.is(MarkKind::SymbolCode))
    }

    /// Whether every code is of our lists. If not, only an officer may act on it.
    pub fn codes_are_known(&self) -> bool {
        fn known<T>(value: &Option<Coded<T>>) -> bool {
            value.as_ref().is_none_or(|value| value.known().is_some())
        }
        self.kind.known().is_some()
            && self.state.known().is_some()
            && known(&self.location)
            && known(&self.method)
            && known(&self.script)
            && known(&self.state_method)
            && self.symbol.as_ref().is_none_or(|symbol| symbol.shape.known().is_some())
    }
}

/// A geometric symbol with a numeric or alphanumeric code (Art. 8(1)(a), the alternative to name, place and
/// number). The country and factory it was decoded to stand in [`Mark::decoded`].
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct SymbolMark {
    /// The figure.
    pub shape: Coded<Shape>,
    /// The code in it or beside it, as seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inner_code: Option<Raw>,
}

/// What a mark was taken to mean, and by whom.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Decoded {
    /// The State it points to; States that are no more have their codes too, see `item::HistoricState`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<StateCode>,
    /// The factory it points to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factory: Option<Line>,
    /// The year it tells, Gregorian.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub year: Option<u16>,
    /// The importer it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub importer: Option<Line>,
    /// The table, book or expert that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Line>,
}

code_list!(
    /// What a mark says (law §11.4).
    MarkKind {
        Calibre = "CALIBRE",
        Country = "COUNTRY",
        Deactivation = "DEACTIVATION",
        /// Put on when government stock went to civilian use (Art. 8(1)(c)).
        ExGovernmentTransfer = "EX_GOVERNMENT_TRANSFER",
        /// Property mark of a government or arsenal.
        GovernmentProperty = "GOVERNMENT_PROPERTY",
        /// Country of import (Art. 8(1)(b)).
        ImportCountry = "IMPORT_COUNTRY",
        /// Year of import (Art. 8(1)(b)).
        ImportYear = "IMPORT_YEAR",
        ImporterName = "IMPORTER_NAME",
        Inspection = "INSPECTION",
        ManufacturerName = "MANUFACTURER_NAME",
        Model = "MODEL",
        Other = "OTHER",
        Patent = "PATENT",
        Place = "PLACE",
        PostSeizure = "POST_SEIZURE",
        /// Of a proof house.
        Proof = "PROOF",
        /// Micro-engraving, laser, RFID.
        SecurityFeature = "SECURITY_FEATURE",
        Serial = "SERIAL",
        /// Put on when it was surrendered or collected.
        SurrenderCollection = "SURRENDER_COLLECTION",
        /// Symbol and code (Art. 8(1)(a), the alternative).
        SymbolCode = "SYMBOL_CODE",
        TrademarkLogo = "TRADEMARK_LOGO",
        /// Unit or rack number.
        UnitRack = "UNIT_RACK",
        Year = "YEAR",
    }
);

impl MarkKind {
    /// Whether it belongs to an import, not to manufacture (Art. 8(1)(b)).
    pub fn is_of_import(self) -> bool {
        matches!(self, Self::ImportCountry | Self::ImportYear | Self::ImporterName)
    }
}

code_list!(
    /// Where a mark stands (law §6.3).
    MarkLocation {
        Barrel = "BARREL",
        Bolt = "BOLT",
        Cylinder = "CYLINDER",
        Frame = "FRAME",
        Grip = "GRIP",
        Magazine = "MAGAZINE",
        Other = "OTHER",
        ReceiverLeft = "RECEIVER_LEFT",
        ReceiverRight = "RECEIVER_RIGHT",
        ReceiverTop = "RECEIVER_TOP",
        Slide = "SLIDE",
        Stock = "STOCK",
        TriggerGuard = "TRIGGER_GUARD",
    }
);

code_list!(
    /// How a mark was applied (law §6.3).
    MarkMethod {
        Cast = "CAST",
        DotPeen = "DOT_PEEN",
        Engraved = "ENGRAVED",
        Etched = "ETCHED",
        Laser = "LASER",
        Painted = "PAINTED",
        Plate = "PLATE",
        Printed = "PRINTED",
        Stamped = "STAMPED",
    }
);

code_list!(
    /// How a mark was found (law §11.4).
    MarkState {
        /// Restamped.
        Altered = "ALTERED",
        Counterfeit = "COUNTERFEIT",
        Covered = "COVERED",
        Intact = "INTACT",
        NeverMarked = "NEVER_MARKED",
        NotExamined = "NOT_EXAMINED",
        /// Ground, drilled, welded or punched away.
        Obliterated = "OBLITERATED",
        PartlyLegible = "PARTLY_LEGIBLE",
        /// The part that bore it is gone.
        RemovedWithPart = "REMOVED_WITH_PART",
        /// Made legible again; how stands in [`Mark::state_method`].
        Restored = "RESTORED",
        Worn = "WORN",
    }
);

impl MarkState {
    /// Whether the state may suggest that a mark was falsified, obliterated, removed or altered
    /// (Art. 5(1)(c); law §11.4). Wear never does.
    pub fn may_suggest_art5_1c(self) -> bool {
        matches!(self, Self::Altered | Self::Counterfeit | Self::Obliterated | Self::RemovedWithPart)
    }

    /// Whether what can be read in this state is what the maker put there.
    fn is_truthful(self) -> bool {
        match self {
            Self::Altered
            | Self::Counterfeit
            | Self::NeverMarked
            | Self::Obliterated
            | Self::RemovedWithPart => false,
            Self::Covered
            | Self::Intact
            | Self::NotExamined
            | Self::PartlyLegible
            | Self::Restored
            | Self::Worn => true,
        }
    }
}

code_list!(
    /// How a mark was made legible again (law §11.4).
    RestorationMethod {
        ChemicalEtch = "CHEMICAL_ETCH",
        /// Electron backscatter diffraction.
        Ebsd = "EBSD",
        Electrolytic = "ELECTROLYTIC",
        Heat = "HEAT",
        MagnetoOptical = "MAGNETO_OPTICAL",
    }
);

code_list!(
    /// The figure of a symbol mark (law §6.3).
    Shape {
        Arrow = "ARROW",
        Circle = "CIRCLE",
        Diamond = "DIAMOND",
        Other = "OTHER",
        Oval = "OVAL",
        Rectangle = "RECTANGLE",
        Shield = "SHIELD",
        Star = "STAR",
        Triangle = "TRIANGLE",
    }
);

code_list!(
    /// The script of a mark, as far as officers tell scripts apart.
    Script {
        Arabic = "ARABIC",
        Armenian = "ARMENIAN",
        Bengali = "BENGALI",
        Cyrillic = "CYRILLIC",
        Devanagari = "DEVANAGARI",
        Ethiopic = "ETHIOPIC",
        Georgian = "GEORGIAN",
        Greek = "GREEK",
        Han = "HAN",
        Hangul = "HANGUL",
        Hebrew = "HEBREW",
        /// Hiragana or Katakana.
        Kana = "KANA",
        Khmer = "KHMER",
        Lao = "LAO",
        Latin = "LATIN",
        /// Letters of several scripts.
        Mixed = "MIXED",
        Myanmar = "MYANMAR",
        Other = "OTHER",
        Thai = "THAI",
    }
);

impl Script {
    /// The script that letters and digits tell of; none for European digits alone.
    pub fn of(text: &str) -> Option<Self> {
        let mut scripts = text.chars().filter_map(letters::script);
        let first = scripts.next()?;
        Some(if scripts.all(|script| script == first) { first } else { Self::Mixed })
    }

    /// What the script is called in a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Self::Arabic => "Arabic",
            Self::Armenian => "Armenian",
            Self::Bengali => "Bengali",
            Self::Cyrillic => "Cyrillic",
            Self::Devanagari => "Devanagari",
            Self::Ethiopic => "Ethiopic",
            Self::Georgian => "Georgian",
            Self::Greek => "Greek",
            Self::Han => "Chinese",
            Self::Hangul => "Korean",
            Self::Hebrew => "Hebrew",
            Self::Kana => "Japanese",
            Self::Khmer => "Khmer",
            Self::Lao => "Lao",
            Self::Latin => "Latin",
            Self::Mixed => "mixed",
            Self::Myanmar => "Burmese",
            Self::Other => "other",
            Self::Thai => "Thai",
        }
    }
}

/// Stands for one position of a mark that could not be read.
pub const UNREAD: char = '?';

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Raw {
        Raw::typed(text).expect("a mark")
    }

    #[test]
    fn only_tampering_suggests_art_5_1c_and_wear_never_does() {
        let suggesting: Vec<&str> = MarkState::ALL
            .iter()
            .filter(|state| state.may_suggest_art5_1c())
            .map(|state| state.as_str())
            .collect();
        assert_eq!(suggesting, ["ALTERED", "COUNTERFEIT", "OBLITERATED", "REMOVED_WITH_PART"]);
    }

    #[test]
    fn a_mark_is_kept_in_composed_form() {
        assert_eq!(Raw::typed("И\u{306} 5 ").expect("a mark").as_str(), "Й 5");
        assert!("И\u{306} 5".parse::<Raw>().is_err());
        assert!("".parse::<Raw>().is_err() && "a\tb".parse::<Raw>().is_err());
        assert!("1".repeat(201).parse::<Raw>().is_err());
    }

    #[test]
    fn an_intact_mark_has_no_unread_position() {
        let mut mark = Mark::seen(MarkKind::Serial, raw("12?45?"));
        assert!(!mark.is_consistent());
        mark.state = MarkState::Worn.into();
        assert!(mark.is_consistent() && !mark.is_legible());
        mark.state_method = Some(RestorationMethod::Heat.into());
        assert!(!mark.is_consistent());
        mark.state = MarkState::NeverMarked.into();
        mark.state_method = None;
        assert!(!mark.is_consistent());
    }

    #[test]
    fn a_script_is_told_by_letters_and_by_digits() {
        assert_eq!(Script::of("АК 0123"), Some(Script::Cyrillic));
        assert_eq!(Script::of("AК 0123"), Some(Script::Mixed));
        assert_eq!(Script::of("٠١٢٣"), Some(Script::Arabic));
        assert_eq!(Script::of("0123"), None);
        let mut mark = Mark::seen(MarkKind::Serial, raw("0123"));
        mark.script = Some(Script::Greek.into());
        assert_eq!(mark.script(), Some(Script::Greek));
    }

    #[test]
    fn a_code_of_a_newer_list_is_kept() {
        let json = serde_json::json!({"kind": "QUANTUM_DOT", "raw": "A1", "state": "INTACT"});
        let mark: Mark = serde_json::from_value(json.clone()).expect("kept");
        assert!(!mark.codes_are_known());
        assert_eq!(serde_json::to_value(&mark).expect("serialises"), json);
    }

    #[test]
    fn every_code_list_is_sorted() {
        assert!(MarkKind::ALL.is_sorted_by_key(|kind| format!("{kind:?}")));
        assert!(MarkLocation::ALL.is_sorted_by_key(|place| format!("{place:?}")));
        assert!(MarkState::ALL.is_sorted_by_key(|state| format!("{state:?}")));
    }
}

//! Strings that are taken for serial numbers and are none, and one make that is taken for another (law §6.3,
//! serial handling 7; scenario T8).
//!
//! Warnings only: any of these may be a serial number after all, and an officer who looked again says so.

use std::fmt;

use super::Reading;
use crate::item::{AmmunitionLot, Calibre, Firearm, Item};
use crate::letters;
use crate::mark::{MarkKind, UNREAD};

/// What a string looks like that was given as a serial number, or what else to look at before asking.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Warning {
    /// Beretta 92 of Italy and Taurus PT 92 of Brazil are alike: another country would have to be asked.
    BerettaOrTaurus,
    /// A calibre.
    Calibre,
    /// The name of an importer.
    ImporterName,
    /// An import mark: country or year of import (Art. 8(1)(b)).
    ImportMark,
    /// "Made in" or a country.
    MadeIn,
    /// The name of a model.
    Model,
    /// A NATO stock number, which all items of a sort share.
    NatoStockNumber,
    /// The number of a part or drawing.
    PartNumber,
    /// A patent.
    Patent,
    /// A year, or a month and year, of proof or manufacture.
    ProofDate,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BerettaOrTaurus => {
                "Beretta 92 (Italy) and Taurus PT 92 (Brazil) look the same: read the maker's name and the country \
                 on the slide and ask that State"
            }
            Self::Calibre => {
                "looks like a calibre: record it as CALIBRE and look for the serial number on the frame or receiver"
            }
            Self::ImporterName => {
                "looks like an importer's name: record it as IMPORTER_NAME; the State of import may trace it"
            }
            Self::ImportMark => {
                "looks like an import mark, which tells the country or year of import: record it as IMPORT_COUNTRY \
                 or IMPORT_YEAR and look for the maker's serial number"
            }
            Self::MadeIn => "looks like the country of manufacture: record it as COUNTRY and look for the number",
            Self::Model => "looks like the name of a model: record it as MODEL and look for the serial number",
            Self::NatoStockNumber => {
                "looks like a NATO stock number, which every item of that sort bears: look for the serial number"
            }
            Self::PartNumber => {
                "looks like a part or drawing number, which every such part bears: look for the serial number on \
                 the frame or receiver"
            }
            Self::Patent => "looks like a patent: record it as PATENT and look for the serial number",
            Self::ProofDate => {
                "looks like a date of proof or manufacture: record it as YEAR or PROOF and look for the serial \
                 number"
            }
        })
    }
}

/// What to look at again before asking about `mark_raw` as the serial number of `item`; sorted, each once.
///
/// Strings of more than 200 characters are no marks and give no warnings of their own.
pub fn warnings(mark_raw: &str, item: &Item) -> Vec<Warning> {
    let mut found = Vec::new();
    if mark_raw.chars().count() <= MAX_MARK {
        let text = Text::of(mark_raw);
        let detectors: [(Warning, bool); 9] = [
            (Warning::Calibre, text.is_calibre(item)),
            (Warning::ImporterName, text.is_importer(item)),
            (Warning::ImportMark, text.is_import_mark(item)),
            (Warning::MadeIn, text.is_made_in(item)),
            (Warning::Model, text.is_model(item)),
            (Warning::NatoStockNumber, text.is_nato_stock_number()),
            (Warning::PartNumber, text.is_part_number()),
            (Warning::Patent, text.is_patent(item)),
            (Warning::ProofDate, text.is_date(item)),
        ];
        found.extend(detectors.into_iter().filter(|(_, looks)| *looks).map(|(warning, _)| warning));
    }
    if let Item::Firearm(firearm) = item
        && may_be_beretta_or_taurus(firearm)
    {
        found.push(Warning::BerettaOrTaurus);
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// A string in the form the detectors look at.
struct Text {
    /// Capitals, European digits, signs as they are.
    plain: String,
    /// Its letters and digits, in runs between signs. A figure that could not be read belongs to its run.
    words: Vec<String>,
    /// Its letters and digits in one.
    joined: String,
}

impl Text {
    fn of(text: &str) -> Self {
        let upper: String = letters::nfkc(text.trim()).to_uppercase();
        let plain: String = upper.chars().map(|letter| letters::digit(letter).unwrap_or(letter)).collect();
        let words: Vec<String> = plain
            .split(|letter: char| !letter.is_alphanumeric() && letter != UNREAD)
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect();
        let joined = words.concat();
        Self { plain, words, joined }
    }

    fn has_word(&self, words: &[&str]) -> bool {
        self.words.iter().any(|word| words.contains(&word.as_str()))
    }

    /// Whether it says the same, but for case, signs and the script of digits.
    fn says(&self, other: &str) -> bool {
        !self.joined.is_empty() && self.joined == Self::of(other).joined
    }

    /// Whether the item has this text as a mark of one of these kinds.
    fn is_marked(&self, item: &Item, kinds: &[MarkKind]) -> bool {
        let marks = item.marks().iter().filter(|mark| kinds.iter().any(|kind| mark.kind.is(*kind)));
        marks.filter_map(|mark| mark.raw.as_ref()).any(|raw| self.says(raw.as_str()))
    }

    fn is_patent(&self, item: &Item) -> bool {
        let words = [
            "BREVET",
            "BREVETE",
            "BREVETÉ",
            "BREVETTO",
            "DRGM",
            "DRP",
            "PAT",
            "PATD",
            "PATENT",
            "PATENTED",
            "PATENTE",
            "PATENTS",
            "PATS",
            "ПАТЕНТ",
        ];
        let spaced = ["DRGM", "DRP"].contains(&self.joined.trim_end_matches(|c: char| c.is_ascii_digit()));
        // 4,539,889: thousands are not set apart in serial numbers.
        let groups: Vec<&str> = self.plain.split(',').collect();
        let grouped = groups.len() > 2
            && (1..=2).contains(&groups[0].len())
            && groups.iter().all(|group| is_digits(group))
            && groups[1..].iter().all(|group| group.len() == 3);
        self.has_word(&words) || spaced || grouped || self.is_marked(item, &[MarkKind::Patent])
    }

    fn is_nato_stock_number(&self) -> bool {
        let words: Vec<&str> = self.words.iter().map(String::as_str).filter(|word| *word != "NSN").collect();
        let lengths: Vec<usize> = words.iter().map(|word| word.len()).collect();
        let digits = words.iter().all(|word| is_digits(word));
        // Supply class, country, and the item's own seven digits: 1005-01-231-0973.
        let class = words.first().and_then(|word| word.get(..2));
        let is_arms = class == Some("10") || class == Some("13");
        self.has_word(&["NSN"])
            || digits && (lengths == [4, 2, 3, 4] || lengths == [4, 2, 7])
            || digits && lengths == [13] && is_arms
    }

    fn is_calibre(&self, item: &Item) -> bool {
        let calibres: Vec<&Calibre> = match item {
            Item::AmmunitionLot(lot) => calibre_of(lot),
            Item::Firearm(firearm) => firearm.calibres.iter().collect(),
            Item::Part(_) => Vec::new(),
        };
        let named = calibres.iter().flat_map(|calibre| calibre.names()).any(|name| self.says(name));
        let words = [
            "ACP",
            "BROWNING",
            "CAL",
            "CALIBER",
            "CALIBRE",
            "GA",
            "GAUGE",
            "KAL",
            "KALIBER",
            "LUGER",
            "MAG",
            "MAGNUM",
            "MM",
            "PARA",
            "PARABELLUM",
            "REM",
            "SPECIAL",
            "SPL",
            "WIN",
            "КАЛ",
            "КАЛИБР",
        ];
        let digits = self.plain.chars().any(|letter| letter.is_ascii_digit());
        named
            || self.is_marked(item, &[MarkKind::Calibre])
            || digits && self.has_word(&words)
            || digits && self.words.iter().any(|word| is_digits(word.strip_suffix("MM").unwrap_or("-")))
            || self.is_metric_calibre()
    }

    /// Bore by length of case, `9X19`, `7,62×39MM`, `12/70` and `.357`.
    fn is_metric_calibre(&self) -> bool {
        let plain: String = self.plain.chars().filter(|letter| !letter.is_whitespace()).collect();
        let plain = plain.trim_end_matches("MM").replace(['×', 'Х', '*'], "X").replace(',', ".");
        let number = |text: &str, longest: usize| {
            (1..=longest).contains(&text.len())
                && text.split('.').count() <= 2
                && is_digits(&text.replace('.', ""))
        };
        let bore = |text: &str| number(text, 5) && text.split('.').next().is_some_and(|mm| mm.len() <= 2);
        let case = |text: &str| number(text.trim_end_matches(['R', 'S']), 4);
        let shot = matches!(plain.split_once('/'),
            Some(("12" | "16" | "20" | "28" | "410", case)) if ["65", "67", "70", "76", "89"].contains(&case));
        let inches =
            plain.strip_prefix('.').is_some_and(|text| (2..=3).contains(&text.len()) && is_digits(text));
        shot || inches || plain.split_once('X').is_some_and(|(before, after)| bore(before) && case(after))
    }

    fn is_date(&self, item: &Item) -> bool {
        let year = |word: &str| word.len() == 4 && word.parse().is_ok_and(|year| YEARS.contains(&year));
        let month =
            |word: &str| word.len() <= 2 && word.parse().is_ok_and(|month: u32| (1..=12).contains(&month));
        let short = |word: &str| word.len() == 2 && is_digits(word);
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        // 05/87, 5.1987, and a year alone.
        let dated = match words.as_slice() {
            [one] => year(one),
            [one, two] => month(one) && (year(two) || short(two)) || year(one) && month(two),
            [one, two, three] => {
                let day = one.len() <= 2 && one.parse().is_ok_and(|day: u32| (1..=31).contains(&day));
                day && month(two) && (year(three) || short(three))
            }
            _ => false,
        };
        dated || self.is_marked(item, &[MarkKind::Proof, MarkKind::Year])
    }

    fn is_model(&self, item: &Item) -> bool {
        let described = match item {
            Item::AmmunitionLot(_) => false,
            Item::Firearm(firearm) => {
                let names = [&firearm.model, &firearm.variant];
                names.into_iter().flatten().any(|name| self.says(name.as_str()))
            }
            Item::Part(part) => part.fits_model.as_ref().is_some_and(|name| self.says(name.as_str())),
        };
        let words = ["MOD", "MODEL", "MODELE", "MODELL", "MODELLO", "MODELO", "MODÈLE", "МОД", "МОДЕЛЬ"];
        let look = |text: &str| Reading::of(text).map(|reading| reading.folded);
        let known = look(&self.joined)
            .is_some_and(|this| MODELS.iter().any(|model| look(model).as_ref() == Some(&this)));
        described || known || self.has_word(&words) || self.is_marked(item, &[MarkKind::Model])
    }

    fn is_part_number(&self) -> bool {
        let named = ["ASSY", "DRG", "DWG", "PART", "PN"];
        let stroke = self.plain.starts_with("P/N");
        // The mould's number and the maker's code: US ordnance drawings are D or C and seven digits.
        let drawing = |word: &String| {
            word.len() == 8 && word.starts_with(['C', 'D', 'F']) && is_digits(&word[1..]) && word.is_ascii()
        };
        stroke || self.has_word(&named) || matches!(self.words.as_slice(), [word] if drawing(word))
    }

    fn is_importer(&self, item: &Item) -> bool {
        let forms = ["CO", "CORP", "GMBH", "IMPORTER", "IMPORTERS", "IMPORTS", "INC", "LLC", "LTD", "SARL"];
        let decoded = item.marks().iter().filter_map(|mark| mark.decoded.as_ref()?.importer.as_ref());
        let known = IMPORTERS.iter().any(|name| {
            let name = Self::of(name).words;
            self.words.windows(name.len()).any(|words| words == name)
        });
        known
            || self.words.len() > 1 && self.has_word(&forms)
            || self.is_marked(item, &[MarkKind::ImporterName])
            || decoded.into_iter().any(|name| self.says(name.as_str()))
    }

    fn is_import_mark(&self, item: &Item) -> bool {
        let kinds = [MarkKind::ImportCountry, MarkKind::ImportYear];
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let worded = self.has_word(&["IMP", "IMPORT", "IMPORTE", "IMPORTED", "IMPORTÉ", "ИМПОРТ"]);
        // A State's code and a year, together or apart: DE 21, D-2021, USA1998.
        let (state, year) = match words.as_slice() {
            [one] => one.split_at(one.find(|letter: char| letter.is_ascii_digit()).unwrap_or(one.len())),
            [one, two] => (*one, *two),
            _ => ("", ""),
        };
        let year = is_digits(year)
            && match year.len() {
                2 => true,
                4 => year.parse().is_ok_and(|year| YEARS.contains(&year)),
                _ => false,
            };
        let decoded = || {
            let codes =
                item.marks().iter().filter(|mark| mark.kind.known().is_some_and(|kind| kind.is_of_import()));
            codes
                .filter_map(|mark| mark.decoded.as_ref()?.country.as_ref())
                .any(|code| code.as_str() == state)
        };
        worded || year && (is_state_code(state) || decoded()) || self.is_marked(item, &kinds)
    }

    fn is_made_in(&self, item: &Item) -> bool {
        const SAID: &[&[&str]] = &[
            &["FABRICADO", "EN"],
            &["FABRIQUÉ", "EN"],
            &["FABRIQUE", "EN"],
            &["HECHO", "EN"],
            &["HERGESTELLT", "IN"],
            &["INDUSTRIA", "BRASILEIRA"],
            &["MADE", "IN"],
            &["MADE", "BY"],
            &["СДЕЛАНО", "В"],
            &["صنع", "في"],
        ];
        let said = |phrase: &&[&str]| self.words.windows(phrase.len()).any(|words| *words == **phrase);
        let countries = [
            "AUSTRIA",
            "BELGIUM",
            "BRASIL",
            "BRAZIL",
            "CHINA",
            "CZECHOSLOVAKIA",
            "FRANCE",
            "GERMANY",
            "ITALY",
            "ITALIA",
            "JAPAN",
            "SPAIN",
            "TURKEY",
            "TURKIYE",
            "USA",
            "USSR",
            "YUGOSLAVIA",
            "СССР",
        ];
        SAID.iter().any(said)
            || countries.contains(&self.joined.as_str())
            || self.is_marked(item, &[MarkKind::Country, MarkKind::Place])
    }
}

fn calibre_of(lot: &AmmunitionLot) -> Vec<&Calibre> {
    lot.calibre.iter().collect()
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|letter| letter.is_ascii_digit())
}

/// Whether these letters stand for a State on import marks: ISO 3166-1 alpha-2 or alpha-3 of States that mark much,
/// or the letter of German, Belgian and Italian houses.
fn is_state_code(letters: &str) -> bool {
    STATES.split(' ').any(|code| code == letters)
}

/// Whether the firearm may be either of the two, and its marks do not settle which.
fn may_be_beretta_or_taurus(firearm: &Firearm) -> bool {
    let squeezed = |text: &str| Text::of(text).joined;
    let model = firearm.model_name().map(squeezed).unwrap_or_default();
    let make = firearm.make.as_ref();
    let named = make.into_iter().flat_map(|make| [&make.as_marked, &make.normalised, &make.brand]);
    let mut said = named.flatten().map(|name| squeezed(name.as_str())).collect::<Vec<_>>().join(" ");
    said += &squeezed(firearm.manufacturer().unwrap_or_default());
    let (beretta, taurus) = (said.contains("BERETTA"), said.contains("TAURUS"));
    let italian_model = ["92", "M9", "M92", "BERETTA92"].iter().any(|name| {
        model
            .strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['A', 'B', 'F', 'G', 'S', 'X']))
    });
    let brazilian_model = model.starts_with("PT92") || model.starts_with("PT99");
    if !italian_model && !brazilian_model {
        return false;
    }
    // Licensees marked the name too, so that name, model and country must agree.
    let settled = match (beretta, taurus) {
        (true, false) => italian_model && firearm.country() == Some("ITA"),
        (false, true) => brazilian_model && firearm.country() == Some("BRA"),
        _ => false,
    };
    let read = firearm.marks.iter().any(|mark| mark.kind.is(MarkKind::ManufacturerName) && mark.is_legible());
    let either_make = beretta || taurus || said.is_empty();
    either_make && !(settled && read)
}

/// Longest mark that is looked at; `mark::Raw` has the same bound.
const MAX_MARK: usize = 200;

/// Years that marks tell.
const YEARS: std::ops::RangeInclusive<u32> = 1850..=2099;

/// Importers whose marks are often taken for numbers.
const IMPORTERS: &[&str] =
    &["CAI", "CENTURY ARMS", "CDI SWANTON", "INTERARMS", "INTERARMCO", "NAVY ARMS", "PW ARMS"];

/// Models whose names are like numbers.
const MODELS: &[&str] = &[
    "92FS", "AK47", "AK74", "AKM", "AKMS", "AR15", "CZ75", "CZ75B", "FN49", "G17", "G19", "GLOCK17",
    "GLOCK19", "HP35", "M16A1", "M16A2", "M1911", "M1911A1", "M4A1", "M70AB2", "M92", "MP5", "P226", "P38",
    "PM63", "PPSH41", "PT92", "PT99", "RPK74", "SA58", "SAVZ58", "SKS45", "TT33", "TYPE56", "VZ58",
];

/// Codes on import marks.
const STATES: &str = "\
    AE AR AT AU B BE BG BR CA CH CL CN CO CY CZ D DE DK EE EG ES FI FR GB GR HR HU I IE IL IN \
    IT JP KE KR LT LU LV MA MT MX NL NO NZ PE PH PK PL PT RO RS RU SE SI SK TH TR UA UK US USA \
    UY ZA AUT BEL BGR BRA CAN CHE CHN CZE DEU ESP FRA GBR GRC HRV HUN ITA KEN MEX NLD PER POL \
    ROU RUS SRB SVK TUR UKR ZAF";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::Line;
    use crate::item::{FirearmType, Make};
    use crate::mark::{Decoded, Mark, Raw};

    fn line(text: &str) -> Line {
        text.parse().expect("a line")
    }

    fn pistol() -> Firearm {
        let mut pistol = Firearm::of(FirearmType::Pistol);
        pistol.model = Some(line("CZ 85"));
        pistol.calibres = vec![Calibre { name: Some(line("9 mm Luger")), ..Calibre::default() }];
        pistol
    }

    fn of(text: &str, firearm: Firearm) -> Vec<Warning> {
        warnings(text, &Item::Firearm(Box::new(firearm)))
    }

    #[test]
    fn what_looks_like_something_else_is_warned_of() {
        for (text, expected) in [
            ("U.S. PAT. 4,539,889", Warning::Patent),
            ("4,539,889", Warning::Patent),
            ("D.R.G.M. 123456", Warning::Patent),
            ("1005-01-231-0973", Warning::NatoStockNumber),
            ("NSN 1005011182640", Warning::NatoStockNumber),
            ("1005011182640", Warning::NatoStockNumber),
            ("9x19", Warning::Calibre),
            ("7,62×39mm", Warning::Calibre),
            ("CAL. 9 PARA", Warning::Calibre),
            (".45 ACP", Warning::Calibre),
            (".357", Warning::Calibre),
            ("9mm", Warning::Calibre),
            ("12/70", Warning::Calibre),
            ("9 MM LUGER", Warning::Calibre),
            ("05/87", Warning::ProofDate),
            ("1943", Warning::ProofDate),
            ("١٩٤٣", Warning::ProofDate),
            ("CZ85", Warning::Model),
            ("MOD. 70", Warning::Model),
            ("АК-47", Warning::Model),
            ("P/N 12345", Warning::PartNumber),
            ("D6528287", Warning::PartNumber),
            ("CAI ST ALB VT", Warning::ImporterName),
            ("Acme Trading Inc.", Warning::ImporterName),
            ("Made in Italy", Warning::MadeIn),
            ("СДЕЛАНО В СССР", Warning::MadeIn),
            ("BRASIL", Warning::MadeIn),
            ("IMPORT 98", Warning::ImportMark),
            ("DE 21", Warning::ImportMark),
            ("USA1998", Warning::ImportMark),
            ("PL-2019", Warning::ImportMark),
        ] {
            assert!(of(text, pistol()).contains(&expected), "{text}: {:?}", of(text, pistol()));
        }
    }

    #[test]
    fn a_serial_number_is_not_warned_of() {
        for text in [
            "M12345Z",
            "ABC123",
            "АК 0123",
            "12345",
            "12,345",
            "3012345",
            "BER 123456",
            "T0234-99A",
            "ЛР 1234",
            "KX 1234",
            "AX19",
            "12345X19",
            ".AB",
            "",
            "?",
        ] {
            assert_eq!(of(text, pistol()), [], "{text}");
        }
        assert_eq!(of(&"1".repeat(201), pistol()), []);
    }

    #[test]
    fn t8_an_import_mark_read_as_serial_is_warned_of() {
        let mut rifle = Firearm::of(FirearmType::AssaultRifle);
        rifle.marks = vec![
            Mark::seen(MarkKind::Serial, Raw::typed("KE 2009 7").expect("a mark")),
            Mark::seen(MarkKind::ImportCountry, Raw::typed("KE-2009/7").expect("a mark")),
        ];
        let found = of("KE 2009 7", rifle);
        assert_eq!(found, [Warning::ImportMark]);
        assert!(found[0].to_string().contains("import mark"));
        assert_eq!(of("KE 09", Firearm::of(FirearmType::Rifle)), [Warning::ImportMark]);
    }

    #[test]
    fn t8_only_the_code_of_an_import_makes_letters_and_a_year_an_import_mark() {
        for (kind, expected) in
            [(MarkKind::ImportCountry, vec![Warning::ImportMark]), (MarkKind::Proof, Vec::new())]
        {
            let mut rifle = Firearm::of(FirearmType::Rifle);
            let mut mark = Mark::seen(kind, Raw::typed("a crown").expect("a mark"));
            mark.decoded = Some(Decoded { country: "XQZ".parse().ok(), ..Decoded::default() });
            rifle.marks = vec![mark];
            assert_eq!(of("XQZ 09", rifle), expected, "{kind}");
        }
    }

    #[test]
    fn beretta_and_taurus_are_told_apart_by_name_and_country() {
        let make = |name: &str| Some(Make { as_marked: Some(line(name)), ..Make::default() });
        let mut pistol = Firearm::of(FirearmType::Pistol);
        pistol.model = Some(line("92FS"));
        assert_eq!(of("B12345Z", pistol.clone()), [Warning::BerettaOrTaurus]);
        pistol.make = make("P. Beretta");
        pistol.country_of_manufacture = Some("ITA".parse().expect("a State"));
        assert_eq!(of("B12345Z", pistol.clone()), [Warning::BerettaOrTaurus], "the name was not read on it");
        pistol.marks =
            vec![Mark::seen(MarkKind::ManufacturerName, Raw::typed("PIETRO BERETTA").expect("a mark"))];
        assert_eq!(of("B12345Z", pistol.clone()), []);
        pistol.make = make("Taurus");
        assert_eq!(of("B12345Z", pistol.clone()), [Warning::BerettaOrTaurus], "Taurus does not make it");
        pistol.model = Some(line("PT 92 AF"));
        pistol.country_of_manufacture = Some("BRA".parse().expect("a State"));
        pistol.marks.clear();
        pistol.marks.push(Mark::seen(MarkKind::ManufacturerName, Raw::typed("TAURUS").expect("a mark")));
        assert_eq!(of("TAU92123", pistol), []);
    }
}

//! What Unicode knows about letters: normal forms, values of digits, scripts, look-alikes.
//!
//! The only file that names the libraries with Unicode's data. What a look-alike means for a serial number is
//! decided in `serial`.

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::CodePointMapData;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup, Script as Property};
use icu_properties::script::ScriptWithExtensions;

use crate::mark::Script;

/// The text in Unicode's composed form (NFC): how it is written down, nothing else changed.
pub(crate) fn nfc(text: &str) -> String {
    ComposingNormalizerBorrowed::new_nfc().normalize(text).into_owned()
}

/// Whether the text is in Unicode's composed form already.
pub(crate) fn is_nfc(text: &str) -> bool {
    ComposingNormalizerBorrowed::new_nfc().is_normalized(text)
}

/// The text with full-width, superscript and other forms of the same letters made one (NFKC).
pub(crate) fn nfkc(text: &str) -> String {
    ComposingNormalizerBorrowed::new_nfkc().normalize(text).into_owned()
}

/// The digit 0 to 9 that a decimal digit of any script stands for.
///
/// Unicode encodes the ten digits of a script one after the other from zero up (UAX #44, `Nd`), so the value
/// is the place within the run and no table is needed.
pub(crate) fn digit(letter: char) -> Option<char> {
    let category = CodePointMapData::<GeneralCategory>::new();
    let is_digit = |point: u32| category.get32(point) == GeneralCategory::DecimalNumber;
    let point = u32::from(letter);
    if !is_digit(point) {
        return None;
    }
    let before = (1..=LONGEST_RUN).take_while(|back| point.checked_sub(*back).is_some_and(is_digit)).count();
    char::from_digit(u32::try_from(before % 10).ok()?, 10)
}

/// Whether the character is no letter but a space, a sign of punctuation, or layout such as a mark of direction.
pub(crate) fn is_sign(letter: char) -> bool {
    let category = CodePointMapData::<GeneralCategory>::new().get(letter);
    let signs = [GeneralCategoryGroup::Punctuation, GeneralCategoryGroup::Separator];
    let layout = [GeneralCategory::Control, GeneralCategory::Format];
    letter.is_whitespace()
        || letter == MINUS
        || layout.contains(&category)
        || signs.iter().any(|group| group.contains(category))
}

/// The script a letter or digit tells of; none for what all scripts share.
pub(crate) fn script(letter: char) -> Option<Script> {
    let property = match CodePointMapData::<Property>::new().get(letter) {
        // Arabic-Indic digits are shared by several scripts, Arabic first.
        Property::Common if digit(letter).is_some() => {
            ScriptWithExtensions::new().get_script_extensions_val(letter).iter().next()?
        }
        property => property,
    };
    Some(match property {
        Property::Arabic => Script::Arabic,
        Property::Armenian => Script::Armenian,
        Property::Bengali => Script::Bengali,
        Property::Common | Property::Inherited | Property::Unknown => return None,
        Property::Cyrillic => Script::Cyrillic,
        Property::Devanagari => Script::Devanagari,
        Property::Ethiopic => Script::Ethiopic,
        Property::Georgian => Script::Georgian,
        Property::Greek => Script::Greek,
        Property::Han => Script::Han,
        Property::Hangul => Script::Hangul,
        Property::Hebrew => Script::Hebrew,
        Property::Hiragana | Property::Katakana => Script::Kana,
        Property::Khmer => Script::Khmer,
        Property::Lao => Script::Lao,
        Property::Latin => Script::Latin,
        Property::Myanmar => Script::Myanmar,
        Property::Thai => Script::Thai,
        _ => Script::Other,
    })
}

/// The letter that Unicode takes for the model of all that look like this one (UTS #39); itself if there is none
/// or if it looks like several letters in a row.
pub(crate) fn look(letter: char) -> char {
    let mut buffer = [0; 4];
    let text: &str = letter.encode_utf8(&mut buffer);
    let mut models = unicode_security::skeleton(text);
    match (models.next(), models.next()) {
        (Some(model), None) => model,
        _ => letter,
    }
}

/// A dash to everybody but Unicode, which counts it among mathematical signs.
const MINUS: char = '\u{2212}';

/// The mathematical digits are five runs in a row; no longer run is known.
const LONGEST_RUN: u32 = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_every_script_have_their_values() {
        for (text, value) in [("0٠۰०০๐０", '0'), ("7٧۷७৭๗７𝟕", '7'), ("9٩۹९৯๙９𝟿", '9')]
        {
            for letter in text.chars() {
                assert_eq!(digit(letter), Some(value), "{letter}");
            }
        }
        for letter in "Aⅳ½一²".chars() {
            assert_eq!(digit(letter), None, "{letter}");
        }
        let all = (0..=0x10_ffff).filter_map(char::from_u32).filter_map(digit);
        let mut counts = [0; 10];
        all.for_each(|value| counts[value as usize - '0' as usize] += 1);
        assert!(counts[0] > 60 && counts.iter().all(|count| *count == counts[0]), "{counts:?}");
    }

    #[test]
    fn letters_tell_their_script() {
        for (letters, expected) in [
            ("ك٣", Script::Arabic),
            ("Ա", Script::Armenian),
            ("অ৩", Script::Bengali),
            ("Я", Script::Cyrillic),
            ("अ३", Script::Devanagari),
            ("አ", Script::Ethiopic),
            ("ა", Script::Georgian),
            ("Ω", Script::Greek),
            ("国", Script::Han),
            ("한", Script::Hangul),
            ("א", Script::Hebrew),
            ("あア", Script::Kana),
            ("ក៣", Script::Khmer),
            ("ກ໓", Script::Lao),
            ("A\u{e9}", Script::Latin),
            ("က၃", Script::Myanmar),
            ("ก๓", Script::Thai),
            ("Ꭰ", Script::Other),
        ] {
            for letter in letters.chars() {
                assert_eq!(script(letter), Some(expected), "{letter}");
            }
        }
        assert_eq!(script('3'), None);
    }
}

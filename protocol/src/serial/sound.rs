//! Cyrillic and Greek letters by their sound, as an officer with a Latin keyboard may have typed them (law §6.3,
//! serial handling 4).

use std::collections::BTreeSet;

/// Most ways in which one serial number is spelt by sound.
pub const MAX_SPELLINGS: usize = 8;

/// One way to spell a serial number in Latin letters: each letter of the original with what stands for it.
pub(super) type Spelling = Vec<(char, &'static str)>;

/// The ways to spell these letters by sound; none if no letter has one. Letters without a sound stand for themselves
/// and have an empty text here.
///
/// Whoever types by sound mostly keeps to one habit, so the three habits of the table come first, and mixtures
/// after them.
pub(super) fn spellings(letters: &[char]) -> Vec<Spelling> {
    let choices: Vec<&[&str]> = letters.iter().map(|letter| sounds(*letter).unwrap_or(&[])).collect();
    let widest = choices.iter().map(|choice| choice.len()).max().unwrap_or(0);
    if widest == 0 {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut said = BTreeSet::new();
    let mut add = |picks: &[usize]| {
        let pick = |(place, letter): (usize, &char)| {
            let choice = choices[place];
            let text = choice.get(picks[place].min(choice.len().saturating_sub(1)));
            (*letter, text.copied().unwrap_or(""))
        };
        let spelling: Spelling = letters.iter().enumerate().map(pick).collect();
        if found.len() < MAX_SPELLINGS && said.insert(text(&spelling)) {
            found.push(spelling);
        }
    };
    for habit in 0..widest {
        add(&vec![habit; letters.len()]);
    }
    let mut picks = vec![0; letters.len()];
    for _ in 0..MIXTURES {
        let Some(turn) = (0..picks.len()).find(|place| picks[*place] + 1 < choices[*place].len()) else {
            break;
        };
        picks[turn] += 1;
        picks[..turn].fill(0);
        add(&picks);
    }
    found
}

/// The Latin text of a spelling.
pub(super) fn text(spelling: &Spelling) -> String {
    spelling.iter().fold(String::new(), |mut text, (letter, sound)| {
        if sounds(*letter).is_some() {
            text.push_str(sound);
        } else {
            text.push(*letter);
        }
        text
    })
}

/// Whether the letter has a sound here: a Cyrillic or Greek capital.
pub(super) fn is_heard(letter: char) -> bool {
    sounds(letter).is_some()
}

/// Mixtures of habits that are tried; no more than [`MAX_SPELLINGS`] are kept.
const MIXTURES: usize = 64;

/// What is typed for a capital: in the English manner, in the Serbian, in others.
fn sounds(letter: char) -> Option<&'static [&'static str]> {
    Some(match letter {
        'А' | 'Α' => &["A"],
        'Б' => &["B"],
        'В' => &["V", "V", "W"],
        'Г' => &["G", "G", "H"],
        'Ґ' => &["G"],
        'Д' => &["D"],
        'Ђ' => &["DJ", "D"],
        'Ѓ' => &["GJ", "DJ"],
        'Е' | 'Ε' | 'Э' => &["E"],
        'Ё' => &["YO", "E", "JO"],
        'Є' => &["YE", "JE", "IE"],
        'Ж' => &["ZH", "Z", "J"],
        'З' | 'Ζ' => &["Z"],
        'Ѕ' => &["DZ"],
        'И' | 'І' | 'Ι' => &["I"],
        'Ї' => &["YI", "JI", "I"],
        'Й' => &["Y", "J", "I"],
        'Ј' => &["J", "J", "Y"],
        'К' | 'Κ' => &["K"],
        'Ќ' => &["KJ", "C"],
        'Л' | 'Λ' => &["L"],
        'Љ' => &["LJ"],
        'М' | 'Μ' => &["M"],
        'Н' | 'Ν' => &["N"],
        'Њ' => &["NJ"],
        'О' | 'Ο' | 'Ω' => &["O"],
        'П' | 'Π' => &["P"],
        'Р' | 'Ρ' => &["R"],
        'С' | 'Σ' => &["S"],
        'Т' | 'Τ' => &["T"],
        'Ћ' => &["C", "C", "TJ"],
        'У' => &["U"],
        'Ў' => &["W", "U"],
        'Ф' => &["F"],
        'Х' => &["KH", "H", "CH"],
        'Ц' => &["TS", "C", "TZ"],
        'Ч' => &["CH", "C", "TCH"],
        'Џ' => &["DZ", "DZ", "DJ"],
        'Ш' => &["SH", "S", "CH"],
        'Щ' => &["SHCH", "SHT", "SCH"],
        'Ъ' | 'Ь' => &[""],
        'Ы' => &["Y"],
        'Ю' => &["YU", "JU", "IU"],
        'Я' => &["YA", "JA", "IA"],
        'Β' => &["V", "B"],
        'Γ' => &["G", "GH"],
        'Δ' => &["D", "DH"],
        'Η' => &["I", "H", "E"],
        'Θ' => &["TH"],
        'Ξ' => &["X", "KS"],
        'Υ' => &["Y", "U"],
        'Φ' => &["F", "PH"],
        'Χ' => &["CH", "H", "KH"],
        'Ψ' => &["PS"],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelt(text_: &str) -> Vec<String> {
        spellings(&text_.chars().collect::<Vec<_>>()).iter().map(text).collect()
    }

    #[test]
    fn letters_are_spelt_by_sound_in_each_habit_first() {
        assert_eq!(spelt("ХЯ7"), ["KHYA7", "HJA7", "CHIA7", "HYA7", "CHYA7", "KHJA7", "CHJA7", "KHIA7"]);
        assert_eq!(spelt("АК"), ["AK"]);
        assert_eq!(spelt("ΘΞ1"), ["THX1", "THKS1"]);
        assert_eq!(spelt("AK12"), Vec::<String>::new());
    }

    #[test]
    fn a_long_number_has_no_more_spellings_than_the_bound() {
        let long: Vec<char> = "ХЖЦЧШЩЮЯ".chars().cycle().take(64).collect();
        assert_eq!(spellings(&long).len(), MAX_SPELLINGS);
    }
}

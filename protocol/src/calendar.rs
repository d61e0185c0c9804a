//! Years as they are marked on arms, in the calendars of their makers, and the Gregorian years they mean
//! (law §6.3, serial handling 8).

use crate::handling::code_list;
use crate::letters;

code_list!(
    /// The calendar a year was marked in.
    Calendar {
        Gregorian = "GREGORIAN",
        /// Islamic, lunar; counted here by arithmetic (the civil scheme of thirty years), a day or two from what
        /// was observed.
        Hijri = "HIJRI",
        /// Years of a reign: Meiji to Reiwa.
        JapaneseEra = "JAPANESE_ERA",
        /// Of the Republic of China: year 1 is 1912.
        Minguo = "MINGUO",
        /// Solar Hijri, from March to March.
        Persian = "PERSIAN",
        /// Buddhist era as counted in Thailand; until 2483 (1940) the year began in April.
        ThaiBuddhist = "THAI_BUDDHIST",
    }
);

/// A Gregorian year, or the two that a year of another calendar touches.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Years {
    /// The first of them.
    pub first: u16,
    /// The last of them; the same, or the next.
    pub last: u16,
}

impl Years {
    /// Whether `year` may be meant.
    pub fn contains(self, year: u16) -> bool {
        (self.first..=self.last).contains(&year)
    }
}

impl std::fmt::Display for Years {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{} or {}", self.first, self.last)
        }
    }
}

impl Calendar {
    /// The Gregorian years that a year, as it is marked, means in this calendar; digits of any script. None if it
    /// is no year between 1300 and 2200, or names no era where one is needed.
    pub fn years(self, as_marked: &str) -> Option<Years> {
        if as_marked.chars().count() > 20 {
            return None;
        }
        let text = letters::nfkc(as_marked.trim());
        let digits: String = text.chars().filter_map(letters::digit).collect();
        let first_year = text.contains('元') && digits.is_empty();
        let year: u32 = if first_year { 1 } else { digits.parse().ok()? };
        if !(1..=3000).contains(&year) {
            return None;
        }
        let (first, last) = match self {
            Self::Gregorian => (year, year),
            Self::Hijri => (year_of_day(hijri_new_year(year)), year_of_day(hijri_new_year(year + 1) - 1)),
            Self::JapaneseEra => {
                let era = ERAS.iter().find(|era| era.is_named_in(&text))?;
                let year = era.first + year - 1;
                if year > era.last {
                    return None;
                }
                (year, year)
            }
            Self::Minguo => (year + 1911, year + 1911),
            Self::Persian => (year + 621, year + 622),
            Self::ThaiBuddhist => {
                let year = year.checked_sub(543)?;
                (year, if year < 1940 { year + 1 } else { year })
            }
        };
        let plausible = 1300..=2200;
        if !plausible.contains(&first) || !plausible.contains(&last) {
            return None;
        }
        Some(Years { first: u16::try_from(first).ok()?, last: u16::try_from(last).ok()? })
    }
}

/// A reign by whose years Japan counts.
struct Era {
    kanji: &'static str,
    letter: char,
    first: u32,
    last: u32,
}

impl Era {
    fn is_named_in(&self, text: &str) -> bool {
        text.starts_with(self.kanji)
            || text.chars().next().is_some_and(|c| c.eq_ignore_ascii_case(&self.letter))
    }
}

const ERAS: [Era; 5] = [
    Era { kanji: "明治", letter: 'M', first: 1868, last: 1912 },
    Era { kanji: "大正", letter: 'T', first: 1912, last: 1926 },
    Era { kanji: "昭和", letter: 'S', first: 1926, last: 1989 },
    Era { kanji: "平成", letter: 'H', first: 1989, last: 2019 },
    Era { kanji: "令和", letter: 'R', first: 2019, last: 2200 },
];

/// The first day of a Hijri year, counted from 1 January of the year 1 (day 1): eleven years of thirty are a day
/// longer than 354 days.
fn hijri_new_year(year: u32) -> u32 {
    // 16 July 622 of the Julian calendar.
    const FIRST: u32 = 227_015;
    FIRST + (year - 1) * 354 + (3 + 11 * year) / 30
}

/// The Gregorian year of a day counted from 1 January of the year 1 (day 1).
fn year_of_day(day: u32) -> u32 {
    let days_before = |year: u32| (year - 1) * 365 + (year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400;
    let guess = (day / 366).max(1);
    (guess..).take_while(|year| days_before(*year) < day).last().unwrap_or(guess)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn years_of_other_calendars_are_told_in_ours() {
        for (calendar, marked, expected) in [
            (Calendar::Gregorian, "1943", "1943"),
            (Calendar::Hijri, "1360", "1941 or 1942"),
            (Calendar::Hijri, "١٣٤٢", "1923 or 1924"),
            (Calendar::Hijri, "1445", "2023 or 2024"),
            (Calendar::JapaneseEra, "昭和16年", "1941"),
            (Calendar::JapaneseEra, "S.20", "1945"),
            (Calendar::JapaneseEra, "昭和64年", "1989"),
            (Calendar::JapaneseEra, "令和元年", "2019"),
            (Calendar::Minguo, "38", "1949"),
            (Calendar::Persian, "۱۳۲۹", "1950 or 1951"),
            (Calendar::ThaiBuddhist, "๒๔๔๖", "1903 or 1904"),
            (Calendar::ThaiBuddhist, "2510", "1967"),
        ] {
            let years = calendar.years(marked).map(|years| years.to_string());
            assert_eq!(years.as_deref(), Some(expected), "{calendar} {marked}");
        }
        for (calendar, marked) in [
            (Calendar::Gregorian, "12"),
            (Calendar::Gregorian, ""),
            (Calendar::JapaneseEra, "16"),
            (Calendar::JapaneseEra, "大正 40"),
            (Calendar::JapaneseEra, "昭和65年"),
            (Calendar::ThaiBuddhist, "12"),
            (Calendar::Hijri, "99999999999999999999"),
        ] {
            assert_eq!(calendar.years(marked), None, "{calendar} {marked}");
        }
    }

    #[test]
    fn a_year_is_read_from_twenty_characters_and_from_no_more() {
        assert_eq!(
            Calendar::Gregorian.years(&format!("{:>20}", "1943")).map(|years| years.to_string()),
            Some("1943".into())
        );
        assert_eq!(Calendar::Gregorian.years(&format!("{:>21}", "1943")), None);
    }

    #[test]
    fn hijri_new_years_are_where_almanacs_have_them() {
        // 1 Muharram 1446 was 7 or 8 July 2024 by arithmetic: day 739,074 or so of our era.
        assert_eq!(year_of_day(hijri_new_year(1446)), 2024);
        assert_eq!(year_of_day(hijri_new_year(1)), 622);
        assert_eq!((year_of_day(365), year_of_day(366), year_of_day(1)), (1, 2, 1));
        assert_eq!((year_of_day(738_885), year_of_day(738_886)), (2023, 2024));
        assert_eq!((year_of_day(730_119), year_of_day(730_120)), (1999, 2000));
    }
}

//! Serial numbers: when what one officer typed and what another State recorded are one number, and why (law §6.3,
//! serial handling).
//!
//! Nothing here decides. A [`Tier`] says how far two numbers agree, and each [`Why`] says to an officer, letter by
//! letter, what differs. A number alone is never a key: manufacturers use numbers twice, so make, model, calibre
//! and country are compared elsewhere. Nor is anything overwritten: all forms are derived from the mark as seen.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::letters;
use crate::mark::{Script, UNREAD};

mod index;
mod sound;
mod warning;

pub use index::SerialIndex;
pub use sound::MAX_SPELLINGS;
pub use warning::{Warning, warnings};

/// Longest serial number that is compared, in characters. Longer ones match nothing.
pub const MAX_SERIAL: usize = 64;
/// Least characters of both numbers for them to match with one of them wrong: of three, any two are alike.
pub const MIN_FOR_EDIT: usize = 4;
/// Least characters that both numbers show for a pattern to match.
pub const MIN_KNOWN: usize = 2;

/// How far two serial numbers agree; the best first.
///
/// Only the first two may be answered without an officer, and only where make, calibre and country agree too.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Tier {
    /// The same characters, and all of them read.
    Exact,
    /// The same letters and digits, in whatever case, script of digits or punctuation.
    Normalised,
    /// Letters and digits that look alike, or sound alike in another script.
    Confusable,
    /// Alike wherever both could be read.
    Partial,
    /// One character is wrong, missing or too many, or two neighbours are exchanged.
    #[serde(rename = "EDIT_DISTANCE_1")]
    EditDistance1,
}

impl Tier {
    /// All of them, the best first.
    pub const ALL: [Self; 5] =
        [Self::Exact, Self::Normalised, Self::Confusable, Self::Partial, Self::EditDistance1];

    /// The word of the code list.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "EXACT",
            Self::Normalised => "NORMALISED",
            Self::Confusable => "CONFUSABLE",
            Self::Partial => "PARTIAL",
            Self::EditDistance1 => "EDIT_DISTANCE_1",
        }
    }

    /// Whether such a match may be answered by a rule, where make, calibre and country agree too. All others need
    /// an officer.
    pub fn may_be_answered_by_rule(self) -> bool {
        matches!(self, Self::Exact | Self::Normalised)
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Two serial numbers that agree so far.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct SerialMatch {
    /// How far.
    pub tier: Tier,
    /// What differs all the same; empty only for [`Tier::Exact`].
    pub why: Vec<Why>,
    /// Letters and digits that are the same in both.
    pub same: u16,
    /// Letters and digits of the longer one.
    pub of: u16,
}

impl SerialMatch {
    /// How much of it is the same, in per cent, rounded down: an order among matches of one tier, no probability.
    pub fn score(&self) -> u8 {
        let per_cent = u32::from(self.same) * 100 / u32::from(self.of.max(1));
        u8::try_from(per_cent).unwrap_or(100).min(100)
    }
}

impl fmt::Display for SerialMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tier.as_str())?;
        for (place, why) in self.why.iter().enumerate() {
            write!(f, "{}{why}", if place == 0 { ": " } else { "; " })?;
        }
        Ok(())
    }
}

/// What differs between two serial numbers, and why they match all the same. Positions count letters and digits of
/// what was asked, from 1, without the signs between them.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(tag = "why", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Why {
    /// Typed by sound on another keyboard.
    BySound {
        /// The letter on one side.
        written: char,
        /// What stands for it on the other.
        typed: String,
    },
    /// Capital and small letters.
    Case,
    /// One character is another: the one error that [`Tier::EditDistance1`] allows.
    Differs {
        /// Where.
        position: u16,
        /// What was asked.
        asked: char,
        /// What is recorded.
        recorded: char,
    },
    /// A digit of another script.
    Digit {
        /// Where.
        position: u16,
        /// The digit as written on one side.
        written: char,
        /// Its value.
        value: char,
    },
    /// Two neighbours stand the other way round.
    Exchanged {
        /// Where the first of them stands.
        position: u16,
    },
    /// Full-width or other forms of the same characters.
    Form,
    /// A letter of another script that looks the same.
    LookAlike {
        /// Where.
        position: u16,
        /// The letter that is not Latin.
        written: char,
        /// What it was read as.
        read: char,
    },
    /// What was asked lacks a character.
    Missing {
        /// Where it stands in the record.
        position: u16,
        /// What is recorded there.
        recorded: char,
    },
    /// One side has "No", "SER" or the like before the number.
    Prefix,
    /// Spaces and signs between the characters.
    Signs,
    /// A letter or digit that is easily taken for another.
    TakenFor {
        /// Where.
        position: u16,
        /// What was asked.
        asked: char,
        /// What is recorded.
        recorded: char,
    },
    /// What was asked has a character too many.
    TooMany {
        /// Where.
        position: u16,
        /// Which.
        asked: char,
    },
    /// A position that one side could not read.
    Unread {
        /// Where.
        position: u16,
        /// What the other side has there; `?` if neither could read it.
        stands_for: char,
    },
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BySound { written, typed } if typed.is_empty() => {
                write!(f, "typed by sound: {written} left out")
            }
            Self::BySound { written, typed } => write!(f, "typed by sound: {written} as {typed}"),
            Self::Case => f.write_str("capital and small letters"),
            Self::Differs { position, asked, recorded } => {
                write!(f, "one character differs at position {position}: {asked} asked, {recorded} recorded")
            }
            Self::Digit { position, written, value } => {
                write!(f, "position {position}: {} digit {written} is {value}", script_name(*written))
            }
            Self::Exchanged { position } => {
                write!(f, "positions {position} and {} are exchanged", position.saturating_add(1))
            }
            Self::Form => f.write_str("another form of the same characters, such as full-width"),
            Self::LookAlike { position, written, read } => {
                write!(f, "position {position}: {} read as {}", named(*written), named(*read))
            }
            Self::Missing { position, recorded } => {
                write!(f, "one character was not asked for: {recorded} at position {position} of the record")
            }
            Self::Prefix => f.write_str("a word before the number, such as No or SER, left out"),
            Self::Signs => f.write_str("spaces and signs left out"),
            Self::TakenFor { position, asked, recorded } => {
                write!(f, "position {position}: {asked} taken for {recorded}")
            }
            Self::TooMany { position, asked } => {
                write!(f, "one character is not in the record: {asked} asked at position {position}")
            }
            Self::Unread { position, stands_for: UNREAD } => {
                write!(f, "position {position}: read by neither side")
            }
            Self::Unread { position, stands_for } => {
                write!(f, "position {position}: ? stands for {stands_for}")
            }
        }
    }
}

/// How far a serial number that is asked about agrees with one on record; none if it does not.
///
/// It is the same tier whoever asked and whoever recorded.
pub fn compare(asked: &str, recorded: &str) -> Option<SerialMatch> {
    Reading::of(asked)?.compare(&Reading::of(recorded)?)
}

/// The letters and digits of a serial number: one form of each (NFKC), capitals, European digits, no spaces or
/// punctuation, no "No", "SER" or "#" before it. None if nothing is left, or it is longer than [`MAX_SERIAL`].
///
/// A word before the number goes if a sign or space follows it, or if it is written small and a digit follows:
/// `SER. 123`, `No 123`, `No123`, `Nr. 123`. It stays in `NO123`, `SER123` and `NR 123`, which may be the maker's own
/// letters; those are [`Tier::Confusable`] with `123`, for an officer to decide. Signs go even where they part a year
/// or block from a number: `78/123` and `7-8123` are one.
pub fn canonical(raw: &str) -> Option<String> {
    Reading::of(raw).map(|reading| reading.letters.into_iter().collect())
}

/// What a canonical serial number looks like: each letter replaced by one that stands for all its look-alikes.
///
/// Letters of other scripts go to their models of Unicode's list (UTS #39), then those that wear or haste make alike
/// go together: O 0 Q D, I 1 L |, S 5, Z 2, B 8, G 6. Ours differs from Unicode's skeleton in three ways: it is of
/// capitals, as marks are, so that what only small letters share does not count; models of several letters
/// (`m` like `rn`) are left alone, so that positions stay; and the groups above are wider than Unicode's, which
/// thinks of screens and not of steel.
pub fn skeleton(canonical: &str) -> String {
    canonical.chars().map(fold).collect()
}

/// The ways to spell a serial number with Cyrillic or Greek letters in Latin ones, by sound; at most
/// [`MAX_SPELLINGS`], in canonical form. Empty for all others.
pub fn transliterations(raw: &str) -> Vec<String> {
    Reading::of(raw)
        .map(|reading| sound::spellings(&reading.letters).iter().map(sound::text).collect())
        .unwrap_or_default()
}

/// A serial number some positions of which could not be read, each written `?`.
///
/// At least [`MIN_KNOWN`] positions, and half of all, are known: less would match anything.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pattern(Reading);

impl Pattern {
    /// The pattern that is written so; none if it has no `?`, knows too little, or is longer than [`MAX_SERIAL`].
    pub fn parse(text: &str) -> Option<Self> {
        let reading = Reading::of(text)?;
        let known = reading.letters.iter().filter(|letter| **letter != UNREAD).count();
        (reading.partial && enough(known, reading.letters.len())).then_some(Self(reading))
    }

    /// How the recorded number fits; the tier is [`Tier::Partial`].
    pub fn matches(&self, recorded: &str) -> Option<SerialMatch> {
        self.0.compare(&Reading::of(recorded)?)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.letters.iter().try_for_each(|letter| write!(f, "{letter}"))
    }
}

/// A serial number in all the forms it is compared in.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Reading {
    /// As seen, in NFC, without spaces around it.
    raw: String,
    /// Whether `raw` has full-width or other forms.
    formed: bool,
    /// The signs of `raw`, in order.
    signs: String,
    /// Whether a word before the number was left out.
    prefixed: bool,
    /// The canonical form.
    letters: Vec<char>,
    /// As written, before capitals and European digits, letter by letter.
    written: Vec<char>,
    /// The skeleton.
    folded: Vec<char>,
    /// Length of what may be a word before the number, and may be the maker's own letters.
    doubtful: usize,
    /// Whether some position could not be read.
    partial: bool,
    /// Whether some letter may be typed by sound.
    heard: bool,
}

/// A letter of a mark on its way to the canonical form.
struct Glyph {
    letter: char,
    written: char,
    /// The first sign before it, if there is one.
    after: Option<char>,
}

impl Reading {
    fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.chars().nth(MAX_SERIAL).is_some() {
            return None;
        }
        let raw = letters::nfc(text);
        // The sign № is a word with its full stop; taken apart by NFKC it would look like letters.
        let apart = raw.replace('№', "No.").replace("N°", "No.").replace("n°", "No.");
        let plain = letters::nfkc(&apart);
        let formed = plain != apart;
        let (glyphs, signs) = glyphs(&plain)?;
        let (start, doubtful) = prefix(&glyphs);
        let number = &glyphs[start..];
        if !number.iter().any(|glyph| glyph.letter.is_alphanumeric()) {
            return None;
        }
        let plain: String = number.iter().map(|glyph| glyph.letter).collect();
        // Without the signs between them, an accent may join a letter; then nothing tells what was written how.
        let letters: Vec<char> = letters::nfkc(&plain).chars().collect();
        let written = if plain.chars().eq(letters.iter().copied()) {
            number.iter().map(|glyph| glyph.written).collect()
        } else {
            letters.clone()
        };
        (letters.len() <= MAX_SERIAL).then(|| Self {
            raw,
            formed,
            signs,
            prefixed: start > 0,
            written,
            folded: letters.iter().copied().map(fold).collect(),
            doubtful,
            partial: letters.contains(&UNREAD),
            heard: letters.iter().copied().any(sound::is_heard),
            letters,
        })
    }

    fn compare(&self, recorded: &Self) -> Option<SerialMatch> {
        if self.partial || recorded.partial {
            return self.alike(recorded, Tier::Partial).or_else(|| self.by_sound(recorded, Tier::Partial));
        }
        if self.raw == recorded.raw {
            let of = count(self.letters.len());
            return Some(SerialMatch { tier: Tier::Exact, why: Vec::new(), same: of, of });
        }
        if self.letters == recorded.letters {
            return self.alike(recorded, Tier::Normalised);
        }
        self.alike(recorded, Tier::Confusable)
            .or_else(|| self.by_sound(recorded, Tier::Confusable))
            .or_else(|| self.without_prefix(recorded))
            .or_else(|| self.with_one_error(recorded))
    }

    /// A match position by position.
    fn alike(&self, recorded: &Self, tier: Tier) -> Option<SerialMatch> {
        if self.letters.len() != recorded.letters.len() {
            return None;
        }
        let mut tally = Tally::default();
        for place in 0..self.letters.len() {
            tally.pair((self, place), (recorded, place))?;
        }
        tally.conclude(tier, self, recorded)
    }

    /// A match of Cyrillic or Greek letters on one side with Latin ones on the other, by sound.
    fn by_sound(&self, recorded: &Self, tier: Tier) -> Option<SerialMatch> {
        let heard = match (self.heard, recorded.heard) {
            (true, false) => self,
            (false, true) => recorded,
            _ => return None,
        };
        let spellings = sound::spellings(&heard.letters);
        spellings.iter().find_map(|spelling| self.spelt(recorded, spelling, tier))
    }

    /// A match by this spelling of whichever side is heard.
    fn spelt(&self, recorded: &Self, spelling: &sound::Spelling, tier: Tier) -> Option<SerialMatch> {
        let (heard, typed) = if self.heard { (self, recorded) } else { (recorded, self) };
        let mut tally = Tally::default();
        let mut at = 0;
        for (place, (letter, sound)) in spelling.iter().enumerate() {
            if !sound::is_heard(*letter) {
                let pair = ((heard, place), (typed, at));
                let (asked, record) = if self.heard { pair } else { (pair.1, pair.0) };
                typed.letters.get(at)?;
                tally.pair(asked, record)?;
                at += 1;
                continue;
            }
            let fits = |(one, two): (&char, char)| *one == UNREAD || fold(*one) == fold(two);
            let length = sound.chars().count();
            let there = typed.letters.get(at..at + length)?;
            if !there.iter().zip(sound.chars()).all(fits) {
                return None;
            }
            tally.known += usize::from(!there.contains(&UNREAD));
            tally.why.push(match there {
                // А and A sound alike and look alike: the look is what an officer can check.
                [read] if fold(*read) == fold(*letter) => Why::LookAlike {
                    position: count(1 + if self.heard { place } else { at }),
                    written: *letter,
                    read: *read,
                },
                _ => Why::BySound { written: *letter, typed: there.iter().collect() },
            });
            at += length;
        }
        if at != typed.letters.len() {
            return None;
        }
        tally.conclude(tier, self, recorded)
    }

    /// A match if NO or SER, written as if they were letters of the number, are none.
    fn without_prefix(&self, recorded: &Self) -> Option<SerialMatch> {
        let (asked, record) = match (self.doubtful, recorded.doubtful) {
            (0, 0) => return None,
            (_, 0) => (self.bare(), recorded.clone()),
            (0, _) => (self.clone(), recorded.bare()),
            _ => return None,
        };
        let mut found = asked.alike(&record, Tier::Confusable)?;
        if !found.why.contains(&Why::Prefix) {
            found.why.push(Why::Prefix);
        }
        found.of = longest(self, recorded);
        Some(found)
    }

    /// The same number without the letters that may be a word before it.
    fn bare(&self) -> Self {
        let mut bare = self.clone();
        bare.letters.drain(..self.doubtful);
        bare.written.drain(..self.doubtful);
        bare.folded.drain(..self.doubtful);
        bare.doubtful = 0;
        bare.prefixed = true;
        bare
    }

    /// A match but for one character.
    fn with_one_error(&self, recorded: &Self) -> Option<SerialMatch> {
        let error = one_error(&self.folded, &recorded.folded)?;
        let mut tally = Tally::default();
        let (mut mine, mut theirs) = (0, 0);
        while mine < self.letters.len() || theirs < recorded.letters.len() {
            match error {
                Slip::Differs(at) if mine == at => {
                    tally.why.push(Why::Differs {
                        position: count(at + 1),
                        asked: self.letters[mine],
                        recorded: recorded.letters[theirs],
                    });
                    (mine, theirs) = (mine + 1, theirs + 1);
                }
                Slip::Exchanged(at) if mine == at => {
                    tally.why.push(Why::Exchanged { position: count(at + 1) });
                    (mine, theirs) = (mine + 2, theirs + 2);
                }
                Slip::Missing(at) if theirs == at && mine == at => {
                    let recorded = recorded.letters[at];
                    tally.why.push(Why::Missing { position: count(at + 1), recorded });
                    theirs += 1;
                }
                Slip::TooMany(at) if mine == at && theirs == at => {
                    tally.why.push(Why::TooMany { position: count(at + 1), asked: self.letters[at] });
                    mine += 1;
                }
                _ => {
                    if mine >= self.letters.len() || theirs >= recorded.letters.len() {
                        return None;
                    }
                    tally.pair((self, mine), (recorded, theirs))?;
                    (mine, theirs) = (mine + 1, theirs + 1);
                }
            }
        }
        tally.conclude(Tier::EditDistance1, self, recorded)
    }

    /// The skeletons of its spellings by sound.
    fn heard_as(&self) -> Vec<Vec<char>> {
        let mut forms: Vec<Vec<char>> = sound::spellings(&self.letters)
            .iter()
            .map(|spelling| sound::text(spelling).chars().map(fold).collect())
            .collect();
        forms.sort_unstable();
        forms.dedup();
        forms
    }
}

/// What was found out about a pair of numbers so far.
#[derive(Default)]
struct Tally {
    why: Vec<Why>,
    same: usize,
    known: usize,
    case: bool,
}

impl Tally {
    /// Set two characters against each other; none if nothing explains how they differ.
    fn pair(&mut self, (asked, here): (&Reading, usize), (recorded, there): (&Reading, usize)) -> Option<()> {
        let position = count(here + 1);
        let (one, two) = (asked.letters[here], recorded.letters[there]);
        if one == UNREAD || two == UNREAD {
            let stands_for = if one == UNREAD { two } else { one };
            self.why.push(Why::Unread { position, stands_for });
            return Some(());
        }
        self.known += 1;
        if one == two {
            self.same += 1;
            let (one, two) = (asked.written[here], recorded.written[there]);
            if one != two {
                match (letters::digit(one), letters::digit(two)) {
                    (Some(value), Some(_)) => {
                        let written = if one == value { two } else { one };
                        self.why.push(Why::Digit { position, written, value });
                    }
                    _ => self.case = true,
                }
            }
            return Some(());
        }
        if fold(one) != fold(two) {
            return None;
        }
        self.why.push(match (is_foreign(one), is_foreign(two)) {
            (true, _) => Why::LookAlike { position, written: one, read: two },
            (false, true) => Why::LookAlike { position, written: two, read: one },
            (false, false) => Why::TakenFor { position, asked: one, recorded: two },
        });
        Some(())
    }

    /// Add what concerns the whole; none if the two show too little.
    fn conclude(mut self, tier: Tier, asked: &Reading, recorded: &Reading) -> Option<SerialMatch> {
        let of = longest(asked, recorded);
        if tier == Tier::Partial && !enough(self.known, usize::from(of)) {
            return None;
        }
        if self.case {
            self.why.push(Why::Case);
        }
        if asked.formed != recorded.formed {
            self.why.push(Why::Form);
        }
        if asked.prefixed != recorded.prefixed {
            self.why.push(Why::Prefix);
        }
        if self.why.is_empty() || asked.signs != recorded.signs && asked.prefixed == recorded.prefixed {
            self.why.push(Why::Signs);
        }
        Some(SerialMatch { tier, why: self.why, same: count(self.same), of })
    }
}

/// The letters of a mark and the signs between them; none if there are too many.
fn glyphs(plain: &str) -> Option<(Vec<Glyph>, String)> {
    let (mut glyphs, mut signs, mut after) = (Vec::new(), String::new(), None);
    for written in plain.chars() {
        let written = if written == ARABIC_QUESTION_MARK { UNREAD } else { written };
        if written == DEGREE || written != UNREAD && letters::is_sign(written) {
            signs.push(written);
            after = after.or(Some(written));
            continue;
        }
        let upper: String = match letters::digit(written) {
            Some(digit) => digit.into(),
            None => letters::nfkc(&written.to_uppercase().collect::<String>()),
        };
        for letter in upper.chars() {
            glyphs.push(Glyph { letter, written, after: after.take() });
        }
        if glyphs.len() > MAX_SERIAL + LONGEST_PREFIX {
            return None;
        }
    }
    (glyphs.len() <= MAX_SERIAL).then_some((glyphs, signs))
}

/// Length of the words before a number, and of what may be one more.
fn prefix(glyphs: &[Glyph]) -> (usize, usize) {
    let mut start = 0;
    loop {
        let rest = &glyphs[start..];
        let fitting =
            PREFIXES.iter().filter_map(|word| Some((word.is_before(rest)?, word.letters.chars().count())));
        match fitting.max() {
            Some((Fit::Certain, length)) => start += length,
            Some((Fit::Doubtful, length)) => return (start, length),
            None => return (start, 0),
        }
    }
}

/// A word that people write before a serial number.
struct Prefix {
    letters: &'static str,
    /// What must follow for it to be one.
    ends: Ends,
}

/// What ends a word before a number.
#[derive(Clone, Copy, PartialEq)]
enum Ends {
    /// Any sign or space; or a digit, if the word is written small.
    Anyhow,
    /// A sign or space: the word is too short to go without.
    Sign,
    /// A full stop or colon, or anything if the word is written `Nr`: in capitals it may be the maker's letters.
    Stop,
    /// As `Anyhow`, and it is written with a stroke inside: S/N.
    Stroke,
}

/// How sure it is that a word before a number is one.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
enum Fit {
    Doubtful,
    Certain,
}

impl Prefix {
    fn is_before(&self, glyphs: &[Glyph]) -> Option<Fit> {
        let length = self.letters.chars().count();
        let word = glyphs.get(..length)?;
        let next = glyphs.get(length)?;
        let spelt = word.iter().map(|glyph| glyph.letter).eq(self.letters.chars());
        let inside = word.get(1..)?.iter().filter_map(|glyph| glyph.after);
        let whole = match self.ends {
            Ends::Stroke => inside.eq(['/']),
            _ => inside.count() == 0,
        };
        if !spelt || !whole {
            return None;
        }
        let small = word.iter().any(|glyph| glyph.written.is_lowercase());
        let title = small && word.first().is_some_and(|glyph| glyph.written.is_uppercase());
        let digit = next.letter.is_ascii_digit() || next.letter == UNREAD;
        let sure = match self.ends {
            Ends::Anyhow => next.after.is_some() || digit && small,
            Ends::Sign => next.after.is_some(),
            Ends::Stop => matches!(next.after, Some('.' | ':')) || title && (next.after.is_some() || digit),
            Ends::Stroke => next.after.is_some() || digit,
        };
        if sure { Some(Fit::Certain) } else { digit.then_some(Fit::Doubtful) }
    }
}

/// Whether enough positions are known to both for a pattern to mean something.
fn enough(known: usize, of: usize) -> bool {
    known >= MIN_KNOWN && known * 2 >= of
}

/// The one error between two skeletons.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Slip {
    Differs(usize),
    Exchanged(usize),
    Missing(usize),
    TooMany(usize),
}

/// The one error that makes `recorded` of `asked`; none if there are none or more, or both are short.
fn one_error(asked: &[char], recorded: &[char]) -> Option<Slip> {
    let (mine, theirs) = (asked.len(), recorded.len());
    if mine.abs_diff(theirs) > 1 || mine.min(theirs) < MIN_FOR_EDIT {
        return None;
    }
    let at = asked.iter().zip(recorded).take_while(|(one, two)| one == two).count();
    let (rest, other) = (&asked[at..], &recorded[at..]);
    match (rest, other) {
        ([], []) => None,
        _ if mine + 1 == theirs => (rest == &other[1..]).then_some(Slip::Missing(at)),
        _ if mine == theirs + 1 => (&rest[1..] == other).then_some(Slip::TooMany(at)),
        ([_, rest @ ..], [_, other @ ..]) if rest == other => Some(Slip::Differs(at)),
        ([a, b, rest @ ..], [c, d, other @ ..]) if a == d && b == c && rest == other => {
            Some(Slip::Exchanged(at))
        }
        _ => None,
    }
}

/// The letter that stands for all look-alikes of a capital.
fn fold(letter: char) -> char {
    let capital = |letter: char| {
        let mut upper = letter.to_uppercase();
        match (upper.next(), upper.next()) {
            (Some(upper), None) => upper,
            _ => letter,
        }
    };
    // The model may be a small letter whose capital has a model of its own.
    let model = capital(letters::look(capital(letters::look(letter))));
    match model {
        'D' | 'O' | 'Q' | '0' => '0',
        '1' | 'I' | 'L' | '|' => '1',
        '2' | 'Z' => '2',
        '5' | 'S' => '5',
        '6' | 'G' => '6',
        '8' | 'B' => '8',
        model => model,
    }
}

/// Whether the letter belongs to a script other than Latin.
fn is_foreign(letter: char) -> bool {
    letters::script(letter).is_some_and(|script| script != Script::Latin)
}

fn script_name(letter: char) -> &'static str {
    letters::script(letter).map_or("European", Script::name)
}

/// A letter with the name of its script, a digit or sign as it is.
fn named(letter: char) -> String {
    match letters::script(letter) {
        Some(script) => format!("{} {letter}", script.name()),
        None => letter.to_string(),
    }
}

fn longest(one: &Reading, two: &Reading) -> u16 {
    count(one.letters.len().max(two.letters.len()))
}

/// Lengths here are of a few hundred characters at most.
fn count(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

const ARABIC_QUESTION_MARK: char = '؟';

/// Written for º in `N°`.
const DEGREE: char = '°';

const LONGEST_PREFIX: usize = 16;

/// Words before a number: those of the requirements, and the same in the languages of the United Nations and of
/// many makers.
const PREFIXES: &[Prefix] = &[
    Prefix { letters: "NO", ends: Ends::Anyhow },
    Prefix { letters: "NR", ends: Ends::Stop },
    Prefix { letters: "NUMBER", ends: Ends::Sign },
    Prefix { letters: "NUMERO", ends: Ends::Sign },
    Prefix { letters: "NUMÉRO", ends: Ends::Sign },
    Prefix { letters: "SER", ends: Ends::Anyhow },
    Prefix { letters: "SERIAL", ends: Ends::Sign },
    Prefix { letters: "SERIE", ends: Ends::Sign },
    Prefix { letters: "SN", ends: Ends::Stroke },
    Prefix { letters: "SÉRIE", ends: Ends::Sign },
    Prefix { letters: "ЗАВ", ends: Ends::Stop },
    Prefix { letters: "НОМЕР", ends: Ends::Sign },
    Prefix { letters: "رقم", ends: Ends::Sign },
    Prefix { letters: "شماره", ends: Ends::Sign },
    Prefix { letters: "编号", ends: Ends::Sign },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_canonical_form_is_letters_and_european_digits() {
        for (raw, expected) in [
            ("ab-12 34/5.6_7*8", "AB12345678"),
            ("№ 0123", "0123"),
            ("No. 0123", "0123"),
            ("No0123", "0123"),
            ("N° 0123", "0123"),
            ("Nº0123", "0123"),
            ("#0123", "0123"),
            ("SER 0123", "0123"),
            ("Serial No: AB123", "AB123"),
            ("S/N AB123", "AB123"),
            ("Nr. 77", "77"),
            ("зав. № 77", "77"),
            ("رقم ١٢٣", "123"),
            ("ＡＢ１２", "AB12"),
            ("۴۵۶ ৭ ๘ ९", "456789"),
            ("NO0123", "NO0123"),
            ("SER123", "SER123"),
            ("SERB 12", "SERB12"),
            ("NR 77", "NR77"),
            ("nr 77", "NR77"),
            ("Nr 77", "77"),
            ("SN 77", "SN77"),
            ("12?4", "12?4"),
            ("12؟4", "12?4"),
            ("1|2", "1|2"),
            ("12\u{200f}34", "1234"),
        ] {
            assert_eq!(canonical(raw).as_deref(), Some(expected), "{raw}");
        }
        for raw in ["", " - ", "???", "#", "…"] {
            assert_eq!(canonical(raw), None, "{raw}");
        }
        assert!(canonical(&"1".repeat(MAX_SERIAL)).is_some());
        assert_eq!(canonical(&"1".repeat(MAX_SERIAL + 1)), None);
        assert_eq!(canonical(&"\u{fdfa}".repeat(MAX_SERIAL)), None);
    }

    #[test]
    fn the_look_alikes_of_the_requirements_are_folded() {
        for (foreign, latin) in [("АВЕКМНОРСТУХ", "ABEKMHOPCTYX"), ("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEZHIKMNOPTYX")]
        {
            for (one, two) in foreign.chars().zip(latin.chars()) {
                assert_eq!(fold(one), fold(two), "{one} {two}");
            }
        }
        for class in ["O0QD", "I1L|", "S5", "Z2", "B8", "G6"] {
            let mut folded = class.chars().map(fold);
            let first = folded.next();
            assert!(folded.all(|letter| Some(letter) == first), "{class}");
        }
        let mut all: Vec<char> = ('A'..='Z').chain('0'..='9').map(fold).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 36 - 9, "no others are folded");
        assert_eq!(skeleton("АК0123"), skeleton("AKO123"));
    }

    #[test]
    fn a_match_says_letter_by_letter_why() {
        let said = |asked, recorded| compare(asked, recorded).map(|found| found.to_string());
        for (asked, recorded, expected) in [
            ("12345", "12345", "EXACT"),
            ("12-345", "12345", "NORMALISED: spaces and signs left out"),
            ("No 12345", "12345", "NORMALISED: a word before the number, such as No or SER, left out"),
            ("ab1", "AB1", "NORMALISED: capital and small letters"),
            ("A٣", "A3", "NORMALISED: position 2: Arabic digit ٣ is 3"),
            ("Ａ3", "A3", "NORMALISED: another form of the same characters, such as full-width"),
            ("A123", "А123", "CONFUSABLE: position 1: Cyrillic А read as Latin A"),
            ("А123", "A123", "CONFUSABLE: position 1: Cyrillic А read as Latin A"),
            ("Α123", "А123", "CONFUSABLE: position 1: Greek Α read as Cyrillic А"),
            ("12O4", "1204", "CONFUSABLE: position 3: O taken for 0"),
            ("KH123", "Х123", "CONFUSABLE: typed by sound: Х as KH"),
            ("Х123", "KH123", "CONFUSABLE: typed by sound: Х as KH"),
            ("KHE7", "ХЕ7", "CONFUSABLE: typed by sound: Х as KH; position 3: Cyrillic Е read as Latin E"),
            ("NO123", "123", "CONFUSABLE: a word before the number, such as No or SER, left out"),
            ("12?4", "1234", "PARTIAL: position 3: ? stands for 3"),
            ("12?4", "12?4", "PARTIAL: position 3: read by neither side"),
            ("12345", "12375", "EDIT_DISTANCE_1: one character differs at position 4: 4 asked, 7 recorded"),
            (
                "1235",
                "12345",
                "EDIT_DISTANCE_1: one character was not asked for: 4 at position 4 of the record",
            ),
            ("12345", "1235", "EDIT_DISTANCE_1: one character is not in the record: 4 asked at position 4"),
            ("12435", "12345", "EDIT_DISTANCE_1: positions 3 and 4 are exchanged"),
        ] {
            assert_eq!(said(asked, recorded).as_deref(), Some(expected), "{asked} {recorded}");
        }
        for (asked, recorded) in
            [("12345", "12367"), ("123", "124"), ("1???", "1234"), ("", ""), ("Х1234", "Н1234")]
        {
            if asked != "Х1234" {
                assert_eq!(said(asked, recorded), None, "{asked} {recorded}");
            } else {
                let tier = compare(asked, recorded).map(|found| found.tier);
                assert_eq!(tier, Some(Tier::EditDistance1), "two Cyrillic letters are not alike by sound");
            }
        }
    }

    #[test]
    fn tiers_are_ordered_best_first() {
        assert!(Tier::ALL.is_sorted());
        let by_rule: Vec<Tier> =
            Tier::ALL.into_iter().filter(|tier| tier.may_be_answered_by_rule()).collect();
        assert_eq!(by_rule, [Tier::Exact, Tier::Normalised]);
        for tier in Tier::ALL {
            assert_eq!(serde_json::to_value(tier).expect("a word"), tier.as_str());
        }
    }

    #[test]
    fn a_pattern_knows_enough_to_mean_something() {
        for good in ["12?45?", "1?3", "AB??", "АК?23"] {
            assert!(Pattern::parse(good).is_some(), "{good}");
        }
        for bad in ["1234", "?", "1?", "1????", "", "?-?"] {
            assert_eq!(Pattern::parse(bad), None, "{bad}");
        }
        let found = Pattern::parse("12?45?").and_then(|pattern| pattern.matches("12 9457")).expect("fits");
        assert_eq!((found.tier, found.score()), (Tier::Partial, 66));
    }
}

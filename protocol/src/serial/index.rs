//! Many serial numbers at hand, found by any tier without comparing each of them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::{Reading, SerialMatch, Tier, one_error};
use crate::mark::UNREAD;

/// Serial numbers with what they belong to.
///
/// The first three tiers are looked up. The others are searched among numbers of a fitting length, by their
/// skeletons alone; only what fits is compared in full.
#[derive(Clone, Debug)]
pub struct SerialIndex<T> {
    entries: Vec<(Reading, T)>,
    /// Canonical forms.
    canonical: BTreeMap<Vec<char>, Vec<usize>>,
    /// Skeletons, of whole numbers and of those less a doubtful prefix.
    folded: BTreeMap<Vec<char>, Vec<usize>>,
    /// Skeletons of spellings by sound.
    heard: BTreeMap<Vec<char>, Vec<usize>>,
    /// Entries read in full, by length of skeleton.
    whole: BTreeMap<usize, Vec<usize>>,
    /// Skeletons of spellings by sound, by length.
    spelt: BTreeMap<usize, Vec<(Vec<char>, usize)>>,
    /// Entries with unread positions.
    partial: Vec<usize>,
}

impl<T: Clone> SerialIndex<T> {
    /// An index without entries.
    pub fn new() -> Self {
        Self {
            entries: Vec::new(),
            canonical: BTreeMap::new(),
            folded: BTreeMap::new(),
            heard: BTreeMap::new(),
            whole: BTreeMap::new(),
            spelt: BTreeMap::new(),
            partial: Vec::new(),
        }
    }

    /// Add a serial number with what it belongs to. What matches nothing, such as an empty one, is left out.
    pub fn insert(&mut self, serial: &str, value: T) {
        let Some(reading) = Reading::of(serial) else { return };
        let entry = self.entries.len();
        if reading.partial {
            self.partial.push(entry);
        } else {
            self.canonical.entry(reading.letters.clone()).or_default().push(entry);
            self.folded.entry(reading.folded.clone()).or_default().push(entry);
            if reading.doubtful > 0 {
                self.folded.entry(reading.bare().folded).or_default().push(entry);
            }
            self.whole.entry(reading.folded.len()).or_default().push(entry);
            for form in reading.heard_as() {
                self.spelt.entry(form.len()).or_default().push((form.clone(), entry));
                self.heard.entry(form).or_default().push(entry);
            }
        }
        self.entries.push((reading, value));
    }

    /// How many serial numbers it has.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What matches the number asked about: the best tier first, within a tier what differs least, then in the
    /// order of insertion; at most `limit`.
    pub fn find(&self, asked: &str, limit: usize) -> Vec<(T, SerialMatch)> {
        let Some(asked) = Reading::of(asked) else { return Vec::new() };
        let mut found =
            Found { index: self, asked: &asked, limit, taken: BTreeSet::new(), matches: Vec::new() };
        if asked.partial {
            found.take(Tier::Partial, || self.fitting(&asked));
        } else {
            found.take(Tier::Normalised, || listed(&self.canonical, &asked.letters).collect());
            found.take(Tier::Confusable, || self.looking_or_sounding_like(&asked));
            found.take(Tier::Partial, || self.partial.iter().copied().collect());
            found.take(Tier::EditDistance1, || self.one_error_away(&asked));
        }
        let found = found.matches.into_iter();
        found.map(|(entry, matched)| (self.entries[entry].1.clone(), matched)).collect()
    }

    fn looking_or_sounding_like(&self, asked: &Reading) -> BTreeSet<usize> {
        let mut entries: BTreeSet<usize> = listed(&self.folded, &asked.folded).collect();
        if asked.heard {
            entries.extend(asked.heard_as().iter().flat_map(|form| listed(&self.folded, form)));
        } else {
            entries.extend(listed(&self.heard, &asked.folded));
        }
        if asked.doubtful > 0 {
            entries.extend(listed(&self.folded, &asked.bare().folded));
        }
        entries
    }

    /// Entries that a number with unread positions may be.
    fn fitting(&self, asked: &Reading) -> BTreeSet<usize> {
        let fits = |one: &[char], two: &[char]| {
            one.len() == two.len() && one.iter().zip(two).all(|(one, two)| *one == UNREAD || one == two)
        };
        let mut entries: BTreeSet<usize> = self.partial.iter().copied().collect();
        let mut forms = asked.heard_as();
        forms.push(asked.folded.clone());
        for form in &forms {
            let whole = self.whole.get(&form.len()).into_iter().flatten();
            entries.extend(whole.filter(|entry| fits(form, &self.entries[**entry].0.folded)));
        }
        let spelt = self.spelt.get(&asked.folded.len()).into_iter().flatten();
        entries.extend(spelt.filter(|(form, _)| fits(&asked.folded, form)).map(|(_, entry)| *entry));
        entries
    }

    fn one_error_away(&self, asked: &Reading) -> BTreeSet<usize> {
        let length = asked.folded.len();
        let near = self.whole.range(length.saturating_sub(1)..=length + 1).flat_map(|(_, entries)| entries);
        let near = near.copied();
        near.filter(|entry| one_error(&asked.folded, &self.entries[*entry].0.folded).is_some()).collect()
    }
}

impl<T: Clone> Default for SerialIndex<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Clone, S: AsRef<str>> FromIterator<(S, T)> for SerialIndex<T> {
    fn from_iter<I: IntoIterator<Item = (S, T)>>(serials: I) -> Self {
        let mut index = Self::new();
        serials.into_iter().for_each(|(serial, value)| index.insert(serial.as_ref(), value));
        index
    }
}

fn listed<'a>(
    map: &'a BTreeMap<Vec<char>, Vec<usize>>,
    form: &[char],
) -> impl Iterator<Item = usize> + use<'a> {
    map.get(form).into_iter().flatten().copied()
}

/// Matches on their way to the one who asked.
struct Found<'a, T> {
    index: &'a SerialIndex<T>,
    asked: &'a Reading,
    limit: usize,
    taken: BTreeSet<usize>,
    matches: Vec<(usize, SerialMatch)>,
}

impl<T> Found<'_, T> {
    /// Compare the candidates and take those that match at `worst` or better, as far as there is room.
    fn take(&mut self, worst: Tier, candidates: impl FnOnce() -> BTreeSet<usize>) {
        if self.matches.len() >= self.limit {
            return;
        }
        let mut new = Vec::new();
        for entry in candidates().into_iter().filter(|entry| !self.taken.contains(entry)).take(MOST_COMPARED)
        {
            if let Some(matched) = self.asked.compare(&self.index.entries[entry].0)
                && matched.tier <= worst
            {
                new.push((entry, matched));
            }
        }
        new.sort_by_key(|(entry, matched)| (matched.tier, Reverse(matched.score()), *entry));
        new.truncate(self.limit - self.matches.len());
        self.taken.extend(new.iter().map(|(entry, _)| *entry));
        self.matches.extend(new);
    }
}

/// Most entries of one tier that are compared in full: a number that fits more says too little to be answered.
const MOST_COMPARED: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::super::compare;
    use super::*;

    #[test]
    fn what_is_found_is_what_a_comparison_with_each_would_find() {
        let serials = [
            "АК 0123",
            "AK0123",
            "ak-0123",
            "AKO123",
            "Х12345",
            "KH12345",
            "H12345",
            "12345",
            "12346",
            "1234",
            "123456",
            "12?45",
            "21345",
            "No 12345",
            "NO12345",
            "SER12345",
            "Θ7788",
            "TH7788",
            "Θ77?8",
            "ЩЯ9981",
            "SHCHYA9981",
            "",
            "B8S5Z2",
            "885522",
            "8B5S2Z",
        ];
        let index: SerialIndex<usize> =
            serials.iter().enumerate().map(|(place, serial)| (*serial, place)).collect();
        assert_eq!(index.len(), serials.len() - 1);
        for asked in serials.into_iter().chain(["KH?2345", "TH77?8", "Х?2345", "?????", "12?4?", "AK?123"]) {
            let mut expected: Vec<(Tier, Reverse<u8>, usize)> = serials
                .iter()
                .enumerate()
                .filter_map(|(place, serial)| Some((compare(asked, serial)?, place)))
                .map(|(matched, place)| (matched.tier, Reverse(matched.score()), place))
                .collect();
            expected.sort();
            let found: Vec<_> = index
                .find(asked, 100)
                .into_iter()
                .map(|(place, matched)| (matched.tier, Reverse(matched.score()), place))
                .collect();
            assert_eq!(found, expected, "{asked}");
            assert!(index.find(asked, 2).len() <= 2);
            let first: Vec<usize> = index.find(asked, 2).into_iter().map(|(place, _)| place).collect();
            assert!(expected.iter().map(|(.., place)| *place).take(2).eq(first), "{asked}");
        }
    }
}

//! Marks and items: serial numbers compare alike from both sides, and the index finds what comparing finds.

use liaison_protocol::item::Item;
use liaison_protocol::json;
use liaison_protocol::mark::Raw;
use liaison_protocol::serial::{
    MAX_SERIAL, Pattern, SerialIndex, Tier, canonical, compare, skeleton, transliterations, warnings,
};

use crate::samples;

/// Two serial numbers, one per line.
pub(crate) fn serial(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let (one, two) = text.split_once('\n').unwrap_or((text, text));
    let (here, there) = (compare(one, two), compare(two, one));
    let common = |found: &Option<_>| {
        found.as_ref().map(|found: &liaison_protocol::serial::SerialMatch| (found.tier, found.same, found.of))
    };
    assert_eq!(common(&here), common(&there), "{one:?} and {two:?}");
    if let Some(found) = &here {
        assert!(found.same <= found.of && found.score() <= 100, "{found:?}");
        assert_eq!(found.why.is_empty(), found.tier == Tier::Exact, "{found:?}");
        assert!(!found.to_string().is_empty());
    }
    for text in [one, two] {
        alone(text);
    }
    let mut index = SerialIndex::new();
    index.insert(two, ());
    let found = index.find(one, 10);
    assert_eq!(found.first().map(|(_, found)| found), here.as_ref(), "{one:?} and {two:?} by the index");
    assert!(found.len() <= 1);
}

fn alone(text: &str) {
    let Some(letters) = canonical(text) else {
        assert_eq!(compare(text, text), None, "{text:?}");
        return;
    };
    assert!(!letters.is_empty() && letters.chars().count() <= MAX_SERIAL, "{text:?}");
    // Of a number that is hardly legible, nothing is said, not even that it is itself.
    let own = compare(text, text).map(|own| own.tier);
    let expected = match (letters.contains('?'), Pattern::parse(text)) {
        (true, pattern) => pattern.map(|_| Tier::Partial),
        (false, _) => Some(Tier::Exact),
    };
    assert_eq!(own, expected, "{text:?}");
    // The canonical form of a canonical form is itself.
    assert_eq!(canonical(&letters).as_deref(), Some(letters.as_str()), "{text:?}");
    assert_eq!(skeleton(&letters).chars().count(), letters.chars().count());
    assert!(transliterations(text).len() <= liaison_protocol::serial::MAX_SPELLINGS);
    if let Some(pattern) = Pattern::parse(text) {
        assert!(pattern.matches(text).is_some_and(|found| found.tier == Tier::Partial));
    }
    let found = warnings(text, &samples::pistol());
    found.iter().for_each(|warning| assert!(!warning.to_string().is_empty()));
    if let Ok(raw) = Raw::typed(text) {
        assert_eq!(Raw::typed(raw.as_str()).as_ref(), Ok(&raw), "{text:?}");
    }
}

/// An item that another State describes.
pub(crate) fn item(bytes: &[u8]) {
    let Ok(item) = json::parse::<Item>(bytes) else { return };
    let again = json::canonical(&item);
    assert_eq!(json::parse::<Item>(&again).expect("what we write we read"), item);
    assert!(!item.title().is_empty());
    let told =
        (item.is_bounded(), item.codes_are_known(), item.art8_complete(), item.uniquely_identifiable());
    let names: Vec<_> = item.contradictions().iter().map(ToString::to_string).collect();
    assert!(names.iter().all(|name| !name.is_empty()));
    // A firearm that is marked as Art. 8 asks can be told from all others, unless a mark contradicts.
    if let (Item::Firearm(firearm), (_, _, true, unique)) = (&item, told) {
        assert_eq!(firearm.uniquely_identifiable(), unique);
    }
    for mark in item.marks() {
        let _ = (mark.script(), mark.is_legible(), mark.is_consistent(), mark.names_country_by_symbol());
    }
    for serial in item.serials() {
        alone(serial.as_str());
        warnings(serial.as_str(), &item);
    }
}

//! Serial numbers against a labelled set (`serials.csv`): what is found, what is found wrongly, and what holds for
//! any two strings.
//!
//! Each row is a number asked about, a number on record, whether they are the same number on the same mark, and
//! the tier that the requirements give the pair. Numbers that differ and look or sound alike are in the set as
//! well: what they cost is measured here, tier by tier, and may not grow.
//!
//! The set was made for this purpose: formats of real makers, numbers drawn at random, labels given before anything
//! was run. It holds many times more hard pairs than a register does, so its shares compare one version of the code
//! with another; they do not foretell what an office will see.

use std::collections::BTreeMap;

use liaison_protocol::item::{Calibre, Firearm, FirearmType, Item, Make};
use liaison_protocol::mark::{Mark, MarkKind, MarkState, Raw};
use liaison_protocol::serial::{
    MAX_SERIAL, MAX_SPELLINGS, Pattern, SerialIndex, Tier, Warning, Why, canonical, compare, skeleton,
    transliterations, warnings,
};
use proptest::prelude::*;

/// A row of the set.
struct Row {
    asked: &'static str,
    recorded: &'static str,
    same: bool,
    best: Option<Tier>,
    note: &'static str,
}

fn rows() -> Vec<Row> {
    let mut lines = include_str!("serials.csv").lines();
    assert_eq!(lines.next(), Some("asked,recorded,same_serial,best_tier,note"));
    let row = |line: &'static str| {
        let [asked, recorded, same, best, note] = line.split(',').collect::<Vec<_>>()[..] else {
            panic!("five columns and no quotes: {line}")
        };
        let tier = Tier::ALL.into_iter().find(|tier| tier.as_str() == best);
        assert!(tier.is_some() || best == "none", "{line}");
        assert!(["yes", "no"].contains(&same), "{line}");
        Row { asked, recorded, same: same == "yes", best: tier, note }
    };
    lines.map(row).collect()
}

fn tier(asked: &str, recorded: &str) -> Option<Tier> {
    compare(asked, recorded).map(|found| found.tier)
}

#[test]
fn every_pair_of_the_set_has_its_tier() {
    let rows = rows();
    assert!(rows.len() >= 400, "{} rows", rows.len());
    let wrong: Vec<String> = rows
        .iter()
        .filter(|row| tier(row.asked, row.recorded) != row.best)
        .map(|row| {
            let found = compare(row.asked, row.recorded).map(|found| found.to_string());
            format!("{} | {}: {:?}, not {:?} ({})", row.asked, row.recorded, found, row.best, row.note)
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What was measured when the set was made: of the same numbers, how many are found at a tier or a better one; of
/// different numbers, how many are found at that very tier. Better is welcome, worse is not.
#[test]
fn recall_and_false_matches_are_no_worse_than_measured() {
    let rows = rows();
    let same = rows.iter().filter(|row| row.same).count();
    let different = rows.len() - same;
    println!("{} pairs: {same} of the same number, {different} of different ones", rows.len());
    println!("{:<16} {:>5} {:>18} {:>8} {:>14}", "tier", "found", "found so far", "false", "false so far");
    let (mut found_so_far, mut false_so_far) = (0, 0);
    let mut measured = BTreeMap::new();
    for tier in Tier::ALL {
        let at = |same| {
            let here = |row: &&Row| row.same == same && self::tier(row.asked, row.recorded) == Some(tier);
            rows.iter().filter(here).count()
        };
        let (found, wrong) = (at(true), at(false));
        found_so_far += found;
        false_so_far += wrong;
        let per_mille = found_so_far * 1000 / same;
        println!(
            "{:<16} {found:>5} {:>8} ({:>2}.{} %) {wrong:>8} {false_so_far:>14}",
            tier.as_str(),
            found_so_far,
            per_mille / 10,
            per_mille % 10
        );
        measured.insert(tier, (per_mille, wrong));
    }
    for (tier, least, most) in FLOORS {
        let (found, wrong) = measured[&tier];
        assert!(found >= least, "{tier}: {found} of 1000 found so far, {least} were");
        assert!(wrong <= most, "{tier}: {wrong} false matches, {most} were");
    }
}

/// For each tier: the least of 1,000 same numbers found at it or better, and the most different numbers found at it.
const FLOORS: [(Tier, usize, usize); 5] = [
    (Tier::Exact, 45, 0),
    (Tier::Normalised, 328, 0),
    (Tier::Confusable, 752, 16),
    (Tier::Partial, 844, 25),
    (Tier::EditDistance1, 971, 39),
];

#[test]
fn the_tier_is_the_same_whoever_asks() {
    for row in rows() {
        assert_eq!(
            tier(row.asked, row.recorded),
            tier(row.recorded, row.asked),
            "{} | {}",
            row.asked,
            row.recorded
        );
    }
}

#[test]
fn a_register_of_the_whole_set_finds_what_each_comparison_finds() {
    let rows = rows();
    let index: SerialIndex<usize> =
        rows.iter().enumerate().map(|(place, row)| (row.recorded, place)).collect();
    for row in &rows {
        let mut expected: Vec<(Tier, usize)> = rows
            .iter()
            .enumerate()
            .filter_map(|(place, other)| Some((tier(row.asked, other.recorded)?, place)))
            .collect();
        expected.sort_unstable();
        let mut found: Vec<(Tier, usize)> =
            index.find(row.asked, rows.len()).into_iter().map(|(place, found)| (found.tier, place)).collect();
        assert!(found.is_sorted_by_key(|(tier, _)| *tier), "{}: the best first", row.asked);
        found.sort_unstable();
        assert_eq!(found, expected, "{}", row.asked);
    }
}

#[test]
fn t1_latin_letters_typed_for_cyrillic_are_a_candidate_for_an_officer() {
    let index: SerialIndex<&str> =
        [("АК 0123", "the rifle"), ("АК 0124", "its neighbour"), ("ЛМ 0123", "another")]
            .into_iter()
            .collect();
    let found = index.find("AK O123", 10);
    assert_eq!(found[0].0, "the rifle");
    let first = &found[0].1;
    assert_eq!(first.tier, Tier::Confusable);
    assert!(!first.tier.may_be_answered_by_rule(), "no automatic answer");
    let why: Vec<String> = first.why.iter().map(Why::to_string).collect();
    assert_eq!(
        why,
        [
            "position 1: Cyrillic А read as Latin A",
            "position 2: Cyrillic К read as Latin K",
            "position 3: O taken for 0",
        ]
    );
    let rest: Vec<(&str, Tier)> = found[1..].iter().map(|(item, found)| (*item, found.tier)).collect();
    assert_eq!(rest, [("its neighbour", Tier::EditDistance1)]);
}

#[test]
fn t2_a_pattern_lists_candidates_with_scores() {
    let pattern = Pattern::parse("12?45?").expect("knows enough");
    assert_eq!(pattern.to_string(), "12?45?");
    let index: SerialIndex<u32> =
        [("123456", 1), ("128457", 2), ("12O4S0", 3), ("129459", 4), ("1234567", 5), ("99?45?", 6)]
            .into_iter()
            .collect();
    let found: Vec<(u32, Tier, u8)> = index
        .find("12?45?", 10)
        .into_iter()
        .map(|(entry, found)| (entry, found.tier, found.score()))
        .collect();
    assert_eq!(
        found,
        [(1, Tier::Partial, 66), (2, Tier::Partial, 66), (4, Tier::Partial, 66), (3, Tier::Partial, 50)]
    );
    let fit = pattern.matches("128457").expect("fits").to_string();
    assert_eq!(fit, "PARTIAL: position 3: ? stands for 8; position 6: ? stands for 7");
}

#[test]
fn t8_that_a_number_can_be_read_does_not_tell_whose_pistol_it_is() {
    let line = |text: &str| text.parse().expect("a line");
    let mut pistol = Firearm::of(FirearmType::Pistol);
    pistol.make = Some(Make { as_marked: Some(line("P. Beretta")), ..Make::default() });
    pistol.model = Some(line("92FS"));
    pistol.country_of_manufacture = Some("ITA".parse().expect("a State"));
    pistol.marks = vec![Mark::seen(MarkKind::Serial, Raw::typed("B12345Z").expect("a mark"))];
    let item = Item::Firearm(Box::new(pistol));
    assert_eq!(warnings("B12345Z", &item), [Warning::BerettaOrTaurus]);
}

#[test]
fn t8_an_import_mark_given_as_serial_number_is_warned_of() {
    let line = |text: &str| text.parse().expect("a line");
    let mut rifle = Firearm::of(FirearmType::AssaultRifle);
    rifle.make = Some(Make { normalised: Some(line("Izhmash")), ..Make::default() });
    rifle.calibres = vec![Calibre::marked(line("7.62x39"))];
    let mut import = Mark::seen(MarkKind::ImporterName, Raw::typed("CAI ST ALB VT").expect("a mark"));
    import.state = MarkState::Worn.into();
    rifle.marks = vec![Mark::seen(MarkKind::Serial, Raw::typed("DE 21").expect("a mark")), import];
    let item = Item::Firearm(Box::new(rifle));
    assert_eq!(warnings("DE 21", &item), [Warning::ImportMark]);
    assert_eq!(warnings("DE 21345", &item), [], "that is no year");
    assert_eq!(warnings("CAI ST ALB VT", &item), [Warning::ImporterName]);
    assert_eq!(warnings("7,62 x 39", &item), [Warning::Calibre]);
    assert_eq!(warnings("АК 0123", &item), []);
    assert_eq!(warnings("12?45?", &item), [], "an unread figure separates nothing");
}

/// Letters, digits and signs of the kinds that marks have, and worse.
fn marks() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9A-Z]{1,10}",
        "[A-Za-z0-9 ./?#*|-]{0,12}",
        "[АВЕКМНОРСТУХЖЯЩЬЛ]{0,3} ?[0-9OSZ?]{0,6}",
        "[ΑΒΕΖΗΙΚΜΞΘΨ]{0,3}[0-9]{0,6}",
        "(No|№|SER|S/N|ser\\. )? ?[٠-٩۰-۹๐-๙０-９]{0,7}",
        any::<String>(),
        "\\PC{0,70}",
        "[ХЖЦЧШЩЮЯ?]{0,70}",
        "\u{fdfa}{0,70}",
    ]
}

fn item() -> Item {
    Item::Firearm(Box::new(Firearm::of(FirearmType::Pistol)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_two_strings_are_compared_alike_both_ways(asked in marks(), recorded in marks()) {
        let (there, back) = (compare(&asked, &recorded), compare(&recorded, &asked));
        prop_assert_eq!(there.as_ref().map(|found| found.tier), back.as_ref().map(|found| found.tier));
        if let Some(found) = there {
            prop_assert!(found.same <= found.of && found.score() <= 100);
            prop_assert_eq!(found.why.is_empty(), found.tier == Tier::Exact);
            prop_assert!(!found.to_string().contains('\n'));
        }
    }

    #[test]
    fn any_string_has_forms_within_their_bounds(raw in marks()) {
        if let Some(form) = canonical(&raw) {
            prop_assert!((1..=MAX_SERIAL).contains(&form.chars().count()));
            prop_assert_eq!(skeleton(&form).chars().count(), form.chars().count());
            prop_assert_eq!(skeleton(&skeleton(&form)), skeleton(&form));
            prop_assert_eq!(canonical(&form), Some(form.clone()), "canonical again");
            let expected = if form.contains('?') { Tier::Partial } else { Tier::Exact };
            prop_assert!(tier(&raw, &raw).is_none_or(|tier| tier == expected));
        } else {
            prop_assert_eq!(tier(&raw, &raw), None);
        }
        let spellings = transliterations(&raw);
        prop_assert!(spellings.len() <= MAX_SPELLINGS);
        prop_assert!(spellings.iter().all(|text| text.chars().count() <= 4 * MAX_SERIAL));
        warnings(&raw, &item());
    }

    #[test]
    fn case_signs_and_digits_of_any_script_never_part_two_writings_of_one_number(
        letters in "[A-Z]{0,3}", digits in "[0-9]{4,8}", zero in prop::sample::select(vec!['٠', '۰', '๐', '०', '０']),
        sign in prop::sample::select(vec![" ", "-", ".", "/", "_", "*", "–", ""]),
    ) {
        // Words before a number, which small letters and signs show them to be.
        prop_assume!(!["NO", "NR", "SER"].contains(&letters.as_str()));
        let plain = format!("{letters}{digits}");
        let foreign: String = digits
            .chars()
            .filter_map(|digit| char::from_u32(u32::from(zero) + digit.to_digit(10)?))
            .collect();
        let other = format!("{}{sign}{foreign}", letters.to_lowercase());
        prop_assert_eq!(tier(&plain, &other), Some(Tier::Normalised), "{} {}", plain, other);
    }

    #[test]
    fn an_index_finds_what_comparison_finds(
        asked in marks(), recorded in prop::collection::vec(marks(), 0..12),
    ) {
        let index: SerialIndex<usize> =
            recorded.iter().enumerate().map(|(place, serial)| (serial, place)).collect();
        let mut expected: Vec<(Tier, usize)> = recorded
            .iter()
            .enumerate()
            .filter_map(|(place, serial)| Some((tier(&asked, serial)?, place)))
            .collect();
        expected.sort_unstable();
        let mut found: Vec<(Tier, usize)> =
            index.find(&asked, 100).into_iter().map(|(place, found)| (found.tier, place)).collect();
        found.sort_unstable();
        prop_assert_eq!(found, expected);
    }
}

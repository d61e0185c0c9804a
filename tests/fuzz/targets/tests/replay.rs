//! Every target over its corpus, its seeds, and what is near them, without a fuzzer: so nothing found comes back.
//!
//! `LIAISON_FUZZ_TRIES=100000 cargo test --release -p liaison-fuzz` tries more; `LIAISON_FUZZ_TARGET=desk` only that
//! target. With libFuzzer, which looks where it has not been yet: `tests/fuzz/README.md`.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use liaison_fuzz::{Dice, TARGETS, Target, corpus, seeds};

/// Tries of each target beyond its corpus, where nothing else is asked for.
const TRIES: u64 = 10_000;
/// And as many at the least, however long each takes.
const FEWEST: u64 = 25;
/// No target tries longer than this, unless more is asked for.
const LONG_ENOUGH: Duration = Duration::from_secs(4);

#[test]
fn malformed_input_breaks_no_target_over_its_corpus_and_what_is_near_it() {
    let asked = std::env::var("LIAISON_FUZZ_TRIES").ok().map(|text| text.parse::<u64>().expect("a number"));
    let only = std::env::var("LIAISON_FUZZ_TARGET").ok();
    let mut failed = Vec::new();
    for target in TARGETS.iter().filter(|target| only.as_ref().is_none_or(|only| *only == target.name)) {
        let began = Instant::now();
        let mut known: Vec<Vec<u8>> = seeds(target.name);
        known.extend(corpus(target.name).into_iter().map(|(_, bytes)| bytes));
        assert!(!known.is_empty(), "{} has nothing to begin with", target.name);
        for bytes in &known {
            failed.extend(attempt(target, bytes));
        }
        let mut dice = Dice::new(target.name.bytes().map(u64::from).sum());
        let mut tries = 0;
        while tries < asked.unwrap_or(TRIES)
            && (asked.is_some() || tries < FEWEST || began.elapsed() < LONG_ENOUGH)
        {
            failed.extend(attempt(target, &near(&known, target.longest, &mut dice)));
            tries += 1;
        }
        println!("{}: {} known, {tries} near them, {:?}", target.name, known.len(), began.elapsed());
    }
    failed.sort_by_key(String::len);
    let shown: Vec<_> = failed.iter().take(10).map(String::as_str).collect();
    assert!(failed.is_empty(), "{} inputs failed; the shortest:\n{}", failed.len(), shown.join("\n"));
}

#[test]
fn each_target_has_a_program_of_libfuzzers_and_a_corpus() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let programs = std::fs::read_to_string(folder.join("Cargo.toml")).expect("it is checked in");
    let programs = programs.split("[[bin]]").skip(1).filter_map(|program| program.split('"').nth(1));
    let programs: BTreeSet<_> = programs.collect();
    assert_eq!(programs, TARGETS.iter().map(|target| target.name).collect());
    for name in programs {
        assert!(!corpus(name).is_empty(), "corpus/{name} is empty: what fuzzing reached beyond the seeds");
    }
}

/// Why it failed, with the bytes as Rust writes them.
fn attempt(target: &Target, bytes: &[u8]) -> Option<String> {
    let panic = catch_unwind(AssertUnwindSafe(|| (target.run)(bytes))).err()?;
    let why = panic.downcast_ref::<String>().cloned();
    let why = why.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    Some(format!("{}: {}\nb\"{}\"", target.name, why.unwrap_or_default(), bytes.escape_ascii()))
}

/// Something known with a few bytes of it changed, taken away, doubled, or of another.
fn near(known: &[Vec<u8>], longest: usize, dice: &mut Dice) -> Vec<u8> {
    let mut bytes = dice.pick(known).clone();
    for _ in 0..=dice.below(4) {
        let length = bytes.len() as u64;
        let at = dice.below(length + 1) as usize;
        let end = (at + dice.below(16) as usize).min(bytes.len());
        match dice.below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            1 if at < bytes.len() => bytes[at] = dice.roll() as u8,
            2 => bytes.insert(at, *dice.pick(b"\0\n \"\\:,.[]{}0129?aZ-\xff")),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let twice = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, twice));
            }
            5 => bytes.truncate(at),
            _ => {
                let other = dice.pick(known);
                let from = dice.below(other.len() as u64 + 1) as usize;
                let to = (from + dice.below(64) as usize).min(other.len());
                drop(bytes.splice(at..end, other[from..to].iter().copied()));
            }
        }
    }
    bytes.truncate(longest);
    bytes
}

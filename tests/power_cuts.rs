//! The journal and the spiller alone: fail every operation on the disk, in every way; reopen; nothing said is missing.

use std::sync::OnceLock;

use liaison_node::log::{Log, LogError, Place, Spiller};
use liaison_protocol::audit::Audit;
use liaison_protocol::authority::Timestamp;
use liaison_protocol::entry::{Record, Written};
use liaison_protocol::merkle::{self, Hash, LeafIndex, Tree, TreeHead, leaf_hash};
use liaison_protocol::message::MessageId;
use liaison_protocol::sign::SecretKey;
use liaison_tests::{Dice, Failure, SimDisk, Torn};

type Opened = Result<(Log<SimDisk>, Spiller<SimDisk>), LogError>;

fn key() -> SecretKey {
    SecretKey::from_seed(&[1; 32])
}

fn place() -> Place {
    Place { origin: "firearms.example.ke/liaison/log1".into(), folder: "log1".into(), key: key().public() }
}

/// The line at `leaf`: a new month begins at leaf 300.
fn line(leaf: u64) -> Written {
    static LINES: OnceLock<Vec<Written>> = OnceLock::new();
    LINES.get_or_init(|| (0..1000).map(write_line).collect())[leaf as usize].clone()
}

fn write_line(leaf: u64) -> Written {
    let rule = "verification-from-licence-list".parse().expect("a line");
    let record = Record::Query {
        exchange: MessageId(Hash::of(&leaf.to_be_bytes())),
        rule,
        found: None,
        on: Timestamp(1_790_812_800).date(),
    };
    record.write(Timestamp(1_790_812_800 + 60 * leaf - 60 * 300), &[leaf as u8; 32])
}

/// What the one who plays was told is done.
#[derive(Default)]
struct Told {
    entries: u64,
    /// The round under way when something failed.
    tried: u64,
    heads: Vec<TreeHead>,
}

impl Told {
    fn round(&mut self, log: &mut Log<SimDisk>, lines: u64) -> Result<(), LogError> {
        self.tried = lines;
        let first = log.checkpoint().head().size;
        (first..first + lines).for_each(|leaf| _ = log.stage(line(leaf)));
        log.commit(&key())?;
        (self.entries, self.tried) = (first + lines, 0);
        self.heads.push(*log.checkpoint().head());
        Ok(())
    }
}

/// A day in the life of a log: rounds of all sizes, spills in between, a restart.
fn play(disk: &SimDisk, told: &mut Told) -> Result<(), LogError> {
    told.tried = 2;
    let (mut log, mut spiller) = Log::create(disk.clone(), place(), vec![line(0), line(1)], &key())?;
    (told.entries, told.tried) = (2, 0);
    told.round(&mut log, 1)?;
    spiller.step()?;
    told.round(&mut log, 200)?;
    told.round(&mut log, 17)?;
    spiller.step()?;
    told.round(&mut log, 36)?;
    spiller.step()?;
    drop((log, spiller));
    let (mut log, mut spiller) = Log::open(disk.clone(), place())?;
    told.round(&mut log, 90)?;
    told.round(&mut log, 1)?;
    spiller.step()?;
    log.forget_spilled();
    told.round(&mut log, 400)?;
    spiller.step()?;
    told.round(&mut log, 3)?;
    drop((log, spiller));
    let (mut log, mut spiller) = Log::open(disk.clone(), place())?;
    spiller.step()?;
    told.round(&mut log, 5)
}

fn open(disk: &SimDisk) -> Opened {
    Log::open(disk.clone(), place())
}

/// All that was told is there, what was tried is there whole or not at all, and the log goes on.
fn check(disk: &SimDisk, told: &mut Told, what: &str) {
    let (mut log, mut spiller) = match open(disk) {
        Err(LogError::Missing) if told.entries == 0 => return,
        opened => opened.unwrap_or_else(|error| panic!("{what}: {error}")),
    };
    let size = log.checkpoint().head().size;
    let whole = [told.entries, told.entries + told.tried];
    assert!(whole.contains(&size), "{what}: {size} entries, of {whole:?}");
    for head in &told.heads {
        assert_eq!(merkle::root(&log, head.size).expect("all nodes are there"), head.root, "{what}");
    }
    read_all(&log, size, what);
    let before = spiller.step();
    before.unwrap_or_else(|error| panic!("{what}, spilling: {error}"));
    for lines in [1, 70] {
        told.round(&mut log, lines).unwrap_or_else(|error| panic!("{what}, going on: {error}"));
    }
    drop((log, spiller));

    // What is told now survives whatever comes, and is what was told before, and more.
    disk.power_cut(Torn::Nothing);
    let (log, mut spiller) = open(disk).unwrap_or_else(|error| panic!("{what}, once more: {error}"));
    assert_eq!(log.checkpoint().head().size, size + 71, "{what}");
    while spiller.step().unwrap_or_else(|error| panic!("{what}, spilling all: {error}")) {}
    read_all(&log, size + 71, what);
    let audit = Audit::open(disk, &place().origin, &place().key, &told.heads);
    let audit = audit.unwrap_or_else(|flaw| panic!("{what}, audit: {flaw}"));
    let expect = |leaf: LeafIndex, bytes: &[u8]| {
        if bytes == line(leaf.0).entry.as_bytes() { Ok(()) } else { Err("another entry") }
    };
    let signed = audit.run(expect).unwrap_or_else(|flaw| panic!("{what}, audit: {flaw}"));
    assert_eq!(signed, *log.checkpoint(), "{what}");
}

/// Some of the entries and records up to `size`, as they were written.
fn read_all(log: &Log<SimDisk>, size: u64, what: &str) {
    for leaf in (0..size).filter(|leaf| leaf % 61 == 0 || (leaf + 1) % 256 < 2 || leaf + 3 > size) {
        let written = line(leaf);
        let entry = log.reader().entry(LeafIndex(leaf));
        assert_eq!(entry.unwrap_or_else(|error| panic!("{what}: {error}")), written.entry, "{what}");
        let staged = log.reader().record(LeafIndex(leaf)).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(staged.record, Record::parse(&written.record).expect("we wrote it"), "{what}");
    }
}

#[test]
fn power_cut_or_whatever_operation_fails_and_nothing_told_is_missing() {
    let disk = SimDisk::new(Dice::new(0));
    play(&disk, &mut Told::default()).expect("nothing fails");
    let operations = disk.operations();
    assert!(operations > 100, "{operations}");
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    std::thread::scope(|scope| {
        for core in 0..cores {
            scope.spawn(move || {
                (core..operations).step_by(cores as usize).for_each(fail_at);
            });
        }
    });
}

fn fail_at(operation: u64) {
    for failure in [Failure::Lost, Failure::Landed, Failure::Half, Failure::PowerCut] {
        // Only the program dies; or the power goes, too.
        let only_stops = (failure != Failure::PowerCut).then_some(None);
        for torn in only_stops.into_iter().chain(Torn::ALL.map(Some)) {
            let what = format!("operation {operation}, {failure:?}, then {torn:?}");
            let disk = SimDisk::new(Dice::new(operation));
            let mut told = Told::default();
            disk.fail(operation, failure);
            play(&disk, &mut told).err().unwrap_or_else(|| panic!("{what}: the failure was not noticed"));
            if let Some(torn) = torn {
                disk.power_cut(torn);
            }
            check(&disk, &mut told, &what);
        }
    }
}

/// A log of 300 entries, 280 of them spilled.
fn a_log() -> SimDisk {
    let disk = SimDisk::new(Dice::new(0));
    let genesis = (0..280).map(line).collect();
    let (mut log, mut spiller) = Log::create(disk.clone(), place(), genesis, &key()).expect("an empty disk");
    spiller.step().expect("nothing fails");
    for lines in [5, 10, 5] {
        Told::default().round(&mut log, lines).expect("nothing fails");
    }
    disk
}

/// Opening says which file is wrong, and changes nothing.
fn refused(disk: &SimDisk, file: &str) {
    let (names, before) = (disk.names(), disk.operations());
    let error = open(disk).err().unwrap_or_else(|| panic!("{file} is wrong, and it opens")).to_string();
    assert!(error.contains(file), "{file}: {error}");
    assert_eq!((disk.names(), disk.operations()), (names, before), "a log that is refused is left as it is");
}

const JOURNAL: &str = "journal/00000000000000000000";

#[test]
fn a_journal_damaged_in_its_middle_is_refused() {
    let len = |disk: &SimDisk| {
        liaison_node::disk::Disk::len(disk, JOURNAL).expect("it works").expect("it is there")
    };
    let last = {
        // Where the last round begins.
        let disk = a_log();
        let before = len(&disk);
        let (mut log, _) = open(&disk).expect("undamaged");
        Told::default().round(&mut log, 5).expect("nothing fails");
        before as usize
    };
    for at in (0..last - 3000).step_by(397).chain(0..40) {
        let disk = a_log();
        disk.tamper(JOURNAL, |bytes| bytes[at] ^= 1);
        refused(&disk, JOURNAL);
    }
}

#[test]
fn a_torn_last_round_never_was() {
    let disk = a_log();
    disk.tamper(JOURNAL, |bytes| bytes.truncate(bytes.len() - 1));
    let (log, _) = open(&disk).expect("the rest is whole");
    assert_eq!(log.checkpoint().head().size, 295);
}

#[test]
fn what_is_missing_or_cut_short_is_named() {
    let records = "records/2026-09.00000000000000000000";
    for file in ["log1/tile/0/001.p/24", "log1/tile/1/000.p/1", "records/positions", records] {
        let disk = a_log();
        disk.lose(file);
        // Which files of records there were, nothing says.
        refused(&disk, if file == records { "records" } else { file });
        let disk = a_log();
        disk.tamper(file, |bytes| bytes.truncate(bytes.len() - 9));
        refused(&disk, file);
    }
    let disk = a_log();
    disk.lose(JOURNAL);
    refused(&disk, "journal");
    let disk = a_log();
    disk.tamper("log1/checkpoint", |bytes| bytes.truncate(bytes.len() - 9));
    refused(&disk, "log1/checkpoint");
}

#[test]
fn what_is_missing_further_back_is_named_when_it_is_read() {
    for file in ["log1/tile/entries/000", "records/2026-09.00000000000000000000"] {
        let disk = a_log();
        let (log, _) = open(&disk).expect("nothing is missing yet");
        disk.lose(file);
        let entry = log.reader().entry(LeafIndex(3)).map(drop);
        let record = log.reader().record(LeafIndex(3)).map(drop);
        let error = entry.and(record).expect_err("a file is missing").to_string();
        assert!(error.contains(file), "{file}: {error}");
    }
}

#[test]
fn a_log_under_another_key_is_refused() {
    let other = Place { key: SecretKey::from_seed(&[2; 32]).public(), ..place() };
    let error = Log::open(a_log(), other.clone()).expect_err("it is another's log").to_string();
    assert!(error.contains("log1/checkpoint"), "{error}");

    let disk = SimDisk::new(Dice::new(0));
    Log::create(disk.clone(), place(), vec![line(0)], &key()).expect("an empty disk");
    let error = Log::open(disk, other).expect_err("it is another's log").to_string();
    assert!(error.contains(JOURNAL), "{error}");
}

#[test]
fn a_lost_checkpoint_or_journal_takes_no_records_with_it() {
    // The first journal file is long enough to be closed, and goes when it is spilled.
    let disk = SimDisk::new(Dice::new(0));
    let node = "firearms.example.ke/liaison".parse().expect("a node id");
    let long = Record::KeySet { node, key_set: "k".repeat(9 << 20) };
    let genesis = vec![long.write(Timestamp(1_790_000_000), &[0; 32])];
    let (mut log, mut spiller) = Log::create(disk.clone(), place(), genesis, &key()).expect("an empty disk");
    Told::default().round(&mut log, 5).expect("nothing fails");
    while spiller.step().expect("nothing fails") {}
    assert!(!disk.names().contains(&JOURNAL.to_owned()));

    let checkpoint = disk.copy();
    checkpoint.lose("log1/checkpoint");
    refused(&checkpoint, "journal/00000000000000000001");
    let journal = disk.copy();
    journal.lose("journal/00000000000000000001");
    refused(&journal, "journal");
    assert_eq!(open(&disk).expect("nothing is wrong with it").0.checkpoint().head().size, 6);
}

#[test]
fn a_second_log_is_not_begun_where_one_is() {
    let genesis = vec![line(0)];
    assert!(matches!(Log::create(a_log(), place(), genesis, &key()), Err(LogError::Exists)));
}

#[test]
fn the_tree_of_a_log_is_that_of_its_entries() {
    let mut tree = Tree::new();
    (0..300).for_each(|leaf| _ = tree.append(leaf_hash(line(leaf).entry.as_bytes())));
    assert_eq!(*open(&a_log()).expect("undamaged").0.checkpoint().head(), tree.head());
}

//! What it runs on, and what that can do at best: the limits beside which every figure is put.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use liaison_protocol::sign::SecretKey;

/// What this machine does when it does nothing else.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// Exchanges' worth of bare Ed25519 in a second, on all processors.
    pub(crate) signatures: f64,
    /// Appends of 4 KiB with `fdatasync` in a second, one after the other.
    pub(crate) syncs: f64,
    /// How long the middle one of these takes.
    pub(crate) sync: Duration,
}

/// Processors we may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The machine in words: processors, memory, kernel, file system.
pub(crate) fn describe() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let processor = field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown processor".into());
    let memory = field(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
    let load = read("/proc/loadavg");
    let (folder, file_system) = file_system();
    format!(
        "{} x {processor}, {memory} of memory, Linux {}; folders in {folder} ({file_system}); load before the start: {}",
        cores(),
        read("/proc/sys/kernel/osrelease").trim(),
        load.split_whitespace().next().unwrap_or("?"),
    )
}

/// Where the nodes' folders are, and on which file system.
fn file_system() -> (String, String) {
    let folder = std::env::temp_dir();
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let found = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (point, kind) = (words.next()?, words.next()?);
        folder.starts_with(Path::new(point)).then_some((point.len(), kind))
    });
    let kind = found.max().map_or("unknown file system", |(_, kind)| kind);
    (folder.display().to_string(), kind.to_owned())
}

/// Measure the limits, for as long as `time` each.
pub(crate) fn limits(time: Duration) -> Limits {
    let signatures = bare_signatures(cores(), time);
    let (syncs, sync) = bare_syncs(time);
    Limits { signatures, syncs, sync }
}

/// The signatures of one exchange, its two messages made and checked and nothing else, on all processors.
fn bare_signatures(cores: usize, time: Duration) -> f64 {
    let work = |core: u8| {
        let key = SecretKey::from_seed(&[core + 1; 32]);
        let (public, message) = (key.public(), [7; 1024]);
        let (mut done, started) = (0_u32, Instant::now());
        while started.elapsed() < time {
            for _ in 0..2 {
                let signature = key.sign(&message);
                assert!(public.verifies(&message, &signature));
            }
            done += 1;
        }
        f64::from(done) / started.elapsed().as_secs_f64()
    };
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..u8::try_from(cores.min(64)).expect("at most 64"))
            .map(|core| scope.spawn(move || work(core)))
            .collect();
        all.into_iter().map(|one| one.join().expect("it does not fail")).sum()
    })
}

/// What the disk does when asked as a node asks it, once a round.
fn bare_syncs(time: Duration) -> (f64, Duration) {
    let mut file = tempfile::tempfile().expect("a file");
    let (mut took, started) = (Vec::new(), Instant::now());
    while started.elapsed() < time {
        let at = Instant::now();
        file.write_all(&[7; 4096]).and_then(|()| file.sync_data()).expect("the disk has room");
        took.push(at.elapsed());
    }
    let rate = took.len() as f64 / started.elapsed().as_secs_f64();
    took.sort_unstable();
    (rate, took[took.len() / 2])
}

/// Processor time of a process, in milliseconds.
pub(crate) fn process_millis(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    // proc(5): utime and stime, in ticks of 10 ms, are the twelfth and thirteenth behind the name.
    let after_name = stat.rsplit(')').next().expect("a name in brackets");
    let fields = after_name.split_whitespace().skip(11).take(2);
    fields.map(|ticks| ticks.parse::<u64>().expect("a number") * 10).sum()
}

/// Resident memory of a process, in MiB.
pub(crate) fn resident_mib(pid: u32) -> f64 {
    status_mib(pid, "VmRSS:")
}

/// The most memory that a process has held so far, in MiB.
pub(crate) fn peak_mib(pid: u32) -> f64 {
    status_mib(pid, "VmHWM:")
}

fn status_mib(pid: u32, name: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with(name)).expect("a process has memory");
    let kib: f64 = line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).expect("a number");
    kib / 1024.0
}

/// Bytes of all files below a folder, as they lie on the disk.
pub(crate) fn disk_bytes(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => disk_bytes(&entry.path()),
        Ok(metadata) => metadata.blocks() * 512,
        Err(_) => 0,
    };
    entries.flatten().map(of).sum()
}

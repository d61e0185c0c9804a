//! `liaison log`: our log's head and proofs, and the verification of any log folder with no node.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use indicatif::{ProgressBar, ProgressStyle};
use liaison_protocol::audit::{Folder, Hands, ListedFolder, verify_log_by};
use liaison_protocol::key_set::Fingerprint;
use liaison_protocol::operator::{CheckpointView, InclusionView};

use super::{Error, Reply, write_new};
use crate::args::LogCommand;
use crate::client::{Answered, Client};
use crate::render;

pub(super) fn run(client: &Client, command: LogCommand) -> Result<Reply, Error> {
    match command {
        LogCommand::Checkpoint => {
            let head: Answered<CheckpointView> = client.get("/v1/log/checkpoint", &[])?;
            let aside = format!("It verifies under {}", head.view.verifier_key);
            let mut reply = Reply::of(head, |head| head.checkpoint.clone());
            reply.aside = Some(aside);
            Ok(reply)
        }
        LogCommand::Prove { leaf, out } => {
            let proof: Answered<InclusionView> =
                client.get("/v1/log/inclusion", &[("leaf", Some(leaf.to_string()))])?;
            match out {
                Some(path) => {
                    write_new(&path, &proof.view.proof)?;
                    Ok(Reply::of(proof, |proof| format!("{}\n", proof.entry)))
                }
                None => {
                    let aside =
                        format!("It proves this entry, byte for byte, at leaf {leaf}:\n{}", proof.view.entry);
                    let mut reply = Reply::of(proof, |proof| proof.proof.clone());
                    reply.aside = Some(aside);
                    Ok(reply)
                }
            }
        }
        LogCommand::Verify { folder, fingerprint } => verify(&folder, fingerprint.as_ref()),
    }
}

/// Verify a log folder. Talks to nobody.
pub(super) fn verify(folder: &Path, fingerprint: Option<&Fingerprint>) -> Result<Reply, Error> {
    let disk = Disk(log_folder(folder)?);
    // Draws on standard error, and only if that is a terminal.
    let bar = ProgressBar::new(0).with_style(
        ProgressStyle::with_template("{bar:40} {human_pos} of {human_len} entries, {eta} left")
            .expect("a template of ours"),
    );
    let verified = verify_log_by(&AllHands, &disk, fingerprint, |made| {
        bar.set_length(made.size);
        bar.set_position(made.checked);
    });
    bar.finish_and_clear();
    let report = verified?;
    let mut text = format!("{}: the log holds\n\n{}", disk.0.display(), render::report(&report));
    text.push_str(match fingerprint {
        Some(_) => "\nThe root fingerprint is the one you gave.\n",
        None => {
            "\nWhose log it is hangs on the fingerprint: compare it with the one you hold of that State, or\n\
             give that one with --fingerprint. So it is with those who cosigned.\n"
        }
    });
    Ok(Reply::new(text, render::report_json(&report)))
}

/// The log folder meant by `folder`: itself, or the newest log in it.
fn log_folder(folder: &Path) -> Result<PathBuf, Error> {
    if ["checkpoint", "tile"].iter().any(|name| folder.join(name).exists()) {
        return Ok(folder.to_owned());
    }
    // A node's own folder has its data folder inside.
    let data = folder.join("data");
    let folder = if data.is_dir() { &data } else { folder };
    let unreadable = |why| Error::File { path: folder.to_owned(), why };
    let number = |path: &Path| path.file_name()?.to_str()?.strip_prefix("log")?.parse::<u32>().ok();
    let inside = fs::read_dir(folder).map_err(unreadable)?;
    let paths = inside.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>();
    let logs = paths.map_err(unreadable)?.into_iter().filter(|path| path.is_dir());
    logs.filter_map(|path| Some((number(&path)?, path))).max().map(|(_, path)| path).ok_or_else(|| {
        Error::Unusable(format!(
            "{} is no log folder and has none in it: name a node's folder log1, a copy of it (with checkpoint, \
             key-sets and tile), or the data folder that has it",
            folder.display()
        ))
    })
}

/// All processors of this machine: entries are read and hashed on each.
struct AllHands;

impl Hands for AllHands {
    fn each<T: Send>(&self, count: u64, make: impl Fn(u64) -> T + Sync, mut take: impl FnMut(T) -> bool) {
        let many = thread::available_parallelism().map_or(1, usize::from).min(MOST_HANDS);
        thread::scope(|scope| {
            let make = &make;
            let workers: Vec<mpsc::Receiver<T>> = (0..many)
                .map(|first| {
                    let (made, next) = mpsc::sync_channel(AHEAD);
                    scope.spawn(move || {
                        // Ends when nobody takes any more.
                        let _ = (first as u64..count)
                            .step_by(many)
                            .try_for_each(|number| made.send(make(number)));
                    });
                    next
                })
                .collect();
            // In turn: so they are in order.
            let _ = workers
                .iter()
                .cycle()
                .try_for_each(|worker| worker.recv().is_ok_and(&mut take).then_some(()));
        });
    }
}

/// Most threads that read a log.
const MOST_HANDS: usize = 16;
/// Blocks that each of them may be ahead of what is taken.
const AHEAD: usize = 8;

/// A log folder on disk.
struct Disk(PathBuf);

impl Folder for Disk {
    type Error = io::Error;

    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        let file = match fs::File::open(self.0.join(path)) {
            Ok(file) => file,
            Err(why) if matches!(why.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(why) => return Err(why),
        };
        let mut bytes = Vec::new();
        file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than any file of a log"));
        }
        Ok(Some(bytes))
    }
}

impl ListedFolder for Disk {
    fn names(&self, path: &str) -> io::Result<Vec<String>> {
        match fs::read_dir(self.0.join(path)) {
            Ok(entries) => {
                entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
            }
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(why) => Err(why),
        }
    }
}

/// Larger than any bundle of 256 entries with their lengths, in bytes.
const MAX_FILE: u64 = 32 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::tests::node;
    use crate::render::tests::write_log;

    #[test]
    fn a_log_is_verified_from_its_folder_a_copy_of_it_or_the_data_folder() {
        let data = tempfile::tempdir().expect("a folder");
        let log = data.path().join("log1");
        write_log(&log);
        let fingerprint = render::tests::chain().fingerprint();
        for folder in [data.path(), &log] {
            let reply = verify(folder, Some(&fingerprint)).expect("an honest log");
            assert!(reply.yes && reply.text.starts_with(&format!("{}: the log holds\n", log.display())));
            assert!(reply.text.ends_with("\nThe root fingerprint is the one you gave.\n"), "{}", reply.text);
            assert_eq!(reply.json["size"], 3);
        }
        let reply = verify(&log, None).expect("an honest log");
        assert!(reply.text.contains("compare it with the one you hold"), "{}", reply.text);
    }

    #[test]
    fn a_log_that_does_not_hold_is_a_no_and_names_the_file() {
        let data = tempfile::tempdir().expect("a folder");
        let log = data.path().join("log1");
        write_log(&log);
        let other = "ab".repeat(32).parse().expect("64 digits");
        let error = verify(&log, Some(&other)).expect_err("another State's");
        assert!(error.exit_code() == 1 && error.to_string().contains("key-sets: the root fingerprint is"));
        let bundle = log.join("tile/entries/000.p/3");
        let text = fs::read_to_string(&bundle).expect("a bundle").replace("order", "query");
        fs::write(&bundle, text).expect("the bundle");
        let error = verify(&log, None).expect_err("an entry was altered");
        let expected = "the log does NOT hold: leaf 1: the entry in tile/entries/000.p/3 does not have the hash in \
                        tile/0/000.p/3";
        assert_eq!((error.exit_code(), error.to_string().as_str()), (1, expected));
        fs::remove_file(log.join("checkpoint")).expect("it is there");
        assert_eq!(verify(data.path(), None).map_err(|error| error.exit_code()).err(), Some(1));
    }

    #[test]
    fn many_hands_hand_over_in_order_and_stop_when_told() {
        for (count, stop, expected) in [(0, 9, 0), (1, 9, 1), (1000, 5000, 1000), (1000, 17, 18)] {
            let mut taken = Vec::new();
            AllHands.each(
                count,
                |number| number * 2,
                |twice| {
                    taken.push(twice);
                    twice != stop * 2
                },
            );
            assert_eq!(taken, (0..expected).map(|number| number * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_is_no_log_folder_is_not_judged() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = verify(folder.path(), None).expect_err("it is empty");
        assert!(error.exit_code() == 2 && error.to_string().contains("is no log folder and has none in it"));
        let error = verify(&folder.path().join("nowhere"), None).expect_err("it is not there");
        assert!(error.exit_code() == 2 && error.to_string().starts_with("cannot use "));
        for log in ["log2", "log10", "logs"] {
            fs::create_dir(folder.path().join(log)).expect("a new folder");
        }
        assert_eq!(log_folder(folder.path()).ok(), Some(folder.path().join("log10")));
    }

    #[test]
    fn a_proof_goes_to_a_file_and_its_entry_beside_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("12.tlog-proof");
        let (client, node) = node(vec![("200 OK", r#"{"entry":"{\"k\":1}","proof":"c2sp\n"}"#.to_owned())]);
        let command = LogCommand::Prove { leaf: 12, out: Some(file.clone()) };
        assert_eq!(run(&client, command).expect("the node answers").text, "{\"k\":1}\n");
        assert_eq!(fs::read_to_string(file).expect("it was written"), "c2sp\n");
        assert!(node.join().expect("the node ends")[0].starts_with("GET /v1/log/inclusion?leaf=12 "));
    }
}

//! A disk in memory, as honest as a disk: what is not synced may be lost or torn.
//!
//! What a program reads is the system's memory of a file; what survives a power cut is on the platter. A sync
//! that failed leaves the first looking whole for ever, though later syncs succeed: so Linux does it.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use liaison_node::disk::Disk;
use liaison_protocol::audit;

use crate::dice::Dice;

/// How an operation that changes the disk fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failure {
    /// It says so, and nothing has landed.
    Lost,
    /// It says so, and yet all has landed.
    Landed,
    /// It says so, and a part has landed: the disk is full, perhaps.
    Half,
    /// The power goes: nothing works until [`SimDisk::power_cut`].
    PowerCut,
}

/// How much of what was not synced a power cut leaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Torn {
    /// Nothing: the files are as they were last synced, and removed names are back.
    Nothing,
    /// One byte of each write.
    OneByte,
    /// The first half of each write.
    Half,
    /// All but the last byte of each write.
    AllButOne,
    /// All of it.
    Everything,
    /// Some of this and some of that, by seed.
    BySeed,
}

impl Torn {
    /// Every way but the one by seed.
    pub const ALL: [Self; 5] = [Self::Nothing, Self::OneByte, Self::Half, Self::AllButOne, Self::Everything];

    fn settle(self, dice: &mut Dice) -> Self {
        if self == Self::BySeed { *dice.pick(&Self::ALL) } else { self }
    }

    fn of(self, len: usize) -> usize {
        match self {
            Self::Nothing => 0,
            Self::OneByte => len.min(1),
            Self::Half | Self::BySeed => len / 2,
            Self::AllButOne => len.saturating_sub(1),
            Self::Everything => len,
        }
    }

    fn keeps_names(self) -> bool {
        self != Self::Nothing
    }
}

#[derive(Clone, Debug, Default)]
struct File {
    /// What is read.
    now: Vec<u8>,
    /// What is on the platter.
    durable: Vec<u8>,
    /// Whether `now` does not begin with `durable`, but was written over it.
    rewritten: bool,
    /// Parts of `now` whose sync failed: no later sync brings them to the platter.
    ghosts: Vec<Range<usize>>,
    /// Whether its name survives.
    named: bool,
    /// What it was before it was replaced, while its folder is not synced.
    before: Option<Box<File>>,
}

impl File {
    fn sync(&mut self) {
        self.durable.clone_from(&self.now);
        for ghost in &self.ghosts {
            self.durable[ghost.clone()].fill(0);
        }
        self.rewritten = false;
    }

    fn sync_fails(&mut self) {
        let from = if self.rewritten { 0 } else { self.durable.len().min(self.now.len()) };
        self.ghosts.push(from..self.now.len());
    }

    fn truncate(&mut self, len: usize) {
        self.now.truncate(len);
        self.ghosts.retain_mut(|ghost| {
            ghost.end = ghost.end.min(self.now.len());
            ghost.start < ghost.end
        });
        self.sync();
    }

    fn after_power_cut(&self, torn: Torn) -> Option<Self> {
        if let Some(before) = self.before.as_ref().filter(|_| !torn.keeps_names()) {
            return before.after_power_cut(torn);
        }
        if !self.named && !torn.keeps_names() {
            return None;
        }
        let mut bytes = match (self.rewritten, torn) {
            (true, Torn::Nothing) => self.durable.clone(),
            (true, torn) => self.now[..torn.of(self.now.len())].to_vec(),
            (false, torn) => {
                let fresh = &self.now[self.durable.len().min(self.now.len())..];
                [&self.durable, &fresh[..torn.of(fresh.len())]].concat()
            }
        };
        for ghost in &self.ghosts {
            let range = ghost.start.min(bytes.len())..ghost.end.min(bytes.len());
            bytes[range].fill(0);
        }
        Some(Self { now: bytes.clone(), durable: bytes, named: true, ..Self::default() })
    }
}

#[derive(Clone, Debug)]
struct State {
    files: BTreeMap<String, File>,
    /// Removed, but the folder not synced: a power cut may bring them back.
    graves: BTreeMap<String, File>,
    dice: Dice,
    operations: u64,
    failure: Option<(u64, Failure)>,
    is_down: bool,
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct SimDisk(Arc<Mutex<State>>);

/// What becomes of one operation.
enum Fate {
    Happens,
    Fails(Failure),
}

impl SimDisk {
    /// An empty disk.
    pub fn new(dice: Dice) -> Self {
        Self(Arc::new(Mutex::new(State {
            files: BTreeMap::new(),
            graves: BTreeMap::new(),
            dice,
            operations: 0,
            failure: None,
            is_down: false,
        })))
    }

    /// Another disk with the same content.
    pub fn copy(&self) -> Self {
        Self(Arc::new(Mutex::new(self.state().clone())))
    }

    /// Operations so far that were to change something.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Let the operation after the next `after` ones fail.
    pub fn fail(&self, after: u64, failure: Failure) {
        let mut state = self.state();
        state.failure = Some((state.operations + after + 1, failure));
    }

    /// Let nothing fail.
    pub fn mend(&self) {
        self.state().failure = None;
    }

    /// Whether the power is gone.
    pub fn is_down(&self) -> bool {
        self.state().is_down
    }

    /// Whether a failure that was asked for has not happened yet.
    pub fn is_about_to_fail(&self) -> bool {
        self.state().failure.is_some()
    }

    /// The power goes, if it has not gone yet, and comes back.
    pub fn power_cut(&self, torn: Torn) {
        let mut state = self.state();
        let State { files, graves, dice, .. } = &mut *state;
        let mut after = BTreeMap::new();
        for (path, file) in &*files {
            after.extend(file.after_power_cut(torn.settle(dice)).map(|file| (path.clone(), file)));
        }
        for (path, file) in std::mem::take(graves) {
            if !torn.settle(dice).keeps_names() && !files.contains_key(&path) {
                after.extend(file.after_power_cut(torn.settle(dice)).map(|file| (path, file)));
            }
        }
        state.files = after;
        state.is_down = false;
        state.failure = None;
    }

    /// Change a file's bytes behind everybody's back.
    pub fn tamper(&self, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        let file = state.files.get_mut(path).unwrap_or_else(|| panic!("no file {path} to tamper with"));
        change(&mut file.now);
        file.durable.clone_from(&file.now);
    }

    /// Take a file away behind everybody's back.
    pub fn lose(&self, path: &str) {
        self.state().files.remove(path).unwrap_or_else(|| panic!("no file {path} to lose"));
    }

    /// The names of all files.
    pub fn names(&self) -> Vec<String> {
        self.state().files.keys().cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Do `whole`, or what its fate leaves of it: nothing, all, or `half`.
    fn change(
        &self,
        whole: impl FnOnce(&mut State) -> io::Result<()>,
        half: impl FnOnce(&mut State),
        unsynced: bool,
    ) -> io::Result<()> {
        let mut state = self.state();
        let failed = || io::Error::other("the disk failed, as it was asked to");
        if state.is_down {
            return Err(failed());
        }
        state.operations += 1;
        let fate = match state.failure {
            Some((at, failure)) if at <= state.operations => {
                state.failure = None;
                Fate::Fails(failure)
            }
            _ => Fate::Happens,
        };
        match fate {
            Fate::Happens => return whole(&mut state),
            Fate::Fails(Failure::Lost) => {}
            Fate::Fails(Failure::Half) => half(&mut state),
            Fate::Fails(Failure::Landed) => drop(whole(&mut state)),
            Fate::Fails(Failure::PowerCut) => {
                // What was being written is not synced, and torn as the rest is; what is atomic happened or not.
                if unsynced || state.dice.chance(50) {
                    drop(whole(&mut state));
                }
                state.is_down = true;
            }
        }
        Err(failed())
    }

    fn look<T>(&self, path: &str, look: impl FnOnce(Option<&Vec<u8>>) -> T) -> io::Result<T> {
        let state = self.state();
        if state.is_down {
            return Err(io::Error::other("the power is gone"));
        }
        Ok(look(state.files.get(path).map(|file| &file.now)))
    }
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

impl State {
    fn append(&mut self, path: &str, bytes: &[u8]) {
        if !self.files.contains_key(path) {
            // A file made this way has its name at once, and with it everything in its folder.
            self.files.insert(path.to_owned(), File::default());
            self.sync_folder(folder_of(path));
        }
        let file = self.files.get_mut(path).expect("just made");
        file.now.extend(bytes);
    }

    fn write(&mut self, path: &str, bytes: &[u8]) {
        let file = self.files.entry(path.to_owned()).or_default();
        file.now = bytes.to_vec();
        file.rewritten = true;
        file.ghosts.clear();
    }

    fn replace(&mut self, path: &str, bytes: &[u8]) {
        let before = self.files.remove(path).map(Box::new);
        let (now, durable) = (bytes.to_vec(), bytes.to_vec());
        let named = before.is_some();
        self.files.insert(path.to_owned(), File { now, durable, named, before, ..File::default() });
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let file = self.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        let before = self.files.remove(to).map(Box::new);
        self.graves.insert(from.to_owned(), file.clone());
        self.files.insert(to.to_owned(), File { named: before.is_some(), before, ..file });
        Ok(())
    }

    fn sync_folder(&mut self, folder: &str) {
        for (_, file) in self.files.iter_mut().filter(|(path, _)| folder_of(path) == folder) {
            file.named = true;
            file.before = None;
        }
        self.graves.retain(|path, _| folder_of(path) != folder);
    }
}

impl Disk for SimDisk {
    fn append(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let half = &bytes[..bytes.len() / 2];
        self.change(
            |state| {
                state.append(path, bytes);
                Ok(())
            },
            |state| state.append(path, half),
            true,
        )
    }

    fn write(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let half = &bytes[..bytes.len() / 2];
        self.change(
            |state| {
                state.write(path, bytes);
                Ok(())
            },
            |state| state.write(path, half),
            true,
        )
    }

    fn sync(&self, path: &str) -> io::Result<()> {
        self.change(
            |state| {
                state.files.get_mut(path).ok_or(io::ErrorKind::NotFound)?.sync();
                Ok(())
            },
            |state| {
                state.files.get_mut(path).into_iter().for_each(File::sync_fails);
            },
            false,
        )
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        self.change(
            |state| {
                if !state.files.keys().any(|path| path.starts_with(&format!("{folder}/"))) {
                    return Err(io::ErrorKind::NotFound.into());
                }
                state.sync_folder(folder);
                Ok(())
            },
            |_| (),
            false,
        )
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.change(
            |state| {
                state.replace(path, bytes);
                state.sync_folder(folder_of(path));
                Ok(())
            },
            // Renamed, and the folder not synced.
            |state| state.replace(path, bytes),
            false,
        )
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.change(
            |state| {
                state.rename(from, to)?;
                state.sync_folder(folder_of(to));
                state.sync_folder(folder_of(from));
                Ok(())
            },
            // Renamed, and the folder not synced.
            |state| drop(state.rename(from, to)),
            false,
        )
    }

    fn truncate(&self, path: &str, len: u64) -> io::Result<()> {
        self.change(
            |state| {
                state.files.get_mut(path).into_iter().for_each(|file| file.truncate(len as usize));
                Ok(())
            },
            |_| (),
            false,
        )
    }

    fn len(&self, path: &str) -> io::Result<Option<u64>> {
        self.look(path, |bytes| bytes.map(|bytes| bytes.len() as u64))
    }

    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        self.look(path, |bytes| bytes.cloned())
    }

    fn read_at(&self, path: &str, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        self.look(path, |bytes| {
            let bytes = bytes.ok_or(io::ErrorKind::NotFound)?;
            let from = usize::try_from(offset).unwrap_or(usize::MAX);
            let range = from..from.saturating_add(len);
            Ok(bytes.get(range).ok_or(io::ErrorKind::UnexpectedEof)?.to_vec())
        })?
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let state = self.state();
        if state.is_down {
            return Err(io::Error::other("the power is gone"));
        }
        let here = state.files.keys().filter(|path| folder_of(path) == folder);
        Ok(here.map(|path| path[folder.len() + 1..].to_owned()).collect())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.change(
            |state| {
                if let Some(file) = state.files.remove(path) {
                    state.graves.insert(path.to_owned(), file);
                }
                Ok(())
            },
            |_| (),
            false,
        )
    }
}

/// The folder of the log, for an audit.
impl audit::Folder for SimDisk {
    type Error = io::Error;

    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        Disk::read(self, &format!("log1/{path}"))
    }
}

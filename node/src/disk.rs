//! Files under one folder, and what it takes to make them survive a power cut.
//!
//! Everything above writes through [`Disk`], so that the rehearsal can put a disk in its place that fails, tears
//! and forgets what was not synced.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use liaison_protocol::audit;

/// A folder of files. Paths are relative, with `/` between names; folders are made as needed.
///
/// Writes are durable only after a sync: [`sync`](Self::sync) for what a file holds, and
/// [`sync_folder`](Self::sync_folder) for the names of files in a folder.
pub trait Disk: Clone + Send + Sync + 'static {
    /// Add `bytes` to the end of a file, made if absent. Not durable before [`sync`](Self::sync).
    fn append(&self, path: &str, bytes: &[u8]) -> io::Result<()>;
    /// Write a whole file, in place. Not atomic, not durable.
    fn write(&self, path: &str, bytes: &[u8]) -> io::Result<()>;
    /// Make a file's content durable.
    fn sync(&self, path: &str) -> io::Result<()>;
    /// Make the names in a folder durable.
    fn sync_folder(&self, path: &str) -> io::Result<()>;
    /// Replace a whole file atomically and durably: afterwards there is the old content or the new, never a mix.
    fn replace(&self, path: &str, bytes: &[u8]) -> io::Result<()>;
    /// Give a synced file another name, durably; a file that had that name is gone.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Cut a file to `len` bytes, durably.
    fn truncate(&self, path: &str, len: u64) -> io::Result<()>;
    /// A file's length, or `None` if there is no such file.
    fn len(&self, path: &str) -> io::Result<Option<u64>>;
    /// A whole file, or `None` if there is no such file.
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>>;
    /// `len` bytes of a file from `offset` on; an error if there are fewer.
    fn read_at(&self, path: &str, offset: u64, len: usize) -> io::Result<Vec<u8>>;
    /// The names of the files in a folder, sorted; none if there is no such folder.
    fn list(&self, path: &str) -> io::Result<Vec<String>>;
    /// Remove a file; no error if there is none.
    fn remove(&self, path: &str) -> io::Result<()>;
}

/// A folder of the real file system. Files are made with mode 0600, folders with 0700.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
    open: Arc<Mutex<HashMap<String, Arc<File>>>>,
}

/// Open files kept at hand.
const MOST_OPEN: usize = 64;

impl Folder {
    /// The folder at `root`; made when something is written.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), open: Arc::default() }
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    fn open_files(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<File>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, path: &str) {
        self.open_files().remove(path);
    }

    fn existing(&self, path: &str) -> io::Result<Option<Arc<File>>> {
        if let Some(file) = self.open_files().get(path) {
            return Ok(Some(file.clone()));
        }
        match OpenOptions::new().read(true).append(true).open(self.path(path)) {
            Ok(file) => Ok(Some(self.keep(path, file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn existing_or_made(&self, path: &str) -> io::Result<Arc<File>> {
        if let Some(file) = self.existing(path)? {
            return Ok(file);
        }
        let full = self.path(path);
        let parent = self.make_parent(&full)?;
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&full)?;
        File::open(parent)?.sync_all()?;
        Ok(self.keep(path, file))
    }

    fn keep(&self, path: &str, file: File) -> Arc<File> {
        let file = Arc::new(file);
        let mut open = self.open_files();
        if open.len() >= MOST_OPEN {
            open.clear();
        }
        open.insert(path.to_owned(), file.clone());
        file
    }

    fn make_parent<'a>(&self, full: &'a Path) -> io::Result<&'a Path> {
        let parent = full.parent().unwrap_or(Path::new("."));
        if !parent.is_dir() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
            // The new folder's own name must survive, too.
            let mut above = parent.parent();
            while let Some(folder) = above.filter(|folder| folder.starts_with(&self.root)) {
                File::open(folder)?.sync_all()?;
                above = folder.parent();
            }
        }
        Ok(parent)
    }
}

impl Disk for Folder {
    fn append(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        (&*self.existing_or_made(path)?).write_all(bytes)
    }

    fn write(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.forget(path);
        let full = self.path(path);
        self.make_parent(&full)?;
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(full)?.write_all(bytes)
    }

    fn sync(&self, path: &str) -> io::Result<()> {
        match self.existing(path)? {
            Some(file) => file.sync_data(),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn sync_folder(&self, path: &str) -> io::Result<()> {
        File::open(self.path(path))?.sync_all()
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.forget(path);
        let full = self.path(path);
        let parent = self.make_parent(&full)?;
        let fresh = full.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, &full)?;
        File::open(parent)?.sync_all()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.forget(from);
        self.forget(to);
        let (from, to) = (self.path(from), self.path(to));
        let parent = self.make_parent(&to)?;
        fs::rename(&from, &to)?;
        File::open(parent)?.sync_all()?;
        match from.parent().filter(|other| *other != parent) {
            Some(other) => File::open(other)?.sync_all(),
            None => Ok(()),
        }
    }

    fn truncate(&self, path: &str, len: u64) -> io::Result<()> {
        match self.existing(path)? {
            Some(file) => {
                file.set_len(len)?;
                file.sync_all()
            }
            None => Ok(()),
        }
    }

    fn len(&self, path: &str) -> io::Result<Option<u64>> {
        match fs::metadata(self.path(path)) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        match File::open(self.path(path)) {
            Ok(mut file) => {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes)?;
                Ok(Some(bytes))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn read_at(&self, path: &str, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let file = self.existing(path)?.ok_or(io::ErrorKind::NotFound)?;
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.path(path)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.forget(path);
        match fs::remove_file(self.path(path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl audit::Folder for Folder {
    type Error = io::Error;

    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        Disk::read(self, path)
    }
}

impl audit::ListedFolder for Folder {
    fn names(&self, path: &str) -> io::Result<Vec<String>> {
        self.list(path)
    }
}

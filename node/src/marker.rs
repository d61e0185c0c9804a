//! What this machine remembers of its own log, outside the data folder: how many entries it has signed.
//!
//! A data folder restored from a backup would sign a second history. The marker is written after the log, so it never
//! says more than was signed; a log that is shorter than it says was rolled back.

use std::io;
use std::path::Path;

use crate::disk::{Disk, Folder};

/// First line of the file.
const HEADER: &str = "liaison marker 1";

/// How many entries of the log `origin` were signed here. `None` if the file is not there, or is another log's.
pub fn read(path: &Path, origin: &str) -> io::Result<Option<u64>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut lines = text.lines();
    let is_ours = lines.next() == Some(HEADER) && lines.next() == Some(origin);
    Ok(lines.next().filter(|_| is_ours).and_then(|size| size.parse().ok()))
}

/// Note that `size` entries of the log `origin` are signed.
pub fn write(path: &Path, origin: &str, size: u64) -> io::Result<()> {
    let name = path.file_name().and_then(|name| name.to_str()).ok_or(io::ErrorKind::InvalidFilename)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Folder::new(folder).replace(name, format!("{HEADER}\n{origin}\n{size}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_speaks_of_one_log_and_of_nothing_it_cannot_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("signed");
        assert_eq!(read(&path, "a/log1").expect("readable"), None);
        write(&path, "a/log1", 17).expect("writable");
        assert_eq!(read(&path, "a/log1").expect("readable"), Some(17));
        assert_eq!(read(&path, "b/log1").expect("readable"), None);
        write(&path, "a/log1", 18).expect("writable");
        assert_eq!(read(&path, "a/log1").expect("readable"), Some(18));
        std::fs::write(&path, "liaison marker 1\na/log1\nmany\n").expect("writable");
        assert_eq!(read(&path, "a/log1").expect("readable"), None);
    }
}

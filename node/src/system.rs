//! What we ask of the system: files enough, no memory on disk, and how much room there is. The only file that names
//! `rustix`.

use std::io;
use std::path::Path;

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, geteuid, getrlimit, set_dumpable_behavior, setrlimit,
};

/// What to look at where the system refuses a file.
pub(crate) const HELP_WITH_FILES: &str = "See whether it is there, whether the user that runs the node may read and write it, and whether the disk is full";

/// Connections and the log's files share one limit, which systems set low for programs that cannot do with more.
pub fn raise_file_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(?current, ?maximum, %error, "the limit of open files stays as it is");
    }
}

/// Keys and requests are in memory: no core dump may carry them to a disk, and no other process of the same user may
/// look at them.
pub fn forbid_core_dumps() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    // A limit of zero does not hold where the system pipes core dumps into a program.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// Whether this process may do what it likes with everybody's files.
pub fn is_root() -> bool {
    geteuid().is_root()
}

/// Whether a twentieth of the disk on which `path` lies is free, or `enough` bytes. Where that cannot be told, it shows when
/// something is written.
pub fn has_room(path: &Path, enough: u64) -> bool {
    rustix::fs::statvfs(path).map_or(true, |disk| {
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        free >= enough.min(disk.f_blocks.saturating_mul(disk.f_frsize) / 20)
    })
}

/// Bytes that may still be written to the disk on which `path` lies.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(path)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

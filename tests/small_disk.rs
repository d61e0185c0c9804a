//! A file system of its own, in memory, whose size a test sets: it can be full.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::processes::{run, said};

/// It is unmounted when dropped.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mount it, so many MiB large; `None`: this process may not mount anything, and says so.
    pub fn mount(at: &Path, mib: u64) -> Option<Self> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "liaison-test"])
            .arg(at)
            .output();
        let is_mounted = mounted.is_ok_and(|output| output.status.success());
        if !is_mounted {
            eprintln!("not possible here: this process may not mount a file system");
        }
        is_mounted.then(|| Self(at.into()))
    }

    /// Make it so many MiB large.
    pub fn resize(&self, mib: u64) {
        self.remount(&format!("{mib}m")).unwrap_or_else(|why| panic!("{why}"));
    }

    /// Leave only so many KiB free.
    pub fn fill(&self, kib: u64) {
        let mut why = String::new();
        // What is written in between may be more than would fit: then it is looked again.
        for _ in 0..100 {
            let told = run(Command::new("stat").args(["-f", "-c", "%b %f %S"]).arg(&self.0));
            let told = said(&told);
            let numbers: Vec<u64> =
                told.split_whitespace().filter_map(|number| number.parse().ok()).collect();
            let [blocks, free, size] = numbers[..] else { panic!("{told}") };
            match self.remount(&format!("{}k", (blocks - free) * size / 1024 + kib)) {
                Ok(()) => return,
                Err(told) => why = told,
            }
        }
        panic!("{why}");
    }

    fn remount(&self, size: &str) -> Result<(), String> {
        let made = run(Command::new("mount").args(["-o", &format!("remount,size={size}")]).arg(&self.0));
        if made.status.success() { Ok(()) } else { Err(said(&made)) }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

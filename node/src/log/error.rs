//! Why the log cannot be used, and what to do then.

use std::io;

/// Why the log cannot be used. The node stops: nothing that is not recorded has left the house.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Something in the files is not what we wrote.
    #[error(
        "{path}: {why}. Delete nothing. Move the data folder aside and keep it, and put the newest whole copy of it in its place: see \"A file of the log is damaged\" in OPERATING.md"
    )]
    Damaged {
        /// Which file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// There is a log already.
    #[error(
        "there is a log in this folder already, and a second one would be a second history: give another node another folder"
    )]
    Exists,
    /// The disk did not do what it was asked.
    #[error(
        "cannot {doing} {path}: {source}. Free or repair the disk, then start the node again: nothing acknowledged is lost"
    )]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// There is no log to open.
    #[error("there is no log in this folder: make a node with `liaison-node init`")]
    Missing,
}

pub(super) fn io_at<'a>(doing: &'static str, path: &'a str) -> impl FnOnce(io::Error) -> LogError + 'a {
    move |source| LogError::Io { doing, path: path.to_owned(), source }
}

pub(super) fn damaged<T>(path: &str, why: impl Into<String>) -> Result<T, LogError> {
    Err(LogError::Damaged { path: path.to_owned(), why: why.into() })
}

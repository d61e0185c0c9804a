//! What each command does: ask the node, and say what it answered.

mod case;
mod enclosed;
mod evidence;
mod exchange;
pub(crate) mod files;
mod licence;
mod log;
mod node;
mod peer;
mod status;
mod trace;
mod transit;
mod watch;

use std::io;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use liaison_manual::Manual;
use liaison_protocol::audit::{AuditFlaw, LogFlaw};
use liaison_protocol::key_set::Fingerprint;
use serde::Serialize;
use serde_json::Value;

use crate::args::{
    Args, Command, EvidenceCommand, FirearmsCommand, LogCommand, TraceCommand, TransitCommand,
};
use crate::client::{Answered, Client, ClientError, Method};
use crate::profile::{self, Profile, ProfileError};
use crate::render;

/// What a command has to say.
#[derive(Debug)]
pub(crate) struct Reply {
    /// For people.
    pub(crate) text: String,
    /// For programs: the node's JSON, unchanged.
    pub(crate) json: Value,
    /// Beside it, for standard error.
    pub(crate) aside: Option<String>,
    /// What it came to, big and clear below the text.
    pub(crate) verdict: Option<String>,
    /// A fingerprint to be shown below it as a QR code.
    pub(crate) qr: Option<Fingerprint>,
    /// Whether the answer is yes, or the thing is done.
    pub(crate) yes: bool,
}

impl Reply {
    fn new(text: String, json: Value) -> Self {
        Self { text, json, aside: None, verdict: None, qr: None, yes: true }
    }

    /// Say an answer of the node as `render` puts it.
    fn of<T>(answered: Answered<T>, render: impl FnOnce(&T) -> String) -> Self {
        Self::new(render(&answered.view), answered.json)
    }

    /// With a fingerprint as the node gave it shown as a QR code, if that is wanted.
    fn with_qr(mut self, wanted: bool, fingerprint: &str) -> Self {
        self.qr = fingerprint.parse().ok().filter(|_| wanted);
        self
    }
}

/// Do what was typed. What goes on without an end is told to `say`, which says whether somebody still listens.
pub(crate) fn run(args: Args, say: &mut dyn FnMut(&Reply) -> bool) -> Result<Reply, Error> {
    if let Command::Log(LogCommand::Verify { folder, fingerprint }) = &args.command {
        return log::verify(folder, fingerprint.as_ref());
    }
    if let Command::Evidence(EvidenceCommand::Verify { file, fingerprint }) = &args.command {
        return evidence::verify(file, fingerprint);
    }
    match &args.command {
        Command::Trace(TraceCommand::Template { kind }) => return Ok(trace::template(*kind)),
        Command::Transit(TransitCommand::Template) => return Ok(transit::template()),
        Command::Manual { folder } => {
            let manual = Manual { section: "1", also: "liaison-node(8)" };
            let written = manual.write(Args::command(), folder);
            written.map_err(|why| Error::File { path: folder.clone(), why })?;
            let text = format!("{}: man pages and completions are written\n", folder.display());
            return Ok(Reply::new(text, serde_json::json!({ "folder": folder })));
        }
        _ => {}
    }
    let client = Client::open(Profile::find(args.profile.as_deref(), &profile::places())?)?;
    match args.command {
        Command::Evidence(command) => evidence::run(&client, command),
        Command::Case(command) => case::run(&client, command),
        Command::Exchange(command) => exchange::run(&client, command),
        Command::Firearms(FirearmsCommand::Import { file }) => {
            let list = read_text(&file)?;
            let done = client.upload(Method::Put, "/v1/firearms", "text/csv", list.as_bytes(), None)?;
            Ok(Reply::of(done, render::firearms))
        }
        Command::Licence(command) => licence::run(&client, command),
        Command::Log(command) => log::run(&client, command),
        Command::Manual { .. } => unreachable!("it needs no node"),
        Command::Node { command, qr } => node::run(&client, command, qr),
        Command::Peer(command) => peer::run(&client, command),
        Command::Status => status::run(&client),
        Command::Trace(command) => trace::run(&client, command),
        Command::Transit(command) => transit::run(&client, command),
        Command::Watch { after } => watch::run(&client, after, say),
    }
}

/// Why a command could not do its work, or the answer is no.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The node did not answer, or said no.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// It is not known whether the node did it.
    #[error(
        "{error}\nIf it was carried out all the same, nothing happens twice if you repeat it with --key {key}"
    )]
    Doubt { error: ClientError, key: String },
    /// A file cannot be read or written.
    #[error("cannot use {}: {why}", path.display())]
    File { path: PathBuf, why: io::Error },
    /// The question was asked, and its answer cannot be seen.
    #[error("{error}\nThe question is asked all the same: liaison exchange show {exchange}")]
    Interrupted { error: ClientError, exchange: String },
    /// A log does not hold.
    #[error("the log does NOT hold: {0}")]
    Log(#[from] LogFlaw),
    /// The answer is no.
    #[error("{0}")]
    No(String),
    /// There is no profile.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// What was typed, or a file that was named, is no use.
    #[error("{0}")]
    Unusable(String),
}

impl Error {
    /// 1: the answer is no. 2: something must be put right before there can be an answer.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Client(error) | Self::Doubt { error, .. } | Self::Interrupted { error, .. }
                if error.is_no() =>
            {
                1
            }
            Self::Log(LogFlaw::Audit(AuditFlaw::Unreadable { .. })) => 2,
            Self::Log(_) | Self::No(_) => 1,
            Self::Client(_)
            | Self::Doubt { .. }
            | Self::File { .. }
            | Self::Interrupted { .. }
            | Self::Profile(_)
            | Self::Unusable(_) => 2,
        }
    }
}

fn read_text(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|why| Error::File { path: path.to_owned(), why })
}

/// Write to a file that is not there yet: what somebody kept is not overwritten.
fn write_new(path: &Path, content: impl AsRef<[u8]>) -> Result<(), Error> {
    let written = std::fs::File::create_new(path)
        .and_then(|mut file| io::Write::write_all(&mut file, content.as_ref()));
    written.map_err(|why| Error::File { path: path.to_owned(), why })
}

/// A key nobody has used: there is no randomness here, but a process, a moment and a request are one.
fn fresh_key(request: &impl Serialize) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let mut bytes = serde_json::to_vec(request).expect("the types of the API have string keys");
    bytes.extend_from_slice(&now.as_nanos().to_be_bytes());
    bytes.extend_from_slice(&std::process::id().to_be_bytes());
    liaison_protocol::merkle::Hash::of(&bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use liaison_protocol::operator::Problem;

    #[test]
    fn exit_codes_tell_no_from_not_yet() {
        let problem = |status| {
            let (kind, title, detail) = ("about:blank".into(), "x".into(), "y".into());
            Error::from(ClientError::Problem(Problem { kind, title, status, detail }))
        };
        for (error, code) in [
            (problem(409), 1),
            (problem(403), 1),
            (problem(404), 1),
            (problem(503), 1),
            (problem(400), 2),
            (problem(422), 2),
            (Error::No("no".into()), 1),
            (Error::Unusable("what?".into()), 2),
            (LogFlaw::Missing("key-sets".into()).into(), 1),
            (LogFlaw::Audit(AuditFlaw::Unreadable { file: "x".into(), why: "y".into() }).into(), 2),
            (ClientError::Timeout { url: "u".into() }.into(), 2),
        ] {
            assert_eq!(error.exit_code(), code, "{error}");
        }
    }

    #[test]
    fn a_fresh_key_is_a_line_the_node_takes_and_another_each_time() {
        let key = fresh_key(&"x");
        assert!(key.parse::<liaison_protocol::authority::Line>().is_ok());
        assert_ne!(key, fresh_key(&"x"));
    }

    #[test]
    fn a_file_that_is_there_is_not_overwritten() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("proof");
        assert!(write_new(&path, "kept").is_ok());
        let refused = write_new(&path, "lost").expect_err("it is there").to_string();
        assert!(refused.starts_with("cannot use ") && refused.contains("exists"), "{refused}");
        assert_eq!(read_text(&path).expect("it is there"), "kept");
    }
}

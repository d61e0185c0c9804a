//! The end: what was said can be proven, by anyone, with no node running.

use std::path::{Path, PathBuf};

use liaison_protocol::audit::verify_log;
use liaison_protocol::evidence::{self, Report};
use liaison_protocol::handling::{Purpose, Recipient};
use liaison_protocol::operator::{EvidenceRequest, ExchangeView, Side};

use super::{DemoError, Story, Told, chapter, say, short, stopped, trace};
use crate::disk::Folder;

impl Story {
    /// One exchange as one file: given out under the conditions of the State that answered, verified by whoever gets it.
    pub(super) fn evidence(&self, case: &trace::Case, folder: &Path) -> Result<PathBuf, DemoError> {
        chapter("In the end a court asks: who said what, when, and can anyone deny it?");
        let has_receipts = |view: &ExchangeView| {
            let ours = view.timeline.iter().filter(|item| item.from == Side::Requesting);
            ours.into_iter().all(|item| item.receipt.is_some())
        };
        let view = self.serbia.wait_for(&case.stolen, "the last receipt", has_receipts)?;
        if let [request, reply, ..] = view.timeline.as_slice() {
            let receipt = request.receipt.as_ref().map(|receipt| receipt.leaf).unwrap_or_default();
            say(
                "Serbia",
                &format!(
                    "its question {} to Uganda is entry {} of its own log, and Uganda proved that it is entry {receipt} there",
                    short(&request.id),
                    request.leaf
                ),
            );
            say(
                "",
                &format!(
                    "the answer {} is entry {} of Uganda's log, and entry {} here",
                    short(&reply.id),
                    reply.sender_leaf.unwrap_or_default(),
                    reply.leaf
                ),
            );
        }
        let give = |purpose| {
            let request = EvidenceRequest {
                purpose,
                recipient: Recipient::Court,
                officer: None,
                without_persons: false,
            };
            self.serbia.download(&format!("/v1/exchanges/{}/evidence", case.stolen), &request)
        };
        let why = stopped("what Uganda's conditions forbid", give(Purpose::Prosecution))?;
        say("", &format!("for a prosecution its node will not give that out: {why}"));
        let archive = give(Purpose::Tracing)?;
        let path = folder.join(format!("evidence-{}.tar", short(&case.stolen)));
        std::fs::write(&path, &archive).map_err(|source| DemoError::Io { path: path.clone(), source })?;
        let report = judge(&archive)?;
        if let Some(claim) = report.claims().iter().find(|claim| claim.flaw.is_some()) {
            return Err(DemoError::Unexpected {
                expected: "evidence that holds".into(),
                found: format!("{}: {}", claim.says, claim.flaw.clone().unwrap_or_default()),
            });
        }
        say(
            "",
            &format!(
                "for tracing it will: one file of {} KB for the court, which needs no node to check it (verify.py is in it)",
                archive.len() / 1000
            ),
        );
        say("court", &format!("{} claims, each verified offline: the file holds", report.claims().len()));
        Ok(path)
    }

    /// Every log, verified as an auditor would: offline, from its folder.
    pub(super) fn logs(&self) -> Told {
        for office in self.offices() {
            let report = office.verified_log()?;
            let others = match report.witnesses().len() {
                1 => "one other State".to_owned(),
                n => format!("{n} other States"),
            };
            say(
                office.name,
                &format!(
                    "{} entries: every entry, tile, root and signature holds; cosigned by {others}",
                    report.checkpoint().head.size
                ),
            );
        }
        // And what if someone rewrites history?
        let copy = self.uganda.copy_of_log()?;
        let tile = tamper(&copy)?;
        match verify_log(&Folder::new(&copy), None, |_| ()) {
            Err(flaw) => say("Uganda", &format!("one letter changed in a copy ({tile}): {flaw}")),
            Ok(_) => return Err(DemoError::Unexpected { expected: "a flaw".into(), found: "none".into() }),
        }
        Ok(())
    }
}

/// What an evidence file proves.
fn judge(archive: &[u8]) -> Result<Report, DemoError> {
    let files = evidence::unpack(archive).map_err(|flaw| DemoError::Unexpected {
        expected: "an evidence file".into(),
        found: flaw.to_string(),
    })?;
    Ok(evidence::verify(&files))
}

/// Change one letter of the last entry bundle in a log folder. Returns the file's name.
fn tamper(log: &Path) -> Result<String, DemoError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| DemoError::Io { path, source }
    };
    let folder = log.join("tile/entries/000.p");
    let file = std::fs::read_dir(&folder).map_err(io(&folder))?.flatten().next();
    let path = file.map(|file| file.path()).unwrap_or_else(|| log.join("tile/entries/000"));
    let mut bytes = std::fs::read(&path).map_err(io(&path))?;
    let last = bytes.len().saturating_sub(20);
    if let Some(byte) = bytes.get_mut(last) {
        *byte = if *byte == b'1' { b'2' } else { b'1' };
    }
    std::fs::write(&path, bytes).map_err(io(&path))?;
    Ok(path.strip_prefix(log).unwrap_or(&path).display().to_string())
}

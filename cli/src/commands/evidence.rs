//! `liaison evidence`: an exchange as one file for a court, an auditor or another State, and the verification of such a
//! file with no node.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use liaison_protocol::evidence::{self, MAX_ARCHIVE};
use liaison_protocol::handling::Recipient;
use liaison_protocol::key_set::Fingerprint;
use liaison_protocol::merkle::Hash;
use liaison_protocol::operator::EvidenceRequest;
use serde_json::json;

use super::{Error, Reply};
use crate::args::EvidenceCommand;
use crate::client::{Client, Segment};
use crate::render;

pub(super) fn run(client: &Client, command: EvidenceCommand) -> Result<Reply, Error> {
    match command {
        EvidenceCommand::Export { id, out, purpose, recipient, officer, without_persons } => {
            export(client, &id, out, EvidenceRequest { purpose, recipient, officer, without_persons })
        }
        EvidenceCommand::Verify { file, fingerprint } => verify(&file, &fingerprint),
    }
}

fn export(client: &Client, id: &str, out: Option<PathBuf>, request: EvidenceRequest) -> Result<Reply, Error> {
    let short: String = id.chars().take(10).collect();
    let path = out.unwrap_or_else(|| format!("evidence-{short}.tar").into());
    let unusable = |why| Error::File { path: path.clone(), why };
    // The place first: what is given out is recorded, and must not be lost for want of one.
    let mut file = File::create_new(&path).map_err(unusable)?;
    let given = client
        .download(&format!("/v1/exchanges/{}/evidence", Segment(id)), &request)
        .map_err(Error::from)
        .and_then(|archive| file.write_all(&archive).map(|()| archive).map_err(unusable));
    let archive = match given {
        Ok(archive) => archive,
        Err(error) => {
            // It was made for this and is empty, or cut short.
            let _ = fs::remove_file(&path);
            return Err(error);
        }
    };
    let report = evidence::verify(&evidence::unpack(&archive).unwrap_or_default());
    let digest = Hash::of(&archive);
    let whom = match &request.recipient {
        Recipient::State(state) => state.to_string(),
        own => format!("the {own}"),
    };
    let text = format!(
        "{}: the evidence of the exchange, for {} and for {whom}; our log has that it was given out\n\
         SHA-256 {}\n\
         Whoever gets it verifies it with no node: liaison evidence verify {}\n",
        path.display(),
        render::code(&request.purpose),
        render::hex(&digest),
        path.display(),
    );
    let flaws: Vec<_> = report.claims().iter().filter_map(|claim| claim.flaw.as_deref()).collect();
    let text = match flaws.first() {
        None => text,
        Some(flaw) => format!("{text}NOT EVERYTHING IN IT HOLDS: {flaw}\n"),
    };
    let json = json!({
        "holds": flaws.is_empty(),
        "file": path.display().to_string(),
        "bytes": archive.len(),
        "sha256": render::hex(&digest),
        "archive": digest,
    });
    Ok(Reply::new(text, json))
}

/// Verify an evidence file. Talks to nobody.
pub(super) fn verify(path: &Path, expected: &[Fingerprint]) -> Result<Reply, Error> {
    let unusable = |why| Error::File { path: path.to_owned(), why };
    let mut archive = Vec::new();
    let file = File::open(path).map_err(unusable)?;
    file.take(MAX_ARCHIVE as u64 + 1).read_to_end(&mut archive).map_err(unusable)?;
    let files = evidence::unpack(&archive)
        .map_err(|flaw| Error::No(format!("{}: the evidence does NOT hold: {flaw}", path.display())))?;
    let report = evidence::verify(&files);
    let strangers: Vec<_> = expected
        .iter()
        .filter(|given| report.parties().iter().all(|party| party.fingerprint != **given))
        .collect();
    let holds = report.holds() && strangers.is_empty();
    let digest = Hash::of(&archive);
    let word = if holds { "holds" } else { "does NOT hold" };
    let mut text =
        format!("{}: the evidence {word}\n\n{}", path.display(), render::evidence(&report, &digest));
    for given in &strangers {
        text.push_str(&format!("\nNeither State has the fingerprint that you gave:\n{given}\n"));
    }
    let compared = report.parties().iter().filter(|party| expected.contains(&party.fingerprint)).count();
    text.push_str(match compared {
        2 => "\nThe fingerprints are those you gave.\n",
        1 => {
            "\nOne fingerprint is the one you gave. Compare the other with the one you hold of that State, or give it\n\
             too, with --fingerprint.\n"
        }
        _ => {
            "\nWho spoke hangs on the fingerprints: compare them with those you hold of the two States, or give those\n\
             with --fingerprint.\n"
        }
    });
    let mut json = render::evidence_json(&report, &digest);
    json["holds"] = holds.into();
    Ok(Reply { yes: holds, ..Reply::new(text, json) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::tests::{node, node_of_bytes};
    use liaison_protocol::handling::Purpose;

    fn request() -> EvidenceRequest {
        EvidenceRequest {
            purpose: Purpose::Licensing,
            recipient: Recipient::Court,
            officer: None,
            without_persons: false,
        }
    }

    #[test]
    fn an_export_goes_to_a_file_that_was_not_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let out = folder.path().join("evidence.tar");
        let (client, node) = node_of_bytes("200 OK", vec![0, 1, 255]);
        let reply = export(&client, "-Oabcdefghijk", Some(out.clone()), request()).expect("it is given");
        assert_eq!(fs::read(&out).expect("it was written"), [0, 1, 255]);
        assert!(reply.text.contains("for LICENSING and for the court"), "{}", reply.text);
        let asked = &node.join().expect("the node ends")[0];
        assert!(asked.starts_with("POST /v1/exchanges/-Oabcdefghijk/evidence HTTP/1.1\r\n"), "{asked}");
        assert!(asked.ends_with(r#"{"purpose":"LICENSING","for":"court"}"#), "{asked}");
        // Nothing is asked where nothing can be written.
        let (client, _) = node_of_bytes("200 OK", Vec::new());
        let kept = export(&client, "abcdef", Some(out.clone()), request()).expect_err("it is there");
        assert!(kept.to_string().starts_with("cannot use ") && kept.exit_code() == 2, "{kept}");
        assert_eq!(fs::read(&out).expect("it is kept"), [0, 1, 255]);
    }

    #[test]
    fn r_12_5a_a_refusal_is_a_no_and_leaves_no_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let out = folder.path().join("evidence.tar");
        let problem = r#"{"type":"about:blank","title":"Forbidden","status":403,"detail":"not given out"}"#;
        let (client, _) = node(vec![("403 Forbidden", problem.to_owned())]);
        let refused = export(&client, "abcdef", Some(out.clone()), request()).expect_err("it is withheld");
        assert_eq!((refused.to_string().as_str(), refused.exit_code()), ("not given out", 1));
        assert!(!out.exists());
    }

    #[test]
    fn what_is_no_evidence_does_not_hold_and_what_is_not_there_is_not_judged() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("evidence.tar");
        assert_eq!(verify(&path, &[]).expect_err("it is not there").exit_code(), 2);
        for bytes in [&b""[..], b"no archive", &[0; 2048]] {
            fs::write(&path, bytes).expect("ours");
            let no = verify(&path, &[]).expect_err("no archive of ours");
            assert!(no.to_string().contains("does NOT hold") && no.exit_code() == 1, "{no}");
        }
        let empty = evidence::pack(&evidence::Files::new()).expect("small");
        fs::write(&path, empty).expect("ours");
        let reply = verify(&path, &["ab".repeat(32).parse().expect("64 digits")]).expect("an archive");
        assert!(!reply.yes && reply.text.contains("the evidence does NOT hold"), "{}", reply.text);
        assert_eq!(reply.json["holds"], false);
    }
}

//! SPEC.md against the code: its examples are messages, its tables are the code's own, its commands work.
//!
//! `UPDATE_SPEC=1 cargo test -p liaison-protocol --test spec` writes the examples anew.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests read the files beside the crate"
)]

mod world;

use std::collections::BTreeMap;
use std::path::Path;

use liaison_protocol::authority::{By, Function};
use liaison_protocol::envelope::{self, Verified};
use liaison_protocol::fault::Fault;
use liaison_protocol::handling::{Coded, Handling, LegalBasis};
use liaison_protocol::licence::{Answer, Authenticity, Field, LicenceEvent, LicenceNotice, Presented};
use liaison_protocol::message::{
    Acknowledgement, AuthenticityCheck, AuthenticityResult, Body, CaseRefs, Correction, Kind,
    LicenceVerificationResponse, Message, Outcome, Withdrawal,
};
use liaison_protocol::{
    desk, entry, exchange, json, jws, key_set, licence, mail, merkle, message, note, sign, tile,
};
use serde_json::Value;
use world::{CHILE, KENYA, PERU, Party, follow, opener, payload_of, presented, request};

const KINDS: [Kind; 8] = [
    Kind::LicenceVerificationRequest,
    Kind::LicenceVerificationResponse,
    Kind::AuthenticityCheck,
    Kind::AuthenticityResult,
    Kind::Acknowledgement,
    Kind::Correction,
    Kind::LicenceNotice,
    Kind::Withdrawal,
];

fn path() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("SPEC.md")
}

fn spec() -> String {
    std::fs::read_to_string(path()).expect("SPEC.md")
}

/// Two conversations: Peru verifies a licence with Kenya; Chile's customs check another.
fn examples() -> Vec<Verified> {
    let prose = |text: &str| text.parse().expect("prose");
    let date = |text: &str| text.parse().expect("a date");
    let rule = |text: &str| By::Auto { rule: text.parse().expect("a line") };
    let ours = |reference: &str, theirs: Option<&str>| CaseRefs {
        sender: Some(reference.parse().expect("a line")),
        receiver: theirs.map(|text| text.parse().expect("a line")),
    };
    let mut full = presented();
    full.version = Some(1);
    full.expiry_date = Some(date("2027-02-28"));
    let mut first = opener(&PERU, &KENYA, 1, request());
    first.body = Body::LicenceVerificationRequest(message::LicenceVerificationRequest { presented: full });
    first.case = ours("EXP-2026-0311", None);
    let first = PERU.seal(first);
    let id = first.id();
    let says = |n: u64, prev: Option<&Verified>, saw: &Verified, body: Body| {
        let links = [prev.map(Verified::id), Some(saw.id())];
        let said = follow(&KENYA, &PERU, n, id, links, body);
        KENYA.seal(Message { case: ours("NFB/26/117", Some("EXP-2026-0311")), ..said })
    };
    let acknowledgement = says(
        1,
        None,
        &first,
        Body::Acknowledgement(Acknowledgement {
            unit: "Import Licensing".parse().expect("a line"),
            expected: Some(date("2026-09-25")),
            note: None,
        }),
    );
    let response = says(
        2,
        Some(&acknowledgement),
        &first,
        Body::LicenceVerificationResponse(LicenceVerificationResponse {
            answer: Answer::Valid { valid_until: Some(date("2027-02-28")) },
            note: None,
        }),
    );
    let correction = says(
        3,
        Some(&response),
        &first,
        Body::Correction(Correction {
            outcome: Outcome::Answer(Answer::ValidWithDifferences { differences: vec![Field::Lines] }),
            reason: prose("Line 1 was read wrongly."),
        }),
    );
    let notice = says(
        4,
        Some(&correction),
        &first,
        Body::LicenceNotice(LicenceNotice {
            licence_no: "KE-IMP 2026/0042".parse().expect("a number"),
            event: Coded::Known(LicenceEvent::Suspended),
            effective: date("2026-10-01"),
            note: None,
        }),
    );
    let withdrawal = {
        let body = Body::Withdrawal(Withdrawal { reason: prose("The export was cancelled.") });
        let said = follow(&PERU, &KENYA, 2, id, [Some(id), Some(notice.id())], body);
        PERU.seal(Message { case: ours("EXP-2026-0311", Some("NFB/26/117")), ..said })
    };
    let handling = Handling::for_licences(LegalBasis::Article10Para5);
    let check = {
        let mut presented = Presented::number("KE-IMP 2026/0077".parse().expect("a number"));
        presented.issue_date = Some(date("2026-01-05"));
        presented.expiry_date = Some(date("2026-12-31"));
        let body = Body::AuthenticityCheck(AuthenticityCheck { presented });
        CHILE.seal(Message { handling: handling.clone(), ..opener(&CHILE, &KENYA, 1, body) })
    };
    let result = {
        let body = Body::AuthenticityResult(AuthenticityResult {
            result: Authenticity::Mismatch { fields: vec![Field::ExpiryDate] },
            note: None,
        });
        let by = rule("authenticity-from-licence-list");
        let links = [None, Some(check.id())];
        KENYA.seal(Message { handling, by, ..follow(&KENYA, &CHILE, 1, check.id(), links, body) })
    };
    vec![first, response, check, result, acknowledgement, correction, notice, withdrawal]
}

/// Members in JCS order, as many to a line as fit.
fn layout(payload: &str) -> String {
    let value: BTreeMap<String, Value> = serde_json::from_str(payload).expect("an object");
    let mut lines: Vec<String> = Vec::new();
    for (name, member) in value {
        let canonical = String::from_utf8(json::canonical(&member)).expect("UTF-8");
        let text = format!("\"{name}\": {canonical}");
        match lines.last_mut() {
            Some(line) if line.len() + text.len() < 118 => {
                line.push_str(", ");
                line.push_str(&text);
            }
            _ => lines.push(text),
        }
    }
    format!("{{\n  {}\n}}", lines.join(",\n  "))
}

/// The blocks ```json below `<!-- example: kind -->`.
fn blocks(spec: &str) -> Vec<(String, std::ops::Range<usize>)> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = spec[from..].find("<!-- example: ") {
        let start = from + at + "<!-- example: ".len();
        let kind = spec[start..].split(' ').next().expect("a kind").to_owned();
        let open = start + spec[start..].find("```json\n").expect("a block") + "```json\n".len();
        let close = open + spec[open..].find("\n```").expect("its end");
        found.push((kind, open..close));
        from = close;
    }
    found
}

#[test]
fn every_kind_has_an_example_that_is_a_message() {
    if std::env::var_os("UPDATE_SPEC").is_some() {
        let mut text = spec();
        let examples = examples();
        for (kind, range) in blocks(&text).into_iter().rev() {
            let example = examples.iter().find(|example| example.message().kind().as_str() == kind);
            text.replace_range(range, &layout(&payload_of(example.expect("an example"))));
        }
        std::fs::write(path(), text).expect("written");
    }
    let text = spec();
    let blocks = blocks(&text);
    let kinds: Vec<&str> = blocks.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, KINDS.map(Kind::as_str));
    for ((kind, range), made) in blocks.into_iter().zip(examples()) {
        let value: Value = json::parse(text[range].as_bytes()).expect("strict JSON");
        let payload = String::from_utf8(json::canonical(&value)).expect("UTF-8");
        let from = [KENYA, PERU, CHILE].into_iter().find(|party| value["iss"] == party.node().as_str());
        let from: Party = from.expect("one of the cast");
        let header = String::from_utf8(json::canonical(&from.header(&kind))).expect("UTF-8");
        let token = from.seal_raw(&header, &payload);
        let us = value["aud"].as_str().expect("a node").parse().expect("a node id");
        let opened = envelope::open(&token, &from.node(), &from.chain(), &us).expect("it opens");
        assert!(opened.message().is_understood(), "{kind}");
        opened.message().body.check().expect("the rules of its kind");
        let listed = from.chain();
        let (set, key) = listed.message_key(opened.key_name()).expect("listed");
        assert!(opened.message().kind().is_open_to(set.functions_of(key)), "{kind}: R-13.2");
        // Written again by the code it is the same, byte for byte; and the examples are one conversation.
        assert_eq!(from.seal(opened.message().clone()).token(), token, "{kind}");
        assert_eq!(made.token(), token, "{kind}: run with UPDATE_SPEC=1");
    }
}

#[test]
fn the_kinds_are_open_to_the_functions_of_the_table() {
    let text = spec();
    let functions = [
        ("ART13_CONTACT", Function::Art13Contact),
        ("CUSTOMS", Function::Customs),
        ("EXPORT_LICENSING", Function::ExportLicensing),
        ("IMPORT_LICENSING", Function::ImportLicensing),
        ("TRACING_CENTRE", Function::TracingCentre),
        ("TRANSIT_AUTHORITY", Function::TransitAuthority),
    ];
    for kind in KINDS {
        let start = format!("| `{kind}` |");
        let section = text.lines().skip_while(|line| !line.starts_with("## 7"));
        let row = section.into_iter().find(|line| line.starts_with(&start)).expect("a row of the table");
        for (name, function) in functions {
            assert_eq!(kind.is_open_to(&[function]), row.contains(&format!("`{name}`")), "{kind} {name}");
        }
    }
}

#[test]
fn the_table_of_faults_is_the_codes_own() {
    let text = spec();
    let rows: Vec<&str> = text
        .lines()
        .skip_while(|line| !line.starts_with("## 9"))
        .take_while(|line| !line.starts_with("## 10"))
        .filter(|line| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit())
        .collect();
    let expected: Vec<String> = (0..1000)
        .filter_map(|code| Fault::try_from(code).ok())
        .map(|fault| {
            let ends = if fault.is_passing() { "passing" } else { "for good" };
            format!("| {} | `{fault:?}` | {fault} | {ends} |", fault.code())
        })
        .collect();
    assert_eq!(rows, expected);
}

#[test]
fn the_table_of_limits_is_the_codes_own() {
    let expected = [
        ("envelope::MAX_TOKEN", envelope::MAX_TOKEN as u64),
        ("json::MAX_DEPTH", json::MAX_DEPTH as u64),
        ("json::MAX_INTEGER", json::MAX_INTEGER),
        ("message::MAX_ACCEPT", message::MAX_ACCEPT),
        ("desk::MAX_AHEAD", desk::MAX_AHEAD),
        ("desk::MAX_DENIED_A_DAY", desk::MAX_DENIED_A_DAY.into()),
        ("desk::MAX_OPEN", desk::MAX_OPEN),
        ("desk::MAX_UNDELIVERED", desk::MAX_UNDELIVERED as u64),
        ("exchange::MAX_MESSAGES", exchange::MAX_MESSAGES as u64),
        ("licence::MAX_LINES", licence::MAX_LINES as u64),
        ("key_set::MAX_BYTES", key_set::MAX_BYTES as u64),
        ("key_set::MAX_LIFE", key_set::MAX_LIFE),
        ("key_set::MAX_CHAIN", key_set::MAX_CHAIN as u64),
        ("sign::KEY_LEN", sign::KEY_LEN as u64),
        ("sign::SIGNATURE_LEN", sign::SIGNATURE_LEN as u64),
        ("entry::MAX_ENTRY", entry::MAX_ENTRY as u64),
        ("entry::SALT_LEN", entry::SALT_LEN as u64),
        ("merkle::MAX_PROOF", merkle::MAX_PROOF as u64),
        ("merkle::MAX_SIZE", merkle::MAX_SIZE),
        ("note::MAX_NOTE", note::MAX_NOTE as u64),
        ("note::MAX_SIGNATURES", note::MAX_SIGNATURES as u64),
        ("note::MAX_EXTRA", note::MAX_EXTRA as u64),
        ("tile::TILE_WIDTH", tile::TILE_WIDTH.into()),
        ("mail::MAX_MAIL", mail::MAX_MAIL as u64),
        ("mail::MAX_MESSAGES", mail::MAX_MESSAGES as u64),
        ("mail::MAX_REPLY", mail::MAX_REPLY as u64),
    ];
    let text = spec();
    let rows: Vec<(&str, u64)> = text
        .lines()
        .skip_while(|line| !line.starts_with("## 10"))
        .take_while(|line| !line.starts_with("## 11"))
        .filter_map(|line| {
            let mut cells = line.split(" | ").skip(1);
            let name = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
            Some((name, cells.next()?.trim_end_matches(" |").parse().expect("a number")))
        })
        .collect();
    assert_eq!(rows, expected);
}

#[test]
fn the_commands_for_a_message_work() {
    let text = spec();
    let at = text.find("```sh\n").expect("a block of commands") + "```sh\n".len();
    let commands = &text[at..at + text[at..].find("```").expect("its end")];
    if std::process::Command::new("openssl").arg("version").output().is_err() {
        return; // Only where openssl is installed.
    }
    let message = PERU.seal(opener(&PERU, &KENYA, 1, request()));
    let folder = std::env::temp_dir().join(format!("liaison-spec-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let run = |token: &str| {
        std::fs::write(folder.join("message.jws"), token).expect("written");
        let public = jws::encode(PERU.secret("msg-1").public().as_bytes());
        let mut shell = std::process::Command::new("sh");
        let shell = shell.arg("-ec").arg(commands).env("PUB", public).current_dir(&folder);
        let output = shell.output().expect("a shell");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (holds, said) = run(message.token());
    assert!(holds && said.contains(&message.id().to_string()), "{said}");
    // The id is that of the bytes, the signature holds for these alone.
    let (holds, _) = run(&message.token().replacen(".eyJ", ".eyK", 1));
    assert!(!holds);
    std::fs::remove_dir_all(&folder).expect("removed");
}

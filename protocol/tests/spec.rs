//! SPEC.md against the code: its examples are messages, its tables are the code's own, its commands work.
//!
//! `UPDATE_SPEC=1 cargo test -p liaison-protocol --test spec -- --test-threads 1` writes examples and code lists anew.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests read the files beside the crate"
)]

mod samples;
mod shelf;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use liaison_protocol::authority::{By, Function, Timestamp};
use liaison_protocol::envelope::{self, Verified};
use liaison_protocol::fault::Fault;
use liaison_protocol::handling::{Coded, Handling, LegalBasis, PersonalData};
use liaison_protocol::licence::{Answer, Authenticity, Field, LicenceEvent, LicenceNotice, Presented};
use liaison_protocol::message::{
    Acknowledgement, AuthenticityCheck, AuthenticityResult, Body, CaseRefs, Correction, Kind,
    LicenceVerificationResponse, Message, Outcome, Withdrawal,
};
use liaison_protocol::transit::{ConditionReply, DecisionCode, TransitDecisionWithdrawal};
use liaison_protocol::{
    attachment, blob, calendar, deadline, desk, entry, evidence, exchange, item, json, jws, key_set, licence,
    mail, mark, merkle, message, note, sign, tile, trace, transit,
};
use serde_json::Value;
use world::{CHILE, KENYA, PERU, Party, URUGUAY, follow, opener, payload_of, presented, request};

/// In the order of SPEC.md, section 7.
const KINDS: [Kind; 20] = [
    Kind::LicenceVerificationRequest,
    Kind::LicenceVerificationResponse,
    Kind::AuthenticityCheck,
    Kind::AuthenticityResult,
    Kind::Acknowledgement,
    Kind::Correction,
    Kind::LicenceNotice,
    Kind::Withdrawal,
    Kind::TraceRequest,
    Kind::InformationRequest,
    Kind::InformationSupply,
    Kind::TraceResponse,
    Kind::ClarificationRequest,
    Kind::Clarification,
    Kind::TraceOutcome,
    Kind::TransitNotification,
    Kind::TransitDecision,
    Kind::ConditionReply,
    Kind::TransitDecisionWithdrawal,
    Kind::Reminder,
];

fn path() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("SPEC.md")
}

fn spec() -> String {
    std::fs::read_to_string(path()).expect("SPEC.md")
}

/// Four conversations: Peru verifies a licence with Kenya; Chile's customs check another; Kenya traces a pistol with
/// Uruguay; Peru asks Uruguay to let a shipment pass.
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
    let mut all = vec![first, response, check, result, acknowledgement, correction, notice, withdrawal];
    let (trace, transit) = (trace(), transit());
    let reminder = transit.last().cloned();
    all.extend(trace);
    all.extend(transit.into_iter().take(4));
    all.extend(reminder);
    all
}

/// What the two sides say to each other in turn, each having seen all that was said before.
struct Turns {
    sides: [Party; 2],
    cases: [CaseRefs; 2],
    said: Vec<Verified>,
}

impl Turns {
    fn open(sides: [Party; 2], cases: [&str; 2], message: Message) -> Self {
        let [ours, theirs] = cases.map(|reference| Some(reference.parse().expect("a line")));
        let cases = [
            CaseRefs { sender: ours.clone(), receiver: theirs.clone() },
            CaseRefs { sender: theirs, receiver: ours.clone() },
        ];
        let case = CaseRefs { sender: ours, receiver: None };
        Self { said: vec![sides[0].seal(Message { case, ..message })], sides, cases }
    }

    fn last_of(&self, side: usize) -> Option<&Verified> {
        self.said.iter().rfind(|said| said.message().iss == self.sides[side].node())
    }

    fn say(mut self, side: usize, body: Body) -> Self {
        let first = self.said[0].clone();
        let [prev, saw] = [side, 1 - side].map(|side| self.last_of(side).map(Verified::id));
        let n = self.last_of(side).map_or(1, |last| last.message().seq + 1);
        let (from, to) = (self.sides[side], self.sides[1 - side]);
        let said = follow(&from, &to, n, first.id(), [prev, saw], body);
        let handling =
            Handling { personal_data: Coded::Known(PersonalData::None), ..first.message().handling.clone() };
        self.said.push(from.seal(Message { handling, case: self.cases[side].clone(), ..said }));
        self
    }
}

/// Kenya asks Uruguay where a pistol went, with a photograph and a person beside the request.
fn trace() -> Vec<Verified> {
    let mut request = samples::trace_request();
    request.no_photo_reason = None;
    let (_, part) = attachment::write_part(samples::person(), &[1; attachment::SALT_LEN]);
    let message = Message {
        handling: Handling { personal_data: Coded::Known(PersonalData::Present), ..Handling::for_traces() },
        attachments: vec![samples::photo()],
        parts: vec![part],
        ..opener(&KENYA, &URUGUAY, 1, Body::TraceRequest(request))
    };
    let prose = samples::prose;
    Turns::open([KENYA, URUGUAY], ["DCI/26/880", "RNA-2026-41"], message)
        .say(
            1,
            Body::InformationRequest(message::InformationRequest {
                questions: vec![prose("Which proof mark is on the slide?")],
            }),
        )
        .say(
            0,
            Body::InformationSupply(message::InformationSupply {
                answers: vec![prose("A lion in a circle, and 94 beside it.")],
                item: None,
            }),
        )
        .say(1, Body::TraceResponse(samples::destroyed_here("URY")))
        .say(
            0,
            Body::ClarificationRequest(message::ClarificationRequest {
                question: prose("Who held it when it was sent for destruction?"),
            }),
        )
        .say(
            1,
            Body::Clarification(message::Clarification {
                answer: prose("The arsenal of Montevideo. The certificate names 40 pistols."),
            }),
        )
        .say(0, Body::TraceOutcome(samples::outcome()))
        .said
}

/// Peru asks Uruguay whether it objects; the last message is a reminder of another time.
fn transit() -> Vec<Verified> {
    let message = Message {
        handling: Handling::for_transit(),
        ..opener(&PERU, &URUGUAY, 1, Body::TransitNotification(samples::transit_notification()))
    };
    let open = || Turns::open([PERU, URUGUAY], ["EXP-2026-0311", "TR-26/9"], message.clone());
    let decided =
        open().say(1, Body::TransitDecision(samples::decision(DecisionCode::NoObjectionWithConditions)));
    let of = decided.said[1].id();
    let reply = ConditionReply { of, accepted: true, note: None };
    let rescinded = TransitDecisionWithdrawal { reason: Some(samples::prose("The port is closed.")) };
    let mut said =
        decided.say(0, Body::ConditionReply(reply)).say(1, Body::TransitDecisionWithdrawal(rescinded)).said;
    // Twenty working days from Monday 21 September, of which 12 October is none; three hours behind UTC.
    let due = Timestamp(1_792_551_600);
    let reminder = open().say(0, Body::Reminder(message::Reminder { due })).said[1].message().clone();
    let iat = due.plus(60);
    said.push(PERU.seal(Message { iat, accept_until: iat.plus(message::MAX_ACCEPT), ..reminder }));
    said
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
    assert_eq!(KINDS.into_iter().collect::<BTreeSet<_>>(), Kind::ALL.iter().copied().collect(), "every kind");
    for ((kind, range), made) in blocks.into_iter().zip(examples()) {
        let value: Value = json::parse(text[range].as_bytes()).expect("strict JSON");
        let payload = String::from_utf8(json::canonical(&value)).expect("UTF-8");
        let from =
            [KENYA, PERU, CHILE, URUGUAY].into_iter().find(|party| value["iss"] == party.node().as_str());
        let from: Party = from.expect("one of the cast");
        let header = String::from_utf8(json::canonical(&from.header(&kind))).expect("UTF-8");
        let token = from.seal_raw(&header, &payload);
        let us = value["aud"].as_str().expect("a node").parse().expect("a node id");
        let opened = envelope::open(&token, &from.node(), &from.chain(), &us).expect("it opens");
        assert!(opened.message().is_understood(), "{kind}");
        opened.message().check().expect("the rules of its kind");
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
    assert_eq!(KINDS.len(), Kind::ALL.len());
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

/// Rows of the table of code lists: the name used in this document, and the words.
fn code_lists() -> Vec<String> {
    macro_rules! lists {
        ($($name:literal: $list:ty,)*) => {
            vec![$((
                $name,
                <$list>::ALL.iter().map(|code| code.as_str().to_owned()).collect::<Vec<_>>(),
            ),)*]
        };
    }
    let lists = lists! {
        "action": item::Action,
        "ammunition component": item::AmmunitionComponent,
        "ammunition kind": item::AmmunitionType,
        "calendar of a year": calendar::Calendar,
        "case material": item::CaseMaterial,
        "conclusion": trace::Conclusion,
        "confidence": item::Confidence,
        "criminal context": trace::CriminalContext,
        "day": deadline::Day,
        "decision": transit::DecisionCode,
        "do not contact": trace::Contactee,
        "event": trace::EventKind,
        "firearm type": item::FirearmType,
        "ground": trace::TraceGround,
        "historic State": item::HistoricState,
        "holder": trace::HolderKind,
        "identification": trace::IdentificationConfidence,
        "illicit basis": trace::IllicitBasis,
        "intended use": trace::IntendedUse,
        "legal status": trace::LegalStatus,
        "mark kind": mark::MarkKind,
        "mark location": mark::MarkLocation,
        "mark method": mark::MarkMethod,
        "mark state": mark::MarkState,
        "match level": trace::MatchLevel,
        "material": item::Material,
        "mode of transport": transit::TransportMode,
        "offence": trace::Offence,
        "owing": deadline::Owing,
        "part kind": item::PartKind,
        "person role": attachment::PersonRole,
        "provenance": item::Provenance,
        "provenance detail": item::ProvenanceDetail,
        "question": trace::TraceQuestion,
        "recovery mode": trace::RecoveryMode,
        "restoration": mark::RestorationMethod,
        "result code": trace::ResultCode,
        "script": mark::Script,
        "shape": mark::Shape,
        "view": attachment::View,
        "year source": item::YearSource,
    };
    lists.into_iter().map(|(name, words)| format!("| {name} | `{}` |", words.join(" "))).collect()
}

#[test]
fn the_table_of_code_lists_is_the_codes_own() {
    const HEAD: &str = "| Code list | Words |\n|---|---|\n";
    if std::env::var_os("UPDATE_SPEC").is_some() {
        let mut text = spec();
        let start = text.find(HEAD).expect("the table") + HEAD.len();
        let end = start + text[start..].find("\n\n").expect("its end");
        text.replace_range(start..end, &code_lists().join("\n"));
        std::fs::write(path(), text).expect("written");
    }
    let text = spec();
    let start = text.find(HEAD).expect("the table") + HEAD.len();
    let rows: Vec<&str> = text[start..].lines().take_while(|line| line.starts_with('|')).collect();
    assert_eq!(rows, code_lists(), "run with UPDATE_SPEC=1");
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
        ("attachment::MAX_ATTACHMENTS", attachment::MAX_ATTACHMENTS as u64),
        ("attachment::MAX_LENGTH", attachment::MAX_LENGTH),
        ("attachment::MAX_PARTS", attachment::MAX_PARTS as u64),
        ("attachment::MAX_PART", attachment::MAX_PART as u64),
        ("attachment::SALT_LEN", attachment::SALT_LEN as u64),
        ("item::MAX_MARKS", item::MAX_MARKS as u64),
        ("item::MAX_COMPONENT_SERIALS", item::MAX_COMPONENT_SERIALS as u64),
        ("item::MAX_CALIBRES", item::MAX_CALIBRES as u64),
        ("item::MAX_HEADSTAMP", item::MAX_HEADSTAMP as u64),
        ("trace::MAX_EVENTS", trace::MAX_EVENTS as u64),
        ("deadline::MAX_HOLIDAYS", deadline::MAX_HOLIDAYS as u64),
        ("deadline::MAX_TARGETS", deadline::MAX_TARGETS as u64),
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
        ("blob::MAX_PIECE", blob::MAX_PIECE.into()),
        ("evidence::MAX_ARCHIVE", evidence::MAX_ARCHIVE as u64),
        ("evidence::MAX_ATTACHED", evidence::MAX_ATTACHED as u64),
        ("evidence::MAX_FILE", evidence::MAX_FILE as u64),
        ("evidence::MAX_FILES", evidence::MAX_FILES as u64),
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

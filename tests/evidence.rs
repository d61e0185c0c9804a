//! Evidence files of two real nodes, checked by our own verifier and by programs that know nothing of us.
//!
//! `tar` unpacks them, Python runs the verifier that travels along, `openssl` and `joserfc` verify messages. And each
//! refuses every file that was altered, taken away, or put in from another exchange: not because of the sums, which
//! anyone can make again, but because something that a State signed does not fit.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use liaison_protocol::evidence::{self, Files};
use liaison_protocol::merkle::Hash;
use liaison_protocol::operator::{ExchangeView, NodeView, State};
use liaison_tests::processes::{House, program, run, said, two, wait_for};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Two nodes that hold two exchanges: one answered by a rule, one by officers, with everything that can be said.
struct Held {
    ken: House,
    per: House,
    by_rule: String,
    by_officer: String,
    folder: TempDir,
}

/// Whom Peru names.
const PERSON: &str = "Canaria Zwitscher";

/// A unit whose name no Western code page has.
const CYRILLIC: &str = "Регистар";

/// Turns what follows around on a screen.
const STEERS: char = '\u{202e}';

/// What Peru encloses.
const SCAN: &[u8] = b"\x89PNG, as far as anyone here looks at it";

fn held() -> Held {
    let (ken, per) = two("KEN", "PER");
    per.api().set_rules("KEN", &json!({"verifications": true}));
    per.api().import("licence_no,status,issue_date\nPE-1,ACTIVE,2026-01-10\n");
    let opening = |number: &str| {
        let presented = json!({
            "licence_no": number, "issue_date": "2026-01-10", "final_recipient": "Kenya Police — Armoury",
            "lines": [{"line": 1, "description": "Rifle .308", "quantity": 40, "unit": "pieces"}],
        });
        json!({"question": "verification", "presented": presented, "case_ref": "NFB/26/117"})
    };
    let by_rule = ken.api().open_exchange("PER", &opening("PE-1"), "by-rule").summary.id.to_string();
    ken.api().wait_until(&by_rule, State::Answered);
    // Kenya answers nothing by rule: there officers decide.
    let scan = per.api().put_attachment("licence.png", "image/png", SCAN);
    let mut asked = opening("KE-7");
    asked["enclosed"] = json!({"attachments": [scan], "persons": [{"role": "BUYER", "name": PERSON}]});
    let by_officer = per.api().open_exchange("KEN", &asked, "by-officer").summary.id.to_string();
    wait_for("Kenya has it, with what is attached", || {
        let arrived = ken.api().exchanges().iter().any(|summary| summary.id.to_string() == by_officer);
        (arrived && ken.api().exchange(&by_officer).timeline[0].attachments[0].here).then_some(())
    });
    let acts = [
        json!({"act": "acknowledge", "unit": CYRILLIC, "expected": "2026-12-24", "officer": "okello"}),
        json!({"act": "answer", "outcome": {"answer": "VALID", "valid_until": "2030-01-01"}}),
        json!({"act": "correct", "outcome": {"answer": "REVOKED"}, "reason": format!("the wrong {STEERS}page")}),
    ];
    for act in &acts {
        ken.api().act(&by_officer, act);
    }
    per.api().wait_until(&by_officer, State::Answered);
    per.api().act(&by_officer, &json!({"act": "withdraw", "reason": "the case is closed"}));
    let folder = tempfile::tempdir().expect("a folder");
    let held = Held { ken, per, by_rule, by_officer, folder };
    for id in [&held.by_rule, &held.by_officer] {
        wait_for("all is said and receipted on both sides", || {
            let views = [&held.ken, &held.per].map(|house| house.api().exchange(id));
            let settled = |view: &ExchangeView| {
                let mut own = view.timeline.iter().filter(|item| item.from == view.summary.side);
                own.all(|item| item.receipt.is_some())
            };
            let same = views[0].timeline.len() == views[1].timeline.len();
            let closed = *id == held.by_rule || views.iter().all(|view| view.summary.state == State::Closed);
            (same && closed && views.iter().all(settled)).then_some(())
        });
    }
    held
}

impl Held {
    /// The evidence that one side gives of an exchange, by the command an officer types.
    fn export(&self, house: &House, id: &str, name: &str) -> PathBuf {
        let path = self.folder.path().join(format!("{name}.tar"));
        let (id, out) = (&id[..12], path.display().to_string());
        let words = ["evidence", "export", id, "--purpose", "licensing", "--for", "auditor", "--out", &out];
        let given = house.liaison(&words);
        assert!(given.status.success(), "{}", said(&given));
        path
    }

    fn fingerprints(&self) -> [String; 2] {
        [&self.ken, &self.per].map(|house| house.api().get::<NodeView>("/v1/node").fingerprint)
    }
}

fn files(archive: &Path) -> Files {
    evidence::unpack(&fs::read(archive).expect("it was written")).expect("an archive of ours")
}

/// Unpacked by the program everyone has.
fn unpacked(archive: &Path, folder: &Path) -> PathBuf {
    fs::create_dir_all(folder).expect("ours");
    let tar = run(Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(folder));
    assert!(tar.status.success(), "{}", said(&tar));
    folder.join("evidence")
}

/// Whether Python has a package. Where everything must be checked, it has.
fn python_has(package: &str) -> bool {
    let found = run(Command::new("python3").args(["-c", &format!("import {package}")])).status.success();
    assert!(
        found || std::env::var_os("CI").is_none(),
        "python3 has no package {package}: python3 -m pip install {package}"
    );
    if !found {
        eprintln!("python3 has no package {package}: not checked with it");
    }
    found
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/src/evidence/verify.py")
}

#[test]
fn strangers_verify_what_either_side_gives() {
    let held = held();
    let fingerprints = held.fingerprints();
    let mut texts = Vec::new();
    for (house, state) in [(&held.ken, "KEN"), (&held.per, "PER")] {
        for (id, name) in [(&held.by_rule, "by-rule"), (&held.by_officer, "by-officer")] {
            let archive = held.export(house, id, &format!("{state}-{name}"));
            // Ours: no profile, no node.
            let verify = |more: &[&str]| {
                let mut command = Command::new(program("liaison"));
                run(command
                    .args(["evidence", "verify"])
                    .arg(&archive)
                    .args(more)
                    .env_remove("LIAISON_PROFILE"))
            };
            let whole = ["--fingerprint", &fingerprints[0], "--fingerprint", &fingerprints[1]];
            let verified = verify(&whole);
            assert!(verified.status.success(), "{}", said(&verified));
            let text = said(&verified);
            assert!(text.contains("the evidence holds") && text.contains("those you gave"), "{text}");
            assert!(
                text.contains("cosigned by") && !text.contains("NO ") && !text.contains(STEERS),
                "{text}"
            );
            let report = verify(&["--json"]);
            let report: Value = serde_json::from_slice(&report.stdout).expect("JSON");
            assert_eq!((&report["holds"], report["exchange"].as_str()), (&json!(true), Some(id.as_str())));
            assert_eq!(report["parties"][0]["state"], state, "who exports comes first");
            assert_eq!(
                report["messages"].as_array().map(Vec::len),
                Some(house.api().exchange(id).timeline.len())
            );
            let stranger = verify(&["--fingerprint", &"ab".repeat(32)]);
            assert_eq!(stranger.status.code(), Some(1), "{}", said(&stranger));
            texts.push(text.split_whitespace().collect::<Vec<_>>().join(" "));

            let folder = unpacked(&archive, &held.folder.path().join(format!("{state}-{name}")));
            let sums = run(Command::new("sha256sum")
                .args(["--check", "--quiet", "SHA256SUMS"])
                .current_dir(&folder));
            assert!(sums.status.success(), "{}", said(&sums));
            if python_has("cryptography") {
                let checked = run(Command::new("python3").arg("verify.py").current_dir(&folder));
                let text = said(&checked);
                assert!(checked.status.success() && text.contains("EVERYTHING HOLDS"), "{text}");
                let told = fingerprints.iter().all(|fingerprint| text.contains(fingerprint.as_str()));
                assert!(told && !text.contains(STEERS), "{text}");
                assert_eq!(text.contains("the wrong \\u202epage"), *id == held.by_officer, "{text}");
            }
            outsiders_verify_the_messages(&folder);
        }
    }
    if python_has("cryptography") {
        evidence_that_holds_is_not_blamed_for_where_it_is_read(
            &held.folder.path().join("PER-by-officer/evidence"),
        );
    }
    // Who decided is told by the side whose records they are, and by no other.
    assert!(texts[1].contains("okello ordered \"acknowledge\""), "{}", texts[1]);
    assert!(!texts[3].contains("okello ordered"), "{}", texts[3]);
    assert!(texts[2].contains("consulted under the rule verification-from-licence-list"), "{}", texts[2]);
    assert!(!texts[0].contains("consulted"), "{}", texts[0]);
}

/// verify.py on a machine that cannot show every letter, without what it needs, with a full disk, and stopped half way.
fn evidence_that_holds_is_not_blamed_for_where_it_is_read(folder: &Path) {
    let verify = |encoding: &str| {
        let mut command = Command::new("python3");
        command.arg("verify.py").current_dir(folder).env("PYTHONIOENCODING", encoding);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let escaped: String = CYRILLIC.chars().map(|letter| format!("\\u{:04x}", u32::from(letter))).collect();
    for (encoding, shown) in [("utf-8", CYRILLIC), ("cp1252", &escaped), ("ascii:strict", &escaped)] {
        let checked = run(&mut verify(encoding));
        let text = said(&checked);
        assert!(
            checked.status.success() && text.contains(shown) && text.contains("EVERYTHING HOLDS"),
            "{text}"
        );
    }
    let mut closed = Command::new("sh");
    closed.args(["-c", "python3 verify.py >&- 2>&-"]).current_dir(folder);
    assert!(run(&mut closed).status.success(), "nobody looks: its exit code says it");
    const BARE: &str = "import runpy, sys; sys.modules['cryptography'] = None; runpy.run_path('verify.py')";
    let mut bare = Command::new("python3");
    let bare = run(bare.args(["-c", BARE]).current_dir(folder));
    let full = File::options().write(true).open("/dev/full").expect("it is always there");
    let mut stopped = verify("utf-8").spawn().expect("python3");
    drop(stopped.stdout.take());
    let ended = [bare, run(verify("utf-8").stdout(full)), stopped.wait_with_output().expect("it ends")];
    for ended in ended {
        let text = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{text}");
        assert!(text.starts_with("NOT CHECKED TO THE END") && !text.contains("HOLD:"), "{text}");
    }
}

/// `openssl` and `joserfc` verify every message of an unpacked evidence file, and refuse it altered.
fn outsiders_verify_the_messages(folder: &Path) {
    let with_joserfc = python_has("joserfc");
    let mut count = 0;
    for file in fs::read_dir(folder.join("messages")).expect("messages") {
        let token = fs::read_to_string(file.expect("readable").path()).expect("text");
        let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else {
            panic!("three parts: {token}");
        };
        let header_json = BASE64URL_NOPAD.decode(header.as_bytes()).expect("base64url");
        let header_json: Value = serde_json::from_slice(&header_json).expect("JSON");
        let (node, kid) = header_json["kid"].as_str().and_then(|kid| kid.split_once('#')).expect("a key");
        let key_sets = folder.join(node.trim_end_matches("/liaison")).join("key-sets");
        let key_sets = fs::read_to_string(key_sets).expect("text");
        let newest: Value = serde_json::from_str(key_sets.lines().last().expect("one")).expect("JSON");
        let newest = BASE64URL_NOPAD.decode(newest["payload"].as_str().expect("text").as_bytes());
        let newest: Value = serde_json::from_slice(&newest.expect("base64url")).expect("JSON");
        let keys = newest["keys"].as_array().expect("keys");
        let key = keys.iter().find(|key| key["kid"] == kid).expect("listed")["pub"].as_str().expect("text");

        let input = format!("{header}.{payload}");
        let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).expect("base64url");
        let altered = alterations(&token);
        assert!(openssl_verifies(key, &signature, &input));
        for altered in altered.iter().filter(|altered| !altered.starts_with(&input)) {
            let input = altered.rsplit_once('.').expect("its parts").0;
            assert!(!openssl_verifies(key, &signature, input), "{altered}");
        }
        if with_joserfc {
            let tokens: Vec<&str> =
                std::iter::once(token.as_str()).chain(altered.iter().map(String::as_str)).collect();
            let holds = joserfc_verifies(key, &tokens);
            assert!(holds[0] && !holds[1..].contains(&true), "{token}: {holds:?}");
        }
        count += 1;
    }
    assert!(count >= 2, "a request and its answer");
}

/// A token with one letter changed, in each of its parts, from its beginning to its end.
fn alterations(token: &str) -> Vec<String> {
    let step = token.len() / 24;
    let places = (0..token.len()).step_by(step).filter(|at| token.as_bytes()[*at] != b'.');
    let altered = places.map(|at| {
        // The last letter of a signature has spare bits: what is changed is never that one.
        let other = if token.as_bytes()[at] == b'A' { "B" } else { "A" };
        [&token[..at], other, &token[at + 1..]].concat()
    });
    altered.collect()
}

fn openssl_verifies(key: &str, signature: &[u8], input: &str) -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    // RFC 8410, section 4: SubjectPublicKeyInfo of an Ed25519 key is this prefix and the 32 bytes.
    let key = BASE64URL_NOPAD.decode(key.as_bytes()).expect("base64url");
    let spki = [&HEXLOWER.decode(b"302a300506032b6570032100").expect("hexadecimal"), key.as_slice()].concat();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64.encode(&spki));
    fs::write(at("key.pem"), pem).expect("ours");
    fs::write(at("signature"), signature).expect("ours");
    fs::write(at("input"), input).expect("ours");
    let mut command = Command::new("openssl");
    command.args(["pkeyutl", "-verify", "-rawin", "-pubin", "-inkey"]).arg(at("key.pem"));
    let verified = run(command.arg("-in").arg(at("input")).arg("-sigfile").arg(at("signature")));
    let yes = said(&verified).contains("Signature Verified Successfully");
    assert_eq!(verified.status.success(), yes, "{}", said(&verified));
    yes
}

fn joserfc_verifies(key: &str, tokens: &[&str]) -> Vec<bool> {
    const VERIFY: &str = "
import sys
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
key = OKPKey.import_key({'kty': 'OKP', 'crv': 'Ed25519', 'x': sys.argv[1]})
for token in sys.argv[2:]:
    try:
        jws.deserialize_compact(token, key, algorithms=['Ed25519'])
        print('holds')
    except (JoseError, ValueError):
        print('refused')
";
    let verified = run(Command::new("python3").args(["-c", VERIFY, key]).args(tokens));
    let text = said(&verified);
    assert!(verified.status.success() && text.lines().count() == tokens.len(), "{text}");
    text.lines().map(|line| line == "holds").collect()
}

/// The verifier that travels along, in one process: a folder a line, and whether it holds.
struct Python {
    child: Child,
    ask: ChildStdin,
    hear: BufReader<ChildStdout>,
}

impl Python {
    fn start() -> Self {
        const DRIVER: &str = "
import contextlib, io, runpy, sys
script = sys.argv[1]
for folder in sys.stdin:
    sys.argv = [script, folder.rstrip('\\n')]
    said = io.TextIOWrapper(io.BytesIO(), 'utf-8')
    try:
        with contextlib.redirect_stdout(said):
            runpy.run_path(script, run_name='__main__')
        said.seek(0)
        holds = said.read().rstrip().split('\\n')[-1].startswith('EVERYTHING HOLDS')
        print('holds' if holds else 'strange', flush=True)
    except (SystemExit, Exception) as refused:
        print('refused:', repr(refused).replace('\\n', ' '), flush=True)
";
        let mut command = Command::new("python3");
        command.args(["-c", DRIVER]).arg(script()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("python3");
        let (ask, hear) = (child.stdin.take(), child.stdout.take());
        Self { child, ask: ask.expect("piped"), hear: BufReader::new(hear.expect("piped")) }
    }

    /// Why it is refused; `None` if it holds.
    fn refuses(&mut self, folder: &Path) -> Option<String> {
        writeln!(self.ask, "{}", folder.display()).expect("it listens");
        let mut line = String::new();
        self.hear.read_line(&mut line).expect("it speaks");
        match line.trim_end() {
            "holds" => None,
            refused => Some(refused.strip_prefix("refused: ").unwrap_or_else(|| panic!("{line}")).to_owned()),
        }
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `SHA256SUMS` made again, as whoever alters a file would.
fn with_new_sums(mut files: Files) -> Files {
    files.remove("SHA256SUMS");
    let sum = |(name, bytes): (&String, &Vec<u8>)| {
        format!("{}  {name}\n", HEXLOWER.encode(Hash::of(bytes).as_bytes()))
    };
    let sums: String = files.iter().map(sum).collect();
    files.insert("SHA256SUMS".into(), sums.into_bytes());
    files
}

/// The file of `other` that stands in the place of `name`: of the same name, or at least of the same sort.
fn counterpart<'a>(name: &str, other: &'a Files) -> Option<&'a Vec<u8>> {
    let sort = |name: &str| {
        let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
        let ending = file.split_once('.').map_or(file, |(_, ending)| ending);
        (folder.to_owned(), ending.to_owned())
    };
    let same = other.iter().find(|(of, _)| of.as_str() == name);
    same.or_else(|| other.iter().find(|(of, _)| sort(of) == sort(name))).map(|(_, bytes)| bytes)
}

#[test]
fn nothing_can_be_altered_taken_away_or_put_in_from_another_exchange() {
    let held = held();
    let mut python = python_has("cryptography").then(Python::start);
    let mut refused = 0;
    let mut sorts = std::collections::BTreeSet::new();
    for (house, state) in [(&held.ken, "KEN"), (&held.per, "PER")] {
        let whole = files(&held.export(house, &held.by_officer, &format!("{state}-whole")));
        let other = files(&held.export(house, &held.by_rule, &format!("{state}-other")));
        let folder = held.folder.path().join(format!("{state}-mutations"));
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().expect("below")).expect("ours");
            fs::write(path, bytes).expect("ours");
        };
        whole.iter().for_each(|(name, bytes)| write(name, bytes));
        // Whether both verifiers refuse these files, which differ from the whole in one file and the sums.
        let mut judge = |what: &str, altered: &Files, name: &str, by_python: bool| {
            let report = evidence::verify(altered);
            assert!(!report.holds(), "{state}, {what}: ours takes it: {:#?}", report.claims());
            if let Some(python) = python.as_mut().filter(|_| by_python) {
                for name in [name, "SHA256SUMS"] {
                    match altered.get(name) {
                        Some(bytes) => write(name, bytes),
                        None => drop(fs::remove_file(folder.join(name))),
                    }
                }
                assert!(python.refuses(&folder).is_some(), "{state}, {what}: verify.py takes it");
                for name in [name, "SHA256SUMS"] {
                    write(name, &whole[name]);
                }
            }
            refused += 1;
        };
        assert!(evidence::verify(&whole).holds());
        for (name, bytes) in &whole {
            sorts.insert(name.rsplit(['/', '.']).next().unwrap_or_default().to_owned());
            let mut altered: Vec<(String, Option<Vec<u8>>)> = vec![("dropped".into(), None)];
            let step = (bytes.len() / 12).max(1);
            let places = (0..bytes.len()).step_by(step).chain(bytes.len().checked_sub(1));
            altered.extend(places.map(|at| {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1;
                (format!("byte {at} flipped"), Some(flipped))
            }));
            altered.push(("lengthened".into(), Some([bytes.as_slice(), b"\n"].concat())));
            altered.push(("shortened".into(), Some(bytes[..bytes.len() - 1].to_vec())));
            let swapped = counterpart(name, &other).filter(|swapped| *swapped != bytes);
            altered.extend(swapped.map(|swapped| ("swapped".into(), Some(swapped.clone()))));
            for (n, (how, content)) in altered.into_iter().enumerate() {
                let mut files = whole.clone();
                match content {
                    Some(content) => drop(files.insert(name.clone(), content)),
                    None => drop(files.remove(name)),
                }
                if name.starts_with("attachments/") && how == "dropped" {
                    // Whoever passes evidence on may leave what is attached at home; the file says that it is not here.
                    assert!(evidence::verify(&with_new_sums(files)).holds());
                    continue;
                }
                let what = format!("{name} {how}");
                let rough = !how.contains("flipped") || how.starts_with("byte 0 ");
                judge(&format!("{what}, sums as they were"), &files, name, rough);
                // The sums stand for themselves; the README is for orientation, and says so.
                let prose = name == "README.txt" && how != "dropped";
                if name != "SHA256SUMS" && !prose {
                    // A process of another language is slow: every second byte flipped is enough for it.
                    let by_python = !how.contains("flipped") || n % 2 == 0;
                    judge(&format!("{what}, sums made again"), &with_new_sums(files), name, by_python);
                }
            }
        }
        // Nor is what the same log says of another exchange, though entry, proof, record and salt are sound.
        let mut foreign = 0;
        for entry in other.keys().filter(|name| name.ends_with(".entry.json") && !whole.contains_key(*name)) {
            let place = entry.trim_end_matches("entry.json");
            let more: Files = other
                .range(place.to_owned()..)
                .take_while(|(name, _)| name.starts_with(place))
                .map(|(name, bytes)| (name.clone(), bytes.clone()))
                .collect();
            let is_said_by_us = more.keys().any(|name| name.ends_with(".record.json"));
            if !is_said_by_us {
                continue;
            }
            let altered = with_new_sums(whole.clone().into_iter().chain(more.clone()).collect());
            let report = evidence::verify(&altered);
            assert!(!report.holds(), "{state}, {entry}: {:#?}", report.claims());
            if let Some(python) = &mut python {
                more.iter().for_each(|(name, bytes)| write(name, bytes));
                write("SHA256SUMS", &altered["SHA256SUMS"]);
                let why =
                    python.refuses(&folder).unwrap_or_else(|| panic!("{state}, {entry}: verify.py takes it"));
                foreign += u32::from(why.contains("another exchange"));
                more.keys().for_each(|name| fs::remove_file(folder.join(name)).expect("ours"));
                write("SHA256SUMS", &whole["SHA256SUMS"]);
            }
        }
        assert!(python.is_none() || foreign > 0, "{state}: no record of the other exchange was put in");
        // Something more is no part of it.
        for more in
            ["messages/99.jws", "notes.txt", "attachments/x.png", "firearms.example.ken/log1/0.entry.json"]
        {
            let mut files = whole.clone();
            files.insert(more.to_owned(), b"x".to_vec());
            assert!(!evidence::verify(&with_new_sums(files)).holds(), "{more}");
        }
        if let Some(python) = &mut python {
            assert_eq!(python.refuses(&folder), None, "put back in order it holds");
        }
    }
    assert!(refused > 1000, "{refused}");
    let all =
        ["SHA256SUMS", "extension", "json", "jws", "key-sets", "png", "py", "salt", "tlog-proof", "txt"];
    assert_eq!(sorts.iter().map(String::as_str).collect::<Vec<_>>(), all, "each sort of file was tried");
}

#[test]
fn a_person_is_in_a_part_and_nowhere_else_and_stays_at_home_if_so_wished() {
    let held = held();
    let naming = |files: &Files| -> Vec<String> {
        let names = |bytes: &[u8]| bytes.windows(PERSON.len()).any(|window| window == PERSON.as_bytes());
        files.iter().filter(|(_, bytes)| names(bytes)).map(|(name, _)| name.clone()).collect()
    };
    // Peru ordered it, sent it, and has it: its own records are the ones that are opened.
    for house in [&held.per, &held.ken] {
        let whole = files(&held.export(house, &held.by_officer, &format!("{}-person", house.state)));
        let named = naming(&whole);
        assert_eq!(named.len(), 1, "{named:?}");
        assert!(String::from_utf8_lossy(&whole[&named[0]]).contains("\"record\":\"part\""), "{named:?}");
        let out = held.folder.path().join(format!("{}-without.tar", house.state));
        let path = out.display().to_string();
        let id = &held.by_officer[..12];
        let words =
            ["evidence", "export", id, "--purpose", "licensing", "--for", "court", "--without-persons"];
        let given = house.liaison(&[&words[..], &["--out", &path]].concat());
        assert!(given.status.success(), "{}", said(&given));
        let without = files(&out);
        assert!(naming(&without).is_empty() && evidence::verify(&without).holds());
    }
}

#[test]
fn breach_of_a_handling_rule_r_12_5a_what_is_given_out_and_what_is_refused_is_recorded() {
    let held = held();
    let export = |house: &House, purpose: &str, whom: &str| {
        let out = held.folder.path().join("given.tar").display().to_string();
        let _ = fs::remove_file(&out);
        let id = &held.by_officer;
        house.liaison(&["evidence", "export", id, "--purpose", purpose, "--for", whom, "--out", &out])
    };
    for (purpose, whom, rule, article) in [
        ("PROSECUTION", "court", "R-12.5a", "Art. 12(5); ITI 15(b)"),
        ("LICENSING", "CHL", "R-12.5b", "Art. 12(5); ITI 15(c)"),
    ] {
        let refused = export(&held.ken, purpose, whom);
        let text = said(&refused);
        assert_eq!(refused.status.code(), Some(1), "{text}");
        // The message, the rule, the article, the remedy.
        assert!(text.contains(&format!("message {}", held.by_officer)), "{text}");
        assert!(text.contains(rule) && text.contains(article) && text.contains("What can be done"), "{text}");
        assert!(!held.folder.path().join("given.tar").exists());
        let body = json!({"purpose": purpose, "for": whom});
        let path = format!("/v1/exchanges/{}/evidence", held.by_officer);
        assert_eq!(held.ken.api().refused("POST", &path, &body).status, 403);
    }
    for (whom, why) in [("KEN", "our own State"), ("press", "auditor, court or prosecutor")] {
        let refused = export(&held.ken, "LICENSING", whom);
        assert!(refused.status.code() == Some(2) && said(&refused).contains(why), "{}", said(&refused));
    }
    let (mut ken, given) = (&held.ken, export(&held.ken, "LICENSING", "prosecutor"));
    assert!(given.status.success(), "{}", said(&given));
    let given = files(&held.folder.path().join("given.tar"));
    assert!(given.keys().any(|name| name.contains("record")));
    // What Peru said may go back to Peru, but not how we decided.
    let back = export(&held.ken, "LICENSING", "PER");
    assert!(back.status.success(), "{}", said(&back));
    let back = files(&held.folder.path().join("given.tar"));
    let report = evidence::verify(&back);
    assert!(report.holds() && back.len() < given.len(), "{:#?}", report.claims());
    let orders = |files: &Files| {
        let records = files.iter().filter(|(name, _)| name.ends_with(".record.json"));
        records.filter(|(_, record)| String::from_utf8_lossy(record).contains("\"record\":\"order\"")).count()
    };
    assert_eq!((orders(&given), orders(&back)), (3, 0));

    let digest = Hash::of(&fs::read(held.folder.path().join("given.tar")).expect("it was written"));
    let verified = ken.verify_log();
    assert!(verified.status.success(), "{}", said(&verified));
    let exports = |house: &mut &House| {
        let log = run(Command::new(program("liaison"))
            .args(["--json", "log", "verify"])
            .arg(house.at("data/log1")));
        serde_json::from_slice::<Value>(&log.stdout).expect("JSON")["entries"]["export"].clone()
    };
    // Two refused twice, two given.
    wait_for("the log is spilled", || (exports(&mut ken) == json!(6)).then_some(()));
    let records = fs::read_dir(held.ken.at("data/records")).expect("records");
    let records: String = records
        .map(|file| {
            String::from_utf8_lossy(&fs::read(file.expect("readable").path()).expect("ours")).into_owned()
        })
        .collect();
    for line in [
        format!("\"record\":\"export\",\"exchange\":\"{}\"", held.by_officer),
        "\"purpose\":\"PROSECUTION\",\"to\":\"court\"".to_owned(),
        "\"restraint\":\"purpose_bound\"".to_owned(),
        format!("\"archive\":\"{digest}\""),
    ] {
        assert!(records.contains(&line), "{line}");
    }
}

#[test]
fn evidence_outlives_a_restart_a_rebuilt_index_and_the_removal_of_the_peer() {
    let mut held = held();
    assert!(held.ken.stop().success());
    fs::remove_dir_all(held.ken.at("data/index")).expect("ours");
    // The peer is silent: what it cosigned before is on disk.
    assert!(held.per.stop().success());
    held.ken.start();
    let before = files(&held.export(&held.ken, &held.by_officer, "restarted"));
    assert!(evidence::verify(&before).holds());
    let cosigned = |files: &Files| {
        let proofs = files.iter().filter(|(name, _)| name.ends_with("tlog-proof"));
        let of_peru = "firearms.example.per/liaison/witness ";
        proofs.filter(|(_, proof)| String::from_utf8_lossy(proof).contains(of_peru)).count()
    };
    assert!(cosigned(&before) > 3, "{}", cosigned(&before));
    held.ken.api().send::<Value>("DELETE", "/v1/peers/PER", &json!({"reason": "the treaty ended"}));
    let after = files(&held.export(&held.ken, &held.by_officer, "removed"));
    assert!(evidence::verify(&after).holds());
    assert_eq!(cosigned(&after), cosigned(&before));
}

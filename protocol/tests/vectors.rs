//! The vectors in `vectors/`: one case per file, most of them bad. Each is read from disk and held against the code.
//!
//! `UPDATE_VECTORS=1 cargo test -p liaison-protocol --test vectors` writes them anew from fixed seeds. A file says
//! what it is in lines `name: value`; after an empty line come the exact bytes, to the end of the file.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests read the files beside the crate"
)]

mod conversations;
mod samples;
mod shelf;
mod world;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use liaison_protocol::authority::NodeId;
use liaison_protocol::deadline::{Day, Span, WorkingCalendar};
use liaison_protocol::desk::Judgement;
use liaison_protocol::entry::{Entry, EntryKind, Logged};
use liaison_protocol::envelope::{self, Verified};
use liaison_protocol::fault::Fault;
use liaison_protocol::json;
use liaison_protocol::jws::{self, Header};
use liaison_protocol::key_set::{KeyChain, KeySet, KeyUse, Revocation};
use liaison_protocol::licence::{Answer, Authenticity, Field, LicenceEvent, LicenceNotice};
use liaison_protocol::mail::{self, HeadFlaw, Mail, MailFlaw, MailReply};
use liaison_protocol::merkle::{
    Hash, LeafIndex, Tree, TreeHead, consistency_proof, inclusion_proof, leaf_hash,
};
use liaison_protocol::message::{
    Acknowledgement, AuthenticityCheck, AuthenticityResult, Body, Correction, LicenceVerificationResponse,
    MessageId, Outcome, Withdrawal,
};
use liaison_protocol::note::{self, AddCheckpoint, Checkpoint, KeyType, VerifierKey};
use liaison_protocol::operator::State;
use liaison_protocol::sign::{PublicKey, SecretKey};
use serde_json::{Value, json};
use world::{
    CHILE, DAY, House, KENYA, PERU, Party, START, URUGUAY, follow, opener, payload_of, presented, request,
};

/// One case, in memory or read from its file.
#[derive(Clone, Debug)]
struct Case {
    /// Folder and file name without `.txt`.
    name: String,
    header: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Case {
    fn new(name: &str, about: &str, expect: &str, params: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Self {
        let header = [("about", about), ("expect", expect)].into_iter().chain(params.iter().copied());
        let header = header.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { name: name.to_owned(), header, body: body.into() }
    }

    fn write(&self) -> Vec<u8> {
        let header: String = self.header.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        [header.as_bytes(), b"\n", &self.body].concat()
    }

    fn read(name: &str, bytes: &[u8]) -> Self {
        let at = bytes.windows(2).position(|pair| pair == b"\n\n").expect("an empty line ends the header");
        let header = std::str::from_utf8(&bytes[..at]).expect("the header is text");
        let split = |line: &str| {
            let (name, value) = line.split_once(": ").expect("name: value");
            (name.to_owned(), value.to_owned())
        };
        let header = header.lines().map(split).collect();
        let mut case = Self { name: name.to_owned(), header, body: bytes[at + 2..].to_vec() };
        // A body too long to be kept: one character, so many times.
        if let Some((fill, times)) = case.find("fill").and_then(|fill| fill.split_once(' ')) {
            case.body = fill.repeat(times.parse().expect("a number")).into_bytes();
        }
        case
    }

    fn family(&self) -> &str {
        self.name.split('/').next().expect("a folder")
    }

    fn get(&self, name: &str) -> &str {
        self.find(name).unwrap_or_else(|| panic!("{}: no {name}", self.name))
    }

    fn find(&self, name: &str) -> Option<&str> {
        self.header.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("this family is text")
    }

    fn node(&self, name: &str) -> NodeId {
        self.get(name).parse().expect("a node id")
    }

    fn head(&self, name: &str) -> TreeHead {
        self.get(name).parse().expect("size:root")
    }

    /// The chain of a file in `key-sets/`.
    fn chain(&self, name: &str) -> KeyChain {
        let file = Case::load(self.get(name));
        KeyChain::parse(file.text()).expect("a good key set file")
    }

    fn load(name: &str) -> Self {
        let path = folder().join(format!("{name}.txt"));
        Self::read(name, &std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

// What the code says to a case.

fn fault<T>(result: Result<T, Fault>) -> String {
    match result {
        Ok(_) => "ok".into(),
        Err(fault) => format!("fault {}", fault.code()),
    }
}

/// The name of a variant, without what it carries.
fn flaw<T, E: std::fmt::Debug>(result: Result<T, E>) -> String {
    match result {
        Ok(_) => "ok".into(),
        Err(flaw) => {
            let text = format!("{flaw:?}");
            let end = text.find(|char: char| !char.is_ascii_alphanumeric()).unwrap_or(text.len());
            format!("flaw {}", &text[..end])
        }
    }
}

fn outcome(case: &Case) -> String {
    match case.family() {
        "deliveries" => delivery(case),
        "entries" => flaw(Entry::parse(case.text())),
        "exchanges" => exchange(case),
        "heads" => {
            let opened = mail::open_head(case.text(), &case.chain("key-sets"), &case.head("held"));
            flaw(
                opened
                    .map_err(|flaw| match flaw {
                        HeadFlaw::Bad => "Bad",
                        HeadFlaw::Forked(_) => "Forked",
                        HeadFlaw::Stale => "Stale",
                    })
                    .map_err(Bare),
            )
        }
        "key-sets" => key_set(case),
        "keys" => {
            let bytes = data_encoding::HEXLOWER.decode(case.text().trim_end().as_bytes()).expect("hex");
            flaw(PublicKey::admit(&bytes.try_into().expect("32 bytes")))
        }
        "mail" => flaw(Mail::parse(&case.body).map_err(mail_flaw)),
        "messages" => message(case),
        "notes" => note(case),
        "parts" => conversations::parts(case),
        "posted" => {
            let logged: Logged = json::parse(&case.body).expect("well formed");
            let id = case.get("id").parse().expect("an id");
            fault(mail::check_posted(&logged, id, &case.node("us"), &case.head("head")))
        }
        "receipts" => {
            let logged: Logged = json::parse(&case.body).expect("well formed");
            match mail::check_receipt(&logged, &case.node("us"), &case.head("head")) {
                Some((id, entry)) => {
                    assert_eq!(id.to_string(), case.get("id"), "{}", case.name);
                    assert_eq!(
                        entry.f.map(|f| f.code().to_string()).as_deref(),
                        case.find("refused"),
                        "{}",
                        case.name
                    );
                    "ok".into()
                }
                None => "flaw NoReceipt".into(),
            }
        }
        "spans" => conversations::span(case),
        "replies" => flaw(MailReply::parse(&case.body).map_err(mail_flaw)),
        other => panic!("no family {other}"),
    }
}

/// Shows a word as it is.
struct Bare(&'static str);

impl std::fmt::Debug for Bare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

fn mail_flaw(flaw: MailFlaw) -> Bare {
    match flaw {
        MailFlaw::Form(_) => Bare("Form"),
        MailFlaw::TooMuch => Bare("TooMuch"),
    }
}

fn message(case: &Case) -> String {
    let text = String::from_utf8_lossy(&case.body);
    let opened = envelope::open(&text, &case.node("from"), &case.chain("key-sets"), &case.node("us"));
    if let Ok(verified) = &opened {
        assert_eq!(verified.id().to_string(), case.get("id"), "{}", case.name);
        let understood = if verified.message().is_understood() { "yes" } else { "no" };
        assert_eq!(understood, case.get("understood"), "{}", case.name);
    }
    fault(opened)
}

fn key_set(case: &Case) -> String {
    let parsed = KeyChain::parse(case.text());
    if let Ok(chain) = &parsed {
        assert_eq!(chain.fingerprint().to_string(), case.get("fingerprint"), "{}", case.name);
        assert_eq!(chain.file(), case.text(), "{}", case.name);
    }
    flaw(parsed)
}

fn note(case: &Case) -> String {
    let vkey = || VerifierKey::parse(case.get("verifier-key")).expect("a verifier key");
    match case.get("as") {
        "checkpoint" => {
            let vkey = vkey();
            flaw(note::open_checkpoint(case.text(), &vkey.name, &vkey.key))
        }
        "cosignature" => {
            let (vkey, log) = (vkey(), VerifierKey::parse(case.get("log-key")).expect("a verifier key"));
            let (signed, others) =
                note::open_cosigned(case.text(), &log.name, &log.key).expect("signed by its log");
            let line = others.last().expect("a cosignature").to_string();
            flaw(note::open_cosignature(&line, &vkey.name, &vkey.key, signed.checkpoint()))
        }
        "verifier-key" => flaw(VerifierKey::parse(case.text().trim_end_matches('\n'))),
        other => panic!("{}: as {other}", case.name),
    }
}

/// Tokens one after the other: `<` is delivered to us, `>` is ours. All but the last must be taken.
fn delivery(case: &Case) -> String {
    let mut house = House::new(case.node("us"));
    house.now = liaison_protocol::authority::Timestamp(case.get("now").parse().expect("seconds"));
    house.admit(&case.chain("key-sets"));
    let from = case.node("from");
    let mut judged = Ok(Judgement::New);
    for line in case.text().lines() {
        assert!(judged.is_ok(), "{}: an earlier message was not taken: {judged:?}", case.name);
        match line.split_at(2) {
            ("< ", token) => judged = house.deliver(&from, token),
            ("> ", token) => _ = house.send(token),
            _ => panic!("{}: {line}", case.name),
        }
    }
    match judged {
        Ok(Judgement::Repeated(_)) => "repeated".into(),
        judged => fault(judged),
    }
}

/// The messages of one exchange in their common order: `<` the requesting State's, `>` the requested State's; a
/// code after the token says that it was refused for good. Both sides, whatever arrives when, must come to the same.
fn exchange(case: &Case) -> String {
    let lines: Vec<(bool, &str, Option<Fault>)> = case
        .text()
        .lines()
        .map(|line| {
            let mut words = line.split(' ');
            let asks = words.next() == Some("<");
            let token = words.next().expect("a token");
            let refused = words.next().map(|code| code.parse::<u16>().expect("a code"));
            (asks, token, refused.map(|code| Fault::try_from(code).expect("a fault")))
        })
        .collect();
    let first = envelope::assume_recorded(lines[0].1).expect("an opener");
    let (asking, asked) = (case.node("requesting"), case.node("requested"));
    let mut seen = BTreeSet::new();
    for us in [&asking, &asked] {
        // Theirs as early as can be, and theirs as late as can be.
        for theirs_first in [true, false] {
            let peer = if us == &asking { &asked } else { &asking };
            let mut house = House::new(us.clone());
            house.admit(&case.chain(if us == &asking {
                "key-sets-requested"
            } else {
                "key-sets-requesting"
            }));
            let opener = lines[0];
            let (ours, theirs): (Vec<_>, Vec<_>) =
                lines[1..].iter().copied().partition(|(asks, ..)| *asks == (us == &asking));
            let ordered = match theirs_first {
                true => [vec![opener], theirs, ours].concat(),
                false => [vec![opener], ours, theirs].concat(),
            };
            // Nobody has seen what is not said yet: what saw something of ours comes after it.
            let take = |house: &mut House, token: &str| {
                let saw = envelope::assume_recorded(token).expect("well formed").message().saw;
                let held = house.desk.exchange(&house.shelf, &first.id());
                saw.is_none_or(|saw| held.is_some_and(|exchange| exchange.knows(&saw)))
                    && house.deliver(peer, token).is_ok()
            };
            let mut waiting: Vec<&str> = Vec::new();
            for (asks, token, refused) in ordered {
                if asks == (us == &asking) {
                    let id = house.send(token);
                    if refused.is_some() {
                        house.receipt(peer, id, refused);
                    }
                    // What waited for something of ours has it now.
                    waiting.retain(|token| !take(&mut house, token));
                } else if refused.is_some() {
                    assert_eq!(house.deliver(peer, token).err(), refused, "{}", case.name);
                } else if !take(&mut house, token) {
                    waiting.push(token);
                }
            }
            assert_eq!(waiting, Vec::<&str>::new(), "{}: never taken", case.name);
            let standing = house.desk.exchange(&house.shelf, &first.id()).expect("held").standing().clone();
            let effective = |(_, effective): &(MessageId, bool)| if *effective { "yes" } else { "no" };
            let effects = standing.order.iter().map(effective).collect::<Vec<_>>().join(" ");
            let outcome =
                standing.outcome.map(|outcome| outcome.to_string()).unwrap_or_else(|| "none".into());
            // Before an answer the two sides may tell apart whether the request has arrived.
            let state = match standing.state {
                State::Delivered | State::Requested => "open",
                state => state.as_str(),
            };
            seen.insert((state, outcome, effects, standing.order));
        }
    }
    let all: Vec<_> = seen.into_iter().collect();
    let [(state, outcome, effects, _)] = all.as_slice() else { panic!("{}: {all:?}", case.name) };
    assert_eq!(*state, case.get("state"), "{}", case.name);
    assert_eq!(outcome, case.get("outcome"), "{}", case.name);
    assert_eq!(effects, case.get("effective"), "{}", case.name);
    "ok".into()
}

#[test]
fn every_vector_means_what_it_says() {
    let cases = cases();
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        for family in cases.iter().map(Case::family).collect::<BTreeSet<_>>() {
            let path = folder().join(family);
            if path.exists() {
                std::fs::remove_dir_all(&path).expect("removed");
            }
            std::fs::create_dir_all(&path).expect("created");
        }
        for case in &cases {
            std::fs::write(folder().join(format!("{}.txt", case.name)), case.write()).expect("written");
        }
    }
    let known: BTreeSet<String> = cases.iter().map(|case| case.name.clone()).collect();
    assert_eq!(known.len(), cases.len(), "two cases have one name");
    let found = found();
    assert_eq!(found.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new(), "files nobody knows");
    assert_eq!(known.difference(&found).collect::<Vec<_>>(), Vec::<&String>::new(), "files that are missing");
    let mut wrong = Vec::new();
    for name in &found {
        let case = Case::load(name);
        let said = outcome(&case);
        if said != case.get("expect") {
            wrong.push(format!("{name}: expected {}, but it is {said}", case.get("expect")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(found.len() >= 90, "{} vectors", found.len());
    // As the README says: a stranger can make every key again.
    let seed = Hash::of(b"liaison vectors armas.example.pe msg-1");
    let peru = KeyChain::parse(Case::load("key-sets/peru").text()).expect("good");
    let listed = peru.current().message_key("msg-1").map(|key| key.public);
    assert_eq!(listed, Some(SecretKey::from_seed(seed.as_bytes()).public()));
}

fn found() -> BTreeSet<String> {
    let names = |path: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(path).expect("a folder");
        let name = |entry: std::fs::DirEntry| entry.file_name().into_string().expect("a plain name");
        entries.map(|entry| name(entry.expect("readable"))).collect()
    };
    let families = names(&folder()).into_iter().filter(|name| name != "README.md");
    let of = |family: String| {
        let files = names(&folder().join(&family));
        files.into_iter().map(move |file| format!("{family}/{}", file.strip_suffix(".txt").unwrap_or(&file)))
    };
    families.flat_map(of).collect()
}

// The cases.

fn cases() -> Vec<Case> {
    let mut all = key_sets();
    all.extend(keys());
    all.extend(messages());
    all.push(too_large());
    all.extend(deliveries());
    all.extend(exchanges());
    all.extend(conversations::cases());
    all.extend(entries());
    all.extend(notes());
    all.extend(heads());
    all.extend(mails());
    all.extend(posted_and_receipts());
    all.extend(replies());
    all
}

const SMALL_ORDER: [(&str, &str, &str); 14] = [
    ("small-order-1", "Weak", "0100000000000000000000000000000000000000000000000000000000000000"),
    ("small-order-2", "Weak", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    ("small-order-4a", "Weak", "0000000000000000000000000000000000000000000000000000000000000000"),
    ("small-order-4b", "Weak", "0000000000000000000000000000000000000000000000000000000000000080"),
    ("small-order-8a", "Weak", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    ("small-order-8b", "Weak", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"),
    ("small-order-8c", "Weak", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    ("small-order-8d", "Weak", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"),
    (
        "small-order-1-sign-bit",
        "NotCanonical",
        "0100000000000000000000000000000000000000000000000000000000000080",
    ),
    (
        "small-order-1-y-above-p",
        "NotCanonical",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ),
    (
        "small-order-1-y-above-p-sign-bit",
        "NotCanonical",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ),
    (
        "small-order-2-sign-bit",
        "NotCanonical",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ),
    (
        "small-order-4a-y-is-p",
        "NotCanonical",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ),
    (
        "small-order-4b-y-is-p",
        "NotCanonical",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ),
];

const OTHER_KEYS: [(&str, &str, &str, &str); 8] = [
    (
        "good",
        "ok",
        "a point of prime order",
        "17ffad8068dc0de9935d36636f3ad1b5de6de3413b12388e453b05f2a4c1d3db",
    ),
    (
        "mixed-order-8",
        "MixedOrder",
        "the good key plus a point of order 8",
        "1dd960b291c53514fece1341fc0dcd8a648b3934c2c533666f737a654ff1e1bf",
    ),
    (
        "mixed-order-4",
        "MixedOrder",
        "the good key plus a point of order 4",
        "0a4684505500762a255bdc1628716af9c8e2bf0fbb487cac2512fe0cf1c19781",
    ),
    (
        "mixed-order-2",
        "MixedOrder",
        "the good key plus the point of order 2",
        "d600527f9723f2166ca2c99c90c52e4a21921cbec4edc771bac4fa0d5b3e2c24",
    ),
    (
        "y-above-p-3",
        "NotCanonical",
        "y is p + 3, a second spelling of 3",
        "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ),
    (
        "y-above-p-18",
        "NotCanonical",
        "y is p + 18, the largest number 255 bits hold",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ),
    (
        "y-2-off-curve",
        "NotAPoint",
        "no point of the curve has y = 2",
        "0200000000000000000000000000000000000000000000000000000000000000",
    ),
    (
        "y-above-p-2-off-curve",
        "NotAPoint",
        "y is p + 2, and no point has y = 2",
        "efffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ),
];

fn keys() -> Vec<Case> {
    let small = SMALL_ORDER.iter().map(|(name, flaw, hex)| {
        let about = format!(
            "an Ed25519 public key of small order, {}",
            if *flaw == "Weak" {
                "canonically encoded: anything verifies under it"
            } else {
                "in a second encoding"
            }
        );
        Case::new(&format!("keys/{name}"), &about, &format!("flaw {flaw}"), &[], format!("{hex}\n"))
    });
    let other = OTHER_KEYS.iter().map(|(name, flaw, about, hex)| {
        let expect = if *flaw == "ok" { "ok".to_owned() } else { format!("flaw {flaw}") };
        Case::new(
            &format!("keys/{name}"),
            &format!("an Ed25519 public key: {about}"),
            &expect,
            &[],
            format!("{hex}\n"),
        )
    });
    small.chain(other).collect()
}

const FIRST: [&str; 5] = ["root-1", "root-2", "msg-1", "log-1", "witness-1"];

/// A key set signed by whoever is named, whether or not it is good.
fn sign_raw(party: &Party, payload: &str, signers: &[&str], header: impl Fn(&str) -> String) -> String {
    let payload = jws::encode(payload.as_bytes());
    let signatures: Vec<Value> = signers
        .iter()
        .map(|name| {
            let protected = jws::encode(header(name).as_bytes());
            let signature = party.secret(name).sign(&jws::signing_input(&protected, &payload));
            json!({"protected": protected, "signature": jws::encode(&signature)})
        })
        .collect();
    json!({"payload": payload, "signatures": signatures}).to_string()
}

fn key_set_header(party: &Party, name: &str) -> Header {
    Header::new(
        liaison_protocol::key_set::TYP,
        liaison_protocol::key_set::CTY.into(),
        format!("{}#{name}", party.node()),
    )
}

fn sign_set(party: &Party, set: &impl serde::Serialize, signers: &[&str]) -> String {
    let payload = String::from_utf8(json::canonical(set)).expect("JSON");
    sign_raw(party, &payload, signers, |name| {
        String::from_utf8(json::canonical(&key_set_header(party, name))).expect("JSON")
    })
}

fn key_sets() -> Vec<Case> {
    let good = |name: &str, about: &str, chain: &KeyChain| {
        let print = chain.fingerprint().to_string();
        Case::new(&format!("key-sets/{name}"), about, "ok", &[("fingerprint", &print)], chain.file())
    };
    let mut all = vec![
        good(
            "kenya",
            "Kenya's key set, version 1, signed by 2 of 3 roots and by each of its keys",
            &KENYA.chain(),
        ),
        good("peru", "Peru's key set", &PERU.chain()),
        good("chile", "Chile's key set: customs only", &CHILE.chain()),
        good(
            "uruguay",
            "Uruguay's key set: on which days it works, and within which time it means to answer",
            &URUGUAY.chain(),
        ),
    ];
    let first = PERU.signed();
    let second = |change: fn(&mut KeySet)| PERU.after(&first, change);
    let rotated = |set: &mut KeySet| {
        set.keys[0].naf = set.issued;
        set.keys.push(PERU.key("msg-2", KeyUse::Msg));
        let reason = "laptop stolen".parse().expect("a line");
        set.revoked = vec![Revocation { kid: "msg-1".into(), untrusted_from: START.plus(20 * DAY), reason }];
    };
    let mut chain = PERU.chain();
    let signed = PERU.sign(second(rotated), &["root-2", "root-3", "msg-1", "msg-2", "log-1", "witness-1"]);
    chain.extend(signed.json()).expect("the next");
    all.push(good("peru-2", "two versions: the second brings msg-2 and revokes msg-1", &chain));
    let new_roots = |set: &mut KeySet| {
        for (n, root) in set.roots.iter_mut().enumerate() {
            root.kid = format!("root-{}", n + 4);
            root.public = PERU.secret(&root.kid).public();
        }
    };
    let mut chain = PERU.chain();
    let signers = ["root-1", "root-3", "root-4", "root-5", "msg-1", "log-1", "witness-1"];
    chain.extend(PERU.sign(second(new_roots), &signers).json()).expect("the next");
    all.push(good(
        "peru-new-roots",
        "all roots are new: the thresholds of the old and of the new ones sign",
        &chain,
    ));

    let mut bad = |name: &str, about: &str, flaw: &str, body: String| {
        all.push(Case::new(&format!("key-sets/{name}"), about, &format!("flaw {flaw}"), &[], body));
    };
    let of = |set: &KeySet, signers: &[&str]| format!("{}\n", sign_set(&PERU, set, signers));
    let changed = |change: &dyn Fn(&mut KeySet)| {
        let mut set = PERU.first();
        change(&mut set);
        of(&set, &FIRST)
    };
    bad("empty-file", "a key set file without a key set", "Form", "\n".into());
    bad("starts-with-2", "a file that starts with version 2", "NotNext", format!("{}\n", signed.json()));
    bad(
        "too-few-roots",
        "signed by one root; the threshold is 2",
        "Roots",
        of(&PERU.first(), &["root-1", "msg-1", "log-1", "witness-1"]),
    );
    bad(
        "one-root-twice",
        "one root signed twice: it counts once",
        "Roots",
        of(&PERU.first(), &["root-1", "root-1", "msg-1", "log-1", "witness-1"]),
    );
    bad(
        "msg-not-possessed",
        "the message key did not sign",
        "NotPossessed",
        of(&PERU.first(), &["root-1", "root-2", "log-1", "witness-1"]),
    );
    bad(
        "witness-not-possessed",
        "the witness key did not sign",
        "NotPossessed",
        of(&PERU.first(), &["root-1", "root-2", "msg-1", "log-1"]),
    );
    bad(
        "key-of-another-state",
        "Peru lists Kenya's message key as its own",
        "NotPossessed",
        changed(&|set| set.keys[0].public = KENYA.secret("msg-1").public()),
    );
    let file = |line: String| format!("{}\n{line}\n", first.json());
    bad(
        "old-roots-missing",
        "version 2 with new roots, signed by the new ones only",
        "OldRoots",
        file(sign_set(&PERU, &second(new_roots), &["root-4", "root-5", "msg-1", "log-1", "witness-1"])),
    );
    bad(
        "wrong-prev",
        "version 2 names another version 1",
        "NotNext",
        file(sign_set(&PERU, &second(|set| set.prev = Some(Hash::of(b"another"))), &FIRST)),
    );
    bad(
        "version-skipped",
        "version 3 after version 1",
        "NotNext",
        file(sign_set(&PERU, &second(|set| set.version = 3), &FIRST)),
    );
    bad(
        "no-prev",
        "version 2 names no version before it",
        "Form",
        file(sign_set(&PERU, &second(|set| set.prev = None), &FIRST)),
    );
    bad(
        "state-changed",
        "version 2 is of another State",
        "NotNext",
        file(sign_set(&PERU, &second(|set| set.state = "CHL".parse().expect("a State")), &FIRST)),
    );
    bad("node-changed", "version 2 is of another node", "NotNext", {
        let set = second(|set| set.node = CHILE.node());
        let payload = String::from_utf8(json::canonical(&set)).expect("JSON");
        file(sign_raw(&PERU, &payload, &FIRST, |name| {
            serde_json::to_string(&key_set_header(&CHILE, name)).expect("JSON")
        }))
    });
    bad(
        "fourteen-months",
        "it expires 14 months after it was issued",
        "Form",
        changed(&|set| set.expires = START.plus(425 * DAY)),
    );
    bad(
        "expires-before-issued",
        "it expires before it was issued",
        "Form",
        changed(&|set| set.expires = START),
    );
    bad(
        "two-uses-of-one-key",
        "the log key is the witness key, too",
        "Form",
        changed(&|set| set.keys[2].public = set.keys[1].public),
    );
    bad(
        "root-used-as-key",
        "a root signs messages, too",
        "Form",
        changed(&|set| set.keys[0].public = set.roots[2].public),
    );
    bad(
        "two-keys-of-one-name",
        "two keys are called msg-1",
        "Form",
        changed(&|set| set.keys[1].kid = "msg-1".into()),
    );
    bad("threshold-zero", "no root need sign", "Form", changed(&|set| set.threshold = 0));
    bad("threshold-above-roots", "4 of 3 roots must sign", "Form", changed(&|set| set.threshold = 4));
    bad("no-witness-key", "there is no witness key", "Form", changed(&|set| drop(set.keys.remove(2))));
    bad(
        "witness-key-revoked",
        "the only witness key is revoked",
        "Form",
        changed(&|set| {
            let reason = "lost".parse().expect("a line");
            set.revoked = vec![Revocation { kid: "witness-1".into(), untrusted_from: START, reason }];
        }),
    );
    bad(
        "log-without-key",
        "log 1 names a key that is not there",
        "Form",
        changed(&|set| set.logs[0].kid = "log-2".into()),
    );
    bad("log-zero", "logs are numbered from 1", "Form", changed(&|set| set.logs[0].n = 0));
    bad(
        "function-not-held",
        "a key signs for a function that the authority does not hold",
        "Form",
        changed(&|set| set.keys[0].functions = vec![liaison_protocol::authority::Function::Art13Contact]),
    );
    bad(
        "alg-eddsa",
        "a key's alg is EdDSA, the name before RFC 9864",
        "Form",
        changed(&|set| set.keys[0].alg = "EdDSA".into()),
    );
    bad(
        "ten-roots",
        "ten roots; nine are the most",
        "Form",
        changed(&|set| {
            let root = set.roots[0].clone();
            set.roots.extend(
                (4..11).map(|n| liaison_protocol::key_set::Root { kid: format!("root-{n}"), ..root.clone() }),
            );
        }),
    );
    let payload = String::from_utf8(json::canonical(&PERU.first())).expect("JSON");
    let with = |payload: &str| {
        format!(
            "{}\n",
            sign_raw(&PERU, payload, &FIRST, |name| serde_json::to_string(&key_set_header(&PERU, name))
                .expect("JSON"))
        )
    };
    bad(
        "unknown-member",
        "the payload has a member we do not know",
        "Payload",
        with(&payload.replacen('{', r#"{"comment":"hello","#, 1)),
    );
    bad(
        "duplicate-member",
        "the payload says twice which State it is for",
        "Payload",
        with(&payload.replacen('{', r#"{"state":"CHL","#, 1)),
    );
    bad(
        "null-prev",
        "prev is null in place of absent",
        "Payload",
        with(&payload.replacen('{', r#"{"prev":null,"#, 1)),
    );
    let uruguay = |change: &dyn Fn(&mut KeySet)| {
        let mut set = URUGUAY.first();
        change(&mut set);
        format!("{}\n", sign_set(&URUGUAY, &set, &FIRST))
    };
    let calendar = |change: &dyn Fn(&mut WorkingCalendar)| {
        uruguay(&|set| change(set.calendar.as_mut().expect("it has one")))
    };
    bad(
        "offset-841",
        "civil time 14 hours and a minute ahead of UTC",
        "Form",
        calendar(&|calendar| calendar.utc_offset_minutes = 841),
    );
    bad(
        "week-without-a-working-day",
        "a weekend of seven days",
        "Form",
        calendar(&|calendar| calendar.weekend = Day::ALL.to_vec()),
    );
    bad(
        "holidays-129",
        "129 holidays",
        "Form",
        calendar(&|calendar| calendar.holidays = vec![calendar.holidays[0]; 129]),
    );
    for (name, span) in [
        ("zero", Span::Days(0)),
        ("401-days", Span::Days(401)),
        ("401-hours", Span::Hours(401)),
        ("401-working-days", Span::WorkingDays(401)),
    ] {
        bad(
            &format!("target-{name}"),
            &format!("a target of {}", name.replace('-', " ")),
            "Form",
            uruguay(&|set| set.targets[0].within = span),
        );
    }
    bad("targets-65", "65 targets", "Form", uruguay(&|set| set.targets = vec![set.targets[0].clone(); 65]));
    bad(
        "target-with-33-states",
        "a target for 33 States",
        "Form",
        uruguay(&|set| set.targets[1].with = vec![set.state.clone(); 33]),
    );
    let payload_of_uruguay = String::from_utf8(json::canonical(&URUGUAY.first())).expect("JSON");
    for (name, about, from, to) in [
        ("day-unknown", "a weekend with a day that is none", r#""SAT""#, r#""XXX""#),
        (
            "calendar-member-unknown",
            "a calendar with a member we do not know",
            r#""weekend""#,
            r#""x":1,"weekend""#,
        ),
        ("holiday-as-text", "a holiday that is no date", "2026-10-12", "12 October"),
        ("target-owing-unknown", "a target for what nobody owes", "ACKNOWLEDGEMENT", "APOLOGY"),
        ("target-kind-unknown", "a target for a kind we do not know", "trace-request", "shipment-advice"),
        ("target-span-unknown", "a target in moons", "working_days", "moons"),
        (
            "empty-targets",
            "an empty list of targets in place of none",
            r#""targets":["#,
            r#""targets":[],"x":["#,
        ),
    ] {
        assert!(payload_of_uruguay.contains(from), "{from}");
        let payload = payload_of_uruguay.replace(from, to);
        let payload = match name {
            "empty-targets" => {
                let mut value: Value = serde_json::from_str(&payload_of_uruguay).expect("JSON");
                value["targets"] = json!([]);
                value.to_string()
            }
            _ => payload,
        };
        let signed = sign_raw(&URUGUAY, &payload, &FIRST, |name| {
            serde_json::to_string(&key_set_header(&URUGUAY, name)).expect("JSON")
        });
        bad(name, about, "Payload", format!("{signed}\n"));
    }
    let pinned = jws::encode(PERU.secret("msg-1").public().as_bytes());
    for (name, about, hex) in [
        ("weak-key", "its message key is of small order", SMALL_ORDER[4].2),
        ("mixed-order-key", "its message key is of mixed order", OTHER_KEYS[1].3),
        ("non-canonical-key", "its message key is not canonically encoded", OTHER_KEYS[4].3),
        ("key-off-curve", "its message key is no point of the curve", OTHER_KEYS[6].3),
    ] {
        let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).expect("hex");
        bad(name, about, "Payload", with(&payload.replace(&pinned, &jws::encode(&bytes))));
    }
    bad(
        "typ-of-a-message",
        "the signatures are over the header of a message",
        "Form",
        format!(
            "{}\n",
            sign_raw(&PERU, &payload, &FIRST, |name| {
                let header = Header { typ: envelope::TYP.into(), ..key_set_header(&PERU, name) };
                serde_json::to_string(&header).expect("JSON")
            })
        ),
    );
    bad(
        "kid-of-another-node",
        "the headers name Chile's keys",
        "Form",
        format!(
            "{}\n",
            sign_raw(&PERU, &payload, &FIRST, |name| {
                serde_json::to_string(&key_set_header(&CHILE, name)).expect("JSON")
            })
        ),
    );
    bad(
        "white-space",
        "a blank in the JSON around the signatures",
        "Form",
        first.json().replacen(':', ": ", 1) + "\n",
    );
    let flipped = {
        let mut json: Value = serde_json::from_str(first.json()).expect("JSON");
        let signature = json["signatures"][0]["signature"].as_str().expect("text");
        let first = if signature.starts_with('A') { 'B' } else { 'A' };
        json["signatures"][0]["signature"] = format!("{first}{}", &signature[1..]).into();
        json.to_string()
    };
    bad(
        "root-signature-flipped",
        "one of two root signatures does not hold",
        "Roots",
        format!("{flipped}\n"),
    );
    all
}

const TO_KENYA: [(&str, &str); 3] = [
    ("us", "firearms.example.ke/liaison"),
    ("from", "armas.example.pe/liaison"),
    ("key-sets", "key-sets/peru"),
];

fn messages() -> Vec<Case> {
    let good = PERU.seal(opener(&PERU, &KENYA, 1, request()));
    let token = good.token().to_owned();
    let payload = payload_of(&good);
    let header =
        String::from_utf8(json::canonical(&PERU.header("licence-verification-request"))).expect("JSON");
    let parts: Vec<&str> = token.split('.').collect();
    let mut all = Vec::new();
    let mut ok = |name: &str, about: &str, understood: &str, token: &str| {
        let id = envelope::id_of(token).expect("a token").to_string();
        let params = [TO_KENYA.as_slice(), &[("id", &id), ("understood", understood)]].concat();
        all.push(Case::new(&format!("messages/{name}"), about, "ok", &params, token));
    };
    let edit = |from: &str, to: &str| {
        assert_eq!(payload.matches(from).count(), 1, "{from}");
        PERU.seal_raw(&header, &payload.replace(from, to))
    };
    ok("good", "Peru asks Kenya whether an import licence stands", "yes", &token);
    ok(
        "good-another-order",
        "members in another order and blanks between them: the bytes count, not the form",
        "yes",
        &{
            let value: Value = serde_json::from_str(&payload).expect("JSON");
            let reversed: Vec<String> = value
                .as_object()
                .expect("an object")
                .iter()
                .rev()
                .map(|(name, value)| format!("{} : {value}", json!(name)))
                .collect();
            PERU.seal_raw(&header, &format!("{{ {} }}", reversed.join(" ,\n")))
        },
    );
    ok("good-header-order", "header members in another order", "yes", &PERU.seal_raw(
        r#"{"typ":"liaison-msg+jws","kid":"armas.example.pe/liaison#msg-1","cty":"liaison.licence-verification-request.v1+json","alg":"Ed25519"}"#,
        &payload,
    ));
    ok(
        "body-member-unknown",
        "a member of the body that we do not know: taken, and put before an officer",
        "no",
        &edit(r#""licence_no":"#, r#""calibre":".308","licence_no":"#),
    );
    ok(
        "handling-member-unknown",
        "a condition that we do not know: taken, and the strictest is assumed",
        "no",
        &edit(r#""confidential":true"#, r#""confidential":true,"shred_after":"2027-01-01""#),
    );
    ok(
        "restriction-unknown",
        "a restriction of a newer code list: taken, and the strictest is assumed",
        "no",
        &edit("PURPOSE_BOUND", "EYES_ONLY"),
    );
    ok(
        "date-in-another-form",
        "a date with a time: taken, and put before an officer",
        "no",
        &edit("2026-03-01", "2026-03-01T00:00:00"),
    );
    ok(
        "goods-line-as-array",
        "a line of goods as an array in place of an object: taken, and put before an officer",
        "no",
        &{
            let mut value: Value = serde_json::from_str(&payload).expect("JSON");
            value["body"]["presented"]["lines"][0] = json!([1, "Rifle, bolt action, .308", 40, "pieces"]);
            PERU.seal_raw(&header, &value.to_string())
        },
    );

    let deep = |levels: usize| {
        // The payload and the body are two levels, presented a third.
        let inner = format!("{}{}", "[".repeat(levels - 3), "]".repeat(levels - 3));
        edit(r#""licence_no":"#, &format!(r#""x":{inner},"licence_no":"#))
    };
    ok("depth-16", "16 levels of arrays and objects", "no", &deep(16));

    let mut bad = |name: &str, about: &str, code: u16, body: &[u8]| {
        all.push(Case::new(&format!("messages/{name}"), about, &format!("fault {code}"), &TO_KENYA, body));
    };
    // The token.
    bad("empty", "nothing at all", 11, b"");
    bad(
        "two-parts",
        "the signature is missing, and the dot before it",
        11,
        format!("{}.{}", parts[0], parts[1]).as_bytes(),
    );
    bad("four-parts", "a fourth part", 11, format!("{token}.AAAA").as_bytes());
    bad("five-parts", "five parts, as an encrypted token (JWE) has", 11, b"e30.AA.AA.AA.AA");
    bad("empty-signature", "the signature is empty", 11, format!("{}.{}.", parts[0], parts[1]).as_bytes());
    bad(
        "detached-payload",
        "the payload is empty, as in a detached JWS",
        20,
        format!("{}..{}", parts[0], parts[2]).as_bytes(),
    );
    bad("padding", "base64 padding after the signature", 11, format!("{token}==").as_bytes());
    bad("newline-at-the-end", "a line break after the token", 11, format!("{token}\n").as_bytes());
    bad("blank-inside", "a blank inside the payload", 11, token.replacen('.', ". ", 1).as_bytes());
    bad(
        "standard-base64",
        "a plus, which base64url does not have",
        11,
        format!("{}.+{}.{}", parts[0], &parts[1][1..], parts[2]).as_bytes(),
    );
    bad("not-ascii", "a byte above 127", 11, &[token.as_bytes(), b"\xc3\xa9"].concat());
    bad(
        "spare-bits-of-the-signature",
        "the spare bits of the signature's last character are not zero",
        11,
        &{
            let last = parts[2].chars().last().expect("not empty");
            let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
            let place = alphabet.find(last).expect("base64url");
            format!("{}{}", &token[..token.len() - 1], &alphabet[place + 1..place + 2]).into_bytes()
        },
    );
    bad(
        "spare-bits-of-the-header",
        "the spare bits of the header's last character are not zero, and all of it is signed",
        11,
        &{
            // Two bytes in three characters: two spare bits.
            let input = format!("e31.{}", parts[1]);
            let signature = PERU.secret("msg-1").sign(input.as_bytes());
            format!("{}.{}", input, jws::encode(&signature)).into_bytes()
        },
    );
    bad(
        "json-serialisation",
        "the same message in the JSON serialisation of JWS",
        11,
        json!({"payload": parts[1], "protected": parts[0], "signature": parts[2]}).to_string().as_bytes(),
    );
    // The header.
    let with_header = |header: &str| PERU.seal_raw(header, &payload);
    let member = |extra: &str| with_header(&header.replacen('{', &format!("{{{extra},"), 1));
    for (name, alg) in [
        ("none", "none"),
        ("eddsa", "EdDSA"),
        ("hs256", "HS256"),
        ("lower-case", "ed25519"),
        ("es256", "ES256"),
    ] {
        bad(
            &format!("alg-{name}"),
            &format!("alg is {alg}"),
            12,
            with_header(&header.replace("Ed25519", alg)).as_bytes(),
        );
    }
    bad(
        "alg-none-unsigned",
        "alg is none and the signature is empty",
        12,
        format!("{}.{}.", jws::encode(header.replace("Ed25519", "none").as_bytes()), parts[1]).as_bytes(),
    );
    bad("header-crit", "a header member crit", 12, member(r#""crit":["exp"],"exp":1790000001"#).as_bytes());
    bad(
        "header-jwk",
        "the header brings its own key",
        12,
        member(&format!(
            r#""jwk":{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#,
            jws::encode(CHILE.secret("msg-1").public().as_bytes())
        ))
        .as_bytes(),
    );
    bad(
        "header-jku",
        "the header says where to fetch a key",
        12,
        member(r#""jku":"https://example.net/keys""#).as_bytes(),
    );
    bad(
        "header-x5u",
        "the header says where to fetch a certificate",
        12,
        member(r#""x5u":"https://example.net/c""#).as_bytes(),
    );
    bad(
        "header-b64",
        "the payload is said not to be base64url (RFC 7797)",
        12,
        member(r#""b64":false"#).as_bytes(),
    );
    bad("header-zip", "the payload is said to be compressed", 12, member(r#""zip":"DEF""#).as_bytes());
    bad("header-alg-twice", "alg stands twice in the header", 12, member(r#""alg":"none""#).as_bytes());
    bad(
        "header-typ-missing",
        "the header has no typ",
        12,
        with_header(&header.replace(r#","typ":"liaison-msg+jws""#, "")).as_bytes(),
    );
    bad(
        "header-typ-of-a-key-set",
        "typ is that of a key set",
        12,
        with_header(&header.replace(envelope::TYP, liaison_protocol::key_set::TYP)).as_bytes(),
    );
    bad("header-typ-jwt", "typ is JWT", 12, with_header(&header.replace(envelope::TYP, "JWT")).as_bytes());
    bad(
        "header-cty-of-another-kind",
        "cty names another kind than the payload",
        12,
        with_header(&header.replace("licence-verification-request", "withdrawal")).as_bytes(),
    );
    bad(
        "header-kid-without-node",
        "kid is not a node and a key",
        12,
        with_header(&header.replace("armas.example.pe/liaison#msg-1", "msg-1")).as_bytes(),
    );
    bad("header-as-array", "the header's values in an array", 12, with_header(r#"["Ed25519","liaison.licence-verification-request.v1+json","armas.example.pe/liaison#msg-1","liaison-msg+jws"]"#).as_bytes());
    bad("header-not-json", "the header is not JSON", 12, with_header("Ed25519").as_bytes());
    // Seal and sender.
    bad(
        "kid-of-another-node",
        "the key is another node's",
        23,
        with_header(&header.replace("armas.example.pe", "aduana.example.cl")).as_bytes(),
    );
    bad(
        "kid-unknown",
        "the key set has no such key",
        21,
        with_header(&header.replace("#msg-1", "#msg-9")).as_bytes(),
    );
    bad("kid-of-the-log-key", "sealed with the log key, which signs no messages", 21, &{
        let input = format!("{}.{}", jws::encode(header.replace("#msg-1", "#log-1").as_bytes()), parts[1]);
        let signature = PERU.secret("log-1").sign(input.as_bytes());
        format!("{input}.{}", jws::encode(&signature)).into_bytes()
    });
    bad("signed-by-another-key", "sealed by Chile in Peru's name", 20, &{
        let input = format!("{}.{}", parts[0], parts[1]);
        format!("{input}.{}", jws::encode(&CHILE.secret("msg-1").sign(input.as_bytes()))).into_bytes()
    });
    let signature = jws::decode_signature(parts[2]).expect("64 bytes");
    for (name, about, bit) in [
        ("r", "the first bit of R", 0),
        ("r-last", "the last bit of R", 255),
        ("s", "the first bit of S", 256),
        ("s-last", "the last bit of S", 511),
    ] {
        let mut flipped = signature;
        flipped[bit / 8] ^= 1 << (bit % 8);
        bad(
            &format!("signature-bit-{name}"),
            &format!("{about} is flipped"),
            20,
            format!("{}.{}.{}", parts[0], parts[1], jws::encode(&flipped)).as_bytes(),
        );
    }
    bad(
        "signature-s-plus-order",
        "S is larger than the order of the group: a second spelling of a good signature",
        20,
        &{
            let order = data_encoding::HEXLOWER
                .decode(b"edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
                .expect("hex");
            let mut other = signature;
            let mut carry = 0;
            for (byte, add) in other[32..].iter_mut().zip(order) {
                let sum = u16::from(*byte) + u16::from(add) + carry;
                (*byte, carry) = (sum as u8, sum >> 8);
            }
            format!("{}.{}.{}", parts[0], parts[1], jws::encode(&other)).into_bytes()
        },
    );
    bad(
        "signature-short",
        "the signature has 63 bytes",
        11,
        format!("{}.{}.{}", parts[0], parts[1], jws::encode(&signature[..63])).as_bytes(),
    );
    bad(
        "payload-bit",
        "one bit of the payload is flipped",
        20,
        format!(
            "{}.{}.{}",
            parts[0],
            jws::encode(payload.replace(r#""quantity":40"#, r#""quantity":48"#).as_bytes()),
            parts[2]
        )
        .as_bytes(),
    );
    bad(
        "iss-of-another-node",
        "iss is not the node of the key",
        23,
        edit(r#""iss":"armas.example.pe"#, r#""iss":"aduana.example.cl"#).as_bytes(),
    );
    bad(
        "aud-of-another-node",
        "addressed to Chile and passed on to Kenya",
        22,
        PERU.seal(opener(&PERU, &CHILE, 1, request())).token().as_bytes(),
    );
    // The payload.
    bad("payload-not-json", "the payload is not JSON", 13, PERU.seal_raw(&header, "hello").as_bytes());
    bad(
        "payload-spare-bits",
        "the spare bits of the payload's last character are not zero, and all of it is signed",
        11,
        &{
            let input = format!("{}.e31", parts[0]);
            format!("{input}.{}", jws::encode(&PERU.secret("msg-1").sign(input.as_bytes()))).into_bytes()
        },
    );
    bad(
        "payload-two-values",
        "two JSON values",
        13,
        PERU.seal_raw(&header, &format!("{payload}{payload}")).as_bytes(),
    );
    bad(
        "payload-byte-order-mark",
        "a byte order mark before the JSON",
        13,
        PERU.seal_raw(&header, &format!("\u{feff}{payload}")).as_bytes(),
    );
    bad(
        "payload-member-unknown",
        "a top-level member we do not know",
        13,
        edit(r#""v":1}"#, r#""v":1,"x":1}"#).as_bytes(),
    );
    bad(
        "payload-exp",
        "a member exp: evidence does not expire",
        13,
        edit(r#""handling":"#, r#""exp":1790086400,"handling":"#).as_bytes(),
    );
    bad("payload-member-missing", "no seq", 13, edit(r#""seq":1,"#, "").as_bytes());
    bad(
        "payload-duplicate",
        "aud stands twice",
        13,
        edit(r#""aud":"#, r#""aud":"aduana.example.cl/liaison","aud":"#).as_bytes(),
    );
    bad(
        "payload-duplicate-escaped",
        "aud stands twice, once with an escape",
        13,
        edit(r#""aud":"#, r#""a\u0075d":"aduana.example.cl/liaison","aud":"#).as_bytes(),
    );
    bad(
        "payload-duplicate-deep",
        "a member of the body stands twice",
        13,
        edit(r#""licence_no":"#, r#""licence_no":"X","licence_no":"#).as_bytes(),
    );
    bad(
        "payload-null-thr",
        "thr is null in place of absent",
        13,
        edit(r#""v":1}"#, r#""thr":null,"v":1}"#).as_bytes(),
    );
    bad(
        "payload-empty-case",
        "case is empty in place of absent",
        13,
        edit(r#""handling":"#, r#""case":{},"handling":"#).as_bytes(),
    );
    bad(
        "payload-by-as-array",
        "the officers of by in an array",
        13,
        edit(r#"{"prepared":"officer-17"}"#, r#"["officer-17"]"#).as_bytes(),
    );
    bad("number-float", "seq is 1.0", 13, edit(r#""seq":1"#, r#""seq":1.0"#).as_bytes());
    bad("number-exponent", "seq is 1e0", 13, edit(r#""seq":1"#, r#""seq":1e0"#).as_bytes());
    bad(
        "number-2-to-53",
        "a quantity of 2^53",
        13,
        edit(r#""quantity":40"#, r#""quantity":9007199254740992"#).as_bytes(),
    );
    bad(
        "number-float-in-unknown",
        "a fraction in a member that nobody reads",
        13,
        edit(r#""licence_no":"#, r#""calibre":7.62,"licence_no":"#).as_bytes(),
    );
    bad("depth-17", "17 levels of arrays and objects", 13, deep(17).as_bytes());
    bad("depth-5000", "five thousand levels", 13, deep(5000).as_bytes());
    bad(
        "lone-surrogate",
        "half of a surrogate pair",
        13,
        edit(r#""lang":"en""#, r#""lang":"\ud800""#).as_bytes(),
    );
    bad("version-2", "a payload of version 2", 14, edit(r#""v":1}"#, r#""v":2}"#).as_bytes());
    bad("version-text", "v is a text", 13, edit(r#""v":1}"#, r#""v":"1"}"#).as_bytes());
    bad("seq-0", "numbers start with 1", 13, edit(r#""seq":1"#, r#""seq":0"#).as_bytes());
    bad("seq-negative", "seq is -1", 13, edit(r#""seq":1"#, r#""seq":-1"#).as_bytes());
    bad(
        "accept-until-31-days",
        "accept_until is 30 days and a second after iat",
        13,
        edit(r#""accept_until":1792592001"#, r#""accept_until":1792592002"#).as_bytes(),
    );
    bad(
        "accept-until-before-iat",
        "accept_until is before iat",
        13,
        edit(r#""accept_until":1792592001"#, r#""accept_until":1790000000"#).as_bytes(),
    );
    let jti = good.message().jti.clone();
    bad("jti-15-bytes", "jti has 15 bytes", 13, edit(&jti, &jws::encode(&[1; 15])).as_bytes());
    bad("jti-17-bytes", "jti has 17 bytes", 13, edit(&jti, &jws::encode(&[1; 17])).as_bytes());
    bad(
        "jti-spare-bits",
        "the spare bits of jti are not zero",
        13,
        edit(&jti, "AAAAAAAAAAAAAAAAAAAAAB").as_bytes(),
    );
    bad("jti-uuid", "jti is a UUID", 13, edit(&jti, "0e37df36-f698-11e6-8dd4-cb9ced3df976").as_bytes());
    bad("lang-empty", "no language", 13, edit(r#""lang":"en""#, r#""lang":"""#).as_bytes());
    bad(
        "node-upper-case",
        "aud in capital letters",
        13,
        edit("firearms.example.ke", "FIREARMS.EXAMPLE.KE").as_bytes(),
    );
    let id = good.id();
    bad(
        "opener-with-thr",
        "an opener that names an exchange",
        13,
        edit(r#""v":1}"#, &format!(r#""thr":"{id}","v":1}}"#)).as_bytes(),
    );
    bad(
        "opener-with-saw",
        "an opener that says what it saw",
        13,
        edit(r#""seq":1"#, &format!(r#""saw":"{id}","seq":1"#)).as_bytes(),
    );
    let follow_up = PERU.seal(follow(&PERU, &KENYA, 2, id, [Some(id), None], withdrawal()));
    let orphan = payload_of(&follow_up).replace(&format!(r#","thr":"{id}""#), "");
    bad(
        "follow-up-without-thr",
        "a withdrawal that names no exchange",
        13,
        PERU.seal_raw(&header.replace("licence-verification-request", "withdrawal"), &orphan).as_bytes(),
    );
    // Kind, body and handling.
    bad(
        "kind-unknown",
        "a kind we do not know",
        15,
        PERU.seal_raw(
            &header.replace("licence-verification-request", "shipment-advice"),
            &payload.replace("licence-verification-request", "shipment-advice"),
        )
        .as_bytes(),
    );
    bad(
        "kind-capital",
        "the kind in capital letters",
        15,
        edit(r#""licence-verification-request""#, r#""LICENCE-VERIFICATION-REQUEST""#).as_bytes(),
    );
    bad("body-empty", "an empty body", 16, &{
        let mut value: Value = serde_json::from_str(&payload).expect("JSON");
        value["body"] = json!({});
        PERU.seal_raw(&header, &value.to_string()).into_bytes()
    });
    bad("body-text", "the body is a text", 16, &{
        let mut value: Value = serde_json::from_str(&payload).expect("JSON");
        value["body"] = json!("KE-IMP 2026/0042");
        PERU.seal_raw(&header, &value.to_string()).into_bytes()
    });
    bad("body-date", "the 30th of February", 16, edit("2026-03-01", "2026-02-30").as_bytes());
    bad(
        "body-licence-no-of-blanks",
        "a licence number of blanks",
        16,
        edit("KE-IMP 2026/0042", "   ").as_bytes(),
    );
    bad(
        "body-control-character",
        "a control character in a name",
        16,
        edit("Kenya Wildlife Service", r"Kenya\u0007Wildlife").as_bytes(),
    );
    bad(
        "body-negative-quantity",
        "minus 40 pieces",
        16,
        edit(r#""quantity":40"#, r#""quantity":-40"#).as_bytes(),
    );
    bad(
        "body-quantity-text",
        "a quantity in quotation marks",
        16,
        edit(r#""quantity":40"#, r#""quantity":"40""#).as_bytes(),
    );
    bad(
        "handling-missing-member",
        "handling does not say whether there is data on persons",
        17,
        edit(r#","personal_data":"NONE""#, "").as_bytes(),
    );
    bad("handling-no-basis", "no legal basis", 17, edit(r#"["FP_10_2A"]"#, "[]").as_bytes());
    bad(
        "handling-nine-bases",
        "nine legal bases; eight are the most",
        17,
        edit(r#"["FP_10_2A"]"#, &json!(vec!["FP_10_2A"; 9]).to_string()).as_bytes(),
    );
    bad("handling-text", "handling is a text", 17, &{
        let mut value: Value = serde_json::from_str(&payload).expect("JSON");
        value["handling"] = json!("confidential");
        PERU.seal_raw(&header, &value.to_string()).into_bytes()
    });
    all
}

fn too_large() -> Case {
    let fill = format!("A {}", envelope::MAX_TOKEN + 1);
    let params = [TO_KENYA.as_slice(), &[("fill", &fill)]].concat();
    Case::new("messages/too-large", "one character more than a token may have", "fault 10", &params, "")
}

fn withdrawal() -> Body {
    Body::Withdrawal(Withdrawal { reason: "No longer needed.".parse().expect("prose") })
}

fn response(answer: Answer) -> Body {
    Body::LicenceVerificationResponse(LicenceVerificationResponse { answer, note: None })
}

fn valid() -> Body {
    response(Answer::Valid { valid_until: Some("2027-02-28".parse().expect("a date")) })
}

fn acknowledgement() -> Body {
    Body::Acknowledgement(Acknowledgement {
        unit: "Licensing".parse().expect("a line"),
        expected: None,
        note: None,
    })
}

fn correction(answer: Answer) -> Body {
    let reason = "The register was behind.".parse().expect("prose");
    Body::Correction(Correction { outcome: Outcome::Answer(answer), reason })
}

fn notice(licence_no: &str) -> Body {
    Body::LicenceNotice(LicenceNotice {
        licence_no: licence_no.parse().expect("a number"),
        event: liaison_protocol::handling::Coded::Known(LicenceEvent::Revoked),
        effective: "2026-10-01".parse().expect("a date"),
        note: None,
    })
}

fn deliveries() -> Vec<Case> {
    let mut all = Vec::new();
    let mut add =
        |name: &str, about: &str, expect: &str, now: u64, params: &[(&str, &str)], lines: &[String]| {
            let now = now.to_string();
            let params = [params, &[("now", now.as_str())]].concat();
            let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
            all.push(Case::new(&format!("deliveries/{name}"), about, expect, &params, body));
        };
    let came = |verified: &Verified| format!("< {}", verified.token());
    let went = |verified: &Verified| format!("> {}", verified.token());
    let (soon, to_kenya) = (START.0 + 60, TO_KENYA.as_slice());
    let to_peru: &[(&str, &str)] = &[
        ("us", "armas.example.pe/liaison"),
        ("from", "firearms.example.ke/liaison"),
        ("key-sets", "key-sets/kenya"),
    ];
    let from_chile: &[(&str, &str)] = &[
        ("us", "firearms.example.ke/liaison"),
        ("from", "aduana.example.cl/liaison"),
        ("key-sets", "key-sets/chile"),
    ];
    let first = PERU.seal(opener(&PERU, &KENYA, 1, request()));
    let id = first.id();
    let next = |n: u64, prev, body| PERU.seal(follow(&PERU, &KENYA, n, id, [prev, None], body));
    let withdraws = next(2, Some(id), withdrawal());
    add("good", "Peru asks Kenya", "ok", soon, to_kenya, &[came(&first)]);
    add(
        "said-again",
        "the same bytes twice: the first receipt again, and nothing else",
        "repeated",
        soon,
        to_kenya,
        &[came(&first), came(&first)],
    );
    add("withdrawn", "Peru withdraws its request", "ok", soon, to_kenya, &[came(&first), came(&withdraws)]);
    add(
        "last-moment",
        "delivered in the last second of accept_until",
        "ok",
        START.0 + 1 + 30 * DAY,
        to_kenya,
        &[came(&first)],
    );
    add(
        "expired",
        "delivered after accept_until",
        "fault 30",
        START.0 + 2 + 30 * DAY,
        to_kenya,
        &[came(&first)],
    );
    add(
        "clock-300-ahead",
        "sealed 300 seconds ahead of us",
        "ok",
        START.0 + 1 - 300,
        to_kenya,
        &[came(&first)],
    );
    add(
        "clock-301-ahead",
        "sealed 301 seconds ahead of us: passing",
        "fault 31",
        START.0 - 300,
        to_kenya,
        &[came(&first)],
    );
    let mut early = opener(&PERU, &KENYA, 1, request());
    (early.iat, early.accept_until) = (liaison_protocol::authority::Timestamp(START.0 - 1), START.plus(DAY));
    add(
        "before-its-key",
        "sealed a second before its key is good",
        "fault 24",
        soon,
        to_kenya,
        &[came(&PERU.seal(early))],
    );
    let rotated: &[(&str, &str)] = &[TO_KENYA[0], TO_KENYA[1], ("key-sets", "key-sets/peru-2")];
    add(
        "key-not-yet-revoked",
        "sealed before its key is not to be believed any more",
        "ok",
        soon,
        rotated,
        &[came(&first)],
    );
    let late = PERU.seal(opener(&PERU, &KENYA, 20 * DAY, request()));
    add(
        "key-revoked",
        "sealed when its key was not to be believed any more",
        "fault 24",
        START.0 + 21 * DAY,
        rotated,
        &[came(&late)],
    );
    let mut other = opener(&PERU, &KENYA, 1, request());
    other.lang = "es".into();
    add(
        "seq-reused",
        "two messages with one number",
        "fault 32",
        soon,
        to_kenya,
        &[came(&first), came(&PERU.seal(other))],
    );
    let mut elsewhere = opener(&PERU, &KENYA, 1, request());
    elsewhere.log = 2;
    add(
        "log-unknown",
        "numbered within a log that the key set does not list",
        "fault 25",
        soon,
        to_kenya,
        &[came(&PERU.seal(elsewhere))],
    );
    let far = PERU.seal(opener(&PERU, &KENYA, 9, request()));
    add(
        "seq-gap",
        "numbers are missing: that refuses nothing",
        "ok",
        soon,
        to_kenya,
        &[came(&first), came(&far)],
    );
    let asks = CHILE.seal(opener(&CHILE, &KENYA, 1, request()));
    add(
        "function-missing",
        "customs ask for a licence verification (R-13.2)",
        "fault 40",
        soon,
        from_chile,
        &[came(&asks)],
    );
    let check = |presented| Body::AuthenticityCheck(AuthenticityCheck { presented });
    let checks = CHILE.seal(opener(&CHILE, &KENYA, 1, check(presented())));
    add("function-customs", "customs check a document (R-13.2)", "ok", soon, from_chile, &[came(&checks)]);
    let mut only_number = presented();
    (only_number.licence_kind, only_number.issue_date, only_number.final_recipient) = (None, None, None);
    only_number.lines.clear();
    add(
        "authenticity-of-a-number",
        "only a number is presented (R-10.5)",
        "fault 43",
        soon,
        from_chile,
        &[came(&CHILE.seal(opener(&CHILE, &KENYA, 1, check(only_number))))],
    );
    let asking = |change: &dyn Fn(&mut liaison_protocol::licence::Presented)| {
        let mut presented = presented();
        change(&mut presented);
        came(&PERU.seal(opener(
            &PERU,
            &KENYA,
            1,
            Body::LicenceVerificationRequest(liaison_protocol::message::LicenceVerificationRequest {
                presented,
            }),
        )))
    };
    add(
        "verification-without-goods",
        "a verification that presents no goods (R-10.5)",
        "fault 43",
        soon,
        to_kenya,
        &[asking(&|presented| presented.lines.clear())],
    );
    add(
        "verification-without-recipient",
        "a verification that presents no final recipient (R-10.5)",
        "fault 43",
        soon,
        to_kenya,
        &[asking(&|presented| presented.final_recipient = None)],
    );
    add(
        "one-line-twice",
        "two lines of goods with one number",
        "fault 16",
        soon,
        to_kenya,
        &[asking(&|presented| presented.lines.push(presented.lines[0].clone()))],
    );
    add(
        "too-many-lines",
        "101 lines of goods",
        "fault 16",
        soon,
        to_kenya,
        &[asking(&|presented| {
            let line = presented.lines[0].clone();
            presented.lines =
                (0..101).map(|n| liaison_protocol::licence::GoodsLine { line: n, ..line.clone() }).collect();
        })],
    );
    add(
        "exchange-to-come",
        "a withdrawal before the request: passing",
        "fault 33",
        soon,
        to_kenya,
        &[came(&withdraws)],
    );
    let third = next(3, Some(withdraws.id()), withdrawal());
    add(
        "forerunner-to-come",
        "the message before it is not here yet: passing",
        "fault 33",
        soon,
        to_kenya,
        &[came(&first), came(&third)],
    );
    let stray = PERU.seal(follow(
        &PERU,
        &KENYA,
        2,
        id,
        [Some(id), Some(Hash::of(b"never said").into_id())],
        withdrawal(),
    ));
    add(
        "saw-what-we-never-said",
        "it says it saw a message that we never sent",
        "fault 41",
        soon,
        to_kenya,
        &[came(&first), came(&stray)],
    );
    for (name, about, body) in [
        ("answers-itself", "the requesting State answers its own request", valid()),
        ("acknowledges-itself", "the requesting State acknowledges its own request", acknowledgement()),
    ] {
        add(name, about, "fault 41", soon, to_kenya, &[came(&first), came(&next(2, Some(id), body))]);
    }
    // Peru's view: it asked, Kenya answers.
    let answers = |body| came(&KENYA.seal(follow(&KENYA, &PERU, 1, id, [None, Some(id)], body)));
    add("answered", "Kenya answers", "ok", soon, to_peru, &[went(&first), answers(valid())]);
    add(
        "withdrawn-by-the-requested",
        "the requested State withdraws the other's request",
        "fault 41",
        soon,
        to_peru,
        &[went(&first), answers(withdrawal())],
    );
    add(
        "result-to-a-verification",
        "the result of a check answers a verification",
        "fault 41",
        soon,
        to_peru,
        &[
            went(&first),
            answers(Body::AuthenticityResult(AuthenticityResult { result: Authenticity::Match, note: None })),
        ],
    );
    add(
        "correction-of-another-sort",
        "a correction with the result of a check",
        "fault 41",
        soon,
        to_peru,
        &[
            went(&first),
            answers(Body::Correction(Correction {
                outcome: Outcome::Authenticity(Authenticity::Match),
                reason: "x".parse().expect("prose"),
            })),
        ],
    );
    add(
        "differences-presented",
        "differences in fields that were presented",
        "ok",
        soon,
        to_peru,
        &[
            went(&first),
            answers(response(Answer::ValidWithDifferences {
                differences: vec![Field::Lines, Field::IssueDate],
            })),
        ],
    );
    add(
        "differences-not-presented",
        "differences name a field that was not presented (R-10.5)",
        "fault 43",
        soon,
        to_peru,
        &[
            went(&first),
            answers(response(Answer::ValidWithDifferences {
                differences: vec![Field::Lines, Field::ExpiryDate],
            })),
        ],
    );
    add(
        "differences-empty",
        "differences, and none is named",
        "fault 43",
        soon,
        to_peru,
        &[went(&first), answers(response(Answer::ValidWithDifferences { differences: vec![] }))],
    );
    add(
        "correction-not-presented",
        "a correction names a field that was not presented (R-10.5)",
        "fault 43",
        soon,
        to_peru,
        &[
            went(&first),
            answers(correction(Answer::ValidWithDifferences { differences: vec![Field::ExpiryDate] })),
        ],
    );
    add(
        "notice-of-another-licence",
        "news of a licence that nobody asked about (R-10.5)",
        "fault 43",
        soon,
        to_peru,
        &[went(&first), answers(notice("KE-IMP 2026/0043"))],
    );
    all
}

trait IntoId {
    fn into_id(self) -> MessageId;
}

impl IntoId for Hash {
    fn into_id(self) -> MessageId {
        MessageId(self)
    }
}

fn exchanges() -> Vec<Case> {
    let mut all = Vec::new();
    let mut add = |name: &str, about: &str, state: &str, outcome: &str, effective: &str, lines: &[String]| {
        let params = [
            ("requesting", "armas.example.pe/liaison"),
            ("requested", "firearms.example.ke/liaison"),
            ("key-sets-requesting", "key-sets/peru"),
            ("key-sets-requested", "key-sets/kenya"),
            ("state", state),
            ("outcome", outcome),
            ("effective", effective),
        ];
        let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
        all.push(Case::new(&format!("exchanges/{name}"), about, "ok", &params, body));
    };
    let first = PERU.seal(opener(&PERU, &KENYA, 1, request()));
    let id = first.id();
    let asks = |n, links, body| PERU.seal(follow(&PERU, &KENYA, n, id, links, body));
    let says = |n, links, body| KENYA.seal(follow(&KENYA, &PERU, n, id, links, body));
    let (a, r) = (|m: &Verified| format!("< {}", m.token()), |m: &Verified| format!("> {}", m.token()));
    let acknowledges = says(1, [None, Some(id)], acknowledgement());
    let answers = says(2, [Some(acknowledges.id()), Some(id)], valid());
    add(
        "answered",
        "asked, acknowledged, answered",
        "answered",
        "VALID until 2027-02-28",
        "yes yes yes",
        &[a(&first), r(&acknowledges), r(&answers)],
    );
    let crossing = asks(2, [Some(id), Some(acknowledges.id())], withdrawal());
    add(
        "withdrawal-crosses-answer",
        "a withdrawal and the answer cross: the requesting State's comes first, and the answer is kept without effect",
        "withdrawn",
        "none",
        "yes yes yes no",
        &[a(&first), r(&acknowledges), a(&crossing), r(&answers)],
    );
    let after = asks(2, [Some(id), Some(answers.id())], withdrawal());
    add(
        "withdrawal-after-answer",
        "a withdrawal by one who had seen the answer: no more news",
        "closed",
        "VALID until 2027-02-28",
        "yes yes yes yes",
        &[a(&first), r(&acknowledges), r(&answers), a(&after)],
    );
    let revoked = says(3, [Some(answers.id()), Some(id)], notice("ke-imp 2026/0042"));
    add(
        "notice-crosses-withdrawal",
        "news and the withdrawal cross: the news is kept without effect",
        "closed",
        "VALID until 2027-02-28",
        "yes yes yes yes no",
        &[a(&first), r(&acknowledges), r(&answers), a(&after), r(&revoked)],
    );
    let corrects = says(4, [Some(revoked.id()), Some(id)], correction(Answer::NotFound));
    add(
        "corrected-after-notice",
        "a correction replaces the answer, and the news before it",
        "answered",
        "NOT_FOUND",
        "yes yes yes yes yes",
        &[a(&first), r(&acknowledges), r(&answers), r(&revoked), r(&corrects)],
    );
    let twice = says(3, [Some(answers.id()), Some(id)], response(Answer::NotFound));
    add(
        "answered-twice",
        "a second answer has no effect: an answer is changed by a correction",
        "answered",
        "VALID until 2027-02-28",
        "yes yes yes no",
        &[a(&first), r(&acknowledges), r(&answers), r(&twice)],
    );
    let early = says(1, [None, Some(id)], correction(Answer::NotFound));
    add(
        "correction-of-nothing",
        "a correction before any answer has no effect",
        "open",
        "none",
        "yes no",
        &[a(&first), r(&early)],
    );
    // Sealed under a key of which the other side does not know: refused, and stepped over by both.
    let refused = envelope::seal(
        follow(&PERU, &KENYA, 2, id, [Some(id), None], withdrawal()),
        "msg-2",
        &PERU.secret("msg-2"),
    );
    let follows = asks(3, [Some(refused.id()), None], withdrawal());
    add(
        "refused-and-followed",
        "a message that was refused for good is stepped over, on both sides",
        "withdrawn",
        "none",
        "yes yes",
        &[a(&first), format!("{} 21", a(&refused)), a(&follows)],
    );
    let out_of_place = asks(2, [Some(id), None], valid());
    let goes_on = asks(3, [Some(out_of_place.id()), None], withdrawal());
    add(
        "out-of-place-and-followed",
        "a message that has no place there is refused and stepped over",
        "withdrawn",
        "none",
        "yes yes",
        &[a(&first), format!("{} 41", a(&out_of_place)), a(&goes_on)],
    );
    all
}

fn entry(kind: EntryKind, peer: Option<NodeId>, id: Option<MessageId>, f: Option<Fault>) -> Entry {
    Entry {
        c: Hash::of(b"salt and record"),
        f,
        h: None,
        k: kind,
        m: id,
        p: peer.into_iter().collect(),
        t: START,
        v: 1,
    }
}

fn entries() -> Vec<Case> {
    let id = PERU.seal(opener(&PERU, &KENYA, 1, request())).id();
    let good = entry(EntryKind::Denied, Some(PERU.node()), Some(id), Some(Fault::Expired)).line();
    let mut all = Vec::new();
    let mut add = |name: &str, about: &str, good: bool, body: String| {
        all.push(Case::new(
            &format!("entries/{name}"),
            about,
            if good { "ok" } else { "flaw BadEntry" },
            &[],
            body,
        ));
    };
    add("denied", "a message of Peru's was refused for good: expired", true, good.clone());
    let all_kinds = [
        "alert",
        "backup",
        "deadline",
        "genesis",
        "head.seen",
        "key.set",
        "msg.rcvd",
        "msg.sent",
        "order",
        "part",
        "peer.added",
        "peer.removed",
        "policy.set",
        "query",
        "receipt",
    ];
    for kind in all_kinds {
        let named = good.replace(r#""f":30,"#, "").replace("denied", kind);
        add(&kind.replace('.', "-"), &format!("an entry of the kind {kind}"), true, named);
    }
    add("kind-unknown", "an entry of a kind we do not know", false, good.replace("denied", "gossip"));
    add(
        "member-unknown",
        "a member we do not know",
        false,
        good.replace(r#""v":1"#, r#""v":1,"who":"officer-17""#),
    );
    add(
        "members-in-another-order",
        "v comes first",
        false,
        format!(r#"{{"v":1,{}"#, good[1..].replace(r#","v":1"#, "")),
    );
    add("blank", "a blank after a comma", false, good.replacen(',', ", ", 1));
    add("newline", "a line break at the end", false, format!("{good}\n"));
    add("version-2", "an entry of version 2", false, good.replace(r#""v":1"#, r#""v":2"#));
    add("escape", "an escape where none is needed", false, good.replace("denied", r"deni\u0065d"));
    add("time-2-to-53", "a time of 2^53", false, good.replace("1790000000", "9007199254740992"));
    add("fault-unknown", "a code that no fault has", false, good.replace(r#""f":30"#, r#""f":99"#));
    add(
        "digest-spare-bits",
        "the spare bits of c are not zero",
        false,
        good.replace(&Hash::of(b"salt and record").to_string(), &format!("{}B", "A".repeat(42))),
    );
    add(
        "too-long",
        "an entry of more than 1 KiB",
        false,
        good.replace(r#""p":["#, &format!(r#""p":[{}"#, r#""armas.example.pe/liaison","#.repeat(40))),
    );
    add(
        "empty-list",
        "an empty list of peers in place of none",
        false,
        good.replace(r#"["armas.example.pe/liaison"]"#, "[]"),
    );
    all
}

/// Peru's log of `size` entries.
fn log(size: u64) -> Tree {
    let mut tree = Tree::new();
    (0..size).for_each(|leaf| _ = tree.append(leaf_hash(format!("entry {leaf}").as_bytes())));
    tree
}

fn signed(party: &Party, head: &TreeHead) -> note::SignedCheckpoint {
    note::sign_checkpoint(&party.secret("log-1"), &party.node().log_origin(1), head)
}

fn notes() -> Vec<Case> {
    let mut all = Vec::new();
    let vkey = |party: &Party, name: &str, key_type| {
        let named = match key_type {
            KeyType::Log => party.node().log_origin(1),
            KeyType::Cosigner => party.node().witness_name(),
        };
        note::verifier_key(&named, key_type, &party.secret(name).public())
    };
    let (log_key, witness_key) =
        (vkey(&PERU, "log-1", KeyType::Log), vkey(&KENYA, "witness-1", KeyType::Cosigner));
    let head = log(7).head();
    let good = signed(&PERU, &head);
    let mut add = |name: &str, about: &str, expect: &str, params: &[(&str, &str)], body: String| {
        all.push(Case::new(&format!("notes/{name}"), about, expect, params, body));
    };
    let as_checkpoint = [("as", "checkpoint"), ("verifier-key", log_key.as_str())];
    add("checkpoint", "the head of Peru's log", "ok", &as_checkpoint, good.as_str().into());
    let text = good.as_str();
    add(
        "checkpoint-extension",
        "a fourth line, which no cosigner would have read",
        "flaw Extension",
        &as_checkpoint,
        {
            let body = format!("{}more\n", good.checkpoint().body());
            let line = &text[good.checkpoint().body().len()..];
            format!("{body}{line}")
        },
    );
    add(
        "checkpoint-size-leading-zero",
        "a size with a leading zero",
        "flaw Number",
        &as_checkpoint,
        text.replacen("\n7\n", "\n07\n", 1),
    );
    add(
        "checkpoint-size-altered",
        "another size than was signed",
        "flaw BrokenSignature",
        &as_checkpoint,
        text.replacen("\n7\n", "\n8\n", 1),
    );
    add(
        "checkpoint-of-another-log",
        "the origin is that of log 2",
        "flaw Origin",
        &as_checkpoint,
        note::sign_checkpoint(&PERU.secret("log-1"), &PERU.node().log_origin(2), &head).as_str().into(),
    );
    add(
        "checkpoint-by-another-key",
        "signed with the witness key",
        "flaw NotSigned",
        &as_checkpoint,
        note::sign_checkpoint(&PERU.secret("witness-1"), &PERU.node().log_origin(1), &head).as_str().into(),
    );
    add(
        "checkpoint-unsigned",
        "no signature line",
        "flaw NotSigned",
        &as_checkpoint,
        format!("{}\n", good.checkpoint().body()),
    );
    add(
        "checkpoint-cut",
        "the last line break is missing",
        "flaw Form",
        &as_checkpoint,
        text.trim_end().into(),
    );
    let root = data_encoding::BASE64.encode(head.root.as_bytes());
    let [first, second] = [&head.root.as_bytes()[..16], &head.root.as_bytes()[16..]]
        .map(|part| data_encoding::BASE64.encode(part));
    add(
        "checkpoint-root-in-two-pieces",
        "the base64 of its root is padded in its middle, too",
        "flaw Base64",
        &as_checkpoint,
        text.replacen(&root, &format!("{first}{second}"), 1),
    );
    let line = text.lines().last().expect("a signature");
    add(
        "checkpoint-17-signatures",
        "17 signature lines",
        "flaw TooManySignatures",
        &as_checkpoint,
        format!("{text}{}", format!("{line}\n").repeat(16)),
    );
    let cosigned = |line: &str| format!("{text}{line}");
    let as_cosignature =
        [("as", "cosignature"), ("verifier-key", witness_key.as_str()), ("log-key", log_key.as_str())];
    let checkpoint: &Checkpoint = good.checkpoint();
    let name = KENYA.node().witness_name();
    let line = note::cosign(&KENYA.secret("witness-1"), &name, START.0, checkpoint);
    add(
        "cosignature",
        "Kenya's cosignature on the head of Peru's log",
        "ok",
        &as_cosignature,
        cosigned(&line),
    );
    let other = Checkpoint { origin: checkpoint.origin.clone(), head: log(8).head() };
    add(
        "cosignature-of-another-head",
        "Kenya's cosignature on another head",
        "flaw BrokenSignature",
        &as_cosignature,
        cosigned(&note::cosign(&KENYA.secret("witness-1"), &name, START.0, &other)),
    );
    add(
        "cosignature-by-another-key",
        "made with Kenya's log key",
        "flaw OtherSigner",
        &as_cosignature,
        cosigned(&note::cosign(&KENYA.secret("log-1"), &name, START.0, checkpoint)),
    );
    // Ten bytes and the rest, each padded, are the same bytes to a decoder that goes on behind the padding.
    let (words, signature) = line.trim_end().rsplit_once(' ').expect("a signature");
    let bytes = data_encoding::BASE64.decode(signature.as_bytes()).expect("base64");
    let [first, second] = [&bytes[..10], &bytes[10..]].map(|part| data_encoding::BASE64.encode(part));
    add(
        "cosignature-in-two-pieces",
        "the base64 of a cosignature is padded in its middle, too: the note has no second form",
        "flaw Base64",
        &as_checkpoint,
        cosigned(&format!("{words} {first}{second}\n")),
    );
    add(
        "cosignature-time-2-to-63",
        "its time is 2^63 seconds",
        "flaw Time",
        &as_cosignature,
        cosigned(&note::cosign(&KENYA.secret("witness-1"), &name, 1 << 63, checkpoint)),
    );
    let as_key = [("as", "verifier-key")];
    add("verifier-key", "the verifier key of Peru's log", "ok", &as_key, format!("{log_key}\n"));
    add("verifier-key-id", "a verifier key with another key's id", "flaw KeyId", &as_key, {
        let id = log_key.split('+').nth(1).expect("an id");
        log_key.replace(id, "00000000") + "\n"
    });
    add("verifier-key-weak", "a verifier key of small order", "flaw Key", &as_key, {
        let weak = data_encoding::HEXLOWER.decode(SMALL_ORDER[4].2.as_bytes()).expect("hex");
        let parts: Vec<&str> = log_key.split('+').collect();
        format!(
            "{}+{}+{}\n",
            parts[0],
            parts[1],
            data_encoding::BASE64.encode(&[&[1], weak.as_slice()].concat())
        )
    });
    all
}

fn heads() -> Vec<Case> {
    let mut all = Vec::new();
    let mut add = |name: &str, about: &str, expect: &str, held: &TreeHead, body: String| {
        let held = held.to_string();
        let params = [("key-sets", "key-sets/peru"), ("held", held.as_str())];
        all.push(Case::new(&format!("heads/{name}"), about, expect, &params, body));
    };
    let body = |old: u64, proof: Vec<Hash>, head: &TreeHead| {
        AddCheckpoint { old, proof, checkpoint: signed(&PERU, head).as_str().into() }.render()
    };
    let (old, new) = (log(5), log(9));
    let proof = consistency_proof(&new, 5, 9).expect("all known");
    let good = body(5, proof.clone(), &new.head());
    add("good", "9 entries that begin with the 5 we cosigned", "ok", &old.head(), good.clone());
    add("first", "the first head of a log", "ok", &TreeHead::empty(), body(0, vec![], &new.head()));
    add("same", "the head we cosigned, again", "ok", &old.head(), body(5, vec![], &old.head()));
    add(
        "stale",
        "it starts from another size than the one we cosigned",
        "flaw Stale",
        &log(3).head(),
        good.clone(),
    );
    add(
        "stale-from-zero",
        "it starts from nothing, and we know 5 entries",
        "flaw Stale",
        &old.head(),
        body(0, vec![], &new.head()),
    );
    add(
        "shrunk",
        "a smaller tree than the one we cosigned",
        "flaw Forked",
        &new.head(),
        body(9, vec![], &old.head()),
    );
    let other = {
        let mut tree = Tree::new();
        (0..9).for_each(|leaf| _ = tree.append(leaf_hash(format!("rewritten {leaf}").as_bytes())));
        tree
    };
    add(
        "forked",
        "a larger tree that does not contain the one we cosigned",
        "flaw Forked",
        &old.head(),
        body(5, consistency_proof(&other, 5, 9).expect("all known"), &other.head()),
    );
    add(
        "forked-same-size",
        "another root at the size we cosigned",
        "flaw Forked",
        &new.head(),
        body(9, vec![], &other.head()),
    );
    add(
        "proof-too-short",
        "the proof lacks a hash",
        "flaw Bad",
        &old.head(),
        body(5, proof[1..].to_vec(), &new.head()),
    );
    add("proof-too-long", "64 hashes", "flaw Bad", &old.head(), body(5, vec![Hash::ZERO; 64], &new.head()));
    add("signed-by-another", "signed with Chile's log key", "flaw Bad", &old.head(), {
        let note = note::sign_checkpoint(&CHILE.secret("log-1"), &PERU.node().log_origin(1), &new.head());
        AddCheckpoint { old: 5, proof: proof.clone(), checkpoint: note.as_str().into() }.render()
    });
    add("of-another-log", "the head of Chile's log", "flaw Bad", &old.head(), {
        AddCheckpoint {
            old: 5,
            proof: proof.clone(),
            checkpoint: signed(&CHILE, &new.head()).as_str().into(),
        }
        .render()
    });
    add("old-with-leading-zero", "old 05", "flaw Bad", &old.head(), good.replacen("old 5", "old 05", 1));
    add(
        "without-empty-line",
        "no empty line between proof and checkpoint",
        "flaw Bad",
        &old.head(),
        good.replacen("\n\n", "\n", 1),
    );
    all
}

fn mails() -> Vec<Case> {
    let good = Mail { holds: 1, head: "old 0\n\n".into(), ..Mail::default() };
    let text = String::from_utf8(good.frame()).expect("JSON");
    let deferred = |count: usize| {
        let one = r#"{"at":1790000000,"code":33,"id":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#;
        text.replacen('{', &format!(r#"{{"deferred":[{}],"#, vec![one; count].join(",")), 1)
    };
    let mut all = Vec::new();
    let mut add = |name: &str, about: &str, expect: &str, body: String| {
        all.push(Case::new(&format!("mail/{name}"), about, expect, &[], body));
    };
    add("least", "the least a mail can be (its head is looked at later)", "ok", text.clone());
    add("deferred-256", "256 hints", "ok", deferred(256));
    add("deferred-257", "257 hints", "flaw TooMuch", deferred(257));
    add(
        "key-sets-65",
        "65 key sets",
        "flaw TooMuch",
        text.replacen('{', &format!(r#"{{"key_sets":{},"#, json!(vec![""; 65])), 1),
    );
    add(
        "holds-missing",
        "it does not say which version of our key set its sender holds",
        "flaw Form",
        text.replace(r#""holds":1,"#, ""),
    );
    add("member-unknown", "a member we do not know", "flaw Form", text.replacen('{', r#"{"cc":[],"#, 1));
    add("member-twice", "the head stands twice", "flaw Form", text.replacen('{', r#"{"head":"","#, 1));
    add(
        "leaf-2-to-53",
        "a leaf of 2^53",
        "flaw Form",
        text.replacen('{', r#"{"receipts":[{"entry":"","leaf":9007199254740992,"proof":[]}],"#, 1),
    );
    add("not-json", "the frame is not JSON", "flaw Form", "hello".into());
    add("empty", "an empty frame", "flaw Form", String::new());
    add("code-unknown", "a hint with a code that no fault has", "flaw Form", deferred(1).replace("33", "99"));
    all
}

fn posted_and_receipts() -> Vec<Case> {
    let mut all = Vec::new();
    let message = PERU.seal(opener(&PERU, &KENYA, 1, request()));
    let id = message.id();
    // A log of 7 entries with `entry` at leaf 4.
    let tree_with = |entry: &Entry| {
        let mut tree = log(4);
        tree.append(leaf_hash(entry.line().as_bytes()));
        (5..7_u64).for_each(|leaf| _ = tree.append(leaf_hash(format!("entry {leaf}").as_bytes())));
        tree
    };
    let logged = |tree: &Tree, entry: &Entry| Logged {
        entry: entry.line(),
        leaf: LeafIndex(4),
        proof: inclusion_proof(tree, LeafIndex(4), 7).expect("all known"),
    };
    let json_of = |logged: &Logged| serde_json::to_string(logged).expect("JSON");
    let mut add =
        |name: &str, about: &str, expect: &str, params: &[(&str, &str)], head: &TreeHead, body: String| {
            let head = head.to_string();
            let params = [params, &[("head", head.as_str())]].concat();
            all.push(Case::new(name, about, expect, &params, body));
        };
    let id_text = id.to_string();
    let us = [("us", "firearms.example.ke/liaison"), ("id", id_text.as_str())];
    let sent = entry(EntryKind::MessageSent, Some(KENYA.node()), Some(id), None);
    let tree = tree_with(&sent);
    let good = logged(&tree, &sent);
    add("posted/good", "Peru's log has its message to us", "ok", &us, &tree.head(), json_of(&good));
    add("posted/another-head", "proven under another head", "fault 25", &us, &log(7).head(), json_of(&good));
    add(
        "posted/another-leaf",
        "the proof is for another place",
        "fault 25",
        &us,
        &tree.head(),
        json_of(&Logged { leaf: LeafIndex(3), ..good.clone() }),
    );
    add(
        "posted/leaf-outside",
        "the place is outside the tree",
        "fault 25",
        &us,
        &tree.head(),
        json_of(&Logged { leaf: LeafIndex(7), ..good.clone() }),
    );
    add(
        "posted/entry-altered",
        "another time than was logged",
        "fault 25",
        &us,
        &tree.head(),
        json_of(&Logged { entry: good.entry.replace("1790000000", "1790000001"), ..good.clone() }),
    );
    add(
        "posted/proof-cut",
        "the proof lacks a hash",
        "fault 25",
        &us,
        &tree.head(),
        json_of(&Logged { proof: good.proof[1..].to_vec(), ..good.clone() }),
    );
    let wrong = |kind, peer, id| {
        let entry = entry(kind, peer, id, None);
        let tree = tree_with(&entry);
        (tree.head(), json_of(&logged(&tree, &entry)))
    };
    for (name, about, (head, body)) in [
        (
            "another-message",
            "the entry is of another message",
            wrong(EntryKind::MessageSent, Some(KENYA.node()), Some(MessageId(Hash::of(b"x")))),
        ),
        (
            "another-addressee",
            "the entry says it went to Chile",
            wrong(EntryKind::MessageSent, Some(CHILE.node()), Some(id)),
        ),
        (
            "another-kind",
            "the entry is that of a message received",
            wrong(EntryKind::MessageReceived, Some(KENYA.node()), Some(id)),
        ),
        ("no-addressee", "the entry names nobody", wrong(EntryKind::MessageSent, None, Some(id))),
    ] {
        add(&format!("posted/{name}"), about, "fault 25", &us, &head, body);
    }
    // Kenya's log speaks of Peru's message.
    let us = [("us", "armas.example.pe/liaison"), ("id", id_text.as_str())];
    let taken = entry(EntryKind::MessageReceived, Some(PERU.node()), Some(id), None);
    let tree = tree_with(&taken);
    let good = logged(&tree, &taken);
    add("receipts/taken", "Kenya's log has Peru's message", "ok", &us, &tree.head(), json_of(&good));
    let refused = entry(EntryKind::Denied, Some(PERU.node()), Some(id), Some(Fault::Expired));
    let denied = tree_with(&refused);
    let with_code = [us[0], us[1], ("refused", "30")];
    add(
        "receipts/refused",
        "Kenya's log says why it refused Peru's message",
        "ok",
        &with_code,
        &denied.head(),
        json_of(&logged(&denied, &refused)),
    );
    let us = &us[..1];
    add(
        "receipts/another-head",
        "proven under another head",
        "flaw NoReceipt",
        us,
        &log(7).head(),
        json_of(&good),
    );
    add(
        "receipts/proof-wrong",
        "one hash of the proof is another",
        "flaw NoReceipt",
        us,
        &tree.head(),
        json_of(&Logged { proof: [&[Hash::ZERO], &good.proof[1..]].concat(), ..good.clone() }),
    );
    add(
        "receipts/proof-too-long",
        "a hash too many",
        "flaw NoReceipt",
        us,
        &tree.head(),
        json_of(&Logged { proof: [good.proof.as_slice(), &[Hash::ZERO]].concat(), ..good.clone() }),
    );
    add(
        "receipts/another-leaf",
        "the proof is for another place",
        "flaw NoReceipt",
        us,
        &tree.head(),
        json_of(&Logged { leaf: LeafIndex(5), ..good.clone() }),
    );
    for (name, about, kind, peer, id) in [
        (
            "of-another-peer",
            "it speaks of Chile's message",
            EntryKind::MessageReceived,
            Some(CHILE.node()),
            Some(id),
        ),
        ("of-no-message", "it names no message", EntryKind::MessageReceived, Some(PERU.node()), None),
        (
            "of-a-message-sent",
            "it is the entry of a message sent",
            EntryKind::MessageSent,
            Some(PERU.node()),
            Some(id),
        ),
        (
            "refused-without-code",
            "it refuses, and does not say why",
            EntryKind::Denied,
            Some(PERU.node()),
            Some(id),
        ),
    ] {
        let (head, body) = wrong(kind, peer, id);
        add(&format!("receipts/{name}"), about, "flaw NoReceipt", us, &head, body);
    }
    all
}

fn replies() -> Vec<Case> {
    let line = note::cosign(
        &KENYA.secret("witness-1"),
        &KENYA.node().witness_name(),
        START.0,
        signed(&PERU, &log(7).head()).checkpoint(),
    );
    let text = |reply: MailReply| String::from_utf8(reply.frame()).expect("JSON");
    let cosigned = text(MailReply::Cosigned { line });
    [
        ("cosigned", "the head holds; here is the cosignature", "ok", cosigned.clone()),
        ("busy", "come back in a minute", "ok", text(MailReply::Busy { retry_after_secs: 60 })),
        ("stale", "start from 5 entries", "ok", text(MailReply::Stale { held: None })),
        (
            "forked",
            "this is another history",
            "ok",
            text(MailReply::Forked { held: "a signed checkpoint".into() }),
        ),
        ("status-unknown", "a status we do not know", "flaw Form", r#"{"status":"fine"}"#.into()),
        ("status-missing", "no status", "flaw Form", r#"{"size":5}"#.into()),
        (
            "member-unknown",
            "a member we do not know",
            "flaw Form",
            r#"{"status":"stale","size":5,"why":"x"}"#.into(),
        ),
        (
            "forked-and-more",
            "a status without members that has one",
            "flaw Form",
            r#"{"status":"forked","size":5}"#.into(),
        ),
        ("as-array", "an array in place of an object", "flaw Form", r#"["stale",5]"#.into()),
        (
            "size-2-to-53",
            "a size of 2^53",
            "flaw Form",
            r#"{"status":"stale","size":9007199254740992}"#.into(),
        ),
        (
            "too-large",
            "a reply of more than 64 KiB",
            "flaw TooMuch",
            cosigned.replace("} ", "}") + &" ".repeat(mail::MAX_REPLY),
        ),
    ]
    .into_iter()
    .map(|(name, about, expect, body)| Case::new(&format!("replies/{name}"), about, expect, &[], body))
    .collect()
}

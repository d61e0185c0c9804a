//! The pages of `transcripts/` are what a user sees: each command is run, and says what stands below it.
//!
//! With `LIAISON_WRITE_TRANSCRIPTS=1` the pages are written anew instead, to be read before they are
//! committed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use liaison_protocol::authority::{By, Timestamp};
use liaison_protocol::entry::{Entry, EntryKind, Logged, Record};
use liaison_protocol::envelope::{self, Verified};
use liaison_protocol::evidence::{self, Evidence, Files, Given, Opened, Party, Proven};
use liaison_protocol::handling::{Handling, LegalBasis, Purpose, Recipient};
use liaison_protocol::key_set::{
    Key, KeyChain, KeySet, KeyUse, LogName, Root, SignedKeySet, TransportIdentity,
};
use liaison_protocol::licence::{GoodsLine, Presented};
use liaison_protocol::merkle::{Hash, LeafIndex, Tree, inclusion_proof, leaf_hash};
use liaison_protocol::message::{
    Acknowledgement, Body, CaseRefs, LicenceVerificationRequest, Message, MessageId,
};
use liaison_protocol::note::{TlogProof, cosign, sign_checkpoint};
use liaison_protocol::operator::{Act, Enclosed, Order};
use liaison_protocol::sign::SecretKey;
use liaison_protocol::tile::{encode_bundle, encode_tile, tiles};

mod offices;

use offices::{Office, Offices};

#[test]
fn what_the_manual_shows_is_what_the_user_sees() {
    let here = tempfile::tempdir().expect("a folder");
    set_the_scene(here.path());
    for page in ["evidence.md", "first-steps.md", "verify-a-log.md"] {
        compare(page, |page| play(page, |words| run(words, here.path())));
    }
    let pages = fs::read_dir(pages()).expect("the pages").count();
    assert_eq!(pages, 5, "every page is played by some test");
}

#[test]
fn a_tracing_officers_day_is_what_the_manual_tells() {
    let czechia = office("czechia", "CZE", "zbrane.example.cz/liaison", "Czech Proof House");
    let kenya = office("kenya", "KEN", "firearms.example.ke/liaison", "Firearms Licensing Board");
    let peru = office("peru", "PER", "armas.example.pe/liaison", "National Arms Control Authority");
    let files = [
        ("czech-register.csv", include_str!("offices/czech-register.csv")),
        ("kenyan-register.csv", include_str!("offices/kenyan-register.csv")),
        ("pistol.toml", include_str!("offices/pistol.toml")),
    ];
    day("a-tracing-officers-day.md", &[czechia, kenya, peru], &files, &[]);
}

#[test]
fn a_transit_officers_day_is_what_the_manual_tells() {
    let kenya = office("kenya", "KEN", "firearms.example.ke/liaison", "Firearms Licensing Board");
    let peru = office("peru", "PER", "armas.example.pe/liaison", "National Arms Control Authority");
    let rwanda = office("rwanda", "RWA", "police.example.rw/liaison", "Rwanda National Police");
    let uganda = office("uganda", "UGA", "police.example.ug/liaison", "Uganda Police, Arms Registry");
    let lists = [
        ("rwandan-licences.csv", include_str!("offices/rwandan-licences.csv")),
        ("rwandan-licences-later.csv", include_str!("offices/rwandan-licences-later.csv")),
    ];
    day(
        "a-transit-officers-day.md",
        &[kenya, peru, rwanda, uganda],
        &lists,
        &[("rwanda", &["peer", "answer", "PER", "--verifications", "on"])],
    );
}

fn office(name: &'static str, state: &'static str, node: &'static str, authority: &'static str) -> Office {
    Office { name, state, node, authority }
}

/// A page among offices whose nodes run.
fn day(page: &str, offices: &[Office], files: &[(&str, &str)], before: &[(&str, &[&str])]) {
    let here = tempfile::tempdir().expect("a folder");
    let mut offices = Offices::open(here.path(), offices);
    for (name, content) in files {
        offices.file(name, content);
    }
    for (office, words) in before {
        offices.quietly(office, words);
    }
    compare(page, |page| {
        play(page, |words| match words {
            [office, words @ ..] if offices.has(office) => offices.run(office, words),
            words => run(words, here.path()),
        })
    });
}

fn pages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("transcripts")
}

fn compare(page: &str, play: impl FnOnce(&str) -> String) {
    let path = pages().join(page);
    let page = fs::read_to_string(&path).expect("a page");
    let played = play(&page);
    if std::env::var_os("LIAISON_WRITE_TRANSCRIPTS").is_some() {
        fs::write(&path, played).expect("the page");
    } else {
        assert_eq!(played, page, "{}", path.display());
    }
}

/// The page with what each command says below it. A command may go on behind a backslash.
fn play(page: &str, mut run: impl FnMut(&[&str]) -> String) -> String {
    let (mut played, mut command, mut said) = (String::new(), String::new(), false);
    for line in page.lines() {
        let Some(part) = line.strip_prefix("$ ").or((!command.is_empty()).then_some(line)) else {
            said &= !line.starts_with("```");
            if !said {
                played += &format!("{line}\n");
            }
            continue;
        };
        played += &format!("{line}\n");
        match part.strip_suffix('\\') {
            Some(part) => command += part,
            None => {
                command += part;
                played += &run(&words(&command));
                (command, said) = (String::new(), true);
            }
        }
    }
    played
}

/// Every second part stands in quotation marks.
fn words(command: &str) -> Vec<&str> {
    let parts = command.split('"').zip([false, true].into_iter().cycle());
    parts
        .flat_map(|(part, quoted)| if quoted { vec![part] } else { part.split_whitespace().collect() })
        .collect()
}

fn run(words: &[&str], folder: &Path) -> String {
    assert_eq!(words.first(), Some(&"liaison"), "a command of ours");
    let run = Command::new(env!("CARGO_BIN_EXE_liaison"))
        .args(&words[1..])
        .current_dir(folder)
        .env_remove("LIAISON_PROFILE")
        .env("HOME", "/home/okello")
        .output()
        .expect("the program runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    let (out, err) = (text(run.stdout), text(run.stderr));
    let code = match run.status.code() {
        Some(0) => String::new(),
        code => format!("(exit code {})\n", code.unwrap_or(-1)),
    };
    format!("{out}{err}{code}")
}

/// The folders the pages speak of.
fn set_the_scene(here: &Path) {
    let (kenya, peru) =
        (Authority::new("firearms.example.ke", "KEN", 10), Authority::new("armas.example.pe", "PER", 20));
    let log = kenya.log(&lines(&kenya, &peru, 300));
    let seen = |at: u64, size: usize| {
        let head = kenya.log(&lines(&kenya, &peru, size)).1.head();
        let seen = sign_checkpoint(&kenya.secrets[2], &kenya.chain.current().node.log_origin(1), &head);
        let name = peru.chain.current().node.witness_name();
        seen.with_cosignatures([cosign(&peru.secrets[3], &name, BORN + at, seen.checkpoint()).as_str()])
    };
    let write = |folder: &str, files: &BTreeMap<String, Vec<u8>>, seen: String| {
        let mut files = files.clone();
        files.insert("witnessed/armas.example.pe.checkpoint".into(), seen.into());
        files.insert("witnessed/armas.example.pe.key-sets".into(), peru.chain.file().into());
        for (file, content) in files {
            let path = here.join(folder).join(file);
            fs::create_dir_all(path.parent().expect("it is below a folder")).expect("a new folder");
            fs::write(path, content).expect("a new file");
        }
    };
    write("log1", &log.0, seen(9000, 150));
    write("shortened", &kenya.log(&lines(&kenya, &peru, 120)).0, seen(9000, 150));
    write("altered", &log.0, seen(9000, 150));
    let bundle = here.join("altered/tile/entries/000");
    let mut bytes = fs::read(&bundle).expect("a bundle");
    bytes[5000] ^= 1;
    fs::write(bundle, bytes).expect("the bundle");
    fs::create_dir(here.join("empty")).expect("a new folder");

    let files = evidence_of(&kenya, &peru);
    let pack = |name: &str, files: &Files| {
        fs::write(here.join(name), evidence::pack(files).expect("small")).expect("a new file");
    };
    pack("evidence.tar", &files);
    let mut altered = files.clone();
    // Another officer decided, says whoever altered this.
    let record = altered.get_mut("firearms.example.ke/log1/2.record.json").expect("the order");
    let text = String::from_utf8(record.clone()).expect("text").replace("okello", "nobody");
    *record = text.into_bytes();
    pack("altered.tar", &altered);
}

/// Peru asked Kenya about a licence, and Kenya took charge of it: the files of Kenya's evidence.
fn evidence_of(kenya: &Authority, peru: &Authority) -> Files {
    let presented = Presented {
        issue_date: Some("2026-03-01".parse().expect("a date")),
        final_recipient: Some("Kenya Wildlife Service".parse().expect("a line")),
        lines: vec![GoodsLine {
            line: 1,
            description: "Rifle .308".parse().expect("a line"),
            quantity: 40,
            unit: "pieces".parse().expect("a line"),
        }],
        ..Presented::number("KE-IMP 2026/0042".parse().expect("a number"))
    };
    let request = Body::LicenceVerificationRequest(LicenceVerificationRequest { presented });
    let asked = peru.says(kenya, 60, None, request);
    let unit = || "Import Licensing".parse().expect("a line");
    let taken = Body::Acknowledgement(Acknowledgement { unit: unit(), expected: None, note: None });
    let taken = kenya.says(peru, 120, Some(asked.id()), taken);
    let node = |of: &Authority| of.chain.current().node.clone();
    let genesis = |of: &Authority| {
        let set = of.chain.current();
        Record::Genesis { node: set.node.clone(), state: set.state.clone(), log: 1 }
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let token = |said: &Verified| said.token().to_owned();
    let write = |log: &mut Vec<_>, at: u64, record: Record| {
        log.push(record.write(Timestamp(BORN + at), &[log.len() as u8; 32]));
    };
    write(&mut theirs, 0, genesis(peru));
    write(&mut theirs, 60, Record::Sent { to: node(kenya), token: token(&asked) });
    let proven = |of: &Authority, log: &[liaison_protocol::entry::Written], leaf: usize| {
        let mut tree = Tree::new();
        log.iter().for_each(|line| _ = tree.append(leaf_hash(line.entry.as_bytes())));
        let proof = inclusion_proof(&tree, LeafIndex(leaf as u64), tree.size()).expect("all known");
        let signed = sign_checkpoint(&of.secrets[2], &node(of).log_origin(1), &tree.head());
        (Logged { entry: log[leaf].entry.clone(), leaf: LeafIndex(leaf as u64), proof }, signed)
    };
    let (proof, sent) = proven(peru, &theirs, 1);
    write(&mut ours, 0, genesis(kenya));
    let received =
        Record::Received { from: node(peru), token: token(&asked), proof: proof.clone(), head: *sent.head() };
    write(&mut ours, 61, received);
    let by = By::Officers { prepared: "okello".parse().expect("an officer"), approved: None };
    let act = Act::Acknowledge { unit: unit(), expected: None, note: None };
    let enclosed = Enclosed::default();
    let order = Order::Act { exchange: asked.id(), peer: node(peru), act, enclosed };
    let via = "registry-desk".parse().expect("an officer");
    write(&mut ours, 120, Record::Order { order, by: by.clone(), key: None, via, register: None });
    write(&mut ours, 120, Record::Sent { to: node(peru), token: token(&taken) });
    let (logged, head) = proven(kenya, &ours, 3);
    let received =
        Record::Received { from: node(kenya), token: token(&taken), proof: logged, head: *head.head() };
    write(&mut theirs, 121, received);
    let (receipt, took) = proven(peru, &theirs, 2);
    let record =
        Record::Receipt { node: node(peru), message: taken.id(), proof: receipt.clone(), head: *took.head() };
    write(&mut ours, 121, record);

    let cosigned = |note: &liaison_protocol::note::SignedCheckpoint, by: &Authority, at: u64| {
        let line = cosign(&by.secrets[3], &node(by).witness_name(), BORN + at, note.checkpoint());
        note.with_cosignatures([line.as_str()])
    };
    let shown = |logged: Logged, checkpoint: String, opened: Option<Opened>| {
        let proof = TlogProof { index: logged.leaf, proof: logged.proof, checkpoint, extra: None };
        ((1, logged.leaf), Proven { entry: logged.entry, proof, opened })
    };
    let opened = (1..5).map(|leaf| {
        let (logged, head) = proven(kenya, &ours, leaf);
        let opened = Opened { salt: ours[leaf].salt, record: ours[leaf].record.clone() };
        shown(logged, cosigned(&head, peru, 180), Some(opened))
    });
    let party =
        |of: &Authority, proven| Party { chain: of.chain.clone(), proven, extensions: BTreeMap::new() };
    let evidence = Evidence {
        exporter: party(kenya, opened.collect()),
        other: party(
            peru,
            [
                shown(proof, cosigned(&sent, kenya, 61), None),
                shown(receipt, cosigned(&took, kenya, 121), None),
            ]
            .into(),
        ),
        messages: vec![token(&asked), token(&taken)],
        attachments: BTreeMap::new(),
    };
    let given = Given {
        exchange: asked.id(),
        purpose: Purpose::Licensing,
        to: Recipient::Court,
        by,
        at: Timestamp(BORN + 3600),
    };
    evidence.files(&given)
}

fn lines(kenya: &Authority, peru: &Authority, count: usize) -> Vec<String> {
    let set = kenya.chain.current();
    let genesis = Record::Genesis { node: set.node.clone(), state: set.state.clone(), log: 1 };
    let first = genesis.write(Timestamp(BORN), &[7; 32]).entry;
    let kinds = [EntryKind::MessageReceived, EntryKind::Query, EntryKind::MessageSent, EntryKind::Receipt];
    let entry = |(n, k): (u64, EntryKind)| {
        let (c, p) = (Hash::of(&n.to_be_bytes()), vec![peru.chain.current().node.clone()]);
        Entry { c, f: None, h: None, k, m: None, p, t: Timestamp(BORN + 60 * n), v: 1 }.line()
    };
    std::iter::once(first).chain((1..).zip(kinds.into_iter().cycle()).map(entry)).take(count).collect()
}

/// A State with its root, message, log and witness key.
struct Authority {
    chain: KeyChain,
    secrets: [SecretKey; 4],
}

impl Authority {
    fn new(domain: &str, state: &str, seed: u8) -> Self {
        let secrets = [seed, seed + 1, seed + 2, seed + 3].map(|seed| SecretKey::from_seed(&[seed; 32]));
        let (nbf, naf) = (Timestamp(BORN), Timestamp(BORN + 1_000_000));
        let key = |n: usize, kid: &str, usage| Key {
            kid: kid.to_owned(),
            usage,
            alg: "Ed25519".to_owned(),
            public: secrets[n].public(),
            nbf,
            naf,
            functions: Vec::new(),
        };
        let set = KeySet {
            v: 1,
            node: format!("{domain}/liaison").parse().expect("a node"),
            state: state.parse().expect("a State"),
            authority: "Firearms Licensing Board".parse().expect("a name"),
            functions: Vec::new(),
            version: 1,
            prev: None,
            issued: nbf,
            expires: naf,
            roots: vec![Root { kid: "root-1".into(), public: secrets[0].public() }],
            threshold: 1,
            keys: vec![
                key(1, "msg-1", KeyUse::Msg),
                key(2, "log-1", KeyUse::Log),
                key(3, "witness-1", KeyUse::Witness),
            ],
            peers: vec![TransportIdentity { peer_id: format!("peer{seed}"), nbf, naf }],
            addrs: Vec::new(),
            logs: vec![LogName { n: 1, kid: "log-1".into() }],
            revoked: Vec::new(),
            contact: Default::default(),
            calendar: None,
            targets: Vec::new(),
        };
        let signers: Vec<_> = ["root-1", "msg-1", "log-1", "witness-1"].into_iter().zip(&secrets).collect();
        let chain =
            KeyChain::start(SignedKeySet::sign(set, &signers).expect("a good set")).expect("version 1");
        Self { chain, secrets }
    }

    /// A message to `other`, sealed so many seconds after the start: the answer to `asked`, if there is one.
    fn says(&self, other: &Self, at: u64, asked: Option<MessageId>, body: Body) -> Verified {
        let message = Message {
            iss: self.chain.current().node.clone(),
            aud: other.chain.current().node.clone(),
            iat: Timestamp(BORN + at),
            accept_until: Timestamp(BORN + at + 3600),
            jti: "AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
            log: 1,
            seq: 1,
            thr: asked,
            irt: asked,
            prev: None,
            saw: asked,
            body,
            beyond_us: false,
            handling: Handling::for_licences(LegalBasis::Article10Para2a),
            by: By::Officers { prepared: "okello".parse().expect("an officer"), approved: None },
            lang: "en".to_owned(),
            case: CaseRefs::default(),
            attachments: Vec::new(),
            parts: Vec::new(),
        };
        envelope::seal(message, "msg-1", &self.secrets[1])
    }

    /// The files of its log of these lines, and the tree.
    fn log(&self, lines: &[String]) -> (BTreeMap<String, Vec<u8>>, Tree) {
        let mut tree = Tree::new();
        lines.iter().for_each(|line| _ = tree.append(leaf_hash(line.as_bytes())));
        let mut files = BTreeMap::from([("key-sets".to_owned(), self.chain.file().into_bytes())]);
        for tile in tiles(tree.size()) {
            files.insert(tile.path(), encode_tile(&tile.hashes(&tree).expect("all known")));
            if tile.level == 0 {
                let first = tile.leaves(0).start.0 as usize;
                let bundle = lines[first..first + usize::from(tile.width)].iter().map(String::as_bytes);
                files.insert(tile.entries_path(), encode_bundle(bundle).expect("short entries"));
            }
        }
        let origin = self.chain.current().node.log_origin(1);
        let signed = sign_checkpoint(&self.secrets[2], &origin, &tree.head());
        files.insert("checkpoint".to_owned(), signed.as_str().into());
        (files, tree)
    }
}

const BORN: u64 = 1_790_000_000;

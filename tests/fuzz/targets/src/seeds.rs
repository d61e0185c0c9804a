//! What the corpus grows from: the vectors of the protocol, and what the samples of its tests say.

use std::fs;
use std::path::{Path, PathBuf};

use liaison_protocol::entry::{Logged, Record};
use liaison_protocol::handling::{Purpose, Recipient};
use liaison_protocol::jws;
use liaison_protocol::mail::{Mail, Posted};
use liaison_protocol::merkle::{Tree, inclusion_proof, leaf_hash};
use liaison_protocol::note::{AddCheckpoint, KeyType, TlogProof, VerifierKey, sign_checkpoint};
use liaison_protocol::operator::{
    Enclosed, EvidenceRequest, OpenRequest, Opening, Question, RemoveRequest, Rules,
};
use serde_json::{Value, json};

use crate::dice::Dice;
use crate::{folders, samples, world};

/// Inputs kept in files: what fuzzing found beyond the [`seeds`], the smallest that reach it.
pub fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus").join(target);
    let mut files: Vec<PathBuf> = match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| entry.expect("readable").path()).collect(),
        Err(_) => return Vec::new(),
    };
    files.sort();
    files.into_iter().map(|file| (file.clone(), fs::read(file).expect("readable"))).collect()
}

/// What to begin with. Panics if there is no such target.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    match target {
        "address" => addresses(),
        "altered_evidence" | "altered_log" => scripts(24, 15),
        "altered_seal" => scripts(24, 9),
        "archive" => vec![folders::good_archive(), vec![0; 1024]],
        "config" => vec![fs::read(house().join("deploy/liaison.toml")).expect("the example")],
        "desk" => scripts(24, 120),
        "entry" => [vectors("entries"), records()].concat(),
        "item" => [vec![canonical(&samples::pistol())], items()].concat(),
        "json" => [vectors("mail"), vectors("replies"), payloads("deliveries")].concat(),
        "key_set" => [vectors("key-sets"), key_sets()].concat(),
        "mail" => [vectors("mail"), vec![posted()]].concat(),
        "message" => [payloads("messages"), payloads("deliveries")].concat(),
        "note" => [vectors("notes"), vectors("heads"), notes()].concat(),
        "order" => orders(),
        "piece" => vec![
            [&[7; 32][..], &[0, 0, 0, 0, 0, 0, 1, 2, 0, 3, 0, 0]].concat(),
            vec![0, 5],
            vec![1, 0, 0, 1, 2],
            vec![2],
            vec![3],
        ],
        "proof" => scripts(24, 9),
        "register" => registers(),
        "reply" => vectors("replies"),
        "serial" => serials(),
        "tile" => tiles(),
        "token" => vectors("messages"),
        _ => panic!("no seeds for {target}"),
    }
}

/// Questions of every kind, complete.
pub(crate) fn questions() -> [Question; 4] {
    [
        Question::Trace { request: samples::trace_request(), looked_again: true },
        Question::Transit { notification: samples::transit_through_kenya() },
        Question::Verification { presented: world::presented() },
        Question::Authenticity { presented: world::presented() },
    ]
}

fn house() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

/// The bytes of each vector of a family: what stands behind the empty line.
fn vectors(family: &str) -> Vec<Vec<u8>> {
    let folder = house().join("protocol/vectors").join(family);
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).expect("the vectors").map(|entry| entry.expect("readable").path()).collect();
    files.sort();
    let body = |file: PathBuf| {
        let bytes = fs::read(file).expect("readable");
        let at = bytes.windows(2).position(|pair| pair == b"\n\n").expect("an empty line ends the header");
        bytes[at + 2..].to_vec()
    };
    files.into_iter().map(body).filter(|body| body.len() < 16 * 1024).collect()
}

/// The payloads of the tokens in a family.
fn payloads(family: &str) -> Vec<Vec<u8>> {
    let text = vectors(family).concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let parts = text.split(['.', '\n', ' ']).filter(|part| part.starts_with("ey")).filter_map(jws::decode);
    parts.filter(|octets| octets.windows(7).any(|seven| seven == b"\"kind\":")).collect()
}

fn canonical<T: serde::Serialize>(value: &T) -> Vec<u8> {
    liaison_protocol::json::canonical(value)
}

fn scripts(count: u64, length: usize) -> Vec<Vec<u8>> {
    let script = |seed: u64| {
        let mut script = vec![0; length];
        Dice::new(seed).fill(&mut script);
        script
    };
    (0..count).map(script).collect()
}

fn records() -> Vec<Vec<u8>> {
    let asked = world::PERU.seal(world::opener(&world::PERU, &world::KENYA, 1, world::request()));
    let sent = Record::Sent { to: world::KENYA.node(), token: asked.token().to_owned() };
    let set = Record::KeySet { node: world::KENYA.node(), key_set: world::KENYA.signed().json().to_owned() };
    [sent, set].iter().map(|record| serde_json::to_vec(record).expect("string keys")).collect()
}

fn items() -> Vec<Vec<u8>> {
    let asked = payloads("messages").into_iter().filter_map(|payload| {
        let payload: Value = serde_json::from_slice(&payload).ok()?;
        Some(canonical(payload.get("body")?.get("item")?))
    });
    asked.collect()
}

fn key_sets() -> Vec<Vec<u8>> {
    let parties = [world::KENYA, world::PERU, world::URUGUAY];
    let first = parties.iter().map(|party| canonical(party.signed().set()));
    let next = parties.iter().map(|party| canonical(&party.after(&party.signed(), |_| ())));
    first.chain(next).collect()
}

fn posted() -> Vec<u8> {
    let asked = world::PERU.seal(world::opener(&world::PERU, &world::KENYA, 1, world::request()));
    let token = asked.token().to_owned();
    let entry =
        Record::Sent { to: world::KENYA.node(), token: token.clone() }.write(world::START, &[1; 32]).entry;
    let mut tree = Tree::new();
    let leaf = tree.append(leaf_hash(entry.as_bytes()));
    let proof = inclusion_proof(&tree, leaf, 1).expect("all known");
    let signed =
        sign_checkpoint(&world::PERU.secret("log-1"), &world::PERU.node().log_origin(1), &tree.head());
    let offer = AddCheckpoint { old: 0, proof: Vec::new(), checkpoint: signed.as_str().to_owned() };
    let logged = Logged { entry, leaf, proof };
    Mail {
        holds: 1,
        head: offer.render(),
        messages: vec![Posted { token, logged: logged.clone(), parts: Vec::new() }],
        receipts: vec![logged],
        ..Mail::default()
    }
    .frame()
}

fn notes() -> Vec<Vec<u8>> {
    let mut tree = Tree::new();
    let leaf = tree.append(leaf_hash(b"an entry"));
    let (origin, key) = (world::PERU.node().log_origin(1), world::PERU.secret("log-1"));
    let checkpoint = sign_checkpoint(&key, &origin, &tree.head()).as_str().to_owned();
    let vkey = VerifierKey { name: origin, key_type: KeyType::Log, key: key.public() };
    let proof =
        TlogProof { index: leaf, proof: Vec::new(), checkpoint: checkpoint.clone(), extra: Some(vec![1]) };
    vec![checkpoint.into(), vkey.to_string().into(), proof.render().into()]
}

fn orders() -> Vec<Vec<u8>> {
    let open = |question| OpenRequest {
        peer: "KEN".into(),
        opening: Opening { question, case_ref: None, handling: None, enclosed: Enclosed::default() },
        officer: None,
    };
    let mut all: Vec<_> = questions().into_iter().map(|question| canonical(&open(question))).collect();
    all.extend(crate::talk::acts().iter().map(canonical));
    all.push(canonical(&Rules::default()));
    all.push(canonical(&RemoveRequest { reason: samples::line("It left.") }));
    all.push(canonical(&EvidenceRequest {
        purpose: Purpose::Licensing,
        recipient: Recipient::Court,
        officer: None,
        without_persons: true,
    }));
    all.push(canonical(&json!({
        "key_sets": world::KENYA.chain().file(),
        "fingerprint": world::KENYA.chain().fingerprint(),
        "channel": "telephone",
    })));
    all.push(canonical(&json!({ "key_set": world::KENYA.signed().json() })));
    all
}

fn registers() -> Vec<Vec<u8>> {
    let few = |name: &str, rows: usize| {
        let text =
            fs::read_to_string(house().join("node/demo").join(name)).expect("a list of the demonstration");
        text.lines().take(rows).flat_map(|line| [line, "\n"]).collect::<String>().into_bytes()
    };
    vec![few("kenya-firearms.csv", 9), few("serbia-firearms.csv", 3), few("licences.csv", 12)]
}

/// Where nodes are found, and who they are.
fn addresses() -> Vec<Vec<u8>> {
    let addresses = [
        "/ip4/192.0.2.7/tcp/4710",
        "/ip6/2001:db8::7/tcp/4710",
        "/dns4/liaison.example.ke/udp/4710/quic-v1",
        "/dns/liaison.example.ke/tcp/4710/p2p/12D3KooW",
        "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp",
    ];
    addresses.map(|address| address.as_bytes().to_vec()).to_vec()
}

/// Pairs of serial numbers that were thought of by people.
fn serials() -> Vec<Vec<u8>> {
    let text = fs::read_to_string(house().join("protocol/tests/serials.csv")).expect("the table");
    let pair = |line: &str| {
        let mut cells = line.split(',');
        Some(format!("{}\n{}", cells.next()?, cells.next()?).into_bytes())
    };
    text.lines().skip(1).step_by(4).filter_map(pair).collect()
}

fn tiles() -> Vec<Vec<u8>> {
    let place = [&[0, 2][..], &[0, 0, 0, 0, 0, 1, 2, 3], &[0, 0, 0, 0, 0, 0, 0, 7], &[9]].concat();
    vec![[&[0, 2][..], &[5; 64]].concat(), vec![0, 2, 0, 1, 9, 0, 0], place]
}

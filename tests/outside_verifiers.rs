//! What two real nodes said to each other, checked by programs that know nothing of us.
//!
//! `openssl` verifies a message, `sha256sum` names it, `tlog_tiles` and `signed_note` read the log folder, and Python
//! works out the root from the entries. Each refuses what is altered.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use liaison_protocol::operator::{CheckpointView, NodeView, State};
use liaison_tests::processes::{House, run, said, two, wait_for};
use serde_json::{Value, json};
use signed_note::{Note, StandardVerifier, VerifierList};
use tempfile::TempDir;
use tlog_tiles::{Checkpoint, Tile, TileHashReader, TileReader};

/// Two nodes that have spoken to each other and stopped, what they said, and their keys.
struct Spoken {
    ken: House,
    per: House,
    /// Messages by the id the node gives them, with the name of their sender.
    messages: BTreeMap<String, (String, String)>,
    /// Key sets in force, by node.
    key_sets: BTreeMap<String, Value>,
    /// The verifier key of Kenya's log.
    log_key: String,
}

fn spoken() -> Spoken {
    let (mut ken, mut per) = two("KEN", "PER");
    per.api().set_rules("KEN", &json!({"verifications": true}));
    per.api().import("licence_no,status,issue_date\nPE-1,ACTIVE,2026-01-10\n");
    for n in 0..150 {
        let presented = json!({
            "licence_no": format!("PE-{n}"), "issue_date": "2026-01-10", "final_recipient": "Kenya Police — Armoury",
            "lines": [{"line": 1, "description": "Rifle .308", "quantity": n + 1, "unit": "pieces"}],
        });
        let opening = json!({"question": "verification", "presented": presented});
        ken.api().open_exchange("PER", &opening, &format!("k-{n}"));
    }
    wait_for("all is answered and receipted", || {
        let open = ken.api().exchanges().iter().any(|summary| summary.state != State::Answered);
        let owed = ken.api().peer("PER").undelivered + per.api().peer("KEN").undelivered;
        (!open && owed == 0).then_some(())
    });
    let one = ken.api().exchanges()[0].id.to_string();
    let exchange = ken.api().exchange(&one);
    let senders = exchange.timeline.iter().map(|item| {
        let ours = item.from == exchange.summary.side;
        (item.id.to_string(), if ours { ken.node.clone() } else { per.node.clone() })
    });
    let senders: Vec<_> = senders.collect();
    let log_key = ken.api().get::<CheckpointView>("/v1/log/checkpoint").verifier_key;
    let key_sets = [&ken, &per].map(|house| {
        let file = house.api().get::<NodeView>("/v1/node").key_sets;
        let newest: Value = serde_json::from_str(file.lines().last().expect("one at least")).expect("JSON");
        let payload = newest["payload"].as_str().expect("a payload");
        let payload = BASE64URL_NOPAD.decode(payload.as_bytes()).expect("base64url");
        (house.node.clone(), serde_json::from_slice(&payload).expect("JSON"))
    });
    assert!(ken.stop().success());
    assert!(per.stop().success());
    let tokens = tokens(&ken.at("data/records"));
    let messages =
        senders.into_iter().map(|(id, sender)| (id.clone(), (tokens[&id].clone(), sender))).collect();
    Spoken { ken, per, messages, key_sets: key_sets.into(), log_key }
}

/// The messages in a records folder, found as anyone would find them: by looking. Named by `sha256sum`.
fn tokens(records: &Path) -> BTreeMap<String, String> {
    let mut found = Vec::new();
    for file in fs::read_dir(records).expect("a node has records") {
        let bytes = fs::read(file.expect("readable").path()).expect("readable");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        for rest in text.split("\"token\":\"").skip(1) {
            found.extend(rest.split('"').next().map(str::to_owned));
        }
    }
    assert!(found.len() >= 300, "{}", found.len());
    let folder = tempfile::tempdir().expect("a folder");
    let files: Vec<PathBuf> = found
        .iter()
        .enumerate()
        .map(|(n, token)| {
            let path = folder.path().join(n.to_string());
            let signing_input = token.rsplit_once('.').expect("two dots").0;
            fs::write(&path, signing_input).expect("ours");
            path
        })
        .collect();
    let summed = run(Command::new("sha256sum").args(&files));
    assert!(summed.status.success(), "{}", said(&summed));
    let sums = String::from_utf8(summed.stdout).expect("hexadecimal");
    let ids = sums.lines().map(|line| {
        let sum = HEXLOWER.decode(&line.as_bytes()[..64]).expect("hexadecimal");
        BASE64URL_NOPAD.encode(&sum)
    });
    ids.zip(found).collect()
}

#[test]
fn openssl_verifies_our_messages_and_sha256sum_names_them() {
    let spoken = spoken();
    // `tokens` named them by sha256sum; the nodes named them in their views.
    assert!(spoken.messages.len() >= 2, "a request and its answer at least");
    let folder = tempfile::tempdir().expect("a folder");
    for (token, sender) in spoken.messages.values() {
        let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else {
            panic!("three parts: {token}");
        };
        let decoded: Value =
            serde_json::from_slice(&BASE64URL_NOPAD.decode(header.as_bytes()).expect("base64url"))
                .expect("JSON");
        assert_eq!(decoded["alg"], "Ed25519");
        let kid = decoded["kid"].as_str().expect("a key's name");
        let (node, kid) = kid.split_once('#').expect("node and key");
        assert_eq!(node, sender);
        let keys = spoken.key_sets[sender]["keys"].as_array().expect("keys");
        let key = keys.iter().find(|key| key["kid"] == kid).expect("the key is listed");
        let public =
            BASE64URL_NOPAD.decode(key["pub"].as_str().expect("text").as_bytes()).expect("base64url");
        let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).expect("base64url");
        let input = format!("{header}.{payload}");

        assert!(openssl_verifies(&folder, &public, &signature, input.as_bytes()));
        // A word, the signature, the key: nothing of it can be another.
        let altered = input.replacen(&payload[20..24], "AAAA", 1);
        assert!(!openssl_verifies(&folder, &public, &signature, altered.as_bytes()));
        let mut other = signature.clone();
        other[40] ^= 1;
        assert!(!openssl_verifies(&folder, &public, &other, input.as_bytes()));
        let other_key = keys.iter().find(|key| key["kid"] != kid).expect("another key")["pub"].clone();
        let other_key =
            BASE64URL_NOPAD.decode(other_key.as_str().expect("text").as_bytes()).expect("base64url");
        assert!(!openssl_verifies(&folder, &other_key, &signature, input.as_bytes()));
    }
}

/// `openssl pkeyutl -verify -rawin` with a bare Ed25519 key.
fn openssl_verifies(folder: &TempDir, public: &[u8], signature: &[u8], message: &[u8]) -> bool {
    let at = |name: &str| folder.path().join(name);
    // RFC 8410, section 4: SubjectPublicKeyInfo of an Ed25519 key is this prefix and the 32 bytes.
    let spki = [&HEXLOWER.decode(b"302a300506032b6570032100").expect("hexadecimal"), public].concat();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64.encode(&spki));
    fs::write(at("key.pem"), pem).expect("ours");
    fs::write(at("signature"), signature).expect("ours");
    fs::write(at("message"), message).expect("ours");
    let verified = run(Command::new("openssl")
        .args(["pkeyutl", "-verify", "-rawin", "-pubin", "-inkey"])
        .arg(at("key.pem"))
        .arg("-sigfile")
        .arg(at("signature"))
        .arg("-in")
        .arg(at("message")));
    let text = said(&verified);
    let yes = text.contains("Signature Verified Successfully");
    assert!(yes || text.contains("Verification Failure") || text.contains("Failure"), "{text}");
    assert_eq!(verified.status.success(), yes, "{text}");
    yes
}

/// A log folder, for a reader that authenticates each tile against a root.
struct Tiles(PathBuf);

impl TileReader for Tiles {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        // Theirs name the height of a tile too; C2SP fixes it at 8 and leaves it out.
        let read = |tile: &Tile| {
            let path = self.0.join(tile.path().replacen("tile/8/", "tile/", 1));
            fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        Ok(tiles.iter().map(read).collect())
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

#[test]
fn outside_crates_read_the_log_folder_and_the_peers_cosignature() {
    let spoken = spoken();
    let log = spoken.ken.at("data/log1");
    let origin = format!("{}/log1", spoken.ken.node);
    let own = || Box::new(StandardVerifier::new(&spoken.log_key).expect("a good verifier key"));
    let note = fs::read(log.join("checkpoint")).expect("a log has one");
    let note = Note::from_bytes(&note).expect("a good note");
    let (signed, _) = note.verify(&VerifierList::new(vec![own()])).expect("signed by the log");
    assert_eq!(signed.len(), 1);
    let head = Checkpoint::from_bytes(note.text()).expect("a good checkpoint");
    assert_eq!(head.origin(), origin);
    assert!(head.size() > 256, "full tiles are to be read, too: {} entries", head.size());

    // Each leaf of the tiles is proven under the root, and is the hash of the entry in the entry tiles.
    let tiles = Tiles(log.clone());
    let reader = TileHashReader::new(head.size(), *head.hash(), &tiles);
    let entries = entries(&log, head.size());
    for (leaf, entry) in (0_u64..).zip(&entries) {
        let hash = tlog_tiles::record_hash(entry);
        let proof = tlog_tiles::prove_record(head.size(), leaf, &reader).expect("the tiles are sound");
        tlog_tiles::check_record(&proof, head.size(), *head.hash(), leaf, hash)
            .unwrap_or_else(|error| panic!("leaf {leaf}: {error:?}"));
        let other = tlog_tiles::record_hash(b"another entry");
        assert!(tlog_tiles::check_record(&proof, head.size(), *head.hash(), leaf, other).is_err());
    }

    // What Peru cosigned: Kenya's signature by signed_note, Peru's by openssl, over what C2SP says it signs.
    let witnessed =
        fs::read_to_string(log.join("witnessed/firearms.example.per.checkpoint")).expect("Peru cosigned");
    let note = Note::from_bytes(witnessed.as_bytes()).expect("a good note");
    let (signed, others) = note.verify(&VerifierList::new(vec![own()])).expect("signed by the log");
    assert_eq!((signed.len(), others.len()), (1, 1));
    let cosigned = Checkpoint::from_bytes(note.text()).expect("a good checkpoint");
    assert!(cosigned.size() <= head.size());
    let proof = tlog_tiles::prove_tree(head.size(), cosigned.size(), &reader).expect("the tiles are sound");
    tlog_tiles::check_tree(&proof, head.size(), *head.hash(), cosigned.size(), *cosigned.hash())
        .expect("what Peru cosigned is in what Kenya signs now");

    let line = witnessed.lines().last().expect("a cosignature line");
    let [_, name, blob] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("three words: {line}") };
    assert!(name.starts_with(&spoken.per.node), "{name}");
    let blob = BASE64.decode(blob.as_bytes()).expect("base64");
    // C2SP tlog-cosignature: key id (4 bytes), time (8 bytes), Ed25519 signature over `cosignature/v1`.
    let time = u64::from_be_bytes(blob[4..12].try_into().expect("8 bytes"));
    let text = String::from_utf8(note.text().to_vec()).expect("text");
    let said = format!("cosignature/v1\ntime {time}\n{text}");
    let keys = spoken.key_sets[&spoken.per.node]["keys"].as_array().expect("keys");
    let witness = keys.iter().find(|key| key["use"] == "witness").expect("a witness key");
    let public =
        BASE64URL_NOPAD.decode(witness["pub"].as_str().expect("text").as_bytes()).expect("base64url");
    let folder = tempfile::tempdir().expect("a folder");
    assert!(openssl_verifies(&folder, &public, &blob[12..], said.as_bytes()));
    let later = said.replacen(&time.to_string(), &(time + 1).to_string(), 1);
    assert!(!openssl_verifies(&folder, &public, &blob[12..], later.as_bytes()));
}

/// The entries of a log folder, by C2SP tlog-tiles: each behind its length, two bytes.
fn entries(log: &Path, size: u64) -> Vec<Vec<u8>> {
    let mut entries = Vec::new();
    while (entries.len() as u64) < size {
        let (index, width) = (entries.len() as u64 / 256, (size - entries.len() as u64).min(256));
        assert!(index < 1000, "a test writes less");
        let name = if width == 256 { format!("{index:03}") } else { format!("{index:03}.p/{width}") };
        let bundle = fs::read(log.join("tile/entries").join(name)).expect("the bundle is there");
        let mut rest = bundle.as_slice();
        while let [high, low, more @ ..] = rest {
            let (entry, more) = more.split_at(usize::from(u16::from_be_bytes([*high, *low])));
            entries.push(entry.to_vec());
            rest = more;
        }
    }
    assert_eq!(entries.len() as u64, size);
    entries
}

/// RFC 6962, section 2.1, with nothing but Python's own library.
const ROOT: &str = r#"
import base64, hashlib, pathlib, sys
log = pathlib.Path(sys.argv[1])
lines = (log / "checkpoint").read_text().split("\n")
size, root = int(lines[1]), base64.b64decode(lines[2], validate=True)
entries = []
while len(entries) < size:
    n, width = len(entries) // 256, min(256, size - len(entries))
    path = log / "tile" / "entries" / (f"{n:03}" if width == 256 else f"{n:03}.p/{width}")
    data, at = path.read_bytes(), 0
    while at < len(data):
        length = int.from_bytes(data[at:at + 2], "big")
        entries.append(data[at + 2:at + 2 + length])
        at += 2 + length
h = lambda data: hashlib.sha256(data).digest()
def tree(leaves):
    if len(leaves) == 1:
        return h(b"\0" + leaves[0])
    k = 1 << ((len(leaves) - 1).bit_length() - 1)
    return h(b"\1" + tree(leaves[:k]) + tree(leaves[k:]))
assert len(entries) == size, "entries are missing"
print("the root holds" if tree(entries) == root else "ANOTHER ROOT")
"#;

#[test]
fn python_works_out_the_root_from_the_entries() {
    let spoken = spoken();
    for house in [&spoken.ken, &spoken.per] {
        let log = house.at("data/log1");
        let root = || {
            let mut python = Command::new("python3");
            python.args(["-c", ROOT]).arg(&log).stdin(Stdio::null());
            said(&run(&mut python))
        };
        assert_eq!(root(), "the root holds\n");
        assert!(house.verify_log().status.success());
        // One letter of one entry, and everyone sees it.
        let bundle = log.join("tile/entries/000");
        let mut bytes = fs::read(&bundle).expect("a full bundle");
        let place = bytes.len() / 2;
        bytes[place] ^= 1;
        fs::write(&bundle, bytes).expect("ours");
        assert_ne!(root(), "the root holds\n");
        let verified = house.verify_log();
        assert_eq!(verified.status.code(), Some(1), "{}", said(&verified));
    }
}

//! The pages of `transcripts/` are what a user sees: each command is run, and says what stands below it.
//!
//! With `LIAISON_WRITE_TRANSCRIPTS=1` the pages are written anew instead, to be read before they are
//! committed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use liaison_protocol::authority::Timestamp;
use liaison_protocol::entry::{Entry, EntryKind, Record};
use liaison_protocol::key_set::{
    Key, KeyChain, KeySet, KeyUse, LogName, Root, SignedKeySet, TransportIdentity,
};
use liaison_protocol::merkle::{Hash, Tree, leaf_hash};
use liaison_protocol::note::{cosign, sign_checkpoint};
use liaison_protocol::sign::SecretKey;
use liaison_protocol::tile::{encode_bundle, encode_tile, tiles};

#[test]
fn what_the_manual_shows_is_what_the_user_sees() {
    let here = tempfile::tempdir().expect("a folder");
    set_the_scene(here.path());
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("transcripts");
    for page in fs::read_dir(pages).expect("the pages") {
        let path = page.expect("a page").path();
        let page = fs::read_to_string(&path).expect("a page");
        let played = play(&page, here.path());
        if std::env::var_os("LIAISON_WRITE_TRANSCRIPTS").is_some() {
            fs::write(&path, played).expect("the page");
        } else {
            assert_eq!(played, page, "{}", path.display());
        }
    }
}

/// The page with what each `$ liaison ...` says below it.
fn play(page: &str, folder: &Path) -> String {
    let mut played = String::new();
    let mut said = false;
    for line in page.lines() {
        said &= !line.starts_with("```");
        if !said {
            played += &format!("{line}\n");
        }
        if let Some(command) = line.strip_prefix("$ liaison ") {
            played += &run(command, folder);
            said = true;
        }
    }
    played
}

fn run(command: &str, folder: &Path) -> String {
    // Every second part stands in quotation marks.
    let words = command
        .split('"')
        .zip([false, true].into_iter().cycle())
        .flat_map(|(part, quoted)| if quoted { vec![part] } else { part.split_whitespace().collect() });
    let run = Command::new(env!("CARGO_BIN_EXE_liaison"))
        .args(words)
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
        };
        let signers: Vec<_> = ["root-1", "msg-1", "log-1", "witness-1"].into_iter().zip(&secrets).collect();
        let chain =
            KeyChain::start(SignedKeySet::sign(set, &signers).expect("a good set")).expect("version 1");
        Self { chain, secrets }
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

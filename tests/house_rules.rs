//! The house rules that can be read off the sources: who may name what, and what is nowhere.
//!
//! They keep the rooms apart: each outside library behind one door, imports one way, and a protocol that knows of no
//! clock, disk or network.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use liaison_tests::processes::{run, said};
use toml::Table;

/// Libraries that one room each wraps, and the files that may name them, as `use`, as a path, or in an attribute.
const DOORS: &[(&str, &[&str])] = &[
    ("axum", &["node/src/http.rs"]),
    ("axum_server", &["node/src/http.rs"]),
    ("clap_complete", &["deploy/manual/src/lib.rs"]),
    ("clap_mangen", &["deploy/manual/src/lib.rs"]),
    ("comfy_table", &["cli/src/render.rs"]),
    ("csv", &["node/src/register.rs"]),
    ("ed25519_dalek", &["protocol/src/sign.rs"]),
    ("getrandom", &["node/src/keys.rs"]),
    ("icu_normalizer", &["protocol/src/letters.rs"]),
    ("icu_properties", &["protocol/src/letters.rs"]),
    ("libfuzzer_sys", &["tests/fuzz/program.rs"]),
    ("libp2p", &["node/src/peers.rs"]),
    ("prometheus_client", &["node/src/metrics.rs"]),
    ("rayon", &["node/src/node.rs"]),
    ("rcgen", &["node/src/http.rs"]),
    ("rqrr", &["protocol/src/qr.rs"]),
    ("rust_iso3166", &["node/src/init.rs"]),
    ("rustix", &["node/src/system.rs"]),
    (
        "rustls",
        &[
            "cli/src/client.rs",
            "node/src/http.rs",
            "node/src/demo/office.rs",
            "tests/benches/load.rs",
            "tests/processes.rs",
        ],
    ),
    ("schemars", &["node/src/config.rs"]),
    ("sd_notify", &["node/src/supervisor.rs"]),
    ("serde_json_canonicalizer", &["protocol/src/json.rs"]),
    ("sha2", &["protocol/src/merkle.rs"]),
    ("sled", &["node/src/store/database.rs"]),
    ("tracing_subscriber", &["node/src/main.rs"]),
    ("unicode_security", &["protocol/src/letters.rs"]),
    ("ureq", &["cli/src/client.rs", "node/src/demo/office.rs", "tests/processes.rs"]),
    ("utoipa_axum", &["node/src/http.rs"]),
];

/// What `protocol` may depend on: nothing that waits, reads, listens, tells the time or throws dice.
const PURE: &[&str] = &[
    "data-encoding",
    "ed25519-dalek",
    "icu_normalizer",
    "icu_properties",
    "jiff",
    "qrcode",
    "serde",
    "serde_json",
    "serde_json_canonicalizer",
    "sha2",
    "thiserror",
    "unicode-security",
    "utoipa",
    "zeroize",
];

fn house() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All sources below `folder`, by their paths in the house. A test in a file beside belongs to its own tests.
fn sources(folder: &str) -> Vec<(String, String)> {
    let (mut found, mut waiting) = (Vec::new(), vec![house().join(folder)]);
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of ours") {
            let path = entry.expect("readable").path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(house()).expect("below the house").display().to_string();
                found.push((name, fs::read_to_string(&path).expect("text")));
            }
        }
    }
    assert!(!found.is_empty(), "no sources in {folder}");
    found.sort();
    found
}

fn all_sources() -> Vec<(String, String)> {
    ["cli", "deploy/manual", "node", "protocol", "tests"].into_iter().flat_map(sources).collect()
}

/// The source without comments and without what stands in quotes: prose may name what code may not.
fn code(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(raw) = raw_string(rest) {
            raw
        } else if first == '"' {
            1 + string(&rest[1..])
        } else if ["'\"'", "'\\''", "'\\\"'"].iter().any(|quote| rest.starts_with(quote)) {
            1 + rest[1..].find('\'').map_or(rest.len() - 1, |end| end + 1)
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        rest = &rest[skipped..];
    }
    out
}

/// Length of a string's rest, its closing quote included.
fn string(rest: &str) -> usize {
    let mut escaped = false;
    for (place, byte) in rest.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return place + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Length of the raw string that `rest` begins with, if it does.
fn raw_string(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('r')?;
    let hashes = inner.len() - inner.trim_start_matches('#').len();
    let body = inner[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = body.find(&close)?;
    Some(rest.len() - body.len() + end + close.len())
}

/// The words of code, each with what follows it.
fn words(code: &str) -> impl Iterator<Item = (&str, &str)> {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let starts = code.char_indices().filter(move |(place, letter)| {
        is_word(*letter) && !code[..*place].chars().next_back().is_some_and(is_word)
    });
    starts.map(move |(place, _)| {
        let rest = &code[place..];
        rest.split_at(rest.find(|letter| !is_word(letter)).unwrap_or(rest.len()))
    })
}

/// Whether code names the library: as the start of a path, in `use`, or in an attribute.
fn names(code: &str, library: &str) -> bool {
    words(code).any(|(word, rest)| {
        word == library
            && (rest.starts_with("::") && !before(code, rest, word).ends_with("::")
                || before(code, rest, word).trim_end().ends_with("use"))
    })
}

/// What stands before the word that `rest` follows.
fn before<'a>(code: &'a str, rest: &str, word: &str) -> &'a str {
    &code[..code.len() - rest.len() - word.len()]
}

#[test]
fn the_reader_of_sources_knows_code_from_prose() {
    let source =
        "// sled::open\nuse sled;\nlet a = \"sled::b\\\"\"; let c = r#\"sled::\"d\"#; '\"'; x::sled::y";
    assert_eq!(code(source), "\nuse sled;\nlet a = ; let c = ; ; x::sled::y");
    assert!(names("use sled;", "sled") && names("fn f() -> sled::Db", "sled"));
    assert!(!names("x::sled::y", "sled") && !names("let sled = 1;", "sled") && !names("unsled::y", "sled"));
}

#[test]
fn each_outside_library_is_named_behind_one_door() {
    let all = all_sources();
    let mut named = BTreeSet::new();
    for (path, source) in &all {
        let code = code(source);
        // What lies in a folder of a room's name is that room.
        let is_in =
            |door: &&str| path == door || path.starts_with(&format!("{}/", door.trim_end_matches(".rs")));
        if path.starts_with("tests/outside_") {
            continue; // oracles: they compare ours with theirs
        }
        for (library, doors) in DOORS {
            if names(&code, library) {
                named.insert(*library);
                assert!(doors.iter().any(&is_in), "{path} names {library}: only {doors:?} may");
            }
        }
    }
    for (library, doors) in DOORS {
        assert!(
            named.contains(library),
            "nobody names {library} any more: take it out of {doors:?} and this list"
        );
    }
}

#[test]
fn imports_point_one_way() {
    for (room, forbidden) in [
        ("cli", ["liaison_node", "liaison_tests"].as_slice()),
        ("deploy/manual", &["liaison_cli", "liaison_node", "liaison_protocol", "liaison_tests"]),
        ("node", &["liaison_cli", "liaison_tests"]),
        ("protocol", &["liaison_cli", "liaison_node", "liaison_tests"]),
    ] {
        let manifest = manifest(room);
        for (path, source) in sources(room) {
            for library in forbidden {
                assert!(!names(&code(&source), library), "{path} names {library}");
            }
        }
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for name in depends_on(&manifest, table) {
                assert!(!forbidden.contains(&name.replace('-', "_").as_str()), "{room} depends on {name}");
            }
        }
    }
}

fn manifest(room: &str) -> Table {
    let path = house().join(room).join("Cargo.toml");
    fs::read_to_string(path).expect("each room has a manifest").parse().expect("TOML")
}

fn depends_on(manifest: &Table, table: &str) -> BTreeSet<String> {
    let table = manifest.get(table).and_then(|table| table.as_table());
    table.into_iter().flat_map(|table| table.keys().cloned()).collect()
}

#[test]
fn the_protocol_depends_on_nothing_that_waits_reads_listens_or_tells_the_time() {
    let manifest = manifest("protocol");
    assert_eq!(depends_on(&manifest, "dependencies"), PURE.iter().map(|name| (*name).to_owned()).collect());
    for table in ["build-dependencies", "target", "features"] {
        assert!(!manifest.contains_key(table), "protocol has [{table}]");
    }
    let workspace: Table =
        fs::read_to_string(house().join("Cargo.toml")).expect("ours").parse().expect("TOML");
    let jiff = workspace["workspace"]["dependencies"]["jiff"].to_string();
    assert!(
        jiff.contains("default-features = false") && !jiff.contains("\"std\""),
        "jiff has no clock: {jiff}"
    );
    for (path, source) in sources("protocol/src") {
        // What tests need stands below.
        let code = code(&source);
        let code = code.split("#[cfg(test)]").next().unwrap_or_default();
        for (word, rest) in words(code) {
            let next =
                rest.strip_prefix("::").and_then(|rest| words(rest).next()).map_or("", |(word, _)| word);
            let is_std = word == "std" || word == "core";
            let bad = ["env", "fs", "net", "os", "process", "thread", "time"];
            assert!(!(is_std && bad.contains(&next)), "{path} names std::{next}");
            assert!(!(is_std && rest.starts_with("::{")), "{path}: import one module of std at a time");
            assert!(!["getrandom", "rand", "tokio"].contains(&word), "{path} names {word}");
        }
    }
}

#[test]
fn nothing_is_unsafe_or_left_to_do() {
    for (path, source) in all_sources() {
        for (word, rest) in words(&code(&source)) {
            assert_ne!(word, "unsafe", "{path}");
            let is_macro = rest.starts_with('!');
            let unfinished = ["dbg", "todo", "unimplemented"].contains(&word);
            assert!(!(is_macro && unfinished), "{path}: {word}!");
        }
    }
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    for (path, source) in all_sources() {
        assert!(source.starts_with("//! ") || path.ends_with("/tests.rs"), "{path} does not open with //!");
        let first = source.lines().next().unwrap_or_default();
        assert!(first.len() > "//! A few words.".len(), "{path}: {first}");
    }
}

#[test]
fn the_lints_of_the_workspace_hold_in_every_room() {
    for room in ["cli", "deploy/manual", "node", "protocol", "tests", "tests/fuzz/targets"] {
        assert_eq!(manifest(room)["lints"]["workspace"].as_bool(), Some(true), "{room}");
    }
}

/// Clippy reads `clippy.toml` from the package's folder: shown on a package that breaks the rules of ours.
#[test]
fn clippy_refuses_a_clock_in_the_protocol() {
    let rules = fs::read_to_string(house().join("protocol/clippy.toml")).expect("the protocol has rules");
    let folder = tempfile::tempdir().expect("a folder");
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("below the folder")).expect("ours");
        fs::write(path, text).expect("ours");
    };
    write("Cargo.toml", "[workspace]\nmembers = [\"p\"]\nresolver = \"3\"\n");
    write("p/Cargo.toml", "[package]\nname = \"p\"\nversion = \"0.0.0\"\nedition = \"2024\"\n");
    write("p/clippy.toml", &rules);
    let clippy = |body: &str| {
        write("p/src/lib.rs", body);
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(["clippy", "--offline", "--quiet", "--", "-D", "warnings"]).current_dir(folder.path());
        command.env("CARGO_TARGET_DIR", folder.path().join("target")).env_remove("CARGO_ENCODED_RUSTFLAGS");
        run(&mut command)
    };
    let fine = clippy("//! x\n/// Adds.\npub fn f(a: u64) -> u64 {\n    a + 1\n}\n");
    assert!(fine.status.success(), "{}", said(&fine));
    for (line, why) in [
        ("drop(std::time::SystemTime::now())", "no clocks here"),
        ("drop(std::time::Instant::now())", "no clocks here"),
        ("drop(std::fs::read(\"x\"))", "no disks here"),
        ("drop(std::fs::File::open(\"x\"))", "no disks here"),
        ("drop(std::env::var_os(\"x\"))", "no environment here"),
        ("drop(std::net::TcpStream::connect(\"x\"))", "no network here"),
        ("std::thread::sleep(d)", "nothing waits here"),
    ] {
        let refused = clippy(&format!(
            "//! x\n/// Does.\npub fn f(d: core::time::Duration) {{\n    let _ = d;\n    {line};\n}}\n"
        ));
        assert!(!refused.status.success() && said(&refused).contains(why), "{line}: {}", said(&refused));
    }
}

//! How answers read on a terminal: plain text in a hundred columns, times in UTC, no colour but in a verdict.
//!
//! Pure functions from views to text; who prints it is left to `main`.

mod case;
mod evidence;
mod exchange;
mod said;
mod status;
mod words;

use comfy_table::{Column, ColumnConstraint, ContentArrangement, Table, Width, presets};
use liaison_protocol::audit::Report;
use liaison_protocol::authority::{Function, NodeId};
use liaison_protocol::key_set::KeyChain;
use liaison_protocol::merkle::Hash;
use liaison_protocol::numbers::Gap;
use liaison_protocol::operator::{FirearmsView, ImportView, NodeView, PeerStanding, PeerView};
use serde::Serialize;
use serde_json::{Value, json};

pub(crate) use case::{case, cases};
pub(crate) use evidence::{evidence, evidence_json};
pub(crate) use exchange::{attachment, cleared, exchange, exchange_summary, exchanges, today};
pub(crate) use status::{Status, event, peer_test, peer_verdict, status};
pub(crate) use words::word;

/// Our own node.
pub(crate) fn node(view: &NodeView) -> String {
    let list = match view.licences {
        Some(licences) => format!("{} licences", grouped(licences)),
        None => "none loaded: liaison licence import FILE".to_owned(),
    };
    let firearms = match view.firearms {
        Some(firearms) => format!("{} in the register", grouped(firearms)),
        None => "no register loaded: liaison firearms import FILE".to_owned(),
    };
    facts([
        ("node", view.node.to_string()),
        ("State", view.state.to_string()),
        ("authority", view.authority.to_string()),
        ("functions", functions(&view.functions)),
        ("fingerprint", view.fingerprint.clone()),
        ("key set", format!("version {}, expires {}", view.key_set_version, view.key_set_expires)),
        (
            "listening",
            if view.listening.is_empty() { "nowhere".to_owned() } else { view.listening.join("\n") },
        ),
        ("log", format!("{} entries", grouped(view.log_size))),
        ("licence list", list),
        ("firearms", firearms),
        ("program", view.version.clone()),
    ])
}

/// The peers, one per line.
pub(crate) fn peers(views: &[PeerView]) -> String {
    if views.is_empty() {
        return "no peers: liaison peer add FILE\n".to_owned();
    }
    let rows = views.iter().map(|view| {
        [
            view.state.to_string(),
            domain(&view.node).to_owned(),
            view.authority.to_string(),
            standing(view.standing).to_owned(),
            if view.connected { "yes" } else { "no" }.to_owned(),
            grouped(view.undelivered),
            grouped(view.open_exchanges),
        ]
    });
    table(["State", "Node", "Authority", "Standing", "Connected", "Undelivered", "Open"], rows)
}

/// One peer.
pub(crate) fn peer(view: &PeerView) -> String {
    let head = |size: Option<u64>, of: &str| match size {
        Some(size) => format!("{of} at {} entries", grouped(size)),
        None => format!("{of} not yet"),
    };
    let contact: Vec<_> =
        view.contact.phones.iter().chain(&view.contact.emails).map(ToString::to_string).collect();
    let on = |on| if on { "on" } else { "off" };
    let addresses = view.addresses.join(", ");
    let mut rows = vec![
        ("node", view.node.to_string()),
        ("State", view.state.to_string()),
        ("authority", view.authority.to_string()),
        ("functions", functions(&view.functions)),
        ("contact", if contact.is_empty() { "none given".to_owned() } else { contact.join(", ") }),
        ("fingerprint", view.fingerprint.clone()),
        ("admitted", format!("{}, compared by {}", view.admitted, view.channel)),
        ("key set", format!("version {}, expires {}", view.key_set_version, view.key_set_expires)),
        ("addresses", if addresses.is_empty() { "none: it connects to us".to_owned() } else { addresses }),
        ("standing", standing_in_full(view.standing).to_owned()),
        ("connected", if view.connected { "yes" } else { "no" }.to_owned()),
        ("undelivered", format!("{} messages without its receipt", grouped(view.undelivered))),
        ("open", format!("{} exchanges", grouped(view.open_exchanges))),
        (
            "cosigned",
            format!("{}; {}", head(view.head_seen, "its log by us"), head(view.head_cosigned, "ours by it")),
        ),
        (
            "automatic",
            format!(
                "verifications {}, authenticity {}, traces {}, at most {} answers about one licence",
                on(view.rules.verifications),
                on(view.rules.authenticity),
                on(view.rules.traces),
                view.rules.attempts_per_licence
            ),
        ),
    ];
    let missing: Vec<_> = view.missing.iter().map(gap).collect();
    if !missing.is_empty() {
        rows.push((
            "missing",
            format!("its messages {}: if they stay missing, ask it for them", missing.join(", ")),
        ));
    }
    rows.extend(view.trouble.clone().map(|trouble| ("trouble", trouble)));
    facts(rows)
}

/// Numbers that are missing; of which log, if that is not the first.
fn gap(gap: &Gap) -> String {
    let Gap { log, first, last } = *gap;
    let numbers = if first == last { first.to_string() } else { format!("{first} to {last}") };
    if log == 1 { numbers } else { format!("{numbers} of log {log}") }
}

/// Whose key set file it is, before it is admitted.
pub(crate) fn candidate(chain: &KeyChain) -> String {
    let set = chain.current();
    facts([
        ("State", set.state.to_string()),
        ("authority", set.authority.to_string()),
        ("node", set.node.to_string()),
        ("fingerprint", chain.fingerprint().to_string()),
    ])
}

/// What an import of the licence list did.
pub(crate) fn import(view: &ImportView) -> String {
    format!(
        "{} in the list now; {} of a change sent to States that had asked\n",
        counted(view.licences, "licence"),
        counted(view.notices, "notice")
    )
}

/// What an import of the register of firearms did.
pub(crate) fn firearms(view: &FirearmsView) -> String {
    format!("{} in the register now\n", counted(view.firearms, "firearm"))
}

/// What a log folder proves.
pub(crate) fn report(report: &Report) -> String {
    let set = report.chain().current();
    let head = report.checkpoint().head;
    let kinds: Vec<_> =
        report.kinds().iter().map(|(kind, count)| format!("{} {}", grouped(*count), kind.as_str())).collect();
    let mut rows = vec![
        ("origin", report.checkpoint().origin.clone()),
        ("State", format!("{}, {}", set.state, set.authority)),
        ("fingerprint", report.chain().fingerprint().to_string()),
        ("size", format!("{} entries", grouped(head.size))),
        ("root", head.root.to_string()),
        ("entries", if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") }),
    ];
    rows.extend(report.times().map(|(first, last)| ("from, to", format!("{first}, {last}"))));
    if report.witnesses().is_empty() {
        rows.push(("cosigned", "by nobody: no other State vouches for this history".to_owned()));
    }
    for witness in report.witnesses() {
        let set = witness.chain.current();
        let (node, state) = (domain(&set.node), &set.state);
        rows.push((
            "cosigned",
            format!(
                "at {} entries by {state} {node}, {}\n{}",
                grouped(witness.head.size),
                witness.at,
                witness.chain.fingerprint()
            ),
        ));
    }
    facts(rows)
}

/// The same for programs.
pub(crate) fn report_json(report: &Report) -> Value {
    let set = report.chain().current();
    let witnesses: Vec<_> = report
        .witnesses()
        .iter()
        .map(|witness| {
            let set = witness.chain.current();
            json!({
                "node": set.node,
                "state": set.state,
                "fingerprint": witness.chain.fingerprint(),
                "size": witness.head.size,
                "root": witness.head.root,
                "at": witness.at,
            })
        })
        .collect();
    json!({
        "holds": true,
        "origin": report.checkpoint().origin,
        "node": set.node,
        "state": set.state,
        "authority": set.authority,
        "fingerprint": report.chain().fingerprint(),
        "size": report.checkpoint().head.size,
        "root": report.checkpoint().head.root,
        "entries": report.kinds(),
        "first": report.times().map(|(first, _)| first),
        "last": report.times().map(|(_, last)| last),
        "cosigned": witnesses,
    })
}

/// What it came to, set apart from everything above it.
pub(crate) fn banner(word: &str, yes: bool, coloured: bool) -> String {
    let word = plain(word);
    let rule = "=".repeat(word.chars().count().min(WIDTH.into()).max(20));
    let (on, off) = match (coloured, yes) {
        (false, _) => ("", ""),
        (true, true) => ("\x1b[1;32m", "\x1b[0m"),
        (true, false) => ("\x1b[1;31m", "\x1b[0m"),
    };
    format!("\n{rule}\n{on}{word}{off}\n{rule}\n")
}

/// Text that cannot steer a terminal: what others wrote may hold control and direction characters.
pub(crate) fn plain(text: &str) -> String {
    let steers = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if steers(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// The word of a code list.
pub(crate) fn code(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(_) => "?".to_owned(),
    }
}

/// A digest as `sha256sum` shows it.
pub(crate) fn hex(digest: &Hash) -> String {
    digest.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Names and what they hold, a line each, or more where it is long.
fn facts<'a>(rows: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let mut table = bare();
    let mut before = "";
    for (name, value) in rows {
        // A name that comes again is said once.
        table.add_row([if name == before { "" } else { name }, &value]);
        before = name;
    }
    finish(table)
}

/// A list under a header.
fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let rows: Vec<_> = rows.into_iter().collect();
    let longest = |text: &str| text.split_whitespace().map(|word| word.chars().count()).max().unwrap_or(0);
    let words: Vec<_> = (0..N)
        .map(|n| rows.iter().map(|row| longest(&row[n])).max().unwrap_or(0).max(header[n].len()))
        .collect();
    let mut table = bare();
    table.set_header(header.map(str::to_uppercase));
    table.add_rows(rows);
    // Words are broken only where there is no other way.
    if words.iter().map(|word| word + 2).sum::<usize>() <= WIDTH.into() {
        for (column, word) in table.column_iter_mut().zip(words) {
            let least = u16::try_from(word + 2).unwrap_or(WIDTH);
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(least)));
        }
    }
    finish(table)
}

fn bare() -> Table {
    let mut table = Table::new();
    // The width is ours and not the terminal's, so that what is printed is what was tested.
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table.force_no_tty();
    table
}

fn finish(mut table: Table) -> String {
    table.column_iter_mut().for_each(|column: &mut Column| _ = column.set_padding((0, 2)));
    // Names and ids are never broken.
    if let Some(first) = table.column_mut(0) {
        first.set_constraint(ColumnConstraint::ContentWidth);
    }
    table.trim_fmt() + "\n"
}

/// The first characters of an id, enough to name it.
fn short(id: &impl ToString) -> String {
    id.to_string().chars().take(10).collect()
}

/// A name as it is typed again.
pub(crate) fn quoted(name: &str) -> String {
    if name.contains(char::is_whitespace) { format!("\"{name}\"") } else { name.to_owned() }
}

/// A node's domain: what tells it apart in a table.
fn domain(node: &NodeId) -> &str {
    node.as_str().strip_suffix("/liaison").unwrap_or(node.as_str())
}

fn functions(functions: &[Function]) -> String {
    functions.iter().map(code).collect::<Vec<_>>().join(", ")
}

fn standing(standing: PeerStanding) -> &'static str {
    match standing {
        PeerStanding::Active => "active",
        PeerStanding::Expired => "EXPIRED",
        PeerStanding::Forked => "FORKED",
    }
}

fn standing_in_full(of: PeerStanding) -> &'static str {
    match of {
        PeerStanding::Active => "active",
        PeerStanding::Expired => "EXPIRED: it can deliver a newer key set and nothing else",
        PeerStanding::Forked => "FORKED: it showed two histories; its mail is kept, and clears nothing",
    }
}

/// A number as people read it: `12,345`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let from_right = |place: usize| digits.len() - place;
    let comma = |place: usize| place > 0 && from_right(place).is_multiple_of(3);
    digits
        .char_indices()
        .flat_map(|(place, digit)| comma(place).then_some(',').into_iter().chain([digit]))
        .collect()
}

/// So many of something that takes an `s`.
fn counted(number: u64, of: &str) -> String {
    format!("{} {of}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// Columns of a page.
const WIDTH: u16 = 100;

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;
    use std::path::Path;

    use liaison_protocol::audit::{Folder, ListedFolder, verify_log};
    use liaison_protocol::authority::Timestamp;
    use liaison_protocol::entry::{Entry, EntryKind, Record};
    use liaison_protocol::key_set::{Key, KeySet, KeyUse, LogName, Root, SignedKeySet, TransportIdentity};
    use liaison_protocol::merkle::{Tree, leaf_hash};
    use liaison_protocol::note::{cosign, sign_checkpoint};
    use liaison_protocol::operator::Rules;
    use liaison_protocol::sign::SecretKey;
    use liaison_protocol::tile::{encode_bundle, encode_tile, tiles};

    use super::*;
    pub(crate) use exchange::tests::{
        attachment_of, case_view, exchange_view, trace_request, trace_view, transit_view,
    };

    const BORN: u64 = 1_790_000_000;

    fn secret(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    fn chain_of(domain: &str, state: &str, authority: &str, seed: u8) -> KeyChain {
        let keys = [("msg-1", KeyUse::Msg), ("log-1", KeyUse::Log), ("witness-1", KeyUse::Witness)];
        let key = |(n, (kid, usage)): (u8, (&str, KeyUse))| Key {
            kid: kid.to_owned(),
            usage,
            alg: "Ed25519".to_owned(),
            public: secret(seed + n).public(),
            nbf: Timestamp(BORN),
            naf: Timestamp(BORN + 1_000_000),
            functions: Vec::new(),
        };
        let peer_id = format!("peer{seed}");
        let (nbf, naf) = (Timestamp(BORN), Timestamp(BORN + 1_000_000));
        let set = KeySet {
            v: 1,
            node: format!("{domain}/liaison").parse().expect("a node"),
            state: state.parse().expect("a State"),
            authority: authority.parse().expect("a name"),
            functions: vec![Function::ImportLicensing],
            version: 1,
            prev: None,
            issued: nbf,
            expires: naf,
            roots: vec![Root { kid: "root-1".into(), public: secret(seed).public() }],
            threshold: 1,
            keys: (1..).zip(keys).map(key).collect(),
            peers: vec![TransportIdentity { peer_id, nbf, naf }],
            addrs: Vec::new(),
            logs: vec![LogName { n: 1, kid: "log-1".into() }],
            revoked: Vec::new(),
            contact: Default::default(),
            calendar: None,
            targets: Vec::new(),
        };
        let secrets = [seed, seed + 1, seed + 2, seed + 3].map(secret);
        let names = ["root-1", "msg-1", "log-1", "witness-1"];
        let signers: Vec<_> = names.into_iter().zip(&secrets).collect();
        KeyChain::start(SignedKeySet::sign(set, &signers).expect("a good set")).expect("version 1")
    }

    /// Kenya's key sets.
    pub(crate) fn chain() -> KeyChain {
        chain_of("firearms.example.ke", "KEN", "Firearms Licensing Board", 10)
    }

    pub(crate) fn node_view() -> NodeView {
        NodeView {
            node: "firearms.example.ke/liaison".parse().expect("a node"),
            state: "KEN".parse().expect("a State"),
            authority: "Firearms Licensing Board".parse().expect("a name"),
            functions: vec![Function::Art13Contact, Function::ImportLicensing],
            fingerprint: chain().fingerprint().to_string(),
            key_set_version: 2,
            key_set_expires: Timestamp(BORN + 1_000_000),
            key_sets: chain().file(),
            listening: vec!["/ip4/192.0.2.1/tcp/4710".to_owned()],
            log_size: 12_345,
            firearms: None,
            licences: None,
            disk_free: None,
            version: "0.1.0".to_owned(),
        }
    }

    pub(crate) fn peer_view() -> PeerView {
        let view = node_view();
        PeerView {
            node: view.node,
            state: view.state,
            authority: view.authority,
            functions: view.functions,
            contact: Default::default(),
            fingerprint: view.fingerprint,
            key_set_version: 2,
            key_set_expires: view.key_set_expires,
            addresses: vec!["/ip4/192.0.2.2/tcp/4710".to_owned()],
            standing: PeerStanding::Active,
            admitted: Timestamp(BORN),
            channel: "note verbale 12/2026".parse().expect("a line"),
            rules: Rules {
                verifications: true,
                authenticity: false,
                traces: false,
                attempts_per_licence: 20,
            },
            connected: true,
            undelivered: 0,
            open_exchanges: 3,
            missing: Vec::new(),
            head_seen: Some(1200),
            head_cosigned: None,
            trouble: Some("dial: connection refused".to_owned()),
        }
    }

    /// Kenya's log of three entries in `folder`, cosigned by Peru at two.
    pub(crate) fn write_log(folder: &Path) {
        let write = |file: &str, content: &[u8]| {
            let path = folder.join(file);
            fs::create_dir_all(path.parent().expect("it is below the folder")).expect("a new folder");
            fs::write(path, content).expect("a new file");
        };
        let (kenya, peru) = (chain(), chain_of("armas.example.pe", "PER", "SUCAMEC", 20));
        let set = kenya.current();
        let genesis = Record::Genesis { node: set.node.clone(), state: set.state.clone(), log: 1 };
        let mut lines = vec![genesis.write(Timestamp(BORN), &[7; 32]).entry];
        for (n, k) in [(1, EntryKind::Order), (2, EntryKind::MessageSent)] {
            let (c, t) = (Hash::of(&[n]), Timestamp(BORN + u64::from(n) * 60));
            lines.push(
                Entry { c, f: None, h: None, k, m: None, p: vec![peru.current().node.clone()], t, v: 1 }
                    .line(),
            );
        }
        let mut tree = Tree::new();
        let (key, origin) = (secret(12), set.node.log_origin(1));
        for line in &lines {
            tree.append(leaf_hash(line.as_bytes()));
            if tree.size() == 2 {
                let seen = sign_checkpoint(&key, &origin, &tree.head());
                let name = peru.current().node.witness_name();
                let cosigned = cosign(&secret(23), &name, BORN + 90, seen.checkpoint());
                let note = seen.with_cosignatures([cosigned.as_str()]);
                write("witnessed/armas.example.pe.checkpoint", note.as_bytes());
            }
        }
        write("witnessed/armas.example.pe.key-sets", peru.file().as_bytes());
        for tile in tiles(tree.size()) {
            write(&tile.path(), &encode_tile(&tile.hashes(&tree).expect("all known")));
            let bundle = encode_bundle(lines.iter().map(String::as_bytes)).expect("short entries");
            write(&tile.entries_path(), &bundle);
        }
        write("key-sets", kenya.file().as_bytes());
        write("checkpoint", sign_checkpoint(&key, &origin, &tree.head()).as_str().as_bytes());
    }

    struct Files<'a>(&'a Path);

    impl Folder for Files<'_> {
        type Error = std::io::Error;

        fn read(&self, path: &str) -> std::io::Result<Option<Vec<u8>>> {
            Ok(fs::read(self.0.join(path)).ok())
        }
    }

    impl ListedFolder for Files<'_> {
        fn names(&self, path: &str) -> std::io::Result<Vec<String>> {
            let entries = fs::read_dir(self.0.join(path)).into_iter().flatten().flatten();
            Ok(entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
        }
    }

    /// What is shown fits the page.
    pub(crate) fn assert_page(text: &str, expected: &str) {
        assert_eq!(text.trim_end(), expected.trim(), "\n{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 100 && line == line.trim_end()), "{text}");
        assert!(text.ends_with('\n') && !text.contains('\x1b'), "{text}");
    }

    #[test]
    fn our_node_shows_who_we_are() {
        assert_page(&node(&node_view()), NODE);
    }

    const NODE: &str = "
node          firearms.example.ke/liaison
State         KEN
authority     Firearms Licensing Board
functions     ART13_CONTACT, IMPORT_LICENSING
fingerprint   2696 e962 15d2 e8a6 b299 081a 7f96 511e 3dcd 3985 c9ff d5c9 bf45 d8d7 fcb5 a315
key set       version 2, expires 2026-10-03 04:00:00Z
listening     /ip4/192.0.2.1/tcp/4710
log           12,345 entries
licence list  none loaded: liaison licence import FILE
firearms      no register loaded: liaison firearms import FILE
program       0.1.0
";

    #[test]
    fn a_peer_shows_how_it_stands() {
        assert_page(&peer(&peer_view()), PEER);
        let mut strange = peer_view();
        strange.missing = vec![Gap { log: 1, first: 3, last: 3 }, Gap { log: 2, first: 5, last: 9 }];
        assert!(peer(&strange).contains("missing      its messages 3, 5 to 9 of log 2: "));
        strange.standing = PeerStanding::Forked;
        assert!(peer(&strange).contains("standing     FORKED: it showed two histories"));
    }

    const PEER: &str = "
node         firearms.example.ke/liaison
State        KEN
authority    Firearms Licensing Board
functions    ART13_CONTACT, IMPORT_LICENSING
contact      none given
fingerprint  2696 e962 15d2 e8a6 b299 081a 7f96 511e 3dcd 3985 c9ff d5c9 bf45 d8d7 fcb5 a315
admitted     2026-09-21 14:13:20Z, compared by note verbale 12/2026
key set      version 2, expires 2026-10-03 04:00:00Z
addresses    /ip4/192.0.2.2/tcp/4710
standing     active
connected    yes
undelivered  0 messages without its receipt
open         3 exchanges
cosigned     its log by us at 1,200 entries; ours by it not yet
automatic    verifications on, authenticity off, traces off, at most 20 answers about one licence
trouble      dial: connection refused
";

    #[test]
    fn peers_are_a_line_each() {
        let mut second = peer_view();
        second.standing = PeerStanding::Expired;
        second.connected = false;
        second.authority =
            "Superintendencia Nacional de Control de Servicios de Seguridad, Armas, Municiones y Explosivos \
             de Uso Civil"
                .parse()
                .expect("a name");
        assert_page(&peers(&[peer_view(), second]), PEERS);
        assert_page(&peers(&[]), "no peers: liaison peer add FILE");
    }

    const PEERS: &str = "
STATE  NODE                 AUTHORITY                       STANDING  CONNECTED  UNDELIVERED  OPEN
KEN    firearms.example.ke  Firearms Licensing Board        active    yes        0            3
KEN    firearms.example.ke  Superintendencia Nacional de    EXPIRED   no         0            3
                            Control de Servicios de
                            Seguridad, Armas, Municiones y
                            Explosivos de Uso Civil
";

    #[test]
    fn a_report_says_whose_log_it_is_and_who_vouches_for_it() {
        let folder = tempfile::tempdir().expect("a folder");
        write_log(folder.path());
        let verified = verify_log(&Files(folder.path()), None, |_| {}).expect("an honest log");
        assert_page(&report(&verified), REPORT);
        let json = report_json(&verified);
        assert_eq!(json["cosigned"][0]["size"], 2);
        assert_eq!(json["entries"], json!({ "genesis": 1, "msg.sent": 1, "order": 1 }));
        assert_eq!(json["fingerprint"], chain().fingerprint().to_string());
        fs::remove_dir_all(folder.path().join("witnessed")).expect("it is there");
        let verified = verify_log(&Files(folder.path()), None, |_| {}).expect("an honest log");
        assert!(report(&verified).contains("by nobody: no other State vouches for this history\n"));
    }

    const REPORT: &str = "
origin       firearms.example.ke/liaison/log1
State        KEN, Firearms Licensing Board
fingerprint  2696 e962 15d2 e8a6 b299 081a 7f96 511e 3dcd 3985 c9ff d5c9 bf45 d8d7 fcb5 a315
size         3 entries
root         VHc6cGp69whM9x1Z2pecMzu_HjdeaYru2Wi7AdKMJlY
entries      1 genesis, 1 msg.sent, 1 order
from, to     2026-09-21 14:13:20Z, 2026-09-21 14:15:20Z
cosigned     at 2 entries by PER armas.example.pe, 2026-09-21 14:14:50Z
             5092 60ac f826 0ca8 1a78 8e8a aee7 a6dd b90f 5322 aed6 7039 c000 c84b 7315 1848
";

    #[test]
    fn a_candidate_and_an_import_are_short() {
        let view = ImportView { licences: 1204, notices: 3 };
        let said = "1,204 licences in the list now; 3 notices of a change sent to States that had asked";
        assert_page(&import(&view), said);
        let expected = format!(
            "State        KEN\nauthority    Firearms Licensing Board\nnode         firearms.example.ke/liaison\n\
             fingerprint  {}",
            chain().fingerprint()
        );
        assert_page(&candidate(&chain()), &expected);
    }

    #[test]
    fn a_verdict_stands_apart_and_has_colour_only_where_it_is_wanted() {
        let rule = "=".repeat(20);
        assert_eq!(banner("VALID", true, false), format!("\n{rule}\nVALID\n{rule}\n"));
        assert_eq!(banner("REVOKED", false, true), format!("\n{rule}\n\x1b[1;31mREVOKED\x1b[0m\n{rule}\n"));
    }

    #[test]
    fn what_others_wrote_cannot_steer_the_terminal() {
        assert_eq!(plain("a\x1b[2J\u{9b}\r\u{202e}b\nc é"), "a\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}b\nc é");
    }

    #[test]
    fn numbers_are_grouped() {
        let numbers = [0, 999, 1000, 12_345, 1_234_567].map(grouped);
        assert_eq!(numbers, ["0", "999", "1,000", "12,345", "1,234,567"]);
    }
}

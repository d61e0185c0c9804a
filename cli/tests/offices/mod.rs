//! Authorities' offices for the pages that tell of an officer's day: real nodes on loopback sockets and real files.
//!
//! What differs from run to run is not shown: times and places in logs become dots, ids become others that are always
//! the same, and the years are moved so that the page's 2026 is the present year.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use liaison_protocol::authority::Timestamp;
use liaison_protocol::merkle::Hash;
use serde_json::Value;

/// One authority's office.
pub(crate) struct Office {
    /// What the page calls it: the name of its folder too.
    pub(crate) name: &'static str,
    /// Its State.
    pub(crate) state: &'static str,
    /// Its node.
    pub(crate) node: &'static str,
    /// Its name.
    pub(crate) authority: &'static str,
}

/// The offices of a page, while their nodes run.
pub(crate) struct Offices {
    folder: PathBuf,
    names: Vec<&'static str>,
    nodes: Vec<Child>,
    /// Ids as they are, and as they are shown.
    ids: BTreeMap<String, String>,
    exchanges: u32,
    others: u32,
    /// Whether mail may be under way.
    stirred: bool,
    /// How many years the page is behind.
    years: i16,
    today: String,
}

impl Offices {
    /// Set them up below `folder`, each admitted by each other, and start their nodes.
    pub(crate) fn open(folder: &Path, offices: &[Office]) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let today = Timestamp(since.as_secs()).date();
        let mut all = Self {
            folder: folder.to_owned(),
            names: offices.iter().map(|office| office.name).collect(),
            nodes: Vec::new(),
            ids: BTreeMap::new(),
            exchanges: 0,
            others: 0,
            stirred: false,
            years: today.year() - PRESENT,
            today: today.to_string(),
        };
        let node = node_program();
        for office in offices {
            let at = |port: u16| format!("/ip4/127.0.0.1/tcp/{port}");
            let (peers, api) = (free_port(), free_port());
            let mut init = Command::new(&node);
            init.args([
                "init",
                "--node",
                office.node,
                "--state",
                office.state,
                "--authority",
                office.authority,
            ]);
            init.args([
                "--listen",
                &at(peers),
                "--address",
                &at(peers),
                "--api",
                &format!("127.0.0.1:{api}"),
            ]);
            init.arg("--folder").arg(folder.join(office.name));
            init.arg("--roots").arg(folder.join(format!("{}-root", office.name)));
            let made = init.output().expect("the program is built");
            assert!(made.status.success(), "{}", said(&made));
            let config = folder.join(office.name).join("liaison.toml");
            let mut run = Command::new(&node);
            run.arg("run").arg("--config").arg(config).env_remove("SSLKEYLOGFILE");
            run.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            all.nodes.push(run.spawn().expect("the program is built"));
        }
        for name in all.names.clone() {
            wait_for("the node answers", || all.ask(name, &["node"]));
            let out = format!("{name}.key-sets");
            assert!(all.ask(name, &["node", "key-sets", "--out", &out]).is_some());
        }
        for name in all.names.clone() {
            for other in all.names.clone().into_iter().filter(|other| *other != name) {
                let node = all.ask(other, &["node"]).expect("it runs");
                let fingerprint = node["fingerprint"].as_str().expect("it has one").to_owned();
                let file = format!("{other}.key-sets");
                let add = [
                    "peer",
                    "add",
                    &file,
                    "--fingerprint",
                    &fingerprint,
                    "--channel",
                    "telephone, note 12/2026",
                ];
                assert!(all.ask(name, &add).is_some(), "{name} admits {other}");
            }
        }
        all
    }

    /// Set something up that the page speaks of and does not show.
    pub(crate) fn quietly(&self, office: &str, words: &[&str]) {
        assert!(self.ask(office, words).is_some(), "{office}: {words:?}");
    }

    /// Put a file beside the offices, with the page's years moved to the present.
    pub(crate) fn file(&self, name: &str, content: &str) {
        fs::write(self.folder.join(name), self.to_present(content)).expect("a new file");
    }

    /// Whether the page calls an office by this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.contains(&name)
    }

    /// Run a command of the page in an office, and show what it says.
    pub(crate) fn run(&mut self, office: &str, words: &[&str]) -> String {
        if std::mem::take(&mut self.stirred) {
            self.settle();
        }
        let words: Vec<_> = words.iter().map(|word| self.to_present(&self.real_id(word))).collect();
        let output = self.command(office).args(&words).output().expect("the program runs");
        let code = match output.status.code() {
            Some(0) => String::new(),
            code => format!("(exit code {})\n", code.unwrap_or(-1)),
        };
        // Whoever only looks sets nothing in motion.
        self.stirred = output.status.success() && !["check", "list", "show"].contains(&words[1].as_str());
        if tokens(&said(&output)).iter().any(|token| !self.ids.contains_key(token)) {
            self.learn_exchanges();
        }
        self.shown(&format!("{}{code}", said(&output)))
    }

    fn command(&self, office: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_liaison"));
        command.current_dir(&self.folder).env_remove("LIAISON_PROFILE");
        command.arg("--profile").arg(format!("{office}/operator"));
        command
    }

    fn ask(&self, office: &str, words: &[&str]) -> Option<Value> {
        let output = self.command(office).arg("--json").args(words).output().expect("the program runs");
        output.status.success().then(|| serde_json::from_slice(&output.stdout).expect("JSON"))
    }

    /// Wait until all mail has arrived and is answered, as far as rules answer it.
    fn settle(&self) {
        let mut quiet = 0;
        wait_for("the mail arrives", || {
            let undelivered = |name: &&str| -> u64 {
                let peers = self.ask(name, &["peer", "list"]).expect("it runs");
                let peers = peers.as_array().expect("a list");
                peers.iter().filter_map(|peer| peer["undelivered"].as_u64()).sum()
            };
            let is_quiet = self.names.iter().map(undelivered).sum::<u64>() == 0;
            quiet = if is_quiet { quiet + 1 } else { 0 };
            (quiet == 2).then_some(())
        });
    }

    /// Give new exchanges the ids they are shown by, oldest first.
    fn learn_exchanges(&mut self) {
        for name in self.names.clone() {
            let page = self.ask(name, &["exchange", "list", "--limit", "200"]).expect("it runs");
            for exchange in page["exchanges"].as_array().expect("a list").iter().rev() {
                let id = exchange["id"].as_str().expect("an id");
                if !self.ids.contains_key(id) {
                    self.exchanges += 1;
                    let shown = Hash::of(format!("exchange {}", self.exchanges).as_bytes()).to_string();
                    self.ids.insert(id.to_owned(), shown);
                }
            }
        }
    }

    /// The real ids, where the word is one that is shown, or the beginning of one, or several with commas.
    fn real_id(&self, word: &str) -> String {
        if word.contains(',') {
            return word.split(',').map(|word| self.real_id(word)).collect::<Vec<_>>().join(",");
        }
        let found = self.ids.iter().find(|(_, shown)| word.len() >= 6 && shown.starts_with(word));
        found.map_or_else(|| word.to_owned(), |(real, _)| real[..word.len()].to_owned())
    }

    /// What a reader sees.
    fn shown(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for token in tokens(&text) {
            if !self.ids.contains_key(&token) {
                self.others += 1;
                let shown = Hash::of(format!("message {}", self.others).as_bytes()).to_string();
                self.ids.insert(token, shown);
            }
        }
        for (real, shown) in &self.ids {
            text = text.replace(real, shown).replace(&real[..SHORT], &shown[..SHORT]);
        }
        text = dotted(&text, "dddd-dd-dd dd:dd:ddZ");
        // Where a line was too long for it.
        text = dotted(&text, "dd:dd:ddZ");
        text = text.replace(&self.today, "....-..-..");
        for (name, most) in [("our leaf ", 3), ("their leaf ", 3)] {
            text = leaves(&text, name, most);
        }
        moved(&text, -self.years)
    }

    fn to_present(&self, text: &str) -> String {
        moved(text, self.years)
    }
}

impl Drop for Offices {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            let _ = node.kill();
            let _ = node.wait();
        }
    }
}

/// Words of 43 letters of base64url: ids and digests.
fn tokens(text: &str) -> Vec<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    text.split(|c| !is_part(c)).filter(|word| word.len() == 43).map(str::to_owned).collect()
}

/// Dots in the place of the digits wherever the text has this form, in which `d` is a digit.
fn dotted(text: &str, form: &str) -> String {
    let fits = |at: &[char]| {
        at.len() >= form.len()
            && form.chars().zip(at).all(|(form, c)| if form == 'd' { c.is_ascii_digit() } else { form == *c })
    };
    let chars: Vec<char> = text.chars().collect();
    let (mut said, mut place) = (String::new(), 0);
    while let Some(c) = chars.get(place) {
        if fits(&chars[place..]) {
            said.extend(form.chars().map(|c| if c == 'd' { '.' } else { c }));
            place += form.len();
        } else {
            said.push(*c);
            place += 1;
        }
    }
    said
}

/// Dots in the place of a number after these words.
fn leaves(text: &str, words: &str, most: usize) -> String {
    let mut parts = text.split(words);
    let mut said = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.chars().take(most).take_while(char::is_ascii_digit).count();
        said += words;
        said += if digits > 0 { ".." } else { "" };
        said += &part[digits..];
    }
    said
}

/// Every date `20yy-mm-dd` by so many years later.
fn moved(text: &str, years: i16) -> String {
    let chars: Vec<char> = text.chars().collect();
    let (mut said, mut place) = (String::new(), 0);
    while let Some(c) = chars.get(place) {
        let date: String = chars[place..].iter().take(10).collect();
        let date = date.parse::<jiff::civil::Date>().ok().filter(|_| date.len() == 10);
        match date.filter(|date| (2020..2060).contains(&date.year())) {
            Some(date) => {
                said += &format!("{:04}-{:02}-{:02}", date.year() + years, date.month(), date.day());
                place += 10;
            }
            None => {
                said.push(*c);
                place += 1;
            }
        }
    }
    said
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "{what}: not within {} seconds", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

/// The program of the node, built as this test is. Cargo tells a test of its own package's programs only.
fn node_program() -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    let folder = test.parent().and_then(Path::parent).expect("target/<profile>/deps/<test>").to_owned();
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    build.args(["build", "--quiet", "--package", "liaison-node", "--bins", "--target-dir"]);
    // Cargo tells a test about its package; a build script that reads these (ring's) would be run again each time.
    for (name, _) in std::env::vars_os() {
        let about = ["CARGO_BIN_", "CARGO_CRATE_", "CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_PRIMARY_"];
        if name.to_str().is_some_and(|name| about.iter().any(|about| name.starts_with(about))) {
            build.env_remove(&name);
        }
    }
    build.arg(folder.parent().expect("the target folder"));
    if folder.file_name().is_some_and(|name| name == "release") {
        build.arg("--release");
    }
    let built = build.status().expect("cargo runs");
    assert!(built.success(), "cargo build: {built}");
    folder.join("liaison-node")
}

/// The year in which the pages are told.
const PRESENT: i16 = 2026;
/// Characters of an id in a list.
const SHORT: usize = 10;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

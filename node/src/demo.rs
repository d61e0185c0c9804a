//! The demonstration: five States' nodes as processes of their own, on loopback sockets and real files, and a story
//! told from first contact to the end of a trace. Everything goes through the doors that officers use.
//!
//! This file knows the cast and tells; each chapter has a file of its own.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::civil::Date;
use liaison_protocol::authority::{Line, Prose};
use liaison_protocol::operator::Rules;

use crate::init::InitError;
use crate::serve::clock;
use lists::Papers;
use office::{Office, Who};

mod export;
mod lists;
mod office;
mod photographs;
mod proof;
mod trace;
mod transit;

/// How long anything may take before the demonstration gives up, telling what it waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// Columns of the text, and of the names before it.
const WIDTH: usize = 110;
const NAMES: usize = 11;

/// What the demonstration was asked for.
#[derive(Clone, Debug)]
pub struct Wishes {
    /// Where the nodes live; a temporary folder, removed afterwards, if `None`.
    pub folder: Option<PathBuf>,
    /// Whether the nodes go on running at the end.
    pub keep: bool,
}

/// Why the demonstration did not come to its end.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the texts say it")]
pub enum DemoError {
    #[error("{node} answered {status}: {problem}")]
    Answer { node: &'static str, status: u16, problem: String },
    #[error("the node of {node} ended ({status}): see {}", trace.display())]
    Ended { node: &'static str, status: std::process::ExitStatus, trace: PathBuf },
    #[error("{0}")]
    Init(#[from] InitError),
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("the log of {node} does not hold: {why}")]
    Log { node: &'static str, why: String },
    #[error("{node} cannot be reached: {source}")]
    Reach { node: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("waited {}s in vain for {what}", PATIENCE.as_secs())]
    Waited { what: String },
    #[error("expected {expected}, and it was {found}")]
    Unexpected { expected: String, found: String },
}

type Told = Result<(), DemoError>;

/// Play the demonstration.
pub fn play(wishes: &Wishes) -> Told {
    let folder = match &wishes.folder {
        Some(folder) => folder.clone(),
        None => std::env::temp_dir().join(format!("liaison-demo-{}", std::process::id())),
    };
    let told = play_in(&folder, wishes);
    if told.is_err() {
        println!("\nThe story broke off. Each node's folder, with its trace.log, is in {}", folder.display());
    }
    told
}

fn play_in(folder: &Path, wishes: &Wishes) -> Told {
    let began = Instant::now();
    let mut story = Story::begin(folder)?;
    story.first_contact()?;
    story.verifications()?;
    let mut shipment = story.notify_transit()?;
    story.conditions(&shipment)?;
    story.power_cut(&mut shipment)?;
    story.objection(&shipment)?;
    let mut case = story.recovery()?;
    story.ask_the_maker(&mut case)?;
    story.hop_by_hop(&mut case)?;
    story.side_question(&mut case)?;
    story.conclude(&case)?;
    story.consequences(&shipment)?;
    let evidence = story.evidence(&case, folder)?;
    story.logs()?;
    println!("\nTold in {:.0} s.", began.elapsed().as_secs_f32());
    if wishes.keep {
        story.keep(&case, &evidence);
    } else {
        drop(story);
        if wishes.folder.is_some() {
            println!("The nodes are stopped. Their logs, and the evidence, are in {}", folder.display());
        } else {
            // Best effort: what stays behind is in the system's folder for such things.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
    Ok(())
}

/// The five States' offices, and what they have in common.
struct Story {
    brazil: Office,
    kenya: Office,
    serbia: Office,
    tanzania: Office,
    uganda: Office,
    papers: Papers,
    today: Date,
}

impl Story {
    fn begin(folder: &Path) -> Result<Self, DemoError> {
        println!("liaison, a demonstration with five States");
        moral(
            "A pistol is made in Brazil, licensed to Kenya, shipped through Tanzania and Uganda, and found in Serbia, \
             where it should not be. Under the UN Firearms Protocol these States must help each other: verify each \
             other's licences before arms leave (Art. 10), and trace arms that turn up where they should not (Art. 12). \
             There is no server between them. Each State runs a node of its own and keeps a log that the others can \
             check.\n\n\
             Authorities, companies, persons and numbers are made up. The nodes are real.",
        );
        chapter("Five nodes come to life");
        let open = |name, state, node, authority| {
            let office = Office::open(folder, &Who { name, state, node, authority })?;
            say(name, &format!("{node}, {authority}"));
            say("", &office.fingerprint);
            Ok::<_, DemoError>(office)
        };
        let today = clock().date();
        Ok(Self {
            brazil: open("Brazil", "BRA", "armas.example.br/liaison", "National Arms Control Centre")?,
            kenya: open("Kenya", "KEN", "firearms.example.ke/liaison", "Firearms Licensing Board")?,
            tanzania: open("Tanzania", "TZA", "silaha.example.tz/liaison", "Arms Control Registry")?,
            uganda: open("Uganda", "UGA", "firearms.example.ug/liaison", "Firearms Control Office")?,
            serbia: open("Serbia", "SRB", "oruzje.example.rs/liaison", "Firearms Tracing Centre")?,
            papers: Papers::of(&lists::moved(lists::LICENCES, today))?,
            today,
        })
    }

    fn offices(&self) -> [&Office; 5] {
        [&self.brazil, &self.kenya, &self.tanzania, &self.uganda, &self.serbia]
    }

    fn first_contact(&self) -> Told {
        aside(
            "The long numbers are fingerprints of root keys. Officers read them to each other on the telephone, pair by \
             pair; a stranger's connection ends before it can say a word.",
        );
        for ours in self.offices() {
            for theirs in self.offices().into_iter().filter(|theirs| theirs.state != ours.state) {
                ours.admit(theirs)?;
            }
        }
        say("all", "ten pairs compared, twenty admissions signed and logged");
        let list = |list| lists::moved(list, self.today);
        let licences = self.kenya.import_licences(&list(lists::LICENCES))?.licences;
        say("Kenya", &format!("loads its list of {licences} import licences"));
        for (office, register) in [
            (&self.brazil, lists::BRAZIL),
            (&self.kenya, lists::KENYA),
            (&self.uganda, lists::UGANDA),
            (&self.serbia, lists::SERBIA),
        ] {
            let count = office.import_firearms(&list(register))?.firearms;
            say(office.name, &format!("loads its register of {} firearms", thousands(count)));
        }
        aside(
            "Nobody can look into another's list or register. A rule may answer from them, peer by peer, where the State \
             wants it; otherwise an officer does.",
        );
        let licences = Rules { verifications: true, authenticity: true, ..Rules::default() };
        let traces = Rules { traces: true, ..Rules::default() };
        self.kenya.rules(&self.brazil, &licences)?;
        self.kenya.rules(&self.tanzania, &licences)?;
        say("Kenya", "lets a rule answer Brazil and Tanzania about licences. For Uganda an officer decides");
        for office in [&self.brazil, &self.kenya, &self.uganda] {
            office.rules(&self.serbia, &traces)?;
        }
        say(
            "all three",
            "let a rule answer Serbia's traces, where serial number, make, calibre and country all agree",
        );
        Ok(())
    }

    fn keep(self, case: &trace::Case, evidence: &Path) {
        println!("\nAll five nodes go on running. Go on by hand, with the command of each State:\n");
        for office in self.offices() {
            println!("  {:<9} {}   profile {}", office.name, office.url, office.profile().display());
        }
        let command = |office: &Office| {
            format!("  cargo run --release -p liaison-cli -- --profile {}", office.profile().display())
        };
        println!("\n{} exchange list", command(&self.uganda));
        println!("{} exchange show {}", command(&self.serbia), case.stolen);
        println!("{} peer list", command(&self.kenya));
        println!("  cargo run --release -p liaison-cli -- evidence verify {}", evidence.display());
        println!(
            "\nTheir API is documented at {}/openapi.json; the token is in {}",
            self.serbia.url,
            self.serbia.folder.join("api/tokens/officer.token").display()
        );
        let Self { brazil, kenya, serbia, tanzania, uganda, .. } = self;
        let ids: Vec<String> =
            [brazil, kenya, tanzania, uganda, serbia].into_iter().filter_map(Office::leave_running).collect();
        println!("\nStop them with: kill {}", ids.join(" "));
    }
}

fn chapter(title: &str) {
    println!("\n== {title}\n");
}

/// A paragraph before what happens.
fn tell(text: &str) {
    println!("{}\n", wrapped(text, WIDTH).join("\n"));
}

/// A paragraph in the middle of what happens.
fn aside(text: &str) {
    println!();
    tell(text);
}

/// A paragraph after what happened.
fn moral(text: &str) {
    println!("\n{}", wrapped(text, WIDTH).join("\n"));
}

/// What someone does or reads.
fn say(who: &str, what: &str) {
    for (n, text) in wrapped(what, WIDTH - NAMES).iter().enumerate() {
        let name = if n == 0 { who } else { "" };
        println!("  {name:<width$}{text}", width = NAMES - 2 + 1);
    }
}

/// The lines of a text. A line break in it stays.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        // Spaces within a line are kept: columns are set with them.
        for word in paragraph.split(' ') {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
                lines.push(std::mem::take(&mut line).trim_end().to_owned());
            } else if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}

fn expect(what: &str, expected: &str, found: &str) -> Told {
    if expected == found {
        Ok(())
    } else {
        Err(DemoError::Unexpected { expected: format!("{expected} ({what})"), found: found.into() })
    }
}

/// What the node says to an officer whose order it does not take.
fn stopped<T>(what: &str, answer: Result<T, DemoError>) -> Result<String, DemoError> {
    match answer {
        Err(DemoError::Answer { status: 400 | 403 | 409, problem, .. }) => Ok(problem),
        Err(error) => Err(error),
        Ok(_) => Err(DemoError::Unexpected {
            expected: format!("that the node stops {what}"),
            found: "sent".into(),
        }),
    }
}

fn millis(began: Instant) -> String {
    format!("({} ms)", began.elapsed().as_millis())
}

fn thousands(count: u64) -> String {
    match (count / 1000, count % 1000) {
        (0, rest) => rest.to_string(),
        (thousands, rest) => format!("{thousands},{rest:03}"),
    }
}

fn short(id: &impl ToString) -> String {
    id.to_string().chars().take(10).collect()
}

fn line(text: &str) -> Line {
    text.parse().expect("a line")
}

fn prose(text: &str) -> Prose {
    text.parse().expect("a text")
}

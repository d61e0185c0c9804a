//! The demonstration: two States' nodes as processes of their own, on loopback sockets and real files, and a story
//! told from first contact to a court's question. Everything goes through the doors that officers use.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use liaison_protocol::audit::{Report, verify_log};
use liaison_protocol::licence::Presented;
use liaison_protocol::operator::{
    Act, ActRequest, AdmitRequest, ExchangeView, ImportView, NodeView, OpenRequest, Opening, PeerView,
    Question, Rules, State,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::disk::Folder;
use crate::init::{self, Birth, CONFIG, InitError};
use crate::register::Licences;
use crate::serve::clock;

/// Kenya's import licences. Names and numbers are made up.
const LICENCES: &str = include_str!("../demo/licences.csv");
/// The last year in the list. The demonstration moves the list's dates so that this is the present year.
const YEAR: i16 = 2027;
/// How long anything may take before the demonstration gives up, telling what it waited for.
const PATIENCE: Duration = Duration::from_secs(30);

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
    #[error("{0}")]
    Init(#[from] InitError),
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("the log of {node} does not hold: {why}")]
    Log { node: &'static str, why: String },
    #[error("{node} cannot be reached: {source}")]
    Reach { node: &'static str, source: Box<ureq::Error> },
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
    let began = Instant::now();
    let mut story = Story::begin(&folder)?;
    story.first_contact()?;
    story.verifications()?;
    story.border_post()?;
    story.officers()?;
    story.power_cut()?;
    story.revocation()?;
    story.proof()?;
    say("", &format!("Told in {:.0} s.", began.elapsed().as_secs_f32()));
    if wishes.keep {
        story.keep();
    } else {
        drop(story);
        if wishes.folder.is_none() {
            // Best effort: what stays behind is in the system's folder for such things.
            let _ = std::fs::remove_dir_all(&folder);
        }
    }
    Ok(())
}

fn chapter(title: &str) {
    println!("\n== {title}\n");
}

fn say(who: &str, what: &str) {
    if who.is_empty() { println!("{what}") } else { println!("  {who:<6} {what}") }
}

/// Both States' offices and what they have in common.
struct Story {
    kenya: Office,
    peru: Office,
    asked: u32,
}

impl Story {
    fn begin(folder: &Path) -> Result<Self, DemoError> {
        say(
            "",
            "liaison, a demonstration: Peru has been asked to export firearms to Kenya. Before it issues an export\nlicence it must verify that Kenya really issued the import licence (Firearms Protocol, Art. 10(2)(a)).\nThere is no server between them: each State runs its own node, and each keeps a log the other can check.",
        );
        chapter("Two nodes from nothing");
        let kenya =
            Office::make(folder, "Kenya", "KEN", "firearms.example.ke/liaison", "Firearms Licensing Board")?;
        let peru = Office::make(
            folder,
            "Peru",
            "PER",
            "armas.example.pe/liaison",
            "National Arms Control Authority",
        )?;
        Ok(Self { kenya, peru, asked: 0 })
    }

    fn first_contact(&mut self) -> Told {
        chapter("First contact: the officers compare fingerprints on the telephone");
        for (office, other) in [(&self.kenya, &self.peru), (&self.peru, &self.kenya)] {
            let theirs: NodeView = other.get("/v1/node")?;
            let request = AdmitRequest {
                key_sets: theirs.key_sets,
                fingerprint: theirs.fingerprint.clone(),
                channel: line("telephone, after note verbale 12/2026"),
                officer: None,
            };
            let view: PeerView = office.post("/v1/peers", &request)?;
            say(office.name, &format!("admits {} of {}", view.node, view.state));
            say("", &format!("         {}", theirs.fingerprint));
        }
        let list = self.kenya.licence_list(LICENCES)?;
        let view: ImportView = self.kenya.put_csv(&list)?;
        say("Kenya", &format!("loads its list of {} import licences", view.licences));
        self.kenya.rules(&self.peru, true)?;
        say("Kenya", "lets a rule answer Peru from that list; without one, an officer would have to");
        Ok(())
    }

    fn verifications(&mut self) -> Told {
        chapter(
            "Peru verifies import licences; Kenya's rule answers, each word signed and logged on both sides",
        );
        self.ask("a genuine licence: 40 rifles for the Wildlife Service", "KE-IMP-0117", |_| (), "VALID")?;
        self.ask(
            "the same paper, forged: 40 became 400",
            "KE-IMP-0117",
            |presented| presented.lines[0].quantity = 400,
            "VALID_WITH_DIFFERENCES in lines",
        )?;
        self.ask(
            "the same paper with another recipient",
            "KE-IMP-0117",
            |presented| presented.final_recipient = Some(line("Harbour Trading FZE")),
            "VALID_WITH_DIFFERENCES in final_recipient",
        )?;
        self.ask(
            "a licence out of thin air",
            "KE-IMP-0117",
            |presented| presented.licence_no = "KE-IMP-9999".parse().expect("a number"),
            "NOT_FOUND",
        )?;
        self.ask("one that has expired", "KE-IMP-0038", |_| (), "EXPIRED")?;
        self.ask("one that was revoked", "KE-IMP-0091", |_| (), "REVOKED")?;
        self.ask("one that is suspended", "KE-IMP-0104", |_| (), "SUSPENDED")?;
        self.ask("one that is used up", "KE-IMP-0126", |_| (), "EXHAUSTED")
    }

    fn border_post(&mut self) -> Told {
        chapter(
            "At the border: is this document genuine? (Art. 10(5)) The answer speaks only of what was presented",
        );
        let mut presented = self.kenya.licence("KE-IMP-0120")?;
        presented.lines.clear();
        presented.place_of_issue = None;
        self.check(presented.clone(), "MATCH")?;
        presented.version = Some(1);
        self.check(presented, "AMENDED")
    }

    fn officers(&mut self) -> Told {
        chapter("Without a rule an officer decides, and may correct himself");
        self.kenya.rules(&self.peru, false)?;
        let presented = self.kenya.licence("KE-IMP-0117")?;
        let asked = self.open(Question::Verification, presented)?;
        let id = &asked.summary.id.to_string();
        self.kenya.wait_for(id, "the request", |view| view.summary.for_officer)?;
        self.kenya.act(id, Act::Acknowledge { unit: line("Import desk"), expected: None, note: None })?;
        say("Kenya", "an officer takes charge: Import desk");
        self.kenya.act(id, answer(r#"{"answer":"CANNOT_CONFIRM","ground":"RECORDS_UNAVAILABLE"}"#))?;
        self.peru.wait_for(id, "the answer", |view| view.summary.state == State::Answered)?;
        say("Peru", "reads: CANNOT_CONFIRM (RECORDS_UNAVAILABLE). A refusal is an answer too");
        let proposal = r#"{"answer":"VALID"}"#;
        let correction =
            Act::Correct { outcome: parse(proposal), reason: prose("The file was at the Mombasa office.") };
        self.kenya.act(id, correction)?;
        let view = self.peru.wait_for(id, "the correction", |view| view.timeline.len() == 4)?;
        say("Peru", &format!("reads the correction: {}", view.summary.outcome.unwrap_or_default()));
        self.kenya.rules(&self.peru, true)
    }

    fn power_cut(&mut self) -> Told {
        chapter("Kenya's node is killed in the middle (SIGKILL); Peru goes on asking");
        self.kenya.kill();
        say("Kenya", "process killed");
        let mut asked = Vec::new();
        for number in ["KE-IMP-0117", "KE-IMP-0120", "KE-IMP-0091"] {
            let presented = self.kenya.licence(number)?;
            asked.push(self.open(Question::Verification, presented)?.summary.id.to_string());
        }
        let view: PeerView = self.peru.get("/v1/peers/KEN")?;
        say(
            "Peru",
            &format!("has sealed and logged {} requests; they wait: nothing is lost", view.undelivered),
        );
        self.kenya.start()?;
        say("Kenya", "is back; its log opens by replay");
        for id in &asked {
            let view = self
                .peru
                .wait_for(id, "the answer after the restart", |view| view.summary.state == State::Answered)?;
            say(
                "Peru",
                &format!("{}: {}", view.summary.licence_no, view.summary.outcome.unwrap_or_default()),
            );
        }
        let there: liaison_protocol::operator::ExchangePage = self.kenya.get("/v1/exchanges?limit=3")?;
        let mut theirs: Vec<String> = there.exchanges.iter().map(|summary| summary.id.to_string()).collect();
        theirs.reverse();
        expect("the three requests, once each and in order", &asked.join(" "), &theirs.join(" "))
    }

    fn revocation(&mut self) -> Told {
        chapter("Later Kenya revokes the licence; those who asked are told without asking again");
        let list = self
            .kenya
            .licence_list(LICENCES)?
            .replace("KE-IMP-0117,IMPORT,ACTIVE", "KE-IMP-0117,IMPORT,REVOKED");
        let view: ImportView = self.kenya.put_csv(&list)?;
        say(
            "Kenya",
            &format!(
                "imports its new list: {} notices go to Peru, one for each answer that no longer stands",
                view.notices
            ),
        );
        let began = Instant::now();
        loop {
            let page: liaison_protocol::operator::ExchangePage =
                self.peru.get("/v1/exchanges?licence_no=KE-IMP-0117&limit=200")?;
            let told: Vec<_> = page
                .exchanges
                .iter()
                .filter(|summary| summary.outcome.as_ref().is_some_and(|text| text.contains("REVOKED")))
                .collect();
            if told.len() as u64 >= view.notices {
                say("Peru", &format!("now reads: {}", told[0].outcome.clone().unwrap_or_default()));
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                return Err(DemoError::Waited { what: "the notices".into() });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn proof(&mut self) -> Told {
        chapter("In the end a court asks: what was said, when, and can anyone deny it?");
        let asked: liaison_protocol::operator::ExchangePage = self.peru.get("/v1/exchanges?limit=200")?;
        let first = asked.exchanges.last().ok_or(DemoError::Waited { what: "exchanges".into() })?;
        let view: ExchangeView = self.peru.get(&format!("/v1/exchanges/{}", first.id))?;
        if let [request, reply, ..] = view.timeline.as_slice() {
            let receipt = request.receipt.as_ref().map(|receipt| receipt.leaf).unwrap_or_default();
            say(
                "Peru",
                &format!(
                    "request  {}  its leaf {}, and Kenya's proof that it is leaf {receipt} there",
                    short(&request.id),
                    request.leaf
                ),
            );
            say(
                "Peru",
                &format!(
                    "answer   {}  Kenya's leaf {}, recorded as leaf {} here",
                    short(&reply.id),
                    reply.sender_leaf.unwrap_or_default(),
                    reply.leaf
                ),
            );
        }
        for office in [&self.kenya, &self.peru] {
            let report = office.verified_log()?;
            let size = report.checkpoint().head.size;
            let witnessed = report.witnesses().first().map(|witness| witness.head.size).unwrap_or_default();
            say(
                office.name,
                &format!(
                    "log of {} entries holds: every entry, tile, root and signature; cosigned by the other State up to {witnessed}",
                    size
                ),
            );
        }
        // And what if someone rewrites history?
        let copy = self.kenya.copy_of_log()?;
        let tile = tamper(&copy)?;
        match verify_log(&Folder::new(&copy), None, |_| ()) {
            Err(flaw) => say("Kenya", &format!("one letter changed in a copy ({tile}): {flaw}")),
            Ok(_) => return Err(DemoError::Unexpected { expected: "a flaw".into(), found: "none".into() }),
        }
        Ok(())
    }

    fn ask(&mut self, what: &str, number: &str, change: impl FnOnce(&mut Presented), expected: &str) -> Told {
        let mut presented = self.kenya.licence(number)?;
        change(&mut presented);
        let began = Instant::now();
        let asked = self.open(Question::Verification, presented)?;
        self.answered(&asked, what, began, expected)
    }

    fn check(&mut self, presented: Presented, expected: &str) -> Told {
        let fields = presented.fields().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let began = Instant::now();
        let asked = self.open(Question::Authenticity, presented)?;
        self.answered(&asked, &format!("presents {fields}"), began, expected)
    }

    fn answered(&self, asked: &ExchangeView, what: &str, began: Instant, expected: &str) -> Told {
        let id = asked.summary.id.to_string();
        let view = self.peru.wait_for(&id, "an answer", |view| view.summary.state == State::Answered)?;
        let outcome = view.summary.outcome.unwrap_or_default();
        say("Peru", what);
        say("Kenya", &format!("{outcome}   ({} ms)", began.elapsed().as_millis()));
        if outcome.starts_with(expected) { Ok(()) } else { expect(what, expected, &outcome) }
    }

    fn open(&mut self, question: Question, presented: Presented) -> Result<ExchangeView, DemoError> {
        self.asked += 1;
        let opening = Opening {
            question,
            presented,
            case_ref: Some(line(&format!("PE-EXP-{:04}", self.asked))),
            handling: None,
        };
        self.peru.post("/v1/exchanges", &OpenRequest { peer: "KEN".into(), opening, officer: None })
    }

    fn keep(self) {
        println!("\nBoth nodes go on running. Try them, each with the command of its own State:\n");
        for office in [&self.kenya, &self.peru] {
            let profile = office.folder.join("operator");
            println!(
                "  {:<6} {}   token in {}",
                office.name,
                office.url,
                office.folder.join("api/tokens/officer.token").display()
            );
            println!(
                "         cargo run --release -p liaison-cli -- --profile {} exchange list",
                profile.display()
            );
        }
        let ids: Vec<String> =
            [self.kenya, self.peru].into_iter().filter_map(Office::leave_running).collect();
        println!("\nStop them with: kill {}", ids.join(" "));
    }
}

fn expect(what: &str, expected: &str, found: &str) -> Told {
    if expected == found {
        Ok(())
    } else {
        Err(DemoError::Unexpected { expected: format!("{expected} ({what})"), found: found.into() })
    }
}

fn short(id: &impl ToString) -> String {
    id.to_string().chars().take(10).collect()
}

fn line(text: &str) -> liaison_protocol::authority::Line {
    text.parse().expect("a line")
}

fn prose(text: &str) -> liaison_protocol::authority::Prose {
    text.parse().expect("a text")
}

fn parse<T: DeserializeOwned>(json: &str) -> T {
    serde_json::from_str(json).expect("JSON of the demonstration's own")
}

fn answer(outcome: &str) -> Act {
    Act::Answer { outcome: parse(outcome), note: None }
}

/// Change one letter of the last entry bundle in a log folder. Returns the file's name.
fn tamper(log: &Path) -> Result<String, DemoError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| DemoError::Io { path, source }
    };
    let folder = log.join("tile/entries/000.p");
    let file = std::fs::read_dir(&folder).map_err(io(&folder))?.flatten().next();
    let path = file.map(|file| file.path()).unwrap_or_else(|| log.join("tile/entries/000"));
    let mut bytes = std::fs::read(&path).map_err(io(&path))?;
    let last = bytes.len().saturating_sub(20);
    if let Some(byte) = bytes.get_mut(last) {
        *byte = if *byte == b'1' { b'2' } else { b'1' };
    }
    std::fs::write(&path, bytes).map_err(io(&path))?;
    Ok(path.strip_prefix(log).unwrap_or(&path).display().to_string())
}

/// One State's office: its node, a process of its own, and the door to it.
struct Office {
    name: &'static str,
    state: &'static str,
    folder: PathBuf,
    url: String,
    authorization: String,
    agent: ureq::Agent,
    process: Option<Child>,
    licences: Licences,
}

impl Office {
    fn make(
        folder: &Path,
        name: &'static str,
        state: &'static str,
        node: &str,
        authority: &str,
    ) -> Result<Self, DemoError> {
        let home = folder.join(name.to_lowercase());
        let [mail, api] = free_ports()?;
        let address = format!("/ip4/127.0.0.1/tcp/{mail}");
        let birth = Birth {
            folder: home.clone(),
            roots: folder.join(format!("{}-root", name.to_lowercase())),
            node: node.parse().expect("a node id"),
            state: state.parse().expect("a State code"),
            authority: line(authority),
            functions: vec![liaison_protocol::authority::Function::Art13Contact],
            listen: vec![address.clone()],
            addrs: vec![address],
            api: ([127, 0, 0, 1], api).into(),
        };
        let fingerprint = init::make(&birth, clock())?;
        say(name, &format!("{node}, {authority}"));
        say("", &format!("         {fingerprint}"));
        let read = |path: &str| {
            let path = home.join(path);
            std::fs::read_to_string(&path).map_err(|source| DemoError::Io { path, source })
        };
        let certificate =
            Certificate::from_pem(read("api/certificate.pem")?.as_bytes()).expect("we just made it");
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(vec![certificate])))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .build();
        let agent = ureq::Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .build()
            .new_agent();
        let mut office = Self {
            name,
            state,
            url: format!("https://127.0.0.1:{api}"),
            authorization: format!("Bearer {}", read("api/tokens/officer.token")?),
            folder: home.clone(),
            agent,
            process: None,
            licences: Licences::default(),
        };
        office.start()?;
        Ok(office)
    }

    /// Start the node's process, and wait until it can sign.
    fn start(&mut self) -> Told {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| DemoError::Io { path, source }
        };
        let program = std::env::current_exe().map_err(io(Path::new("this program")))?;
        let trace = self.folder.join("trace.log");
        let out = std::fs::File::options().create(true).append(true).open(&trace).map_err(io(&trace))?;
        let child = Command::new(&program)
            .args(["run", "--config"])
            .arg(self.folder.join(CONFIG))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(out)
            .spawn()
            .map_err(io(&program))?;
        self.process = Some(child);
        let began = Instant::now();
        while self
            .agent
            .get(format!("{}/v1/ready", self.url))
            .call()
            .map_or(true, |answer| !answer.status().is_success())
        {
            if began.elapsed() > PATIENCE {
                return Err(DemoError::Waited {
                    what: format!("{} to be ready; see {}", self.name, trace.display()),
                });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // SIGKILL: the process has no say in it. If it is gone already, so much the better.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    fn leave_running(mut self) -> Option<String> {
        self.process.take().map(|process| process.id().to_string())
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, DemoError> {
        let request =
            self.agent.get(format!("{}{path}", self.url)).header("Authorization", &self.authorization);
        self.read(request.call())
    }

    fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, DemoError> {
        let mut key = [0; 16];
        crate::keys::random(&mut key);
        let request = self
            .agent
            .post(format!("{}{path}", self.url))
            .header("Authorization", &self.authorization)
            .header("Idempotency-Key", liaison_protocol::jws::encode(&key));
        self.read(request.send_json(body))
    }

    fn put<T: DeserializeOwned>(&self, path: &str, kind: &str, body: &[u8]) -> Result<T, DemoError> {
        let request =
            self.agent.put(format!("{}{path}", self.url)).header("Authorization", &self.authorization);
        self.read(request.content_type(kind).send(body))
    }

    fn read<T: DeserializeOwned>(
        &self,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<T, DemoError> {
        let reach = |source: ureq::Error| DemoError::Reach { node: self.name, source: Box::new(source) };
        let mut answer = answer.map_err(reach)?;
        let status = answer.status();
        let body = answer.body_mut().read_to_string().map_err(reach)?;
        let unreadable =
            |problem: String| DemoError::Answer { node: self.name, status: status.as_u16(), problem };
        if !status.is_success() {
            return Err(unreadable(body));
        }
        serde_json::from_str(&body).map_err(|error| unreadable(error.to_string()))
    }

    fn put_csv(&self, list: &str) -> Result<ImportView, DemoError> {
        self.put("/v1/licences", "text/csv", list.as_bytes())
    }

    fn rules(&self, peer: &Office, on: bool) -> Told {
        let rules = Rules { verifications: on, authenticity: on, attempts_per_licence: 20 };
        let body = serde_json::to_vec(&rules).expect("rules have string keys");
        self.put::<PeerView>(&format!("/v1/peers/{}/rules", peer.state), "application/json", &body).map(drop)
    }

    fn act(&self, id: &str, act: Act) -> Result<ExchangeView, DemoError> {
        self.post(&format!("/v1/exchanges/{id}/acts"), &ActRequest { act, officer: None })
    }

    fn wait_for(
        &self,
        id: &str,
        what: &str,
        done: impl Fn(&ExchangeView) -> bool,
    ) -> Result<ExchangeView, DemoError> {
        let began = Instant::now();
        loop {
            match self.get::<ExchangeView>(&format!("/v1/exchanges/{id}")) {
                Ok(view) if done(&view) => return Ok(view),
                Ok(_) | Err(DemoError::Answer { status: 404, .. }) => {}
                Err(error) => return Err(error),
            }
            if began.elapsed() > PATIENCE {
                return Err(DemoError::Waited { what: format!("{what} at {}", self.name) });
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The shipped list with its dates moved to the present year, so that the story holds whenever it is told.
    fn licence_list(&mut self, list: &str) -> Result<String, DemoError> {
        let moved = clock().date().year() - YEAR;
        let mut years = [YEAR - 2, YEAR - 1, YEAR];
        if moved > 0 {
            // No year is to be moved twice.
            years.reverse();
        }
        let list = years.into_iter().fold(list.to_owned(), |list, year| {
            // Only dates: a comma stands before them, and a month behind.
            ["-01-", "-12-"].iter().fold(list, |list, month| {
                list.replace(&format!(",{year}{month}"), &format!(",{}{month}", year + moved))
            })
        });
        self.licences = Licences::parse(list.as_bytes()).map_err(|flaw| DemoError::Unexpected {
            expected: "a good list".into(),
            found: flaw.to_string(),
        })?;
        Ok(list)
    }

    /// What stands on a licence: the paper that the exporter handed in.
    fn licence(&self, number: &str) -> Result<Presented, DemoError> {
        let number = number.parse().expect("a number");
        let found = self.licences.find(&number).map(|record| record.content.clone());
        found.ok_or_else(|| DemoError::Unexpected {
            expected: number.to_string(),
            found: "no such licence".into(),
        })
    }

    /// Verify the log once everything is spilled to it.
    fn verified_log(&self) -> Result<Report, DemoError> {
        let view: NodeView = self.get("/v1/node")?;
        let log = Folder::new(self.folder.join("data/log1"));
        let began = Instant::now();
        loop {
            let report = verify_log(&log, None, |_| ());
            match report {
                Ok(report)
                    if report.checkpoint().head.size >= view.log_size && !report.witnesses().is_empty() =>
                {
                    return Ok(report);
                }
                // The folder is being written while it is read.
                _ if began.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(100)),
                Ok(_) => {
                    return Err(DemoError::Waited {
                        what: format!("the log of {} to be written out", self.name),
                    });
                }
                Err(flaw) => return Err(DemoError::Log { node: self.name, why: flaw.to_string() }),
            }
        }
    }

    fn copy_of_log(&self) -> Result<PathBuf, DemoError> {
        let copy = self.folder.join("copy-of-log1");
        copy_folder(&self.folder.join("data/log1"), &copy)?;
        Ok(copy)
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        self.kill();
    }
}

fn copy_folder(from: &Path, to: &Path) -> Told {
    let io = |source| DemoError::Io { path: from.into(), source };
    std::fs::create_dir_all(to).map_err(io)?;
    for entry in std::fs::read_dir(from).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_folder(&path, &target)?;
        } else {
            std::fs::copy(&path, &target).map_err(io)?;
        }
    }
    Ok(())
}

/// Two ports nobody listens on now.
fn free_ports() -> Result<[u16; 2], DemoError> {
    let io = |source| DemoError::Io { path: "loopback".into(), source };
    let held = [TcpListener::bind("127.0.0.1:0").map_err(io)?, TcpListener::bind("127.0.0.1:0").map_err(io)?];
    let mut ports = [0; 2];
    for (port, listener) in ports.iter_mut().zip(&held) {
        *port = listener.local_addr().map_err(io)?.port();
    }
    Ok(ports)
}

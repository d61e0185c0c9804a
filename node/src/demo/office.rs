//! One State's office: its node, a process of its own, and the door to it that officers and national systems use.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use liaison_protocol::audit::{Report, verify_log};
use liaison_protocol::authority::Function;
use liaison_protocol::key_set::Contact;
use liaison_protocol::operator::{
    Act, ActRequest, AdmitRequest, Enclosed, ExchangeView, FirearmsView, ImportView, NodeView, OpenRequest,
    Opening, PeerView, Problem, Question, Rules, State,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::{DemoError, PATIENCE, Told, line};
use crate::disk::Folder;
use crate::init::{self, Birth, CONFIG};
use crate::serve::clock;

/// How often a waiting officer looks.
const GLANCE: Duration = Duration::from_millis(2);

/// What came of a request.
type Taken = Result<ureq::http::Response<ureq::Body>, ureq::Error>;

/// Who an office is.
pub(super) struct Who {
    /// What the story calls the State.
    pub(super) name: &'static str,
    /// Its code.
    pub(super) state: &'static str,
    /// Its node.
    pub(super) node: &'static str,
    /// Its competent authority. None of them exists.
    pub(super) authority: &'static str,
}

/// One State's office.
pub(super) struct Office {
    pub(super) name: &'static str,
    pub(super) state: &'static str,
    pub(super) folder: PathBuf,
    pub(super) url: String,
    pub(super) fingerprint: String,
    authorization: String,
    agent: ureq::Agent,
    process: Option<Child>,
}

impl Office {
    /// Make the node in `folder`, and start it.
    pub(super) fn open(folder: &Path, who: &Who) -> Result<Self, DemoError> {
        let home = folder.join(who.name.to_lowercase());
        let [port, api] = free_ports()?;
        let address = format!("/ip4/127.0.0.1/tcp/{port}");
        let birth = Birth {
            folder: home.clone(),
            roots: folder.join(format!("{}-root", who.name.to_lowercase())),
            node: who.node.parse().expect("a node id"),
            state: who.state.parse().expect("a State code"),
            authority: line(who.authority),
            functions: vec![Function::Art13Contact],
            contact: Contact::default(),
            listen: vec![address.clone()],
            addrs: vec![address],
            api: ([127, 0, 0, 1], api).into(),
        };
        let fingerprint = init::make(&birth, clock())?.to_string();
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
            name: who.name,
            state: who.state,
            url: format!("https://127.0.0.1:{api}"),
            authorization: format!("Bearer {}", read("api/tokens/officer.token")?),
            folder: home.clone(),
            fingerprint,
            agent,
            process: None,
        };
        office.start()?;
        Ok(office)
    }

    /// Start the node's process, and wait until it can sign.
    pub(super) fn start(&mut self) -> Told {
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
            let ended = self.process.as_mut().and_then(|process| process.try_wait().ok().flatten());
            if let Some(status) = ended {
                return Err(DemoError::Ended { node: self.name, status, trace });
            }
            if began.elapsed() > PATIENCE {
                return Err(DemoError::Waited {
                    what: format!("{} to be ready; see {}", self.name, trace.display()),
                });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The profile of the command `liaison` for this node.
    pub(super) fn profile(&self) -> PathBuf {
        self.folder.join("operator")
    }

    pub(super) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // SIGKILL: the process has no say in it. If it is gone already, so much the better.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    pub(super) fn leave_running(mut self) -> Option<String> {
        self.process.take().map(|process| process.id().to_string())
    }

    pub(super) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, DemoError> {
        let request =
            self.agent.get(format!("{}{path}", self.url)).header("Authorization", &self.authorization);
        self.read(request.call())
    }

    pub(super) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, DemoError> {
        let mut key = [0; 16];
        crate::keys::random(&mut key);
        let request = self
            .agent
            .post(format!("{}{path}", self.url))
            .header("Authorization", &self.authorization)
            .header("Idempotency-Key", liaison_protocol::jws::encode(&key));
        self.read(request.send_json(body))
    }

    /// The bytes at `path`.
    pub(super) fn fetch(&self, path: &str) -> Result<Vec<u8>, DemoError> {
        let request =
            self.agent.get(format!("{}{path}", self.url)).header("Authorization", &self.authorization);
        let mut answer = self.answer(request.call())?;
        answer.body_mut().read_to_vec().map_err(|source| self.out_of_reach(source))
    }

    /// The file that the node makes for `body`.
    pub(super) fn download(&self, path: &str, body: &impl Serialize) -> Result<Vec<u8>, DemoError> {
        let request =
            self.agent.post(format!("{}{path}", self.url)).header("Authorization", &self.authorization);
        let mut answer = self.answer(request.send_json(body))?;
        answer.body_mut().read_to_vec().map_err(|source| self.out_of_reach(source))
    }

    pub(super) fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        kind: &str,
        body: &[u8],
    ) -> Result<T, DemoError> {
        let request =
            self.agent.put(format!("{}{path}", self.url)).header("Authorization", &self.authorization);
        self.read(request.content_type(kind).send(body))
    }

    fn read<T: DeserializeOwned>(&self, answer: Taken) -> Result<T, DemoError> {
        let mut answer = self.answer(answer)?;
        let status = answer.status().as_u16();
        let body = answer.body_mut().read_to_string().map_err(|source| self.out_of_reach(source))?;
        serde_json::from_str(&body).map_err(|error| DemoError::Answer {
            node: self.name,
            status,
            problem: error.to_string(),
        })
    }

    /// An answer that is no refusal.
    fn answer(&self, answer: Taken) -> Result<ureq::http::Response<ureq::Body>, DemoError> {
        let mut answer = answer.map_err(|source| self.out_of_reach(source))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let body = answer.body_mut().read_to_string().map_err(|source| self.out_of_reach(source))?;
        let detail = serde_json::from_str(&body).map(|problem: Problem| problem.detail);
        let problem = detail.unwrap_or(body);
        Err(DemoError::Answer { node: self.name, status: status.as_u16(), problem })
    }

    fn out_of_reach(&self, source: ureq::Error) -> DemoError {
        DemoError::Reach { node: self.name, source: source.into() }
    }

    /// Admit `other`, whose officers read their fingerprint to ours.
    pub(super) fn admit(&self, other: &Office) -> Told {
        let theirs: NodeView = other.get("/v1/node")?;
        let request = AdmitRequest {
            key_sets: theirs.key_sets,
            fingerprint: other.fingerprint.clone(),
            channel: line("telephone, after note verbale 12/2026"),
            officer: None,
        };
        self.post::<PeerView>("/v1/peers", &request).map(drop)
    }

    pub(super) fn import_licences(&self, list: &str) -> Result<ImportView, DemoError> {
        self.put("/v1/licences", "text/csv", list.as_bytes())
    }

    pub(super) fn import_firearms(&self, list: &str) -> Result<FirearmsView, DemoError> {
        self.put("/v1/firearms", "text/csv", list.as_bytes())
    }

    pub(super) fn rules(&self, peer: &Office, rules: &Rules) -> Told {
        let body = serde_json::to_vec(rules).expect("rules have string keys");
        self.put::<PeerView>(&format!("/v1/peers/{}/rules", peer.state), "application/json", &body).map(drop)
    }

    /// Ask `peer`. Returns the id of the exchange.
    pub(super) fn ask(
        &self,
        peer: &Office,
        question: Question,
        case_ref: &str,
        enclosed: Enclosed,
    ) -> Result<String, DemoError> {
        let opening = Opening { question, case_ref: Some(line(case_ref)), handling: None, enclosed };
        let request = OpenRequest { peer: peer.state.into(), opening, officer: None };
        let view: ExchangeView = self.post("/v1/exchanges", &request)?;
        Ok(view.summary.id.to_string())
    }

    pub(super) fn act(&self, id: &str, act: Act) -> Result<ExchangeView, DemoError> {
        let request = ActRequest { act, enclosed: Enclosed::default(), officer: None };
        self.post(&format!("/v1/exchanges/{id}/acts"), &request)
    }

    pub(super) fn exchange(&self, id: &str) -> Result<ExchangeView, DemoError> {
        self.get(&format!("/v1/exchanges/{id}"))
    }

    /// Wait until the exchange is known here and `done`.
    pub(super) fn wait_for(
        &self,
        id: &str,
        what: &str,
        done: impl Fn(&ExchangeView) -> bool,
    ) -> Result<ExchangeView, DemoError> {
        let mut last = "nothing of it is here".to_owned();
        let began = Instant::now();
        loop {
            match self.exchange(id) {
                Ok(view) if done(&view) => return Ok(view),
                Ok(view) => last = format!("it is {}", view.summary.state.as_str()),
                Err(DemoError::Answer { status: 404, .. }) => {}
                Err(error) => return Err(error),
            }
            if began.elapsed() > PATIENCE {
                return Err(DemoError::Waited { what: format!("{what} at {}; {last}", self.name) });
            }
            std::thread::sleep(GLANCE);
        }
    }

    /// Wait until the exchange has come so far here.
    pub(super) fn wait_until(&self, id: &str, state: State) -> Result<ExchangeView, DemoError> {
        self.wait_for(id, state.as_str(), |view| view.summary.state == state)
    }

    /// Verify the log once everything is spilled to it.
    pub(super) fn verified_log(&self) -> Result<Report, DemoError> {
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

    pub(super) fn copy_of_log(&self) -> Result<PathBuf, DemoError> {
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

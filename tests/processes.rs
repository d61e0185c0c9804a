//! Nodes as real processes, on real sockets and real files, driven as an operator drives them.
//!
//! A [`House`] is one State's folder and, while it runs, its `liaison-node`. What it is told and asked goes through
//! the HTTPS API ([`Api`]). Nothing here reaches into a node: what these tests see, an operator sees.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use liaison_protocol::attachment::Attachment;
use liaison_protocol::operator::{
    ExchangePage, ExchangeSummary, ExchangeView, NodeView, PeerView, Problem, ReadyView, State,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempDir};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::proxy::Proxy;

/// How long a test waits for what must happen.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The path of one of our programs, built as the tests are, once per test program.
///
/// Cargo names the programs of a package only to that package's own tests, so they are looked for beside the test;
/// and they are built, lest old ones be tested.
pub fn program(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let test = std::env::current_exe().expect("a running test has a path");
        let folder = test.parent().and_then(Path::parent).expect("target/<profile>/deps/<test>").to_owned();
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        build.args(["build", "--quiet", "--workspace", "--bins", "--target-dir"]);
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
        let built = build.status();
        assert!(built.as_ref().is_ok_and(ExitStatus::success), "cargo build: {built:?}");
        folder
    });
    folder.join(name)
}

/// A port of loopback that nobody uses. Not one of those the system gives away by itself: a node that is started again
/// must find its own free.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 9_000).expect("below 9,000");
    loop {
        let port = 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Wait until `what` is there.
///
/// # Panics
///
/// If it does not come within [`PATIENCE`].
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "{what}: not within {} seconds", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// One State's node: its folder, and its process while there is one.
pub struct House {
    /// The State.
    pub state: String,
    /// Its node id.
    pub node: String,
    folder: PathBuf,
    peer_port: u16,
    api_port: u16,
    running: Option<Child>,
    api: Api,
    /// What the node told on standard error: apart, for its folder may be on a disk that the test fills.
    told: NamedTempFile,
    _kept: TempDir,
}

impl House {
    /// Make the node of `state`. It does not run yet.
    pub fn new(state: &str) -> Self {
        Self::within(state, tempfile::tempdir().expect("a folder for the test"))
    }

    /// Make the node of `state` in this folder.
    pub fn within(state: &str, kept: TempDir) -> Self {
        let port = free_port();
        Self::made(state, kept, port, &[address(port)], &[address(port)])
    }

    /// Make the node of `state`, which its peers reach through `proxy` only.
    pub fn behind(state: &str, proxy: &Proxy) -> Self {
        Self::within_behind(state, tempfile::tempdir().expect("a folder for the test"), proxy)
    }

    /// The same, in this folder.
    pub fn within_behind(state: &str, kept: TempDir, proxy: &Proxy) -> Self {
        Self::made(state, kept, proxy.target(), &[address(proxy.target())], &[address(proxy.port())])
    }

    /// Make the node of `state`, which listens at some addresses and tells its peers some, made out of its port.
    pub fn reached_at(state: &str, addresses: impl FnOnce(u16) -> (Vec<String>, Vec<String>)) -> Self {
        let port = free_port();
        let (listen, told) = addresses(port);
        Self::made(state, tempfile::tempdir().expect("a folder for the test"), port, &listen, &told)
    }

    fn made(state: &str, kept: TempDir, peer_port: u16, listen: &[String], told: &[String]) -> Self {
        let folder = kept.path().join("node");
        let node = format!("firearms.example.{}/liaison", state.to_lowercase());
        let api_port = free_port();
        let made = run(Command::new(program("liaison-node"))
            .args(["init", "--node", &node, "--state", state, "--authority"])
            .arg(format!("Licensing Bureau of {state}"))
            .args(listen.iter().flat_map(|address| ["--listen", address]))
            .args(told.iter().flat_map(|address| ["--address", address]))
            .args(["--api", &format!("127.0.0.1:{api_port}"), "--folder"])
            .arg(&folder)
            .arg("--roots")
            .arg(kept.path().join("roots")));
        assert!(made.status.success(), "init: {}", said(&made));
        let api = Api::open(&folder, api_port);
        let told = NamedTempFile::new().expect("a file for the test");
        Self { state: state.into(), node, folder, peer_port, api_port, running: None, api, told, _kept: kept }
    }

    /// The node's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A path below the node's folder.
    pub fn at(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// Folder of the root keys.
    pub fn roots(&self) -> PathBuf {
        self.folder.with_file_name("roots")
    }

    /// Where peers reach it.
    pub fn address(&self) -> String {
        address(self.peer_port)
    }

    /// The port where it listens to its peers.
    pub fn peer_port(&self) -> u16 {
        self.peer_port
    }

    /// The port where operators reach it.
    pub fn api_port(&self) -> u16 {
        self.api_port
    }

    /// Where operators reach it.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.api_port)
    }

    /// The operators' door.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// The process, while it runs.
    pub fn pid(&self) -> u32 {
        self.running.as_ref().expect("the node runs").id()
    }

    /// `liaison-node run` on this folder, not started.
    pub fn command(&self) -> Command {
        let mut command = Command::new(program("liaison-node"));
        command.arg("run").arg("--config").arg(self.at("liaison.toml")).env_remove("SSLKEYLOGFILE");
        command
    }

    /// Start the node, and wait until it answers.
    pub fn start(&mut self) {
        let command = self.command();
        self.start_as(command);
    }

    /// Start the node by this command, and wait until it answers.
    pub fn start_as(&mut self, command: Command) {
        self.launch(command);
        wait_for("the node answers", || {
            self.must_run();
            let answer = self.api.ask("GET", "/v1/health", None, None).ok()?;
            (answer.status == 200).then_some(())
        });
    }

    /// Start the node by this command, and wait for nothing.
    pub fn launch(&mut self, mut command: Command) {
        assert!(self.running.is_none(), "the node runs already");
        let told = File::options().append(true).open(self.told.path()).expect("the file is ours");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(told).spawn();
        self.running = Some(child.expect("the program is built"));
    }

    /// A node that was started is there, or says why not.
    ///
    /// # Panics
    ///
    /// If it has ended.
    pub fn must_run(&mut self) {
        if let Some(status) = self.ended() {
            panic!("{} does not run ({status}):\n{}", self.node, self.last_words());
        }
    }

    /// Ask the node to stop, and wait until it has.
    pub fn stop(&mut self) -> ExitStatus {
        let _ = Command::new("kill").arg(self.pid().to_string()).status();
        self.wait()
    }

    /// Kill the node as the system would: SIGKILL.
    pub fn kill(&mut self) {
        let mut child = self.running.take().expect("the node runs");
        child.kill().expect("it is ours");
        child.wait().expect("it is ours");
    }

    /// Wait until the node ends by itself.
    pub fn wait(&mut self) -> ExitStatus {
        let status = wait_for("the node ends", || self.ended());
        self.running = None;
        status
    }

    /// Whether there is no process: it was not started, or it ended by itself.
    pub fn has_ended(&mut self) -> bool {
        let gone = self.running.is_none() || self.ended().is_some();
        if gone {
            self.running = None;
        }
        gone
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.running.as_mut()?.try_wait().expect("it is ours")
    }

    /// What the node told on standard error, over all its runs.
    pub fn all_words(&self) -> Vec<u8> {
        fs::read(self.told.path()).expect("the file is ours")
    }

    /// The end of what the node told on standard error, over all its runs.
    pub fn last_words(&self) -> String {
        let told = fs::read(self.told.path()).unwrap_or_default();
        String::from_utf8_lossy(&told[told.len().saturating_sub(8192)..]).into_owned()
    }

    /// `liaison log verify` on this node's log folder, with its own fingerprint.
    pub fn verify_log(&self) -> Output {
        run(Command::new(program("liaison")).args(["log", "verify"]).arg(self.at("data/log1")))
    }

    /// `liaison` with this node's profile.
    pub fn liaison(&self, args: &[&str]) -> Output {
        run(Command::new(program("liaison")).arg("--profile").arg(self.at("operator")).args(args))
    }

    /// `liaison-node` with these arguments and this node's configuration.
    pub fn liaison_node(&self, args: &[&str]) -> Output {
        run(Command::new(program("liaison-node")).args(args).arg("--config").arg(self.at("liaison.toml")))
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {} told:\n{}", self.node, self.last_words());
        }
        if let Some(mut child) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The address of a port of loopback.
pub fn address(port: u16) -> String {
    format!("/ip4/127.0.0.1/tcp/{port}")
}

/// Run a command to its end.
pub fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Everything a command said.
pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Two nodes that run and have admitted each other.
pub fn two(first: &str, second: &str) -> (House, House) {
    let (mut a, mut b) = (House::new(first), House::new(second));
    a.start();
    b.start();
    introduce(&a, &b);
    (a, b)
}

/// Let each of two running nodes admit the other.
pub fn introduce(a: &House, b: &House) {
    admit(a, b);
    admit(b, a);
    for (one, other) in [(a, b), (b, a)] {
        wait_for("they have heard of each other", || {
            one.api().peer(&other.node).head_cosigned.is_some().then_some(())
        });
    }
}

/// Let `host` admit `guest`, which runs.
pub fn admit(host: &House, guest: &House) -> PeerView {
    let NodeView { key_sets, fingerprint, .. } = guest.api().get("/v1/node");
    host.api().send(
        "POST",
        "/v1/peers",
        &json!({"key_sets": key_sets, "fingerprint": fingerprint, "channel": "in person"}),
    )
}

/// The operators' door of one node. Clones share their connections.
#[derive(Clone)]
pub struct Api {
    agent: ureq::Agent,
    url: String,
    authorization: String,
}

/// What the node answered.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The JSON, or null.
    pub body: Value,
}

impl Answer {
    /// The problem it tells of.
    pub fn problem(self) -> Problem {
        serde_json::from_value(self.body.clone()).unwrap_or_else(|error| panic!("{self:?}: {error}"))
    }
}

impl Api {
    /// The door of the node in `folder`: its own certificate is the only root.
    pub fn open(folder: &Path, port: u16) -> Self {
        let read = |path: &str| fs::read(folder.join(path)).expect("init wrote it");
        let certificate = Certificate::from_pem(&read("api/certificate.pem")).expect("init wrote PEM");
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(vec![certificate])))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .build();
        let agent = ureq::Agent::config_builder()
            .https_only(true)
            .tls_config(tls)
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(30)))
            .build()
            .new_agent();
        let token = String::from_utf8(read("api/tokens/officer.token")).expect("a token is text");
        Self {
            agent,
            url: format!("https://127.0.0.1:{port}"),
            authorization: format!("Bearer {}", token.trim()),
        }
    }

    /// The same door, with another token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { authorization: format!("Bearer {token}"), ..self.clone() }
    }

    /// Ask for something. An error: nobody answered.
    pub fn ask(
        &self,
        method: &str,
        path: &str,
        body: Option<(&str, &[u8])>,
        key: Option<&str>,
    ) -> Result<Answer, ureq::Error> {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("Authorization", &self.authorization);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let (status, bytes) = self.bytes(request, body)?;
        Ok(Answer { status, body: serde_json::from_slice(&bytes).unwrap_or_default() })
    }

    fn bytes(
        &self,
        request: ureq::http::request::Builder,
        body: Option<(&str, &[u8])>,
    ) -> Result<(u16, Vec<u8>), ureq::Error> {
        let mut answer = match body {
            Some((content_type, bytes)) => {
                let request = request.header("Content-Type", content_type).body(bytes)?;
                // A DELETE with a body is not what every client allows.
                let request = self.agent.configure_request(request).allow_non_standard_methods(true).build();
                self.agent.run(request)?
            }
            None => self.agent.run(request.body(())?)?,
        };
        let status = answer.status().as_u16();
        Ok((status, answer.body_mut().with_config().limit(64 << 20).read_to_vec()?))
    }

    /// Put a photograph or document in.
    pub fn put_attachment(&self, name: &str, media_type: &str, content: &[u8]) -> Attachment {
        let path = format!("/v1/attachments?name={name}");
        self.must("attachment", self.ask("PUT", &path, Some((media_type, content)), None))
    }

    /// What is answered to the request for an attachment of an exchange.
    pub fn attachment(&self, exchange: &str, digest: &str) -> (u16, Vec<u8>) {
        let request = ureq::http::Request::builder()
            .uri(format!("{}/v1/exchanges/{exchange}/attachments/{digest}", self.url))
            .header("Authorization", &self.authorization);
        self.bytes(request, None).expect("it answers")
    }

    /// Ask for something with a JSON body. An error: nobody answered.
    pub fn try_send(
        &self,
        method: &str,
        path: &str,
        body: &Value,
        key: Option<&str>,
    ) -> Result<Answer, ureq::Error> {
        self.ask(method, path, Some(("application/json", body.to_string().as_bytes())), key)
    }

    fn must<T: DeserializeOwned>(&self, what: &str, answer: Result<Answer, ureq::Error>) -> T {
        let answer = answer.unwrap_or_else(|error| panic!("{what} of {}: {error}", self.url));
        assert!((200..300).contains(&answer.status), "{what}: {answer:?}");
        serde_json::from_value(answer.body).unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    /// See something that is there.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        self.must(path, self.ask("GET", path, None, None))
    }

    /// Have something done that can be done.
    pub fn send<T: DeserializeOwned>(&self, method: &str, path: &str, body: &Value) -> T {
        self.must(path, self.try_send(method, path, body, None))
    }

    /// Do what cannot be done: the problem.
    pub fn refused(&self, method: &str, path: &str, body: &Value) -> Problem {
        self.try_send(method, path, body, Some("refused")).expect("it answers").problem()
    }

    /// Whether it can sign.
    pub fn ready(&self) -> (u16, ReadyView) {
        let answer = self.ask("GET", "/v1/ready", None, None).expect("it answers");
        (answer.status, serde_json::from_value(answer.body).expect("a view"))
    }

    /// Something that is text and no JSON.
    pub fn text(&self, path: &str) -> (u16, String) {
        let request = ureq::http::Request::builder()
            .uri(format!("{}{path}", self.url))
            .header("Authorization", &self.authorization);
        let (status, bytes) = self.bytes(request, None).expect("it answers");
        (status, String::from_utf8(bytes).expect("it is text"))
    }

    /// A peer.
    pub fn peer(&self, node: &str) -> PeerView {
        self.get(&format!("/v1/peers/{}", node.replace('/', "%2F")))
    }

    /// Set what a peer is answered without an officer.
    pub fn set_rules(&self, node: &str, rules: &Value) -> PeerView {
        self.send("PUT", &format!("/v1/peers/{}/rules", node.replace('/', "%2F")), rules)
    }

    /// Put a licence list in place. Returns how many notices went out.
    pub fn import(&self, csv: &str) -> u64 {
        let view: liaison_protocol::operator::ImportView =
            self.must("import", self.ask("PUT", "/v1/licences", Some(("text/csv", csv.as_bytes())), None));
        view.notices
    }

    /// Open an exchange.
    pub fn open_exchange(&self, peer: &str, opening: &Value, key: &str) -> ExchangeView {
        let body = json!({"peer": peer, "opening": opening});
        self.must("open", self.try_send("POST", "/v1/exchanges", &body, Some(key)))
    }

    /// Act in an exchange.
    pub fn act(&self, id: &str, act: &Value) -> ExchangeView {
        self.send("POST", &format!("/v1/exchanges/{id}/acts"), act)
    }

    /// An exchange.
    pub fn exchange(&self, id: &str) -> ExchangeView {
        self.get(&format!("/v1/exchanges/{id}"))
    }

    /// All exchanges, newest first.
    pub fn exchanges(&self) -> Vec<ExchangeSummary> {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let page: ExchangePage = self.get(&format!("/v1/exchanges?limit=200{after}"));
            all.extend(page.exchanges);
            match page.next {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        let ids: BTreeSet<_> = all.iter().map(|summary| summary.id).collect();
        assert_eq!(ids.len(), all.len(), "an exchange is listed twice");
        all
    }

    /// Wait until an exchange has come so far.
    pub fn wait_until(&self, id: &str, state: State) -> ExchangeView {
        wait_for(&format!("{id} is {}", state.as_str()), || {
            let answer = self.ask("GET", &format!("/v1/exchanges/{id}"), None, None).ok()?;
            let view: ExchangeView = serde_json::from_value(answer.body).ok()?;
            (view.summary.state == state).then_some(view)
        })
    }

    /// Entries in the log.
    pub fn log_size(&self) -> u64 {
        self.get::<NodeView>("/v1/node").log_size
    }
}

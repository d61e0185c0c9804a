//! The HTTP client: one node, one token, and errors that say what to do.
//!
//! It trusts the node's own certificate and no other, and never follows elsewhere. The only file that names
//! `ureq` and `rustls`.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::sync::Arc;
use std::time::Duration;

use liaison_protocol::evidence::MAX_ARCHIVE;
use liaison_protocol::operator::{EventView, Problem, ReadyView};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body, RequestBuilder, http};

use crate::profile::Profile;

/// What a node answered: as it was sent, and read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answered<T> {
    /// The JSON, unchanged.
    pub(crate) json: Value,
    /// What it says.
    pub(crate) view: T,
}

/// A change asked of the node: the method, and what goes with it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Method {
    /// Take away.
    Delete,
    /// Create, or do.
    Post,
    /// Put in place.
    Put,
}

/// A node we may talk to.
pub(crate) struct Client {
    agent: Agent,
    profile: Profile,
    authorization: String,
}

impl Client {
    /// The node of this profile. Nothing is sent yet.
    pub(crate) fn open(profile: Profile) -> Result<Self, ClientError> {
        let read = |file: &std::path::Path| {
            std::fs::read(file).map_err(|why| ClientError::Credential {
                file: file.display().to_string(),
                why: why.to_string(),
            })
        };
        let unusable = |file: &std::path::Path, why: &str| ClientError::Credential {
            file: file.display().to_string(),
            why: why.to_owned(),
        };
        let certificate = Certificate::from_pem(&read(&profile.ca)?)
            .map_err(|_| unusable(&profile.ca, "it holds no certificate in PEM form"))?;
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(vec![certificate])))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .build();
        let agent = agent(Agent::config_builder().https_only(true).tls_config(tls));
        let token = read(&profile.token)?;
        let token = str::from_utf8(&token).unwrap_or_default().trim();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(unusable(&profile.token, "it holds no token: one word of visible characters"));
        }
        Ok(Self { agent, authorization: format!("Bearer {token}"), profile })
    }

    /// Look at something.
    pub(crate) fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, Option<String>)],
    ) -> Result<Answered<T>, ClientError> {
        let given = query.iter().filter_map(|(name, value)| Some((*name, value.as_ref()?)));
        let mut request = self.headed(self.agent.get(self.url(path)));
        for (name, value) in given {
            request = request.query(name, value);
        }
        self.read(request.call())
    }

    /// Change something, under an idempotency key if there is one.
    pub(crate) fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
        key: Option<&str>,
    ) -> Result<Answered<T>, ClientError> {
        let body = serde_json::to_vec(body).expect("the types of the API have string keys");
        self.upload(method, path, "application/json", &body, key)
    }

    /// Hand over a document of another sort.
    pub(crate) fn upload<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: &[u8],
        key: Option<&str>,
    ) -> Result<Answered<T>, ClientError> {
        let url = self.url(path);
        let mut request = self.headed(match method {
            Method::Delete => self.agent.delete(url).force_send_body(),
            Method::Post => self.agent.post(url),
            Method::Put => self.agent.put(url),
        });
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        self.read(request.content_type(content_type).send(body))
    }

    /// Have something done whose answer is a file, of at most the size that evidence may have.
    pub(crate) fn download(&self, path: &str, body: &impl Serialize) -> Result<Vec<u8>, ClientError> {
        let body = serde_json::to_vec(body).expect("the types of the API have string keys");
        let request = self.agent.post(self.url(path)).header("Authorization", &self.authorization);
        self.receive(request.content_type("application/json").send(body.as_slice()), MAX_ARCHIVE as u64)
    }

    /// Take something as it is: an attachment.
    pub(crate) fn bytes(&self, path: &str) -> Result<Vec<u8>, ClientError> {
        let request = self.agent.get(self.url(path)).header("Authorization", &self.authorization);
        self.receive(request.header("Accept", "*/*").call(), MAX_ANSWER)
    }

    /// Whether the node can sign: it answers "no" by a status of its own.
    pub(crate) fn ready(&self) -> Result<Answered<ReadyView>, ClientError> {
        let answer = self.headed(self.agent.get(self.url("/v1/ready"))).call();
        let mut answer = answer.map_err(|error| self.unreached(error))?;
        if answer.status() != http::StatusCode::SERVICE_UNAVAILABLE {
            return self.read(Ok(answer));
        }
        let body = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_vec();
        self.understood(&body.map_err(|error| self.unreached(error))?)
    }

    /// Follow what changes behind an entry of the log: each event is told, until the line ends or `told` says stop.
    pub(crate) fn follow(
        &self,
        after: Option<u64>,
        told: &mut dyn FnMut(Answered<EventView>) -> bool,
    ) -> Result<(), ClientError> {
        let request = self.agent.get(self.url("/v1/events")).header("Authorization", &self.authorization);
        let mut request = request.header("Accept", "text/event-stream");
        if let Some(after) = after {
            request = request.header("Last-Event-ID", after.to_string());
        }
        let answer = request.config().timeout_global(None).build().call();
        let mut answer = answer.map_err(|error| self.unreached(error))?;
        if !answer.status().is_success() {
            return self.receive(Ok(answer), MAX_ANSWER).map(drop);
        }
        for line in BufReader::new(answer.body_mut().as_reader()).lines() {
            // The line is gone, as it is when it ends: whoever follows comes back.
            let Ok(line) = line else { break };
            let Some(data) = line.strip_prefix("data:") else { continue };
            if !told(self.understood(data.as_bytes())?) {
                break;
            }
        }
        Ok(())
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.profile.url)
    }

    fn headed<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        request.header("Authorization", &self.authorization).header("Accept", "application/json")
    }

    fn read<T: DeserializeOwned>(
        &self,
        answer: Result<http::Response<Body>, ureq::Error>,
    ) -> Result<Answered<T>, ClientError> {
        let body = self.receive(answer, MAX_ANSWER)?;
        self.understood(&body)
    }

    fn understood<T: DeserializeOwned>(&self, body: &[u8]) -> Result<Answered<T>, ClientError> {
        // 204 says yes and nothing more.
        let json = if body.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(body) };
        let read = json.and_then(|json: Value| Ok(Answered { view: T::deserialize(&json)?, json }));
        read.map_err(|why| ClientError::Strange { url: self.profile.url.clone(), why: why.to_string() })
    }

    /// The body of an answer that says yes, of at most so many bytes.
    fn receive(
        &self,
        answer: Result<http::Response<Body>, ureq::Error>,
        most: u64,
    ) -> Result<Vec<u8>, ClientError> {
        let mut answer = answer.map_err(|error| self.unreached(error))?;
        let status = answer.status();
        let body = answer.body_mut().with_config().limit(most).read_to_vec();
        let body = body.map_err(|error| self.unreached(error))?;
        let (url, profile) = (self.profile.url.clone(), self.profile.file.display().to_string());
        if status == http::StatusCode::UNAUTHORIZED {
            let token = self.profile.token.display().to_string();
            return Err(ClientError::Unauthorised { url, token, profile });
        }
        if status.is_success() {
            return Ok(body);
        }
        Err(match serde_json::from_slice(&body) {
            Ok(problem) => ClientError::Problem(problem),
            Err(_) => ClientError::Strange { url, why: format!("status {status} and no reason given") },
        })
    }

    /// What it means that no answer came.
    fn unreached(&self, error: ureq::Error) -> ClientError {
        let (url, file) = (self.profile.url.clone(), self.profile.file.display().to_string());
        let ca = self.profile.ca.display().to_string();
        match error {
            ureq::Error::Rustls(why) => ClientError::Certificate { url, ca, why: why.to_string() },
            ureq::Error::Tls(why) => ClientError::Certificate { url, ca, why: why.to_owned() },
            // Rustls' own errors come wrapped in one of input and output.
            ureq::Error::Io(why) if why.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => {
                ClientError::Certificate { url, ca, why: why.to_string() }
            }
            ureq::Error::Timeout(_) => ClientError::Timeout { url },
            why => ClientError::NotRunning { url, file, why: why.to_string() },
        }
    }
}

/// What both the real client and the one of the tests keep to.
fn agent(config: ureq::config::ConfigBuilder<ureq::typestate::AgentScope>) -> Agent {
    config
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .timeout_global(Some(PATIENCE))
        .user_agent(concat!("liaison/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent()
}

/// One segment of a path: node ids have a slash in them.
pub(crate) struct Segment<'a>(pub(crate) &'a str);

impl fmt::Display for Segment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.bytes().try_for_each(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                write!(f, "{}", char::from(byte))
            }
            _ => write!(f, "%{byte:02X}"),
        })
    }
}

/// Why there is no answer, or not the one asked for.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum ClientError {
    /// Somebody answers who is not the node.
    #[error(
        "whoever answers at {url} does not show the certificate in {ca} ({why}): use the profile that this node \
         wrote. If its certificate was made anew, start the node again, and put a copy of it there"
    )]
    Certificate { url: String, ca: String, why: String },
    /// A file that the profile names is no use.
    #[error("cannot use {file}: {why}. The node wrote this file beside client.toml when it was set up")]
    Credential { file: String, why: String },
    /// Nobody answers.
    #[error("no node answers at {url} ({why}): start it with `liaison-node run`, or correct `url` in {file}")]
    NotRunning { url: String, file: String, why: String },
    /// The node says what is wrong.
    #[error("{}", .0.detail)]
    Problem(Problem),
    /// The answer makes no sense to us.
    #[error("the answer of {url} is not understood: {why}. Are node and command of the same version?")]
    Strange { url: String, why: String },
    /// It takes too long.
    #[error("no answer from {url} within {} seconds: look at the node's own log", PATIENCE.as_secs())]
    Timeout { url: String },
    /// The token is not one of the node's.
    #[error(
        "{url} does not take the token in {token}: it was taken back, or made since the node was started last, or it is \
         another node's than {profile} speaks of. Whoever runs the node knows"
    )]
    Unauthorised { url: String, token: String, profile: String },
}

impl ClientError {
    /// Whether the request may have been carried out all the same.
    pub(crate) fn leaves_doubt(&self) -> bool {
        matches!(self, Self::NotRunning { .. } | Self::Strange { .. } | Self::Timeout { .. })
    }

    /// Whether the node understood the question and the answer is no.
    pub(crate) fn is_no(&self) -> bool {
        matches!(self, Self::Problem(Problem { status: 403 | 404 | 409 | 503, .. }))
    }
}

/// How long we wait for an answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// The longest answer we read, in bytes.
const MAX_ANSWER: u64 = 64 << 20;

#[cfg(test)]
pub(crate) mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    use super::*;

    /// A client without TLS, for a node that exists in tests only.
    pub(crate) fn plain(url: &str) -> Client {
        let profile = Profile {
            file: "operator/client.toml".into(),
            url: url.to_owned(),
            ca: "operator/ca.pem".into(),
            token: "operator/officer.token".into(),
        };
        Client { agent: agent(Agent::config_builder()), profile, authorization: "Bearer secret".into() }
    }

    /// A node that gives these answers (status and body), one per connection. It returns what it was asked.
    pub(crate) fn node(answers: Vec<(&str, String)>) -> (Client, JoinHandle<Vec<String>>) {
        serve(answers.into_iter().map(|(status, body)| http_answer(status, body.as_bytes())).collect())
    }

    /// A node that gives one answer, which is no text.
    pub(crate) fn node_of_bytes(status: &str, body: Vec<u8>) -> (Client, JoinHandle<Vec<String>>) {
        serve(vec![http_answer(status, &body)])
    }

    fn serve(answers: Vec<Vec<u8>>) -> (Client, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let client = plain(&format!("http://{}", listener.local_addr().expect("its address")));
        let asked = std::thread::spawn(move || {
            let answer = |answer: Vec<u8>| {
                let (mut stream, _) = listener.accept().expect("a connection");
                let asked = read_request(&mut stream);
                stream.write_all(&answer).expect("it listens");
                asked
            };
            answers.into_iter().map(answer).collect()
        });
        (client, asked)
    }

    fn http_answer(status: &str, body: &[u8]) -> Vec<u8> {
        let head =
            format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    }

    fn read_request(stream: &mut impl Read) -> String {
        let (mut asked, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            let text = String::from_utf8_lossy(&asked).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| {
                    let (name, value) = line.split_once(": ")?;
                    name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().ok())?
                });
                if body.len() >= length.unwrap_or(0) {
                    return text;
                }
            }
            let read = stream.read(&mut buffer).expect("it speaks");
            assert_ne!(read, 0, "the request ends early: {text}");
            asked.extend_from_slice(&buffer[..read]);
        }
    }

    fn problem(status: u16, title: &str, detail: &str) -> String {
        format!(r#"{{"type":"about:blank","title":"{title}","status":{status},"detail":"{detail}"}}"#)
    }

    fn fails_with(status: &str, body: &str) -> ClientError {
        let (client, node) = node(vec![(status, body.to_owned())]);
        let error = client.get::<u64>("/v1/node", &[]).expect_err("the node says no");
        node.join().expect("the node ends");
        error
    }

    #[test]
    fn an_answer_is_handed_on_as_it_is_and_as_it_reads() {
        let (client, node) = node(vec![("200 OK", r#"{"status":"up","extra":1}"#.to_owned())]);
        #[derive(serde::Deserialize)]
        struct View {
            status: String,
        }
        let query = [("peer", Some("a b/c".to_owned())), ("state", None)];
        let answer: Answered<View> = client.get("/v1/exchanges", &query).expect("it answers");
        assert_eq!((answer.view.status.as_str(), &answer.json["extra"]), ("up", &1.into()));
        let asked = &node.join().expect("the node ends")[0];
        assert!(asked.starts_with("GET /v1/exchanges?peer=a%20b%2Fc HTTP/1.1\r\n"), "{asked}");
        assert!(asked.to_ascii_lowercase().contains("authorization: bearer secret\r\n"), "{asked}");
    }

    #[test]
    fn a_change_carries_its_body_and_its_key_whatever_the_method() {
        for (method, word) in [(Method::Delete, "DELETE"), (Method::Post, "POST"), (Method::Put, "PUT")] {
            let (client, node) = node(vec![("204 No Content", String::new())]);
            let done: Result<Answered<()>, _> = client.send(method, "/x", &["why"], Some("k-1"));
            assert_eq!(done.map(|answer| answer.json), Ok(Value::Null));
            let asked = &node.join().expect("the node ends")[0];
            assert!(asked.starts_with(word) && asked.ends_with("\r\n\r\n[\"why\"]"), "{asked}");
            let head = asked.to_ascii_lowercase();
            assert!(head.contains("idempotency-key: k-1\r\n"), "{head}");
            assert!(head.contains("content-type: application/json\r\n"), "{head}");
        }
    }

    #[test]
    fn what_the_node_refuses_is_told_in_its_own_words() {
        let refused = fails_with("409 Conflict", &problem(409, "Conflict", "the exchange is answered"));
        assert_eq!(refused.to_string(), "the exchange is answered");
        assert!(refused.is_no());
        let wrong = fails_with("400 Bad Request", &problem(400, "Bad Request", "limit is 1 to 200"));
        assert_eq!((wrong.to_string().as_str(), wrong.is_no()), ("limit is 1 to 200", false));
    }

    #[test]
    fn every_error_says_what_where_and_the_remedy() {
        let token = fails_with("401 Unauthorized", &problem(401, "Unauthorized", "no"));
        assert!(token.to_string().contains("does not take the token in operator/officer.token"), "{token}");
        let strange = fails_with("200 OK", "[]").to_string();
        assert!(strange.contains("invalid type: sequence") && strange.contains("same version"), "{strange}");
        let strange = fails_with("302 Found", "").to_string();
        assert!(strange.contains("status 302 Found and no reason given"), "{strange}");

        // The port was free a moment ago.
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("its address");
        let dead = plain(&format!("http://{free}")).get::<u64>("/", &[]).expect_err("nobody is there");
        let text = dead.to_string();
        assert!(text.starts_with(&format!("no node answers at http://{free} (")), "{text}");
        assert!(text.ends_with("liaison-node run`, or correct `url` in operator/client.toml"), "{text}");
        assert!(dead.leaves_doubt());
    }

    #[test]
    fn a_profile_whose_files_are_no_use_is_refused_before_anything_is_sent() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, content: &str| {
            std::fs::write(folder.path().join(name), content).expect("a new file");
            folder.path().join(name)
        };
        let profile = Profile {
            file: "client.toml".into(),
            url: "https://127.0.0.1:1".into(),
            ca: folder.path().join("ca.pem"),
            token: folder.path().join("token"),
        };
        let why = || Client::open(profile.clone()).err().expect("not usable").to_string();
        assert!(why().contains("ca.pem: No such file"), "{}", why());
        file("ca.pem", "nothing");
        assert!(why().contains("ca.pem: it holds no certificate in PEM form"), "{}", why());
        file("ca.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        file("token", "two words\n");
        assert!(why().contains("token: it holds no token"), "{}", why());
        file("token", "one-word\n");
        assert!(Client::open(profile.clone()).is_ok());
    }

    #[test]
    fn what_changes_is_told_event_by_event_until_the_line_ends() {
        let event = r#"{"event":"ready","ready":true}"#;
        let stream = format!(": alive\n\nevent: ready\ndata: {event}\n\nid: 7\ndata: {event}\n\n");
        let (client, node) = node(vec![("200 OK", stream)]);
        let mut told = Vec::new();
        let followed = client.follow(Some(6), &mut |event| {
            told.push(event.view);
            true
        });
        assert_eq!(followed, Ok(()));
        assert_eq!(told, [(); 2].map(|()| EventView::Ready { ready: true, why: None }));
        let asked = node.join().expect("the node ends")[0].to_ascii_lowercase();
        assert!(
            asked.starts_with("get /v1/events http/1.1\r\n") && asked.contains("last-event-id: 6\r\n"),
            "{asked}"
        );
    }

    #[test]
    fn a_node_that_cannot_sign_says_why_in_its_answer() {
        let view = r#"{"ready":false,"why":"the disk is full"}"#;
        let (client, node) = node(vec![("503 Service Unavailable", view.to_owned())]);
        let ready = client.ready().expect("it answers").view;
        assert_eq!(ready, ReadyView { ready: false, why: Some("the disk is full".into()) });
        node.join().expect("the node ends");
    }

    #[test]
    fn a_segment_has_no_slash_left_in_it() {
        assert_eq!(Segment("firearms.example.ke/liaison").to_string(), "firearms.example.ke%2Fliaison");
        assert_eq!(Segment("é %").to_string(), "%C3%A9%20%25");
    }
}

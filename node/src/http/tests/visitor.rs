//! Somebody who knocks at the door, over real TLS.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;

use liaison_protocol::operator::Problem;
use serde_json::Value;

use super::super::*;
use super::bureau::{Bureau, view};

/// A door on a free port and somebody who knocks.
pub(super) struct Visitor {
    pub(super) address: SocketAddr,
    pub(super) tls: Arc<rustls::ClientConfig>,
    pub(super) bureau: Arc<Bureau>,
    pub(super) token: String,
    pub(super) used: Mutex<BTreeSet<String>>,
    pub(super) closing: watch::Sender<bool>,
}

pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub(super) fn has(&self, header: &str) -> bool {
        self.head.lines().any(|line| line == header)
    }

    /// The detail of a problem, which is all that such a reply may be.
    pub(super) fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.body);
        assert!(self.has("content-type: application/problem+json"), "{}", self.head);
        let problem: Problem = view(self.json());
        assert_eq!((problem.kind.as_str(), problem.status), ("about:blank", status));
        assert!(!problem.title.is_empty());
        problem.detail
    }
}

impl Visitor {
    pub(super) fn connect(&self) -> rustls::StreamOwned<rustls::ClientConnection, TcpStream> {
        let name = rustls::pki_types::ServerName::from(self.address.ip());
        let client = rustls::ClientConnection::new(self.tls.clone(), name).expect("a client");
        rustls::StreamOwned::new(client, TcpStream::connect(self.address).expect("listening"))
    }

    pub(super) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut stream = self.connect();
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() {
            head += &format!("content-length: {}\r\n", body.len());
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).expect("taken");
        stream.write_all(body).expect("taken");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let status = head[9..12].parse().expect("a status");
        assert!(head.contains("\r\ncache-control: no-store"), "{head}");
        assert!(head.contains("\r\nx-content-type-options: nosniff"), "{head}");
        Reply { status, head: head.into(), body: body.into() }
    }

    /// Ask as a holder of a token, and note which route it was.
    pub(super) fn ask(&self, method: &str, path: &str, body: Value) -> Reply {
        self.ask_with(method, path, &[], body)
    }

    pub(super) fn ask_with(&self, method: &str, path: &str, more: &[(&str, &str)], body: Value) -> Reply {
        let bearer = format!("Bearer {}", self.token);
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend(more);
        let bytes = match &body {
            Value::Null => Vec::new(),
            Value::String(list) => {
                headers.push(("content-type", "text/csv; charset=utf-8"));
                list.as_bytes().to_vec()
            }
            body => {
                headers.push(("content-type", "application/json"));
                body.to_string().into_bytes()
            }
        };
        let plain = path.split('?').next().expect("a path");
        self.used.lock().expect("not poisoned").insert(format!("{method} {plain}"));
        self.send(method, path, &headers, &bytes)
    }
}

pub(super) fn token(holder: &str, random: u8) -> Token {
    Token { holder: holder.parse().expect("an officer"), secret: make_token([random; 32]) }
}

pub(super) fn settings(folder: &FilePath) -> Settings {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let (certificate, key) = make_certificate(Timestamp(now.as_secs())).expect("a certificate");
    std::fs::write(folder.join("api.pem"), certificate).expect("written");
    std::fs::write(folder.join("api.key"), key.as_bytes()).expect("written");
    let only_us = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(folder.join("api.key"), only_us).expect("the mode is set");
    Settings {
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        allow_remote: false,
        certificate: folder.join("api.pem"),
        key: folder.join("api.key"),
        tokens: vec![token("okello", 7), token("customs-1", 8)],
    }
}

pub(super) fn rehearse_with(bounds: Bounds, play: impl FnOnce(&Visitor)) {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = settings(folder.path());
    let root = CertificateDer::from_pem_file(&settings.certificate).expect("a certificate");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(root).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let bureau = Arc::new(Bureau::default());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime
        .block_on(async { open_door(settings, Metrics::default(), bureau.clone(), bounds) })
        .expect("open");
    play(&Visitor {
        address: server.address(),
        tls: Arc::new(tls),
        bureau,
        token: make_token([7; 32]).to_string(),
        used: Mutex::default(),
        closing: server.closing.clone(),
    });
    runtime.block_on(server.shutdown());
}

pub(super) fn rehearse(play: impl FnOnce(&Visitor)) {
    rehearse_with(Bounds::default(), play);
}

//! The one configuration file, and the example generated from its own documentation.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use liaison_protocol::authority::{NodeId, StateCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Configuration of a liaison node. Paths are relative to the folder of this file. Secrets are paths to files that
/// only the node's user may read, never values.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of this node: `<authority-domain>/liaison`. Fixed for ever: it stands in every signature.
    #[schemars(with = "String")]
    pub node: NodeId,
    /// The State, by its ISO 3166-1 alpha-3 code.
    #[schemars(with = "String")]
    pub state: StateCode,
    /// The data folder: log, records, index, registers. On a disk of its own, if possible.
    pub data: PathBuf,
    /// How much this node has signed. Kept apart from the data folder, so that an old copy of that is noticed: never
    /// restore the two together.
    pub marker: PathBuf,
    /// Folder of the node's keys. Root keys do not belong here, but off this machine.
    pub keys: PathBuf,
    /// Where to listen for peers, as multiaddresses: `/ip4/0.0.0.0/tcp/4710`, and beside it, for QUIC,
    /// `/ip4/0.0.0.0/udp/4710/quic-v1`. Peers try all addresses that the key set lists; where UDP is blocked, TCP is used.
    pub listen: Vec<String>,
    /// The operators' door.
    pub api: Api,
    /// What the node tells about itself.
    pub trace: Trace,
}

/// The operators' door: HTTP over TLS.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Api {
    /// Where to listen for operators and national systems: a loopback address, unless `allow_remote`.
    pub listen: SocketAddr,
    /// Whether `listen` may be an address that other machines can reach.
    pub allow_remote: bool,
    /// The certificate, in PEM.
    pub certificate: PathBuf,
    /// Its key, in PEM.
    pub key: PathBuf,
    /// Folder of bearer tokens: one file `<holder>.token` for each officer or system.
    pub tokens: PathBuf,
}

/// What the node tells about itself, on standard error. Never the content of a message.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Trace {
    /// What is told: `info`, `debug`, or a filter such as `warn,liaison_node=debug`.
    pub filter: String,
    /// `text` for people, `json` for collectors.
    pub format: Format,
}

/// How traces are written.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For collectors.
    Json,
    /// For people.
    Text,
}

/// What is wrong with a configuration, where, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {why}")]
pub struct ConfigError {
    path: PathBuf,
    why: String,
}

impl Config {
    /// The configuration of a new node.
    pub fn new(node: NodeId, state: StateCode, listen: Vec<String>, api: SocketAddr) -> Self {
        Self {
            node,
            state,
            data: "data".into(),
            marker: "signed".into(),
            keys: "keys".into(),
            listen,
            api: Api {
                listen: api,
                allow_remote: false,
                certificate: "api/certificate.pem".into(),
                key: "api/certificate.key".into(),
                tokens: "api/tokens".into(),
            },
            trace: Trace { filter: "info".into(), format: Format::Text },
        }
    }

    /// Read the file at `path`, and make its paths absolute.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError {
            path: path.into(),
            why: format!("{error}. Make a node with `liaison-node init`, or name its file with --config"),
        })?;
        Self::parse(&text, path)
    }

    /// The same, from the file's text.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let at = |why: String| ConfigError { path: path.into(), why };
        let mut config: Self = toml::from_str(text).map_err(|error| at(error.to_string()))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let Self { data, marker, keys, api: Api { certificate, key, tokens, .. }, .. } = &mut config;
        for path in [data, marker, keys, certificate, key, tokens] {
            *path = folder.join(&path);
        }
        Ok(config)
    }

    /// The file, each setting behind its documentation.
    pub fn write(&self) -> String {
        let schema = schemars::schema_for!(Self).to_value();
        let values = serde_json::to_value(self).expect("a configuration has string keys");
        let mut out = String::new();
        comment(&mut out, &schema);
        section(&mut out, &schema, &schema, &values, "");
        out
    }

    /// The example that ships with the program.
    pub fn example() -> Self {
        Self::new(
            "firearms.example.ke/liaison".parse().expect("a node id"),
            "KEN".parse().expect("a State code"),
            vec!["/ip4/0.0.0.0/tcp/4710".into()],
            "127.0.0.1:4711".parse().expect("an address"),
        )
    }
}

/// The settings of one table, then its sub-tables: in the order of the type.
fn section(
    out: &mut String,
    root: &serde_json::Value,
    schema: &serde_json::Value,
    values: &serde_json::Value,
    name: &str,
) {
    let mut tables = Vec::new();
    for (key, property) in schema["properties"].as_object().into_iter().flatten() {
        let target = property["$ref"]
            .as_str()
            .and_then(|path| root.pointer(path.trim_start_matches('#')))
            .filter(|target| target.get("properties").is_some());
        match target {
            Some(target) => tables.push((key, property, target)),
            None => {
                out.push('\n');
                comment(out, property);
                writeln!(out, "{key} = {}", values[key]).expect("writing to a string");
            }
        }
    }
    for (key, property, target) in tables {
        out.push('\n');
        comment(out, property);
        writeln!(out, "[{name}{key}]").expect("writing to a string");
        section(out, root, target, &values[key], &format!("{name}{key}."));
    }
}

fn comment(out: &mut String, schema: &serde_json::Value) {
    for line in schema["description"].as_str().unwrap_or_default().lines() {
        writeln!(out, "# {line}").expect("writing to a string");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_the_generated_one_and_reads_back() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/liaison.toml");
        let written = Config::example().write();
        if std::env::var_os("UPDATE_EXAMPLE").is_some() {
            std::fs::write(&path, &written).expect("deploy/ is there");
        }
        let kept = std::fs::read_to_string(&path).expect("deploy/liaison.toml is there");
        assert_eq!(kept, written, "run: UPDATE_EXAMPLE=1 cargo test -p liaison-node the_example");
        assert_eq!(toml::from_str::<Config>(&written).expect("reads back").write(), written);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let text = Config::example().write().replace("allow_remote", "alow_remote");
        let error = toml::from_str::<Config>(&text).expect_err("unknown key").to_string();
        assert!(error.contains("alow_remote") && error.contains("line"), "{error}");
    }
}

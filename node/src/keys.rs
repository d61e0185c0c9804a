//! Our keys: made once, kept in files that only the node's user may read, used through [`Keys`].
//!
//! Root keys are apart: they sign key sets and nothing else, and belong off this machine. A key file is JSON with a
//! format version; its mode is 0600, and one that others may read is refused.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use liaison_protocol::authority::Timestamp;
use liaison_protocol::jws;
use liaison_protocol::key_set::{Key, KeyChain, KeyUse, Root};
use liaison_protocol::note;
use liaison_protocol::sign::{KEY_LEN, SecretKey};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::system::HELP_WITH_FILES;

/// What goes wrong with keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A key file exists where one was to be made.
    #[error("{0} exists already, and keys are never overwritten: move it to where the old keys are kept")]
    Exists(PathBuf),
    /// The file is not a key file of ours.
    #[error("the key file {path}: {why}")]
    Form {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The system refused.
    #[error("cannot use {path}: {source}. {HELP_WITH_FILES}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// Others may read it.
    #[error("{0}: others may read this key file; run: chmod 600 {0}")]
    Open(PathBuf),
}

/// What helps where a key file is not what was written.
const PUT_BACK: &str = "Put back the file that `liaison-node` made";

/// A key file.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    format: u32,
    kid: String,
    seed: String,
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        self.seed.zeroize();
    }
}

/// A secret key with its name.
#[derive(Debug)]
pub struct Named {
    /// Its name in the key set.
    pub kid: String,
    /// The key.
    pub key: SecretKey,
}

impl Named {
    /// A new key called `kid`. It is nowhere else before it is [written](Self::write).
    pub fn new(kid: &str) -> Self {
        let mut seed = Zeroizing::new([0; KEY_LEN]);
        random(seed.as_mut());
        Self { kid: kid.into(), key: SecretKey::from_seed(&seed) }
    }

    /// Write its file in `folder`.
    pub fn write(&self, folder: &Path) -> Result<(), KeyError> {
        let path = folder.join(format!("{}.key", self.kid));
        let at = |source| KeyError::Io { path: path.clone(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(at)?;
        let seed = jws::encode(self.key.seed().as_ref());
        let file = KeyFile { format: 1, kid: self.kid.clone(), seed };
        let text = Zeroizing::new(serde_json::to_vec(&file).expect("strings"));
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(mut out) => out
                .write_all(&text)
                .and_then(|()| out.sync_all())
                // The file's name must survive, too: its fingerprint is about to be read out.
                .and_then(|()| fs::File::open(folder)?.sync_all())
                .map_err(at),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(KeyError::Exists(path)),
            Err(error) => Err(at(error)),
        }
    }

    /// Read a key file.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let at = |source| KeyError::Io { path: path.into(), source };
        let form = |why: String| KeyError::Form { path: path.into(), why };
        if fs::metadata(path).map_err(at)?.mode() & 0o077 != 0 {
            return Err(KeyError::Open(path.into()));
        }
        let text = Zeroizing::new(fs::read(path).map_err(at)?);
        let file: KeyFile =
            serde_json::from_slice(&text).map_err(|error| form(format!("{error}. {PUT_BACK}")))?;
        if file.format != 1 {
            return Err(form(format!("format {} is newer than this program: upgrade it", file.format)));
        }
        let bytes = Zeroizing::new(jws::decode(&file.seed).unwrap_or_default());
        let seed: &[u8; KEY_LEN] = bytes
            .as_slice()
            .try_into()
            .map_err(|_| form(format!("the seed is not 32 bytes of base64url. {PUT_BACK}")))?;
        Ok(Self { kid: file.kid.clone(), key: SecretKey::from_seed(seed) })
    }

    /// The number at the end of its name; 0 if there is none.
    pub fn number(&self) -> u64 {
        self.kid.rsplit_once('-').and_then(|(_, number)| number.parse().ok()).unwrap_or(0)
    }

    /// The key as a key set lists it.
    pub fn listed(&self, usage: KeyUse, nbf: Timestamp, naf: Timestamp) -> Key {
        Key {
            kid: self.kid.clone(),
            usage,
            alg: jws::ALGORITHM.into(),
            public: self.key.public(),
            nbf,
            naf,
            functions: Vec::new(),
        }
    }

    /// The key as a root.
    pub fn root(&self) -> Root {
        Root { kid: self.kid.clone(), public: self.key.public() }
    }
}

/// The keys a running node signs with. Root keys are not among them.
#[derive(Debug)]
pub struct Keys {
    /// Message keys.
    pub messages: Vec<Named>,
    /// Signs checkpoints.
    pub log: Named,
    /// Cosigns others' heads.
    pub witness: Named,
    /// Proves the transport identity.
    pub transport: Named,
}

impl Keys {
    /// The keys of a new node. They are nowhere else before they are [written](Self::write).
    pub fn first() -> Self {
        Self {
            messages: vec![Named::new("msg-1")],
            log: Named::new("log-1"),
            witness: Named::new("witness-1"),
            transport: Named::new("transport-1"),
        }
    }

    /// Write a file of each in `folder`.
    pub fn write(&self, folder: &Path) -> Result<(), KeyError> {
        let mut all = self.messages.iter().chain([&self.log, &self.witness, &self.transport]);
        all.try_for_each(|named| named.write(folder))
    }

    /// Read the keys of a node.
    pub fn read(folder: &Path) -> Result<Self, KeyError> {
        let at = |source| KeyError::Io { path: folder.into(), source };
        let mut messages = Vec::new();
        for entry in fs::read_dir(folder).map_err(at)? {
            let path = entry.map_err(at)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with("msg-") && name.ends_with(".key") {
                messages.push(Named::read(&path)?);
            }
        }
        messages.sort_by_key(Named::number);
        Ok(Self {
            messages,
            log: Named::read(&folder.join("log-1.key"))?,
            witness: Named::read(&folder.join("witness-1.key"))?,
            transport: Named::read(&folder.join("transport-1.key"))?,
        })
    }

    /// The newest message key that our key set lists and that is good at `now`.
    pub fn message_key(&self, own: &KeyChain, now: Timestamp) -> Option<&Named> {
        let set = own.current();
        self.messages.iter().rev().find(|named| {
            set.message_key(&named.kid)
                .is_some_and(|key| key.public == named.key.public() && own.is_good_at(key, now))
        })
    }

    /// The verifier key of our log, for outsiders (C2SP signed-note).
    pub fn log_verifier(&self, origin: &str) -> String {
        note::verifier_key(origin, note::KeyType::Log, &self.log.key.public())
    }
}

/// Fill `bytes` from the operating system's source of randomness.
pub fn random(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system has randomness");
}

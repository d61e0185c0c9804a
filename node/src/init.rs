//! A State's node from nothing: keys, key set, log, certificate, tokens, configuration. And its next key set.

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use liaison_protocol::authority::{Function, Line, NodeId, OfficerId, StateCode, Timestamp};
use liaison_protocol::deadline::{Target, WorkingCalendar};
use liaison_protocol::key_set::{
    Contact, Fingerprint, KeyChain, KeySet, KeySetFlaw, KeyUse, LogName, MAX_LIFE, Revocation, SignedKeySet,
    TransportIdentity,
};
use liaison_protocol::message::MAX_ACCEPT;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::config::{Api, Config, ConfigError};
use crate::disk::Folder;
use crate::http;
use crate::keys::{KeyError, Keys, Named, random};
use crate::log::Place;
use crate::marker;
use crate::node::{Node, NodeError};
use crate::peers::{self, NotAnAddress};
use crate::system::HELP_WITH_FILES;

/// Name of the configuration file in a node's folder.
pub const CONFIG: &str = "liaison.toml";
/// Name of our key set file, in the data folder and in the log's.
pub const KEY_SETS: &str = "key-sets";

/// What a new node is made from.
#[derive(Clone, Debug)]
pub struct Birth {
    /// Its folder: must be empty or absent.
    pub folder: PathBuf,
    /// Folder for the root keys; kept apart.
    pub roots: PathBuf,
    /// Its name.
    pub node: NodeId,
    /// The State.
    pub state: StateCode,
    /// The authority's official name.
    pub authority: Line,
    /// What the authority may do.
    pub functions: Vec<Function>,
    /// How people reach it (Art. 13(2)).
    pub contact: Contact,
    /// Where it listens for peers.
    pub listen: Vec<String>,
    /// Where peers reach it; may be empty for a node that only dials.
    pub addrs: Vec<String>,
    /// Where it listens for operators.
    pub api: SocketAddr,
}

/// Why a node or a key set was not made.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// An address is not one.
    #[error(transparent)]
    Address(#[from] NotAnAddress),
    /// The configuration cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Something is there already.
    #[error("{0} is not empty: nothing is ever overwritten. Choose another folder")]
    Exists(PathBuf),
    /// The system refused.
    #[error("cannot use {path}: {source}. {HELP_WITH_FILES}")]
    Io {
        /// Where.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The certificate of the API.
    #[error(transparent)]
    Http(#[from] http::HttpError),
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The key set.
    #[error(transparent)]
    KeySet(#[from] KeySetFlaw),
    /// The log.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// There is no message key of that name.
    #[error("{0} is no message key of our key set: see `kid` of the keys in it, such as msg-1")]
    NoSuchKey(String),
    /// The API's certificate and its key are one file.
    #[error(
        "{0} holds both the certificate and the key of the API: name two files in [api], then make them anew"
    )]
    OneFile(PathBuf),
    /// There is no folder to make another in.
    #[error("{0} is no folder that is there: look at the path once more, or make that one first")]
    NoFolder(PathBuf),
    /// The operators' door would be open to other machines.
    #[error(
        "--api {0}: other machines may reach that, and the certificate made here is for this machine alone. Make the node \
         at a loopback address such as 127.0.0.1:4711; how to open its door to others says OPERATING.md"
    )]
    Remote(SocketAddr),
    /// The root keys would lie with the others.
    #[error(
        "{0}: root keys do not belong in the node's folder, but off this machine: name another folder with --roots"
    )]
    RootsWithin(PathBuf),
    /// The State's code is not in the code list.
    #[error("{0} is not a State's code of ISO 3166-1 alpha-3 (nor EUE): see https://www.iso.org/obp")]
    NoSuchState(StateCode),
}

/// Make a node. Returns its root fingerprint.
pub fn make(birth: &Birth, now: Timestamp) -> Result<Fingerprint, InitError> {
    if birth.state.as_str() != "EUE" && rust_iso3166::from_alpha3(birth.state.as_str()).is_none() {
        return Err(InitError::NoSuchState(birth.state.clone()));
    }
    birth.listen.iter().try_for_each(|address| peers::check_listening(address))?;
    birth.addrs.iter().try_for_each(|address| peers::check_address(address))?;
    if !birth.api.ip().is_loopback() {
        return Err(InitError::Remote(birth.api));
    }
    if real(&birth.roots)?.starts_with(real(&birth.folder)?) {
        return Err(InitError::RootsWithin(birth.roots.clone()));
    }
    for folder in [&birth.folder, &birth.roots] {
        if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(InitError::Exists(folder.clone()));
        }
    }
    let config = Config::new(birth.node.clone(), birth.state.clone(), birth.listen.clone(), birth.api);
    let at = |path: &str| birth.folder.join(path);

    // Nothing is written before it holds: a slip leaves nothing behind.
    let (root, keys) = (Named::new("root-1"), Keys::first());
    let signed = first_key_set(birth, &root, &keys, now)?;
    root.write(&birth.roots)?;
    keys.write(&at("keys"))?;
    let chain = format!("{}\n", signed.json());

    let disk = Folder::new(at("data"));
    let place = place_of(&birth.node, 1, &keys);
    let (size, mut spiller) = Node::create(disk, place, signed.json(), &keys, now, &mut random)?;
    spiller.step().map_err(NodeError::from)?;

    marker::write(&at("signed"), &birth.node.log_origin(1), size)
        .map_err(|source| InitError::Io { path: at("signed"), source })?;
    let (certificate, key) = http::make_certificate(now)?;
    secret_file(&at("api/certificate.key"), key.as_bytes())?;
    secret_file(&at("api/certificate.pem"), certificate.as_bytes())?;
    make_token(&at("api/tokens"), &"officer".parse().expect("an officer id"))?;
    for folder in ["data", "data/log1"] {
        secret_file(&at(folder).join(KEY_SETS), chain.as_bytes())?;
    }
    let client = client(birth.api, "../api/certificate.pem", "../api/tokens/officer.token");
    secret_file(&at("operator/client.toml"), client.as_bytes())?;
    // Last, for without it there is no node.
    secret_file(&at(CONFIG), config.write().as_bytes())?;
    hand_over(&birth.folder, &birth.folder)?;
    Ok(signed.fingerprint())
}

fn first_key_set(
    birth: &Birth,
    root: &Named,
    keys: &Keys,
    now: Timestamp,
) -> Result<SignedKeySet, KeySetFlaw> {
    let expires = now.plus(MAX_LIFE);
    let message = keys.messages.first().expect("a new node has one");
    let set = KeySet {
        v: 1,
        node: birth.node.clone(),
        state: birth.state.clone(),
        authority: birth.authority.clone(),
        functions: birth.functions.clone(),
        version: 1,
        prev: None,
        issued: now,
        expires,
        roots: vec![root.root()],
        threshold: 1,
        keys: vec![
            message.listed(KeyUse::Msg, now, expires),
            keys.log.listed(KeyUse::Log, now, expires),
            keys.witness.listed(KeyUse::Witness, now, expires),
        ],
        peers: vec![TransportIdentity {
            peer_id: peers::peer_id_of(&keys.transport.key.seed()),
            nbf: now,
            naf: expires,
        }],
        addrs: birth.addrs.clone(),
        logs: vec![LogName { n: 1, kid: keys.log.kid.clone() }],
        revoked: Vec::new(),
        contact: birth.contact.clone(),
        calendar: None,
        targets: Vec::new(),
    };
    SignedKeySet::sign(set, &signers(root, keys))
}

fn signers<'a>(root: &'a Named, keys: &'a Keys) -> Vec<(&'a str, &'a liaison_protocol::sign::SecretKey)> {
    [root, &keys.log, &keys.witness]
        .into_iter()
        .chain(&keys.messages)
        .map(|named| (named.kid.as_str(), &named.key))
        .collect()
}

/// The log of a node: where it is, and under which key.
pub fn place_of(node: &NodeId, log: u32, keys: &Keys) -> Place {
    Place { origin: node.log_origin(log), folder: format!("log{log}"), key: keys.log.key.public() }
}

/// What changes in the next version of a key set, beside its dates.
#[derive(Debug, Default)]
pub struct Renewal {
    /// Where peers reach the node from now on; as before, if absent.
    pub addrs: Option<Vec<String>>,
    /// How people reach the authority from now on; telephones as before, if there is none, and addresses likewise.
    pub contact: Contact,
    /// Whether a new message key takes over; the old ones stay good for [`OVERLAP`].
    pub rotate: bool,
    /// A message key that must not be believed, since when (now, if not said), and why.
    pub revoke: Option<(String, Option<Timestamp>, Line)>,
    /// Working days and targets; as before, if absent.
    pub service: Option<Service>,
}

/// When the authority works and how soon it answers, as a file in TOML says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// On which days it works.
    pub calendar: WorkingCalendar,
    /// The targets it sets itself.
    #[serde(default)]
    pub targets: Vec<Target>,
}

/// How long a message key stays good after another took over, in seconds: 30 days, as long as mail may wait.
pub const OVERLAP: u64 = MAX_ACCEPT;

/// Make the next version of a node's key set: renewed for 13 months, and changed as asked. Returns the signed version,
/// to be put in force through the node.
pub fn renew(
    config: &Config,
    roots: &Path,
    renewal: Renewal,
    now: Timestamp,
) -> Result<SignedKeySet, InitError> {
    let Renewal { addrs, contact, rotate, revoke, service } = renewal;
    let path = config.data.join(KEY_SETS);
    let text = fs::read_to_string(&path).map_err(|source| InitError::Io { path, source })?;
    let chain = KeyChain::parse(&text)?;
    let mut keys = Keys::read(&config.keys)?;
    let root = Named::read(&roots.join("root-1.key"))?;
    if let Some((kid, _, _)) = &revoke
        && chain.current().message_key(kid).is_none()
    {
        return Err(InitError::NoSuchKey(kid.clone()));
    }
    addrs.iter().flatten().try_for_each(|address| peers::check_address(address))?;
    let expires = now.plus(MAX_LIFE);
    let mut set = chain.current().clone();
    set.version += 1;
    set.prev = Some(chain.newest().digest());
    (set.issued, set.expires) = (now, expires);
    set.addrs = addrs.unwrap_or(set.addrs);
    for (before, now) in
        [(&mut set.contact.phones, contact.phones), (&mut set.contact.emails, contact.emails)]
    {
        if !now.is_empty() {
            *before = now;
        }
    }
    for key in &mut set.keys {
        key.naf = match key.usage {
            KeyUse::Msg if rotate => key.naf.min(now.plus(OVERLAP)),
            _ => expires,
        };
    }
    if let Some(service) = service {
        (set.calendar, set.targets) = (Some(service.calendar), service.targets);
    }
    if let Some((kid, since, reason)) = revoke {
        set.revoked.push(Revocation { kid, untrusted_from: since.unwrap_or(now), reason });
    }
    if rotate {
        let number = 1 + keys.messages.iter().map(Named::number).max().unwrap_or(0);
        let key = Named::new(&format!("msg-{number}"));
        set.keys.push(key.listed(KeyUse::Msg, now, expires));
        keys.messages.push(key);
    }
    for identity in &mut set.peers {
        identity.naf = expires;
    }
    let signed = SignedKeySet::sign(set, &signers(&root, &keys))?;
    let next = SignedKeySet::next(signed.json(), chain.newest())?;
    // Not before all holds: a slip leaves no key behind.
    if let Some(key) = keys.messages.last().filter(|_| rotate) {
        key.write(&config.keys)?;
        hand_over(&config.keys.join(format!("{}.key", key.kid)), &config.keys)?;
    }
    Ok(next)
}

/// Make a bearer token for `holder`. It is in force from the node's next start.
pub fn make_token(folder: &Path, holder: &OfficerId) -> Result<PathBuf, InitError> {
    let mut bytes = [0; 32];
    random(&mut bytes);
    let path = folder.join(format!("{holder}.token"));
    secret_file(&path, http::make_token(bytes).as_bytes())?;
    hand_over(&path, folder)?;
    Ok(path)
}

/// Make the certificate of the operators' door and its key anew. They are in force from the node's next start; those before
/// stay beside them, with `.until-` and the moment behind their names.
pub fn renew_certificate(api: &Api, now: Timestamp) -> Result<(), InitError> {
    if api.certificate == api.key {
        return Err(InitError::OneFile(api.key.clone()));
    }
    let (certificate, key) = http::make_certificate(now)?;
    let beside = |path: &Path, ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let moment = now.to_string().replace([' ', ':'], "-");
    let both = [(&api.key, key.as_bytes()), (&api.certificate, certificate.as_bytes())];
    for (path, pem) in both {
        let (new, old) = (beside(path, ".new"), beside(path, &format!(".until-{moment}")));
        let at = |source| InitError::Io { path: path.clone(), source };
        // What an attempt left that was broken off.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(error)),
            _ => secret_file(&new, pem)?,
        }
        hand_over(&new, new.parent().unwrap_or(&new))?;
        match fs::hard_link(path, &old) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(InitError::Io { path: old, source: error });
            }
            _ => {}
        }
    }
    for (path, _) in both {
        fs::rename(beside(path, ".new"), path)
            .map_err(|source| InitError::Io { path: path.clone(), source })?;
    }
    Ok(())
}

/// Where `path` leads, through links and `..`, as far as it is there.
fn real(path: &Path) -> Result<PathBuf, InitError> {
    let full = std::path::absolute(path).map_err(|source| InitError::Io { path: path.into(), source })?;
    let mut real = PathBuf::new();
    for part in full.components() {
        match part {
            Component::ParentDir => drop(real.pop()),
            part => real.push(part),
        }
        real = match real.canonicalize() {
            // Where a link will lead once something is there, nobody knows.
            Err(source) if real.is_symlink() => return Err(InitError::Io { path: real, source }),
            known => known.unwrap_or(real),
        };
    }
    Ok(real)
}

/// Write a profile of the command `liaison` to the new folder `folder`: where the operators' door is, its certificate, and
/// the token in the file `token`.
pub fn make_profile(api: &Api, token: &Path, folder: &Path) -> Result<(), InitError> {
    let full = check_profile(folder)?;
    // The first folder that is made, and what it is made in: whose that is, gets it.
    let made = full.ancestors().take_while(|above| !above.exists()).last().unwrap_or(&full);
    let read = |path: &Path| fs::read(path).map_err(|source| InitError::Io { path: path.into(), source });
    let make = || {
        secret_file(&full.join("certificate.pem"), &read(&api.certificate)?)?;
        secret_file(&full.join("token"), &Zeroizing::new(read(token)?))?;
        secret_file(&full.join("client.toml"), client(api.listen, "certificate.pem", "token").as_bytes())?;
        hand_over(made, made.parent().unwrap_or(made))
    };
    make().inspect_err(|_| drop(fs::remove_dir_all(made)))
}

/// The full path of a profile that may be made. It may be new, and a `.config` it is in, and no more: a mistyped home is
/// not made.
pub fn check_profile(folder: &Path) -> Result<PathBuf, InitError> {
    if folder.exists() {
        return Err(InitError::Exists(folder.into()));
    }
    let full = std::path::absolute(folder).map_err(|source| InitError::Io { path: folder.into(), source })?;
    let [above, further] = [1, 2].map(|up| full.ancestors().nth(up).unwrap_or(Path::new("/")));
    let may_be_new = above.file_name().is_some_and(|name| name == ".config");
    let there = if above.exists() || !may_be_new { above } else { further };
    if there.is_dir() { Ok(full) } else { Err(InitError::NoFolder(there.into())) }
}

/// How the command `liaison` reaches a node.
fn client(api: SocketAddr, certificate: &str, token: &str) -> String {
    format!(
        "# How the command `liaison` reaches this node. Paths are relative to this file.\nurl = \"https://{api}\"\nca = \"{certificate}\"\ntoken = \"{token}\"\n"
    )
}

/// What root makes in a folder of another user becomes that user's, with all that is in it: the node does not run as
/// root, and could not read it.
fn hand_over(path: &Path, folder: &Path) -> Result<(), InitError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| InitError::Io { path, source }
    };
    let owner = fs::metadata(folder).map_err(at(folder))?;
    let mut waiting = vec![path.to_owned()];
    while let Some(path) = waiting.pop() {
        let ours = fs::symlink_metadata(&path).map_err(at(&path))?;
        if ours.is_dir() {
            for entry in fs::read_dir(&path).map_err(at(&path))? {
                waiting.push(entry.map_err(at(&path))?.path());
            }
        }
        if ours.uid() == 0 && owner.uid() != 0 {
            std::os::unix::fs::lchown(&path, Some(owner.uid()), Some(owner.gid())).map_err(at(&path))?;
        }
    }
    Ok(())
}

/// Write a new file that only its owner may read.
fn secret_file(path: &Path, content: &[u8]) -> Result<(), InitError> {
    let at = |source| InitError::Io { path: path.into(), source };
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(at)?;
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(at)?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn birth(folder: &Path) -> Birth {
        Birth {
            folder: folder.join("node"),
            roots: folder.join("roots"),
            node: "firearms.example.ke/liaison".parse().expect("a node id"),
            state: "KEN".parse().expect("a State"),
            authority: "Bureau".parse().expect("a line"),
            functions: Vec::new(),
            contact: Contact {
                phones: vec!["+254 20 555 0100".parse().expect("a line")],
                emails: Vec::new(),
            },
            listen: vec!["/ip4/127.0.0.1/tcp/4710".into()],
            addrs: Vec::new(),
            api: "127.0.0.1:4711".parse().expect("an address"),
        }
    }

    /// Everything below `folder` with its owner and mode, but what is in a log.
    fn below(folder: &Path) -> Vec<(PathBuf, u32, u32)> {
        let (mut found, mut waiting) = (Vec::new(), vec![folder.to_owned()]);
        while let Some(path) = waiting.pop() {
            let metadata = fs::symlink_metadata(&path).expect("it is there");
            if metadata.is_dir() {
                waiting.extend(fs::read_dir(&path).expect("ours").map(|entry| entry.expect("ours").path()));
            }
            found.push((path, metadata.uid(), metadata.mode() & 0o777));
        }
        found
    }

    #[test]
    fn a_slip_leaves_nothing_behind() {
        let kept = tempfile::tempdir().expect("a folder");
        let number: Line = "+254 20 555 0100".parse().expect("a line");
        let too_many = Contact { phones: vec![number; 5], emails: Vec::new() };
        let birth = birth(kept.path());
        let slip = Birth { contact: too_many.clone(), ..birth.clone() };
        let why = make(&slip, Timestamp(1_764_000_000)).expect_err("four are the most").to_string();
        assert!(why.contains("at most 4 phones"), "{why}");
        let with = |change: fn(&mut Birth)| {
            let mut slip = birth.clone();
            change(&mut slip);
            make(&slip, Timestamp(1_764_000_000)).expect_err("a slip").to_string()
        };
        std::os::unix::fs::symlink(&birth.folder, kept.path().join("later")).expect("a link");
        let roots = kept.path().join("later/roots");
        let said = make(&Birth { roots, ..birth.clone() }, Timestamp(1_764_000_000)).expect_err("a slip");
        assert!(said.to_string().contains("later: No such file"), "{said}");
        fs::create_dir(&birth.folder).expect("it may be there, empty");
        std::os::unix::fs::symlink(&birth.folder, kept.path().join("elsewhere")).expect("a link");
        for (slip, hint) in [
            (
                (|birth| birth.addrs = vec!["/ip4/0.0.0.0/tcp/4710".into()]) as fn(&mut Birth),
                "lead to a machine",
            ),
            (|birth| birth.listen = vec!["/dns4/liaison.example.ke/tcp/4710".into()], "listens at"),
            (|birth| birth.api = ([0, 0, 0, 0], 4711).into(), "loopback address"),
            (|birth| birth.roots = birth.folder.join("keys/roots"), "--roots"),
            (|birth| birth.roots = birth.folder.clone(), "--roots"),
            (|birth| birth.roots = birth.folder.join("../roots/../node/roots"), "--roots"),
            (|birth| birth.roots = birth.folder.join("../elsewhere/roots"), "--roots"),
        ] {
            let said = with(slip);
            assert!(said.contains(hint), "{said}");
        }
        assert_eq!(below(kept.path()).len(), 4, "the folder, the node's, and the links");

        let birth = Birth { roots: birth.folder.join("../roots"), ..birth };
        make(&birth, Timestamp(1_764_000_000)).expect("a node");
        let config = Config::read(&birth.folder.join(CONFIG)).expect("a configuration");
        let before = below(kept.path());
        let slip = Renewal { rotate: true, contact: too_many, ..Renewal::default() };
        renew(&config, &birth.roots, slip, Timestamp(1_764_000_100)).expect_err("four are the most");
        assert_eq!(below(kept.path()), before, "nor a message key that no key set lists");
    }

    #[test]
    fn a_mistyped_home_is_not_made() {
        let kept = tempfile::tempdir().expect("a folder");
        let at = |path: &str| kept.path().join(path);
        fs::create_dir(at("okello")).expect("a home");
        fs::write(at("okello/file"), "").expect("a file");
        assert_eq!(
            check_profile(&at("okello/.config/liaison")).expect("it may be made"),
            at("okello/.config/liaison")
        );
        assert_eq!(check_profile(&at("okello/liaison")).expect("it may be made"), at("okello/liaison"));
        for (slip, named) in [
            ("okelo/.config/liaison", "okelo is no folder"),
            ("okelo/liaison", "okelo is no folder"),
            ("okello/file/liaison", "okello/file is no folder"),
            ("okello/file", "nothing is ever overwritten"),
            ("okello", "nothing is ever overwritten"),
        ] {
            let said = check_profile(&at(slip)).expect_err(slip).to_string();
            assert!(said.contains(named), "{said}");
        }
    }

    /// Only root can give something away; as another user this shows that all is still ours.
    #[test]
    fn what_root_makes_in_the_nodes_folder_is_the_nodes_and_the_roots_stay_roots() {
        let kept = tempfile::tempdir().expect("a folder");
        let birth = birth(kept.path());
        let us = fs::metadata(kept.path()).expect("a folder").uid();
        let node = if us == 0 { 65_534 } else { us };
        for folder in ["node", "home"] {
            let folder = kept.path().join(folder);
            fs::create_dir(&folder).expect("a new folder");
            std::os::unix::fs::chown(&folder, Some(node), None).expect("ours to give");
        }
        make(&birth, Timestamp(1_764_000_000)).expect("a node");
        let config = Config::read(&birth.folder.join(CONFIG)).expect("a configuration");
        let token = make_token(&config.api.tokens, &"okello".parse().expect("an id")).expect("a token");
        let contact = Contact {
            emails: vec!["desk@firearms.example.ke".parse().expect("a line")],
            ..Contact::default()
        };
        let renewal = Renewal { rotate: true, contact: contact.clone(), ..Renewal::default() };
        let renewed =
            renew(&config, &birth.roots, renewal, Timestamp(1_764_000_100)).expect("a next version");
        let phones = birth.contact.phones.clone();
        assert_eq!(renewed.set().contact, Contact { phones, ..contact }, "what is not named anew stays");
        let profile = kept.path().join("home/.config/liaison");
        let no_token = kept.path().join("no-token");
        make_profile(&config.api, &no_token, &profile).expect_err("there is no token");
        assert_eq!(below(&kept.path().join("home")).len(), 1, "no half of a profile stays");
        make_profile(&config.api, &token, &profile).expect("a profile");

        let made = [below(&birth.folder), below(&kept.path().join("home"))].concat();
        for file in
            ["node/keys/msg-2.key", "node/api/tokens/okello.token", "home/.config/liaison/client.toml"]
        {
            assert!(made.iter().any(|(path, ..)| path.ends_with(file)), "{file} is not in {made:?}");
        }
        for (path, owner, _) in &made {
            assert_eq!(*owner, node, "{}", path.display());
        }
        for (path, owner, mode) in below(&birth.roots) {
            assert!(owner == us && mode & 0o077 == 0, "{}", path.display());
        }
        let again = make_profile(&config.api, &token, &profile).expect_err("it is there");
        assert!(again.to_string().contains("nothing is ever overwritten"), "{again}");
        assert_eq!(fs::read(profile.join("token")).expect("readable"), fs::read(token).expect("readable"));
    }
}

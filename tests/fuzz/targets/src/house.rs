//! What only a node reads: lists of licences and firearms from national systems, where peers say they are found, and its own
//! configuration.

use std::path::Path;

use liaison_node::config::Config;
use liaison_node::peers::{Destination, check_address, check_listening, check_peer_id};
use liaison_node::register::{Firearms, Licences};
use liaison_protocol::authority::StateCode;
use liaison_protocol::merkle::Hash;

use crate::office::NOW;
use crate::samples;

/// A list of firearms or of licences. Taken whole or not at all, and what is in it can be found.
pub(crate) fn register(bytes: &[u8]) {
    let us: StateCode = "KEN".parse().expect("a State");
    if let Ok(firearms) = Firearms::parse(bytes) {
        assert_eq!(firearms.digest(), Some(Hash::of(bytes)));
        assert!(firearms.len() <= bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() + 1);
        let item = samples::pistol();
        let shown = firearms.candidates(&item, NOW.date(), &us);
        if firearms.beyond_doubt(&item, NOW.date(), &us).is_some() {
            assert!(!shown.is_empty(), "answered by rule, and shown to nobody");
        }
    }
    if let Ok(taken) = Firearms::take(bytes, NOW) {
        // What may be taken anew can be read again at each start.
        assert_eq!(Firearms::parse(bytes).map(|read| read.len()), Ok(taken.len()));
    }
    if let Ok(licences) = Licences::parse(bytes) {
        assert_eq!(licences.digest(), Some(Hash::of(bytes)));
        let day = NOW.date();
        assert!(licences.changed(&licences, day, day).is_empty(), "news, though nothing changed");
    }
}

/// An address or an identity, as key sets list them.
pub(crate) fn address(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let to = Destination::of(text);
    assert!(to.is_ok() || check_address(text).is_err(), "others are told of it, and it leads nowhere");
    let listens = to.is_ok_and(|to| !to.is_name);
    assert_eq!(check_listening(text).is_ok(), listens, "a node listens at numbers");
    if check_peer_id(text).is_ok() {
        assert!(check_address(text).is_err());
    }
}

/// The file that configures a node. What is wrong with it is said of that file.
pub(crate) fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Config::parse(text, Path::new("house/liaison.toml")) {
        Ok(config) => assert!(!config.keys.is_relative() || config.keys.starts_with("house")),
        Err(error) => assert!(error.to_string().contains("house/liaison.toml")),
    }
}

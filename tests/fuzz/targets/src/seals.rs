//! Seals: what we seal opens, what opens was sealed so, and nothing that was altered opens.

use liaison_protocol::envelope::{self, MAX_TOKEN, TYP, Verified};
use liaison_protocol::json;
use liaison_protocol::jws::{self, Header};
use liaison_protocol::key_set::{KeyChain, KeySet, SignedKeySet};
use liaison_protocol::merkle::{Hash, TreeHead};
use liaison_protocol::note::{Checkpoint, cosign, open_checkpoint, open_cosignature, sign_checkpoint};
use serde_json::Value;

use crate::world::{KENYA, PERU, opener, request};
use crate::{chains, perus};

/// A token, whoever it comes from and whoever it is for.
pub(crate) fn token(bytes: &[u8]) {
    let Ok(token) = str::from_utf8(bytes) else { return };
    let read = envelope::assume_recorded(token);
    if let Ok(verified) = &read {
        assert!(token.len() <= MAX_TOKEN);
        assert_eq!((verified.token(), envelope::id_of(token)), (token, Some(verified.id())));
        // Whether the seal holds was found out before it was recorded.
        assert_eq!(token.split('.').take(2).filter(|part| jws::decode(part).is_some()).count(), 2);
    }
    for (sender, chain) in chains() {
        for (us, _) in chains().iter().filter(|(us, _)| us.short != sender.short) {
            let opened = envelope::open(token, &sender.node(), chain, &us.node());
            let Ok(opened) = opened else { continue };
            assert_eq!(Ok(&opened), read.as_ref());
            let said = opened.message();
            assert_eq!((&said.iss, &said.aud), (&sender.node(), &us.node()));
        }
    }
}

/// The payload of a message, under a header that fits it.
pub(crate) fn message(bytes: &[u8]) {
    let kind = json::parse::<Value>(bytes).ok().and_then(|raw| Some(raw.get("kind")?.as_str()?.to_owned()));
    let Some(kind) = kind else { return };
    let Ok(read) = read(bytes, &kind) else { return };
    let message = read.message();
    let _ =
        (message.check(), message.is_understood(), message.body.codes_are_known(), message.body.subject());
    let sealed = envelope::seal(message.clone(), "msg-1", &PERU.secret("msg-1"));
    let payload = sealed.token().split('.').nth(1).and_then(jws::decode).expect("three parts");
    let said: Value = json::parse(bytes).expect("it was read");
    if message.beyond_us {
        // What goes beyond us is not ours to repeat: what we write is less.
        assert_ne!(json::canonical(&said), payload);
    } else {
        assert_eq!(json::canonical(&said), payload, "one meaning, two forms");
    }
    let again = self::read(&payload, &kind).expect("what we write we read");
    assert!(!again.message().beyond_us);
    assert_eq!(
        liaison_protocol::message::Message { beyond_us: message.beyond_us, ..again.message().clone() },
        *message
    );
    if message.iss == PERU.node() && message.aud == KENYA.node() {
        let opened = envelope::open(sealed.token(), &PERU.node(), perus(), &KENYA.node());
        let opened = opened.expect("what we seal opens");
        assert_eq!((opened.id(), opened.token()), (sealed.id(), sealed.token()));
    }
}

fn read(payload: &[u8], kind: &str) -> Result<Verified, liaison_protocol::fault::Fault> {
    let header = Header::new(TYP, format!("liaison.{kind}.v1+json"), format!("{}#msg-1", PERU.node()));
    let unsealed = format!(
        "{}.{}.{}",
        jws::encode(&json::canonical(&header)),
        jws::encode(payload),
        jws::encode(&[0; 64])
    );
    envelope::assume_recorded(&unsealed)
}

/// What a key set says, signed with whatever keys it names; or a whole file of key sets.
pub(crate) fn key_set(bytes: &[u8]) {
    if let Ok(chain) =
        str::from_utf8(bytes).map_err(drop).and_then(|file| KeyChain::parse(file).map_err(drop))
    {
        assert_eq!(KeyChain::parse(&chain.file()).as_ref(), Ok(&chain));
        assert_eq!(chain.at(chain.current().issued), chain.current());
    }
    let Ok(set) = json::parse_exact::<KeySet>(bytes) else { return };
    let names = ["root-1", "root-2", "root-3", "msg-1", "msg-2", "log-1", "witness-1"];
    let (party, chain) = chains().iter().find(|(party, _)| party.node() == set.node).unwrap_or(&chains()[0]);
    let secrets: Vec<_> = names.iter().map(|name| (*name, party.secret(name))).collect();
    let signers: Vec<_> = secrets.iter().map(|(name, key)| (*name, key)).collect();
    let Ok(signed) = SignedKeySet::sign(set.clone(), &signers) else { return };
    assert_eq!(*signed.set(), set);
    match SignedKeySet::first(signed.json()) {
        Ok(first) => assert!(set.version == 1 && first == signed),
        Err(flaw) => assert_ne!(set.version, 1, "{flaw}"),
    }
    let before = chain.newest();
    if let Ok(next) = SignedKeySet::next(signed.json(), before) {
        assert_eq!((next.set().version, next.set().prev), (2, Some(before.digest())));
        assert_eq!((&next.set().node, &next.set().state), (&before.set().node, &before.set().state));
    }
    let _ = (set.current_log(), set.log_key(set.current_log()), set.message_key("msg-1"));
}

/// Something sealed, with a few bytes of it changed: it is refused, or still says what was sealed.
pub(crate) fn altered(bytes: &[u8]) {
    let Some((which, edits)) = bytes.split_first() else { return };
    let head = TreeHead { size: 3, root: Hash::of(b"a tree") };
    let origin = PERU.node().log_origin(1);
    let signed = sign_checkpoint(&PERU.secret("log-1"), &origin, &head);
    match which % 4 {
        0 => {
            let sealed = PERU.seal(opener(&PERU, &KENYA, 1, request()));
            let Some(other) = changed(sealed.token(), edits) else { return };
            let opened = envelope::open(&other, &PERU.node(), perus(), &KENYA.node());
            assert!(opened.is_err(), "{other}");
        }
        1 => {
            let Some(other) = changed(signed.as_str(), edits) else { return };
            let opened = open_checkpoint(&other, &origin, &PERU.secret("log-1").public());
            assert!(opened.is_err_and(|_| true) || other.starts_with(&signed.checkpoint().body()));
        }
        2 => {
            let (name, key) = (KENYA.node().witness_name(), KENYA.secret("witness-1"));
            let checkpoint: &Checkpoint = signed.checkpoint();
            let line = cosign(&key, &name, 1_790_000_000, checkpoint);
            let Some(other) = changed(&line, edits) else { return };
            assert!(open_cosignature(&other, &name, &key.public(), checkpoint).is_err(), "{other:?}");
        }
        _ => {
            let chain = perus();
            let Some(other) = changed(&chain.file(), edits) else { return };
            let Ok(read) = KeyChain::parse(&other) else { return };
            assert_eq!((read.fingerprint(), read.current()), (chain.fingerprint(), chain.current()));
        }
    }
}

/// `text` with bytes replaced, taken away or put in; none if it is the same, or no text any more.
fn changed(text: &str, edits: &[u8]) -> Option<String> {
    let mut bytes = text.as_bytes().to_vec();
    for [what, high, low, byte] in edits.as_chunks::<4>().0 {
        let at = usize::from(u16::from_be_bytes([*high, *low])) % bytes.len().max(1);
        match what % 3 {
            0 if !bytes.is_empty() => bytes[at] = *byte,
            1 => bytes.insert(at, *byte),
            2 if !bytes.is_empty() => drop(bytes.remove(at)),
            _ => {}
        }
    }
    String::from_utf8(bytes).ok().filter(|other| other != text)
}

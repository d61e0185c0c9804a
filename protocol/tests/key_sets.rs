//! What a key set may hold: the last value that is good and the first that is not, for each bound of SPEC.md.

mod shelf;
mod world;

use liaison_protocol::authority::{Function, Timestamp};
use liaison_protocol::deadline::{Owing, Span, Target};
use liaison_protocol::key_set::{
    Fingerprint, KeySet, KeySetFlaw, KeyUse, LogName, MAX_BYTES, MAX_LIFE, Revocation, Root, SignedKeySet,
};
use liaison_protocol::merkle::Hash;
use liaison_protocol::message::Kind;
use world::{KENYA, START};

/// What is wrong with the form of Kenya's first key set, changed by `change`.
fn flaw(change: impl FnOnce(&mut KeySet)) -> Option<&'static str> {
    let mut set = KENYA.first();
    change(&mut set);
    let secrets = ["root-1", "root-2", "msg-1", "log-1", "witness-1"].map(|name| (name, KENYA.secret(name)));
    match SignedKeySet::sign(set, &secrets.each_ref().map(|(name, key)| (*name, key))) {
        Err(KeySetFlaw::Form(what)) => Some(what),
        // Who must sign it is another question.
        _ => None,
    }
}

fn good(change: impl FnOnce(&mut KeySet)) {
    assert_eq!(flaw(change), None);
}

fn bad(words: &str, change: impl FnOnce(&mut KeySet)) {
    let what = flaw(change).unwrap_or_else(|| panic!("taken, in spite of: {words}"));
    assert!(what.contains(words), "{words}: {what}");
}

fn revoke(kid: &str) -> Revocation {
    let reason = "stolen".parse().expect("a line");
    Revocation { kid: kid.into(), untrusted_from: START, reason }
}

#[test]
fn its_version_and_its_life_are_bounded() {
    good(|_| ());
    bad("v is not 1", |set| set.v = 2);
    bad("version 1 has no prev", |set| set.version = 0);
    bad("version 1 has no prev", |set| set.version = 2);
    bad("version 1 has no prev", |set| set.prev = Some(Hash::ZERO));
    good(|set| set.expires = set.issued.plus(MAX_LIFE));
    good(|set| set.expires = set.issued.plus(1));
    bad("13 months", |set| set.expires = set.issued.plus(MAX_LIFE + 1));
    bad("13 months", |set| set.expires = set.issued);
}

#[test]
fn its_lists_are_bounded() {
    fn roots(set: &mut KeySet, count: usize) {
        let name = |n| format!("root-{n}");
        let root = |n| Root { kid: name(n), public: KENYA.secret(&name(n)).public() };
        set.roots = (1..=count).map(root).collect();
    }
    fn keys(set: &mut KeySet, count: usize) {
        set.keys.extend((set.keys.len()..count).map(|n| KENYA.key(&format!("spare-{n}"), KeyUse::Msg)));
    }
    fn logs(set: &mut KeySet, count: u32) {
        set.logs = (1..=count).map(|n| LogName { n, kid: "log-1".into() }).collect();
    }
    fn lines(count: usize) -> Vec<liaison_protocol::authority::Line> {
        vec!["+254 20 000".parse().expect("a line"); count]
    }
    fn targets(count: usize, states: usize, within: Span) -> Vec<Target> {
        let with = vec!["PER".parse().expect("a State"); states];
        vec![Target { owing: Owing::Answer, kind: Kind::TraceRequest, urgency: None, within, with }; count]
    }
    good(|set| roots(set, 9));
    bad("1 to 9 roots", |set| roots(set, 10));
    bad("1 to 9 roots", |set| set.roots.clear());
    good(|set| set.threshold = 3);
    bad("a threshold among them", |set| set.threshold = 4);
    bad("a threshold among them", |set| set.threshold = 0);
    good(|set| keys(set, 32));
    bad("at most 32 keys", |set| keys(set, 33));
    good(|set| set.peers = vec![set.peers[0].clone(); 4]);
    bad("1 to 4 peers", |set| set.peers = vec![set.peers[0].clone(); 5]);
    bad("1 to 4 peers", |set| set.peers.clear());
    good(|set| set.addrs = vec!["/dns4/x".into(); 8]);
    bad("at most 8 addresses", |set| set.addrs = vec!["/dns4/x".into(); 9]);
    good(|set| logs(set, 16));
    bad("1 to 16 logs", |set| logs(set, 17));
    bad("1 to 16 logs", |set| set.logs.clear());
    good(|set| set.revoked = vec![revoke("old-1"); 64]);
    bad("at most 64 revoked", |set| set.revoked = vec![revoke("old-1"); 65]);
    good(|set| set.functions = vec![Function::Art13Contact; 16]);
    bad("at most 16 functions", |set| set.functions = vec![Function::Art13Contact; 17]);
    good(|set| (set.contact.phones, set.contact.emails) = (lines(4), lines(4)));
    bad("at most 4 phones", |set| set.contact.phones = lines(5));
    bad("4 emails", |set| set.contact.emails = lines(5));
    good(|set| set.targets = targets(64, 0, Span::Hours(1)));
    bad("targets: at most 64", |set| set.targets = targets(65, 0, Span::Hours(1)));
    good(|set| set.targets = targets(1, 32, Span::Days(400)));
    bad("at most 32 States", |set| set.targets = targets(1, 33, Span::Days(400)));
    bad("within 1 to 400", |set| set.targets = targets(1, 0, Span::WorkingDays(401)));
    bad("within 1 to 400", |set| set.targets = targets(1, 0, Span::Hours(0)));
}

#[test]
fn its_texts_are_bounded() {
    good(|set| set.addrs = vec!["/".repeat(200)]);
    bad("addresses and peer ids", |set| set.addrs = vec!["/".repeat(201)]);
    bad("addresses and peer ids", |set| set.addrs = vec!["/dns4/кения".into()]);
    good(|set| set.peers[0].peer_id = "1".repeat(200));
    bad("addresses and peer ids", |set| set.peers[0].peer_id = "1".repeat(201));
    good(|set| set.keys[0].kid = "m".repeat(32));
    for name in [&"m".repeat(33), "", "msg 1", "msg_1", "ключ", "root-1"] {
        bad("key names are distinct", |set| set.keys[0].kid = name.into());
    }
    // What is larger is not even read.
    let read = |length| SignedKeySet::first(&"x".repeat(length));
    assert_eq!(read(MAX_BYTES), Err(KeySetFlaw::Form("not a JWS in general JSON form")));
    for length in [MAX_BYTES + 1, 2 * MAX_BYTES] {
        assert_eq!(read(length), Err(KeySetFlaw::Form("larger than 64 KiB")));
    }
}

#[test]
fn its_keys_have_one_purpose_each_and_are_all_there() {
    bad("one key serves two purposes", |set| set.keys[0].public = set.keys[1].public);
    bad("one key serves two purposes", |set| set.keys[0].public = set.roots[0].public);
    bad("alg is Ed25519", |set| set.keys[0].alg = "ES256".into());
    good(|set| set.keys[0].naf = set.keys[0].nbf);
    bad("not after its naf", |set| set.keys[0].naf = Timestamp(set.keys[0].nbf.0 - 1));
    good(|set| set.keys[0].functions = vec![Function::Art13Contact]);
    bad("does not hold", |set| set.keys[0].functions = vec![Function::Customs]);
    let logs = |numbers: &[u32]| numbers.iter().map(|n| LogName { n: *n, kid: "log-1".into() }).collect();
    good(|set| set.logs = logs(&[1, 3]));
    for numbers in [&[0, 1][..], &[2, 1], &[1, 1]] {
        bad("logs are numbered from 1, in order", |set| set.logs = logs(numbers));
    }
    for kid in ["msg-1", "log-2"] {
        bad("each has its key", |set| set.logs[0].kid = kid.into());
    }
    bad("a message key and a witness key are needed", |set| set.keys.retain(|key| key.usage != KeyUse::Msg));
    bad("a message key and a witness key are needed", |set| set.revoked = vec![revoke("witness-1")]);
    good(|set| {
        set.revoked = vec![revoke("witness-1")];
        set.keys.push(KENYA.key("witness-2", KeyUse::Witness));
    });
}

#[test]
fn the_last_log_it_names_is_the_current_one() {
    let mut set = KENYA.first();
    assert_eq!(set.current_log(), 1);
    set.logs.push(LogName { n: 4, kid: "log-1".into() });
    assert_eq!(set.current_log(), 4);
}

#[test]
fn a_fingerprint_is_read_as_people_write_it_and_written_in_one_way() {
    let fingerprint = KENYA.chain().fingerprint();
    let text = fingerprint.to_string();
    assert_eq!(serde_json::to_value(fingerprint).expect("a string"), text);
    for written in [text.clone(), text.replace(' ', ""), text.to_uppercase(), format!(" {text}\n")] {
        assert_eq!(written.parse(), Ok(fingerprint));
        assert_eq!(serde_json::from_value(written.into()).ok(), Some(fingerprint));
    }
    for bad in ["", &text[2..], &text.replace(' ', "-"), &format!("{text} 00")] {
        assert!(bad.parse::<Fingerprint>().is_err(), "{bad}");
    }
}

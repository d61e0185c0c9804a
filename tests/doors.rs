//! Whom a node lets in and when: what passes with time passes without anything else having to happen.

use std::fs;
use std::time::{Duration, SystemTime};

use liaison_node::keys::{Keys, Named};
use liaison_protocol::authority::Timestamp;
use liaison_protocol::key_set::{KeyChain, KeySet, KeyUse, SignedKeySet, TransportIdentity};
use liaison_protocol::operator::NodeView;
use liaison_tests::processes::{House, two, wait_for};
use serde_json::json;

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Timestamp(since.expect("after 1970").as_secs())
}

/// Put the next version of a node's key set in force, with this change.
fn renew(house: &House, change: impl FnOnce(&mut KeySet)) {
    let keys = Keys::read(&house.at("keys")).expect("init wrote them");
    let mut roots =
        fs::read_dir(house.roots()).expect("init made it").map(|entry| entry.expect("readable").path());
    let root = roots.find(|path| path.extension().is_some_and(|extension| extension == "key"));
    let root = Named::read(&root.expect("a root key")).expect("init wrote it");
    let chain = KeyChain::parse(&house.api().get::<NodeView>("/v1/node").key_sets).expect("our own");
    let mut set = chain.current().clone();
    set.version += 1;
    set.prev = Some(chain.newest().digest());
    set.issued = now();
    change(&mut set);
    let signers: Vec<_> = [&root, &keys.log, &keys.witness]
        .into_iter()
        .chain(&keys.messages)
        .map(|named| (named.kid.as_str(), &named.key))
        .collect();
    let signed = SignedKeySet::sign(set, &signers).expect("it is whole");
    let _: NodeView = house.api().send("POST", "/v1/node/key-sets", &json!({"key_set": signed.json()}));
}

#[test]
fn a_node_whose_key_has_passed_says_so_when_it_is_asked() {
    let mut ken = House::new("KEN");
    ken.start();
    let until = now().plus(3);
    renew(&ken, |set| {
        for key in set.keys.iter_mut().filter(|key| key.usage == KeyUse::Msg) {
            key.naf = until;
        }
    });
    assert_eq!(ken.api().ready().0, 200);
    // Nothing happens meanwhile: no mail, no order, no question.
    std::thread::sleep(Duration::from_secs(until.0 + 2 - now().0));
    let (status, view) = ken.api().ready();
    assert_eq!((status, view.ready), (503, false));
    assert!(view.why.as_ref().is_some_and(|why| why.contains("key-set renew")), "{view:?}");
}

#[test]
fn an_identity_that_has_passed_is_cut_off_and_let_in_no_more() {
    let (ken, per) = two("KEN", "PER");
    let until = now().plus(4);
    renew(&ken, |set| {
        let expires = set.expires;
        set.peers[0].naf = until;
        // Another machine is to take over; this one has not noticed.
        let peer_id = liaison_node::peers::peer_id_of(&[9; 32]);
        set.peers.push(TransportIdentity { peer_id, nbf: now(), naf: expires });
    });
    wait_for("Peru has it", || (per.api().peer(&ken.node).key_set_version == 2).then_some(()));
    assert!(per.api().peer(&ken.node).connected);
    wait_for("it is cut off", || (!per.api().peer(&ken.node).connected).then_some(()));
    assert!(now() > until, "and not before its time");
    let presented = json!({
        "licence_no": "PE-1", "issue_date": "2026-01-10", "final_recipient": "MINISTERIO DEL INTERIOR",
        "lines": [{"line": 1, "description": "Rifle .308", "quantity": 40, "unit": "pieces"}],
    });
    ken.api().open_exchange(&per.node, &json!({"question": "authenticity", "presented": presented}), "1");
    wait_for("it is told why", || {
        let view = ken.api().peer(&per.node);
        // It may call and be heard for a moment, until the other side sees who it is: nothing is delivered.
        assert_eq!(view.undelivered, 1);
        view.trouble
            .is_some_and(|trouble| trouble.contains("does not know our present identity"))
            .then_some(())
    });
}

//! What officers send to their own node: orders.

use liaison_protocol::json;
use liaison_protocol::operator::{
    ActRequest, AdmitRequest, EvidenceRequest, InstallRequest, OpenRequest, Order, RemoveRequest, Rules,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::office::{EVERYTHING, Office};

/// The body of a request. What an officer may send, the other State takes.
pub(crate) fn order(bytes: &[u8]) {
    body::<EvidenceRequest>(bytes);
    body::<RemoveRequest>(bytes);
    let offices = || Office::pair(EVERYTHING, EVERYTHING);
    if let Some(request) = body::<AdmitRequest>(bytes) {
        let (kenya, peru) = offices();
        let order =
            Order::AdmitPeer { node: kenya.us(), key_sets: request.key_sets, channel: request.channel };
        assert!(peru.check(&order).is_err(), "Kenya is admitted already");
    }
    if let Some(request) = body::<InstallRequest>(bytes) {
        let (_, peru) = offices();
        let order = Order::InstallKeySet { node: peru.us(), key_set: request.key_set };
        assert!(peru.check(&order).is_err(), "nobody has Peru's root key here");
    }
    if let Some(rules) = body::<Rules>(bytes) {
        let (kenya, mut peru) = offices();
        let order = Order::SetRules { node: kenya.us(), rules };
        if peru.check(&order).is_ok() {
            peru.order(order).expect("it was checked");
        }
    }
    if let Some(OpenRequest { opening, .. }) = body::<OpenRequest>(bytes) {
        let (mut kenya, mut peru) = offices();
        let owed = peru.order(Order::Open { peer: kenya.us(), opening });
        let Ok([effect]) = owed.as_deref() else {
            return assert!(owed.is_err(), "one message for one order");
        };
        let asked = peru.send(effect);
        kenya.take(&mut peru, &asked);
        assert_eq!(kenya.standing(&asked.id()), peru.standing(&asked.id()));
    }
    if let Some(ActRequest { act, enclosed, .. }) = body::<ActRequest>(bytes) {
        // Whatever it is, it can be tried in an exchange of each kind, by either side.
        for question in crate::seeds::questions() {
            let (mut kenya, mut peru) = offices();
            let asked = peru.open(&kenya.us(), question).expect("complete");
            kenya.take(&mut peru, &asked);
            for side in [0, 1] {
                let (office, other) =
                    if side == 0 { (&mut kenya, &mut peru) } else { (&mut peru, &mut kenya) };
                let (exchange, peer) = (asked.id(), other.us());
                let Ok(owed) =
                    office.order(Order::Act { exchange, peer, act: act.clone(), enclosed: enclosed.clone() })
                else {
                    continue;
                };
                let said = office.send(&owed[0]);
                other.take(office, &said);
                assert_eq!(office.standing(&exchange), other.standing(&exchange));
            }
        }
    }
}

/// A body that says the same when it is written again.
fn body<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(bytes: &[u8]) -> Option<T> {
    let heard: T = json::parse(bytes).ok()?;
    let kept: Value = serde_json::to_value(&heard).expect("requests have string keys");
    assert_eq!(serde_json::from_value::<T>(kept).expect("what we write we read"), heard);
    Some(heard)
}

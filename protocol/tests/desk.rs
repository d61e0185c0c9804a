//! What a stranger, an honest neighbour and a slow line may do to a desk, and what must not come of it.

mod shelf;
mod world;

use liaison_protocol::authority::By;
use liaison_protocol::desk::{Desk, Effect, Judgement, MAX_OPEN, Shelf, Table};
use liaison_protocol::entry::{Basis, IdempotencyKey, Record, Staged};
use liaison_protocol::envelope;
use liaison_protocol::fault::Fault;
use liaison_protocol::handling::{Coded, Handling, LegalBasis, Onward};
use liaison_protocol::key_set::{KeyChain, KeyUse, Revocation};
use liaison_protocol::licence::{Answer, Field, Ground, LicenceRecord, LicenceStatus, Presented};
use liaison_protocol::merkle::{Hash, LeafIndex, TreeHead};
use liaison_protocol::message::{
    Body, LicenceVerificationRequest, LicenceVerificationResponse, Message, Outcome, Withdrawal,
};
use liaison_protocol::numbers::Gap;
use liaison_protocol::operator::{Act, Enclosed, Mistake, Opening, Order, Question, Rules, State};
use world::{CHILE, DAY, House, KENYA, PERU, START, follow, opener, presented, request};

fn withdrawal() -> Body {
    Body::Withdrawal(Withdrawal { reason: "No longer needed.".parse().expect("prose") })
}

fn answer(answer: Answer) -> Body {
    Body::LicenceVerificationResponse(LicenceVerificationResponse { answer, note: None })
}

#[test]
fn a_message_after_one_that_was_refused_unread_takes_effect_on_both_sides() {
    let (mut peru, mut kenya) = (House::of(&PERU), House::of(&KENYA));
    let first = PERU.seal(opener(&PERU, &KENYA, 1, request()));
    let id = first.id();
    // Under a key that Kenya does not know: it is refused before anybody can tell where it belongs.
    let unread = follow(&PERU, &KENYA, 2, id, [Some(id), None], withdrawal());
    let unread = envelope::seal(unread, "msg-2", &PERU.secret("msg-2"));
    let last = PERU.seal(follow(&PERU, &KENYA, 3, id, [Some(unread.id()), None], withdrawal()));
    for message in [&first, &unread, &last] {
        peru.send(message.token());
    }
    assert_eq!(kenya.deliver(&PERU.node(), first.token()), Ok(Judgement::New));
    assert_eq!(kenya.deliver(&PERU.node(), last.token()), Err(Fault::WaitsForEarlier));
    assert_eq!(kenya.deliver(&PERU.node(), unread.token()), Err(Fault::KeyUnknown));
    assert_eq!(kenya.deliver(&PERU.node(), last.token()), Ok(Judgement::New));
    peru.receipt(&KENYA.node(), unread.id(), Some(Fault::KeyUnknown));
    let standing = |house: &House| house.desk.exchange(&house.shelf, &id).expect("held").standing().clone();
    assert_eq!(standing(&kenya).state, State::Withdrawn);
    assert_eq!(standing(&kenya).state, standing(&peru).state);
    assert_eq!(standing(&kenya).order, standing(&peru).order);
}

#[test]
fn what_was_refused_before_it_could_be_read_stays_refused_when_it_can_be() {
    let mut kenya = House::new(KENYA.node());
    let first = PERU.signed();
    let mut chain = KeyChain::start(first.clone()).expect("version 1");
    kenya.admit(&chain);
    let early = envelope::seal(opener(&PERU, &KENYA, 1, request()), "msg-2", &PERU.secret("msg-2"));
    assert_eq!(kenya.deliver(&PERU.node(), early.token()), Err(Fault::KeyUnknown));
    let refused = LeafIndex(kenya.shelf.records.len() as u64 - 1);

    let newer = PERU.after(&first, |set| set.keys[0] = PERU.key("msg-2", KeyUse::Msg));
    let signers = ["root-1", "root-2", "msg-2", "log-1", "witness-1"];
    let newer = PERU.sign(newer, &signers);
    chain.extend(newer.json()).expect("the next");
    kenya.record(Record::KeySet { node: PERU.node(), key_set: newer.json().to_owned() }, None);
    // Its number is beyond all that came, and still it has come before.
    assert_eq!(kenya.deliver(&PERU.node(), early.token()), Ok(Judgement::Repeated(refused)));
    let next = envelope::seal(opener(&PERU, &KENYA, 2, request()), "msg-2", &PERU.secret("msg-2"));
    assert_eq!(kenya.deliver(&PERU.node(), next.token()), Ok(Judgement::New));
}

#[test]
fn what_was_taken_is_known_again_also_by_a_node_that_starts_anew() {
    let mut kenya = House::of(&KENYA);
    let first = PERU.seal(opener(&PERU, &KENYA, 1, request()));
    let second = PERU.seal(follow(&PERU, &KENYA, 2, first.id(), [Some(first.id()), None], withdrawal()));
    let ours = kenya.send(KENYA.seal(opener(&KENYA, &PERU, 1, request())).token());
    let mut places = Vec::new();
    for message in [&first, &second] {
        places.push(LeafIndex(kenya.shelf.records.len() as u64));
        assert_eq!(kenya.deliver(&PERU.node(), message.token()), Ok(Judgement::New));
    }
    for _ in 0..2 {
        for (message, place) in [&first, &second].into_iter().zip(&places) {
            assert_eq!(kenya.deliver(&PERU.node(), message.token()), Ok(Judgement::Repeated(*place)));
            // Nobody uses up another's message, and what we sent is not what we were sent.
            assert_eq!(kenya.desk.seen(&kenya.shelf, &CHILE.node(), &message.id()), None);
        }
        assert_eq!(kenya.desk.seen(&kenya.shelf, &PERU.node(), &ours), None);
        kenya.desk = Desk::open(KENYA.node(), &kenya.shelf).expect("what the log made");
    }
}

#[test]
fn a_peer_whose_row_cannot_be_read_is_not_left_out() {
    let mut kenya = House::of(&KENYA);
    assert!(Desk::open(KENYA.node(), &kenya.shelf).is_some());
    for (table, key) in [
        (Table::Outbox, [PERU.node().as_str().as_bytes(), &[0; 9]].concat()),
        (Table::Peer, PERU.node().as_str().as_bytes().to_vec()),
    ] {
        let before = kenya.shelf.get(table, &key);
        kenya.shelf.put(table, &key, b"{".to_vec());
        assert!(Desk::open(KENYA.node(), &kenya.shelf).is_none(), "{table:?}");
        match before {
            Some(row) => kenya.shelf.put(table, &key, row),
            None => kenya.shelf.remove(table, &key),
        }
    }
}

#[test]
fn a_number_of_a_log_that_is_not_there_hides_no_gap() {
    let mut kenya = House::of(&KENYA);
    let mut astray = opener(&PERU, &KENYA, 1, request());
    astray.log = u32::MAX;
    assert_eq!(kenya.deliver(&PERU.node(), PERU.seal(astray).token()), Err(Fault::NotLogged));
    let third = PERU.seal(opener(&PERU, &KENYA, 3, request()));
    assert_eq!(kenya.deliver(&PERU.node(), third.token()), Ok(Judgement::New));
    let peru = kenya.desk.peer(&PERU.node()).expect("admitted");
    assert_eq!(peru.missing(), [Gap { log: 1, first: 1, last: 2 }]);
}

#[test]
fn a_number_is_used_once_in_whatever_order_the_numbers_come() {
    let mut kenya = House::of(&KENYA);
    let numbered = |n: u64, later: u64| {
        let message = opener(&PERU, &KENYA, n, request());
        PERU.seal(Message { iat: START.plus(later), ..message })
    };
    for n in [2, 1, 3] {
        let message = numbered(n, n);
        assert_eq!(kenya.deliver(&PERU.node(), message.token()), Ok(Judgement::New), "{n}");
    }
    let again = numbered(2, 9);
    assert_eq!(kenya.deliver(&PERU.node(), again.token()), Err(Fault::SequenceReused));
    assert_eq!(kenya.desk.holder_of(&kenya.shelf, again.message()), Some(numbered(2, 2).id()));
}

#[test]
fn nothing_follows_what_was_said_in_another_exchange() {
    let mut kenya = House::of(&KENYA);
    let [first, other] = [1, 2].map(|n| PERU.seal(opener(&PERU, &KENYA, n, request())));
    for message in [&first, &other] {
        assert_eq!(kenya.deliver(&PERU.node(), message.token()), Ok(Judgement::New));
    }
    // It would leave a gap that nobody can explain.
    let astray = PERU.seal(follow(&PERU, &KENYA, 3, first.id(), [Some(other.id()), None], withdrawal()));
    assert_eq!(kenya.deliver(&PERU.node(), astray.token()), Err(Fault::OutOfPlace));
}

#[test]
fn what_follows_an_opener_that_is_still_to_come_waits_for_it() {
    let mut kenya = House::of(&KENYA);
    let first = PERU.seal(opener(&PERU, &KENYA, 1, request()));
    let second = PERU.seal(follow(&PERU, &KENYA, 2, first.id(), [Some(first.id()), None], withdrawal()));
    assert_eq!(kenya.deliver(&PERU.node(), second.token()), Err(Fault::WaitsForEarlier));
    assert_eq!(kenya.deliver(&PERU.node(), first.token()), Ok(Judgement::New));
    assert_eq!(kenya.deliver(&PERU.node(), second.token()), Ok(Judgement::New));

    let mut kenya = House::of(&KENYA);
    kenya.now = START.plus(60 * DAY);
    assert_eq!(kenya.deliver(&PERU.node(), first.token()), Err(Fault::Expired));
    kenya.now = START.plus(DAY);
    assert_eq!(kenya.deliver(&PERU.node(), second.token()), Err(Fault::UnknownExchange));
}

#[test]
fn whoever_passes_on_another_states_message_does_not_use_up_its_id() {
    let mut kenya = House::of(&KENYA);
    let first = PERU.seal(opener(&PERU, &KENYA, 1, request()));
    assert_eq!(kenya.deliver(&CHILE.node(), first.token()), Err(Fault::IssuerMismatch));
    let broken = format!("{}A", &first.token()[..first.token().len() - 1]);
    assert_eq!(kenya.deliver(&CHILE.node(), &broken), Err(Fault::IssuerMismatch));
    assert_eq!(kenya.deliver(&PERU.node(), first.token()), Ok(Judgement::New));
}

#[test]
fn an_answer_has_the_conditions_of_whoever_gives_it() {
    let mut kenya = House::of(&KENYA);
    let mut message = opener(&PERU, &KENYA, 1, request());
    message.handling.confidential = false;
    message.handling.restrictions.clear();
    message.handling.onward = Coded::Known(Onward::ReleaseList);
    let first = PERU.seal(message);
    assert_eq!(kenya.deliver(&PERU.node(), first.token()), Ok(Judgement::New));
    let outcome = Outcome::Answer(Answer::Valid { valid_until: None });
    let act = Act::Answer { outcome, note: None };
    let enclosed = Enclosed::default();
    let effects = kenya.order(Order::Act { exchange: first.id(), peer: PERU.node(), act, enclosed });
    let [Effect::Send(draft)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(draft.handling, Handling::for_licences(LegalBasis::Article10Para2a));
}

/// How much a rule tells of the licence's revocation to a peer that presented a document and was answered `said`.
fn told(presented: Presented, said: Answer) -> usize {
    let mut kenya = House::of(&KENYA);
    let asks = Body::LicenceVerificationRequest(LicenceVerificationRequest { presented });
    let first = PERU.seal(opener(&PERU, &KENYA, 1, asks));
    kenya.deliver(&PERU.node(), first.token()).expect("good");
    let order = Order::Act {
        exchange: first.id(),
        peer: PERU.node(),
        act: Act::Answer { outcome: Outcome::Answer(said.clone()), note: None },
        enclosed: Enclosed::default(),
    };
    let by = By::Officers { prepared: "officer-1".parse().expect("an officer"), approved: None };
    let register = Some(Basis { status: LicenceStatus::Active, version: 1 });
    kenya.record(
        Record::Order { order, by, key: None, via: "officer".parse().expect("an officer"), register },
        None,
    );
    let ours = KENYA.seal(follow(&KENYA, &PERU, 1, first.id(), [None, Some(first.id())], answer(said)));
    kenya.send(ours.token());
    let effects = kenya.record(
        Record::Query {
            exchange: first.id(),
            rule: "tell-changes-to-those-who-asked".parse().expect("a line"),
            found: Some(LicenceRecord { content: self::presented(), status: LicenceStatus::Revoked }),
            on: liaison_protocol::authority::Timestamp(1_790_000_000).date(),
        },
        None,
    );
    effects.len()
}

#[test]
fn r_sov_no_rule_tells_news_where_an_officer_could_not_confirm() {
    let cannot = Answer::CannotConfirm { ground: Coded::Known(Ground::OngoingInvestigation) };
    assert_eq!(told(presented(), cannot), 0);
    assert_eq!(told(presented(), Answer::Valid { valid_until: None }), 1);
}

#[test]
fn r_10_5_no_rule_tells_news_to_whoever_presented_something_else() {
    let mut other = presented();
    other.lines[0].quantity += 1;
    let differences = vec![Field::Lines];
    assert_eq!(told(other, Answer::ValidWithDifferences { differences }), 0);
}

#[test]
fn r_sov_nothing_is_consulted_without_a_rule() {
    let mut kenya = House::of(&KENYA);
    let consults = |kenya: &mut House, n| {
        let first = PERU.seal(opener(&PERU, &KENYA, n, request()));
        let before = kenya.shelf.scan(Table::Exchange, &[], usize::MAX).len();
        kenya.deliver(&PERU.node(), first.token()).expect("good");
        assert_eq!(kenya.shelf.scan(Table::Exchange, &[], usize::MAX).len(), before + 1);
        let exchange = kenya.desk.exchange(&kenya.shelf, &first.id()).expect("held");
        kenya.desk.rule_for(&kenya.shelf, &exchange, kenya.now).is_ok()
    };
    assert!(!consults(&mut kenya, 1));
    let rules = Rules { verifications: true, attempts_per_licence: 3, ..Rules::default() };
    kenya.order(Order::SetRules { node: PERU.node(), rules });
    // The first request, made before there was a rule, counts: what is bounded is what the peer may try.
    assert!(consults(&mut kenya, 2) && consults(&mut kenya, 3));
    assert!(!consults(&mut kenya, 4), "R-10.5: beyond the attempts an officer decides");
}

#[test]
fn a_revocation_is_never_taken_back() {
    let first = PERU.signed();
    let revoked = PERU.after(&first, |set| {
        set.keys[0] = PERU.key("msg-2", KeyUse::Msg);
        let reason = "stolen".parse().expect("a line");
        set.revoked = vec![Revocation { kid: "msg-1".into(), untrusted_from: START, reason }];
    });
    let signers = ["root-1", "root-2", "msg-2", "log-1", "witness-1"];
    let second = PERU.sign(revoked, &signers);
    let third = PERU.sign(PERU.after(&second, |set| set.revoked.clear()), &signers);
    let mut chain = KeyChain::start(first).expect("version 1");
    chain.extend(second.json()).expect("the next");
    assert!(chain.extend(third.json()).is_err(), "version 3 takes the revocation back");
    let mut kenya = House::new(KENYA.node());
    kenya.admit(&chain);
    let message = PERU.seal(opener(&PERU, &KENYA, 1, request()));
    assert_eq!(kenya.deliver(&PERU.node(), message.token()), Err(Fault::KeyNotValid));
}

/// Kenya removes Peru, which begins anew with other roots and the same keys.
fn peru_loses_its_roots(kenya: &mut House) -> KeyChain {
    let reason = "its roots are lost".parse().expect("a line");
    kenya.order(Order::RemovePeer { node: PERU.node(), reason });
    let mut set = PERU.first();
    set.contact.emails = vec!["registro@armas.example.pe".parse().expect("a line")];
    let anew = PERU.sign(set, &["root-2", "root-3", "msg-1", "log-1", "witness-1"]);
    KeyChain::start(anew).expect("version 1")
}

#[test]
fn a_node_that_lost_its_roots_starts_its_numbers_anew() {
    let mut kenya = House::of(&KENYA);
    let first = PERU.seal(opener(&PERU, &KENYA, 1, request()));
    assert_eq!(kenya.deliver(&PERU.node(), first.token()), Ok(Judgement::New));
    let admitted = |kenya: &House| kenya.desk.peer(&PERU.node()).map(|peer| peer.admitted());
    assert_eq!(admitted(&kenya), Some(START.plus(DAY)));
    kenya.now = START.plus(2 * DAY);
    let anew = peru_loses_its_roots(&mut kenya);
    assert_eq!(admitted(&kenya), None);
    kenya.admit(&anew);
    assert_eq!(admitted(&kenya), Some(kenya.now));
    let mut message = opener(&PERU, &KENYA, 1, request());
    message.iat = START.plus(2);
    assert_eq!(kenya.deliver(&PERU.node(), PERU.seal(message).token()), Ok(Judgement::New));
}

#[test]
fn what_came_before_the_roots_were_lost_is_taken_again_once() {
    let mut kenya = House::of(&KENYA);
    let first = PERU.seal(opener(&PERU, &KENYA, 1, request()));
    assert_eq!(kenya.deliver(&PERU.node(), first.token()), Ok(Judgement::New));
    let anew = peru_loses_its_roots(&mut kenya);
    kenya.admit(&anew);
    let place = LeafIndex(kenya.shelf.records.len() as u64);
    assert_eq!(kenya.deliver(&PERU.node(), first.token()), Ok(Judgement::New));
    assert_eq!(kenya.deliver(&PERU.node(), first.token()), Ok(Judgement::Repeated(place)));
}

#[test]
fn a_request_that_a_client_repeats_is_done_once_and_its_key_serves_no_other() {
    let mut kenya = House::of(&KENYA);
    let first = PERU.seal(opener(&PERU, &KENYA, 1, request()));
    kenya.deliver(&PERU.node(), first.token()).expect("good");
    let key = |digest: &[u8]| IdempotencyKey {
        key: "a client's own".parse().expect("a line"),
        digest: Hash::of(digest),
    };
    let created = |kenya: &House, key| kenya.desk.created_by(&kenya.shelf, &key);
    assert_eq!(created(&kenya, key(b"the request")), Ok(None));
    let order = Order::Act {
        exchange: first.id(),
        peer: PERU.node(),
        act: Act::Answer { outcome: Outcome::Answer(Answer::Valid { valid_until: None }), note: None },
        enclosed: Enclosed::default(),
    };
    let by = By::Officers { prepared: "officer-1".parse().expect("an officer"), approved: None };
    let via = "officer".parse().expect("an officer");
    kenya.record(Record::Order { order, by, key: Some(key(b"the request")), via, register: None }, None);
    assert_eq!(created(&kenya, key(b"the request")), Ok(Some(first.id())));
    assert_eq!(created(&kenya, key(b"another")), Err(Mistake::KeyReused));
}

#[test]
fn the_key_of_an_order_to_open_names_the_exchange_also_where_the_node_stopped_in_between() {
    for stopped in [false, true] {
        let mut kenya = House::of(&KENYA);
        let first = KENYA.seal(opener(&KENYA, &PERU, 1, request()));
        let digest = Hash::of(b"the request");
        let key = IdempotencyKey { key: "a client's own".parse().expect("a line"), digest };
        let opening = Opening {
            question: Question::Verification { presented: presented() },
            case_ref: None,
            handling: None,
            enclosed: Enclosed::default(),
        };
        let order = Order::Open { peer: PERU.node(), opening };
        let by = By::Officers { prepared: "officer-1".parse().expect("an officer"), approved: None };
        let via = "officer".parse().expect("an officer");
        kenya.record(Record::Order { order, by, key: Some(key.clone()), via, register: None }, None);
        if stopped {
            kenya.desk = Desk::open(KENYA.node(), &kenya.shelf).expect("what the log made");
        }
        kenya.send(first.token());
        assert_eq!(kenya.desk.created_by(&kenya.shelf, &key), Ok(Some(first.id())));
    }
}

#[test]
fn the_place_of_a_head_that_was_seen_is_found_by_its_size() {
    let mut kenya = House::of(&KENYA);
    let place = |kenya: &House, size| kenya.desk.head_place(&kenya.shelf, &PERU.node(), size);
    let newest = |kenya: &House| kenya.desk.peer(&PERU.node()).expect("admitted").head_leaf();
    assert_eq!((place(&kenya, 3), newest(&kenya)), (None, None));
    let mut seen = Vec::new();
    for size in [3, 7] {
        let head = TreeHead { size, root: Hash::of(&[size as u8]) };
        seen.push(LeafIndex(kenya.shelf.records.len() as u64));
        kenya.record(Record::HeadSeen { node: PERU.node(), checkpoint: String::new(), head }, None);
        assert_eq!(newest(&kenya), seen.last().copied());
    }
    assert_eq!([3, 7].map(|size| place(&kenya, size)), [Some(seen[0]), Some(seen[1])]);
    assert_eq!(place(&kenya, 5), None);
    assert_eq!(kenya.desk.head_place(&kenya.shelf, &CHILE.node(), 3), None, "another peer's log");
}

#[test]
fn what_a_peer_has_open_counts_until_it_ends() {
    let mut kenya = House::of(&KENYA);
    let open = |kenya: &House| kenya.desk.peer(&PERU.node()).expect("admitted").open_exchanges();
    let [first, other] = [1, 2].map(|n| PERU.seal(opener(&PERU, &KENYA, n, request())));
    let last = PERU.seal(follow(&PERU, &KENYA, 3, first.id(), [Some(first.id()), None], withdrawal()));
    for (message, count) in [(&first, 1), (&other, 2), (&last, 1)] {
        assert_eq!(kenya.deliver(&PERU.node(), message.token()), Ok(Judgement::New));
        assert_eq!(open(&kenya), count);
    }
    kenya.desk = Desk::open(KENYA.node(), &kenya.shelf).expect("what the log made");
    assert_eq!(open(&kenya), 1);
    // Removed and admitted anew it has no more room than before; with other roots it is another node.
    let reason = "a mistake".parse().expect("a line");
    kenya.order(Order::RemovePeer { node: PERU.node(), reason });
    kenya.admit(&PERU.chain());
    assert_eq!(open(&kenya), 1);
    let anew = peru_loses_its_roots(&mut kenya);
    kenya.admit(&anew);
    assert_eq!(open(&kenya), 0);
}

#[test]
fn whoever_has_as_much_open_as_a_peer_may_goes_on_with_that_and_opens_nothing_new() {
    for (open, judged) in [(MAX_OPEN - 1, Ok(Judgement::New)), (MAX_OPEN, Err(Fault::TooMuch))] {
        let mut kenya = House::of(&KENYA);
        let first = PERU.seal(opener(&PERU, &KENYA, 1, request()));
        assert_eq!(kenya.deliver(&PERU.node(), first.token()), Ok(Judgement::New));
        let (node, key) = (PERU.node(), PERU.node().as_str().as_bytes().to_vec());
        let row = String::from_utf8(kenya.shelf.get(Table::Peer, &key).expect("admitted")).expect("JSON");
        let row = row.replace("\"open\":1,", &format!("\"open\":{open},"));
        kenya.shelf.put(Table::Peer, &key, row.into_bytes());
        kenya.desk = Desk::open(KENYA.node(), &kenya.shelf).expect("a good row");
        assert_eq!(kenya.desk.peer(&node).expect("admitted").open_exchanges(), open);
        let new = PERU.seal(opener(&PERU, &KENYA, 2, request()));
        assert_eq!(kenya.deliver(&node, new.token()), judged);
        let next = PERU.seal(follow(&PERU, &KENYA, 3, first.id(), [Some(first.id()), None], withdrawal()));
        assert_eq!(kenya.deliver(&node, next.token()), Ok(Judgement::New));
    }
}

#[test]
fn what_is_believed_after_a_restart_is_what_was_believed_before() {
    let mut kenya = House::of(&KENYA);
    let first = PERU.seal(opener(&PERU, &KENYA, 1, request()));
    kenya.deliver(&PERU.node(), first.token()).expect("good");
    let mut prev = first.id();
    for n in 2..400 {
        let next = PERU.seal(follow(&PERU, &KENYA, n, first.id(), [Some(prev), None], withdrawal()));
        let judged = kenya.deliver(&PERU.node(), next.token());
        assert_eq!(judged, if n <= 40 { Ok(Judgement::New) } else { Err(Fault::ExchangeFull) });
        prev = next.id();
        // Only the first hundred refusals of a day are recorded; the others come again.
        kenya.now = START.plus(n * DAY / 20);
    }
    let exchange = kenya.desk.exchange(&kenya.shelf, &first.id());
    let loaded = liaison_protocol::desk::load_exchange(&kenya.us, &kenya.shelf, &first.id());
    assert_eq!(exchange.as_deref(), loaded.as_ref());
}

#[test]
fn a_line_of_our_log_brings_back_the_message_that_was_in_it() {
    let mut kenya = House::of(&KENYA);
    let theirs = PERU.seal(opener(&PERU, &KENYA, 1, request()));
    kenya.deliver(&PERU.node(), theirs.token()).expect("good");
    kenya.send(KENYA.seal(opener(&KENYA, &PERU, 1, request())).token());
    for staged in &kenya.shelf.records {
        let replayed = Staged::replayed(staged.leaf, staged.at, staged.record.clone());
        assert_eq!(replayed.as_ref(), Ok(staged));
    }
}

//! The rules on transit, by their ids (R-10.2b to R-10.2d as far as messages go, R-10.3, R-13.2, R-SOV): only a decision
//! that stands clears, and silence never does.

mod office;
mod samples;
mod shelf;

use liaison_protocol::authority::{Function, StateCode, Timestamp};
use liaison_protocol::deadline::{Due, Owing};
use liaison_protocol::desk::load_exchange;
use liaison_protocol::entry::Record;
use liaison_protocol::fault::Fault;
use liaison_protocol::handling::{Coded, Handling};
use liaison_protocol::key_set::Revocation;
use liaison_protocol::licence::{LicenceKind, Presented};
use liaison_protocol::message::{Body, Kind, MessageId, Outcome};
use liaison_protocol::operator::{Act, Question, Rules, Side, State};
use liaison_protocol::transit::{
    ConditionReply, DecisionCode, TransitDecision, TransitDecisionWithdrawal, TransitNotification,
};
use office::{DAY, EVERYTHING, NOW, Office, line, officer};
use proptest::prelude::*;
use samples::{date, decision, import_licence, prose, transit_through_kenya};

fn question(notification: TransitNotification) -> Question {
    Question::Transit { notification }
}

fn decide(decision: TransitDecision) -> Act {
    Act::Answer { outcome: Outcome::Transit(decision), note: None }
}

/// Peru has notified Kenya, through which its shipment is to pass, and Kenya holds it, proven.
fn notified() -> (Office, Office, MessageId) {
    let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
    let opener = peru.open(&kenya.us(), question(transit_through_kenya())).expect("complete");
    assert_eq!(kenya.take(&mut peru, &opener), Vec::new());
    (kenya, peru, opener.id())
}

/// `from` acts, and `to` takes it.
fn act(from: &mut Office, to: &mut Office, id: MessageId, act: Act) -> MessageId {
    let said = from.act(id, act).expect("open to it");
    to.take(from, &said);
    said.id()
}

/// The state both are in, and whether both hold the shipment cleared on that day.
fn both(kenya: &Office, peru: &Office, id: MessageId, day: &str) -> (State, bool) {
    let (here, there) = (kenya.standing(&id), peru.standing(&id));
    assert_eq!(here, there);
    (here.state, here.clears(date(day)))
}

const DURING: &str = "2026-11-10";

type Lack = (&'static str, fn(&mut TransitNotification));

/// The data of Art. 10(3), one taken away at a time.
const LACKS: [Lack; 9] = [
    ("import_licences: ", |notice| notice.import_licences.clear()),
    ("import_licences.0.place_of_issue: ", |notice| notice.import_licences[0].place_of_issue = None),
    ("import_licences.0.issue_date: ", |notice| notice.import_licences[0].issue_date = None),
    ("import_licences.0.expiry_date: ", |notice| notice.import_licences[0].expiry_date = None),
    ("import_licences.0.country_export: ", |notice| notice.import_licences[0].country_export = None),
    ("import_licences.0.country_import: ", |notice| notice.import_licences[0].country_import = None),
    ("import_licences.0.final_recipient: ", |notice| notice.import_licences[0].final_recipient = None),
    ("import_licences.0.lines: ", |notice| notice.import_licences[0].lines.clear()),
    ("countries_transit: ", |notice| notice.countries_transit.clear()),
];

#[test]
fn r_10_3_each_missing_datum_is_named_to_the_sender_and_refused_by_the_receiver() {
    for (field, take_away) in LACKS {
        let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
        let mut notice = transit_through_kenya();
        take_away(&mut notice);
        let mistake = peru.open(&kenya.us(), question(notice.clone())).expect_err(field).to_string();
        assert!(mistake.contains(&format!("notification.{field}")), "{mistake}");
        assert!(mistake.contains("Art. 10(3)"), "{mistake}");
        let blurted = peru.blurt(&kenya.us(), None, Body::TransitNotification(notice));
        assert_eq!(kenya.receive(&blurted), Err(Fault::BodyForbidden), "{field}");
    }
}

#[test]
fn r_10_3_the_second_licence_is_to_be_whole_too() {
    let (kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
    let mut notice = transit_through_kenya();
    notice.import_licences.push(notice.import_licences[0].clone());
    notice.import_licences[1].place_of_issue = None;
    let mistake = peru.open(&kenya.us(), question(notice)).expect_err("incomplete").to_string();
    assert!(mistake.contains("notification.import_licences.1.place_of_issue"), "{mistake}");
}

#[test]
fn r_10_3c_contradictions_in_a_notification_are_stopped() {
    let contradictions: [Lack; 3] = [
        ("import_licences.0.expiry_date", |notice| {
            notice.import_licences[0].expiry_date = Some(date("2026-10-31"));
        }),
        ("import_licences.0.licence_kind", |notice| {
            notice.import_licences[0].licence_kind = Some(LicenceKind::Export);
        }),
        ("window_to", |notice| notice.window_to = date("2026-10-31")),
    ];
    for (field, contradict) in contradictions {
        let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
        let mut notice = transit_through_kenya();
        contradict(&mut notice);
        let mistake = peru.open(&kenya.us(), question(notice.clone())).expect_err(field).to_string();
        assert!(mistake.contains(field), "{mistake}");
        let blurted = peru.blurt(&kenya.us(), None, Body::TransitNotification(notice));
        assert_eq!(kenya.receive(&blurted), Err(Fault::BodyForbidden), "{field}");
    }
}

#[test]
fn a_notification_beyond_bounds_is_stopped_and_refused() {
    let (kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
    let mut notice = transit_through_kenya();
    notice.import_licences = vec![notice.import_licences[0].clone(); 16];
    peru.open(&kenya.us(), question(notice)).expect("as many as there may be");
    let beyond: [Lack; 3] = [
        ("17 import licences", |notice| {
            notice.import_licences = vec![notice.import_licences[0].clone(); 17];
        }),
        ("17 States of transit", |notice| {
            notice.countries_transit = vec![notice.countries_transit[0].clone(); 17];
        }),
        ("two lines of one number", |notice| {
            notice.import_licences[0].lines = vec![notice.import_licences[0].lines[0].clone(); 2];
        }),
    ];
    for (what, lengthen) in beyond {
        let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
        let mut notice = transit_through_kenya();
        lengthen(&mut notice);
        peru.open(&kenya.us(), question(notice.clone())).expect_err(what);
        let blurted = peru.blurt(&kenya.us(), None, Body::TransitNotification(notice));
        assert_eq!(kenya.receive(&blurted), Err(Fault::BodyMalformed), "{what}");
    }
}

#[test]
fn r_sov_no_rule_decides_on_a_transit() {
    let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
    let rules = Rules { verifications: true, authenticity: true, traces: true, attempts_per_licence: 1000 };
    kenya.rules(&peru.us(), rules);
    let opener = peru.open(&kenya.us(), question(transit_through_kenya())).expect("complete");
    assert_eq!(kenya.take(&mut peru, &opener), Vec::new());
    let exchange = kenya.exchange(&opener.id());
    assert!(kenya.desk.rule_for(&kenya.shelf, &exchange, NOW).is_err());
    assert!(exchange.summary(None).for_officer);
}

#[test]
fn r_13_2_only_a_transit_authority_decides() {
    use Function::{Customs, ExportLicensing, ImportLicensing, TracingCentre, TransitAuthority};
    let others: &[Function] = &[Customs, ExportLicensing, ImportLicensing, TracingCentre];
    let (mut kenya, mut peru) = Office::pair(others, &[ExportLicensing]);
    let opener = peru.open(&kenya.us(), question(transit_through_kenya())).expect("may notify");
    kenya.take(&mut peru, &opener);
    let id = opener.id();
    let no_objection = decision(DecisionCode::NoObjection);
    let mistake = kenya.act(id, decide(no_objection.clone())).expect_err("no transit authority").to_string();
    assert!(mistake.contains("R-13.2"), "{mistake}");
    for body in [
        Body::TransitDecision(no_objection),
        Body::TransitDecisionWithdrawal(TransitDecisionWithdrawal { reason: None }),
    ] {
        let blurted = kenya.blurt(&peru.us(), Some(id), body);
        assert_eq!(peru.receive(&blurted), Err(Fault::FunctionMissing));
    }
    assert_eq!(peru.standing(&id).outcome, None);
    // Nor may everybody notify.
    let (mut kenya, mut peru) = Office::pair(EVERYTHING, &[Customs, TracingCentre, TransitAuthority]);
    assert!(peru.open(&kenya.us(), question(transit_through_kenya())).is_err());
    let blurted = peru.blurt(&kenya.us(), None, Body::TransitNotification(transit_through_kenya()));
    assert_eq!(kenya.receive(&blurted), Err(Fault::FunctionMissing));
}

#[test]
fn r_10_2b_a_clearance_holds_from_its_first_day_to_its_last() {
    let (mut kenya, mut peru, id) = notified();
    act(&mut kenya, &mut peru, id, decide(decision(DecisionCode::NoObjection)));
    for (day, cleared) in [
        ("2026-10-14", false),
        ("2026-10-15", true),
        (DURING, true),
        ("2026-12-15", true),
        ("2026-12-16", false),
    ] {
        assert_eq!(both(&kenya, &peru, id, day), (State::Cleared, cleared), "{day}");
    }
    assert_eq!(peru.exchange(&id).summary(None).valid_to, Some(date("2026-12-15")));
}

#[test]
fn a_decision_that_is_not_whole_is_stopped_and_refused() {
    let of = |code, change: fn(&mut TransitDecision)| {
        let mut decision = decision(code);
        change(&mut decision);
        decision
    };
    for (field, lacking) in [
        ("valid_from", of(DecisionCode::NoObjection, |decision| decision.valid_from = None)),
        ("valid_to", of(DecisionCode::NoObjection, |decision| decision.valid_to = None)),
        ("valid_to", of(DecisionCode::NoObjection, |decision| decision.valid_to = Some(date("2026-10-14")))),
        ("conditions", of(DecisionCode::NoObjectionWithConditions, |decision| decision.conditions.clear())),
        ("conditions", of(DecisionCode::Objection, |decision| decision.conditions = vec![prose("Pay.")])),
        ("reason", of(DecisionCode::MoreInformation, |decision| decision.reason = None)),
        ("reason", of(DecisionCode::NotRequired, |decision| decision.reason = None)),
    ] {
        let (mut kenya, mut peru, id) = notified();
        let mistake = kenya.act(id, decide(lacking.clone())).expect_err(field).to_string();
        assert!(mistake.contains("outcome.") && mistake.contains(field), "{mistake}");
        let blurted = kenya.blurt(&peru.us(), Some(id), Body::TransitDecision(lacking));
        assert_eq!(peru.receive(&blurted), Err(Fault::BodyForbidden), "{field}");
    }
}

#[test]
fn an_objection_needs_no_reason_and_may_be_superseded() {
    let (mut kenya, mut peru, id) = notified();
    act(&mut kenya, &mut peru, id, decide(decision(DecisionCode::Objection)));
    assert_eq!(both(&kenya, &peru, id, DURING), (State::Blocked, false));
    let second = act(&mut kenya, &mut peru, id, decide(decision(DecisionCode::NoObjection)));
    assert_eq!(both(&kenya, &peru, id, DURING), (State::Cleared, true));
    assert_eq!(peru.standing(&id).decided, Some(second));
    act(&mut kenya, &mut peru, id, decide(decision(DecisionCode::Objection)));
    assert_eq!(both(&kenya, &peru, id, DURING), (State::Blocked, false));
    assert_eq!(peru.exchange(&id).summary(None).valid_to, None);
}

#[test]
fn conditions_are_accepted_or_not_for_the_decision_that_is_named() {
    for accepted in [true, false] {
        let (mut kenya, mut peru, id) = notified();
        let first = act(&mut kenya, &mut peru, id, decide(decision(DecisionCode::NoObjectionWithConditions)));
        assert_eq!(both(&kenya, &peru, id, DURING), (State::ConditionsOpen, false));
        assert!(peru.exchange(&id).summary(None).for_officer);
        // Other conditions stand now: a reply to the first ones says nothing of them.
        let second =
            act(&mut kenya, &mut peru, id, decide(decision(DecisionCode::NoObjectionWithConditions)));
        let late = ConditionReply { of: first, accepted, note: None };
        let blurted = peru.blurt(&kenya.us(), Some(id), Body::ConditionReply(late));
        kenya.take(&mut peru, &blurted);
        assert_eq!(both(&kenya, &peru, id, DURING), (State::ConditionsOpen, false));
        let reply = peru.act(id, Act::ReplyToConditions { accepted, note: None }).expect("open to it");
        let Body::ConditionReply(said) = &reply.message().body else { panic!("a reply") };
        assert_eq!(said.of, second);
        kenya.take(&mut peru, &reply);
        let expected = if accepted { State::Cleared } else { State::Blocked };
        assert_eq!(both(&kenya, &peru, id, DURING), (expected, accepted));
    }
}

#[test]
fn a_clearance_may_be_taken_back_and_given_anew() {
    for before in
        [DecisionCode::NoObjection, DecisionCode::NoObjectionWithConditions, DecisionCode::NotRequired]
    {
        let (mut kenya, mut peru, id) = notified();
        act(&mut kenya, &mut peru, id, decide(decision(before)));
        act(&mut kenya, &mut peru, id, Act::Rescind { reason: None });
        assert_eq!(both(&kenya, &peru, id, DURING), (State::Rescinded, false));
        assert!(peru.act(id, Act::ReplyToConditions { accepted: true, note: None }).is_err());
        act(&mut kenya, &mut peru, id, decide(decision(DecisionCode::NoObjection)));
        assert_eq!(both(&kenya, &peru, id, DURING), (State::Cleared, true));
    }
    // What was never given is not taken back.
    let (mut kenya, mut peru, id) = notified();
    act(&mut kenya, &mut peru, id, decide(decision(DecisionCode::Objection)));
    assert!(kenya.act(id, Act::Rescind { reason: None }).is_err());
}

#[test]
fn more_information_pauses_the_clock_and_clears_nothing_also_when_asked_twice() {
    let (mut kenya, mut peru, id) = notified();
    act(&mut kenya, &mut peru, id, decide(decision(DecisionCode::NoObjection)));
    for _ in 0..2 {
        act(&mut kenya, &mut peru, id, decide(decision(DecisionCode::MoreInformation)));
        assert_eq!(both(&kenya, &peru, id, DURING), (State::InformationRequested, false));
        assert_eq!((kenya.due(&id), peru.due(&id)), (None, None));
    }
    (kenya.now, peru.now) = (NOW.plus(3 * DAY), NOW.plus(3 * DAY));
    let answers = vec![prose("MV Callao, IMO 9074729.")];
    act(&mut peru, &mut kenya, id, Act::SupplyInformation { answers, item: None });
    assert_eq!(both(&kenya, &peru, id, DURING), (State::Acknowledged, false));
    assert_eq!(peru.due(&id).map(|due| due.owing), Some(Owing::Answer));
    assert_eq!(kenya.due(&id), peru.due(&id));
}

/// One State takes its message key back, from then on, and the other hears of it.
fn revoke(one: &mut Office, other: &mut Office, untrusted_from: Timestamp) {
    revoke_key("msg-1", one, other, untrusted_from);
}

fn revoke_key(kid: &str, one: &mut Office, other: &mut Office, untrusted_from: Timestamp) {
    let mut set = one.chain.current().clone();
    (set.version, set.prev) = (2, Some(one.chain.newest().digest()));
    set.revoked = vec![Revocation { kid: kid.into(), untrusted_from, reason: line("stolen") }];
    let signed = office::sign(one.seed, set);
    for office in [one, other] {
        let (node, key_set) = (signed.set().node.clone(), signed.json().to_owned());
        office.record(Record::KeySet { node, key_set }, None);
    }
}

#[test]
fn p1_a_clearance_under_a_key_that_is_revoked_from_before_clears_nothing_any_more() {
    for (from, expected) in [(NOW, (State::Blocked, false)), (NOW.plus(10_000_000), (State::Cleared, true))] {
        let (mut kenya, mut peru, id) = notified();
        act(&mut kenya, &mut peru, id, decide(decision(DecisionCode::NoObjection)));
        assert_eq!(both(&kenya, &peru, id, DURING), (State::Cleared, true));
        revoke(&mut kenya, &mut peru, from);
        assert_eq!(both(&kenya, &peru, id, DURING), expected);
        for office in [&kenya, &peru] {
            let said = office.exchange(&id).timeline().pop().expect("it was said");
            assert_eq!((said.revoked, said.effective), (!expected.1, expected.1));
            // Read again from the log, it is the same.
            assert_eq!(load_exchange(&office.us(), &office.shelf, &id), Some(office.exchange(&id)));
        }
    }
}

#[test]
fn p1_the_revocation_of_a_key_under_which_nothing_was_said_is_no_part_of_an_exchange() {
    let (mut kenya, mut peru, id) = notified();
    act(&mut kenya, &mut peru, id, decide(decision(DecisionCode::NoObjection)));
    let before = [&kenya, &peru].map(|office| office.exchange(&id).places().to_vec());
    revoke_key("msg-0", &mut kenya, &mut peru, NOW);
    assert_eq!(both(&kenya, &peru, id, DURING), (State::Cleared, true));
    assert_eq!([&kenya, &peru].map(|office| office.exchange(&id).places().to_vec()), before);
}

#[test]
fn p1_what_was_cleared_for_a_notification_under_a_revoked_key_does_not_pass() {
    let (mut kenya, mut peru, id) = notified();
    act(&mut kenya, &mut peru, id, decide(decision(DecisionCode::NoObjection)));
    revoke(&mut peru, &mut kenya, NOW);
    assert_eq!(both(&kenya, &peru, id, DURING), (State::Blocked, false));
}

#[test]
fn a_withdrawn_notification_is_cleared_by_nothing() {
    let (mut kenya, mut peru, id) = notified();
    act(&mut peru, &mut kenya, id, Act::Withdraw { reason: prose("The export was cancelled.") });
    assert!(kenya.act(id, decide(decision(DecisionCode::NoObjection))).is_err());
    let body = Body::TransitDecision(decision(DecisionCode::NoObjection));
    let blurted = kenya.blurt(&peru.us(), Some(id), body);
    peru.take(&mut kenya, &blurted);
    assert_eq!(both(&kenya, &peru, id, DURING), (State::Withdrawn, false));
}

/// A message of `from`'s that says something which its addressee does not know.
fn beyond(from: &mut Office, to: &Office, id: MessageId, body: Body) -> liaison_protocol::envelope::Verified {
    let mut handling = Handling::for_transit();
    handling.unknown.insert("only_by_night".into(), true.into());
    from.seal(liaison_protocol::desk::Draft {
        peer: to.us(),
        exchange: Some(id),
        irt: None,
        body,
        handling,
        by: officer(),
        case_ref: None,
        enclosed: Default::default(),
    })
}

#[test]
fn r_10_2c_a_decision_that_is_not_understood_clears_nothing() {
    for code in
        [DecisionCode::NoObjection, DecisionCode::NoObjectionWithConditions, DecisionCode::NotRequired]
    {
        let (mut kenya, mut peru, id) = notified();
        let said = beyond(&mut kenya, &peru, id, Body::TransitDecision(decision(code)));
        peru.take(&mut kenya, &said);
        assert_eq!(both(&kenya, &peru, id, DURING), (State::Blocked, false));
        assert!(peru.act(id, Act::ReplyToConditions { accepted: true, note: None }).is_err());
    }
    // It stands in the place of a clearance before it, which is no more.
    let (mut kenya, mut peru, id) = notified();
    act(&mut kenya, &mut peru, id, decide(decision(DecisionCode::NoObjection)));
    let newer = TransitDecision {
        decision: Coded::Unknown(line("NO_OBJECTION_BY_NIGHT")),
        ..decision(DecisionCode::NoObjection)
    };
    let blurted = kenya.blurt(&peru.us(), Some(id), Body::TransitDecision(newer));
    peru.take(&mut kenya, &blurted);
    assert_eq!(both(&kenya, &peru, id, DURING), (State::Blocked, false));
}

#[test]
fn r_10_2c_an_acceptance_that_is_not_understood_clears_nothing() {
    let (mut kenya, mut peru, id) = notified();
    let of = act(&mut kenya, &mut peru, id, decide(decision(DecisionCode::NoObjectionWithConditions)));
    let reply = ConditionReply { of, accepted: true, note: None };
    let said = beyond(&mut peru, &kenya, id, Body::ConditionReply(reply));
    kenya.take(&mut peru, &said);
    assert_eq!(both(&kenya, &peru, id, DURING), (State::Blocked, false));
}

#[test]
fn r_10_2c_the_target_passes_and_nothing_is_cleared() {
    let (mut kenya, mut peru, id) = notified();
    act(
        &mut kenya,
        &mut peru,
        id,
        Act::Acknowledge { unit: line("Transit desk"), expected: None, note: None },
    );
    let due = peru.due(&id).expect("owed");
    // Twenty working days after Monday 21 September.
    assert_eq!((due.owing, due.at.to_string()), (Owing::Answer, "2026-10-20 00:00:00Z".into()));
    let reminders = peru.wait(due.at);
    assert_eq!(reminders.len(), 1);
    assert_eq!(kenya.wait(due.at), Vec::new());
    kenya.take(&mut peru, &reminders[0]);
    peru.wait(due.at.plus(1000 * DAY));
    assert_eq!(both(&kenya, &peru, id, DURING), (State::Acknowledged, false));
    let summary = peru.exchange(&id).summary(peru.due(&id));
    assert!(summary.no_reply && summary.state.is_open());
    assert_eq!((summary.outcome, summary.valid_to), (None, None));
}

/// Everything that may happen to a notification but a word of the transit State that clears.
#[derive(Clone, Debug)]
enum Happening {
    /// Kenya says something.
    Kenya(Body),
    /// Peru says something.
    Peru(Body),
    /// Time passes, in days, and both nodes notice.
    Wait(u64),
    /// A record of a time passed, whatever it names.
    Deadline(Owing, u64),
}

fn anything_but_a_clearance() -> impl Strategy<Value = Happening> {
    let uncleared = prop::sample::select(vec![
        DecisionCode::MoreInformation,
        DecisionCode::NotRequired,
        DecisionCode::Objection,
    ]);
    let answers = vec![prose("MV Callao.")];
    let of = any::<[u8; 32]>().prop_map(|id| MessageId(liaison_protocol::merkle::Hash::from_bytes(id)));
    let supply = liaison_protocol::message::InformationSupply { answers, item: None };
    prop_oneof![
        uncleared.prop_map(|code| Happening::Kenya(Body::TransitDecision(decision(code)))),
        Just(Happening::Kenya(Body::TransitDecisionWithdrawal(TransitDecisionWithdrawal { reason: None }))),
        Just(Happening::Kenya(Body::Acknowledgement(liaison_protocol::message::Acknowledgement {
            unit: line("Transit desk"),
            expected: None,
            note: None,
        }))),
        of.prop_map(|of| Happening::Peru(Body::ConditionReply(ConditionReply {
            of,
            accepted: true,
            note: None
        }))),
        Just(Happening::Peru(Body::InformationSupply(supply))),
        Just(Happening::Peru(Body::Reminder(liaison_protocol::message::Reminder { due: NOW }))),
        (1_u64..60).prop_map(Happening::Wait),
        (prop::sample::select(Owing::ALL.to_vec()), 0_u64..100)
            .prop_map(|(owing, days)| Happening::Deadline(owing, days)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn r_10_2c_no_path_leads_from_time_passing_to_a_clearance(
        happenings in prop::collection::vec(anything_but_a_clearance(), 0..14)
    ) {
        let (mut kenya, mut peru, id) = notified();
        for happening in happenings {
            match happening {
                Happening::Kenya(body) => {
                    let said = kenya.blurt(&peru.us(), Some(id), body);
                    peru.take(&mut kenya, &said);
                }
                Happening::Peru(body) => {
                    let said = peru.blurt(&kenya.us(), Some(id), body);
                    kenya.take(&mut peru, &said);
                }
                Happening::Wait(days) => {
                    let now = peru.now.plus(days * DAY);
                    kenya.wait(now);
                    for reminder in peru.wait(now) {
                        kenya.take(&mut peru, &reminder);
                    }
                }
                Happening::Deadline(owing, days) => {
                    let due = Due { owing, at: NOW.plus(days * DAY) };
                    let peer = kenya.us();
                    for effect in peru.record(Record::Deadline { exchange: id, peer, due }, None) {
                        let reminder = peru.send(&effect);
                        kenya.take(&mut peru, &reminder);
                    }
                }
            }
            let (here, there) = (kenya.standing(&id), peru.standing(&id));
            prop_assert_eq!(&here, &there);
            prop_assert!(!matches!(here.state, State::Cleared | State::ConditionsOpen), "{:?}", here.state);
            for days in 0..200 {
                prop_assert!(!here.clears(Timestamp(NOW.0 + days * DAY).date()));
            }
            prop_assert_eq!(kenya.due(&id), peru.due(&id));
        }
    }
}

#[test]
fn the_acts_that_are_shown_are_the_ones_that_are_open() {
    let (mut kenya, mut peru, id) = notified();
    act(&mut kenya, &mut peru, id, decide(decision(DecisionCode::NoObjectionWithConditions)));
    let standing = peru.standing(&id);
    let acts = |side| standing.acts(Kind::TransitNotification, side);
    assert_eq!(acts(Side::Requesting), ["reply_to_conditions", "withdraw"]);
    assert_eq!(acts(Side::Requested), ["answer", "rescind"]);
    let mistake = peru.act(id, Act::Rescind { reason: None }).expect_err("not theirs").to_string();
    assert!(mistake.contains("reply_to_conditions or withdraw"), "{mistake}");
    // A decision says all it has to say in itself.
    let outcome = Outcome::Transit(decision(DecisionCode::Objection));
    assert!(kenya.act(id, Act::Answer { outcome, note: Some(prose("By night only.")) }).is_err());
}

/// What makes something one that cannot be so, and words that the sender must be told.
type Absurd<T> = (fn(&mut T), [&'static str; 2]);

#[test]
fn r_10_2b_r_10_3_a_notification_that_cannot_be_so_is_stopped_with_field_rule_and_remedy() {
    fn states<const N: usize>(codes: [&str; N]) -> Vec<StateCode> {
        codes.map(|code| code.parse().expect("a State")).to_vec()
    }
    let absurdities: &[Absurd<TransitNotification>] = &[
        (
            |it| it.countries_transit = states(["UGA"]),
            ["countries_transit: KEN is notified and not among", "R-10.2b"],
        ),
        (
            |it| it.countries_transit = states(["KEN", "UGA", "KEN"]),
            ["countries_transit.2: KEN is named twice", "R-10.2b, Art. 10(2)(b)"],
        ),
        (
            |it| it.countries_transit = states(["KEN", "PER"]),
            ["countries_transit: PER is our own State", "R-10.2b"],
        ),
        (
            |it| it.import_licences[0].country_export = Some("RWA".parse().expect("a State")),
            ["import_licences.0.country_import: is the country_export too", "R-10.3a"],
        ),
        (
            |it| it.import_licences[0].country_import = Some("UGA".parse().expect("a State")),
            ["import_licences.0.country_import: UGA is among countries_transit too", "R-10.3a"],
        ),
        (
            |it| it.import_licences[0].country_export = Some("UGA".parse().expect("a State")),
            ["import_licences.0.country_export: UGA is among countries_transit too", "R-10.3a"],
        ),
        (
            |it| (it.window_from, it.window_to) = (date("2026-09-01"), date("2026-09-20")),
            ["window_to: 2026-09-20 is past", "notified before it passes"],
        ),
        (|it| it.window_to = date("2026-10-01"), ["window_to: before window_from", "R-10.3c, Art. 10(3)"]),
        (|it| it.respond_by = Some(date("2026-09-20")), ["respond_by: 2026-09-20 is past", "or none"]),
        (
            |it| it.import_licences[0].issue_date = Some(date("2026-09-23")),
            ["import_licences.0.issue_date: 2026-09-23 has not come yet", "R-10.3c"],
        ),
        (
            |it| {
                it.import_licences[0].issue_date = Some(date("2026-09-02"));
                it.import_licences[0].expiry_date = Some(date("2026-09-01"));
                it.window_from = date("2026-08-31");
            },
            ["import_licences.0.expiry_date: 2026-09-01 is before the issue_date, 2026-09-02", "R-10.3c"],
        ),
        (
            |it| it.import_licences[0].expiry_date = Some(date("2026-10-31")),
            ["import_licences.0.expiry_date: it expires before", "R-10.3c, Art. 10(3)"],
        ),
        (
            |it| it.import_licences[0].lines[0].quantity = 0,
            ["import_licences.0.lines.0.quantity: 0", "R-10.3d, Art. 10(3)"],
        ),
    ];
    for (spoil, told) in absurdities {
        let (kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
        let mut notice = transit_through_kenya();
        spoil(&mut notice);
        let mistake = peru.open(&kenya.us(), question(notice)).expect_err(told[0]).to_string();
        for word in told.iter().chain(&["notification."]) {
            assert!(mistake.contains(word), "{word}: {mistake}");
        }
    }
}

#[test]
fn r_10_2b_an_absurd_notification_that_comes_all_the_same_is_put_before_an_officer() {
    let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
    let mut notice = transit_through_kenya();
    notice.countries_transit.remove(0);
    notice.import_licences[0].lines[0].quantity = 0;
    let blurted = peru.blurt(&kenya.us(), None, Body::TransitNotification(notice));
    kenya.take(&mut peru, &blurted);
    assert!(kenya.exchange(&blurted.id()).summary(None).for_officer);
}

#[test]
fn r_10_2b_a_clearance_clears_days_that_were_notified() {
    // Notified: from 2026-11-01 to 2026-11-20.
    let of = |first: &str, last: &str| TransitDecision {
        valid_from: Some(date(first)),
        valid_to: Some(date(last)),
        ..decision(DecisionCode::NoObjection)
    };
    for (absurd, told) in [
        (
            of("2026-12-01", "2026-12-15"),
            "valid_from, valid_to: 2026-12-01 to 2026-12-15 is outside of the days notified",
        ),
        (
            of("2026-10-01", "2026-10-31"),
            "valid_from, valid_to: 2026-10-01 to 2026-10-31 is outside of the days notified",
        ),
        (of("2026-11-10", "2026-11-09"), "valid_to: before valid_from"),
    ] {
        let (mut kenya, _, id) = notified();
        let mistake = kenya.act(id, decide(absurd)).expect_err(told).to_string();
        assert!(mistake.contains(told) && mistake.contains("R-10.2b, Art. 10(2)(b)"), "{mistake}");
    }
    let (mut kenya, mut peru, id) = notified();
    act(&mut kenya, &mut peru, id, decide(of("2026-11-20", "2026-12-15")));
}

#[test]
fn r_10_3_a_licence_that_cannot_be_so_is_not_presented_for_verification() {
    let absurdities: &[Absurd<Presented>] = &[
        (
            |it| it.issue_date = Some(date("2026-09-23")),
            ["issue_date: 2026-09-23 has not come yet", "R-10.3c"],
        ),
        (|it| it.expiry_date = Some(date("2026-02-28")), ["expiry_date: 2026-02-28 is before", "R-10.3c"]),
        (|it| it.lines[0].quantity = 0, ["lines.0.quantity: 0", "R-10.3d"]),
        (
            |it| it.country_export = it.country_import.clone(),
            ["country_import: is the country_export", "R-10.3a"],
        ),
    ];
    for (spoil, told) in absurdities {
        let (kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
        let mut presented = import_licence();
        spoil(&mut presented);
        let ask = Question::Verification { presented: presented.clone() };
        let mistake = peru.open(&kenya.us(), ask).expect_err(told[0]).to_string();
        for word in told.iter().chain(&["presented.", "Art. 10(3)"]) {
            assert!(mistake.contains(word), "{word}: {mistake}");
        }
        // Whether such a document is genuine may well be asked, as it stands (Art. 10(5)).
        peru.open(&kenya.us(), Question::Authenticity { presented }).expect("it may be forged");
    }
}

//! The rules on traces, by their ids (R-12.4, R-ITI-19, R-ITI-22, R-13.2, R-SOV), and what a trace case makes of the
//! answers (scenarios T3 to T7).

mod office;
mod samples;
mod shelf;

use liaison_protocol::authority::{Function, StateCode, Timestamp};
use liaison_protocol::case::{self, Finding, Hop, Progress};
use liaison_protocol::deadline::{Due, Owing, Span, Target, WorkingCalendar};
use liaison_protocol::desk::{Effect, Sought};
use liaison_protocol::entry::Record;
use liaison_protocol::fault::Fault;
use liaison_protocol::handling::{Coded, Handling, PersonalData};
use liaison_protocol::item::{
    Action, AmmunitionComponent, AmmunitionLot, Calibre, Firearm, FirearmType, Headstamp, Item, Part,
    PartKind, YearOfManufacture, YearSource,
};
use liaison_protocol::item_record::ItemRecord;
use liaison_protocol::mark::{Decoded, Mark, MarkKind, MarkState, Raw};
use liaison_protocol::message::{Body, Kind, MessageId, Outcome, Reminder};
use liaison_protocol::operator::{Act, Enclosed, Opening, Order, Question, Rules, Side, State};
use liaison_protocol::trace::{
    Conclusion, EventKind, HolderKind, ItemEvent, LastLegalRecord, LegalStatus, MatchLevel, ResultCode,
    TraceOutcome, TraceRequest, TraceResponse, Urgency,
};
use office::{DAY, EVERYTHING, HOUR, NOW, Office, introduce, line, sign};
use samples::{
    date, delayed, destroyed, exported_to, interim, person, photo, prose, refused, response, restricted,
    searched, trace_request,
};

fn question(request: TraceRequest) -> Question {
    Question::Trace { request, looked_again: true }
}

fn answer(response: TraceResponse) -> Act {
    Act::Answer { outcome: Outcome::Trace(searched(response)), note: None }
}

fn acknowledge() -> Act {
    Act::Acknowledge { unit: line("Tracing Centre"), expected: None, note: None }
}

/// Peru has asked Kenya, and Kenya holds it, proven.
fn asked(request: TraceRequest) -> (Office, Office, MessageId) {
    let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
    let id = ask(&mut peru, &mut kenya, request);
    (kenya, peru, id)
}

fn ask(peru: &mut Office, kenya: &mut Office, request: TraceRequest) -> MessageId {
    let opener = peru.open(&kenya.us(), question(request)).expect("complete");
    assert_eq!(kenya.take(peru, &opener), Vec::new());
    opener.id()
}

/// `from` acts, and `to` takes it.
fn act(from: &mut Office, to: &mut Office, id: MessageId, act: Act) -> MessageId {
    let said = from.act(id, act).expect("open to it");
    to.take(from, &said);
    said.id()
}

/// A change of a request, and what the desk must name because of it.
type Lack = (&'static str, fn(&mut TraceRequest));

/// Each thing without which lets no request out.
const LACKS: [Lack; 9] = [
    ("illicit_basis", |request| request.illicit_basis.clear()),
    ("suspected_offences", |request| request.suspected_offences.clear()),
    ("questions", |request| request.questions.clear()),
    ("item.marks", |request| request.item = Item::Firearm(Box::new(Firearm::of(FirearmType::Pistol)))),
    ("no_photo_reason", |request| request.no_photo_reason = None),
    ("national_search.registers", |request| request.national_search.registers.clear()),
    ("urgency_reason", |request| request.urgency = Urgency::Urgent),
    ("urgency_reason", |request| request.urgency = Urgency::EmergencyThreatToLife),
    ("respond_by_reason", |request| request.respond_by = Some(date("2026-10-01"))),
];

#[test]
fn r_12_4_what_is_missing_is_named_to_the_sender_with_rule_and_article() {
    let (kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
    for (field, take_away) in LACKS {
        let mut request = trace_request();
        take_away(&mut request);
        let mistake = peru.open(&kenya.us(), question(request)).expect_err(field).to_string();
        for word in [&format!("request.{field}: "), "R-12.4", "Art. 12(4)", "ITI 18"] {
            assert!(mistake.contains(word), "{field}: {mistake}");
        }
    }
    // All that is missing is named at once.
    let mut request = trace_request();
    request.illicit_basis.clear();
    request.questions.clear();
    let mistake = peru.open(&kenya.us(), question(request)).expect_err("incomplete").to_string();
    assert!(mistake.contains("illicit_basis") && mistake.contains("questions"), "{mistake}");
}

#[test]
fn r_12_4_what_an_honest_node_cannot_send_is_refused_when_it_comes_all_the_same() {
    for (field, take_away) in LACKS {
        let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
        let mut request = trace_request();
        take_away(&mut request);
        let blurted = peru.blurt(&kenya.us(), None, Body::TraceRequest(request));
        assert_eq!(kenya.receive(&blurted), Err(Fault::BodyForbidden), "{field}");
    }
}

#[test]
fn r_12_4_what_is_beyond_bounds_is_stopped_and_refused() {
    let beyond: [fn(&mut TraceRequest); 4] = [
        |request| request.hop = 0,
        |request| request.questions = vec![request.questions[0].clone(); 17],
        |request| request.other_searches = vec![line("iARMS 1"); 17],
        |request| {
            if let Item::Firearm(firearm) = &mut request.item {
                firearm.marks = vec![firearm.marks[0].clone(); 33];
            }
        },
    ];
    for (n, exceed) in beyond.into_iter().enumerate() {
        let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
        let mut request = trace_request();
        exceed(&mut request);
        assert!(peru.open(&kenya.us(), question(request.clone())).is_err(), "{n}");
        let blurted = peru.blurt(&kenya.us(), None, Body::TraceRequest(request));
        assert_eq!(kenya.receive(&blurted), Err(Fault::BodyMalformed), "{n}");
    }
}

#[test]
fn r_12_4_a_photograph_stands_for_marks_and_for_the_reason_why_there_is_none() {
    let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
    let mut request = trace_request();
    request.no_photo_reason = None;
    request.item = Item::Firearm(Box::new(Firearm::of(FirearmType::Pistol)));
    let enclosed = |media: &str| Enclosed {
        attachments: vec![liaison_protocol::attachment::Attachment { media_type: line(media), ..photo() }],
        ..Enclosed::default()
    };
    let opener = peru
        .open_with(&kenya.us(), question(request.clone()), enclosed("image/jpeg"))
        .expect("there is a photograph");
    kenya.receive(&opener).expect("acceptable");
    // A document shows nothing.
    let mistake = peru
        .open_with(&kenya.us(), question(request), enclosed("application/pdf"))
        .expect_err("no photograph")
        .to_string();
    assert!(mistake.contains("item.marks") && mistake.contains("no_photo_reason"), "{mistake}");
}

#[test]
fn r_12_4_a_headstamp_is_a_marking_and_so_is_that_none_is_visible() {
    let mut lot = AmmunitionLot::of(AmmunitionComponent::CompleteRound);
    lot.headstamp =
        Some(Headstamp { clockwise: vec!["ППУ".parse().expect("a mark")], ..Headstamp::default() });
    let mut pistol = Firearm::of(FirearmType::Pistol);
    pistol.no_marks_visible = true;
    for item in [Item::AmmunitionLot(Box::new(lot)), Item::Firearm(Box::new(pistol))] {
        let (_, _, id) = asked(TraceRequest { item, ..trace_request() });
        assert_ne!(id.to_string(), "");
    }
}

#[test]
fn a_code_that_is_in_no_list_is_stopped_at_the_sender_and_kept_by_the_receiver() {
    let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
    let mut request = trace_request();
    request.illicit_basis = vec![Coded::Unknown(line("SUSPECT"))];
    assert!(peru.open(&kenya.us(), question(request.clone())).is_err());
    kenya.rules(&peru.us(), Rules { traces: true, ..all_rules() });
    let blurted = peru.blurt(&kenya.us(), None, Body::TraceRequest(request));
    assert_eq!(kenya.receive(&blurted), Ok(Vec::new()), "taken, and put before an officer");
    // An answer that means to be a refusal cannot do without its ground by being misspelt.
    let mut misspelt = response(ResultCode::NoRecord);
    misspelt.result_code = Coded::Unknown(line("REFUZED"));
    assert!(kenya.act(blurted.id(), answer(misspelt)).is_err());
    let known = || LastLegalRecord {
        status: Coded::Known(LegalStatus::LawfullyHeld),
        date: None,
        holder: Coded::Known(HolderKind::Dealer),
        reference: None,
    };
    for record in [
        LastLegalRecord { status: Coded::Unknown(line("LENT")), ..known() },
        LastLegalRecord { holder: Coded::Unknown(line("PAWNBROKER")), ..known() },
    ] {
        let held = TraceResponse { last_legal_record: Some(record), ..whole(ResultCode::TracedToDealerOnly) };
        assert!(kenya.act(blurted.id(), answer(held.clone())).is_err(), "{:?}", held.last_legal_record);
    }
    let held = TraceResponse { last_legal_record: Some(known()), ..whole(ResultCode::TracedToDealerOnly) };
    kenya.act(blurted.id(), answer(held)).expect("every code is known");
}

#[test]
fn the_line_of_an_answer_tells_what_it_came_to_and_whom_to_ask_next() {
    let redirected =
        TraceResponse { next_hop: exported_to("CHL").next_hop, ..response(ResultCode::Redirected) };
    for (response, words) in [
        (exported_to("CHL"), "EXPORTED_TO CHL"),
        (redirected, "REDIRECTED, ask CHL"),
        (delayed("2026-12-01"), "DELAYED until 2026-12-01 (ONGOING_INVESTIGATION)"),
        (interim(), "interim: MANUFACTURE_CONFIRMED_NO_DISPOSITION"),
    ] {
        assert_eq!(response.to_string(), words);
    }
}

fn all_rules() -> Rules {
    Rules { verifications: true, authenticity: true, traces: true, attempts_per_licence: 20 }
}

#[test]
fn r_iti_19_an_acknowledgement_is_another_thing_than_a_receipt_and_its_clock_starts_at_delivery() {
    let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
    let opener = peru.open(&kenya.us(), question(trace_request())).expect("complete");
    let id = opener.id();
    assert_eq!((peru.standing(&id).state, peru.due(&id)), (State::Requested, None), "no clock runs yet");
    // The link was down from Monday to Thursday afternoon.
    kenya.now = NOW.plus(3 * DAY);
    peru.now = NOW.plus(10 * DAY);
    kenya.receive(&opener).expect("acceptable");
    peru.receipt(&kenya.us(), &opener, kenya.now);
    // Three working days: Friday, Monday, Tuesday 29 September.
    let due = Some(Due { owing: Owing::Acknowledgement, at: Timestamp(1_790_726_400) });
    assert_eq!(due.map(|due| due.at.to_string()), Some("2026-09-30 00:00:00Z".into()));
    for office in [&kenya, &peru] {
        assert_eq!((office.standing(&id).state, office.due(&id)), (State::Delivered, due));
        assert_eq!(office.standing(&id).acknowledgement, None);
    }
    act(&mut kenya, &mut peru, id, acknowledge());
    // Now the answer is owed: 30 days after the day of delivery.
    for office in [&kenya, &peru] {
        assert_eq!(office.standing(&id).state, State::Acknowledged);
        let due = office.due(&id).expect("an answer is owed");
        assert_eq!((due.owing, due.at.to_string()), (Owing::Answer, "2026-10-25 00:00:00Z".into()));
    }
}

#[test]
fn r_iti_19_the_targets_and_the_calendar_are_those_of_the_state_that_answers() {
    let with = |targets: Vec<Target>, urgency| {
        let calendar = WorkingCalendar { utc_offset_minutes: 180, ..WorkingCalendar::default() };
        let mut kenya = Office::with(1, "firearms.example.ke/liaison", "KEN", EVERYTHING, |set| {
            (set.calendar, set.targets) = (Some(calendar), targets);
        });
        let mut peru = Office::new(2, "armas.example.pe/liaison", "PER", EVERYTHING);
        introduce(&mut kenya, &mut peru);
        let urgency_reason = (urgency == Urgency::Urgent).then(|| prose("The suspect is held until Friday."));
        let id = ask(&mut peru, &mut kenya, TraceRequest { urgency, urgency_reason, ..trace_request() });
        assert_eq!(kenya.due(&id), peru.due(&id));
        kenya.due(&id).map(|due| due.at.to_string()).expect("owed")
    };
    let target = |within, state: Option<&str>| Target {
        owing: Owing::Acknowledgement,
        kind: Kind::TraceRequest,
        urgency: None,
        within,
        with: state.map(|state| state.parse().expect("a State")).into_iter().collect(),
    };
    let any = target(Span::WorkingDays(2), None);
    assert_eq!(with(vec![any.clone()], Urgency::Routine), "2026-09-23 21:00:00Z");
    // What it promised to Peru counts for Peru, what it promised to Chile does not.
    let peru = target(Span::Hours(12), Some("PER"));
    let chile = target(Span::Hours(1), Some("CHL"));
    assert_eq!(with(vec![peru, chile, any.clone()], Urgency::Routine), "2026-09-22 02:13:20Z");
    // Nor does what it promised for urgent requests count for others.
    let urgent = Target { urgency: Some(Urgency::Urgent), ..target(Span::Hours(2), None) };
    assert_eq!(with(vec![urgent.clone(), any.clone()], Urgency::Routine), "2026-09-23 21:00:00Z");
    assert_eq!(with(vec![urgent, any], Urgency::Urgent), "2026-09-21 16:13:20Z");
}

#[test]
fn r_iti_19_a_key_set_that_comes_late_moves_what_is_due_and_nothing_passes_twice() {
    let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
    let id = ask(&mut peru, &mut kenya, trace_request());
    let before = peru.due(&id).expect("owed");
    // Kenya's next key set was issued before the delivery, and comes after it: it allows a day more.
    let mut set = kenya.chain.current().clone();
    (set.version, set.prev, set.issued) = (2, Some(kenya.chain.newest().digest()), Timestamp(NOW.0 - 10));
    set.targets = vec![Target {
        owing: Owing::Acknowledgement,
        kind: Kind::TraceRequest,
        urgency: None,
        within: Span::WorkingDays(4),
        with: Vec::new(),
    }];
    let key_set = sign(1, set).json().to_owned();
    let record = Record::KeySet { node: kenya.us(), key_set };
    for office in [&mut kenya, &mut peru] {
        office.record(record.clone(), None);
    }
    let after = peru.due(&id).expect("owed");
    assert_eq!((after.at, kenya.due(&id)), (before.at.plus(DAY), Some(after)));
    for office in [&kenya, &peru] {
        assert_eq!(office.desk.next_due(&office.shelf), Some(after.at));
    }
    assert_eq!(peru.wait(before.at), Vec::new(), "not yet");
    assert_eq!(peru.wait(after.at).len(), 1, "one reminder");
    assert_eq!(peru.wait(after.at.plus(100 * DAY)), Vec::new());
    assert_eq!(peru.desk.next_due(&peru.shelf), None);
}

#[test]
fn silence_reminds_once_and_changes_nothing() {
    let (mut kenya, mut peru, id) = asked(trace_request());
    let due = peru.due(&id).expect("owed");
    let reminders = peru.wait(due.at);
    let [reminder] = reminders.as_slice() else { panic!("{reminders:?}") };
    assert_eq!(reminder.message().body, Body::Reminder(Reminder { due: due.at }));
    assert_eq!(kenya.wait(due.at), Vec::new(), "who is late does not remind himself");
    kenya.take(&mut peru, reminder);
    for office in [&kenya, &peru] {
        assert_eq!(office.standing(&id).state, State::Delivered);
        assert_eq!(office.due(&id), Some(due));
        assert!(office.exchange(&id).summary(office.due(&id)).no_reply);
        assert_eq!(office.exchange(&id).summary(office.due(&id)).outcome, None);
    }
    // The acknowledgement comes late, and counts.
    act(&mut kenya, &mut peru, id, acknowledge());
    assert_eq!(peru.standing(&id).state, State::Acknowledged);
    assert!(!peru.exchange(&id).summary(peru.due(&id)).no_reply, "another time is running");
}

#[test]
fn nothing_is_said_to_a_peer_that_was_removed_and_its_times_do_not_come_again() {
    let (kenya, mut peru, id) = asked(trace_request());
    let due = peru.due(&id).expect("owed");
    peru.order(Order::RemovePeer { node: kenya.us(), reason: line("its State was dissolved") })
        .expect("admitted");
    assert_eq!(peru.wait(due.at), Vec::new());
    assert_eq!(peru.desk.next_due(&peru.shelf), None);
}

#[test]
fn r_iti_22_t4_a_refusal_without_its_ground_cannot_be_sent_and_is_not_taken() {
    type Lack = (&'static str, fn(&mut TraceResponse));
    let lacks: [Lack; 2] = [
        ("outcome.grounds", |response| response.grounds.clear()),
        ("outcome.reason", |response| response.reason = None),
    ];
    for whole in [refused(), restricted(), delayed("2026-12-01")] {
        for (field, take_away) in lacks {
            let (mut kenya, mut peru, id) = asked(trace_request());
            let mut response = whole.clone();
            take_away(&mut response);
            let mistake = kenya.act(id, answer(response.clone())).expect_err(field).to_string();
            assert!(mistake.contains(field) && mistake.contains("R-ITI-22"), "{mistake}");
            let blurted = kenya.blurt(&peru.us(), Some(id), Body::TraceResponse(response));
            assert_eq!(peru.receive(&blurted), Err(Fault::BodyForbidden), "{whole}");
            assert_eq!(peru.standing(&id).outcome, None);
        }
        let (mut kenya, mut peru, id) = asked(trace_request());
        act(&mut kenya, &mut peru, id, answer(whole));
    }
    let mut without_day = delayed("2026-12-01");
    without_day.until = None;
    let (mut kenya, _, id) = asked(trace_request());
    let mistake = kenya.act(id, answer(without_day)).expect_err("until when?").to_string();
    assert!(mistake.contains("outcome.until"), "{mistake}");
}

#[test]
fn what_other_codes_need_is_asked_of_whoever_answers() {
    let of = |code, change: fn(&mut TraceResponse)| {
        let mut response = response(code);
        change(&mut response);
        response
    };
    for (field, lacking) in [
        ("next_hop", of(ResultCode::ExportedTo, |_| ())),
        ("authority", of(ResultCode::MlaRequired, |_| ())),
        ("authority", of(ResultCode::Redirected, |_| ())),
        ("registers_searched", of(ResultCode::NoRecord, |response| response.registers_searched.clear())),
        ("chosen_because", {
            let item = samples::pistol();
            TraceResponse {
                match_level: Coded::Known(MatchLevel::Confusable),
                matched_item: Some(item),
                ..response(ResultCode::Stolen)
            }
        }),
    ] {
        let (mut kenya, mut peru, id) = asked(trace_request());
        let mistake = kenya.act(id, answer(lacking.clone())).expect_err(field).to_string();
        assert!(mistake.contains(&format!("outcome.{field}: ")), "{mistake}");
        let blurted = kenya.blurt(&peru.us(), Some(id), Body::TraceResponse(lacking));
        assert_eq!(peru.receive(&blurted), Err(Fault::BodyForbidden), "{field}");
    }
}

#[test]
fn r_iti_22_t5_a_delay_shows_its_day_and_the_answer_comes_later() {
    let (mut kenya, mut peru, id) = asked(trace_request());
    act(&mut kenya, &mut peru, id, acknowledge());
    act(&mut kenya, &mut peru, id, answer(delayed("2026-12-01")));
    for office in [&kenya, &peru] {
        let standing = office.standing(&id);
        assert_eq!((standing.state, standing.outcome), (State::Delayed, None));
        let due = office.due(&id).expect("still owed");
        assert_eq!((due.owing, due.at.to_string()), (Owing::Answer, "2026-12-02 00:00:00Z".into()));
    }
    // Put off again, to another day; then answered.
    act(&mut kenya, &mut peru, id, answer(delayed("2026-12-24")));
    assert_eq!(peru.due(&id).expect("owed").at.to_string(), "2026-12-25 00:00:00Z");
    act(&mut kenya, &mut peru, id, answer(exported_to("CHL")));
    for office in [&kenya, &peru] {
        assert_eq!((office.standing(&id).state, office.due(&id)), (State::Answered, None));
    }
}

#[test]
fn an_interim_answer_keeps_the_exchange_open_also_when_a_delay_follows_it() {
    let (mut kenya, mut peru, id) = asked(trace_request());
    act(&mut kenya, &mut peru, id, answer(interim()));
    assert_eq!(peru.standing(&id).state, State::PartlyAnswered);
    assert_eq!(peru.due(&id).map(|due| due.owing), Some(Owing::Answer));
    act(&mut kenya, &mut peru, id, answer(delayed("2026-12-01")));
    let standing = peru.standing(&id);
    assert_eq!(standing.state, State::Delayed);
    assert_eq!(standing.outcome, Some(Outcome::Trace(searched(interim()))), "what was said stays");
}

#[test]
fn a_clock_pauses_while_information_is_awaited_alike_on_both_sides() {
    let (mut kenya, mut peru, id) = asked(trace_request());
    act(&mut kenya, &mut peru, id, acknowledge());
    let before = peru.due(&id).expect("owed").at;
    for now in [NOW.plus(2 * DAY), NOW.plus(2 * DAY)] {
        (kenya.now, peru.now) = (now, now);
    }
    let questions = vec![prose("Which proof mark?")];
    act(&mut kenya, &mut peru, id, Act::AskInformation { questions });
    assert_eq!((kenya.due(&id), peru.due(&id)), (None, None));
    assert!(peru.exchange(&id).summary(None).for_officer, "Peru has the next word");
    (kenya.now, peru.now) = (NOW.plus(9 * DAY), NOW.plus(9 * DAY));
    let answers = vec![prose("A crown over BV.")];
    act(&mut peru, &mut kenya, id, Act::SupplyInformation { answers, item: None });
    let after = peru.due(&id).expect("owed").at;
    assert_eq!((after, kenya.due(&id).map(|due| due.at)), (before.plus(7 * DAY), Some(after)));
}

#[test]
fn information_asked_for_twice_does_not_stop_the_clock_for_ever() {
    let (mut kenya, mut peru, id) = asked(trace_request());
    let questions = vec![prose("Which proof mark?")];
    act(&mut kenya, &mut peru, id, Act::AskInformation { questions: questions.clone() });
    // Another node would let its officer ask again.
    let again = liaison_protocol::message::InformationRequest { questions };
    let blurted = kenya.blurt(&peru.us(), Some(id), Body::InformationRequest(again));
    peru.take(&mut kenya, &blurted);
    let answers = vec![prose("A crown over BV.")];
    act(&mut peru, &mut kenya, id, Act::SupplyInformation { answers, item: None });
    for office in [&kenya, &peru] {
        assert_eq!(office.due(&id).map(|due| due.owing), Some(Owing::Answer));
    }
}

#[test]
fn r_iti_22_what_an_answer_means_may_be_asked_and_a_refusal_stays_one() {
    let (mut kenya, mut peru, id) = asked(trace_request());
    act(&mut kenya, &mut peru, id, answer(refused()));
    (kenya.now, peru.now) = (NOW.plus(20 * DAY), NOW.plus(20 * DAY));
    act(&mut peru, &mut kenya, id, Act::AskClarification { question: prose("For how long?") });
    for office in [&kenya, &peru] {
        assert_eq!(office.standing(&id).state, State::Clarifying);
        let due = office.due(&id).expect("owed");
        // Ten working days after Sunday 11 October.
        assert_eq!((due.owing, due.at.to_string()), (Owing::Clarification, "2026-10-24 00:00:00Z".into()));
    }
    act(&mut kenya, &mut peru, id, Act::Clarify { answer: prose("Until the trial is over.") });
    for office in [&kenya, &peru] {
        assert_eq!((office.standing(&id).state, office.due(&id)), (State::Refused, None));
    }
}

#[test]
fn t6_a_withdrawal_closes_the_task_and_both_transcripts_show_it() {
    for before in [None, Some(acknowledge()), Some(answer(interim())), Some(answer(delayed("2026-12-01")))] {
        let (mut kenya, mut peru, id) = asked(trace_request());
        if let Some(before) = before {
            act(&mut kenya, &mut peru, id, before);
        }
        act(&mut peru, &mut kenya, id, Act::Withdraw { reason: prose("The owner was found.") });
        for office in [&kenya, &peru] {
            let exchange = office.exchange(&id);
            assert_eq!((exchange.standing().state, office.due(&id)), (State::Withdrawn, None));
            assert!(!exchange.summary(None).for_officer);
            let timeline = exchange.timeline();
            let last = timeline.last().expect("not empty");
            assert_eq!((last.kind, last.effective), (Kind::Withdrawal, true));
        }
        let mistake = kenya.act(id, answer(refused())).expect_err("over").to_string();
        assert!(mistake.contains("withdrawn"), "{mistake}");
    }
}

#[test]
fn a_correction_may_turn_an_answer_into_a_refusal_with_one_reason() {
    let (mut kenya, mut peru, id) = asked(trace_request());
    act(&mut kenya, &mut peru, id, answer(exported_to("CHL")));
    let outcome = Outcome::Trace(searched(TraceResponse { reason: None, ..restricted() }));
    let reason = prose("The consignee must not be named.");
    act(&mut kenya, &mut peru, id, Act::Correct { outcome, reason: reason.clone() });
    for office in [&kenya, &peru] {
        let standing = office.standing(&id);
        assert_eq!((standing.state, standing.corrected), (State::Restricted, true));
        let Some(Outcome::Trace(response)) = standing.outcome else { panic!("a response") };
        assert_eq!(response.reason, Some(reason.clone()));
    }
    let outcome = Outcome::Trace(TraceResponse { grounds: Vec::new(), ..refused() });
    let mistake = kenya.act(id, Act::Correct { outcome, reason }).expect_err("no ground").to_string();
    assert!(mistake.contains("R-ITI-22"), "{mistake}");
}

#[test]
fn a_correction_that_puts_off_moves_what_is_due_and_reopens_what_was_concluded() {
    let (mut kenya, mut peru, id) = asked(trace_request());
    act(&mut kenya, &mut peru, id, answer(response(ResultCode::NoRecord)));
    let outcome = TraceOutcome {
        conclusion: Coded::Known(Conclusion::ExhaustedUnsuccessful),
        useful: false,
        point_of_diversion: None,
        note: None,
    };
    act(&mut peru, &mut kenya, id, Act::Conclude { outcome });
    assert_eq!(peru.standing(&id).state, State::Closed);
    let outcome = Outcome::Trace(searched(delayed("2027-01-31")));
    act(&mut kenya, &mut peru, id, Act::Correct { outcome, reason: prose("A file was found.") });
    for office in [&kenya, &peru] {
        let standing = office.standing(&id);
        assert_eq!((standing.state, standing.conclusion), (State::Delayed, None));
        assert_eq!(office.due(&id).expect("owed").at.to_string(), "2027-02-01 00:00:00Z");
    }
}

/// A case of Peru's, and the States it asked, hop by hop.
struct Case {
    peru: Office,
    asked: Vec<(&'static str, Office, MessageId)>,
}

impl Case {
    /// One hop to each State in turn, answered by these.
    fn of(answers: &[(&'static str, Option<Act>)]) -> Self {
        let peru = Office::new(99, "armas.example.pe/liaison", "PER", EVERYTHING);
        let mut case = Self { peru, asked: Vec::new() };
        for (state, answer) in answers {
            case.ask(state);
            if let Some(answer) = answer {
                case.says(case.asked.len() - 1, answer.clone());
            }
        }
        case
    }

    fn ask(&mut self, state: &'static str) {
        let hop = self.asked.len() as u32 + 1;
        let node = format!("firearms.example.{}/liaison", state.to_lowercase());
        let mut other = Office::new(hop as u8, &node, state, EVERYTHING);
        introduce(&mut other, &mut self.peru);
        let id = ask(&mut self.peru, &mut other, TraceRequest { hop, ..trace_request() });
        self.asked.push((state, other, id));
    }

    /// The State asked in this place acts: its node may be older than the rules of ours.
    fn says(&mut self, place: usize, said: Act) {
        let (_, other, id) = &mut self.asked[place];
        let said = other.act_unchecked(*id, said);
        self.peru.take(other, &said);
    }

    /// Peru acts towards the State asked in this place.
    fn tells(&mut self, place: usize, said: Act) {
        let (_, other, id) = &mut self.asked[place];
        let said = self.peru.act_unchecked(*id, said);
        other.take(&mut self.peru, &said);
    }

    /// Peru tells every State whose answer is open to it what it concluded, as the node does.
    fn conclude(&mut self, conclusion: Conclusion) {
        for place in 0..self.asked.len() {
            let standing = self.peru.standing(&self.asked[place].2);
            if standing.acts(Kind::TraceRequest, Side::Requesting).contains(&"conclude") {
                self.tells(place, Act::Conclude { outcome: concluded(conclusion) });
            }
        }
    }

    fn hops(&self) -> Vec<Hop> {
        let named = self.peru.desk.hops(&self.peru.shelf, Some(&line("case-7")));
        assert_eq!(named.len(), self.asked.len(), "the case owns its hops");
        let hop = |(state, _, id): &(&str, Office, MessageId)| Hop {
            state: state.parse().expect("a State"),
            exchange: self.peru.exchange(id),
            due: self.peru.due(id),
        };
        // In whatever order they are shown.
        self.asked.iter().rev().map(hop).collect()
    }

    fn found(&self) -> Finding {
        case::find(&peru(), &self.hops())
    }
}

fn peru() -> StateCode {
    "PER".parse().expect("a State")
}

fn concluded(conclusion: Conclusion) -> TraceOutcome {
    TraceOutcome { conclusion: Coded::Known(conclusion), useful: true, point_of_diversion: None, note: None }
}

fn corrected(response: TraceResponse) -> Act {
    Act::Correct { outcome: Outcome::Trace(response), reason: prose("A file was found.") }
}

/// What Peru's case comes to, with one hop to each State in turn, answered by these.
fn case(answers: &[(&'static str, Option<Act>)]) -> Finding {
    Case::of(answers).found()
}

/// A response of this code with all that any code needs, of a record that is the item.
fn whole(code: ResultCode) -> TraceResponse {
    TraceResponse {
        match_level: Coded::Known(MatchLevel::Exact),
        authority: Some(line("Tracing Centre")),
        ..TraceResponse {
            result_code: Coded::Known(code),
            next_hop: exported_to("CHL").next_hop.filter(|_| code == ResultCode::ExportedTo),
            ..delayed("2026-12-01")
        }
    }
}

#[test]
fn r_12_4_a_case_is_concluded_only_until_an_answer_changes() {
    use ResultCode::{NoRecord, PredatesRecords};
    // Two States that have answered; then whatever may happen, in four steps: one corrects, the other, or Peru concludes.
    for story in 0..3_u32.pow(4) {
        let mut case =
            Case::of(&[("KEN", Some(answer(response(NoRecord)))), ("UGA", Some(answer(response(NoRecord))))]);
        let (mut expected, mut conclusions) = (Progress::ExhaustedUnsuccessful, 0);
        for step in 0..4 {
            match story / 3_u32.pow(step) % 3 {
                2 => {
                    // A conclusion that says the same to nobody is none.
                    let open = expected != Progress::Concluded;
                    conclusions += u32::from(open);
                    case.conclude(if conclusions == 1 {
                        Conclusion::Stalled
                    } else {
                        Conclusion::ExhaustedUnsuccessful
                    });
                    expected = Progress::Concluded;
                }
                place => {
                    case.says(place as usize, corrected(response(PredatesRecords)));
                    if conclusions > 0 {
                        expected = Progress::Reopened;
                    }
                }
            }
            let finding = case.found();
            assert_eq!(finding.progress, expected, "story {story}, step {step}: {}", finding.why);
            match finding.progress {
                Progress::Concluded if conclusions == 1 => assert_eq!(finding.why, "concluded: STALLED"),
                Progress::Concluded => assert_eq!(finding.why, "concluded: EXHAUSTED_UNSUCCESSFUL"),
                Progress::Reopened => {
                    let who = ["KEN", "UGA"][(story / 3_u32.pow(step) % 3) as usize];
                    let why = format!("reopened: {who} corrected its answer since it was concluded; ");
                    assert!(finding.why.starts_with(&why), "story {story}, step {step}: {}", finding.why);
                }
                _ => {}
            }
        }
    }
}

#[test]
fn r_12_4_what_was_concluded_does_not_hide_what_is_known_since() {
    let mut case = Case::of(&[("KEN", Some(answer(destroyed())))]);
    case.conclude(Conclusion::PodEstablished);
    let finding = case.found();
    assert_eq!((finding.progress, finding.diversion.is_some()), (Progress::Concluded, true));
    case.says(0, corrected(exported_to("UGA")));
    let finding = case.found();
    assert_eq!((finding.progress, finding.diversion), (Progress::Reopened, None));
    assert_eq!(finding.next.expect("Uganda").state.as_str(), "UGA");
    // The next State is asked, answers, and Peru concludes anew: of its answer, and of the corrected one.
    case.ask("UGA");
    assert!(case.found().why.contains("UGA was asked since it was concluded; UGA has not answered yet"));
    case.says(1, answer(response(ResultCode::NoRecord)));
    case.conclude(Conclusion::LastLegalRecordOnly);
    assert_eq!(case.found().why, "concluded: LAST_LEGAL_RECORD_ONLY");
    // One more question, and it is taken back: nothing has changed.
    case.ask("CHL");
    assert_eq!(case.found().progress, Progress::Reopened);
    case.tells(2, Act::Withdraw { reason: prose("The owner was found.") });
    assert_eq!(case.found().progress, Progress::Concluded);
    // What was concluded without a diversion has none.
    assert_eq!(case.found().diversion, None);
}

#[test]
fn r_12_4_what_is_not_final_or_matches_no_record_establishes_nothing() {
    let diversion = destroyed().point_of_diversion;
    for code in ResultCode::ALL {
        for (interim, level) in MatchLevel::ALL.iter().flat_map(|level| [(false, level), (true, level)]) {
            let said = TraceResponse {
                interim,
                match_level: Coded::Known(*level),
                matched_item: Some(samples::pistol()),
                chosen_because: Some(prose("The laboratory restored a digit.")),
                point_of_diversion: diversion.clone(),
                ..whole(*code)
            };
            let finding = case(&[("KEN", Some(answer(said)))]);
            let firm = !interim && *level != MatchLevel::None && *code != ResultCode::Delayed;
            assert_eq!(finding.progress == Progress::PodEstablished, firm, "{code} {level}: {}", finding.why);
            assert_eq!(finding.diversion.is_some(), firm, "{code} {level}: {}", finding.why);
            if interim && *code != ResultCode::Delayed {
                assert_eq!(finding.progress, Progress::Waiting, "{code} {level}");
                let said = format!("KEN answered for now {code}");
                assert!(finding.why.starts_with(&said), "{}", finding.why);
                assert!(finding.why.ends_with("establishes nothing; more is to come"), "{}", finding.why);
            }
        }
    }
}

#[test]
fn r_12_4_what_is_waited_for_is_told_as_it_is() {
    let mut case = Case::of(&[("KEN", Some(answer(interim())))]);
    let why = case.found().why;
    assert!(why.starts_with("KEN answered for now MANUFACTURE_CONFIRMED_NO_DISPOSITION, which"), "{why}");
    case.says(0, Act::AskInformation { questions: vec![prose("Is there an import mark?")] });
    let why = case.found().why;
    assert!(why.ends_with("more is to come: it asks us for more information first"), "{why}");
    case.says(0, answer(delayed("2026-12-01")));
    let why = case.found().why;
    assert!(why.ends_with("more is to come: it was put off until 2026-12-01"), "{why}");
    case.says(0, answer(response(ResultCode::NoRecord)));
    case.tells(0, Act::AskClarification { question: prose("Which years were searched?") });
    let finding = case.found();
    assert_eq!(finding.progress, Progress::Waiting);
    assert_eq!(finding.why, "KEN answered NO_RECORD, and has not explained it yet");
}

#[test]
fn r_12_4_each_final_answer_ends_a_case_in_its_own_words() {
    use Progress::{
        ExhaustedUnsuccessful as Exhausted, LastLegalRecordOnly as Record, NextHopProposed, Stalled,
    };
    let mut told = Vec::new();
    for code in ResultCode::ALL {
        let expected = match code {
            ResultCode::CompanyDefunct => (Exhausted, "company"),
            ResultCode::Delayed => (Progress::Waiting, "put off until 2026-12-01"),
            ResultCode::Duplicate => (Stalled, "the same request already, our hop 1"),
            ResultCode::ExportedTo => (NextHopProposed, "KEN names CHL: exported there"),
            ResultCode::GovernmentStock => (Record, "government stock"),
            ResultCode::ImportedNoDomesticRecord => (Record, "imported it"),
            ResultCode::InsufficientInformation => (Stalled, "tell it more"),
            ResultCode::LastLegalHolderIdentified => (Record, "last legal holder"),
            ResultCode::ManufactureConfirmedNoDisposition => (Record, "confirms the manufacture"),
            ResultCode::MarkObliterated => (Stalled, "once it is restored"),
            ResultCode::MlaRequired => (Stalled, "mutual legal assistance by Tracing Centre"),
            ResultCode::MultipleCandidates => (Stalled, "found 3 candidates: give it more marks"),
            ResultCode::NoRecord => (Exhausted, "no State that was asked has a record of it"),
            ResultCode::NotOfOurManufacture => (Stalled, "did not make it"),
            ResultCode::PredatesRecords => (Exhausted, "older than the records of KEN"),
            ResultCode::PrivatelyMadeNoRecord => (Exhausted, "privately made"),
            ResultCode::RecordsLost => (Exhausted, "the records of KEN are lost"),
            ResultCode::Redirected => (Stalled, "redirects to Tracing Centre"),
            ResultCode::Refused => (Stalled, "KEN refused (ONGOING_INVESTIGATION)"),
            ResultCode::Restricted => (Stalled, "restricted its answer (ONGOING_INVESTIGATION)"),
            ResultCode::RetentionExpired => (Exhausted, "no longer"),
            ResultCode::SerialInvalidForModel => (Stalled, "serial number: look at the marks again"),
            ResultCode::TracedToDealerOnly => (Record, "to a dealer"),
            code if code.establishes_diversion() => (Progress::PodEstablished, "KEN answered "),
            code => panic!("{code} has no end of its own"),
        };
        let said = TraceResponse {
            candidates: (*code == ResultCode::MultipleCandidates).then_some(3),
            duplicate_of: Some(line("our hop 1")).filter(|_| *code == ResultCode::Duplicate),
            ..whole(*code)
        };
        let finding = case(&[("KEN", Some(answer(said)))]);
        assert_eq!(finding.progress, expected.0, "{code}: {}", finding.why);
        assert!(finding.why.contains(expected.1), "{code}: {}", finding.why);
        // The register says that it has one: without a match it has none.
        if code.is_on_record() && *code != ResultCode::ExportedTo {
            let unmatched = TraceResponse { match_level: Coded::Known(MatchLevel::None), ..whole(*code) };
            let finding = case(&[("KEN", Some(answer(unmatched)))]);
            assert_eq!(finding.progress, Stalled, "{code}: {}", finding.why);
            assert!(finding.why.contains("establishes nothing: ask what it means"), "{}", finding.why);
        }
        assert!(!told.contains(&finding.why), "{code}: {}", finding.why);
        told.push(finding.why);
    }
}

#[test]
fn r_12_4_of_several_ends_each_is_told_and_none_is_told_of_another() {
    let finding =
        case(&[("KEN", Some(answer(response(ResultCode::NoRecord)))), ("UGA", Some(answer(refused())))]);
    assert_eq!(finding.progress, Progress::Stalled);
    assert_eq!(finding.why, "KEN has no record of it; UGA refused (ONGOING_INVESTIGATION)");
    let none = || Some(answer(response(ResultCode::NoRecord)));
    assert_eq!(case(&[("KEN", none()), ("UGA", none())]).why, "no State that was asked has a record of it");
    // An export that was traced on is no end; where the next State's records are gone, nobody knows where it was lost.
    let lost = Some(answer(response(ResultCode::RecordsLost)));
    let finding = case(&[("KEN", Some(answer(exported_to("UGA")))), ("UGA", lost)]);
    assert_eq!(finding.progress, Progress::LastLegalRecordOnly);
    assert_eq!(finding.why, "KEN exported it to UGA; the records of UGA are lost");
}

#[test]
fn r_12_4_the_next_hop_is_neither_ours_nor_one_that_was_asked() {
    let names = |code, state| TraceResponse { next_hop: exported_to(state).next_hop, ..whole(code) };
    use ResultCode::{ExportedTo, NotOfOurManufacture, Redirected};
    for (code, state, words) in [
        (ExportedTo, "PER", "KEN says that it was exported to us: search our own records"),
        (Redirected, "PER", "KEN says that we may know it ourselves: search our own records"),
        (NotOfOurManufacture, "PER", "KEN says that we may know it ourselves: search our own records"),
        (ExportedTo, "KEN", "exported to KEN, which is KEN itself: ask what that means"),
        (Redirected, "KEN", "KEN names Tracing Centre of its own: ask that one"),
        (ExportedTo, "UGA", "KEN names UGA, which was asked already, as hop 1"),
        (Redirected, "UGA", "KEN names UGA, which was asked already, as hop 1"),
    ] {
        let finding = case(&[("UGA", Some(answer(refused()))), ("KEN", Some(answer(names(code, state))))]);
        assert_eq!((finding.progress, &finding.next), (Progress::Stalled, &None), "{code} {state}");
        assert!(finding.why.contains(words), "{code} {state}: {}", finding.why);
    }
    // Whoever redirects, or did not make it, may say who is to be asked.
    for (code, words, authority) in [
        (Redirected, "KEN redirects to BGR (Tracing Centre): ", Some(line("Tracing Centre"))),
        (NotOfOurManufacture, "KEN names BGR: ", None),
    ] {
        let finding = case(&[("KEN", Some(answer(names(code, "BGR"))))]);
        assert_eq!(finding.progress, Progress::NextHopProposed, "{code}");
        assert!(finding.why.starts_with(words), "{code}: {}", finding.why);
        let next = finding.next.expect("Bulgaria");
        assert_eq!((next.state.as_str(), next.authority), ("BGR", authority), "{code}");
    }
}

#[test]
fn a_record_says_of_make_calibre_and_country_which_agrees_which_differs_and_which_is_not_told() {
    let record = |item| ItemRecord {
        number: line("BG-1"),
        item,
        events: Vec::new(),
        status: LegalStatus::LawfullyHeld,
        since: None,
        holder: HolderKind::Dealer,
    };
    let firearm = |change: fn(&mut Firearm)| {
        let Item::Firearm(mut firearm) = samples::pistol() else { panic!("a pistol") };
        change(&mut firearm);
        Item::Firearm(firearm)
    };
    let receiver = |change: fn(&mut Part)| {
        let mut part = Part::of(PartKind::Receiver);
        change(&mut part);
        Item::Part(Box::new(part))
    };
    let whole = || firearm(|_| ());
    for (here, asked, agrees, words) in [
        (whole(), whole(), true, vec!["make, calibre and country of manufacture agree"]),
        (
            whole(),
            firearm(|it| it.calibres = vec![Calibre::marked(line("9x19"))]),
            false,
            vec!["make and country of manufacture agree", "calibre differs"],
        ),
        (
            whole(),
            firearm(|it| (it.make, it.country_of_manufacture) = (None, "CZE".parse().ok())),
            false,
            vec!["calibre agrees", "country of manufacture differs", "make was not given"],
        ),
        (
            firearm(|it| it.calibres.clear()),
            whole(),
            false,
            vec!["make and country of manufacture agree", "calibre is not on record"],
        ),
        (
            whole(),
            receiver(|part| part.fits_make = Some(line("ARSENAL"))),
            false,
            vec!["make agrees", "calibre and country of manufacture were not given"],
        ),
        (
            whole(),
            receiver(|part| {
                part.fits_make = Some(line("Arsenal"));
                let name = Raw::typed("Zastava").expect("a mark");
                part.marks.push(Mark::seen(MarkKind::ManufacturerName, name));
            }),
            false,
            vec!["make differs", "calibre and country of manufacture were not given"],
        ),
        (whole(), receiver(|_| ()), false, vec!["make, calibre and country of manufacture were not given"]),
    ] {
        let compared = record(here).compare(&asked);
        assert_eq!(
            (compared.agrees(), compared.words()),
            (agrees, words.into_iter().map(String::from).collect())
        );
    }
}

#[test]
fn t3_an_answer_that_names_the_next_state_proposes_a_hop_and_is_no_success() {
    let finding = case(&[("KEN", Some(answer(exported_to("CHL"))))]);
    assert_eq!((finding.progress, finding.diversion), (Progress::NextHopProposed, None));
    let next = finding.next.expect("Chile");
    assert_eq!(next.state.as_str(), "CHL");
    assert_eq!(next.licence_no.expect("the licence goes with it").as_str(), "L-1998/17");
    // Asked already: it is waited for.
    let finding = case(&[("KEN", Some(answer(exported_to("CHL")))), ("CHL", None)]);
    assert_eq!((finding.progress, finding.next), (Progress::Waiting, None));
    // Back to a State that was asked: no circle, and said so.
    let finding =
        case(&[("KEN", Some(answer(exported_to("CHL")))), ("CHL", Some(answer(exported_to("KEN"))))]);
    assert_eq!((finding.progress, finding.next), (Progress::Stalled, None));
    assert!(finding.why.starts_with("CHL names KEN, which was asked already, as hop 1"), "{}", finding.why);
}

#[test]
fn t7_what_is_recorded_as_destroyed_and_recovered_establishes_the_diversion() {
    for code in ResultCode::ALL {
        let is_alarming = matches!(
            code,
            ResultCode::PreviouslySeized
                | ResultCode::PreviouslySurrendered
                | ResultCode::RecordedDeactivated
                | ResultCode::RecordedDestroyed
        );
        assert_eq!(code.is_alarming(), is_alarming, "{code}");
        assert!(!is_alarming || code.establishes_diversion(), "{code}");
    }
    let finding = case(&[("CHL", Some(answer(exported_to("KEN")))), ("KEN", Some(answer(destroyed())))]);
    assert_eq!(finding.progress, Progress::PodEstablished);
    assert_eq!(finding.diversion.expect("Kenya's stores").state.as_str(), "KEN");
    assert!(finding.why.contains("RECORDED_DESTROYED"), "{}", finding.why);
}

#[test]
fn a_case_says_why_it_ends_where_it_ends() {
    let known = TraceResponse {
        last_legal_record: Some(LastLegalRecord {
            status: Coded::Known(LegalStatus::LawfullyHeld),
            date: None,
            holder: Coded::Known(HolderKind::Dealer),
            reference: None,
        }),
        match_level: Coded::Known(MatchLevel::Exact),
        ..response(ResultCode::TracedToDealerOnly)
    };
    for (hops, expected, why) in [
        (vec![("KEN", Some(answer(refused())))], Progress::Stalled, "refused"),
        (vec![("KEN", Some(answer(delayed("2026-12-01"))))], Progress::Waiting, "not answered yet"),
        (vec![("KEN", Some(answer(known)))], Progress::LastLegalRecordOnly, "to a dealer, and no further"),
        (
            vec![("KEN", Some(answer(response(ResultCode::NoRecord))))],
            Progress::ExhaustedUnsuccessful,
            "no State",
        ),
        (
            vec![
                ("KEN", Some(answer(exported_to("CHL")))),
                ("CHL", Some(answer(response(ResultCode::NoRecord)))),
            ],
            Progress::LastLegalRecordOnly,
            "KEN exported it to CHL, and CHL has no record of it: it was lost between the two, or after",
        ),
    ] {
        let finding = case(&hops);
        assert_eq!(finding.progress, expected, "{}", finding.why);
        assert!(finding.why.contains(why), "{}", finding.why);
    }
    assert_eq!(case::find(&peru(), &[]).progress, Progress::Waiting);
}

#[test]
fn r_sdg_1_the_time_to_recovery_is_counted_from_the_last_record_before_it_that_is_firm() {
    let held = |on: &str, level| {
        Some(answer(TraceResponse {
            last_legal_record: Some(LastLegalRecord {
                status: Coded::Known(LegalStatus::Exported),
                date: Some(date(on)),
                holder: Coded::Known(HolderKind::Dealer),
                reference: None,
            }),
            match_level: Coded::Known(level),
            ..exported_to("CHL")
        }))
    };
    for (answers, days) in [
        // Recovered on 1 September 2026.
        (vec![("KEN", held("2026-08-02", MatchLevel::Exact))], Some(30)),
        (vec![("KEN", held("2026-09-01", MatchLevel::Exact))], Some(0)),
        (
            vec![
                ("KEN", held("2025-09-01", MatchLevel::Exact)),
                ("UGA", held("2026-08-31", MatchLevel::Exact)),
                ("CHL", held("2026-09-02", MatchLevel::Exact)),
            ],
            Some(1),
        ),
        (vec![("KEN", held("2026-08-02", MatchLevel::None))], None),
        (vec![("KEN", Some(answer(destroyed()))), ("UGA", None)], None),
        (Vec::new(), None),
    ] {
        assert_eq!(case::time_to_recovery(&Case::of(&answers).hops()), days, "{answers:?}");
    }
}

#[test]
fn r_12_4_nothing_is_concluded_before_there_is_an_answer() {
    let (mut kenya, mut peru, id) = asked(trace_request());
    let early = Body::TraceOutcome(concluded(Conclusion::Stalled));
    let blurted = peru.blurt(&kenya.us(), Some(id), early);
    kenya.take(&mut peru, &blurted);
    for office in [&kenya, &peru] {
        let standing = office.standing(&id);
        assert_eq!((standing.state, standing.conclusion), (State::Delivered, None));
    }
    act(&mut kenya, &mut peru, id, answer(response(ResultCode::NoRecord)));
    assert_eq!(peru.standing(&id).state, State::Answered);
}

#[test]
fn r_12_4_a_record_is_answered_with_how_it_stands_and_where_it_went() {
    use ResultCode::*;
    let exported = |to: Option<&str>| ItemEvent {
        event: Coded::Known(EventKind::Exported),
        date: Some(date("1998-05-04")),
        from: None,
        to: to.map(line),
        licence_no: None,
    };
    let none = HolderKind::Unknown;
    for (status, holder, to, code, diverted) in [
        (LegalStatus::Exported, none, Some("CHL"), ExportedTo, None),
        (LegalStatus::InTransit, none, Some("CHL"), ExportedTo, None),
        (LegalStatus::Exported, none, Some("a warehouse"), ManufactureConfirmedNoDisposition, None),
        (LegalStatus::Exported, none, None, ManufactureConfirmedNoDisposition, None),
        (LegalStatus::Stolen, none, None, Stolen, Some("reported stolen on 2011-03-02")),
        (LegalStatus::Lost, none, None, Lost, Some("reported lost on 2011-03-02")),
        (LegalStatus::Seized, none, None, PreviouslySeized, Some("seized, and out of store")),
        (LegalStatus::Surrendered, none, None, PreviouslySurrendered, Some("surrendered")),
        (LegalStatus::Deactivated, none, None, RecordedDeactivated, Some("deactivated")),
        (LegalStatus::SentForDestruction, none, None, RecordedDestroyed, Some("for destruction")),
        (LegalStatus::LawfullyHeld, HolderKind::Government, None, GovernmentStock, None),
        (LegalStatus::LawfullyHeld, HolderKind::Dealer, None, TracedToDealerOnly, None),
        (LegalStatus::LawfullyHeld, HolderKind::NaturalPerson, None, LastLegalHolderIdentified, None),
        (LegalStatus::LawfullyHeld, none, None, ImportedNoDomesticRecord, None),
    ] {
        let events =
            if status == LegalStatus::Exported || to.is_some() { vec![exported(to)] } else { Vec::new() };
        let since = Some(date("2011-03-02"));
        let record =
            ItemRecord { number: line("BG-1"), item: samples::pistol(), events, status, since, holder };
        let response = record.response(MatchLevel::Exact, date("2026-09-21"), &line("SUCAMEC"), &peru());
        assert_eq!(response.result_code, Coded::Known(code), "{status} {holder} {to:?}");
        let next = response.next_hop.map(|next| next.state.to_string());
        assert_eq!(next.as_deref(), to.filter(|to| *to == "CHL"), "{status}");
        let told = response.point_of_diversion.map(|diversion| diversion.circumstances.to_string());
        assert_eq!(told.is_some(), diverted.is_some(), "{status}: {told:?}");
        assert!(told.unwrap_or_default().contains(diverted.unwrap_or_default()), "{status}");
    }
}

#[test]
fn r_12_4_the_state_of_the_last_import_is_asked_first_and_each_state_once() {
    let mark = |kind, state: &str| {
        let mut mark = Mark::seen(kind, Raw::typed("a crown").expect("a mark"));
        mark.decoded = Some(Decoded { country: Some(state.parse().expect("a State")), ..Decoded::default() });
        mark
    };
    let Item::Firearm(mut pistol) = samples::pistol() else { panic!("a pistol") };
    pistol.marks = vec![
        mark(MarkKind::Country, "CZE"),
        mark(MarkKind::Proof, "ITA"),
        mark(MarkKind::SymbolCode, "BGR"),
        mark(MarkKind::ExGovernmentTransfer, "URY"),
        mark(MarkKind::ImportCountry, "KEN"),
        mark(MarkKind::ImportCountry, "URY"),
    ];
    let hops =
        |item: &Item| case::first_hops(item).iter().map(|(state, _)| state.to_string()).collect::<Vec<_>>();
    // A proof mark says where it was proved, not where it went.
    assert_eq!(hops(&Item::Firearm(pistol)), ["KEN", "URY", "BGR", "CZE"]);
    assert_eq!(hops(&samples::pistol()), ["BGR"], "with no mark that tells, the State where it was made");
    assert_eq!(hops(&Item::Part(Box::new(Part::of(PartKind::Receiver)))), Vec::<String>::new());
}

#[test]
fn silence_concludes_no_case() {
    let (_, mut peru, id) = asked(trace_request());
    let found = |peru: &Office| {
        let state = "KEN".parse().expect("a State");
        case::find(&self::peru(), &[Hop { state, exchange: peru.exchange(&id), due: peru.due(&id) }])
    };
    assert_eq!(found(&peru).progress, Progress::Waiting);
    peru.wait(peru.due(&id).expect("owed").at);
    let finding = found(&peru);
    assert_eq!((finding.progress, finding.diversion, finding.next), (Progress::Stalled, None, None));
}

#[test]
fn r_sov_without_a_rule_a_trace_request_searches_nothing() {
    let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
    // Rules for licences are no rule for traces.
    kenya.rules(&peru.us(), Rules { traces: false, ..all_rules() });
    let id = ask(&mut peru, &mut kenya, trace_request());
    assert!(kenya.exchange(&id).summary(None).for_officer);
}

#[test]
fn r_sov_a_rule_searches_for_that_item_and_what_is_in_doubt_waits_for_an_officer() {
    for found in [None, Some(destroyed())] {
        let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
        kenya.rules(
            &peru.us(),
            Rules { traces: true, ..Rules { attempts_per_licence: 20, ..Rules::default() } },
        );
        let opener = peru.open(&kenya.us(), question(trace_request())).expect("complete");
        let owed = kenya.take(&mut peru, &opener);
        let [Effect::Consult { exchange, rule, sought: Sought::Item(item) }] = owed.as_slice() else {
            panic!("{owed:?}")
        };
        assert_eq!((*exchange, &**item), (opener.id(), &trace_request().item));
        let on = kenya.now.date();
        let search = Record::Search { exchange: *exchange, rule: rule.clone(), found: found.clone(), on };
        let owed = kenya.record(search, None);
        match found {
            None => {
                assert_eq!(owed, Vec::new());
                assert!(kenya.exchange(&opener.id()).summary(None).for_officer);
            }
            Some(response) => {
                let said = kenya.send(&owed[0]);
                assert_eq!(said.message().by, liaison_protocol::authority::By::Auto { rule: rule.clone() });
                assert_eq!(said.message().handling, Handling::for_traces());
                peru.take(&mut kenya, &said);
                assert_eq!(peru.standing(&opener.id()).outcome, Some(Outcome::Trace(response)));
            }
        }
    }
}

#[test]
fn r_sov_no_rule_searches_for_a_peer_whose_key_set_expired() {
    let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
    kenya.rules(&peru.us(), all_rules());
    let opener = peru.open(&kenya.us(), question(trace_request())).expect("complete");
    kenya.receive(&opener).expect("acceptable");
    let exchange = kenya.exchange(&opener.id());
    assert!(kenya.desk.rule_for(&kenya.shelf, &exchange, NOW).is_ok());
    assert!(kenya.desk.rule_for(&kenya.shelf, &exchange, NOW.plus(400 * DAY)).is_err());
}

#[test]
fn r_13_2_traces_are_asked_and_answered_by_tracing_centres_alone() {
    use Function::{Customs, ExportLicensing, ImportLicensing, TracingCentre, TransitAuthority};
    let others: &[Function] = &[Customs, ExportLicensing, ImportLicensing, TransitAuthority];
    // It may not ask, and is not heard.
    let (mut kenya, mut peru) = Office::pair(&[TracingCentre], others);
    let mistake =
        peru.open(&kenya.us(), question(trace_request())).expect_err("no tracing centre").to_string();
    assert!(mistake.contains("R-13.2"), "{mistake}");
    let blurted = peru.blurt(&kenya.us(), None, Body::TraceRequest(trace_request()));
    assert_eq!(kenya.receive(&blurted), Err(Fault::FunctionMissing));
    // It may not answer, and is not heard.
    let (mut kenya, mut peru) = Office::pair(others, &[TracingCentre]);
    let id = ask(&mut peru, &mut kenya, trace_request());
    let mistake = kenya.act(id, answer(destroyed())).expect_err("no tracing centre").to_string();
    assert!(mistake.contains("R-13.2"), "{mistake}");
    let blurted = kenya.blurt(&peru.us(), Some(id), Body::TraceResponse(destroyed()));
    assert_eq!(peru.receive(&blurted), Err(Fault::FunctionMissing));
    assert_eq!(peru.standing(&id).outcome, None);
}

#[test]
fn a_person_travels_beside_the_message_and_is_announced_in_its_handling() {
    let (kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
    let enclosed = Enclosed { attachments: Vec::new(), persons: vec![person()], parts: Vec::new() };
    let opener = peru.open_with(&kenya.us(), question(trace_request()), enclosed).expect("complete");
    let message = opener.message();
    assert_eq!(message.parts.len(), 1);
    assert_eq!(message.handling.personal_data, Coded::Known(PersonalData::Present));
    let payload = liaison_protocol::jws::decode(opener.token().split('.').nth(1).expect("a payload"));
    let payload = String::from_utf8(payload.expect("base64url")).expect("JSON");
    assert!(!payload.contains("Quispe"), "no person stands in what is kept for ever");
    let timeline = peru.exchange(&opener.id()).timeline();
    assert_eq!((timeline[0].persons.as_slice(), timeline[0].persons_absent), ([person()].as_slice(), 0));
}

#[test]
fn sixteen_persons_are_enclosed_and_no_more() {
    let enclosed = |count| Enclosed { persons: vec![person(); count], ..Enclosed::default() };
    let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
    let opener =
        peru.open_with(&kenya.us(), question(trace_request()), enclosed(16)).expect("as many as may be");
    kenya.receive(&opener).expect("acceptable");
    let mistake =
        peru.open_with(&kenya.us(), question(trace_request()), enclosed(17)).expect_err("one too many");
    assert!(mistake.to_string().contains("enclosed.persons: at most 16"), "{mistake}");
}

#[test]
fn the_acts_that_are_shown_are_the_ones_that_are_open() {
    let shows = |one: &Office, id, asker: &[&str], asked: &[&str]| {
        let standing = one.standing(&id);
        let acts = [Side::Requesting, Side::Requested].map(|side| standing.acts(Kind::TraceRequest, side));
        assert_eq!(acts, [asker, asked], "{}", standing.state);
    };
    let (mut kenya, mut peru, id) = asked(trace_request());
    shows(&peru, id, &["withdraw"], &["acknowledge", "answer", "ask_information"]);
    act(&mut kenya, &mut peru, id, answer(delayed("2026-12-01")));
    shows(&peru, id, &["withdraw"], &["answer", "ask_information"]);
    act(&mut kenya, &mut peru, id, Act::AskInformation { questions: vec![prose("Which proof mark?")] });
    shows(&peru, id, &["supply_information", "withdraw"], &["answer"]);
    act(&mut kenya, &mut peru, id, answer(response(ResultCode::NoRecord)));
    shows(&peru, id, &["ask_clarification", "conclude", "withdraw"], &["correct"]);
    act(&mut kenya, &mut peru, id, corrected(searched(refused())));
    shows(&peru, id, &["ask_clarification", "conclude"], &["correct"]);
    act(&mut peru, &mut kenya, id, Act::Conclude { outcome: concluded(Conclusion::Stalled) });
    shows(&peru, id, &[], &["correct"]);

    let (mut kenya, mut peru, id) = asked(trace_request());
    act(&mut peru, &mut kenya, id, Act::Withdraw { reason: prose("The owner was found.") });
    shows(&peru, id, &[], &[]);
}

#[test]
fn a_note_beside_an_answer_is_not_lost() {
    let (mut kenya, mut peru, id) = asked(trace_request());
    let note = Some(prose("The archive burnt down in 1998."));
    let outcome = Outcome::Trace(searched(response(ResultCode::RecordsLost)));
    act(&mut kenya, &mut peru, id, Act::Answer { outcome, note: note.clone() });
    let Some(Outcome::Trace(response)) = peru.standing(&id).outcome else { panic!("a response") };
    assert_eq!(response.note, note);
}

#[test]
fn an_urgent_request_is_answered_within_hours_or_days() {
    for (urgency, acknowledged, answered) in [
        (Urgency::EmergencyThreatToLife, NOW.plus(24 * HOUR), NOW.plus(24 * HOUR)),
        // Five working days after Monday: the following Monday is over.
        (Urgency::Urgent, NOW.plus(24 * HOUR), Timestamp(1_790_640_000)),
    ] {
        let request = TraceRequest { urgency, urgency_reason: Some(prose("A siege.")), ..trace_request() };
        let (mut kenya, mut peru, id) = asked(request);
        assert_eq!(peru.due(&id), Some(Due { owing: Owing::Acknowledgement, at: acknowledged }));
        act(&mut kenya, &mut peru, id, acknowledge());
        assert_eq!(peru.due(&id), Some(Due { owing: Owing::Answer, at: answered }));
    }
}

#[test]
fn the_line_of_an_exchange_stays_short_whatever_a_peer_writes() {
    let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
    let quotes = line(&"\"".repeat(200));
    let mut request = trace_request();
    if let Item::Firearm(firearm) = &mut request.item {
        firearm.model = Some(quotes.clone());
    }
    let opening = Opening {
        question: question(request),
        case_ref: Some(quotes.clone()),
        handling: None,
        enclosed: Enclosed::default(),
    };
    let owed = peru.order(Order::Open { peer: kenya.us(), opening }).expect("complete");
    let opener = peru.send(&owed[0]);
    kenya.take(&mut peru, &opener);
    let mut response = refused();
    response.grounds = vec![Coded::Unknown(quotes); 16];
    let blurted = kenya.blurt(&peru.us(), Some(opener.id()), Body::TraceResponse(response));
    // The shelf of these tests takes no row of more than 1 KiB.
    peru.take(&mut kenya, &blurted);
    assert!(peru.standing(&opener.id()).outcome.is_some());
}

/// What makes something one that cannot be so, and words that the sender must be told.
type Absurd<T> = (fn(&mut T), &'static [&'static str]);

fn firearm(request: &mut TraceRequest) -> &mut Firearm {
    match &mut request.item {
        Item::Firearm(firearm) => firearm,
        other => panic!("{other}"),
    }
}

fn year(year: u16) -> Option<YearOfManufacture> {
    let source = Coded::Known(YearSource::Record);
    Some(YearOfManufacture { year: Some(year), as_marked: None, calendar: None, source })
}

/// A day after NOW, wherever on Earth.
const TO_COME: &str = "2026-09-23";

#[test]
fn r_12_4_a_request_that_cannot_be_so_is_stopped_with_field_rule_and_remedy() {
    let absurdities: &[Absurd<TraceRequest>] = &[
        (|it| it.recovery.date = date(TO_COME), &["recovery.date: 2026-09-23 has not come yet", "was found"]),
        (
            |it| it.national_search.date = date(TO_COME),
            &["national_search.date: 2026-09-23 has not come yet"],
        ),
        (
            |it| {
                it.respond_by = Some(date("2026-09-20"));
                it.respond_by_reason = Some(prose("The trial begins."));
            },
            &["respond_by: 2026-09-20 is past", "or none"],
        ),
        (
            |it| firearm(it).year_of_manufacture = year(2027),
            &["item.year_of_manufacture: 2027 has not come yet"],
        ),
        (
            |it| {
                it.recovery.date = date("2019-05-01");
                firearm(it).year_of_manufacture = year(2020);
            },
            &["item.year_of_manufacture: 2020, and yet it was found in 2019"],
        ),
        (|it| firearm(it).barrel_length_mm = Some(0), &["item.barrel_length_mm: 0", "or leave it out"]),
        (|it| firearm(it).action = Action::Pump.into(), &["item.action: F-PIS", "PUMP", "F-PI1"]),
        (
            |it| {
                (firearm(it).kind, firearm(it).action) = (FirearmType::Rifle.into(), Action::SemiAuto.into())
            },
            &["item.action: F-RIF", "F-RIS"],
        ),
        (
            |it| {
                firearm(it).marks[0].raw = Raw::typed("?? - ?").ok();
                firearm(it).marks[0].state = MarkState::Worn.into();
            },
            &["item.marks.0.raw: \"?? - ?\": nothing of it was read", "say in state"],
        ),
        (
            |it| {
                let mut lot = AmmunitionLot::of(AmmunitionComponent::CompleteRound);
                lot.headstamp = Some(Headstamp { year: Some(2027), ..Headstamp::default() });
                lot.packaging_marks = firearm(it).marks.clone();
                lot.quantity = Some(0);
                it.item = Item::AmmunitionLot(Box::new(lot));
            },
            &["item.quantity: 0", "item.headstamp.year: 2027 has not come yet"],
        ),
    ];
    for (spoil, told) in absurdities {
        let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
        let mut request = trace_request();
        spoil(&mut request);
        let mistake = peru.open(&kenya.us(), question(request.clone())).expect_err(told[0]).to_string();
        for word in told.iter().chain(&["request.", "R-12.4", "Art. 12(4)", "ITI 18"]) {
            assert!(mistake.contains(word), "{word}: {mistake}");
        }
        // What a peer says is put before an officer all the same.
        let blurted = peru.blurt(&kenya.us(), None, Body::TraceRequest(request));
        assert_eq!(kenya.receive(&blurted), Ok(Vec::new()), "{mistake}");
    }
}

#[test]
fn r_12_4_what_may_be_so_somewhere_on_earth_is_sent() {
    let may_be: [fn(&mut TraceRequest); 5] = [
        // It is tomorrow in Kiribati.
        |it| it.recovery.date = date("2026-09-22"),
        |it| it.respond_by = Some(date("2026-09-21")),
        |it| firearm(it).year_of_manufacture = year(2026),
        // A pistol that was made to fire on is one still.
        |it| firearm(it).action = Action::SelectFire.into(),
        |it| (firearm(it).marks[0].raw, firearm(it).marks[0].state) = (None, MarkState::Obliterated.into()),
    ];
    for change in may_be {
        let mut request = TraceRequest { respond_by_reason: Some(prose("A trial.")), ..trace_request() };
        change(&mut request);
        asked(request);
    }
}

#[test]
fn r_12_4_an_air_gun_is_sent_only_after_an_officer_looked_again() {
    let (kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
    let mut request = trace_request();
    firearm(&mut request).kind = FirearmType::AirGun.into();
    let ask =
        |request: &TraceRequest, looked_again| Question::Trace { request: request.clone(), looked_again };
    let mistake = peru.open(&kenya.us(), ask(&request, false)).expect_err("an air gun").to_string();
    assert!(mistake.contains("Art. 3(a)") && mistake.contains("looked_again"), "{mistake}");
    peru.open(&kenya.us(), ask(&request, true)).expect("an officer looked again");
    firearm(&mut request).readily_convertible = Some(true);
    peru.open(&kenya.us(), ask(&request, false)).expect("a firearm under the Protocol");
}

#[test]
fn r_12_4_what_is_supplied_later_is_looked_at_like_the_request() {
    let (mut kenya, mut peru, id) = asked(trace_request());
    act(&mut kenya, &mut peru, id, Act::AskInformation { questions: vec![prose("How long is it?")] });
    let mut known_better = trace_request();
    firearm(&mut known_better).barrel_length_mm = Some(0);
    let supply = Act::SupplyInformation { answers: vec![prose("Here.")], item: Some(known_better.item) };
    let mistake = peru.act(id, supply).expect_err("no barrel").to_string();
    assert!(mistake.contains("item.barrel_length_mm: 0") && mistake.contains("R-12.4"), "{mistake}");
}

#[test]
fn r_12_4_r_iti_22_an_answer_that_cannot_be_so_is_stopped_with_field_rule_and_remedy() {
    let of = |response: TraceResponse| searched(response);
    let event =
        |date| ItemEvent { event: EventKind::Sold.into(), date, from: None, to: None, licence_no: None };
    let unmatched = |code| of(response(code));
    let mut later = of(exported_to("CHL"));
    later.events = vec![event(None), event(Some(date(TO_COME)))];
    let mut record = of(exported_to("CHL"));
    record.last_legal_record = Some(LastLegalRecord {
        status: liaison_protocol::trace::LegalStatus::Exported.into(),
        date: Some(date(TO_COME)),
        holder: liaison_protocol::trace::HolderKind::Unknown.into(),
        reference: None,
    });
    let mut diverted = of(destroyed());
    diverted.point_of_diversion.as_mut().expect("set").date = Some(date(TO_COME));
    let uncertain = |code| TraceResponse { match_level: MatchLevel::Partial.into(), ..of(response(code)) };
    let searched_later = TraceResponse { search_date: date(TO_COME), ..response(ResultCode::NoRecord) };
    let on_record =
        TraceResponse { matched_item: Some(samples::pistol()), ..unmatched(ResultCode::NoRecord) };
    for (absurd, told) in [
        (searched_later, ["search_date: 2026-09-23 has not come yet", "R-12.4"]),
        (later, ["events.1.date: 2026-09-23 has not come yet", "R-12.4"]),
        (record, ["last_legal_record.date: 2026-09-23 has not come yet", "R-12.4"]),
        (diverted, ["point_of_diversion.date: 2026-09-23 has not come yet", "R-SDG-1"]),
        (of(exported_to("KEN")), ["next_hop.state: KEN is our own State", "Art. 12(4)"]),
        (of(delayed("2026-09-21")), ["until: 2026-09-21 is not to come", "R-ITI-22, ITI 22"]),
        (unmatched(ResultCode::Stolen), ["match_level: NONE, and yet STOLEN", "NO_RECORD"]),
        (unmatched(ResultCode::RecordedDestroyed), ["match_level: NONE", "RECORDED_DESTROYED"]),
        (on_record, ["matched_item: and yet the result is NO_RECORD", "leave out"]),
        (uncertain(ResultCode::Stolen), ["matched_item: missing", "chosen_because"]),
    ] {
        let (mut kenya, mut peru, id) = asked(trace_request());
        let outcome = Outcome::Trace(absurd.clone());
        let mistake = kenya.act(id, Act::Answer { outcome, note: None }).expect_err(told[0]).to_string();
        for word in [told[0], told[1], "outcome.", "ITI"] {
            assert!(mistake.contains(word) || word == "ITI" && mistake.contains("SDG"), "{word}: {mistake}");
        }
        let blurted = kenya.blurt(&peru.us(), Some(id), Body::TraceResponse(absurd));
        assert!(peru.receive(&blurted).is_ok(), "an officer sees it: {mistake}");
    }
    let (mut kenya, mut peru, id) = asked(trace_request());
    act(&mut kenya, &mut peru, id, answer(uncertain(ResultCode::MultipleCandidates)));
    // Nor does a correction say what cannot be so.
    let outcome = Outcome::Trace(unmatched(ResultCode::Stolen));
    let mistake = kenya.act(id, Act::Correct { outcome, reason: prose("Found.") }).expect_err("which?");
    assert!(mistake.to_string().contains("outcome.match_level"), "{mistake}");
}

#[test]
fn r_iti_19_an_answer_is_not_promised_for_a_day_that_is_past() {
    let (mut kenya, _, id) = asked(trace_request());
    let promise =
        |day| Act::Acknowledge { unit: line("Tracing Centre"), expected: Some(date(day)), note: None };
    let mistake = kenya.act(id, promise("2026-09-20")).expect_err("yesterday").to_string();
    assert!(mistake.contains("expected: 2026-09-20 is past") && mistake.contains("R-ITI-19"), "{mistake}");
    kenya.act(id, promise("2026-09-21")).expect("today");
}

#[test]
fn r_sdg_1_a_point_of_diversion_is_named_where_it_is_established_and_only_there() {
    let (mut kenya, mut peru, id) = asked(trace_request());
    act(&mut kenya, &mut peru, id, answer(destroyed()));
    let of = |change: fn(&mut TraceOutcome)| {
        let mut outcome = samples::outcome();
        change(&mut outcome);
        Act::Conclude { outcome }
    };
    for (absurd, told) in [
        (of(|it| it.point_of_diversion = None), "outcome.point_of_diversion: missing"),
        (of(|it| it.conclusion = Conclusion::Stalled.into()), "outcome.point_of_diversion: named, and yet"),
        (
            of(|it| it.point_of_diversion.as_mut().expect("set").date = Some(date(TO_COME))),
            "outcome.point_of_diversion.date: 2026-09-23 has not come yet",
        ),
    ] {
        let mistake = peru.act(id, absurd).expect_err(told).to_string();
        assert!(mistake.contains(told) && mistake.contains("R-SDG-1, SDG 16.4.2"), "{mistake}");
    }
    let kept_back = |it: &mut TraceOutcome| {
        it.point_of_diversion = None;
        it.note = Some(prose("Established; the State that told us keeps it to us."));
    };
    peru.act(id, of(kept_back)).expect("Art. 12(5)");
}

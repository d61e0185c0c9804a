//! The rules on traces, by their ids (R-12.4, R-ITI-19, R-ITI-22, R-13.2, R-SOV).

mod office;
mod samples;
mod shelf;
mod traces;

use liaison_protocol::authority::{Function, Timestamp};
use liaison_protocol::deadline::{Due, Owing, Span, Target, WorkingCalendar};
use liaison_protocol::desk::{Effect, Sought};
use liaison_protocol::entry::Record;
use liaison_protocol::fault::Fault;
use liaison_protocol::handling::{Coded, Handling, PersonalData};
use liaison_protocol::item::{
    AmmunitionComponent, AmmunitionLot, Calibre, Firearm, FirearmType, Headstamp, Item, Part, PartKind,
};
use liaison_protocol::item_record::ItemRecord;
use liaison_protocol::mark::{Mark, MarkKind, Raw};
use liaison_protocol::message::{Body, Correction, Kind, Outcome, Reminder};
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
use traces::{acknowledge, act, answer, ask, asked, concluded, corrected, peru, question, whole};

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
fn an_order_to_ask_is_read_from_our_log_as_it_was_written() {
    for looked_again in [false, true] {
        let opening = Opening {
            question: Question::Trace { request: trace_request(), looked_again },
            case_ref: Some(line("EXP-7")),
            handling: Some(Handling::for_traces()),
            enclosed: Enclosed::default(),
        };
        let written = serde_json::to_value(&opening).expect("string keys");
        assert_eq!(serde_json::from_value::<Opening>(written).ok(), Some(opening));
    }
}

#[test]
fn a_correction_is_bounded_as_the_answer_it_corrects() {
    for (registers, expected) in [(16, Ok(())), (17, Err(Fault::BodyMalformed))] {
        let (mut kenya, mut peru, id) = asked(trace_request());
        act(&mut kenya, &mut peru, id, answer(response(ResultCode::NoRecord)));
        let corrected = TraceResponse {
            registers_searched: vec![line("Register of firearms"); registers],
            ..response(ResultCode::NoRecord)
        };
        let correction = Correction::of(Outcome::Trace(corrected), prose("More was searched."));
        let blurted = kenya.blurt(&peru.us(), Some(id), Body::Correction(correction));
        assert_eq!(peru.receive(&blurted).map(drop), expected, "{registers} registers");
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

//! What cannot be so is stopped before it is sent, and what may be so is not (R-12.4, R-ITI-19, R-ITI-22, R-SDG-1).

mod office;
mod samples;
mod shelf;
mod traces;

use liaison_protocol::handling::Coded;
use liaison_protocol::item::{
    Action, AmmunitionComponent, AmmunitionLot, Firearm, FirearmType, Headstamp, Item, YearOfManufacture,
    YearSource,
};
use liaison_protocol::mark::{MarkState, Raw};
use liaison_protocol::message::{Body, Outcome};
use liaison_protocol::operator::{Act, Question};
use liaison_protocol::trace::{
    Conclusion, EventKind, ItemEvent, LastLegalRecord, MatchLevel, ResultCode, TraceOutcome, TraceRequest,
    TraceResponse,
};
use office::{EVERYTHING, Office, line};
use samples::{date, delayed, destroyed, exported_to, prose, response, searched, trace_request};
use traces::{act, answer, asked, question};

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

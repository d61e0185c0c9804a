//! The acceptance scenarios of traces and of peers (law/requirements 16, T1 to T8 and P2), played between real nodes;
//! in P2 one of the two is a liar.

use liaison_protocol::case::Progress;
use liaison_protocol::mail::MailReply;
use liaison_protocol::operator::{CaseView, ExchangeView, PeerStanding, State};
use liaison_protocol::trace::MatchLevel;
use liaison_tests::liar::Liar;
use liaison_tests::processes::{House, said, two};
use serde_json::{Value, json};

/// Kenya's register: one pistol each that is exported, held under a Cyrillic number, destroyed, and worn.
const REGISTER: &str = "\
record_no,type,make,calibre,country_of_manufacture,serial,exported_to,exported_on,export_licence,status,status_date,holder
R-1,F-PIS,Aurora,9x19,BRA,TAC 48317,UGA,2025-09-15,KE-EXP-0058,EXPORTED,2025-09-15,UNKNOWN
R-2,F-PIS,Aurora,9x19,BRA,АК 0123,,,,LAWFULLY_HELD,2024-01-10,GOVERNMENT
R-3,F-PIS,Aurora,9x19,BRA,D 55501,,,,SENT_FOR_DESTRUCTION,2023-05-04,GOVERNMENT
R-4,F-PIS,Aurora,9x19,BRA,124456,,,,STOLEN,2025-11-21,GOVERNMENT
";

/// Serbia asks, Kenya holds the register; a rule may answer what is beyond doubt.
fn states() -> (House, House) {
    let (srb, ken) = two("SRB", "KEN");
    let put = ken.api().ask("PUT", "/v1/firearms", Some(("text/csv", REGISTER.as_bytes())), None);
    assert_eq!(put.expect("it answers").body, json!({"firearms": 4}));
    ken.api().set_rules("SRB", &json!({"traces": true}));
    (srb, ken)
}

/// A request about a pistol with this number on it.
fn trace(serial: &str, state: &str) -> Value {
    json!({"question": "trace", "request": {
        "trace_case": "RS-2026-0415", "hop": 1, "urgency": "ROUTINE", "illicit_basis": ["SUSPECTED"],
        "legal_justification": "Possession without a licence.", "suspected_offences": ["UNKNOWN"],
        "recovery": {"mode": "SEIZED_CRIMINAL", "date": "2026-11-20", "place": "Novi Sad",
                     "circumstances": "At a road check."},
        "item": {"item": "firearm", "type": "F-PIS", "action": "SEMI_AUTO", "make": {"normalised": "AURORA"},
                 "calibres": [{"as_marked": "9 x 19"}], "country_of_manufacture": "BRA", "provenance": "FACTORY",
                 "marks": [{"kind": "SERIAL", "raw": serial, "state": state}]},
        "identification": "TRAINED_OFFICER", "no_photo_reason": "none was taken",
        "national_search": {"registers": ["firearms"], "date": "2026-11-21", "result": "No record."},
        "questions": ["LAST_LEGAL_HOLDER"], "intended_use": "INVESTIGATION",
    }})
}

/// Serbia has asked, and Kenya holds the question.
fn asked(srb: &House, ken: &House, opening: &Value) -> String {
    let id = srb.api().open_exchange("KEN", opening, "RS-1").summary.id.to_string();
    ken.api().wait_until(&id, State::Delivered);
    id
}

/// The officer answers with the first candidate; what both sides then hold.
fn answered_with_candidate(srb: &House, ken: &House, id: &str, level: MatchLevel) -> ExchangeView {
    let view = ken.api().exchange(id);
    let candidate = view.candidates.first().expect("a candidate");
    assert_eq!(candidate.level, level, "{candidate:?}");
    assert!(!candidate.why.is_empty() && candidate.response.chosen_because.is_some(), "{candidate:?}");
    ken.api().act(id, &json!({"act": "answer", "outcome": candidate.response}));
    srb.api().wait_until(id, State::Answered)
}

fn case(srb: &House) -> CaseView {
    srb.api().get("/v1/cases/RS-2026-0415")
}

#[test]
fn t1_a_look_alike_of_another_script_is_a_candidate_and_no_answer() {
    let (srb, ken) = states();
    let id = asked(&srb, &ken, &trace("AK O123", "INTACT"));
    let held = ken.api().exchange(&id);
    assert!(held.summary.for_officer && held.result.is_none(), "no rule answers what only looks alike");
    let view = answered_with_candidate(&srb, &ken, &id, MatchLevel::Confusable);
    assert_eq!(view.summary.outcome.as_deref(), Some("GOVERNMENT_STOCK"));
}

#[test]
fn t2_a_worn_number_finds_candidates_and_the_answer_says_which_and_why() {
    let (srb, ken) = states();
    let id = asked(&srb, &ken, &trace("12?45?", "PARTLY_LEGIBLE"));
    let view = answered_with_candidate(&srb, &ken, &id, MatchLevel::Partial);
    assert!(view.timeline[1].body["chosen_because"].as_str().is_some_and(|why| why.contains("stands for")));
}

#[test]
fn t3_an_export_proposes_the_next_hop_with_its_licence() {
    let (srb, _ken) = states();
    let id = srb.api().open_exchange("KEN", &trace("TAC-48317", "INTACT"), "RS-1").summary.id.to_string();
    let view = srb.api().wait_until(&id, State::Answered);
    assert!(view.timeline[1].body["match_level"] == "NORMALISED", "{view:?}");
    let case = case(&srb);
    assert_eq!(case.progress, Progress::NextHopProposed);
    let next = case.next.expect("a next hop");
    assert_eq!(
        (next.state.as_str(), next.licence_no.map(String::from).as_deref()),
        ("UGA", Some("KE-EXP-0058"))
    );
}

#[test]
fn t4_a_refusal_without_ground_cannot_be_sent() {
    let (srb, ken) = states();
    let id = asked(&srb, &ken, &trace("ZZ 9999", "INTACT"));
    let refusal = json!({"result_code": "REFUSED", "match_level": "NONE", "registers_searched": [],
                         "search_date": "2026-11-24"});
    let path = format!("/v1/exchanges/{id}/acts");
    let act = json!({"act": "answer", "outcome": refusal});
    let answer = ken.api().try_send("POST", &path, &act, None).expect("it answers");
    assert_eq!(answer.status, 400);
    let detail = answer.problem().detail;
    assert!(detail.contains("R-ITI-22"), "{detail}");
    assert_eq!(ken.api().exchange(&id).summary.state, State::Delivered);
}

#[test]
fn t5_an_investigation_delays_to_a_day_and_the_answer_comes_after_all() {
    let (srb, ken) = states();
    let id = asked(&srb, &ken, &trace("AK O123", "INTACT"));
    let delay = json!({"result_code": "DELAYED", "match_level": "NONE", "registers_searched": [],
        "search_date": "2026-11-24", "grounds": ["ONGOING_INVESTIGATION"], "reason": "A case is open.",
        "until": "2099-01-15"});
    ken.api().act(&id, &json!({"act": "answer", "outcome": delay}));
    let view = srb.api().wait_until(&id, State::Delayed);
    // Both sides see the same clock: the end of that day.
    let due = view.summary.due.expect("an answer is owed");
    assert_eq!(due.at.date().to_string(), "2099-01-16");
    assert_eq!(ken.api().exchange(&id).summary.due, Some(due));
    answered_with_candidate(&srb, &ken, &id, MatchLevel::Confusable);
}

#[test]
fn t6_a_withdrawal_closes_the_task_on_both_sides() {
    let (srb, ken) = states();
    let id = asked(&srb, &ken, &trace("ZZ 9999", "INTACT"));
    srb.api().act(&id, &json!({"act": "withdraw", "reason": "The owner came forward."}));
    let theirs = ken.api().wait_until(&id, State::Withdrawn);
    assert!(!theirs.summary.for_officer && theirs.acts.is_empty());
    let ids = |view: &ExchangeView| view.timeline.iter().map(|said| said.id).collect::<Vec<_>>();
    assert_eq!(ids(&theirs), ids(&srb.api().exchange(&id)));
}

#[test]
fn t7_an_arm_recorded_as_destroyed_establishes_the_point_of_diversion() {
    let (srb, _ken) = states();
    let id = srb.api().open_exchange("KEN", &trace("D 55501", "INTACT"), "RS-1").summary.id.to_string();
    let view = srb.api().wait_until(&id, State::Answered);
    assert_eq!(view.summary.outcome.as_deref(), Some("RECORDED_DESTROYED"));
    let case = case(&srb);
    assert_eq!(case.progress, Progress::PodEstablished);
    assert_eq!(case.diversion.expect("it is known").state.as_str(), "KEN");
}

#[test]
fn t8_an_import_mark_read_as_serial_number_is_stopped_until_an_officer_looked_again() {
    let (srb, ken) = states();
    let mut opening = trace("KEN 2025", "INTACT");
    let body = json!({"peer": "KEN", "opening": opening});
    let stopped = srb.api().try_send("POST", "/v1/exchanges", &body, Some("RS-1")).expect("it answers");
    assert_eq!(stopped.status, 400);
    let detail = stopped.problem().detail;
    assert!(detail.contains("import"), "{detail}");
    opening["looked_again"] = json!(true);
    asked(&srb, &ken, &opening);
}

/// A question of a liar's.
fn question(licence_no: &str) -> Value {
    json!({"question": "verification", "presented": {
        "licence_no": licence_no, "licence_kind": "IMPORT", "issue_date": "2026-01-10",
        "final_recipient": "MINISTERIO DEL INTERIOR",
        "lines": [{"line": 1, "description": "Rifle .308", "quantity": 40, "unit": "pieces"}],
    }})
}

#[test]
fn p2_what_a_peer_leaves_out_or_repeats_is_seen_and_a_second_history_is_not_countersigned() {
    let (ken, mut srb) = two("KEN", "SRB");
    let peer = || ken.api().peer("SRB");
    let missing = || peer().missing.iter().map(|gap| (gap.log, gap.first, gap.last)).collect::<Vec<_>>();
    let held = peer().head_seen.expect("they have met");
    assert!(srb.stop().success());

    // Three messages are sealed, and the second is kept back.
    let mut liar = Liar::with_copy_of(&srb, &ken);
    let (first, second, third) = (
        liar.seals(1, &question("KE-1")),
        liar.seals(2, &question("KE-2")),
        liar.seals(3, &question("KE-3")),
    );
    assert!(matches!(liar.says(held, &[&first, &third]), MailReply::Cosigned { .. }));
    liar.waits_for_receipts(2);
    assert_eq!(missing(), [(1, 2, 2)]);
    let shown = said(&ken.liaison(&["peer", "show", "SRB"]));
    assert!(shown.contains("missing      its messages 2: "), "{shown}");

    // What is repeated gets its first receipt again, and nothing else happens.
    let head = liar.log_size();
    let exchanges = ken.api().exchanges().len();
    assert!(matches!(liar.says(head, &[&first]), MailReply::Cosigned { .. }));
    liar.waits_for_receipts(3);
    assert_eq!(
        (liar.receipts[2].leaf, &liar.receipts[2].entry),
        (liar.receipts[0].leaf, &liar.receipts[0].entry)
    );
    assert_eq!(ken.api().exchanges().len(), exchanges);

    // Another message under a number that is used up is refused for good, and is an alarm.
    let again = liar.seals(3, &question("KE-4"));
    assert!(matches!(liar.says(head, &[&again]), MailReply::Cosigned { .. }));
    liar.waits_for_receipts(4);
    assert!(liar.receipts[3].entry.contains("\"f\":32"), "{:?}", liar.receipts[3]);
    assert_eq!(ken.api().exchanges().len(), exchanges);

    // What was kept back comes after all.
    let head = liar.log_size();
    assert!(matches!(liar.says(head, &[&second]), MailReply::Cosigned { .. }));
    liar.waits_for_receipts(5);
    assert_eq!((missing(), ken.api().exchanges().len()), (Vec::new(), exchanges + 1));
    let head = liar.log_size();
    drop(liar);

    // Another copy of the same folder tells another history, longer than what Kenya has countersigned.
    let mut other = Liar::with_copy_of(&srb, &ken);
    let different = other.seals(4, &question("KE-5"));
    while other.log_size() <= head {
        other.seals(5, &question("KE-6"));
    }
    let before = peer().head_seen;
    assert!(matches!(other.says(head, &[&different]), MailReply::Forked { .. }));
    assert_eq!((peer().standing, peer().head_seen), (PeerStanding::Forked, before));
    assert_eq!(ken.api().exchanges().len(), exchanges + 1, "its mail is kept as proof, and opens nothing");
    assert!(ken.verify_log().status.success());
}

//! The rules of the law that the desk enforces on licences, by their ids (R-10.5, R-13.2, R-SOV). Those on traces and
//! on transit have files of their own.

mod office;
mod shelf;

use liaison_protocol::authority::{By, Function, NodeId};
use liaison_protocol::desk::{Effect, Sought};
use liaison_protocol::entry::Record;
use liaison_protocol::envelope::Verified;
use liaison_protocol::fault::Fault;
use liaison_protocol::licence::{Answer, Authenticity, GoodsLine, LicenceRecord, LicenceStatus, Presented};
use liaison_protocol::message::{
    AuthenticityCheck, AuthenticityResult, Body, LicenceVerificationRequest, Outcome,
};
use liaison_protocol::operator::{Act, Enclosed, Mistake, Opening, Order, Question, Rules, State};
use office::{EVERYTHING, NOW, Office, line};

fn ask(office: &mut Office, peer: NodeId, presented: Presented) -> Result<Verified, Mistake> {
    office.open(&peer, Question::Verification { presented })
}

fn answer_by_rule(office: &mut Office, peer: NodeId, attempts_per_licence: u32) {
    office.rules(&peer, Rules { verifications: true, attempts_per_licence, ..Rules::default() });
}

fn licence() -> Presented {
    let mut presented = Presented::number("KE-1".parse().expect("a number"));
    presented.issue_date = Some("2026-01-01".parse().expect("a date"));
    presented.final_recipient = Some(line("Kenya Wildlife Service"));
    presented.lines =
        vec![GoodsLine { line: 1, description: line("Rifle"), quantity: 40, unit: line("pieces") }];
    presented
}

#[test]
fn r_sov_without_a_rule_a_request_consults_nothing_and_waits_for_an_officer() {
    let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
    let asked = ask(&mut peru, kenya.us(), licence()).expect("may ask");
    assert_eq!(kenya.receive(&asked), Ok(Vec::new()));
    let exchange = kenya.desk.exchange(&kenya.shelf, &asked.id()).expect("held");
    assert!(exchange.summary(None).for_officer);
    assert_eq!(exchange.standing().outcome, None);
}

#[test]
fn r_sov_a_rule_consults_the_register_about_that_licence_only_and_the_answer_names_the_rule() {
    let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
    answer_by_rule(&mut kenya, peru.us(), 20);
    let asked = ask(&mut peru, kenya.us(), licence()).expect("may ask");
    let owed = kenya.receive(&asked).expect("acceptable");
    let [Effect::Consult { exchange, rule, sought }] = owed.as_slice() else { panic!("{owed:?}") };
    assert_eq!((*exchange, sought), (asked.id(), &Sought::Licence(licence().licence_no)));
    let found = Some(LicenceRecord { content: licence(), status: LicenceStatus::Active });
    let owed =
        kenya.record(Record::Query { exchange: *exchange, rule: rule.clone(), found, on: NOW.date() }, None);
    let answer = kenya.send(&owed[0]);
    assert_eq!(answer.message().by, By::Auto { rule: rule.clone() });
    peru.receive(&answer).expect("acceptable");
    let standing = peru.desk.exchange(&peru.shelf, &asked.id()).expect("held").standing().clone();
    assert_eq!(standing.state, State::Answered);
    assert_eq!(standing.outcome, Some(Outcome::Answer(Answer::Valid { valid_until: None })));
}

#[test]
fn r_sov_a_rule_answers_what_it_was_set_for_and_nothing_else() {
    let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
    let verification = ask(&mut peru, kenya.us(), licence()).expect("may ask");
    let question = Question::Authenticity { presented: licence() };
    let authenticity = peru.open(&kenya.us(), question).expect("may ask");
    for asked in [&verification, &authenticity] {
        kenya.take(&mut peru, asked);
    }
    let none = Rules { attempts_per_licence: 20, ..Rules::default() };
    let (by_verification, by_authenticity) =
        ("verification-from-licence-list", "authenticity-from-licence-list");
    for (rules, answered_by) in [
        (Rules { verifications: true, ..none.clone() }, [Some(by_verification), None]),
        (Rules { authenticity: true, ..none.clone() }, [None, Some(by_authenticity)]),
        (Rules { traces: true, ..none }, [None, None]),
    ] {
        kenya.rules(&peru.us(), rules);
        let rules = [&verification, &authenticity].map(|asked| {
            let exchange = kenya.exchange(&asked.id());
            kenya.desk.rule_for(&kenya.shelf, &exchange, NOW).ok()
        });
        assert_eq!(rules, answered_by.map(|rule| rule.map(line)));
    }
}

#[test]
fn r_sov_what_is_not_understood_is_put_before_an_officer_whatever_the_rule() {
    let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
    answer_by_rule(&mut kenya, peru.us(), 20);
    let mut handling = liaison_protocol::handling::Handling::for_licences(
        liaison_protocol::handling::LegalBasis::Article10Para2a,
    );
    handling.restrictions.push(liaison_protocol::handling::Coded::Unknown(line("EYES_ONLY_2031")));
    let opening = Opening {
        question: Question::Verification { presented: licence() },
        case_ref: None,
        handling: Some(handling),
        enclosed: Enclosed::default(),
    };
    let owed = peru.order(Order::Open { peer: kenya.us(), opening }).expect("may ask");
    let asked = peru.send(&owed[0]);
    assert_eq!(kenya.receive(&asked), Ok(Vec::new()));
}

#[test]
fn r_10_5_attempts_on_one_licence_are_capped_and_then_an_officer_decides() {
    let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
    answer_by_rule(&mut kenya, peru.us(), 3);
    let mut answered = 0;
    for guess in 1..=6 {
        let mut presented = licence();
        presented.lines[0].quantity = guess;
        let asked = ask(&mut peru, kenya.us(), presented).expect("may ask");
        answered += kenya.receive(&asked).expect("acceptable").len();
    }
    assert_eq!(answered, 3);
}

#[test]
fn r_10_5_a_number_alone_cannot_be_asked_about_nor_is_it_accepted() {
    let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
    let bare = Presented::number(licence().licence_no);
    let mistake = ask(&mut peru, kenya.us(), bare.clone()).expect_err("not a document");
    assert!(
        mistake.to_string().contains("presented.issue_date") && mistake.to_string().contains("R-10.5"),
        "{mistake}"
    );
    let question = Question::Authenticity { presented: bare.clone() };
    let mistake = peru.open(&kenya.us(), question).expect_err("nothing to compare").to_string();
    assert!(mistake.contains("R-10.5"), "{mistake}");
    // A peer that sends it all the same is refused.
    for body in [
        Body::LicenceVerificationRequest(LicenceVerificationRequest { presented: bare.clone() }),
        Body::AuthenticityCheck(AuthenticityCheck { presented: bare }),
    ] {
        let blurted = peru.blurt(&kenya.us(), None, body);
        assert_eq!(kenya.receive(&blurted), Err(Fault::BodyForbidden));
    }
}

#[test]
fn r_10_5_an_officer_cannot_answer_about_a_field_that_was_not_presented() {
    let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
    let asked = ask(&mut peru, kenya.us(), licence()).expect("may ask");
    kenya.receive(&asked).expect("acceptable");
    let differences = vec![liaison_protocol::licence::Field::PlaceOfIssue];
    let outcome = Outcome::Answer(Answer::ValidWithDifferences { differences });
    let mistake = kenya.act(asked.id(), Act::Answer { outcome, note: None }).expect_err("was not presented");
    assert!(mistake.to_string().contains("R-10.5"), "{mistake}");
}

#[test]
fn r_13_2_an_authority_sends_only_what_its_functions_cover() {
    let (kenya, mut peru) = Office::pair(EVERYTHING, &[Function::TracingCentre]);
    let mistake = ask(&mut peru, kenya.us(), licence()).expect_err("no function for it");
    assert!(mistake.to_string().contains("R-13.2"), "{mistake}");
}

#[test]
fn r_13_2_a_message_beyond_the_senders_functions_is_refused() {
    // Peru's own node believes it may; Kenya holds the key set that says it may not.
    let (mut kenya, _) = Office::pair(EVERYTHING, &[Function::TracingCentre]);
    let (_, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
    let asked = ask(&mut peru, kenya.us(), licence()).expect("it believes it may");
    assert_eq!(kenya.receive(&asked), Err(Fault::FunctionMissing));
}

#[test]
fn a_crossing_withdrawal_and_answer_end_the_same_on_both_sides() {
    let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
    let asked = ask(&mut peru, kenya.us(), licence()).expect("may ask");
    kenya.receive(&asked).expect("acceptable");
    let reason = "No longer needed.".parse().expect("a text");
    let withdrawal = peru.act(asked.id(), Act::Withdraw { reason }).expect("open to it");
    let outcome = Outcome::Answer(Answer::Revoked);
    let answer = kenya.act(asked.id(), Act::Answer { outcome, note: None }).expect("open to it");
    kenya.receive(&withdrawal).expect("recorded, though it crossed");
    peru.receive(&answer).expect("recorded, though it crossed");
    let here = kenya.desk.exchange(&kenya.shelf, &asked.id()).expect("held").standing().clone();
    let there = peru.desk.exchange(&peru.shelf, &asked.id()).expect("held").standing().clone();
    assert_eq!((here.state, &here.outcome, &here.order), (there.state, &there.outcome, &there.order));
    assert_eq!(here.state, State::Withdrawn);
}

#[test]
fn r_10_5_the_issuer_says_whether_a_document_is_genuine_where_that_was_asked_and_nowhere_else() {
    let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
    let question = Question::Authenticity { presented: licence() };
    let asked = peru.open(&kenya.us(), question).expect("may ask");
    kenya.take(&mut peru, &asked);
    let genuine = || Body::AuthenticityResult(AuthenticityResult { result: Authenticity::Match, note: None });
    let blurted = peru.blurt(&kenya.us(), Some(asked.id()), genuine());
    assert_eq!(kenya.receive(&blurted), Err(Fault::OutOfPlace), "whoever asks does not answer");
    let outcome = Outcome::Authenticity(Authenticity::Match);
    let said =
        kenya.act(asked.id(), Act::Answer { outcome: outcome.clone(), note: None }).expect("open to it");
    peru.take(&mut kenya, &said);
    let standing = peru.standing(&asked.id());
    assert_eq!((standing.state, standing.outcome), (State::Answered, Some(outcome)));

    let verified = ask(&mut peru, kenya.us(), licence()).expect("may ask");
    kenya.take(&mut peru, &verified);
    let blurted = kenya.blurt(&peru.us(), Some(verified.id()), genuine());
    assert_eq!(peru.receive(&blurted), Err(Fault::OutOfPlace), "not what was asked");
}

#[test]
fn r_10_5_a_document_beyond_bounds_is_stopped_and_refused_whatever_is_asked_of_it() {
    let mut presented = licence();
    // Two lines of one number.
    presented.lines.push(presented.lines[0].clone());
    for (question, body) in [
        (
            Question::Authenticity { presented: presented.clone() },
            Body::AuthenticityCheck(AuthenticityCheck { presented: presented.clone() }),
        ),
        (
            Question::Verification { presented: presented.clone() },
            Body::LicenceVerificationRequest(LicenceVerificationRequest { presented: presented.clone() }),
        ),
    ] {
        let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
        assert!(peru.open(&kenya.us(), question).is_err());
        let blurted = peru.blurt(&kenya.us(), None, body);
        assert_eq!(kenya.receive(&blurted), Err(Fault::BodyMalformed));
    }
}

#[test]
fn our_file_number_goes_with_all_that_we_say_and_is_not_theirs() {
    let (mut kenya, mut peru) = Office::pair(EVERYTHING, EVERYTHING);
    let opening = Opening {
        question: Question::Verification { presented: licence() },
        case_ref: Some(line("EXP-7")),
        handling: None,
        enclosed: Enclosed::default(),
    };
    let owed = peru.order(Order::Open { peer: kenya.us(), opening }).expect("may ask");
    let asked = peru.send(&owed[0]);
    kenya.take(&mut peru, &asked);
    let withdrawn =
        peru.act(asked.id(), Act::Withdraw { reason: "Not needed.".parse().expect("prose") }).expect("open");
    for message in [&asked, &withdrawn] {
        assert_eq!(message.message().case.sender, Some(line("EXP-7")));
    }
    assert_eq!(peru.exchange(&asked.id()).case_ref(), Some(&line("EXP-7")));
    assert_eq!(kenya.exchange(&asked.id()).case_ref(), None);
    let (held, theirs) = (peru.exchange(&asked.id()), kenya.exchange(&asked.id()));
    assert_eq!((held.len(), held.is_empty(), theirs.len()), (2, false, 1));
}

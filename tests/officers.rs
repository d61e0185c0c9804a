//! What officers of a simulated world ask, decide and hold in their registers: anything that is allowed, by chance.

use liaison_node::register::{Firearms, Licences};
use liaison_protocol::attachment::{Person, PersonRole};
use liaison_protocol::exchange::Exchange;
use liaison_protocol::handling::Coded;
use liaison_protocol::item::{Calibre, Firearm, FirearmType, Item, Make};
use liaison_protocol::licence::{Answer, Authenticity, Ground, LicenceEvent, Presented};
use liaison_protocol::mark::{Mark, MarkKind, Raw};
use liaison_protocol::message::{Kind, Outcome, Subject};
use liaison_protocol::operator::{Act, Enclosed, Question};
use liaison_protocol::trace::{
    Conclusion, Diversion, MatchLevel, ResultCode, TraceGround, TraceOutcome, TraceRequest, TraceResponse,
    Urgency,
};
use liaison_protocol::transit::{DecisionCode, TransitDecision, TransitNotification};
use serde_json::json;

use crate::dice::Dice;

/// The States, by their numbers.
pub(crate) const STATES: [&str; 5] = ["KEN", "PER", "CHL", "NOR", "TGO"];
/// Licences in a list.
const LICENCES: u64 = 4;

/// The licences of State `number`, as they stand in version `version` of its list.
pub(crate) fn licences(number: usize, version: u64) -> Licences {
    let mut dice = Dice::new(version * 64 + number as u64);
    let mut csv = String::from(
        "licence_no,status,version,issue_date,expiry_date,final_recipient,line,description,quantity,unit\n",
    );
    for licence in 0..LICENCES {
        let status = match (version, licence) {
            (0, 0..3) => "ACTIVE",
            _ => *dice.pick(&["ACTIVE", "ACTIVE", "REVOKED", "SUSPENDED", "EXHAUSTED"]),
        };
        let last = if licence == 1 { "2026-09-30" } else { "2027-06-30" };
        let amended = 1 + version / 3 % 2;
        csv += &format!(
            "L{number}-{licence},{status},{amended},2026-01-01,{last},Wildlife Service,1,Rifle,40,pieces\n"
        );
    }
    Licences::parse(csv.as_bytes()).expect("a good list")
}

/// The firearms of every State: one is beyond doubt, one has a look-alike, one is of another make.
pub(crate) fn firearms() -> Firearms {
    let csv = "record_no,type,make,calibre,country_of_manufacture,serial,exported_to,status,holder\n\
               1,F-PIS,Aurora,9x19,BRA,AK 0123,KEN,EXPORTED,UNKNOWN\n\
               2,F-PIS,Aurora,9x19,BRA,AK O124,,STOLEN,GOVERNMENT\n\
               3,F-RIF,Boreal,.308,BRA,AK 0125,,LAWFULLY_HELD,NATURAL_PERSON\n";
    Firearms::parse(csv.as_bytes()).expect("a good register")
}

/// What somebody asks of the State `issuer`.
pub(crate) fn question(issuer: usize, dice: &mut Dice) -> Question {
    match dice.below(10) {
        0..=3 => Question::Verification { presented: presented(issuer, dice) },
        4 | 5 => Question::Authenticity { presented: presented(issuer, dice) },
        6 | 7 => Question::Trace { request: trace(dice), looked_again: true },
        _ => Question::Transit { notification: notification(issuer, dice) },
    }
}

/// What goes with it, now and then.
pub(crate) fn enclosed(question: &Question, dice: &mut Dice) -> Enclosed {
    let mut enclosed = Enclosed::default();
    if matches!(question, Question::Trace { .. }) && dice.chance(40) {
        for n in 0..1 + dice.below(3) {
            enclosed.persons.push(Person {
                role: Coded::Known(PersonRole::Possessor),
                name: format!("somebody {n}").parse().expect("a line"),
                birth_date: None,
                nationality: None,
                document: None,
                note: None,
            });
        }
    }
    enclosed
}

/// A document that names a licence of `issuer`: the genuine one, or one that was tampered with, or none of its.
fn presented(issuer: usize, dice: &mut Dice) -> Presented {
    let licence = dice.below(LICENCES + 1);
    let recipient = if dice.chance(25) { "Range Ltd" } else { "Wildlife Service" };
    let quantity = if dice.chance(15) { 400 } else { 40 };
    let csv = format!(
        "licence_no,status,issue_date,final_recipient,line,description,quantity,unit\n\
         L{issuer}-{licence},ACTIVE,2026-01-01,{recipient},1,Rifle,{quantity},pieces\n"
    );
    let list = Licences::parse(csv.as_bytes()).expect("a good list");
    let number = format!("L{issuer}-{licence}").parse().expect("a number");
    list.find(&number).expect("it is the only one").content.clone()
}

fn trace(dice: &mut Dice) -> TraceRequest {
    let mut firearm = Firearm::of(FirearmType::Pistol);
    let make = "Aurora".parse().expect("a line");
    firearm.make = Some(Make { normalised: Some(make), ..Make::default() });
    firearm.calibres = vec![Calibre::marked("9X19".parse().expect("a line"))];
    firearm.country_of_manufacture = Some("BRA".parse().expect("a State"));
    let serial = *dice.pick(&["AK-0123", "AK 0124", "АК 0124", "AK 012?", "ZZ 9999"]);
    firearm.marks.push(Mark::seen(MarkKind::Serial, Raw::typed(serial).expect("a mark")));
    let item = serde_json::to_value(Item::Firearm(Box::new(firearm))).expect("an item");
    let urgency = *dice.pick(&[Urgency::Routine, Urgency::Urgent, Urgency::EmergencyThreatToLife]);
    serde_json::from_value(json!({
        "trace_case": format!("case {}", dice.below(3)), "hop": 1 + dice.below(3), "urgency": urgency,
        "urgency_reason": "a trial begins", "illicit_basis": ["SUSPECTED"], "legal_justification": "found in a raid",
        "suspected_offences": ["UNKNOWN"], "item": item, "identification": "TRAINED_OFFICER",
        "recovery": {"mode": "FOUND", "date": "2026-09-01", "place": "the port", "circumstances": "in a container"},
        "no_photo_reason": "none was taken", "questions": ["LAST_LEGAL_HOLDER"], "intended_use": "INVESTIGATION",
        "national_search": {"registers": ["firearms"], "date": "2026-09-02", "result": "nothing"},
    }))
    .expect("a request")
}

fn notification(issuer: usize, dice: &mut Dice) -> TransitNotification {
    let mut licence = presented(issuer, dice);
    licence.place_of_issue = Some("Nairobi".parse().expect("a line"));
    licence.expiry_date = Some("2027-06-30".parse().expect("a date"));
    licence.country_export = Some("BRA".parse().expect("a State"));
    licence.country_import = Some("RWA".parse().expect("a State"));
    serde_json::from_value(json!({
        "export_file": format!("EXP {}", dice.below(9)), "import_licences": [licence],
        "countries_transit": [STATES[issuer], "UGA"], "mode": "ROAD", "entry_point": "Namanga", "exit_point": "Busia",
        "transhipment": false, "window_from": "2026-10-10", "window_to": "2026-11-10",
    }))
    .expect("a notification")
}

/// The act of that name, whatever the register says. `None` if this officer leaves it.
pub(crate) fn act(name: &str, exchange: &Exchange, dice: &mut Dice) -> Option<Act> {
    let prose = |text: &str| text.parse().expect("prose");
    Some(match name {
        "acknowledge" => {
            Act::Acknowledge { unit: "Licensing".parse().expect("a line"), expected: None, note: None }
        }
        "answer" => Act::Answer { outcome: outcome(exchange, dice), note: None },
        "ask_clarification" => Act::AskClarification { question: prose("what does that mean?") },
        "ask_information" => Act::AskInformation { questions: vec![prose("is there another mark?")] },
        "clarify" => Act::Clarify { answer: prose("that the books are lost") },
        // Not every case: those concluded have little future.
        "conclude" if dice.chance(60) => return None,
        "conclude" => {
            let conclusion = *dice.pick(Conclusion::ALL);
            let diversion = || Diversion {
                state: "TZA".parse().expect("a State"),
                date: None,
                circumstances: prose("lost on the way"),
            };
            let point_of_diversion = (conclusion == Conclusion::PodEstablished).then(diversion);
            let useful = dice.chance(50);
            let conclusion = Coded::Known(conclusion);
            Act::Conclude { outcome: TraceOutcome { conclusion, useful, point_of_diversion, note: None } }
        }
        "correct" => Act::Correct { outcome: outcome(exchange, dice), reason: prose("it was said in error") },
        "notify" => Act::Notify {
            event: *dice.pick(&[LicenceEvent::Revoked, LicenceEvent::Reinstated]),
            effective: "2026-10-01".parse().expect("a date"),
            note: None,
        },
        "reply_to_conditions" => Act::ReplyToConditions { accepted: dice.chance(70), note: None },
        "rescind" => Act::Rescind { reason: None },
        "supply_information" => Act::SupplyInformation { answers: vec![prose("no")], item: None },
        // Nor those withdrawn.
        _ if dice.chance(70) => return None,
        _ => Act::Withdraw { reason: prose("it was said in error") },
    })
}

/// What an officer might answer.
fn outcome(exchange: &Exchange, dice: &mut Dice) -> Outcome {
    match exchange.subject() {
        Subject::Licence(presented) => about_licence(presented, exchange.kind(), dice),
        Subject::Trace(_) => Outcome::Trace(response(dice)),
        Subject::Transit(_) => Outcome::Transit(decision(dice)),
    }
}

fn about_licence(presented: &Presented, kind: Kind, dice: &mut Dice) -> Outcome {
    let differences = presented.fields().into_iter().take(1).collect::<Vec<_>>();
    match (kind, dice.below(3)) {
        (Kind::AuthenticityCheck, 0) => Outcome::Authenticity(Authenticity::Match),
        (Kind::AuthenticityCheck, 1) => Outcome::Authenticity(Authenticity::Unknown),
        (Kind::AuthenticityCheck, _) => Outcome::Authenticity(Authenticity::Mismatch { fields: differences }),
        (_, 0) => Outcome::Answer(Answer::Valid { valid_until: None }),
        (_, 1) => Outcome::Answer(Answer::CannotConfirm { ground: Coded::Known(Ground::NotOurCompetence) }),
        (_, _) => Outcome::Answer(Answer::ValidWithDifferences { differences }),
    }
}

fn response(dice: &mut Dice) -> TraceResponse {
    let codes = [ResultCode::NoRecord, ResultCode::Refused, ResultCode::Delayed, ResultCode::Stolen];
    let code = *dice.pick(&codes);
    let mut response = TraceResponse::of(code, "2026-09-20".parse().expect("a date"));
    response.interim = code == ResultCode::NoRecord && dice.chance(40);
    response.registers_searched = vec!["firearms".parse().expect("a line")];
    if code.identifies_item() {
        response.match_level = Coded::Known(MatchLevel::DescriptionOnly);
    }
    if code.needs_ground() {
        response.grounds = vec![Coded::Known(TraceGround::OngoingInvestigation)];
        response.reason = Some("it cannot be told".parse().expect("prose"));
        response.until = Some("2026-12-01".parse().expect("a date"));
    }
    response
}

fn decision(dice: &mut Dice) -> TransitDecision {
    let code = *dice.pick(DecisionCode::ALL);
    let conditions = match code {
        DecisionCode::NoObjectionWithConditions => vec!["by day only".parse().expect("prose")],
        _ => Vec::new(),
    };
    TransitDecision {
        decision: Coded::Known(code),
        conditions,
        valid_from: Some("2026-10-01".parse().expect("a date")),
        valid_to: Some("2026-12-01".parse().expect("a date")),
        reason: Some("as the law says".parse().expect("prose")),
    }
}

//! What States say to each other in traces and transit, complete and in order: tests change one thing in it.
#![allow(dead_code, reason = "each test uses a part of it")]

use liaison_protocol::attachment::{self, Attachment, Person, PersonRole, View};
use liaison_protocol::authority::{Line, Prose};
use liaison_protocol::handling::Coded;
use liaison_protocol::item::{Calibre, Firearm, FirearmType, Item, Make};
use liaison_protocol::jws;
use liaison_protocol::licence::{GoodsLine, LicenceKind, Presented};
use liaison_protocol::mark::{Mark, MarkKind, Raw};
use liaison_protocol::trace::{
    Conclusion, Contactee, Diversion, IdentificationConfidence, IllicitBasis, IntendedUse, MatchLevel,
    NationalSearch, NextHop, Offence, Recovery, RecoveryMode, ResultCode, TraceGround, TraceOutcome,
    TraceQuestion, TraceRequest, TraceResponse, Urgency,
};
use liaison_protocol::transit::{DecisionCode, TransitDecision, TransitNotification, TransportMode};

pub(crate) fn line(text: &str) -> Line {
    text.parse().expect("a line")
}

pub(crate) fn prose(text: &str) -> Prose {
    text.parse().expect("prose")
}

pub(crate) fn date(text: &str) -> jiff::civil::Date {
    text.parse().expect("a date")
}

/// A pistol with a Cyrillic serial number of which one digit is worn.
pub(crate) fn pistol() -> Item {
    let mut pistol = Firearm::of(FirearmType::Pistol);
    pistol.make = Some(Make { normalised: Some(line("Arsenal")), ..Make::default() });
    pistol.model = Some(line("P-M02"));
    pistol.calibres = vec![Calibre::marked(line("9x18"))];
    pistol.country_of_manufacture = Some("BGR".parse().expect("a State"));
    pistol.marks = vec![Mark::seen(MarkKind::Serial, Raw::typed("АК 0123").expect("a mark"))];
    Item::Firearm(Box::new(pistol))
}

/// A photograph of a mark.
pub(crate) fn photo() -> Attachment {
    let salt = [3; attachment::SALT_LEN];
    let content = b"the photograph itself";
    Attachment {
        digest: attachment::digest(&salt, content),
        salt: jws::encode(&salt),
        length: content.len() as u64,
        media_type: line("image/jpeg"),
        name: line("serial.jpg"),
        view: Some(Coded::Known(View::Mark)),
    }
}

pub(crate) fn person() -> Person {
    Person {
        role: Coded::Known(PersonRole::Possessor),
        name: line("Juan Pérez Quispe"),
        birth_date: Some(date("1984-02-29")),
        nationality: Some("PER".parse().expect("a State")),
        document: None,
        note: None,
    }
}

/// A request without a photograph, and why.
pub(crate) fn trace_request() -> TraceRequest {
    TraceRequest {
        trace_case: line("case-7"),
        hop: 1,
        previous_hop: None,
        urgency: Urgency::Routine,
        urgency_reason: None,
        respond_by: None,
        respond_by_reason: None,
        illicit_basis: vec![Coded::Known(IllicitBasis::Suspected)],
        legal_justification: prose("Seized from a person without a licence, Penal Code, art. 279-G."),
        suspected_offences: vec![Coded::Known(Offence::Article5Para1B)],
        recovery: Recovery {
            mode: Coded::Known(RecoveryMode::SeizedCriminal),
            date: date("2026-09-01"),
            place: line("Lima, Callao"),
            circumstances: prose("Found in a vehicle at a road check."),
        },
        criminal_context: Vec::new(),
        item: pistol(),
        identification: Coded::Known(IdentificationConfidence::TrainedOfficer),
        no_photo_reason: Some(line("the item is with the court")),
        national_search: NationalSearch {
            registers: vec![line("SUCAMEC")],
            date: date("2026-09-03"),
            result: prose("Not on record."),
        },
        other_searches: Vec::new(),
        questions: vec![Coded::Known(TraceQuestion::Disposition)],
        intended_use: Coded::Known(IntendedUse::Investigation),
        do_not_contact: vec![Coded::Known(Contactee::Possessor)],
        linked_licence: None,
        ballistic_refs: Vec::new(),
    }
}

/// A final response of this code, found in a register, without what that code needs beside it.
pub(crate) fn response(code: ResultCode) -> TraceResponse {
    TraceResponse {
        registers_searched: vec![line("Register of firearms")],
        ..TraceResponse::of(code, date("2026-09-25"))
    }
}

/// The response of a search made on the day on which the offices start.
pub(crate) fn searched(response: TraceResponse) -> TraceResponse {
    TraceResponse { search_date: date("2026-09-21"), ..response }
}

pub(crate) fn exported_to(state: &str) -> TraceResponse {
    let next_hop = NextHop {
        state: state.parse().expect("a State"),
        authority: None,
        why: line("exported there on 1998-05-04"),
        licence_no: Some("L-1998/17".parse().expect("a number")),
    };
    TraceResponse {
        match_level: Coded::Known(MatchLevel::Exact),
        next_hop: Some(next_hop),
        ..response(ResultCode::ExportedTo)
    }
}

/// Recorded as destroyed, and recovered all the same.
pub(crate) fn destroyed() -> TraceResponse {
    TraceResponse {
        match_level: Coded::Known(MatchLevel::Exact),
        point_of_diversion: Some(Diversion {
            state: "KEN".parse().expect("a State"),
            date: Some(date("2011-03-02")),
            circumstances: prose("recorded as sent for destruction on 2011-03-02"),
        }),
        ..response(ResultCode::RecordedDestroyed)
    }
}

/// The same, recorded by another State.
pub(crate) fn destroyed_here(state: &str) -> TraceResponse {
    let mut response = destroyed();
    if let Some(diversion) = &mut response.point_of_diversion {
        diversion.state = state.parse().expect("a State");
    }
    response
}

/// What a State concluded from it.
pub(crate) fn outcome() -> TraceOutcome {
    TraceOutcome {
        conclusion: Coded::Known(Conclusion::PodEstablished),
        useful: true,
        point_of_diversion: destroyed_here("URY").point_of_diversion,
        note: None,
    }
}

fn on_a_ground(code: ResultCode) -> TraceResponse {
    TraceResponse {
        grounds: vec![Coded::Known(TraceGround::OngoingInvestigation)],
        reason: Some(prose("An investigation is under way.")),
        ..response(code)
    }
}

pub(crate) fn delayed(until: &str) -> TraceResponse {
    TraceResponse { until: Some(date(until)), ..on_a_ground(ResultCode::Delayed) }
}

pub(crate) fn refused() -> TraceResponse {
    on_a_ground(ResultCode::Refused)
}

pub(crate) fn restricted() -> TraceResponse {
    on_a_ground(ResultCode::Restricted)
}

pub(crate) fn interim() -> TraceResponse {
    TraceResponse { interim: true, ..response(ResultCode::ManufactureConfirmedNoDisposition) }
}

/// An import licence with everything that Art. 10(3) asks for.
pub(crate) fn import_licence() -> Presented {
    let mut licence = Presented::number("KE-IMP 2026/0042".parse().expect("a number"));
    licence.licence_kind = Some(LicenceKind::Import);
    licence.place_of_issue = Some(line("Nairobi"));
    licence.issue_date = Some(date("2026-03-01"));
    licence.expiry_date = Some(date("2027-02-28"));
    licence.country_export = Some("PER".parse().expect("a State"));
    licence.country_import = Some("KEN".parse().expect("a State"));
    licence.final_recipient = Some(line("Kenya Wildlife Service"));
    licence.lines = vec![GoodsLine {
        line: 1,
        description: line("Rifle, bolt action, .308"),
        quantity: 40,
        unit: line("pieces"),
    }];
    licence
}

pub(crate) fn transit_notification() -> TransitNotification {
    TransitNotification {
        export_file: line("EXP-2026-0311"),
        import_licences: vec![import_licence()],
        countries_transit: vec!["URY".parse().expect("a State"), "ZAF".parse().expect("a State")],
        exporter: Some(line("Servicios Industriales de la Marina")),
        carrier: None,
        mode: Coded::Known(TransportMode::Sea),
        entry_point: line("Montevideo"),
        exit_point: line("Montevideo"),
        transhipment: true,
        window_from: date("2026-11-01"),
        window_to: date("2026-11-20"),
        respond_by: None,
    }
}

/// A shipment from Peru to Rwanda, through Kenya and Uganda.
pub(crate) fn transit_through_kenya() -> TransitNotification {
    let mut notification = transit_notification();
    notification.import_licences[0].country_import = Some("RWA".parse().expect("a State"));
    notification.countries_transit = ["KEN", "UGA"].map(|state| state.parse().expect("a State")).to_vec();
    notification
}

/// A decision of this code, with what that code needs beside it.
pub(crate) fn decision(code: DecisionCode) -> TransitDecision {
    let clears = matches!(code, DecisionCode::NoObjection | DecisionCode::NoObjectionWithConditions);
    let reasons = matches!(code, DecisionCode::MoreInformation | DecisionCode::NotRequired);
    TransitDecision {
        decision: Coded::Known(code),
        conditions: match code {
            DecisionCode::NoObjectionWithConditions => vec![prose("Escort from port to port.")],
            _ => Vec::new(),
        },
        valid_from: clears.then(|| date("2026-10-15")),
        valid_to: clears.then(|| date("2026-12-15")),
        reason: reasons.then(|| prose("Which vessel?")),
    }
}

//! What each message says: a sentence, and what else it tells below it.

use liaison_protocol::handling::Coded;
use liaison_protocol::item::Item;
use liaison_protocol::licence::{GoodsLine, Presented};
use liaison_protocol::mark::{Mark, MarkState};
use liaison_protocol::message::{Body, Outcome};
use liaison_protocol::operator::TimelineItem;
use liaison_protocol::trace::{
    Diversion, ItemEvent, NextHop, ResultCode, TraceOutcome, TraceRequest, TraceResponse, Urgency,
};
use liaison_protocol::transit::{TransitDecision, TransitNotification};

use super::code;
use super::words::{coded, list};

/// Names and what they hold.
pub(super) type Rows = Vec<(&'static str, String)>;

/// What a message says, in a sentence.
pub(super) fn sentence(item: &TimelineItem) -> String {
    let noted = |text: String, note: Option<String>| match note {
        Some(note) => format!("{text}. {note}"),
        None => text,
    };
    match Body::read(item.kind.as_str(), item.body.clone()) {
        Ok(Body::Acknowledgement(body)) => {
            let expected = body.expected.map(|date| format!(", an answer is expected by {date}"));
            let text = format!("taken charge of by {}{}", body.unit, expected.unwrap_or_default());
            noted(text, body.note.map(String::from))
        }
        Ok(Body::AuthenticityCheck(body)) => format!("is {} genuine?", body.presented.licence_no),
        Ok(Body::AuthenticityResult(body)) => noted(body.result.to_string(), body.note.map(String::from)),
        Ok(Body::Clarification(body)) => format!("explained: {}", body.answer),
        Ok(Body::ClarificationRequest(body)) => format!("what does that mean? {}", body.question),
        Ok(Body::ConditionReply(body)) => {
            let word =
                if body.accepted { "the conditions are accepted" } else { "the conditions are REFUSED" };
            noted(word.to_owned(), body.note.map(String::from))
        }
        Ok(Body::Correction(body)) => {
            format!("CORRECTION: {}, because: {}", outcome(&body.outcome), body.reason)
        }
        Ok(Body::InformationRequest(body)) => match body.questions.as_slice() {
            [one] => format!("more is needed first: {one}"),
            many => format!("more is needed first, {} questions", many.len()),
        },
        Ok(Body::InformationSupply(body)) => match body.answers.as_slice() {
            [one] => format!("told: {one}"),
            many => format!("told, {} answers", many.len()),
        },
        Ok(Body::LicenceNotice(body)) => {
            let text =
                format!("NOTICE: {} is {} since {}", body.licence_no, code(&body.event), body.effective);
            noted(text, body.note.map(String::from))
        }
        Ok(Body::LicenceVerificationRequest(body)) => {
            format!("was {} issued, and does it stand?", body.presented.licence_no)
        }
        Ok(Body::LicenceVerificationResponse(body)) => {
            noted(body.answer.to_string(), body.note.map(String::from))
        }
        Ok(Body::Reminder(body)) => format!("REMINDER: it was due by {}", body.due),
        Ok(Body::TraceOutcome(body)) => format!("concluded: {}", coded(&body.conclusion)),
        Ok(Body::TraceRequest(body)) => format!("where did this go? {}", body.item),
        Ok(Body::TraceResponse(body)) => response(&body),
        Ok(Body::TransitDecision(body)) => decision(&body),
        Ok(Body::TransitDecisionWithdrawal(_)) => "the clearance is TAKEN BACK".to_owned(),
        Ok(Body::TransitNotification(body)) => {
            format!("a shipment is to pass from {} to {}: do you object?", body.window_from, body.window_to)
        }
        Ok(Body::Withdrawal(body)) => format!("withdrawn: {}", body.reason),
        // A newer node may know more than we do: show it as it is.
        Err(_) => format!("{} {}", item.kind, item.body),
    }
}

/// What else a message tells. What opens an exchange is told above the timeline.
pub(super) fn details(item: &TimelineItem) -> Rows {
    match Body::read(item.kind.as_str(), item.body.clone()) {
        Ok(Body::Correction(body)) => match body.outcome {
            Outcome::Trace(body) => response_rows(&body),
            Outcome::Transit(body) => decision_rows(&body),
            Outcome::Answer(_) | Outcome::Authenticity(_) => Rows::new(),
        },
        Ok(Body::InformationRequest(body)) if body.questions.len() > 1 => {
            body.questions.iter().map(|question| ("question", question.to_string())).collect()
        }
        Ok(Body::InformationSupply(body)) => {
            let mut rows = Rows::new();
            if body.answers.len() > 1 {
                rows.extend(body.answers.iter().map(|answer| ("answer", answer.to_string())));
            }
            rows.extend(body.item.map(|item| ("the item now", item.to_string())));
            rows
        }
        Ok(Body::TraceOutcome(body)) => outcome_rows(&body),
        Ok(Body::TraceResponse(body)) => response_rows(&body),
        Ok(Body::TransitDecision(body)) => decision_rows(&body),
        Ok(Body::TransitDecisionWithdrawal(body)) => {
            body.reason.map(|reason| ("because", reason.to_string())).into_iter().collect()
        }
        _ => Rows::new(),
    }
}

/// What something came to, in words.
pub(super) fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Trace(body) => response(body),
        Outcome::Transit(body) => decision(body),
        Outcome::Answer(_) | Outcome::Authenticity(_) => outcome.to_string(),
    }
}

fn response(body: &TraceResponse) -> String {
    let mut text = coded(&body.result_code);
    if let Some(many) = body.candidates {
        text += &format!(", {many} of them");
    }
    if let Some(other) = &body.duplicate_of {
        text += &format!(" of {other}");
    }
    if let Some(next) = &body.next_hop {
        let asks = if body.result_code.is(ResultCode::ExportedTo) { "" } else { ", ask" };
        text += &format!("{asks} {}", next.state);
    }
    text += &body.until.map(|until| format!(" until {until}")).unwrap_or_default();
    if !body.grounds.is_empty() {
        text += &format!(", on the ground of {}", list(&body.grounds));
    }
    if body.interim { format!("for now: {text}; more is to come") } else { text }
}

fn response_rows(body: &TraceResponse) -> Rows {
    let mut rows = Rows::new();
    let mut put = |name, value: Option<String>| rows.extend(value.map(|value| (name, value)));
    put("on record", body.matched_item.as_ref().map(ToString::to_string));
    put("match", body.matched_item.as_ref().map(|_| coded(&body.match_level)));
    put("chosen", body.chosen_because.as_ref().map(ToString::to_string));
    for event in &body.events {
        put("history", Some(happened(event)));
    }
    put(
        "last record",
        body.last_legal_record.as_ref().map(|record| {
            let since = record.date.map(|date| format!(" since {date}")).unwrap_or_default();
            let number =
                record.reference.as_ref().map(|number| format!(", record {number}")).unwrap_or_default();
            let holder = match coded(&record.holder).as_str() {
                "unknown" => String::new(),
                holder => format!(", holder: {holder}"),
            };
            format!("{}{since}{holder}{number}", coded(&record.status))
        }),
    );
    put("diverted", body.point_of_diversion.as_ref().map(diverted));
    put("ask next", body.next_hop.as_ref().map(ask_next));
    put("turn to", body.authority.as_ref().map(ToString::to_string));
    put("because", body.reason.as_ref().map(ToString::to_string));
    put("note", body.note.as_ref().map(ToString::to_string));
    if !body.registers_searched.is_empty() {
        let names: Vec<_> = body.registers_searched.iter().map(ToString::to_string).collect();
        put("searched", Some(format!("{} on {}", names.join(", "), body.search_date)));
    }
    rows
}

/// Whom to ask next, and why.
pub(super) fn ask_next(next: &NextHop) -> String {
    let authority = next.authority.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    let licence = next.licence_no.as_ref().map(|no| format!(", under licence {no}")).unwrap_or_default();
    format!("{}{authority}: {}{licence}", next.state, next.why)
}

/// An event of an item's history.
pub(super) fn happened(event: &ItemEvent) -> String {
    let date = event.date.map_or_else(|| "day unknown".to_owned(), |date| date.to_string());
    let mut text = format!("{date}  {}", coded(&event.event));
    for (word, name) in [("from", &event.from), ("to", &event.to)] {
        text += &name.as_ref().map(|name| format!(" {word} {name}")).unwrap_or_default();
    }
    text + &event.licence_no.as_ref().map(|no| format!(", licence {no}")).unwrap_or_default()
}

/// Where an item left the licit circuit.
pub(super) fn diverted(diversion: &Diversion) -> String {
    let date = diversion.date.map(|date| format!(", {date}")).unwrap_or_default();
    format!("{}{date}: {}", diversion.state, diversion.circumstances)
}

fn outcome_rows(body: &TraceOutcome) -> Rows {
    let mut rows = Rows::new();
    rows.extend(body.point_of_diversion.as_ref().map(|diversion| ("diverted", diverted(diversion))));
    rows.push(("the answer", if body.useful { "helped" } else { "did not help" }.to_owned()));
    rows.extend(body.note.as_ref().map(|note| ("note", note.to_string())));
    rows
}

fn decision(body: &TransitDecision) -> String {
    let days = match (body.valid_from, body.valid_to) {
        (Some(first), Some(last)) => format!(", from {first} to {last}"),
        _ => String::new(),
    };
    format!("{}{days}", coded(&body.decision))
}

fn decision_rows(body: &TransitDecision) -> Rows {
    let mut rows: Rows =
        body.conditions.iter().map(|condition| ("condition", condition.to_string())).collect();
    rows.extend(body.reason.as_ref().map(|reason| ("because", reason.to_string())));
    rows
}

/// A licence as it was presented.
pub(super) fn presented(document: &Presented) -> Rows {
    let mut rows = vec![("number", document.licence_no.to_string())];
    let mut put = |name, value: Option<String>| rows.extend(value.map(|value| (name, value)));
    put("kind", document.licence_kind.as_ref().map(code));
    put("version", document.version.map(|version| version.to_string()));
    put("issued by", document.issuing_authority.as_ref().map(ToString::to_string));
    put("issued at", document.place_of_issue.as_ref().map(ToString::to_string));
    put("issued on", document.issue_date.map(|date| date.to_string()));
    put("last day", document.expiry_date.map(|date| date.to_string()));
    put("from", document.country_export.as_ref().map(ToString::to_string));
    put("to", document.country_import.as_ref().map(ToString::to_string));
    put("recipient", document.final_recipient.as_ref().map(ToString::to_string));
    for line in &document.lines {
        put("goods", Some(goods(line)));
    }
    rows
}

fn goods(line: &GoodsLine) -> String {
    format!("{}. {} {}: {}", line.line, line.quantity, line.unit, line.description)
}

/// A trace request.
pub(super) fn request(body: &TraceRequest) -> Rows {
    let mut rows = vec![("item", body.item.title())];
    let mut put = |name, value: Option<String>| rows.extend(value.map(|value| (name, value)));
    if let Item::Firearm(firearm) = &body.item {
        put("made in", firearm.country().map(str::to_owned));
    }
    for mark in body.item.marks() {
        put("mark", Some(seen(mark)));
    }
    put("identified by", Some(coded(&body.identification)));
    let recovery = &body.recovery;
    put("recovered", Some(format!("{}, {}: {}", recovery.date, recovery.place, coded(&recovery.mode))));
    put("circumstances", Some(recovery.circumstances.to_string()));
    put("may be illicit", Some(format!("{}. {}", list(&body.illicit_basis), body.legal_justification)));
    put("offences", Some(list(&body.suspected_offences)));
    put("context", (!body.criminal_context.is_empty()).then(|| list(&body.criminal_context)));
    put("asked", Some(list(&body.questions)));
    put("for use as", Some(coded(&body.intended_use)));
    if body.urgency != Urgency::Routine {
        let why = body.urgency_reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        put("urgency", Some(format!("{}{why}", coded(&body.urgency))));
    }
    put(
        "hoped for by",
        body.respond_by.map(|date| {
            let why = body.respond_by_reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            format!("{date}{why}")
        }),
    );
    put("do not contact", (!body.do_not_contact.is_empty()).then(|| list(&body.do_not_contact)));
    let search = &body.national_search;
    let registers: Vec<_> = search.registers.iter().map(ToString::to_string).collect();
    put("own records", Some(format!("{} on {}: {}", registers.join(", "), search.date, search.result)));
    for reference in body.other_searches.iter().chain(&body.ballistic_refs) {
        put("references", Some(reference.to_string()));
    }
    put("licence", body.linked_licence.as_ref().map(ToString::to_string));
    put("no photograph", body.no_photo_reason.as_ref().map(ToString::to_string));
    let before = body.previous_hop.as_ref().map(|before| format!(", after {} named us", before.state));
    put("case", Some(format!("{}, hop {}{}", body.trace_case, body.hop, before.unwrap_or_default())));
    rows
}

/// A mark as it was seen.
fn seen(mark: &Mark) -> String {
    let mut text = format!("{}: {}", coded(&mark.kind), mark.raw.as_ref().map_or("-", |raw| raw.as_str()));
    if let Some(script) =
        mark.script().filter(|_| mark.raw.as_ref().is_some_and(|raw| !raw.as_str().is_ascii()))
    {
        text += &format!(" ({} letters)", script.name());
    }
    if mark.state != Coded::Known(MarkState::Intact) {
        text += &format!(", {}", coded(&mark.state));
    }
    text += &mark.location.as_ref().map(|place| format!(", on the {}", coded(place))).unwrap_or_default();
    let country = mark.decoded.as_ref().and_then(|decoded| decoded.country.as_ref());
    text + &country.map(|country| format!(", means {country}")).unwrap_or_default()
}

/// A transit notification.
pub(super) fn notification(body: &TransitNotification) -> Rows {
    let route: Vec<_> = body.countries_transit.iter().map(ToString::to_string).collect();
    let ends = body.import_licences.first().map(|licence| (&licence.country_export, &licence.country_import));
    let (from, to) = ends.unwrap_or((&None, &None));
    let route = [from.as_ref().map(ToString::to_string)]
        .into_iter()
        .flatten()
        .chain(route)
        .chain(to.as_ref().map(ToString::to_string));
    let mut rows = vec![
        ("export file", body.export_file.to_string()),
        ("route", route.collect::<Vec<_>>().join(" > ")),
        (
            "passes",
            format!(
                "by {}, in at {}, out at {}{}",
                coded(&body.mode),
                body.entry_point,
                body.exit_point,
                if body.transhipment { ", with transhipment" } else { ", without transhipment" }
            ),
        ),
        ("between", format!("{} and {}", body.window_from, body.window_to)),
    ];
    rows.extend(body.exporter.as_ref().map(|name| ("exporter", name.to_string())));
    rows.extend(body.carrier.as_ref().map(|name| ("carrier", name.to_string())));
    rows.extend(body.respond_by.map(|date| ("hoped for by", date.to_string())));
    rows
}

//! `liaison trace`: where did this item go? Asked, answered, asked back, concluded.

use jiff::civil::Date;
use liaison_protocol::authority::{Prose, StateCode};
use liaison_protocol::case::first_hops;
use liaison_protocol::handling::Coded;
use liaison_protocol::item::{Calibre, Item, Make};
use liaison_protocol::mark::{Mark, MarkKind, MarkState};
use liaison_protocol::message::{Kind, Outcome};
use liaison_protocol::operator::{Act, ExchangeView, Opening, Question};
use liaison_protocol::serial;
use liaison_protocol::trace::{
    Diversion, IdentificationConfidence, MatchLevel, ResultCode, TraceOutcome, TraceRequest, TraceResponse,
};
use serde_json::{Map, Value, json};

use super::enclosed::ToEnclose;
use super::exchange::{act_with, open, show};
use super::files::{has, put, put_all, put_some, read_as, read_object, typed, with_options};
use super::{Error, Reply};
use crate::args::{
    ConclusionArgs, ItemArgs, ItemSort, NationalSearchArgs, RecoveryArgs, RequestArgs, ResponseArgs, Supply,
    TraceCommand, TraceQuestion,
};
use crate::client::Client;
use crate::render;

pub(super) fn run(client: &Client, command: TraceCommand) -> Result<Reply, Error> {
    match command {
        TraceCommand::Answer { id, response, enclosed, acting } => {
            let enclosed = ToEnclose::read(&enclosed)?;
            let response = response_of(*response, &asked(client, &id)?, render::today())?;
            let act = Act::Answer { outcome: Outcome::Trace(response), note: None };
            act_with(client, &id, act, enclosed.put(client)?, acting)
        }
        TraceCommand::AskClarification { id, question, acting } => {
            act_with(client, &id, Act::AskClarification { question }, Default::default(), acting)
        }
        TraceCommand::AskInformation { id, questions, acting } => {
            act_with(client, &id, Act::AskInformation { questions }, Default::default(), acting)
        }
        TraceCommand::Clarify { id, answer, acting } => {
            act_with(client, &id, Act::Clarify { answer }, Default::default(), acting)
        }
        TraceCommand::Conclude { id, outcome, acting } => {
            act_with(client, &id, Act::Conclude { outcome: conclusion(outcome) }, Default::default(), acting)
        }
        TraceCommand::Correct { id, response, because, acting } => {
            let response = response_of(*response, &asked(client, &id)?, render::today())?;
            let act = Act::Correct { outcome: Outcome::Trace(response), reason: because };
            act_with(client, &id, act, Default::default(), acting)
        }
        TraceCommand::Request(question) => request(client, *question),
        TraceCommand::Supply(told) => supply(client, told),
        // Without a node: `run` in the module above sees to it.
        TraceCommand::Template { kind } => Ok(template(kind)),
    }
}

/// A request to be filled in.
pub(super) fn template(kind: ItemSort) -> Reply {
    let text = match kind {
        ItemSort::Ammunition => include_str!("../../templates/trace-ammunition.toml"),
        ItemSort::Firearm => include_str!("../../templates/trace-firearm.toml"),
        ItemSort::Part => include_str!("../../templates/trace-part.toml"),
    };
    Reply::new(text.to_owned(), json!({ "template": text }))
}

/// Tell what was asked for, in a trace or in a transit.
pub(super) fn supply(client: &Client, told: Supply) -> Result<Reply, Error> {
    let Supply { id, answers, item, enclosed, acting } = told;
    let enclosed = ToEnclose::read(&enclosed)?;
    let item = item.map(|path| read_as::<Item>(&path, "item")).transpose()?;
    act_with(client, &id, Act::SupplyInformation { answers, item }, enclosed.put(client)?, acting)
}

/// What was concluded, as it is typed.
pub(super) fn conclusion(typed: ConclusionArgs) -> TraceOutcome {
    let ConclusionArgs { conclusion, not_useful, diverted_in, diverted_on, circumstances, note } = typed;
    let diversion = diverted_in.zip(circumstances);
    TraceOutcome {
        conclusion: Coded::Known(conclusion),
        useful: !not_useful,
        point_of_diversion: diversion.map(|(state, circumstances)| Diversion {
            state,
            date: diverted_on,
            circumstances,
        }),
        note,
    }
}

fn asked(client: &Client, id: &str) -> Result<ExchangeView, Error> {
    let view = show(client, id)?.view;
    match view.summary.kind {
        Kind::TraceRequest => Ok(view),
        kind => Err(Error::Unusable(format!("{id} is a {kind} and no trace: use the command for that"))),
    }
}

fn request(client: &Client, question: TraceQuestion) -> Result<Reply, Error> {
    let TraceQuestion { peer, from, anyway, acting, request, item, recovery, searched, enclosed, no_photo } =
        question;
    let enclosed = ToEnclose::read(&enclosed)?;
    let mut object = from.as_deref().map(read_object).transpose()?.unwrap_or_default();
    put_request(&mut object, request);
    put_item(&mut object, item)?;
    put_recovery(&mut object, recovery);
    put_search(&mut object, searched)?;
    put_some(&mut object, "no_photo_reason", no_photo);
    let request = complete(object, enclosed.photos())?;
    let doubts = doubts(&request.item);
    if !doubts.is_empty() && !anyway {
        let list: Vec<_> = doubts.iter().map(|doubt| format!("\n  {doubt}")).collect();
        return Err(Error::Unusable(format!(
            "look at this again before it is sent:{}\nIf it is so, send it with --anyway",
            list.concat()
        )));
    }
    let aside = [doubts, other_first_hops(&request.item, &peer.0)].concat();
    let case = request.trace_case.clone();
    let enclosed = enclosed.put(client)?;
    let opening = Opening {
        question: Question::Trace { request, looked_again: anyway },
        case_ref: Some(case.clone()),
        handling: None,
        enclosed,
    };
    let mut reply = open(client, peer, opening, acting)?;
    let before = aside.iter().map(|line| format!("{line}\n")).collect::<String>();
    let look = reply.aside.unwrap_or_default();
    reply.aside =
        Some(format!("{before}{look}\nThe case: liaison case show {}", render::quoted(case.as_str())));
    Ok(reply)
}

fn put_request(object: &mut Map<String, Value>, typed: RequestArgs) {
    let questions = typed.questions;
    put_some(object, "trace_case", typed.case);
    put_all(object, "illicit_basis", &typed.basis);
    put_some(object, "legal_justification", typed.why);
    put_all(object, "suspected_offences", &typed.offence);
    put_all(object, "criminal_context", &typed.context);
    put_all(object, "questions", &questions);
    put_some(object, "intended_use", typed.intended_use);
    put_some(object, "urgency", typed.urgency);
    put_some(object, "urgency_reason", typed.urgency_reason);
    put_some(object, "respond_by", typed.respond_by);
    put_some(object, "respond_by_reason", typed.respond_by_reason);
    put_all(object, "do_not_contact", &typed.do_not_contact);
    put_some(object, "linked_licence", typed.linked_licence);
    // What a first request is, unless it says otherwise.
    for (name, usual) in [("hop", json!(1)), ("urgency", json!("ROUTINE"))] {
        if !has(object, name) {
            put(object, name, usual);
        }
    }
}

fn put_item(object: &mut Map<String, Value>, args: ItemArgs) -> Result<(), Error> {
    let said = args.identification.map(IdentificationConfidence::as_str);
    if said.is_some() || !has(object, "identification") {
        put(object, "identification", said.unwrap_or(IdentificationConfidence::Untrained.as_str()));
    }
    let is_typed = args.kind.is_some()
        || args.action.is_some()
        || args.make.is_some()
        || args.model.is_some()
        || !args.calibres.is_empty()
        || args.country.is_some()
        || args.serial.is_some()
        || !args.marks.is_empty();
    if !is_typed {
        return Ok(());
    }
    let sort = object.get("item").and_then(|item| item.get("item")).and_then(Value::as_str);
    if let Some(other) = sort.filter(|sort| *sort != "firearm") {
        return Err(Error::Unusable(format!(
            "the file describes a `{other}`: the options of the item are for firearms; write it into the file"
        )));
    }
    put(object, "item.item", "firearm");
    put_some(object, "item.type", args.kind);
    put_some(object, "item.action", args.action);
    for unknown in ["action", "provenance"] {
        let path = format!("item.{unknown}");
        if !has(object, &path) {
            put(object, &path, "UNKNOWN");
        }
    }
    put_some(object, "item.make", args.make.map(|name| Make { normalised: Some(name), ..Make::default() }));
    put_some(object, "item.model", args.model);
    let calibres: Vec<_> = args.calibres.into_iter().map(Calibre::marked).collect();
    put_all(object, "item.calibres", &calibres);
    put_some(object, "item.country_of_manufacture", args.country);
    let serial = args.serial.map(|raw| {
        let state = if raw.is_partial() { MarkState::PartlyLegible } else { MarkState::Intact };
        let mut mark = Mark::seen(MarkKind::Serial, raw);
        mark.state = args.serial_state.unwrap_or(state).into();
        mark.location = args.serial_place.map(Coded::Known);
        mark
    });
    let marks: Vec<_> = serial.into_iter().chain(args.marks).collect();
    put_all(object, "item.marks", &marks);
    Ok(())
}

fn put_recovery(object: &mut Map<String, Value>, typed: RecoveryArgs) {
    put_some(object, "recovery.date", typed.recovered);
    put_some(object, "recovery.place", typed.place);
    put_some(object, "recovery.mode", typed.mode);
    put_some(object, "recovery.circumstances", typed.circumstances);
}

fn put_search(object: &mut Map<String, Value>, typed: NationalSearchArgs) -> Result<(), Error> {
    let searched = typed.registers_searched;
    if searched.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = searched.iter().map(|(name, _)| name).collect();
    let results: Vec<_> = match searched.as_slice() {
        [(_, result)] => vec![result.to_string()],
        several => several.iter().map(|(name, result)| format!("{name}: {result}")).collect(),
    };
    let result: Prose = results.join("\n").parse().map_err(|_| {
        Error::Unusable("what the registers had is too long: 4,000 characters at most".into())
    })?;
    put_all(object, "national_search.registers", &names);
    put(object, "national_search.result", result);
    put(object, "national_search.date", typed.searched_on.unwrap_or_else(render::today));
    Ok(())
}

/// The request, if it has all that a request must have; otherwise everything that is missing, with its option.
fn complete(object: Map<String, Value>, photos: usize) -> Result<TraceRequest, Error> {
    let lacking =
        |list: String| Error::Unusable(format!("a trace request lacks [R-12.4, Art. 12(4), ITI 18]:{list}"));
    let missing: Vec<_> =
        NEEDED.iter().map(|(field, _)| *field).filter(|field| !has(&object, field)).collect();
    let photo = has(&object, "no_photo_reason") || photos > 0;
    let missing: Vec<_> = missing.into_iter().chain((!photo).then_some("no_photo_reason")).collect();
    if !missing.is_empty() {
        return Err(lacking(with_options(&missing, &OPTIONS.concat())));
    }
    let request: TraceRequest = typed(Value::Object(object), "this is no trace request")?;
    match request.missing(photos).as_slice() {
        [] => {}
        missing => return Err(lacking(with_options(missing, &OPTIONS.concat()))),
    }
    let unknown = unknown_codes(&request);
    if !unknown.is_empty() {
        return Err(Error::Unusable(format!(
            "not in our code lists: {}. No other State could act on that",
            unknown.join(", ")
        )));
    }
    Ok(request)
}

/// Codes that nobody knows. They may come from other States; from us, they are slips.
fn unknown_codes(request: &TraceRequest) -> Vec<String> {
    fn of<'a, T: 'a>(name: &str, codes: impl IntoIterator<Item = &'a Coded<T>>) -> Vec<String> {
        let unknown = codes.into_iter().filter_map(|code| match code {
            Coded::Known(_) => None,
            Coded::Unknown(code) => Some(format!("{name} {code}")),
        });
        unknown.collect()
    }
    let mut found = [
        of("illicit_basis", &request.illicit_basis),
        of("suspected_offences", &request.suspected_offences),
        of("recovery.mode", [&request.recovery.mode]),
        of("criminal_context", &request.criminal_context),
        of("identification", [&request.identification]),
        of("questions", &request.questions),
        of("intended_use", [&request.intended_use]),
        of("do_not_contact", &request.do_not_contact),
    ]
    .concat();
    if !request.item.codes_are_known() {
        let codes = request.item.marks().iter();
        let marks = codes.flat_map(|mark| {
            [of("item.marks.kind", [&mark.kind]), of("item.marks.state", [&mark.state])].concat()
        });
        found.extend(marks);
        if found.is_empty() {
            found.push("a code of the item".to_owned());
        }
    }
    found
}

/// What an officer should look at again before the request is sent.
fn doubts(item: &Item) -> Vec<String> {
    let mut doubts: Vec<_> = item.contradictions().iter().map(ToString::to_string).collect();
    let serials = item.serials();
    for serial in &serials {
        let warnings = serial::warnings(serial.as_str(), item);
        doubts.extend(warnings.iter().map(|warning| match warning {
            serial::Warning::BerettaOrTaurus => warning.to_string(),
            _ => format!("serial number {serial}: {warning}"),
        }));
    }
    doubts.dedup();
    doubts
}

/// The States to ask before this one, from the marks: the latest licit movement first (ISACS 05.31).
fn other_first_hops(item: &Item, peer: &str) -> Vec<String> {
    let Ok(peer) = peer.parse::<StateCode>() else { return Vec::new() };
    let hops = first_hops(item).into_iter().take_while(|(state, _)| *state != peer);
    hops.take(1).map(|(state, why)| format!("{state} might be asked first: {why}")).collect()
}

/// What is answered, as it is typed.
fn response_of(args: ResponseArgs, exchange: &ExchangeView, today: Date) -> Result<TraceResponse, Error> {
    let base = match (&args.candidate, &args.from, args.result) {
        (Some(record), _, _) => json!(candidate(exchange, record.as_str())?),
        (None, Some(file), _) => Value::Object(read_object(file)?),
        (None, None, code) => json!(TraceResponse::of(code.unwrap_or(ResultCode::NoRecord), today)),
    };
    let Value::Object(mut object) = base else { unreachable!("a response is written as an object") };
    if args.interim {
        put(&mut object, "interim", true);
    }
    put_all(&mut object, "grounds", &args.grounds);
    put_some(&mut object, "reason", args.reason);
    put_some(&mut object, "until", args.until);
    put_some(&mut object, "next_hop.state", args.next_hop);
    put_some(&mut object, "next_hop.why", args.next_why);
    put_some(&mut object, "next_hop.licence_no", args.next_licence);
    put_some(&mut object, "candidates", args.candidates);
    put_some(&mut object, "duplicate_of", args.duplicate_of);
    put_some(&mut object, "authority", args.authority);
    put_all(&mut object, "registers_searched", &args.registers);
    put_some(&mut object, "search_date", args.searched_on);
    put_some(&mut object, "match_level", args.match_level);
    put_some(&mut object, "chosen_because", args.chosen_because);
    put_some(&mut object, "note", args.note);
    if has(&object, "next_hop") && !has(&object, "next_hop.why") {
        return Err(Error::Unusable("the answer lacks:\n  next_hop.why: why there (--next-why)".to_owned()));
    }
    for (name, usual) in [("registers_searched", json!([])), ("search_date", json!(today))] {
        if !object.contains_key(name) {
            put(&mut object, name, usual);
        }
    }
    let response: TraceResponse = typed(Value::Object(object), "this is no answer to a trace request")?;
    let mut missing = response.missing();
    if response.result_code.known().is_some_and(|code| code.is_on_record())
        && response.match_level.is(MatchLevel::None)
    {
        // Where nothing matches, the other State can establish nothing from it.
        missing.push(
            "match_level: how well the item on record agrees; without a match the answer establishes nothing",
        );
    }
    match missing.as_slice() {
        [] => {}
        missing => {
            let list = with_options(missing, ANSWER_OPTIONS);
            return Err(Error::Unusable(format!("the answer lacks:{list}")));
        }
    }
    if let Coded::Unknown(code) = &response.result_code {
        return Err(Error::Unusable(format!("result_code {code} is not in our code list")));
    }
    Ok(response)
}

fn candidate(exchange: &ExchangeView, record: &str) -> Result<TraceResponse, Error> {
    let found = exchange.candidates.iter().find(|candidate| candidate.record.as_str() == record);
    found.map(|candidate| candidate.response.clone()).ok_or_else(|| {
        let records: Vec<_> =
            exchange.candidates.iter().map(|candidate| candidate.record.to_string()).collect();
        Error::No(match records.as_slice() {
            [] => {
                "our register has no candidate for this item: answer with --result, such as NO_RECORD".into()
            }
            records => format!("{record} is none of the candidates: {}", records.join(", ")),
        })
    })
}

/// What must be there before the rest can be looked at, and what sets it.
const NEEDED: &[(&str, &str)] = &[
    ("trace_case", "--case"),
    ("illicit_basis", "--basis; SUSPECTED is enough"),
    ("legal_justification", "--why"),
    ("suspected_offences", "--offence; UNKNOWN is enough"),
    ("recovery.date", "--recovered"),
    ("recovery.place", "--place"),
    ("recovery.mode", "--mode"),
    ("recovery.circumstances", "--circumstances"),
    ("item", "--type, --serial, ...; parts and ammunition with --from"),
    ("national_search.registers", "--registers-searched"),
    ("questions", "--question"),
    ("intended_use", "--use"),
];
/// What else may be missing, and what sets it.
const OPTIONS: [&[(&str, &str)]; 2] = [
    NEEDED,
    &[
        ("no_photo_reason", "--photo, or --no-photo with a reason"),
        ("urgency_reason", "--urgency-reason"),
        ("respond_by_reason", "--respond-by-reason"),
        ("item.marks", "--serial, --mark or --photo"),
    ],
];
/// What may be missing in an answer, and what sets it.
const ANSWER_OPTIONS: &[(&str, &str)] = &[
    ("grounds", "--ground"),
    ("reason", "--reason"),
    ("until", "--until"),
    ("next_hop", "--next-hop, --next-why"),
    ("authority", "--authority"),
    ("registers_searched", "--registers"),
    ("match_level", "--match"),
    ("chosen_because", "--chosen-because"),
];

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};
    use crate::client::tests::{node, plain};
    use crate::render::tests::{trace_request, trace_view};

    const ASKED: &str = "trace request --peer CZE --case L-42 --type pistol --make CZ --calibre 9x19 --country CZE \
        --serial B7?42 --recovered 2026-10-02 --place Callao --mode SEIZED_CRIMINAL --circumstances car --basis \
        SUSPECTED --offence UNKNOWN --why law --question LAST_LEGAL_HOLDER --use investigation \
        --registers-searched register:nothing --searched-on 2026-10-03 --no-photo laboratory --key k";

    fn command(line: &str) -> TraceCommand {
        let words = std::iter::once("liaison").chain(line.split_whitespace());
        match Args::try_parse_from(words).expect(line).command {
            Command::Trace(command) => command,
            other => panic!("{other:?}"),
        }
    }

    fn refused(line: &str) -> String {
        let error = run(&plain("http://127.0.0.1:1"), command(line)).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{error}");
        error.to_string()
    }

    #[test]
    fn a_simple_pistol_needs_no_file() {
        let (client, node) = node(vec![("201 Created", json!(trace_view()).to_string())]);
        let reply = run(&client, command(ASKED)).expect("the node takes it");
        assert!(reply.aside.expect("a hint").ends_with("The case: liaison case show L-42"));
        let asked = &node.join().expect("the node ends")[0];
        let (_, body) = asked.split_once("\r\n\r\n").expect("a body");
        let body: Value = serde_json::from_str(body).expect("JSON");
        assert_eq!((&body["peer"], &body["opening"]["question"]), (&json!("CZE"), &json!("trace")));
        assert_eq!(body["opening"]["case_ref"], "L-42");
        let request = &body["opening"]["request"];
        assert_eq!((&request["hop"], &request["urgency"]), (&json!(1), &json!("ROUTINE")));
        assert_eq!(request["identification"], "UNTRAINED");
        assert_eq!(
            request["item"]["marks"],
            json!([{ "kind": "SERIAL", "raw": "B7?42", "state": "PARTLY_LEGIBLE" }])
        );
        assert_eq!(
            request["national_search"],
            json!({ "registers": ["register"], "date": "2026-10-03", "result": "nothing" })
        );
    }

    #[test]
    fn r_12_4_everything_that_a_request_lacks_is_told_with_its_option_before_anything_is_sent() {
        let why = refused("trace request --peer CZE --type pistol --serial B7142");
        assert!(
            why.starts_with("a trace request lacks [R-12.4, Art. 12(4), ITI 18]:\n  trace_case (--case)\n")
        );
        for (_, option) in NEEDED.iter().filter(|(field, _)| *field != "item") {
            assert!(why.contains(option), "{option}: {why}");
        }
        assert!(why.contains("no_photo_reason (--photo, or --no-photo with a reason)"), "{why}");
        let urgent = refused(&format!("{ASKED} --urgency urgent"));
        assert!(urgent.contains("urgency_reason: why it is not routine (--urgency-reason)"), "{urgent}");
    }

    #[test]
    fn what_is_no_serial_number_is_looked_at_again_unless_an_officer_says_so() {
        let line = ASKED.replace("B7?42", "9x19");
        let why = refused(&line);
        assert!(why.contains("\n  serial number 9x19: looks like a calibre"), "{why}");
        assert!(why.ends_with("send it with --anyway"), "{why}");
        let (client, node) = node(vec![("201 Created", json!(trace_view()).to_string())]);
        let reply = run(&client, command(&format!("{line} --anyway"))).expect("it is sent");
        assert!(reply.aside.expect("a hint").starts_with("serial number 9x19: looks like a calibre"));
        node.join().expect("the node ends");
        // A contradiction in the description is a doubt too.
        assert!(
            refused(&format!("{ASKED} --serial-state INTACT")).contains("mark 1: what was read, its state")
        );
    }

    #[test]
    fn the_marks_say_who_might_be_asked_first() {
        let mut item = trace_request().item;
        assert_eq!(other_first_hops(&item, "KEN"), ["CZE might be asked first: it was made there"]);
        assert!(
            other_first_hops(&item, "CZE").is_empty()
                && other_first_hops(&item, "a.example/liaison").is_empty()
        );
        if let Item::Firearm(firearm) = &mut item {
            firearm.country_of_manufacture = None;
        }
        assert!(other_first_hops(&item, "KEN").is_empty());
    }

    #[test]
    fn the_templates_are_requests_and_every_field_in_them_means_something() {
        for kind in [ItemSort::Ammunition, ItemSort::Firearm, ItemSort::Part] {
            let text = template(kind).text;
            assert!(text.lines().all(|line| line.chars().count() <= 120), "{kind:?}");
            // As it stands, and with everything that is optional.
            let all: Vec<_> = text.lines().map(optional).collect();
            for text in [text.clone(), all.join("\n")] {
                let folder = tempfile::tempdir().expect("a folder");
                let file = folder.path().join("request.toml");
                std::fs::write(&file, &text).expect("a file");
                let request =
                    complete(read_object(&file).expect("TOML"), 1).map_err(|error| error.to_string());
                let request = request.unwrap_or_else(|error| panic!("{kind:?}: {error}\n{text}"));
                if !text.contains("\nno_marks_visible") {
                    assert!(doubts(&request.item).is_empty(), "{:?}", doubts(&request.item));
                }
            }
        }
    }

    /// A line that is optional, as if it were wanted.
    fn optional(line: &str) -> &str {
        let text = line.strip_prefix("# ").unwrap_or(line);
        let is_field = text.split_once(" = ").is_some_and(|(name, _)| !name.contains([' ', ':']));
        if is_field || text.starts_with("[[") { text } else { line }
    }

    #[test]
    fn a_file_and_what_is_typed_make_one_request_and_typing_goes_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("request.toml");
        std::fs::write(&file, template(ItemSort::Firearm).text).expect("a file");
        let mut object = read_object(&file).expect("TOML");
        let typed = RequestArgs { case: "OTHER-1".parse().ok(), ..Default::default() };
        put_request(&mut object, typed);
        put_item(&mut object, ItemArgs { model: "85".parse().ok(), ..Default::default() })
            .expect("a firearm");
        let request = complete(object.clone(), 1).expect("whole");
        assert_eq!(request.trace_case.as_str(), "OTHER-1");
        assert_eq!(request.item.title(), "pistol Ceska zbrojovka 85, 9x19, no. B7?42");
        assert_eq!(request.identification.to_string(), "TRAINED_OFFICER");
        object.insert("offences".into(), json!(["UNKNOWN"]));
        let why = complete(object.clone(), 1).expect_err("a slip").to_string();
        assert!(why.contains("unknown field `offences`"), "{why}");
        object.remove("offences");
        put(&mut object, "recovery.mode", "SIEZED");
        let why = complete(object, 1).expect_err("a slip").to_string();
        assert!(why.starts_with("not in our code lists: recovery.mode SIEZED"), "{why}");
    }

    fn answer(line: &str) -> Result<TraceResponse, String> {
        let TraceCommand::Answer { response, .. } = command(&format!("trace answer abcdef {line}")) else {
            panic!("{line}");
        };
        response_of(*response, &trace_view(), jiff::civil::date(2026, 11, 24))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn an_answer_is_a_candidate_of_our_register_with_what_the_officer_adds() {
        let response = answer("--candidate CZ-1 --chosen-because etched --note late").expect("whole");
        assert_eq!(response.to_string(), "EXPORTED_TO KEN");
        assert_eq!(response.chosen_because.map(String::from).as_deref(), Some("etched"));
        assert_eq!(response.note.map(String::from).as_deref(), Some("late"));
        assert_eq!(answer("--candidate CZ-9"), Err("CZ-9 is none of the candidates: CZ-1".into()));
    }

    #[test]
    fn r_iti_22_an_answer_that_withholds_says_why() {
        let why = answer("--result REFUSED").expect_err("no ground");
        assert!(why.contains("[R-ITI-22, ITI 22] (--ground)") && why.contains("(--reason)"), "{why}");
        let line = "--result delayed --ground ongoing_investigation --reason court --until 2027-01-15";
        let response = answer(line).expect("whole");
        assert_eq!(response.to_string(), "DELAYED until 2027-01-15 (ONGOING_INVESTIGATION)");
        assert!(answer("--result NO_RECORD").expect_err("where?").contains("(--registers)"));
        let why = answer("--result STOLEN --registers arms").expect_err("of which record?");
        assert!(why.contains("match_level: how well") && why.contains("(--match)"), "{why}");
        let line = "--result MULTIPLE_CANDIDATES --candidates 3 --registers arms --match PARTIAL";
        assert_eq!(answer(line).expect("whole").candidates, Some(3));
        let none = answer("--result NO_RECORD --registers arms").expect("whole");
        assert_eq!(none.search_date.to_string(), "2026-11-24");
        assert!(
            answer("--result EXPORTED_TO --match EXACT --registers arms")
                .expect_err("whither?")
                .contains("--next-hop")
        );
        assert!(
            answer("--result EXPORTED_TO --match EXACT --registers arms --next-hop KEN")
                .expect_err("why?")
                .contains("--next-why")
        );
        let next = answer(
            "--result EXPORTED_TO --match EXACT --registers arms --next-hop KEN --next-why sold --interim",
        );
        assert_eq!(next.expect("whole").to_string(), "interim: EXPORTED_TO KEN");
    }
}

//! `liaison transit`: is there an objection to the passing of this shipment? Silence never clears it.

use std::collections::BTreeSet;

use jiff::civil::Date;
use liaison_protocol::handling::Coded;
use liaison_protocol::licence::{Answer, LicenceNo, Presented};
use liaison_protocol::message::{Body, Kind, Outcome};
use liaison_protocol::operator::{
    Act, ExchangePage, ExchangeSummary, ExchangeView, Opening, PeerView, Question, Side, State,
};
use liaison_protocol::transit::{DecisionCode, TransitDecision, TransitNotification};
use serde_json::{Map, Value, json};

use super::enclosed::ToEnclose;
use super::exchange::{act_with, open, show};
use super::files::{has, put, put_all, put_some, read_object, typed, with_options};
use super::licence::stands;
use super::trace::supply;
use super::{Error, Reply};
use crate::args::{DecisionArgs, EnclosedArgs, NotificationArgs, TransitCommand, TransitQuestion};
use crate::client::Client;
use crate::render;

pub(super) fn run(client: &Client, command: TransitCommand) -> Result<Reply, Error> {
    let act = |id: String, act, acting| act_with(client, &id, act, Default::default(), acting);
    match command {
        TransitCommand::AcceptConditions { id, note, acting } => {
            act(id, Act::ReplyToConditions { accepted: true, note }, acting)
        }
        TransitCommand::Check { exchanges, on } => {
            check(client, &exchanges, on.unwrap_or_else(render::today))
        }
        TransitCommand::Decide { id, decision, acting } => {
            let outcome = Outcome::Transit(decision_of(decision)?);
            act(id, Act::Answer { outcome, note: None }, acting)
        }
        TransitCommand::Notify(question) => notify(client, *question),
        TransitCommand::RefuseConditions { id, note, acting } => {
            act(id, Act::ReplyToConditions { accepted: false, note }, acting)
        }
        TransitCommand::Rescind { id, reason, acting } => act(id, Act::Rescind { reason }, acting),
        TransitCommand::Supply(told) => supply(client, told),
        // Without a node: `run` in the module above sees to it.
        TransitCommand::Template => Ok(template()),
    }
}

/// A notification to be filled in.
pub(super) fn template() -> Reply {
    let text = include_str!("../../templates/transit.toml");
    Reply::new(text.to_owned(), json!({ "template": text }))
}

fn notify(client: &Client, question: TransitQuestion) -> Result<Reply, Error> {
    let TransitQuestion { peer, file, anyway, notification, documents, case, acting } = question;
    let enclosed = ToEnclose::read(&EnclosedArgs { documents, ..Default::default() })?;
    let mut object = file.as_deref().map(read_object).transpose()?.unwrap_or_default();
    let (mut licences, mut doubts) = (Vec::new(), Vec::new());
    for id in &notification.licences_from {
        let (presented, doubt) = verified(&show(client, id)?.view)?;
        licences.push(presented);
        doubts.extend(doubt);
    }
    if !doubts.is_empty() && !anyway {
        return Err(Error::No(format!(
            "{}\nNo export licence may be issued on it (Art. 10(2)(a)). To notify all the same, add --anyway",
            doubts.join("\n")
        )));
    }
    put_all(&mut object, "import_licences", &licences);
    put_notification(&mut object, notification);
    let notification = complete(object)?;
    let case_ref = case.or_else(|| Some(notification.export_file.clone()));
    let enclosed = enclosed.put(client)?;
    let opening =
        Opening { question: Question::Transit { notification }, case_ref, handling: None, enclosed };
    let mut reply = open(client, peer, opening, acting)?;
    let look = reply.aside.unwrap_or_default();
    let before = doubts.iter().map(|doubt| format!("{doubt}\n")).collect::<String>();
    reply.aside =
        Some(format!("{before}{look}\nUntil that State has cleared it, the shipment may not leave"));
    Ok(reply)
}

/// The licence that was verified, and what is not as it should be.
fn verified(exchange: &ExchangeView) -> Result<(Presented, Option<String>), Error> {
    let number = &exchange.summary.subject;
    let opener = exchange.timeline.first();
    let opener = opener.and_then(|item| Body::read(item.kind.as_str(), item.body.clone()).ok());
    let (Some(Body::LicenceVerificationRequest(asked)), Side::Requesting) = (opener, exchange.summary.side)
    else {
        return Err(Error::Unusable(format!(
            "{} is no verification of ours: verify the import licence first, with `liaison licence verify`",
            exchange.summary.id
        )));
    };
    let doubt = match &exchange.result {
        Some(Outcome::Answer(Answer::Valid { .. })) if stands(exchange) => None,
        Some(Outcome::Answer(Answer::Valid { .. })) => {
            Some(format!("{number} was answered VALID, and a later notice says that it does not stand"))
        }
        Some(outcome) => Some(format!("{number} was answered {outcome}")),
        None => {
            Some(format!("{number} is not verified: it is {}", render::word(exchange.summary.state.as_str())))
        }
    };
    Ok((asked.presented, doubt))
}

fn put_notification(object: &mut Map<String, Value>, typed: NotificationArgs) {
    put_some(object, "export_file", typed.export_file);
    put_all(object, "countries_transit", &typed.through);
    put_some(object, "entry_point", typed.entry);
    put_some(object, "exit_point", typed.exit);
    put_some(object, "mode", typed.mode);
    put_some(object, "window_from", typed.from_date);
    put_some(object, "window_to", typed.to_date);
    put_some(object, "exporter", typed.exporter);
    put_some(object, "carrier", typed.carrier);
    put_some(object, "respond_by", typed.respond_by);
    if typed.transhipment || !object.contains_key("transhipment") {
        put(object, "transhipment", typed.transhipment);
    }
}

/// The notification, if it has all that it must have; otherwise everything that is missing, with its option.
fn complete(object: Map<String, Value>) -> Result<TransitNotification, Error> {
    let lacking = |list: String| Error::Unusable(format!("a transit notification lacks:{list}"));
    let missing: Vec<_> =
        NEEDED.iter().map(|(field, _)| *field).filter(|field| !has(&object, field)).collect();
    if !missing.is_empty() {
        return Err(lacking(with_options(&missing, NEEDED)));
    }
    let notification: TransitNotification = typed(Value::Object(object), "this is no transit notification")?;
    if let Coded::Unknown(mode) = &notification.mode {
        return Err(Error::Unusable(format!("mode {mode} is not in our code list")));
    }
    match notification.missing().as_slice() {
        [] => Ok(notification),
        missing => Err(lacking(format!(
            "{}\nWhat the verification did not present stands in no --licence-from: give the licence with --from",
            with_options(missing, NEEDED)
        ))),
    }
}

/// What is decided, as it is typed.
fn decision_of(args: DecisionArgs) -> Result<TransitDecision, Error> {
    let DecisionArgs {
        no_objection,
        conditions,
        objection,
        more_information,
        not_required,
        from,
        to,
        reason,
    } = args;
    let (code, reason) = match (more_information, not_required) {
        _ if no_objection => (DecisionCode::NoObjection, reason),
        _ if objection => (DecisionCode::Objection, reason),
        (Some(needed), _) => (DecisionCode::MoreInformation, Some(needed)),
        (_, Some(basis)) => (DecisionCode::NotRequired, Some(basis)),
        _ => (DecisionCode::NoObjectionWithConditions, reason),
    };
    let decision =
        TransitDecision { decision: code.into(), conditions, valid_from: from, valid_to: to, reason };
    match decision.missing().as_slice() {
        [] => Ok(decision),
        missing => {
            let options = &[("valid_from,", "--from, --to"), ("valid_to", "--to")];
            Err(Error::Unusable(format!("the decision lacks:{}", with_options(missing, options))))
        }
    }
}

/// Whether the shipment may pass on that day: only what was cleared counts, only while it holds, and only if every State
/// of the route was told the same, none of them says otherwise in a later exchange, and the licence behind it stands.
fn check(client: &Client, ids: &str, on: Date) -> Result<Reply, Error> {
    let peers: Vec<PeerView> = client.get("/v1/peers", &[])?.view;
    let state_of = |view: &ExchangeView| {
        let peer = peers.iter().find(|peer| peer.node == view.summary.peer);
        peer.map_or_else(|| view.summary.peer.to_string(), |peer| peer.state.to_string())
    };
    let mut views = Vec::new();
    for id in ids.split(',').map(str::trim) {
        views.push(show(client, id)?.view);
    }
    let shipment = views.iter().find_map(notified);
    if let Some(shipment) = &shipment {
        views.extend(later(client, shipment.export_file.as_str(), &views)?);
    }
    let (mut text, mut all, mut yes, mut told) = (String::new(), Vec::new(), true, Vec::new());
    for view in &views {
        let (clears, why) = clears(view, on);
        yes &= clears;
        text += &render::cleared(view, clears, &why);
        all.push(json!({ "exchange": view.summary.id, "clears": clears, "why": why }));
        told.push(state_of(view));
    }
    let mut against = Vec::new();
    for (one, view) in views.iter().filter_map(|view| Some((notified(view)?, view))) {
        let Some(first) = &shipment else { continue };
        if one.export_file != first.export_file {
            return Err(Error::Unusable(format!(
                "{} and {} are two shipments: check one at a time",
                first.export_file, one.export_file
            )));
        }
        let differ = differences(first, &one);
        if !differ.is_empty() {
            let who = state_of(view);
            against.push(format!("{who} was told otherwise than the first State: {}", differ.join(", ")));
        }
    }
    for licence in shipment.iter().flat_map(|shipment| &shipment.import_licences) {
        against.extend(newest_doubt(client, &licence.licence_no)?);
    }
    let mut route = shipment.map(|shipment| shipment.countries_transit).unwrap_or_default();
    route.sort();
    route.dedup();
    route.retain(|state| !told.iter().any(|told| told == state.as_str()));
    against.extend(route.iter().map(|state| format!("{state} is on the route, and was not notified of it")));
    text.extend(against.iter().map(|why| format!("NO   {why}\n")));
    yes &= against.is_empty();
    let json = json!({ "on": on, "may_pass": yes, "exchanges": all, "not_named": route, "against": against });
    let mut reply = Reply::new(text, json);
    let word = if yes { format!("MAY PASS on {on}") } else { format!("MAY NOT PASS on {on}") };
    (reply.verdict, reply.yes) = (Some(word), yes);
    Ok(reply)
}

/// What was notified, if that is what the exchange is about.
fn notified(view: &ExchangeView) -> Option<TransitNotification> {
    let opener = view.timeline.first()?;
    match Body::read(opener.kind.as_str(), opener.body.clone()) {
        Ok(Body::TransitNotification(notification)) => Some(notification),
        _ => None,
    }
}

/// In what two notifications of one shipment differ, and must not.
fn differences(one: &TransitNotification, other: &TransitNotification) -> Vec<&'static str> {
    let same = [
        ("countries_transit", one.countries_transit == other.countries_transit),
        ("exporter", one.exporter == other.exporter),
        ("import_licences", one.import_licences == other.import_licences),
    ];
    same.iter().filter(|(_, same)| !same).map(|(name, _)| *name).collect()
}

/// The newest exchange of ours with each State about this shipment, if it is not among those named.
fn later(client: &Client, export_file: &str, named: &[ExchangeView]) -> Result<Vec<ExchangeView>, Error> {
    let (mut found, mut asked) = (Vec::new(), BTreeSet::new());
    for summary in ours_about(client, Kind::TransitNotification, export_file)? {
        let stands = !matches!(summary.state, State::Closed | State::TurnedAway | State::Withdrawn);
        if !stands || !asked.insert(summary.peer.clone()) {
            continue;
        }
        if named.iter().any(|view| view.summary.id == summary.id) {
            continue;
        }
        let view = show(client, &summary.id.to_string())?.view;
        if notified(&view).is_some_and(|notification| notification.export_file.as_str() == export_file) {
            found.push(view);
        }
    }
    Ok(found)
}

/// What we know against a licence from the State that issued it, by the newest verification of ours.
fn newest_doubt(client: &Client, licence_no: &LicenceNo) -> Result<Option<String>, Error> {
    for summary in ours_about(client, Kind::LicenceVerificationRequest, licence_no.as_str())? {
        if summary.state == State::Withdrawn {
            continue;
        }
        let (presented, doubt) = verified(&show(client, &summary.id.to_string())?.view)?;
        if presented.licence_no == *licence_no {
            return Ok(doubt);
        }
    }
    Ok(None)
}

/// Exchanges of ours about this, newest first.
fn ours_about(client: &Client, kind: Kind, subject: &str) -> Result<Vec<ExchangeSummary>, Error> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let query = [
            ("kind", Some(kind.to_string())),
            ("side", Some("requesting".to_owned())),
            ("subject", Some(subject.to_owned())),
            ("after", after),
        ];
        let page: ExchangePage = client.get("/v1/exchanges", &query)?.view;
        all.extend(page.exchanges);
        after = page.next;
        if after.is_none() {
            return Ok(all);
        }
    }
}

fn clears(exchange: &ExchangeView, on: Date) -> (bool, String) {
    let decision = match &exchange.result {
        Some(Outcome::Transit(decision)) => decision,
        _ if exchange.summary.kind != Kind::TransitNotification => {
            return (false, format!("this is a {}, and no transit", exchange.summary.kind));
        }
        _ => return (false, "there is no decision; silence is never consent".to_owned()),
    };
    match exchange.summary.state {
        State::NotRequired => {
            let basis = decision.reason.as_ref().map(|basis| format!(": {basis}"));
            (true, format!("no clearance is required{}", basis.unwrap_or_default()))
        }
        State::Cleared => match (decision.valid_from, decision.valid_to) {
            (Some(first), Some(last)) if (first..=last).contains(&on) => {
                (true, format!("cleared from {first} to {last}"))
            }
            (Some(first), Some(last)) => (false, format!("cleared from {first} to {last} only")),
            _ => (false, "cleared without days".to_owned()),
        },
        state => (false, render::word(state.as_str())),
    }
}

/// What must be there, and what sets it.
const NEEDED: &[(&str, &str)] = &[
    ("export_file", "--export-file"),
    ("import_licences", "--licence-from, or --from"),
    ("countries_transit", "--through"),
    ("mode", "--mode"),
    ("entry_point", "--entry"),
    ("exit_point", "--exit"),
    ("window_from", "--from-date"),
    ("window_to", "--to-date"),
];

#[cfg(test)]
mod tests {
    use clap::Parser;
    use liaison_protocol::licence::LicenceNotice;

    use super::*;
    use crate::args::{Args, Command};
    use crate::client::tests::node;
    use crate::render::tests::{exchange_view, peer_view, transit_view};

    fn command(line: &str) -> Result<TransitCommand, String> {
        let words = std::iter::once("liaison").chain(line.split_whitespace());
        match Args::try_parse_from(words).map(|args| args.command) {
            Ok(Command::Transit(command)) => Ok(command),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    fn decide(line: &str) -> Result<TransitDecision, String> {
        match command(&format!("transit decide abcdef {line}"))? {
            TransitCommand::Decide { decision, .. } => {
                decision_of(decision).map_err(|error| error.to_string())
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_decision_is_one_thing_and_a_clearance_has_its_days() {
        let days = "--from 2026-12-01 --to 2026-12-20";
        let word = |line: &str| decide(line).map(|decision| decision.decision.to_string());
        assert_eq!(word(&format!("--no-objection {days}")), Ok("NO_OBJECTION".into()));
        let conditions = decide(&format!("--conditions escort seal {days}")).expect("two conditions");
        assert_eq!(conditions.decision.to_string(), "NO_OBJECTION_WITH_CONDITIONS");
        assert_eq!(conditions.conditions.len(), 2);
        let objection = decide("--objection").expect("no reason need be given");
        assert_eq!((objection.decision.to_string().as_str(), objection.reason), ("OBJECTION", None));
        assert_eq!(word("--more-information who?"), Ok("MORE_INFORMATION".into()));
        assert_eq!(word("--not-required treaty"), Ok("NOT_REQUIRED".into()));
        assert!(word("--no-objection").expect_err("when?").contains("--from <DATE>"));
        assert!(word(&format!("--objection {days}")).expect_err("no days").contains("cannot be used with"));
        assert!(word("--objection --not-required treaty").expect_err("one").contains("cannot be used with"));
        assert!(word("--from 2026-12-01 --to 2026-12-20").is_err());
        let turned = word("--no-objection --from 2026-12-20 --to 2026-12-01").expect_err("turned round");
        assert!(
            turned.contains("valid_to: before valid_from; give the last day after the first"),
            "{turned}"
        );
    }

    #[test]
    fn r_10_2c_only_a_clearance_in_its_days_lets_a_shipment_pass() {
        let day = |day: i8| jiff::civil::date(2026, 12, day);
        let mut view = transit_view();
        assert!(clears(&view, day(10)).0 && clears(&view, day(1)).0 && clears(&view, day(20)).0);
        assert_eq!(clears(&view, day(21)), (false, "cleared from 2026-12-01 to 2026-12-20 only".into()));
        for state in State::ALL.iter().filter(|state| !matches!(state, State::Cleared | State::NotRequired)) {
            view.summary.state = *state;
            assert!(!clears(&view, day(10)).0, "{state}");
        }
        view.result = None;
        for state in State::ALL {
            view.summary.state = *state;
            assert_eq!(
                clears(&view, day(10)),
                (false, "there is no decision; silence is never consent".into())
            );
        }
        assert!(!clears(&exchange_view(), day(10)).0);
    }

    fn checked(line: &str, views: &[ExchangeView], more: &[Value]) -> (Result<Reply, Error>, Vec<String>) {
        let states = ["KEN", "UGA"].map(|state| {
            let mut peer = peer_view();
            peer.state = state.parse().expect("a State");
            peer.node = format!("transit.example.{}/liaison", state.to_lowercase()).parse().expect("a node");
            peer
        });
        let mut answers = vec![("200 OK", json!(states).to_string())];
        answers.extend(views.iter().map(|view| ("200 OK", json!(view).to_string())));
        answers.extend(more.iter().map(|more| ("200 OK", more.to_string())));
        let (client, node) = node(answers);
        let reply = run(&client, command(line).expect("well typed"));
        (reply, node.join().expect("the node ends"))
    }

    /// The transit through each State of the route, cleared.
    fn both() -> [ExchangeView; 2] {
        ["ken", "uga"].map(|state| {
            let mut view = transit_view();
            view.summary.peer = format!("transit.example.{state}/liaison").parse().expect("a node");
            view
        })
    }

    /// No other exchange about that shipment, and none about its licence.
    fn nothing() -> Vec<Value> {
        vec![json!({ "exchanges": [] }); 2]
    }

    #[test]
    fn r_10_2b_a_later_objection_to_the_shipment_or_a_licence_that_fell_is_found_unasked() {
        let line = "transit check abcdef,bcdefg --on 2026-12-10";
        let [mut objection, _] = both();
        objection.summary.id =
            liaison_protocol::message::MessageId(liaison_protocol::merkle::Hash::of(b"later"));
        objection.summary.state = State::Blocked;
        let more =
            [json!({ "exchanges": [&objection.summary] }), json!(objection), json!({ "exchanges": [] })];
        let (reply, asked) = checked(line, &both(), &more);
        let reply = reply.expect("it answers");
        assert!(!reply.yes && reply.text.contains("blocked"), "{}", reply.text);
        assert!(
            asked[3].contains("kind=transit-notification&side=requesting&subject=EXP-2026-117"),
            "{}",
            asked[3]
        );

        let mut verification = exchange_view();
        let licence = notified(&both()[0]).expect("a notification").import_licences.remove(0);
        verification.timeline[0].body["presented"]["licence_no"] = json!(licence.licence_no);
        verification.result = serde_json::from_value(json!({ "answer": "REVOKED" })).ok();
        let more = [
            json!({ "exchanges": [] }),
            json!({ "exchanges": [&verification.summary] }),
            json!(verification),
        ];
        let reply = checked(line, &both(), &more).0.expect("it answers");
        assert!(!reply.yes && reply.text.contains("was answered REVOKED"), "{}", reply.text);
    }

    #[test]
    fn r_10_2b_states_that_were_told_of_different_shipments_have_not_cleared_one() {
        let mut views = both();
        views[1].timeline[0].body["import_licences"][0]["licence_no"] = "RW-2".into();
        let reply = checked("transit check abcdef,bcdefg --on 2026-12-10", &views, &nothing()).0;
        let reply = reply.expect("it answers");
        assert!(
            !reply.yes && reply.text.contains("UGA was told otherwise than the first State: import_licences")
        );
    }

    #[test]
    fn r_10_2b_a_check_is_yes_only_if_every_state_of_the_route_has_cleared() {
        let line = "transit check abcdef,-bcdef --on 2026-12-10";
        let (reply, asked) = checked(line, &both(), &nothing());
        let reply = reply.expect("both answer");
        assert_eq!((reply.yes, reply.verdict.as_deref()), (true, Some("MAY PASS on 2026-12-10")));
        assert!(asked[2].starts_with("GET /v1/exchanges/-bcdef "), "{}", asked[2]);
        let mut views = both();
        views[1].summary.state = State::Blocked;
        let reply = checked(line, &views, &nothing()).0.expect("both answer");
        assert_eq!((reply.yes, reply.verdict.as_deref()), (false, Some("MAY NOT PASS on 2026-12-10")));
        assert_eq!(reply.json["may_pass"], false);
        // Whoever leaves a State out has not asked whether it cleared.
        let reply =
            checked("transit check abcdef --on 2026-12-10", &both()[..1], &nothing()).0.expect("it answers");
        assert!(!reply.yes && reply.text.contains("UGA is on the route, and was not notified of it"));
        let mut views = both();
        views[1].timeline[0].body["export_file"] = "EXP-2".into();
        let error = checked(line, &views, &nothing()[..1]).0.expect_err("two shipments");
        assert!(error.to_string().ends_with("are two shipments: check one at a time"), "{error}");
    }

    const NOTIFIED: &str = "transit notify --peer UGA --licence-from abcdef --export-file EXP-1 --through UGA \
        --mode road --entry Malaba --exit Katuna --from-date 2026-12-01 --to-date 2026-12-20 --key k";

    #[test]
    fn r_10_2a_a_licence_that_does_not_stand_is_not_notified() {
        let mut view = exchange_view();
        view.notice = Some(LicenceNotice {
            licence_no: view.summary.subject.parse().expect("a number"),
            event: Coded::Known(liaison_protocol::licence::LicenceEvent::Revoked),
            effective: jiff::civil::date(2026, 12, 1),
            note: None,
        });
        let (client, node) = node(vec![("200 OK", json!(view).to_string())]);
        let error = run(&client, command(NOTIFIED).expect("well typed")).expect_err("it does not stand");
        assert!(error.exit_code() == 1 && error.to_string().contains("does not stand"), "{error}");
        node.join().expect("the node ends");
    }

    #[test]
    fn the_licence_of_a_notification_is_the_one_that_was_verified_and_must_be_whole() {
        let (client, node) = node(vec![("200 OK", json!(exchange_view()).to_string())]);
        let error =
            run(&client, command(NOTIFIED).expect("well typed")).expect_err("the document was not whole");
        let text = error.to_string();
        assert!(text.contains("import_licences.0.place_of_issue: missing [Art. 10(3)]"), "{text}");
        assert!(text.ends_with("give the licence with --from"), "{text}");
        node.join().expect("the node ends");
        let why = command("transit notify --peer UGA").map(|command| match command {
            TransitCommand::Notify(_) => complete(Map::new()).expect_err("nothing").to_string(),
            other => panic!("{other:?}"),
        });
        for (_, option) in NEEDED {
            assert!(why.as_ref().expect("well typed").contains(option), "{option}: {why:?}");
        }
    }

    #[test]
    fn the_template_is_a_notification() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("notification.toml");
        std::fs::write(&file, template().text).expect("a file");
        let object = read_object(&file).expect("TOML");
        assert!(complete(object).is_ok());
    }
}

//! `liaison case`: the chain of hops of one item, and the next of them.

use liaison_protocol::authority::Line;
use liaison_protocol::message::{Body, Kind};
use liaison_protocol::operator::{CaseView, Enclosed, ExchangeView, Opening, Question, TimelineItem};
use liaison_protocol::trace::{NextHop, PreviousHop, TraceRequest};

use super::exchange::{open, show};
use super::trace::conclusion;
use super::{Error, Reply};
use crate::args::{Acting, CaseCommand, Peer};
use crate::client::{Answered, Client, Method, Segment};
use crate::render;

pub(super) fn run(client: &Client, command: CaseCommand) -> Result<Reply, Error> {
    match command {
        CaseCommand::Conclude { case, outcome } => {
            let path = format!("{}/conclusion", path(&case));
            told(client, client.send(Method::Post, &path, &conclusion(outcome), None)?)
        }
        CaseCommand::List => {
            Ok(Reply::of(client.get("/v1/cases", &[])?, |cases: &Vec<_>| render::cases(cases)))
        }
        CaseCommand::Next { case, peer, acting } => next(client, &case, peer, acting),
        CaseCommand::Show { case } => told(client, client.get(&path(&case), &[])?),
    }
}

fn path(case: &Line) -> String {
    format!("/v1/cases/{}", Segment(case.as_str()))
}

fn told(client: &Client, case: Answered<CaseView>) -> Result<Reply, Error> {
    let exchanges = exchanges(client, &case.view)?;
    Ok(Reply::of(case, |case| render::case(case, &exchanges)))
}

/// The exchanges of its hops, in their order.
fn exchanges(client: &Client, case: &CaseView) -> Result<Vec<ExchangeView>, Error> {
    case.hops.iter().map(|hop| Ok(show(client, &hop.exchange.id.to_string())?.view)).collect()
}

fn next(client: &Client, name: &Line, peer: Option<Peer>, acting: Acting) -> Result<Reply, Error> {
    let case: CaseView = client.get(&path(name), &[])?.view;
    let exchanges = exchanges(client, &case)?;
    let Some(to) = peer.or_else(|| case.next.as_ref().map(|next| Peer(next.state.to_string()))) else {
        return Err(Error::No(format!(
            "no next hop is proposed: {}. To ask another State all the same, name it with --peer",
            case.why
        )));
    };
    let last = exchanges.last().ok_or_else(|| Error::No("the case has no hop yet".to_owned()))?;
    let (request, enclosed) = follow(&case, &exchanges).ok_or_else(|| {
        Error::No("the last request of this case is not understood here: is the node newer?".to_owned())
    })?;
    let hop = request.hop;
    let opening = Opening {
        // Whoever sent the hop before looked at the item.
        question: Question::Trace { request, looked_again: true },
        case_ref: last.summary.case_ref.as_ref().and_then(|case| case.parse().ok()),
        handling: None,
        enclosed,
    };
    let asked = to.0.clone();
    let before = case
        .hops
        .iter()
        .rfind(|hop| [hop.asked.as_str(), hop.exchange.peer.as_str()].contains(&asked.as_str()));
    let again = before.map(|before| format!(" again, after hop {}", before.hop)).unwrap_or_default();
    let mut reply = open(client, to, opening, acting)?;
    reply.aside = Some(format!(
        "Hop {hop}: {asked} is asked{again}; persons were not named again. The case: liaison case show {}",
        render::quoted(name.as_str())
    ));
    Ok(reply)
}

/// The next request: the last one again, with what its answer brought, and with the photographs that are here.
fn follow(case: &CaseView, all: &[ExchangeView]) -> Option<(TraceRequest, Enclosed)> {
    let (last, next) = (all.last()?, case.next.as_ref());
    let opener = last.timeline.first()?;
    let Ok(Body::TraceRequest(mut request)) = Body::read(opener.kind.as_str(), opener.body.clone()) else {
        return None;
    };
    request.hop = all.iter().filter_map(hop).max().unwrap_or(request.hop) + 1;
    request.previous_hop = next.and_then(|next| naming(next, case, all));
    if let Some(licence) = next.and_then(|next| next.licence_no.clone()) {
        request.linked_licence = Some(licence);
    }
    // A day that was hoped for then is not hoped for now.
    (request.respond_by, request.respond_by_reason) = (None, None);
    let mut attachments = Vec::new();
    for message in ours(last) {
        if let Ok(Body::InformationSupply(supply)) = Body::read(message.kind.as_str(), message.body.clone())
            && let Some(item) = supply.item
        {
            request.item = item;
        }
        attachments.extend(message.attachments.iter().filter(|view| view.here));
    }
    let attachments: Vec<_> = attachments.into_iter().map(|view| view.attachment.clone()).collect();
    if !attachments.iter().any(|attachment| attachment.is_photo()) && request.no_photo_reason.is_none() {
        request.no_photo_reason = "the photographs of the first request are not here any more".parse().ok();
    }
    Some((request, Enclosed { attachments, ..Enclosed::default() }))
}

fn ours(exchange: &ExchangeView) -> impl Iterator<Item = &TimelineItem> {
    exchange.timeline.iter().filter(|item| item.from == exchange.summary.side && item.effective)
}

fn hop(exchange: &ExchangeView) -> Option<u32> {
    let opener = exchange.timeline.first()?;
    u32::try_from(opener.body.get("hop")?.as_u64()?).ok()
}

/// The last message that names this hop, and whose it is.
fn naming(next: &NextHop, case: &CaseView, all: &[ExchangeView]) -> Option<PreviousHop> {
    let names = |item: &&TimelineItem| -> bool {
        let is_answer = matches!(item.kind, Kind::Correction | Kind::TraceResponse) && item.effective;
        let state = item.body.get("next_hop").and_then(|next| next.get("state"));
        is_answer && state.and_then(serde_json::Value::as_str) == Some(next.state.as_str())
    };
    all.iter().zip(&case.hops).rev().find_map(|(exchange, hop)| {
        let response = exchange.timeline.iter().rfind(names)?.id;
        Some(PreviousHop { state: hop.asked.clone(), response })
    })
}

#[cfg(test)]
mod tests {
    use liaison_protocol::operator::AttachmentView;
    use serde_json::json;

    use super::*;
    use crate::client::tests::node;
    use crate::render::tests::{attachment_of, case_view, trace_view};

    fn answers(case: &CaseView, exchange: &ExchangeView) -> Vec<(&'static str, String)> {
        let exchange = json!(exchange).to_string();
        vec![("200 OK", json!(case).to_string()), ("200 OK", exchange.clone()), ("201 Created", exchange)]
    }

    #[test]
    fn the_next_hop_asks_the_same_of_the_state_that_was_named() {
        let mut exchange = trace_view();
        exchange.timeline[0].attachments = [true, false]
            .map(|here| {
                let content = if here { "a picture" } else { "another" };
                serde_json::from_value::<AttachmentView>({
                    let mut view = json!(attachment_of(content.as_bytes()));
                    view["here"] = here.into();
                    view
                })
                .expect("an attachment")
            })
            .to_vec();
        let (client, node) = node(answers(&case_view(), &exchange));
        let command = CaseCommand::Next {
            case: "LIM-2026-0042".parse().expect("a line"),
            peer: None,
            acting: Acting { officer: None, key: Some("k".into()) },
        };
        let reply = run(&client, command).expect("it is asked");
        assert!(
            reply.aside.expect("a hint").starts_with("Hop 2: KEN is asked; persons were not named again")
        );
        let asked = node.join().expect("the node ends");
        assert!(asked[0].starts_with("GET /v1/cases/LIM-2026-0042 "), "{}", asked[0]);
        let (_, body) = asked[2].split_once("\r\n\r\n").expect("a body");
        let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(body["peer"], "KEN");
        let request = &body["opening"]["request"];
        assert_eq!((&request["hop"], &request["linked_licence"]), (&json!(2), &json!("CZ-EXP-2021-0318")));
        let answer = exchange.timeline.last().expect("an answer").id;
        assert_eq!(request["previous_hop"], json!({ "state": "CZE", "response": answer }));
        // Only what is here can go on.
        assert_eq!(body["opening"]["enclosed"], json!({ "attachments": [attachment_of(b"a picture")] }));
    }

    #[test]
    fn a_state_that_is_asked_again_is_told_as_such() {
        let (client, node) = node(answers(&case_view(), &trace_view()));
        let name = "LIM-2026-0042".parse().expect("a line");
        let acting = Acting { officer: None, key: Some("k".into()) };
        let reply = next(&client, &name, Some(Peer("CZE".into())), acting).expect("it is asked");
        let aside = reply.aside.expect("a hint");
        assert!(aside.starts_with("Hop 2: CZE is asked again, after hop 1; persons"), "{aside}");
        node.join().expect("the node ends");
    }

    #[test]
    fn where_no_hop_is_proposed_nobody_is_asked_by_chance() {
        let mut case = case_view();
        case.next = None;
        let (client, node) = node(answers(&case, &trace_view())[..2].to_vec());
        let name = "LIM-2026-0042".parse().expect("a line");
        let error = next(&client, &name, None, Acting::default()).expect_err("nobody is named");
        assert!(error.exit_code() == 1 && error.to_string().contains("name it with --peer"), "{error}");
        node.join().expect("the node ends");
    }
}

//! `liaison exchange`: what was asked and answered, and our part in it.

use liaison_protocol::message::{Kind, Outcome};
use liaison_protocol::operator::{
    Act, ActRequest, Enclosed, ExchangePage, ExchangeView, OpenRequest, Opening,
};
use serde_json::{Value, json};

use super::{Error, Reply, enclosed, fresh_key};
use crate::args::{self, Acting, ExchangeCommand, Filter, OutcomeArgs, Peer};
use crate::client::{Answered, Client, Method, Segment};
use crate::render;

pub(super) fn run(client: &Client, command: ExchangeCommand) -> Result<Reply, Error> {
    match command {
        ExchangeCommand::Acknowledge { id, unit, expected, note, acting } => {
            act(client, &id, Act::Acknowledge { unit, expected, note }, acting)
        }
        ExchangeCommand::Answer { id, outcome, as_proposed, note, acting } => {
            let view = show(client, &id)?.view;
            let outcome = match as_proposed {
                false => outcome_of(outcome, view.summary.kind)?,
                true => view.proposal.ok_or_else(|| {
                    let why =
                        "our licence list proposes nothing here: it is answered, or the list has no say";
                    Error::No(format!("{why}. Decide, and say so with --answer"))
                })?,
            };
            act(client, &id, Act::Answer { outcome, note }, acting)
        }
        ExchangeCommand::Attachment { id, digest, out } => {
            enclosed::fetch(client, &id, digest.as_deref(), &out)
        }
        ExchangeCommand::Correct { id, outcome, reason, acting } => {
            let outcome = outcome_of(outcome, show(client, &id)?.view.summary.kind)?;
            act(client, &id, Act::Correct { outcome, reason }, acting)
        }
        ExchangeCommand::List(filter) => list(client, filter),
        ExchangeCommand::Notify { id, event, effective, note, acting } => {
            act(client, &id, Act::Notify { event, effective, note }, acting)
        }
        ExchangeCommand::Show { id } => Ok(Reply::of(show(client, &id)?, render::exchange)),
        ExchangeCommand::Withdraw { id, reason, acting } => {
            act(client, &id, Act::Withdraw { reason }, acting)
        }
    }
}

fn list(client: &Client, filter: Filter) -> Result<Reply, Error> {
    let side = filter.side.map(|side| match side {
        args::Side::Requested => "requested".to_owned(),
        args::Side::Requesting => "requesting".to_owned(),
    });
    let kind = filter.kind.map(|kind| match kind {
        args::Kind::Authenticity => Kind::AuthenticityCheck.to_string(),
        args::Kind::Trace => Kind::TraceRequest.to_string(),
        args::Kind::Transit => Kind::TransitNotification.to_string(),
        args::Kind::Verification => Kind::LicenceVerificationRequest.to_string(),
    });
    let query = [
        ("peer", filter.peer.map(|peer| peer.0)),
        ("state", filter.state.map(|state| state.as_str().to_owned())),
        ("side", side),
        ("kind", kind),
        ("subject", filter.subject),
        ("overdue", filter.overdue.then(|| "true".to_owned())),
        ("for_officer", filter.for_officer.then(|| "true".to_owned())),
        ("limit", filter.limit.map(|limit| limit.to_string())),
        ("after", filter.after),
    ];
    let page: Answered<ExchangePage> = client.get("/v1/exchanges", &query)?;
    let next = page.view.next.as_ref().map(|next| format!("There are more: repeat with --after {next}"));
    let mut reply = Reply::of(page, |page| render::exchanges(&page.exchanges));
    reply.aside = next;
    Ok(reply)
}

/// Open an exchange, and say where to look for the answer.
pub(super) fn open(client: &Client, peer: Peer, opening: Opening, acting: Acting) -> Result<Reply, Error> {
    Ok(asked_and_recorded(opened(client, peer, opening, acting)?))
}

/// Open an exchange.
pub(super) fn opened(
    client: &Client,
    peer: Peer,
    opening: Opening,
    acting: Acting,
) -> Result<Answered<ExchangeView>, Error> {
    let request = OpenRequest { peer: peer.0, opening, officer: acting.officer };
    let key = acting.key.unwrap_or_else(|| fresh_key(&request));
    let opened = client.send(Method::Post, "/v1/exchanges", &request, Some(&key));
    opened.map_err(|error| if error.leaves_doubt() { Error::Doubt { error, key } } else { error.into() })
}

/// What is said of an exchange that was opened.
pub(super) fn asked_and_recorded(opened: Answered<ExchangeView>) -> Reply {
    let id = opened.view.summary.id;
    let mut reply = Reply::of(opened, render::exchange_summary);
    reply.aside = Some(format!("Asked and recorded. Look again with: liaison exchange show {id}"));
    reply
}

pub(super) fn show(client: &Client, id: &str) -> Result<Answered<ExchangeView>, Error> {
    Ok(client.get(&path(id), &[])?)
}

fn path(id: &str) -> String {
    format!("/v1/exchanges/{}", Segment(id))
}

fn act(client: &Client, id: &str, act: Act, acting: Acting) -> Result<Reply, Error> {
    act_with(client, id, act, Enclosed::default(), acting)
}

/// Act in an exchange, with what goes with it.
pub(super) fn act_with(
    client: &Client,
    id: &str,
    act: Act,
    enclosed: Enclosed,
    acting: Acting,
) -> Result<Reply, Error> {
    let request = ActRequest { act, enclosed, officer: acting.officer };
    let done = client.send(Method::Post, &format!("{}/acts", path(id)), &request, acting.key.as_deref())?;
    Ok(Reply::of(done, render::exchange_summary))
}

/// The answer that was typed, to a request of that kind.
fn outcome_of(typed: OutcomeArgs, kind: Kind) -> Result<Outcome, Error> {
    let OutcomeArgs { answer, valid_until, differs, ground } = typed;
    let other = match kind {
        Kind::TraceRequest => Some("liaison trace answer, or liaison trace correct"),
        Kind::TransitNotification => {
            Some("liaison transit decide; a later decision stands in the place of an earlier one")
        }
        _ => None,
    };
    if let Some(other) = other {
        return Err(Error::Unusable(format!("this is a {kind}: use {other}")));
    }
    let word = answer.unwrap_or_default();
    let is_check = kind == Kind::AuthenticityCheck;
    let fields = if is_check { "fields" } else { "differences" };
    let mut body = json!({ if is_check { "result" } else { "answer" }: word });
    let mut put = |name: &str, value: Option<Value>| _ = value.map(|value| body[name] = value);
    put("valid_until", valid_until.map(|date| date.to_string().into()));
    put(fields, (!differs.is_empty()).then(|| differs.iter().map(ToString::to_string).collect()));
    put("ground", ground.map(|ground| ground.to_string().into()));
    let read = match is_check {
        true => serde_json::from_value(body.clone()).map(Outcome::Authenticity),
        false => serde_json::from_value(body.clone()).map(Outcome::Answer),
    };
    let outcome = read.map_err(|why| {
        let option = match why.to_string() {
            text if text.contains("`ground`") => "it needs --ground".to_owned(),
            text if text.contains(&format!("missing field `{fields}`")) => "it needs --differs".to_owned(),
            text => text,
        };
        Error::Unusable(format!("--answer {word} to this {kind}: {option}"))
    })?;
    // What was typed beside the word must have found its place in the answer.
    match serde_json::to_value(&outcome) {
        Ok(said) if said == body => Ok(outcome),
        _ => Err(Error::Unusable(format!(
            "--valid-until goes with VALID, --differs with VALID_WITH_DIFFERENCES and MISMATCH, --ground with \
             CANNOT_CONFIRM: not with {word} to this {kind}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::tests::node;
    use crate::render::tests::exchange_view;
    use liaison_protocol::handling::Coded;
    use liaison_protocol::licence::{Answer, Authenticity, Field, Ground};

    fn typed(answer: &str) -> OutcomeArgs {
        OutcomeArgs { answer: Some(answer.to_owned()), ..Default::default() }
    }

    const ASKED: Kind = Kind::LicenceVerificationRequest;
    const CHECKED: Kind = Kind::AuthenticityCheck;

    #[test]
    fn one_word_means_what_the_question_asks() {
        let expired = |kind| outcome_of(typed("EXPIRED"), kind).expect("a word of both lists");
        assert_eq!(expired(ASKED), Outcome::Answer(Answer::Expired));
        assert_eq!(expired(CHECKED), Outcome::Authenticity(Authenticity::Expired));
        let differs = vec![Field::Lines, Field::Version];
        let all = OutcomeArgs { differs: differs.clone(), ..typed("VALID_WITH_DIFFERENCES") };
        let expected = Outcome::Answer(Answer::ValidWithDifferences { differences: differs.clone() });
        assert_eq!(outcome_of(all, ASKED).ok(), Some(expected));
        let all = OutcomeArgs { differs: differs.clone(), ..typed("MISMATCH") };
        let expected = Outcome::Authenticity(Authenticity::Mismatch { fields: differs });
        assert_eq!(outcome_of(all, CHECKED).ok(), Some(expected));
        let last = Some(jiff::civil::date(2027, 2, 28));
        let all = OutcomeArgs { valid_until: last, ..typed("VALID") };
        assert_eq!(outcome_of(all, ASKED).ok(), Some(Outcome::Answer(Answer::Valid { valid_until: last })));
        let all = OutcomeArgs { ground: Some(Ground::OngoingInvestigation), ..typed("CANNOT_CONFIRM") };
        let ground = Coded::Known(Ground::OngoingInvestigation);
        assert_eq!(outcome_of(all, ASKED).ok(), Some(Outcome::Answer(Answer::CannotConfirm { ground })));
    }

    #[test]
    fn an_answer_without_what_it_needs_or_with_what_it_has_no_place_for_is_refused() {
        let why = |typed, kind| match outcome_of(typed, kind) {
            Err(Error::Unusable(why)) => why,
            other => panic!("{other:?}"),
        };
        let asked = "to this licence-verification-request";
        assert_eq!(
            why(typed("CANNOT_CONFIRM"), ASKED),
            format!("--answer CANNOT_CONFIRM {asked}: it needs --ground")
        );
        let differences = typed("VALID_WITH_DIFFERENCES");
        assert!(why(differences, ASKED).ends_with("it needs --differs"));
        assert!(why(typed("MISMATCH"), CHECKED).ends_with("it needs --differs"));
        assert!(
            why(typed("MATCH"), ASKED).contains("unknown variant `MATCH`, expected one of `CANNOT_CONFIRM`")
        );
        let last = Some(jiff::civil::date(2027, 2, 28));
        assert!(
            why(OutcomeArgs { valid_until: last, ..typed("REVOKED") }, ASKED)
                .ends_with(&format!("REVOKED {asked}"))
        );
        assert!(why(OutcomeArgs { valid_until: last, ..typed("MATCH") }, CHECKED).contains("not with MATCH"));
        let differs = vec![Field::Lines];
        assert!(why(OutcomeArgs { differs, ..typed("VALID") }, ASKED).contains("not with VALID"));
    }

    fn answers(view: &ExchangeView) -> Vec<(&'static str, String)> {
        let view = serde_json::to_string(view).expect("serialises");
        vec![("200 OK", view.clone()), ("200 OK", view)]
    }

    fn answer(as_proposed: bool, outcome: OutcomeArgs) -> ExchangeCommand {
        let acting = Acting { officer: "okello".parse().ok(), key: None };
        ExchangeCommand::Answer { id: "abcdef".into(), outcome, as_proposed, note: None, acting }
    }

    #[test]
    fn an_answer_as_proposed_is_the_proposal() {
        let mut view = exchange_view();
        view.proposal = Some(Outcome::Answer(Answer::Revoked));
        let (client, node) = node(answers(&view));
        run(&client, answer(true, OutcomeArgs::default())).expect("the node takes it");
        let asked = node.join().expect("the node ends");
        assert!(asked[1].starts_with("POST /v1/exchanges/abcdef/acts "), "{}", asked[1]);
        let body = "{\"act\":\"answer\",\"outcome\":{\"answer\":\"REVOKED\"},\"officer\":\"okello\"}";
        assert!(asked[1].ends_with(body), "{}", asked[1]);
    }

    #[test]
    fn where_nothing_is_proposed_an_officer_decides() {
        let mut view = exchange_view();
        view.proposal = None;
        let (client, node) = node(answers(&view)[..1].to_vec());
        let error = run(&client, answer(true, OutcomeArgs::default())).expect_err("there is no proposal");
        assert!(error.exit_code() == 1 && error.to_string().contains("proposes nothing"), "{error}");
        node.join().expect("the node ends");
    }

    #[test]
    fn a_list_is_filtered_by_the_node() {
        let (client, node) = node(vec![("200 OK", r#"{"exchanges":[],"next":"n 1"}"#.to_owned())]);
        let filter = Filter {
            side: Some(args::Side::Requested),
            kind: Some(args::Kind::Authenticity),
            for_officer: true,
            limit: Some(5),
            ..Filter::default()
        };
        let reply = list(&client, filter).expect("the node answers");
        assert_eq!(reply.text, "no exchanges\n");
        assert_eq!(reply.aside.as_deref(), Some("There are more: repeat with --after n 1"));
        let asked = &node.join().expect("the node ends")[0];
        let query = "?side=requested&kind=authenticity-check&for_officer=true&limit=5 ";
        assert!(asked.contains(query), "{asked}");
    }
}

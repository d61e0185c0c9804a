//! `liaison licence`: questions to other States about their licences, and our own list.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use liaison_protocol::handling::Coded;
use liaison_protocol::licence::{Answer, Authenticity, LicenceEvent, MAX_LINES, Presented};
use liaison_protocol::message::{Kind, Outcome};
use liaison_protocol::operator::{Enclosed, ExchangeView, Opening, Question, State};

use super::exchange::{asked_and_recorded, opened};
use super::files::read_as;
use super::{Error, Reply, read_text};
use crate::args::{Document, LicenceCommand, LicenceQuestion};
use crate::client::{Answered, Client, Method, Segment};
use crate::render;

pub(super) fn run(client: &Client, command: LicenceCommand) -> Result<Reply, Error> {
    match command {
        LicenceCommand::Authenticate(question) => ask(client, Kind::AuthenticityCheck, question),
        LicenceCommand::Import { file } => {
            let list = read_text(&file)?;
            let done = client.upload(Method::Put, "/v1/licences", "text/csv", list.as_bytes(), None)?;
            Ok(Reply::of(done, render::import))
        }
        LicenceCommand::Verify(question) => ask(client, Kind::LicenceVerificationRequest, question),
    }
}

fn ask(client: &Client, kind: Kind, asked: LicenceQuestion) -> Result<Reply, Error> {
    let LicenceQuestion { peer, document, file, case, acting, wait } = asked;
    let opening = match &file {
        Some(file) => read_opening(file, kind)?,
        None => {
            let presented = presented(document)?;
            let question = match kind {
                Kind::AuthenticityCheck => Question::Authenticity { presented },
                _ => Question::Verification { presented },
            };
            Opening { question, case_ref: case, handling: None, enclosed: Enclosed::default() }
        }
    };
    check(&opening)?;
    let opened = opened(client, peer, opening, acting)?;
    match wait {
        None => Ok(asked_and_recorded(opened)),
        Some(secs) => Ok(verdict(await_answer(client, opened, secs)?, secs)),
    }
}

fn read_opening(file: &Path, kind: Kind) -> Result<Opening, Error> {
    let opening: Opening = read_as(file, "opening of an exchange")?;
    let found = opening.question.kind();
    if found != kind {
        let file = file.display();
        return Err(Error::Unusable(format!(
            "the question in {file} is a {found}: use the command for that"
        )));
    }
    Ok(opening)
}

fn presented(document: Document) -> Result<Presented, Error> {
    let Some(licence_no) = document.licence_no else {
        return Err(Error::Unusable("--licence-no is missing".to_owned()));
    };
    Ok(Presented {
        licence_no,
        licence_kind: document.kind,
        version: document.version,
        issuing_authority: document.authority,
        place_of_issue: document.place,
        issue_date: document.issued,
        expiry_date: document.expires,
        country_export: document.from,
        country_import: document.to,
        final_recipient: document.recipient,
        lines: document.lines,
    })
}

/// before anything is sent.
fn check(opening: &Opening) -> Result<(), Error> {
    let (Question::Authenticity { presented } | Question::Verification { presented }) = &opening.question
    else {
        return Ok(());
    };
    if !presented.is_bounded() {
        return Err(Error::Unusable(format!(
            "the lines of goods need numbers of their own, and there may be {MAX_LINES} of them"
        )));
    }
    match &opening.question {
        Question::Authenticity { .. } if !presented.enough_for_authenticity() => Err(Error::Unusable(
            "a number alone is a guess: present at least one field more of the document, such as --issued"
                .to_owned(),
        )),
        Question::Verification { .. } if !presented.missing_for_verification().is_empty() => {
            let missing: Vec<_> =
                presented.missing_for_verification().iter().map(ToString::to_string).collect();
            Err(Error::Unusable(format!(
                "a verification presents the licence; still missing: {} (--issued, --recipient, --line)",
                missing.join(", ")
            )))
        }
        _ => Ok(()),
    }
}

/// Ask again until there is an answer, or none can come any more, or the time is over.
fn await_answer(
    client: &Client,
    opened: Answered<ExchangeView>,
    secs: u64,
) -> Result<Answered<ExchangeView>, Error> {
    let (start, patience) = (Instant::now(), Duration::from_secs(secs));
    let exchange = opened.view.summary.id.to_string();
    let path = format!("/v1/exchanges/{}", Segment(&exchange));
    let mut seen = opened;
    while seen.view.summary.state.is_open() {
        let Some(left) = patience.checked_sub(start.elapsed()) else { break };
        sleep(left.min(PAUSE));
        let again = client.get(&path, &[]);
        seen = again.map_err(|error| Error::Interrupted { error, exchange: exchange.clone() })?;
    }
    Ok(seen)
}

fn verdict(seen: Answered<ExchangeView>, secs: u64) -> Reply {
    let view = &seen.view;
    let (verdict, yes) = match (&view.result, view.summary.state) {
        (Some(outcome), _) => {
            let news = view
                .notice
                .as_ref()
                .map(|notice| format!(", and since {} {}", notice.effective, render::code(&notice.event)));
            (format!("{outcome}{}", news.unwrap_or_default()), is_yes(outcome) && stands(view))
        }
        (None, State::TurnedAway) => ("REFUSED by the other node: see the timeline".to_owned(), false),
        (None, State::Withdrawn | State::Closed) => ("WITHDRAWN before it was answered".to_owned(), false),
        (None, state) => (format!("NO ANSWER within {secs} s; it is {}", state.as_str()), false),
    };
    let mut reply = Reply::of(seen, render::exchange_summary);
    (reply.verdict, reply.yes) = (Some(verdict), yes);
    reply
}

/// Whether no later news of the licence says otherwise.
pub(super) fn stands(view: &ExchangeView) -> bool {
    view.notice.as_ref().is_none_or(|notice| {
        matches!(notice.event, Coded::Known(LicenceEvent::Issued | LicenceEvent::Reinstated))
    })
}

fn is_yes(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Answer(Answer::Valid { .. }) | Outcome::Authenticity(Authenticity::Match))
}

/// How long we wait before we ask our own node again.
const PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Acting, Peer};
    use crate::client::tests::{node, plain};
    use crate::render::tests::exchange_view;

    fn document(line: &str) -> Document {
        #[derive(clap::Parser)]
        struct Typed {
            #[command(flatten)]
            document: Document,
            #[arg(long)]
            file: Option<String>,
        }
        let words = std::iter::once("x").chain(line.split(' '));
        <Typed as clap::Parser>::try_parse_from(words).expect("well typed").document
    }

    fn question(line: &str, wait: Option<u64>) -> LicenceQuestion {
        let (peer, acting) = (Peer("KEN".into()), Acting { officer: None, key: Some("k-1".into()) });
        LicenceQuestion { peer, document: document(line), file: None, case: None, acting, wait }
    }

    fn view(result: Option<Outcome>, state: State) -> String {
        let mut view = exchange_view();
        (view.result, view.summary.state, view.notice) = (result, state, None);
        serde_json::to_string(&view).expect("serialises")
    }

    const DOCUMENT: &str = "--licence-no 42 --issued 2026-03-01 --recipient KWS --line 1;Rifle;40;pieces";

    #[test]
    fn a_guess_is_refused_before_it_is_sent() {
        let nobody = plain("http://127.0.0.1:1");
        let why = |kind, line| match ask(&nobody, kind, question(line, None)) {
            Err(Error::Unusable(why)) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            why(Kind::LicenceVerificationRequest, "--licence-no 42 --issued 2026-03-01"),
            "a verification presents the licence; still missing: final_recipient, lines \
             (--issued, --recipient, --line)"
        );
        assert!(why(Kind::AuthenticityCheck, "--licence-no 42").starts_with("a number alone is a guess"));
        let twice = format!("{DOCUMENT} --line 1;Rifle;40;pieces");
        assert!(why(Kind::LicenceVerificationRequest, &twice).contains("numbers of their own"));
    }

    #[test]
    fn a_question_waits_for_its_answer_and_says_it_clearly() {
        let valid = Outcome::Answer(Answer::Valid { valid_until: Some(jiff::civil::date(2027, 2, 28)) });
        let answers = vec![
            ("201 Created", view(None, State::Requested)),
            ("200 OK", view(Some(valid), State::Answered)),
        ];
        let (client, node) = node(answers);
        let reply = ask(&client, Kind::LicenceVerificationRequest, question(DOCUMENT, Some(60)));
        let reply = reply.expect("it is answered");
        assert_eq!((reply.verdict.as_deref(), reply.yes), (Some("VALID until 2027-02-28"), true));
        let asked = node.join().expect("the node ends");
        assert!(asked[0].to_ascii_lowercase().contains("idempotency-key: k-1\r\n"), "{}", asked[0]);
        let body = "{\"peer\":\"KEN\",\"opening\":{\"question\":\"verification\",\"presented\":{\"licence_no\":\"42\",\
                    \"issue_date\":\"2026-03-01\",\"final_recipient\":\"KWS\",\"lines\":[{\"line\":1,\
                    \"description\":\"Rifle\",\"quantity\":40,\"unit\":\"pieces\"}]}}}";
        assert!(asked[0].ends_with(body), "{}", asked[0]);
        assert!(asked[1].starts_with(&format!("GET /v1/exchanges/{} ", exchange_view().summary.id)));
    }

    #[test]
    fn whatever_is_not_valid_or_a_match_is_a_no() {
        let of = |result, state, notice: Option<&str>| {
            let mut view = exchange_view();
            (view.result, view.summary.state, view.notice) = (result, state, None);
            view.notice = notice.map(|event| liaison_protocol::licence::LicenceNotice {
                licence_no: view.summary.subject.parse().expect("a number"),
                event: serde_json::from_value(event.into()).expect("an event"),
                effective: jiff::civil::date(2026, 12, 1),
                note: None,
            });
            let reply = verdict(Answered { json: serde_json::Value::Null, view }, 5);
            (reply.yes, reply.verdict.expect("there always is one"))
        };
        let valid = || Some(Outcome::Answer(Answer::Valid { valid_until: None }));
        assert_eq!(of(valid(), State::Answered, None), (true, "VALID".into()));
        let matched = Some(Outcome::Authenticity(Authenticity::Match));
        assert_eq!(of(matched, State::Answered, None), (true, "MATCH".into()));
        let revoked = "VALID, and since 2026-12-01 REVOKED";
        assert_eq!(of(valid(), State::Answered, Some("REVOKED")), (false, revoked.into()));
        assert!(!of(valid(), State::Answered, Some("SHREDDED_2031")).0);
        assert!(of(valid(), State::Answered, Some("REINSTATED")).0);
        let unknown = Some(Outcome::Authenticity(Authenticity::Unknown));
        assert_eq!(of(unknown, State::Answered, None), (false, "UNKNOWN".into()));
        assert!(!of(None, State::TurnedAway, None).0);
        let late = "NO ANSWER within 5 s; it is delivered";
        assert_eq!(of(None, State::Delivered, None), (false, late.into()));
    }

    #[test]
    fn a_question_whose_answer_was_lost_can_be_repeated_under_its_key() {
        let error =
            ask(&plain("http://127.0.0.1:1"), Kind::LicenceVerificationRequest, question(DOCUMENT, None));
        let text = error.expect_err("nobody is there").to_string();
        assert!(text.ends_with("nothing happens twice if you repeat it with --key k-1"), "{text}");
    }
}

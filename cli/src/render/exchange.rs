//! An exchange as people read it: what was presented, what it came to, and every message with its proof.

use liaison_protocol::handling::{Coded, Handling};
use liaison_protocol::licence::Presented;
use liaison_protocol::message::{Body, Kind};
use liaison_protocol::operator::{ExchangeSummary, ExchangeView, ReceiptView, Side, TimelineItem};
use serde::Serialize;

use super::{code, domain, facts, short, table};

/// Exchanges, one per line.
pub(crate) fn exchanges(summaries: &[ExchangeSummary]) -> String {
    if summaries.is_empty() {
        return "no exchanges\n".to_owned();
    }
    let rows = summaries.iter().map(|summary| {
        let asked = match summary.side {
            Side::Requested => format!("{} asks", domain(&summary.peer)),
            Side::Requesting => format!("we ask {}", domain(&summary.peer)),
        };
        let waiting = if summary.for_officer { "for an officer" } else { "" };
        [
            short(&summary.id),
            summary.opened.to_string(),
            asked,
            topic(summary.kind).to_owned(),
            summary.licence_no.clone(),
            summary.state.as_str().to_owned(),
            summary.outcome.clone().unwrap_or_else(|| waiting.to_owned()),
        ]
    });
    table(["Id", "Opened", "Who", "Question", "Licence", "State", "Outcome"], rows)
}

/// How an exchange stands.
pub(crate) fn exchange_summary(view: &ExchangeView) -> String {
    let summary = &view.summary;
    let question = match summary.kind {
        Kind::AuthenticityCheck => "is the document genuine?",
        _ => "was the licence issued, and does it stand?",
    };
    let asked = match summary.side {
        Side::Requested => format!("{} asks us: {question}", summary.peer),
        Side::Requesting => format!("we ask {}: {question}", summary.peer),
    };
    let mut rows = vec![
        ("exchange", summary.id.to_string()),
        ("question", asked),
        ("licence", summary.licence_no.clone()),
        ("state", summary.state.as_str().to_owned()),
        ("outcome", summary.outcome.clone().unwrap_or_else(|| "none yet".to_owned())),
    ];
    rows.extend(summary.case_ref.clone().map(|case| ("our file", case)));
    rows.push(("opened", format!("{}, our leaf {}", summary.opened, summary.leaf)));
    rows.push(("updated", summary.updated.to_string()));
    if summary.for_officer {
        let why = view.why_officer.clone().unwrap_or_else(|| "an officer must decide".to_owned());
        rows.push(("for officer", why));
    }
    rows.extend(view.proposal.as_ref().map(|outcome| ("our list says", outcome.to_string())));
    if !view.acts.is_empty() {
        rows.push(("open to us", view.acts.join(", ")));
    }
    facts(rows)
}

/// An exchange with everything that happened in it.
pub(crate) fn exchange(view: &ExchangeView) -> String {
    let mut text = exchange_summary(view);
    text.push_str("\nPRESENTED\n");
    text.push_str(&presented(&view.presented));
    text.push_str("\nTIMELINE\n");
    let items = view.timeline.iter().zip(1..).map(|(item, number)| message(item, number, &view.summary));
    text.push_str(&items.collect::<Vec<_>>().join("\n"));
    text
}

fn presented(document: &Presented) -> String {
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
        put("goods", Some(format!("{}. {} {}: {}", line.line, line.quantity, line.unit, line.description)));
    }
    facts(rows)
}

fn message(item: &TimelineItem, number: usize, summary: &ExchangeSummary) -> String {
    let ours = item.from == summary.side;
    let who = if ours { "we" } else { domain(&summary.peer) };
    // What changes an answer that somebody may have acted on must not be overlooked.
    let mark = if matches!(item.kind, Kind::Correction | Kind::LicenceNotice) { "!! " } else { "" };
    let without =
        if item.effective { "" } else { " (WITHOUT EFFECT: it came late or crossed another; kept)" };
    let name = format!("{number}.");
    let mut rows = vec![
        (name.as_str(), format!("{mark}{who}: {}{without}", said(item))),
        ("by", item.by.to_string()),
        ("sealed", item.sealed.to_string()),
        ("recorded", format!("{}, our leaf {}", item.recorded, item.leaf)),
    ];
    rows.push(match (&item.receipt, item.sender_leaf) {
        (Some(receipt), _) if ours => ("receipt", proven(receipt)),
        (None, _) if ours => ("receipt", "NOT DELIVERED YET".to_owned()),
        (_, Some(leaf)) => ("in their log", format!("their leaf {leaf}, proven")),
        (_, None) => ("in their log", "no proof".to_owned()),
    });
    let (sender, receiver) = if ours { ("ours", "theirs") } else { ("theirs", "ours") };
    let files: Vec<_> = [(sender, &item.case.sender), (receiver, &item.case.receiver)]
        .into_iter()
        .filter_map(|(whose, file)| Some(format!("{whose} {}", file.as_ref()?)))
        .collect();
    if !files.is_empty() {
        rows.push(("file numbers", files.join(", ")));
    }
    rows.push(("conditions", conditions(&item.handling)));
    rows.push(("message", item.id.to_string()));
    facts(rows)
}

/// What a message says, in a sentence.
fn said(item: &TimelineItem) -> String {
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
        Ok(Body::Correction(body)) => format!("CORRECTION: {}, because: {}", body.outcome, body.reason),
        Ok(Body::LicenceNotice(body)) => {
            let text =
                format!("NOTICE: {} is {} since {}", body.licence_no, coded(&body.event), body.effective);
            noted(text, body.note.map(String::from))
        }
        Ok(Body::LicenceVerificationRequest(body)) => {
            format!("was {} issued, and does it stand?", body.presented.licence_no)
        }
        Ok(Body::LicenceVerificationResponse(body)) => {
            noted(body.answer.to_string(), body.note.map(String::from))
        }
        Ok(Body::Withdrawal(body)) => format!("withdrawn: {}", body.reason),
        // A newer node may know more than we do: show it as it is.
        Err(_) => format!("{} {}", item.kind, item.body),
    }
}

fn proven(receipt: &ReceiptView) -> String {
    let place = format!("{}, their leaf {}; proven to us {}", receipt.at, receipt.leaf, receipt.recorded);
    match receipt.refused {
        None => place,
        Some(fault) => {
            let meaning = receipt.meaning.as_deref().unwrap_or("a code that is not known here");
            format!("REFUSED with code {fault}, {meaning}: {place}")
        }
    }
}

/// The conditions on one line.
fn conditions(handling: &Handling) -> String {
    let words = |list: Vec<String>| list.join(", ");
    let mut parts = vec![format!(
        "{} under {}",
        coded(&handling.purpose),
        words(handling.legal_basis.iter().map(coded).collect())
    )];
    parts.push(if handling.confidential { "confidential" } else { "not confidential" }.to_owned());
    if !handling.restrictions.is_empty() {
        parts.push(words(handling.restrictions.iter().map(coded).collect()));
    }
    let release = words(handling.release_to.iter().map(ToString::to_string).collect());
    let release = if release.is_empty() { release } else { format!(" ({release})") };
    parts.push(format!("onward {}{release}", coded(&handling.onward)));
    parts.extend(handling.embargo_until.map(|date| format!("not to be used before {date}")));
    parts.extend(handling.retain_until.map(|date| format!("to be kept until {date}")));
    parts.push(format!("personal data {}", coded(&handling.personal_data)));
    parts.extend(handling.unknown.iter().map(|(name, value)| format!("{name} {value}")));
    if !handling.is_understood() {
        parts.insert(0, "NOT ALL UNDERSTOOD HERE, keep to the strictest".to_owned());
    }
    parts.join("; ")
}

fn coded<T: Serialize>(value: &Coded<T>) -> String {
    code(value)
}

fn topic(kind: Kind) -> &'static str {
    match kind {
        Kind::AuthenticityCheck => "authenticity",
        _ => "verification",
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use liaison_protocol::authority::{By, Timestamp};
    use liaison_protocol::handling::LegalBasis;
    use liaison_protocol::licence::{Answer, GoodsLine};
    use liaison_protocol::merkle::Hash;
    use liaison_protocol::message::{CaseRefs, MessageId, Outcome};
    use liaison_protocol::operator::State;
    use serde_json::{Value, json};

    use super::*;
    use crate::render::tests::assert_page;

    const BORN: u64 = 1_790_000_000;

    fn id(name: &str) -> MessageId {
        MessageId(Hash::of(name.as_bytes()))
    }

    fn item(name: &str, from: Side, kind: Kind, body: Value) -> TimelineItem {
        TimelineItem {
            id: id(name),
            from,
            kind,
            body,
            handling: Handling::for_licences(LegalBasis::Article10Para2a),
            by: By::Officers { prepared: "quispe".parse().expect("an officer"), approved: None },
            case: CaseRefs::default(),
            sealed: Timestamp(BORN),
            recorded: Timestamp(BORN + 1),
            leaf: 12,
            receipt: None,
            sender_leaf: None,
            effective: true,
        }
    }

    fn delivered() -> Option<ReceiptView> {
        let (at, recorded) = (Timestamp(BORN + 2), Timestamp(BORN + 3));
        Some(ReceiptView { refused: None, meaning: None, at, leaf: 40, recorded })
    }

    /// Peru has asked Kenya, and Kenya has answered.
    pub(crate) fn exchange_view() -> ExchangeView {
        let mut presented = Presented::number("KE-IMP 2026/0042".parse().expect("a number"));
        presented.issue_date = Some(jiff::civil::date(2026, 3, 1));
        presented.final_recipient = Some("Kenya Wildlife Service".parse().expect("a line"));
        presented.lines = vec![GoodsLine {
            line: 1,
            description: "Rifle, bolt action .308".parse().expect("a line"),
            quantity: 40,
            unit: "pieces".parse().expect("a line"),
        }];
        let valid = Outcome::Answer(Answer::Valid { valid_until: Some(jiff::civil::date(2027, 2, 28)) });
        let request = json!({ "presented": presented });
        let mut asked = item("asked", Side::Requesting, Kind::LicenceVerificationRequest, request);
        asked.receipt = delivered();
        asked.case.sender = "EXP-2026-117".parse().ok();
        let answer = serde_json::to_value(&valid).expect("serialises");
        let mut answered = item("answered", Side::Requested, Kind::LicenceVerificationResponse, answer);
        answered.by = By::Auto { rule: "licence-list".parse().expect("a line") };
        (answered.leaf, answered.sender_leaf) = (15, Some(41));
        answered.case.receiver = asked.case.sender.clone();
        ExchangeView {
            summary: ExchangeSummary {
                id: id("asked"),
                kind: Kind::LicenceVerificationRequest,
                peer: "firearms.example.ke/liaison".parse().expect("a node"),
                side: Side::Requesting,
                state: State::Answered,
                licence_no: "KE-IMP 2026/0042".to_owned(),
                case_ref: Some("EXP-2026-117".to_owned()),
                outcome: Some(valid.to_string()),
                for_officer: false,
                opened: Timestamp(BORN + 1),
                updated: Timestamp(BORN + 5),
                leaf: 12,
            },
            presented,
            result: Some(valid),
            notice: None,
            why_officer: None,
            proposal: None,
            acts: vec!["withdraw".to_owned()],
            timeline: vec![asked, answered],
        }
    }

    #[test]
    fn an_exchange_is_told_from_the_question_to_the_last_receipt() {
        assert_page(&exchange(&exchange_view()), EXCHANGE);
    }

    const EXCHANGE: &str = "
exchange    xmeQ2llDxEZt2AY03rY_Thnwfn-BYk8iK4b-z5__ZEU
question    we ask firearms.example.ke/liaison: was the licence issued, and does it stand?
licence     KE-IMP 2026/0042
state       answered
outcome     VALID until 2027-02-28
our file    EXP-2026-117
opened      2026-09-21 14:13:21Z, our leaf 12
updated     2026-09-21 14:13:25Z
open to us  withdraw

PRESENTED
number     KE-IMP 2026/0042
issued on  2026-03-01
recipient  Kenya Wildlife Service
goods      1. 40 pieces: Rifle, bolt action .308

TIMELINE
1.            we: was KE-IMP 2026/0042 issued, and does it stand?
by            quispe
sealed        2026-09-21 14:13:20Z
recorded      2026-09-21 14:13:21Z, our leaf 12
receipt       2026-09-21 14:13:22Z, their leaf 40; proven to us 2026-09-21 14:13:23Z
file numbers  ours EXP-2026-117
conditions    LICENSING under FP_10_2A; confidential; DESIGNATED_AUTHORITIES_ONLY, PURPOSE_BOUND,
              NO_THIRD_PARTY_WITHOUT_CONSENT; onward WITH_CONSENT; personal data NONE
message       xmeQ2llDxEZt2AY03rY_Thnwfn-BYk8iK4b-z5__ZEU

2.            firearms.example.ke: VALID until 2027-02-28
by            rule licence-list
sealed        2026-09-21 14:13:20Z
recorded      2026-09-21 14:13:21Z, our leaf 15
in their log  their leaf 41, proven
file numbers  ours EXP-2026-117
conditions    LICENSING under FP_10_2A; confidential; DESIGNATED_AUTHORITIES_ONLY, PURPOSE_BOUND,
              NO_THIRD_PARTY_WITHOUT_CONSENT; onward WITH_CONSENT; personal data NONE
message       aMeAzRMqApnHzT-oZJeDy8KHKpjZDNTta5aW48YcTGg
";

    #[test]
    fn exchanges_are_a_line_each() {
        let first = exchange_view().summary;
        let mut second = first.clone();
        (second.side, second.kind, second.for_officer) = (Side::Requested, Kind::AuthenticityCheck, true);
        (second.state, second.outcome) = (State::Delivered, None);
        assert_page(&exchanges(&[first, second]), EXCHANGES);
    }

    const EXCHANGES: &str = "
ID          OPENED      WHO                  QUESTION      LICENCE    STATE      OUTCOME
xmeQ2llDxE  2026-09-21  we ask               verification  KE-IMP     answered   VALID until
            14:13:21Z   firearms.example.ke                2026/0042             2027-02-28
xmeQ2llDxE  2026-09-21  firearms.example.ke  authenticity  KE-IMP     delivered  for an officer
            14:13:21Z   asks                               2026/0042
";

    fn line(item: &TimelineItem, name: &str) -> String {
        let text = message(item, 3, &exchange_view().summary);
        let found = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        found.strip_prefix(name).expect("the line has its name").trim().to_owned()
    }

    #[test]
    fn what_must_not_be_overlooked_stands_out() {
        let body = json!({ "answer": "REVOKED", "reason": "wrong licence" });
        let mut correction = item("c", Side::Requested, Kind::Correction, body);
        assert_eq!(
            line(&correction, "3."),
            "!! firearms.example.ke: CORRECTION: REVOKED, because: wrong licence"
        );
        correction.effective = false;
        assert!(message(&correction, 3, &exchange_view().summary).contains("WITHOUT EFFECT"));
        let body =
            json!({ "licence_no": "42", "event": "REVOKED", "effective": "2026-12-01", "note": "Stolen." });
        let notice = item("n", Side::Requested, Kind::LicenceNotice, body);
        assert_eq!(
            line(&notice, "3."),
            "!! firearms.example.ke: NOTICE: 42 is REVOKED since 2026-12-01. Stolen."
        );
        assert_eq!(line(&notice, "in their log"), "no proof");
    }

    #[test]
    fn a_message_of_ours_shows_what_became_of_it() {
        let mut ours = item("w", Side::Requesting, Kind::Withdrawal, json!({ "reason": "sold elsewhere" }));
        assert_eq!(line(&ours, "3."), "we: withdrawn: sold elsewhere");
        assert_eq!(line(&ours, "receipt"), "NOT DELIVERED YET");
        ours.receipt = delivered().map(|receipt| ReceiptView { refused: Some(30), ..receipt });
        if let Some(receipt) = &mut ours.receipt {
            receipt.meaning = Some("delivered after its accept_until".to_owned());
        }
        let refused = "REFUSED with code 30, delivered after its accept_until: 2026-09-21 14:13:22Z";
        assert!(line(&ours, "receipt").starts_with(refused), "{}", line(&ours, "receipt"));
    }

    #[test]
    fn conditions_we_do_not_know_are_shown_and_said_to_be_so() {
        let mut handling = Handling::for_licences(LegalBasis::Article10Para5);
        handling.release_to = vec!["PER".parse().expect("a State")];
        handling.embargo_until = Some(jiff::civil::date(2027, 1, 1));
        assert_eq!(
            conditions(&handling),
            "LICENSING under FP_10_5; confidential; DESIGNATED_AUTHORITIES_ONLY, PURPOSE_BOUND, \
             NO_THIRD_PARTY_WITHOUT_CONSENT; onward WITH_CONSENT (PER); not to be used before 2027-01-01; \
             personal data NONE"
        );
        handling.unknown.insert("shred".to_owned(), json!(true));
        let text = conditions(&handling);
        assert!(text.starts_with("NOT ALL UNDERSTOOD HERE, keep to the strictest; "), "{text}");
        assert!(text.ends_with("; shred true"), "{text}");
    }

    #[test]
    fn an_officer_sees_why_and_what_our_list_says() {
        let mut view = exchange_view();
        view.summary.for_officer = true;
        view.why_officer = Some("no rule answers this peer".to_owned());
        view.proposal = Some(Outcome::Answer(Answer::NotFound));
        let text = exchange_summary(&view);
        assert!(text.contains("for officer    no rule answers this peer\n"), "{text}");
        assert!(text.contains("our list says  NOT_FOUND\n"), "{text}");
    }
}

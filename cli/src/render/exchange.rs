//! An exchange as people read it: what was asked, what it came to, and every message with its proof.

use jiff::civil::Date;
use liaison_protocol::authority::Timestamp;
use liaison_protocol::handling::Handling;
use liaison_protocol::message::{Body, Kind, Outcome, Subject};
use liaison_protocol::operator::{
    AttachmentView, CandidateView, ExchangeSummary, ExchangeView, ReceiptView, Side, State, TimelineItem,
};

use super::said::{self, details, sentence};
use super::words::{self, coded, word};
use super::{code, domain, facts, grouped, short, table};

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
        let mut outcome = match &summary.outcome {
            Some(_) => outcome(summary, None),
            None => waiting.to_owned(),
        };
        if summary.no_reply {
            outcome = if outcome.is_empty() { "OVERDUE".to_owned() } else { format!("OVERDUE; {outcome}") };
        }
        [
            short(&summary.id),
            summary.opened.to_string(),
            asked,
            topic(summary.kind).to_owned(),
            summary.subject.clone(),
            state(summary),
            outcome,
        ]
    });
    table(["Id", "Opened", "Who", "Question", "About", "State", "Outcome"], rows)
}

/// How far it has come. A clearance whose last day is over has lapsed: nothing more may pass on it.
fn state(summary: &ExchangeSummary) -> String {
    let is_over = summary.valid_to.is_some_and(|last| last < today());
    if summary.state == State::Cleared && is_over {
        "lapsed".to_owned()
    } else {
        word(summary.state.as_str())
    }
}

/// The day, in UTC.
pub(crate) fn today() -> Date {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(now.as_secs()).date()
}

/// How an exchange stands.
pub(crate) fn exchange_summary(view: &ExchangeView) -> String {
    let summary = &view.summary;
    let (question, about) = match summary.kind {
        Kind::AuthenticityCheck => ("is the document genuine?", "licence"),
        Kind::TraceRequest => ("where did this item go?", "item"),
        Kind::TransitNotification => ("do you object to this shipment?", "shipment"),
        _ => ("was the licence issued, and does it stand?", "licence"),
    };
    let asked = match summary.side {
        Side::Requested => format!("{} asks us: {question}", summary.peer),
        Side::Requesting => format!("we ask {}: {question}", summary.peer),
    };
    let result = match summary.outcome {
        Some(_) => outcome(summary, view.result.as_ref()),
        None => "none yet".to_owned(),
    };
    let mut rows = vec![
        ("exchange", summary.id.to_string()),
        ("question", asked),
        (about, summary.subject.clone()),
        ("state", state(summary)),
        ("outcome", result),
    ];
    rows.extend(due(summary).map(|due| ("due", due)));
    rows.extend(summary.case_ref.clone().map(|case| ("our file", case)));
    rows.push(("opened", format!("{}, our leaf {}", summary.opened, summary.leaf)));
    rows.push(("updated", summary.updated.to_string()));
    if summary.for_officer {
        let why = view.why_officer.clone().unwrap_or_else(|| "an officer must decide".to_owned());
        rows.push(("for officer", why));
    }
    rows.extend(view.proposal.as_ref().map(|outcome| ("our list says", said::outcome(outcome))));
    if !view.acts.is_empty() {
        let acts: Vec<_> = view.acts.iter().map(|act| act_in_words(act, summary.kind)).collect();
        rows.push(("open to us", acts.join(", ")));
    }
    facts(rows)
}

fn act_in_words(act: &str, kind: Kind) -> String {
    match (act, kind) {
        ("answer", Kind::TransitNotification) => "decide".to_owned(),
        ("reply_to_conditions", _) => "accept or refuse the conditions".to_owned(),
        _ => act.replace('_', " "),
    }
}

/// What it came to, in words.
pub(super) fn outcome(summary: &ExchangeSummary, result: Option<&Outcome>) -> String {
    match (summary.kind, result) {
        (Kind::TraceRequest, Some(result)) => said::outcome(result),
        (Kind::TraceRequest, None) => words::in_text(summary.outcome.as_deref().unwrap_or_default()),
        (Kind::TransitNotification, _) => {
            let decided = result.map(said::outcome);
            let decided =
                decided.or_else(|| summary.outcome.as_deref().map(words::in_text)).unwrap_or_default();
            match summary.state {
                State::Rescinded => format!("TAKEN BACK: {decided}"),
                State::Blocked if !decided.starts_with("objection") => {
                    format!("CONDITIONS REFUSED: {decided}")
                }
                _ => decided,
            }
        }
        // Licences have words of their own, which are as short as they are known.
        _ => summary.outcome.clone().unwrap_or_default(),
    }
}

/// What is owed, by when, and whether that has passed.
pub(super) fn due(summary: &ExchangeSummary) -> Option<String> {
    let due = summary.due?;
    let who = match summary.side {
        Side::Requested => "we owe: ",
        Side::Requesting => "",
    };
    let passed = if summary.no_reply { "OVERDUE: silence is no answer; " } else { "" };
    Some(format!("{passed}{who}{due}"))
}

/// An exchange with everything that happened in it.
pub(crate) fn exchange(view: &ExchangeView) -> String {
    let mut text = exchange_summary(view);
    let opener =
        view.timeline.first().and_then(|item| Body::read(item.kind.as_str(), item.body.clone()).ok());
    match opener.as_ref().and_then(Body::subject) {
        Some(Subject::Licence(document)) => {
            text.push_str("\nPRESENTED\n");
            text.push_str(&facts(said::presented(document)));
        }
        Some(Subject::Trace(request)) => {
            text.push_str("\nREQUEST\n");
            text.push_str(&facts(said::request(request)));
        }
        Some(Subject::Transit(notification)) => {
            text.push_str("\nSHIPMENT\n");
            text.push_str(&facts(said::notification(notification)));
            for licence in &notification.import_licences {
                text.push_str("\nIMPORT LICENCE\n");
                text.push_str(&facts(said::presented(licence)));
            }
        }
        None => {}
    }
    if !view.candidates.is_empty() {
        text.push_str("\nCANDIDATES IN OUR REGISTER\n");
        text.push_str(&candidates(&view.candidates));
    }
    text.push_str("\nTIMELINE\n");
    let items = view.timeline.iter().zip(1..).map(|(item, number)| message(item, number, &view.summary));
    text.push_str(&items.collect::<Vec<_>>().join("\n"));
    text
}

/// What our register has that may be the item, best first.
fn candidates(candidates: &[CandidateView]) -> String {
    let rows = candidates.iter().map(|candidate| {
        [
            candidate.record.to_string(),
            candidate.item.clone(),
            coded(&candidate.level),
            candidate.why.join("\n"),
            said::outcome(&Outcome::Trace(candidate.response.clone())),
        ]
    });
    table(["Record", "Item", "Match", "Why", "We would answer"], rows)
}

/// An attachment, and whether it is here.
pub(crate) fn attachment(view: &AttachmentView) -> String {
    let attachment = &view.attachment;
    let shown = attachment.view.as_ref().map(|view| format!(" ({})", coded(view))).unwrap_or_default();
    let here = match (view.here, view.trouble.as_deref()) {
        (true, _) => String::new(),
        (false, why) => format!(": PENDING, {}", why.unwrap_or("it has not arrived yet")),
    };
    format!(
        "{}{shown}, {} bytes, {}{here}",
        attachment.name,
        grouped(attachment.length),
        short(&attachment.digest)
    )
}

/// Whether a shipment may pass one State, on a line.
pub(crate) fn cleared(view: &ExchangeView, clears: bool, why: &str) -> String {
    let mark = if clears { "yes" } else { "NO " };
    format!("{mark}  {}  {}: {why}\n", short(&view.summary.id), domain(&view.summary.peer))
}

fn message(item: &TimelineItem, number: usize, summary: &ExchangeSummary) -> String {
    let ours = item.from == summary.side;
    let who = if ours { "we" } else { domain(&summary.peer) };
    // What changes an answer that somebody may have acted on must not be overlooked.
    let mark = match item.kind {
        Kind::Correction | Kind::LicenceNotice | Kind::TransitDecisionWithdrawal => "!! ",
        _ => "",
    };
    let without = match (item.revoked, item.effective) {
        (true, _) => " (DOES NOT COUNT: its key is revoked from before it was sealed)",
        (false, true) => "",
        (false, false) => " (WITHOUT EFFECT: it came late or crossed another; kept)",
    };
    let name = format!("{number}.");
    let mut rows = vec![(name.as_str(), format!("{mark}{who}: {}{without}", sentence(item)))];
    rows.extend(details(item));
    rows.extend(item.attachments.iter().map(|view| ("attached", attachment(view))));
    rows.extend(item.persons.iter().map(|person| {
        let born = person.birth_date.map(|date| format!(", born {date}")).unwrap_or_default();
        let of = person.nationality.as_ref().map(|state| format!(", {state}")).unwrap_or_default();
        let document = person.document.as_ref().map(|document| format!(", {document}")).unwrap_or_default();
        let note = person.note.as_ref().map(|note| format!(". {note}")).unwrap_or_default();
        ("person", format!("{}: {}{born}{of}{document}{note}", coded(&person.role), person.name))
    }));
    if item.persons_absent > 0 {
        rows.push(("person", format!("{} not here: withheld, or erased", item.persons_absent)));
    }
    rows.extend([
        ("by", item.by.to_string()),
        ("sealed", item.sealed.to_string()),
        ("recorded", format!("{}, our leaf {}", item.recorded, item.leaf)),
    ]);
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
        code(&handling.purpose),
        words(handling.legal_basis.iter().map(code).collect())
    )];
    parts.push(if handling.confidential { "confidential" } else { "not confidential" }.to_owned());
    if !handling.restrictions.is_empty() {
        parts.push(words(handling.restrictions.iter().map(code).collect()));
    }
    let release = words(handling.release_to.iter().map(ToString::to_string).collect());
    let release = if release.is_empty() { release } else { format!(" ({release})") };
    parts.push(format!("onward {}{release}", code(&handling.onward)));
    parts.extend(handling.embargo_until.map(|date| format!("not to be used before {date}")));
    parts.extend(handling.retain_until.map(|date| format!("to be kept until {date}")));
    parts.push(format!("personal data {}", code(&handling.personal_data)));
    parts.extend(handling.unknown.iter().map(|(name, value)| format!("{name} {value}")));
    if !handling.is_understood() {
        parts.insert(0, "NOT ALL UNDERSTOOD HERE, keep to the strictest".to_owned());
    }
    parts.join("; ")
}

pub(super) fn topic(kind: Kind) -> &'static str {
    match kind {
        Kind::AuthenticityCheck => "authenticity",
        Kind::TraceRequest => "trace",
        Kind::TransitNotification => "transit",
        _ => "verification",
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use liaison_protocol::attachment::{Attachment, SALT_LEN, digest};
    use liaison_protocol::authority::{By, Timestamp};
    use liaison_protocol::case::Progress;
    use liaison_protocol::deadline::{Due, Owing};
    use liaison_protocol::handling::LegalBasis;
    use liaison_protocol::licence::{Answer, GoodsLine, Presented};
    use liaison_protocol::merkle::Hash;
    use liaison_protocol::message::{CaseRefs, MessageId, Outcome};
    use liaison_protocol::operator::{CaseView, HopView};
    use liaison_protocol::trace::{MatchLevel, TraceRequest, TraceResponse};
    use serde_json::{Value, json};

    use super::*;
    use crate::commands::files::from_toml;
    use crate::render::case;
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
            revoked: false,
            attachments: Vec::new(),
            persons: Vec::new(),
            persons_absent: 0,
        }
    }

    /// A photograph with this content.
    pub(crate) fn attachment_of(content: &[u8]) -> Attachment {
        Attachment {
            digest: digest(&[7; SALT_LEN], content),
            salt: "BwcHBwcHBwcHBwcHBwcHBw".to_owned(),
            length: content.len() as u64,
            media_type: "image/jpeg".parse().expect("a line"),
            name: "photo.jpg".parse().expect("a line"),
            view: None,
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
                subject: "KE-IMP 2026/0042".to_owned(),
                case_ref: Some("EXP-2026-117".to_owned()),
                outcome: Some(valid.to_string()),
                for_officer: false,
                due: None,
                no_reply: false,
                valid_to: None,
                opened: Timestamp(BORN + 1),
                updated: Timestamp(BORN + 5),
                leaf: 12,
            },
            result: Some(valid),
            notice: None,
            why_officer: None,
            proposal: None,
            candidates: Vec::new(),
            acts: vec!["withdraw".to_owned()],
            timeline: vec![asked, answered],
        }
    }

    /// What Peru asks Czechia.
    pub(crate) fn trace_request() -> TraceRequest {
        let template = from_toml(include_str!("../../templates/trace-firearm.toml")).expect("a template");
        serde_json::from_value(template).expect("a request")
    }

    /// What Czechia answers.
    fn trace_response() -> TraceResponse {
        serde_json::from_value(json!({
            "result_code": "EXPORTED_TO", "match_level": "PARTIAL", "matched_item": trace_request().item,
            "chosen_because": "position 3: ? stands for 1", "registers_searched": ["register"],
            "search_date": "2026-11-24",
            "events": [{ "event": "EXPORTED", "date": "2021-09-14", "to": "KEN", "licence_no": "CZ-EXP-2021-0318" }],
            "last_legal_record": { "status": "EXPORTED", "date": "2021-09-14", "holder": "DEALER", "reference": "CZ-1" },
            "next_hop": { "state": "KEN", "why": "exported there on 2021-09-14", "licence_no": "CZ-EXP-2021-0318" },
        }))
        .expect("a response")
    }

    /// Peru has asked Czechia about a pistol, and Czechia has answered.
    pub(crate) fn trace_view() -> ExchangeView {
        let mut view = exchange_view();
        let (request, response) = (trace_request(), trace_response());
        let mut asked = item("asked", Side::Requesting, Kind::TraceRequest, json!(request));
        asked.receipt = delivered();
        let mut answered = item("answered", Side::Requested, Kind::TraceResponse, json!(response));
        answered.sender_leaf = Some(41);
        view.summary.kind = Kind::TraceRequest;
        view.summary.subject = request.item.title();
        view.candidates = vec![CandidateView {
            record: "CZ-1".parse().expect("a line"),
            item: request.item.title(),
            level: MatchLevel::Partial,
            why: vec!["position 3: ? stands for 1".to_owned(), "make and calibre agree".to_owned()],
            response: response.clone(),
        }];
        view.summary.outcome = Some(response.to_string());
        view.result = Some(Outcome::Trace(response));
        view.timeline = vec![asked, answered];
        view
    }

    /// The case of it.
    pub(crate) fn case_view() -> CaseView {
        let view = trace_view();
        CaseView {
            trace_case: "LIM-2026-0042".parse().expect("a line"),
            item: view.summary.subject.clone(),
            progress: Progress::NextHopProposed,
            why: "CZE names KEN: exported there on 2021-09-14".to_owned(),
            diversion: None,
            next: trace_response().next_hop,
            time_to_recovery_days: Some(1844),
            hops: vec![HopView { hop: 1, asked: "CZE".parse().expect("a State"), exchange: view.summary }],
        }
    }

    /// Peru has told Uganda of a shipment, and Uganda does not object.
    pub(crate) fn transit_view() -> ExchangeView {
        let mut view = exchange_view();
        let decision = json!({
            "decision": "NO_OBJECTION", "valid_from": "2026-12-01", "valid_to": "2026-12-20",
        });
        let notification = from_toml(include_str!("../../templates/transit.toml")).expect("a template");
        let mut told = item("told", Side::Requesting, Kind::TransitNotification, notification);
        told.receipt = delivered();
        view.summary.kind = Kind::TransitNotification;
        view.summary.subject = "EXP-2026-117 through KEN, UGA".to_owned();
        view.summary.state = State::Cleared;
        view.summary.outcome = Some("NO_OBJECTION until 2026-12-20".to_owned());
        view.result = serde_json::from_value(decision.clone()).ok();
        view.timeline = vec![told, item("decided", Side::Requested, Kind::TransitDecision, decision)];
        view
    }

    #[test]
    fn what_is_overdue_pending_or_absent_is_said_so() {
        let mut view = trace_view();
        view.summary.due = Some(Due { owing: Owing::Answer, at: Timestamp(BORN) });
        view.summary.no_reply = true;
        let due = "due         OVERDUE: silence is no answer; answer by 2026-09-21 14:13:20Z\n";
        assert!(exchange(&view).contains(due), "{}", exchange(&view));
        assert!(
            exchanges(&[view.summary.clone()]).contains("OVERDUE"),
            "{}",
            exchanges(&[view.summary.clone()])
        );
        let mut attached = json!(attachment_of(b"a picture"));
        attached["here"] = false.into();
        view.timeline[0].attachments = vec![serde_json::from_value(attached).expect("an attachment")];
        view.timeline[0].persons_absent = 1;
        let person = json!({ "role": "POSSESSOR", "name": "A. N. Other", "birth_date": "1980-01-31" });
        view.timeline[0].persons = vec![serde_json::from_value(person).expect("a person")];
        let text = exchange(&view);
        assert!(text.contains("photo.jpg, 9 bytes, "), "{text}");
        assert!(text.contains(": PENDING, it has not arrived yet\n"), "{text}");
        assert!(text.contains("possessor: A. N. Other, born 1980-01-31\n"), "{text}");
        assert!(text.contains("1 not here: withheld, or erased\n"), "{text}");
    }

    #[test]
    fn a_clearance_that_was_taken_back_does_not_read_like_one() {
        let mut view = transit_view();
        let outcome = |view: &ExchangeView| {
            let text = exchange_summary(view);
            let line = text.lines().find_map(|line| line.strip_prefix("outcome")).unwrap_or_default();
            line.trim().to_owned()
        };
        assert_eq!(outcome(&view), "no objection, from 2026-12-01 to 2026-12-20");
        view.summary.state = State::Rescinded;
        assert!(outcome(&view).starts_with("TAKEN BACK: no objection"));
        assert!(exchanges(&[view.summary.clone()]).contains("TAKEN BACK"));
        view.summary.state = State::Blocked;
        assert!(outcome(&view).starts_with("CONDITIONS REFUSED: "));
    }

    #[test]
    fn a_trace_shows_what_was_asked_what_our_register_has_and_what_was_answered() {
        assert_page(&exchange(&trace_view()), TRACE);
    }

    const TRACE: &str = "
exchange    xmeQ2llDxEZt2AY03rY_Thnwfn-BYk8iK4b-z5__ZEU
question    we ask firearms.example.ke/liaison: where did this item go?
item        pistol Ceska zbrojovka 75, 9x19, no. B7?42
state       answered
outcome     exported to KEN
our file    EXP-2026-117
opened      2026-09-21 14:13:21Z, our leaf 12
updated     2026-09-21 14:13:25Z
open to us  withdraw

REQUEST
item            pistol Ceska zbrojovka 75, 9x19, no. B7?42
made in         CZE
mark            serial: B7?42, worn, on the frame
identified by   trained officer
recovered       2026-10-02, Callao, Ventanilla: seized in criminal proceedings
circumstances   Found under the seat of a car that was stopped at a checkpoint.
may be illicit  suspected. Held without a licence, contrary to Law 30299, art. 7.
offences        unknown
asked           last legal holder, theft status
for use as      investigation
own records     register of firearms on 2026-10-03: Nothing under this number.
case            LIM-2026-0042, hop 1

CANDIDATES IN OUR REGISTER
RECORD  ITEM                                  MATCH    WHY                         WE WOULD ANSWER
CZ-1    pistol Ceska zbrojovka 75, 9x19, no.  partial  position 3: ? stands for 1  exported to KEN
        B7?42                                          make and calibre agree

TIMELINE
1.          we: where did this go? pistol Ceska zbrojovka 75, 9x19, no. B7?42
by          quispe
sealed      2026-09-21 14:13:20Z
recorded    2026-09-21 14:13:21Z, our leaf 12
receipt     2026-09-21 14:13:22Z, their leaf 40; proven to us 2026-09-21 14:13:23Z
conditions  LICENSING under FP_10_2A; confidential; DESIGNATED_AUTHORITIES_ONLY, PURPOSE_BOUND,
            NO_THIRD_PARTY_WITHOUT_CONSENT; onward WITH_CONSENT; personal data NONE
message     xmeQ2llDxEZt2AY03rY_Thnwfn-BYk8iK4b-z5__ZEU

2.            firearms.example.ke: exported to KEN
on record     pistol Ceska zbrojovka 75, 9x19, no. B7?42
match         partial
chosen        position 3: ? stands for 1
history       2021-09-14  exported to KEN, licence CZ-EXP-2021-0318
last record   exported since 2021-09-14, holder: dealer, record CZ-1
ask next      KEN: exported there on 2021-09-14, under licence CZ-EXP-2021-0318
searched      register on 2026-11-24
by            quispe
sealed        2026-09-21 14:13:20Z
recorded      2026-09-21 14:13:21Z, our leaf 12
in their log  their leaf 41, proven
conditions    LICENSING under FP_10_2A; confidential; DESIGNATED_AUTHORITIES_ONLY, PURPOSE_BOUND,
              NO_THIRD_PARTY_WITHOUT_CONSENT; onward WITH_CONSENT; personal data NONE
message       aMeAzRMqApnHzT-oZJeDy8KHKpjZDNTta5aW48YcTGg
";

    #[test]
    fn a_case_is_told_hop_by_hop() {
        assert_page(&case(&case_view(), &[trace_view()]), CASE);
    }

    const CASE: &str = "
case         LIM-2026-0042
item         pistol Ceska zbrojovka 75, 9x19, no. B7?42
progress     next hop proposed: CZE names KEN: exported there on 2021-09-14
to recovery  1844 days from the last legal record to the recovery
ask next     KEN: exported there on 2021-09-14, under licence CZ-EXP-2021-0318
             liaison case next LIM-2026-0042

1.         We asked CZE on 2026-09-21
answer     exported to KEN
on record  pistol Ceska zbrojovka 75, 9x19, no. B7?42
history    2021-09-14  exported to KEN, licence CZ-EXP-2021-0318
exchange   xmeQ2llDxE
";

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
ID          OPENED      WHO                  QUESTION      ABOUT      STATE      OUTCOME
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

//! Cases of traces and transit: messages of each kind, deliveries, exchanges; parts beside a message; spans of time.
//! Kenya asks Uruguay where a pistol went; Peru asks Uruguay whether it objects to a shipment's passing.

use liaison_protocol::attachment::{self, Attachment};
use liaison_protocol::authority::Timestamp;
use liaison_protocol::deadline::{Pause, Span, WorkingCalendar};
use liaison_protocol::envelope::{self, Verified};
use liaison_protocol::handling::{Coded, Handling};
use liaison_protocol::item::{Firearm, FirearmType, Item};
use liaison_protocol::mail;
use liaison_protocol::merkle::Hash;
use liaison_protocol::message::{
    Acknowledgement, Body, Clarification, ClarificationRequest, Correction, InformationRequest,
    InformationSupply, Message, MessageId, Outcome, Reminder,
};
use liaison_protocol::trace::{
    Conclusion, Diversion, MatchLevel, ResultCode, TraceOutcome, TraceRequest, TraceResponse, Urgency,
};
use liaison_protocol::transit::{
    ConditionReply, DecisionCode, TransitDecision, TransitDecisionWithdrawal, TransitNotification,
};
use liaison_protocol::{json, jws};
use serde_json::{Value, json};

use crate::samples::{
    date, decision, delayed, destroyed, exported_to, interim, line, person, photo, pistol, prose, refused,
    response, restricted, trace_request, transit_notification,
};
use crate::world::{CHILE, DAY, KENYA, PERU, Party, START, URUGUAY, follow, opener, payload_of};
use crate::{Case, withdrawal};

pub(crate) fn cases() -> Vec<Case> {
    let mut all = messages();
    all.extend(beside());
    all.extend(traces_delivered());
    all.extend(transit_delivered());
    all.extend(exchanges());
    all.extend(part_cases());
    all.extend(spans());
    all
}

/// The file of a party's key sets.
fn key_sets_of(party: &Party) -> &'static str {
    match party.short {
        "ke" => "key-sets/kenya",
        "pe" => "key-sets/peru",
        "cl" => "key-sets/chile",
        _ => "key-sets/uruguay",
    }
}

/// Kenya's trace request to Uruguay, its first message to it.
fn asks(request: TraceRequest) -> Verified {
    let message = opener(&KENYA, &URUGUAY, 1, Body::TraceRequest(request));
    KENYA.seal(Message { handling: Handling::for_traces(), ..message })
}

/// Peru's notification to Uruguay.
fn notifies(notification: TransitNotification) -> Verified {
    let message = opener(&PERU, &URUGUAY, 1, Body::TransitNotification(notification));
    PERU.seal(Message { handling: Handling::for_transit(), ..message })
}

/// A message in the exchange that `first` opened, number `n` of its sender's.
fn next(from: &Party, n: u64, first: &Verified, links: [Option<MessageId>; 2], body: Body) -> Verified {
    let opened = first.message();
    let other = [KENYA, PERU, CHILE, URUGUAY].into_iter().find(|party| {
        let node = party.node();
        node != from.node() && (node == opened.iss || node == opened.aud)
    });
    let message = follow(from, &other.expect("one of the cast"), n, first.id(), links, body);
    from.seal(Message { handling: opened.handling.clone(), ..message })
}

fn asks_more() -> Body {
    Body::InformationRequest(InformationRequest {
        questions: vec![prose("Which proof mark is on the slide?")],
    })
}

fn supplies() -> Body {
    Body::InformationSupply(InformationSupply {
        answers: vec![prose("A lion in a circle, and 94 beside it.")],
        item: Some(pistol()),
    })
}

fn asks_what_it_means() -> Body {
    Body::ClarificationRequest(ClarificationRequest { question: prose("For how long is it refused?") })
}

fn explains() -> Body {
    Body::Clarification(Clarification { answer: prose("Until the trial is over.") })
}

fn concludes() -> Body {
    Body::TraceOutcome(TraceOutcome {
        conclusion: Coded::Known(Conclusion::PodEstablished),
        useful: true,
        point_of_diversion: Some(Diversion {
            state: "URY".parse().expect("a State"),
            date: Some(date("2011-03-02")),
            circumstances: prose("Left the store where it waited for destruction."),
        }),
        note: None,
    })
}

fn acknowledges() -> Body {
    Body::Acknowledgement(Acknowledgement { unit: line("Tracing Centre"), expected: None, note: None })
}

fn answers(response: TraceResponse) -> Body {
    Body::TraceResponse(response)
}

fn decides(code: DecisionCode) -> Body {
    Body::TransitDecision(decision(code))
}

fn rescinds() -> Body {
    Body::TransitDecisionWithdrawal(TransitDecisionWithdrawal { reason: None })
}

fn replies(of: MessageId, accepted: bool) -> Body {
    Body::ConditionReply(ConditionReply { of, accepted, note: None })
}

fn corrects(outcome: TraceResponse) -> Body {
    let reason = prose("The file was at the court.");
    Body::Correction(Correction::of(Outcome::Trace(outcome), reason))
}

/// One message of each new kind, by whom.
fn one_of_each() -> Vec<(Party, Verified)> {
    let (trace, transit) = (asks(trace_request()), notifies(transit_notification()));
    let decided = MessageId(Hash::of(b"the decision"));
    let by = |from: Party, first: &Verified, body| {
        let links = if first.message().iss == from.node() {
            [Some(first.id()), None]
        } else {
            [None, Some(first.id())]
        };
        (from, next(&from, 2, first, links, body))
    };
    vec![
        (KENYA, trace.clone()),
        by(URUGUAY, &trace, answers(exported_to("CHL"))),
        by(KENYA, &trace, concludes()),
        by(URUGUAY, &trace, asks_more()),
        by(KENYA, &trace, supplies()),
        by(KENYA, &trace, asks_what_it_means()),
        by(URUGUAY, &trace, explains()),
        by(KENYA, &trace, Body::Reminder(Reminder { due: START.plus(3 * DAY) })),
        (PERU, transit.clone()),
        by(URUGUAY, &transit, decides(DecisionCode::NoObjectionWithConditions)),
        by(URUGUAY, &transit, rescinds()),
        by(PERU, &transit, replies(decided, true)),
    ]
}

/// For each kind: a good message; one without each member that must be there; one with a member, and one with a code,
/// that we do not know.
fn messages() -> Vec<Case> {
    let mut all = Vec::new();
    for (from, verified) in one_of_each() {
        let kind = verified.message().kind();
        let payload: Value = serde_json::from_str(&payload_of(&verified)).expect("JSON");
        let header = String::from_utf8(json::canonical(&from.header(kind.as_str()))).expect("JSON");
        let us = verified.message().aud.to_string();
        let (node, sets) = (from.node().to_string(), key_sets_of(&from));
        let params = [("us", us.as_str()), ("from", node.as_str()), ("key-sets", sets)];
        let mut add = |name: &str, about: String, expect: &str, understood: Option<&str>, token: &str| {
            let id = envelope::id_of(token).expect("a token").to_string();
            let mut params = params.to_vec();
            if let Some(understood) = understood {
                params.extend([("id", id.as_str()), ("understood", understood)]);
            }
            all.push(Case::new(&format!("messages/{kind}{name}"), &about, expect, &params, token));
        };
        let edited = |change: &dyn Fn(&mut Value)| {
            let mut payload = payload.clone();
            change(&mut payload["body"]);
            from.seal_raw(&header, &payload.to_string())
        };
        add("", format!("a good message of the kind {kind}"), "ok", Some("yes"), verified.token());
        let unknown = edited(&|body| body["colour"] = json!("red"));
        add("-member-unknown", "a member of the body that we do not know".into(), "ok", Some("no"), &unknown);
        let members: Vec<String> = payload["body"].as_object().expect("an object").keys().cloned().collect();
        for member in members {
            let without = edited(&|body| drop(body.as_object_mut().expect("an object").remove(&member)));
            let us = verified.message().aud.clone();
            // Whatever may be left out is left out somewhere else.
            if envelope::open(&without, &from.node(), &from.chain(), &us).is_err() {
                let about = format!("the body has no {member}");
                add(&format!("-without-{}", member.replace('_', "-")), about, "fault 16", None, &without);
            }
            let number = edited(&|body| body[&member] = json!(7));
            if payload["body"][&member].is_number() {
                continue;
            }
            let about = format!("{member} is a number");
            add(&format!("-number-as-{}", member.replace('_', "-")), about, "fault 16", None, &number);
        }
        let body = &payload["body"];
        for (member, place) in [
            ("result_code", "/result_code"),
            ("decision", "/decision"),
            ("conclusion", "/conclusion"),
            ("mode", "/mode"),
            ("identification", "/identification"),
            ("illicit_basis", "/illicit_basis/0"),
            ("item", "/item/marks/0/kind"),
        ] {
            if body.pointer(place).is_none_or(|value| !value.is_string()) {
                continue;
            }
            let newer = edited(&|body| {
                *body.pointer_mut(place).expect("there") = json!("OF_2031");
            });
            let about = format!("a code of a newer list in {member}: taken, and put before an officer");
            add(&format!("-code-unknown-in-{}", member.replace('_', "-")), about, "ok", Some("no"), &newer);
        }
        if body["urgency"].is_string() {
            let newer = edited(&|body| body["urgency"] = json!("WHENEVER"));
            add("-urgency-unknown", "a degree of urgency that is none".into(), "fault 16", None, &newer);
        }
        if body["search_date"].is_string() {
            let never = edited(&|body| body["search_date"] = json!("2026-02-30"));
            add("-date-that-is-none", "searched on the 30th of February".into(), "fault 16", None, &never);
        }
        if body["countries_transit"].is_array() {
            let lower = edited(&|body| body["countries_transit"][0] = json!("uy"));
            add(
                "-state-in-small-letters",
                "a State's code in small letters".into(),
                "fault 16",
                None,
                &lower,
            );
        }
    }
    all
}

/// Attachments, and digests of parts, in the payload.
fn beside() -> Vec<Case> {
    let mut all = Vec::new();
    let with = |attachments: Vec<Attachment>, parts: Vec<Hash>| {
        let message = opener(&KENYA, &URUGUAY, 1, Body::TraceRequest(trace_request()));
        KENYA.seal(Message { handling: Handling::for_traces(), attachments, parts, ..message })
    };
    let good = with(vec![photo()], vec![Hash::of(b"a part")]);
    let payload = payload_of(&good);
    let header = String::from_utf8(json::canonical(&KENYA.header("trace-request"))).expect("JSON");
    let (us, from) = (URUGUAY.node().to_string(), KENYA.node().to_string());
    let mut add = |name: &str, about: &str, expect: &str, understood: Option<&str>, token: &str| {
        let id = envelope::id_of(token).expect("a token").to_string();
        let mut params =
            vec![("us", us.as_str()), ("from", from.as_str()), ("key-sets", key_sets_of(&KENYA))];
        if let Some(understood) = understood {
            params.extend([("id", id.as_str()), ("understood", understood)]);
        }
        all.push(Case::new(&format!("messages/{name}"), about, expect, &params, token));
    };
    let edit = |change: &dyn Fn(&mut Value)| {
        let mut payload: Value = serde_json::from_str(&payload).expect("JSON");
        change(&mut payload);
        KENYA.seal_raw(&header, &payload.to_string())
    };
    add("att-and-parts", "a photograph and a part are named", "ok", Some("yes"), good.token());
    let many = |n: usize| vec![photo(); n];
    add("att-16", "16 attachments", "ok", Some("yes"), with(many(16), Vec::new()).token());
    add("att-17", "17 attachments", "fault 13", None, with(many(17), Vec::new()).token());
    let parts = |n: usize| vec![Hash::of(b"a part"); n];
    add("parts-16", "16 parts", "ok", Some("yes"), with(Vec::new(), parts(16)).token());
    add("parts-17", "17 parts", "fault 13", None, with(Vec::new(), parts(17)).token());
    let most = attachment::MAX_LENGTH;
    add(
        "att-32-mib",
        "an attachment of 32 MiB",
        "ok",
        Some("yes"),
        &edit(&|p| p["att"][0]["length"] = json!(most)),
    );
    for (name, about, place, value) in [
        ("att-longer-than-32-mib", "an attachment a byte longer than 32 MiB", "length", json!(most + 1)),
        ("att-of-nothing", "an attachment without a byte", "length", json!(0)),
        ("att-salt-15-bytes", "a salt of 15 bytes", "salt", json!(jws::encode(&[3; 15]))),
        ("att-salt-padded", "a salt with padding", "salt", json!("AwMDAwMDAwMDAwMDAwMDAw==")),
        ("att-digest-short", "a digest of 31 bytes", "digest", json!(jws::encode(&[3; 31]))),
        ("att-name-of-two-lines", "a name with a line break", "name", json!("a\nb")),
        ("att-media-type-empty", "no media type", "media_type", json!("")),
    ] {
        add(name, about, "fault 13", None, &edit(&|payload| payload["att"][0][place] = value.clone()));
    }
    let without = edit(&|payload| drop(payload["att"][0].as_object_mut().expect("an object").remove("salt")));
    add("att-without-salt", "an attachment whose content could be guessed", "fault 13", None, &without);
    let longer = edit(&|payload| payload["att"][0]["url"] = json!("https://example.net/serial.jpg"));
    add("att-member-unknown", "an attachment says where else it lies", "fault 13", None, &longer);
    add(
        "att-empty",
        "an empty list of attachments in place of none",
        "fault 13",
        None,
        &edit(&|p| p["att"] = json!([])),
    );
    add(
        "parts-empty",
        "an empty list of parts in place of none",
        "fault 13",
        None,
        &edit(&|p| p["parts"] = json!([])),
    );
    add(
        "part-in-the-message",
        "a person in the place of a digest",
        "fault 13",
        None,
        &edit(&|payload| {
            payload["parts"][0] = json!({"name": "Juan Pérez Quispe", "role": "POSSESSOR"});
        }),
    );
    all
}

/// What `from` delivers to `us`; `lines` come before it, with whose they are.
struct Delivery<'a> {
    all: &'a mut Vec<Case>,
}

impl Delivery<'_> {
    fn add(
        &mut self,
        name: &str,
        about: &str,
        expect: &str,
        us: &Party,
        before: &[&Verified],
        last: &Verified,
    ) {
        let from = last.message().iss.clone();
        let sender = [KENYA, PERU, CHILE, URUGUAY].into_iter().find(|party| party.node() == from);
        let sets = key_sets_of(&sender.expect("one of the cast"));
        let (us, from, now) = (us.node().to_string(), from.to_string(), (START.0 + 60).to_string());
        let params =
            [("us", us.as_str()), ("from", from.as_str()), ("key-sets", sets), ("now", now.as_str())];
        let lines = before.iter().chain([&last]).map(|verified| {
            let ours = verified.message().iss.as_str() == us;
            format!("{} {}\n", if ours { '>' } else { '<' }, verified.token())
        });
        let body: String = lines.collect();
        self.all.push(Case::new(&format!("deliveries/{name}"), about, expect, &params, body));
    }
}

fn traces_delivered() -> Vec<Case> {
    let mut all = Vec::new();
    let mut to = Delivery { all: &mut all };
    let first = asks(trace_request());
    to.add("trace-asked", "Kenya asks Uruguay", "ok", &URUGUAY, &[], &first);
    type Change = fn(&mut TraceRequest);
    let lacking: [(&str, &str, u16, Change); 13] = [
        ("no-basis", "no word why the item may be illicit", 43, |r| r.illicit_basis.clear()),
        ("no-offence", "no offence suspected, not even UNKNOWN", 43, |r| r.suspected_offences.clear()),
        ("no-question", "nothing is asked", 43, |r| r.questions.clear()),
        ("no-marks-and-no-photo", "neither a marking nor a photograph", 43, |r| {
            r.item = Item::Firearm(Box::new(Firearm::of(FirearmType::Pistol)));
        }),
        ("no-photo-and-no-reason", "no photograph, and no reason why", 43, |r| r.no_photo_reason = None),
        ("own-registers-not-searched", "own registers were not searched", 43, |r| {
            r.national_search.registers.clear();
        }),
        ("urgent-without-reason", "urgent, and no reason why", 43, |r| r.urgency = Urgency::Urgent),
        ("emergency-without-reason", "a threat to life, and no word of it", 43, |r| {
            r.urgency = Urgency::EmergencyThreatToLife;
        }),
        ("day-without-reason", "an answer is hoped for by a day, and no reason why", 43, |r| {
            r.respond_by = Some(date("2026-10-01"));
        }),
        ("hop-0", "hops are counted from 1", 16, |r| r.hop = 0),
        ("questions-17", "17 questions", 16, |r| r.questions = vec![r.questions[0].clone(); 17]),
        ("marks-33", "33 marks", 16, |r| {
            if let Item::Firearm(firearm) = &mut r.item {
                firearm.marks = vec![firearm.marks[0].clone(); 33];
            }
        }),
        ("references-17", "17 references of other searches", 16, |r| {
            r.other_searches = vec![line("iARMS 2026/117"); 17];
        }),
    ];
    for (name, about, code, change) in lacking {
        let mut request = trace_request();
        change(&mut request);
        let (name, about) = (format!("trace-{name}"), format!("{about} (R-12.4)"));
        to.add(&name, &about, &format!("fault {code}"), &URUGUAY, &[], &asks(request));
    }
    let photographed = {
        let mut request = trace_request();
        request.no_photo_reason = None;
        request.item = Item::Firearm(Box::new(Firearm::of(FirearmType::Pistol)));
        let message = opener(&KENYA, &URUGUAY, 1, Body::TraceRequest(request));
        KENYA.seal(Message { handling: Handling::for_traces(), attachments: vec![photo()], ..message })
    };
    to.add("trace-of-a-photo", "a photograph stands for marks (R-12.4)", "ok", &URUGUAY, &[], &photographed);
    let from_peru = opener(&PERU, &URUGUAY, 1, Body::TraceRequest(trace_request()));
    to.add(
        "trace-by-a-licensing-authority",
        "who licenses exports is no tracing centre (R-13.2)",
        "fault 40",
        &URUGUAY,
        &[],
        &PERU.seal(Message { handling: Handling::for_traces(), ..from_peru }),
    );
    // Kenya's view: it asked, Uruguay answers.
    let id = first.id();
    let said = |body| next(&URUGUAY, 1, &first, [None, Some(id)], body);
    let mut say = |name: &str, about: &str, expect: &str, body: Body| {
        to.add(name, about, expect, &KENYA, &[&first], &said(body));
    };
    for (name, whole) in
        [("refused", refused()), ("restricted", restricted()), ("delayed", delayed("2026-12-01"))]
    {
        say(
            &format!("trace-{name}"),
            &format!("{name}, on a ground and with a reason"),
            "ok",
            answers(whole.clone()),
        );
        let without = |change: fn(&mut TraceResponse)| {
            let mut response = whole.clone();
            change(&mut response);
            answers(response)
        };
        say(
            &format!("trace-{name}-without-ground"),
            &format!("{name}, and on no ground (R-ITI-22)"),
            "fault 43",
            without(|response| response.grounds.clear()),
        );
        say(
            &format!("trace-{name}-without-reason"),
            &format!("{name}, and no word why (R-ITI-22)"),
            "fault 43",
            without(|response| response.reason = None),
        );
    }
    let of = |code| answers(response(code));
    for (name, about, code, body) in [
        ("delayed-for-ever", "delayed, and to no day (R-ITI-22)", 43, {
            answers(TraceResponse { until: None, ..delayed("2026-12-01") })
        }),
        ("exported-somewhere", "exported, and to no State", 43, of(ResultCode::ExportedTo)),
        ("mla-of-whom", "mutual legal assistance, and of no authority", 43, of(ResultCode::MlaRequired)),
        ("redirected-nowhere", "redirected, and to no authority", 43, of(ResultCode::Redirected)),
        ("not-searched", "no record, and no register searched", 43, {
            answers(TraceResponse { registers_searched: Vec::new(), ..response(ResultCode::NoRecord) })
        }),
        ("chosen-without-basis", "a likely item, and no word why it is the one", 43, {
            answers(TraceResponse {
                match_level: Coded::Known(MatchLevel::Confusable),
                matched_item: Some(pistol()),
                ..response(ResultCode::Stolen)
            })
        }),
        ("corrected-to-a-refusal-without-ground", "a correction that refuses on no ground (R-ITI-22)", 43, {
            corrects(TraceResponse { grounds: Vec::new(), ..refused() })
        }),
        ("events-65", "65 events", 16, {
            let event = liaison_protocol::trace::ItemEvent {
                event: Coded::Known(liaison_protocol::trace::EventKind::Sold),
                date: None,
                from: None,
                to: None,
                licence_no: None,
            };
            answers(TraceResponse { events: vec![event; 65], ..response(ResultCode::Stolen) })
        }),
        ("information-without-question", "nothing is asked", 16, {
            Body::InformationRequest(InformationRequest { questions: Vec::new() })
        }),
        ("decided", "a decision on transit in a trace", 41, decides(DecisionCode::NoObjection)),
        ("concluded-by-the-requested", "the requested State concludes", 41, concludes()),
        (
            "reminded-by-the-requested",
            "the requested State reminds",
            41,
            Body::Reminder(Reminder { due: START }),
        ),
        ("supplied-by-the-requested", "the requested State tells what it was not asked", 41, supplies()),
        ("corrected-with-a-decision", "a correction with a decision on transit", 41, {
            let outcome = Outcome::Transit(decision(DecisionCode::NoObjection));
            Body::Correction(Correction::of(outcome, prose("It was meant so.")))
        }),
    ] {
        say(&format!("trace-{name}"), about, &format!("fault {code}"), body);
    }
    // Uruguay's view: Kenya asked, and says more.
    let more = |body| next(&KENYA, 2, &first, [Some(id), None], body);
    for (name, about, expect, body) in [
        ("reminded", "Kenya reminds", "ok", Body::Reminder(Reminder { due: START.plus(3 * DAY) })),
        ("supplied-unasked", "information nobody asked for is kept", "ok", supplies()),
        ("answered-by-the-asker", "the requesting State answers", "fault 41", answers(destroyed())),
        ("questioned-by-the-asker", "the requesting State asks for information", "fault 41", asks_more()),
        ("explained-by-the-asker", "the requesting State explains", "fault 41", explains()),
        ("conditions-in-a-trace", "there are no conditions in a trace", "fault 41", replies(id, true)),
        ("supplied-with-nothing", "information without an answer", "fault 16", {
            Body::InformationSupply(InformationSupply { answers: Vec::new(), item: None })
        }),
    ] {
        to.add(&format!("trace-{name}"), about, expect, &URUGUAY, &[&first], &more(body));
    }
    all
}

fn transit_delivered() -> Vec<Case> {
    let mut all = Vec::new();
    let mut to = Delivery { all: &mut all };
    let first = notifies(transit_notification());
    to.add("transit-notified", "Peru notifies Uruguay", "ok", &URUGUAY, &[], &first);
    type Change = fn(&mut TransitNotification);
    let lacking: [(&str, &str, u16, Change); 14] = [
        ("no-licence", "no import licence", 43, |n| n.import_licences.clear()),
        ("no-place-of-issue", "no place of issue", 43, |n| n.import_licences[0].place_of_issue = None),
        ("no-issue-date", "no date of issue", 43, |n| n.import_licences[0].issue_date = None),
        ("no-expiry-date", "no date of expiry", 43, |n| n.import_licences[0].expiry_date = None),
        ("no-export-country", "no country of export", 43, |n| n.import_licences[0].country_export = None),
        ("no-import-country", "no country of import", 43, |n| n.import_licences[0].country_import = None),
        ("no-recipient", "no final recipient", 43, |n| n.import_licences[0].final_recipient = None),
        ("no-goods", "no description and quantity", 43, |n| n.import_licences[0].lines.clear()),
        ("no-route", "no countries of transit", 43, |n| n.countries_transit.clear()),
        ("expired-licence", "the import licence expires before the shipment passes", 43, |n| {
            n.import_licences[0].expiry_date = Some(date("2026-10-31"));
        }),
        ("export-licence", "an export licence in the place of an import licence", 43, |n| {
            n.import_licences[0].licence_kind = Some(liaison_protocol::licence::LicenceKind::Export);
        }),
        ("window-backwards", "the last day is before the first", 43, |n| n.window_to = date("2026-10-31")),
        ("states-17", "17 States of transit", 16, |n| {
            n.countries_transit = vec![n.countries_transit[0].clone(); 17]
        }),
        ("licences-17", "17 import licences", 16, |n| {
            n.import_licences = vec![n.import_licences[0].clone(); 17]
        }),
    ];
    for (name, about, code, change) in lacking {
        let mut notification = transit_notification();
        change(&mut notification);
        let (name, about) = (format!("transit-{name}"), format!("{about} (Art. 10(3))"));
        to.add(&name, &about, &format!("fault {code}"), &URUGUAY, &[], &notifies(notification));
    }
    // Peru's view: it notified, Uruguay decides.
    let id = first.id();
    let said = |body| next(&URUGUAY, 1, &first, [None, Some(id)], body);
    let of = |code, change: fn(&mut TransitDecision)| {
        let mut decision = decision(code);
        change(&mut decision);
        Body::TransitDecision(decision)
    };
    use DecisionCode::{MoreInformation, NoObjection, NoObjectionWithConditions, NotRequired, Objection};
    for (name, about, expect, body) in [
        ("no-objection", "no objection, for some days", "ok", decides(NoObjection)),
        ("objection", "an objection needs no reason", "ok", decides(Objection)),
        (
            "no-objection-for-ever",
            "no objection, and no last day",
            "fault 43",
            of(NoObjection, |d| d.valid_to = None),
        ),
        ("no-objection-from-no-day", "no objection, and no first day", "fault 43", {
            of(NoObjection, |d| d.valid_from = None)
        }),
        ("no-objection-backwards", "the last day is before the first", "fault 43", {
            of(NoObjection, |d| d.valid_to = Some(date("2026-10-14")))
        }),
        ("conditions-none", "with conditions, and there is none", "fault 43", {
            of(NoObjectionWithConditions, |d| d.conditions.clear())
        }),
        ("conditions-of-an-objection", "an objection with conditions", "fault 43", {
            of(Objection, |d| d.conditions = vec![prose("Pay.")])
        }),
        ("conditions-17", "17 conditions", "fault 16", {
            of(NoObjectionWithConditions, |d| d.conditions = vec![prose("Escort."); 17])
        }),
        ("more-information-about-what", "more information, and not about what", "fault 43", {
            of(MoreInformation, |d| d.reason = None)
        }),
        ("not-required-without-basis", "not required, and not on what basis", "fault 43", {
            of(NotRequired, |d| d.reason = None)
        }),
        ("rescinded", "a clearance is taken back that was not given: kept", "ok", rescinds()),
        (
            "accepted-by-the-requested",
            "who lets pass does not license exports (R-13.2)",
            "fault 40",
            replies(id, true),
        ),
        ("traced", "a response to a trace in a transit exchange", "fault 41", answers(destroyed())),
        (
            "information-asked-as-in-a-trace",
            "in transit, a decision asks for information",
            "fault 41",
            asks_more(),
        ),
        ("corrected", "a decision is superseded, never corrected", "fault 41", {
            let outcome = Outcome::Transit(decision(Objection));
            Body::Correction(Correction::of(outcome, prose("It was meant so.")))
        }),
    ] {
        to.add(&format!("transit-{name}"), about, expect, &PERU, &[&first], &said(body));
    }
    // Uruguay's view.
    let more = |body| next(&PERU, 2, &first, [Some(id), None], body);
    for (name, about, expect, body) in [
        ("conditions-accepted", "conditions accepted that were not set: kept", "ok", replies(id, true)),
        (
            "decided-by-the-exporter",
            "who licenses exports is no transit authority (R-13.2)",
            "fault 40",
            decides(NoObjection),
        ),
        ("rescinded-by-the-exporter", "nor does it take a clearance back (R-13.2)", "fault 40", rescinds()),
        ("concluded", "there is nothing to conclude in transit", "fault 40", concludes()),
    ] {
        to.add(&format!("transit-{name}"), about, expect, &URUGUAY, &[&first], &more(body));
    }
    // Kenya may send every kind, but not on either side.
    let first = {
        let message = opener(&KENYA, &URUGUAY, 1, Body::TransitNotification(transit_notification()));
        KENYA.seal(Message { handling: Handling::for_transit(), ..message })
    };
    let more = |body| next(&KENYA, 2, &first, [Some(first.id()), None], body);
    for (name, about, body) in [
        ("decides-itself", "the requesting State decides on its own notification", decides(NoObjection)),
        ("rescinds-itself", "the requesting State takes back what the other gave", rescinds()),
        ("concludes", "there is nothing to conclude in transit", concludes()),
    ] {
        to.add(&format!("transit-{name}"), about, "fault 41", &URUGUAY, &[&first], &more(body));
    }
    all
}

/// The messages of one exchange, and what it comes to.
struct Told<'a> {
    all: &'a mut Vec<Case>,
    asking: Party,
    first: Verified,
    said: Vec<Verified>,
}

impl<'a> Told<'a> {
    fn trace(all: &'a mut Vec<Case>) -> Self {
        let first = asks(trace_request());
        Self { all, asking: KENYA, said: vec![first.clone()], first }
    }

    fn transit(all: &'a mut Vec<Case>) -> Self {
        let first = notifies(transit_notification());
        Self { all, asking: PERU, said: vec![first.clone()], first }
    }

    fn last_of(&self, party: &Party) -> Option<MessageId> {
        self.said.iter().rfind(|said| said.message().iss == party.node()).map(Verified::id)
    }

    /// The requesting State says this, having seen all that was said.
    fn asks(self, body: Body) -> Self {
        let saw = self.last_of(&URUGUAY);
        self.says(body, true, saw)
    }

    /// The requested State says this, having seen all that was said.
    fn answers(self, body: Body) -> Self {
        let saw = self.last_of(&self.asking);
        self.says(body, false, saw)
    }

    /// Either side says this, having seen no more of the other than `saw`.
    fn says(mut self, body: Body, asking: bool, saw: Option<MessageId>) -> Self {
        let from = if asking { self.asking } else { URUGUAY };
        let n = 1 + self.said.iter().filter(|said| said.message().iss == from.node()).count() as u64;
        let said = next(&from, n, &self.first, [self.last_of(&from), saw], body);
        self.said.push(said);
        self
    }

    fn id(&self, n: usize) -> Option<MessageId> {
        Some(self.said[n].id())
    }

    fn comes_to(self, name: &str, about: &str, state: &str, outcome: &str, effective: &str) {
        let (requesting, requested) = (self.asking.node().to_string(), URUGUAY.node().to_string());
        let params = [
            ("requesting", requesting.as_str()),
            ("requested", requested.as_str()),
            ("key-sets-requesting", key_sets_of(&self.asking)),
            ("key-sets-requested", key_sets_of(&URUGUAY)),
            ("state", state),
            ("outcome", outcome),
            ("effective", effective),
        ];
        let line = |said: &Verified| {
            let asks = said.message().iss == self.asking.node();
            format!("{} {}\n", if asks { '<' } else { '>' }, said.token())
        };
        let body: String = self.said.iter().map(line).collect();
        self.all.push(Case::new(&format!("exchanges/{name}"), about, "ok", &params, body));
    }
}

fn exchanges() -> Vec<Case> {
    let mut cases = Vec::new();
    let all = &mut cases;
    Told::trace(all)
        .answers(acknowledges())
        .answers(asks_more())
        .asks(supplies())
        .answers(answers(interim()))
        .answers(answers(destroyed()))
        .asks(asks_what_it_means())
        .answers(explains())
        .asks(concludes())
        .comes_to(
            "trace-concluded",
            "asked, acknowledged, more was told, answered in part and in full, explained, concluded",
            "closed",
            "RECORDED_DESTROYED",
            "yes yes yes yes yes yes yes yes yes",
        );
    Told::trace(all).answers(answers(delayed("2026-12-01"))).comes_to(
        "trace-delayed",
        "put off to a day: that is no outcome",
        "delayed",
        "none",
        "yes yes",
    );
    Told::trace(all).answers(answers(delayed("2026-12-01"))).answers(answers(exported_to("CHL"))).comes_to(
        "trace-delayed-and-answered",
        "put off, and answered later",
        "answered",
        "EXPORTED_TO CHL",
        "yes yes yes",
    );
    Told::trace(all).answers(answers(interim())).answers(answers(delayed("2026-12-01"))).comes_to(
        "trace-delayed-after-a-first-answer",
        "put off after a first answer, which stays",
        "delayed",
        "interim: MANUFACTURE_CONFIRMED_NO_DISPOSITION",
        "yes yes yes",
    );
    Told::trace(all).answers(answers(refused())).asks(asks_what_it_means()).answers(explains()).comes_to(
        "trace-refused-and-explained",
        "a refusal that was explained is a refusal",
        "refused",
        "REFUSED (ONGOING_INVESTIGATION)",
        "yes yes yes yes",
    );
    Told::trace(all).asks(Body::Reminder(Reminder { due: START.plus(3 * DAY) })).comes_to(
        "trace-reminded",
        "a reminder changes nothing",
        "open",
        "none",
        "yes yes",
    );
    Told::trace(all).answers(asks_more()).answers(asks_more()).asks(supplies()).comes_to(
        "trace-asked-for-information-twice",
        "what was asked for twice is told once",
        "acknowledged",
        "none",
        "yes yes yes yes",
    );
    let told = Told::trace(all);
    let opened = told.id(0);
    told.asks(withdrawal())
        .says(asks_more(), false, opened)
        .says(answers(destroyed()), false, opened)
        .comes_to(
            "trace-withdrawal-crosses-question",
            "a withdrawal crosses a question and the answer",
            "withdrawn",
            "none",
            "yes yes no no",
        );
    let told = Told::trace(all).answers(answers(exported_to("CHL")));
    let opened = told.id(0);
    told.asks(concludes()).says(corrects(response(ResultCode::NoRecord)), false, opened).comes_to(
        "trace-outcome-crosses-correction",
        "what was concluded crosses a correction: it is open to conclusions again",
        "answered",
        "NO_RECORD",
        "yes yes yes yes",
    );
    Told::trace(all)
        .answers(answers(exported_to("CHL")))
        .answers(corrects(TraceResponse { reason: None, ..restricted() }))
        .comes_to(
            "trace-corrected-to-a-restriction",
            "a correction restricts, for the one reason it has",
            "restricted",
            "RESTRICTED (ONGOING_INVESTIGATION)",
            "yes yes yes",
        );
    let told = Told::trace(all).answers(answers(exported_to("CHL"))).asks(asks_what_it_means());
    let question = told.id(2);
    told.says(corrects(response(ResultCode::Stolen)), false, question)
        .says(explains(), false, question)
        .comes_to(
            "trace-corrected-in-place-of-explained",
            "a correction answers the question; what comes after explains nothing",
            "answered",
            "STOLEN",
            "yes yes yes yes no",
        );
    use DecisionCode::{MoreInformation, NoObjection, NoObjectionWithConditions, NotRequired, Objection};
    Told::transit(all).answers(acknowledges()).answers(decides(NoObjection)).comes_to(
        "transit-cleared",
        "notified, acknowledged, no objection",
        "cleared",
        "NO_OBJECTION until 2026-12-15",
        "yes yes yes",
    );
    let told = Told::transit(all).answers(decides(NoObjectionWithConditions));
    let of = told.id(1).expect("the decision");
    told.asks(replies(of, true)).comes_to(
        "transit-conditions-accepted",
        "its conditions are accepted",
        "cleared",
        "NO_OBJECTION_WITH_CONDITIONS until 2026-12-15",
        "yes yes yes",
    );
    let told = Told::transit(all).answers(decides(NoObjectionWithConditions));
    let of = told.id(1).expect("the decision");
    told.asks(replies(of, false)).comes_to(
        "transit-conditions-rejected",
        "its conditions are not accepted",
        "blocked",
        "NO_OBJECTION_WITH_CONDITIONS until 2026-12-15",
        "yes yes yes",
    );
    let told = Told::transit(all).answers(decides(NoObjectionWithConditions));
    let of = told.id(1).expect("the decision");
    told.answers(decides(NoObjectionWithConditions)).asks(replies(of, true)).comes_to(
        "transit-earlier-conditions-accepted",
        "other conditions stand now: who accepts the earlier ones accepts nothing",
        "conditions_open",
        "NO_OBJECTION_WITH_CONDITIONS until 2026-12-15",
        "yes yes yes no",
    );
    let told = Told::transit(all).answers(decides(NoObjectionWithConditions));
    let (opened, of) = (told.id(0), told.id(1).expect("the decision"));
    told.asks(replies(of, true)).says(decides(Objection), false, opened).comes_to(
        "transit-acceptance-crosses-objection",
        "conditions accepted cross the objection that supersedes them",
        "blocked",
        "OBJECTION",
        "yes yes yes yes",
    );
    Told::transit(all).answers(decides(Objection)).answers(decides(NoObjection)).comes_to(
        "transit-objection-superseded",
        "an objection is superseded",
        "cleared",
        "NO_OBJECTION until 2026-12-15",
        "yes yes yes",
    );
    Told::transit(all).answers(decides(NoObjection)).answers(rescinds()).comes_to(
        "transit-rescinded",
        "a clearance is taken back",
        "rescinded",
        "NO_OBJECTION until 2026-12-15",
        "yes yes yes",
    );
    let told = Told::transit(all).answers(decides(NoObjectionWithConditions));
    let (opened, of) = (told.id(0), told.id(1).expect("the decision"));
    told.asks(replies(of, true)).says(rescinds(), false, opened).comes_to(
        "transit-acceptance-crosses-rescission",
        "conditions accepted cross the withdrawal of the decision",
        "rescinded",
        "NO_OBJECTION_WITH_CONDITIONS until 2026-12-15",
        "yes yes yes yes",
    );
    let told = Told::transit(all);
    let opened = told.id(0);
    told.asks(withdrawal()).says(decides(NoObjection), false, opened).comes_to(
        "transit-withdrawal-crosses-clearance",
        "the notification is withdrawn while a clearance is under way",
        "withdrawn",
        "none",
        "yes yes no",
    );
    Told::transit(all).answers(decides(MoreInformation)).comes_to(
        "transit-more-information",
        "more information is needed",
        "information_requested",
        "MORE_INFORMATION",
        "yes yes",
    );
    Told::transit(all)
        .answers(decides(NoObjection))
        .answers(decides(MoreInformation))
        .asks(supplies_text())
        .comes_to(
            "transit-more-information-after-a-clearance",
            "who needs to know more has cleared nothing, also when it was told",
            "acknowledged",
            "MORE_INFORMATION",
            "yes yes yes yes",
        );
    Told::transit(all).answers(decides(NotRequired)).comes_to(
        "transit-not-required",
        "no decision of its is required: that is no clearance",
        "not_required",
        "NOT_REQUIRED",
        "yes yes",
    );
    let newer =
        TransitDecision { decision: Coded::Unknown(line("NO_OBJECTION_BY_NIGHT")), ..decision(NoObjection) };
    Told::transit(all).answers(decides(NoObjection)).answers(Body::TransitDecision(newer)).comes_to(
        "transit-decision-not-understood",
        "a decision of a newer code list clears nothing (R-10.2c)",
        "blocked",
        "NO_OBJECTION_BY_NIGHT until 2026-12-15",
        "yes yes yes",
    );
    cases
}

/// Information about a shipment, which is no item.
fn supplies_text() -> Body {
    Body::InformationSupply(InformationSupply { answers: vec![prose("MV Callao.")], item: None })
}

/// The first line is a message, the others are the parts beside it.
pub(crate) fn parts(case: &Case) -> String {
    let mut lines = case.text().lines();
    let verified = envelope::assume_recorded(lines.next().expect("a token")).expect("well formed");
    let parts: Vec<String> = lines.map(str::to_owned).collect();
    crate::fault(mail::check_parts(&parts, verified.message()))
}

fn part_cases() -> Vec<Case> {
    let write = |n: u8| attachment::write_part(person(), &[n; attachment::SALT_LEN]);
    let ((one, first), (two, second), (other, _)) = (write(1), write(2), write(3));
    let no_person = r#"{"salt":"AQEBAQEBAQEBAQEBAQEBAQ"}"#.to_owned();
    let message = |parts: Vec<Hash>| {
        let message = opener(&KENYA, &URUGUAY, 1, Body::TraceRequest(trace_request()));
        KENYA.seal(Message { handling: Handling::for_traces(), parts, ..message })
    };
    let two_named = message(vec![first, second]);
    let strange = message(vec![Hash::of(no_person.as_bytes())]);
    let long = {
        let (text, _) = write(1);
        text.replace("Juan", &"J".repeat(attachment::MAX_PART))
    };
    let long_named = message(vec![Hash::of(long.as_bytes())]);
    [
        ("both", "both persons that the message names", "ok", &two_named, vec![one.clone(), two.clone()]),
        ("another-order", "in another order", "ok", &two_named, vec![two.clone(), one.clone()]),
        ("one-withheld", "one is withheld, or erased", "ok", &two_named, vec![two.clone()]),
        ("both-withheld", "both are withheld", "ok", &two_named, vec![]),
        (
            "unknown",
            "a person whom the message does not name",
            "fault 18",
            &two_named,
            vec![one.clone(), other],
        ),
        ("twice", "one stands twice", "fault 18", &two_named, vec![one.clone(), one.clone()]),
        ("altered", "a name was changed", "fault 18", &two_named, vec![one.replace("Juan", "José")]),
        ("blank", "a blank more than was named", "fault 18", &two_named, vec![one.replacen(':', ": ", 1)]),
        ("no-person", "the message names it, and it is no person", "fault 18", &strange, vec![no_person]),
        (
            "too-long",
            "the message names it, and it is longer than 16 KiB",
            "fault 18",
            &long_named,
            vec![long],
        ),
    ]
    .into_iter()
    .map(|(name, about, expect, message, parts)| {
        let lines = std::iter::once(message.token().to_owned()).chain(parts);
        let body: String = lines.map(|line| line + "\n").collect();
        Case::new(&format!("parts/{name}"), about, expect, &[], body)
    })
    .collect()
}

/// When a clock that starts somewhere has run so long.
pub(crate) fn span(case: &Case) -> String {
    let value: Value = json::parse(&case.body).expect("JSON");
    let calendar: WorkingCalendar = serde_json::from_value(value["calendar"].clone()).expect("a calendar");
    let within: Span = serde_json::from_value(value["within"].clone()).expect("a span");
    let seconds = |value: &Value| Timestamp(value.as_u64().expect("seconds"));
    let pauses = value["pauses"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|pause| Pause { from: seconds(&pause["from"]), until: pause.get("until").map(seconds) });
    let pauses: Vec<Pause> = pauses.collect();
    match within.after(seconds(&value["from"]), &pauses, &calendar) {
        Some(at) => format!("at {}", at.0),
        None => "stands still".into(),
    }
}

fn spans() -> Vec<Case> {
    let monday_to_friday = json!({"utc_offset_minutes": 0, "weekend": ["SAT", "SUN"]});
    let nairobi = json!({"utc_offset_minutes": 180, "weekend": ["FRI", "SAT"], "holidays": ["2026-11-30"]});
    let montevideo = json!({"utc_offset_minutes": -180, "weekend": ["SAT", "SUN"]});
    // Thursday 26 November 2026, 22:00 UTC.
    let thursday = 1_795_730_400_u64;
    let (hour, day) = (3600, 86_400);
    let none = json!([]);
    let one = |from: u64, until: u64| json!([{"from": from, "until": until}]);
    let two_in_one = json!([
        {"from": thursday + hour, "until": thursday + 5 * hour},
        {"from": thursday + 20 * hour, "until": thursday + 21 * hour},
    ]);
    [
        (
            "three-working-days",
            "Friday, Monday and Tuesday",
            &monday_to_friday,
            json!({"working_days": 3}),
            none.clone(),
            "at 1796169600",
        ),
        (
            "three-days",
            "Friday, Saturday and Sunday",
            &monday_to_friday,
            json!({"days": 3}),
            none.clone(),
            "at 1795996800",
        ),
        (
            "hours",
            "a day, by night too",
            &monday_to_friday,
            json!({"hours": 24}),
            none.clone(),
            "at 1795816800",
        ),
        (
            "ahead-of-utc",
            "it is Friday there already; Sunday and Tuesday are worked, Monday is a holiday",
            &nairobi,
            json!({"working_days": 2}),
            none.clone(),
            "at 1796158800",
        ),
        (
            "behind-utc",
            "it is Thursday there still: Friday is over three hours later than in UTC",
            &montevideo,
            json!({"working_days": 1}),
            none.clone(),
            "at 1795834800",
        ),
        (
            "paused",
            "a day whose end falls into a pause does not count",
            &monday_to_friday,
            json!({"days": 2}),
            one(thursday + 20 * hour, thursday + 30 * hour),
            "at 1795996800",
        ),
        (
            "paused-within-a-day",
            "a pause that is over before the day is takes nothing away",
            &monday_to_friday,
            json!({"days": 2}),
            one(thursday + 3 * hour, thursday + 4 * hour),
            "at 1795910400",
        ),
        (
            "hours-paused",
            "hours go on where they stopped, also after a second pause",
            &monday_to_friday,
            json!({"hours": 24}),
            two_in_one,
            "at 1795834800",
        ),
        (
            "paused-before",
            "a pause that was over before it began",
            &monday_to_friday,
            json!({"hours": 24}),
            one(thursday - 2 * day, thursday - day),
            "at 1795816800",
        ),
        (
            "paused-afterwards",
            "a pause that begins when the time has passed",
            &monday_to_friday,
            json!({"hours": 24}),
            one(thursday + day, thursday + 2 * day),
            "at 1795816800",
        ),
        (
            "stands-still",
            "information is awaited",
            &monday_to_friday,
            json!({"hours": 24}),
            json!([{"from": thursday}]),
            "stands still",
        ),
    ]
    .into_iter()
    .map(|(name, about, calendar, within, pauses, expect)| {
        let body = json!({"calendar": calendar, "from": thursday, "pauses": pauses, "within": within});
        Case::new(&format!("spans/{name}"), about, expect, &[], body.to_string() + "\n")
    })
    .collect()
}

//! A visitor who tries the door in every way, over real TLS, and a node that believes what it is told.

use super::*;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;

use liaison_protocol::key_set;
use serde_json::{Value, json};

use self::bureau::{Bureau, view};
use self::visitor::{Visitor, rehearse, rehearse_with, settings, token};
use super::asked::{HUGE, LARGE, SMALL, SURPLUS};
use super::threshold::Patience;

mod bureau;
mod visitor;

const KENYA: &str = "firearms.example.ke/liaison";
const PERU: &str = "armas.example.pe/liaison";
const PERU_IN_A_PATH: &str = "/v1/peers/armas.example.pe%2Fliaison";

fn opening() -> Value {
    json!({"peer": PERU, "opening": {
        "question": "verification",
        "presented": {
            "licence_no": "PE-2026-17", "issue_date": "2026-03-01", "final_recipient": "Wildlife Service",
            "lines": [{"line": 1, "description": "Rifle", "quantity": 40, "unit": "pieces"}],
        },
    }})
}

fn admission() -> Value {
    json!({"key_sets": PERU, "fingerprint": "00aa", "channel": "telephone"})
}

#[test]
fn every_route_of_the_document_is_served_and_no_other() {
    rehearse(|visitor| {
        let health = visitor.ask("GET", "/v1/health", Value::Null);
        assert_eq!((health.status, health.json()), (200, json!({"status": "up"})));
        assert_eq!(visitor.ask("GET", "/v1/ready", Value::Null).json(), json!({"ready": true}));
        let document = visitor.ask("GET", "/openapi.json", Value::Null);
        assert_eq!(document.body, openapi());
        assert!(document.has("content-type: application/json"));

        let metrics = visitor.ask("GET", "/metrics", Value::Null);
        let told = format!("content-type: {}", crate::metrics::MEDIA_TYPE);
        assert!(metrics.has(&told), "{}", metrics.head);
        assert!(metrics.body.contains("liaison_api_requests_total{status=\"200\"} 3\n"), "{}", metrics.body);

        assert_eq!(visitor.ask("GET", "/v1/node", Value::Null).json()["node"], KENYA);
        let node = visitor.ask("POST", "/v1/node/key-sets", json!({"key_set": "a.b.c"}));
        assert_eq!(node.json()["key_sets"], "a.b.c");

        let peer = visitor.ask("POST", "/v1/peers", admission());
        assert_eq!((peer.status, &peer.json()["node"]), (201, &json!(PERU)));
        assert_eq!(visitor.ask("GET", "/v1/peers", Value::Null).json()[0]["node"], PERU);
        assert_eq!(visitor.ask("GET", PERU_IN_A_PATH, Value::Null).json()["node"], PERU);
        let rules = json!({"verifications": true});
        let peer = visitor.ask("PUT", &format!("{PERU_IN_A_PATH}/rules"), rules);
        assert_eq!(peer.json()["rules"]["verifications"], true);
        let tested = visitor.ask("POST", &format!("{PERU_IN_A_PATH}/test"), Value::Null);
        assert_eq!(tested.json(), json!({"peer": PERU, "passed": true, "steps": []}));
        let gone = visitor.ask("DELETE", PERU_IN_A_PATH, json!({"reason": "key lost"}));
        assert_eq!((gone.status, gone.body.as_str()), (204, ""));
        visitor.ask("GET", PERU_IN_A_PATH, Value::Null).problem(404);

        let opened =
            visitor.ask_with("POST", "/v1/exchanges", &[("idempotency-key", "KE/1")], opening()).json();
        let id = opened["id"].as_str().expect("an id");
        let page = visitor.ask("GET", "/v1/exchanges", Value::Null).json();
        assert_eq!(page["exchanges"][0]["id"], id);
        // A beginning of the id is the node's to resolve.
        let one = visitor.ask("GET", &format!("/v1/exchanges/{}", &id[..6]), Value::Null);
        assert_eq!(one.json()["id"], id);
        let photo = visitor.ask("PUT", "/v1/attachments?name=mark.csv&view=MARK", json!("a photograph"));
        assert_eq!((photo.status, &photo.json()["view"]), (201, &json!("MARK")));
        let digest = photo.json()["digest"].as_str().expect("a digest").to_owned();
        let read = visitor.ask("GET", &format!("/v1/exchanges/{id}/attachments/{digest}"), Value::Null);
        assert_eq!((read.status, read.body.as_str()), (200, "a photograph"));

        let act = json!({"act": "withdraw", "reason": "found it"});
        let done = visitor.ask("POST", &format!("/v1/exchanges/{id}/acts"), act);
        assert_eq!(done.json()["state"], "withdrawn");

        let path = format!("/v1/exchanges/{id}/evidence");
        let given = visitor.ask("POST", &path, json!({"purpose": "LICENSING", "for": "court"}));
        assert_eq!(given.status, 200);
        assert!(given.has("content-type: application/x-tar"), "{}", given.head);
        let name = format!("content-disposition: attachment; filename=\"evidence-{}.tar\"", &id[..10]);
        assert!(given.has(&name), "{}", given.head);
        let abroad = json!({"purpose": "LICENSING", "for": "CHL"});
        assert_eq!(visitor.ask("POST", &path, abroad).problem(403), "not for that State");
        let nobody = json!({"purpose": "LICENSING", "for": "the press"});
        assert!(visitor.ask("POST", &path, nobody).problem(400).contains("auditor, court or prosecutor"));

        let import = visitor.ask("PUT", "/v1/licences", json!("number\nKE-1\n"));
        assert_eq!(import.json(), json!({"licences": 2, "notices": 0}));
        let import = visitor.ask("PUT", "/v1/firearms", json!("record_no\n1\n"));
        assert_eq!(import.json(), json!({"firearms": 2}));
        assert_eq!(visitor.ask("GET", "/v1/cases", Value::Null).json(), json!([]));
        assert!(visitor.ask("GET", "/v1/cases/K-1", Value::Null).problem(404).contains("K-1"));
        let outcome = json!({"conclusion": "STALLED", "useful": false});
        visitor.ask("POST", "/v1/cases/K-1/conclusion", outcome).problem(404);

        assert_eq!(
            visitor.ask("GET", "/v1/log/checkpoint", Value::Null).problem(503),
            "the key file is not readable"
        );
        let proof = visitor.ask("GET", "/v1/log/inclusion?leaf=12", Value::Null);
        assert_eq!(proof.json()["entry"], "entry 12");
        let proof = visitor.ask("GET", "/v1/log/consistency?from=3&to=12", Value::Null).json();
        assert_eq!((&proof["from"], &proof["to"]), (&json!(3), &json!(12)));

        let orders = &visitor.bureau.0.lock().expect("not poisoned").orders;
        assert!(orders.iter().all(|order| order.starts_with("okello: ")), "{orders:?}");

        // A stream goes on: what it begins with is enough.
        visitor.used.lock().expect("not poisoned").insert("GET /v1/events".to_owned());

        let used = visitor.used.lock().expect("not poisoned");
        let used: BTreeSet<String> = used
            .iter()
            .map(|route| route.replace("armas.example.pe%2Fliaison", "{peer}").replace("K-1", "{case}"))
            .map(|route| route.replace(&digest, "{digest}"))
            .map(|route| route.replace(id, "{id}").replace(&id[..6], "{id}"))
            .collect();
        assert_eq!(used, documented());
    });
}

fn documented() -> BTreeSet<String> {
    let document: Value = serde_json::from_str(&openapi()).expect("a document");
    let paths = document["paths"].as_object().expect("paths");
    let methods = |item: &Value| item.as_object().expect("methods").keys().cloned().collect::<Vec<_>>();
    paths
        .iter()
        .flat_map(|(path, item)| {
            methods(item).into_iter().map(move |m| format!("{} {path}", m.to_uppercase()))
        })
        .collect()
}

/// Follow what changes behind the entry `after`; the connection, and the head of the answer.
fn follow(
    visitor: &Visitor,
    after: &str,
) -> (std::io::BufReader<rustls::StreamOwned<rustls::ClientConnection, TcpStream>>, String) {
    use std::io::BufRead;
    let mut stream = visitor.connect();
    let token = format!("Bearer {}", *make_token([7; 32]));
    let after = if after.is_empty() { String::new() } else { format!("last-event-id: {after}\r\n") };
    let request = format!(
        "GET /v1/events HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: {token}\r\n{after}\r\n"
    );
    stream.write_all(request.as_bytes()).expect("the door listens");
    let (mut stream, mut head) = (std::io::BufReader::new(stream), String::new());
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(stream.read_line(&mut head).expect("text"), 0, "{head}");
    }
    (stream, head)
}

#[test]
fn who_follows_is_told_what_changes_from_where_it_was_until_the_door_closes() {
    use std::io::BufRead;
    rehearse(|visitor| {
        let (mut stream, head) = follow(visitor, "41");
        assert!(
            head.starts_with("HTTP/1.1 200") && head.contains("content-type: text/event-stream"),
            "{head}"
        );
        let mut told = String::new();
        while !told.contains("id: 43") {
            assert_ne!(stream.read_line(&mut told).expect("text"), 0, "{told}");
        }
        assert!(told.contains("event: exchange\n") && told.contains("id: 42\n"), "{told}");
        assert!(told.contains("\"leaf\":42"), "{told}");
        let (_, head) = follow(visitor, "yesterday");
        assert!(head.starts_with("HTTP/1.1 400"), "{head}");
        visitor.closing.send_replace(true);
        stream.read_to_string(&mut told).expect("the stream ends well");
        assert!(told.contains("event: end") && told.contains("the node is stopping"), "{told}");
    });
}

#[test]
fn those_who_follow_are_few_and_who_does_not_read_is_sent_away() {
    let bounds = Bounds { following: 1, unread: 1, idle: Duration::from_millis(300), ..Bounds::default() };
    rehearse_with(bounds, |visitor| {
        let (mut idle, _) = follow(visitor, "99");
        let (_, head) = follow(visitor, "");
        assert!(head.starts_with("HTTP/1.1 503"), "{head}");
        // It reads nothing: its place becomes free, and what it reads at last says why.
        let free = || follow(visitor, "").1.starts_with("HTTP/1.1 200").then_some(());
        let until = std::time::Instant::now() + Duration::from_secs(60);
        while free().is_none() {
            assert!(std::time::Instant::now() < until, "the place is not free");
            std::thread::sleep(Duration::from_millis(50));
        }
        let mut told = String::new();
        idle.read_to_string(&mut told).expect("the stream ends well");
        assert!(told.trim_end().lines().any(|line| line.contains("read too slowly")), "{}", told.len());
    });
}

#[test]
fn nobody_comes_in_without_a_token() {
    rehearse(|visitor| {
        let right = format!("Bearer {}", visitor.token);
        let stranger = format!("Bearer {}", *make_token([9; 32]));
        let short = format!("Bearer {}", &visitor.token[..visitor.token.len() - 1]);
        let other_scheme = format!("Basic {}", visitor.token);
        for route in documented() {
            let (method, path) = route.split_once(' ').expect("a route");
            let open = ["/v1/health", "/v1/ready", "/openapi.json"].contains(&path);
            for wrong in ["", "Bearer", "Bearer ", &stranger, &short, &other_scheme, &visitor.token] {
                let reply = visitor.send(method, path, &[("authorization", wrong)], b"");
                if open {
                    assert_eq!(reply.status, 200);
                } else {
                    reply.problem(401);
                    assert!(reply.has("www-authenticate: Bearer"), "{}", reply.head);
                }
            }
            if !open {
                visitor.send(method, path, &[], b"").problem(401);
                if path == "/v1/events" {
                    // It has no end to wait for.
                    assert!(follow(visitor, "").1.starts_with("HTTP/1.1 200"));
                    continue;
                }
                assert_ne!(visitor.send(method, path, &[("authorization", &right)], b"").status, 401);
            }
        }
    });
}

#[test]
fn the_holder_of_the_token_is_told_to_the_node() {
    rehearse(|visitor| {
        let token = make_token([8; 32]);
        let headers = [("authorization", &*format!("bearer {}", *token)), ("content-type", "text/csv")];
        assert_eq!(visitor.send("PUT", "/v1/licences", &headers, b"x\n").status, 200);
        let mut request = opening();
        request["officer"] = json!("wanjiru");
        visitor.ask_with("POST", "/v1/exchanges", &[("idempotency-key", "1")], request);
        let books = visitor.bureau.0.lock().expect("not poisoned");
        assert_eq!(books.orders, ["customs-1: import", "wanjiru: open"]);
    });
}

#[test]
fn a_repeated_key_opens_nothing_new() {
    rehearse(|visitor| {
        let open =
            |key: &str, body| visitor.ask_with("POST", "/v1/exchanges", &[("idempotency-key", key)], body);
        let first = open("KE/2026/7", opening());
        let id = first.json()["id"].as_str().expect("an id").to_owned();
        assert_eq!(first.status, 201);
        assert!(first.has(&format!("location: /v1/exchanges/{id}")));

        let again = open("KE/2026/7", opening());
        assert_eq!((again.status, again.json()), (200, first.json()));
        assert!(again.has(&format!("location: /v1/exchanges/{id}")));

        let mut other = opening();
        other["opening"]["presented"]["licence_no"] = json!("PE-2026-18");
        assert!(open("KE/2026/7", other.clone()).problem(422).contains("new key"));
        assert_eq!(open("KE/2026/8", other).status, 201);

        let missing = visitor.ask("POST", "/v1/exchanges", opening()).problem(400);
        assert!(missing.contains("Idempotency-Key is missing"), "{missing}");
        for bad in ["", "\u{e9}", &"x".repeat(201)] {
            assert!(open(bad, opening()).problem(400).contains("the header Idempotency-Key: "), "{bad}");
        }
    });
}

#[test]
fn a_key_for_an_act_holds_for_one_exchange() {
    rehearse(|visitor| {
        let ids: Vec<String> = ["1", "2"]
            .map(|key| visitor.ask_with("POST", "/v1/exchanges", &[("idempotency-key", key)], opening()))
            .map(|opened| opened.json()["id"].as_str().expect("an id").to_owned())
            .into();
        let act = json!({"act": "withdraw", "reason": "found it"});
        let withdraw = |id: &str| {
            let path = format!("/v1/exchanges/{id}/acts");
            visitor.ask_with("POST", &path, &[("idempotency-key", "act")], act.clone())
        };
        assert_eq!([withdraw(&ids[0]).status, withdraw(&ids[0]).status], [200, 200]);
        withdraw(&ids[1]).problem(422);
        let act = json!({"act": "acknowledge", "unit": "Registry"});
        let path = format!("/v1/exchanges/{}/acts", ids[1]);
        assert_eq!(visitor.ask("POST", &path, act).problem(409), "only the requested State answers");
    });
}

#[test]
fn an_attachment_is_taken_as_it_is_and_given_as_nothing_a_browser_would_run() {
    rehearse(|visitor| {
        let bearer = format!("Bearer {}", visitor.token);
        let put = |query: &str, media: &str, body: &[u8]| {
            let headers = [("authorization", bearer.as_str()), ("content-type", media)];
            visitor.send("PUT", &format!("/v1/attachments{query}"), &headers, body)
        };
        let opened = visitor.ask_with("POST", "/v1/exchanges", &[("idempotency-key", "1")], opening()).json();
        let id = opened["id"].as_str().expect("an id");
        let get = |digest: &str| {
            visitor.ask("GET", &format!("/v1/exchanges/{id}/attachments/{digest}"), Value::Null)
        };
        // A name that would break out of its header; a type that a browser would run.
        let name = "?name=%22%3B%20a%3D1%20%C3%A9.html";
        let held = put(name, "Text/HTML; charset=utf-8", b"<script>").json();
        assert_eq!(
            (&held["media_type"], &held["name"]),
            (&json!("text/html"), &json!("\"; a=1 \u{e9}.html"))
        );
        let given = get(held["digest"].as_str().expect("a digest"));
        assert_eq!((given.status, given.body.as_str()), (200, "<script>"));
        assert!(given.has("content-disposition: attachment; filename*=UTF-8''%22%3B%20a%3D1%20%C3%A9.html"));
        assert!(
            given.has("content-security-policy: sandbox; default-src 'none'")
                && given.has("content-length: 8")
        );

        let long = vec![b'x'; 300_000];
        let held = put("?name=long&view=LEFT", "image/jpeg", &long).json();
        let given = get(held["digest"].as_str().expect("a digest"));
        assert!(given.has("content-type: image/jpeg") && given.body.as_bytes() == long);

        let pending = put("?name=p", "image/png", b"pending").json();
        get(pending["digest"].as_str().expect("a digest")).problem(409);
        get("nothing").problem(404);
        for media in
            ["", "image", "image/", "/jpeg", "image/j peg", "image/<", &format!("a/{}", "b".repeat(128))]
        {
            put("?name=n", media, b"x").problem(415);
        }
        for query in ["", "?name=", "?name=n&view=TOP", "?name=n&more=1", "?name=a%0Ab"] {
            put(query, "image/png", b"x").problem(400);
        }
        put("?name=n", "image/png", &vec![0; (32 << 20) + 1]).problem(413);
    });
}

#[test]
fn a_body_has_a_limit() {
    rehearse(|visitor| {
        let mut large = admission();
        large["key_sets"] = json!(format!("{PERU}\n{}", "x".repeat(SMALL)));
        assert_eq!(visitor.ask("POST", "/v1/peers", large).status, 201);
        // The longest chain there may be, and the longest version: JSON writes each of their quotation marks as two.
        let longest = "\"".repeat(key_set::MAX_CHAIN * key_set::MAX_BYTES);
        let mut whole = admission();
        whole["key_sets"] = json!(format!("{PERU}\n{}", &longest[200..]));
        assert_eq!(visitor.ask("POST", "/v1/peers", whole).status, 201);
        let version = json!({"key_set": longest[..key_set::MAX_BYTES]});
        assert_eq!(visitor.ask("POST", "/v1/node/key-sets", version).status, 200);
        let bearer = format!("Bearer {}", visitor.token);
        for (method, path, media, limit) in [
            ("POST", "/v1/exchanges", "application/json", SMALL),
            ("POST", "/v1/peers", "application/json", LARGE),
            ("PUT", "/v1/licences", "text/csv", HUGE),
        ] {
            let headers = [("authorization", bearer.as_str()), ("content-type", media)];
            let detail = visitor.send(method, path, &headers, &vec![b' '; limit + 1]).problem(413);
            assert!(detail.contains(&limit.to_string()), "{detail}");
        }
        let headers = [("authorization", bearer.as_str()), ("content-type", "text/csv")];
        assert_eq!(visitor.send("PUT", "/v1/licences", &headers, &vec![b'\n'; HUGE]).status, 200);
    });
}

#[test]
fn whoever_is_answered_before_all_was_heard_is_told_that_the_connection_ends() {
    rehearse(|visitor| {
        let bearer = format!("Bearer {}", visitor.token);
        let begin = |path: &str, bearer: &str, media: &str, length: usize| {
            let mut stream = visitor.connect();
            let head = format!(
                "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: {bearer}\r\n\
                 content-type: {media}\r\ncontent-length: {length}\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).expect("taken");
            stream
        };
        let far = SMALL + SURPLUS + 1;
        for (path, bearer, media, heard, status) in [
            ("/v1/exchanges", bearer.as_str(), "application/json", far, 413),
            ("/v1/exchanges", bearer.as_str(), "text/csv", 0, 415),
            ("/v1/exchanges", "Bearer lsn_no", "application/json", 0, 401),
            ("/v1/nowhere", bearer.as_str(), "application/json", 0, 404),
        ] {
            let mut stream = begin(path, bearer, media, 2 * far);
            stream.write_all(&vec![b' '; heard]).expect("taken");
            let mut said = Vec::new();
            // The connection may end without a last word of TLS.
            if let Err(error) = stream.read_to_end(&mut said) {
                assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof, "{error}");
            }
            let text = String::from_utf8_lossy(&said);
            assert!(text.starts_with(&format!("HTTP/1.1 {status}")), "{text}");
            assert!(text.contains("\r\nconnection: close\r\n"), "{text}");
        }
        // What was heard to its end, be it too long, leaves the connection as it was.
        let mut stream = begin("/v1/exchanges", &bearer, "application/json", SMALL + 1);
        stream.write_all(&vec![b' '; SMALL + 1]).expect("taken");
        let last = "GET /v1/nowhere HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        stream.write_all(last.as_bytes()).expect("taken");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("two answers");
        assert!(text.starts_with("HTTP/1.1 413") && text.contains("HTTP/1.1 404"), "{text}");
    });
}

#[test]
fn a_body_of_another_media_type_is_refused() {
    rehearse(|visitor| {
        let as_csv = visitor.ask("POST", "/v1/exchanges", json!("a,b")).problem(415);
        assert!(as_csv.contains("Content-Type: application/json"), "{as_csv}");
        let as_json = visitor.ask("PUT", "/v1/licences", json!({})).problem(415);
        assert!(as_json.contains("Content-Type: text/csv"), "{as_json}");
        let bearer = format!("Bearer {}", visitor.token);
        visitor.send("POST", "/v1/peers", &[("authorization", &bearer)], b"{}").problem(415);
    });
}

#[test]
fn a_bad_body_is_told_where_it_is_bad() {
    rehearse(|visitor| {
        let bearer = format!("Bearer {}", visitor.token);
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
            ("idempotency-key", "1"),
        ];
        let good = opening().to_string();
        let of = |from: &str, to: &str| good.replacen(from, to, 1);
        for (body, hints) in [
            ("{\n  \"peer\": \"KEN\",,\n}".to_owned(), ["line 2", "column 17"]),
            (of("\"peer\"", "\"pear\""), ["unknown field `pear`, expected one of `peer`", "line 1 column"]),
            (of("2026-03-01", "2026-13-01"), ["opening.presented.issue_date: ", "line 1 column"]),
            (of("PE-2026-17", ""), ["opening.presented.licence_no: licence number: 1 to 64", "line 1"]),
            (
                of("\"verification\"", "\"verify\""),
                ["opening.question: unknown variant `verify`", "`verification`"],
            ),
            (of(":40", ":\"40\""), ["opening.presented.lines[0].quantity: ", "expected u64"]),
            // What a peer may add, an officer may have mistyped.
            (of("issue_date", "isue_date"), ["unknown field `opening.presented.isue_date`", "refused"]),
            (of("\"unit\"", "\"x\":1,\"unit\""), ["unknown field `opening.presented.lines.0.x`", "refused"]),
            (of("{", "{\"peer\":\"x\","), ["duplicate member", "line 1 column"]),
            (of("\"peer\":\"armas.example.pe/liaison\"", "\"officer\":null"), ["missing field `peer`", ""]),
            (String::new(), ["EOF", "line 1 column 0"]),
        ] {
            let detail = visitor.send("POST", "/v1/exchanges", &headers, body.as_bytes()).problem(400);
            for hint in hints {
                assert!(detail.contains(hint), "{body}\n{detail}");
            }
        }
        for (body, hint) in [
            (json!({"act": "withdraw", "reason": "x", "oficer": "a"}), "unknown field `oficer`"),
            (json!({"act": "shrug"}), "unknown variant `shrug`, expected one of `acknowledge`"),
            (json!({"reason": "x"}), "missing field `act`"),
        ] {
            let detail = visitor.ask("POST", "/v1/exchanges/abcdef/acts", body).problem(400);
            assert!(detail.contains(hint), "{detail}");
        }
        // What stands for nothing may be said.
        let body = of("\"lines\":[", "\"version\":null,\"lines\":[");
        assert_eq!(visitor.send("POST", "/v1/exchanges", &headers, body.as_bytes()).status, 201);
    });
}

#[test]
fn a_query_is_read_into_a_filter_or_refused() {
    rehearse(|visitor| {
        let all = "peer=armas.example.pe%2Fliaison&state=answered&side=requested&kind=authenticity-check\
                   &subject=KE%20IMP%2F7&for_officer=true&limit=200&after=AAAAAAAAAAw";
        assert_eq!(visitor.ask("GET", &format!("/v1/exchanges?{all}"), Value::Null).status, 200);
        let asked = visitor.bureau.0.lock().expect("not poisoned").asked.take();
        let expected = Filter {
            peer: Some(PERU.into()),
            state: Some(State::Answered),
            side: Some(Side::Requested),
            kind: Some(Kind::AuthenticityCheck),
            subject: Some("KE IMP/7".into()),
            overdue: None,
            for_officer: Some(true),
            limit: 200,
            after: Some(12),
        };
        assert_eq!(asked, Some(expected));
        for (query, hint) in [
            ("exchanges?licence=x", "unknown field `licence`, expected one of `peer`, `state`, `side`"),
            ("exchanges?limit=0", "limit: from 1 to 200"),
            ("exchanges?limit=201", "limit: from 1 to 200"),
            ("exchanges?limit=many", "limit: invalid digit"),
            ("exchanges?state=lost", "state: unknown variant `lost`"),
            ("exchanges?kind=withdrawal", "kind: an exchange is"),
            ("exchanges?after=12", "after: not the `next`"),
            ("exchanges?for_officer=1", "for_officer: "),
            ("exchanges?peer=a&peer=b", "duplicate field `peer`"),
            ("log/inclusion", "missing field `leaf`"),
            ("log/inclusion?leaf=-1", "leaf: invalid digit"),
            ("log/consistency?from=1&to=2&x=3", "unknown field `x`, expected `from` or `to`"),
        ] {
            let detail = visitor.ask("GET", &format!("/v1/{query}"), Value::Null).problem(400);
            assert!(detail.contains(hint), "{query}\n{detail}");
        }
    });
}

#[test]
fn pages_follow_each_other_to_the_end() {
    rehearse(|visitor| {
        for key in ["1", "2", "3", "4", "5"] {
            visitor.ask_with("POST", "/v1/exchanges", &[("idempotency-key", key)], opening());
        }
        let mut path = "/v1/exchanges?limit=2".to_owned();
        let mut leaves = Vec::new();
        loop {
            let page: ExchangePage = view(visitor.ask("GET", &path, Value::Null).json());
            leaves.extend(page.exchanges.iter().map(|exchange| exchange.leaf));
            let Some(next) = page.next else { break };
            path = format!("/v1/exchanges?limit=2&after={next}");
        }
        assert_eq!(leaves, [4, 3, 2, 1, 0]);
    });
}

#[test]
fn what_is_not_there_is_a_problem_too() {
    rehearse(|visitor| {
        let raw = format!("/v1/peers/{PERU}");
        assert!(visitor.ask("GET", &raw, Value::Null).problem(404).contains("%2F"));
        for path in ["/", "/v1", "/v1/node/", "/v2/node", "/v1/exchanges/"] {
            visitor.send("GET", path, &[], b"").problem(404);
        }
        let patched = visitor.ask("PATCH", "/v1/peers", Value::Null);
        assert!(patched.problem(405).contains("PATCH"));
        assert!(patched.has("allow: GET,HEAD,POST"), "{}", patched.head);
        visitor.ask("POST", "/v1/health", Value::Null).problem(405);
        assert!(visitor.ask("GET", "/v1/peers/%ff", Value::Null).problem(400).contains("UTF-8"));
    });
}

#[test]
fn a_node_that_does_not_answer_keeps_nobody_waiting_for_ever() {
    let bounds = Bounds {
        at_once: 1,
        request: Duration::from_millis(400),
        long: Duration::from_millis(1),
        ..Bounds::default()
    };
    rehearse_with(bounds, |visitor| {
        visitor.bureau.0.lock().expect("not poisoned").asleep = true;
        let ready = visitor.ask("GET", "/v1/ready", Value::Null);
        assert_eq!((ready.status, ready.json()), (503, json!({"ready": false, "why": "asleep"})));
        std::thread::scope(|scope| {
            let first = scope.spawn(|| visitor.ask("GET", "/v1/node", Value::Null));
            std::thread::sleep(Duration::from_millis(150));
            let second = visitor.ask("GET", "/v1/node", Value::Null);
            assert!(second.has("retry-after: 2"));
            assert!(second.problem(503).contains("too many requests"));
            // Whoever only wants to know whether the node is up needs no place.
            assert_eq!(visitor.ask("GET", "/v1/health", Value::Null).status, 200);
            assert!(first.join().expect("answered").problem(503).contains("no answer in time"));
        });
        assert!(visitor.ask("PUT", "/v1/licences", json!("x")).problem(503).contains("no answer in time"));
    });
}

#[test]
fn strangers_cannot_take_every_place_and_do_not_keep_those_they_take() {
    let bounds = Bounds { connections: 8, request: Duration::from_secs(1), ..Bounds::default() };
    rehearse_with(bounds, |visitor| {
        let strangers: Vec<TcpStream> =
            (0..40).map(|_| TcpStream::connect(visitor.address).expect("it listens")).collect();
        std::thread::sleep(Duration::from_millis(300));
        let ended = |stranger: &TcpStream| {
            stranger.set_nonblocking(true).expect("a socket");
            !matches!((&*stranger).read(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
        };
        assert_eq!(strangers.iter().filter(|stranger| !ended(stranger)).count(), 8);
        // Nobody says a word: the handshake has its time, and then there is room again.
        std::thread::sleep(Duration::from_millis(1500));
        assert_eq!(strangers.iter().filter(|stranger| !ended(stranger)).count(), 0);
        assert_eq!(visitor.ask("GET", "/v1/node", Value::Null).status, 200);
    });
}

#[test]
fn a_stranger_who_asks_much_and_reads_nothing_keeps_no_place() {
    let mut bounds = Bounds { connections: 4, ..Bounds::default() };
    bounds.patience.stranger = Duration::from_secs(1);
    rehearse_with(bounds, |visitor| {
        let strangers: Vec<_> = (0..4)
            .map(|_| {
                let mut stranger = visitor.connect();
                stranger.sock.set_write_timeout(Some(Duration::from_millis(200))).expect("a socket");
                // The answers are more than the system keeps for whoever does not read.
                let _ = stranger.write_all(&b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(80));
                stranger
            })
            .collect();
        std::thread::sleep(Duration::from_millis(1500));
        // Each is ended, and not only to make room: what was on its way to it is all that it gets.
        for mut stranger in strangers {
            stranger.sock.set_read_timeout(Some(Duration::from_secs(2))).expect("a socket");
            let (mut chunk, mut taken) = (vec![0; 1 << 16], 0);
            let ended = loop {
                match stranger.sock.read(&mut chunk) {
                    Ok(0) => break true,
                    Ok(read) => taken += read,
                    Err(error) => break error.kind() == std::io::ErrorKind::ConnectionReset,
                }
            };
            assert!(ended && taken < 80 * openapi().len(), "{ended}, {taken} bytes");
        }
        assert_eq!(visitor.ask("GET", "/v1/node", Value::Null).status, 200);
    });
}

#[test]
fn who_has_a_token_gets_in_though_strangers_took_every_place() {
    rehearse_with(Bounds { connections: 4, ..Bounds::default() }, |visitor| {
        let connect = || TcpStream::connect(visitor.address).expect("it listens");
        let strangers: Vec<TcpStream> = (0..4).map(|_| connect()).collect();
        std::thread::sleep(Duration::from_millis(200));
        for _ in 0..8 {
            assert_eq!(visitor.ask("GET", "/v1/node", Value::Null).status, 200);
        }
        drop(strangers);
    });
}

#[test]
fn who_shows_a_token_keeps_the_connection_but_not_without_ever_reading() {
    let (stranger, takes) = (Duration::from_millis(500), Duration::from_millis(700));
    rehearse_with(Bounds { patience: Patience { stranger, takes }, ..Bounds::default() }, |visitor| {
        let mut stream = visitor.connect();
        let asked = |path: &str| {
            format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", visitor.token)
        };
        stream.write_all(asked("/v1/node").as_bytes()).expect("taken");
        std::thread::sleep(stranger * 2);
        stream.write_all(asked("/v1/node").as_bytes()).expect("it still stands");
        let mut some = [0; 12];
        stream.read_exact(&mut some).expect("an answer");
        assert_eq!(&some, b"HTTP/1.1 200");

        // Many megabytes of answers, and nobody takes them.
        stream.sock.set_write_timeout(Some(Duration::from_millis(200))).expect("a socket");
        let _ = stream.write_all(asked("/openapi.json").repeat(400).as_bytes());
        std::thread::sleep(takes * 3);
        let mut taken = Vec::new();
        let _ = stream.read_to_end(&mut taken);
        assert!(taken.len() < 400 * openapi().len(), "{} bytes", taken.len());
    });
}

#[test]
fn a_request_that_is_never_finished_ends() {
    let bounds = Bounds { request: Duration::from_millis(200), ..Bounds::default() };
    rehearse_with(bounds, |visitor| {
        let mut stream = visitor.connect();
        stream.write_all(b"GET /v1/node HTTP/1.1\r\nhost: ").expect("taken");
        let mut answer = Vec::new();
        // However it ends: without an answer, and soon.
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 200"));

        let mut stream = visitor.connect();
        let head = format!(
            "POST /v1/peers HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: 100\r\n\r\n{{",
            visitor.token
        );
        stream.write_all(head.as_bytes()).expect("taken");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.starts_with(b"HTTP/1.1 503"), "{}", String::from_utf8_lossy(&answer));
    });
}

#[test]
fn the_door_opens_on_loopback_only_and_with_good_tokens_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let refused = |spoil: fn(&mut Settings)| {
        let mut settings = settings(folder.path());
        spoil(&mut settings);
        match runtime.block_on(start(settings, Metrics::default(), Arc::new(Bureau::default()))) {
            Ok(_) => panic!("the door is open"),
            Err(error) => error.to_string(),
        }
    };
    for (spoil, hint) in [
        ((|s| s.listen = ([0, 0, 0, 0], 0).into()) as fn(&mut Settings), "loopback address"),
        (|s| s.listen = "[::]:0".parse().expect("an address"), "loopback address"),
        (|s| s.certificate = "/nowhere/api.pem".into(), "/nowhere/api.pem"),
        (|s| s.key = s.certificate.clone(), "api.pem"),
        (|s| s.certificate = s.key.clone(), "api.key"),
        (|s| s.tokens.push(token("wanjiru", 7)), "wanjiru belongs to another holder too"),
        (|s| *s.tokens[0].secret = "secret".into(), "okello is not one of ours"),
    ] {
        let text = refused(spoil);
        assert!(text.contains(hint), "{text}");
        assert!(!text.contains("secret") && !text.contains("lsn_"), "{text}");
    }
    let mut remote = settings(folder.path());
    remote.listen = ([0, 0, 0, 0], 0).into();
    remote.allow_remote = true;
    let server =
        runtime.block_on(start(remote, Metrics::default(), Arc::new(Bureau::default()))).expect("allowed");
    runtime.block_on(server.shutdown());
}

#[test]
fn a_token_is_known_by_its_prefix() {
    let token = make_token([0xff; 32]);
    assert_eq!(*token, format!("lsn_{}8", "_".repeat(42)));
}

#[test]
fn the_document_is_complete() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    match value.as_str().filter(|_| name == "$ref") {
                        Some(target) => found.push(target.trim_start_matches('#').to_owned()),
                        None => references(value, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let document: Value = serde_json::from_str(&openapi()).expect("a document");
    for route in documented().iter().filter(|route| !route.starts_with("GET ")) {
        let (method, path) = route.split_once(' ').expect("a route");
        let operation = &document["paths"][path][method.to_lowercase()];
        // A test takes nothing but the peer's name.
        assert_eq!(operation["requestBody"].is_object(), !path.ends_with("/test"), "{route}");
    }
    assert!(document["components"]["schemas"]["Coded_Purpose"]["anyOf"].is_array());
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 50);
    for target in found {
        assert!(document.pointer(&target).is_some(), "{target}");
    }
}

#[test]
fn the_openapi_document_is_the_one_checked_in() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(path, openapi()).expect("written");
    }
    let held = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        held == openapi(),
        "node/openapi.json is not what the code says; if the change is meant, run \
         `UPDATE_OPENAPI=1 cargo test -p liaison-node openapi` and review the difference"
    );
}

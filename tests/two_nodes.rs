//! Two or three real nodes: real processes, sockets, files, and the HTTPS API an operator uses.
//!
//! Few and slow. What a network may do to mail is rehearsed in the simulation; here is what only a process can show:
//! that it starts, is killed, runs out of disk, is restored from an old copy, and says what to do about it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use liaison_protocol::operator::{ExchangeView, NodeView, PeerView, Problem, Side, State};
use liaison_tests::processes::{Api, House, admit, introduce, program, run, said, two, wait_for};
use liaison_tests::small_disk::SmallDisk;
use serde_json::{Value, json};

/// A licence list: one in force, one past its day, one taken back; `more` is added to it.
fn list(more: &str) -> String {
    let row = |start: &str, line: &str| format!("{start},2026-01-10,{line}\n");
    let rifles = "Ministerio del Interior,1,Rifle .308,40,pieces";
    [
        "licence_no,licence_kind,status,expiry_date,issue_date,final_recipient,line,description,quantity,unit\n",
        &row("PE-1,IMPORT,ACTIVE,2036-01-09", rifles),
        &row("PE-1,IMPORT,ACTIVE,2036-01-09", "Ministerio del Interior,2,Cartridge .308,20000,pieces"),
        &row("PE-2,IMPORT,ACTIVE,2026-02-09", rifles),
        &row("PE-3,IMPORT,REVOKED,2036-01-09", rifles),
        more,
    ]
    .concat()
}

/// What stands on PE-1, under any number.
fn presented(licence_no: &str) -> Value {
    json!({
        "licence_no": licence_no, "licence_kind": "IMPORT", "issue_date": "2026-01-10",
        "final_recipient": "MINISTERIO DEL INTERIOR",
        "lines": [{"line": 1, "description": "Rifle .308", "quantity": 40, "unit": "pieces"},
                  {"line": 2, "description": "Cartridge .308", "quantity": 20000, "unit": "pieces"}],
    })
}

fn forged(licence_no: &str) -> Value {
    let mut forged = presented(licence_no);
    forged["final_recipient"] = json!("Somebody Else");
    forged
}

fn about(question: &str, presented: &Value) -> Value {
    json!({"question": question, "presented": presented})
}

fn verification(licence_no: &str) -> Value {
    about("verification", &presented(licence_no))
}

/// What both sides must see alike of an exchange: the timeline, and what it came to.
fn common(view: &ExchangeView) -> Value {
    let timeline: Vec<_> = view
        .timeline
        .iter()
        .map(|item| {
            json!([item.id, item.from, item.kind, item.body, item.handling, item.sealed, item.effective])
        })
        .collect();
    json!({
        "id": view.summary.id, "kind": view.summary.kind, "subject": view.summary.subject,
        "outcome": view.summary.outcome, "result": view.result,
        "notice": view.notice, "timeline": timeline,
    })
}

/// Wait until both sides see the exchange alike and every message in it is receipted.
fn agreed(a: &Api, b: &Api, id: &str) -> (ExchangeView, ExchangeView) {
    let settled = |view: &ExchangeView| {
        view.timeline.iter().all(|item| item.from != view.summary.side || item.receipt.is_some())
    };
    let mut last = None;
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let views = (a.exchange(id), b.exchange(id));
        if common(&views.0) == common(&views.1) && settled(&views.0) && settled(&views.1) {
            assert_eq!(views.0.summary.state, views.1.summary.state);
            assert_eq!(views.0.summary.side, views.1.summary.side.other());
            return views;
        }
        assert!(Instant::now() < until, "the two sides do not agree: {last:#?}");
        last = Some((common(&views.0), common(&views.1)));
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn result(view: &ExchangeView) -> Value {
    serde_json::to_value(&view.result).expect("an outcome serialises")
}

fn assert_log_holds(house: &House) {
    let verified = house.verify_log();
    assert!(verified.status.success(), "{}: {}", house.node, said(&verified));
}

#[test]
fn the_whole_life_of_a_verification_is_the_same_on_both_sides() {
    let (mut ken, mut per) = two("KEN", "PER");
    let (k, p) = (ken.api().clone(), per.api().clone());
    p.set_rules("KEN", &json!({"verifications": true, "authenticity": true}));
    assert_eq!(p.import(&list("")), 0);

    // By rule: good, forged, expired, taken back, never issued.
    let (whole, forged) = (presented("PE-1"), forged("PE-1"));
    let mut ids = BTreeMap::new();
    for (name, opening, answer) in [
        ("good", about("verification", &whole), json!({"answer": "VALID", "valid_until": "2036-01-09"})),
        (
            "forged",
            about("verification", &forged),
            json!({"answer": "VALID_WITH_DIFFERENCES", "differences": ["final_recipient"]}),
        ),
        ("expired", verification("PE-2"), json!({"answer": "EXPIRED"})),
        ("revoked", verification("PE-3"), json!({"answer": "REVOKED"})),
        ("never issued", verification("PE-404"), json!({"answer": "NOT_FOUND"})),
        ("genuine", about("authenticity", &whole), json!({"result": "MATCH"})),
        (
            "false",
            about("authenticity", &forged),
            json!({"result": "MISMATCH", "fields": ["final_recipient"]}),
        ),
    ] {
        let opened = k.open_exchange("PER", &opening, name);
        assert_eq!((opened.summary.side, opened.summary.state), (Side::Requesting, State::Requested));
        let id = opened.summary.id.to_string();
        k.wait_until(&id, State::Answered);
        let (ours, _) = agreed(&k, &p, &id);
        assert_eq!(result(&ours), answer, "{name}");
        ids.insert(name, id);
    }

    // The same key, the same exchange; the same key for something else is refused.
    assert_eq!(
        k.open_exchange("PER", &about("verification", &whole), "good").summary.id.to_string(),
        ids["good"]
    );
    let other = json!({"peer": "PER", "opening": verification("PE-9")});
    let reused = k.try_send("POST", "/v1/exchanges", &other, Some("good")).expect("it answers");
    assert_eq!(reused.status, 422, "{reused:?}");

    // By an officer: Kenya answers nothing by rule.
    let asked = p.open_exchange("KEN", &verification("KE-7"), "officer").summary.id.to_string();
    let waits = wait_for("Kenya has it", || {
        k.exchanges().into_iter().find(|summary| summary.id.to_string() == asked)
    });
    assert!(waits.for_officer && waits.state == State::Delivered, "{waits:?}");
    assert!(k.exchange(&asked).why_officer.is_some());
    k.act(
        &asked,
        &json!({"act": "acknowledge", "unit": "Registry", "expected": "2026-12-24", "officer": "okello"}),
    );
    p.wait_until(&asked, State::Acknowledged);
    k.act(&asked, &json!({"act": "answer", "outcome": {"answer": "VALID", "valid_until": "2030-01-01"}}));
    p.wait_until(&asked, State::Answered);
    let corrected = json!({"answer": "REVOKED"});
    k.act(&asked, &json!({"act": "correct", "outcome": corrected, "reason": "the wrong page"}));
    wait_for("the correction is there", || (result(&p.exchange(&asked)) == corrected).then_some(()));
    k.act(&asked, &json!({"act": "notify", "event": "REINSTATED", "effective": "2026-11-01"}));
    wait_for("the notice is there", || p.exchange(&asked).notice);
    p.act(&asked, &json!({"act": "withdraw", "reason": "the case is closed"}));
    k.wait_until(&asked, State::Closed);
    let (ours, theirs) = agreed(&k, &p, &asked);
    assert_eq!(ours.timeline.len(), 6, "{ours:?}");
    assert!(theirs.acts.is_empty() || !theirs.acts.iter().any(|act| act == "withdraw"), "{:?}", theirs.acts);

    // Withdrawn before it is answered: then no answer is possible.
    let early = p.open_exchange("KEN", &verification("KE-8"), "early").summary.id.to_string();
    wait_for("Kenya has it", || k.exchanges().into_iter().find(|summary| summary.id.to_string() == early));
    p.act(&early, &json!({"act": "withdraw", "reason": "asked in error"}));
    k.wait_until(&early, State::Withdrawn);
    let late = json!({"act": "answer", "outcome": {"answer": "NOT_FOUND"}});
    let refused =
        k.try_send("POST", &format!("/v1/exchanges/{early}/acts"), &late, None).expect("it answers");
    assert_eq!(refused.status, 409, "{refused:?}");
    agreed(&k, &p, &early);

    // The list changes: who asked and described the licence rightly is told; who presented a forgery is not.
    assert_eq!(p.import(&list("").replace("PE-1,IMPORT,ACTIVE", "PE-1,IMPORT,SUSPENDED")), 2);
    for name in ["good", "genuine"] {
        let notice = wait_for("the notice is there", || k.exchange(&ids[name]).notice);
        assert_eq!(serde_json::to_value(notice).expect("serialises")["event"], "SUSPENDED", "{name}");
        agreed(&k, &p, &ids[name]);
    }
    assert!(k.exchange(&ids["forged"]).notice.is_none());

    // What the command shows is what the API shows.
    let shown = ken.liaison(&["--json", "exchange", "show", &ids["good"][..8]]);
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap_or_else(|_| panic!("{}", said(&shown)));
    assert_eq!(shown["id"], ids["good"].as_str());
    let document = "licence verify --peer PER --licence-no PE-1 --issued 2026-01-10 --wait 30";
    let mut document: Vec<&str> = document.split(' ').collect();
    document.extend(["--recipient", "Ministerio del Interior", "--line", "1; Rifle .308; 40; pieces"]);
    document.extend(["--line", "2; Cartridge .308; 20000; pieces"]);
    let verified = ken.liaison(&document);
    assert!(verified.status.code() == Some(1), "suspended is no: {}", said(&verified));
    assert!(said(&verified).contains("SUSPENDED"), "{}", said(&verified));

    assert!(ken.stop().success());
    assert!(per.stop().success());
    assert_log_holds(&ken);
    assert_log_holds(&per);
}

#[test]
fn what_is_asked_while_a_peer_is_down_arrives_once_and_in_order() {
    let (mut ken, mut per) = two("KEN", "PER");
    per.api().set_rules("KEN", &json!({"verifications": true}));
    per.api().import(&list(""));
    assert!(per.stop().success());

    let asked: Vec<String> = (0..40)
        .map(|n| {
            let opened =
                ken.api().open_exchange("PER", &verification(&format!("PE-{n}")), &format!("down-{n}"));
            opened.summary.id.to_string()
        })
        .collect();
    let peer = wait_for("the trouble is seen", || {
        Some(ken.api().peer("PER")).filter(|peer| peer.trouble.is_some() && !peer.connected)
    });
    assert_eq!((peer.undelivered, peer.open_exchanges), (40, 40), "{peer:?}");
    // And the one who asked is started again meanwhile.
    ken.kill();
    ken.start();
    per.start();
    for id in &asked {
        ken.api().wait_until(id, State::Answered);
        agreed(ken.api(), per.api(), id);
    }
    let mut arrived = per.api().exchanges();
    arrived.reverse();
    assert_eq!(arrived.iter().map(|summary| summary.id.to_string()).collect::<Vec<_>>(), asked);
    assert!(arrived.windows(2).all(|pair| pair[0].leaf < pair[1].leaf));
    wait_for("all is receipted", || (ken.api().peer("PER").undelivered == 0).then_some(()));
}

#[test]
fn kill_9_at_any_moment_loses_nothing_that_was_acknowledged_and_doubles_nothing() {
    let (ken, per) = two("KEN", "PER");
    per.api().set_rules("KEN", &json!({"verifications": true}));
    ken.api().set_rules("PER", &json!({"verifications": true}));
    per.api().import(&list(""));
    ken.api().import(&list(""));

    let over = Arc::new(AtomicBool::new(false));
    let acknowledged = Arc::new(Mutex::new(BTreeMap::<String, (usize, String)>::new()));
    let failures = Arc::new(AtomicU64::new(0));
    let mut clerks = Vec::new();
    for (side, api, peer) in [(0, ken.api().clone(), "PER"), (1, per.api().clone(), "KEN")] {
        for clerk in 0..3 {
            let (over, acknowledged, failures) = (over.clone(), acknowledged.clone(), failures.clone());
            let api = api.clone();
            clerks.push(std::thread::spawn(move || {
                for n in 0.. {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    let key = format!("{side}-{clerk}-{n}");
                    let licence = format!("L-{key}");
                    let body = json!({"peer": peer, "opening": verification(&licence)});
                    let id = loop {
                        match api.try_send("POST", "/v1/exchanges", &body, Some(&key)) {
                            Ok(answer) if answer.status == 200 || answer.status == 201 => {
                                break answer.body["id"].as_str().expect("an id").to_owned();
                            }
                            Ok(answer) if answer.status == 503 => {}
                            Ok(answer) => panic!("{key}: {answer:?}"),
                            Err(_) => {}
                        }
                        failures.fetch_add(1, Ordering::Relaxed);
                        std::thread::sleep(Duration::from_millis(30));
                    };
                    let known = acknowledged.lock().expect("no clerk panics").insert(licence, (side, id));
                    assert!(known.is_none());
                    std::thread::sleep(Duration::from_millis(4));
                }
            }));
        }
    }
    let mut houses = [ken, per];
    // Not random from anywhere, and yet at no moment the nodes could know of.
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let started = Instant::now();
    let mut kills = 0;
    while started.elapsed() < Duration::from_secs(15) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        std::thread::sleep(Duration::from_millis(500 + seed % 1200));
        let house = &mut houses[(seed >> 32) as usize % 2];
        house.kill();
        std::thread::sleep(Duration::from_millis(seed % 300));
        house.start();
        kills += 1;
    }
    over.store(true, Ordering::Relaxed);
    for clerk in clerks {
        clerk.join().expect("no clerk panics");
    }
    let acknowledged = acknowledged.lock().expect("no clerk panics").clone();
    let (created, failures) = (acknowledged.len(), failures.load(Ordering::Relaxed));
    eprintln!("{kills} kills, {failures} failed attempts, {created} exchanges acknowledged");
    assert!(kills >= 6 && created > 200, "{kills} kills, {created} exchanges");

    let [ken, per] = &mut houses;
    let both = [ken.api().clone(), per.api().clone()];
    wait_for("all is answered on both sides", || {
        let open =
            both.iter().flat_map(|api| api.exchanges()).any(|summary| summary.state != State::Answered);
        let owed = both[0].peer("PER").undelivered + both[1].peer("KEN").undelivered;
        (!open && owed == 0).then_some(())
    });
    let lists = both.each_ref().map(Api::exchanges);
    for list in &lists {
        let licences: BTreeSet<_> = list.iter().map(|summary| &summary.subject).collect();
        assert_eq!(licences.len(), list.len(), "one key, two exchanges");
        let ids: BTreeMap<_, _> = list.iter().map(|summary| (summary.id.to_string(), summary)).collect();
        for (licence, (side, id)) in &acknowledged {
            let found = ids.get(id).unwrap_or_else(|| panic!("{licence} of side {side} is missing"));
            assert_eq!(&found.subject, licence);
        }
        // What a clerk was not told of may have happened all the same, once: it repeats until it is told.
        assert_eq!(list.len(), created);
    }
    let outcome = |list: &[liaison_protocol::operator::ExchangeSummary]| -> BTreeSet<_> {
        list.iter().map(|summary| (summary.id, summary.outcome.clone(), summary.state)).collect()
    };
    assert_eq!(outcome(&lists[0]), outcome(&lists[1]));
    for (_, id) in acknowledged.values().step_by(created / 20) {
        agreed(&both[0], &both[1], id);
    }
    for house in &mut houses {
        assert!(house.stop().success());
        assert_log_holds(house);
    }
}

#[test]
fn without_its_index_a_node_starts_and_shows_the_same() {
    let (mut ken, per) = two("KEN", "PER");
    per.api().set_rules("KEN", &json!({"verifications": true}));
    per.api().import(&list(""));
    ken.api().import(&list(""));
    let mut ids = Vec::new();
    for n in 0..30 {
        let opened =
            ken.api().open_exchange("PER", &verification(&format!("PE-{}", n % 6)), &format!("x-{n}"));
        ids.push(opened.summary.id.to_string());
    }
    ids.push(per.api().open_exchange("KEN", &verification("KE-1"), "back").summary.id.to_string());
    for id in &ids[..30] {
        ken.api().wait_until(id, State::Answered);
    }
    wait_for("it is there", || (ken.api().exchanges().len() == 31).then_some(()));
    wait_for("all is receipted", || (ken.api().peer("PER").undelivered == 0).then_some(()));
    let see = |api: &Api| {
        let views: Vec<ExchangeView> = ids.iter().map(|id| api.exchange(id)).collect();
        (api.exchanges(), views)
    };
    let before = see(ken.api());
    for way in ["deleted", "deleted after a kill", "torn"] {
        if way == "deleted" {
            assert!(ken.stop().success());
        } else {
            ken.kill();
        }
        let index = ken.at("data/index");
        if way == "torn" {
            let db = fs::read(index.join("db")).expect("the index has one file");
            fs::write(index.join("db"), &db[..db.len() / 2]).expect("ours");
        } else {
            fs::remove_dir_all(&index).expect("an index");
        }
        ken.start();
        assert_eq!(see(ken.api()), before, "{way}");
    }
    // And an idempotency key still names what it created.
    let again = ken.api().open_exchange("PER", &verification("PE-3"), "x-3");
    assert_eq!(again.summary.id.to_string(), ids[3]);
}

#[test]
fn idle_nodes_write_nothing() {
    let (mut ken, per) = two("KEN", "PER");
    per.api().set_rules("KEN", &json!({"verifications": true}));
    per.api().import(&list(""));
    let id = ken.api().open_exchange("PER", &verification("PE-1"), "one").summary.id.to_string();
    ken.api().wait_until(&id, State::Answered);
    agreed(ken.api(), per.api(), &id);
    let quiet = |ken: &House, per: &House| {
        let sizes = || (ken.api().log_size(), per.api().log_size());
        // What is under way may land first.
        std::thread::sleep(Duration::from_millis(1500));
        let (before, cpu) = (sizes(), cpu_millis(ken) + cpu_millis(per));
        std::thread::sleep(Duration::from_secs(4));
        assert_eq!(sizes(), before);
        let spent = cpu_millis(ken) + cpu_millis(per) - cpu;
        assert!(spent < 400, "two idle nodes spent {spent} ms of processor in 4 s");
    };
    quiet(&ken, &per);
    // A start is not news either, beyond what the two must say to each other.
    let before = ken.api().log_size();
    assert!(ken.stop().success());
    ken.start();
    quiet(&ken, &per);
    assert!(ken.api().log_size() <= before + 1, "a start wrote {} entries", ken.api().log_size() - before);
}

/// Processor time a node has spent.
fn cpu_millis(house: &House) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", house.pid())).expect("it runs");
    // proc(5): utime and stime are the fields 14 and 15, in ticks of 10 ms; the name before them ends with `)`.
    let after_name = stat.rsplit(')').next().expect("a name in brackets");
    after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|ticks| ticks.parse::<u64>().expect("a number") * 10)
        .sum()
}

#[test]
fn a_node_refuses_to_start_unsafely_and_says_what_to_do() {
    let mut ken = House::new("KEN");
    let refuses = |command: &mut Command, words: &[&str]| {
        let output = run(Command::new("timeout")
            .arg("20")
            .arg(command.get_program())
            .args(command.get_args())
            .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?)))));
        let text = said(&output);
        // 78 tells who restarts it that a person must put something right first.
        let code = output.status.code();
        assert!(matches!(code, Some(1 | 78)), "{command:?}: {code:?}, {text}; expected {words:?}");
        for word in words {
            assert!(text.contains(word), "{word:?} is not in: {text}");
        }
        assert!(!text.contains("panicked"), "{text}");
    };

    // Session secrets would leak.
    let key_log = ken.at("secrets.log");
    refuses(ken.command().env("SSLKEYLOGFILE", &key_log), &["SSLKEYLOGFILE", "Unset it"]);
    assert!(!key_log.exists());

    // Nothing is overwritten.
    let init = |folder: &Path, roots: &Path| {
        let mut command = Command::new(program("liaison-node"));
        command.args(["init", "--node", &ken.node, "--state", "KEN", "--authority", "Again", "--folder"]);
        command.arg(folder).arg("--roots").arg(roots);
        command
    };
    let before = fs::read(ken.at("keys/log-1.key")).expect("init made it");
    let elsewhere = ken.folder().with_file_name("elsewhere");
    refuses(&mut init(ken.folder(), &elsewhere), &["node is not empty", "Choose another folder"]);
    refuses(&mut init(&elsewhere, &ken.roots()), &["roots is not empty", "Choose another folder"]);
    assert!(!elsewhere.exists(), "what was refused left nothing behind");
    assert_eq!(fs::read(ken.at("keys/log-1.key")).expect("still there"), before);

    // Others may read a secret.
    for secret in [
        "keys/log-1.key",
        "keys/msg-1.key",
        "keys/transport-1.key",
        "api/tokens/officer.token",
        "api/certificate.key",
    ] {
        fs::set_permissions(ken.at(secret), Permissions::from_mode(0o644)).expect("ours");
        refuses(&mut ken.command(), &[secret, "others may read", "chmod 600"]);
        fs::set_permissions(ken.at(secret), Permissions::from_mode(0o600)).expect("ours");
    }

    // A configuration with a slip of the pen, or none.
    let config = fs::read_to_string(ken.at("liaison.toml")).expect("init wrote it");
    for (wrong, words) in [
        (config.replace("allow_remote", "alow_remote"), vec!["liaison.toml", "alow_remote", "line"]),
        (config.replace("format = \"text\"", "format = \"xml\""), vec!["liaison.toml", "xml", "line"]),
        (config.replace("filter = \"info\"", "filter = \"===\""), vec!["trace.filter"]),
        (config.replace("\"/ip4/127.0.0.1/tcp", "\"/ip4/nowhere/tcp"), vec!["nowhere"]),
        (config.replace("listen = \"127.0.0.1:", "listen = \"0.0.0.0:"), vec!["allow_remote"]),
        ("\u{0}garbage = [".to_owned(), vec!["liaison.toml", "line"]),
    ] {
        assert_ne!(wrong, config, "nothing was changed for {words:?}");
        fs::write(ken.at("liaison.toml"), wrong).expect("ours");
        refuses(&mut ken.command(), &words);
    }
    fs::remove_file(ken.at("liaison.toml")).expect("ours");
    refuses(&mut ken.command(), &["liaison.toml", "liaison-node init"]);
    fs::write(ken.at("liaison.toml"), config).expect("ours");

    // A folder with no log in it: none is made because there happens to be none.
    fs::rename(ken.at("data"), ken.at("away")).expect("ours");
    refuses(&mut ken.command(), &["no log", "liaison-node init"]);
    fs::create_dir(ken.at("data")).expect("ours");
    refuses(&mut ken.command(), &["no log", "liaison-node init"]);
    fs::remove_dir(ken.at("data")).expect("nothing was put into it");
    fs::rename(ken.at("away"), ken.at("data")).expect("ours");

    // A second process on the same folder.
    ken.start();
    refuses(&mut ken.command(), &["another process uses", "Stop that one first"]);
    let checked = ken.liaison_node(&["check"]);
    assert!(!checked.status.success() && said(&checked).contains("another process"), "{}", said(&checked));
    assert_eq!(ken.api().ready().0, 200, "the first was not disturbed");
    assert!(ken.stop().success());
    let checked = ken.liaison_node(&["check"]);
    assert!(checked.status.success() && said(&checked).contains("all is well"), "{}", said(&checked));
}

#[test]
fn an_operator_who_slips_is_told_where_and_how_to_mend_it() {
    let (ken, _per) = two("KEN", "PER");
    let api = ken.api();
    let problem = |answer: liaison_tests::processes::Answer, status: u16, words: &[&str]| {
        assert_eq!(answer.status, status, "{answer:?}");
        let problem = answer.problem();
        assert_eq!(problem.status, status, "{problem:?}");
        for word in words {
            assert!(problem.detail.contains(word), "{word:?} is not in: {problem:?}");
        }
        assert!(!problem.detail.contains(&ken.folder().display().to_string()), "{problem:?}");
    };
    let post = |path: &str, body: &[u8], key| {
        api.ask("POST", path, Some(("application/json", body)), key).expect("it answers")
    };
    let good = json!({"peer": "PER", "opening": verification("PE-1")}).to_string();

    let size = api.log_size();
    problem(post("/v1/exchanges", b"{", Some("k")), 400, &["body", "line 1"]);
    problem(post("/v1/exchanges", b"{\"peer\": 7}", Some("k")), 400, &["peer"]);
    problem(post("/v1/exchanges", good.replace("PE-1", "").as_bytes(), Some("k")), 400, &["licence_no"]);
    problem(
        post("/v1/exchanges", good.replace("licence_no", "license_no").as_bytes(), Some("k")),
        400,
        &["licen"],
    );
    problem(post("/v1/exchanges", good.as_bytes(), None), 400, &["Idempotency-Key"]);
    problem(post("/v1/exchanges", good.replace("PER", "XXX").as_bytes(), Some("k")), 404, &["XXX", "admit"]);
    problem(
        post("/v1/exchanges/abc/acts", br#"{"act":"withdraw","reason":"x"}"#, None),
        400,
        &["6 characters"],
    );
    problem(post("/v1/exchanges/abcdef/acts", br#"{"act":"withdraw","reason":"x"}"#, None), 404, &["abcdef"]);
    problem(post("/v1/nothing", b"{}", None), 404, &["openapi.json"]);
    // The door is shut on what is too long: whoever is still sending then may see that before the answer.
    let long = vec![b' '; 10 << 20];
    if let Ok(answer) = api.ask("POST", "/v1/peers", Some(("application/json", &long)), None) {
        problem(answer, 413, &[]);
    }
    let typed = api.ask("POST", "/v1/exchanges", Some(("text/plain", good.as_bytes())), Some("k"));
    problem(typed.expect("it answers"), 415, &["application/json"]);
    problem(api.with_token("wrong").ask("GET", "/v1/node", None, None).expect("it answers"), 401, &["token"]);
    problem(api.ask("GET", "/v1/exchanges?limit=0", None, None).expect("it answers"), 400, &["limit"]);
    problem(
        api.ask("GET", "/v1/log/inclusion?leaf=999999", None, None).expect("it answers"),
        404,
        &["the log has", "entries"],
    );

    // A list is taken whole or not at all.
    for (csv, words) in [
        ("", vec!["licence_no"]),
        ("licence_no\nPE-1\n", vec!["status"]),
        ("licence_no,colour,status\n", vec!["colour"]),
        (
            "licence_no,status\nPE-1,ACTIVE\nPE-2,LOST\n",
            vec!["row 3", "status", "LOST", "Nothing was imported"],
        ),
        ("licence_no,status,issue_date\nPE-1,ACTIVE,1.2.2026\n", vec!["row 2", "issue_date", "1.2.2026"]),
        ("licence_no,status\nPE-1,ACTIVE,more\n", vec!["row 2"]),
        ("licence_no,status\n\u{fffd}\"PE-1,ACTIVE\n", vec!["row 2"]),
    ] {
        let answer = api.ask("PUT", "/v1/licences", Some(("text/csv", csv.as_bytes())), None);
        problem(answer.expect("it answers"), 400, &words);
    }
    assert_eq!(api.get::<NodeView>("/v1/node").licences, None);

    // A fingerprint that is not the peer's: most of all then.
    let node: NodeView = api.get("/v1/node");
    let forged = json!({"key_sets": node.key_sets, "fingerprint": "0".repeat(64), "channel": "telephone"});
    problem(
        api.try_send("POST", "/v1/peers", &forged, None).expect("it answers"),
        409,
        &["fingerprint", "Do not admit"],
    );
    let garbled = json!({"key_sets": "{}", "fingerprint": node.fingerprint, "channel": "telephone"});
    problem(api.try_send("POST", "/v1/peers", &garbled, None).expect("it answers"), 400, &["key_sets"]);
    let ourselves =
        json!({"key_sets": node.key_sets, "fingerprint": node.fingerprint, "channel": "telephone"});
    let refused = api.try_send("POST", "/v1/peers", &ourselves, None).expect("it answers");
    assert!((400..500).contains(&refused.status), "{refused:?}");
    assert_eq!(api.log_size(), size, "nothing of this was recorded");

    // The command says the same, and where its own files are wrong.
    let wrong = ken.liaison(&["peer", "show", "XXX"]);
    assert_eq!(wrong.status.code(), Some(1), "{}", said(&wrong));
    assert!(said(&wrong).contains("no admitted peer XXX"), "{}", said(&wrong));
    let lost = run(Command::new(program("liaison")).args(["--profile", "/nowhere", "node"]));
    assert!(lost.status.code() == Some(2) && said(&lost).contains("/nowhere"), "{}", said(&lost));
}

#[test]
fn a_removed_peer_is_not_heard_until_it_is_admitted_again() {
    let (ken, per) = two("KEN", "PER");
    let (k, p) = (ken.api(), per.api());
    let before = p.open_exchange("KEN", &verification("KE-0"), "before").summary.id.to_string();
    wait_for("it is there", || k.exchanges().first().cloned());
    // The receipt goes out a little later, and must not be cut off with the peer.
    wait_for("it is receipted", || (p.peer("KEN").undelivered == 0).then_some(()));
    let removed = k.try_send("DELETE", "/v1/peers/PER", &json!({"reason": "keys in doubt"}), None);
    assert_eq!(removed.expect("it answers").status, 204);
    assert_eq!(k.get::<Vec<PeerView>>("/v1/peers"), []);
    let Problem { status, detail, .. } =
        k.refused("POST", "/v1/exchanges", &json!({"peer": "PER", "opening": verification("PE-1")}));
    assert_eq!(status, 404, "{detail}");

    let size = k.log_size();
    let during = p.open_exchange("KEN", &verification("KE-1"), "during").summary.id.to_string();
    let peer = wait_for("the trouble is seen", || Some(p.peer("KEN")).filter(|peer| peer.trouble.is_some()));
    assert_eq!(peer.undelivered, 1, "{peer:?}");
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(k.log_size(), size, "a stranger writes nothing into our log");
    assert_eq!(k.exchanges().len(), 1);

    admit(&ken, &per);
    wait_for("it arrives", || k.exchanges().into_iter().find(|summary| summary.id.to_string() == during));
    for id in [&before, &during] {
        k.act(id, &json!({"act": "answer", "outcome": {"answer": "NOT_FOUND"}}));
        p.wait_until(id, State::Answered);
        agreed(k, p, id);
    }
    assert_eq!(k.exchanges().len(), 2);
    let back = k.open_exchange("PER", &verification("PE-1"), "back").summary.id.to_string();
    k.wait_until(&back, State::Delivered);
}

#[test]
fn a_stranger_gets_nowhere() {
    let (ken, per) = two("KEN", "PER");
    let mut chl = House::new("CHL");
    chl.start();
    // Chile knows Kenya; Kenya does not know Chile.
    admit(&chl, &ken);
    let (ken_size, per_size) = (ken.api().log_size(), per.api().log_size());
    let id = chl.api().open_exchange("KEN", &verification("KE-1"), "knock").summary.id.to_string();
    let peer =
        wait_for("the trouble is seen", || Some(chl.api().peer("KEN")).filter(|peer| peer.trouble.is_some()));
    assert_eq!((peer.undelivered, peer.head_cosigned), (1, None), "{peer:?}");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!((ken.api().log_size(), per.api().log_size()), (ken_size, per_size));
    assert_eq!(ken.api().exchanges(), []);
    assert_eq!(chl.api().exchange(&id).summary.state, State::Requested);
    // Its door is closed to other States' officers, too.
    let token = fs::read_to_string(chl.at("api/tokens/officer.token")).expect("init wrote it");
    let answer = ken.api().with_token(token.trim()).ask("GET", "/v1/exchanges", None, None);
    assert_eq!(answer.expect("it answers").status, 401);
    // Once admitted it is heard.
    admit(&ken, &chl);
    wait_for("it arrives", || ken.api().exchanges().first().cloned());
}

/// Sign the next version of a node's key set.
fn renew(house: &House, out: &Path, more: &[&str]) {
    let roots = house.roots().display().to_string();
    let out = out.display().to_string();
    let mut args = vec!["key-set", "renew", "--roots", &roots, "--out", &out];
    args.extend(more);
    let made = house.liaison_node(&args);
    assert!(made.status.success(), "{}", said(&made));
}

#[test]
fn a_renewed_key_set_travels_in_the_mail() {
    let (mut ken, mut per) = two("KEN", "PER");
    assert_eq!(per.api().peer("KEN").key_set_version, 1);
    let out = ken.folder().with_file_name("next-key-set");
    renew(&ken, &out, &[]);
    let installed = ken.liaison(&["node", "install-key-set", &out.display().to_string()]);
    assert!(installed.status.success(), "{}", said(&installed));
    assert_eq!(ken.api().get::<NodeView>("/v1/node").key_set_version, 2);
    wait_for("it arrives", || (per.api().peer("KEN").key_set_version == 2).then_some(()));
    // Once is enough.
    let again = ken.liaison(&["node", "install-key-set", &out.display().to_string()]);
    assert!(!again.status.success(), "{}", said(&again));
    // Not over a file that somebody kept.
    let kept = ken.liaison_node(&[
        "key-set",
        "renew",
        "--roots",
        &ken.roots().display().to_string(),
        "--out",
        &out.display().to_string(),
    ]);
    assert!(!kept.status.success() && said(&kept).contains("exists"), "{}", said(&kept));

    // While the peer is down: it gets the next one, with the next address, when it is back.
    assert!(per.stop().success());
    let third = ken.folder().with_file_name("third-key-set");
    // The node's own file follows behind.
    let written = || fs::read_to_string(ken.at("data/key-sets")).expect("init wrote it").lines().count() == 2;
    wait_for("the key set file has both", || written().then_some(()));
    renew(&ken, &third, &["--address", &ken.address(), "--address", "/dns4/liaison.example.ke/tcp/4710"]);
    let installed = ken.liaison(&["node", "install-key-set", &third.display().to_string()]);
    assert!(installed.status.success(), "{}", said(&installed));
    let id = ken.api().open_exchange("PER", &verification("PE-1"), "after").summary.id.to_string();
    per.start();
    wait_for("it arrives", || (per.api().peer("KEN").key_set_version == 3).then_some(()));
    ken.api().wait_until(&id, State::Delivered);
    agreed(ken.api(), per.api(), &id);

    // Both are still themselves after a start, and the logs verify under the newest key sets.
    for house in [&mut ken, &mut per] {
        assert!(house.stop().success());
        assert_log_holds(house);
        house.start();
    }
    let id = per.api().open_exchange("KEN", &verification("KE-1"), "later").summary.id.to_string();
    per.api().wait_until(&id, State::Delivered);
}

/// The time, as it is typed.
fn now() -> String {
    let date = run(Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ"]));
    said(&date).trim().to_owned()
}

#[test]
fn p1_a_key_rotates_while_requests_are_open_and_the_link_is_down() {
    let (mut ken, mut per) = two("KEN", "PER");
    assert!(per.stop().success());
    let ask = |ken: &House, number: &str| {
        ken.api().open_exchange("PER", &verification("PE-1"), number).summary.id.to_string()
    };
    let before: Vec<String> = (0..3).map(|n| ask(&ken, &format!("before-{n}"))).collect();
    let replace_key = |ken: &mut House, more: &[&str], file: &str| {
        let out = ken.folder().with_file_name(file);
        renew(ken, &out, more);
        assert!(ken.stop().success());
        ken.start();
        let installed = ken.liaison(&["node", "install-key-set", &out.display().to_string()]);
        assert!(installed.status.success(), "{}", said(&installed));
    };
    replace_key(&mut ken, &["--rotate"], "second");
    let after = ask(&ken, "after");
    per.start();
    // Old mail counts, new mail counts, and time is counted from delivery.
    for id in before.iter().chain([&after]) {
        ken.api().wait_until(id, State::Delivered);
        agreed(ken.api(), per.api(), id);
        let due = |house: &House| house.api().exchange(id).summary.due.expect("an acknowledgement is owed");
        assert_eq!(due(&ken), due(&per));
    }
    let arrived: Vec<String> =
        per.api().exchanges().iter().rev().map(|summary| summary.id.to_string()).collect();
    assert_eq!(
        arrived,
        [&before[..], std::slice::from_ref(&after)].concat(),
        "in the order they were sealed"
    );

    // A key is revoked from when it was stolen: what was sealed under it since then is refused for good, also where it
    // was on its way, and what was said before it stands.
    assert!(per.stop().success());
    std::thread::sleep(Duration::from_secs(2));
    let stolen = now();
    std::thread::sleep(Duration::from_secs(1));
    let late = ask(&ken, "late");
    std::thread::sleep(Duration::from_secs(1));
    let revoke =
        ["--rotate", "--revoke", "msg-2", "--revoke-from", &stolen, "--reason", "a laptop was stolen"];
    replace_key(&mut ken, &revoke, "third");
    let good = ask(&ken, "good");
    per.start();
    ken.api().wait_until(&good, State::Delivered);
    let refused = ken.api().wait_until(&late, State::TurnedAway);
    assert_eq!(refused.timeline[0].receipt.as_ref().expect("a proven refusal").refused, Some(24));
    assert!(refused.timeline[0].revoked);
    ken.api().wait_until(&after, State::Delivered);
    for house in [&mut ken, &mut per] {
        assert!(house.stop().success());
        assert_log_holds(house);
    }
}

/// Ask until the node stops; what it acknowledged.
fn ask_until_it_stops(house: &mut House, peer: &str, most: usize) -> Vec<String> {
    let mut acknowledged = Vec::new();
    // Long case references fill the disk sooner.
    let long = "x".repeat(200);
    for n in 0..most {
        let mut opening = verification(&format!("PE-{n}"));
        opening["case_ref"] = json!(long);
        let body = json!({"peer": peer, "opening": opening});
        match house.api().try_send("POST", "/v1/exchanges", &body, Some(&format!("full-{n}"))) {
            Ok(answer) if answer.status == 201 => {
                acknowledged.push(answer.body["id"].as_str().expect("an id").to_owned());
            }
            Ok(answer) => {
                assert_eq!(answer.status, 503, "{answer:?}");
                break;
            }
            Err(_) => break,
        }
    }
    assert!(acknowledged.len() < most, "the disk was not full after {most} exchanges");
    let status = house.wait();
    assert!(!status.success());
    acknowledged
}

fn assert_told_what_to_do(house: &House) {
    let words = house.last_words();
    let last = words.lines().rfind(|line| line.starts_with("liaison-node: ")).unwrap_or_default();
    for word in
        [house.at("data").to_str().expect("a plain path"), "Free or repair the disk", "start the node again"]
    {
        assert!(last.contains(word), "{word:?} is not in the last words {last:?} of:\n{words}");
    }
    assert!(!words.contains("panicked"), "{words}");
}

#[test]
fn a_file_that_cannot_grow_stops_the_node_and_loses_nothing() {
    let (mut ken, per) = two("KEN", "PER");
    assert!(ken.stop().success());
    // No file may be longer than so many KiB: writes then fail with EFBIG, as they do with ENOSPC on a full disk.
    let mut limited = Command::new("bash");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 640; exec \"$@\"", "bash"]);
    limited.arg(program("liaison-node")).arg("run").arg("--config").arg(ken.at("liaison.toml"));
    ken.start_as(limited);
    let acknowledged = ask_until_it_stops(&mut ken, "PER", 5000);
    assert!(acknowledged.len() > 10, "{}", acknowledged.len());
    assert_told_what_to_do(&ken);
    assert_nothing_is_missing(&mut ken, &per, &acknowledged);
}

#[test]
fn a_full_disk_stops_the_node_and_loses_nothing() {
    let kept = tempfile::tempdir().expect("a folder for the test");
    let Some(disk) = SmallDisk::mount(kept.path(), 3) else { return };
    let (mut ken, mut per) = (House::within("KEN", kept), House::new("PER"));
    ken.start();
    per.start();
    introduce(&ken, &per);
    let acknowledged = ask_until_it_stops(&mut ken, "PER", 5000);
    assert!(acknowledged.len() > 10, "{}", acknowledged.len());
    assert_told_what_to_do(&ken);
    // Started without any more room it says the same again, or runs; it does not make things worse.
    disk.resize(64);
    assert_nothing_is_missing(&mut ken, &per, &acknowledged);
    drop(ken);
}

fn assert_nothing_is_missing(ken: &mut House, per: &House, acknowledged: &[String]) {
    ken.start();
    let listed: BTreeSet<String> =
        ken.api().exchanges().iter().map(|summary| summary.id.to_string()).collect();
    for id in acknowledged {
        assert!(listed.contains(id), "{id} was acknowledged and is missing");
        ken.api().wait_until(id, State::Delivered);
    }
    let arrived: BTreeSet<String> =
        per.api().exchanges().iter().map(|summary| summary.id.to_string()).collect();
    assert_eq!(arrived, listed);
    assert!(ken.stop().success());
    assert_log_holds(ken);
}

#[test]
fn what_an_officer_said_before_the_list_had_it_is_no_news_when_the_list_says_the_same() {
    let (ken, per) = two("KEN", "PER");
    let id = ken.api().open_exchange("PER", &verification("PE-1"), "early").summary.id.to_string();
    per.api().wait_until(&id, State::Delivered);
    per.api().act(&id, &json!({"act": "answer", "outcome": {"answer": "VALID"}}));
    ken.api().wait_until(&id, State::Answered);
    assert_eq!(per.api().import(&list("")), 0);
    // What differs from what was said is news.
    assert_eq!(per.api().import(&list("").replace("PE-1,IMPORT,ACTIVE", "PE-1,IMPORT,REVOKED")), 1);
}

#[test]
fn a_data_folder_that_cannot_be_written_is_named() {
    let mut ken = House::new("KEN");
    // The superuser writes where it likes: a file where a folder should be stops even it.
    fs::rename(ken.at("data/index"), ken.at("index-away")).ok();
    fs::write(ken.at("data/index"), "in the way").expect("ours");
    let output = run(&mut ken.command());
    assert!(!output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("index") && !said(&output).contains("panicked"), "{}", said(&output));
    fs::remove_file(ken.at("data/index")).expect("ours");
    ken.start();
    assert_eq!(ken.api().ready().0, 200);
}

#[test]
fn an_old_copy_signs_nothing_though_no_peer_is_there_and_two_officers_can_vouch_for_one() {
    let (mut ken, mut per) = two("KEN", "PER");
    ken.api().open_exchange("PER", &verification("PE-1"), "before");
    assert!(ken.stop().success() && per.stop().success());
    let (data, old) = (ken.at("data"), ken.at("old"));
    assert!(run(Command::new("cp").arg("-a").arg(&data).arg(&old)).status.success());
    ken.start();
    ken.api().open_exchange("PER", &verification("PE-1"), "after");
    assert!(ken.stop().success());
    fs::remove_dir_all(&data).expect("ours");
    fs::rename(&old, &data).expect("ours");

    let is_refused = |ken: &mut House, word: &str| {
        ken.start();
        let (status, view) = ken.api().ready();
        let why = view.why.unwrap_or_default();
        assert!(status == 503 && why.contains(word) && why.contains("liaison-node vouch"), "{why}");
        let body = json!({"peer": "PER", "opening": verification("PE-1")});
        let refused = ken.api().try_send("POST", "/v1/exchanges", &body, Some("new")).expect("it answers");
        assert_eq!(refused.status, 503, "{refused:?}");
        assert!(ken.stop().success());
    };
    is_refused(&mut ken, "log rolled back");
    fs::remove_file(ken.at("signed")).expect("ours");
    is_refused(&mut ken, "marker");

    let vouch = |officers: &[&str]| {
        let mut command = Command::new(program("liaison-node"));
        command
            .arg("vouch")
            .arg("--config")
            .arg(ken.at("liaison.toml"))
            .args(["--reason", "compared with PER"]);
        for officer in officers {
            command.args(["--officer", officer]);
        }
        run(&mut command)
    };
    for officers in [&["achieng"][..], &["achieng", "achieng"]] {
        let refused = vouch(officers);
        assert!(!refused.status.success() && said(&refused).contains("officers vouch"), "{}", said(&refused));
    }
    let vouched = vouch(&["achieng", "okello"]);
    assert!(vouched.status.success(), "{}", said(&vouched));
    ken.start();
    assert_eq!(ken.api().ready().0, 200);
    ken.api().open_exchange("PER", &verification("PE-1"), "vouched");
    assert!(ken.stop().success());
    assert_log_holds(&ken);
}

#[test]
fn an_old_copy_of_the_data_folder_is_noticed_and_signs_nothing() {
    let (mut ken, mut per) = two("KEN", "PER");
    per.api().set_rules("KEN", &json!({"verifications": true}));
    per.api().import(&list(""));
    let ask = |ken: &House, n: usize| {
        let opened = ken.api().open_exchange("PER", &verification("PE-1"), &format!("old-{n}"));
        let id = opened.summary.id.to_string();
        ken.api().wait_until(&id, State::Answered);
        agreed(ken.api(), per.api(), &id);
    };
    (0..3).for_each(|n| ask(&ken, n));
    assert!(ken.stop().success());
    let (data, old, newest) = (ken.at("data"), ken.at("old"), ken.at("newest"));
    let copied = run(Command::new("cp").arg("-a").arg(&data).arg(&old));
    assert!(copied.status.success(), "{}", said(&copied));
    ken.start();
    (3..6).for_each(|n| ask(&ken, n));
    assert!(ken.stop().success());
    // Somebody restores last week's backup; and the peer has mail waiting.
    fs::rename(&data, &newest).expect("ours");
    let copied = run(Command::new("cp").arg("-a").arg(&old).arg(&data));
    assert!(copied.status.success(), "{}", said(&copied));
    let waiting = per.api().open_exchange("KEN", &verification("KE-1"), "waiting").summary.id.to_string();
    let before = fs::read(data.join("log1/checkpoint")).expect("a log has one");
    ken.start();
    let why = wait_for("it notices", || {
        let (status, view) = ken.api().ready();
        (status == 503).then(|| view.why.unwrap_or_default())
    });
    assert!(why.contains("log rolled back") && why.contains("newest copy"), "{why}");
    let body = json!({"peer": "PER", "opening": verification("PE-1")});
    let refused = ken.api().try_send("POST", "/v1/exchanges", &body, Some("new")).expect("it answers");
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.problem().detail.contains("log rolled back"));
    let csv = list("");
    let import = ken.api().ask("PUT", "/v1/licences", Some(("text/csv", csv.as_bytes())), None);
    assert_eq!(import.expect("it answers").status, 503);
    let cpu = cpu_millis(&ken);
    std::thread::sleep(Duration::from_secs(3));
    let spent = cpu_millis(&ken) - cpu;
    assert!(spent < 100, "a node that waits for people spent {spent} ms of processor in 3 s");
    assert_eq!(ken.api().ready().0, 503);
    assert_eq!(per.api().exchange(&waiting).summary.state, State::Requested);
    assert!(ken.stop().success());
    assert_eq!(fs::read(data.join("log1/checkpoint")).expect("still there"), before, "it signed");
    assert_eq!(per.api().peer("KEN").standing, liaison_protocol::operator::PeerStanding::Active);

    // With the newest copy in place all goes on, and what waited arrives.
    fs::rename(&data, ken.at("wrong")).expect("ours");
    fs::rename(&newest, &data).expect("ours");
    ken.start();
    wait_for("what waited arrives", || {
        ken.api().exchanges().into_iter().find(|summary| summary.id.to_string() == waiting)
    });
    ask(&ken, 6);
    for house in [&mut ken, &mut per] {
        assert!(house.stop().success());
        assert_log_holds(house);
    }
}

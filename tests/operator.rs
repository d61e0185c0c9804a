//! The operator's first day, with real nodes: what is counted, what changes, how a node stands, which step on the way to
//! a peer fails, QUIC beside TCP, and that none of what the node tells about itself is what was said.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};
use liaison_protocol::operator::{EventView, PeerTestView, State, Step, StepResult};
use liaison_tests::processes::{
    House, PATIENCE, address, admit, free_port, introduce, program, said, two, wait_for,
};
use serde_json::{Value, json};

fn verification(number: &str) -> Value {
    json!({"question": "verification", "presented": {
        "licence_no": number, "issue_date": "2026-01-10", "final_recipient": "Kenya Police",
        "lines": [{"line": 1, "description": "Rifle .308", "quantity": 40, "unit": "pieces"}],
    }})
}

// What is counted.

#[test]
fn what_a_node_counts_is_there_for_prometheus_with_a_token_and_for_nobody_else() {
    let (ken, per) = two("KEN", "PER");
    let id = ken.api().open_exchange("PER", &verification("PE-1"), "1").summary.id.to_string();
    ken.api().wait_until(&id, State::Delivered);
    let told = wait_for("all is counted", || {
        let (status, told) = ken.api().text("/metrics");
        assert_eq!(status, 200);
        let peer = "{peer=\"firearms.example.per/liaison\"}";
        told.contains(&format!("liaison_peer_outbox{peer} 0\n")).then_some(told)
    });
    let value = |line: &str| {
        let found = told.lines().find_map(|told| told.strip_prefix(line)?.trim().parse::<f64>().ok());
        found.unwrap_or_else(|| panic!("{line} is not in\n{told}"))
    };
    let of = |name: &str| value(&format!("{name}{{peer=\"firearms.example.per/liaison\"}}"));
    assert_eq!(value("liaison_ready"), 1.0);
    assert_eq!(value("liaison_log_entries"), ken.api().log_size() as f64);
    assert_eq!((of("liaison_peer_connected"), of("liaison_peer_open_exchanges")), (1.0, 1.0));
    assert!(of("liaison_peer_uncosigned") < value("liaison_log_entries"));
    assert!(of("liaison_peer_mail_seconds_count") >= 1.0 && value("liaison_rounds_total") >= 2.0);
    assert!(value("liaison_round_entries_sum") >= 3.0 && value("liaison_index_bytes") > 0.0);
    assert_eq!(value("liaison_deadlines_overdue"), 0.0);
    for stage in ["open", "stage", "commit", "release", "answer"] {
        let count = value(&format!("liaison_round_seconds_count{{stage=\"{stage}\"}}"));
        assert_eq!(count, value("liaison_rounds_total"));
    }
    assert!(value("liaison_round_seconds_sum{stage=\"commit\"}") > 0.0);
    assert!(value("liaison_api_requests_total{status=\"200\"}") >= 1.0);
    assert_eq!(ken.api().with_token("lsn_of_somebody_who_holds_none_of_ours").text("/metrics").0, 401);
    drop(per);
    wait_for("the peer is seen to be gone", || {
        let (_, told) = ken.api().text("/metrics");
        told.contains("liaison_peer_connected{peer=\"firearms.example.per/liaison\"} 0\n").then_some(())
    });
}

// What changes.

/// `liaison watch --json`, and what it says.
struct Watch {
    process: Child,
    told: mpsc::Receiver<EventView>,
}

impl Watch {
    fn start(house: &House, more: &[&str]) -> Self {
        let mut command = Command::new(program("liaison"));
        command.arg("--profile").arg(house.at("operator")).args(["--json", "watch"]).args(more);
        let mut process =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the program is built");
        let out = BufReader::new(process.stdout.take().expect("piped"));
        let (sender, told) = mpsc::channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
                if sender.send(event).is_err() {
                    break;
                }
            }
        });
        Self { process, told }
    }

    /// Wait until it has told of something.
    fn until(&self, what: &str, is_it: impl Fn(&EventView) -> bool) -> EventView {
        loop {
            let event = self.told.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{what}: {error}"));
            if is_it(&event) {
                return event;
            }
        }
    }

    /// Wait until it has told that an exchange has come so far.
    fn until_state(&self, id: &str, wanted: State) -> u64 {
        let is_it = |event: &EventView| {
            matches!(event, EventView::Exchange { exchange, state, .. }
                if exchange.to_string() == id && *state == wanted)
        };
        self.until(wanted.as_str(), is_it).leaf().expect("it has a place")
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn who_watches_sees_each_change_and_misses_none_while_it_was_away() {
    let (ken, mut per) = two("KEN", "PER");
    let watch = Watch::start(&per, &[]);
    watch.until("ready", |event| matches!(event, EventView::Ready { ready: true, .. }));
    watch.until("the peer", |event| matches!(event, EventView::Peer { connected: true, .. }));
    let first = ken.api().open_exchange("PER", &verification("PE-1"), "1").summary.id.to_string();
    let leaf = watch.until_state(&first, State::Delivered);
    drop(watch);

    // What happens while nobody watches is told to who says where it was.
    per.api().act(&first, &json!({"act": "acknowledge", "unit": "Registry"}));
    per.api().act(&first, &json!({"act": "answer", "outcome": {"answer": "NOT_FOUND"}}));
    let watch = Watch::start(&per, &["--after", &leaf.to_string()]);
    let answered = watch.until_state(&first, State::Answered);
    assert!(answered > leaf);

    // Across a restart of the node, which keeps nothing of that in memory.
    per.stop();
    let second = ken.api().open_exchange("PER", &verification("PE-2"), "2").summary.id.to_string();
    per.start();
    watch.until_state(&second, State::Delivered);
    drop(watch);

    // Too long ago: said, not passed over.
    let watch = Watch::start(&per, &["--after", "1"]);
    watch.until("what is lost", |event| matches!(event, EventView::Lost { .. }));
    drop(ken);
    watch.until("the peer is gone", |event| matches!(event, EventView::Peer { connected: false, .. }));
}

/// Keys and requests are in its memory.
#[test]
fn a_node_leaves_no_core_dump() {
    let mut ken = House::new("KEN");
    ken.start();
    let limits = fs::read_to_string(format!("/proc/{}/limits", ken.pid())).expect("it runs");
    let core = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).expect("there is one");
    let words: Vec<_> = core.split_whitespace().take(2).collect();
    assert_eq!(words, ["0", "0"], "{limits}");
}

#[test]
fn the_certificate_of_the_door_is_made_anew_and_the_old_one_lets_nobody_in() {
    let mut ken = House::new("KEN");
    ken.start();
    let old = fs::read(ken.at("api/certificate.pem")).expect("init made it");
    // What an attempt left that was broken off is in nobody's way.
    fs::write(ken.at("api/certificate.pem.new"), "half").expect("ours");
    let made = ken.liaison_node(&["certificate"]);
    assert!(made.status.success() && said(&made).contains("next start"), "{}", said(&made));
    // Those before are kept.
    let kept = fs::read_dir(ken.at("api")).expect("ours").map(|entry| entry.expect("ours").path());
    let kept: Vec<_> = kept.filter(|path| path.display().to_string().contains(".until-")).collect();
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert!(kept.iter().any(|path| fs::read(path).expect("ours") == old));
    let mode = fs::metadata(ken.at("api/certificate.key")).expect("it was made").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // The node that runs still shows the old one.
    assert!(!ken.liaison(&["node"]).status.success());
    ken.stop();
    let command = ken.command();
    ken.launch(command);
    wait_for("it shows the new one", || ken.liaison(&["node"]).status.success().then_some(()));
    fs::write(ken.at("api/certificate.pem"), old).expect("ours");
    let refused = ken.liaison(&["node"]);
    assert!(!refused.status.success() && said(&refused).contains("certificate"), "{}", said(&refused));
}

// How it stands.

#[test]
fn status_says_on_one_screen_how_it_stands_and_its_exit_code_says_whether_it_can_sign() {
    let (ken, mut per) = two("KEN", "PER");
    let id = ken.api().open_exchange("PER", &verification("PE-1"), "1").summary.id.to_string();
    per.api().wait_until(&id, State::Delivered);
    let shown = per.liaison(&["status"]);
    let text = said(&shown);
    assert_eq!(shown.status.code(), Some(0), "{text}");
    for part in
        ["READY", "firearms.example.per/liaison", "Licensing Bureau of PER", "KEN", "GiB free", &id[..10]]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let json: Value = serde_json::from_slice(&per.liaison(&["status", "--json"]).stdout).expect("JSON");
    assert_eq!(
        (&json["ready"]["ready"], &json["for_officer"]["exchanges"][0]["id"]),
        (&json!(true), &json!(id))
    );
    assert_eq!(json["peers"][0]["state"], "KEN");

    // An old copy: the marker says more was signed than the log has.
    per.stop();
    let marker = fs::read_to_string(per.at("signed")).expect("it was written");
    let (rest, size) = marker.trim_end().rsplit_once('\n').expect("several lines");
    let size: u64 = size.parse().expect("how many entries were signed");
    fs::write(per.at("signed"), format!("{rest}\n{}\n", size + 5)).expect("ours");
    per.start();
    let shown = per.liaison(&["status"]);
    assert_eq!(shown.status.code(), Some(1), "{}", said(&shown));
    assert!(said(&shown).contains("NOT READY: log rolled back"), "{}", said(&shown));
}

// The way to a peer.

fn tested(house: &House, peer: &str, yes: bool) -> PeerTestView {
    let shown = house.liaison(&["peer", "test", peer, "--json"]);
    assert_eq!(shown.status.code(), Some(i32::from(!yes)), "{}", said(&shown));
    let view: PeerTestView = serde_json::from_slice(&shown.stdout).expect("JSON");
    assert_eq!(view.passed, yes);
    let plain = said(&house.liaison(&["peer", "test", peer]));
    for step in &view.steps {
        assert!(step.result != StepResult::Failed || step.remedy.is_some(), "{step:?}");
        assert!(step.remedy.as_ref().is_none_or(|remedy| plain.contains(remedy)), "{plain}");
    }
    view
}

fn result(view: &PeerTestView, step: Step) -> StepResult {
    let found = view.steps.iter().find(|found| found.step == step);
    found.unwrap_or_else(|| panic!("no {step:?}: {view:#?}")).result
}

#[test]
fn a_test_of_the_way_to_a_peer_passes_where_all_is_well() {
    let (ken, _per) = two("KEN", "PER");
    let view = tested(&ken, "PER", true);
    for (step, wanted) in [
        (Step::Admitted, StepResult::Passed),
        (Step::Resolve, StepResult::Skipped),
        (Step::Connect, StepResult::Passed),
        (Step::Handshake, StepResult::Passed),
        (Step::Identity, StepResult::Passed),
        (Step::Protocol, StepResult::Passed),
        (Step::RoundTrip, StepResult::Passed),
        (Step::Clocks, StepResult::Passed),
        (Step::KeySet, StepResult::Passed),
    ] {
        assert_eq!(result(&view, step), wanted, "{view:#?}");
    }
}

#[test]
fn a_test_of_the_way_to_a_peer_says_which_step_fails() {
    let mut ken = House::new("KEN");
    ken.start();
    let view = tested(&ken, "PER", false);
    assert_eq!((result(&view, Step::Admitted), view.steps.len()), (StepResult::Failed, 1));

    // It has not admitted us.
    let mut per = House::new("PER");
    per.start();
    admit(&ken, &per);
    let view = tested(&ken, "PER", false);
    assert_eq!(result(&view, Step::Identity), StepResult::Passed, "{view:#?}");
    assert_eq!(result(&view, Step::Protocol), StepResult::Failed, "{view:#?}");
    assert_eq!(result(&view, Step::RoundTrip), StepResult::Skipped, "{view:#?}");

    // Nobody listens; a name that nobody knows; somebody else at its address.
    let closed = address(free_port());
    let name = "/dns4/liaison.invalid/tcp/4710".to_owned();
    for (state, at, failing) in
        [("CHL", closed, Step::Connect), ("BOL", name, Step::Resolve), ("ECU", per.address(), Step::Identity)]
    {
        let mut other = House::reached_at(state, |port| (vec![address(port)], vec![at]));
        other.start();
        admit(&ken, &other);
        let view = tested(&ken, state, false);
        assert_eq!(result(&view, failing), StepResult::Failed, "{view:#?}");
        let failed = view.steps.iter().filter(|step| step.result == StepResult::Failed).count();
        assert_eq!((failed, result(&view, Step::RoundTrip)), (1, StepResult::Skipped), "{view:#?}");
    }

    // One that is down.
    introduce(&ken, &{
        let mut ury = House::new("URY");
        ury.start();
        ury
    });
    let view = tested(&ken, "URY", false);
    assert_eq!(result(&view, Step::Connect), StepResult::Failed, "{view:#?}");
}

// QUIC beside TCP.

fn quic(port: u16) -> String {
    format!("/ip4/127.0.0.1/udp/{port}/quic-v1")
}

fn asked_and_delivered(a: &House, b: &House) {
    let id = a.api().open_exchange(&b.node, &verification("PE-1"), "1").summary.id.to_string();
    b.api().wait_until(&id, State::Delivered);
    a.api().wait_until(&id, State::Delivered);
}

#[test]
fn two_nodes_speak_over_quic_alone_and_prove_the_same_identities() {
    let only = |port| (vec![quic(port)], vec![quic(port)]);
    let (mut ken, mut per) = (House::reached_at("KEN", only), House::reached_at("PER", only));
    ken.start();
    per.start();
    introduce(&ken, &per);
    asked_and_delivered(&ken, &per);
    // A restart: the old line is dead without a word.
    per.kill();
    per.start();
    let view = tested(&ken, "PER", true);
    assert_eq!(result(&view, Step::Identity), StepResult::Passed, "{view:#?}");

    // Somebody else at a QUIC address is as much somebody else.
    let theirs = ken.api().get::<liaison_protocol::operator::NodeView>("/v1/node").listening[0].clone();
    let mut chl = House::reached_at("CHL", |port| (vec![quic(port)], vec![theirs]));
    chl.start();
    admit(&per, &chl);
    let view = tested(&per, "CHL", false);
    assert_eq!(result(&view, Step::Identity), StepResult::Failed, "{view:#?}");
}

#[test]
fn where_quic_is_dead_tcp_carries_the_mail() {
    // UDP is blocked: nobody hears at those ports, whatever the key set lists.
    let both = |port| (vec![address(port)], vec![quic(port), address(port)]);
    let (mut ken, mut per) = (House::reached_at("KEN", both), House::reached_at("PER", both));
    ken.start();
    per.start();
    introduce(&ken, &per);
    asked_and_delivered(&ken, &per);
    let view = tested(&ken, "PER", true);
    let quic = view.steps.iter().find(|step| step.address.as_ref().is_some_and(|at| at.contains("quic")));
    assert!(quic.is_some(), "{view:#?}");
    assert!(view.steps.iter().any(|step| step.result == StepResult::Warned), "{view:#?}");
}

// What is told about itself.

/// A word that stands nowhere else, for the content of one field.
fn canary(number: usize) -> String {
    format!("ZQXV{number:02}KOLIBRI{}", (number * 7919 + 10_007) % 90_000)
}

/// The forms in which a word may stand in a trace: itself, as a list of bytes, in hexadecimal, in base64 wherever it
/// begins.
fn forms(word: &str) -> Vec<String> {
    let bytes = word.as_bytes();
    let decimals: Vec<_> = bytes.iter().map(ToString::to_string).collect();
    let spaced: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut forms = vec![
        word.to_lowercase(),
        decimals.join(", "),
        decimals.join(","),
        spaced.join(" "),
        HEXLOWER.encode(bytes),
        HEXUPPER.encode(bytes).to_lowercase(),
    ];
    for before in 0..3 {
        let shifted = [&vec![b'-'; before], bytes].concat();
        for encoding in [&BASE64, &BASE64URL] {
            // What does not depend on what stands before and behind it.
            let text = encoding.encode(&shifted);
            let (first, last) = (if before == 0 { 0 } else { before + 1 }, shifted.len() / 3 * 4);
            forms.push(text[first..last].to_lowercase());
        }
    }
    forms
}

#[test]
fn a_word_is_found_in_every_form_it_may_stand_in() {
    let word = canary(7);
    for before in 0..4 {
        let text = format!("{}{word} and more", &"...."[..before]);
        let bytes = text.as_bytes();
        for told in [
            text.clone(),
            format!("{bytes:?}"),
            HEXLOWER.encode(bytes),
            HEXUPPER.encode(bytes),
            BASE64.encode(bytes),
        ] {
            assert!(forms(&word).iter().any(|form| told.to_lowercase().contains(form)), "{told}");
        }
    }
}

/// evidence.md §9, "leak through diagnostics".
#[test]
fn leak_through_diagnostics_a_whole_exchange_at_trace_tells_nothing_of_what_was_said() {
    let (mut ken, mut per) = (House::new("KEN"), House::new("PER"));
    for house in [&mut ken, &mut per] {
        let config = fs::read_to_string(house.at("liaison.toml")).expect("init wrote it");
        let loud = config.replace("filter = \"info\"", "filter = \"trace\"").replace("\"text\"", "\"json\"");
        assert_ne!(config, loud);
        fs::write(house.at("liaison.toml"), loud).expect("ours");
        house.start();
    }
    introduce(&ken, &per);
    let mut words = Vec::new();
    let mut word = || {
        words.push(canary(words.len()));
        words.last().expect("one at least").clone()
    };

    // Registers, too, are content.
    let row = format!(
        "licence_no,licence_kind,status,expiry_date,issue_date,final_recipient,line,description,quantity,unit\n\
         {},IMPORT,ACTIVE,2036-01-09,2026-01-10,{},1,{},40,pieces\n",
        word(),
        word(),
        word(),
    );
    per.api().import(&row);
    let licence = words_of(&row);
    per.api().set_rules("KEN", &json!({"verifications": true}));
    let presented = json!({
        "licence_no": licence[0], "issue_date": "2026-01-10", "final_recipient": licence[1],
        "lines": [{"line": 1, "description": licence[2], "quantity": 40, "unit": "pieces"}],
    });
    let asked = json!({"question": "verification", "presented": presented, "case_ref": word()});
    let id = ken.api().open_exchange("PER", &asked, &word()).summary.id.to_string();
    ken.api().wait_until(&id, State::Answered);

    let photograph = format!("{} {}", word(), "a photograph ".repeat(2000));
    let photo = ken.api().put_attachment(&word(), "image/jpeg", photograph.as_bytes());
    let asked = json!({
        "question": "trace", "case_ref": word(),
        "request": {
            "trace_case": word(), "hop": 1, "urgency": "ROUTINE", "illicit_basis": ["SUSPECTED"],
            "legal_justification": word(), "suspected_offences": ["UNKNOWN"],
            "recovery": {"mode": "FOUND", "date": "2026-09-01", "place": word(), "circumstances": word()},
            "item": {"item": "firearm", "type": "F-PIS", "action": "SEMI_AUTO", "make": {"normalised": word()},
                     "model": word(), "calibres": [{"as_marked": word()}], "provenance": "FACTORY",
                     "marks": [{"kind": "SERIAL", "raw": word(), "state": "INTACT"}]},
            "identification": "TRAINED_OFFICER", "questions": ["LAST_LEGAL_HOLDER"], "intended_use": "INVESTIGATION",
            "national_search": {"registers": [word()], "date": "2026-09-02", "result": word()},
        },
        "enclosed": {
            "attachments": [photo],
            "persons": [{"role": "BUYER", "name": word(), "document": word(), "note": word()}],
        },
    });
    let id = ken.api().open_exchange("PER", &asked, &word()).summary.id.to_string();
    wait_for("the photograph is there", || {
        let answer = per.api().ask("GET", &format!("/v1/exchanges/{id}"), None, None).ok()?;
        answer.body["timeline"][0]["attachments"][0]["here"].as_bool().filter(|here| *here)
    });
    per.api().act(&id, &json!({"act": "acknowledge", "unit": word(), "note": word()}));
    per.api().act(&id, &json!({"act": "ask_information", "questions": [word()]}));
    ken.api().wait_until(&id, State::InformationRequested);
    ken.api().act(&id, &json!({"act": "supply_information", "answers": [word()]}));
    wait_for("Peru has what it asked for", || {
        (per.api().exchange(&id).summary.state != State::InformationRequested).then_some(())
    });
    per.api().act(
        &id,
        &json!({"act": "answer", "outcome": {
            "result_code": "NO_RECORD", "match_level": "NONE", "registers_searched": [word()],
            "search_date": "2026-09-03", "note": word(),
        }}),
    );
    ken.api().wait_until(&id, State::Answered);
    ken.api().act(&id, &json!({"act": "ask_clarification", "question": word()}));
    per.api().wait_until(&id, State::Clarifying);
    per.api().act(&id, &json!({"act": "clarify", "answer": word()}));
    ken.api().wait_until(&id, State::Answered);
    let concluded = json!({"conclusion": "STALLED", "useful": false, "note": word()});
    let act = json!({"act": "conclude", "outcome": concluded});
    ken.api().act(&id, &act);
    per.api().wait_until(&id, State::Closed);
    // Officers look at it, too, and fail at something.
    ken.liaison(&["exchange", "list", "--subject", &word()]);
    ken.api().exchange(&id);
    ken.api().refused(
        "POST",
        &format!("/v1/exchanges/{id}/acts"),
        &json!({"act": "withdraw", "reason": word(), "reasn": word()}),
    );

    for house in [&mut ken, &mut per] {
        house.stop();
        let told = String::from_utf8_lossy(&house.all_words()).to_lowercase();
        // It did tell: of itself, and of the libraries.
        for part in [
            "\"level\":\"trace\"",
            "libp2p",
            "\"recorded\"",
            &format!("\"exchange\":\"{id}\"").to_lowercase(),
        ] {
            assert!(told.contains(part), "{part}: {} bytes", told.len());
        }
        let token = fs::read_to_string(house.at("api/tokens/officer.token")).expect("init wrote it");
        for word in words.iter().map(String::as_str).chain([token.trim()]) {
            for form in forms(word) {
                if let Some(place) = told.find(&form) {
                    let around = &told.as_bytes()[place.saturating_sub(600)..(place + 300).min(told.len())];
                    panic!("{word} as {form}: {}", String::from_utf8_lossy(around));
                }
            }
        }
    }
}

/// The words of ours in a list.
fn words_of(list: &str) -> Vec<String> {
    let found =
        list.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| word.starts_with("ZQXV"));
    found.map(str::to_owned).collect()
}

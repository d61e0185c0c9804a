//! How the node stands, what changes, and what a test of the way to a peer found.

use liaison_protocol::authority::Timestamp;
use liaison_protocol::note::Checkpoint;
use liaison_protocol::operator::{
    CheckpointView, EventView, ExchangePage, ExchangeSummary, NodeView, PeerStanding, PeerTestView, PeerView,
    Side, Step, StepResult, StepView,
};

use super::exchange::topic;
use super::{counted, domain, facts, gap, grouped, short, standing, table, word};

/// What is shown of a node.
pub(crate) struct Status<'a> {
    /// Who we are.
    pub(crate) node: &'a NodeView,
    /// The signed head of our log.
    pub(crate) head: &'a CheckpointView,
    /// With whom.
    pub(crate) peers: &'a [PeerView],
    /// The newest exchanges that wait for an officer.
    pub(crate) for_officer: &'a ExchangePage,
    /// The newest in which a time has passed.
    pub(crate) overdue: &'a ExchangePage,
}

/// One screen.
pub(crate) fn status(of: &Status<'_>) -> String {
    let Status { node, head, peers, for_officer, overdue } = of;
    let body = head.checkpoint.split_once("\n\n").map_or("", |(body, _)| body);
    let root = Checkpoint::parse(&format!("{body}\n")).map(|checkpoint| checkpoint.head.root.to_string());
    let root = root.unwrap_or_else(|_| "?".to_owned());
    let mut rows = vec![
        ("node", format!("{}, program {}", node.node, node.version)),
        ("authority", format!("{}, {}", node.authority, node.state)),
        ("fingerprint", node.fingerprint.clone()),
        ("key set", format!("version {}, {}", node.key_set_version, expiry(node.key_set_expires))),
        ("log", format!("{} entries, root {root}", grouped(node.log_size))),
        ("cosigned", cosigned(peers)),
    ];
    rows.extend(node.disk_free.map(|free| ("disk", format!("{} free", bytes(free)))));
    rows.push(("for officers", waiting(for_officer, "--for-officer")));
    rows.push(("overdue", waiting(overdue, "--overdue")));
    let mut text = facts(rows);
    if !for_officer.exchanges.is_empty() {
        text += "\n";
        text += &table(
            ["For officers", "Since", "Who", "Question", "About"],
            for_officer.exchanges.iter().map(line),
        );
    }
    if !overdue.exchanges.is_empty() {
        text += "\n";
        text += &table(["Overdue", "Since", "Who", "Question", "About"], overdue.exchanges.iter().map(line));
    }
    text += "\n";
    if peers.is_empty() {
        return text + "no peers yet: liaison peer add FILE\n";
    }
    let rows = peers.iter().map(|view| {
        [
            view.state.to_string(),
            domain(&view.node).to_owned(),
            if view.connected { "yes" } else { "no" }.to_owned(),
            match view.undelivered {
                0 => "all".to_owned(),
                owed => format!("all but {}", grouped(owed)),
            },
            behind(node.log_size, view),
            grouped(view.open_exchanges),
            standing(view.standing).to_owned(),
            expiry(view.key_set_expires),
        ]
    });
    text +=
        &table(["Peer", "Node", "Connected", "Receipted", "Cosigned", "Open", "Standing", "Key set"], rows);
    let mut notes = Vec::new();
    for view in *peers {
        if let Some(trouble) = &view.trouble {
            notes.push((
                view.state.to_string(),
                format!("{trouble}\ntest the way: liaison peer test {}", view.state),
            ));
        }
        if !view.missing.is_empty() {
            let missing: Vec<_> = view.missing.iter().map(gap).collect();
            let missing = missing.join(", ");
            notes.push((
                view.state.to_string(),
                format!("its messages {missing} have not come: if they stay missing, ask it for them"),
            ));
        }
    }
    if !notes.is_empty() {
        text += "\n";
        text += &facts(notes.iter().map(|(state, note)| (state.as_str(), note.clone())));
    }
    text
}

fn line(summary: &ExchangeSummary) -> [String; 5] {
    [
        short(&summary.id),
        summary.opened.to_string(),
        match summary.side {
            Side::Requested => format!("{} asks", domain(&summary.peer)),
            Side::Requesting => format!("we ask {}", domain(&summary.peer)),
        },
        topic(summary.kind).to_owned(),
        summary.subject.clone(),
    ]
}

fn waiting(page: &ExchangePage, flag: &str) -> String {
    let shown = page.exchanges.len() as u64;
    match (shown, page.next.is_some()) {
        (0, false) => "nothing waits".to_owned(),
        // A page may be empty where very many were looked at.
        (_, true) => format!("{shown} and more: liaison exchange list {flag}"),
        (_, false) => counted(shown, "exchange"),
    }
}

fn cosigned(peers: &[PeerView]) -> String {
    let active: Vec<_> = peers.iter().filter(|view| view.standing == PeerStanding::Active).collect();
    let cosigned: Vec<_> = active.iter().filter_map(|view| view.head_cosigned).collect();
    match (active.len(), cosigned.iter().max()) {
        (0, _) => "by nobody: there is no active peer".to_owned(),
        (_, None) => "by no peer since this node started".to_owned(),
        (all, Some(furthest)) => {
            format!("by {} of {all} peers, up to {} entries", cosigned.len(), grouped(*furthest))
        }
    }
}

fn behind(size: u64, view: &PeerView) -> String {
    match view.head_cosigned {
        None => "not yet".to_owned(),
        Some(cosigned) if cosigned >= size => "all".to_owned(),
        Some(cosigned) => format!("all but {}", grouped(size - cosigned)),
    }
}

/// When something expires, and how loud that is to be said.
fn expiry(at: Timestamp) -> String {
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
    let date = at.date();
    match at.0.saturating_sub(now) / DAY {
        0 if at.0 <= now => format!("EXPIRED {date}"),
        days @ 0..45 => format!("EXPIRES in {}, {date}", counted(days, "day")),
        _ => format!("expires {date}"),
    }
}

fn bytes(number: u64) -> String {
    const GIB: u64 = 1 << 30;
    match number {
        GIB.. => format!("{}.{} GiB", grouped(number / GIB), number % GIB * 10 / GIB),
        _ => format!("{} MiB", number >> 20),
    }
}

/// Something that changed, on a line.
pub(crate) fn event(event: &EventView) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let what = match event {
        EventView::Exchange { exchange, kind, peer, side, state, for_officer, leaf } => {
            let who = match side {
                Side::Requested => format!("{} asks", domain(peer)),
                Side::Requesting => format!("we ask {}", domain(peer)),
            };
            let officer = if *for_officer { "; for an officer" } else { "" };
            let state = word(state.as_str());
            format!("exchange {}  {who}: {}, {state}{officer}  (leaf {leaf})", short(exchange), topic(*kind))
        }
        EventView::End { why } => format!("node     {why}"),
        EventView::Lost { why } => format!("LOST     {why}"),
        EventView::Peer { peer, connected, standing: None, .. } => {
            let cut = if *connected { ", and still connected" } else { "" };
            format!("peer     {} is removed{cut}", domain(peer))
        }
        EventView::Peer { peer, connected, standing: Some(of), .. } => {
            let connected = if *connected { "connected" } else { "NOT connected" };
            format!("peer     {} {connected}, {}", domain(peer), standing(*of))
        }
        EventView::Ready { ready: true, .. } => "node     ready".to_owned(),
        EventView::Ready { why, .. } => format!("node     NOT READY: {}", why.as_deref().unwrap_or("?")),
    };
    format!("{}  {what}\n", Timestamp(now.as_secs()))
}

/// The steps of a test.
pub(crate) fn peer_test(view: &PeerTestView) -> String {
    let mut text = String::new();
    let mut address = None;
    for step in &view.steps {
        if step.address != address {
            address = step.address.clone();
            text += &address.as_ref().map(|address| format!("  {address}\n")).unwrap_or_default();
        }
        let indent = if step.address.is_some() { "    " } else { "  " };
        let result = match step.result {
            StepResult::Failed => "FAILED ",
            StepResult::Passed => "ok     ",
            StepResult::Skipped => "-      ",
            StepResult::Warned => "LOOK   ",
        };
        let took = if step.millis > 0 { format!(" ({} ms)", grouped(step.millis)) } else { String::new() };
        text += &format!("{indent}{result}{:<12}{}{took}\n", named(step.step), step.found);
        text +=
            &step.remedy.as_ref().map(|remedy| format!("{indent}       -> {remedy}\n")).unwrap_or_default();
    }
    text
}

/// What the test came to.
pub(crate) fn peer_verdict(view: &PeerTestView) -> String {
    let of = |result| view.steps.iter().filter(move |step| step.result == result);
    let named = |step: &StepView| named(step.step);
    match (of(StepResult::Failed).next(), of(StepResult::Warned).next()) {
        (Some(failed), _) => format!("{} fails at: {}", view.peer, named(failed)),
        (None, Some(look)) => format!("{} works; look at: {}", view.peer, named(look)),
        (None, None) => format!("{}: all is well", view.peer),
    }
}

fn named(step: Step) -> &'static str {
    match step {
        Step::Admitted => "admitted",
        Step::Clocks => "clocks",
        Step::Connect => "connect",
        Step::Handshake => "handshake",
        Step::Identity => "identity",
        Step::KeySet => "key set",
        Step::Protocol => "protocol",
        Step::Resolve => "name",
        Step::RoundTrip => "round trip",
    }
}

const DAY: u64 = 86_400;

#[cfg(test)]
mod tests {
    use liaison_protocol::numbers::Gap;

    use super::super::tests::{node_view, peer_view};
    use super::*;

    #[test]
    fn a_status_is_one_screen_and_says_what_is_wrong_with_a_peer() {
        let size = node_view().log_size;
        let view = PeerView {
            head_cosigned: Some(size - 3),
            trouble: Some("the node cannot be reached: no route".into()),
            missing: vec![Gap { log: 1, first: 4, last: 6 }],
            ..peer_view()
        };
        let head = CheckpointView { checkpoint: "no checkpoint".into(), verifier_key: String::new() };
        let none = ExchangePage { exchanges: Vec::new(), next: None };
        let (node, peers) = (NodeView { disk_free: Some(5 << 29), ..node_view() }, [view]);
        let of = Status { node: &node, head: &head, peers: &peers, for_officer: &none, overdue: &none };
        let text = status(&of);
        for part in [
            "2.5 GiB free",
            "by 1 of 1 peers, up to 12,342 entries",
            "nothing waits",
            "all but 3",
            "cannot be reached: no route",
            "liaison peer test KEN",
            "messages 4 to 6 have not come",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(text.lines().count() < 24 && text.lines().all(|line| line.chars().count() <= 100), "{text}");
        let alone = status(&Status { peers: &[], ..of });
        assert!(
            alone.contains("by nobody") && alone.ends_with("no peers yet: liaison peer add FILE\n"),
            "{alone}"
        );
    }

    #[test]
    fn a_test_says_what_failed_and_what_to_do() {
        let step = |step, result, remedy: Option<&str>| StepView {
            step,
            address: Some("/ip4/192.0.2.7/tcp/4710".into()),
            result,
            found: "nobody answers".into(),
            millis: 1234,
            remedy: remedy.map(Into::into),
        };
        let mut view = PeerTestView {
            peer: "KEN".into(),
            passed: false,
            steps: vec![
                StepView { address: None, millis: 0, ..step(Step::Admitted, StepResult::Passed, None) },
                step(Step::Connect, StepResult::Failed, Some("Ask its authority")),
            ],
        };
        let page = "  ok     admitted    nobody answers\n  /ip4/192.0.2.7/tcp/4710\n    FAILED connect     nobody \
                    answers (1,234 ms)\n           -> Ask its authority\n";
        assert_eq!(peer_test(&view), page);
        assert_eq!(peer_verdict(&view), "KEN fails at: connect");
        view.steps[1].result = StepResult::Warned;
        assert_eq!(peer_verdict(&view), "KEN works; look at: connect");
        view.steps.pop();
        assert_eq!(peer_verdict(&view), "KEN: all is well");
    }

    #[test]
    fn a_change_is_a_line() {
        let peer = peer_view().node;
        let events = [
            EventView::Ready { ready: false, why: Some("the disk is full".into()) },
            EventView::Peer {
                leaf: None,
                peer: peer.clone(),
                connected: true,
                standing: Some(PeerStanding::Active),
            },
            EventView::Peer { leaf: Some(7), peer, connected: false, standing: None },
            EventView::Lost { why: "list anew".into() },
            EventView::End { why: "the node is stopping".into() },
        ];
        for (told, what) in events.iter().zip([
            "NOT READY: the disk is full\n",
            "firearms.example.ke connected, active\n",
            "firearms.example.ke is removed\n",
            "LOST     list anew\n",
            "the node is stopping\n",
        ]) {
            let line = event(told);
            assert!(line.ends_with(what) && line.lines().count() == 1, "{line}");
        }
    }
}

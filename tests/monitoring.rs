//! What watches a node asks for what the node tells: dashboard, alerts, and what is written about them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use liaison_node::metrics::{Laps, Metrics, PeerStanding, Standing};
use liaison_protocol::authority::NodeId;

fn house(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every name under which the node tells something of a metric, and the metric, both without `liaison_`.
fn told() -> BTreeMap<String, String> {
    let metrics = Metrics::default();
    let node: NodeId = "armas.example.pe/liaison".parse().expect("a node id");
    metrics.refused(&node, 19);
    metrics.mail_answered(&node, Duration::ZERO);
    metrics.mail_failed(&node);
    metrics.api_answered(404);
    metrics.round(Laps::default(), 7);
    let peer =
        PeerStanding { node, connected: true, outbox: 0, oldest: 0, open: 0, uncosigned: 0, forked: false };
    metrics.stand(&Standing { ready: true, entries: 9, key_set_expires: 1_800_000_000, peers: vec![peer] });
    let rendered = metrics.render();
    let described = rendered.lines().filter_map(|line| line.strip_prefix("# TYPE liaison_")?.split_once(' '));
    let named = described.flat_map(|(metric, sort)| {
        let endings: &[&str] = match sort {
            "counter" => &["_total"],
            "histogram" => &["_bucket", "_count", "_sum"],
            _ => &[""],
        };
        endings.iter().map(move |ending| (format!("{metric}{ending}"), metric.to_owned()))
    });
    let told: BTreeMap<_, _> = named.collect();
    let registered = house("node/src/metrics.rs").matches("all.register(").count();
    assert_eq!(told.values().collect::<BTreeSet<_>>().len(), registered, "{told:?}");
    told
}

/// Every name of ours that `text` asks for, without `liaison_`.
fn asked(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
    let words = text.split(|c| !is_name(c)).filter_map(|word| word.strip_prefix("liaison_"));
    words.map(str::to_owned).collect()
}

#[test]
fn dashboard_and_alerts_ask_for_what_the_node_tells_and_nothing_it_tells_is_left_out() {
    let told = told();
    for file in ["deploy/grafana.json", "deploy/alerts.yml"] {
        let asked = asked(&house(file));
        assert!(!asked.is_empty(), "{file}");
        let unknown: Vec<_> = asked.iter().filter(|name| !told.contains_key(*name)).collect();
        assert!(unknown.is_empty(), "{file}: nobody tells {unknown:?}");
    }
    let shown: BTreeSet<_> = asked(&house("deploy/grafana.json")).iter().map(|name| &told[name]).collect();
    let hidden: Vec<_> = told.values().filter(|metric| !shown.contains(metric)).collect();
    assert!(hidden.is_empty(), "the dashboard does not show {hidden:?}");
}

#[test]
fn every_alert_names_a_heading_that_is_there() {
    let book = house("deploy/OPERATING.md");
    let headings: Vec<_> =
        book.lines().filter(|line| line.starts_with("## ") || line.starts_with("### ")).collect();
    let alerts = house("deploy/alerts.yml");
    let named: Vec<_> = alerts.lines().filter(|line| line.contains("OPERATING.md, \"")).collect();
    assert!(named.len() > 3, "{named:?}");
    for line in named {
        for heading in line.split('"').skip(1).step_by(2) {
            assert!(headings.iter().any(|there| there.contains(heading)), "{line}: no such heading");
        }
    }
}

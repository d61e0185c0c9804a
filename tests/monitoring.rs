//! What watches a node asks for what the node tells: dashboard, alerts, and what is written about them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn house(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every metric that the node registers, by its name without `liaison_`.
fn told() -> BTreeSet<String> {
    let source = house("node/src/metrics.rs");
    let named = source
        .split(".register(")
        .skip(1)
        .filter_map(|call| call.trim_start().strip_prefix('"')?.split('"').next());
    let told: BTreeSet<_> = named.map(str::to_owned).collect();
    assert!(told.len() > 10 && told.contains("ready"), "{told:?}");
    told
}

/// Every metric of ours that `text` asks for, as it was registered.
fn asked(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
    let words = text.split(|c| !is_name(c)).filter_map(|word| word.strip_prefix("liaison_"));
    let registered = |word: &str| {
        let endings = ["_bucket", "_count", "_sum", "_total"];
        endings.iter().find_map(|ending| word.strip_suffix(ending)).unwrap_or(word).to_owned()
    };
    words.map(registered).collect()
}

#[test]
fn dashboard_and_alerts_ask_for_what_the_node_tells_and_nothing_it_tells_is_left_out() {
    let told = told();
    for file in ["deploy/grafana.json", "deploy/alerts.yml"] {
        let asked = asked(&house(file));
        assert!(!asked.is_empty(), "{file}");
        assert!(asked.is_subset(&told), "{file}: nobody tells {:?}", asked.difference(&told));
    }
    let shown = asked(&house("deploy/grafana.json"));
    assert!(told.is_subset(&shown), "the dashboard does not show {:?}", told.difference(&shown));
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

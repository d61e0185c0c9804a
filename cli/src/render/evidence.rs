//! What an evidence file proves, as people read it: whose it is, and each claim with whether it holds.

use liaison_protocol::evidence::{Claim, Report, Topic};
use liaison_protocol::merkle::Hash;
use serde_json::{Value, json};

use super::{bare, domain, facts, finish, hex};

/// Claim by claim.
pub(crate) fn evidence(report: &Report, archive: &Hash) -> String {
    let mut rows = vec![("archive", format!("SHA-256 {}", hex(archive)))];
    rows.extend(report.exchange().map(|id| ("exchange", id.to_string())));
    for (name, party) in ["exported by", "with"].into_iter().zip(report.parties()) {
        let who = format!("{}, {}, {}", party.state, party.authority, domain(&party.node));
        rows.push((name, format!("{who}\n{}", party.fingerprint)));
    }
    let mut text = facts(rows);
    let of = |topics: &[Topic]| -> Vec<&Claim> {
        report.claims().iter().filter(|claim| topics.contains(&claim.topic)).collect()
    };
    let mut section = |title: &str, claims: &[&Claim]| {
        if !claims.is_empty() {
            text.push_str(&format!("\n{title}\n{}", said(claims)));
        }
    };
    // What is wrong comes first, and stands again in its place below.
    let flaws: Vec<&Claim> = report.claims().iter().filter(|claim| claim.flaw.is_some()).collect();
    section("WHAT DOES NOT HOLD", &flaws);
    section("THE FILES", &of(&[Topic::Files]));
    section("THE TWO STATES AND THEIR LOGS", &of(&[Topic::KeySets, Topic::Log]));
    let mut numbers: Vec<usize> = report
        .claims()
        .iter()
        .filter_map(|claim| match claim.topic {
            Topic::Message(number) => Some(number),
            _ => None,
        })
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    for number in numbers {
        let title = match report.heard().iter().find(|heard| heard.number == number) {
            Some(heard) => format!(
                "MESSAGE {number}: {} to {}, {}\n{}\n{}",
                heard.from,
                heard.to,
                heard.kind,
                heard.id,
                wrapped(&heard.body.to_string()).trim_end()
            ),
            None => format!("MESSAGE {number}"),
        };
        section(&title, &of(&[Topic::Message(number)]));
    }
    section("THE EXCHANGE", &of(&[Topic::Order]));
    section("HOW THE EXPORTING STATE DECIDED, BY ITS OWN RECORDS", &of(&[Topic::Records]));
    text
}

/// The same for programs.
pub(crate) fn evidence_json(report: &Report, archive: &Hash) -> Value {
    let claims = report.claims().iter().map(|claim| {
        let (topic, message) = match claim.topic {
            Topic::Files => ("files", None),
            Topic::KeySets => ("key_sets", None),
            Topic::Log => ("log", None),
            Topic::Message(number) => ("message", Some(number)),
            Topic::Order => ("order", None),
            Topic::Records => ("records", None),
        };
        json!({
            "topic": topic, "message": message, "says": claim.says,
            "holds": claim.flaw.is_none(), "flaw": claim.flaw,
        })
    });
    let parties = report.parties().iter().map(|party| {
        json!({
            "state": party.state, "authority": party.authority, "node": party.node,
            "fingerprint": party.fingerprint,
        })
    });
    let messages = report.heard().iter().map(|heard| {
        json!({
            "number": heard.number, "id": heard.id, "from": heard.from, "to": heard.to, "at": heard.at,
            "kind": heard.kind, "body": heard.body,
        })
    });
    json!({
        "holds": report.holds(),
        "sha256": hex(archive),
        "exchange": report.exchange(),
        "parties": parties.collect::<Vec<_>>(),
        "messages": messages.collect::<Vec<_>>(),
        "claims": claims.collect::<Vec<_>>(),
    })
}

fn said(claims: &[&Claim]) -> String {
    let mut table = bare();
    for claim in claims {
        let (mark, text) = match &claim.flaw {
            None => ("yes", claim.says.clone()),
            Some(flaw) => ("NO", format!("{}: {flaw}", claim.says)),
        };
        table.add_row([mark, &text]);
    }
    finish(table)
}

fn wrapped(text: &str) -> String {
    let mut table = bare();
    table.add_row([text]);
    finish(table)
}

//! A trace case as a story: who was asked, what each told, where it ends.

use liaison_protocol::case::Progress;
use liaison_protocol::message::Outcome;
use liaison_protocol::operator::{CaseView, ExchangeView, HopView};

use super::exchange::{due, outcome};
use super::said::{ask_next, diverted, happened};
use super::words::{self, word};
use super::{facts, quoted, short, table};

/// Cases, one per line.
pub(crate) fn cases(views: &[CaseView]) -> String {
    if views.is_empty() {
        return "no cases: liaison trace request --case NAME\n".to_owned();
    }
    let rows = views.iter().map(|view| {
        let route: Vec<_> = view.hops.iter().map(|hop| hop.asked.to_string()).collect();
        [
            view.trace_case.to_string(),
            view.item.clone(),
            route.join(" > "),
            progress(view.progress),
            why(view),
        ]
    });
    table(["Case", "Item", "Asked", "Progress", "Why"], rows)
}

/// One case, with what each State told.
pub(crate) fn case(view: &CaseView, exchanges: &[ExchangeView]) -> String {
    let mut rows = vec![
        ("case", view.trace_case.to_string()),
        ("item", view.item.clone()),
        ("progress", format!("{}: {}", progress(view.progress), why(view))),
    ];
    rows.extend(view.diversion.as_ref().map(|diversion| ("diverted", diverted(diversion))));
    rows.extend(
        view.time_to_recovery_days
            .map(|days| ("to recovery", format!("{days} days from the last legal record to the recovery"))),
    );
    if let Some(next) = &view.next {
        rows.push(("ask next", ask_next(next)));
        rows.push(("", format!("liaison case next {}", quoted(view.trace_case.as_str()))));
    }
    let mut text = facts(rows);
    for (place, hop) in view.hops.iter().enumerate() {
        text.push('\n');
        text.push_str(&told(hop, exchanges.get(place)));
    }
    text
}

fn told(hop: &HopView, exchange: Option<&ExchangeView>) -> String {
    let summary = &hop.exchange;
    let number = format!("{}.", hop.hop);
    let mut rows = vec![(number.as_str(), format!("We asked {} on {}", hop.asked, summary.opened.date()))];
    match summary.outcome {
        Some(_) => {
            rows.push(("answer", outcome(summary, exchange.and_then(|exchange| exchange.result.as_ref()))))
        }
        None => rows.push(("answer", format!("none yet; it is {}", word(summary.state.as_str())))),
    }
    if let Some(Outcome::Trace(response)) = exchange.and_then(|exchange| exchange.result.as_ref()) {
        rows.extend(response.matched_item.as_ref().map(|item| ("on record", item.to_string())));
        rows.extend(response.events.iter().map(|event| ("history", happened(event))));
        rows.extend(response.point_of_diversion.as_ref().map(|diversion| ("diverted", diverted(diversion))));
        rows.extend(response.reason.as_ref().map(|reason| ("because", reason.to_string())));
    }
    rows.extend(due(summary).map(|due| ("due", due)));
    rows.push(("exchange", short(&summary.id)));
    facts(rows)
}

/// Why it stands there, without saying twice how.
fn why(view: &CaseView) -> String {
    let why = words::in_text(&view.why);
    why.strip_prefix(&format!("{}: ", progress(view.progress))).map(str::to_owned).unwrap_or(why)
}

fn progress(progress: Progress) -> String {
    word(progress.as_str())
}

//! `liaison status`: how our node stands, on one screen.

use liaison_protocol::operator::{CheckpointView, ExchangePage, NodeView, PeerView};
use serde_json::json;

use super::{Error, Reply};
use crate::client::{Answered, Client};
use crate::render::{self, Status};

/// Exchanges that are shown of those that wait.
const SHOWN: &str = "5";

pub(super) fn run(client: &Client) -> Result<Reply, Error> {
    let page = |which: &str| -> Result<Answered<ExchangePage>, Error> {
        let query = [(which, Some("true".to_owned())), ("limit", Some(SHOWN.to_owned()))];
        Ok(client.get("/v1/exchanges", &query)?)
    };
    let ready = client.ready()?;
    let node: Answered<NodeView> = client.get("/v1/node", &[])?;
    let head: Answered<CheckpointView> = client.get("/v1/log/checkpoint", &[])?;
    let peers: Answered<Vec<PeerView>> = client.get("/v1/peers", &[])?;
    let (for_officer, overdue) = (page("for_officer")?, page("overdue")?);
    let text = render::status(&Status {
        node: &node.view,
        head: &head.view,
        peers: &peers.view,
        for_officer: &for_officer.view,
        overdue: &overdue.view,
    });
    let json = json!({
        "ready": ready.json, "node": node.json, "head": head.json, "peers": peers.json,
        "for_officer": for_officer.json, "overdue": overdue.json,
    });
    let verdict = match &ready.view.why {
        None => "READY: it can sign".to_owned(),
        Some(why) => format!("NOT READY: {why}"),
    };
    Ok(Reply { verdict: Some(verdict), yes: ready.view.ready, ..Reply::new(text, json) })
}

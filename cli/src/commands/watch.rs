//! `liaison watch`: what changes, a line each, across the node's restarts.

use std::thread::sleep;
use std::time::Duration;

use liaison_protocol::operator::NodeView;
use serde_json::Value;

use super::{Error, Reply};
use crate::client::{Answered, Client, ClientError};
use crate::render;

/// How soon a line that ended is taken up again.
const AGAIN: Duration = Duration::from_secs(2);

/// Follow until nobody listens any more.
pub(super) fn run(
    client: &Client,
    after: Option<u64>,
    say: &mut dyn FnMut(&Reply) -> bool,
) -> Result<Reply, Error> {
    let mut last = match after {
        Some(leaf) => leaf,
        None => client.get::<NodeView>("/v1/node", &[])?.view.log_size.saturating_sub(1),
    };
    let (mut listens, mut was_there) = (true, false);
    while listens {
        let followed = client.follow(Some(last), &mut |Answered { json, view }| {
            was_there = true;
            last = last.max(view.leaf().unwrap_or_default());
            listens = say(&Reply::new(render::event(&view), json));
            listens
        });
        match followed {
            // It was there a moment ago: it is being started again.
            Ok(()) | Err(ClientError::NotRunning { .. } | ClientError::Timeout { .. }) if was_there => {
                if listens {
                    sleep(AGAIN);
                }
            }
            Ok(()) => sleep(AGAIN),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Reply::new(String::new(), Value::Null))
}

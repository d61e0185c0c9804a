//! What systemd is told, if it started us: that the node is up, whether it can sign and if not why, and that its loop
//! still turns. Without systemd nothing is said and nothing asked.

use std::time::Duration;

use sd_notify::NotifyState::{self, Ready, Status, Stopping, Watchdog};

use crate::serve::Pulse;

/// How often the state is told. The watchdog may ask for more.
const EVERY: Duration = Duration::from_secs(10);

/// Tell it until the node ends. A node that cannot sign is up all the same: it says why to its operators and its peers.
pub async fn report(pulse: Pulse) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    let every = sd_notify::watchdog_enabled().map_or(EVERY, |within| EVERY.min(within / 3));
    let mut up = false;
    while let Ok(why) = pulse.why_not_ready().await {
        let status = why
            .map_or_else(|| "can sign".to_owned(), |why| format!("CANNOT SIGN: {}", why.replace('\n', " ")));
        tell(&[Status(&status), Watchdog]);
        if !up {
            tell(&[Ready]);
            up = true;
        }
        tokio::time::sleep(every).await;
    }
}

/// Tell it that the end is wanted.
pub fn stopping() {
    tell(&[Stopping, Status("stopping")]);
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "systemd cannot be told how the node is");
    }
}

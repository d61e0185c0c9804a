//! The way to a peer, step by step: which fails, and what to do about it.
//!
//! Names and ports are tried by ourselves, then each address by the network, as it dials to deliver mail, and at last a
//! word is said to the peer. Each step has a time limit; together they stay within that of a request.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use liaison_protocol::authority::NodeId;
use liaison_protocol::desk::MAX_AHEAD;
use liaison_protocol::operator::{Mistake, PeerStanding, PeerTestView, PeerView, Step, StepResult, StepView};

use super::clock;
use super::door::{Door, stopping};
use crate::peers::{Destination, Failure};

const LOOK_UP: Duration = Duration::from_secs(3);
const CONNECT: Duration = Duration::from_secs(4);
const DIAL: Duration = Duration::from_secs(8);
const ANSWER: Duration = Duration::from_secs(10);

/// A difference of clocks that is worth a look, in seconds.
const CLOCKS_DIFFER: u64 = 30;
/// A key set that expires so soon is worth a look, in seconds.
const EXPIRES_SOON: u64 = 30 * 86_400;

use StepResult::{Failed, Passed, Skipped, Warned};

/// What is known of the peer before.
struct Known {
    node: NodeId,
    authority: String,
    addresses: Vec<String>,
    /// Why our own node cannot sign.
    halted: Option<String>,
    our_fingerprint: String,
    connected: bool,
}

impl Door {
    /// Test the way to a peer.
    pub(super) async fn test_peer(&self, name: String) -> Result<PeerTestView, Mistake> {
        let _turn = self
            .testing
            .try_acquire()
            .map_err(|_| Mistake::NotReady("other tests are under way: ask again in half a minute".into()))?;
        let mut steps = Vec::new();
        if let Some(known) = self.known(&name, &mut steps).await? {
            let reached = self.try_addresses(&known, &mut steps).await;
            self.say_a_word(&known, reached, &mut steps).await?;
        }
        let passed = steps.iter().all(|step| step.result != Failed);
        Ok(PeerTestView { peer: name, passed, steps })
    }

    async fn known(&self, name: &str, steps: &mut Vec<StepView>) -> Result<Option<Known>, Mistake> {
        let began = Instant::now();
        let asked = name.to_owned();
        let found = self.ask(move |node| {
            let own = node.desk().own().ok_or_else(stopping)?;
            let our_fingerprint = own.fingerprint().to_string();
            let id = node.desk().find_peer(&asked)?;
            let peer = node.desk().peer(id).ok_or_else(stopping)?;
            let set = peer.chain().current();
            let known = Known {
                node: id.clone(),
                authority: set.authority.to_string(),
                addresses: set.addrs.clone(),
                halted: node.why_not_ready(),
                our_fingerprint,
                connected: node.lane(id).is_some_and(|lane| lane.connected),
            };
            Ok((known, peer.standing(clock())))
        });
        let (step, known) = match found.await {
            Ok((known, PeerStanding::Forked)) => {
                let step = StepView {
                    remedy: Some("Tell its authority, and your own: both heads are kept as proof".into()),
                    ..step(Step::Admitted, began, Warned, "admitted, but it signed two histories of its log")
                };
                (step, Some(known))
            }
            Ok((known, _)) => {
                let found = format!("{} is admitted: {}", known.node, known.authority);
                (step(Step::Admitted, began, Passed, found), Some(known))
            }
            Err(mistake @ (Mistake::Unknown(_) | Mistake::Malformed(_))) => {
                let remedy = "Admit it: liaison peer add FILE --channel HOW, with the key set file its authority gave you";
                let failed = step(Step::Admitted, began, Failed, mistake.to_string());
                (StepView { remedy: Some(remedy.into()), ..failed }, None)
            }
            Err(mistake) => return Err(mistake),
        };
        steps.push(step);
        Ok(known)
    }

    /// Try each address. Returns whether one leads to the peer, or a connection stands that it made to us.
    async fn try_addresses(&self, known: &Known, steps: &mut Vec<StepView>) -> bool {
        if known.addresses.is_empty() {
            let found = match known.connected {
                true => "its key set lists no address: it connects to us, and does now",
                false => "its key set lists no address: it must connect to us, and does not",
            };
            let result = if known.connected { Skipped } else { Failed };
            let remedy = (!known.connected).then(|| {
                "Ask its authority whether its node runs and reaches yours, or for a key set with an address".into()
            });
            steps.push(StepView { remedy, ..step(Step::Connect, Instant::now(), result, found) });
            return known.connected;
        }
        let tries = known.addresses.iter().map(|address| self.try_address(known, address));
        let mut tried = futures::future::join_all(tries).await;
        let reached = tried.iter().any(|steps| steps.iter().all(|step| step.result != Failed));
        for step in tried.iter_mut().flatten().filter(|step| reached && step.result == Failed) {
            // Another address works.
            step.result = Warned;
        }
        steps.extend(tried.into_iter().flatten());
        reached || known.connected
    }

    async fn try_address(&self, known: &Known, address: &str) -> Vec<StepView> {
        let mut steps = Vec::new();
        let mut push = |made: StepView, remedy: Option<&str>| {
            let failed = made.result == Failed;
            steps.push(StepView { address: Some(address.into()), remedy: remedy.map(Into::into), ..made });
            failed
        };
        let began = Instant::now();
        let to = match Destination::of(address) {
            Ok(to) => to,
            Err(flaw) => {
                let remedy = "Ask its authority for a key set with an address that this node can use";
                push(step(Step::Resolve, began, Failed, flaw.to_string()), Some(remedy));
                return steps;
            }
        };
        let numbers = look_up(&to).await;
        let failed = match &numbers {
            Ok(_) if !to.is_name => push(step(Step::Resolve, began, Skipped, "it is a number"), None),
            Ok(numbers) => {
                let numbers: Vec<_> = numbers.iter().map(|number| number.ip().to_string()).collect();
                push(step(Step::Resolve, began, Passed, numbers.join(", ")), None)
            }
            Err(why) => push(
                step(Step::Resolve, began, Failed, format!("{} is not known here: {why}", to.host)),
                Some(
                    "Check this machine's name service; if others do not know the name either, ask its authority",
                ),
            ),
        };
        if failed {
            return steps;
        }
        let began = Instant::now();
        let failed = if to.is_quic {
            push(step(Step::Connect, began, Skipped, "QUIC connects with its handshake"), None)
        } else {
            match connect(&numbers.unwrap_or_default()).await {
                Ok(number) => {
                    push(step(Step::Connect, began, Passed, format!("{number} takes connections")), None)
                }
                Err(why) => push(
                    step(Step::Connect, began, Failed, why),
                    Some(
                        "Its node is down, or a firewall is in between: let this machine reach that port, and ask its \
                         authority whether the node runs",
                    ),
                ),
            }
        };
        if failed {
            return steps;
        }
        let began = Instant::now();
        let dialled = tokio::time::timeout(DIAL, self.network.try_address(&known.node, address)).await;
        match dialled.unwrap_or(Err(Failure::Timeout)) {
            Ok(()) => {
                let suite = if to.is_quic { "TLS 1.3, over QUIC" } else { "TLS 1.3" };
                push(step(Step::Handshake, began, Passed, suite), None);
                push(step(Step::Identity, began, Passed, "it is the one that its key set lists"), None);
            }
            Err(Failure::WrongIdentity { found, .. }) => {
                push(step(Step::Handshake, began, Passed, "somebody answers"), None);
                let found = format!("{found} answers, which its key set does not list");
                let remedy = "Somebody else has this address, or its key set is not the newest: ask its authority over a \
                              channel you trust. Nothing was said to whoever answers";
                push(step(Step::Identity, began, Failed, found), Some(remedy));
            }
            Err(why) => {
                let remedy = match to.is_quic {
                    true => {
                        "UDP may be blocked on the way, or its node does not listen for QUIC: TCP does as well"
                    }
                    false => {
                        "What answers there is no liaison node, or something in between breaks TLS: let the connection \
                         through as it is. If it ended at once, its node may be crowded: try again in a minute"
                    }
                };
                push(step(Step::Handshake, began, Failed, why.to_string()), Some(remedy));
            }
        }
        steps
    }

    /// Say a word, and see what comes of it.
    async fn say_a_word(
        &self,
        known: &Known,
        reached: bool,
        steps: &mut Vec<StepView>,
    ) -> Result<(), Mistake> {
        let began = Instant::now();
        let node = known.node.clone();
        let count = self.outcomes.count(&node);
        let outcome = match (&known.halted, reached) {
            (Some(_), _) | (_, false) => None,
            (None, true) => {
                let peer = node.clone();
                self.ask(move |node| {
                    node.knock(&peer);
                    Ok(())
                })
                .await?;
                let answered = tokio::time::timeout(ANSWER, self.outcomes.after(&node, count)).await;
                Some(answered.unwrap_or(Err(Failure::Timeout)))
            }
        };
        let name = node.to_string();
        let (view, mail_trouble, ahead) = self
            .ask(move |own| {
                let view = own.peer_view(&name, clock())?;
                let lane = own.lane(&view.node);
                let mail_trouble = lane.and_then(|lane| lane.trouble.clone());
                Ok((view, mail_trouble, lane.and_then(|lane| lane.ahead)))
            })
            .await?;
        match outcome {
            None => {
                let (result, why) = match &known.halted {
                    Some(why) => (Failed, format!("our own node says nothing: {why}")),
                    None => (Skipped, "it is not reached".to_owned()),
                };
                let remedy = known.halted.is_some().then(|| "See: liaison status".into());
                steps.push(StepView { remedy, ..step(Step::Protocol, began, result, why) });
                steps.push(step(Step::RoundTrip, began, Skipped, "nothing was said"));
                steps.push(step(Step::Clocks, began, Skipped, "its clock is seen in its answers"));
            }
            Some(Err(why)) => {
                let (which, remedy) = match &why {
                    Failure::Refused => {
                        let ours = &known.our_fingerprint;
                        let remedy = match view.head_cosigned {
                            None => format!(
                                "Ask its authority to admit this node, and read out our fingerprint: {ours}"
                            ),
                            Some(_) => format!(
                                "It has admitted us before. Too many may knock at it: try again in a minute. If it stays \
                                 so, ask its authority whether it has our newest key set; our fingerprint: {ours}"
                            ),
                        };
                        (Step::Protocol, remedy)
                    }
                    Failure::NotSpoken(_) => {
                        (Step::Protocol, "Agree with its authority on who updates the program".into())
                    }
                    _ => (
                        Step::RoundTrip,
                        "Try again in a minute; if it stays so, ask its authority to look at its node's trace".into(),
                    ),
                };
                if which == Step::RoundTrip {
                    steps.push(step(Step::Protocol, began, Passed, "it takes our connections"));
                }
                steps.push(StepView { remedy: Some(remedy), ..step(which, began, Failed, why.to_string()) });
                if which == Step::Protocol {
                    steps.push(step(Step::RoundTrip, began, Skipped, "it takes no mail"));
                }
                steps.push(step(Step::Clocks, began, Skipped, "its clock is seen in its answers"));
            }
            Some(Ok(())) => {
                steps.push(step(Step::Protocol, began, Passed, "it takes mail from us"));
                steps.push(round_trip(&view, mail_trouble, began));
                steps.push(clocks(ahead));
            }
        }
        steps.push(key_set(&view));
        Ok(())
    }
}

fn round_trip(view: &PeerView, mail_trouble: Option<String>, began: Instant) -> StepView {
    match (mail_trouble, &view.trouble) {
        (Some(trouble), _) => StepView {
            remedy: Some("If it stays so, ask its authority to look at its node's trace".into()),
            ..step(Step::RoundTrip, began, Failed, format!("it answered, but {trouble}"))
        },
        // Mail goes both ways; a photograph does not come.
        (None, Some(trouble)) => StepView {
            remedy: Some("It is asked for again by itself; if it stays so, ask its authority".into()),
            ..step(Step::RoundTrip, began, Warned, format!("it answers mail; but {trouble}"))
        },
        (None, None) => {
            let cosigned = view.head_cosigned.unwrap_or_default();
            let owed = match view.undelivered {
                0 => "it has receipted everything".to_owned(),
                owed => format!("{owed} messages wait for its receipt"),
            };
            step(Step::RoundTrip, began, Passed, format!("it cosigned our log at {cosigned} entries; {owed}"))
        }
    }
}

fn clocks(ahead: Option<i64>) -> StepView {
    let began = Instant::now();
    let Some(ahead) = ahead else {
        return step(Step::Clocks, began, Skipped, "it has cosigned nothing since this node started");
    };
    let way = if ahead < 0 { "behind" } else { "ahead of" };
    let by = ahead.unsigned_abs();
    let found = match by {
        0 => "they agree".to_owned(),
        _ => format!("its clock is {by} s {way} ours"),
    };
    let result = match by {
        0..=CLOCKS_DIFFER => Passed,
        _ if by <= MAX_AHEAD => Warned,
        _ => Failed,
    };
    let remedy = (result != Passed).then(|| {
        format!(
            "Set both machines' clocks by a time service: messages sealed more than {MAX_AHEAD} s ahead are put off"
        )
    });
    StepView { remedy, ..step(Step::Clocks, began, result, found) }
}

fn key_set(view: &PeerView) -> StepView {
    let began = Instant::now();
    let left = view.key_set_expires.0.saturating_sub(clock().0);
    let (result, found) = match left {
        0 => (Failed, format!("version {} expired {}", view.key_set_version, view.key_set_expires)),
        _ if left < EXPIRES_SOON => {
            let days = left / 86_400;
            (
                Warned,
                format!("version {} expires in {days} days, {}", view.key_set_version, view.key_set_expires),
            )
        }
        _ => (Passed, format!("version {}, expires {}", view.key_set_version, view.key_set_expires)),
    };
    let remedy = (result != Passed).then(|| {
        "Ask its authority to renew it (liaison-node key-set renew): it comes by itself with its next mail".into()
    });
    StepView { remedy, ..step(Step::KeySet, began, result, found) }
}

fn step(step: Step, began: Instant, result: StepResult, found: impl Into<String>) -> StepView {
    let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    StepView { step, address: None, result, found: found.into(), millis, remedy: None }
}

async fn look_up(to: &Destination) -> Result<Vec<SocketAddr>, String> {
    let found = tokio::time::timeout(LOOK_UP, tokio::net::lookup_host((to.host.as_str(), to.port))).await;
    let found = found.map_err(|_| "no answer in time".to_owned())?.map_err(|error| error.to_string())?;
    let wanted: Vec<_> = found.filter(|number| to.only_v4.is_none_or(|v4| number.is_ipv4() == v4)).collect();
    if wanted.is_empty() { Err("it has no number of the kind that is asked for".into()) } else { Ok(wanted) }
}

/// Connect to the first of these that takes it, and let go again.
async fn connect(numbers: &[SocketAddr]) -> Result<SocketAddr, String> {
    let mut why = "no time was left".to_owned();
    let until = tokio::time::Instant::now() + CONNECT;
    for number in numbers {
        match tokio::time::timeout_at(until, tokio::net::TcpStream::connect(number)).await {
            Ok(Ok(_)) => return Ok(*number),
            Ok(Err(error)) => why = format!("{number}: {error}"),
            Err(_) => why = format!("{number}: no answer in {} s", CONNECT.as_secs()),
        }
    }
    Err(why)
}

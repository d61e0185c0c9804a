//! The doorstep: how many handshakes may be under way before anybody knows whose they are.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{AbortHandle, Abortable, BoxFuture};
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{Boxed, DialOpts, ListenerId, TransportError, TransportEvent};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId, Transport};

use super::address::Place;
use super::handle::Shared;

type Proven = (PeerId, StreamMuxerBox);

/// A transport whose incoming handshakes are counted. Nobody knows yet who they are: without a limit of its own, one
/// machine could hold all the places there are. Where there is none left, the oldest handshake of the fullest address
/// makes room, and strangers before peers: who comes from where a peer is found, or was last, is no stranger.
/// TCP and QUIC do not share places, for over QUIC anybody may name any address.
pub(super) struct Doorstep {
    transport: Boxed<Proven>,
    handshakes: Arc<Handshakes>,
}

impl Doorstep {
    pub(super) fn new(transport: Boxed<Proven>, shared: Arc<Shared>) -> Self {
        Self { transport, handshakes: Arc::new(Handshakes { waiting: Mutex::default(), shared }) }
    }
}

impl Transport for Doorstep {
    type Output = Proven;
    type Error = io::Error;
    type ListenerUpgrade = BoxFuture<'static, io::Result<Proven>>;
    type Dial = <Boxed<Proven> as Transport>::Dial;

    fn listen_on(&mut self, id: ListenerId, at: Multiaddr) -> Result<(), TransportError<io::Error>> {
        self.transport.listen_on(id, at)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.transport.remove_listener(id)
    }

    fn dial(&mut self, to: Multiaddr, how: DialOpts) -> Result<Self::Dial, TransportError<io::Error>> {
        self.transport.dial(to, how)
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        Pin::new(&mut self.transport).poll(cx).map(|event| match event {
            TransportEvent::Incoming { listener_id, upgrade, local_addr, send_back_addr } => {
                let upgrade = self.handshakes.begin(&send_back_addr, upgrade);
                TransportEvent::Incoming { listener_id, upgrade, local_addr, send_back_addr }
            }
            other => other,
        })
    }
}

/// The handshakes under way.
struct Handshakes {
    waiting: Mutex<Waiting>,
    shared: Arc<Shared>,
}

impl Handshakes {
    /// Let this one wait, and whoever must make room for it go.
    fn begin(
        self: &Arc<Self>,
        from: &Multiaddr,
        upgrade: BoxFuture<'static, io::Result<Proven>>,
    ) -> BoxFuture<'static, io::Result<Proven>> {
        let (end, ending) = AbortHandle::new_pair();
        let place = Place::of(from);
        let is_stranger = !place.is_some_and(|place| self.shared.is_peers_place(&place));
        let is_quic = from.iter().any(|part| matches!(part, Protocol::Udp(_)));
        let (number, goes) = self.lock().enter(Handshake { place, is_stranger, is_quic, end });
        if let Some(goes) = goes {
            goes.abort();
            self.shared.crowded_out.fetch_add(1, Ordering::Relaxed);
            let has_to_say_so = self.lock().has_to_say_so();
            if has_to_say_so {
                tracing::warn!(
                    "more connect at once than there are places: the oldest handshakes make room. If a new peer does not \
                     get in, let only peers' addresses through the firewall"
                );
            }
        }
        let place = Taken { handshakes: Arc::clone(self), number };
        async move {
            let _place = place;
            let made_room = |_| Err(io::Error::other("its handshake made room for a newer one"));
            Abortable::new(upgrade, ending).await.unwrap_or_else(made_room)
        }
        .boxed()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place on the doorstep. It is free again however the handshake ends.
struct Taken {
    handshakes: Arc<Handshakes>,
    number: u64,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.handshakes.lock().all.remove(&self.number);
    }
}

/// Who waits, in the order of their coming.
#[derive(Default)]
struct Waiting {
    all: BTreeMap<u64, Handshake>,
    next: u64,
    /// When it was last said that somebody had to make room.
    said: Option<Instant>,
}

struct Handshake {
    place: Option<Place>,
    is_stranger: bool,
    is_quic: bool,
    end: AbortHandle,
}

impl Waiting {
    /// Its number, and who makes room for it: it may be itself.
    fn enter(&mut self, comer: Handshake) -> (u64, Option<AbortHandle>) {
        let (number, is_quic) = (self.next, comer.is_quic);
        self.next += 1;
        self.all.insert(number, comer);
        let goes = self.who_goes(is_quic).and_then(|number| self.all.remove(&number));
        (number, goes.map(|goes| goes.end))
    }

    /// Once a minute.
    fn has_to_say_so(&mut self) -> bool {
        let has_to = self.said.is_none_or(|said| said.elapsed() > SAY_AGAIN);
        if has_to {
            self.said = Some(Instant::now());
        }
        has_to
    }

    /// Where more wait than may: the oldest of whoever has more than its share, else of the strangers, else of all; of
    /// several the one that has most. Of strangers over IPv6 those of one site count together, for a site has 65,536
    /// places.
    fn who_goes(&self, is_quic: bool) -> Option<u64> {
        let alike: Vec<_> = self.all.iter().filter(|(_, other)| other.is_quic == is_quic).collect();
        if alike.len() <= if is_quic { MAX_QUIC } else { MAX_TCP } {
            return None;
        }
        let mut crowds = HashMap::<(bool, Option<Place>), (usize, u64)>::new();
        for (number, Handshake { place, is_stranger, .. }) in alike {
            let crowd = if *is_stranger { place.map(Place::site) } else { *place };
            crowds.entry((*is_stranger, crowd)).or_insert((0, *number)).0 += 1;
        }
        let first_to_go = |((is_stranger, _), (count, oldest)): &(_, (usize, u64))| {
            (*count > SHARE, *is_stranger, *count, Reverse(*oldest))
        };
        crowds.into_iter().max_by_key(first_to_go).map(|(_, (_, oldest))| oldest)
    }
}

/// Handshakes under way over TCP with who knows whom.
pub(super) const MAX_TCP: usize = 128;

/// The same over QUIC.
const MAX_QUIC: usize = 64;

/// Of either, what one place may have while others want some too: more than a State has nodes. Where all come from one
/// place, as through a gateway that does not say from where, they have it all.
const SHARE: usize = 8;

/// How often at most it is said that there are too many.
const SAY_AGAIN: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    /// Somebody comes: its number, its end, and whether nobody had to make room.
    fn comes(waiting: &mut Waiting, from: &str, is_stranger: bool) -> (u64, AbortHandle, bool) {
        let from: Multiaddr = from.parse().expect("an address");
        let (end, _) = AbortHandle::new_pair();
        let is_quic = from.to_string().contains("/udp/");
        let comer = Handshake { place: Place::of(&from), is_stranger, is_quic, end: end.clone() };
        let (number, goes) = waiting.enter(comer);
        if let Some(goes) = &goes {
            goes.abort();
        }
        (number, end, goes.is_none())
    }

    #[test]
    fn who_forges_addresses_over_quic_takes_no_place_of_tcp() {
        let mut waiting = Waiting::default();
        let (_, tcp, _) = comes(&mut waiting, "/ip4/203.0.113.9/tcp/1", true);
        for _ in 0..2 * MAX_QUIC {
            comes(&mut waiting, "/ip4/203.0.113.9/udp/1/quic-v1", true);
        }
        for number in 0..4 * MAX_QUIC {
            comes(
                &mut waiting,
                &format!("/ip4/198.51.{}.{}/udp/1/quic-v1", number / 250, number % 250),
                true,
            );
        }
        assert_eq!(waiting.all.values().filter(|handshake| handshake.is_quic).count(), MAX_QUIC);
        for number in 1..MAX_TCP {
            assert!(comes(&mut waiting, &format!("/ip4/203.0.113.{}/tcp/1", 10 + number), true).2);
        }
        assert!(!tcp.is_aborted());
    }

    #[test]
    fn who_comes_from_many_addresses_makes_room_for_who_comes_from_one() {
        let mut waiting = Waiting::default();
        let mut dalliers = Vec::new();
        for number in 0..MAX_TCP {
            let (_, end, had_room) =
                comes(&mut waiting, &format!("/ip4/198.51.100.{}/tcp/1", number / 7), true);
            assert!(had_room);
            dalliers.push(end);
        }
        let (number, comer, had_room) = comes(&mut waiting, "/ip4/203.0.113.9/tcp/1", true);
        assert!(!had_room && waiting.all.contains_key(&number));
        assert!(dalliers[0].is_aborted(), "the oldest of the first address of seven");
        assert_eq!(dalliers.iter().filter(|end| end.is_aborted()).count(), 1);
        for number in 0..10 * MAX_TCP {
            comes(&mut waiting, &format!("/ip4/198.51.100.{}/tcp/2", number % 20), true);
        }
        assert!(!comer.is_aborted(), "it has less than any of those");
        assert_eq!(waiting.all.len(), MAX_TCP);
    }

    #[test]
    fn strangers_from_anywhere_make_room_before_a_peer_does() {
        let mut waiting = Waiting::default();
        let peers: Vec<_> =
            (0..SHARE).map(|_| comes(&mut waiting, "/ip4/203.0.113.9/tcp/1", false)).collect();
        for number in 0..10 * MAX_TCP {
            comes(&mut waiting, &format!("/ip4/198.51.{}.{}/tcp/1", number / 250, number % 250), true);
        }
        assert!(peers.iter().all(|(_, end, _)| !end.is_aborted()));
        assert_eq!(waiting.all.len(), MAX_TCP);
    }

    #[test]
    fn a_site_of_ipv6_crowds_out_only_itself() {
        let mut waiting = Waiting::default();
        let (_, other, _) = comes(&mut waiting, "/ip6/2001:db8:2::1/tcp/1", true);
        let (_, second, _) = comes(&mut waiting, "/ip6/2001:db8:2::2/tcp/1", true);
        for number in 0..4 * MAX_TCP {
            comes(&mut waiting, &format!("/ip6/2001:db8:1:{number:x}::1/tcp/1"), true);
        }
        assert!(!other.is_aborted() && !second.is_aborted());
    }

    #[test]
    fn a_place_may_have_all_that_nobody_else_wants() {
        let mut waiting = Waiting::default();
        let ends: Vec<_> =
            (0..=MAX_TCP).map(|_| comes(&mut waiting, "/ip4/192.0.2.1/tcp/1", false)).collect();
        assert_eq!(waiting.all.len(), MAX_TCP);
        let gone: Vec<_> = ends.iter().map(|(_, end, _)| end.is_aborted()).collect();
        assert!(gone[0] && gone[1..].iter().all(|gone| !gone), "its newest count");
        // A peer that takes it all has no more than its share before a stranger goes.
        let (_, stranger, _) = comes(&mut waiting, "/ip4/192.0.2.2/tcp/1", true);
        for _ in 0..MAX_TCP {
            comes(&mut waiting, "/ip4/192.0.2.1/tcp/1", false);
        }
        assert!(!stranger.is_aborted());
    }

    #[test]
    fn a_stranger_takes_no_place_of_a_peer_within_its_share() {
        let mut waiting = Waiting::default();
        let peers: Vec<_> = (0..MAX_TCP)
            .map(|number| comes(&mut waiting, &format!("/ip4/203.0.113.{}/tcp/1", number / SHARE), false))
            .collect();
        let (number, stranger, _) = comes(&mut waiting, "/ip4/198.51.100.1/tcp/1", true);
        assert!(stranger.is_aborted() && !waiting.all.contains_key(&number));
        assert!(peers.iter().all(|(_, end, _)| !end.is_aborted()));
    }

    #[test]
    fn that_many_come_is_said_once_a_minute() {
        let mut waiting = Waiting::default();
        assert_eq!([(); 3].map(|()| waiting.has_to_say_so()), [true, false, false]);
        waiting.said = Instant::now().checked_sub(SAY_AGAIN + Duration::from_secs(1));
        assert_eq!([(); 2].map(|()| waiting.has_to_say_so()), [true, false]);
    }
}

//! What is fetched from one peer: one attachment at a time, a piece at a time, and when to try again.
//!
//! Nothing here is kept: what is wanted is the desk's, a function of the log, and how much has come is the length of a
//! file. After a restart everything goes on where it was.

use std::collections::BTreeMap;

use liaison_protocol::blob::{MAX_PIECE, PieceReply, PieceRequest};
use liaison_protocol::desk::Wanted;
use liaison_protocol::merkle::Hash;

/// First wait after the peer could not be asked, in milliseconds; doubled each time.
const FIRST_WAIT: u64 = 500;
/// Longest wait after that, in milliseconds.
const LONGEST_WAIT: u64 = 60_000;
/// First wait for an attachment that the peer does not give, or that was not what was named, in milliseconds; doubled
/// each time.
const FIRST_REPEAT: u64 = 5_000;
/// Longest wait for such an attachment, in milliseconds.
const LONGEST_REPEAT: u64 = 3_600_000;
/// How often an attachment may turn out not to be what was named, before it is left until the next start.
const MOST_SPOILT: u32 = 3;
/// Attachments of one peer whose failures are remembered.
const MOST_TRIES: usize = 4096;
/// Most content that is fetched from a peer in a day of ours, in bytes: a disk is not filled overnight.
pub const MOST_A_DAY: u64 = 16 * 1024 * 1024 * 1024;
/// A day, in milliseconds.
const DAY: u64 = 86_400_000;
/// Shortest piece asked for: on a line so slow that longer ones do not come in time.
const SHORTEST_PIECE: u32 = 8 * 1024;

#[derive(Clone, Copy, Debug, Default)]
struct Try {
    next: u64,
    count: u32,
    spoilt: u32,
}

/// An attachment on its way.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// Which.
    pub wanted: Wanted,
    /// How much of it is here.
    pub offset: u64,
    /// How much of it was here before this start: that may have suffered in a crash, and is not held against the peer.
    pub resumed_at: u64,
    asked: Option<u32>,
}

/// What a reply brought.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Brought {
    /// The peer does not hold it any more; in words.
    Lost(&'static str),
    /// The peer does not give it now; in words.
    NotGiven(&'static str),
    /// Nothing for now.
    Nothing,
    /// The next piece.
    Piece(Vec<u8>),
    /// What is no such piece: all that came is worth nothing.
    Spoilt,
}

/// The way in of attachments from one peer.
#[derive(Debug)]
pub struct Fetcher {
    current: Option<Fetch>,
    /// Whether there may be something wanted that was not looked at.
    pub look: bool,
    piece: u32,
    wait_until: u64,
    failures: u32,
    tries: BTreeMap<Hash, Try>,
    day: u64,
    today: u64,
}

impl Default for Fetcher {
    fn default() -> Self {
        Self {
            current: None,
            look: true,
            piece: MAX_PIECE,
            wait_until: 0,
            failures: 0,
            tries: BTreeMap::new(),
            day: 0,
            today: 0,
        }
    }
}

impl Fetcher {
    /// Whether a piece is on its way.
    pub fn is_in_flight(&self) -> bool {
        self.current.as_ref().is_some_and(|fetch| fetch.asked.is_some())
    }

    /// What is being fetched.
    pub fn current(&self) -> Option<&Fetch> {
        self.current.as_ref()
    }

    /// Whether the peer may be asked at `now`, in milliseconds of a clock that only goes forward.
    pub fn is_due(&self, now: u64) -> bool {
        self.wakes_at().is_some_and(|at| at <= now)
    }

    /// When there may be something to do.
    pub fn wakes_at(&self) -> Option<u64> {
        if self.is_in_flight() {
            return None;
        }
        let next = match (&self.current, self.look) {
            (Some(_), _) | (None, true) => 0,
            (None, false) => {
                self.tries.values().filter(|tried| tried.spoilt < MOST_SPOILT).map(|t| t.next).min()?
            }
        };
        Some(next.max(self.wait_until))
    }

    /// The next to be fetched of what is wanted, if any may be tried now.
    pub fn choose<'a>(&mut self, wanted: &'a [Wanted], now: u64) -> Option<&'a Wanted> {
        self.look = false;
        // What is not wanted any more need not be remembered.
        self.tries.retain(|digest, _| wanted.iter().any(|wanted| wanted.attachment.digest == *digest));
        let may = |wanted: &&Wanted| {
            let tried = self.tries.get(&wanted.attachment.digest);
            tried.is_none_or(|tried| tried.next <= now && tried.spoilt < MOST_SPOILT)
        };
        wanted.iter().find(may)
    }

    /// Begin, or go on, with an attachment of which so much is here.
    pub fn begin(&mut self, wanted: Wanted, offset: u64) {
        self.current = Some(Fetch { wanted, offset, resumed_at: offset, asked: None });
    }

    /// The next piece to be asked for; `None` if all of it is here.
    pub fn ask(&mut self, now: u64) -> Option<PieceRequest> {
        let fetch = self.current.as_mut()?;
        let left = fetch.wanted.attachment.length.saturating_sub(fetch.offset);
        let length = u32::try_from(left).unwrap_or(u32::MAX).min(self.piece);
        if length == 0 {
            return None;
        }
        if self.day != now / DAY {
            (self.day, self.today) = (now / DAY, 0);
        }
        fetch.asked = Some(length);
        Some(PieceRequest { digest: fetch.wanted.attachment.digest, offset: fetch.offset, length })
    }

    /// Whether as much came today as may.
    pub fn is_sated(&mut self, now: u64) -> bool {
        let is_sated = self.day == now / DAY && self.today >= MOST_A_DAY;
        if is_sated {
            self.wait_until = (self.day + 1) * DAY;
        }
        is_sated
    }

    /// The peer answered. A piece is as long as was asked, no shorter and no longer: both sides know how long the
    /// attachment is.
    pub fn answered(&mut self, reply: Option<PieceReply>, now: u64, jitter: u64) -> Brought {
        let Some(asked) = self.current.as_mut().and_then(|fetch| fetch.asked.take()) else {
            return Brought::Nothing;
        };
        self.failures = 0;
        match reply {
            Some(PieceReply::Piece(bytes)) if bytes.len() == asked as usize => {
                self.today += u64::from(asked);
                self.piece = (self.piece * 2).min(MAX_PIECE);
                Brought::Piece(bytes)
            }
            Some(PieceReply::Busy { retry_after_secs }) => {
                self.wait_until = now + u64::from(retry_after_secs.clamp(1, 3600)) * 1000;
                Brought::Nothing
            }
            Some(PieceReply::Gone) => {
                self.interrupted(now, jitter);
                Brought::Lost("the peer does not hold it any more")
            }
            // It says so, too, while our own key set has expired: that passes.
            Some(PieceReply::NotYours) => {
                self.interrupted(now, jitter);
                Brought::NotGiven("the peer does not give it to us")
            }
            Some(PieceReply::Piece(_)) | None => Brought::Spoilt,
        }
    }

    /// The piece is on our disk.
    pub fn added(&mut self, length: usize) {
        if let Some(fetch) = &mut self.current {
            fetch.offset += length as u64;
        }
    }

    /// The peer could not be asked, or did not answer in time.
    pub fn failed(&mut self, was_slow: bool, now: u64, jitter: u64) {
        if let Some(fetch) = &mut self.current {
            fetch.asked = None;
        }
        if was_slow {
            self.piece = (self.piece / 2).max(SHORTEST_PIECE);
        }
        let wait = doubled(FIRST_WAIT, self.failures, LONGEST_WAIT);
        self.failures += 1;
        self.wait_until = now + wait / 2 + jitter % wait;
    }

    /// It is here.
    pub fn finished(&mut self) {
        if let Some(fetch) = self.current.take() {
            self.tries.remove(&fetch.wanted.attachment.digest);
        }
        self.look = true;
    }

    /// What came is not what was named: in words, and tried again only so often.
    pub fn spoilt(&mut self, now: u64, jitter: u64) -> String {
        let Some(fetch) = self.current.take() else { return String::new() };
        self.look = true;
        let digest = fetch.wanted.attachment.digest;
        if fetch.resumed_at > 0 && !self.tries.contains_key(&digest) {
            self.tries.insert(digest, Try { next: now, ..Try::default() });
            return "what was here before the start was damaged; it is fetched again from its beginning"
                .into();
        }
        let tried = self.postpone(digest, true, now, jitter);
        let goes_on =
            if tried.spoilt < MOST_SPOILT { "it is tried again" } else { "it is left until the next start" };
        format!("what the peer gave is not what its message names, {} times; {goes_on}", tried.spoilt)
    }

    /// Our own disk cannot take it now.
    pub fn interrupted(&mut self, now: u64, jitter: u64) {
        match self.current.take() {
            Some(fetch) => {
                self.postpone(fetch.wanted.attachment.digest, false, now, jitter);
            }
            None => self.failed(false, now, jitter),
        }
        self.look = true;
    }

    /// The peer is there again, or has said something new: look, and wait no longer than a moment.
    pub fn nudge(&mut self, now: u64) {
        self.look = true;
        if self.failures > 0 {
            self.wait_until = self.wait_until.min(now + FIRST_WAIT);
        }
    }

    fn postpone(&mut self, digest: Hash, spoilt: bool, now: u64, jitter: u64) -> Try {
        let mut tried = self.tries.get(&digest).copied().unwrap_or_default();
        let wait = doubled(FIRST_REPEAT, tried.count, LONGEST_REPEAT);
        tried = Try {
            next: now + wait / 2 + jitter % wait,
            count: tried.count + 1,
            spoilt: tried.spoilt + u32::from(spoilt),
        };
        if self.tries.len() < MOST_TRIES || self.tries.contains_key(&digest) {
            self.tries.insert(digest, tried);
        } else {
            // So many failures: the peer itself is left alone for a while.
            self.wait_until = tried.next;
        }
        tried
    }
}

fn doubled(first: u64, times: u32, most: u64) -> u64 {
    first.saturating_mul(1 << times.min(20)).min(most)
}

#[cfg(test)]
mod tests {
    use liaison_protocol::attachment::{self, Attachment};
    use liaison_protocol::jws;
    use liaison_protocol::message::MessageId;

    use super::*;

    fn wanted(name: u8, length: u64) -> Wanted {
        Wanted {
            exchange: MessageId(Hash::ZERO),
            attachment: Attachment {
                digest: Hash::from_bytes([name; 32]),
                salt: jws::encode(&[0; attachment::SALT_LEN]),
                length,
                media_type: "image/png".parse().expect("a line"),
                name: "mark".parse().expect("a line"),
                view: None,
            },
            is_lost: false,
        }
    }

    #[test]
    fn an_attachment_comes_piece_by_piece_and_one_at_a_time() {
        let all = [wanted(1, u64::from(MAX_PIECE) + 5), wanted(2, 9)];
        let mut fetcher = Fetcher::default();
        assert!(fetcher.is_due(0));
        let first = fetcher.choose(&all, 0).expect("nothing was tried").clone();
        fetcher.begin(first, 0);
        let mut came = Vec::new();
        while let Some(PieceRequest { offset, length, .. }) = fetcher.ask(0) {
            assert!(fetcher.is_in_flight() && !fetcher.is_due(u64::MAX));
            came.push((offset, length));
            let piece = PieceReply::Piece(vec![0; length as usize]);
            assert!(matches!(fetcher.answered(Some(piece), 0, 0), Brought::Piece(_)));
            fetcher.added(length as usize);
        }
        assert_eq!(came, [(0, MAX_PIECE), (u64::from(MAX_PIECE), 5)]);
        fetcher.finished();
        assert_eq!(fetcher.choose(&all[1..], 0), Some(&all[1]));
    }

    #[test]
    fn a_piece_of_another_length_or_no_reply_at_all_spoils_it_and_not_for_ever() {
        let all = [wanted(1, 10), wanted(2, 10)];
        let mut fetcher = Fetcher::default();
        let mut now = 0;
        for (round, reply) in
            [Some(PieceReply::Piece(vec![0; 9])), Some(PieceReply::Piece(vec![0; 11])), None]
                .into_iter()
                .enumerate()
        {
            let chosen = fetcher.choose(&all[..1], now).expect("its time has come").clone();
            fetcher.begin(chosen, 0);
            fetcher.ask(now).expect("ten bytes");
            assert_eq!(fetcher.answered(reply, now, 7), Brought::Spoilt);
            let said = fetcher.spoilt(now, 7);
            assert!(said.contains(&format!("{} times", round + 1)), "{said}");
            // Others are not held up by it.
            assert_eq!(fetcher.choose(&all, now), Some(&all[1]));
            assert_eq!(fetcher.choose(&all[..1], now), None);
            now += LONGEST_REPEAT * 2;
        }
        assert_eq!((fetcher.choose(&all[..1], now), fetcher.wakes_at()), (None, None));
    }

    #[test]
    fn what_a_crash_may_have_torn_is_not_held_against_the_peer() {
        let all = [wanted(1, 10)];
        let mut fetcher = Fetcher::default();
        fetcher.begin(all[0].clone(), 4);
        let request = fetcher.ask(0).expect("six bytes");
        assert_eq!((request.offset, request.length), (4, 6));
        assert!(fetcher.spoilt(0, 0).contains("damaged"));
        assert_eq!(fetcher.choose(&all, 0), Some(&all[0]));
        // Once.
        fetcher.begin(all[0].clone(), 4);
        assert!(fetcher.spoilt(0, 0).contains("1 times"));
        assert_eq!(fetcher.choose(&all, 0), None);
    }

    #[test]
    fn a_silent_peer_is_asked_less_often_and_for_less_at_once() {
        let mut fetcher = Fetcher::default();
        fetcher.begin(wanted(1, 1 << 20), 0);
        let (mut now, mut waits, mut pieces) = (0, Vec::new(), Vec::new());
        for _ in 0..10 {
            pieces.push(fetcher.ask(now).expect("much is left").length);
            fetcher.failed(true, now, 0);
            let next = fetcher.wakes_at().expect("it is tried again");
            waits.push(next - now);
            now = next;
        }
        assert!(waits.is_sorted() && waits[9] == LONGEST_WAIT / 2, "{waits:?}");
        assert!(pieces.iter().rev().is_sorted() && pieces[9] == SHORTEST_PIECE, "{pieces:?}");
        fetcher.nudge(now);
        assert!(fetcher.wakes_at().expect("soon") <= now + FIRST_WAIT);
        // Who asks us to wait is left alone, whatever else it says.
        fetcher.ask(now);
        fetcher.answered(Some(PieceReply::Busy { retry_after_secs: 60 }), now, 0);
        fetcher.nudge(now);
        assert_eq!(fetcher.wakes_at(), Some(now + 60_000));
    }

    #[test]
    fn what_the_peer_does_not_give_waits_while_the_rest_comes() {
        let all = [wanted(1, 10), wanted(2, 10)];
        let mut fetcher = Fetcher::default();
        for (reply, is_lost) in [(PieceReply::Gone, true), (PieceReply::NotYours, false)] {
            let chosen = fetcher.choose(&all, 0).expect("one is left").clone();
            fetcher.begin(chosen, 0);
            fetcher.ask(0);
            let brought = fetcher.answered(Some(reply), 0, 0);
            assert!(matches!(brought, Brought::Lost(_) | Brought::NotGiven(_)), "{brought:?}");
            assert_eq!(matches!(brought, Brought::Lost(_)), is_lost);
        }
        assert_eq!(fetcher.choose(&all, 0), None);
        assert!(fetcher.wakes_at().is_some_and(|at| (1..=FIRST_REPEAT).contains(&at)));
    }

    #[test]
    fn a_day_has_its_measure() {
        let mut fetcher = Fetcher::default();
        fetcher.begin(wanted(1, u64::MAX), 0);
        let mut came = 0;
        while !fetcher.is_sated(5) {
            let length = fetcher.ask(5).expect("much is left").length;
            fetcher.answered(Some(PieceReply::Piece(vec![0; length as usize])), 5, 0);
            fetcher.added(length as usize);
            came += u64::from(length);
        }
        assert_eq!((came, fetcher.wakes_at()), (MOST_A_DAY, Some(DAY)));
        assert!(!fetcher.is_sated(DAY));
    }
}

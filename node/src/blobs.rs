//! Attachments as files: put in by our officers, or fetched from peers piece by piece.
//!
//! A file is named by the digest of its attachment and begins with the salt, so its name is its SHA-256: `sha256sum`
//! checks it. There are three places below `blobs/`: `loose/` for what was put in and no message names yet, `parts/` for
//! what is on its way, and `blobs/` itself for what messages name and is whole. Only what is whole, has been hashed and
//! is durable gets there. Whom to fetch from, and who may fetch, is for others to say.

use std::collections::BTreeSet;
use std::io;

use liaison_protocol::attachment::{self, Attachment, SALT_LEN};
use liaison_protocol::authority::{NodeId, Timestamp};
use liaison_protocol::merkle::{Hash, Hasher};

use crate::disk::{Disk, Folder};
use crate::system;

/// The content of attachments. Clones are the same.
#[derive(Clone, Debug)]
pub struct Blobs<D> {
    disk: D,
}

/// A file of ours cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("attachment file {path}: {source}. Free or repair the disk and try again")]
pub struct BlobError {
    path: String,
    source: io::Error,
}

/// Why an upload is not taken.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the texts say it")]
pub enum PutError {
    #[error(transparent)]
    Blob(#[from] BlobError),
    #[error("an attachment has 1 byte to 32 MiB")]
    Length,
    #[error(
        "{} MiB of attachments wait to be sent with a message already: send or withdraw those first; what no message names a day later goes at the next start",
        MOST_LOOSE / 1024 / 1024
    )]
    TooMuch,
}

/// Whether an attachment that somebody describes is one of ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Found {
    /// There is none of that digest.
    Absent,
    /// There is, and its salt or its length is another.
    Differs,
    /// It is here, and no message names it yet.
    Loose,
    /// It is here.
    Kept,
}

impl Blobs<Folder> {
    /// Whether the disk has room for more of what peers send.
    pub fn check_room(&self, enough: u64) -> Result<(), BlobError> {
        match system::has_room(self.disk.root(), enough) {
            true => Ok(()),
            false => {
                Err(at(PARTS)(io::Error::other("the disk is nearly full, and what is left is the log's")))
            }
        }
    }
}

impl<D: Disk> Blobs<D> {
    /// Those below this folder.
    pub fn new(disk: D) -> Self {
        Self { disk }
    }

    /// Take in what an officer puts in, durably. It is loose until a message names it.
    pub fn put(&self, content: Vec<u8>, salt: [u8; SALT_LEN], now: Timestamp) -> Result<Hash, PutError> {
        if !(1..=attachment::MAX_LENGTH).contains(&(content.len() as u64)) {
            return Err(PutError::Length);
        }
        let mut waiting = content.len() as u64;
        for name in self.names(LOOSE)? {
            waiting += self.len(&format!("{LOOSE}/{name}"))?.unwrap_or_default();
        }
        if waiting > MOST_LOOSE {
            return Err(PutError::TooMuch);
        }
        let mut bytes = content;
        bytes.splice(0..0, salt);
        let digest = Hash::of(&bytes);
        let path = format!("{LOOSE}/{}-{digest}", day(now));
        self.disk.replace(&path, &bytes).map_err(at(&path))?;
        Ok(digest)
    }

    /// Whether this attachment is here.
    pub fn find(&self, attachment: &Attachment) -> Result<Found, BlobError> {
        let kept = kept(&attachment.digest);
        if self.len(&kept)?.is_some() {
            let fits = self.fits(&kept, attachment)?;
            return Ok(if fits { Found::Kept } else { Found::Differs });
        }
        match self.loose(&attachment.digest)? {
            Some(path) if self.fits(&path, attachment)? => Ok(Found::Loose),
            Some(_) => Ok(Found::Differs),
            None => Ok(Found::Absent),
        }
    }

    /// Whether its content is here, for whoever looks at the messages that name it.
    pub fn holds(&self, attachment: &Attachment) -> bool {
        self.find(attachment)
            .inspect_err(|error| tracing::error!(%error))
            .is_ok_and(|found| found == Found::Kept)
    }

    /// A message is about to name what is loose: keep it from now on.
    pub fn keep(&self, digest: &Hash) -> Result<(), BlobError> {
        match self.loose(digest)? {
            Some(path) => self.disk.rename(&path, &kept(digest)).map_err(at(&path)),
            None => Ok(()),
        }
    }

    /// At most `length` bytes of the content of what messages name, from `offset` on. `None` if it is not here, or not
    /// so long.
    pub fn read(&self, digest: &Hash, offset: u64, length: u32) -> Result<Option<Vec<u8>>, BlobError> {
        let path = kept(digest);
        let Some(there) = self.len(&path)?.and_then(|len| len.checked_sub(SALT_LEN as u64)) else {
            return Ok(None);
        };
        let length = there.saturating_sub(offset).min(length.into());
        if length == 0 {
            return Ok(None);
        }
        let length = usize::try_from(length).expect("less than a u32");
        self.disk.read_at(&path, SALT_LEN as u64 + offset, length).map(Some).map_err(at(&path))
    }

    // What is on its way.

    /// How much of this attachment's content is here from that peer.
    pub fn fetched(&self, from: &NodeId, attachment: &Attachment) -> Result<u64, BlobError> {
        let path = part(from, &attachment.digest);
        match self.len(&path)?.map(|len| len.checked_sub(SALT_LEN as u64)) {
            Some(Some(length)) if length <= attachment.length => Ok(length),
            // A crash tore its very beginning.
            Some(_) => self.discard(from, &attachment.digest).map(|()| 0),
            None => Ok(0),
        }
    }

    /// Bytes on their way from that peer.
    pub fn pending(&self, from: &NodeId) -> Result<u64, BlobError> {
        let ending = ending(from);
        let mut pending = 0;
        for name in self.names(PARTS)?.iter().filter(|name| name.ends_with(&ending)) {
            pending += self.len(&format!("{PARTS}/{name}"))?.unwrap_or_default();
        }
        Ok(pending)
    }

    /// Add the next piece, of which no more is taken than the attachment is long.
    pub fn add(&self, from: &NodeId, attachment: &Attachment, piece: &[u8]) -> Result<(), BlobError> {
        let path = part(from, &attachment.digest);
        let here = self.fetched(from, attachment)?;
        let room = usize::try_from(attachment.length - here).unwrap_or(usize::MAX);
        let piece = &piece[..piece.len().min(room)];
        let added = match attachment.salt().filter(|_| here == 0) {
            Some(salt) if self.len(&path)?.is_none() => self.disk.append(&path, &[&salt, piece].concat()),
            _ => self.disk.append(&path, piece),
        };
        added.map_err(at(&path))
    }

    /// All of it came: keep it if it is what its digest says, and throw it away if not.
    pub fn finish(&self, from: &NodeId, attachment: &Attachment) -> Result<bool, BlobError> {
        let path = part(from, &attachment.digest);
        let whole = SALT_LEN as u64 + attachment.length;
        if self.len(&path)? != Some(whole) || self.hash(&path, whole)? != attachment.digest {
            self.discard(from, &attachment.digest)?;
            return Ok(false);
        }
        let done = self.disk.sync(&path).and_then(|()| self.disk.rename(&path, &kept(&attachment.digest)));
        if done.is_err() {
            // What a failed sync left is not trusted, whatever is read of it.
            let _ = self.disk.remove(&path);
        }
        done.map(|()| true).map_err(at(&path))
    }

    /// Throw away what came so far.
    pub fn discard(&self, from: &NodeId, digest: &Hash) -> Result<(), BlobError> {
        let path = part(from, digest);
        self.disk.remove(&path).map_err(at(&path))
    }

    /// At the start: remove what was put in at least a day ago and no message names, and what was on its way and is not
    /// wanted any more.
    pub fn tidy(&self, now: Timestamp, wanted: &[(NodeId, Hash)]) -> Result<(), BlobError> {
        for name in self.names(LOOSE)? {
            let since = name.split_once('-').and_then(|(day, _)| day.parse::<u64>().ok());
            // Put in on one day and a day old on the next but one at the latest. What has another name is no upload.
            if since.is_none_or(|since| since + 2 <= day(now)) {
                let path = format!("{LOOSE}/{name}");
                self.disk.remove(&path).map_err(at(&path))?;
            }
        }
        let wanted: BTreeSet<String> = wanted.iter().map(|(from, digest)| part(from, digest)).collect();
        for name in self.names(PARTS)? {
            let path = format!("{PARTS}/{name}");
            if !wanted.contains(&path) {
                self.disk.remove(&path).map_err(at(&path))?;
            }
        }
        Ok(())
    }

    fn fits(&self, path: &str, attachment: &Attachment) -> Result<bool, BlobError> {
        if self.len(path)? != Some(SALT_LEN as u64 + attachment.length) {
            return Ok(false);
        }
        let salt = self.disk.read_at(path, 0, SALT_LEN).map_err(at(path))?;
        Ok(attachment.salt().is_some_and(|named| named.as_slice() == salt))
    }

    fn hash(&self, path: &str, len: u64) -> Result<Hash, BlobError> {
        let mut hasher = Hasher::default();
        let mut offset = 0;
        while offset < len {
            let step = (len - offset).min(STEP);
            let length = usize::try_from(step).expect("a step is short");
            hasher.update(&self.disk.read_at(path, offset, length).map_err(at(path))?);
            offset += step;
        }
        Ok(hasher.finish())
    }

    fn loose(&self, digest: &Hash) -> Result<Option<String>, BlobError> {
        let named = |name: &String| name.split_once('-').is_some_and(|(_, rest)| rest == digest.to_string());
        Ok(self.names(LOOSE)?.into_iter().find(named).map(|name| format!("{LOOSE}/{name}")))
    }

    fn names(&self, folder: &str) -> Result<Vec<String>, BlobError> {
        self.disk.list(folder).map_err(at(folder))
    }

    fn len(&self, path: &str) -> Result<Option<u64>, BlobError> {
        self.disk.len(path).map_err(at(path))
    }
}

fn at(path: &str) -> impl FnOnce(io::Error) -> BlobError {
    move |source| BlobError { path: path.to_owned(), source }
}

fn day(at: Timestamp) -> u64 {
    at.0 / 86_400
}

fn kept(digest: &Hash) -> String {
    format!("{FOLDER}/{digest}")
}

/// Of each peer apart: nobody can spoil what comes from another.
fn part(from: &NodeId, digest: &Hash) -> String {
    format!("{PARTS}/{digest}{}", ending(from))
}

/// A node id may be longer than a file's name.
fn ending(from: &NodeId) -> String {
    let peer = Hash::of(from.as_str().as_bytes()).to_string();
    format!(".{}.part", &peer[..16])
}

const FOLDER: &str = "blobs";
const LOOSE: &str = "blobs/loose";
const PARTS: &str = "blobs/parts";
/// Most bytes put in and not named by a message.
const MOST_LOOSE: u64 = 1024 * 1024 * 1024;
/// Bytes hashed at a time.
const STEP: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    use liaison_protocol::jws;

    use super::*;
    use crate::disk::Folder;

    const SALT: [u8; SALT_LEN] = [9; SALT_LEN];
    const DAY: u64 = 86_400;

    fn named(content: &[u8]) -> Attachment {
        Attachment {
            digest: attachment::digest(&SALT, content),
            salt: jws::encode(&SALT),
            length: content.len() as u64,
            media_type: "image/jpeg".parse().expect("a line"),
            name: "left side.jpg".parse().expect("a line"),
            view: None,
        }
    }

    fn peer(name: &str) -> NodeId {
        format!("{name}.example/liaison").parse().expect("a node id")
    }

    fn rehearse(play: impl FnOnce(&Blobs<Folder>, &Path)) {
        let folder = tempfile::tempdir().expect("a folder");
        play(&Blobs::new(Folder::new(folder.path())), &folder.path().join("blobs"));
    }

    #[test]
    fn what_is_put_in_is_kept_when_a_message_names_it_and_its_name_is_its_hash() {
        rehearse(|blobs, folder| {
            let attachment = named(b"a photograph");
            assert_eq!(blobs.find(&attachment).expect("readable"), Found::Absent);
            let digest = blobs.put(b"a photograph".to_vec(), SALT, Timestamp(5 * DAY)).expect("room");
            assert_eq!(
                (digest, blobs.find(&attachment).expect("readable")),
                (attachment.digest, Found::Loose)
            );
            // Not for others before a message names it.
            assert!(!blobs.holds(&attachment) && blobs.read(&digest, 0, 100).expect("readable").is_none());
            blobs.keep(&digest).expect("writable");
            assert!(blobs.holds(&attachment));
            let path = folder.join(digest.to_string());
            assert_eq!(Hash::of(&std::fs::read(&path).expect("there")), digest);
            assert_eq!(std::fs::metadata(&path).expect("there").mode() & 0o777, 0o600);
            assert_eq!(blobs.read(&digest, 2, 100).expect("readable").as_deref(), Some(&b"photograph"[..]));
            assert_eq!(blobs.read(&digest, 2, 3).expect("readable").as_deref(), Some(&b"pho"[..]));
            assert_eq!(blobs.read(&digest, 12, 1).expect("readable"), None);
            assert_eq!(blobs.read(&digest, u64::MAX, 1).expect("readable"), None);

            let salted = Attachment { salt: jws::encode(&[1; 16]), ..attachment.clone() };
            let longer = Attachment { length: 13, ..attachment.clone() };
            for other in [salted, longer] {
                assert_eq!(blobs.find(&other).expect("readable"), Found::Differs);
            }
        });
    }

    #[test]
    fn what_no_message_names_goes_after_a_day() {
        rehearse(|blobs, _| {
            let now = Timestamp(10 * DAY + 600);
            let (old, new) = (named(b"old"), named(b"new"));
            blobs.put(b"old".to_vec(), SALT, Timestamp(8 * DAY)).expect("room");
            blobs.put(b"new".to_vec(), SALT, Timestamp(9 * DAY + 80_000)).expect("room");
            let kept = blobs.put(b"kept".to_vec(), SALT, Timestamp(8 * DAY)).expect("room");
            blobs.keep(&kept).expect("writable");
            blobs.tidy(now, &[]).expect("writable");
            assert_eq!(blobs.find(&old).expect("readable"), Found::Absent);
            assert_eq!(blobs.find(&new).expect("readable"), Found::Loose);
            assert!(blobs.holds(&named(b"kept")));
        });
    }

    #[test]
    fn an_upload_has_its_bounds() {
        rehearse(|blobs, _| {
            let put = |len: usize| blobs.put(vec![0; len], SALT, Timestamp(0));
            let most = usize::try_from(attachment::MAX_LENGTH).expect("32 MiB");
            assert!(matches!(put(0), Err(PutError::Length)));
            assert!(matches!(put(most + 1), Err(PutError::Length)));
            put(most).expect("just so long");
        });
    }

    #[test]
    fn pieces_become_a_file_only_when_they_are_what_the_digest_says() {
        let content: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
        let (attachment, ken, per) = (named(&content), peer("ken"), peer("per"));
        rehearse(|blobs, folder| {
            for piece in content.chunks(70_000) {
                blobs.add(&ken, &attachment, piece).expect("writable");
                assert!(!blobs.holds(&attachment));
            }
            // Another peer's lie about the same digest is apart.
            blobs.add(&per, &attachment, &vec![0; content.len()]).expect("writable");
            assert!(!blobs.finish(&per, &attachment).expect("readable"));
            assert_eq!(blobs.fetched(&per, &attachment).expect("readable"), 0);
            assert_eq!(blobs.fetched(&ken, &attachment).expect("readable"), 200_000);
            assert_eq!(blobs.pending(&ken).expect("readable"), 200_016);
            assert!(blobs.finish(&ken, &attachment).expect("readable") && blobs.holds(&attachment));
            assert_eq!((blobs.pending(&ken).expect("ok"), blobs.pending(&per).expect("ok")), (0, 0));
            assert_eq!(blobs.read(&attachment.digest, 0, 200_000).expect("readable"), Some(content.clone()));
            assert_eq!(std::fs::read_dir(folder.join("parts")).expect("there").count(), 0);
        });
    }

    #[test]
    fn what_came_before_a_crash_is_gone_on_with_and_more_than_was_named_is_cut_off() {
        let content = vec![3; 1000];
        let (attachment, ken) = (named(&content), peer("ken"));
        rehearse(|blobs, folder| {
            blobs.add(&ken, &attachment, &content[..400]).expect("writable");
            let again = Blobs::new(Folder::new(folder.parent().expect("below data")));
            assert_eq!(again.fetched(&ken, &attachment).expect("readable"), 400);
            again.tidy(Timestamp(0), &[(ken.clone(), attachment.digest)]).expect("writable");
            again.add(&ken, &attachment, &vec![3; 5000]).expect("writable");
            assert_eq!(again.fetched(&ken, &attachment).expect("readable"), 1000);
            assert!(again.finish(&ken, &attachment).expect("readable"));

            // Torn in its salt: from the beginning. Not wanted any more: gone.
            let other = named(b"another");
            let path = folder.parent().expect("below data").join(part(&ken, &other.digest));
            std::fs::write(&path, [9; 5]).expect("writable");
            assert_eq!(again.fetched(&ken, &other).expect("readable"), 0);
            again.add(&ken, &other, b"ano").expect("writable");
            again.tidy(Timestamp(0), &[]).expect("writable");
            assert!(!path.exists());
        });
    }

    #[test]
    fn half_of_it_is_not_it() {
        let (attachment, ken) = (named(b"a photograph"), peer("ken"));
        rehearse(|blobs, _| {
            blobs.add(&ken, &attachment, b"a photo").expect("writable");
            assert!(!blobs.finish(&ken, &attachment).expect("readable"));
            assert!(!blobs.finish(&ken, &attachment).expect("there is nothing"));
        });
    }
}

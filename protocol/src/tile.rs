//! How a log lies in files: tiles of hashes and bundles of entries, as C2SP tlog-tiles says.
//!
//! A tile is 256 neighbouring hashes of one level of tiles; each hash of level *l* covers `256^l` leaves, and
//! is the root of a full tile of the level below. At the right edge of the tree tiles are partial, 1 to 255
//! wide. This module knows names, widths and bytes; reading, writing and syncing files is left to the node.

use std::ops::Range;

use crate::merkle::{HASH_LEN, Hash, LeafIndex, Nodes};

/// How many hashes a full tile has, and how many entries a full bundle.
pub const TILE_WIDTH: u16 = 256;

/// The longest entry a bundle can hold, in bytes.
pub const MAX_ENTRY: usize = u16::MAX as usize;

/// One tile of a tree, by its place and width. The bundle of entries over a tile of level 0 has the same
/// place.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Tile {
    /// The level of tiles: 0 has the leaf hashes.
    pub level: u8,
    /// The place within the level, from 0.
    pub index: u64,
    /// How many hashes it has: 1 to [`TILE_WIDTH`].
    pub width: u16,
}

impl Tile {
    /// Whether it has all its 256 hashes, and so will never change.
    pub fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }

    /// The full tile at its place.
    pub fn full(&self) -> Self {
        Self { width: TILE_WIDTH, ..*self }
    }

    /// Where its hashes are kept: see [`tile_path`].
    pub fn path(&self) -> String {
        tile_path(self.level, self.index, self.width)
    }

    /// Where the entries under it are kept, if it is of level 0: see [`entries_path`].
    pub fn entries_path(&self) -> String {
        entries_path(self.index, self.width)
    }

    /// The leaves that the hash at `place` (from 0, below the width) covers.
    pub fn leaves(&self, place: u16) -> Range<LeafIndex> {
        let hash = self.index * u64::from(TILE_WIDTH) + u64::from(place);
        let bits = LEVEL_BITS * u32::from(self.level);
        LeafIndex(hash << bits)..LeafIndex((hash + 1) << bits)
    }

    /// Its hashes, from the nodes of the tree.
    pub fn hashes<N: Nodes>(&self, nodes: &N) -> Result<Vec<Hash>, N::Error> {
        let first = self.index * u64::from(TILE_WIDTH);
        let level = self.level * LEVEL_BITS as u8;
        (first..first + u64::from(self.width)).map(|index| nodes.node(level, index)).collect()
    }
}

/// The path of a tile below the log's folder: `tile/0/x001/x234/067`, and with `.p/5` if it is 5 wide.
pub fn tile_path(level: u8, index: u64, width: u16) -> String {
    format!("tile/{level}/{}", numbered(index, width))
}

/// The path of a bundle of entries below the log's folder: `tile/entries/x001/x234/067`, and with `.p/5` if
/// it has 5.
pub fn entries_path(index: u64, width: u16) -> String {
    format!("tile/entries/{}", numbered(index, width))
}

/// All tiles of a tree of `size` leaves, level by level.
pub fn tiles(size: u64) -> impl Iterator<Item = Tile> {
    new_tiles(0, size)
}

/// The tiles that a tree of `to` leaves has and the same tree at `from` leaves had not, or not so wide.
///
/// Once a full tile is safe on disk, the folder `<its path>.p` of its partial forerunners may go.
pub fn new_tiles(from: u64, to: u64) -> impl Iterator<Item = Tile> {
    (0..LEVELS).flat_map(move |level| {
        let (before, now) = (hashes_at(level, from), hashes_at(level, to));
        let end = if before < now { now.div_ceil(u64::from(TILE_WIDTH)) } else { 0 };
        (before / u64::from(TILE_WIDTH)..end).map(move |index| tile_at(level, index, now))
    })
}

/// The partial tiles at the right edge of a tree of `size` leaves: at most one per level.
pub fn partial_tiles(size: u64) -> impl Iterator<Item = Tile> {
    (0..LEVELS).filter_map(move |level| {
        let now = hashes_at(level, size);
        let tile = tile_at(level, now / u64::from(TILE_WIDTH), now);
        (tile.width > 0).then_some(tile)
    })
}

/// The tile that holds a node of a tree of `size` leaves, and the hashes in it that
/// [`fold`](crate::merkle::fold) to the node. `None` if the node is not complete at that size.
pub fn locate(level: u8, index: u64, size: u64) -> Option<(Tile, Range<usize>)> {
    let (tiles, above) = (level / LEVEL_BITS as u8, u32::from(level) % LEVEL_BITS);
    let now = hashes_at(tiles, size);
    let first = index.checked_mul(1 << above)?;
    if first.checked_add(1 << above)? > now {
        return None;
    }
    let place = (first % u64::from(TILE_WIDTH)) as usize;
    Some((tile_at(tiles, first / u64::from(TILE_WIDTH), now), place..place + (1 << above)))
}

/// The bytes of a tile: its hashes, one after the other.
pub fn encode_tile(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

/// The hashes of a tile that is `width` wide.
pub fn decode_tile(bytes: &[u8], width: u16) -> Result<Vec<Hash>, TileFlaw> {
    let (hashes, rest) = bytes.as_chunks::<HASH_LEN>();
    if hashes.len() != usize::from(width) || !rest.is_empty() {
        return Err(TileFlaw::Length { expected: usize::from(width) * HASH_LEN, given: bytes.len() });
    }
    Ok(hashes.iter().copied().map(Hash::from_bytes).collect())
}

/// The bytes of a bundle: each entry with its length before it, two bytes, big-endian.
pub fn encode_bundle<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, TileFlaw> {
    let mut bytes = Vec::new();
    for entry in entries {
        let length = u16::try_from(entry.len()).map_err(|_| TileFlaw::EntryTooLong)?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    Ok(bytes)
}

/// The entries of a bundle that has `width` of them and nothing after.
pub fn decode_bundle(bytes: &[u8], width: u16) -> Bundle<'_> {
    Bundle { rest: bytes, place: 0, width }
}

/// The entries of a bundle, in order; ends after the first flaw. Made by [`decode_bundle`].
#[derive(Clone, Debug)]
pub struct Bundle<'a> {
    rest: &'a [u8],
    /// The next entry's place.
    place: u16,
    /// How many there should be; lowered to `place` to end early.
    width: u16,
}

impl<'a> Bundle<'a> {
    fn entry(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.rest.split_first_chunk()?;
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        self.rest = rest;
        Some(entry)
    }
}

impl<'a> Iterator for Bundle<'a> {
    type Item = Result<&'a [u8], TileFlaw>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.place < self.width {
            let entry = self.entry().ok_or(TileFlaw::BundleEnds { place: self.place });
            self.place += 1;
            if entry.is_err() {
                (self.width, self.rest) = (self.place, &[]);
            }
            return Some(entry);
        }
        if self.rest.is_empty() {
            return None;
        }
        self.rest = &[];
        Some(Err(TileFlaw::BundleGoesOn))
    }
}

/// Why bytes are no tile or no bundle, or entries make no bundle.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TileFlaw {
    /// The bundle ends before or within the entry at `place`.
    #[error("the bundle ends before entry {place} of it is complete")]
    BundleEnds {
        /// The entry's place in the bundle, from 0.
        place: u16,
    },
    /// There are bytes after the last entry.
    #[error("the bundle goes on after its last entry")]
    BundleGoesOn,
    /// The entry has more than [`MAX_ENTRY`] bytes.
    #[error("an entry has more than 65535 bytes")]
    EntryTooLong,
    /// The tile's width asks for another number of bytes.
    #[error("the tile should have {expected} bytes, not {given}")]
    Length {
        /// How many bytes the width asks for.
        expected: usize,
        /// How many there are.
        given: usize,
    },
}

/// An index in groups of three digits, all but the last with an `x`, and the width if it is partial.
fn numbered(index: u64, width: u16) -> String {
    let mut path = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    if width == TILE_WIDTH { path } else { format!("{path}.p/{width}") }
}

/// How many hashes level `level` of tiles has at `size` leaves.
fn hashes_at(level: u8, size: u64) -> u64 {
    size.checked_shr(LEVEL_BITS * u32::from(level)).unwrap_or(0)
}

/// The tile at `index` where its level has `hashes` hashes, of which at least `256 * index` lie before it.
fn tile_at(level: u8, index: u64, hashes: u64) -> Tile {
    let width = (hashes - index * u64::from(TILE_WIDTH)).min(u64::from(TILE_WIDTH));
    Tile { level, index, width: width as u16 }
}

/// A level of tiles is eight levels of the tree.
const LEVEL_BITS: u32 = 8;

/// More levels of tiles than any tree has.
const LEVELS: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::{Tree, fold, leaf_hash};

    #[test]
    fn paths_are_those_of_the_document() {
        assert_eq!(tile_path(0, 1_234_067, 256), "tile/0/x001/x234/067");
        assert_eq!(tile_path(0, 1_234_067, 5), "tile/0/x001/x234/067.p/5");
        assert_eq!(tile_path(2, 0, 1), "tile/2/000.p/1");
        assert_eq!(tile_path(1, 999, 256), "tile/1/999");
        assert_eq!(tile_path(1, 1000, 256), "tile/1/x001/000");
        assert_eq!(tile_path(0, u64::MAX, 256), "tile/0/x018/x446/x744/x073/x709/x551/615");
        assert_eq!(entries_path(273, 112), "tile/entries/273.p/112");
        assert_eq!(entries_path(123_456, 256), "tile/entries/x123/456");
    }

    #[test]
    fn a_tree_has_the_tiles_of_the_documents_examples() {
        let all: Vec<Tile> = tiles(70_000).collect();
        let count = |level, full| all.iter().filter(|t| t.level == level && t.is_full() == full).count();
        assert_eq!((count(0, true), count(0, false), count(1, true)), (273, 1, 1));
        let partial: Vec<Tile> = partial_tiles(70_000).collect();
        assert_eq!(
            partial,
            [
                Tile { level: 0, index: 273, width: 112 },
                Tile { level: 1, index: 1, width: 17 },
                Tile { level: 2, index: 0, width: 1 },
            ]
        );
        assert_eq!(all.len(), 273 + 1 + partial.len());
        let two = [Tile { level: 0, index: 0, width: 256 }, Tile { level: 1, index: 0, width: 1 }];
        assert_eq!(tiles(256).collect::<Vec<_>>(), two);
        assert_eq!(tiles(0).count() + partial_tiles(0).count(), 0);
        assert_eq!(partial_tiles(u64::MAX).map(|tile| tile.width).collect::<Vec<_>>(), [255; 8]);
    }

    const EDGES: [u64; 12] = [0, 1, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, 66_000];

    #[test]
    fn new_tiles_are_those_the_smaller_tree_has_not() {
        for from in EDGES {
            let had: std::collections::HashSet<Tile> = tiles(from).collect();
            for to in EDGES.into_iter().filter(|to| *to >= from) {
                let expected: Vec<Tile> = tiles(to).filter(|tile| !had.contains(tile)).collect();
                assert_eq!(new_tiles(from, to).collect::<Vec<_>>(), expected, "{from} to {to}");
            }
        }
    }

    #[test]
    fn every_node_is_found_in_a_tile_and_only_complete_ones_are() {
        let mut tree = Tree::new();
        (0..66_000_u64).for_each(|leaf| _ = tree.append(leaf_hash(&leaf.to_be_bytes())));
        let stored: std::collections::HashMap<Tile, Vec<Hash>> =
            tiles(66_000).map(|tile| (tile, tile.hashes(&tree).expect("all known"))).collect();
        for level in 0..20 {
            let last: u64 = 66_000 >> level;
            let edges = [last / 2, last.saturating_sub(1), last, last + 1];
            for index in [0, 1, 2, 127, 128, 255, 256, 257].into_iter().chain(edges) {
                let found = locate(level, index, 66_000).map(|(tile, range)| fold(&stored[&tile][range]));
                assert_eq!(found, tree.get(level, index), "{level} {index}");
            }
        }
        for (level, index) in [(255, 0), (0, u64::MAX), (7, u64::MAX), (63, 1), (64, 0)] {
            assert_eq!(locate(level, index, u64::MAX), None, "{level} {index}");
        }
    }

    #[test]
    fn a_tile_says_which_leaves_a_hash_covers() {
        let tile = Tile { level: 1, index: 2, width: 256 };
        assert_eq!(tile.leaves(3), LeafIndex((512 + 3) * 256)..LeafIndex((512 + 4) * 256));
    }

    #[test]
    fn tiles_and_bundles_read_as_they_were_written_and_not_otherwise() {
        let hashes = [Hash::of(b"a"), Hash::of(b"b")];
        let bytes = encode_tile(&hashes);
        assert_eq!(decode_tile(&bytes, 2), Ok(hashes.to_vec()));
        for (bytes, width) in [(&bytes[..], 1), (&bytes[..], 3), (&bytes[1..], 2), (&[], 2)] {
            let length = TileFlaw::Length { expected: usize::from(width) * 32, given: bytes.len() };
            assert_eq!(decode_tile(bytes, width), Err(length));
        }

        let longest = vec![7; MAX_ENTRY];
        let entries = [b"one".as_slice(), b"", &longest];
        let bytes = encode_bundle(entries).expect("none is too long");
        let decode = |bytes, width| decode_bundle(bytes, width).collect::<Result<Vec<_>, _>>();
        assert_eq!(decode(&bytes, 3), Ok(entries.to_vec()));
        assert_eq!(decode(&bytes, 2), Err(TileFlaw::BundleGoesOn));
        assert_eq!(decode(&bytes, 4), Err(TileFlaw::BundleEnds { place: 3 }));
        assert_eq!(decode(&bytes[..bytes.len() - 1], 3), Err(TileFlaw::BundleEnds { place: 2 }));
        assert_eq!(decode(&bytes[..6], 3), Err(TileFlaw::BundleEnds { place: 1 }));
        assert_eq!(decode(&[], 0), Ok(vec![]));
        // A flaw is said once.
        assert_eq!(decode_bundle(&bytes, 2).count(), 3);
        assert_eq!(decode_bundle(&bytes, 9).count(), 4);
        let too_long = vec![7; MAX_ENTRY + 1];
        assert_eq!(encode_bundle([too_long.as_slice()]), Err(TileFlaw::EntryTooLong));
    }
}

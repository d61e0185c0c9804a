//! The tree over the log: hashes, proofs and a tree that grows. Only arithmetic.
//!
//! Hashing is that of RFC 6962, section 2.1 (the same in RFC 9162): a leaf is SHA-256(0x00 ‖ entry), a node
//! SHA-256(0x01 ‖ left ‖ right), the empty tree SHA-256(""). A *node* here is always the root of a complete
//! subtree: `(level, index)` covers the `2^level` leaves from `index << level`. Everything else, roots and
//! proofs of any size, is folded from such nodes; where they are kept is the business of [`Nodes`].
//!
//! How hashes are written in checkpoints is left to [`crate::note`], how they lie in files to
//! [`crate::tile`].

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// Length of a hash, in bytes.
pub const HASH_LEN: usize = 32;

/// The most hashes a proof may have (C2SP tlog-witness, `add-checkpoint`).
pub const MAX_PROOF: usize = 63;

/// The most leaves a tree may have: what a JSON integer carries exactly (RFC 7493, section 2.2).
///
/// It leaves room for every sum and shift below, so no stranger's size overflows one.
pub const MAX_SIZE: u64 = (1 << 53) - 1;

/// A SHA-256 hash. Written as base64url without padding, 43 characters, in the one canonical way.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Hash([u8; HASH_LEN]);

impl Hash {
    /// Thirty-two zero bytes: a placeholder, the hash of no known input.
    pub const ZERO: Self = Self([0; HASH_LEN]);

    /// The hash that has these bytes.
    pub const fn from_bytes(bytes: [u8; HASH_LEN]) -> Self {
        Self(bytes)
    }

    /// Its 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; HASH_LEN] {
        &self.0
    }

    /// SHA-256 of `bytes`, with no prefix. For entries see [`leaf_hash`].
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Give its text to `use_text`, without a string of its own: there are many in each line.
    fn with_text<T>(&self, use_text: impl FnOnce(&str) -> T) -> T {
        let mut text = [0; 43];
        use_text(BASE64URL_NOPAD.encode_mut_str(&self.0, &mut text))
    }
}

/// SHA-256 of what comes in pieces.
#[derive(Clone, Debug, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Take in the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all of it.
    pub fn finish(self) -> Hash {
        Hash(self.0.finalize().into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_text(|text| f.pad(text))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = TextFlaw;

    fn from_str(text: &str) -> Result<Self, TextFlaw> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| TextFlaw::Hash)?;
        Ok(Self(bytes.try_into().map_err(|_| TextFlaw::Hash)?))
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.with_text(|text| serializer.serialize_str(text))
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

/// The place of an entry in its log, from 0.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct LeafIndex(pub u64);

impl fmt::Display for LeafIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A tree at one size, and so a log at one moment. Written `<size>:<root>`, as the member `h` of an entry.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct TreeHead {
    /// How many leaves it has; at most [`MAX_SIZE`] in anything read.
    pub size: u64,
    /// The root over these leaves.
    pub root: Hash,
}

impl TreeHead {
    /// The head of a log that has no entry yet.
    pub fn empty() -> Self {
        Self { size: 0, root: empty_root() }
    }
}

impl fmt::Display for TreeHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.size, self.root)
    }
}

impl FromStr for TreeHead {
    type Err = TextFlaw;

    fn from_str(text: &str) -> Result<Self, TextFlaw> {
        let (size, root) = text.split_once(':').ok_or(TextFlaw::Colon)?;
        Ok(Self { size: decimal(size).ok_or(TextFlaw::Size)?, root: root.parse()? })
    }
}

impl Serialize for TreeHead {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TreeHead {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

/// Why a text is no hash or no tree head.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TextFlaw {
    /// A tree head has a size, a colon and a root.
    #[error("a tree head is written size:root")]
    Colon,
    /// Not 32 bytes in canonical base64url without padding.
    #[error("a hash is 43 characters of canonical base64url")]
    Hash,
    /// Not a decimal number as we write it, or above [`MAX_SIZE`].
    #[error("a tree size is a decimal number without leading zeros, at most 2^53 - 1")]
    Size,
}

/// The hash of an entry as a leaf: SHA-256(0x00 ‖ entry) (RFC 6962, section 2.1).
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Hash(Sha256::new().chain_update([0]).chain_update(entry).finalize().into())
}

/// The hash of two subtrees side by side: SHA-256(0x01 ‖ left ‖ right) (RFC 6962, section 2.1).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [1; 1 + 2 * HASH_LEN];
    bytes[1..=HASH_LEN].copy_from_slice(&left.0);
    bytes[1 + HASH_LEN..].copy_from_slice(&right.0);
    Hash::of(&bytes)
}

/// The root of a tree without leaves: SHA-256 of nothing (RFC 6962, section 2.1).
pub fn empty_root() -> Hash {
    Hash::of(b"")
}

/// The root over `hashes`, taken as neighbouring nodes of one level, of any number (RFC 6962, section 2.1).
pub fn fold(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => empty_root(),
        [one] => *one,
        more => {
            let (left, right) = more.split_at(more.len().next_power_of_two() / 2);
            node_hash(&fold(left), &fold(right))
        }
    }
}

/// Where the nodes of a tree are kept: in memory, in tiles, or some here and some there.
pub trait Nodes {
    /// Why a node could not be had.
    type Error;

    /// The root of the complete subtree over the `2^level` leaves from `index << level`.
    fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error>;
}

/// The root of the tree's first `size` leaves, from at most 64 nodes (RFC 6962, section 2.1).
pub fn root<N: Nodes>(nodes: &N, size: u64) -> Result<Hash, N::Error> {
    span(nodes, 0, size)
}

/// The proof that `leaf` is in the tree of `size` leaves, from O(log size) nodes (RFC 6962, section 2.1.1).
///
/// A leaf outside the tree gets an empty proof, which [`verify_inclusion`] refuses.
pub fn inclusion_proof<N: Nodes>(nodes: &N, leaf: LeafIndex, size: u64) -> Result<Vec<Hash>, N::Error> {
    let mut proof = Vec::new();
    if leaf.0 < size && size <= MAX_SIZE {
        climb(nodes, leaf.0, 0, size, &mut proof)?;
    }
    Ok(proof)
}

/// The proof that the tree of `from` leaves is the beginning of the tree of `to` leaves, from O(log `to`)
/// nodes (RFC 6962, section 2.1.2).
///
/// It is empty from 0 and between equal sizes (C2SP tlog-witness), and where `from` exceeds `to`, which
/// [`verify_consistency`] refuses.
pub fn consistency_proof<N: Nodes>(nodes: &N, from: u64, to: u64) -> Result<Vec<Hash>, N::Error> {
    let mut proof = Vec::new();
    if from == 0 || from >= to || to > MAX_SIZE {
        return Ok(proof);
    }
    // The proof places the old tree's last complete subtree in the new tree. Its hash comes first, unless it
    // is the whole old tree, whose root the verifier has.
    let (level, index) = last_subtree(from);
    if !from.is_power_of_two() {
        proof.push(nodes.node(level, index)?);
    }
    climb(nodes, index, level, to, &mut proof)?;
    Ok(proof)
}

/// Check that the leaf with `leaf_hash` is at `leaf` in the tree of `head` (RFC 9162, section 2.1.3.2).
pub fn verify_inclusion(
    leaf_hash: &Hash,
    leaf: LeafIndex,
    head: &TreeHead,
    proof: &[Hash],
) -> Result<(), ProofFlaw> {
    bounded(head.size, proof)?;
    if leaf.0 >= head.size {
        return Err(ProofFlaw::Outside);
    }
    let path = Path::new(leaf.0, 0, head.size);
    path.fits(proof)?;
    if path.new_root(*leaf_hash, proof) == head.root { Ok(()) } else { Err(ProofFlaw::Root) }
}

/// Check that the tree of `old` is the beginning of the tree of `new` (RFC 9162, section 2.1.4.2).
///
/// From size 0, and between equal sizes, the proof must be empty; a head of size 0 must have the empty root.
pub fn verify_consistency(old: &TreeHead, new: &TreeHead, proof: &[Hash]) -> Result<(), ProofFlaw> {
    bounded(new.size, proof)?;
    if old.size > new.size {
        return Err(ProofFlaw::Shrunk);
    }
    if old.size == 0 || old.size == new.size {
        if !proof.is_empty() {
            return Err(ProofFlaw::Length { expected: 0, given: proof.len() });
        }
        if old.size == new.size && old.root != new.root {
            return Err(ProofFlaw::Forked);
        }
        return if old.size > 0 || old.root == empty_root() { Ok(()) } else { Err(ProofFlaw::OldRoot) };
    }
    let (level, index) = last_subtree(old.size);
    let path = Path::new(index, level, new.size);
    let (start, rest) = match proof.split_first() {
        _ if old.size.is_power_of_two() => (&old.root, proof),
        Some(split) => split,
        None => return Err(ProofFlaw::Length { expected: path.len() + 1, given: 0 }),
    };
    path.fits(rest)?;
    if path.old_root(*start, rest) != old.root {
        return Err(ProofFlaw::OldRoot);
    }
    if path.new_root(*start, rest) == new.root { Ok(()) } else { Err(ProofFlaw::Root) }
}

/// Why a proof does not hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProofFlaw {
    /// Two heads of one size have different roots: no proof can reconcile them, and together they convict.
    #[error("two heads of one size have different roots")]
    Forked,
    /// The sizes ask for another number of hashes.
    #[error("the proof should have {expected} hashes, not {given}")]
    Length {
        /// How many hashes the sizes ask for.
        expected: usize,
        /// How many there are.
        given: usize,
    },
    /// The hashes do not lead to the old root.
    #[error("the proof does not lead to the old root")]
    OldRoot,
    /// The leaf's index is not below the tree's size.
    #[error("the leaf is outside the tree")]
    Outside,
    /// The hashes do not lead to the (new) root.
    #[error("the proof does not lead to the root")]
    Root,
    /// The new tree is smaller than the old one.
    #[error("the new tree is smaller than the old one")]
    Shrunk,
    /// The tree has more than [`MAX_SIZE`] leaves.
    #[error("the tree has more than 2^53 - 1 leaves")]
    TooLarge,
    /// There are more than [`MAX_PROOF`] hashes.
    #[error("the proof has more than 63 hashes")]
    TooLong,
}

/// A growing tree in memory.
///
/// It can forget what is low and old: see [`Tree::forget_below`]. What it needs in order to grow and to state
/// its head it always keeps.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    size: u64,
    /// By level: the nodes known, without a gap up to the last complete one.
    levels: Vec<Level>,
}

#[derive(Clone, Debug, Default)]
struct Level {
    /// How many nodes before the first known one are forgotten.
    forgotten: u64,
    known: Vec<Hash>,
}

impl Tree {
    /// A tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// A tree as it was, from the hashes of its complete blocks of 256 leaves (nodes of level 8) and the
    /// hashes of the leaves after the last such block. The leaves in the blocks are forgotten.
    pub fn resume(size: u64, level8: Vec<Hash>, rest: &[Hash]) -> Result<Self, ResumeFlaw> {
        let blocks = size / BLOCK;
        if u64::try_from(level8.len()) != Ok(blocks) {
            return Err(ResumeFlaw::Blocks { expected: blocks, given: level8.len() });
        }
        if u64::try_from(rest.len()) != Ok(size % BLOCK) {
            return Err(ResumeFlaw::Rest { expected: size % BLOCK, given: rest.len() });
        }
        let mut tree = Self { size: blocks * BLOCK, levels: Vec::new() };
        for level in 0..BLOCK_LEVEL {
            tree.levels.push(Level { forgotten: tree.size >> level, known: Vec::new() });
        }
        tree.levels.push(Level { forgotten: 0, known: level8 });
        while let Some(Level { known, .. }) = tree.levels.last()
            && known.len() > 1
        {
            let above = known.chunks_exact(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
            tree.levels.push(Level { forgotten: 0, known: above });
        }
        for leaf in rest {
            tree.append(*leaf);
        }
        Ok(tree)
    }

    /// Add a leaf by its hash: one hash more, amortised. Returns its place.
    pub fn append(&mut self, leaf_hash: Hash) -> LeafIndex {
        let leaf = LeafIndex(self.size);
        self.size += 1;
        let mut node = leaf_hash;
        for level in 0.. {
            if level == self.levels.len() {
                self.levels.push(Level::default());
            }
            let known = &mut self.levels[level].known;
            let left = known.last().copied();
            known.push(node);
            // An odd index has its left sibling just before it, and closes the node above.
            match left {
                Some(left) if (leaf.0 >> level) & 1 == 1 => node = node_hash(&left, &node),
                _ => break,
            }
        }
        leaf
    }

    /// How many leaves there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The head over all leaves; at most 53 hashes to compute.
    pub fn head(&self) -> TreeHead {
        let root = root(self, self.size).expect("the nodes of the right edge are never forgotten");
        TreeHead { size: self.size, root }
    }

    /// The node at `level` and `index`; `None` if it is not complete, or forgotten.
    pub fn get(&self, level: u8, index: u64) -> Option<Hash> {
        let Level { forgotten, known } = self.levels.get(usize::from(level))?;
        known.get(usize::try_from(index.checked_sub(*forgotten)?).ok()?).copied()
    }

    /// Forget the nodes of levels below 8 that lie before `leaf`, rounded down to a whole block of 256
    /// leaves.
    ///
    /// Nodes of level 8 and above are kept: 64 bytes for each 256 leaves. So a caller spills tiles, forgets
    /// what they hold, and still finds the top of every proof here.
    pub fn forget_below(&mut self, leaf: LeafIndex) {
        self.forget_band(0, leaf.0);
    }

    /// Forget everything that lies before the tile in progress, at every level: at most 512 nodes per level
    /// of tiles stay, whatever the size. The tree can still grow and state its head.
    pub fn forget_all_full_tiles(&mut self) {
        for band in 0..self.levels.len().div_ceil(usize::from(BLOCK_LEVEL)) {
            self.forget_band(band, self.size);
        }
    }

    /// Forget, in the eight levels that make one level of tiles, the tiles that lie wholly before `leaf`.
    fn forget_band(&mut self, band: usize, leaf: u64) {
        let bottom = band * usize::from(BLOCK_LEVEL);
        // The first node of the band's bottom level that stays: the start of a tile.
        let start = (leaf.min(self.size) >> bottom) / BLOCK * BLOCK;
        for (above, level) in self.levels.iter_mut().skip(bottom).take(usize::from(BLOCK_LEVEL)).enumerate() {
            let forget = (start >> above).saturating_sub(level.forgotten);
            let count = level.known.len().min(usize::try_from(forget).unwrap_or(usize::MAX));
            level.known.drain(..count);
            level.known.shrink_to(512);
            level.forgotten += count as u64;
        }
    }
}

impl Nodes for Tree {
    type Error = UnknownNode;

    fn node(&self, level: u8, index: u64) -> Result<Hash, UnknownNode> {
        self.get(level, index).ok_or(UnknownNode { level, index })
    }
}

/// A node that a [`Tree`] has forgotten or has not yet.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the tree in memory does not have node {index} of level {level}")]
pub struct UnknownNode {
    /// The level: the node covers `2^level` leaves.
    pub level: u8,
    /// The index within the level, from 0.
    pub index: u64,
}

/// Why a tree cannot be resumed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ResumeFlaw {
    /// The size asks for another number of complete blocks.
    #[error("{expected} complete blocks are needed, {given} were given")]
    Blocks {
        /// How many the size asks for.
        expected: u64,
        /// How many there are.
        given: usize,
    },
    /// The size asks for another number of leaves after the last block.
    #[error("{expected} leaves after the last block are needed, {given} were given")]
    Rest {
        /// How many the size asks for.
        expected: u64,
        /// How many there are.
        given: usize,
    },
}

/// The way up from a complete subtree of the tree (a leaf is one) to the root.
///
/// Up to the level where it meets the path of the last leaf, the subtree has a sibling on one side or the
/// other at every level; above, only siblings on the left remain.
struct Path {
    index: u64,
    /// Levels with a sibling on either side.
    inner: usize,
    /// Levels above, with a sibling on the left.
    border: usize,
}

impl Path {
    /// The path of the subtree at `(level, index)`, which must lie within the `size` leaves.
    fn new(index: u64, level: u8, size: u64) -> Self {
        let last = (size - 1) >> level;
        let inner = u64::BITS - (index ^ last).leading_zeros();
        Self { index, inner: inner as usize, border: (index >> inner).count_ones() as usize }
    }

    fn len(&self) -> usize {
        self.inner + self.border
    }

    fn fits(&self, proof: &[Hash]) -> Result<(), ProofFlaw> {
        let (expected, given) = (self.len(), proof.len());
        if expected == given { Ok(()) } else { Err(ProofFlaw::Length { expected, given }) }
    }

    /// The root of the whole tree, from the subtree's hash.
    fn new_root(&self, start: Hash, proof: &[Hash]) -> Hash {
        proof.iter().enumerate().fold(start, |hash, (level, sibling)| {
            if self.is_on_the_left(level) { node_hash(sibling, &hash) } else { node_hash(&hash, sibling) }
        })
    }

    /// The root of the tree that ends with this subtree: siblings on the right came later.
    fn old_root(&self, start: Hash, proof: &[Hash]) -> Hash {
        proof.iter().enumerate().fold(start, |hash, (level, sibling)| {
            if self.is_on_the_left(level) { node_hash(sibling, &hash) } else { hash }
        })
    }

    /// Whether the proof's sibling number `level` stands on the left.
    fn is_on_the_left(&self, level: usize) -> bool {
        level >= self.inner || (self.index >> level) & 1 == 1
    }
}

/// Level and index of the last complete subtree of a tree of `size` leaves, `size` being above 0.
fn last_subtree(size: u64) -> (u8, u64) {
    let level = size.trailing_zeros();
    (level as u8, (size - 1) >> level)
}

/// Add to `proof` the sibling at every level from the subtree at `(level, index)` to the root.
fn climb<N: Nodes>(
    nodes: &N,
    mut index: u64,
    level: u8,
    size: u64,
    proof: &mut Vec<Hash>,
) -> Result<(), N::Error> {
    for level in level..(u64::BITS - (size - 1).leading_zeros()) as u8 {
        let sibling = index ^ 1;
        let (begin, end) = (sibling << level, (sibling + 1) << level);
        // A sibling that would begin after the last leaf is not there: the node moves up as it is.
        if begin < size {
            proof.push(span(nodes, begin, end.min(size))?);
        }
        index >>= 1;
    }
    Ok(())
}

/// The root over the leaves from `begin` to `end`, where `begin` is a multiple of a power of two that is no
/// less than their number. Only the last such span of a proof is not one complete node.
fn span<N: Nodes>(nodes: &N, begin: u64, end: u64) -> Result<Hash, N::Error> {
    let mut rest = end - begin;
    let mut hash = None;
    // From the right, smallest first: each complete subtree goes to the left of what there is.
    while rest > 0 {
        let level = rest.trailing_zeros();
        rest &= rest - 1;
        let node = nodes.node(level as u8, (begin + rest) >> level)?;
        hash = Some(hash.map_or(node, |right| node_hash(&node, &right)));
    }
    Ok(hash.unwrap_or_else(empty_root))
}

fn bounded(size: u64, proof: &[Hash]) -> Result<(), ProofFlaw> {
    if size > MAX_SIZE {
        Err(ProofFlaw::TooLarge)
    } else if proof.len() > MAX_PROOF {
        Err(ProofFlaw::TooLong)
    } else {
        Ok(())
    }
}

/// A size or an index as C2SP writes them: decimal, no leading zero; at most [`MAX_SIZE`].
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|number| canonical && *number <= MAX_SIZE)
}

fn from_text<'de, T: FromStr<Err = TextFlaw>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Text<T>(PhantomData<T>);

    impl<T: FromStr<Err = TextFlaw>> Visitor<'_> for Text<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }
    }

    deserializer.deserialize_str(Text(PhantomData))
}

/// A tile holds eight levels of the tree (C2SP tlog-tiles) ...
const BLOCK_LEVEL: u8 = 8;

/// ... and so covers 256 nodes of its lowest level.
const BLOCK: u64 = 1 << BLOCK_LEVEL;

#[cfg(test)]
mod tests {
    use super::*;

    /// The inputs every implementation of Certificate Transparency is tested with.
    const INPUTS: [&str; 8] =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];

    /// Their roots, for 1 to 8 leaves.
    const ROOTS: [&str; 8] = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    fn hex(text: &str) -> Vec<u8> {
        data_encoding::HEXLOWER.decode(text.as_bytes()).expect("hex in a test")
    }

    fn hash(text: &str) -> Hash {
        Hash(hex(text).try_into().expect("a hash in a test"))
    }

    fn leaf(index: u64) -> Hash {
        leaf_hash(format!("entry {index}").as_bytes())
    }

    fn tree(size: u64) -> Tree {
        let mut tree = Tree::new();
        for index in 0..size {
            assert_eq!(tree.append(leaf(index)), LeafIndex(index));
        }
        tree
    }

    fn classic() -> Tree {
        let mut tree = Tree::new();
        for input in INPUTS {
            tree.append(leaf_hash(&hex(input)));
        }
        tree
    }

    fn heads(tree: &Tree) -> Vec<TreeHead> {
        let head = |size| TreeHead { size, root: root(tree, size).expect("nothing is forgotten") };
        (0..=tree.size()).map(head).collect()
    }

    #[test]
    fn the_classic_tree_has_the_roots_all_the_world_computes() {
        let tree = classic();
        assert_eq!(empty_root(), hash("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
        assert_eq!(heads(&tree)[0], TreeHead::empty());
        for (head, expected) in heads(&tree)[1..].iter().zip(ROOTS) {
            assert_eq!(head.root, hash(expected), "at size {}", head.size);
        }
    }

    #[test]
    fn the_classic_proofs_are_those_of_the_standard_test_data() {
        let tree = classic();
        let proof = |leaf, size| inclusion_proof(&tree, LeafIndex(leaf), size).expect("all known");
        let l = |n: usize| leaf_hash(&hex(INPUTS[n]));
        assert_eq!(proof(0, 1), []);
        assert_eq!(
            proof(0, 8),
            [
                hash("96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"),
                hash("5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"),
                hash("6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"),
            ]
        );
        assert_eq!(
            proof(5, 8),
            [
                hash("bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"),
                hash("ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"),
                hash("d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
            ]
        );
        assert_eq!(proof(2, 3), [hash("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125")]);
        assert_eq!(
            proof(1, 5),
            [
                l(0),
                hash("5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"),
                hash("bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"),
            ]
        );

        let proof = |from, to| consistency_proof(&tree, from, to).expect("all known");
        assert_eq!(proof(1, 1), []);
        assert_eq!(
            proof(1, 8),
            [
                hash("96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"),
                hash("5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"),
                hash("6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"),
            ]
        );
        assert_eq!(
            proof(6, 8),
            [
                hash("0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"),
                hash("ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"),
                hash("d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
            ]
        );
        assert_eq!(
            proof(2, 5),
            [
                hash("5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"),
                hash("bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"),
            ]
        );
    }

    /// The proof with one hash flipped, removed, doubled or added, in every way.
    fn mutations(proof: &[Hash]) -> Vec<Vec<Hash>> {
        let mut all = Vec::new();
        for place in 0..proof.len() {
            let mut flipped = proof.to_vec();
            flipped[place].0[place % HASH_LEN] ^= 1;
            let mut removed = proof.to_vec();
            removed.remove(place);
            let mut doubled = proof.to_vec();
            doubled.insert(place, proof[place]);
            all.extend([flipped, removed, doubled]);
        }
        let mut added = proof.to_vec();
        added.push(Hash::ZERO);
        let mut led = proof.to_vec();
        led.insert(0, Hash::ZERO);
        all.extend([added, led]);
        all
    }

    #[test]
    fn every_inclusion_proof_holds_and_no_altered_one_does() {
        let tree = tree(70);
        for head in heads(&tree) {
            for index in 0..head.size {
                let (hash, at) = (leaf(index), LeafIndex(index));
                let proof = inclusion_proof(&tree, at, head.size).expect("all known");
                assert_eq!(verify_inclusion(&hash, at, &head, &proof), Ok(()), "{index} in {head}");

                for mutant in mutations(&proof) {
                    assert!(verify_inclusion(&hash, at, &head, &mutant).is_err(), "{index} in {head}");
                }
                for other in (0..=head.size).filter(|other| *other != index) {
                    assert!(verify_inclusion(&hash, LeafIndex(other), &head, &proof).is_err());
                    assert!(verify_inclusion(&leaf(other), at, &head, &proof).is_err());
                }
                let wrong = TreeHead { root: leaf(99), ..head };
                assert!(verify_inclusion(&hash, at, &wrong, &proof).is_err());
            }
        }
    }

    #[test]
    fn an_inclusion_proof_names_its_tree_size_as_far_as_the_path_depends_on_it() {
        // A size is bound by the root that goes with it: the same root cannot be two sizes' root.
        let tree = tree(70);
        let heads = heads(&tree);
        for head in &heads[1..] {
            for index in 0..head.size {
                let proof = inclusion_proof(&tree, LeafIndex(index), head.size).expect("all known");
                for other in [head.size - 1, head.size + 1] {
                    let Some(other) = heads.get(other as usize) else { continue };
                    let held = verify_inclusion(&leaf(index), LeafIndex(index), other, &proof);
                    assert!(held.is_err(), "{index} of {head} in {other}");
                }
            }
        }
    }

    #[test]
    fn every_consistency_proof_holds_and_no_altered_one_does() {
        let tree = tree(70);
        let heads = heads(&tree);
        for new in &heads {
            for old in &heads[..=new.size as usize] {
                let proof = consistency_proof(&tree, old.size, new.size).expect("all known");
                assert_eq!(verify_consistency(old, new, &proof), Ok(()), "{old} in {new}");

                for mutant in mutations(&proof) {
                    assert!(verify_consistency(old, new, &mutant).is_err(), "{old} in {new}");
                }
                let wrong_old = TreeHead { root: leaf(99), ..*old };
                let wrong_new = TreeHead { root: leaf(99), ..*new };
                assert!(verify_consistency(&wrong_old, new, &proof).is_err(), "{old} in {new}");
                // Nothing is claimed of the new tree when the old one is empty.
                if old.size > 0 {
                    assert!(verify_consistency(old, &wrong_new, &proof).is_err(), "{old} in {new}");
                }
                for other in &heads {
                    // The old root alone decides nothing, so a size that goes with another root is refused.
                    if other.size != old.size && old.size > 0 {
                        let shifted = TreeHead { size: other.size, ..*old };
                        assert!(verify_consistency(&shifted, new, &proof).is_err(), "{old} at {other}");
                    }
                }
                if old.size < new.size {
                    assert_eq!(verify_consistency(new, old, &proof), Err(ProofFlaw::Shrunk));
                }
            }
        }
    }

    #[test]
    fn what_has_no_proof_is_refused_by_its_own_name() {
        let head = tree(5).head();
        let fork = TreeHead { root: leaf(1), ..head };
        assert_eq!(verify_consistency(&head, &fork, &[]), Err(ProofFlaw::Forked));
        let false_start = TreeHead { size: 0, root: Hash::ZERO };
        assert_eq!(verify_consistency(&false_start, &head, &[]), Err(ProofFlaw::OldRoot));
        assert_eq!(verify_consistency(&TreeHead::empty(), &head, &[]), Ok(()));
        let length = ProofFlaw::Length { expected: 0, given: 1 };
        assert_eq!(verify_consistency(&TreeHead::empty(), &head, &[leaf(0)]), Err(length));
        let vast = TreeHead { size: u64::MAX, root: Hash::ZERO };
        assert_eq!(verify_consistency(&head, &vast, &[]), Err(ProofFlaw::TooLarge));
        assert_eq!(verify_inclusion(&leaf(0), LeafIndex(0), &vast, &[]), Err(ProofFlaw::TooLarge));
        let largest = TreeHead { size: MAX_SIZE, root: Hash::ZERO };
        let long = [Hash::ZERO; MAX_PROOF + 1];
        assert_eq!(verify_inclusion(&leaf(0), LeafIndex(0), &largest, &long), Err(ProofFlaw::TooLong));
        assert_eq!(verify_inclusion(&leaf(0), LeafIndex(0), &largest, &long[..53]), Err(ProofFlaw::Root));
        let outside = verify_inclusion(&leaf(0), LeafIndex(5), &head, &[]);
        assert_eq!(outside, Err(ProofFlaw::Outside));
        let five = tree(5);
        assert_eq!(inclusion_proof(&five, LeafIndex(u64::MAX), 5), Ok(vec![]));
        assert_eq!(inclusion_proof(&five, LeafIndex(0), u64::MAX), Ok(vec![]));
        assert_eq!(consistency_proof(&five, 6, 5), Ok(vec![]));
        assert_eq!(consistency_proof(&five, 1, u64::MAX), Ok(vec![]));
    }

    /// The sizes at which blocks and tiles begin and end.
    const EDGES: [u64; 15] = [0, 1, 2, 254, 255, 256, 257, 258, 259, 511, 512, 513, 65_535, 65_536, 65_537];

    #[test]
    fn a_resumed_tree_is_the_tree_it_was_and_grows_alike() {
        let mut whole = tree(66_000);
        for size in EDGES {
            let blocks = (0..size / BLOCK).map(|index| whole.get(8, index).expect("complete")).collect();
            let rest: Vec<Hash> = (size / BLOCK * BLOCK..size).map(leaf).collect();
            let mut resumed = Tree::resume(size, blocks, &rest).expect("all that is needed");
            assert_eq!(resumed.head().root, root(&whole, size).expect("all known"), "at {size}");
            for index in size..size + 300 {
                resumed.append(leaf(index));
            }
            assert_eq!(resumed.head().root, root(&whole, size + 300).expect("all known"), "after {size}");
        }
        let too_few = Tree::resume(512, vec![leaf(0)], &[]).err();
        assert_eq!(too_few, Some(ResumeFlaw::Blocks { expected: 2, given: 1 }));
        let too_many = Tree::resume(1, vec![], &[leaf(0), leaf(1)]).err();
        assert_eq!(too_many, Some(ResumeFlaw::Rest { expected: 1, given: 2 }));
        whole.forget_below(LeafIndex(u64::MAX));
        assert_eq!(whole.head(), tree(66_000).head());
    }

    #[test]
    fn a_tree_forgets_only_low_nodes_of_blocks_before_the_leaf_named() {
        for size in EDGES {
            let whole = tree(size);
            for leaf_named in [0, 100, 256, 300, size / 2, size, u64::MAX] {
                let mut less = whole.clone();
                less.forget_below(LeafIndex(leaf_named));
                let floor = leaf_named.min(size) / BLOCK * BLOCK;
                for level in 0..20 {
                    // A few hundred nodes on both sides of the floor are proof enough.
                    let at = floor >> level;
                    for index in at.saturating_sub(300)..at + 300 {
                        let stays = level >= 8 || index << level >= floor;
                        let expected = whole.get(level, index).filter(|_| stays);
                        assert_eq!(less.get(level, index), expected, "{level} {index} of {size}");
                    }
                }
                assert_eq!(less.head(), whole.head());
                let mut more = whole.clone();
                for index in size..size + 260 {
                    less.append(leaf(index));
                    more.append(leaf(index));
                    less.forget_below(LeafIndex(index));
                }
                assert_eq!(less.head(), more.head(), "grown from {size}");
            }
        }
    }

    #[test]
    fn a_tree_that_forgets_all_full_tiles_stays_small_and_keeps_its_head() {
        let mut whole = Tree::new();
        let mut flat = Tree::new();
        for index in 0..66_000 {
            whole.append(leaf(index));
            flat.append(leaf(index));
            if index % 1000 == 0 || EDGES.contains(&(index + 1)) {
                flat.forget_all_full_tiles();
                assert!(flat.levels.iter().all(|level| level.known.len() <= 256));
                assert_eq!(flat.head(), whole.head(), "at {index}");
            }
        }
    }

    #[test]
    fn a_list_folds_to_the_root_of_the_tree_it_makes() {
        let leaves: Vec<Hash> = (0..70).map(leaf).collect();
        for head in heads(&tree(70)) {
            assert_eq!(fold(&leaves[..head.size as usize]), head.root, "at {}", head.size);
        }
    }

    #[test]
    fn hashes_and_heads_have_one_spelling() {
        let head = tree(3).head();
        assert_eq!(head.to_string().parse(), Ok(head));
        let json = serde_json::to_string(&head).expect("a string");
        assert_eq!(json, format!("\"3:{}\"", head.root));
        assert_eq!(serde_json::from_str::<TreeHead>(&json).expect("what we wrote"), head);
        assert_eq!(serde_json::to_string(&LeafIndex(7)).expect("a number"), "7");
        let text = Hash::ZERO.to_string();
        assert_eq!(text, "A".repeat(43));
        assert_eq!(text.parse(), Ok(Hash::ZERO));
        let last_bits_set = format!("{}B", &text[1..]);
        for bad in ["", "AAAA", &text[1..], &format!("{text}="), &last_bits_set, &text.replace("AAA", "A+A")]
        {
            assert_eq!(bad.parse::<Hash>(), Err(TextFlaw::Hash), "{bad}");
        }
        let at = |size: &str| format!("{size}:{text}").parse::<TreeHead>();
        assert!(at("0").is_ok() && at("9007199254740991").is_ok());
        for bad in ["", "00", "01", "+1", "-1", " 1", "1 ", "9007199254740992", "18446744073709551616", "a"] {
            assert_eq!(at(bad), Err(TextFlaw::Size), "{bad}");
        }
        assert_eq!("3".parse::<TreeHead>(), Err(TextFlaw::Colon));
    }
}

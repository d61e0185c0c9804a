//! Our trees, tiles and notes, checked by code we did not write.
//!
//! A self-consistent mistake in the Merkle code is invisible to everything that shares it. So three outside
//! crates verify what we make, and refuse it altered: `signed_note` (notes and verifier keys), `tlog_tiles`
//! (checkpoints, proofs, tiles), `ct-merkle` (proofs).

use std::collections::HashMap;

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use liaison_protocol::merkle::{
    Hash, LeafIndex, Tree, TreeHead, consistency_proof, inclusion_proof, leaf_hash, root, verify_consistency,
    verify_inclusion,
};
use liaison_protocol::note::{Checkpoint, KeyType, open_checkpoint, sign_checkpoint, verifier_key};
use liaison_protocol::sign::SecretKey;
use liaison_protocol::tile::{encode_tile, tiles};
use sha2::Sha256;
use sha2::digest::Output;
use signed_note::{Note, StandardVerifier, VerifierList};
use tlog_tiles::{HashReader, TileHashReader, TileReader};

const ORIGIN: &str = "firearms.example.ke/liaison/log1";

/// Sizes at which subtrees, blocks and tiles begin and end.
const SIZES: [u64; 16] = [1, 2, 3, 4, 5, 7, 8, 9, 31, 70, 255, 256, 257, 512, 700, 66_000];

fn entry(leaf: u64) -> Vec<u8> {
    format!("entry {leaf}").into_bytes()
}

fn tree(size: u64) -> Tree {
    let mut tree = Tree::new();
    (0..size).for_each(|leaf| _ = tree.append(leaf_hash(&entry(leaf))));
    tree
}

/// Some leaves of a tree: all of a small one, the first, last and edges of a large one.
fn leaves(size: u64) -> impl Iterator<Item = u64> {
    (0..size).filter(move |leaf| *leaf < 9 || *leaf + 9 > size || (leaf + 1) % 256 < 2 && leaf % 5 == 0)
}

fn theirs(hash: &Hash) -> tlog_tiles::Hash {
    tlog_tiles::Hash(*hash.as_bytes())
}

fn all_theirs(proof: &[Hash]) -> Vec<tlog_tiles::Hash> {
    proof.iter().map(theirs).collect()
}

fn digests(proof: &[Hash]) -> Vec<Output<Sha256>> {
    proof.iter().map(|hash| (*hash.as_bytes()).into()).collect()
}

fn root_hash(head: &TreeHead) -> RootHash<Sha256> {
    RootHash::new((*head.root.as_bytes()).into(), head.size)
}

/// The proof with each hash altered in turn, without its last, and with one more.
fn altered(proof: &[Hash]) -> Vec<Vec<Hash>> {
    let mut all: Vec<Vec<Hash>> = (0..proof.len())
        .map(|place| {
            let mut altered = proof.to_vec();
            altered[place] = Hash::of(b"altered");
            altered
        })
        .collect();
    all.extend((!proof.is_empty()).then(|| proof[1..].to_vec()));
    all.push([proof, &[Hash::ZERO]].concat());
    all
}

#[test]
fn an_outside_tree_over_the_same_entries_has_our_roots_and_proofs() {
    let ours = tree(70);
    let mut outside = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    for size in 1..=70 {
        outside.push(entry(size - 1));
        let our_root = root(&ours, size).expect("all known");
        assert_eq!(outside.root().as_bytes().as_slice(), our_root.as_bytes(), "at {size}");
        for leaf in 0..size {
            let proof = inclusion_proof(&ours, LeafIndex(leaf), size).expect("all known");
            let outside = outside.prove_inclusion(leaf as usize);
            assert_eq!(outside.as_bytes(), encode_tile(&proof), "leaf {leaf} of {size}");
        }
        for old in 1..size {
            let proof = consistency_proof(&ours, old, size).expect("all known");
            let outside = outside.prove_consistency((size - old) as usize);
            assert_eq!(outside.as_bytes(), encode_tile(&proof), "{old} to {size}");
        }
    }
}

#[test]
fn outsiders_accept_our_inclusion_proofs_and_refuse_them_altered() {
    let ours = tree(66_000);
    for size in SIZES {
        let head = TreeHead { size, root: root(&ours, size).expect("all known") };
        for leaf in leaves(size) {
            let (hash, index) = (leaf_hash(&entry(leaf)), LeafIndex(leaf));
            let agree = |proof: &[Hash], leaf: u64| {
                let we = verify_inclusion(&hash, LeafIndex(leaf), &head, proof).is_ok();
                let tlog = tlog_tiles::check_record(
                    &all_theirs(proof),
                    size,
                    theirs(&head.root),
                    leaf,
                    theirs(&hash),
                );
                let digests = digests(proof);
                let ct = root_hash(&head).verify_inclusion(
                    &entry(index.0),
                    leaf,
                    &InclusionProof::from_digests(digests.iter()),
                );
                assert_eq!((tlog.is_ok(), ct.is_ok()), (we, we), "leaf {leaf} of {size}");
                we
            };
            let proof = inclusion_proof(&ours, index, size).expect("all known");
            assert!(agree(&proof, leaf));
            for altered in altered(&proof) {
                assert!(!agree(&altered, leaf));
            }
            if leaf + 1 < size {
                assert!(!agree(&proof, leaf + 1));
            }
        }
    }
}

#[test]
fn outsiders_accept_our_consistency_proofs_and_refuse_them_altered() {
    let ours = tree(66_000);
    let head = |size| TreeHead { size, root: root(&ours, size).expect("all known") };
    for new in SIZES.map(head) {
        for old in SIZES.map(head).into_iter().filter(|old| old.size < new.size) {
            let agree = |old: &TreeHead, proof: &[Hash]| {
                let we = verify_consistency(old, &new, proof).is_ok();
                let tlog = tlog_tiles::check_tree(
                    &all_theirs(proof),
                    new.size,
                    theirs(&new.root),
                    old.size,
                    theirs(&old.root),
                );
                let digests = digests(proof);
                let ct = root_hash(&new)
                    .verify_consistency(&root_hash(old), &ConsistencyProof::from_digests(digests.iter()));
                assert_eq!((tlog.is_ok(), ct.is_ok()), (we, we), "{old} to {new}");
                we
            };
            let proof = consistency_proof(&ours, old.size, new.size).expect("all known");
            assert!(agree(&old, &proof));
            for altered in altered(&proof) {
                assert!(!agree(&old, &altered));
            }
            assert!(!agree(&TreeHead { root: Hash::of(b"another history"), ..old }, &proof));
        }
    }
}

#[test]
fn outsiders_open_our_checkpoints_and_refuse_them_altered() {
    let key = SecretKey::from_seed(&[7; 32]);
    let verifier = || {
        let vkey = verifier_key(ORIGIN, KeyType::Log, &key.public());
        VerifierList::new(vec![Box::new(StandardVerifier::new(&vkey).expect("a good vkey"))])
    };
    for size in SIZES {
        let head = tree(size).head();
        let ours = sign_checkpoint(&key, ORIGIN, &head);
        let note = Note::from_bytes(ours.as_str().as_bytes()).expect("a good note");
        assert_eq!(note.to_bytes(), ours.as_str().as_bytes());
        let (verified, rest) = note.verify(&verifier()).expect("signed by us");
        assert_eq!((verified.len(), rest.len()), (1, 0));

        let read = tlog_tiles::Checkpoint::from_bytes(note.text()).expect("a good checkpoint");
        assert_eq!((read.origin(), read.size()), (ORIGIN, size));
        assert_eq!(read.hash().0, *head.root.as_bytes());
        assert_eq!(read.extension(), "");
        let body = String::from_utf8(read.to_bytes()).expect("text");
        assert_eq!(Checkpoint::parse(&body).as_ref(), Ok(ours.checkpoint()));

        // What we refuse they refuse: a digit, the root, the name, a signature.
        for (from, to) in [
            (format!("\n{size}\n"), format!("\n{size}1\n")),
            (ours.checkpoint().body()[ORIGIN.len() + 4..][..6].to_owned(), "AAAAAA".to_owned()),
            ("/log1\n".to_owned(), "/log2\n".to_owned()),
            ("— ".to_owned(), "— x".to_owned()),
            ("=\n".to_owned(), "\n".to_owned()),
        ] {
            let altered = ours.as_str().replacen(&from, &to, 1);
            assert_ne!(altered, ours.as_str());
            let theirs = Note::from_bytes(altered.as_bytes()).and_then(|note| note.verify(&verifier()));
            assert!(theirs.is_err(), "{altered}");
            assert!(open_checkpoint(&altered, ORIGIN, &key.public()).is_err(), "{altered}");
        }
    }
}

/// Our tiles, for a reader that authenticates each of them against a root.
struct Served(HashMap<String, Vec<u8>>);

impl TileReader for Served {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[tlog_tiles::Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        // Theirs name the height of a tile too; C2SP fixes it at 8 and leaves it out.
        Ok(tiles.iter().map(|tile| self.0[&tile.path().replacen("tile/8/", "tile/", 1)].clone()).collect())
    }

    fn save_tiles(&self, _: &[tlog_tiles::Tile], _: &[Vec<u8>]) {}
}

#[test]
fn outsiders_read_every_node_from_our_tiles_and_refuse_them_altered() {
    for size in SIZES {
        let ours = tree(size);
        let files: HashMap<_, _> = tiles(size)
            .map(|tile| (tile.path(), encode_tile(&tile.hashes(&ours).expect("all known"))))
            .collect();
        let served = Served(files);
        let reader = TileHashReader::new(size, theirs(&ours.head().root), &served);
        assert_eq!(tlog_tiles::tree_hash(size, &reader).expect("our root").0, *ours.head().root.as_bytes());
        for leaf in leaves(size) {
            let index = tlog_tiles::stored_hash_index(0, leaf);
            let read = reader.read_hashes(&[index]).expect("our tiles are sound");
            assert_eq!(read[0].0, *leaf_hash(&entry(leaf)).as_bytes(), "leaf {leaf} of {size}");
            let proof = tlog_tiles::prove_record(size, leaf, &reader).expect("our tiles are sound");
            let ours = inclusion_proof(&ours, LeafIndex(leaf), size).expect("all known");
            assert_eq!(proof, all_theirs(&ours), "leaf {leaf} of {size}");
        }
        for tile in tiles(size).filter(|tile| tile.level > 0 || !tile.is_full() || tile.index % 50 == 0) {
            let mut altered = Served(served.0.clone());
            altered.0.get_mut(&tile.path()).expect("it is there")[0] ^= 1;
            let root = theirs(&ours.head().root);
            let reader = TileHashReader::new(size, root, &altered);
            // A leaf under the neighbour of the altered hash, so that the altered hash is in its proof.
            let leaf = tile.leaves(1.min(tile.width - 1)).start.0;
            // Their reader (0.2.0) leaves some full tiles unchecked where one tile gives several nodes of the
            // right edge, at size 700 for one. So what it reads is also proven.
            let refused = reader
                .read_hashes(&[tlog_tiles::stored_hash_index(0, leaf)])
                .and_then(|read| {
                    let proof = tlog_tiles::prove_record(size, leaf, &reader)?;
                    tlog_tiles::check_record(&proof, size, root, leaf, read[0])
                })
                .is_err();
            assert!(refused, "{} of {size}", tile.path());
        }
    }
}

//! What is fuzzed: the readers of bytes that peers and operators send, and the desk as a whole.
//!
//! A target takes any bytes and panics where something does not hold that must. The same functions are run by
//! libFuzzer (`tests/fuzz`), and over the corpus and what is near it by `cargo test -p liaison-fuzz`. [`seeds`] are
//! what the corpus grew from: the vectors of the protocol, and what the samples of its tests say.

#[path = "../../../dice.rs"]
mod dice;
mod folders;
mod forms;
#[cfg(feature = "node")]
mod house;
mod marks;
#[path = "../../../../protocol/tests/office/mod.rs"]
mod office;
mod officers;
#[path = "../../../../protocol/tests/samples/mod.rs"]
mod samples;
mod seals;
mod seeds;
#[path = "../../../../protocol/tests/shelf/mod.rs"]
mod shelf;
mod talk;
#[path = "../../../../protocol/tests/world/mod.rs"]
mod world;

use std::sync::OnceLock;

use liaison_protocol::key_set::KeyChain;

pub use dice::Dice;
pub use seeds::{corpus, seeds};

/// One target.
#[derive(Clone, Copy)]
pub struct Target {
    /// What it is called: its program, and the folder of its corpus.
    pub name: &'static str,
    /// Try these bytes.
    pub run: fn(&[u8]),
    /// The longest input worth trying.
    pub longest: usize,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    #[cfg(feature = "node")]
    Target { name: "address", run: house::address, longest: 128 },
    Target { name: "altered_evidence", run: folders::altered_evidence, longest: 64 },
    Target { name: "altered_log", run: folders::altered_log, longest: 64 },
    Target { name: "altered_seal", run: seals::altered, longest: 64 },
    Target { name: "archive", run: folders::archive, longest: 16 * 1024 },
    #[cfg(feature = "node")]
    Target { name: "config", run: house::config, longest: 4096 },
    Target { name: "desk", run: talk::desk, longest: 256 },
    Target { name: "entry", run: forms::entry, longest: 1200 },
    Target { name: "json", run: forms::json, longest: 4096 },
    Target { name: "key_set", run: seals::key_set, longest: 8192 },
    Target { name: "mail", run: forms::mail, longest: 8192 },
    Target { name: "message", run: seals::message, longest: 8192 },
    Target { name: "note", run: forms::note, longest: 4096 },
    Target { name: "order", run: officers::order, longest: 8192 },
    Target { name: "piece", run: forms::piece, longest: 128 },
    Target { name: "proof", run: forms::proof, longest: 64 },
    #[cfg(feature = "node")]
    Target { name: "register", run: house::register, longest: 4096 },
    Target { name: "reply", run: forms::reply, longest: 4096 },
    Target { name: "serial", run: marks::serial, longest: 512 },
    Target { name: "item", run: marks::item, longest: 4096 },
    Target { name: "tile", run: forms::tile, longest: 2048 },
    Target { name: "token", run: seals::token, longest: 8192 },
];

/// The key sets of Kenya, Peru, Chile and Uruguay, signed once.
fn chains() -> &'static [(world::Party, KeyChain)] {
    static CHAINS: OnceLock<Vec<(world::Party, KeyChain)>> = OnceLock::new();
    let cast =
        || [world::KENYA, world::PERU, world::CHILE, world::URUGUAY].map(|party| (party, party.chain()));
    CHAINS.get_or_init(|| cast().to_vec())
}

fn perus() -> &'static KeyChain {
    &chains()[1].1
}

/// Run the target of this name. Panics if there is none.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.unwrap_or_else(|| panic!("no target {name}")).run)(bytes);
}

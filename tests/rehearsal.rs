//! The rehearsal: many nodes in one thread, on disks that forget and a network that delays, repeats and loses.
//!
//! Everything comes from one seed, so that what fails once fails again. [`SimDisk`] stands in for the disk,
//! [`World`] for everything else around the nodes: network, clocks, power, officers. What must hold is asserted
//! by the tests, not here. [`Pair`] is two nodes whose every step is chosen. [`processes`] has what drives real ones,
//! [`proxy`] a bad line between them,
//! and [`liar`] a State among those that does not keep to the rules.

mod dice;
pub mod liar;
mod officers;
mod pair;
pub mod processes;
pub mod proxy;
mod sim_disk;
pub mod small_disk;
mod world;

pub use dice::Dice;
pub use pair::{Fate, Pair, Sim, Start};
pub use sim_disk::{Failure, SimDisk, Torn};
pub use world::{House, World, all_rows};

//! The language two States' nodes speak: pure values and pure functions.
//!
//! Nothing here reads a clock, a disk, the network, the environment or a source of randomness: time, keys
//! and random bytes are arguments. `SPEC.md` beside this crate says the same in prose, byte by byte.

pub mod attachment;
pub mod audit;
pub mod authority;
pub mod blob;
pub mod calendar;
pub mod case;
pub mod deadline;
pub mod desk;
pub mod entry;
pub mod envelope;
pub mod evidence;
pub mod exchange;
pub mod fault;
pub mod handling;
pub mod item;
pub mod item_record;
pub mod json;
pub mod jws;
pub mod key_set;
mod letters;
pub mod licence;
pub mod mail;
pub mod mark;
pub mod merkle;
pub mod message;
pub mod note;
pub mod numbers;
pub mod operator;
pub mod qr;
mod sense;
pub mod serial;
pub mod sign;
pub mod standing;
pub mod tile;
pub mod trace;
pub mod transit;

//! The house: sockets, files, keys and time around the language of `liaison-protocol`.

pub mod blobs;
pub mod config;
pub mod courier;
pub mod demo;
pub mod disk;
pub mod events;
pub mod evidence;
pub mod fetches;
pub mod http;
pub mod init;
pub mod keys;
pub mod lanes;
pub mod log;
pub mod marker;
pub mod metrics;
pub mod node;
pub mod peers;
pub mod register;
pub mod serve;
pub mod store;
pub mod supervisor;
pub mod system;
mod views;

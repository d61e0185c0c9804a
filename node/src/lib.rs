//! The house: sockets, files, keys and time around the language of `liaison-protocol`.

pub mod config;
pub mod demo;
pub mod disk;
pub mod http;
pub mod init;
pub mod keys;
pub mod lanes;
pub mod log;
pub mod node;
pub mod peers;
pub mod register;
pub mod serve;
pub mod store;
mod views;

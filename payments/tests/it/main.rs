//! The ledger on real databases: SQLite in a folder, PostgreSQL of our own on a socket.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::print_stdout, reason = "child processes tell their parent what they did")]

mod child;
mod postgres;
mod store;
mod support;

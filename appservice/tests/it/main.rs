//! The application service against a real Synapse (and LiveKit). `cargo xtask setup` installs them.
#![forbid(unsafe_code)]
#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, reason = "tests")]

mod matrix_keys;
mod matrix_rooms;
mod matrix_tokens;
mod matrix_users;
mod settlement_program;
mod support;

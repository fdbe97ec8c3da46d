//! Roomtone as a library: what the binary `roomtone` is made of, so that tests can run its parts against real peers.
#![forbid(unsafe_code)]
#![recursion_limit = "256"]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

pub mod archive;
pub mod config;
pub mod journal;
pub mod matrix;
pub mod registration;
pub mod text;

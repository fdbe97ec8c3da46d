//! Roomtone as a library: what the binary `roomtone` is made of, so that tests can run its parts against real peers.
//!
//! The rooms of the house: [`matrix`] and [`http`] stand towards the homeserver, [`desk`] decides, [`call`] are the tasks
//! around it, [`archive`] and [`journal`] keep, [`text`] and [`commands`] speak with people, [`cli`] starts it all.
#![forbid(unsafe_code)]
#![recursion_limit = "256"]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

pub mod archive;
pub mod call;
pub mod cli;
pub mod commands;
pub mod config;
pub mod desk;
pub mod http;
pub mod journal;
pub mod masked;
pub mod matrix;
pub mod metrics;
pub mod pay;
pub mod registration;
pub mod settings;
pub mod text;

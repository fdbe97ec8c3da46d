//! The recogniser with real weights on real and on made sound, a file per behaviour.
#![allow(clippy::unwrap_used, reason = "tests")]

mod double;
mod early;
mod failures;
mod http_recogniser;
mod languages;
mod llm;
mod losses;
mod nothing_said;
mod overload;
mod promises;
mod real_servers;
mod recordings;
mod scripted;
mod shared_lines;
mod support;
mod withdrawal;
mod words;

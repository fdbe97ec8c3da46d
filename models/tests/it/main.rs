//! The recogniser with real weights on real and on made sound, a file per behaviour.
#![allow(clippy::unwrap_used, reason = "tests")]

mod double;
mod http_recogniser;
mod llm;
mod nothing_said;
mod overload;
mod support;
mod withdrawal;
mod words;

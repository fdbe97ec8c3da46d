//! Real peers for Roomtone's scenarios, and what is needed to judge what they saw and heard.
//!
//! Nothing here stands in for a peer: [`synapse`] and [`livekit`] start the real servers, [`element`] the real Element Call in
//! a browser beside a real Matrix client, [`softphone`] real SIP user agents. [`stage`] puts them together around the real
//! `roomtone` program. `cargo xtask setup` installs them all and writes down where ([`toolbox`]).
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

pub mod audio;
pub mod bitcoin;
pub mod eavesdropper;
pub mod element;
pub mod heard;
pub mod livekit;
pub mod lnd;
pub mod peer;
pub mod ports;
pub mod roomtone;
pub mod rundir;
pub mod server;
pub mod softphone;
pub mod speech;
pub mod stage;
pub mod synapse;
pub mod timeline;
pub mod toolbox;
pub mod vectors;

/// A script of `tests/peers`.
#[must_use]
pub fn peer_script(path: &str) -> std::path::PathBuf {
    toolbox::peers_dir().join(path)
}

//! Calls as signalling and media: SIP, RTP, MatrixRTC, LiveKit and mixing.
//!
//! The crate knows nothing of a Matrix client, of speech or of money. Its cores are sans-IO state machines
//! (`handle_*` takes an input and the time, `poll_*` drains what is to be done); sockets and tasks stand around
//! them in the modules that say so. A panic means a bug here, never bad input.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

pub mod audio;
pub mod ids;
pub mod livekit;
pub mod matrixrtc;
pub mod phone;
pub mod rtp;
pub mod sip;
pub mod time;

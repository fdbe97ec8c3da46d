//! RTP and RTCP: the phone's media, sans-IO.
mod jitter;
mod number;

pub use jitter::{JitterBuffer, JitterConfig, JitterStats, Popped};
pub use number::{WideSequence, WideTimestamp};

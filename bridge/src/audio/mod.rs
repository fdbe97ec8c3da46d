//! Sound as samples: codecs, mixing, tones, files.

pub mod g711;

/// Length of every frame that moves through Roomtone, in milliseconds.
pub const FRAME_MS: u64 = 20;
/// Samples of one frame at the phone's 8 kHz.
pub const PHONE_FRAME: usize = 160;
/// Sample rate of the phone side, Hz.
pub const PHONE_RATE: u32 = 8_000;

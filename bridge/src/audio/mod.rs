//! Sound as samples: codecs, mixing, tones, and one party's stream made steady.

pub mod ear;
pub mod g711;
mod mix;
mod opus;
mod party;
mod tone;

pub use self::opus::{OPUS_CLOCK, OpusDecoder, OpusEncoder, OpusError};
pub use ear::Listener;
pub use mix::{Limiter, Mix};
pub use party::{Made, PartyAudio};
pub use tone::{Signal, Sine, level, tone_level};

/// Length of every frame that moves through Roomtone, in milliseconds.
pub const FRAME_MS: u64 = 20;
/// Samples of one frame at the phone's 8 kHz.
pub const PHONE_FRAME: usize = 160;
/// Sample rate of the phone side, Hz.
pub const PHONE_RATE: u32 = 8_000;

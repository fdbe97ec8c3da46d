//! Speech and language for calls: voice activity, recognition, notes, and the weights that they need.
//!
//! A library that knows nothing of Matrix or SIP. Sound comes in as 16 kHz PCM per party, words go out as
//! [`Recognised`] utterances; a [`notes::Transcript`] goes in, [`notes::Notes`] come out.
//!
//! ```text
//! PartyEar::push ─▶ inbox ─▶ ear thread: Silero VAD ─▶ Endpointer ─▶ finals queue ─▶ workers: Whisper ─▶ guards ─▶ Recognised
//! ```
//!
//! - [`weights`]: which files, where from, and that they are what they should be.
//! - [`Transcriber`]: live parties in, utterances out; own low-priority threads, bounded queues, never blocks a caller.
//! - [`notes`]: what is drawn from a transcript, every line with the utterances that it rests on.
//! - [`files`]: recordings in, a transcript with notes out.
//! - [`eval`]: word error rate and what else measuring needs.
//!
//! What people said never goes to a log: neither ours nor whisper.cpp's, whose log is swallowed whole because its debug
//! lines hold decoded tokens.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

pub mod eval;
pub mod files;
pub mod notes;
mod number_words;
mod remote;
pub mod speakers;
pub mod speech;
pub mod weights;

pub use speech::{
    Caption, EarOptions, ModelError, PartyEar, PartyKey, Recognised, Transcriber, TranscriberConfig, TranscriberStats,
    Utterance, Voice, Word,
};

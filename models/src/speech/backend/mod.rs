//! What turns an utterance's sound into words: one trait, so that another recogniser can stand where Whisper stands.
//!
//! A [`Backend`] is shared; each worker thread has a [`Worker`] of its own. Neither decides what is believed: that is
//! [`super::guard`]'s, whoever saw the words. The scheduler asks one thing at a time of a worker, finals before captions.

mod bfloat;
pub mod http;
pub mod whisper;

use std::fmt;
use std::time::Duration;

use zeroize::Zeroizing;

use super::ModelError;

/// A recogniser: weights in memory, or somebody else's machine.
pub trait Backend: Send + Sync {
    /// Who sees the words, for the notes: short and stable (`whisper base.en`). No address, no key.
    fn name(&self) -> &str;

    /// A worker with whatever state it needs. Called once per worker thread when the recogniser starts.
    fn worker(&self) -> Result<Box<dyn Worker>, ModelError>;

    /// Whether it is quick and cheap enough to look at the same words several times while they are being said.
    fn can_caption(&self) -> bool;
}

impl fmt::Debug for dyn Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend").field("name", &self.name()).finish_non_exhaustive()
    }
}

/// One worker's way to the recogniser. Used by one thread at a time.
pub trait Worker: Send {
    /// The words of one utterance. Blocks until they are there; an own time limit is the worker's to keep.
    fn decode(&mut self, task: &Task<'_>) -> Result<Decoded, BackendError>;

    /// How likely each language is for this sound, likeliest first, two-letter codes; empty if it cannot tell or knows
    /// only one. Then an utterance whose language nobody knows is given with [`Task::language`] `None`.
    fn languages(&mut self, samples: &[f32]) -> Result<Vec<(String, f32)>, BackendError> {
        let _ = samples;
        Ok(Vec::new())
    }
}

/// How closely to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// An utterance that is still being said: as cheap as can be.
    Caption,
    /// What nearly all finished utterances get.
    Quick,
    /// Slower and closer, for an utterance at which a quick look seems to have failed.
    Careful,
}

/// One utterance to look at.
pub struct Task<'a> {
    /// 16 kHz mono, -1 to 1, at most 30 s.
    pub samples: &'a [f32],
    /// How closely.
    pub look: Look,
    /// Two-letter code of its language; `None`: to be told by the recogniser.
    pub language: Option<&'a str>,
    /// Names and terms that may be said, as a short text; empty for none. Not what was said.
    pub prompt: &'a str,
}

/// What a recogniser made of an utterance, with its own doubts. One that tells no doubts gives the values that mean
/// none (`confidence` 1, `mean_logprob` 0, `no_speech` 0).
pub struct Decoded {
    /// As it came.
    pub text: Zeroizing<String>,
    /// The words with their times, in order; empty where it tells none.
    pub words: Vec<TimedWord>,
    /// Two-letter code of the language: detected, or as asked for.
    pub language: Option<String>,
    /// Probabilities of the languages that it may be, likeliest first, where the language was left to the recogniser and it
    /// tells them; [`Worker::languages`] tells them beforehand.
    pub languages: Vec<(String, f32)>,
    /// Mean probability of the text's tokens, 0 to 1.
    pub confidence: f32,
    /// Mean log-probability of the text's tokens.
    pub mean_logprob: f32,
    /// Probability that there is no speech, 0 to 1.
    pub no_speech: f32,
    /// Number of text tokens.
    pub tokens: usize,
}

/// One word as a recogniser gives it. Where no word of an utterance has an end behind 0, it tells no times, and they are
/// found from the sound.
pub struct TimedWord {
    /// With its punctuation, without spaces around it.
    pub text: Zeroizing<String>,
    /// Start, in ms from the first sample.
    pub start_ms: i64,
    /// End, same clock.
    pub end_ms: i64,
    /// Probability, 0 to 1.
    pub probability: f32,
}

/// Why there are no words. Never holds what was said.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// It cannot be asked now (not reachable, busy, too slow). Asking again may help.
    #[error("the recogniser cannot be asked now: {what}")]
    Unavailable {
        /// What it said or did.
        what: String,
        /// Not before this, if it said so.
        retry_after: Option<Duration>,
    },
    /// It was asked and failed; the same sound may do better once more.
    #[error("the recogniser failed: {what}")]
    Failed {
        /// What it said.
        what: String,
    },
    /// It does not take this, and will not: wrong key, wrong model, wrong answer. Asking again is no use.
    #[error("the recogniser refused: {what}")]
    Refused {
        /// What it said.
        what: String,
    },
}

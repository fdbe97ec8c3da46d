//! From PCM to utterances: voice activity, endpointing, recognition, guards.
//!
//! Each idea has a file: [`silero`] says how likely a 32 ms window holds speech, [`endpoint`] makes utterances of such
//! windows (sans-IO), [`listen`] joins the two for one party, [`schedule`] decides who is decoded next (sans-IO),
//! [`backend`] is Whisper or what stands in its place, [`guard`] throws invented text away, [`recognise`] asks both,
//! [`timing`] says when each word was said, [`agreement`] what of a caption is certain, [`language`] what a party speaks,
//! [`terms`] what it may say, and [`transcriber`] runs all of it on threads. Of a line that several people share,
//! [`shared_line`] keeps what waits for their voices (sans-IO), and [`voices`] says who said which words (sans-IO).

pub mod agreement;
pub mod backend;
pub mod endpoint;
pub mod guard;
pub mod language;
pub mod listen;
pub mod recognise;
pub mod residue;
pub mod schedule;
pub mod shared_line;
pub mod silero;
pub mod terms;
pub mod timing;
mod transcriber;
pub mod voices;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::speakers::SpeakerModels;

pub use transcriber::{PartyEar, Transcriber, TranscriberStats};

/// Samples per second of all PCM in this module.
pub const SAMPLE_RATE: u32 = 16_000;

/// Names a party towards the caller. The caller picks it; the same key may be opened again after it finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartyKey(pub u64);

/// What the recogniser runs with. [`TranscriberConfig::new`] fills in what suits this machine.
#[derive(Debug, Clone)]
pub struct TranscriberConfig {
    /// Whisper weights in ggml format (`ggml-base.en.bin`, …).
    pub whisper: PathBuf,
    /// Another recogniser in Whisper's place; then [`Self::whisper`] is not read. Default `None`.
    pub backend: Option<Arc<dyn backend::Backend>>,
    /// Silero voice activity weights in ggml format (`ggml-silero-v6.2.0.bin`).
    pub vad: PathBuf,
    /// The networks that tell apart people who share a line ([`EarOptions::several_voices`]); `None` (the default): nobody is
    /// told apart. They are some 33 MB of weights and take a second to load, so the caller does it once, and hears at once
    /// what is wrong with them ([`crate::speakers::SpeakerError`]).
    pub speakers: Option<Arc<SpeakerModels>>,
    /// Two-letter language code (`en`) of parties whose ear names none. `None` (the default): found out for each party as
    /// it speaks, by multilingual weights; English-only weights always take English.
    pub language: Option<String>,
    /// Worker threads that decode, one utterance each. Default: the number of cores, 1 to 4. Each costs about 150 MB with
    /// base.en.
    pub workers: usize,
    /// Compute threads inside one decode. Default 1. They wait for one another in busy loops: where cores are shared with
    /// others, two are slower than one by a factor of ten and more.
    pub threads_per_worker: usize,
    /// Unix niceness of all our threads, 0 to 19. Default 5: media threads of the same process go first. Telling voices apart
    /// comes after all else, 5 lower.
    pub niceness: i32,
    /// How much sound per party may wait for voice activity, in ms. Default 30 000. More is dropped (the newest) and counted.
    pub inbox_ms: u32,
    /// How much sound of finished utterances may wait for a worker, all parties together, in ms. Default 600 000 (19 MB).
    /// An utterance beyond it is dropped and reported as [`Recognised::FellBehind`].
    pub backlog_ms: u32,
    /// How utterances are cut.
    pub endpoint: endpoint::EndpointConfig,
}

impl TranscriberConfig {
    /// Settings for these weights on this machine.
    pub fn new(whisper: impl Into<PathBuf>, vad: impl Into<PathBuf>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            whisper: whisper.into(),
            backend: None,
            vad: vad.into(),
            speakers: None,
            language: None,
            workers: cores.clamp(1, 4),
            threads_per_worker: 1,
            niceness: 5,
            inbox_ms: 30_000,
            backlog_ms: 600_000,
            endpoint: endpoint::EndpointConfig::default(),
        }
    }
}

/// Why recognition cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A weights file is not there or cannot be read.
    #[error("cannot read weights {path}: {source}; fetch them with `cargo xtask setup` or `roomtone models fetch`")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is there but is no Silero model that this code knows.
    #[error("voice activity weights {path} are not usable: {what}")]
    BadVad {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// whisper.cpp refused the file or had no memory for its state.
    #[error("whisper weights {path} are not usable: {what}")]
    BadWhisper {
        /// The file.
        path: PathBuf,
        /// What whisper.cpp said.
        what: String,
    },
    /// Another recogniser cannot be set up.
    #[error("recogniser {name} cannot be used: {what}")]
    Backend {
        /// Its name.
        name: String,
        /// What is wrong.
        what: String,
    },
    /// The language is not one that Whisper knows.
    #[error("language {language:?} is not known to whisper; use a two-letter code such as \"en\"")]
    BadLanguage {
        /// As configured.
        language: String,
    },
    /// The system gives no thread.
    #[error("cannot start a recogniser thread: {0}")]
    Thread(std::io::Error),
}

/// What comes out of a [`Transcriber`]. Utterances of one party come in the order in which they were said.
#[derive(Debug)]
pub enum Recognised {
    /// Words of one party.
    Utterance(Utterance),
    /// What a party is saying now, where its ear was opened with [`EarOptions::captions`]; replaced by the next caption and
    /// at last by the utterance. One without any words takes back what was shown: no utterance comes for it.
    Caption(Caption),
    /// All that a finished ear had to say has come (also after [`PartyEar::discard`] and a later finish).
    Finished {
        /// Which party.
        party: PartyKey,
    },
    /// Sound of a party was lost because the recogniser is too slow for what comes in.
    FellBehind {
        /// Which party.
        party: PartyKey,
        /// How much of its sound was dropped since the last such report, in ms.
        lost_ms: u64,
    },
}

/// What an ear is opened with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EarOptions {
    /// Tell unfinished words as [`Recognised::Caption`] where there is room. Default false.
    pub captions: bool,
    /// Two-letter code of the spoken language; `None`: as [`TranscriberConfig::language`] says.
    pub language: Option<String>,
    /// Names and terms that may be said (room name, names of parties, the room's glossary), most important first.
    pub terms: Vec<String>,
    /// Several people share this line: tell them apart ([`Utterance::voice`]). An utterance is then given out in stretches of
    /// one voice each, some 0.4 s behind its end at the earliest; no captions are given, since it is not known yet who speaks.
    /// What the voices are known by begins with the ear and is wiped when it has finished, is dropped, or is discarded: then
    /// voices are counted from [`Voice`] 0 again. Without [`TranscriberConfig::speakers`] it changes nothing. Default false.
    pub several_voices: bool,
    /// The sound comes from a recording, faster or slower than it was spoken: a pause between pushes is none in the speech.
    /// Default false.
    pub recorded: bool,
}

/// One of several people behind one line, as told apart within this call: 0 is "Speaker A". Nothing about the voice itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Voice(pub u8);

impl fmt::Display for Voice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Speaker {}", char::from(b'A' + self.0.min(25)))
    }
}

/// One word and when it was said. `Debug` shows no text.
#[derive(Clone, PartialEq)]
pub struct Word {
    /// As written, with its punctuation, without spaces around it.
    pub text: Zeroizing<String>,
    /// Start, same clock as [`Utterance::start_ms`].
    pub start_ms: i64,
    /// End, never before the start.
    pub end_ms: i64,
    /// Probability that the recogniser gave it, 0 to 1.
    pub probability: f32,
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Word").field("start_ms", &self.start_ms).field("end_ms", &self.end_ms).finish_non_exhaustive()
    }
}

/// Unfinished words of one party. `Debug` shows no text.
#[derive(Clone)]
pub struct Caption {
    /// Who.
    pub party: PartyKey,
    /// Where the utterance began, same clock as [`Utterance::start_ms`].
    pub start_ms: i64,
    /// Words on which successive hypotheses agree: only ever added to until the utterance comes.
    pub agreed: Zeroizing<String>,
    /// What comes behind them as it seems now; may change.
    pub tail: Zeroizing<String>,
}

impl fmt::Debug for Caption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caption").field("party", &self.party).field("start_ms", &self.start_ms).finish_non_exhaustive()
    }
}

/// One stretch of one party's speech. `Debug` shows no text; the text is wiped from memory when dropped.
#[derive(Clone)]
pub struct Utterance {
    /// Who.
    pub party: PartyKey,
    /// Where speech began, in ms of the `at` given to [`PartyEar::push`].
    pub start_ms: i64,
    /// Where speech ended (without the silence that closed it), same clock; never before `start_ms`.
    pub end_ms: i64,
    /// The words, trimmed, never empty.
    pub text: Zeroizing<String>,
    /// Mean probability that the recogniser gave its tokens, 0 to 1. Clean speech is above 0.8.
    pub confidence: f32,
    /// The words with their times, in order; empty where the recogniser tells none.
    pub words: Vec<Word>,
    /// Two-letter code of the language in which it was said, where the recogniser tells it.
    pub language: Option<String>,
    /// Which of several people on one line, where that was asked for ([`EarOptions::several_voices`]) and could be told:
    /// `None` of somebody who has said too little so far, and where telling voices apart had fallen behind.
    pub voice: Option<Voice>,
    /// Who saw the words, for "Written by": short and stable (`whisper base.en`).
    pub recogniser: Arc<str>,
}

impl fmt::Debug for Utterance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Utterance")
            .field("party", &self.party)
            .field("start_ms", &self.start_ms)
            .field("end_ms", &self.end_ms)
            .field("confidence", &self.confidence)
            .finish_non_exhaustive()
    }
}

//! From an utterance's sound to words that are believed: decode, check, and look again where it pays.
//!
//! A second look (wider encoder context, with time stamps, so that Whisper goes on behind its own sentence end) is taken
//! when the first one loops, guesses, or stops early: far fewer words than so much voice holds.

use zeroize::Zeroizing;

use super::backend::{BackendError, Decoded, Look, Task, TimedWord, Worker};
use super::guard::{self, Doubt, Evidence};
use super::listen::Heard;
use super::{residue, terms, timing};

/// Voice with fewer words per second than this is suspected to hold more.
const SPARSE_WORDS_PER_SECOND: f32 = 1.4;
/// Shorter voice is not suspected: "hm … yes" is sparse too.
const SPARSE_FROM_MS: i64 = 4000;
/// Voice shorter than this may be a breath in which names are heard that were only hinted at.
const FAINT_MS: i64 = 600;

/// Words that passed.
pub struct Words {
    /// The text, trimmed, never empty.
    pub text: Zeroizing<String>,
    /// Mean probability of its tokens.
    pub confidence: f32,
    /// Mean log-probability of its tokens.
    pub mean_logprob: f32,
    /// The words with their times from the first sample on.
    pub words: Vec<TimedWord>,
    /// Two-letter code of the language, where the recogniser tells it.
    pub language: Option<String>,
    /// As [`Decoded::languages`].
    pub languages: Vec<(String, f32)>,
}

/// What a recogniser is told besides the sound.
#[derive(Clone, Copy)]
pub struct Hints<'a> {
    /// Two-letter code; `None` to detect.
    pub language: Option<&'a str>,
    /// Names and terms that may be said.
    pub prompt: &'a str,
}

/// How likely each language is for an utterance; see [`Worker::languages`].
pub fn languages(worker: &mut dyn Worker, heard: &Heard) -> Result<Vec<(String, f32)>, BackendError> {
    worker.languages(&samples(heard))
}

/// One cheap look at an utterance that is still being said, or why it is not shown.
pub fn glimpse(worker: &mut dyn Worker, heard: &Heard, hints: Hints<'_>) -> Result<Result<Words, Doubt>, BackendError> {
    if residue::is_residue(&heard.pcm, &heard.voices) {
        return Ok(Err(Doubt::Residue));
    }
    let samples = samples(heard);
    look(
        worker,
        heard,
        &Task { samples: &samples, look: Look::Caption, language: hints.language, prompt: hints.prompt },
    )
}

/// The words of an utterance, or why there are none. The outer error is the recogniser's.
pub fn recognise(
    worker: &mut dyn Worker,
    heard: &Heard,
    hints: Hints<'_>,
) -> Result<Result<Words, Doubt>, BackendError> {
    if residue::is_residue(&heard.pcm, &heard.voices) {
        return Ok(Err(Doubt::Residue));
    }
    let samples = samples(heard);
    let task = Task { samples: &samples, look: Look::Quick, language: hints.language, prompt: hints.prompt };
    let first = look(worker, heard, &task)?;
    let again = match &first {
        Ok(words) => {
            let count = words.text.split_whitespace().count() as f32;
            heard.voiced_ms >= SPARSE_FROM_MS && count * 1000.0 < SPARSE_WORDS_PER_SECOND * heard.voiced_ms as f32
        }
        Err(doubt) => matches!(doubt, Doubt::Repeating | Doubt::Unlikely | Doubt::TooFast),
    };
    if !again {
        return Ok(first);
    }
    let second = look(worker, heard, &Task { look: Look::Careful, ..task })?;
    Ok(match (first, second) {
        (Ok(first), Ok(second)) if first.text.len() >= second.text.len() => Ok(first),
        (Ok(first), Err(_)) => Ok(first),
        (_, second) => second,
    })
}

fn samples(heard: &Heard) -> Zeroizing<Vec<f32>> {
    Zeroizing::new(heard.pcm.iter().map(|s| f32::from(*s) / 32768.0).collect())
}

/// One look. If it gives the prompt back, it is taken without the prompt.
fn look(worker: &mut dyn Worker, heard: &Heard, task: &Task<'_>) -> Result<Result<Words, Doubt>, BackendError> {
    let decoded = worker.decode(task)?;
    if !task.prompt.is_empty() {
        let faint = heard.voiced_ms < FAINT_MS || decoded.mean_logprob < -0.5 || decoded.no_speech > 0.4;
        if terms::echoes(&decoded.text, task.prompt, faint) {
            return Ok(believe(heard, worker.decode(&Task { prompt: "", ..*task })?));
        }
    }
    Ok(believe(heard, decoded))
}

fn believe(heard: &Heard, decoded: Decoded) -> Result<Words, Doubt> {
    let evidence = Evidence {
        voiced_ms: heard.voiced_ms,
        voice: heard.voice,
        mean_logprob: decoded.mean_logprob,
        no_speech: decoded.no_speech,
        faint: residue::is_faint(&heard.pcm, &heard.voices),
    };
    let text = guard::check(&decoded.text, evidence)?;
    let words = timing::place(&text, decoded.words, &heard.voices, decoded.confidence);
    Ok(Words {
        text,
        confidence: decoded.confidence,
        mean_logprob: decoded.mean_logprob,
        words,
        language: decoded.language,
        languages: decoded.languages,
    })
}

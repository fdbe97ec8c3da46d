//! Recordings: any audio file in, a transcript with notes out, as Markdown, JSON or subtitles.
//!
//! ```text
//! file ─▶ decode ─▶ channels ─▶ resample (16 kHz) ─▶ Transcriber ─▶ Transcription ─▶ markdown, json, srt, vtt
//! ```
//!
//! One file per party, each under its name; or one file with several people on it, told apart by voice; or one file with
//! a party on each channel. Nothing is dropped: files are read only as fast as they are recognised, and faster than they
//! would play.

mod cues;
pub mod decode;
mod json;
mod markdown;
pub mod resample;
mod source;
mod transcribe;

use std::fmt;
use std::path::PathBuf;

use zeroize::Zeroize as _;

use crate::notes::{Notes, SaidUtterance};
use crate::speech::{ModelError, TranscriberConfig, Voice, Word};

pub use transcribe::transcribe;

/// One recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// The file: WAV, AIFF, FLAC, MP3, Ogg (Vorbis, Opus), MP4 (AAC), Matroska and WebM.
    pub path: PathBuf,
    /// Who speaks in it; `None`: named after the file.
    pub name: Option<String>,
}

/// How recordings are transcribed.
#[derive(Clone)]
pub struct Options {
    /// Weights, language and threads of the recogniser.
    pub recogniser: TranscriberConfig,
    /// Names and terms that may be said, most important first.
    pub terms: Vec<String>,
    /// Several people are on each file, or on each channel of it: tell them apart by voice, as "Speaker A", "Speaker B", … of
    /// that file. Needs [`TranscriberConfig::speakers`].
    pub several_voices: bool,
    /// Each channel of a file is a party of its own; otherwise channels are mixed.
    pub channels_apart: bool,
}

/// How far a transcription is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Sound of all files that is recognised, in ms.
    pub done_ms: i64,
    /// Sound of all files, in ms; `None` while a file does not tell its length.
    pub total_ms: Option<i64>,
    /// Utterances that were found.
    pub utterances: usize,
    /// All is recognised; notes are being written.
    pub writing_notes: bool,
}

/// What was said in recordings. Wiped from memory when dropped; `Debug` shows no text.
#[derive(Default)]
pub struct Transcription {
    /// Names of the parties: of a file or a channel each.
    pub parties: Vec<String>,
    /// In the order in which they began.
    pub utterances: Vec<Line>,
    /// Length of the longest recording in ms.
    pub length_ms: i64,
    /// Who saw the words; empty if there were none.
    pub recogniser: String,
    /// The notes, if they were asked for.
    pub notes: Option<Notes>,
    /// What people should know: sound that could not be read.
    pub warnings: Vec<String>,
}

/// One utterance. `Debug` shows no text.
pub struct Line {
    /// What notes cite: 1, 2, … in order.
    pub id: u64,
    /// Which of [`Transcription::parties`].
    pub party: usize,
    /// Which of several people on the party's line.
    pub voice: Option<Voice>,
    /// As people read it: the party's name, or the voice's.
    pub speaker: String,
    /// Start in ms of the recording.
    pub start_ms: i64,
    /// End in ms of the recording.
    pub end_ms: i64,
    /// The words.
    pub text: String,
    /// The words with their times, where the recogniser tells them.
    pub words: Vec<Word>,
    /// Two-letter code, where the recogniser tells it.
    pub language: Option<String>,
    /// 0 to 1.
    pub confidence: f32,
}

/// Why a recording cannot be transcribed.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system refused the file.
    #[error("cannot open {path}: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is no sound, or of a kind that is not read.
    #[error("cannot read {path}: {what}; convert it to WAV, FLAC, MP3 or Ogg")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The recogniser cannot start.
    #[error(transparent)]
    Recogniser(#[from] ModelError),
    /// The recogniser ended early.
    #[error("the recogniser stopped before the end of the recording; its log says why")]
    Stopped,
}

impl fmt::Debug for Transcription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transcription")
            .field("parties", &self.parties.len())
            .field("utterances", &self.utterances.len())
            .field("length_ms", &self.length_ms)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("id", &self.id).field("start_ms", &self.start_ms).finish_non_exhaustive()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.text.zeroize();
    }
}

impl Drop for Transcription {
    fn drop(&mut self) {
        if let Some(notes) = &mut self.notes {
            notes.zeroize();
        }
    }
}

impl Transcription {
    /// Turns and notes for people.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        markdown::write(self)
    }

    /// All there is, for programs: utterances with words, parties, notes.
    #[must_use]
    pub fn to_json(&self) -> String {
        json::write(self)
    }

    /// Subtitles in SubRip's format.
    #[must_use]
    pub fn to_srt(&self) -> String {
        cues::srt(self)
    }

    /// Subtitles in WebVTT, with the speakers as voices.
    #[must_use]
    pub fn to_vtt(&self) -> String {
        cues::vtt(self)
    }
}

impl Line {
    fn said(&self) -> SaidUtterance {
        SaidUtterance {
            id: self.id,
            speaker: self.speaker.clone(),
            start_ms: self.start_ms,
            end_ms: self.end_ms,
            text: self.text.clone(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;

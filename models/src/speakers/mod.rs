//! Several people behind one line, told apart while the call runs: a speakerphone, a conference bridge.
//!
//! ```text
//! push ─▶ kept sound ─▶ windows of 10 s ─▶ segmentation: in which 17 ms does who of up to three speak
//!      ─▶ pieces of one breath ─▶ features ─▶ embedding of each ─▶ groups ─▶ clusters of the call ─▶ timeline ─▶ voices
//! ```
//!
//! - [`SpeakerModels`]: two networks on onnxruntime, loaded once, shared by all lines.
//! - [`SpeakerTracker`]: one line of one call.
//! - [`pieces`] puts together what is one speaker's within a window, [`cluster`] decides who that is (sans-IO), [`timeline`] keeps when who spoke (sans-IO), [`fbank`] and [`segment`] are the
//!   two ends of the networks, [`runtime`] finds and checks onnxruntime.
//! - [`rttm`] and [`der`] measure it.
//!
//! Embeddings are a print of a person's voice. They live in the tracker's memory and nowhere else: no type that holds one can be
//! printed, stored or copied out, and each is wiped when it is dropped, at the latest with the tracker. onnxruntime runs
//! without its memory arena, so that its working memory goes back to the allocator after each run; it does not wipe it, so
//! traces of sound in work may stay in freed memory of the process until that is used again.

pub mod assign;
pub mod clock;
pub mod cluster;
pub mod der;
pub mod fbank;
pub mod pieces;
pub mod rttm;
pub mod runtime;
pub mod segment;
#[cfg(test)]
mod tests;
pub mod timeline;
mod tracker;

use std::path::{Path, PathBuf};

pub use runtime::SpeakerModels;
pub use tracker::{SpeakerStats, SpeakerTracker};

use crate::Voice;
use crate::weights::{self, WeightsError};

/// Most voices that are told apart on one line.
pub const MAX_VOICES: usize = 8;

/// Where the networks and their runtime are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpeakerConfig {
    /// `pyannote-segmentation-3.0.onnx`.
    pub segmentation: PathBuf,
    /// `wespeaker-resnet34-256.onnx`.
    pub embedding: PathBuf,
    /// onnxruntime's shared library (`libonnxruntime.so.1.…`), 1.17 or later without telemetry (the wheels have it since 1.29). One process uses one: the first that is loaded.
    pub onnxruntime: PathBuf,
}

impl SpeakerConfig {
    /// The files that the manifest names, in a folder of weights.
    ///
    /// # Errors
    /// One of them is not there.
    pub fn in_folder(folder: &Path) -> Result<Self, WeightsError> {
        let file = |name: &str| weights::locate(&weights::named(name)?, folder);
        Ok(Self {
            segmentation: file("segmentation")?,
            embedding: file("speaker-embedding")?,
            onnxruntime: file("onnxruntime")?,
        })
    }
}

/// Someone speaks from here to there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VoiceSpan {
    /// Who.
    pub voice: Voice,
    /// Start, on the clock of [`SpeakerTracker::push`], in ms.
    pub start_ms: i64,
    /// End, same clock; behind the start.
    pub end_ms: i64,
}

/// Why voices cannot be told apart.
#[derive(Debug, thiserror::Error)]
pub enum SpeakerError {
    /// A file is not there or cannot be read.
    #[error(
        "cannot read {path}: {source}; fetch what speakers need with `cargo xtask setup` or `roomtone models fetch`"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no onnxruntime that can be used here.
    #[error(
        "{path} is not usable as onnxruntime: {what}; take libonnxruntime.so 1.17 to 1.27, made for this machine, or fetch it with `roomtone models fetch onnxruntime`"
    )]
    BadRuntime {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Another onnxruntime is at work in this process already.
    #[error("onnxruntime was loaded from {loaded} before; {path} can be used after a restart")]
    OtherRuntime {
        /// As asked for.
        path: PathBuf,
        /// What is loaded.
        loaded: PathBuf,
    },
    /// onnxruntime refused the weights, or they are another network.
    #[error("speaker weights {path} are not usable: {what}")]
    BadModel {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

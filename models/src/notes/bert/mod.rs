//! Notes by BART, T5 and BERT on this machine, through rust-bert and libtorch. Cargo feature `bert`.
//!
//! Each of three checkpoints is optional, and lies in a folder as model hubs give it: `config.json`, the weights
//! (`model.safetensors`, `rust_model.ot` or `pytorch_model.bin`) and the tokenizer's files.
//!
//! - BART, or T5, writes the summary, one per topic segment, of a call too long for it in pieces of its own size;
//! - T5, or BART, writes the title;
//! - BERT marks names of people, organisations and things.
//!
//! What no checkpoint is there for is done as [`ExtractiveWriter`](super::ExtractiveWriter) does it, and so are decisions,
//! actions, questions and dates: those are quoted, never written. A written sentence is kept only with utterances that
//! support it.
//!
//! Without the feature [`BertWriter::load`] says that it is not built in.

#[cfg(feature = "bert")]
mod checkpoint;
#[cfg(feature = "bert")]
mod embed;
#[cfg(feature = "bert")]
mod engine;
#[cfg(feature = "bert")]
mod entities;
#[cfg(feature = "bert")]
mod segments;
#[cfg(feature = "bert")]
mod seq2seq;
#[cfg(all(test, feature = "bert"))]
mod tests;
#[cfg(all(test, feature = "bert"))]
mod tiny;
#[cfg(feature = "bert")]
mod unigram;
#[cfg(not(feature = "bert"))]
mod without;
#[cfg(feature = "bert")]
mod writer;

use std::path::{Path, PathBuf};
use std::time::Duration;

#[cfg(not(feature = "bert"))]
pub use without::{BertWriter, MiniLm};
#[cfg(feature = "bert")]
pub use {embed::MiniLm, writer::BertWriter};

/// Whether this program was built with the feature.
pub const BUILT_IN: bool = cfg!(feature = "bert");

/// Which checkpoints write, and how much of the machine they may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BertConfig {
    /// Folder of a BART or T5 that summarises. `None`: sentences of the call are quoted.
    pub summary_dir: Option<PathBuf>,
    /// Folder of a T5 or BART that writes titles. `None`: the title is made of keywords.
    pub title_dir: Option<PathBuf>,
    /// Folder of a BERT that marks names (labels as CoNLL has them: `B-PER`, `I-ORG`, …). `None`: names are found by patterns.
    pub entities_dir: Option<PathBuf>,
    /// Threads of libtorch. Default: half of the processors, at least one and at most four: more wait for one another while
    /// recognition has the machine.
    pub threads: usize,
    /// Unix niceness of those threads, 0 to 19. Default 10: recognition, at 5, goes first.
    pub niceness: i32,
    /// At the end of a call the summaries of its parts are written together only if that is expected to take no longer than
    /// this; else their most telling sentences are taken. Default 2.5 s: people wait for the notes.
    pub join_time: Duration,
}

impl Default for BertConfig {
    fn default() -> Self {
        Self {
            summary_dir: None,
            title_dir: None,
            entities_dir: None,
            threads: default_threads(),
            niceness: 10,
            join_time: Duration::from_millis(2500),
        }
    }
}

/// Names of folders in the weights folder that [`BertConfig::fill_from`] looks for, as the manifest has them or for one's own.
const SUMMARY: [&str; 2] = ["bart", "bart-large-cnn"];
const TITLE: [&str; 1] = ["t5-title"];
const ENTITIES: [&str; 2] = ["bert-ner", "bert-base-ner"];

impl BertConfig {
    /// Whether there is nothing to load.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.summary_dir.is_none() && self.title_dir.is_none() && self.entities_dir.is_none()
    }

    /// Takes for what is not named the folders `bart` or `bart-large-cnn`, `t5-title`, and `bert-ner` or `bert-base-ner` of the
    /// weights folder, where they are.
    #[must_use]
    pub fn fill_from(mut self, weights: &Path) -> Self {
        let there = |names: &[&str]| {
            names.iter().map(|name| weights.join(name)).find(|folder| folder.join("config.json").is_file())
        };
        self.summary_dir = self.summary_dir.or_else(|| there(&SUMMARY));
        self.title_dir = self.title_dir.or_else(|| there(&TITLE));
        self.entities_dir = self.entities_dir.or_else(|| there(&ENTITIES));
        self
    }
}

/// [`BertConfig::threads`] unless configured.
fn default_threads() -> usize {
    (std::thread::available_parallelism().map_or(1, usize::from) / 2).clamp(1, 4)
}

#[cfg(test)]
mod config_tests {
    use super::*;

    #[test]
    fn a_weights_folder_fills_in_what_is_not_named_and_there() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(TITLE[0])).unwrap();
        std::fs::create_dir(folder.path().join(SUMMARY[0])).unwrap();
        std::fs::write(folder.path().join(TITLE[0]).join("config.json"), "{}").unwrap();
        let config = BertConfig::default().fill_from(folder.path());
        assert_eq!(config.title_dir, Some(folder.path().join(TITLE[0])));
        assert_eq!(config.summary_dir, None, "an empty folder is no checkpoint");
        let named = BertConfig { title_dir: Some("/elsewhere".into()), ..BertConfig::default() };
        assert_eq!(named.fill_from(folder.path()).title_dir, Some("/elsewhere".into()));
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let config = BertConfig { title_dir: Some("/nowhere/t5".into()), ..BertConfig::default() };
        let error = BertWriter::load(&config).map(drop).expect_err("no such folder").to_string();
        if BUILT_IN {
            assert!(error.contains("/nowhere/t5/config.json"), "{error}");
        } else {
            assert!(error.contains("without"), "{error}");
        }
    }
}

//! Who writes notes here: what the configuration asks for and what is there.

use std::{path::Path, sync::Arc, time::Duration};

use bridge::time::UnixMillis;
use models::notes::{
    Embed, EmbeddingWriter, ExtractiveWriter, NoteTaker, NoteWriter, WriteError,
    bert::{self, BertConfig, BertWriter, MiniLm},
    llm::{LlmConfig, LlmWriter},
};

use crate::config::{ConfigError, Notes, Writer};

/// Folder of the sentence embedder in the weights folder.
const MINILM: &str = "minilm";

/// The writers, in order of preference. Behind the last stands the extractive one, which never fails.
#[derive(Clone, Default)]
pub struct Writers {
    list: Vec<Arc<dyn NoteWriter>>,
    embed: Option<Arc<dyn Embed>>,
}

/// Why the language model that is configured cannot be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LlmError {
    /// Its key cannot be read.
    #[error("notes.llm.api_key_file: {0}")]
    Key(#[from] ConfigError),
    /// Its settings cannot be used.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Writers {
    /// What the configuration asks for and what is there; what is missing is logged, and the next one writes. `weights`: the
    /// folder of weights.
    #[must_use]
    pub fn load(notes: &Notes, weights: &Path) -> Self {
        let mut list: Vec<Arc<dyn NoteWriter>> = Vec::new();
        if let Some(llm) = llm(notes) {
            match llm {
                Ok(writer) => list.push(Arc::new(writer)),
                Err(error) => tracing::error!(%error, "the language model cannot write notes"),
            }
        }
        let checkpoints = checkpoints(notes, weights);
        let wanted = notes.writer == Writer::Bert;
        if wanted || (notes.writer != Writer::Extractive && bert::BUILT_IN && !checkpoints.is_empty()) {
            match BertWriter::load(&checkpoints) {
                Ok(writer) => list.push(Arc::new(writer)),
                Err(error) if wanted => tracing::error!(%error, "BART and T5 cannot write notes"),
                Err(error) => tracing::warn!(%error, "BART and T5 cannot write notes"),
            }
        }
        let embed = embedder(notes, &checkpoints, weights);
        if let Some(embed) = &embed {
            // Without a model that writes, or when those that are there fail: sentences chosen by what they mean.
            list.push(Arc::new(EmbeddingWriter::new(Arc::clone(embed))));
        }
        let writers = Self { list, embed };
        tracing::info!(first = writers.name(), writers = writers.list.len() + 1, "who writes notes");
        writers
    }

    /// These, in this order.
    #[must_use]
    pub fn of(list: Vec<Arc<dyn NoteWriter>>) -> Self {
        Self { list, embed: None }
    }

    /// Takes notes of a call that began at `started`.
    #[must_use]
    pub fn taker(&self, started: UnixMillis, time_zone: &str, terms: Vec<String>) -> NoteTaker {
        self.taker_at(unix_ms(started), time_zone, terms)
    }

    /// The same of what was recorded at any time, also before 1970: Unix time in ms.
    pub(crate) fn taker_at(&self, started_ms: i64, time_zone: &str, terms: Vec<String>) -> NoteTaker {
        let taker = NoteTaker::new(self.list.clone(), started_ms, time_zone.to_owned(), terms);
        match &self.embed {
            Some(embed) => taker.with_embedder(Arc::clone(embed)),
            None => taker,
        }
    }

    /// The same with the extractive writer alone: at once.
    #[must_use]
    pub fn extractive(&self, started: UnixMillis, time_zone: &str) -> NoteTaker {
        NoteTaker::new(Vec::new(), unix_ms(started), time_zone.to_owned(), Vec::new())
    }

    /// Who writes first, as people read it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.list.first().map_or(ExtractiveWriter.name(), |w| w.name())
    }
}

/// The language model, where one is to write.
pub(crate) fn llm(notes: &Notes) -> Option<Result<LlmWriter, LlmError>> {
    let endpoint = notes.llm()?;
    let made = || {
        let mut settings = LlmConfig::new(&endpoint.url, &endpoint.model);
        settings.api_key = endpoint.read_key()?;
        if let Some(seconds) = endpoint.timeout_seconds {
            settings.timeout = Duration::from_secs(seconds.max(1));
        }
        Ok(LlmWriter::new(settings)?)
    };
    Some(made())
}

/// The checkpoints that are configured, and those that lie in the weights folder.
pub(crate) fn checkpoints(notes: &Notes, weights: &Path) -> BertConfig {
    let named = &notes.bert;
    let mut checkpoints = BertConfig {
        summary_dir: named.summary_dir.clone(),
        title_dir: named.title_dir.clone(),
        entities_dir: named.entities_dir.clone(),
        ..BertConfig::default()
    };
    if let Some(threads) = named.threads {
        checkpoints.threads = threads.max(1);
    }
    checkpoints.fill_from(weights)
}

/// Tells topics apart by sense, where it is built in and its weights are there.
fn embedder(notes: &Notes, checkpoints: &BertConfig, weights: &Path) -> Option<Arc<dyn Embed>> {
    let folder = weights.join(MINILM);
    if !bert::BUILT_IN || notes.writer == Writer::Extractive || !folder.join("config.json").is_file() {
        return None;
    }
    match MiniLm::load(&folder, checkpoints.threads, checkpoints.niceness) {
        Ok(embed) => Some(Arc::new(embed)),
        Err(error) => {
            tracing::warn!(%error, "topics are told apart by words alone");
            None
        }
    }
}

fn unix_ms(at: UnixMillis) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn config(notes: &str) -> Notes {
        let text = format!(
            "homeserver: {{ url: 'http://a', server_name: hs.test }}\n\
             livekit: {{ url: 'ws://a', api_key: k, secret: 0123456789abcdef0123456789abcdef }}\nnotes: {notes}"
        );
        Config::parse(Path::new("test.yaml"), &text, []).unwrap().notes
    }

    #[test]
    fn a_configured_language_model_writes_first_and_the_extractive_writer_when_nothing_is_there() {
        let empty = tempfile::tempdir().unwrap();
        let name = |notes: &str| Writers::load(&config(notes), empty.path()).name().to_owned();
        assert_eq!(name("{}"), "extractive");
        assert_eq!(name("{ llm: { url: 'http://127.0.0.1:1/v1', model: q } }"), "llm q");
        assert_eq!(name("{ writer: extractive, llm: { url: 'http://127.0.0.1:1/v1', model: q } }"), "extractive");
        assert_eq!(name("{ writer: bert, bert: { title_dir: /nowhere } }"), "extractive");
        let unreadable = "{ llm: { url: 'http://127.0.0.1:1/v1', model: q, api_key_file: /nowhere/key } }";
        assert_eq!(name(unreadable), "extractive");
        let error = llm(&config(unreadable)).unwrap().unwrap_err().to_string();
        assert!(error.contains("notes.llm.api_key_file") && error.contains("/nowhere/key"), "{error}");
    }
    #[cfg(all(feature = "bert", unix))]
    #[test]
    fn where_sentences_can_be_compared_by_what_they_mean_that_chooses_them() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(models::eval::weights_folder().join(MINILM), folder.path().join(MINILM)).unwrap();
        let name = |notes: &str| Writers::load(&config(notes), folder.path()).name().to_owned();
        assert_eq!(name("{}"), "extractive + minilm");
        assert_eq!(name("{ llm: { url: 'http://127.0.0.1:1/v1', model: q } }"), "llm q");
        assert_eq!(name("{ writer: extractive }"), "extractive");
    }
}

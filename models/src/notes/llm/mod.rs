//! Notes by a language model behind an OpenAI-compatible endpoint (Ollama, vLLM, llama.cpp, a hosted one).
//!
//! 1. [`prompt`] shows the model numbered utterances, without sentences that speak to the machine.
//! 2. [`chat`] asks, in the strictest form of answer that the server knows.
//! 3. [`answer`] reads the JSON strictly; a bad answer is asked for once more, with what was wrong.
//! 4. [`ground`] makes notes of it: the model points at utterances and words, and we look whether they were said and what
//!    date they mean. What is not borne out is dropped.
//!
//! What cannot be had so is an error, and the next writer writes.

mod answer;
mod chat;
mod ground;
mod prompt;

use std::time::Duration;

use secrecy::SecretString;
use zeroize::Zeroizing;

use self::answer::Wrong;
use self::chat::{Chat, Question};
use super::merge::merge;
use super::{NoteWriter, Notes, Transcript, WriteError, keep_supported};
use crate::remote::{Limits, RemoteError, short_name};

/// Longer answers are not read: [`LlmConfig::max_tokens`] has been ignored then.
const ANSWER_BYTES: usize = 512 * 1024;
/// How often a request is made at most, where the server is busy or breaks off.
const TRIES: u32 = 3;
/// What is left for words in a context too small for the instructions.
const FEWEST_TOKENS: usize = 256;

/// Where the model is and what it may cost.
#[derive(Debug, Clone)]
pub struct LlmConfig {
    /// The endpoint, with or without `/v1` (`http://127.0.0.1:11434`, `https://llm.example.org/v1`). Words of calls go
    /// there; no redirect is followed.
    pub url: String,
    /// The model as the server calls it.
    pub model: String,
    /// Sent as bearer token. Default none.
    pub api_key: Option<SecretString>,
    /// How long one answer may take. Default 120 s; with all tries at most twice that.
    pub timeout: Duration,
    /// How long joining the parts may take at the call's end, when people wait. Later, their own summaries stand. Default 3 s.
    pub join_timeout: Duration,
    /// Most tokens of an answer. Default 1024.
    pub max_tokens: u32,
    /// What the model can hold, question and answer together. A longer part is asked about in pieces. Default 4096, which is
    /// what Ollama gives unless it is told otherwise (it cuts longer questions without a word).
    pub context_tokens: u32,
    /// Default 0: the likeliest words.
    pub temperature: f32,
    /// Requests at a time, all calls together. Default 1.
    pub concurrency: usize,
    /// How to ask for JSON. Default `None`: the strictest that the server takes.
    pub format: Option<AnswerFormat>,
}

/// Ways to ask a server for JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerFormat {
    /// `response_format` of type `json_schema` (OpenAI, vLLM, Ollama, llama.cpp).
    JsonSchema,
    /// `json_object` with a `schema` beside it (llama-cpp-python, llama.cpp).
    JsonObjectWithSchema,
    /// `json_object`: any JSON.
    JsonObject,
    /// Nothing but the instructions.
    Text,
}

impl LlmConfig {
    /// Usual settings for this endpoint.
    pub fn new(url: impl Into<String>, model: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            model: model.into(),
            api_key: None,
            timeout: Duration::from_secs(120),
            join_timeout: Duration::from_secs(3),
            max_tokens: 1024,
            context_tokens: 4096,
            temperature: 0.0,
            concurrency: 1,
            format: None,
        }
    }
}

/// Writes notes with a language model. `name()` is `llm` and the model's name.
#[derive(Debug)]
pub struct LlmWriter {
    chat: Chat,
    name: String,
    config: LlmConfig,
}

impl LlmWriter {
    /// Makes ready; nothing is asked yet ([`LlmWriter::check`] does). Fails where the url or key cannot be used.
    pub fn new(config: LlmConfig) -> Result<Self, WriteError> {
        let name = format!("llm {}", short_name(&config.model));
        let chat = Chat::new(&config)
            .map_err(|error| WriteError::Unavailable { writer: name.clone(), what: error.to_string() })?;
        Ok(Self { chat, name, config })
    }

    /// Host and port of the server, as people are told who sees their words.
    pub fn host(&self) -> &str {
        self.chat.host()
    }

    /// Whether the server is this machine (a loopback address).
    pub fn stays_here(&self) -> bool {
        self.chat.stays_here()
    }

    /// Asks the server for its models: whether it is reached, takes the key, and has the model. Blocks, 10 s at most.
    pub fn check(&self) -> Result<(), WriteError> {
        let limits = Limits {
            each: Duration::from_secs(10),
            all: Duration::from_secs(10),
            tries: 1,
            again_after_500: false,
            answer_bytes: 4 * 1024 * 1024,
        };
        let models = match self.chat.models(limits) {
            // Some have no such list.
            Err(RemoteError::Refused { status: 404 | 405 | 501, .. }) => return Ok(()),
            other => other.map_err(|error| self.failed(&error))?,
        };
        let model = &self.config.model;
        // Ollama adds ":latest".
        if models.is_empty() || models.iter().any(|m| m == model || m.strip_suffix(":latest") == Some(model)) {
            return Ok(());
        }
        let what = format!("{} has no model {model:?}; it has {}", self.host(), models.join(", "));
        Err(WriteError::Unavailable { writer: self.name.clone(), what })
    }

    fn failed(&self, error: &RemoteError) -> WriteError {
        let (writer, what) = (self.name.clone(), error.to_string());
        match error {
            RemoteError::BadConfig(_) | RemoteError::Unauthorised { .. } | RemoteError::Refused { status: 404, .. } => {
                WriteError::Unavailable { writer, what }
            }
            _ => WriteError::Failed { writer, what },
        }
    }

    fn limits(&self, each: Duration) -> Limits {
        Limits { each, all: each * 2, tries: TRIES, again_after_500: true, answer_bytes: ANSWER_BYTES }
    }

    /// Tokens that utterances may take.
    fn room(&self) -> usize {
        let context = self.config.context_tokens as usize;
        let taken = self.config.max_tokens as usize + prompt::tokens(prompt::DRAW) + 128;
        context.saturating_sub(taken).max(FEWEST_TOKENS)
    }

    fn draw_piece(&self, piece: &Transcript) -> Result<Notes, WriteError> {
        let numbers = piece.utterances.len();
        let schema = answer::drawn_schema(numbers);
        let mut user = prompt::of_utterances(piece);
        let mut last = Wrong(String::new());
        for again in [false, true] {
            if again {
                user = Zeroizing::new(format!("{}\nYour last answer was refused: {}. Answer again.", *user, last.0));
            }
            let question = Question { system: prompt::DRAW, user: &user, name: "minutes", schema: &schema };
            let reply =
                self.chat.ask(&question, self.limits(self.config.timeout)).map_err(|error| self.failed(&error))?;
            let read = if reply.cut {
                Err(Wrong(format!("it was cut off after {} tokens; be shorter", self.config.max_tokens)))
            } else {
                answer::drawn(&reply.text, numbers, again).and_then(|drawn| ground::notes(drawn, piece, &self.name))
            };
            match read {
                Ok(notes) => return Ok(notes),
                Err(wrong) => {
                    tracing::debug!(writer = self.name, again, what = wrong.0, "an answer was refused");
                    last = wrong;
                }
            }
        }
        Err(WriteError::Unusable { writer: self.name.clone(), what: last.0 })
    }

    /// Title and summary of the whole, written from the parts' own sentences. Changes `notes` only if that comes in time and
    /// is borne out.
    fn join_prose(&self, notes: &mut Notes, shown: &Transcript, parts: &[Notes]) -> Result<(), String> {
        let sentences: Vec<_> =
            parts.iter().flat_map(|part| part.summary.iter().chain(part.decisions.iter().take(2))).collect();
        let user = prompt::of_sentences(sentences.iter().map(|sentence| sentence.text.as_str()));
        let fits = self.config.context_tokens.saturating_sub(self.config.max_tokens) as usize;
        if sentences.is_empty() || prompt::tokens(&user) + prompt::tokens(prompt::JOIN) > fits {
            return Err("the parts are too long for one question".to_owned());
        }
        let schema = answer::joined_schema(sentences.len());
        let question = Question { system: prompt::JOIN, user: &user, name: "summary", schema: &schema };
        let limits = Limits { all: self.config.join_timeout, tries: 1, ..self.limits(self.config.join_timeout) };
        let reply = self.chat.ask(&question, limits).map_err(|error| error.to_string())?;
        let joined = answer::joined(&reply.text, sentences.len()).map_err(|wrong| wrong.0)?;
        let known: Vec<&[u64]> = sentences.iter().map(|sentence| sentence.cites.as_slice()).collect();
        let mut prose = Notes {
            title: ground::title(&joined.title),
            summary: ground::rest_on(&joined.summary, &known, shown),
            ..Notes::default()
        };
        keep_supported(&mut prose, shown);
        if prose.summary.is_empty() {
            return Err("no sentence of the summary is borne by utterances".to_owned());
        }
        notes.summary = prose.summary;
        if !prose.title.is_empty() {
            notes.title = prose.title;
        }
        Ok(())
    }
}

impl NoteWriter for LlmWriter {
    fn name(&self) -> &str {
        &self.name
    }

    fn draw(&self, part: &Transcript) -> Result<Notes, WriteError> {
        let shown = prompt::shown(part);
        if shown.utterances.is_empty() {
            return Ok(Notes { written_by: self.name.clone(), ..Notes::default() });
        }
        let pieces = prompt::pieces(shown.clone(), self.room());
        let drawn = pieces.iter().map(|piece| self.draw_piece(piece)).collect::<Result<Vec<_>, _>>()?;
        match <[Notes; 1]>::try_from(drawn) {
            Ok([only]) => Ok(only),
            Err(several) => Ok(merge(&shown, &several)),
        }
    }

    fn join(&self, whole: &Transcript, parts: &[Notes]) -> Result<Notes, WriteError> {
        let shown = prompt::shown(whole);
        let mut notes = merge(&shown, parts);
        let ours = parts.iter().filter(|part| part.written_by == self.name && !part.summary.is_empty()).count();
        if ours > 1
            && let Err(what) = self.join_prose(&mut notes, &shown, parts)
        {
            tracing::debug!(writer = self.name, what, "the parts' own sentences are the summary");
        }
        Ok(notes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_is_none_and_a_key_in_it_are_refused_at_once() {
        for url in ["", "localhost:8000", "https://me:secret@llm.example.org"] {
            let error = LlmWriter::new(LlmConfig::new(url, "m")).unwrap_err().to_string();
            assert!(error.contains("llm m cannot write") && !error.contains("secret"), "{error}");
        }
    }
}

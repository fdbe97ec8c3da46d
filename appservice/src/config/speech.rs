//! `transcription`, `notes` and `metrics`: who recognises speech, who writes, who may read the counts.
use std::{collections::BTreeSet, net::SocketAddr, path::PathBuf};

use models::speech::backend::whisper::knows_language;
use secrecy::SecretString;
use serde::Deserialize;

use super::{
    ConfigError,
    sections::{check_url, wrong},
};

/// What recognises speech.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// Whisper, on this machine.
    #[default]
    Whisper,
    /// A service that is asked over HTTP: it hears what people say.
    Http,
}

/// Whether people who share a line can be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Speakers {
    /// Where the weights are there.
    #[default]
    Auto,
    /// Never.
    Off,
}

/// An OpenAI-compatible service.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Endpoint {
    /// The address up to and with `/v1`, as in `http://127.0.0.1:8000/v1`.
    pub url: String,
    /// The model to ask for.
    pub model: String,
    /// A file with the key, where the service wants one.
    pub api_key_file: Option<PathBuf>,
    /// How long one answer may take, in seconds. Default: what suits the service.
    pub timeout_seconds: Option<u64>,
}

impl Endpoint {
    fn check(&self, url: &'static str, model: &'static str) -> Result<(), ConfigError> {
        check_url(url, &self.url, &["http", "https"])?;
        if self.model.trim().is_empty() {
            return Err(wrong(model, "is not set; it is the model to ask the service for"));
        }
        Ok(())
    }

    /// The host that sees what is sent; `None` where it is this machine.
    #[must_use]
    pub fn other_host(&self) -> Option<String> {
        let url = reqwest::Url::parse(&self.url).ok()?;
        let host = url.host_str()?.trim_matches(['[', ']']).to_ascii_lowercase();
        let loopback = host == "localhost"
            || host.ends_with(".localhost")
            || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        (!loopback).then_some(host)
    }

    /// The service's key, from its file.
    ///
    /// # Errors
    /// [`ConfigError::Unreadable`] when the file cannot be read.
    pub fn read_key(&self) -> Result<Option<SecretString>, ConfigError> {
        let Some(path) = &self.api_key_file else { return Ok(None) };
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.clone(), source })?;
        Ok(Some(text.trim().to_owned().into()))
    }
}

/// `transcription`: speech recognition.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Transcription {
    /// What recognises speech. Default `whisper`.
    pub backend: Backend,
    /// The service, with `backend: http`.
    pub http: Option<Endpoint>,
    /// Where weights lie. Default: the user's cache folder, `roomtone/models`.
    pub models_dir: Option<PathBuf>,
    /// The Whisper model by name, any of the manifest's, or a ggml file. Default: [`Transcription::model`].
    pub model: Option<String>,
    /// The spoken language as in `en`; none: the model finds out. Rooms can say otherwise.
    pub language: Option<String>,
    /// Utterances that are recognised at the same time, each on one thread at low priority. Default: as many as
    /// suits the machine.
    pub threads: Option<usize>,
    /// Whether people who share a line can be told apart, where a room asks for it.
    pub speakers: Speakers,
    /// Whether notes are on in rooms that have said nothing. Default false.
    pub enabled_by_default: bool,
}

impl Transcription {
    /// The Whisper model: as configured, else `base.en` where English is spoken, else `base`, which knows all languages.
    #[must_use]
    pub fn model(&self) -> &str {
        match (&self.model, self.language.as_deref()) {
            (Some(model), _) => model,
            (None, Some("en")) => "base.en",
            (None, _) => "base",
        }
    }

    /// The service that recognises speech, where it is one.
    #[must_use]
    pub fn service(&self) -> Option<&Endpoint> {
        self.http.as_ref().filter(|_| self.backend == Backend::Http)
    }

    /// The language that is spoken where a room has said nothing; `None`: found out.
    #[must_use]
    pub fn spoken(&self) -> Option<&str> {
        self.language.as_deref().filter(|code| !code.eq_ignore_ascii_case("auto"))
    }

    /// Who sees the words, as people read it.
    #[must_use]
    pub fn recogniser(&self) -> String {
        match (self.backend, &self.http) {
            (Backend::Http, Some(http)) => format!("http {}", http.model),
            _ => format!("whisper {}", self.model()),
        }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if let Some(language) = &self.language
            && !(crate::settings::is_code(language)
                && (language.eq_ignore_ascii_case("auto") || knows_language(&language.to_ascii_lowercase())))
        {
            return Err(wrong(
                "transcription.language",
                format!("{language:?} is no language; write it as in en, or leave it out"),
            ));
        }
        match (self.backend, &self.http) {
            (Backend::Http, Some(http)) => http.check("transcription.http.url", "transcription.http.model"),
            (Backend::Http, None) => Err(wrong(
                "transcription.http.url",
                "is not set; with transcription.backend: http it is the address of the service",
            )),
            (Backend::Whisper, Some(_)) => Err(wrong(
                "transcription.http",
                "is set, but transcription.backend is whisper; set it to http, or take the section out",
            )),
            (Backend::Whisper, None) => Ok(()),
        }
    }
}

/// Who writes the notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Writer {
    /// The language model if one is configured, else BART and T5 where they are built in and their weights are there, else
    /// the extractive one. What fails is followed by the next.
    #[default]
    Auto,
    /// Sentences of the call, quoted. Needs no weights.
    Extractive,
    /// BART and T5, on this machine.
    Bert,
    /// A language model behind an OpenAI-compatible address.
    Llm,
}

/// `notes.bert`: folders of checkpoints.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bert {
    /// A BART (or T5) that summarises.
    pub summary_dir: Option<PathBuf>,
    /// A T5 that writes titles. Default: `t5-title` of the weights folder, where it is there.
    pub title_dir: Option<PathBuf>,
    /// A BERT that marks names.
    pub entities_dir: Option<PathBuf>,
    /// Threads of libtorch.
    pub threads: Option<usize>,
}

/// `notes`: what is written after a call.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Notes {
    /// The time zone of what people say ("tomorrow at ten") and of the times on the card. Default `UTC`.
    pub time_zone: String,
    /// Who writes. Default `auto`.
    pub writer: Writer,
    /// The language model.
    pub llm: Option<Endpoint>,
    /// BART and T5.
    pub bert: Bert,
    /// Whether owners are reminded of their to-dos at nine on the day when they are due. Default true.
    pub reminders: bool,
}

impl Default for Notes {
    fn default() -> Self {
        Self { time_zone: "UTC".into(), writer: Writer::Auto, llm: None, bert: Bert::default(), reminders: true }
    }
}

impl Notes {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        jiff::tz::TimeZone::get(&self.time_zone).map(drop).map_err(|_| {
            wrong("notes.time_zone", format!("{:?} is no time zone; write it as in Europe/Berlin", self.time_zone))
        })?;
        match (&self.llm, self.writer) {
            (Some(llm), _) => llm.check("notes.llm.url", "notes.llm.model"),
            (None, Writer::Llm) => Err(wrong(
                "notes.llm.url",
                "is not set; with notes.writer: llm it is the address of the language model, with /v1",
            )),
            (None, _) => Ok(()),
        }
    }

    /// The language model, where it is to write.
    #[must_use]
    pub fn llm(&self) -> Option<&Endpoint> {
        self.llm.as_ref().filter(|_| matches!(self.writer, Writer::Auto | Writer::Llm))
    }
}

/// The machines beside this one that see what people say.
#[must_use]
pub fn seen_by(transcription: &Transcription, notes: &Notes) -> BTreeSet<String> {
    transcription.service().into_iter().chain(notes.llm()).filter_map(Endpoint::other_host).collect()
}

/// `metrics`: counts for Prometheus.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// An address of their own. Default: `/metrics` on `appservice.listen`, for this machine only.
    pub bind: Option<SocketAddr>,
}

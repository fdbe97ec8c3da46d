//! A recogniser on another machine: OpenAI-compatible `/v1/audio/transcriptions`.
//!
//! Each utterance goes out as a WAV file of its own and comes back as text, with word times and doubts where the server tells
//! them (`verbose_json`). What it cannot do, it is not asked for a second time. The sound leaves this process: whoever
//! configures this says so to the room ([`HttpBackend::host`], [`HttpBackend::stays_here`]).

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{Backend, BackendError, Decoded, Look, Task, TimedWord, Worker};
use crate::remote::{self, Dialect, Limits, Remote, RemoteError};
use crate::speech::{ModelError, SAMPLE_RATE};

/// What is asked for, from the most telling on. Newer models of some servers know the last one only.
const FORMATS: [Format; 3] = [Format::Words, Format::Verbose, Format::Text];
/// How often a request is made at most before the scheduler hears that it failed.
const TRIES: u32 = 2;
/// Longer answers are none to an utterance of 30 s.
const ANSWER_BYTES: usize = 1024 * 1024;
/// No utterance is longer.
const LONGEST_SECONDS: usize = 60;
/// Divides the parts of the form. Sound cannot hold it but by a chance of 2^-128.
const BOUNDARY: &str = "roomtone-7d1f3c0b9a5e42868c64f0d2b1e7a953";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// `verbose_json` with times of words and segments.
    Words,
    /// `verbose_json` as it comes.
    Verbose,
    /// `json`: the text alone.
    Text,
}

/// Where the recogniser is.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// The endpoint, with or without `/v1` (`http://127.0.0.1:8000`, `https://stt.example.org/v1`).
    pub url: String,
    /// The model as the server calls it (`whisper-1`).
    pub model: String,
    /// Sent as bearer token. Default none.
    pub api_key: Option<SecretString>,
    /// How long one utterance may take. Default 30 s; with the second try twice that.
    pub timeout: Duration,
    /// Requests at a time, all parties together. Default 4.
    pub concurrency: usize,
    /// Whether captions are asked for too: the same words several times while they are said. Default false.
    pub captions: bool,
}

impl HttpConfig {
    /// Usual settings for this endpoint.
    pub fn new(url: impl Into<String>, model: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            model: model.into(),
            api_key: None,
            timeout: Duration::from_secs(30),
            concurrency: 4,
            captions: false,
        }
    }
}

/// A recogniser behind an OpenAI-compatible endpoint. `name()` is `http` and the model's name.
#[derive(Debug)]
pub struct HttpBackend {
    shared: Arc<Shared>,
    name: String,
    models: reqwest::Url,
    captions: bool,
}

#[derive(Debug)]
struct Shared {
    remote: Remote,
    url: reqwest::Url,
    model: String,
    limits: Limits,
    /// Over [`FORMATS`].
    dialect: Dialect,
}

impl HttpBackend {
    /// Makes ready; nothing is asked yet ([`HttpBackend::check`] does). Fails where the url or key cannot be used.
    pub fn new(config: HttpConfig) -> Result<Self, ModelError> {
        let name = format!("http {}", remote::short_name(&config.model));
        let bad = |error: RemoteError| ModelError::Backend { name: name.clone(), what: error.to_string() };
        let url = remote::address(&config.url, "audio/transcriptions").map_err(bad)?;
        let base = config.url.trim().trim_end_matches('/');
        let models = base.strip_suffix("/audio/transcriptions").unwrap_or(base);
        let models = remote::address(models, "models").map_err(bad)?;
        let remote = Remote::new(&url, config.api_key.as_ref(), config.concurrency).map_err(bad)?;
        let limits = Limits {
            each: config.timeout,
            all: config.timeout * TRIES,
            tries: TRIES,
            again_after_500: true,
            answer_bytes: ANSWER_BYTES,
        };
        let shared = Shared { remote, url, model: config.model, limits, dialect: Dialect::any_of(FORMATS.len()) };
        Ok(Self { shared: Arc::new(shared), name, models, captions: config.captions })
    }

    /// Host and port of the server, as people are told who hears them.
    pub fn host(&self) -> &str {
        self.shared.remote.host()
    }

    /// Whether the server is this machine (a loopback address).
    pub fn stays_here(&self) -> bool {
        remote::is_loopback(&self.shared.url)
    }

    /// Whether the server is reached and takes the key. Blocks, 10 s at most.
    pub fn check(&self) -> Result<(), ModelError> {
        let limit = Duration::from_secs(10);
        let limits =
            Limits { each: limit, all: limit, tries: 1, again_after_500: false, answer_bytes: 4 * ANSWER_BYTES };
        match self.shared.remote.get(&self.models, limits) {
            // Many have no list of models; they were reached.
            Ok(_) | Err(RemoteError::Refused { status: 404 | 405 | 501, .. }) => Ok(()),
            Err(error) => Err(ModelError::Backend { name: self.name.clone(), what: error.to_string() }),
        }
    }
}

impl Backend for HttpBackend {
    fn name(&self) -> &str {
        &self.name
    }

    fn worker(&self) -> Result<Box<dyn Worker>, ModelError> {
        Ok(Box::new(HttpWorker { shared: Arc::clone(&self.shared) }))
    }

    fn can_caption(&self) -> bool {
        self.captions
    }
}

struct HttpWorker {
    shared: Arc<Shared>,
}

impl Worker for HttpWorker {
    fn decode(&mut self, task: &Task<'_>) -> Result<Decoded, BackendError> {
        let shared = &self.shared;
        if task.samples.len() > LONGEST_SECONDS * SAMPLE_RATE as usize {
            return Err(BackendError::Refused { what: format!("an utterance is longer than {LONGEST_SECONDS} s") });
        }
        let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
        let body = shared.dialect.ask(shared.limits, |at, limits| {
            shared.remote.post(&shared.url, &content_type, form(task, &shared.model, FORMATS[at]), limits)
        });
        read(&body.map_err(|error| sorted(&error))?, task.language)
    }
}

/// Whether it is of use to ask again, for the scheduler.
fn sorted(error: &RemoteError) -> BackendError {
    let what = error.to_string();
    match error {
        RemoteError::Unreachable { .. } | RemoteError::TimedOut { .. } => {
            BackendError::Unavailable { what, retry_after: None }
        }
        RemoteError::Refused { status: 408 | 425 | 429 | 503, retry_after, .. } => {
            BackendError::Unavailable { what, retry_after: *retry_after }
        }
        RemoteError::Refused { status: 500.., .. } | RemoteError::Broken { .. } => BackendError::Failed { what },
        RemoteError::Refused { .. }
        | RemoteError::Unauthorised { .. }
        | RemoteError::TooLong { .. }
        | RemoteError::BadConfig(_) => BackendError::Refused { what },
    }
}

/// The form (RFC 7578) in a buffer of our own, which is wiped; a library's would not be.
fn form(task: &Task<'_>, model: &str, format: Format) -> Zeroizing<Vec<u8>> {
    let room = 44 + task.samples.len() * 2 + task.prompt.len() + 2048;
    let mut out = Zeroizing::new(Vec::with_capacity(room));
    field(&mut out, "model", model);
    let (response, granularities): (_, &[&str]) = match format {
        Format::Words => ("verbose_json", &["word", "segment"]),
        Format::Verbose => ("verbose_json", &[]),
        Format::Text => ("json", &[]),
    };
    field(&mut out, "response_format", response);
    for granularity in granularities {
        field(&mut out, "timestamp_granularities[]", granularity);
    }
    field(&mut out, "temperature", "0");
    if let Some(language) = task.language {
        field(&mut out, "language", language);
    }
    // A prompt that comes back as words is what a second look is mostly for.
    if !task.prompt.is_empty() && task.look != Look::Careful {
        field(&mut out, "prompt", task.prompt);
    }
    out.extend_from_slice(
        format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"utterance.wav\"\r\nContent-Type: \
             audio/wav\r\n\r\n"
        )
        .as_bytes(),
    );
    wav(&mut out, task.samples);
    out.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    out
}

fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    let value: String = value.chars().filter(|c| !c.is_control()).collect();
    let part = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    out.extend_from_slice(part.as_bytes());
}

/// 16-bit mono WAV.
fn wav(out: &mut Vec<u8>, samples: &[f32]) {
    let bytes = samples.len() as u32 * 2;
    out.extend_from_slice(b"RIFF");
    out.extend_from_slice(&(36 + bytes).to_le_bytes());
    out.extend_from_slice(b"WAVEfmt ");
    out.extend_from_slice(&16u32.to_le_bytes());
    out.extend_from_slice(&1u16.to_le_bytes());
    out.extend_from_slice(&1u16.to_le_bytes());
    out.extend_from_slice(&SAMPLE_RATE.to_le_bytes());
    out.extend_from_slice(&(SAMPLE_RATE * 2).to_le_bytes());
    out.extend_from_slice(&2u16.to_le_bytes());
    out.extend_from_slice(&16u16.to_le_bytes());
    out.extend_from_slice(b"data");
    out.extend_from_slice(&bytes.to_le_bytes());
    for sample in samples {
        let sample = (sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16;
        out.extend_from_slice(&sample.to_le_bytes());
    }
}

/// What servers tell; all but the text may be missing.
#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
struct Heard {
    text: String,
    #[serde(default)]
    language: Option<String>,
    #[serde(default)]
    language_probability: Option<f32>,
    #[serde(default)]
    words: Option<Vec<HeardWord>>,
    #[serde(default)]
    segments: Option<Vec<Segment>>,
}

#[derive(Deserialize, Zeroize)]
struct HeardWord {
    word: String,
    start: f64,
    end: f64,
    #[serde(default)]
    probability: Option<f32>,
}

#[derive(Deserialize, Zeroize)]
struct Segment {
    #[serde(default)]
    avg_logprob: Option<f32>,
    #[serde(default)]
    no_speech_prob: Option<f32>,
    #[serde(default)]
    tokens: Option<Vec<i64>>,
    #[serde(default)]
    words: Option<Vec<HeardWord>>,
}

fn read(body: &[u8], asked: Option<&str>) -> Result<Decoded, BackendError> {
    // The parser's own message would quote the answer.
    let mut heard: Heard = serde_json::from_slice(body)
        .map_err(|_| BackendError::Refused { what: "its answer is no transcription".to_owned() })?;
    let segments = heard.segments.take().unwrap_or_default();
    let mut words = heard.words.take().unwrap_or_default();
    let text = Zeroizing::new(std::mem::take(&mut heard.text));

    let weight = |segment: &Segment| segment.tokens.as_ref().map_or(1, Vec::len).max(1) as f32;
    let told: Vec<(f32, f32)> = segments.iter().filter_map(|s| Some((s.avg_logprob?, weight(s)))).collect();
    let weights: f32 = told.iter().map(|(_, weight)| weight).sum();
    let mean_logprob = told.iter().map(|(logprob, weight)| logprob * weight).sum::<f32>() / weights.max(1.0);
    let no_speech = segments.iter().filter_map(|s| s.no_speech_prob).fold(0.0, f32::max);
    let tokens: usize = segments.iter().filter_map(|s| s.tokens.as_ref().map(Vec::len)).sum();
    if words.is_empty() {
        words = segments.into_iter().flat_map(|s| s.words.unwrap_or_default()).collect();
    }
    // Servers that tell no probability of words tell that of the whole.
    let likely = mean_logprob.exp().clamp(0.0, 1.0);
    let words: Vec<TimedWord> = words.into_iter().filter_map(|word| timed(word, likely)).collect();
    let language = heard.language.take().as_deref().and_then(code).or_else(|| asked.map(str::to_owned));
    let probability = heard.language_probability.unwrap_or(1.0);
    let languages = match (&language, asked) {
        (Some(language), None) => vec![(language.clone(), probability)],
        _ => Vec::new(),
    };
    let tokens = if tokens > 0 { tokens } else { text.split_whitespace().count() };
    Ok(Decoded { text, words, language, languages, confidence: likely, mean_logprob, no_speech, tokens })
}

/// `None` for a word of nothing or out of time.
fn timed(mut word: HeardWord, likely: f32) -> Option<TimedWord> {
    let text = Zeroizing::new(word.word.trim().to_owned());
    word.word.zeroize();
    let is_time = word.start.is_finite() && word.end.is_finite() && word.start >= 0.0 && word.end >= word.start;
    let ms = |seconds: f64| (seconds.min(3600.0) * 1000.0).round() as i64;
    (is_time && !text.is_empty()).then(|| TimedWord {
        text,
        start_ms: ms(word.start),
        end_ms: ms(word.end),
        probability: word.probability.unwrap_or(likely).clamp(0.0, 1.0),
    })
}

/// The two letters of a language that servers call by code (`en`) or by name (`english`).
fn code(language: &str) -> Option<String> {
    let id = whisper_rs::get_lang_id(&language.trim().to_lowercase())?;
    whisper_rs::get_lang_str(id).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(samples: &[f32]) -> Task<'_> {
        Task { samples, look: Look::Quick, language: Some("en"), prompt: "Roomtone,\r\nAda" }
    }

    #[test]
    fn the_sound_goes_out_as_a_wav_file_that_others_read() {
        let samples: Vec<f32> = (0..1600).map(|i| (i as f32 / 800.0) - 1.0).collect();
        let mut file = Vec::new();
        wav(&mut file, &samples);
        let mut reader = hound::WavReader::new(file.as_slice()).unwrap();
        assert_eq!((reader.spec().sample_rate, reader.spec().channels, reader.len()), (16_000, 1, 1600));
        let first: Vec<i16> = reader.samples().map(Result::unwrap).take(2).collect();
        assert_eq!(first, [-32_768, -32_727]);

        let form = String::from_utf8_lossy(&form(&task(&samples), "whisper-1", Format::Words)).into_owned();
        for part in [
            "name=\"model\"\r\n\r\nwhisper-1\r\n",
            "name=\"timestamp_granularities[]\"\r\n\r\nword\r\n",
            "name=\"language\"\r\n\r\nen\r\n",
            "name=\"prompt\"\r\n\r\nRoomtone,Ada\r\n",
            "filename=\"utterance.wav\"",
        ] {
            assert!(form.contains(part), "{part}");
        }
        assert!(form.ends_with(&format!("\r\n--{BOUNDARY}--\r\n")));
    }

    #[test]
    fn doubts_words_and_language_are_read_where_they_are_told() {
        let told = br#"{"task":"transcribe","language":"English","duration":2.0,"text":" We ship. ","segments":[
            {"id":0,"text":"We","tokens":[1,2,3],"avg_logprob":-0.2,"no_speech_prob":0.1},
            {"id":1,"text":"ship","tokens":[1],"avg_logprob":-1.0,"no_speech_prob":0.4}],
            "words":[{"word":"We","start":0.1,"end":0.3},{"word":" ship.","start":0.3,"end":0.9},{"word":"x","start":2,"end":1}]}"#;
        let decoded = read(told, None).unwrap();
        assert_eq!((decoded.text.as_str(), decoded.language.as_deref(), decoded.tokens), (" We ship. ", Some("en"), 4));
        assert!((decoded.mean_logprob + 0.4).abs() < 1e-6 && (decoded.no_speech - 0.4).abs() < 1e-6);
        assert_eq!(decoded.languages, [("en".to_owned(), 1.0)]);
        let words: Vec<_> = decoded.words.iter().map(|w| (w.text.as_str(), w.start_ms, w.end_ms)).collect();
        assert_eq!(words, [("We", 100, 300), ("ship.", 300, 900)]);

        let bare = read(br#"{"text":"We ship."}"#, Some("de")).unwrap();
        assert_eq!(
            (bare.language.as_deref(), bare.confidence, bare.mean_logprob, bare.tokens),
            (Some("de"), 1.0, 0.0, 2)
        );
        for bad in ["", "{}", "[]", r#"{"text":5}"#, "<html>the words</html>"] {
            let error = read(bad.as_bytes(), None).err().unwrap().to_string();
            assert!(error.contains("no transcription") && !error.contains("words"), "{error}");
        }
    }

    #[test]
    fn only_what_may_pass_is_asked_again() {
        let refused =
            |status| sorted(&RemoteError::Refused { host: "h".to_owned(), status, code: None, retry_after: None });
        assert!(matches!(refused(429), BackendError::Unavailable { .. }));
        assert!(matches!(refused(500), BackendError::Failed { .. }));
        assert!(matches!(refused(404), BackendError::Refused { .. }));
    }
}

//! Whisper on this machine, by whisper.cpp.
//!
//! The encoder costs the same for 1 s as for 30 s unless it is told to look at less, so its context is scaled to the
//! utterance ([`audio_context`]; `examples/rtf.rs` measures the effect on words and time).

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tracing::debug;
use whisper_rs::{FullParams, SamplingStrategy, WhisperContext, WhisperContextParameters, WhisperError, WhisperState};
use zeroize::Zeroizing;

use super::{Backend, BackendError, Decoded, Look, Task, TimedWord, Worker, bfloat};
use crate::speech::ModelError;

/// Encoder positions per second of sound.
const POSITIONS_PER_SECOND: usize = 50;
/// What the encoder looks at beyond the utterance's end (nearly 4 s). With 64 instead of 192, one telephone prompt in
/// thirty comes out as a loop.
const CONTEXT_MARGIN: usize = 192;
/// The same for a caption: its words come sooner, and should it come out as a loop, the next one follows in a second.
const CONTEXT_MARGIN_CAPTION: usize = 96;
/// Contexts are multiples of this, so that there are few sizes of everything.
const CONTEXT_STEP: usize = 64;
/// Whisper was trained on 30 s; on much less it repeats itself and drops words: with 256, one prompt in fifteen.
const CONTEXT_FLOOR: usize = 384;
/// All of 30 s.
const CONTEXT_WHOLE: usize = 1500;
/// The floor for the second, careful look.
const CONTEXT_CAREFUL: usize = 1024;
/// The same for a blip: a look at half a second that was doubted would else take longer than one at a whole sentence, and others
/// wait for it.
const CONTEXT_CAREFUL_BLIP: usize = 512;
/// What is shorter is a blip, in samples.
const BLIP: usize = 16_000;
/// Whisper takes 224 tokens of text before the utterance, and each costs time.
const PROMPT_TOKENS: usize = 200;

/// How many encoder positions an utterance of so many samples at 16 kHz gets, with so many behind its end.
pub fn audio_context(samples: usize, margin: usize, floor: usize) -> usize {
    let wanted = samples.div_ceil(16_000 / POSITIONS_PER_SECOND) + margin;
    wanted.max(floor).next_multiple_of(CONTEXT_STEP).min(CONTEXT_WHOLE)
}

/// The weights, shared by all workers.
pub struct Whisper {
    context: Arc<WhisperContext>,
    path: PathBuf,
    name: String,
    threads: usize,
}

/// One worker's state (about 150 MB for base.en).
pub struct Decoder {
    context: Arc<WhisperContext>,
    state: WhisperState,
    /// Parameters per language: whisper-rs leaks the language's C string each time that it is set.
    parameters: Vec<(Option<String>, FullParams<'static, 'static>)>,
    end_of_text: i32,
    multilingual: bool,
    threads: i32,
    floor: usize,
}

impl Whisper {
    /// Reads weights in ggml format.
    pub fn load(path: &Path) -> Result<Self, ModelError> {
        // The hooks swallow whisper.cpp's log (whisper-rs is built without a log backend): in debug builds it holds
        // decoded tokens.
        whisper_rs::install_logging_hooks();
        let mut head = [0; HEADER];
        let read = std::fs::File::open(path).and_then(|mut file| file.read(&mut head));
        let read = read.map_err(|source| ModelError::Unreadable { path: path.to_owned(), source })?;
        check_header(&head[..read]).map_err(|what| ModelError::BadWhisper { path: path.to_owned(), what })?;
        let mut parameters = WhisperContextParameters::default();
        // Flash attention of whisper.cpp pads keys to a multiple of 256 and looks at the padding, where there is what the
        // last utterance left: another party's. It is slower on a CPU, too.
        parameters.flash_attn(false);
        let context = context(path, parameters)?;
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let model = file.strip_prefix("ggml-").unwrap_or(&file);
        let name = format!("whisper {}", model.strip_suffix(".bin").unwrap_or(model));
        Ok(Self { context: Arc::new(context), path: path.to_owned(), name, threads: 1 })
    }

    /// Compute threads inside one decode, 1 to 64. Default 1.
    #[must_use]
    pub fn with_threads(self, threads: usize) -> Self {
        Self { threads: threads.clamp(1, 64), ..self }
    }

    /// Whether the weights know other languages than English.
    pub fn is_multilingual(&self) -> bool {
        self.context.is_multilingual()
    }

    /// A state of its own over these weights.
    pub fn decoder(&self) -> Result<Decoder, ModelError> {
        let state = self
            .context
            .create_state()
            .map_err(|error| ModelError::BadWhisper { path: self.path.clone(), what: error.to_string() })?;
        Ok(Decoder {
            context: Arc::clone(&self.context),
            state,
            parameters: Vec::new(),
            end_of_text: self.context.token_eot(),
            multilingual: self.context.is_multilingual(),
            threads: i32::try_from(self.threads).unwrap_or(1),
            floor: CONTEXT_FLOOR,
        })
    }
}

impl Backend for Whisper {
    fn name(&self) -> &str {
        &self.name
    }

    fn worker(&self) -> Result<Box<dyn Worker>, ModelError> {
        Ok(Box::new(self.decoder()?))
    }

    fn can_caption(&self) -> bool {
        true
    }
}

impl Worker for Decoder {
    fn decode(&mut self, task: &Task<'_>) -> Result<Decoded, BackendError> {
        self.run(task).map_err(|error| BackendError::Failed { what: error.to_string() })
    }

    fn languages(&mut self, samples: &[f32]) -> Result<Vec<(String, f32)>, BackendError> {
        if !self.multilingual {
            return Ok(Vec::new());
        }
        self.detect(samples).map_err(|error| BackendError::Failed { what: error.to_string() })
    }
}

/// Whether Whisper knows a language by this two-letter code.
pub fn knows_language(code: &str) -> bool {
    !code.contains('\0') && whisper_rs::get_lang_id(code).is_some()
}

/// Loads weights that begin as they should, in the number format that is fastest here.
fn context(path: &Path, parameters: WhisperContextParameters<'_>) -> Result<WhisperContext, ModelError> {
    let bad = |error: WhisperError| ModelError::BadWhisper { path: path.to_owned(), what: error.to_string() };
    if bfloat::is_native() {
        let unreadable = |source| ModelError::Unreadable { path: path.to_owned(), source };
        let mut file = std::fs::read(path).map_err(unreadable)?;
        if bfloat::rewrite(&mut file) {
            debug!(path = %path.display(), "weights are held as bfloat16");
            return WhisperContext::new_from_buffer_with_params(&file, parameters).map_err(bad);
        }
    }
    WhisperContext::new_with_params(path, parameters).map_err(bad)
}

/// Magic and eleven numbers.
const HEADER: usize = 48;

/// Whether a file starts as Whisper weights do. whisper.cpp does not return from some files that do not: it aborts the
/// process.
fn check_header(head: &[u8]) -> Result<(), String> {
    let numbers: Vec<i32> = head.chunks_exact(4).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let [
        magic,
        vocabulary,
        audio_context,
        audio_state,
        audio_heads,
        audio_layers,
        text_context,
        text_state,
        text_heads,
        text_layers,
        mels,
        ..,
    ] = numbers[..]
    else {
        return Err("it is too short".to_owned());
    };
    let is_whisper = magic == 0x6767_6d6c
        && (50_000..60_000).contains(&vocabulary)
        && audio_context == 1500
        && text_context == 448
        && [audio_state, text_state].iter().all(|n| (64..=4096).contains(n))
        && [audio_heads, text_heads, audio_layers, text_layers].iter().all(|n| (1..=128).contains(n))
        && (mels == 80 || mels == 128);
    if is_whisper { Ok(()) } else { Err("it does not start as Whisper weights in ggml format do".to_owned()) }
}

impl Decoder {
    /// Looks at no less than this many encoder positions (1500 is all of 30 s). For measuring; the default is what was
    /// found best.
    pub fn set_context_floor(&mut self, positions: usize) {
        self.floor = positions.min(CONTEXT_WHOLE);
    }

    /// Costs an encoder pass, over as much context as the last decode had.
    fn detect(&mut self, samples: &[f32]) -> Result<Vec<(String, f32)>, WhisperError> {
        let threads = usize::try_from(self.threads).unwrap_or(1);
        self.state.pcm_to_mel(samples, threads)?;
        let (_, probabilities) = self.state.lang_detect(0, threads)?;
        let code = |id: usize| whisper_rs::get_lang_str(i32::try_from(id).ok()?);
        let named = probabilities.iter().enumerate().filter(|(_, p)| **p >= 0.01);
        let mut found: Vec<(String, f32)> = named.filter_map(|(id, p)| Some((code(id)?.to_owned(), *p))).collect();
        found.sort_by(|a, b| b.1.total_cmp(&a.1));
        Ok(found)
    }

    /// What is the same for all looks at a language.
    fn parameters(&mut self, language: Option<&str>) -> FullParams<'static, 'static> {
        if let Some((_, params)) = self.parameters.iter().find(|(of, _)| of.as_deref() == language) {
            return params.clone();
        }
        let mut params = FullParams::new(SamplingStrategy::Greedy { best_of: 2 });
        let code = language.map(str::to_owned);
        params.set_n_threads(self.threads);
        params.set_language(language.and_then(whisper_rs::get_lang_id).and_then(whisper_rs::get_lang_str));
        params.set_no_context(true);
        params.set_suppress_blank(true);
        params.set_suppress_nst(true);
        params.set_temperature(0.0);
        params.set_entropy_thold(2.4);
        params.set_logprob_thold(-1.0);
        params.set_no_speech_thold(0.6);
        params.set_print_special(false);
        params.set_print_progress(false);
        params.set_print_realtime(false);
        params.set_print_timestamps(false);
        self.parameters.push((code, params.clone()));
        params
    }

    /// The prompt as tokens, as many as Whisper takes.
    fn prompt(&self, prompt: &str) -> Vec<i32> {
        if prompt.is_empty() || prompt.contains('\0') {
            return Vec::new();
        }
        let text = format!(" {prompt}");
        // No text has more tokens than bytes; whisper-rs must not be asked for fewer than there are.
        let mut tokens = self.context.tokenize(&text, text.len() + 8).unwrap_or_default();
        tokens.truncate(PROMPT_TOKENS);
        tokens
    }

    fn run(&mut self, task: &Task<'_>) -> Result<Decoded, WhisperError> {
        let Task { samples, look, .. } = *task;
        let careful = look == Look::Careful;
        let language = if self.multilingual { task.language.filter(|code| knows_language(code)) } else { Some("en") };
        let prompt = self.prompt(task.prompt);
        let mut params: FullParams<'_, '_> = self.parameters(language);
        let careful_floor = if samples.len() < BLIP { CONTEXT_CAREFUL_BLIP } else { CONTEXT_CAREFUL };
        let floor = if careful { self.floor.max(careful_floor) } else { self.floor };
        let margin = if look == Look::Caption { CONTEXT_MARGIN_CAPTION } else { CONTEXT_MARGIN };
        params.set_audio_ctx(i32::try_from(audio_context(samples.len(), margin, floor)).unwrap_or(0));
        params.set_no_timestamps(!careful);
        params.set_single_segment(!careful);
        // Guards doubt what needs it, and have it looked at again.
        params.set_temperature_inc(if careful { 0.4 } else { 0.0 });
        if !prompt.is_empty() {
            params.set_tokens(&prompt);
        }
        // Nobody says more than some 6 tokens a second for long; a loop ends here.
        let tokens = 16 + samples.len() * 8 / 16_000;
        params.set_max_tokens(i32::try_from(tokens).unwrap_or(220).min(220));
        self.state.full(params, samples)?;

        let mut text = Zeroizing::new(String::new());
        let mut words = Words::default();
        let (mut logprobs, mut probabilities, mut tokens) = (0.0, 0.0, 0usize);
        let mut no_speech = 0.0f32;
        for segment in self.state.as_iter() {
            text.push_str(&segment.to_str_lossy()?);
            no_speech = no_speech.max(segment.no_speech_probability());
            for index in 0..segment.n_tokens() {
                let Some(token) = segment.get_token(index) else { continue };
                let data = token.token_data();
                if data.id < self.end_of_text {
                    logprobs += data.plog;
                    probabilities += data.p;
                    tokens += 1;
                    words.add(token.to_bytes()?, data.p);
                }
            }
        }
        let count = tokens.max(1) as f32;
        let told = whisper_rs::get_lang_str(self.state.full_lang_id_from_state()).map(str::to_owned);
        Ok(Decoded {
            text,
            words: words.finish(),
            language: if self.multilingual { told } else { Some("en".to_owned()) },
            languages: Vec::new(),
            confidence: probabilities / count,
            mean_logprob: logprobs / count,
            no_speech,
            tokens,
        })
    }
}

/// Puts tokens together to words. A letter may be split between tokens, so they are bytes until a word is whole.
#[derive(Default)]
struct Words {
    done: Vec<TimedWord>,
    bytes: Zeroizing<Vec<u8>>,
    probabilities: f32,
    tokens: u16,
}

impl Words {
    fn add(&mut self, token: &[u8], probability: f32) {
        if token.first().is_some_and(u8::is_ascii_whitespace) {
            self.end();
        }
        self.bytes.extend_from_slice(token);
        self.probabilities += probability;
        self.tokens += 1;
    }

    fn end(&mut self) {
        let text = String::from_utf8_lossy(&self.bytes).trim().to_owned();
        if !text.is_empty() {
            self.done.push(TimedWord {
                text: Zeroizing::new(text),
                start_ms: 0,
                end_ms: 0,
                probability: self.probabilities / f32::from(self.tokens.max(1)),
            });
        }
        self.bytes.clear();
        (self.probabilities, self.tokens) = (0.0, 0);
    }

    fn finish(mut self) -> Vec<TimedWord> {
        self.end();
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoder_looks_at_what_there_is_and_some_seconds_more() {
        assert_eq!(audio_context(0, 192, 384), 384);
        assert_eq!(audio_context(16_000 * 10, 192, 384), 704);
        assert_eq!(audio_context(16_000 * 10, 96, 384), 640);
        assert_eq!(audio_context(16_000 * 60, 192, 384), 1500);
    }

    #[test]
    fn tokens_become_words_and_split_letters_whole_again() {
        let mut words = Words::default();
        for (token, probability) in
            [(&b" Gr"[..], 0.5), (b"\xc3", 1.0), (b"\xbc\xc3\x9fe", 0.9), (b",", 0.8), (b" you", 0.4)]
        {
            words.add(token, probability);
        }
        let words = words.finish();
        assert_eq!(words.iter().map(|w| w.text.as_str()).collect::<Vec<_>>(), ["Gr\u{fc}\u{df}e,", "you"]);
        assert!((words[0].probability - 0.8).abs() < 1e-6);
    }
}

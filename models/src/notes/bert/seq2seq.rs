//! BART and T5: a text in, a text out, by beam search.

use std::io::Write as _;
use std::path::PathBuf;

use rust_bert::Config;
use rust_bert::RustBertError;
use rust_bert::bart::{BartConfig, BartGenerator};
use rust_bert::pipelines::common::{ModelResource, ModelType, TokenizerOption};
use rust_bert::pipelines::generation_utils::{GenerateConfig, GenerateOptions, LanguageGenerator};
use rust_bert::t5::{T5Config, T5Generator};
use serde_json::Value;
use tch::{Device, Kind};

use super::checkpoint::{Architecture, Checkpoint, Generation};
use super::unigram;

/// Tokens that stand around each text (`<s>`, `</s>`), with room for the prefix's own.
const AROUND: usize = 4;
/// T5 knows only relative places and takes any length, but was trained on this many tokens.
const T5_LENGTH: i64 = 512;
/// A longer window costs more than it gives on a small machine, whatever a checkpoint allows.
const LONGEST: i64 = 1024;

/// A loaded checkpoint that writes. Lives on the engine's thread.
pub(super) struct Seq2Seq {
    generator: Generator,
    prefix: String,
    generation: Generation,
    budget: usize,
}

enum Generator {
    Bart(Box<BartGenerator>),
    T5(Box<T5Generator>),
}

impl Seq2Seq {
    /// Loads weights and tokenizer: seconds for a large checkpoint. The error names the file.
    pub(super) fn load(checkpoint: &Checkpoint) -> Result<Self, String> {
        let (generator, length) = match checkpoint.architecture {
            Architecture::Bart => load_bart(checkpoint)?,
            Architecture::T5 => load_t5(checkpoint)?,
            Architecture::Bert => return Err(format!("{}: a BERT writes nothing", checkpoint.folder.display())),
        };
        let mut seq2seq = Self {
            generator,
            prefix: checkpoint.prefix.clone(),
            generation: checkpoint.generation,
            budget: usize::try_from(length).unwrap_or(0),
        };
        let taken = AROUND + seq2seq.count(&checkpoint.prefix);
        seq2seq.budget = seq2seq.budget.saturating_sub(taken).max(8);
        Ok(seq2seq)
    }

    /// How many tokens of a text it reads at once.
    pub(super) fn budget(&self) -> usize {
        self.budget
    }

    /// Tokens of a text, with one for the line's end.
    pub(super) fn count(&self, text: &str) -> usize {
        self.tokenizer().tokenize(text).len() + 1
    }

    /// What it writes on `source`. `most`: bound on the written tokens beside the checkpoint's own. Takes up to a minute for
    /// a large checkpoint and a full window.
    pub(super) fn write(&self, source: &str, most: i64) -> Result<String, String> {
        Ok(self.hypotheses(source, most, 1)?.into_iter().next().unwrap_or_default())
    }

    /// The best `count` of what the beam search found, best first; no dearer than one.
    pub(super) fn hypotheses(&self, source: &str, most: i64, count: i64) -> Result<Vec<String>, String> {
        let source = format!("{}{source}", self.prefix);
        let read = i64::try_from(self.count(&source)).unwrap_or(i64::MAX);
        let max_length = self.generation.max_length.min(most).max(4);
        // A checkpoint that insists on sixty words has to invent them when twenty were said.
        let min_length = self.generation.min_length.min(read / 3).min(max_length / 2);
        let options = GenerateOptions {
            min_length: Some(min_length),
            max_length: Some(max_length),
            num_beams: Some(self.generation.beams),
            num_return_sequences: Some(count.clamp(1, self.generation.beams)),
            early_stopping: Some(true),
            do_sample: Some(false),
            length_penalty: Some(self.generation.length_penalty),
            no_repeat_ngram_size: Some(self.generation.no_repeat),
            repetition_penalty: Some(self.generation.repetition_penalty),
            ..GenerateOptions::default()
        };
        let source = [source.as_str()];
        let written = match &self.generator {
            Generator::Bart(generator) => generator.generate(Some(&source), Some(options)),
            Generator::T5(generator) => generator.generate(Some(&source), Some(options)),
        };
        let written = written.map_err(|e| kind(&e).to_owned())?;
        Ok(written.into_iter().map(|w| w.text.trim().to_owned()).collect())
    }

    /// The most that [`Seq2Seq::write`] writes, each token counted once per hypothesis.
    pub(super) fn most_written(&self) -> usize {
        usize::try_from(self.generation.max_length * self.generation.beams).unwrap_or(usize::MAX)
    }

    /// The tokens of what was written, counted so.
    pub(super) fn written(&self, text: &str) -> usize {
        self.count(text) * usize::try_from(self.generation.beams).unwrap_or(1)
    }

    fn tokenizer(&self) -> &TokenizerOption {
        match &self.generator {
            Generator::Bart(generator) => generator.get_tokenizer(),
            Generator::T5(generator) => generator.get_tokenizer(),
        }
    }
}

fn load_bart(checkpoint: &Checkpoint) -> Result<(Generator, i64), String> {
    let config: BartConfig = parse(checkpoint, &checkpoint.config)?;
    if config.decoder_start_token_id.is_none() {
        return Err(format!("{}/config.json lacks `decoder_start_token_id`", checkpoint.folder.display()));
    }
    let (vocab, merges) = (checkpoint.file("vocab.json")?, checkpoint.file("merges.txt")?);
    let told = |e: &RustBertError| format!("{}: {e}", checkpoint.folder.display());
    let (vocab_path, merges_path) = (vocab.to_string_lossy(), merges.to_string_lossy());
    let tokenizer = TokenizerOption::from_file(ModelType::Bart, &vocab_path, Some(&merges_path), false, None, false);
    let tokenizer = tokenizer.map_err(|e| told(&e))?;
    let generate =
        generate_config(checkpoint, ModelType::Bart, checkpoint.folder.join("config.json"), vocab, Some(merges));
    let generator = BartGenerator::new_with_tokenizer(generate, tokenizer).map_err(|e| told(&e))?;
    Ok((Generator::Bart(Box::new(generator)), config.max_position_embeddings.min(LONGEST)))
}

fn load_t5(checkpoint: &Checkpoint) -> Result<(Generator, i64), String> {
    let mut config = checkpoint.config.clone();
    if let Value::Object(entries) = &mut config {
        // rust-bert wants all tasks of the first T5 or none, and never looks at them.
        entries.remove("task_specific_params");
        entries.entry("decoder_start_token_id").or_insert(0.into());
    }
    parse::<T5Config>(checkpoint, &config)?;
    let tokenizer = TokenizerOption::T5(unigram::t5_tokenizer(&checkpoint.folder)?);
    let told = |e: &dyn std::fmt::Display| format!("{}: {e}", checkpoint.folder.display());
    let mut file = tempfile::NamedTempFile::new().map_err(|e| told(&e))?;
    file.write_all(config.to_string().as_bytes()).map_err(|e| told(&e))?;
    let generate = generate_config(checkpoint, ModelType::T5, file.path().to_owned(), PathBuf::new(), None);
    let generator = T5Generator::new_with_tokenizer(generate, tokenizer).map_err(|e| told(&e))?;
    Ok((Generator::T5(Box::new(generator)), T5_LENGTH))
}

/// rust-bert panics at a configuration that lacks something; here it is an error that names the file.
fn parse<C: Config>(checkpoint: &Checkpoint, config: &Value) -> Result<C, String> {
    C::deserialize(config).map_err(|e| format!("{}/config.json: {e}", checkpoint.folder.display()))
}

fn generate_config(
    checkpoint: &Checkpoint,
    model_type: ModelType,
    config: PathBuf,
    vocab: PathBuf,
    merges: Option<PathBuf>,
) -> GenerateConfig {
    GenerateConfig {
        model_type,
        model_resource: ModelResource::Torch(checkpoint.weights.clone().into()),
        config_resource: config.into(),
        vocab_resource: vocab.into(),
        merges_resource: merges.map(Into::into),
        min_length: 0,
        max_length: Some(checkpoint.generation.max_length),
        do_sample: false,
        early_stopping: true,
        num_beams: checkpoint.generation.beams,
        temperature: 1.0,
        top_k: 0,
        top_p: 1.0,
        repetition_penalty: checkpoint.generation.repetition_penalty,
        length_penalty: checkpoint.generation.length_penalty,
        no_repeat_ngram_size: checkpoint.generation.no_repeat,
        num_return_sequences: 1,
        num_beam_groups: None,
        diversity_penalty: None,
        device: Device::Cpu,
        // Half precision is read as single: processors compute slowly with halves.
        kind: Some(Kind::Float),
    }
}

/// What went wrong without what was worked on: messages of libtorch may hold anything.
fn kind(error: &RustBertError) -> &'static str {
    match error {
        RustBertError::TchError(_) => "libtorch refused the computation",
        RustBertError::TokenizerError(_) => "the tokenizer failed",
        _ => "generation failed",
    }
}

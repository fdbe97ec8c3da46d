//! A folder with a checkpoint as model hubs give it: what it is, whether it is whole, how it wants to be used.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// Weights by the names under which they are published, in order of preference.
const WEIGHTS: [&str; 3] = ["model.safetensors", "rust_model.ot", "pytorch_model.bin"];

/// The architectures that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Architecture {
    Bart,
    T5,
    Bert,
}

impl Architecture {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bart => "bart",
            Self::T5 => "t5",
            Self::Bert => "bert",
        }
    }
}

/// How a checkpoint wants to generate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Generation {
    /// Hypotheses of the beam search.
    pub(super) beams: i64,
    /// Most tokens that are written.
    pub(super) max_length: i64,
    /// Fewest tokens that are written.
    pub(super) min_length: i64,
    /// Exponent of the length by which a hypothesis' score is divided: above 1 favours long ones.
    pub(super) length_penalty: f64,
    /// No run of so many tokens is written twice. 0: any may be.
    pub(super) no_repeat: i64,
    /// By so much less likely is a token that was written already. 1: not at all.
    pub(super) repetition_penalty: f64,
}

/// A checkpoint whose small files were read.
#[derive(Debug, Clone)]
pub(super) struct Checkpoint {
    pub(super) folder: PathBuf,
    pub(super) architecture: Architecture,
    pub(super) weights: PathBuf,
    /// `config.json`, parsed.
    pub(super) config: Value,
    /// What is to stand before each text (`summarize: `), as its training had it.
    pub(super) prefix: String,
    pub(super) generation: Generation,
}

impl Checkpoint {
    /// Reads the folder; the error names the file, and says what is wrong with it.
    pub(super) fn open(folder: &Path, wanted: &[Architecture]) -> Result<Self, String> {
        let path = folder.join("config.json");
        let config = read_json(&path)?;
        let told = config["model_type"].as_str().unwrap_or("nothing");
        let architecture = wanted.iter().copied().find(|a| a.name() == told).ok_or_else(|| {
            let names: Vec<_> = wanted.iter().map(|a| a.name()).collect();
            format!("{}: `model_type` is {told}, and has to be {}", path.display(), names.join(" or "))
        })?;
        let weights = WEIGHTS.iter().map(|name| folder.join(name)).find(|p| p.is_file());
        let weights =
            weights.ok_or_else(|| format!("{} holds no weights ({})", folder.display(), WEIGHTS.join(", ")))?;
        let checkpoint = Self {
            folder: folder.to_owned(),
            architecture,
            weights,
            prefix: prefix(&config),
            generation: Generation::of(&config, &read_optional(&folder.join("generation_config.json"))?),
            config,
        };
        match architecture {
            Architecture::Bart => {
                checkpoint.file("vocab.json")?;
                checkpoint.file("merges.txt")?;
            }
            Architecture::Bert => {
                checkpoint.file("vocab.txt")?;
            }
            Architecture::T5 => {
                checkpoint.file("spiece.model").or_else(|_| checkpoint.file("tokenizer.json"))?;
            }
        }
        Ok(checkpoint)
    }

    /// A file of the folder that has to be there.
    pub(super) fn file(&self, name: &str) -> Result<PathBuf, String> {
        let path = self.folder.join(name);
        if path.is_file() { Ok(path) } else { Err(format!("{} is not there", path.display())) }
    }

    /// Whether words are to be made lower case before BERT reads them. `tokenizer_config.json` says so; cased without.
    pub(super) fn is_lower_case(&self) -> Result<bool, String> {
        let tokenizer = read_optional(&self.folder.join("tokenizer_config.json"))?;
        Ok(tokenizer["do_lower_case"].as_bool().unwrap_or(false))
    }
}

/// Top-level `prefix`, as the transformers library has it, else that of T5's task of summarising.
fn prefix(config: &Value) -> String {
    let task = &config["task_specific_params"]["summarization"]["prefix"];
    config["prefix"].as_str().or_else(|| task.as_str()).unwrap_or_default().to_owned()
}

impl Generation {
    /// The checkpoint's own wishes in bounds that a call on a small machine can bear.
    fn of(config: &Value, generation: &Value) -> Self {
        let task = &config["task_specific_params"]["summarization"];
        let wish =
            |name: &str| [generation, task, config].into_iter().map(|v| &v[name]).find(|v| v.is_number()).cloned();
        let whole = |name: &str, default: i64| wish(name).and_then(|v| v.as_i64()).unwrap_or(default);
        Self {
            beams: whole("num_beams", 4).clamp(1, 8),
            max_length: whole("max_length", 142).clamp(8, 256),
            min_length: whole("min_length", 0).clamp(0, 64),
            length_penalty: wish("length_penalty").and_then(|v| v.as_f64()).filter(|p| *p > 0.0).unwrap_or(1.0),
            no_repeat: whole("no_repeat_ngram_size", 3).clamp(0, 10),
            repetition_penalty: wish("repetition_penalty").and_then(|v| v.as_f64()).unwrap_or(1.0).clamp(1.0, 2.0),
        }
    }
}

fn read_json(path: &Path) -> Result<Value, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    serde_json::from_str(&text).map_err(|e| format!("{} is no JSON: {e}", path.display()))
}

/// [`Value::Null`] where there is no such file.
fn read_optional(path: &Path) -> Result<Value, String> {
    if path.is_file() { read_json(path) } else { Ok(Value::Null) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::Source;

    const ANY: &[Architecture] = &[Architecture::Bart, Architecture::T5];

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn what_is_missing_or_wrong_is_named_with_its_file() {
        let why = |files: &[(&str, &str)]| Checkpoint::open(folder(files).path(), ANY).unwrap_err();
        assert!(why(&[]).contains("config.json"));
        assert!(why(&[("config.json", "{")]).contains("is no JSON"));
        let error = why(&[("config.json", r#"{"model_type": "gpt2"}"#)]);
        assert!(error.contains("gpt2") && error.contains("bart or t5"), "{error}");
        let bart = ("config.json", r#"{"model_type": "bart"}"#);
        assert!(why(&[bart]).contains("model.safetensors"));
        let weights = ("rust_model.ot", "");
        assert!(why(&[bart, weights, ("vocab.json", "{}")]).contains("merges.txt is not there"));
        let t5 = ("config.json", r#"{"model_type": "t5"}"#);
        assert!(why(&[t5, weights]).contains("tokenizer.json is not there"));
    }

    #[test]
    fn the_title_model_of_the_manifest_is_asked_as_it_was_trained() {
        let weights = crate::weights::named(crate::weights::TITLES).unwrap();
        let file = weights.files.iter().find(|file| file.path.ends_with("config.json")).unwrap();
        let Some(Source::Text { text }) = file.sources.first() else { panic!("{:?}", file.sources) };
        let folder = folder(&[("config.json", text), ("spiece.model", ""), ("model.safetensors", "")]);
        let checkpoint = Checkpoint::open(folder.path(), &[Architecture::T5]).unwrap();
        assert_eq!(checkpoint.prefix, "summarize agent step: ");
        let Generation { beams, no_repeat, length_penalty, repetition_penalty, .. } = checkpoint.generation;
        assert_eq!((beams, no_repeat, length_penalty, repetition_penalty), (5, 2, 0.8, 1.3));
    }

    #[test]
    fn a_checkpoints_wishes_are_taken_from_where_they_stand_and_bounded() {
        let folder = folder(&[
            (
                "config.json",
                r#"{"model_type": "t5", "num_beams": 9000, "task_specific_params":
                    {"summarization": {"prefix": "summarize: ", "max_length": 200, "length_penalty": 2.0}}}"#,
            ),
            ("generation_config.json", r#"{"no_repeat_ngram_size": 2, "max_length": 20}"#),
            ("spiece.model", ""),
            ("model.safetensors", ""),
            ("pytorch_model.bin", ""),
        ]);
        let checkpoint = Checkpoint::open(folder.path(), ANY).unwrap();
        assert_eq!(checkpoint.prefix, "summarize: ");
        assert_eq!(
            checkpoint.generation,
            Generation {
                beams: 8,
                max_length: 20,
                min_length: 0,
                length_penalty: 2.0,
                no_repeat: 2,
                repetition_penalty: 1.0
            }
        );
        assert!(checkpoint.weights.ends_with("model.safetensors"));
    }
}

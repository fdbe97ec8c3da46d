//! Weights that packages carry in another format, made into the one that is used here.
//!
//! Each converter reads a format, finds its tensors under the names that the result needs, and writes them in a fixed
//! order, so that the same input always gives the same bytes: the manifest's checksum is that of the result. Input comes
//! from the network and is not trusted: whatever is wrong with it is an error.

mod ct2;
mod ggml;
mod onnx;
mod pickle;
mod safetensors;
mod sentencepiece;
mod t5_onnx;
mod tensor;
mod torch;
mod whisper_onnx;

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// How files are made into another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conversion {
    /// A Whisper model of CTranslate2 (`model.bin`, 16 bit) to ggml.
    Ct2ToGgml,
    /// A Whisper checkpoint of PyTorch (`.pt`) to ggml.
    TorchToGgml,
    /// A Whisper model in 8 bit ONNX (encoder, merged decoder) to ggml.
    WhisperOnnxToGgml,
    /// A T5 model in 8 bit ONNX (encoder, decoder) to safetensors under the hub's parameter names.
    T5OnnxToSafetensors,
    /// A unigram `tokenizer.json` to SentencePiece's own format.
    TokenizerToSentencepiece,
}

/// Why a file cannot be converted.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConvertError {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("not a readable {format}: {what}")]
    Malformed { format: &'static str, what: String },
    #[error("it has no {0}")]
    Missing(String),
    #[error("{name} has the shape {found:?}, which does not fit {expected}")]
    Shape { name: String, found: Vec<usize>, expected: String },
}

impl ConvertError {
    fn malformed(format: &'static str) -> impl Fn(String) -> Self {
        move |what| Self::Malformed { format, what }
    }
}

/// Makes the file `to` of the files `from`. `vocabulary`: the ggml file whose filters and vocabulary a Whisper model gets.
pub(super) fn convert(
    how: Conversion,
    from: &[PathBuf],
    vocabulary: Option<&Path>,
    to: &Path,
) -> Result<(), ConvertError> {
    let input = |number: usize| from.get(number).ok_or_else(|| ConvertError::Missing(format!("input {}", number + 1)));
    let vocabulary = || {
        let path = vocabulary.ok_or_else(|| ConvertError::Missing("vocabulary".to_owned()))?;
        ggml::Vocabulary::read(path)
    };
    match how {
        Conversion::Ct2ToGgml => ggml::write(&mut ct2::Model::read(input(0)?)?, &vocabulary()?, to),
        Conversion::TorchToGgml => ggml::write(&mut torch::Checkpoint::read(input(0)?)?, &vocabulary()?, to),
        Conversion::WhisperOnnxToGgml => {
            let mut model = whisper_onnx::Model::read(input(0)?, input(1)?)?;
            ggml::write(&mut model, &vocabulary()?, to)
        }
        Conversion::T5OnnxToSafetensors => safetensors::write(&t5_onnx::Model::read(input(0)?, input(1)?)?, to),
        Conversion::TokenizerToSentencepiece => sentencepiece::convert(input(0)?, to),
    }
}

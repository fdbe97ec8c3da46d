//! Named entities by BERT.

use rust_bert::bert::BertConfig;
use rust_bert::pipelines::common::{ModelResource, ModelType};
use rust_bert::pipelines::token_classification::{
    LabelAggregationOption, Token, TokenClassificationConfig, TokenClassificationModel,
};
use rust_bert::resources::LocalResource;
use serde::Deserialize as _;
use tch::{Device, Kind};

use super::checkpoint::Checkpoint;
use crate::notes::NameKind;

/// Names of which the model is less sure are left out.
const SURE: f64 = 0.6;
/// Sentences read at once: memory grows with them.
const AT_ONCE: usize = 8;
/// More than so many sentences can ever become, cut to the model's length: rust-bert 0.23 mixes up the batches behind the
/// first.
const BATCH: usize = 4096;

/// A loaded checkpoint that marks names. Lives on the engine's thread.
pub(super) struct Entities {
    model: TokenClassificationModel,
}

/// A name in a sentence.
#[derive(Clone, PartialEq, Eq, zeroize::Zeroize, zeroize::ZeroizeOnDrop)]
pub(super) struct Marked {
    /// Which sentence, by its place in what was handed in.
    pub(super) sentence: usize,
    #[zeroize(skip)]
    pub(super) kind: NameKind,
    /// As it stands there.
    pub(super) text: String,
}

impl Entities {
    /// Loads weights and vocabulary: seconds for a large checkpoint. The error names the file.
    pub(super) fn load(checkpoint: &Checkpoint) -> Result<Self, String> {
        let path = checkpoint.folder.join("config.json");
        let config = BertConfig::deserialize(&checkpoint.config).map_err(|e| format!("{}: {e}", path.display()))?;
        let labels = config.id2label.unwrap_or_default();
        if !labels.values().any(|label| kind(label).is_some()) {
            return Err(format!("{}: `id2label` has no label for persons or organisations", path.display()));
        }
        let resource = |path| LocalResource { local_path: path };
        let mut config = TokenClassificationConfig::new(
            ModelType::Bert,
            ModelResource::Torch(Box::new(resource(checkpoint.weights.clone()))),
            resource(path),
            resource(checkpoint.file("vocab.txt")?),
            None,
            checkpoint.is_lower_case()?,
            None,
            None,
            LabelAggregationOption::First,
        );
        config.device = Device::Cpu;
        config.kind = Some(Kind::Float);
        config.batch_size = BATCH;
        let model =
            TokenClassificationModel::new(config).map_err(|e| format!("{}: {e}", checkpoint.folder.display()))?;
        Ok(Self { model })
    }

    /// All names in the sentences, in order.
    pub(super) fn mark(&self, sentences: &[&str]) -> Vec<Marked> {
        let mut out = Vec::new();
        for (chunk, some) in sentences.chunks(AT_ONCE).enumerate() {
            // Its own way to put pieces together multiplies their scores, and so loses long names.
            for (at, tokens) in self.model.predict(some, false, false).iter().enumerate() {
                let sentence = chunk * AT_ONCE + at;
                for Span { from, to, kind, score } in spans(tokens) {
                    let text: String = some[at].chars().skip(from).take(to.saturating_sub(from)).collect();
                    if score >= SURE && text.chars().filter(|c| c.is_alphabetic()).count() > 1 {
                        out.push(Marked { sentence, kind, text });
                    }
                }
            }
        }
        out
    }
}

/// A name by its characters in the sentence.
struct Span {
    from: usize,
    to: usize,
    kind: NameKind,
    /// Of its least sure word.
    score: f64,
}

/// Names from the labels of pieces: a word has the label of its first piece, words in a row with one label are a name until
/// another begins (`B-`).
fn spans(tokens: &[Token]) -> Vec<Span> {
    let mut out: Vec<Span> = Vec::new();
    let mut is_open = false;
    let mut word = None;
    for token in tokens {
        let Some(offset) = &token.offset else { continue };
        let (from, to) = (offset.begin as usize, offset.end as usize);
        if word == Some(token.word_index) {
            if let Some(last) = out.last_mut().filter(|_| is_open) {
                last.to = to;
            }
            continue;
        }
        word = Some(token.word_index);
        let Some(kind) = kind(&token.label) else {
            is_open = false;
            continue;
        };
        match out.last_mut().filter(|last| is_open && last.kind == kind && !token.label.starts_with("B-")) {
            Some(last) => {
                last.to = to;
                last.score = last.score.min(token.score);
            }
            None => out.push(Span { from, to, kind, score: token.score }),
        }
        is_open = true;
    }
    out
}

/// What a label of CoNLL-2003, OntoNotes or the like stands for; places and dates are no concern of the notes.
fn kind(label: &str) -> Option<NameKind> {
    let plain = label.split_once('-').map_or(label, |(_, plain)| plain);
    match plain.to_ascii_uppercase().as_str() {
        "PER" | "PERSON" => Some(NameKind::Person),
        "ORG" | "ORGANIZATION" | "ORGANISATION" => Some(NameKind::Organisation),
        "MISC" | "PRODUCT" => Some(NameKind::Product),
        _ => None,
    }
}

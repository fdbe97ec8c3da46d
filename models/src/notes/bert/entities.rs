//! Named entities by BERT.

use rust_bert::bert::BertConfig;
use rust_bert::pipelines::common::{ModelResource, ModelType};
use rust_bert::pipelines::ner::NERModel;
use rust_bert::pipelines::token_classification::{LabelAggregationOption, TokenClassificationConfig};
use rust_bert::resources::LocalResource;
use serde::Deserialize as _;
use tch::{Device, Kind};

use super::checkpoint::Checkpoint;
use crate::notes::NameKind;

/// Names of which the model is less sure are left out.
const SURE: f64 = 0.75;
/// Sentences read at once: memory grows with them.
const BATCH: usize = 8;

/// A loaded checkpoint that marks names. Lives on the engine's thread.
pub(super) struct Entities {
    model: NERModel,
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
        let model = NERModel::new(config).map_err(|e| format!("{}: {e}", checkpoint.folder.display()))?;
        Ok(Self { model })
    }

    /// All names in the sentences, in order.
    pub(super) fn mark(&self, sentences: &[&str]) -> Vec<Marked> {
        let mut out = Vec::new();
        for (sentence, entities) in self.model.predict_full_entities(sentences).into_iter().enumerate() {
            for entity in entities.into_iter().filter(|e| e.score >= SURE) {
                let (from, to) = (entity.offset.begin as usize, entity.offset.end as usize);
                let text: String = sentences[sentence].chars().skip(from).take(to.saturating_sub(from)).collect();
                if let Some(kind) =
                    kind(&entity.label).filter(|_| text.chars().filter(|c| c.is_alphabetic()).count() > 1)
                {
                    out.push(Marked { sentence, kind, text });
                }
            }
        }
        out
    }
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

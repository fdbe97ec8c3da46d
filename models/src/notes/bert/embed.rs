//! Sentence vectors by MiniLM: BERT, the mean of its last states, length 1.

use std::fmt;
use std::path::Path;

use rust_bert::bert::{BertConfig, BertEmbeddings, BertModel};
use rust_bert::pipelines::common::{ModelType, TokenizerOption};
use rust_tokenizers::tokenizer::TruncationStrategy;
use serde::Deserialize as _;
use tch::{Device, Kind, Tensor, nn};
use zeroize::Zeroizing;

use super::checkpoint::{Architecture, Checkpoint};
use super::engine::{Engine, Fault};
use crate::notes::{Embed, WriteError};

/// What `Written by` and errors call it.
const NAME: &str = "minilm";
/// Tokens of a sentence that count: the length on which MiniLM was trained.
const LENGTH: usize = 256;
/// Sentences computed at once.
const BATCH: usize = 16;

/// Makes sentence vectors with a BERT of the sentence-transformers family (all-MiniLM-L6-v2). Loaded at first use, on a
/// thread of its own.
pub struct MiniLm {
    engine: Engine<Loaded>,
}

impl fmt::Debug for MiniLm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MiniLm")
    }
}

struct Loaded {
    model: BertModel<BertEmbeddings>,
    tokenizer: TokenizerOption,
    /// Holds the tensors of `model`.
    _weights: nn::VarStore,
}

impl MiniLm {
    /// Reads the folder's small files (`config.json`, `vocab.txt`, weights beside them); the weights are loaded at first use.
    /// `threads` and `niceness` as in [`BertConfig`](super::BertConfig).
    ///
    /// # Errors
    /// [`WriteError::Unavailable`]: a file is missing or wrong; it is named.
    pub fn load(folder: &Path, threads: usize, niceness: i32) -> Result<Self, WriteError> {
        let unavailable = |what| WriteError::Unavailable { writer: NAME.to_owned(), what };
        let checkpoint = Checkpoint::open(folder, &[Architecture::Bert]).map_err(unavailable)?;
        let what = checkpoint.folder.display().to_string();
        let engine = Engine::start(threads, niceness, what, move || Loaded::load(&checkpoint)).map_err(unavailable)?;
        Ok(Self { engine })
    }
}

impl Embed for MiniLm {
    fn name(&self) -> &str {
        NAME
    }

    fn embed(&self, sentences: &[&str]) -> Result<Vec<Vec<f32>>, WriteError> {
        let sentences: Vec<Zeroizing<String>> = sentences.iter().map(|s| Zeroizing::new((*s).to_owned())).collect();
        self.engine.run(move |loaded| loaded.embed(&sentences)).map_err(|fault| match fault {
            Fault::NotLoaded(what) => WriteError::Unavailable { writer: NAME.to_owned(), what },
            Fault::Failed(what) => WriteError::Failed { writer: NAME.to_owned(), what },
        })
    }
}

impl Loaded {
    fn load(checkpoint: &Checkpoint) -> Result<Self, String> {
        let folder = checkpoint.folder.display();
        let config = BertConfig::deserialize(&checkpoint.config).map_err(|e| format!("{folder}/config.json: {e}"))?;
        let vocab = checkpoint.file("vocab.txt")?;
        let lower_case = checkpoint.is_lower_case()?;
        let tokenizer =
            TokenizerOption::from_file(ModelType::Bert, &vocab.to_string_lossy(), None, lower_case, None, None)
                .map_err(|e| format!("{}: {e}", vocab.display()))?;
        let mut weights = nn::VarStore::new(Device::Cpu);
        let model = BertModel::new(weights.root(), &config);
        weights.load(&checkpoint.weights).map_err(|e| format!("{}: {e}", checkpoint.weights.display()))?;
        weights.set_kind(Kind::Float);
        weights.freeze();
        Ok(Self { model, tokenizer, _weights: weights })
    }

    fn embed(&self, sentences: &[Zeroizing<String>]) -> Result<Vec<Vec<f32>>, String> {
        let mut out = Vec::with_capacity(sentences.len());
        for batch in sentences.chunks(BATCH) {
            let texts: Vec<&str> = batch.iter().map(|s| s.as_str()).collect();
            let vectors = tch::no_grad(|| self.batch(&texts))?;
            out.extend(Vec::<Vec<f32>>::try_from(&vectors).map_err(|_| "libtorch gave no vectors".to_owned())?);
        }
        Ok(out)
    }

    fn batch(&self, sentences: &[&str]) -> Result<Tensor, String> {
        let encoded = self.tokenizer.encode_list(sentences, LENGTH, &TruncationStrategy::LongestFirst, 0);
        let longest = encoded.iter().map(|e| e.token_ids.len()).max().unwrap_or(0);
        let (mut ids, mut mask) = (Vec::new(), Vec::new());
        for tokens in &encoded {
            let rest = longest - tokens.token_ids.len();
            ids.extend(tokens.token_ids.iter().copied().chain(std::iter::repeat_n(0, rest)));
            mask.extend(std::iter::repeat_n(1_i64, tokens.token_ids.len()).chain(std::iter::repeat_n(0, rest)));
        }
        let shape = [encoded.len() as i64, longest as i64];
        let (ids, mask) = (Tensor::from_slice(&ids).view(shape), Tensor::from_slice(&mask).view(shape));
        let states = self.model.forward_t(Some(&ids), Some(&mask), None, None, None, None, None, false);
        let states = states.map_err(|_| "libtorch refused the computation".to_owned())?.hidden_state;
        let mask = mask.unsqueeze(-1).to_kind(Kind::Float);
        let sums = (states * &mask).sum_dim_intlist([1_i64].as_slice(), false, Kind::Float);
        let counts = mask.sum_dim_intlist([1_i64].as_slice(), false, Kind::Float).clamp_min(1e-9);
        let means = sums / counts;
        let lengths = means.norm_scalaropt_dim(2.0, [1_i64].as_slice(), true).clamp_min(1e-12);
        Ok(means / lengths)
    }
}

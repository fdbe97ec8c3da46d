//! Small checkpoints for the tests: a BART that has really learned to copy, and a BERT that has really learned to mark
//! names, each in a folder as model hubs give it. Real weights of that size are nowhere to be had.
//!
//! Training takes some tens of seconds of one processor. What came of it is kept in cargo's target folder, under the hash of
//! this file, for the next run.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rust_bert::bart::{BartConfig, BartForConditionalGeneration};
use rust_bert::bert::{BertConfig, BertForTokenClassification};
use rust_bert::pipelines::common::{ModelType, TokenizerOption};
use rust_tokenizers::tokenizer::TruncationStrategy;
use sha2::{Digest, Sha256};
use tch::nn::OptimizerConfig as _;
use tch::{Device, Kind, Tensor, nn};

/// Who speaks in what the checkpoints learn from.
pub(super) const SPEAKERS: [&str; 4] = ["Ada", "Bob", "Carol", "Dave"];
/// What they say: any of these in any order.
pub(super) const WORDS: [&str; 40] = [
    "ship", "release", "budget", "contract", "invoice", "printer", "station", "customer", "design", "server", "update",
    "deliver", "review", "prepare", "cancel", "approve", "order", "repair", "measure", "explain", "orange", "heavy",
    "quiet", "urgent", "broken", "cheap", "modern", "narrow", "morning", "Friday", "London", "Berlin", "window",
    "engine", "garden", "market", "bridge", "harbour", "letter", "mirror",
];
/// The window of the copying BART, in tokens: a call of a few minutes takes several pieces.
pub(super) const WINDOW: i64 = 72;

static TRAINING: Mutex<()> = Mutex::new(());

/// A generator of numbers that is the same everywhere (Knuth's linear congruence): which data are drawn is part of the test.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound
    }

    pub(super) fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    /// "engine quiet harbour."
    pub(super) fn sentence(&mut self, words: usize) -> String {
        let words: Vec<_> = (0..words).map(|_| self.pick(&WORDS)).collect();
        format!("{}.", words.join(" "))
    }
}

/// The folder of the copying BART.
pub(super) fn bart() -> PathBuf {
    kept("bart", train_bart)
}

/// The folder of the BERT that marks names.
pub(super) fn bert() -> PathBuf {
    kept("bert", train_bert)
}

/// Makes it once. A half-made folder never has the final name.
fn kept(name: &str, make: fn(&Path)) -> PathBuf {
    let _one = TRAINING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let hash = hex::encode(&Sha256::digest(include_bytes!("tiny.rs"))[..8]);
    let program = std::env::current_exe().unwrap();
    let target = program.ancestors().nth(3).unwrap().join("tiny-checkpoints");
    let folder = target.join(format!("{name}-{hash}"));
    if !folder.exists() {
        fs::create_dir_all(&target).unwrap();
        let half = tempfile::tempdir_in(&target).unwrap();
        // Small tensors are not worth dividing among threads.
        let threads = tch::get_num_threads();
        tch::set_num_threads(1);
        make(half.path());
        tch::set_num_threads(threads);
        // Another process may have been first: what it made is as good.
        let _ = fs::rename(half.path(), &folder);
    }
    assert!(folder.join("model.safetensors").exists(), "{}", folder.display());
    folder
}

fn write_json(path: PathBuf, json: &serde_json::Value) {
    fs::write(path, json.to_string()).unwrap();
}

/// GPT-2's way to show any byte as a character that can be seen.
fn byte_symbols() -> Vec<char> {
    let mut free = 256;
    (0..=255_u8)
        .map(|byte| match byte {
            b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => char::from(byte),
            _ => {
                free += 1;
                char::from_u32(free - 1).unwrap()
            }
        })
        .collect()
}

/// Byte-pair encoding, learned from `words`: the most frequent pair is joined until each word is one piece.
fn learn_merges(words: &[String]) -> Vec<(String, String)> {
    let symbols = byte_symbols();
    let mut split: Vec<Vec<String>> =
        words.iter().map(|w| w.bytes().map(|b| symbols[usize::from(b)].to_string()).collect()).collect();
    let mut merges = Vec::new();
    loop {
        let mut pairs: BTreeMap<(String, String), usize> = BTreeMap::new();
        for pair in split.iter().flat_map(|word| word.windows(2)) {
            *pairs.entry((pair[0].clone(), pair[1].clone())).or_default() += 1;
        }
        let Some((pair, _)) = pairs.into_iter().max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(&a.0))) else { return merges };
        for word in &mut split {
            let mut at = 0;
            while at + 1 < word.len() {
                if word[at] == pair.0 && word[at + 1] == pair.1 {
                    let second = word.remove(at + 1);
                    word[at].push_str(&second);
                }
                at += 1;
            }
        }
        merges.push(pair);
    }
}

/// `vocab.json` and `merges.txt` as GPT-2 and BART have them. Gives the size of the vocabulary.
fn write_bpe(folder: &Path) -> i64 {
    let plain = WORDS.iter().chain(&SPEAKERS);
    let words: Vec<String> = plain.flat_map(|w| [(*w).to_owned(), format!(" {w}")]).collect();
    let merges = learn_merges(&words);
    let special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"].map(str::to_owned);
    let bytes = byte_symbols().into_iter().map(String::from);
    let all = special.into_iter().chain(bytes).chain(merges.iter().map(|(a, b)| format!("{a}{b}")));
    let vocab: BTreeMap<String, usize> = all.enumerate().map(|(id, piece)| (piece, id)).collect();
    let lines: Vec<String> = merges.iter().map(|(a, b)| format!("{a} {b}")).collect();
    fs::write(folder.join("merges.txt"), format!("#version: 0.2\n{}\n", lines.join("\n"))).unwrap();
    write_json(folder.join("vocab.json"), &serde_json::to_value(&vocab).unwrap());
    vocab.len() as i64
}

fn train_bart(folder: &Path) {
    let vocab_size = write_bpe(folder);
    let config = serde_json::json!({
        "model_type": "bart", "vocab_size": vocab_size, "d_model": 64, "num_hidden_layers": 2,
        "encoder_layers": 2, "encoder_attention_heads": 4, "encoder_ffn_dim": 128, "encoder_layerdrop": 0.0,
        "decoder_layers": 2, "decoder_attention_heads": 4, "decoder_ffn_dim": 128, "decoder_layerdrop": 0.0,
        "activation_function": "gelu", "activation_dropout": 0.0, "attention_dropout": 0.0, "dropout": 0.0,
        "init_std": 0.02, "max_position_embeddings": WINDOW, "normalize_embedding": true, "scale_embedding": false,
        "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2,
        "forced_bos_token_id": 0, "forced_eos_token_id": 2, "is_encoder_decoder": true,
        "num_beams": 4, "max_length": WINDOW, "no_repeat_ngram_size": 0, "length_penalty": 1.0,
    });
    write_json(folder.join("config.json"), &config);
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let tokenizer =
        TokenizerOption::from_file(ModelType::Bart, &path("vocab.json"), Some(&path("merges.txt")), false, None, false)
            .unwrap();
    tch::manual_seed(20);
    let weights = nn::VarStore::new(Device::Cpu);
    let config: BartConfig = serde_json::from_value(config).unwrap();
    let model = BartForConditionalGeneration::new(weights.root(), &config);
    soften(&weights);
    let mut optimiser = nn::AdamW::default().build(&weights, 1e-3).unwrap();
    let mut dice = Dice::new(1);
    let mut lesson = Lesson::new(2e-3, 0.015);
    while !lesson.is_learned() {
        optimiser.set_lr(lesson.rate());
        // Of like lengths, so that little is computed on padding.
        let most = 8 + dice.below(WINDOW as usize - 8);
        let texts: Vec<String> = (0..32).map(|_| dialogue(&mut dice, most)).collect();
        let (ids, mask) = padded(&tokenizer, &texts, WINDOW, 1);
        let before = Tensor::cat(
            &[Tensor::full([ids.size()[0], 1], 2, (Kind::Int64, Device::Cpu)), ids.narrow(1, 0, ids.size()[1] - 1)],
            1,
        );
        let logits = model.forward_t(Some(&ids), Some(&mask), None, Some(&before), None, None, true).decoder_output;
        let wanted = ids.view(-1);
        let loss =
            logits.view([-1, vocab_size]).cross_entropy_loss::<Tensor>(&wanted, None, tch::Reduction::Mean, 1, 0.0);
        optimiser.backward_step_clip_norm(&loss, 1.0);
        lesson.learn(loss.double_value(&[]));
    }
    weights.save(folder.join("model.safetensors")).unwrap();
}

/// Lines of one or more speakers, or sentences in a row, within the window.
fn dialogue(dice: &mut Dice, most: usize) -> String {
    let between = if dice.below(3) == 0 { " " } else { "\n" };
    let mut lines = Vec::new();
    let mut tokens = 4;
    loop {
        let words = 2 + dice.below(7);
        tokens += words + 4;
        if tokens > most && !lines.is_empty() || tokens > WINDOW as usize {
            return lines.join(between);
        }
        lines.push(format!("{}: {}", dice.pick(&SPEAKERS), dice.sentence(words)));
    }
}

/// Token ids and mask of a batch.
fn padded(tokenizer: &TokenizerOption, texts: &[String], most: i64, pad: i64) -> (Tensor, Tensor) {
    let encoded = tokenizer.encode_list(texts, most as usize, &TruncationStrategy::LongestFirst, 0);
    let longest = encoded.iter().map(|e| e.token_ids.len()).max().unwrap();
    let rows: Vec<i64> = encoded
        .iter()
        .flat_map(|e| e.token_ids.iter().copied().chain(std::iter::repeat_n(pad, longest - e.token_ids.len())))
        .collect();
    let ids = Tensor::from_slice(&rows).view([encoded.len() as i64, longest as i64]);
    let mask = ids.ne(pad).to_kind(Kind::Int64);
    (ids, mask)
}

/// Embeddings as wide as the default would drown what small layers say.
fn soften(weights: &nn::VarStore) {
    tch::no_grad(|| {
        for (name, mut tensor) in weights.variables() {
            if name.contains("embed") || name.contains("shared") {
                let _ = tensor.normal_(0.0, 0.1);
            }
        }
    });
}

/// How far training has come: it goes on until the task is learned, with smaller steps towards the end.
struct Lesson {
    step: usize,
    most: f64,
    enough: f64,
    /// Moving mean.
    loss: f64,
}

impl Lesson {
    /// Many times what is needed: a task that is not learned by then never is, and the tests say so.
    const LONGEST: usize = 4000;

    fn new(most: f64, enough: f64) -> Self {
        Self { step: 0, most, enough, loss: 10.0 }
    }

    fn rate(&self) -> f64 {
        self.most * (self.step as f64 / 100.0).min(self.loss / 0.3).clamp(0.01, 1.0)
    }

    fn learn(&mut self, loss: f64) {
        self.step += 1;
        self.loss = 0.95 * self.loss + 0.05 * loss;
    }

    fn is_learned(&self) -> bool {
        self.loss < self.enough || self.step == Self::LONGEST
    }
}

/// `vocab.txt` of single letters: each word is read letter by letter.
fn train_bert(folder: &Path) {
    let letters = ('a'..='z').chain('A'..='Z').chain('0'..='9');
    let mut vocab: Vec<String> =
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", ",", "?", ":"].map(str::to_owned).to_vec();
    vocab.extend(letters.flat_map(|c| [c.to_string(), format!("##{c}")]));
    fs::write(folder.join("vocab.txt"), vocab.join("\n")).unwrap();
    let labels = ["O", "B-PER", "B-ORG"];
    let config = serde_json::json!({
        "model_type": "bert", "vocab_size": vocab.len(), "hidden_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 2, "intermediate_size": 64, "hidden_act": "gelu", "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0, "initializer_range": 0.02, "max_position_embeddings": 512,
        "type_vocab_size": 2,
        "id2label": {"0": labels[0], "1": labels[1], "2": labels[2]},
        "label2id": {labels[0]: 0, labels[1]: 1, labels[2]: 2},
    });
    write_json(folder.join("config.json"), &config);
    write_json(folder.join("tokenizer_config.json"), &serde_json::json!({"do_lower_case": false}));
    let vocab_path = folder.join("vocab.txt").to_string_lossy().into_owned();
    let tokenizer = TokenizerOption::from_file(ModelType::Bert, &vocab_path, None, false, None, None).unwrap();
    tch::manual_seed(21);
    let weights = nn::VarStore::new(Device::Cpu);
    let config: BertConfig = serde_json::from_value(config).unwrap();
    let model = BertForTokenClassification::new(weights.root(), &config).unwrap();
    soften(&weights);
    let mut optimiser = nn::AdamW::default().build(&weights, 1e-3).unwrap();
    let ids_of: HashMap<&str, i64> = vocab.iter().enumerate().map(|(id, piece)| (piece.as_str(), id as i64)).collect();
    let mut dice = Dice::new(2);
    let mut lesson = Lesson::new(2e-3, 0.01);
    while !lesson.is_learned() {
        optimiser.set_lr(lesson.rate());
        let texts: Vec<String> = (0..32).map(|_| sentence_with_names(&mut dice)).collect();
        let (ids, mask) = padded(&tokenizer, &texts, 512, 0);
        let wanted = labelled(&ids, &ids_of);
        let logits = model.forward_t(Some(&ids), Some(&mask), None, None, None, true).logits;
        let loss =
            logits.view([-1, 3]).cross_entropy_loss::<Tensor>(&wanted.view(-1), None, tch::Reduction::Mean, -100, 0.0);
        optimiser.backward_step_clip_norm(&loss, 1.0);
        lesson.learn(loss.double_value(&[]));
    }
    weights.save(folder.join("model.safetensors")).unwrap();
}

/// Words, of which some have a capital (a person) or are all capitals (an organisation).
fn sentence_with_names(dice: &mut Dice) -> String {
    let words = (0..3 + dice.below(5)).map(|_| {
        let word: String = (0..2 + dice.below(5)).map(|_| char::from(b'a' + dice.below(26) as u8)).collect();
        match dice.below(5) {
            0 => word[..1].to_uppercase() + &word[1..],
            1 => word.to_uppercase(),
            _ => word,
        }
    });
    words.collect::<Vec<_>>().join(" ") + "."
}

/// The truth for each token: a word's first letter says whether it is large, its second whether all are.
fn labelled(ids: &Tensor, ids_of: &HashMap<&str, i64>) -> Tensor {
    let pieces: HashMap<i64, &str> = ids_of.iter().map(|(piece, id)| (*id, *piece)).collect();
    let rows = Vec::<Vec<i64>>::try_from(ids).unwrap();
    let large = |id: Option<&i64>| {
        let piece = id.map_or("", |id| pieces[id]);
        piece.trim_start_matches("##").starts_with(|c: char| c.is_ascii_uppercase())
    };
    let wanted: Vec<i64> = rows
        .iter()
        .flat_map(|row| {
            row.iter().enumerate().map(|(at, id)| match pieces[id] {
                "[PAD]" => -100,
                piece if piece.starts_with("##") => -100,
                _ => match (large(Some(id)), large(row.get(at + 1))) {
                    (true, true) if pieces[&row[at + 1]].starts_with("##") => 2,
                    (true, _) => 1,
                    _ => 0,
                },
            })
        })
        .collect();
    Tensor::from_slice(&wanted).view_as(ids)
}

//! The vocabulary of a `tokenizer.json` of the T5 family as SentencePiece's own model file, which rust-bert reads. Field
//! numbers are those of `sentencepiece_model.proto`.

use std::path::Path;

use prost::Message;
use serde::Deserialize;

use super::ConvertError;

/// Kinds of pieces.
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
/// A unigram model.
const UNIGRAM: i32 = 1;
const NONE: i32 = -1;

#[derive(Clone, PartialEq, Message)]
struct ModelProto {
    #[prost(message, repeated, tag = "1")]
    pieces: Vec<Piece>,
    #[prost(message, optional, tag = "2")]
    trainer_spec: Option<TrainerSpec>,
    #[prost(message, optional, tag = "3")]
    normalizer_spec: Option<NormalizerSpec>,
}

#[derive(Clone, PartialEq, Message)]
struct Piece {
    #[prost(string, optional, tag = "1")]
    piece: Option<String>,
    #[prost(float, optional, tag = "2")]
    score: Option<f32>,
    #[prost(int32, optional, tag = "3")]
    kind: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct TrainerSpec {
    #[prost(int32, optional, tag = "3")]
    model_type: Option<i32>,
    #[prost(int32, optional, tag = "4")]
    vocab_size: Option<i32>,
    #[prost(int32, optional, tag = "40")]
    unk_id: Option<i32>,
    #[prost(int32, optional, tag = "41")]
    bos_id: Option<i32>,
    #[prost(int32, optional, tag = "42")]
    eos_id: Option<i32>,
    #[prost(int32, optional, tag = "43")]
    pad_id: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct NormalizerSpec {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(bytes = "vec", optional, tag = "2")]
    precompiled_charsmap: Option<Vec<u8>>,
    #[prost(bool, optional, tag = "3")]
    add_dummy_prefix: Option<bool>,
    #[prost(bool, optional, tag = "4")]
    remove_extra_whitespaces: Option<bool>,
    #[prost(bool, optional, tag = "5")]
    escape_whitespaces: Option<bool>,
}

#[derive(Deserialize)]
struct Tokenizer {
    model: Unigram,
}

#[derive(Deserialize)]
struct Unigram {
    #[serde(rename = "type")]
    kind: String,
    unk_id: usize,
    vocab: Vec<(String, f32)>,
}

/// Converts `tokenizer.json` to `spiece.model`.
pub(super) fn convert(from: &Path, to: &Path) -> Result<(), ConvertError> {
    std::fs::write(to, convert_bytes(&std::fs::read(from)?)?)?;
    Ok(())
}

fn convert_bytes(json: &[u8]) -> Result<Vec<u8>, ConvertError> {
    let malformed = ConvertError::malformed("tokenizer.json");
    let tokenizer: Tokenizer = serde_json::from_slice(json).map_err(|e| malformed(e.to_string()))?;
    let Unigram { kind, unk_id, vocab } = tokenizer.model;
    if kind != "Unigram" {
        return Err(malformed(format!("its model is {kind}, not Unigram")));
    }
    let position = |piece: &str| vocab.iter().position(|(p, _)| p == piece).and_then(|n| i32::try_from(n).ok());
    let (end, padding) = (position("</s>"), position("<pad>"));
    let pieces: Vec<Piece> = vocab
        .iter()
        .enumerate()
        // Readers put T5's sentinels behind the vocabulary by themselves.
        .filter(|(_, (piece, _))| !piece.starts_with("<extra_id_"))
        .map(|(number, (piece, score))| {
            let kind = match piece.as_str() {
                _ if number == unk_id => Some(UNKNOWN),
                "<pad>" | "<s>" | "</s>" => Some(CONTROL),
                _ => None,
            };
            Piece { piece: Some(piece.clone()), score: Some(*score), kind }
        })
        .collect();
    let unknown = i32::try_from(unk_id).ok().filter(|_| unk_id < pieces.len());
    let trainer_spec = TrainerSpec {
        model_type: Some(UNIGRAM),
        vocab_size: i32::try_from(pieces.len()).ok(),
        unk_id: Some(unknown.ok_or_else(|| malformed(format!("piece {unk_id} is not there")))?),
        bos_id: Some(NONE),
        eos_id: Some(end.unwrap_or(NONE)),
        pad_id: Some(padding.unwrap_or(NONE)),
    };
    // T5's normaliser is NFKC; readers have it built in, and the table would be ten times the rest.
    let normalizer_spec = NormalizerSpec {
        name: Some("nmt_nfkc".to_owned()),
        precompiled_charsmap: None,
        add_dummy_prefix: Some(true),
        remove_extra_whitespaces: Some(true),
        escape_whitespaces: Some(true),
    };
    let model = ModelProto { pieces, trainer_spec: Some(trainer_spec), normalizer_spec: Some(normalizer_spec) };
    Ok(model.encode_to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_keep_their_order_and_scores_and_sentinels_are_left_to_the_reader() {
        let json = r#"{"model":{"type":"Unigram","unk_id":2,"vocab":[["<pad>",0.0],["</s>",0.0],["<unk>",0.0],["▁a",-2.5],["<extra_id_0>",0.0]]}}"#;
        let model = ModelProto::decode(convert_bytes(json.as_bytes()).unwrap().as_slice()).unwrap();
        let pieces: Vec<_> = model.pieces.iter().map(|p| (p.piece.as_deref().unwrap(), p.kind)).collect();
        assert_eq!(pieces, [("<pad>", Some(CONTROL)), ("</s>", Some(CONTROL)), ("<unk>", Some(UNKNOWN)), ("▁a", None)]);
        assert_eq!(model.pieces[3].score, Some(-2.5));
        assert_eq!(model.trainer_spec.unwrap().eos_id, Some(1));
    }

    #[test]
    fn other_tokenizers_are_refused() {
        for json in [
            "",
            "{}",
            r#"{"model":{"type":"BPE","unk_id":0,"vocab":[]}}"#,
            r#"{"model":{"type":"Unigram","unk_id":9,"vocab":[]}}"#,
        ] {
            assert!(convert_bytes(json.as_bytes()).is_err(), "{json}");
        }
    }
}

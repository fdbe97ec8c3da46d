//! T5's tokenizer from a `tokenizer.json`: where a folder has that alone, its pieces are written as the SentencePiece model
//! that rust_tokenizers reads.

use std::io::Write as _;
use std::path::Path;

use rust_tokenizers::tokenizer::T5Tokenizer;
use serde_json::Value;

/// The tokenizer of a folder that has a `spiece.model` or a `tokenizer.json`.
pub(super) fn t5_tokenizer(folder: &Path) -> Result<T5Tokenizer, String> {
    let model = folder.join("spiece.model");
    if model.is_file() {
        return read(&model).map_err(|e| format!("{}: {e}", model.display()));
    }
    let path = folder.join("tokenizer.json");
    let told = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
    let text = std::fs::read_to_string(&path).map_err(|e| told(&e))?;
    let json: Value = serde_json::from_str(&text).map_err(|e| told(&e))?;
    let bytes = sentencepiece_model(&json).map_err(|e| told(&e))?;
    let mut file = tempfile::NamedTempFile::new().map_err(|e| told(&e))?;
    file.write_all(&bytes).map_err(|e| told(&e))?;
    read(file.path()).map_err(|e| told(&e))
}

fn read(model: &Path) -> Result<T5Tokenizer, String> {
    T5Tokenizer::from_file(model, false).map_err(|e| e.to_string())
}

/// The pieces of a Unigram model as a `ModelProto` (sentencepiece_model.proto): field 1 repeats a piece, which has its text
/// in field 1 and its log probability in field 2.
fn sentencepiece_model(tokenizer: &Value) -> Result<Vec<u8>, String> {
    let model = &tokenizer["model"];
    let pieces = model["vocab"].as_array().filter(|_| model["type"].as_str().is_none_or(|t| t == "Unigram"));
    let pieces = pieces.ok_or("no Unigram model in it")?;
    let mut out = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        let (Some(text), Some(score)) = (piece[0].as_str(), piece[1].as_f64()) else {
            return Err(format!("piece {at} is no text with a number"));
        };
        let mut message = Vec::with_capacity(text.len() + 8);
        message.push(0x0a);
        varint(text.len(), &mut message);
        message.extend_from_slice(text.as_bytes());
        message.push(0x15);
        #[expect(clippy::cast_possible_truncation, reason = "the format has single precision")]
        message.extend_from_slice(&(score as f32).to_le_bytes());
        out.push(0x0a);
        varint(message.len(), &mut out);
        out.extend_from_slice(&message);
    }
    Ok(out)
}

fn varint(mut value: usize, out: &mut Vec<u8>) {
    while value >= 0x80 {
        #[expect(clippy::cast_possible_truncation, reason = "seven bits at a time")]
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    #[expect(clippy::cast_possible_truncation, reason = "less than 128")]
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use rust_tokenizers::tokenizer::Tokenizer;

    use super::*;

    #[test]
    fn pieces_are_found_by_their_probability_and_have_their_places_as_ids() {
        let long = "▁release".to_owned() + &"e".repeat(200);
        let json = serde_json::json!({"model": {"type": "Unigram", "vocab": [
            ["<pad>", 0.0], ["</s>", 0.0], ["<unk>", 0.0],
            ["▁", -3.0], ["▁re", -4.0], ["lease", -4.0], ["▁release", -5.0], ["s", -2.0], [long, -9.0],
        ]}});
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("tokenizer.json"), json.to_string()).unwrap();
        let tokenizer = t5_tokenizer(folder.path()).unwrap();
        assert_eq!(tokenizer.tokenize("releases"), ["▁release", "s"]);
        assert_eq!(tokenizer.convert_tokens_to_ids(&["▁release", &long, "nothing"]), [6, 8, 2]);
    }

    #[test]
    fn what_is_no_unigram_model_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        for json in
            ["[]", r#"{"model": {"type": "BPE", "vocab": {}}}"#, r#"{"model": {"type": "Unigram", "vocab": [["a"]]}}"#]
        {
            std::fs::write(folder.path().join("tokenizer.json"), json).unwrap();
            let error = t5_tokenizer(folder.path()).err().unwrap();
            assert!(error.contains("tokenizer.json: "), "{error}");
        }
    }
}

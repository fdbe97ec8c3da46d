//! whisper.cpp's own format ("ggml"): sizes, mel filters, vocabulary, then the tensors.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

use super::ConvertError;
use super::tensor::Tensor;

const MAGIC: u32 = 0x6767_6d6c;
/// Tensors are stored as 16 bit floats.
const F16: u32 = 1;
/// Whisper hears 30 s, two frames of 10 ms at a time.
const AUDIO_CONTEXT: usize = 1500;
const TEXT_CONTEXT: usize = 448;
/// All Whisper models have heads of this width.
const HEAD: usize = 64;
/// More than any vocabulary, filter bank or token has: larger numbers are a broken file.
const SANE: u32 = 1 << 20;

/// A Whisper model of any format, by the names of OpenAI's checkpoints.
pub(super) trait Whisper {
    /// The tensor "encoder.blocks.0.attn.query.weight", and so on.
    fn tensor(&mut self, name: &str) -> Result<Tensor, ConvertError>;
    /// How many blocks "encoder" or "decoder" has.
    fn blocks(&self, half: &str) -> usize;
}

/// What all Whisper models of a family share: mel filters and tokens, as they stand in a ggml file.
pub(super) struct Vocabulary {
    /// The size that the donor states: tokens and special tokens.
    size: u32,
    mels: u32,
    bytes: Vec<u8>,
}

impl Vocabulary {
    /// From the head of another ggml file.
    pub(super) fn read(path: &Path) -> Result<Self, ConvertError> {
        Self::parse(&mut BufReader::new(File::open(path)?))
    }

    fn parse(from: &mut dyn Read) -> Result<Self, ConvertError> {
        let malformed = ConvertError::malformed("ggml file");
        let mut head = [0u32; 12];
        for word in &mut head {
            *word = number(from)?;
        }
        if head[0] != MAGIC {
            return Err(malformed(format!("it begins with {:#x}", head[0])));
        }
        let mut bytes = Vec::new();
        let (mels, width) = (copy_number(from, &mut bytes)?, copy_number(from, &mut bytes)?);
        if mels > SANE || width > SANE || head[1] > SANE {
            return Err(malformed(format!("{mels} × {width} filters, {} tokens", head[1])));
        }
        copy(from, &mut bytes, u64::from(mels) * u64::from(width) * 4)?;
        let tokens = copy_number(from, &mut bytes)?;
        if tokens > SANE {
            return Err(malformed(format!("{tokens} tokens")));
        }
        for _ in 0..tokens {
            let length = copy_number(from, &mut bytes)?;
            if length > SANE {
                return Err(malformed(format!("a token of {length} bytes")));
            }
            copy(from, &mut bytes, u64::from(length))?;
        }
        Ok(Self { size: head[1], mels, bytes })
    }
}

fn number(from: &mut dyn Read) -> Result<u32, ConvertError> {
    let mut bytes = [0; 4];
    from.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn copy_number(from: &mut dyn Read, to: &mut Vec<u8>) -> Result<u32, ConvertError> {
    let number = number(from)?;
    to.extend(number.to_le_bytes());
    Ok(number)
}

fn copy(from: &mut dyn Read, to: &mut Vec<u8>, count: u64) -> Result<(), ConvertError> {
    // Reading stops at the file's end, whatever the count claims.
    if from.take(count).read_to_end(to)? as u64 != count {
        return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
    }
    Ok(())
}

/// Writes a model as whisper.cpp's converter does, tensors in the order of its checkpoints.
pub(super) fn write(model: &mut dyn Whisper, vocabulary: &Vocabulary, to: &Path) -> Result<(), ConvertError> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(to)?);
    let (encoder, decoder) = (model.blocks("encoder"), model.blocks("decoder"));
    let embedding = model.tensor("decoder.token_embedding.weight")?;
    let &[tokens, width] = embedding.shape.as_slice() else {
        return Err(misshapen("decoder.token_embedding.weight", &embedding, "a matrix"));
    };
    if tokens != vocabulary.size as usize {
        let expected = format!("the vocabulary of {}", vocabulary.size);
        return Err(misshapen("decoder.token_embedding.weight", &embedding, &expected));
    }
    drop(embedding);
    let heads = width / HEAD;
    let sizes = [tokens, AUDIO_CONTEXT, width, heads, encoder, TEXT_CONTEXT, width, heads, decoder];
    out.write_all(&MAGIC.to_le_bytes())?;
    for size in sizes {
        out.write_all(&word(size)?)?;
    }
    out.write_all(&vocabulary.mels.to_le_bytes())?;
    out.write_all(&F16.to_le_bytes())?;
    out.write_all(&vocabulary.bytes)?;
    for name in names(encoder, decoder) {
        write_tensor(&mut out, &name, model.tensor(&name)?)?;
    }
    out.flush()?;
    Ok(())
}

fn write_tensor(out: &mut dyn Write, name: &str, mut tensor: Tensor) -> Result<(), ConvertError> {
    let bias_of_convolution = matches!(name, "encoder.conv1.bias" | "encoder.conv2.bias");
    if bias_of_convolution {
        // whisper.cpp adds it to a matrix whose rows are the channels.
        tensor.shape = vec![tensor.values.len(), 1];
    }
    let full = tensor.shape.len() < 2 || bias_of_convolution || name.ends_with("positional_embedding");
    out.write_all(&word(tensor.shape.len())?)?;
    out.write_all(&word(name.len())?)?;
    out.write_all(&(if full { 0 } else { F16 }).to_le_bytes())?;
    for size in tensor.shape.iter().rev() {
        out.write_all(&word(*size)?)?;
    }
    out.write_all(name.as_bytes())?;
    for value in &tensor.values {
        if full {
            out.write_all(&value.to_le_bytes())?;
        } else {
            out.write_all(&half::f16::from_f32(*value).to_le_bytes())?;
        }
    }
    Ok(())
}

/// All tensors, in the order in which whisper.cpp's converter writes them.
fn names(encoder: usize, decoder: usize) -> Vec<String> {
    let pair = |name: String| [format!("{name}.weight"), format!("{name}.bias")];
    let block = |half: &'static str, number: usize| {
        let mut names = Vec::new();
        let attention = |at: &str, names: &mut Vec<String>| {
            names.extend(pair(format!("{at}_ln")));
            names.extend(pair(format!("{at}.query")));
            names.push(format!("{at}.key.weight"));
            names.extend(pair(format!("{at}.value")));
            names.extend(pair(format!("{at}.out")));
        };
        for part in ["mlp_ln", "mlp.0", "mlp.2"] {
            names.extend(pair(format!("{half}.blocks.{number}.{part}")));
        }
        attention(&format!("{half}.blocks.{number}.attn"), &mut names);
        if half == "decoder" {
            attention(&format!("{half}.blocks.{number}.cross_attn"), &mut names);
        }
        names
    };
    let mut names: Vec<String> =
        ["decoder.positional_embedding", "encoder.positional_embedding", "decoder.token_embedding.weight"]
            .map(str::to_owned)
            .into();
    names.extend((0..decoder).flat_map(|number| block("decoder", number)));
    names.extend(["decoder.ln", "encoder.conv1", "encoder.conv2"].into_iter().flat_map(|n| pair(n.to_owned())));
    names.extend((0..encoder).flat_map(|number| block("encoder", number)));
    names.extend(pair("encoder.ln_post".to_owned()));
    names
}

fn word(size: usize) -> Result<[u8; 4], ConvertError> {
    let size = u32::try_from(size).map_err(|_| ConvertError::malformed("model")(format!("a size of {size}")))?;
    Ok(size.to_le_bytes())
}

fn misshapen(name: &str, tensor: &Tensor, expected: &str) -> ConvertError {
    ConvertError::Shape { name: name.to_owned(), found: tensor.shape.clone(), expected: expected.to_owned() }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The head of a ggml file with two filters of three and the tokens "a" and "bc", for a vocabulary of `size`.
    pub(in super::super) fn head(size: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut words = vec![MAGIC, size];
        words.extend([0; 10]);
        words.extend([2, 3]);
        bytes.extend(words.into_iter().flat_map(u32::to_le_bytes));
        bytes.extend([0; 24]);
        bytes.extend(2u32.to_le_bytes());
        bytes.extend(1u32.to_le_bytes());
        bytes.extend(b"a");
        bytes.extend(2u32.to_le_bytes());
        bytes.extend(b"bc");
        bytes
    }

    struct Ones(Vec<(String, Vec<usize>)>);

    impl Whisper for Ones {
        fn tensor(&mut self, name: &str) -> Result<Tensor, ConvertError> {
            let shape = if name.ends_with("token_embedding.weight") { vec![5, 64] } else { vec![4] };
            self.0.push((name.to_owned(), shape.clone()));
            let count = shape.iter().product();
            Tensor::new(name, shape, vec![1.0; count])
        }
        fn blocks(&self, half: &str) -> usize {
            if half == "encoder" { 2 } else { 1 }
        }
    }

    #[test]
    fn a_model_is_written_with_its_donors_vocabulary_and_all_its_tensors() {
        let folder = tempfile::tempdir().unwrap();
        let vocabulary = Vocabulary::parse(&mut head(5).as_slice()).unwrap();
        let path = folder.path().join("m.bin");
        write(&mut Ones(Vec::new()), &vocabulary, &path).unwrap();
        let again = Vocabulary::read(&path).unwrap();
        assert_eq!((again.size, again.mels, &again.bytes), (5, 2, &vocabulary.bytes));
        // Official base: 3 + 6 decoder blocks of 24 + 6 + 6 encoder blocks of 15 + 2.
        assert_eq!(names(6, 6).len(), 3 + 6 * 24 + 6 + 6 * 15 + 2);
        let other = Vocabulary::parse(&mut head(6).as_slice()).unwrap();
        assert!(matches!(write(&mut Ones(Vec::new()), &other, &path), Err(ConvertError::Shape { .. })));
    }

    #[test]
    fn a_head_that_is_cut_or_claims_too_much_is_an_error() {
        let whole = head(5);
        for length in 0..whole.len() {
            assert!(Vocabulary::parse(&mut &whole[..length]).is_err(), "{length}");
        }
        let mut greedy = whole;
        greedy[48..52].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(Vocabulary::parse(&mut greedy.as_slice()).is_err());
    }
}

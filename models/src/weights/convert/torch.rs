//! A Whisper checkpoint as PyTorch saves it: a zip archive with a pickle that describes tensors, and a file for each
//! storage.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read as _, Seek};
use std::path::Path;

use super::ConvertError;
use super::ggml::Whisper;
use super::pickle::{self, Value};
use super::tensor::{Tensor, elements, from_f16, from_f32};

const FORMAT: &str = "PyTorch checkpoint";
/// Descriptions are some hundred kilobytes; a longer one is hostile.
const LONGEST_PICKLE: u64 = 16 << 20;

struct Description {
    /// Bytes of a value: 2 or 4.
    width: usize,
    storage: String,
    offset: usize,
    shape: Vec<usize>,
    /// How far apart neighbours of each dimension lie: a matrix may be stored by columns.
    stride: Vec<usize>,
}

impl Description {
    /// How many values of the storage the tensor spans; `None` if more than a machine can count.
    fn span(&self) -> Option<usize> {
        if elements(&self.shape)? == 0 {
            return Some(0);
        }
        let steps = self.shape.iter().zip(&self.stride);
        steps.map(|(size, step)| (size - 1).checked_mul(*step)).try_fold(1usize, |sum, far| sum.checked_add(far?))
    }

    /// The values in row-major order, out of those that it spans.
    fn gather(&self, span: &[f32]) -> Option<Vec<f32>> {
        let count = elements(&self.shape)?;
        // A stride of nothing makes many values of one: no checkpoint has that, a hostile one could ask for any number.
        if count > span.len() {
            return None;
        }
        let mut at = vec![0; self.shape.len()];
        let mut values = Vec::with_capacity(count);
        for _ in 0..count {
            let place: usize = at.iter().zip(&self.stride).map(|(index, step)| index * step).sum();
            values.push(*span.get(place)?);
            for (index, size) in at.iter_mut().zip(&self.shape).rev() {
                *index += 1;
                if *index < *size {
                    break;
                }
                *index = 0;
            }
        }
        Some(values)
    }
}

/// An open checkpoint: tensors are read when they are asked for.
pub(super) struct Checkpoint<R> {
    archive: zip::ZipArchive<R>,
    root: String,
    tensors: HashMap<String, Description>,
}

impl Checkpoint<BufReader<File>> {
    pub(super) fn read(path: &Path) -> Result<Self, ConvertError> {
        Self::open(BufReader::new(File::open(path)?))
    }
}

impl<R: std::io::Read + Seek> Checkpoint<R> {
    fn open(from: R) -> Result<Self, ConvertError> {
        let mut archive = zip::ZipArchive::new(from).map_err(|e| malformed(e.to_string()))?;
        let name = archive.file_names().find(|name| name.ends_with("data.pkl")).map(str::to_owned);
        let name = name.ok_or_else(|| ConvertError::Missing("data.pkl".to_owned()))?;
        let mut bytes = Vec::new();
        let entry = archive.by_name(&name).map_err(|e| malformed(e.to_string()))?;
        entry.take(LONGEST_PICKLE).read_to_end(&mut bytes)?;
        let checkpoint = pickle::read(&bytes)?;
        let state = checkpoint.get("model_state_dict").ok_or_else(|| missing("model_state_dict"))?;
        let Value::Map(pairs) = state else { return Err(missing("dictionary of tensors")) };
        let mut tensors = HashMap::new();
        for (key, value) in pairs {
            let name = key.text().ok_or_else(|| missing("name of a tensor"))?;
            tensors.insert(name.to_owned(), describe(name, value)?);
        }
        Ok(Self { archive, root: name.trim_end_matches("data.pkl").to_owned(), tensors })
    }
}

/// `torch._utils._rebuild_tensor_v2(storage, offset, shape, stride, …)`
fn describe(name: &str, value: &Value) -> Result<Description, ConvertError> {
    let unknown = || malformed(format!("{name} is described in an unknown way"));
    let Value::Call(callable, arguments) = value else { return Err(unknown()) };
    if !matches!(&**callable, Value::Global(g) if g == "torch._utils _rebuild_tensor_v2") {
        return Err(unknown());
    }
    let [Value::Persistent(storage), offset, shape, stride, ..] = arguments.items().ok_or_else(unknown)? else {
        return Err(unknown());
    };
    let [_, Value::Global(kind), key, ..] = storage.items().ok_or_else(unknown)? else { return Err(unknown()) };
    let width = match kind.as_str() {
        "torch HalfStorage" => 2,
        "torch FloatStorage" => 4,
        other => return Err(malformed(format!("{name} holds values of {other}; floats are needed"))),
    };
    let sizes = |value: &Value| value.items()?.iter().map(Value::size).collect::<Option<Vec<_>>>();
    let (shape, stride) = (sizes(shape).ok_or_else(unknown)?, sizes(stride).ok_or_else(unknown)?);
    if shape.len() != stride.len() {
        return Err(unknown());
    }
    let (storage, offset) = (key.text().ok_or_else(unknown)?.to_owned(), offset.size().ok_or_else(unknown)?);
    Ok(Description { width, storage, offset, shape, stride })
}

impl<R: std::io::Read + Seek> Whisper for Checkpoint<R> {
    fn tensor(&mut self, name: &str) -> Result<Tensor, ConvertError> {
        let tensor = self.tensors.get(name).ok_or_else(|| missing(name))?;
        let member = format!("{}data/{}", self.root, tensor.storage);
        let mut entry = self.archive.by_name(&member).map_err(|e| malformed(format!("{member}: {e}")))?;
        let bytes = |count: usize| count.checked_mul(tensor.width).and_then(|n| u64::try_from(n).ok());
        let range = bytes(tensor.offset).zip(tensor.span().and_then(bytes));
        let Some((before, length)) = range else { return Err(malformed(format!("{name} is too long"))) };
        std::io::copy(&mut entry.by_ref().take(before), &mut std::io::sink())?;
        let mut span = Vec::new();
        entry.take(length).read_to_end(&mut span)?;
        let span = if tensor.width == 2 { from_f16(&span) } else { from_f32(&span) };
        let values = tensor.gather(&span).ok_or_else(|| malformed(format!("{name} reaches beyond its storage")))?;
        Tensor::new(name, tensor.shape.clone(), values)
    }

    fn blocks(&self, half: &str) -> usize {
        let there = |n: &usize| self.tensors.contains_key(&format!("{half}.blocks.{n}.mlp.0.weight"));
        (0..).take_while(there).count()
    }
}

fn malformed(what: String) -> ConvertError {
    ConvertError::Malformed { format: FORMAT, what }
}

fn missing(what: &str) -> ConvertError {
    ConvertError::Missing(what.to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};

    use proptest::prelude::*;

    use super::*;

    /// `{"model_state_dict": {"w": <half tensor 2 × 2 at offset 1 of storage "0">}}` in an archive.
    fn checkpoint(stride: [u8; 2]) -> Vec<u8> {
        let mut pickle = b"\x80\x02}X\x10\x00\x00\x00model_state_dict}X\x01\x00\x00\x00w".to_vec();
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n(");
        pickle.extend(b"(X\x07\x00\x00\x00storagectorch\nHalfStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x05tQ");
        pickle.extend(b"K\x01K\x02K\x02\x86");
        pickle.extend([b'K', stride[0], b'K', stride[1], 0x86]);
        pickle.extend(b"\x89ccollections\nOrderedDict\n)RtRss.");
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        zip.start_file("m/data.pkl", options).unwrap();
        zip.write_all(&pickle).unwrap();
        zip.start_file("m/data/0", options).unwrap();
        let values: Vec<u8> = (0..5u8).flat_map(|n| half::f16::from(n).to_le_bytes()).collect();
        zip.write_all(&values).unwrap();
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn a_tensor_is_read_from_its_place_in_its_storage() {
        let mut checkpoint = Checkpoint::open(Cursor::new(checkpoint([2, 1]))).unwrap();
        let tensor = checkpoint.tensor("w").unwrap();
        assert_eq!((tensor.shape, tensor.values), (vec![2, 2], vec![1., 2., 3., 4.]));
        assert!(matches!(checkpoint.tensor("v"), Err(ConvertError::Missing(_))));
    }

    #[test]
    fn a_matrix_that_is_stored_by_columns_comes_by_rows_and_none_reaches_beyond_its_storage() {
        let read = |stride| Checkpoint::open(Cursor::new(checkpoint(stride))).unwrap().tensor("w");
        assert_eq!(read([1, 2]).unwrap().values, [1., 3., 2., 4.]);
        assert!(read([4, 1]).is_err());
        assert!(read([0, 0]).is_err());
    }

    proptest! {
        #[test]
        fn a_changed_checkpoint_never_panics(at in 0..400usize, value in any::<u8>()) {
            let mut bytes = checkpoint([2, 1]);
            let at = at % bytes.len();
            bytes[at] = value;
            if let Ok(mut checkpoint) = Checkpoint::open(Cursor::new(bytes)) {
                let _ = checkpoint.tensor("w");
            }
        }
    }
}

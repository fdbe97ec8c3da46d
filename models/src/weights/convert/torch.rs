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
    let mut dense = 1usize;
    for (size, step) in shape.iter().zip(&stride).rev() {
        if *step != dense && *size != 1 {
            return Err(malformed(format!("{name} does not lie in one piece")));
        }
        dense = dense.saturating_mul(*size);
    }
    let (storage, offset) = (key.text().ok_or_else(unknown)?.to_owned(), offset.size().ok_or_else(unknown)?);
    Ok(Description { width, storage, offset, shape })
}

impl<R: std::io::Read + Seek> Whisper for Checkpoint<R> {
    fn tensor(&mut self, name: &str) -> Result<Tensor, ConvertError> {
        let Description { width, storage, offset, shape } = self.tensors.get(name).ok_or_else(|| missing(name))?;
        let member = format!("{}data/{storage}", self.root);
        let mut entry = self.archive.by_name(&member).map_err(|e| malformed(format!("{member}: {e}")))?;
        let bytes = |count: usize| count.checked_mul(*width).and_then(|n| u64::try_from(n).ok());
        let range = bytes(*offset).zip(elements(shape).and_then(bytes));
        let Some((before, length)) = range else { return Err(malformed(format!("{name} is too long"))) };
        std::io::copy(&mut entry.by_ref().take(before), &mut std::io::sink())?;
        let mut values = Vec::new();
        entry.take(length).read_to_end(&mut values)?;
        let values = if *width == 2 { from_f16(&values) } else { from_f32(&values) };
        Tensor::new(name, shape.clone(), values)
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
    fn checkpoint() -> Vec<u8> {
        let mut pickle = b"\x80\x02}X\x10\x00\x00\x00model_state_dict}X\x01\x00\x00\x00w".to_vec();
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n(");
        pickle.extend(b"(X\x07\x00\x00\x00storagectorch\nHalfStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x05tQ");
        pickle.extend(b"K\x01K\x02K\x02\x86K\x02K\x01\x86\x89ccollections\nOrderedDict\n)RtRss.");
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
        let mut checkpoint = Checkpoint::open(Cursor::new(checkpoint())).unwrap();
        let tensor = checkpoint.tensor("w").unwrap();
        assert_eq!((tensor.shape, tensor.values), (vec![2, 2], vec![1., 2., 3., 4.]));
        assert!(matches!(checkpoint.tensor("v"), Err(ConvertError::Missing(_))));
    }

    proptest! {
        #[test]
        fn a_changed_checkpoint_never_panics(at in 0..400usize, value in any::<u8>()) {
            let mut bytes = checkpoint();
            let at = at % bytes.len();
            bytes[at] = value;
            if let Ok(mut checkpoint) = Checkpoint::open(Cursor::new(bytes)) {
                let _ = checkpoint.tensor("w");
            }
        }
    }
}

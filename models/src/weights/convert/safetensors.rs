//! Writing safetensors: a length, a header in JSON, the values. Written here and not by its library because the
//! manifest's checksum must hold for every version of that.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use super::ConvertError;
use super::t5_onnx::Model;

/// Writes all parameters as 32 bit floats, sorted by name.
pub(super) fn write(model: &Model, to: &Path) -> Result<(), ConvertError> {
    let mut header = String::from(r#"{"__metadata__":{"format":"pt"}"#);
    let mut at = 0;
    for name in model.names() {
        let tensor = model.tensor(name)?;
        let end = at + tensor.values.len() * 4;
        let name = serde_json::Value::from(name);
        header
            .push_str(&format!(r#",{name}:{{"dtype":"F32","shape":{:?},"data_offsets":[{at},{end}]}}"#, tensor.shape));
        at = end;
    }
    header.push('}');
    // Values begin at a multiple of eight.
    header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
    let mut out = BufWriter::with_capacity(1 << 20, File::create(to)?);
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    for name in model.names() {
        for value in model.tensor(name)?.values {
            out.write_all(&value.to_le_bytes())?;
        }
    }
    out.flush()?;
    Ok(())
}

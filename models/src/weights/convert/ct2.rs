//! CTranslate2's `model.bin`: a list of named variables, 16 or 32 bit floats here, and a list of aliases.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use super::ConvertError;
use super::ggml::Whisper;
use super::tensor::{Tensor, elements, from_f16, from_f32};

const FORMAT: &str = "CTranslate2 model";

#[derive(Debug, Clone)]
struct Variable {
    shape: Vec<usize>,
    kind: u8,
    at: Range<usize>,
}

/// A Whisper model, all in memory.
pub(super) struct Model {
    bytes: Vec<u8>,
    variables: HashMap<String, Variable>,
}

impl Model {
    pub(super) fn read(path: &Path) -> Result<Self, ConvertError> {
        Self::parse(std::fs::read(path)?)
    }

    pub(super) fn parse(bytes: Vec<u8>) -> Result<Self, ConvertError> {
        let mut reader = Reader { bytes: &bytes, at: 0 };
        let version = reader.u32()?;
        if !(4..=6).contains(&version) {
            return Err(malformed(format!("version {version}; known are 4 to 6")));
        }
        let specification = reader.text()?;
        if !specification.starts_with("Whisper") {
            return Err(malformed(format!("it is a {specification}")));
        }
        let _revision = reader.u32()?;
        let mut variables = HashMap::new();
        for _ in 0..reader.u32()? {
            let name = reader.text()?;
            let rank = reader.take(1)?[0];
            let shape = (0..rank).map(|_| reader.u32().map(|n| n as usize)).collect::<Result<Vec<_>, _>>()?;
            let kind = reader.take(1)?[0];
            let length = reader.u32()? as usize;
            let at = reader.at..reader.at.saturating_add(length);
            reader.take(length)?;
            variables.insert(name, Variable { shape, kind, at });
        }
        for _ in 0..reader.u32()? {
            let (alias, name) = (reader.text()?, reader.text()?);
            let variable = variables.get(&name).ok_or(ConvertError::Missing(name))?.clone();
            variables.insert(alias, variable);
        }
        Ok(Self { variables, bytes })
    }

    fn get(&self, name: &str) -> Result<Tensor, ConvertError> {
        let variable = self.variables.get(name).ok_or_else(|| ConvertError::Missing(name.to_owned()))?;
        let bytes = &self.bytes[variable.at.clone()];
        let width = match variable.kind {
            0 => 4,
            4 => 2,
            other => return Err(malformed(format!("{name} has values of kind {other}; floats are needed"))),
        };
        if elements(&variable.shape).and_then(|n| n.checked_mul(width)) != Some(bytes.len()) {
            return Err(ConvertError::Shape {
                name: name.to_owned(),
                found: variable.shape.clone(),
                expected: format!("{} bytes", bytes.len()),
            });
        }
        let values = if width == 4 { from_f32(bytes) } else { from_f16(bytes) };
        Tensor::new(name, variable.shape.clone(), values)
    }
}

impl Whisper for Model {
    fn tensor(&mut self, name: &str) -> Result<Tensor, ConvertError> {
        let place = place(name).ok_or_else(|| ConvertError::Missing(name.to_owned()))?;
        let tensor = self.get(&place.variable)?;
        match place.part {
            None => Ok(tensor),
            Some((part, parts)) => {
                let rows = tensor.shape.first().copied().unwrap_or(0);
                if rows == 0 || rows % parts != 0 {
                    let expected = format!("{parts} equal parts");
                    return Err(ConvertError::Shape { name: place.variable, found: tensor.shape, expected });
                }
                tensor.rows(&place.variable, part, rows / parts)
            }
        }
    }

    fn blocks(&self, half: &str) -> usize {
        let there = |n: &usize| self.variables.contains_key(&format!("{half}/layer_{n}/ffn/linear_0/weight"));
        (0..).take_while(there).count()
    }
}

/// Where a tensor lies: in a variable, or in one of the equal parts of its rows.
struct Place {
    variable: String,
    part: Option<(usize, usize)>,
}

/// CTranslate2's place of a tensor of OpenAI's name.
fn place(name: &str) -> Option<Place> {
    let whole = |variable: String| Some(Place { variable, part: None });
    match name {
        "encoder.positional_embedding" => return whole("encoder/position_encodings/encodings".to_owned()),
        "decoder.positional_embedding" => return whole("decoder/position_encodings/encodings".to_owned()),
        "decoder.token_embedding.weight" => return whole("decoder/embeddings/weight".to_owned()),
        _ => {}
    }
    let (path, kind) = name.rsplit_once('.')?;
    let normal = if kind == "weight" { "gamma" } else { "beta" };
    match path {
        "encoder.conv1" | "encoder.conv2" => return whole(format!("{}/{kind}", path.replace('.', "/"))),
        "encoder.ln_post" => return whole(format!("encoder/layer_norm/{normal}")),
        "decoder.ln" => return whole(format!("decoder/layer_norm/{normal}")),
        _ => {}
    }
    let (half, rest) = path.split_once(".blocks.")?;
    let (number, part) = rest.split_once('.')?;
    let layer = format!("{half}/layer_{number}");
    let (module, rows) = match part {
        "attn_ln" => return whole(format!("{layer}/self_attention/layer_norm/{normal}")),
        "cross_attn_ln" => return whole(format!("{layer}/attention/layer_norm/{normal}")),
        "mlp_ln" => return whole(format!("{layer}/ffn/layer_norm/{normal}")),
        "mlp.0" => ("ffn/linear_0", None),
        "mlp.2" => ("ffn/linear_1", None),
        "attn.query" => ("self_attention/linear_0", Some((0, 3))),
        "attn.key" => ("self_attention/linear_0", Some((1, 3))),
        "attn.value" => ("self_attention/linear_0", Some((2, 3))),
        "attn.out" => ("self_attention/linear_1", None),
        "cross_attn.query" => ("attention/linear_0", None),
        "cross_attn.key" => ("attention/linear_1", Some((0, 2))),
        "cross_attn.value" => ("attention/linear_1", Some((1, 2))),
        "cross_attn.out" => ("attention/linear_2", None),
        _ => return None,
    };
    Some(Place { variable: format!("{layer}/{module}/{kind}"), part: rows })
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], ConvertError> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| malformed(format!("it ends within {count} bytes at {}", self.at)))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32, ConvertError> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// A length with the closing zero in it, and the text.
    fn text(&mut self) -> Result<String, ConvertError> {
        let length = self.take(2)?;
        let length = usize::from(u16::from_le_bytes([length[0], length[1]]));
        let text = self.take(length)?.strip_suffix(&[0]);
        let text = text.and_then(|text| std::str::from_utf8(text).ok());
        text.map(str::to_owned).ok_or_else(|| malformed(format!("no name at {}", self.at)))
    }
}

fn malformed(what: String) -> ConvertError {
    ConvertError::Malformed { format: FORMAT, what }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(to: &mut Vec<u8>, text: &str) {
        to.extend(u16::try_from(text.len() + 1).unwrap().to_le_bytes());
        to.extend(text.as_bytes());
        to.push(0);
    }

    /// A model with one attention of width 2 in 32 bit, and an alias.
    fn model() -> Vec<u8> {
        let mut bytes = 6u32.to_le_bytes().to_vec();
        text(&mut bytes, "WhisperSpec");
        bytes.extend(3u32.to_le_bytes());
        bytes.extend(1u32.to_le_bytes());
        text(&mut bytes, "encoder/layer_0/self_attention/linear_0/weight");
        bytes.push(2);
        bytes.extend([6u32, 2].into_iter().flat_map(u32::to_le_bytes));
        bytes.push(0);
        bytes.extend(48u32.to_le_bytes());
        bytes.extend((0..12u8).flat_map(|n| f32::from(n).to_le_bytes()));
        bytes.extend(1u32.to_le_bytes());
        text(&mut bytes, "decoder/layer_0/self_attention/linear_0/weight");
        text(&mut bytes, "encoder/layer_0/self_attention/linear_0/weight");
        bytes
    }

    #[test]
    fn fused_projections_are_taken_apart_and_aliases_followed() {
        let mut model = Model::parse(model()).unwrap();
        for half in ["encoder", "decoder"] {
            let value = model.tensor(&format!("{half}.blocks.0.attn.value.weight")).unwrap();
            assert_eq!((value.shape, value.values), (vec![2, 2], vec![8., 9., 10., 11.]));
        }
        assert!(matches!(model.tensor("encoder.conv1.weight"), Err(ConvertError::Missing(_))));
    }

    #[test]
    fn a_model_that_was_cut_is_an_error_at_every_length() {
        let whole = model();
        for length in 0..whole.len() {
            assert!(Model::parse(whole[..length].to_vec()).is_err(), "{length}");
        }
    }

    proptest! {
        #[test]
        fn changed_bytes_never_panic(changes in prop::collection::vec((0usize..220, any::<u8>()), 1..8)) {
            let mut bytes = model();
            for (at, value) in changes {
                let at = at % bytes.len();
                bytes[at] = value;
            }
            if let Ok(mut model) = Model::parse(bytes) {
                let _ = model.tensor("encoder.blocks.0.attn.key.weight");
                let _ = model.blocks("encoder");
            }
        }
    }
}

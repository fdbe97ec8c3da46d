//! A Whisper model in ONNX as transformers.js packages carry it: 8 bit, an encoder and a decoder with two graphs merged.

use std::collections::HashMap;
use std::path::Path;

use super::ConvertError;
use super::ggml::Whisper;
use super::onnx::Weights;
use super::tensor::Tensor;

/// Modules by their names in `transformers` and in OpenAI's checkpoints.
const MODULES: &[(&str, &str)] = &[
    ("encoder_attn.q_proj", "cross_attn.query"),
    ("encoder_attn.k_proj", "cross_attn.key"),
    ("encoder_attn.v_proj", "cross_attn.value"),
    ("encoder_attn.out_proj", "cross_attn.out"),
    ("encoder_attn_layer_norm", "cross_attn_ln"),
    ("self_attn.q_proj", "attn.query"),
    ("self_attn.k_proj", "attn.key"),
    ("self_attn.v_proj", "attn.value"),
    ("self_attn.out_proj", "attn.out"),
    ("self_attn_layer_norm", "attn_ln"),
    ("final_layer_norm", "mlp_ln"),
    ("fc1", "mlp.0"),
    ("fc2", "mlp.2"),
];

/// Where a tensor lies: in which half, under which name, and whether rows stand for columns.
struct Place {
    decoder: bool,
    stored: String,
    transposed: bool,
}

/// Both halves, in memory.
pub(super) struct Model {
    encoder: Weights,
    decoder: Weights,
    places: HashMap<String, Place>,
}

impl Model {
    pub(super) fn read(encoder: &Path, decoder: &Path) -> Result<Self, ConvertError> {
        Ok(Self::of(Weights::read(encoder)?, Weights::read(decoder)?))
    }

    fn of(encoder: Weights, decoder: Weights) -> Self {
        let mut places = HashMap::new();
        for (weights, decoder) in [(&encoder, false), (&decoder, true)] {
            let half = if decoder { "decoder" } else { "encoder" };
            for product in &weights.products {
                if let Some(name) = of_product(half, &product.name) {
                    let place = Place { decoder, stored: product.matrix.clone(), transposed: true };
                    places.entry(name).or_insert(place);
                }
            }
            for stored in &weights.names {
                if let Some(name) = of_stored(half, stored) {
                    places.entry(name).or_insert(Place { decoder, stored: stored.clone(), transposed: false });
                }
            }
        }
        Self { encoder, decoder, places }
    }
}

impl Whisper for Model {
    fn tensor(&mut self, name: &str) -> Result<Tensor, ConvertError> {
        let place = self.places.get(name).ok_or_else(|| ConvertError::Missing(name.to_owned()))?;
        let tensor = if place.decoder { &self.decoder } else { &self.encoder }.tensor(&place.stored)?;
        if place.transposed { tensor.transposed(name) } else { Ok(tensor) }
    }

    fn blocks(&self, half: &str) -> usize {
        let there = |n: &usize| self.places.contains_key(&format!("{half}.blocks.{n}.mlp.0.weight"));
        (0..).take_while(there).count()
    }
}

/// OpenAI's name of the matrix of an operation such as "/model/decoder/layers.3/self_attn/q_proj/MatMul_quant".
fn of_product(half: &str, operation: &str) -> Option<String> {
    let path = operation.split_once("layers.")?.1;
    let path = &path[..path.find("/MatMul")?];
    let (number, module) = path.split_once('/')?;
    let number: usize = number.parse().ok()?;
    let module = renamed(&module.replace('/', "."))?;
    Some(format!("{half}.blocks.{number}.{module}.weight"))
}

/// OpenAI's name of a tensor that is stored under its own.
fn of_stored(half: &str, stored: &str) -> Option<String> {
    // The merged decoder marks what its two graphs share.
    let mut name = stored.to_owned();
    if let Some(at) = name.find("_merged_") {
        let digits = name[at + 8..].bytes().take_while(u8::is_ascii_digit).count();
        name.replace_range(at..at + 8 + digits, "");
    }
    let name = name.strip_prefix("model.").unwrap_or(&name);
    let name = name.strip_prefix(half).and_then(|n| n.strip_prefix('.')).unwrap_or(name);
    let name = name.strip_suffix("_quantized").unwrap_or(name);
    match name {
        "conv1.weight" | "conv1.bias" | "conv2.weight" | "conv2.bias" => return Some(format!("{half}.{name}")),
        "embed_positions.weight" => return Some(format!("{half}.positional_embedding")),
        "embed_tokens.weight" => return Some("decoder.token_embedding.weight".to_owned()),
        _ => {}
    }
    if let Some(kind) = name.strip_prefix("layer_norm.") {
        return Some(format!("{half}.{}.{kind}", if half == "encoder" { "ln_post" } else { "ln" }));
    }
    let (number, rest) = name.strip_prefix("layers.")?.split_once('.')?;
    let number: usize = number.parse().ok()?;
    let (module, kind) = rest.rsplit_once('.').filter(|(_, kind)| matches!(*kind, "weight" | "bias"))?;
    Some(format!("{half}.blocks.{number}.{}.{kind}", renamed(module)?))
}

fn renamed(module: &str) -> Option<&'static str> {
    MODULES.iter().find(|(theirs, _)| *theirs == module).map(|(_, ours)| *ours)
}

#[cfg(test)]
mod tests {
    use super::super::onnx::tests::model;
    use super::*;

    #[test]
    fn operations_and_stored_names_lead_to_the_checkpoints_names() {
        let operation = "/model/decoder/layers.3/encoder_attn/v_proj/MatMul_quant";
        assert_eq!(of_product("decoder", operation).unwrap(), "decoder.blocks.3.cross_attn.value.weight");
        assert_eq!(of_product("decoder", "/proj_out/MatMul"), None);
        let stored = "model.decoder.layers.11.final_layer_norm.bias_merged_0";
        assert_eq!(of_stored("decoder", stored).unwrap(), "decoder.blocks.11.mlp_ln.bias");
        assert_eq!(of_stored("encoder", "layer_norm.weight").unwrap(), "encoder.ln_post.weight");
        assert_eq!(of_stored("encoder", "conv1.weight_quantized").unwrap(), "encoder.conv1.weight");
        assert_eq!(of_stored("encoder", "onnx::MatMul_12_quantized"), None);
    }

    #[test]
    fn a_matrix_comes_with_rows_and_columns_as_the_checkpoint_has_them() {
        let encoder = Weights::parse(model("/layers.0/fc1/MatMul_quant", "onnx::MatMul_1_quantized")).unwrap();
        let decoder = Weights::parse(model("/layers.0/fc2/MatMul_quant", "onnx::MatMul_1_quantized")).unwrap();
        let mut model = Model::of(encoder, decoder);
        assert_eq!((model.blocks("encoder"), model.blocks("decoder")), (1, 0));
        let tensor = model.tensor("decoder.blocks.0.mlp.2.weight").unwrap();
        assert_eq!((tensor.shape, tensor.values), (vec![3, 2], vec![-1., 2., 0., 3., 1., -2.]));
    }
}

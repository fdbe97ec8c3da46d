//! A T5 model in 8 bit ONNX, encoder and decoder, under the parameter names of `transformers`.

use std::path::Path;

use super::ConvertError;
use super::onnx::Weights;
use super::tensor::Tensor;

/// A parameter's name, the half that has it, its name there, and whether rows stand for columns.
struct Place {
    name: String,
    decoder: bool,
    stored: String,
    transposed: bool,
}

/// Both halves, in memory.
pub(super) struct Model {
    encoder: Weights,
    decoder: Weights,
    /// Sorted by name, each name once.
    places: Vec<Place>,
}

impl Model {
    pub(super) fn read(encoder: &Path, decoder: &Path) -> Result<Self, ConvertError> {
        Ok(Self::of(Weights::read(encoder)?, Weights::read(decoder)?))
    }

    fn of(encoder: Weights, decoder: Weights) -> Self {
        let mut places = Vec::new();
        for (weights, decoder) in [(&encoder, false), (&decoder, true)] {
            let half = if decoder { "decoder" } else { "encoder" };
            let products = weights.products.iter().filter_map(|product| {
                let name = of_product(half, &product.name)?;
                Some(Place { name, decoder, stored: product.matrix.clone(), transposed: true })
            });
            let stored = weights.names.iter().filter_map(|stored| {
                let name = of_stored(half, stored)?;
                Some(Place { name, decoder, stored: stored.clone(), transposed: false })
            });
            places.extend(products.chain(stored));
        }
        // The sort is stable: of what both halves have, the encoder's stays.
        places.sort_by(|a, b| a.name.cmp(&b.name));
        places.dedup_by(|later, first| later.name == first.name);
        Self { encoder, decoder, places }
    }

    /// All parameter names, sorted.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.places.iter().map(|place| place.name.as_str())
    }

    /// A parameter.
    pub(super) fn tensor(&self, name: &str) -> Result<Tensor, ConvertError> {
        let at = self.places.binary_search_by(|place| place.name.as_str().cmp(name));
        let place = at.map_err(|_| ConvertError::Missing(name.to_owned())).map(|at| &self.places[at])?;
        let tensor = if place.decoder { &self.decoder } else { &self.encoder }.tensor(&place.stored)?;
        if place.transposed { tensor.transposed(name) } else { Ok(tensor) }
    }
}

/// The parameter of an operation such as "/block.0/layer.1/DenseReluDense/wi_0/MatMul_quant". Attention of the decoder
/// may have another element before the operation.
fn of_product(half: &str, operation: &str) -> Option<String> {
    if operation.contains("lm_head") {
        return Some("lm_head.weight".to_owned());
    }
    let path = &operation[operation.find("block.")?..];
    let mut elements = path.split('/');
    let (block, layer) = (elements.next()?, elements.next()?);
    let (module, matrix) = (elements.next()?, elements.next()?);
    let numbered = |element: &str, kind: &str| Some(element.strip_prefix(kind)?.parse::<usize>().is_ok());
    let known = matches!(module, "SelfAttention" | "EncDecAttention" | "DenseReluDense");
    let ends = elements.any(|element| element.starts_with("MatMul"));
    (numbered(block, "block.")? && numbered(layer, "layer.")? && known && ends)
        .then(|| format!("{half}.{block}.{layer}.{module}.{matrix}.weight"))
}

/// The parameter of a tensor that is stored under its own name.
fn of_stored(half: &str, stored: &str) -> Option<String> {
    let name = stored.strip_suffix("_quantized").unwrap_or(stored);
    if !name.ends_with(".weight") {
        return None;
    }
    if name.ends_with("relative_attention_bias.weight") {
        return Some(format!("{half}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"));
    }
    if name.ends_with("shared.weight") || name.ends_with("embed_tokens.weight") {
        return Some("shared.weight".to_owned());
    }
    let at = name.find("block.").or_else(|| name.find("final_layer_norm"))?;
    name.ends_with("layer_norm.weight").then(|| format!("{half}.{}", &name[at..]))
}

#[cfg(test)]
mod tests {
    use super::super::onnx::tests::model;
    use super::*;

    #[test]
    fn operations_and_stored_names_lead_to_parameter_names() {
        let product = |name| of_product("decoder", name);
        let wanted = Some("decoder.block.7.layer.1.EncDecAttention.k.weight".to_owned());
        assert_eq!(product("/m/decoder/block.7/layer.1/EncDecAttention/k/MatMul_quant"), wanted);
        assert_eq!(product("/decoder/block.7/layer.1/EncDecAttention/k/then/MatMul_quant"), wanted);
        assert_eq!(product("/decoder/block.7/layer.1/EncDecAttention/MatMul"), None);
        assert_eq!(product("/lm_head/MatMul_quant").unwrap(), "lm_head.weight");
        let norm = "enc.block.0.layer.1.layer_norm.weight";
        assert_eq!(of_stored("encoder", norm).unwrap(), "encoder.block.0.layer.1.layer_norm.weight");
        assert_eq!(
            of_stored("decoder", "m.decoder.final_layer_norm.weight").unwrap(),
            "decoder.final_layer_norm.weight"
        );
        assert_eq!(of_stored("encoder", "onnx::MatMul_3_quantized"), None);
    }

    #[test]
    fn what_both_halves_have_comes_once() {
        let half = || Weights::parse(model("/lm_head/MatMul", "shared.weight_quantized")).unwrap();
        let model = Model::of(half(), half());
        assert_eq!(model.names().collect::<Vec<_>>(), ["lm_head.weight", "shared.weight"]);
        assert_eq!(model.tensor("lm_head.weight").unwrap().shape, [3, 2]);
        assert_eq!(model.tensor("shared.weight").unwrap().shape, [2, 3]);
    }
}

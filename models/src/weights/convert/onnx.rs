//! ONNX: a graph as Protocol Buffers. Only the messages and fields that hold weights are read; field numbers are those of
//! `onnx.proto3`.

use std::collections::HashMap;
use std::path::Path;

use prost::Message;
use prost::bytes::Bytes;

use super::ConvertError;
use super::tensor::{Tensor, elements, from_f16, from_f32};

const FORMAT: &str = "ONNX model";

#[derive(Clone, PartialEq, Message)]
struct ModelProto {
    #[prost(message, optional, tag = "7")]
    graph: Option<GraphProto>,
}

#[derive(Clone, PartialEq, Message)]
struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    node: Vec<NodeProto>,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<TensorProto>,
}

#[derive(Clone, PartialEq, Message)]
struct NodeProto {
    #[prost(string, repeated, tag = "1")]
    input: Vec<String>,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(string, tag = "4")]
    op_type: String,
    #[prost(message, repeated, tag = "5")]
    attribute: Vec<AttributeProto>,
}

#[derive(Clone, PartialEq, Message)]
struct AttributeProto {
    #[prost(message, optional, tag = "6")]
    g: Option<GraphProto>,
    #[prost(message, repeated, tag = "11")]
    graphs: Vec<GraphProto>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorProto {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(float, repeated, tag = "4")]
    float_data: Vec<f32>,
    #[prost(int32, repeated, tag = "5")]
    int32_data: Vec<i32>,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes = "bytes", tag = "9")]
    raw_data: Bytes,
    #[prost(int32, tag = "14")]
    data_location: i32,
}

/// A multiplication by a stored matrix.
#[derive(Debug, Clone)]
pub(super) struct Product {
    /// The operation's name: the path of the module that it came from.
    pub(super) name: String,
    /// The stored matrix.
    pub(super) matrix: String,
}

/// The stored tensors of a graph and of the graphs in it.
pub(super) struct Weights {
    stored: HashMap<String, TensorProto>,
    /// Names in the order in which the graph has them.
    pub(super) names: Vec<String>,
    /// In the order in which the graph has them.
    pub(super) products: Vec<Product>,
}

impl Weights {
    pub(super) fn read(path: &Path) -> Result<Self, ConvertError> {
        Self::parse(std::fs::read(path)?)
    }

    pub(super) fn parse(bytes: Vec<u8>) -> Result<Self, ConvertError> {
        let model = ModelProto::decode(Bytes::from(bytes)).map_err(|e| malformed(e.to_string()))?;
        let graph = model.graph.ok_or_else(|| ConvertError::Missing("graph".to_owned()))?;
        let mut weights = Self { stored: HashMap::new(), names: Vec::new(), products: Vec::new() };
        weights.take_graph(graph);
        weights.products.retain(|product| weights.stored.contains_key(&product.matrix));
        Ok(weights)
    }

    /// Nesting is no deeper than prost lets it be.
    fn take_graph(&mut self, graph: GraphProto) {
        for tensor in graph.initializer {
            if !self.stored.contains_key(&tensor.name) {
                self.names.push(tensor.name.clone());
                self.stored.insert(tensor.name.clone(), tensor);
            }
        }
        for node in graph.node {
            if let ("MatMul" | "MatMulInteger", Some(matrix)) = (node.op_type.as_str(), node.input.get(1)) {
                self.products.push(Product { name: node.name, matrix: matrix.clone() });
            }
            for attribute in node.attribute {
                attribute.g.into_iter().chain(attribute.graphs).for_each(|graph| self.take_graph(graph));
            }
        }
    }

    /// A stored tensor. One that was quantised to 8 bit (`NAME_quantized`, with a scale and a zero point for the whole
    /// tensor beside it) comes as what it stands for.
    pub(super) fn tensor(&self, name: &str) -> Result<Tensor, ConvertError> {
        let stored = self.stored.get(name).ok_or_else(|| ConvertError::Missing(name.to_owned()))?;
        let mut tensor = plain(stored)?;
        if let Some(base) = name.strip_suffix("_quantized") {
            let (scale, zero) = (self.single(&format!("{base}_scale"))?, self.single(&format!("{base}_zero_point"))?);
            for value in &mut tensor.values {
                *value = (*value - zero) * scale;
            }
        }
        Ok(tensor)
    }

    fn single(&self, name: &str) -> Result<f32, ConvertError> {
        let stored = self.stored.get(name).ok_or_else(|| ConvertError::Missing(name.to_owned()))?;
        let tensor = plain(stored)?;
        match tensor.values.as_slice() {
            [value] => Ok(*value),
            _ => Err(ConvertError::Shape {
                name: name.to_owned(),
                found: tensor.shape,
                expected: "one value for the whole tensor".to_owned(),
            }),
        }
    }
}

/// The numbers as stored, as floats.
fn plain(stored: &TensorProto) -> Result<Tensor, ConvertError> {
    let name = &stored.name;
    let shape = stored.dims.iter().map(|size| usize::try_from(*size)).collect::<Result<Vec<_>, _>>();
    let shape = shape.map_err(|_| malformed(format!("{name} has a negative size")))?;
    if elements(&shape).is_none() {
        return Err(malformed(format!("{name} is too long")));
    }
    if stored.data_location != 0 {
        return Err(malformed(format!("{name} lies in another file")));
    }
    let raw = &stored.raw_data;
    let values: Vec<f32> = match (stored.data_type, raw.is_empty()) {
        (1, false) => from_f32(raw),
        (1, true) => stored.float_data.clone(),
        (10, false) => from_f16(raw),
        (2, false) => raw.iter().map(|b| f32::from(*b)).collect(),
        (3, false) => raw.iter().map(|b| f32::from(b.cast_signed())).collect(),
        (2, true) => stored
            .int32_data
            .iter()
            .map(|n| u8::try_from(*n).map(f32::from))
            .collect::<Result<_, _>>()
            .map_err(|_| malformed(format!("{name} has values beyond 8 bit")))?,
        (3, true) => stored
            .int32_data
            .iter()
            .map(|n| i8::try_from(*n).map(f32::from))
            .collect::<Result<_, _>>()
            .map_err(|_| malformed(format!("{name} has values beyond 8 bit")))?,
        (other, _) => return Err(malformed(format!("{name} holds values of kind {other}"))),
    };
    Tensor::new(name, shape, values)
}

fn malformed(what: String) -> ConvertError {
    ConvertError::Malformed { format: FORMAT, what }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An 8 bit matrix with scale 0.5 and zero point 2 in a graph within the graph, multiplied by an operation.
    pub(in super::super) fn model(operation: &str, matrix: &str) -> Vec<u8> {
        let base = matrix.trim_end_matches("_quantized");
        let tensor = |name: String, data_type, dims: Vec<i64>, raw: Vec<u8>| TensorProto {
            name,
            data_type,
            dims,
            raw_data: raw.into(),
            ..TensorProto::default()
        };
        let product = NodeProto {
            name: operation.to_owned(),
            op_type: "MatMulInteger".to_owned(),
            input: vec!["x".to_owned(), matrix.to_owned()],
            attribute: Vec::new(),
        };
        let inner = GraphProto {
            node: vec![product],
            initializer: vec![
                tensor(matrix.to_owned(), 3, vec![2, 3], vec![0, 2, 4, 6, 8, 0xfe]),
                tensor(format!("{base}_zero_point"), 3, vec![], vec![2]),
                tensor(format!("{base}_scale"), 1, vec![], 0.5f32.to_le_bytes().to_vec()),
            ],
        };
        let branch = NodeProto {
            op_type: "If".to_owned(),
            attribute: vec![AttributeProto { g: Some(inner), graphs: Vec::new() }],
            ..NodeProto::default()
        };
        let graph = GraphProto { node: vec![branch], initializer: Vec::new() };
        ModelProto { graph: Some(graph) }.encode_to_vec()
    }

    #[test]
    fn a_quantised_matrix_in_an_inner_graph_comes_as_what_it_stands_for() {
        let weights = Weights::parse(model("/fc1/MatMul", "w_quantized")).unwrap();
        assert_eq!(weights.products[0].name, "/fc1/MatMul");
        let tensor = weights.tensor("w_quantized").unwrap();
        assert_eq!((tensor.shape, tensor.values), (vec![2, 3], vec![-1., 0., 1., 2., 3., -2.]));
        assert!(matches!(weights.tensor("v"), Err(ConvertError::Missing(_))));
    }

    proptest! {
        #[test]
        fn a_changed_model_never_panics(changes in prop::collection::vec((any::<u16>(), any::<u8>()), 1..8)) {
            let mut bytes = model("/fc1/MatMul", "w_quantized");
            for (at, value) in changes {
                let at = usize::from(at) % bytes.len();
                bytes[at] = value;
            }
            if let Ok(weights) = Weights::parse(bytes) {
                for name in &weights.names {
                    let _ = weights.tensor(name);
                }
            }
        }
    }
}

//! A tensor of 32 bit floats, as it passes from one format to another.

use super::ConvertError;

/// Values in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tensor {
    /// Sizes of the dimensions, outermost first.
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f32>,
}

impl Tensor {
    pub(super) fn new(name: &str, shape: Vec<usize>, values: Vec<f32>) -> Result<Self, ConvertError> {
        if elements(&shape) != Some(values.len()) {
            return Err(ConvertError::Shape {
                name: name.to_owned(),
                found: shape,
                expected: format!("{} values", values.len()),
            });
        }
        Ok(Self { shape, values })
    }

    /// Of a matrix, the rows from `part * of` on, where there are `of` in a part.
    pub(super) fn rows(self, name: &str, part: usize, of: usize) -> Result<Self, ConvertError> {
        let width: usize = self.shape.iter().skip(1).product();
        let range = part * of * width..(part + 1) * of * width;
        let Some(values) = self.values.get(range) else {
            let expected = format!("rows {} to {}", part * of, (part + 1) * of);
            return Err(ConvertError::Shape { name: name.to_owned(), found: self.shape, expected });
        };
        let mut shape = self.shape.clone();
        shape[0] = of;
        Ok(Self { shape, values: values.to_vec() })
    }

    /// Of a matrix, rows for columns.
    pub(super) fn transposed(self, name: &str) -> Result<Self, ConvertError> {
        let (&[rows, columns], false) = (self.shape.as_slice(), self.values.is_empty()) else {
            return Err(ConvertError::Shape {
                name: name.to_owned(),
                found: self.shape,
                expected: "a matrix".to_owned(),
            });
        };
        let mut values = Vec::with_capacity(self.values.len());
        for column in 0..columns {
            values.extend((0..rows).map(|row| self.values[row * columns + column]));
        }
        Ok(Self { shape: vec![columns, rows], values })
    }
}

/// How many values a shape has; `None` if that is more than a machine can count.
pub(super) fn elements(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |product, size| product.checked_mul(*size))
}

/// 16 bit floats from little-endian bytes.
pub(super) fn from_f16(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(2).map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32()).collect()
}

/// 32 bit floats from little-endian bytes.
pub(super) fn from_f32(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_columns_come_out_as_asked_and_too_many_are_refused() {
        let matrix = Tensor::new("m", vec![4, 2], (0..8u8).map(f32::from).collect()).unwrap();
        assert_eq!(matrix.clone().rows("m", 1, 2).unwrap().values, [4.0, 5.0, 6.0, 7.0]);
        assert!(matrix.clone().rows("m", 2, 2).is_err());
        let turned = matrix.transposed("m").unwrap();
        assert_eq!((turned.shape, turned.values), (vec![2, 4], vec![0., 2., 4., 6., 1., 3., 5., 7.]));
        assert!(Tensor::new("m", vec![usize::MAX, 3], vec![]).is_err());
    }
}

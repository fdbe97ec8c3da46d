//! Weights in the number format that this machine multiplies fastest.
//!
//! whisper.cpp's files hold matrices as IEEE 16-bit floats, which a CPU widens before it multiplies. Where the processor
//! multiplies pairs of bfloat16 at once (AVX512_BF16: AMD from Zen 4 on, Intel from Cooper Lake on) the same matrices as bfloat16
//! cost a fifth less CPU for words as good (docs/benchmarks.md). They are as large, so they are rewritten in place, in
//! memory; the file stays as it was fetched and checked.

use std::ops::Range;
use std::sync::LazyLock;

/// How the file's head says what its matrices are (`ggml_ftype`): mostly f16, mostly bf16.
const FILE_F16: u32 = 1;
const FILE_BF16: u32 = 24;
/// How a tensor's head does (`ggml_type`).
const TENSOR_F32: u32 = 0;
const TENSOR_F16: u32 = 1;
const TENSOR_BF16: u32 = 30;
/// The number of the file's head that says it.
const FILE_TYPE_AT: usize = 11 * 4;
/// Whisper's tensors have no more.
const MOST_DIMENSIONS: u32 = 4;

/// Whether whisper.cpp, as it was built, multiplies bfloat16 with instructions of their own.
pub(super) fn is_native() -> bool {
    // Asked once: whisper.cpp writes the answer into one buffer, whoever asks.
    static NATIVE: LazyLock<bool> = LazyLock::new(|| {
        // On a graphics card other things hold.
        let on_cpu = !cfg!(any(feature = "cuda", feature = "vulkan", feature = "metal"));
        on_cpu && whisper_rs::print_system_info().contains("AVX512_BF16 = 1")
    });
    *NATIVE
}

/// A tensor of 16-bit floats that may become bfloat16.
struct Matrix {
    /// Where its head says what its values are.
    kind_at: usize,
    values: Range<usize>,
}

/// Rewrites a Whisper file in ggml format. False if it is not one of 16-bit floats, whole and well-formed: then not a byte
/// was changed.
pub(super) fn rewrite(file: &mut [u8]) -> bool {
    let Some(matrices) = matrices(file) else { return false };
    put(file, FILE_TYPE_AT, FILE_BF16);
    for matrix in matrices {
        put(file, matrix.kind_at, TENSOR_BF16);
        for value in file[matrix.values].chunks_exact_mut(2) {
            let narrow = half::f16::from_le_bytes([value[0], value[1]]);
            value.copy_from_slice(&half::bf16::from_f32(narrow.to_f32()).to_le_bytes());
        }
    }
    true
}

fn put(file: &mut [u8], at: usize, number: u32) {
    file[at..at + 4].copy_from_slice(&number.to_le_bytes());
}

/// All matrices; `None` if the file is not as expected to its last byte.
fn matrices(file: &[u8]) -> Option<Vec<Matrix>> {
    let mut at = FILE_TYPE_AT;
    if number(file, &mut at)? != FILE_F16 {
        return None;
    }
    let (mels, width) = (number(file, &mut at)?, number(file, &mut at)?);
    skip(file, &mut at, u64::from(mels).checked_mul(u64::from(width))?.checked_mul(4)?)?;
    for _ in 0..number(file, &mut at)? {
        let length = number(file, &mut at)?;
        skip(file, &mut at, u64::from(length))?;
    }
    let mut found = Vec::new();
    while at < file.len() {
        let (dimensions, name_length) = (number(file, &mut at)?, number(file, &mut at)?);
        let kind_at = at;
        let kind = number(file, &mut at)?;
        if dimensions > MOST_DIMENSIONS {
            return None;
        }
        let mut count = 1u64;
        for _ in 0..dimensions {
            count = count.checked_mul(u64::from(number(file, &mut at)?))?;
        }
        let name = skip(file, &mut at, u64::from(name_length))?;
        let size = match kind {
            TENSOR_F32 => 4,
            TENSOR_F16 => 2,
            _ => return None,
        };
        let values = skip(file, &mut at, count.checked_mul(size)?)?;
        // whisper.cpp has convolutions of 16-bit floats only.
        let convolution = file[name].windows(4).any(|part| part == b"conv");
        if kind == TENSOR_F16 && !convolution {
            found.push(Matrix { kind_at, values });
        }
    }
    Some(found)
}

fn number(file: &[u8], at: &mut usize) -> Option<u32> {
    let bytes = skip(file, at, 4)?;
    Some(u32::from_le_bytes(file[bytes].try_into().ok()?))
}

/// The next so many bytes.
fn skip(file: &[u8], at: &mut usize, count: u64) -> Option<Range<usize>> {
    let end = at.checked_add(usize::try_from(count).ok()?).filter(|end| *end <= file.len())?;
    Some(std::mem::replace(at, end)..end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A tensor of one row.
    fn tensor(name: &str, kind: u32, values: &[u8]) -> Vec<u8> {
        let count = values.len() as u32 / if kind == TENSOR_F32 { 4 } else { 2 };
        let mut bytes: Vec<u8> =
            [2, name.len() as u32, kind, count, 1].into_iter().flat_map(u32::to_le_bytes).collect();
        bytes.extend(name.as_bytes());
        bytes.extend(values);
        bytes
    }

    fn narrow(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| half::f16::from_f32(*value).to_le_bytes()).collect()
    }

    /// A file with two filters of one number, the tokens "a" and "bc", and these tensors.
    fn file(tensors: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes: Vec<u8> = [0; 11].into_iter().chain([FILE_F16, 2, 1]).flat_map(u32::to_le_bytes).collect();
        bytes.extend([0; 8]);
        bytes.extend([2u32, 1].into_iter().flat_map(u32::to_le_bytes));
        bytes.extend(b"a");
        bytes.extend(2u32.to_le_bytes());
        bytes.extend(b"bc");
        bytes.extend(tensors.concat());
        bytes
    }

    #[test]
    fn matrices_become_bfloat16_and_all_else_stays() {
        let bias = tensor("a.bias", TENSOR_F32, &1.5f32.to_le_bytes());
        let convolution = tensor("encoder.conv1.weight", TENSOR_F16, &narrow(&[0.1, 0.2]));
        let values = [1.0, -2.5, 0.1, 65504.0, 6e-8];
        let mut bytes = file(&[bias.clone(), tensor("a.weight", TENSOR_F16, &narrow(&values)), convolution.clone()]);
        assert!(rewrite(&mut bytes));
        let wide: Vec<u8> = values
            .iter()
            .flat_map(|value| half::bf16::from_f32(half::f16::from_f32(*value).to_f32()).to_le_bytes())
            .collect();
        let mut expected = file(&[bias, tensor("a.weight", TENSOR_BF16, &wide), convolution]);
        put(&mut expected, FILE_TYPE_AT, FILE_BF16);
        assert_eq!(bytes, expected);
    }

    #[test]
    fn a_file_that_is_cut_or_not_of_16_bit_floats_is_left_as_it_is() {
        let tensors = [tensor("a.weight", TENSOR_F16, &narrow(&[1.0, 2.0]))];
        let whole = file(&tensors);
        let head = file(&[]).len();
        for length in (0..whole.len()).filter(|length| *length != head) {
            let mut cut = whole[..length].to_vec();
            assert!(!rewrite(&mut cut), "{length}");
            assert_eq!(cut, whole[..length]);
        }
        for (at, number) in [(FILE_TYPE_AT, 9), (head, 5), (head + 8, 8), (48, u32::MAX)] {
            let mut other = whole.clone();
            put(&mut other, at, number);
            let before = other.clone();
            assert!(!rewrite(&mut other), "{number} at {at}");
            assert_eq!(other, before);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_what_is_refused_is_not_touched(
            noise in prop::collection::vec(any::<u8>(), 0..200),
            at in 0usize..200,
        ) {
            let mut bytes = file(&[tensor("a.weight", TENSOR_F16, &narrow(&[1.0; 40]))]);
            for (place, byte) in bytes.iter_mut().skip(at).zip(&noise) {
                *place = *byte;
            }
            let before = bytes.clone();
            if !rewrite(&mut bytes) {
                prop_assert_eq!(&bytes, &before);
            }
            let mut bytes = noise;
            rewrite(&mut bytes);
        }
    }
}

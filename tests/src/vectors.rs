//! Long rows of numbers in files, as a voice print would be kept: so that a scenario can say that none is.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;

/// So many numbers in a row are a vector. Voice prints have 256.
const ROW: usize = 64;

/// Files under `dir` that hold a vector: numbers of 4 or 8 bytes, wherever they begin, or written out in decimals.
///
/// # Errors
/// A folder cannot be read.
pub fn files_with_vectors(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files_with_vectors(&path)?);
        } else if holds_vector(&fs::read(&path).unwrap_or_default()) {
            found.push(path);
        }
    }
    Ok(found)
}

fn holds_vector(bytes: &[u8]) -> bool {
    let plausible = |value: f64| (1e-5..1.0).contains(&value.abs());
    let row = |width: usize, value: fn(&[u8]) -> f64| {
        (0..width).any(|from| {
            let mut run = 0;
            bytes.get(from..).unwrap_or_default().chunks_exact(width).any(|piece| {
                run = if plausible(value(piece)) { run + 1 } else { 0 };
                run >= ROW
            })
        })
    };
    row(4, |b| f64::from(f32::from_le_bytes(b.try_into().unwrap_or_default())))
        || row(8, |b| f64::from_le_bytes(b.try_into().unwrap_or_default()))
        || decimals(bytes)
}

/// Numbers with a point and four places or more, with nothing but signs and blanks between them.
fn decimals(bytes: &[u8]) -> bool {
    let mut run = 0;
    bytes.split(|b| !b.is_ascii_digit() && !b".-+eE, \n\t[]".contains(b)).any(|stretch| {
        run = 0;
        stretch.split(|b| b", \n\t[]".contains(b)).filter(|word| !word.is_empty()).any(|word| {
            let number = std::str::from_utf8(word).ok().and_then(|w| w.parse::<f64>().ok());
            let places = word.iter().rev().position(|b| *b == b'.').unwrap_or(0);
            run = if number.is_some() && places >= 4 { run + 1 } else { 0 };
            run >= ROW
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print() -> impl Iterator<Item = f32> {
        (1..=256u16).map(|n| (f32::from(n) * 0.7).sin() / 16.0 + 1e-4)
    }

    #[test]
    fn a_voice_print_is_found_in_whatever_form_it_is_kept() {
        let mut binary = b"SQLite format 3\0abc".to_vec();
        binary.extend(print().flat_map(f32::to_le_bytes));
        assert!(holds_vector(&binary));
        assert!(holds_vector(&print().flat_map(|n| f64::from(n).to_le_bytes()).collect::<Vec<_>>()));
        let text = print().map(|n| format!("{n:.6}")).collect::<Vec<_>>().join(", ");
        assert!(holds_vector(format!("{{\"voice\": [{text}]}}").as_bytes()));
    }

    #[test]
    fn words_times_and_noise_are_no_vector() {
        let mut seed = 9u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            seed.to_be_bytes()[0]
        })
        .take(1 << 20)
        .collect();
        assert!(!holds_vector(&noise));
        assert!(!holds_vector(&vec![0; 100_000]));
        let log = "2026-11-20T14:08:03.123456Z INFO 127.0.0.1:5060 took 0.0123 s\n".repeat(500);
        assert!(!holds_vector(log.as_bytes()));
    }
}

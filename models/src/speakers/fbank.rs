//! What the embedding network sees: 80 logarithmic mel energies of each 10 ms, as Kaldi computes them.
//!
//! 25 ms Hamming windows without dither, mean and pre-emphasis (0.97) removed, 512 point power spectrum, triangles from
//! 20 Hz to 8 kHz on the mel scale; samples count as 16 bit integers. At the end the mean of each band over the chosen
//! frames is taken off, which takes the line's colour with it. Source: Kaldi's `feature-fbank.cc`, `mel-computations.cc`.

use std::f64::consts::TAU;
use std::sync::Arc;

use realfft::num_complex::Complex32;
use realfft::{RealFftPlanner, RealToComplex};
use zeroize::{Zeroize, Zeroizing};

/// Mel bands of a frame.
pub const BANDS: usize = 80;
/// Samples of a frame, at 16 kHz.
pub const FRAME: usize = 400;
/// Samples between the starts of two frames.
pub const SHIFT: usize = 160;
const FFT: usize = 512;
const PRE_EMPHASIS: f32 = 0.97;

/// Windows, filters and a plan, made once. Cheap to share.
pub struct Fbank {
    fft: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    /// Per band: the first bin and the weights from there.
    filters: Vec<(usize, Vec<f32>)>,
}

impl Default for Fbank {
    fn default() -> Self {
        Self::new()
    }
}

impl Fbank {
    /// For sound at 16 kHz.
    pub fn new() -> Self {
        let window = (0..FRAME).map(|i| (0.54 - 0.46 * (TAU * i as f64 / (FRAME - 1) as f64).cos()) as f32).collect();
        Self { fft: RealFftPlanner::new().plan_fft_forward(FFT), window, filters: filters() }
    }

    /// Features of those frames of `pcm` whose numbers are given (frame `n` begins at sample `n * SHIFT` and must lie in
    /// `pcm`; others are passed over), row by row, less their mean.
    pub fn features(&self, pcm: &[i16], frames: &[usize]) -> Zeroizing<Vec<f32>> {
        let mut rows = Zeroizing::new(Vec::with_capacity(frames.len() * BANDS));
        let mut work = Zeroizing::new(vec![0.0f32; FFT]);
        let mut spectrum = vec![Complex32::default(); FFT / 2 + 1];
        let mut scratch = vec![Complex32::default(); self.fft.get_scratch_len()];
        for frame in frames {
            let Some(samples) = pcm.get(frame * SHIFT..frame * SHIFT + FRAME) else { continue };
            self.windowed(samples, &mut work);
            if self.fft.process_with_scratch(&mut work, &mut spectrum, &mut scratch).is_err() {
                continue;
            }
            for (first, weights) in &self.filters {
                let energy: f32 = weights.iter().zip(&spectrum[*first..]).map(|(w, bin)| w * bin.norm_sqr()).sum();
                rows.push(energy.max(f32::EPSILON).ln());
            }
        }
        for bin in spectrum.iter_mut().chain(&mut scratch) {
            bin.re.zeroize();
            bin.im.zeroize();
        }
        take_off_mean(&mut rows);
        rows
    }

    fn windowed(&self, samples: &[i16], out: &mut [f32]) {
        let mean = samples.iter().map(|s| f32::from(*s)).sum::<f32>() / FRAME as f32;
        let mut before = f32::from(samples[0]) - mean;
        for ((out, sample), window) in out.iter_mut().zip(samples).zip(&self.window) {
            let sample = f32::from(*sample) - mean;
            *out = (sample - PRE_EMPHASIS * before) * window;
            before = sample;
        }
        out[FRAME..].fill(0.0);
    }
}

fn take_off_mean(rows: &mut [f32]) {
    let count = rows.len() / BANDS;
    for band in 0..BANDS {
        let mean = rows.iter().skip(band).step_by(BANDS).sum::<f32>() / count.max(1) as f32;
        rows.iter_mut().skip(band).step_by(BANDS).for_each(|value| *value -= mean);
    }
}

fn filters() -> Vec<(usize, Vec<f32>)> {
    let mel = |hz: f64| 1127.0 * (1.0 + hz / 700.0).ln();
    let (low, high) = (mel(20.0), mel(8000.0));
    let step = (high - low) / (BANDS + 1) as f64;
    let triangle = |band: usize| {
        let left = low + band as f64 * step;
        let (centre, right) = (left + step, left + 2.0 * step);
        let weight = |bin: usize| {
            let at = mel(bin as f64 * 16_000.0 / FFT as f64);
            ((at - left) / (centre - left)).min((right - at) / (right - centre)).max(0.0) as f32
        };
        let bins: Vec<usize> = (0..FFT / 2).filter(|bin| weight(*bin) > 0.0).collect();
        (bins.first().copied().unwrap_or(0), bins.iter().map(|bin| weight(*bin)).collect())
    };
    (0..BANDS).map(triangle).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise whose loudness and colour change, made of whole numbers.
    fn noise() -> Vec<i16> {
        let (mut seed, mut y) = (12345i64, 0i64);
        let sample = |i: i64| {
            seed = (seed * 1_103_515_245 + 12345) % (1 << 31);
            let white = (seed >> 16) % 2001 - 1000;
            y = ((y * (i % 4000)).div_euclid(4400) + white * (1 + i / 4000)).clamp(-30_000, 30_000);
            (y + 500) as i16
        };
        (0..16_000).map(sample).collect()
    }

    #[test]
    fn features_are_those_of_kaldi() {
        // Every fifth band of three frames, as kaldi-native-fbank 1.22 has them (hamming, dither 0, 80 bands), less the mean
        // over all 98 frames.
        let kaldi: [(usize, [f32; 16]); 3] = [
            (
                0,
                [
                    -4.024, -2.330, -2.199, -2.593, -2.825, -3.215, -1.375, -1.767, -3.434, -1.840, -2.578, -1.800,
                    -1.112, -0.422, -2.034, -1.237,
                ],
            ),
            (
                40,
                [
                    -1.327, 0.506, 0.632, 1.504, 0.061, -0.209, -0.109, 1.012, -0.454, 0.236, 0.151, -0.168, 1.164,
                    -0.298, -1.136, -1.316,
                ],
            ),
            (
                97,
                [
                    4.460, 3.917, 3.708, 1.543, 1.921, 1.356, 1.504, 2.401, 1.669, 1.244, 2.076, 0.920, -0.218, 0.211,
                    0.910, 0.628,
                ],
            ),
        ];
        let rows = Fbank::new().features(&noise(), &(0..98).collect::<Vec<_>>());
        assert_eq!(rows.len(), 98 * BANDS);
        for (frame, theirs) in kaldi {
            for (band, theirs) in theirs.iter().enumerate() {
                let ours = rows[frame * BANDS + band * 5];
                assert!((ours - theirs).abs() < 2e-3, "frame {frame}, band {}: {ours}, Kaldi's {theirs}", band * 5);
            }
        }
    }

    #[test]
    fn frames_beyond_the_sound_are_passed_over_and_loudness_does_not_matter() {
        let pcm = noise();
        let half: Vec<i16> = pcm.iter().map(|s| s / 2 * 2).collect();
        let quiet: Vec<i16> = half.iter().map(|s| s / 2).collect();
        let fbank = Fbank::new();
        let frames = [3, 4, 50, 97, 98, 5000];
        let (loud, quiet) = (fbank.features(&half, &frames), fbank.features(&quiet, &frames));
        assert_eq!(loud.len(), 4 * BANDS);
        assert!(loud.iter().zip(quiet.iter()).all(|(a, b)| (a - b).abs() < 1e-2));
        assert!(fbank.features(&[], &[0]).is_empty());
    }
}

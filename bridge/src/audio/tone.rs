//! Tones made and tones found: signals for callers, and the ears of the tests.
//!
//! Levels are in dB below a sine that fills 16 bits (0 dB = amplitude 32 767).

use std::f64::consts::TAU;

/// A sine that goes on where it left off.
#[derive(Debug, Clone)]
pub struct Sine {
    step: f64,
    phase: f64,
    amplitude: f64,
}

impl Sine {
    /// `hz` at `level` dB, sampled at `rate`.
    #[must_use]
    pub fn new(hz: f32, level: f32, rate: u32) -> Self {
        let amplitude = 32_767.0 * 10f64.powf(f64::from(level.min(0.0)) / 20.0);
        Self { step: TAU * f64::from(hz) / f64::from(rate.max(1)), phase: 0.0, amplitude }
    }

    /// The next sample.
    pub fn sample(&mut self) -> i16 {
        let sample = self.phase.sin() * self.amplitude;
        self.phase = (self.phase + self.step) % TAU;
        sample.round() as i16
    }

    /// The next `samples`.
    pub fn take(&mut self, samples: usize) -> Vec<i16> {
        (0..samples).map(|_| self.sample()).collect()
    }
}

/// A signal for a caller: up to two frequencies at once, on and off.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Signal {
    /// Hz; zero for none.
    pub frequencies: [f32; 2],
    /// dB of each.
    pub level: f32,
    /// How long it sounds, ms.
    pub on_ms: u32,
    /// How long it is silent after that, ms.
    pub off_ms: u32,
    /// How often.
    pub times: u32,
}

impl Signal {
    /// A short high tone: what you say from now on is heard.
    pub const BEEP: Self = Self { frequencies: [1_000.0, 0.0], level: -20.0, on_ms: 200, off_ms: 0, times: 1 };
    /// Two short tones: the input was not understood.
    pub const WRONG: Self = Self { frequencies: [480.0, 620.0], level: -24.0, on_ms: 200, off_ms: 100, times: 2 };

    /// The signal as samples of `rate`; at most 30 s of it. Edges are faded over 5 ms, so that nothing clicks.
    #[must_use]
    pub fn render(&self, rate: u32) -> Vec<i16> {
        let samples = |ms: u32| (u64::from(ms) * u64::from(rate) / 1_000) as usize;
        let most = rate as usize * 30;
        let (on, off) = (samples(self.on_ms), samples(self.off_ms));
        let edge = samples(5).max(1);
        let mut out = Vec::new();
        for _ in 0..self.times {
            let mut tones: Vec<Sine> =
                self.frequencies.iter().filter(|&&hz| hz > 0.0).map(|&hz| Sine::new(hz, self.level, rate)).collect();
            for n in 0..on {
                let sum: i32 = tones.iter_mut().map(|tone| i32::from(tone.sample())).sum();
                let fade = (n + 1).min(on - n).min(edge) as f32 / edge as f32;
                out.push((sum as f32 * fade).clamp(f32::from(i16::MIN), f32::from(i16::MAX)) as i16);
            }
            out.resize(out.len() + off, 0);
            if out.len() >= most {
                break;
            }
        }
        out.truncate(most);
        out
    }
}

/// How strong one frequency is in `samples`, dB (Goertzel). -120 where there is nothing. Whole periods are best: with
/// 160 samples at 8 kHz, multiples of 50 Hz.
#[must_use]
pub fn tone_level(samples: &[i16], rate: u32, hz: f32) -> f32 {
    if samples.is_empty() {
        return -120.0;
    }
    let omega = TAU * f64::from(hz) / f64::from(rate.max(1));
    let coefficient = 2.0 * omega.cos();
    let (mut before, mut last) = (0.0, 0.0);
    for &sample in samples {
        (before, last) = (last, f64::from(sample) + coefficient * last - before);
    }
    let power = last * last + before * before - coefficient * last * before;
    let amplitude = 2.0 * power.max(0.0).sqrt() / samples.len() as f64;
    decibel(amplitude / 32_767.0)
}

/// The root mean square of `samples` as the level of a sine with the same power, dB. -120 for silence.
#[must_use]
pub fn level(samples: &[i16]) -> f32 {
    if samples.is_empty() {
        return -120.0;
    }
    let power: f64 = samples.iter().map(|&s| f64::from(s) * f64::from(s)).sum();
    decibel((2.0 * power / samples.len() as f64).sqrt() / 32_767.0)
}

fn decibel(ratio: f64) -> f32 {
    if ratio < 1e-6 { -120.0 } else { (20.0 * ratio.log10()) as f32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_found_at_its_own_frequency_only() {
        let pcm = Sine::new(450.0, -10.0, 8_000).take(1_600);
        assert!((tone_level(&pcm, 8_000, 450.0) + 10.0).abs() < 0.1);
        assert!(tone_level(&pcm, 8_000, 900.0) < -60.0);
        assert!((level(&pcm) + 10.0).abs() < 0.1);
        assert_eq!(level(&[0; 160]), -120.0);
    }

    #[test]
    fn a_signal_has_its_lengths_and_soft_edges() {
        let pcm = Signal::WRONG.render(8_000);
        assert_eq!(pcm.len(), 2 * (1_600 + 800));
        assert!(pcm[0].abs() < 200 && pcm[1_599].abs() < 200);
        assert!(tone_level(&pcm[200..1_400], 8_000, 480.0) > -25.0);
        let endless = Signal { times: u32::MAX, ..Signal::BEEP };
        assert_eq!(endless.render(8_000).len(), 240_000, "thirty seconds at most");
    }
}

//! Sound as numbers: what a recording holds, at which level, and where it has gaps. All levels are root mean square in dB of
//! full scale (a full-scale sine is -3.01 dB).

use std::{f64::consts::TAU, path::Path};

use anyhow::Context;

/// The least level that is ever given, so that silence is a number too.
pub const FLOOR_DB: f64 = -120.0;

/// One channel of sound.
#[derive(Debug, Clone)]
pub struct Recording {
    /// Samples a second.
    pub rate: u32,
    /// Samples, -1 to 1.
    pub samples: Vec<f64>,
}

/// dB of a ratio of powers.
fn db(power: f64) -> f64 {
    if power <= 1e-12 { FLOOR_DB } else { 10.0 * power.log10() }
}

#[expect(clippy::cast_precision_loss, reason = "counts of samples fit 52 bits")]
fn as_f64(n: usize) -> f64 {
    n as f64
}

/// Power of one frequency in a block (Goertzel under a Hann window), as of a sine: its mean square.
fn tone_power(block: &[f64], rate: u32, hz: f64) -> f64 {
    let n = as_f64(block.len());
    let w = TAU * hz / f64::from(rate);
    let (mut s1, mut s2) = (0.0, 0.0);
    for (i, x) in block.iter().enumerate() {
        let window = 0.5 - 0.5 * (TAU * as_f64(i) / n).cos();
        let s = 2.0_f64.mul_add(w.cos() * s1, x * window) - s2;
        (s2, s1) = (s1, s);
    }
    let energy = s1 * s1 + s2 * s2 - 2.0 * w.cos() * s1 * s2;
    // Amplitude of the sine: |X| * 2 / (n * 0.5); its mean square is half the square.
    let amplitude = energy.max(0.0).sqrt() * 4.0 / n;
    amplitude * amplitude / 2.0
}

impl Recording {
    /// Reads a WAV file; several channels are averaged.
    ///
    /// # Errors
    /// It cannot be read, or is not 16-bit PCM.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let mut reader = hound::WavReader::open(path).with_context(|| path.display().to_string())?;
        let spec = reader.spec();
        let all: Vec<f64> =
            reader.samples::<i16>().map(|s| s.map(|s| f64::from(s) / 32768.0)).collect::<Result<_, _>>()?;
        let channels = usize::from(spec.channels.max(1));
        let samples = all.chunks(channels).map(|c| c.iter().sum::<f64>() / as_f64(c.len())).collect();
        Ok(Self { rate: spec.sample_rate, samples })
    }

    /// A sine of this level.
    #[must_use]
    pub fn tone(rate: u32, hz: f64, seconds: f64, rms_db: f64) -> Self {
        let amplitude = 10_f64.powf(rms_db / 20.0) * std::f64::consts::SQRT_2;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a length in samples")]
        let count = (seconds * f64::from(rate)).round() as usize;
        let samples = (0..count).map(|i| amplitude * (TAU * hz * as_f64(i) / f64::from(rate)).sin()).collect();
        Self { rate, samples }
    }

    /// Writes it as 16-bit mono WAV.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: self.rate,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(path, spec).with_context(|| path.display().to_string())?;
        for s in &self.samples {
            #[expect(clippy::cast_possible_truncation, reason = "clamped")]
            writer.write_sample((s * 32767.0).round().clamp(-32768.0, 32767.0) as i16)?;
        }
        Ok(writer.finalize()?)
    }

    /// Its length in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        as_f64(self.samples.len()) / f64::from(self.rate)
    }

    /// A part of it, by time; what lies outside is left out.
    #[must_use]
    pub fn part(&self, from: f64, to: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in samples")]
        let at = |s: f64| ((s.max(0.0) * f64::from(self.rate)) as usize).min(self.samples.len());
        let (from, to) = (at(from), at(to).max(at(from)));
        Self { rate: self.rate, samples: self.samples[from..to].to_vec() }
    }

    /// Its level.
    #[must_use]
    pub fn rms_db(&self) -> f64 {
        if self.samples.is_empty() {
            return FLOOR_DB;
        }
        db(self.samples.iter().map(|s| s * s).sum::<f64>() / as_f64(self.samples.len()))
    }

    fn blocks(&self, ms: u32) -> impl Iterator<Item = &[f64]> {
        self.samples.chunks_exact((self.rate / 1000 * ms) as usize)
    }

    /// The level of one frequency: the median over blocks of 100 ms.
    #[must_use]
    pub fn tone_db(&self, hz: f64) -> f64 {
        median(self.blocks(100).map(|b| db(tone_power(b, self.rate, hz))).collect()).unwrap_or(FLOOR_DB)
    }

    /// The strongest level that one frequency ever has in a block of 100 ms.
    #[must_use]
    pub fn loudest_tone_db(&self, hz: f64) -> f64 {
        self.blocks(100).map(|b| db(tone_power(b, self.rate, hz))).fold(FLOOR_DB, f64::max)
    }

    /// The strongest frequency between 100 Hz and 3400 Hz, to about 2 Hz.
    #[must_use]
    pub fn peak_hz(&self) -> f64 {
        let block = &self.samples[..self.samples.len().min(self.rate as usize)];
        let strongest = |from: f64, to: f64, step: f64| {
            let mut best = (from, -1.0);
            let mut hz = from;
            while hz <= to {
                let p = tone_power(block, self.rate, hz);
                if p > best.1 {
                    best = (hz, p);
                }
                hz += step;
            }
            best.0
        };
        let short = (self.rate / 20) as usize; // 50 ms: 20 Hz wide, so that steps of 10 Hz miss nothing
        let coarse = {
            let part = Self { rate: self.rate, samples: block[..block.len().min(short)].to_vec() };
            let mut best = (0.0, -1.0);
            for step in 0..=330 {
                let hz = 100.0 + 10.0 * f64::from(step);
                let p = tone_power(&part.samples, self.rate, hz);
                if p > best.1 {
                    best = (hz, p);
                }
            }
            best.0
        };
        strongest(coarse - 15.0, coarse + 15.0, 1.0)
    }

    /// The share of 20 ms frames between the first and the last loud one that carry the tone at less than half its usual
    /// amplitude: dropped, concealed by silence, or noise.
    #[must_use]
    pub fn gaps(&self, hz: f64) -> f64 {
        let levels: Vec<f64> = self.blocks(20).map(|b| db(tone_power(b, self.rate, hz))).collect();
        let Some(usual) = median(levels.iter().copied().filter(|l| *l > -60.0).collect()) else { return 1.0 };
        let loud = |l: &f64| *l > usual - 6.0;
        let (Some(first), Some(last)) = (levels.iter().position(loud), levels.iter().rposition(loud)) else {
            return 1.0;
        };
        let inner = &levels[first..=last];
        as_f64(inner.iter().filter(|l| !loud(l)).count()) / as_f64(inner.len())
    }

    /// From the first to the last 20 ms that are louder than `level` dB.
    #[must_use]
    pub fn trimmed(&self, level: f64) -> Self {
        let frame = (self.rate / 50) as usize;
        let loud: Vec<bool> =
            self.blocks(20).map(|b| db(b.iter().map(|s| s * s).sum::<f64>() / as_f64(b.len())) > level).collect();
        match (loud.iter().position(|l| *l), loud.iter().rposition(|l| *l)) {
            (Some(a), Some(b)) => Self { rate: self.rate, samples: self.samples[a * frame..(b + 1) * frame].to_vec() },
            _ => Self { rate: self.rate, samples: Vec::new() },
        }
    }
}

/// The middle value; `None` of nothing.
#[must_use]
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_has_its_frequency_and_level_and_no_other() {
        let tone = Recording::tone(8000, 733.0, 3.0, -14.2);
        assert!((tone.rms_db() + 14.2).abs() < 0.05, "{}", tone.rms_db());
        assert!((tone.tone_db(733.0) + 14.2).abs() < 0.3, "{}", tone.tone_db(733.0));
        assert!(tone.tone_db(440.0) < -60.0, "{}", tone.tone_db(440.0));
        assert!((tone.peak_hz() - 733.0).abs() < 2.0, "{}", tone.peak_hz());
        assert!(tone.gaps(733.0) < 0.001);
    }

    #[test]
    fn missing_frames_are_gaps_and_silence_around_is_not() {
        let mut tone = Recording::tone(48_000, 440.0, 4.0, -14.2);
        for frame in [20, 21, 70, 100] {
            tone.samples[frame * 960..(frame + 1) * 960].fill(0.0);
        }
        assert!((tone.gaps(440.0) - 4.0 / 200.0).abs() < 0.0051, "{}", tone.gaps(440.0));
        let mut padded = vec![0.0; 48_000];
        padded.extend(&tone.samples);
        padded.extend(vec![0.0; 48_000]);
        let padded = Recording { rate: 48_000, samples: padded };
        assert!((padded.gaps(440.0) - tone.gaps(440.0)).abs() < 0.001);
        assert!((padded.trimmed(-50.0).seconds() - 4.0).abs() < 0.05);
        assert!((Recording { rate: 8000, samples: vec![0.0; 8000] }.gaps(440.0) - 1.0).abs() < 1e-9);
    }
}

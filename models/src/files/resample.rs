//! Any rate to 16 kHz with `rubato`'s FFT resampler: a sharp filter that passes the band and adds nothing above it.

use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Fft, FixedSync, Indexing, Resampler as _, WindowFunction};

use crate::speech::SAMPLE_RATE;

/// Frames that are resampled at a time. The longer, the sharper the filter: the pass band ends at 95 % of what the lower
/// rate can hold.
const CHUNK: usize = 1024;

/// One channel's way to 16 kHz.
pub struct Resampler {
    /// `None`: it is 16 kHz already.
    inner: Option<Fft<f32>>,
    rate: u32,
    /// Waits for a whole chunk.
    waiting: Vec<f32>,
    output: Vec<f32>,
    /// Samples still to be left out: the filter's delay.
    skip: usize,
    taken: u64,
    given: u64,
}

impl Resampler {
    /// For sound of this rate. An error names a rate that cannot be resampled.
    pub fn new(rate: u32) -> Result<Self, String> {
        let inner = if rate == SAMPLE_RATE {
            None
        } else {
            let (from, to) = (rate as usize, SAMPLE_RATE as usize);
            let window = WindowFunction::BlackmanHarris2;
            let made = Fft::<f32>::new_custom(from, to, CHUNK, 1, 1, window, FixedSync::Input);
            Some(made.map_err(|error| format!("sound of {rate} Hz cannot be resampled: {error}"))?)
        };
        let skip = inner.as_ref().map_or(0, rubato::Resampler::output_delay);
        let output = vec![0.0; inner.as_ref().map_or(0, rubato::Resampler::output_frames_max)];
        Ok(Self { inner, rate, waiting: Vec::new(), output, skip, taken: 0, given: 0 })
    }

    /// The rate of what goes in.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Adds sound from -1 to 1; what is ready at 16 kHz goes behind `out`.
    pub fn push(&mut self, sound: &[f32], out: &mut Vec<i16>) -> Result<(), String> {
        self.taken += sound.len() as u64;
        if self.inner.is_none() {
            self.given += sound.len() as u64;
            out.extend(sound.iter().map(|s| to_i16(*s)));
            return Ok(());
        }
        self.waiting.extend_from_slice(sound);
        let mut from = 0;
        while let Some(frames) = self.next_frames().filter(|frames| self.waiting.len() - from >= *frames) {
            let chunk = from..from + frames;
            self.resample(chunk, None, out)?;
            from += frames;
        }
        self.waiting.drain(..from);
        Ok(())
    }

    /// Gives the rest: as much in all as went in.
    pub fn finish(&mut self, out: &mut Vec<i16>) -> Result<(), String> {
        let wanted = (self.taken * u64::from(SAMPLE_RATE)).div_ceil(u64::from(self.rate));
        while self.given < wanted {
            let Some(frames) = self.next_frames() else { break };
            let rest = self.waiting.len().min(frames);
            let before = out.len();
            self.waiting.resize(frames.max(rest), 0.0);
            self.resample(0..frames, Some(rest), out)?;
            self.waiting.clear();
            if self.given > wanted {
                out.truncate(out.len() - (self.given - wanted) as usize);
                self.given = wanted;
            }
            debug_assert!(out.len() >= before);
        }
        Ok(())
    }

    fn next_frames(&self) -> Option<usize> {
        self.inner.as_ref().map(rubato::Resampler::input_frames_next)
    }

    fn resample(
        &mut self,
        chunk: std::ops::Range<usize>,
        partial: Option<usize>,
        out: &mut Vec<i16>,
    ) -> Result<(), String> {
        let Some(inner) = &mut self.inner else { return Ok(()) };
        let frames = chunk.len();
        let input = SequentialSlice::new(&self.waiting[chunk], 1, frames).map_err(|e| e.to_string())?;
        let room = self.output.len();
        let mut output = SequentialSlice::new_mut(&mut self.output, 1, room).map_err(|e| e.to_string())?;
        let indexing = partial.map(|frames| Indexing::new().partial_len(frames));
        let (_, made) = inner.process_into_buffer(&input, &mut output, indexing.as_ref()).map_err(|e| e.to_string())?;
        let skipped = self.skip.min(made);
        self.skip -= skipped;
        out.extend(self.output[skipped..made].iter().map(|s| to_i16(*s)));
        self.given += (made - skipped) as u64;
        Ok(())
    }
}

fn to_i16(sample: f32) -> i16 {
    (sample * 32_767.0).round().clamp(-32_768.0, 32_767.0) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: u32, hertz: f32, seconds: f32) -> Vec<f32> {
        let count = (rate as f32 * seconds) as u32;
        (0..count).map(|n| 0.5 * (std::f32::consts::TAU * hertz * n as f32 / rate as f32).sin()).collect()
    }

    fn resampled(rate: u32, sound: &[f32]) -> Vec<i16> {
        let mut resampler = Resampler::new(rate).unwrap();
        let mut out = Vec::new();
        // In blocks that fit no chunk.
        for block in sound.chunks(333) {
            resampler.push(block, &mut out).unwrap();
        }
        resampler.finish(&mut out).unwrap();
        out
    }

    /// Amplitude of a frequency in 16 kHz sound, leaving out the ends. 0.5 is that of [`tone`].
    fn amplitude(sound: &[i16], hertz: f32) -> f32 {
        let inner = &sound[1600..sound.len() - 1600];
        let (mut re, mut im) = (0.0f64, 0.0f64);
        for (n, sample) in inner.iter().enumerate() {
            let phase = f64::from(hertz) * std::f64::consts::TAU * n as f64 / 16_000.0;
            re += f64::from(*sample) / 32_767.0 * phase.cos();
            im += f64::from(*sample) / 32_767.0 * phase.sin();
        }
        (2.0 * re.hypot(im) / inner.len() as f64) as f32
    }

    #[test]
    fn every_usual_rate_keeps_its_tones_their_time_and_their_length() {
        for rate in [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000] {
            let sound = tone(rate, 1_000.0, 1.5);
            let out = resampled(rate, &sound);
            assert_eq!(out.len(), 24_000, "{rate}");
            assert!((amplitude(&out, 1_000.0) - 0.5).abs() < 0.01, "{rate}: {}", amplitude(&out, 1_000.0));
            // A click stays where it was.
            let mut click = vec![0.0; rate as usize];
            click[rate as usize / 2] = 1.0;
            let out = resampled(rate, &click);
            let loudest = (0..out.len()).max_by_key(|n| out[*n].unsigned_abs()).unwrap();
            assert!(loudest.abs_diff(8_000) <= 1, "{rate}: {loudest}");
        }
    }

    #[test]
    fn telephone_sound_gets_nothing_above_its_band() {
        for hertz in [300.0, 1_000.0, 3_000.0, 3_600.0] {
            let out = resampled(8_000, &tone(8_000, hertz, 1.5));
            assert!((amplitude(&out, hertz) - 0.5).abs() < 0.02, "{hertz}");
            // Its mirror image about 4 kHz, 60 dB below.
            assert!(amplitude(&out, 8_000.0 - hertz) < 0.0005, "{hertz}: {}", amplitude(&out, 8_000.0 - hertz));
        }
    }

    #[test]
    fn what_16_khz_cannot_hold_is_not_folded_into_it() {
        for hertz in [8_800.0, 10_000.0, 15_000.0] {
            let out = resampled(48_000, &tone(48_000, hertz, 1.5));
            assert!(amplitude(&out, (16_000.0 - hertz).abs()) < 0.0005, "{hertz}");
        }
    }
}

//! Mixing: each party hears everyone but itself, and many at once do not distort.

/// Peaks above this are brought down to it.
const CEILING: f32 = 32_000.0;
/// Samples over which the gain falls to a new peak.
const ATTACK: usize = 16;
/// Share of the way back to full gain per frame: about 100 ms at 20 ms frames.
const RELEASE: f32 = 0.2;

/// Keeps a listener's sum within 16 bits by turning it down, not by cutting peaks off. One per listener: it remembers its
/// gain. What fits passes unchanged, sample for sample.
#[derive(Debug, Clone)]
pub struct Limiter {
    gain: f32,
}

impl Default for Limiter {
    fn default() -> Self {
        Self { gain: 1.0 }
    }
}

impl Limiter {
    /// Writes the limited sum to `out`, as many samples as both have.
    pub fn limit(&mut self, sum: &[i32], out: &mut [i16]) {
        let peak = sum.iter().map(|s| s.unsigned_abs()).max().unwrap_or(0) as f32;
        // One voice at full scale is let through as it is.
        let wanted = if peak <= f32::from(i16::MAX) { 1.0 } else { CEILING / peak };
        let (from, to, over) = if wanted < self.gain {
            (self.gain, wanted, ATTACK)
        } else {
            (self.gain, self.gain + (wanted - self.gain) * RELEASE, sum.len())
        };
        let to = if wanted >= 1.0 && to > 0.99 { 1.0 } else { to };
        for (n, (sample, out)) in sum.iter().zip(out).enumerate() {
            let way = if over == 0 { 1.0 } else { ((n + 1) as f32 / over as f32).min(1.0) };
            let gain = from + (to - from) * way;
            let limited = *sample as f32 * gain;
            *out = limited.clamp(f32::from(i16::MIN), f32::from(i16::MAX)) as i16;
        }
        self.gain = to;
    }
}

/// One frame's sum of all parties.
#[derive(Debug, Clone, Default)]
pub struct Mix {
    sum: Vec<i32>,
}

impl Mix {
    /// A silent frame of `samples`.
    #[must_use]
    pub fn new(samples: usize) -> Self {
        Self { sum: vec![0; samples] }
    }

    /// Silence again.
    pub fn clear(&mut self) {
        self.sum.fill(0);
    }

    /// Adds a party. A shorter frame leaves the rest as it is.
    pub fn add(&mut self, frame: &[i16]) {
        for (sum, &sample) in self.sum.iter_mut().zip(frame) {
            *sum = sum.saturating_add(i32::from(sample));
        }
    }

    /// Turns everyone so far up or down, gliding over the frame from one gain to the other, so that nothing clicks.
    pub fn glide(&mut self, from: f32, to: f32) {
        let length = self.sum.len().max(1) as f32;
        for (n, sum) in self.sum.iter_mut().enumerate() {
            *sum = (*sum as f32 * (from + (to - from) * (n + 1) as f32 / length)) as i32;
        }
    }

    /// What somebody hears who is not in the mix.
    pub fn everyone(&self, limiter: &mut Limiter, out: &mut [i16]) {
        limiter.limit(&self.sum, out);
    }

    /// What the party hears whose frame `own` was added: all the others.
    pub fn all_but(&self, own: &[i16], limiter: &mut Limiter, out: &mut [i16]) {
        let mut others = self.sum.clone();
        for (sum, &sample) in others.iter_mut().zip(own) {
            *sum = sum.saturating_sub(i32::from(sample));
        }
        limiter.limit(&others, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{Sine, tone_level};

    #[test]
    fn one_party_passes_unchanged_even_at_full_scale() {
        let (mut mix, mut limiter) = (Mix::new(160), Limiter::default());
        let frame = Sine::new(440.0, 0.0, 8_000).take(160);
        mix.add(&frame);
        let mut out = [0; 160];
        mix.everyone(&mut limiter, &mut out);
        assert_eq!(out[..], frame[..]);
    }

    #[test]
    fn each_hears_everyone_but_itself() {
        let tones = [350.0, 600.0, 950.0];
        let frames: Vec<_> = tones.iter().map(|&hz| Sine::new(hz, -15.0, 8_000).take(160)).collect();
        let mut mix = Mix::new(160);
        frames.iter().for_each(|frame| mix.add(frame));
        for (me, own) in frames.iter().enumerate() {
            let mut out = [0; 160];
            mix.all_but(own, &mut Limiter::default(), &mut out);
            for (other, &hz) in tones.iter().enumerate() {
                let level = tone_level(&out, 8_000, hz);
                assert!(if me == other { level < -60.0 } else { (level + 15.0).abs() < 1.0 }, "{me} {other}: {level}");
            }
        }
    }

    #[test]
    fn ten_loud_parties_are_turned_down_and_not_cut_off() {
        let mut limiter = Limiter::default();
        let mut sine = Sine::new(400.0, -6.0, 8_000);
        let (mut mix, mut out) = (Mix::new(160), [0; 160]);
        for round in 0..50 {
            let frame = sine.take(160);
            mix.clear();
            (0..10).for_each(|_| mix.add(&frame));
            mix.everyone(&mut limiter, &mut out);
            if round > 0 {
                assert!(out.iter().all(|s| s.unsigned_abs() <= 32_001));
                assert!(tone_level(&out, 8_000, 1_200.0) < -45.0, "a cut sine would have a third harmonic");
            }
        }
        for _ in 0..50 {
            mix.clear();
            mix.add(&sine.take(160));
            mix.everyone(&mut limiter, &mut out);
        }
        let level = tone_level(&out, 8_000, 400.0);
        assert!((level + 6.0).abs() < 0.1, "full gain comes back: {level}");
    }
}

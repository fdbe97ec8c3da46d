//! Hides lost phone frames: the last pitch period again and again, fading to silence in 60 ms.
//!
//! After the idea of ITU-T G.711 Appendix I, simpler: the pitch is where the last 20 ms look most like what came before;
//! its period is repeated, the seams are cross-faded, and so is the return to real sound.

/// Samples kept: two of the longest period and the piece that is compared.
const HISTORY: usize = 400;
/// Pitch periods looked for: 200 Hz down to 66 Hz.
const LAGS: std::ops::RangeInclusive<usize> = 40..=120;
/// What is compared.
const PATTERN: usize = 160;
/// Cross-fade at a seam, 4 ms.
const SEAM: usize = 32;
/// Full level this long, then down to nothing at `FADED`.
const FULL: usize = 80;
const FADED: usize = 480;

/// State of one direction of one stream at 8 kHz.
#[derive(Debug, Clone)]
pub struct Concealer {
    history: Vec<i16>,
    /// The period being repeated.
    period: Vec<i16>,
    at: usize,
    /// Samples made up since the last real one.
    made: usize,
}

impl Default for Concealer {
    fn default() -> Self {
        Self { history: vec![0; HISTORY], period: Vec::new(), at: 0, made: 0 }
    }
}

impl Concealer {
    /// A real frame: remembered; its beginning is cross-faded where a made-up one came before. Any length.
    pub fn real(&mut self, frame: &mut [i16]) {
        if self.made > 0 {
            for (n, sample) in frame.iter_mut().take(SEAM * 2).enumerate() {
                let tail = self.next_made();
                let up = n as i32 + 1;
                let mixed =
                    (i32::from(*sample) * up + i32::from(tail) * (SEAM as i32 * 2 + 1 - up)) / (SEAM as i32 * 2 + 1);
                *sample = mixed as i16;
            }
            self.made = 0;
            self.period.clear();
        }
        self.remember(frame);
    }

    /// Silence was played (nothing is being sent): nothing to go on from.
    pub fn silence(&mut self, samples: usize) {
        self.made = 0;
        self.period.clear();
        self.remember(&vec![0; samples.min(HISTORY)]);
    }

    /// Fills `frame` with what might have come.
    pub fn conceal(&mut self, frame: &mut [i16]) {
        if self.period.is_empty() {
            self.period = self.find_period();
            self.at = 0;
        }
        for sample in frame {
            *sample = self.next_made();
        }
    }

    fn next_made(&mut self) -> i16 {
        let Some(&raw) = self.period.get(self.at) else { return 0 };
        self.at = (self.at + 1) % self.period.len();
        let gain = match self.made {
            n if n < FULL => 256,
            n if n < FADED => 256 * (FADED - n) / (FADED - FULL),
            _ => 0,
        };
        self.made += 1;
        ((i32::from(raw) * gain as i32) >> 8) as i16
    }

    fn remember(&mut self, frame: &[i16]) {
        let new = &frame[frame.len().saturating_sub(HISTORY)..];
        self.history.drain(..new.len());
        self.history.extend_from_slice(new);
    }

    /// The last pitch period, its end faded into what came before its beginning, so that it loops without a click.
    fn find_period(&self) -> Vec<i16> {
        let h = &self.history;
        let end = h.len();
        let tail = &h[end - PATTERN..];
        let mut best = (*LAGS.end(), f64::MIN);
        for lag in LAGS {
            let past = &h[end - PATTERN - lag..end - lag];
            let (mut dot, mut power) = (0_i64, 1_i64);
            for (a, b) in tail.iter().zip(past) {
                dot += i64::from(*a) * i64::from(*b);
                power += i64::from(*b) * i64::from(*b);
            }
            let score = dot as f64 / (power as f64).sqrt();
            // A little in favour of the shorter: a multiple of the period scores the same.
            if score > best.1 * 1.001 || best.1 == f64::MIN {
                best = (lag, score);
            }
        }
        let lag = best.0;
        let mut period = h[end - lag..].to_vec();
        let seam = SEAM.min(lag / 2);
        for n in 0..seam {
            let before = i32::from(h[end - lag - seam + n]);
            let at = lag - seam + n;
            let up = n as i32 + 1;
            let total = seam as i32 + 1;
            period[at] = ((i32::from(period[at]) * (total - up) + before * up) / total) as i16;
        }
        period
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f64, from: usize, len: usize) -> Vec<i16> {
        (from..from + len).map(|n| ((n as f64 * hz * std::f64::consts::TAU / 8_000.0).sin() * 8_000.0) as i16).collect()
    }

    fn rms(s: &[i16]) -> f64 {
        (s.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / s.len() as f64).sqrt()
    }

    #[test]
    fn a_lost_frame_of_a_tone_goes_on_as_the_tone() {
        for hz in [100.0, 200.0, 440.0] {
            let mut c = Concealer::default();
            for n in 0..5 {
                c.real(&mut tone(hz, n * 160, 160));
            }
            let mut got = [0; 160];
            c.conceal(&mut got);
            let want = tone(hz, 800, 160);
            let error: Vec<i16> = got.iter().zip(&want).map(|(a, b)| a.saturating_sub(*b)).collect();
            assert!(rms(&error[..80]) < rms(&want) * 0.4, "{hz}: {} of {}", rms(&error[..80]), rms(&want));
        }
    }

    #[test]
    fn no_click_at_either_seam_and_silence_after_60_ms() {
        let mut c = Concealer::default();
        let mut all = Vec::new();
        for n in 0..12_usize {
            let mut frame = tone(300.0, n * 160, 160);
            if (4..9).contains(&n) {
                c.conceal(&mut frame);
            } else {
                c.real(&mut frame);
            }
            all.extend(frame);
        }
        assert_eq!(rms(&all[7 * 160 + 1..9 * 160]), 0.0);
        let step = all.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs()).max().unwrap();
        // The tone itself steps by 1885 at most.
        assert!(step < 3_800, "{step}");
    }

    #[test]
    fn nothing_heard_yet_is_concealed_by_silence() {
        let mut got = [7; 160];
        Concealer::default().conceal(&mut got);
        assert_eq!(got, [0; 160]);
    }
}

//! What happens to sound on its way, made again for measuring: other rates, companding, lost packets.

/// Doubles the sample rate (8 kHz to 16 kHz) with a windowed-sinc low-pass at the old band's edge: nothing is added above
/// 4 kHz. For measuring; live sound is resampled by Opus.
pub fn upsample_8k_to_16k(pcm: &[i16]) -> Vec<i16> {
    const HALF: i64 = 16;
    let tap = |distance: f64| {
        let x = std::f64::consts::PI * distance;
        let sinc = if x == 0.0 { 1.0 } else { x.sin() / x };
        let window = 0.5 + 0.5 * (x / HALF as f64).cos();
        sinc * window
    };
    let between: Vec<f64> = (-HALF..HALF).map(|k| tap(k as f64 + 0.5)).collect();
    let mut out = Vec::with_capacity(pcm.len() * 2);
    for at in 0..pcm.len() as i64 {
        out.push(pcm[at as usize]);
        let sum: f64 = between
            .iter()
            .enumerate()
            .map(|(i, weight)| {
                let index = at - (i as i64 - HALF);
                usize::try_from(index).ok().and_then(|i| pcm.get(i)).map_or(0.0, |s| f64::from(*s) * weight)
            })
            .sum();
        out.push(sum.round().clamp(-32768.0, 32767.0) as i16);
    }
    out
}

/// Halves the sample rate (16 kHz to 8 kHz) behind a windowed-sinc low-pass at 3.6 kHz.
pub fn downsample_16k_to_8k(pcm: &[i16]) -> Vec<i16> {
    const HALF: i64 = 32;
    const CUT: f64 = 3600.0 / 16_000.0;
    let taps: Vec<f64> = (-HALF..=HALF)
        .map(|k| {
            let x = k as f64;
            let sinc =
                if k == 0 { 2.0 * CUT } else { (std::f64::consts::TAU * CUT * x).sin() / (std::f64::consts::PI * x) };
            sinc * (0.5 + 0.5 * (std::f64::consts::PI * x / HALF as f64).cos())
        })
        .collect();
    (0..pcm.len() as i64)
        .step_by(2)
        .map(|at| {
            let sum: f64 = (-HALF..=HALF)
                .zip(&taps)
                .filter_map(|(k, tap)| Some(f64::from(*pcm.get(usize::try_from(at + k).ok()?)?) * tap))
                .sum();
            sum.round().clamp(-32768.0, 32767.0) as i16
        })
        .collect()
}

/// What a telephone leaves of sound at 16 kHz: 8 kHz, eight bits by the µ-law, brought back to 16 kHz.
pub fn narrow_band(pcm: &[i16]) -> Vec<i16> {
    const MU: f64 = 255.0;
    let companded: Vec<i16> = downsample_16k_to_8k(pcm)
        .into_iter()
        .map(|sample| {
            let x = f64::from(sample) / 32_768.0;
            let step = (127.0 * (1.0 + MU * x.abs()).ln() / (1.0 + MU).ln()).round() / 127.0;
            (x.signum() * ((1.0 + MU).powf(step) - 1.0) / MU * 32_767.0).round() as i16
        })
        .collect();
    upsample_8k_to_16k(&companded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn power(pcm: &[i16], hz: f64) -> f64 {
        let (mut re, mut im) = (0.0, 0.0);
        for (i, s) in pcm.iter().enumerate() {
            let x = i as f64 * 2.0 * std::f64::consts::PI * hz / 16_000.0;
            re += f64::from(*s) * x.cos();
            im += f64::from(*s) * x.sin();
        }
        re * re + im * im
    }

    #[test]
    fn a_telephone_keeps_what_is_in_its_band_and_nothing_above() {
        let tones: Vec<i16> = (0..16_000)
            .map(|i| {
                let at = |hz: f64| (f64::from(i) * 2.0 * std::f64::consts::PI * hz / 16_000.0).sin();
                (6000.0 * at(1000.0) + 6000.0 * at(6000.0)) as i16
            })
            .collect();
        let heard = narrow_band(&tones);
        assert_eq!(heard.len(), tones.len());
        assert!((power(&heard, 1000.0) / power(&tones, 1000.0) - 1.0).abs() < 0.1);
        for gone in [6000.0, 2000.0, 7000.0] {
            assert!(power(&heard, gone) < power(&heard, 1000.0) * 1e-3, "{gone} Hz");
        }
    }

    #[test]
    fn upsampling_keeps_a_tone_and_adds_nothing_above_the_band() {
        let tone: Vec<i16> = (0..4000)
            .map(|i| (8000.0 * (f64::from(i) * 2.0 * std::f64::consts::PI * 1000.0 / 8000.0).sin()) as i16)
            .collect();
        let up = upsample_8k_to_16k(&tone);
        assert!(
            power(&up, 7000.0) < power(&up, 1000.0) * 1e-4,
            "the image of the tone is {:e} of it",
            power(&up, 7000.0) / power(&up, 1000.0)
        );
    }
}

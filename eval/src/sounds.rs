//! The recordings that are measured on: a fixed, spread sample of Debian's prompts.

use std::path::{Path, PathBuf};

use anyhow::Context;
use models::eval::nonspeech::Sound;
use models::eval::prompts::{ENGLISH, Prompt, Speaker, shared};
use models::eval::{normalise, upsample_8k_to_16k};

/// Reads 16-bit mono WAV of this rate.
///
/// # Errors
/// It cannot be read, or is of another kind; the message names the file.
pub fn wav(path: &Path, rate: u32) -> anyhow::Result<Vec<i16>> {
    let mut reader = hound::WavReader::open(path).with_context(|| path.display().to_string())?;
    let spec = reader.spec();
    anyhow::ensure!(
        spec.channels == 1 && spec.bits_per_sample == 16 && spec.sample_rate == rate,
        "{} has {} channels of {} bits at {} Hz; one of 16 bits at {rate} Hz is needed",
        path.display(),
        spec.channels,
        spec.bits_per_sample,
        spec.sample_rate
    );
    reader.samples::<i16>().collect::<Result<_, _>>().with_context(|| path.display().to_string())
}

/// Writes 16-bit mono WAV at 16 kHz.
///
/// # Errors
/// It cannot be written.
pub fn write_wav(path: &Path, pcm: &[i16]) -> anyhow::Result<()> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 16_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).with_context(|| path.display().to_string())?;
    for sample in pcm {
        writer.write_sample(*sample)?;
    }
    writer.finalize().with_context(|| path.display().to_string())
}

/// A prompt at the rate in which it was recorded for a telephone.
pub fn at_8k(prompt: &Prompt) -> anyhow::Result<Vec<i16>> {
    wav(&prompt.wav, 8000)
}

/// The same prompt in wideband, from its G.722 file beside the WAV.
pub fn at_16k(prompt: &Prompt) -> anyhow::Result<Vec<i16>> {
    use ezk_g722::libg722::{Bitrate, decoder::Decoder};
    let file = prompt.wav.with_extension("g722");
    let coded = std::fs::read(&file).with_context(|| file.display().to_string())?;
    Ok(Decoder::new(Bitrate::Mode1_64000, false, false).decode(&coded))
}

/// 16 kHz brought to 48 kHz by linear interpolation of the doubled rate: nothing above 8 kHz is added that would matter to a
/// recogniser that hears 16 kHz. There is no prompt recorded at 48 kHz.
pub fn at_48k(prompt: &Prompt) -> anyhow::Result<Vec<i16>> {
    let wide = at_16k(prompt)?;
    Ok(three_times(&wide))
}

/// Two samples between each two, under a windowed-sinc low-pass at 7.5 kHz.
fn three_times(pcm: &[i16]) -> Vec<i16> {
    const HALF: i64 = 48;
    let tap = |distance: f64| {
        let x = distance * 2.0 * 7500.0 / 48_000.0;
        let sinc = if x == 0.0 { 1.0 } else { (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x) };
        let window = 0.5 + 0.5 * (std::f64::consts::PI * distance / HALF as f64).cos();
        sinc * window * 3.0 * 2.0 * 7500.0 / 48_000.0
    };
    let taps: Vec<f64> = (-HALF..=HALF).map(|k| tap(k as f64)).collect();
    (0..pcm.len() as i64 * 3)
        .map(|at| {
            let sum: f64 = (-HALF..=HALF)
                .zip(&taps)
                .filter(|(k, _)| (at - k).rem_euclid(3) == 0)
                .filter_map(|(k, tap)| {
                    let index = usize::try_from((at - k).div_euclid(3)).ok()?;
                    Some(f64::from(*pcm.get(index)?) * tap)
                })
                .sum();
            sum.round().clamp(-32_768.0, 32_767.0) as i16
        })
        .collect()
}

/// One's own WAV: 16-bit mono at 8, 16 or 48 kHz, brought to 16 kHz.
///
/// # Errors
/// It cannot be read, or is of another kind; the message names the file.
pub fn any_wav(path: &Path) -> anyhow::Result<Vec<i16>> {
    let rate = hound::WavReader::open(path).with_context(|| path.display().to_string())?.spec().sample_rate;
    match rate {
        8000 => Ok(upsample_8k_to_16k(&wav(path, rate)?)),
        16_000 => wav(path, rate),
        48_000 => Ok(a_third(&wav(path, rate)?)),
        _ => anyhow::bail!("{} is at {rate} Hz; 8000, 16000 and 48000 are known", path.display()),
    }
}

/// Every third sample behind a windowed-sinc low-pass at 7.5 kHz.
fn a_third(pcm: &[i16]) -> Vec<i16> {
    const HALF: i64 = 48;
    const CUT: f64 = 2.0 * 7500.0 / 48_000.0;
    let tap = |k: i64| {
        let x = k as f64 * CUT;
        let sinc = if k == 0 { 1.0 } else { (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x) };
        sinc * (0.5 + 0.5 * (std::f64::consts::PI * k as f64 / HALF as f64).cos()) * CUT
    };
    let taps: Vec<f64> = (-HALF..=HALF).map(tap).collect();
    let at = |i: i64| usize::try_from(i).ok().and_then(|i| pcm.get(i)).map_or(0.0, |s| f64::from(*s));
    (0..pcm.len() as i64)
        .step_by(3)
        .map(|n| (-HALF..=HALF).zip(&taps).map(|(k, tap)| at(n + k) * tap).sum::<f64>().round() as i16)
        .collect()
}

/// `count` prompts of a speaker with at least four words, spread evenly over the package's list.
///
/// # Errors
/// The package is not there.
pub fn sample(speaker: &Speaker, count: usize) -> anyhow::Result<Vec<Prompt>> {
    let all: Vec<Prompt> = speaker
        .prompts()
        .with_context(|| format!("the prompts of {}", speaker.name))?
        .into_iter()
        .filter(|prompt| normalise(&prompt.text).len() >= 4)
        .collect();
    let step = (all.len() / count.max(1)).max(1);
    Ok(all.into_iter().step_by(step).take(count).collect())
}

/// Sounds of this speaker that last at least so long, at 16 kHz, whatever is said in them.
///
/// # Errors
/// The package is not there, or a file cannot be read.
pub fn long_ones(speaker: &Speaker, seconds: f64, count: usize) -> anyhow::Result<Vec<Vec<i16>>> {
    let mut long = Vec::new();
    for prompt in speaker.prompts()? {
        if long.len() == count {
            break;
        }
        let pcm = at_8k(&prompt)?;
        if pcm.len() as f64 >= seconds * 8000.0 {
            long.push(upsample_8k_to_16k(&pcm));
        }
    }
    Ok(long)
}

/// Real hold music from Debian's `asterisk-moh-opsound-wav` (CC-BY-SA-3.0), the first `seconds` of each piece; empty where
/// the package is not there.
///
/// # Errors
/// A file cannot be read.
pub fn hold_music(seconds: f64) -> anyhow::Result<Vec<Sound>> {
    let Ok(folder) = shared("asterisk/moh") else { return Ok(Vec::new()) };
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)?.filter_map(Result::ok).map(|e| e.path()).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "wav"));
    files.sort();
    files
        .iter()
        .map(|file| {
            let mut pcm = wav(file, 8000)?;
            pcm.truncate((seconds * 8000.0) as usize);
            let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            Ok(Sound { name: format!("recorded music, {name}"), pcm: upsample_8k_to_16k(&pcm) })
        })
        .collect()
}

/// The English voice's sample, for tables that need one voice with wideband too.
///
/// # Errors
/// The package is not there.
pub fn english(count: usize) -> anyhow::Result<Vec<Prompt>> {
    let mut sample = sample(&ENGLISH, count)?;
    sample.retain(|prompt| prompt.wav.with_extension("g722").is_file());
    Ok(sample)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_times_the_rate_keeps_a_tone_at_its_level() {
        let tone: Vec<i16> = (0..16_000)
            .map(|i| (8000.0 * (f64::from(i) * 1000.0 * std::f64::consts::TAU / 16_000.0).sin()) as i16)
            .collect();
        let wide = three_times(&tone);
        assert_eq!(wide.len(), 48_000);
        let inner = &wide[1000..47_000];
        let power = inner.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / inner.len() as f64;
        assert!((power / 32e6 - 1.0).abs() < 0.05, "{power}");
        let back = a_third(&wide);
        let worst = back[100..15_900].iter().zip(&tone[100..]).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst < Some(200), "{worst:?}");
    }
}

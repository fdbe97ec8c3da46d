//! What phone callers are told: WAV files of the operator's, or those that come with Roomtone.

use std::{io::Cursor, path::Path, sync::Arc};

use bridge::audio::PHONE_RATE;
use thiserror::Error;

use crate::desk::Prompt;

/// Why a prompt cannot be used.
#[derive(Debug, Error)]
pub enum PromptError {
    /// Not readable as WAV.
    #[error("prompt {name}: {source}")]
    Wav {
        /// File name.
        name: String,
        /// What is wrong.
        source: hound::Error,
    },
    /// Another format than the phone's.
    #[error("prompt {name}: needs 8000 Hz, mono, 16 bit; has {rate} Hz, {channels} channels, {bits} bit")]
    Format {
        /// File name.
        name: String,
        /// Samples per second.
        rate: u32,
        /// Channels.
        channels: u16,
        /// Bits per sample.
        bits: u16,
    },
}

/// The prompts, as 8 kHz samples.
#[derive(Clone)]
pub struct Prompts {
    consent: Arc<[i16]>,
    one_minute: Arc<[i16]>,
    half_minute: Arc<[i16]>,
    grant_changed: Arc<[i16]>,
}

impl Prompts {
    /// Reads `consent.wav`, `one-minute.wav`, `half-minute.wav` and `grant-changed.wav` from `folder`; what is not there is our own.
    ///
    /// # Errors
    /// [`PromptError`] names the file that is there and cannot be used.
    pub fn load(folder: Option<&Path>) -> Result<Self, PromptError> {
        let read = |name: &str, ours: &'static [u8]| match folder.map(|f| f.join(name)).filter(|p| p.exists()) {
            Some(path) => hound::WavReader::open(&path)
                .map_err(|source| PromptError::Wav { name: name.to_owned(), source })
                .and_then(|wav| samples(name, wav)),
            None => hound::WavReader::new(Cursor::new(ours))
                .map_err(|source| PromptError::Wav { name: name.to_owned(), source })
                .and_then(|wav| samples(name, wav)),
        };
        Ok(Self {
            consent: read("consent.wav", include_bytes!("../../prompts/en/consent.wav"))?,
            one_minute: read("one-minute.wav", include_bytes!("../../prompts/en/one-minute.wav"))?,
            half_minute: match folder.map(|f| f.join("half-minute.wav")).filter(|p| p.exists()) {
                Some(_) => read("half-minute.wav", &[])?,
                None => beeps(),
            },
            grant_changed: read("grant-changed.wav", include_bytes!("../../prompts/en/grant-changed.wav"))?,
        })
    }

    /// The samples of a prompt, 8 kHz.
    #[must_use]
    pub fn pcm(&self, prompt: Prompt) -> Arc<[i16]> {
        Arc::clone(match prompt {
            Prompt::Consent => &self.consent,
            Prompt::OneMinute => &self.one_minute,
            Prompt::HalfMinute => &self.half_minute,
            Prompt::GrantChanged => &self.grant_changed,
        })
    }
}

/// Three short beeps of 440 Hz, a quarter of full scale: known everywhere as "soon over", in no language.
#[allow(clippy::cast_possible_truncation, reason = "within a quarter of full scale")]
fn beeps() -> Arc<[i16]> {
    let rate = f64::from(PHONE_RATE);
    let ms = |ms: u32| PHONE_RATE / 1000 * ms;
    let beep = (0..ms(150)).map(|n| {
        // Begins and ends softly, so that nothing clicks.
        let edge = f64::from(n.min(ms(150) - n)) / f64::from(ms(10));
        (8192.0 * edge.min(1.0) * (std::f64::consts::TAU * 440.0 * f64::from(n) / rate).sin()) as i16
    });
    let one = beep.chain(std::iter::repeat_n(0, ms(100) as usize));
    one.clone().chain(one.clone()).chain(one).collect()
}

fn samples<R: std::io::Read>(name: &str, wav: hound::WavReader<R>) -> Result<Arc<[i16]>, PromptError> {
    let spec = wav.spec();
    if (spec.sample_rate, spec.channels, spec.bits_per_sample) != (PHONE_RATE, 1, 16) {
        let (rate, channels, bits) = (spec.sample_rate, spec.channels, spec.bits_per_sample);
        return Err(PromptError::Format { name: name.to_owned(), rate, channels, bits });
    }
    wav.into_samples::<i16>()
        .collect::<Result<Vec<_>, _>>()
        .map(Into::into)
        .map_err(|source| PromptError::Wav { name: name.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prompts_that_come_with_roomtone_are_usable() {
        let prompts = Prompts::load(None).unwrap();
        for (prompt, seconds) in [
            (Prompt::Consent, 3..15),
            (Prompt::OneMinute, 0..4),
            (Prompt::HalfMinute, 0..1),
            (Prompt::GrantChanged, 0..2),
        ] {
            let length = prompts.pcm(prompt).len() / PHONE_RATE as usize;
            assert!(seconds.contains(&length), "{prompt:?} lasts {length} s");
        }
    }

    #[test]
    fn a_prompt_of_another_format_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let spec = hound::WavSpec {
            channels: 2,
            sample_rate: 44_100,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        hound::WavWriter::create(folder.path().join("consent.wav"), spec).unwrap().finalize().unwrap();
        let error = Prompts::load(Some(folder.path())).err().unwrap().to_string();
        assert!(error.contains("consent.wav") && error.contains("44100"), "{error}");
    }
}

//! Decoding of files with `symphonia`, which reads all common kinds in safe Rust; Opus by its adapter over libopus, which
//! the calls use too. A file is not trusted: what cannot be decoded is skipped and counted, and time goes on.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::codecs::registry::CodecRegistry;
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::core::meta::MetadataOptions;
use symphonia::core::packet::Packet;

use super::FileError;

/// Sound of other rates is taken for a broken file.
const RATES: std::ops::RangeInclusive<u32> = 4_000..=384_000;
/// Files with more channels are mixes for cinemas, or broken.
const MOST_CHANNELS: usize = 32;
/// A packet that cannot be decoded stands for no more silence than this, in ms.
const LONGEST_PACKET_MS: u64 = 2_000;
/// A file whose packets fail so often in a row is broken for good.
const PATIENCE: u32 = 5_000;

/// An open file: blocks of sound until it ends.
pub struct Decoder {
    format: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track: u32,
    rate: u32,
    channels: usize,
    length_ms: Option<i64>,
    lost_frames: u64,
    failures: u32,
    broken: Option<String>,
    interleaved: Vec<f32>,
}

/// What came of reading on.
enum Step {
    Sound,
    Nothing,
    End,
}

fn codecs() -> &'static CodecRegistry {
    static CODECS: OnceLock<CodecRegistry> = OnceLock::new();
    CODECS.get_or_init(|| {
        let mut registry = CodecRegistry::new();
        symphonia::default::register_enabled_codecs(&mut registry);
        registry.register_audio_decoder::<symphonia_adapter_libopus::OpusDecoder>();
        registry
    })
}

impl Decoder {
    /// Opens a file and decodes nothing yet.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let file = File::open(path).map_err(|source| FileError::Open { path: path.to_owned(), source })?;
        if file.metadata().is_ok_and(|m| m.is_dir()) {
            let source = std::io::ErrorKind::IsADirectory.into();
            return Err(FileError::Open { path: path.to_owned(), source });
        }
        Self::read(Box::new(file), path)
    }

    /// As [`Decoder::open`], from anywhere. The path serves for its extension and for messages.
    pub fn read(from: Box<dyn MediaSource>, path: &Path) -> Result<Self, FileError> {
        let unreadable = |what: String| FileError::Unreadable { path: PathBuf::from(path), what };
        guarded(|| Self::begin(from, path)).and_then(|begun| begun).map_err(unreadable)
    }

    fn begin(from: Box<dyn MediaSource>, path: &Path) -> Result<Self, String> {
        let stream = MediaSourceStream::new(from, Default::default());
        let mut hint = Hint::new();
        if let Some(extension) = path.extension().and_then(|e| e.to_str()) {
            hint.with_extension(extension);
        }
        let format = symphonia::default::get_probe()
            .probe(&hint, stream, FormatOptions::default(), MetadataOptions::default())
            .map_err(|error| match error {
                Error::Unsupported(_) => "it is no sound of a known kind".to_owned(),
                other => other.to_string(),
            })?;
        let (track, decoder) = decoder_of(&*format)?;
        let mut opened = Self {
            format,
            decoder,
            track,
            rate: 0,
            channels: 0,
            length_ms: None,
            lost_frames: 0,
            failures: 0,
            broken: None,
            interleaved: Vec::new(),
        };
        opened.take_parameters()?;
        Ok(opened)
    }

    /// Rate, channels and length, as the file's head tells them.
    fn take_parameters(&mut self) -> Result<(), String> {
        let parameters = self.decoder.codec_params();
        let rate = parameters.sample_rate.unwrap_or(0);
        let channels = parameters.channels.as_ref().map_or(0, symphonia::core::audio::Channels::count);
        let track = self.format.tracks().iter().find(|t| t.id == self.track);
        let frames = track.and_then(|t| t.num_frames);
        self.set_shape(rate, channels)?;
        let length = frames.map(|frames| u128::from(frames) * 1000 / u128::from(rate));
        // A file may claim any length: one beyond a week is not believed.
        self.length_ms = length.and_then(|ms| i64::try_from(ms).ok()).filter(|ms| *ms < 7 * 86_400_000);
        Ok(())
    }

    fn set_shape(&mut self, rate: u32, channels: usize) -> Result<(), String> {
        if !RATES.contains(&rate) {
            return Err(format!("its sample rate is {rate} Hz"));
        }
        if !(1..=MOST_CHANNELS).contains(&channels) {
            return Err(format!("it has {channels} channels"));
        }
        (self.rate, self.channels) = (rate, channels);
        Ok(())
    }

    /// Samples per second of what comes next.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Channels of what comes next.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The length that the file claims, in ms.
    pub fn length_ms(&self) -> Option<i64> {
        self.length_ms
    }

    /// How much sound could not be decoded and came as silence, in ms.
    pub fn lost_ms(&self) -> u64 {
        self.lost_frames * 1000 / u64::from(self.rate.max(1))
    }

    /// Why the file ended before its end, if it did.
    pub fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    /// The next block, interleaved, values from -1 to 1; `None` at the end. Rate and channels may change between blocks.
    pub fn next_block(&mut self) -> Option<&[f32]> {
        loop {
            let step = match guarded(|| self.step()) {
                Ok(Ok(step)) => step,
                Ok(Err(what)) | Err(what) => {
                    self.broken = Some(what);
                    Step::End
                }
            };
            match step {
                Step::Sound if self.interleaved.is_empty() => {}
                Step::Sound => return Some(&self.interleaved),
                Step::Nothing => {}
                Step::End => return None,
            }
        }
    }

    fn step(&mut self) -> Result<Step, String> {
        if self.broken.is_some() {
            return Ok(Step::End);
        }
        let packet = match self.format.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => return Ok(Step::End),
            // Another stream is chained behind the first.
            Err(Error::ResetRequired) => {
                (self.track, self.decoder) = decoder_of(&*self.format)?;
                return Ok(Step::Nothing);
            }
            Err(Error::IoError(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                return Err("it was cut off".to_owned());
            }
            Err(error) => return Err(error.to_string()),
        };
        if packet.track_id != self.track {
            return Ok(Step::Nothing);
        }
        self.decode(&packet)
    }

    fn decode(&mut self, packet: &Packet) -> Result<Step, String> {
        let decoded = match self.decoder.decode(packet) {
            Ok(decoded) => decoded,
            Err(Error::DecodeError(_) | Error::IoError(_)) => {
                self.failures += 1;
                if self.failures > PATIENCE {
                    return Err("nothing in it can be decoded any more".to_owned());
                }
                let longest = u64::from(self.rate) * LONGEST_PACKET_MS / 1000;
                let frames = packet.dur.get().min(longest);
                self.lost_frames += frames;
                self.interleaved.clear();
                self.interleaved.resize(frames as usize * self.channels, 0.0);
                return Ok(Step::Sound);
            }
            Err(error) => return Err(error.to_string()),
        };
        self.failures = 0;
        decoded.copy_to_vec_interleaved(&mut self.interleaved);
        let (rate, channels) = (decoded.spec().rate(), decoded.spec().channels().count());
        self.set_shape(rate, channels)?;
        for sample in &mut self.interleaved {
            // Broken files of floats hold anything.
            *sample = if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 };
        }
        Ok(Step::Sound)
    }
}

fn decoder_of(format: &dyn FormatReader) -> Result<(u32, Box<dyn AudioDecoder>), String> {
    let track = format.default_track(TrackType::Audio).ok_or("there is no sound in it")?;
    let parameters = track.codec_params.as_ref().and_then(|p| p.audio()).ok_or("its sound is of an unknown kind")?;
    let decoder = codecs()
        .make_audio_decoder(parameters, &AudioDecoderOptions::default())
        .map_err(|error| format!("its sound cannot be decoded ({error})"))?;
    Ok((track.id, decoder))
}

/// Decoders are other people's code fed with anybody's bytes: a panic in one is the file's fault, not ours.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| "its decoder failed".to_owned())
}

//! An open recording as parties hear it: 16 kHz, all channels mixed or each by itself.

use std::path::Path;

use zeroize::Zeroizing;

use super::FileError;
use super::decode::Decoder;
use super::resample::Resampler;

/// Samples per ms at 16 kHz.
const PER_MS: i64 = 16;

/// A recording that is read bit by bit.
pub(super) struct Source {
    decoder: Decoder,
    lanes: Vec<Lane>,
    mixed: bool,
    ended: bool,
    /// What went wrong in it, beside what the decoder tells.
    failed: Option<String>,
}

struct Lane {
    resampler: Resampler,
    sound: Zeroizing<Vec<i16>>,
    /// Samples taken out so far.
    taken: i64,
    channel: Zeroizing<Vec<f32>>,
}

impl Source {
    pub(super) fn open(path: &Path, channels_apart: bool) -> Result<Self, FileError> {
        Self::of(Decoder::open(path)?, path, channels_apart)
    }

    pub(super) fn of(decoder: Decoder, path: &Path, channels_apart: bool) -> Result<Self, FileError> {
        let count = if channels_apart { decoder.channels() } else { 1 };
        let lane = |_| {
            let resampler =
                Resampler::new(decoder.rate()).map_err(|what| FileError::Unreadable { path: path.to_owned(), what })?;
            Ok(Lane { resampler, sound: Zeroizing::default(), taken: 0, channel: Zeroizing::default() })
        };
        let lanes = (0..count).map(lane).collect::<Result<_, FileError>>()?;
        Ok(Self { lanes, decoder, mixed: !channels_apart, ended: false, failed: None })
    }

    /// How many parties are on it.
    pub(super) fn lanes(&self) -> usize {
        self.lanes.len()
    }

    /// As [`Decoder::length_ms`].
    pub(super) fn length_ms(&self) -> Option<i64> {
        self.decoder.length_ms()
    }

    /// How much was taken, in ms. All lanes are taken alike.
    pub(super) fn position_ms(&self) -> i64 {
        self.lanes.first().map_or(0, |lane| lane.taken / PER_MS)
    }

    /// Whether there is nothing more.
    pub(super) fn ended(&self) -> bool {
        self.ended && self.lanes.iter().all(|lane| lane.sound.is_empty())
    }

    /// As [`Decoder::lost_ms`].
    pub(super) fn lost_ms(&self) -> u64 {
        self.decoder.lost_ms()
    }

    /// Why it ended before its end, if it did.
    pub(super) fn broken(&self) -> Option<&str> {
        self.failed.as_deref().or(self.decoder.broken())
    }

    /// Reads on until each lane has this much, in ms, or there is no more.
    pub(super) fn read(&mut self, ms: i64) {
        let wanted = (ms * PER_MS) as usize;
        while !self.ended && self.lanes.iter().any(|lane| lane.sound.len() < wanted) {
            if let Err(what) = self.read_block() {
                self.failed = Some(what);
                self.ended = true;
            }
        }
    }

    fn read_block(&mut self) -> Result<(), String> {
        let Some(block) = self.decoder.next_block() else {
            self.ended = true;
            return self.lanes.iter_mut().try_for_each(|lane| lane.resampler.finish(&mut lane.sound));
        };
        let block = Zeroizing::new(block.to_vec());
        let (rate, channels) = (self.decoder.rate(), self.decoder.channels());
        for (number, lane) in self.lanes.iter_mut().enumerate() {
            lane.channel.clear();
            let frames = block.chunks_exact(channels);
            if self.mixed {
                lane.channel.extend(frames.map(|frame| frame.iter().sum::<f32>() / channels as f32));
            } else {
                // A chained stream may have fewer channels: then the party is silent.
                lane.channel.extend(frames.map(|frame| frame.get(number).copied().unwrap_or(0.0)));
            }
            if lane.resampler.rate() != rate {
                lane.resampler.finish(&mut lane.sound)?;
                lane.resampler = Resampler::new(rate)?;
            }
            lane.resampler.push(&lane.channel, &mut lane.sound)?;
        }
        Ok(())
    }

    /// Takes all that a lane has now.
    pub(super) fn take(&mut self, lane: usize) -> Zeroizing<Vec<i16>> {
        let lane = &mut self.lanes[lane];
        lane.taken += lane.sound.len() as i64;
        std::mem::take(&mut lane.sound)
    }
}

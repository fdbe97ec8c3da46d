//! One remote party's sound: jitter buffer, decoder and concealment behind one tick.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::opus::{OpusDecoder, OpusError};
use crate::livekit::{FrameAudio, RemoteFrame};
use crate::rtp::{JitterBuffer, JitterConfig, JitterStats, Popped};

/// A party has a microphone and perhaps a shared screen; more streams at once than this are old ones.
const STREAMS: usize = 4;
/// A stream without any packet for so long has ended.
const ENDED_AFTER: Duration = Duration::from_secs(10);

/// What one frame of output is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Made {
    /// Nothing was sent.
    Silence,
    /// Sent, but missing: concealed.
    Concealed,
    /// As sent.
    Voice,
}

struct Stream {
    jitter: JitterBuffer<FrameAudio>,
    decoder: OpusDecoder,
    /// Decoded and not yet played.
    ready: Vec<i16>,
    /// Samples of one packet at our rate.
    packet: usize,
    last_packet: Instant,
    /// The last frame played was the server's silence: what is missing after it is more of it, not lost sound.
    muted: bool,
}

/// Takes the frames of one party as they arrive, gives samples in order at a steady pace. Lost packets are restored from
/// the next one (in-band FEC) or concealed; a party that sends nothing is silent.
pub struct PartyAudio {
    rate: u32,
    streams: BTreeMap<u32, Stream>,
    undecodable: u64,
}

impl PartyAudio {
    /// `rate`: of the samples to come out, 8, 16 or 48 kHz.
    #[must_use]
    pub fn new(rate: u32) -> Self {
        Self { rate, streams: BTreeMap::new(), undecodable: 0 }
    }

    /// Adds one frame, in any order. Too late or double: dropped, counted in the jitter buffer.
    ///
    /// # Errors
    /// [`OpusError::Rate`] where the rate is none of Opus's.
    pub fn frame(&mut self, frame: RemoteFrame) -> Result<(), OpusError> {
        if !self.streams.contains_key(&frame.stream) {
            if self.streams.len() >= STREAMS {
                let oldest = self.streams.iter().min_by_key(|(_, stream)| stream.last_packet).map(|(&id, _)| id);
                oldest.map(|id| self.streams.remove(&id));
            }
            let stream = Stream {
                jitter: JitterBuffer::new(JitterConfig::opus()),
                decoder: OpusDecoder::new(self.rate)?,
                ready: Vec::new(),
                packet: self.rate as usize / 50,
                last_packet: frame.arrived,
                muted: false,
            };
            self.streams.insert(frame.stream, stream);
        }
        if let Some(stream) = self.streams.get_mut(&frame.stream) {
            stream.last_packet = frame.arrived;
            stream.jitter.insert(frame.sequence, frame.timestamp, frame.arrived, frame.audio);
        }
        Ok(())
    }

    /// The next frame of sound, as long as `out` (20 ms). Call once per such time.
    pub fn tick(&mut self, now: Instant, out: &mut [i16]) -> Made {
        out.fill(0);
        let mut made = Made::Silence;
        let undecodable = &mut self.undecodable;
        for stream in self.streams.values_mut() {
            made = made.max(stream.fill(now, out.len(), self.rate, undecodable));
            let take = out.len().min(stream.ready.len());
            for (out, sample) in out.iter_mut().zip(stream.ready.drain(..take)) {
                *out = out.saturating_add(sample);
            }
        }
        let ended = |stream: &Stream| now.saturating_duration_since(stream.last_packet) > ENDED_AFTER;
        self.streams.retain(|_, stream| !ended(stream));
        made
    }

    /// Whether any stream of this party is going on, or ended less than 10 s ago.
    #[must_use]
    pub fn is_live(&self) -> bool {
        !self.streams.is_empty()
    }

    /// Counts of the streams that are going on, added up.
    #[must_use]
    pub fn stats(&self) -> JitterStats {
        self.streams.values().fold(JitterStats::default(), |mut all, stream| {
            let one = stream.jitter.stats();
            all.inserted += one.inserted;
            all.played += one.played;
            all.lost += one.lost;
            all.late += one.late;
            all.duplicate += one.duplicate;
            all.reordered += one.reordered;
            all.overflow += one.overflow;
            all.stretched += one.stretched;
            all.shrunk += one.shrunk;
            all.resynced += one.resynced;
            all
        })
    }

    /// Packets that were no Opus.
    #[must_use]
    pub fn undecodable(&self) -> u64 {
        self.undecodable
    }
}

impl Stream {
    fn fill(&mut self, now: Instant, samples: usize, rate: u32, undecodable: &mut u64) -> Made {
        let mut made = Made::Silence;
        while self.ready.len() < samples {
            match self.jitter.pop(now) {
                Popped::Frame(FrameAudio::Opus(packet)) => {
                    self.muted = false;
                    if let Some(duration) = OpusDecoder::duration(&packet) {
                        self.jitter.set_frame(duration);
                        self.packet = (u64::from(duration) * u64::from(rate) / 48_000) as usize;
                    }
                    if self.decoder.decode(&packet, &mut self.ready).is_ok() {
                        made = Made::Voice;
                    } else {
                        *undecodable += 1;
                        self.decoder.conceal(None, self.packet, &mut self.ready);
                        made = made.max(Made::Concealed);
                    }
                }
                Popped::Frame(FrameAudio::Silence) => {
                    self.muted = true;
                    self.ready.resize(self.ready.len() + self.packet.max(1), 0);
                }
                Popped::Lost if !self.muted => {
                    let following = match self.jitter.following() {
                        Some(FrameAudio::Opus(packet)) => Some(&packet[..]),
                        _ => None,
                    };
                    self.decoder.conceal(following, self.packet.max(1), &mut self.ready);
                    made = made.max(Made::Concealed);
                }
                Popped::Lost | Popped::Empty => self.ready.resize(self.ready.len() + self.packet.max(1), 0),
            }
        }
        made
    }
}

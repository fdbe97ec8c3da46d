//! Opus between the phone's 8 kHz, the recogniser's 16 kHz and the room's 48 kHz: the codec resamples by itself.

use bytes::Bytes;
use opus::{Application, Bitrate, Channels, Decoder, Encoder, Signal};
use thiserror::Error;

/// RTP clock of Opus, Hz, whatever its bandwidth (RFC 7587 4.1).
pub const OPUS_CLOCK: u32 = 48_000;
/// The longest packet that RFC 6716 allows, in milliseconds.
const LONGEST_MS: usize = 120;
/// More than any 20 ms frame at our bit rate needs.
const PACKET_MAX: usize = 400;
/// Bits a second for speech of 8 kHz: libopus calls the phone's band transparent from about 16 kbit/s.
const BITRATE: i32 = 20_000;
/// What the encoder expects to be lost, per cent. In-band FEC is written only where this is above zero.
const EXPECTED_LOSS: i32 = 5;
/// 0 to 10. At 5 a frame of 8 kHz costs 42 µs, and more is not heard at this band.
const COMPLEXITY: i32 = 5;

/// libopus said no.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OpusError {
    /// A rate or frame length that Opus does not have.
    #[error("opus does not work at {rate} hz")]
    Rate {
        /// As asked for.
        rate: u32,
    },
    /// A frame that cannot be encoded: its length is none of 2.5, 5, 10, 20, 40, 60 ms.
    #[error("a frame of {samples} samples is none that opus encodes")]
    Frame {
        /// Samples given.
        samples: usize,
    },
    /// A packet that cannot be decoded.
    #[error("a packet of {bytes} bytes is no opus: {why}")]
    Packet {
        /// Its length.
        bytes: usize,
        /// What libopus says.
        why: &'static str,
    },
}

/// One party's speech on its way to the room. Mono, voice, in-band FEC on, discontinuous transmission off.
pub struct OpusEncoder {
    inner: Encoder,
}

impl OpusEncoder {
    /// `rate`: of the samples that come, 8, 12, 16, 24 or 48 kHz.
    ///
    /// # Errors
    /// [`OpusError::Rate`] for any other.
    pub fn new(rate: u32) -> Result<Self, OpusError> {
        let wrong = |_| OpusError::Rate { rate };
        let mut inner = Encoder::new(rate, Channels::Mono, Application::Voip).map_err(wrong)?;
        inner.set_bitrate(Bitrate::Bits(BITRATE)).map_err(wrong)?;
        inner.set_complexity(COMPLEXITY).map_err(wrong)?;
        inner.set_signal(Signal::Voice).map_err(wrong)?;
        inner.set_inband_fec(true).map_err(wrong)?;
        inner.set_packet_loss_perc(EXPECTED_LOSS).map_err(wrong)?;
        inner.set_dtx(false).map_err(wrong)?;
        Ok(Self { inner })
    }

    /// Encodes one frame, 20 ms as a rule.
    ///
    /// # Errors
    /// [`OpusError::Frame`] for a length that Opus does not have.
    pub fn encode(&mut self, pcm: &[i16]) -> Result<Bytes, OpusError> {
        let packet = self.inner.encode_vec(pcm, PACKET_MAX);
        packet.map(Bytes::from).map_err(|_| OpusError::Frame { samples: pcm.len() })
    }
}

/// One stream of another party, decoded at the rate that the listener wants.
pub struct OpusDecoder {
    inner: Decoder,
    rate: u32,
}

impl OpusDecoder {
    /// `rate`: of the samples to come out, 8, 12, 16, 24 or 48 kHz. Stereo comes out as mono.
    ///
    /// # Errors
    /// [`OpusError::Rate`] for any other.
    pub fn new(rate: u32) -> Result<Self, OpusError> {
        let inner = Decoder::new(rate, Channels::Mono).map_err(|_| OpusError::Rate { rate })?;
        Ok(Self { inner, rate })
    }

    /// Decodes one packet; its samples come at the end of `out`.
    ///
    /// # Errors
    /// [`OpusError::Packet`]; `out` is then as it was.
    pub fn decode(&mut self, packet: &[u8], out: &mut Vec<i16>) -> Result<(), OpusError> {
        let longest = self.samples(LONGEST_MS);
        self.run(packet, longest, false, out)
    }

    /// Makes `samples` of sound in place of a lost packet, from the copy that the following packet carries if there is
    /// one, else from what was said before.
    pub fn conceal(&mut self, following: Option<&[u8]>, samples: usize, out: &mut Vec<i16>) {
        let before = out.len();
        // libopus conceals in steps of 2.5 ms.
        let step = self.samples(5) / 2;
        let asked = samples.next_multiple_of(step).clamp(step, self.samples(LONGEST_MS));
        let restored = following.is_some_and(|packet| self.run(packet, asked, true, out).is_ok());
        if !restored {
            // An empty packet means a lost one.
            let _ = self.run(&[], asked, false, out);
        }
        out.resize(before + samples, 0);
    }

    /// How long a packet is in samples of 48 kHz; `None` when it is no Opus.
    #[must_use]
    pub fn duration(packet: &[u8]) -> Option<u32> {
        let samples = opus::packet::get_nb_samples(packet, OPUS_CLOCK).ok()?;
        u32::try_from(samples).ok().filter(|&samples| samples > 0)
    }

    fn samples(&self, ms: usize) -> usize {
        self.rate as usize * ms / 1_000
    }

    fn run(&mut self, packet: &[u8], room: usize, fec: bool, out: &mut Vec<i16>) -> Result<(), OpusError> {
        let before = out.len();
        out.resize(before + room, 0);
        match self.inner.decode(packet, &mut out[before..], fec) {
            Ok(samples) => {
                out.truncate(before + samples);
                Ok(())
            }
            Err(error) => {
                out.truncate(before);
                Err(OpusError::Packet { bytes: packet.len(), why: error.description() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{Sine, level, tone_level};

    /// Half a second of tone through the codec, `lose` naming the packets that get lost.
    fn through(hz: f32, out_rate: u32, lose: impl Fn(usize) -> bool) -> Vec<i16> {
        let (mut sine, mut encoder) = (Sine::new(hz, -12.0, 8_000), OpusEncoder::new(8_000).unwrap());
        let mut decoder = OpusDecoder::new(out_rate).unwrap();
        let packets: Vec<_> = (0..50).map(|_| encoder.encode(&sine.take(160)).unwrap()).collect();
        let mut out = Vec::new();
        for (n, packet) in packets.iter().enumerate() {
            if lose(n) {
                let following = packets.get(n + 1).filter(|_| !lose(n + 1));
                decoder.conceal(following.map(|p| &p[..]), out_rate as usize / 50, &mut out);
            } else {
                decoder.decode(packet, &mut out).unwrap();
            }
        }
        assert_eq!(out.len(), out_rate as usize);
        out.split_off(out_rate as usize / 2)
    }

    #[test]
    fn a_phones_tone_keeps_its_level_at_every_rate() {
        for rate in [8_000, 16_000, 48_000] {
            let level = tone_level(&through(440.0, rate, |_| false), rate, 440.0);
            assert!((level + 12.0).abs() < 1.0, "{level} dB at {rate}");
        }
    }

    #[test]
    fn a_lost_packet_is_no_silence() {
        let out = through(440.0, 8_000, |n| n % 10 == 7);
        for (n, piece) in out.chunks(160).enumerate() {
            // Not at its frequency: where the phase jumps, a sine cancels itself in the measure. And a steady sine is what
            // SILK's prediction hangs on most, so it dips after a loss where speech does not; silence would be -120.
            let level = level(piece);
            assert!((-36.0..-8.0).contains(&level), "frame {n} has {level} dB");
        }
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let mut decoder = OpusDecoder::new(8_000).unwrap();
        let mut out = Vec::new();
        let mut seed = 1u32;
        for length in 0..200 {
            let bytes: Vec<u8> = (0..length)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (seed >> 24) as u8
                })
                .collect();
            let _ = decoder.decode(&bytes, &mut out);
            decoder.conceal(Some(&bytes), 160, &mut out);
            let _ = OpusDecoder::duration(&bytes);
        }
        assert_eq!(OpusEncoder::new(44_100).err(), Some(OpusError::Rate { rate: 44_100 }));
        assert_eq!(OpusEncoder::new(8_000).unwrap().encode(&[0; 7]), Err(OpusError::Frame { samples: 7 }));
    }
}

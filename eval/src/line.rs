//! The telephone line and the media server's path, with the program's own codecs and concealment, and packets lost in bursts.

use anyhow::Context;
use bridge::audio::g711::G711;
use bridge::audio::{OpusDecoder, OpusEncoder};
use bridge::rtp::Concealer;
use models::eval::nonspeech::Dice;
use models::eval::upsample_8k_to_16k;

/// Which 20 ms packets arrive: the Gilbert-Elliott model, with a good state that loses none and a bad one that loses four of
/// five; bad spells last five packets (100 ms) on average.
pub struct Losses {
    dice: Dice,
    bad: bool,
    enter: f64,
}

/// Share of packets lost in the bad state.
const LOST_WHEN_BAD: f64 = 0.8;
/// Chance to leave the bad state with each packet.
const LEAVE: f64 = 0.2;

impl Losses {
    /// `share` of all packets is lost in the long run, 0 to 0.5.
    pub fn new(share: f64, seed: u64) -> Self {
        // In the long run bad spells take enter / (enter + LEAVE) of the time.
        let bad = (share / LOST_WHEN_BAD).clamp(0.0, 0.9);
        Self { dice: Dice::new(seed), bad: false, enter: LEAVE * bad / (1.0 - bad) }
    }

    /// Whether the next packet is lost.
    pub fn next_is_lost(&mut self) -> bool {
        self.bad = if self.bad { self.dice.unit() >= LEAVE } else { self.dice.unit() < self.enter };
        self.bad && self.dice.unit() < LOST_WHEN_BAD
    }
}

/// 8 kHz sound as PCMU over a phone line that loses packets; heard at 16 kHz. Lost frames are concealed as the bridge does it.
pub fn phone(pcm8k: &[i16], losses: &mut Losses) -> Vec<i16> {
    const FRAME: usize = 160;
    let law = G711::Pcmu;
    let mut concealer = Concealer::default();
    let mut heard = Vec::with_capacity(pcm8k.len());
    for frame in pcm8k.chunks(FRAME) {
        let mut samples = [0i16; FRAME];
        if losses.next_is_lost() {
            concealer.conceal(&mut samples);
        } else {
            let mut packet = Vec::with_capacity(FRAME);
            law.encode_into(frame, &mut packet);
            for (to, byte) in samples.iter_mut().zip(packet) {
                *to = law.decode(byte);
            }
            concealer.real(&mut samples);
        }
        heard.extend_from_slice(&samples[..frame.len()]);
    }
    upsample_8k_to_16k(&heard)
}

/// Sound at 16 or 48 kHz as Opus, as a room's member sends it; heard at 16 kHz. A lost packet is made again from what the next
/// one says of it, else concealed by Opus.
///
/// # Errors
/// Opus refuses.
pub fn room(pcm: &[i16], rate: u32, losses: &mut Losses) -> anyhow::Result<Vec<i16>> {
    let frame = rate as usize / 50;
    let mut encoder = OpusEncoder::new(rate).with_context(|| format!("opus at {rate} Hz"))?;
    let mut packets = Vec::new();
    for chunk in pcm.chunks(frame) {
        let mut whole = chunk.to_vec();
        whole.resize(frame, 0);
        packets.push(encoder.encode(&whole)?);
    }
    let arrived: Vec<bool> = packets.iter().map(|_| !losses.next_is_lost()).collect();
    let mut decoder = OpusDecoder::new(16_000)?;
    let mut heard = Vec::with_capacity(packets.len() * 320);
    for (at, packet) in packets.iter().enumerate() {
        if arrived[at] {
            decoder.decode(packet, &mut heard)?;
        } else {
            let following = packets.get(at + 1).filter(|_| arrived[at + 1]);
            decoder.conceal(following.map(|p| &p[..]), 320, &mut heard);
        }
    }
    Ok(heard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_packets_are_lost_as_was_asked_for_and_in_bursts() {
        for share in [0.0, 0.01, 0.03, 0.05, 0.1] {
            let mut losses = Losses::new(share, 7);
            let lost: Vec<bool> = (0..200_000).map(|_| losses.next_is_lost()).collect();
            let count = lost.iter().filter(|l| **l).count();
            assert!((count as f64 / 200_000.0 - share).abs() < 0.1 * share + 1e-9, "{share}: {count}");
            let bursts = lost.windows(2).filter(|w| !w[0] && w[1]).count();
            assert!(count == 0 || count as f64 / bursts as f64 > 2.0, "{count} in {bursts} bursts");
        }
    }

    #[test]
    fn a_line_keeps_the_length_and_a_lossless_one_the_sound() {
        let tone = |rate: f64, count: usize| -> Vec<i16> {
            (0..count).map(|i| (8000.0 * (i as f64 * 440.0 * std::f64::consts::TAU / rate).sin()) as i16).collect()
        };
        let power = |pcm: &[i16]| pcm.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / pcm.len() as f64;
        let phone = phone(&tone(8000.0, 8000), &mut Losses::new(0.0, 1));
        assert_eq!(phone.len(), 16_000);
        let room = room(&tone(48_000.0, 48_000), 48_000, &mut Losses::new(0.0, 1)).unwrap();
        assert_eq!(room.len(), 16_000);
        for heard in [&phone, &room] {
            assert!((power(heard) / 32e6 - 1.0).abs() < 0.1, "{}", power(heard));
        }
        let torn = super::phone(&tone(8000.0, 8000), &mut Losses::new(0.3, 1));
        assert_eq!(torn.len(), 16_000);
        assert!(power(&torn) < power(&phone));
    }
}

//! What the phone hears: everyone in the room, and prompts over or instead of them. Sans-IO, one tick per 20 ms.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use crate::audio::{Limiter, Made, Mix, PHONE_FRAME, PHONE_RATE, PartyAudio, Signal};
use crate::livekit::{ParticipantIdentity, RemoteFrame};

/// Parties heard at once at most; frames of more are dropped and counted.
const PARTIES: usize = 64;
/// Prompts that may wait. More are refused.
const PROMPTS: usize = 16;
/// How loud the room stays under a prompt: -15 dB.
const DUCKED: f32 = 0.178;

/// What becomes of the room while a prompt plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// It goes on, more quietly.
    Duck,
    /// It is not heard.
    Replace,
}

/// Something spoken or sounded to the caller only.
#[derive(Clone)]
pub struct Prompt {
    /// 8 kHz.
    pub pcm: Arc<[i16]>,
    /// What becomes of the room meanwhile.
    pub over: Over,
}

impl std::fmt::Debug for Prompt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Prompt({} ms, {:?})", self.pcm.len() * 1_000 / PHONE_RATE as usize, self.over)
    }
}

impl Prompt {
    /// A signal as a prompt, over the room.
    #[must_use]
    pub fn signal(signal: &Signal) -> Self {
        Self { pcm: signal.render(PHONE_RATE).into(), over: Over::Duck }
    }
}

/// Counts of what the phone was given of the room, in frames of 20 ms per party.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RoomStats {
    /// Frames as they were sent.
    pub voice: u64,
    /// Frames concealed.
    pub concealed: u64,
    /// Frames of parties that sent nothing.
    pub silent: u64,
    /// Frames dropped because too many parties spoke.
    pub crowded: u64,
    /// Most parties at once.
    pub parties_at_once: usize,
}

/// One tick's account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tick {
    /// The best of what any party gave.
    pub(super) room: Made,
    /// A prompt has come to its end, and none waits.
    pub(super) prompts_over: bool,
}

/// See the module.
pub(super) struct RoomSound {
    parties: BTreeMap<ParticipantIdentity, PartyAudio>,
    prompts: VecDeque<Prompt>,
    at: usize,
    gain: f32,
    mix: Mix,
    limiter: Limiter,
    stats: RoomStats,
}

impl RoomSound {
    pub(super) fn new() -> Self {
        Self {
            parties: BTreeMap::new(),
            prompts: VecDeque::new(),
            at: 0,
            gain: 1.0,
            mix: Mix::new(PHONE_FRAME),
            limiter: Limiter::default(),
            stats: RoomStats::default(),
        }
    }

    pub(super) fn frame(&mut self, frame: RemoteFrame) {
        if !self.parties.contains_key(&frame.from) {
            if self.parties.len() >= PARTIES {
                self.stats.crowded += 1;
                return;
            }
            self.parties.insert(frame.from.clone(), PartyAudio::new(PHONE_RATE));
            self.stats.parties_at_once = self.stats.parties_at_once.max(self.parties.len());
        }
        if let Some(party) = self.parties.get_mut(&frame.from) {
            party.frame(frame).expect("8 kHz is a rate of opus");
        }
    }

    pub(super) fn party_left(&mut self, who: &ParticipantIdentity) {
        self.parties.remove(who);
    }

    /// Puts a prompt behind those that wait; false when too many do.
    pub(super) fn play(&mut self, prompt: Prompt) -> bool {
        let fits = self.prompts.len() < PROMPTS && !prompt.pcm.is_empty();
        if fits {
            self.prompts.push_back(prompt);
        }
        fits
    }

    pub(super) fn stop_prompts(&mut self) {
        self.prompts.clear();
        self.at = 0;
    }

    pub(super) fn tick(&mut self, now: Instant, out: &mut [i16; PHONE_FRAME]) -> Tick {
        self.mix.clear();
        let mut room = Made::Silence;
        let mut frame = [0; PHONE_FRAME];
        for party in self.parties.values_mut() {
            let made = party.tick(now, &mut frame);
            match made {
                Made::Voice => self.stats.voice += 1,
                Made::Concealed => self.stats.concealed += 1,
                Made::Silence => self.stats.silent += 1,
            }
            room = room.max(made);
            self.mix.add(&frame);
        }
        self.parties.retain(|_, party| party.is_live());
        let gain = match self.prompts.front().map(|prompt| prompt.over) {
            None => 1.0,
            Some(Over::Duck) => DUCKED,
            Some(Over::Replace) => 0.0,
        };
        if gain != 1.0 || self.gain != 1.0 {
            self.mix.glide(self.gain, gain);
        }
        self.gain = gain;
        let played = self.add_prompts();
        self.mix.everyone(&mut self.limiter, out);
        Tick { room, prompts_over: played && self.prompts.is_empty() }
    }

    fn add_prompts(&mut self) -> bool {
        let (mut frame, mut filled) = ([0; PHONE_FRAME], 0);
        while filled < PHONE_FRAME {
            let Some(prompt) = self.prompts.front() else { break };
            let rest = &prompt.pcm[self.at.min(prompt.pcm.len())..];
            let take = rest.len().min(PHONE_FRAME - filled);
            frame[filled..filled + take].copy_from_slice(&rest[..take]);
            filled += take;
            self.at += take;
            if take == rest.len() {
                self.prompts.pop_front();
                self.at = 0;
            }
        }
        self.mix.add(&frame[..filled]);
        filled > 0
    }

    pub(super) fn stats(&self) -> RoomStats {
        self.stats
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{OpusEncoder, Sine, level, tone_level};
    use crate::livekit::FrameAudio;
    use std::time::Duration;

    struct Voice {
        name: &'static str,
        sine: Sine,
        encoder: OpusEncoder,
        sequence: u64,
    }

    impl Voice {
        fn new(name: &'static str, hz: f32) -> Self {
            Self { name, sine: Sine::new(hz, -14.0, 8_000), encoder: OpusEncoder::new(8_000).unwrap(), sequence: 0 }
        }

        fn next(&mut self, arrived: Instant) -> RemoteFrame {
            self.sequence += 1;
            RemoteFrame {
                from: ParticipantIdentity(self.name.into()),
                stream: 1,
                sequence: self.sequence,
                timestamp: self.sequence * 960,
                arrived,
                audio: FrameAudio::Opus(self.encoder.encode(&self.sine.take(160)).unwrap()),
            }
        }
    }

    struct Case {
        room: RoomSound,
        voices: Vec<Voice>,
        now: Instant,
    }

    impl Case {
        fn new(voices: &[(&'static str, f32)]) -> Self {
            let voices = voices.iter().map(|&(name, hz)| Voice::new(name, hz)).collect();
            Self { room: RoomSound::new(), voices, now: Instant::now() }
        }

        /// So many frames; packets for which `lost` says so do not come.
        fn run(&mut self, frames: usize, lost: impl Fn(usize) -> bool) -> (Vec<i16>, Vec<Tick>) {
            let (mut pcm, mut ticks) = (Vec::new(), Vec::new());
            for n in 0..frames {
                for voice in &mut self.voices {
                    let frame = voice.next(self.now);
                    if !lost(n) {
                        self.room.frame(frame);
                    }
                }
                let mut out = [0; PHONE_FRAME];
                ticks.push(self.room.tick(self.now, &mut out));
                pcm.extend_from_slice(&out);
                self.now += Duration::from_millis(20);
            }
            (pcm, ticks)
        }
    }

    #[test]
    fn the_phone_hears_every_party_at_its_level() {
        let mut case = Case::new(&[("a", 400.0), ("b", 700.0), ("c", 1_100.0)]);
        case.run(25, |_| false);
        let (pcm, _) = case.run(50, |_| false);
        for hz in [400.0, 700.0, 1_100.0] {
            let level = tone_level(&pcm, 8_000, hz);
            assert!((level + 14.0).abs() < 1.0, "{hz} Hz: {level}");
        }
        case.room.party_left(&ParticipantIdentity("b".into()));
        case.voices.remove(1);
        let (pcm, _) = case.run(50, |_| false);
        assert!(tone_level(&pcm[2_000..], 8_000, 700.0) < -50.0);
    }

    #[test]
    fn gaps_are_concealed_and_counted() {
        let mut case = Case::new(&[("a", 400.0)]);
        case.run(50, |_| false);
        let (pcm, ticks) = case.run(200, |n| n % 20 == 10);
        assert!(ticks.iter().all(|tick| tick.room != Made::Silence));
        assert!(case.room.stats().concealed >= 8, "{:?}", case.room.stats());
        for (n, frame) in pcm.chunks(160).enumerate() {
            let level = level(frame);
            assert!((-36.0..-10.0).contains(&level), "frame {n} has {level} dB");
        }
    }

    #[test]
    fn a_prompt_ducks_or_replaces_the_room_and_then_it_is_back() {
        for (over, under) in [(Over::Duck, -29.0), (Over::Replace, -120.0)] {
            let mut case = Case::new(&[("a", 400.0)]);
            case.run(25, |_| false);
            let pcm: Arc<[i16]> = Sine::new(1_000.0, -10.0, 8_000).take(4_000).into();
            assert!(case.room.play(Prompt { pcm, over }));
            let (during, ticks) = case.run(25, |_| false);
            assert_eq!(ticks.iter().position(|tick| tick.prompts_over), Some(24), "told with its last frame");
            assert!((tone_level(&during, 8_000, 1_000.0) + 10.0).abs() < 0.5);
            let room = tone_level(&during[160..], 8_000, 400.0);
            assert!((room - under).abs() < 1.5 || (under < -100.0 && room < -60.0), "{over:?}: {room}");
            let (after, _) = case.run(25, |_| false);
            assert!((tone_level(&after[160..], 8_000, 400.0) + 14.0).abs() < 1.0);
            assert!(tone_level(&after, 8_000, 1_000.0) < -50.0);
        }
    }

    #[test]
    fn prompts_play_one_after_the_other_and_stop_at_once() {
        let mut case = Case::new(&[]);
        let prompt = |hz| Prompt { pcm: Sine::new(hz, -10.0, 8_000).take(1_600).into(), over: Over::Replace };
        assert!(case.room.play(prompt(500.0)) && case.room.play(prompt(900.0)));
        let (pcm, _) = case.run(20, |_| false);
        assert!(tone_level(&pcm[..1_600], 8_000, 500.0) > -11.0 && tone_level(&pcm[1_600..], 8_000, 900.0) > -11.0);
        case.room.play(prompt(500.0));
        case.run(2, |_| false);
        case.room.stop_prompts();
        assert_eq!(case.run(2, |_| false).0, [0; 320]);
        let accepted = (0..20).filter(|_| case.room.play(prompt(500.0))).count();
        assert_eq!(accepted, PROMPTS);
    }
}

//! One granted party for the recogniser: frames in any order become 16 kHz in order.

use std::time::Instant;

use super::party::{Made, PartyAudio};
use crate::livekit::{FrameAudio, RemoteFrame};

/// Sample rate that recognisers want, Hz.
pub const EAR_RATE: u32 = 16_000;
/// Samples of one 20 ms frame at that rate.
pub const EAR_FRAME: usize = 320;
/// Silence that is still given after the last sound, in frames: enough for a recogniser to see that an utterance is over.
const TAIL: u32 = 100;

/// Listens to one party. The caller makes one only for a party that has granted, and drops it when the grant is
/// withdrawn: what is waiting inside is then gone too.
pub struct Listener {
    audio: PartyAudio,
    silent: u32,
}

impl Default for Listener {
    fn default() -> Self {
        Self::new()
    }
}

impl Listener {
    /// Nothing heard yet.
    #[must_use]
    pub fn new() -> Self {
        Self { audio: PartyAudio::new(EAR_RATE), silent: TAIL }
    }

    /// Adds one frame of the party, in any order.
    pub fn frame(&mut self, frame: RemoteFrame) {
        if matches!(frame.audio, FrameAudio::Opus(_)) {
            self.silent = 0;
        }
        self.audio.frame(frame).expect("16 kHz is a rate of opus");
    }

    /// The next 20 ms, 320 samples at 16 kHz; call every 20 ms. Gaps are concealed. After two seconds in which the
    /// party sent nothing it is `None` until they speak again, so that silent parties cost nothing.
    pub fn tick(&mut self, now: Instant) -> Option<Vec<i16>> {
        if self.silent >= TAIL && !self.audio.is_live() {
            return None;
        }
        let mut out = vec![0; EAR_FRAME];
        match self.audio.tick(now, &mut out) {
            Made::Silence => self.silent = self.silent.saturating_add(1),
            Made::Concealed | Made::Voice => self.silent = 0,
        }
        (self.silent < TAIL).then_some(out)
    }
}

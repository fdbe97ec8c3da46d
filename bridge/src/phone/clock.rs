//! The 20 ms clock of a leg: on a fixed grid, so that it never drifts, and without a burst after a stall.

use std::time::{Duration, Instant};

use crate::audio::FRAME_MS;

/// One frame's time.
pub(super) const FRAME: Duration = Duration::from_millis(FRAME_MS);
/// Frames that are made up for after a stall. More are skipped: a burst would only fill the listener's buffer.
const CATCH_UP: u32 = 3;

/// See the module. Sans-IO.
#[derive(Debug)]
pub(super) struct Clock {
    next: Instant,
    skipped: u64,
}

impl Clock {
    /// The first tick is one frame from now.
    pub(super) fn start(now: Instant) -> Self {
        Self { next: now + FRAME, skipped: 0 }
    }

    /// When the next tick is due.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// How many ticks to make now: none or one as a rule, a few after a short stall.
    pub(super) fn due(&mut self, now: Instant) -> u32 {
        let Some(late) = now.checked_duration_since(self.next) else { return 0 };
        let frames = u32::try_from(late.as_nanos() / FRAME.as_nanos()).unwrap_or(u32::MAX - 1) + 1;
        self.next += FRAME * frames;
        let make = frames.min(CATCH_UP);
        self.skipped += u64::from(frames - make);
        make
    }

    /// Frames skipped so far.
    pub(super) fn skipped(&self) -> u64 {
        self.skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn an_hour_of_late_wake_ups_makes_exactly_an_hour_of_frames() {
        let start = Instant::now();
        let (mut clock, mut made, mut now) = (Clock::start(start), 0, start);
        let mut n = 0;
        while now < start + ms(3_600_000) {
            // Woken up to 7 ms late, as a busy machine does.
            n += 1;
            now = clock.next() + ms(n % 8);
            made += clock.due(now);
        }
        assert_eq!((made, clock.skipped()), (180_000, 0));
    }

    #[test]
    fn after_a_stall_a_few_frames_are_made_and_the_grid_stays() {
        let start = Instant::now();
        let mut clock = Clock::start(start);
        assert_eq!(clock.due(start + ms(19)), 0);
        assert_eq!(clock.due(start + ms(65)), 3, "20, 40 and 60 ms");
        assert_eq!(clock.due(start + ms(5_000)), 3);
        assert_eq!(clock.skipped(), 244);
        assert_eq!(clock.next(), start + ms(5_020));
        assert_eq!(clock.due(start + ms(5_019)), 0);
        assert_eq!(clock.due(start + ms(5_021)), 1);
    }
}

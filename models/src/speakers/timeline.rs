//! When who spoke: what successive windows say about the same 17 ms is averaged, and what is past is kept as a few bits.

use std::collections::VecDeque;
use std::ops::Range;

use super::MAX_VOICES;

/// A voice is heard where the windows, on average, say so with this probability.
const HEARD: f32 = 0.5;
/// Pauses up to this many frames (270 ms) do not part one voice's speech.
const BRIDGED: usize = 16;
/// Shorter speech (170 ms) is not told.
const SHORTEST: usize = 10;
/// Bit of a past frame that at least one window has covered.
const COVERED: u16 = 1 << MAX_VOICES;

#[derive(Clone, Default)]
struct Frame {
    heard: [f32; MAX_VOICES],
    windows: f32,
}

impl Frame {
    fn bits(&self) -> u16 {
        let voices = (0..MAX_VOICES).filter(|place| self.heard[*place] > HEARD * self.windows);
        let covered = if self.windows > 0.0 { COVERED } else { 0 };
        voices.fold(covered, |bits, place| bits | 1 << place)
    }
}

/// Places of voices, frame by frame, from the start of the call. An hour takes 430 kB.
#[derive(Default)]
pub struct Timeline {
    past: Vec<u16>,
    recent: VecDeque<Frame>,
}

impl Timeline {
    /// One window's word on one frame: how likely each of these places is heard. Frames that are settled are left as they are.
    pub fn add(&mut self, frame: usize, heard: impl IntoIterator<Item = (usize, f32)>) {
        let Some(index) = frame.checked_sub(self.past.len()) else { return };
        if self.recent.len() <= index {
            self.recent.resize(index + 1, Frame::default());
        }
        let frame = &mut self.recent[index];
        frame.windows += 1.0;
        for (place, probability) in heard {
            frame.heard[place] += probability;
        }
    }

    /// Whether any window had its word on this frame.
    pub fn is_covered(&self, frame: usize) -> bool {
        self.bits(frame) & COVERED != 0
    }

    /// Whether the voice at `place` is heard in this frame.
    pub fn is_heard(&self, frame: usize, place: usize) -> bool {
        self.bits(frame) & 1 << place != 0
    }

    /// Nothing will be added before this frame any more.
    pub fn settle(&mut self, before: usize) {
        while self.past.len() < before {
            let frame = self.recent.pop_front().unwrap_or_default();
            self.past.push(frame.bits());
        }
    }

    /// What was heard at place `gone` is now at `stays`, and `gone` is free.
    pub fn join(&mut self, gone: usize, stays: usize) {
        for bits in &mut self.past {
            if *bits & 1 << gone != 0 {
                *bits = *bits & !(1 << gone) | 1 << stays;
            }
        }
        for frame in &mut self.recent {
            frame.heard[stays] = (frame.heard[stays] + frame.heard[gone]).min(frame.windows);
            frame.heard[gone] = 0.0;
        }
    }

    /// Who is heard from when to when within these frames: (place, frames), by start.
    pub fn spans(&self, range: Range<usize>) -> Vec<(usize, Range<usize>)> {
        let mut spans: Vec<(usize, Range<usize>)> = Vec::new();
        for place in 0..MAX_VOICES {
            let mut own: Vec<Range<usize>> = Vec::new();
            for frame in range.clone().filter(|frame| self.is_heard(*frame, place)) {
                match own.last_mut() {
                    Some(span) if frame - span.end <= BRIDGED => span.end = frame + 1,
                    _ => own.push(frame..frame + 1),
                }
            }
            spans.extend(own.into_iter().filter(|span| span.len() >= SHORTEST).map(|span| (place, span)));
        }
        spans.sort_by_key(|(place, span)| (span.start, *place));
        spans
    }

    fn bits(&self, frame: usize) -> u16 {
        match frame.checked_sub(self.past.len()) {
            None => self.past[frame],
            Some(index) => self.recent.get(index).map_or(0, Frame::bits),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn speaks(timeline: &mut Timeline, place: usize, frames: Range<usize>, probability: f32) {
        frames.for_each(|frame| timeline.add(frame, [(place, probability)]));
    }

    #[test]
    fn windows_are_averaged() {
        let mut timeline = Timeline::default();
        speaks(&mut timeline, 2, 0..50, 0.9);
        speaks(&mut timeline, 2, 20..50, 0.3);
        speaks(&mut timeline, 2, 40..50, 0.1);
        assert_eq!(timeline.spans(0..100), [(2, 0..40)]);
        assert!(timeline.is_covered(49) && !timeline.is_covered(50));
    }

    #[test]
    fn short_pauses_are_bridged_and_short_sounds_dropped() {
        let mut timeline = Timeline::default();
        speaks(&mut timeline, 0, 0..20, 1.0);
        speaks(&mut timeline, 0, 30..50, 1.0);
        speaks(&mut timeline, 1, 60..65, 1.0);
        speaks(&mut timeline, 0, 100..120, 1.0);
        assert_eq!(timeline.spans(0..200), [(0, 0..50), (0, 100..120)]);
        assert_eq!(timeline.spans(25..110), [(0, 30..50), (0, 100..110)]);
    }

    #[test]
    fn two_may_speak_at_once() {
        let mut timeline = Timeline::default();
        (0..30).for_each(|frame| timeline.add(frame, [(0, 0.8), (5, 0.7)]));
        assert_eq!(timeline.spans(0..30), [(0, 0..30), (5, 0..30)]);
    }

    proptest! {
        #[test]
        fn settling_and_joining_change_nothing_else(
            turns in prop::collection::vec((0..MAX_VOICES, 0..300usize, 1..80usize, 0.0..1.0f32), 0..12),
            settled in 0..400usize,
        ) {
            let (mut open, mut shut) = (Timeline::default(), Timeline::default());
            for (place, start, length, probability) in turns {
                for timeline in [&mut open, &mut shut] {
                    speaks(timeline, place, start..start + length, probability);
                }
            }
            shut.settle(settled);
            prop_assert_eq!(open.spans(0..400), shut.spans(0..400));
            shut.join(3, 1);
            for frame in 0..400 {
                prop_assert!(!shut.is_heard(frame, 3));
                prop_assert_eq!(open.is_heard(frame, 6), shut.is_heard(frame, 6));
                prop_assert!(shut.is_heard(frame, 1) || !(open.is_heard(frame, 1) || open.is_heard(frame, 3)));
            }
        }
    }
}

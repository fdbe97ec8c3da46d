//! The caller's clock and the count of samples: which samples were heard when.

use std::ops::Range;

/// Time stamps may wander this far from the count of samples, in ms.
pub const TOLERANCE_MS: i64 = 80;
/// Gaps up to this length are filled with silence, in ms.
pub const BRIDGED_MS: i64 = 1500;
const SAMPLES_PER_MS: usize = 16;

/// Sound that arrives fits what came before in one of these ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    /// It follows on.
    On,
    /// After a short gap: this many samples of silence go in between.
    After(usize),
    /// After a long gap, or from another time: what was heard before and this are two things.
    Not,
}

/// Maps samples, counted from the first that was heard, to the caller's ms.
#[derive(Default)]
pub struct Clock {
    /// (sample, its time): from each on until the next, time runs with the samples.
    marks: Vec<(usize, i64)>,
}

impl Clock {
    /// How sound with this time stamp fits behind sample `heard`. Small deviations are taken as the clock's drift and
    /// followed.
    pub fn follow(&mut self, at: i64, heard: usize) -> Follows {
        let Some(last) = self.marks.last() else {
            self.marks.push((heard, at));
            return Follows::Not;
        };
        let drift = at.saturating_sub(last.1.saturating_add(((heard - last.0) / SAMPLES_PER_MS) as i64));
        if !(-BRIDGED_MS..=BRIDGED_MS).contains(&drift) {
            return Follows::Not;
        }
        if drift > TOLERANCE_MS {
            return Follows::After(drift as usize * SAMPLES_PER_MS);
        }
        if drift < -TOLERANCE_MS {
            self.mark(heard, at);
        }
        Follows::On
    }

    /// From sample `heard` on it is `at`.
    pub fn mark(&mut self, heard: usize, at: i64) {
        match self.marks.last_mut() {
            Some(last) if last.0 == heard => last.1 = at,
            _ => self.marks.push((heard, at)),
        }
    }

    /// When this sample was heard; 0 before anything was.
    pub fn ms(&self, sample: usize) -> i64 {
        let after = self.marks.partition_point(|(from, _)| *from <= sample);
        match self.marks.get(after.saturating_sub(1)) {
            Some((from, at)) => at.saturating_add((sample.saturating_sub(*from) / SAMPLES_PER_MS) as i64),
            None => 0,
        }
    }

    /// The samples, of `heard`, that were heard in this time: more than one range where time jumped.
    pub fn samples(&self, start_ms: i64, end_ms: i64, heard: usize) -> Vec<Range<usize>> {
        let ends = self.marks.iter().skip(1).map(|(from, _)| *from).chain([heard]);
        let within = |ms: i64, (from, at): (usize, i64), end: usize| {
            let samples = ms.saturating_sub(at).max(0).saturating_mul(SAMPLES_PER_MS as i64);
            from.saturating_add(usize::try_from(samples).unwrap_or(usize::MAX)).min(end)
        };
        let ranges =
            self.marks.iter().zip(ends).map(|(mark, end)| within(start_ms, *mark, end)..within(end_ms, *mark, end));
        ranges.filter(|range| !range.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn gaps_are_filled_drift_is_followed_and_jumps_are_told() {
        let mut clock = Clock::default();
        assert_eq!(clock.follow(5000, 0), Follows::Not);
        assert_eq!(clock.follow(5100, 1600), Follows::On);
        assert_eq!(clock.follow(5400, 1600), Follows::After(4800));
        assert_eq!(clock.follow(9000, 1600), Follows::Not);
        assert_eq!(clock.follow(-9000, 1600), Follows::Not);
        assert_eq!(clock.follow(5000, 3200), Follows::On);
        assert_eq!((clock.ms(1600), clock.ms(3200)), (5100, 5000));
    }

    #[test]
    fn a_time_that_came_twice_has_two_ranges() {
        let mut clock = Clock::default();
        clock.follow(1000, 0);
        clock.mark(16_000, 60_000);
        clock.mark(32_000, 1500);
        assert_eq!(clock.samples(1500, 2000, 48_000), [8000..16_000, 32_000..40_000]);
        assert_eq!(clock.samples(60_500, 70_000, 48_000), vec![24_000..32_000]);
        assert!(clock.samples(70_000, 80_000, 48_000).is_empty());
    }

    proptest! {
        #[test]
        fn any_time_stamps_give_ranges_that_were_heard(ats in prop::collection::vec(any::<i64>(), 1..20), from: i64, to: i64) {
            let mut clock = Clock::default();
            let mut heard = 0;
            for at in ats {
                match clock.follow(at, heard) {
                    Follows::On => {}
                    Follows::After(silence) => heard += silence,
                    Follows::Not => clock.mark(heard, at),
                }
                heard += 320;
            }
            for range in clock.samples(from, to, heard) {
                prop_assert!(range.start < range.end && range.end <= heard);
            }
            clock.ms(heard);
        }
    }
}

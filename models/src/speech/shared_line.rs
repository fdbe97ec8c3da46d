//! What waits for the voices of a line that several people share: its sound, until the tracker has heard it, and utterances
//! whose words are known, until it can be told who said them. Sans-IO: no clock, no thread, no network.
//!
//! - **Sound** is bounded. Of a live line all that waits is dropped when it is too much: the tracker goes on with what is said
//!   now, and what was said meanwhile has no voice. Of a recording what comes on top is dropped: who feeds it waits
//!   ([`SharedLine::queued_ms`]), so that nothing is.
//! - **Utterances** leave in the order in which they came. One is asked about ([`Step::Ask`]) when the tracker has heard all
//!   that had come when its words were known, and [`BEHIND_MS`] of what followed. If that takes longer than [`LATE_MS`], or
//!   some of its sound was dropped, it goes out without a voice ([`Step::Untold`]): not late, and not wrong.

use std::collections::VecDeque;

use zeroize::Zeroizing;

/// With so much sound behind an utterance its end is told as well as ever, in ms.
pub const BEHIND_MS: i64 = 400;
/// An utterance of a live line waits no longer for its voices, in ms.
pub const LATE_MS: u64 = 3000;
/// So much sound of a live line may wait for the tracker, in ms.
pub const LIVE_MS: usize = 6000;
/// So much sound is given to the tracker at a time, in ms: between two pieces other lines have their turn.
const PIECE_MS: usize = 500;
/// Gaps in what was dropped that are remembered; more are one.
const MOST_LOST: usize = 64;
const SAMPLES_PER_MS: usize = 16;

/// Sound and the time of its first sample, in ms of the caller's clock.
pub type Sound = (i64, Zeroizing<Vec<i16>>);

/// What is to be done next.
#[cfg_attr(test, derive(Debug, PartialEq))]
pub enum Step<U> {
    /// Give this to the tracker, then say so ([`SharedLine::heard`]).
    Hear(Vec<Sound>),
    /// Ask it who spoke from when to when, then take the utterance ([`SharedLine::take_asked`]).
    Ask {
        /// Start of the utterance.
        start_ms: i64,
        /// Its end.
        end_ms: i64,
    },
    /// Nobody can tell who said this: give it out, then say so ([`SharedLine::given`]).
    Untold(U),
}

/// An utterance that waits.
struct Held<U> {
    start_ms: i64,
    end_ms: i64,
    /// Sound that had come when it did, in samples since the start.
    came: u64,
    since_ms: u64,
    what: U,
}

/// The queues of one line. `U` is an utterance.
pub struct SharedLine<U> {
    /// The sound is that of a recording.
    recorded: bool,
    most_samples: usize,
    queue: VecDeque<Sound>,
    queued: usize,
    /// Sound that came and was not dropped, and how much of it the tracker has heard; in samples.
    came: u64,
    heard: u64,
    /// End of the last sound that the tracker has heard.
    heard_to_ms: i64,
    /// Sound that was dropped, (from, to) in ms, and what of it was not told yet.
    lost: VecDeque<(i64, i64)>,
    lost_samples: u64,
    held: VecDeque<Held<U>>,
    /// One was taken and is not given out yet.
    giving: bool,
    ended: bool,
    /// The tracker is out of order.
    given_up: bool,
}

impl<U> SharedLine<U> {
    /// A line on which nothing was said. `recorded`: its sound comes from a recording, of which so much may wait.
    pub fn new(recorded: Option<usize>) -> Self {
        Self {
            recorded: recorded.is_some(),
            most_samples: recorded.unwrap_or(LIVE_MS * SAMPLES_PER_MS),
            queue: VecDeque::new(),
            queued: 0,
            came: 0,
            heard: 0,
            heard_to_ms: i64::MIN,
            lost: VecDeque::new(),
            lost_samples: 0,
            held: VecDeque::new(),
            giving: false,
            ended: false,
            given_up: false,
        }
    }

    /// Adds sound.
    pub fn push(&mut self, at_ms: i64, pcm: &[i16]) {
        if pcm.is_empty() || self.ended {
            return;
        }
        if self.queued + pcm.len() > self.most_samples && !self.recorded {
            self.drop_queue();
        }
        if self.given_up || self.queued + pcm.len() > self.most_samples {
            return self.lose(at_ms, pcm.len());
        }
        self.queue.push_back((at_ms, Zeroizing::new(pcm.to_vec())));
        self.queued += pcm.len();
        self.came += pcm.len() as u64;
    }

    /// No more sound comes.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Takes an utterance that was said from when to when, until it can be told by whom.
    pub fn hold(&mut self, start_ms: i64, end_ms: i64, what: U, now_ms: u64) {
        self.held.push_back(Held { start_ms, end_ms, came: self.came, since_ms: now_ms, what });
    }

    /// What is to be done now, if anything.
    pub fn next(&mut self, now_ms: u64) -> Option<Step<U>> {
        if let Some(first) = self.held.front() {
            let (start_ms, end_ms) = (first.start_ms, first.end_ms);
            if self.is_told(first, now_ms) && !self.is_lost(start_ms, end_ms) {
                return Some(Step::Ask { start_ms, end_ms });
            }
            let late = !self.recorded && now_ms.saturating_sub(first.since_ms) >= LATE_MS;
            if late {
                // Whoever speaks next is told sooner if this is not looked at any more.
                self.drop_queue();
            }
            if late || self.given_up || self.is_lost(start_ms, end_ms) {
                return self.take_asked().map(Step::Untold);
            }
        }
        let mut piece = Vec::new();
        let mut samples = 0;
        while samples < PIECE_MS * SAMPLES_PER_MS {
            let Some(sound) = self.queue.pop_front() else { break };
            samples += sound.1.len();
            piece.push(sound);
        }
        self.queued -= samples;
        (!piece.is_empty()).then_some(Step::Hear(piece))
    }

    /// The tracker has heard a piece, so many samples, to this time.
    pub fn heard(&mut self, samples: usize, to_ms: i64) {
        self.heard = (self.heard + samples as u64).min(self.came);
        self.heard_to_ms = to_ms;
    }

    /// The first utterance that waits, to be given out ([`SharedLine::given`]).
    pub fn take_asked(&mut self) -> Option<U> {
        let first = self.held.pop_front()?;
        self.giving = true;
        // No later one needs to know what was dropped before it.
        self.lost.retain(|(_, to)| *to > first.start_ms);
        Some(first.what)
    }

    /// What was taken last is given out.
    pub fn given(&mut self) {
        self.giving = false;
    }

    /// When there is something to be done that depends on time alone, in ms of the clock of [`SharedLine::next`].
    pub fn due_ms(&self) -> Option<u64> {
        let first = self.held.front().filter(|_| !self.recorded)?;
        let soon = first.since_ms + BEHIND_MS as u64;
        Some(if self.heard >= first.came { soon } else { first.since_ms + LATE_MS })
    }

    /// Whether utterances wait or are being given out.
    pub fn holds(&self) -> bool {
        self.giving || !self.held.is_empty()
    }

    /// Sound that waits, in ms.
    pub fn queued_ms(&self) -> u64 {
        (self.queued / SAMPLES_PER_MS) as u64
    }

    /// Sound that was dropped since this was asked last, in ms.
    pub fn take_lost_ms(&mut self) -> u64 {
        let ms = self.lost_samples / SAMPLES_PER_MS as u64;
        self.lost_samples -= ms * SAMPLES_PER_MS as u64;
        ms
    }

    /// Forgets all that waits; the line stays.
    pub fn clear(&mut self) {
        *self = Self { ended: self.ended, most_samples: self.most_samples, recorded: self.recorded, ..Self::new(None) };
    }

    /// The tracker is out of order: from now on nobody is told.
    pub fn give_up(&mut self) {
        self.given_up = true;
        self.drop_queue();
    }

    /// Whether the tracker knows all of this that it will ever know, or as much as is worth waiting for.
    fn is_told(&self, held: &Held<U>, now_ms: u64) -> bool {
        // What is in hand with the tracker was taken out of the queue, but not heard.
        let heard_all = self.heard >= held.came;
        let waited = !self.recorded && now_ms.saturating_sub(held.since_ms) >= BEHIND_MS as u64;
        let over = self.ended && self.queue.is_empty() && self.heard >= self.came;
        heard_all && (self.heard_to_ms >= held.end_ms.saturating_add(BEHIND_MS) || waited || over)
    }

    fn is_lost(&self, start_ms: i64, end_ms: i64) -> bool {
        self.lost.iter().any(|(from, to)| *from < end_ms && *to > start_ms)
    }

    fn drop_queue(&mut self) {
        for (at_ms, sound) in std::mem::take(&mut self.queue) {
            self.came -= sound.len() as u64;
            self.lose(at_ms, sound.len());
        }
        self.queued = 0;
        // What was dropped is not waited for.
        let came = self.came;
        self.held.iter_mut().for_each(|held| held.came = held.came.min(came));
    }

    fn lose(&mut self, at_ms: i64, samples: usize) {
        self.lost_samples += samples as u64;
        let to_ms = at_ms.saturating_add((samples / SAMPLES_PER_MS) as i64);
        let full = self.lost.len() >= MOST_LOST;
        match self.lost.back_mut() {
            Some(last) if full || (last.0 <= at_ms && at_ms.saturating_sub(last.1) <= 1) => {
                *last = (last.0.min(at_ms), last.1.max(to_ms));
            }
            _ => self.lost.push_back((at_ms, to_ms)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    static SECOND: [i16; 16_000] = [1; 16_000];

    /// Gives the tracker what waits; how much that was, in ms.
    fn hear(line: &mut SharedLine<u32>, now_ms: u64) -> i64 {
        let mut all = 0;
        while let Some(Step::Hear(piece)) = line.next(now_ms) {
            let samples: usize = piece.iter().map(|(_, pcm)| pcm.len()).sum();
            let (at, last) = piece.last().unwrap();
            line.heard(samples, at + (last.len() / SAMPLES_PER_MS) as i64);
            all += (samples / SAMPLES_PER_MS) as i64;
        }
        all
    }

    #[test]
    fn an_utterance_is_asked_about_once_enough_behind_it_was_heard() {
        let mut line = SharedLine::new(None);
        line.push(0, &SECOND);
        line.hold(100, 900, 7, 1000);
        assert_eq!(hear(&mut line, 1000), 1000);
        assert_eq!(line.next(1000), None, "100 ms behind its end are too few");
        assert_eq!(line.due_ms(), Some(1400));
        line.push(1000, &SECOND[..4800]);
        hear(&mut line, 1100);
        assert_eq!(line.next(1100), Some(Step::Ask { start_ms: 100, end_ms: 900 }));
        assert_eq!(line.take_asked(), Some(7));
        assert!(line.holds(), "it is not given out yet");
        line.given();
        assert!(!line.holds() && line.next(9000).is_none());
    }

    #[test]
    fn a_line_that_falls_silent_is_not_waited_for() {
        let mut line = SharedLine::new(None);
        line.push(0, &SECOND);
        line.hold(100, 1000, 7, 1000);
        hear(&mut line, 1000);
        assert_eq!(line.next(1399), None);
        assert_eq!(line.next(1400), Some(Step::Ask { start_ms: 100, end_ms: 1000 }));
        let mut ended = SharedLine::new(Some(160_000));
        ended.push(0, &SECOND);
        ended.hold(100, 1000, 7, 1000);
        hear(&mut ended, 1000);
        assert_eq!((ended.next(99_000), ended.due_ms()), (None, None), "a recording goes on when it is read on");
        ended.end();
        assert_eq!(ended.next(1000), Some(Step::Ask { start_ms: 100, end_ms: 1000 }));
    }

    #[test]
    fn what_is_in_hand_with_the_tracker_is_waited_for() {
        let mut line = SharedLine::new(None);
        line.push(0, &SECOND[..8000]);
        let Some(Step::Hear(_)) = line.next(0) else { panic!("there is sound") };
        line.end();
        line.hold(0, 400, 1, 0);
        assert_eq!(line.next(400), None);
        line.heard(8000, 500);
        assert!(matches!(line.next(400), Some(Step::Ask { .. })));
    }

    #[test]
    fn a_live_line_that_falls_behind_loses_what_waits_and_its_utterances_have_no_voice() {
        let mut line = SharedLine::new(None);
        for second in 0..6 {
            line.push(second * 1000, &SECOND);
        }
        assert_eq!(line.take_lost_ms(), 0);
        line.push(6000, &SECOND);
        assert_eq!((line.take_lost_ms(), line.queued_ms(), line.take_lost_ms()), (6000, 1000, 0));
        line.hold(1000, 2000, 1, 6500);
        line.hold(5500, 6400, 2, 6500);
        line.hold(6100, 6500, 3, 6500);
        assert_eq!(line.next(6500), Some(Step::Untold(1)));
        assert_eq!(line.next(6500), Some(Step::Untold(2)), "some of it is lost");
        assert_eq!(hear(&mut line, 6500), 1000);
        assert_eq!(line.next(6500), Some(Step::Ask { start_ms: 6100, end_ms: 6500 }));
    }

    #[test]
    fn an_utterance_that_is_late_goes_out_without_a_voice_and_the_line_catches_up() {
        let mut line = SharedLine::new(None);
        for second in 0..5 {
            line.push(second * 1000, &SECOND);
        }
        line.hold(0, 900, 1, 5000);
        line.hold(3000, 4000, 2, 5500);
        assert!(matches!(line.next(5000), Some(Step::Hear(_))));
        assert_eq!(line.next(8000), Some(Step::Untold(1)));
        assert_eq!((line.queued_ms(), line.take_lost_ms()), (0, 4000));
        assert_eq!(line.next(8000), Some(Step::Untold(2)));
        line.push(5000, &SECOND);
        line.heard(16_000, 1000);
        line.hold(5000, 5500, 3, 8000);
        assert_eq!(hear(&mut line, 8000), 1000);
        assert_eq!(line.next(8000), Some(Step::Ask { start_ms: 5000, end_ms: 5500 }));
    }

    #[test]
    fn of_a_recording_nothing_that_fits_is_lost_however_long_it_takes() {
        let mut line = SharedLine::new(Some(3 * 16_000));
        for second in 0..3 {
            line.push(second * 1000, &SECOND);
        }
        line.hold(0, 1000, 1, 0);
        assert_eq!((line.queued_ms(), line.take_lost_ms()), (3000, 0));
        assert!(matches!(line.next(3_600_000), Some(Step::Hear(_))));
        line.push(3000, &SECOND);
        line.push(4000, &SECOND);
        assert_eq!(line.take_lost_ms(), 1000, "what comes on top is lost");
    }

    #[test]
    fn after_a_withdrawal_nothing_of_before_is_there() {
        let mut line = SharedLine::new(None);
        line.push(0, &SECOND);
        line.hold(0, 500, 1, 0);
        line.clear();
        assert!(line.next(99_000).is_none() && !line.holds() && line.queued_ms() == 0);
        line.push(9000, &SECOND);
        line.hold(9000, 9500, 2, 0);
        hear(&mut line, 0);
        assert_eq!(line.next(0), Some(Step::Ask { start_ms: 9000, end_ms: 9500 }));
    }

    #[test]
    fn when_the_tracker_is_out_of_order_words_go_out_without_voices() {
        let mut line = SharedLine::new(Some(160_000));
        line.push(0, &SECOND);
        line.hold(0, 500, 1, 0);
        line.give_up();
        assert_eq!(line.next(0), Some(Step::Untold(1)));
        line.push(1000, &SECOND);
        line.hold(1000, 1500, 2, 0);
        assert_eq!((line.next(0), line.next(0), line.take_lost_ms()), (Some(Step::Untold(2)), None, 2000));
    }

    #[derive(Debug, Clone)]
    enum Does {
        Push(i64, usize),
        Hold(i64, i64),
        Work,
        Wait(u64),
        End,
    }

    fn does() -> impl Strategy<Value = Does> {
        prop_oneof![
            4 => (-500..500i64, 1..40_000usize).prop_map(|(jump, length)| Does::Push(jump, length)),
            2 => (0..9000i64, 0..4000i64).prop_map(|(before, length)| Does::Hold(before, length)),
            4 => Just(Does::Work),
            1 => (0..4000u64).prop_map(Does::Wait),
            1 => Just(Does::End),
        ]
    }

    proptest! {
        #[test]
        fn whatever_happens_utterances_leave_once_in_order_and_all_sound_is_heard_or_counted(
            recorded in any::<bool>(), doing in prop::collection::vec(does(), 0..80),
        ) {
            let mut line = SharedLine::new(recorded.then_some(100_000));
            let (mut at, mut now, mut next, mut gone) = (0i64, 0u64, 0u32, Vec::new());
            let (mut pushed, mut heard, mut ended) = (0u64, 0u64, false);
            let work = |line: &mut SharedLine<u32>, now: u64, heard: &mut u64, gone: &mut Vec<u32>| {
                match line.next(now) {
                    None => false,
                    Some(Step::Hear(piece)) => {
                        let samples: usize = piece.iter().map(|(_, pcm)| pcm.len()).sum();
                        *heard += samples as u64;
                        let (at, last) = piece.last().unwrap();
                        line.heard(samples, at + (last.len() / SAMPLES_PER_MS) as i64);
                        true
                    }
                    Some(Step::Ask { .. }) => { gone.extend(line.take_asked()); line.given(); true }
                    Some(Step::Untold(which)) => { gone.push(which); line.given(); true }
                }
            };
            for what in doing {
                match what {
                    Does::Push(jump, length) => {
                        at += jump;
                        line.push(at, &vec![0; length]);
                        pushed += if ended { 0 } else { length as u64 };
                        at += (length / SAMPLES_PER_MS) as i64;
                    }
                    Does::Hold(before, length) => {
                        line.hold(at - before, at - before + length, next, now);
                        next += 1;
                    }
                    Does::Work => { work(&mut line, now, &mut heard, &mut gone); }
                    Does::Wait(ms) => now += ms,
                    Does::End => { line.end(); ended = true; }
                }
                prop_assert!(line.queued_ms() <= LIVE_MS as u64 + 250);
            }
            line.end();
            // A live line is waited for, a recording that has ended is done at once.
            now += LATE_MS;
            while work(&mut line, now, &mut heard, &mut gone) {}
            prop_assert_eq!(gone, (0..next).collect::<Vec<_>>());
            prop_assert!(!line.holds() && line.queued_ms() == 0);
            prop_assert!(heard <= pushed && (pushed - heard) / 16 <= line.take_lost_ms() + 1, "{pushed} {heard}");
        }
    }
}

//! Where utterances begin and end: a state machine over speech probabilities, in windows, without clock or sound.
//!
//! Give it each window's probability in order ([`Endpointer::window`]); it answers with the windows of an utterance when
//! one is complete. An utterance opens with the first window above [`EndpointConfig::speech`], keeps
//! [`EndpointConfig::pre_roll`] windows before it, and closes after a silence that gets shorter the longer it has gone on:
//! nobody waits for a monologue. At [`EndpointConfig::longest`] it is cut at the quietest place of its last [`EndpointConfig::cut_within`];
//! before that between two words, where it is worth it ([`EndpointConfig::gap`]).
//! What had too little voice ([`EndpointConfig::least_voiced`]: a click, a cough) is no utterance.

use std::ops::Range;

/// Between two words there is no voice at all: less than this, not just less than [`EndpointConfig::silence`].
const GAP_BELOW: f32 = 0.1;

/// Milliseconds of one window.
pub const WINDOW_MS: i64 = 32;

/// How utterances are cut. Lengths are in windows of 32 ms.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointConfig {
    /// At or above this probability a window is voice. Default 0.5.
    pub speech: f32,
    /// Below this it is silence; between the two it goes on as before. Default 0.35.
    pub silence: f32,
    /// Silence that ends a short utterance. Default 19 (608 ms).
    pub end_silence: u64,
    /// Silence that ends one of nearly [`Self::longest`]. Default 6 (192 ms).
    pub end_silence_late: u64,
    /// Up to this length the demand for silence stays at `end_silence`; from here it falls in a line. Default 218 (7 s).
    pub patient_until: u64,
    /// No utterance is longer. Default 562 (18 s). At least `4 * end_silence`.
    pub longest: u64,
    /// How far back from its end an utterance that is too long may be cut: words before the cut come so much later. Default
    /// 281 (9 s); never more than half of `longest`.
    pub cut_within: u64,
    /// So many windows without any voice are as good a place to cut as comes. 0: they are not looked for. Default 0.
    pub gap: u64,
    /// From this length on it is cut at such a place, without waiting for `longest`. Default 0.
    pub gap_from: u64,
    /// Windows kept before the first voiced one. Default 7 (224 ms).
    pub pre_roll: u64,
    /// Windows of the closing silence that stay with the utterance. Default 6 (192 ms).
    pub post_roll: u64,
    /// After so many windows of silence an utterance has most likely ended, and may be decoded before it is sure. Not before all
    /// of `post_roll` was heard. Default 7 (224 ms): most pauses within a sentence are shorter.
    pub likely_over: u64,
    /// Fewer voiced windows than this are no utterance. Default 4 (128 ms).
    pub least_voiced: u64,
}

impl Default for EndpointConfig {
    fn default() -> Self {
        Self {
            speech: 0.5,
            silence: 0.35,
            end_silence: 19,
            end_silence_late: 6,
            patient_until: 218,
            longest: 562,
            cut_within: 281,
            gap: 0,
            gap_from: 0,
            pre_roll: 7,
            post_roll: 6,
            likely_over: 7,
            least_voiced: 4,
        }
    }
}

impl EndpointConfig {
    /// For talk whose words people wait for: from 3 s on a shorter pause ends an utterance, from 5 s on it is cut between any two
    /// words that are 64 ms apart, and none is longer than 7.5 s, cut no further back than half a second: so little is left to
    /// decode when somebody stops. After 96 ms of silence it is decoded as if it had ended; if it has not, what comes of that is
    /// one caption more.
    pub fn live() -> Self {
        Self {
            patient_until: 94,
            longest: 235,
            cut_within: 16,
            gap: 2,
            gap_from: 156,
            post_roll: 3,
            likely_over: 3,
            ..Self::default()
        }
    }
}

/// A complete utterance, in window numbers as counted by the [`Endpointer`].
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Counts utterances from 0; one that turned out to be nothing has a number too.
    pub utterance: u64,
    /// The sound to recognise, rolls included. Spans never overlap and never go back.
    pub sound: Range<u64>,
    /// From the first to behind the last voiced window.
    pub voiced: Range<u64>,
    /// How many windows in it were voice.
    pub voiced_windows: u64,
    /// Mean probability of its voiced windows.
    pub mean_probability: f32,
    /// Probability of each window of `sound`.
    pub probabilities: Vec<f32>,
}

/// How an utterance under way stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// As [`Span::utterance`].
    pub utterance: u64,
    /// Windows since its sound began.
    pub length: u64,
    /// Windows of silence that it ends with now.
    pub quiet: u64,
    /// Windows of silence that would end it.
    pub demand: u64,
    /// It has most likely ended: [`EndpointConfig::likely_over`].
    pub likely_over: bool,
}

#[derive(Debug)]
struct Open {
    /// First window kept.
    from: u64,
    /// Probability of each window from `from` on.
    probabilities: Vec<f32>,
    /// First and behind the last voiced window.
    voiced: Range<u64>,
}

/// The state machine for one party.
#[derive(Debug)]
pub struct Endpointer {
    config: EndpointConfig,
    /// Number of the window that comes next.
    next: u64,
    /// Number of the utterance under way, or of the next.
    utterance: u64,
    /// Behind the last window that an utterance has taken.
    taken: u64,
    /// Probabilities of the last `pre_roll` windows before speech.
    before: std::collections::VecDeque<f32>,
    open: Option<Open>,
}

impl Endpointer {
    /// A machine at window 0.
    pub fn new(config: EndpointConfig) -> Self {
        Self::counting_from(config, 0)
    }

    /// The same, whose first utterance has this number.
    pub fn counting_from(mut config: EndpointConfig, utterance: u64) -> Self {
        config.longest = config.longest.max(4 * config.end_silence).max(2 * config.pre_roll + 8);
        config.cut_within = config.cut_within.clamp(1, config.longest / 2);
        config.likely_over = config.likely_over.max(config.post_roll);
        Self { config, next: 0, utterance, taken: 0, before: std::collections::VecDeque::new(), open: None }
    }

    /// Number of windows given so far.
    pub fn position(&self) -> u64 {
        self.next
    }

    /// Whether an utterance is under way.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Number of the utterance under way, or that the next will have.
    pub fn utterance(&self) -> u64 {
        self.utterance
    }

    /// How the utterance under way stands.
    pub fn progress(&self) -> Option<Progress> {
        let open = self.open.as_ref()?;
        let length = self.next - open.from;
        let quiet = self.next - open.voiced.end;
        let likely_over = quiet >= self.config.likely_over;
        Some(Progress { utterance: self.utterance, length, quiet, demand: self.demand(length), likely_over })
    }

    /// The utterance under way as it will be if no more voice comes: `None` before all the silence that belongs to it has
    /// been heard, or if it has too little voice.
    pub fn if_ended(&self) -> Option<Span> {
        let open = self.open.as_ref()?;
        let end = open.voiced.end + self.config.post_roll;
        if end > self.next { None } else { self.span(open, end) }
    }

    /// All of the utterance under way up to now; `None` if it has too little voice.
    pub fn so_far(&self) -> Option<Span> {
        let open = self.open.as_ref()?;
        self.span(open, self.next)
    }

    /// The oldest window that a later [`Span`] can still ask for; sound before it may be forgotten.
    pub fn needed_from(&self) -> u64 {
        match &self.open {
            Some(open) => open.from,
            None => self.next.saturating_sub(self.config.pre_roll).max(self.taken),
        }
    }

    /// Takes the probability of the next window (0 to 1; anything else counts as silence). Gives an utterance if this
    /// window completes one.
    pub fn window(&mut self, probability: f32) -> Option<Span> {
        let probability = if (0.0..=1.0).contains(&probability) { probability } else { 0.0 };
        let number = self.next;
        self.next += 1;
        let Some(open) = &mut self.open else {
            if probability >= self.config.speech {
                let from = number.saturating_sub(self.config.pre_roll).max(self.taken);
                let kept = usize::try_from(number - from).unwrap_or(0).min(self.before.len());
                let mut probabilities: Vec<f32> = self.before.iter().skip(self.before.len() - kept).copied().collect();
                probabilities.push(probability);
                self.open = Some(Open { from, probabilities, voiced: number..number + 1 });
                self.before.clear();
            } else {
                self.remember(probability);
            }
            return None;
        };
        open.probabilities.push(probability);
        if probability >= self.config.speech || (probability >= self.config.silence && open.voiced.end == number) {
            open.voiced.end = number + 1;
        }
        let quiet = self.next - open.voiced.end;
        let length = self.next - open.from;
        if quiet >= self.demand(length) {
            return self.close();
        }
        if length >= self.config.longest {
            return self.cut(self.config.cut_within);
        }
        if length < self.config.gap_from || !self.ends_in_a_gap() {
            return None;
        }
        // What may have been decoded already, as most likely over, ends where it ended for that.
        if quiet >= self.config.post_roll { self.close() } else { self.cut(self.config.gap) }
    }

    fn ends_in_a_gap(&self) -> bool {
        let gap = usize::try_from(self.config.gap).unwrap_or(usize::MAX);
        let Some(open) = self.open.as_ref().filter(|_| gap > 0) else { return false };
        let last = open.probabilities.iter().rev().take(gap);
        last.filter(|p| **p < GAP_BELOW).count() == gap
    }

    /// Ends what is under way: the party left, was muted, or its stream broke off.
    pub fn flush(&mut self) -> Option<Span> {
        self.open.as_ref()?;
        self.close()
    }

    /// How much silence ends an utterance of this length.
    fn demand(&self, length: u64) -> u64 {
        let EndpointConfig { end_silence, end_silence_late, patient_until, longest, .. } = self.config;
        if length <= patient_until || longest <= patient_until || end_silence <= end_silence_late {
            return end_silence.max(1);
        }
        let late = (length - patient_until).min(longest - patient_until);
        (end_silence - (end_silence - end_silence_late) * late / (longest - patient_until)).max(1)
    }

    fn remember(&mut self, probability: f32) {
        self.before.push_back(probability);
        while self.before.len() as u64 > self.config.pre_roll {
            self.before.pop_front();
        }
    }

    fn close(&mut self) -> Option<Span> {
        let open = self.open.take()?;
        let end = (open.voiced.end + self.config.post_roll).min(self.next);
        let span = self.span(&open, end);
        let after = usize::try_from(end - open.from).unwrap_or(usize::MAX);
        for probability in open.probabilities.iter().skip(after) {
            self.remember(*probability);
        }
        self.taken = end;
        self.utterance += 1;
        span
    }

    /// The utterance is too long: takes it up to the quietest place of its last windows, so many, and goes on with the rest.
    fn cut(&mut self, within: u64) -> Option<Span> {
        let open = self.open.take()?;
        let back = usize::try_from(within).unwrap_or(usize::MAX);
        let from = open.probabilities.len().saturating_sub(back);
        // The mean, not the sum: the last window has no neighbour behind it and is no quieter for that.
        let around = |i: usize| -> f32 {
            let near = &open.probabilities[i - 1..=(i + 1).min(open.probabilities.len() - 1)];
            near.iter().sum::<f32>() / near.len() as f32
        };
        let quietest = (from.max(1)..open.probabilities.len())
            .min_by(|a, b| around(*a).total_cmp(&around(*b)).then(b.cmp(a)))
            .unwrap_or(open.probabilities.len() - 1);
        let at = open.from + quietest as u64;
        let span = self.span(&open, at);
        self.taken = at;
        self.utterance += 1;
        let rest: Vec<f32> = open.probabilities[quietest..].to_vec();
        let first = rest.iter().position(|p| *p >= self.config.speech);
        match first {
            Some(first) => {
                self.open = Some(Open {
                    from: at,
                    probabilities: rest,
                    voiced: at + first as u64..open.voiced.end.max(at + first as u64 + 1),
                });
            }
            None => rest.into_iter().for_each(|p| self.remember(p)),
        }
        span
    }

    fn span(&self, open: &Open, end: u64) -> Option<Span> {
        let count = usize::try_from(end - open.from).unwrap_or(usize::MAX);
        let probabilities: Vec<f32> = open.probabilities.iter().take(count).copied().collect();
        let voice: Vec<f32> = probabilities.iter().copied().filter(|p| *p >= self.config.speech).collect();
        if (voice.len() as u64) < self.config.least_voiced {
            return None;
        }
        Some(Span {
            utterance: self.utterance,
            sound: open.from..end,
            voiced: open.voiced.start..open.voiced.end.min(end),
            voiced_windows: voice.len() as u64,
            mean_probability: voice.iter().sum::<f32>() / voice.len() as f32,
            probabilities,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(config: &EndpointConfig, probabilities: &[f32]) -> (Vec<Span>, Endpointer) {
        let mut machine = Endpointer::new(config.clone());
        let mut spans: Vec<Span> = probabilities.iter().filter_map(|p| machine.window(*p)).collect();
        spans.extend(machine.flush());
        (spans, machine)
    }

    fn either(live: bool) -> EndpointConfig {
        if live { EndpointConfig::live() } else { EndpointConfig::default() }
    }

    fn pattern(parts: &[(f32, usize)]) -> Vec<f32> {
        parts.iter().flat_map(|(p, n)| std::iter::repeat_n(*p, *n)).collect()
    }

    #[test]
    fn live_talk_without_a_pause_is_cut_at_the_quietest_place_of_its_last_half_second() {
        let config = EndpointConfig::live();
        // Quieter earlier, but too far back: who waits for the words would wait for them longer.
        let windows = pattern(&[(0.9, 200), (0.4, 2), (0.9, 23), (0.45, 2), (0.9, 75)]);
        let (spans, _) = run(&config, &windows);
        assert_eq!(spans.len(), 2);
        assert!((224..=228).contains(&spans[0].sound.end), "{:?}", spans[0].sound);
        assert_eq!(spans[1].sound.start, spans[0].sound.end);
    }

    #[test]
    fn live_talk_is_cut_between_two_words_as_soon_as_it_is_long_enough() {
        let config = EndpointConfig::live();
        let gap = [(0.3, 1), (0.02, 1), (0.01, 1), (0.3, 1)];
        let parts = [&[(0.9, 140)], &gap[..], &[(0.9, 60)], &gap, &[(0.9, 40)]].concat();
        let mut machine = Endpointer::new(config.clone());
        let ends: Vec<(usize, Span)> =
            pattern(&parts).into_iter().enumerate().filter_map(|(i, p)| machine.window(p).map(|s| (i, s))).collect();
        // Not in the first gap, it is too short yet; in the second, with its second window, before it is too long.
        let [(at, span)] = ends.as_slice() else { panic!("{ends:?}") };
        assert_eq!((*at, span.sound.clone()), (206, 0..207));
        assert_eq!(machine.flush().unwrap().voiced.end, 248);
        // Faint is not silent: that waits for the end.
        let faint = pattern(&[(0.9, 170), (0.2, 4), (0.9, 80)]);
        let mut machine = Endpointer::new(config);
        assert_eq!(faint.iter().position(|p| machine.window(*p).is_some()), Some(234));
    }

    #[test]
    fn live_talk_that_has_most_likely_ended_ends_there_when_a_gap_shows_that_it_has() {
        let mut machine = Endpointer::new(EndpointConfig::live());
        // Fading before it is silent.
        let fading = pattern(&[(0.9, 170), (0.2, 3)]);
        assert!(fading.iter().all(|p| machine.window(*p).is_none()));
        assert!(machine.progress().unwrap().likely_over);
        let foretold = machine.if_ended().unwrap();
        assert_eq!((machine.window(0.05), machine.window(0.05)), (None, Some(foretold)));
        // What came behind it is the next one's beginning.
        assert_eq!(machine.needed_from(), 173);
    }

    #[test]
    fn files_are_not_cut_between_words_that_are_merely_apart() {
        let windows = pattern(&[(0.9, 170), (0.01, 3), (0.9, 170)]);
        assert_eq!(run(&EndpointConfig::default(), &windows).0.len(), 1);
    }

    #[test]
    fn an_utterance_keeps_what_came_just_before_and_ends_after_its_silence() {
        let mut machine = Endpointer::new(EndpointConfig::default());
        let windows = pattern(&[(0.01, 50), (0.9, 30), (0.01, 40)]);
        let ends: Vec<(usize, Span)> =
            windows.iter().enumerate().filter_map(|(i, p)| machine.window(*p).map(|s| (i, s))).collect();
        let [(at, span)] = ends.as_slice() else { panic!("{ends:?}") };
        assert_eq!(span.voiced, 50..80);
        assert_eq!(span.sound, 43..86);
        assert_eq!(*at, 80 + 19 - 1, "it is told as soon as the silence is long enough");
    }

    #[test]
    fn a_pause_within_a_sentence_does_not_end_it() {
        let (spans, _) = run(&EndpointConfig::default(), &pattern(&[(0.9, 40), (0.02, 15), (0.9, 40), (0.02, 30)]));
        assert_eq!(spans.len(), 1);
        assert_eq!(spans[0].voiced, 0..95);
    }

    #[test]
    fn a_click_is_no_utterance() {
        let (spans, _) = run(&EndpointConfig::default(), &pattern(&[(0.01, 20), (0.9, 2), (0.01, 50)]));
        assert!(spans.is_empty());
    }

    #[test]
    fn a_monologue_is_cut_at_its_best_pause_and_nothing_is_lost_between() {
        let mut windows = pattern(&[(0.9, 450), (0.6, 1), (0.3, 3), (0.6, 1), (0.9, 400)]);
        windows.extend(pattern(&[(0.01, 40)]));
        let (spans, _) = run(&EndpointConfig::default(), &windows);
        assert_eq!(spans.len(), 2);
        assert!((450..=455).contains(&spans[0].sound.end), "{spans:?}");
        assert_eq!(spans[0].sound.end, spans[1].sound.start);
    }

    #[test]
    fn who_has_spoken_long_is_not_waited_for_as_long() {
        let (short, _) = run(&EndpointConfig::default(), &pattern(&[(0.9, 100), (0.01, 12), (0.9, 30), (0.01, 30)]));
        let (long, _) = run(&EndpointConfig::default(), &pattern(&[(0.9, 500), (0.01, 12), (0.9, 30), (0.01, 30)]));
        assert_eq!((short.len(), long.len()), (1, 2));
    }

    proptest! {
        #[test]
        fn any_probabilities_give_ordered_bounded_utterances_that_hold_all_sustained_voice(
            runs in prop::collection::vec((prop_oneof![Just(0.0f32), Just(0.4), Just(1.0), 0.0f32..1.0, Just(f32::NAN)], 1usize..200), 0..30),
            live in any::<bool>(),
        ) {
            let config = either(live);
            let windows = pattern(&runs);
            let (spans, machine) = run(&config, &windows);
            prop_assert_eq!(machine.position(), windows.len() as u64);
            prop_assert!(!machine.is_open());
            let mut last = 0;
            for span in &spans {
                prop_assert!(span.sound.start >= last && span.sound.start < span.sound.end, "{spans:?}");
                prop_assert!(span.sound.end - span.sound.start <= config.longest);
                prop_assert!(span.voiced.start >= span.sound.start && span.voiced.end <= span.sound.end && span.voiced.start < span.voiced.end, "{span:?}");
                prop_assert!(span.voiced_windows >= config.least_voiced);
                last = span.sound.end;
            }
            // Each long stretch of voice is in utterances, whole.
            let mut at = 0u64;
            for (p, n) in &runs {
                let n = *n as u64;
                if *p >= config.speech && n >= 2 * config.longest.min(20) {
                    let held: u64 = spans.iter().map(|s| s.sound.end.min(at + n).saturating_sub(s.sound.start.max(at))).sum();
                    prop_assert!(held + config.least_voiced >= n, "{held} of {n} windows held: {spans:?}");
                }
                at += n;
            }
        }

        #[test]
        fn sound_that_a_span_asks_for_was_never_declared_forgettable(
            windows in prop::collection::vec(prop_oneof![3 => Just(0.0f32), 1 => Just(0.4), 2 => Just(0.9)], 0..1500),
            live in any::<bool>(),
        ) {
            let mut machine = Endpointer::new(either(live));
            let mut forgotten = 0;
            for p in windows {
                if let Some(span) = machine.window(p) {
                    prop_assert!(span.sound.start >= forgotten, "{} < {forgotten}", span.sound.start);
                }
                prop_assert!(machine.needed_from() >= forgotten);
                forgotten = machine.needed_from();
            }
        }

        #[test]
        fn what_was_foretold_of_an_utterance_is_what_it_becomes_unless_voice_comes(
            windows in prop::collection::vec(prop_oneof![3 => Just(0.0f32), 1 => Just(0.4), 2 => Just(0.9)], 0..1500),
            live in any::<bool>(),
        ) {
            let config = either(live);
            let mut machine = Endpointer::new(config.clone());
            let mut foretold: Option<Span> = None;
            for p in windows {
                let span = machine.window(p);
                if let (Some(span), Some(foretold)) = (&span, &foretold)
                    && foretold.utterance == span.utterance
                    && span.sound == foretold.sound
                {
                    prop_assert_eq!(span, foretold);
                } else if let (Some(span), Some(foretold)) = (&span, &foretold) {
                    // It was cut, or voice came meanwhile.
                    prop_assert!(foretold.utterance == span.utterance);
                }
                foretold = machine.if_ended().filter(|_| p < config.speech);
                if let (Some(foretold), Some(progress)) = (&foretold, machine.progress()) {
                    prop_assert!(progress.quiet >= config.post_roll && progress.utterance == foretold.utterance);
                }
            }
        }

        #[test]
        fn silence_gives_nothing(windows in prop::collection::vec(0.0f32..0.499, 0..2000)) {
            let (spans, _) = run(&EndpointConfig::default(), &windows);
            prop_assert!(spans.is_empty());
        }
    }
}

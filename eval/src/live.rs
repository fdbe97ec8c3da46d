//! The recogniser in real time, and what people see when.

use std::time::{Duration, Instant};

use anyhow::Context;
use models::eval::{normalise, word_errors};
use models::{Caption, EarOptions, PartyKey, Recognised, Transcriber, TranscriberConfig, Utterance};

use crate::hear::FRAME;

/// What came, and when: ms since the sound began.
pub struct Shown<T> {
    /// When.
    pub at_ms: f64,
    /// What.
    pub what: T,
}

/// All that came while the lines were played.
#[derive(Default)]
pub struct Seen {
    /// Captions in their order.
    pub captions: Vec<Shown<Caption>>,
    /// Utterances in their order.
    pub utterances: Vec<Shown<Utterance>>,
    /// Sound that was lost, in ms.
    pub lost_ms: u64,
}

/// Plays lines in real time, 20 ms by 20 ms, each into an ear of its own.
///
/// # Errors
/// The weights are not usable, or the recogniser ended.
pub fn play(config: TranscriberConfig, lines: &[Vec<i16>], captions: bool) -> anyhow::Result<Seen> {
    let (transcriber, mut results) = Transcriber::load(config)?;
    let ears: Vec<_> = (0..lines.len())
        .map(|party| transcriber.open_with(PartyKey(party as u64), EarOptions { captions, ..EarOptions::default() }))
        .collect();
    let began = Instant::now();
    let parties = lines.len();
    let listening = std::thread::spawn(move || {
        let (mut seen, mut left) = (Seen::default(), parties);
        while left > 0 {
            let Some(result) = results.blocking_recv() else { break };
            let at_ms = began.elapsed().as_secs_f64() * 1000.0;
            match result {
                Recognised::Utterance(what) => seen.utterances.push(Shown { at_ms, what }),
                Recognised::Caption(what) => seen.captions.push(Shown { at_ms, what }),
                Recognised::FellBehind { lost_ms, .. } => seen.lost_ms += lost_ms,
                Recognised::Finished { .. } => left -= 1,
            }
        }
        seen
    });
    let longest = lines.iter().map(Vec::len).max().unwrap_or(0).div_ceil(FRAME);
    for frame in 0..longest {
        let due = began + Duration::from_millis(20) * (frame as u32 + 1);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        for (ear, line) in ears.iter().zip(lines) {
            let from = (frame * FRAME).min(line.len());
            ear.push(frame as i64 * 20, &line[from..(from + FRAME).min(line.len())]);
        }
    }
    ears.into_iter().for_each(models::PartyEar::finish);
    listening.join().ok().context("the listening thread ended early")
}

impl Seen {
    /// How long after the end of each utterance its words came, in ms, sorted.
    pub fn delays(&self) -> Vec<f64> {
        sorted(self.utterances.iter().map(|u| u.at_ms - u.what.end_ms as f64).collect())
    }

    /// How long after the end of each utterance all its words stood there, in a caption or for good, in ms, sorted: what a
    /// reader waits.
    pub fn shown_delays(&self) -> Vec<f64> {
        sorted(self.utterances.iter().map(|u| self.shown_ms(u) - u.what.end_ms as f64).collect())
    }

    /// When all words of an utterance first stood there.
    pub fn shown_ms(&self, utterance: &Shown<Utterance>) -> f64 {
        let said = normalise(&utterance.what.text).len();
        let whole = |caption: &&Shown<Caption>| {
            normalise(&format!("{} {}", *caption.what.agreed, *caption.what.tail)).len() >= said
                && self.utterance_of(&caption.what).is_some_and(|u| std::ptr::eq(u, &raw const utterance.what))
        };
        self.captions.iter().find(whole).map_or(utterance.at_ms, |caption| caption.at_ms.min(utterance.at_ms))
    }

    /// How far the last word of each caption was behind its being said, in ms, sorted; of captions whose utterance has word times.
    pub fn caption_delays(&self) -> Vec<f64> {
        let lag = |caption: &Shown<Caption>| {
            let utterance = self.utterance_of(&caption.what)?;
            let count = format!("{} {}", *caption.what.agreed, *caption.what.tail).split_whitespace().count();
            let word = utterance.words.get(count.checked_sub(1)?)?;
            Some(caption.at_ms - word.end_ms as f64)
        };
        sorted(self.captions.iter().filter_map(lag).collect())
    }

    /// The utterance that a caption was for: that of the same party which began nearest.
    fn utterance_of(&self, caption: &Caption) -> Option<&Utterance> {
        let mine = self.utterances.iter().map(|u| &u.what).filter(|u| u.party == caption.party);
        mine.min_by_key(|u| u.start_ms.abs_diff(caption.start_ms))
            .filter(|u| u.start_ms.abs_diff(caption.start_ms) < 1500)
    }

    /// What became of the words that were shown.
    pub fn stability(&self) -> Stability {
        let mut all = Stability::default();
        for utterance in &self.utterances {
            let mine: Vec<&Caption> = self
                .captions
                .iter()
                .map(|c| &c.what)
                .filter(|c| self.utterance_of(c).is_some_and(|u| std::ptr::eq(u, &raw const utterance.what)))
                .collect();
            all.add(&mine, &utterance.what.text);
        }
        all
    }
}

/// What became of shown words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stability {
    /// Utterances with at least one caption.
    pub captioned: usize,
    /// All utterances.
    pub utterances: usize,
    /// Words shown as agreed.
    pub agreed: usize,
    /// Of them, those that are not in the final words.
    pub changed: usize,
    /// Words taken away from what was shown, agreed or not, until the final words stood there.
    pub erased: usize,
    /// Words of the finals that had captions.
    pub words: usize,
}

impl Stability {
    fn add(&mut self, captions: &[&Caption], text: &str) {
        self.utterances += 1;
        let Some(last) = captions.last() else { return };
        self.captioned += 1;
        let finally = normalise(text);
        self.words += finally.len();
        let agreed = normalise(&last.agreed);
        self.agreed += agreed.len();
        // Against as many of the final words as match best: what was not shown yet is no change.
        let changed = (0..=finally.len()).map(|n| {
            let errors = word_errors(&finally[..n].join(" "), &agreed.join(" "));
            errors.substituted + errors.inserted + errors.deleted
        });
        self.changed += changed.min().unwrap_or(0).min(agreed.len());
        let shown = captions.iter().map(|c| normalise(&format!("{} {}", *c.agreed, *c.tail)));
        let mut before: Vec<String> = Vec::new();
        for now in shown.chain([finally]) {
            let same = before.iter().zip(&now).take_while(|(a, b)| a == b).count();
            self.erased += before.len() - same;
            before = now;
        }
    }
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// A quantile of sorted values (0.95: the 95th percentile); `None` of nothing.
pub fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    sorted
        .get(((sorted.len() as f64 * share).ceil() as usize).saturating_sub(1).min(sorted.len().checked_sub(1)?))
        .copied()
}

/// ms as people read them.
pub fn ms(value: Option<f64>) -> String {
    value.map_or_else(|| "none".to_owned(), |v| format!("{v:.0} ms"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caption(agreed: &str, tail: &str) -> Caption {
        Caption { party: PartyKey(1), start_ms: 0, agreed: agreed.to_owned().into(), tail: tail.to_owned().into() }
    }

    #[test]
    fn words_that_stay_are_stable_and_words_that_go_are_counted() {
        let mut good = Stability::default();
        good.add(&[&caption("we ship", "on"), &caption("We ship on", "Friday")], "We ship on Friday.");
        assert_eq!((good.changed, good.erased, good.agreed, good.words), (0, 0, 3, 4));
        let mut bad = Stability::default();
        bad.add(&[&caption("we chip", "the"), &caption("we chip on", "")], "We ship on Friday.");
        assert_eq!((bad.agreed, bad.changed), (3, 1));
        // "the" went, then "chip on" gave way to the final words.
        assert_eq!(bad.erased, 3);
        let mut none = Stability::default();
        none.add(&[], "Yes.");
        assert_eq!((none.utterances, none.captioned), (1, 0));
    }

    #[test]
    fn a_quantile_is_one_of_the_values() {
        let values: Vec<f64> = (1..=20).map(f64::from).collect();
        assert_eq!(quantile(&values, 0.95), Some(19.0));
        assert_eq!(quantile(&values, 0.5), Some(10.0));
        assert_eq!(quantile(&[], 0.5), None);
    }
}

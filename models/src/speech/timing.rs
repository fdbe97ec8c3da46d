//! When each word was said: from the recogniser's own times where it tells them, else from where there was voice.
//!
//! Without times of its own, words share the voice of the utterance by their length in letters; pauses belong to no word,
//! and are laid between two words, behind punctuation sooner than elsewhere. Good to about a quarter of a second.

use zeroize::Zeroizing;

use super::backend::TimedWord;
use super::endpoint::WINDOW_MS;

/// At or above this a window has voice.
const VOICE: f32 = 0.4;
/// A silence of so many windows is a pause between words.
const PAUSE: usize = 4;

/// The words of a text with their times, in ms from the first sample: never before 0 nor behind the sound's end, each not
/// before the one before it. `timed` is what the recogniser told, `voices` the voice probability of each window.
pub fn place(text: &str, timed: Vec<TimedWord>, voices: &[f32], probability: f32) -> Vec<TimedWord> {
    let end_ms = voices.len() as i64 * WINDOW_MS;
    let words: Vec<&str> = text.split_whitespace().collect();
    let same = timed.len() == words.len() && timed.iter().zip(&words).all(|(t, w)| t.text.as_str() == *w);
    let mut placed = if same && timed.iter().any(|word| word.end_ms > 0) {
        timed
    } else {
        let mut placed = by_voice(&words, voices, probability);
        if same {
            placed.iter_mut().zip(&timed).for_each(|(to, from)| to.probability = from.probability);
        }
        placed
    };
    let mut at = 0;
    for word in &mut placed {
        word.start_ms = word.start_ms.clamp(at, end_ms.max(at));
        word.end_ms = word.end_ms.clamp(word.start_ms, end_ms.max(word.start_ms));
        at = word.start_ms;
    }
    placed
}

fn by_voice(words: &[&str], voices: &[f32], probability: f32) -> Vec<TimedWord> {
    let voiced = windows_of_voice(voices);
    let boundaries = boundaries(words, &voiced);
    let time = |position: f32, ends: bool| -> i64 {
        // A boundary at a pause is before it for the word that ends and behind it for the word that begins.
        let whole = if ends { position.ceil() as usize } else { position.floor() as usize + 1 };
        let window = voiced.get(whole.saturating_sub(1).min(voiced.len().saturating_sub(1))).copied().unwrap_or(0);
        let within = if ends { position - (whole as f32 - 1.0) } else { position - position.floor() };
        (window as f32 * WINDOW_MS as f32 + within.clamp(0.0, 1.0) * WINDOW_MS as f32) as i64
    };
    let timed = words.iter().enumerate().map(|(at, word)| TimedWord {
        text: Zeroizing::new((*word).to_owned()),
        start_ms: time(boundaries[at], false),
        end_ms: time(boundaries[at + 1], true),
        probability,
    });
    timed.collect()
}

/// Numbers of the windows that have voice; all of them where none has.
fn windows_of_voice(voices: &[f32]) -> Vec<usize> {
    let voiced: Vec<usize> = (0..voices.len()).filter(|at| voices[*at] >= VOICE).collect();
    if voiced.is_empty() { (0..voices.len()).collect() } else { voiced }
}

/// Where each word begins and the last one ends, counted in windows of voice.
fn boundaries(words: &[&str], voiced: &[usize]) -> Vec<f32> {
    let mut sums = vec![0.0];
    for word in words {
        sums.push(sums[sums.len() - 1] + weight(word));
    }
    let total = sums[words.len()].max(1e-3);
    let share = voiced.len() as f32 / total;
    // Fixed points: (boundary number, position).
    let mut fixed = vec![(0, 0.0), (words.len(), voiced.len() as f32)];
    let mean = voiced.len() as f32 / words.len().max(1) as f32;
    for (position, _) in pauses(voiced) {
        let place = fixed.partition_point(|(_, at)| *at < position);
        let (low, high) = (fixed[place - 1], fixed[place]);
        let between = (low.0 + 1)..high.0;
        let cost = |boundary: &usize| {
            let punctuated = words[*boundary - 1].ends_with(['.', ',', '?', '!', ';', ':']);
            (sums[*boundary] * share - position).abs() / mean - if punctuated { 0.7 } else { 0.0 }
        };
        let best = between.min_by(|a, b| cost(a).total_cmp(&cost(b)));
        if let Some(boundary) = best.filter(|boundary| cost(boundary) < 1.2) {
            fixed.insert(place, (boundary, position));
        }
    }
    let mut out = vec![0.0; words.len() + 1];
    for pair in fixed.windows(2) {
        let ((from, start), (to, end)) = (pair[0], pair[1]);
        let span = (sums[to] - sums[from]).max(1e-3);
        for boundary in from..=to {
            out[boundary] = start + (sums[boundary] - sums[from]) / span * (end - start);
        }
    }
    out
}

/// Positions of pauses, counted in windows of voice before them, and their lengths; longest first.
fn pauses(voiced: &[usize]) -> Vec<(f32, usize)> {
    let gap = |(at, pair): (usize, &[usize])| {
        let silent = pair[1] - pair[0] - 1;
        (silent >= PAUSE).then_some(((at + 1) as f32, silent))
    };
    let mut pauses: Vec<(f32, usize)> = voiced.windows(2).enumerate().filter_map(gap).collect();
    pauses.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.total_cmp(&b.0)));
    pauses
}

/// How long a word takes, in letters; a digit is a word of its own.
fn weight(word: &str) -> f32 {
    word.chars().map(|c| if c.is_ascii_digit() { 4.0 } else { f32::from(u8::from(c.is_alphanumeric())) }).sum::<f32>()
        + 1.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(parts: &[(f32, usize)]) -> Vec<f32> {
        parts.iter().flat_map(|(p, n)| std::iter::repeat_n(*p, *n)).collect()
    }

    #[test]
    fn a_pause_lies_between_two_words_and_belongs_to_none() {
        let voices = pattern(&[(0.0, 5), (0.9, 20), (0.0, 15), (0.9, 22), (0.0, 6)]);
        let words = place("Good morning, everybody here", Vec::new(), &voices, 0.9);
        let times: Vec<(i64, i64)> = words.iter().map(|w| (w.start_ms / WINDOW_MS, w.end_ms / WINDOW_MS)).collect();
        assert_eq!(times[0].0, 5);
        assert_eq!(times[1].1, 25, "{times:?}");
        assert_eq!(times[2].0, 40, "{times:?}");
        assert_eq!(times[3].1, 62, "{times:?}");
    }

    #[test]
    fn the_recognisers_own_times_are_kept_where_its_words_are_the_text() {
        let word = |text: &str, start_ms, end_ms| TimedWord {
            text: Zeroizing::new(text.to_owned()),
            start_ms,
            end_ms,
            probability: 0.5,
        };
        let voices = vec![0.9; 100];
        let words = place("Yes, we", vec![word("Yes,", 100, 300), word("we", 250, 9999)], &voices, 0.9);
        assert_eq!((words[0].start_ms, words[0].end_ms), (100, 300));
        assert_eq!((words[1].start_ms, words[1].end_ms), (250, 3200), "never behind the end");
        assert_eq!(place("Yes", vec![word("No", 1, 2)], &voices, 0.9)[0].text.as_str(), "Yes");
    }

    proptest! {
        #[test]
        fn any_text_over_any_voice_has_a_time_for_each_word_in_order_and_within_the_sound(
            text in "[a-z0-9,. ]{0,60}",
            voices in prop::collection::vec(0.0f32..1.0, 0..120),
        ) {
            let words = place(&text, Vec::new(), &voices, 0.5);
            prop_assert_eq!(words.len(), text.split_whitespace().count());
            let end = voices.len() as i64 * WINDOW_MS;
            let mut last = 0;
            for word in &words {
                prop_assert!(word.start_ms >= last && word.start_ms <= word.end_ms && word.end_ms <= end, "{}..{} of {end}", word.start_ms, word.end_ms);
                last = word.start_ms;
            }
        }
    }
}

//! What of a caption is certain: words on which successive looks at a growing utterance agree (LocalAgreement-2). Sans-IO.
//!
//! Words that were shown as agreed are never taken back or changed until the utterance itself comes; everything behind
//! them is the tail, and may change. The last word of a look is not agreed on while speech goes on: it may be half a word.

use zeroize::Zeroizing;

/// The looks at one utterance.
#[derive(Default)]
pub struct Agreement {
    /// Which one; `None` between utterances.
    utterance: Option<u64>,
    agreed: Zeroizing<Vec<String>>,
    last: Zeroizing<Vec<String>>,
    shown: Option<Shown>,
}

/// What to show.
#[derive(Clone, PartialEq, Eq)]
pub struct Shown {
    /// Only ever added to.
    pub agreed: Zeroizing<String>,
    /// As it seems now.
    pub tail: Zeroizing<String>,
}

impl Agreement {
    /// Takes the text of another look at this utterance. `ended`: silence follows its last word. Gives what to show if
    /// that has changed.
    pub fn look(&mut self, utterance: u64, text: &str, ended: bool) -> Option<Shown> {
        if self.utterance != Some(utterance) {
            *self = Self { utterance: Some(utterance), ..Self::default() };
        }
        let words = Zeroizing::new(text.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        let same = words.iter().zip(self.last.iter()).take_while(|(a, b)| plain(a) == plain(b)).count();
        let sure = if ended { words.len() } else { words.len().saturating_sub(1) };
        let behind = self.behind_agreed(&words);
        let until = same.min(sure).max(behind);
        self.agreed.extend(words[behind..until].iter().cloned());
        let tail = Zeroizing::new(words[until..].join(" "));
        self.last = words;
        let shown = Shown { agreed: Zeroizing::new(self.agreed.join(" ")), tail };
        if self.shown.as_ref() == Some(&shown) {
            return None;
        }
        self.shown = Some(shown.clone());
        Some(shown)
    }

    /// Ends this utterance and all before it: whether anything of them was shown and still stands.
    pub fn end(&mut self, utterance: u64) -> bool {
        if self.utterance.is_none_or(|of| of > utterance) {
            return false;
        }
        let shown = self.shown.is_some();
        *self = Self::default();
        shown
    }

    /// Where, in another look, the words begin that come behind the agreed ones. A look that has a word more or fewer among
    /// them is met where its words fit the last agreed ones best; one that fits nowhere is taken by count.
    fn behind_agreed(&self, words: &[String]) -> usize {
        let count = self.agreed.len();
        let fit = |at: usize| {
            let pairs = self.agreed.iter().rev().zip(words[..at].iter().rev()).take(4);
            pairs.take_while(|(a, b)| plain(a) == plain(b)).count()
        };
        let around = count.saturating_sub(3)..=(count + 3).min(words.len());
        let best = around.max_by_key(|at| (fit(*at), std::cmp::Reverse(at.abs_diff(count))));
        match best {
            Some(at) if count > 0 && fit(at) > 0 => at,
            _ => count.min(words.len()),
        }
    }
}

/// A word as it is compared: without case and punctuation.
fn plain(word: &str) -> String {
    word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(agreement: &mut Agreement, text: &str) -> (String, String) {
        let shown = agreement.look(1, text, false).expect("it changed");
        (shown.agreed.to_string(), shown.tail.to_string())
    }

    #[test]
    fn two_looks_that_agree_make_words_certain_but_never_the_last_one() {
        let mut agreement = Agreement::default();
        assert_eq!(shown(&mut agreement, "We ship"), (String::new(), "We ship".to_owned()));
        assert_eq!(shown(&mut agreement, "we ship on Fry"), ("we ship".to_owned(), "on Fry".to_owned()));
        assert_eq!(shown(&mut agreement, "We ship, on Friday if"), ("we ship on".to_owned(), "Friday if".to_owned()));
        assert!(agreement.end(1), "it was shown");
        assert!(!agreement.end(1), "and ended");
    }

    #[test]
    fn what_is_agreed_stays_when_a_later_look_hears_something_else() {
        let mut agreement = Agreement::default();
        agreement.look(1, "the red house is old now", false);
        assert_eq!(shown(&mut agreement, "the red house is old and").0, "the red house is old");
        let (agreed, tail) = shown(&mut agreement, "the bread house is old and grey");
        assert_eq!((agreed.as_str(), tail.as_str()), ("the red house is old", "and grey"));
        let (agreed, tail) = shown(&mut agreement, "red house is old and grey in winter");
        assert_eq!((agreed.as_str(), tail.as_str()), ("the red house is old", "and grey in winter"));
    }

    #[test]
    fn the_same_again_is_not_shown_again_and_another_utterance_begins_anew() {
        let mut agreement = Agreement::default();
        assert!(agreement.look(1, "yes", true).is_some());
        assert!(agreement.look(1, "yes", true).is_some_and(|shown| shown.agreed.as_str() == "yes"));
        assert!(agreement.look(1, "yes", true).is_none());
        assert!(agreement.look(2, "no", false).is_some_and(|shown| shown.agreed.is_empty()));
        assert!(!agreement.end(1), "that is the second's");
    }

    proptest! {
        #[test]
        fn agreed_words_are_only_ever_added_to(
            looks in prop::collection::vec(prop::collection::vec(prop_oneof!["a", "b", "c,", "D"], 0..9), 1..12),
        ) {
            let mut agreement = Agreement::default();
            let mut before = String::new();
            for words in looks {
                if let Some(shown) = agreement.look(7, &words.join(" "), false) {
                    prop_assert!(shown.agreed.starts_with(&before), "{before:?} became {:?}", *shown.agreed);
                    before = shown.agreed.to_string();
                }
            }
        }
    }
}

//! Word error rate with an honest normaliser.
//!
//! Honest: it removes what is not words (case, punctuation, the spelling of numbers and common contractions), and no
//! more. No list of words that may be left out, no synonyms.

use crate::number_words::{spelt, spelt_ordinal};

/// Word errors of one hypothesis.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct WordErrors {
    /// Words in the reference.
    pub words: usize,
    /// Words replaced by another.
    pub substituted: usize,
    /// Words left out.
    pub deleted: usize,
    /// Words that were not said.
    pub inserted: usize,
}

impl WordErrors {
    /// Errors over words of the reference; 0 if both are empty, 1 per inserted word if only the reference is.
    pub fn rate(&self) -> f64 {
        (self.substituted + self.deleted + self.inserted) as f64 / self.words.max(1) as f64
    }

    /// Sums two counts.
    pub fn plus(self, other: Self) -> Self {
        Self {
            words: self.words + other.words,
            substituted: self.substituted + other.substituted,
            deleted: self.deleted + other.deleted,
            inserted: self.inserted + other.inserted,
        }
    }
}

/// Word error rate after [`normalise`]: 0 is perfect, can exceed 1.
pub fn word_error_rate(reference: &str, hypothesis: &str) -> f64 {
    word_errors(reference, hypothesis).rate()
}

/// The errors by kind, from a cheapest alignment.
pub fn word_errors(reference: &str, hypothesis: &str) -> WordErrors {
    let (reference, hypothesis) = (normalise(reference), normalise(hypothesis));
    // (cost, substituted, deleted, inserted) per column.
    let mut row: Vec<(usize, usize, usize, usize)> = (0..=hypothesis.len()).map(|i| (i, 0, 0, i)).collect();
    for (i, said) in reference.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = (i + 1, 0, i + 1, 0);
        for (j, heard) in hypothesis.iter().enumerate() {
            let above = row[j + 1];
            let left = row[j];
            let best = if said == heard {
                diagonal
            } else {
                let replace = (diagonal.0 + 1, diagonal.1 + 1, diagonal.2, diagonal.3);
                let delete = (above.0 + 1, above.1, above.2 + 1, above.3);
                let insert = (left.0 + 1, left.1, left.2, left.3 + 1);
                [replace, delete, insert].into_iter().min_by_key(|c| c.0).unwrap_or(replace)
            };
            diagonal = above;
            row[j + 1] = best;
        }
    }
    let (_, substituted, deleted, inserted) = row[hypothesis.len()];
    WordErrors { words: reference.len(), substituted, deleted, inserted }
}

/// A text without the accents of Western European languages, and with е for ё: lists of prompts often lack them.
pub fn without_accents(text: &str) -> String {
    const PLAIN: &[(&str, char)] = &[
        ("áàâäã", 'a'),
        ("éèêë", 'e'),
        ("íìîï", 'i'),
        ("óòôöõ", 'o'),
        ("úùûü", 'u'),
        ("ñ", 'n'),
        ("ç", 'c'),
        ("ё", 'е'),
    ];
    let plain = |c: char| PLAIN.iter().find(|(accented, _)| accented.contains(c)).map_or(c, |(_, plain)| *plain);
    text.chars().flat_map(char::to_lowercase).map(plain).collect()
}

/// Words as they are compared: lower case, digits spelt out, contractions opened, no punctuation, no bracketed sounds.
pub fn normalise(text: &str) -> Vec<String> {
    let mut plain = String::with_capacity(text.len());
    let mut depth = 0usize;
    for character in text.chars() {
        match character {
            '[' | '(' | '<' => depth += 1,
            ']' | ')' | '>' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            '’' | '‘' | '`' => plain.push('\''),
            '%' => plain.push_str(" percent "),
            '&' => plain.push_str(" and "),
            '+' => plain.push_str(" plus "),
            '#' => plain.push_str(" pound "),
            _ => plain.extend(character.to_lowercase()),
        }
    }
    let mut words = Vec::new();
    for raw in plain.split(|c: char| !(c.is_alphanumeric() || c == '\'')) {
        let word = raw.trim_matches('\'');
        if word.is_empty() {
            continue;
        }
        match CONTRACTIONS.iter().find(|(short, _)| *short == word) {
            Some((_, long)) => words.extend(long.split(' ').map(str::to_owned)),
            None => push_word(word, &mut words),
        }
    }
    words
}

const CONTRACTIONS: &[(&str, &str)] = &[
    ("i'm", "i am"),
    ("you're", "you are"),
    ("we're", "we are"),
    ("they're", "they are"),
    ("it's", "it is"),
    ("that's", "that is"),
    ("there's", "there is"),
    ("what's", "what is"),
    ("let's", "let us"),
    ("can't", "can not"),
    ("cannot", "can not"),
    ("won't", "will not"),
    ("don't", "do not"),
    ("doesn't", "does not"),
    ("didn't", "did not"),
    ("isn't", "is not"),
    ("aren't", "are not"),
    ("wasn't", "was not"),
    ("haven't", "have not"),
    ("i'll", "i will"),
    ("you'll", "you will"),
    ("we'll", "we will"),
    ("i've", "i have"),
    ("you've", "you have"),
    ("we've", "we have"),
    ("okay", "ok"),
    ("voicemail", "voice mail"),
];

/// Digits become words, each number read as people read it up to 99, else digit by digit; the rest keeps its letters.
fn push_word(word: &str, words: &mut Vec<String>) {
    let ordinal =
        word.strip_suffix("st").or(word.strip_suffix("nd")).or(word.strip_suffix("rd")).or(word.strip_suffix("th"));
    let place = ordinal.filter(|n| n.chars().all(|c| c.is_ascii_digit())).and_then(|n| n.parse().ok());
    if let Some(spelt) = place.and_then(spelt_ordinal) {
        words.extend(spelt.into_iter().map(str::to_owned));
        return;
    }
    if word.chars().all(|c| c.is_ascii_digit()) {
        let whole = word.parse().ok().filter(|_| word.len() == 1 || !word.starts_with('0')).and_then(spelt);
        match whole {
            Some(spelt) => words.extend(spelt.into_iter().map(str::to_owned)),
            None => {
                words.extend(word.bytes().filter_map(|b| spelt(usize::from(b - b'0'))).flatten().map(str::to_owned));
            }
        }
        return;
    }
    words.push(word.chars().filter(|c| *c != '\'').collect());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spelling_does_not_count_as_an_error() {
        let same = [
            ("Press one, then 22.", "press 1 then twenty-two"),
            ("You can't do that; it's over", "you cannot do that, it is over"),
            ("extension 1 0 0", "Extension 100"),
            ("on the twenty-first, not the eleventh", "On the 21st, not the 11th."),
            ("Okay [laughs]", "OK"),
        ];
        for (reference, hypothesis) in same {
            assert_eq!(word_error_rate(reference, hypothesis), 0.0, "{reference} / {hypothesis}");
        }
    }

    #[test]
    fn accents_go_and_letters_stay() {
        assert_eq!(
            without_accents("Número, Contraseña, déjà, решётку, naïve"),
            "numero, contrasena, deja, решетку, naive"
        );
    }

    #[test]
    fn errors_are_counted_by_kind() {
        let errors = word_errors("we ship the release on friday", "we chip release on the friday");
        assert_eq!(errors, WordErrors { words: 6, substituted: 1, deleted: 1, inserted: 1 });
        assert_eq!(errors.rate(), 0.5);
        assert_eq!(word_error_rate("", "thanks for watching"), 3.0);
        assert_eq!(word_error_rate("", ""), 0.0);
    }

    proptest! {
        #[test]
        fn a_text_has_no_errors_against_itself_and_rates_are_finite(a in "\\PC{0,80}", b in "\\PC{0,80}") {
            prop_assert_eq!(word_error_rate(&a, &a), 0.0);
            prop_assert!(word_error_rate(&a, &b).is_finite());
        }
    }
}

//! Words of a text as dates are read from them.

use std::ops::Range;

use crate::number_words;

/// One word.
#[derive(Debug, Clone)]
pub(super) struct Token {
    /// Lower case, without punctuation around it, stops within short forms left out ("a.m." is "am").
    pub(super) word: String,
    /// Where it stands, without punctuation around it.
    pub(super) range: Range<usize>,
    /// Begins with a capital letter.
    pub(super) large: bool,
    /// A comma or the like, or the end of a sentence, follows.
    pub(super) pause: bool,
    /// The end of a sentence follows.
    pub(super) ends: bool,
}

/// The words of a text. Hyphens part words ("twenty-second"), but not digits (2026-12-24).
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut out: Vec<Token> = Vec::new();
    let mut at = 0;
    for raw in text.split_inclusive(|c: char| c.is_whitespace() || matches!(c, '–' | '—')) {
        let from = at;
        at += raw.len();
        let digits = raw.trim_start_matches(|c: char| !c.is_alphanumeric()).starts_with(|c: char| c.is_ascii_digit());
        let mut inner = from;
        for piece in raw.split_inclusive(|c: char| c == '-' && !digits) {
            push(&mut out, text, inner..inner + piece.len());
            inner += piece.len();
        }
    }
    out
}

fn push(out: &mut Vec<Token>, text: &str, range: Range<usize>) {
    let raw = &text[range.clone()];
    let is_inner = |c: char| c.is_alphanumeric();
    let (Some(first), Some(last)) = (raw.find(is_inner), raw.rfind(is_inner)) else {
        // Punctuation that stands alone belongs to the word before.
        if let Some(before) = out.last_mut().filter(|_| !raw.trim().is_empty()) {
            before.pause = true;
        }
        return;
    };
    let end = last + raw[last..].chars().next().map_or(0, char::len_utf8);
    let inner = &raw[first..end];
    let word = inner.to_lowercase().replace(['’', '‘'], "'");
    let word = if word.chars().filter(|c| *c == '.').count() > 0 && word.split('.').all(|p| p.chars().count() == 1) {
        word.replace('.', "")
    } else {
        word
    };
    let behind = raw[end..].trim();
    let short = word == "am" || word == "pm";
    out.push(Token {
        word: word.strip_suffix("'s").map_or(word.clone(), str::to_owned),
        range: range.start + first..range.start + end,
        large: inner.starts_with(char::is_uppercase),
        pause: behind.contains([',', ';', ':', '!', '?', '"', '”', ')']) || (behind.contains('.') && !short),
        ends: behind.contains(['!', '?']) || (behind.contains('.') && !short),
    });
}

/// A small number in digits or words; "a" and "an" are one, "a couple" is two (see [`super::days`]).
pub(super) fn number(word: &str) -> Option<i64> {
    match word {
        "a" | "an" => Some(1),
        _ if word.len() <= 3 && word.bytes().all(|b| b.is_ascii_digit()) => word.parse().ok(),
        _ => number_words::cardinal(word).map(i64::from),
    }
}

/// "22nd", "second", "thirtieth"; and whether it is in digits.
pub(super) fn ordinal(word: &str) -> Option<(i8, bool)> {
    let in_words = number_words::ordinal(word).and_then(|day| i8::try_from(day).ok());
    if let Some(day) = in_words.filter(|day| (1..=31).contains(day)) {
        return Some((day, false));
    }
    let digits = word.strip_suffix("st").or_else(|| word.strip_suffix("nd"));
    let digits = digits.or_else(|| word.strip_suffix("rd")).or_else(|| word.strip_suffix("th"))?;
    digits.parse().ok().filter(|day| (1..=31).contains(day)).map(|day| (day, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lose_their_punctuation_and_keep_their_place() {
        let text = "By Thursday, end-of-day (10 a.m.) – OK?";
        let words: Vec<_> = tokens(text).into_iter().map(|t| (t.word, t.pause)).collect();
        let want = [
            ("by", false),
            ("thursday", true),
            ("end", false),
            ("of", false),
            ("day", false),
            ("10", false),
            ("am", true),
            ("ok", true),
        ];
        assert_eq!(words, want.map(|(w, p)| (w.to_owned(), p)));
        for token in tokens(text) {
            assert_eq!(text[token.range].to_lowercase().replace('.', ""), token.word);
        }
    }
}

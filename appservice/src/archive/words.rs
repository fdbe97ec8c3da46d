//! From text to the words that the index knows: lower case, accents folded, lightly stemmed.
//!
//! Text and question go through the same door, so what matters is only that the same word always comes out the same.
//! Scripts written without spaces (Han, Kana) are cut into pairs of characters.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// No word of a person is longer; what is, is cut.
const LONGEST: usize = 64;

/// The different words of a text, as the index knows them.
pub(super) fn words(text: &str) -> BTreeSet<String> {
    spans(text).into_iter().map(|(word, _)| word).collect()
}

/// Every word with the byte offset in `text` where it starts.
pub(super) fn spans(text: &str) -> Vec<(String, usize)> {
    let mut out = Vec::new();
    let mut word: Option<(usize, String)> = None;
    let mut pair: Option<(usize, Vec<char>)> = None;
    for (at, c) in text.char_indices() {
        let dense = is_dense(c);
        if !dense {
            flush_pair(&mut pair, &mut out);
        }
        if dense {
            flush_word(&mut word, &mut out);
            pair.get_or_insert_with(|| (at, Vec::new())).1.push(c);
        } else if c.is_alphanumeric() || is_combining_mark(c) || (is_apostrophe(c) && word.is_some()) {
            word.get_or_insert_with(|| (at, String::new())).1.push(c);
        } else {
            flush_word(&mut word, &mut out);
        }
    }
    flush_word(&mut word, &mut out);
    flush_pair(&mut pair, &mut out);
    out
}

fn flush_word(word: &mut Option<(usize, String)>, out: &mut Vec<(String, usize)>) {
    if let Some((at, raw)) = word.take() {
        let word = stem(&fold(&raw));
        if !word.is_empty() {
            out.push((word, at));
        }
    }
}

fn flush_pair(pair: &mut Option<(usize, Vec<char>)>, out: &mut Vec<(String, usize)>) {
    let Some((mut at, run)) = pair.take() else { return };
    if let [only] = run[..] {
        out.push((only.to_string(), at));
    }
    for two in run.windows(2) {
        out.push((two.iter().collect(), at));
        at += two[0].len_utf8();
    }
}

const fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '\u{2019}')
}

const fn is_dense(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

fn fold(raw: &str) -> String {
    let mut out: String = raw
        .nfkd()
        .filter(|c| !is_combining_mark(*c))
        .flat_map(char::to_lowercase)
        .map(|c| if is_apostrophe(c) { '\'' } else { c })
        .filter(|c| c.is_alphanumeric() || *c == '\'')
        .take(LONGEST)
        .collect();
    out = out.replace('ß', "ss");
    for end in ["'s", "'"] {
        if let Some(cut) = out.strip_suffix(end) {
            out.truncate(cut.len());
        }
    }
    out
}

/// English endings, gently: plural, `-ing`, `-ed`, the silent `e`. Other languages only lose a final `s` or `e`, on both sides.
fn stem(word: &str) -> String {
    let mut out = word.to_owned();
    if !out.is_ascii() || out.len() < 4 || out.bytes().any(|b| b.is_ascii_digit()) {
        return out;
    }
    if out.ends_with("ies") && out.len() > 4 {
        out.truncate(out.len() - 3);
        out.push('y');
    } else if ["sses", "shes", "ches", "xes", "zes"].iter().any(|end| out.ends_with(end)) {
        out.truncate(out.len() - 2);
    } else if out.ends_with('s') && !out.ends_with("ss") && !out.ends_with("us") && !out.ends_with("is") {
        out.truncate(out.len() - 1);
    }
    for end in ["ing", "ed"] {
        let Some(base) = out.strip_suffix(end) else { continue };
        if base.len() >= 3 && base.bytes().any(|b| b"aeiouy".contains(&b)) {
            out.truncate(base.len());
            let b = out.as_bytes();
            if b.len() > 3 && b[b.len() - 1] == b[b.len() - 2] && !b"aeiouls".contains(&b[b.len() - 1]) {
                out.truncate(out.len() - 1);
            }
            break;
        }
    }
    if out.len() > 3 && out.ends_with('e') {
        out.truncate(out.len() - 1);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(text: &str) -> String {
        let all = words(text);
        assert_eq!(all.len(), 1, "{text:?} gave {all:?}");
        all.into_iter().next().unwrap()
    }

    #[test]
    fn forms_of_a_word_meet() {
        for (a, b) in [
            ("Mock-ups", "mock ups"),
            ("released", "Releases"),
            ("releasing", "release"),
            ("shipping", "ships"),
            ("shipped", "ship"),
            ("budgets", "BUDGET"),
            ("Ada's", "ada"),
            ("Straße", "STRASSE"),
            ("café", "cafe\u{301}"),
            ("cities", "city"),
            ("ﬁne", "fine"),
        ] {
            assert_eq!(words(a), words(b), "{a} and {b}");
        }
        assert_ne!(one("bus"), one("but"));
        assert_ne!(one("sing"), one("s"));
    }

    #[test]
    fn scripts_without_spaces_are_found_by_their_parts() {
        let said = words("来週金曜日に出荷します");
        assert!(words("金曜日").is_subset(&said));
        assert!(!words("土曜日").is_subset(&said));
    }

    proptest! {
        #[test]
        fn no_text_panics_and_offsets_are_of_the_text(text in any::<String>()) {
            for (word, at) in spans(&text) {
                prop_assert!(text.is_char_boundary(at));
                prop_assert!(!word.is_empty());
            }
        }
    }
}

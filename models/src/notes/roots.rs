//! Words without their endings, so that forms of one word are the same.

/// Singular and plural, and a possessive, are one word.
pub(super) fn stem(word: &str) -> String {
    let word = word.strip_suffix("'s").unwrap_or(word);
    let is_plural = word.len() > 3 && word.ends_with('s') && !word.ends_with("ss") && !word.ends_with("us");
    if is_plural { word[..word.len() - 1].to_owned() } else { word.to_owned() }
}

/// The part of a word that its forms share ("sending", "sends", "send"): for comparing prose with speech.
pub(super) fn root(word: &str) -> String {
    let word = stem(word);
    for ending in ["ing", "ed", "es", "er", "ly", "e"] {
        if let Some(rest) = word.strip_suffix(ending).filter(|rest| rest.chars().count() >= 4) {
            let mut letters = rest.chars().rev();
            // "Shipping" is of "ship".
            let doubled = letters.next().is_some_and(|last| letters.next() == Some(last) && !"lsez".contains(last));
            return if doubled && ending != "e" { rest[..rest.len() - 1].to_owned() } else { rest.to_owned() };
        }
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_word_share_their_root_and_short_words_stay() {
        for forms in [["send", "sends", "sending"], ["ship", "ships", "shipping"], ["Ana's", "Ana", "Ana"]] {
            assert!(forms.iter().all(|form| root(form) == root(forms[0])), "{forms:?}");
        }
        for word in ["bus", "class", "red", "is", "d\u{e9}j\u{e0}", ""] {
            assert_eq!(stem(word), word);
        }
        assert_eq!((stem("releases"), root("releases")), ("release".to_owned(), "releas".to_owned()));
    }
}

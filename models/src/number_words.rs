//! The words of English numbers below a hundred: the one table for all that reads or writes them.

/// 0 to 19: how many, and which one.
const SMALL: [(&str, &str); 20] = [
    ("zero", "zeroth"),
    ("one", "first"),
    ("two", "second"),
    ("three", "third"),
    ("four", "fourth"),
    ("five", "fifth"),
    ("six", "sixth"),
    ("seven", "seventh"),
    ("eight", "eighth"),
    ("nine", "ninth"),
    ("ten", "tenth"),
    ("eleven", "eleventh"),
    ("twelve", "twelfth"),
    ("thirteen", "thirteenth"),
    ("fourteen", "fourteenth"),
    ("fifteen", "fifteenth"),
    ("sixteen", "sixteenth"),
    ("seventeen", "seventeenth"),
    ("eighteen", "eighteenth"),
    ("nineteen", "nineteenth"),
];
/// 20, 30, … 90, likewise.
const TENS: [(&str, &str); 8] = [
    ("twenty", "twentieth"),
    ("thirty", "thirtieth"),
    ("forty", "fortieth"),
    ("fifty", "fiftieth"),
    ("sixty", "sixtieth"),
    ("seventy", "seventieth"),
    ("eighty", "eightieth"),
    ("ninety", "ninetieth"),
];

/// All single words with their numbers, as counted and as ordered.
fn all() -> impl Iterator<Item = (u8, &'static (&'static str, &'static str))> {
    (0..).zip(&SMALL).chain((20..).step_by(10).zip(&TENS))
}

/// The words that count, from "zero" to "ninety".
pub(crate) fn words() -> impl Iterator<Item = &'static str> {
    all().map(|(_, (word, _))| *word)
}

/// What one lower-case word counts: "seventeen", "forty".
pub(crate) fn cardinal(word: &str) -> Option<u8> {
    all().find(|(_, (cardinal, _))| *cardinal == word).map(|(number, _)| number)
}

/// The place that one lower-case word names: "seventeenth", "fortieth".
pub(crate) fn ordinal(word: &str) -> Option<u8> {
    all().find(|(_, (_, ordinal))| *ordinal == word).map(|(number, _)| number)
}

/// A number below 100 in words: "forty", "two". `None` from 100 on.
pub(crate) fn spelt(number: usize) -> Option<Vec<&'static str>> {
    in_words(number, |words| words.0)
}

/// The ordinal below 100 in words: "forty", "second". `None` from 100 on.
pub(crate) fn spelt_ordinal(number: usize) -> Option<Vec<&'static str>> {
    in_words(number, |words| words.1)
}

/// `last`: how the last word is put.
fn in_words(number: usize, last: fn(&(&'static str, &'static str)) -> &'static str) -> Option<Vec<&'static str>> {
    if let Some(small) = SMALL.get(number) {
        return Some(vec![last(small)]);
    }
    let ten = TENS.get(number / 10 - 2)?;
    Some(match number % 10 {
        0 => vec![last(ten)],
        unit => vec![ten.0, last(&SMALL[unit])],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for number in 0..100_usize {
            let sum = |words: &[&str]| words.iter().map(|w| cardinal(w).map(usize::from)).sum::<Option<usize>>();
            assert_eq!(sum(&spelt(number).unwrap()), Some(number));
            let words = spelt_ordinal(number).unwrap();
            let (last, before) = words.split_last().unwrap();
            assert_eq!(sum(before).unwrap() + usize::from(ordinal(last).unwrap()), number, "{words:?}");
        }
        assert_eq!((spelt(100), spelt_ordinal(100)), (None, None));
        assert_eq!(spelt(42).unwrap(), ["forty", "two"]);
        assert_eq!(spelt_ordinal(21).unwrap(), ["twenty", "first"]);
        assert_eq!((spelt(12).unwrap(), spelt_ordinal(30).unwrap()), (vec!["twelve"], vec!["thirtieth"]));
    }

    #[test]
    fn other_words_are_no_numbers() {
        for word in ["", "Seven", "sevens", "hundred", "a", "7"] {
            assert_eq!((cardinal(word), ordinal(word)), (None, None), "{word}");
        }
        assert_eq!((cardinal("first"), ordinal("one")), (None, None));
        assert_eq!(words().count(), 28);
    }
}

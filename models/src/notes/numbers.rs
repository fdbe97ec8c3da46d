//! Numbers in words and digits, so that "forty thousand" and "40,000" are the same.

use std::collections::BTreeSet;

use crate::number_words::{cardinal, ordinal};

/// Numbers of a text, in thousandths so that they compare exactly.
pub(super) type Numbers = BTreeSet<i128>;

/// What a piece of text counts as.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Token {
    /// 0 to 19, or digits.
    Unit(i128),
    /// 20, 30, … 90.
    Ten(i128),
    /// Hundred.
    Hundred,
    /// Thousand and more.
    Power(i128),
    /// "And" within a number.
    And,
    /// Half and quarter of an hour.
    Part(i128),
    /// An ordinal in words.
    Ordinal(i128),
    Other,
}

const THOUSANDTHS: i128 = 1000;

/// All numbers that a text claims: those in digits, and in words but for "one" and the ordinals to "third", which mean
/// other things more often.
pub(super) fn claimed(text: &str) -> Numbers {
    read(text, false)
}

/// All numbers that a text may be said to hold: as [`claimed`], and every other reading ("twenty twenty-six": 20, 26, 2026;
/// "half past nine": 9, 30; "one" and "first").
pub(super) fn held(text: &str) -> Numbers {
    read(text, true)
}

fn read(text: &str, liberal: bool) -> Numbers {
    let mut out = Numbers::new();
    let mut run: Vec<Token> = Vec::new();
    for raw in
        text.split(|c: char| c.is_whitespace() || matches!(c, '-' | '–' | '—' | '/' | '“' | '”' | '"' | '(' | ')'))
    {
        let ends = raw.ends_with([',', ';', '.', '?', '!']);
        let word = raw.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        if word.is_empty() {
            continue;
        }
        let tokens = tokens(&word);
        for token in tokens {
            let continues = matches!(token, Token::Unit(_) | Token::Ten(_) | Token::Hundred | Token::Power(_))
                || (token == Token::And && run.last().is_some_and(|t| matches!(t, Token::Hundred | Token::Power(_))));
            match token {
                _ if continues => run.push(token),
                Token::Ordinal(value) => {
                    run.push(Token::Unit(value));
                    let claims = liberal || value > 3 * THOUSANDTHS || run.len() > 1;
                    if claims {
                        close(&mut run, &mut out, liberal);
                    }
                    run.clear();
                }
                Token::Part(minutes) => {
                    close(&mut run, &mut out, liberal);
                    if liberal {
                        out.extend([minutes, 60 * THOUSANDTHS - minutes]);
                    }
                }
                _ => close(&mut run, &mut out, liberal),
            }
        }
        if ends {
            close(&mut run, &mut out, liberal);
        }
    }
    close(&mut run, &mut out, liberal);
    out
}

/// Reads a run of number words: "two hundred and fifty thousand". Runs that are several numbers ("nine thirty", "twenty
/// twenty-six") give each.
fn close(run: &mut Vec<Token>, out: &mut Numbers, liberal: bool) {
    if run.is_empty() {
        return;
    }
    let alone = run.len() == 1;
    let mut total: i128 = 0;
    let mut current: i128 = 0;
    let mut last: Option<Token> = None;
    let mut parts: Vec<i128> = Vec::new();
    for token in run.iter().copied() {
        match token {
            Token::Unit(value) => {
                let joins = match last {
                    None | Some(Token::And | Token::Hundred | Token::Power(_)) => true,
                    Some(Token::Ten(_)) => value < 10 * THOUSANDTHS && value > 0,
                    _ => false,
                };
                if !joins {
                    parts.push(total + current);
                    (total, current) = (0, 0);
                }
                current += value;
            }
            Token::Ten(value) => {
                let joins = matches!(last, None | Some(Token::And | Token::Hundred | Token::Power(_)));
                if !joins {
                    parts.push(total + current);
                    (total, current) = (0, 0);
                }
                current += value;
            }
            Token::Hundred => current = current.max(THOUSANDTHS).saturating_mul(100),
            Token::Power(power) => {
                total = total.saturating_add(current.max(THOUSANDTHS).saturating_mul(power));
                current = 0;
            }
            _ => {}
        }
        last = Some(token);
    }
    parts.push(total + current);
    // "Twenty twenty-six" is a year, "nineteen ninety" too.
    if let [first, second] = parts.as_slice()
        && (10 * THOUSANDTHS..100 * THOUSANDTHS).contains(first)
        && (10 * THOUSANDTHS..100 * THOUSANDTHS).contains(second)
        && liberal
    {
        out.insert(first * 100 + second);
    }
    let is_pronoun = alone && run[0] == Token::Unit(THOUSANDTHS) && !liberal;
    if !is_pronoun {
        out.extend(parts);
    }
    run.clear();
}

fn tokens(word: &str) -> Vec<Token> {
    if word.starts_with(|c: char| c.is_ascii_digit()) {
        return digits(word);
    }
    let plain = word.strip_suffix("'s").unwrap_or(word);
    match cardinal(plain).map(i128::from) {
        Some(ten) if ten >= 20 => return vec![Token::Ten(ten * THOUSANDTHS)],
        Some(unit) => return vec![Token::Unit(unit * THOUSANDTHS)],
        None => {}
    }
    if let Some(place) = ordinal(plain) {
        return vec![Token::Ordinal(i128::from(place) * THOUSANDTHS)];
    }
    vec![match plain {
        "hundred" | "hundreds" => Token::Hundred,
        "thousand" | "thousands" | "grand" => Token::Power(1000),
        "million" | "millions" => Token::Power(1_000_000),
        "billion" | "billions" => Token::Power(1_000_000_000),
        "and" => Token::And,
        "half" => Token::Part(30 * THOUSANDTHS),
        "quarter" => Token::Part(15 * THOUSANDTHS),
        "noon" | "midday" => Token::Unit(12 * THOUSANDTHS),
        "dozen" => Token::Unit(12 * THOUSANDTHS),
        _ => Token::Other,
    }]
}

/// "40,000", "3.5k", "22nd", "9:30", "10am", "2026" and the like. What cannot be a number in all its parts gives those of
/// its parts that are.
fn digits(word: &str) -> Vec<Token> {
    let end = word.find(|c: char| !(c.is_ascii_digit() || matches!(c, ',' | '.' | ':'))).unwrap_or(word.len());
    let (number, rest) = word.split_at(end);
    let mut out = Vec::new();
    if number.contains(':') {
        for part in number.split([':', ',', '.']) {
            out.extend(part.parse::<u32>().ok().map(|n| Token::Unit(i128::from(n) * THOUSANDTHS)));
            // Parts of a clock are numbers of their own.
            out.push(Token::Other);
        }
        return out;
    }
    let Some(value) = decimal(number) else { return vec![Token::Other] };
    out.push(Token::Unit(value));
    match rest.trim_matches(|c: char| !c.is_alphanumeric()) {
        "k" => out.push(Token::Power(1000)),
        "m" | "mio" | "mn" => out.push(Token::Power(1_000_000)),
        "bn" => out.push(Token::Power(1_000_000_000)),
        _ => {}
    }
    out
}

/// In thousandths. A comma or stop in front of exactly three digits groups; else it is a decimal point.
fn decimal(text: &str) -> Option<i128> {
    let text = text.trim_matches([',', '.']);
    let groups: Vec<&str> = text.split([',', '.']).collect();
    if groups.iter().any(|g| g.is_empty() || g.len() > 15) {
        return None;
    }
    let (whole, fraction) = match groups.as_slice() {
        [one] => ((*one).to_owned(), String::new()),
        [head @ .., last] if head.len() == 1 && last.len() != 3 => (head[0].to_owned(), (*last).to_owned()),
        all if all[1..].iter().all(|g| g.len() == 3) => (all.concat(), String::new()),
        [head @ .., last] if head[1..].iter().all(|g| g.len() == 3) => (head.concat(), (*last).to_owned()),
        _ => return None,
    };
    let fraction: String = fraction.chars().chain("000".chars()).take(3).collect();
    let whole: i128 = whole.get(..whole.len().min(24))?.parse().ok()?;
    Some(whole.saturating_mul(THOUSANDTHS).saturating_add(fraction.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(text: &str) -> Vec<f64> {
        claimed(text).into_iter().map(|n| n as f64 / 1000.0).collect()
    }

    #[test]
    fn words_and_digits_give_the_same_number() {
        for (text, numbers) in [
            ("forty thousand euros", vec![40_000.0]),
            ("40,000 euros", vec![40_000.0]),
            ("€40.000", vec![40_000.0]),
            ("$3.5k", vec![3500.0]),
            ("two hundred and fifty thousand", vec![250_000.0]),
            ("twelve percent", vec![12.0]),
            ("1.25 million", vec![1_250_000.0]),
            ("the 22nd", vec![22.0]),
            ("the twenty-second", vec![22.0]),
            ("at 9:30", vec![9.0, 30.0]),
            ("this one is good", vec![]),
            ("the first thing", vec![]),
            ("a hundred", vec![100.0]),
            ("no numbers", vec![]),
        ] {
            assert_eq!(all(text), numbers, "{text}");
        }
    }

    #[test]
    fn what_was_said_holds_each_way_of_reading_it() {
        let holds = |text: &str, number: i128| held(text).contains(&(number * THOUSANDTHS));
        assert!(holds("in twenty twenty-six", 2026));
        assert!(holds("half past nine", 9) && holds("half past nine", 30));
        assert!(holds("at nine thirty", 9) && holds("at nine thirty", 30));
        assert!(holds("that one", 1));
        assert!(!holds("forty thousand", 4000) && !holds("forty thousand", 40) && !holds("thirty-first", 30));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic_and_claims_no_more_than_it_holds(
            text in "(\\PC{0,8}|forty|hundred|thousand|and|one|second|half|9:30|1.000.000|99999999999999999999|3,5k|-| ){0,14}"
        ) {
            prop_assert!(claimed(&text).is_subset(&held(&text)), "{text}");
        }
    }
}

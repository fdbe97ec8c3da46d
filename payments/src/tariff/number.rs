//! Numbers that are dialled, and the prefixes that decks know them by.
//!
//! Both are packed into one integer: fifteen places of base 11, where 0 is "no more digits" and 1 to 10 are the digits 0 to 9.
//! A prefix is then a stretch of integers, `11` is never taken for the beginning of `110`, and order is that of the digits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The most digits of a number, country code included (E.164 §6).
pub const MOST_DIGITS: usize = 15;
const BASE: u64 = 11;

/// Why words are no number or no prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// Nothing there.
    #[error("there are no digits")]
    Empty,
    /// Something else than the digits 0 to 9.
    #[error("character {0:?} is no digit")]
    Character(char),
    /// More than [`MOST_DIGITS`].
    #[error("more than {MOST_DIGITS} digits")]
    TooLong,
}

/// 11 to the power of the places that so many digits leave.
const fn span(digits: usize) -> u64 {
    BASE.pow((MOST_DIGITS - digits) as u32)
}

fn pack(text: &str) -> Result<(u64, usize), NumberError> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let mut packed = 0;
    let mut digits = 0;
    for character in text.chars() {
        let digit = character.to_digit(10).ok_or(NumberError::Character(character))?;
        if digits == MOST_DIGITS {
            return Err(NumberError::TooLong);
        }
        packed = packed * BASE + u64::from(digit) + 1;
        digits += 1;
    }
    if digits == 0 { Err(NumberError::Empty) } else { Ok((packed * span(digits), digits)) }
}

fn unpack(mut packed: u64) -> impl Iterator<Item = char> {
    std::iter::from_fn(move || {
        let place = packed / span(1);
        packed = packed % span(1) * BASE;
        place.checked_sub(1).and_then(|digit| char::from_digit(digit as u32, 10))
    })
}

/// A number as it was dialled, in E.164: country code first, with or without `+`. Shows its first and last two digits only;
/// [`Number::reveal`] is the way to the whole of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(u64);

impl Number {
    /// The whole number with `+`: for the trunk, never for a log.
    #[must_use]
    pub fn reveal(self) -> String {
        std::iter::once('+').chain(unpack(self.0)).collect()
    }

    /// The integer that prefixes' stretches are compared with.
    pub(super) const fn packed(self) -> u64 {
        self.0
    }
}

impl FromStr for Number {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        pack(text).map(|(packed, _)| Self(packed))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits: String = unpack(self.0).collect();
        match digits.len() {
            0..=6 => f.write_str("+…"),
            n => write!(f, "+{}…{}", &digits[..2], &digits[n - 2..]),
        }
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The first digits of numbers, one to fifteen of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Prefix {
    packed: u64,
    digits: u8,
}

impl Prefix {
    /// How many digits.
    #[must_use]
    pub const fn digits(self) -> usize {
        self.digits as usize
    }

    /// The number that has these digits and no more.
    #[must_use]
    pub const fn number(self) -> Number {
        Number(self.packed)
    }

    /// Whether the number begins with it.
    #[must_use]
    pub const fn is_of(self, number: Number) -> bool {
        number.0 >= self.first() && number.0 < self.end()
    }

    /// The first packed number with this prefix.
    pub(super) const fn first(self) -> u64 {
        self.packed
    }

    /// The first packed number behind those with this prefix.
    pub(super) const fn end(self) -> u64 {
        self.packed + span(self.digits as usize)
    }
}

impl FromStr for Prefix {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        pack(text).map(|(packed, digits)| Self { packed, digits: digits as u8 })
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        unpack(self.packed).try_for_each(|digit| write!(f, "{digit}"))
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for Prefix {
    type Error = NumberError;

    fn try_from(text: String) -> Result<Self, NumberError> {
        text.parse()
    }
}

impl From<Prefix> for String {
    fn from(prefix: Prefix) -> Self {
        prefix.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn digits_are_kept_with_their_leading_noughts() {
        for text in ["0", "0044", "44", "123456789012345", "999999999999999", "000000000000000"] {
            assert_eq!(text.parse::<Prefix>().unwrap().to_string(), text);
            assert_eq!(text.parse::<Number>().unwrap().reveal(), format!("+{text}"));
            assert_eq!(format!("+{text}").parse::<Number>(), text.parse::<Number>());
        }
    }

    #[test]
    fn what_is_no_number_is_refused_with_the_character() {
        for (text, error) in [
            ("", NumberError::Empty),
            ("+", NumberError::Empty),
            ("++44", NumberError::Character('+')),
            ("44 20", NumberError::Character(' ')),
            ("44x", NumberError::Character('x')),
            ("٤٤", NumberError::Character('٤')),
            ("-44", NumberError::Character('-')),
            ("1234567890123456", NumberError::TooLong),
        ] {
            assert_eq!(text.parse::<Number>(), Err(error), "{text}");
            assert_eq!(text.parse::<Prefix>(), Err(error), "{text}");
        }
    }

    #[test]
    fn a_number_shows_only_its_ends() {
        let number: Number = "+15550100".parse().unwrap();
        assert_eq!((number.to_string(), format!("{number:?}")), ("+15…00".into(), "+15…00".into()));
        assert_eq!("112".parse::<Number>().unwrap().to_string(), "+…");
    }

    #[test]
    fn a_shorter_number_does_not_begin_with_a_longer_prefix() {
        let begins = |number: &str, prefix: &str| prefix.parse::<Prefix>().unwrap().is_of(number.parse().unwrap());
        assert!(begins("1120", "112") && begins("112", "112") && begins("112", "1"));
        assert!(!begins("112", "1120") && !begins("112", "1129") && !begins("113", "112"));
    }

    proptest! {
        #[test]
        fn a_prefix_is_of_the_numbers_that_begin_with_it(number in "[0-9]{1,15}", prefix in "[0-9]{1,4}|[0-9]{1,15}") {
            let is_of = prefix.parse::<Prefix>().unwrap().is_of(number.parse().unwrap());
            prop_assert_eq!(is_of, number.starts_with(&prefix));
        }

        #[test]
        fn any_words_give_a_number_or_an_error(text in "\\PC{0,20}") {
            if let Ok(number) = text.parse::<Number>() {
                prop_assert_eq!(number.reveal().parse(), Ok(number));
            }
        }
    }
}

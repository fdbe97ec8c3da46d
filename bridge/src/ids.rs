//! Typed ids. Numbers of people never print whole.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A telephone number as in E.164: `+` and 3 to 15 digits.
///
/// `Debug` and `Display` print `+15…00`; [`E164::reveal`] is the only way to the whole number.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct E164(String);

/// Why a text is no telephone number.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NumberError {
    /// No leading `+` (or `00`).
    #[error("a number starts with + and the country code, as in +15550100")]
    NoCountryCode,
    /// Too few or too many digits.
    #[error("a number has 3 to 15 digits, this one has {0}")]
    Length(usize),
    /// Something that is neither a digit nor a separator people write.
    #[error("a number holds digits only, this one has {0:?}")]
    Character(char),
}

impl E164 {
    /// Reads a number as people write it: spaces, dashes, dots, slashes and brackets are passed over, `00` is `+`.
    ///
    /// # Errors
    /// [`NumberError`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, NumberError> {
        let mut digits = String::from("+");
        let text = text.trim();
        let rest = text.strip_prefix('+').or_else(|| text.strip_prefix("00")).ok_or(NumberError::NoCountryCode)?;
        for c in rest.chars() {
            match c {
                '0'..='9' => digits.push(c),
                ' ' | '-' | '.' | '/' | '(' | ')' | '\u{a0}' => {}
                other => return Err(NumberError::Character(other)),
            }
        }
        match digits.len() - 1 {
            3..=15 => Ok(Self(digits)),
            n => Err(NumberError::Length(n)),
        }
    }

    /// The whole number, `+` and digits. Only for the room that it belongs to and for the wire.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The digits without `+`: part of a ghost's user id.
    #[must_use]
    pub fn digits(&self) -> &str {
        &self.0[1..]
    }
}

impl fmt::Display for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let d = self.digits();
        if d.len() < 6 { write!(f, "+…") } else { write!(f, "+{}…{}", &d[..2], &d[d.len() - 2..]) }
    }
}

impl fmt::Debug for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for E164 {
    type Error = NumberError;
    fn try_from(value: String) -> Result<Self, NumberError> {
        Self::parse(&value)
    }
}

impl From<E164> for String {
    fn from(value: E164) -> Self {
        value.0
    }
}

/// One leg's number within this process. Never reused while the process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LegId(pub u64);

impl fmt::Display for LegId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "leg-{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for (text, want) in
            [("+44 20 7946-0123", "+442079460123"), ("0015550100", "+15550100"), (" +1 (555) 01.00 ", "+15550100")]
        {
            assert_eq!(E164::parse(text).map(|n| n.reveal().to_owned()), Ok(want.to_owned()));
        }
        assert_eq!(E164::parse("15550100"), Err(NumberError::NoCountryCode));
        assert_eq!(E164::parse("+1a"), Err(NumberError::Character('a')));
        assert_eq!(E164::parse("+12"), Err(NumberError::Length(2)));
    }

    #[test]
    fn a_printed_number_hides_its_middle() {
        let n = E164::parse("+442079460123").unwrap();
        assert_eq!(format!("{n} {n:?}"), "+44…23 +44…23");
    }
}

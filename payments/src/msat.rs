//! Money: millisatoshi, whole and never negative.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An amount of money in millisatoshi: a thousandth of a satoshi, 10⁻¹¹ bitcoin. Never negative, never more than all bitcoin
/// there will ever be ([`Msat::MAX`]), so that it fits a database's signed 64 bits.
///
/// There is no `+` and no `-`: every sum can fail, and who adds says what then.
///
/// ```
/// use payments::Msat;
/// let price = Msat::from_sat(412).unwrap();
/// assert_eq!(price.checked_sub(Msat::new(1000).unwrap()), Msat::from_sat(411));
/// assert_eq!(price.checked_sub(Msat::MAX), None);
/// assert_eq!("5 000 sat".parse::<Msat>().unwrap().to_string(), "5\u{a0}000 sat");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Msat(u64);

/// Millisatoshi in a satoshi.
const PER_SAT: u64 = 1_000;
/// Millisatoshi in a bitcoin.
const PER_BTC: u64 = 100_000_000_000;

/// Why words are no amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Nothing there, or letters where digits belong.
    #[error("{0:?} is no amount; write a number of sat, as in 5000 or 5000 sat")]
    NotANumber(String),
    /// A unit that is not known.
    #[error("{0:?} is no unit of money; use sat, msat or btc")]
    Unit(String),
    /// Below nothing.
    #[error("an amount cannot be negative")]
    Negative,
    /// Digits behind the point beyond a millisatoshi.
    #[error("{0:?} is finer than a millisatoshi, the smallest amount there is")]
    TooFine(String),
    /// More than 21 million bitcoin.
    #[error("{0:?} is more than all bitcoin there will ever be")]
    TooMuch(String),
}

impl Msat {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// 21 million bitcoin.
    pub const MAX: Self = Self(21_000_000 * PER_BTC);

    /// So many millisatoshi; `None` above [`Msat::MAX`].
    #[must_use]
    pub const fn new(msat: u64) -> Option<Self> {
        if msat <= Self::MAX.0 { Some(Self(msat)) } else { None }
    }

    /// So many satoshi; `None` above [`Msat::MAX`].
    #[must_use]
    pub const fn from_sat(sat: u64) -> Option<Self> {
        match sat.checked_mul(PER_SAT) {
            Some(msat) => Self::new(msat),
            None => None,
        }
    }

    /// In millisatoshi.
    #[must_use]
    pub const fn msat(self) -> u64 {
        self.0
    }

    /// Whole satoshi, the rest cut off: what can be paid out.
    #[must_use]
    pub const fn whole_sat(self) -> u64 {
        self.0 / PER_SAT
    }

    /// Whether it is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum; `None` above [`Msat::MAX`].
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Self::new(sum),
            None => None,
        }
    }

    /// The difference; `None` below nothing.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(rest) => Some(Self(rest)),
            None => None,
        }
    }

    /// The difference, or nothing where it would be less.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// So many times as much; `None` above [`Msat::MAX`].
    #[must_use]
    pub const fn checked_mul(self, times: u64) -> Option<Self> {
        match self.0.checked_mul(times) {
            Some(product) => Self::new(product),
            None => None,
        }
    }
}

impl TryFrom<u64> for Msat {
    type Error = AmountError;

    fn try_from(msat: u64) -> Result<Self, AmountError> {
        Self::new(msat).ok_or_else(|| AmountError::TooMuch(msat.to_string()))
    }
}

impl TryFrom<i64> for Msat {
    type Error = AmountError;

    /// From a database's column.
    fn try_from(msat: i64) -> Result<Self, AmountError> {
        u64::try_from(msat).map_err(|_| AmountError::Negative)?.try_into()
    }
}

impl From<Msat> for u64 {
    fn from(amount: Msat) -> Self {
        amount.0
    }
}

impl From<Msat> for i64 {
    /// For a database's column: [`Msat::MAX`] fits.
    fn from(amount: Msat) -> Self {
        const { assert!(Msat::MAX.0 <= i64::MAX as u64) };
        amount.0.cast_signed()
    }
}

impl fmt::Display for Msat {
    /// In sat, in groups of three, with as many digits behind the point as there are: `5 000 sat`, `0.25 sat`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = (self.0 / PER_SAT).to_string();
        for (i, digit) in whole.chars().enumerate() {
            if i > 0 && (whole.len() - i).is_multiple_of(3) {
                f.write_str("\u{a0}")?;
            }
            write!(f, "{digit}")?;
        }
        let rest = format!("{:03}", self.0 % PER_SAT);
        let rest = rest.trim_end_matches('0');
        if rest.is_empty() { f.write_str(" sat") } else { write!(f, ".{rest} sat") }
    }
}

impl fmt::Debug for Msat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} msat", self.0)
    }
}

impl std::str::FromStr for Msat {
    type Err = AmountError;

    /// Reads what people type: digits (groups by space or underscore), a point and more digits if need be, then `sat`
    /// (also when nothing is said), `msat` or `btc`. ASCII digits only: look-alikes are refused, not guessed.
    fn from_str(text: &str) -> Result<Self, AmountError> {
        let not = || AmountError::NotANumber(text.trim().chars().take(40).collect());
        let trimmed = text.trim();
        if trimmed.starts_with(['-', '\u{2212}']) {
            return Err(AmountError::Negative);
        }
        let split = trimmed.find(|c: char| c.is_alphabetic()).unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(split);
        let digits_after_point = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "sat" | "sats" | "satoshi" | "satoshis" => 3,
            "msat" | "msats" => 0,
            "btc" => 11,
            other => return Err(AmountError::Unit(other.chars().take(20).collect())),
        };
        let number: String = number.chars().filter(|c| !matches!(c, ' ' | '_' | '\u{a0}' | '\u{202f}')).collect();
        let (whole, part) = number.split_once('.').unwrap_or((&number, ""));
        let plain = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !plain(whole) || !plain(part) || number.ends_with('.') {
            return Err(not());
        }
        let part = part.trim_end_matches('0');
        if part.len() > digits_after_point {
            return Err(AmountError::TooFine(number.chars().take(40).collect()));
        }
        let too_much = || AmountError::TooMuch(number.chars().take(40).collect());
        let msat: u64 = format!("{whole}{part:0<digits_after_point$}").parse().map_err(|_| too_much())?;
        Self::new(msat).ok_or_else(too_much)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<u64, AmountError> {
        text.parse::<Msat>().map(Msat::msat)
    }

    #[test]
    fn what_people_type_is_read_in_their_unit() {
        for (text, msat) in [
            ("5000", 5_000_000),
            (" 5 000 sat ", 5_000_000),
            ("5_000sats", 5_000_000),
            ("0.25", 250),
            ("7 msat", 7),
            ("0.00000001 BTC", 1000),
            ("21000000 btc", Msat::MAX.msat()),
            ("1.500", 1500),
        ] {
            assert_eq!(read(text), Ok(msat), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused_by_name() {
        assert!(matches!(read(""), Err(AmountError::NotANumber(_))));
        for text in ["-1", "\u{2212}1", "-0"] {
            assert_eq!(read(text), Err(AmountError::Negative), "{text}");
        }
        for text in ["NaN", "inf", "1e400", "0x10", "5 dollars"] {
            assert!(matches!(read(text), Err(AmountError::Unit(_))), "{text}");
        }
        for text in ["1,5", "1.", ".5", "1.2.3", "+5", "٥", "５", "5\u{200b}"] {
            assert!(matches!(read(text), Err(AmountError::NotANumber(_))), "{text}");
        }
        for text in ["0.0001", "0.5 msat", "0.000000000001 btc"] {
            assert!(matches!(read(text), Err(AmountError::TooFine(_))), "{text}");
        }
        for text in ["9223372036854775807 sat", "18446744073709551616 msat", "21000000.00000000001 btc"] {
            assert!(matches!(read(text), Err(AmountError::TooMuch(_))), "{text}");
        }
    }

    #[test]
    fn json_takes_only_what_an_amount_can_be() {
        assert_eq!(serde_json::from_str::<Msat>("7").unwrap().msat(), 7);
        for text in ["-1", "1.0", "18446744073709551615", "\"7\"", "null", "1e3"] {
            assert!(serde_json::from_str::<Msat>(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_can_be_read_again(msat in 0..=Msat::MAX.msat()) {
            let amount = Msat::new(msat).unwrap();
            prop_assert_eq!(amount.to_string().parse::<Msat>(), Ok(amount));
            prop_assert_eq!(Msat::try_from(i64::from(amount)), Ok(amount));
        }

        #[test]
        fn any_words_give_an_amount_or_an_error(text in "\\PC{0,30}|[-0-9. _]{0,40}(sat|msat|btc)?") {
            if let Ok(amount) = text.parse::<Msat>() {
                prop_assert!(amount <= Msat::MAX);
            }
        }

        #[test]
        fn sums_are_right_or_none(a in 0..=Msat::MAX.msat(), b in 0..=Msat::MAX.msat()) {
            let (x, y) = (Msat::new(a).unwrap(), Msat::new(b).unwrap());
            prop_assert_eq!(x.checked_add(y).map(Msat::msat), Some(a + b).filter(|s| *s <= Msat::MAX.msat()));
            prop_assert_eq!(x.checked_sub(y).map(Msat::msat), a.checked_sub(b));
        }
    }
}

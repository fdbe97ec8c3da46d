//! Amounts on Stellar: whole stroops, seven digits behind the point.

use std::fmt;

use crate::Msat;

/// An amount of any asset in its smallest unit: 10⁻⁷ of it. Never negative, at most `i64::MAX`, as on the ledger.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Stroops(i64);

/// Digits behind the point.
const DIGITS: usize = 7;
/// Stroops in one unit.
const PER_UNIT: i64 = 10_000_000;
/// Millisatoshi in a bitcoin.
const MSAT_PER_BTC: i128 = 100_000_000_000;

/// Why words or a number are no amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StroopsError {
    /// Not digits, a point and digits.
    #[error("{0:?} is no amount; write it as 25.5, with at most seven digits behind the point")]
    NotANumber(String),
    /// Below nothing.
    #[error("an amount cannot be negative")]
    Negative,
    /// More than seven digits behind the point.
    #[error("{0:?} has more than seven digits behind the point, the finest that Stellar knows")]
    TooFine(String),
    /// More than `i64::MAX` stroops.
    #[error("{0:?} is more than Stellar can count (922337203685.4775807)")]
    TooMuch(String),
}

impl Stroops {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// All that can be counted.
    pub const MAX: Self = Self(i64::MAX);

    /// So many stroops; `None` below nothing.
    #[must_use]
    pub const fn new(stroops: i64) -> Option<Self> {
        if stroops >= 0 { Some(Self(stroops)) } else { None }
    }

    /// As it stands in XDR.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Whether it is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum; `None` above [`Stroops::MAX`].
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference; `None` below nothing.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).and_then(Self::new)
    }
}

impl fmt::Display for Stroops {
    /// As SEP-7 and the SDKs write it: no zeros at the end, no point without digits behind it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / PER_UNIT, self.0 % PER_UNIT);
        write!(f, "{whole}")?;
        let part = format!("{part:0DIGITS$}");
        match part.trim_end_matches('0') {
            "" => Ok(()),
            digits => write!(f, ".{digits}"),
        }
    }
}

impl fmt::Debug for Stroops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} stroops", self.0)
    }
}

impl std::str::FromStr for Stroops {
    type Err = StroopsError;

    /// Exact: ASCII digits, one point at most, at most seven digits behind it. No sign, no exponent, no grouping.
    fn from_str(text: &str) -> Result<Self, StroopsError> {
        let shown = || text.chars().take(40).collect::<String>();
        if text.starts_with(['-', '\u{2212}']) {
            return Err(StroopsError::Negative);
        }
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let plain = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !plain(whole) || !plain(part) || text.ends_with('.') {
            return Err(StroopsError::NotANumber(shown()));
        }
        if part.len() > DIGITS {
            return Err(StroopsError::TooFine(shown()));
        }
        format!("{whole}{part:0<DIGITS$}").parse().map(Self).map_err(|_| StroopsError::TooMuch(shown()))
    }
}

/// What an asset is worth in the ledger's money: stroops for a bitcoin, agreed between two operators for a window. Whole
/// numbers on both sides, so that both reckon alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate(i64);

impl Rate {
    /// So many stroops for a bitcoin; `None` for nothing or less.
    #[must_use]
    pub const fn per_btc(stroops: i64) -> Option<Self> {
        if stroops > 0 { Some(Self(stroops)) } else { None }
    }

    /// Stroops for a bitcoin.
    #[must_use]
    pub const fn stroops_per_btc(self) -> i64 {
        self.0
    }

    /// What is to be paid for so much: rounded up, so that a debt is paid in whole. `None`: more than can be counted.
    #[must_use]
    pub fn stroops_for(self, amount: Msat) -> Option<Stroops> {
        let product = i128::from(amount.msat()) * i128::from(self.0);
        i64::try_from((product + MSAT_PER_BTC - 1) / MSAT_PER_BTC).ok().map(Stroops)
    }

    /// What so many stroops are worth: rounded down, so that no money is made. `None`: more than all bitcoin.
    #[must_use]
    pub fn worth(self, amount: Stroops) -> Option<Msat> {
        let msat = i128::from(amount.0) * MSAT_PER_BTC / i128::from(self.0);
        u64::try_from(msat).ok().and_then(Msat::new)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<i64, StroopsError> {
        text.parse::<Stroops>().map(Stroops::get)
    }

    #[test]
    fn amounts_are_read_exactly() {
        for (text, stroops) in [
            ("0", 0),
            ("1", 10_000_000),
            ("123.456789", 1_234_567_890),
            ("0.0000001", 1),
            ("25.5000000", 255_000_000),
            ("922337203685.4775807", i64::MAX),
        ] {
            assert_eq!(read(text), Ok(stroops), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused_by_name() {
        for text in ["-1", "-0", "\u{2212}5", "-9223372036854775808"] {
            assert_eq!(read(text), Err(StroopsError::Negative), "{text}");
        }
        for text in
            ["", "NaN", "inf", "1e400", "1e7", "0x10", "+1", ".5", "1.", "1,5", " 1", "1 ", "1.2.3", "٥", "５", "1_0"]
        {
            assert!(matches!(read(text), Err(StroopsError::NotANumber(_))), "{text}");
        }
        for text in ["0.00000001", "1.00000000"] {
            assert!(matches!(read(text), Err(StroopsError::TooFine(_))), "{text}");
        }
        for text in ["922337203685.4775808", "9223372036854775807", "99999999999999999999999999"] {
            assert!(matches!(read(text), Err(StroopsError::TooMuch(_))), "{text}");
        }
        assert_eq!(Stroops::new(-1), None);
    }

    #[test]
    fn a_debt_is_paid_in_whole_and_no_money_is_made() {
        let rate = Rate::per_btc(3_000_000_000_001).unwrap();
        let debt = Msat::new(1_000_001).unwrap();
        let paid = rate.stroops_for(debt).unwrap();
        assert_eq!(paid.get(), 30_000_031, "30 000 030.00001 rounded up");
        assert!(rate.worth(paid).unwrap() >= debt);
        assert_eq!(Rate::per_btc(0), None);
        assert_eq!(Rate::per_btc(1).unwrap().worth(Stroops::MAX), None);
        assert_eq!(Rate::per_btc(i64::MAX).unwrap().stroops_for(Msat::MAX), None);
    }

    proptest! {
        #[test]
        fn what_is_shown_can_be_read_again(stroops in 0..=i64::MAX) {
            prop_assert_eq!(read(&Stroops(stroops).to_string()), Ok(stroops));
        }

        #[test]
        fn any_words_give_an_amount_or_an_error(text in "\\PC{0,30}|[-0-9.eE]{0,40}") {
            super::super::fuzz::fuzz_amount(text.as_bytes());
        }

        #[test]
        fn what_is_paid_covers_the_debt(msat in 0..=Msat::MAX.msat(), rate in 1..=i64::MAX) {
            let (debt, rate) = (Msat::new(msat).unwrap(), Rate::per_btc(rate).unwrap());
            if let Some(paid) = rate.stroops_for(debt) {
                prop_assert!(rate.worth(paid).is_none_or(|worth| worth >= debt));
                if let Some(less) = paid.checked_sub(Stroops(1)) {
                    prop_assert!(rate.worth(less).is_some_and(|worth| worth <= debt));
                }
            }
        }
    }
}

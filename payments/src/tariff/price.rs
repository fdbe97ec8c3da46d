//! What a call costs by its length, exactly.
//!
//! An answered call of length `d` is billed for whole increments: the first (`60` of `60/6`), then so many of the next (`6`)
//! as it takes. Its cost is the connect fee and `billed × rate / 60`, a fraction of whole numbers that is rounded up once, over
//! the whole call. Who charges while the call runs takes what the call costs so far less what was taken before
//! ([`Price::due`]); so it does not matter in how many pieces it was reserved.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Msat, PaidFor};

/// Where seconds stop to count, 366 days: no call is as long, and with [`MOST`] no cost can pass [`Msat::MAX`].
pub const LONGEST_SECONDS: u64 = 366 * 24 * 3600;
/// The longest increment, grace and minimum in seconds, a day. More is a mistake in a rate deck.
pub const LONGEST_INCREMENT: u32 = 24 * 3600;
/// The highest rate for a minute and the highest connect fee, 1 BTC each. More is a mistake in a rate deck.
pub const MOST: Msat = match Msat::from_sat(100_000_000) {
    Some(btc) => btc,
    None => Msat::MAX,
};

const _: () = {
    // The dearest call: everything that is rounded up to, by the minute, and the connect fee.
    let seconds = LONGEST_SECONDS as u128 + 2 * LONGEST_INCREMENT as u128;
    assert!(MOST.msat() as u128 * (seconds / 60 + 1) + MOST.msat() as u128 <= Msat::MAX.msat() as u128);
};

/// Why a price cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// An increment of no length, or longer than a day.
    #[error("an increment of {0} s cannot be; it has 1 to {LONGEST_INCREMENT} s")]
    Increment(u32),
    /// A grace or minimum longer than a day.
    #[error("{what} of {seconds} s is longer than a day")]
    Seconds {
        /// `grace` or `minimum`.
        what: &'static str,
        /// As asked for.
        seconds: u32,
    },
    /// A rate or fee above [`MOST`].
    #[error("{what} of {amount} is more than {MOST}, surely a mistake")]
    TooMuch {
        /// `a rate` or `a connect fee`.
        what: &'static str,
        /// As asked for.
        amount: Msat,
    },
    /// Words that are no increments.
    #[error("{0:?} are no increments; write the first and the next in seconds, as in 60/6")]
    Words(String),
}

/// First and next increment in seconds, written `60/60`, `60/1`, `30/6`, `6/6`, `1/1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Increments {
    first: u32,
    next: u32,
}

impl Increments {
    /// Minutes, each begun one whole.
    pub const MINUTES: Self = Self { first: 60, next: 60 };
    /// Seconds.
    pub const SECONDS: Self = Self { first: 1, next: 1 };

    /// From seconds.
    ///
    /// # Errors
    /// [`PriceError::Increment`] for none, and for more than a day.
    pub const fn new(first: u32, next: u32) -> Result<Self, PriceError> {
        if first == 0 || first > LONGEST_INCREMENT {
            return Err(PriceError::Increment(first));
        }
        if next == 0 || next > LONGEST_INCREMENT {
            return Err(PriceError::Increment(next));
        }
        Ok(Self { first, next })
    }

    /// The least that is billed, in seconds.
    #[must_use]
    pub const fn first(self) -> u32 {
        self.first
    }

    /// What comes on top each time, in seconds.
    #[must_use]
    pub const fn next(self) -> u32 {
        self.next
    }

    /// So many seconds, rounded up to whole increments. `seconds` is at most [`LONGEST_SECONDS`].
    const fn round_up(self, seconds: u64) -> u64 {
        let (first, next) = (self.first as u64, self.next as u64);
        first + seconds.saturating_sub(first).div_ceil(next) * next
    }

    /// The most whole increments within so many seconds; `None` where not even the first fits.
    fn round_down(self, seconds: u64) -> Option<u64> {
        let (first, next) = (u64::from(self.first), u64::from(self.next));
        Some(first + seconds.checked_sub(first)? / next * next)
    }
}

impl fmt::Display for Increments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.next)
    }
}

impl FromStr for Increments {
    type Err = PriceError;

    fn from_str(text: &str) -> Result<Self, PriceError> {
        let words = || PriceError::Words(text.chars().take(20).collect());
        let seconds = |part: &str| match part.bytes().all(|b| b.is_ascii_digit()) {
            true => part.parse::<u32>().map_err(|_| words()),
            false => Err(words()),
        };
        let (first, next) = text.split_once('/').ok_or_else(words)?;
        Self::new(seconds(first)?, seconds(next)?)
    }
}

impl TryFrom<String> for Increments {
    type Error = PriceError;

    fn try_from(text: String) -> Result<Self, PriceError> {
        text.parse()
    }
}

impl From<Increments> for String {
    fn from(increments: Increments) -> Self {
        increments.to_string()
    }
}

/// The terms of a price as they are written and stored; [`Price`] has checked them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Terms {
    /// For the answer alone.
    pub connect_fee: Msat,
    /// For sixty seconds; what a second costs is the exact sixtieth.
    pub per_minute: Msat,
    /// In what steps time is billed.
    pub increments: Increments,
    /// A call shorter than this many seconds is free, its connect fee too. 0: none is.
    pub grace: u32,
    /// A call that is not free is billed for at least so many seconds, rounded up to whole increments. 0: the first increment.
    pub minimum: u32,
}

impl Terms {
    /// So much for a minute in these increments, and nothing else.
    #[must_use]
    pub const fn per_minute(rate: Msat, increments: Increments) -> Self {
        Self { connect_fee: Msat::ZERO, per_minute: rate, increments, grace: 0, minimum: 0 }
    }

    /// So much for a call, however long.
    #[must_use]
    pub const fn per_call(fee: Msat) -> Self {
        Self { connect_fee: fee, per_minute: Msat::ZERO, increments: Increments::SECONDS, grace: 0, minimum: 0 }
    }
}

/// What calls cost by their length. See the module's text.
///
/// ```
/// use std::time::Duration;
/// use payments::{Msat, PaidFor, tariff::{Price, Terms}};
/// let rate = Msat::from_sat(10).unwrap();
/// let price = Price::new(Terms::per_minute(rate, "60/6".parse().unwrap())).unwrap();
/// assert_eq!(price.billed_seconds(Duration::from_millis(60_001)), 66);
/// assert_eq!(price.cost(Duration::from_millis(60_001)), Msat::from_sat(11).unwrap());
/// assert_eq!(price.affordable(Msat::from_sat(11).unwrap()), PaidFor::Until(Duration::from_secs(66)));
/// assert_eq!(price.affordable(Msat::from_sat(9).unwrap()), PaidFor::Nothing);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Terms", into = "Terms")]
pub struct Price(Terms);

impl Price {
    /// Calls cost nothing.
    pub const FREE: Self = Self(Terms::per_call(Msat::ZERO));

    /// Checks the terms.
    ///
    /// # Errors
    /// [`PriceError`]: a rate or fee above [`MOST`], a grace or minimum longer than a day.
    pub fn new(terms: Terms) -> Result<Self, PriceError> {
        for (what, amount) in [("a rate", terms.per_minute), ("a connect fee", terms.connect_fee)] {
            if amount > MOST {
                return Err(PriceError::TooMuch { what, amount });
            }
        }
        for (what, seconds) in [("a grace", terms.grace), ("a minimum", terms.minimum)] {
            if seconds > LONGEST_INCREMENT {
                return Err(PriceError::Seconds { what, seconds });
            }
        }
        Ok(Self(terms))
    }

    /// The terms.
    #[must_use]
    pub const fn terms(&self) -> &Terms {
        &self.0
    }

    /// For how many seconds an answered call of this length is billed: whole increments, nothing within the grace. Each begun
    /// second counts. A call that nobody answered is not asked about: it is billed for nothing.
    #[must_use]
    pub fn billed_seconds(&self, length: Duration) -> u64 {
        if length < Duration::from_secs(self.0.grace.into()) { 0 } else { self.billed_when_charged(length) }
    }

    /// What an answered call of this length costs, rounded up once. See [`Self::billed_seconds`].
    #[must_use]
    pub fn cost(&self, length: Duration) -> Msat {
        if length < Duration::from_secs(self.0.grace.into()) {
            return Msat::ZERO;
        }
        self.cost_of_billed(self.billed_when_charged(length))
    }

    /// What is to be charged (or reserved) on top when a call has lasted so long and so much was charged before. The sum of all
    /// such pieces is [`Self::cost`] of the whole.
    #[must_use]
    pub fn due(&self, length: Duration, charged: Msat) -> Msat {
        self.cost(length).saturating_sub(charged)
    }

    /// The least that a call costs that is charged at all: connect fee and first increment, or the minimum. A call is set up
    /// only where this can be reserved.
    #[must_use]
    pub fn least(&self) -> Msat {
        self.cost(Duration::from_secs(self.0.grace.into()))
    }

    /// How long a call may be that this sum pays: any call up to this length costs at most the sum, any longer one costs more.
    /// [`PaidFor::Nothing`] where the sum is less than [`Self::least`], though a call within the grace would be free.
    #[must_use]
    pub fn affordable(&self, sum: Msat) -> PaidFor {
        let Some(for_time) = sum.checked_sub(self.0.connect_fee) else { return PaidFor::Nothing };
        let rate = i128::from(self.0.per_minute.msat());
        if rate == 0 {
            return PaidFor::NoLimit;
        }
        // Rounded up, a cost is within a whole sum if and only if the exact one is.
        let seconds = i128::from(for_time.msat()) * 60 / rate;
        let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
        let least = self.billed_when_charged(Duration::from_secs(self.0.grace.into()));
        match self.0.increments.round_down(seconds) {
            Some(paid) if paid >= LONGEST_SECONDS => PaidFor::NoLimit,
            Some(paid) if paid >= least => PaidFor::Until(Duration::from_secs(paid)),
            _ => PaidFor::Nothing,
        }
    }

    /// As [`Self::billed_seconds`], the grace aside.
    fn billed_when_charged(&self, length: Duration) -> u64 {
        let begun = length.as_secs().saturating_add(u64::from(length.subsec_nanos() > 0));
        self.0.increments.round_up(begun.min(LONGEST_SECONDS).max(self.0.minimum.into()))
    }

    /// What an answered call of this length costs in sixtieths of a millisatoshi: exactly, not rounded.
    pub(super) fn sixtieths(&self, length: Duration) -> i128 {
        if length < Duration::from_secs(self.0.grace.into()) {
            return 0;
        }
        self.sixtieths_of_billed(self.billed_when_charged(length))
    }

    fn sixtieths_of_billed(&self, seconds: u64) -> i128 {
        i128::from(self.0.connect_fee.msat()) * 60 + i128::from(self.0.per_minute.msat()) * i128::from(seconds)
    }

    fn cost_of_billed(&self, seconds: u64) -> Msat {
        let cost = (self.sixtieths_of_billed(seconds) + 59) / 60;
        // The bounds above leave room; if one of them were ever wrong, nobody could pay this.
        u64::try_from(cost).ok().and_then(Msat::new).unwrap_or(Msat::MAX)
    }
}

impl TryFrom<Terms> for Price {
    type Error = PriceError;

    fn try_from(terms: Terms) -> Result<Self, PriceError> {
        Self::new(terms)
    }
}

impl From<Price> for Terms {
    fn from(price: Price) -> Self {
        price.0
    }
}

#[cfg(test)]
mod tests;

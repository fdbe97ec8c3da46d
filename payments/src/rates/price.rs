//! What a bitcoin is worth in a currency of states, and sums of such money. All whole numbers: nothing here is a binary fraction.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::decimal::{self, DecimalError};
use crate::Msat;

/// Digits behind the point of a price, at most.
const FINEST: i32 = 12;
/// Significant digits of a price.
const MOST_MANTISSA: u64 = 999_999_999_999_999_999;
/// The lowest price of a bitcoin that is believed, as a power of ten: a cent.
const LOWEST: i32 = -2;
/// Prices of a bitcoin stay below this power of ten: the cheapest currency of 2026 has a bitcoin at 10^10.
const HIGHEST: i32 = 14;
/// Millisatoshi in a bitcoin, as a power of ten.
const MSAT_DIGITS: i32 = 11;

/// A currency by its three letters (ISO 4217): `EUR`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

/// Words that are no currency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no currency; three capital letters are expected, as in EUR, and none that stand for bitcoin")]
pub struct NoCurrency(String);

impl Currency {
    /// Its letters.
    #[must_use]
    pub fn code(&self) -> &str {
        // Capital letters of ASCII, by construction.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Digits behind the point of its smallest unit (ISO 4217).
    #[must_use]
    pub fn digits(&self) -> u8 {
        match self.code() {
            "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "UYI" | "VND"
            | "VUV" | "XAF" | "XOF" | "XPF" => 0,
            "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
            "CLF" | "UYW" => 4,
            _ => 2,
        }
    }
}

impl std::str::FromStr for Currency {
    type Err = NoCurrency;

    fn from_str(text: &str) -> Result<Self, NoCurrency> {
        let no = || NoCurrency(text.chars().take(20).collect());
        let letters: [u8; 3] = text.as_bytes().try_into().map_err(|_| no())?;
        if !letters.iter().all(u8::is_ascii_uppercase) || matches!(text, "BTC" | "XBT" | "SAT") {
            return Err(no());
        }
        Ok(Self(letters))
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A sum of a currency in its smallest unit: cents. Never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fiat {
    /// In the smallest unit.
    pub minor: u64,
    /// Of which currency.
    pub currency: Currency,
}

impl fmt::Display for Fiat {
    /// `12.34 EUR`, `500 JPY`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = usize::from(self.currency.digits());
        let text = format!("{:0>width$}", self.minor, width = digits + 1);
        let (whole, part) = text.split_at(text.len() - digits);
        let point = if part.is_empty() { "" } else { "." };
        write!(f, "{whole}{point}{part} {}", self.currency)
    }
}

/// Why a price is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// No decimal.
    #[error(transparent)]
    Decimal(#[from] DecimalError),
    /// Nothing.
    #[error("a price of nothing is no price")]
    Zero,
    /// Outside what a bitcoin can cost.
    #[error(
        "{0} is no price of a bitcoin in any currency: it has to be 0.01 to 10^{HIGHEST}, with at most {FINEST} places"
    )]
    Unbelievable(String),
}

/// Where a division does not come out even.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// To the nearer one, a half up: what people are shown.
    Nearest,
    /// Up: what we are owed.
    Up,
    /// Down: what we owe.
    Down,
}

impl Rounding {
    fn divide(self, sum: i128, by: i128) -> i128 {
        match self {
            Self::Nearest => (sum + by / 2) / by,
            Self::Up => (sum + by - 1) / by,
            Self::Down => sum / by,
        }
    }
}

/// What one bitcoin costs: `mantissa` × 10^`exponent` of a currency. Ordered by what that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BitcoinPrice {
    mantissa: u64,
    exponent: i8,
}

impl TryFrom<String> for BitcoinPrice {
    type Error = PriceError;

    fn try_from(text: String) -> Result<Self, PriceError> {
        Self::read(&text)
    }
}

impl From<BitcoinPrice> for String {
    fn from(price: BitcoinPrice) -> Self {
        price.to_string()
    }
}

impl Ord for BitcoinPrice {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.finest().cmp(&other.finest())
    }
}

impl PartialOrd for BitcoinPrice {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

const fn ten(power: i32) -> Option<i128> {
    if power < 0 { None } else { 10_i128.checked_pow(power.unsigned_abs()) }
}

impl BitcoinPrice {
    /// From a decimal.
    ///
    /// # Errors
    /// [`PriceError`]: also for nothing, and for what no bitcoin can cost.
    pub fn read(text: &str) -> Result<Self, PriceError> {
        let decimal = decimal::read(text)?;
        Self::new(decimal.mantissa, decimal.exponent)
            .map_err(|error| if let PriceError::Unbelievable(_) = error { unbelievable(text) } else { error })
    }

    /// From its parts, as they are stored.
    ///
    /// # Errors
    /// [`PriceError`], as [`Self::read`].
    pub fn new(mut mantissa: u64, mut exponent: i32) -> Result<Self, PriceError> {
        let text = format!("{mantissa}e{exponent}");
        let wrong = || unbelievable(&text);
        while mantissa != 0 && mantissa.is_multiple_of(10) {
            mantissa /= 10;
            exponent = exponent.checked_add(1).ok_or_else(wrong)?;
        }
        let digits = i32::try_from(mantissa.checked_ilog10().ok_or(PriceError::Zero)?).unwrap_or(i32::MAX);
        let size = exponent.checked_add(digits).ok_or_else(wrong)?;
        if mantissa > MOST_MANTISSA || exponent < -FINEST || !(LOWEST..HIGHEST).contains(&size) {
            return Err(wrong());
        }
        Ok(Self { mantissa, exponent: i8::try_from(exponent).map_err(|_| wrong())? })
    }

    /// Its digits as a whole number.
    #[must_use]
    pub const fn mantissa(self) -> u64 {
        self.mantissa
    }

    /// The power of ten that they count.
    #[must_use]
    pub const fn exponent(self) -> i8 {
        self.exponent
    }

    /// In units of 10^-12: below 10^26.
    const fn finest(self) -> i128 {
        // -12 to 13, so 0 to 25; the product is below 10^26, as a price is below 10^14.
        match ten(self.exponent as i32 + FINEST) {
            Some(power) => self.mantissa as i128 * power,
            None => 0,
        }
    }

    /// The price of so many units of 10^-12, cut to the digits that a price can have.
    fn of_finest(mut finest: i128) -> Result<Self, PriceError> {
        let mut exponent = -FINEST;
        while finest > i128::from(MOST_MANTISSA) || (finest != 0 && finest % 10 == 0) {
            finest /= 10;
            exponent += 1;
        }
        Self::new(u64::try_from(finest).unwrap_or_default(), exponent)
    }

    /// Halfway between two, cut to 12 places.
    ///
    /// # Errors
    /// None that prices can give; it is checked all the same.
    pub(super) fn between(self, other: Self) -> Result<Self, PriceError> {
        Self::of_finest((self.finest() + other.finest()) / 2)
    }

    /// How far another price is from this one, in ten-thousandths of this one, rounded up.
    #[must_use]
    pub fn deviation(self, other: Self) -> u64 {
        let (this, other) = (self.finest(), other.finest());
        let apart = Rounding::Up.divide((this - other).abs() * 10_000, this.max(1));
        u64::try_from(apart).unwrap_or(u64::MAX)
    }

    /// What an amount is worth; `None`: more than can be counted, as all bitcoin are in the cheapest currencies.
    #[must_use]
    pub fn fiat(self, amount: Msat, currency: Currency, rounding: Rounding) -> Option<Fiat> {
        let product = i128::from(amount.msat()) * i128::from(self.mantissa);
        // The product is below 10^37, and where it grows yet the price is below 10^14 and has few digits.
        let power = MSAT_DIGITS - i32::from(self.exponent) - i32::from(currency.digits());
        let minor = match ten(power) {
            Some(by) => rounding.divide(product, by),
            None => product.checked_mul(ten(-power)?)?,
        };
        Some(Fiat { minor: u64::try_from(minor).ok()?, currency })
    }

    /// How much bitcoin a sum is, counted at a price that is lower by a spread in ten-thousandths (0: none). `None`: more than there
    /// is, or the spread leaves no price.
    #[must_use]
    pub fn msat(self, sum: Fiat, spread: u16, rounding: Rounding) -> Option<Msat> {
        let left = 10_000_i128.checked_sub(i128::from(spread)).filter(|left| *left > 0)?;
        let power = MSAT_DIGITS - i32::from(sum.currency.digits()) - i32::from(self.exponent);
        let (up, down) = (ten(power.max(0))?, ten((-power).max(0))?);
        let sum = i128::from(sum.minor).checked_mul(10_000)?.checked_mul(up)?;
        let by = i128::from(self.mantissa).checked_mul(left)?.checked_mul(down)?;
        sum.checked_add(by)?;
        u64::try_from(rounding.divide(sum, by)).ok().and_then(Msat::new)
    }
}

fn unbelievable(text: &str) -> PriceError {
    PriceError::Unbelievable(text.trim().chars().take(40).collect())
}

impl fmt::Display for BitcoinPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.mantissa.to_string();
        let behind = usize::from(self.exponent.min(0).unsigned_abs());
        let noughts = "0".repeat(usize::from(self.exponent.max(0).unsigned_abs()));
        let digits = format!("{digits:0>width$}", width = behind + 1);
        let (whole, part) = digits.split_at(digits.len() - behind);
        write!(f, "{whole}{noughts}{}{part}", if part.is_empty() { "" } else { "." })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn price(text: &str) -> BitcoinPrice {
        BitcoinPrice::read(text).unwrap()
    }

    fn eur(minor: u64) -> Fiat {
        Fiat { minor, currency: "EUR".parse().unwrap() }
    }

    #[test]
    fn amounts_are_worth_what_the_price_says() {
        let sat = |sat| Msat::from_sat(sat).unwrap();
        let worth = |text, amount, currency: &str| {
            price(text).fiat(amount, currency.parse().unwrap(), Rounding::Nearest).map(|sum| sum.to_string())
        };
        let is = |text: &str| Some(text.to_owned());
        assert_eq!(worth("68123.45", sat(100_000_000), "EUR"), is("68123.45 EUR"));
        assert_eq!(worth("68123.45", sat(5_000), "EUR"), is("3.41 EUR"));
        assert_eq!(worth("10400000", sat(5_000), "JPY"), is("520 JPY"));
        assert_eq!(worth("20900.125", sat(5_000), "KWD"), is("1.045 KWD"));
        assert_eq!(worth("68123.45", Msat::new(1).unwrap(), "EUR"), is("0.00 EUR"));
        assert_eq!(worth("99999999999999", Msat::MAX, "KWD"), None);
    }

    #[test]
    fn sums_are_counted_back_rounded_as_asked_for() {
        // 1 EUR = 1e11 / 30000 msat = 3333333.33…
        let back = |rounding| price("30000").msat(eur(100), 0, rounding).map(Msat::msat);
        assert_eq!(back(Rounding::Up), Some(3_333_334));
        assert_eq!((back(Rounding::Down), back(Rounding::Nearest)), (Some(3_333_333), Some(3_333_333)));
        // A spread of 1 %: counted at 29700.
        assert_eq!(price("30000").msat(eur(100), 100, Rounding::Up).map(Msat::msat), Some(3_367_004));
        assert_eq!(price("30000").msat(eur(100), 10_000, Rounding::Up), None);
        assert_eq!(price("0.01").msat(eur(u64::MAX), 0, Rounding::Up), None, "more than all bitcoin");
        assert_eq!(price("30000").msat(eur(0), 0, Rounding::Up), Some(Msat::ZERO));
    }

    #[test]
    fn what_no_bitcoin_costs_is_refused() {
        for text in ["0", "0.000"] {
            assert_eq!(BitcoinPrice::read(text), Err(PriceError::Zero), "{text}");
        }
        for text in ["1e400", "1e-400", "0.001", "100000000000000", "68123.4512345678901", "1e14"] {
            assert!(matches!(BitcoinPrice::read(text), Err(PriceError::Unbelievable(_))), "{text}");
        }
        for text in ["-1", "NaN", "٦٨"] {
            assert!(matches!(BitcoinPrice::read(text), Err(PriceError::Decimal(_))), "{text}");
        }
        for text in ["0.01", "99999999999999", "68123.123456789012", "1e13"] {
            assert!(BitcoinPrice::read(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn deviations_are_rounded_up_and_between_is_halfway() {
        assert_eq!(price("100").deviation(price("102")), 200);
        assert_eq!(price("100").deviation(price("98")), 200);
        assert_eq!(price("30000").deviation(price("30000.01")), 1);
        assert_eq!(price("68000").deviation(price("68000000")), 9_990_000);
        assert_eq!(price("68000").between(price("68001")).unwrap(), price("68000.5"));
        assert_eq!(
            price("99999.999999999999").between(price("99999.999999999998")).unwrap().to_string(),
            "99999.999999999998"
        );
    }

    #[test]
    fn what_is_no_currency_is_refused() {
        for text in ["", "eur", "EURO", "BTC", "XBT", "SAT", "E1R", "€", "ÄÖ"] {
            assert!(text.parse::<Currency>().is_err(), "{text}");
        }
        assert_eq!(serde_json::to_string(&"CHF".parse::<Currency>().unwrap()).unwrap(), r#""CHF""#);
    }

    proptest! {
        #[test]
        fn a_price_is_shown_as_it_is_read(mantissa in 1..=MOST_MANTISSA, exponent in -12_i32..13) {
            if let Ok(price) = BitcoinPrice::new(mantissa, exponent) {
                let again = BitcoinPrice::read(&price.to_string()).unwrap();
                prop_assert_eq!(again.finest(), price.finest());
                prop_assert_eq!(price.between(price).unwrap().finest(), price.finest());
                prop_assert_eq!(price.deviation(again), 0);
            }
        }

        #[test]
        fn nobody_gains_by_changing_there_and_back(minor in 0_u64..1_000_000_000, cents in 1_u64..100_000_000_000) {
            let price = BitcoinPrice::new(cents, -2).unwrap();
            if let Some(owed) = price.msat(eur(minor), 0, Rounding::Up) {
                prop_assert!(price.fiat(owed, eur(0).currency, Rounding::Up).unwrap().minor >= minor);
                let given = price.msat(eur(minor), 0, Rounding::Down).unwrap();
                prop_assert!(price.fiat(given, eur(0).currency, Rounding::Down).unwrap().minor <= minor);
                prop_assert!(price.msat(eur(minor), 50, Rounding::Up).is_none_or(|dearer| dearer >= owed));
            }
        }

        #[test]
        fn any_words_are_a_price_or_an_error(text in "\\PC{0,30}|[-0-9.eE+]{0,40}") {
            if let Ok(price) = BitcoinPrice::read(&text) {
                prop_assert!(price.finest() > 0);
            }
        }
    }
}

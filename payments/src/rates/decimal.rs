//! Decimals as rate sources write them, read by hand: whole numbers and a power of ten, never a binary fraction.

/// Significant digits that are read: they fit a database's signed 64 bits.
const MOST_DIGITS: usize = 18;
/// Characters that are looked at.
const MOST_CHARACTERS: usize = 64;

/// Why words are no decimal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Something else than ASCII digits, one point and an exponent.
    #[error("{0:?} is no decimal; digits 0 to 9 with at most one point are expected, as in 68123.45")]
    NotANumber(String),
    /// Below nothing.
    #[error("{0:?} is negative")]
    Negative(String),
    /// More digits than can be counted with.
    #[error("{0:?} has more than {MOST_DIGITS} significant digits")]
    TooLong(String),
    /// A power of ten beyond all money.
    #[error("{0:?} is too large or too small to be money")]
    OutOfRange(String),
}

/// `mantissa` × 10^`exponent`, without noughts at the mantissa's end. Nothing is 0 × 10^0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decimal {
    pub(super) mantissa: u64,
    pub(super) exponent: i32,
}

/// Reads `68123.45` and JSON's `6.812345e4`.
///
/// # Errors
/// [`DecimalError`] for everything else: signs, groups, `NaN`, digits of other scripts.
pub(super) fn read(text: &str) -> Result<Decimal, DecimalError> {
    let shown = || text.chars().take(40).collect::<String>();
    let not = || DecimalError::NotANumber(shown());
    let text = text.trim();
    if text.starts_with(['-', '\u{2212}']) {
        return Err(DecimalError::Negative(shown()));
    }
    if text.len() > MOST_CHARACTERS {
        return Err(DecimalError::TooLong(shown()));
    }
    let (number, power) = text.split_once(['e', 'E']).map_or((text, None), |(number, power)| (number, Some(power)));
    let (whole, part) = number.split_once('.').map_or((number, None), |(whole, part)| (whole, Some(part)));
    let plain = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if !plain(whole) || part.is_some_and(|part| !plain(part)) {
        return Err(not());
    }
    let power = match power {
        None => 0,
        Some(power) => {
            let digits = power.strip_prefix(['+', '-']).unwrap_or(power);
            if !plain(digits) {
                return Err(not());
            }
            power.parse::<i32>().map_err(|_| DecimalError::OutOfRange(shown()))?
        }
    };
    let digits = format!("{whole}{}", part.unwrap_or_default());
    let significant = digits.trim_start_matches('0').trim_end_matches('0');
    if significant.is_empty() {
        return Ok(Decimal { mantissa: 0, exponent: 0 });
    }
    if significant.len() > MOST_DIGITS {
        return Err(DecimalError::TooLong(shown()));
    }
    let mantissa = significant.parse().map_err(|_| not())?;
    let behind_point = part.map_or(0, str::len);
    let noughts = digits.len() - digits.trim_end_matches('0').len();
    let shift = i32::try_from(noughts).unwrap_or(0) - i32::try_from(behind_point).unwrap_or(0);
    let exponent = power.checked_add(shift).ok_or_else(|| DecimalError::OutOfRange(shown()))?;
    Ok(Decimal { mantissa, exponent })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pair(text: &str) -> Result<(u64, i32), DecimalError> {
        read(text).map(|decimal| (decimal.mantissa, decimal.exponent))
    }

    #[test]
    fn decimals_are_read_exactly() {
        for (text, expected) in [
            ("68123.45", (6_812_345, -2)),
            ("68123.450000000000000000000", (6_812_345, -2)),
            ("0068000", (68, 3)),
            ("0.10", (1, -1)),
            ("6.812345e4", (6_812_345, -2)),
            ("7E+9", (7, 9)),
            ("1e-3", (1, -3)),
            ("0.000", (0, 0)),
            ("999999999999999999", (999_999_999_999_999_999, 0)),
            (" 1 ", (1, 0)),
        ] {
            assert_eq!(pair(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_decimal_is_refused_by_name() {
        for text in ["-1", "-0", "\u{2212}1"] {
            assert!(matches!(pair(text), Err(DecimalError::Negative(_))), "{text}");
        }
        for text in [
            "", "NaN", "inf", "Infinity", "1,5", "1.", ".5", "1.2.3", "+5", "٦٨", "６８", "0x10", "1e", "1e1.5", "e5",
            "1 000", "1_0", "\"1\"",
        ] {
            assert!(matches!(pair(text), Err(DecimalError::NotANumber(_))), "{text}");
        }
        for text in ["1.234567890123456789", "1000000000000000001", &"9".repeat(65)] {
            assert!(matches!(pair(text), Err(DecimalError::TooLong(_))), "{text}");
        }
        for text in ["1e99999999999", "1e-99999999999", "0.1e-2147483648"] {
            assert!(matches!(pair(text), Err(DecimalError::OutOfRange(_))), "{text}");
        }
        assert_eq!(pair("1e400"), Ok((1, 400)), "who asks for a price refuses it");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(whole in 0_u64..1_000_000_000, part in 0_u64..1_000_000) {
            let read = read(&format!("{whole}.{part:06}")).unwrap();
            let value = whole * 1_000_000 + part;
            let back = u128::from(read.mantissa) * 10_u128.pow(u32::try_from(read.exponent + 6).unwrap());
            prop_assert_eq!(back, u128::from(value));
        }
    }
}

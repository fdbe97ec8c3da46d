//! Fuzz bodies: any bytes, no panic. Driven by proptest here and by cargo-fuzz from `payments/fuzz`.

use super::answer::Pointer;
use super::http;
use super::price::{BitcoinPrice, Rounding};

/// The first line is a pointer, the rest a vendor's answer: a price that is read is shown so that it reads the same.
pub fn fuzz_answer(data: &[u8]) {
    let mut parts = data.splitn(2, |b| *b == b'\n');
    let pointer = String::from_utf8_lossy(parts.next().unwrap_or_default());
    let Ok(pointer) = Pointer::read(&pointer) else { return };
    let body = parts.next().unwrap_or_default();
    for as_of in [None, Some(&pointer)] {
        if let Ok(sample) = http::read(body, &pointer, as_of) {
            fuzz_price(sample.price.to_string().as_bytes());
        }
    }
}

/// Words as a price: what is read is shown so that it reads the same, and counts without overflow.
pub fn fuzz_price(data: &[u8]) {
    let Ok(price) = BitcoinPrice::read(&String::from_utf8_lossy(data)) else { return };
    assert_eq!(BitcoinPrice::read(&price.to_string()), Ok(price));
    for currency in ["EUR", "JPY", "KWD", "CLF"] {
        let Ok(currency) = currency.parse() else { continue };
        if let Some(sum) = price.fiat(crate::Msat::MAX, currency, Rounding::Up) {
            let _ = price.msat(sum, 5_000, Rounding::Up);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_answer_is_read_or_refused(data in prop::collection::vec(any::<u8>(), 0..200)) {
            fuzz_answer(&data);
            fuzz_price(&data);
        }

        #[test]
        fn nearly_good_answers_are_read_or_refused(
            pointer in "(/[ab01]){0,3}",
            body in r#"[{}\[\]":,.ab0-9eE+ -]{0,60}|\{"a":(\[|\{"b":)?"?[0-9.eE+-]{1,24}"?[\]}]{0,2}\}?"#,
        ) {
            fuzz_answer(format!("{pointer}\n{body}").as_bytes());
        }
    }
}

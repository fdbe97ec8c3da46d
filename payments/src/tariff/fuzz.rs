//! Fuzz bodies: any bytes, no panic. Driven by proptest here and by cargo-fuzz from `payments/fuzz`.

use super::import::{ImportError, MOST_ERRORS, read_csv};
use super::number::{Number, Prefix};
use super::table::Table;
use crate::{Msat, UnixMillis};

/// A file through the import; what is taken is looked up again.
pub fn fuzz_deck(data: &[u8]) {
    match read_csv(data) {
        Ok(lines) => {
            let first = lines[0].clone();
            let at = first.valid_from.unwrap_or(UnixMillis(0));
            let table = Table::new(lines).expect("the import refuses two lines of one prefix and moment");
            let number: Number = first.prefix.to_string().parse().expect("a prefix is a number");
            let over = first.valid_until.is_some_and(|until| until <= at);
            assert!(over || table.find(number, at).is_some(), "a prefix is found under itself");
        }
        Err(ImportError::Cells { errors, .. }) => assert!(!errors.is_empty() && errors.len() <= MOST_ERRORS),
        Err(_) => {}
    }
}

/// Words through the parsers of amounts, numbers, prefixes and increments: what is read is shown so that it reads the same.
pub fn fuzz_words(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(amount) = text.parse::<Msat>() {
        assert_eq!(amount.to_string().parse(), Ok(amount));
    }
    if let Ok(number) = text.parse::<Number>() {
        assert_eq!(number.reveal().parse(), Ok(number));
    }
    if let Ok(prefix) = text.parse::<Prefix>() {
        assert_eq!(prefix.to_string().parse(), Ok(prefix));
    }
    if let Ok(increments) = text.parse::<super::Increments>() {
        assert_eq!(increments.to_string().parse(), Ok(increments));
    }
}

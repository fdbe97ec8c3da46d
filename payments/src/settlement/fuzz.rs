//! Fuzz bodies: any bytes, no panic. Driven by proptest here and by cargo-fuzz from `payments/fuzz`.

use super::Statement;

/// Bytes as a partner's statement: what is read is written as it was.
pub fn fuzz_statement(data: &[u8]) {
    let Ok(statement) = Statement::read(data) else { return };
    assert_eq!(statement.bytes(), data, "a statement has one form");
}

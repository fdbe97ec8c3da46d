//! Fuzz bodies: any bytes, no panic. Driven by proptest here and by cargo-fuzz from `payments/fuzz`.

use super::{Proposal, Statement};

/// Bytes as a partner's statement: what is read is written as it was.
pub fn fuzz_statement(data: &[u8]) {
    let Ok(statement) = Statement::read(data) else { return };
    assert_eq!(statement.bytes(), data, "a statement has one form");
}

/// Bytes as a partner's proposal: what is read is written as it was.
pub fn fuzz_proposal(data: &[u8]) {
    let Ok(proposal) = Proposal::read(data) else { return };
    assert_eq!(proposal.bytes(), data, "a proposal has one form");
    // Whether it is signed is looked at for any bytes.
    let _ = proposal.is_genuine();
}

//! Fuzz bodies: any bytes, no panic. Driven by proptest here and by cargo-fuzz from `payments/fuzz`.

use super::{Bolt11, Chain, Description, MAX_DESCRIPTION, Target};
use crate::UnixMillis;

/// Words as an invoice and an offer: what is read is written so that it reads the same, and its amount can be paid.
pub fn fuzz_invoice(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(invoice) = text.parse::<Bolt11>() {
        assert_eq!(invoice.to_string().parse::<Bolt11>(), Ok(invoice));
    }
    if let Ok(target) = text.parse::<Target>() {
        assert_eq!(target.as_str().parse::<Target>().as_ref(), Ok(&target));
        for chain in [Chain::Bitcoin, Chain::Testnet, Chain::Signet, Chain::Regtest] {
            if let Ok(amount) = target.payable(chain, UnixMillis(0), None) {
                assert!(!amount.is_zero(), "nothing cannot be paid");
            }
        }
    }
    assert!(Description::new(&text).as_str().len() <= MAX_DESCRIPTION);
}

/// Bytes as an answer of LND's.
pub fn fuzz_lnd(data: &[u8]) {
    super::lnd::read_as_any(data);
}

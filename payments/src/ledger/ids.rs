//! Names of accounts and transfers: 128 bits, made by whoever asks, never by the ledger.

use std::fmt;

use sha2::{Digest as _, Sha256};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $domain:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The id that these words always give: who asks again after a crash names the same thing.
            #[must_use]
            pub fn named(parts: &[&str]) -> Self {
                Self(named($domain, parts))
            }

            /// From 16 bytes that are random, or were [`Self::bytes`] before.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// As it is stored.
            #[must_use]
            pub const fn bytes(self) -> [u8; 16] {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

id!(
    /// Names an account.
    AccountId,
    "account"
);
id!(
    /// Names a transfer, and is its idempotency key: the same id with the same body is done once, with another body refused.
    TransferId,
    "transfer"
);

/// Each part goes in with its length, so that no two lists of words give the same bytes.
fn named(domain: &str, parts: &[&str]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in std::iter::once(&domain).chain(parts) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let mut id = [0; 16];
    id.copy_from_slice(&hash.finalize()[..16]);
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_words_name_the_same_and_others_do_not() {
        assert_eq!(TransferId::named(&["call", "1"]), TransferId::named(&["call", "1"]));
        let others =
            [TransferId::named(&["call", "1"]), TransferId::named(&["call1"]), TransferId::named(&["cal", "l1"])];
        assert!(others[0] != others[1] && others[1] != others[2] && others[0] != others[2]);
        assert_ne!(AccountId::named(&["a"]).bytes(), TransferId::named(&["a"]).bytes());
    }
}

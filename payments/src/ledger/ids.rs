//! Names of accounts and transfers: 128 bits, made by whoever asks, never by the ledger.

use sha2::{Digest as _, Sha256};

/// Words that are no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id has 32 hexadecimal digits")]
pub struct NoId;

/// Makes a type of 128-bit names. `$domain`: so that the same words name different things in different types.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $domain:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; 16]);

        impl $name {
            /// The id that these words always give: who asks again after a crash names the same thing.
            #[must_use]
            pub fn named(parts: &[&str]) -> Self {
                Self($crate::ledger::ids::named($domain, parts))
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

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::ledger::NoId;

            /// Reads the 32 hexadecimal digits that it is shown as.
            fn from_str(text: &str) -> Result<Self, $crate::ledger::NoId> {
                let mut id = [0; 16];
                hex::decode_to_slice(text, &mut id).map_err(|_| $crate::ledger::NoId)?;
                Ok(Self(id))
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::ledger::NoId;

            fn try_from(text: String) -> Result<Self, $crate::ledger::NoId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}
pub(crate) use id;

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
pub(crate) fn named(domain: &str, parts: &[&str]) -> [u8; 16] {
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
    fn an_id_is_read_as_it_is_shown() {
        let id = AccountId::named(&["a"]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(serde_json::from_str::<AccountId>(&serde_json::to_string(&id).unwrap()).unwrap(), id);
        for text in ["", "00", "zz", &"0".repeat(31), &"0".repeat(33), &"\u{e9}".repeat(16)] {
            assert_eq!(text.parse::<TransferId>(), Err(NoId), "{text}");
        }
    }

    #[test]
    fn the_same_words_name_the_same_and_others_do_not() {
        assert_eq!(TransferId::named(&["call", "1"]), TransferId::named(&["call", "1"]));
        let others =
            [TransferId::named(&["call", "1"]), TransferId::named(&["call1"]), TransferId::named(&["cal", "l1"])];
        assert!(others[0] != others[1] && others[1] != others[2] && others[0] != others[2]);
        assert_ne!(AccountId::named(&["a"]).bytes(), TransferId::named(&["a"]).bytes());
    }
}

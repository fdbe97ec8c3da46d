//! Accounts by their addresses: `G…`, and `M…` for a part of one.

use std::fmt;

use stellar_xdr as xdr;

/// An account: an Ed25519 public key, written `G…` (SEP-23).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address([u8; 32]);

/// Where a payment goes: an account, or a numbered part of one (`M…`, CAP-27) whose number stands in place of a memo.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Destination {
    /// Whose account it is.
    pub account: Address,
    /// The number of the part.
    pub part: Option<u64>,
}

/// Why words are no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// A typing error, or something else altogether.
    #[error("{0:?} is no Stellar address; it is 56 characters from G, or 69 from M, and its checksum must fit")]
    NotAnAddress(String),
    /// A secret key where an address belongs. It is not shown.
    #[error("this is a secret key (S…), not an address; whoever has seen it can take the money: make a new one")]
    Secret,
}

impl Address {
    /// From the key's bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key's bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(super) fn account_id(self) -> xdr::AccountId {
        xdr::AccountId(xdr::PublicKey::PublicKeyTypeEd25519(xdr::Uint256(self.0)))
    }

    pub(super) fn from_account_id(id: &xdr::AccountId) -> Self {
        let xdr::AccountId(xdr::PublicKey::PublicKeyTypeEd25519(xdr::Uint256(bytes))) = id;
        Self(*bytes)
    }
}

impl Destination {
    /// The account itself.
    #[must_use]
    pub const fn account(account: Address) -> Self {
        Self { account, part: None }
    }

    pub(super) fn muxed(self) -> xdr::MuxedAccount {
        let ed25519 = xdr::Uint256(self.account.0);
        match self.part {
            None => xdr::MuxedAccount::Ed25519(ed25519),
            Some(id) => xdr::MuxedAccount::MuxedEd25519(xdr::MuxedAccountMed25519 { id, ed25519 }),
        }
    }

    pub(super) fn from_muxed(muxed: &xdr::MuxedAccount) -> Self {
        match muxed {
            xdr::MuxedAccount::Ed25519(key) => Self { account: Address(key.0), part: None },
            xdr::MuxedAccount::MuxedEd25519(m) => Self { account: Address(m.ed25519.0), part: Some(m.id) },
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&stellar_strkey::ed25519::PublicKey(self.0).to_string())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            None => fmt::Display::fmt(&self.account, f),
            Some(id) => {
                let muxed = stellar_strkey::ed25519::MuxedAccount { ed25519: self.account.0, id };
                f.write_str(&muxed.to_string())
            }
        }
    }
}

impl std::str::FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text.parse::<Destination>()? {
            Destination { account, part: None } => Ok(account),
            Destination { .. } => Err(AddressError::NotAnAddress(shown(text))),
        }
    }
}

impl std::str::FromStr for Destination {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        // Looked at by its letter first: what may be a secret key goes into no error, also where its checksum is wrong.
        if text.starts_with('S') {
            return Err(AddressError::Secret);
        }
        match stellar_strkey::Strkey::from_string(text) {
            Ok(stellar_strkey::Strkey::PublicKeyEd25519(key)) => Ok(Self { account: Address(key.0), part: None }),
            Ok(stellar_strkey::Strkey::MuxedAccountEd25519(m)) => {
                Ok(Self { account: Address(m.ed25519), part: Some(m.id) })
            }
            _ => Err(AddressError::NotAnAddress(shown(text))),
        }
    }
}

fn shown(text: &str) -> String {
    text.chars().take(72).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From SEP-23's test vectors.
    const G: &str = "GA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJVSGZ";
    const M: &str = "MA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJUAAAAAAAAAAAACJUQ";
    const M_HIGH: &str = "MA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJVAAAAAAAAAAAAAJLK";

    #[test]
    fn addresses_are_read_and_written_as_sep_23_says() {
        let account: Address = G.parse().unwrap();
        assert_eq!(account.to_string(), G);
        for (text, id) in [(M, 0), (M_HIGH, 9_223_372_036_854_775_808)] {
            let part: Destination = text.parse().unwrap();
            assert_eq!((part.account, part.part), (account, Some(id)));
            assert_eq!(part.to_string(), text);
            assert_eq!(Destination::from_muxed(&part.muxed()), part);
        }
        assert_eq!(Address::from_account_id(&account.account_id()), account);
    }

    #[test]
    fn a_typing_error_is_refused_and_a_secret_key_is_not_repeated() {
        let wrong = G.replace("VSGZ", "VSGA");
        assert!(matches!(wrong.parse::<Address>(), Err(AddressError::NotAnAddress(_))));
        assert!(matches!(M.parse::<Address>(), Err(AddressError::NotAnAddress(_))), "a part is no account");
        let secret = "SBU2RRGLXH3E5CQHTD3ODLDF2BWDCYUSSBLLZ5GNW7JXHDIYKXZWHOKR";
        let error = secret.parse::<Destination>().unwrap_err();
        assert_eq!(error, AddressError::Secret);
        assert!(!error.to_string().contains(secret));
        for text in ["", "G", "ada@example.org", "СA7QYNF7SOWQ3GLR", &"G".repeat(100_000)] {
            assert!(text.parse::<Destination>().is_err());
        }
    }
}

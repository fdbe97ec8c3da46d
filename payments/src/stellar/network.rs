//! Which network: what is signed for one is worthless on another.

use sha2::{Digest as _, Sha256};

/// A network by its passphrase. Its id, the passphrase's SHA-256, goes into every signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    passphrase: String,
    id: [u8; 32],
}

impl Network {
    /// The public network's passphrase: real money.
    pub const PUBLIC: &'static str = "Public Global Stellar Network ; September 2015";
    /// The test network's.
    pub const TESTNET: &'static str = "Test SDF Network ; September 2015";

    /// The network of this passphrase.
    #[must_use]
    pub fn new(passphrase: &str) -> Self {
        Self { passphrase: passphrase.to_owned(), id: Sha256::digest(passphrase).into() }
    }

    /// The passphrase.
    #[must_use]
    pub fn passphrase(&self) -> &str {
        &self.passphrase
    }

    /// Its SHA-256.
    #[must_use]
    pub const fn id(&self) -> [u8; 32] {
        self.id
    }

    /// Whether money on it is real.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.passphrase == Self::PUBLIC
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_networks_id_is_the_hash_of_its_passphrase() {
        assert_eq!(
            hex::encode(Network::new(Network::PUBLIC).id()),
            "7ac33997544e3175d266bd022439b22cdb16508c01163f26e5cb2a3e1045a979"
        );
        assert_eq!(
            hex::encode(Network::new(Network::TESTNET).id()),
            "cee0302d59844d32bdca915c8203dd44b33fbb7edc19051ea37abedf28ecd472"
        );
        assert!(Network::new(Network::PUBLIC).is_public() && !Network::new(Network::TESTNET).is_public());
    }
}

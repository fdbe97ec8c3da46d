//! The signer's key: from a file that only its owner can read, wiped when let go.

use std::fmt;
use std::path::{Path, PathBuf};

use ed25519_dalek::Signer as _;
use stellar_xdr as xdr;
use zeroize::Zeroizing;

use super::Address;

/// A secret key (`S…`). Signs; is not shown, not cloned, and wiped from memory when dropped.
pub struct SigningKey {
    key: ed25519_dalek::SigningKey,
    address: Address,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("the Stellar key file {path} cannot be read: {error}")]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// Others than its owner could read it.
    #[error("the Stellar key file {path} can be read by others (mode {mode:03o}); run chmod 600 on it")]
    Mode {
        /// Which.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Not one `S…` in it. What is in it is not shown.
    #[error("the Stellar key file {path} holds no secret key; it is one line of 56 characters that begins with S")]
    NotAKey {
        /// Which.
        path: PathBuf,
    },
}

/// A key file is one line.
const MAX_FILE: usize = 256;

impl SigningKey {
    /// From 32 bytes of a seed.
    #[must_use]
    pub fn from_seed(seed: &Zeroizing<[u8; 32]>) -> Self {
        let key = ed25519_dalek::SigningKey::from_bytes(seed);
        let address = Address::from_bytes(key.verifying_key().to_bytes());
        Self { key, address }
    }

    /// From a file with one `S…`, which must be its owner's alone (mode 0600 or less; systemd's credentials are 0400).
    ///
    /// # Errors
    /// [`KeyError`] names the file and what to do, never what is in it.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let failed = |error| KeyError::Read { path: path.to_owned(), error };
        let mut file = std::fs::File::open(path).map_err(failed)?;
        // Of the file that was opened, not of whatever lies there a moment later.
        let meta = file.metadata().map_err(failed)?;
        let mode = std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Mode { path: path.to_owned(), mode });
        }
        // A buffer of one size: one that grows would leave copies behind.
        let mut buffer = Zeroizing::new([0_u8; MAX_FILE]);
        let mut length = 0;
        loop {
            let read = std::io::Read::read(&mut file, &mut buffer[length..]).map_err(failed)?;
            length += read;
            if read == 0 || length == MAX_FILE {
                break;
            }
        }
        let not_a_key = || KeyError::NotAKey { path: path.to_owned() };
        let line = buffer[..length].trim_ascii();
        let seed = stellar_strkey::ed25519::PrivateKey::from_slice(line).map_err(|_| not_a_key())?;
        Ok(Self::from_seed(&Zeroizing::new(seed.0)))
    }

    /// Whose key it is.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.address
    }

    /// An Ed25519 signature of these bytes.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.key.sign(bytes).to_bytes()
    }

    pub(super) fn decorated(&self, hash: &[u8; 32]) -> xdr::DecoratedSignature {
        let [.., a, b, c, d] = *self.address.bytes();
        xdr::DecoratedSignature {
            hint: xdr::SignatureHint([a, b, c, d]),
            signature: xdr::Signature(xdr::BytesM::try_from(self.sign(hash)).unwrap_or_default()),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(of {})", self.address)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// The seed of 32 times 1, as `reference` SDKs write it.
    const SECRET: &str = "SAAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCXBK";
    const ADDRESS: &str = "GCFIRY65OQE7DFP5KLNS2PF2LVZMUZYJX4OZIEQ36N2IQANUB5XVYOJR";

    fn file(text: &str, mode: u32) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        file
    }

    fn secret() -> String {
        let key = stellar_strkey::ed25519::PrivateKey([1; 32]);
        key.as_unredacted().to_string().as_str().to_owned()
    }

    #[test]
    fn a_key_comes_from_a_file_of_its_owner_alone() {
        assert_eq!(secret().len(), SECRET.len());
        let key = SigningKey::read(file(&format!("{}\n", secret()), 0o600).path()).unwrap();
        assert_eq!(key.address().to_string(), ADDRESS);
        assert!(SigningKey::read(file(&secret(), 0o400).path()).is_ok(), "a systemd credential");
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        for mode in [0o644, 0o640, 0o604, 0o660] {
            let error = SigningKey::read(file(&secret(), mode).path()).unwrap_err();
            assert!(matches!(error, KeyError::Mode { mode: m, .. } if m == mode), "{error}");
        }
    }

    #[test]
    fn no_error_and_no_debug_shows_the_key() {
        let broken = secret().replace("AQCAIB", "AQCAIA");
        for text in [broken.as_str(), "", ADDRESS, "word ", &secret().repeat(5)] {
            let file = file(text, 0o600);
            let error = SigningKey::read(file.path()).unwrap_err();
            assert!(matches!(error, KeyError::NotAKey { .. }), "{error:?}");
            assert!(text.is_empty() || !format!("{error} {error:?}").contains(text));
        }
        let key = SigningKey::from_seed(&Zeroizing::new([1; 32]));
        assert!(!format!("{key:?}").contains(&secret()));
        assert_eq!(format!("{key:?}"), format!("SigningKey(of {ADDRESS})"));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = SigningKey::read(Path::new("/nowhere/stellar.key")).unwrap_err().to_string();
        assert!(error.contains("/nowhere/stellar.key"), "{error}");
    }
}

//! The operator's key: 32 random bytes in a file of mode 0600, from which every other key at rest is derived.
use std::{
    fmt,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use aws_lc_rs::hkdf;
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

/// Why there is no operator key.
#[derive(Debug, Error)]
pub enum OperatorKeyError {
    /// The file cannot be read or written.
    #[error("operator key {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds something else.
    #[error(
        "operator key {path}: {length} bytes instead of 32; restore it from a backup, what is stored cannot be read without it"
    )]
    Length {
        /// The file.
        path: PathBuf,
        /// How many bytes it has.
        length: usize,
    },
    /// What is stored was made under another key.
    #[error("operator key {path} is not the one that the data in {data_dir} was made with; restore the old one")]
    Changed {
        /// The file.
        path: PathBuf,
        /// The data.
        data_dir: PathBuf,
    },
}

/// The operator's key. Prints nothing of itself; wiped when dropped.
#[derive(Clone)]
pub struct OperatorKey([u8; 32]);

struct Length(usize);
impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl OperatorKey {
    /// From given bytes, for tests and for operators who keep keys elsewhere.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads the key at `path`, or makes a fresh one (mode 0600) where nothing is stored in `data_dir` yet, and
    /// checks that it is the one that `data_dir` was made with.
    ///
    /// # Errors
    /// [`OperatorKeyError`]; above all when the key was lost or changed while data exists.
    pub fn load_or_create(path: &Path, data_dir: &Path) -> Result<Self, OperatorKeyError> {
        let io = |source| OperatorKeyError::Io { path: path.to_owned(), source };
        std::fs::create_dir_all(data_dir).map_err(io)?;
        let mark = data_dir.join("operator.key.mark");
        let known = match std::fs::read_to_string(&mark) {
            Ok(text) => Some(text.trim().to_owned()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(io(e)),
        };
        let key = match std::fs::read(path).map(Zeroizing::new) {
            Ok(bytes) => Self(
                bytes
                    .as_slice()
                    .try_into()
                    .map_err(|_| OperatorKeyError::Length { path: path.to_owned(), length: bytes.len() })?,
            ),
            Err(e) if e.kind() == io::ErrorKind::NotFound && known.is_none() => Self::create(path).map_err(io)?,
            Err(e) => return Err(io(e)),
        };
        let own = hex::encode(key.derive::<16>("roomtone operator key mark"));
        match known {
            Some(known) if known == own => {}
            Some(_) => return Err(OperatorKeyError::Changed { path: path.to_owned(), data_dir: data_dir.to_owned() }),
            None => std::fs::write(&mark, own).map_err(io)?,
        }
        Ok(key)
    }

    fn create(path: &Path) -> io::Result<Self> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        getrandom::fill(bytes.as_mut_slice()).map_err(io::Error::other)?;
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(bytes.as_slice())?;
        file.sync_all()?;
        Ok(Self(*bytes))
    }

    /// `N` bytes for one purpose: HKDF-SHA256 (RFC 5869) with `purpose` as info. Different purposes give unrelated keys.
    ///
    /// # Panics
    /// Never: `N` would have to be over 8160 bytes.
    #[must_use]
    pub fn derive<const N: usize>(&self, purpose: &str) -> [u8; N] {
        let mut out = [0_u8; N];
        hkdf::Salt::new(hkdf::HKDF_SHA256, b"roomtone")
            .extract(&self.0)
            .expand(&[purpose.as_bytes()], Length(N))
            .and_then(|okm| okm.fill(&mut out))
            .expect("the length is far under HKDF's limit of 255 blocks");
        out
    }
}

impl Drop for OperatorKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for OperatorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OperatorKey")
    }
}

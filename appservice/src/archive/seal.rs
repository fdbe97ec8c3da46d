//! Keys and sealed blobs.
//!
//! The archive's key (the operator's, or derived from it) wraps a key per room, a room's key wraps a key per call, a call's key seals the call's rows. No key
//! does two jobs: from each, one subkey per job is derived (HMAC-SHA256 with the job's name). A sealed blob is
//! `1 ‖ nonce (12) ‖ AES-256-GCM ciphertext ‖ tag (16)`; its place (table, column, row) is authenticated with it, so a
//! blob moved to another row does not open.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use thiserror::Error;
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const TAG_LEN: usize = 16;

/// What everything in the archive is opened with: derived from the operator's key. Without it a copy of the database is noise.
#[derive(Clone)]
pub struct ArchiveKey(Secret);

/// Why a blob did not open: another key, another place, or changed bytes. It cannot be told which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a sealed value of {table} does not open with its key")]
pub struct SealError {
    pub(crate) table: &'static str,
}

/// 32 key bytes, wiped when dropped. Prints its type name only.
#[derive(Clone)]
pub(crate) struct Secret(Zeroizing<[u8; 32]>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl fmt::Debug for ArchiveKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ArchiveKey")
    }
}

impl ArchiveKey {
    /// The key with these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Secret(Zeroizing::new(bytes)))
    }

    pub(crate) fn subkey(&self, job: &str) -> Secret {
        self.0.subkey(job)
    }
}

/// Where a sealed value lives; authenticated with it.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    table: &'static str,
    column: &'static str,
    row: String,
}

impl Place {
    pub(crate) fn new(table: &'static str, column: &'static str, row: impl fmt::Display) -> Self {
        Self { table, column, row: row.to_string() }
    }

    fn aad(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(96);
        for part in [self.table, self.column, &self.row] {
            out.extend_from_slice(&(part.len() as u64).to_be_bytes());
            out.extend_from_slice(part.as_bytes());
        }
        out
    }
}

impl Secret {
    pub(crate) fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *bytes)?;
        Ok(Self(bytes))
    }

    /// The key for one job, from a key that does no job itself.
    pub(crate) fn subkey(&self, job: &str) -> Self {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &*self.0), job.as_bytes());
        let mut bytes = Zeroizing::new([0; 32]);
        bytes.copy_from_slice(tag.as_ref());
        Self(bytes)
    }

    /// The first 16 bytes of the keyed hash of `text`.
    pub(crate) fn blind(&self, text: &[u8]) -> [u8; 16] {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &*self.0), text);
        let mut out = [0; 16];
        out.copy_from_slice(&tag.as_ref()[..16]);
        out
    }

    pub(crate) fn seal(&self, place: &Place, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let fail = |_| SealError { table: place.table };
        let key = RandomizedNonceKey::new(&AES_256_GCM, &*self.0).map_err(fail)?;
        let mut body = Vec::with_capacity(plain.len() + TAG_LEN);
        body.extend_from_slice(plain);
        let nonce = key.seal_in_place_append_tag(Aad::from(place.aad()), &mut body).map_err(fail)?;
        let mut out = Vec::with_capacity(1 + NONCE_LEN + body.len());
        out.push(VERSION);
        out.extend_from_slice(nonce.as_ref());
        out.extend_from_slice(&body);
        Ok(out)
    }

    pub(crate) fn open(&self, place: &Place, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let error = SealError { table: place.table };
        let Some((&VERSION, rest)) = sealed.split_first() else { return Err(error) };
        let (nonce, body) = rest.split_at_checked(NONCE_LEN).ok_or(error)?;
        let key = RandomizedNonceKey::new(&AES_256_GCM, &*self.0).map_err(|_| error)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| error)?;
        let mut body = Zeroizing::new(body.to_vec());
        let plain = key.open_in_place(nonce, Aad::from(place.aad()), &mut body).map_err(|_| error)?.len();
        body.truncate(plain);
        Ok(body)
    }

    pub(crate) fn wrap(&self, place: &Place, key: &Self) -> Result<Vec<u8>, SealError> {
        self.seal(place, &*key.0)
    }

    pub(crate) fn unwrap_key(&self, place: &Place, sealed: &[u8]) -> Result<Self, SealError> {
        let plain = self.open(place, sealed)?;
        let mut bytes = Zeroizing::new([0; 32]);
        if plain.len() != bytes.len() {
            return Err(SealError { table: place.table });
        }
        bytes.copy_from_slice(&plain);
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> Place {
        Place::new("utterances", "said", "call/1")
    }

    #[test]
    fn a_sealed_value_opens_only_with_its_key_in_its_place_unchanged() {
        let key = Secret::generate().unwrap();
        let sealed = key.seal(&here(), b"ship on friday").unwrap();
        assert_eq!(&**key.open(&here(), &sealed).unwrap(), b"ship on friday");
        assert!(Secret::generate().unwrap().open(&here(), &sealed).is_err());
        assert!(key.open(&Place::new("utterances", "said", "call/2"), &sealed).is_err());
        assert!(key.open(&Place::new("utterances", "sai", "dcall/1"), &sealed).is_err());
        for at in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[at] ^= 1;
            assert!(key.open(&here(), &bad).is_err(), "changed byte {at}");
            assert!(key.open(&here(), &sealed[..at]).is_err(), "cut to {at}");
        }
    }

    #[test]
    fn the_same_words_are_never_sealed_to_the_same_bytes() {
        let key = Secret::generate().unwrap();
        assert_ne!(key.seal(&here(), b"yes").unwrap(), key.seal(&here(), b"yes").unwrap());
    }

    #[test]
    fn keys_print_no_bytes() {
        let key = ArchiveKey::from_bytes([0xab; 32]);
        assert_eq!(format!("{key:?} {:?}", key.subkey("x")), "ArchiveKey Secret");
    }
}

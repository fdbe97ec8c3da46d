//! Media keys as they travel between devices, and the rings in which receivers keep them.
//!
//! A participant makes 16 random bytes, gives them an index and sends both to every other device over Olm. The bytes
//! never touch a frame: [`super::frame_crypto`] derives the AES key of the frames from them. A receiver keeps up to 256
//! keys per participant, one per index. Keys are never ratcheted: MatrixRTC makes a new key instead, so a receiver that
//! tried ratchets would only give a hostile SFU more work to ask for.

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode::Indifferent;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::frame_crypto::FrameKey;

/// Consecutive frames that a key may fail to open before its slot is taken for wrong and left alone until a new key
/// is set there (`failureTolerance` of LiveKit's clients).
pub const FAILURE_TOLERANCE: u32 = 10;

const LENIENT: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_padding_mode(Indifferent));

/// The secret that one participant's frames are encrypted under: 16 bytes as Element Call makes them, up to 64 from
/// others. Wiped when dropped; `Debug` prints the type name only.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct MediaKey(Vec<u8>);

/// Why bytes or text are no media key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MediaKeyError {
    /// Not base64 in the standard alphabet.
    #[error("a media key is standard base64")]
    NotBase64,
    /// Fewer than 16 or more than 64 bytes.
    #[error("a media key has 16 to 64 bytes, this one has {0}")]
    Length(usize),
}

impl MediaKey {
    /// Takes the bytes of a key: fresh ones from the system's random source (16, please), or as they came.
    ///
    /// # Errors
    /// [`MediaKeyError::Length`] for fewer than 16 or more than 64 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MediaKeyError> {
        if !(16..=64).contains(&bytes.len()) {
            return Err(MediaKeyError::Length(bytes.len()));
        }
        Ok(Self(bytes.to_vec()))
    }

    /// Reads standard base64, with padding as Element Call writes it or without as MSC4143 has it.
    ///
    /// # Errors
    /// [`MediaKeyError`] says what is wrong; it never holds the text.
    pub fn from_base64(text: &str) -> Result<Self, MediaKeyError> {
        let mut bytes = LENIENT.decode(text).map_err(|_| MediaKeyError::NotBase64)?;
        let key = Self::from_bytes(&bytes);
        bytes.zeroize();
        key
    }

    /// The key as it is sent to other devices: standard base64 with padding. The caller keeps it from logs.
    #[must_use]
    pub fn to_base64(&self) -> String {
        STANDARD.encode(&self.0)
    }

    /// The bytes themselves: only for deriving.
    #[must_use]
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for MediaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MediaKey")
    }
}

struct Slot {
    key: FrameKey,
    failures: u32,
}

/// One remote participant's keys, by index.
#[derive(Default)]
pub struct KeyRing {
    slots: std::collections::HashMap<u8, Slot>,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("keys", &self.slots.len()).finish()
    }
}

/// What a ring says to an encrypted frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// The frame in clear.
    Clear(Vec<u8>),
    /// No key stands at the frame's index.
    NoKey,
    /// The key at the index does not open it, or the frame is damaged or none.
    Failed,
}

impl KeyRing {
    /// Puts a key at an index. Another key that stood there is gone; the same key again only forgives its failures.
    pub fn set(&mut self, index: u8, key: &MediaKey) {
        self.slots.insert(index, Slot { key: FrameKey::derive(key), failures: 0 });
    }

    /// Opens one encrypted frame. A key that fails more than [`FAILURE_TOLERANCE`] times in a row is not tried again.
    pub fn open(&mut self, frame: &[u8]) -> Opened {
        let Some(&index) = frame.last() else { return Opened::Failed };
        let Some(slot) = self.slots.get_mut(&index) else { return Opened::NoKey };
        if slot.failures > FAILURE_TOLERANCE {
            return Opened::Failed;
        }
        match slot.key.open(frame) {
            Some(clear) => {
                slot.failures = 0;
                Opened::Clear(clear)
            }
            None => {
                slot.failures += 1;
                Opened::Failed
            }
        }
    }

    /// Whether the key at `index` is there and not given up.
    #[must_use]
    pub fn usable(&self, index: u8) -> bool {
        self.slots.get(&index).is_some_and(|slot| slot.failures <= FAILURE_TOLERANCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::livekit::frame_crypto::FrameSealer;

    fn key(byte: u8) -> MediaKey {
        MediaKey::from_bytes(&[byte; 16]).unwrap()
    }

    #[test]
    fn a_key_reads_with_and_without_padding_and_writes_with_it() {
        let padded = MediaKey::from_base64("AAECAwQFBgcICQoLDA0ODw==").unwrap();
        assert_eq!(padded, MediaKey::from_base64("AAECAwQFBgcICQoLDA0ODw").unwrap());
        assert_eq!(padded.to_base64(), "AAECAwQFBgcICQoLDA0ODw==");
        assert_eq!(MediaKey::from_base64("AAEC"), Err(MediaKeyError::Length(3)));
        assert_eq!(MediaKey::from_base64("no key!"), Err(MediaKeyError::NotBase64));
        assert_eq!(format!("{padded:?}"), "MediaKey");
    }

    #[test]
    fn a_key_that_fails_eleven_times_in_a_row_is_left_alone_until_it_is_set_again() {
        let (mut right, mut wrong) = (FrameSealer::new([1; 4]), FrameSealer::new([2; 4]));
        right.set_key(3, &key(1));
        wrong.set_key(3, &key(2));
        let mut ring = KeyRing::default();
        assert_eq!(ring.open(&right.seal(0, b"xhello").unwrap()), Opened::NoKey);
        ring.set(3, &key(1));
        for n in 0..10 {
            assert_eq!(ring.open(&wrong.seal(n, b"xhello").unwrap()), Opened::Failed);
        }
        assert_eq!(
            ring.open(&right.seal(0, b"xhello").unwrap()),
            Opened::Clear(b"xhello".to_vec()),
            "ten are forgiven"
        );
        for n in 0..11 {
            assert_eq!(ring.open(&wrong.seal(n, b"xhello").unwrap()), Opened::Failed);
        }
        assert!(!ring.usable(3));
        assert_eq!(ring.open(&right.seal(0, b"xhello").unwrap()), Opened::Failed, "eleven are not");
        ring.set(3, &key(1));
        assert_eq!(ring.open(&right.seal(0, b"xhello").unwrap()), Opened::Clear(b"xhello".to_vec()));
    }
}

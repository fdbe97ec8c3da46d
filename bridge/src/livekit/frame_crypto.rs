//! Frame encryption as LiveKit's clients and Element Call do it, for Opus.
//!
//! ```text
//! | TOC (clear) | ciphertext | GCM tag 16 | IV 12 | 12 | key index |      30 bytes more than the frame
//! ```
//!
//! * AES-128-GCM key = HKDF-SHA256(ikm = media key, salt = `LKFrameEncryptionKey`, info = 128 zero bytes, 16 bytes).
//! * The first byte stays clear and is authenticated, so that an SFU can tell frame from frame but not change it.
//! * Empty frames are passed as they are. What the SFU itself makes (silence when a track is muted or gone) ends in the
//!   `sif_trailer` that it told at joining, and only Opus silence is taken from it: [`server_frame`].
//!
//! Source: livekit-client `src/e2ee`, checked against its own output (see the tests).

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use thiserror::Error;
use zeroize::Zeroize;

use super::keys::MediaKey;

/// Bytes of an Opus frame that stay clear.
const CLEAR: usize = 1;
const TAG: usize = 16;
/// What encryption adds to a frame: tag, IV, length of the IV, key index.
pub const OVERHEAD: usize = TAG + NONCE_LEN + 2;

/// The Opus frame that an SFU sends in place of a muted or departed track: 3 bytes and 77 zeros.
const SILENCE_HEAD: [u8; 3] = [0xf8, 0xff, 0xfe];
const SILENCE_LEN: usize = 80;

struct Aes128;

impl KeyType for Aes128 {
    fn len(&self) -> usize {
        16
    }
}

fn derive(key: &MediaKey) -> [u8; 16] {
    let mut out = [0; 16];
    let info = [0u8; 128];
    Salt::new(HKDF_SHA256, b"LKFrameEncryptionKey")
        .extract(key.reveal())
        .expand(&[&info], Aes128)
        .and_then(|okm| okm.fill(&mut out))
        .expect("16 bytes are within what HKDF gives");
    out
}

/// The AES key of one participant's frames at one index.
pub struct FrameKey(LessSafeKey);

impl FrameKey {
    /// Derives the frames' key from the media key.
    #[must_use]
    pub fn derive(key: &MediaKey) -> Self {
        let mut bytes = derive(key);
        let unbound = UnboundKey::new(&AES_128_GCM, &bytes).expect("an AES-128 key has 16 bytes");
        bytes.zeroize();
        Self(LessSafeKey::new(unbound))
    }

    /// Opens an encrypted frame; `None` when it is none, is damaged or belongs to another key.
    #[must_use]
    pub fn open(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let body = frame.len().checked_sub(2)?;
        if usize::from(frame[body]) != NONCE_LEN {
            return None;
        }
        let sealed_end = body.checked_sub(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(&frame[sealed_end..body]).ok()?;
        let sealed = frame.get(CLEAR..sealed_end).filter(|sealed| sealed.len() >= TAG)?;
        let mut buffer = sealed.to_vec();
        let clear = self.0.open_in_place(nonce, Aad::from(&frame[..CLEAR]), &mut buffer).ok()?;
        let mut out = Vec::with_capacity(CLEAR + clear.len());
        out.extend_from_slice(&frame[..CLEAR]);
        out.extend_from_slice(clear);
        Some(out)
    }

    fn seal(&self, index: u8, iv: [u8; NONCE_LEN], frame: &[u8]) -> Vec<u8> {
        let (clear, secret) = frame.split_at(CLEAR.min(frame.len()));
        let mut out = Vec::with_capacity(frame.len() + OVERHEAD);
        out.extend_from_slice(frame);
        let tag = self
            .0
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(iv),
                Aad::from(clear),
                &mut out[frame.len() - secret.len()..],
            )
            .expect("an audio frame is far below GCM's limit");
        out.extend_from_slice(tag.as_ref());
        out.extend_from_slice(&iv);
        out.push(NONCE_LEN as u8);
        out.push(index);
        out
    }
}

/// No key has been set, so nothing may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no key has been set to encrypt with")]
pub struct NoSendKey;

/// Encrypts our own frames. One sealer lives as long as the participant, over all its reconnections, so that its count
/// goes on and no IV comes twice under a key.
pub struct FrameSealer {
    key: Option<(u8, FrameKey)>,
    source: [u8; 4],
    sent: u32,
}

impl FrameSealer {
    /// `source`: four random bytes, where other senders have their SSRC; it tells two senders under one key apart.
    #[must_use]
    pub fn new(source: [u8; 4]) -> Self {
        Self { key: None, source, sent: 0 }
    }

    /// The key for all frames from now on.
    pub fn set_key(&mut self, index: u8, key: &MediaKey) {
        self.key = Some((index, FrameKey::derive(key)));
    }

    /// Whether there is a key.
    #[must_use]
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Encrypts one frame. `timestamp`: its RTP time, part of the IV. Empty frames stay empty.
    ///
    /// # Errors
    /// [`NoSendKey`] before [`FrameSealer::set_key`].
    pub fn seal(&mut self, timestamp: u32, frame: &[u8]) -> Result<Vec<u8>, NoSendKey> {
        let (index, key) = self.key.as_ref().ok_or(NoSendKey)?;
        if frame.is_empty() {
            return Ok(Vec::new());
        }
        // source | timestamp | count: 2^32 frames of 20 ms are 2.7 years, and the time differs by then.
        let mut iv = [0; NONCE_LEN];
        iv[..4].copy_from_slice(&self.source);
        iv[4..8].copy_from_slice(&timestamp.to_be_bytes());
        iv[8..].copy_from_slice(&self.sent.to_be_bytes());
        self.sent = self.sent.wrapping_add(1);
        Ok(key.seal(*index, iv, frame))
    }
}

/// A frame that the SFU made itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerFrame {
    /// The one Opus frame of silence that servers send.
    Silence,
    /// It carries the server's mark but is not that frame: not to be played.
    Unknown,
}

/// Looks whether the SFU made this frame. `trailer`: `JoinResponse.sif_trailer`; an empty one marks nothing.
#[must_use]
pub fn server_frame(frame: &[u8], trailer: &[u8]) -> Option<ServerFrame> {
    if trailer.is_empty() {
        return None;
    }
    let body = frame.strip_suffix(trailer)?;
    let silence = body.len() == SILENCE_LEN
        && body[..SILENCE_HEAD.len()] == SILENCE_HEAD
        && body[SILENCE_HEAD.len()..].iter().all(|&byte| byte == 0);
    Some(if silence { ServerFrame::Silence } else { ServerFrame::Unknown })
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::digest::{SHA256, digest};

    fn vector_key() -> MediaKey {
        MediaKey::from_base64("AAECAwQFBgcICQoLDA0ODw==").unwrap()
    }

    const ENCRYPTED: &str = "78b3391b4ceeeaa6d48f49fb2b07fbad8d807f342a01ae8d112233440000bb800000bb7b0c07";

    #[test]
    fn the_key_is_derived_as_element_call_does() {
        assert_eq!(hex::encode(derive(&vector_key())), "4086b4641064e1ae8b63d4eb83ad3e7e");
    }

    #[test]
    fn a_frame_of_element_call_opens() {
        let key = FrameKey::derive(&vector_key());
        assert_eq!(hex::encode(key.open(&hex::decode(ENCRYPTED).unwrap()).unwrap()), "78deadbeef010203");
    }

    #[test]
    fn a_frame_is_sealed_as_element_call_does() {
        let iv: [u8; 12] = hex::decode("112233440000bb800000bb7b").unwrap().try_into().unwrap();
        let frame = hex::decode("78deadbeef010203").unwrap();
        assert_eq!(hex::encode(FrameKey::derive(&vector_key()).seal(7, iv, &frame)), ENCRYPTED);
    }

    #[test]
    fn only_the_known_silence_is_taken_from_the_server() {
        let trailer = [9, 8, 7, 6];
        let mut silence = vec![0; SILENCE_LEN];
        silence[..3].copy_from_slice(&SILENCE_HEAD);
        let hash = hex::encode(digest(&SHA256, &silence));
        assert!(hash.starts_with("aad8d31f") && hash.ends_with("8988"), "{hash}");
        silence.extend_from_slice(&trailer);
        assert_eq!(server_frame(&silence, &trailer), Some(ServerFrame::Silence));
        assert_eq!(server_frame(&silence, &[]), None, "a server without a trailer marks nothing");
        silence[40] = 1;
        assert_eq!(server_frame(&silence, &trailer), Some(ServerFrame::Unknown));
        assert_eq!(server_frame(&trailer, &trailer), Some(ServerFrame::Unknown));
        assert_eq!(server_frame(&hex::decode(ENCRYPTED).unwrap(), &trailer), None);
    }

    #[test]
    fn no_iv_comes_twice_even_at_the_same_timestamp_and_key() {
        let mut sealer = FrameSealer::new([1, 2, 3, 4]);
        assert_eq!(sealer.seal(0, b"x"), Err(NoSendKey));
        let mut seen = std::collections::HashSet::new();
        for round in 0..50 {
            sealer.set_key(round % 2, &vector_key());
            let frame = sealer.seal(960, b"xabc").unwrap();
            assert!(seen.insert(frame[frame.len() - 14..frame.len() - 2].to_vec()));
        }
        assert_eq!(sealer.seal(0, b""), Ok(Vec::new()), "empty frames are untouched");
    }
}

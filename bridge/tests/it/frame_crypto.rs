//! Frame encryption under any input.

use bridge::livekit::frame_crypto::{FrameKey, FrameSealer, OVERHEAD, server_frame};
use bridge::livekit::hearing::{Declared, Hearing, Sender};
use bridge::livekit::{Encryption, FrameAudio, MediaKey, ParticipantIdentity, SfuStats};
use proptest::prelude::*;

const TRAILER: &[u8] = b"the server's own mark";

fn key(byte: u8) -> MediaKey {
    MediaKey::from_bytes(&[byte; 16]).unwrap()
}

proptest! {
    #[test]
    fn what_is_sealed_opens_again(frame in prop::collection::vec(any::<u8>(), 1..400), timestamp: u32, index: u8) {
        let mut sealer = FrameSealer::new([1; 4]);
        sealer.set_key(index, &key(5));
        let sealed = sealer.seal(timestamp, &frame).unwrap();
        prop_assert_eq!(sealed.len(), frame.len() + OVERHEAD);
        prop_assert_eq!(sealed[0], frame[0]);
        prop_assert_eq!(FrameKey::derive(&key(5)).open(&sealed), Some(frame));
        prop_assert_eq!(FrameKey::derive(&key(6)).open(&sealed), None);
    }

    #[test]
    fn a_flipped_bit_never_opens(frame in prop::collection::vec(any::<u8>(), 1..80), at: prop::sample::Index) {
        let mut sealer = FrameSealer::new([1; 4]);
        sealer.set_key(0, &key(5));
        let mut sealed = sealer.seal(960, &frame).unwrap();
        // The key's index alone is not under the tag: it names the key.
        let bit = at.index((sealed.len() - 1) * 8);
        sealed[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(FrameKey::derive(&key(5)).open(&sealed), None);
    }

    #[test]
    fn any_bytes_are_refused_and_never_passed_in_clear(
        frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..120), 1..40),
        declared in prop::sample::select(vec![Declared::Clear, Declared::Gcm, Declared::Other]),
    ) {
        let (mut hearing, mut stats) = (Hearing::new(Encryption::Required), SfuStats::default());
        let alice = ParticipantIdentity("alice".into());
        let sender = Sender { who: &alice, visit: 1, declared };
        for index in 0..=255 {
            hearing.set_key(alice.clone(), index, &key(index));
        }
        for frame in &frames {
            let _ = server_frame(frame, TRAILER);
            prop_assert_eq!(hearing.take(sender, TRAILER, frame, &mut stats).audio, None);
            let marked = [frame, TRAILER].concat();
            let heard = hearing.take(sender, TRAILER, &marked, &mut stats).audio;
            prop_assert!(!matches!(heard, Some(FrameAudio::Opus(_))));
        }
    }

    #[test]
    fn any_text_is_a_key_or_an_error(text in "\\PC{0,100}") {
        if let Ok(key) = MediaKey::from_base64(&text) {
            prop_assert_eq!(MediaKey::from_base64(&key.to_base64()).unwrap(), key);
        }
    }
}

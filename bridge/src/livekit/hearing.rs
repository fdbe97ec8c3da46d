//! What becomes of each frame that the SFU sends: a sans-IO decision, one frame at a time.
//!
//! In this order: is the sender admitted, is it the server's own silence, must it be encrypted and is it, does a key of
//! the sender open it. Whatever fails is dropped and counted; nothing undecrypted is ever passed on where encryption is
//! required.

use std::collections::HashMap;

use bytes::Bytes;

use super::frame_crypto::{ServerFrame, server_frame};
use super::keys::{FAILURE_TOLERANCE, KeyRing, MediaKey, Opened};
use super::types::{Admitted, Encryption, FrameAudio, ParticipantIdentity, SfuStats};

/// What the publisher declared about a track (`TrackInfo.encryption`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Declared {
    /// Frames are in clear.
    Clear,
    /// Frames are encrypted as in [`super::frame_crypto`].
    Gcm,
    /// Encrypted in a way that we do not know.
    Other,
}

/// A change in whether a participant's frames can be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyChange {
    /// Frames come that cannot be taken.
    Missing,
    /// They open now.
    Works,
}

/// The answer to one frame.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// The sound, if it may be passed on.
    pub audio: Option<FrameAudio>,
    /// A change to tell.
    pub key: Option<KeyChange>,
}

/// Whose frame it is.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// Who.
    pub who: &'a ParticipantIdentity,
    /// Counts how often they have come: who comes again is told about again.
    pub visit: u32,
    /// What they declared about the track.
    pub declared: Declared,
}

#[derive(Default)]
struct Health {
    visit: u32,
    refused_in_a_row: u32,
    told: Option<KeyChange>,
}

/// The keys and rules of one participant handle. See the module's text.
pub struct Hearing {
    encryption: Encryption,
    admitted: Admitted,
    rings: HashMap<ParticipantIdentity, KeyRing>,
    health: HashMap<ParticipantIdentity, Health>,
}

impl Hearing {
    /// Everyone is admitted, no key is known.
    #[must_use]
    pub fn new(encryption: Encryption) -> Self {
        Self { encryption, admitted: Admitted::All, rings: HashMap::new(), health: HashMap::new() }
    }

    /// From now on only these.
    pub fn admit(&mut self, admitted: Admitted) {
        self.admitted = admitted;
    }

    /// Puts a key of a sender at its index.
    pub fn set_key(&mut self, from: ParticipantIdentity, index: u8, key: &MediaKey) {
        self.rings.entry(from).or_default().set(index, key);
    }

    /// Drops all keys of a sender.
    pub fn forget(&mut self, from: &ParticipantIdentity) {
        self.rings.remove(from);
        self.health.remove(from);
    }

    /// Takes one frame as it came. `trailer`: the mark of the server's own frames. Counts into `stats`.
    pub fn take(&mut self, sender: Sender<'_>, trailer: &[u8], data: &[u8], stats: &mut SfuStats) -> Heard {
        if data.is_empty() {
            return Heard::default();
        }
        if !self.admitted.admits(sender.who) {
            stats.dropped_not_admitted += 1;
            return Heard::default();
        }
        match server_frame(data, trailer) {
            Some(ServerFrame::Silence) => {
                stats.frames_received += 1;
                return Heard { audio: Some(FrameAudio::Silence), key: None };
            }
            Some(ServerFrame::Unknown) => {
                stats.dropped_unknown += 1;
                return Heard::default();
            }
            None => {}
        }
        match (sender.declared, self.encryption) {
            (Declared::Clear, Encryption::Off) => {
                stats.frames_received += 1;
                Heard { audio: Some(FrameAudio::Opus(Bytes::copy_from_slice(data))), key: None }
            }
            (Declared::Clear, Encryption::Required) => {
                stats.dropped_clear += 1;
                self.refused(sender)
            }
            (Declared::Other, _) => {
                stats.dropped_undecrypted += 1;
                self.refused(sender)
            }
            (Declared::Gcm, _) => match self.rings.get_mut(sender.who).map_or(Opened::NoKey, |ring| ring.open(data)) {
                Opened::Clear(clear) => {
                    stats.frames_received += 1;
                    let health = self.health(sender);
                    health.refused_in_a_row = 0;
                    let key = (health.told != Some(KeyChange::Works)).then_some(KeyChange::Works);
                    health.told = Some(KeyChange::Works);
                    Heard { audio: Some(FrameAudio::Opus(clear.into())), key }
                }
                Opened::NoKey | Opened::Failed => {
                    stats.dropped_undecrypted += 1;
                    self.refused(sender)
                }
            },
        }
    }

    fn health(&mut self, sender: Sender<'_>) -> &mut Health {
        let health = self.health.entry(sender.who.clone()).or_default();
        if health.visit != sender.visit {
            *health = Health { visit: sender.visit, ..Health::default() };
        }
        health
    }

    fn refused(&mut self, sender: Sender<'_>) -> Heard {
        let health = self.health(sender);
        health.refused_in_a_row = health.refused_in_a_row.saturating_add(1);
        let tell = health.refused_in_a_row > FAILURE_TOLERANCE && health.told != Some(KeyChange::Missing);
        if tell {
            health.told = Some(KeyChange::Missing);
        }
        Heard { audio: None, key: tell.then_some(KeyChange::Missing) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::livekit::frame_crypto::FrameSealer;

    const TRAILER: &[u8] = b"trailer";

    fn alice() -> ParticipantIdentity {
        ParticipantIdentity("@alice:example.org:PHONE".into())
    }

    fn key(byte: u8) -> MediaKey {
        MediaKey::from_bytes(&[byte; 16]).unwrap()
    }

    struct Case {
        hearing: Hearing,
        sealer: FrameSealer,
        stats: SfuStats,
        visit: u32,
    }

    impl Case {
        fn new(encryption: Encryption) -> Self {
            let mut sealer = FrameSealer::new([7; 4]);
            sealer.set_key(0, &key(1));
            Self { hearing: Hearing::new(encryption), sealer, stats: SfuStats::default(), visit: 1 }
        }

        fn take(&mut self, declared: Declared, data: &[u8]) -> Heard {
            let sender = Sender { who: &alice(), visit: self.visit, declared };
            self.hearing.take(sender, TRAILER, data, &mut self.stats)
        }

        fn say(&mut self) -> Heard {
            let frame = self.sealer.seal(0, b"xhello").unwrap();
            self.take(Declared::Gcm, &frame)
        }
    }

    fn opus(data: &'static [u8]) -> Option<FrameAudio> {
        Some(FrameAudio::Opus(Bytes::from_static(data)))
    }

    #[test]
    fn a_missing_key_is_told_once_and_so_is_its_coming() {
        let mut case = Case::new(Encryption::Required);
        let told: Vec<_> = (0..40).filter_map(|_| case.say().key).collect();
        assert_eq!(told, [KeyChange::Missing]);
        case.hearing.set_key(alice(), 0, &key(1));
        assert_eq!(case.say(), Heard { audio: opus(b"xhello"), key: Some(KeyChange::Works) });
        assert_eq!(case.say(), Heard { audio: opus(b"xhello"), key: None });
        case.sealer.set_key(1, &key(2));
        let told: Vec<_> = (0..40).filter_map(|_| case.say().key).collect();
        assert_eq!(told, [KeyChange::Missing], "a rotation that we were not told of");
        case.visit = 2;
        let told: Vec<_> = (0..40).filter_map(|_| case.say().key).collect();
        assert_eq!(told, [KeyChange::Missing], "who comes again without a key is told again");
        assert_eq!(case.stats.dropped_undecrypted, 120);
    }

    #[test]
    fn a_wrong_key_gives_silence_and_not_noise() {
        let mut case = Case::new(Encryption::Required);
        case.hearing.set_key(alice(), 0, &key(9));
        let heard: Vec<_> = (0..30).map(|_| case.say()).collect();
        assert!(heard.iter().all(|heard| heard.audio.is_none()));
        assert_eq!(heard.iter().filter_map(|heard| heard.key).collect::<Vec<_>>(), [KeyChange::Missing]);
    }

    #[test]
    fn clear_frames_pass_only_where_the_room_is_not_encrypted() {
        let mut required = Case::new(Encryption::Required);
        assert_eq!(required.take(Declared::Clear, b"xhello").audio, None);
        assert_eq!(required.take(Declared::Gcm, b"xhello").audio, None, "declared encrypted, but is not");
        assert_eq!((required.stats.dropped_clear, required.stats.dropped_undecrypted), (1, 1));
        assert_eq!(Case::new(Encryption::Off).take(Declared::Clear, b"xhello").audio, opus(b"xhello"));
    }

    #[test]
    fn who_is_not_admitted_is_not_even_decrypted() {
        let mut case = Case::new(Encryption::Required);
        case.hearing.set_key(alice(), 0, &key(1));
        case.hearing.admit(Admitted::Only([ParticipantIdentity("@bob:example.org:X".into())].into()));
        assert_eq!(case.say(), Heard::default());
        assert_eq!(case.stats.dropped_not_admitted, 1);
        case.hearing.admit(Admitted::Only([alice()].into()));
        assert_eq!(case.say().audio, opus(b"xhello"));
    }

    #[test]
    fn the_servers_silence_is_silence_and_no_failure() {
        let mut case = Case::new(Encryption::Required);
        let mut silence = vec![0xf8, 0xff, 0xfe];
        silence.resize(80, 0);
        silence.extend_from_slice(TRAILER);
        for _ in 0..20 {
            assert_eq!(case.take(Declared::Gcm, &silence), Heard { audio: Some(FrameAudio::Silence), key: None });
        }
        silence[5] = 1;
        assert_eq!(case.take(Declared::Gcm, &silence), Heard::default());
        assert_eq!((case.stats.dropped_unknown, case.stats.dropped_undecrypted), (1, 0));
    }

    #[test]
    fn a_forgotten_participant_is_not_heard() {
        let mut case = Case::new(Encryption::Required);
        case.hearing.set_key(alice(), 0, &key(1));
        assert!(case.say().audio.is_some());
        case.hearing.forget(&alice());
        assert_eq!(case.say().audio, None);
    }
}

//! Who is in the SFU room and whose each track is: a sans-IO view of the server's participant updates.

use std::collections::{BTreeMap, HashMap};

use livekit_protocol::{ParticipantInfo, SpeakerInfo, TrackInfo, TrackSource, TrackType, encryption, participant_info};

use super::hearing::Declared;
use super::types::{ParticipantIdentity, SfuEvent};

/// An audio track of another participant.
#[derive(Debug, Clone)]
pub(super) struct Track {
    pub(super) owner: ParticipantIdentity,
    pub(super) declared: Declared,
    pub(super) stream: u32,
    /// See [`super::hearing::Sender::visit`].
    pub(super) visit: u32,
    owner_sid: String,
}

#[derive(Debug, Default)]
struct Present {
    sid: String,
    muted: bool,
    visit: u32,
}

/// See the module's text. Lives over reconnections, so that people who stayed are not told to have left and come.
#[derive(Debug, Default)]
pub(super) struct Roster {
    me: String,
    present: BTreeMap<ParticipantIdentity, Present>,
    tracks: HashMap<String, Track>,
    last_stream: u32,
    last_visit: u32,
}

/// What an update means to us.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) events: Vec<SfuEvent>,
    /// Audio tracks that were not there before: to be subscribed to. Participant's and track's sid.
    pub(super) new_tracks: Vec<(String, String)>,
}

impl Roster {
    /// The state at (re)joining: whoever is not in it has left. Tracks are all new.
    pub(super) fn joined(&mut self, me: &str, others: &[ParticipantInfo]) -> Changes {
        me.clone_into(&mut self.me);
        self.tracks.clear();
        let mut changes = Changes::default();
        let here = |who: &ParticipantIdentity| others.iter().any(|info| info.identity == who.0 && !gone(info));
        let left: Vec<_> = self.present.keys().filter(|who| !here(who)).cloned().collect();
        for who in left {
            self.present.remove(&who);
            changes.events.push(SfuEvent::ParticipantLeft(who));
        }
        self.apply(others, &mut changes);
        changes
    }

    /// One update from the server.
    pub(super) fn updated(&mut self, infos: &[ParticipantInfo]) -> Changes {
        let mut changes = Changes::default();
        self.apply(infos, &mut changes);
        changes
    }

    /// Who has begun to speak, by the server's word (it reads the level beside each packet, never the sound).
    pub(super) fn speaking(&self, speakers: &[SpeakerInfo]) -> Vec<SfuEvent> {
        let active = speakers.iter().filter(|speaker| speaker.active);
        active
            .filter_map(|s| self.present.iter().find(|(_, p)| p.sid == s.sid))
            .map(|(who, _)| SfuEvent::Speaks(who.clone()))
            .collect()
    }

    /// The track with this sid, if it is another's audio.
    pub(super) fn track(&self, sid: &str) -> Option<&Track> {
        self.tracks.get(sid)
    }

    fn apply(&mut self, infos: &[ParticipantInfo], changes: &mut Changes) {
        for info in infos.iter().filter(|info| !info.identity.is_empty() && info.identity != self.me) {
            let who = ParticipantIdentity(info.identity.clone());
            if gone(info) {
                self.tracks.retain(|_, track| track.owner_sid != info.sid);
                // The end of an earlier session of somebody who has come again is not their end.
                if self.present.get(&who).is_some_and(|present| present.sid == info.sid) {
                    self.present.remove(&who);
                    changes.events.push(SfuEvent::ParticipantLeft(who));
                }
                continue;
            }
            let audio: Vec<&TrackInfo> =
                info.tracks.iter().filter(|track| track.r#type() == TrackType::Audio).collect();
            if !self.present.contains_key(&who) {
                changes.events.push(SfuEvent::ParticipantJoined(who.clone()));
            }
            let next_visit = &mut self.last_visit;
            let present = self.present.entry(who.clone()).or_insert_with(|| {
                *next_visit += 1;
                Present { visit: *next_visit, ..Present::default() }
            });
            let visit = present.visit;
            present.sid.clone_from(&info.sid);
            let mut microphones = audio.iter().filter(|t| t.source() != TrackSource::ScreenShareAudio).peekable();
            if microphones.peek().is_some() {
                let muted = microphones.all(|track| track.muted);
                if muted != present.muted {
                    present.muted = muted;
                    changes.events.push(SfuEvent::Muted { who: who.clone(), muted });
                }
            }
            self.tracks.retain(|sid, track| track.owner_sid != info.sid || audio.iter().any(|track| track.sid == *sid));
            for track in audio {
                if let Some(known) = self.tracks.get_mut(&track.sid) {
                    known.declared = declared(track);
                    continue;
                }
                self.last_stream += 1;
                let stream = self.last_stream;
                let (owner, owner_sid) = (who.clone(), info.sid.clone());
                self.tracks
                    .insert(track.sid.clone(), Track { owner, declared: declared(track), stream, visit, owner_sid });
                changes.new_tracks.push((info.sid.clone(), track.sid.clone()));
            }
        }
    }
}

fn gone(info: &ParticipantInfo) -> bool {
    info.state() == participant_info::State::Disconnected
}

fn declared(track: &TrackInfo) -> Declared {
    match encryption::Type::try_from(track.encryption) {
        Ok(encryption::Type::None) => Declared::Clear,
        Ok(encryption::Type::Gcm) => Declared::Gcm,
        Ok(encryption::Type::Custom) | Err(_) => Declared::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(identity: &str, sid: &str, state: participant_info::State, muted: Option<bool>) -> ParticipantInfo {
        let tracks = muted.map(|muted| TrackInfo {
            sid: format!("TR_{sid}"),
            source: TrackSource::Microphone.into(),
            encryption: encryption::Type::Gcm.into(),
            muted,
            ..Default::default()
        });
        ParticipantInfo {
            identity: identity.into(),
            sid: sid.into(),
            state: state.into(),
            tracks: tracks.into_iter().collect(),
            ..Default::default()
        }
    }

    fn who(name: &str) -> ParticipantIdentity {
        ParticipantIdentity(name.into())
    }

    #[test]
    fn people_come_mute_and_leave_once_each() {
        use participant_info::State::{Active, Disconnected, Joined};
        let mut roster = Roster::default();
        let first = roster.joined("me", &[person("a", "PA_1", Active, Some(false))]);
        assert_eq!(first.events, [SfuEvent::ParticipantJoined(who("a"))]);
        assert_eq!(first.new_tracks, [("PA_1".to_owned(), "TR_PA_1".to_owned())]);
        let next = roster.updated(&[
            person("me", "PA_0", Active, Some(false)),
            person("a", "PA_1", Active, Some(true)),
            person("b", "PA_2", Joined, None),
            person("b", "PA_2", Active, Some(false)),
        ]);
        let muted = SfuEvent::Muted { who: who("a"), muted: true };
        assert_eq!(next.events, [muted, SfuEvent::ParticipantJoined(who("b"))]);
        assert_eq!(roster.track("TR_PA_2").map(|t| (t.owner.clone(), t.declared)), Some((who("b"), Declared::Gcm)));
        let gone = roster.updated(&[person("a", "PA_1", Disconnected, None), person("a", "PA_1", Disconnected, None)]);
        assert_eq!(gone.events, [SfuEvent::ParticipantLeft(who("a"))]);
        assert!(roster.track("TR_PA_1").is_none());
    }

    #[test]
    fn who_speaks_is_told_by_name_and_strangers_are_not() {
        use participant_info::State::Active;
        let mut roster = Roster::default();
        roster.joined("me", &[person("a", "PA_1", Active, Some(false)), person("b", "PA_2", Active, Some(false))]);
        let speaker = |sid: &str, active| SpeakerInfo { sid: sid.into(), level: 0.5, active };
        let told = roster.speaking(&[speaker("PA_1", true), speaker("PA_2", false), speaker("PA_0", true)]);
        assert_eq!(told, [SfuEvent::Speaks(who("a"))]);
    }

    #[test]
    fn who_comes_again_before_their_old_session_ends_stays() {
        use participant_info::State::{Active, Disconnected};
        let mut roster = Roster::default();
        roster.joined("me", &[person("a", "PA_1", Active, Some(false))]);
        let again =
            roster.updated(&[person("a", "PA_9", Active, Some(false)), person("a", "PA_1", Disconnected, None)]);
        assert_eq!(again.events, []);
        assert!(roster.track("TR_PA_1").is_none() && roster.track("TR_PA_9").is_some());
    }

    #[test]
    fn after_a_reconnection_only_differences_are_told() {
        use participant_info::State::Active;
        let mut roster = Roster::default();
        roster.joined("me", &[person("a", "PA_1", Active, Some(false)), person("b", "PA_2", Active, None)]);
        let stream = roster.track("TR_PA_1").map(|t| t.stream);
        let again = roster.joined("me", &[person("a", "PA_1", Active, Some(false)), person("c", "PA_3", Active, None)]);
        assert_eq!(again.events, [SfuEvent::ParticipantLeft(who("b")), SfuEvent::ParticipantJoined(who("c"))]);
        assert_ne!(roster.track("TR_PA_1").map(|t| t.stream), stream, "a new stream of RTP");
    }
}

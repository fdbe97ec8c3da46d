//! What a participant takes and tells.

use std::collections::HashSet;
use std::fmt;
use std::time::{Duration, Instant};

use bytes::Bytes;
use secrecy::SecretString;
use thiserror::Error;

/// A participant's identity at the SFU: `@user:server:DEVICE` in Matrix calls.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParticipantIdentity(pub String);

impl fmt::Display for ParticipantIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether frames are encrypted end to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// The room is encrypted: nothing is sent before a key is set, and nothing that came in clear is passed on. The
    /// SFU's own silence is the only exception, and it carries no sound.
    Required,
    /// The room is not encrypted. Frames of senders who encrypt all the same are opened if their key is known.
    Off,
}

/// How to join.
#[derive(Debug, Clone)]
pub struct JoinOptions {
    /// The SFU's address as the authorisation service gave it: `wss://…` (or ws, https, http).
    pub url: String,
    /// The token from the same service; it holds the identity and the room.
    pub token: SecretString,
    /// Follows the room: encrypted or not.
    pub encryption: Encryption,
    /// Whether to publish a microphone track.
    pub publish: bool,
    /// How long to try to get back after the connection was lost, before [`SfuEvent::Closed`]. 30 s is a good value:
    /// people wait about so long. The first join is tried once, whatever stands here.
    pub patience: Duration,
}

impl JoinOptions {
    /// Options for an encrypted room with a microphone and 30 s of patience.
    #[must_use]
    pub fn new(url: impl Into<String>, token: SecretString) -> Self {
        Self {
            url: url.into(),
            token,
            encryption: Encryption::Required,
            publish: true,
            patience: Duration::from_secs(30),
        }
    }
}

/// Whose frames are taken at all. Others' are dropped before they are decrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admitted {
    /// Everyone's.
    All,
    /// These participants' only (the scribe: those who have granted).
    Only(HashSet<ParticipantIdentity>),
}

impl Admitted {
    /// Whether this participant is heard.
    #[must_use]
    pub fn admits(&self, who: &ParticipantIdentity) -> bool {
        match self {
            Self::All => true,
            Self::Only(who_granted) => who_granted.contains(who),
        }
    }
}

/// The sound of one frame.
#[derive(Clone, PartialEq, Eq)]
pub enum FrameAudio {
    /// One Opus packet, decrypted.
    Opus(Bytes),
    /// The SFU says that there is silence (the track was muted or has ended).
    Silence,
}

impl fmt::Debug for FrameAudio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opus(packet) => write!(f, "Opus({} bytes)", packet.len()),
            Self::Silence => f.write_str("Silence"),
        }
    }
}

/// One frame of another participant. Frames come in the order of arrival: late and lost ones are for the receiver's
/// jitter buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFrame {
    /// Who sent it. In an encrypted room the key that opened it proves it.
    pub from: ParticipantIdentity,
    /// Which of the sender's tracks, unique within this participant handle. `sequence` and `timestamp` of two streams
    /// have nothing to do with one another; after a reconnection the streams are new.
    pub stream: u32,
    /// RTP sequence number, widened.
    pub sequence: u64,
    /// RTP time in samples of 48 kHz, widened.
    pub timestamp: u64,
    /// When the socket gave it.
    pub arrived: Instant,
    /// The sound.
    pub audio: FrameAudio,
}

/// What happens in the SFU room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SfuEvent {
    /// Media flows: connected, and our track (if any) is published. Again after each [`SfuEvent::Interrupted`].
    Up,
    /// The connection was lost and is being made again. Frames do not flow.
    Interrupted,
    /// Somebody is there. Those who were there before us are told too. Told once until they leave.
    ParticipantJoined(ParticipantIdentity),
    /// Somebody has left. Their keys are kept until [`super::Participant::forget`].
    ParticipantLeft(ParticipantIdentity),
    /// Somebody has muted or unmuted their microphone.
    Muted {
        /// Who.
        who: ParticipantIdentity,
        /// Now muted?
        muted: bool,
    },
    /// Somebody speaks, says the server. Told now and then while they do, also of those who are not admitted: no sound is
    /// needed for it.
    Speaks(ParticipantIdentity),
    /// Sound.
    Frame(RemoteFrame),
    /// Frames come from this participant that no key of theirs opens, or that are not encrypted where they must be:
    /// told with the 11th such frame in a row (220 ms), once until [`SfuEvent::KeyWorks`].
    KeyMissing(ParticipantIdentity),
    /// The participant's frames open: told with the first one, and with the first one after
    /// [`SfuEvent::KeyMissing`].
    KeyWorks(ParticipantIdentity),
    /// Over. The last event.
    Closed {
        /// Why.
        reason: CloseReason,
    },
}

/// Why a participant is no longer in the room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloseReason {
    /// We left.
    Left,
    /// Somebody joined with our identity (another process of ours, mostly).
    DuplicateIdentity,
    /// We were put out by the server's operator.
    Removed,
    /// The room is gone.
    RoomClosed,
    /// The server told us to go, for this reason (LiveKit's `DisconnectReason`).
    ServerSaid(String),
    /// While coming back: the server does not take the token any more, or the room is gone. A new token is needed.
    Refused {
        /// The HTTP status.
        status: u16,
    },
    /// The connection was lost and did not come back in time.
    GaveUp {
        /// Attempts made.
        attempts: u32,
        /// How the last one failed.
        last: String,
    },
}

/// Why joining failed.
#[derive(Debug, Error)]
pub enum SfuError {
    /// The address is no SFU address.
    #[error("{url:?} is no address of an SFU: {why}")]
    Address {
        /// As given.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// No way there, no answer, or an answer that makes no sense.
    #[error("the SFU cannot be reached: {0}")]
    Unreachable(String),
    /// The SFU said no: 401 is a bad token, 404 no such room.
    #[error("the SFU refused to let us in (HTTP {status}): {why}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What the server wrote.
        why: String,
    },
    /// The SFU asked us to leave while we joined.
    #[error("the SFU ended the session: {}", reason.as_deref().unwrap_or("connection closed"))]
    Ended {
        /// LiveKit's reason, if it gave one.
        reason: Option<String>,
    },
    /// No UDP socket could be had.
    #[error("no UDP socket for media: {0}")]
    Socket(#[from] std::io::Error),
    /// The media connection could not be set up.
    #[error("the media connection failed: {0}")]
    Media(String),
}

impl SfuError {
    /// Whether trying again with the same token can help.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        !matches!(self, Self::Address { .. } | Self::Refused { .. })
    }
}

/// Counts since joining, over all reconnections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SfuStats {
    /// Frames of ours sent.
    pub frames_sent: u64,
    /// Frames of ours dropped because the queue was full or there was no connection.
    pub dropped_not_sent: u64,
    /// Frames of ours dropped because no key was set in an encrypted room.
    pub dropped_without_key: u64,
    /// Frames of others passed on.
    pub frames_received: u64,
    /// Frames of others dropped because they are not admitted.
    pub dropped_not_admitted: u64,
    /// Frames of others that no key opened.
    pub dropped_undecrypted: u64,
    /// Frames of others that came in clear though encryption is required.
    pub dropped_clear: u64,
    /// Frames with no owner, or marked as the server's but unknown.
    pub dropped_unknown: u64,
    /// Frames of others dropped because the events were not taken in time.
    pub dropped_events_full: u64,
    /// Times the connection was lost and had to be made again.
    pub interruptions: u32,
    /// Whether this is a single peer connection (`/rtc/v1`) or the older pair.
    pub single_peer_connection: bool,
}

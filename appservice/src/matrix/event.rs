//! What comes from Matrix, in the form in which the desk takes it.
use matrix_sdk::ruma::{OwnedDeviceId, OwnedEventId, OwnedRoomId, OwnedUserId};
use serde_json::Value;

/// The type of a MatrixRTC membership state event (reference/matrix.md 3.2).
pub const CALL_MEMBER: &str = "org.matrix.msc3401.call.member";
/// The type of a media key's to-device event (3.7).
pub const MEDIA_KEY: &str = "io.element.call.encryption_keys";
/// The type of a ring (3.8).
pub const RTC_NOTIFICATION: &str = "org.matrix.msc4075.rtc.notification";
/// The type of a declined ring (3.8).
pub const RTC_DECLINE: &str = "org.matrix.msc4310.rtc.decline";
/// The room's policy: a state event of ours with an empty state key.
pub const POLICY: &str = "io.roomtone.policy";
/// A number that is linked to the room: a state event of ours whose state key is the number.
pub const LINK: &str = "io.roomtone.link";

/// Something happened in Matrix. Events of a room come in its order. None is lost by a crash, but the same one can come
/// twice after it, so that who acts on one asks by its event id whether it was done.
#[derive(Debug, Clone)]
pub enum MatrixEvent {
    /// The bot is in this room and knows its state: told for each joined room at the start, then for each new one.
    RoomReady {
        /// The room.
        room: OwnedRoomId,
    },
    /// The bot is no longer in this room.
    RoomGone {
        /// The room.
        room: OwnedRoomId,
    },
    /// A message of somebody else.
    Message(Message),
    /// A reaction of somebody else. Never encrypted by clients.
    Reaction {
        /// The room.
        room: OwnedRoomId,
        /// Who.
        sender: OwnedUserId,
        /// The reaction's own id: what a redaction takes back.
        event_id: OwnedEventId,
        /// What was reacted to.
        target: OwnedEventId,
        /// The emoji.
        key: String,
    },
    /// Something was redacted.
    Redaction {
        /// The room.
        room: OwnedRoomId,
        /// Who did it.
        sender: OwnedUserId,
        /// What is gone.
        redacts: OwnedEventId,
    },
    /// A MatrixRTC membership was written, by anyone, also by ourselves.
    CallMember(RawStateEvent),
    /// Somebody's membership in a room changed. `membership` is `join`, `leave`, `invite`, `ban` or `knock`.
    Member {
        /// The room.
        room: OwnedRoomId,
        /// Whose.
        user: OwnedUserId,
        /// What it is now.
        membership: String,
        /// Their display name.
        display_name: Option<String>,
    },
    /// The room's policy was written ([`POLICY`]).
    Policy(RawStateEvent),
    /// A number's link was written ([`LINK`]).
    Link(RawStateEvent),
    /// A ring or the declining of one ([`RTC_NOTIFICATION`], [`RTC_DECLINE`]) by somebody else.
    RtcSignal {
        /// The room.
        room: OwnedRoomId,
        /// Who.
        sender: OwnedUserId,
        /// Its id.
        event_id: OwnedEventId,
        /// Its type.
        event_type: String,
        /// Its content.
        content: Value,
    },
    /// Somebody invited the bot. Taken (then [`MatrixEvent::RoomReady`] follows) where the permissions allow it,
    /// else refused with a reason.
    Invite {
        /// The room.
        room: OwnedRoomId,
        /// Who.
        inviter: OwnedUserId,
        /// Whether it was taken.
        accepted: bool,
    },
    /// A media key came for one of our users. Only Olm-encrypted ones are passed on.
    MediaKey(MediaKeyEvent),
}

/// A message of somebody else.
#[derive(Clone)]
pub struct Message {
    /// The room.
    pub room: OwnedRoomId,
    /// Who.
    pub sender: OwnedUserId,
    /// Its id.
    pub event_id: OwnedEventId,
    /// `m.text`, `m.notice`, `m.emote`, …
    pub msgtype: String,
    /// The plain body.
    pub body: String,
    /// The HTML body, unsafe as it came.
    pub formatted: Option<String>,
    /// The root of the thread it stands in.
    pub thread: Option<OwnedEventId>,
    /// The message that this one answers; not what stands there for clients that know no threads.
    pub answers: Option<OwnedEventId>,
    /// The message that this one replaces, for edits.
    pub edits: Option<OwnedEventId>,
    /// Whether `m.mentions` or the body name the bot.
    pub mentions_bot: bool,
    /// Whether the room is a direct one between the sender and the bot.
    pub direct: bool,
    /// Whether it came encrypted. In an encrypted room a clear one is no proof of who said it.
    pub encrypted: bool,
    /// When the sender's homeserver took it, ms since 1970.
    pub ts: u64,
}

impl std::fmt::Debug for Message {
    /// Without the words.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message")
            .field("room", &self.room)
            .field("sender", &self.sender)
            .field("event_id", &self.event_id)
            .field("encrypted", &self.encrypted)
            .finish_non_exhaustive()
    }
}

/// A state event as it stands in a room.
#[derive(Debug, Clone)]
pub struct RawStateEvent {
    /// The room.
    pub room: OwnedRoomId,
    /// Its type.
    pub event_type: String,
    /// Its state key.
    pub state_key: String,
    /// Who wrote it.
    pub sender: OwnedUserId,
    /// Its id.
    pub event_id: OwnedEventId,
    /// When the sender's homeserver took it, ms since 1970.
    pub ts: u64,
    /// Its content.
    pub content: Value,
}

/// A media key, decrypted by the device that it was for.
#[derive(Clone)]
pub struct MediaKeyEvent {
    /// Which of our users it was sent to.
    pub to: OwnedUserId,
    /// Who sent it, as Olm proves.
    pub sender: OwnedUserId,
    /// Which device sent it, as Olm proves. The content's `claimed_device_id` must be compared with it.
    pub sender_device: OwnedDeviceId,
    /// Whether the device is signed by its owner.
    pub device_signed: bool,
    /// The decrypted content (3.7). Holds the key: never to be logged.
    pub content: Value,
}

impl std::fmt::Debug for MediaKeyEvent {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MediaKeyEvent")
            .field("to", &self.to)
            .field("sender", &self.sender)
            .field("sender_device", &self.sender_device)
            .field("device_signed", &self.device_signed)
            .finish_non_exhaustive()
    }
}

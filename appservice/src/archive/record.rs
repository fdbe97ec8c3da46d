//! What goes into the archive and comes out of it.

use std::fmt;

use bridge::ids::E164;
use bridge::time::UnixMillis;
use matrix_sdk::ruma::{OwnedEventId, OwnedRoomId, OwnedUserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{CallId, EffectId, UtteranceId};

/// A call that begins.
#[derive(Clone)]
pub struct NewCall {
    /// Its id, made by the desk.
    pub id: CallId,
    /// The room it is in.
    pub room: OwnedRoomId,
    /// When its first party arrived.
    pub started: UnixMillis,
    /// The effect that posts its card: the event's id is filled in when that is done.
    pub card: Option<EffectId>,
    /// What the desk must know again after a crash (trunk, ghost, memberships…). Sealed.
    pub facts: Value,
}

/// Where a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallState {
    /// Going on; after a start of the program: was cut off by a crash.
    Open,
    /// Ended, and all that follows from it is recorded.
    Ended,
    /// Ended by a crash or a restart of ours.
    Interrupted,
}

/// A call as stored.
#[derive(Clone)]
pub struct CallRecord {
    /// Its id.
    pub id: CallId,
    /// The room it is or was in.
    pub room: OwnedRoomId,
    /// When its first party arrived.
    pub started: UnixMillis,
    /// When it ended; `None` while open.
    pub ended: Option<UnixMillis>,
    /// Where it stands.
    pub state: CallState,
    /// The card in the timeline, the root of the call's thread; `None` until it is sent.
    pub card: Option<OwnedEventId>,
    /// The notes in the thread.
    pub notes: Option<OwnedEventId>,
    /// What the desk stored ([`NewCall::facts`]).
    pub facts: Value,
}

/// What kind of line a party is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartyKind {
    /// A Matrix user with a device in the call.
    Matrix,
    /// A phone line.
    Phone,
}

/// One party of a call. All but the times is sealed.
#[derive(Clone, PartialEq, Eq)]
pub struct PartyRecord {
    /// What tells it from the others of the call: the Matrix user id (for a phone: the ghost's).
    pub user: String,
    /// On what kind of line.
    pub kind: PartyKind,
    /// As people read it.
    pub name: String,
    /// The phone's number, where shown to us.
    pub number: Option<E164>,
    /// When it came.
    pub joined: UnixMillis,
    /// When it left.
    pub left: Option<UnixMillis>,
}

/// By what a party agreed or took it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// A reaction on the card.
    Reaction,
    /// `!notes agree`, `!notes stop`.
    Command,
    /// A key on the phone.
    Digit,
    /// A new policy that takes more, or the end of the party's presence.
    Policy,
}

impl How {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Reaction => "reaction",
            Self::Command => "command",
            Self::Digit => "digit",
            Self::Policy => "policy",
        }
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        [Self::Reaction, Self::Command, Self::Digit, Self::Policy].into_iter().find(|how| how.as_str() == text)
    }
}

/// What a party last said about being written down.
#[derive(Clone, PartialEq, Eq)]
pub struct GrantRecord {
    /// Who: [`PartyRecord::user`].
    pub party: String,
    /// Whether it is granted now.
    pub granted: bool,
    /// Since when.
    pub at: UnixMillis,
    /// By what.
    pub how: How,
}

/// What is known of an utterance beside its words. Sealed like them.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaidDetails {
    /// Which of several people on one line, from 0; its name, if people gave it one, is the call's
    /// ([`Archive::voices`](super::Archive::voices)).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voice: Option<u8>,
    /// Two-letter code of its language, where the recogniser told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Who saw the words, such as `whisper base.en`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recogniser: Option<String>,
    /// When each word was said; empty where the recogniser did not tell, and after a correction.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<WordTime>,
    /// Somebody corrected the words.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub corrected: bool,
}

/// One word of an utterance and when it was said.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WordTime {
    /// As written.
    pub text: String,
    /// Start, in ms since the utterance began.
    pub from_ms: u32,
    /// End, in ms since the utterance began.
    pub to_ms: u32,
    /// How sure the recogniser was, in percent.
    pub percent: u8,
}

/// What people call one of several voices on a line, in one call.
#[derive(Clone, PartialEq, Eq)]
pub struct VoiceName {
    /// The line: [`PartyRecord::user`].
    pub party: String,
    /// Which voice, from 0.
    pub voice: u8,
    /// Its name.
    pub name: String,
}

/// An utterance to store.
#[derive(Clone, PartialEq, Eq)]
pub struct NewUtterance {
    /// Who spoke: [`PartyRecord::user`] of a party of the call.
    pub party: String,
    /// When it began.
    pub start: UnixMillis,
    /// When it ended.
    pub end: UnixMillis,
    /// What was said.
    pub text: String,
    /// What is known of it beside.
    pub details: SaidDetails,
}

/// An utterance as stored.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredUtterance {
    /// Its number.
    pub id: UtteranceId,
    /// Who spoke: [`PartyRecord::user`].
    pub party: String,
    /// When it began.
    pub start: UnixMillis,
    /// When it ended.
    pub end: UnixMillis,
    /// What was said.
    pub text: String,
    /// What is known of it beside.
    pub details: SaidDetails,
    /// The effect that sends the turn it is shown in.
    pub caption: Option<EffectId>,
    /// The message it is shown in; `None` until that is sent.
    pub caption_event: Option<OwnedEventId>,
}

/// Notes to store.
#[derive(Clone, PartialEq)]
pub struct NotesRecord {
    /// The notes, `models::notes::Notes` as JSON.
    pub body: Value,
    /// All their words, for the search: title, summary, decisions….
    pub text: String,
    /// The writer that made them, such as `extractive`.
    pub writer: String,
    /// When they were written.
    pub written: UnixMillis,
    /// The effect that posts them.
    pub effect: Option<EffectId>,
}

/// Notes as stored.
#[derive(Clone, PartialEq)]
pub struct StoredNotes {
    /// The notes.
    pub body: Value,
    /// All their words.
    pub text: String,
    /// Who made them.
    pub writer: String,
    /// When.
    pub written: UnixMillis,
    /// The effect that posts them.
    pub effect: Option<EffectId>,
    /// The message they stand in.
    pub event: Option<OwnedEventId>,
}

/// What withdrawing a party's words took away, and what is left to mend outside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Withdrawn {
    /// How many utterances are gone.
    pub utterances: usize,
    /// Their numbers.
    pub ids: Vec<UtteranceId>,
    /// Messages that still show some of them: to be edited or redacted.
    pub captions: Vec<OwnedEventId>,
    /// Caption effects under way whose outcome is not known yet: to be mended when they are done.
    pub under_way: Vec<EffectId>,
    /// Whether the notes rested on some of them or were there at all: to be made again.
    pub notes: bool,
}

/// A number that rings a room.
#[derive(Clone, PartialEq, Eq)]
pub struct NumberLink {
    /// The number.
    pub number: E164,
    /// The room.
    pub room: OwnedRoomId,
    /// Who linked it.
    pub by: Option<OwnedUserId>,
    /// When.
    pub at: UnixMillis,
}

macro_rules! prints_its_name_only {
    ($($name:ident),*) => { $(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )* };
}

prints_its_name_only!(
    NewCall,
    CallRecord,
    PartyRecord,
    GrantRecord,
    SaidDetails,
    WordTime,
    VoiceName,
    NewUtterance,
    StoredUtterance,
    NotesRecord,
    StoredNotes,
    NumberLink
);

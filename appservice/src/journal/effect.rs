//! What can be recorded to happen outside, and how parts of it name events that do not exist yet.

use matrix_sdk::ruma::{OwnedEventId, OwnedRoomId, OwnedUserId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::archive::{CallId, EffectId};

/// An event, or the event that an effect of the journal has made or will make.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventRef {
    /// An event that exists.
    Event(OwnedEventId),
    /// Whatever event this effect becomes. Whoever refers to it waits until it is sent.
    Effect(EffectId),
}

impl EventRef {
    /// What stands for the event's id inside texts of a recorded content (a link, say) until it is sent.
    ///
    /// [`crate::text`] takes the two marks out of everything that people say or are called, so no one can forge one.
    #[must_use]
    pub fn placeholder(&self) -> String {
        match self {
            Self::Event(id) => id.to_string(),
            Self::Effect(id) => format!("{}{id}{}", crate::text::MARK_OPEN, crate::text::MARK_CLOSE),
        }
    }
}

/// How a sent event hangs on another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rel", rename_all = "snake_case")]
pub enum Relation {
    /// In the thread of `root`; clients without threads show it as an answer to `latest` (or to the root).
    Thread {
        /// The card of the call, or the message that began the thread.
        root: EventRef,
        /// The last message of the thread, for clients that know no threads.
        latest: Option<EventRef>,
    },
    /// In place of `of`. `m.new_content` and the `* ` fallback are made when the effect is sent.
    Replace {
        /// The event edited: always the first one, never an edit.
        of: EventRef,
    },
    /// A reaction with `key`.
    Annotate {
        /// The event reacted to.
        to: EventRef,
        /// The emoji.
        key: String,
    },
    /// Belongs to the event, shown elsewhere: a MatrixRTC ring refers to the membership.
    Reference {
        /// The event referred to.
        to: EventRef,
    },
}

/// What a sent event is for. Decides how the log names it and how soon it may be overtaken by a newer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The call's card in the timeline.
    Card,
    /// The card brought up to date.
    CardEdit,
    /// A speaker's turn.
    Caption,
    /// The turn goes on, or loses withdrawn words.
    CaptionEdit,
    /// The notes after the call.
    Notes,
    /// The notes made again.
    NotesEdit,
    /// An answer to a command, an announcement, an error.
    Notice,
    /// The ring of a call.
    Ring,
    /// The bot's own ✅.
    Reaction,
}

/// One change of the world outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum Effect {
    /// Sends a room event. Encrypted by the Matrix side where the room is.
    SendEvent {
        /// The virtual user that sends it.
        as_user: OwnedUserId,
        /// The room.
        room: OwnedRoomId,
        /// Such as `m.room.message`.
        event_type: String,
        /// The content without `m.relates_to` and `m.new_content`; texts may hold [`EventRef::placeholder`]s.
        content: Value,
        /// How it hangs on another event.
        relation: Option<Relation>,
        /// What it is for.
        purpose: Purpose,
    },
    /// Writes a state event: a membership, or `{}` to take it away. A newer one of the same key overtakes an unsent older.
    SetState {
        /// The virtual user that writes it.
        as_user: OwnedUserId,
        /// The room.
        room: OwnedRoomId,
        /// Such as `org.matrix.msc3401.call.member`.
        event_type: String,
        /// The state key.
        state_key: String,
        /// The whole content.
        content: Value,
    },
    /// Redacts an event.
    Redact {
        /// The virtual user that redacts it.
        as_user: OwnedUserId,
        /// The room.
        room: OwnedRoomId,
        /// What is redacted.
        event: EventRef,
        /// Said to the room.
        reason: Option<String>,
    },
}

impl Effect {
    /// A short name for logs and the `kind` column. Says nothing about the content.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::SendEvent { purpose, .. } => match purpose {
                Purpose::Card => "card",
                Purpose::CardEdit => "card_edit",
                Purpose::Caption => "caption",
                Purpose::CaptionEdit => "caption_edit",
                Purpose::Notes => "notes",
                Purpose::NotesEdit => "notes_edit",
                Purpose::Notice => "notice",
                Purpose::Ring => "ring",
                Purpose::Reaction => "reaction",
            },
            Self::SetState { .. } => "state",
            Self::Redact { .. } => "redact",
        }
    }

    /// The events that must exist before this can be sent.
    pub(super) fn needs(&self) -> Vec<&EventRef> {
        match self {
            Self::SendEvent { relation, .. } => match relation {
                None => Vec::new(),
                Some(Relation::Thread { root, .. }) => vec![root],
                Some(Relation::Replace { of: to } | Relation::Annotate { to, .. } | Relation::Reference { to }) => {
                    vec![to]
                }
            },
            Self::SetState { .. } => Vec::new(),
            Self::Redact { event, .. } => vec![event],
        }
    }

    /// The effects that its texts link to: waited for, but missing ones are no hindrance.
    pub(super) fn links(&self) -> Vec<EffectId> {
        let mut out = Vec::new();
        if let Self::SendEvent { content, .. } = self {
            linked(content, &mut out);
        }
        if let Self::SendEvent { relation: Some(Relation::Thread { latest: Some(EventRef::Effect(id)), .. }), .. } =
            self
        {
            out.push(*id);
        }
        out
    }

    /// What a newer effect of the same kind makes pointless while it is unsent, as bytes to hash.
    pub(super) fn slot(&self) -> Option<Vec<u8>> {
        match self {
            Self::SendEvent { relation: Some(Relation::Replace { of }), .. } => {
                Some(format!("edit\0{of:?}").into_bytes())
            }
            Self::SetState { as_user, room, event_type, state_key, .. } => {
                Some(format!("state\0{as_user}\0{room}\0{event_type}\0{state_key}").into_bytes())
            }
            _ => None,
        }
    }
}

/// The queue that an effect waits in. Effects of a lane are sent one after the other, in the order recorded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lane(pub(super) String);

impl Lane {
    /// Card, captions, notes of a call.
    #[must_use]
    pub fn thread(call: CallId) -> Self {
        Self(format!("thread/{call}"))
    }

    /// Memberships and ring of a call: they do not wait for captions.
    #[must_use]
    pub fn presence(call: CallId) -> Self {
        Self(format!("presence/{call}"))
    }

    /// Answers and announcements in a room outside of a call.
    #[must_use]
    pub fn room(room: &OwnedRoomId) -> Self {
        Self(format!("room/{room}"))
    }

    /// The lane as text, for logs.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An effect to record.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEffect {
    /// Its id; recording an id that is there already changes nothing.
    pub id: EffectId,
    /// The call whose key seals it and with which it is deleted. `None`: sealed under the journal's own key.
    pub call: Option<CallId>,
    /// The queue it waits in.
    pub lane: Lane,
    /// Whose words it carries (the user id): withdrawing that party's words drops it while it is unsent. Only with a call.
    pub party: Option<String>,
    /// What is to happen.
    pub effect: Effect,
}

/// What a due effect has become: all references are events now.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Send this event.
    SendEvent {
        /// The virtual user that sends it.
        as_user: OwnedUserId,
        /// The room.
        room: OwnedRoomId,
        /// The type.
        event_type: String,
        /// The whole content, relation and all.
        content: Value,
        /// What it is for.
        purpose: Purpose,
    },
    /// Write this state event.
    SetState {
        /// The virtual user that writes it.
        as_user: OwnedUserId,
        /// The room.
        room: OwnedRoomId,
        /// The type.
        event_type: String,
        /// The state key.
        state_key: String,
        /// The whole content.
        content: Value,
    },
    /// Redact this event.
    Redact {
        /// The virtual user that redacts it.
        as_user: OwnedUserId,
        /// The room.
        room: OwnedRoomId,
        /// What is redacted.
        event: OwnedEventId,
        /// Said to the room.
        reason: Option<String>,
    },
}

/// Puts event ids in place of references. `event_of` knows every effect that is done.
///
/// A link to an effect that never became an event leads to the thread's root instead; a relation to one is the caller's
/// to refuse beforehand ([`Effect::needs`]): here it gives `None`.
pub(super) fn resolve(effect: Effect, event_of: &dyn Fn(EffectId) -> Option<OwnedEventId>) -> Option<Action> {
    let find = |to: &EventRef| match to {
        EventRef::Event(id) => Some(id.clone()),
        EventRef::Effect(id) => event_of(*id),
    };
    Some(match effect {
        Effect::SetState { as_user, room, event_type, state_key, content } => {
            Action::SetState { as_user, room, event_type, state_key, content }
        }
        Effect::Redact { as_user, room, event, reason } => {
            Action::Redact { as_user, room, event: find(&event)?, reason }
        }
        Effect::SendEvent { as_user, room, event_type, mut content, relation, purpose } => {
            let root = match &relation {
                Some(Relation::Thread { root: to, .. } | Relation::Replace { of: to }) => find(to),
                _ => None,
            };
            fill_placeholders(&mut content, &|id| event_of(id).or_else(|| root.clone()));
            match relation {
                None => {}
                Some(Relation::Thread { root, latest }) => {
                    let root = find(&root)?;
                    let latest = latest.as_ref().and_then(find).unwrap_or_else(|| root.clone());
                    content["m.relates_to"] = json!({
                        "rel_type": "m.thread",
                        "event_id": root,
                        "is_falling_back": true,
                        "m.in_reply_to": { "event_id": latest },
                    });
                }
                Some(Relation::Replace { of }) => content = crate::text::edit(&find(&of)?, content),
                Some(Relation::Annotate { to, key }) => {
                    content["m.relates_to"] = json!({ "rel_type": "m.annotation", "event_id": find(&to)?, "key": key });
                }
                Some(Relation::Reference { to }) => {
                    content["m.relates_to"] = json!({ "rel_type": "m.reference", "event_id": find(&to)? });
                }
            }
            Action::SendEvent { as_user, room, event_type, content, purpose }
        }
    })
}

fn fill_placeholders(value: &mut Value, event_of: &dyn Fn(EffectId) -> Option<OwnedEventId>) {
    match value {
        Value::String(text) => {
            if let Some(filled) = fill_text(text, event_of) {
                *text = filled;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|v| fill_placeholders(v, event_of)),
        Value::Object(fields) => fields.values_mut().for_each(|v| fill_placeholders(v, event_of)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn fill_text(text: &str, event_of: &dyn Fn(EffectId) -> Option<OwnedEventId>) -> Option<String> {
    text.contains(crate::text::MARK_OPEN).then(|| {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(crate::text::MARK_OPEN) {
            out.push_str(before);
            let Some((id, tail)) = after.split_once(crate::text::MARK_CLOSE) else {
                rest = after;
                continue;
            };
            if let Some(event) = id.parse().ok().and_then(event_of) {
                out.push_str(event.as_str());
            }
            rest = tail;
        }
        out.push_str(rest);
        out
    })
}

/// The effects whose links stand in the content: they are looked up before [`resolve`].
fn linked(value: &Value, into: &mut Vec<EffectId>) {
    match value {
        Value::String(text) => {
            for part in text.split(crate::text::MARK_OPEN).skip(1) {
                if let Some(id) = part.split_once(crate::text::MARK_CLOSE).and_then(|(id, _)| id.parse().ok()) {
                    into.push(id);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|v| linked(v, into)),
        Value::Object(fields) => fields.values().for_each(|v| linked(v, into)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

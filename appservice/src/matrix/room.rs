//! Rooms: members, state, power, and rooms of our own making.
use std::time::Duration;

use matrix_sdk::{
    RoomMemberships, RoomState,
    deserialized_responses::RawAnySyncOrStrippedState,
    ruma::{
        OwnedRoomId, OwnedRoomOrAliasId, OwnedUserId, RoomId, UserId,
        events::{
            StateEventType,
            room::{
                member::MembershipState,
                power_levels::{RoomPowerLevels, UserPowerLevel},
            },
        },
    },
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    api::{Who, encode},
    error::MatrixError,
    event::{CALL_MEMBER, RawStateEvent},
    timeline::RawEvent,
    user::{Attempt, VirtualUser},
};

/// A member of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomMember {
    /// Who.
    pub user: OwnedUserId,
    /// The name that people read, where one is set.
    pub display_name: Option<String>,
}

/// A room to be made.
#[derive(Debug, Clone, Default)]
pub struct NewRoom {
    /// Its name.
    pub name: Option<String>,
    /// Who is invited.
    pub invite: Vec<OwnedUserId>,
    /// Of those invited, who may change its settings (power level 100, as the maker).
    pub admins: Vec<OwnedUserId>,
    /// Whether it is a conversation of two.
    pub direct: bool,
}

impl VirtualUser {
    /// Makes an encrypted room in which anyone may take part in calls: `org.matrix.msc3401.call.member` has power
    /// level 0 (by the homeserver's default it would have 50, and Element Call would fail without a word).
    ///
    /// # Errors
    /// As the homeserver says.
    pub async fn create_room(&self, new: &NewRoom) -> Result<OwnedRoomId, MatrixError> {
        let mut users = json!({ self.user_id().as_str(): 100 });
        for admin in &new.admins {
            users[admin.as_str()] = json!(100);
        }
        let mut body = json!({
            "preset": "private_chat",
            "is_direct": new.direct,
            "invite": new.invite,
            // Version 11: in 12 a maker has no power level of their own that could be written here.
            "room_version": "11",
            "initial_state": [{
                "type": "m.room.encryption", "state_key": "", "content": { "algorithm": "m.megolm.v1.aes-sha2" },
            }],
            "power_level_content_override": { "users": users, "events": call_power_events() },
        });
        if let Some(name) = &new.name {
            body["name"] = json!(name);
        }
        let path = "/_matrix/client/v3/createRoom";
        let (_, answer) = self.api().call("make a room", Method::POST, path, &[], self.who(), Some(&body)).await?;
        let room = answer["room_id"].as_str().and_then(|id| RoomId::parse(id).ok());
        let room = room.ok_or_else(|| MatrixError::local("make a room", "the answer names none"))?;
        self.0.shared().encrypted.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(room.clone());
        let made = &room;
        self.after_syncs(|| {
            Box::pin(async move {
                let known = self.room(made)?.encryption_state().is_encrypted();
                known.then_some(()).ok_or_else(|| MatrixError::local("make a room", "its encryption is not known yet"))
            })
        })
        .await?;
        Ok(room)
    }

    /// An encrypted room that only this user and `other` are in, or `other` is invited to; made where there is none.
    ///
    /// # Errors
    /// As the homeserver says.
    pub async fn room_with(&self, other: &UserId) -> Result<OwnedRoomId, MatrixError> {
        for room in self.0.client.joined_rooms() {
            if room.active_members_count() == 2
                && room.encryption_state().is_encrypted()
                && room.get_member_no_sync(other).await.ok().flatten().is_some_and(|member| {
                    matches!(member.membership(), MembershipState::Join | MembershipState::Invite)
                })
            {
                return Ok(room.room_id().to_owned());
            }
        }
        let new = NewRoom { invite: vec![other.to_owned()], direct: true, ..NewRoom::default() };
        self.create_room(&new).await
    }

    /// Whether only two are in the room or invited to it.
    #[must_use]
    pub fn is_of_two(&self, room: &RoomId) -> bool {
        self.0.client.get_room(room).is_some_and(|room| room.active_members_count() == 2)
    }

    /// Encrypts a file, puts it into the homeserver's media store and gives what an event's `file` holds then
    /// (client-server API, "sending encrypted attachments").
    ///
    /// # Errors
    /// As the homeserver says.
    pub async fn upload_encrypted(&self, bytes: Vec<u8>) -> Result<Value, MatrixError> {
        let mut reader = std::io::Cursor::new(bytes);
        let file = self.0.client.upload_encrypted_file(&mut reader).await;
        let file = file.map_err(|e| MatrixError::sdk("upload a file", e))?;
        serde_json::to_value(file).map_err(|e| MatrixError::local("upload a file", e))
    }

    /// The room that an id or alias names.
    ///
    /// # Errors
    /// `M_NOT_FOUND` when there is no such alias.
    pub async fn resolve_room(&self, name: &OwnedRoomOrAliasId) -> Result<OwnedRoomId, MatrixError> {
        if let Ok(room) = RoomId::parse(name.as_str()) {
            return Ok(room);
        }
        let path = format!("/_matrix/client/v3/directory/room/{}", encode(name.as_str()));
        let (_, answer) = self.api().call("find a room", Method::GET, &path, &[], self.who(), None).await?;
        let room = answer["room_id"].as_str().and_then(|id| RoomId::parse(id).ok());
        room.ok_or_else(|| MatrixError::local("find a room", "the answer names none"))
    }

    /// Whether this user is in the room, as far as its last sync knows.
    #[must_use]
    pub fn is_joined(&self, room: &RoomId) -> bool {
        self.0.client.get_room(room).is_some_and(|r| r.state() == RoomState::Joined)
    }

    /// All joined members.
    ///
    /// # Errors
    /// [`MatrixError::NotJoined`], or as the homeserver says.
    pub async fn members(&self, room: &RoomId) -> Result<Vec<RoomMember>, MatrixError> {
        let members = self.room(room)?.members(RoomMemberships::JOIN).await;
        let members = members.map_err(|e| MatrixError::sdk("list members", e))?;
        Ok(members
            .iter()
            .map(|m| RoomMember { user: m.user_id().to_owned(), display_name: m.display_name().map(str::to_owned) })
            .collect())
    }

    /// The state events of `event_type` as they stand in the room: from the last sync while this user syncs, else from
    /// the homeserver.
    ///
    /// # Errors
    /// [`MatrixError::NotJoined`], or as the homeserver says.
    pub async fn room_state(&self, room: &RoomId, event_type: &str) -> Result<Vec<RawStateEvent>, MatrixError> {
        if self.is_syncing() {
            let known = self.room(room)?;
            if known.is_synced() {
                let events = known.get_state_events(StateEventType::from(event_type)).await;
                let events = events.map_err(|e| MatrixError::sdk("read state", e))?;
                return Ok(events
                    .iter()
                    .filter_map(|event| match event {
                        RawAnySyncOrStrippedState::Sync(raw) => serde_json::from_str(raw.json().get()).ok(),
                        RawAnySyncOrStrippedState::Stripped(_) => None,
                    })
                    .filter_map(|event: RawEvent| event.into_state(room))
                    .collect());
            }
        }
        let path = format!("/_matrix/client/v3/rooms/{}/state", encode(room.as_str()));
        let (_, answer) = self.api().call("read state", Method::GET, &path, &[], self.who(), None).await?;
        let events = answer.as_array().into_iter().flatten().filter(|e| e["type"] == event_type);
        Ok(events.filter_map(|e| serde_json::from_value::<RawEvent>(e.clone()).ok()?.into_state(room)).collect())
    }

    /// The content of one state event, asked of the homeserver; `None` where there is none.
    ///
    /// # Errors
    /// As the homeserver says.
    pub async fn get_state(&self, room: &RoomId, event_type: &str, key: &str) -> Result<Option<Value>, MatrixError> {
        let path = state_path(room, event_type, key);
        match self.api().call("read state", Method::GET, &path, &[], self.who(), None).await {
            Ok((_, content)) => Ok(Some(content)),
            Err(MatrixError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the room is encrypted. `Err` on any doubt.
    ///
    /// # Errors
    /// [`MatrixError::EncryptionUnknown`] when what is known contradicts itself, or as the homeserver says.
    pub async fn is_encrypted(&self, room: &RoomId) -> Result<bool, MatrixError> {
        let state = self.room(room)?.latest_encryption_state().await;
        let state = state.map_err(|e| MatrixError::sdk("ask whether the room is encrypted", e))?;
        let unknown = |why: &str| Err(MatrixError::EncryptionUnknown { room: room.to_owned(), why: why.to_owned() });
        let shared = self.0.shared();
        let mut seen = shared.encrypted.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if state.is_encrypted() {
            seen.insert(room.to_owned());
            Ok(true)
        } else if state.is_unknown() {
            unknown("the homeserver does not say")
        } else if seen.contains(room) {
            unknown("it was encrypted before and is said not to be now")
        } else {
            Ok(false)
        }
    }

    async fn power_levels(&self, room: &RoomId) -> Result<RoomPowerLevels, MatrixError> {
        // The bot's view is the fullest: it syncs always. A ghost asks it where it can.
        let view = match self.0.shared().bot() {
            Ok(bot) if bot.is_joined(room) => bot,
            _ => self.clone(),
        };
        // A sync can come between the steps in which a homeserver makes a room: what is missing follows in the next.
        let view = &view;
        view.after_syncs(|| {
            Box::pin(async move {
                let known = view.room(room)?.power_levels().await;
                known.map_err(|e| MatrixError::local("read power levels", e))
            })
        })
        .await
    }

    /// Tries again after each sync answer, for 5 s at most, while what is known here is not enough.
    async fn after_syncs<'a, T>(&'a self, look: impl Fn() -> Attempt<'a, T>) -> Result<T, MatrixError> {
        let mut beat = self.0.beat.subscribe();
        let end = tokio::time::Instant::now() + Duration::from_secs(5);
        loop {
            let found = look().await;
            let more = match &found {
                Err(MatrixError::Local { .. } | MatrixError::NotJoined { .. }) if self.is_syncing() => {
                    tokio::time::timeout_at(end, beat.changed()).await.is_ok_and(|changed| changed.is_ok())
                }
                _ => false,
            };
            if !more {
                return found;
            }
        }
    }

    /// The power level of `user`; that of a maker of a room of version 12 is `i64::MAX`.
    ///
    /// # Errors
    /// [`MatrixError::NotJoined`], or when the room's state is not known yet.
    pub async fn user_power(&self, room: &RoomId, user: &UserId) -> Result<i64, MatrixError> {
        Ok(match self.power_levels(room).await?.for_user(user) {
            UserPowerLevel::Int(level) => level.into(),
            _ => i64::MAX,
        })
    }

    /// The power level that writing state of `event_type` takes.
    ///
    /// # Errors
    /// As [`VirtualUser::user_power`].
    pub async fn required_for_state(&self, room: &RoomId, event_type: &str) -> Result<i64, MatrixError> {
        Ok(self.power_levels(room).await?.for_state(StateEventType::from(event_type)).into())
    }

    /// Whether this user may write state of `event_type`.
    ///
    /// # Errors
    /// As [`VirtualUser::user_power`].
    pub async fn may_send_state(&self, room: &RoomId, event_type: &str) -> Result<bool, MatrixError> {
        let levels = self.power_levels(room).await?;
        Ok(levels.user_can_send_state(self.user_id(), StateEventType::from(event_type)))
    }

    /// Makes `org.matrix.msc3401.call.member` cost nothing in an existing room, where this user may.
    ///
    /// # Errors
    /// `M_FORBIDDEN` where it may not.
    pub async fn open_calls_to_all(&self, room: &RoomId) -> Result<(), MatrixError> {
        let mut content = self.get_state(room, "m.room.power_levels", "").await?.unwrap_or_else(|| json!({}));
        if content["events"][CALL_MEMBER] == 0 {
            return Ok(());
        }
        if !content["events"].is_object() {
            content["events"] = json!({});
        }
        content["events"][CALL_MEMBER] = json!(0);
        self.send_state(room, "m.room.power_levels", "", content).await.map(drop)
    }

    pub(crate) fn who(&self) -> Option<Who<'_>> {
        Some(Who(self.user_id(), Some(self.device_id())))
    }
}

/// The path of a state event.
pub(crate) fn state_path(room: &RoomId, event_type: &str, key: &str) -> String {
    let (room, event_type, key) = (encode(room.as_str()), encode(event_type), encode(key));
    format!("/_matrix/client/v3/rooms/{room}/state/{event_type}/{key}")
}

/// What the maker of a room writes beside the homeserver's defaults. An override of `events` replaces all of
/// Synapse's own, so that they are repeated.
fn call_power_events() -> Value {
    json!({
        CALL_MEMBER: 0,
        "m.room.name": 50, "m.room.avatar": 50, "m.room.canonical_alias": 50, "m.room.topic": 50,
        "m.room.power_levels": 100, "m.room.history_visibility": 100, "m.room.tombstone": 100,
        "m.room.server_acl": 100, "m.room.encryption": 100,
        "io.roomtone.policy": 50, "io.roomtone.link": 100,
    })
}

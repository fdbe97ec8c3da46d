//! From sync answers to [`MatrixEvent`]s.
//!
//! A ghost's sync yields media keys only. The bot's also yields what happens in rooms: state first, then the timeline
//! in order. Of a room that was joined just now nothing said before is passed on. Where the homeserver left a gap,
//! what is missing is fetched. What cannot be decrypted waits for its key, an hour at most, and comes late then.
use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use matrix_sdk::{
    Room,
    deserialized_responses::{
        EncryptionInfo, ProcessedToDeviceEvent, TimelineEvent, TimelineEventKind, VerificationLevel, VerificationState,
    },
    room::MessagesOptions,
    ruma::{
        DeviceId, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UserId, events::AnySyncTimelineEvent, serde::Raw,
        uint,
    },
    sync::{JoinedRoomUpdate, State, SyncResponse},
};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Inner,
    event::{
        CALL_MEMBER, LINK, MEDIA_KEY, MatrixEvent, MediaKeyEvent, Message, POLICY, RTC_DECLINE, RTC_NOTIFICATION,
        RawStateEvent,
    },
    invite,
    user::VirtualUser,
};

/// How many undecryptable events wait for their keys, and how long.
const WAITING: usize = 500;
const WAIT: Duration = Duration::from_secs(3600);
/// How long a media key waits for the answer whose device sent it. After that the device counts as not signed.
const SIGNED_WITHIN: Duration = Duration::from_secs(2);
/// How many pages of 100 events are fetched to fill a gap.
const GAP_PAGES: usize = 10;

/// An event as JSON has it, in a room's timeline or state.
#[derive(Deserialize)]
pub(crate) struct RawEvent {
    #[serde(rename = "type")]
    pub(crate) event_type: String,
    pub(crate) sender: OwnedUserId,
    pub(crate) event_id: Option<OwnedEventId>,
    #[serde(default)]
    pub(crate) origin_server_ts: u64,
    pub(crate) state_key: Option<String>,
    #[serde(default)]
    pub(crate) content: Value,
    redacts: Option<OwnedEventId>,
}

impl RawEvent {
    pub(crate) fn into_state(self, room: &RoomId) -> Option<RawStateEvent> {
        Some(RawStateEvent {
            room: room.to_owned(),
            event_type: self.event_type,
            state_key: self.state_key?,
            sender: self.sender,
            event_id: self.event_id?,
            ts: self.origin_server_ts,
            content: self.content,
        })
    }
}

struct Waiting {
    room: OwnedRoomId,
    event: Raw<AnySyncTimelineEvent>,
    since: Instant,
}

/// Reads one user's sync answers.
pub(crate) struct Reader {
    inner: Arc<Inner>,
    user: VirtualUser,
    joined: HashSet<OwnedRoomId>,
    waiting: VecDeque<Waiting>,
}

impl Reader {
    pub(crate) fn new(inner: Arc<Inner>, user: VirtualUser) -> Self {
        Self { inner, user, joined: HashSet::new(), waiting: VecDeque::new() }
    }

    /// Tells of the rooms that the bot is in, and answers the invitations that lie there.
    pub(crate) async fn start(&mut self) {
        for room in self.user.0.client.joined_rooms() {
            self.note_encryption(&room);
            self.joined.insert(room.room_id().to_owned());
            if self.user.0.is_bot {
                self.inner.emit(MatrixEvent::RoomReady { room: room.room_id().to_owned() }).await;
            }
        }
        if self.user.0.is_bot {
            for room in self.user.0.client.invited_rooms() {
                if let Ok(inviter) = room.invite_details().await.map(|d| d.inviter_id) {
                    invite::answer(&self.inner, &self.user, room.room_id().to_owned(), inviter);
                }
            }
        }
    }

    /// Tells what came between two sync tokens: what a kill kept from the desk. It may have been told before.
    pub(crate) async fn catch_up(&mut self, from: &str, to: &str) {
        for room in self.user.0.client.joined_rooms() {
            let mut options = MessagesOptions::forward().from(from);
            options.to = Some(to.to_owned());
            options.limit = uint!(100);
            match room.messages(options).await {
                Ok(page) => {
                    for event in page.chunk {
                        self.timeline(&room, event, true, true).await;
                    }
                }
                Err(error) => {
                    tracing::warn!(room = %room.room_id(), %error, "what came before the restart cannot be fetched");
                }
            }
        }
    }

    fn note_encryption(&self, room: &Room) {
        if room.encryption_state().is_encrypted() {
            self.inner.encrypted.lock().unwrap_or_else(PoisonError::into_inner).insert(room.room_id().to_owned());
        }
    }

    /// Passes on what one answer holds. `since`: the token that it was asked with.
    pub(crate) async fn read(&mut self, response: SyncResponse, since: Option<&str>) {
        let keys_may_have_come = !response.to_device.is_empty();
        for event in response.to_device {
            self.to_device(event).await;
        }
        for (room_id, update) in response.rooms.joined {
            let Some(room) = self.user.0.client.get_room(&room_id) else { continue };
            self.note_encryption(&room);
            let new = self.joined.insert(room_id);
            if self.user.0.is_bot {
                self.room(&room, update, new, since).await;
            }
        }
        if !self.user.0.is_bot {
            self.joined.retain(|room| !response.rooms.left.contains_key(room));
            return;
        }
        for room in response.rooms.left.into_keys() {
            if self.joined.remove(&room) {
                self.waiting.retain(|w| w.room != room);
                self.inner.emit(MatrixEvent::RoomGone { room }).await;
            }
        }
        for (room, update) in response.rooms.invited {
            let own = self.user.user_id().as_str();
            let inviter = update.invite_state.events.iter().find_map(|raw| {
                let event: RawEvent = serde_json::from_str(raw.json().get()).ok()?;
                let is_own = event.event_type == "m.room.member"
                    && event.state_key.as_deref() == Some(own)
                    && event.content["membership"] == "invite";
                is_own.then_some(event.sender)
            });
            if let Some(inviter) = inviter {
                invite::answer(&self.inner, &self.user, room, inviter);
            }
        }
        if keys_may_have_come {
            self.try_waiting().await;
        }
    }

    async fn to_device(&self, event: ProcessedToDeviceEvent) {
        let ProcessedToDeviceEvent::Decrypted { raw, encryption_info } = event else {
            // In clear, or not for us to read: a media key must never come so.
            if let Ok(Some(kind)) = event.to_raw().get_field::<String>("type")
                && (kind == MEDIA_KEY || kind == "m.room.encrypted")
            {
                tracing::warn!(user = %self.user.user_id(), kind, "a to-device event was not Olm-encrypted or not readable, passed over");
            }
            return;
        };
        if raw.get_field::<String>("type").ok().flatten().as_deref() != Some(MEDIA_KEY) {
            return;
        }
        let EncryptionInfo { sender, sender_device, .. } = encryption_info;
        let (Some(sender_device), Ok(Some(content))) = (sender_device, raw.get_field::<Value>("content")) else {
            tracing::warn!(user = %self.user.user_id(), %sender, "a media key came without a sending device, passed over");
            return;
        };
        let asked = tokio::time::timeout(SIGNED_WITHIN, self.is_signed(&sender, &sender_device)).await;
        let device_signed = asked.unwrap_or(false);
        let to = self.user.user_id().to_owned();
        let key = MediaKeyEvent { to, sender, sender_device, device_signed, content };
        self.inner.emit(MatrixEvent::MediaKey(key)).await;
    }

    /// Whether a device is signed by its owner's identity. One that is not known yet is asked for.
    async fn is_signed(&self, user: &UserId, device: &DeviceId) -> bool {
        let encryption = self.user.0.client.encryption();
        let known = async || encryption.get_device(user, device).await.ok().flatten();
        let mut found = known().await;
        if found.is_none() && encryption.request_user_identity(user).await.is_ok() {
            found = known().await;
        }
        found.is_some_and(|d| d.is_cross_signed_by_owner())
    }

    async fn room(&mut self, room: &Room, update: JoinedRoomUpdate, new: bool, since: Option<&str>) {
        let timeline_is_state = matches!(update.state, State::Before(_));
        let state = match &update.state {
            State::Before(events) | State::After(events) => events,
        };
        for raw in state {
            if let Ok(event) = serde_json::from_str::<RawEvent>(raw.json().get()) {
                self.state(room, event).await;
            }
        }
        if new {
            self.inner.emit(MatrixEvent::RoomReady { room: room.room_id().to_owned() }).await;
            invite::settle_in(&self.inner, &self.user, room.room_id().to_owned());
        } else if update.timeline.limited
            && let (Some(from), Some(to)) = (update.timeline.prev_batch.clone(), since)
        {
            self.fill_gap(room, from, to).await;
        }
        // What was said before the bot came is not for it.
        let own_join = update.timeline.events.iter().rposition(|event| self.is_own_join(event));
        let heard_from = if new { own_join.unwrap_or(update.timeline.events.len()) } else { 0 };
        for (index, event) in update.timeline.events.into_iter().enumerate() {
            self.timeline(room, event, timeline_is_state, index >= heard_from).await;
        }
    }

    fn is_own_join(&self, event: &TimelineEvent) -> bool {
        serde_json::from_str::<RawEvent>(event.raw().json().get()).is_ok_and(|e| {
            e.event_type == "m.room.member"
                && e.state_key.as_deref() == Some(self.user.user_id().as_str())
                && e.content["membership"] == "join"
        })
    }

    async fn fill_gap(&mut self, room: &Room, from: String, to: &str) {
        let mut from = Some(from);
        let mut missed = Vec::new();
        for _ in 0..GAP_PAGES {
            let Some(start) = from.take() else { break };
            let mut options = MessagesOptions::backward().from(start.as_str());
            options.to = Some(to.to_owned());
            options.limit = uint!(100);
            match room.messages(options).await {
                Ok(page) => {
                    let empty = page.chunk.is_empty();
                    missed.extend(page.chunk);
                    from = page.end.filter(|_| !empty);
                }
                Err(error) => {
                    tracing::warn!(room = %room.room_id(), %error, "events that were missed cannot be fetched");
                    return;
                }
            }
        }
        if from.is_some() {
            tracing::warn!(room = %room.room_id(), fetched = missed.len(), "more events were missed than are fetched");
        }
        for event in missed.into_iter().rev() {
            self.timeline(room, event, false, true).await;
        }
    }

    async fn timeline(&mut self, room: &Room, event: TimelineEvent, states_too: bool, heard: bool) {
        let encrypted = match &event.kind {
            TimelineEventKind::PlainText { .. } => false,
            TimelineEventKind::Decrypted(decrypted) => {
                if decrypted.encryption_info.verification_state
                    == VerificationState::Unverified(VerificationLevel::MismatchedSender)
                {
                    tracing::warn!(room = %room.room_id(), event = ?event.event_id(), "an event's sender is not the owner of its key, passed over");
                    return;
                }
                true
            }
            TimelineEventKind::UnableToDecrypt { event: raw, utd_info } => {
                if heard {
                    tracing::debug!(room = %room.room_id(), event = ?event.event_id(), reason = ?utd_info.reason, "an event waits for its key");
                    if self.waiting.len() == WAITING {
                        self.waiting.pop_front();
                    }
                    let waiting =
                        Waiting { room: room.room_id().to_owned(), event: raw.clone(), since: Instant::now() };
                    self.waiting.push_back(waiting);
                }
                return;
            }
        };
        let Ok(event) = serde_json::from_str::<RawEvent>(event.raw().json().get()) else {
            tracing::debug!(room = %room.room_id(), "an event that is none, passed over");
            return;
        };
        if event.state_key.is_some() {
            if states_too && !encrypted {
                self.state(room, event).await;
            }
        } else if heard {
            self.message_like(room, event, encrypted).await;
        }
    }

    async fn try_waiting(&mut self) {
        let mut still = VecDeque::new();
        for waiting in std::mem::take(&mut self.waiting) {
            let Some(room) = self.user.0.client.get_room(&waiting.room) else { continue };
            match room.decrypt_event(waiting.event.cast_ref_unchecked(), None).await {
                Ok(event) if !event.kind.is_utd() => self.timeline(&room, event, false, true).await,
                _ if waiting.since.elapsed() < WAIT => still.push_back(waiting),
                _ => tracing::warn!(room = %waiting.room, "an event could not be decrypted, given up after an hour"),
            }
        }
        self.waiting.append(&mut still);
    }

    async fn state(&self, room: &Room, event: RawEvent) {
        let out = match event.event_type.as_str() {
            CALL_MEMBER => event.into_state(room.room_id()).map(MatrixEvent::CallMember),
            POLICY => event.into_state(room.room_id()).map(MatrixEvent::Policy),
            LINK => event.into_state(room.room_id()).map(MatrixEvent::Link),
            "m.room.member" => member(room.room_id(), &event),
            _ => None,
        };
        if let Some(out) = out {
            self.inner.emit(out).await;
        }
    }

    async fn message_like(&self, room: &Room, event: RawEvent, encrypted: bool) {
        if self.inner.is_ours(&event.sender) {
            return;
        }
        let out = match event.event_type.as_str() {
            "m.room.message" => self.message(room, event, encrypted).await,
            "m.reaction" => reaction(room.room_id(), &event),
            "m.room.redaction" => redaction(room.room_id(), event),
            RTC_NOTIFICATION | RTC_DECLINE => event.event_id.map(|event_id| MatrixEvent::RtcSignal {
                room: room.room_id().to_owned(),
                sender: event.sender,
                event_id,
                event_type: event.event_type,
                content: event.content,
            }),
            _ => None,
        };
        if let Some(out) = out {
            self.inner.emit(out).await;
        }
    }

    async fn message(&self, room: &Room, event: RawEvent, encrypted: bool) -> Option<MatrixEvent> {
        let content = &event.content;
        let word = |value: &Value| value.as_str().map(str::to_owned);
        let body = word(&content["body"])?;
        let relates = &content["m.relates_to"];
        let target = relates["event_id"].as_str().and_then(|id| OwnedEventId::try_from(id).ok());
        let own = self.user.user_id().as_str();
        let mentioned = content["m.mentions"]["user_ids"].as_array().is_some_and(|ids| ids.iter().any(|id| id == own));
        let direct = room.joined_members_count() <= 2 && room.is_direct().await.unwrap_or(false);
        Some(MatrixEvent::Message(Message {
            room: room.room_id().to_owned(),
            sender: event.sender,
            event_id: event.event_id?,
            msgtype: word(&content["msgtype"]).unwrap_or_else(|| "m.text".into()),
            mentions_bot: mentioned || body.contains(own),
            body,
            formatted: word(&content["formatted_body"]),
            thread: target.clone().filter(|_| relates["rel_type"] == "m.thread"),
            answers: relates["m.in_reply_to"]["event_id"]
                .as_str()
                .filter(|_| relates["is_falling_back"] != true)
                .and_then(|id| OwnedEventId::try_from(id).ok()),
            edits: target.filter(|_| relates["rel_type"] == "m.replace"),
            direct,
            encrypted,
            ts: event.origin_server_ts,
        }))
    }
}

fn member(room: &RoomId, event: &RawEvent) -> Option<MatrixEvent> {
    Some(MatrixEvent::Member {
        room: room.to_owned(),
        user: OwnedUserId::try_from(event.state_key.as_deref()?).ok()?,
        membership: event.content["membership"].as_str()?.to_owned(),
        display_name: event.content["displayname"].as_str().map(str::to_owned),
    })
}

fn reaction(room: &RoomId, event: &RawEvent) -> Option<MatrixEvent> {
    let relates = &event.content["m.relates_to"];
    Some(MatrixEvent::Reaction {
        room: room.to_owned(),
        sender: event.sender.clone(),
        event_id: event.event_id.clone()?,
        target: OwnedEventId::try_from(relates["event_id"].as_str()?).ok()?,
        key: relates["key"].as_str()?.to_owned(),
    })
}

fn redaction(room: &RoomId, event: RawEvent) -> Option<MatrixEvent> {
    let in_content = event.content["redacts"].as_str().and_then(|id| OwnedEventId::try_from(id).ok());
    Some(MatrixEvent::Redaction { room: room.to_owned(), sender: event.sender, redacts: in_content.or(event.redacts)? })
}

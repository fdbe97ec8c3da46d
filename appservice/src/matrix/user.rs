//! One virtual user: what it sends, writes and asks.
use std::{
    collections::BTreeSet,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use matrix_sdk::{
    Client, Room, RoomState,
    config::RequestConfig,
    ruma::{DeviceId, EventId, OwnedDeviceId, OwnedEventId, OwnedUserId, RoomId, TransactionId, UserId, serde::Raw},
};
use matrix_sdk_base::crypto::CollectStrategy;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    Inner,
    api::{Api, encode},
    error::MatrixError,
    event::MEDIA_KEY,
    room::state_path,
    store::Opened,
    sync,
};

/// How long a send is tried on while the homeserver is away, and how long one try may take.
const SEND_FOR: Duration = Duration::from_secs(120);
const SEND_ONCE: Duration = Duration::from_secs(20);

/// The bot or a ghost. Cheap to clone; the client and its store close with the last clone.
#[derive(Clone)]
pub struct VirtualUser(pub(crate) Arc<UserInner>);

pub(crate) struct UserInner {
    inner: Arc<Inner>,
    pub(crate) client: Client,
    user_id: OwnedUserId,
    device_id: OwnedDeviceId,
    pub(crate) is_bot: bool,
    sync: Mutex<SyncWish>,
    /// When the last sync answer was taken in whole.
    pub(crate) beat: watch::Sender<Option<Instant>>,
}

#[derive(Default)]
struct SyncWish {
    wanted: u32,
    running: Option<CancellationToken>,
}

/// One try of something that is tried on.
pub(crate) type Attempt<'a, T> = Pin<Box<dyn Future<Output = Result<T, MatrixError>> + Send + 'a>>;

/// A delayed event's id (MSC4140).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DelayId(pub String);

/// An OpenID token (client-server API, `openid/request_token`): proof towards others of who the user is.
#[derive(Clone, Serialize, Deserialize)]
pub struct OpenIdToken {
    /// The token itself.
    pub access_token: String,
    /// `Bearer`.
    pub token_type: String,
    /// Who can vouch for it.
    pub matrix_server_name: String,
    /// Seconds.
    pub expires_in: u64,
}

impl fmt::Debug for OpenIdToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenIdToken").field("matrix_server_name", &self.matrix_server_name).finish_non_exhaustive()
    }
}

/// A MatrixRTC transport: where calls of a homeserver's users go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RtcTransport {
    /// The address of the authorisation service (`/sfu/get`, `/get_token` under it).
    pub livekit_service_url: String,
}

impl VirtualUser {
    pub(crate) fn new(inner: &Arc<Inner>, opened: Opened, is_bot: bool) -> Self {
        let Opened { client, user_id, device_id } = opened;
        Self(Arc::new(UserInner {
            inner: inner.clone(),
            client,
            user_id,
            device_id,
            is_bot,
            sync: Mutex::default(),
            beat: watch::Sender::new(None),
        }))
    }

    /// Its user id.
    #[must_use]
    pub fn user_id(&self) -> &UserId {
        &self.0.user_id
    }

    /// Its device's id; the same after a restart.
    #[must_use]
    pub fn device_id(&self) -> &DeviceId {
        &self.0.device_id
    }

    pub(crate) fn api(&self) -> &Api {
        &self.0.inner.api
    }

    pub(crate) fn room(&self, room: &RoomId) -> Result<Room, MatrixError> {
        let known = self.0.client.get_room(room).filter(|r| r.state() == RoomState::Joined);
        known.ok_or_else(|| MatrixError::NotJoined { user: self.0.user_id.clone(), room: room.to_owned() })
    }

    // ---- sync

    /// Starts syncing and waits until the first answer was taken: then keys sent to this device arrive. Counted: as
    /// many [`VirtualUser::stop_sync`] end it.
    ///
    /// # Errors
    /// [`MatrixError::Unreachable`] when nothing came within 60 s (it is tried on), [`MatrixError::Stopped`].
    pub async fn start_sync(&self) -> Result<(), MatrixError> {
        let inner = self.0.shared();
        let mut beat = self.0.beat.subscribe();
        {
            let mut wish = self.0.sync.lock().unwrap_or_else(PoisonError::into_inner);
            wish.wanted += 1;
            if wish.running.is_none() {
                self.0.beat.send_replace(None);
                let stop = inner.stop.child_token();
                wish.running = Some(stop.clone());
                inner.spawn("sync", sync::run(inner.clone(), self.clone(), stop));
            }
        }
        let first = tokio::time::timeout(Duration::from_secs(60), beat.wait_for(Option::is_some));
        tokio::select! {
            done = first => match done {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(_)) => Err(MatrixError::Stopped),
                Err(_) => Err(MatrixError::Unreachable { what: "first sync", cause: "no answer in 60 s".into() }),
            },
            () = inner.stop.cancelled() => Err(MatrixError::Stopped),
        }
    }

    /// Takes one [`VirtualUser::start_sync`] back. The store stays; what is sent to the device waits at the homeserver.
    pub fn stop_sync(&self) {
        let mut wish = self.0.sync.lock().unwrap_or_else(PoisonError::into_inner);
        wish.wanted = wish.wanted.saturating_sub(1);
        if wish.wanted == 0
            && let Some(running) = wish.running.take()
        {
            running.cancel();
        }
    }

    pub(crate) fn is_syncing(&self) -> bool {
        self.0.sync.lock().unwrap_or_else(PoisonError::into_inner).running.is_some() && self.last_sync().is_some()
    }

    /// When the last sync answer was taken in.
    #[must_use]
    pub fn last_sync(&self) -> Option<Instant> {
        *self.0.beat.borrow()
    }

    // ---- rooms

    /// Brings this user into the room; a ghost is invited by the bot where that is needed. Nothing is done where it is
    /// in it already.
    ///
    /// # Errors
    /// `M_FORBIDDEN` where the room does not let it in and the bot may not invite.
    pub async fn ensure_joined(&self, room: &RoomId) -> Result<(), MatrixError> {
        if self.is_joined(room) {
            // What the store says may be old for a user that does not sync.
            if self.is_syncing() || self.0.is_bot {
                return Ok(());
            }
        }
        let refused = match self.join(room).await {
            Err(error @ MatrixError::Refused { .. }) if !self.0.is_bot => error,
            done => return done,
        };
        let bot = self.0.shared().bot()?;
        let invited = bot.invite(room, self.user_id()).await;
        match (self.join(room).await, invited) {
            (Err(_), Err(invite)) => {
                tracing::debug!(%room, user = %self.user_id(), %refused, "neither join nor invitation");
                Err(invite)
            }
            (done, _) => done,
        }
    }

    pub(crate) async fn join(&self, room: &RoomId) -> Result<(), MatrixError> {
        self.0.client.join_room_by_id(room).await.map(drop).map_err(|e| MatrixError::sdk("join", e))
    }

    /// Invites `user`.
    ///
    /// # Errors
    /// As the homeserver says.
    pub async fn invite(&self, room: &RoomId, user: &UserId) -> Result<(), MatrixError> {
        let path = format!("/_matrix/client/v3/rooms/{}/invite", encode(room.as_str()));
        let body = json!({ "user_id": user });
        self.api().call("invite", Method::POST, &path, &[], self.who(), Some(&body)).await.map(drop)
    }

    /// Leaves the room, or refuses the invitation to it.
    ///
    /// # Errors
    /// As the homeserver says.
    pub async fn leave(&self, room: &RoomId, reason: Option<&str>) -> Result<(), MatrixError> {
        let path = format!("/_matrix/client/v3/rooms/{}/leave", encode(room.as_str()));
        let body = reason.map_or_else(|| json!({}), |reason| json!({ "reason": reason }));
        self.api().call("leave", Method::POST, &path, &[], self.who(), Some(&body)).await.map(drop)
    }

    /// Sets the name that people read; nothing is sent where it is so already.
    ///
    /// # Errors
    /// As the homeserver says.
    pub async fn set_display_name(&self, name: &str) -> Result<(), MatrixError> {
        let path = format!("/_matrix/client/v3/profile/{}/displayname", encode(self.user_id().as_str()));
        let what = "set a display name";
        let old = match self.api().call(what, Method::GET, &path, &[], self.who(), None).await {
            Ok((_, answer)) => answer["displayname"].as_str().map(str::to_owned),
            Err(MatrixError::Refused { status: 404, .. }) => None,
            Err(error) => return Err(error),
        };
        if old.as_deref() == Some(name) {
            return Ok(());
        }
        self.api()
            .call(what, Method::PUT, &path, &[], self.who(), Some(&json!({ "displayname": name })))
            .await
            .map(drop)
    }

    // ---- sending

    /// Sends an event into the room: encrypted if the room is, never in clear into a room of which that is not certain.
    /// Tried on for two minutes while the homeserver is away, always with the same transaction id, so that `txn` used
    /// again (also after a restart) gives the id of the event that was sent the first time.
    ///
    /// `m.reaction` is the exception that all clients make: it goes in clear, as homeservers must count reactions.
    ///
    /// # Errors
    /// [`MatrixError::certain`] tells whether nothing was sent.
    pub async fn send(
        &self,
        room: &RoomId,
        txn: &str,
        event_type: &str,
        content: Value,
    ) -> Result<OwnedEventId, MatrixError> {
        let content = Raw::new(&content).map_err(|e| MatrixError::local("send", e))?;
        let txn = self.wire_txn(txn);
        let (content, txn) = (&content, &txn);
        self.insist("send", || {
            Box::pin(async move {
                let encrypted = self.is_encrypted(room).await?;
                let sent = self
                    .room(room)?
                    .send_raw(
                        event_type,
                        content.clone().cast_unchecked::<matrix_sdk::ruma::events::AnyMessageLikeEventContent>(),
                    )
                    .with_transaction_id(txn)
                    .with_request_config(RequestConfig::new().disable_retry().timeout(SEND_ONCE))
                    .await
                    .map_err(|e| MatrixError::sdk("send", e))?;
                // The SDK asked the same store a moment later: it cannot have seen less.
                debug_assert!(!encrypted || sent.encryption_info.is_some() || event_type == "m.reaction");
                Ok(sent.response.event_id)
            })
        })
        .await
    }

    /// Redacts an event.
    ///
    /// # Errors
    /// As [`VirtualUser::send`].
    pub async fn redact(
        &self,
        room: &RoomId,
        event: &EventId,
        txn: &str,
        reason: Option<&str>,
    ) -> Result<OwnedEventId, MatrixError> {
        let (room, event, txn) = (encode(room.as_str()), encode(event.as_str()), self.wire_txn(txn));
        let path = format!("/_matrix/client/v3/rooms/{room}/redact/{event}/{}", encode(txn.as_str()));
        let body = reason.map_or_else(|| json!({}), |reason| json!({ "reason": reason }));
        let (path, body) = (&path, &body);
        self.insist("redact", || {
            Box::pin(async move {
                let (_, answer) = self.api().call("redact", Method::PUT, path, &[], self.who(), Some(body)).await?;
                event_id(&answer, "redact")
            })
        })
        .await
    }

    /// Writes a state event. State is never encrypted. Written again with the same content nothing new comes of it.
    ///
    /// # Errors
    /// As [`VirtualUser::send`]; `M_FORBIDDEN` where the power level is too low.
    pub async fn send_state(
        &self,
        room: &RoomId,
        event_type: &str,
        key: &str,
        content: Value,
    ) -> Result<OwnedEventId, MatrixError> {
        let path = state_path(room, event_type, key);
        let (path, content) = (&path, &content);
        self.insist("write state", || {
            Box::pin(async move {
                let (_, answer) =
                    self.api().call("write state", Method::PUT, path, &[], self.who(), Some(content)).await?;
                event_id(&answer, "write state")
            })
        })
        .await
    }

    /// Synapse keys the transactions of an application service by path and service, not by user: two ghosts that used
    /// one transaction id in one room would get each other's event. So the user is part of the id on the wire.
    fn wire_txn(&self, txn: &str) -> matrix_sdk::ruma::OwnedTransactionId {
        <&TransactionId>::from(format!("{txn}.{}", self.0.user_id.localpart()).as_str()).to_owned()
    }

    /// Tries until it works, is refused for good, or two minutes have passed.
    async fn insist<'a, T>(
        &'a self,
        what: &'static str,
        attempt: impl Fn() -> Attempt<'a, T>,
    ) -> Result<T, MatrixError> {
        let started = Instant::now();
        let stop = self.0.shared().stop.clone();
        let mut wait = Duration::from_millis(250);
        loop {
            let error = match attempt().await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let pause = match &error {
                MatrixError::Unreachable { .. } => wait,
                MatrixError::Refused { status: 429, retry_after, .. } => retry_after.unwrap_or(wait),
                _ => return Err(error),
            };
            if started.elapsed() + pause > SEND_FOR {
                return Err(error);
            }
            tracing::debug!(what, %error, pause_ms = pause.as_millis(), "tried again");
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return Err(MatrixError::Stopped),
            }
            wait = (wait * 2).min(Duration::from_secs(8));
        }
    }

    // ---- delayed events (MSC4140)

    /// Has the homeserver write a state event after `delay`, unless it is restarted or cancelled before: a leave that
    /// works also when we die. `None`: the homeserver has no delayed events.
    ///
    /// # Errors
    /// As the homeserver says.
    pub async fn schedule_state(
        &self,
        room: &RoomId,
        event_type: &str,
        key: &str,
        content: Value,
        delay: Duration,
    ) -> Result<Option<DelayId>, MatrixError> {
        if !self.has_delayed_events().await? {
            return Ok(None);
        }
        let what = "schedule an event";
        let path = state_path(room, event_type, key);
        let delay = delay.as_millis().to_string();
        let query = [("org.matrix.msc4140.delay", delay.as_str())];
        match self.api().call(what, Method::PUT, &path, &query, self.who(), Some(&content)).await {
            Ok((_, answer)) => Ok(answer["delay_id"].as_str().map(|id| DelayId(id.to_owned()))),
            // Known to the software, turned off in its configuration.
            Err(MatrixError::Refused { status: 404, .. }) => Ok(None),
            Err(MatrixError::Refused { status: 400, message, .. }) if message.contains("not supported") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Restarts the delay. `false`: there is no such delayed event any more.
    ///
    /// # Errors
    /// As the homeserver says.
    pub async fn restart_delayed(&self, id: &DelayId) -> Result<bool, MatrixError> {
        self.manage_delayed(id, "restart").await
    }

    /// Sends the event now. `false`: there is no such delayed event any more.
    ///
    /// # Errors
    /// As the homeserver says.
    pub async fn send_delayed(&self, id: &DelayId) -> Result<bool, MatrixError> {
        self.manage_delayed(id, "send").await
    }

    /// Forgets the event. `false`: there is no such delayed event any more.
    ///
    /// # Errors
    /// As the homeserver says.
    pub async fn cancel_delayed(&self, id: &DelayId) -> Result<bool, MatrixError> {
        self.manage_delayed(id, "cancel").await
    }

    async fn manage_delayed(&self, id: &DelayId, action: &'static str) -> Result<bool, MatrixError> {
        let what = "manage a delayed event";
        let old = format!("/_matrix/client/unstable/org.matrix.msc4140/delayed_events/{}", encode(&id.0));
        let new = format!("{old}/{action}");
        match self.api().call(what, Method::POST, &new, &[], self.who(), Some(&json!({}))).await {
            Ok(_) => Ok(true),
            Err(MatrixError::Refused { status: 404, errcode, .. }) if errcode == "M_NOT_FOUND" => Ok(false),
            // An older homeserver: the action is in the body.
            Err(MatrixError::Refused { status: 404 | 405, .. }) => {
                let body = json!({ "action": action });
                match self.api().call(what, Method::POST, &old, &[], self.who(), Some(&body)).await {
                    Ok(_) => Ok(true),
                    Err(MatrixError::Refused { status: 404, .. }) => Ok(false),
                    Err(error) => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    async fn has_delayed_events(&self) -> Result<bool, MatrixError> {
        let inner = self.0.shared();
        let known = inner.delayed_events.get_or_try_init(|| async {
            let path = "/_matrix/client/versions";
            let (_, answer) = self.api().call("ask for versions", Method::GET, path, &[], None, None).await?;
            // Without this a homeserver would take the event at once instead of later.
            Ok::<_, MatrixError>(answer["unstable_features"]["org.matrix.msc4140"] == true)
        });
        known.await.copied()
    }

    // ---- media keys

    /// Sends a media key (reference/matrix.md 3.7) to devices, each by Olm, never otherwise. Devices that are not known
    /// yet are asked for first. Who did not get it comes back.
    pub async fn send_media_key(
        &self,
        recipients: &[(OwnedUserId, OwnedDeviceId)],
        content: &Value,
    ) -> Vec<(OwnedUserId, OwnedDeviceId)> {
        let encryption = self.0.client.encryption();
        let mut failed = Vec::new();
        let mut devices = Vec::new();
        let mut asked = BTreeSet::new();
        for (user, device) in recipients {
            let mut found = encryption.get_device(user, device).await.ok().flatten();
            if found.is_none()
                && asked.insert(user)
                && let Err(error) = encryption.request_user_identity(user).await
            {
                tracing::warn!(%user, error = %MatrixError::sdk("ask for devices", error), "devices are not known");
            }
            if found.is_none() {
                found = encryption.get_device(user, device).await.ok().flatten();
            }
            match found {
                Some(found) => devices.push(found),
                None => failed.push((user.clone(), device.clone())),
            }
        }
        if devices.is_empty() {
            return failed;
        }
        let all = || devices.iter().map(|d| (d.user_id().to_owned(), d.device_id().to_owned()));
        let content = match Raw::new(content) {
            Ok(raw) => raw.cast_unchecked(),
            Err(_) => return recipients.to_vec(),
        };
        let sent = encryption
            .encrypt_and_send_raw_to_device(devices.iter().collect(), MEDIA_KEY, content, CollectStrategy::AllDevices)
            .await;
        match sent {
            Ok(not_sent) => failed.extend(not_sent),
            Err(error) => {
                tracing::warn!(user = %self.user_id(), error = %MatrixError::sdk("send a media key", error), "a media key was not sent");
                failed.extend(all());
            }
        }
        failed
    }

    // ---- others

    /// A fresh OpenID token, good for an hour.
    ///
    /// # Errors
    /// As the homeserver says.
    pub async fn openid_token(&self) -> Result<OpenIdToken, MatrixError> {
        let what = "ask for an OpenID token";
        let path = format!("/_matrix/client/v3/user/{}/openid/request_token", encode(self.user_id().as_str()));
        let (_, answer) = self.api().call(what, Method::POST, &path, &[], self.who(), Some(&json!({}))).await?;
        serde_json::from_value(answer).map_err(|e| MatrixError::local(what, e))
    }

    /// Where this homeserver's calls go: what the homeserver says (MSC4143), else its `.well-known`, else our own
    /// configuration. Never empty.
    ///
    /// # Errors
    /// When the homeserver does not answer.
    pub async fn rtc_transports(&self) -> Result<Vec<RtcTransport>, MatrixError> {
        let inner = self.0.shared();
        let what = "ask for transports";
        let path = "/_matrix/client/unstable/org.matrix.msc4143/rtc/transports";
        match self.api().call(what, Method::GET, path, &[], self.who(), None).await {
            Ok((_, answer)) => {
                let found = livekit(&answer["rtc_transports"]);
                if !found.is_empty() {
                    return Ok(found);
                }
            }
            Err(MatrixError::Refused { .. }) => {}
            Err(error) => return Err(error),
        }
        match self.api().call(what, Method::GET, "/.well-known/matrix/client", &[], None, None).await {
            Ok((_, answer)) => {
                let found = livekit(&answer["org.matrix.msc4143.rtc_foci"]);
                if !found.is_empty() {
                    return Ok(found);
                }
            }
            Err(error) => tracing::debug!(homeserver = %inner.homeserver_url, %error, "no .well-known"),
        }
        Ok(vec![RtcTransport { livekit_service_url: inner.own_service_url.clone() }])
    }
}

impl UserInner {
    pub(crate) fn shared(&self) -> &Arc<Inner> {
        &self.inner
    }
}

impl fmt::Debug for VirtualUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtualUser")
            .field("user_id", &self.0.user_id)
            .field("device_id", &self.0.device_id)
            .finish_non_exhaustive()
    }
}

fn livekit(transports: &Value) -> Vec<RtcTransport> {
    let all = transports.as_array().into_iter().flatten().filter(|t| t["type"] == "livekit");
    all.filter_map(|t| serde_json::from_value(t.clone()).ok()).collect()
}

fn event_id(answer: &Value, what: &'static str) -> Result<OwnedEventId, MatrixError> {
    let id = answer["event_id"].as_str().and_then(|id| EventId::parse(id).ok());
    id.ok_or_else(|| MatrixError::local(what, "the answer names no event"))
}

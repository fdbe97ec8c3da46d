//! Roomtone's users in Matrix: the bot, and a ghost for each telephone number.
//!
//! Each virtual user is a `matrix-sdk` client of its own, with its own device, cross-signing identity and encrypted
//! store, behind a loopback identity proxy (`matrix/proxy.rs`), so that the SDK, which knows nothing of application
//! services, encrypts for them as for anybody. To-device messages are taken from each device's `/sync`, never from
//! transactions: Synapse leaves them out of those that it sends again.
//!
//! Events come through one channel of 1024; when it is full the syncs wait, and with them the homeserver keeps what
//! is not taken. Nothing is dropped.
mod api;
mod error;
mod event;
mod invite;
mod proxy;
mod room;
mod store;
mod sync;
mod timeline;
mod user;

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
    time::{Duration, Instant},
};

use bridge::ids::E164;
use matrix_sdk::ruma::{OwnedRoomId, OwnedServerName, OwnedUserId, UserId};
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use api::encode;
pub use error::MatrixError;
pub use event::{
    CALL_MEMBER, LINK, MEDIA_KEY, MatrixEvent, MediaKeyEvent, Message, POLICY, RTC_DECLINE, RTC_NOTIFICATION,
    RawStateEvent,
};
pub use room::{NewRoom, RoomMember};
pub use user::{DelayId, OpenIdToken, RtcTransport, VirtualUser};

use crate::{
    config::{Config, OperatorKey, Permissions},
    registration::{BOT_LOCALPART, Registration, ghost_id, ghost_localpart},
};
use user::UserInner;

/// How many events wait for the desk before the syncs wait.
const EVENTS: usize = 1024;

/// What all virtual users share.
pub(crate) struct Inner {
    api: api::Api,
    proxy: proxy::Proxy,
    key: OperatorKey,
    store_dir: PathBuf,
    server_name: OwnedServerName,
    homeserver_url: String,
    own_service_url: String,
    permissions: Permissions,
    events: mpsc::Sender<MatrixEvent>,
    tasks: TaskTracker,
    stop: CancellationToken,
    bot: OnceLock<Weak<UserInner>>,
    ghosts: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Weak<UserInner>>>>>,
    /// Rooms that one of our users has seen encrypted. There is no way back from that.
    encrypted: Mutex<HashSet<OwnedRoomId>>,
    delayed_events: tokio::sync::OnceCell<bool>,
}

/// Roomtone in Matrix. Cheap to clone.
#[derive(Clone)]
pub struct Matrix {
    inner: Arc<Inner>,
    bot: VirtualUser,
}

impl Matrix {
    /// Starts the identity proxy, brings up the bot (user, device, keys, store) and its sync.
    ///
    /// The first events are a [`MatrixEvent::RoomReady`] for each room that the bot is in.
    ///
    /// # Errors
    /// When the homeserver does not answer or does not know the registration, or the store cannot be used.
    pub async fn start(
        config: &Config,
        registration: &Registration,
        key: &OperatorKey,
    ) -> Result<(Self, mpsc::Receiver<MatrixEvent>), MatrixError> {
        let (events, receiver) = mpsc::channel(EVENTS);
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let url = &config.homeserver.url;
        let proxy = proxy::Proxy::start(url, registration.as_token.clone(), &tasks, stop.clone()).await?;
        let inner = Arc::new(Inner {
            api: api::Api::new(url, registration.as_token.clone())?,
            proxy,
            key: key.clone(),
            store_dir: config.data_dir.join("store"),
            server_name: config.homeserver.server_name.clone(),
            homeserver_url: url.clone(),
            own_service_url: config.livekit_service_url(),
            permissions: config.permissions.clone(),
            events,
            tasks,
            stop,
            bot: OnceLock::new(),
            ghosts: Mutex::default(),
            encrypted: Mutex::default(),
            delayed_events: tokio::sync::OnceCell::new(),
        });
        let bot = match Self::start_bot(&inner, &config.appservice.bot_display_name).await {
            Ok(bot) => bot,
            Err(error) => {
                inner.stop.cancel();
                return Err(error);
            }
        };
        Ok((Self { inner, bot }, receiver))
    }

    async fn start_bot(inner: &Arc<Inner>, name: &str) -> Result<VirtualUser, MatrixError> {
        let started = Instant::now();
        let opened = store::open(inner, BOT_LOCALPART, 4).await?;
        let bot = VirtualUser::new(inner, opened, true);
        let _ = inner.bot.set(Arc::downgrade(&bot.0));
        if let Err(error) = bot.set_display_name(name).await {
            tracing::warn!(%error, "the bot keeps its old name");
        }
        bot.start_sync().await?;
        tracing::info!(user = %bot.user_id(), device = %bot.device_id(), elapsed_ms = started.elapsed().as_millis(), "the bot is up");
        Ok(bot)
    }

    /// The bot. It syncs as long as this lives.
    #[must_use]
    pub fn bot(&self) -> VirtualUser {
        self.bot.clone()
    }

    /// The user id of the ghost that stands for `number`; callers who withhold theirs share one.
    #[must_use]
    pub fn ghost_id(&self, number: Option<&E164>) -> OwnedUserId {
        ghost_id(number, &self.inner.server_name)
    }

    /// The ghost of `number`: made the first time, the same user, device and store ever after. It does not sync until
    /// [`VirtualUser::start_sync`]; while nobody holds it, only its store remains.
    ///
    /// `display_name`: what people read, as in `+44 20 7946 0123 (phone)`.
    ///
    /// # Errors
    /// When the homeserver does not answer or refuses, or the store cannot be used.
    pub async fn ghost(&self, number: Option<&E164>, display_name: &str) -> Result<VirtualUser, MatrixError> {
        let ghost = self.open_ghost(ghost_localpart(number)).await?;
        if let Err(error) = ghost.set_display_name(display_name).await {
            tracing::warn!(user = %ghost.user_id(), %error, "the ghost keeps its old name");
        }
        Ok(ghost)
    }

    /// The bot or a ghost, by its user id.
    ///
    /// # Errors
    /// As [`Matrix::ghost`]; [`MatrixError::Local`] for somebody who is none of ours.
    pub async fn user(&self, user: &UserId) -> Result<VirtualUser, MatrixError> {
        if user == self.bot.user_id() {
            return Ok(self.bot());
        }
        if !self.inner.is_ours(user) {
            return Err(MatrixError::local("act as a user", format!("{user} is none of ours")));
        }
        self.open_ghost(user.localpart().to_owned()).await
    }

    async fn open_ghost(&self, localpart: String) -> Result<VirtualUser, MatrixError> {
        let slot = {
            let mut ghosts = self.inner.ghosts.lock().unwrap_or_else(PoisonError::into_inner);
            // Slots of ghosts that nobody holds or opens would pile up with each caller.
            ghosts.retain(|_, slot| {
                Arc::strong_count(slot) > 1 || slot.try_lock().map_or(true, |weak| weak.strong_count() > 0)
            });
            ghosts.entry(localpart.clone()).or_default().clone()
        };
        // One store must never be opened twice: who comes second waits for the first.
        let mut slot = slot.lock().await;
        if let Some(alive) = slot.upgrade() {
            return Ok(VirtualUser(alive));
        }
        let started = Instant::now();
        let opened = store::open(&self.inner, &localpart, 2).await?;
        let ghost = VirtualUser::new(&self.inner, opened, false);
        *slot = Arc::downgrade(&ghost.0);
        tracing::info!(elapsed_ms = started.elapsed().as_millis(), "a ghost is up");
        Ok(ghost)
    }

    /// Whether the bot's sync was answered in the last 90 s.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.bot.last_sync().is_some_and(|at| at.elapsed() < Duration::from_secs(90))
    }

    /// The homeserver's name.
    #[must_use]
    pub fn server_name(&self) -> &OwnedServerName {
        &self.inner.server_name
    }

    /// Who may use Roomtone.
    #[must_use]
    pub fn permissions(&self) -> &Permissions {
        &self.inner.permissions
    }

    /// Whether `user` is the bot or a ghost.
    #[must_use]
    pub fn is_ours(&self, user: &str) -> bool {
        UserId::parse(user).is_ok_and(|user| self.inner.is_ours(&user))
    }

    /// Ends all syncs and the proxy; waits at most 5 s for them. Stores stay.
    pub async fn stop(&self) {
        self.inner.stop.cancel();
        self.inner.tasks.close();
        if tokio::time::timeout(Duration::from_secs(5), self.inner.tasks.wait()).await.is_err() {
            tracing::warn!(left = self.inner.tasks.len(), "Matrix tasks did not end in time");
        }
    }
}

impl Inner {
    fn is_ours(&self, user: &matrix_sdk::ruma::UserId) -> bool {
        crate::registration::is_ours(user, &self.server_name)
    }

    fn bot(&self) -> Result<VirtualUser, MatrixError> {
        self.bot.get().and_then(Weak::upgrade).map(VirtualUser).ok_or(MatrixError::Stopped)
    }

    async fn emit(&self, event: MatrixEvent) {
        // A closed channel: the desk is gone, the process ends.
        let _ = self.events.send(event).await;
    }

    /// Runs a task that reports its own panic.
    fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let handle = self.tasks.spawn(task);
        self.tasks.spawn(async move {
            if let Err(error) = handle.await
                && error.is_panic()
            {
                tracing::error!(task = name, "a task panicked; this is a bug of Roomtone's");
            }
        });
    }
}

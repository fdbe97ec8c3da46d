//! A user's sync loop: asks, hands the answer to `timeline`, backs off when the homeserver is away.
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use matrix_sdk::{
    config::SyncSettings,
    ruma::{
        api::client::{
            filter::{Filter, FilterDefinition, LazyLoadOptions, RoomEventFilter},
            sync::sync_events::v3::Filter as SyncFilter,
        },
        presence::PresenceState,
        uint,
    },
};
use matrix_sdk_base::{StateStoreDataKey, StateStoreDataValue};
use tokio_util::sync::CancellationToken;

use super::{Inner, MatrixError, timeline::Reader, user::VirtualUser};

/// How long the homeserver may hold an answer back.
const LONG_POLL: Duration = Duration::from_secs(30);

/// What a sync asks for: no presence, receipts or typing; members only as they are needed. A ghost needs no
/// timeline, the bot up to 100 events a room (older ones of a gap are fetched).
pub(crate) fn settings(timeline: bool, timeout: Duration) -> SyncSettings {
    let mut filter = FilterDefinition::default();
    filter.presence = Filter::ignore_all();
    filter.room.ephemeral = RoomEventFilter::ignore_all();
    filter.room.account_data = RoomEventFilter::ignore_all();
    filter.room.timeline.limit = Some(if timeline { uint!(100) } else { uint!(1) });
    filter.room.state.lazy_load_options = LazyLoadOptions::Enabled { include_redundant_members: false };
    SyncSettings::new()
        .filter(SyncFilter::FilterDefinition(filter))
        .timeout(timeout)
        .set_presence(PresenceState::Offline)
}

/// Syncs until `stop`. The first answer comes at once, whether or not anything is new.
pub(crate) async fn run(inner: Arc<Inner>, user: VirtualUser, stop: CancellationToken) {
    let inner_dir = inner.store_dir.clone();
    let mut reader = Reader::new(inner, user.clone());
    reader.start().await;
    let mut since = saved_token(&user).await;
    let mark = user.0.is_bot.then(|| Mark::beside_store(&inner_dir, user.user_id().localpart()));
    if let (Some(mark), Some(since)) = (&mark, &since)
        && let Some(handled) = mark.read().filter(|handled| handled != since)
    {
        reader.catch_up(&handled, since).await;
    }
    let mut failures = 0_u32;
    let mut first = true;
    loop {
        let timeout = if first || failures > 0 { Duration::ZERO } else { LONG_POLL };
        let answer = tokio::select! {
            answer = user.0.client.sync_once(settings(user.0.is_bot, timeout)) => answer,
            () = stop.cancelled() => return,
        };
        match answer {
            Ok(response) => {
                if failures > 2 {
                    tracing::info!(user = %user.user_id(), failures, "sync works again");
                }
                failures = 0;
                first = false;
                let next = response.next_batch.clone();
                tokio::select! {
                    () = reader.read(response, since.as_deref()) => {}
                    () = stop.cancelled() => return,
                }
                if let Some(mark) = &mark {
                    mark.write(&next);
                }
                since = Some(next);
                user.0.beat.send_replace(Some(Instant::now()));
            }
            Err(error) => {
                failures += 1;
                let error = MatrixError::sdk("sync", error);
                if failures == 3 {
                    tracing::warn!(user = %user.user_id(), %error, "sync fails, trying on");
                } else {
                    tracing::debug!(user = %user.user_id(), %error, failures, "sync failed");
                }
                let wait = Duration::from_millis(250 << failures.min(7));
                tokio::select! {
                    () = tokio::time::sleep(wait.min(Duration::from_secs(20))) => {}
                    () = stop.cancelled() => return,
                }
            }
        }
    }
}

/// Up to where the store has synced.
async fn saved_token(user: &VirtualUser) -> Option<String> {
    let saved = user.0.client.state_store().get_kv_data(StateStoreDataKey::SyncToken).await;
    saved.ok().flatten().and_then(StateStoreDataValue::into_sync_token)
}

/// Up to where the desk has been told. The SDK keeps its own token before anybody has read the answer: what came in an
/// answer that a kill cut off would otherwise be lost.
struct Mark(PathBuf);

impl Mark {
    fn beside_store(store: &Path, localpart: &str) -> Self {
        Self(store.join(localpart).join("told.token"))
    }

    fn read(&self) -> Option<String> {
        std::fs::read_to_string(&self.0).ok().filter(|token| !token.is_empty())
    }

    fn write(&self, token: &str) {
        let fresh = self.0.with_extension("new");
        // Not synced to the disk: a power cut at worst brings events a second time.
        let written = std::fs::write(&fresh, token).and_then(|()| std::fs::rename(&fresh, &self.0));
        if let Err(error) = written {
            tracing::warn!(path = %self.0.display(), %error, "what was told is not kept");
        }
    }
}

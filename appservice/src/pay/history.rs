//! What is older than a room's plan keeps it is deleted from the archive, key and all.

use std::{sync::Arc, time::Duration};

use bridge::time::UnixMillis;
use payments::attach::{Ask, Told};
use tokio_util::sync::CancellationToken;

use crate::call::House;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(3600);
/// A homeserver repeats nothing that is older.
const HANDLED: Duration = Duration::from_secs(7 * 24 * 3600);

/// Deletes old calls, and what the journal no longer needs, until `stop`.
pub async fn keep_house(house: Arc<House>, stop: CancellationToken) {
    loop {
        if let Err(error) = clear(&house).await {
            tracing::warn!(%error, "what is old could not be deleted; it is tried again");
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn clear(house: &House) -> anyhow::Result<()> {
    let now = UnixMillis::now();
    let before = |span: Duration| UnixMillis(now.0.saturating_sub(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)));
    house.archive.prune(before(HANDLED)).await?;
    if !house.payments.charges() {
        return Ok(());
    }
    for room in house.archive.rooms_with_calls().await? {
        // What is not known deletes nothing.
        let Ok(answer) = house.payments.ask(Ask::Transcription { room: room.to_string() }).await else { continue };
        let Told::Transcription(allowed) = answer.told else { continue };
        let Some(days) = allowed.history else { continue };
        let old = before(Duration::from_secs(u64::from(days) * 24 * 3600));
        for call in house.archive.calls_ended_before(&room, old).await? {
            house.archive.delete_call(call).await?;
            tracing::info!(%room, %call, days, "a call is older than the room's plan keeps it: deleted");
        }
    }
    Ok(())
}

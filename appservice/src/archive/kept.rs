//! How far something outside was read, and what is older than a room keeps it.

use bridge::time::UnixMillis;
use matrix_sdk::ruma::{OwnedRoomId, RoomId};

use super::{Archive, ArchiveError, CallId, Tx, read::id16, store::millis};

impl Tx {
    /// Remembers how far something outside was read.
    ///
    /// # Errors
    /// What the database says.
    pub async fn set_cursor(&mut self, name: &str, at: i64) -> Result<(), ArchiveError> {
        sqlx::query("INSERT INTO cursors (name, at) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET at = excluded.at")
            .bind(name)
            .bind(at)
            .execute(&mut *self.sql)
            .await?;
        Ok(())
    }
}

impl Archive {
    /// How far something outside was read; `None`: never.
    ///
    /// # Errors
    /// What the database says.
    pub async fn cursor(&self, name: &str) -> Result<Option<i64>, ArchiveError> {
        let at = sqlx::query_scalar("SELECT at FROM cursors WHERE name = ?").bind(name);
        Ok(at.fetch_optional(&self.inner.reader).await?)
    }

    /// Rooms with calls that are over.
    ///
    /// # Errors
    /// What the database says.
    pub async fn rooms_with_calls(&self) -> Result<Vec<OwnedRoomId>, ArchiveError> {
        let rooms: Vec<String> =
            sqlx::query_scalar("SELECT DISTINCT room_id FROM calls WHERE ended_ms IS NOT NULL ORDER BY room_id")
                .fetch_all(&self.inner.reader)
                .await?;
        let read = |room: String| RoomId::parse(room).map_err(|_| ArchiveError::malformed("calls", "a room id"));
        rooms.into_iter().map(read).collect()
    }

    /// Calls of a room that ended before a time.
    ///
    /// # Errors
    /// What the database says.
    pub async fn calls_ended_before(&self, room: &RoomId, before: UnixMillis) -> Result<Vec<CallId>, ArchiveError> {
        let calls: Vec<Vec<u8>> =
            sqlx::query_scalar("SELECT call_id FROM calls WHERE room_id = ? AND ended_ms < ? ORDER BY ended_ms")
                .bind(room.as_str())
                .bind(millis(before))
                .fetch_all(&self.inner.reader)
                .await?;
        calls.iter().map(|id| id16("calls", id).map(CallId::from_bytes)).collect()
    }
}

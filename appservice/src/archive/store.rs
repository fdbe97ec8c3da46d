//! The database itself: made, opened, checked, and the keys in it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bridge::time::UnixMillis;
use matrix_sdk::ruma::RoomId;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{SqliteConnection, SqlitePool};
use tokio::sync::watch;

use super::{ArchiveError, ArchiveKey, CallId, Place, Secret, Tx};
use crate::journal::Journal;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");

/// How long a write waits for another program on the same file (a backup, say) before it gives up.
const BUSY: Duration = Duration::from_secs(10);

/// The archive. Cheap to clone; all clones share one writer connection and a few readers.
#[derive(Clone)]
pub struct Archive {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    writer: SqlitePool,
    pub(crate) reader: SqlitePool,
    pub(crate) keys: Keys,
    /// Part of every transaction id, so that a new database never repeats one of an old database.
    pub(crate) instance: String,
    pub(crate) recorded: watch::Sender<u64>,
}

/// The subkeys of the operator's key.
pub(crate) struct Keys {
    pub(super) wrap: Secret,
    pub(crate) journal: Secret,
    pub(crate) slots: Secret,
    pub(crate) numbers: Secret,
    pub(crate) number_hashes: Secret,
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Archive")
    }
}

impl Archive {
    /// Opens the database at `path`, makes it where there is none, and brings it up to date.
    ///
    /// # Errors
    /// [`ArchiveError::WrongKey`] where it was made under another key, [`ArchiveError::Migrate`] where a newer program
    /// made it, else what the file system or the database says.
    pub async fn open(path: &Path, key: &ArchiveKey) -> Result<Self, ArchiveError> {
        make_private(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY)
            .foreign_keys(true)
            .pragma("secure_delete", "ON");
        let writer = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
        MIGRATIONS.run(&writer).await?;
        let reader = SqlitePoolOptions::new().max_connections(4).connect_with(options.read_only(true)).await?;
        let keys = Keys {
            wrap: key.subkey("wrap rooms"),
            journal: key.subkey("journal"),
            slots: key.subkey("journal slots"),
            numbers: key.subkey("numbers"),
            number_hashes: key.subkey("number hashes"),
        };
        let instance = check_key_and_name(&writer, key).await?;
        let archive =
            Self { inner: Arc::new(Inner { writer, reader, keys, instance, recorded: watch::Sender::new(0) }) };
        archive.journal().recover().await?;
        Ok(archive)
    }

    /// The journal in the same database.
    #[must_use]
    pub fn journal(&self) -> Journal {
        Journal::new(self.clone())
    }

    /// Begins a transaction. There is one writer: others wait until it is committed or dropped, so wait for nothing else in
    /// between. Dropped without [`Tx::commit`], it never was.
    ///
    /// # Errors
    /// What the database says.
    pub async fn begin(&self) -> Result<Tx, ArchiveError> {
        let sql = self.inner.writer.begin_with("BEGIN IMMEDIATE").await?;
        Ok(Tx { sql, archive: self.clone(), recorded: 0, shredded: false })
    }

    /// Closes the database. What is under way is waited for.
    pub async fn close(&self) {
        self.inner.reader.close().await;
        self.inner.writer.close().await;
    }

    /// Takes what the write-ahead log still holds of destroyed keys and rows off the disk.
    pub(super) async fn truncate_log(&self) -> Result<(), ArchiveError> {
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.inner.writer).await?;
        Ok(())
    }

    /// A call's key, and its room's key for the index of words.
    pub(crate) async fn call_keys(&self, sql: &mut SqliteConnection, call: CallId) -> Result<CallKeys, ArchiveError> {
        let row: Option<(String, Vec<u8>, Vec<u8>)> = sqlx::query_as(
            "SELECT calls.room_id, room_key, call_key FROM calls JOIN rooms ON rooms.room_id = calls.room_id WHERE call_id = ?",
        )
        .bind(&call.as_bytes()[..])
        .fetch_optional(sql)
        .await?;
        let (room, room_key, call_key) = row.ok_or(ArchiveError::NoSuchCall(call))?;
        self.open_call_keys(&room, &room_key, call, &call_key)
    }

    pub(crate) fn open_call_keys(
        &self,
        room: &str,
        room_key: &[u8],
        call: CallId,
        call_key: &[u8],
    ) -> Result<CallKeys, ArchiveError> {
        let room_key = self.inner.keys.wrap.unwrap_key(&room_place(room), room_key)?;
        let call_key = room_key.subkey("wrap calls").unwrap_key(&call_place(room, call), call_key)?;
        Ok(CallKeys { parties: call_key.subkey("parties"), rows: call_key, words: room_key.subkey("words") })
    }

    /// The key of a room's word index; `None` where the room has had no call.
    pub(super) async fn word_key(&self, room: &RoomId) -> Result<Option<Secret>, ArchiveError> {
        let row: Option<(Vec<u8>,)> = sqlx::query_as("SELECT room_key FROM rooms WHERE room_id = ?")
            .bind(room.as_str())
            .fetch_optional(&self.inner.reader)
            .await?;
        row.map(|(key,)| Ok(self.inner.keys.wrap.unwrap_key(&room_place(room.as_str()), &key)?.subkey("words")))
            .transpose()
    }

    /// A room's key; made where there is none yet.
    pub(super) async fn room_key(&self, sql: &mut SqliteConnection, room: &RoomId) -> Result<Secret, ArchiveError> {
        let room = room.as_str();
        let known: Option<(Vec<u8>,)> =
            sqlx::query_as("SELECT room_key FROM rooms WHERE room_id = ?").bind(room).fetch_optional(&mut *sql).await?;
        if let Some((sealed,)) = known {
            return Ok(self.inner.keys.wrap.unwrap_key(&room_place(room), &sealed)?);
        }
        let key = Secret::generate()?;
        let sealed = self.inner.keys.wrap.wrap(&room_place(room), &key)?;
        sqlx::query("INSERT INTO rooms (room_id, room_key, created_ms) VALUES (?, ?, ?)")
            .bind(room)
            .bind(sealed)
            .bind(millis(UnixMillis::now()))
            .execute(&mut *sql)
            .await?;
        Ok(key)
    }

    /// A new wrapped key for a call of this room; the room's key is made with its first call.
    pub(super) async fn new_call_key(
        &self,
        sql: &mut SqliteConnection,
        room: &RoomId,
        call: CallId,
    ) -> Result<(Secret, Vec<u8>), ArchiveError> {
        let room_key = self.room_key(sql, room).await?;
        let room = room.as_str();
        let key = Secret::generate()?;
        let wrapped = room_key.subkey("wrap calls").wrap(&call_place(room, call), &key)?;
        Ok((key, wrapped))
    }
}

/// What opens a call's rows, and what hashes its parties and its room's words.
#[derive(Debug)]
pub(crate) struct CallKeys {
    pub(crate) rows: Secret,
    pub(crate) words: Secret,
    parties: Secret,
}

impl CallKeys {
    /// What stands for a party in clear columns.
    pub(crate) fn party(&self, user: &str) -> [u8; 16] {
        self.parties.blind(user.as_bytes())
    }
}

pub(super) fn room_place(room: &str) -> Place {
    Place::new("rooms", "room_key", room)
}

fn call_place(room: &str, call: CallId) -> Place {
    Place::new("calls", "call_key", format_args!("{call}/{room}"))
}

/// Milliseconds as SQLite keeps them.
pub(crate) fn millis(at: UnixMillis) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

/// Milliseconds as SQLite kept them.
pub(crate) fn from_millis(at: i64) -> UnixMillis {
    UnixMillis(u64::try_from(at).unwrap_or(0))
}

/// An empty file that only its owner may read, where there is none: SQLite gives its log the same mode.
fn make_private(path: &Path) -> Result<(), ArchiveError> {
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        std::fs::create_dir_all(dir)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?;
    Ok(())
}

/// Refuses another operator key by name, and gives the database its name at its first opening.
async fn check_key_and_name(writer: &SqlitePool, key: &ArchiveKey) -> Result<String, ArchiveError> {
    let check = key.subkey("key check").blind(b"roomtone");
    let mut name = [0; 6];
    getrandom::fill(&mut name)?;
    let mut sql = writer.begin_with("BEGIN IMMEDIATE").await?;
    for (meta, value) in [("key_check", &check[..]), ("instance", &name[..])] {
        sqlx::query("INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING")
            .bind(meta)
            .bind(value)
            .execute(&mut *sql)
            .await?;
    }
    let stored = "SELECT value FROM meta WHERE name = ?";
    let known: Vec<u8> = sqlx::query_scalar(stored).bind("key_check").fetch_one(&mut *sql).await?;
    let instance: Vec<u8> = sqlx::query_scalar(stored).bind("instance").fetch_one(&mut *sql).await?;
    if known != check {
        return Err(ArchiveError::WrongKey);
    }
    sql.commit().await?;
    Ok(hex::encode(instance))
}

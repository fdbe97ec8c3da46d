//! The one database that all rooms of the payments module keep their tables in: SQLite or PostgreSQL.
//!
//! SQLite has one connection that writes, shared by all rooms of the process, and a few that read; other processes are kept
//! apart by `BEGIN IMMEDIATE`. Every commit is on the disk before it is told (`synchronous=FULL`).

use std::time::Duration;

use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{PgPool, SqlitePool};

static SQLITE: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: sqlx::migrate::Migrator = sqlx::migrate!("migrations/postgres");

/// How long a commit waits for another process, and who asks for a connection.
const BUSY: Duration = Duration::from_secs(10);
/// Connections that only read a SQLite file.
const READERS: u32 = 4;
/// Connections to PostgreSQL: the ledger's writer has one, the rest is for everybody else.
const CONNECTIONS: u32 = 8;
/// How often opening is tried: of two processes that make a new file at once, one finds it half made.
const TRIES: u32 = 10;

/// Why there is no database.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// What it said.
    #[error("the payments database cannot be opened: {0}")]
    Connect(#[from] sqlx::Error),
    /// It was made by another version of Roomtone, or its making was changed.
    #[error("the payments database cannot be brought up to date: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// No database that is known.
    #[error("{0:?} names no database; use sqlite://FILE or postgres://HOST/NAME")]
    Url(String),
}

/// A database that is open and up to date. Cheap to clone.
#[derive(Debug, Clone)]
pub enum Database {
    /// A file.
    Sqlite(SqliteFile),
    /// A server.
    Postgres(PgPool),
}

/// A SQLite file's connections.
#[derive(Debug, Clone)]
pub struct SqliteFile {
    /// The one that writes. Begin with `BEGIN IMMEDIATE`, be brief: all rooms share it.
    pub writer: SqlitePool,
    /// Those that read.
    pub reader: SqlitePool,
}

impl Database {
    /// Opens the database at `sqlite://FILE` or `postgres://…`, makes it where there is none, and brings it up to date.
    ///
    /// # Errors
    /// [`OpenError`] says what it said; never the address, which may hold a password.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => {
                let mut tries = 1;
                loop {
                    match SqliteFile::open(url).await {
                        Err(_) if tries < TRIES => tries += 1,
                        opened => return opened.map(Self::Sqlite),
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            Some("postgres" | "postgresql") => {
                let pool = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(BUSY);
                let pool = pool.after_connect(|connection, _| Box::pin(async { planned(connection).await }));
                let pool = pool.connect(url).await?;
                POSTGRES.run(&pool).await?;
                Ok(Self::Postgres(pool))
            }
            _ => Err(OpenError::Url(url.split(':').next().unwrap_or_default().to_owned())),
        }
    }
}

/// The tables are looked into by their keys, from the first row on. Left to itself PostgreSQL plans by how many rows there were
/// when it last counted, and reads a table through that was empty then and has a million rows now.
async fn planned(connection: &mut sqlx::PgConnection) -> Result<(), sqlx::Error> {
    // What has no index counts as very dear then, and would be compiled first.
    for setting in ["SET enable_seqscan = off", "SET jit = off"] {
        sqlx::query(setting).execute(&mut *connection).await?;
    }
    Ok(())
}

impl SqliteFile {
    async fn open(url: &str) -> Result<Self, OpenError> {
        let options: SqliteConnectOptions = url.parse()?;
        let options = options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY)
            // What is read for a commit is handed over at once: else two threads take turns for every fifty rows.
            .row_buffer_size(4096)
            // In KiB: the upper levels of all indexes stay in memory.
            .pragma("cache_size", "-65536")
            // In pages of 4 KiB: what many commits change is copied into the file once.
            .pragma("wal_autocheckpoint", "16384");
        let pool = SqlitePoolOptions::new().acquire_timeout(BUSY);
        let writer = pool.clone().max_connections(1).connect_with(options.clone()).await?;
        SQLITE.run(&writer).await?;
        let reader = pool.max_connections(READERS).connect_with(options.read_only(true)).await?;
        Ok(Self { writer, reader })
    }
}

/// Runs a question with whichever pool it is: `ask!(&database, pool => sqlx::query(…).fetch_one(pool))`. For SQL that reads
/// and that both databases understand (`$1` for what is bound).
macro_rules! ask {
    ($database:expr, $pool:ident => $asked:expr) => {
        match $database {
            $crate::database::Database::Sqlite(file) => {
                let $pool = &file.reader;
                $asked.await
            }
            $crate::database::Database::Postgres(pool) => {
                let $pool = pool;
                $asked.await
            }
        }
    };
}
pub(crate) use ask;

/// The same for SQL that writes, by itself or in a transaction that it begins.
macro_rules! tell {
    ($database:expr, $pool:ident => $told:expr) => {
        match $database {
            $crate::database::Database::Sqlite(file) => {
                let $pool = &file.writer;
                $told.await
            }
            $crate::database::Database::Postgres(pool) => {
                let $pool = pool;
                $told.await
            }
        }
    };
}
pub(crate) use tell;

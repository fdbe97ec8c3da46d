//! Rate decks in the database: the files as they were imported, with who imported them and from when on they hold.
//!
//! A file is kept as it came, so that what a customer was charged by can be shown years later. It is read again by [`read_csv`] when the
//! program starts: whatever that takes once it must take for ever, and read alike. Nothing is changed or deleted: a mistake is
//! mended by importing another version.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::deck::{Deck, DeckId, DeckKind, Decks};
use super::import::{ImportError, MOST_BYTES, read_csv};
use super::table::TwoLines;
use crate::UnixMillis;
use crate::database::{Database, ask, tell};
use crate::tables::{TableError, array, at, impossible, number, time};

const TABLE: &str = "decks";
/// Characters of a deck's name, and of who imported it.
const MOST_NAME: usize = 120;
/// How often an import is tried when another one takes the number of its version.
const TRIES: u32 = 10;

/// Why a deck is not imported or not read. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum DeckError {
    /// The name of a deck or of who imports it.
    #[error("{what} {name:?} cannot be; 1 to {MOST_NAME} characters without line breaks are expected")]
    Name {
        /// `a deck's name` or `who imports it`.
        what: &'static str,
        /// As given.
        name: String,
    },
    /// It would change what calls have cost.
    #[error("a deck cannot be valid from a moment that is past; leave valid_from out, and it is valid from now on")]
    Past,
    /// What is wrong with the file.
    #[error("{0}")]
    File(#[from] ImportError),
    /// There is no such version.
    #[error("there is no {0}")]
    None(DeckId),
    /// A stored file is not the one that was imported.
    #[error("the file of {0} was changed in the database; restore the database, or import a new version")]
    Changed(DeckId),
    /// A stored file cannot be read, though it could when it was imported.
    #[error("{id} cannot be read: {error}")]
    Unreadable {
        /// Which.
        id: DeckId,
        /// Why.
        error: String,
    },
    /// The database.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The program ends.
    #[error("the deck was not read to its end: {0}")]
    Ended(#[from] tokio::task::JoinError),
}

/// What is to be imported.
#[derive(Debug, Clone)]
pub struct Import {
    /// Costs or prices.
    pub kind: DeckKind,
    /// Its name; a name that is known gets another version.
    pub name: String,
    /// From when on it holds; `None`: now.
    pub valid_from: Option<UnixMillis>,
    /// Who imports it, as the log and the list show it: a Matrix user.
    pub by: String,
    /// The CSV file; see [`super::import`].
    pub file: Vec<u8>,
}

/// What is known of a version, its lines aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeckInfo {
    /// Which.
    pub id: DeckId,
    /// From when on it holds, unless another begins later.
    pub valid_from: UnixMillis,
    /// When it was imported.
    pub imported_at: UnixMillis,
    /// By whom.
    pub imported_by: String,
    /// How many lines it has.
    pub prefixes: u32,
    /// SHA-256 of its file.
    pub digest: [u8; 32],
}

/// What became of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Imported {
    /// It is a new version. Load the decks again ([`DeckStore::load`]), and new calls go by it.
    New(DeckInfo),
    /// The newest version is of this very file and moment: nothing was done.
    Exists(DeckInfo),
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    kind: i64,
    name: String,
    version: i64,
    valid_from: i64,
    imported_at: i64,
    imported_by: String,
    prefixes: i64,
    digest: Vec<u8>,
}

const COLUMNS: &str = "kind, name, version, valid_from, imported_at, imported_by, prefixes, digest";

impl Row {
    fn read(self) -> Result<DeckInfo, TableError> {
        let kind = u8::try_from(self.kind).ok().and_then(DeckKind::from_number);
        let kind = kind.ok_or_else(|| impossible(TABLE, "kind", self.kind))?;
        Ok(DeckInfo {
            id: DeckId { kind, name: self.name.into(), version: number(TABLE, "version", self.version)? },
            valid_from: at(self.valid_from),
            imported_at: at(self.imported_at),
            imported_by: self.imported_by,
            prefixes: number(TABLE, "prefixes", self.prefixes)?,
            digest: array(TABLE, "digest", &self.digest)?,
        })
    }
}

/// The decks in a database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DeckStore {
    database: Database,
}

fn check_name(what: &'static str, name: &str) -> Result<(), DeckError> {
    if !name.is_empty() && name.chars().count() <= MOST_NAME && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(DeckError::Name { what, name: name.chars().take(MOST_NAME).collect() })
}

impl DeckStore {
    /// The decks in this database.
    #[must_use]
    pub const fn new(database: Database) -> Self {
        Self { database }
    }

    /// Imports a file as a new version. Asked again with the same file and moment, it does nothing. Calls go by it only once the
    /// decks are loaded again, and never those that have begun before.
    ///
    /// # Errors
    /// [`DeckError`]: above all [`DeckError::File`], which tells all that is wrong by line and column.
    pub async fn import(&self, now: UnixMillis, import: Import) -> Result<Imported, DeckError> {
        check_name("a deck's name", &import.name)?;
        check_name("who imports it:", &import.by)?;
        if import.valid_from.is_some_and(|from| from < now) {
            return Err(DeckError::Past);
        }
        // A large file takes a second to read: not on a thread that carries calls.
        let read = tokio::task::spawn_blocking(move || {
            let lines = read_csv(&import.file)?;
            let digest: [u8; 32] = Sha256::digest(&import.file).into();
            Ok::<_, ImportError>((import, lines.len(), digest))
        });
        let (import, prefixes, digest) = read.await??;
        let prefixes = u32::try_from(prefixes).map_err(|_| ImportError::TooMany)?;
        let mut tries = 1;
        loop {
            let newest = self.newest(import.kind, &import.name).await?;
            let id = |version| DeckId { kind: import.kind, name: import.name.as_str().into(), version };
            if let Some(newest) = &newest
                && newest.digest == digest
                && import.valid_from.map_or(newest.valid_from <= now, |from| from == newest.valid_from)
            {
                return Ok(Imported::Exists(newest.clone()));
            }
            let info = DeckInfo {
                id: id(newest.map_or(0, |newest| newest.id.version).saturating_add(1)),
                valid_from: import.valid_from.unwrap_or(now),
                imported_at: now,
                imported_by: import.by.clone(),
                prefixes,
                digest,
            };
            match self.write(&info, &import.file).await {
                Ok(true) => return Ok(Imported::New(info)),
                Ok(false) if tries < TRIES => tries += 1,
                Ok(false) => return Err(TableError::Changed("the decks of this name").into()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// `false`: another import was quicker, and has this version.
    async fn write(&self, info: &DeckInfo, file: &[u8]) -> Result<bool, TableError> {
        let new: Option<i64> = tell!(&self.database, pool => sqlx::query_scalar(
                "INSERT INTO decks (kind, name, version, valid_from, imported_at, imported_by, prefixes, digest, file)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING RETURNING version",
            )
            .bind(i64::from(info.id.kind.number()))
            .bind(&*info.id.name)
            .bind(i64::from(info.id.version))
            .bind(time(info.valid_from))
            .bind(time(info.imported_at))
            .bind(&info.imported_by)
            .bind(i64::from(info.prefixes))
            .bind(&info.digest[..])
            .bind(file)
            .fetch_optional(pool))?;
        Ok(new.is_some())
    }

    async fn newest(&self, kind: DeckKind, name: &str) -> Result<Option<DeckInfo>, TableError> {
        let row: Option<Row> = ask!(&self.database, pool => sqlx::query_as(sqlx::AssertSqlSafe(format!(
                "SELECT {COLUMNS} FROM decks WHERE kind = $1 AND name = $2 ORDER BY version DESC LIMIT 1",
            )))
            .bind(i64::from(kind.number()))
            .bind(name)
            .fetch_optional(pool))?;
        row.map(Row::read).transpose()
    }

    /// All versions of all decks, by kind, name and version.
    ///
    /// # Errors
    /// What the database says.
    pub async fn list(&self) -> Result<Vec<DeckInfo>, TableError> {
        let rows: Vec<Row> = ask!(&self.database, pool => sqlx::query_as(sqlx::AssertSqlSafe(format!(
                "SELECT {COLUMNS} FROM decks ORDER BY kind, name, version",
            )))
            .fetch_all(pool))?;
        rows.into_iter().map(Row::read).collect()
    }

    /// The file of a version, byte for byte as it was imported.
    ///
    /// # Errors
    /// [`DeckError::None`], and [`DeckError::Changed`] where somebody has written into the database.
    pub async fn export(&self, id: &DeckId) -> Result<Vec<u8>, DeckError> {
        let row: Option<(Vec<u8>, Vec<u8>)> = ask!(&self.database, pool => sqlx::query_as(
                "SELECT file, digest FROM decks WHERE kind = $1 AND name = $2 AND version = $3",
            )
            .bind(i64::from(id.kind.number()))
            .bind(&*id.name)
            .bind(i64::from(id.version))
            .fetch_optional(pool))
        .map_err(TableError::from)?;
        let (file, digest) = row.ok_or_else(|| DeckError::None(id.clone()))?;
        if file.len() > MOST_BYTES || Sha256::digest(&file).as_slice() != digest {
            return Err(DeckError::Changed(id.clone()));
        }
        Ok(file)
    }

    /// All versions that are in force at this time or will be later: what new calls need.
    ///
    /// # Errors
    /// [`DeckError`]. One deck that cannot be read fails them all: without it calls would go by an older one, at other prices.
    pub async fn load(&self, now: UnixMillis) -> Result<Decks, DeckError> {
        let mut decks = Decks::default();
        let all = self.list().await?;
        for same in all.chunk_by(|a, b| (a.id.kind, &a.id.name) == (b.id.kind, &b.id.name)) {
            let began = same.iter().filter(|deck| deck.valid_from <= now);
            let in_force = began.max_by_key(|deck| (deck.valid_from, deck.id.version));
            for info in in_force.into_iter().chain(same.iter().filter(|deck| deck.valid_from > now)) {
                decks.add(self.read(info.clone()).await?);
            }
        }
        Ok(decks)
    }

    async fn read(&self, info: DeckInfo) -> Result<Arc<Deck>, DeckError> {
        let file = self.export(&info.id).await?;
        let read = tokio::task::spawn_blocking(move || {
            let unreadable = |error: String| DeckError::Unreadable { id: info.id.clone(), error };
            let lines = read_csv(&file).map_err(|error| unreadable(error.to_string()))?;
            let deck = Deck::new(info.id.clone(), info.valid_from, lines);
            deck.map(Arc::new).map_err(|error: TwoLines| unreadable(error.to_string()))
        });
        read.await?
    }
}

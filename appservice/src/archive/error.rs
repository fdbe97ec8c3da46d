//! Why the archive did not do what it was asked.

use thiserror::Error;

use super::{CallId, SealError};

/// An operation of the archive or the journal that did not happen.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// The database refused or could not be reached.
    #[error("the archive's database: {0}")]
    Database(#[from] sqlx::Error),
    /// The database is of another version of the program.
    #[error("the archive's database cannot be brought up to date: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The directory or file cannot be made.
    #[error("the archive's file: {0}")]
    File(#[from] std::io::Error),
    /// The database was sealed under another operator key.
    #[error("the operator key is not the one that this archive was made with")]
    WrongKey,
    /// A row does not open: damaged, moved, or deleted meanwhile.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A row holds what this program did not write.
    #[error("a row of {table} cannot be read: {what}")]
    Malformed {
        /// The table.
        table: &'static str,
        /// What is wrong with it.
        what: String,
    },
    /// There is no such call (any more).
    #[error("there is no call {0}")]
    NoSuchCall(CallId),
    /// There is no such effect, or it is in no state for this.
    #[error("there is no effect {0} under way")]
    NoSuchEffect(super::EffectId),
    /// The system gave no randomness.
    #[error("no randomness for a new key: {0}")]
    Randomness(#[from] getrandom::Error),
}

impl ArchiveError {
    pub(crate) fn malformed(table: &'static str, what: impl Into<String>) -> Self {
        Self::Malformed { table, what: what.into() }
    }
}

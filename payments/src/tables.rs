//! Values in tables: written as both databases store them, read as what they stand for or refused by name.

use std::str::FromStr;

use crate::UnixMillis;

/// Why the database did not do it, or what it holds that it cannot.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// What the database said.
    #[error("the payments database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// A value that we never wrote.
    #[error("the table {table} holds an impossible {what}: {value}")]
    Impossible {
        /// In which.
        table: &'static str,
        /// Which column.
        what: &'static str,
        /// As it stands there.
        value: String,
    },
    /// Another process was quicker. Nothing was written; read again.
    #[error("another process has changed {0} meanwhile")]
    Changed(&'static str),
    /// The same name stands for something else.
    #[error("{what} is there already with another {field}")]
    Other {
        /// What.
        what: String,
        /// The first field that differs.
        field: &'static str,
    },
}

pub(crate) fn impossible(table: &'static str, what: &'static str, value: impl std::fmt::Debug) -> TableError {
    TableError::Impossible { table, what, value: format!("{value:?}").chars().take(200).collect() }
}

/// Bytes of a fixed length.
pub(crate) fn array<const N: usize>(
    table: &'static str,
    what: &'static str,
    bytes: &[u8],
) -> Result<[u8; N], TableError> {
    bytes.try_into().map_err(|_| impossible(table, what, bytes.len()))
}

/// Words as what they stand for.
pub(crate) fn words<T: FromStr>(table: &'static str, what: &'static str, text: &str) -> Result<T, TableError> {
    text.parse().map_err(|_| impossible(table, what, text))
}

/// A number that fits.
pub(crate) fn number<T: TryFrom<i64>>(table: &'static str, what: &'static str, value: i64) -> Result<T, TableError> {
    T::try_from(value).map_err(|_| impossible(table, what, value))
}

/// Milliseconds as a column; the end of its time where they do not fit.
pub(crate) fn time(at: UnixMillis) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

/// Milliseconds from a column.
pub(crate) fn at(value: i64) -> UnixMillis {
    UnixMillis(u64::try_from(value).unwrap_or_default())
}

/// Runs one statement that writes, in either database, and says how many rows it wrote.
macro_rules! changed {
    ($database:expr, $query:expr) => {
        $crate::database::tell!($database, pool => async {
            Ok::<u64, sqlx::Error>($query.execute(pool).await?.rows_affected())
        })
    };
}
pub(crate) use changed;

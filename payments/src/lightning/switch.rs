//! The kill switch: a row that every process looks at before it hands a payout to the node.

use crate::UnixMillis;
use crate::database::{Database, ask};
use crate::tables::{TableError, at, changed, time};

/// Payouts are stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// Since when.
    pub since: UnixMillis,
    /// Who or what has stopped them, and why.
    pub why: String,
}

/// Stops payouts, and lets them go on. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Switch {
    database: Database,
}

impl Switch {
    /// The switch of this database.
    #[must_use]
    pub const fn new(database: Database) -> Self {
        Self { database }
    }

    /// Stops payouts. Stopped before, the first reason stands.
    ///
    /// # Errors
    /// What the database says.
    pub async fn stop(&self, why: &str, now: UnixMillis) -> Result<(), TableError> {
        let stopped = changed!(
            &self.database,
            sqlx::query("UPDATE lightning_switch SET stopped = $1, why = $2 WHERE one = 1 AND stopped IS NULL")
                .bind(time(now))
                .bind(why)
        )?;
        if stopped == 1 {
            tracing::error!(why, "payouts are stopped");
        }
        Ok(())
    }

    /// Lets payouts go on.
    ///
    /// # Errors
    /// What the database says.
    pub async fn resume(&self) -> Result<(), TableError> {
        changed!(&self.database, sqlx::query("UPDATE lightning_switch SET stopped = NULL, why = NULL WHERE one = 1"))?;
        Ok(())
    }

    /// Whether payouts are stopped.
    ///
    /// # Errors
    /// What the database says.
    pub async fn stopped(&self) -> Result<Option<Stopped>, TableError> {
        let row: (Option<i64>, Option<String>) = ask!(&self.database, pool =>
            sqlx::query_as("SELECT stopped, why FROM lightning_switch WHERE one = 1").fetch_one(pool))?;
        Ok(row.0.map(|since| Stopped { since: at(since), why: row.1.unwrap_or_default() }))
    }
}

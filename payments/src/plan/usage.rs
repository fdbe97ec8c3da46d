//! What was used of a month's quota: for each call the most that was ever said of it, so that saying it twice counts once.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};

use crate::UnixMillis;
use crate::database::{Database, ask, tell};
use crate::ledger::{AccountId, StoreError};

/// A month of UTC, as year and month: 202 611.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(u32);

impl Month {
    /// The month of a moment.
    #[must_use]
    pub fn of(at: UnixMillis) -> Self {
        let stamp =
            i64::try_from(at.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(Timestamp::MAX);
        let day = stamp.to_zoned(TimeZone::UTC).date();
        Self(u32::from(day.year().unsigned_abs()) * 100 + u32::from(day.month().unsigned_abs()))
    }
}

pub(super) async fn used(database: &Database, account: AccountId, month: Month) -> Result<Duration, StoreError> {
    let account = account.bytes();
    let ms: Option<i64> = ask!(database, pool => sqlx::query_scalar(
            "SELECT CAST(SUM(ms) AS BIGINT) FROM transcribed WHERE account = $1 AND month = $2",
        )
        .bind(&account[..])
        .bind(i64::from(month.0))
        .fetch_one(pool))?;
    Ok(Duration::from_millis(ms.and_then(|ms| u64::try_from(ms).ok()).unwrap_or_default()))
}

pub(super) async fn note(
    database: &Database,
    account: AccountId,
    month: Month,
    what: &str,
    in_all: Duration,
) -> Result<(), StoreError> {
    let account = account.bytes();
    let _more: Option<i64> = tell!(database, pool => sqlx::query_scalar(
            "INSERT INTO transcribed (account, month, what, ms) VALUES ($1, $2, $3, $4)
             ON CONFLICT (account, month, what) DO UPDATE SET ms = excluded.ms WHERE excluded.ms > transcribed.ms
             RETURNING ms",
        )
        .bind(&account[..])
        .bind(i64::from(month.0))
        .bind(what)
        .bind(i64::try_from(in_all.as_millis()).unwrap_or(i64::MAX / 1_000_000))
        .fetch_optional(pool))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_of_its_month_in_utc() {
        let at = |text: &str| UnixMillis(text.parse::<Timestamp>().unwrap().as_millisecond().try_into().unwrap());
        assert_eq!(Month::of(at("2026-11-30T23:59:59.999Z")), Month(202_611));
        assert_eq!(Month::of(at("2026-12-01T00:00:00Z")), Month(202_612));
        assert!(Month::of(UnixMillis(u64::MAX)) > Month(900_000), "no panic at the end of time");
    }
}

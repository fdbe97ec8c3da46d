//! What is asked of the books. The SQL is the same for both databases.

use std::ops::RangeInclusive;

use super::rows::{AccountRow, ReservationRow, SumsRow, TransferRow, stored_time};
use super::{Period, StoreError};
use crate::UnixMillis;
use crate::database::{Database, ask};
use crate::ledger::{Account, AccountId, Note, Purpose, Record, Reservation, Sums, TransferId};

pub(super) async fn account(database: &Database, account: AccountId) -> Result<Option<Account>, StoreError> {
    let id = account.bytes();
    let row: Option<AccountRow> = ask!(database, pool =>
        sqlx::query_as("SELECT * FROM accounts WHERE id = $1").bind(&id[..]).fetch_optional(pool))?;
    Ok(row.map(TryInto::try_into).transpose()?)
}

pub(super) async fn accounts(database: &Database) -> Result<Vec<Account>, StoreError> {
    let rows: Vec<AccountRow> = ask!(database, pool =>
        sqlx::query_as("SELECT * FROM accounts ORDER BY id").fetch_all(pool))?;
    Ok(rows.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?)
}

pub(super) async fn record(database: &Database, transfer: TransferId) -> Result<Option<Record>, StoreError> {
    let id = transfer.bytes();
    let row: Option<TransferRow> = ask!(database, pool =>
        sqlx::query_as("SELECT * FROM transfers WHERE id = $1").bind(&id[..]).fetch_optional(pool))?;
    Ok(row.map(|row| row.read()).transpose()?)
}

pub(super) async fn reservation(database: &Database, id: TransferId) -> Result<Option<Reservation>, StoreError> {
    let id = id.bytes();
    let row: Option<ReservationRow> = ask!(database, pool => sqlx::query_as(
            "SELECT t.seq, t.id, t.debit, t.credit, r.amount, r.expires, r.resolution, r.settled
             FROM transfers t JOIN reservations r ON r.seq = t.seq WHERE t.id = $1",
        )
        .bind(&id[..])
        .fetch_optional(pool))?;
    Ok(row.map(|row| row.read().map(|(_, held)| held)).transpose()?)
}

pub(super) async fn note(database: &Database, key: &str) -> Result<Option<Note>, StoreError> {
    let body: Option<String> = ask!(database, pool =>
        sqlx::query_scalar("SELECT body FROM notes WHERE name = $1").bind(key).fetch_optional(pool))?;
    Ok(body.map(|body| Note { key: key.to_owned(), body: Some(body) }))
}

pub(super) async fn notes(database: &Database, prefix: &str, after: &str, limit: u32) -> Result<Vec<Note>, StoreError> {
    // Names are in the order of their bytes, and no character comes behind this one.
    let end = format!("{prefix}\u{10ffff}");
    let rows: Vec<(String, String)> = ask!(database, pool => sqlx::query_as(
            "SELECT name, body FROM notes WHERE name >= $1 AND name > $2 AND name < $3 ORDER BY name LIMIT $4",
        )
        .bind(prefix)
        .bind(after)
        .bind(&end)
        .bind(i64::from(limit))
        .fetch_all(pool))?;
    Ok(rows.into_iter().map(|(key, body)| Note { key, body: Some(body) }).collect())
}

/// The last transfer of the account by then tells what it had after it.
pub(super) async fn sums_at(database: &Database, account: AccountId, at: UnixMillis) -> Result<Sums, StoreError> {
    let id = account.bytes();
    let row: Option<SumsRow> = ask!(database, pool => sqlx::query_as(
            "SELECT * FROM (
                 SELECT seq, debit_debits_pending AS debits_pending, debit_debits_posted AS debits_posted,
                     debit_credits_pending AS credits_pending, debit_credits_posted AS credits_posted
                 FROM transfers WHERE debit = $1 AND at <= $2 AND refusal IS NULL ORDER BY at DESC, seq DESC LIMIT 1) AS gave
             UNION ALL SELECT * FROM (
                 SELECT seq, credit_debits_pending, credit_debits_posted, credit_credits_pending, credit_credits_posted
                 FROM transfers WHERE credit = $1 AND at <= $2 AND refusal IS NULL ORDER BY at DESC, seq DESC LIMIT 1) AS got
             ORDER BY seq DESC LIMIT 1",
        )
        .bind(&id[..])
        .bind(stored_time(at))
        .fetch_optional(pool))?;
    Ok(row.map(TryInto::try_into).transpose()?.unwrap_or_default())
}

pub(super) async fn statement(
    database: &Database,
    account: AccountId,
    period: Period,
    limit: u32,
) -> Result<Vec<Record>, StoreError> {
    let id = account.bytes();
    let rows: Vec<TransferRow> = ask!(database, pool => sqlx::query_as(
            "SELECT * FROM (SELECT * FROM transfers WHERE debit = $1 AND at >= $2 AND at < $3 AND refusal IS NULL
                 ORDER BY at, seq LIMIT $4) AS gave
             UNION ALL SELECT * FROM (SELECT * FROM transfers WHERE credit = $1 AND at >= $2 AND at < $3 AND refusal IS NULL
                 ORDER BY at, seq LIMIT $4) AS got
             ORDER BY at, seq LIMIT $4",
        )
        .bind(&id[..])
        .bind(stored_time(period.from))
        .bind(stored_time(period.until))
        .bind(i64::from(limit))
        .fetch_all(pool))?;
    Ok(rows.iter().map(TransferRow::read).collect::<Result<_, _>>()?)
}

pub(super) async fn latest(database: &Database, account: AccountId, limit: u32) -> Result<Vec<Record>, StoreError> {
    let id = account.bytes();
    let rows: Vec<TransferRow> = ask!(database, pool => sqlx::query_as(
            "SELECT * FROM (SELECT * FROM transfers WHERE debit = $1 AND refusal IS NULL
                 ORDER BY at DESC, seq DESC LIMIT $2) AS gave
             UNION ALL SELECT * FROM (SELECT * FROM transfers WHERE credit = $1 AND refusal IS NULL
                 ORDER BY at DESC, seq DESC LIMIT $2) AS got
             ORDER BY at DESC, seq DESC LIMIT $2",
        )
        .bind(&id[..])
        .bind(i64::from(limit))
        .fetch_all(pool))?;
    Ok(rows.iter().map(TransferRow::read).collect::<Result<_, _>>()?)
}

#[derive(Debug, sqlx::FromRow)]
struct NumberedRow {
    seq: i64,
    #[sqlx(flatten)]
    row: TransferRow,
}

/// Who commits later may have the lower number: what is behind `after` by less than `overlap` and not older than `since` comes
/// once more.
pub(super) async fn moved(
    database: &Database,
    (purpose, movements): (Purpose, RangeInclusive<i64>),
    after: i64,
    overlap: i64,
    since: UnixMillis,
    limit: u32,
) -> Result<Vec<(i64, Record)>, StoreError> {
    let rows: Vec<NumberedRow> = ask!(database, pool => sqlx::query_as(
            "SELECT * FROM transfers WHERE seq > $1 AND (seq > $2 OR at >= $3) AND movement BETWEEN $6 AND $7 AND purpose = $4
                 AND refusal IS NULL ORDER BY seq LIMIT $5",
        )
        .bind(after.saturating_sub(overlap))
        .bind(after)
        .bind(stored_time(since))
        .bind(i64::from(purpose.number()))
        .bind(i64::from(limit))
        .bind(movements.start())
        .bind(movements.end())
        .fetch_all(pool))?;
    Ok(rows.into_iter().map(|r| r.row.read().map(|record| (r.seq, record))).collect::<Result<_, _>>()?)
}

pub(super) async fn last_number(database: &Database) -> Result<i64, StoreError> {
    let last: Option<i64> =
        ask!(database, pool => sqlx::query_scalar("SELECT MAX(seq) FROM transfers").fetch_one(pool))?;
    Ok(last.unwrap_or_default())
}

pub(super) async fn due(database: &Database, at: UnixMillis, limit: u32) -> Result<Vec<TransferId>, StoreError> {
    let rows: Vec<ReservationRow> = ask!(database, pool => sqlx::query_as(
            "SELECT t.seq, t.id, t.debit, t.credit, r.amount, r.expires, r.resolution, r.settled
             FROM reservations r JOIN transfers t ON t.seq = r.seq
             WHERE r.resolution IS NULL AND r.expires <= $1 ORDER BY r.expires LIMIT $2",
        )
        .bind(stored_time(at))
        .bind(i64::from(limit))
        .fetch_all(pool))?;
    Ok(rows.into_iter().map(|row| row.read().map(|(id, _)| id)).collect::<Result<_, _>>()?)
}

/// Accounts whose sums are not what their transfers add up to. One statement, so that it sees one moment.
pub(super) async fn unbalanced(database: &Database) -> Result<Vec<Account>, StoreError> {
    let rows: Vec<AccountRow> = ask!(database, pool => sqlx::query_as(
            "WITH moved AS (
                 SELECT debit AS id, amount AS d, 0 AS c, 0 AS dp, 0 AS cp
                     FROM transfers WHERE refusal IS NULL AND movement IN (1, 3)
                 UNION ALL SELECT credit, 0, amount, 0, 0 FROM transfers WHERE refusal IS NULL AND movement IN (1, 3)
                 UNION ALL SELECT t.debit, 0, 0, r.amount, 0
                     FROM reservations r JOIN transfers t ON t.seq = r.seq WHERE r.resolution IS NULL
                 UNION ALL SELECT t.credit, 0, 0, 0, r.amount
                     FROM reservations r JOIN transfers t ON t.seq = r.seq WHERE r.resolution IS NULL),
             added AS (SELECT id, SUM(d) AS d, SUM(c) AS c, SUM(dp) AS dp, SUM(cp) AS cp FROM moved GROUP BY id)
             SELECT a.* FROM accounts a LEFT JOIN added ON added.id = a.id
             WHERE a.debits_posted <> COALESCE(added.d, 0) OR a.credits_posted <> COALESCE(added.c, 0)
                 OR a.debits_pending <> COALESCE(added.dp, 0) OR a.credits_pending <> COALESCE(added.cp, 0)
             ORDER BY a.id",
        )
        .fetch_all(pool))?;
    Ok(rows.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?)
}

//! The ledger in SQLite: one writer at a time (`BEGIN IMMEDIATE`, also between processes), write-ahead log, every commit on
//! the disk before it is told (`synchronous=FULL`).
//!
//! Rows go in and out as JSON arrays of one parameter, so that a statement is the same for one row and for a thousand.

use std::time::Duration;

use serde_json::json;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqlitePool, Transaction};

use super::batch::{Answer, Changes, Keys, run};
use super::rows::{AccountRow, ReservationRow, SumsRow, TransferRow, stored_time};
use super::{Period, Store, StoreError};
use crate::UnixMillis;
use crate::ledger::{Account, AccountId, Book, Record, Reservation, Sums, Transfer, TransferId};

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");

/// How long a commit waits for another process.
const BUSY: Duration = Duration::from_secs(30);

pub(super) struct SqliteStore {
    writer: SqlitePool,
    reader: SqlitePool,
}

impl SqliteStore {
    pub(super) async fn open(url: &str) -> Result<Self, StoreError> {
        let options: SqliteConnectOptions = url.parse()?;
        let options = options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY);
        let writer = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
        MIGRATIONS.run(&writer).await?;
        let reader = SqlitePoolOptions::new().max_connections(4).connect_with(options.read_only(true)).await?;
        Ok(Self { writer, reader })
    }
}

/// Ids as a JSON array of hexadecimal words.
fn hexes<'a>(ids: impl Iterator<Item = &'a [u8]>) -> String {
    json!(ids.map(hex::encode).collect::<Vec<_>>()).to_string()
}

fn hex_or_null(bytes: Option<&Vec<u8>>) -> Option<String> {
    bytes.map(hex::encode)
}

async fn load(tx: &mut Transaction<'_, Sqlite>, mut keys: Keys) -> Result<Book, StoreError> {
    let mut book = Book::default();
    if !keys.reservations.is_empty() {
        let ids = hexes(keys.reservations.iter().map(|id| id.bytes()).collect::<Vec<_>>().iter().map(|b| &b[..]));
        let rows: Vec<ReservationRow> =
            sqlx::query_as("SELECT * FROM reservations WHERE id IN (SELECT unhex(value) FROM json_each(?))")
                .bind(ids)
                .fetch_all(&mut **tx)
                .await?;
        for row in rows {
            let (id, held) = row.read()?;
            keys.add_accounts_of(&held);
            book.recall_reservation(id, held);
        }
    }
    let ids = hexes(keys.accounts.iter().map(|id| id.bytes()).collect::<Vec<_>>().iter().map(|b| &b[..]));
    let rows: Vec<AccountRow> =
        sqlx::query_as("SELECT * FROM accounts WHERE id IN (SELECT unhex(value) FROM json_each(?))")
            .bind(ids)
            .fetch_all(&mut **tx)
            .await?;
    for row in rows {
        book.open(row.try_into()?);
    }
    let ids = hexes(keys.transfers.iter().map(|id| id.bytes()).collect::<Vec<_>>().iter().map(|b| &b[..]));
    let rows: Vec<TransferRow> =
        sqlx::query_as("SELECT * FROM transfers WHERE id IN (SELECT unhex(value) FROM json_each(?))")
            .bind(ids)
            .fetch_all(&mut **tx)
            .await?;
    for row in rows {
        book.recall(row.read()?);
    }
    Ok(book)
}

async fn save(tx: &mut Transaction<'_, Sqlite>, at: UnixMillis, changes: &Changes) -> Result<(), StoreError> {
    let transfers: Vec<_> = changes
        .transfers
        .iter()
        .map(|t| {
            json!([
                hex::encode(&t.id),
                t.at,
                t.purpose,
                t.movement,
                hex::encode(&t.debit),
                hex::encode(&t.credit),
                t.amount,
                t.expires,
                hex_or_null(t.reservation.as_ref()),
                t.refusal,
                hex_or_null(t.refused_account.as_ref()),
                t.refused_available
            ])
        })
        .collect();
    sqlx::query(
        "INSERT INTO transfers (id, at, purpose, movement, debit, credit, amount, expires, reservation, refusal, refused_account, refused_available)
         SELECT unhex(value->>0), value->>1, value->>2, value->>3, unhex(value->>4), unhex(value->>5), value->>6, value->>7,
                unhex(value->>8), value->>9, unhex(value->>10), value->>11
         FROM json_each(?) ORDER BY key",
    )
    .bind(json!(transfers).to_string())
    .execute(&mut **tx)
    .await?;
    if !changes.new_reservations.is_empty() {
        sqlx::query(
            "INSERT INTO reservations (id, debit, credit, amount, expires, resolution, settled)
             SELECT unhex(value->>0), unhex(value->>1), unhex(value->>2), value->>3, value->>4, value->>5, value->>6
             FROM json_each(?)",
        )
        .bind(reservations(&changes.new_reservations))
        .execute(&mut **tx)
        .await?;
    }
    if !changes.ended_reservations.is_empty() {
        let done = sqlx::query(
            "UPDATE reservations SET resolution = value->>5, settled = value->>6
             FROM json_each(?) WHERE id = unhex(value->>0) AND resolution IS NULL",
        )
        .bind(reservations(&changes.ended_reservations))
        .execute(&mut **tx)
        .await?;
        super::all_of_them(done.rows_affected(), changes.ended_reservations.len())?;
    }
    let accounts: Vec<_> = changes
        .accounts
        .iter()
        .map(|a| {
            let s = a.sums;
            json!([hex::encode(a.id.bytes()), s.debits_pending, s.debits_posted, s.credits_pending, s.credits_posted])
        })
        .collect();
    let accounts = json!(accounts).to_string();
    sqlx::query(
        "UPDATE accounts SET debits_pending = value->>1, debits_posted = value->>2, credits_pending = value->>3, credits_posted = value->>4
         FROM json_each(?) WHERE id = unhex(value->>0)",
    )
    .bind(&accounts)
    .execute(&mut **tx)
    .await?;
    sqlx::query(
        "INSERT INTO balances (account, seq, at, debits_pending, debits_posted, credits_pending, credits_posted)
         SELECT unhex(value->>0), (SELECT max(seq) FROM transfers), ?, value->>1, value->>2, value->>3, value->>4
         FROM json_each(?)",
    )
    .bind(stored_time(at))
    .bind(&accounts)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

fn reservations(rows: &[ReservationRow]) -> String {
    let rows: Vec<_> = rows
        .iter()
        .map(|r| {
            let (id, debit, credit) = (hex::encode(&r.id), hex::encode(&r.debit), hex::encode(&r.credit));
            json!([id, debit, credit, r.amount, r.expires, r.resolution, r.settled])
        })
        .collect();
    json!(rows).to_string()
}

impl Store for SqliteStore {
    async fn commit(&self, at: UnixMillis, requests: &[Vec<Transfer>]) -> Result<Vec<Answer>, StoreError> {
        let mut tx = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let loaded = load(&mut tx, Keys::of(requests)).await?;
        let (answers, changes) = run(&loaded, at, requests);
        if !changes.is_empty() {
            save(&mut tx, at, &changes).await?;
        }
        tx.commit().await?;
        Ok(answers)
    }

    async fn open_account(&self, account: Account) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO accounts (id, kind) VALUES (?, ?) ON CONFLICT DO NOTHING")
            .bind(&account.id.bytes()[..])
            .bind(i64::from(account.kind.number()))
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    async fn freeze(&self, account: AccountId, frozen: bool) -> Result<bool, StoreError> {
        let done = sqlx::query("UPDATE accounts SET frozen = ? WHERE id = ?")
            .bind(i64::from(frozen))
            .bind(&account.bytes()[..])
            .execute(&self.writer)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    async fn account(&self, account: AccountId) -> Result<Option<Account>, StoreError> {
        let row: Option<AccountRow> = sqlx::query_as("SELECT * FROM accounts WHERE id = ?")
            .bind(&account.bytes()[..])
            .fetch_optional(&self.reader)
            .await?;
        Ok(row.map(TryInto::try_into).transpose()?)
    }

    async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        let rows: Vec<AccountRow> = sqlx::query_as("SELECT * FROM accounts ORDER BY id").fetch_all(&self.reader).await?;
        Ok(rows.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?)
    }

    async fn record(&self, transfer: TransferId) -> Result<Option<Record>, StoreError> {
        let row: Option<TransferRow> = sqlx::query_as("SELECT * FROM transfers WHERE id = ?")
            .bind(&transfer.bytes()[..])
            .fetch_optional(&self.reader)
            .await?;
        Ok(row.map(|row| row.read()).transpose()?)
    }

    async fn reservation(&self, id: TransferId) -> Result<Option<Reservation>, StoreError> {
        let row: Option<ReservationRow> = sqlx::query_as("SELECT * FROM reservations WHERE id = ?")
            .bind(&id.bytes()[..])
            .fetch_optional(&self.reader)
            .await?;
        Ok(row.map(|row| row.read().map(|(_, held)| held)).transpose()?)
    }

    async fn sums_at(&self, account: AccountId, at: UnixMillis) -> Result<Sums, StoreError> {
        let row: Option<SumsRow> =
            sqlx::query_as("SELECT * FROM balances WHERE account = ? AND at <= ? ORDER BY seq DESC LIMIT 1")
                .bind(&account.bytes()[..])
                .bind(stored_time(at))
                .fetch_optional(&self.reader)
                .await?;
        Ok(row.map(TryInto::try_into).transpose()?.unwrap_or_default())
    }

    async fn statement(&self, account: AccountId, period: Period, limit: u32) -> Result<Vec<Record>, StoreError> {
        let rows: Vec<TransferRow> = sqlx::query_as(
            "SELECT * FROM (SELECT * FROM transfers WHERE debit = ?1 UNION ALL SELECT * FROM transfers WHERE credit = ?1)
             WHERE refusal IS NULL AND at >= ?2 AND at < ?3 ORDER BY seq LIMIT ?4",
        )
        .bind(&account.bytes()[..])
        .bind(stored_time(period.from))
        .bind(stored_time(period.until))
        .bind(i64::from(limit))
        .fetch_all(&self.reader)
        .await?;
        Ok(rows.iter().map(TransferRow::read).collect::<Result<_, _>>()?)
    }

    async fn due(&self, at: UnixMillis, limit: u32) -> Result<Vec<TransferId>, StoreError> {
        let rows: Vec<ReservationRow> = sqlx::query_as(
            "SELECT * FROM reservations WHERE resolution IS NULL AND expires <= ? ORDER BY expires LIMIT ?",
        )
        .bind(stored_time(at))
        .bind(i64::from(limit))
        .fetch_all(&self.reader)
        .await?;
        Ok(rows.into_iter().map(|row| row.read().map(|(id, _)| id)).collect::<Result<_, _>>()?)
    }
}

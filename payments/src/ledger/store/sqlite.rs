//! The ledger's commit in SQLite: one writer at a time (`BEGIN IMMEDIATE`, also between processes).
//!
//! Rows go in as JSON arrays of one parameter, so that a statement is the same for one row and for a thousand; transfers, which have
//! many columns, in chunks of a few sizes. `CROSS JOIN` keeps SQLite to the written order: each of the few ids is looked up in its
//! table.

use serde_json::json;
use sqlx::{QueryBuilder, Sqlite, Transaction};

use super::StoreError;
use super::batch::{Answer, Changes, Keys, Loaded, Wish, run};
use super::rows::{AccountRow, ReservationRow, TransferRow};
use crate::UnixMillis;
use crate::database::SqliteFile;

type Tx<'a> = Transaction<'a, Sqlite>;

/// Rows in one statement. Few sizes, so that each is prepared once, and any number of rows is some of them.
const CHUNKS: [usize; 4] = [128, 16, 4, 1];

/// Does requests in order, each alone, in one commit.
pub(super) async fn commit(file: &SqliteFile, now: UnixMillis, requests: &[Wish]) -> Result<Vec<Answer>, StoreError> {
    let mut tx = file.writer.begin_with("BEGIN IMMEDIATE").await?;
    let loaded = load(&mut tx, Keys::of(requests)).await?;
    let (answers, changes) = run(&loaded, now, requests);
    if !changes.transfers.is_empty() {
        save(&mut tx, &changes).await?;
    }
    save_notes(&mut tx, &changes).await?;
    tx.commit().await?;
    Ok(answers)
}

/// Ids as a JSON array of hexadecimal words.
fn hexes(ids: impl Iterator<Item = [u8; 16]>) -> String {
    json!(ids.map(hex::encode).collect::<Vec<_>>()).to_string()
}

async fn load(tx: &mut Tx<'_>, mut keys: Keys) -> Result<Loaded, StoreError> {
    let mut loaded = Loaded::default();
    if !keys.reservations.is_empty() {
        let rows: Vec<ReservationRow> = sqlx::query_as(
            "SELECT t.seq, t.id, t.debit, t.credit, r.amount, r.expires, r.resolution, r.settled
             FROM json_each(?) CROSS JOIN transfers t ON t.id = unhex(value) CROSS JOIN reservations r ON r.seq = t.seq",
        )
        .bind(hexes(keys.reservations.iter().map(|id| id.bytes())))
        .fetch_all(&mut **tx)
        .await?;
        loaded.reservations(rows, &mut keys)?;
    }
    let rows: Vec<AccountRow> =
        sqlx::query_as("SELECT a.* FROM json_each(?) CROSS JOIN accounts a ON a.id = unhex(value)")
            .bind(hexes(keys.accounts.iter().map(|id| id.bytes())))
            .fetch_all(&mut **tx)
            .await?;
    loaded.accounts(rows)?;
    let rows: Vec<TransferRow> =
        sqlx::query_as("SELECT t.* FROM json_each(?) CROSS JOIN transfers t ON t.id = unhex(value)")
            .bind(hexes(keys.transfers.iter().map(|id| id.bytes())))
            .fetch_all(&mut **tx)
            .await?;
    loaded.transfers(&rows)?;
    Ok(loaded)
}

async fn save(tx: &mut Tx<'_>, changes: &Changes) -> Result<(), StoreError> {
    // Nobody else writes until the commit: the numbers that follow are ours.
    let last: i64 = sqlx::query_scalar("SELECT coalesce(max(seq), 0) FROM transfers").fetch_one(&mut **tx).await?;
    save_transfers(tx, last, &changes.transfers).await?;
    if !changes.new_reservations.is_empty() {
        let rows = changes.new_reservations.iter();
        let rows: Vec<_> =
            rows.map(|r| json!([number(last, r.place), r.amount, r.expires, r.resolution, r.settled])).collect();
        sqlx::query(
            "INSERT INTO reservations SELECT value->>0, value->>1, value->>2, value->>3, value->>4 FROM json_each(?)",
        )
        .bind(json!(rows).to_string())
        .execute(&mut **tx)
        .await?;
    }
    if !changes.ended_reservations.is_empty() {
        let rows: Vec<_> = changes.ended_reservations.iter().map(|r| json!([r.seq, r.resolution, r.settled])).collect();
        let done = sqlx::query(
            "UPDATE reservations SET resolution = value->>1, settled = value->>2
             FROM json_each(?) WHERE seq = value->>0 AND resolution IS NULL",
        )
        .bind(json!(rows).to_string())
        .execute(&mut **tx)
        .await?;
        super::all_of_them(done.rows_affected(), rows.len())?;
    }
    save_accounts(tx, changes).await
}

/// The number of the transfer in this place of a commit.
fn number(last: i64, place: usize) -> i64 {
    last.saturating_add(1).saturating_add(i64::try_from(place).unwrap_or(i64::MAX))
}

/// Each column is bound: twenty of them out of JSON would cost more than the row.
async fn save_transfers(tx: &mut Tx<'_>, last: i64, rows: &[TransferRow]) -> Result<(), StoreError> {
    let mut place = 0;
    for size in CHUNKS {
        while let Some(chunk) = rows.get(place..place + size) {
            let numbered = chunk.iter().enumerate().map(|(n, row)| (number(last, place + n), row));
            let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO transfers ");
            insert.push_values(numbered, |mut to, (number, t)| {
                to.push_bind(number).push_bind(&t.id[..]).push_bind(t.at).push_bind(t.purpose).push_bind(t.movement);
                to.push_bind(&t.debit[..]).push_bind(&t.credit[..]).push_bind(t.amount).push_bind(t.expires);
                to.push_bind(t.reservation.as_deref());
                to.push_bind(t.refusal).push_bind(t.refused_account.as_deref()).push_bind(t.refused_available);
                to.push_bind(t.debit_debits_pending).push_bind(t.debit_debits_posted);
                to.push_bind(t.debit_credits_pending).push_bind(t.debit_credits_posted);
                to.push_bind(t.credit_debits_pending).push_bind(t.credit_debits_posted);
                to.push_bind(t.credit_credits_pending).push_bind(t.credit_credits_posted);
            });
            insert.build().execute(&mut **tx).await?;
            place += size;
        }
    }
    Ok(())
}

async fn save_notes(tx: &mut Tx<'_>, changes: &Changes) -> Result<(), StoreError> {
    let (written, gone): (Vec<_>, Vec<_>) = changes.notes.iter().partition(|(_, body)| body.is_some());
    if !written.is_empty() {
        sqlx::query(
            "INSERT INTO notes (name, body) SELECT value->>0, value->>1 FROM json_each(?) WHERE true
             ON CONFLICT (name) DO UPDATE SET body = excluded.body",
        )
        .bind(json!(written).to_string())
        .execute(&mut **tx)
        .await?;
    }
    if !gone.is_empty() {
        let names: Vec<_> = gone.into_iter().map(|(name, _)| name).collect();
        sqlx::query("DELETE FROM notes WHERE name IN (SELECT value FROM json_each(?))")
            .bind(json!(names).to_string())
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

async fn save_accounts(tx: &mut Tx<'_>, changes: &Changes) -> Result<(), StoreError> {
    let rows: Vec<_> = changes
        .accounts
        .iter()
        .map(|a| {
            let s = a.sums;
            json!([hex::encode(a.id.bytes()), s.debits_pending, s.debits_posted, s.credits_pending, s.credits_posted])
        })
        .collect();
    let done = sqlx::query(
        "UPDATE accounts SET at = ?, debits_pending = value->>1, debits_posted = value->>2, credits_pending = value->>3,
             credits_posted = value->>4
         FROM json_each(?) WHERE accounts.id = unhex(value->>0)",
    )
    .bind(changes.at)
    .bind(json!(rows).to_string())
    .execute(&mut **tx)
    .await?;
    super::all_of_them(done.rows_affected(), rows.len())
}

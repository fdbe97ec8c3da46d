//! The ledger in PostgreSQL. A commit locks the rows that it reads (reservations, then accounts, each in the order of their
//! ids, so that two processes never wait for one another in a ring) and changes what stands as it was read.

use std::collections::HashMap;

use sqlx::{PgPool, Postgres, Transaction};

use super::StoreError;
use super::batch::{Answer, Changes, Keys, Loaded, Wish, run};
use super::rows::{AccountRow, ReservationRow, TransferRow};
use crate::UnixMillis;

type Tx<'a> = Transaction<'a, Postgres>;

/// Does requests in order, each alone, in one commit.
pub(super) async fn commit(pool: &PgPool, now: UnixMillis, requests: &[Wish]) -> Result<Vec<Answer>, StoreError> {
    let mut tx = pool.begin().await?;
    let loaded = load(&mut tx, Keys::of(requests)).await?;
    let (answers, changes) = run(&loaded, now, requests);
    if !changes.transfers.is_empty() {
        let seqs = save_transfers(&mut tx, &changes.transfers).await?;
        save_reservations(&mut tx, &changes, &seqs).await?;
        save_accounts(&mut tx, &changes).await?;
    }
    save_notes(&mut tx, &changes).await?;
    tx.commit().await?;
    Ok(answers)
}

fn bytes(ids: impl Iterator<Item = [u8; 16]>) -> Vec<Vec<u8>> {
    ids.map(|id| id.to_vec()).collect()
}

async fn load(tx: &mut Tx<'_>, mut keys: Keys) -> Result<Loaded, StoreError> {
    let mut loaded = Loaded::default();
    if !keys.reservations.is_empty() {
        let rows: Vec<ReservationRow> = sqlx::query_as(
            "SELECT t.seq, t.id, t.debit, t.credit, r.amount, r.expires, r.resolution, r.settled
             FROM transfers t JOIN reservations r ON r.seq = t.seq WHERE t.id = ANY($1) ORDER BY r.seq FOR UPDATE OF r",
        )
        .bind(bytes(keys.reservations.iter().map(|id| id.bytes())))
        .fetch_all(&mut **tx)
        .await?;
        loaded.reservations(rows, &mut keys)?;
    }
    let rows: Vec<AccountRow> = sqlx::query_as("SELECT * FROM accounts WHERE id = ANY($1) ORDER BY id FOR UPDATE")
        .bind(bytes(keys.accounts.iter().map(|id| id.bytes())))
        .fetch_all(&mut **tx)
        .await?;
    loaded.accounts(rows)?;
    // Behind the locks: what another process did with the same ids on these accounts is seen.
    let rows: Vec<TransferRow> = sqlx::query_as("SELECT * FROM transfers WHERE id = ANY($1)")
        .bind(bytes(keys.transfers.iter().map(|id| id.bytes())))
        .fetch_all(&mut **tx)
        .await?;
    loaded.transfers(&rows)?;
    Ok(loaded)
}

/// One column of many rows.
fn column<'a, R, T>(rows: &'a [R], of: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}

/// Their numbers, in the order of the rows.
async fn save_transfers(tx: &mut Tx<'_>, rows: &[TransferRow]) -> Result<Vec<i64>, StoreError> {
    let numbers: Vec<(Vec<u8>, i64)> = sqlx::query_as(
        "INSERT INTO transfers (id, at, purpose, movement, debit, credit, amount, expires, reservation, refusal, refused_account,
             refused_available, debit_debits_pending, debit_debits_posted, debit_credits_pending, debit_credits_posted,
             credit_debits_pending, credit_debits_posted, credit_credits_pending, credit_credits_posted)
         SELECT id, at, purpose, movement, debit, credit, amount, expires, reservation, refusal, refused_account,
             refused_available, d1, d2, d3, d4, c1, c2, c3, c4
         FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[], $6::bytea[], $7::bigint[],
             $8::bigint[], $9::bytea[], $10::bigint[], $11::bytea[], $12::bigint[], $13::bigint[], $14::bigint[],
             $15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[], $19::bigint[], $20::bigint[]) WITH ORDINALITY
             AS new (id, at, purpose, movement, debit, credit, amount, expires, reservation, refusal, refused_account,
             refused_available, d1, d2, d3, d4, c1, c2, c3, c4, place)
         ORDER BY place RETURNING id, seq",
    )
    .bind(column(rows, |r| &r.id[..]))
    .bind(column(rows, |r| r.at))
    .bind(column(rows, |r| r.purpose))
    .bind(column(rows, |r| r.movement))
    .bind(column(rows, |r| &r.debit[..]))
    .bind(column(rows, |r| &r.credit[..]))
    .bind(column(rows, |r| r.amount))
    .bind(column(rows, |r| r.expires))
    .bind(column(rows, |r| r.reservation.as_deref()))
    .bind(column(rows, |r| r.refusal))
    .bind(column(rows, |r| r.refused_account.as_deref()))
    .bind(column(rows, |r| r.refused_available))
    .bind(column(rows, |r| r.debit_debits_pending))
    .bind(column(rows, |r| r.debit_debits_posted))
    .bind(column(rows, |r| r.debit_credits_pending))
    .bind(column(rows, |r| r.debit_credits_posted))
    .bind(column(rows, |r| r.credit_debits_pending))
    .bind(column(rows, |r| r.credit_debits_posted))
    .bind(column(rows, |r| r.credit_credits_pending))
    .bind(column(rows, |r| r.credit_credits_posted))
    .fetch_all(&mut **tx)
    .await?;
    // The order in which rows are returned is nowhere promised.
    let numbers: HashMap<&[u8], i64> = numbers.iter().map(|(id, seq)| (&id[..], *seq)).collect();
    let numbers: Vec<i64> = rows.iter().filter_map(|row| numbers.get(&row.id[..]).copied()).collect();
    super::all_of_them(numbers.len() as u64, rows.len())?;
    Ok(numbers)
}

async fn save_reservations(tx: &mut Tx<'_>, changes: &Changes, seqs: &[i64]) -> Result<(), StoreError> {
    let rows = &changes.new_reservations;
    if !rows.is_empty() {
        sqlx::query(
            "INSERT INTO reservations (seq, amount, expires, resolution, settled)
             SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])",
        )
        .bind(column(rows, |r| seqs[r.place]))
        .bind(column(rows, |r| r.amount))
        .bind(column(rows, |r| r.expires))
        .bind(column(rows, |r| r.resolution))
        .bind(column(rows, |r| r.settled))
        .execute(&mut **tx)
        .await?;
    }
    let rows = &changes.ended_reservations;
    if !rows.is_empty() {
        let done = sqlx::query(
            "UPDATE reservations SET resolution = ended.resolution, settled = ended.settled
             FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS ended (seq, resolution, settled)
             WHERE reservations.seq = ended.seq AND reservations.resolution IS NULL",
        )
        .bind(column(rows, |r| r.seq))
        .bind(column(rows, |r| r.resolution))
        .bind(column(rows, |r| r.settled))
        .execute(&mut **tx)
        .await?;
        super::all_of_them(done.rows_affected(), rows.len())?;
    }
    Ok(())
}

async fn save_notes(tx: &mut Tx<'_>, changes: &Changes) -> Result<(), StoreError> {
    let (written, gone): (Vec<_>, Vec<_>) = changes.notes.iter().partition(|(_, body)| body.is_some());
    if !written.is_empty() {
        sqlx::query(
            "INSERT INTO notes (name, body) SELECT * FROM unnest($1::text[], $2::text[])
             ON CONFLICT (name) DO UPDATE SET body = excluded.body",
        )
        .bind(column(&written, |(name, _)| name.as_str()))
        .bind(column(&written, |(_, body)| body.as_deref()))
        .execute(&mut **tx)
        .await?;
    }
    if !gone.is_empty() {
        sqlx::query("DELETE FROM notes WHERE name = ANY($1)")
            .bind(column(&gone, |(name, _)| name.as_str()))
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

async fn save_accounts(tx: &mut Tx<'_>, changes: &Changes) -> Result<(), StoreError> {
    let rows = &changes.accounts;
    let done = sqlx::query(
        "UPDATE accounts SET at = $6, debits_pending = now.d1, debits_posted = now.d2, credits_pending = now.d3,
             credits_posted = now.d4
         FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) AS now (id, d1, d2, d3, d4)
         WHERE accounts.id = now.id",
    )
    .bind(column(rows, |a| a.id.bytes().to_vec()))
    .bind(column(rows, |a| i64::from(a.sums.debits_pending)))
    .bind(column(rows, |a| i64::from(a.sums.debits_posted)))
    .bind(column(rows, |a| i64::from(a.sums.credits_pending)))
    .bind(column(rows, |a| i64::from(a.sums.credits_posted)))
    .bind(changes.at)
    .execute(&mut **tx)
    .await?;
    super::all_of_them(done.rows_affected(), rows.len())
}

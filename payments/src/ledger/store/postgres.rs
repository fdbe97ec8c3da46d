//! The ledger in PostgreSQL. A commit locks the rows that it reads (reservations, then accounts, each in the order of their
//! ids, so that two processes never wait for one another in a ring) and changes what stands as it was read.

use std::collections::BTreeSet;

use sqlx::postgres::PgPoolOptions;
use sqlx::{PgPool, Postgres, Transaction};

use super::batch::{Answer, Changes, Keys, run};
use super::rows::{AccountRow, ReservationRow, SumsRow, TransferRow, stored_time};
use super::{Period, Store, StoreError};
use crate::UnixMillis;
use crate::ledger::{Account, AccountId, Book, Record, Reservation, Sums, Transfer, TransferId};

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/postgres");

/// Connections: one for the writer, the rest for those who look.
const CONNECTIONS: u32 = 5;

pub(super) struct PostgresStore(PgPool);

impl PostgresStore {
    pub(super) async fn open(url: &str) -> Result<Self, StoreError> {
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS).connect(url).await?;
        MIGRATIONS.run(&pool).await?;
        Ok(Self(pool))
    }
}

type Tx<'a> = Transaction<'a, Postgres>;

async fn load(tx: &mut Tx<'_>, mut keys: Keys) -> Result<Book, StoreError> {
    let mut book = Book::default();
    if !keys.reservations.is_empty() {
        let ids: Vec<Vec<u8>> = keys.reservations.iter().map(|id| id.bytes().to_vec()).collect();
        let rows: Vec<ReservationRow> =
            sqlx::query_as("SELECT * FROM reservations WHERE id = ANY($1) ORDER BY id FOR UPDATE")
                .bind(ids)
                .fetch_all(&mut **tx)
                .await?;
        for row in rows {
            let (id, held) = row.read()?;
            keys.add_accounts_of(&held);
            book.recall_reservation(id, held);
        }
    }
    for row in lock_accounts(tx, &keys.accounts).await? {
        book.open(row.try_into()?);
    }
    // Behind the locks: what another process did with the same ids on these accounts is seen.
    let ids: Vec<Vec<u8>> = keys.transfers.iter().map(|id| id.bytes().to_vec()).collect();
    let rows: Vec<TransferRow> =
        sqlx::query_as("SELECT * FROM transfers WHERE id = ANY($1)").bind(ids).fetch_all(&mut **tx).await?;
    for row in rows {
        book.recall(row.read()?);
    }
    Ok(book)
}

async fn lock_accounts(tx: &mut Tx<'_>, accounts: &BTreeSet<AccountId>) -> Result<Vec<AccountRow>, StoreError> {
    let ids: Vec<Vec<u8>> = accounts.iter().map(|id| id.bytes().to_vec()).collect();
    let rows = sqlx::query_as("SELECT * FROM accounts WHERE id = ANY($1) ORDER BY id FOR UPDATE");
    Ok(rows.bind(ids).fetch_all(&mut **tx).await?)
}

/// One column of many rows.
fn column<'a, R, T>(rows: &'a [R], of: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}

async fn save(tx: &mut Tx<'_>, at: UnixMillis, changes: &Changes) -> Result<(), StoreError> {
    let seq = save_transfers(tx, &changes.transfers).await?;
    save_reservations(tx, changes).await?;
    save_accounts(tx, at, seq, &changes.accounts).await
}

/// The number of the last transfer.
async fn save_transfers(tx: &mut Tx<'_>, rows: &[TransferRow]) -> Result<i64, StoreError> {
    let numbers: Vec<i64> = sqlx::query_scalar(
        "INSERT INTO transfers (id, at, purpose, movement, debit, credit, amount, expires, reservation, refusal, refused_account, refused_available)
         SELECT id, at, purpose, movement, debit, credit, amount, expires, reservation, refusal, refused_account, refused_available
         FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[], $6::bytea[], $7::bigint[], $8::bigint[],
                     $9::bytea[], $10::bigint[], $11::bytea[], $12::bigint[]) WITH ORDINALITY
              AS new (id, at, purpose, movement, debit, credit, amount, expires, reservation, refusal, refused_account, refused_available, place)
         ORDER BY place RETURNING seq",
    )
    .bind(column(rows, |r| &r.id[..]))
    .bind(column(rows, |r| r.at))
    .bind(column(rows, |r| r.purpose))
    .bind(column(rows, |r| r.movement))
    .bind(column(rows, |r| &r.debit[..]))
    .bind(column(rows, |r| &r.credit[..]))
    .bind(column(rows, |r| r.amount))
    .bind(column(rows, |r| r.expires))
    .bind(column(rows, |r| r.reservation.clone()))
    .bind(column(rows, |r| r.refusal))
    .bind(column(rows, |r| r.refused_account.clone()))
    .bind(column(rows, |r| r.refused_available))
    .fetch_all(&mut **tx)
    .await?;
    Ok(numbers.into_iter().max().unwrap_or_default())
}

async fn save_reservations(tx: &mut Tx<'_>, changes: &Changes) -> Result<(), StoreError> {
    let rows = &changes.new_reservations;
    if !rows.is_empty() {
        sqlx::query(
            "INSERT INTO reservations (id, debit, credit, amount, expires, resolution, settled)
             SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])",
        )
        .bind(column(rows, |r| &r.id[..]))
        .bind(column(rows, |r| &r.debit[..]))
        .bind(column(rows, |r| &r.credit[..]))
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
             FROM unnest($1::bytea[], $2::bigint[], $3::bigint[]) AS ended (id, resolution, settled)
             WHERE reservations.id = ended.id AND reservations.resolution IS NULL",
        )
        .bind(column(rows, |r| &r.id[..]))
        .bind(column(rows, |r| r.resolution))
        .bind(column(rows, |r| r.settled))
        .execute(&mut **tx)
        .await?;
        super::all_of_them(done.rows_affected(), rows.len())?;
    }
    Ok(())
}

async fn save_accounts(tx: &mut Tx<'_>, at: UnixMillis, seq: i64, rows: &[Account]) -> Result<(), StoreError> {
    let ids = column(rows, |a| a.id.bytes().to_vec());
    let sums: [Vec<i64>; 4] = [
        column(rows, |a| a.sums.debits_pending.into()),
        column(rows, |a| a.sums.debits_posted.into()),
        column(rows, |a| a.sums.credits_pending.into()),
        column(rows, |a| a.sums.credits_posted.into()),
    ];
    let done = sqlx::query(
        "UPDATE accounts SET debits_pending = now.dp, debits_posted = now.d, credits_pending = now.cp, credits_posted = now.c
         FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) AS now (id, dp, d, cp, c)
         WHERE accounts.id = now.id",
    )
    .bind(&ids)
    .bind(&sums[0])
    .bind(&sums[1])
    .bind(&sums[2])
    .bind(&sums[3])
    .execute(&mut **tx)
    .await?;
    super::all_of_them(done.rows_affected(), rows.len())?;
    sqlx::query(
        "INSERT INTO balances (account, seq, at, debits_pending, debits_posted, credits_pending, credits_posted)
         SELECT id, $6, $7, dp, d, cp, c
         FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) AS now (id, dp, d, cp, c)",
    )
    .bind(&ids)
    .bind(&sums[0])
    .bind(&sums[1])
    .bind(&sums[2])
    .bind(&sums[3])
    .bind(seq)
    .bind(stored_time(at))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

impl Store for PostgresStore {
    async fn commit(&self, at: UnixMillis, requests: &[Vec<Transfer>]) -> Result<Vec<Answer>, StoreError> {
        let mut tx = self.0.begin().await?;
        let loaded = load(&mut tx, Keys::of(requests)).await?;
        let (answers, changes) = run(&loaded, at, requests);
        if !changes.is_empty() {
            save(&mut tx, at, &changes).await?;
        }
        tx.commit().await?;
        Ok(answers)
    }

    async fn open_account(&self, account: Account) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO accounts (id, kind) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(&account.id.bytes()[..])
            .bind(i64::from(account.kind.number()))
            .execute(&self.0)
            .await?;
        Ok(())
    }

    async fn freeze(&self, account: AccountId, frozen: bool) -> Result<bool, StoreError> {
        let done = sqlx::query("UPDATE accounts SET frozen = $1 WHERE id = $2")
            .bind(i64::from(frozen))
            .bind(&account.bytes()[..])
            .execute(&self.0)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    async fn account(&self, account: AccountId) -> Result<Option<Account>, StoreError> {
        let row: Option<AccountRow> = sqlx::query_as("SELECT * FROM accounts WHERE id = $1")
            .bind(&account.bytes()[..])
            .fetch_optional(&self.0)
            .await?;
        Ok(row.map(TryInto::try_into).transpose()?)
    }

    async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        let rows: Vec<AccountRow> = sqlx::query_as("SELECT * FROM accounts ORDER BY id").fetch_all(&self.0).await?;
        Ok(rows.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?)
    }

    async fn record(&self, transfer: TransferId) -> Result<Option<Record>, StoreError> {
        let row: Option<TransferRow> = sqlx::query_as("SELECT * FROM transfers WHERE id = $1")
            .bind(&transfer.bytes()[..])
            .fetch_optional(&self.0)
            .await?;
        Ok(row.map(|row| row.read()).transpose()?)
    }

    async fn reservation(&self, id: TransferId) -> Result<Option<Reservation>, StoreError> {
        let row: Option<ReservationRow> = sqlx::query_as("SELECT * FROM reservations WHERE id = $1")
            .bind(&id.bytes()[..])
            .fetch_optional(&self.0)
            .await?;
        Ok(row.map(|row| row.read().map(|(_, held)| held)).transpose()?)
    }

    async fn sums_at(&self, account: AccountId, at: UnixMillis) -> Result<Sums, StoreError> {
        let row: Option<SumsRow> =
            sqlx::query_as("SELECT * FROM balances WHERE account = $1 AND at <= $2 ORDER BY seq DESC LIMIT 1")
                .bind(&account.bytes()[..])
                .bind(stored_time(at))
                .fetch_optional(&self.0)
                .await?;
        Ok(row.map(TryInto::try_into).transpose()?.unwrap_or_default())
    }

    async fn statement(&self, account: AccountId, period: Period, limit: u32) -> Result<Vec<Record>, StoreError> {
        let rows: Vec<TransferRow> = sqlx::query_as(
            "SELECT * FROM transfers WHERE (debit = $1 OR credit = $1) AND refusal IS NULL AND at >= $2 AND at < $3
             ORDER BY seq LIMIT $4",
        )
        .bind(&account.bytes()[..])
        .bind(stored_time(period.from))
        .bind(stored_time(period.until))
        .bind(i64::from(limit))
        .fetch_all(&self.0)
        .await?;
        Ok(rows.iter().map(TransferRow::read).collect::<Result<_, _>>()?)
    }

    async fn due(&self, at: UnixMillis, limit: u32) -> Result<Vec<TransferId>, StoreError> {
        let rows: Vec<ReservationRow> = sqlx::query_as(
            "SELECT * FROM reservations WHERE resolution IS NULL AND expires <= $1 ORDER BY expires LIMIT $2",
        )
        .bind(stored_time(at))
        .bind(i64::from(limit))
        .fetch_all(&self.0)
        .await?;
        Ok(rows.into_iter().map(|row| row.read().map(|(id, _)| id)).collect::<Result<_, _>>()?)
    }
}

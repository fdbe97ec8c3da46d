//! What has arrived, on disk: read up to where, what it was, to whom it went, and whether the ledger has it.
//!
//! A page of the network's transactions is one commit: the arrivals in it and how far is read go together. The ledger gets
//! them afterwards, out of these rows: what a page said stays as it was decided, also when it is decided again.

use super::{Arrival, Whose};
use crate::database::{Database, ask, tell};
use crate::ledger::AccountId;
use crate::stellar::rpc::From;
use crate::stellar::{Address, Stroops, TxHash};
use crate::tables::{TableError, array, changed, impossible, number, time, words};
use crate::{Msat, UnixMillis};

const ARRIVALS: &str = "stellar_arrivals";

/// The arrivals of one account.
#[derive(Debug, Clone)]
pub struct Inbox {
    database: Database,
    account: Address,
}

/// How far is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Behind this; `None`: from the ledger behind [`Reading::ledger`] on.
    pub cursor: Option<String>,
    /// Up to and with this one.
    pub ledger: u32,
}

impl Reading {
    /// Where to go on.
    #[must_use]
    pub fn from(&self) -> From {
        self.cursor.clone().map_or(From::Ledger(self.ledger.saturating_add(1)), From::Cursor)
    }
}

/// An arrival as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// What arrived.
    pub arrival: Arrival,
    /// To which account it goes and what it is worth; `None`: not money that we take.
    pub goes_to: Option<(AccountId, Msat)>,
    /// Whether the ledger has it.
    pub is_booked: bool,
    /// Whose it turned out to be later.
    pub claim: Option<AccountId>,
    /// Whether the ledger has that.
    pub is_claimed: bool,
}

/// A page that was read, to be stored whole.
#[derive(Debug)]
pub struct Read<'a> {
    /// What was in it for us, and whose it is.
    pub arrivals: &'a [(Arrival, Whose)],
    /// What could not be read.
    pub unreadable: &'a [TxHash],
    /// How far is read now.
    pub now: Reading,
}

impl Inbox {
    /// The arrivals at this account.
    #[must_use]
    pub const fn new(database: Database, account: Address) -> Self {
        Self { database, account }
    }

    /// Whose arrivals.
    #[must_use]
    pub const fn account(&self) -> Address {
        self.account
    }

    /// How far is read; `None`: nothing was ever read.
    ///
    /// # Errors
    /// What the database says.
    pub async fn reading(&self) -> Result<Option<Reading>, TableError> {
        let row: Option<(Option<String>, i64)> = ask!(&self.database, pool =>
            sqlx::query_as("SELECT cursor, ledger FROM stellar_readers WHERE account = $1")
                .bind(&self.account.bytes()[..])
                .fetch_optional(pool))?;
        let Some((cursor, ledger)) = row else { return Ok(None) };
        Ok(Some(Reading { cursor, ledger: number("stellar_readers", "ledger", ledger)? }))
    }

    /// Begins behind this ledger: at the very first start, or because people have looked up by hand what lies between.
    ///
    /// # Errors
    /// What the database says.
    pub async fn begin_behind(&self, ledger: u32, at: UnixMillis) -> Result<(), TableError> {
        changed!(
            &self.database,
            sqlx::query(
                "INSERT INTO stellar_readers (account, cursor, ledger, at) VALUES ($1, NULL, $2, $3)
                 ON CONFLICT (account) DO UPDATE SET cursor = NULL, ledger = excluded.ledger, at = excluded.at",
            )
            .bind(&self.account.bytes()[..])
            .bind(i64::from(ledger))
            .bind(time(at))
        )?;
        Ok(())
    }

    /// Stores a page that was read from here on: all of it or nothing.
    ///
    /// # Errors
    /// [`TableError::Changed`]: another process has read it meanwhile.
    pub async fn store(
        &self,
        from: &Reading,
        read: &Read<'_>,
        suspense: AccountId,
        at: UnixMillis,
    ) -> Result<(), TableError> {
        let rows: Vec<Row> = read.arrivals.iter().map(|(arrival, whose)| Row::new(arrival, *whose, suspense)).collect();
        let stored = tell!(&self.database, pool => async {
            let mut tx = pool.begin().await?;
            let turn = sqlx::query(
                "UPDATE stellar_readers SET cursor = $2, ledger = $3, at = $4
                 WHERE account = $1 AND coalesce(cursor, '') = $5 AND ledger = $6",
            )
            .bind(&self.account.bytes()[..])
            .bind(&read.now.cursor)
            .bind(i64::from(read.now.ledger))
            .bind(time(at))
            .bind(from.cursor.clone().unwrap_or_default())
            .bind(i64::from(from.ledger))
            .execute(&mut *tx)
            .await?;
            if turn.rows_affected() != 1 {
                return Ok(false);
            }
            for row in &rows {
                sqlx::query(
                    "INSERT INTO stellar_arrivals (tx, operation, account, ledger, sender, asset, amount, reference, credit, worth, at)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING",
                )
                .bind(&row.tx)
                .bind(row.operation)
                .bind(&self.account.bytes()[..])
                .bind(row.ledger)
                .bind(&row.sender)
                .bind(&row.asset)
                .bind(row.amount)
                .bind(row.reference)
                .bind(&row.credit)
                .bind(row.worth)
                .bind(time(at))
                .execute(&mut *tx)
                .await?;
            }
            for hash in read.unreadable {
                sqlx::query("INSERT INTO stellar_unread (tx, account, at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
                    .bind(&hash.bytes()[..])
                    .bind(&self.account.bytes()[..])
                    .bind(time(at))
                    .execute(&mut *tx)
                    .await?;
            }
            tx.commit().await?;
            Ok::<_, sqlx::Error>(true)
        })?;
        if stored { Ok(()) } else { Err(TableError::Changed("how far is read")) }
    }

    /// What the ledger does not have yet, the oldest first.
    ///
    /// # Errors
    /// What the database says, and what it holds that cannot be.
    pub async fn unbooked(&self, limit: u32) -> Result<Vec<Kept>, TableError> {
        let rows: Vec<Row> = ask!(&self.database, pool => sqlx::query_as(
                "SELECT tx, operation, ledger, sender, asset, amount, reference, credit, worth, booked, claim, claimed
                 FROM stellar_arrivals
                 WHERE account = $1 AND booked IS NULL AND worth IS NOT NULL ORDER BY ledger, tx, operation LIMIT $2",
            )
            .bind(&self.account.bytes()[..])
            .bind(i64::from(limit))
            .fetch_all(pool))?;
        rows.into_iter().map(Row::read).collect()
    }

    /// The ledger has it.
    ///
    /// # Errors
    /// What the database says.
    pub async fn mark_booked(&self, arrival: &Arrival, at: UnixMillis) -> Result<(), TableError> {
        changed!(
            &self.database,
            sqlx::query("UPDATE stellar_arrivals SET booked = $3 WHERE tx = $1 AND operation = $2 AND booked IS NULL")
                .bind(&arrival.tx.bytes()[..])
                .bind(i64::from(arrival.operation))
                .bind(time(at))
        )?;
        Ok(())
    }

    /// All that came under a number, or counts as if it had ([`Inbox::claim`]), in money that we take, the oldest first.
    ///
    /// # Errors
    /// What the database says, and what it holds that cannot be.
    pub async fn under(&self, reference: u64) -> Result<Vec<Kept>, TableError> {
        let rows: Vec<Row> = ask!(&self.database, pool => sqlx::query_as(
                "SELECT tx, operation, ledger, sender, asset, amount, reference, credit, worth, booked, claim, claimed
                 FROM stellar_arrivals
                 WHERE account = $1 AND worth IS NOT NULL
                     AND (claim_reference = $2 OR (reference = $2 AND claim_reference IS NULL)) ORDER BY ledger, tx, operation",
            )
            .bind(&self.account.bytes()[..])
            .bind(reference.cast_signed())
            .fetch_all(pool))?;
        rows.into_iter().map(Row::read).collect()
    }

    /// What lies in this suspense account and nobody has claimed, the oldest first: for people to look at.
    ///
    /// # Errors
    /// What the database says, and what it holds that cannot be.
    pub async fn in_suspense(&self, suspense: AccountId, limit: u32) -> Result<Vec<Kept>, TableError> {
        let rows: Vec<Row> = ask!(&self.database, pool => sqlx::query_as(
                "SELECT tx, operation, ledger, sender, asset, amount, reference, credit, worth, booked, claim, claimed
                 FROM stellar_arrivals
                 WHERE account = $1 AND credit = $2 AND booked IS NOT NULL AND claimed IS NULL ORDER BY ledger, tx, operation LIMIT $3",
            )
            .bind(&self.account.bytes()[..])
            .bind(&suspense.bytes()[..])
            .bind(i64::from(limit))
            .fetch_all(pool))?;
        rows.into_iter().map(Row::read).collect()
    }

    /// Says whose an arrival in suspense is, for good, and under which number it counts. `false`: somebody else was said before.
    ///
    /// # Errors
    /// What the database says.
    pub async fn claim(
        &self,
        arrival: &Arrival,
        account: AccountId,
        reference: Option<u64>,
    ) -> Result<bool, TableError> {
        let claimed = changed!(
            &self.database,
            sqlx::query(
                "UPDATE stellar_arrivals SET claim = $3, claim_reference = coalesce(claim_reference, $4)
                 WHERE tx = $1 AND operation = $2 AND (claim IS NULL OR claim = $3)",
            )
            .bind(&arrival.tx.bytes()[..])
            .bind(i64::from(arrival.operation))
            .bind(&account.bytes()[..])
            .bind(reference.map(u64::cast_signed))
        )?;
        Ok(claimed == 1)
    }

    /// The ledger has the claim.
    ///
    /// # Errors
    /// What the database says.
    pub async fn mark_claimed(&self, arrival: &Arrival, at: UnixMillis) -> Result<(), TableError> {
        changed!(
            &self.database,
            sqlx::query(
                "UPDATE stellar_arrivals SET claimed = $3 WHERE tx = $1 AND operation = $2 AND claimed IS NULL"
            )
            .bind(&arrival.tx.bytes()[..])
            .bind(i64::from(arrival.operation))
            .bind(time(at))
        )?;
        Ok(())
    }

    /// Transactions that could not be read: people look whether they brought anything.
    ///
    /// # Errors
    /// What the database says.
    pub async fn unread(&self) -> Result<Vec<TxHash>, TableError> {
        let rows: Vec<Vec<u8>> = ask!(&self.database, pool =>
            sqlx::query_scalar("SELECT tx FROM stellar_unread WHERE account = $1 ORDER BY at, tx")
                .bind(&self.account.bytes()[..])
                .fetch_all(pool))?;
        rows.iter().map(|hash| array("stellar_unread", "tx", hash).map(TxHash::from_bytes)).collect()
    }
}

/// A row of `stellar_arrivals`.
#[derive(Debug, sqlx::FromRow)]
struct Row {
    tx: Vec<u8>,
    operation: i64,
    ledger: i64,
    sender: Vec<u8>,
    asset: Option<String>,
    amount: i64,
    reference: Option<i64>,
    credit: Option<Vec<u8>>,
    worth: Option<i64>,
    booked: Option<i64>,
    claim: Option<Vec<u8>>,
    claimed: Option<i64>,
}

impl Row {
    fn new(arrival: &Arrival, whose: Whose, suspense: AccountId) -> Self {
        let goes_to = match whose {
            Whose::Known { account, worth } => Some((account, worth)),
            Whose::Unknown { worth } => Some((suspense, worth)),
            Whose::Nothing => None,
        };
        Self {
            tx: arrival.tx.bytes().to_vec(),
            operation: arrival.operation.into(),
            ledger: arrival.ledger.into(),
            sender: arrival.from.bytes().to_vec(),
            asset: arrival.asset.map(|asset| asset.to_string()),
            amount: arrival.amount.get(),
            reference: arrival.reference.map(u64::cast_signed),
            credit: goes_to.map(|(account, _)| account.bytes().to_vec()),
            worth: goes_to.map(|(_, worth)| worth.into()),
            booked: None,
            claim: None,
            claimed: None,
        }
    }

    fn read(self) -> Result<Kept, TableError> {
        let account = |bytes: &[u8]| array(ARRIVALS, "account", bytes).map(AccountId::from_bytes);
        let goes_to = match (self.credit.as_deref(), self.worth) {
            (None, None) => None,
            (Some(credit), Some(worth)) => {
                let worth = Msat::try_from(worth).map_err(|_| impossible(ARRIVALS, "worth", worth))?;
                Some((account(credit)?, worth))
            }
            other => return Err(impossible(ARRIVALS, "credit", other)),
        };
        let arrival = Arrival {
            tx: TxHash::from_bytes(array(ARRIVALS, "tx", &self.tx)?),
            operation: number(ARRIVALS, "operation", self.operation)?,
            ledger: number(ARRIVALS, "ledger", self.ledger)?,
            from: Address::from_bytes(array(ARRIVALS, "sender", &self.sender)?),
            asset: self.asset.as_deref().map(|asset| words(ARRIVALS, "asset", asset)).transpose()?,
            amount: Stroops::new(self.amount).ok_or_else(|| impossible(ARRIVALS, "amount", self.amount))?,
            reference: self.reference.map(i64::cast_unsigned),
        };
        let claim = self.claim.as_deref().map(account).transpose()?;
        Ok(Kept { arrival, goes_to, is_booked: self.booked.is_some(), claim, is_claimed: self.claimed.is_some() })
    }
}

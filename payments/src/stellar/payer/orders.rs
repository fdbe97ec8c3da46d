//! Orders on disk: what is to be paid, every envelope that was signed for it, and how it ended.
//!
//! Every change is written against the version that was read, so that of two processes one goes on and the other reads again.
//! The tables themselves refuse a second transaction of an account in the air, and any change of signed bytes.

mod rows;

use sqlx::Row as _;

use self::rows::{AttemptRow, BumpRow, OrderRow};
use super::{Attempt, Bump, Change, Order, OrderId, Outcome, State};
use crate::UnixMillis;
use crate::database::{Database, ask, tell};
use crate::stellar::{Address, Network};
use crate::tables::{TableError, changed, time};

/// The orders of one account on one network.
#[derive(Debug, Clone)]
pub struct Orders {
    database: Database,
    account: Address,
    network: [u8; 32],
}

/// An order as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// What is to be paid.
    pub order: Order,
    /// How far it is.
    pub state: State,
    /// Of which change.
    pub(super) version: i64,
}

impl Orders {
    /// The orders that this account pays on this network.
    #[must_use]
    pub fn new(database: Database, account: Address, network: &Network) -> Self {
        Self { database, account, network: network.id() }
    }

    /// Puts an order in; `false`: the same is there already, and nothing is done twice.
    ///
    /// # Errors
    /// [`TableError::Other`]: the id stands for another order.
    pub async fn add(&self, order: &Order, at: UnixMillis) -> Result<bool, TableError> {
        let row = OrderRow::new(order, self.account, self.network);
        let new = changed!(&self.database, sqlx::query(
                "INSERT INTO stellar_orders (id, account, network, destination, asset, amount, memo, send_asset, send_max, path, at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING",
            )
            .bind(&row.id)
            .bind(&row.account)
            .bind(&row.network)
            .bind(&row.destination)
            .bind(&row.asset)
            .bind(row.amount)
            .bind(row.memo)
            .bind(&row.send_asset)
            .bind(row.send_max)
            .bind(&row.path)
            .bind(time(at)))?;
        if new == 1 {
            return Ok(true);
        }
        let there = self.row(order.id).await?.ok_or(TableError::Changed("an order"))?;
        match row.differs(&there) {
            None => Ok(false),
            Some(field) => Err(TableError::Other { what: format!("the order {:?}", order.id), field }),
        }
    }

    /// The order to go on with: the one in the air, else the one that has waited longest.
    ///
    /// # Errors
    /// What the database says.
    pub async fn next(&self) -> Result<Option<Stored>, TableError> {
        let id: Option<Vec<u8>> = ask!(&self.database, pool => sqlx::query_scalar(
                "SELECT o.id FROM stellar_orders o
                 LEFT JOIN stellar_attempts a ON a.order_id = o.id AND a.fate IS NULL
                 WHERE o.account = $1 AND o.network = $2 AND o.outcome IS NULL
                 ORDER BY CASE WHEN a.number IS NULL THEN 1 ELSE 0 END, o.at, o.id LIMIT 1",
            )
            .bind(&self.account.bytes()[..])
            .bind(&self.network[..])
            .fetch_optional(pool))?;
        match id {
            Some(id) => self.get(OrderId(crate::tables::array("stellar_orders", "id", &id)?)).await,
            None => Ok(None),
        }
    }

    /// An order; `None`: there is none of this id.
    ///
    /// # Errors
    /// What the database says, and what it holds that cannot be.
    pub async fn get(&self, id: OrderId) -> Result<Option<Stored>, TableError> {
        let Some(row) = self.row(id).await? else { return Ok(None) };
        let (order, version) = (row.order()?, row.version);
        let state = match row.outcome()? {
            Some(outcome) => State::Ended(outcome),
            None => self.state(id).await?,
        };
        Ok(Some(Stored { order, state, version }))
    }

    async fn row(&self, id: OrderId) -> Result<Option<OrderRow>, TableError> {
        let found = ask!(&self.database, pool => sqlx::query_as(
                "SELECT id, account, network, destination, asset, amount, memo, send_asset, send_max, path, version, outcome,
                     hash, ledger, why FROM stellar_orders WHERE id = $1",
            )
            .bind(&id.0[..])
            .fetch_optional(pool))?;
        Ok(found)
    }

    /// Of an order that is not over: its newest attempt, where that may still be applied.
    async fn state(&self, id: OrderId) -> Result<State, TableError> {
        let newest: Option<AttemptRow> = ask!(&self.database, pool => sqlx::query_as(
                "SELECT number, sequence, max_time, since, rate, hash, envelope, at, fate FROM stellar_attempts
                 WHERE order_id = $1 ORDER BY number DESC LIMIT 1",
            )
            .bind(&id.0[..])
            .fetch_optional(pool))?;
        let Some(newest) = newest else { return Ok(State::Wanted { attempts: 0 }) };
        if newest.fate.is_some() {
            return Ok(State::Wanted { attempts: newest.number()? });
        }
        let bumps: Vec<BumpRow> = ask!(&self.database, pool => sqlx::query_as(
                "SELECT rate, hash, envelope, at FROM stellar_bumps WHERE order_id = $1 AND number = $2 ORDER BY place",
            )
            .bind(&id.0[..])
            .bind(newest.number)
            .fetch_all(pool))?;
        Ok(State::Signed(newest.read(bumps)?))
    }

    /// Writes a change of the order as it was read. Answered when it is on the disk; says the new version.
    ///
    /// # Errors
    /// [`TableError::Changed`]: another process has written meanwhile; nothing was written.
    pub(super) async fn write(
        &self,
        (id, version): (OrderId, i64),
        change: &Change,
        at: UnixMillis,
    ) -> Result<i64, TableError> {
        let written = match change {
            Change::Attempt(attempt) => self.write_attempt(id, version, attempt).await,
            Change::Bump(bump) => self.write_bump(id, version, bump).await,
            Change::Dead(number) => self.write_dead(id, version, *number).await,
            Change::End(outcome) => self.write_end(id, version, outcome, at).await,
        };
        match written {
            Ok(true) => Ok(version + 1),
            Ok(false) => Err(TableError::Changed("an order")),
            // The index refuses a second transaction of the account in the air.
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Err(TableError::Changed("an account")),
            Err(error) => Err(error.into()),
        }
    }

    async fn write_attempt(&self, id: OrderId, version: i64, attempt: &Attempt) -> Result<bool, sqlx::Error> {
        let row = AttemptRow::new(attempt);
        tell!(&self.database, pool => async {
            let mut tx = pool.begin().await?;
            let turn = sqlx::query(TURN).bind(&id.0[..]).bind(version).execute(&mut *tx).await?;
            if turn.rows_affected() != 1 {
                return Ok(false);
            }
            sqlx::query(
                "INSERT INTO stellar_attempts (order_id, number, account, sequence, max_time, since, rate, hash, envelope, at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            )
            .bind(&id.0[..])
            .bind(row.number)
            .bind(&self.account.bytes()[..])
            .bind(row.sequence)
            .bind(row.max_time)
            .bind(row.since)
            .bind(row.rate)
            .bind(&row.hash)
            .bind(&row.envelope)
            .bind(row.at)
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
            Ok(true)
        })
    }

    async fn write_bump(&self, id: OrderId, version: i64, bump: &Bump) -> Result<bool, sqlx::Error> {
        tell!(&self.database, pool => async {
            let mut tx = pool.begin().await?;
            let turn = sqlx::query(TURN).bind(&id.0[..]).bind(version).execute(&mut *tx).await?;
            if turn.rows_affected() != 1 {
                return Ok(false);
            }
            let number: i64 = sqlx::query("SELECT number FROM stellar_attempts WHERE order_id = $1 AND fate IS NULL")
                .bind(&id.0[..])
                .fetch_one(&mut *tx)
                .await?
                .get(0);
            sqlx::query(
                "INSERT INTO stellar_bumps (order_id, number, place, rate, hash, envelope, at)
                 SELECT $1, $2, coalesce(max(place), 0) + 1, $3, $4, $5, $6 FROM stellar_bumps
                 WHERE order_id = $1 AND number = $2",
            )
            .bind(&id.0[..])
            .bind(number)
            .bind(i64::from(bump.rate.get()))
            .bind(&bump.signed.hash.bytes()[..])
            .bind(&bump.signed.envelope)
            .bind(time(bump.at))
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
            Ok(true)
        })
    }

    async fn write_dead(&self, id: OrderId, version: i64, number: u32) -> Result<bool, sqlx::Error> {
        tell!(&self.database, pool => async {
            let mut tx = pool.begin().await?;
            let turn = sqlx::query(TURN).bind(&id.0[..]).bind(version).execute(&mut *tx).await?;
            let dead = sqlx::query("UPDATE stellar_attempts SET fate = 1 WHERE order_id = $1 AND number = $2 AND fate IS NULL")
                .bind(&id.0[..])
                .bind(i64::from(number))
                .execute(&mut *tx)
                .await?;
            if turn.rows_affected() != 1 || dead.rows_affected() != 1 {
                return Ok(false);
            }
            tx.commit().await?;
            Ok(true)
        })
    }

    async fn write_end(
        &self,
        id: OrderId,
        version: i64,
        outcome: &Outcome,
        at: UnixMillis,
    ) -> Result<bool, sqlx::Error> {
        let (kind, hash, ledger, why) = rows::ended(outcome);
        tell!(&self.database, pool => async {
            let mut tx = pool.begin().await?;
            let ended = sqlx::query(
                "UPDATE stellar_orders SET version = version + 1, outcome = $3, hash = $4, ledger = $5, why = $6, ended = $7
                 WHERE id = $1 AND version = $2 AND outcome IS NULL",
            )
            .bind(&id.0[..])
            .bind(version)
            .bind(kind)
            .bind(&hash)
            .bind(ledger)
            .bind(&why)
            .bind(time(at))
            .execute(&mut *tx)
            .await?;
            if ended.rows_affected() != 1 {
                return Ok(false);
            }
            sqlx::query("UPDATE stellar_attempts SET fate = 2 WHERE order_id = $1 AND fate IS NULL")
                .bind(&id.0[..])
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(true)
        })
    }
}

/// Takes the next version of an order: whoever else has read this one comes too late. Goes first in its transaction, so that
/// the database's lock is held from the beginning.
const TURN: &str = "UPDATE stellar_orders SET version = version + 1 WHERE id = $1 AND version = $2 AND outcome IS NULL";

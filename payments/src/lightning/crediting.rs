//! The task that credits what was paid: reads the node's settlements behind a cursor, stores them with the cursor, has the ledger
//! book them, and tells.
//!
//! A payment is credited once, whoever is killed when: it is one transfer, named by the payment's hash, whether it comes over the
//! network or from another customer of ours. The second of the two, should a node let both through, goes to suspense, and so does
//! what comes for an account that is frozen. What came is what is credited, not what was asked for.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Cursor, NodeError, NodeId, PaymentHash, Settlement, Told, TopUpId, TopUps};
use crate::database::{ask, tell};
use crate::ledger::{AccountId, Ledger, LedgerError, Movement, Purpose, Refusal, Transfer, TransferId};
use crate::tables::{TableError, array, changed, impossible, number, time};
use crate::{Msat, UnixMillis};

const TABLE: &str = "lightning_arrivals";
/// Arrivals that are booked or told at a time.
const AT_ONCE: i64 = 100;
/// How long it rests after something went wrong.
const REST: Duration = Duration::from_secs(5);

/// A top-up that was credited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credited {
    /// The request's name. A program that is killed while it tells is told again: by this it knows.
    pub id: TopUpId,
    /// Whose.
    pub account: AccountId,
    /// What has arrived: more or less than was asked for, if that came.
    pub amount: Msat,
}

/// Told of every top-up that was credited, once or, where a kill comes in between, again. `false`: it could not be told, try
/// again later.
pub type OnCredited = Arc<dyn Fn(Credited) -> Told + Send + Sync>;

/// Why nothing was credited. What was done is kept; the next step goes on.
#[derive(Debug, thiserror::Error)]
pub enum CreditError {
    /// The node.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The tables.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The ledger did not book it: people must look why.
    #[error("the ledger does not book what came for invoice {hash}: {error}")]
    Ledger {
        /// Which.
        hash: PaymentHash,
        /// Why.
        error: LedgerError,
    },
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Settlements of our invoices that were new.
    pub arrived: usize,
    /// Settlements that say another amount than before: nothing is booked of them, people must look.
    pub contradicted: usize,
    /// Credited to customers.
    pub credited: usize,
    /// Put into suspense.
    pub suspended: usize,
    /// Told.
    pub told: usize,
}

/// Credits what is paid.
pub struct Crediting {
    top_ups: TopUps,
    on_credited: OnCredited,
    node: Option<NodeId>,
}

impl std::fmt::Debug for Crediting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Crediting")
    }
}

impl Crediting {
    /// Credits the top-ups of this node. Two at once, in whatever processes, do no harm.
    #[must_use]
    pub fn new(top_ups: TopUps, on_credited: OnCredited) -> Self {
        Self { top_ups, on_credited, node: None }
    }

    /// Credits until it is told to stop; then stops where it is, which at any point loses nothing.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let step = tokio::select! {
                () = stop.cancelled() => return,
                step = self.step() => step,
            };
            if let Err(error) = step {
                tracing::error!(%error, "top-ups are not read or not booked for a moment");
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(REST) => {}
                }
            }
        }
    }

    /// Books and tells what is there, waits for something new, and books and tells that.
    ///
    /// # Errors
    /// As [`CreditError`] says. Nothing is lost.
    pub async fn step(&mut self) -> Result<Progress, CreditError> {
        let mut done = Progress::default();
        self.book(&mut done).await?;
        self.tell(&mut done).await?;
        let node = match self.node {
            Some(node) => node,
            None => *self.node.insert(self.top_ups.node.id().await?),
        };
        let after = self.cursor(node).await?;
        let settled = self.top_ups.node.settlements(after).await?;
        if !settled.is_empty() {
            self.store(node, after, &settled, &mut done).await?;
            self.book(&mut done).await?;
            self.tell(&mut done).await?;
        }
        Ok(done)
    }

    async fn cursor(&self, node: NodeId) -> Result<Cursor, TableError> {
        let cursor: Option<i64> = ask!(self.top_ups.ledger.database(), pool =>
            sqlx::query_scalar("SELECT cursor FROM lightning_cursors WHERE node = $1")
                .bind(&node.0[..])
                .fetch_optional(pool))?;
        Ok(Cursor(number("lightning_cursors", "cursor", cursor.unwrap_or_default())?))
    }

    /// Stores what has come and how far is read, in one commit.
    async fn store(
        &self,
        node: NodeId,
        after: Cursor,
        settled: &[Settlement],
        done: &mut Progress,
    ) -> Result<(), CreditError> {
        let database = self.top_ups.ledger.database();
        let now = time(self.top_ups.ledger.now());
        let last = settled.iter().map(|settlement| settlement.cursor).max().unwrap_or(after).max(after);
        let column = |cursor: Cursor| i64::try_from(cursor.0).unwrap_or(i64::MAX);
        let stored = tell!(database, pool => async {
            let mut tx = pool.begin().await?;
            sqlx::query("INSERT INTO lightning_cursors (node, cursor) VALUES ($1, 0) ON CONFLICT DO NOTHING")
                .bind(&node.0[..])
                .execute(&mut *tx)
                .await?;
            let turn = sqlx::query("UPDATE lightning_cursors SET cursor = $3 WHERE node = $1 AND cursor = $2")
                .bind(&node.0[..])
                .bind(column(after))
                .bind(column(last))
                .execute(&mut *tx)
                .await?;
            if turn.rows_affected() != 1 {
                return Ok(None);
            }
            let (mut new, mut odd) = (0, Vec::new());
            for settlement in settled.iter().filter(|settlement| !settlement.amount.is_zero()) {
                // An invoice that is none of ours is not ours to book: the operator's node has others.
                let row = sqlx::query(
                    "INSERT INTO lightning_arrivals (hash, inside, amount, at)
                     SELECT hash, 0, $2, $3 FROM lightning_top_ups WHERE hash = $1 ON CONFLICT DO NOTHING",
                )
                .bind(&settlement.hash.0[..])
                .bind(i64::from(settlement.amount))
                .bind(now)
                .execute(&mut *tx)
                .await?;
                if row.rows_affected() == 1 {
                    new += 1;
                    continue;
                }
                let before: Option<i64> =
                    sqlx::query_scalar("SELECT amount FROM lightning_arrivals WHERE hash = $1 AND inside = 0")
                        .bind(&settlement.hash.0[..])
                        .fetch_optional(&mut *tx)
                        .await?;
                if before.is_some_and(|before| before != i64::from(settlement.amount)) {
                    odd.push(settlement.hash);
                }
            }
            tx.commit().await?;
            Ok::<_, sqlx::Error>(Some((new, odd)))
        });
        let Some((new, odd)) = stored.map_err(TableError::from)? else {
            return Err(TableError::Changed("how far the node's settlements are read").into());
        };
        for hash in &odd {
            tracing::error!(%hash, "the Lightning node says a second amount for one invoice; the first one counts");
        }
        done.arrived += new;
        done.contradicted += odd.len();
        Ok(())
    }

    /// Has the ledger book what it does not have. One that it does not take stops none of the others.
    async fn book(&self, done: &mut Progress) -> Result<(), CreditError> {
        let mut failed = None;
        for arrival in self.arrivals("a.booked IS NULL").await? {
            match self.book_one(&arrival).await {
                Ok(went) => {
                    self.mark_booked(&arrival, went).await?;
                    match went {
                        Went::Customer => done.credited += 1,
                        Went::Suspense => done.suspended += 1,
                    }
                }
                Err(error) => failed = Some(CreditError::Ledger { hash: arrival.hash, error }),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn book_one(&self, arrival: &Arrival) -> Result<Went, LedgerError> {
        let TopUps { ledger, books, .. } = &self.top_ups;
        let credit = credit(arrival.hash, books.lightning, arrival.account, arrival.amount);
        match ledger.apply(vec![credit]).await {
            Ok(_) => Ok(Went::Customer),
            // Another customer has paid it already, or the customer's account is frozen: it came, and it is nobody's for now.
            Err(LedgerError::Refused { refusal, .. }) if is_surplus(&refusal, arrival.account) => {
                let id = TransferId::named(&["top-up surplus", &arrival.hash.to_string()]);
                let (debit, credit) = (books.lightning, books.suspense);
                let movement = Movement::Post { debit, credit, amount: arrival.amount };
                ledger.apply(vec![Transfer { id, purpose: Purpose::TopUp, movement }]).await?;
                let hash = arrival.hash;
                tracing::error!(%hash, %refusal, "what came for an invoice lies in suspense");
                Ok(Went::Suspense)
            }
            Err(error) => Err(error),
        }
    }

    async fn mark_booked(&self, arrival: &Arrival, went: Went) -> Result<(), TableError> {
        changed!(
            self.top_ups.ledger.database(),
            sqlx::query(
                "UPDATE lightning_arrivals SET booked = $3, went = $4 WHERE hash = $1 AND inside = $2 AND booked IS NULL"
            )
            .bind(&arrival.hash.0[..])
            .bind(i64::from(arrival.inside))
            .bind(time(self.top_ups.ledger.now()))
            .bind(went as i64)
        )?;
        Ok(())
    }

    /// Tells what was credited and has not been told.
    async fn tell(&self, done: &mut Progress) -> Result<(), TableError> {
        for arrival in self.arrivals("a.booked IS NOT NULL AND a.went = 1 AND a.told IS NULL").await? {
            let credited = Credited { id: arrival.id, account: arrival.account, amount: arrival.amount };
            if !(self.on_credited)(credited).await {
                continue;
            }
            done.told += 1;
            changed!(
                self.top_ups.ledger.database(),
                sqlx::query("UPDATE lightning_arrivals SET told = $3 WHERE hash = $1 AND inside = $2 AND told IS NULL")
                    .bind(&arrival.hash.0[..])
                    .bind(i64::from(arrival.inside))
                    .bind(time(self.top_ups.ledger.now()))
            )?;
        }
        Ok(())
    }

    async fn arrivals(&self, which: &'static str) -> Result<Vec<Arrival>, TableError> {
        let sql = format!(
            "SELECT a.hash, a.inside, a.amount, t.id, t.account FROM lightning_arrivals a
             JOIN lightning_top_ups t ON t.hash = a.hash WHERE {which} ORDER BY a.at, a.hash LIMIT $1"
        );
        // `which` is one of our own words above.
        let rows: Vec<Row> = ask!(self.top_ups.ledger.database(), pool =>
            sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(AT_ONCE).fetch_all(pool))?;
        rows.into_iter().map(Row::read).collect()
    }
}

/// The one transfer that a payment's hash stands for, over the network or inside.
pub(super) fn credit(hash: PaymentHash, from: AccountId, to: AccountId, amount: Msat) -> Transfer {
    let id = TransferId::named(&["top-up", &hash.to_string()]);
    Transfer { id, purpose: Purpose::TopUp, movement: Movement::Post { debit: from, credit: to, amount } }
}

fn is_surplus(refusal: &Refusal, customer: AccountId) -> bool {
    match refusal {
        Refusal::OtherBody { .. } => true,
        Refusal::Frozen { account } => *account == customer,
        _ => false,
    }
}

/// A payment inside has been booked: it is told like the others.
pub(super) async fn arrived_inside(
    ledger: &Ledger,
    hash: PaymentHash,
    amount: Msat,
    now: UnixMillis,
) -> Result<(), TableError> {
    changed!(
        ledger.database(),
        sqlx::query(
            "INSERT INTO lightning_arrivals (hash, inside, amount, at, booked, went) VALUES ($1, 1, $2, $3, $3, 1)
             ON CONFLICT DO NOTHING",
        )
        .bind(&hash.0[..])
        .bind(i64::from(amount))
        .bind(time(now))
    )?;
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum Went {
    Customer = 1,
    Suspense = 2,
}

#[derive(Debug)]
struct Arrival {
    hash: PaymentHash,
    inside: bool,
    amount: Msat,
    id: TopUpId,
    account: AccountId,
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    hash: Vec<u8>,
    inside: i64,
    amount: i64,
    id: Vec<u8>,
    account: Vec<u8>,
}

impl Row {
    fn read(self) -> Result<Arrival, TableError> {
        Ok(Arrival {
            hash: PaymentHash(array(TABLE, "hash", &self.hash)?),
            inside: self.inside == 1,
            amount: Msat::try_from(self.amount).map_err(|_| impossible(TABLE, "amount", self.amount))?,
            id: TopUpId::from_bytes(array(TABLE, "id", &self.id)?),
            account: AccountId::from_bytes(array(TABLE, "account", &self.account)?),
        })
    }
}

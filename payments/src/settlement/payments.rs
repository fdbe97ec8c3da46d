//! Payments to partners on disk: one at a time with each, from the windows that it pays to its outcome.

use super::Due;
use crate::database::{Database, ask, tell};
use crate::stellar::payer::{Order, OrderId};
use crate::stellar::{Address, Asset, Destination, Pay, Stroops};
use crate::tables::{TableError, array, changed, impossible, number, time, words};
use crate::{Msat, UnixMillis};

const TABLE: &str = "settlement_payments";
/// The outcome of a payment that was made.
const MADE: i64 = 1;
/// Lets a partner's payment go that was not made: its windows first, then itself.
const LET_GO: [&str; 2] = [
    "UPDATE settlement_windows SET payment = NULL WHERE paid IS NULL AND payment IN
         (SELECT id FROM settlement_payments WHERE partner = $1 AND outcome = 2)",
    "UPDATE settlement_payments SET outcome = 3 WHERE partner = $1 AND outcome = 2",
];

/// A payment to a partner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Its order's name.
    pub order: OrderId,
    /// To whom.
    pub partner: Address,
    /// The windows that it pays.
    pub windows: std::ops::RangeInclusive<u32>,
    /// What they come to.
    pub amount: Msat,
    /// The same in what is paid with.
    pub stroops: Stroops,
    /// In what.
    pub asset: Asset,
    /// Its memo.
    pub reference: u64,
    /// How it ended; `None`: it is under way.
    pub end: Option<PaymentEnd>,
}

/// How a payment ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentEnd {
    /// It is in a ledger.
    Paid,
    /// It was not made and cannot be any more: people look why, and let its windows be paid again ([`super::Clerk::retry`]).
    NotPaid {
        /// Why.
        why: String,
    },
    /// It was not made, and its windows were let go.
    LetGo {
        /// Why it was not made.
        why: String,
    },
}

impl Payment {
    /// What the payer is asked for; always the same.
    pub(super) fn order(&self) -> Order {
        let pay = Pay { destination: Destination::account(self.partner), asset: self.asset, amount: self.stroops };
        Order { id: self.order, pay, memo: Some(self.reference), via: None }
    }
}

/// What a payment begins with.
pub(super) struct Beginning {
    pub(super) partner: Address,
    pub(super) windows: std::ops::RangeInclusive<u32>,
    pub(super) attempt: u32,
    pub(super) due: Due,
    pub(super) order: Order,
}

/// All payments to partners.
#[derive(Debug, Clone)]
pub(super) struct Payments {
    database: Database,
}

impl Payments {
    pub(super) const fn new(database: Database) -> Self {
        Self { database }
    }

    /// How often the windows up to this one were tried to be paid.
    pub(super) async fn tries(&self, partner: Address, last: u32) -> Result<u32, TableError> {
        let tries: i64 = ask!(&self.database, pool =>
            sqlx::query_scalar("SELECT count(*) FROM settlement_payments WHERE partner = $1 AND last_window = $2")
                .bind(&partner.bytes()[..])
                .bind(i64::from(last))
                .fetch_one(pool))?;
        number(TABLE, "try", tries)
    }

    /// Begins a payment and takes its windows, all of them unpaid and free, or nothing.
    pub(super) async fn begin(&self, beginning: &Beginning, at: UnixMillis) -> Result<(), TableError> {
        self.write(beginning, at, false).await
    }

    /// Writes down a payment that people have made by hand, and its windows as paid, all of them unpaid and free (or of a payment
    /// that was not made, which is let go by that), or nothing.
    pub(super) async fn by_hand(&self, made: &Beginning, at: UnixMillis) -> Result<(), TableError> {
        self.write(made, at, true).await
    }

    async fn write(&self, payment: &Beginning, at: UnixMillis, made: bool) -> Result<(), TableError> {
        let Beginning { partner, windows, attempt, due, order } = payment;
        let (first, last) = (i64::from(*windows.start()), i64::from(*windows.end()));
        let (outcome, paid) = (made.then_some(MADE), made.then_some(time(at)));
        let written = tell!(&self.database, pool => async {
            let mut tx = pool.begin().await?;
            for let_go in LET_GO.into_iter().filter(|_| made) {
                sqlx::query(let_go).bind(&partner.bytes()[..]).execute(&mut *tx).await?;
            }
            sqlx::query(
                "INSERT INTO settlement_payments
                     (id, partner, first_window, last_window, try, amount_msat, stroops, asset, reference, at, outcome)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            )
            .bind(&order.id.0[..])
            .bind(&partner.bytes()[..])
            .bind(first)
            .bind(last)
            .bind(i64::from(*attempt))
            .bind(i64::from(due.amount))
            .bind(due.stroops.get())
            .bind(order.pay.asset.to_string())
            .bind(due.reference.cast_signed())
            .bind(time(at))
            .bind(outcome)
            .execute(&mut *tx)
            .await?;
            let taken = sqlx::query(
                "UPDATE settlement_windows SET payment = $1, paid = $5 WHERE partner = $2 AND number BETWEEN $3 AND $4
                 AND booked IS NOT NULL AND paid IS NULL AND payment IS NULL",
            )
            .bind(&order.id.0[..])
            .bind(&partner.bytes()[..])
            .bind(first)
            .bind(last)
            .bind(paid)
            .execute(&mut *tx)
            .await?;
            if i64::try_from(taken.rows_affected()).ok() != Some(last - first + 1) {
                return Ok(false);
            }
            tx.commit().await?;
            Ok::<_, sqlx::Error>(true)
        });
        match written {
            Ok(true) => Ok(()),
            Ok(false) => Err(TableError::Changed("the windows of a payment")),
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                Err(TableError::Changed("a partner's payments"))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The payments that are under way.
    pub(super) async fn under_way(&self) -> Result<Vec<Payment>, TableError> {
        let rows: Vec<Row> = ask!(&self.database, pool => sqlx::query_as(
                "SELECT id, partner, first_window, last_window, amount_msat, stroops, asset, reference, outcome, why
                 FROM settlement_payments WHERE outcome IS NULL ORDER BY at, id",
            )
            .fetch_all(pool))?;
        rows.into_iter().map(Row::read).collect()
    }

    /// All payments to a partner, the newest first.
    pub(super) async fn of(&self, partner: Address, limit: u32) -> Result<Vec<Payment>, TableError> {
        let rows: Vec<Row> = ask!(&self.database, pool => sqlx::query_as(
                "SELECT id, partner, first_window, last_window, amount_msat, stroops, asset, reference, outcome, why
                 FROM settlement_payments WHERE partner = $1 ORDER BY at DESC, last_window DESC, try DESC LIMIT $2",
            )
            .bind(&partner.bytes()[..])
            .bind(i64::from(limit))
            .fetch_all(pool))?;
        rows.into_iter().map(Row::read).collect()
    }

    /// Whether a payment to the partner is under way, or one that was not made waits for people.
    pub(super) async fn is_busy(&self, partner: Address) -> Result<bool, TableError> {
        let busy: i64 = ask!(&self.database, pool => sqlx::query_scalar(
                "SELECT count(*) FROM settlement_payments WHERE partner = $1 AND (outcome IS NULL OR outcome = 2)",
            )
            .bind(&partner.bytes()[..])
            .fetch_one(pool))?;
        Ok(busy > 0)
    }

    /// It is in a ledger: its windows are paid.
    pub(super) async fn paid(&self, order: OrderId, at: UnixMillis) -> Result<(), TableError> {
        tell!(&self.database, pool => async {
            let mut tx = pool.begin().await?;
            sqlx::query("UPDATE settlement_payments SET outcome = 1 WHERE id = $1 AND outcome IS NULL")
                .bind(&order.0[..])
                .execute(&mut *tx)
                .await?;
            sqlx::query("UPDATE settlement_windows SET paid = $2 WHERE payment = $1 AND paid IS NULL")
                .bind(&order.0[..])
                .bind(time(at))
                .execute(&mut *tx)
                .await?;
            tx.commit().await
        })?;
        Ok(())
    }

    /// It was not made and cannot be any more.
    pub(super) async fn not_paid(&self, order: OrderId, why: &str) -> Result<(), TableError> {
        changed!(
            &self.database,
            sqlx::query("UPDATE settlement_payments SET outcome = 2, why = $2 WHERE id = $1 AND outcome IS NULL")
                .bind(&order.0[..])
                .bind(why)
        )?;
        Ok(())
    }

    /// Lets the windows of a payment that was not made be paid again. `false`: there is none.
    pub(super) async fn let_go(&self, partner: Address) -> Result<bool, TableError> {
        let gone = tell!(&self.database, pool => async {
            let mut tx = pool.begin().await?;
            let mut gone = 0;
            for let_go in LET_GO {
                gone = sqlx::query(let_go).bind(&partner.bytes()[..]).execute(&mut *tx).await?.rows_affected();
            }
            tx.commit().await?;
            Ok::<_, sqlx::Error>(gone)
        })?;
        Ok(gone > 0)
    }
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: Vec<u8>,
    partner: Vec<u8>,
    first_window: i64,
    last_window: i64,
    amount_msat: i64,
    stroops: i64,
    asset: String,
    reference: i64,
    outcome: Option<i64>,
    why: Option<String>,
}

impl Row {
    fn read(self) -> Result<Payment, TableError> {
        let end = match (self.outcome, self.why) {
            (None, None) => None,
            (Some(1), None) => Some(PaymentEnd::Paid),
            (Some(2), Some(why)) => Some(PaymentEnd::NotPaid { why }),
            (Some(3), Some(why)) => Some(PaymentEnd::LetGo { why }),
            other => return Err(impossible(TABLE, "outcome", other)),
        };
        let windows =
            number(TABLE, "first_window", self.first_window)?..=number(TABLE, "last_window", self.last_window)?;
        Ok(Payment {
            order: OrderId(array(TABLE, "id", &self.id)?),
            partner: Address::from_bytes(array(TABLE, "partner", &self.partner)?),
            windows,
            amount: Msat::try_from(self.amount_msat).map_err(|_| impossible(TABLE, "amount_msat", self.amount_msat))?,
            stroops: Stroops::new(self.stroops).ok_or_else(|| impossible(TABLE, "stroops", self.stroops))?,
            asset: words(TABLE, "asset", &self.asset)?,
            reference: self.reference.cast_unsigned(),
            end,
        })
    }
}

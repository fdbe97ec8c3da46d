//! Windows on disk: what we claim, what the partner has sent, what both have signed. All of it is written once.
//!
//! A window is read by going again through what was said: our claim, then the partner's messages in the order in which they
//! came. That gives the same standing and the same disputes every time.

use super::{Agreement, Proposal, Settlement, Side, Standing, Statement};
use crate::UnixMillis;
use crate::database::{Database, ask, tell};
use crate::ledger::AccountId;
use crate::stellar::incoming::{Accepted, Expected, Expecting};
use crate::stellar::{Address, SigningKey};
use crate::tables::{TableError, array, changed, impossible, number, time};

const WINDOWS: &str = "settlement_windows";
/// Different statements of one partner for one window: an honest one sends two.
const MAX_MESSAGES: i64 = 16;

/// The windows with all partners.
#[derive(Debug, Clone)]
pub struct Windows {
    database: Database,
}

/// A window as it is stored.
#[derive(Debug)]
pub struct Kept {
    /// With whom.
    pub partner: Address,
    /// Counted with each partner, from one.
    pub number: u32,
    /// How far it is; [`Settlement::proposals`] is what to send.
    pub settlement: Settlement,
}

/// The account of the ledger in which a partner's debts stand.
#[must_use]
pub(super) fn account_of(partner: Address) -> AccountId {
    AccountId::named(&["partner", &partner.to_string()])
}

impl Windows {
    /// The windows in this database.
    #[must_use]
    pub const fn new(database: Database) -> Self {
        Self { database }
    }

    /// Puts in what we claim for a new window. `false`: there is a window of this number already.
    pub(super) async fn open(
        &self,
        partner: Address,
        number: u32,
        ours: &Statement,
        at: UnixMillis,
    ) -> Result<bool, TableError> {
        let new = changed!(&self.database, sqlx::query(
                "INSERT INTO settlement_windows (partner, number, ours, at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            )
            .bind(&partner.bytes()[..])
            .bind(i64::from(number))
            .bind(ours.bytes())
            .bind(time(at)))?;
        Ok(new == 1)
    }

    /// The newest window with a partner; `None`: there was none yet. `key`: ours.
    ///
    /// # Errors
    /// What the database says, and what it holds that cannot be.
    pub async fn newest(&self, partner: Address, key: &SigningKey) -> Result<Option<Kept>, TableError> {
        let row: Option<(i64, Vec<u8>)> = ask!(&self.database, pool => sqlx::query_as(
                "SELECT number, ours FROM settlement_windows WHERE partner = $1 ORDER BY number DESC LIMIT 1",
            )
            .bind(&partner.bytes()[..])
            .fetch_optional(pool))?;
        self.read(partner, row, key).await
    }

    /// A window with a partner by its number.
    ///
    /// # Errors
    /// What the database says, and what it holds that cannot be.
    pub async fn get(&self, partner: Address, number: u32, key: &SigningKey) -> Result<Option<Kept>, TableError> {
        let row: Option<(i64, Vec<u8>)> = ask!(&self.database, pool =>
            sqlx::query_as("SELECT number, ours FROM settlement_windows WHERE partner = $1 AND number = $2")
                .bind(&partner.bytes()[..])
                .bind(i64::from(number))
                .fetch_optional(pool))?;
        self.read(partner, row, key).await
    }

    async fn read(
        &self,
        partner: Address,
        row: Option<(i64, Vec<u8>)>,
        key: &SigningKey,
    ) -> Result<Option<Kept>, TableError> {
        let Some((stored, ours)) = row else { return Ok(None) };
        let ours = Statement::read(&ours).map_err(|error| impossible(WINDOWS, "ours", error))?;
        let settlement = Settlement::new(ours, key);
        let mut settlement = settlement.ok_or_else(|| impossible(WINDOWS, "ours", "of two others"))?;
        for message in self.messages(partner, stored).await? {
            settlement
                .receive(&message, key)
                .map_err(|refused| impossible("settlement_messages", "message", refused))?;
        }
        Ok(Some(Kept { partner, number: number(WINDOWS, "number", stored)?, settlement }))
    }

    async fn messages(&self, partner: Address, number: i64) -> Result<Vec<Proposal>, TableError> {
        const TABLE: &str = "settlement_messages";
        let rows: Vec<(Vec<u8>, Vec<u8>)> = ask!(&self.database, pool => sqlx::query_as(
                "SELECT statement, signature FROM settlement_messages WHERE partner = $1 AND number = $2 ORDER BY place",
            )
            .bind(&partner.bytes()[..])
            .bind(number)
            .fetch_all(pool))?;
        rows.into_iter()
            .map(|(statement, signature)| {
                let statement = Statement::read(&statement).map_err(|error| impossible(TABLE, "statement", error))?;
                Ok(Proposal { statement, by: partner, signature: array(TABLE, "signature", &signature)? })
            })
            .collect()
    }

    /// Keeps what the partner has said, once [`Settlement::receive`] has taken it, and what both have signed by that.
    pub(super) async fn heard(&self, window: &Kept, said: &Proposal, at: UnixMillis) -> Result<(), TableError> {
        let agreement = match window.settlement.standing() {
            Standing::Agreed(agreement) => Some(agreement),
            Standing::Proposed | Standing::Disputed(_) => None,
        };
        let (partner, number) = (window.partner.bytes(), i64::from(window.number));
        let kept = tell!(&self.database, pool => async {
            let mut tx = pool.begin().await?;
            // One more than there are, unless the same was said before, or too much altogether.
            sqlx::query(
                "INSERT INTO settlement_messages (partner, number, place, hash, statement, signature, at)
                 SELECT $1, $2, count(*) + 1, $3, $4, $5, $6 FROM settlement_messages WHERE partner = $1 AND number = $2
                 HAVING count(*) < $7 ON CONFLICT DO NOTHING",
            )
            .bind(&partner[..])
            .bind(number)
            .bind(&said.statement.hash().0[..])
            .bind(said.statement.bytes())
            .bind(&said.signature[..])
            .bind(time(at))
            .bind(MAX_MESSAGES)
            .execute(&mut *tx)
            .await?;
            let there: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM settlement_messages WHERE partner = $1 AND number = $2 AND hash = $3",
            )
            .bind(&partner[..])
            .bind(number)
            .bind(&said.statement.hash().0[..])
            .fetch_one(&mut *tx)
            .await?;
            if there != 1 {
                return Ok(false);
            }
            if let Some(agreement) = agreement {
                sqlx::query(
                    "UPDATE settlement_windows SET agreed = $3, by_a = $4, by_b = $5, reference = $6
                     WHERE partner = $1 AND number = $2 AND agreed IS NULL",
                )
                .bind(&partner[..])
                .bind(number)
                .bind(agreement.statement.bytes())
                .bind(&agreement.by_a[..])
                .bind(&agreement.by_b[..])
                .bind(agreement.statement.reference().cast_signed())
                .execute(&mut *tx)
                .await?;
            }
            tx.commit().await?;
            Ok::<_, sqlx::Error>(true)
        })?;
        if kept { Ok(()) } else { Err(TableError::Changed("what a partner has said")) }
    }

    /// Windows that are agreed and not in the books yet, in their order.
    pub(super) async fn unbooked(&self) -> Result<Vec<(Address, u32, Agreement)>, TableError> {
        let rows: Vec<AgreedRow> = ask!(&self.database, pool => sqlx::query_as(
                "SELECT partner, number, agreed, by_a, by_b FROM settlement_windows
                 WHERE agreed IS NOT NULL AND booked IS NULL ORDER BY partner, number",
            )
            .fetch_all(pool))?;
        rows.into_iter().map(AgreedRow::read).collect()
    }

    /// Windows with a partner that are in the books, unpaid, and that no payment of ours is under way for, in their order.
    pub(super) async fn unpaid(&self, partner: Address) -> Result<Vec<(u32, Agreement)>, TableError> {
        let rows: Vec<AgreedRow> = ask!(&self.database, pool => sqlx::query_as(
                "SELECT partner, number, agreed, by_a, by_b FROM settlement_windows
                 WHERE partner = $1 AND booked IS NOT NULL AND paid IS NULL AND payment IS NULL ORDER BY number",
            )
            .bind(&partner.bytes()[..])
            .fetch_all(pool))?;
        let read = |row: AgreedRow| row.read().map(|(_, number, agreement)| (number, agreement));
        rows.into_iter().map(read).collect()
    }

    /// The same, and those of a payment that was not made: what people may pay by hand.
    pub(super) async fn payable(&self, partner: Address) -> Result<Vec<(u32, Agreement)>, TableError> {
        let rows: Vec<AgreedRow> = ask!(&self.database, pool => sqlx::query_as(
                "SELECT partner, number, agreed, by_a, by_b FROM settlement_windows
                 WHERE partner = $1 AND booked IS NOT NULL AND paid IS NULL AND (payment IS NULL OR payment IN
                     (SELECT id FROM settlement_payments WHERE partner = $1 AND outcome = 2)) ORDER BY number",
            )
            .bind(&partner.bytes()[..])
            .fetch_all(pool))?;
        let read = |row: AgreedRow| row.read().map(|(_, number, agreement)| (number, agreement));
        rows.into_iter().map(read).collect()
    }

    /// The books have it.
    pub(super) async fn mark_booked(&self, partner: Address, number: u32, at: UnixMillis) -> Result<(), TableError> {
        changed!(
            &self.database,
            sqlx::query(
                "UPDATE settlement_windows SET booked = $3 WHERE partner = $1 AND number = $2 AND booked IS NULL",
            )
            .bind(&partner.bytes()[..])
            .bind(i64::from(number))
            .bind(time(at))
        )?;
        Ok(())
    }

    /// The partner has paid for these: all of them are unpaid still, or nothing is written.
    pub(super) async fn mark_paid(
        &self,
        partner: Address,
        numbers: std::ops::RangeInclusive<u32>,
        at: UnixMillis,
    ) -> Result<(), TableError> {
        changed!(
            &self.database,
            sqlx::query(
                "UPDATE settlement_windows SET paid = $4
                 WHERE partner = $1 AND number BETWEEN $2 AND $3 AND paid IS NULL AND payment IS NULL",
            )
            .bind(&partner.bytes()[..])
            .bind(i64::from(*numbers.start()))
            .bind(i64::from(*numbers.end()))
            .bind(time(at))
        )?;
        Ok(())
    }

    /// The agreed window to which this number belongs, and with whom.
    async fn under(&self, reference: u64) -> Result<Option<(Address, u32, Agreement)>, TableError> {
        let row: Option<AgreedRow> = ask!(&self.database, pool => sqlx::query_as(
                "SELECT partner, number, agreed, by_a, by_b FROM settlement_windows
                 WHERE reference = $1 ORDER BY partner LIMIT 1",
            )
            .bind(reference.cast_signed())
            .fetch_optional(pool))?;
        row.map(AgreedRow::read).transpose()
    }
}

impl Expecting for Windows {
    async fn expected(&self, reference: u64) -> Result<Option<Expected>, TableError> {
        let window = self.under(reference).await?;
        Ok(window.map(|(partner, _, Agreement { statement: Statement { terms, .. }, .. })| {
            let agreed = Some(Accepted { asset: terms.asset, rate: terms.rate });
            Expected { reference, account: account_of(partner), agreed }
        }))
    }
}

#[derive(Debug, sqlx::FromRow)]
struct AgreedRow {
    partner: Vec<u8>,
    number: i64,
    agreed: Vec<u8>,
    by_a: Vec<u8>,
    by_b: Vec<u8>,
}

impl AgreedRow {
    fn read(self) -> Result<(Address, u32, Agreement), TableError> {
        let agreement = Agreement {
            statement: Statement::read(&self.agreed).map_err(|error| impossible(WINDOWS, "agreed", error))?,
            by_a: array(WINDOWS, "by_a", &self.by_a)?,
            by_b: array(WINDOWS, "by_b", &self.by_b)?,
            disputes: Vec::new(),
        };
        let partner = Address::from_bytes(array(WINDOWS, "partner", &self.partner)?);
        // Money follows from it: what is not signed by both is not paid, whoever wrote it into the table.
        let between = [Side::A, Side::B].map(|side| agreement.statement.terms.key(side));
        if !agreement.is_genuine() || !between.contains(&partner) {
            return Err(impossible(WINDOWS, "agreed", "not signed by both"));
        }
        Ok((partner, number(WINDOWS, "number", self.number)?, agreement))
    }
}

//! Payouts on disk: what each was asked for, and how far it is.

use super::{PayoutRules, day_before};
use crate::database::{Database, ask};
use crate::ledger::AccountId;
use crate::lightning::switch::Switch;
use crate::lightning::{PayoutId, Target};
use crate::tables::{TableError, array, at, changed, impossible, number, time, words};
use crate::{Msat, UnixMillis};

const TABLE: &str = "lightning_payouts";
/// Payouts under way that are looked at in a round.
const AT_ONCE: i64 = 200;
/// PostgreSQL's lock under which the sum of a day is looked at: the letters `payout`.
const LOCK: i64 = 0x7061_796f_7574;

/// A payout as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payout {
    /// Its name.
    pub id: PayoutId,
    /// Whose money.
    pub account: AccountId,
    /// Where to.
    pub to: Target,
    /// What arrives there.
    pub amount: Msat,
    /// The most that the way may cost.
    pub max_fee: Msat,
    /// To an invoice of ours, which is paid without the node.
    pub is_inside: bool,
    /// Somebody has to approve it.
    pub needs_approval: bool,
    /// When it was asked for.
    pub at: UnixMillis,
    /// How far it is.
    pub state: PayoutState,
    /// Who has approved it.
    pub approved_by: Option<String>,
    /// When it was last handed to the node.
    pub sent: Option<UnixMillis>,
    /// How often.
    pub sends: u32,
    /// Whether the node has said that it has it.
    pub heard: bool,
    /// Counts the changes of the row.
    pub(super) version: i64,
}

/// How far a payout is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PayoutState {
    /// On disk; nothing is held back yet.
    Asked,
    /// Its money is held back, and somebody has to approve it.
    WaitsForApproval,
    /// Its money is held back, and it will be handed to the node.
    Ready,
    /// The node may have it: what becomes of it is not known.
    Sent,
    /// It will not be paid, and its money is about to be given back.
    Releasing {
        /// Why.
        why: String,
    },
    /// It has arrived.
    Paid {
        /// What the way has cost.
        fee: Msat,
        /// The payee's receipt.
        preimage: Option<[u8; 32]>,
    },
    /// It was not paid, for certain, and its money was given back.
    NotPaid {
        /// Why.
        why: String,
    },
}

impl PayoutState {
    /// Whether it is over.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self, Self::Paid { .. } | Self::NotPaid { .. })
    }

    const fn number(&self) -> i64 {
        match self {
            Self::Asked => 1,
            Self::WaitsForApproval => 2,
            Self::Ready => 3,
            Self::Sent => 4,
            Self::Paid { .. } => 5,
            Self::NotPaid { .. } => 6,
            Self::Releasing { .. } => 0,
        }
    }
}

/// What came of adding one.
pub(super) enum Added {
    New,
    Used,
    Stopped(String),
    OverLimit { left: Msat },
}

/// Writes a new payout down, if the rules allow it at this moment. Two processes at once are looked at one after the other.
pub(super) async fn add(database: &Database, payout: &Payout, rules: &PayoutRules) -> Result<Added, TableError> {
    let (now, since) = (time(payout.at), time(day_before(payout.at)));
    macro_rules! insert {
        ($to:expr) => {
            // SQLite looks and writes in one statement, which nobody comes between.
            sqlx::query(
                "INSERT INTO lightning_payouts (id, account, target, hash, amount, max_fee, inside, held, at, state)
                 SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, 1
                 WHERE (SELECT stopped FROM lightning_switch WHERE one = 1) IS NULL
                 AND (SELECT coalesce(sum(amount), 0) FROM lightning_payouts WHERE at > $10 AND state <> 6) + $5 <= $11
                 AND (SELECT coalesce(sum(amount), 0) FROM lightning_payouts WHERE at > $10 AND state <> 6 AND account = $2)
                     + $5 <= $12",
            )
            .bind(&payout.id.bytes()[..])
            .bind(&payout.account.bytes()[..])
            .bind(payout.to.as_str())
            .bind(payout.to.hash().map(|hash| hash.0.to_vec()))
            .bind(i64::from(payout.amount))
            .bind(i64::from(payout.max_fee))
            .bind(i64::from(payout.is_inside))
            .bind(i64::from(payout.needs_approval))
            .bind(now)
            .bind(since)
            .bind(i64::from(rules.daily))
            .bind(i64::from(rules.daily_of_account))
            .execute($to)
        };
    }
    let added = match database {
        Database::Sqlite(file) => insert!(&file.writer).await.map(|done| done.rows_affected()),
        Database::Postgres(pool) => {
            let mut tx = pool.begin().await?;
            sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *tx).await?;
            match insert!(&mut *tx).await {
                Ok(done) => tx.commit().await.map(|()| done.rows_affected()),
                Err(error) => Err(error),
            }
        }
    };
    match added {
        Ok(0) => match Switch::new(database.clone()).stopped().await? {
            Some(stopped) => Ok(Added::Stopped(stopped.why)),
            None => Ok(Added::OverLimit { left: left(database, payout, rules).await? }),
        },
        Ok(_) => Ok(Added::New),
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => match get(database, payout.id).await? {
            // The same order from another process at the same moment.
            Some(_) => Err(TableError::Changed("a payout")),
            None => Ok(Added::Used),
        },
        Err(error) => Err(error.into()),
    }
}

/// What may still be paid out of the account today.
async fn left(database: &Database, payout: &Payout, rules: &PayoutRules) -> Result<Msat, TableError> {
    let (all, account): (i64, i64) = ask!(database, pool => sqlx::query_as(
            "SELECT CAST(coalesce(sum(amount), 0) AS BIGINT),
                 CAST(coalesce(sum(CASE WHEN account = $2 THEN amount ELSE 0 END), 0) AS BIGINT)
             FROM lightning_payouts WHERE at > $1 AND state <> 6",
        )
        .bind(time(day_before(payout.at)))
        .bind(&payout.account.bytes()[..])
        .fetch_one(pool))?;
    let read = |sum| Msat::try_from(sum).unwrap_or(Msat::MAX);
    Ok(rules.daily.saturating_sub(read(all)).min(rules.daily_of_account.saturating_sub(read(account))))
}

macro_rules! columns {
    ($rest:literal) => {
        concat!(
            "SELECT id, account, target, amount, max_fee, inside, held, at, state, version, approved, sent, sends, heard, fee,
             preimage, why FROM lightning_payouts ",
            $rest
        )
    };
}

pub(super) async fn get(database: &Database, id: PayoutId) -> Result<Option<Payout>, TableError> {
    let row: Option<Row> = ask!(database, pool =>
        sqlx::query_as(columns!("WHERE id = $1")).bind(&id.bytes()[..]).fetch_optional(pool))?;
    row.map(Row::read).transpose()
}

/// Those that are not over, the oldest first.
pub(super) async fn open(database: &Database) -> Result<Vec<Payout>, TableError> {
    let rows: Vec<Row> = ask!(database, pool =>
        sqlx::query_as(columns!("WHERE state < 5 ORDER BY at, id LIMIT $1")).bind(AT_ONCE).fetch_all(pool))?;
    rows.into_iter().map(Row::read).collect()
}

/// Those that are over and of whose end nobody was told.
pub(super) async fn untold(database: &Database) -> Result<Vec<Payout>, TableError> {
    let rows: Vec<Row> = ask!(database, pool =>
        sqlx::query_as(columns!("WHERE state >= 5 AND told IS NULL ORDER BY at, id LIMIT $1"))
            .bind(AT_ONCE)
            .fetch_all(pool))?;
    rows.into_iter().map(Row::read).collect()
}

pub(super) async fn told(database: &Database, id: PayoutId, now: UnixMillis) -> Result<(), TableError> {
    changed!(
        database,
        sqlx::query("UPDATE lightning_payouts SET told = $2 WHERE id = $1 AND told IS NULL")
            .bind(&id.bytes()[..])
            .bind(time(now))
    )?;
    Ok(())
}

/// Writes a payout's next state down.
pub(super) async fn turn(
    database: &Database,
    payout: &Payout,
    next: &PayoutState,
    now: UnixMillis,
) -> Result<(), TableError> {
    let (fee, preimage, why) = match next {
        PayoutState::Paid { fee, preimage } => (Some(i64::from(*fee)), preimage.map(|bytes| bytes.to_vec()), None),
        PayoutState::NotPaid { why } | PayoutState::Releasing { why } => (None, None, Some(why.clone())),
        _ => (None, None, None),
    };
    let ended = next.is_over().then(|| time(now));
    changed_one(changed!(
        database,
        sqlx::query(
            "UPDATE lightning_payouts SET state = $3, fee = $4, preimage = $5, why = $6, ended = $7, version = version + 1
             WHERE id = $1 AND version = $2",
        )
        .bind(&payout.id.bytes()[..])
        .bind(payout.version)
        .bind(next.number())
        .bind(fee)
        .bind(preimage)
        .bind(why)
        .bind(ended)
    )?)
}

/// Writes down that it is handed to the node now: behind this nobody may say that it was not. `false`: payouts are stopped.
pub(super) async fn sending(database: &Database, payout: &mut Payout, now: UnixMillis) -> Result<bool, TableError> {
    let sent = changed!(
        database,
        sqlx::query(
            "UPDATE lightning_payouts SET state = 4, sent = $3, sends = sends + 1, heard = 0, version = version + 1
             WHERE id = $1 AND version = $2 AND (SELECT stopped FROM lightning_switch WHERE one = 1) IS NULL",
        )
        .bind(&payout.id.bytes()[..])
        .bind(payout.version)
        .bind(time(now))
    )?;
    if sent == 1 {
        payout.state = PayoutState::Sent;
        (payout.sent, payout.sends, payout.heard) = (Some(now), payout.sends + 1, false);
        payout.version += 1;
        return Ok(true);
    }
    match Switch::new(database.clone()).stopped().await? {
        Some(_) => Ok(false),
        None => Err(TableError::Changed("a payout")),
    }
}

/// The node has it.
pub(super) async fn heard(database: &Database, payout: &Payout) -> Result<(), TableError> {
    changed_one(changed!(
        database,
        sqlx::query("UPDATE lightning_payouts SET heard = 1, version = version + 1 WHERE id = $1 AND version = $2")
            .bind(&payout.id.bytes()[..])
            .bind(payout.version)
    )?)
}

/// It was not handed over, for certain, and never was before.
pub(super) async fn not_sent(database: &Database, payout: &Payout) -> Result<(), TableError> {
    changed_one(changed!(
        database,
        sqlx::query(
            "UPDATE lightning_payouts SET state = 3, sent = NULL, sends = 0, version = version + 1
             WHERE id = $1 AND version = $2 AND sends = 1",
        )
        .bind(&payout.id.bytes()[..])
        .bind(payout.version)
    )?)
}

pub(super) async fn approve(database: &Database, id: PayoutId, who: &str) -> Result<bool, TableError> {
    let approved = changed!(
        database,
        sqlx::query(
            "UPDATE lightning_payouts SET state = 3, approved = $2, version = version + 1 WHERE id = $1 AND state = 2"
        )
        .bind(&id.bytes()[..])
        .bind(who)
    )?;
    Ok(approved == 1)
}

/// What is held back for payouts that the node may have: it may be gone from there already.
pub(in crate::lightning) async fn on_their_way(database: &Database) -> Result<Msat, TableError> {
    let sum: i64 = ask!(database, pool => sqlx::query_scalar(
            "SELECT CAST(coalesce(sum(amount + max_fee), 0) AS BIGINT) FROM lightning_payouts WHERE state = 4",
        )
        .fetch_one(pool))?;
    Msat::try_from(sum).map_err(|_| impossible(TABLE, "amount", sum))
}

fn changed_one(rows: u64) -> Result<(), TableError> {
    if rows == 1 { Ok(()) } else { Err(TableError::Changed("a payout")) }
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: Vec<u8>,
    account: Vec<u8>,
    target: String,
    amount: i64,
    max_fee: i64,
    inside: i64,
    held: i64,
    at: i64,
    state: i64,
    version: i64,
    approved: Option<String>,
    sent: Option<i64>,
    sends: i64,
    heard: i64,
    fee: Option<i64>,
    preimage: Option<Vec<u8>>,
    why: Option<String>,
}

impl Row {
    fn read(self) -> Result<Payout, TableError> {
        let msat = |what, value: i64| Msat::try_from(value).map_err(|_| impossible(TABLE, what, value));
        let state = match (self.state, self.fee, self.why) {
            (0, None, Some(why)) => PayoutState::Releasing { why },
            (1, None, None) => PayoutState::Asked,
            (2, None, None) => PayoutState::WaitsForApproval,
            (3, None, None) => PayoutState::Ready,
            (4, None, None) => PayoutState::Sent,
            (5, Some(fee), None) => PayoutState::Paid {
                fee: msat("fee", fee)?,
                preimage: self.preimage.as_deref().map(|bytes| array(TABLE, "preimage", bytes)).transpose()?,
            },
            (6, None, Some(why)) => PayoutState::NotPaid { why },
            (state, ..) => return Err(impossible(TABLE, "state", state)),
        };
        Ok(Payout {
            id: PayoutId::from_bytes(array(TABLE, "id", &self.id)?),
            account: AccountId::from_bytes(array(TABLE, "account", &self.account)?),
            to: words(TABLE, "target", &self.target)?,
            amount: msat("amount", self.amount)?,
            max_fee: msat("max_fee", self.max_fee)?,
            is_inside: self.inside == 1,
            needs_approval: self.held == 1,
            at: at(self.at),
            state,
            approved_by: self.approved,
            sent: self.sent.map(at),
            sends: number(TABLE, "sends", self.sends)?,
            heard: self.heard == 1,
            version: self.version,
        })
    }
}

//! What is stored of accounts, transfers and reservations, the same in both databases.

use crate::ledger::{
    Account, AccountId, AccountKind, Movement, Purpose, Record, Refusal, Reservation, Resolution, Side, Sides, Sums,
    Transfer, TransferId,
};
use crate::{Msat, UnixMillis};

/// A stored value that cannot be one that we wrote.
#[derive(Debug, thiserror::Error)]
#[error("the ledger's table {table} holds an impossible {what}: {value}")]
pub struct Impossible {
    table: &'static str,
    what: &'static str,
    value: String,
}

fn impossible(table: &'static str, what: &'static str, value: &dyn std::fmt::Debug) -> Impossible {
    Impossible { table, what, value: format!("{value:?}") }
}

fn id16(table: &'static str, bytes: &[u8]) -> Result<[u8; 16], Impossible> {
    bytes.try_into().map_err(|_| impossible(table, "id", &bytes.len()))
}

fn money(table: &'static str, value: i64) -> Result<Msat, Impossible> {
    Msat::try_from(value).map_err(|_| impossible(table, "amount", &value))
}

fn sums(
    table: &'static str,
    [debits_pending, debits_posted, credits_pending, credits_posted]: [i64; 4],
) -> Result<Sums, Impossible> {
    let money = |value| money(table, value);
    Ok(Sums {
        debits_pending: money(debits_pending)?,
        debits_posted: money(debits_posted)?,
        credits_pending: money(credits_pending)?,
        credits_posted: money(credits_posted)?,
    })
}

pub(super) fn time(value: i64) -> UnixMillis {
    UnixMillis(u64::try_from(value).unwrap_or_default())
}

/// Milliseconds as a database's column; the end of its time where they do not fit.
pub(super) fn stored_time(at: UnixMillis) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

/// A row of `accounts`.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct AccountRow {
    id: Vec<u8>,
    kind: i64,
    pub(super) at: i64,
    debits_pending: i64,
    debits_posted: i64,
    credits_pending: i64,
    credits_posted: i64,
    frozen: i64,
}

impl TryFrom<AccountRow> for Account {
    type Error = Impossible;

    fn try_from(row: AccountRow) -> Result<Self, Impossible> {
        let kind = u8::try_from(row.kind).ok().and_then(AccountKind::from_number);
        Ok(Self {
            id: AccountId::from_bytes(id16("accounts", &row.id)?),
            kind: kind.ok_or_else(|| impossible("accounts", "kind", &row.kind))?,
            sums: sums("accounts", [row.debits_pending, row.debits_posted, row.credits_pending, row.credits_posted])?,
            frozen: row.frozen != 0,
        })
    }
}

/// A reservation's end as it is stored: how, and how much of it was moved.
pub(super) fn ended(how: Option<Resolution>) -> (Option<i64>, Option<i64>) {
    match how {
        None => (None, None),
        Some(Resolution::Settled(amount)) => (Some(1), Some(amount.into())),
        Some(Resolution::Voided) => (Some(2), None),
        Some(Resolution::Expired) => (Some(3), None),
    }
}

/// A row of `reservations` with what it has in `transfers`.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct ReservationRow {
    pub(super) seq: i64,
    id: Vec<u8>,
    debit: Vec<u8>,
    credit: Vec<u8>,
    amount: i64,
    expires: Option<i64>,
    resolution: Option<i64>,
    settled: Option<i64>,
}

impl ReservationRow {
    pub(super) fn read(self) -> Result<(TransferId, Reservation), Impossible> {
        const TABLE: &str = "reservations";
        let resolved = match (self.resolution, self.settled) {
            (None, None) => None,
            (Some(1), Some(amount)) => Some(Resolution::Settled(money(TABLE, amount)?)),
            (Some(2), None) => Some(Resolution::Voided),
            (Some(3), None) => Some(Resolution::Expired),
            other => return Err(impossible(TABLE, "resolution", &other)),
        };
        let reservation = Reservation {
            debit: AccountId::from_bytes(id16(TABLE, &self.debit)?),
            credit: AccountId::from_bytes(id16(TABLE, &self.credit)?),
            amount: money(TABLE, self.amount)?,
            expires: self.expires.map(time),
            resolved,
        };
        Ok((TransferId::from_bytes(id16(TABLE, &self.id)?), reservation))
    }
}

/// A row of `transfers`, without its number.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct TransferRow {
    pub(super) id: Vec<u8>,
    pub(super) at: i64,
    pub(super) purpose: i64,
    pub(super) movement: i64,
    pub(super) debit: Vec<u8>,
    pub(super) credit: Vec<u8>,
    pub(super) amount: i64,
    pub(super) expires: Option<i64>,
    pub(super) reservation: Option<Vec<u8>>,
    pub(super) refusal: Option<i64>,
    pub(super) refused_account: Option<Vec<u8>>,
    pub(super) refused_available: Option<i64>,
    pub(super) debit_debits_pending: Option<i64>,
    pub(super) debit_debits_posted: Option<i64>,
    pub(super) debit_credits_pending: Option<i64>,
    pub(super) debit_credits_posted: Option<i64>,
    pub(super) credit_debits_pending: Option<i64>,
    pub(super) credit_debits_posted: Option<i64>,
    pub(super) credit_credits_pending: Option<i64>,
    pub(super) credit_credits_posted: Option<i64>,
}

/// The accounts that a transfer names itself; the end of a reservation names none.
fn accounts(movement: &Movement) -> Option<(AccountId, AccountId)> {
    match movement {
        Movement::Post { debit, credit, .. } | Movement::Reserve { debit, credit, .. } => Some((*debit, *credit)),
        Movement::Settle { .. } | Movement::Void { .. } | Movement::Expire { .. } => None,
    }
}

impl TransferRow {
    /// A record as it is stored. `None`: one that names no accounts, which no record does: what is refused for good names its own,
    /// what is done has its sides.
    pub(super) fn new(record: &Record) -> Option<Self> {
        let done = record.sides.map(|sides| (sides.debit.account, sides.credit.account));
        let (debit, credit) = done.or_else(|| accounts(&record.transfer.movement))?;
        let (movement, amount, expires, reservation) = match record.transfer.movement {
            Movement::Post { amount, .. } => (1, amount, None, None),
            Movement::Reserve { amount, expires, .. } => (2, amount, expires, None),
            Movement::Settle { reservation, amount } => (3, amount, None, Some(reservation)),
            Movement::Void { reservation } => (4, Msat::ZERO, None, Some(reservation)),
            Movement::Expire { reservation } => (5, Msat::ZERO, None, Some(reservation)),
        };
        let (refusal, refused_account, refused_available) = match record.refused {
            Some(Refusal::Frozen { account }) => (Some(1), Some(account), None),
            Some(Refusal::NotEnough { account, available }) => (Some(2), Some(account), Some(available)),
            _ => (None, None, None),
        };
        let (from, to) = (record.sides.map(|s| s.debit.sums), record.sides.map(|s| s.credit.sums));
        Some(Self {
            id: record.transfer.id.bytes().to_vec(),
            at: stored_time(record.at),
            purpose: record.transfer.purpose.number().into(),
            movement,
            debit: debit.bytes().to_vec(),
            credit: credit.bytes().to_vec(),
            amount: amount.into(),
            expires: expires.map(stored_time),
            reservation: reservation.map(|id| id.bytes().to_vec()),
            refusal,
            refused_account: refused_account.map(|id| id.bytes().to_vec()),
            refused_available: refused_available.map(Into::into),
            debit_debits_pending: from.map(|s| s.debits_pending.into()),
            debit_debits_posted: from.map(|s| s.debits_posted.into()),
            debit_credits_pending: from.map(|s| s.credits_pending.into()),
            debit_credits_posted: from.map(|s| s.credits_posted.into()),
            credit_debits_pending: to.map(|s| s.debits_pending.into()),
            credit_debits_posted: to.map(|s| s.debits_posted.into()),
            credit_credits_pending: to.map(|s| s.credits_pending.into()),
            credit_credits_posted: to.map(|s| s.credits_posted.into()),
        })
    }

    /// All eight sums, or none.
    fn stored_sums(&self) -> Option<([i64; 4], [i64; 4])> {
        let debit = [
            self.debit_debits_pending?,
            self.debit_debits_posted?,
            self.debit_credits_pending?,
            self.debit_credits_posted?,
        ];
        let credit = [
            self.credit_debits_pending?,
            self.credit_debits_posted?,
            self.credit_credits_pending?,
            self.credit_credits_posted?,
        ];
        Some((debit, credit))
    }

    pub(super) fn read(&self) -> Result<Record, Impossible> {
        const TABLE: &str = "transfers";
        let account = |bytes: &[u8]| id16(TABLE, bytes).map(AccountId::from_bytes);
        let (debit, credit, amount) = (account(&self.debit)?, account(&self.credit)?, money(TABLE, self.amount)?);
        let reservation = self.reservation.as_deref().map(|bytes| id16(TABLE, bytes).map(TransferId::from_bytes));
        let movement = match (self.movement, reservation.transpose()?) {
            (1, None) => Movement::Post { debit, credit, amount },
            (2, None) => Movement::Reserve { debit, credit, amount, expires: self.expires.map(time) },
            (3, Some(reservation)) => Movement::Settle { reservation, amount },
            (4, Some(reservation)) => Movement::Void { reservation },
            (5, Some(reservation)) => Movement::Expire { reservation },
            other => return Err(impossible(TABLE, "movement", &other)),
        };
        let refused = match (self.refusal, self.refused_account.as_deref(), self.refused_available) {
            (None, ..) => None,
            (Some(1), Some(frozen), _) => Some(Refusal::Frozen { account: account(frozen)? }),
            (Some(2), Some(poor), Some(left)) => {
                Some(Refusal::NotEnough { account: account(poor)?, available: money(TABLE, left)? })
            }
            other => return Err(impossible(TABLE, "refusal", &other)),
        };
        let purpose = u8::try_from(self.purpose).ok().and_then(Purpose::from_number);
        let purpose = purpose.ok_or_else(|| impossible(TABLE, "purpose", &self.purpose))?;
        let id = TransferId::from_bytes(id16(TABLE, &self.id)?);
        let sides = match (refused, self.stored_sums()) {
            (None, Some((from, to))) => Some(Sides {
                debit: Side { account: debit, sums: sums(TABLE, from)? },
                credit: Side { account: credit, sums: sums(TABLE, to)? },
            }),
            (Some(_), None) => None,
            (_, stored) => return Err(impossible(TABLE, "sums", &stored)),
        };
        Ok(Record { transfer: Transfer { id, purpose, movement }, at: time(self.at), refused, sides })
    }
}

/// One account's sums as stored in `transfers`.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct SumsRow {
    debits_pending: i64,
    debits_posted: i64,
    credits_pending: i64,
    credits_posted: i64,
}

impl TryFrom<SumsRow> for Sums {
    type Error = Impossible;

    fn try_from(row: SumsRow) -> Result<Self, Impossible> {
        sums("transfers", [row.debits_pending, row.debits_posted, row.credits_pending, row.credits_posted])
    }
}

//! What is stored of transfers and reservations, the same in both databases.

use crate::ledger::{
    Account, AccountId, AccountKind, Book, Movement, Purpose, Record, Refusal, Reservation, Resolution, Sums, Transfer,
    TransferId,
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

fn time(value: i64) -> UnixMillis {
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
    debits_pending: i64,
    debits_posted: i64,
    credits_pending: i64,
    credits_posted: i64,
    frozen: i64,
}

impl TryFrom<AccountRow> for Account {
    type Error = Impossible;

    fn try_from(row: AccountRow) -> Result<Self, Impossible> {
        let money = |value| money("accounts", value);
        let kind = u8::try_from(row.kind).ok().and_then(AccountKind::from_number);
        Ok(Self {
            id: AccountId::from_bytes(id16("accounts", &row.id)?),
            kind: kind.ok_or_else(|| impossible("accounts", "kind", &row.kind))?,
            sums: Sums {
                debits_pending: money(row.debits_pending)?,
                debits_posted: money(row.debits_posted)?,
                credits_pending: money(row.credits_pending)?,
                credits_posted: money(row.credits_posted)?,
            },
            frozen: row.frozen != 0,
        })
    }
}

/// A row of `reservations`.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct ReservationRow {
    pub(super) id: Vec<u8>,
    pub(super) debit: Vec<u8>,
    pub(super) credit: Vec<u8>,
    pub(super) amount: i64,
    pub(super) expires: Option<i64>,
    pub(super) resolution: Option<i64>,
    pub(super) settled: Option<i64>,
}

impl ReservationRow {
    pub(super) fn new(id: TransferId, held: &Reservation) -> Self {
        let (resolution, settled) = match held.resolved {
            None => (None, None),
            Some(Resolution::Settled(amount)) => (Some(1), Some(amount.into())),
            Some(Resolution::Voided) => (Some(2), None),
            Some(Resolution::Expired) => (Some(3), None),
        };
        Self {
            id: id.bytes().to_vec(),
            debit: held.debit.bytes().to_vec(),
            credit: held.credit.bytes().to_vec(),
            amount: held.amount.into(),
            expires: held.expires.map(stored_time),
            resolution,
            settled,
        }
    }

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
}

impl TransferRow {
    /// A record as it is stored. `book` knows the accounts of the reservation that it ends.
    pub(super) fn new(record: &Record, book: &Book) -> Option<Self> {
        let held = |reservation: TransferId| book.reservation(reservation).map(|held| (held.debit, held.credit));
        let (movement, (debit, credit), amount, expires, reservation) = match record.transfer.movement {
            Movement::Post { debit, credit, amount } => (1, (debit, credit), amount, None, None),
            Movement::Reserve { debit, credit, amount, expires } => (2, (debit, credit), amount, expires, None),
            Movement::Settle { reservation, amount } => (3, held(reservation)?, amount, None, Some(reservation)),
            Movement::Void { reservation } => (4, held(reservation)?, Msat::ZERO, None, Some(reservation)),
            Movement::Expire { reservation } => (5, held(reservation)?, Msat::ZERO, None, Some(reservation)),
        };
        let (refusal, refused_account, refused_available) = match record.refused {
            Some(Refusal::Frozen { account }) => (Some(1), Some(account), None),
            Some(Refusal::NotEnough { account, available }) => (Some(2), Some(account), Some(available)),
            _ => (None, None, None),
        };
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
        })
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
        Ok(Record { transfer: Transfer { id, purpose, movement }, at: time(self.at), refused })
    }
}

/// Sums as stored in `balances`.
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
        let money = |value| money("balances", value);
        Ok(Self {
            debits_pending: money(row.debits_pending)?,
            debits_posted: money(row.debits_posted)?,
            credits_pending: money(row.credits_pending)?,
            credits_posted: money(row.credits_posted)?,
        })
    }
}

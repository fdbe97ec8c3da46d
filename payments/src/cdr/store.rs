//! Records in the database: written once, read by period, rated anew.

use crate::cdr::{Carrier, Cdr, Leg};
use crate::charge::Snapshot;
use crate::database::{Database, ask, tell};
use crate::ledger::{
    AccountId, AccountKind, Ledger, LedgerError, Movement, Note, Period, Purpose, Refusal, StoreError, Transfer,
    TransferId,
};
use crate::tariff::Rate;
use crate::{Msat, UnixMillis};

/// What the notes of records begin with that are in the ledger and not yet in their table.
const NOTES: &str = "cdr/";
/// Records that are read at a time by those who want all of them.
pub const PAGE: u32 = 1_000;

/// Why a record is not there.
#[derive(Debug, thiserror::Error)]
pub enum CdrError {
    /// What the database said.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the ledger said to a correction.
    #[error("the correction of call {call:?} is not done: {error}")]
    Ledger {
        /// The call.
        call: String,
        /// Why.
        error: LedgerError,
    },
    /// No record of this name.
    #[error("there is no record of the {leg} leg of call {call:?}")]
    None {
        /// As asked for.
        call: String,
        /// As asked for.
        leg: Leg,
    },
    /// It cannot be read.
    #[error("record {seq} cannot be read: {error}")]
    Unreadable {
        /// Its number in the table.
        seq: i64,
        /// Why.
        error: serde_json::Error,
    },
    /// A note in the ledger cannot be read.
    #[error("note {key:?} of the ledger cannot be read: {error}")]
    Note {
        /// Its name.
        key: String,
        /// Why.
        error: serde_json::Error,
    },
}

impl From<sqlx::Error> for CdrError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// A record with its number: records are numbered as they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Where to go on reading: behind it.
    pub seq: i64,
    /// The record.
    pub cdr: Cdr,
}

/// Which records are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Of calls that ended in it.
    pub period: Period,
    /// Of one account; `None`: all.
    pub account: Option<AccountId>,
    /// Behind this number; 0: from the first.
    pub after: i64,
    /// At most so many.
    pub limit: u32,
}

/// Writes records and takes away the notes that they come from, all in one commit. A record that is there is left as it is.
async fn write(database: &Database, records: &[Cdr], notes: &[String]) -> Result<(), StoreError> {
    let stored = |at: UnixMillis| i64::try_from(at.0).unwrap_or(i64::MAX);
    tell!(database, pool => async {
        let mut tx = pool.begin().await?;
        for cdr in records {
            let account = cdr.account.bytes();
            sqlx::query(
                "INSERT INTO cdrs (call, leg, revision, account, setup, ended, digest, body)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
            )
            .bind(&cdr.call)
            .bind(cdr.leg.word())
            .bind(i64::from(cdr.revision))
            .bind(&account[..])
            .bind(stored(cdr.about.setup))
            .bind(stored(cdr.ended))
            .bind(&cdr.digest()[..])
            .bind(cdr.json())
            .execute(&mut *tx)
            .await?;
        }
        for key in notes {
            sqlx::query("DELETE FROM notes WHERE name = $1").bind(key).execute(&mut *tx).await?;
        }
        tx.commit().await
    })?;
    Ok(())
}

/// Writes the records of calls that have ended, and takes their notes away.
///
/// # Errors
/// What the database says; the notes stay, and it can be tried again.
pub async fn close(ledger: &Ledger, calls: &[Snapshot]) -> Result<(), StoreError> {
    let records: Vec<Cdr> = calls.iter().flat_map(Cdr::of).collect();
    let notes: Vec<String> = calls.iter().map(|call| Snapshot::key(&call.name)).collect();
    write(ledger.database(), &records, &notes).await
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    seq: i64,
    body: String,
}

impl Row {
    fn read(self) -> Result<Written, CdrError> {
        let cdr = serde_json::from_str(&self.body).map_err(|error| CdrError::Unreadable { seq: self.seq, error })?;
        Ok(Written { seq: self.seq, cdr })
    }
}

/// Records in the order in which they were written.
///
/// # Errors
/// What the database says, or a record that nobody can read.
pub async fn records(database: &Database, wanted: &Wanted) -> Result<Vec<Written>, CdrError> {
    let stored = |at: UnixMillis| i64::try_from(at.0).unwrap_or(i64::MAX);
    let account = wanted.account.map(AccountId::bytes);
    let rows: Vec<Row> = ask!(database, pool => sqlx::query_as(
            "SELECT seq, body FROM cdrs WHERE ended >= $1 AND ended < $2 AND seq > $3 AND ($4 = 0 OR account = $5)
             ORDER BY seq LIMIT $6",
        )
        .bind(stored(wanted.period.from))
        .bind(stored(wanted.period.until))
        .bind(wanted.after)
        .bind(i64::from(account.is_some()))
        .bind(account.as_ref().map(|id| &id[..]).unwrap_or_default())
        .bind(i64::from(wanted.limit))
        .fetch_all(pool))?;
    rows.into_iter().map(Row::read).collect()
}

/// The latest calls of an account, the newest first, each as it was charged in the end.
///
/// # Errors
/// What the database says, or a record that nobody can read.
pub async fn latest(database: &Database, account: AccountId, limit: u32) -> Result<Vec<Cdr>, CdrError> {
    let account = account.bytes();
    let rows: Vec<Row> = ask!(database, pool => sqlx::query_as(
            "SELECT seq, body FROM cdrs WHERE account = $1 AND leg = 'customer' AND NOT EXISTS (
                 SELECT 1 FROM cdrs AS later WHERE later.call = cdrs.call AND later.leg = cdrs.leg
                     AND later.revision > cdrs.revision)
             ORDER BY ended DESC, seq DESC LIMIT $2",
        )
        .bind(&account[..])
        .bind(i64::from(limit))
        .fetch_all(pool))?;
    rows.into_iter().map(|row| row.read().map(|written| written.cdr)).collect()
}

/// All revisions of a leg's record, the first first; empty: there is no such leg.
///
/// # Errors
/// What the database says, or a record that nobody can read.
pub async fn revisions(database: &Database, call: &str, leg: Leg) -> Result<Vec<Cdr>, CdrError> {
    let rows: Vec<Row> = ask!(database, pool => sqlx::query_as(
            "SELECT seq, body FROM cdrs WHERE call = $1 AND leg = $2 ORDER BY revision",
        )
        .bind(call)
        .bind(leg.word())
        .fetch_all(pool))?;
    rows.into_iter().map(|row| row.read().map(|written| written.cdr)).collect()
}

/// Opens the account of a carrier, and that of our expenses.
///
/// # Errors
/// What the database says.
pub(crate) async fn open_carrier(ledger: &Ledger, account: AccountId) -> Result<(), StoreError> {
    ledger.open_account(Carrier::expenses(), AccountKind::TrunkCost).await?;
    ledger.open_account(account, AccountKind::Partner).await
}

/// Rates a leg anew: a new record by this rate, and a transfer that corrects what was taken from the customer, or what was booked as
/// owed to the carrier. The record before stays. Both or neither, and once: `reference` is the asker's name for this correction, and who asks again with it
/// gets the record that it made.
///
/// # Errors
/// [`CdrError::Ledger`] where the account cannot pay what the call should have cost: then nothing has changed.
pub async fn rerate(ledger: &Ledger, call: &str, leg: Leg, rate: Rate, reference: &str) -> Result<Cdr, CdrError> {
    let refused = |error| CdrError::Ledger { call: call.to_owned(), error };
    loop {
        flush(ledger).await?;
        let revisions = revisions(ledger.database(), call, leg).await?;
        if let Some(done) = revisions.iter().find(|cdr| cdr.reference.as_deref() == Some(reference)) {
            return Ok(done.clone());
        }
        let before = revisions.last().ok_or_else(|| CdrError::None { call: call.to_owned(), leg })?;
        let mut after = before.rated_by(rate.clone(), reference);
        let id = correction_id(ledger, &after).await?;
        if leg == Leg::Carrier {
            open_carrier(ledger, after.account).await?;
        }
        let Some(correction) = after.correct(id) else {
            write(ledger.database(), &[after], &[]).await?;
            continue;
        };
        // The row goes through the ledger's notes: they are of the same commit as the money.
        let note = Note { key: format!("{NOTES}{call}/{leg}/{}", after.revision), body: Some(after.json()) };
        match ledger.apply_noted(vec![correction], note).await {
            // Somebody else has made this revision meanwhile: on top of theirs, then.
            Ok(_) | Err(LedgerError::Refused { refusal: Refusal::OtherBody { .. }, .. }) => {}
            Err(error) => return Err(refused(error)),
        }
    }
}

/// One correction for each revision. An id that was spent because the account could not pay is passed over.
async fn correction_id(ledger: &Ledger, after: &Cdr) -> Result<TransferId, StoreError> {
    for attempt in 0_u32.. {
        let (revision, attempt) = (after.revision.to_string(), attempt.to_string());
        let id = TransferId::named(&["rerate", &after.call, after.leg.word(), &revision, &attempt]);
        if ledger.record(id).await?.is_none_or(|record| record.refused.is_none()) {
            return Ok(id);
        }
    }
    // Four thousand million refusals.
    Ok(TransferId::named(&["rerate", &after.call]))
}

impl Cdr {
    /// Takes what is missing or gives back what was too much; `None`: neither.
    fn correct(&mut self, id: TransferId) -> Option<Transfer> {
        let (more, less) = (self.cost.saturating_sub(self.charged), self.charged.saturating_sub(self.cost));
        let (payer, payee) = match self.leg {
            Leg::Customer => (self.account, self.payee),
            Leg::Carrier => (Carrier::expenses(), self.account),
        };
        let (debit, credit, amount) = if less.is_zero() { (payer, payee, more) } else { (payee, payer, less) };
        (self.charged, self.unpaid) = (self.cost, Msat::ZERO);
        if amount.is_zero() {
            return None;
        }
        self.transfers.push(id);
        Some(Transfer { id, purpose: Purpose::Correction, movement: Movement::Post { debit, credit, amount } })
    }
}

/// Puts records into their table that a crash has left in the ledger's notes.
///
/// # Errors
/// What the database says.
pub async fn flush(ledger: &Ledger) -> Result<(), CdrError> {
    for note in ledger.notes(NOTES, "", PAGE).await? {
        let body = note.body.unwrap_or_default();
        let cdr: Cdr = serde_json::from_str(&body).map_err(|error| CdrError::Note { key: note.key.clone(), error })?;
        write(ledger.database(), &[cdr], &[note.key]).await?;
    }
    Ok(())
}

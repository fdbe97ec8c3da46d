//! One commit: which rows its requests name, what becomes of them, what is to be written. Without a database.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::rows::{AccountRow, Impossible, ReservationRow, TransferRow, ended, stored_time, time};
use crate::UnixMillis;
use crate::ledger::{Account, AccountId, Applied, Book, Movement, Note, Refusal, Reservation, Transfer, TransferId};

/// What a request gets: done, or which of its transfers was refused and why.
pub(super) type Answer = Result<Applied, (usize, Refusal)>;

/// What one asker wants done, all or nothing.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) transfers: Vec<Transfer>,
    /// Written when the transfers are done; not when they were done before.
    pub(super) note: Option<Note>,
}

/// Rows that requests name; reservations name accounts on top.
#[derive(Debug, Default)]
pub(super) struct Keys {
    pub(super) accounts: BTreeSet<AccountId>,
    pub(super) transfers: BTreeSet<TransferId>,
    pub(super) reservations: BTreeSet<TransferId>,
}

impl Keys {
    pub(super) fn of(requests: &[Wish]) -> Self {
        let mut keys = Self::default();
        for transfer in requests.iter().flat_map(|wish| &wish.transfers) {
            keys.transfers.insert(transfer.id);
            match transfer.movement {
                Movement::Post { debit, credit, .. } | Movement::Reserve { debit, credit, .. } => {
                    keys.accounts.extend([debit, credit]);
                }
                Movement::Settle { reservation, .. }
                | Movement::Void { reservation }
                | Movement::Expire { reservation } => {
                    keys.reservations.insert(reservation);
                }
            }
        }
        keys
    }

    fn add_accounts_of(&mut self, reservation: &Reservation) {
        self.accounts.extend([reservation.debit, reservation.credit]);
    }
}

/// What was read for a commit.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    book: Book,
    /// The rows of the reservations in the book.
    seqs: HashMap<TransferId, i64>,
    /// When the last of the accounts changed.
    changed: UnixMillis,
}

impl Loaded {
    /// Takes in reservations, and adds their accounts to those that are to be read.
    pub(super) fn reservations(&mut self, rows: Vec<ReservationRow>, keys: &mut Keys) -> Result<(), Impossible> {
        for row in rows {
            let seq = row.seq;
            let (id, held) = row.read()?;
            keys.add_accounts_of(&held);
            self.book.recall_reservation(id, held);
            self.seqs.insert(id, seq);
        }
        Ok(())
    }

    pub(super) fn accounts(&mut self, rows: Vec<AccountRow>) -> Result<(), Impossible> {
        for row in rows {
            self.changed = self.changed.max(time(row.at));
            self.book.open(row.try_into()?);
        }
        Ok(())
    }

    pub(super) fn transfers(&mut self, rows: &[TransferRow]) -> Result<(), Impossible> {
        rows.iter().try_for_each(|row| {
            self.book.recall(row.read()?);
            Ok(())
        })
    }
}

/// A reservation that a commit makes. It may have ended already.
#[derive(Debug)]
pub(super) struct NewReservation {
    /// The place of its transfer in [`Changes::transfers`].
    pub(super) place: usize,
    pub(super) amount: i64,
    pub(super) expires: Option<i64>,
    pub(super) resolution: Option<i64>,
    pub(super) settled: Option<i64>,
}

/// A reservation made by an earlier commit that ends now.
#[derive(Debug)]
pub(super) struct EndedReservation {
    pub(super) seq: i64,
    pub(super) resolution: Option<i64>,
    pub(super) settled: Option<i64>,
}

/// What a commit writes.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// When.
    pub(super) at: i64,
    /// In the order in which they were done.
    pub(super) transfers: Vec<TransferRow>,
    pub(super) new_reservations: Vec<NewReservation>,
    pub(super) ended_reservations: Vec<EndedReservation>,
    /// As they stand afterwards.
    pub(super) accounts: Vec<Account>,
    /// Notes by their names; `None`: taken away.
    pub(super) notes: BTreeMap<String, Option<String>>,
}

/// Does the requests on what was read, in order, each alone. `now` is moved behind what was done on these accounts before,
/// so that an account's transfers are in the order of their times, whatever the clocks of two processes say.
pub(super) fn run(loaded: &Loaded, now: UnixMillis, requests: &[Wish]) -> (Vec<Answer>, Changes) {
    let at = now.max(loaded.changed);
    let mut book = loaded.book.clone();
    let mut changes = Changes { at: stored_time(at), ..Changes::default() };
    let mut written = HashSet::new();
    let mut answers = Vec::with_capacity(requests.len());
    for Wish { transfers: list, note } in requests {
        let answer = book.apply_all(at, list);
        if let (Ok(Applied::New), Some(Note { key, body })) = (&answer, note) {
            changes.notes.insert(key.clone(), body.clone());
        }
        answers.push(answer);
        for transfer in list.iter().filter(|t| loaded.book.record(t.id).is_none()) {
            let Some(row) = book.record(transfer.id).and_then(TransferRow::new) else { continue };
            if !written.insert(transfer.id) {
                continue;
            }
            if let Some(held) = book.reservation(transfer.id) {
                let (amount, expires) = (held.amount.into(), held.expires.map(stored_time));
                let place = changes.transfers.len();
                changes.new_reservations.push(NewReservation {
                    place,
                    amount,
                    expires,
                    resolution: None,
                    settled: None,
                });
            }
            changes.transfers.push(row);
        }
    }
    for new in &mut changes.new_reservations {
        let id = changes.transfers[new.place].id.as_slice().try_into().map(TransferId::from_bytes);
        let held = id.ok().and_then(|id| book.reservation(id));
        (new.resolution, new.settled) = ended(held.and_then(|held| held.resolved));
    }
    for (id, seq) in &loaded.seqs {
        let (before, now) = (loaded.book.reservation(*id), book.reservation(*id));
        if before != now {
            let (resolution, settled) = ended(now.and_then(|held| held.resolved));
            changes.ended_reservations.push(EndedReservation { seq: *seq, resolution, settled });
        }
    }
    changes.accounts = book.accounts().filter(|a| loaded.book.account(a.id) != Some(*a)).copied().collect();
    (answers, changes)
}

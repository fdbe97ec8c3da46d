//! One commit: which rows its requests name, what becomes of them, what is to be written. Without a database.

use std::collections::{BTreeSet, HashSet};

use super::rows::{ReservationRow, TransferRow};
use crate::UnixMillis;
use crate::ledger::{Account, AccountId, Applied, Book, Movement, Refusal, Reservation, Transfer, TransferId};

/// What a request gets: done, or which of its transfers was refused and why.
pub(super) type Answer = Result<Applied, (usize, Refusal)>;

/// Rows that requests name; reservations name accounts on top.
#[derive(Debug, Default)]
pub(super) struct Keys {
    pub(super) accounts: BTreeSet<AccountId>,
    pub(super) transfers: BTreeSet<TransferId>,
    pub(super) reservations: BTreeSet<TransferId>,
}

impl Keys {
    pub(super) fn of(requests: &[Vec<Transfer>]) -> Self {
        let mut keys = Self::default();
        for transfer in requests.iter().flatten() {
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

    pub(super) fn add_accounts_of(&mut self, reservation: &Reservation) {
        self.accounts.extend([reservation.debit, reservation.credit]);
    }
}

/// What a commit writes.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// In the order in which they were done.
    pub(super) transfers: Vec<TransferRow>,
    pub(super) new_reservations: Vec<ReservationRow>,
    pub(super) ended_reservations: Vec<ReservationRow>,
    /// As they stand afterwards.
    pub(super) accounts: Vec<Account>,
}

impl Changes {
    pub(super) fn is_empty(&self) -> bool {
        self.transfers.is_empty()
    }
}

/// Does the requests on what was loaded, in order, each alone.
pub(super) fn run(loaded: &Book, at: UnixMillis, requests: &[Vec<Transfer>]) -> (Vec<Answer>, Changes) {
    let mut book = loaded.clone();
    let answers: Vec<Answer> = requests.iter().map(|list| book.apply_all(at, list)).collect();
    let mut changes = Changes::default();
    let mut written = HashSet::new();
    for transfer in requests.iter().flatten() {
        if loaded.record(transfer.id).is_some() || !written.insert(transfer.id) {
            continue;
        }
        changes.transfers.extend(book.record(transfer.id).and_then(|record| TransferRow::new(record, &book)));
    }
    changes.accounts = book.accounts().filter(|a| loaded.account(a.id) != Some(*a)).copied().collect();
    for (id, held) in book.reservations() {
        match loaded.reservation(id) {
            None => changes.new_reservations.push(ReservationRow::new(id, held)),
            Some(before) if before != held => changes.ended_reservations.push(ReservationRow::new(id, held)),
            Some(_) => {}
        }
    }
    (answers, changes)
}

//! The books in memory: the one place where a transfer is checked and done.
//!
//! [`Book::apply`] looks at everything first and then changes it, and what it changes cannot fail. A store on disk fills
//! a book with the accounts, records and reservations that a list of transfers names, applies the list, and writes what
//! has changed; so SQLite, PostgreSQL and tests share these rules.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Account, AccountId, Applied, Movement, Refusal, Resolution, Sums, Transfer, TransferId};
use crate::{Msat, UnixMillis};

/// A transfer that was done, or refused for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// What was asked.
    pub transfer: Transfer,
    /// When it was done.
    pub at: UnixMillis,
    /// `None`: done. Else the id is spent ([`Refusal::spends_the_id`]).
    pub refused: Option<Refusal>,
    /// Whose money was moved, held or let go, and what they had then; `None`: it was refused.
    pub sides: Option<Sides>,
}

/// Both accounts of a transfer that was done. For the end of a reservation they are the reservation's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sides {
    /// Who gave.
    pub debit: Side,
    /// Who got.
    pub credit: Side,
}

/// An account as it stood just after a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Side {
    /// Which.
    pub account: AccountId,
    /// What it had.
    pub sums: Sums,
}

impl Sides {
    fn of(debit: &Account, credit: &Account) -> Self {
        let side = |account: &Account| Side { account: account.id, sums: account.sums };
        Self { debit: side(debit), credit: side(credit) }
    }

    /// What this account had just after; `None`: it had no part in it.
    #[must_use]
    pub fn sums_of(&self, account: AccountId) -> Option<Sums> {
        [self.debit, self.credit].into_iter().find(|side| side.account == account).map(|side| side.sums)
    }
}

/// Money held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reservation {
    /// From whom.
    pub debit: AccountId,
    /// To whom.
    pub credit: AccountId,
    /// How much.
    pub amount: Msat,
    /// From when on it may be expired.
    pub expires: Option<UnixMillis>,
    /// How it ended; `None`: it stands.
    pub resolved: Option<Resolution>,
}

/// Accounts, records and reservations. See the module's text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Book {
    accounts: BTreeMap<AccountId, Account>,
    records: HashMap<TransferId, Record>,
    reservations: HashMap<TransferId, Reservation>,
}

/// What a list of transfers does, before it is done.
#[derive(Debug, Default)]
struct Draft {
    accounts: HashMap<AccountId, Account>,
    reservations: HashMap<TransferId, Reservation>,
}

impl Draft {
    fn put(&mut self, from: Account, to: Account) -> Sides {
        self.accounts.extend([(from.id, from), (to.id, to)]);
        Sides::of(&from, &to)
    }
}

impl Book {
    /// Adds an account. One that is there stays as it is.
    pub fn open(&mut self, account: Account) {
        self.accounts.entry(account.id).or_insert(account);
    }

    /// Takes in a record as it was stored.
    pub fn recall(&mut self, record: Record) {
        self.records.insert(record.transfer.id, record);
    }

    /// Takes in a reservation as it was stored.
    pub fn recall_reservation(&mut self, id: TransferId, reservation: Reservation) {
        self.reservations.insert(id, reservation);
    }

    /// An account as it stands.
    #[must_use]
    pub fn account(&self, id: AccountId) -> Option<&Account> {
        self.accounts.get(&id)
    }

    /// All accounts, by id.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// What is known of a transfer.
    #[must_use]
    pub fn record(&self, id: TransferId) -> Option<&Record> {
        self.records.get(&id)
    }

    /// A reservation as it stands.
    #[must_use]
    pub fn reservation(&self, id: TransferId) -> Option<&Reservation> {
        self.reservations.get(&id)
    }

    /// All reservations, in no order.
    pub fn reservations(&self) -> impl Iterator<Item = (TransferId, &Reservation)> {
        self.reservations.iter().map(|(id, held)| (*id, held))
    }

    /// Reservations that may be expired by now.
    pub fn due(&self, at: UnixMillis) -> impl Iterator<Item = TransferId> {
        let due = move |r: &Reservation| r.resolved.is_none() && r.expires.is_some_and(|expires| expires <= at);
        self.reservations.iter().filter(move |(_, r)| due(r)).map(|(id, _)| *id)
    }

    /// Freezes an account, or lets it go. `false`: there is none.
    pub fn freeze(&mut self, account: AccountId, frozen: bool) -> bool {
        self.accounts.get_mut(&account).map(|account| account.frozen = frozen).is_some()
    }

    /// Does one transfer.
    ///
    /// # Errors
    /// [`Refusal`]: nothing has changed, but that the id may be spent.
    pub fn apply(&mut self, at: UnixMillis, transfer: &Transfer) -> Result<Applied, Refusal> {
        self.apply_all(at, std::slice::from_ref(transfer)).map_err(|(_, refusal)| refusal)
    }

    /// Does linked transfers, in order: all of them or none.
    ///
    /// # Errors
    /// Which one was refused, by its place in the list, and why. Nothing has changed, but that its id may be spent.
    pub fn apply_all(&mut self, at: UnixMillis, list: &[Transfer]) -> Result<Applied, (usize, Refusal)> {
        if let Some(applied) = self.known(list)? {
            return Ok(applied);
        }
        let mut draft = Draft::default();
        let mut records = Vec::with_capacity(list.len());
        for (place, transfer) in list.iter().enumerate() {
            let record = Record { transfer: *transfer, at, refused: None, sides: None };
            match self.check(&mut draft, at, transfer) {
                Ok(sides) => records.push(Record { sides: Some(sides), ..record }),
                Err(refusal) => {
                    if refusal.spends_the_id() {
                        self.recall(Record { refused: Some(refusal), ..record });
                    }
                    return Err((place, refusal));
                }
            }
        }
        self.accounts.extend(draft.accounts);
        self.reservations.extend(draft.reservations);
        for record in records {
            self.recall(record);
        }
        Ok(Applied::New)
    }

    /// What is known of these ids already; `None`: nothing.
    fn known(&self, list: &[Transfer]) -> Result<Option<Applied>, (usize, Refusal)> {
        let mut seen = HashSet::new();
        let mut done = None;
        for (place, transfer) in list.iter().enumerate() {
            let id = transfer.id;
            if !seen.insert(id) {
                return Err((place, Refusal::Twice { id }));
            }
            let Some(record) = self.records.get(&id) else { continue };
            if let Some(field) = differs(&record.transfer, transfer) {
                return Err((place, Refusal::OtherBody { id, field }));
            }
            if let Some(refusal) = record.refused {
                return Err((place, refusal));
            }
            done.get_or_insert(id);
        }
        match done {
            None => Ok(None),
            Some(_) if list.iter().all(|t| self.records.contains_key(&t.id)) => Ok(Some(Applied::Exists)),
            Some(id) => {
                let place = list.iter().position(|t| t.id == id).unwrap_or_default();
                Err((place, Refusal::OtherList { id }))
            }
        }
    }

    /// Checks one transfer on top of the draft, and puts what it does into the draft.
    fn check(&self, draft: &mut Draft, at: UnixMillis, transfer: &Transfer) -> Result<Sides, Refusal> {
        match transfer.movement {
            Movement::Post { debit, credit, amount } => {
                let (from, to) = self.pair(draft, debit, credit, amount)?;
                let from = from.changed(|s| add(&mut s.debits_posted, amount))?;
                let to = to.changed(|s| add(&mut s.credits_posted, amount))?;
                Ok(draft.put(from, to))
            }
            Movement::Reserve { debit, credit, amount, expires } => {
                let (from, to) = self.pair(draft, debit, credit, amount)?;
                let from = from.changed(|s| add(&mut s.debits_pending, amount))?;
                let to = to.changed(|s| add(&mut s.credits_pending, amount))?;
                let reservation = Reservation { debit, credit, amount, expires, resolved: None };
                draft.reservations.insert(transfer.id, reservation);
                Ok(draft.put(from, to))
            }
            Movement::Settle { reservation, amount } => {
                self.resolve(draft, reservation, Resolution::Settled(amount), at)
            }
            Movement::Void { reservation } => self.resolve(draft, reservation, Resolution::Voided, at),
            Movement::Expire { reservation } => self.resolve(draft, reservation, Resolution::Expired, at),
        }
    }

    fn pair(&self, draft: &Draft, from: AccountId, to: AccountId, amount: Msat) -> Result<(Account, Account), Refusal> {
        if amount.is_zero() {
            return Err(Refusal::Nothing);
        }
        if from == to {
            return Err(Refusal::SameAccount { account: from });
        }
        let (from, to) = (self.drafted(draft, from)?, self.drafted(draft, to)?);
        match [from, to].into_iter().find(|account| account.frozen) {
            Some(frozen) => Err(Refusal::Frozen { account: frozen.id }),
            None => Ok((from, to)),
        }
    }

    fn drafted(&self, draft: &Draft, account: AccountId) -> Result<Account, Refusal> {
        let found = draft.accounts.get(&account).or_else(|| self.accounts.get(&account));
        found.copied().ok_or(Refusal::NoAccount { account })
    }

    fn resolve(&self, draft: &mut Draft, id: TransferId, how: Resolution, at: UnixMillis) -> Result<Sides, Refusal> {
        let found = draft.reservations.get(&id).or_else(|| self.reservations.get(&id));
        let held = *found.ok_or(Refusal::NoReservation { reservation: id })?;
        if let Some(how) = held.resolved {
            return Err(Refusal::Resolved { reservation: id, how });
        }
        let moved = match how {
            Resolution::Settled(amount) if amount > held.amount => {
                return Err(Refusal::MoreThanReserved { reservation: id, reserved: held.amount });
            }
            Resolution::Settled(amount) => amount,
            Resolution::Expired if held.expires.is_none_or(|expires| expires > at) => {
                return Err(Refusal::NotYet { reservation: id });
            }
            Resolution::Voided | Resolution::Expired => Msat::ZERO,
        };
        let (from, to) = (self.drafted(draft, held.debit)?, self.drafted(draft, held.credit)?);
        let from = from.changed(|s| {
            s.debits_pending = s.debits_pending.checked_sub(held.amount)?;
            add(&mut s.debits_posted, moved)
        })?;
        let to = to.changed(|s| {
            s.credits_pending = s.credits_pending.checked_sub(held.amount)?;
            add(&mut s.credits_posted, moved)
        })?;
        draft.reservations.insert(id, Reservation { resolved: Some(how), ..held });
        Ok(draft.put(from, to))
    }
}

fn add(sum: &mut Msat, amount: Msat) -> Option<()> {
    *sum = sum.checked_add(amount)?;
    Some(())
}

/// The first field in which two transfers of one id differ.
fn differs(before: &Transfer, now: &Transfer) -> Option<&'static str> {
    use Movement::{Expire, Post, Reserve, Settle, Void};
    if before.movement == now.movement {
        return (before.purpose != now.purpose).then_some("purpose");
    }
    Some(match (&before.movement, &now.movement) {
        (Post { debit: a, .. }, Post { debit: b, .. }) if a != b => "debit account",
        (Reserve { debit: a, .. }, Reserve { debit: b, .. }) if a != b => "debit account",
        (Post { credit: a, .. }, Post { credit: b, .. }) if a != b => "credit account",
        (Reserve { credit: a, .. }, Reserve { credit: b, .. }) if a != b => "credit account",
        (Reserve { amount: a, .. }, Reserve { amount: b, .. }) if a == b => "expiry",
        (Post { .. }, Post { .. }) | (Reserve { .. }, Reserve { .. }) => "amount",
        (Settle { reservation: a, .. }, Settle { reservation: b, .. }) if a == b => "amount",
        (Settle { .. }, Settle { .. }) | (Void { .. }, Void { .. }) | (Expire { .. }, Expire { .. }) => "reservation",
        _ => "kind",
    })
}

#[cfg(test)]
mod tests;

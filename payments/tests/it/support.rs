//! A database to write into, and transfers to write.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use payments::ledger::{
    AccountId, AccountKind, Applied, Clock, Ledger, LedgerError, Movement, Purpose, Transfer, TransferId,
};
use payments::{Msat, UnixMillis};

use crate::postgres;

/// A database that is gone with this, or with the process.
pub(crate) struct Database {
    pub(crate) url: String,
    _folder: Option<tempfile::TempDir>,
}

/// Both kinds; every test runs on each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

impl Database {
    pub(crate) async fn new(kind: Kind) -> Self {
        match kind {
            Kind::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                let url = format!("sqlite://{}", folder.path().join("ledger.db").display());
                Self { url, _folder: Some(folder) }
            }
            Kind::Postgres => Self { url: postgres::new_database().await, _folder: None },
        }
    }

    pub(crate) async fn ledger(&self) -> Ledger {
        self.ledger_at(Arc::new(now)).await
    }

    pub(crate) async fn ledger_at(&self, clock: Clock) -> Ledger {
        let ledger = Ledger::open(&self.url, clock).await.unwrap();
        for (name, kind) in
            [("ada", AccountKind::Customer), ("revenue", AccountKind::Revenue), ("node", AccountKind::Lightning)]
        {
            ledger.open_account(account(name), kind).await.unwrap();
        }
        ledger
    }
}

/// A clock that stands still until it is set.
#[derive(Clone)]
pub(crate) struct Hands(Arc<AtomicU64>);

impl Hands {
    pub(crate) fn at(ms: u64) -> Self {
        Self(Arc::new(AtomicU64::new(ms)))
    }

    pub(crate) fn set(&self, ms: u64) {
        self.0.store(ms, Ordering::Relaxed);
    }

    pub(crate) fn clock(&self) -> Clock {
        let hands = self.clone();
        Arc::new(move || UnixMillis(hands.0.load(Ordering::Relaxed)))
    }
}

pub(crate) fn now() -> UnixMillis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    UnixMillis(u64::try_from(since.as_millis()).unwrap())
}

pub(crate) fn account(name: &str) -> AccountId {
    AccountId::named(&[name])
}

pub(crate) fn id(name: &str) -> TransferId {
    TransferId::named(&[name])
}

pub(crate) fn msat(amount: u64) -> Msat {
    Msat::new(amount).unwrap()
}

pub(crate) fn transfer(name: &str, movement: Movement) -> Transfer {
    Transfer { id: id(name), purpose: Purpose::Call, movement }
}

pub(crate) fn post(name: &str, debit: &str, credit: &str, amount: u64) -> Transfer {
    transfer(name, Movement::Post { debit: account(debit), credit: account(credit), amount: msat(amount) })
}

pub(crate) fn reserve(name: &str, amount: u64, expires: Option<u64>) -> Transfer {
    let (debit, credit) = (account("ada"), account("revenue"));
    transfer(name, Movement::Reserve { debit, credit, amount: msat(amount), expires: expires.map(UnixMillis) })
}

pub(crate) fn settle(name: &str, of: &str, amount: u64) -> Transfer {
    transfer(name, Movement::Settle { reservation: id(of), amount: msat(amount) })
}

pub(crate) fn void(name: &str, of: &str) -> Transfer {
    transfer(name, Movement::Void { reservation: id(of) })
}

pub(crate) async fn top_up(ledger: &Ledger, amount: u64) {
    ledger.apply(vec![post("top-up", "node", "ada", amount)]).await.unwrap();
}

pub(crate) async fn available(ledger: &Ledger, name: &str) -> u64 {
    ledger.account(account(name)).await.unwrap().unwrap().sums.available().msat()
}

/// The books add up, and no prepaid account is below zero.
pub(crate) async fn assert_balanced(ledger: &Ledger) {
    assert_eq!(ledger.unbalanced().await.unwrap(), [], "accounts that are not what their transfers add up to");
    assert_eq!(ledger.total().await.unwrap(), 0);
    for account in ledger.accounts().await.unwrap().iter().filter(|a| a.kind.is_prepaid()) {
        let held = i128::from(account.sums.debits_pending.msat());
        assert!(account.sums.balance() >= held, "{account:?} is below zero");
    }
}

pub(crate) fn is_refused(answer: &Result<Applied, LedgerError>) -> bool {
    matches!(answer, Err(LedgerError::Refused { .. }))
}

//! A database to write into, and transfers to write.

use std::sync::Arc;

use payments::ledger::{AccountId, AccountKind, Clock, Ledger, LedgerError, Movement, Purpose, Transfer, TransferId};
use payments::{Msat, UnixMillis};

use crate::postgres::Postgres;

/// A database that is gone with this.
pub(crate) struct Database {
    pub(crate) url: String,
    _folder: Option<tempfile::TempDir>,
    _server: Option<Postgres>,
}

/// Both kinds; every test runs on each.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

impl Database {
    pub(crate) fn new(kind: Kind) -> Self {
        match kind {
            Kind::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                let url = format!("sqlite://{}", folder.path().join("ledger.db").display());
                Self { url, _folder: Some(folder), _server: None }
            }
            Kind::Postgres => {
                let server = Postgres::start();
                Self { url: server.url(), _folder: None, _server: Some(server) }
            }
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

fn transfer(name: &str, movement: Movement) -> Transfer {
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

pub(crate) async fn top_up(ledger: &Ledger, amount: u64) {
    ledger.apply(vec![post("top-up", "node", "ada", amount)]).await.unwrap();
}

pub(crate) async fn available(ledger: &Ledger, name: &str) -> u64 {
    ledger.account(account(name)).await.unwrap().unwrap().sums.available().msat()
}

pub(crate) fn is_refused(answer: &Result<payments::ledger::Applied, LedgerError>) -> bool {
    matches!(answer, Err(LedgerError::Refused { .. }))
}

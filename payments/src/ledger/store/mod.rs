//! The books on disk, and the one task that writes them.
//!
//! All requests of a process go through one writer. What waits is done in one commit: under load a commit carries hundreds
//! of requests and costs one flush of the disk, and alone a request waits for nobody. Other processes on the same database
//! are kept apart by the database. A request is answered when it is on the disk, never before.

mod batch;
mod postgres;
mod rows;
mod sqlite;

use std::future::Future;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use self::batch::Answer;
use self::postgres::PostgresStore;
use self::sqlite::SqliteStore;
use super::{Account, AccountId, AccountKind, Applied, Record, Refusal, Reservation, Sums, Transfer, TransferId};
use crate::UnixMillis;
pub use rows::Impossible;

/// Requests that may wait for the writer; then askers wait.
const WAITING: usize = 4096;
/// Requests in one commit.
const IN_ONE_COMMIT: usize = 1024;
/// How often a commit is tried that lost against another process.
const TRIES: u32 = 5;
/// Reservations that are expired at a time.
const EXPIRED_AT_ONCE: u32 = 500;

/// Why the database did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// What the database said.
    #[error("the ledger's database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// It is of another version.
    #[error("the ledger's database cannot be brought up to date: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// It holds what we never wrote.
    #[error(transparent)]
    Impossible(#[from] Impossible),
    /// A row was not as it was read a moment before.
    #[error("the ledger's rows changed between reading and writing ({found} of {expected})")]
    Changed {
        /// Rows written.
        found: u64,
        /// Rows that should have been.
        expected: usize,
    },
    /// No database that is known.
    #[error("{0:?} names no database; use sqlite://FILE or postgres://HOST/NAME")]
    Url(String),
}

impl StoreError {
    /// Whether the same commit may well pass now: another process was quicker.
    fn passes_again(&self) -> bool {
        match self {
            Self::Changed { .. } => true,
            Self::Database(sqlx::Error::Database(error)) => {
                // PostgreSQL: serialization failure, deadlock, unique violation (the same id, at the same moment).
                error.is_unique_violation() || matches!(error.code().as_deref(), Some("40001" | "40P01"))
            }
            _ => false,
        }
    }
}

fn all_of_them(found: u64, expected: usize) -> Result<(), StoreError> {
    if found == expected as u64 { Ok(()) } else { Err(StoreError::Changed { found, expected }) }
}

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The ledger refused it. Nothing was moved.
    #[error("{refusal}")]
    Refused {
        /// Which transfer of the list.
        place: usize,
        /// Why.
        refusal: Refusal,
    },
    /// It is not known whether it was done. Ask again with the same ids: done once, it says so.
    #[error("it is not known whether the transfer was done ({0}); ask again with the same id")]
    Unsure(Arc<StoreError>),
    /// The writer is gone: the program ends.
    #[error("the ledger is closed")]
    Closed,
}

/// A stretch of time: from, and up to but not with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// The first moment in it.
    pub from: UnixMillis,
    /// The first moment behind it.
    pub until: UnixMillis,
}

/// What a database does for the ledger.
trait Store: Send + Sync + 'static {
    /// Does requests in order, each alone, in one commit.
    fn commit(
        &self,
        at: UnixMillis,
        requests: &[Vec<Transfer>],
    ) -> impl Future<Output = Result<Vec<Answer>, StoreError>> + Send;
    fn open_account(&self, account: Account) -> impl Future<Output = Result<(), StoreError>> + Send;
    fn freeze(&self, account: AccountId, frozen: bool) -> impl Future<Output = Result<bool, StoreError>> + Send;
    fn account(&self, account: AccountId) -> impl Future<Output = Result<Option<Account>, StoreError>> + Send;
    fn accounts(&self) -> impl Future<Output = Result<Vec<Account>, StoreError>> + Send;
    fn record(&self, transfer: TransferId) -> impl Future<Output = Result<Option<Record>, StoreError>> + Send;
    fn reservation(&self, id: TransferId) -> impl Future<Output = Result<Option<Reservation>, StoreError>> + Send;
    fn sums_at(&self, account: AccountId, at: UnixMillis) -> impl Future<Output = Result<Sums, StoreError>> + Send;
    fn statement(
        &self,
        account: AccountId,
        period: Period,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Record>, StoreError>> + Send;
    fn due(&self, at: UnixMillis, limit: u32) -> impl Future<Output = Result<Vec<TransferId>, StoreError>> + Send;
}

enum Database {
    Sqlite(SqliteStore),
    Postgres(PostgresStore),
}

/// Asks whichever database it is.
macro_rules! ask {
    ($database:expr, $store:ident => $asked:expr) => {
        match $database {
            Database::Sqlite($store) => $asked.await,
            Database::Postgres($store) => $asked.await,
        }
    };
}

struct Request {
    transfers: Vec<Transfer>,
    answer: oneshot::Sender<Result<Applied, LedgerError>>,
}

/// The ledger on disk. Cheap to clone; the writer ends when the last clone is gone and all requests are answered.
#[derive(Clone)]
pub struct Ledger {
    database: Arc<Database>,
    requests: mpsc::Sender<Request>,
    clock: Clock,
}

/// Tells the time: a program's is the system's, a test's what it likes.
pub type Clock = Arc<dyn Fn() -> UnixMillis + Send + Sync>;

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ledger")
    }
}

impl Ledger {
    /// Opens the ledger at `sqlite://FILE` or `postgres://…`, makes it where there is none, and brings it up to date.
    ///
    /// # Errors
    /// [`StoreError`] says what the database said.
    pub async fn open(url: &str, clock: Clock) -> Result<Self, StoreError> {
        let database = match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => Database::Sqlite(SqliteStore::open(url).await?),
            Some("postgres" | "postgresql") => Database::Postgres(PostgresStore::open(url).await?),
            _ => return Err(StoreError::Url(url.split(':').next().unwrap_or_default().to_owned())),
        };
        let database = Arc::new(database);
        let (requests, waiting) = mpsc::channel(WAITING);
        tokio::spawn(write(Arc::clone(&database), waiting, Arc::clone(&clock)));
        Ok(Self { database, requests, clock })
    }

    /// Opens an account; one that is there stays as it is.
    ///
    /// # Errors
    /// What the database says.
    pub async fn open_account(&self, id: AccountId, kind: AccountKind) -> Result<(), StoreError> {
        ask!(&*self.database, s => s.open_account(Account::new(id, kind)))
    }

    /// Does linked transfers: all or none. Answered when they are on the disk. See [`super::Book::apply_all`].
    ///
    /// # Errors
    /// [`LedgerError::Refused`]: nothing was moved. [`LedgerError::Unsure`]: ask again with the same ids.
    pub async fn apply(&self, transfers: Vec<Transfer>) -> Result<Applied, LedgerError> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request { transfers, answer }).await.map_err(|_| LedgerError::Closed)?;
        answered.await.unwrap_or(Err(LedgerError::Closed))
    }

    /// Freezes an account, or lets it go. `false`: there is none.
    ///
    /// # Errors
    /// What the database says.
    pub async fn freeze(&self, account: AccountId, frozen: bool) -> Result<bool, StoreError> {
        ask!(&*self.database, s => s.freeze(account, frozen))
    }

    /// An account as it stands.
    ///
    /// # Errors
    /// What the database says.
    pub async fn account(&self, account: AccountId) -> Result<Option<Account>, StoreError> {
        ask!(&*self.database, s => s.account(account))
    }

    /// What became of a transfer; `None`: it was never done.
    ///
    /// # Errors
    /// What the database says.
    pub async fn record(&self, transfer: TransferId) -> Result<Option<Record>, StoreError> {
        ask!(&*self.database, s => s.record(transfer))
    }

    /// A reservation as it stands.
    ///
    /// # Errors
    /// What the database says.
    pub async fn reservation(&self, id: TransferId) -> Result<Option<Reservation>, StoreError> {
        ask!(&*self.database, s => s.reservation(id))
    }

    /// An account's sums as they were at the end of that millisecond; nothing for one that did not exist.
    ///
    /// # Errors
    /// What the database says.
    pub async fn sums_at(&self, account: AccountId, at: UnixMillis) -> Result<Sums, StoreError> {
        ask!(&*self.database, s => s.sums_at(account, at))
    }

    /// What was done on an account in a period, in order, at most `limit` lines.
    ///
    /// # Errors
    /// What the database says.
    pub async fn statement(&self, account: AccountId, period: Period, limit: u32) -> Result<Vec<Record>, StoreError> {
        ask!(&*self.database, s => s.statement(account, period, limit))
    }

    /// Releases reservations whose time has come, and says how many. A reservation that somebody ends at the same moment is
    /// left to them.
    ///
    /// # Errors
    /// [`LedgerError::Unsure`] where the database fails.
    pub async fn expire_due(&self) -> Result<u64, LedgerError> {
        let mut expired = 0;
        loop {
            let due = ask!(&*self.database, s => s.due((self.clock)(), EXPIRED_AT_ONCE));
            let due = due.map_err(|error| LedgerError::Unsure(Arc::new(error)))?;
            if due.is_empty() {
                return Ok(expired);
            }
            for reservation in due {
                match self.apply(vec![Transfer::expiry_of(reservation)]).await {
                    Ok(_) => expired += 1,
                    Err(LedgerError::Refused { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }

    /// The sum of all balances: zero, or somebody has written into the database. In millisatoshi.
    ///
    /// # Errors
    /// What the database says.
    pub async fn total(&self) -> Result<i128, StoreError> {
        let accounts = ask!(&*self.database, s => s.accounts())?;
        Ok(accounts.iter().map(|account| account.sums.balance()).sum())
    }
}

async fn write(database: Arc<Database>, mut waiting: mpsc::Receiver<Request>, clock: Clock) {
    let mut batch = Vec::with_capacity(IN_ONE_COMMIT);
    while waiting.recv_many(&mut batch, IN_ONE_COMMIT).await > 0 {
        let (requests, askers): (Vec<_>, Vec<_>) = batch.drain(..).map(|r| (r.transfers, r.answer)).unzip();
        let answers = match commit(&database, clock(), &requests).await {
            Ok(answers) => answers.into_iter().map(told).collect(),
            Err(error) if requests.len() == 1 => vec![Err(LedgerError::Unsure(Arc::new(error)))],
            // One that the database does not take must not take the others with it.
            Err(_) => each_alone(&database, &clock, &requests).await,
        };
        for (asker, answer) in askers.into_iter().zip(answers) {
            // Who asked may be gone; the ledger holds what was done.
            let _ = asker.send(answer);
        }
    }
}

async fn each_alone(
    database: &Database,
    clock: &Clock,
    requests: &[Vec<Transfer>],
) -> Vec<Result<Applied, LedgerError>> {
    let mut answers = Vec::with_capacity(requests.len());
    for request in requests {
        let answer = commit(database, clock(), std::slice::from_ref(request)).await;
        answers.push(match answer.map(|mut answers| answers.pop()) {
            Ok(Some(answer)) => told(answer),
            Ok(None) => Err(LedgerError::Closed),
            Err(error) => Err(LedgerError::Unsure(Arc::new(error))),
        });
    }
    answers
}

async fn commit(database: &Database, at: UnixMillis, requests: &[Vec<Transfer>]) -> Result<Vec<Answer>, StoreError> {
    let mut tries = 1;
    loop {
        match ask!(database, s => s.commit(at, requests)) {
            Err(error) if tries < TRIES && error.passes_again() => tries += 1,
            done => return done,
        }
    }
}

fn told(answer: Answer) -> Result<Applied, LedgerError> {
    answer.map_err(|(place, refusal)| LedgerError::Refused { place, refusal })
}

//! The books on disk, and the one task that writes them.
//!
//! All requests of a process go through one writer. What waits is done in one commit: under load a commit carries hundreds
//! of requests and costs one flush of the disk, and alone a request waits for nobody. Other processes on the same database
//! are kept apart by the database. A request is answered when it is on the disk, never before.

mod batch;
mod postgres;
mod reads;
mod rows;
mod sqlite;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use self::batch::{Answer, Wish};
use super::{
    Account, AccountId, AccountKind, Applied, Note, Purpose, Record, Refusal, Reservation, Sums, Transfer, TransferId,
};
use crate::UnixMillis;
use crate::database::{Database, OpenError, tell};
pub use rows::Impossible;

/// Requests that may wait for the writer; then askers wait.
const WAITING: usize = 8192;
/// Requests in one commit. A commit costs a flush and the pages that it changes, which are not many more for four times the requests.
const IN_ONE_COMMIT: usize = 4096;
/// How often a commit is tried that lost against another process.
const TRIES: u32 = 10;
/// How long a commit may take before its askers are told that nobody knows: longer than a database waits for another process.
const COMMIT: Duration = Duration::from_secs(30);
/// Reservations that are expired at a time.
const EXPIRED_AT_ONCE: u32 = 500;
/// A transfer is on the disk so soon after it was given its number and its time.
const SLOW_MS: u64 = 60_000;
/// Not more transfers than that are numbered in that time and not on the disk.
const OVERLAP: i64 = 10_000;

/// Why the database did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// What the database said.
    #[error("the ledger's database failed: {0}")]
    Database(#[from] sqlx::Error),
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
    /// It takes too long.
    #[error("the ledger's database has not answered for {} s", COMMIT.as_secs())]
    Slow,
    /// The program ends, or the writer broke.
    #[error("the ledger's writer ended before it answered")]
    WriterEnded,
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

    /// Whether one request of a commit is to blame, and the others would pass without it.
    fn is_of_one_request(&self) -> bool {
        match self {
            Self::Impossible(_) | Self::Changed { .. } => true,
            Self::Database(sqlx::Error::Database(error)) => !matches!(error.kind(), sqlx::error::ErrorKind::Other),
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

struct Request {
    wish: Wish,
    answer: oneshot::Sender<Result<Applied, LedgerError>>,
}

type Waiting = oneshot::Receiver<Result<Applied, LedgerError>>;

async fn answered(waiting: Waiting) -> Result<Applied, LedgerError> {
    waiting.await.unwrap_or_else(|_| Err(LedgerError::Unsure(Arc::new(StoreError::WriterEnded))))
}

/// The ledger on disk. Cheap to clone; the writer ends when the last clone is gone and all requests are answered.
#[derive(Clone)]
pub struct Ledger {
    database: Database,
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
    /// [`OpenError`] says what the database said.
    pub async fn open(url: &str, clock: Clock) -> Result<Self, OpenError> {
        Ok(Self::on(Database::open(url).await?, clock))
    }

    /// The ledger in a database that is open. Starts its writer; a process has one ledger, and clones it.
    #[must_use]
    pub fn on(database: Database, clock: Clock) -> Self {
        let (requests, waiting) = mpsc::channel(WAITING);
        tokio::spawn(write(database.clone(), waiting, Arc::clone(&clock)));
        Self { database, requests, clock }
    }

    /// The database that the ledger is in, for the tables of the other rooms.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The ledger's clock, for others on the same database.
    #[must_use]
    pub fn clock(&self) -> Clock {
        Arc::clone(&self.clock)
    }

    /// What time it is by the ledger's clock.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        (self.clock)()
    }

    /// Opens an account; one that is there stays as it is.
    ///
    /// # Errors
    /// What the database says.
    pub async fn open_account(&self, id: AccountId, kind: AccountKind) -> Result<(), StoreError> {
        let (id, kind) = (id.bytes(), i64::from(kind.number()));
        let _new: Option<i64> = tell!(&self.database, pool => sqlx::query_scalar(
                "INSERT INTO accounts (id, kind) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING kind",
            )
            .bind(&id[..])
            .bind(kind)
            .fetch_optional(pool))?;
        Ok(())
    }

    /// Does linked transfers: all or none. Answered when they are on the disk. See [`super::Book::apply_all`].
    ///
    /// # Errors
    /// [`LedgerError::Refused`]: nothing was moved. [`LedgerError::Unsure`]: ask again with the same ids.
    pub async fn apply(&self, transfers: Vec<Transfer>) -> Result<Applied, LedgerError> {
        answered(self.ask(transfers, None).await?).await
    }

    /// Does linked transfers and writes a note, in one commit: all or none. Without transfers it writes the note. Where the
    /// transfers were done before ([`Applied::Exists`]) the note stays as it is: what did them wrote theirs.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub async fn apply_noted(&self, transfers: Vec<Transfer>, note: Note) -> Result<Applied, LedgerError> {
        answered(self.ask(transfers, Some(note)).await?).await
    }

    async fn ask(&self, transfers: Vec<Transfer>, note: Option<Note>) -> Result<Waiting, LedgerError> {
        let (answer, waiting) = oneshot::channel();
        let wish = Wish { transfers, note };
        self.requests.send(Request { wish, answer }).await.map_err(|_| LedgerError::Closed)?;
        Ok(waiting)
    }

    /// Freezes an account, or lets it go. `false`: there is none.
    ///
    /// # Errors
    /// What the database says.
    pub async fn freeze(&self, account: AccountId, frozen: bool) -> Result<bool, StoreError> {
        let id = account.bytes();
        let now: Option<i64> = tell!(&self.database, pool =>
            sqlx::query_scalar("UPDATE accounts SET frozen = $1 WHERE id = $2 RETURNING frozen")
                .bind(i64::from(frozen))
                .bind(&id[..])
                .fetch_optional(pool))?;
        Ok(now.is_some())
    }

    /// An account as it stands.
    ///
    /// # Errors
    /// What the database says.
    pub async fn account(&self, account: AccountId) -> Result<Option<Account>, StoreError> {
        reads::account(&self.database, account).await
    }

    /// What became of a transfer; `None`: it was never done.
    ///
    /// # Errors
    /// What the database says.
    pub async fn record(&self, transfer: TransferId) -> Result<Option<Record>, StoreError> {
        reads::record(&self.database, transfer).await
    }

    /// A reservation as it stands.
    ///
    /// # Errors
    /// What the database says.
    pub async fn reservation(&self, id: TransferId) -> Result<Option<Reservation>, StoreError> {
        reads::reservation(&self.database, id).await
    }

    /// An account's sums as they were at the end of that millisecond; nothing for one that did not exist.
    ///
    /// # Errors
    /// What the database says.
    pub async fn sums_at(&self, account: AccountId, at: UnixMillis) -> Result<Sums, StoreError> {
        reads::sums_at(&self.database, account, at).await
    }

    /// What was done on an account in a period, in order, at most `limit` lines.
    ///
    /// # Errors
    /// What the database says.
    pub async fn statement(&self, account: AccountId, period: Period, limit: u32) -> Result<Vec<Record>, StoreError> {
        reads::statement(&self.database, account, period, limit).await
    }

    /// Releases reservations whose time has come, and says how many. A reservation that somebody ends at the same moment is
    /// left to them.
    ///
    /// # Errors
    /// [`LedgerError::Unsure`] where the database fails.
    pub async fn expire_due(&self) -> Result<u64, LedgerError> {
        let mut expired = 0;
        loop {
            let due = reads::due(&self.database, self.now(), EXPIRED_AT_ONCE).await;
            let due = due.map_err(|error| LedgerError::Unsure(Arc::new(error)))?;
            let mut answers = Vec::with_capacity(due.len());
            for reservation in due {
                // All are asked before the first is waited for: one commit does them.
                answers.push(self.ask(vec![Transfer::expiry_of(reservation)], None).await?);
            }
            let before = expired;
            for answer in answers {
                match answered(answer).await {
                    Ok(_) => expired += 1,
                    Err(LedgerError::Refused { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            if expired == before {
                return Ok(expired);
            }
        }
    }

    /// The note of this name.
    ///
    /// # Errors
    /// What the database says.
    pub async fn note(&self, key: &str) -> Result<Option<Note>, StoreError> {
        reads::note(&self.database, key).await
    }

    /// Notes whose names begin so and come behind `after`, by name, at most `limit`.
    ///
    /// # Errors
    /// What the database says.
    pub async fn notes(&self, prefix: &str, after: &str, limit: u32) -> Result<Vec<Note>, StoreError> {
        reads::notes(&self.database, prefix, after, limit).await
    }

    /// What was done last on an account, the newest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn latest(&self, account: AccountId, limit: u32) -> Result<Vec<Record>, StoreError> {
        reads::latest(&self.database, account, limit).await
    }

    /// Money that was moved at once for a purpose, in the order of its numbers, behind the number `after`. What another process
    /// was slow to commit may come behind a higher number: so what is not older than a minute may come twice.
    ///
    /// # Errors
    /// What the database says.
    pub async fn posted(&self, purpose: Purpose, after: i64, limit: u32) -> Result<Vec<(i64, Record)>, StoreError> {
        let since = UnixMillis(self.now().0.saturating_sub(SLOW_MS));
        reads::moved(&self.database, (purpose, 1..=1), after, OVERLAP, since, limit).await
    }

    /// The same of reservations that were settled or voided.
    ///
    /// # Errors
    /// What the database says.
    pub async fn resolved(&self, purpose: Purpose, after: i64, limit: u32) -> Result<Vec<(i64, Record)>, StoreError> {
        let since = UnixMillis(self.now().0.saturating_sub(SLOW_MS));
        reads::moved(&self.database, (purpose, 3..=4), after, OVERLAP, since, limit).await
    }

    /// The number of the last transfer; 0: there is none.
    ///
    /// # Errors
    /// What the database says.
    pub async fn last_number(&self) -> Result<i64, StoreError> {
        reads::last_number(&self.database).await
    }

    /// All accounts, by id.
    ///
    /// # Errors
    /// What the database says.
    pub async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        reads::accounts(&self.database).await
    }

    /// Adds up all transfers and gives the accounts whose sums are not that: none, or somebody has written into the database.
    /// Reads the whole ledger.
    ///
    /// # Errors
    /// What the database says.
    pub async fn unbalanced(&self) -> Result<Vec<Account>, StoreError> {
        reads::unbalanced(&self.database).await
    }

    /// The sum of all balances: zero, or somebody has written into the database. In millisatoshi.
    ///
    /// # Errors
    /// What the database says.
    pub async fn total(&self) -> Result<i128, StoreError> {
        let accounts = reads::accounts(&self.database).await?;
        Ok(accounts.iter().map(|account| account.sums.balance()).sum())
    }
}

async fn write(database: Database, mut waiting: mpsc::Receiver<Request>, clock: Clock) {
    let mut batch = Vec::with_capacity(IN_ONE_COMMIT);
    let mut pace = Pace::default();
    while gather(&mut waiting, &mut batch, pace).await {
        let began = Instant::now();
        let (requests, askers): (Vec<_>, Vec<_>) = batch.drain(..).map(|r: Request| (r.wish, r.answer)).unzip();
        let answers = match commit(&database, &clock, &requests).await {
            Ok(answers) => answers.into_iter().map(told).collect(),
            // One that the database does not take must not take the others with it.
            Err(error) if requests.len() > 1 && error.is_of_one_request() => {
                each_alone(&database, &clock, &requests).await
            }
            Err(error) => unsure(error, requests.len()),
        };
        pace = Pace { requests: requests.len(), took: began.elapsed() };
        for (asker, answer) in askers.into_iter().zip(answers) {
            // Who asked may be gone; the ledger holds what was done.
            let _ = asker.send(answer);
        }
    }
}

/// The last commit: how many requests it did, and how long it took.
#[derive(Debug, Clone, Copy, Default)]
struct Pace {
    requests: usize,
    took: Duration,
}

/// Takes what waits; false when nobody can ask any more. Those whom the last commit answered are asking for their next thing just
/// now. Who commits the first of them alone lets all others wait for another flush; so as many are waited for as were answered,
/// for a fraction of what a commit takes, and nobody who asks alone waits at all.
async fn gather(waiting: &mut mpsc::Receiver<Request>, batch: &mut Vec<Request>, last: Pace) -> bool {
    if waiting.recv_many(batch, IN_ONE_COMMIT).await == 0 {
        return false;
    }
    let until = Instant::now() + last.took / 8;
    while batch.len() < last.requests {
        let more = waiting.recv_many(batch, IN_ONE_COMMIT - batch.len());
        match tokio::time::timeout_at(until, more).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    true
}

fn unsure(error: StoreError, askers: usize) -> Vec<Result<Applied, LedgerError>> {
    tracing::error!(%error, requests = askers, "a commit of the ledger failed");
    let error = Arc::new(error);
    (0..askers).map(|_| Err(LedgerError::Unsure(Arc::clone(&error)))).collect()
}

async fn each_alone(database: &Database, clock: &Clock, requests: &[Wish]) -> Vec<Result<Applied, LedgerError>> {
    let mut answers = Vec::with_capacity(requests.len());
    for request in requests {
        match commit(database, clock, std::slice::from_ref(request)).await {
            Ok(alone) => answers.extend(alone.into_iter().map(told)),
            Err(error) => answers.extend(unsure(error, 1)),
        }
    }
    answers
}

async fn commit(database: &Database, clock: &Clock, requests: &[Wish]) -> Result<Vec<Answer>, StoreError> {
    let mut tries = 1;
    loop {
        let now = clock();
        let done = async {
            match database {
                Database::Sqlite(file) => sqlite::commit(file, now, requests).await,
                Database::Postgres(pool) => postgres::commit(pool, now, requests).await,
            }
        };
        match tokio::time::timeout(COMMIT, done).await.unwrap_or(Err(StoreError::Slow)) {
            Err(error) if tries < TRIES && error.passes_again() => tries += 1,
            done => return done,
        }
    }
}

fn told(answer: Answer) -> Result<Applied, LedgerError> {
    answer.map_err(|(place, refusal)| LedgerError::Refused { place, refusal })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request { wish: Wish { transfers: Vec::new(), note: None }, answer: oneshot::channel().0 }
    }

    /// How many of three, of whom two ask a little later, are taken together behind such a commit.
    async fn gathered(requests: usize, took: Duration) -> usize {
        let (to, mut waiting) = mpsc::channel(8);
        to.send(request()).await.unwrap();
        let later = to.clone();
        tokio::spawn(async move {
            for _ in 0..2 {
                tokio::task::yield_now().await;
                later.send(request()).await.unwrap();
            }
        });
        let mut batch = Vec::new();
        assert!(gather(&mut waiting, &mut batch, Pace { requests, took }).await);
        batch.len()
    }

    #[tokio::test]
    async fn those_who_were_answered_together_are_waited_for_but_not_for_ever() {
        assert_eq!(gathered(3, Duration::from_hours(9_000)).await, 3);
        assert_eq!(gathered(4, Duration::from_millis(80)).await, 3, "the fourth does not come");
        assert_eq!(gathered(1, Duration::from_hours(9_000)).await, 1, "who asked alone waits for nobody");
        assert_eq!(gathered(0, Duration::ZERO).await, 1);
    }

    #[tokio::test]
    async fn when_nobody_can_ask_any_more_the_rest_is_taken() {
        let (to, mut waiting) = mpsc::channel(8);
        to.send(request()).await.unwrap();
        drop(to);
        let (mut batch, last) = (Vec::new(), Pace { requests: 5, took: Duration::from_hours(9_000) });
        assert!(gather(&mut waiting, &mut batch, last).await);
        assert_eq!(batch.len(), 1);
        batch.clear();
        assert!(!gather(&mut waiting, &mut batch, last).await);
    }
}

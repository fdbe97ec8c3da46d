//! The task that watches an account: reads the network's transactions page by page, and has the ledger book what came.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::inbox::{Inbox, Kept, Read, Reading};
use super::{Accepted, Arrival, Expected, Keeping, Whose, arrivals, booked, keeping, whose};
use crate::ledger::{AccountId, AccountKind, Ledger, LedgerError, StoreError};
use crate::stellar::Network;
use crate::stellar::rpc::{Rpc, RpcError};
use crate::tables::TableError;

/// Transactions in a page: the most that Stellar RPC gives.
const PAGE: u32 = 200;
/// Arrivals that are booked at a time.
const AT_ONCE: u32 = 100;
/// How often the network is looked at when all is read: it closes a ledger every five seconds or so.
const POLL: Duration = Duration::from_secs(5);

/// Knows which payments are waited for.
pub trait Expecting: Send + Sync {
    /// The payment that is waited for under this number; `None`: nobody waits for it.
    fn expected(&self, reference: u64) -> impl Future<Output = Result<Option<Expected>, TableError>> + Send;
}

/// Where arrivals go in the books.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Landing {
    /// What lies on Stellar.
    pub stellar: AccountId,
    /// What nobody knows whose it is.
    pub suspense: AccountId,
}

/// Why nothing was read or booked. What was done is kept; the next step goes on.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The server.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The tables.
    #[error(transparent)]
    Table(#[from] TableError),
    /// An account of the ledger could not be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger did not book an arrival: people must look why.
    #[error("the ledger does not book what came in transaction {tx}: {error}")]
    Ledger {
        /// Which.
        tx: crate::stellar::TxHash,
        /// Why.
        error: LedgerError,
    },
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Arrivals that were found.
    pub arrived: usize,
    /// Arrivals that the ledger got.
    pub booked: usize,
    /// How well it keeps up; `None` at the first start, which only notes where to begin.
    pub keeping: Option<Keeping>,
    /// Whether there is nothing more to read for now.
    pub all_read: bool,
}

/// Watches one account.
pub struct Watcher<R, E> {
    inbox: Inbox,
    rpc: R,
    network: Network,
    ledger: Ledger,
    landing: Landing,
    accepted: Vec<Accepted>,
    expecting: E,
}

impl<R, E> std::fmt::Debug for Watcher<R, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Watcher of {}", self.inbox.account())
    }
}

impl<R: Rpc, E: Expecting> Watcher<R, E> {
    /// Watches the inbox's account. Opens the accounts of the ledger that it needs.
    ///
    /// # Errors
    /// What the database says.
    pub async fn new(
        inbox: Inbox,
        (rpc, network): (R, Network),
        (ledger, landing): (Ledger, Landing),
        accepted: Vec<Accepted>,
        expecting: E,
    ) -> Result<Self, StoreError> {
        ledger.open_account(landing.stellar, AccountKind::Stellar).await?;
        ledger.open_account(landing.suspense, AccountKind::Suspense).await?;
        Ok(Self { inbox, rpc, network, ledger, landing, accepted, expecting })
    }

    /// Watches until it is told to stop; then stops where it is, which at any point loses nothing.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let progress = tokio::select! {
                () = stop.cancelled() => return,
                progress = self.step() => progress,
            };
            match progress {
                Ok(Progress { all_read: false, .. }) => continue,
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(%error, "what comes in on Stellar is not read or not booked for a moment");
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    /// Books what was read before and not booked, reads a page, and books that.
    ///
    /// # Errors
    /// [`WatchError`]; what was done is kept.
    pub async fn step(&mut self) -> Result<Progress, WatchError> {
        let before = self.book().await?;
        self.rpc.check(&self.network).await?;
        let Some(reading) = self.inbox.reading().await? else {
            // From here on: what was there before Roomtone is not its to book.
            let latest = self.rpc.latest().await?.ledger;
            self.inbox.begin_behind(latest, self.ledger.now()).await?;
            return Ok(Progress { arrived: 0, booked: before, keeping: None, all_read: true });
        };
        let page = self.rpc.transactions(&reading.from(), PAGE).await?;
        let has = page.ranges;
        let keeping = keeping(reading.ledger, has);
        tell(keeping);
        let count = page.transactions.len() + page.unreadable.len();
        let all_read = count < PAGE as usize;
        let last = page.transactions.last().map_or(reading.ledger, |tx| tx.ledger.saturating_sub(1));
        let ledger = if all_read { has.latest } else { last }.max(reading.ledger);
        let mut found = Vec::new();
        for tx in &page.transactions {
            for arrival in arrivals(self.inbox.account(), tx) {
                let whose = self.whose(&arrival).await?;
                found.push((arrival, whose));
            }
        }
        if !page.unreadable.is_empty() {
            tracing::error!(transactions = ?page.unreadable, "these could not be read; look whether they brought anything");
        }
        let now = Reading { cursor: Some(page.cursor), ledger };
        let read = Read { arrivals: &found, unreadable: &page.unreadable, now };
        self.inbox.store(&reading, &read, self.landing.suspense, self.ledger.now()).await?;
        let booked = before + self.book().await?;
        Ok(Progress { arrived: found.len(), booked, keeping: Some(keeping), all_read })
    }

    async fn whose(&self, arrival: &Arrival) -> Result<Whose, TableError> {
        let expected = match arrival.reference {
            None => None,
            Some(reference) => self.expecting.expected(reference).await?,
        };
        Ok(whose(arrival, &self.accepted, |_| expected))
    }

    /// Has the ledger book what it does not have. One that it refuses stops none of the others.
    async fn book(&self) -> Result<usize, WatchError> {
        let (mut done, mut refused) = (0, None);
        for Kept { arrival, goes_to, .. } in self.inbox.unbooked(AT_ONCE).await? {
            let Some((account, worth)) = goes_to else { continue };
            let known = Whose::Known { account, worth };
            let Some(transfer) = booked(&arrival, known, self.landing.stellar, self.landing.suspense) else { continue };
            match self.ledger.apply(vec![transfer]).await {
                Ok(_) => {
                    self.inbox.mark_booked(&arrival, self.ledger.now()).await?;
                    done += 1;
                }
                Err(error) => refused = Some(WatchError::Ledger { tx: arrival.tx, error }),
            }
        }
        refused.map_or(Ok(done), Err)
    }
}

fn tell(keeping: Keeping) {
    match keeping {
        Keeping::Up => {}
        Keeping::Behind { left } => {
            tracing::warn!(
                left,
                "reading what comes in on Stellar falls behind: so many ledgers are left before some are missed"
            );
        }
        Keeping::Missed { from, to } => {
            tracing::error!(
                from,
                to,
                "ledgers of Stellar were forgotten before they were read; look up by hand what came in them"
            );
        }
    }
}

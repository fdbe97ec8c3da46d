//! Reconciliation: what we owe customers must be in the node. Where it is not, payouts are stopped.
//!
//! The ledger is read first and the node second, so that a top-up in between makes the node look richer, never poorer. What is
//! held back for payouts that the node may have counts as gone. A payout that ends between the two readings still looks like a
//! gap, so a gap counts when it is seen twice.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::switch::Switch;
use super::{Node, NodeError, payout};
use crate::Msat;
use crate::ledger::{AccountKind, Ledger, StoreError};
use crate::tables::TableError;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(60);

/// Why it could not be looked.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The node.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The ledger's.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The tables.
    #[error(transparent)]
    Table(#[from] TableError),
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// What we owe customers, less what may have left the node for them already.
    pub owed: Msat,
    /// What the node holds, in channels and on the chain.
    pub held: Msat,
    /// How much is missing beyond what is tolerated; nothing, as it should be.
    pub missing: Msat,
    /// Whether payouts were stopped for it.
    pub has_stopped: bool,
}

/// Compares the books with the node.
pub struct Reconciler {
    ledger: Ledger,
    node: Arc<dyn Node>,
    switch: Switch,
    tolerance: Msat,
    seen_before: bool,
}

impl std::fmt::Debug for Reconciler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reconciler")
    }
}

impl Reconciler {
    /// `tolerance`: what may be missing, for closing channels costs something and gifts are owed too.
    #[must_use]
    pub fn new(ledger: Ledger, node: Arc<dyn Node>, tolerance: Msat) -> Self {
        let switch = Switch::new(ledger.database().clone());
        Self { ledger, node, switch, tolerance, seen_before: false }
    }

    /// Looks every minute until it is told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                looked = self.look() => if let Err(error) = looked {
                    tracing::warn!(%error, "the books are not compared with the node this time");
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    /// Looks once.
    ///
    /// # Errors
    /// As [`ReconcileError`] says: then nothing is known, and nothing is stopped.
    pub async fn look(&mut self) -> Result<Found, ReconcileError> {
        // Those that are at the node now may be at their end when the ledger is read, and then nothing is owed for them.
        let owed = self.owed().await?;
        let held = self.node.balances().await?.total();
        let gone = payout::on_their_way(self.ledger.database()).await?;
        let owed = owed.saturating_sub(gone);
        let missing = owed.saturating_sub(held).saturating_sub(self.tolerance);
        let is_missing = !missing.is_zero();
        let has_stopped = is_missing && self.seen_before;
        if has_stopped {
            let why = format!("customers are owed {owed}, and the Lightning node holds {held}");
            self.switch.stop(&why, self.ledger.now()).await?;
        }
        self.seen_before = is_missing;
        Ok(Found { owed, held, missing, has_stopped })
    }

    async fn owed(&self) -> Result<Msat, StoreError> {
        let accounts = self.ledger.accounts().await?;
        let customers = accounts.iter().filter(|account| account.kind == AccountKind::Customer);
        // More than all money there is cannot be owed: it is certainly missing.
        Ok(customers
            .map(|account| account.sums.credits_posted.saturating_sub(account.sums.debits_posted))
            .try_fold(Msat::ZERO, Msat::checked_add)
            .unwrap_or(Msat::MAX))
    }
}

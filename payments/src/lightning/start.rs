//! All of it together, as the program runs it.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::lnd::{Lnd, LndError};
use super::{
    Backend, Books, Config, ConfigError, Crediting, Node, OnCredited, OnEnded, Paying, Payouts, Reconciler, TopUps,
};
use crate::ledger::{Clock, Ledger, StoreError};

/// Why Lightning does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The ledger's.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// LND's address and keys.
    #[error(transparent)]
    Lnd(#[from] LndError),
    /// The embedded node.
    #[cfg(feature = "ldk")]
    #[error(transparent)]
    Ldk(#[from] super::ldk::LdkError),
    /// This program was built without it.
    #[cfg(not(feature = "ldk"))]
    #[error("lightning.node.backend is ldk, and this program was built without the embedded node (feature ldk)")]
    NoLdk,
}

/// Lightning as the program runs it: the node, and the three tasks on it.
pub struct Lightning {
    /// Makes invoices for customers.
    pub top_ups: TopUps,
    /// Takes orders for payouts.
    pub payouts: Payouts,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    running: Running,
}

/// The node, for what only its own kind can do.
enum Running {
    #[cfg(feature = "ldk")]
    Ldk(Arc<super::ldk::Ldk>),
    Lnd,
}

impl std::fmt::Debug for Lightning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lightning")
    }
}

impl Lightning {
    /// Starts the node, where it is the embedded one, and the tasks that credit, pay out and compare the books.
    ///
    /// # Errors
    /// [`StartError`] names the configuration's key, where one is to blame. LND itself is not asked yet: it may start later.
    pub async fn start(
        config: &Config,
        ledger: &Ledger,
        on_credited: OnCredited,
        on_ended: OnEnded,
    ) -> Result<Self, StartError> {
        config.check()?;
        let of_the_ledger = ledger.clone();
        let clock: Clock = Arc::new(move || of_the_ledger.now());
        let (node, running) = open(config, ledger, clock).await?;
        let books = (Books::default(), config.chain);
        let top_ups = TopUps::new(ledger.clone(), Arc::clone(&node), books, config.top_ups.rules()).await?;
        let payouts = Payouts::new(ledger.clone(), Arc::clone(&node), books, config.payouts.rules()).await?;
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(Crediting::new(top_ups.clone(), on_credited).run(stop.clone()));
        tasks.spawn(Paying::new(payouts.clone(), on_ended).run(stop.clone()));
        tasks.spawn(Reconciler::new(ledger.clone(), node, config.tolerance).run(stop.clone()));
        Ok(Self { top_ups, payouts, stop, tasks, running })
    }

    /// The embedded node, for channels, addresses and peers; `None`: it is another one.
    #[cfg(feature = "ldk")]
    #[must_use]
    pub fn ldk(&self) -> Option<&super::ldk::Ldk> {
        match &self.running {
            Running::Ldk(node) => Some(node),
            Running::Lnd => None,
        }
    }

    /// Stops the tasks where they are, which at any point loses nothing, and the embedded node.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a task of Lightning's broke");
            }
        }
        match &self.running {
            #[cfg(feature = "ldk")]
            Running::Ldk(node) => node.stop().await,
            Running::Lnd => {}
        }
    }
}

async fn open(config: &Config, ledger: &Ledger, clock: Clock) -> Result<(Arc<dyn Node>, Running), StartError> {
    match &config.node {
        Backend::Lnd(lnd) => Ok((Arc::new(Lnd::new(lnd, clock)?), Running::Lnd)),
        #[cfg(feature = "ldk")]
        Backend::Ldk(ldk) => {
            let database = ledger.database().clone();
            let labels: super::ldk::Labels = Arc::new(move |hash| {
                let database = database.clone();
                Box::pin(async move { Ok(super::top_up::ours(&database, hash).await?.map(|top_up| top_up.id)) })
            });
            let node = Arc::new(super::ldk::Ldk::start(ldk, config.chain, labels, clock).await?);
            Ok((Arc::clone(&node) as Arc<dyn Node>, Running::Ldk(node)))
        }
        #[cfg(not(feature = "ldk"))]
        Backend::Ldk(_) => {
            let _ = (ledger, clock);
            Err(StartError::NoLdk)
        }
    }
}

//! Lightning: top-ups in, payouts out, and the node that does it.
//!
//! - [`TopUps::request`] makes an invoice; [`Crediting`] credits what is paid, exactly once, and tells.
//! - [`Payouts::request`] takes an order for a payout; [`Paying`] carries it out, and tells.
//! - [`Reconciler`] compares the books with the node, and stops payouts where they do not agree.
//! - [`Node`] is what all of them ask: the embedded node (`ldk`, a feature) or the operator's LND ([`lnd`]).
//!
//! Each of the three tasks can be killed at any moment, and can run in several processes at once (the embedded node itself can
//! not). They know nothing but what is in the database and what the node says.
//!
//! # How it is started
//! [`Lightning::start`] does it all: it reads the keys that [`Config`] names, starts the node and the tasks.
//!
//! ```no_run
//! # async fn example(ledger: payments::ledger::Ledger, config: payments::lightning::Config) -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use payments::Msat;
//! use payments::ledger::AccountId;
//! use payments::lightning::{Lightning, TopUpId};
//!
//! let on_credited = Arc::new(|credited: payments::lightning::Credited| -> payments::lightning::Told {
//!     Box::pin(async move {
//!         // Tell the room. `credited.id` is the same when it is told again after a kill.
//!         println!("{} came for {}", credited.amount, credited.account);
//!         true
//!     })
//! });
//! let on_ended = Arc::new(|_payout: payments::lightning::Payout| -> payments::lightning::Told { Box::pin(async { true }) });
//! let lightning = Lightning::start(&config, &ledger, on_credited, on_ended).await?;
//!
//! let (account, amount) = (AccountId::named(&["room", "!room:example.org"]), "5000 sat".parse::<Msat>()?);
//! // Named by the event that asked: asked again it is the same invoice.
//! let id = TopUpId::named(&["$event"]);
//! let invoice = lightning.top_ups.request(id, account, amount, "Roomtone").await?;
//! println!("pay {} until {:?}", invoice.bolt11, invoice.expires);
//! lightning.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What is left to people
//! - What lies in suspense ([`Books::suspense`]): paid twice, or for an account that was frozen.
//! - Payouts that wait ([`Payouts::waiting`], [`Payouts::approve`], [`Payouts::reject`]), and those of which the node cannot
//!   tell any more what became of them ([`Payouts::decide`]).
//! - Payouts that were stopped ([`Payouts::stopped`], [`Payouts::resume`]).

pub mod backend;
pub mod config;
mod crediting;
#[doc(hidden)]
pub mod fuzz;
mod ids;
mod invoice;
#[cfg(feature = "ldk")]
pub mod ldk;
pub mod lnd;
pub mod payout;
mod reconcile;
pub(crate) mod secret;
mod start;
mod switch;
mod top_up;

pub use backend::{
    Answer, Balances, Cancelled, Cursor, Handed, InvoiceState, Node, NodeError, NodeId, Outgoing, Payment, Settlement,
    Wanted,
};
pub use config::{Backend, Config, ConfigError};
pub use crediting::{CreditError, Credited, Crediting, OnCredited, Progress};
pub use ids::{PayoutId, TopUpId};
pub use invoice::{Bolt11, Chain, Description, InvoiceError, MAX_DESCRIPTION, MAX_TEXT, Offer, PaymentHash, Target};
pub use payout::{OnEnded, Order, Paying, Payout, PayoutError, PayoutRules, PayoutState, Payouts};
pub use reconcile::{Found, ReconcileError, Reconciler};
pub use secret::SecretError;
pub use start::{Lightning, StartError};
pub use switch::{Stopped, Switch};
pub use top_up::{Invoice, TopUp, TopUpError, TopUpRules, TopUps};

use crate::ledger::{AccountId, AccountKind, Ledger, StoreError};

/// Whether something could be told, some time.
pub type Told = std::pin::Pin<Box<dyn Future<Output = bool> + Send>>;

/// The accounts of the ledger that Lightning moves money between, besides the customers'.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Books {
    /// What lies in the node.
    pub lightning: AccountId,
    /// What came in and is nobody's for now.
    pub suspense: AccountId,
    /// What the way of payouts has cost us beyond what was held back for it: nothing, if the node keeps to its limit.
    pub fees: AccountId,
}

impl Default for Books {
    fn default() -> Self {
        Self {
            lightning: AccountId::named(&["lightning"]),
            suspense: AccountId::named(&["suspense", "lightning"]),
            fees: AccountId::named(&["routing fees"]),
        }
    }
}

impl Books {
    async fn open(&self, ledger: &Ledger) -> Result<(), StoreError> {
        ledger.open_account(self.lightning, AccountKind::Lightning).await?;
        ledger.open_account(self.suspense, AccountKind::Suspense).await?;
        ledger.open_account(self.fees, AccountKind::RoutingFees).await
    }
}

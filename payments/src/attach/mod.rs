//! What an application service attaches: one door for calls and one for all else that is asked about money.
//!
//! ```text
//!  desk ──────── reserve, answered, settle ──▶ ┌──────────┐ ──▶ charge (credit control)
//!  !pay balance, topup, plan, … ── Ask ──────▶ │ Attached │ ──▶ ledger, plans, vouchers, tariffs, Lightning
//!  room ◀──────── News: "5 000 sat came in" ── └──────────┘
//! ```
//!
//! [`Counter`] is the module in the process itself. [`server`] puts it behind a Unix socket, or a loopback port with a token, and
//! [`Remote`] is what the other process attaches then: the wallet's keys are not where the calls are. Without the module
//! [`crate::NoCharge`] is attached, and nobody is charged.

mod ask;
pub(crate) mod config;
mod counter;
mod news;
mod remote;
pub mod server;
mod wallet;
mod wire;

use std::pin::Pin;

pub use ask::{
    Answer, Ask, ChannelLine, History, Invoice, News, NewsKind, NodeAsk, NodeStanding, PartnerLine, PartnerWindow,
    Payout, PayoutStep, RateLine, Refused, Report, Standing, StatementLine, Told, Transcription,
};
pub use config::{DeckFile, GuardRules, PlanPrices, Settings, SettingsError};
pub use counter::{Counter, OpenError};
pub use remote::Remote;
pub use wire::{Address, AddressError};

use crate::NoCharge;
use crate::charge::CallCharging;

/// What [`Attached::ask`] gives.
pub type Asking<'a> = Pin<Box<dyn Future<Output = Result<Answer, Refused>> + Send + 'a>>;

/// All that an application service knows of the payments module.
pub trait Attached: CallCharging {
    /// Asks something, or has something done.
    ///
    /// # Errors
    /// [`Refused`]; nothing was done, but where it says that it is not known.
    fn ask(&self, ask: Ask) -> Asking<'_>;

    /// Whether anybody is charged at all: else there are no accounts, quotas and `!pay` commands.
    fn charges(&self) -> bool {
        true
    }
}

impl Attached for NoCharge {
    fn ask(&self, _ask: Ask) -> Asking<'_> {
        Box::pin(async { Err(Refused::NotCharged) })
    }

    fn charges(&self) -> bool {
        false
    }
}

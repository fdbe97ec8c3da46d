//! The attached module that charges for calls: the [`ledger`] that holds the money, the [`tariff`] that says what calls cost,
//! the [`charge`] that reserves and settles while they run, their records ([`cdr`]), the fraud [`guard`], each [`plan`], and
//! [`settlement`] between operators by [`stellar`]. An application service knows of it all one trait, [`attach::Attached`].
//! [`settlement`] between operators by [`stellar`], and what it is all worth in other money ([`rates`]). The desk knows of it all
//! one trait, [`charge::CallCharging`].
//! the [`charge`] that reserves and settles while they run, their records ([`cdr`]), the fraud [`guard`], each [`plan`],
//! money in and out by [`lightning`], and [`settlement`] between operators by [`stellar`]. The desk knows of it all one
//! trait, [`charge::CallCharging`].
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

pub mod attach;
pub mod cdr;
pub mod charge;
pub mod database;
pub mod guard;
pub mod ledger;
pub mod lightning;
mod msat;
pub mod plan;
pub mod qr;
pub mod rates;
pub mod settlement;
pub mod stellar;
mod tables;
pub mod tariff;
mod time;

use std::time::Duration;

pub use msat::{AmountError, Msat};
pub use tables::TableError;
pub use time::UnixMillis;

/// How long a call may go on before the desk has to ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaidFor {
    /// Nobody charges for this call.
    NoLimit,
    /// The call is paid for this long from the moment of the answer.
    Until(Duration),
    /// The account cannot pay for a call: it must not be set up.
    Nothing,
}

/// What the desk knows of a call when it asks. Opaque to the module but for matching.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct ChargeRequest {
    /// The call's id.
    pub call: String,
    /// The phone leg's, where a call may have several: each is charged for itself. Empty: there is one.
    pub leg: String,
    /// The number that was dialled, in E.164.
    pub dialled: String,
    /// Who calls, in E.164; anything else is as if it were withheld.
    pub caller: String,
    /// The Matrix room that the call belongs to: its account pays.
    pub room: String,
    /// Whether a phone rings the room or the room a phone.
    pub direction: cdr::Direction,
    /// The leg's SIP Call-ID, for settlements with who carried it; empty: not known.
    #[serde(default)]
    pub sip_call_id: String,
    /// The machine that handed us a call that came in.
    #[serde(default)]
    pub source: Option<std::net::IpAddr>,
}

impl ChargeRequest {
    /// What the leg is charged under, for ever: the idempotency key of everything charged for it.
    #[must_use]
    pub fn name(&self) -> String {
        if self.leg.is_empty() { self.call.clone() } else { format!("{} {}", self.call, self.leg) }
    }
}

/// Roomtone without the payments module: nobody is charged, nobody is cut off.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCharge;

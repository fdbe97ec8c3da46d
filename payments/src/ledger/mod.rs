//! The ledger: double entry, nothing edited, nothing done twice.
//!
//! Every [`Transfer`] takes from one account and gives to another, so all balances together are always zero. Who asks
//! chooses the transfer's id and may ask again after a crash: done once, it answers [`Applied::Exists`]. Money for
//! something whose price is not known yet is reserved ([`Movement::Reserve`]) and later settled (whole or in part),
//! voided or expired, one of these and once. A prepaid account ([`AccountKind::is_prepaid`]) never goes below zero, what is
//! reserved counted in. What was wrong is corrected by another transfer.
//!
//! Who moves money and has to know something after a crash writes it down in the same commit: a [`Note`].
//!
//! The rules are [`Book`]'s, in memory and without clock or database; [`Ledger`] puts them on disk, in SQLite or PostgreSQL.

mod account;
mod book;
pub(crate) mod ids;
mod note;
mod store;
mod transfer;

pub use account::{Account, AccountKind, Sums};
pub use book::{Book, Record, Reservation, Side, Sides};
pub use ids::{AccountId, NoId, TransferId};
pub use note::Note;
pub use store::{Clock, Impossible, Ledger, LedgerError, Period, StoreError};
pub use transfer::{Applied, Movement, Purpose, Refusal, Resolution, Transfer};

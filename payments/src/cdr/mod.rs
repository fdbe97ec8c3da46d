//! Call detail records: for each leg of each call one line that tells all that is needed to charge it again.
//!
//! A record is written once and never changed, in the same commit that takes the call's note away, so that no crash loses one
//! or writes one twice. What is rated anew gets a new record of the next revision, and a correcting transfer
//! ([`store::rerate`]).

pub mod export;
mod record;
pub mod store;

pub(crate) use record::carrier_of;
pub use record::{About, Carrier, Cdr, Direction, Ending, Leg, Party};

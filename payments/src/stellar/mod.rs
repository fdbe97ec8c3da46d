//! Stellar: how operators pay one another.
//!
//! Everything that is signed is built here from typed parts ([`Stroops`], [`Asset`], [`Address`]), by `stellar-xdr`, and is
//! byte for byte what the SDKs of Python and JavaScript made of the same (written down in the tests). A network is
//! reached by Stellar RPC's JSON-RPC; no stellar-core was at hand when this was built, see `docs/settlement.md`.

mod account;
mod amount;
mod asset;
pub mod fuzz;
pub mod incoming;
mod key;
mod network;
pub mod payer;
mod read;
pub mod rpc;
mod sep7;
mod transaction;

pub use account::{Address, AddressError, Destination};
pub use amount::{Rate, Stroops, StroopsError};
pub use asset::{Asset, AssetCode, AssetError};
pub use key::{KeyError, SigningKey};
pub use network::Network;
pub use read::{MAX_XDR_BYTES, ReadError, read_envelope, read_result};
pub use sep7::{PayLink, PayLinkError};
pub use transaction::{Draft, DraftError, FeeRate, Memo, PathPay, Pay, Signed, TimeBounds, TxHash, fee_bump};

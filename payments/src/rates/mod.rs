//! What a bitcoin is worth in other money, so that people see what sat mean to them, and prices in euros become millisatoshi.
//!
//! ```text
//!  RateSource ─┐  all at once             ┌─▶ History (every answer, every price that was believed)
//!  RateSource ─┼──▶ Rates::refresh ─ believe ─┤
//!  RateSource ─┘     now and then         └─▶ Rates::quote: the price at hand, or why there is none
//! ```
//!
//! The books know nothing of it: they are in millisatoshi. A price is believed when enough sources, none too old, agree with the
//! median of all, and when it is not far from the one before; else there is no price, and the error says what each source said
//! ([`Refused`]). Nothing is guessed. No number here is a binary fraction: decimals are read digit by digit
//! ([`BitcoinPrice::read`]), also out of JSON.
//!
//! To start: read [`RatesConfig`], [`RatesConfig::open`] it on the ledger, run [`Rates::run`] until the end.

mod answer;
mod config;
mod decimal;
#[doc(hidden)]
pub mod fuzz;
mod history;
mod http;
mod policy;
mod price;
mod service;
mod source;

pub use config::{ConfigError, RatesConfig, SourceConfig};
pub use decimal::DecimalError;
pub use history::{History, MEDIAN, Stored};
pub use http::Http;
pub use policy::{Believed, Policy, Refused, Said, believe};
pub use price::{BitcoinPrice, Currency, Fiat, NoCurrency, PriceError, Rounding};
pub use service::{Quote, RateError, Rates, Settings};
pub use source::{Fetching, File, Fixed, RateSource, Sample, SourceError};

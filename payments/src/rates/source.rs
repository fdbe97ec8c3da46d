//! Where prices come from: configuration, a file, a server.

use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use super::price::{BitcoinPrice, Currency, PriceError};
use crate::UnixMillis;

/// The longest file that is read: a price is a line.
const MOST_FILE: u64 = 4096;

/// What a source says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// What a bitcoin costs.
    pub price: BitcoinPrice,
    /// When that was so, by the source itself; `None`: now.
    pub as_of: Option<UnixMillis>,
}

/// Why a source says nothing that counts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// No connection, a certificate that nobody knows, or it broke off.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// No answer in time.
    #[error("it has not answered within {} ms", .0.as_millis())]
    Slow(Duration),
    /// HTTP status 429, now or lately: it is left alone for so long.
    #[error("it is asked too often, and is left alone for {} s", .0.as_secs())]
    Limited(Duration),
    /// Another HTTP status than 200.
    #[error("it answers with HTTP status {0}")]
    Status(u16),
    /// More bytes than a price needs.
    #[error("it answers with more than {0} bytes")]
    TooLong(u64),
    /// No file, or one that may not be read.
    #[error("its file cannot be read: {0}")]
    File(String),
    /// Not what was expected.
    #[error("its answer is not understood: {0}")]
    Answer(String),
    /// What is there is no price.
    #[error("{0}")]
    Price(#[from] PriceError),
}

/// What [`RateSource::fetch`] gives.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Sample, SourceError>> + Send + 'a>>;

/// Somebody who says what a bitcoin costs. Asked now and then, all sources at once.
pub trait RateSource: Send + Sync {
    /// Its name in the history and in errors.
    fn name(&self) -> &str;

    /// Asks for the price of a bitcoin in a currency. Must come back: who waits for it waits for no other.
    fn fetch(&self, currency: Currency) -> Fetching<'_>;
}

/// A price that an operator has written into the configuration. Never stale: it holds as long as it stands there.
#[derive(Debug, Clone)]
pub struct Fixed {
    name: String,
    price: BitcoinPrice,
}

impl Fixed {
    /// Says this price, whatever is asked.
    #[must_use]
    pub const fn new(name: String, price: BitcoinPrice) -> Self {
        Self { name, price }
    }
}

impl RateSource for Fixed {
    fn name(&self) -> &str {
        &self.name
    }

    fn fetch(&self, _currency: Currency) -> Fetching<'_> {
        Box::pin(async { Ok(Sample { price: self.price, as_of: None }) })
    }
}

/// A file that somebody else writes: a decimal, and nothing else. As old as the file's last change.
#[derive(Debug, Clone)]
pub struct File {
    name: String,
    path: PathBuf,
}

impl File {
    /// Reads this file each time.
    #[must_use]
    pub const fn new(name: String, path: PathBuf) -> Self {
        Self { name, path }
    }

    async fn read(&self) -> Result<Sample, SourceError> {
        let wrong = |error: std::io::Error| SourceError::File(format!("{}: {error}", self.path.display()));
        let about = tokio::fs::metadata(&self.path).await.map_err(wrong)?;
        // A pipe would hold up who reads it, and so would a device without end.
        if !about.is_file() {
            return Err(SourceError::File(format!("{} is no file", self.path.display())));
        }
        if about.len() > MOST_FILE {
            return Err(SourceError::TooLong(MOST_FILE));
        }
        let changed = about.modified().map_err(wrong)?;
        let since = changed.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let text = tokio::fs::read_to_string(&self.path).await.map_err(wrong)?;
        let as_of = UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        Ok(Sample { price: BitcoinPrice::read(&text)?, as_of: Some(as_of) })
    }
}

impl RateSource for File {
    fn name(&self) -> &str {
        &self.name
    }

    fn fetch(&self, _currency: Currency) -> Fetching<'_> {
        Box::pin(self.read())
    }
}

//! A price from a vendor's server: one GET, and a JSON pointer into the answer.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::RETRY_AFTER;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;

use super::answer::Pointer;
use super::price::{BitcoinPrice, Currency};
use super::source::{Fetching, RateSource, Sample, SourceError};
use crate::UnixMillis;

/// The longest answer that is read. Vendors' lists of all currencies have some hundred kilobytes.
const MOST_ANSWER: usize = 1024 * 1024;
/// How long a server is left alone that says 429 and not for how long.
const LEFT_ALONE: Duration = Duration::from_secs(60);
/// The longest time that a server can have itself left alone.
const LONGEST_ALONE: Duration = Duration::from_secs(24 * 3600);

/// What a vendor is asked, and how its answer is read.
#[derive(Debug, Clone)]
pub(super) struct Asking {
    pub(super) name: String,
    /// May hold a key.
    pub(super) url: SecretString,
    /// Where the price is.
    pub(super) price: Pointer,
    /// Where the time is for which it holds; `None`: it says none, and it is taken for new.
    pub(super) as_of: Option<Pointer>,
    /// How long the whole answer may take.
    pub(super) timeout: Duration,
}

/// A vendor's server. The certificate must be one of the public authorities'.
#[derive(Debug)]
pub struct Http {
    asking: Asking,
    client: reqwest::Client,
    left_alone: Mutex<Option<Instant>>,
}

/// Why an address is not asked: plain HTTP only to this machine, as the answer decides over money.
pub(super) fn check_url(url: &str) -> Result<(), String> {
    let parsed = reqwest::Url::parse(url).map_err(|error| format!("is no address: {error}"))?;
    let host = parsed.host_str().unwrap_or_default();
    let here = matches!(host, "127.0.0.1" | "[::1]" | "localhost");
    match parsed.scheme() {
        "https" if !host.is_empty() => Ok(()),
        "http" if here => Ok(()),
        "http" => Err(format!("is plain HTTP to {host}; use https://, plain HTTP is for this machine only")),
        other => Err(format!("begins with {other}:; use https://")),
    }
}

impl Http {
    /// Nothing is asked before [`RateSource::fetch`].
    ///
    /// # Errors
    /// [`SourceError::Unreachable`] where there is no TLS on this machine.
    pub(super) fn new(asking: Asking) -> Result<Self, SourceError> {
        // No redirects: they could lead an https address to a plain one.
        let client = reqwest::Client::builder()
            .timeout(asking.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent("roomtone")
            .build()
            .map_err(|error| SourceError::Unreachable(told(error)))?;
        Ok(Self { asking, client, left_alone: Mutex::new(None) })
    }

    fn alone_for(&self) -> Option<Duration> {
        let until = *self.left_alone.lock().unwrap_or_else(PoisonError::into_inner);
        until?.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }

    fn limited(&self, response: &reqwest::Response) -> SourceError {
        let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let alone = seconds.map_or(LEFT_ALONE, Duration::from_secs).min(LONGEST_ALONE);
        *self.left_alone.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + alone);
        SourceError::Limited(alone)
    }

    async fn ask(&self) -> Result<Sample, SourceError> {
        if let Some(left) = self.alone_for() {
            return Err(SourceError::Limited(left));
        }
        let failed = |error: reqwest::Error| match error.is_timeout() {
            true => SourceError::Slow(self.asking.timeout),
            false => SourceError::Unreachable(told(error)),
        };
        let sent = self.client.get(self.asking.url.expose_secret()).header("accept", "application/json").send();
        let mut response = sent.await.map_err(failed)?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::TOO_MANY_REQUESTS => return Err(self.limited(&response)),
            other => return Err(SourceError::Status(other.as_u16())),
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MOST_ANSWER {
                return Err(SourceError::TooLong(MOST_ANSWER as u64));
            }
            body.extend_from_slice(&chunk);
        }
        read(&body, &self.asking.price, self.asking.as_of.as_ref())
    }
}

/// reqwest says only half of it; the address, which may hold a key, is left out.
fn told(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// A whole answer. Also what is fuzzed.
pub(super) fn read(body: &[u8], price: &Pointer, as_of: Option<&Pointer>) -> Result<Sample, SourceError> {
    let json = std::str::from_utf8(body).map_err(|_| SourceError::Answer("it is no UTF-8".to_owned()))?;
    let price = BitcoinPrice::read(&price.find(json).map_err(SourceError::Answer)?)?;
    let as_of = as_of.map(|as_of| time(&as_of.find(json)?)).transpose().map_err(SourceError::Answer)?;
    Ok(Sample { price, as_of })
}

/// Seconds since 1970, as most vendors have it, what is behind a point left out; or RFC 3339.
fn time(text: &str) -> Result<UnixMillis, String> {
    let wrong = || {
        format!(
            "{:?} is no time; seconds since 1970 or RFC 3339 are expected",
            text.chars().take(40).collect::<String>()
        )
    };
    let whole = text.split('.').next().unwrap_or_default();
    if whole.bytes().all(|b| b.is_ascii_digit()) && !whole.is_empty() {
        let seconds: u64 = whole.parse().map_err(|_| wrong())?;
        return seconds.checked_mul(1000).map(UnixMillis).ok_or_else(wrong);
    }
    let at: jiff::Timestamp = text.parse().map_err(|_| wrong())?;
    u64::try_from(at.as_millisecond()).map(UnixMillis).map_err(|_| wrong())
}

impl RateSource for Http {
    fn name(&self) -> &str {
        &self.asking.name
    }

    fn fetch(&self, _currency: Currency) -> Fetching<'_> {
        Box::pin(self.ask())
    }
}

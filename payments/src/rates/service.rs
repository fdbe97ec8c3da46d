//! Asks the sources, believes or refuses, writes down what was said, and has a price at hand.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::history::{History, Stored};
use super::policy::{Policy, Refused, Said, believe};
use super::price::{BitcoinPrice, Currency, Fiat, Rounding};
use super::source::{RateSource, Sample, SourceError};
use crate::database::Database;
use crate::ledger::Clock;
use crate::tables::TableError;
use crate::{Msat, UnixMillis};

/// No source may take longer, whatever its own limit is.
const LONGEST: Duration = Duration::from_secs(70);

/// Why there is no price.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RateError {
    /// None is believed.
    #[error("there is no rate for {currency}: {why}")]
    Refused {
        /// In what it was asked for.
        currency: Currency,
        /// Why.
        why: Refused,
    },
    /// What was said cannot be written down, and is not used then.
    #[error("the history of rates cannot be written: {0}")]
    Table(Arc<TableError>),
}

/// A price that is believed, with its number in the history. It is used as it is: a call or an invoice that was rated by it keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// Its number in the history.
    pub seq: i64,
    /// What a bitcoin costs.
    pub price: BitcoinPrice,
    /// In what.
    pub currency: Currency,
    /// Customers' sums are counted at a price lower by so many ten-thousandths.
    pub spread: u16,
    /// Since when it holds.
    pub as_of: UnixMillis,
}

impl Quote {
    /// What an amount is worth, for people to see. `None`: more than can be counted.
    #[must_use]
    pub fn fiat(&self, amount: Msat) -> Option<Fiat> {
        self.price.fiat(amount, self.currency, Rounding::Nearest)
    }

    /// What an amount is worth, in words: `3.41 EUR`; `< 0.01 EUR` where it is something that rounds to nothing.
    #[must_use]
    pub fn shown(&self, amount: Msat) -> Option<String> {
        let sum = self.fiat(amount)?;
        let least = Fiat { minor: 1, ..sum };
        Some(if sum.minor == 0 && !amount.is_zero() { format!("< {least}") } else { sum.to_string() })
    }

    /// What is owed for a sum, spread and rounding for us. `None`: of another currency, or more than there is.
    #[must_use]
    pub fn msat(&self, sum: Fiat) -> Option<Msat> {
        if sum.currency == self.currency { self.price.msat(sum, self.spread, Rounding::Up) } else { None }
    }

    /// What a record keeps of it ([`crate::cdr::Cdr::fx_rate`]): `BTC/EUR 68123.45 (12)`.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("BTC/{} {} ({})", self.currency, self.price, self.seq)
    }
}

#[derive(Debug, Default)]
struct Known {
    last: Option<Quote>,
    /// Why there is nothing newer.
    why: Option<Refused>,
}

/// How prices are come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// In what.
    pub currency: Currency,
    /// What is believed.
    pub policy: Policy,
    /// See [`Quote::spread`].
    pub spread: u16,
    /// How often the sources are asked.
    pub every: Duration,
}

struct Inner {
    sources: Vec<Arc<dyn RateSource>>,
    settings: Settings,
    history: History,
    clock: Clock,
    known: RwLock<Known>,
}

/// Prices of a bitcoin in one currency. Cheap to clone.
#[derive(Clone)]
pub struct Rates(Arc<Inner>);

impl std::fmt::Debug for Rates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rates({} from {} sources)", self.0.settings.currency, self.0.sources.len())
    }
}

impl Rates {
    /// Prices from these sources. What was believed before is read from the history; nobody is asked yet.
    ///
    /// # Errors
    /// What the database says.
    pub async fn open(
        database: Database,
        clock: Clock,
        settings: Settings,
        sources: Vec<Arc<dyn RateSource>>,
    ) -> Result<Self, TableError> {
        let history = History::new(database, settings.currency);
        let last = history.last().await?.map(|stored| quote(&settings, &stored));
        let known = RwLock::new(Known { last, why: None });
        Ok(Self(Arc::new(Inner { sources, settings, history, clock, known })))
    }

    /// What was said and believed so far.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.0.history
    }

    /// The price at this moment. Asks nobody.
    ///
    /// # Errors
    /// [`RateError::Refused`]: none was ever believed, or the last one is too old.
    pub fn quote(&self) -> Result<Quote, RateError> {
        let known = self.0.known.read().unwrap_or_else(PoisonError::into_inner);
        let why = || known.why.clone().map(Box::new);
        let Some(last) = known.last else { return Err(self.refused(Refused::Never { why: why() })) };
        let now = (self.0.clock)();
        let (age, limit) = (Duration::from_millis(now.0.saturating_sub(last.as_of.0)), self.0.settings.policy.max_age);
        if age > limit { Err(self.refused(Refused::Stale { age, limit, why: why() })) } else { Ok(last) }
    }

    /// Asks all sources now.
    ///
    /// # Errors
    /// [`RateError`]; the price before is still used as long as it is not too old.
    pub async fn refresh(&self) -> Result<Quote, RateError> {
        self.ask(false).await
    }

    /// As [`Self::refresh`], after a person has seen that a jump ([`Refused::Jump`]) is right.
    ///
    /// # Errors
    /// [`RateError`], for anything else than a jump.
    pub async fn confirm(&self) -> Result<Quote, RateError> {
        self.ask(true).await
    }

    async fn ask(&self, confirmed: bool) -> Result<Quote, RateError> {
        let inner = &self.0;
        let said = self.said().await;
        let now = (inner.clock)();
        let last = inner.known.read().unwrap_or_else(PoisonError::into_inner).last;
        let before = last.filter(|_| !confirmed).map(|last| (last.price, last.as_of));
        let believed = believe(&inner.settings.policy, &said, before, now);
        let written = inner.history.write(&said, believed.as_ref().ok(), now).await;
        let written = written.map_err(|error| RateError::Table(Arc::new(error)))?;
        let mut known = inner.known.write().unwrap_or_else(PoisonError::into_inner);
        match (believed, written) {
            (Ok(believed), Some(seq)) => {
                let stored = Stored {
                    seq,
                    source: String::new(),
                    price: believed.price,
                    as_of: believed.as_of,
                    fetched_at: now,
                };
                let quote = quote(&inner.settings, &stored);
                *known = Known { last: Some(quote), why: None };
                Ok(quote)
            }
            (Ok(_), None) => Err(self.refused(Refused::Never { why: None })),
            (Err(why), _) => {
                known.why = Some(why.clone());
                Err(self.refused(why))
            }
        }
    }

    fn refused(&self, why: Refused) -> RateError {
        RateError::Refused { currency: self.0.settings.currency, why }
    }

    /// All sources at once: a slow one holds up nobody else's answer.
    async fn said(&self) -> Vec<Said> {
        let currency = self.0.settings.currency;
        let mut asked = JoinSet::new();
        for (n, source) in self.0.sources.iter().cloned().enumerate() {
            asked.spawn(async move {
                let answer = tokio::time::timeout(LONGEST, source.fetch(currency)).await;
                (n, answer.unwrap_or(Err(SourceError::Slow(LONGEST))))
            });
        }
        let mut answers: Vec<Option<Result<Sample, SourceError>>> = vec![None; self.0.sources.len()];
        while let Some(done) = asked.join_next().await {
            if let Ok((n, answer)) = done {
                answers[n] = Some(answer);
            }
        }
        let now = (self.0.clock)();
        let said = self.0.sources.iter().zip(answers).map(|(source, answer)| {
            // A source that broke has said nothing.
            let answer = answer.unwrap_or_else(|| Err(SourceError::Unreachable("its task ended".to_owned())));
            let what = answer.map(|sample| (sample.price, sample.as_of.unwrap_or(now)));
            Said { source: source.name().to_owned(), what }
        });
        said.collect()
    }

    /// Asks now and every so often, until it is told to stop.
    pub async fn run(&self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                asked = self.refresh() => if let Err(error) = asked {
                    tracing::warn!(%error, "no new rate");
                },
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.0.settings.every) => {}
            }
        }
    }
}

fn quote(settings: &Settings, stored: &Stored) -> Quote {
    let Settings { currency, spread, .. } = *settings;
    Quote { seq: stored.seq, price: stored.price, currency, spread, as_of: stored.as_of }
}

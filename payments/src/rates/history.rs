//! Prices on disk: what each source said, and what was believed.

use std::time::Duration;

use super::policy::{Believed, Said};
use super::price::{BitcoinPrice, Currency};
use crate::UnixMillis;
use crate::database::{Database, ask, tell};
use crate::tables::{TableError, at, impossible, time};

const TABLE: &str = "fx_rates";
/// The name under which stands what was believed; no source has it.
pub const MEDIAN: &str = "median";
/// What single sources said is kept for so long, what was believed for ever.
const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);

/// A price as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its number.
    pub seq: i64,
    /// Who said it; [`MEDIAN`]: it was believed.
    pub source: String,
    /// What a bitcoin cost.
    pub price: BitcoinPrice,
    /// Since when, by the source.
    pub as_of: UnixMillis,
    /// When we asked.
    pub fetched_at: UnixMillis,
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    seq: i64,
    source: String,
    mantissa: i64,
    exponent: i64,
    as_of: i64,
    fetched_at: i64,
}

impl Row {
    fn read(self) -> Result<Stored, TableError> {
        let price = u64::try_from(self.mantissa).ok().zip(i32::try_from(self.exponent).ok());
        let price = price.and_then(|(mantissa, exponent)| BitcoinPrice::new(mantissa, exponent).ok());
        let price = price.ok_or_else(|| impossible(TABLE, "price", (self.mantissa, self.exponent)))?;
        Ok(Stored { seq: self.seq, source: self.source, price, as_of: at(self.as_of), fetched_at: at(self.fetched_at) })
    }
}

/// All prices in one currency.
#[derive(Debug, Clone)]
pub struct History {
    database: Database,
    pair: String,
}

impl History {
    /// The prices in this currency that are in this database.
    #[must_use]
    pub fn new(database: Database, currency: Currency) -> Self {
        Self { database, pair: format!("BTC/{currency}") }
    }

    /// What was believed last.
    ///
    /// # Errors
    /// What the database says.
    pub async fn last(&self) -> Result<Option<Stored>, TableError> {
        Ok(self.list(MEDIAN, i64::MAX, 1).await?.into_iter().next())
    }

    /// What one source said, or what was believed ([`MEDIAN`]), the newest first, before a number.
    ///
    /// # Errors
    /// What the database says.
    pub async fn list(&self, source: &str, before: i64, limit: u32) -> Result<Vec<Stored>, TableError> {
        let rows: Vec<Row> = ask!(&self.database, pool => sqlx::query_as(
                "SELECT seq, source, mantissa, exponent, as_of, fetched_at FROM fx_rates
                 WHERE pair = $1 AND source = $2 AND seq < $3 ORDER BY seq DESC LIMIT $4",
            )
            .bind(&self.pair)
            .bind(source)
            .bind(before)
            .bind(i64::from(limit))
            .fetch_all(pool))?;
        rows.into_iter().map(Row::read).collect()
    }

    /// Writes what sources said and what was believed of it, in one commit; gives the number of the latter. What is too old is
    /// forgotten.
    pub(super) async fn write(
        &self,
        said: &[Said],
        believed: Option<&Believed>,
        now: UnixMillis,
    ) -> Result<Option<i64>, TableError> {
        let said = said.iter().filter_map(|said| Some((said.source.as_str(), said.what.as_ref().ok()?)));
        let mut rows: Vec<_> = said.map(|(source, (price, as_of))| (source, *price, *as_of)).collect();
        rows.extend(believed.map(|believed| (MEDIAN, believed.price, believed.as_of)));
        let kept_from = now.0.saturating_sub(u64::try_from(KEPT.as_millis()).unwrap_or(u64::MAX));
        let last: Option<i64> = tell!(&self.database, pool => async {
            let mut tx = pool.begin().await?;
            let mut last = None;
            for (source, price, as_of) in &rows {
                last = Some(sqlx::query_scalar(
                        "INSERT INTO fx_rates (source, pair, mantissa, exponent, as_of, fetched_at)
                         VALUES ($1, $2, $3, $4, $5, $6) RETURNING seq",
                    )
                    .bind(*source)
                    .bind(&self.pair)
                    // Below 10^18.
                    .bind(price.mantissa().cast_signed())
                    .bind(i64::from(price.exponent()))
                    .bind(time(*as_of))
                    .bind(time(now))
                    .fetch_one(&mut *tx)
                    .await?);
            }
            sqlx::query("DELETE FROM fx_rates WHERE fetched_at < $1 AND source <> 'median'")
                .bind(time(UnixMillis(kept_from)))
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok::<Option<i64>, sqlx::Error>(last)
        })?;
        Ok(last.filter(|_| believed.is_some()))
    }
}

//! What an operator writes under `payments.rates`.
//!
//! ```yaml
//! currency: EUR
//! min_sources: 2
//! sources:
//!   - {type: http, name: kraken, url: "https://api.kraken.com/0/public/Ticker?pair=XBTEUR", pointer: /result/XXBTZEUR/c/0}
//!   - {type: http, name: coinbase, url: "https://api.coinbase.com/v2/prices/BTC-EUR/spot", pointer: /data/amount}
//!   - {type: file, name: desk, path: /var/lib/rates/btc-eur}
//!   - {type: fixed, name: contract, price: "68000"}
//! ```
//!
//! Vendors change their answers without telling; none of these addresses was tried by this project's tests, which ask servers of
//! their own that answer in the same shapes.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::answer::Pointer;
use super::history::MEDIAN;
use super::http::{Asking, Http, check_url};
use super::policy::Policy;
use super::price::{BitcoinPrice, Currency};
use super::service::{Rates, Settings};
use super::source::{File, Fixed, RateSource};
use crate::ledger::Ledger;
use crate::tables::TableError;

/// The section's name, before the keys in errors.
const SECTION: &str = "payments.rates";
/// Characters of a source's name.
const MOST_NAME: usize = 40;

/// Why the section cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A value that cannot be.
    #[error("{key} {wrong}")]
    Value {
        /// As in the file: `payments.rates.sources[1].url`.
        key: String,
        /// What is wrong and what is expected.
        wrong: String,
    },
    /// The history cannot be read.
    #[error(transparent)]
    Table(#[from] TableError),
}

/// The section. Without sources there are no rates, and amounts are shown in sat only.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RatesConfig {
    /// In what amounts are shown beside sat, by three letters. Needed where there are sources.
    pub currency: Option<Currency>,
    /// So many sources must agree. Default 2; one source alone has to be asked for by 1.
    pub min_sources: usize,
    /// Seconds after which a price is too old. Default 900.
    pub max_age_s: u64,
    /// Ten-thousandths by which a source may be from the median. Default 200, which is 2 %.
    pub max_deviation_bp: u64,
    /// Ten-thousandths by which a price may be from the one before, for each day between them. Default 2500.
    pub max_jump_bp: u64,
    /// Ten-thousandths by which customers' sums are counted at a lower price. Default 0.
    pub spread_bp: u16,
    /// Seconds between two times that the sources are asked. Default 300.
    pub refresh_s: u64,
    /// Who is asked.
    pub sources: Vec<SourceConfig>,
}

impl Default for RatesConfig {
    fn default() -> Self {
        let Policy { min_sources, max_age, max_deviation, max_jump } = Policy::default();
        Self {
            currency: None,
            min_sources,
            max_age_s: max_age.as_secs(),
            max_deviation_bp: max_deviation,
            max_jump_bp: max_jump,
            spread_bp: 0,
            refresh_s: 300,
            sources: Vec::new(),
        }
    }
}

/// A source.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum SourceConfig {
    /// A price that stands here.
    Fixed {
        /// In the history and in errors.
        name: String,
        /// What a bitcoin costs, in quotes: numbers of YAML and JSON are binary fractions for many programs.
        price: String,
    },
    /// A file with a decimal, as old as its last change.
    File {
        /// In the history and in errors.
        name: String,
        /// Where it is.
        path: PathBuf,
    },
    /// A vendor's server.
    Http {
        /// In the history and in errors.
        name: String,
        /// What is asked, with GET. May hold a key; it is never shown.
        url: SecretString,
        /// Where the price is in its JSON (RFC 6901).
        pointer: String,
        /// Where its time is: seconds since 1970, or RFC 3339. Without it an answer is taken for new.
        #[serde(default)]
        as_of: Option<String>,
        /// How long it may take to answer. Default 5000.
        #[serde(default = "five_seconds")]
        timeout_ms: u64,
    },
}

const fn five_seconds() -> u64 {
    5000
}

impl SourceConfig {
    fn name(&self) -> &str {
        match self {
            Self::Fixed { name, .. } | Self::File { name, .. } | Self::Http { name, .. } => name,
        }
    }
}

fn wrong(key: &str, wrong: impl Into<String>) -> ConfigError {
    ConfigError::Value { key: format!("{SECTION}.{key}"), wrong: wrong.into() }
}

fn within(key: &str, value: u64, least: u64, most: u64) -> Result<(), ConfigError> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(wrong(key, format!("is {value}; it has to be {least} to {most}")))
}

impl RatesConfig {
    /// Looks at all that stands here, without asking anybody; `None`: there are no sources.
    ///
    /// # Errors
    /// [`ConfigError::Value`] with the key.
    pub fn check(&self) -> Result<Option<Settings>, ConfigError> {
        if self.sources.is_empty() {
            return Ok(None);
        }
        let currency =
            self.currency.ok_or_else(|| wrong("currency", "is not set; give its three letters, as in EUR"))?;
        within("max_age_s", self.max_age_s, 10, 24 * 3600)?;
        within("refresh_s", self.refresh_s, 5, self.max_age_s - 1)?;
        within("max_deviation_bp", self.max_deviation_bp, 1, 5_000)?;
        within("max_jump_bp", self.max_jump_bp, 1, 1_000_000)?;
        within("spread_bp", self.spread_bp.into(), 0, 5_000)?;
        let sources = self.sources.len();
        if self.min_sources == 0 || self.min_sources > sources {
            let wrong_number = format!("is {}; it has to be 1 to {sources}, the number of sources", self.min_sources);
            return Err(wrong("min_sources", wrong_number));
        }
        self.build()?;
        let policy = Policy {
            min_sources: self.min_sources,
            max_age: Duration::from_secs(self.max_age_s),
            max_deviation: self.max_deviation_bp,
            max_jump: self.max_jump_bp,
        };
        Ok(Some(Settings { currency, policy, spread: self.spread_bp, every: Duration::from_secs(self.refresh_s) }))
    }

    /// The sources. Their names are told apart in the history: no two may be one.
    fn build(&self) -> Result<Vec<Arc<dyn RateSource>>, ConfigError> {
        let mut names = HashSet::from([MEDIAN]);
        let mut sources = Vec::with_capacity(self.sources.len());
        for (n, source) in self.sources.iter().enumerate() {
            let key = |key: &str| format!("sources[{n}].{key}");
            let name = source.name();
            if name.is_empty() || name.chars().count() > MOST_NAME || name.chars().any(char::is_control) {
                return Err(wrong(&key("name"), format!("is no name; 1 to {MOST_NAME} characters are expected")));
            }
            if !names.insert(name) {
                return Err(wrong(&key("name"), format!("is {name:?}, which is taken")));
            }
            sources.push(source.build(key)?);
        }
        Ok(sources)
    }

    /// Prices by this configuration on the ledger's database and clock; `None`: there are no sources. Begin to ask by
    /// [`Rates::run`].
    ///
    /// # Errors
    /// [`ConfigError`].
    pub async fn open(&self, ledger: &Ledger) -> Result<Option<Rates>, ConfigError> {
        let Some(settings) = self.check()? else { return Ok(None) };
        let rates = Rates::open(ledger.database().clone(), ledger.clock(), settings, self.build()?).await?;
        Ok(Some(rates))
    }
}

impl SourceConfig {
    fn build(&self, key: impl Fn(&str) -> String) -> Result<Arc<dyn RateSource>, ConfigError> {
        Ok(match self {
            Self::Fixed { name, price } => {
                let price =
                    BitcoinPrice::read(price).map_err(|error| wrong(&key("price"), format!("is none: {error}")))?;
                Arc::new(Fixed::new(name.clone(), price))
            }
            Self::File { name, path } => {
                if !path.is_absolute() {
                    let relative =
                        format!("is {:?}; a path from the root is expected, as in /var/lib/rates", path.display());
                    return Err(wrong(&key("path"), relative));
                }
                Arc::new(File::new(name.clone(), path.clone()))
            }
            Self::Http { name, url, pointer, as_of, timeout_ms } => {
                check_url(url.expose_secret()).map_err(|error| wrong(&key("url"), error))?;
                within(&key("timeout_ms"), *timeout_ms, 100, 60_000)?;
                let price =
                    Pointer::read(pointer).map_err(|error| wrong(&key("pointer"), format!("cannot be: {error}")))?;
                let as_of = as_of.as_deref().map(Pointer::read).transpose();
                let as_of = as_of.map_err(|error| wrong(&key("as_of"), format!("cannot be: {error}")))?;
                let timeout = Duration::from_millis(*timeout_ms);
                let asking = Asking { name: name.clone(), url: url.clone(), price, as_of, timeout };
                Arc::new(Http::new(asking).map_err(|error| wrong(&key("url"), format!("cannot be asked: {error}")))?)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The section as JSON: what reads YAML reads it alike.
    fn check(json: &str) -> Result<Option<Settings>, String> {
        let config: RatesConfig = serde_json::from_str(json).map_err(|error| error.to_string())?;
        config.check().map_err(|error| error.to_string())
    }

    const FIXED: &str = r#"{"type":"fixed","name":"a","price":"68000"}"#;

    fn with(keys: &str, sources: &str) -> String {
        format!(r#"{{"currency":"EUR","min_sources":1,{keys}"sources":[{sources}]}}"#)
    }

    #[test]
    fn an_empty_section_means_no_rates_and_a_whole_one_is_taken() {
        assert_eq!(check("{}"), Ok(None));
        let http = r#"{"type":"http","name":"k","url":"https://rates.example/x?key=s3cret","pointer":"/a/0","as_of":"/t","timeout_ms":900}"#;
        let file = r#"{"type":"file","name":"f","path":"/var/lib/rate"}"#;
        let settings = check(&with(r#""spread_bp":50,"#, &[FIXED, http, file].join(","))).unwrap().unwrap();
        assert_eq!((settings.spread, settings.policy.min_sources, settings.currency.code()), (50, 1, "EUR"));
        let config: RatesConfig = serde_json::from_str(&with("", http)).unwrap();
        assert!(!format!("{config:?}").contains("s3cret"));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_key() {
        let http = |rest: &str| with("", &format!(r#"{{"type":"http","name":"k",{rest}}}"#));
        for (json, told) in [
            (
                r#"{"sources":[{"type":"fixed","name":"a","price":"1"}]}"#.to_owned(),
                "payments.rates.currency is not set",
            ),
            (
                format!(r#"{{"currency":"EUR","sources":[{FIXED}]}}"#),
                "payments.rates.min_sources is 2; it has to be 1 to 1",
            ),
            (with(r#""max_age_s":5,"#, FIXED), "payments.rates.max_age_s is 5"),
            (with(r#""refresh_s":900,"#, FIXED), "payments.rates.refresh_s is 900; it has to be 5 to 899"),
            (with(r#""max_deviation_bp":0,"#, FIXED), "payments.rates.max_deviation_bp"),
            (with(r#""spread_bp":5001,"#, FIXED), "payments.rates.spread_bp"),
            (with("", &[FIXED, FIXED].join(",")), r#"payments.rates.sources[1].name is "a", which is taken"#),
            (with("", &FIXED.replace(r#""a""#, r#""median""#)), "payments.rates.sources[0].name"),
            (with("", &FIXED.replace("68000", "-1")), "payments.rates.sources[0].price is none"),
            (with("", &FIXED.replace("68000", "0")), "payments.rates.sources[0].price is none: a price of nothing"),
            (with("", r#"{"type":"file","name":"f","path":"rate"}"#), "payments.rates.sources[0].path"),
            (
                http(r#""url":"http://rates.example/","pointer":"/a""#),
                "payments.rates.sources[0].url is plain HTTP to rates.example",
            ),
            (http(r#""url":"ftp://rates.example/","pointer":"/a""#), "payments.rates.sources[0].url begins with ftp:"),
            (http(r#""url":"https://rates.example/","pointer":"a""#), "payments.rates.sources[0].pointer"),
            (
                http(r#""url":"https://rates.example/","pointer":"/a","timeout_ms":0"#),
                "payments.rates.sources[0].timeout_ms",
            ),
            (with(r#""max_sources":2,"#, FIXED), "unknown field `max_sources`"),
            (with("", &FIXED.replace(r#""price""#, r#""prize""#)), "unknown field `prize`"),
            (with("", &FIXED.replace(r#""68000""#, "68000.5")), "expected a string"),
            (with("", &FIXED.replace("fixed", "guess")), "unknown variant `guess`"),
            (with("", FIXED).replace("EUR", "euro"), r#""euro" is no currency"#),
        ] {
            let error = check(&json).unwrap_err();
            assert!(error.contains(told), "{json}\n{error}");
        }
    }
}

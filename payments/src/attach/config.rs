//! The `payments` section of the configuration. Amounts are written as people write them: `5000` (sat), `0.5 sat`, `0.001 btc`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::wire::Address;
use crate::Msat;
use crate::charge::Quota;
use crate::guard::Rules;
use crate::lightning;
use crate::plan::Prices;
use crate::rates::RatesConfig;
use crate::settlement::SettlementConfig;
use crate::tariff::{DeckKind, Prefix, TariffsConfig};

/// What is wrong with the section.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {message}")]
pub struct SettingsError {
    /// The key, as in `payments.decks`.
    pub key: std::borrow::Cow<'static, str>,
    /// What is wrong and what to do.
    pub message: String,
}

fn wrong(key: &'static str, message: impl Into<String>) -> SettingsError {
    SettingsError { key: key.into(), message: message.into() }
}

/// `payments`: charging for calls. Without the section nobody is charged.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where `roomtone payments` serves: `unix:FILE`, or a loopback address with `token_file`. With it `roomtone run` attaches that
    /// process and opens neither database nor wallet itself. Default: the module runs in the process of the calls.
    pub socket: Option<Address>,
    /// The file with the secret that both processes know; needed with a loopback address.
    pub token_file: Option<PathBuf>,
    /// `sqlite://FILE` or `postgres://USER@HOST/NAME`. Default: `payments.sqlite` in `data_dir`.
    pub database: Option<String>,
    /// The file that holds `database`, where it has a password.
    pub database_file: Option<PathBuf>,
    /// The name of this process on the database, its own for ever: calls that it had under way when it died are found by it.
    /// Default `roomtone`.
    pub node: String,
    /// Decks to be read at the start: each change of a file is another version. More can be imported while it runs
    /// (`roomtone payments decks import`).
    pub decks: Vec<DeckFile>,
    /// Which deck rooms pay by, and the trunks.
    pub tariffs: TariffsConfig,
    /// What a bitcoin is worth in other money, to be shown beside sat.
    pub rates: RatesConfig,
    /// Top-ups and refunds by Lightning. Without it there are none.
    pub lightning: Option<lightning::Config>,
    /// Settling with other operators on Stellar. Without it nobody is settled with.
    pub settlement: Option<SettlementConfig>,
    /// How many seconds of a call are reserved at a time. Default 120; a call of a desk that died holds back so much.
    pub reserve_seconds: u64,
    /// What plans cost a month.
    pub plans: PlanPrices,
    /// The fraud guard.
    pub guard: GuardRules,
    /// What a new room is given, so that it can be tried. Default nothing.
    #[serde(deserialize_with = "amount")]
    pub welcome: Msat,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            socket: None,
            token_file: None,
            database: None,
            database_file: None,
            node: "roomtone".into(),
            decks: Vec::new(),
            tariffs: TariffsConfig::default(),
            rates: RatesConfig::default(),
            lightning: None,
            settlement: None,
            reserve_seconds: 120,
            plans: PlanPrices::default(),
            guard: GuardRules::default(),
            welcome: Msat::ZERO,
        }
    }
}

/// A rate deck in a file (CSV).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeckFile {
    /// `customer_price` (default) or `trunk_cost`.
    #[serde(default = "price")]
    pub kind: DeckKind,
    /// Its name; of a cost deck that of the trunk.
    pub name: String,
    /// The file.
    pub file: PathBuf,
}

const fn price() -> DeckKind {
    DeckKind::CustomerPrice
}

/// What plans cost a month.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlanPrices {
    /// For pro. Default 10 000 sat.
    #[serde(deserialize_with = "amount")]
    pub pro: Msat,
    /// For team. Default 50 000 sat.
    #[serde(deserialize_with = "amount")]
    pub team: Msat,
}

impl Default for PlanPrices {
    fn default() -> Self {
        let sat = |sat| Msat::from_sat(sat).unwrap_or(Msat::MAX);
        Self { pro: sat(10_000), team: sat(50_000) }
    }
}

impl From<PlanPrices> for Prices {
    fn from(prices: PlanPrices) -> Self {
        Self { pro: prices.pro, team: prices.team }
    }
}

/// The fraud guard.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GuardRules {
    /// Prefixes that may be called; empty: all. The longest prefix here and in `denied` decides.
    pub allowed: Vec<Prefix>,
    /// Prefixes that may not.
    pub denied: Vec<Prefix>,
    /// Calls at once of one room. Default 5.
    pub concurrent: u32,
    /// Calls begun in a minute by one room. Default 20.
    pub per_minute: u32,
    /// What a room may spend in sixty minutes. Default: its balance.
    #[serde(deserialize_with = "maybe_amount")]
    pub hour: Option<Msat>,
    /// What it may spend in twenty-four hours. Default: its balance.
    #[serde(deserialize_with = "maybe_amount")]
    pub day: Option<Msat>,
}

impl Default for GuardRules {
    fn default() -> Self {
        let Rules { allowed, denied, concurrent, per_minute, hour, day } = Rules::default();
        Self { allowed, denied, concurrent, per_minute, hour, day }
    }
}

impl From<GuardRules> for Rules {
    fn from(rules: GuardRules) -> Self {
        let GuardRules { allowed, denied, concurrent, per_minute, hour, day } = rules;
        Self { allowed, denied, concurrent, per_minute, hour, day }
    }
}

impl Settings {
    /// Refuses what cannot be.
    ///
    /// # Errors
    /// [`SettingsError`] names the key.
    pub fn check(&self) -> Result<(), SettingsError> {
        if matches!(self.socket, Some(Address::Loopback(_))) && self.token_file.is_none() {
            return Err(wrong(
                "payments.token_file",
                "is not set; on a port anybody on this machine could ask, so both sides need a secret: name its file",
            ));
        }
        if self.database.is_some() && self.database_file.is_some() {
            return Err(wrong("payments.database_file", "is set beside payments.database; keep one of them"));
        }
        if let Some(url) = &self.database
            && !["sqlite:", "postgres:", "postgresql:"].iter().any(|scheme| url.starts_with(scheme))
        {
            return Err(wrong("payments.database", "must start with sqlite:// or postgres://"));
        }
        if self.node.trim().is_empty() {
            return Err(wrong("payments.node", "is empty; give this process a name of its own"));
        }
        self.quota().map_err(|error| wrong("payments.reserve_seconds", error.to_string()))?;
        self.tariffs.check().map_err(|error| SettingsError { key: error.key.into(), message: error.wrong })?;
        self.rates
            .check()
            .map_err(|error| SettingsError { key: "payments.rates".into(), message: error.to_string() })?;
        if let Some(lightning) = &self.lightning {
            lightning.check().map_err(|error| wrong("payments", error.to_string()))?;
        }
        if let Some(settlement) = &self.settlement {
            let checked = settlement.check(&self.tariffs);
            checked.map_err(|error| SettingsError { key: error.key.into(), message: error.wrong })?;
        }
        Ok(())
    }

    /// The address of the database.
    ///
    /// # Errors
    /// Where `database_file` cannot be read.
    pub fn database_url(&self, data_dir: &Path) -> Result<String, SettingsError> {
        match (&self.database, &self.database_file) {
            (Some(url), _) => Ok(url.clone()),
            (None, Some(path)) => std::fs::read_to_string(path)
                .map(|text| text.trim().to_owned())
                .map_err(|error| wrong("payments.database_file", format!("{}: {error}", path.display()))),
            (None, None) => Ok(format!("sqlite://{}", data_dir.join("payments.sqlite").display())),
        }
    }

    /// How much is reserved at a time.
    ///
    /// # Errors
    /// Where it would be refilled without pause, or a dead desk would hold too much.
    pub fn quota(&self) -> Result<Quota, crate::charge::QuotaError> {
        let time = Duration::from_secs(self.reserve_seconds);
        Quota::new(time, Quota::default().ahead(), Quota::default().ringing())
    }
}

/// A whole number of sat, or words with a unit.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Sat(u64),
    Words(String),
}

impl Written {
    fn read<E: serde::de::Error>(self) -> Result<Msat, E> {
        match self {
            Self::Sat(sat) => {
                Msat::from_sat(sat).ok_or_else(|| E::custom(format!("{sat} sat are more than there will be")))
            }
            Self::Words(words) => words.parse().map_err(E::custom),
        }
    }
}

pub(crate) fn amount<'de, D: Deserializer<'de>>(from: D) -> Result<Msat, D::Error> {
    Written::deserialize(from)?.read()
}

fn maybe_amount<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Msat>, D::Error> {
    Option::<Written>::deserialize(from)?.map(Written::read).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(json: serde_json::Value) -> Result<Settings, String> {
        let settings: Settings = serde_json::from_value(json).map_err(|error| error.to_string())?;
        settings.check().map(|()| settings).map_err(|error| error.to_string())
    }

    fn deck() -> serde_json::Value {
        serde_json::json!([{ "name": "retail", "file": "prices.csv" }])
    }

    #[test]
    fn amounts_are_written_as_people_write_them() {
        let read = settings(serde_json::json!({
            "decks": deck(), "welcome": 500, "plans": { "pro": "0.0001 btc" }, "guard": { "hour": "20 000 sat" },
        }));
        let read = read.unwrap();
        assert_eq!((read.welcome, read.plans.pro), (Msat::from_sat(500).unwrap(), Msat::from_sat(10_000).unwrap()));
        assert_eq!((read.guard.hour, read.guard.day), (Msat::from_sat(20_000), None));
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_key() {
        for (json, words) in [
            (serde_json::json!({ "decks": deck(), "socket": "127.0.0.1:9081" }), "payments.token_file: is not set"),
            (serde_json::json!({ "decks": deck(), "socket": "0.0.0.0:9081" }), "can be reached from other machines"),
            (serde_json::json!({ "decks": deck(), "database": "mysql://x" }), "payments.database: must start with"),
            (serde_json::json!({ "decks": deck(), "reserve_seconds": 60 }), "payments.reserve_seconds: a quota of 60s"),
            (serde_json::json!({ "tariffs": { "trunks": [{ "name": "" }] } }), "payments.tariffs.trunks[0].name: is"),
            (
                serde_json::json!({ "rates": { "sources": [{ "type": "fixed", "name": "a", "price": "1" }] } }),
                "payments.rates",
            ),
            (serde_json::json!({ "decks": deck(), "welcome": -5 }), "did not match"),
            (serde_json::json!({ "decks": deck(), "welcome": "five" }), "is no unit of money"),
            (serde_json::json!({ "decks": deck(), "colour": 1 }), "unknown field `colour`"),
        ] {
            let error = settings(json).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}

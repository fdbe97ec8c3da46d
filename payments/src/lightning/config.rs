//! What an operator writes down of Lightning, and what of it is refused before any money moves.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::{Chain, PayoutRules, TopUpRules};
use crate::Msat;

/// The section `payments.lightning` of the configuration. Amounts are a number of sat, or words with a unit.
///
/// ```
/// let text = r#"{
///     "chain": "bitcoin",
///     "node": { "backend": "lnd", "url": "https://127.0.0.1:8080",
///               "certificate_file": "/etc/roomtone/lnd.cert", "macaroon_file": "/etc/roomtone/lnd.macaroon" },
///     "payouts": { "approval_from": 100000 }
/// }"#;
/// let config: payments::lightning::Config = serde_json::from_str(text).unwrap();
/// config.check().unwrap();
/// ```
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which chain. Invoices of another are not paid.
    pub chain: Chain,
    /// The node.
    pub node: Backend,
    /// What may be topped up.
    #[serde(default)]
    pub top_ups: TopUpConfig,
    /// What may be paid out.
    #[serde(default)]
    pub payouts: PayoutConfig,
    /// What may be missing in the node before payouts are stopped.
    #[serde(default, deserialize_with = "crate::attach::config::amount")]
    pub tolerance: Msat,
}

/// Which node.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "backend", rename_all = "lowercase")]
pub enum Backend {
    /// The embedded one.
    Ldk(LdkConfig),
    /// The operator's LND, by REST.
    Lnd(LndConfig),
}

/// The embedded node.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LdkConfig {
    /// Where it keeps its state. Never put an older copy back: the channels' money is lost by that.
    pub folder: PathBuf,
    /// 64 random bytes, its owner's alone: all of the node's money.
    pub seed_file: PathBuf,
    /// Where it hears of the chain.
    pub source: ChainSource,
    /// Where other nodes reach it, `host:port`; nowhere, if there is none: then it connects to others only.
    #[serde(default)]
    pub listen: Vec<String>,
    /// What others see of its name.
    #[serde(default)]
    pub alias: Option<String>,
}

/// Where the embedded node hears of the chain.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum ChainSource {
    /// Bitcoin's node on this machine, by RPC alone or, where `rest` says so, by REST too.
    Bitcoind {
        /// Its host: this machine, or one at the other end of a tunnel to it. RPC is not encrypted.
        #[serde(default = "localhost")]
        host: String,
        /// Its RPC port.
        port: u16,
        /// Its RPC user.
        user: String,
        /// One line, its owner's alone.
        password_file: PathBuf,
        /// Whether to read blocks by REST (`rest=1`), which is faster.
        #[serde(default)]
        rest: bool,
    },
    /// An Esplora server.
    Esplora {
        /// `https://…`.
        url: String,
    },
    /// An Electrum server.
    Electrum {
        /// `ssl://host:port`.
        url: String,
    },
}

fn localhost() -> String {
    "127.0.0.1".to_owned()
}

/// The operator's LND.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LndConfig {
    /// Its REST address, `https://host:8080`.
    pub url: String,
    /// Its `tls.cert`: this certificate is trusted and no other, whatever authority has signed it.
    #[serde(default)]
    pub certificate_file: Option<PathBuf>,
    /// A macaroon with `info:read invoices:read invoices:write offchain:read onchain:read`, its owner's alone.
    pub macaroon_file: PathBuf,
    /// A macaroon with `uri:/routerrpc.Router/SendPaymentV2 uri:/routerrpc.Router/TrackPaymentV2`, its owner's alone. Without
    /// one nothing is paid out.
    #[serde(default)]
    pub payout_macaroon_file: Option<PathBuf>,
}

/// What may be topped up; see [`TopUpRules`].
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TopUpConfig {
    /// The least at a time.
    #[serde(deserialize_with = "crate::attach::config::amount")]
    pub least: Msat,
    /// The most at a time.
    #[serde(deserialize_with = "crate::attach::config::amount")]
    pub most: Msat,
    /// How long an invoice can be paid, in seconds.
    pub expiry: u32,
    /// Invoices of an account that wait for their payer, at most.
    pub open: u32,
}

impl Default for TopUpConfig {
    fn default() -> Self {
        let TopUpRules { least, most, expiry, open } = TopUpRules::default();
        Self { least, most, expiry: u32::try_from(expiry.as_secs()).unwrap_or(u32::MAX), open }
    }
}

impl TopUpConfig {
    /// As rules.
    #[must_use]
    pub const fn rules(&self) -> TopUpRules {
        let Self { least, most, expiry, open } = *self;
        TopUpRules { least, most, expiry: Duration::from_secs(expiry as u64), open }
    }
}

/// What may be paid out; see [`PayoutRules`].
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PayoutConfig {
    /// The most at a time.
    #[serde(deserialize_with = "crate::attach::config::amount")]
    pub most: Msat,
    /// The most of an account in 24 hours.
    #[serde(deserialize_with = "crate::attach::config::amount")]
    pub daily_of_account: Msat,
    /// The most of all together in 24 hours.
    #[serde(deserialize_with = "crate::attach::config::amount")]
    pub daily: Msat,
    /// From this amount on somebody has to approve it.
    #[serde(deserialize_with = "crate::attach::config::amount")]
    pub approval_from: Msat,
    /// The most that the way may cost, in millionths of the amount.
    pub fee_ppm: u32,
    /// And this besides.
    #[serde(deserialize_with = "crate::attach::config::amount")]
    pub fee_base: Msat,
}

impl Default for PayoutConfig {
    fn default() -> Self {
        let PayoutRules { most, daily_of_account, daily, approval_from, fee_ppm, fee_base } = PayoutRules::default();
        Self { most, daily_of_account, daily, approval_from, fee_ppm, fee_base }
    }
}

impl PayoutConfig {
    /// As rules.
    #[must_use]
    pub const fn rules(&self) -> PayoutRules {
        let Self { most, daily_of_account, daily, approval_from, fee_ppm, fee_base } = *self;
        PayoutRules { most, daily_of_account, daily, approval_from, fee_ppm, fee_base }
    }
}

/// What is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Anybody on the way could read and change it.
    #[error("{key}: {shown} is not encrypted and leaves this machine; use {instead}")]
    Plain {
        /// The configuration's key.
        key: &'static str,
        /// Scheme and host, without what may be secret.
        shown: String,
        /// What to use.
        instead: &'static str,
    },
    /// No address.
    #[error("{key} is no address; it is {instead}")]
    NoUrl {
        /// The configuration's key.
        key: &'static str,
        /// What to use.
        instead: &'static str,
    },
    /// An encrypted connection to nobody in particular.
    #[error("{0} is missing: the node's own certificate is what is trusted")]
    NoCertificate(&'static str),
    /// A limit that lets nothing through, or another less than it is meant to hold.
    #[error("{key}: {why}")]
    Limit {
        /// The configuration's key.
        key: &'static str,
        /// What is wrong.
        why: &'static str,
    },
}

impl Config {
    /// Looks for what would put money at risk.
    ///
    /// # Errors
    /// [`ConfigError`] names the key and what to do.
    pub fn check(&self) -> Result<(), ConfigError> {
        match &self.node {
            Backend::Ldk(ldk) => ldk.source.check()?,
            Backend::Lnd(lnd) => lnd.check()?,
        }
        let TopUpConfig { least, most, expiry, .. } = self.top_ups;
        if least.is_zero() || least > most {
            return Err(ConfigError::Limit {
                key: "lightning.top_ups.least",
                why: "it is nothing, or more than the most",
            });
        }
        if !(60..=86_400).contains(&expiry) {
            return Err(ConfigError::Limit { key: "lightning.top_ups.expiry", why: "it is 60 to 86400 seconds" });
        }
        if self.payouts.fee_ppm > 100_000 {
            return Err(ConfigError::Limit { key: "lightning.payouts.fee_ppm", why: "it is 100000 (10 %) at most" });
        }
        Ok(())
    }
}

impl LndConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let (key, instead) = ("lightning.node.url", "https://… with lightning.node.certificate_file");
        let url = address(key, &self.url, &["https"], &["http"], instead)?;
        if url.scheme() == "https" && self.certificate_file.is_none() {
            return Err(ConfigError::NoCertificate("lightning.node.certificate_file"));
        }
        Ok(())
    }
}

impl ChainSource {
    fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::Bitcoind { host, .. } if !is_here(host) => Err(ConfigError::Plain {
                key: "lightning.node.source.host",
                shown: host.chars().take(100).collect(),
                instead: "bitcoind on this machine, or a tunnel to it",
            }),
            Self::Bitcoind { .. } => Ok(()),
            Self::Esplora { url } => {
                address("lightning.node.source.url", url, &["https"], &["http"], "https://…").map(drop)
            }
            Self::Electrum { url } => {
                address("lightning.node.source.url", url, &["ssl"], &["tcp"], "ssl://host:port").map(drop)
            }
        }
    }
}

/// An address of these schemes, or, on this machine, of those that are not encrypted.
fn address(
    key: &'static str,
    url: &str,
    good: &[&str],
    plain: &[&str],
    instead: &'static str,
) -> Result<reqwest::Url, ConfigError> {
    let no_url = ConfigError::NoUrl { key, instead };
    let parsed = reqwest::Url::parse(url).map_err(|_| no_url.clone())?;
    let host = parsed.host_str().unwrap_or_default();
    if host.is_empty() {
        return Err(no_url);
    }
    match parsed.scheme() {
        scheme if good.contains(&scheme) => Ok(parsed),
        scheme if plain.contains(&scheme) && is_here(host) => Ok(parsed),
        scheme if plain.contains(&scheme) => {
            Err(ConfigError::Plain { key, shown: format!("{scheme}://{host}"), instead })
        }
        _ => Err(no_url),
    }
}

fn is_here(host: &str) -> bool {
    matches!(host, "127.0.0.1" | "[::1]" | "::1" | "localhost")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(node: &serde_json::Value) -> Result<(), String> {
        let config: Config =
            serde_json::from_value(json!({ "chain": "regtest", "node": node })).map_err(|error| error.to_string())?;
        config.check().map_err(|error| error.to_string())
    }

    fn lnd(url: &str, has_certificate: bool) -> Result<(), String> {
        let mut node = json!({ "backend": "lnd", "url": url, "macaroon_file": "/m" });
        if has_certificate {
            node["certificate_file"] = json!("/c");
        }
        read(&node)
    }

    fn ldk(source: &serde_json::Value) -> Result<(), String> {
        read(&json!({ "backend": "ldk", "folder": "/f", "seed_file": "/s", "source": source }))
    }

    #[test]
    fn a_node_whose_door_stands_open_is_refused_with_the_keys_name() {
        // lntxbot and Eclair: 0.14 bitcoin by a node's interface that anybody could reach.
        for (url, has_certificate) in [("https://lnd.example.org:8080", true), ("https://127.0.0.1:8080", true)] {
            lnd(url, has_certificate).unwrap();
        }
        for here in ["http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080"] {
            lnd(here, false).unwrap();
        }
        for (url, has_certificate, key) in [
            ("http://lnd.example.org:8080", true, "lightning.node.url"),
            ("http://127.0.0.1.example.org", true, "lightning.node.url"),
            ("http://192.168.1.2:8080", true, "lightning.node.url"),
            ("https://lnd.example.org", false, "lightning.node.certificate_file"),
            ("ftp://lnd.example.org", true, "lightning.node.url"),
            ("lnd.example.org:8080", true, "lightning.node.url"),
            ("", true, "lightning.node.url"),
        ] {
            let error = lnd(url, has_certificate).unwrap_err();
            assert!(error.contains(key), "{url}: {error}");
        }
        let error = lnd("http://user:sesame@lnd.example.org/sesame?sesame", true).unwrap_err();
        assert!(!error.contains("sesame"), "{error}");
    }

    #[test]
    fn a_source_of_the_chain_that_others_could_bend_is_refused() {
        let bitcoind =
            |host: &str| json!({ "kind": "bitcoind", "host": host, "port": 8332, "user": "u", "password_file": "/p" });
        ldk(&bitcoind("127.0.0.1")).unwrap();
        ldk(&json!({ "kind": "bitcoind", "port": 8332, "user": "u", "password_file": "/p", "rest": true })).unwrap();
        ldk(&json!({ "kind": "esplora", "url": "https://esplora.example.org/api" })).unwrap();
        ldk(&json!({ "kind": "electrum", "url": "ssl://electrum.example.org:50002" })).unwrap();
        ldk(&json!({ "kind": "electrum", "url": "tcp://127.0.0.1:50001" })).unwrap();
        for (source, key) in [
            (bitcoind("bitcoin.example.org"), "lightning.node.source.host"),
            (json!({ "kind": "esplora", "url": "http://esplora.example.org" }), "lightning.node.source.url"),
            (json!({ "kind": "electrum", "url": "tcp://electrum.example.org:50001" }), "lightning.node.source.url"),
            (json!({ "kind": "electrum", "url": "electrum" }), "lightning.node.source.url"),
        ] {
            let error = ldk(&source).unwrap_err();
            assert!(error.contains(key), "{source}: {error}");
        }
    }

    #[test]
    fn a_password_in_the_configuration_and_a_key_that_is_not_known_are_refused() {
        for source in [
            json!({ "kind": "bitcoind", "port": 8332, "user": "u", "password": "sesame" }),
            json!({ "kind": "bitcoind", "port": 8332, "user": "u", "password_file": "/p", "password": "sesame" }),
        ] {
            assert!(ldk(&source).is_err(), "{source}");
        }
        let seed = json!({ "backend": "ldk", "folder": "/f", "seed": "sesame", "source": { "kind": "esplora", "url": "https://e.org" } });
        assert!(read(&seed).is_err());
    }

    #[test]
    fn limits_that_hold_nothing_are_refused() {
        let with = |more: serde_json::Value| {
            let node = json!({ "backend": "lnd", "url": "http://127.0.0.1:1", "macaroon_file": "/m" });
            let mut config = json!({ "chain": "regtest", "node": node });
            config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            serde_json::from_value::<Config>(config).unwrap().check()
        };
        with(json!({ "top_ups": { "least": 1000, "expiry": 600 }, "payouts": { "fee_ppm": 5000 } })).unwrap();
        for wrong in [
            json!({ "top_ups": { "least": 0 } }),
            json!({ "top_ups": { "most": 1 } }),
            json!({ "top_ups": { "expiry": 5 } }),
            json!({ "payouts": { "fee_ppm": 100_001 } }),
        ] {
            assert!(matches!(with(wrong.clone()), Err(ConfigError::Limit { .. })), "{wrong}");
        }
    }
}

//! What an operator writes under `payments.settlement`.
//!
//! ```yaml
//! network: testnet
//! rpc: https://soroban-testnet.stellar.org
//! key_file: /etc/roomtone/stellar.key
//! partners:
//!   - name: ada
//!     account: GA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJVSGZ
//!     asset: USDC:GBBD47IF6LWK7P7MDEVSCWR7DPUWV3NY3DTQEVFL4NAT4AQH3ZLLFLA5
//!     per_bitcoin: "68000"
//!     secret_file: /etc/roomtone/ada.secret
//!     trunk: ada
//!     from: [203.0.113.7]
//!     price: ada-pays
//!     since: 2026-12-01
//! ```

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use jiff::civil::Date;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::calls::Between;
use super::{Partner, PayWhen};
use crate::cdr::Carrier;
use crate::ledger::AccountId;
use crate::stellar::payer::Policy;
use crate::stellar::rpc::RpcClient;
use crate::stellar::{Address, Asset, FeeRate, Network, Rate, Stroops};
use crate::tariff::TariffsConfig;
use crate::{Msat, UnixMillis};

/// The section's name, before the keys in errors.
const SECTION: &str = "payments.settlement";
const DAY: Duration = Duration::from_secs(24 * 3600);
/// The longest window.
const MOST_DAYS: u64 = 31;

/// A value that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} {wrong}")]
pub struct SettlementConfigError {
    /// As in the file: `payments.settlement.partners[1].asset`.
    pub key: String,
    /// What is wrong and what is expected.
    pub wrong: String,
}

/// The section: operators with whom we settle. Without it nobody is settled with.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettlementConfig {
    /// `public` (real money), `testnet`, or another network's passphrase.
    pub network: String,
    /// A Stellar RPC server: `https://…`, or `http://` on this machine. Its word on closed ledgers is believed. May hold a key; it
    /// is never shown.
    pub rpc: SecretString,
    /// The file with our secret key (`S…`), mode 0600: it signs statements and payments.
    pub key_file: PathBuf,
    /// Our account (`G…`), where it is to be made sure that the key is its.
    #[serde(default)]
    pub account: Option<String>,
    /// What the network may be paid.
    #[serde(default)]
    pub fees: FeesConfig,
    /// With whom.
    pub partners: Vec<PartnerConfig>,
}

/// What the network may be paid for a payment.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FeesConfig {
    /// The most for a payment, in stroops (ten-millionths of a lumen). Default 1 000 000, a tenth of a lumen.
    pub most_stroops: u32,
    /// Seconds without an outcome after which more is offered. Default 40.
    pub more_after_s: u64,
}

impl Default for FeesConfig {
    fn default() -> Self {
        let Policy { dearest, bump_after, .. } = Policy::default();
        Self { most_stroops: dearest.get(), more_after_s: bump_after.as_secs() }
    }
}

/// An operator with whom we settle. Both write the same `asset`, `per_bitcoin`, `window_days`, `since` and secret.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartnerConfig {
    /// What we call them, in commands.
    pub name: String,
    /// Their account (`G…`): its key signs their statements, and it is paid.
    pub account: String,
    /// In what is paid: `native`, or `CODE:ISSUER`.
    pub asset: String,
    /// What a bitcoin is worth in it, as agreed: a decimal in quotes.
    pub per_bitcoin: String,
    /// The file with the secret that only the two have: 64 hexadecimal digits, mode 0600. Calls are named by it.
    pub secret_file: PathBuf,
    /// The trunk (of `payments.tariffs.trunks`) over which they carry calls for us, at its cost deck.
    #[serde(default)]
    pub trunk: Option<String>,
    /// The addresses of their machines that hand us calls.
    #[serde(default)]
    pub from: Vec<IpAddr>,
    /// The price deck by which they pay for those. Needed with `from`.
    #[serde(default)]
    pub price: Option<String>,
    /// The first day (UTC) that is settled, as in 2026-12-01.
    pub since: Date,
    /// Days in a window. Default 7.
    #[serde(default = "seven")]
    pub window_days: u64,
    /// Whether what we owe is paid by itself. Default `by_hand`.
    #[serde(default)]
    pub pay: Paying,
    /// `automatic` pays at once above this. Default 10 000 sat.
    #[serde(default = "ten_thousand_sat", deserialize_with = "crate::attach::config::amount")]
    pub threshold: Msat,
    /// `automatic` pays whatever is owed after so many days. Default 30.
    #[serde(default = "thirty")]
    pub pay_after_days: u64,
}

const fn seven() -> u64 {
    7
}

const fn thirty() -> u64 {
    30
}

fn ten_thousand_sat() -> Msat {
    Msat::from_sat(10_000).unwrap_or(Msat::MAX)
}

/// Whether payments begin by themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Paying {
    /// By `threshold` and `pay_after_days`.
    Automatic,
    /// When people say so (`settlement pay`), or out of a wallet of theirs.
    #[default]
    ByHand,
}

/// The section, looked through: what was words is what they stand for.
#[derive(Debug, Clone)]
pub struct Agreed {
    /// Which network.
    pub network: Network,
    /// Its server.
    pub rpc: SecretString,
    /// Where our key is.
    pub key_file: PathBuf,
    /// Whose it has to be.
    pub account: Option<Address>,
    /// How payments are made.
    pub policy: Policy,
    /// With whom.
    pub partners: Vec<AgreedPartner>,
}

/// A partner, looked through.
#[derive(Debug, Clone)]
pub struct AgreedPartner {
    /// What we call them.
    pub name: String,
    /// As the clerk takes it.
    pub partner: Partner,
    /// By what their calls are found.
    pub between: Between,
    /// Where the shared secret is.
    pub secret_file: PathBuf,
    /// When the first window begins.
    pub since: UnixMillis,
    /// How long windows are.
    pub window: Duration,
}

fn wrong(key: &str, wrong: impl Into<String>) -> SettlementConfigError {
    SettlementConfigError { key: format!("{SECTION}.{key}"), wrong: wrong.into() }
}

/// Words as what they stand for.
fn read<T>(key: &str, words: &str) -> Result<T, SettlementConfigError>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    words.parse().map_err(|error: T::Err| wrong(key, format!("is not understood: {error}")))
}

impl SettlementConfig {
    /// Looks at all that stands here. `tariffs`: where trunks are named. Opens no file and asks nobody.
    ///
    /// # Errors
    /// [`SettlementConfigError`] with the key.
    pub fn check(&self, tariffs: &TariffsConfig) -> Result<Agreed, SettlementConfigError> {
        let network = match self.network.as_str() {
            "public" => Network::new(Network::PUBLIC),
            "testnet" => Network::new(Network::TESTNET),
            "" => return Err(wrong("network", "is empty; it is public, testnet, or a network's passphrase")),
            passphrase => Network::new(passphrase),
        };
        RpcClient::new(self.rpc.expose_secret()).map_err(|error| wrong("rpc", format!("cannot be: {error}")))?;
        let account = self.account.as_deref().map(|words| read("account", words)).transpose()?;
        if self.partners.is_empty() {
            return Err(wrong("partners", "is empty; name one, or leave out the section"));
        }
        let mut agreed = Vec::with_capacity(self.partners.len());
        let mut seen = Seen { accounts: account.into_iter().collect(), ..Seen::default() };
        for (place, partner) in self.partners.iter().enumerate() {
            agreed.push(partner.check(&format!("partners[{place}]"), tariffs, &mut seen)?);
        }
        let (rpc, key_file) = (self.rpc.clone(), self.key_file.clone());
        Ok(Agreed { network, rpc, key_file, account, policy: self.fees.check()?, partners: agreed })
    }
}

impl FeesConfig {
    fn check(self) -> Result<Policy, SettlementConfigError> {
        let least = FeeRate::LEAST.get();
        let dearest = FeeRate::new(self.most_stroops).filter(|most| most.get() >= least);
        let dearest = dearest.ok_or_else(|| {
            wrong("fees.most_stroops", format!("is {}; the network takes {least} at least", self.most_stroops))
        })?;
        if !(10..=120).contains(&self.more_after_s) {
            return Err(wrong("fees.more_after_s", format!("is {}; it has to be 10 to 120", self.more_after_s)));
        }
        let bump_after = Duration::from_secs(self.more_after_s);
        Ok(Policy { dearest, bump_after, ..Policy::default() })
    }
}

/// What partners before have taken.
#[derive(Default)]
struct Seen {
    names: HashSet<String>,
    accounts: HashSet<Address>,
    trunks: HashSet<String>,
    machines: HashSet<IpAddr>,
}

impl PartnerConfig {
    fn check(
        &self,
        key: &str,
        tariffs: &TariffsConfig,
        seen: &mut Seen,
    ) -> Result<AgreedPartner, SettlementConfigError> {
        let at = |what: &str| format!("{key}.{what}");
        if self.name.is_empty() || self.name.contains(char::is_whitespace) || !seen.names.insert(self.name.clone()) {
            return Err(wrong(&at("name"), format!("is {:?}; each partner has one word of its own", self.name)));
        }
        let account: Address = read(&at("account"), &self.account)?;
        if !seen.accounts.insert(account) {
            return Err(wrong(&at("account"), "is ours, or another partner's too; each has its own"));
        }
        let asset: Asset = read(&at("asset"), &self.asset)?;
        let per_bitcoin: Stroops = read(&at("per_bitcoin"), &self.per_bitcoin)?;
        let rate = Rate::per_btc(per_bitcoin.get());
        let rate =
            rate.ok_or_else(|| wrong(&at("per_bitcoin"), "is nothing; say what a bitcoin is worth in the asset"))?;
        let between = self.between(key, tariffs, seen)?;
        if !(1..=MOST_DAYS).contains(&self.window_days) {
            let is = format!("is {}; it has to be 1 to {MOST_DAYS}", self.window_days);
            return Err(wrong(&at("window_days"), is));
        }
        if !(1..=366).contains(&self.pay_after_days) {
            let is = format!("is {}; it has to be 1 to 366", self.pay_after_days);
            return Err(wrong(&at("pay_after_days"), is));
        }
        let days = |days: u64| DAY.saturating_mul(u32::try_from(days).unwrap_or(u32::MAX));
        let when = PayWhen { above: self.threshold, after: days(self.pay_after_days) };
        let carried = carried(self.trunk.as_deref(), account);
        let when = (self.pay == Paying::Automatic).then_some(when);
        Ok(AgreedPartner {
            name: self.name.clone(),
            partner: Partner { key: account, asset, rate, when, carried },
            between,
            secret_file: self.secret_file.clone(),
            since: self.since(&at("since"))?,
            window: days(self.window_days),
        })
    }

    fn between(&self, key: &str, tariffs: &TariffsConfig, seen: &mut Seen) -> Result<Between, SettlementConfigError> {
        let at = |what: &str| format!("{key}.{what}");
        if self.trunk.is_none() && self.from.is_empty() {
            return Err(wrong(
                &at("trunk"),
                "is missing, and so is from: by one of them the partner's calls are found",
            ));
        }
        if let Some(trunk) = &self.trunk {
            if !tariffs.trunks.iter().any(|known| known.name == *trunk) {
                return Err(wrong(&at("trunk"), format!("is {trunk:?}; there is none under payments.tariffs.trunks")));
            }
            // What is owed to a trunk stands in one account, which is cleared by what is agreed with one partner.
            if !seen.trunks.insert(trunk.clone()) {
                return Err(wrong(&at("trunk"), format!("is {trunk:?}, another partner's; a trunk has one partner")));
            }
        }
        for machine in &self.from {
            if !seen.machines.insert(machine.to_canonical()) {
                return Err(wrong(&at("from"), format!("has {machine} twice, or another partner has it")));
            }
        }
        if self.from.is_empty() != self.price.is_none() {
            let both = "and from belong together: the deck by which these machines' calls are paid for";
            return Err(wrong(&at("price"), both));
        }
        if self.price.as_deref() == Some("") {
            return Err(wrong(&at("price"), "is empty; name a price deck"));
        }
        let from = self.from.iter().map(IpAddr::to_canonical).collect();
        Ok(Between { trunk: self.trunk.clone(), from, price: self.price.clone() })
    }

    fn since(&self, key: &str) -> Result<UnixMillis, SettlementConfigError> {
        let begins = self.since.to_zoned(jiff::tz::TimeZone::UTC).ok();
        let ms = begins.and_then(|begins| u64::try_from(begins.timestamp().as_millisecond()).ok());
        ms.map(UnixMillis).ok_or_else(|| wrong(key, format!("is {}; it is a day from 1970 on", self.since)))
    }
}

/// Where what a partner has carried stands by our records: as calls over a trunk are booked ([`Carrier::account`]). Without a trunk
/// of theirs nothing ever does.
fn carried(trunk: Option<&str>, account: Address) -> AccountId {
    trunk.map_or_else(|| AccountId::named(&["carried", &account.to_string()]), Carrier::account_of)
}

#[cfg(test)]
mod tests;

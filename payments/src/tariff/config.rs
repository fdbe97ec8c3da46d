//! What an operator writes under `payments.tariffs`.
//!
//! ```yaml
//! price: retail                       # the price deck by which rooms pay
//! trunks:
//!   - {name: home, cost_deck: home-az, weight: 10, mos: 410}
//!   - {name: spare}                   # its cost deck is called as it is
//! ```

use std::collections::HashSet;
use std::time::Duration;

use serde::Deserialize;

use super::deck::DeckKind;
use super::routing::{Quality, Trunk, Wanted};
use super::store::{DeckError, DeckStore};
use crate::UnixMillis;
use crate::charge::Tariffs;

/// The section's name, before the keys in errors.
const SECTION: &str = "payments.tariffs";
/// The longest call at which costs may be compared.
const LONGEST_TYPICAL: u64 = 24 * 3600;

/// A value that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} {wrong}")]
pub struct TariffsError {
    /// As in the file: `payments.tariffs.trunks[1].mos`.
    pub key: String,
    /// What is wrong and what is expected.
    pub wrong: String,
}

/// The section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TariffsConfig {
    /// The name of the price deck by which rooms pay. Default `retail`.
    pub price: String,
    /// Over which calls to the phone network go. None: what they cost us is not looked at.
    pub trunks: Vec<TrunkConfig>,
    /// The length of a call, in seconds, at which trunks' costs are compared. Default 180.
    pub typical_s: u64,
    /// A trunk that is known to be worse in anything is left out.
    pub least: QualityConfig,
}

/// A trunk.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrunkConfig {
    /// Its name under `sip.trunks`.
    pub name: String,
    /// The name of the deck of what it takes from us. Default: the trunk's own.
    #[serde(default)]
    pub cost_deck: Option<String>,
    /// Of trunks that cost the same the heavier goes first. Default 0.
    #[serde(default)]
    pub weight: u32,
    /// Answered calls of a thousand (ASR).
    #[serde(default)]
    pub answered_per_mille: Option<u16>,
    /// Mean length of answered calls in seconds (ACD).
    #[serde(default)]
    pub mean_s: Option<u32>,
    /// Mean opinion score in hundredths, 100 to 500.
    #[serde(default)]
    pub mos: Option<u16>,
}

impl TrunkConfig {
    const fn quality(&self) -> QualityConfig {
        QualityConfig { answered_per_mille: self.answered_per_mille, mean_s: self.mean_s, mos: self.mos }
    }
}

/// What calls are like. What is not written is not known.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QualityConfig {
    /// Answered calls of a thousand (ASR).
    pub answered_per_mille: Option<u16>,
    /// Mean length of answered calls in seconds (ACD).
    pub mean_s: Option<u32>,
    /// Mean opinion score in hundredths, 100 to 500.
    pub mos: Option<u16>,
}

impl Default for TariffsConfig {
    fn default() -> Self {
        Self { price: "retail".to_owned(), trunks: Vec::new(), typical_s: 180, least: QualityConfig::default() }
    }
}

fn wrong(key: &str, wrong: impl Into<String>) -> TariffsError {
    TariffsError { key: format!("{SECTION}.{key}"), wrong: wrong.into() }
}

impl QualityConfig {
    fn check(self, key: &str) -> Result<Quality, TariffsError> {
        if let Some(asr) = self.answered_per_mille.filter(|asr| *asr > 1000) {
            return Err(wrong(&format!("{key}.answered_per_mille"), format!("is {asr}; it has to be 0 to 1000")));
        }
        if let Some(mos) = self.mos.filter(|mos| !(100..=500).contains(mos)) {
            return Err(wrong(&format!("{key}.mos"), format!("is {mos}; it has to be 100 to 500, hundredths of MOS")));
        }
        Ok(Quality { answered: self.answered_per_mille, mean_seconds: self.mean_s, mos: self.mos })
    }
}

impl TariffsConfig {
    /// Looks at all that stands here; gives trunks and how they are compared.
    ///
    /// # Errors
    /// [`TariffsError`] with the key.
    pub fn check(&self) -> Result<(Vec<Trunk>, Wanted), TariffsError> {
        if self.price.is_empty() {
            return Err(wrong("price", "is empty; give the name of a price deck"));
        }
        if self.typical_s == 0 || self.typical_s > LONGEST_TYPICAL {
            return Err(wrong("typical_s", format!("is {}; it has to be 1 to {LONGEST_TYPICAL}", self.typical_s)));
        }
        let mut names = HashSet::new();
        let mut trunks = Vec::with_capacity(self.trunks.len());
        for (n, trunk) in self.trunks.iter().enumerate() {
            let key = format!("trunks[{n}]");
            if trunk.name.is_empty() || !names.insert(&trunk.name) {
                let taken = format!("is {:?}; each trunk has a name of its own", trunk.name);
                return Err(wrong(&format!("{key}.name"), taken));
            }
            let deck = trunk.cost_deck.as_ref().unwrap_or(&trunk.name);
            if deck.is_empty() {
                return Err(wrong(&format!("{key}.cost_deck"), "is empty; leave it out, or name a cost deck"));
            }
            let (name, deck) = (trunk.name.as_str().into(), deck.as_str().into());
            trunks.push(Trunk { name, deck, weight: trunk.weight, quality: trunk.quality().check(&key)? });
        }
        let wanted = Wanted { typical: Duration::from_secs(self.typical_s), least: self.least.check("least")? };
        Ok((trunks, wanted))
    }

    /// What calls cost from now on: this configuration with the decks in the database. Load it again, and give it to
    /// [`crate::charge::Prepaid::set_tariffs`], whenever a deck was imported.
    ///
    /// # Errors
    /// [`LoadError`]. That a deck is not there is none: it may be imported later, and until then calls are declined; see
    /// [`Tariffs::missing`].
    pub async fn load(&self, decks: &DeckStore, now: UnixMillis) -> Result<Tariffs, LoadError> {
        let (trunks, wanted) = self.check()?;
        Ok(Tariffs { decks: decks.load(now).await?, price: self.price.clone(), trunks, wanted })
    }
}

/// Why it is not known what calls cost.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] TariffsError),
    /// The decks.
    #[error(transparent)]
    Deck(#[from] DeckError),
}

impl Tariffs {
    /// Decks that the configuration names and that are not in force: without the first no call is set up, without another its
    /// trunk carries none.
    #[must_use]
    pub fn missing(&self, at: UnixMillis) -> Vec<super::NoRate> {
        let price = (DeckKind::CustomerPrice, self.price.as_str());
        let costs = self.trunks.iter().map(|trunk| (DeckKind::TrunkCost, &*trunk.deck));
        let named = std::iter::once(price).chain(costs);
        named.filter_map(|(kind, name)| self.decks.in_force(kind, name, at).err()).collect()
    }

    /// What rooms pay for calls to a number or to all that begin so, at most `most` longer prefixes.
    ///
    /// # Errors
    /// [`super::NoRate::NoDeck`].
    pub fn rates(&self, wanted: super::Prefix, at: UnixMillis, most: usize) -> Result<super::Listing, super::NoRate> {
        super::listing(&self.decks, DeckKind::CustomerPrice, &self.price, wanted, at, most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str) -> Result<(Vec<Trunk>, Wanted), String> {
        let config: TariffsConfig = serde_json::from_str(json).map_err(|error| error.to_string())?;
        config.check().map_err(|error| error.to_string())
    }

    #[test]
    fn trunks_are_read_with_their_decks_weights_and_quality() {
        let (trunks, wanted) = check(
            r#"{"trunks":[{"name":"home","cost_deck":"home-az","weight":10,"mos":410,"answered_per_mille":600},{"name":"spare"}],
                "typical_s":60,"least":{"mean_s":30}}"#,
        )
        .unwrap();
        let home = Quality { answered: Some(600), mean_seconds: None, mos: Some(410) };
        assert_eq!(trunks[0], Trunk { name: "home".into(), deck: "home-az".into(), weight: 10, quality: home });
        let spare = Trunk { name: "spare".into(), deck: "spare".into(), weight: 0, quality: Quality::default() };
        assert_eq!(trunks[1], spare);
        assert_eq!((wanted.typical, wanted.least.mean_seconds), (Duration::from_secs(60), Some(30)));
        assert_eq!(check("{}").unwrap(), (vec![], Wanted::default()));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_key() {
        for (json, told) in [
            (r#"{"price":""}"#, "payments.tariffs.price is empty"),
            (r#"{"typical_s":0}"#, "payments.tariffs.typical_s is 0"),
            (r#"{"trunks":[{"name":"a"},{"name":"a"}]}"#, r#"payments.tariffs.trunks[1].name is "a""#),
            (r#"{"trunks":[{"name":""}]}"#, "payments.tariffs.trunks[0].name"),
            (r#"{"trunks":[{"name":"a","cost_deck":""}]}"#, "payments.tariffs.trunks[0].cost_deck"),
            (r#"{"trunks":[{"name":"a","mos":41}]}"#, "payments.tariffs.trunks[0].mos is 41"),
            (r#"{"trunks":[{"name":"a","answered_per_mille":1001}]}"#, "payments.tariffs.trunks[0].answered_per_mille"),
            (r#"{"least":{"mos":501}}"#, "payments.tariffs.least.mos is 501"),
            (r#"{"least":{"mos":-1}}"#, "expected u16"),
            (r#"{"prize":"retail"}"#, "unknown field `prize`"),
            (r#"{"trunks":[{"name":"a","wait":3}]}"#, "unknown field `wait`"),
            (r#"{"trunks":[{"weight":3}]}"#, "missing field `name`"),
        ] {
            let error = check(json).unwrap_err();
            assert!(error.contains(told), "{json}: {error}");
        }
    }
}

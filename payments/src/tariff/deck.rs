//! Rate decks and their versions.
//!
//! A deck has a name and versions. A version is imported whole, begins at a moment, and is never changed; the version in force is
//! the one that began last. Trunks have decks of what they cost us, customers of what they pay. A call asks once, before it is
//! set up, and keeps the [`Rate`] that it got: whatever is imported or begins later does not re-price it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::number::{Number, Prefix};
use super::price::Price;
use super::table::{Line, Table, TwoLines};
use crate::UnixMillis;

/// Whose money a deck counts. The number is stored: never change one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum DeckKind {
    /// What a trunk takes from us.
    TrunkCost = 1,
    /// What we take from customers.
    CustomerPrice = 2,
}

impl DeckKind {
    /// As it is stored.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// From what is stored.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::TrunkCost, Self::CustomerPrice].into_iter().find(|kind| kind.number() == number)
    }
}

impl fmt::Display for DeckKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TrunkCost => "cost deck",
            Self::CustomerPrice => "price deck",
        })
    }
}

/// A version of a deck: `price deck "retail", version 3`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DeckId {
    /// Costs or prices.
    pub kind: DeckKind,
    /// Its name.
    pub name: Arc<str>,
    /// 1 for the first that was imported under this name.
    pub version: u32,
}

impl fmt::Display for DeckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}, version {}", self.kind, self.name, self.version)
    }
}

/// A version of a deck, ready for lookups.
#[derive(Debug)]
pub struct Deck {
    id: DeckId,
    valid_from: UnixMillis,
    table: Table,
}

/// What a call goes by as long as it lasts: kept with the call, not asked for again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// From which version of which deck.
    pub deck: DeckId,
    /// The longest prefix of the number there.
    pub prefix: Prefix,
    /// What the call costs by its length.
    pub price: Price,
}

impl Deck {
    /// Makes a version ready.
    ///
    /// # Errors
    /// [`TwoLines`] where a prefix has two lines that begin at once.
    pub fn new(id: DeckId, valid_from: UnixMillis, lines: Vec<Line>) -> Result<Self, TwoLines> {
        Ok(Self { id, valid_from, table: Table::new(lines)? })
    }

    /// Which it is.
    #[must_use]
    pub const fn id(&self) -> &DeckId {
        &self.id
    }

    /// From when on it is in force, unless another begins later.
    #[must_use]
    pub const fn valid_from(&self) -> UnixMillis {
        self.valid_from
    }

    /// Its lines and lookups.
    #[must_use]
    pub const fn table(&self) -> &Table {
        &self.table
    }

    /// The rate for a number at a time.
    #[must_use]
    pub fn rate(&self, number: Number, at: UnixMillis) -> Option<Rate> {
        let line = self.table.find(number, at)?;
        Some(Rate { deck: self.id.clone(), prefix: line.prefix, price: line.price })
    }
}

/// Why a number has no rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoRate {
    /// Nothing was imported under this name, or nothing that is in force yet.
    #[error("no {kind} {name:?} is in force; import one, or wait for its valid_from")]
    NoDeck {
        /// Costs or prices.
        kind: DeckKind,
        /// As asked for.
        name: String,
    },
    /// The deck has no prefix for the number.
    #[error("{deck} has no line for {number}")]
    NoPrefix {
        /// The version that was in force.
        deck: DeckId,
        /// The number.
        number: Number,
    },
}

/// All decks with all versions that may still be asked for.
#[derive(Debug, Clone, Default)]
pub struct Decks {
    /// By name; the versions by their beginning, then by their number.
    by_name: HashMap<(DeckKind, Arc<str>), Vec<Arc<Deck>>>,
}

impl Decks {
    /// Takes in a version; one with the same number is replaced.
    pub fn add(&mut self, deck: Arc<Deck>) {
        let versions = self.by_name.entry((deck.id.kind, Arc::clone(&deck.id.name))).or_default();
        versions.retain(|other| other.id.version != deck.id.version);
        versions.push(deck);
        versions.sort_by_key(|deck| (deck.valid_from, deck.id.version));
    }

    /// The version in force: it began last; of two that began at once the one that was imported later.
    ///
    /// # Errors
    /// [`NoRate::NoDeck`].
    pub fn in_force(&self, kind: DeckKind, name: &str, at: UnixMillis) -> Result<&Arc<Deck>, NoRate> {
        let versions = self.by_name.get(&(kind, Arc::from(name))).map_or(&[][..], Vec::as_slice);
        let in_force = versions.iter().rev().find(|deck| deck.valid_from <= at);
        in_force.ok_or_else(|| NoRate::NoDeck { kind, name: name.to_owned() })
    }

    /// The rate for a number by the version in force.
    ///
    /// # Errors
    /// [`NoRate`]: no deck, or no prefix in it. An older version is not looked into: what it sold may be sold no more.
    pub fn rate(&self, kind: DeckKind, name: &str, number: Number, at: UnixMillis) -> Result<Rate, NoRate> {
        let deck = self.in_force(kind, name, at)?;
        deck.rate(number, at).ok_or_else(|| NoRate::NoPrefix { deck: deck.id.clone(), number })
    }

    /// Which versions are known, in order.
    #[must_use]
    pub fn known(&self) -> Vec<&DeckId> {
        let mut known: Vec<_> = self.by_name.values().flatten().map(|deck| &deck.id).collect();
        known.sort();
        known
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Msat;
    use crate::tariff::{Increments, Terms};

    const KIND: DeckKind = DeckKind::CustomerPrice;

    fn deck(version: u32, valid_from: u64, rates: &[(&str, u64)]) -> Arc<Deck> {
        let lines = rates.iter().map(|(prefix, rate)| {
            let price = Price::new(Terms::per_minute(Msat::new(*rate).unwrap(), Increments::MINUTES)).unwrap();
            let prefix = prefix.parse().unwrap();
            Line { prefix, destination: "".into(), price, valid_from: None, valid_until: None }
        });
        let id = DeckId { kind: KIND, name: "retail".into(), version };
        Arc::new(Deck::new(id, UnixMillis(valid_from), lines.collect()).unwrap())
    }

    fn rate(decks: &Decks, at: u64) -> Result<(u32, u64), NoRate> {
        let rate = decks.rate(KIND, "retail", "442071838750".parse().unwrap(), UnixMillis(at))?;
        Ok((rate.deck.version, rate.price.terms().per_minute.msat()))
    }

    #[test]
    fn the_version_that_began_last_is_in_force() {
        let mut decks = Decks::default();
        decks.add(deck(1, 100, &[("44", 10)]));
        decks.add(deck(3, 200, &[("44", 30)]));
        decks.add(deck(2, 200, &[("44", 20)]));
        decks.add(deck(4, 150, &[("1", 40)]));
        assert!(matches!(rate(&decks, 99), Err(NoRate::NoDeck { .. })));
        assert_eq!(rate(&decks, 100), Ok((1, 10)));
        assert!(
            matches!(rate(&decks, 150), Err(NoRate::NoPrefix { deck, .. }) if deck.version == 4),
            "a deck is whole"
        );
        assert_eq!(rate(&decks, 200), Ok((3, 30)));
        assert!(matches!(decks.in_force(DeckKind::TrunkCost, "retail", UnixMillis(200)), Err(NoRate::NoDeck { .. })));
    }

    #[test]
    fn a_new_version_does_not_reprice_a_call_under_way() {
        let mut decks = Decks::default();
        decks.add(deck(1, 0, &[("44", 600)]));
        let number = "442071838750".parse().unwrap();
        let call = decks.rate(KIND, "retail", number, UnixMillis(1_000)).unwrap();
        let minute = Duration::from_secs(60);
        let mut charged = call.price.due(minute, Msat::ZERO);
        decks.add(deck(2, 1_500, &[("44", 6_000_000)]));
        let later = decks.rate(KIND, "retail", number, UnixMillis(2_000)).unwrap();
        charged = charged.checked_add(call.price.due(2 * minute, charged)).unwrap();
        assert_eq!((charged.msat(), call.deck.version), (1_200, 1));
        assert_eq!(later.deck.version, 2);
        let stored = serde_json::to_string(&call).unwrap();
        assert_eq!(serde_json::from_str::<Rate>(&stored).unwrap(), call, "also when it was stored in between");
    }

    #[test]
    fn what_is_missing_is_named_without_the_whole_number() {
        let mut decks = Decks::default();
        decks.add(deck(1, 0, &[("1", 1)]));
        let error = rate(&decks, 0).unwrap_err().to_string();
        assert_eq!(error, r#"price deck "retail", version 1 has no line for +44…50"#);
    }
}

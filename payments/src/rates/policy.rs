//! Which price is believed, of several that sources say. A pure function: who asks brings the samples, the price before and the time.

use std::time::Duration;

use super::price::BitcoinPrice;
use super::source::SourceError;
use crate::UnixMillis;

/// A source's clock may be so much ahead of ours.
const CLOCKS_APART: Duration = Duration::from_secs(60);
/// What a price may move in is counted by days begun.
const DAY_MS: u64 = 24 * 3600 * 1000;

/// What it takes to believe a price. Limits in ten-thousandths (basis points).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// So many sources must agree, at least one.
    pub min_sources: usize,
    /// A price is not older, neither a source's nor the one that is used.
    pub max_age: Duration,
    /// A source further from the median is left out.
    pub max_deviation: u64,
    /// A median further from the one before is refused: so much for each day since then that has begun.
    pub max_jump: u64,
}

impl Default for Policy {
    /// Two sources within 2 % of their median, not older than 15 minutes, and not 25 % from one day to the next.
    fn default() -> Self {
        Self { min_sources: 2, max_age: Duration::from_secs(900), max_deviation: 200, max_jump: 2_500 }
    }
}

/// What one source said when it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Who.
    pub source: String,
    /// The price and since when it holds, or why there is none.
    pub what: Result<(BitcoinPrice, UnixMillis), SourceError>,
}

/// A price that was believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Believed {
    /// The median of those that agree.
    pub price: BitcoinPrice,
    /// Since when the oldest of them holds.
    pub as_of: UnixMillis,
    /// Who agrees.
    pub sources: Vec<String>,
}

/// Why there is no price. Each names what was seen and what may be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not enough sources say anything that counts.
    #[error("{fresh} of {needed} sources that are needed have a price{}", listed(.why))]
    TooFew {
        /// How many have one.
        fresh: usize,
        /// How many must.
        needed: usize,
        /// What is wrong with the others.
        why: Vec<String>,
    },
    /// They differ.
    #[error("{agree} of {needed} sources that are needed agree within {limit} basis points of {median}{}", listed(.why))]
    Apart {
        /// How many are near the median.
        agree: usize,
        /// How many must be.
        needed: usize,
        /// The limit.
        limit: u64,
        /// The median of all.
        median: BitcoinPrice,
        /// What each says.
        why: Vec<String>,
    },
    /// All say something that is far from what was believed before.
    #[error(
        "{now} is {by} basis points from {before}, and {limit} are the most since then; if it is right, raise max_jump_bp or \
         confirm the price"
    )]
    Jump {
        /// What was believed.
        before: BitcoinPrice,
        /// What is said now.
        now: BitcoinPrice,
        /// How far.
        by: u64,
        /// How far it may be.
        limit: u64,
    },
    /// What was believed is too old, and nothing newer was.
    #[error("the last price is {} s old, and {} s are the most{}", age.as_secs(), limit.as_secs(), because(.why.as_deref()))]
    Stale {
        /// How old.
        age: Duration,
        /// How old it may be.
        limit: Duration,
        /// Why nothing newer was believed.
        why: Option<Box<Self>>,
    },
    /// Nothing was ever believed.
    #[error("no price is known yet{}", because(.why.as_deref()))]
    Never {
        /// Why nothing was believed.
        why: Option<Box<Self>>,
    },
}

fn listed(why: &[String]) -> String {
    if why.is_empty() { String::new() } else { format!(": {}", why.join("; ")) }
}

fn because(why: Option<&Refused>) -> String {
    why.map_or_else(String::new, |why| format!("; {why}"))
}

/// Believes a price, or says why not. `before`: what was believed last, and when.
///
/// # Errors
/// [`Refused`].
pub fn believe(
    policy: &Policy,
    said: &[Said],
    before: Option<(BitcoinPrice, UnixMillis)>,
    now: UnixMillis,
) -> Result<Believed, Refused> {
    let needed = policy.min_sources.max(1);
    let (mut fresh, mut why) = (Vec::new(), Vec::new());
    for Said { source, what } in said {
        match what {
            Err(error) => why.push(format!("{source}: {error}")),
            Ok((_, as_of)) if *as_of > now.after(CLOCKS_APART) => {
                why.push(format!("{source}: its price is of {} s ahead of our clock", (as_of.0 - now.0) / 1000));
            }
            Ok((_, as_of)) if as_of.after(policy.max_age) < now => {
                why.push(format!("{source}: its price is {} s old", (now.0 - as_of.0) / 1000));
            }
            Ok((price, as_of)) => fresh.push((*price, *as_of, source)),
        }
    }
    if fresh.len() < needed {
        return Err(Refused::TooFew { fresh: fresh.len(), needed, why });
    }
    let all = median(fresh.iter().map(|(price, ..)| *price));
    let Some(all) = all else { return Err(Refused::TooFew { fresh: 0, needed, why }) };
    let near = |price: BitcoinPrice| all.deviation(price) <= policy.max_deviation;
    let agree: Vec<_> = fresh.iter().filter(|(price, ..)| near(*price)).collect();
    let (Some(price), true) = (median(agree.iter().map(|(price, ..)| *price)), agree.len() >= needed) else {
        why.extend(fresh.iter().map(|(price, _, source)| format!("{source} says {price}")));
        return Err(Refused::Apart { agree: agree.len(), needed, limit: policy.max_deviation, median: all, why });
    };
    if let Some((before, at)) = before {
        let days = now.0.saturating_sub(at.0) / DAY_MS + 1;
        let (by, limit) = (before.deviation(price), policy.max_jump.saturating_mul(days));
        if by > limit {
            return Err(Refused::Jump { before, now: price, by, limit });
        }
    }
    let as_of = agree.iter().map(|(_, as_of, _)| *as_of).min().unwrap_or(now);
    // One that is a little ahead is not newer than now.
    Ok(Believed { price, as_of: as_of.min(now), sources: agree.iter().map(|(.., source)| (*source).clone()).collect() })
}

/// The one in the middle; of an even number what is halfway between the two in the middle.
fn median(prices: impl Iterator<Item = BitcoinPrice>) -> Option<BitcoinPrice> {
    let mut prices: Vec<_> = prices.collect();
    prices.sort();
    let middle = prices.len() / 2;
    match prices.len() {
        0 => None,
        n if n % 2 == 1 => Some(prices[middle]),
        _ => prices[middle - 1].between(prices[middle]).ok(),
    }
}

#[cfg(test)]
mod tests;

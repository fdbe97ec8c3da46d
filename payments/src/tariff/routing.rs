//! Least-cost routing: over which trunk a call goes, and which to try next.
//!
//! A trunk can carry a call if its cost deck has the number, if the call can never cost more there than the customer pays (the
//! loss guard), and if its quality is not known to be too bad. Those that can are ordered by cost, then by weight, then by
//! quality. A pure function: who asks brings decks, trunks and the time.

use std::sync::Arc;
use std::time::Duration;

use super::deck::{DeckKind, Decks, NoRate, Rate};
use super::number::Number;
use super::price::{LONGEST_INCREMENT, Price};
use crate::{Msat, UnixMillis};

/// What calls over a trunk were like lately. `None`: not known, and then not held against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quality {
    /// Answered calls of a thousand (answer-seizure ratio, ASR).
    pub answered: Option<u16>,
    /// Mean length of answered calls in seconds (ACD). Short ones are a sign of bad sound.
    pub mean_seconds: Option<u32>,
    /// Mean opinion score in hundredths: 100 to 500 (ITU-T P.800).
    pub mos: Option<u16>,
}

/// A trunk as routing knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trunk {
    /// Its name.
    pub name: Arc<str>,
    /// The name of its cost deck.
    pub deck: Arc<str>,
    /// Of trunks that cost the same the heavier goes first.
    pub weight: u32,
    /// What calls were like.
    pub quality: Quality,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The length at which costs are compared: a cheap minute with a dear connect fee is dear for short calls.
    pub typical: Duration,
    /// The least quality: a trunk that is known to be below it in anything is left out.
    pub least: Quality,
}

impl Default for Wanted {
    /// Compared at three minutes, any quality.
    fn default() -> Self {
        Self { typical: Duration::from_secs(180), least: Quality::default() }
    }
}

/// A way for the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Over which trunk.
    pub trunk: Trunk,
    /// What it costs us; kept with the call.
    pub cost: Rate,
    /// What a call of the typical length costs us.
    pub typical: Msat,
}

/// Why a trunk does not carry the call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Its deck does not have the number.
    #[error("trunk {trunk:?}: {why}")]
    NoRate {
        /// The trunk.
        trunk: Arc<str>,
        /// What is missing.
        why: NoRate,
    },
    /// It would cost more than it brings.
    #[error("trunk {trunk:?} costs {cost} for a call of {seconds} s that brings {price}; correct one of the decks")]
    Loss {
        /// The trunk.
        trunk: Arc<str>,
        /// The shortest call that loses, in seconds; where only the minutes after many hours do, one of them.
        seconds: u64,
        /// What it costs us.
        cost: Msat,
        /// What the customer pays.
        price: Msat,
    },
    /// Known to be too bad.
    #[error("trunk {trunk:?} has {what} {is}, and {least} is the least that is wanted")]
    Quality {
        /// The trunk.
        trunk: Arc<str>,
        /// `an answer-seizure ratio (per mille) of`, and so on.
        what: &'static str,
        /// As it is.
        is: u32,
        /// As it should be.
        least: u32,
    },
}

/// Ways for a call, the first to be tried first, and why other trunks are none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Choice {
    /// Best first. Empty: the call cannot be carried.
    pub routes: Vec<Route>,
    /// In the order of the trunks.
    pub unfit: Vec<Unfit>,
}

/// Chooses among trunks for a number that is sold at this rate.
#[must_use]
pub fn choose(
    decks: &Decks,
    trunks: &[Trunk],
    number: Number,
    at: UnixMillis,
    sold: &Price,
    wanted: &Wanted,
) -> Choice {
    let mut choice = Choice::default();
    for trunk in trunks {
        match fit(decks, trunk, number, at, sold, wanted) {
            Ok(cost) => {
                let typical = cost.price.cost(wanted.typical);
                choice.routes.push(Route { trunk: trunk.clone(), cost, typical });
            }
            Err(unfit) => choice.unfit.push(unfit),
        }
    }
    // By name at last, so that the same question has the same answer.
    choice.routes.sort_by(|a, b| {
        let better =
            |r: &Route| (r.trunk.weight, r.trunk.quality.mos, r.trunk.quality.answered, r.trunk.quality.mean_seconds);
        a.typical.cmp(&b.typical).then(better(b).cmp(&better(a))).then(a.trunk.name.cmp(&b.trunk.name))
    });
    choice
}

fn fit(
    decks: &Decks,
    trunk: &Trunk,
    number: Number,
    at: UnixMillis,
    sold: &Price,
    wanted: &Wanted,
) -> Result<Rate, Unfit> {
    let name = || Arc::clone(&trunk.name);
    let (is, least) = (trunk.quality, wanted.least);
    for (what, is, least) in [
        ("an answer-seizure ratio per mille of", is.answered.map(u32::from), least.answered.map(u32::from)),
        ("a mean call length in seconds of", is.mean_seconds, least.mean_seconds),
        ("a mean opinion score in hundredths of", is.mos.map(u32::from), least.mos.map(u32::from)),
    ] {
        if let (Some(is), Some(least)) = (is, least)
            && is < least
        {
            return Err(Unfit::Quality { trunk: name(), what, is, least });
        }
    }
    let rate = decks.rate(DeckKind::TrunkCost, &trunk.deck, number, at);
    let rate = rate.map_err(|why| Unfit::NoRate { trunk: name(), why })?;
    match first_loss(&rate.price, sold) {
        None => Ok(rate),
        Some(length) => {
            let (cost, price) = (rate.price.cost(length), sold.cost(length));
            Err(Unfit::Loss { trunk: name(), seconds: length.as_secs(), cost, price })
        }
    }
}

/// The length of a call that costs more than it brings; `None`: there is none, however long calls are.
///
/// Behind first increments, graces and minimums both prices repeat themselves, on top of what a minute more costs, whenever
/// both next increments begin together. So it is enough to look at the seconds up to the end of the first such stretch, and
/// at the rates.
fn first_loss(cost: &Price, sold: &Price) -> Option<Duration> {
    let (c, s) = (cost.terms(), sold.terms());
    let same_steps = (c.increments, c.grace, c.minimum) == (s.increments, s.grace, s.minimum);
    let not_dearer = c.connect_fee <= s.connect_fee && c.per_minute <= s.per_minute;
    if same_steps && not_dearer {
        return None;
    }
    let [from, next] = [
        [c.increments.first(), c.grace, c.minimum, s.increments.first(), s.grace, s.minimum]
            .into_iter()
            .max()
            .unwrap_or(0),
        least_common(c.increments.next(), s.increments.next()),
    ];
    let loses = |length: &Duration| cost.sixtieths(*length) > sold.sixtieths(*length);
    let seconds = u64::from(from) + u64::from(next) + u64::from(c.increments.next().max(s.increments.next()));
    // A grace ends with its last moment, all else with the second.
    let moments = |second| {
        let end = Duration::from_secs(second);
        [end.saturating_sub(Duration::from_nanos(1)), end]
    };
    if let Some(length) = (0..=seconds).flat_map(moments).find(loses) {
        return Some(length);
    }
    let long = Duration::from_secs(super::price::LONGEST_SECONDS);
    (c.per_minute > s.per_minute).then_some(long)
}

/// The least common multiple; a day where it is longer: nobody sells such increments, and the rest of it would lose little.
fn least_common(a: u32, b: u32) -> u32 {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    (a / x.max(1)).saturating_mul(b).min(LONGEST_INCREMENT)
}

#[cfg(test)]
mod tests;

//! The fraud guard: where an account may call, how often, and for how much, looked at before any money is reserved.
//!
//! Stolen access is used for dear numbers, many calls at once and long ones, at night. So each account has prefixes that it may
//! call, a number of calls at once and of calls begun in a while, and sums for an hour and a day. The sums hold in the middle of
//! calls too: each call gets a limit ([`Admitted::limit`]) at which it is cut, and the limits of all that may run at once
//! are within the sum. Without clock and database; who restarts tells it what was charged in the last day ([`Guard::recall`]).

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::ledger::AccountId;
use crate::tariff::{Number, Prefix};
use crate::{Msat, UnixMillis};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What an account may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Where it may call; empty: anywhere. The longest prefix here and in `denied` decides.
    pub allowed: Vec<Prefix>,
    /// Where it may not.
    pub denied: Vec<Prefix>,
    /// Calls at once, at least one.
    pub concurrent: u32,
    /// Calls begun in a minute.
    pub per_minute: u32,
    /// What may be spent in sixty minutes; `None`: the balance.
    pub hour: Option<Msat>,
    /// What may be spent in twenty-four hours; `None`: the balance.
    pub day: Option<Msat>,
}

impl Default for Rules {
    /// Anywhere, five calls at once, twenty begun in a minute, as much as there is.
    fn default() -> Self {
        Self { allowed: Vec::new(), denied: Vec::new(), concurrent: 5, per_minute: 20, hour: None, day: None }
    }
}

/// Why a call is not let through. Nothing that was said of the account before has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Guarded {
    /// Numbers there are not called.
    #[error("calls to {number} are not allowed here")]
    Prefix {
        /// As dialled.
        number: Number,
    },
    /// Too many at once.
    #[error("{most} calls at once are the most")]
    Concurrent {
        /// How many may be.
        most: u32,
    },
    /// Too many in a minute.
    #[error("{most} calls begun in a minute are the most; wait a little")]
    PerMinute {
        /// How many may be.
        most: u32,
    },
    /// As much was spent as may be.
    #[error("{most} in {} h are the most that may be spent on calls", within.as_secs() / 3600)]
    Spent {
        /// How much may be.
        most: Msat,
        /// In how long.
        within: Duration,
    },
}

/// A call that was let through. Give it back with [`Guard::ended`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    /// Whose.
    pub account: AccountId,
    /// What it may cost at most; `None`: as much as there is.
    pub limit: Option<Msat>,
}

#[derive(Debug, Default)]
struct Recent {
    begun: VecDeque<UnixMillis>,
    /// The limits of the calls that are under way.
    open: Vec<Option<Msat>>,
    /// What calls cost that have ended, by the time of their end.
    spent: VecDeque<(UnixMillis, Msat)>,
}

/// All accounts' recent calls. See the module's text.
#[derive(Debug, Default)]
pub struct Guard {
    rules: Rules,
    recent: HashMap<AccountId, Recent>,
    /// When accounts without recent calls were last let go.
    tidied: UnixMillis,
}

impl Guard {
    /// By these rules.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { rules, recent: HashMap::new(), tidied: UnixMillis::default() }
    }

    /// Lets a call through, and counts it.
    ///
    /// # Errors
    /// [`Guarded`], looked at in the order of its variants.
    pub fn admit(&mut self, at: UnixMillis, account: AccountId, number: Number) -> Result<Admitted, Guarded> {
        if is_older(self.tidied, at, HOUR) {
            self.tidied = at;
            self.tidy(at);
        }
        let rules = &self.rules;
        if !rules.may_call(number) {
            return Err(Guarded::Prefix { number });
        }
        let recent = self.recent.entry(account).or_default();
        recent.forget(at);
        let most = rules.concurrent.max(1);
        let free = most.saturating_sub(u32::try_from(recent.open.len()).unwrap_or(u32::MAX));
        if free == 0 {
            return Err(Guarded::Concurrent { most });
        }
        if recent.begun.len() >= rules.per_minute as usize {
            return Err(Guarded::PerMinute { most: rules.per_minute });
        }
        let mut limit: Option<Msat> = None;
        for (most, within) in [(rules.hour, HOUR), (rules.day, DAY)] {
            let Some(most) = most else { continue };
            // What is left, evenly for all that may be begun beside this one.
            let share = most.msat().saturating_sub(recent.spent_within(at, within)) / u64::from(free);
            let share = Msat::new(share).filter(|share| !share.is_zero()).ok_or(Guarded::Spent { most, within })?;
            limit = Some(limit.map_or(share, |limit| limit.min(share)));
        }
        recent.begun.push_back(at);
        recent.open.push(limit);
        Ok(Admitted { account, limit })
    }

    /// A call that was let through has ended and cost so much.
    pub fn ended(&mut self, at: UnixMillis, call: Admitted, cost: Msat) {
        let recent = self.recent.entry(call.account).or_default();
        if let Some(place) = recent.open.iter().position(|limit| *limit == call.limit) {
            recent.open.swap_remove(place);
        }
        recent.spend(at, cost);
    }

    /// What was charged before the program began. In the order of time.
    pub fn recall(&mut self, at: UnixMillis, account: AccountId, cost: Msat) {
        self.recent.entry(account).or_default().spend(at, cost);
    }

    /// Lets go what is too old to count: accounts without recent calls cost no memory after it.
    fn tidy(&mut self, at: UnixMillis) {
        self.recent.retain(|_, recent| {
            recent.forget(at);
            !(recent.begun.is_empty() && recent.open.is_empty() && recent.spent.is_empty())
        });
    }
}

impl Rules {
    fn may_call(&self, number: Number) -> bool {
        let longest = |prefixes: &[Prefix]| {
            prefixes.iter().filter(|prefix| prefix.is_of(number)).map(|prefix| prefix.digits()).max()
        };
        match (longest(&self.allowed), longest(&self.denied)) {
            (allowed, Some(denied)) => allowed.is_some_and(|allowed| allowed > denied),
            (Some(_), None) => true,
            (None, None) => self.allowed.is_empty(),
        }
    }
}

/// Whether it was longer ago. What a clock that went back has put into the future counts.
fn is_older(then: UnixMillis, at: UnixMillis, age: Duration) -> bool {
    then.after(age) <= at
}

impl Recent {
    fn forget(&mut self, at: UnixMillis) {
        self.begun.retain(|begun| !is_older(*begun, at, Duration::from_secs(60)));
        self.spent.retain(|(spent, _)| !is_older(*spent, at, DAY));
    }

    fn spend(&mut self, at: UnixMillis, cost: Msat) {
        if !cost.is_zero() {
            self.spent.push_back((at, cost));
        }
    }

    /// In millisatoshi, the limits of open calls counted as spent.
    fn spent_within(&self, at: UnixMillis, within: Duration) -> u64 {
        let ended = self.spent.iter().filter(|(spent, _)| !is_older(*spent, at, within)).map(|(_, cost)| cost.msat());
        let open = self.open.iter().flatten().map(|limit| limit.msat());
        ended.chain(open).fold(0, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests;

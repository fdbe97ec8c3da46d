//! When what is to be done. Which timers run follows from the state.

use std::time::{Duration, Instant};

use super::{CreditSession, Ended, Ending, Length, Now, Output, Phase};

/// How often a call that cannot be extended asks again: somebody may have paid in.
const RETRY: Duration = Duration::from_secs(15);
/// What is left when the caller is warned.
const WARNINGS: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(30)];
/// How long after [`Output::Cut`] a call that nobody has ended counts as ended.
const HANG_UP: Duration = Duration::from_secs(60);

/// Which warnings were given.
pub(super) type Warned = [bool; WARNINGS.len()];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The ledger has not answered.
    Unanswered,
    /// More is to be reserved.
    Refill,
    /// Ask again for what was refused.
    Retry,
    /// Say that the end comes: at the first of [`WARNINGS`], at the second.
    Warn(usize),
    /// Hang up.
    Cut,
    /// It was cut, and nobody has said that it ended.
    HangUp,
}

impl CreditSession {
    /// A timer ran out.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some((timer, _)) = self.timers.iter().find(|(_, at)| **at <= now.mono).map(|(t, at)| (*t, *at)) {
            self.timers.remove(&timer);
            match timer {
                Timer::Unanswered => self.unanswered(now),
                Timer::Refill | Timer::Retry => self.update(now),
                Timer::Warn(which) => self.warn(now, which),
                Timer::Cut => self.cut(now),
                Timer::HangUp => {
                    let length = if self.answered.is_some() { Length::UntilNow } else { Length::Unanswered };
                    self.end(now, Ended { length, ending: Ending::lost() });
                }
            }
            self.set_timers(now);
        }
    }

    pub(super) fn warn(&mut self, now: Now, which: usize) {
        let Some(end) = self.end_of_grant() else { return };
        let left = end.saturating_duration_since(now.mono);
        for (warned, at) in self.warned.iter_mut().zip(WARNINGS) {
            *warned = *warned || left <= at;
        }
        self.warned[which] = true;
        if !left.is_zero() {
            self.output.push_back(Output::Warn(left));
        }
    }

    /// When what is reserved will be used up.
    pub(super) fn end_of_grant(&self) -> Option<Instant> {
        Some(self.answered?.0 + self.held?.until?)
    }

    /// Which timers run follows from the state.
    pub(super) fn set_timers(&mut self, now: Now) {
        self.timers.retain(|timer, _| *timer == Timer::Unanswered);
        if self.phase != Phase::Open {
            return;
        }
        if let Some(cut) = self.cut {
            self.timers.insert(Timer::HangUp, cut + HANG_UP);
            return;
        }
        if self.answered.is_none() && self.held.is_some() {
            self.timers.insert(Timer::Cut, self.began + self.quota.ringing);
        }
        let Some(end) = self.end_of_grant() else { return };
        self.timers.insert(Timer::Cut, end);
        let before = |time: Duration| end.checked_sub(time).unwrap_or(now.mono);
        if self.limited {
            for (which, left) in WARNINGS.into_iter().enumerate().filter(|(which, _)| !self.warned[*which]) {
                self.timers.insert(Timer::Warn(which), before(left));
            }
            if self.asked.is_none() {
                self.timers.insert(Timer::Retry, self.tried.map_or(now.mono, |tried| tried + RETRY));
            }
        } else if self.asked.is_none() {
            self.timers.insert(Timer::Refill, before(self.quota.ahead));
        }
    }
}

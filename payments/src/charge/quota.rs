//! How much is reserved at a time.

use std::time::Duration;

/// How much is reserved at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    pub(super) time: Duration,
    pub(super) ahead: Duration,
    pub(super) ringing: Duration,
}

/// The longest quota, and the longest that a phone may ring: an hour. A call of a dead desk holds that much.
const LONGEST: Duration = Duration::from_secs(3600);

/// Why a quota cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuotaError {
    /// It is used up before it could be refilled.
    #[error(
        "a quota of {time:?} that is refilled {ahead:?} before its end would be refilled without pause; make it longer"
    )]
    Short {
        /// The quota.
        time: Duration,
        /// When it is refilled.
        ahead: Duration,
    },
    /// A dead desk would hold too much.
    #[error("{0:?} is too long for a quota or for ringing; an hour is the most")]
    Long(Duration),
}

impl Quota {
    /// Reserves so much talking `time` at a time, and asks for more so long `ahead` of its end. To warn a minute before the end
    /// it must be known a minute before that there is no more: `ahead` is longer than a minute for that. A phone may ring for
    /// `ringing` on the first reservation, then it is cut.
    ///
    /// # Errors
    /// [`QuotaError`] where `time` is not longer than `ahead`, or one of them longer than an hour.
    pub fn new(time: Duration, ahead: Duration, ringing: Duration) -> Result<Self, QuotaError> {
        match time.max(ringing) {
            long if long > LONGEST => Err(QuotaError::Long(long)),
            _ if time <= ahead => Err(QuotaError::Short { time, ahead }),
            _ => Ok(Self { time, ahead, ringing }),
        }
    }

    /// How long before its end it is refilled.
    #[must_use]
    pub const fn ahead(&self) -> Duration {
        self.ahead
    }

    /// How long a phone may ring on it.
    #[must_use]
    pub const fn ringing(&self) -> Duration {
        self.ringing
    }
}

impl Default for Quota {
    /// Two minutes, refilled 75 s ahead (a minute, the ledger's ten seconds, and some); a phone rings for two minutes.
    fn default() -> Self {
        Self { time: Duration::from_secs(120), ahead: Duration::from_secs(75), ringing: Duration::from_secs(120) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_that_is_shorter_than_its_own_lead_is_refused() {
        let minute = Duration::from_secs(60);
        assert!(Quota::new(minute, minute, minute).is_err());
        assert!(Quota::new(minute + Duration::from_secs(1), minute, minute).is_ok());
        assert!(
            Quota::new(Duration::MAX, minute, minute).is_err()
                && Quota::new(2 * minute, minute, Duration::MAX).is_err()
        );
    }
}

//! Time as an input: cores never look at a clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch, as Matrix events carry them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// The system clock now. For the edge only: cores take [`Now`].
    #[must_use]
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// This moment and `duration`, saturating.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Time since `earlier`; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// One moment on both clocks: timers use `mono`, whatever is written into events uses `wall`.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Monotonic: for timers and media.
    pub mono: Instant,
    /// Wall clock: for what others read.
    pub wall: UnixMillis,
}

impl Now {
    /// Both clocks now. For the edge only.
    #[must_use]
    pub fn read() -> Self {
        Self { mono: Instant::now(), wall: UnixMillis::now() }
    }

    /// The same moment, `duration` later on both clocks (virtual time in tests).
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self { mono: self.mono + duration, wall: self.wall.plus(duration) }
    }
}

//! Time as it is stored.

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970 began, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// So much later.
    #[must_use]
    pub const fn after(self, duration: std::time::Duration) -> Self {
        let ms = duration.as_millis();
        Self(self.0.saturating_add(if ms > u64::MAX as u128 { u64::MAX } else { ms as u64 }))
    }
}

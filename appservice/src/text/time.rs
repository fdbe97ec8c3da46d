//! Times as the room reads them.

use std::time::Duration;

use bridge::time::UnixMillis;
use jiff::Timestamp;
use jiff::Zoned;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// A room's time zone.
#[derive(Debug, Clone)]
pub struct Zone(TimeZone);

impl Zone {
    /// The zone with this IANA name (`Europe/Berlin`); one that is not known is UTC.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self(TimeZone::get(name).unwrap_or(TimeZone::UTC))
    }

    pub(super) fn at(&self, at: UnixMillis) -> Zoned {
        let at = i64::try_from(at.0)
            .ok()
            .and_then(|ms| Timestamp::from_millisecond(ms).ok())
            .unwrap_or(Timestamp::UNIX_EPOCH);
        at.to_zoned(self.0.clone())
    }

    /// The day of a moment.
    #[must_use]
    pub fn day(&self, at: UnixMillis) -> Date {
        self.at(at).date()
    }

    /// Nine in the morning of a day; where the clocks skip that, the first moment after.
    #[must_use]
    pub fn at_nine(&self, day: Date) -> Option<UnixMillis> {
        let at = day.at(9, 0, 0, 0).to_zoned(self.0.clone()).ok()?;
        u64::try_from(at.timestamp().as_millisecond()).ok().map(UnixMillis)
    }

    /// `14:08`.
    #[must_use]
    pub fn clock(&self, at: UnixMillis) -> String {
        self.at(at).strftime("%H:%M").to_string()
    }

    /// `Friday 20 November, 14:08`.
    #[must_use]
    pub fn day_and_clock(&self, at: UnixMillis) -> String {
        self.at(at).strftime("%A %-d %B, %H:%M").to_string()
    }

    /// `14:08–14:31`.
    pub(super) fn span(&self, from: UnixMillis, to: UnixMillis) -> String {
        format!("{}–{}", self.clock(from), self.clock(to))
    }
}

/// `40 s`, `23 min`, `1 h 5 min`.
#[must_use]
pub fn duration(length: Duration) -> String {
    let seconds = length.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds) {
        (0, 0, s) => format!("{s} s"),
        (0, min, _) => format!("{min} min"),
        (h, 0, _) => format!("{h} h"),
        (h, min, _) => format!("{h} h {min} min"),
    }
}

//! Whether a failed request is made again, and when.

use std::time::Duration;

use super::{Limits, RemoteError};

/// The first wait where the server names none; it doubles.
const FIRST: Duration = Duration::from_millis(500);
/// A longer wait is not made: another way is found sooner.
const LONGEST: Duration = Duration::from_secs(30);

/// How long to wait before the next try; `None`: it is of no use or there is no time. `tried`: how often it was, `left`:
/// time until all must be over.
pub(super) fn wait(error: &RemoteError, tried: u32, limits: Limits, left: Duration) -> Option<Duration> {
    let mut asked = None;
    let helps = match error {
        RemoteError::Refused { status, retry_after, .. } => {
            asked = *retry_after;
            matches!(status, 408 | 425 | 429 | 502 | 503 | 504) || (*status == 500 && limits.again_after_500)
        }
        RemoteError::TimedOut { .. } | RemoteError::Broken { .. } => true,
        // Who refuses a connection does so again; a long answer stays long.
        RemoteError::Unreachable { .. }
        | RemoteError::BadConfig(_)
        | RemoteError::Unauthorised { .. }
        | RemoteError::TooLong { .. } => false,
    };
    if !helps || tried >= limits.tries {
        return None;
    }
    let wait = asked.unwrap_or_else(|| FIRST.saturating_mul(1 << tried.saturating_sub(1).min(10)));
    (wait <= LONGEST && wait < left).then_some(wait)
}

/// `Retry-After` in either of its forms (RFC 9110 10.2.3): seconds, or a date.
pub(super) fn retry_after(value: &str) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
    let wait = at.duration_since(jiff::Timestamp::now());
    Some(Duration::try_from(wait).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(tries: u32) -> Limits {
        Limits { each: LEFT, all: LEFT, tries, again_after_500: true, answer_bytes: 1 }
    }

    const LEFT: Duration = Duration::from_secs(60);

    fn refused(status: u16) -> RemoteError {
        RemoteError::Refused { host: "h".to_owned(), status, code: None, retry_after: None }
    }

    #[test]
    fn what_may_pass_is_tried_again_and_what_stays_is_not() {
        for status in [408, 429, 500, 502, 503, 504] {
            assert!(wait(&refused(status), 1, limits(3), LEFT).is_some(), "{status}");
        }
        for status in [301, 400, 404, 413, 422] {
            assert_eq!(wait(&refused(status), 1, limits(3), LEFT), None, "{status}");
        }
        let once = Limits { again_after_500: false, ..limits(3) };
        assert_eq!((wait(&refused(500), 1, once, LEFT), wait(&refused(503), 1, once, LEFT)), (None, Some(FIRST)));
        let unreachable = RemoteError::Unreachable { host: "h".to_owned(), what: "refused".to_owned() };
        assert_eq!(wait(&unreachable, 1, limits(3), LEFT), None);
    }

    #[test]
    fn waits_grow_and_end() {
        let waits: Vec<_> = (1..4).map(|tried| wait(&refused(503), tried, limits(4), LEFT).unwrap()).collect();
        assert!(waits.windows(2).all(|pair| pair[1] == pair[0] * 2), "{waits:?}");
        assert_eq!(wait(&refused(503), 4, limits(4), LEFT), None);
        assert_eq!(wait(&refused(503), 1, limits(4), Duration::from_millis(100)), None);
        assert!(wait(&refused(503), u32::MAX - 1, limits(u32::MAX), LEFT).is_none());
    }

    #[test]
    fn the_server_says_when_but_not_next_week() {
        let asked = |value| {
            let error =
                RemoteError::Refused { host: "h".to_owned(), status: 429, code: None, retry_after: retry_after(value) };
            wait(&error, 1, limits(3), LEFT)
        };
        assert_eq!(asked("7"), Some(Duration::from_secs(7)));
        assert_eq!(asked("86400"), None);
        assert_eq!(asked("soon"), Some(FIRST));
        assert_eq!(asked("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        let future = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(3600);
        let future = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&future).unwrap();
        assert_eq!(asked(&future), None);
    }
}

//! "Thursday, end of day" as a date: resolved against the moment at which it was said, the words kept.
//!
//! What lies behind is no date here ("last Friday", "two weeks ago"): notes look ahead. English, and the plainer ways of
//! German, French, Spanish and Italian ([`languages`]); other languages give none. A period ("next week", "December", "Q1") is its last working day, that is the day from which it is late, but for
//! "next week" and "next month", which people name as the beginning.

mod clock;
mod days;
mod languages;
mod lexicons;
mod reader;
mod tokens;

use jiff::civil::{DateTime, Time};
use jiff::{Timestamp, tz::TimeZone};

use super::Due;
use reader::Reader;

/// When something was said, in the room's zone: `at_ms` is Unix time in ms. An unknown zone is UTC, a time out of range the
/// epoch.
pub(super) fn moment(at_ms: i64, time_zone: &str) -> DateTime {
    let zone = TimeZone::get(time_zone).unwrap_or(TimeZone::UTC);
    Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(zone).datetime()
}

/// What a person means by a time expression ("Friday", "end of the month", "December 2nd at ten"): the first one in `text`,
/// resolved against `at_ms` (Unix time in ms) in `time_zone` (IANA name). `None` if there is none.
#[must_use]
pub fn resolve(text: &str, at_ms: i64, time_zone: &str) -> Option<Due> {
    let now = moment(at_ms, time_zone);
    let first = |text: &str| find(text, now).into_iter().next().map(|found| found.due);
    // "The second" alone counts nothing else when it is asked for as a date.
    first(text).or_else(|| first(&format!("by {text}"))).or_else(|| first(&format!("at {text}")))
}

/// Whether a word (lower case) is the name of a day or month, or a part of the day.
pub(super) fn is_calendar(word: &str) -> bool {
    days::DAYS.contains(&word)
        || days::MONTHS.contains(&word) && word != "may" && word != "march"
        || ["morning", "afternoon", "evening", "night", "noon", "weekend", "month", "quarter", "hour", "minute", "half"]
            .contains(&word)
}

/// Whether a word (lower case) names a day: by its name, by its month, or from today.
pub(super) fn is_day(word: &str) -> bool {
    days::DAYS.contains(&word)
        || days::MONTHS.contains(&word) && word != "may" && word != "march"
        || ["today", "tomorrow", "tonight", "yesterday"].contains(&word)
        || languages::is_weekday(word)
}

/// A time expression found in a text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    /// Where it stands, with a leading "by", "until" or "on".
    pub(super) range: std::ops::Range<usize>,
    /// As resolved; `said` is without the leading word.
    pub(super) due: Due,
    /// Only an hour was said; the day is the one on which it was said.
    pub(super) only_hour: bool,
}

/// All time expressions of a text said at `now` that lie ahead, from left to right.
pub(super) fn find(text: &str, now: DateTime) -> Vec<Found> {
    let tokens = tokens::tokens(text);
    let reader = Reader { tokens: &tokens, now };
    let mut out: Vec<Found> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let Some(read) = reader.expression(at).or_else(|| languages::read(&tokens, at, now)) else {
            at += 1;
            continue;
        };
        let (first, last) = (&tokens[read.said], &tokens[read.end - 1]);
        let lead = tokens[at].range.start;
        at = read.end;
        let Some(date) = read.date else { continue };
        let found = Found {
            range: lead..last.range.end,
            due: Due { said: text[first.range.start..last.range.end].to_owned(), date, time: read.time },
            only_hour: read.only_hour,
        };
        // "Wednesday, December 2nd at ten": one time, and the number counts more than the day's name.
        let joins = |last: &Found| {
            let between = text[last.range.end..found.range.start].trim_matches([',', ' ']);
            between.is_empty() && !(last.due.time.is_some() && found.due.time.is_some())
        };
        match out.last_mut().filter(|last| joins(last)) {
            Some(last) => {
                last.due.said = text[last.range.end - last.due.said.len()..found.range.end].to_owned();
                if !found.only_hour {
                    last.due.date = found.due.date;
                }
                last.due.time = found.due.time.or(last.due.time);
                last.range.end = found.range.end;
                last.only_hour &= found.only_hour;
            }
            None => out.push(found),
        }
    }
    out
}

/// Hours that are said without a day ("three thirty?", "eleven's fine", "say two"), where the talk is of an appointment; elsewhere such
/// words may count anything. Hours until or after which something is ("till three") are left out.
pub(super) fn hours(text: &str) -> Vec<(std::ops::Range<usize>, Time)> {
    const BOUNDS: &[&str] = &[
        "till", "until", "since", "before", "after", "from", "for", "to", "than", "that", "this", "the", "which",
        "another",
    ];
    let tokens = tokens::tokens(text);
    let reader = Reader { tokens: &tokens, now: DateTime::default() };
    let mut out = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let bound = at > 0 && BOUNDS.contains(&tokens[at - 1].word.as_str()) && !tokens[at - 1].pause;
        match reader.clock(at, true, None).filter(|_| !bound) {
            Some((time, end)) => {
                out.push((tokens[at].range.start..tokens[end - 1].range.end, time));
                at = end;
            }
            None => at += 1,
        }
    }
    out
}

#[cfg(test)]
mod tests;

//! Reads one time expression from words, by recursive descent: what may stand before it, and day and hour in any order. Days are
//! read in [`super::days`], hours in [`super::clock`].

use jiff::civil::{Date, DateTime, Time};
use jiff::{Span, ToSpan};

use super::clock::adjusted;
use super::tokens::{Token, number};

/// What was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Read {
    /// Where it begins behind "by", "on", "at", ….
    pub(super) said: usize,
    /// Behind its last word.
    pub(super) end: usize,
    /// The day; `None` where it lies behind.
    pub(super) date: Option<Date>,
    /// The hour, if one was said.
    pub(super) time: Option<Time>,
    /// No day was said.
    pub(super) only_hour: bool,
}

/// Words of a text and when they were said.
pub(super) struct Reader<'a> {
    pub(super) tokens: &'a [Token],
    pub(super) now: DateTime,
}

impl Reader<'_> {
    /// The expression that begins here, with its leading word.
    pub(super) fn expression(&self, from: usize) -> Option<Read> {
        if let Some(end) = self.past(from) {
            return Some(Read { said: from, end, date: None, time: None, only_hour: false });
        }
        let (said, lead) = self.lead(from);
        self.day_then_hour(said, lead).or_else(|| self.hour_then_day(said, lead))
    }

    pub(super) fn word(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| token.word.as_str())
    }

    pub(super) fn are(&self, at: usize, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(i, word)| self.word(at + i) == *word)
    }

    pub(super) fn is(&self, at: usize, words: &[&str]) -> bool {
        words.contains(&self.word(at))
    }

    pub(super) fn today(&self) -> Date {
        self.now.date()
    }

    pub(super) fn after(&self, span: Span) -> Option<Date> {
        self.today().checked_add(span).ok()
    }

    /// "Last Friday", "yesterday", "two weeks ago", "since Monday".
    fn past(&self, at: usize) -> Option<usize> {
        if self.is(at, &["yesterday"]) {
            return Some(at + 1);
        }
        let unit = |at: usize| {
            self.weekday(at).is_some()
                || self.month(at).is_some()
                || self.is(
                    at,
                    &["week", "month", "quarter", "year", "night", "time", "summer", "autumn", "winter", "spring"],
                )
        };
        if self.is(at, &["last", "past", "previous"]) && unit(at + 1) {
            return Some(at + 2);
        }
        if self.is(at, &["since"]) {
            let (_, end) = self.day(at + 1, true)?;
            return Some(end);
        }
        let skip = usize::from(self.is(at + 1, &["of"]));
        if self.is(at, &["few", "couple"])
            && self.is(at + 1 + skip, &["days", "weeks", "months"])
            && self.is(at + 2 + skip, &["ago"])
        {
            return Some(at + 3 + skip);
        }
        (number(self.word(at)).is_some()
            && self.is(
                at + 1,
                &["day", "days", "week", "weeks", "month", "months", "year", "years", "hour", "hours", "minutes"],
            )
            && self.is(at + 2, &["ago", "earlier"]))
        .then_some(at + 3)
    }

    /// Steps over "by", "on", "until the end of" and the like; whether there was one.
    pub(super) fn lead(&self, at: usize) -> (usize, bool) {
        for long in [
            ["no", "later", "than"].as_slice(),
            &["not", "later", "than"],
            &["due", "on"],
            &["due", "by"],
            &["up", "until"],
        ] {
            if self.are(at, long) {
                return (at + long.len(), true);
            }
        }
        let short = ["by", "until", "till", "before", "on", "for", "due", "at", "around", "from", "about"];
        if self.is(at, &short) { (at + 1, true) } else { (at, false) }
    }

    fn day_then_hour(&self, said: usize, lead: bool) -> Option<Read> {
        let before = if said > 0 { self.word(said - 1) } else { "" };
        let (date, mut end) = self.day(said, lead && before != "at" && before != "about")?;
        let mut part = self.part(end).map(|(part, next)| {
            end = next;
            part
        });
        let mut time = None;
        let has_at = self.is(end, &["at", "by", "around", "from", "about", "before"]);
        let hour_at =
            if has_at && self.is(end + 1, &["about", "around"]) { end + 2 } else { end + usize::from(has_at) };
        if let Some((hour, next)) = self.clock(hour_at, has_at || self.tokens[end - 1].pause, part) {
            (time, end) = (Some(hour), next);
            if let Some((behind, next)) = self.part(end).filter(|_| part.is_none()) {
                (part, end) = (Some(behind), next);
                time = time.map(|time| adjusted(time, part));
            }
        }
        Some(Read { said, end, date, time, only_hour: false })
    }

    /// "At ten on Wednesday", "noon tomorrow", "by 5 pm".
    fn hour_then_day(&self, said: usize, lead: bool) -> Option<Read> {
        let (mut time, mut end) = self.clock(said, lead, None)?;
        let certain = self.clock(said, false, None).is_some();
        if let Some((part, next)) = self.part(end) {
            (time, end) = (adjusted(time, Some(part)), next);
        }
        let (day_at, _) = self.lead(end);
        let touching = !self.tokens[end - 1].ends;
        if let Some((date, next)) = self.day(day_at, day_at > end).filter(|_| touching) {
            return Some(Read { said, end: next, date, time: Some(time), only_hour: false });
        }
        // Without a day it is today's, or tomorrow's where it has gone by.
        if !(certain && lead) {
            return None;
        }
        let date = if time >= self.now.time() { Some(self.today()) } else { self.after(1.day()) };
        Some(Read { said, end, date, time: Some(time), only_hour: true })
    }
}

//! Reads one time expression from words, by recursive descent.

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::{Span, ToSpan};

use super::tokens::{Token, number, ordinal};

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

#[derive(Debug, Clone, Copy, PartialEq)]
enum Part {
    Morning,
    Later,
    Whole,
}

pub(super) const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
pub(super) const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
/// What may stand behind "the second" where it is a day.
const BEHIND_A_DAY: &[&str] = &[
    "and", "if", "at", "is", "or", "then", "so", "but", "works", "would", "for", "because", "when", "in", "with", "by",
    "to", "we", "i", "you", "it", "please", "around", "he", "she", "they", "until", "before", "from", "instead", "as",
    "latest", "unless", "should", "will", "was", "that", "of",
];

impl Reader<'_> {
    /// The expression that begins here, with its leading word.
    pub(super) fn expression(&self, from: usize) -> Option<Read> {
        if let Some(end) = self.past(from) {
            return Some(Read { said: from, end, date: None, time: None, only_hour: false });
        }
        let (said, lead) = self.lead(from);
        self.day_then_hour(said, lead).or_else(|| self.hour_then_day(said, lead))
    }

    fn word(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| token.word.as_str())
    }

    fn are(&self, at: usize, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(i, word)| self.word(at + i) == *word)
    }

    fn is(&self, at: usize, words: &[&str]) -> bool {
        words.contains(&self.word(at))
    }

    fn today(&self) -> Date {
        self.now.date()
    }

    fn after(&self, span: Span) -> Option<Date> {
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
    fn lead(&self, at: usize) -> (usize, bool) {
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

    /// A day, and what is behind it. `Some((None, _))`: a date that there is not or that lies behind.
    fn day(&self, at: usize, lead: bool) -> Option<(Option<Date>, usize)> {
        let the = usize::from(self.is(at, &["the"]));
        self.near(at)
            .or_else(|| self.end_of(at + the))
            .or_else(|| self.counted(at))
            .or_else(|| self.weekday_expression(at + the))
            .or_else(|| self.period(at + the))
            .or_else(|| self.quarter(at + the))
            .or_else(|| self.month_and_day(at + the))
            .or_else(|| self.feast(at + the))
            .or_else(|| self.day_of_month(at + the, the == 1, lead))
            .or_else(|| self.month_alone(at, lead))
            .or_else(|| self.iso(at))
    }

    fn near(&self, at: usize) -> Option<(Option<Date>, usize)> {
        let the = usize::from(self.is(at, &["the"]));
        if self.are(at + the, &["day", "after", "tomorrow"]) {
            return Some((self.after(2.days()), at + the + 3));
        }
        if self.is(at, &["this"]) && self.is(at + 1, &["morning", "afternoon", "evening"]) {
            return Some((Some(self.today()), at + 2));
        }
        if self.are(at, &["later", "today"]) {
            return Some((Some(self.today()), at + 2));
        }
        // Said in the morning it is this one.
        let morning = if self.now.hour() < 10 { 0 } else { 1 };
        if self.are(at, &["first", "thing", "in", "the", "morning"]) {
            return Some((self.after(morning.days()), at + 5));
        }
        if self.are(at, &["in", "the", "morning"]) {
            return Some((self.after(morning.days()), at + 3));
        }
        if self.is(at, &["after", "before"]) && self.is(at + 1, &["lunch"]) {
            return Some((Some(self.today()), at + 2));
        }
        match self.word(at) {
            "today" | "tonight" => Some((Some(self.today()), at + 1)),
            "tomorrow" => Some((self.after(1.day()), at + 1)),
            _ => None,
        }
    }

    /// "End of day", "end of next week", "close of business on Friday".
    fn end_of(&self, at: usize) -> Option<(Option<Date>, usize)> {
        let (unit, end) = match self.word(at) {
            "eod" | "cob" => ("day", at + 1),
            "eow" => ("week", at + 1),
            "eom" => ("month", at + 1),
            "eoy" => ("year", at + 1),
            "close" if self.are(at + 1, &["of", "business"]) => ("day", at + 3),
            "end" if self.is(at + 1, &["of"]) => {
                let mut next = at + 2;
                let mut following = false;
                while self.is(next, &["the", "this", "next", "business", "working", "my", "your", "our", "coming"]) {
                    following |= self.word(next) == "next";
                    next += 1;
                }
                if let Some((date, end)) = self.quarter(next) {
                    return Some((date, end));
                }
                if self.month(next).is_some() {
                    return self.month_alone(next, true);
                }
                let unit = self.word(next);
                let unit = match (unit, following) {
                    ("week", true) => "next week",
                    ("month", true) => "next month",
                    ("quarter", true) => "next quarter",
                    ("year", true) => "next year",
                    ("day" | "week" | "month" | "quarter" | "year", _) => unit,
                    _ => return None,
                };
                (unit, next + 1)
            }
            _ => return None,
        };
        if unit == "day" {
            let (day_at, _) = self.lead(end);
            let day =
                self.near(day_at).or_else(|| self.weekday_expression(day_at)).filter(|_| !self.tokens[end - 1].ends);
            return Some(day.unwrap_or((Some(self.today()), end)));
        }
        Some((self.last_of(unit), end))
    }

    fn last_of(&self, unit: &str) -> Option<Date> {
        let today = self.today();
        let month_end =
            |ahead: i64| Some(today.first_of_month().checked_add(Span::new().months(ahead)).ok()?.last_of_month());
        let quarter_end = |ahead: i64| month_end(i64::from(2 - (today.month() - 1) % 3) + 3 * ahead);
        match unit {
            "week" => self.weekday_of_week(0, Weekday::Friday),
            "next week" => self.weekday_of_week(1, Weekday::Friday),
            "month" => month_end(0),
            "next month" => month_end(1),
            "quarter" => quarter_end(0),
            "next quarter" => quarter_end(1),
            "year" => Date::new(today.year(), 12, 31).ok(),
            "next year" => Date::new(today.year() + 1, 12, 31).ok(),
            _ => None,
        }
    }

    /// "In two weeks", "a week from Monday", "within the next three days", "ten days from now".
    fn counted(&self, at: usize) -> Option<(Option<Date>, usize)> {
        let mut next = at;
        let lead = self.is(next, &["in", "within"]);
        next += usize::from(lead);
        while lead && self.is(next, &["the", "next", "about", "around"]) {
            next += 1;
        }
        if self.are(next, &["a", "fortnight"]) || self.is(next, &["fortnight"]) && lead {
            let end = next + 1 + usize::from(self.is(next, &["a"]));
            return lead.then(|| (self.after(14.days()), end));
        }
        let couple = self.are(next, &["a", "couple", "of"]) || self.are(next, &["a", "couple"]);
        let count = if couple { 2 } else { number(self.word(next))? };
        next += if couple { 2 + usize::from(self.is(next + 2, &["of"])) } else { 1 };
        let working = self.is(next, &["business", "working"]);
        next += usize::from(working);
        let unit = self.word(next).trim_end_matches('\'').trim_end_matches('s').to_owned();
        if !["day", "week", "month", "year", "hour", "minute"].contains(&unit.as_str()) {
            return None;
        }
        next += 1;
        next += usize::from(lead && self.is(next, &["time"]));
        let mut from = self.today();
        let mut anchored = false;
        if self.is(next, &["from", "after", "on"]) {
            if self.is(next + 1, &["now"]) {
                (anchored, next) = (true, next + 2);
            } else if let Some((Some(date), end)) = self.near(next + 1).or_else(|| self.weekday_expression(next + 1)) {
                (from, anchored, next) = (date, true, end);
            }
        }
        if !(lead || anchored) {
            return None;
        }
        let date = match unit.as_str() {
            "day" if working => working_days(from, count),
            "day" => from.checked_add(Span::new().days(count)).ok(),
            "week" => from.checked_add(Span::new().weeks(count)).ok(),
            "month" => from.checked_add(Span::new().months(count)).ok(),
            "year" => from.checked_add(Span::new().years(count)).ok(),
            "hour" => self.now.checked_add(Span::new().hours(count)).ok().map(DateTime::date),
            _ => self.now.checked_add(Span::new().minutes(count)).ok().map(DateTime::date),
        };
        Some((date, next))
    }

    fn weekday(&self, at: usize) -> Option<Weekday> {
        let word = self.word(at);
        let offset = DAYS.iter().position(|day| *day == word)?;
        Weekday::from_monday_zero_offset(offset as i8).ok()
    }

    /// "Thursday", "next Friday", "Monday week", "Friday in two weeks".
    fn weekday_expression(&self, at: usize) -> Option<(Option<Date>, usize)> {
        let which = if self.is(at, &["this", "next", "coming", "following"]) { self.word(at) } else { "" };
        let day_at = at + usize::from(!which.is_empty());
        let day = self.weekday(day_at)?;
        let end = day_at + 1;
        let coming = self.today().nth_weekday(1, day).ok();
        let weeks = |count: i64| coming?.checked_add(Span::new().weeks(count)).ok();
        if self.are(end, &["after", "next"]) {
            return Some((self.weekday_of_week(2, day).or(weeks(1)), end + 2));
        }
        if self.are(end, &["next", "week"]) {
            return Some((self.weekday_of_week(1, day), end + 2));
        }
        if self.are(end, &["this", "week"]) {
            return Some((self.weekday_of_week(0, day), end + 2));
        }
        if self.are(end, &["in", "a", "week"]) {
            return Some((weeks(1), end + 3));
        }
        if self.is(end, &["in"])
            && self.is(end + 2, &["weeks"])
            && let Some(count) = number(self.word(end + 1))
        {
            return Some((weeks(count), end + 3));
        }
        // "Monday week" is British for the Monday after the coming one.
        if self.is(end, &["week"]) && !self.tokens[day_at].pause && which.is_empty() {
            return Some((weeks(1), end + 1));
        }
        let date = match which {
            // "Next Friday" said on a Monday is that of the next week.
            "next" | "following" => self.weekday_of_week(1, day),
            "this" if self.today().weekday() == day => Some(self.today()),
            _ => coming,
        };
        Some((date, end))
    }

    fn weekday_of_week(&self, weeks_ahead: i64, day: Weekday) -> Option<Date> {
        let today = self.today();
        let monday = today.checked_sub(Span::new().days(i64::from(today.weekday().to_monday_zero_offset()))).ok()?;
        let ahead = weeks_ahead * 7 + i64::from(day.to_monday_zero_offset());
        let date = monday.checked_add(Span::new().days(ahead)).ok()?;
        // "This week" said on a Saturday can only mean the coming one.
        if date < today { date.checked_add(Span::new().weeks(1)).ok() } else { Some(date) }
    }

    /// "Next week", "this month", "later this week".
    fn period(&self, at: usize) -> Option<(Option<Date>, usize)> {
        let early = self.is(at, &["early"]);
        let at = at + usize::from(self.is(at, &["early", "late", "later"]));
        let date = match (self.word(at), self.word(at + 1)) {
            ("next" | "coming" | "following", "week") => self.weekday_of_week(1, Weekday::Monday),
            ("next" | "coming" | "following", "month") => self.today().first_of_month().checked_add(1.month()).ok(),
            ("next", "quarter") => self.last_of("quarter").and_then(|last| last.checked_add(1.day()).ok()),
            ("next", "year") => Date::new(self.today().year() + 1, 1, 1).ok(),
            ("this", unit @ ("week" | "month" | "quarter" | "year")) if !early => self.last_of(unit),
            _ => return None,
        };
        // "Next month's figures" are no date.
        Some((date, at + 2))
    }

    /// "Q1", "the first quarter".
    fn quarter(&self, at: usize) -> Option<(Option<Date>, usize)> {
        let (quarter, mut end) = match self.word(at) {
            "q1" => (1, at + 1),
            "q2" => (2, at + 1),
            "q3" => (3, at + 1),
            "q4" => (4, at + 1),
            word => match ordinal(word) {
                Some((quarter @ 1..=4, _)) if self.is(at + 1, &["quarter"]) => (quarter, at + 2),
                _ => return None,
            },
        };
        let today = self.today();
        let year = self.year(end);
        let in_year = |year: i16| Date::new(year, quarter * 3, 1).ok().map(Date::last_of_month);
        let date = match year {
            Some(year) => in_year(year),
            None if self.are(end, &["of", "next", "year"]) || self.are(end, &["next", "year"]) => {
                end += 2 + usize::from(self.is(end, &["of"]));
                in_year(today.year() + 1)
            }
            None => in_year(today.year()).filter(|date| *date >= today).or_else(|| in_year(today.year() + 1)),
        };
        end += usize::from(year.is_some());
        Some((date.filter(|date| *date >= today), end))
    }

    /// "May" and "March" are words too: as months they are written large.
    fn month(&self, at: usize) -> Option<i8> {
        let token = self.tokens.get(at).filter(|token| token.large)?;
        let named = |name: &str| name == token.word || token.word.len() == 3 && name.starts_with(&token.word);
        let month = MONTHS.iter().position(|name| named(name))? as i8 + 1;
        Some(month)
    }

    fn year(&self, at: usize) -> Option<i16> {
        self.word(at).parse().ok().filter(|year| (1900..2200).contains(year))
    }

    /// An ordinal of one or two words, "22nd", "twenty second".
    fn ordinal(&self, at: usize) -> Option<(i8, bool, usize)> {
        let tens = match self.word(at) {
            "twenty" => 20,
            "thirty" => 30,
            _ => 0,
        };
        if tens > 0 {
            let (unit, _) = ordinal(self.word(at + 1)).filter(|(unit, _)| *unit < 10)?;
            return (tens + unit <= 31).then_some((tens + unit, false, at + 2));
        }
        let (day, digits) = ordinal(self.word(at))?;
        Some((day, digits, at + 1))
    }

    /// "December 2nd", "2 December 2026", "the second of December".
    fn month_and_day(&self, at: usize) -> Option<(Option<Date>, usize)> {
        let digits = |at: usize| {
            number(self.word(at)).filter(|n| (1..=31).contains(n) && self.word(at).bytes().all(|b| b.is_ascii_digit()))
        };
        let (month, day, mut end) = if let Some(month) = self.month(at) {
            let the = usize::from(self.is(at + 1, &["the"]));
            let plain = digits(at + 1).map(|day| (day as i8, at + 2));
            let (day, end) = self.ordinal(at + 1 + the).map(|(day, _, end)| (day, end)).or(plain)?;
            (month, day, end)
        } else {
            let plain = digits(at).map(|day| (day as i8, at + 1));
            let (day, end) = self.ordinal(at).map(|(day, _, end)| (day, end)).or(plain)?;
            let of = usize::from(self.is(end, &["of"]));
            (self.month(end + of)?, day, end + of + 1)
        };
        let today = self.today();
        let year = self.year(end);
        end += usize::from(year.is_some());
        let date = match year {
            Some(year) => Date::new(year, month, day).ok(),
            // The 29th of February may be years away.
            None => {
                (0..8).find_map(|ahead| Date::new(today.year() + ahead, month, day).ok().filter(|date| *date >= today))
            }
        };
        Some((date.filter(|date| *date >= today), end))
    }

    /// "By March", "in December", "mid December".
    fn month_alone(&self, at: usize, lead: bool) -> Option<(Option<Date>, usize)> {
        let inside = self.is(at, &["in", "mid", "early", "late", "middle", "beginning", "start"]);
        let mut month_at = at;
        while self.is(month_at, &["in", "mid", "early", "late", "middle", "beginning", "start", "of", "the"])
            && month_at < at + 4
        {
            month_at += 1;
        }
        let month = self.month(month_at)?;
        if !(inside || lead) || self.tokens[month_at].word.len() == 3 && month != 5 {
            return None;
        }
        let today = self.today();
        let year = self.year(month_at + 1);
        let end = month_at + 1 + usize::from(year.is_some());
        let first = |year: i16| Date::new(year, month, 1).ok();
        let date = first(year.unwrap_or(today.year()))
            .filter(|first| year.is_some() || first.last_of_month() >= today)
            .or_else(|| first(today.year() + 1))?;
        let middle = (at..month_at).any(|i| self.is(i, &["mid", "middle"]));
        let early = (at..month_at).any(|i| self.is(i, &["early", "beginning", "start"]));
        let date = match (middle, early) {
            (true, _) => Date::new(date.year(), month, 15).ok()?,
            (_, true) => date,
            _ => date.last_of_month(),
        };
        Some((Some(date).filter(|date| *date >= today), end))
    }

    fn feast(&self, at: usize) -> Option<(Option<Date>, usize)> {
        let (month, day, end) = match (self.word(at), self.word(at + 1)) {
            ("christmas", "eve") => (12, 24, at + 2),
            ("christmas", "day") => (12, 25, at + 2),
            ("boxing", "day") => (12, 26, at + 2),
            ("new", "year") if self.is(at + 2, &["eve"]) => (12, 31, at + 3),
            _ => return None,
        };
        let today = self.today();
        let date = Date::new(today.year(), month, day).ok().filter(|date| *date >= today);
        Some((date.or_else(|| Date::new(today.year() + 1, month, day).ok()), end))
    }

    /// "The 22nd". "The second option" is no date: behind it no word may stand that it could count.
    fn day_of_month(&self, at: usize, the: bool, lead: bool) -> Option<(Option<Date>, usize)> {
        let (day, digits, end) = self.ordinal(at).filter(|_| the)?;
        let counts_nothing = self.tokens[end - 1].pause || end >= self.tokens.len() || self.is(end, BEHIND_A_DAY);
        let known = digits || lead || day > 3 || self.clock(end + 1, true, None).is_some() && self.is(end, &["at"]);
        // "The first of those".
        let counts_some = self.is(end, &["of"]);
        if !counts_nothing || !known || counts_some {
            return None;
        }
        let today = self.today();
        let date = (0..12).find_map(|ahead| {
            let month = today.first_of_month().checked_add(Span::new().months(ahead)).ok()?;
            Date::new(month.year(), month.month(), day).ok().filter(|date| *date >= today)
        });
        Some((date, end))
    }

    fn iso(&self, at: usize) -> Option<(Option<Date>, usize)> {
        let word = self.word(at);
        let shaped = word.len() == 10 && word.bytes().filter(|b| *b == b'-').count() == 2;
        let date: Date = shaped.then(|| word.parse().ok())??;
        Some((Some(date).filter(|date| *date >= self.today()), at + 1))
    }

    /// "Morning", "in the afternoon", ", end of day".
    fn part(&self, at: usize) -> Option<(Part, usize)> {
        let mut next = at;
        next += usize::from(self.is(next, &["in", "by", "at", "before"]));
        next += usize::from(self.is(next, &["the"]));
        if self.are(next, &["end", "of"]) {
            let inner = next + 2 + usize::from(self.is(next + 2, &["the"]));
            let inner = inner + usize::from(self.is(inner, &["business", "working"]));
            return self.is(inner, &["day"]).then_some((Part::Whole, inner + 1));
        }
        if self.are(next, &["close", "of", "business"]) {
            return Some((Part::Whole, next + 3));
        }
        if self.are(next, &["first", "thing"]) {
            let rest = next + 2;
            let in_the_morning = self.are(rest, &["in", "the", "morning"]);
            return Some((Part::Morning, if in_the_morning { rest + 3 } else { rest }));
        }
        match self.word(next) {
            "morning" => Some((Part::Morning, next + 1)),
            "afternoon" | "evening" | "night" | "lunchtime" => Some((Part::Later, next + 1)),
            "eod" | "cob" => Some((Part::Whole, next + 1)),
            _ => None,
        }
    }

    /// An hour. `bare`: "ten" alone will do, as behind "at".
    fn clock(&self, at: usize, bare: bool, part: Option<Part>) -> Option<(Time, usize)> {
        match self.word(at) {
            "noon" | "midday" => return Some((time(12, 0)?, at + 1)),
            "midnight" => return Some((time(23, 59)?, at + 1)),
            _ => {}
        }
        if let Some((minutes, hour_at)) = self.past_or_to(at) {
            let hour = number(self.word(hour_at)).filter(|hour| (1..=12).contains(hour))?;
            let (half, end) = self.half_of_day(hour_at + 1);
            let full = whole_hour(hour, half, part)? * 60 + minutes;
            return Some((time(full.rem_euclid(24 * 60) / 60, full.rem_euclid(60))?, end));
        }
        let word = self.word(at);
        let split = word.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(word.len());
        let (digits, letters) = word.split_at(split);
        let (hour, minute, mut end, mut certain) = if let Some((hour, minute)) = digits.split_once([':', '.']) {
            let colon = digits.contains(':');
            (hour.parse().ok()?, minute.parse::<i64>().ok().filter(|_| minute.len() == 2)?, at + 1, colon)
        } else if let Ok(hour) = digits.parse::<i64>() {
            (hour, 0, at + 1, false)
        } else {
            let hour = number(word).filter(|hour| (1..=12).contains(hour) && word != "a" && word != "an")?;
            let (minute, end) = self.minutes(at + 1);
            (hour, minute, end, false)
        };
        let glued = match letters {
            _ if digits.is_empty() => None,
            "" => None,
            "am" | "pm" => Some(letters == "pm"),
            _ => return None,
        };
        let (half, behind) = if glued.is_some() { (glued, end) } else { self.half_of_day(end) };
        certain |= half.is_some();
        end = behind;
        if self.is(end, &["o'clock", "oclock"]) {
            (certain, end) = (true, end + 1);
        } else if self.are(end, &["o", "clock"]) {
            (certain, end) = (true, end + 2);
        }
        // "At 3 percent" is no hour.
        let counts = end < self.tokens.len()
            && !self.tokens[end - 1].pause
            && !self.is(end, BEHIND_AN_HOUR)
            && self.part(end).is_none();
        if !(certain || bare && !counts && hour <= 24) {
            return None;
        }
        let hour =
            if half.is_none() && (hour > 12 || digits.starts_with('0')) { hour } else { whole_hour(hour, half, part)? };
        Some((time(hour, minute)?, end))
    }

    /// "Half past", "a quarter to", "twenty past": minutes from the hour, and where the hour stands.
    fn past_or_to(&self, at: usize) -> Option<(i64, usize)> {
        let at = at + usize::from(self.are(at, &["a", "quarter"]));
        let minutes = match self.word(at) {
            "half" => 30,
            "quarter" => 15,
            word => number(word).filter(|minutes| [5, 10, 20, 25].contains(minutes))?,
        };
        let next = at + 1 + usize::from(self.is(at + 1, &["minutes"]));
        match self.word(next) {
            "past" => Some((minutes, next + 1)),
            "to" if minutes != 30 => Some((-minutes, next + 1)),
            _ => None,
        }
    }

    /// "Thirty", "forty five", "oh five" behind an hour in words.
    fn minutes(&self, at: usize) -> (i64, usize) {
        let first = self.word(at);
        match first {
            "oh" => number(self.word(at + 1)).filter(|n| *n < 10).map_or((0, at), |n| (n, at + 2)),
            "twenty" | "thirty" | "forty" | "fifty" => {
                let tens = number(first).unwrap_or(0);
                match number(self.word(at + 1)).filter(|n| (1..10).contains(n) && !self.is(at + 1, &["a", "an"])) {
                    Some(unit) if !self.tokens[at].pause => (tens + unit, at + 2),
                    _ => (tens, at + 1),
                }
            }
            "fifteen" | "ten" => (number(first).unwrap_or(0), at + 1),
            _ => (0, at),
        }
    }

    /// "a.m.", "pm", "p m".
    fn half_of_day(&self, at: usize) -> (Option<bool>, usize) {
        match self.word(at) {
            "am" => (Some(false), at + 1),
            "pm" => (Some(true), at + 1),
            "p" if self.is(at + 1, &["m"]) => (Some(true), at + 2),
            "a" if self.is(at + 1, &["m"]) => (Some(false), at + 2),
            _ => (None, at),
        }
    }
}

/// What may stand behind a bare hour.
const BEHIND_AN_HOUR: &[&str] = &[
    "on",
    "and",
    "then",
    "if",
    "or",
    "so",
    "but",
    "works",
    "would",
    "for",
    "because",
    "in",
    "with",
    "to",
    "tomorrow",
    "today",
    "we",
    "i",
    "you",
    "please",
    "sharp",
    "is",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "next",
    "o'clock",
    "instead",
    "until",
    "as",
    "at",
    "it",
    "the",
    "right",
    "okay",
    "like",
    "again",
];

/// The hour of the day. Without "am" or "pm" it is an office hour: from seven in the morning to six in the evening.
fn whole_hour(hour: i64, half: Option<bool>, part: Option<Part>) -> Option<i64> {
    match half {
        Some(pm) if (1..=12).contains(&hour) => Some(hour % 12 + if pm { 12 } else { 0 }),
        Some(_) => (hour <= 24).then_some(hour),
        None => match part {
            Some(Part::Morning) => Some(hour),
            Some(Part::Later) if hour < 12 => Some(hour + 12),
            _ if hour < 7 && hour > 0 => Some(hour + 12),
            _ => Some(hour),
        },
    }
}

fn adjusted(time: Time, part: Option<Part>) -> Time {
    let hour = match part {
        Some(Part::Morning) if time.hour() >= 13 && time.hour() < 19 => time.hour() - 12,
        Some(Part::Later) if time.hour() < 12 => time.hour() + 12,
        _ => time.hour(),
    };
    Time::new(hour, time.minute(), 0, 0).unwrap_or(time)
}

fn time(hour: i64, minute: i64) -> Option<Time> {
    Time::new(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, 0, 0).ok()
}

/// Weekends are stepped over.
fn working_days(from: Date, count: i64) -> Option<Date> {
    let mut date = from;
    for _ in 0..count.clamp(0, 366) {
        date = date.checked_add(1.day()).ok()?;
        while matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday) {
            date = date.checked_add(1.day()).ok()?;
        }
    }
    Some(date)
}

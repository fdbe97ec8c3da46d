//! Days: "tomorrow", "next Friday", "in two weeks", "December 2nd", "the end of the quarter".

use jiff::civil::{Date, DateTime, Weekday};
use jiff::{Span, ToSpan};

use super::reader::Reader;
use super::tokens::{number, ordinal};

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
    /// A day, and what is behind it. `Some((None, _))`: a date that there is not or that lies behind.
    pub(super) fn day(&self, at: usize, lead: bool) -> Option<(Option<Date>, usize)> {
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
        // "Today week", "a week today", "a week tomorrow".
        if self.is(at, &["today", "tomorrow"]) && self.is(at + 1, &["week"]) && !self.tokens[at].pause {
            let days = 7 + i64::from(self.is(at, &["tomorrow"]));
            return Some((self.after(days.days()), at + 2));
        }
        if self.is(at, &["a"]) && self.is(at + 1, &["week", "fortnight"]) && self.is(at + 2, &["today", "tomorrow"]) {
            let week = if self.is(at + 1, &["week"]) { 7 } else { 14 };
            let days = week + i64::from(self.is(at + 2, &["tomorrow"]));
            return Some((self.after(days.days()), at + 3));
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
        if self.are(next, &["a", "fortnight", "from"]) {
            let (from, end) = self.near(next + 3).or_else(|| self.weekday_expression(next + 3))?;
            return Some((from.and_then(|from| from.checked_add(14.days()).ok()), end));
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

    pub(super) fn weekday(&self, at: usize) -> Option<Weekday> {
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
        if self.are(at, &["same", "time", "next", "week"]) {
            return Some((self.after(7.days()), at + 4));
        }
        // "Before the weekend" is Friday, "this weekend" its last day.
        if self.is(at, &["this", "next", "coming"]) && self.is(at + 1, &["weekend"]) {
            return Some((self.weekday_of_week(i64::from(self.is(at, &["next"])), Weekday::Sunday), at + 2));
        }
        if self.is(at, &["weekend"])
            && at > 1
            && self.is(at - 1, &["the"])
            && self.is(at - 2, &["before", "by", "until"])
        {
            return Some((self.weekday_of_week(0, Weekday::Friday), at + 1));
        }
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
    pub(super) fn month(&self, at: usize) -> Option<i8> {
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
        if self.is(at, &["easter"]) && !self.is(at + 1, &["egg", "eggs", "holiday", "holidays"]) {
            let today = self.today();
            let end = at + 1 + usize::from(self.is(at + 1, &["sunday", "monday"]));
            let after = i64::from(self.is(at + 1, &["monday"]));
            let date = (0..2)
                .filter_map(|ahead| easter(today.year() + ahead)?.checked_add(after.days()).ok())
                .find(|date| *date >= today);
            return Some((date, end));
        }
        let (month, day, end) = match (self.word(at), self.word(at + 1)) {
            ("christmas", _)
                if at > 0 && self.is(at - 1, &["by", "before", "until"]) && !self.is(at + 1, &["eve", "day"]) =>
            {
                (12, 24, at + 1)
            }
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
        // "The tenth of this month", "of next month".
        let of_month = self.is(end, &["of"]) && self.is(end + 1, &["this", "next"]) && self.is(end + 2, &["month"]);
        if of_month {
            let ahead = i64::from(self.is(end + 1, &["next"]));
            let month = self.today().first_of_month().checked_add(Span::new().months(ahead)).ok()?;
            let date = Date::new(month.year(), month.month(), day).ok().filter(|date| *date >= self.today());
            return Some((date, end + 3));
        }
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
}

/// Easter Sunday of the western churches (Meeus, Jones, Butcher).
fn easter(year: i16) -> Option<Date> {
    let year = i32::from(year);
    let (golden, century, rest) = (year % 19, year / 100, year % 100);
    let moon = (19 * golden + century - century / 4 - (century - (century + 8) / 25 + 1) / 3 + 15) % 30;
    let sunday = (32 + 2 * (century % 4) + 2 * (rest / 4) - moon - rest % 4) % 7;
    let early = (golden + 11 * moon + 22 * sunday) / 451;
    let day = moon + sunday - 7 * early + 114;
    Date::new(i16::try_from(year).ok()?, i8::try_from(day / 31).ok()?, i8::try_from(day % 31 + 1).ok()?).ok()
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

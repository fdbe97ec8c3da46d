//! "Thursday, end of day" as a date: resolved against the day on which it was said, the words kept.

use std::sync::LazyLock;

use jiff::civil::{Date, Time, Weekday};
use jiff::{Span, Timestamp, tz::TimeZone};
use regex::{Captures, Regex};

use super::Due;

/// The day of the call in the room's zone. An unknown zone is UTC, a time out of range the epoch.
pub(super) fn call_day(started_ms: i64, time_zone: &str) -> Date {
    let zone = TimeZone::get(time_zone).unwrap_or(TimeZone::UTC);
    Timestamp::from_millisecond(started_ms).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(zone).date()
}

/// What a person means by a time expression ("Friday", "end of the month", "December 2nd at ten"): the first one in `text`,
/// resolved against the day of `at_ms` (Unix time in ms) in `time_zone` (IANA name). `None` if there is none.
#[must_use]
pub fn resolve(text: &str, at_ms: i64, time_zone: &str) -> Option<Due> {
    find(text, call_day(at_ms, time_zone)).into_iter().next().map(|found| found.due)
}

/// A time expression found in a text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    /// Where it stands, with a leading "by", "until" or "on".
    pub(super) range: std::ops::Range<usize>,
    /// As resolved; `said` is without the leading word.
    pub(super) due: Due,
}

const DAYS: &str = "monday|tuesday|wednesday|thursday|friday|saturday|sunday";
const MONTHS: &str = "january|february|march|april|may|june|july|august|september|october|november|december";
const COUNTS: &str = r"a|an|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\d{1,2}";
const ORDINAL: &str = r"\d{1,2}(?:st|nd|rd|th)|first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|thirteenth|fourteenth|fifteenth|sixteenth|seventeenth|eighteenth|nineteenth|twentieth|twenty[- ](?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth)|thirtieth|thirty[- ]first";

static EXPRESSION: LazyLock<Regex> = LazyLock::new(|| {
    let clock = r"(?:\s*,?\s*(?:at|by|around)?\s*(?P<CLOCK>noon|midday|(?:\d{1,2}(?:[:.]\d{2})?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)\s*(?:o'?\s?clock|a\.?\s?m\b\.?|p\.?\s?m\b\.?)|\d{1,2}:\d{2})|\s+at\s+(?P<BARE>\d{1,2}|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)\b)?";
    let part = r"(?:\s*,?\s*(?:by\s+|at\s+|in\s+)?(?:the\s+)?(?P<PART>end of (?:the )?(?:business )?day|close of business|eod|cob|morning|afternoon|evening|night))?";
    let pattern = format!(
        r"(?i)\b(?P<lead>(?:by|until|till|before|on|for|due|no later than)\s+(?:the\s+)?)?(?:(?P<relative>the day after tomorrow|tomorrow|today|tonight|(?:the )?end of (?:the )?(?:business )?day|eod|close of business|(?:the )?end of (?:the |this |next )?(?:week|month|quarter|year)|end of (?:the )?next week|next week|this week|next month)|(?P<which>this|next|coming|the following)?\s?\b(?P<day>{DAYS})(?:\s+(?P<afternext>after next|week|in a week))?|in\s+(?P<count>{COUNTS})\s+(?P<unit>day|week|month)s?(?:'? time)?|(?:the\s+)?(?P<dom1>{ORDINAL}|\d{{1,2}})\s+(?:of\s+)?(?P<month1>{MONTHS})|(?P<month2>{MONTHS})\s+(?:the\s+)?(?P<dom2>{ORDINAL}|\d{{1,2}})\b|the\s+(?P<dom3>{ORDINAL})\b|(?P<iso>\d{{4}}-\d{{2}}-\d{{2}}))\b{clock}{part}",
    );
    Regex::new(&pattern).expect("a test compiles this constant pattern")
});

/// All time expressions of a text said on `today`, from left to right.
pub(super) fn find(text: &str, today: Date) -> Vec<Found> {
    let mut out: Vec<Found> = Vec::new();
    let found = EXPRESSION.captures_iter(text).filter_map(|captures| {
        let whole = captures.get(0)?;
        let date = day_of(&captures, text, today)?;
        let lead = captures.name("lead").map_or(0, |lead| lead.len());
        let said = whole.as_str()[lead..].trim().trim_end_matches([',', '.']).to_owned();
        let time = time(&captures);
        Some(Found { range: whole.range(), due: Due { said, date, time } })
    });
    for found in found {
        // "Wednesday, December 2nd at ten": one time, and the number counts more than the day's name.
        match out
            .last_mut()
            .filter(|last| text[last.range.end..found.range.start].chars().all(|c| c == ',' || c == ' '))
        {
            Some(last) => {
                last.due.said = format!("{}{}", last.due.said, &text[last.range.end..found.range.end]);
                last.due.said.truncate(last.due.said.trim_end_matches([',', '.', ' ']).len());
                last.due.date = found.due.date;
                last.due.time = found.due.time.or(last.due.time);
                last.range.end = found.range.end;
            }
            None => out.push(found),
        }
    }
    out
}

fn day_of(captures: &Captures<'_>, text: &str, today: Date) -> Option<Date> {
    let named = |name: &str| captures.name(name).map(|m| m.as_str().to_lowercase());
    if let Some(relative) = named("relative") {
        let relative = relative.trim_start_matches("the ");
        return match relative {
            "tomorrow" => today.checked_add(Span::new().days(1)).ok(),
            "day after tomorrow" => today.checked_add(Span::new().days(2)).ok(),
            "next week" => weekday_of_week(today, 1, Weekday::Monday),
            "this week" => weekday_of_week(today, 0, Weekday::Friday),
            "next month" => today.checked_add(Span::new().months(1)).ok().map(Date::first_of_month),
            _ if relative.ends_with("next week") => weekday_of_week(today, 1, Weekday::Friday),
            _ if relative.ends_with("week") => weekday_of_week(today, 0, Weekday::Friday),
            _ if relative.ends_with("month") => Some(today.last_of_month()),
            _ if relative.ends_with("quarter") => {
                let last = (today.month() - 1) / 3 * 3 + 3;
                Date::new(today.year(), last, 1).ok().map(Date::last_of_month)
            }
            _ if relative.ends_with("year") => Date::new(today.year(), 12, 31).ok(),
            _ => Some(today),
        };
    }
    if let Some(day) = named("day") {
        let day = weekday(&day)?;
        if named("afternext").is_some() {
            return following(today, day)?.checked_add(Span::new().weeks(1)).ok();
        }
        return match named("which").as_deref().map(str::trim) {
            // "Next Friday" said on a Monday is that of the next week.
            Some("next" | "the following") => weekday_of_week(today, 1, day),
            _ => following(today, day),
        };
    }
    if let Some(count) = named("count") {
        let count = number(&count)?;
        return match named("unit")?.as_str() {
            "day" => today.checked_add(Span::new().days(count)).ok(),
            "week" => today.checked_add(Span::new().weeks(count)).ok(),
            _ => today.checked_add(Span::new().months(count)).ok(),
        };
    }
    for (month, day) in [("month1", "dom1"), ("month2", "dom2")] {
        if let (Some(month), Some(day), Some(raw)) = (named(month), named(day), captures.name(month)) {
            // "May" and "March" are words too: as months they are written large.
            if !raw.as_str().starts_with(char::is_uppercase) {
                return None;
            }
            let month = MONTHS.split('|').position(|m| m == month)? as i8 + 1;
            let day = ordinal(&day)?;
            let this_year = Date::new(today.year(), month, day).ok()?;
            return if this_year < today { Date::new(today.year() + 1, month, day).ok() } else { Some(this_year) };
        }
    }
    if let (Some(day), Some(found)) = (named("dom3"), captures.name("dom3")) {
        // "The second option" is no date: behind it no word may stand that it could count.
        let after = text[found.end()..].trim_start_matches(',').trim_start();
        let ends =
            captures.name("CLOCK").is_some() || captures.name("PART").is_some() || captures.name("lead").is_some();
        let next = after.split(|c: char| !c.is_alphanumeric()).next().unwrap_or("").to_lowercase();
        let counts_nothing =
            next.is_empty() || ["and", "if", "at", "is", "or", "then", "so", "but", "works"].contains(&next.as_str());
        let digits = day.starts_with(|c: char| c.is_ascii_digit());
        if !(counts_nothing && (digits || ends)) && !(digits && ends) {
            return None;
        }
        let day = ordinal(&day)?;
        return (0..12).find_map(|ahead| {
            let month = today.first_of_month().checked_add(Span::new().months(ahead)).ok()?;
            let date = Date::new(month.year(), month.month(), day).ok()?;
            (date >= today).then_some(date)
        });
    }
    named("iso").and_then(|iso| iso.parse().ok())
}

/// The next such day after today ("Thursday" said on a Thursday is in a week).
fn following(today: Date, day: Weekday) -> Option<Date> {
    today.nth_weekday(1, day).ok()
}

fn weekday_of_week(today: Date, weeks_ahead: i64, day: Weekday) -> Option<Date> {
    let monday = today.checked_sub(Span::new().days(i64::from(today.weekday().to_monday_zero_offset()))).ok()?;
    let ahead = weeks_ahead * 7 + i64::from(day.to_monday_zero_offset());
    let date = monday.checked_add(Span::new().days(ahead)).ok()?;
    // "This week" said on a Saturday can only mean the coming one.
    if date < today { date.checked_add(Span::new().weeks(1)).ok() } else { Some(date) }
}

fn time(captures: &Captures<'_>) -> Option<Time> {
    if let Some(bare) = captures.name("BARE") {
        // "At ten" is in the morning, "at three" in the afternoon: office hours.
        let hour = number(&bare.as_str().to_lowercase())?;
        return clock(if hour < 7 { hour + 12 } else { hour }, 0);
    }
    let said = captures.name("CLOCK")?.as_str().to_lowercase();
    if said == "noon" || said == "midday" {
        return clock(12, 0);
    }
    let digits: String = said
        .chars()
        .take_while(|c| c.is_alphanumeric() && !(said.starts_with(|d: char| d.is_ascii_digit()) && c.is_alphabetic()))
        .collect();
    let hour = number(&digits)?;
    let minute = said[digits.len()..]
        .strip_prefix([':', '.'])
        .and_then(|m| m.get(..2))
        .and_then(|m| m.parse().ok())
        .unwrap_or(0);
    let rest: String = said[digits.len()..].chars().filter(|c| c.is_alphabetic()).collect();
    let hour = match rest.as_str() {
        "pm" if hour < 12 => hour + 12,
        "am" if hour == 12 => 0,
        "oclock" if hour < 7 => hour + 12,
        _ => hour,
    };
    clock(hour, minute)
}

fn clock(hour: i64, minute: i8) -> Option<Time> {
    Time::new(i8::try_from(hour).ok()?, minute, 0, 0).ok()
}

fn weekday(name: &str) -> Option<Weekday> {
    let offset = DAYS.split('|').position(|day| day == name)?;
    Weekday::from_monday_zero_offset(offset as i8).ok()
}

fn number(word: &str) -> Option<i64> {
    const WORDS: [&str; 12] =
        ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];
    if word == "a" || word == "an" {
        return Some(1);
    }
    WORDS.iter().position(|w| *w == word).map(|i| i as i64 + 1).or_else(|| word.parse().ok())
}

fn ordinal(word: &str) -> Option<i8> {
    let digits: String = word.chars().take_while(char::is_ascii_digit).collect();
    if let Ok(day) = digits.parse() {
        return Some(day);
    }
    const WORDS: [&str; 20] = [
        "first",
        "second",
        "third",
        "fourth",
        "fifth",
        "sixth",
        "seventh",
        "eighth",
        "ninth",
        "tenth",
        "eleventh",
        "twelfth",
        "thirteenth",
        "fourteenth",
        "fifteenth",
        "sixteenth",
        "seventeenth",
        "eighteenth",
        "nineteenth",
        "twentieth",
    ];
    if let Some(at) = WORDS.iter().position(|w| *w == word) {
        return Some(at as i8 + 1);
    }
    let (tens, unit) = word.split_once(['-', ' ']).unwrap_or((word, ""));
    let unit = WORDS.iter().position(|w| *w == unit).map_or(0, |at| at as i8 + 1);
    match tens {
        "twenty" => Some(20 + unit),
        "thirty" => Some(30 + unit),
        "thirtieth" => Some(30),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    /// Monday, 23 November 2026.
    const TODAY: Date = date(2026, 11, 23);

    fn one(text: &str) -> (String, Date, Option<Time>) {
        let found = find(text, TODAY);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        let Due { said, date, time } = found.into_iter().next().unwrap().due;
        (said, date, time)
    }

    #[test]
    fn what_was_said_becomes_a_day() {
        for (text, said, day) in [
            ("I'll send it by Thursday, end of day.", "Thursday, end of day", date(2026, 11, 26)),
            ("We ship on Friday if they are there", "Friday", date(2026, 11, 27)),
            ("on Monday then", "Monday", date(2026, 11, 30)),
            ("next Friday", "next Friday", date(2026, 12, 4)),
            ("by tomorrow", "tomorrow", date(2026, 11, 24)),
            ("until the day after tomorrow", "the day after tomorrow", date(2026, 11, 25)),
            ("by the end of the week", "end of the week", date(2026, 11, 27)),
            ("by end of day", "end of day", date(2026, 11, 23)),
            ("due on the 22nd", "the 22nd", date(2026, 12, 22)),
            ("by the twenty-fifth", "the twenty-fifth", date(2026, 11, 25)),
            ("in two weeks", "in two weeks", date(2026, 12, 7)),
            ("in 10 days", "in 10 days", date(2026, 12, 3)),
            ("on December 2nd", "December 2nd", date(2026, 12, 2)),
            ("on 3 January", "3 January", date(2027, 1, 3)),
            ("by the end of the month", "end of the month", date(2026, 11, 30)),
            ("by 2026-12-24", "2026-12-24", date(2026, 12, 24)),
            ("next week", "next week", date(2026, 11, 30)),
            ("on Wednesday, December 2nd at 10 a.m.", "Wednesday, December 2nd at 10 a.m", date(2026, 12, 2)),
        ] {
            let (words, found, _) = one(text);
            assert_eq!((words.as_str(), found), (said, day), "{text}");
        }
    }

    #[test]
    fn hours_are_understood_as_offices_do() {
        for (text, hour, minute) in [
            ("Wednesday at 10 a.m.", 10, 0),
            ("Wednesday at 3", 15, 0),
            ("tomorrow at ten", 10, 0),
            ("tomorrow at 14:30", 14, 30),
            ("Friday at 2 pm", 14, 0),
            ("on Friday at noon", 12, 0),
            ("Tuesday, three o'clock", 15, 0),
        ] {
            assert_eq!(one(text).2, Time::new(hour, minute, 0, 0).ok(), "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_a_date_is_none() {
        for text in [
            "the second option is better",
            "you may 2 times",
            "the first thing",
            "we march 10 miles",
            "in a way",
            "Press 1",
        ] {
            assert!(find(text, TODAY).is_empty(), "{text}: {:?}", find(text, TODAY));
        }
    }

    #[test]
    fn the_day_is_that_of_the_room_not_of_greenwich() {
        let late_in_london = 1_795_476_600_000; // 2026-11-23T23:30:00Z
        assert_eq!(call_day(late_in_london, "Europe/London"), date(2026, 11, 23));
        assert_eq!(call_day(late_in_london, "Europe/Berlin"), date(2026, 11, 24));
        assert_eq!(call_day(late_in_london, "Nowhere/Land"), date(2026, 11, 23));
        assert_eq!(call_day(i64::MAX, "UTC"), date(1970, 1, 1));
    }
}

//! Hours: "half past nine", "5 pm", "at ten", and the parts of a day that say which half of it is meant.

use jiff::civil::Time;

use super::reader::Reader;
use super::tokens::number;

/// A part of the day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Part {
    Morning,
    Later,
    Whole,
}

impl Reader<'_> {
    /// "Morning", "in the afternoon", ", end of day".
    pub(super) fn part(&self, at: usize) -> Option<(Part, usize)> {
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
    pub(super) fn clock(&self, at: usize, bare: bool, part: Option<Part>) -> Option<(Time, usize)> {
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
        // "Half eight", as the British and the Irish say.
        if minutes == 30 && next == at + 1 && self.is_bare_hour(next) {
            return Some((30, next));
        }
        match self.word(next) {
            "past" => Some((minutes, next + 1)),
            "to" if minutes != 30 => Some((-minutes, next + 1)),
            _ => None,
        }
    }

    /// Whether an hour in words stands here that counts nothing.
    fn is_bare_hour(&self, at: usize) -> bool {
        let hour = number(self.word(at)).filter(|hour| (1..=12).contains(hour));
        let counts = at + 1 < self.tokens.len()
            && !self.tokens[at].pause
            && !self.is(at + 1, BEHIND_AN_HOUR)
            && self.part(at + 1).is_none();
        hour.is_some() && !self.is(at, &["a", "an", "one"]) && !self.tokens[at - 1].pause && !counts
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
    "suits",
    "fine",
    "perfect",
    "grand",
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

/// An hour in the part of the day that was named with it.
pub(super) fn adjusted(time: Time, part: Option<Part>) -> Time {
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

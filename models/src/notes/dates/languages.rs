//! Days as people name them in German, French, Spanish and Italian: "übermorgen", "le lundi vingt avril", "antes del veinte",
//! "venerdì alle otto". Simpler than the English reader: a day, with an hour behind it.

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::{Span, ToSpan};

use super::lexicons::{ALL, Language, Period};
use super::reader::Read;
use super::tokens::Token;

/// Reads the words of a text in one language.
struct Reader<'a> {
    tokens: &'a [Token],
    now: DateTime,
    language: &'static Language,
}

/// The expression that begins with this word, in whichever of the languages it is.
pub(super) fn read(tokens: &[Token], at: usize, now: DateTime) -> Option<Read> {
    ALL.iter().find_map(|language| Reader { tokens, now, language }.day_and_hour(at))
}

/// Whether a word (lower case) is a weekday's name.
pub(super) fn is_weekday(word: &str) -> bool {
    ALL.iter().any(|language| language.weekdays.contains(&word))
}

impl Reader<'_> {
    fn word(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| token.word.as_str())
    }

    /// Behind a phrase that begins here.
    fn phrase(&self, at: usize, phrase: &str) -> Option<usize> {
        let mut end = at;
        for word in phrase.split(' ') {
            if self.word(end) != word {
                return None;
            }
            end += 1;
        }
        Some(end)
    }

    /// Behind the longest of the phrases that begins here; `at` where none does.
    fn over(&self, at: usize, phrases: &[&str]) -> usize {
        phrases.iter().filter_map(|phrase| self.phrase(at, phrase)).max().unwrap_or(at)
    }

    /// A day with the part of the day and the hour behind it.
    fn day_and_hour(&self, at: usize) -> Option<Read> {
        let (date, mut end) = self.day(at)?;
        if self.lies_behind(at, end) {
            let end = end + usize::from(self.is_past(end));
            return Some(Read { said: at, end, date: None, time: None, only_hour: false });
        }
        end = self.over(end, self.language.coming);
        let part =
            |at: usize| self.language.parts.iter().find_map(|(part, later)| Some((self.phrase(at, part)?, *later)));
        let mut later = None;
        if let Some((behind, is_later)) = part(end) {
            (end, later) = (behind, Some(is_later));
        }
        let mut time = None;
        if let Some((hour, minute, behind)) = self.hour(end) {
            end = behind;
            if let Some((behind, is_later)) = part(end).filter(|_| later.is_none()) {
                (end, later) = (behind, Some(is_later));
            }
            // Nobody means the small hours without saying so.
            let afternoon = later == Some(true) && hour < 12 || later.is_none() && (1..7).contains(&hour);
            time = Time::new(if afternoon { hour + 12 } else { hour }, minute, 0, 0).ok();
        }
        Some(Read { said: at, end, date, time, only_hour: false })
    }

    fn is_past(&self, at: usize) -> bool {
        self.language.past.contains(&self.word(at))
    }

    /// "Letzten Freitag", "desde el lunes", "venerdì scorso".
    fn lies_behind(&self, at: usize, end: usize) -> bool {
        let article = at.checked_sub(1).filter(|before| self.language.articles.contains(&self.word(*before)));
        let before = article.unwrap_or(at).checked_sub(1);
        before.is_some_and(|before| self.is_past(before)) || self.is_past(end)
    }

    /// `Some((None, _))`: no such day, or it lies behind.
    fn day(&self, at: usize) -> Option<(Option<Date>, usize)> {
        self.weekday(at)
            .or_else(|| self.day_of_month(at))
            .or_else(|| self.near(at))
            .or_else(|| self.period(at))
            .or_else(|| self.counted(at))
            .or_else(|| self.bare_day(at))
    }

    fn today(&self) -> Date {
        self.now.date()
    }

    /// "Jeudi", "nächsten Freitag", "lundi vingt avril", "venerdì tre".
    fn weekday(&self, at: usize) -> Option<(Option<Date>, usize)> {
        let day_at = self.over(at, self.language.coming);
        let offset = self.language.weekdays.iter().position(|day| *day == self.word(day_at))?;
        let weekday = Weekday::from_monday_zero_offset(i8::try_from(offset).ok()?).ok()?;
        let end = day_at + 1;
        let number_at = self.over(end, self.language.articles);
        if let Some(found) = self.day_of_month(number_at) {
            return Some(found);
        }
        if let Some((day, behind)) = self.number(number_at) {
            let month = self.month_with(day, weekday);
            // "Jeudi, huit heures": that number is an hour.
            if month.is_some() && !self.language.oclock.contains(&self.word(behind)) {
                return Some((month, behind));
            }
        }
        Some((self.today().nth_weekday(1, weekday).ok(), end))
    }

    /// The next day of this number that is such a weekday, within a year.
    fn month_with(&self, day: i8, weekday: Weekday) -> Option<Date> {
        let mut first = self.today().first_of_month();
        for _ in 0..12 {
            let date = Date::new(first.year(), first.month(), day).ok();
            if let Some(date) = date.filter(|date| date.weekday() == weekday && *date >= self.today()) {
                return Some(date);
            }
            first = first.checked_add(1.month()).ok()?;
        }
        None
    }

    /// "Le vingt avril", "am 2. Februar", "el veinte de febrero".
    fn day_of_month(&self, at: usize) -> Option<(Option<Date>, usize)> {
        let (day, behind) = self.number(at)?;
        let month_at = behind + usize::from(self.word(behind) == "de");
        let month = self.language.months.iter().position(|month| *month == self.word(month_at))?;
        let month = i8::try_from(month + 1).ok()?;
        let year_at = month_at + 1 + usize::from(self.word(month_at + 1) == "de");
        let year: Option<i16> = self.word(year_at).parse().ok().filter(|year| (2000..2200).contains(year));
        if let Some(year) = year {
            let date = Date::new(year, month, day).ok().filter(|date| *date >= self.today());
            return Some((date, year_at + 1));
        }
        let date = (0..2)
            .filter_map(|ahead| Date::new(self.today().year() + ahead, month, day).ok())
            .find(|date| *date >= self.today());
        Some((date, month_at + 1))
    }

    /// "Demain", "übermorgen", "esta tarde".
    fn near(&self, at: usize) -> Option<(Option<Date>, usize)> {
        let before = if at > 0 { self.word(at - 1) } else { "" };
        let (end, days) = self
            .language
            .near
            .iter()
            .filter_map(|(phrase, days)| Some((self.phrase(at, phrase)?, *days)))
            .max_by_key(|(end, _)| *end)?;
        if self.language.not_near.contains(&before) {
            return None;
        }
        Some((self.today().checked_add(Span::new().days(days)).ok(), end))
    }

    fn period(&self, at: usize) -> Option<(Option<Date>, usize)> {
        let find = |(phrase, period): &(&str, Period)| Some((self.phrase(at, phrase)?, *period));
        let (end, period) = self.language.periods.iter().find_map(find)?;
        let today = self.today();
        let date = match period {
            Period::NextWeek => today.nth_weekday(1, Weekday::Monday).ok(),
            Period::Week if today.weekday() == Weekday::Friday => Some(today),
            Period::Week => today.nth_weekday(1, Weekday::Friday).ok(),
            Period::Month => Some(today.last_of_month()),
        };
        Some((date, end))
    }

    /// "In zwei Wochen", "dans trois jours".
    fn counted(&self, at: usize) -> Option<(Option<Date>, usize)> {
        let (leads, units) = self.language.counted;
        let count_at = leads.iter().find_map(|lead| self.phrase(at, lead))?;
        let one = ["einem", "einer", "un", "une", "una"].contains(&self.word(count_at));
        let (count, behind) = if one { (1, count_at + 1) } else { self.cardinal(count_at)? };
        let (end, days) = units.iter().find_map(|(unit, days)| Some((self.phrase(behind, unit)?, *days)))?;
        let span = if days == 0 { Span::new().months(count) } else { Span::new().days(days * count) };
        Some((self.today().checked_add(span).ok(), end))
    }

    /// "Antes del veinte", "bis zum dritten".
    fn bare_day(&self, at: usize) -> Option<(Option<Date>, usize)> {
        let number_at = self.over(at, self.language.until);
        if number_at == at {
            return None;
        }
        let (day, end) = self.number(number_at)?;
        // "Avant le deux heures", "am ersten Tag", "antes del dos por ciento" name no day.
        let last = self.tokens.get(end - 1).is_some_and(|token| token.pause || token.ends) || end == self.tokens.len();
        if !last {
            return None;
        }
        let mut first = self.today().first_of_month();
        for _ in 0..3 {
            let date = Date::new(first.year(), first.month(), day).ok().filter(|date| *date >= self.today());
            if date.is_some() {
                return Some((date, end));
            }
            first = first.checked_add(1.month()).ok()?;
        }
        Some((None, end))
    }

    /// A number from 1 to 31 as days are counted, and what is behind it; the longest reading.
    fn number(&self, at: usize) -> Option<(i8, usize)> {
        let digits = self.word(at).parse().ok().filter(|day| (1..=31).contains(day));
        if let Some(day) = digits {
            return Some((day, at + 1));
        }
        let spelt = self.language.numbers.split(", ").enumerate().flat_map(|(index, spellings)| {
            spellings.split('|').filter_map(move |spelling| Some((self.phrase(at, spelling)?, index)))
        });
        let (end, index) = spelt.max_by_key(|(end, _)| *end)?;
        Some((i8::try_from(index + 1).ok()?, end))
    }

    /// A number as things are counted. German counts days by ordinals, all else by these.
    fn cardinal(&self, at: usize) -> Option<(i64, usize)> {
        const GERMAN_COUNTS: [&str; 12] =
            ["ein", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn", "elf", "zwölf"];
        if let Some(index) = GERMAN_COUNTS.iter().position(|word| *word == self.word(at)) {
            return Some((i64::try_from(index + 1).ok()?, at + 1));
        }
        self.number(at).map(|(count, end)| (i64::from(count), end))
    }

    /// "Um acht", "à huit heures et demie", "a las ocho y media", "alle otto": hour, minute, and what is behind.
    fn hour(&self, at: usize) -> Option<(i8, i8, usize)> {
        let hour_at = self.over(at, self.language.at);
        // "Halb acht" is half past seven.
        let half_at = hour_at + usize::from(self.word(hour_at) == "halb");
        let (hour, behind) = self.cardinal(half_at)?;
        let hour = i8::try_from(hour).ok().filter(|hour| (1..=24).contains(hour))? % 24;
        let end = self.over(behind, self.language.oclock);
        if hour_at == at && end == behind && half_at == hour_at {
            return None;
        }
        if half_at > hour_at {
            return Some(((hour + 23) % 24, 30, end));
        }
        for half in ["et demie", "y media", "e mezza", "dreißig", "trente", "treinta"] {
            if let Some(behind) = self.phrase(end, half) {
                return Some((hour, 30, behind));
            }
        }
        Some((hour, 0, end))
    }
}

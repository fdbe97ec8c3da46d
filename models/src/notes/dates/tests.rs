use jiff::civil::{Date, DateTime, Time, date, datetime, time};
use proptest::prelude::*;

use super::*;

/// Monday, 23 November 2026, 14:08.
const NOW: DateTime = datetime(2026, 11, 23, 14, 8, 0, 0);

fn one(text: &str) -> (String, Date, Option<Time>) {
    let found = find(text, NOW);
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
        ("this Monday", "this Monday", date(2026, 11, 23)),
        ("next Friday", "next Friday", date(2026, 12, 4)),
        ("next Thursday, please", "next Thursday", date(2026, 12, 3)),
        ("on Thursday next week", "Thursday next week", date(2026, 12, 3)),
        ("Monday week", "Monday week", date(2026, 12, 7)),
        ("by tomorrow", "tomorrow", date(2026, 11, 24)),
        ("tomorrow morning", "tomorrow morning", date(2026, 11, 24)),
        ("until the day after tomorrow", "the day after tomorrow", date(2026, 11, 25)),
        ("by the end of the week", "the end of the week", date(2026, 11, 27)),
        ("by end of day", "end of day", date(2026, 11, 23)),
        ("by end of day Thursday", "end of day Thursday", date(2026, 11, 26)),
        ("by close of business on Wednesday", "close of business on Wednesday", date(2026, 11, 25)),
        ("EOD tomorrow works", "EOD tomorrow", date(2026, 11, 24)),
        ("end of next week", "end of next week", date(2026, 12, 4)),
        ("due on the 22nd", "the 22nd", date(2026, 12, 22)),
        ("by the twenty-fifth", "the twenty-fifth", date(2026, 11, 25)),
        ("by the 31st", "the 31st", date(2026, 12, 31)),
        ("it ends on the 23rd", "the 23rd", date(2026, 11, 23)),
        ("in two weeks", "in two weeks", date(2026, 12, 7)),
        ("in two weeks' time", "in two weeks' time", date(2026, 12, 7)),
        ("a week from Monday", "a week from Monday", date(2026, 12, 7)),
        ("two weeks from today", "two weeks from today", date(2026, 12, 7)),
        ("in a fortnight", "in a fortnight", date(2026, 12, 7)),
        ("within the next three days", "within the next three days", date(2026, 11, 26)),
        ("in five working days", "in five working days", date(2026, 11, 30)),
        ("in a couple of weeks", "in a couple of weeks", date(2026, 12, 7)),
        ("in 10 days", "in 10 days", date(2026, 12, 3)),
        ("in a month", "in a month", date(2026, 12, 23)),
        ("in an hour", "in an hour", date(2026, 11, 23)),
        ("on December 2nd", "December 2nd", date(2026, 12, 2)),
        ("on the second of December", "the second of December", date(2026, 12, 2)),
        ("on 3 January", "3 January", date(2027, 1, 3)),
        ("on 3 January 2028", "3 January 2028", date(2028, 1, 3)),
        ("on February 29th", "February 29th", date(2028, 2, 29)),
        ("mid December", "mid December", date(2026, 12, 15)),
        ("by March", "March", date(2027, 3, 31)),
        ("by the end of January", "the end of January", date(2027, 1, 31)),
        ("by the end of the month", "the end of the month", date(2026, 11, 30)),
        ("end of the quarter", "end of the quarter", date(2026, 12, 31)),
        ("by the end of the year", "the end of the year", date(2026, 12, 31)),
        ("by Q1", "Q1", date(2027, 3, 31)),
        ("in the first quarter of next year", "the first quarter of next year", date(2027, 3, 31)),
        ("by 2026-12-24", "2026-12-24", date(2026, 12, 24)),
        ("before Christmas Eve", "Christmas Eve", date(2026, 12, 24)),
        ("next week", "next week", date(2026, 11, 30)),
        ("next month", "next month", date(2026, 12, 1)),
        ("a fortnight from today", "a fortnight from today", date(2026, 12, 7)),
        ("today week", "today week", date(2026, 11, 30)),
        ("a week tomorrow", "a week tomorrow", date(2026, 12, 1)),
        ("this weekend", "this weekend", date(2026, 11, 29)),
        ("by Easter", "Easter", date(2027, 3, 28)),
        ("on Easter Monday", "Easter Monday", date(2027, 3, 29)),
        ("by Christmas", "Christmas", date(2026, 12, 24)),
        ("by the thirtieth of this month", "the thirtieth of this month", date(2026, 11, 30)),
        ("on the tenth of next month", "the tenth of next month", date(2026, 12, 10)),
        ("on Wednesday, December 2nd at 10 a.m.", "Wednesday, December 2nd at 10 a.m", date(2026, 12, 2)),
        (
            "on Friday the fourth at two in the afternoon",
            "Friday the fourth at two in the afternoon",
            date(2026, 12, 4),
        ),
    ] {
        let (words, found, _) = one(text);
        assert_eq!((words.as_str(), found), (said, day), "{text}");
    }
    // What stands before it tells which of its days is meant.
    for (text, day) in [("before the weekend", date(2026, 11, 27)), ("by the weekend", date(2026, 11, 27))] {
        let found = find(text, NOW);
        assert_eq!(found.iter().map(|f| f.due.date).collect::<Vec<_>>(), [day], "{text}");
    }
}

#[test]
fn hours_are_understood_as_offices_do() {
    for (text, hour, minute) in [
        ("Wednesday at 10 a.m.", 10, 0),
        ("Wednesday at 3", 15, 0),
        ("tomorrow at ten", 10, 0),
        ("tomorrow at nine forty-five.", 9, 45),
        ("tomorrow at 14:30", 14, 30),
        ("tomorrow at 3:30", 15, 30),
        ("Friday at 2 pm", 14, 0),
        ("Friday at 2pm", 14, 0),
        ("on Friday at noon", 12, 0),
        ("Tuesday, three o'clock", 15, 0),
        ("December 2nd at half past nine", 9, 30),
        ("tomorrow at a quarter to ten", 9, 45),
        ("tomorrow at twenty past eight in the evening", 20, 20),
        ("at ten on Wednesday", 10, 0),
        ("Monday morning at nine", 9, 0),
        ("tomorrow at six in the morning", 6, 0),
        ("tomorrow evening at eight", 20, 0),
        ("Friday the fourth at two in the afternoon", 14, 0),
        ("tomorrow at midnight", 23, 59),
    ] {
        assert_eq!(one(text).2, Time::new(hour, minute, 0, 0).ok(), "{text}");
    }
}

#[test]
fn an_hour_alone_is_the_next_such_hour() {
    for (text, day, hour, minute) in [
        ("by 5 pm", 23, 17, 0),
        ("at half past nine", 24, 9, 30),
        ("by noon", 24, 12, 0),
        ("by noon today", 23, 12, 0),
        ("at 16:15", 23, 16, 15),
    ] {
        let (_, date_found, time) = one(text);
        assert_eq!((date_found, time), (date(2026, 11, day), Time::new(hour, minute, 0, 0).ok()), "{text}");
    }
}

#[test]
fn days_are_understood_in_four_more_languages() {
    for (text, said, day) in [
        ("Ich schicke es am Donnerstag", "Donnerstag", date(2026, 11, 26)),
        ("bis übermorgen", "übermorgen", date(2026, 11, 25)),
        ("nächsten Montag", "nächsten Montag", date(2026, 11, 30)),
        ("am zweiten Februar", "zweiten Februar", date(2027, 2, 2)),
        ("bis zum dritten Dezember 2026", "dritten Dezember 2026", date(2026, 12, 3)),
        ("bis zum dritten", "bis zum dritten", date(2026, 12, 3)),
        ("in zwei Wochen", "in zwei Wochen", date(2026, 12, 7)),
        ("Ende des Monats", "Ende des Monats", date(2026, 11, 30)),
        ("on commence le lundi sept décembre", "lundi sept décembre", date(2026, 12, 7)),
        ("je le fais demain matin", "demain matin", date(2026, 11, 24)),
        ("après-demain", "après-demain", date(2026, 11, 25)),
        ("dans trois jours", "dans trois jours", date(2026, 11, 26)),
        ("le vingt et un avril", "vingt et un avril", date(2027, 4, 21)),
        ("vence el veinte de febrero", "veinte de febrero", date(2027, 2, 20)),
        ("pago antes del treinta", "antes del treinta", date(2026, 11, 30)),
        ("pasado mañana por la tarde", "pasado mañana por la tarde", date(2026, 11, 25)),
        ("entro il due dicembre", "due dicembre", date(2026, 12, 2)),
        ("li avviso io domani", "domani", date(2026, 11, 24)),
        ("venerdì prossimo", "venerdì prossimo", date(2026, 11, 27)),
        ("tra due settimane", "tra due settimane", date(2026, 12, 7)),
    ] {
        let (words, found, _) = one(text);
        assert_eq!((words.as_str(), found), (said, day), "{text}");
        let again = resolve(said, NOW.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_millisecond(), "UTC");
        assert_eq!(again.map(|due| due.date), Some(day), "{said}");
    }
    for (text, day, hour) in [
        ("am Freitag um acht", date(2026, 11, 27), time(8, 0, 0, 0)),
        ("morgen um halb drei", date(2026, 11, 24), time(14, 30, 0, 0)),
        ("jeudi à huit heures et demie", date(2026, 11, 26), time(8, 30, 0, 0)),
        ("el lunes a las siete de la tarde", date(2026, 11, 30), time(19, 0, 0, 0)),
        ("venerdì alle sei", date(2026, 11, 27), time(18, 0, 0, 0)),
    ] {
        let (_, found, at) = one(text);
        assert_eq!((found, at), (day, Some(hour)), "{text}");
    }
    for text in [
        "Guten Morgen, Herr Aydin",
        "letzten Freitag",
        "seit Montag",
        "vendredi dernier",
        "desde el lunes",
        "venerdì scorso",
        "por la mañana",
        "le deux pour cent",
    ] {
        assert_eq!(find(text, NOW), [], "{text}");
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
        "at 3 percent",
        "on the 3rd floor",
        "the first of those",
        "five to ten people",
        "for two years",
        "at the end of it",
        "February 30th",
        "we have one minute",
        "version 2.5",
        "on a good day",
    ] {
        assert!(find(text, NOW).is_empty(), "{text}: {:?}", find(text, NOW));
    }
}

#[test]
fn what_lies_behind_is_no_date_to_keep() {
    for text in [
        "last Friday",
        "yesterday",
        "two weeks ago",
        "a couple of weeks ago",
        "since Monday",
        "last month",
        "on 3 March 2019",
        "2020-01-01",
        "previous year",
    ] {
        assert!(find(text, NOW).is_empty(), "{text}: {:?}", find(text, NOW));
    }
}

#[test]
fn two_dates_in_a_sentence_are_two() {
    let found = find("The mock-ups by Thursday, and if they come we ship on Friday at ten.", NOW);
    let days: Vec<_> = found.iter().map(|f| f.due.date).collect();
    assert_eq!(days, [date(2026, 11, 26), date(2026, 11, 27)]);
}

#[test]
fn the_turn_of_month_and_year_is_stepped_over() {
    let silvester = datetime(2026, 12, 31, 23, 0, 0, 0);
    let day = |text: &str| find(text, silvester)[0].due.date;
    assert_eq!(day("tomorrow"), date(2027, 1, 1));
    assert_eq!(day("by the end of the month"), date(2026, 12, 31));
    assert_eq!(day("by the 30th"), date(2027, 1, 30));
    assert_eq!(day("in two months"), date(2027, 2, 28));
    assert_eq!(day("by end of next month"), date(2027, 1, 31));
    assert_eq!(day("by Q4"), date(2026, 12, 31));
}

#[test]
fn the_day_is_that_of_the_room_not_of_greenwich() {
    let late_in_london = 1_795_476_600_000; // 2026-11-23T23:30:00Z
    assert_eq!(moment(late_in_london, "Europe/London").date(), date(2026, 11, 23));
    assert_eq!(moment(late_in_london, "Europe/Berlin").date(), date(2026, 11, 24));
    assert_eq!(moment(late_in_london, "Nowhere/Land").date(), date(2026, 11, 23));
    assert_eq!(moment(i64::MAX, "UTC").date(), date(1970, 1, 1));
    // 2026-03-28T23:30:00Z: clocks go forward in Berlin that night.
    assert_eq!(
        resolve("tomorrow at half past two in the morning", 1_774_740_600_000, "Europe/Berlin").unwrap().date,
        date(2026, 3, 30)
    );
    // 2026-10-24T22:30:00Z is already the 25th in Berlin, a day of 25 hours.
    assert_eq!(resolve("in 24 hours", 1_792_881_000_000, "Europe/Berlin").unwrap().date, date(2026, 10, 26));
    assert_eq!(resolve("the second", late_in_london, "UTC").unwrap().date, date(2026, 12, 2));
    assert_eq!(resolve("as soon as possible", late_in_london, "UTC"), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn no_date_lies_before_the_call_and_no_text_panics(
        text in "(\\PC{0,6}|by|the|end of|next|in|at|half past|quarter to|a|two|twenty|week|weeks|from|Monday|Friday|March|May|2nd|31st|second|of|day|noon|10|9:30|pm|2026-13-40|Q1|,|\\.| ){0,14}",
        day in 0..40_000i64,
        minute in 0..1440i64,
    ) {
        let now = moment(day * 86_400_000 + minute * 60_000, "UTC");
        for found in find(&text, now) {
            prop_assert!(found.due.date >= now.date(), "{text}: {found:?}");
            prop_assert!(!found.due.said.is_empty() && text.get(found.range.clone()).is_some_and(|s| s.ends_with(&found.due.said)));
            // What was said means the same when it is read alone, on which the evidence check rests.
            let alone = resolve(&found.due.said, day * 86_400_000 + minute * 60_000, "UTC");
            prop_assert!(alone.is_some(), "{}", found.due.said);
        }
    }
}

#[test]
fn hours_alone_are_read_where_an_appointment_is_looked_for() {
    fn read(text: &str) -> Vec<(&str, String)> {
        super::hours(text).into_iter().map(|(range, time)| (&text[range], time.to_string())).collect()
    }
    for (text, said, hour) in [
        ("Three thirty?", "Three thirty", "15:30:00"),
        ("Eleven's fine.", "Eleven", "11:00:00"),
        ("Could we say eleven?", "eleven", "11:00:00"),
        ("Or half eight.", "half eight", "08:30:00"),
        ("Quarter past four?", "Quarter past four", "16:15:00"),
    ] {
        let found: Vec<_> = read(text).into_iter().map(|(found, time)| (found.trim_end_matches("'s"), time)).collect();
        assert_eq!(found, [(said, hour.to_owned())], "{text}");
    }
    for text in ["I'm on a job till three.", "Three concepts, then.", "That one is good.", "Half a bar of it."] {
        assert!(read(text).is_empty(), "{text}: {:?}", read(text));
    }
}

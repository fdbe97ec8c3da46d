//! When people mean to speak or meet again: "let's talk on Friday", "shall we say eleven?" "Eleven's fine", "half eight tomorrow so".

use jiff::civil::Time;

use super::super::dates;
use super::super::sentences::words;
use super::super::{Due, ItemId, NextMeeting};
use super::patterns::{AGAIN, APPOINTMENT, INSTEAD, MEETS, PROPOSED, SAME_TIME, SUITS, TOGETHER};
use super::{ANSWER_MS, Call, Drawn, REACH, cites, is_question, languages, objects};

/// How far behind a day its hour is looked for, in sentences.
const HOUR_WITHIN: usize = 8;
/// How long one haggles over an hour, in ms.
const HOUR_MS: i64 = 45_000;
/// A sentence that only says day and hour is no longer than this, in words.
const SHORT: usize = 8;
/// What says an hour and means it begins with it, but for so many words.
const LEAD: usize = 1;

/// An hour that was settled on, and the utterances that say so.
struct Hour {
    time: Time,
    cites: Vec<u64>,
}

impl Call<'_, '_> {
    /// When people say that they speak or meet again. What only sounds like it ("how's Thursday?") counts once its hour is
    /// settled.
    pub(super) fn next_meeting(&self, at: usize) -> Option<Drawn<NextMeeting>> {
        let sentence = &self.sentences[at];
        let again = AGAIN.find(sentence.text).or_else(|| languages::AGAIN.find(sentence.text));
        let meets = MEETS.find(sentence.text);
        let certain = again.is_some() || self.takes_appointment(at) || self.fixes(at);
        if !certain && meets.is_none() {
            return None;
        }
        // "If they want more in two years, we can talk again"; "let's talk on Friday, if that works" is meant.
        let lead = again.or(meets).map_or("", |found| &sentence.text[..found.start()]);
        if !is_question(sentence) && words(lead).iter().any(|word| word == "if") {
            return None;
        }
        let mut ids = vec![sentence.id];
        let mut when = if certain { self.day_of_meeting(at, &mut ids)? } else { self.day_behind(at)? };
        let hour = self.hour_of_meeting(at, &when);
        let agreed = self.agreement_on(at, &when).filter(|reply| !ids.contains(&reply.id));
        if is_question(sentence) && ids.len() == 1 && hour.is_none() {
            ids.push(agreed?.id);
        } else {
            ids.extend(agreed.map(|reply| reply.id));
        }
        match hour {
            Some(hour) => {
                if when.time.is_some_and(|said| said != hour.time) {
                    when.said = self.day_alone(at, &when);
                }
                when.time = Some(hour.time);
                ids.extend(hour.cites);
            }
            None if !certain => return None,
            None => when = self.completed(at, when, &ids),
        }
        let topic = self.topic(sentence.text, at);
        let item = NextMeeting { id: ItemId::default(), when, cites: cites(&ids) };
        Some(Drawn { item, at, topic, by: sentence.speaker.to_owned(), withdrawn: false })
    }

    /// The day behind the words that look for a time: "I'm out on Wednesday, so can we do Thursday instead?"
    fn day_behind(&self, at: usize) -> Option<Due> {
        let asked = MEETS.find(self.sentences[at].text)?.start();
        let behind = self.dates[at].iter().find(|found| !found.only_hour && found.range.start >= asked);
        behind.map(|found| found.due.clone()).or_else(|| self.day_in(at))
    }

    /// The words for the day of a date without those for its hour, which did not stay ("Friday, at ten").
    fn day_alone(&self, at: usize, when: &Due) -> String {
        let at = self.transcript.started_ms.saturating_add(self.sentences[at].start_ms);
        let moment = dates::moment(at, &self.transcript.time_zone);
        let parts: Vec<&str> = when.said.split_inclusive(' ').collect();
        let shorter = (1..parts.len()).rev().flat_map(|length| [&parts[..length], &parts[parts.len() - length..]]);
        shorter
            .map(|part| part.concat().trim_matches([' ', ',']).to_owned())
            .find(|part| {
                let found = dates::find(part, moment);
                found.len() == 1
                    && found[0].due.date == when.date
                    && found[0].due.time.is_none()
                    && found[0].due.said == *part
            })
            .unwrap_or_else(|| when.said.clone())
    }

    /// The day that a sentence names itself.
    fn day_in(&self, at: usize) -> Option<Due> {
        self.dates[at].iter().find(|found| !found.only_hour).map(|found| found.due.clone())
    }

    /// The day of a meeting: in its sentence, or shortly behind it ("when do we speak again?" "Wednesday at ten").
    fn day_of_meeting(&self, at: usize, ids: &mut Vec<u64>) -> Option<Due> {
        if let Some(found) = self.dates[at].first() {
            return Some(found.due.clone());
        }
        let place = (at + 1..self.sentences.len().min(at + 3)).find(|place| !self.dates[*place].is_empty())?;
        let reply = &self.sentences[place];
        let near = reply.start_ms - self.sentences[at].start_ms <= ANSWER_MS && reply.words.len() <= SHORT;
        if !near || place > at + 1 && self.sentences[at + 1].words.len() > SHORT {
            return None;
        }
        ids.push(reply.id);
        self.dates[place].first().map(|found| found.due.clone())
    }

    /// The hour on which people settle for a day: the last one that is agreed to, or that somebody states in few words. "Say two?"
    /// "I'm on a job till three. Three thirty?" "Three thirty, perfect."
    fn hour_of_meeting(&self, at: usize, when: &Due) -> Option<Hour> {
        let asked = &self.sentences[at];
        let mut settled = None;
        for place in at..self.sentences.len().min(at + HOUR_WITHIN) {
            let sentence = &self.sentences[place];
            let days = || self.dates[place].iter().filter(|found| !found.only_hour);
            let other_day = days().next().is_some() && days().all(|found| found.due.date != when.date);
            if sentence.start_ms - asked.start_ms > HOUR_MS || place > at && other_day {
                break;
            }
            if place <= at + 1 && SAME_TIME.is_match(sentence.text) {
                settled = Some(Hour { time: self.hour_of_call(), cites: vec![sentence.id] });
                continue;
            }
            let Some((time, lead)) = self.hour_in(place, when) else { continue };
            let briefly = lead <= LEAD || sentence.words.len() <= SHORT;
            let stated = place == at || briefly && !objects(sentence.text);
            let confirmed = self.confirms_hour(place, time, when);
            if is_question(sentence) && confirmed.is_none() || !is_question(sentence) && !stated {
                continue;
            }
            let cites = [Some(sentence.id), confirmed].into_iter().flatten().collect();
            settled = Some(Hour { time, cites });
        }
        settled
    }

    /// The hour for which this call was meant, which is when it began but for some minutes.
    fn hour_of_call(&self) -> Time {
        let began = dates::moment(self.transcript.started_ms, &self.transcript.time_zone).time();
        let minutes = (i32::from(began.hour()) * 60 + i32::from(began.minute()) + 2) / 5 * 5 % (24 * 60);
        let part = |minutes: i32| i8::try_from(minutes).unwrap_or_default();
        Time::new(part(minutes / 60), part(minutes % 60), 0, 0).unwrap_or(began)
    }

    /// The hour in a sentence, and how many words lead up to it.
    fn hour_in(&self, at: usize, when: &Due) -> Option<(Time, usize)> {
        let sentence = &self.sentences[at];
        let dated = self.dates[at].iter().find(|f| f.due.time.is_some() && (f.only_hour || f.due.date == when.date));
        let (time, start) = match dated {
            Some(found) => (found.due.time?, found.range.start),
            None => dates::hours(sentence.text).pop().map(|(range, time)| (time, range.start))?,
        };
        Some((time, sentence.text[..start].split_whitespace().count()))
    }

    /// The utterance in which somebody agrees to an hour or says it again.
    fn confirms_hour(&self, at: usize, time: Time, when: &Due) -> Option<u64> {
        if let Some(reply) = self.agreement(at) {
            return Some(reply.id);
        }
        // "Quarter past four? I'm off that day, so yes, that suits."
        let next = self.sentences.get(at + 1).filter(|next| SUITS.is_match(next.text) && !is_question(next));
        let again = || {
            let place =
                (at + 1..self.sentences.len()).find(|i| self.sentences[*i].speaker != self.sentences[at].speaker)?;
            let (again, lead) = self.hour_in(place, when)?;
            let reply = &self.sentences[place];
            // "I've the dentist at ten" is no yes to ten.
            (again == time && lead <= LEAD && !objects(reply.text)).then_some(reply)
        };
        next.or_else(again).map(|reply| reply.id)
    }

    /// "Half eight tomorrow so", "Saturday the first at noon, when I give you the keys?": day and hour and little else, behind talk of
    /// meeting on that day.
    fn fixes(&self, at: usize) -> bool {
        let sentence = &self.sentences[at];
        let Some(found) = self.dates[at].iter().find(|f| !f.only_hour && f.due.time.is_some()) else { return false };
        let before = &self.sentences[at.saturating_sub(REACH)..at];
        if is_question(sentence) {
            let invites = before.iter().rev().take(4).any(|s| TOGETHER.is_match(s.text));
            return invites && sentence.words.len() <= 2 * SHORT && self.agreement_on(at, &found.due).is_some();
        }
        sentence.words.len() <= SHORT
            && (at.saturating_sub(REACH)..at).any(|place| {
                let same_day = self.day_in(place).is_some_and(|day| day.date == found.due.date);
                same_day && (MEETS.is_match(self.sentences[place].text) || AGAIN.is_match(self.sentences[place].text))
            })
    }

    /// The hour where only the reply says it ("yes, half past four").
    fn completed(&self, at: usize, mut when: Due, ids: &[u64]) -> Due {
        if when.time.is_some() {
            return when;
        }
        let replies = (at + 1..self.sentences.len().min(at + 4)).filter(|i| ids.contains(&self.sentences[*i].id));
        for found in replies.flat_map(|i| &self.dates[i]).filter(|found| found.due.time.is_some()) {
            if found.only_hour || found.due.date == when.date {
                when.time = found.due.time;
                return when;
            }
        }
        when
    }

    /// "Let's take Friday at two", where an appointment is being looked for.
    pub(super) fn takes_appointment(&self, at: usize) -> bool {
        let sentence = &self.sentences[at];
        let takes =
            PROPOSED.captures(sentence.text).is_some_and(|p| ["take", "say", "make", "do"].contains(&&p["verb"]));
        let timed = self.dates[at].iter().any(|found| found.due.time.is_some());
        takes && timed && self.sentences[at.saturating_sub(REACH)..at].iter().any(|s| APPOINTMENT.is_match(s.text))
    }
}

/// The meeting that was agreed last; it cites the one whose place it takes where it says so.
pub(super) fn later(
    old: Option<Drawn<NextMeeting>>,
    mut new: Drawn<NextMeeting>,
    call: &Call<'_, '_>,
) -> Drawn<NextMeeting> {
    let Some(old) = old else { return new };
    let same_day = old.item.when.date == new.item.when.date;
    if same_day {
        new.item.when.time = new.item.when.time.or(old.item.when.time);
        if new.item.when.time == old.item.when.time && old.item.when.time.is_some() {
            new.item.when = old.item.when.clone();
        }
    }
    if same_day || INSTEAD.is_match(call.sentences[new.at].text) {
        new.item.cites = cites(&[old.item.cites.as_slice(), &new.item.cites].concat());
    }
    new
}

#[cfg(test)]
mod tests {
    use jiff::civil::{Date, Time, date, time};

    use crate::eval::calls::call;
    use crate::notes::ExtractiveWriter;

    fn next(said: &[(&str, &str)]) -> Option<(Date, Option<Time>)> {
        let meeting = ExtractiveWriter.write(&call(said)).next_meeting?;
        Some((meeting.when.date, meeting.when.time))
    }

    // The call is on Monday, 23 November 2026, at half past three.
    #[test]
    fn people_settle_on_day_and_hour_in_many_ways() {
        let friday = date(2026, 11, 27);
        for (said, hour) in [
            (
                vec![
                    ("Bob", "And then let's touch base. How's Friday, say two o'clock?"),
                    ("Ruth", "I'm on a job till three. Three thirty?"),
                    ("Bob", "Three thirty, perfect."),
                ],
                time(15, 30, 0, 0),
            ),
            (
                vec![
                    ("Bob", "So will we talk again on Friday, at ten?"),
                    ("Ruth", "I've the dentist at ten. Could we say eleven?"),
                    ("Bob", "Eleven's fine."),
                ],
                time(11, 0, 0, 0),
            ),
            (
                vec![
                    ("Bob", "I could be with you on Friday, say half eight?"),
                    ("Ruth", "Let me think."),
                    ("Bob", "Half eight on Friday so."),
                    ("Ruth", "Grand."),
                ],
                time(8, 30, 0, 0),
            ),
            (vec![("Bob", "Let's talk on Friday at two, if that works."), ("Ruth", "It does.")], time(14, 0, 0, 0)),
            (
                vec![
                    ("Bob", "I'm out on Thursday, so can we do Friday instead, same time?"),
                    ("Ruth", "Friday at two works."),
                ],
                time(14, 0, 0, 0),
            ),
            (
                vec![
                    ("Bob", "I'll write it up tonight, and we go over it on Friday at eleven?"),
                    ("Ruth", "Friday at eleven, yep."),
                ],
                time(11, 0, 0, 0),
            ),
            (
                vec![
                    ("Bob", "Shall we do the inventory together?"),
                    ("Ruth", "Yes. Friday at noon, when I give you the keys?"),
                    ("Bob", "Noon on Friday."),
                ],
                time(12, 0, 0, 0),
            ),
        ] {
            assert_eq!(next(&said), Some((friday, Some(hour))), "{said:?}");
        }
    }

    #[test]
    fn talk_of_days_and_hours_is_no_meeting_by_itself() {
        for said in [
            vec![("Bob", "How's Friday for the delivery?"), ("Ruth", "The van is full.")],
            vec![("Bob", "I could come over on Friday."), ("Ruth", "I'm away.")],
            vec![("Bob", "If they want more in two years, we can talk again."), ("Ruth", "Works for me.")],
            vec![("Bob", "The shop closes on Friday at eight."), ("Ruth", "Okay.")],
        ] {
            assert_eq!(next(&said), None, "{said:?}");
        }
    }
}

//! What a sentence may be: a decision, something to do, a deadline, a question, an appointment, a name. Patterns over what
//! was said, with what others answered and with what was said later: the last word wins, and both are cited.

mod actions;
mod clauses;
mod conclusions;
mod decisions;
mod languages;
mod meetings;
mod names;
mod patterns;
mod plans;
mod proposals;
mod questions;
mod requests;

use std::collections::HashSet;

use super::dates::{self, Found as FoundDate};
use super::roots::root;
use super::sentences::{Sentence, is_stop_word, words};
use super::{Action, Cited, Deadline, Due, Name, NextMeeting, Transcript};
use patterns::{BUT, NO_BUT, SMALL_TALK, YES};

/// All that was found in a transcript, each kind in the order of the call.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) decisions: Vec<Cited>,
    pub(super) actions: Vec<Action>,
    pub(super) questions: Vec<Cited>,
    pub(super) deadlines: Vec<Deadline>,
    pub(super) names: Vec<Name>,
    pub(super) next_meeting: Option<NextMeeting>,
}

/// How many sentences of others behind one are looked at for an answer.
const ANSWERS: usize = 3;
/// How long one waits for an answer, in ms.
const ANSWER_MS: i64 = 30_000;
/// How far back "it" and "that" reach, in sentences.
const REACH: usize = 10;

/// Whether a sentence is greeting, thanks or a test of the line.
pub(super) fn is_small_talk(sentence: &Sentence<'_>) -> bool {
    SMALL_TALK.is_match(sentence.text)
}

/// A call as its candidates are looked for: sentences in order without those for the machine.
struct Call<'s, 'a> {
    sentences: &'s [Sentence<'a>],
    /// Names of those in the call.
    speakers: &'s [String],
    /// The dates in each sentence.
    dates: Vec<Vec<FoundDate>>,
    transcript: &'s Transcript,
}

/// Something found, with what later sentences need to find it again.
struct Drawn<T> {
    item: T,
    /// Sentence.
    at: usize,
    /// Telling roots without those of its date.
    topic: HashSet<String>,
    /// Who said it or took it on.
    by: String,
    /// Taken back; may be revived by "I'll do it on Monday instead".
    withdrawn: bool,
}

/// Looks through all sentences (in order, without what was said to the machine). `speakers`: the names of those in the call.
pub(super) fn find(transcript: &Transcript, sentences: &[Sentence<'_>], speakers: &[String]) -> Found {
    let dates = sentences
        .iter()
        .map(|s| {
            let at = transcript.started_ms.saturating_add(s.start_ms);
            dates::find(s.text, dates::moment(at, &transcript.time_zone))
        })
        .collect();
    let call = Call { sentences, speakers, dates, transcript };
    let mut actions: Vec<Drawn<Action>> = Vec::new();
    let mut decisions: Vec<Drawn<Cited>> = Vec::new();
    let mut deadlines: Vec<Drawn<Deadline>> = Vec::new();
    let mut meeting: Option<Drawn<NextMeeting>> = None;
    let mut questions: Vec<Cited> = Vec::new();
    for at in 0..sentences.len() {
        call.take_back(at, &mut decisions, &mut actions);
        if let Some(next) = call.next_meeting(at) {
            meeting = Some(meetings::later(meeting.take(), next, &call));
            // "Let's take Friday at two" is decided too.
            if let Some(taken) = call.decision(at).filter(|_| call.takes_appointment(at)) {
                call.decide(&mut decisions, taken);
            }
            continue;
        }
        if call.rescheduled(at, &mut decisions, &mut actions, &mut deadlines, &mut meeting) {
            continue;
        }
        if let Some(decision) = call.decision(at).or_else(|| call.decision_abroad(at)) {
            call.decide(&mut decisions, decision);
            // "The contract ends on the thirty-first, and we're not renewing it."
            for deadline in call.deadlines(at, true) {
                decisions::note_deadline(&mut deadlines, deadline);
            }
            continue;
        }
        let mut found = call.actions(at);
        if found.is_empty() {
            found.extend(call.action_abroad(at));
        }
        if found.is_empty() {
            let mut dated = call.deadlines(at, false);
            if dated.is_empty() {
                dated.extend(call.answered_when(at).or_else(|| call.deadline_abroad(at)));
            }
            if dated.is_empty() {
                call.question(at, &mut questions);
            }
            for deadline in dated {
                decisions::note_deadline(&mut deadlines, deadline);
            }
        }
        // "I'm off from the tenth, so somebody has to cover for me."
        for deadline in call.deadlines(at, false).into_iter().filter(|_| !found.is_empty()) {
            if found.iter().all(|action| action.item.due.as_ref() != Some(&deadline.item.due)) {
                decisions::note_deadline(&mut deadlines, deadline);
            }
        }
        for action in found {
            call.take_on(&mut actions, action);
        }
    }
    Found {
        decisions: decisions.into_iter().filter(|d| !d.withdrawn).map(|d| d.item).collect(),
        names: call.names(&actions),
        actions: actions.into_iter().filter(|a| !a.withdrawn).map(|a| a.item).collect(),
        questions,
        deadlines: deadlines.into_iter().filter(|d| !d.withdrawn).map(|d| d.item).collect(),
        next_meeting: meeting.map(|m| m.item),
    }
}

impl<'s, 'a> Call<'s, 'a> {
    /// What others said shortly behind a sentence, nearest first.
    fn replies(&self, at: usize) -> impl Iterator<Item = &'s Sentence<'a>> {
        let asked = &self.sentences[at];
        self.sentences[at + 1..]
            .iter()
            .take_while(move |s| s.start_ms - asked.start_ms <= ANSWER_MS)
            .filter(move |s| s.speaker != asked.speaker)
            .take(ANSWERS)
    }

    /// The reply by which another agrees, if the first thing that another says is that.
    fn agreement(&self, at: usize) -> Option<&'s Sentence<'a>> {
        let agrees = |reply: &Sentence<'_>| YES.is_match(reply.text) && !objects(reply.text) && !is_question(reply);
        let mut replies = self.replies(at);
        let first = replies.next()?;
        if agrees(first) {
            return Some(first);
        }
        if self.echoes(at, first) {
            return Some(first);
        }
        // "Finally. Yes."
        let is_short = first.words.len() <= 2 && !is_question(first) && !objects(first.text);
        replies.next().filter(|second| is_short && second.id == first.id && agrees(second))
    }

    /// "Seventeen, I'd say." "Seventeen, fine.": a reply that says the same again, and nothing else, agrees.
    fn echoes(&self, at: usize, reply: &Sentence<'_>) -> bool {
        const AGREES: &[&str] =
            &["fine", "perfect", "good", "great", "grand", "sure", "works", "lovely", "then", "okay", "yeah", "please"];
        let said = &self.sentences[at].words;
        let mut telling = reply.words.iter().filter(|w| !is_stop_word(w) && !AGREES.contains(&w.as_str())).peekable();
        reply.words.len() <= 7
            && !is_question(reply)
            && !objects(reply.text)
            && telling.peek().is_some()
            && telling.all(|word| said.contains(word))
    }

    /// As [`Self::agreement`]; saying the day again agrees too.
    fn agreement_on(&self, at: usize, due: &Due) -> Option<&'s Sentence<'a>> {
        let same_day = |reply: &&Sentence<'_>| {
            let place = self.sentences.iter().position(|s| std::ptr::eq(s, *reply));
            !objects(reply.text)
                && place.is_some_and(|place| self.dates[place].iter().any(|found| found.due.date == due.date))
        };
        self.agreement(at).or_else(|| self.replies(at).next().filter(same_day))
    }

    /// Telling roots of a text said in a sentence, without those of dates.
    fn topic(&self, text: &str, at: usize) -> HashSet<String> {
        let dated: HashSet<String> = self.dates[at].iter().flat_map(|found| words(&found.due.said)).collect();
        let all = words(text);
        all.iter().filter(|w| !is_stop_word(w) && !dated.contains(*w)).map(|w| root(w)).collect()
    }
}

/// Whether a reply holds a "but" or a denial.
fn objects(text: &str) -> bool {
    BUT.is_match(&NO_BUT.replace_all(text, " "))
}

fn is_question(sentence: &Sentence<'_>) -> bool {
    sentence.text.ends_with(['?', '？'])
}

fn cites(ids: &[u64]) -> Vec<u64> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Share of the smaller topic that both have in common; 0 if one is empty.
fn in_common(a: &HashSet<String>, b: &HashSet<String>) -> f32 {
    let smaller = a.len().min(b.len());
    if smaller == 0 {
        return 0.0;
    }
    a.intersection(b).count() as f32 / smaller as f32
}

#[cfg(test)]
mod tests;

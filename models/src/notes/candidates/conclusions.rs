//! Decisions that say little by themselves: "second of May it is", "roses, then", "take the flat". What they settle was proposed
//! or asked shortly before, and is cited with them.

use std::collections::HashSet;

use crate::number_words;

use super::super::sentences::as_line;
use super::super::{Cited, ItemId};
use super::patterns::{
    AS_IT_IS, CONCLUDES, CONCLUDES_NOTHING, CONCLUDES_SO, IT_IS, OPEN, PREFERRED, PROPOSED, SETTLES, TRIGGER,
    UNDECIDED, YES,
};
use super::{ANSWER_MS, Call, Drawn, cites, is_question};

/// How far back what is settled was proposed or asked, in sentences.
const REACH: usize = 5;
/// Longer sentences say what they decide by other words.
const LONGEST: usize = 14;

impl Call<'_, '_> {
    /// A conclusion, with what it concludes.
    pub(super) fn conclusion(&self, at: usize) -> Option<Drawn<Cited>> {
        let sentence = &self.sentences[at];
        let text = sentence.text;
        let clearly = CONCLUDES.is_match(text);
        if !(clearly || CONCLUDES_SO.is_match(text))
            || is_question(sentence)
            || sentence.words.len() > LONGEST
            || CONCLUDES_NOTHING.is_match(text)
            || UNDECIDED.is_match(text)
            || OPEN.is_match(text)
        {
            return None;
        }
        let topic = self.topic(text, at);
        // "Okay then" says nothing.
        if topic.is_empty() && self.dates[at].is_empty() && !sentence.words.iter().any(|word| counts(word)) {
            return None;
        }
        let agreed = self.agreement(at).filter(|reply| reply.words.len() <= 4);
        let alone = IT_IS.is_match(text) && !AS_IT_IS.is_match(text) || clearly && agreed.is_some();
        let before = self.settled_by(at, &topic, clearly).or_else(|| alone.then_some(at))?;
        let asked = &self.sentences[before];
        let mut ids = vec![asked.id, sentence.id];
        ids.extend(agreed.map(|reply| reply.id));
        // Alone it would not tell what it is about.
        let said =
            if asked.id == sentence.id { as_line(text) } else { format!("{} {}", as_line(asked.text), as_line(text)) };
        let topic = topic.union(&self.topic(asked.text, before)).cloned().collect();
        let item = Cited { id: ItemId::default(), text: said, cites: cites(&ids) };
        Some(Drawn { item, at, topic, by: sentence.speaker.to_owned(), withdrawn: false })
    }

    /// What a conclusion takes up: the nearest sentence that shares a word or a day with it, if another said it or says yes
    /// to it. Where the words alone are doubtful ("so a buffet"), it must have been a question or a proposal.
    fn settled_by(&self, at: usize, topic: &HashSet<String>, clearly: bool) -> Option<usize> {
        let sentence = &self.sentences[at];
        let same_day = |place: usize| {
            self.dates[at].iter().any(|new| self.dates[place].iter().any(|old| old.due.date == new.due.date))
        };
        let shares = |place: usize| {
            same_day(place)
                || self.topic(self.sentences[place].text, place).iter().any(|w| topic.contains(w))
                || self.sentences[place].words.iter().any(|w| counts(w) && sentence.words.contains(w))
        };
        let of_another = |place: usize| self.sentences[place].speaker != sentence.speaker;
        let from = at.saturating_sub(REACH);
        let taken_up = clearly && self.agreement(at).is_some()
            || (from..at).any(|i| of_another(i) && (shares(i) || YES.is_match(self.sentences[i].text)));
        let denies = sentence.words.iter().any(|word| word == "no");
        (from..at).rev().filter(|_| taken_up).find(|place| {
            let earlier = &self.sentences[*place];
            let offers = is_question(earlier)
                || PREFERRED.is_match(earlier.text)
                || PROPOSED.is_match(earlier.text)
                || same_day(*place)
                || denies;
            let near = sentence.start_ms - earlier.start_ms <= 2 * ANSWER_MS;
            let told = of_another(*place) || is_question(earlier) || clearly && self.agreement(at).is_some();
            near && told && earlier.words.len() >= 3 && shares(*place) && (clearly || offers)
        })
    }

    /// "All samples from December are out." "Agreed, we can't use them."
    pub(super) fn settled_after(&self, at: usize) -> Option<u64> {
        let sentence = &self.sentences[at];
        // A word of agreement is meant for what was said last.
        let reply = self.sentences.get(at + 1).filter(|next| next.speaker != sentence.speaker)?;
        // "Agreed, we can't use them" denies nothing of it.
        let first = reply.text.split(',').next().unwrap_or_default();
        let settles = SETTLES.is_match(first) && !super::objects(first);
        (sentence.words.len() >= 4 && !is_question(sentence) && !TRIGGER.is_match(sentence.text) && settles)
            .then_some(reply.id)
    }
}

/// Whether a word is a number or the number of a day.
fn counts(word: &str) -> bool {
    word.split('-').all(|part| number_words::cardinal(part).is_some() || number_words::ordinal(part).is_some())
}

//! Decisions that say little by themselves: "second of May it is", "roses, then", "take the flat". What they settle was proposed
//! or asked shortly before, and is cited with them.

use std::collections::HashSet;

use crate::number_words;

use super::super::roots::root;
use super::super::sentences::{as_line, words};
use super::super::{Cited, ItemId};
use super::patterns::{
    AS_IT_IS, CONCLUDES, CONCLUDES_NOTHING, CONCLUDES_SO, FOLLOWS, IT_IS, KEEPS, NO_BUT, NONE, OPEN, PREFERRED,
    PROPOSED, SAYS_AGAIN, SETTLES, SMALL_TALK, STATES, THEN_ASKED, TRIGGER, UNDECIDED, WANTS, WILL_DO, YES,
};
use super::{ANSWER_MS, Call, Drawn, Sentence, cites, in_common, is_question, plans};

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
            || TRIGGER.captures(text).is_some_and(|trigger| trigger.name("me").is_some())
        {
            return None;
        }
        let topic = self.topic(text, at);
        // "Okay then" says nothing.
        if topic.is_empty() && self.dates[at].is_empty() && !sentence.words.iter().any(|word| counts(word)) {
            return None;
        }
        let agreed = self.agreement(at).filter(|reply| reply.words.len() <= 4);
        // "Take a photo of it." "Will do.": a task.
        if self.command(at).is_some() && agreed.is_some_and(|reply| WILL_DO.is_match(reply.text)) {
            return None;
        }
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

    /// "So dual writes, then. We write to both." "Yeah, agreed.": what follows from the talk, told or asked, and another says yes.
    pub(super) fn follows(&self, at: usize) -> Option<Drawn<Cited>> {
        let sentence = &self.sentences[at];
        if let Some(asked) = self.then_asked(at) {
            return Some(asked);
        }
        let found = FOLLOWS.captures(sentence.text)?;
        let verb = found.name("verb").map_or_else(String::new, |verb| verb.as_str().to_lowercase());
        let idle = found.name("ing").is_some()
            || verb == "don"
            || plans::is_past(&verb)
            || plans::NOT_DECIDED.contains(&verb.as_str());
        if idle
            || sentence.words.len() < 4
            || UNDECIDED.is_match(sentence.text)
            || CONCLUDES_NOTHING.is_match(sentence.text)
        {
            return None;
        }
        // "Okay, so the island is out": said plainly, it is enough that nobody objects.
        let plain = STATES.is_match(sentence.text) && !is_question(sentence) && self.is_unopposed(at);
        let reply = self.agreement(at).or_else(|| plain.then_some(sentence))?;
        let before = self.referred_to(at).filter(|_| self.topic(sentence.text, at).len() < 2);
        Some(self.agreed(at, before, reply.id))
    }

    /// "Fridays, then?" "Yeah, that suits me better."; "so no tanker?" "No tanker."
    fn then_asked(&self, at: usize) -> Option<Drawn<Cited>> {
        let sentence = &self.sentences[at];
        if !THEN_ASKED.is_match(sentence.text) || self.topic(sentence.text, at).is_empty() {
            return None;
        }
        let denied = sentence.words.iter().any(|word| word == "no");
        let topic = self.topic(sentence.text, at);
        let echo = |reply: &&Sentence<'_>| {
            denied
                && reply.words.iter().any(|word| word == "no")
                && reply.words.iter().any(|word| topic.contains(&root(word)))
        };
        let reply = self.agreement(at).or_else(|| self.replies(at).next().filter(echo))?;
        Some(self.agreed(at, self.referred_to(at), reply.id))
    }

    /// "Seven years would be dearer." "Nah, keep it at five." "You got it."
    pub(super) fn keeps(&self, at: usize) -> Option<Drawn<Cited>> {
        let sentence = &self.sentences[at];
        let found = KEEPS.captures(sentence.text).filter(|_| !is_question(sentence))?;
        let idle = found.name("not").is_some_and(|verb| {
            ["worry", "forget", "ask", "know", "think", "mind", "be", "get", "tell"].contains(&verb.as_str())
        });
        // "Leave that with me" takes something on.
        let idle =
            idle || sentence.words.windows(2).any(|w| w[0] == "with" && ["me", "you", "us"].contains(&w[1].as_str()));
        let pronoun = ["it", "that", "them", "this"].iter().any(|word| sentence.words.iter().any(|w| w == word));
        let before = self.referred_to(at).filter(|_| pronoun);
        let denied = found.name("not").is_some();
        // "Okay, I don't touch it" agrees with "don't rewrap it".
        let obeys =
            || self.replies(at).next().filter(|reply| denied && YES.is_match(reply.text) && !is_question(reply));
        // "Then why do we go on writing them?" "Me neither. Bin them."
        let alone =
            || Some(sentence).filter(|_| before.is_some() && sentence.words.len() <= 5 && self.is_unopposed(at));
        let reply = self.agreement(at).or_else(obeys).or_else(alone).filter(|_| !idle)?;
        Some(self.agreed(at, before, reply.id))
    }

    /// "Eleven cents? That's a no-brainer. Black core." "Okay, black core.": what another proposed, said again.
    pub(super) fn said_again(&self, at: usize) -> Option<Drawn<Cited>> {
        let sentence = &self.sentences[at];
        let found = SAYS_AGAIN.captures(sentence.text)?;
        let said = found.name("said").or_else(|| found.name("first"))?;
        if sentence.words.iter().any(|word| ["hi", "hello", "hey", "thanks", "bye", "thank"].contains(&word.as_str())) {
            return None;
        }
        // A day or an hour is of an appointment.
        let topic = self.topic(said.as_str(), at);
        let numbers = words(said.as_str()).iter().all(|word| counts(word));
        if topic.is_empty()
            || numbers
            || TRIGGER.is_match(sentence.text)
            || !self.dates[at].is_empty()
            || is_question(sentence)
            || SMALL_TALK.is_match(sentence.text)
        {
            return None;
        }
        let before = (at.saturating_sub(REACH)..at).rev().find(|place| {
            let earlier = &self.sentences[*place];
            earlier.speaker != sentence.speaker
                && topic.iter().all(|word| self.topic(earlier.text, *place).contains(word))
        })?;
        // The rest of the same turn, or what led up to it, proposes it or asks for it.
        let turn = self.sentences[before].id;
        let proposed = (before.saturating_sub(2)..at)
            .filter(|place| self.sentences[*place].id == turn || *place + 1 == before)
            .any(|place| WANTS.is_match(self.sentences[place].text) || is_question(&self.sentences[place]));
        if !proposed || UNDECIDED.is_match(self.sentences[before].text) {
            return None;
        }
        Some(self.agreed(at, Some(before), sentence.id))
    }

    /// "Are we still doing the student discount?" … "No student discount." "Good."
    pub(super) fn none(&self, at: usize) -> Option<Drawn<Cited>> {
        let sentence = &self.sentences[at];
        if !NONE.is_match(sentence.text) || sentence.words.len() < 3 || NO_BUT.is_match(sentence.text) {
            return None;
        }
        let topic = self.topic(sentence.text, at);
        let before = (at.saturating_sub(2 * REACH)..at)
            .rev()
            .find(|place| in_common(&self.topic(self.sentences[*place].text, *place), &topic) > 0.0)?;
        let reply = self.agreement(at)?;
        Some(self.agreed(at, Some(before), reply.id))
    }

    /// What a sentence decides, with an earlier one that says what it is about and the reply that agrees.
    pub(super) fn agreed(&self, at: usize, before: Option<usize>, reply: u64) -> Drawn<Cited> {
        let sentence = &self.sentences[at];
        let mut ids = vec![sentence.id, reply];
        let mut topic = self.topic(sentence.text, at);
        let mut text = as_line(sentence.text);
        if let Some(before) = before {
            let earlier = &self.sentences[before];
            ids.push(earlier.id);
            topic.extend(self.topic(earlier.text, before));
            text = format!("{} {text}", as_line(earlier.text));
        }
        let item = Cited { id: ItemId::default(), text, cites: cites(&ids) };
        Drawn { item, at, topic, by: sentence.speaker.to_owned(), withdrawn: false }
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

#[cfg(test)]
mod tests {
    use crate::eval::calls::call;
    use crate::notes::ExtractiveWriter;

    fn decided(said: &[(&str, &str)]) -> Vec<Vec<u64>> {
        ExtractiveWriter.write(&call(said)).decisions.into_iter().map(|d| d.cites).collect()
    }

    #[test]
    fn what_follows_from_the_talk_is_decided_where_another_agrees() {
        for (said, cites) in [
            (vec![("Bob", "Then it's the small hall, on both days."), ("Ruth", "Works for me.")], vec![1, 2]),
            (vec![("Bob", "So we print the posters ourselves?"), ("Ruth", "Yep, good.")], vec![1, 2]),
            (
                vec![
                    ("Bob", "Seven years would be dearer."),
                    ("Ruth", "Nah, keep it at five."),
                    ("Bob", "You got it."),
                ],
                vec![1, 2, 3],
            ),
            (
                vec![("Bob", "Then don't paint it, leave it how it is."), ("Ruth", "Okay, I don't touch it.")],
                vec![1, 2],
            ),
            (
                vec![
                    ("Bob", "Are we still doing the raffle this year?"),
                    ("Ruth", "We dropped that."),
                    ("Bob", "No raffle then this year."),
                    ("Ruth", "Good."),
                ],
                vec![1, 3, 4],
            ),
            (vec![("Bob", "Which colour, though?"), ("Ruth", "Navy, I'd say."), ("Bob", "Navy, fine.")], vec![1, 2, 3]),
            (vec![("Bob", "I'd go to half of them first."), ("Ruth", "That's sensible, let's do that.")], vec![1, 2]),
            (
                vec![("Bob", "Black core is eleven cents more. We could use that."), ("Ruth", "Okay, black core.")],
                vec![1, 2],
            ),
            (
                vec![
                    ("Bob", "Tuesdays or Fridays for the van?"),
                    ("Ruth", "I'm never in on Tuesdays."),
                    ("Bob", "The small van, then?"),
                    ("Ruth", "Yeah, that suits me better."),
                ],
                vec![1, 2, 3, 4],
            ),
            (
                vec![
                    ("Bob", "The film works without the rain."),
                    ("Ruth", "So no tanker?"),
                    ("Bob", "No tanker, no rain."),
                ],
                vec![1, 2, 3],
            ),
            (
                vec![
                    ("Bob", "I don't see why we'd go on with the quizzes."),
                    ("Ruth", "Me neither. Bin them."),
                    ("Bob", "Music to my ears."),
                ],
                vec![1, 2],
            ),
            (
                vec![
                    ("Bob", "I was only keeping the island for my sister."),
                    ("Ruth", "Okay, so the island is out."),
                    ("Bob", "That saves a lot of space."),
                ],
                vec![1, 2],
            ),
            (vec![("Bob", "Could we roll back?"), ("Ruth", "Let's not roll back."), ("Bob", "True.")], vec![2, 3]),
        ] {
            assert_eq!(decided(&said), [cites], "{said:?}");
        }
    }

    #[test]
    fn what_only_sounds_like_a_conclusion_decides_nothing() {
        for said in [
            vec![("Bob", "Then it's sitting in a drawer somewhere."), ("Ruth", "Yeah, probably.")],
            vec![("Bob", "So we don't know."), ("Ruth", "Right.")],
            vec![("Bob", "Okay, leave that with me."), ("Ruth", "Lovely.")],
            vec![("Bob", "Let's not do this now."), ("Ruth", "Fine.")],
            vec![("Bob", "Let's decide that on Monday."), ("Ruth", "Okay.")],
            vec![("Bob", "Okay, we won't solve that today."), ("Ruth", "No.")],
            vec![("Bob", "It's a Vokera, I know that much."), ("Ruth", "Vokera, okay.")],
            vec![("Bob", "Could we say three thirty?"), ("Ruth", "Three thirty, perfect.")],
            vec![("Bob", "Can you bring the microphone?"), ("Ruth", "Yes, I'll bring it.")],
            vec![("Bob", "So we closed four hundred tickets."), ("Ruth", "Lovely.")],
            vec![("Bob", "She's out this week."), ("Ruth", "Okay.")],
        ] {
            assert!(decided(&said).is_empty(), "{said:?}: {:?}", decided(&said));
        }
    }
}

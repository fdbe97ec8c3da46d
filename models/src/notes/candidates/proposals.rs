//! What is proposed or asked of all, and decided by what others answer: "should we postpone it?" "Yes, let's", "single or
//! double?" "A double, please", "we could skip the demo" "good idea".

use super::super::sentences::as_line;
use super::super::{Cited, ItemId};
use super::patterns::{
    ACCEPTS, DECISIVE, NO_ANSWER, OF_US, OFFERED, OFFERED_MILDLY, PAST_QUESTION, STATES, TAG, TAKEN_BACK, TRIGGER,
    UNDECIDED,
};
use super::{ANSWER_MS, Call, Drawn, Sentence, cites, is_question, objects};

/// An answer that picks one of two is no longer than this, in words.
const LONGEST_CHOICE: usize = 7;
/// What one does with a question that asks for knowledge, not for a decision.
const ASKS_TO_KNOW: &[&str] = &[
    "need",
    "have",
    "know",
    "want",
    "get",
    "agree",
    "expect",
    "owe",
    "hear",
    "see",
    "going",
    "recording",
    "talking",
    "missing",
    "looking",
    "allowed",
    "be",
    "think",
    "start",
    "begin",
    "speak",
    "call",
    "mean",
];

impl<'s, 'a> Call<'s, 'a> {
    /// The first thing that another says behind a sentence, if nobody says more than one sentence in between.
    fn answer(&self, at: usize) -> Option<&'s Sentence<'a>> {
        let said = &self.sentences[at];
        let behind = &self.sentences[at + 1..];
        let place = behind.iter().position(|s| s.speaker != said.speaker).filter(|place| *place < 2)?;
        Some(&behind[place]).filter(|reply| reply.start_ms - said.start_ms <= ANSWER_MS)
    }

    /// Whether nobody speaks against a proposal ("let's freeze it until Monday").
    pub(super) fn is_unopposed(&self, at: usize) -> bool {
        self.answer(at).is_some_and(|reply| {
            !is_question(reply)
                && !objects(reply.text)
                && !NO_ANSWER.is_match(reply.text)
                && !TAKEN_BACK.is_match(reply.text)
        })
    }

    /// A proposal or a question of what to do, with the answer that decides it.
    pub(super) fn decided_by_answer(&self, at: usize) -> Option<Drawn<Cited>> {
        let sentence = &self.sentences[at];
        if sentence.words.len() < 3 || UNDECIDED.is_match(sentence.text) {
            return None;
        }
        let reply = self.answer(at)?;
        if is_question(reply) || NO_ANSWER.is_match(reply.text) {
            return None;
        }
        if self.offers(at) {
            return Some(self.with_answer(at, reply, false));
        }
        if self.stays(at) {
            // "So B's out": what it is about was said before.
            let before = self.referred_to(at).filter(|_| self.topic(sentence.text, at).len() < 2);
            return Some(self.agreed(at, before, reply.id));
        }
        if self.asks_of_us(sentence) && DECISIVE.is_match(reply.text) || self.chooses(sentence, reply) {
            return Some(self.with_answer(at, reply, true));
        }
        None
    }

    /// "How about the blue one?" "Fine by me." "We could skip it." "Good idea."
    fn offers(&self, at: usize) -> bool {
        let sentence = &self.sentences[at];
        let Some(reply) = self.answer(at) else { return false };
        let accepted = ACCEPTS.is_match(reply.text) && !objects(reply.text);
        let plainly = OFFERED.is_match(sentence.text) && (accepted || self.agreement(at).is_some());
        plainly || accepted && OFFERED_MILDLY.is_match(sentence.text)
    }

    /// "The rent stays as it is until March, right?" "Right."
    fn stays(&self, at: usize) -> bool {
        let sentence = &self.sentences[at];
        let asks = !is_question(sentence) || TAG.is_match(sentence.text);
        let of_a_person =
            ["he's", "she's", "i'm", "you're"].iter().any(|who| sentence.words.iter().any(|word| word == who));
        asks && !of_a_person
            && STATES.is_match(sentence.text)
            && !TRIGGER.is_match(sentence.text)
            && self.agreement(at).is_some()
    }

    /// "Are we doing presents this year?", "should we invite them?"
    fn asks_of_us(&self, sentence: &Sentence<'_>) -> bool {
        is_question(sentence)
            && OF_US.captures(sentence.text).is_some_and(|asked| {
                let verb = asked["verb"].to_lowercase();
                let goes_on = !asked["aux"].eq_ignore_ascii_case("are") || verb.ends_with("ing");
                goes_on && !ASKS_TO_KNOW.contains(&verb.as_str())
            })
    }

    /// "Three years or five?" "Five."
    fn chooses(&self, sentence: &Sentence<'_>, reply: &Sentence<'_>) -> bool {
        let of_two = is_question(sentence)
            && sentence.words.iter().any(|word| word == "or")
            && !PAST_QUESTION.is_match(sentence.text)
            && !["was", "were"].iter().any(|past| sentence.words.iter().any(|word| word == past));
        let telling = |word: &&String| word.chars().count() > 2 && !super::is_stop_word(word);
        // "Roses are cheaper" argues.
        let argues =
            reply.words.iter().any(|w| ["is", "are", "was", "were", "has", "have", "costs"].contains(&w.as_str()));
        of_two
            && !argues
            && reply.words.len() <= LONGEST_CHOICE
            && reply.words.iter().filter(telling).any(|word| sentence.words.contains(word))
    }

    /// `with_words`: the answer says what was decided, not only that.
    fn with_answer(&self, at: usize, reply: &Sentence<'_>, with_words: bool) -> Drawn<Cited> {
        let sentence = &self.sentences[at];
        let mut topic = self.topic(sentence.text, at);
        let mut said = as_line(sentence.text);
        if with_words {
            let place =
                (at + 1..self.sentences.len()).find(|place| std::ptr::eq(&raw const self.sentences[*place], reply));
            topic.extend(place.map(|place| self.topic(reply.text, place)).unwrap_or_default());
            said = format!("{said} {}", as_line(reply.text));
        }
        let item = Cited { id: ItemId::default(), text: said, cites: cites(&[sentence.id, reply.id]) };
        Drawn { item, at, topic, by: sentence.speaker.to_owned(), withdrawn: false }
    }
}

#[cfg(test)]
mod tests {
    use crate::eval::calls::call;
    use crate::notes::ExtractiveWriter;

    fn decided(said: &[(&str, &str)]) -> Vec<(String, Vec<u64>)> {
        ExtractiveWriter.write(&call(said)).decisions.into_iter().map(|d| (d.text, d.cites)).collect()
    }

    #[test]
    fn an_answer_decides_what_was_proposed_or_asked_of_all() {
        for (said, wanted) in [
            (
                vec![("Bob", "Should we postpone the concert?"), ("Ruth", "Yes, it's safer.")],
                ("Should we postpone the concert?", vec![1, 2]),
            ),
            (
                vec![("Bob", "How about the blue curtains?"), ("Ruth", "Fine by me.")],
                ("How about the blue curtains?", vec![1, 2]),
            ),
            (vec![("Bob", "We could skip the demo."), ("Ruth", "Good idea.")], ("We could skip the demo.", vec![1, 2])),
            (
                vec![("Bob", "Are we printing flyers this year?"), ("Ruth", "No, nobody reads them.")],
                ("Are we printing flyers this year? No, nobody reads them.", vec![1, 2]),
            ),
            (
                vec![("Bob", "A single or a double room?"), ("Ruth", "A double, please.")],
                ("A single or a double room? A double, please.", vec![1, 2]),
            ),
            (
                vec![("Bob", "The fee stays at forty euros, right?"), ("Ruth", "Right.")],
                ("The fee stays at forty euros, right?", vec![1, 2]),
            ),
            (
                vec![("Bob", "Let's freeze the deployments."), ("Ruth", "The cluster needs the rest.")],
                ("Let's freeze the deployments.", vec![1]),
            ),
            (
                vec![("Bob", "Let's not print any posters this time."), ("Ruth", "Agreed.")],
                ("Let's not print any posters this time.", vec![1, 2]),
            ),
        ] {
            assert_eq!(decided(&said), [(wanted.0.to_owned(), wanted.1)]);
        }
    }

    #[test]
    fn what_is_doubted_refused_or_asked_to_know_decides_nothing() {
        for said in [
            vec![("Bob", "Should we postpone the concert?"), ("Ruth", "I don't know.")],
            vec![("Bob", "Should we postpone the concert?"), ("Ruth", "Why should we?")],
            vec![("Bob", "Let's freeze the deployments."), ("Ruth", "But the customers are waiting.")],
            vec![("Bob", "Let's freeze the deployments."), ("Ruth", "Until when?")],
            vec![("Bob", "We could skip the demo."), ("Ruth", "The demo took an hour.")],
            vec![("Bob", "Do we need a permit?"), ("Ruth", "No, we have one.")],
            vec![("Bob", "Did you come by train or by car?"), ("Ruth", "By train.")],
            vec![("Bob", "Are we recording this?"), ("Ruth", "Yes, since noon.")],
            vec![("Bob", "The office is closed on Sundays."), ("Ruth", "I see.")],
        ] {
            assert_eq!(decided(&said), [], "{said:?}");
        }
    }
}

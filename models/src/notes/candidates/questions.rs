//! Questions that nobody answered.

use std::sync::LazyLock;

use regex::Regex;

use super::super::sentences::as_line;
use super::super::{Cited, ItemId};
use super::patterns::{HEDGED, KNOWS_NOT, NO_ANSWER, OPEN, PUT_OFF, SMALL_TALK, TRIGGER};
use super::{ANSWER_MS, ANSWERS, Call, Sentence, cites, is_question, languages};

/// "What about prices?"
static BARE_ABOUT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)^\W*(?:(?:and|so|but|okay|now|then)\W+)*(?:what|how) about (?:[\w'’-]+ ){0,2}[\w'’-]+\?$")
        .expect("a test compiles this constant pattern")
});

/// Within how many sentences, and how long, what was asked is put off.
const PUT_OFF_WITHIN: usize = 14;
const PUT_OFF_MS: i64 = 60_000;

impl Call<'_, '_> {
    /// Adds the question that a sentence asks, if it stays open.
    pub(super) fn question(&self, at: usize, questions: &mut Vec<Cited>) {
        let sentence = &self.sentences[at];
        let stated = OPEN.is_match(sentence.text) && !is_question(sentence) && sentence.words.len() > 5;
        if !(is_question(sentence) || stated) || sentence.words.len() < 3 || SMALL_TALK.is_match(sentence.text) {
            return;
        }
        let mut ids = vec![sentence.id];
        let requests = TRIGGER.captures(sentence.text).is_some_and(|trigger| trigger.name("you").is_some());
        if requests && self.agreement(at).is_some() {
            return;
        }
        if !stated {
            // "Depends what they give us, doesn't it?"
            if self.is_reply(at) && NO_ANSWER.is_match(sentence.text) {
                return;
            }
            let Some(open) = self.left_open(at) else { return };
            ids.extend(open);
        } else if sentence.words.len() <= 7 && self.is_reply(at) {
            // "I don't know who" answers a question that stands there already.
            return;
        }
        match questions.last_mut().filter(|last| self.asked_in_one_breath(last, at)) {
            Some(last) => {
                last.text = format!("{} {}", last.text, as_line(sentence.text));
                last.cites = cites(&[last.cites.as_slice(), &ids].concat());
            }
            None => questions.push(Cited { id: ItemId::default(), text: self.as_asked(at), cites: cites(&ids) }),
        }
    }

    /// What others said to a question that they left open; `None` if they, or the asker himself, answered it.
    fn left_open(&self, at: usize) -> Option<Vec<u64>> {
        // Another who says anything that is neither a question nor "don't know" answers it.
        let mut short: Option<u64> = None;
        let mut guessed = false;
        for reply in self.replies_at_length(at) {
            let first = reply.words.first().map_or("", String::as_str);
            if ["yes", "yeah", "yep"].contains(&first) && !HEDGED.is_match(reply.text) {
                return None;
            }
            if short.is_some_and(|before| before != reply.id) {
                return self.put_off(at);
            }
            // "I don't know, fifty pounds?"
            if is_question(reply) && reply.text.contains("know, ") {
                return self.put_off(at);
            }
            if NO_ANSWER.is_match(reply.text) || languages::NO_ANSWER.is_match(reply.text) {
                return Some(vec![reply.id]);
            }
            if is_question(reply) {
                continue;
            }
            // A guess answers too, unless somebody says that he does not know.
            if HEDGED.is_match(reply.text) {
                guessed = true;
                continue;
            }
            // "Could be. I honestly couldn't tell you."
            if reply.words.len() <= 3 && short.is_none() {
                short = Some(reply.id);
            } else if first != "no" && self.gives_up(reply) {
                return Some(vec![reply.id]);
            } else {
                return self.put_off(at);
            }
        }
        let off = self.put_off(at);
        if short.is_some() || guessed { off } else { Some(off.unwrap_or_default()) }
    }

    /// Whether one who replies ends with "I have no idea", whatever he began with.
    fn gives_up(&self, reply: &Sentence<'_>) -> bool {
        let rest = self.sentences.iter().skip_while(|s| !std::ptr::eq(*s, reply)).take_while(|s| s.id == reply.id);
        rest.take(ANSWERS).any(|s| KNOWS_NOT.is_match(s.text))
    }

    /// As [`Call::replies`], and those behind answers that are only guessed.
    fn replies_at_length(&self, at: usize) -> impl Iterator<Item = &Sentence<'_>> {
        let asked = &self.sentences[at];
        let mut left = ANSWERS;
        self.sentences[at + 1..]
            .iter()
            .take_while(move |s| s.start_ms - asked.start_ms <= ANSWER_MS)
            .filter(move |s| s.speaker != asked.speaker)
            .take_while(move |s| {
                let go_on = left > 0;
                left -= usize::from(go_on && !HEDGED.is_match(s.text));
                go_on
            })
    }

    /// The utterance that puts off what was asked before anything else is: "let's decide that on Monday".
    fn put_off(&self, at: usize) -> Option<Vec<u64>> {
        let asked = &self.sentences[at];
        let topic = self.topic(asked.text, at);
        let mut others = false;
        for (place, s) in self.sentences.iter().enumerate().skip(at + 1).take(PUT_OFF_WITHIN) {
            if s.start_ms - asked.start_ms > PUT_OFF_MS {
                return None;
            }
            let same = !topic.is_disjoint(&self.topic(s.text, place));
            // "We park the partitioning" says what of.
            let off = PUT_OFF.find(s.text).is_some_and(|off| same || !others && !off.as_str().ends_with(" the"));
            if off {
                return Some(vec![s.id]);
            }
            others |= s.id != asked.id && is_question(s) && s.words.len() > 2;
        }
        None
    }

    /// A question as it is noted: with the sentence beside it that says what it is about, where it says only "this" or
    /// "that" or nothing but "What about prices?".
    fn as_asked(&self, at: usize) -> String {
        let asked = &self.sentences[at];
        let beside = |place: usize| {
            let told = self.sentences.get(place)?;
            (told.id == asked.id && told.words.len() > 4 && !is_question(told)).then(|| as_line(told.text))
        };
        let points = asked.words.iter().any(|w| ["this", "that", "it", "they", "he", "she"].contains(&w.as_str()));
        if points && self.topic(asked.text, at).len() < 2 {
            let before = at.checked_sub(1).filter(|before| !self.is_reply(*before)).and_then(beside);
            return before.map_or_else(|| as_line(asked.text), |before| format!("{before} {}", as_line(asked.text)));
        }
        let behind = BARE_ABOUT.is_match(asked.text).then(|| beside(at + 1)).flatten();
        behind.map_or_else(|| as_line(asked.text), |behind| format!("{} {behind}", as_line(asked.text)))
    }

    /// Whether a sentence answers a question.
    pub(super) fn is_reply(&self, at: usize) -> bool {
        at.checked_sub(1).is_some_and(|before| {
            is_question(&self.sentences[before]) && self.sentences[before].speaker != self.sentences[at].speaker
        })
    }

    /// "What about prices? Are they going up?" is one question.
    fn asked_in_one_breath(&self, last: &Cited, at: usize) -> bool {
        at.checked_sub(1).is_some_and(|before| {
            let (first, second) = (&self.sentences[before], &self.sentences[at]);
            first.id == second.id && is_question(first) && is_question(second) && last.cites.contains(&first.id)
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::eval::calls::call;
    use crate::notes::ExtractiveWriter;

    fn open(said: &[(&str, &str)]) -> Vec<(String, Vec<u64>)> {
        ExtractiveWriter.write(&call(said)).questions.into_iter().map(|q| (q.text, q.cites)).collect()
    }

    #[test]
    fn hedges_and_deferrals_leave_a_question_open() {
        for reply in [
            "Still nothing. I poked them on Friday and again yesterday.",
            "I wish I knew. I haven't heard a thing from the farm.",
            "There is normally. But that's not my department. I genuinely don't know what they do.",
            "That's above my pay grade, for this you'd want a lawyer.",
            "You might as well be speaking Greek. I have no idea.",
            "Two say no. The third is on a flight, so I couldn't reach him.",
            "I thought that was settled. But I wouldn't bet on it.",
            "Hmm. I haven't seen anything, but let me ask the others.",
            "Depends what they would put up for it.",
            "What that means is anybody's guess. I was in a queue for an hour.",
            "It might be this week, it might be next, I wouldn't like to say.",
            "That's up to Linda in accounts. I'll ask her.",
            "The letter doesn't say. I've read it three times.",
        ] {
            let asked = [("Bob", "Is there a fee for the missed slot? They had us once."), ("Ruth", reply)];
            assert_eq!(open(&asked), [("Is there a fee for the missed slot?".to_owned(), vec![1, 2])], "{reply}");
        }
    }

    #[test]
    fn answers_close_a_question() {
        for reply in [
            "There is, thirty pounds for each slot.",
            "Yes, and nobody knows what it is good for.",
            "No, that was dropped in November.",
            "I don't know, thirty pounds?",
            "I'd say they take thirty pounds.",
            "They stopped that last year.",
        ] {
            let asked = [("Bob", "Is there a fee for the missed slot?"), ("Ruth", reply)];
            assert_eq!(open(&asked), [], "{reply}");
        }
    }

    #[test]
    fn guesses_of_several_answer_nothing_once_the_question_is_put_off() {
        let asked = [
            ("Ada Lovelace", "Are we saying 49 euros or 59? Because the mock-up has one and the sheet the other."),
            ("Bob", "I thought it was 59."),
            ("Ruth", "I'd have said 49. Nobody is swimming in money."),
        ];
        let off = ("Bob", "Let's not do this now, I want to see the survey first.");
        let all = [asked[0], asked[1], asked[2], off];
        assert_eq!(open(&all), [("Are we saying 49 euros or 59?".to_owned(), vec![1, 4])]);
        let other = [
            ("Bob", "Should the second depot start in October?"),
            ("Ruth", "The drivers are ready for it, so yes."),
            ("Bob", "Who pays for the vans?"),
            ("Ruth", "The head office pays for all of them."),
            ("Bob", "Then let's park it for today."),
        ];
        assert!(open(&other).iter().all(|(text, _)| !text.contains("depot")), "{:?}", open(&other));
    }

    #[test]
    fn a_question_is_noted_with_what_it_is_about() {
        let asked = [
            ("Bob", "Our second depot in Breda should start in October. Is it smart to do this?"),
            ("Ruth", "I honestly don't know."),
        ];
        let text = "Our second depot in Breda should start in October. Is it smart to do this?";
        assert_eq!(open(&asked), [(text.to_owned(), vec![1, 2])]);
        let asked =
            [("Bob", "What about partitioning? I wanted to split it by month."), ("Ruth", "I really don't know.")];
        let text = "What about partitioning? I wanted to split it by month.";
        assert_eq!(open(&asked), [(text.to_owned(), vec![1, 2])]);
    }
}

//! Questions that nobody answered.

use super::super::sentences::as_line;
use super::super::{Cited, ItemId};
use super::patterns::{NO_ANSWER, OPEN, SMALL_TALK, TRIGGER};
use super::{Call, cites, is_question, languages};

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
            // An asker who goes on to answer himself, or another who says anything that is neither a question nor "don't
            // know".
            let mut short: Option<u64> = None;
            for reply in self.replies(at) {
                if reply.words.first().is_some_and(|word| ["yes", "yeah", "yep"].contains(&word.as_str())) {
                    return;
                }
                if short.is_some_and(|before| before != reply.id) {
                    return;
                }
                if NO_ANSWER.is_match(reply.text) || languages::NO_ANSWER.is_match(reply.text) {
                    ids.push(reply.id);
                    break;
                }
                // "Could be. I honestly couldn't tell you."
                if !is_question(reply) && reply.words.len() <= 3 && short.is_none() {
                    short = Some(reply.id);
                } else if !is_question(reply) {
                    return;
                }
            }
            if short.is_some() && ids.len() == 1 {
                return;
            }
        } else if sentence.words.len() <= 7 && self.is_reply(at) {
            // "I don't know who" answers a question that stands there already.
            return;
        }
        match questions.last_mut().filter(|last| self.asked_in_one_breath(last, at)) {
            Some(last) => {
                last.text = format!("{} {}", last.text, as_line(sentence.text));
                last.cites = cites(&[last.cites.as_slice(), &ids].concat());
            }
            None => questions.push(Cited { id: ItemId::default(), text: as_line(sentence.text), cites: cites(&ids) }),
        }
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

//! Requests and what people answer to them: how they take them on in words that only point at what was asked, and which day
//! they name for it.

use super::super::sentences::words;
use super::super::{Action, Due, ItemId};
use super::actions::PERSON_DOES;
use super::clauses::{without_due, without_why};
use super::patterns::{COMMAND, REQUEST_TAG, TAKES_OVER, TRIGGER, VOLUNTEERS, WILL_DO, WILL_NOT};
use super::{ANSWER_MS, Call, Drawn, cites, is_question};

/// Words that stand for somebody or something named before.
const POINTS: &[&str] = &["it", "them", "that", "this", "him", "her", "one"];

/// What one is told to do besides what [`PERSON_DOES`] names.
const COMMANDS: &[&str] = &[
    "disable", "turn", "close", "export", "purge", "chase", "forward", "text", "switch", "open", "block", "copy",
    "drop", "hold", "keep",
];
/// How far behind "somebody has to" one takes it on, in sentences.
const VOLUNTEERS_WITHIN: usize = 6;

impl Call<'_, '_> {
    /// Whether a clause ("see to it", "write to them") only points at what is to be done.
    pub(super) fn refers(&self, clause: &[String]) -> bool {
        // "Her mother" and "that report" name it themselves.
        clause.iter().take(4).enumerate().skip(1).any(|(at, word)| {
            let names = ["her", "that", "this", "one"].contains(&word.as_str())
                && clause.get(at + 1).is_some_and(|next| !super::is_stop_word(next));
            POINTS.contains(&word.as_str()) && !names
        })
    }

    /// Whether a sentence asks somebody for something.
    fn requests(&self, at: usize) -> bool {
        TRIGGER.captures_iter(self.sentences[at].text).any(|trigger| {
            trigger.name("you").is_some()
                || trigger.name("please").is_some()
                || trigger.name("name").is_some() && trigger[0].contains("you")
        }) || self.command(at).is_some()
    }

    /// "Then disable his account till he lands": where the verb stands.
    pub(super) fn command(&self, at: usize) -> Option<usize> {
        let sentence = &self.sentences[at];
        let verb = COMMAND.captures(sentence.text)?.name("verb")?;
        let bare = PERSON_DOES.contains(&verb.as_str().to_lowercase().as_str())
            || COMMANDS.contains(&verb.as_str().to_lowercase().as_str());
        let thin = sentence.words.len() < 3 || self.topic(&sentence.text[verb.start()..], at).len() < 2;
        (bare && !thin && !is_question(sentence)).then_some(verb.start())
    }

    /// What another was plainly told to do and takes on: "Take a photo of the label." "Will do."
    pub(super) fn commanded(&self, at: usize) -> Option<Drawn<Action>> {
        let sentence = &self.sentences[at];
        let from = self.command(at)?;
        let reply = self.replies(at).next()?;
        let kept = self.fulfilment(at).map(|place| &self.sentences[place]);
        let taken = kept.or_else(|| Some(reply).filter(|reply| WILL_DO.is_match(reply.text)))?;
        let found = self.dates[at].iter().find(|found| found.range.start >= from);
        let due = found.map(|found| found.due.clone()).or_else(|| self.due_of_fulfilment(at));
        let local = found.map(|found| found.range.start - from..found.range.end - from);
        let text = without_due(without_why(&sentence.text[from..]), local, Some(taken.speaker), self.speakers);
        let topic = self.topic(&text, at);
        let by = taken.speaker.to_owned();
        let item = Action {
            id: ItemId::default(),
            text,
            owner: Some(by.clone()),
            due,
            cites: cites(&[sentence.id, taken.id]),
        };
        Some(Drawn { item, at, topic, by, withdrawn: false })
    }

    /// Who takes on what somebody has to do: "Somebody needs to tell him." "Yeah, I can do that."
    pub(super) fn volunteer(&self, at: usize) -> Option<(u64, &str)> {
        let said = &self.sentences[at];
        let reply = self.sentences[at + 1..]
            .iter()
            .take(VOLUNTEERS_WITHIN)
            .take_while(|s| s.start_ms - said.start_ms <= ANSWER_MS)
            .find(|s| {
                let doubts = WILL_NOT.is_match(s.text) || s.words.iter().any(|word| word == "if");
                s.id != said.id && VOLUNTEERS.is_match(s.text) && !is_question(s) && !doubts
            })?;
        Some((reply.id, reply.speaker))
    }

    /// Where another takes a request on by pointing at it: "Can you renew the insurance?" "Yes, I'll see to it."
    pub(super) fn fulfilment(&self, at: usize) -> Option<usize> {
        let asked = &self.sentences[at];
        let first = (at + 1..self.sentences.len().min(at + 4)).find(|i| self.sentences[*i].speaker != asked.speaker)?;
        let answer = &self.sentences[first];
        if answer.start_ms - asked.start_ms > ANSWER_MS {
            return None;
        }
        (first..self.sentences.len().min(first + 2)).find(|place| {
            let said = &self.sentences[*place];
            let promise = TRIGGER.captures(said.text).filter(|trigger| trigger.name("me").is_some());
            let points = promise
                .and_then(|trigger| trigger.name("verb"))
                .is_some_and(|verb| self.refers(&words(&said.text[verb.start()..])));
            said.id == answer.id && points && !is_question(said) && !WILL_NOT.is_match(said.text)
        })
    }

    /// Whether a promise only takes on what was asked for: the request says what.
    pub(super) fn is_fulfilment(&self, at: usize, clause: &[String]) -> bool {
        self.refers(clause)
            && (at.saturating_sub(4)..at).any(|asked| self.requests(asked) && self.fulfilment(asked) == Some(at))
    }

    /// The day that is named in taking a request on.
    pub(super) fn due_of_fulfilment(&self, at: usize) -> Option<Due> {
        let place = self.fulfilment(at).filter(|_| self.requests(at))?;
        self.dates[place].first().map(|found| found.due.clone())
    }

    /// "I'm in town on Friday anyhow, I'll get them": the only day of the sentence.
    pub(super) fn due_in_front(&self, at: usize, trigger: &regex::Captures<'_>) -> Option<Due> {
        let from = trigger.name("me")?.start();
        let [found] = self.dates[at].as_slice() else { return None };
        (!found.only_hour && found.range.end <= from).then(|| found.due.clone())
    }

    /// "Ask him, would you?" "Will do."
    pub(super) fn tagged(&self, at: usize) -> Option<Drawn<Action>> {
        let sentence = &self.sentences[at];
        let found = REQUEST_TAG.captures(sentence.text)?;
        let (verb, tag) = (found.name("verb")?, found.name("tag")?);
        let agreed = self.agreement(at)?;
        if !PERSON_DOES.contains(&verb.as_str().to_lowercase().as_str()) {
            return None;
        }
        let text = sentence.text[verb.start()..tag.start()].to_owned();
        let due = self.dates[at].first().map(|f| f.due.clone());
        let topic = self.topic(&text, at);
        let by = agreed.speaker.to_owned();
        let item = Action {
            id: ItemId::default(),
            text,
            owner: Some(by.clone()),
            due,
            cites: cites(&[sentence.id, agreed.id]),
        };
        Some(Drawn { item, at, topic, by, withdrawn: false })
    }

    /// "The league wants the squad list by Friday." "Leave that with me."
    pub(super) fn taken_over(&self, at: usize) -> Option<Drawn<Action>> {
        let sentence = &self.sentences[at];
        let before = at.checked_sub(1).filter(|_| TAKES_OVER.is_match(sentence.text))?;
        let wanted = &self.sentences[before];
        let soon = sentence.start_ms - wanted.start_ms <= ANSWER_MS;
        if wanted.speaker == sentence.speaker || is_question(wanted) || wanted.words.len() < 4 || !soon {
            return None;
        }
        // It was asked for already.
        if (at.saturating_sub(4)..at).any(|asked| self.requests(asked) && self.fulfilment(asked) == Some(at)) {
            return None;
        }
        // Somebody said already what is to be done.
        if TRIGGER.is_match(wanted.text) {
            return None;
        }
        let text = wanted.text.trim_end_matches(['.', '!', ' ']).to_owned();
        let due = self.dates[before].first().map(|f| f.due.clone());
        let topic = self.topic(&text, before);
        let by = sentence.speaker.to_owned();
        let item = Action {
            id: ItemId::default(),
            text,
            owner: Some(by.clone()),
            due,
            cites: cites(&[wanted.id, sentence.id]),
        };
        Some(Drawn { item, at, topic, by, withdrawn: false })
    }

    /// The day that the owner names in reply: "please send it." "Tomorrow morning."; or agrees to: "By Friday?" "By Friday."
    pub(super) fn due_in_reply(&self, at: usize, owner: Option<&str>, ids: &mut Vec<u64>) -> Option<Due> {
        let owner = owner?;
        let rest = |place: usize| {
            let said = self.dates[place].first().map_or(0, |found| words(&found.due.said).len());
            self.sentences[place].words.len().saturating_sub(said)
        };
        let dated = |place: &usize| {
            let sentence = &self.sentences[*place];
            let soon = sentence.start_ms - self.sentences[at].start_ms <= ANSWER_MS;
            soon && !self.dates[*place].is_empty() && rest(*place) <= 4 && !TRIGGER.is_match(sentence.text)
        };
        let first = (at + 1..self.sentences.len().min(at + 3)).find(dated)?;
        let (named, said) = (&self.sentences[first], &self.sentences[at]);
        let found = self.dates[first].first()?;
        if is_question(named) && named.speaker != owner {
            let agreed = self.agreement_on(first, &found.due).filter(|reply| reply.speaker == owner)?;
            ids.extend([named.id, agreed.id]);
        } else if !is_question(named) && named.speaker == owner && said.speaker != owner {
            ids.push(named.id);
        } else {
            return None;
        }
        Some(found.due.clone())
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::{Date, date};

    use crate::eval::calls::call;
    use crate::notes::ExtractiveWriter;

    fn actions(said: &[(&str, &str)]) -> Vec<(String, String, Option<Date>)> {
        let notes = ExtractiveWriter.write(&call(said));
        let line = |a: crate::notes::Action| (a.owner.unwrap_or_default(), a.text, a.due.map(|due| due.date));
        notes.actions.into_iter().map(line).collect()
    }

    #[test]
    fn who_takes_a_request_on_by_pointing_at_it_owns_what_was_asked() {
        let friday = Some(date(2026, 11, 27));
        for (asked, answer, wanted) in [
            ("Can you renew the insurance?", "Yes, I'll see to it by Friday.", ("renew the insurance", friday)),
            ("Could you ask the neighbours again?", "I'll call them on Friday.", ("ask the neighbours again", friday)),
            ("Please finish the plan by Friday.", "Okay, I'll have it done.", ("finish the plan", friday)),
        ] {
            let wanted = ("Ruth".to_owned(), wanted.0.to_owned(), wanted.1);
            assert_eq!(actions(&[("Bob", asked), ("Ruth", answer)]), [wanted], "{asked}");
        }
    }

    #[test]
    fn a_promise_of_something_else_stands_for_itself() {
        let both = actions(&[("Bob", "Please have the heating looked at."), ("Ruth", "Okay, I'll send the plumber.")]);
        assert_eq!(both, [("Ruth".to_owned(), "send the plumber".to_owned(), None)]);
        let own = actions(&[("Bob", "The keys came."), ("Ruth", "I'll put them into the safe.")]);
        assert_eq!(own, [("Ruth".to_owned(), "put them into the safe".to_owned(), None)]);
    }

    #[test]
    fn what_one_offers_to_do_is_an_action_once_it_is_wanted() {
        let wanted = actions(&[("Bob", "Shall I write to the council?"), ("Ruth", "Yes please.")]);
        assert_eq!(wanted, [("Bob".to_owned(), "write to the council".to_owned(), None)]);
        assert_eq!(actions(&[("Bob", "Shall I write to the council?"), ("Ruth", "I don't know.")]), []);
    }

    #[test]
    fn what_one_is_told_to_do_and_takes_on_is_an_action() {
        for (told, answer, text) in [
            ("Take a photo of the label on the boiler.", "Will do.", "Take a photo of the label on the boiler"),
            ("Then disable his account.", "I'll do it right after this.", "disable his account"),
            ("Okay, export the mail with its headers.", "Sure, no problem.", "export the mail with its headers"),
        ] {
            assert_eq!(
                actions(&[("Bob", told), ("Ruth", answer)]),
                [("Ruth".to_owned(), text.to_owned(), None)],
                "{told}"
            );
        }
        for (told, answer) in
            [("Take care.", "Will do."), ("Turn it off.", "Why?"), ("Books are dear these days.", "Will do.")]
        {
            assert_eq!(actions(&[("Bob", told), ("Ruth", answer)]), [], "{told}");
        }
    }

    #[test]
    fn what_somebody_has_to_do_is_whose_who_takes_it_on() {
        for answer in ["Yeah, I can do that.", "Okay, give it here.", "I'll do it.", "Leave it with me."] {
            let taken = actions(&[("Bob", "Somebody needs to tell the caterer."), ("Ruth", answer)]);
            assert_eq!(taken, [("Ruth".to_owned(), "tell the caterer".to_owned(), None)], "{answer}");
        }
        for answer in ["I could do it if I get the car.", "I can't do that.", "True."] {
            let open = actions(&[("Bob", "Somebody needs to tell the caterer."), ("Ruth", answer)]);
            assert_eq!(open, [(String::new(), "tell the caterer".to_owned(), None)], "{answer}");
        }
    }
}

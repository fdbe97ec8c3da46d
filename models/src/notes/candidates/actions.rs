//! Things to do: who takes on what until when, and how later words change it.

use std::collections::HashSet;

use super::super::roots::root;
use super::super::sentences::{is_stop_word, words};
use super::super::{Action, Due, ItemId};
use super::clauses::{is_condition, named_at_end, promises_nothing, without_due, without_why};
use super::patterns::{I_DO, NO_ANSWER, THANKS, TRIGGER, WE_DO, WHO_DOES, WILL_NOT};
use super::{ANSWER_MS, Call, Drawn, REACH, cites, in_common, is_question};

/// Words that stand for what was named before.
pub(super) const REFERS: &[&str] = &["it", "them", "that", "this"];

impl Call<'_, '_> {
    /// What a sentence says is to be done.
    pub(super) fn actions(&self, at: usize) -> Vec<Drawn<Action>> {
        let sentence = &self.sentences[at];
        let triggers: Vec<_> = TRIGGER.captures_iter(sentence.text).collect();
        let mut out: Vec<Drawn<Action>> = Vec::new();
        for (index, trigger) in triggers.iter().enumerate() {
            let (Some(whole), Some(verb)) = (trigger.get(0), trigger.name("verb")) else { continue };
            let end =
                triggers.get(index + 1).and_then(|next| next.get(0)).map_or(sentence.text.len(), |next| next.start());
            let clause = without_why(&sentence.text[verb.start()..end]);
            let end = verb.start() + clause.len();
            let found = self.dates[at].iter().find(|f| f.range.start >= verb.start() && f.range.end <= end);
            let clause_words = words(clause);
            if clause_words.len() < 2
                || promises_nothing(&clause_words, found.is_some())
                || self.is_fulfilment(at, &clause_words)
                || is_condition(&sentence.text[..whole.start()])
            {
                continue;
            }
            let mut ids = vec![sentence.id];
            let Some(owner) = self.owner(at, index, trigger, clause, found.is_some(), &mut ids) else { continue };
            let local = found.map(|f| f.range.start - verb.start()..f.range.end - verb.start());
            let text = without_due(clause, local, owner.as_deref(), self.speakers);
            if words(&text).len() < 2 && found.is_none() || words(&text).is_empty() {
                continue;
            }
            let mut due = found.map(|f| f.due.clone());
            if due.is_none() && index + 1 == triggers.len() {
                due = self
                    .due_behind(at, &mut ids)
                    .or_else(|| self.due_of_fulfilment(at))
                    .or_else(|| self.due_in_reply(at, owner.as_deref(), &mut ids))
                    .or_else(|| self.due_in_front(at, trigger));
            }
            let by = owner.clone().unwrap_or_default();
            let topic = self.topic(&text, at);
            let item = Action { id: ItemId::default(), text, owner, due, cites: cites(&ids) };
            out.push(Drawn { item, at, topic, by, withdrawn: false });
        }
        if out.is_empty() {
            out.extend(
                self.taken_on(at)
                    .or_else(|| self.taken_over(at))
                    .or_else(|| self.tagged(at))
                    .or_else(|| self.commanded(at)),
            );
        }
        out
    }

    /// Whose it is: `Some(None)` nobody's, `None` if it is no action at all.
    fn owner(
        &self,
        at: usize,
        index: usize,
        trigger: &regex::Captures<'_>,
        clause: &str,
        dated: bool,
        ids: &mut Vec<u64>,
    ) -> Option<Option<String>> {
        let sentence = &self.sentences[at];
        let agreed = self.agreement(at);
        if trigger.name("me").is_some() {
            return (!(is_question(sentence) && index == 0)).then(|| Some(sentence.speaker.to_owned()));
        }
        if trigger.name("let").is_some() {
            // "Let me see" promises nothing, "let me ring them tomorrow" does.
            let verb = trigger.name("verb").map_or_else(String::new, |verb| verb.as_str().to_lowercase());
            let does = PERSON_DOES.contains(&verb.as_str()) && !HERE_AND_NOW.contains(&verb.as_str());
            let promises = does && (dated || words(clause).len() >= 3);
            return (promises && !is_question(sentence)).then(|| Some(sentence.speaker.to_owned()));
        }
        if trigger.name("shall").is_some() {
            // "Shall I write to her?" "Yes please."
            let wanted = agreed.or_else(|| self.replies(at).next().filter(|reply| THANKS.is_match(reply.text)))?;
            ids.push(wanted.id);
            return is_question(sentence).then(|| Some(sentence.speaker.to_owned()));
        }
        if trigger.name("helper").is_some() {
            let verb = trigger.name("verb").map_or_else(String::new, |verb| verb.as_str().to_lowercase());
            return (!is_question(sentence) && PERSON_DOES.contains(&verb.as_str())).then_some(None);
        }
        if trigger.name("us").is_some() {
            // Of what all will do only that which has its day is sure to be a task.
            return (dated && !is_question(sentence)).then_some(None);
        }
        if trigger.name("can").is_some() {
            let offers = ["i can", "i could"].iter().any(|offer| trigger[0].to_lowercase().starts_with(offer));
            if !offers {
                // "I gotta talk to my husband first": he who has to ask does.
                let verb = trigger.name("verb").map_or_else(String::new, |verb| verb.as_str().to_lowercase());
                let asks = HAS_TO.contains(&verb.as_str()) && words(clause).len() >= 3;
                return ((dated || asks) && !is_question(sentence)).then(|| Some(sentence.speaker.to_owned()));
            }
            // An offer counts once it is taken, or has its day.
            let thanked = self.replies(at).next().filter(|reply| THANKS.is_match(reply.text));
            let taken = agreed.or(thanked).filter(|_| !is_question(sentence));
            ids.extend(taken.map(|reply| reply.id));
            return (taken.is_some() || dated && !is_question(sentence)).then(|| Some(sentence.speaker.to_owned()));
        }
        if trigger.name("you").is_some() || trigger.name("please").is_some() {
            // A name behind the request names who is asked; else it is whose who says yes.
            let named = named_at_end(clause, self.speakers).or_else(|| self.named_at_start(at, trigger));
            if let Some(place) = self.fulfilment(at) {
                let kept = &self.sentences[place];
                if named.as_deref().is_none_or(|name| name == kept.speaker) {
                    ids.push(kept.id);
                    return Some(Some(kept.speaker.to_owned()));
                }
            }
            let taken_up = self.takes_up(at, clause);
            // "Have the heating looked at." "Okay, I'll ask the builder to look at the boiler": that is what will be done.
            let other = agreed.is_some_and(|reply| {
                let promise = TRIGGER.captures(reply.text).filter(|promise| promise.name("me").is_some());
                let clause = promise.and_then(|p| p.name("verb")).map(|verb| words(&reply.text[verb.start()..]));
                clause.is_some_and(|clause| clause[0] != "do" && !promises_nothing(&clause, false))
            });
            if other && taken_up.is_none() {
                return None;
            }
            let answers = agreed.map(|reply| (reply.id, reply.speaker)).or(taken_up);
            if named.is_none() && answers.is_none() {
                return None;
            }
            // "Could you put it there?" – "Sure, I'll add the addendum": the answer says it better.
            let refers = words(clause).get(1).is_some_and(|w| REFERS.contains(&w.as_str()));
            if refers
                && agreed.is_some_and(|reply| {
                    TRIGGER.captures(reply.text).is_some_and(|t| t.name("me").is_some() && &t["verb"] != "do")
                })
            {
                return None;
            }
            let refused = named.is_some() && self.replies(at).next().is_some_and(|r| WILL_NOT.is_match(r.text));
            if refused {
                return None;
            }
            ids.extend(answers.map(|(id, _)| id));
            return Some(named.or_else(|| answers.map(|(_, speaker)| speaker.to_owned())));
        }
        if let Some(name) = trigger.name("name") {
            let verb = trigger.name("verb").map_or("", |v| v.as_str());
            let person = self.person(name.as_str(), verb)?;
            // "Ruth, you know that" asks nothing of her.
            let known = self.speakers.contains(&person) && PERSON_DOES.contains(&verb.to_lowercase().as_str());
            let looks =
                verb == "look" && !["at", "into", "after", "up", "over", "through"].contains(&object(clause).as_str());
            if trigger[0].contains(", you") && (!known || looks) {
                return None;
            }
            // "Finance will tell us" tells that nobody here knows.
            if !self.speakers.contains(&person) && NO_ANSWER.is_match(sentence.text) {
                return None;
            }
            ids.extend(agreed.filter(|reply| reply.speaker == person).map(|reply| reply.id));
            return Some(Some(person));
        }
        let only_says_so = self.is_reply(at) && NO_ANSWER.is_match(sentence.text);
        if is_question(sentence) || only_says_so {
            return None;
        }
        let volunteer = self.volunteer(at);
        ids.extend(volunteer.map(|(id, _)| id));
        Some(volunteer.map(|(_, speaker)| speaker.to_owned()))
    }

    /// "I will send you the confirmation" in answer to "can you send me the confirmation".
    fn takes_up(&self, at: usize, clause: &str) -> Option<(u64, &str)> {
        let asked = self.topic(clause, at);
        let reply = self.replies(at).next()?;
        let trigger = TRIGGER.captures(reply.text).filter(|t| t.name("me").is_some())?;
        let taken = self.topic(&reply.text[trigger.get(0)?.start()..], at);
        (in_common(&asked, &taken) >= 0.5).then_some((reply.id, reply.speaker))
    }

    /// "Who tells marketing?" "I will."
    fn taken_on(&self, at: usize) -> Option<Drawn<Action>> {
        let sentence = &self.sentences[at];
        if !I_DO.is_match(sentence.text) {
            return None;
        }
        let asked_at = (at.saturating_sub(3)..at).rev().find(|i| {
            let asked = &self.sentences[*i];
            asked.speaker != sentence.speaker && is_question(asked) && sentence.start_ms - asked.start_ms <= ANSWER_MS
        })?;
        let asked = &self.sentences[asked_at];
        let who = WHO_DOES.captures(asked.text)?;
        let verb = who.name("verb")?;
        let text = asked.text[verb.start()..].trim_end_matches(['?', ' ']);
        if promises_nothing(&words(text), false) || words(text).len() < 2 {
            return None;
        }
        let due = self.dates[asked_at].first().map(|f| f.due.clone());
        // "Answers" is "answer" for whoever does it.
        let plain =
            verb.as_str().strip_suffix('s').filter(|v| v.len() > 2 && !v.ends_with('s')).unwrap_or(verb.as_str());
        let text = format!("{plain}{}", &text[verb.len()..]);
        let topic = self.topic(&text, asked_at);
        let owner = Some(sentence.speaker.to_owned());
        let item = Action { id: ItemId::default(), text, owner, due, cites: cites(&[asked.id, sentence.id]) };
        Some(Drawn { item, at, topic, by: sentence.speaker.to_owned(), withdrawn: false })
    }

    /// Adds what is to be done. What says the same of the same person is one; the last word on day and person wins.
    pub(super) fn take_on(&self, actions: &mut Vec<Drawn<Action>>, new: Drawn<Action>) {
        let verb = |text: &str| words(text).first().map(|v| root(v)).unwrap_or_default();
        let new_verb = verb(&new.item.text);
        let refers = words(&new.item.text).get(1).is_some_and(|w| REFERS.contains(&w.as_str()));
        let same_person = |old: &Drawn<Action>| old.by.is_empty() || new.by.is_empty() || old.by == new.by;
        let found = actions.iter_mut().rev().find(|old| {
            let near = new.at - old.at <= 2 * REACH;
            let common = in_common(&old.topic, &new.topic);
            let same_verb = verb(&old.item.text) == new_verb;
            // "Send it on Tuesday" behind "send the press kit on Monday".
            let again = refers && same_verb && same_person(old) && near;
            let same =
                same_person(old) && !new.topic.is_empty() && (common >= 0.99 && (new.topic.len() > 1 || same_verb));
            // "Somebody has to collect her" – "I'll collect Nana on the 23rd."
            let takes_up = old.by.is_empty() && same_verb && near && !is_common(&new_verb);
            // "Somebody will have to fetch them" – "I'll get them."
            let fetches = old.by.is_empty() && refers && new.at - old.at <= 3 && FETCHES.contains(&new_verb.as_str());
            // "Ruth, can you do the forum?" behind "who answers questions in the forum?" – "I will."
            let hands_over = near && new_verb == "do" && common >= 0.99;
            // "I could ask the man from the museum." "Do that." "I'll write to him on Monday."
            let dates_it = self.refers(&words(&new.item.text))
                && !old.by.is_empty()
                && old.by == new.by
                && new.at - old.at <= 3
                && old.item.due.is_none()
                && new.item.due.is_some();
            again || same || takes_up || fetches || hands_over || dates_it
        });
        let Some(old) = found else {
            actions.push(new);
            return;
        };
        old.withdrawn = false;
        old.item.cites = cites(&[old.item.cites.as_slice(), &new.item.cites].concat());
        if !new.by.is_empty() {
            old.item.owner = new.item.owner.clone();
            old.by.clone_from(&new.by);
        }
        old.item.due = new.item.due.clone().or(old.item.due.take());
        let telling = |topic: &HashSet<String>| topic.len();
        if !self.refers(&words(&new.item.text)) && telling(&new.topic) > telling(&old.topic) {
            (old.item.text, old.topic) = (new.item.text, new.topic);
        }
        old.at = new.at;
    }

    /// "I won't oil it", "I can't send the press kit on Monday".
    pub(super) fn will_not(&self, at: usize, actions: &mut [Drawn<Action>]) {
        let sentence = &self.sentences[at];
        for refusal in WILL_NOT.captures_iter(sentence.text) {
            let verb = root(&refusal["verb"].to_lowercase());
            let old = actions.iter_mut().rev().find(|old| {
                old.at < at
                    && !old.withdrawn
                    && old.by == sentence.speaker
                    && words(&old.item.text).first().map(|v| root(v)) == Some(verb.clone())
            });
            if let Some(old) = old {
                old.withdrawn = true;
            }
        }
    }

    /// "By Thursday." said by the same speaker right behind.
    fn due_behind(&self, at: usize, ids: &mut Vec<u64>) -> Option<Due> {
        let next = self
            .sentences
            .get(at + 1)
            .filter(|s| s.speaker == self.sentences[at].speaker && s.words.len() <= 7 && !is_question(s))?;
        if TRIGGER.is_match(next.text) || WE_DO.is_match(next.text) {
            return None;
        }
        let found = self.dates[at + 1].first()?;
        let rest = next.words.len().saturating_sub(words(&found.due.said).len());
        if rest > 3 {
            return None;
        }
        ids.push(next.id);
        Some(found.due.clone())
    }

    /// "Ruth, can you …": the speaker whose name stands right before the request.
    fn named_at_start(&self, at: usize, trigger: &regex::Captures<'_>) -> Option<String> {
        let before = &self.sentences[at].text[..trigger.get(0)?.start()];
        let name = before.trim_end().strip_suffix(',')?;
        let last = words(name).pop()?;
        self.speakers.iter().find(|s| words(s).contains(&last)).cloned()
    }

    /// Who a name in front of "will" is: someone in the call, or someone else whose name is never written small in this
    /// call and who is to do what persons do.
    fn person(&self, name: &str, verb: &str) -> Option<String> {
        let parts = words(name);
        if let Some(speaker) = self.speakers.iter().find(|s| {
            let speaker = words(s);
            parts.iter().all(|part| speaker.contains(part))
        }) {
            return Some(speaker.clone());
        }
        let first = name.split(' ').next()?;
        let lower = first.to_lowercase();
        let is_word = is_stop_word(&lower)
            || NOBODY.contains(&lower.as_str())
            || self.transcript.terms.iter().any(|term| term.eq_ignore_ascii_case(name))
            || self.sentences.iter().any(|s| s.text.split(|c: char| !c.is_alphanumeric()).any(|w| w == lower));
        (!is_word && PERSON_DOES.contains(&verb.to_lowercase().as_str())).then(|| name.to_owned())
    }
}

/// What "let me" announces for this moment.
const HERE_AND_NOW: &[&str] = &[
    "do", "tell", "ask", "read", "show", "help", "look", "speak", "present", "get", "share", "add", "make", "take",
    "put", "move",
];

/// What one has to do elsewhere, so that it is a task without a day.
const HAS_TO: &[&str] = &["talk", "ask", "call", "ring", "check", "book", "order", "send", "write", "tell"];

/// Verbs by which one does what another named.
const FETCHES: &[&str] = &["get", "do", "tak", "take", "fetch", "bring", "handl", "handle", "collect", "have"];

const NOBODY: &[&str] = &[
    "nobody",
    "everybody",
    "people",
    "customers",
    "it",
    "this",
    "that",
    "somebody",
    "someone",
    "please",
    "then",
    "they",
];

/// Verbs that show that a capital letter in front of "will" is a person of whom something is wanted.
pub(super) const PERSON_DOES: &[&str] = &[
    "send",
    "write",
    "call",
    "prepare",
    "fix",
    "check",
    "review",
    "book",
    "order",
    "update",
    "email",
    "mail",
    "finish",
    "share",
    "draft",
    "schedule",
    "organise",
    "organize",
    "add",
    "deliver",
    "test",
    "deploy",
    "create",
    "follow",
    "bring",
    "pay",
    "confirm",
    "contact",
    "arrange",
    "find",
    "handle",
    "post",
    "publish",
    "sign",
    "upload",
    "merge",
    "build",
    "design",
    "translate",
    "present",
    "document",
    "collect",
    "set",
    "look",
    "make",
    "take",
    "get",
    "buy",
    "ask",
    "tell",
    "do",
    "ring",
    "repair",
    "install",
    "clean",
    "cook",
    "drive",
    "pick",
    "print",
    "read",
    "talk",
    "speak",
    "visit",
    "help",
    "investigate",
    "run",
    "rotate",
    "restore",
    "move",
    "change",
    "cut",
    "record",
    "file",
    "submit",
    "measure",
    "replace",
    "inspect",
    "fetch",
    "put",
    "give",
    "show",
    "remind",
    "water",
    "feed",
    "lock",
];

/// The word behind the verb.
fn object(clause: &str) -> String {
    words(clause).into_iter().nth(1).unwrap_or_default()
}

/// Too common to tell two actions apart.
fn is_common(verb: &str) -> bool {
    ["do", "make", "take", "get", "have", "send", "ask", "tell", "call", "put", "check"].contains(&verb)
}

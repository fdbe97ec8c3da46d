//! Decisions, deadlines and the next meeting, and how later words change them.

use super::super::evidence::denies;
use super::super::sentences::{as_line, words};
use super::super::{Action, Cited, Deadline, Due, ItemId, NextMeeting};
use super::patterns::{
    AGAIN, ASKS_WHEN, DEADLINE, DECIDED, INSTEAD, NOT_DONE, PREFERRED, PROPOSED, SO_THEY, TAG, TAKEN_BACK, TRIGGER,
    UNDECIDED, WE_DO, WHO_DOES,
};
use super::{Call, Drawn, FoundDate, REACH, Sentence, cites, in_common, is_question, plans};

/// What follows "let's" without being a proposal.
const NOT_PROPOSED: &[&str] = &[
    "see", "talk", "start", "begin", "say", "hear", "look", "wait", "face", "be", "hope", "not", "speak", "move",
    "continue", "decide", "touch", "check", "figure", "think", "discuss", "catch", "come",
];

/// What follows "let's not" without refusing anything in particular.
const NOT_REFUSED: &[&str] =
    &["worry", "argue", "forget", "pretend", "rush", "get", "go", "kid", "fight", "start", "panic", "guess", "lose"];

/// Roots that say that it is decided, not what.
const SAYS_SO: &[&str] = &[
    "agre", "agree", "accept", "decid", "decide", "approv", "approve", "settl", "settle", "say", "suggest", "propose",
];

/// Roots of the words that take back.
const TAKES_BACK: &[&str] = &["forget", "scrap", "scratch", "mind", "chang", "change", "drop", "never"];

impl Call<'_, '_> {
    /// A decision: said to be one, a plan with a day, or a proposal that another takes up.
    pub(super) fn decision(&self, at: usize) -> Option<Drawn<Cited>> {
        let sentence = &self.sentences[at];
        if UNDECIDED.is_match(sentence.text) || sentence.words.len() < 2 {
            return None;
        }
        // "Roses, then."
        if sentence.words.len() == 2 {
            return self.conclusion(at).or_else(|| self.keeps(at)).or_else(|| self.said_again(at));
        }
        if let Some(decided) = self.decided_by_answer(at).filter(|_| !PROPOSED.is_match(sentence.text)) {
            return Some(decided);
        }
        if let Some(decided) =
            self.follows(at).or_else(|| self.keeps(at)).or_else(|| self.none(at)).or_else(|| self.said_again(at))
        {
            return Some(decided);
        }
        let mut ids = vec![sentence.id];
        let mut text = sentence.text;
        let dated = self.dates[at].iter().any(|found| !found.only_hour);
        if let Some(proposed) = PROPOSED.captures(sentence.text) {
            let verb = proposed["verb"].to_lowercase();
            let refuses = verb == "not" && self.refuses(sentence);
            // "Shall we go through it?"
            let behind = sentence.text[proposed.get(0).map_or(0, |found| found.end())..].trim_start();
            let leads_on =
                verb == "go" && ["down", "through", "over", "round", "on"].iter().any(|word| behind.starts_with(word));
            if leads_on || NOT_PROPOSED.contains(&verb.as_str()) && !(verb == "wait" && dated) && !refuses {
                return None;
            }
            let plainly = proposed[0].to_lowercase().starts_with("let") && !refuses && !is_question(sentence);
            // "That's sensible, let's do that" agrees itself.
            let takes_up = verb == "do" && self.topic(text, at).len() < 2 && self.referred_to(at).is_some();
            match self.agreement(at) {
                _ if takes_up => {}
                Some(agreed) => ids.push(agreed.id),
                None if (plainly || refuses) && self.is_unopposed(at) => {}
                None => return self.decided_by_answer(at),
            }
            return Some(self.proposal(at, ids));
        } else if self.prefers(at) {
            let Some(agreed) = self.agreement(at) else { return self.conclusion(at) };
            // "Seventeen, I'd say" answers what names it.
            let says = PREFERRED.captures(text).is_some_and(|found| found.name("say").is_some());
            if says {
                return Some(self.agreed(at, self.referred_to(at), agreed.id));
            }
            ids.push(agreed.id);
        } else if let Some(tag) = TAG.find(sentence.text).filter(|_| is_question(sentence)) {
            let agreed = self.agreement(at)?;
            text = &sentence.text[..tag.start()];
            let plan = WE_DO.captures(text)?;
            if plans::NOT_DECIDED.contains(&plan["verb"].to_lowercase().as_str()) {
                return None;
            }
            ids.push(agreed.id);
        } else if is_question(sentence) {
            return None;
        } else if !self.is_said_to_be_decided(at, dated) {
            let Some(settled) = self.settled_after(at) else { return self.conclusion(at) };
            ids.push(settled);
        } else if let Some(agreed) = self.agreement(at).filter(|reply| reply.words.len() <= 4) {
            ids.push(agreed.id);
        }
        let mut topic = self.topic(text, at);
        topic.retain(|word| !SAYS_SO.contains(&word.as_str()));
        let mut text = as_line(text);
        // "No, only for the children. That's what we said."
        let before = at.checked_sub(1).filter(|_| topic.is_empty() && sentence.words.len() <= 5);
        if let Some(before) = before {
            ids.push(self.sentences[before].id);
            text = format!("{} {text}", as_line(self.sentences[before].text));
            topic = self.topic(self.sentences[before].text, before);
        }
        let item = Cited { id: ItemId::default(), text, cites: cites(&ids) };
        Some(Drawn { item, at, topic, by: sentence.speaker.to_owned(), withdrawn: false })
    }

    /// "Let's ditch it", with the question that says what.
    fn proposal(&self, at: usize, mut ids: Vec<u64>) -> Drawn<Cited> {
        let sentence = &self.sentences[at];
        let mut topic = self.topic(sentence.text, at);
        topic.retain(|word| !SAYS_SO.contains(&word.as_str()));
        let mut text = as_line(sentence.text);
        let refers = sentence.words.iter().any(|word| ["it", "that", "them"].contains(&word.as_str()));
        if let Some(before) = self.referred_to(at).filter(|_| refers && topic.len() < 2) {
            let asked = &self.sentences[before];
            ids.push(asked.id);
            topic.extend(self.topic(asked.text, before));
            text = format!("{} {text}", as_line(asked.text));
        }
        let item = Cited { id: ItemId::default(), text, cites: cites(&ids) };
        Drawn { item, at, topic, by: sentence.speaker.to_owned(), withdrawn: false }
    }

    /// What "let's do that" takes up: what another said right before, a question or a statement that is more than a word.
    pub(super) fn referred_to(&self, at: usize) -> Option<usize> {
        let sentence = &self.sentences[at];
        let before = (at.saturating_sub(2)..at).rev().find(|place| self.sentences[*place].id != sentence.id)?;
        let said = &self.sentences[before];
        (said.speaker != sentence.speaker && (is_question(said) || said.words.len() >= 5)).then_some(before)
    }

    /// "Let's not roll back": it says what is not done, and leaves no mere feeling or moment.
    fn refuses(&self, sentence: &Sentence<'_>) -> bool {
        let behind = sentence.words.iter().skip_while(|word| *word != "not").nth(1);
        let later = ["now", "today", "here"].iter().any(|word| sentence.words.iter().any(|w| w == word));
        let vague = sentence
            .words
            .windows(3)
            .any(|w| w[0] == "not" && w[1] == "do" && ["it", "that", "this"].contains(&w[2].as_str()));
        sentence.words.len() > 3 && !later && !vague && behind.is_some_and(|verb| !NOT_REFUSED.contains(&verb.as_str()))
    }

    /// "I'd take the second of May": a proposal, if it is no mere thought.
    fn prefers(&self, at: usize) -> bool {
        let sentence = &self.sentences[at];
        let Some(found) = PREFERRED.find(sentence.text).filter(|_| !is_question(sentence)) else { return false };
        let behind = sentence.text[found.end()..].trim_start().to_lowercase();
        let idle = ["to ", "thought", "been", "liked", "loved", "said", "gone", "back"];
        !idle.iter().any(|word| behind.starts_with(word)) && !sentence.words.iter().any(|word| word == "if")
    }

    fn is_said_to_be_decided(&self, at: usize, dated: bool) -> bool {
        let text = self.sentences[at].text;
        let supposed = |found: regex::Match<'_>| text[..found.start()].to_lowercase().trim_end().ends_with(" if");
        DECIDED.find(text).is_some_and(|found| !supposed(found))
            || NOT_DONE.is_match(text)
            || SO_THEY.is_match(text) && dated
            || self.is_plan(at, dated)
    }

    /// Adds a decision. One that says the same makes the first surer, one that puts it otherwise takes its place.
    pub(super) fn decide(&self, decisions: &mut Vec<Drawn<Cited>>, mut new: Drawn<Cited>) {
        let text = self.sentences[new.at].text;
        let like = |old: &Drawn<Cited>| {
            let common = in_common(&old.topic, &new.topic);
            let same = common >= 0.6 && (new.topic.len() > 1 || self.says_again(old, &new));
            // "Put it up to one forty?" "I'm for it." "Then one forty."
            let rests_on_it = self.sentences[old.at].id != self.sentences[new.at].id
                && old.item.cites.iter().any(|id| new.item.cites.contains(id))
                && (common >= 0.3 || old.topic.is_empty() || new.topic.is_empty());
            let of_the_same = old.item.cites.iter().filter(|id| new.item.cites.contains(id)).count() > 1;
            !old.withdrawn && (same || rests_on_it || of_the_same && common > 0.0)
        };
        if let Some(old) = decisions.iter_mut().rev().find(|old| like(old)) {
            let other_day = match (self.dates[old.at].first(), self.dates[new.at].first()) {
                (Some(before), Some(now)) => before.due.date != now.due.date,
                _ => false,
            };
            let ids = cites(&[old.item.cites.as_slice(), &new.item.cites].concat());
            if other_day || INSTEAD.is_match(text) {
                new.item.cites = ids;
                old.withdrawn = true;
                decisions.push(new);
            } else {
                old.item.cites = ids;
                if new.topic.len() > old.topic.len() + 2 {
                    (old.item.text, old.topic) = (new.item.text, new.topic);
                }
            }
            return;
        }
        // "Then let's launch on Thursday instead": the verb is enough.
        if INSTEAD.is_match(text) {
            let near = |old: &&mut Drawn<Cited>| {
                !old.withdrawn && new.at - old.at <= REACH && in_common(&old.topic, &new.topic) > 0.0
            };
            if let Some(old) = decisions.iter_mut().rev().find(near) {
                old.withdrawn = true;
                new.item.cites = cites(&[old.item.cites.as_slice(), &new.item.cites].concat());
            }
        }
        decisions.push(new);
    }

    /// Whether a decision of a single telling word that an earlier one has too ("so we ship on Friday") is that one: where it
    /// names the same day, or none shortly after. The word alone may be of another matter, and a denial says the contrary.
    fn says_again(&self, old: &Drawn<Cited>, new: &Drawn<Cited>) -> bool {
        let (before, now) = (&self.sentences[old.at], &self.sentences[new.at]);
        let same_time = match self.dates[new.at].first() {
            // A later word may have given it another day than its own sentence did.
            Some(day) => {
                self.dates[old.at].first().is_some_and(|known| known.due.date == day.due.date)
                    || old.item.text.contains(&day.due.said)
            }
            None => new.at - old.at <= REACH,
        };
        same_time && denies(before.text) == denies(now.text)
    }

    /// "No, let's not", "forget the posters", "I won't oil it": what was said before does not hold any more.
    pub(super) fn take_back(&self, at: usize, decisions: &mut [Drawn<Cited>], actions: &mut [Drawn<Action>]) {
        let sentence = &self.sentences[at];
        self.will_not(at, actions);
        let Some(back) = TAKEN_BACK.find(sentence.text).filter(|_| !is_question(sentence)) else { return };
        let mut topic = self.topic(sentence.text, at);
        topic.retain(|word| !TAKES_BACK.contains(&word.as_str()));
        // "Let's not print any posters" is a decision of its own.
        let refuses = back.as_str().to_lowercase().ends_with("let's not") && sentence.words.len() > 4;
        let about = |other: &std::collections::HashSet<String>, place: usize| {
            let named = in_common(other, &topic) >= 0.5;
            if topic.is_empty() { at - place <= REACH / 2 } else { named && (at - place <= 8 * REACH) }
        };
        let decision = decisions.iter_mut().rev().find(|d| !d.withdrawn && d.at < at && about(&d.topic, d.at));
        let action = actions.iter_mut().rev().find(|a| !a.withdrawn && a.at < at && about(&a.topic, a.at));
        // The nearer of both.
        match (decision, action) {
            (Some(d), Some(a)) if d.at >= a.at => d.withdrawn = true,
            (_, Some(a)) if !refuses => a.withdrawn = true,
            (Some(d), _) => d.withdrawn = true,
            _ => {}
        }
    }

    /// "Actually, make that Monday": another day for what was said last or is named. True if there was such a thing.
    pub(super) fn rescheduled(
        &self,
        at: usize,
        decisions: &mut [Drawn<Cited>],
        actions: &mut [Drawn<Action>],
        deadlines: &mut [Drawn<Deadline>],
        meeting: &mut Option<Drawn<NextMeeting>>,
    ) -> bool {
        let sentence = &self.sentences[at];
        let Some(new) = self.dates[at].first().filter(|_| INSTEAD.is_match(sentence.text)) else { return false };
        if TRIGGER.is_match(sentence.text) || is_question(sentence) && self.agreement_on(at, &new.due).is_none() {
            return false;
        }
        // What brings more than a day says something of its own.
        if WE_DO.is_match(sentence.text)
            || PROPOSED.is_match(sentence.text) && !sentence.text.to_lowercase().contains("make")
        {
            return false;
        }
        let topic = self.topic(clause_with(sentence.text, new), at);
        let fits = |place: usize, other: &std::collections::HashSet<String>| {
            let common = in_common(other, &topic);
            (place < at && (at - place <= REACH || common > 0.0)).then_some((common, place))
        };
        let action = actions
            .iter_mut()
            .filter(|a| !a.withdrawn && a.item.due.is_some())
            .filter_map(|a| Some((fits(a.at, &a.topic)?, a)))
            .max_by(|a, b| a.0.0.total_cmp(&b.0.0).then(a.0.1.cmp(&b.0.1)));
        let decision = decisions
            .iter_mut()
            .filter(|d| !d.withdrawn && !self.dates[d.at].is_empty())
            .filter_map(|d| Some((fits(d.at, &d.topic)?, d)))
            .max_by(|a, b| a.0.0.total_cmp(&b.0.0).then(a.0.1.cmp(&b.0.1)));
        let deadline = deadlines
            .iter_mut()
            .filter_map(|d| Some((fits(d.at, &d.topic)?, d)))
            .max_by(|a, b| a.0.0.total_cmp(&b.0.0).then(a.0.1.cmp(&b.0.1)));
        let next = meeting.as_mut().and_then(|m| Some((fits(m.at, &m.topic)?, m)));
        let rank = |fit: Option<(f32, usize)>| fit.unwrap_or((-1.0, 0));
        let ranks = [
            rank(action.as_ref().map(|a| a.0)),
            rank(decision.as_ref().map(|d| d.0)),
            rank(deadline.as_ref().map(|d| d.0)),
            rank(next.as_ref().map(|m| m.0)),
        ];
        let best = (0..4)
            .max_by(|a, b| ranks[*a].0.total_cmp(&ranks[*b].0).then(ranks[*a].1.cmp(&ranks[*b].1)).then(b.cmp(a)));
        let mut ids = vec![sentence.id];
        ids.extend(self.agreement_on(at, &new.due).map(|reply| reply.id));
        let add = |old: &mut Vec<u64>| *old = cites(&[old.as_slice(), &ids].concat());
        match best.filter(|best| ranks[*best].0 >= 0.0) {
            Some(0) => action.is_some_and(|(_, a)| {
                a.item.due = Some(new.due.clone());
                add(&mut a.item.cites);
                true
            }),
            Some(1) => decision.is_some_and(|(_, d)| {
                let Some(said) = self.dates[d.at].first().map(|old| old.due.said.clone()) else { return false };
                d.item.text = d.item.text.replacen(&said, &new.due.said, 1);
                add(&mut d.item.cites);
                true
            }),
            Some(2) => deadline.is_some_and(|(_, d)| {
                let said = d.item.due.said.clone();
                d.item.text = d.item.text.replacen(&said, &new.due.said, 1);
                d.item.due = new.due.clone();
                add(&mut d.item.cites);
                true
            }),
            Some(_) => next.is_some_and(|(_, m)| {
                m.item.when = Due { time: new.due.time.or(m.item.when.time), ..new.due.clone() };
                add(&mut m.item.cites);
                true
            }),
            None => false,
        }
    }

    /// What has its day and is nobody's in particular: one for each date of which the sentence says so.
    /// `decided`: what is asked was agreed to ("then we start on the eighth of June?").
    pub(super) fn deadlines(&self, at: usize, decided: bool) -> Vec<Drawn<Deadline>> {
        let sentence = &self.sentences[at];
        if is_question(sentence) && !decided || WHO_DOES.is_match(sentence.text) {
            return Vec::new();
        }
        self.dates[at].iter().filter(|found| !found.only_hour).filter_map(|found| self.deadline(at, found)).collect()
    }

    fn deadline(&self, at: usize, found: &FoundDate) -> Option<Drawn<Deadline>> {
        let sentence = &self.sentences[at];
        let clause = clause_with(sentence.text, found);
        // "If it isn't repaired by March I'll lower the rent": the condition has its day.
        let condition = clause.to_lowercase().starts_with("if ");
        let behind = (found.range.end as isize) - (clause.as_ptr() as isize - sentence.text.as_ptr() as isize);
        let clause = match usize::try_from(behind).ok().filter(|_| condition).and_then(|end| clause.get(..end)) {
            Some(first) => first,
            None => clause,
        };
        let has_day = DEADLINE.is_match(clause) || is_due(sentence.text, found);
        if !has_day || TRIGGER.is_match(clause) || AGAIN.is_match(clause) {
            return None;
        }
        let item =
            Deadline { id: ItemId::default(), text: as_line(clause), due: found.due.clone(), cites: vec![sentence.id] };
        let topic = self.topic(clause, at);
        Some(Drawn { item, at, topic, by: sentence.speaker.to_owned(), withdrawn: false })
    }
}

impl Call<'_, '_> {
    /// "When does it go live?" "Next Wednesday."
    pub(super) fn answered_when(&self, at: usize) -> Option<Drawn<Deadline>> {
        let asked = &self.sentences[at];
        if !is_question(asked) || !ASKS_WHEN.is_match(asked.text) || AGAIN.is_match(asked.text) {
            return None;
        }
        let place = (at + 1..self.sentences.len().min(at + 3)).find(|i| self.sentences[*i].speaker != asked.speaker)?;
        let reply = &self.sentences[place];
        let found = self.dates[place].iter().find(|found| !found.only_hour)?;
        let short = reply.words.len() <= words(&found.due.said).len() + 5;
        if !short || is_question(reply) || TRIGGER.is_match(reply.text) {
            return None;
        }
        let text = format!("{} {}", as_line(asked.text), as_line(reply.text));
        let topic = self.topic(asked.text, at);
        let item =
            Deadline { id: ItemId::default(), text, due: found.due.clone(), cites: cites(&[asked.id, reply.id]) };
        Some(Drawn { item, at, topic, by: reply.speaker.to_owned(), withdrawn: false })
    }
}

/// "The caterer needs it by Friday", "the demo is on Thursday".
fn is_due(text: &str, found: &FoundDate) -> bool {
    let before = text[..found.range.start].trim_end().to_lowercase();
    let first = before.split_whitespace().next().unwrap_or("");
    let refers =
        ["it", "it's", "that", "that's", "this", "he", "she", "i", "who", "there", "today", "tomorrow", "what"];
    let lead = text[found.range.clone()].to_lowercase();
    let is_on = [" is", " are", " will be"].iter().any(|end| before.ends_with(end)) && !refers.contains(&first);
    let by = lead.starts_with("by ") && before.split_whitespace().count() >= 3 && !before.ends_with(" over");
    let past = [" was ", " were ", " had ", " did "].iter().any(|word| before.contains(word));
    !past && (is_on && !lead.starts_with("until ") || by || before.ends_with("as of"))
}

/// Adds a deadline; the same said again makes the first surer.
pub(super) fn note_deadline(deadlines: &mut Vec<Drawn<Deadline>>, new: Drawn<Deadline>) {
    let same =
        |old: &&mut Drawn<Deadline>| old.item.due.date == new.item.due.date && in_common(&old.topic, &new.topic) >= 0.5;
    match deadlines.iter_mut().find(same) {
        Some(old) => old.item.cites = cites(&[old.item.cites.as_slice(), &new.item.cites].concat()),
        None => deadlines.push(new),
    }
}

/// The clause in which a date stands: up to a comma or "and" with a new subject behind it.
fn clause_with<'t>(text: &'t str, found: &FoundDate) -> &'t str {
    let joints = [
        ", ",
        "; ",
        " and I ",
        " and we ",
        " and my ",
        " and he ",
        " and she ",
        " and they ",
        " but ",
        " so I ",
        " so we ",
    ];
    let from = joints
        .iter()
        .filter_map(|joint| text[..found.range.start].rfind(joint).map(|at| at + joint.len()))
        .max()
        .filter(|from| {
            let first = text[*from..].split_whitespace().next().unwrap_or("").to_lowercase();
            let refers =
                ["it", "it's", "that", "that's", "they", "this", "which", "and", "he", "she"].contains(&first.as_str());
            !refers && text[*from..found.range.start].split_whitespace().count() >= 2
        })
        .unwrap_or(0);
    let to = joints.iter().filter_map(|joint| text[found.range.end..].find(joint)).min();
    &text[from..to.map_or(text.len(), |to| found.range.end + to)]
}

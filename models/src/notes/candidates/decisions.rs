//! Decisions, deadlines and the next meeting, and how later words change them.

use super::super::evidence::denies;
use super::super::sentences::as_line;
use super::super::{Action, Cited, Deadline, Due, ItemId, NextMeeting};
use super::patterns::{
    AGAIN, APPOINTMENT, DEADLINE, DECIDED, INSTEAD, NOT_DONE, PROPOSED, TAG, TAKEN_BACK, TRIGGER, UNDECIDED, WE_DO,
    WHO_DOES,
};
use super::{ANSWER_MS, Call, Drawn, FoundDate, REACH, cites, in_common, is_question};

/// What follows "we" without being something that was decided.
const NOT_DECIDED: &[&str] = &[
    "should",
    "could",
    "can",
    "can't",
    "cannot",
    "may",
    "might",
    "must",
    "need",
    "have",
    "had",
    "has",
    "are",
    "were",
    "was",
    "do",
    "don't",
    "did",
    "didn't",
    "would",
    "wouldn't",
    "want",
    "wanted",
    "see",
    "think",
    "thought",
    "know",
    "knew",
    "hope",
    "talk",
    "talked",
    "hear",
    "heard",
    "be",
    "get",
    "got",
    "never",
    "always",
    "just",
    "still",
    "say",
    "look",
    "wait",
    "find",
    "figure",
    "went",
    "met",
    "lost",
    "discussed",
    "discuss",
    "said",
    "saw",
    "came",
    "used",
    "probably",
    "maybe",
    "already",
    "all",
    "both",
    "only",
    "really",
    "also",
    "shipped",
    "launched",
    "tried",
    "owe",
    "hardly",
    "usually",
    "often",
    "like",
    "love",
    "hate",
    "mean",
    "understand",
    "remember",
    "agree",
    "sat",
    "made",
    "took",
    "sent",
    "won't",
    "wait",
    "seem",
    "expect",
    "lose",
    "feel",
    "believe",
    "appreciate",
    "stopped",
    "ran",
    "were",
    "finished",
    "worked",
    "thank",
    "nearly",
    "almost",
];
/// The same where a conclusion leads up to it ("all right, we wait until then").
const NOT_CONCLUDED: &[&str] = &["wait", "look", "find", "get", "only", "just", "do", "say", "talk"];
const NOT_PROPOSED: &[&str] = &[
    "see", "talk", "start", "begin", "say", "hear", "look", "wait", "face", "be", "hope", "not", "speak", "move",
    "continue",
];

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
        if UNDECIDED.is_match(sentence.text) || sentence.words.len() < 3 {
            return None;
        }
        let mut ids = vec![sentence.id];
        let mut text = sentence.text;
        let dated = self.dates[at].iter().any(|found| !found.only_hour);
        if let Some(proposed) = PROPOSED.captures(sentence.text) {
            let verb = proposed["verb"].to_lowercase();
            if NOT_PROPOSED.contains(&verb.as_str()) && !(verb == "wait" && dated) {
                return None;
            }
            let agreed = self.agreement(at)?;
            ids.push(agreed.id);
        } else if let Some(tag) = TAG.find(sentence.text).filter(|_| is_question(sentence)) {
            let agreed = self.agreement(at)?;
            text = &sentence.text[..tag.start()];
            let plan = WE_DO.captures(text)?;
            if NOT_DECIDED.contains(&plan["verb"].to_lowercase().as_str()) {
                return None;
            }
            ids.push(agreed.id);
        } else if is_question(sentence) || !self.is_said_to_be_decided(at, dated) {
            return None;
        } else if let Some(agreed) = self.agreement(at).filter(|reply| reply.words.len() <= 4) {
            ids.push(agreed.id);
        }
        let mut topic = self.topic(text, at);
        topic.retain(|word| !SAYS_SO.contains(&word.as_str()));
        let item = Cited { id: ItemId::default(), text: as_line(text), cites: cites(&ids) };
        Some(Drawn { item, at, topic, by: sentence.speaker.to_owned(), withdrawn: false })
    }

    fn is_said_to_be_decided(&self, at: usize, dated: bool) -> bool {
        let text = self.sentences[at].text;
        DECIDED.is_match(text) || NOT_DONE.is_match(text) || self.is_plan(at, dated)
    }

    fn is_plan(&self, at: usize, dated: bool) -> bool {
        let sentence = &self.sentences[at];
        WE_DO.captures(sentence.text).is_some_and(|plan| {
            let verb = plan["verb"].to_lowercase();
            let concludes = !plan["so"].is_empty();
            let known = if concludes && dated {
                NOT_DECIDED.contains(&verb.as_str()) && !NOT_CONCLUDED.contains(&verb.as_str())
            } else if concludes {
                NOT_DECIDED.contains(&verb.as_str()) && verb != "wait"
            } else {
                NOT_DECIDED.contains(&verb.as_str())
            };
            (dated || concludes) && !known
        })
    }

    /// Adds a decision. One that says the same makes the first surer, one that puts it otherwise takes its place.
    pub(super) fn decide(&self, decisions: &mut Vec<Drawn<Cited>>, mut new: Drawn<Cited>) {
        let text = self.sentences[new.at].text;
        let like = |old: &Drawn<Cited>| {
            let same = in_common(&old.topic, &new.topic) >= 0.6;
            !old.withdrawn && same && (new.topic.len() > 1 || self.says_again(old, &new))
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

    /// When people say that they speak again.
    pub(super) fn next_meeting(&self, at: usize) -> Option<Drawn<NextMeeting>> {
        let sentence = &self.sentences[at];
        let again = AGAIN.is_match(sentence.text);
        if !again && !self.takes_appointment(at) {
            return None;
        }
        let mut ids = vec![sentence.id];
        let when = match self.dates[at].first() {
            Some(found) => found.due.clone(),
            None => {
                // "When do we speak again?" "Wednesday at ten."
                let reply = self
                    .sentences
                    .get(at + 1)
                    .filter(|s| s.start_ms - sentence.start_ms <= ANSWER_MS && s.words.len() <= 8)?;
                ids.push(reply.id);
                self.dates[at + 1].first()?.due.clone()
            }
        };
        let agreed = self.agreement_on(at, &when).filter(|reply| !ids.contains(&reply.id));
        if is_question(sentence) && ids.len() == 1 {
            ids.push(agreed?.id);
        } else {
            ids.extend(agreed.map(|reply| reply.id));
        }
        let when = self.completed(at, when, &ids);
        let topic = self.topic(sentence.text, at);
        let item = NextMeeting { id: ItemId::default(), when, cites: cites(&ids) };
        Some(Drawn { item, at, topic, by: sentence.speaker.to_owned(), withdrawn: false })
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
    fn takes_appointment(&self, at: usize) -> bool {
        let sentence = &self.sentences[at];
        let takes =
            PROPOSED.captures(sentence.text).is_some_and(|p| ["take", "say", "make", "do"].contains(&&p["verb"]));
        let timed = self.dates[at].iter().any(|found| found.due.time.is_some());
        takes && timed && self.sentences[at.saturating_sub(REACH)..at].iter().any(|s| APPOINTMENT.is_match(s.text))
    }

    /// Something that has its day and is nobody's in particular.
    pub(super) fn deadline(&self, at: usize) -> Option<Drawn<Deadline>> {
        let sentence = &self.sentences[at];
        if is_question(sentence) || WHO_DOES.is_match(sentence.text) {
            return None;
        }
        let found = self.dates[at].iter().find(|found| !found.only_hour)?;
        let clause = clause_with(sentence.text, found);
        // "If it isn't repaired by March I'll lower the rent": the condition has its day.
        let condition = clause.to_lowercase().starts_with("if ");
        let behind = (found.range.end as isize) - (clause.as_ptr() as isize - sentence.text.as_ptr() as isize);
        let clause = match usize::try_from(behind).ok().filter(|_| condition).and_then(|end| clause.get(..end)) {
            Some(first) => first,
            None => clause,
        };
        if !DEADLINE.is_match(clause) || TRIGGER.is_match(clause) || AGAIN.is_match(clause) {
            return None;
        }
        let item =
            Deadline { id: ItemId::default(), text: as_line(clause), due: found.due.clone(), cites: vec![sentence.id] };
        let topic = self.topic(clause, at);
        Some(Drawn { item, at, topic, by: sentence.speaker.to_owned(), withdrawn: false })
    }
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

/// The clause in which a date stands: up to a comma or "and" with a new subject behind it.
fn clause_with<'t>(text: &'t str, found: &FoundDate) -> &'t str {
    let joints = [", ", "; ", " and I ", " and we ", " but ", " so I ", " so we "];
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

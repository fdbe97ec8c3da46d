//! From what a model wrote to notes that rest on what was said: numbers become ids, words become dates, and what the
//! utterances do not bear is dropped.

use super::answer::{Dated, Doing, Drawn, Line, Next, Wrong, one_line};
use crate::notes::evidence::Said;
use crate::notes::merge::same;
use crate::notes::sentences::words;
use crate::notes::{
    Action, Cited, Deadline, Due, ExtractiveWriter, ItemId, Name, NextMeeting, Notes, Transcript, dates, keep_supported,
};

/// More citations than these point at nothing; the utterances that bear the item are picked among them.
const PLAIN_CITES: usize = 2;
/// A date belongs to an item if it is said so near to it, in utterances.
const NEAR: u64 = 2;

/// The notes of a piece. `shown`: the utterances that the model saw, in order.
pub(super) fn notes(mut drawn: Drawn, shown: &Transcript, writer: &str) -> Result<Notes, Wrong> {
    let had_items = !drawn.summary.is_empty() || !drawn.decisions.is_empty() || !drawn.actions.is_empty();
    let ground = Ground::new(shown);
    let found = ExtractiveWriter.write(shown);
    let mut notes = Notes {
        title: title(&drawn.title),
        summary: ground.lines(&drawn.summary),
        decisions: ground.lines(&drawn.decisions),
        actions: drawn.actions.iter().filter_map(|action| ground.action(action, &found.actions)).collect(),
        questions: ground.lines(&drawn.questions),
        deadlines: drawn.deadlines.iter().filter_map(|deadline| ground.deadline(deadline)).collect(),
        names: Vec::new(),
        next_meeting: drawn.next_meeting.take().as_ref().and_then(|next| ground.next(next)),
        keywords: found.keywords,
        written_by: writer.to_owned(),
        ..Notes::default()
    };
    notes.names = ground.names(&drawn, found.names);
    keep_supported(&mut notes, shown);
    if had_items && notes.summary.is_empty() && notes.decisions.is_empty() && notes.actions.is_empty() {
        return Err(Wrong("no item of it is borne by utterances; reuse the speakers' words and cite them".to_owned()));
    }
    if notes.title.is_empty() {
        notes.title = found.title;
    }
    // What patterns are sure of is not lost because a model passed over it.
    for decision in found.decisions {
        if !notes
            .decisions
            .iter()
            .any(|there| same(&there.text, &decision.text) || shares(&there.cites, &decision.cites))
        {
            notes.decisions.push(decision);
        }
    }
    for action in found.actions {
        if !notes.actions.iter().any(|there| same(&there.text, &action.text) || within(&action.text, &there.text)) {
            notes.actions.push(action);
        }
    }
    for deadline in found.deadlines {
        if !notes.deadlines.iter().any(|there| there.due.date == deadline.due.date) {
            notes.deadlines.push(deadline);
        }
    }
    notes.next_meeting = notes.next_meeting.take().or(found.next_meeting);
    notes.decisions.sort_by_key(|item| item.cites.first().copied());
    notes.actions.sort_by_key(|item| item.cites.first().copied());
    Ok(notes)
}

/// One line without quotation marks around it or a stop at its end.
pub(super) fn title(text: &str) -> String {
    one_line(text).trim_matches(['"', '“', '”', '*', '#', ' ']).trim_end_matches(['.', ' ']).to_owned()
}

/// Sentences that cite others, whose citations are `known`, made to cite what those cite.
pub(super) fn rest_on(lines: &[Line], known: &[&[u64]], whole: &Transcript) -> Vec<Cited> {
    let ground = Ground::new(whole);
    let of = |line: &Line| -> Vec<u64> {
        let mut ids: Vec<u64> = line
            .cites
            .iter()
            .filter_map(|n| known.get(n.checked_sub(1)? as usize))
            .flat_map(|c| c.iter().copied())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    };
    lines.iter().filter_map(|line| ground.cited(&line.text, of(line))).collect()
}

struct Ground<'a> {
    shown: &'a Transcript,
    said: Said<'a>,
}

impl<'a> Ground<'a> {
    fn new(shown: &'a Transcript) -> Self {
        Self { shown, said: Said::new(shown) }
    }

    fn ids(&self, numbers: &[u64]) -> Vec<u64> {
        let id = |number: &u64| self.shown.utterances.get(number.checked_sub(1)? as usize).map(|u| u.id);
        numbers.iter().filter_map(id).collect()
    }

    fn lines(&self, lines: &[Line]) -> Vec<Cited> {
        let mut out: Vec<Cited> = Vec::new();
        for line in lines {
            let cited = self.cited(&line.text, self.ids(&line.cites));
            out.extend(cited.filter(|new| !out.iter().any(|old| same(&old.text, &new.text))));
        }
        out
    }

    fn cited(&self, text: &str, cites: Vec<u64>) -> Option<Cited> {
        let cites = self.bearers(text, cites)?;
        Some(Cited { id: ItemId::default(), text: text.to_owned(), cites })
    }

    /// The utterances that bear a text: those cited if they do, the needed ones of many, others if those do not.
    fn bearers(&self, text: &str, cites: Vec<u64>) -> Option<Vec<u64>> {
        if cites.len() > PLAIN_CITES {
            let mut some = super::prompt::empty_like(self.shown);
            some.utterances = self.shown.utterances.iter().filter(|u| cites.contains(&u.id)).cloned().collect();
            if let Some(needed) = Said::new(&some).align(text) {
                return Some(needed);
            }
        }
        if self.said.supports(text, &cites) { Some(cites) } else { self.said.align(text) }
    }

    /// `found`: what patterns found. They are sure of owners where they find one; models are not.
    fn action(&self, doing: &Doing, found: &[Action]) -> Option<Action> {
        let cited = self.ids(&doing.cites);
        let mut cites = self.bearers(&doing.text, cited.clone())?;
        let twin = found
            .iter()
            .filter(|other| other.cites.iter().any(|id| cites.contains(id) || cited.contains(id)))
            .find(|other| same(&other.text, &doing.text) || within(&other.text, &doing.text));
        let mut owner = doing.owner.as_deref().map(|owner| self.person(owner));
        let mut due = doing.due.as_deref().and_then(|said| self.due(said, &cites, &cited));
        if let Some(twin) = twin {
            owner = twin.owner.clone().or(owner);
            if let (None, Some(sure)) = (&due, &twin.due) {
                due = Some((sure.clone(), twin.cites.clone()));
            }
            cites.extend(&twin.cites);
        }
        let due = due.map(|(due, ids)| {
            cites.extend(ids);
            due
        });
        cites.sort_unstable();
        cites.dedup();
        Some(Action { id: ItemId::default(), text: doing.text.clone(), owner, due, cites })
    }

    fn deadline(&self, dated: &Dated) -> Option<Deadline> {
        let cited = self.ids(&dated.cites);
        let mut cites = self.bearers(&dated.text, cited.clone())?;
        let (due, ids) = self.due(&dated.due, &cites, &cited)?;
        cites.extend(ids);
        cites.sort_unstable();
        cites.dedup();
        Some(Deadline { id: ItemId::default(), text: dated.text.clone(), due, cites })
    }

    fn next(&self, next: &Next) -> Option<NextMeeting> {
        let cited = self.ids(&next.cites);
        let (when, cites) = self.due(&next.when, &cited, &[])?;
        Some(NextMeeting { id: ItemId::default(), when, cites })
    }

    fn names(&self, drawn: &Drawn, found: Vec<Name>) -> Vec<Name> {
        let mut names = found;
        for named in &drawn.names {
            let is_there = names.iter().any(|n| n.text.eq_ignore_ascii_case(&named.text));
            let speaks = self.shown.utterances.iter().any(|u| within(&named.text, &u.speaker));
            if !is_there && !speaks {
                let said = |id: &u64| {
                    let text = self.shown.utterances.iter().find(|u| u.id == *id).map(|u| u.text.to_lowercase());
                    text.is_some_and(|text| text.contains(&named.text.to_lowercase()))
                };
                let cites: Vec<u64> = self.ids(&named.cites).into_iter().filter(said).collect();
                names.push(Name { kind: named.kind, text: named.text.clone(), cites });
            }
        }
        names
    }

    /// A time as it was said in one of these utterances, or near them in one of `more`. The model only points at the words.
    fn due(&self, words_given: &str, cites: &[u64], more: &[u64]) -> Option<(Due, Vec<u64>)> {
        let given = words(words_given);
        if given.is_empty() {
            return None;
        }
        let place = |id: u64| self.shown.utterances.iter().position(|u| u.id == id).map(|at| at as u64);
        let is_near =
            |id: &u64| cites.iter().any(|c| place(*c).zip(place(*id)).is_some_and(|(a, b)| a.abs_diff(b) <= NEAR));
        cites.iter().chain(more.iter().filter(|id| is_near(id))).find_map(|id| {
            let utterance = self.shown.utterances.iter().find(|u| u.id == *id)?;
            let said_at = self.shown.started_ms.saturating_add(utterance.start_ms);
            let found = dates::find(&utterance.text, dates::moment(said_at, &self.shown.time_zone)).into_iter().find(
                |found| {
                    let said = words(&found.due.said);
                    said.iter().all(|w| given.contains(w)) || given.iter().all(|w| said.contains(w))
                },
            )?;
            Some((found.due, vec![*id]))
        })
    }

    /// The party whom a name means, as the party is called; else the name itself.
    fn person(&self, name: &str) -> String {
        let name = one_line(name);
        let mut parties: Vec<&str> = self.shown.utterances.iter().map(|u| u.speaker.as_str()).collect();
        parties.sort_unstable();
        parties.dedup();
        if let Some(party) = parties.iter().find(|party| party.eq_ignore_ascii_case(&name)) {
            return (*party).to_owned();
        }
        let mut meant = parties.iter().filter(|party| within(&name, party));
        match (meant.next(), meant.next()) {
            (Some(party), None) => (*party).to_owned(),
            _ => name,
        }
    }
}

fn shares(a: &[u64], b: &[u64]) -> bool {
    a.iter().any(|id| b.contains(id))
}

/// Whether all words of one text are in the other.
fn within(inner: &str, outer: &str) -> bool {
    let (inner, outer) = (words(inner), words(outer));
    !inner.is_empty() && inner.iter().all(|word| outer.contains(word))
}

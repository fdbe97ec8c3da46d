//! The evidence check that every item of notes passes, whoever wrote it.

use std::collections::{HashMap, HashSet};

use super::sentences::{is_stop_word, words};
use super::{Action, Cited, Notes, Transcript};

/// Share of an item's telling words that its utterances must hold.
const SHARE: f32 = 0.6;

/// Drops from notes what the cited utterances do not support: items without citations, with citations of utterances that
/// are not there, with words that were not said, owners that were neither speaker nor named, and due dates whose words
/// were not said.
pub fn keep_supported(notes: &mut Notes, transcript: &Transcript) {
    let said = Said::new(transcript);
    notes.summary.retain(|item| said.cited(item));
    notes.decisions.retain(|item| said.cited(item));
    notes.questions.retain(|item| said.cited(item));
    notes.actions.retain(|action| said.supports(&action.text, &action.cites));
    for action in &mut notes.actions {
        said.mend(action);
    }
    notes.next_meeting.take_if(|next| !said.holds(&next.when.said, &next.cites));
}

struct Said<'a> {
    utterances: HashMap<u64, (&'a str, HashSet<String>)>,
}

impl<'a> Said<'a> {
    fn new(transcript: &'a Transcript) -> Self {
        let utterances = transcript.utterances.iter().map(|u| {
            let mut stems: HashSet<String> = words(&u.text).iter().map(|w| stem(w)).collect();
            stems.extend(words(&u.speaker).iter().map(|w| stem(w)));
            (u.id, (u.speaker.as_str(), stems))
        });
        Self { utterances: utterances.collect() }
    }

    fn cited(&self, item: &Cited) -> bool {
        self.supports(&item.text, &item.cites)
    }

    fn supports(&self, text: &str, cites: &[u64]) -> bool {
        if cites.is_empty() || cites.iter().any(|id| !self.utterances.contains_key(id)) {
            return false;
        }
        let telling: Vec<String> = words(text).iter().filter(|w| !is_stop_word(w)).map(|w| stem(w)).collect();
        let held = telling.iter().filter(|word| self.word(word, cites)).count();
        held as f32 >= telling.len() as f32 * SHARE
    }

    /// Every word of a phrase was said.
    fn holds(&self, phrase: &str, cites: &[u64]) -> bool {
        !cites.is_empty() && words(phrase).iter().all(|word| self.word(&stem(word), cites))
    }

    fn word(&self, stem: &str, cites: &[u64]) -> bool {
        cites.iter().any(|id| self.utterances.get(id).is_some_and(|(_, words)| words.contains(stem)))
    }

    fn mend(&self, action: &mut Action) {
        action.owner.take_if(|owner| {
            let speaks =
                action.cites.iter().any(|id| self.utterances.get(id).is_some_and(|(speaker, _)| speaker == owner));
            !speaks && !words(owner).iter().any(|name| self.word(&stem(name), &action.cites))
        });
        action.due.take_if(|due| !self.holds(&due.said, &action.cites));
    }
}

/// Singular and plural, and a possessive, are one word.
pub(super) fn stem(word: &str) -> String {
    let word = word.strip_suffix("'s").unwrap_or(word);
    let is_plural = word.len() > 3 && word.ends_with('s') && !word.ends_with("ss") && !word.ends_with("us");
    if is_plural { word[..word.len() - 1].to_owned() } else { word.to_owned() }
}

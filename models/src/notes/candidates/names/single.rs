//! Names said as one word: "ask Femke in sales", "Heatmerchants should have it".
//!
//! English writes little large but names, so a word that is large within a sentence and nowhere small is one, unless it is a
//! place, a day or a language. A word that begins a sentence is large anyway: it counts if it does what only people do, or
//! stands within another sentence too.

use std::collections::HashSet;

use super::super::super::languages::small_words;
use super::super::super::sentences::is_english_small;
use super::super::super::{Name, NameKind};
use super::super::{Call, Sentence};
use super::large_words::{BUSY, COMMON_SHORT, NO_NAMES, PLACES};
use super::usage::{Said, TO_PEOPLE, Votes, said};
use super::{CALENDAR, LEADS, add};

/// A short form in front of which one of these stands is a body of people.
const BODIES: &[&str] = &["ask", "tell", "ring", "from", "at"];

/// Written as the names of people and companies are: "Femke", "O'Neill" and "T-Mobile", neither "T-shirt" nor "B".
fn is_large(core: &str) -> bool {
    let mut parts = core.split(['-', '\'', '’']).peekable();
    let all = core.chars().count() > 1
        && parts.all(|part| part.starts_with(char::is_uppercase) && part.chars().all(char::is_alphabetic));
    all && core.chars().any(char::is_lowercase)
}

/// "DPS": the first letters of several words.
fn is_short(core: &str) -> bool {
    (3..=5).contains(&core.len()) && core.chars().all(|c| c.is_ascii_uppercase())
}

/// "This is Dana", "it's Dana from the practice".
fn introduces(words: &[Said<'_>], at: usize) -> bool {
    let before = |far: usize| at.checked_sub(far).map(|place| &words[place]);
    let lead =
        |w: &Said<'_>| ["it", "i'm", "i’m"].contains(&w.small.as_str()) || ["is", "am"].contains(&w.small.as_str());
    before(1).is_some_and(|last| !last.parted && lead(last))
        && (before(1).is_some_and(|last| last.small.starts_with('i') && last.small != "is")
            || before(2).is_some_and(|w| ["this", "i", "name"].contains(&w.small.as_str())))
}

impl Call<'_, '_> {
    /// Adds the names said as one word, with all utterances in which they are said.
    pub(super) fn single(&self, out: &mut Vec<Name>) {
        // Where nouns are large, that a word is tells nothing.
        if !small_words(self.sentences.iter().flat_map(|s| s.words.iter().map(String::as_str))).is_empty() {
            return;
        }
        let english = |s: &&Sentence<'_>| small_words(s.words.iter().map(String::as_str)).is_empty();
        let lines: Vec<(u64, Vec<Said<'_>>)> =
            self.sentences.iter().filter(english).map(|s| (s.id, said(s.text))).collect();
        let found = self.voted(&lines);
        for (name, votes) in found.iter().filter(|(_, votes)| votes.is_name()) {
            let known = out.iter().find(|n| n.kind != NameKind::Amount && n.text.eq_ignore_ascii_case(name));
            let kind = match known.map_or_else(|| votes.kind(), |known| known.kind) {
                // Nobody is called by first letters alone.
                NameKind::Person if is_short(name) => NameKind::Organisation,
                kind => kind,
            };
            // "Dynamo" is short for "DynamoDB".
            let is_part = |n: &Name| n.text.len() > name.len() && n.text.starts_with(name);
            if !out.iter().any(is_part) {
                votes.cites.iter().for_each(|id| add(out, kind, name, *id));
            }
        }
    }

    /// The words of these lines that may be names, each once, with what speaks for it.
    fn voted<'t>(&self, lines: &[(u64, Vec<Said<'t>>)]) -> Vec<(&'t str, Votes)> {
        let all = || lines.iter().flat_map(|(id, words)| (0..words.len()).map(move |at| (*id, words, at)));
        let small: HashSet<&str> = lines
            .iter()
            .flat_map(|(_, words)| words)
            .filter(|w| w.core.starts_with(char::is_lowercase))
            .map(|w| w.small.as_str())
            .collect();
        let own: HashSet<&str> = all()
            .filter(|(id, words, at)| introduces(words, *at) && self.is_first_of_speaker(*id))
            .map(|(_, words, at)| words[at].core)
            .collect();
        let mut found: Vec<(&str, Votes)> = Vec::new();
        for (id, words, at) in all() {
            let core = words[at].core;
            if own.contains(core) || !self.may_be_name(words, at, &small) {
                continue;
            }
            let place = found.iter().position(|(name, _)| *name == core).unwrap_or_else(|| {
                found.push((core, Votes::default()));
                found.len() - 1
            });
            found[place].1.count(words, at);
            found[place].1.cites.push(id);
        }
        found
    }

    /// Whether a word is written as a name and stands for nothing else that is written so.
    fn may_be_name(&self, words: &[Said<'_>], at: usize, small: &HashSet<&str>) -> bool {
        let word = &words[at];
        let lower = word.small.as_str();
        let known =
            |list: &[&str]| list.contains(&lower) || lower.strip_suffix('s').is_some_and(|one| list.contains(&one));
        if known(CALENDAR) || known(NO_NAMES) || known(PLACES) || is_english_small(lower) || small.contains(lower) {
            return false;
        }
        if self.is_speaker(word.core) || self.is_term(word.core) || !self.stands_alone(words, at, small) {
            return false;
        }
        let before = |far: usize| at.checked_sub(far).map_or("", |place| words[place].small.as_str());
        let body = BODIES.contains(&before(1)) || before(1) == "the" && BODIES.contains(&before(2));
        is_large(word.core) && !(word.starts && BUSY.contains(&lower))
            || is_short(word.core) && body && !COMMON_SHORT.contains(&lower)
    }

    /// Whether this is what somebody begins with.
    pub(super) fn is_first_of_speaker(&self, id: u64) -> bool {
        let speaker = self.sentences.iter().find(|s| s.id == id).map(|s| s.speaker);
        self.sentences.iter().find(|s| Some(s.speaker) == speaker).is_some_and(|first| first.id == id)
    }

    /// Whether no other part of a name stands beside it; the word that begins a sentence is large anyway.
    fn stands_alone(&self, words: &[Said<'_>], at: usize, small: &HashSet<&str>) -> bool {
        let large = |w: &Said<'_>| w.core.starts_with(char::is_uppercase) && w.core != "I" && !self.is_speaker(w.core);
        let follows =
            words.get(at + 1).is_some_and(|next| !words[at].parted && words[at].tail.is_empty() && large(next));
        let leads = at.checked_sub(1).is_some_and(|before| {
            let last = &words[before];
            let plain = last.starts && is_plain(&last.small, small);
            !last.parted && last.core.starts_with(char::is_uppercase) && last.core != "I" && !plain
        });
        !follows && !leads
    }
}

/// Whether a word that begins a sentence would be small within one.
pub(super) fn is_plain(lower: &str, small: &HashSet<&str>) -> bool {
    is_english_small(lower)
        || LEADS.contains(&lower)
        || TO_PEOPLE.contains(&lower)
        || small.contains(lower)
        || BUSY.contains(&lower)
}

#[cfg(test)]
mod tests {
    use crate::eval::calls::call;
    use crate::notes::NameKind::{self, Amount, Organisation, Person, Product};
    use crate::notes::{ExtractiveWriter, Name};

    fn names(said: &[(&str, &str)]) -> Vec<Name> {
        let all = ExtractiveWriter.write(&call(said)).names;
        all.into_iter().filter(|name| name.kind != Amount).collect()
    }

    fn named(text: &str) -> Vec<(NameKind, String)> {
        names(&[("Bob", text)]).into_iter().map(|name| (name.kind, name.text)).collect()
    }

    #[test]
    fn one_large_word_within_a_sentence_names_somebody_or_something() {
        for (text, kind, name) in [
            ("I can ask Femke in sales about it.", Person, "Femke"),
            ("Then I'll drop Karen an email about the ferry.", Person, "Karen"),
            ("It's a guy named Russ who does the printing.", Person, "Russ"),
            ("My sister Ulrike had the same boiler.", Person, "Ulrike"),
            ("I need the returns from Marcy, my accountant.", Person, "Marcy"),
            ("I have to talk to Dolores first.", Person, "Dolores"),
            ("That one is booked at Tesco for the day.", Organisation, "Tesco"),
            ("We got a mail from Teknova this morning.", Organisation, "Teknova"),
            ("We run it on Postgres at the moment.", Product, "Postgres"),
            ("What does the Vokera app say about it?", Product, "Vokera"),
            ("You would have to ask DPS about it.", Organisation, "DPS"),
        ] {
            assert_eq!(named(text), [(kind, name.to_owned())], "{text}");
        }
    }

    #[test]
    fn a_word_that_begins_a_sentence_is_a_name_if_it_does_what_people_do() {
        for (text, kind, name) in [
            ("Denny's got the van until noon.", Person, "Denny"),
            ("Mick did that one last night.", Person, "Mick"),
            ("Ruben can do that on the weekend.", Person, "Ruben"),
            ("Vikram, yes.", Person, "Vikram"),
            ("Heatmerchants should have the valve.", Organisation, "Heatmerchants"),
        ] {
            assert_eq!(named(text), [(kind, name.to_owned())], "{text}");
        }
        for text in [
            "Sales has the numbers, if anyone.",
            "Nobody said a word about it.",
            "Everybody wants to join the call.",
            "Dinner's got cold, I think.",
            "Frost. It killed the whole field.",
            "Returns, you would have to get those.",
            "Navy's easy to match.",
        ] {
            assert_eq!(named(text), [], "{text}");
        }
    }

    #[test]
    fn places_days_languages_and_words_that_are_small_elsewhere_are_no_names() {
        for text in [
            "I have been in Swords all day.",
            "The parcel is on its way to Dover.",
            "We had to collect her from Tralee in the rain.",
            "There are opening hours at the Graz shop.",
            "You might as well be speaking Greek to me.",
            "We closed on Tuesday, before Thanksgiving.",
            "Oh God, and Grandma saw it too.",
            "I still have the T-shirt and plan B.",
            "We watched it on TV, as a PDF and with VAT.",
            "It was the Board that asked. The board is slow.",
        ] {
            assert_eq!(named(text), [], "{text}");
        }
    }

    #[test]
    fn who_speaks_is_not_named_and_neither_is_who_says_so() {
        let said = [
            ("Front desk", "Good morning, this is Dana, how can I help?"),
            ("Ada Lovelace", "Hello Dana, it's Ada. Thank you, Dana."),
        ];
        assert_eq!(names(&said), []);
    }

    #[test]
    fn a_name_cites_all_utterances_that_say_it_and_its_longer_form_stands_for_it() {
        let all = names(&[
            ("Bob", "Should we inform Teknova? I would call."),
            ("Ruth", "Teknova knows already, I think."),
            ("Bob", "That was Lakshmi from payables. I rang Lakshmi Rao myself."),
        ]);
        let all: Vec<_> = all.iter().map(|n| (n.text.as_str(), n.cites.as_slice())).collect();
        assert_eq!(all, [("Lakshmi Rao", [3].as_slice()), ("Teknova", &[1, 2])]);
    }

    #[test]
    fn where_nouns_are_large_no_single_word_is_taken_for_a_name() {
        assert_eq!(named("Ich habe die Rechnung an die Firma geschickt, und dann kam der Aufzug nicht."), []);
    }
}

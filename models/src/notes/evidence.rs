//! The evidence check that every item of notes passes, whoever wrote it.
//!
//! Lenient on common words, since prose is not quotation; strict on what does harm when it is wrong: numbers, names, owners,
//! dates, and whether something was said or denied.

mod clauses;

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use regex::Regex;

pub(super) use clauses::denies;
use clauses::{Clause, clauses};

use super::numbers::{self, Numbers};
use super::orders::Orders;
use super::roots::root;
use super::sentences::{is_stop_word, words};
use super::{Action, Cited, Due, Notes, Transcript, dates};

/// Share of an item's telling words that its utterances must hold.
const SHARE: f32 = 0.6;
/// A sentence of prose rests on no more utterances than this.
const MOST_CITES: usize = 4;
/// Utterances so near to one another speak of the same.
const NEAR: usize = 8;

/// Drops from notes what the cited utterances do not support: items without citations or with citations of utterances that
/// are not there; with words, numbers or names that were not said; that deny what was said or the other way round; owners
/// who neither took it on nor were named; dates whose words were not said. Dates are resolved again from their words.
pub fn keep_supported(notes: &mut Notes, transcript: &Transcript) {
    let said = Said::new(transcript);
    if !said.heard(&notes.title) {
        notes.title.clear();
    }
    notes.keywords.retain(|keyword| words(keyword).iter().all(|word| said.everywhere.contains(&root(word))));
    notes.summary.retain(|item| said.cited(item));
    notes.decisions.retain(|item| said.cited(item));
    notes.questions.retain(|item| said.cited(item));
    notes.actions.retain(|action| said.supports(&action.text, &action.cites));
    for action in &mut notes.actions {
        said.mend(action);
    }
    notes.deadlines.retain_mut(|d| said.supports(&d.text, &d.cites) && said.mend_due(&mut d.due, &d.cites));
    notes.names.retain(|name| {
        said.holds(&name.text, &name.cites) && numbers::claimed(&name.text).is_subset(&said.numbers(&name.cites))
    });
    notes.next_meeting.take_if(|next| !said.mend_due(&mut next.when, &next.cites));
}

/// A transcript made ready for questions about what was said.
pub(crate) struct Said<'a> {
    lines: Vec<Line<'a>>,
    places: HashMap<u64, usize>,
    /// Roots of all words of all lines, with the speakers' names.
    everywhere: HashSet<String>,
    /// How many lines hold a root.
    rarity: HashMap<String, f32>,
    speakers: HashSet<String>,
    zone: &'a str,
    started_ms: i64,
}

struct Line<'a> {
    id: u64,
    start_ms: i64,
    speaker: &'a str,
    text: &'a str,
    roots: HashSet<String>,
    numbers: Numbers,
    clauses: Vec<Clause>,
}

/// "I'll", "sure", "leave it to me": the words by which one takes something on.
static TAKES_ON: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(?:I'll|I’ll|I will|I'm going to|I am going to|I'm gonna|I can|I could|I have to|I need to|I must|I should|shall I|should I|do you want me to|I promise|I'd|let me|leave (?:it|that) (?:to|with) me|on me|mine|my job|my action|yes|yeah|yep|sure|ok|okay|of course|will do|no problem|certainly|gladly|absolutely|on it|done|consider it done|happy to|I've got (?:it|that)|we'll|we will|we can)\b")
        .expect("a test compiles this constant pattern")
});

impl<'a> Said<'a> {
    /// Reads all of it: some ms for an hour of talk.
    pub(crate) fn new(transcript: &'a Transcript) -> Self {
        let mut order: Vec<_> = transcript.utterances.iter().collect();
        order.sort_by_key(|u| (u.start_ms, u.id));
        let orders = Orders::of(transcript);
        let lines: Vec<Line<'_>> = order
            .into_iter()
            .map(|u| {
                // What was said to make notes is no evidence for them.
                let text = orders.without(u);
                let mut roots: HashSet<String> = words(text).iter().map(|w| root(w)).collect();
                roots.extend(words(&u.speaker).iter().map(|w| root(w)));
                let mut numbers = numbers::held(text);
                numbers.extend(numbers::held(&u.speaker));
                let clauses = clauses(text);
                Line { id: u.id, start_ms: u.start_ms, speaker: &u.speaker, text, roots, numbers, clauses }
            })
            .collect();
        let mut rarity: HashMap<String, f32> = HashMap::new();
        for root in lines.iter().flat_map(|line| &line.roots) {
            *rarity.entry(root.clone()).or_default() += 1.0;
        }
        let count = lines.len() as f32;
        rarity.values_mut().for_each(|n| *n = (1.0 + count / *n).ln());
        Self {
            places: lines.iter().enumerate().map(|(at, line)| (line.id, at)).collect(),
            everywhere: rarity.keys().cloned().collect(),
            speakers: transcript.utterances.iter().flat_map(|u| words(&u.speaker)).collect(),
            zone: &transcript.time_zone,
            started_ms: transcript.started_ms,
            rarity,
            lines,
        }
    }

    fn cited(&self, item: &Cited) -> bool {
        self.supports(&item.text, &item.cites)
    }

    /// Whether these utterances bear a sentence.
    pub(crate) fn supports(&self, text: &str, cites: &[u64]) -> bool {
        if cites.is_empty() || cites.iter().any(|id| !self.places.contains_key(id)) {
            return false;
        }
        let telling = telling(text);
        let held = telling.iter().filter(|word| self.word(word, cites)).count();
        held as f32 >= telling.len() as f32 * SHARE
            && numbers::claimed(text).is_subset(&self.numbers(cites))
            && self.names(text).iter().all(|name| self.named(name, cites))
            && self.as_said_not_denied(text, cites)
    }

    /// Whether a headline speaks of nothing that was not said.
    pub(crate) fn heard(&self, title: &str) -> bool {
        let all: Vec<u64> = self.lines.iter().map(|line| line.id).collect();
        let telling = telling(title);
        let held = telling.iter().filter(|word| self.everywhere.contains(*word)).count();
        held as f32 >= telling.len() as f32 * SHARE
            && numbers::claimed(title).is_subset(&self.numbers(&all))
            // In a headline every word may be large: only what stands for one of the speakers or is said as a name is one.
            && self.names(&title.to_lowercase()).iter().all(|name| self.everywhere.contains(&root(name)))
    }

    /// The utterances on which a sentence of prose rests, ascending; `None` where they do not support it.
    pub(crate) fn align(&self, sentence: &str) -> Option<Vec<u64>> {
        let wanted = telling(sentence);
        let claims = numbers::claimed(sentence);
        let names = self.names(sentence);
        if wanted.is_empty() {
            return None;
        }
        let mut chosen: Vec<usize> = Vec::new();
        let mut covered: HashSet<String> = HashSet::new();
        let mut counted = Numbers::new();
        while chosen.len() < MOST_CITES {
            let gain = |at: usize| -> f32 {
                let line = &self.lines[at];
                let weight = |word: &String| self.rarity.get(word).copied().unwrap_or(1.0);
                let mut words: Vec<f32> =
                    wanted.iter().filter(|w| line.roots.contains(*w) && !covered.contains(*w)).map(weight).collect();
                // Sums of floats depend on their order, and a set has none.
                words.sort_by(f32::total_cmp);
                let numbers = claims.iter().filter(|n| line.numbers.contains(n) && !counted.contains(n)).count();
                let named =
                    names.iter().filter(|n| line.roots.contains(&root(n)) && !covered.contains(&root(n))).count();
                let near = chosen.is_empty() || chosen.iter().any(|c| c.abs_diff(at) <= NEAR);
                let sum = words.iter().sum::<f32>() + 2.0 * numbers as f32 + named as f32;
                if near { sum } else { 0.6 * sum }
            };
            let best = (0..self.lines.len())
                .filter(|at| !chosen.contains(at))
                .map(|at| (gain(at), at))
                .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)))
                .filter(|(gain, _)| *gain > 0.0);
            let Some((_, at)) = best else { break };
            chosen.push(at);
            covered.extend(self.lines[at].roots.iter().cloned());
            counted.extend(self.lines[at].numbers.iter().copied());
            let enough = wanted.iter().filter(|w| covered.contains(*w)).count() as f32 >= wanted.len() as f32 * 0.85;
            if enough && claims.is_subset(&counted) && names.iter().all(|n| covered.contains(&root(n))) {
                break;
            }
        }
        let mut cites: Vec<u64> = chosen.iter().map(|at| self.lines[*at].id).collect();
        cites.sort_unstable();
        self.supports(sentence, &cites).then_some(cites)
    }

    /// Every word of a phrase was said.
    fn holds(&self, phrase: &str, cites: &[u64]) -> bool {
        let all = words(phrase);
        !cites.is_empty() && !all.is_empty() && all.iter().all(|word| self.word(&root(word), cites))
    }

    fn word(&self, root: &str, cites: &[u64]) -> bool {
        self.cited_lines(cites).any(|line| line.roots.contains(root))
    }

    /// A name may have been said with an ending more or less.
    fn named(&self, name: &str, cites: &[u64]) -> bool {
        let wanted = root(name);
        self.cited_lines(cites).any(|line| {
            line.roots.contains(&wanted)
                || line.roots.iter().any(|word| {
                    word.len().abs_diff(wanted.len()) <= 2
                        && wanted.len() >= 5
                        && (word.starts_with(&wanted) || wanted.starts_with(word.as_str()) && word.len() >= 5)
                })
        })
    }

    fn numbers(&self, cites: &[u64]) -> Numbers {
        self.cited_lines(cites).flat_map(|line| line.numbers.iter().copied()).collect()
    }

    fn cited_lines<'s>(&'s self, cites: &'s [u64]) -> impl Iterator<Item = &'s Line<'a>> {
        cites.iter().filter_map(|id| self.places.get(id)).map(|at| &self.lines[*at])
    }

    /// Words of a sentence that are names: written large within it, or large at its start and known or acting as one.
    fn names(&self, text: &str) -> Vec<String> {
        let mut out = Vec::new();
        let mut starts = true;
        let tokens: Vec<&str> = text.split_whitespace().collect();
        for (at, raw) in tokens.iter().enumerate() {
            let word = raw.trim_matches(|c: char| !c.is_alphanumeric());
            let lower = word.to_lowercase().replace('’', "'");
            let lower = lower.strip_suffix("'s").unwrap_or(&lower).to_owned();
            // A wrong day does harm, however it is written.
            if dates::is_day(&lower) {
                out.push(lower);
                starts = raw.ends_with(['.', '!', '?', ':']);
                continue;
            }
            let opens = raw.starts_with(['“', '"', '‘']);
            let large = word.starts_with(char::is_uppercase) && !is_stop_word(&lower);
            let acts = || {
                let next = tokens.get(at + 1).map(|t| t.to_lowercase()).unwrap_or_default();
                let next = next.trim_matches(|c: char| !c.is_alphanumeric());
                ACTS.contains(&next) && !self.everywhere.contains(&root(&lower)) && !REPORTING.contains(&lower.as_str())
            };
            if (large && (!(starts || opens) || self.speakers.contains(&lower) || acts()))
                || (!large && self.speakers.contains(&lower) && lower.chars().count() > 3 && !is_stop_word(&lower))
            {
                out.push(lower);
            }
            starts = raw.ends_with(['.', '!', '?', ':', '“', '"', '…']);
        }
        out
    }

    /// Each clause of a text is denied just as the clauses that speak most like it.
    fn as_said_not_denied(&self, text: &str, cites: &[u64]) -> bool {
        clauses(text).iter().filter(|clause| !clause.roots.is_empty()).all(|clause| {
            let like = |other: &Clause| clause.roots.intersection(&other.roots).count();
            let said: Vec<(usize, bool)> = self
                .cited_lines(cites)
                .flat_map(|line| &line.clauses)
                .map(|other| (like(other), other.denied))
                .collect();
            let best = said.iter().map(|(like, _)| *like).max().unwrap_or(0);
            // What is like nothing that was said was judged by its words.
            (best * 2 < clause.roots.len() && !clause.denied)
                || said.iter().any(|(like, denied)| *like == best && *denied == clause.denied)
        })
    }

    fn mend(&self, action: &mut Action) {
        action.owner.take_if(|owner| !self.owns(owner, &action.cites));
        action.due.take_if(|due| !self.mend_due(due, &action.cites));
    }

    /// Whether somebody took it on in one of these utterances, or was named in one.
    fn owns(&self, owner: &str, cites: &[u64]) -> bool {
        let names: Vec<String> = words(owner);
        !names.is_empty()
            && self.cited_lines(cites).any(|line| {
                let speaks = line.speaker == owner || line.speaker.split_whitespace().any(|part| part == owner);
                let takes = speaks && (TAKES_ON.is_match(line.text) || !seems_english(line.text));
                let said: HashSet<String> = words(line.text).iter().map(|w| root(w)).collect();
                takes || names.iter().any(|name| name.chars().count() > 1 && said.contains(&root(name)))
            })
    }

    /// Whether the words of a date were said; what they mean is worked out here, whatever the writer made of them.
    fn mend_due(&self, due: &mut Due, cites: &[u64]) -> bool {
        if !self.holds(&due.said, cites) {
            return false;
        }
        let at = self.cited_lines(cites).map(|line| line.start_ms).max().unwrap_or(0);
        let at = self.started_ms.saturating_add(at);
        let Some(understood) = dates::resolve(&due.said, at, self.zone) else { return false };
        due.date = understood.date;
        due.time = understood.time.or(due.time);
        true
    }
}

/// Verbs that stand behind a name that begins a sentence.
const ACTS: &[&str] = &[
    "will",
    "is",
    "was",
    "has",
    "had",
    "agreed",
    "wants",
    "said",
    "says",
    "needs",
    "should",
    "asked",
    "asks",
    "promised",
    "confirmed",
    "offered",
    "suggested",
    "proposed",
    "can",
    "could",
    "must",
    "sends",
    "and",
    "or",
    "also",
];

/// Words by which prose tells that something was said.
const REPORTING: &[&str] = &[
    "agree",
    "agreed",
    "announced",
    "asked",
    "asks",
    "call",
    "caller",
    "confirmed",
    "confirms",
    "conversation",
    "decided",
    "decides",
    "decision",
    "discuss",
    "discussed",
    "discusses",
    "discussion",
    "explained",
    "explains",
    "group",
    "informed",
    "informs",
    "meeting",
    "mentioned",
    "mentions",
    "offered",
    "offers",
    "participants",
    "plan",
    "planned",
    "plans",
    "promised",
    "promises",
    "proposed",
    "proposes",
    "reminds",
    "reported",
    "reports",
    "said",
    "says",
    "speakers",
    "suggested",
    "suggests",
    "talked",
    "talks",
    "team",
    "told",
    "wants",
];

fn telling(text: &str) -> HashSet<String> {
    let all = words(text);
    all.iter().filter(|w| !is_stop_word(w) && !REPORTING.contains(&w.as_str())).map(|w| root(w)).collect()
}

/// Whether a text has the small words of English: patterns for English say nothing of other languages.
fn seems_english(text: &str) -> bool {
    const SMALL: &[&str] = &[
        "the", "a", "and", "to", "of", "i", "we", "you", "it", "is", "that", "for", "on", "in", "i'll", "we'll",
        "it's", "yes", "no", "be", "will", "can", "do", "have", "are", "this", "my", "your", "at", "by", "okay",
        "sure", "not", "don't", "with", "what", "so", "but", "was", "me", "please", "yeah", "right", "good", "thanks",
        "ok",
    ];
    let all = words(text);
    let small = all.iter().filter(|w| SMALL.contains(&w.as_str())).count();
    small * 8 >= all.len()
}

#[cfg(test)]
mod tests;

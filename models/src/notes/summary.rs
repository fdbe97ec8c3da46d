//! Which sentences stand for the call, and which words: lexical centrality over what was said.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::Cited;
use super::candidates::{is_small_talk, is_to_the_machine};
use super::evidence::stem;
use super::sentences::{Sentence, is_stop_word, words};

/// Longer calls are judged by this many of their longest sentences: the comparison is of each with each.
const MOST: usize = 1500;

/// A word or pair of words with how much it says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Keyword {
    /// As it was first said, lower case unless it is always written large.
    pub(super) text: String,
    /// How often it was said.
    pub(super) count: usize,
    score: f32,
}

/// The telling words of a sentence, as stems.
fn telling(sentence: &Sentence<'_>) -> Vec<String> {
    sentence
        .words
        .iter()
        .filter(|w| !is_stop_word(w) && !w.chars().all(|c| c.is_ascii_digit()))
        .map(|w| stem(w))
        .collect()
}

/// Two to four sentences that are most like all others and unlike one another, in the order in which they were said.
/// `weight` raises sentences (those that hold decisions, say). None for a call without two telling sentences.
pub(super) fn summarise(sentences: &[Sentence<'_>], weight: impl Fn(&Sentence<'_>) -> f32) -> Vec<Cited> {
    let mut usable: Vec<(usize, HashSet<String>)> = sentences
        .iter()
        .enumerate()
        .filter(|(_, s)| s.words.len() >= 4 && s.words.len() <= 60 && !s.text.ends_with('?'))
        .filter(|(_, s)| !is_small_talk(s) && !is_to_the_machine(s.text))
        .map(|(at, s)| (at, telling(s).into_iter().collect::<HashSet<_>>()))
        .filter(|(_, words)| words.len() >= 2)
        .collect();
    usable.sort_by_key(|(at, words)| (std::cmp::Reverse(words.len()), *at));
    usable.truncate(MOST);
    usable.sort_by_key(|(at, _)| *at);
    if usable.is_empty() {
        return Vec::new();
    }
    let mut rarity: HashMap<&str, f32> = HashMap::new();
    for (_, words) in &usable {
        for word in words {
            *rarity.entry(word).or_default() += 1.0;
        }
    }
    let count = usable.len() as f32;
    rarity.values_mut().for_each(|n| *n = (1.0 + count / *n).ln());
    let norm = |words: &HashSet<String>| -> f32 {
        let mut squares: Vec<f32> = words.iter().map(|w| rarity[w.as_str()].powi(2)).collect();
        // Sums of floats depend on their order, and a set has none.
        squares.sort_by(f32::total_cmp);
        squares.iter().sum::<f32>().sqrt()
    };
    let norms: Vec<f32> = usable.iter().map(|(_, words)| norm(words)).collect();
    let alike = |a: usize, b: usize| -> f32 {
        let (first, second) = (&usable[a].1, &usable[b].1);
        let mut shared: Vec<f32> = first.intersection(second).map(|w| rarity[w.as_str()].powi(2)).collect();
        shared.sort_by(f32::total_cmp);
        shared.iter().sum::<f32>() / (norms[a] * norms[b]).max(1e-6)
    };
    let mut score: Vec<f32> = (0..usable.len())
        .map(|a| {
            let near: f32 = (0..usable.len()).filter(|b| *b != a).map(|b| alike(a, b)).sum();
            let length = (usable[a].1.len() as f32).min(12.0) / 12.0;
            (0.15 + near / count.sqrt() + 0.5 * length) * weight(&sentences[usable[a].0])
        })
        .collect();
    let wanted = match usable.len() {
        0..=5 => 2,
        6..=20 => 3,
        _ => 4,
    };
    let mut chosen: Vec<usize> = Vec::new();
    while chosen.len() < wanted.min(usable.len()) {
        let Some(best) = (0..usable.len())
            .filter(|i| !chosen.contains(i))
            .max_by(|a, b| score[*a].total_cmp(&score[*b]).then(b.cmp(a)))
        else {
            break;
        };
        for (other, value) in score.iter_mut().enumerate() {
            *value *= 1.0 - alike(best, other).min(0.95);
        }
        chosen.push(best);
    }
    chosen.sort_unstable();
    chosen
        .into_iter()
        .map(|i| {
            let sentence = &sentences[usable[i].0];
            Cited {
                id: super::ItemId::default(),
                text: format!("{}: “{}”", sentence.speaker, super::sentences::as_line(sentence.text)),
                cites: vec![sentence.id],
            }
        })
        .collect()
}

/// The most telling words and pairs, best first, at most eight. Names of the speakers are none.
pub(super) fn keywords(sentences: &[Sentence<'_>], speakers: &[String]) -> Vec<Keyword> {
    let names: HashSet<String> = speakers.iter().flat_map(|s| words(s)).collect();
    // stem -> (count, first position, as written)
    let mut single: BTreeMap<String, (usize, usize, String)> = BTreeMap::new();
    let mut pairs: BTreeMap<(String, String), (usize, usize, String)> = BTreeMap::new();
    let mut position = 0;
    for sentence in sentences.iter().filter(|s| !is_to_the_machine(s.text) && !is_small_talk(s)) {
        let mut last: Option<(&String, String)> = None;
        for word in &sentence.words {
            position += 1;
            let tells = !is_stop_word(word)
                && word.chars().count() > 2
                && !word.chars().any(|c| c.is_ascii_digit())
                && !names.contains(word)
                && !is_verb_of_talk(word);
            if !tells {
                last = None;
                continue;
            }
            let key = stem(word);
            let entry = single.entry(key.clone()).or_insert_with(|| (0, position, as_written(sentence, word)));
            entry.0 += 1;
            if let Some((before, before_key)) = last.take() {
                let written = format!("{} {}", as_written(sentence, before), as_written(sentence, word));
                let entry = pairs.entry((before_key, key.clone())).or_insert((0, position, written));
                entry.0 += 1;
            }
            last = Some((word, key));
        }
    }
    let mut out: Vec<(Keyword, usize)> = Vec::new();
    for ((first, second), (count, at, text)) in &pairs {
        if *count >= 2 {
            let score = *count as f32 * 2.2;
            out.push((Keyword { text: text.clone(), count: *count, score }, *at));
            // What is nearly always said in the pair is not said again alone.
            for part in [first, second] {
                if let Some(entry) = single.get_mut(part) {
                    entry.0 -= (*count).min(entry.0);
                }
            }
        }
    }
    for (_, (count, at, text)) in single {
        let length = (text.chars().count() as f32 / 6.0).clamp(0.6, 1.5);
        if count > 0 {
            out.push((Keyword { text, count, score: count as f32 * length }, at));
        }
    }
    out.sort_by(|(a, at_a), (b, at_b)| b.score.total_cmp(&a.score).then(at_a.cmp(at_b)));
    // In a call of any length a word said once is chance.
    let repeated = out.iter().filter(|(k, _)| k.count > 1).count();
    if repeated >= 3 {
        out.retain(|(k, _)| k.count > 1);
    }
    out.truncate(8);
    out.into_iter().map(|(keyword, _)| keyword).collect()
}

/// A title of up to three keywords.
pub(super) fn title(keywords: &[Keyword]) -> String {
    let best = keywords.first().map_or(0.0, |k| k.score);
    let chosen: Vec<&str> =
        keywords.iter().take(3).filter(|k| k.score >= best * 0.34).map(|k| k.text.as_str()).collect();
    let joined = match chosen.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first, second] => format!("{first} and {second}"),
        [first, second, third, ..] => format!("{first}, {second} and {third}"),
    };
    let mut characters = joined.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

/// The word as it stands in the sentence if it is written large there in mid-sentence (a name), else lower case.
fn as_written(sentence: &Sentence<'_>, word: &str) -> String {
    let inner = sentence.text.split_whitespace().skip(1);
    let found = inner.map(|w| w.trim_matches(|c: char| !c.is_alphanumeric())).find(|w| w.to_lowercase() == word);
    found.filter(|w| w.starts_with(char::is_uppercase)).map_or_else(|| word.to_owned(), str::to_owned)
}

fn is_verb_of_talk(word: &str) -> bool {
    const VERBS: &[&str] = &[
        "agree",
        "agreed",
        "ask",
        "asked",
        "believe",
        "check",
        "decide",
        "decided",
        "feel",
        "guess",
        "happen",
        "happened",
        "help",
        "hope",
        "mention",
        "mentioned",
        "remember",
        "send",
        "sent",
        "show",
        "speak",
        "start",
        "started",
        "stop",
        "suppose",
        "talk",
        "talked",
        "talking",
        "tell",
        "told",
        "try",
        "trying",
        "understand",
        "wonder",
        "work",
        "works",
        "working",
        "write",
        "left",
        "bring",
        "call",
        "calling",
        "press",
    ];
    VERBS.contains(&word)
}

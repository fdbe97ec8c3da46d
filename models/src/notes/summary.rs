//! Which sentences stand for the call, and which words: lexical centrality over what was said.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::Cited;
use super::candidates::is_small_talk;
use super::roots::stem;
use super::sentences::{Sentence, is_stop_word, words};

/// No summary has more sentences than this.
const LONGEST: usize = 8;

/// A word or pair of words with how much it says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Keyword {
    /// As it was first said, lower case unless it is always written large.
    pub(super) text: String,
    /// How often it was said.
    pub(super) count: usize,
    score: f32,
}

/// What a summary is chosen from.
pub(super) struct Material<'s, 'a> {
    /// All sentences, in order.
    pub(super) sentences: &'s [Sentence<'a>],
    /// Those of them that only deny what somebody wanted written.
    pub(super) denials: &'s HashSet<usize>,
    /// The topic of each utterance, counted from 0.
    pub(super) topics: &'s HashMap<u64, usize>,
    /// Small words of the call's language, beside those of English.
    pub(super) small: &'static [&'static str],
    /// What each sentence means, where that is known.
    pub(super) vectors: Option<&'s [Vec<f32>]>,
}

/// A sentence that may stand for the call.
struct Choice {
    at: usize,
    topic: usize,
    /// Telling stems.
    words: BTreeSet<String>,
    norm: f32,
    score: f32,
}

/// Two to four sentences that are most like all others and unlike one another, in a long call one for each topic (at most
/// eight), in the order in which they were said. `weight` raises sentences (those that hold decisions, say). None for a call
/// without a telling sentence.
pub(super) fn summarise(material: &Material<'_, '_>, weight: impl Fn(&Sentence<'_>) -> f32) -> Vec<Cited> {
    let (mut choices, rarity) = choices(material);
    centrality(&mut choices, &rarity, material, weight);
    let topics = choices.iter().map(|c| c.topic).collect::<BTreeSet<_>>().len();
    let wanted = match (topics, choices.len()) {
        (0 | 1, 0..=5) => 2,
        (0 | 1, 6..=20) => 3,
        (0 | 1, _) => 4,
        _ => topics.clamp(4, LONGEST),
    };
    let mut chosen: Vec<usize> = Vec::new();
    let mut score: Vec<f32> = choices.iter().map(|c| c.score).collect();
    while chosen.len() < wanted.min(choices.len()) {
        // Each topic has its say before one has a second.
        let fresh = |i: usize| !chosen.iter().any(|c: &usize| choices[*c].topic == choices[i].topic);
        let open: Vec<usize> = (0..choices.len()).filter(|i| !chosen.contains(i)).collect();
        let unsaid: Vec<usize> = open.iter().copied().filter(|i| topics > 1 && fresh(*i)).collect();
        let from = if unsaid.is_empty() { &open } else { &unsaid };
        let Some(best) = from.iter().copied().max_by(|a, b| score[*a].total_cmp(&score[*b]).then(b.cmp(a))) else {
            break;
        };
        for (other, value) in score.iter_mut().enumerate() {
            *value *= 1.0 - alike(&choices[best], &choices[other], &rarity, material).clamp(0.0, 0.95);
        }
        chosen.push(best);
    }
    chosen.sort_unstable();
    chosen
        .into_iter()
        .map(|i| {
            let sentence = &material.sentences[choices[i].at];
            Cited {
                id: super::ItemId::default(),
                text: format!("{}: “{}”", sentence.speaker, super::sentences::as_line(sentence.text)),
                cites: vec![sentence.id],
            }
        })
        .collect()
}

/// The sentences that say something, and how rare their words are.
fn choices(material: &Material<'_, '_>) -> (Vec<Choice>, BTreeMap<String, f32>) {
    let tells = |w: &&String| {
        !is_stop_word(w) && !material.small.contains(&w.as_str()) && !w.chars().all(|c| c.is_ascii_digit())
    };
    let mut choices: Vec<Choice> = material
        .sentences
        .iter()
        .enumerate()
        .filter(|(_, s)| s.words.len() >= 4 && s.words.len() <= 60 && !s.text.ends_with('?'))
        .filter(|(at, s)| !is_small_talk(s) && !material.denials.contains(at))
        .map(|(at, s)| Choice {
            at,
            topic: material.topics.get(&s.id).copied().unwrap_or(0),
            words: s.words.iter().filter(tells).map(|w| stem(w)).collect(),
            norm: 0.0,
            score: 0.0,
        })
        .filter(|choice| choice.words.len() >= 2)
        .collect();
    let mut rarity: BTreeMap<String, f32> = BTreeMap::new();
    for word in choices.iter().flat_map(|choice| &choice.words) {
        *rarity.entry(word.clone()).or_default() += 1.0;
    }
    let count = choices.len() as f32;
    rarity.values_mut().for_each(|n| *n = (1.0 + count / *n).ln());
    for choice in &mut choices {
        choice.norm = choice.words.iter().map(|w| rarity[w].powi(2)).sum::<f32>().sqrt().max(1e-6);
    }
    (choices, rarity)
}

/// Scores each choice by how much it is like all others. Linear in the words: the sum over all others is taken by word.
fn centrality(
    choices: &mut [Choice],
    rarity: &BTreeMap<String, f32>,
    material: &Material<'_, '_>,
    weight: impl Fn(&Sentence<'_>) -> f32,
) {
    let count = choices.len() as f32;
    let mut shares: BTreeMap<&str, f32> = BTreeMap::new();
    for choice in choices.iter() {
        for word in &choice.words {
            *shares.entry(word).or_default() += 1.0 / choice.norm;
        }
    }
    let mut middle: Vec<f32> = Vec::new();
    for vector in material.vectors.iter().flat_map(|all| choices.iter().filter_map(|c| all.get(c.at))) {
        middle.resize(middle.len().max(vector.len()), 0.0);
        middle.iter_mut().zip(vector).for_each(|(sum, value)| *sum += value / count);
    }
    let scores: Vec<f32> = choices
        .iter()
        .map(|choice| {
            let sentence = &material.sentences[choice.at];
            let all: f32 =
                choice.words.iter().map(|w| rarity[w].powi(2) * shares[w.as_str()]).sum::<f32>() / choice.norm;
            let near = (all - 1.0).max(0.0) / count.sqrt();
            let sense =
                material.vectors.and_then(|all| all.get(choice.at)).map_or(0.0, |v| super::topics::cosine(v, &middle));
            let length = (choice.words.len() as f32).min(12.0) / 12.0;
            // "It only needs that" cannot stand alone.
            let alone = if LEANS.contains(&sentence.words[0].as_str()) { 0.75 } else { 1.0 };
            (0.15 + near + sense.max(0.0) + 0.5 * length) * weight(sentence) * alone
        })
        .collect();
    choices.iter_mut().zip(scores).for_each(|(choice, score)| choice.score = score);
}

/// First words of sentences that lean on the one before.
const LEANS: &[&str] = &[
    "it", "it's", "that", "that's", "this", "they", "they're", "he", "she", "and", "but", "those", "these", "which",
    "or", "because",
];

fn alike(a: &Choice, b: &Choice, rarity: &BTreeMap<String, f32>, material: &Material<'_, '_>) -> f32 {
    let shared: f32 = a.words.intersection(&b.words).map(|w| rarity[w].powi(2)).sum();
    let lexical = shared / (a.norm * b.norm);
    match material.vectors.and_then(|all| Some((all.get(a.at)?, all.get(b.at)?))) {
        Some((first, second)) => lexical.max(super::topics::cosine(first, second)),
        None => lexical,
    }
}

/// The most telling words and pairs, best first, at most eight. `denials`: see [`Material`]. Names of the speakers are none.
pub(super) fn keywords(
    sentences: &[Sentence<'_>],
    denials: &HashSet<usize>,
    speakers: &[String],
    small: &[&str],
) -> Vec<Keyword> {
    let names: HashSet<String> = speakers.iter().flat_map(|s| words(s)).collect();
    // stem -> (count, first position, as written)
    let mut single: BTreeMap<String, (usize, usize, String)> = BTreeMap::new();
    let mut pairs: BTreeMap<(String, String), (usize, usize, String)> = BTreeMap::new();
    let mut position = 0;
    let telling = |(at, s): &(usize, &Sentence<'_>)| !denials.contains(at) && !is_small_talk(s);
    for (_, sentence) in sentences.iter().enumerate().filter(telling) {
        let mut last: Option<(&String, String)> = None;
        for word in &sentence.words {
            position += 1;
            let tells = !is_stop_word(word)
                && !small.contains(&word.as_str())
                && super::numbers::held(word).is_empty()
                && !super::dates::is_calendar(word)
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

//! Where one topic ends and the next begins: lexical cohesion (Hearst, "TextTiling", 1997) over the open end of a
//! transcript, helped by pauses and, where there are any, sentence embeddings.

use std::collections::HashMap;

use super::SaidUtterance;
use super::orders::without_orders;
use super::roots::stem;
use super::sentences::{is_stop_word, words};

/// No segment is shorter, in words: about a minute.
const SHORTEST: usize = 150;
/// No segment is longer, in words: what small models take at once (some 600 tokens).
const LONGEST: usize = 420;
/// Words on each side of a gap that are compared.
const WINDOW: usize = 90;
/// How much deeper than its surroundings cohesion must fall for a gap to end a topic before [`LONGEST`] is reached.
const DEPTH: f32 = 0.3;
/// A pause that speaks for the end of a topic, in ms.
const PAUSE_MS: i64 = 4000;

/// One utterance as segmentation sees it.
pub(super) struct Unit {
    words: usize,
    stems: HashMap<String, f32>,
    vector: Option<Vec<f32>>,
    start_ms: i64,
    end_ms: i64,
}

impl Unit {
    /// `plain`: how much of its words was not said to the machine, in bytes.
    pub(super) fn new(utterance: &SaidUtterance, plain: usize, vector: Option<Vec<f32>>) -> Self {
        let all = words(&utterance.text[..plain]);
        let mut stems: HashMap<String, f32> = HashMap::new();
        for word in all.iter().filter(|w| !is_stop_word(w)) {
            *stems.entry(stem(word)).or_default() += 1.0;
        }
        Self { words: all.len(), stems, vector, start_ms: utterance.start_ms, end_ms: utterance.end_ms }
    }
}

/// The index of the first unit behind the first topic of `open`, if its end can be told by now. The same for the same
/// units. Never 0 nor the length.
pub(super) fn end(open: &[Unit]) -> Option<usize> {
    let total: usize = open.iter().map(|u| u.words).sum();
    if total < 2 * SHORTEST || open.len() < 2 {
        return None;
    }
    let mut before = 0;
    let mut gaps = Vec::new();
    for at in 1..open.len() {
        before += open[at - 1].words;
        gaps.push((at, before, cohesion(open, at)));
    }
    let depth = |index: usize| -> f32 {
        let here = gaps[index].2;
        let peak = |values: &mut dyn Iterator<Item = f32>| {
            let mut best = here;
            for value in values {
                if value < best {
                    break;
                }
                best = value;
            }
            best
        };
        let left = peak(&mut gaps[..index].iter().rev().map(|g| g.2));
        let right = peak(&mut gaps[index + 1..].iter().map(|g| g.2));
        let pause = (open[gaps[index].0].start_ms - open[gaps[index].0 - 1].end_ms).clamp(0, 5 * PAUSE_MS);
        (left - here) + (right - here) + 0.1 * (pause / PAUSE_MS) as f32
    };
    let usable = |gap: &(usize, usize, f32)| gap.1 >= SHORTEST && gap.1 <= LONGEST && total - gap.1 >= SHORTEST;
    // A slope falls on to a lower place, which may still be too near to the end of what was said.
    let lowest = |index: usize| {
        let beside = |other: Option<&(usize, usize, f32)>| other.is_some_and(|o| o.2 >= gaps[index].2);
        beside(index.checked_sub(1).and_then(|i| gaps.get(i))) && beside(gaps.get(index + 1))
    };
    let best = |wanted: &dyn Fn(usize) -> bool, for_length: f32| {
        (0..gaps.len())
            .filter(|index| usable(&gaps[*index]) && wanted(*index))
            .map(|index| (gaps[index].0, depth(index) + for_length * gaps[index].1 as f32 / LONGEST as f32))
            .max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))
    };
    if let Some((at, _)) = best(&lowest, 0.0).filter(|(_, deep)| *deep >= DEPTH) {
        return Some(at);
    }
    if total < LONGEST + SHORTEST {
        return None;
    }
    // Too long: at the best place, rather late than early, or, where single utterances are longer than a segment, at the
    // first.
    best(&|_| true, 0.3).map(|(at, _)| at).or_else(|| gaps.iter().find(|gap| gap.1 >= SHORTEST).map(|gap| gap.0))
}

/// All topics of what was said, in order; the last one may be short.
pub(super) fn segments(utterances: &[&SaidUtterance]) -> Vec<std::ops::Range<usize>> {
    let units: Vec<Unit> = utterances.iter().map(|u| Unit::new(u, without_orders(&u.text).len(), None)).collect();
    let (mut out, mut from, mut length) = (Vec::new(), 0, 1);
    while from + length <= units.len() {
        match end(&units[from..from + length]) {
            Some(at) => {
                out.push(from..from + at);
                (from, length) = (from + at, 1);
            }
            None => length += 1,
        }
    }
    if from < units.len() {
        out.push(from..units.len());
    }
    out
}

/// How alike the words on both sides of a gap are, 0 to 1.
fn cohesion(units: &[Unit], at: usize) -> f32 {
    let left = block(units[..at].iter().rev());
    let right = block(units[at..].iter());
    let lexical = cosine_of_counts(&left.0, &right.0);
    match (left.1, right.1) {
        (Some(a), Some(b)) => 0.5 * lexical + 0.5 * cosine(&a, &b).max(0.0),
        _ => lexical,
    }
}

/// Counts of stems, and the mean vector, of a window of units.
fn block<'a>(units: impl Iterator<Item = &'a Unit>) -> (HashMap<&'a str, f32>, Option<Vec<f32>>) {
    let mut counts: HashMap<&str, f32> = HashMap::new();
    let mut sum: Option<Vec<f32>> = None;
    let mut size = 0;
    for unit in units {
        for (stem, count) in &unit.stems {
            *counts.entry(stem).or_default() += count;
        }
        if let Some(vector) = &unit.vector {
            let sum = sum.get_or_insert_with(|| vec![0.0; vector.len()]);
            for (total, value) in sum.iter_mut().zip(vector) {
                *total += value * unit.words as f32;
            }
        }
        size += unit.words;
        if size >= WINDOW {
            break;
        }
    }
    (counts, sum)
}

fn cosine_of_counts(a: &HashMap<&str, f32>, b: &HashMap<&str, f32>) -> f32 {
    // Counts are whole numbers, so that sums do not depend on the order of a map.
    let dot: f32 = a.iter().filter_map(|(word, n)| b.get(word).map(|m| n * m)).sum();
    let norm = |map: &HashMap<&str, f32>| map.values().map(|n| n * n).sum::<f32>().sqrt();
    dot / (norm(a) * norm(b)).max(1e-6)
}

/// Cosine of two vectors; 0 where one is nil or their lengths differ.
pub(super) fn cosine(a: &[f32], b: &[f32]) -> f32 {
    if a.len() != b.len() {
        return 0.0;
    }
    let dot: f32 = a.iter().zip(b).map(|(x, y)| x * y).sum();
    let norm = |v: &[f32]| v.iter().map(|x| x * x).sum::<f32>().sqrt();
    dot / (norm(a) * norm(b)).max(1e-6)
}

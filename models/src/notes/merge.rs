//! Joins the notes of the parts of a call without asking a writer.

use std::collections::HashSet;

use super::roots::root;
use super::sentences::{is_stop_word, words};
use super::{Action, Cited, ExtractiveWriter, NoteWriter, Notes, Transcript};

/// No summary has more sentences than this.
const LONGEST_SUMMARY: usize = 8;

/// The notes of the whole call from those of its parts, in order: items said once, the last word on the next meeting, the
/// summary shared out among the parts, title and keywords of the whole (extractive, unless a single part has a title).
pub(crate) fn merge(whole: &Transcript, parts: &[Notes]) -> Notes {
    let base = ExtractiveWriter.write(whole);
    let mut out = Notes { title: base.title, keywords: base.keywords, ..Notes::default() };
    if let [only] = parts
        && !only.title.is_empty()
    {
        out.title.clone_from(&only.title);
    }
    let mut names: Vec<&str> = Vec::new();
    for part in parts {
        if !part.written_by.is_empty() && !names.contains(&part.written_by.as_str()) {
            names.push(&part.written_by);
        }
        part.decisions.iter().for_each(|item| once(&mut out.decisions, item));
        part.questions.iter().for_each(|item| once(&mut out.questions, item));
        part.actions.iter().for_each(|action| once_action(&mut out.actions, action));
        for deadline in &part.deadlines {
            if !out.deadlines.iter().any(|d| d.due.date == deadline.due.date && same(&d.text, &deadline.text)) {
                out.deadlines.push(deadline.clone());
            }
        }
        for name in &part.names {
            match out.names.iter_mut().find(|n| n.kind == name.kind && n.text.eq_ignore_ascii_case(&name.text)) {
                Some(there) => add(&mut there.cites, &name.cites),
                None => out.names.push(name.clone()),
            }
        }
        if part.next_meeting.is_some() {
            out.next_meeting.clone_from(&part.next_meeting);
        }
    }
    out.summary = shared_out(parts);
    out.written_by = if names.is_empty() { ExtractiveWriter.name().to_owned() } else { names.join(", ") };
    out
}

/// Sentences of all parts in turn until there are enough, in the order of the call.
fn shared_out(parts: &[Notes]) -> Vec<Cited> {
    let mut chosen: Vec<(usize, usize)> = Vec::new();
    let longest = parts.iter().map(|part| part.summary.len()).max().unwrap_or(0);
    'all: for rank in 0..longest {
        for (at, part) in parts.iter().enumerate() {
            if let Some(sentence) = part.summary.get(rank) {
                let said = chosen.iter().any(|(p, r)| same(&parts[*p].summary[*r].text, &sentence.text));
                if !said {
                    chosen.push((at, rank));
                }
                if chosen.len() == LONGEST_SUMMARY {
                    break 'all;
                }
            }
        }
    }
    chosen.sort_unstable();
    chosen.into_iter().map(|(part, rank)| parts[part].summary[rank].clone()).collect()
}

fn once(items: &mut Vec<Cited>, item: &Cited) {
    match items.iter_mut().find(|there| same(&there.text, &item.text)) {
        Some(there) => add(&mut there.cites, &item.cites),
        None => items.push(item.clone()),
    }
}

fn once_action(actions: &mut Vec<Action>, action: &Action) {
    let found = actions.iter_mut().find(|there| {
        same(&there.text, &action.text)
            && (there.owner == action.owner || there.owner.is_none() || action.owner.is_none())
    });
    match found {
        Some(there) => {
            add(&mut there.cites, &action.cites);
            there.owner = there.owner.take().or_else(|| action.owner.clone());
            // The last word counts.
            there.due = action.due.clone().or(there.due.take());
        }
        None => actions.push(action.clone()),
    }
}

fn add(cites: &mut Vec<u64>, more: &[u64]) {
    cites.extend(more);
    cites.sort_unstable();
    cites.dedup();
}

/// Whether two lines say the same: their telling words are nearly equal.
pub(super) fn same(a: &str, b: &str) -> bool {
    let telling =
        |text: &str| -> HashSet<String> { words(text).iter().filter(|w| !is_stop_word(w)).map(|w| root(w)).collect() };
    let (a, b) = (telling(a), telling(b));
    let both = a.intersection(&b).count();
    let either = a.len() + b.len() - both;
    either > 0 && both as f32 / either as f32 >= 0.75
}

//! Numbers of items that stay the same when notes are made again.

use std::collections::{HashMap, HashSet};

use zeroize::Zeroize;

use super::roots::stem;
use super::sentences::{is_stop_word, words};
use super::{ItemId, ItemKind, Mended, Notes};

/// An item of notes, whatever its kind, as numbering sees it.
struct Seen {
    kind: ItemKind,
    id: ItemId,
    stems: HashSet<String>,
    cites: Vec<u64>,
}

/// Gives every item of freshly made notes its number: that of the item of `previous` which it is again, or a new one that
/// no item of this call ever had.
///
/// What was mended or dropped and was not found this time is remembered as long as it was `said`, should it come again.
pub(super) fn number(notes: &mut Notes, previous: Option<&Notes>, said: impl Fn(&Mended) -> bool) {
    let old = previous.map(known).unwrap_or_default();
    let new = seen(notes);
    let mut given = matched(&old, &new);
    let mut last = previous.map_or(0, |p| p.last_item);
    last = old.iter().map(|item| item.id.0).max().unwrap_or(0).max(last);
    for index in 0..new.len() {
        given.entry(index).or_insert_with(|| {
            last = last.saturating_add(1);
            ItemId(last)
        });
    }
    for (index, id) in ids(notes).into_iter().enumerate() {
        *id = given[&index];
    }
    notes.last_item = last;
    let old_mended = previous.map(|p| p.mended.as_slice()).unwrap_or_default();
    notes.mended = old_mended.iter().filter(|m| !given.values().any(|id| *id == m.id) && said(m)).cloned().collect();
}

/// What numbering remembers of withdrawn or corrected utterances is wiped: of items that rest on them only the number, the
/// kind and the other citations stay.
pub(super) fn forget(notes: &mut Notes, ids: &HashSet<u64>, gone: bool) {
    notes.title.zeroize();
    notes.keywords.iter_mut().for_each(Zeroize::zeroize);
    notes.keywords.clear();
    notes.summary.iter_mut().for_each(|item| item.text.zeroize());
    notes.summary.clear();
    notes.names.iter_mut().for_each(|name| name.text.zeroize());
    notes.names.clear();
    let touch = |text: &mut String, cites: &mut Vec<u64>| {
        if cites.iter().any(|id| ids.contains(id)) {
            text.zeroize();
            if gone {
                cites.retain(|id| !ids.contains(id));
            }
        }
    };
    notes.decisions.iter_mut().chain(&mut notes.questions).for_each(|item| touch(&mut item.text, &mut item.cites));
    notes.actions.iter_mut().for_each(|item| touch(&mut item.text, &mut item.cites));
    notes.deadlines.iter_mut().for_each(|item| touch(&mut item.text, &mut item.cites));
    notes.mended.iter_mut().for_each(|item| touch(&mut item.text, &mut item.cites));
    if let Some(next) = &mut notes.next_meeting {
        touch(&mut next.when.said, &mut next.cites);
    }
}

/// The numbers of all items, in the order in which [`seen`] tells the items.
fn ids(notes: &mut Notes) -> Vec<&mut ItemId> {
    let mut out: Vec<&mut ItemId> = Vec::new();
    out.extend(notes.decisions.iter_mut().map(|i| &mut i.id));
    out.extend(notes.actions.iter_mut().map(|i| &mut i.id));
    out.extend(notes.questions.iter_mut().map(|i| &mut i.id));
    out.extend(notes.deadlines.iter_mut().map(|i| &mut i.id));
    out.extend(notes.next_meeting.iter_mut().map(|i| &mut i.id));
    out
}

fn seen(notes: &Notes) -> Vec<Seen> {
    let item = |kind, id, text: &str, cites: &[u64]| Seen { kind, id, stems: telling(text), cites: cites.to_vec() };
    let mut out = Vec::new();
    out.extend(notes.decisions.iter().map(|i| item(ItemKind::Decision, i.id, &i.text, &i.cites)));
    out.extend(notes.actions.iter().map(|i| item(ItemKind::Action, i.id, &i.text, &i.cites)));
    out.extend(notes.questions.iter().map(|i| item(ItemKind::Question, i.id, &i.text, &i.cites)));
    out.extend(notes.deadlines.iter().map(|i| item(ItemKind::Deadline, i.id, &i.text, &i.cites)));
    out.extend(notes.next_meeting.iter().map(|i| item(ItemKind::NextMeeting, i.id, &i.when.said, &i.cites)));
    out
}

/// The items of notes that people have seen, as they were drawn: those that were mended or dropped too.
fn known(notes: &Notes) -> Vec<Seen> {
    let as_drawn = |m: &Mended| Seen { kind: m.kind, id: m.id, stems: telling(&m.text), cites: m.cites.clone() };
    let mut out: Vec<Seen> = notes.mended.iter().map(as_drawn).collect();
    for item in seen(notes) {
        if item.id != ItemId::default() && !out.iter().any(|o| o.id == item.id) {
            out.push(item);
        }
    }
    out
}

fn telling(text: &str) -> HashSet<String> {
    words(text).iter().filter(|w| !is_stop_word(w)).map(|w| stem(w)).collect()
}

/// Which new item is which old one: best pairs first. Items are the same if they rest on the same utterances and speak of
/// the same; where a correction or another writer changed the words, if only these two rest on those utterances.
fn matched(old: &[Seen], new: &[Seen]) -> HashMap<usize, ItemId> {
    let mut pairs = Vec::new();
    for (n, fresh) in new.iter().enumerate() {
        for (o, known) in old.iter().enumerate().filter(|(_, known)| known.kind == fresh.kind) {
            let cites = share(&known.cites, &fresh.cites);
            let text = overlap(&known.stems, &fresh.stems);
            if cites > 0.0 && text >= 0.2 {
                pairs.push((cites + 2.0 * text, o, n));
            }
        }
    }
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let (mut used, mut given) = (HashSet::new(), HashMap::new());
    for (_, o, n) in pairs {
        if !given.contains_key(&n) && used.insert(o) {
            given.insert(n, old[o].id);
        }
    }
    let rest_on_same = |known: &Seen, fresh: &Seen| known.kind == fresh.kind && share(&known.cites, &fresh.cites) > 0.0;
    for (n, fresh) in new.iter().enumerate() {
        if given.contains_key(&n) {
            continue;
        }
        let candidates: Vec<usize> = (0..old.len()).filter(|o| rest_on_same(&old[*o], fresh)).collect();
        let rivals = new.iter().filter(|other| candidates.iter().any(|o| rest_on_same(&old[*o], other))).count();
        if let ([only], 1) = (candidates.as_slice(), rivals)
            && share(&old[*only].cites, &fresh.cites) >= 0.5
            && used.insert(*only)
        {
            given.insert(n, old[*only].id);
        }
    }
    given
}

/// Jaccard index.
fn share(a: &[u64], b: &[u64]) -> f32 {
    let both = a.iter().filter(|id| b.contains(id)).count();
    both as f32 / (a.len() + b.len() - both).max(1) as f32
}

fn overlap(a: &HashSet<String>, b: &HashSet<String>) -> f32 {
    let both = a.intersection(b).count();
    both as f32 / (a.len() + b.len() - both).max(1) as f32
}

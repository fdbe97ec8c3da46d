//! Notes that grow while a call goes on: each topic segment is drawn once it is closed, the end only joins.
//!
//! ```text
//! add / correct / withdraw / rename ─▶ utterances ─▶ topic segments ─▶ work(): one draft each ─▶ finish(): join, check, number
//! ```
//!
//! Drafts are kept by the content of their segment: whatever changes an utterance makes the draft of its segment, and of
//! no other, worthless, and wipes it. Sans-IO: no clock, no thread; the caller says when to work and on which thread.

mod piece;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use zeroize::Zeroize;

pub use piece::{Done, Piece};
use piece::{Outcome, Task};

use super::orders::without_orders;
use super::topics::{self, Unit};
use super::{Embed, ExtractiveWriter, NoteWriter, Notes, SaidUtterance, Transcript, WriteError};
use super::{evidence, items, merge};

/// A writer that failed as often in a row is passed over, and tried again now and then.
const PATIENCE: u32 = 2;
/// The longest run of pieces for which a failed writer is passed over.
const LONGEST_WAIT: u32 = 64;
/// So many utterances are embedded in one piece of work.
const EMBED_AT_ONCE: usize = 16;

type Key = [u8; 32];

/// Takes the notes of one call. Holds its words until dropped; wiped then.
///
/// Writers are tried in order, for each segment and for the whole; behind the last stands the extractive one, which never
/// fails. So notes always come, and [`Notes::written_by`] says who wrote them.
pub struct NoteTaker {
    writers: Vec<Tried>,
    embed: Option<Arc<dyn Embed>>,
    /// Sorted by start, then id.
    whole: Transcript,
    /// Where closed segments end: the first utterance behind each, ascending.
    bounds: Vec<(i64, u64)>,
    /// How many utterances of the open segment were looked through for an end.
    examined: usize,
    drafts: HashMap<Key, Kept>,
    vectors: HashMap<u64, Vec<f32>>,
    /// Where in each utterance of the open segment words to the machine begin, as far as it tells by itself.
    plain: HashMap<u64, usize>,
    /// What was last given out, for the numbers of its items.
    numbered: Option<Kept>,
}

/// Notes that are wiped when dropped.
struct Kept(Notes);

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

struct Tried {
    writer: Arc<dyn NoteWriter>,
    /// Failures in a row.
    failures: u32,
    /// Pieces for which it is still passed over; [`u32::MAX`]: for good.
    wait: u32,
}

impl fmt::Debug for NoteTaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoteTaker")
            .field("utterances", &self.whole.utterances.len())
            .field("closed_segments", &self.bounds.len())
            .field("drafts", &self.drafts.len())
            .finish_non_exhaustive()
    }
}

impl NoteTaker {
    /// For a call that began at `started_ms` (Unix time in ms). `writers`: in order of preference, may be empty.
    /// `time_zone` and `terms` as in [`Transcript`].
    #[must_use]
    pub fn new(writers: Vec<Arc<dyn NoteWriter>>, started_ms: i64, time_zone: String, terms: Vec<String>) -> Self {
        let writers = writers.into_iter().map(|writer| Tried { writer, failures: 0, wait: 0 }).collect();
        Self {
            writers,
            embed: None,
            whole: Transcript { utterances: Vec::new(), started_ms, time_zone, terms },
            bounds: Vec::new(),
            examined: 0,
            drafts: HashMap::new(),
            vectors: HashMap::new(),
            plain: HashMap::new(),
            numbered: None,
        }
    }

    /// Finds the ends of topics by the sense of what was said, beside its words.
    #[must_use]
    pub fn with_embedder(mut self, embed: Arc<dyn Embed>) -> Self {
        self.embed = Some(embed);
        self
    }

    /// Adds what was said. In any order; an id that is there already is replaced. Cheap.
    pub fn add(&mut self, utterance: SaidUtterance) {
        if self.whole.utterances.iter().any(|u| u.id == utterance.id) {
            self.withdraw(&[utterance.id]);
        }
        let place = (utterance.start_ms, utterance.id);
        let at = self.whole.utterances.partition_point(|u| (u.start_ms, u.id) < place);
        let late = at < self.whole.utterances.len();
        self.whole.utterances.insert(at, utterance);
        if late {
            self.examined = 0;
            self.wipe_stale();
        }
    }

    /// Puts other words in the place of what was understood. An unknown id changes nothing.
    pub fn correct(&mut self, id: u64, text: String) {
        let Some(utterance) = self.whole.utterances.iter_mut().find(|u| u.id == id) else { return };
        utterance.text.zeroize();
        utterance.text = text;
        self.forget(&HashSet::from([id]), false);
    }

    /// Takes words back: they are wiped, with every draft that rests on them.
    pub fn withdraw(&mut self, ids: &[u64]) {
        let ids: HashSet<u64> = ids.iter().copied().collect();
        self.whole.utterances.retain(|u| !ids.contains(&u.id));
        self.forget(&ids, true);
    }

    /// Calls a speaker otherwise from now on, also in what was said before ("Speaker A" has a name now).
    pub fn rename(&mut self, from: &str, to: &str) {
        let mut touched = HashSet::new();
        for utterance in self.whole.utterances.iter_mut().filter(|u| u.speaker == from) {
            utterance.speaker.zeroize();
            to.clone_into(&mut utterance.speaker);
            touched.insert(utterance.id);
        }
        self.forget(&touched, false);
    }

    /// The utterances as they are now, by start.
    #[must_use]
    pub fn transcript(&self) -> &Transcript {
        &self.whole
    }

    /// Does one bounded piece of what there is to do while the call goes on: draws a topic segment that is closed. Blocks
    /// for as long as its writer takes. True if more waits.
    pub fn work(&mut self) -> bool {
        let Some(piece) = self.next_piece() else { return false };
        let done = piece.run();
        self.accept(done);
        self.has_work()
    }

    /// What [`NoteTaker::work`] would do next, for a caller that must not hold the taker meanwhile: run it anywhere
    /// ([`Piece::run`]), then [`NoteTaker::accept`] what came of it. One piece at a time.
    pub fn next_piece(&mut self) -> Option<Piece> {
        if let Some(piece) = self.embedding_piece() {
            return Some(piece);
        }
        self.close_topics();
        let (key, range) = self.undrawn().next()?;
        if self.writers.is_empty() {
            // Extractive notes of the whole come at once: drawing their parts would be work for nothing.
            return None;
        }
        let writers = self.ready_writers();
        for tried in self.writers.iter_mut().filter(|t| t.wait != u32::MAX) {
            tried.wait = tried.wait.saturating_sub(1);
        }
        Some(Piece(Task::Draw { key, part: self.part(range), writers }))
    }

    /// Takes in what came of a piece. What was drawn of words that have changed since is wiped.
    pub fn accept(&mut self, done: Done) {
        match done.0 {
            Outcome::Drawn { key, notes, failed, by } => {
                for (index, error) in &failed {
                    self.note_failure(*index, error);
                }
                if let Some(tried) = by.and_then(|index| self.writers.get_mut(index)) {
                    (tried.failures, tried.wait) = (0, 0);
                }
                if self.segments().into_iter().any(|range| self.key(&range) == key) {
                    self.drafts.insert(key, *notes);
                }
            }
            Outcome::Embedded { vectors } => {
                let there: HashSet<u64> = self.whole.utterances.iter().map(|u| u.id).collect();
                self.vectors.extend(vectors.into_iter().filter(|(id, _)| there.contains(id)));
            }
            Outcome::NoEmbedding { error } => {
                tracing::warn!(error = error.kind(), "sentences cannot be embedded; topics are told by words alone");
                self.embed = None;
            }
        }
    }

    /// The notes so far, quickly: of the drafts that there are and, for the rest, extractive. No writer is asked.
    pub fn draft(&mut self) -> Notes {
        self.close_topics();
        let ranges = self.segments();
        let any_drawn = ranges.iter().any(|range| self.drafts.contains_key(&self.key(range)));
        let mut notes = if any_drawn {
            let parts: Vec<Notes> = ranges
                .into_iter()
                .map(|range| match self.drafts.get(&self.key(&range)) {
                    Some(kept) => kept.0.clone(),
                    None => ExtractiveWriter.write(&self.part(range)),
                })
                .collect();
            merge::merge(&self.whole, &parts)
        } else {
            ExtractiveWriter.write(&self.whole)
        };
        self.check_and_number(&mut notes, None);
        notes
    }

    /// The notes of the call: draws what is left, joins, checks every line against what was said. Blocks as long as the
    /// writers take; once [`NoteTaker::work`] has said false only the last segment is left. `previous`: the notes of this
    /// call that people have seen, whose numbers their items keep. May be called again after a correction or withdrawal.
    pub fn finish(&mut self, previous: Option<&Notes>) -> Notes {
        if self.writers.is_empty() {
            let mut notes = ExtractiveWriter.write(&self.whole);
            self.check_and_number(&mut notes, previous);
            return notes;
        }
        self.close_topics();
        let mut out_of_order: HashSet<usize> = HashSet::new();
        for range in self.segments() {
            let key = self.key(&range);
            if self.drafts.contains_key(&key) {
                continue;
            }
            let writers = self.ready_writers().into_iter().filter(|(index, _)| !out_of_order.contains(index)).collect();
            let done = Piece(Task::Draw { key, part: self.part(range), writers }).run();
            if let Outcome::Drawn { failed, .. } = &done.0 {
                // People wait: what failed once is not waited for again. An answer that was no notes may be the segment's fault.
                out_of_order.extend(
                    failed.iter().filter(|(_, e)| !matches!(e, WriteError::Unusable { .. })).map(|(index, _)| *index),
                );
            }
            self.accept(done);
        }
        let parts: Vec<Notes> = self
            .segments()
            .into_iter()
            .filter_map(|range| self.drafts.get(&self.key(&range)))
            .map(|kept| kept.0.clone())
            .collect();
        let mut notes = self.join(&parts, &out_of_order);
        parts.into_iter().for_each(|mut part| part.zeroize());
        self.check_and_number(&mut notes, previous);
        notes
    }

    fn join(&mut self, parts: &[Notes], out_of_order: &HashSet<usize>) -> Notes {
        if parts.is_empty() {
            return ExtractiveWriter.write(&self.whole);
        }
        for (index, writer) in self.ready_writers() {
            // Who drew no part has read nothing of this call, and is not to be waited for.
            if out_of_order.contains(&index) {
                continue;
            }
            match writer.join(&self.whole, parts) {
                Ok(mut notes) => {
                    notes.written_by = written_by(&notes.written_by, writer.name(), parts);
                    return notes;
                }
                Err(error) => self.note_failure(index, &error),
            }
        }
        if parts.iter().all(|part| part.written_by == ExtractiveWriter.name()) {
            ExtractiveWriter.write(&self.whole)
        } else {
            merge::merge(&self.whole, parts)
        }
    }

    fn check_and_number(&mut self, notes: &mut Notes, previous: Option<&Notes>) {
        evidence::keep_supported(notes, &self.whole);
        if notes.title.is_empty() && !notes.keywords.is_empty() {
            let title = ExtractiveWriter.write(&self.whole).title;
            notes.title = title;
        }
        let said = evidence::Said::new(&self.whole);
        let before = previous.or(self.numbered.as_ref().map(|kept| &kept.0));
        items::number(notes, before, |item| said.supports(&item.text, &item.cites));
        self.numbered = Some(Kept(notes.clone()));
    }

    fn note_failure(&mut self, index: usize, error: &WriteError) {
        let Some(tried) = self.writers.get_mut(index) else { return };
        tracing::warn!(
            writer = tried.writer.name(),
            error = error.kind(),
            "a writer gave no notes; the next one writes"
        );
        match error {
            WriteError::Unavailable { .. } => tried.wait = u32::MAX,
            WriteError::Failed { .. } => {
                tried.failures += 1;
                if tried.failures >= PATIENCE {
                    tried.wait = (1 << tried.failures.min(6)).min(LONGEST_WAIT);
                }
            }
            WriteError::Unusable { .. } => {}
        }
    }

    fn ready_writers(&self) -> Vec<(usize, Arc<dyn NoteWriter>)> {
        let ready = self.writers.iter().enumerate().filter(|(_, tried)| tried.wait == 0);
        ready.map(|(index, tried)| (index, Arc::clone(&tried.writer))).collect()
    }

    fn has_work(&mut self) -> bool {
        self.close_topics();
        !self.writers.is_empty() && self.undrawn().next().is_some()
    }

    /// Closed segments without a draft. The open one waits.
    fn undrawn(&self) -> impl Iterator<Item = (Key, Range<usize>)> + '_ {
        let mut ranges = self.segments();
        ranges.truncate(self.bounds.len());
        ranges.into_iter().map(|range| (self.key(&range), range)).filter(|(key, _)| !self.drafts.contains_key(key))
    }

    /// All segments, the open one last; none is empty.
    fn segments(&self) -> Vec<Range<usize>> {
        let mut out = Vec::with_capacity(self.bounds.len() + 1);
        let mut from = 0;
        for place in &self.bounds {
            let to = self.position(*place);
            out.push(from..to);
            from = to;
        }
        if from < self.whole.utterances.len() {
            out.push(from..self.whole.utterances.len());
        }
        out
    }

    fn position(&self, place: (i64, u64)) -> usize {
        self.whole.utterances.partition_point(|u| (u.start_ms, u.id) < place)
    }

    fn part(&self, range: Range<usize>) -> Transcript {
        Transcript {
            utterances: self.whole.utterances[range].to_vec(),
            started_ms: self.whole.started_ms,
            time_zone: self.whole.time_zone.clone(),
            terms: self.whole.terms.clone(),
        }
    }

    fn key(&self, range: &Range<usize>) -> Key {
        let mut hash = Sha256::new();
        for utterance in &self.whole.utterances[range.clone()] {
            hash.update(utterance.id.to_le_bytes());
            hash.update(utterance.start_ms.to_le_bytes());
            for text in [&utterance.speaker, &utterance.text] {
                hash.update((text.len() as u64).to_le_bytes());
                hash.update(text.as_bytes());
            }
        }
        hash.finalize().into()
    }

    /// Closes the segments whose end can be told by now. Looks at each length of the open one in turn, so that the ends do
    /// not depend on how often this is called.
    fn close_topics(&mut self) {
        loop {
            let from = self.bounds.last().map_or(0, |place| self.position(*place));
            let open = &self.whole.utterances[from..];
            let plain = &mut self.plain;
            let units: Vec<Unit> = open
                .iter()
                .map(|u| {
                    let plain = *plain.entry(u.id).or_insert_with(|| without_orders(&u.text).len());
                    Unit::new(u, plain, self.vectors.get(&u.id).cloned())
                })
                .collect();
            let mut end = None;
            let first = self.examined.min(units.len());
            for length in first + 1..=units.len() {
                end = topics::end(&units[..length]);
                if end.is_some() {
                    break;
                }
            }
            match end {
                Some(at) => {
                    for u in &open[..at] {
                        self.plain.remove(&u.id);
                    }
                    let next = &open[at];
                    self.bounds.push((next.start_ms, next.id));
                    self.examined = 0;
                }
                None => {
                    self.examined = units.len();
                    return;
                }
            }
        }
    }

    fn embedding_piece(&self) -> Option<Piece> {
        let embed = self.embed.as_ref()?;
        let from = self.bounds.last().map_or(0, |place| self.position(*place));
        let texts: Vec<_> = self.whole.utterances[from..]
            .iter()
            .filter(|u| !self.vectors.contains_key(&u.id))
            .take(EMBED_AT_ONCE)
            .map(|u| (u.id, zeroize::Zeroizing::new(u.text.clone())))
            .collect();
        (!texts.is_empty()).then(|| Piece(Task::Embed { texts, embed: Arc::clone(embed) }))
    }

    /// Forgets what was made of these utterances.
    fn forget(&mut self, ids: &HashSet<u64>, gone: bool) {
        for id in ids {
            self.plain.remove(id);
            if let Some(mut vector) = self.vectors.remove(id) {
                vector.zeroize();
            }
        }
        if let Some(numbered) = &mut self.numbered {
            items::forget(&mut numbered.0, ids, gone);
        }
        self.examined = 0;
        self.wipe_stale();
    }

    /// Drops ends that part nothing any more, and drafts of what is no segment any more.
    fn wipe_stale(&mut self) {
        let mut ends = std::mem::take(&mut self.bounds);
        let mut before = 0;
        ends.retain(|place| {
            let at = self.position(*place);
            let is_end = at > before && at < self.whole.utterances.len();
            before = if is_end { at } else { before };
            is_end
        });
        self.bounds = ends;
        let current: HashSet<Key> = self.segments().iter().map(|range| self.key(range)).collect();
        self.drafts.retain(|key, _| current.contains(key));
    }
}

/// Who joined, then who else drew parts: "bart + t5" has said that BART was among them.
fn written_by(said: &str, joined: &str, parts: &[Notes]) -> String {
    let mut names = vec![if said.is_empty() { joined } else { said }];
    for part in parts {
        let told = |name: &str| part.written_by.split(" + ").all(|by| name.split(" + ").any(|known| known == by));
        if !names.iter().any(|name| told(name)) {
            names.push(&part.written_by);
        }
    }
    names.retain(|name| !name.is_empty());
    names.join(", ")
}

#[cfg(test)]
mod tests;

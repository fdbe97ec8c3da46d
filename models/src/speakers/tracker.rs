//! One line of one call: sound in, who speaks when out.
//!
//! Sound is kept for 30 s. While there is some that is louder than the line's own noise, windows of 10 s are looked at every
//! 2.5 s, and once more when it has been quiet for 0.4 s, so that the answer is there before anyone asks: who asks about speech
//! that ended 0.4 s ago or earlier waits for nothing, else for one window. Silence costs nothing.

use std::ops::Range;
use std::sync::Arc;

use tracing::debug;
use zeroize::Zeroizing;

use super::VoiceSpan;
use super::clock::{Clock, Follows};
use super::cluster::{Embedding, Local, Voices};
use super::fbank::{self, Fbank};
use super::pieces::{self, Piece, Sound};
use super::runtime::SpeakerModels;
use super::segment::{Activity, FIRST_CENTRE, FRAMES, HEARD, STEP, WINDOW};
use super::timeline::Timeline;

/// Sound that is kept, in samples; half as much again has room.
const KEPT: usize = 30 * 16_000;
const ROOM: usize = KEPT + 15 * 16_000;
/// Sound is taken in pieces of this many samples.
const PIECE: usize = 8000;
/// Samples of new sound after which the next window is looked at.
const EVERY: usize = 40_000;
/// Samples of silence after which what was said is looked at.
const PAUSE: usize = 6400;
/// Of fewer frames of clean speech, 10 ms each, no embedding is made.
const FEWEST_FEATURES: usize = 60;
/// Two windows may see the start and the end of one piece of speech this many frames (150 ms) apart.
const SAME_PIECE: usize = 9;
/// From so many frames on that earlier windows know, they have a say in who it is.
const FEWEST_FRAMES: usize = 9;

/// Tells the people on one line apart, while they speak. Costs about 0.1 s of CPU time per second of speech and none in
/// silence; holds about 2 MB and 430 kB per hour. All that it holds of sound and voices is wiped when it is dropped.
pub struct SpeakerTracker {
    models: Arc<SpeakerModels>,
    fbank: Fbank,
    clock: Clock,
    gate: Gate,
    voices: Voices,
    timeline: Timeline,
    /// Sound from sample `kept_from` on.
    kept: Zeroizing<Vec<i16>>,
    kept_from: usize,
    /// No window reaches back before this sample: the line's time jumped here. A multiple of [`STEP`].
    begin: usize,
    /// Embeddings of the last 10 s.
    pieces_made: Vec<Made>,
    /// Up to here windows have looked.
    seen: usize,
    stats: SpeakerStats,
}

/// Counts of one tracker. Nothing in it tells who spoke.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpeakerStats {
    /// Windows of 10 s that were looked at.
    pub windows: u64,
    /// Embeddings that were made.
    pub embeddings: u64,
    /// Windows and embeddings that onnxruntime could not do.
    pub failed: u64,
    /// Voices now told apart.
    pub voices: usize,
}

impl SpeakerTracker {
    /// A line on which nobody has spoken.
    pub fn new(models: Arc<SpeakerModels>) -> Self {
        Self {
            models,
            fbank: Fbank::new(),
            clock: Clock::default(),
            gate: Gate::default(),
            voices: Voices::default(),
            timeline: Timeline::default(),
            kept: Zeroizing::new(Vec::with_capacity(ROOM)),
            kept_from: 0,
            begin: 0,
            pieces_made: Vec::new(),
            seen: 0,
            stats: SpeakerStats::default(),
        }
    }

    /// Adds 16 kHz sound whose first sample was at `at_ms`. Time goes as for [`crate::PartyEar::push`]: gaps up to 1.5 s are
    /// filled with silence, behind longer ones the line begins anew, with the same voices. Every 2.5 s of speech this takes up
    /// to 0.3 s of CPU time.
    pub fn push(&mut self, at_ms: i64, pcm: &[i16]) {
        if pcm.is_empty() {
            return;
        }
        // Ten thousand years either way: sums cannot overflow.
        let at_ms = at_ms.clamp(-(1 << 48), 1 << 48);
        match self.clock.follow(at_ms, self.heard()) {
            Follows::On => {}
            Follows::After(silence) => {
                let silence = vec![0; silence];
                silence.chunks(PIECE).for_each(|piece| self.take(piece));
            }
            Follows::Not => self.begin_anew(at_ms),
        }
        pcm.chunks(PIECE).for_each(|piece| self.take(piece));
    }

    /// Who spoke from `start_ms` to `end_ms`, by start, within these bounds. Two may speak at once. Empty where nobody did, or
    /// where it could not be told who: a voice is known from about a second of speech on. Speech of the last half minute that
    /// was not looked at yet is looked at now. What is told about the past may become better, a voice that was told keeps its
    /// letter; where two turn out to be one, later answers know only the one that was told first.
    pub fn voices(&mut self, start_ms: i64, end_ms: i64) -> Vec<VoiceSpan> {
        let mut spans = Vec::new();
        for range in self.clock.samples(start_ms, end_ms, self.heard()) {
            self.look_at(range.clone());
            for (place, frames) in self.timeline.spans(frame_at(range.start)..frame_at(range.end) + 1) {
                let Some(voice) = self.voices.tell(place) else { continue };
                let samples = frame_start(frames.start).max(range.start)..frame_start(frames.end).min(range.end);
                if samples.start < samples.end {
                    let length = ((samples.end - samples.start) / 16) as i64;
                    let start_ms = self.clock.ms(samples.start);
                    spans.push(VoiceSpan { voice, start_ms, end_ms: start_ms + length.max(1) });
                }
            }
        }
        spans.sort_by_key(|span| (span.start_ms, span.voice));
        spans
    }

    /// What was done so far.
    pub fn stats(&self) -> SpeakerStats {
        SpeakerStats { voices: self.voices.count(), ..self.stats }
    }

    /// Samples heard, silence that was filled in included.
    fn heard(&self) -> usize {
        self.kept_from + self.kept.len()
    }

    fn begin_anew(&mut self, at_ms: i64) {
        if self.gate.waits_since(self.seen).is_some() {
            self.analyse(self.heard());
        }
        // Windows begin at whole frames.
        let fill = self.heard().next_multiple_of(STEP) - self.heard();
        self.make_room(fill);
        self.kept.extend(std::iter::repeat_n(0, fill));
        self.begin = self.heard();
        self.seen = self.begin;
        self.gate = Gate::default();
        self.clock.mark(self.begin, at_ms);
    }

    /// Forgets old sound, so that what is kept is never moved to a larger place and left in the old one.
    fn make_room(&mut self, samples: usize) {
        if self.kept.len() + samples > ROOM {
            let cut = self.kept.len() - KEPT;
            self.kept.drain(..cut);
            self.kept_from += cut;
            self.timeline.settle(frame_at(self.kept_from));
        }
    }

    fn take(&mut self, piece: &[i16]) {
        self.make_room(piece.len());
        self.gate.hear(self.heard(), piece);
        self.kept.extend_from_slice(piece);
        if let Some(since) = self.gate.waits_since(self.seen) {
            let quiet = self.heard() - self.gate.last >= PAUSE;
            if quiet || self.heard() - since >= EVERY {
                self.analyse(self.heard());
            }
        }
    }

    /// Looks at what no window has covered of these samples, as far as they are kept.
    fn look_at(&mut self, range: Range<usize>) {
        let mut end = range.end;
        let start = range.start.max(self.kept_from);
        while end > start + STEP {
            let uncovered = |frame: &usize| !self.timeline.is_covered(*frame);
            // From the end: each window covers 10 s before it.
            let Some(last) = (frame_at(start)..frame_at(end)).rev().find(uncovered) else { return };
            // With a little of what follows: the end of a window is its weakest part.
            let to = (end + PAUSE).min(self.heard());
            self.analyse(to);
            end = end.min(frame_start(last)).min(to.saturating_sub(WINDOW / 2).max(start));
        }
    }

    /// One window, of the 10 s before sample `end` or less.
    fn analyse(&mut self, end: usize) {
        self.seen = self.seen.max(end);
        let start = end.saturating_sub(WINDOW).max(self.begin_of(end)).max(self.kept_from).next_multiple_of(STEP);
        let Some(pcm) = self.kept.get(start - self.kept_from..end - self.kept_from) else { return };
        // All behind the last frame is silence that we put there.
        let frames = ((end - start).saturating_sub(FIRST_CENTRE) / STEP).min(FRAMES);
        if frames == 0 {
            return;
        }
        let mut samples = Zeroizing::new(vec![0.0; WINDOW]);
        for (sample, pcm) in samples.iter_mut().zip(pcm) {
            *sample = f32::from(*pcm) / 32768.0;
        }
        self.stats.windows += 1;
        let activity = match self.models.segment(&samples) {
            Ok(activity) => activity,
            Err(error) => {
                self.stats.failed += 1;
                debug!(error, "segmentation failed");
                return;
            }
        };
        let first = start / STEP;
        self.pieces_made.retain(|made| made.frames.start >= first);
        let pieces = pieces::pieces(&activity, frames);
        let made: Vec<Option<usize>> = pieces.iter().map(|piece| self.embedding(&activity, piece, first)).collect();
        let sounds: Vec<Sound<'_>> = pieces
            .iter()
            .zip(&made)
            .map(|(piece, made)| Sound { piece, embedding: made.map(|made| &self.pieces_made[made].embedding) })
            .collect();
        let groups = pieces::group(&sounds);
        let count = groups.iter().max().map_or(0, |most| most + 1);
        let locals = (0..count).map(|group| {
            let members: Vec<usize> = (0..pieces.len()).filter(|i| groups[*i] == group).collect();
            self.local(&activity, members.iter().map(|i| (&pieces[*i], made[*i])), first)
        });
        let given = self.voices.hear(&locals.collect::<Vec<_>>());
        for frame in 0..frames {
            let speaking = pieces.iter().zip(&groups).filter(|(piece, _)| piece.frames.contains(&frame));
            let speaking: Vec<(Option<usize>, f32)> =
                speaking.map(|(piece, group)| (given[*group], activity.probability(frame, piece.speaker))).collect();
            // A frame of someone whom we cannot name is no evidence that the others are silent.
            let unknown = speaking.iter().any(|(place, probability)| place.is_none() && *probability > HEARD);
            if !unknown || !self.timeline.is_covered(first + frame) {
                let named = speaking.into_iter().filter_map(|(place, probability)| Some((place?, probability)));
                self.timeline.add(first + frame, named);
            }
        }
        while let Some((gone, stays)) = self.voices.join() {
            self.timeline.join(gone, stays);
        }
    }

    #[cfg(test)]
    pub(super) fn centres(&self) -> impl Iterator<Item = &super::cluster::Embedding> {
        self.voices.centres()
    }

    /// Where the stretch of sound begins to which the sample before `end` belongs.
    fn begin_of(&self, end: usize) -> usize {
        if end > self.begin { self.begin } else { self.kept_from }
    }

    /// The embedding of a piece: one that an earlier window made of about the same sound, or a new one. Its place among those
    /// that were made.
    fn embedding(&mut self, activity: &Activity, piece: &Piece, first: usize) -> Option<usize> {
        let frames = first + piece.frames.start..first + piece.frames.end;
        let near = |a: usize, b: usize| a.abs_diff(b) <= SAME_PIECE;
        let same = |made: &Made| near(made.frames.start, frames.start) && near(made.frames.end, frames.end);
        if let Some(made) = self.pieces_made.iter().position(same) {
            return Some(made);
        }
        let start = first * STEP;
        let frame_of = |feature: &usize| {
            (feature * fbank::SHIFT + fbank::FRAME / 2).checked_sub(FIRST_CENTRE - STEP / 2).map(|at| at / STEP)
        };
        let features = piece.frames.start * STEP / fbank::SHIFT..(piece.frames.end + 2) * STEP / fbank::SHIFT;
        let clean = |frame: usize| piece.frames.contains(&frame) && activity.alone(frame, piece.speaker);
        let clean: Vec<usize> = features.filter(|feature| frame_of(feature).is_some_and(clean)).collect();
        if clean.len() < FEWEST_FEATURES {
            return None;
        }
        let rows = self.fbank.features(&self.kept[start - self.kept_from..], &clean);
        self.stats.embeddings += 1;
        match self.models.embed(&rows) {
            Ok(embedding) => {
                self.pieces_made.push(Made { frames, clean_ms: clean.len() as u32 * 10, embedding });
                Some(self.pieces_made.len() - 1)
            }
            Err(error) => {
                self.stats.failed += 1;
                debug!(error, "embedding failed");
                None
            }
        }
    }

    /// What is known of the speaker of these pieces of a window whose first frame is `first`.
    fn local<'a>(
        &self,
        activity: &Activity,
        pieces: impl Iterator<Item = (&'a Piece, Option<usize>)> + Clone,
        first: usize,
    ) -> Local {
        let made: Vec<&Made> = pieces.clone().filter_map(|(_, made)| Some(&self.pieces_made[made?])).collect();
        let frames = pieces.flat_map(|(piece, _)| piece.frames.clone().map(|frame| (piece.speaker, frame)));
        let frames: Vec<(usize, usize)> = frames.filter(|(s, f)| activity.probability(*f, *s) > HEARD).collect();
        let (known, new): (Vec<_>, Vec<_>) = frames.into_iter().partition(|(_, f)| self.timeline.is_covered(first + f));
        let fresh = new.iter().filter(|(speaker, frame)| activity.alone(*frame, *speaker)).count();
        Local {
            embedding: Embedding::mean(made.iter().map(|made| (&made.embedding, made.clean_ms as f32))),
            clean_ms: made.iter().map(|made| made.clean_ms).sum(),
            fresh_ms: (fresh * STEP / 16) as u32,
            agreement: std::array::from_fn(|place| {
                let agreed = known.iter().filter(|(_, f)| self.timeline.is_heard(first + f, place)).count();
                // Of few frames little follows.
                if known.len() < FEWEST_FRAMES { 0.0 } else { agreed as f32 / known.len() as f32 }
            }),
        }
    }
}

/// An embedding of a piece of speech, kept as long as windows may look at that sound again.
struct Made {
    /// Frames since the start of the call.
    frames: Range<usize>,
    clean_ms: u32,
    embedding: Embedding,
}

/// The frame in which this sample is.
fn frame_at(sample: usize) -> usize {
    sample.saturating_sub(FIRST_CENTRE - STEP / 2) / STEP
}

/// Where a frame begins, in samples.
fn frame_start(frame: usize) -> usize {
    FIRST_CENTRE - STEP / 2 + frame * STEP
}

/// Whether there may be speech: sound that is louder than the line's own noise. Only saves work: what it takes for silence and
/// somebody asks about is looked at all the same.
struct Gate {
    /// The line's noise, root mean square. Falls at once, rises slowly.
    floor: f32,
    /// Start of the first sound that no window had seen when it came.
    first: Option<usize>,
    /// End of the last sound.
    last: usize,
    /// How much sound since `first`, in samples.
    loud: usize,
}

impl Default for Gate {
    fn default() -> Self {
        Self { floor: 30.0, first: None, last: 0, loud: 0 }
    }
}

impl Gate {
    const BLOCK: usize = 320;
    /// The quietest noise that a line is taken to have (-70 dB): below 2.5 times it nothing is speech.
    const QUIETEST: f32 = 10.0;

    /// `at` is the number of the first sample.
    fn hear(&mut self, at: usize, pcm: &[i16]) {
        for (number, block) in pcm.chunks(Self::BLOCK).enumerate() {
            let power: f32 = block.iter().map(|s| f32::from(*s) * f32::from(*s)).sum();
            let level = (power / block.len() as f32).sqrt();
            // A doubling in about three seconds: a pause in speech is enough to come down again.
            self.floor = if level < self.floor { level.max(Self::QUIETEST) } else { self.floor * 1.005 };
            if level > 2.5 * self.floor {
                let start = at + number * Self::BLOCK;
                self.first.get_or_insert(start);
                self.last = start + block.len();
                self.loud += block.len();
            }
        }
    }

    /// Where the sound begins that waits for a window, if there is enough of it (0.2 s).
    fn waits_since(&mut self, seen: usize) -> Option<usize> {
        if self.first.is_some_and(|first| first < seen) {
            // A window has been there since.
            self.first = (self.last > seen).then_some(seen);
            self.loud = self.last.saturating_sub(seen);
        }
        self.first.filter(|_| self.loud >= 3200)
    }
}

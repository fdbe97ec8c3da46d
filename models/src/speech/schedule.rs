//! Who is decoded next: finished utterances first, guesses at them next, captions when there is room. Sans-IO.
//!
//! - **Finals**: oldest first, but one per ear at a time, so that the utterances of a party come out in the order in which
//!   they were said. Bounded by the sound that waits; a failed one comes again, in its old place, after a pause.
//! - **Guesses**: an utterance that has most likely ended (some silence, not yet enough) is decoded before it is sure. If it
//!   ends there, the words are known at once ([`Schedule::ready`]); if speech goes on, they are forgotten.
//! - **Captions**: utterances under way, one in flight per ear, the ear that waited longest first, never while a final or a
//!   guess could run, never on all workers at once, and none while finals are late. A newer one replaces an older one.

use std::collections::{HashMap, VecDeque};

use super::PartyKey;
use super::listen::Heard;

/// Finals that have waited longer than this stop all captions, in ms.
pub const BEHIND_MS: u64 = 3000;
/// Shortest and longest step between captions of an utterance, in ms of new sound.
const STEP_MS: (u64, u64) = (600, 1500);
/// The first caption of an utterance is not worth its cost before there is so much sound, in ms.
const FIRST_MS: u64 = 900;

/// Names one opening of an ear; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EarId(pub u64);

/// What a decode is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A finished utterance.
    Final,
    /// An utterance that has most likely finished.
    Guess,
    /// An utterance under way.
    Caption,
}

/// A stretch of sound to decode.
pub struct Job {
    /// Whose ear.
    pub ear: EarId,
    /// Whose words, for the result.
    pub party: PartyKey,
    /// How often the ear was discarded when this was heard; a result of an older count is thrown away.
    pub epoch: u64,
    /// What for.
    pub kind: Kind,
    /// The sound.
    pub heard: Heard,
    /// How often it was tried and failed.
    pub attempts: u32,
    /// When it was queued, in ms of the caller's clock.
    pub queued_ms: u64,
    /// Not to be tried again before this.
    not_before_ms: u64,
}

impl Job {
    /// A job that was not tried yet.
    pub fn new(ear: EarId, party: PartyKey, epoch: u64, kind: Kind, heard: Heard, now_ms: u64) -> Self {
        Self { ear, party, epoch, kind, heard, attempts: 0, queued_ms: now_ms, not_before_ms: 0 }
    }

    fn sound(&self) -> Sound {
        (self.heard.utterance, self.heard.pcm.len())
    }
}

/// Number of the utterance within its ear, and how much of it: two with the same are the same sound.
type Sound = (u64, usize);

/// A final that waits, with its result if a guess has told it.
struct Waiting<R> {
    job: Job,
    known: Option<R>,
}

/// All that concerns one ear.
struct Lane<R> {
    /// A worker has a final of it, or a result is being given out.
    busy: bool,
    guess: Option<Job>,
    guessing: Option<Guessing>,
    guessed: Option<(Sound, R)>,
    caption: Option<Job>,
    captioning: bool,
    /// When its last caption began.
    captioned_ms: u64,
    /// Utterance and sound of the last caption that was offered.
    offered: (u64, u64),
    /// The last utterance that has become a final.
    closed: Option<u64>,
}

impl<R> Lane<R> {
    /// What was said before is not given out yet.
    fn is_busy(&self) -> bool {
        self.busy || self.guessing.as_ref().is_some_and(|guessing| guessing.promoted)
    }
}

struct Guessing {
    sound: Sound,
    /// The final for this very sound has come meanwhile.
    promoted: bool,
}

impl<R> Default for Lane<R> {
    fn default() -> Self {
        Self {
            busy: false,
            guess: None,
            guessing: None,
            guessed: None,
            caption: None,
            captioning: false,
            captioned_ms: 0,
            offered: (u64::MAX, 0),
            closed: None,
        }
    }
}

/// What is to be done, and what came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Caption jobs that were replaced, or given up because finals were late.
    pub captions_dropped: u64,
    /// Guesses decoded.
    pub guesses: u64,
    /// Of these, those that were right: their utterance ended there.
    pub guesses_used: u64,
}

/// The queues of all ears. `R` is what a decode gives.
pub struct Schedule<R> {
    finals: VecDeque<Waiting<R>>,
    lanes: HashMap<EarId, Lane<R>>,
    limit_ms: u64,
    caption_limit: usize,
    captioning: usize,
    /// How long a caption's decode takes now, in ms, smoothed.
    caption_cost_ms: u64,
    counts: Counts,
}

impl<R> Schedule<R> {
    /// Empty queues for so many workers, whose finals hold at most `limit_ms` of sound (a single longer one is taken when
    /// none waits).
    pub fn new(workers: usize, limit_ms: u64) -> Self {
        Self {
            finals: VecDeque::new(),
            lanes: HashMap::new(),
            limit_ms,
            caption_limit: workers.saturating_sub(1).max(1),
            captioning: 0,
            caption_cost_ms: 300,
            counts: Counts::default(),
        }
    }

    /// Makes room for an ear.
    pub fn open(&mut self, ear: EarId) {
        self.lanes.entry(ear).or_default();
    }

    /// Forgets an ear; what workers still have of it is theirs to throw away.
    pub fn forget(&mut self, ear: EarId) {
        self.discard(ear);
        if let Some(lane) = self.lanes.remove(&ear)
            && lane.captioning
        {
            self.captioning -= 1;
        }
    }

    /// Drops all that waits for this ear, and what was guessed.
    pub fn discard(&mut self, ear: EarId) {
        self.finals.retain(|waiting| waiting.job.ear != ear);
        let Some(lane) = self.lanes.get_mut(&ear) else { return };
        (lane.guess, lane.guessed, lane.caption) = (None, None, None);
        if let Some(guessing) = &mut lane.guessing {
            *guessing = Guessing { sound: (u64::MAX, 0), promoted: false };
        }
    }

    /// Adds a finished utterance; gives it back if there is no room. A guess at the same sound becomes its result.
    #[expect(clippy::result_large_err, reason = "the job goes back to where it came from")]
    pub fn push(&mut self, job: Job) -> Result<(), Job> {
        let Some(lane) = self.lanes.get_mut(&job.ear) else { return Ok(()) };
        let sound = job.sound();
        lane.closed = Some(sound.0);
        (lane.guess, lane.caption) = (None, None);
        if let Some(guessing) = lane.guessing.as_mut().filter(|guessing| guessing.sound == sound) {
            guessing.promoted = true;
            self.counts.guesses_used += 1;
            return Ok(());
        }
        let known = lane.guessed.take().filter(|(of, _)| *of == sound).map(|(_, result)| result);
        if known.is_some() {
            self.counts.guesses_used += 1;
        } else if !self.finals.is_empty() && self.waiting_ms() + job.heard.length_ms() > self.limit_ms {
            return Err(job);
        }
        self.finals.push_back(Waiting { job, known });
        Ok(())
    }

    /// Offers an utterance that has most likely ended, to be decoded if a worker is idle.
    pub fn guess(&mut self, job: Job) {
        if let Some(lane) = self.lanes.get_mut(&job.ear) {
            lane.caption = None;
            lane.guessed = None;
            // What it gives is shown as a caption is.
            lane.offered = (job.heard.utterance, job.heard.length_ms());
            lane.guess = Some(job);
        }
    }

    /// Speech went on: what was guessed of this ear is wrong.
    pub fn went_on(&mut self, ear: EarId) {
        if let Some(lane) = self.lanes.get_mut(&ear) {
            (lane.guess, lane.guessed) = (None, None);
        }
    }

    /// Whether a caption of this utterance, which has `length_ms` of sound now, is worth its cost.
    pub fn wants_caption(&mut self, ear: EarId, utterance: u64, length_ms: u64, now_ms: u64) -> bool {
        let speaking =
            self.lanes.values().filter(|lane| lane.caption.is_some() || lane.captioning).count().max(1) as u64;
        let share = self.caption_cost_ms * speaking / self.caption_limit as u64;
        let step = (share * 3 / 2).clamp(STEP_MS.0, STEP_MS.1);
        let is_behind = self.is_behind(now_ms);
        let Some(lane) = self.lanes.get_mut(&ear) else { return false };
        let due = if lane.offered.0 == utterance { lane.offered.1 + step } else { step.max(FIRST_MS) };
        if length_ms < due {
            return false;
        }
        if is_behind {
            lane.offered = (utterance, length_ms);
            self.counts.captions_dropped += 1;
        }
        !is_behind
    }

    /// Offers the sound so far of an utterance under way.
    pub fn caption(&mut self, job: Job) {
        let Some(lane) = self.lanes.get_mut(&job.ear) else { return };
        lane.offered = (job.heard.utterance, job.heard.length_ms());
        if lane.caption.replace(job).is_some() {
            self.counts.captions_dropped += 1;
        }
    }

    /// A final whose result is known and whose turn it is. Until [`Schedule::done`] its ear is busy.
    pub fn ready(&mut self) -> Option<(Job, R)> {
        let at = self.first(|waiting, lane| !lane.is_busy() && waiting.known.is_some())?;
        let waiting = self.finals.remove(at)?;
        if let Some(lane) = self.lanes.get_mut(&waiting.job.ear) {
            lane.busy = true;
        }
        Some((waiting.job, waiting.known?))
    }

    /// What a worker that is free does next, if anything. To be followed by one of [`Schedule::done`],
    /// [`Schedule::again`], [`Schedule::guessed`] and [`Schedule::captioned`].
    pub fn start(&mut self, now_ms: u64) -> Option<Job> {
        let due = |waiting: &Waiting<R>, lane: &Lane<R>| {
            !lane.is_busy() && waiting.known.is_none() && waiting.job.not_before_ms <= now_ms
        };
        if let Some(at) = self.first(due) {
            let waiting = self.finals.remove(at)?;
            self.lanes.get_mut(&waiting.job.ear)?.busy = true;
            return Some(waiting.job);
        }
        let guess = self.lanes.iter().filter(|(_, lane)| lane.guessing.is_none());
        let oldest = guess.filter_map(|(ear, lane)| Some((lane.guess.as_ref()?.queued_ms, *ear))).min();
        if let Some((_, ear)) = oldest {
            let lane = self.lanes.get_mut(&ear)?;
            let job = lane.guess.take()?;
            lane.guessing = Some(Guessing { sound: job.sound(), promoted: false });
            self.counts.guesses += 1;
            return Some(job);
        }
        if self.is_behind(now_ms) {
            for lane in self.lanes.values_mut() {
                self.counts.captions_dropped += u64::from(lane.caption.take().is_some());
            }
            return None;
        }
        if self.captioning >= self.caption_limit {
            return None;
        }
        let free = self.lanes.iter().filter(|(_, lane)| lane.caption.is_some() && !lane.captioning);
        let (_, ear) = free.map(|(ear, lane)| (lane.captioned_ms, *ear)).min()?;
        let lane = self.lanes.get_mut(&ear)?;
        (lane.captioning, lane.captioned_ms) = (true, now_ms);
        self.captioning += 1;
        lane.caption.take()
    }

    /// The result of a final was given out, or given up.
    pub fn done(&mut self, ear: EarId) {
        if let Some(lane) = self.lanes.get_mut(&ear) {
            lane.busy = false;
        }
    }

    /// A final failed and is to be tried again, in its old place, at `not_before_ms`.
    pub fn again(&mut self, mut job: Job, not_before_ms: u64) {
        let Some(lane) = self.lanes.get_mut(&job.ear) else { return };
        lane.busy = false;
        (job.attempts, job.not_before_ms, job.kind) = (job.attempts + 1, not_before_ms, Kind::Final);
        self.finals.push_front(Waiting { job, known: None });
    }

    /// A guess was decoded (`None`: it failed). Kept until its final comes; if that has come, it is [`Schedule::ready`].
    pub fn guessed(&mut self, mut job: Job, result: Option<R>) {
        let Some(lane) = self.lanes.get_mut(&job.ear) else { return };
        let Some(guessing) = lane.guessing.take().filter(|guessing| guessing.sound == job.sound()) else { return };
        if guessing.promoted {
            job.kind = Kind::Final;
            // Behind those of its ear that were said before it, before those that were said after it.
            let later =
                |waiting: &Waiting<R>| waiting.job.ear == job.ear && waiting.job.heard.utterance > job.heard.utterance;
            let at = self.finals.iter().position(later).unwrap_or(self.finals.len());
            self.finals.insert(at, Waiting { job, known: result });
        } else if lane.closed.is_none_or(|closed| closed < guessing.sound.0) {
            lane.guessed = result.map(|result| (guessing.sound, result));
        }
    }

    /// A worker is done with a caption, which took so long.
    pub fn captioned(&mut self, ear: EarId, took_ms: u64) {
        self.caption_cost_ms = (3 * self.caption_cost_ms + took_ms) / 4;
        if let Some(lane) = self.lanes.get_mut(&ear).filter(|lane| lane.captioning) {
            lane.captioning = false;
            self.captioning -= 1;
        }
    }

    /// Whether this utterance is still under way, as far as finals tell.
    pub fn is_open(&self, ear: EarId, utterance: u64) -> bool {
        self.lanes.get(&ear).is_some_and(|lane| lane.closed.is_none_or(|closed| closed < utterance))
    }

    /// Whether a final of this ear waits or is in hand.
    pub fn pending(&self, ear: EarId) -> bool {
        self.lanes.get(&ear).is_some_and(Lane::is_busy) || self.finals.iter().any(|waiting| waiting.job.ear == ear)
    }

    /// When something that waits for its time is due, if it is later than now.
    pub fn next_due_ms(&self, now_ms: u64) -> Option<u64> {
        self.finals.iter().map(|waiting| waiting.job.not_before_ms).filter(|due| *due > now_ms).min()
    }

    /// Sound of finals that waits, in ms.
    pub fn waiting_ms(&self) -> u64 {
        self.finals.iter().map(|waiting| waiting.job.heard.length_ms()).sum()
    }

    /// How long the oldest final has waited, in ms.
    pub fn oldest_ms(&self, now_ms: u64) -> u64 {
        self.finals.iter().map(|waiting| now_ms.saturating_sub(waiting.job.queued_ms)).max().unwrap_or(0)
    }

    /// Finals that wait.
    pub fn waiting(&self) -> usize {
        self.finals.len()
    }

    /// Jobs that workers have in hand.
    pub fn in_hand(&self) -> usize {
        let of = |lane: &Lane<R>| usize::from(lane.busy) + usize::from(lane.guessing.is_some());
        self.lanes.values().map(of).sum::<usize>() + self.captioning
    }

    /// Counts since the start.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn is_behind(&self, now_ms: u64) -> bool {
        self.oldest_ms(now_ms) > BEHIND_MS
    }

    /// The oldest final that is the first of its ear and pleases.
    fn first(&self, pleases: impl Fn(&Waiting<R>, &Lane<R>) -> bool) -> Option<usize> {
        let mut seen: Vec<EarId> = Vec::new();
        for (at, waiting) in self.finals.iter().enumerate() {
            let ear = waiting.job.ear;
            if seen.contains(&ear) {
                continue;
            }
            if self.lanes.get(&ear).is_some_and(|lane| pleases(waiting, lane)) {
                return Some(at);
            }
            seen.push(ear);
        }
        None
    }
}

#[cfg(test)]
mod tests;

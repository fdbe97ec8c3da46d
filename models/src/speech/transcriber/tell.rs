//! The thread that tells people on shared lines apart: one for all lines, of lower priority than all else, so that it never
//! holds up the listener or a worker. What waits for it is [`SharedLine`]'s to keep; each line has its turn after a piece of
//! sound or an utterance.
//!
//! It owns the trackers, and with them all that voices are known by: a tracker is dropped, and wiped, when its ear is gone or
//! was discarded.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::warn;

use super::{Shared, State};
use crate::speakers::{SpeakerModels, SpeakerTracker};
use crate::speech::schedule::EarId;
use crate::speech::shared_line::{SharedLine, Step};
use crate::speech::{PartyKey, Recognised, Utterance, voices};

/// What a line is known by here.
struct Line {
    epoch: u64,
    tracker: SpeakerTracker,
}

/// One thing to do for one ear.
struct Turn {
    id: EarId,
    epoch: u64,
    party: PartyKey,
    step: Step<Utterance>,
}

/// Runs until all is to end.
pub(super) fn tell(shared: &Shared, models: &Arc<SpeakerModels>) {
    let mut lines: HashMap<EarId, Line> = HashMap::new();
    let mut last = EarId(0);
    let mut state = shared.lock();
    loop {
        if state.stopping {
            return;
        }
        let gone = take_gone(&state, &mut lines);
        if !gone.is_empty() {
            drop(state);
            // Wiping takes a moment.
            drop(gone);
            state = shared.lock();
            state.stats.shared_lines = lines.len();
            continue;
        }
        let Some(turn) = next_turn(&mut state, last, shared.now_ms()) else {
            state = wait(shared, state);
            continue;
        };
        last = turn.id;
        let done = match turn.step {
            Step::Untold(utterance) => {
                state.stats.voices_untold += 1;
                shared.give_told(state, (turn.id, turn.epoch), vec![utterance])
            }
            step => {
                drop(state);
                let line = lines
                    .entry(turn.id)
                    .or_insert_with(|| Line { epoch: turn.epoch, tracker: SpeakerTracker::new(Arc::clone(models)) });
                // A panic in the bindings must not leave the party waiting for ever.
                let outcome = catch_unwind(AssertUnwindSafe(|| work(&mut line.tracker, step)));
                let mut state = shared.lock();
                state.stats.shared_lines = lines.len();
                shared.settle_voices(state, (turn.id, turn.epoch, turn.party), outcome.ok())
            }
        };
        let Some(back) = done else { return };
        state = back;
    }
}

/// The trackers of ears that are gone or were discarded.
fn take_gone(state: &State, lines: &mut HashMap<EarId, Line>) -> Vec<Line> {
    let is_gone = |id: &EarId, line: &mut Line| state.ears.get(id).is_none_or(|ear| ear.epoch != line.epoch);
    lines.extract_if(is_gone).map(|(_, line)| line).collect()
}

/// What is to be done for the ear that comes after `last`, or the next of which there is something.
fn next_turn(state: &mut State, last: EarId, now_ms: u64) -> Option<Turn> {
    let mut ids: Vec<EarId> = state.ears.iter().filter(|(_, ear)| ear.line.is_some()).map(|(id, _)| *id).collect();
    ids.sort_unstable();
    let after = ids.partition_point(|id| *id <= last);
    ids.rotate_left(after);
    let mut found = None;
    for id in ids {
        let Some(ear) = state.ears.get_mut(&id) else { continue };
        let (epoch, party) = (ear.epoch, ear.party);
        let Some(line) = &mut ear.line else { continue };
        let step = line.next(now_ms);
        let lost_ms = line.take_lost_ms();
        if lost_ms > 0 {
            state.stats.voices_lost_ms += lost_ms;
            warn!(party = party.0, lost_ms, "telling voices apart fell behind, what was said has no voice");
        }
        if let Some(step) = step {
            found = Some(Turn { id, epoch, party, step });
            break;
        }
    }
    found
}

fn wait<'a>(shared: &'a Shared, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    let lines = state.ears.values().filter_map(|ear| ear.line.as_ref());
    match lines.filter_map(SharedLine::due_ms).min() {
        Some(due) => {
            let pause = Duration::from_millis(due.saturating_sub(shared.now_ms()).max(1));
            shared.tell.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner).0
        }
        None => shared.tell.wait(state).unwrap_or_else(PoisonError::into_inner),
    }
}

/// What came of a step.
enum Done {
    /// So many samples were heard, to this time.
    Heard(usize, i64),
    /// Who spoke when.
    Told(Vec<crate::speakers::VoiceSpan>),
}

fn work(tracker: &mut SpeakerTracker, step: Step<Utterance>) -> Done {
    match step {
        Step::Hear(piece) => {
            let (mut samples, mut to_ms) = (0, i64::MIN);
            for (at_ms, pcm) in piece {
                tracker.push(at_ms, &pcm);
                samples += pcm.len();
                to_ms = at_ms.saturating_add(pcm.len() as i64 / 16);
            }
            Done::Heard(samples, to_ms)
        }
        Step::Ask { start_ms, end_ms } => Done::Told(tracker.voices(start_ms, end_ms)),
        Step::Untold(_) => Done::Told(Vec::new()),
    }
}

impl Shared {
    /// Takes what came of a step (`None`: a panic) to the ear, unless it was discarded meanwhile. Gives the lock back, or
    /// `None` when all is to end.
    fn settle_voices<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        (id, epoch, party): (EarId, u64, PartyKey),
        done: Option<Done>,
    ) -> Option<MutexGuard<'a, State>> {
        let ear = state.ears.get_mut(&id).filter(|ear| ear.epoch == epoch);
        let Some(line) = ear.and_then(|ear| ear.line.as_mut()) else { return Some(state) };
        match done {
            Some(Done::Heard(samples, to_ms)) => line.heard(samples, to_ms),
            Some(Done::Told(spans)) => {
                let Some(utterance) = line.take_asked() else { return Some(state) };
                let parts = voices::share_out(utterance, &spans);
                return self.give_told(state, (id, epoch), parts);
            }
            None => {
                line.give_up();
                warn!(party = party.0, "telling voices apart panicked: from now on this line's words have no voices");
            }
        }
        Some(state)
    }

    /// Gives out the stretches of an utterance, in order, then Finished if there is no more.
    fn give_told<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        (id, epoch): (EarId, u64),
        parts: Vec<Utterance>,
    ) -> Option<MutexGuard<'a, State>> {
        let current = |state: &State| state.ears.get(&id).is_some_and(|ear| ear.epoch == epoch);
        for part in parts {
            if current(&state) {
                state.stats.utterances += 1;
            }
            state = self.send(state, Recognised::Utterance(part), current)?;
        }
        let ear = state.ears.get_mut(&id).filter(|ear| ear.epoch == epoch);
        if let Some(line) = ear.and_then(|ear| ear.line.as_mut()) {
            line.given();
        }
        self.finish_if_done(state, id)
    }
}

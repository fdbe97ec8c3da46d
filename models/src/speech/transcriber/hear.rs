//! The listener thread: voice activity and endpointing for all parties, and what is offered to the workers early.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tracing::warn;
use zeroize::Zeroizing;

use super::{Shared, State};
use crate::speech::endpoint::{EndpointConfig, WINDOW_MS};
use crate::speech::listen::{Heard, Listener};
use crate::speech::schedule::{EarId, Job, Kind};
use crate::speech::silero::Silero;
use crate::speech::{PartyKey, Recognised};

/// A party whose stream stops in mid-utterance is taken to be silent after this long.
const STALLED: Duration = Duration::from_millis(900);

/// What the listener takes out of an ear in one round.
struct Taken {
    id: EarId,
    party: PartyKey,
    epoch: u64,
    captions: bool,
    sound: VecDeque<(i64, Zeroizing<Vec<i16>>)>,
    lost_samples: u64,
    finish: bool,
    stalled: bool,
}

/// One ear as the listener knows it.
struct Ears {
    epoch: u64,
    listener: Listener,
    /// Utterance and end of its voice (in windows) for which a guess was offered last.
    guessed: Option<(u64, u64)>,
}

/// Runs until all is to end.
pub(super) fn listen(shared: &Shared, silero: &Arc<Silero>, config: &EndpointConfig) {
    let mut ears: HashMap<EarId, Ears> = HashMap::new();
    let mut heard = Vec::new();
    loop {
        let Some(round) = next_round(shared, &mut ears) else { return };
        for taken in round {
            let fresh = || Ears {
                epoch: taken.epoch,
                listener: Listener::new(Arc::clone(silero), config.clone()),
                guessed: None,
            };
            let ear = ears.entry(taken.id).or_insert_with(fresh);
            if ear.epoch != taken.epoch {
                *ear = fresh();
            }
            for (at, pcm) in &taken.sound {
                ear.listener.push(*at, pcm, &mut heard);
            }
            if taken.finish || taken.stalled {
                ear.listener.flush(&mut heard);
            }
            if hand_over(shared, &taken, &mut heard).is_none() {
                return;
            }
            offer(shared, &taken, ear);
        }
    }
}

/// Waits until there is something to hear and takes it; `None` when all is to end.
fn next_round(shared: &Shared, ears: &mut HashMap<EarId, Ears>) -> Option<Vec<Taken>> {
    let mut state = shared.lock();
    loop {
        if state.stopping {
            return None;
        }
        ears.retain(|id, _| state.ears.contains_key(id));
        let now = Instant::now();
        let round: Vec<Taken> = state
            .ears
            .iter_mut()
            .filter_map(|(id, ear)| {
                let finish = ear.finishing && !ear.heard_all;
                let open = ears.get(id).is_some_and(|known| known.epoch == ear.epoch && known.listener.is_open());
                let stalled = open
                    && !ear.options.recorded
                    && ear.inbox.is_empty()
                    && now.duration_since(ear.last_push) >= STALLED;
                if ear.inbox.is_empty() && !finish && !stalled && ear.lost_samples == 0 {
                    return None;
                }
                ear.inbox_samples = 0;
                Some(Taken {
                    id: *id,
                    party: ear.party,
                    epoch: ear.epoch,
                    captions: ear.options.captions && shared.backend.can_caption(),
                    sound: std::mem::take(&mut ear.inbox),
                    lost_samples: std::mem::take(&mut ear.lost_samples),
                    finish,
                    stalled,
                })
            })
            .collect();
        if !round.is_empty() {
            return Some(round);
        }
        let someone_speaks = ears.values().any(|ear| ear.listener.is_open());
        state = if someone_speaks {
            shared.listen.wait_timeout(state, STALLED / 4).unwrap_or_else(PoisonError::into_inner).0
        } else {
            shared.listen.wait(state).unwrap_or_else(PoisonError::into_inner)
        };
    }
}

fn current(state: &State, taken: &Taken) -> bool {
    state.ears.get(&taken.id).is_some_and(|ear| ear.epoch == taken.epoch)
}

/// Queues what was heard of one party, gives out what was guessed right, and reports what was lost. `None` when all is to
/// end.
fn hand_over(shared: &Shared, taken: &Taken, heard: &mut Vec<Heard>) -> Option<()> {
    let mut state = shared.lock();
    let mut lost_ms = taken.lost_samples / 16;
    for heard in heard.drain(..) {
        if !current(&state, taken) {
            break;
        }
        let job = Job::new(taken.id, taken.party, taken.epoch, Kind::Final, heard, shared.now_ms());
        if let Err(back) = state.schedule.push(job) {
            lost_ms += back.heard.length_ms();
        }
        shared.work.notify_one();
    }
    state = shared.give_ready(state)?;
    if lost_ms > 0 {
        state.stats.lost_ms += lost_ms;
        warn!(party = taken.party.0, lost_ms, "recogniser fell behind, sound was dropped");
        let result = Recognised::FellBehind { party: taken.party, lost_ms };
        state = shared.send(state, result, |state| current(state, taken))?;
    }
    if taken.finish {
        // A discard in between changes nothing here: there is no more sound to come either way.
        if let Some(ear) = state.ears.get_mut(&taken.id)
            && ear.inbox.is_empty()
        {
            ear.heard_all = true;
        }
        drop(shared.finish_if_done(state, taken.id)?);
    }
    Some(())
}

/// Offers what is under way: as a guess where it has most likely ended, else as a caption.
fn offer(shared: &Shared, taken: &Taken, ear: &mut Ears) {
    let Some(progress) = ear.listener.progress() else { return };
    let now = shared.now_ms();
    let voice_end = progress.length - progress.quiet;
    let went_on = ear.guessed.is_some_and(|guessed| guessed != (progress.utterance, voice_end));
    if went_on {
        ear.guessed = None;
        shared.lock().schedule.went_on(taken.id);
    }
    let (kind, heard) = if progress.likely_over {
        // One window more and it is a final anyway.
        if ear.guessed.is_some() || progress.quiet + 1 >= progress.demand {
            return;
        }
        ear.guessed = Some((progress.utterance, voice_end));
        (Kind::Guess, ear.listener.if_ended())
    } else if taken.captions {
        let length_ms = (progress.length as i64 * WINDOW_MS) as u64;
        if !shared.lock().schedule.wants_caption(taken.id, progress.utterance, length_ms, now) {
            return;
        }
        (Kind::Caption, ear.listener.so_far())
    } else {
        return;
    };
    let Some(heard) = heard else { return };
    let job = Job::new(taken.id, taken.party, taken.epoch, kind, heard, now);
    let mut state = shared.lock();
    if !current(&state, taken) {
        return;
    }
    if kind == Kind::Guess {
        state.schedule.guess(job);
    } else {
        state.schedule.caption(job);
    }
    drop(state);
    shared.work.notify_one();
}

//! The worker threads: decode what the schedule gives, and give out what came of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::{debug, warn};
use zeroize::Zeroizing;

use super::{Ear, Shared, State};
use crate::speech::backend::{BackendError, Worker};
use crate::speech::guard::Doubt;
use crate::speech::language::LanguageSense;
use crate::speech::recognise::{self, Hints, Words};
use crate::speech::schedule::{Job, Kind};
use crate::speech::{Caption, PartyKey, Recognised, Utterance, Word};

/// How often an utterance is given to the recogniser before it is given up.
const ATTEMPTS: u32 = 4;
/// Pause before the second attempt; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(500);
/// However long the recogniser asks to be left alone, it is asked again after this.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// So much voice on a line that several people share tells its own language, in ms.
const OWN_LANGUAGE_MS: i64 = 1500;

/// What came of a decode.
pub(super) struct Seen {
    outcome: Result<Words, Doubt>,
    /// What is known of the party's language now, if its language is being found out.
    sense: Option<LanguageSense>,
    elapsed_ms: u64,
}

/// What a worker needs to know of an ear.
struct Told {
    language: Option<String>,
    /// Where the language is not given.
    sense: Option<LanguageSense>,
    prompt: Arc<str>,
}

/// Runs until all is to end.
pub(super) fn work(shared: &Shared, mut worker: Box<dyn Worker>) {
    let mut state = shared.lock();
    loop {
        if state.stopping {
            return;
        }
        let now = shared.now_ms();
        let Some(job) = state.schedule.start(now) else {
            state = wait(shared, state, now);
            continue;
        };
        let told = told(shared, &state, &job);
        drop(state);
        let began = Instant::now();
        // A panic in the bindings must not leave the party waiting for ever.
        let outcome = catch_unwind(AssertUnwindSafe(|| decode(&mut *worker, &job, told, began))).unwrap_or_else(|_| {
            if let Ok(fresh) = shared.backend.worker() {
                worker = fresh;
            }
            Err(BackendError::Failed { what: "it panicked".to_owned() })
        });
        log(&job, &outcome, began);
        let Some(back) = settle(shared, shared.lock(), job, outcome, began) else { return };
        state = back;
    }
}

fn wait<'a>(shared: &'a Shared, state: MutexGuard<'a, State>, now: u64) -> MutexGuard<'a, State> {
    match state.schedule.next_due_ms(now) {
        Some(due) => {
            let pause = Duration::from_millis(due - now);
            shared.work.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner).0
        }
        None => shared.work.wait(state).unwrap_or_else(PoisonError::into_inner),
    }
}

fn told(shared: &Shared, state: &State, job: &Job) -> Told {
    let ear = state.ears.get(&job.ear);
    let language = ear.and_then(|ear| ear.options.language.clone()).or_else(|| shared.language.clone());
    // Two people on one line may speak two languages: whoever says enough is written in theirs, whatever came before.
    let apart = |ear: &Ear| ear.options.several_voices && job.heard.voiced_ms >= OWN_LANGUAGE_MS;
    let known = |ear: &Ear| if apart(ear) { LanguageSense::default() } else { ear.sense.clone() };
    let sense = if language.is_none() { ear.map(known) } else { None };
    Told { language, sense, prompt: ear.map_or_else(|| "".into(), |ear| Arc::clone(&ear.prompt)) }
}

fn decode(worker: &mut dyn Worker, job: &Job, told: Told, began: Instant) -> Result<Seen, BackendError> {
    let Told { mut language, mut sense, prompt } = told;
    let voiced_ms = job.heard.voiced_ms;
    let mut asked = false;
    if let Some(sense) = &mut sense {
        language = sense.current().map(str::to_owned);
        if job.kind != Kind::Caption && sense.asks(voiced_ms) {
            let found = recognise::languages(worker, &job.heard)?;
            asked = !found.is_empty();
            // One that cannot tell beforehand decides, and may tell afterwards.
            language = if asked { sense.hear(&found, voiced_ms) } else { None };
        }
    }
    let hints = Hints { language: language.as_deref(), prompt: &prompt };
    let outcome = if job.kind == Kind::Caption {
        recognise::glimpse(worker, &job.heard, hints)?
    } else {
        recognise::recognise(worker, &job.heard, hints)?
    };
    if let Some(sense) = &mut sense {
        if let Ok(words) = &outcome
            && !words.languages.is_empty()
        {
            sense.hear(&words.languages, voiced_ms);
            asked = true;
        }
        sense.decoded(outcome.as_ref().map_or(-1.0, |words| words.mean_logprob), asked);
    }
    Ok(Seen { outcome, sense, elapsed_ms: began.elapsed().as_millis() as u64 })
}

fn log(job: &Job, outcome: &Result<Seen, BackendError>, began: Instant) {
    let (word, doubt) = match outcome {
        Ok(Seen { outcome: Ok(_), .. }) => ("words", None),
        Ok(Seen { outcome: Err(doubt), .. }) => ("doubted", Some(tracing::field::debug(doubt))),
        Err(_) => ("failed", None),
    };
    let elapsed_ms = began.elapsed().as_millis() as u64;
    let (party, length_ms, kind) = (job.party.0, job.heard.length_ms(), tracing::field::debug(job.kind));
    debug!(party, kind, length_ms, elapsed_ms, outcome = word, doubt, "utterance decoded");
    if let Err(error) = outcome {
        warn!(party, kind, attempts = job.attempts + 1, cause = %error, "an utterance was not decoded");
    }
}

/// Does with an outcome what its kind asks for. Gives the lock back, or `None` when all is to end.
fn settle<'a>(
    shared: &'a Shared,
    mut state: MutexGuard<'a, State>,
    job: Job,
    outcome: Result<Seen, BackendError>,
    began: Instant,
) -> Option<MutexGuard<'a, State>> {
    let id = job.ear;
    let elapsed_ms = began.elapsed().as_millis() as u64;
    let current = state.ears.get(&id).is_some_and(|ear| ear.epoch == job.epoch);
    state.stats.backend_failures += u64::from(outcome.is_err());
    match job.kind {
        Kind::Caption => {
            state.schedule.captioned(id, elapsed_ms);
            state.stats.extra_ms += elapsed_ms;
            if let Ok(Seen { outcome: Ok(words), .. }) = &outcome
                && current
            {
                shared.show(&mut state, &job, words, false);
            }
        }
        Kind::Guess => {
            if let Ok(Seen { outcome: Ok(words), .. }) = &outcome
                && current
                && state.ears.get(&id).is_some_and(|ear| ear.options.captions)
            {
                shared.show(&mut state, &job, words, true);
            }
            // Whether it was right is not known yet; if so, it is taken off again.
            state.stats.extra_ms += elapsed_ms;
            state.schedule.guessed(job, outcome.ok());
        }
        Kind::Final => match outcome {
            _ if !current => state.schedule.done(id),
            Ok(seen) => {
                state = shared.give(state, &job, seen)?;
                state.schedule.done(id);
            }
            Err(error) => state = again_or_give_up(shared, state, job, &error)?,
        },
    }
    state = shared.give_ready(state)?;
    // The next of this ear may have waited for this one, and a worker may sleep past a retry's time.
    shared.work.notify_one();
    shared.finish_if_done(state, id)
}

fn again_or_give_up<'a>(
    shared: &'a Shared,
    mut state: MutexGuard<'a, State>,
    job: Job,
    error: &BackendError,
) -> Option<MutexGuard<'a, State>> {
    let asked = match error {
        BackendError::Unavailable { retry_after, .. } => *retry_after,
        BackendError::Failed { .. } | BackendError::Refused { .. } => None,
    };
    if job.attempts + 1 < ATTEMPTS && !matches!(error, BackendError::Refused { .. }) {
        let pause = asked.unwrap_or(PAUSE * 2u32.pow(job.attempts)).min(LONGEST_PAUSE);
        state.stats.retries += 1;
        let due = shared.now_ms() + pause.as_millis() as u64;
        state.schedule.again(job, due);
        return Some(state);
    }
    let (id, epoch, party, lost_ms) = (job.ear, job.epoch, job.party, job.heard.length_ms());
    state.stats.failed += 1;
    state.stats.lost_ms += lost_ms;
    let current = |state: &State| state.ears.get(&id).is_some_and(|ear| ear.epoch == epoch);
    shared.take_back(&mut state, &job);
    let mut state = shared.send(state, Recognised::FellBehind { party, lost_ms }, current)?;
    state.schedule.done(id);
    Some(state)
}

impl Shared {
    /// Gives out all finals whose words are known and whose turn it is.
    pub(super) fn give_ready<'a>(&'a self, mut state: MutexGuard<'a, State>) -> Option<MutexGuard<'a, State>> {
        while let Some((job, seen)) = state.schedule.ready() {
            let id = job.ear;
            state.stats.extra_ms = state.stats.extra_ms.saturating_sub(seen.elapsed_ms);
            state = self.give(state, &job, seen)?;
            state.schedule.done(id);
            state = self.finish_if_done(state, id)?;
            self.work.notify_one();
        }
        Some(state)
    }

    /// Gives out the result of a final.
    fn give<'a>(&'a self, mut state: MutexGuard<'a, State>, job: &Job, seen: Seen) -> Option<MutexGuard<'a, State>> {
        state.stats.decoded_ms += job.heard.length_ms();
        state.stats.decoding_ms += seen.elapsed_ms;
        let (id, epoch) = (job.ear, job.epoch);
        let current = |state: &State| state.ears.get(&id).is_some_and(|ear| ear.epoch == epoch);
        if !current(&state) {
            return Some(state);
        }
        if let (Some(sense), Some(ear)) = (seen.sense, state.ears.get_mut(&id)) {
            ear.sense = sense;
        }
        match seen.outcome {
            Ok(words) => {
                let utterance = self.utterance(job, words);
                if let Some(ear) = state.ears.get_mut(&id) {
                    ear.agreement.end(job.heard.utterance);
                    if let Some(line) = &mut ear.line {
                        line.hold(utterance.start_ms, utterance.end_ms, utterance, self.now_ms());
                        self.tell.notify_one();
                        return Some(state);
                    }
                }
                state.stats.utterances += 1;
                self.send(state, Recognised::Utterance(utterance), current)
            }
            Err(_) => {
                state.stats.doubted += 1;
                self.take_back(&mut state, job);
                Some(state)
            }
        }
    }

    fn utterance(&self, job: &Job, words: Words) -> Utterance {
        let Job { party, heard, .. } = job;
        let (start_ms, end_ms) = (heard.start_ms, heard.end_ms);
        let timed = words.words.into_iter().map(|word| Word {
            text: word.text,
            start_ms: (heard.sound_ms + word.start_ms).clamp(start_ms, end_ms),
            end_ms: (heard.sound_ms + word.end_ms).clamp(start_ms, end_ms),
            probability: word.probability,
        });
        Utterance {
            party: *party,
            start_ms,
            end_ms,
            text: words.text,
            confidence: words.confidence,
            words: timed.collect(),
            language: words.language,
            voice: None,
            recogniser: Arc::clone(&self.recogniser),
        }
    }

    /// Shows a look at an utterance under way, unless its final has come meanwhile.
    fn show(&self, state: &mut State, job: &Job, words: &Words, ended: bool) {
        let number = job.heard.utterance;
        if !state.schedule.is_open(job.ear, number) {
            return;
        }
        let Some(ear) = state.ears.get_mut(&job.ear) else { return };
        let Some(shown) = ear.agreement.look(number, &words.text, ended) else { return };
        let caption =
            Caption { party: job.party, start_ms: job.heard.start_ms, agreed: shown.agreed, tail: shown.tail };
        self.try_caption(state, caption);
    }

    /// If anything was shown of an utterance that gave no words after all, says that it does not stand.
    fn take_back(&self, state: &mut State, job: &Job) {
        let shown = state.ears.get_mut(&job.ear).is_some_and(|ear| ear.agreement.end(job.heard.utterance));
        if shown {
            let nothing = || Zeroizing::new(String::new());
            let start_ms = job.heard.start_ms;
            let party: PartyKey = job.party;
            self.try_caption(state, Caption { party, start_ms, agreed: nothing(), tail: nothing() });
        }
    }

    /// Captions wait for nobody: where the channel is full they are dropped.
    fn try_caption(&self, state: &mut State, caption: Caption) {
        if self.results.try_send(Recognised::Caption(caption)).is_ok() {
            state.stats.captions += 1;
        } else {
            state.stats.captions_dropped += 1;
        }
    }
}

//! The threads around the cores: one that listens for all parties, and workers that decode.
//!
//! All state that threads share is behind one mutex, held only to move things; sound is analysed and decoded outside it.
//! What leaves ([`Recognised`]) is put into the channel under that mutex, so that nothing of a party comes after
//! [`PartyEar::discard`] has returned.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tracing::{debug, info, warn};
use zeroize::Zeroizing;

use super::backend::whisper::{Whisper, knows_language};
use super::backend::{Backend, BackendError, Worker};
use super::finals::{EarId, Final, Finals};
use super::guard::Doubt;
use super::listen::{Heard, Listener};
use super::recognise::{Hints, Words, recognise};
use super::silero::Silero;
use super::{EarOptions, ModelError, PartyKey, Recognised, TranscriberConfig, Utterance, Word};

/// A party whose stream stops in mid-utterance is taken to be silent after this long.
const STALLED: Duration = Duration::from_millis(900);
/// How many results may wait for the receiver; then workers wait for it.
const RESULTS: usize = 256;
/// How long a thread waits before it tries a full channel again.
const FULL_PAUSE: Duration = Duration::from_millis(20);

/// Recognises the speech of any number of parties. Cheap to clone; the threads end when the last clone and the last ear
/// are gone, or when the receiver is dropped.
#[derive(Clone)]
pub struct Transcriber {
    handle: Arc<Handle>,
}

/// One party's way in. Dropping it without [`PartyEar::finish`] discards the party.
pub struct PartyEar {
    handle: Arc<Handle>,
    id: EarId,
    finished: bool,
}

/// Counts since the start. Nothing in it tells what was said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TranscriberStats {
    /// Ears that are open or not yet finished.
    pub ears: usize,
    /// Utterances given out.
    pub utterances: u64,
    /// Utterances that the guards threw away.
    pub doubted: u64,
    /// Utterances that whisper.cpp could not decode.
    pub failed: u64,
    /// Sound that was dropped because queues were full, in ms.
    pub lost_ms: u64,
    /// Sound of utterances decoded, in ms.
    pub decoded_ms: u64,
    /// Time that workers spent on it, in ms. Over `decoded_ms` it is the real-time factor of decoding.
    pub decoding_ms: u64,
    /// Sound of utterances that waits for a worker now, in ms.
    pub waiting_ms: u64,
    /// Utterances that workers have in hand now.
    pub decoding: usize,
}

/// Ends the threads when the last user goes.
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.lock().stopping = true;
        self.0.listen.notify_all();
        self.0.work.notify_all();
    }
}

struct Shared {
    state: Mutex<State>,
    /// The listener has something to do.
    listen: Condvar,
    /// A worker has something to do.
    work: Condvar,
    results: mpsc::Sender<Recognised>,
    inbox_samples: usize,
    recogniser: Arc<str>,
    /// Where an ear names none.
    language: Option<String>,
}

struct State {
    ears: HashMap<EarId, Ear>,
    next_ear: u64,
    finals: Finals,
    stats: TranscriberStats,
    stopping: bool,
}

struct Ear {
    party: PartyKey,
    options: Arc<EarOptions>,
    inbox: VecDeque<(i64, Zeroizing<Vec<i16>>)>,
    inbox_samples: usize,
    lost_samples: u64,
    last_push: Instant,
    /// Counts discards; what an older epoch heard is thrown away.
    epoch: u64,
    finishing: bool,
    /// Finishing, and the listener has flushed it.
    heard_all: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a result into the channel while the lock is held; waits outside it while the channel is full. `valid` is
    /// asked each time, and what became invalid is dropped. Gives the lock back, or `None` when all is to end.
    fn send<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        mut result: Recognised,
        valid: impl Fn(&State) -> bool,
    ) -> Option<MutexGuard<'a, State>> {
        loop {
            if state.stopping {
                return None;
            }
            if !valid(&state) {
                return Some(state);
            }
            match self.results.try_send(result) {
                Ok(()) => return Some(state),
                Err(mpsc::error::TrySendError::Full(back)) => result = back,
                Err(mpsc::error::TrySendError::Closed(_)) => {
                    state.stopping = true;
                    self.listen.notify_all();
                    self.work.notify_all();
                    return None;
                }
            }
            drop(state);
            std::thread::sleep(FULL_PAUSE);
            state = self.lock();
        }
    }

    /// Says Finished if this ear has nothing more to come.
    fn finish_if_done<'a>(&'a self, mut state: MutexGuard<'a, State>, id: EarId) -> Option<MutexGuard<'a, State>> {
        let done = state.ears.get(&id).is_some_and(|ear| ear.finishing && ear.heard_all) && !state.finals.pending(id);
        if !done {
            return Some(state);
        }
        let Some(ear) = state.ears.remove(&id) else { return Some(state) };
        self.send(state, Recognised::Finished { party: ear.party }, |_| true)
    }
}

impl Transcriber {
    /// Loads the weights and starts the threads. Blocks for some 0.2 s with base.en: call it where that may be. The
    /// receiver gets what all parties say.
    #[expect(clippy::needless_pass_by_value, reason = "callers have no further use for it")]
    pub fn load(config: TranscriberConfig) -> Result<(Self, mpsc::Receiver<Recognised>), ModelError> {
        let began = Instant::now();
        let silero = Arc::new(Silero::load(&config.vad)?);
        let backend: Arc<dyn Backend> = match &config.backend {
            Some(backend) => Arc::clone(backend),
            None => Arc::new(Whisper::load(&config.whisper)?.with_threads(config.threads_per_worker)),
        };
        if let Some(language) = config.language.as_ref().filter(|code| !knows_language(code)) {
            return Err(ModelError::BadLanguage { language: language.clone() });
        }
        let workers: Vec<Box<dyn Worker>> =
            (0..config.workers.clamp(1, 64)).map(|_| backend.worker()).collect::<Result<_, _>>()?;
        let (results, receiver) = mpsc::channel(RESULTS);
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                ears: HashMap::new(),
                next_ear: 0,
                finals: Finals::new(u64::from(config.backlog_ms)),
                stats: TranscriberStats::default(),
                stopping: false,
            }),
            listen: Condvar::new(),
            work: Condvar::new(),
            results,
            inbox_samples: config.inbox_ms as usize * 16,
            recogniser: backend.name().into(),
            language: config.language.clone(),
        });
        let handle = Arc::new(Handle(Arc::clone(&shared)));
        let niceness = config.niceness.clamp(0, 19);
        let spawn = |name: String, body: Box<dyn FnOnce() + Send>| {
            let run = move || {
                yield_to_others(niceness);
                body();
            };
            std::thread::Builder::new().name(name).spawn(run).map(drop).map_err(ModelError::Thread)
        };
        let endpoint = config.endpoint.clone();
        let listening = Arc::clone(&shared);
        spawn("ear".to_owned(), Box::new(move || listen(&listening, &silero, &endpoint)))?;
        let count = workers.len();
        for (number, mut worker) in workers.into_iter().enumerate() {
            let working = Arc::clone(&shared);
            spawn(format!("words-{number}"), Box::new(move || work(&working, &mut *worker)))?;
        }
        info!(
            recogniser = backend.name(),
            workers = count,
            threads = config.threads_per_worker,
            elapsed_ms = began.elapsed().as_millis() as u64,
            "recogniser ready"
        );
        Ok((Self { handle }, receiver))
    }

    /// Opens an ear for a party with nothing special. As [`Transcriber::open_with`].
    pub fn open(&self, party: PartyKey) -> PartyEar {
        self.open_with(party, EarOptions::default())
    }

    /// Opens an ear for a party. Several ears may be open under one key; each says Finished for itself. A language that
    /// Whisper does not know counts as none.
    pub fn open_with(&self, party: PartyKey, options: EarOptions) -> PartyEar {
        let language = options.language.filter(|code| knows_language(code));
        let options = Arc::new(EarOptions { language, ..options });
        let mut state = self.handle.0.lock();
        let id = EarId(state.next_ear);
        state.next_ear += 1;
        let ear = Ear {
            party,
            options,
            inbox: VecDeque::new(),
            inbox_samples: 0,
            lost_samples: 0,
            last_push: Instant::now(),
            epoch: 0,
            finishing: false,
            heard_all: false,
        };
        state.ears.insert(id, ear);
        drop(state);
        PartyEar { handle: Arc::clone(&self.handle), id, finished: false }
    }

    /// As [`PartyEar::discard`], for all ears of a party, also those that were finished and are still being decoded.
    pub fn discard(&self, party: PartyKey) {
        let mut state = self.handle.0.lock();
        let ids: Vec<EarId> = state.ears.iter().filter(|(_, ear)| ear.party == party).map(|(id, _)| *id).collect();
        for id in ids {
            state.discard(id);
        }
        drop(state);
        self.handle.0.listen.notify_one();
    }

    /// What happened so far.
    pub fn stats(&self) -> TranscriberStats {
        let state = self.handle.0.lock();
        TranscriberStats {
            ears: state.ears.len(),
            waiting_ms: state.finals.waiting_ms(),
            decoding: state.finals.decoding(),
            ..state.stats
        }
    }
}

impl State {
    fn discard(&mut self, id: EarId) {
        self.finals.discard(id);
        if let Some(ear) = self.ears.get_mut(&id) {
            ear.epoch += 1;
            ear.inbox.clear();
            ear.inbox_samples = 0;
            ear.lost_samples = 0;
        }
    }
}

impl PartyEar {
    /// Adds sound: 16 kHz mono, the first sample at `at` ms since the call began. Any length; 20 ms is usual. Never
    /// blocks: what does not fit ([`TranscriberConfig::inbox_ms`]) is dropped, counted, and reported as
    /// [`Recognised::FellBehind`]. Gaps in `at` are silence; see [`super::listen`].
    pub fn push(&self, at: i64, pcm16k: &[i16]) {
        if pcm16k.is_empty() {
            return;
        }
        let sound = Zeroizing::new(pcm16k.to_vec());
        let shared = &self.handle.0;
        let mut state = shared.lock();
        let Some(ear) = state.ears.get_mut(&self.id) else { return };
        ear.last_push = Instant::now();
        if ear.inbox_samples + sound.len() > shared.inbox_samples {
            ear.lost_samples += sound.len() as u64;
        } else {
            ear.inbox_samples += sound.len();
            ear.inbox.push_back((at, sound));
        }
        drop(state);
        shared.listen.notify_one();
    }

    /// The party has left: what it said so far is recognised to the end, then [`Recognised::Finished`] comes.
    pub fn finish(mut self) {
        self.finished = true;
        if let Some(ear) = self.handle.0.lock().ears.get_mut(&self.id) {
            ear.finishing = true;
        }
        self.handle.0.listen.notify_one();
    }

    /// The party has withdrawn: all that is queued, unfinished or being decoded is dropped, and once this returns
    /// nothing of it is put into the channel any more (what lies in the channel already is the receiver's to drop). The
    /// ear stays open; what is pushed afterwards is heard anew.
    pub fn discard(&self) {
        self.handle.0.lock().discard(self.id);
        self.handle.0.listen.notify_one();
    }
}

impl Drop for PartyEar {
    fn drop(&mut self) {
        if !self.finished {
            let mut state = self.handle.0.lock();
            state.discard(self.id);
            state.ears.remove(&self.id);
            drop(state);
            self.handle.0.listen.notify_one();
        }
    }
}

/// Lowers the priority of the calling thread, and of those that it starts.
fn yield_to_others(niceness: i32) {
    // On Linux "process 0" of setpriority is the calling thread.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, niceness) {
        warn!(niceness, cause = %error, "recogniser threads run at normal priority");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = niceness;
}

/// What the listener takes out of an ear in one round.
struct Taken {
    id: EarId,
    party: PartyKey,
    epoch: u64,
    sound: VecDeque<(i64, Zeroizing<Vec<i16>>)>,
    lost_samples: u64,
    finish: bool,
    stalled: bool,
}

/// The listener thread: voice activity and endpointing for all parties.
fn listen(shared: &Shared, silero: &Arc<Silero>, config: &super::endpoint::EndpointConfig) {
    let mut listeners: HashMap<EarId, (u64, Listener)> = HashMap::new();
    let mut heard = Vec::new();
    loop {
        let Some(round) = next_round(shared, &mut listeners) else { return };
        for taken in round {
            let entry = listeners
                .entry(taken.id)
                .or_insert_with(|| (taken.epoch, Listener::new(Arc::clone(silero), config.clone())));
            if entry.0 != taken.epoch {
                *entry = (taken.epoch, Listener::new(Arc::clone(silero), config.clone()));
            }
            for (at, pcm) in &taken.sound {
                entry.1.push(*at, pcm, &mut heard);
            }
            if taken.finish || taken.stalled {
                entry.1.flush(&mut heard);
            }
            if hand_over(shared, &taken, &mut heard).is_none() {
                return;
            }
        }
    }
}

/// Waits until there is something to hear and takes it; `None` when all is to end.
fn next_round(shared: &Shared, listeners: &mut HashMap<EarId, (u64, Listener)>) -> Option<Vec<Taken>> {
    let mut state = shared.lock();
    loop {
        if state.stopping {
            return None;
        }
        listeners.retain(|id, _| state.ears.contains_key(id));
        let now = Instant::now();
        let round: Vec<Taken> = state
            .ears
            .iter_mut()
            .filter_map(|(id, ear)| {
                let finish = ear.finishing && !ear.heard_all;
                let open = listeners.get(id).is_some_and(|(epoch, listener)| *epoch == ear.epoch && listener.is_open());
                let stalled = open && ear.inbox.is_empty() && now.duration_since(ear.last_push) >= STALLED;
                if ear.inbox.is_empty() && !finish && !stalled && ear.lost_samples == 0 {
                    return None;
                }
                ear.inbox_samples = 0;
                Some(Taken {
                    id: *id,
                    party: ear.party,
                    epoch: ear.epoch,
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
        let someone_speaks = listeners.values().any(|(_, listener)| listener.is_open());
        state = if someone_speaks {
            shared.listen.wait_timeout(state, STALLED / 4).unwrap_or_else(PoisonError::into_inner).0
        } else {
            shared.listen.wait(state).unwrap_or_else(PoisonError::into_inner)
        };
    }
}

/// Queues what was heard of one party and reports what was lost. `None` when all is to end.
fn hand_over(shared: &Shared, taken: &Taken, heard: &mut Vec<Heard>) -> Option<()> {
    let mut state = shared.lock();
    let mut lost_ms = taken.lost_samples / 16;
    let current = |state: &State| state.ears.get(&taken.id).is_some_and(|ear| ear.epoch == taken.epoch);
    for heard in heard.drain(..) {
        if !current(&state) {
            break;
        }
        let utterance = Final { ear: taken.id, party: taken.party, epoch: taken.epoch, heard };
        if let Err(back) = state.finals.push(utterance) {
            lost_ms += back.heard.length_ms();
        }
        shared.work.notify_one();
    }
    if lost_ms > 0 {
        state.stats.lost_ms += lost_ms;
        warn!(party = taken.party.0, lost_ms, "recogniser fell behind, sound was dropped");
        state = shared.send(state, Recognised::FellBehind { party: taken.party, lost_ms }, current)?;
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

/// A worker thread: decodes one utterance after the other.
fn work(shared: &Shared, worker: &mut dyn Worker) {
    let mut state = shared.lock();
    loop {
        if state.stopping {
            return;
        }
        let Some(job) = state.finals.start() else {
            state = shared.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        let options = state.ears.get(&job.ear).map(|ear| Arc::clone(&ear.options)).unwrap_or_default();
        drop(state);
        let began = Instant::now();
        let outcome = outcome(shared, worker, &job, &options);
        let elapsed_ms = began.elapsed().as_millis() as u64;
        let length_ms = job.heard.length_ms();
        debug!(
            party = job.party.0,
            length_ms,
            elapsed_ms,
            outcome = match &outcome {
                Outcome::Words(_) => "words",
                Outcome::Doubted(_) => "doubted",
                Outcome::Failed => "failed",
            },
            doubt = if let Outcome::Doubted(doubt) = &outcome { Some(tracing::field::debug(doubt)) } else { None },
            "utterance decoded"
        );
        let (id, epoch) = (job.ear, job.epoch);
        let party = job.party;
        drop(job);
        state = shared.lock();
        state.stats.decoded_ms += length_ms;
        state.stats.decoding_ms += elapsed_ms;
        let current = |state: &State| state.ears.get(&id).is_some_and(|ear| ear.epoch == epoch);
        let sent = match outcome {
            Outcome::Words(utterance) => {
                state.stats.utterances += 1;
                shared.send(state, Recognised::Utterance(utterance), current)
            }
            Outcome::Doubted(_) => {
                state.stats.doubted += 1;
                Some(state)
            }
            Outcome::Failed => {
                state.stats.failed += 1;
                state.stats.lost_ms += length_ms;
                shared.send(state, Recognised::FellBehind { party, lost_ms: length_ms }, current)
            }
        };
        let Some(mut back) = sent else { return };
        back.finals.done(id);
        // The next of this ear may have waited for this one.
        shared.work.notify_one();
        let Some(back) = shared.finish_if_done(back, id) else { return };
        state = back;
    }
}

enum Outcome {
    Words(Utterance),
    Doubted(Doubt),
    Failed,
}

/// How often an utterance is given to the recogniser before it is given up.
const ATTEMPTS: usize = 3;

fn outcome(shared: &Shared, worker: &mut dyn Worker, job: &Final, options: &EarOptions) -> Outcome {
    let Heard { start_ms, end_ms, .. } = job.heard;
    let hints = Hints { language: options.language.as_deref().or(shared.language.as_deref()), prompt: "" };
    for attempt in 1..=ATTEMPTS {
        // A panic in the bindings must not leave the party waiting for ever.
        let recognised = catch_unwind(AssertUnwindSafe(|| recognise(worker, &job.heard, hints)))
            .unwrap_or_else(|_| Err(BackendError::Failed { what: "it panicked".to_owned() }));
        match recognised {
            Ok(Ok(Words { text, confidence, words, language })) => {
                let words = words.into_iter().map(|word| Word {
                    text: word.text,
                    start_ms: (start_ms + word.start_ms).clamp(start_ms, end_ms),
                    end_ms: (start_ms + word.end_ms).clamp(start_ms, end_ms),
                    probability: word.probability,
                });
                return Outcome::Words(Utterance {
                    party: job.party,
                    start_ms,
                    end_ms,
                    text,
                    confidence,
                    words: words.collect(),
                    language,
                    voice: None,
                    recogniser: Arc::clone(&shared.recogniser),
                });
            }
            Ok(Err(doubt)) => return Outcome::Doubted(doubt),
            Err(error) => {
                warn!(party = job.party.0, attempt, cause = %error, "an utterance was not decoded");
                if matches!(error, BackendError::Refused { .. }) {
                    break;
                }
            }
        }
    }
    Outcome::Failed
}

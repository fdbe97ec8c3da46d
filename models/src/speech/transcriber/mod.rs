//! The threads around the cores: one that listens for all parties ([`hear`]), and workers that decode ([`work`]).
//!
//! All state that threads share is behind one mutex, held only to move things; sound is analysed and decoded outside it.
//! What leaves ([`Recognised`]) is put into the channel under that mutex, so that nothing of a party comes after
//! [`PartyEar::discard`] has returned.

mod hear;
mod work;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tracing::{info, warn};
use zeroize::Zeroizing;

use super::agreement::Agreement;
use super::backend::whisper::{Whisper, knows_language};
use super::backend::{Backend, Worker};
use super::language::LanguageSense;
use super::schedule::{EarId, Schedule};
use super::silero::Silero;
use super::{EarOptions, ModelError, PartyKey, Recognised, TranscriberConfig, terms};
use work::Seen;

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

/// Counts since the start, and how things stand now. Nothing in it tells what was said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TranscriberStats {
    /// Ears that are open or not yet finished.
    pub ears: usize,
    /// Utterances given out.
    pub utterances: u64,
    /// Utterances that the guards threw away.
    pub doubted: u64,
    /// Utterances given up because the recogniser failed again and again. Their sound is in `lost_ms` too.
    pub failed: u64,
    /// Decodes that failed, those that did better at a later attempt and those of captions included.
    pub backend_failures: u64,
    /// Finished utterances that were tried again.
    pub retries: u64,
    /// Sound that was dropped because queues were full or the recogniser failed, in ms.
    pub lost_ms: u64,
    /// Sound of finished utterances decoded, in ms.
    pub decoded_ms: u64,
    /// Time that workers spent on it, in ms, guesses that were right included. Over `decoded_ms` it is the real-time factor
    /// of decoding.
    pub decoding_ms: u64,
    /// Time that workers spent on captions and on guesses that were wrong, in ms.
    pub extra_ms: u64,
    /// Sound of finished utterances that waits for a worker now, in ms.
    pub waiting_ms: u64,
    /// How long the oldest finished utterance that waits has waited, in ms: how far the recogniser is behind.
    pub oldest_ms: u64,
    /// Utterances that workers have in hand now, captions included.
    pub decoding: usize,
    /// Captions given out.
    pub captions: u64,
    /// Captions that were due and not given: replaced by a newer one, or given up because finished utterances were late or
    /// the receiver slow.
    pub captions_dropped: u64,
    /// Utterances that were decoded while it was not sure yet that they had ended.
    pub guesses: u64,
    /// Of these, those whose words could be given out at once.
    pub guesses_used: u64,
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
    backend: Arc<dyn Backend>,
    /// Its name.
    recogniser: Arc<str>,
    /// Where an ear names none.
    language: Option<String>,
    started: Instant,
}

struct State {
    ears: HashMap<EarId, Ear>,
    next_ear: u64,
    schedule: Schedule<Seen>,
    stats: TranscriberStats,
    stopping: bool,
}

struct Ear {
    party: PartyKey,
    options: Arc<EarOptions>,
    /// The options' terms as the recogniser is told them.
    prompt: Arc<str>,
    sense: LanguageSense,
    agreement: Agreement,
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

    /// The schedule's clock.
    fn now_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
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
        let done = state.ears.get(&id).is_some_and(|ear| ear.finishing && ear.heard_all) && !state.schedule.pending(id);
        if !done {
            return Some(state);
        }
        state.schedule.forget(id);
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
        let count = config.workers.clamp(1, 64);
        let workers: Vec<Box<dyn Worker>> = (0..count).map(|_| backend.worker()).collect::<Result<_, _>>()?;
        let (results, receiver) = mpsc::channel(RESULTS);
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                ears: HashMap::new(),
                next_ear: 0,
                schedule: Schedule::new(count, u64::from(config.backlog_ms)),
                stats: TranscriberStats::default(),
                stopping: false,
            }),
            listen: Condvar::new(),
            work: Condvar::new(),
            results,
            inbox_samples: config.inbox_ms as usize * 16,
            recogniser: backend.name().into(),
            backend,
            language: config.language.clone(),
            started: Instant::now(),
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
        spawn("ear".to_owned(), Box::new(move || hear::listen(&listening, &silero, &endpoint)))?;
        for (number, worker) in workers.into_iter().enumerate() {
            let working = Arc::clone(&shared);
            spawn(format!("words-{number}"), Box::new(move || work::work(&working, worker)))?;
        }
        info!(
            recogniser = &*shared.recogniser,
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
        let prompt = terms::prompt(&options.terms).into();
        let options = Arc::new(EarOptions { language, ..options });
        let mut state = self.handle.0.lock();
        let id = EarId(state.next_ear);
        state.next_ear += 1;
        let ear = Ear {
            party,
            options,
            prompt,
            sense: LanguageSense::default(),
            agreement: Agreement::default(),
            inbox: VecDeque::new(),
            inbox_samples: 0,
            lost_samples: 0,
            last_push: Instant::now(),
            epoch: 0,
            finishing: false,
            heard_all: false,
        };
        state.ears.insert(id, ear);
        state.schedule.open(id);
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
        let now = self.handle.0.now_ms();
        let state = self.handle.0.lock();
        let counts = state.schedule.counts();
        TranscriberStats {
            ears: state.ears.len(),
            waiting_ms: state.schedule.waiting_ms(),
            oldest_ms: state.schedule.oldest_ms(now),
            decoding: state.schedule.in_hand(),
            captions_dropped: state.stats.captions_dropped + counts.captions_dropped,
            guesses: counts.guesses,
            guesses_used: counts.guesses_used,
            ..state.stats
        }
    }
}

impl State {
    fn discard(&mut self, id: EarId) {
        self.schedule.discard(id);
        if let Some(ear) = self.ears.get_mut(&id) {
            ear.epoch += 1;
            ear.agreement = Agreement::default();
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

    /// How much sound waits to be listened to, in ms. Who pushes faster than people speak waits while it is much.
    pub fn queued_ms(&self) -> u64 {
        self.handle.0.lock().ears.get(&self.id).map_or(0, |ear| ear.inbox_samples as u64 / 16)
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
            state.schedule.forget(self.id);
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

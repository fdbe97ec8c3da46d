//! The threads around the cores: one that listens for all parties ([`hear`]), workers that decode ([`work`]), and one that
//! tells people on shared lines apart ([`tell`]).
//!
//! All state that threads share is behind one mutex, held only to move things; sound is analysed and decoded outside it.
//! What leaves ([`Recognised`]) is put into the channel under that mutex, so that nothing of a party comes after
//! [`PartyEar::discard`] has returned.

mod hear;
mod tell;
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
use super::shared_line::SharedLine;
use super::silero::Silero;
use super::{EarOptions, ModelError, PartyKey, Recognised, TranscriberConfig, Utterance, terms};
use work::Seen;

/// How many results may wait for the receiver; then workers wait for it.
const RESULTS: usize = 256;
/// How long a thread waits before it tries a full channel again.
const FULL_PAUSE: Duration = Duration::from_millis(20);
/// By so much telling voices apart is nicer than finding words.
const BEHIND_WORDS: i32 = 5;

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
    /// Lines whose voices are kept in memory now, to tell people on them apart.
    pub shared_lines: usize,
    /// Sound of such lines that was not looked at for voices, because that had fallen behind, in ms. Its words were recognised
    /// all the same.
    pub voices_lost_ms: u64,
    /// Utterances that were given out without a voice for that reason.
    pub voices_untold: u64,
}

/// Ends the threads when the last user goes.
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.lock().stopping = true;
        self.0.wake_all();
    }
}

struct Shared {
    state: Mutex<State>,
    /// The listener has something to do.
    listen: Condvar,
    /// A worker has something to do.
    work: Condvar,
    /// Who tells voices apart has something to do.
    tell: Condvar,
    /// Whether somebody does.
    tells_voices: bool,
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
    /// Where several people share it, and are told apart.
    line: Option<SharedLine<Utterance>>,
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

    fn wake_all(&self) {
        self.listen.notify_all();
        self.work.notify_all();
        self.tell.notify_all();
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
                    self.wake_all();
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
        let over = |ear: &Ear| ear.finishing && ear.heard_all && ear.line.as_ref().is_none_or(|line| !line.holds());
        if !state.ears.get(&id).is_some_and(over) || state.schedule.pending(id) {
            return Some(state);
        }
        state.schedule.forget(id);
        let Some(ear) = state.ears.remove(&id) else { return Some(state) };
        // Its voices are forgotten.
        self.tell.notify_one();
        self.send(state, Recognised::Finished { party: ear.party }, |_| true)
    }
}

impl Transcriber {
    /// Loads the weights and starts the threads. Blocks for up to 1 s with base.en: call it where that may be. The
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
            tell: Condvar::new(),
            tells_voices: config.speakers.is_some(),
            results,
            inbox_samples: config.inbox_ms as usize * 16,
            recogniser: backend.name().into(),
            backend,
            language: config.language.clone(),
            started: Instant::now(),
        });
        let handle = Arc::new(Handle(Arc::clone(&shared)));
        let niceness = config.niceness.clamp(0, 19);
        let spawn = |name: String, niceness: i32, body: Box<dyn FnOnce() + Send>| {
            let run = move || {
                yield_to_others(niceness);
                body();
            };
            std::thread::Builder::new().name(name).spawn(run).map(drop).map_err(ModelError::Thread)
        };
        let endpoint = config.endpoint.clone();
        let listening = Arc::clone(&shared);
        spawn("ear".to_owned(), niceness, Box::new(move || hear::listen(&listening, &silero, &endpoint)))?;
        for (number, worker) in workers.into_iter().enumerate() {
            let working = Arc::clone(&shared);
            spawn(format!("words-{number}"), niceness, Box::new(move || work::work(&working, worker)))?;
        }
        if let Some(models) = config.speakers.clone() {
            let telling = Arc::clone(&shared);
            let last = (niceness + BEHIND_WORDS).min(19);
            spawn("voices".to_owned(), last, Box::new(move || tell::tell(&telling, &models)))?;
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
        let shared = &self.handle.0;
        let several_voices = options.several_voices && shared.tells_voices;
        // Who speaks now is known when it is over.
        let captions = options.captions && !several_voices;
        let line = several_voices.then(|| SharedLine::new(options.recorded.then_some(shared.inbox_samples)));
        let options = Arc::new(EarOptions { language, captions, several_voices, ..options });
        let mut state = shared.lock();
        let id = EarId(state.next_ear);
        state.next_ear += 1;
        let ear = Ear {
            party,
            options,
            prompt,
            sense: LanguageSense::default(),
            agreement: Agreement::default(),
            line,
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
        self.handle.0.wake_all();
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
            // What was to be decoded and then finished is gone: the listener looks again whether all is done.
            ear.heard_all = false;
            if let Some(line) = &mut ear.line {
                line.clear();
            }
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
        if let Some(line) = &mut ear.line {
            line.push(at, pcm16k);
            shared.tell.notify_one();
        }
        if ear.inbox_samples + sound.len() > shared.inbox_samples {
            ear.lost_samples += sound.len() as u64;
        } else {
            ear.inbox_samples += sound.len();
            ear.inbox.push_back((at, sound));
        }
        drop(state);
        shared.listen.notify_one();
    }

    /// How much sound waits to be listened to, for words or for voices, in ms. Who pushes faster than people speak waits while
    /// it is much.
    pub fn queued_ms(&self) -> u64 {
        let queued = |ear: &Ear| {
            let voices = ear.line.as_ref().map_or(0, SharedLine::queued_ms);
            voices.max(ear.inbox_samples as u64 / 16)
        };
        self.handle.0.lock().ears.get(&self.id).map_or(0, queued)
    }

    /// The party has left: what it said so far is recognised to the end, then [`Recognised::Finished`] comes.
    pub fn finish(mut self) {
        self.finished = true;
        if let Some(ear) = self.handle.0.lock().ears.get_mut(&self.id) {
            ear.finishing = true;
            if let Some(line) = &mut ear.line {
                line.end();
            }
        }
        self.handle.0.wake_all();
    }

    /// The party has withdrawn: all that is queued, unfinished or being decoded is dropped, and once this returns
    /// nothing of it is put into the channel any more (what lies in the channel already is the receiver's to drop). The
    /// ear stays open; what is pushed afterwards is heard anew. What voices on a shared line are known by is wiped too, as
    /// soon as whoever is at work with it puts it down (half a second), and they are counted from the first again.
    pub fn discard(&self) {
        self.handle.0.lock().discard(self.id);
        self.handle.0.wake_all();
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
            self.handle.0.wake_all();
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

//! Notes that grow beside a call: a thread of its own draws what is ready, at low priority, so that little is left to do
//! when the call ends.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use models::notes::{NoteTaker, Notes, SaidUtterance};
use tokio::sync::oneshot;

/// Unix niceness of the thread: captions (5) and media (0) go first.
const NICENESS: i32 = 10;

/// The notes of one call while they are taken. Dropped, the thread ends and the words are wiped.
pub(crate) struct Taking(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Something is to be done.
    wake: Condvar,
}

struct State {
    /// `None` while the last word is being written.
    taker: Option<NoteTaker>,
    finish: Option<(Option<Notes>, oneshot::Sender<Notes>)>,
    over: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        self.0.lock().over = true;
        self.0.wake.notify_all();
    }
}

impl Taking {
    /// Starts the thread of a taker.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(taker: NoteTaker) -> std::io::Result<Self> {
        let state = State { taker: Some(taker), finish: None, over: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), wake: Condvar::new() });
        let mine = Arc::clone(&shared);
        // Not one of the runtime's: it may sit in a request for minutes, and nothing waits for it at the end.
        std::thread::Builder::new().name("notes".into()).spawn(move || {
            let end = Ends(&mine);
            yield_to_others();
            run(end.0);
        })?;
        Ok(Self(shared))
    }

    fn change(&self, what: impl FnOnce(&mut NoteTaker)) {
        if let Some(taker) = &mut self.0.lock().taker {
            what(taker);
        }
        self.0.wake.notify_all();
    }

    /// Adds what was said.
    pub(crate) fn add(&self, said: SaidUtterance) {
        self.change(|taker| taker.add(said));
    }

    /// Puts other words in an utterance's place.
    pub(crate) fn correct(&self, id: u64, text: String) {
        self.change(|taker| taker.correct(id, text));
    }

    /// Takes utterances back.
    pub(crate) fn withdraw(&self, ids: &[u64]) {
        self.change(|taker| taker.withdraw(ids));
    }

    /// Calls a speaker otherwise.
    pub(crate) fn rename(&self, from: &str, to: &str) {
        self.change(|taker| taker.rename(from, to));
    }

    /// The notes so far. Computed for some milliseconds, not on a thread that carries calls. `None`: the last word is being
    /// written.
    pub(crate) async fn draft(&self) -> Option<Notes> {
        let shared = Arc::clone(&self.0);
        let drafted = tokio::task::spawn_blocking(move || shared.lock().taker.as_mut().map(NoteTaker::draft));
        drafted.await.ok().flatten()
    }

    /// The notes of the whole. As long as its writers take: bound it. May be asked again. `None`: the writing broke off.
    pub(crate) async fn finish(&self, previous: Option<Notes>) -> Option<Notes> {
        let (to, written) = oneshot::channel();
        {
            let mut state = self.0.lock();
            if state.over {
                return None;
            }
            state.finish = Some((previous, to));
        }
        self.0.wake.notify_all();
        written.await.ok()
    }
}

/// However the thread ends, nobody waits for it any more.
struct Ends<'a>(&'a Shared);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.over = true;
        state.finish = None;
        state.taker = None;
    }
}

fn run(shared: &Shared) {
    let mut state = shared.lock();
    loop {
        if state.over {
            return;
        }
        if let Some((previous, to)) = state.finish.take() {
            let Some(mut taker) = state.taker.take() else { return };
            drop(state);
            let notes = taker.finish(previous.as_ref());
            let _ = to.send(notes);
            state = shared.lock();
            state.taker = Some(taker);
            continue;
        }
        let Some(piece) = state.taker.as_mut().and_then(NoteTaker::next_piece) else {
            state = shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        // Words come in and are taken back meanwhile.
        drop(state);
        let done = piece.run();
        state = shared.lock();
        if let Some(taker) = &mut state.taker {
            taker.accept(done);
        }
    }
}

fn yield_to_others() {
    // On Linux "process 0" of setpriority is the calling thread.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::warn!(%error, "notes are written at normal priority");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use models::notes::{NoteWriter, Transcript, WriteError};

    use super::*;

    /// Draws only when it is let.
    struct Gated(Mutex<std::sync::mpsc::Receiver<()>>);

    impl NoteWriter for Gated {
        fn name(&self) -> &str {
            "gated"
        }
        fn draw(&self, _: &Transcript) -> Result<Notes, WriteError> {
            let _ = self.0.lock().unwrap().recv();
            Ok(Notes { written_by: "gated".into(), ..Notes::default() })
        }
        fn join(&self, _: &Transcript, _: &[Notes]) -> Result<Notes, WriteError> {
            Ok(Notes { written_by: "gated".into(), ..Notes::default() })
        }
    }

    fn said(id: u64, text: &str) -> SaidUtterance {
        let start_ms = i64::try_from(id).unwrap() * 2_000;
        SaidUtterance { id, speaker: "Bob".into(), start_ms, end_ms: start_ms + 1_000, text: text.into() }
    }

    fn taker(writers: Vec<Arc<dyn NoteWriter>>) -> NoteTaker {
        NoteTaker::new(writers, 0, "UTC".into(), Vec::new())
    }

    #[tokio::test]
    async fn words_are_drafted_corrected_and_taken_back_while_the_call_goes_on() {
        let taking = Taking::start(taker(Vec::new())).unwrap();
        taking.add(said(1, "We decided to ship the release on Friday."));
        taking.add(said(2, "I will send the giraffe mock-ups tomorrow."));
        let words = |notes: &Notes| serde_json::to_string(notes).unwrap();
        let draft = taking.draft().await.unwrap();
        assert!(words(&draft).contains("release") && words(&draft).contains("giraffe"), "{}", words(&draft));
        taking.withdraw(&[2]);
        taking.correct(1, "We decided to ship the handbook on Friday.".into());
        taking.rename("Bob", "Grace");
        let notes = taking.finish(None).await.unwrap();
        assert!(!words(&notes).contains("giraffe") && !words(&notes).contains("release"), "{}", words(&notes));
        assert!(words(&notes).contains("handbook"));
        assert!(taking.finish(Some(notes)).await.is_some(), "it can be asked again");
    }

    #[tokio::test]
    async fn a_slow_writer_holds_nobody_up_who_does_not_wait_for_it() {
        let (open, gate) = std::sync::mpsc::channel();
        let taking = Taking::start(taker(vec![Arc::new(Gated(Mutex::new(gate)))])).unwrap();
        taking.add(said(1, "We decided to ship the release on Friday."));
        assert!(tokio::time::timeout(Duration::from_millis(50), taking.finish(None)).await.is_err());
        drop(open);
        let notes = taking.finish(None).await.unwrap();
        assert_eq!(notes.written_by, "gated");
    }
}

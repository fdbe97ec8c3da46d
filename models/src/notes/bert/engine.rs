//! The one thread on which libtorch runs: checkpoints are loaded on it at first use, and stay there.
//!
//! libtorch counts its threads per calling thread, and tensors are not shared between threads: so all work comes here, one
//! piece after the other, at low priority. A panic inside libtorch's bindings ends the piece, not the thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use tracing::warn;

/// Why a piece of work gave nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The checkpoint cannot be loaded: the file and what is wrong.
    NotLoaded(String),
    /// It was loaded and broke off.
    Failed(String),
}

type Job<M> = Box<dyn FnOnce(&mut Slot<M>) + Send>;
type Load<M> = Box<dyn FnOnce() -> Result<M, String> + Send>;

/// What is loaded once.
enum Slot<M> {
    Unloaded(Load<M>),
    Loaded(M),
    /// Loading failed; it is not tried with each piece again, since it may take seconds and files do not mend themselves.
    Broken(String),
}

/// A handle on the thread, which ends when the handle is dropped and the work that was handed in is done.
pub(super) struct Engine<M> {
    jobs: Mutex<Sender<Job<M>>>,
}

impl<M: 'static> Engine<M> {
    /// Starts the thread. `load` runs on it at first use; `what` is named if that panics.
    pub(super) fn start(
        threads: usize,
        niceness: i32,
        what: String,
        load: impl FnOnce() -> Result<M, String> + Send + 'static,
    ) -> Result<Self, String> {
        let (jobs, inbox) = channel();
        let threads = i32::try_from(threads.clamp(1, 64)).unwrap_or(1);
        let load: Load<M> = Box::new(move || {
            // What a panic of the bindings says may hold words; that it was one is enough.
            catch_unwind(AssertUnwindSafe(load))
                .unwrap_or_else(|_| Err(format!("{what} cannot be loaded: libtorch's bindings panicked")))
        });
        let work = move || {
            yield_to_others(niceness.clamp(0, 19));
            tch::set_num_threads(threads);
            work(&inbox, load);
        };
        let started = thread::Builder::new().name("libtorch".to_owned()).spawn(work);
        started.map_err(|e| format!("no thread for libtorch: {e}"))?;
        Ok(Self { jobs: Mutex::new(jobs) })
    }

    /// Does `piece` on the thread and waits for it. Its error is to hold no words of a call.
    pub(super) fn run<T: Send + 'static>(
        &self,
        piece: impl FnOnce(&mut M) -> Result<T, String> + Send + 'static,
    ) -> Result<T, Fault> {
        let (answer, answered) = channel();
        let job: Job<M> = Box::new(move |slot| {
            // Nobody waits any more: the answer is not needed.
            let _ = answer.send(do_piece(slot, piece));
        });
        let sent = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).send(job);
        let gone = || Fault::Failed("libtorch's thread has ended".to_owned());
        sent.map_err(|_| gone())?;
        answered.recv().map_err(|_| gone())?
    }
}

fn work<M>(inbox: &Receiver<Job<M>>, load: Load<M>) {
    let mut slot = Slot::Unloaded(load);
    while let Ok(job) = inbox.recv() {
        job(&mut slot);
    }
}

fn do_piece<M, T>(slot: &mut Slot<M>, piece: impl FnOnce(&mut M) -> Result<T, String>) -> Result<T, Fault> {
    if let Slot::Unloaded(_) = slot
        && let Slot::Unloaded(load) = std::mem::replace(slot, Slot::Broken("it is being loaded".to_owned()))
    {
        *slot = load().map_or_else(Slot::Broken, Slot::Loaded);
    }
    match slot {
        Slot::Unloaded(_) => Err(Fault::Failed("nothing was loaded".to_owned())),
        Slot::Broken(why) => Err(Fault::NotLoaded(why.clone())),
        Slot::Loaded(loaded) => match catch_unwind(AssertUnwindSafe(|| piece(loaded))) {
            Ok(done) => done.map_err(Fault::Failed),
            Err(_) => Err(Fault::Failed("libtorch's bindings or a tokenizer panicked".to_owned())),
        },
    }
}

/// Lowers the priority of the calling thread, and of those that libtorch starts from it.
fn yield_to_others(niceness: i32) {
    // On Linux "process 0" of setpriority is the calling thread.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, niceness) {
        warn!(niceness, cause = %error, "libtorch's threads run at normal priority");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = niceness;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_the_piece_and_not_the_thread() {
        let engine = Engine::start(1, 0, "it".to_owned(), || Ok(0_i32)).unwrap();
        let panics = engine.run(|_| -> Result<(), String> { panic!("words") });
        assert_eq!(panics, Err(Fault::Failed("libtorch's bindings or a tokenizer panicked".to_owned())));
        let count = |n: &mut i32| {
            *n += 1;
            Ok(*n)
        };
        assert_eq!((engine.run(count), engine.run(count)), (Ok(1), Ok(2)), "it was loaded once");
    }

    #[test]
    fn what_cannot_be_loaded_says_why_each_time() {
        let why = "x/config.json is no JSON";
        let engine = Engine::start(1, 0, "x".to_owned(), move || Err::<(), _>(why.to_owned())).unwrap();
        for _ in 0..2 {
            assert_eq!(engine.run(|()| Ok(())), Err(Fault::NotLoaded(why.to_owned())));
        }
        let load = || -> Result<(), String> { panic!("expected config") };
        let engine = Engine::start(1, 0, "x/y".to_owned(), load).unwrap();
        assert!(matches!(engine.run(|()| Ok(())), Err(Fault::NotLoaded(why)) if why.starts_with("x/y ")));
    }
}

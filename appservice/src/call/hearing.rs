//! The process's one recogniser, shared by all calls: who gets which result.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use models::{EarOptions, PartyEar, PartyKey, Recognised, Transcriber};
use tokio::sync::mpsc;

type Routes = Arc<Mutex<HashMap<PartyKey, mpsc::UnboundedSender<Recognised>>>>;

/// Opens ears and brings their results to whoever opened them.
#[derive(Clone)]
pub struct Hearing {
    transcriber: Arc<Transcriber>,
    routes: Routes,
    next: Arc<AtomicU64>,
}

impl Hearing {
    /// Spreads the results of a recogniser. The task ends with the recogniser.
    #[must_use]
    pub fn start(transcriber: Transcriber, mut results: mpsc::Receiver<Recognised>) -> Self {
        let routes = Routes::default();
        let to = Arc::clone(&routes);
        tokio::spawn(async move {
            while let Some(result) = results.recv().await {
                let (key, last) = match &result {
                    Recognised::Utterance(u) => (u.party, false),
                    Recognised::Caption(c) => (c.party, false),
                    Recognised::Finished { party } => (*party, true),
                    Recognised::FellBehind { party, .. } => (*party, false),
                };
                let mut routes = to.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(route) = routes.get(&key) {
                    // Bounded by the recogniser's own backlog; a call that is gone takes nothing.
                    let _ = route.send(result);
                }
                if last {
                    routes.remove(&key);
                }
            }
        });
        Self { transcriber: Arc::new(transcriber), routes, next: Arc::new(AtomicU64::new(1)) }
    }

    /// An ear for one party; its results go to `results` until it is finished.
    pub(crate) fn open(&self, options: EarOptions, results: mpsc::UnboundedSender<Recognised>) -> (PartyKey, PartyEar) {
        let key = PartyKey(self.next.fetch_add(1, Ordering::Relaxed));
        self.routes.lock().unwrap_or_else(PoisonError::into_inner).insert(key, results);
        (key, self.transcriber.open_with(key, options))
    }

    /// Nobody waits for this ear's results any more.
    pub(crate) fn close(&self, key: PartyKey) {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }
}

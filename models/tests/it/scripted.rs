//! A recogniser that does what the test says, so that what happens around it can be told apart and in order.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use models::ModelError;
use models::speech::backend::{Backend, BackendError, Decoded, Look, Task, Worker};
use tokio::sync::mpsc;

/// What each detection answers, in order: languages with their probabilities.
type Languages = Arc<Mutex<VecDeque<Vec<(String, f32)>>>>;

/// What a test makes of a task: words, or why none.
pub(crate) type Script = Arc<dyn Fn(&Call) -> Result<String, BackendError> + Send + Sync>;

/// One decode as the recogniser saw it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub(crate) number: usize,
    pub(crate) look: Look,
    pub(crate) samples: usize,
    pub(crate) language: Option<String>,
    pub(crate) prompt: String,
}

/// The recogniser. Each call is told through the channel before it is answered.
pub(crate) struct Scripted {
    script: Script,
    calls: mpsc::UnboundedSender<Call>,
    count: Arc<Mutex<usize>>,
    languages: Languages,
}

impl Scripted {
    pub(crate) fn new(
        script: impl Fn(&Call) -> Result<String, BackendError> + Send + Sync + 'static,
    ) -> (Self, mpsc::UnboundedReceiver<Call>) {
        let (calls, seen) = mpsc::unbounded_channel();
        (Self { script: Arc::new(script), calls, count: Arc::default(), languages: Arc::default() }, seen)
    }

    /// What it answers when it is asked for the language, in order; then nothing.
    pub(crate) fn hearing(self, languages: impl IntoIterator<Item = (&'static str, f32)>) -> Self {
        let answers = languages.into_iter().map(|(code, p)| vec![(code.to_owned(), p)]).collect();
        Self { languages: Arc::new(Mutex::new(answers)), ..self }
    }
}

impl Backend for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }

    fn worker(&self) -> Result<Box<dyn Worker>, ModelError> {
        Ok(Box::new(Hand {
            script: Arc::clone(&self.script),
            calls: self.calls.clone(),
            count: Arc::clone(&self.count),
            languages: Arc::clone(&self.languages),
        }))
    }

    fn can_caption(&self) -> bool {
        true
    }
}

struct Hand {
    script: Script,
    calls: mpsc::UnboundedSender<Call>,
    count: Arc<Mutex<usize>>,
    languages: Languages,
}

impl Worker for Hand {
    fn decode(&mut self, task: &Task<'_>) -> Result<Decoded, BackendError> {
        let number = {
            let mut count = self.count.lock().unwrap();
            *count += 1;
            *count - 1
        };
        let call = Call {
            number,
            look: task.look,
            samples: task.samples.len(),
            language: task.language.map(str::to_owned),
            prompt: task.prompt.to_owned(),
        };
        let _ = self.calls.send(call.clone());
        let text = (self.script)(&call)?;
        Ok(Decoded {
            tokens: text.split_whitespace().count(),
            text: text.into(),
            words: Vec::new(),
            language: call.language,
            languages: Vec::new(),
            confidence: 0.9,
            mean_logprob: -0.1,
            no_speech: 0.0,
        })
    }

    fn languages(&mut self, _: &[f32]) -> Result<Vec<(String, f32)>, BackendError> {
        Ok(self.languages.lock().unwrap().pop_front().unwrap_or_default())
    }
}

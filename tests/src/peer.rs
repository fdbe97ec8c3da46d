//! A peer that is driven by JSON lines: commands go to its standard input, answers and events come from its standard output.

use std::{
    collections::HashMap,
    path::Path,
    process::Stdio,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, Command},
    sync::{broadcast, oneshot, watch},
    time::timeout,
};

/// The event that stands for the process's end.
const ENDED: &str = "\u{1}ended";

#[derive(Debug)]
struct Shared {
    waiting: Mutex<HashMap<u64, oneshot::Sender<Result<Value, String>>>>,
    events: Mutex<Vec<Value>>,
    count: watch::Sender<usize>,
    live: broadcast::Sender<Value>,
}

/// A child process that answers JSON lines. Dropping it ends it.
#[derive(Debug)]
pub struct Peer {
    name: String,
    child: Child,
    stdin: tokio::sync::Mutex<ChildStdin>,
    next: AtomicU64,
    shared: Arc<Shared>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Peer {
    /// Starts it; what it prints beside the lines goes to `log`. Waits for its event `ready`.
    ///
    /// # Errors
    /// It cannot be started, or is not ready within 30 s.
    pub async fn start(name: &str, mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let errors = std::fs::File::create(log).with_context(|| log.display().to_string())?;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{name} cannot be started: {:?}", command.as_std().get_program()))?;
        let stdin = child.stdin.take().context("no standard input")?;
        let stdout = child.stdout.take().context("no standard output")?;
        let shared = Arc::new(Shared {
            waiting: Mutex::default(),
            events: Mutex::default(),
            count: watch::channel(0).0,
            live: broadcast::channel(4096).0,
        });
        let reader = Arc::clone(&shared);
        tokio::spawn(async move {
            let mut lines = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let Ok(message) = serde_json::from_str::<Value>(&line) else { continue };
                if message.get("event").is_some() {
                    let count = {
                        let mut events = lock(&reader.events);
                        events.push(message.clone());
                        events.len()
                    };
                    let _ = reader.live.send(message);
                    reader.count.send_replace(count);
                } else if let Some(answer) = message["id"].as_u64().and_then(|id| lock(&reader.waiting).remove(&id)) {
                    let _ = answer.send(match message.get("error") {
                        Some(error) => Err(error.as_str().unwrap_or("no message").to_owned()),
                        None => Ok(message["ok"].clone()),
                    });
                }
            }
            lock(&reader.waiting).clear(); // who waits hears that nothing will come
            let count = {
                let mut events = lock(&reader.events);
                events.push(json!({ "event": ENDED }));
                events.len()
            };
            reader.count.send_replace(count);
        });
        let peer = Self { name: name.to_owned(), child, stdin: stdin.into(), next: AtomicU64::new(1), shared };
        peer.event_after(0, "ready", Duration::from_secs(30), |_| true)
            .await
            .with_context(|| std::fs::read_to_string(log).unwrap_or_default())?;
        Ok(peer)
    }

    /// Sends a command and waits at most `limit` for its answer. `arguments` is an object.
    ///
    /// # Errors
    /// The peer answered with an error, has ended, or did not answer in time.
    pub async fn call_within(&self, limit: Duration, command: &str, arguments: Value) -> anyhow::Result<Value> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut line = arguments;
        line["id"] = json!(id);
        line["cmd"] = json!(command);
        let (tell, answer) = oneshot::channel();
        lock(&self.shared.waiting).insert(id, tell);
        self.stdin
            .lock()
            .await
            .write_all(format!("{line}\n").as_bytes())
            .await
            .with_context(|| format!("{} has ended", self.name))?;
        match timeout(limit, answer).await {
            Err(_) => bail!("{}: no answer to {command} within {limit:?}", self.name),
            Ok(Err(_)) => bail!("{} ended before it answered {command}", self.name),
            Ok(Ok(answer)) => answer.map_err(|e| anyhow!("{}: {command}: {e}", self.name)),
        }
    }

    /// [`Peer::call_within`] a minute.
    ///
    /// # Errors
    /// As there.
    pub async fn call(&self, command: &str, arguments: Value) -> anyhow::Result<Value> {
        self.call_within(Duration::from_secs(60), command, arguments).await
    }

    /// How many events have come so far: a place from which [`Peer::event_after`] can look.
    #[must_use]
    pub fn mark(&self) -> usize {
        lock(&self.shared.events).len()
    }

    /// All events so far from `mark` on.
    #[must_use]
    pub fn events_after(&self, mark: usize) -> Vec<Value> {
        lock(&self.shared.events).iter().skip(mark).cloned().collect()
    }

    /// Waits for an event of this name that `fits`, looking at those after `mark` first.
    ///
    /// # Errors
    /// None came within `limit`, or the peer has ended.
    pub async fn event_after(
        &self,
        mark: usize,
        name: &str,
        limit: Duration,
        mut fits: impl FnMut(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let mut seen = mark;
        let mut count = self.shared.count.subscribe();
        let look = async {
            loop {
                count.borrow_and_update();
                for event in self.events_after(seen) {
                    seen += 1;
                    if event["event"] == name && fits(&event) {
                        return Ok(event);
                    }
                    if event["event"] == ENDED {
                        bail!("{} has ended", self.name);
                    }
                }
                let _ = count.changed().await;
            }
        };
        match timeout(limit, look).await {
            Ok(found) => found,
            Err(_) => bail!("{}: no event {name} as wanted within {limit:?}", self.name),
        }
    }

    /// Events as they come, from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Value> {
        self.shared.live.subscribe()
    }

    /// Its name, for messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Asks it to end, and kills it if it does not within 5 s.
    pub async fn quit(&mut self) {
        let _ = self.call_within(Duration::from_secs(5), "quit", json!({})).await;
        if timeout(Duration::from_secs(5), self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}

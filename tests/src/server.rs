//! A server as a child process: its output goes to a file, it is ready when it answers, and it goes when its handle goes.

use std::{
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, bail};
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

/// A running server. Dropping it kills the process, by its own pid.
#[derive(Debug)]
pub struct Server {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts `command`; what it prints is added to `log`.
    ///
    /// # Errors
    /// The log cannot be written or the program not be started.
    pub fn start(name: &str, mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let out: File =
            OpenOptions::new().create(true).append(true).open(log).with_context(|| log.display().to_string())?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{name} cannot be started: {:?}", command.as_std().get_program()))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_path_buf() })
    }

    /// Waits until `url` answers with a success.
    ///
    /// # Errors
    /// The server has ended, or did not answer in `limit`; the message has the end of its log.
    pub async fn answers(&mut self, url: &str, limit: Duration) -> anyhow::Result<()> {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(2)).build()?;
        let end = Instant::now() + limit;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}: {}", self.name, self.log_end());
            }
            if client.get(url).send().await.is_ok_and(|a| a.status().is_success()) {
                return Ok(());
            }
            sleep(Duration::from_millis(50)).await;
        }
        bail!("{} does not answer at {url} after {limit:?}: {}", self.name, self.log_end())
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Whether the process still runs.
    #[must_use]
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills it as a power cut would (SIGKILL) and waits for its end.
    ///
    /// # Errors
    /// The process could not be waited for.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Asks it to end (SIGTERM) and waits at most `limit`.
    ///
    /// # Errors
    /// It did not end in time; it is killed then.
    pub async fn stop(&mut self, limit: Duration) -> anyhow::Result<()> {
        if let Some(pid) = self.pid() {
            Command::new("kill").arg(pid.to_string()).status().await?;
        }
        if tokio::time::timeout(limit, self.child.wait()).await.is_err() {
            self.child.kill().await?;
            bail!("{} did not end within {limit:?} of SIGTERM: {}", self.name, self.log_end());
        }
        Ok(())
    }

    /// The file that takes its output.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The last lines of its log, for an error's message.
    #[must_use]
    pub fn log_end(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        format!("{}:\n{}", self.log.display(), lines[lines.len().saturating_sub(15)..].join("\n"))
    }
}

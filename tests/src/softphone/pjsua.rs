//! pjsua2, by `tests/peers/phone/pjsua.py`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use serde_json::{Value, json};
use tokio::process::Command;

use super::{Answer, Softphone};
use crate::{peer::Peer, peer_script, toolbox::Toolbox};

/// A pjsua2 softphone.
#[derive(Debug)]
pub struct Pjsua {
    /// The process behind it: for events.
    pub peer: Peer,
    dir: PathBuf,
    name: String,
    mark: usize,
    calls: usize,
}

impl Pjsua {
    /// Starts one that offers these codecs (`PCMU`, `PCMA`, `GSM`, …).
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn start(toolbox: &Toolbox, dir: &Path, name: &str, codecs: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new(&toolbox.pjsua_python);
        command
            .arg(peer_script("phone/pjsua.py"))
            .args(["--name", name, "--codecs", &codecs.join(","), "--dir"])
            .arg(dir);
        let peer = Peer::start(name, command, &dir.join(format!("{name}.errors.txt"))).await?;
        Ok(Self { peer, dir: dir.to_path_buf(), name: name.to_owned(), mark: 0, calls: 0 })
    }

    fn recording(&self) -> PathBuf {
        self.dir.join(format!("{}-heard-{}.wav", self.name, self.calls))
    }

    /// Rings without playing anything; [`Pjsua::play`] does later.
    ///
    /// # Errors
    /// pjsua2 refuses the address.
    pub async fn ring_silently(&mut self, uri: &str) -> anyhow::Result<()> {
        self.begin(json!({ "uri": uri })).await
    }

    async fn begin(&mut self, mut arguments: Value) -> anyhow::Result<()> {
        self.mark = self.peer.mark();
        self.calls += 1;
        arguments["record"] = json!(self.recording());
        self.peer.call("ring", arguments).await.map(drop)
    }

    /// Plays an 8 kHz WAV into the call, once. Gives the time when it began, milliseconds since 1970.
    ///
    /// # Errors
    /// There is no call.
    pub async fn play(&self, file: &Path) -> anyhow::Result<u64> {
        let answer = self.peer.call("play", json!({ "file": file })).await?;
        answer["at"].as_u64().context("no time in the answer")
    }

    /// Presses keys (RFC 4733).
    ///
    /// # Errors
    /// There is no call.
    pub async fn press(&self, digits: &str) -> anyhow::Result<()> {
        self.peer.call("press", json!({ "digits": digits })).await.map(drop)
    }

    /// What it counts of RTP and its jitter buffer.
    ///
    /// # Errors
    /// The process has ended.
    pub async fn stats(&self) -> anyhow::Result<Value> {
        self.peer.call("stats", json!({})).await
    }

    /// When the call reached a state (`EARLY`, `CONFIRMED`, `DISCONNECTED`), milliseconds since 1970.
    #[must_use]
    pub fn when(&self, state: &str) -> Option<u64> {
        let events = self.peer.events_after(self.mark);
        events.iter().find(|e| e["event"] == "state" && e["state"] == state).and_then(|e| e["at"].as_u64())
    }
}

impl Softphone for Pjsua {
    const NAME: &'static str = "pjsua2";

    async fn ring(&mut self, uri: &str, play: &Path) -> anyhow::Result<()> {
        self.begin(json!({ "uri": uri, "play": play, "loop": true })).await
    }

    async fn answer(&mut self, limit: Duration) -> anyhow::Result<Answer> {
        let event = self
            .peer
            .event_after(self.mark, "state", limit, |e| e["state"] == "CONFIRMED" || e["state"] == "DISCONNECTED")
            .await?;
        if event["state"] == "CONFIRMED" {
            return Ok(Answer::Answered);
        }
        let code = event["code"].as_u64().and_then(|c| u16::try_from(c).ok());
        Ok(Answer::Refused(code.with_context(|| format!("no status in {event}"))?))
    }

    async fn ended(&mut self, limit: Duration) -> anyhow::Result<()> {
        self.peer.event_after(self.mark, "state", limit, |e| e["state"] == "DISCONNECTED").await.map(drop)
    }

    async fn hang_up(&mut self) -> anyhow::Result<PathBuf> {
        self.peer.call("hang_up", json!({})).await?;
        self.ended(Duration::from_secs(10)).await?;
        Ok(self.recording())
    }
}

//! LiveKit's own client with a valid token for a call's SFU room, without the keys that it would need.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::Context;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::process::Command;

use crate::{livekit, peer::Peer, peer_script, toolbox::Toolbox};

/// How the eavesdropper treats frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// With frame encryption, and the keys that it is given.
    Keyed,
    /// Without any: ciphertext goes to the decoder as it is.
    Plain,
}

/// What came of one participant since the last mark.
#[derive(Debug, Clone, Deserialize)]
pub struct Decoded {
    /// Whose track.
    pub identity: String,
    /// 48 kHz WAV of what was decoded.
    pub file: std::path::PathBuf,
    /// Its length.
    pub seconds: f64,
    /// Root mean square, dB of full scale.
    pub rms_db: f64,
}

/// A listener in the SFU room.
#[derive(Debug)]
pub struct Eavesdropper {
    /// The process behind it.
    pub peer: Peer,
}

/// The name of a Matrix room's call on the SFU: unpadded base64 of the hash that both token endpoints use.
#[must_use]
pub fn sfu_room(room: &str) -> String {
    let digest = Sha256::digest(json!([room, "m.call#ROOM"]).to_string());
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in digest.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for i in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(bits >> (18 - 6 * i) & 63) as usize]));
        }
    }
    text
}

impl Eavesdropper {
    /// Joins the SFU room of a Matrix room's call and subscribes to everybody.
    ///
    /// # Errors
    /// Python or LiveKit refuses.
    pub async fn start(
        toolbox: &Toolbox,
        dir: &Path,
        sfu: &str,
        room: &str,
        identity: &str,
        mode: Mode,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(&toolbox.livekit_python);
        command.arg(peer_script("livekit/eavesdropper.py")).args([
            "--url",
            sfu,
            "--key",
            livekit::KEY,
            "--secret",
            livekit::SECRET,
        ]);
        command.args(["--room", &sfu_room(room), "--identity", identity]);
        command.args(["--mode", if mode == Mode::Keyed { "keyed" } else { "plain" }]);
        let name = format!("eavesdropper-{}", if mode == Mode::Keyed { "keyed" } else { "plain" });
        let peer = Peer::start(&name, command, &dir.join(format!("{name}-{identity}.txt"))).await?;
        Ok(Self { peer })
    }

    /// Gives it a participant's key.
    ///
    /// # Errors
    /// The process has ended.
    pub async fn set_key(&self, identity: &str, index: u8, key: &str) -> anyhow::Result<()> {
        self.peer.call("set_key", json!({ "identity": identity, "index": index, "key": key })).await.map(drop)
    }

    /// Forgets what was decoded so far.
    ///
    /// # Errors
    /// The process has ended.
    pub async fn mark(&self) -> anyhow::Result<()> {
        self.peer.call("mark", json!({})).await.map(drop)
    }

    /// Waits until it is subscribed to a participant.
    ///
    /// # Errors
    /// It was not within 15 s.
    pub async fn subscribed_to(&self, identity: &str) -> anyhow::Result<()> {
        self.peer.event_after(0, "subscribed", Duration::from_secs(15), |e| e["identity"] == identity).await.map(drop)
    }

    /// Writes what was decoded since the mark, by identity.
    ///
    /// # Errors
    /// The process has ended, or the files cannot be written.
    pub async fn decoded(&self, prefix: &Path) -> anyhow::Result<BTreeMap<String, Decoded>> {
        let answer: Value = self.peer.call("write", json!({ "prefix": prefix })).await?;
        let list: Vec<Decoded> = serde_json::from_value(answer).context("what was decoded")?;
        Ok(list.into_iter().map(|d| (d.identity.clone(), d)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_sfu_room_is_named_as_element_call_names_it() {
        assert_eq!(sfu_room("!roomid:example.com"), "F4oOprKFBq6JHqy2qYpq6UQQmR7hCvxkQQoUrd0+SbI");
    }
}

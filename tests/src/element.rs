//! A Matrix user with the real Element Call: `tests/peers/element/user.mjs` behind types.

use std::{path::Path, time::Duration};

use anyhow::Context;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{peer::Peer, synapse, toolbox::Toolbox};

/// A room event as the user's own client holds it, decrypted.
#[derive(Debug, Clone, Deserialize)]
pub struct RoomEvent {
    /// The room's id.
    pub room: String,
    /// The event's id.
    pub id: String,
    /// Who sent it.
    pub sender: String,
    /// `origin_server_ts`, milliseconds.
    pub ts: u64,
    /// Its type, after decryption.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its type on the wire: `m.room.encrypted` if it was encrypted.
    pub wire_type: String,
    /// Set on state events.
    pub state_key: Option<String>,
    /// Its content, after decryption, without any edit applied.
    pub content: Value,
    /// Whether it was redacted.
    #[serde(default)]
    pub redacted: bool,
    /// Whether this client could not decrypt it.
    #[serde(default)]
    pub undecryptable: bool,
}

impl RoomEvent {
    /// The text body, of an edit the new one.
    #[must_use]
    pub fn body(&self) -> &str {
        self.content["m.new_content"]["body"].as_str().or(self.content["body"].as_str()).unwrap_or_default()
    }

    /// The HTML body, of an edit the new one.
    #[must_use]
    pub fn html(&self) -> &str {
        self.content["m.new_content"]["formatted_body"]
            .as_str()
            .or(self.content["formatted_body"].as_str())
            .unwrap_or_default()
    }

    /// The event that this one edits.
    #[must_use]
    pub fn edits(&self) -> Option<&str> {
        let relation = &self.content["m.relates_to"];
        if relation["rel_type"] == "m.replace" { relation["event_id"].as_str() } else { None }
    }

    /// The root of the thread that it stands in.
    #[must_use]
    pub fn thread(&self) -> Option<&str> {
        [&self.content["m.relates_to"], &self.content["m.new_content"]["m.relates_to"]]
            .into_iter()
            .find(|r| r["rel_type"] == "m.thread")
            .and_then(|r| r["event_id"].as_str())
    }
}

/// What one of Element Call's audio elements played.
#[derive(Debug, Clone, Deserialize)]
pub struct Heard {
    /// The strongest frequency, median over the windows.
    pub peak_hz: Option<f64>,
    /// Root mean square in dB of full scale, median over the windows.
    pub rms_db: Option<f64>,
    /// How many windows were looked at.
    pub windows: usize,
    /// How many of them were above -50 dB.
    pub loud: usize,
}

/// A media key that came to this device or went from it.
#[derive(Debug, Clone, Deserialize)]
pub struct SeenKey {
    /// Milliseconds since 1970.
    pub at: u64,
    /// The sender; empty for one's own.
    #[serde(default)]
    pub from: String,
    /// The device: the sender's, for one's own the receiver's.
    #[serde(default)]
    pub device: String,
    /// Its index.
    pub index: u8,
    /// Base64.
    pub key: String,
    /// Whether it came by Olm.
    #[serde(default)]
    pub olm: bool,
}

/// A file that began to play.
#[derive(Debug, Clone, Deserialize)]
pub struct Playing {
    /// Its length.
    pub seconds: f64,
    /// When it began, milliseconds since 1970.
    pub at: u64,
}

/// What a user's microphone gives.
#[derive(Debug, Clone)]
pub enum Microphone<'a> {
    /// A tone that goes on, 9000/32768 of full scale (-14.2 dB).
    Tone(f64),
    /// What [`ElementUser::play`] puts into it, else silence.
    Played,
    /// A 48 kHz WAV file in Chromium's own fake microphone, from the moment that it is opened.
    File {
        /// The file.
        file: &'a Path,
        /// Whether it starts again at its end.
        repeats: bool,
    },
}

/// A user, logged in.
#[derive(Debug)]
pub struct ElementUser {
    /// The process behind it: for events.
    pub peer: Peer,
    /// `@name:server`.
    pub user_id: String,
    /// The device.
    pub device_id: String,
    /// The access token.
    pub access_token: String,
}

fn typed<T: DeserializeOwned>(value: Value) -> anyhow::Result<T> {
    let shown = value.to_string();
    serde_json::from_value(value).with_context(|| format!("unexpected answer {}", &shown[..shown.len().min(300)]))
}

impl ElementUser {
    /// Registers a user of this name with the homeserver and starts its client. Logs go to `dir`.
    ///
    /// # Errors
    /// Node.js or the homeserver refuses.
    pub async fn start(
        toolbox: &Toolbox,
        dir: &Path,
        homeserver: &str,
        name: &str,
        display_name: &str,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(&toolbox.node);
        command
            .arg(toolbox.element.join("user.mjs"))
            .args(["--name", name, "--homeserver", homeserver, "--dir"])
            .arg(dir);
        command.arg("--chromium").arg(&toolbox.chromium);
        let peer = Peer::start(name, command, &dir.join(format!("{name}.errors.txt"))).await?;
        let answer = peer
            .call(
                "register",
                json!({ "user": name, "secret": synapse::REGISTRATION_SECRET, "display_name": display_name }),
            )
            .await?;
        let text = |key: &str| answer[key].as_str().map(str::to_owned).with_context(|| format!("no {key} in {answer}"));
        Ok(Self { user_id: text("user")?, device_id: text("device")?, access_token: text("access_token")?, peer })
    }

    /// Makes a room. `call_member_level`: the power level for call memberships; `None` leaves it out. Who is invited is made a
    /// moderator, as an admin does with a bot that is to write the room's policy.
    ///
    /// # Errors
    /// The homeserver refuses.
    pub async fn create_room(
        &self,
        name: &str,
        encrypted: bool,
        invite: &[&str],
        call_member_level: Option<i64>,
    ) -> anyhow::Result<String> {
        // From room version 12 on the creator stands above all levels and must not be among them.
        let users: serde_json::Map<_, _> = invite.iter().map(|who| ((*who).to_owned(), json!(50))).collect();
        let room = json!({ "name": name, "encrypted": encrypted, "invite": invite,
                           "call_member_level": call_member_level, "levels": { "users": users } });
        let answer = self.peer.call("create_room", room).await?;
        answer["room"].as_str().map(str::to_owned).context("no room in the answer")
    }

    /// Invites somebody.
    ///
    /// # Errors
    /// The homeserver refuses.
    pub async fn invite(&self, room: &str, user: &str) -> anyhow::Result<()> {
        self.peer.call("invite", json!({ "room": room, "user": user })).await.map(drop)
    }

    /// Joins a room.
    ///
    /// # Errors
    /// The homeserver refuses.
    pub async fn join(&self, room: &str) -> anyhow::Result<()> {
        self.peer.call("join", json!({ "room": room })).await.map(drop)
    }

    /// Says something, in a thread where one is named. Gives the event's id.
    ///
    /// # Errors
    /// The homeserver refuses.
    pub async fn say(&self, room: &str, text: &str, thread: Option<&str>) -> anyhow::Result<String> {
        let answer = self.peer.call("send_message", json!({ "room": room, "text": text, "thread": thread })).await?;
        answer["event_id"].as_str().map(str::to_owned).context("no event id in the answer")
    }

    /// Reacts to an event. Gives the reaction's id.
    ///
    /// # Errors
    /// The homeserver refuses.
    pub async fn react(&self, room: &str, event: &str, key: &str) -> anyhow::Result<String> {
        let answer = self.peer.call("react", json!({ "room": room, "event_id": event, "key": key })).await?;
        answer["event_id"].as_str().map(str::to_owned).context("no event id in the answer")
    }

    /// Redacts an event: a reaction, say.
    ///
    /// # Errors
    /// The homeserver refuses.
    pub async fn redact(&self, room: &str, event: &str) -> anyhow::Result<()> {
        self.peer.call("redact", json!({ "room": room, "event_id": event })).await.map(drop)
    }

    /// Joins the room's call in a new browser.
    ///
    /// # Errors
    /// Element Call did not join within 45 s.
    pub async fn join_call(&self, room: &str, microphone: Microphone<'_>) -> anyhow::Result<()> {
        let mut arguments = json!({ "room": room });
        match microphone {
            Microphone::Tone(hz) => arguments["tone"] = json!(hz),
            Microphone::Played => arguments["played"] = json!(true),
            Microphone::File { file, repeats } => {
                arguments["file"] = json!(file);
                arguments["loop"] = json!(repeats);
            }
        }
        self.peer.call_within(Duration::from_secs(90), "join_call", arguments).await.map(drop)
    }

    /// Leaves the call as by its red button, and closes the browser.
    ///
    /// # Errors
    /// The membership did not go within 15 s.
    pub async fn leave_call(&self) -> anyhow::Result<()> {
        self.peer.call("leave_call", json!({})).await.map(drop)
    }

    /// Plays a WAV file into the microphone (see [`Microphone::Played`]).
    ///
    /// # Errors
    /// The microphone was not opened, or the file cannot be read.
    pub async fn play(&self, file: &Path) -> anyhow::Result<Playing> {
        typed(self.peer.call("play", json!({ "file": file })).await?)
    }

    /// Listens for `ms` to each audio element that plays.
    ///
    /// # Errors
    /// Not in a call.
    pub async fn hear(&self, ms: u64) -> anyhow::Result<Vec<Heard>> {
        typed(self.peer.call("hear", json!({ "ms": ms })).await?)
    }

    /// Begins to record what Element Call plays.
    ///
    /// # Errors
    /// Not in a call.
    pub async fn record_start(&self) -> anyhow::Result<()> {
        self.peer.call("record_start", json!({})).await.map(drop)
    }

    /// Writes what was played since [`ElementUser::record_start`] as a 48 kHz WAV.
    ///
    /// # Errors
    /// Nothing is being recorded, or the file cannot be written.
    pub async fn record_stop(&self, file: &Path) -> anyhow::Result<()> {
        self.peer.call("record_stop", json!({ "file": file })).await.map(drop)
    }

    /// Waits until at least `tracks` remote tracks give decoded sound. Gives the time, milliseconds since 1970.
    ///
    /// # Errors
    /// They did not within `limit`.
    pub async fn wait_audio(&self, tracks: usize, limit: Duration) -> anyhow::Result<u64> {
        let ms = u64::try_from(limit.as_millis())?;
        let answer = self
            .peer
            .call_within(limit + Duration::from_secs(5), "wait_audio", json!({ "at_least": tracks, "ms": ms }))
            .await?;
        answer["at"].as_u64().context("no time in the answer")
    }

    /// Waits until a name stands on one of Element Call's tiles.
    ///
    /// # Errors
    /// It did not within 20 s.
    pub async fn wait_name(&self, name: &str) -> anyhow::Result<()> {
        self.peer.call("wait_name", json!({ "name": name })).await.map(drop)
    }

    /// A picture of Element Call.
    ///
    /// # Errors
    /// Not in a call.
    pub async fn screenshot(&self, file: &Path) -> anyhow::Result<()> {
        self.peer.call("screenshot", json!({ "file": file })).await.map(drop)
    }

    /// WebRTC's statistics, as `inpage.js` sums them up.
    ///
    /// # Errors
    /// Not in a call.
    pub async fn stats(&self) -> anyhow::Result<Value> {
        self.peer.call("stats", json!({})).await
    }

    /// Valid memberships in the room's call.
    ///
    /// # Errors
    /// The process has ended.
    pub async fn call_members(&self, room: &str) -> anyhow::Result<Vec<Value>> {
        typed(self.peer.call("call_members", json!({ "room": room })).await?)
    }

    /// The state events of a type: `[{state_key, sender, content}]`.
    ///
    /// # Errors
    /// The process has ended.
    pub async fn room_state(&self, room: &str, kind: &str) -> anyhow::Result<Vec<Value>> {
        typed(self.peer.call("room_state", json!({ "room": room, "type": kind })).await?)
    }

    /// All events of a room that this client has.
    ///
    /// # Errors
    /// The process has ended.
    pub async fn room_events(&self, room: &str) -> anyhow::Result<Vec<RoomEvent>> {
        typed(self.peer.call("room_events", json!({ "room": room })).await?)
    }

    /// Waits for a room event that fits, looking at those after `mark` ([`Peer::mark`]) first.
    ///
    /// # Errors
    /// None came within `limit`.
    pub async fn event(
        &self,
        mark: usize,
        what: &str,
        limit: Duration,
        mut fits: impl FnMut(&RoomEvent) -> bool,
    ) -> anyhow::Result<RoomEvent> {
        let found = self
            .peer
            .event_after(mark, "room_event", limit, |v| serde_json::from_value(v.clone()).is_ok_and(|e| fits(&e)))
            .await
            .with_context(|| format!("waiting for {what}"))?;
        typed(found)
    }

    /// Media keys that came to this device, and those that it sent.
    ///
    /// # Errors
    /// The process has ended.
    pub async fn keys(&self) -> anyhow::Result<(Vec<SeenKey>, Vec<SeenKey>)> {
        let answer = self.peer.call("keys_seen", json!({})).await?;
        Ok((typed(answer["in"].clone())?, typed(answer["out"].clone())?))
    }

    /// Keeps media keys that come back from Element Call (`true`), or hands over those kept and all later ones.
    ///
    /// # Errors
    /// The process has ended.
    pub async fn withhold_keys(&self, on: bool) -> anyhow::Result<()> {
        self.peer.call("withhold", json!({ "on": on })).await.map(drop)
    }
}

//! Media keys: made, shared, used, rotated.
//!
//! 1. The first key (index 0) is made when we join, shared with every member's device and used at once.
//! 2. Who joins while the key is younger than [`KEEP_FOR_JOINERS`] gets the same key.
//! 3. Who joins later must not read what was said before, and who left not what is said after: a new key
//!    (index + 1, modulo 256) goes to all who are in, and is used [`USE_AFTER`] later, so that it is there first.
//! 4. A share that failed is tried again, at growing intervals, as long as the member is in.
//!
//! Keys travel as `io.element.call.encryption_keys` to-device events under Olm; MSC4143, as in Element Call 0.26.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use thiserror::Error;

use crate::{
    livekit::MediaKey,
    time::{Now, UnixMillis},
};

use super::{Member, Roster};

/// Type of the to-device event that carries a media key.
pub const KEY_EVENT: &str = "io.element.call.encryption_keys";
/// A key younger than this is given to joiners as it is.
pub(crate) const KEEP_FOR_JOINERS: Duration = Duration::from_secs(10);
/// How long after its sharing a new key is used.
pub(crate) const USE_AFTER: Duration = Duration::from_millis(1_000);
/// First pause before a failed share is tried again; doubles up to a minute.
const RETRY_FIRST: Duration = Duration::from_secs(2);
const RETRY_LONGEST: Duration = Duration::from_secs(60);

/// What [`KeyDistribution`] wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyOutput {
    /// Send this key to these devices, under Olm and not otherwise.
    Share {
        /// The devices.
        to: Vec<Member>,
        /// Slot of the key, 0 to 255.
        index: u8,
        /// The key.
        key: MediaKey,
    },
    /// Encrypt with this key from now on.
    Use {
        /// Slot of the key.
        index: u8,
        /// The key.
        key: MediaKey,
    },
    /// A fresh random key is needed: answer with [`KeyDistribution::fresh_key`].
    NeedKey,
}

#[derive(Debug)]
struct Current {
    index: u8,
    key: MediaKey,
    made: Instant,
    /// Members that have it, with the join that they had it for.
    shared: BTreeMap<Member, UnixMillis>,
}

#[derive(Debug)]
struct Retry {
    at: Instant,
    pause: Duration,
}

/// Our own media key in one call: who has it, when it changes.
#[derive(Debug)]
pub struct KeyDistribution {
    own: Member,
    current: Option<Current>,
    /// Shared, to be used at this time.
    waiting: Option<Instant>,
    wanted: bool,
    members: BTreeMap<Member, UnixMillis>,
    retries: BTreeMap<Member, Retry>,
    output: VecDeque<KeyOutput>,
}

impl KeyDistribution {
    /// No key yet: the first roster asks for one.
    #[must_use]
    pub fn new(own: Member) -> Self {
        Self {
            own,
            current: None,
            waiting: None,
            wanted: false,
            members: BTreeMap::new(),
            retries: BTreeMap::new(),
            output: VecDeque::new(),
        }
    }

    /// The roster changed (or we joined).
    pub fn handle_roster(&mut self, now: Now, roster: &Roster) {
        self.members =
            roster.members().filter(|m| m.member != self.own).map(|m| (m.member.clone(), m.joined)).collect();
        let members = &self.members;
        self.retries.retain(|m, _| members.contains_key(m));
        let Some(current) = &self.current else { return self.want_key() };
        let left = current.shared.iter().any(|(m, joined)| self.members.get(m) != Some(joined));
        let joined = self.members.iter().any(|(m, joined)| current.shared.get(m) != Some(joined));
        let young = now.mono.saturating_duration_since(current.made) < KEEP_FOR_JOINERS;
        if left || (joined && !young) {
            self.want_key();
        } else if joined {
            self.share_with_newcomers();
        }
    }

    /// The random key that [`KeyOutput::NeedKey`] asked for.
    pub fn fresh_key(&mut self, now: Now, key: MediaKey) {
        self.wanted = false;
        let first = self.current.is_none();
        let index = self.current.as_ref().map_or(0, |c| c.index.wrapping_add(1));
        self.current = Some(Current { index, key: key.clone(), made: now.mono, shared: BTreeMap::new() });
        self.retries.clear();
        self.share_with_newcomers();
        if first {
            self.output.push_back(KeyOutput::Use { index, key });
        } else {
            self.waiting = Some(now.mono + USE_AFTER);
        }
    }

    /// A device could not be reached under Olm: it is tried again later.
    pub fn handle_share_failed(&mut self, now: Now, member: &Member, index: u8) {
        let Some(current) = &mut self.current else { return };
        if current.index != index || !self.members.contains_key(member) {
            return;
        }
        let pause = self.retries.get(member).map_or(RETRY_FIRST, |r| (r.pause * 2).min(RETRY_LONGEST));
        self.retries.insert(member.clone(), Retry { at: now.mono + pause, pause });
    }

    /// A timer ran out.
    pub fn handle_timeout(&mut self, now: Now) {
        let Some(current) = &self.current else { return };
        if self.waiting.is_some_and(|at| at <= now.mono) {
            self.waiting = None;
            self.output.push_back(KeyOutput::Use { index: current.index, key: current.key.clone() });
        }
        let due: Vec<Member> = self.retries.iter().filter(|(_, r)| r.at <= now.mono).map(|(m, _)| m.clone()).collect();
        if !due.is_empty() {
            for m in &due {
                if let Some(r) = self.retries.get_mut(m) {
                    // Until the next answer: a share that succeeds is never heard of again.
                    r.at = now.mono + RETRY_LONGEST * 60;
                }
            }
            self.output.push_back(KeyOutput::Share { to: due, index: current.index, key: current.key.clone() });
        }
    }

    /// What is to be done, until `None`.
    pub fn poll_output(&mut self) -> Option<KeyOutput> {
        self.output.pop_front()
    }

    /// When [`KeyDistribution::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.waiting.into_iter().chain(self.retries.values().map(|r| r.at)).min()
    }

    fn want_key(&mut self) {
        if !self.wanted {
            self.wanted = true;
            self.output.push_back(KeyOutput::NeedKey);
        }
    }

    fn share_with_newcomers(&mut self) {
        let Some(current) = &mut self.current else { return };
        let to: Vec<Member> = self
            .members
            .iter()
            .filter(|(m, joined)| current.shared.get(*m) != Some(*joined))
            .map(|(m, _)| m.clone())
            .collect();
        for m in &to {
            current.shared.insert(m.clone(), self.members[m]);
        }
        if !to.is_empty() {
            self.output.push_back(KeyOutput::Share { to, index: current.index, key: current.key.clone() });
        }
    }
}

/// Content of the to-device event that gives `member`'s key to others.
#[must_use]
pub fn key_content(room: &str, own: &Member, index: u8, key: &MediaKey, sent: UnixMillis) -> Value {
    json!({
        "keys": { "index": index, "key": key.to_base64() },
        "room_id": room,
        "member": { "id": own.identity(), "claimed_device_id": own.device },
        "session": { "application": "m.call", "call_id": "", "scope": "m.room" },
        "sent_ts": sent.0,
    })
}

/// Why a key event is not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyRefusal {
    /// A field is missing or of the wrong type.
    #[error("key event field {0} is missing or of the wrong type")]
    Field(&'static str),
    /// It claims another device than the one whose Olm session it came by.
    #[error("key event claims device {claimed:?}, Olm says {sender:?}")]
    OtherDevice {
        /// `member.claimed_device_id`.
        claimed: String,
        /// The device that sent it, as Olm proves.
        sender: String,
    },
    /// It is for another room.
    #[error("key event is for another room")]
    OtherRoom,
    /// The key is no base64, or of no usable length.
    #[error("key event holds no usable key")]
    Key,
}

/// A media key that another member's device gave us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedKey {
    /// Whose frames it opens.
    pub member: Member,
    /// Slot, 0 to 255.
    pub index: u8,
    /// The key.
    pub key: MediaKey,
}

impl ReceivedKey {
    /// Room that a key event names, to hand it to the right call. Says nothing about its truth.
    #[must_use]
    pub fn room(content: &Value) -> Option<&str> {
        content.get("room_id")?.as_str()
    }

    /// Checks a key event that came under Olm from `sender`'s device `sender_device`.
    ///
    /// # Errors
    /// [`KeyRefusal`]; the key must not be used then.
    pub fn check(room: &str, sender: &str, sender_device: &str, content: &Value) -> Result<Self, KeyRefusal> {
        let part = |outer: &'static str, inner: &str| content.get(outer).and_then(|o| o.get(inner));
        if Self::room(content).ok_or(KeyRefusal::Field("room_id"))? != room {
            return Err(KeyRefusal::OtherRoom);
        }
        let claimed = part("member", "claimed_device_id").and_then(Value::as_str);
        let claimed = claimed.ok_or(KeyRefusal::Field("member.claimed_device_id"))?;
        if claimed != sender_device {
            return Err(KeyRefusal::OtherDevice { claimed: claimed.into(), sender: sender_device.into() });
        }
        let index = part("keys", "index").and_then(Value::as_u64).and_then(|i| u8::try_from(i).ok());
        let index = index.ok_or(KeyRefusal::Field("keys.index"))?;
        let key = part("keys", "key").and_then(Value::as_str).ok_or(KeyRefusal::Field("keys.key"))?;
        let key = MediaKey::from_base64(key).map_err(|_| KeyRefusal::Key)?;
        Ok(Self { member: Member::new(sender, sender_device), index, key })
    }
}

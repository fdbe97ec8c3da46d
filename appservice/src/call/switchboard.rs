//! Which number rings which room, who is in which room's call, and which call takes what happens.
//!
//! One task for the whole process; it decides nothing about a call beyond where things go.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use bridge::{
    ids::{E164, LegId},
    matrixrtc::{MEMBER_EVENT, MemberEvent, ReceivedKey, Roster},
    sip::{CallOutcome, IncomingCall, SipEvent},
    time::{Now, UnixMillis},
};
use matrix_sdk::ruma::{OwnedRoomId, OwnedUserId};
use payments::{ChargeRequest, PaidFor};
use serde_json::Value;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    House,
    commands::{self, Ask},
    recover,
    task::{Begin, CallHandle, CallTask, ToCall},
};
use crate::{
    archive::CallId,
    desk::{PartyId, Person},
    matrix::{MatrixEvent, MediaKeyEvent, POLICY, RawStateEvent},
};

/// How long calls may take to end in order at shutdown.
const SHUTDOWN: Duration = Duration::from_secs(20);
/// What agrees: with and without the variation selector.
const TICK: char = '✅';

/// What is known of a room.
pub(crate) struct RoomState {
    roster: Roster,
    to_call: watch::Sender<Arc<Roster>>,
    names: HashMap<String, String>,
    /// Notes are on by the room's policy.
    pub(crate) notes: bool,
    pub(crate) call: Option<CallHandle>,
    /// A call of this room was cut off by a crash: the scribe stays out until the room's call was empty.
    held: bool,
}

impl RoomState {
    fn new(notes: bool) -> Self {
        Self {
            roster: Roster::default(),
            to_call: watch::Sender::new(Arc::default()),
            names: HashMap::new(),
            notes,
            call: None,
            held: false,
        }
    }
}

/// See the module's text.
pub struct Switchboard {
    house: Arc<House>,
    rooms: HashMap<OwnedRoomId, RoomState>,
    configured: HashMap<E164, OwnedRoomId>,
    legs: HashMap<LegId, OwnedRoomId>,
    calls: JoinSet<OwnedRoomId>,
    closing: JoinSet<OwnedRoomId>,
    cut_off: HashSet<OwnedRoomId>,
}

impl Switchboard {
    /// A switchboard; `cut_off` are the rooms that [`recover`](super::recover()) found.
    #[must_use]
    pub fn new(house: Arc<House>, cut_off: Vec<OwnedRoomId>) -> Self {
        Self {
            house,
            rooms: HashMap::new(),
            configured: HashMap::new(),
            legs: HashMap::new(),
            calls: JoinSet::new(),
            closing: JoinSet::new(),
            cut_off: cut_off.into_iter().collect(),
        }
    }

    /// Runs until `stop`, then ends all calls in order.
    pub async fn run(
        mut self,
        mut sip: mpsc::Receiver<SipEvent>,
        mut matrix: mpsc::Receiver<MatrixEvent>,
        stop: CancellationToken,
    ) {
        self.link_configured().await;
        loop {
            let now = Now::read();
            let expiry = self.rooms.values().filter_map(|r| r.roster.next_expiry(now)).min();
            tokio::select! {
                () = stop.cancelled() => break,
                event = sip.recv() => match event {
                    Some(event) => self.sip(event).await,
                    None => break,
                },
                event = matrix.recv() => match event {
                    Some(event) => self.matrix(event).await,
                    None => break,
                },
                Some(ended) = self.calls.join_next(), if !self.calls.is_empty() => match ended {
                    Ok(room) => self.call_is_closing(&room).await,
                    Err(error) => tracing::error!(%error, "a call panicked: this is a bug"),
                },
                Some(Ok(room)) = self.closing.join_next(), if !self.closing.is_empty() => self.call_is_closing(&room).await,
                () = sleep_until(expiry.map_or_else(Instant::now, Instant::from_std)), if expiry.is_some() => self.expire().await,
            }
        }
        self.shut_down().await;
    }

    async fn shut_down(mut self) {
        // Without a sender of inputs each call hangs up, leaves and writes its notes.
        self.rooms.clear();
        tracing::info!(calls = self.calls.len(), "ending calls");
        let all = async { while self.calls.join_next().await.is_some() {} };
        if tokio::time::timeout(SHUTDOWN, all).await.is_err() {
            tracing::warn!(
                "not all calls ended in time; what was heard is in the archive, their notes are written at the next start"
            );
        }
    }

    async fn link_configured(&mut self) {
        for (number, room) in self.house.config.numbers.clone() {
            match self.house.matrix.bot().resolve_room(&room).await {
                Ok(room) => drop(self.configured.insert(number.0, room)),
                Err(error) => {
                    tracing::error!(room = %room, %error, "numbers: this room cannot be found; its number rings nowhere");
                }
            }
        }
    }

    // SIP

    async fn sip(&mut self, event: SipEvent) {
        match event {
            SipEvent::Incoming(incoming) => self.incoming(incoming).await,
            SipEvent::MediaChanged { leg, remote, remote_rtcp, held } => {
                if let Some(call) = self.legs.get(&leg).and_then(|room| self.rooms.get(room)?.call.as_ref()) {
                    call.tell(ToCall::PhoneMoved(leg, remote, remote_rtcp, held)).await;
                }
            }
            SipEvent::Ended { leg, outcome } => {
                if let Some(room) = self.legs.remove(&leg)
                    && let Some(call) = self.rooms.get(&room).and_then(|r| r.call.as_ref())
                {
                    call.tell(ToCall::PhoneEnded(leg, outcome)).await;
                }
            }
        }
    }

    async fn incoming(&mut self, incoming: IncomingCall) {
        let leg = incoming.leg;
        let room = match &incoming.called_number {
            Some(number) => self.room_of(number).await,
            None => None,
        };
        let Some(room) = room else {
            tracing::info!(%leg, "no room is linked to the number that was dialled");
            return self.reject(leg, CallOutcome::UnknownNumber).await;
        };
        if !self.house.matrix.bot().is_joined(&room) {
            tracing::warn!(%leg, %room, "the bot is not in the room that this number rings");
            return self.reject(leg, CallOutcome::Unavailable).await;
        }
        let id = match self.call_of(&room).await {
            Ok(id) => id,
            Err(error) => {
                tracing::error!(%room, %error, "a call could not begin");
                return self.reject(leg, CallOutcome::Unavailable).await;
            }
        };
        let request = ChargeRequest {
            call: id.to_string(),
            dialled: incoming.called_number.as_ref().map(|n| n.reveal().to_owned()).unwrap_or_default(),
            room: room.to_string(),
        };
        let paid = match self.house.credit.paid_for(&request) {
            PaidFor::NoLimit => None,
            PaidFor::Until(time) => Some(time.as_secs()),
            PaidFor::Nothing => return self.reject(leg, CallOutcome::Refused { status: 402 }).await,
        };
        tracing::info!(%leg, %room, call = %id, from = ?incoming.caller, "a phone rings");
        self.legs.insert(leg, room.clone());
        if let Some(call) = self.rooms.get(&room).and_then(|r| r.call.as_ref()) {
            call.tell(ToCall::Phone(incoming, paid)).await;
        }
        self.tell_people(&room).await;
    }

    async fn reject(&self, leg: LegId, outcome: CallOutcome) {
        if let Err(error) = self.house.sip.reject(leg, outcome).await {
            tracing::debug!(%leg, %error, "the caller was gone already");
        }
    }

    async fn room_of(&self, number: &E164) -> Option<OwnedRoomId> {
        match self.house.archive.room_of_number(number).await {
            Ok(Some(room)) => Some(room),
            Ok(None) => self.configured.get(number).cloned(),
            Err(error) => {
                tracing::error!(%error, "the numbers cannot be read");
                None
            }
        }
    }

    // Matrix

    async fn matrix(&mut self, event: MatrixEvent) {
        match event {
            MatrixEvent::RoomReady { room } => self.room_ready(room).await,
            MatrixEvent::RoomGone { room } => drop(self.rooms.remove(&room)),
            MatrixEvent::CallMember(event) => {
                let room = event.room.clone();
                self.call_member(&event);
                self.roster_changed(&room).await;
            }
            MatrixEvent::Member { room, user, membership, display_name } => {
                let Some(state) = self.rooms.get_mut(&room) else { return };
                if membership == "join" {
                    state.names.insert(user.to_string(), display_name.unwrap_or_else(|| user.localpart().to_owned()));
                } else if !state.roster.user_left_room(user.as_str()).is_empty() {
                    self.roster_changed(&room).await;
                }
            }
            MatrixEvent::Policy(event) => self.policy(event).await,
            MatrixEvent::MediaKey(key) => self.media_key(key).await,
            MatrixEvent::Reaction { room, sender, event_id, target, key } => {
                if key.starts_with(TICK) {
                    self.tell(&room, ToCall::Tick { sender, event: event_id, target }).await;
                }
            }
            MatrixEvent::Redaction { room, redacts, .. } => self.tell(&room, ToCall::Redacted(redacts)).await,
            MatrixEvent::Message(message) => {
                let ask = commands::answer(&self.house, message, |room| self.facts(room)).await;
                if let Some((room, ask)) = ask {
                    self.asked(&room, ask).await;
                }
            }
            MatrixEvent::Invite { room, inviter, accepted } => tracing::info!(%room, %inviter, accepted, "invited"),
            MatrixEvent::Link(_) | MatrixEvent::RtcSignal { .. } => {}
        }
    }

    async fn tell(&self, room: &OwnedRoomId, what: ToCall) {
        if let Some(call) = self.rooms.get(room).and_then(|r| r.call.as_ref()) {
            call.tell(what).await;
        }
    }

    fn facts(&self, room: &OwnedRoomId) -> commands::Facts {
        let state = self.rooms.get(room);
        commands::Facts {
            notes: state.is_some_and(|s| s.notes),
            call: state.and_then(|s| s.call.as_ref()).filter(|c| c.live()).map(|c| c.id),
            in_call: state.map(|s| s.roster.members().map(|m| m.member.user.clone()).collect()).unwrap_or_default(),
            configured: self.configured.iter().filter(|(_, r)| *r == room).map(|(n, _)| n.clone()).collect(),
        }
    }

    async fn asked(&mut self, room: &OwnedRoomId, ask: Ask) {
        match ask {
            Ask::Agree(user) => self.tell(room, ToCall::Agree(PartyId::new(user.as_str()))).await,
            Ask::Withdraw(user) => self.tell(room, ToCall::Withdraw(PartyId::new(user.as_str()))).await,
            Ask::HangUp => self.tell(room, ToCall::HangUp).await,
            Ask::NotesOn => {
                if let Some(state) = self.rooms.get_mut(room) {
                    state.held = false;
                }
                self.maybe_begin(room).await;
            }
        }
    }

    async fn room_ready(&mut self, room: OwnedRoomId) {
        let bot = self.house.matrix.bot();
        let notes = self.house.config.transcription.enabled_by_default;
        let cut_off = self.cut_off.remove(&room);
        let state = self.rooms.entry(room.clone()).or_insert_with(|| RoomState::new(notes));
        state.held |= cut_off;
        match bot.members(&room).await {
            Ok(members) => {
                for m in members {
                    let name = m.display_name.unwrap_or_else(|| m.user.localpart().to_owned());
                    state.names.insert(m.user.to_string(), name);
                }
            }
            Err(error) => tracing::warn!(%room, %error, "the members' names cannot be read"),
        }
        match bot.room_state(&room, POLICY).await {
            Ok(events) => {
                if let Some(event) = events.iter().find(|e| e.state_key.is_empty()) {
                    state.notes = notes_of(&event.content, notes);
                }
            }
            Err(error) => tracing::warn!(%room, %error, "the room's policy cannot be read; notes stay off"),
        }
        match bot.room_state(&room, MEMBER_EVENT).await {
            Ok(events) => events.iter().for_each(|event| self.call_member(event)),
            Err(error) => tracing::warn!(%room, %error, "the room's call members cannot be read"),
        }
        tracing::info!(%room, "in this room");
        commands::greet(&self.house, &room).await;
        self.roster_changed(&room).await;
    }

    fn call_member(&mut self, event: &RawStateEvent) {
        let Some(state) = self.rooms.get_mut(&event.room) else { return };
        let member = MemberEvent {
            sender: event.sender.as_str(),
            state_key: &event.state_key,
            content: &event.content,
            event_id: event.event_id.as_str(),
            sent: UnixMillis(event.ts),
        };
        match state.roster.apply(Now::read(), &member) {
            Ok(Some(change)) => tracing::debug!(room = %event.room, ?change, "roster"),
            Ok(None) => {}
            Err(error) => tracing::debug!(room = %event.room, %error, "a membership that does not count"),
        }
    }

    async fn expire(&mut self) {
        let wall = UnixMillis::now();
        let mut changed = Vec::new();
        for (id, room) in &mut self.rooms {
            if !room.roster.expire(wall).is_empty() {
                changed.push(id.clone());
            }
        }
        for room in changed {
            self.roster_changed(&room).await;
        }
    }

    async fn roster_changed(&mut self, room: &OwnedRoomId) {
        let people = self.people(room);
        let Some(state) = self.rooms.get_mut(room) else { return };
        state.to_call.send_replace(Arc::new(state.roster.clone()));
        if people.is_empty() {
            state.held = false;
        }
        self.tell_people(room).await;
        self.maybe_begin(room).await;
    }

    async fn tell_people(&self, room: &OwnedRoomId) {
        self.tell(room, ToCall::People(self.people(room))).await;
    }

    fn people(&self, room: &OwnedRoomId) -> Vec<Person> {
        let Some(state) = self.rooms.get(room) else { return Vec::new() };
        let mut people: Vec<Person> = Vec::new();
        for m in state.roster.members().filter(|m| recover::is_person(&self.house, &m.member)) {
            let party = PartyId::new(m.member.user.as_str());
            if people.iter().all(|p| p.party != party) {
                let name = state.names.get(&m.member.user).cloned().unwrap_or_else(|| m.member.user.clone());
                people.push(Person { party, name });
            }
        }
        people
    }

    async fn policy(&mut self, event: RawStateEvent) {
        let default = self.house.config.transcription.enabled_by_default;
        let Some(state) = self.rooms.get_mut(&event.room) else { return };
        let notes = notes_of(&event.content, default);
        if std::mem::replace(&mut state.notes, notes) == notes {
            return;
        }
        tracing::info!(room = %event.room, notes, "the room's policy has changed");
        commands::announce_policy(&self.house, &event, notes).await;
        self.tell(&event.room, ToCall::Notes(notes)).await;
        self.maybe_begin(&event.room).await;
    }

    async fn media_key(&mut self, key: MediaKeyEvent) {
        let Some(room) = ReceivedKey::room(&key.content) else { return };
        let Some((room, state)) = self.rooms.iter().find(|(id, _)| id.as_str() == room) else { return };
        match ReceivedKey::check(room.as_str(), key.sender.as_str(), key.sender_device.as_str(), &key.content) {
            Ok(received) => {
                if let Some(call) = &state.call {
                    call.tell(ToCall::Key(key.to, received)).await;
                }
            }
            Err(error) => tracing::warn!(%room, sender = %key.sender, %error, "a media key was refused"),
        }
    }

    // Calls

    /// The room's live call; begins one where there is none.
    async fn call_of(&mut self, room: &OwnedRoomId) -> anyhow::Result<CallId> {
        let default = self.house.config.transcription.enabled_by_default;
        let state = self.rooms.entry(room.clone()).or_insert_with(|| RoomState::new(default));
        if let Some(call) = state.call.as_ref().filter(|c| c.live()) {
            return Ok(call.id);
        }
        let begin = Begin {
            house: Arc::clone(&self.house),
            id: CallId::random()?,
            room: room.clone(),
            notes: state.notes && !state.held,
            roster: state.to_call.subscribe(),
        };
        let call = CallTask::begin(begin, &mut self.calls).await?;
        let (id, mut live, room) = (call.id, call.watch(), room.clone());
        state.call = Some(call);
        // A call that closes makes room for the next one before its last words are written down.
        self.closing.spawn(async move {
            let _ = live.wait_for(|live| !live).await;
            room
        });
        Ok(id)
    }

    /// The scribe serves people who are in the room's call, phone or not.
    async fn maybe_begin(&mut self, room: &OwnedRoomId) {
        let anybody = !self.people(room).is_empty();
        let Some(state) = self.rooms.get(room) else { return };
        if !anybody || !state.notes || state.held || state.call.as_ref().is_some_and(CallHandle::live) {
            return;
        }
        match self.call_of(room).await {
            Ok(_) => self.tell_people(room).await,
            Err(error) => tracing::error!(%room, %error, "a call could not begin"),
        }
    }

    async fn call_is_closing(&mut self, room: &OwnedRoomId) {
        if let Some(state) = self.rooms.get_mut(room) {
            state.call.take_if(|call| !call.live());
        }
        self.maybe_begin(room).await;
    }
}

/// Whether a policy's content says that notes are written.
fn notes_of(content: &Value, default: bool) -> bool {
    content.get("notes").and_then(Value::as_bool).unwrap_or(default)
}

/// Content of a policy: what all members read.
pub(crate) fn policy_content(notes: bool, by: &OwnedUserId) -> Value {
    serde_json::json!({ "notes": notes, "set_by": by })
}

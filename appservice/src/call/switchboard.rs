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
use matrix_sdk::ruma::OwnedRoomId;
use payments::{
    ChargeRequest,
    charge::{CallCredit, Declined, Means},
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    House,
    commands::{self, Ask},
    finish, recover,
    task::{Begin, CallHandle, CallTask, ToCall},
    todo,
};
use crate::{
    archive::CallId,
    desk::{PAYMENT_REQUIRED, PartyId, Person, phone_label},
    matrix::{MatrixEvent, MediaKeyEvent, POLICY, RawStateEvent},
    settings::{Policy, RoomPlan, RoomSettings},
    text,
};

/// How long calls may take to end in order at shutdown.
const SHUTDOWN: Duration = Duration::from_secs(20);
/// A room is told of calls that were not put through at most so often.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// How often it is looked for to-dos to remind of.
const REMIND_EVERY: Duration = Duration::from_secs(30);
/// What agrees: with and without the variation selector.
const TICK: char = '✅';

/// What is known of a room.
pub(crate) struct RoomState {
    roster: Roster,
    to_call: watch::Sender<Arc<Roster>>,
    names: HashMap<String, String>,
    /// What the room's state says, or the operator's default.
    pub(crate) policy: Policy,
    /// Words would now go where nobody knew of when the policy was set: notes wait until it is set again.
    pub(crate) asked_again: bool,
    /// What the room has set beside.
    pub(crate) settings: RoomSettings,
    pub(crate) call: Option<CallHandle>,
    /// A call of this room was cut off by a crash: the scribe stays out until the room's call was empty.
    held: bool,
}

impl RoomState {
    fn new(policy: Policy) -> Self {
        Self {
            roster: Roster::default(),
            to_call: watch::Sender::new(Arc::default()),
            names: HashMap::new(),
            policy,
            asked_again: false,
            settings: RoomSettings::default(),
            call: None,
            held: false,
        }
    }

    /// Whether notes are written.
    fn notes(&self) -> bool {
        self.policy.notes && !self.asked_again
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
    /// Notes that are made again.
    making: JoinSet<()>,
    /// Phones that ring while it is asked who pays.
    reserving: JoinSet<Reserved>,
    /// When a room was last told that a call was not put through.
    declined: HashMap<OwnedRoomId, Instant>,
}

/// What was said of a phone that rings.
struct Reserved {
    incoming: IncomingCall,
    room: OwnedRoomId,
    call: CallId,
    credit: Result<Option<CallCredit>, Declined>,
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
            making: JoinSet::new(),
            reserving: JoinSet::new(),
            declined: HashMap::new(),
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
        match self.house.archive.notes_that_are_due().await {
            Ok(due) => self.make_again(due),
            Err(error) => tracing::error!(%error, "the archive cannot say which notes are to be made again"),
        }
        let mut reminders = tokio::time::interval(REMIND_EVERY);
        reminders.set_missed_tick_behavior(MissedTickBehavior::Delay);
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
                    // The error would quote the panic's message, and that what was said; where it was is in the log.
                    Err(error) => tracing::error!(task = %error.id(), "a call panicked: this is a bug"),
                },
                Some(made) = self.making.join_next(), if !self.making.is_empty() => if let Err(error) = made {
                    tracing::error!(task = %error.id(), "making notes again panicked: this is a bug");
                },
                Some(Ok(room)) = self.closing.join_next(), if !self.closing.is_empty() => self.call_is_closing(&room).await,
                Some(reserved) = self.reserving.join_next(), if !self.reserving.is_empty() => match reserved {
                    Ok(reserved) => self.reserved(reserved).await,
                    Err(error) => tracing::error!(task = %error.id(), "asking who pays panicked: this is a bug"),
                },
                _ = reminders.tick(), if self.house.config.notes.reminders => {
                    if let Err(error) = todo::remind(&self.house.notary, UnixMillis::now(), |room| self.house.matrix.bot().is_joined(room)).await {
                        tracing::error!(%error, "nobody could be reminded of to-dos");
                    }
                }
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
        let live = self.rooms.get(&room).and_then(|r| r.call.as_ref()).filter(|c| c.live()).map(|c| c.id);
        let Some(call) = live.or_else(|| CallId::random().ok()) else {
            return self.reject(leg, CallOutcome::Unavailable).await;
        };
        let revealed = |number: &Option<E164>| number.as_ref().map(|n| n.reveal().to_owned()).unwrap_or_default();
        let request = ChargeRequest {
            call: call.to_string(),
            leg: leg.to_string(),
            dialled: revealed(&incoming.called_number),
            caller: revealed(&incoming.caller),
            room: room.to_string(),
            direction: payments::cdr::Direction::Inbound,
            sip_call_id: incoming.sip_call_id.clone(),
            source: Some(incoming.source.ip()),
        };
        tracing::info!(%leg, %room, %call, from = ?incoming.caller, "a phone rings");
        self.legs.insert(leg, room.clone());
        // The ledger may have to be waited for: other calls do not wait with this one.
        let house = Arc::clone(&self.house);
        self.reserving.spawn(async move {
            let credit = house.payments.reserve(&request).await;
            Reserved { incoming, room, call, credit }
        });
    }

    /// It is known who pays, or that nobody does.
    async fn reserved(&mut self, Reserved { incoming, room, call, credit }: Reserved) {
        let leg = incoming.leg;
        if !self.legs.contains_key(&leg) {
            // The caller gave up meanwhile; what was reserved is let go with the credit.
            return;
        }
        let credit = match credit {
            Ok(credit) => credit,
            Err(declined) => {
                self.legs.remove(&leg);
                return self.not_paid(&incoming, room, call, &declined).await;
            }
        };
        if let Err(error) = self.call_of(&room, Some(call)).await {
            tracing::error!(%room, %error, "a call could not begin");
            self.legs.remove(&leg);
            return self.reject(leg, CallOutcome::Unavailable).await;
        }
        if let Some(call) = self.rooms.get(&room).and_then(|r| r.call.as_ref()) {
            call.tell(ToCall::Phone(incoming, credit)).await;
        }
        self.tell_people(&room).await;
    }

    /// Refuses a phone whose call nobody pays for, and tells the room: once in a while, whoever goes on calling.
    async fn not_paid(&mut self, incoming: &IncomingCall, room: OwnedRoomId, call: CallId, why: &Declined) {
        let leg = incoming.leg;
        tracing::warn!(%leg, %room, %why, "a call was not put through: it is not paid for");
        let outcome = match why.means() {
            Means::NoMoney => CallOutcome::Refused { status: PAYMENT_REQUIRED },
            Means::NotAllowed => CallOutcome::Refused { status: 403 },
            Means::Failed => CallOutcome::Unavailable,
        };
        self.reject(leg, outcome).await;
        let now = Instant::now();
        self.declined.retain(|_, told| now.duration_since(*told) < TELL_EVERY);
        if self.declined.contains_key(&room) {
            return;
        }
        self.declined.insert(room.clone(), now);
        let label = phone_label(incoming.caller.as_ref(), incoming.caller_name.as_deref());
        let words = text::declined(&label, why.means(), &why.to_string());
        commands::tell_room(&self.house, &room, &format!("{call} {leg} was not paid for"), words).await;
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
                if let Err(error) = todo::reacted(&self.house.notary, &room, &sender, &event_id, &target, &key).await {
                    tracing::error!(%room, %error, "a reaction could not tick a to-do");
                }
                if key.starts_with(TICK) {
                    self.tell(&room, ToCall::Tick { sender, event: event_id, target }).await;
                }
            }
            MatrixEvent::Redaction { room, sender, redacts } => {
                if let Err(error) = todo::reaction_gone(&self.house.notary, &room, &sender, &redacts).await {
                    tracing::error!(%room, %error, "a reaction that was taken off could not open a to-do");
                }
                self.tell(&room, ToCall::Redacted(redacts)).await;
            }
            MatrixEvent::Message(message) => {
                let ask = commands::answer(&self.house, message, |room| self.facts(room)).await;
                if let Some((room, asks)) = ask {
                    for ask in asks {
                        self.asked(&room, ask).await;
                    }
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
            notes: state.is_some_and(RoomState::notes),
            policy: state.map_or_else(|| self.default_policy(), |s| s.policy.clone()),
            asked_again: state.is_some_and(|s| s.asked_again),
            settings: state.map(|s| s.settings.clone()).unwrap_or_default(),
            names: state.map(|s| s.names.clone()).unwrap_or_default(),
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
            Ask::Settings(settings) => {
                if let Some(state) = self.rooms.get_mut(room) {
                    state.settings = settings;
                }
                self.tell_plan(room).await;
            }
            Ask::Tell(what) => self.tell(room, *what).await,
            Ask::Again(calls) => self.make_again(calls),
        }
    }

    async fn room_ready(&mut self, room: OwnedRoomId) {
        let bot = self.house.matrix.bot();
        let default = self.default_policy();
        let cut_off = self.cut_off.remove(&room);
        let state = self.rooms.entry(room.clone()).or_insert_with(|| RoomState::new(default.clone()));
        state.held |= cut_off;
        match self.house.archive.room_settings(&room).await {
            Ok(settings) => state.settings = settings.unwrap_or_default(),
            Err(error) => tracing::error!(%room, %error, "what the room has set cannot be read"),
        }
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
                    state.policy = Policy::read(&event.content, default.notes);
                    state.asked_again = state.policy.notes && state.policy.takes_more(&self.house.notary.seen_by);
                    if state.asked_again {
                        tracing::warn!(%room, "words would go where they did not when the room's policy was set: notes wait");
                        commands::ask_again(&self.house, event).await;
                    }
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
        let default = self.default_policy();
        let Some(state) = self.rooms.get_mut(&event.room) else { return };
        let (was_on, before) = (state.notes(), state.policy.clone());
        state.policy = Policy::read(&event.content, default.notes);
        state.asked_again = state.policy.notes && state.policy.takes_more(&self.house.notary.seen_by);
        if state.policy == before {
            return;
        }
        let (on, policy) = (state.notes(), state.policy.clone());
        tracing::info!(room = %event.room, notes = on, "the room's policy has changed");
        commands::announce_policy(&self.house, &event, &before, &policy, was_on, on).await;
        if was_on != on {
            self.tell(&event.room, ToCall::Notes(on)).await;
        }
        self.tell_plan(&event.room).await;
        self.maybe_begin(&event.room).await;
    }

    fn default_policy(&self) -> Policy {
        Policy::unset(self.house.config.transcription.enabled_by_default)
    }

    /// Tells a call that goes on how it is to listen from now on.
    async fn tell_plan(&self, room: &OwnedRoomId) {
        let plan = self.plan(room).await;
        self.tell(room, ToCall::Plan(plan)).await;
    }

    async fn plan(&self, room: &OwnedRoomId) -> Arc<RoomPlan> {
        let names = self.house.matrix.bot().room_state(room, "m.room.name").await.unwrap_or_default();
        let name = names.first().and_then(|e| e.content["name"].as_str()).map(crate::text::clean);
        let state = self.rooms.get(room);
        Arc::new(RoomPlan {
            policy: state.map_or_else(|| self.default_policy(), |s| s.policy.clone()),
            settings: state.map(|s| s.settings.clone()).unwrap_or_default(),
            name,
        })
    }

    /// Makes notes again, beside the calls: a writer may take minutes.
    fn make_again(&mut self, calls: Vec<CallId>) {
        let notary = Arc::clone(&self.house.notary);
        self.making.spawn(async move {
            for call in calls {
                if let Err(error) = finish::again(&notary, call).await {
                    tracing::error!(%call, %error, "notes could not be made again; the next start tries it");
                }
            }
        });
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

    /// The room's live call; begins one where there is none, under this id if one is given.
    async fn call_of(&mut self, room: &OwnedRoomId, named: Option<CallId>) -> anyhow::Result<CallId> {
        let default = self.default_policy();
        let state = self.rooms.entry(room.clone()).or_insert_with(|| RoomState::new(default));
        if let Some(call) = state.call.as_ref().filter(|c| c.live()) {
            return Ok(call.id);
        }
        let plan = self.plan(room).await;
        let Some(state) = self.rooms.get_mut(room) else { anyhow::bail!("the room is gone") };
        let begin = Begin {
            house: Arc::clone(&self.house),
            id: named.map_or_else(CallId::random, Ok)?,
            room: room.clone(),
            notes: state.notes() && !state.held,
            plan,
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
        if !anybody || !state.notes() || state.held || state.call.as_ref().is_some_and(CallHandle::live) {
            return;
        }
        match self.call_of(room, None).await {
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

//! A call's task: it owns the desk, brings it what happens and does what it decides.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use bridge::{
    ids::LegId,
    livekit::Participant,
    matrixrtc::{ReceivedKey, Roster},
    phone::{PhoneEvent, PhoneLeg},
    sip::{CallOutcome, IncomingCall},
    time::Now,
};
use matrix_sdk::ruma::{OwnedEventId, OwnedRoomId, OwnedUserId};
use payments::{Msat, charge::CallCredit};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tracing::Instrument;

use super::{
    House,
    attendance::{Attendance, Told},
    finish,
    meter::{Meter, Metered},
    paper::Paper,
    scribe::{EarPlan, Heard, Scribe},
    taking::Taking,
};
use crate::{
    archive::{CallId, EffectId, How, NewCall, PartyRecord, VoiceName},
    desk::{Attendee, Desk, Grants, Input, PartyId, Person},
    journal::Relation,
    settings::RoomPlan,
};

mod act;
mod happens;
mod paid;

use paid::Quota;

/// Inputs of one call: signalling, no media. Who is ahead waits.
const INBOX: usize = 128;

/// Both ends: the task keeps one sender, so that none of its channels closes before it does.
type Channel<T> = (mpsc::Sender<T>, mpsc::Receiver<T>);

/// What the switchboard tells a call.
#[derive(Debug)]
pub(crate) enum ToCall {
    /// A phone rings one of the room's numbers, and what pays for it, where somebody has to.
    Phone(IncomingCall, Option<CallCredit>),
    /// A phone's leg has ended.
    PhoneEnded(LegId, CallOutcome),
    /// A phone moved its media, or is on hold now or no longer.
    PhoneMoved(LegId, SocketAddr, SocketAddr, bool),
    /// Who of the room is in its call.
    People(Vec<Person>),
    /// A media key for one of our users.
    Key(OwnedUserId, ReceivedKey),
    /// Somebody agrees by command.
    Agree(PartyId),
    /// Somebody takes it back by command.
    Withdraw(PartyId),
    /// A ✅ on some event.
    Tick { sender: OwnedUserId, event: OwnedEventId, target: OwnedEventId },
    /// Some event was redacted.
    Redacted(OwnedEventId),
    /// The room's policy.
    Notes(bool),
    /// What the room has set.
    Plan(Arc<RoomPlan>),
    /// Other words in the place of some, `first` having them all.
    Corrected {
        /// Archive ids.
        of: Vec<i64>,
        /// The one that is left.
        first: i64,
        /// Its words.
        text: String,
    },
    /// These words are deleted already.
    WordsGone(Vec<u64>),
    /// A voice on a shared line has a name now.
    Named(VoiceName),
    /// Somebody asks for the notes so far; the answer goes out under this effect.
    SoFar(EffectId, Option<Relation>),
    /// Hang up the phones.
    HangUp,
}

/// A running call, as the switchboard holds it.
pub(crate) struct CallHandle {
    pub(crate) id: CallId,
    inbox: mpsc::Sender<ToCall>,
    live: watch::Receiver<bool>,
}

impl CallHandle {
    /// Tells the call something. A call that is over takes nothing.
    pub(crate) async fn tell(&self, what: ToCall) {
        let _ = self.inbox.send(what).await;
    }

    /// Whether new parties still join this call.
    pub(crate) fn live(&self) -> bool {
        *self.live.borrow()
    }

    /// Waits until it takes no more parties.
    pub(crate) fn watch(&self) -> watch::Receiver<bool> {
        self.live.clone()
    }
}

/// What a call begins with.
pub(crate) struct Begin {
    pub(crate) house: Arc<House>,
    pub(crate) id: CallId,
    pub(crate) room: OwnedRoomId,
    pub(crate) notes: bool,
    pub(crate) plan: Arc<RoomPlan>,
    pub(crate) roster: watch::Receiver<Arc<Roster>>,
}

struct Leg {
    ghost: OwnedUserId,
    attendance: Attendance,
    media: Option<Participant>,
    membership_event: Option<String>,
    phone: Option<PhoneLeg>,
}

/// See the module's text.
pub(crate) struct CallTask {
    house: Arc<House>,
    id: CallId,
    room: OwnedRoomId,
    roster: watch::Receiver<Arc<Roster>>,
    started: Now,
    desk: Desk,
    paper: Paper,
    legs: HashMap<LegId, Leg>,
    waiting: HashMap<LegId, IncomingCall>,
    bot: Option<Attendance>,
    scribe: Option<Scribe>,
    grants: watch::Sender<Grants>,
    ticks: HashMap<OwnedEventId, OwnedUserId>,
    how: HashMap<PartyId, How>,
    plan: Arc<RoomPlan>,
    ears: watch::Sender<Arc<EarPlan>>,
    /// Who came, with what is known of them.
    parties: Vec<PartyRecord>,
    voices: Vec<VoiceName>,
    taking: Option<Taking>,
    /// What pays for the legs.
    meters: HashMap<LegId, Meter>,
    /// What those cost that are over; `None`: nothing was charged for.
    cost: Option<Msat>,
    quota: Quota,
    tasks: JoinSet<()>,
    told: Channel<(Attendee, Told)>,
    phones: Channel<(LegId, PhoneEvent)>,
    heard: Channel<Heard>,
    metered: Channel<(LegId, Metered)>,
    live: watch::Sender<bool>,
    over: bool,
}

impl CallTask {
    /// Begins a call in `tasks`. It is in the archive before anything else happens.
    pub(crate) async fn begin(begin: Begin, tasks: &mut JoinSet<OwnedRoomId>) -> anyhow::Result<CallHandle> {
        let Begin { house, id, room, notes, plan, roster } = begin;
        let started = Now::read();
        let paper = Paper::new(&house, id, room.clone());
        let call = NewCall {
            id,
            room: room.clone(),
            started: started.wall,
            card: Some(paper.card_effect()),
            facts: serde_json::json!({ "seen_by": house.notary.seen_by }),
        };
        house.archive.open_call(&call).await?;
        let (inbox, from_switchboard) = mpsc::channel(INBOX);
        let (live, watch_live) = watch::channel(true);
        house.metrics.calls(1);
        let task = Self {
            desk: Desk::new(notes),
            taking: finish::begin(&house.notary, started.wall, plan.settings.terms.clone()),
            plan,
            ears: watch::Sender::default(),
            parties: Vec::new(),
            voices: Vec::new(),
            house,
            id,
            room: room.clone(),
            roster,
            started,
            paper,
            legs: HashMap::new(),
            waiting: HashMap::new(),
            bot: None,
            scribe: None,
            grants: watch::Sender::new(Grants::default()),
            ticks: HashMap::new(),
            how: HashMap::new(),
            tasks: JoinSet::new(),
            told: mpsc::channel(INBOX),
            phones: mpsc::channel(INBOX),
            heard: mpsc::channel(INBOX),
            metered: mpsc::channel(INBOX),
            meters: HashMap::new(),
            cost: None,
            quota: Quota::default(),
            live,
            over: false,
        };
        let span = tracing::info_span!("call", call = %id, room = %room);
        tasks.spawn(
            async move {
                task.run(from_switchboard).await;
                room
            }
            .instrument(span),
        );
        Ok(CallHandle { id, inbox, live: watch_live })
    }

    async fn run(mut self, mut inbox: mpsc::Receiver<ToCall>) {
        tracing::info!("call begins");
        let mut connected = true;
        while !self.over {
            let timer = self.desk.poll_timeout().map(Instant::from_std);
            tokio::select! {
                what = inbox.recv(), if connected => match what {
                    Some(what) => self.switchboard(what).await,
                    None => {
                        // The process is shutting down: everybody out, in order.
                        connected = false;
                        self.tell(Input::Notes(false)).await;
                        self.tell(Input::HangUp).await;
                    }
                },
                Some((who, told)) = self.told.1.recv() => self.attendance(who, told).await,
                Some((leg, event)) = self.phones.1.recv() => self.phone(leg, event).await,
                Some(heard) = self.heard.1.recv() => self.heard(heard).await,
                Some((leg, metered)) = self.metered.1.recv() => self.metered(leg, metered).await,
                changed = self.roster.changed() => if changed.is_ok() { self.hear_granted().await },
                Some(done) = self.tasks.join_next(), if !self.tasks.is_empty() => if let Err(error) = done && error.is_panic() {
                    // The error would quote the panic's message, and that what was said; where it was is in the log.
                    tracing::error!(task = %error.id(), "a task of the call panicked: this is a bug");
                },
                () = sleep_until(timer.unwrap_or_else(Instant::now)), if timer.is_some() => {
                    self.desk.handle_timeout(Now::read());
                    self.drain().await;
                }
            }
        }
        self.house.metrics.calls(-1);
        tracing::info!(elapsed_ms = self.started.mono.elapsed().as_millis(), "call over");
    }

    async fn tell(&mut self, input: Input) {
        self.desk.handle(Now::read(), input);
        self.drain().await;
    }

    async fn drain(&mut self) {
        while let Some(output) = self.desk.poll_output() {
            if let Err(error) = self.act(output).await {
                tracing::error!(%error, "a step of the call failed");
            }
        }
    }
}

//! A call's task: it owns the desk, brings it what happens and does what it decides.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::Arc,
};

use bridge::{
    ids::{E164, LegId},
    livekit::{Admitted, Participant, ParticipantIdentity},
    matrixrtc::{ReceivedKey, Roster},
    phone::{Over, PhoneEvent, PhoneLeg, Prompt as Sounded},
    sip::{CallOutcome, IncomingCall},
    time::{Now, UnixMillis},
};
use matrix_sdk::ruma::{OwnedEventId, OwnedRoomId, OwnedUserId};
use models::{Utterance, notes::SaidUtterance};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tracing::Instrument;

use super::{
    House,
    attendance::{Attendance, Command, Entrant, Setup, Sink, Told},
    finish,
    names::Names,
    paper::Paper,
    scribe::{EarPlan, Heard, Scribe},
    taking::Taking,
    withdraw,
};
use crate::{
    archive::{
        CallId, CallState, EffectId, How, NewCall, NewUtterance, PartyKind, PartyRecord, SaidDetails, VoiceName,
        WordTime,
    },
    desk::{AttendProblem, Attendee, CaptionOutput, Desk, Grants, Input, Output, PartyId, Person, Prompt, phone_label},
    journal::Relation,
    settings::{OnLine, RoomPlan},
};

/// Inputs of one call: signalling, no media. Who is ahead waits.
const INBOX: usize = 128;

/// Both ends: the task keeps one sender, so that none of its channels closes before it does.
type Channel<T> = (mpsc::Sender<T>, mpsc::Receiver<T>);

/// What the switchboard tells a call.
#[derive(Debug)]
pub(crate) enum ToCall {
    /// A phone rings one of the room's numbers.
    Phone(IncomingCall, Option<u64>),
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
    tasks: JoinSet<()>,
    told: Channel<(Attendee, Told)>,
    phones: Channel<(LegId, PhoneEvent)>,
    heard: Channel<Heard>,
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

    // What happens.

    async fn switchboard(&mut self, what: ToCall) {
        match what {
            ToCall::Phone(incoming, paid_seconds) => self.phone_rings(incoming, paid_seconds).await,
            ToCall::PhoneEnded(leg, outcome) => {
                self.stop_phone(leg).await;
                self.tell(Input::PhoneEnded(leg, outcome)).await;
            }
            ToCall::PhoneMoved(leg, remote, remote_rtcp, held) => {
                tracing::info!(%leg, held, "the phone moved its media or changed its hold");
                if let Some(phone) = self.legs.get(&leg).and_then(|l| l.phone.as_ref()) {
                    phone.remote_changed(remote, remote_rtcp, held);
                }
            }
            ToCall::People(people) => {
                for p in &people {
                    self.remember_party(p.party.as_str(), PartyKind::Matrix, &p.name, None).await;
                }
                self.tell(Input::People(people)).await;
            }
            ToCall::Key(to, key) => {
                if let Some(attendance) = self.attendance_of(&to) {
                    attendance.command(Command::Key(key)).await;
                }
            }
            ToCall::Agree(party) => self.grant(party, true, How::Command).await,
            ToCall::Withdraw(party) => self.grant(party, false, How::Command).await,
            ToCall::Tick { sender, event, target } => {
                if self.paper.is_card(&self.house, &target).await {
                    self.ticks.insert(event, sender.clone());
                    self.grant(PartyId::new(sender.as_str()), true, How::Reaction).await;
                }
            }
            ToCall::Redacted(event) => {
                if let Some(sender) = self.ticks.remove(&event)
                    && !self.ticks.values().any(|s| *s == sender)
                {
                    self.grant(PartyId::new(sender.as_str()), false, How::Reaction).await;
                }
            }
            ToCall::Notes(on) => self.tell(Input::Notes(on)).await,
            ToCall::Plan(plan) => {
                self.plan = plan;
                self.plan_ears();
            }
            ToCall::Corrected { of, first, text } => {
                if let Some(taking) = &self.taking {
                    let gone: Vec<u64> =
                        of.iter().filter(|id| **id != first).filter_map(|id| u64::try_from(*id).ok()).collect();
                    taking.withdraw(&gone);
                    taking.correct(u64::try_from(first).unwrap_or_default(), text.clone());
                }
                self.tell(Input::Corrected { of, first, text }).await;
            }
            ToCall::WordsGone(ids) => {
                if let Some(taking) = &self.taking {
                    taking.withdraw(&ids);
                }
            }
            ToCall::Named(name) => self.named(&name),
            ToCall::SoFar(id, relation) => self.so_far(id, relation).await,
            ToCall::HangUp => self.tell(Input::HangUp).await,
        }
    }

    async fn grant(&mut self, party: PartyId, agreed: bool, how: How) {
        self.how.insert(party.clone(), how);
        self.tell(if agreed { Input::Agree(party) } else { Input::Withdraw(party) }).await;
    }

    async fn phone_rings(&mut self, incoming: IncomingCall, paid_seconds: Option<u64>) {
        let leg = incoming.leg;
        let ghost = self.house.matrix.ghost_id(incoming.caller.as_ref());
        let party = PartyId::new(ghost.as_str());
        if self.desk.has_phone(&party) {
            let _ = self.house.sip.reject(leg, CallOutcome::Busy).await;
            return;
        }
        let label = phone_label(incoming.caller.as_ref(), incoming.caller_name.as_deref());
        self.remember_party(ghost.as_str(), PartyKind::Phone, &label, incoming.caller.clone()).await;
        let input = Input::PhoneRings {
            leg,
            party,
            number: incoming.caller.clone(),
            name: incoming.caller_name.clone(),
            paid_seconds,
        };
        self.waiting.insert(leg, incoming);
        self.tell(input).await;
    }

    async fn attendance(&mut self, who: Attendee, told: Told) {
        match told {
            Told::In { membership_event, participant } => {
                if let Attendee::Phone(leg) = &who
                    && let Some(leg) = self.legs.get_mut(leg)
                {
                    leg.media = Some(participant);
                    leg.membership_event = Some(membership_event);
                }
                self.tell(Input::Attending(who)).await;
            }
            Told::KeyMissing(member)
                if who != Attendee::Scribe || self.desk.grants().granted(&PartyId::new(&member.user)) =>
            {
                self.tell(Input::KeyMissing(PartyId::new(member.user))).await;
            }
            Told::KeyMissing(_) => {}
            Told::KeyWorks(member) => self.tell(Input::KeyWorks(PartyId::new(member.user))).await,
            Told::Speaks(member) => self.tell(Input::UnheardSpeaks(PartyId::new(member.user))).await,
            Told::NotIn(problem) => {
                self.forget_attendance(&who);
                self.tell(Input::NotAttending(who, problem)).await;
            }
            Told::Out => {
                self.forget_attendance(&who);
                self.tell(Input::Departed(who)).await;
            }
        }
    }

    fn forget_attendance(&mut self, who: &Attendee) {
        match who {
            Attendee::Phone(leg) => drop(self.legs.remove(leg)),
            Attendee::Scribe => self.bot = None,
        }
    }

    async fn phone(&mut self, leg: LegId, event: PhoneEvent) {
        match event {
            PhoneEvent::Digit(digit) => {
                if let Some(leg) = self.legs.get(&leg) {
                    self.how.insert(PartyId::new(leg.ghost.as_str()), How::Digit);
                }
                self.tell(Input::Digit(leg, digit)).await;
            }
            PhoneEvent::FirstAudioFromPhone => tracing::info!(%leg, "first sound from the phone"),
            PhoneEvent::FirstAudioToPhone => tracing::info!(%leg, "first sound to the phone"),
            PhoneEvent::MediaTimeout => {
                tracing::warn!(%leg, "the phone sends no sound any more");
                let _ = self.house.sip.hang_up(leg).await;
                self.stop_phone(leg).await;
                self.tell(Input::PhoneEnded(leg, CallOutcome::MediaTimeout)).await;
            }
            PhoneEvent::PromptsOver => {}
            PhoneEvent::Stats(stats) => {
                if let Some(mos) = stats.mos() {
                    self.tell(Input::PhoneQuality(leg, tenths(mos))).await;
                }
            }
        }
    }

    async fn heard(&mut self, heard: Heard) {
        match heard {
            Heard::Utterance { party, start, end, said } => self.utterance(party, start, end, &said).await,
            Heard::Unfinished { party, start, text } => {
                self.tell(Input::Unfinished { party, start, text: text.to_string() }).await;
            }
            Heard::FellBehind { party, lost_ms } => {
                tracing::warn!(party = %party, lost_ms, "the recogniser is too slow: sound was lost");
            }
            Heard::Finished => {
                self.scribe = None;
                self.tell(Input::EarsFinished).await;
            }
        }
    }

    async fn utterance(&mut self, party: PartyId, start: UnixMillis, end: UnixMillis, said: &Utterance) {
        if !self.desk.grants().granted(&party) {
            return;
        }
        let voice = said.voice.map(|v| v.0);
        let utterance = NewUtterance {
            party: party.as_str().to_owned(),
            start,
            end,
            text: said.text.to_string(),
            details: details(said),
        };
        let id = match self.house.archive.add_utterance(self.id, &utterance).await {
            Ok(id) => id,
            Err(error) => return tracing::error!(%error, "an utterance could not be stored and is not shown"),
        };
        let behind = UnixMillis::now().since(end);
        tracing::debug!(party = %party, length_ms = end.since(start).as_millis(), behind_ms = behind.as_millis(), confidence = said.confidence, "utterance");
        let text = said.text.to_string();
        self.tell(Input::Utterance { id: id.0, party: party.clone(), voice, start, end, text }).await;
        self.house.metrics.caption_after(UnixMillis::now().since(end));
        if let Some(taking) = &self.taking {
            taking.add(SaidUtterance {
                id: u64::try_from(id.0).unwrap_or_default(),
                speaker: self.names().of(party.as_str(), voice),
                start_ms: finish::offset(start, self.started.wall),
                end_ms: finish::offset(end, self.started.wall),
                text: said.text.to_string(),
            });
        }
    }

    /// A voice has a name: captions to come and the notes use it.
    fn named(&mut self, name: &VoiceName) {
        let before = self.names().of(&name.party, Some(name.voice));
        self.voices.retain(|v| (v.party.as_str(), v.voice) != (name.party.as_str(), name.voice));
        self.voices.push(name.clone());
        let after = self.names().of(&name.party, Some(name.voice));
        if let Some(taking) = &self.taking {
            taking.rename(&before, &after);
        }
    }

    fn names(&self) -> Names {
        Names::new(&self.parties, &self.voices)
    }

    async fn so_far(&self, id: EffectId, relation: Option<Relation>) {
        let draft = match &self.taking {
            Some(taking) => taking.draft().await,
            None => None,
        };
        if let Err(error) = finish::so_far(&self.house.notary, self.id, draft, id, relation).await {
            tracing::error!(%error, "the notes so far could not be told");
        }
    }

    /// How to listen to whom, by what the room has set and who is there.
    fn plan_ears(&self) {
        let mut names: Vec<String> = self.parties.iter().map(|p| without_number(&p.name)).collect();
        names.extend(self.plan.name.clone());
        let tells_voices = self.house.tells_voices;
        let ear = |p: &PartyRecord| {
            let line = OnLine { user: &p.user, phone: p.kind == PartyKind::Phone, number: p.number.as_ref() };
            let mut options =
                self.plan.settings.ear(&self.plan.policy, &line, &names, self.house.config.transcription.spoken());
            options.several_voices &= tells_voices;
            (PartyId::new(&p.user), options)
        };
        self.ears.send_replace(Arc::new(EarPlan(self.parties.iter().map(ear).collect())));
    }

    async fn take_back(&mut self, party: &PartyId) -> anyhow::Result<()> {
        let Some(call) = self.house.archive.call(self.id).await? else { return Ok(()) };
        let gone = withdraw::take_back(&self.house.notary, &call, party.as_str()).await?;
        if let Some(taking) = &self.taking {
            taking.withdraw(&gone.ids);
        }
        tracing::info!(party = %party, utterances = gone.ids.len(), "words were taken back");
        Ok(())
    }

    // What is to be done.

    async fn act(&mut self, output: Output) -> anyhow::Result<()> {
        match output {
            Output::Attend(who) => self.attend(who).await,
            Output::Depart(who) => match self.attendance_for(&who) {
                Some(attendance) => attendance.command(Command::Leave).await,
                // It fell out by itself before.
                None => self.desk.handle(Now::read(), Input::Departed(who)),
            },
            Output::RingRoom(leg) => {
                if let Some(leg) = self.legs.get(&leg)
                    && let Some(event) = &leg.membership_event
                {
                    self.paper.ring(&self.house, &leg.ghost, event).await?;
                }
            }
            Output::SipRing(leg) => self.house.sip.ring(leg).await?,
            Output::SipAnswer(leg) => self.answer(leg).await,
            Output::SipReject(leg, outcome) => self.house.sip.reject(leg, outcome).await?,
            Output::SipHangUp(leg) => {
                self.stop_phone(leg).await;
                self.house.sip.hang_up(leg).await?;
            }
            Output::Prompt(leg, prompt) => {
                if let Some(phone) = self.legs.get(&leg).and_then(|l| l.phone.as_ref()) {
                    self.sound(phone, prompt);
                }
            }
            Output::ToneToOthers(but) => {
                for phone in self.legs.iter().filter(|(leg, _)| **leg != but).filter_map(|(_, l)| l.phone.as_ref()) {
                    self.sound(phone, Prompt::GrantChanged);
                }
            }
            Output::Grants(grants) => {
                self.grants.send_replace(grants);
                self.hear_granted().await;
            }
            Output::RecordGrant(party, granted) => {
                let how = self.how.remove(&party).unwrap_or(How::Policy);
                self.house.archive.record_grant(self.id, party.as_str(), granted, how, UnixMillis::now()).await?;
                tracing::info!(party = %party, granted, "grant");
            }
            Output::Card => self.paper.card(&self.house, &self.desk.card()).await?,
            Output::Caption(caption) => {
                let turn = match caption {
                    CaptionOutput::Retract(turn) => return self.paper.retract(&self.house, turn.number).await,
                    CaptionOutput::Post(turn) | CaptionOutput::Edit(turn) => turn,
                };
                let name = match turn.voice {
                    Some(voice) => self.names().of(turn.party.as_str(), Some(voice)),
                    None => self.name_of(&turn.party),
                };
                self.paper.caption(&self.house, &turn, &name).await?;
            }
            Output::TakeBack(party) => self.take_back(&party).await?,
            Output::NotTranscribed(party) => {
                let name = self.name_of(&party);
                self.paper.not_transcribed(&self.house, &party, &name).await?;
            }
            Output::FinishEars => {
                self.live.send_replace(false);
                match &self.scribe {
                    Some(scribe) => scribe.finish().await,
                    None => self.heard.0.send(Heard::Finished).await?,
                }
            }
            Output::Finish => {
                self.live.send_replace(false);
                self.over = true;
                let taking = self.taking.take();
                finish::finish(&self.house.notary, self.id, UnixMillis::now(), CallState::Ended, taking).await?;
            }
        }
        Ok(())
    }

    async fn attend(&mut self, who: Attendee) {
        let (entrant, publish, hear) = match &who {
            Attendee::Phone(leg) => {
                let Some(incoming) = self.waiting.remove(leg) else { return };
                (Entrant::Ghost { number: incoming.caller, name: incoming.caller_name }, true, Admitted::All)
            }
            Attendee::Scribe => {
                if self.house.hearing.is_none() {
                    let _ = self.told.0.send((who, Told::NotIn(AttendProblem::NoRecogniser))).await;
                    return;
                }
                (Entrant::Bot, false, self.granted_identities())
            }
        };
        let setup = Setup {
            who: who.clone(),
            house: Arc::clone(&self.house),
            entrant,
            room: self.room.clone(),
            publish,
            hear,
            roster: self.roster.clone(),
        };
        let attendance = Attendance::start(setup, &mut self.tasks, self.told.0.clone());
        match who {
            Attendee::Phone(leg) => {
                let ghost = self.desk.card().phones.iter().rev().find(|p| p.leg == leg).map(|p| p.party.clone());
                let Some(ghost) = ghost.and_then(|g| OwnedUserId::try_from(g.as_str()).ok()) else { return };
                let leg_state = Leg { ghost, attendance, media: None, membership_event: None, phone: None };
                self.legs.insert(leg, leg_state);
            }
            Attendee::Scribe => {
                if let (None, Some(hearing)) = (&self.scribe, &self.house.hearing) {
                    let scribe = Scribe::start(
                        hearing.clone(),
                        self.grants.subscribe(),
                        self.ears.subscribe(),
                        self.started,
                        &mut self.tasks,
                        self.heard.0.clone(),
                    );
                    self.scribe = Some(scribe);
                }
                if let Some(scribe) = &self.scribe {
                    attendance.command(Command::Sink(Sink::Scribe(scribe.frames()))).await;
                }
                self.bot = Some(attendance);
            }
        }
    }

    /// Answers a phone: 200 with our media, and sound both ways.
    async fn answer(&mut self, leg: LegId) {
        let Some(media) = self.legs.get(&leg).and_then(|l| l.media.clone()) else { return };
        let answered = match self.house.sip.answer(leg).await {
            Ok(answered) => answered,
            Err(error) => {
                // The caller gave up in this moment, or no port is free; the endpoint tells the end of the leg.
                tracing::warn!(%leg, %error, "the phone could not be answered");
                return;
            }
        };
        let (phone, mut events) = PhoneLeg::start(answered, media);
        let to = self.phones.0.clone();
        self.tasks.spawn(async move {
            while let Some(event) = events.recv().await {
                if to.send((leg, event)).await.is_err() {
                    return;
                }
            }
        });
        if let Some(state) = self.legs.get_mut(&leg) {
            state.attendance.command(Command::Sink(Sink::Phone(phone.clone()))).await;
            state.phone = Some(phone);
        }
        self.desk.handle(Now::read(), Input::PhoneUp(leg));
    }

    fn sound(&self, phone: &PhoneLeg, prompt: Prompt) {
        if !phone.play(Sounded { pcm: self.house.prompts.pcm(prompt), over: Over::Duck }) {
            tracing::warn!(?prompt, "a prompt was not played: too many wait");
        }
    }

    async fn stop_phone(&mut self, leg: LegId) {
        if let Some(phone) = self.legs.get_mut(&leg).and_then(|l| l.phone.take()) {
            phone.stop().await;
        }
    }

    /// Tells the scribe's SFU connection whose frames it may open.
    async fn hear_granted(&self) {
        if let Some(bot) = &self.bot {
            bot.command(Command::Hear(self.granted_identities())).await;
        }
    }

    fn granted_identities(&self) -> Admitted {
        let roster = self.roster.borrow();
        let granted = roster.members().filter(|m| self.desk.grants().granted(&PartyId::new(&m.member.user)));
        Admitted::Only(granted.map(|m| ParticipantIdentity(m.member.identity())).collect::<HashSet<_>>())
    }

    fn attendance_for(&self, who: &Attendee) -> Option<&Attendance> {
        match who {
            Attendee::Phone(leg) => self.legs.get(leg).map(|l| &l.attendance),
            Attendee::Scribe => self.bot.as_ref(),
        }
    }

    fn attendance_of(&self, user: &OwnedUserId) -> Option<&Attendance> {
        if *user == *self.house.matrix.bot().user_id() {
            return self.bot.as_ref();
        }
        self.legs.values().find(|l| l.ghost == *user).map(|l| &l.attendance)
    }

    fn name_of(&self, party: &PartyId) -> String {
        let card = self.desk.card();
        let phone = card.phones.iter().rev().find(|p| p.party == *party).map(|p| p.label.clone());
        phone
            .or_else(|| card.people.iter().find(|p| p.party == *party).map(|p| p.name.clone()))
            .unwrap_or_else(|| party.as_str().to_owned())
    }

    async fn remember_party(&mut self, user: &str, kind: PartyKind, name: &str, number: Option<E164>) {
        if !self.paper.first_seen(user) {
            return;
        }
        let party = PartyRecord {
            user: user.to_owned(),
            kind,
            name: name.to_owned(),
            number,
            joined: UnixMillis::now(),
            left: None,
        };
        if let Err(error) = self.house.archive.upsert_party(self.id, &party).await {
            tracing::error!(%error, "a party could not be stored");
        }
        self.parties.push(party);
        self.plan_ears();
    }
}

/// What is stored of an utterance beside its words.
fn details(said: &Utterance) -> SaidDetails {
    let since = |at: i64| u32::try_from(at - said.start_ms).unwrap_or(0);
    let word = |w: &models::Word| WordTime {
        text: w.text.to_string(),
        from_ms: since(w.start_ms),
        to_ms: since(w.end_ms),
        percent: percent(w.probability),
    };
    SaidDetails {
        voice: said.voice.map(|v| v.0),
        language: said.language.clone(),
        recogniser: Some(said.recogniser.to_string()),
        words: said.words.iter().map(word).collect(),
        corrected: false,
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=100")]
fn percent(probability: f32) -> u8 {
    (probability * 100.0).round().clamp(0.0, 100.0) as u8
}

/// A phone's label without its number, which nobody says: "+44… (Ada Lovelace)" is "Ada Lovelace".
fn without_number(label: &str) -> String {
    match label.strip_prefix('+').and_then(|rest| rest.split_once(" (")) {
        Some((_, name)) => name.trim_end_matches(')').to_owned(),
        None if label.starts_with('+') => String::new(),
        None => label.to_owned(),
    }
}

/// A mean opinion score, 1 to 5, in tenths.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 10..=50")]
fn tenths(mos: f32) -> u8 {
    (mos * 10.0).round().clamp(10.0, 50.0) as u8
}

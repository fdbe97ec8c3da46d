//! One of our devices in one room's call: the task around [`bridge::matrixrtc::Session`] and the SFU connection.
//!
//! The order is what makes us visible (design rule 1): token first, so that nothing is announced that cannot be;
//! then the membership; then the SFU. Out again the other way round.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bridge::{
    ids::E164,
    livekit::{
        Admitted, CloseReason, Encryption, JoinOptions, MediaKey, Participant, ParticipantIdentity, RemoteFrame,
        SfuError, SfuEvent,
    },
    matrixrtc::{
        DelayId, KeyOutput, MEMBER_EVENT, Member, ReceivedKey, Roster, Session, SessionInput, SessionOutput,
        SessionTimers, Transport, key_content,
    },
    time::{Now, UnixMillis},
};
use matrix_sdk::ruma::{OwnedDeviceId, OwnedRoomId, OwnedUserId, RoomId};
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{
    House,
    sfu_token::{self, SfuToken},
};
use crate::{
    desk::{AttendProblem, Attendee, phone_label},
    matrix::{self, MatrixError, VirtualUser},
};

/// Keys, commands: few. What does not fit waits, it is never lost.
const COMMANDS: usize = 64;
/// A leave may take this long before the task ends all the same: the scheduled leave stands behind it.
const LEAVE_WITHIN: Duration = Duration::from_secs(10);

/// Where the sound of others goes.
#[derive(Clone)]
pub(crate) enum Sink {
    /// To a phone.
    Phone(bridge::phone::PhoneLeg),
    /// To the scribe.
    Scribe(mpsc::Sender<(Member, RemoteFrame)>),
}

/// What the room's task tells an attendance.
pub(crate) enum Command {
    /// A media key came for our device.
    Key(ReceivedKey),
    /// Where the sound goes from now on.
    Sink(Sink),
    /// Whom to hear.
    Hear(Admitted),
    /// Leave the call.
    Leave,
}

/// What an attendance tells the room's task.
#[derive(Debug)]
pub(crate) enum Told {
    /// In the call, with media.
    In {
        /// Our membership event, for the ring.
        membership_event: String,
        /// To send sound with.
        participant: Participant,
    },
    /// Frames of this member come that no key opens.
    KeyMissing(Member),
    /// They open now.
    KeyWorks(Member),
    /// This member, who is not admitted, is speaking (by the SFU's word).
    Speaks(Member),
    /// Could not get in, or fell out.
    NotIn(AttendProblem),
    /// Left.
    Out,
}

/// What an attendance needs.
pub(crate) struct Setup {
    pub(crate) who: Attendee,
    pub(crate) house: Arc<House>,
    pub(crate) entrant: Entrant,
    pub(crate) room: OwnedRoomId,
    /// Publish a microphone track.
    pub(crate) publish: bool,
    pub(crate) hear: Admitted,
    pub(crate) roster: watch::Receiver<Arc<Roster>>,
}

/// Whose device it is.
pub(crate) enum Entrant {
    /// The bot's.
    Bot,
    /// The ghost's of a phone number; made at its first call.
    Ghost {
        /// The caller's number.
        number: Option<E164>,
        /// The caller's name.
        name: Option<String>,
    },
}

/// A running attendance.
pub(crate) struct Attendance {
    commands: mpsc::Sender<Command>,
}

impl Attendance {
    /// Starts it in `tasks`; what it tells comes by `told`.
    pub(crate) fn start(setup: Setup, tasks: &mut JoinSet<()>, told: mpsc::Sender<(Attendee, Told)>) -> Self {
        let (commands, inbox) = mpsc::channel(COMMANDS);
        tasks.spawn(async move {
            let who = setup.who.clone();
            let last = match Running::enter(setup, inbox, told.clone()).await {
                Ok(running) => running.stay().await,
                Err(problem) => Told::NotIn(problem),
            };
            // The room's task outlives its attendances; if it is gone, nobody wants to know.
            let _ = told.send((who, last)).await;
        });
        Self { commands }
    }

    /// Sends a command. An attendance that has ended takes none.
    pub(crate) async fn command(&self, command: Command) {
        let _ = self.commands.send(command).await;
    }
}

/// Answers of the homeserver, from the tasks that asked it.
enum Answer {
    Scheduled(Option<DelayId>),
    Announced(Result<String, AttendProblem>),
    ScheduledGone,
    ShareFailed(Vec<Member>, u8),
    LeaveSent,
    Nothing,
}

struct Running {
    who: Attendee,
    user: VirtualUser,
    room: OwnedRoomId,
    own: Member,
    session: Session,
    roster: watch::Receiver<Arc<Roster>>,
    asked: JoinSet<Answer>,
    inbox: mpsc::Receiver<Command>,
    told: mpsc::Sender<(Attendee, Told)>,
    media: Option<Participant>,
    sfu: Option<mpsc::Receiver<SfuEvent>>,
    /// Set until media is up: what joining the SFU needs.
    joining: Option<(SfuToken, JoinOptions)>,
    membership_event: Option<String>,
    hear: Admitted,
    sink: Option<Sink>,
    early_keys: Vec<ReceivedKey>,
    send_key: Option<(u8, MediaKey)>,
    known: HashMap<ParticipantIdentity, Member>,
    failed: Option<AttendProblem>,
    leave_by: Option<Instant>,
}

impl Running {
    async fn enter(
        setup: Setup,
        inbox: mpsc::Receiver<Command>,
        told: mpsc::Sender<(Attendee, Told)>,
    ) -> Result<Self, AttendProblem> {
        let Setup { who, house, entrant, room, publish, hear, roster } = setup;
        let user = entrant.user(&house).await?;
        user.ensure_joined(&room).await.map_err(|error| {
            tracing::warn!(%room, user = %user.user_id(), %error, "could not be brought into the room");
            AttendProblem::NotInRoom
        })?;
        user.start_sync().await.map_err(|error| lost_homeserver(&error))?;
        let entered = Self::prepare(&user, &house, &room, publish).await;
        let (transport, token, options, room_version) = entered.inspect_err(|_| user.stop_sync())?;
        let own = Member::new(user.user_id().as_str(), user.device_id().as_str());
        let mut session = Session::new(own.clone(), &room_version, SessionTimers::default());
        session.handle(Now::read(), SessionInput::Join(transport));
        Ok(Self {
            who,
            user,
            room,
            own,
            session,
            roster,
            asked: JoinSet::new(),
            inbox,
            told,
            media: None,
            sfu: None,
            joining: Some((token, options)),
            membership_event: None,
            hear,
            sink: None,
            early_keys: Vec::new(),
            send_key: None,
            known: HashMap::new(),
            failed: None,
            leave_by: None,
        })
    }

    /// All that can fail before anybody sees us.
    async fn prepare(
        user: &VirtualUser,
        house: &House,
        room: &RoomId,
        publish: bool,
    ) -> Result<(Transport, SfuToken, JoinOptions, String), AttendProblem> {
        if !user.may_send_state(room, MEMBER_EVENT).await.map_err(|e| lost_homeserver(&e))? {
            let needed = user.required_for_state(room, MEMBER_EVENT).await.map_err(|e| lost_homeserver(&e))?;
            return Err(AttendProblem::PowerLevel(needed));
        }
        let encrypted = user.is_encrypted(room).await.map_err(|e| lost_homeserver(&e))?;
        let create = user.get_state(room, "m.room.create", "").await.map_err(|e| lost_homeserver(&e))?;
        let version = create.as_ref().and_then(|c| c["room_version"].as_str()).unwrap_or("1").to_owned();
        let transports = user.rtc_transports().await.map_err(|e| lost_homeserver(&e))?;
        let service = transports.into_iter().next().ok_or(AttendProblem::NoTransport)?.livekit_service_url;
        let service = service.trim_end_matches('/').to_owned();
        let transport = Transport { service_url: service.clone(), alias: room.to_string() };
        let openid = user.openid_token().await.map_err(|e| lost_homeserver(&e))?;
        let token = sfu_token::ask(&house.http, &service, room, user.device_id(), &openid).await.map_err(|error| {
            tracing::warn!(%service, %error, "no token for the media server");
            AttendProblem::MediaServer(host_of(&service))
        })?;
        let mut options = JoinOptions::new(token.url.clone(), token.jwt.clone());
        options.encryption = if encrypted { Encryption::Required } else { Encryption::Off };
        options.publish = publish;
        Ok((transport, token, options, version))
    }

    /// Runs until we are out; gives the last word.
    async fn stay(mut self) -> Told {
        self.roster.mark_changed();
        loop {
            if self.drain().await {
                break;
            }
            let timer = self.session.poll_timeout().map(Instant::from_std);
            let wake = [timer, self.leave_by].into_iter().flatten().min();
            tokio::select! {
                Some(done) = self.asked.join_next(), if !self.asked.is_empty() => self.answered(done.unwrap_or(Answer::Nothing)),
                changed = self.roster.changed() => match changed {
                    Ok(()) => self.roster_changed(),
                    Err(_) => self.leave(),
                },
                command = self.inbox.recv() => match command {
                    Some(command) => self.commanded(command),
                    None => self.leave(),
                },
                event = next(&mut self.sfu) => self.sfu_event(event).await,
                () = sleep_until(wake.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600))), if wake.is_some() => {
                    if self.leave_by.is_some_and(|by| by <= Instant::now()) {
                        tracing::warn!(room = %self.room, user = %self.own.user, "the leave was not confirmed in time; the homeserver's scheduled one will follow");
                        break;
                    }
                    self.session.handle_timeout(Now::read());
                }
            }
        }
        if let Some(media) = self.media.take() {
            media.leave().await;
        }
        self.user.stop_sync();
        self.failed.map_or(Told::Out, Told::NotIn)
    }

    /// Does what the session wants. `true`: it is over.
    async fn drain(&mut self) -> bool {
        let mut over = false;
        while let Some(output) = self.session.poll_output() {
            match output {
                SessionOutput::ScheduleLeave { state_key, delay } => self.schedule_leave(state_key, delay),
                SessionOutput::SendMembership { state_key, content } => self.announce(state_key, content),
                SessionOutput::RestartLeave(id) => self.restart_leave(id),
                SessionOutput::Joined { membership_event } => {
                    self.membership_event = Some(membership_event);
                    self.connect().await;
                }
                SessionOutput::SendLeave { state_key, scheduled } => {
                    // First off the SFU, then out of the room's list: visible to the last.
                    if let Some(media) = self.media.take() {
                        media.leave().await;
                    }
                    self.sfu = None;
                    self.send_leave(state_key, scheduled);
                }
                SessionOutput::Left => over = true,
            }
        }
        while let Some(key) = self.session.poll_key() {
            match key {
                KeyOutput::NeedKey => match fresh_key() {
                    Some(key) => self.session.handle_fresh_key(Now::read(), key),
                    None => {
                        self.failed = Some(AttendProblem::Homeserver);
                        self.leave();
                    }
                },
                KeyOutput::Use { index, key } => {
                    if let Some(media) = &self.media {
                        media.set_send_key(index, &key);
                    }
                    self.send_key = Some((index, key));
                }
                KeyOutput::Share { to, index, key } => self.share(to, index, &key),
            }
        }
        over
    }

    fn schedule_leave(&mut self, state_key: String, delay: Duration) {
        let (user, room) = (self.user.clone(), self.room.clone());
        self.asked.spawn(async move {
            let id = user.schedule_state(&room, MEMBER_EVENT, &state_key, json!({}), delay).await;
            Answer::Scheduled(id.unwrap_or_else(|e| {
                tracing::warn!(room = %room, error = %e, "no leave could be scheduled: a crash would leave a member behind until its membership expires");
                None
            }).map(|id| DelayId(id.0)))
        });
    }

    fn announce(&mut self, state_key: String, content: Value) {
        let (user, room) = (self.user.clone(), self.room.clone());
        self.asked.spawn(async move {
            let sent = user.send_state(&room, MEMBER_EVENT, &state_key, content).await;
            Answer::Announced(sent.map(|id| id.to_string()).map_err(|e| {
                tracing::warn!(room = %room, error = %e, "the membership was refused");
                AttendProblem::Homeserver
            }))
        });
    }

    fn restart_leave(&mut self, id: DelayId) {
        let user = self.user.clone();
        self.asked.spawn(async move {
            match user.restart_delayed(&matrix::DelayId(id.0)).await {
                Ok(true) => Answer::Nothing,
                Ok(false) => Answer::ScheduledGone,
                Err(e) => {
                    // The next restart is due in seconds.
                    tracing::debug!(error = %e, "the scheduled leave could not be put off");
                    Answer::Nothing
                }
            }
        });
    }

    fn send_leave(&mut self, state_key: String, scheduled: Option<DelayId>) {
        let (user, room) = (self.user.clone(), self.room.clone());
        self.leave_by = Some(Instant::now() + LEAVE_WITHIN);
        self.asked.spawn(async move {
            if let Some(id) = scheduled
                && user.send_delayed(&matrix::DelayId(id.0)).await.unwrap_or(false)
            {
                return Answer::LeaveSent;
            }
            if let Err(e) = user.send_state(&room, MEMBER_EVENT, &state_key, json!({})).await {
                tracing::warn!(room = %room, error = %e, "the leave could not be sent");
            }
            Answer::LeaveSent
        });
    }

    fn share(&mut self, to: Vec<Member>, index: u8, key: &MediaKey) {
        let content = key_content(self.room.as_str(), &self.own, index, key, UnixMillis::now());
        let user = self.user.clone();
        self.asked.spawn(async move {
            let recipients: Vec<(OwnedUserId, OwnedDeviceId)> =
                to.iter().filter_map(|m| Some((m.user.as_str().try_into().ok()?, m.device.as_str().into()))).collect();
            let failed = user.send_media_key(&recipients, &content).await;
            let failed: Vec<Member> = failed.iter().map(|(u, d)| Member::new(u.as_str(), d.as_str())).collect();
            if !failed.is_empty() {
                tracing::warn!(failed = failed.len(), of = recipients.len(), index, "media key not sent, trying again");
            }
            if failed.is_empty() { Answer::Nothing } else { Answer::ShareFailed(failed, index) }
        });
    }

    fn answered(&mut self, answer: Answer) {
        let now = Now::read();
        match answer {
            Answer::Scheduled(id) => self.session.handle(now, SessionInput::LeaveScheduled(id)),
            Answer::Announced(Ok(event_id)) => self.session.handle(now, SessionInput::MembershipSent { event_id }),
            Answer::Announced(Err(problem)) => {
                self.failed = Some(problem);
                self.leave();
            }
            Answer::ScheduledGone => self.session.handle(now, SessionInput::ScheduledLeaveGone),
            Answer::ShareFailed(members, index) => self.session.handle_share_failed(now, &members, index),
            Answer::LeaveSent => self.session.handle(now, SessionInput::LeaveSent),
            Answer::Nothing => {}
        }
    }

    fn leave(&mut self) {
        self.session.handle(Now::read(), SessionInput::Leave);
    }

    async fn connect(&mut self) {
        let Some((token, options)) = self.joining.take() else { return };
        // Boxed: a large future that most of an attendance's life does without.
        match Box::pin(Participant::join(options)).await {
            Ok((media, events)) => {
                media.hear(self.hear.clone());
                if let Some((index, key)) = self.send_key.clone() {
                    media.set_send_key(index, &key);
                }
                for key in self.early_keys.drain(..) {
                    media.set_receive_key(ParticipantIdentity(key.member.identity()), key.index, &key.key);
                }
                self.media = Some(media);
                self.sfu = Some(events);
            }
            Err(error) => self.lost_media(&token.url, &error),
        }
    }

    fn lost_media(&mut self, url: &str, error: &SfuError) {
        tracing::warn!(room = %self.room, %error, "could not join the media server");
        self.failed = Some(AttendProblem::MediaServer(host_of(url)));
        self.leave();
    }

    fn roster_changed(&mut self) {
        let roster = Arc::clone(&self.roster.borrow_and_update());
        let now: HashMap<ParticipantIdentity, Member> = roster
            .members()
            .filter(|m| m.member != self.own)
            .map(|m| (ParticipantIdentity(m.member.identity()), m.member.clone()))
            .collect();
        if let Some(media) = &self.media {
            for gone in self.known.keys().filter(|k| !now.contains_key(*k)) {
                media.forget(gone);
            }
        }
        for gone in self.known.keys().filter(|k| !now.contains_key(*k)) {
            if let Some(Sink::Phone(phone)) = &self.sink {
                phone.party_left(gone.clone());
            }
        }
        self.known = now;
        self.session.handle_roster(Now::read(), &roster);
    }

    fn commanded(&mut self, command: Command) {
        match command {
            Command::Key(key) => match &self.media {
                Some(media) => media.set_receive_key(ParticipantIdentity(key.member.identity()), key.index, &key.key),
                None => self.early_keys.push(key),
            },
            Command::Sink(sink) => self.sink = Some(sink),
            Command::Hear(admitted) => {
                if let Some(media) = &self.media {
                    media.hear(admitted.clone());
                }
                self.hear = admitted;
            }
            Command::Leave => self.leave(),
        }
    }

    async fn sfu_event(&mut self, event: Option<SfuEvent>) {
        let Some(event) = event else {
            self.sfu = None;
            return;
        };
        match event {
            SfuEvent::Up => {
                if let (Some(participant), Some(membership_event)) = (self.media.clone(), self.membership_event.take())
                {
                    self.tell(Told::In { membership_event, participant }).await;
                }
            }
            SfuEvent::Frame(frame) => self.sound(frame),
            SfuEvent::KeyMissing(who) => {
                if let Some(member) = self.known.get(&who).cloned() {
                    self.tell(Told::KeyMissing(member)).await;
                }
            }
            SfuEvent::KeyWorks(who) => {
                if let Some(member) = self.known.get(&who).cloned() {
                    self.tell(Told::KeyWorks(member)).await;
                }
            }
            SfuEvent::Speaks(who) if !self.hear.admits(&who) => {
                if let Some(member) = self.known.get(&who).cloned() {
                    self.tell(Told::Speaks(member)).await;
                }
            }
            SfuEvent::ParticipantLeft(who) => {
                if let Some(Sink::Phone(phone)) = &self.sink {
                    phone.party_left(who);
                }
            }
            SfuEvent::Closed { reason } if reason != CloseReason::Left => {
                tracing::warn!(room = %self.room, ?reason, "the media server let us go");
                self.failed = Some(AttendProblem::MediaServer("the media server".to_owned()));
                self.leave();
            }
            _ => {}
        }
    }

    /// Sound of somebody with a membership goes on; that of anybody else has no business here.
    fn sound(&self, frame: RemoteFrame) {
        let Some(member) = self.known.get(&frame.from) else { return };
        match &self.sink {
            Some(Sink::Phone(phone)) => phone.frame(frame),
            // Full: the ears are stuck for a second; they conceal what is missing.
            Some(Sink::Scribe(to)) => drop(to.try_send((member.clone(), frame))),
            None => {}
        }
    }

    async fn tell(&self, told: Told) {
        let _ = self.told.send((self.who.clone(), told)).await;
    }
}

async fn next(events: &mut Option<mpsc::Receiver<SfuEvent>>) -> Option<SfuEvent> {
    match events {
        Some(events) => events.recv().await,
        None => std::future::pending().await,
    }
}

fn lost_homeserver(error: &MatrixError) -> AttendProblem {
    tracing::warn!(%error, "the homeserver let us down while joining a call");
    AttendProblem::Homeserver
}

impl Entrant {
    async fn user(self, house: &House) -> Result<VirtualUser, AttendProblem> {
        match self {
            Self::Bot => Ok(house.matrix.bot()),
            Self::Ghost { number, name } => {
                let label = phone_label(number.as_ref(), name.as_deref());
                house.matrix.ghost(number.as_ref(), &label).await.map_err(|e| lost_homeserver(&e))
            }
        }
    }
}

fn fresh_key() -> Option<MediaKey> {
    let mut bytes = zeroize::Zeroizing::new([0_u8; 16]);
    getrandom::fill(bytes.as_mut_slice()).ok()?;
    MediaKey::from_bytes(bytes.as_slice()).ok()
}

fn host_of(url: &str) -> String {
    reqwest::Url::parse(url)
        .ok()
        .and_then(|u| u.host_str().map(str::to_owned))
        .unwrap_or_else(|| "the media server".to_owned())
}

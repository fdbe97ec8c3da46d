//! One session at the SFU, from joining to its end: signalling, negotiation and media of one or two peer connections.
//!
//! * **Single** (`/rtc/v1`): we offer, the server answers. It says how many more receive lines it needs and expects a new
//!   offer each time, also for none (a free line is there, or a track has gone); str0m makes no offer without a change,
//!   so a spare line is toggled then. A line whose track has gone is inactive from the next answer on; the server gives
//!   it to the next track, but only if we offer to receive on it again. `Answer.mid_to_track_id` names the track behind
//!   each line.
//! * **Pair** (`/rtc`, servers before 1.9.10): we offer on the publisher's connection, the server on the subscriber's,
//!   where the second part of `a=msid` is the track.
//!
//! Tracks are subscribed to one by one, audio only: nobody's camera comes to a telephone.
//!
//! When only the signalling is lost it is resumed while media goes on. All else ends the session; the participant then
//! makes a new one.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use livekit_protocol as proto;
use livekit_signaling::{SignalClient, SignalError, SignalEvent, SignalEvents, SignalOptions};
use proto::signal_request::Message as Request;
use proto::signal_response::Message as Response;
use str0m::Candidate;
use str0m::channel::{ChannelConfig, Reliability};
use str0m::media::{Direction, Frequency, MediaData, MediaKind, MediaTime, Mid};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::participant::{Shared, Told};
use super::peer::{DATAGRAM, Peer};
use super::roster::{Changes, Roster};
use super::types::{CloseReason, Encryption, SfuError, SfuEvent};

/// From the join answer until media must flow.
const UP_WITHIN: Duration = Duration::from_secs(12);
/// For the server's answer to an offer.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);
/// How long ICE may have no working pair before the session is given up.
const ICE_GRACE: Duration = Duration::from_secs(4);
/// How long nothing at all may come on a connection that was up: both sides check the path every second or two. ICE by
/// itself takes 20 s to notice, and somebody is talking.
const SILENT_FOR: Duration = Duration::from_secs(6);
/// How long the reason may take that comes over the signalling after the server has closed the media connection. Who
/// joined anew at once would put out whoever has just taken over this identity.
const REASON_GRACE: Duration = Duration::from_secs(1);
/// Pauses before the attempts to resume the signalling; then the session is given up.
const RESUME_AFTER: [Duration; 3] = [Duration::ZERO, Duration::from_millis(300), Duration::from_millis(1_000)];
/// For each step of saying goodbye.
const GOODBYE: Duration = Duration::from_secs(2);
/// Requests on their way to the server. Full: the signalling is stuck, and the session ends.
const REQUESTS: usize = 64;

/// How a session ended.
#[derive(Debug)]
pub(super) enum End {
    /// We want to leave.
    Leave,
    /// For good.
    Final(CloseReason),
    /// The connection is lost; a new session may work.
    Lost(String),
}

type Resuming = Pin<Box<dyn Future<Output = Result<(), SignalError>> + Send>>;

pub(super) struct Session {
    signal: Arc<SignalClient>,
    events: SignalEvents,
    requests: mpsc::Sender<Request>,
    writer: JoinHandle<()>,
    resuming: Option<(usize, Resuming)>,
    /// Sends ours; receives too when single.
    publisher: Peer,
    /// Receives, in the pair.
    subscriber: Option<Peer>,
    tracks: HashMap<(Side, Mid), String>,
    spare: Option<(Mid, Direction)>,
    /// The lines that we receive on, when single.
    lines: Vec<Mid>,
    offer_id: u32,
    offered_at: Option<Instant>,
    want_microphone: bool,
    want_lines: u32,
    want_offer: bool,
    /// The track's name before the server has named it.
    track_id: String,
    track_sid: Option<String>,
    microphone: Option<Mid>,
    publish: bool,
    subscriber_primary: bool,
    sif_trailer: Vec<u8>,
    pub(super) up: bool,
    started: Instant,
    muted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Side {
    Publisher,
    Subscriber,
}

impl Session {
    /// Joins. `local`: see [`super::peer::local_addresses`].
    pub(super) async fn join(
        url: &str,
        token: &str,
        publish: bool,
        local: &[IpAddr],
        roster: &mut Roster,
        told: &mut Told,
    ) -> Result<Self, SfuError> {
        let now = Instant::now();
        let mut publisher = Peer::new(now, local)?;
        let mut spare = None;
        let offer = publisher.offer(|api| {
            let lossy = Reliability::MaxRetransmits { retransmits: 0 };
            api.add_channel_with_config(ChannelConfig {
                label: "_reliable".into(),
                ordered: true,
                ..Default::default()
            });
            api.add_channel_with_config(ChannelConfig {
                label: "_lossy".into(),
                ordered: false,
                reliability: lossy,
                ..Default::default()
            });
            spare = Some((api.add_media(MediaKind::Audio, Direction::Inactive, None, None, None), Direction::Inactive));
        });
        let mut options = SignalOptions::default();
        options.single_peer_connection = true;
        options.auto_subscribe = false;
        // 18 means data channels of fixed ids, which we have not.
        options.protocol_version = 17;
        options.client_capabilities = Vec::new();
        options.region_failover = false;
        let offer = offer.map(|sdp| session_description("offer", sdp, 1));
        let (signal, join, events) =
            SignalClient::connect(url, token, options, offer).await.map_err(|e| refusal(url, e))?;
        let signal = Arc::new(signal);
        let single = signal.is_single_pc_mode_active();
        let Some(me) = join.participant.as_ref() else {
            signal.close().await;
            return Err(SfuError::Unreachable("the join answer names no participant".into()));
        };
        let mut subscriber = None;
        if !single {
            publisher = Peer::new(now, local)?;
            subscriber = Some(Peer::new(now, local)?);
            spare = None;
        }
        let (requests, mut queue) = mpsc::channel(REQUESTS);
        let writer = tokio::spawn({
            let signal = Arc::clone(&signal);
            async move {
                while let Some(request) = queue.recv().await {
                    signal.send(request).await;
                }
            }
        });
        let mut session = Self {
            signal,
            events,
            requests,
            writer,
            resuming: None,
            publisher,
            subscriber,
            tracks: HashMap::new(),
            spare,
            lines: Vec::new(),
            offer_id: 1,
            offered_at: single.then_some(now),
            want_microphone: false,
            want_lines: 0,
            want_offer: false,
            track_id: track_id(),
            track_sid: None,
            microphone: None,
            publish,
            subscriber_primary: join.subscriber_primary,
            sif_trailer: join.sif_trailer,
            up: false,
            started: now,
            muted: false,
        };
        tracing::debug!(single, others = join.other_participants.len(), "joined the sfu room");
        let changes = roster.joined(&me.identity, &join.other_participants);
        if let Err(end) = session.changed(changes, told) {
            session.close(false).await;
            return Err(SfuError::Unreachable(format!("{end:?}")));
        }
        Ok(session)
    }

    /// Whether there is one peer connection only.
    pub(super) fn single(&self) -> bool {
        self.subscriber.is_none()
    }

    /// The newest token: servers renew it now and then.
    pub(super) fn token(&self) -> String {
        self.signal.token()
    }

    /// Runs until something ends it.
    pub(super) async fn run(&mut self, shared: &Shared, roster: &mut Roster, told: &mut Told) -> End {
        match self.drive(shared, roster, told).await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    /// Ends the session; with `leave` the server is told first, so that others see it at once.
    pub(super) async fn close(mut self, leave: bool) {
        if leave {
            let request = proto::LeaveRequest {
                reason: proto::DisconnectReason::ClientInitiated.into(),
                action: proto::leave_request::Action::Disconnect.into(),
                ..Default::default()
            };
            let _ = tokio::time::timeout(GOODBYE, self.signal.send(Request::Leave(request))).await;
        }
        self.resuming = None;
        self.writer.abort();
        let _ = (&mut self.writer).await;
        let _ = tokio::time::timeout(GOODBYE, self.signal.close()).await;
    }

    async fn drive(
        &mut self,
        shared: &Shared,
        roster: &mut Roster,
        told: &mut Told,
    ) -> Result<std::convert::Infallible, End> {
        if self.publish {
            self.request(Request::AddTrack(microphone_request(&self.track_id, shared.encryption)))?;
        }
        let (mut from_publisher, mut from_subscriber) = (vec![0; DATAGRAM], vec![0; DATAGRAM]);
        let mut deadline = Instant::now();
        loop {
            // Also when a steady flow of packets lets the select below never come to its timer.
            let now = Instant::now();
            if now >= deadline {
                self.publisher.wake(now).map_err(lost)?;
                if let Some(peer) = &mut self.subscriber {
                    peer.wake(now).map_err(lost)?;
                }
            }
            self.negotiate()?;
            deadline = self.drain(shared, roster, told).await?.min(Instant::now() + Duration::from_millis(100));
            self.mute(shared)?;
            if !told.flush() || shared.leave.is_cancelled() {
                return Err(End::Leave);
            }
            self.check(told)?;
            let (publisher, subscriber) = (&self.publisher, self.subscriber.as_ref());
            tokio::select! {
                biased;
                () = shared.leave.cancelled() => return Err(End::Leave),
                event = self.events.recv() => match event {
                    Some(SignalEvent::Message(message)) => self.handle(*message, roster, told)?,
                    Some(SignalEvent::Close(why)) => self.resume(0, &why)?,
                    None => return Err(End::Lost("the signalling has ended".into())),
                },
                outcome = resumed(&mut self.resuming) => match outcome {
                    (_, Ok(())) => tracing::info!("signalling resumed"),
                    (_, Err(SignalError::LeaveRequest { reason, action })) => return Err(told_to_leave(reason, action)),
                    (attempt, Err(error)) => self.resume(attempt + 1, &error.to_string())?,
                },
                arrived = poll_fn(|cx| {
                    if let Poll::Ready(arrived) = publisher.poll_receive(cx, &mut from_publisher) {
                        return Poll::Ready((Side::Publisher, arrived));
                    }
                    match subscriber {
                        Some(peer) => peer.poll_receive(cx, &mut from_subscriber).map(|a| (Side::Subscriber, a)),
                        None => Poll::Pending,
                    }
                }) => {
                    let now = Instant::now();
                    let (side, datagram) = arrived;
                    let bytes = match side {
                        Side::Publisher => &from_publisher[..datagram.length],
                        Side::Subscriber => &from_subscriber[..datagram.length],
                    };
                    if let Some(peer) = self.peer(side) {
                        peer.receive(now, &datagram, bytes).map_err(lost)?;
                    }
                }
                () = shared.audio_waits.notified() => {}
                () = tokio::time::sleep_until(deadline.into()) => {}
            }
        }
    }

    fn peer(&mut self, side: Side) -> Option<&mut Peer> {
        match side {
            Side::Publisher => Some(&mut self.publisher),
            Side::Subscriber => self.subscriber.as_mut(),
        }
    }

    fn request(&self, request: Request) -> Result<(), End> {
        self.requests.try_send(request).map_err(|_| End::Lost("the signalling takes no more requests".into()))
    }

    /// Makes the next offer if one is wanted and none is on its way.
    fn negotiate(&mut self) -> Result<(), End> {
        if self.publisher.waits_for_answer() || !(self.want_microphone || self.want_lines > 0 || self.want_offer) {
            return Ok(());
        }
        let microphone = std::mem::take(&mut self.want_microphone);
        let lines = std::mem::take(&mut self.want_lines);
        self.want_offer = false;
        let closed = self.closed_lines();
        let toggle = if microphone || lines > 0 || !closed.is_empty() { None } else { self.spare.as_mut() };
        let (mut added, mut added_lines, track_id) = (None, Vec::new(), self.track_id.clone());
        let offer = self.publisher.offer(|api| {
            if microphone {
                let stream = Some("roomtone".to_owned());
                added = Some(api.add_media(MediaKind::Audio, Direction::SendOnly, stream, Some(track_id), None));
            }
            for _ in 0..lines {
                added_lines.push(api.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None));
            }
            for mid in closed {
                api.set_direction(mid, Direction::RecvOnly);
            }
            if let Some((mid, direction)) = toggle {
                let other = *direction == Direction::Inactive;
                *direction = if other { Direction::SendOnly } else { Direction::Inactive };
                api.set_direction(*mid, *direction);
            }
        });
        if let Some(mid) = added {
            self.microphone = Some(mid);
        }
        self.lines.append(&mut added_lines);
        let Some(sdp) = offer else { return Ok(()) };
        self.offer_id += 1;
        self.offered_at = Some(Instant::now());
        self.request(Request::Offer(session_description("offer", sdp, self.offer_id)))
    }

    /// The lines that the server had nothing for when it answered last.
    fn closed_lines(&self) -> Vec<Mid> {
        let receives = |mid: &Mid| self.publisher.rtc.media(*mid).is_some_and(|m| m.direction().is_receiving());
        self.lines.iter().copied().filter(|mid| !receives(mid)).collect()
    }

    /// Drains both connections, sending what audio waits. Returns when they want to be woken.
    async fn drain(&mut self, shared: &Shared, roster: &Roster, told: &mut Told) -> Result<Instant, End> {
        let mut media = Vec::new();
        let mut deadline = self.publisher.drain(&mut media).await.map_err(lost)?;
        while let Some(frame) = self.next_audio(shared) {
            let Some(writer) = self.microphone.and_then(|mid| self.publisher.rtc.writer(mid)) else { break };
            let Some(pt) = writer.payload_params().next().map(str0m::format::PayloadParams::pt) else { break };
            let time = MediaTime::new(frame.timestamp, Frequency::FORTY_EIGHT_KHZ);
            let writer = match frame.level {
                Some(level) => writer.audio_level(level, level > super::participant::SPEECH_LEVEL),
                None => writer,
            };
            writer.write(pt, Instant::now(), time, frame.payload).map_err(lost)?;
            deadline = self.publisher.drain(&mut media).await.map_err(lost)?;
        }
        self.hear(Side::Publisher, &mut media, shared, roster, told);
        if let Some(subscriber) = &mut self.subscriber {
            deadline = deadline.min(subscriber.drain(&mut media).await.map_err(lost)?);
            self.hear(Side::Subscriber, &mut media, shared, roster, told);
        }
        Ok(deadline)
    }

    fn next_audio(&self, shared: &Shared) -> Option<super::participant::Ready> {
        // Before the session is up the queue keeps the newest 200 ms, and drops (counted) what is older.
        if self.up { shared.next_audio() } else { None }
    }

    fn hear(&self, side: Side, media: &mut Vec<MediaData>, shared: &Shared, roster: &Roster, told: &mut Told) {
        for data in media.drain(..) {
            let track = self.tracks.get(&(side, data.mid)).and_then(|sid| roster.track(sid));
            shared.hear(track, &self.sif_trailer, &data, told);
        }
    }

    /// Looks at what must have happened by now.
    fn check(&mut self, told: &mut Told) -> Result<(), End> {
        let now = Instant::now();
        if !self.up {
            let media = match &self.subscriber {
                None => self.publisher.connected,
                Some(_) if self.publish => self.publisher.connected,
                Some(subscriber) => subscriber.connected || !self.subscriber_primary,
            };
            let published = !self.publish || (self.microphone.is_some() && !self.publisher.waits_for_answer());
            if media && published {
                self.up = true;
                tracing::debug!(elapsed_ms = self.started.elapsed().as_millis() as u64, "media is up");
                told.tell(SfuEvent::Up);
            } else if now.duration_since(self.started) > UP_WITHIN {
                return Err(End::Lost(format!("media was not up within {} s", UP_WITHIN.as_secs())));
            }
        }
        if self.publisher.waits_for_answer() && self.offered_at.is_some_and(|at| now.duration_since(at) > ANSWER_WITHIN)
        {
            return Err(End::Lost(format!("no answer to an offer within {} s", ANSWER_WITHIN.as_secs())));
        }
        for peer in [Some(&self.publisher), self.subscriber.as_ref()].into_iter().flatten() {
            if peer.lost_since.is_some_and(|at| now.duration_since(at) > ICE_GRACE) {
                return Err(End::Lost("the media connection is lost".into()));
            }
            if peer.connected && now.saturating_duration_since(peer.heard_at) > SILENT_FOR {
                return Err(End::Lost(format!("nothing has come from the server for {} s", SILENT_FOR.as_secs())));
            }
            if peer.ended_since.is_some_and(|at| now.duration_since(at) > REASON_GRACE) {
                return Err(End::Lost("the media connection was ended by the server".into()));
            }
        }
        Ok(())
    }

    /// Tells the server when our track was muted or unmuted.
    fn mute(&mut self, shared: &Shared) -> Result<(), End> {
        let muted = shared.muted();
        if muted == self.muted || !self.up {
            return Ok(());
        }
        let Some(sid) = self.track_sid.clone() else { return Ok(()) };
        self.muted = muted;
        self.request(Request::Mute(proto::MuteTrackRequest { sid, muted }))
    }

    fn resume(&mut self, attempt: usize, why: &str) -> Result<(), End> {
        let Some(&pause) = RESUME_AFTER.get(attempt) else {
            return Err(End::Lost(format!("the signalling is lost: {why}")));
        };
        if !self.up {
            return Err(End::Lost(format!("the signalling was lost while joining: {why}")));
        }
        tracing::info!(attempt, cause = why, "signalling lost, resuming");
        let signal = Arc::clone(&self.signal);
        let resuming = async move {
            tokio::time::sleep(pause).await;
            signal.restart(proto::ReconnectReason::RrSignalDisconnected).await?;
            signal.set_reconnected().await;
            Ok(())
        };
        self.resuming = Some((attempt, Box::pin(resuming)));
        Ok(())
    }

    fn changed(&mut self, changes: Changes, told: &mut Told) -> Result<(), End> {
        for event in changes.events {
            told.tell(event);
        }
        if changes.new_tracks.is_empty() {
            return Ok(());
        }
        let mut by_owner: HashMap<String, Vec<String>> = HashMap::new();
        for (owner, track) in changes.new_tracks {
            by_owner.entry(owner).or_default().push(track);
        }
        self.request(Request::Subscription(proto::UpdateSubscription {
            track_sids: by_owner.values().flatten().cloned().collect(),
            subscribe: true,
            participant_tracks: by_owner
                .into_iter()
                .map(|(participant_sid, track_sids)| proto::ParticipantTracks { participant_sid, track_sids })
                .collect(),
        }))
    }

    fn handle(&mut self, message: Response, roster: &mut Roster, told: &mut Told) -> Result<(), End> {
        match message {
            Response::Answer(answer) => self.answered(answer)?,
            Response::Offer(offer) => self.offered(&offer)?,
            Response::Trickle(trickle) => self.trickled(&trickle),
            Response::TrackPublished(published) if published.cid == self.track_id && self.track_sid.is_none() => {
                self.want_microphone = true;
                self.track_sid = published.track.map(|track| track.sid);
            }
            // Lines for video are never given, and asking again for them after each answer must not make us offer for ever.
            Response::MediaSectionsRequirement(need) if need.num_audios > 0 || need.num_videos == 0 => {
                self.want_lines = self.want_lines.saturating_add(need.num_audios).min(256);
                self.want_offer = true;
            }
            Response::Update(update) => self.changed(roster.updated(&update.participants), told)?,
            Response::SpeakersChanged(change) => {
                let events = roster.speaking(&change.speakers);
                self.changed(Changes { events, new_tracks: Vec::new() }, told)?;
            }
            Response::Leave(leave) => return Err(told_to_leave(leave.reason(), leave.action())),
            Response::SubscriptionResponse(response) => {
                tracing::info!(track = response.track_sid, error = response.err, "the sfu could not subscribe us");
            }
            Response::RequestResponse(response) if response.reason != 0 => {
                tracing::info!(reason = response.reason, cause = response.message, "the sfu refused a request");
            }
            _ => {}
        }
        Ok(())
    }

    fn answered(&mut self, answer: proto::SessionDescription) -> Result<(), End> {
        // Servers that number answers repeat the offer's number; older ones send 0.
        if answer.id != 0 && answer.id != self.offer_id {
            tracing::debug!(answer = answer.id, offer = self.offer_id, "an answer to an earlier offer is passed over");
            return Ok(());
        }
        for (mid, track) in answer.mid_to_track_id {
            self.tracks.insert((Side::Publisher, mid.as_str().into()), track);
        }
        self.publisher.answered(&answer.sdp).map_err(|why| End::Lost(format!("the answer does not fit: {why}")))
    }

    fn offered(&mut self, offer: &proto::SessionDescription) -> Result<(), End> {
        let Some(subscriber) = &mut self.subscriber else { return Ok(()) };
        let sdp = subscriber.offered(&offer.sdp).map_err(|why| End::Lost(format!("the offer does not fit: {why}")))?;
        for (mid, track) in tracks_in_offer(&offer.sdp) {
            self.tracks.insert((Side::Subscriber, mid.into()), track.to_owned());
        }
        self.request(Request::Answer(session_description("answer", sdp, offer.id)))
    }

    fn trickled(&mut self, trickle: &proto::TrickleRequest) {
        let candidate = serde_json::from_str::<serde_json::Value>(&trickle.candidate_init)
            .ok()
            .and_then(|init| Candidate::from_sdp_string(init["candidate"].as_str()?).ok());
        let Some(candidate) = candidate else { return };
        match &mut self.subscriber {
            Some(subscriber) if trickle.target() == proto::SignalTarget::Subscriber => {
                subscriber.rtc.add_remote_candidate(candidate);
            }
            _ => self.publisher.rtc.add_remote_candidate(candidate),
        }
    }
}

async fn resumed(resuming: &mut Option<(usize, Resuming)>) -> (usize, Result<(), SignalError>) {
    match resuming {
        Some((attempt, future)) => {
            let outcome = (*attempt, future.await);
            *resuming = None;
            outcome
        }
        None => std::future::pending().await,
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
fn lost(error: str0m::RtcError) -> End {
    End::Lost(format!("the media connection failed: {error}"))
}

fn session_description(kind: &str, sdp: String, id: u32) -> proto::SessionDescription {
    proto::SessionDescription { r#type: kind.into(), sdp, id, ..Default::default() }
}

#[allow(deprecated, reason = "the server still reads disable_dtx, and its successor is not in all servers")]
fn microphone_request(track_id: &str, encryption: Encryption) -> proto::AddTrackRequest {
    let encryption = match encryption {
        Encryption::Required => proto::encryption::Type::Gcm,
        Encryption::Off => proto::encryption::Type::None,
    };
    proto::AddTrackRequest {
        cid: track_id.into(),
        name: "microphone".into(),
        r#type: proto::TrackType::Audio.into(),
        source: proto::TrackSource::Microphone.into(),
        disable_red: true,
        disable_dtx: true,
        encryption: encryption.into(),
        ..Default::default()
    }
}

fn track_id() -> String {
    let mut random = [0; 8];
    // Without randomness the id is still good: it need only be new in this session.
    let _ = getrandom::fill(&mut random);
    format!("mic-{:016x}", u64::from_be_bytes(random))
}

/// The lines of an offer with their tracks: mid, and the second part of `a=msid`.
fn tracks_in_offer(sdp: &str) -> impl Iterator<Item = (&str, &str)> {
    sdp.split("\nm=").skip(1).filter_map(|section| {
        let attribute = |name: &str| section.lines().find_map(|line| line.strip_prefix(name));
        let track = attribute("a=msid:")?.split_whitespace().nth(1)?;
        Some((attribute("a=mid:")?.trim(), track))
    })
}

fn told_to_leave(reason: proto::DisconnectReason, action: proto::leave_request::Action) -> End {
    use proto::DisconnectReason as Reason;
    match reason {
        Reason::DuplicateIdentity => End::Final(CloseReason::DuplicateIdentity),
        Reason::ParticipantRemoved => End::Final(CloseReason::Removed),
        Reason::RoomDeleted | Reason::RoomClosed => End::Final(CloseReason::RoomClosed),
        Reason::ServerShutdown
        | Reason::StateMismatch
        | Reason::JoinFailure
        | Reason::Migration
        | Reason::SignalClose
        | Reason::ConnectionTimeout
        | Reason::MediaFailure => End::Lost(format!("the server ended the session: {}", reason.as_str_name())),
        _ if action == proto::leave_request::Action::Disconnect => {
            End::Final(CloseReason::ServerSaid(reason.as_str_name().to_owned()))
        }
        _ => End::Lost(format!("the server asks to connect again: {}", reason.as_str_name())),
    }
}

fn refusal(url: &str, error: SignalError) -> SfuError {
    match error {
        SignalError::UrlParse(why) => SfuError::Address { url: url.to_owned(), why },
        SignalError::TokenFormat => {
            SfuError::Refused { status: 401, why: "the token has characters no token has".into() }
        }
        SignalError::Client(status, why) => SfuError::Refused { status: status.as_u16(), why },
        SignalError::Handshake { status } if status.is_client_error() => {
            SfuError::Refused { status: status.as_u16(), why: "the websocket was refused".into() }
        }
        SignalError::LeaveRequest { reason, .. } => SfuError::Ended { reason: Some(reason.as_str_name().to_owned()) },
        other => SfuError::Unreachable(other.to_string()),
    }
}

/// The addresses of the SFU's host.
pub(super) async fn host_addresses(url: &str) -> Result<Vec<SocketAddr>, SfuError> {
    let wrong = |why: &str| SfuError::Address { url: url.to_owned(), why: why.to_owned() };
    let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong("no scheme"))?;
    let port = match scheme {
        "ws" | "http" => 80,
        "wss" | "https" => 443,
        _ => return Err(wrong("the scheme is not ws, wss, http or https")),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let with_port = if host.rsplit_once(':').is_some_and(|(before, port)| {
        !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) && (!before.contains(':') || before.ends_with(']'))
    }) {
        host.to_owned()
    } else {
        format!("{host}:{port}")
    };
    let found = tokio::net::lookup_host(&with_port).await;
    Ok(found.map_err(|error| SfuError::Unreachable(format!("{host}: {error}")))?.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tracks_of_an_offer_are_found_by_their_lines() {
        let sdp = "v=0\r\nm=application 9 X\r\na=mid:0\r\nm=audio 9 X\r\na=mid:1\r\na=msid:PA_x TR_y\r\nm=audio 9 X\r\na=mid:2\r\n";
        assert_eq!(tracks_in_offer(sdp).collect::<Vec<_>>(), [("1", "TR_y")]);
    }

    #[test]
    fn only_what_the_server_means_for_good_is_final() {
        use proto::{DisconnectReason as Reason, leave_request::Action};
        for (reason, action, last) in [
            (Reason::DuplicateIdentity, Action::Disconnect, true),
            (Reason::ParticipantRemoved, Action::Disconnect, true),
            (Reason::RoomDeleted, Action::Disconnect, true),
            (Reason::UnknownReason, Action::Disconnect, true),
            (Reason::UnknownReason, Action::Reconnect, false),
            (Reason::ServerShutdown, Action::Disconnect, false),
            (Reason::StateMismatch, Action::Reconnect, false),
        ] {
            assert_eq!(matches!(told_to_leave(reason, action), End::Final(_)), last, "{reason:?} {action:?}");
        }
    }

    #[tokio::test]
    async fn the_host_of_an_address_is_found_in_all_its_forms() {
        for (url, want) in [
            ("ws://127.0.0.1:7880", "127.0.0.1:7880"),
            ("wss://127.0.0.1/livekit?x=a:1", "127.0.0.1:443"),
            ("http://[::1]:7880/", "[::1]:7880"),
            ("http://[::1]", "[::1]:80"),
        ] {
            assert_eq!(host_addresses(url).await.unwrap(), [want.parse().unwrap()], "{url}");
        }
        assert!(matches!(host_addresses("ftp://x").await, Err(SfuError::Address { .. })));
        assert!(matches!(host_addresses("127.0.0.1").await, Err(SfuError::Address { .. })));
    }
}

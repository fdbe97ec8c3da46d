//! The handle of a participant, and the one task behind it that joins, runs sessions and comes back after a loss.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use str0m::media::{Frequency, MediaData};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::frame_crypto::FrameSealer;
use super::hearing::{Hearing, KeyChange, Sender};
use super::keys::MediaKey;
use super::peer::local_addresses;
use super::roster::{Roster, Track};
use super::session::{End, Session, host_addresses};
use super::types::{
    Admitted, CloseReason, Encryption, JoinOptions, ParticipantIdentity, RemoteFrame, SfuError, SfuEvent, SfuStats,
};

/// Events that may wait to be taken. Full: frames are dropped and counted, all else waits.
const EVENTS: usize = 1_024;
/// Events other than frames that may wait beyond that. Full: nobody listens any more, and we leave.
const WAITING: usize = 4_096;
/// Our frames that may wait to be sent: 200 ms. Full: the oldest is dropped and counted.
const AUDIO: usize = 10;
/// Pauses between the attempts to come back; the last one goes on.
const BACK_OFF: [u64; 6] = [0, 250, 500, 1_000, 2_000, 4_000];
/// For the last events to be taken after the end.
const LAST_EVENTS: Duration = Duration::from_secs(10);
/// The audio level above which a frame is marked as speech, dBov.
pub(super) const SPEECH_LEVEL: i8 = -50;

/// A participant in an SFU room: one connection, clones of the handle share it. When the last clone is dropped it
/// leaves.
#[derive(Clone)]
pub struct Participant {
    shared: Arc<Shared>,
    _leaves_when_dropped: Arc<DropGuard>,
}

struct OutFrame {
    packet: Bytes,
    timestamp: u64,
    level: Option<i8>,
}

/// A frame of ours as it goes out.
pub(super) struct Ready {
    pub(super) payload: Vec<u8>,
    pub(super) timestamp: u64,
    pub(super) level: Option<i8>,
}

struct State {
    hearing: Hearing,
    sealer: FrameSealer,
    audio: VecDeque<OutFrame>,
    timestamp: u64,
    muted: bool,
    stats: SfuStats,
}

/// What handle and task share.
pub(super) struct Shared {
    pub(super) encryption: Encryption,
    pub(super) leave: CancellationToken,
    pub(super) audio_waits: Notify,
    left: CancellationToken,
    state: Mutex<State>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn muted(&self) -> bool {
        self.state().muted
    }

    /// The next frame of ours, encrypted if it must be.
    pub(super) fn next_audio(&self) -> Option<Ready> {
        let mut state = self.state();
        let state = &mut *state;
        loop {
            let OutFrame { packet, timestamp, level } = state.audio.pop_front()?;
            let payload = match self.encryption {
                Encryption::Off => packet.to_vec(),
                // RTP time is 32 bits on the wire.
                Encryption::Required => match state.sealer.seal(timestamp as u32, &packet) {
                    Ok(sealed) => sealed,
                    Err(_) => {
                        state.stats.dropped_without_key += 1;
                        continue;
                    }
                },
            };
            state.stats.frames_sent += 1;
            return Some(Ready { payload, timestamp, level });
        }
    }

    /// Decides on one frame of another and tells what is to be told.
    pub(super) fn hear(&self, track: Option<&Track>, trailer: &[u8], data: &MediaData, told: &mut Told) {
        let mut state = self.state();
        let State { hearing, stats, .. } = &mut *state;
        let Some(track) = track else {
            stats.dropped_unknown += u64::from(!data.data.is_empty());
            return;
        };
        let sender = Sender { who: &track.owner, visit: track.visit, declared: track.declared };
        let heard = hearing.take(sender, trailer, &data.data, stats);
        match heard.key {
            Some(KeyChange::Missing) => told.tell(SfuEvent::KeyMissing(track.owner.clone())),
            Some(KeyChange::Works) => told.tell(SfuEvent::KeyWorks(track.owner.clone())),
            None => {}
        }
        if let Some(audio) = heard.audio {
            let frame = RemoteFrame {
                from: track.owner.clone(),
                stream: track.stream,
                sequence: **data.seq_range.start(),
                timestamp: data.time.rebase(Frequency::FORTY_EIGHT_KHZ).numer(),
                arrived: data.network_time,
                audio,
            };
            if !told.frame(frame) {
                stats.dropped_events_full += 1;
            }
        }
    }
}

/// The way of events to whoever listens.
pub(super) struct Told {
    to: mpsc::Sender<SfuEvent>,
    waiting: VecDeque<SfuEvent>,
    deaf: bool,
}

impl Told {
    /// An event that must not be lost: it waits if it must.
    pub(super) fn tell(&mut self, event: SfuEvent) {
        self.waiting.push_back(event);
        self.flush();
    }

    fn frame(&mut self, frame: RemoteFrame) -> bool {
        self.waiting.is_empty() && self.to.try_send(SfuEvent::Frame(frame)).is_ok()
    }

    /// Gives what waits; false when nobody listens any more.
    pub(super) fn flush(&mut self) -> bool {
        while let Some(event) = self.waiting.pop_front() {
            match self.to.try_send(event) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(event)) => {
                    self.waiting.push_front(event);
                    break;
                }
                Err(mpsc::error::TrySendError::Closed(_)) => {
                    self.waiting.clear();
                    self.deaf = true;
                }
            }
        }
        !self.deaf && !self.to.is_closed() && self.waiting.len() < WAITING
    }

    async fn finish(mut self, reason: CloseReason) {
        self.waiting.push_back(SfuEvent::Closed { reason });
        let all = async {
            for event in self.waiting {
                if self.to.send(event).await.is_err() {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(LAST_EVENTS, all).await;
    }
}

impl Participant {
    /// Joins the room that the token names. Tries the single peer connection first and the older pair where the server
    /// has no other. Returns when the server has let us in; [`SfuEvent::Up`] tells when media flows.
    ///
    /// Later losses are repaired inside, with the same (or the server's renewed) token; [`SfuEvent::Closed`] is the
    /// last event.
    ///
    /// # Errors
    /// [`SfuError`]; the first join is tried once only.
    pub async fn join(options: JoinOptions) -> Result<(Self, mpsc::Receiver<SfuEvent>), SfuError> {
        let hosts = host_addresses(&options.url).await?;
        let local = local_addresses(&hosts);
        let mut source = [0; 4];
        getrandom::fill(&mut source).map_err(|error| SfuError::Unreachable(format!("no randomness: {error}")))?;
        let (to, events) = mpsc::channel(EVENTS);
        let mut told = Told { to, waiting: VecDeque::new(), deaf: false };
        let mut roster = Roster::default();
        let token = options.token.expose_secret();
        let session = Session::join(&options.url, token, options.publish, &local, &mut roster, &mut told).await?;
        let leave = CancellationToken::new();
        let stats = SfuStats { single_peer_connection: session.single(), ..Default::default() };
        let shared = Arc::new(Shared {
            encryption: options.encryption,
            leave: leave.clone(),
            audio_waits: Notify::new(),
            left: CancellationToken::new(),
            state: Mutex::new(State {
                hearing: Hearing::new(options.encryption),
                sealer: FrameSealer::new(source),
                audio: VecDeque::with_capacity(AUDIO),
                timestamp: 0,
                muted: false,
                stats,
            }),
        });
        let task = Task { options, local, shared: Arc::clone(&shared), roster, told };
        tokio::spawn(task.run(session));
        Ok((Self { shared, _leaves_when_dropped: Arc::new(leave.drop_guard()) }, events))
    }

    /// The key for our frames from the next one on.
    pub fn set_send_key(&self, index: u8, key: &MediaKey) {
        self.shared.state().sealer.set_key(index, key);
    }

    /// A key of another participant. May come before they do.
    pub fn set_receive_key(&self, from: ParticipantIdentity, index: u8, key: &MediaKey) {
        self.shared.state().hearing.set_key(from, index, key);
    }

    /// Drops all keys of a participant.
    pub fn forget(&self, from: &ParticipantIdentity) {
        self.shared.state().hearing.forget(from);
    }

    /// From the next frame on only these are heard. Everyone, until this is called.
    pub fn hear(&self, admitted: Admitted) {
        self.shared.state().hearing.admit(admitted);
    }

    /// Sends one Opus packet of `samples_48k` samples (960 are 20 ms). Never blocks. More than 200 ms waiting: the oldest
    /// is dropped, counted in [`SfuStats::dropped_not_sent`].
    pub fn send_opus(&self, packet: Bytes, samples_48k: u32) {
        self.send(packet, samples_48k, None);
    }

    /// As [`Participant::send_opus`], with how loud it is (-127 to 0 dBov), which is what shows others that we speak.
    /// The level is not encrypted, as in all clients.
    pub fn send_opus_with_level(&self, packet: Bytes, samples_48k: u32, level: i8) {
        self.send(packet, samples_48k, Some(level.clamp(-127, 0)));
    }

    fn send(&self, packet: Bytes, samples_48k: u32, level: Option<i8>) {
        let mut state = self.shared.state();
        let timestamp = state.timestamp;
        state.timestamp += u64::from(samples_48k);
        if state.audio.len() >= AUDIO {
            state.audio.pop_front();
            state.stats.dropped_not_sent += 1;
        }
        state.audio.push_back(OutFrame { packet, timestamp, level });
        drop(state);
        self.shared.audio_waits.notify_one();
    }

    /// Shows our track as muted to the others, or not. What is sent is up to the caller.
    pub fn set_muted(&self, muted: bool) {
        self.shared.state().muted = muted;
        self.shared.audio_waits.notify_one();
    }

    /// Leaves: the server is told, then everything is closed. Returns when that is done, at most some seconds later.
    pub async fn leave(&self) {
        self.shared.leave.cancel();
        self.shared.left.cancelled().await;
    }

    /// Counts so far.
    #[must_use]
    pub fn stats(&self) -> SfuStats {
        self.shared.state().stats
    }
}

impl std::fmt::Debug for Participant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Participant").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

struct Task {
    options: JoinOptions,
    local: Vec<IpAddr>,
    shared: Arc<Shared>,
    roster: Roster,
    told: Told,
}

impl Task {
    async fn run(mut self, first: Session) {
        // Whatever ends this task, a panic too, whoever waits in `leave` goes on.
        let left = self.shared.left.clone().drop_guard();
        let mut session = first;
        let reason = loop {
            let end = session.run(&self.shared, &mut self.roster, &mut self.told).await;
            let token = session.token();
            match end {
                End::Leave => {
                    session.close(true).await;
                    break CloseReason::Left;
                }
                End::Final(reason) => {
                    session.close(false).await;
                    break reason;
                }
                End::Lost(why) => {
                    tracing::warn!(cause = why, "the sfu connection is lost");
                    let was_up = session.up;
                    session.close(false).await;
                    if was_up {
                        self.told.tell(SfuEvent::Interrupted);
                    }
                    self.shared.state().stats.interruptions += 1;
                    self.options.token = SecretString::from(token);
                    match self.come_back(why).await {
                        Ok(new) => session = new,
                        Err(reason) => break reason,
                    }
                }
            }
        };
        tracing::info!(?reason, "left the sfu room");
        drop(left);
        self.told.finish(reason).await;
    }

    async fn come_back(&mut self, mut last: String) -> Result<Session, CloseReason> {
        let lost = Instant::now();
        let mut attempts = 0;
        loop {
            let pause = BACK_OFF[(attempts as usize).min(BACK_OFF.len() - 1)];
            // Many participants lose one server at the same moment: they shall not come back at the same moment.
            let mut random = [0];
            let _ = getrandom::fill(&mut random);
            let pause = Duration::from_millis(pause + pause * u64::from(random[0]) / 1_024);
            if lost.elapsed() + pause > self.options.patience {
                return Err(CloseReason::GaveUp { attempts, last });
            }
            let Task { options, local, shared, roster, told } = self;
            tokio::select! {
                biased;
                () = shared.leave.cancelled() => return Err(CloseReason::Left),
                () = tokio::time::sleep(pause) => {}
            }
            if !told.flush() {
                return Err(CloseReason::Left);
            }
            attempts += 1;
            let token = options.token.expose_secret();
            let joining = Session::join(&options.url, token, options.publish, local, roster, told);
            let joined = tokio::select! {
                biased;
                () = shared.leave.cancelled() => return Err(CloseReason::Left),
                joined = joining => joined,
            };
            match joined {
                Ok(session) => {
                    shared.state().stats.single_peer_connection = session.single();
                    return Ok(session);
                }
                Err(SfuError::Refused { status, .. }) => return Err(CloseReason::Refused { status }),
                Err(error) => {
                    tracing::info!(attempts, %error, "the sfu did not let us back in yet");
                    last = error.to_string();
                }
            }
        }
    }
}

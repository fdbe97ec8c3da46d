//! The task of a leg, and its handle.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::clock::Clock;
use super::room::{Prompt, RoomSound, RoomStats};
use crate::audio::{Made, OpusEncoder, PHONE_FRAME, PHONE_RATE, Signal, level};
use crate::livekit::{Participant, ParticipantIdentity, RemoteFrame};
use crate::rtp::{FrameKind, RtpOutput, RtpSession, RtpStats};
use crate::sip::PhoneMedia;
use crate::time::Now;

/// Frames of the room that may wait for the task: more than a second of three speakers. Full: the new one is dropped
/// and counted; the jitter buffer takes it for lost.
const FRAMES: usize = 256;
/// Commands that may wait. Full: the command is refused.
const COMMANDS: usize = 64;
/// Events that may wait to be taken. Full: statistics are dropped, all else waits.
const EVENTS: usize = 64;
/// Digits and such that may wait beyond that. Full: the oldest is dropped.
const WAITING: usize = 256;
/// The longest datagram taken.
const DATAGRAM: usize = 2_048;
/// Samples of 48 kHz in one frame.
const FRAME_48K: u32 = 960;
/// A sine at full scale has this level in dBov, where 0 is a square wave (RFC 6464 section 3).
const SINE_DBOV: f32 = -3.0;

/// What may be set about a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhoneSettings {
    /// Without RTP from the phone for so long, [`PhoneEvent::MediaTimeout`] is told. 30 s: phones on hold send nothing
    /// for a while, and a dead one should not keep a room waiting.
    pub media_timeout: Duration,
    /// How often [`PhoneEvent::Stats`] comes. 5 s.
    pub stats_every: Duration,
}

impl Default for PhoneSettings {
    fn default() -> Self {
        Self { media_timeout: Duration::from_secs(30), stats_every: Duration::from_secs(5) }
    }
}

/// What a leg tells.
#[derive(Debug, Clone, PartialEq)]
pub enum PhoneEvent {
    /// A key was pressed: 0 to 9, `*`, `#`, A to D. Once per press. It may be part of a PIN: not for logs.
    Digit(char),
    /// The first sound has come from the phone.
    FirstAudioFromPhone,
    /// The first sound of the room has gone to the phone.
    FirstAudioToPhone,
    /// All prompts have been played to their end.
    PromptsOver,
    /// Nothing has come from the phone for [`PhoneSettings::media_timeout`]. Told again if it comes back and goes again.
    MediaTimeout,
    /// How it goes, now and then.
    Stats(Box<LegStats>),
}

/// Counts and measures of a leg.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LegStats {
    /// Between us and the phone; [`RtpStats::mos`] is the listening quality of what came from it.
    pub rtp: RtpStats,
    /// From the room to the phone.
    pub room: RoomStats,
    /// Frames of the room dropped before the jitter buffer because the task was behind.
    pub frames_not_taken: u64,
    /// 20 ms steps left out after stalls of the machine.
    pub skipped: u64,
}

impl LegStats {
    /// Estimated quality of what was heard from the phone, 1 (bad) to 4.4 (as good as the telephone gets); `None` before
    /// anything was.
    #[must_use]
    pub fn mos(&self) -> Option<f32> {
        self.rtp.mos
    }
}

enum Command {
    Moved { remote: SocketAddr, remote_rtcp: SocketAddr, held: bool },
    Left(ParticipantIdentity),
    Play(Prompt),
    StopPrompts,
}

/// A running leg; clones share it. When the last one is dropped the leg stops.
#[derive(Clone)]
pub struct PhoneLeg {
    frames: mpsc::Sender<RemoteFrame>,
    commands: mpsc::Sender<Command>,
    not_taken: Arc<AtomicU64>,
    stop: CancellationToken,
    ended: watch::Receiver<Option<LegStats>>,
    _stops_when_dropped: Arc<DropGuard>,
}

impl std::fmt::Debug for PhoneLeg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PhoneLeg").finish_non_exhaustive()
    }
}

impl PhoneLeg {
    /// Starts the leg's task: from now on sound flows.
    #[must_use]
    pub fn start(media: PhoneMedia, sfu: Participant) -> (Self, mpsc::Receiver<PhoneEvent>) {
        Self::start_with(media, sfu, PhoneSettings::default())
    }

    /// As [`PhoneLeg::start`], with other settings.
    #[must_use]
    pub fn start_with(
        media: PhoneMedia,
        sfu: Participant,
        settings: PhoneSettings,
    ) -> (Self, mpsc::Receiver<PhoneEvent>) {
        let (frames, frames_in) = mpsc::channel(FRAMES);
        let (commands, commands_in) = mpsc::channel(COMMANDS);
        let (events, events_out) = mpsc::channel(EVENTS);
        let (ended_in, ended) = watch::channel(None);
        let stop = CancellationToken::new();
        let not_taken = Arc::new(AtomicU64::new(0));
        let PhoneMedia { rtp, rtcp, config } = media;
        let now = Instant::now();
        let task = Task {
            rtp,
            rtcp,
            session: RtpSession::new(config),
            sfu,
            encoder: OpusEncoder::new(PHONE_RATE).expect("8 kHz is a rate of opus"),
            room: RoomSound::new(),
            clock: Clock::start(now),
            settings,
            events,
            waiting: VecDeque::new(),
            not_taken: Arc::clone(&not_taken),
            started: now,
            held: false,
            next_stats: now + settings.stats_every,
            heard_phone: false,
            heard_room: false,
            timeout_told_for: None,
        };
        let stopped = stop.clone();
        tokio::spawn(async move {
            let stats = task.run(frames_in, commands_in, &stopped).await;
            let _ = ended_in.send(Some(stats));
        });
        let guard = Arc::new(stop.clone().drop_guard());
        let leg = Self { frames, commands, not_taken, stop, ended, _stops_when_dropped: guard };
        (leg, events_out)
    }

    /// A frame of a party that the phone may hear. Never blocks; dropped and counted when the task is far behind.
    pub fn frame(&self, frame: RemoteFrame) {
        if self.frames.try_send(frame).is_err() {
            self.not_taken.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The party is not heard any more, not even what has come already.
    pub fn party_left(&self, who: ParticipantIdentity) {
        // Without this the party falls silent by itself when its buffer is empty.
        let _ = self.commands.try_send(Command::Left(who));
    }

    /// Plays something to the caller after what is playing already. False when too much waits or the leg has ended.
    pub fn play(&self, prompt: Prompt) -> bool {
        self.commands.try_send(Command::Play(prompt)).is_ok()
    }

    /// Sounds a signal over the room. False as in [`PhoneLeg::play`].
    pub fn play_tone(&self, signal: &Signal) -> bool {
        self.play(Prompt::signal(signal))
    }

    /// The phone moved its media, or is `held` now: then it may be silent for as long as it likes.
    pub fn remote_changed(&self, remote: SocketAddr, remote_rtcp: SocketAddr, held: bool) {
        let _ = self.commands.try_send(Command::Moved { remote, remote_rtcp, held });
    }

    /// Stops all prompts at once (a key was pressed while they played).
    pub fn stop_prompts(&self) {
        let _ = self.commands.try_send(Command::StopPrompts);
    }

    /// Stops the leg and closes its sockets. The participant goes on: who made it leaves it.
    pub async fn stop(&self) -> LegStats {
        self.stop.cancel();
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(stats) => stats.clone().unwrap_or_default(),
            // The task broke off: nothing is known.
            Err(_) => LegStats::default(),
        }
    }
}

struct Task {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    session: RtpSession,
    sfu: Participant,
    encoder: OpusEncoder,
    room: RoomSound,
    clock: Clock,
    settings: PhoneSettings,
    events: mpsc::Sender<PhoneEvent>,
    waiting: VecDeque<PhoneEvent>,
    not_taken: Arc<AtomicU64>,
    /// When the phone could be heard at the earliest: the start, or the end of a hold.
    started: Instant,
    held: bool,
    next_stats: Instant,
    heard_phone: bool,
    heard_room: bool,
    /// When the phone was last heard before the timeout that has been told.
    timeout_told_for: Option<Instant>,
}

impl Task {
    async fn run(
        mut self,
        mut frames: mpsc::Receiver<RemoteFrame>,
        mut commands: mpsc::Receiver<Command>,
        stop: &CancellationToken,
    ) -> LegStats {
        let (mut rtp, mut rtcp) = (vec![0; DATAGRAM], vec![0; DATAGRAM]);
        loop {
            // Fair: neither a flood of packets nor of commands keeps the others waiting for long.
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep_until(self.clock.next().into()) => {
                    for _ in 0..self.clock.due(Instant::now()) {
                        self.tick();
                    }
                    self.look_around();
                }
                got = self.rtp.recv_from(&mut rtp) => {
                    if let Some((length, source)) = datagram(got) {
                        self.session.handle_rtp(Now::read(), source, &rtp[..length]);
                    }
                }
                got = self.rtcp.recv_from(&mut rtcp) => {
                    if let Some((length, source)) = datagram(got) {
                        self.session.handle_rtcp(Now::read(), source, &rtcp[..length]);
                    }
                }
                Some(frame) = frames.recv() => self.room.frame(frame),
                Some(command) = commands.recv() => match command {
                    Command::Moved { remote, remote_rtcp, held } => {
                        self.session.set_remote(remote, remote_rtcp);
                        self.held = held;
                        self.started = Instant::now();
                    }
                    Command::Left(who) => self.room.party_left(&who),
                    Command::Play(prompt) => {
                        if !self.room.play(prompt) {
                            tracing::warn!("a prompt was dropped: too many wait");
                        }
                    }
                    Command::StopPrompts => self.room.stop_prompts(),
                },
            }
            self.drain().await;
        }
        self.session.close(Now::read());
        self.drain().await;
        self.stats()
    }

    /// 20 ms in each direction.
    fn tick(&mut self) {
        let now = Now::read();
        let phone = self.session.play_out(now);
        if phone.kind == FrameKind::Voice && !self.heard_phone {
            self.heard_phone = true;
            self.tell(PhoneEvent::FirstAudioFromPhone);
        }
        let packet = self.encoder.encode(&phone.pcm).expect("20 ms at 8 kHz is a frame of opus");
        let loud = (level(&phone.pcm) + SINE_DBOV).clamp(-127.0, 0.0) as i8;
        self.sfu.send_opus_with_level(packet, FRAME_48K, loud);
        let mut out = [0; PHONE_FRAME];
        let tick = self.room.tick(now.mono, &mut out);
        if tick.room == Made::Voice && !self.heard_room {
            self.heard_room = true;
            self.tell(PhoneEvent::FirstAudioToPhone);
        }
        if tick.prompts_over {
            self.tell(PhoneEvent::PromptsOver);
        }
        self.session.send(now, &out);
    }

    fn look_around(&mut self) {
        let now = Instant::now();
        let heard = self.session.last_heard().map_or(self.started, |at| at.max(self.started));
        if !self.held
            && now.saturating_duration_since(heard) >= self.settings.media_timeout
            && self.timeout_told_for != Some(heard)
        {
            self.timeout_told_for = Some(heard);
            self.tell(PhoneEvent::MediaTimeout);
        }
        if now >= self.next_stats {
            self.next_stats = now + self.settings.stats_every;
            let _ = self.events.try_send(PhoneEvent::Stats(Box::new(self.stats())));
        }
        self.flush();
    }

    async fn drain(&mut self) {
        while let Some(output) = self.session.poll_output() {
            // A datagram that cannot be sent is a lost one.
            let _ = match output {
                RtpOutput::Rtp { to, bytes } => self.rtp.send_to(&bytes, to).await,
                RtpOutput::Rtcp { to, bytes } => self.rtcp.send_to(&bytes, to).await,
                RtpOutput::Digit(digit) => {
                    self.tell(PhoneEvent::Digit(digit.reveal()));
                    Ok(0)
                }
            };
        }
    }

    fn tell(&mut self, event: PhoneEvent) {
        if self.waiting.len() >= WAITING {
            self.waiting.pop_front();
            tracing::warn!("the leg's events are not taken: one was dropped");
        }
        self.waiting.push_back(event);
        self.flush();
    }

    fn flush(&mut self) {
        while let Some(event) = self.waiting.pop_front() {
            if let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(event) {
                self.waiting.push_front(event);
                break;
            }
        }
    }

    fn stats(&self) -> LegStats {
        LegStats {
            rtp: self.session.stats(),
            room: self.room.stats(),
            frames_not_taken: self.not_taken.load(Ordering::Relaxed),
            skipped: self.clock.skipped(),
        }
    }
}

/// Errors of a UDP socket belong to some packet sent before (no such port, say): the media timeout will tell.
fn datagram(got: io::Result<(usize, SocketAddr)>) -> Option<(usize, SocketAddr)> {
    got.ok()
}

//! One phone leg's media: RTP in and out, RTCP, keys pressed. Sans-IO.
//!
//! The driver owns two sockets and a 20 ms clock:
//!
//! - each datagram goes to [`RtpSession::handle_rtp`] or [`RtpSession::handle_rtcp`];
//! - each 20 ms, [`RtpSession::play_out`] gives what the phone said, [`RtpSession::send`] takes what it shall hear;
//! - after any of them [`RtpSession::poll_output`] is drained. Reports go out by themselves, as time is told.
//!
//! Nothing that comes from the network is an error: what cannot be used is dropped and counted ([`Dropped`]).

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::conceal::Concealer;
use super::dtmf::{Digit, DtmfReceiver, EventPayload};
use super::jitter::{JitterBuffer, JitterConfig, Popped};
use super::latch::Latch;
use super::packet::{RtpPacket, is_rtcp};
use super::quality;
use super::reception::Reception;
use super::rtcp::{self, Rtcp, SenderInfo};
use super::stats::{Dropped, RtpStats};
use crate::audio::g711::G711;
use crate::audio::{PHONE_FRAME, PHONE_RATE};
use crate::time::Now;

/// Comfort noise, RFC 3389: static payload type.
const COMFORT_NOISE: u8 = 13;
/// Longest G.711 packet taken: 200 ms.
const MAX_PAYLOAD: usize = 1_600;
/// Mean time between reports, RFC 3550 6.2.
const REPORT_EVERY: Duration = Duration::from_secs(5);
/// Seconds from 1900 to 1970.
const NTP_EPOCH: u64 = 2_208_988_800;
/// Datagrams waiting for the driver at most.
const MAX_OUTPUT: usize = 64;

/// What a session needs to know. The random values come from outside, so that any call can be replayed.
#[derive(Debug, Clone)]
pub struct RtpConfig {
    /// The negotiated codec, for sending. Received packets are decoded by their own payload type, 0 or 8.
    pub codec: G711,
    /// RTP payload type of the codec.
    pub payload_type: u8,
    /// RTP payload type of key presses (RFC 4733); `None`: not negotiated.
    pub telephone_event: Option<u8>,
    /// Where SDP says to send; the real source takes its place ([`super::Latch`]).
    pub remote: SocketAddr,
    /// Where SDP says RTCP goes: `a=rtcp`, or the port above. RFC 3605.
    pub remote_rtcp: SocketAddr,
    /// RTCP on the RTP port, RFC 5761.
    pub rtcp_mux: bool,
    /// Ours, random.
    pub ssrc: u32,
    /// First sequence number, random.
    pub first_sequence: u16,
    /// First timestamp, random.
    pub first_timestamp: u32,
    /// Canonical name in reports; says nothing of who calls. RFC 7022.
    pub cname: String,
}

/// What one 20 ms of the phone holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// Received sound.
    Voice,
    /// Made up in place of lost sound.
    Concealed,
    /// Nothing was sent (or the buffer fills); comfort noise where the phone asked for it.
    Silence,
}

/// 20 ms at 8 kHz from the phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhoneFrame {
    /// 16-bit samples.
    pub pcm: [i16; PHONE_FRAME],
    /// Where they are from.
    pub kind: FrameKind,
}

/// What the driver is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RtpOutput {
    /// Send from the RTP socket.
    Rtp {
        /// Receiver.
        to: SocketAddr,
        /// Datagram.
        bytes: Bytes,
    },
    /// Send from the RTCP socket.
    Rtcp {
        /// Receiver.
        to: SocketAddr,
        /// Datagram.
        bytes: Bytes,
    },
    /// A key was pressed. Once per press.
    Digit(Digit),
}

enum Media {
    Voice(G711, Bytes),
    Noise(u8),
}

/// See the module.
pub struct RtpSession {
    config: RtpConfig,
    latch: Latch,
    jitter: JitterBuffer<Media>,
    packet_samples: usize,
    reception: Option<Reception>,
    other_ssrc: Option<(u32, u8)>,
    dtmf: DtmfReceiver,
    concealer: Concealer,
    pcm: VecDeque<(i16, FrameKind)>,
    noise: Option<u8>,
    noise_seed: u32,
    sequence: u16,
    timestamp: u32,
    sent: SenderInfo,
    last_sent: Option<Instant>,
    anchor: Option<Now>,
    next_report: Option<Instant>,
    last_heard: Option<Instant>,
    goodbye: bool,
    stats: RtpStats,
    output: VecDeque<RtpOutput>,
}

impl RtpSession {
    /// A session that has sent and heard nothing yet.
    #[must_use]
    pub fn new(config: RtpConfig) -> Self {
        Self {
            latch: Latch::new(config.remote),
            jitter: JitterBuffer::new(JitterConfig::phone()),
            packet_samples: PHONE_FRAME,
            reception: None,
            other_ssrc: None,
            dtmf: DtmfReceiver::default(),
            concealer: Concealer::default(),
            pcm: VecDeque::with_capacity(MAX_PAYLOAD * 2),
            noise: None,
            noise_seed: config.ssrc | 1,
            sequence: config.first_sequence,
            timestamp: config.first_timestamp,
            sent: SenderInfo::default(),
            last_sent: None,
            anchor: None,
            next_report: None,
            last_heard: None,
            goodbye: false,
            stats: RtpStats::default(),
            output: VecDeque::new(),
            config,
        }
    }

    /// One datagram from the RTP socket.
    pub fn handle_rtp(&mut self, now: Now, source: SocketAddr, datagram: &[u8]) {
        self.handle_timeout(now);
        if is_rtcp(datagram) {
            self.handle_rtcp(now, source, datagram);
            return;
        }
        let Ok(packet) = RtpPacket::parse(datagram) else {
            self.stats.dropped.malformed += 1;
            return;
        };
        if packet.ssrc == self.config.ssrc {
            self.stats.dropped.looped += 1;
            return;
        }
        let Some(kind) = self.kind(&packet) else {
            self.stats.dropped.unknown += 1;
            return;
        };
        if !self.latch.accept(now.mono, source, packet.ssrc, packet.sequence) {
            self.stats.dropped.foreign += 1;
            return;
        }
        if !self.take_stream(packet.ssrc) {
            self.stats.dropped.foreign += 1;
            return;
        }
        self.last_heard = Some(now.mono);
        let Some(reception) = &mut self.reception else { return };
        let (sequence, timestamp) =
            reception.packet(now.mono, packet.sequence, packet.timestamp, !matches!(kind, Kind::Event));
        self.stats.received += 1;
        self.stats.received_bytes += packet.payload.len() as u64;
        match kind {
            Kind::Voice(codec) => {
                if packet.payload.len() != self.packet_samples {
                    self.packet_samples = packet.payload.len();
                    self.jitter.set_frame(packet.payload.len() as u32);
                }
                let media = Media::Voice(codec, Bytes::copy_from_slice(packet.payload));
                self.jitter.insert(sequence, timestamp, now.mono, media);
            }
            Kind::Noise => {
                let level = packet.payload.first().map_or(70, |level| level & 0x7f);
                self.jitter.insert(sequence, timestamp, now.mono, Media::Noise(level));
            }
            Kind::Event => {
                self.jitter.skip(sequence);
                let Some(event) = EventPayload::parse(packet.payload) else { return };
                if let Some(digit) = self.dtmf.handle(timestamp, event) {
                    self.stats.digits += 1;
                    self.push(RtpOutput::Digit(digit));
                }
            }
        }
    }

    /// One datagram from the RTCP socket.
    pub fn handle_rtcp(&mut self, now: Now, source: SocketAddr, datagram: &[u8]) {
        self.handle_timeout(now);
        let Ok(packets) = rtcp::parse(datagram) else {
            self.stats.dropped.malformed_rtcp += 1;
            return;
        };
        if source.ip() != self.latch.to().ip() && source.ip() != self.config.remote_rtcp.ip() {
            self.stats.dropped.foreign += 1;
            return;
        }
        if !self.config.rtcp_mux && source.ip() == self.latch.to().ip() {
            self.config.remote_rtcp = source;
        }
        for packet in packets {
            match packet {
                Rtcp::SenderReport { ssrc, sent, blocks } => {
                    if let Some(r) = self.reception.as_mut().filter(|r| r.ssrc == ssrc) {
                        r.last_report = Some(((sent.ntp >> 16) as u32, now.mono));
                    }
                    self.far_report(now, &blocks);
                }
                Rtcp::ReceiverReport { blocks, .. } => self.far_report(now, &blocks),
                Rtcp::Goodbye { .. } => self.stats.goodbyes += 1,
                Rtcp::Description { .. } | Rtcp::Other(_) => {}
            }
            self.stats.rtcp_received += 1;
        }
    }

    /// The next 20 ms of what the phone says. Call each 20 ms, whether something came or not.
    pub fn play_out(&mut self, now: Now) -> PhoneFrame {
        self.handle_timeout(now);
        while self.pcm.len() < PHONE_FRAME {
            self.decode_next(now.mono);
        }
        let mut frame = PhoneFrame { pcm: [0; PHONE_FRAME], kind: FrameKind::Silence };
        let (mut voice, mut made) = (0, 0);
        for (slot, (sample, kind)) in frame.pcm.iter_mut().zip(self.pcm.drain(..PHONE_FRAME)) {
            *slot = sample;
            voice += usize::from(kind == FrameKind::Voice);
            made += usize::from(kind == FrameKind::Concealed);
        }
        frame.kind = match (voice, made) {
            (0, 0) => FrameKind::Silence,
            (v, m) if m > v => FrameKind::Concealed,
            _ => FrameKind::Voice,
        };
        match frame.kind {
            FrameKind::Voice => self.stats.voice += 1,
            FrameKind::Concealed => self.stats.concealed += 1,
            FrameKind::Silence => self.stats.silent += 1,
        }
        frame
    }

    /// Sends 20 ms to the phone. Call each 20 ms, with zeros where there is nothing to hear: a steady stream keeps NAT
    /// bindings and the far jitter buffer alive.
    pub fn send(&mut self, now: Now, pcm: &[i16; PHONE_FRAME]) {
        self.handle_timeout(now);
        let mut payload = Vec::with_capacity(PHONE_FRAME);
        self.config.codec.encode_into(pcm, &mut payload);
        let packet = RtpPacket {
            marker: self.sent.packets == 0,
            payload_type: self.config.payload_type,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.config.ssrc,
            payload: &payload,
        };
        let bytes = packet.build();
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(PHONE_FRAME as u32);
        self.sent.packets = self.sent.packets.wrapping_add(1);
        self.sent.octets = self.sent.octets.wrapping_add(payload.len() as u32);
        self.last_sent = Some(now.mono);
        self.stats.sent += 1;
        self.push(RtpOutput::Rtp { to: self.latch.to(), bytes });
    }

    /// Follows the signalling to a new address (re-INVITE).
    pub fn set_remote(&mut self, remote: SocketAddr, remote_rtcp: SocketAddr) {
        if remote != self.config.remote {
            self.latch.announce(remote);
            self.config.remote = remote;
            self.config.remote_rtcp = remote_rtcp;
        }
    }

    /// Tells the time; reports that are due go out. The other calls that take a time do it too.
    pub fn handle_timeout(&mut self, now: Now) {
        self.anchor.get_or_insert(now);
        let Some(due) = self.next_report else {
            self.next_report = Some(now.mono + REPORT_EVERY / 2);
            return;
        };
        if now.mono >= due && !self.goodbye {
            self.report(now);
            // 0.75 to 1.25 of the mean, so that reports of many calls do not fall together.
            let spread = self.random() % 2_500;
            self.next_report = Some(now.mono + Duration::from_millis(3_750 + u64::from(spread)));
        }
    }

    /// When [`RtpSession::handle_timeout`] is next of use.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.goodbye { None } else { self.next_report }
    }

    /// What to do, until `None`.
    pub fn poll_output(&mut self) -> Option<RtpOutput> {
        self.output.pop_front()
    }

    /// The last report, with goodbye. Drain [`RtpSession::poll_output`] once more, then drop the session.
    pub fn close(&mut self, now: Now) {
        if !self.goodbye {
            self.goodbye = true;
            self.report(now);
        }
    }

    /// When something of the peer's was last heard; `None`: never. For the media timeout.
    #[must_use]
    pub fn last_heard(&self) -> Option<Instant> {
        self.last_heard
    }

    /// Where RTP goes now.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.latch.to()
    }

    /// Counts and measures so far.
    #[must_use]
    pub fn stats(&self) -> RtpStats {
        let mut s = self.stats.clone();
        s.jitter_buffer = self.jitter.stats();
        s.depth = self.jitter.target();
        if let Some(r) = &self.reception {
            s.jitter_ms = f32::from(u16::try_from(r.jitter()).unwrap_or(u16::MAX)) * 1_000.0 / PHONE_RATE as f32;
            s.lost += u64::try_from(r.lost()).unwrap_or(0);
        }
        let heard = s.voice + s.concealed;
        if heard > 0 {
            let one_way = s.round_trip.unwrap_or_default() / 2 + s.depth + Duration::from_millis(40);
            s.mos = Some(quality::mos(one_way, s.concealed as f32 / heard as f32));
        }
        s
    }

    fn kind(&self, packet: &RtpPacket<'_>) -> Option<Kind> {
        let len = packet.payload.len();
        match packet.payload_type {
            pt if Some(pt) == self.config.telephone_event => (len >= 4).then_some(Kind::Event),
            COMFORT_NOISE => Some(Kind::Noise),
            pt => {
                let codec = match pt {
                    0 => G711::Pcmu,
                    8 => G711::Pcma,
                    pt if pt == self.config.payload_type => self.config.codec,
                    _ => return None,
                };
                (1..=MAX_PAYLOAD).contains(&len).then_some(Kind::Voice(codec))
            }
        }
    }

    /// The peer's stream, or its next one after two packets of it (a transfer behind the far switch).
    fn take_stream(&mut self, ssrc: u32) -> bool {
        match &self.reception {
            Some(r) if r.ssrc == ssrc => {
                self.other_ssrc = None;
                return true;
            }
            None => {}
            Some(old) => {
                let seen = self.other_ssrc.filter(|(other, _)| *other == ssrc).map_or(1, |(_, seen)| seen + 1);
                if seen < 2 {
                    self.other_ssrc = Some((ssrc, seen));
                    return false;
                }
                self.stats.lost += u64::try_from(old.lost()).unwrap_or(0);
                self.stats.streams += 1;
                self.jitter.reset();
                self.dtmf.reset();
                self.noise = None;
            }
        }
        self.other_ssrc = None;
        self.reception = Some(Reception::new(ssrc, PHONE_RATE));
        true
    }

    fn decode_next(&mut self, now: Instant) {
        match self.jitter.pop(now) {
            Popped::Frame(Media::Voice(codec, bytes)) => {
                self.noise = None;
                let mut pcm = Vec::with_capacity(bytes.len());
                codec.decode_into(&bytes, &mut pcm);
                self.concealer.real(&mut pcm);
                self.pcm.extend(pcm.into_iter().map(|s| (s, FrameKind::Voice)));
            }
            Popped::Frame(Media::Noise(level)) => {
                self.noise = Some(level);
                self.fill_silence();
            }
            Popped::Lost if self.noise.is_none() => {
                let mut pcm = vec![0; self.packet_samples];
                self.concealer.conceal(&mut pcm);
                self.pcm.extend(pcm.into_iter().map(|s| (s, FrameKind::Concealed)));
            }
            Popped::Lost | Popped::Empty => self.fill_silence(),
        }
    }

    fn fill_silence(&mut self) {
        let samples = PHONE_FRAME;
        self.concealer.silence(samples);
        // RFC 3389: level in -dBov; full scale square wave is 0 dBov. White noise stands for the spectrum.
        let amplitude = self.noise.map_or(0.0, |level| 32_767.0 * 10_f32.powf(-f32::from(level.max(30)) / 20.0));
        for _ in 0..samples {
            let sample = if amplitude < 1.0 {
                0
            } else {
                // Uniform noise of width ±a has an RMS of a/√3.
                let unit = (self.random() & 0xffff) as f32 / 32_768.0 - 1.0;
                (unit * amplitude * 1.732) as i16
            };
            self.pcm.push_back((sample, FrameKind::Silence));
        }
    }

    fn far_report(&mut self, now: Now, blocks: &[rtcp::ReportBlock]) {
        let Some(block) = blocks.iter().find(|b| b.ssrc == self.config.ssrc) else { return };
        self.stats.far_lost = Some(f32::from(block.fraction_lost) / 256.0);
        self.stats.far_jitter_ms = Some(block.jitter as f32 * 1_000.0 / PHONE_RATE as f32);
        if block.last_report != 0 {
            let middle = (self.ntp(now) >> 16) as u32;
            let trip = middle.wrapping_sub(block.last_report).wrapping_sub(block.delay);
            // Far clocks round; what comes out negative or absurd is none.
            if trip < 10 * 65_536 {
                self.stats.round_trip = Some(Duration::from_micros(u64::from(trip) * 1_000_000 / 65_536));
            }
        }
    }

    fn report(&mut self, now: Now) {
        let block: Vec<_> = self.reception.as_mut().map(|r| r.report(now.mono)).into_iter().collect();
        let since = self.last_sent.map_or(Duration::ZERO, |at| now.mono.saturating_duration_since(at));
        let sent = (self.sent.packets > 0).then(|| SenderInfo {
            ntp: self.ntp(now),
            rtp: self.timestamp.wrapping_add((since.as_micros() * u128::from(PHONE_RATE) / 1_000_000) as u32),
            ..self.sent
        });
        let bytes = rtcp::build(self.config.ssrc, sent, &block, &self.config.cname, self.goodbye);
        self.stats.rtcp_sent += 1;
        let output = if self.config.rtcp_mux {
            RtpOutput::Rtp { to: self.latch.to(), bytes }
        } else {
            RtpOutput::Rtcp { to: self.config.remote_rtcp, bytes }
        };
        self.push(output);
    }

    /// NTP time on our monotonic clock: a step of the wall clock is no round trip.
    fn ntp(&self, now: Now) -> u64 {
        let anchor = self.anchor.unwrap_or(now);
        let since = now.mono.saturating_duration_since(anchor.mono);
        let millis = u128::from(anchor.wall.0) + u128::from(NTP_EPOCH) * 1_000;
        let micros = millis * 1_000 + since.as_micros();
        let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
        ((seconds as u64) << 32) | ((rest << 32) / 1_000_000) as u64
    }

    fn push(&mut self, output: RtpOutput) {
        if self.output.len() >= MAX_OUTPUT {
            self.output.pop_front();
            self.stats.dropped.unsent += 1;
        }
        self.output.push_back(output);
    }

    /// Noise and report times: xorshift from the SSRC, nothing secret.
    fn random(&mut self) -> u32 {
        let mut x = self.noise_seed;
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        self.noise_seed = x;
        x
    }
}

enum Kind {
    Voice(G711),
    Noise,
    Event,
}

impl Dropped {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.malformed + self.malformed_rtcp + self.unknown + self.foreign + self.looped + self.unsent
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;

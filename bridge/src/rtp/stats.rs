//! Counts and measures of one phone leg.

use std::time::Duration;

use super::jitter::JitterStats;

/// One leg's media so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RtpStats {
    /// RTP packets taken from the peer.
    pub received: u64,
    /// Their payload bytes.
    pub received_bytes: u64,
    /// RTP packets sent.
    pub sent: u64,
    /// Packets of the peer that never came (gaps in its numbers), late ones not counted.
    pub lost: u64,
    /// Interarrival jitter as in RFC 3550 6.4.1, milliseconds.
    pub jitter_ms: f32,
    /// 20 ms frames of received sound that were played.
    pub voice: u64,
    /// 20 ms frames that were made up.
    pub concealed: u64,
    /// 20 ms frames of silence.
    pub silent: u64,
    /// Keys pressed.
    pub digits: u64,
    /// Times that the peer went on with another stream.
    pub streams: u64,
    /// To the peer and back, by RTCP. `None` until its second report.
    pub round_trip: Option<Duration>,
    /// Share of our packets that the peer lost lately, 0 to 1, as it reports.
    pub far_lost: Option<f32>,
    /// Jitter of our stream there, milliseconds, as it reports.
    pub far_jitter_ms: Option<f32>,
    /// Estimated opinion score of what was heard from the phone, 1 to 4.5. `None` before anything was.
    pub mos: Option<f32>,
    /// RTCP packets in.
    pub rtcp_received: u64,
    /// RTCP compounds out.
    pub rtcp_sent: u64,
    /// RTCP goodbyes in.
    pub goodbyes: u64,
    /// Depth that the jitter buffer aims at.
    pub depth: Duration,
    /// The jitter buffer's own counts.
    pub jitter_buffer: JitterStats,
    /// Datagrams that were of no use, by cause.
    pub dropped: Dropped,
}

/// Datagrams dropped, by cause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Not RTP.
    pub malformed: u64,
    /// Not RTCP.
    pub malformed_rtcp: u64,
    /// A payload type that was not negotiated, or an impossible payload.
    pub unknown: u64,
    /// From someone who is not the peer, or of a stream that is not (yet) its.
    pub foreign: u64,
    /// Our own stream came back.
    pub looped: u64,
    /// Outgoing, never fetched by the driver.
    pub unsent: u64,
}

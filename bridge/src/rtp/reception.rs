//! What is known of one received stream, for reports. RFC 3550 A.1, A.3, A.8.

use std::time::Instant;

use super::number::{WideSequence, WideTimestamp};
use super::rtcp::ReportBlock;

/// One SSRC as received.
#[derive(Debug, Clone)]
pub(super) struct Reception {
    pub(super) ssrc: u32,
    sequence: WideSequence,
    timestamp: WideTimestamp,
    base: Option<u64>,
    highest: u64,
    pub(super) received: u64,
    reported: (u64, u64),
    /// Interarrival jitter in RTP units, times 16.
    jitter16: u64,
    last_transit: Option<(Instant, u64)>,
    clock_rate: u32,
    /// Middle of the last sender report's NTP time, and when it came.
    pub(super) last_report: Option<(u32, Instant)>,
}

impl Reception {
    pub(super) fn new(ssrc: u32, clock_rate: u32) -> Self {
        Self {
            ssrc,
            sequence: WideSequence::default(),
            timestamp: WideTimestamp::default(),
            base: None,
            highest: 0,
            received: 0,
            reported: (0, 0),
            jitter16: 0,
            last_transit: None,
            clock_rate,
            last_report: None,
        }
    }

    /// One packet: its widened sequence number and timestamp. `audio`: it counts for jitter (key presses repeat their
    /// timestamp).
    pub(super) fn packet(&mut self, now: Instant, sequence: u16, timestamp: u32, audio: bool) -> (u64, u64) {
        let sequence = self.sequence.widen(sequence);
        let timestamp = self.timestamp.widen(timestamp);
        self.received += 1;
        self.base = Some(self.base.map_or(sequence, |b| b.min(sequence)));
        self.highest = self.highest.max(sequence);
        if audio {
            if let Some((at, ts)) = self.last_transit {
                let wall =
                    now.saturating_duration_since(at).as_micros() as i128 * i128::from(self.clock_rate) / 1_000_000;
                let media = i128::from(timestamp) - i128::from(ts);
                let d = u64::try_from((wall - media).unsigned_abs()).unwrap_or(u64::MAX);
                // Silence that was not sent and new starts are no jitter.
                if d < u64::from(self.clock_rate) {
                    self.jitter16 = (self.jitter16 + d).saturating_sub((self.jitter16 + 8) / 16);
                }
            }
            self.last_transit = Some((now, timestamp));
        }
        (sequence, timestamp)
    }

    /// Lost since the start: expected less received; doubles count against it.
    pub(super) fn lost(&self) -> i64 {
        self.expected() as i64 - self.received as i64
    }

    pub(super) fn expected(&self) -> u64 {
        self.base.map_or(0, |base| self.highest - base + 1)
    }

    /// RTP units.
    pub(super) fn jitter(&self) -> u32 {
        u32::try_from(self.jitter16 / 16).unwrap_or(u32::MAX)
    }

    /// The block for the next report; begins a new interval for its fraction.
    pub(super) fn report(&mut self, now: Instant) -> ReportBlock {
        let (expected, received) = (self.expected(), self.received);
        let expected_now = expected - self.reported.0.min(expected);
        let lost_now = expected_now.saturating_sub(received - self.reported.1);
        self.reported = (expected, received);
        let fraction = (lost_now * 256).checked_div(expected_now).unwrap_or(0).min(255);
        ReportBlock {
            ssrc: self.ssrc,
            fraction_lost: fraction as u8,
            lost: self.lost().clamp(-0x80_0000, 0x7f_ffff) as i32,
            // The first number is one turn up: take that off, keep the wraps.
            highest: self.highest.wrapping_sub(1 << 16) as u32,
            jitter: self.jitter(),
            last_report: self.last_report.map_or(0, |(middle, _)| middle),
            delay: self.last_report.map_or(0, |(_, at)| {
                u32::try_from(now.saturating_duration_since(at).as_micros() * 65_536 / 1_000_000).unwrap_or(u32::MAX)
            }),
        }
    }
}

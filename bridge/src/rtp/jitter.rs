//! An adaptive jitter buffer for any codec's frames and any RTP clock.
//!
//! Packets go in as they arrive ([`JitterBuffer::insert`]), frames come out on the listener's clock
//! ([`JitterBuffer::pop`], once per frame time). No socket and no clock inside.
//!
//! How it decides:
//!
//! 1. Each packet's transit (arrival minus RTP time) goes into a window of the last 256. The fastest of them is the
//!    reference; the **target** depth is the 98th percentile above it, plus one frame, within the configured bounds.
//! 2. The first packet waits for the target depth, then the play-out point moves one frame per `pop`.
//! 3. A hole with later packets behind it is lost. While the depth is below the target the play-out point waits one frame
//!    instead, so the buffer grows exactly when it was too shallow.
//! 4. Nothing there at all: the point waits (the listener conceals). What then comes either was late, and the buffer has
//!    grown by the wait, or was lost, and the wait is paid back at once.
//! 5. Deeper than the target for two seconds: one frame is left out.
//! 6. A jump in RTP time without a jump in sequence is silence that was not sent (DTX): `Empty`, not `Lost`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Transit times looked back at: 5 s of 20 ms frames.
const WINDOW: usize = 256;
/// Packets held at most, whatever their times say.
const MAX_PACKETS: usize = 150;
/// Pops with nothing in the buffer that are called `Lost`; after that it is `Empty`.
const CONCEAL_POPS: u32 = 5;
/// A step in RTP time beyond this is a new stream, not a gap.
const RESYNC: Duration = Duration::from_secs(5);
/// A transit that differs this much from the fastest begins a new measurement.
const EPOCH: Duration = Duration::from_secs(1);
/// How long the buffer must have been too deep before a frame is left out.
const SHRINK_AFTER: Duration = Duration::from_secs(2);

/// Bounds and clock of a [`JitterBuffer`].
#[derive(Debug, Clone, Copy)]
pub struct JitterConfig {
    /// RTP clock, Hz: 8000 for G.711, 48000 for Opus.
    pub clock_rate: u32,
    /// RTP time of one frame: 160 for 20 ms at 8 kHz, 960 at 48 kHz. See [`JitterBuffer::set_frame`].
    pub frame: u32,
    /// Depth before anything is known of the network.
    pub initial: Duration,
    /// The target never goes below this.
    pub min: Duration,
    /// The target never goes above this; what is later is lost.
    pub max: Duration,
}

impl JitterConfig {
    /// 20 ms frames of an 8 kHz phone codec: starts at 40 ms, 20 to 200 ms.
    #[must_use]
    pub const fn phone() -> Self {
        Self {
            clock_rate: 8_000,
            frame: 160,
            initial: Duration::from_millis(40),
            min: Duration::from_millis(20),
            max: Duration::from_millis(200),
        }
    }

    /// 20 ms frames of Opus (RTP clock 48 kHz whatever its bandwidth, RFC 7587 4.1): starts at 40 ms, 20 to 300 ms.
    #[must_use]
    pub const fn opus() -> Self {
        Self {
            clock_rate: 48_000,
            frame: 960,
            initial: Duration::from_millis(40),
            min: Duration::from_millis(20),
            max: Duration::from_millis(300),
        }
    }
}

/// What there is to play for one frame time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Popped<T> {
    /// The frame.
    Frame(T),
    /// One is missing: conceal. [`JitterBuffer::following`] may hold the next one (in-band FEC).
    Lost,
    /// Nothing is being sent, or the buffer is filling: silence.
    Empty,
}

/// What has happened so far. All are counts of packets or frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JitterStats {
    /// Packets taken.
    pub inserted: u64,
    /// Frames played.
    pub played: u64,
    /// Frames that never came in time, or at all: given up at their play-out point.
    pub lost: u64,
    /// Packets that came after their frame was given up: dropped.
    pub late: u64,
    /// Packets that were there already: dropped.
    pub duplicate: u64,
    /// Packets that came after one with a higher number.
    pub reordered: u64,
    /// Packets dropped because the buffer was full.
    pub overflow: u64,
    /// Waits of one frame time that deepened the buffer or bridged a stall.
    pub stretched: u64,
    /// Frames left out to make the buffer shallower.
    pub shrunk: u64,
    /// Starts anew after a jump in time that no gap explains.
    pub resynced: u64,
}

struct Entry<T> {
    timestamp: u64,
    payload: T,
}

/// See the module.
pub struct JitterBuffer<T> {
    config: JitterConfig,
    packets: BTreeMap<u64, Entry<T>>,
    /// Numbers beyond `done` that carried no audio.
    skipped: BTreeSet<u64>,
    /// RTP time that the next pop plays. `None`: filling.
    next: Option<u64>,
    /// When the buffer began to fill.
    filling_since: Option<Instant>,
    /// The highest number that was played or given up; older ones are late.
    done: Option<u64>,
    highest: Option<u64>,
    /// Pops since the play-out point last moved.
    held: u32,
    /// Arrival and RTP time to which transits are relative.
    origin: Option<(Instant, u64)>,
    transits: Vec<i64>,
    transit_at: usize,
    /// Fastest transit of the window, µs.
    fastest: i64,
    target: Duration,
    since_target: u32,
    deep_since: Option<Instant>,
    fec: bool,
    stats: JitterStats,
}

impl<T> JitterBuffer<T> {
    /// An empty buffer.
    #[must_use]
    pub fn new(config: JitterConfig) -> Self {
        Self {
            config,
            packets: BTreeMap::new(),
            skipped: BTreeSet::new(),
            next: None,
            filling_since: None,
            done: None,
            highest: None,
            held: 0,
            origin: None,
            transits: Vec::with_capacity(WINDOW),
            transit_at: 0,
            fastest: 0,
            target: config.initial.clamp(config.min, config.max),
            since_target: 0,
            deep_since: None,
            fec: false,
            stats: JitterStats::default(),
        }
    }

    /// Adds one packet. `sequence` and `timestamp` are widened ([`super::WideSequence`], [`super::WideTimestamp`]);
    /// `arrived`: when the socket gave it; `payload`: one codec frame. Late, double or too many: dropped and counted.
    /// Never blocks. RFC 3550 A.1.
    pub fn insert(&mut self, sequence: u64, timestamp: u64, arrived: Instant, payload: T) {
        if self.jumped(sequence, timestamp) {
            self.reset();
            self.stats.resynced += 1;
        }
        self.note_transit(timestamp, arrived);
        if self.done.is_some_and(|done| sequence <= done) {
            self.stats.late += 1;
            return;
        }
        if self.packets.contains_key(&sequence) {
            self.stats.duplicate += 1;
            return;
        }
        if self.highest.is_some_and(|highest| sequence < highest) {
            self.stats.reordered += 1;
        }
        self.highest = self.highest.max(Some(sequence));
        if self.packets.len() >= MAX_PACKETS
            && let Some((dropped, _)) = self.packets.pop_first()
        {
            self.done = self.done.max(Some(dropped));
            self.next = None;
            self.stats.overflow += 1;
        }
        if self.next.is_none() && self.filling_since.is_none() {
            self.filling_since = Some(arrived);
        }
        self.packets.insert(sequence, Entry { timestamp, payload });
        self.stats.inserted += 1;
    }

    /// Says that the packet of `sequence` came and carried no audio (a key press, RFC 4733): its number is no hole.
    pub fn skip(&mut self, sequence: u64) {
        if self.done.is_some_and(|done| sequence <= done) || self.highest.is_some_and(|h| h.abs_diff(sequence) > 3_000)
        {
            return;
        }
        if self.skipped.len() >= MAX_PACKETS {
            self.skipped.pop_first();
        }
        self.skipped.insert(sequence);
        self.highest = self.highest.max(Some(sequence));
    }

    /// What to play now. Call once per frame time; `now` never goes back.
    pub fn pop(&mut self, now: Instant) -> Popped<T> {
        self.fec = false;
        let Some((&first, entry)) = self.packets.first_key_value() else { return self.pop_nothing() };
        let at = entry.timestamp;
        let Some(next) = self.next else {
            let waited = self.filling_since.map_or(self.target, |since| now.saturating_duration_since(since));
            if waited < self.target {
                return Popped::Empty;
            }
            return self.play(first, at, now);
        };
        if at <= next {
            if self.too_deep(at, now) {
                self.packets.remove(&first);
                self.done = Some(first);
                self.next = Some(at + u64::from(self.config.frame));
                self.stats.shrunk += 1;
                return match self.packets.first_key_value() {
                    Some((&second, e)) if e.timestamp <= at + u64::from(self.config.frame) => {
                        let at = e.timestamp;
                        self.play(second, at, now)
                    }
                    _ => self.pop(now),
                };
            }
            return self.play(first, at, now);
        }
        self.pop_hole(first, at, next, now)
    }

    /// The frame right after the one that the last [`JitterBuffer::pop`] gave up as lost, if it is here: Opus can restore
    /// the lost one from it. `None` after anything else.
    #[must_use]
    pub fn following(&self) -> Option<&T> {
        if !self.fec {
            return None;
        }
        let (_, entry) = self.packets.first_key_value()?;
        (Some(entry.timestamp) == self.next).then_some(&entry.payload)
    }

    /// Sets the RTP time of one frame where the sender packs more or less than the configured (30 ms packets, say).
    /// Zero is ignored.
    pub fn set_frame(&mut self, frame: u32) {
        if frame > 0 {
            self.config.frame = frame;
        }
    }

    /// Forgets packets and timing, for a new SSRC or a moved stream. The counts stay, and so does the target depth.
    pub fn reset(&mut self) {
        self.packets.clear();
        self.skipped.clear();
        self.next = None;
        self.filling_since = None;
        self.done = None;
        self.highest = None;
        self.held = 0;
        self.origin = None;
        self.transits.clear();
        self.transit_at = 0;
        self.fastest = 0;
        self.deep_since = None;
        self.fec = false;
    }

    /// Counts since the start.
    #[must_use]
    pub fn stats(&self) -> JitterStats {
        self.stats
    }

    /// Packets waiting.
    #[must_use]
    pub fn len(&self) -> usize {
        self.packets.len()
    }

    /// Nothing is waiting.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// The depth that the network seems to ask for now.
    #[must_use]
    pub fn target(&self) -> Duration {
        self.target
    }

    fn play(&mut self, sequence: u64, at: u64, now: Instant) -> Popped<T> {
        let Some(entry) = self.packets.remove(&sequence) else { return Popped::Empty };
        if self.next.is_none() {
            self.filling_since = None;
            self.deep_since = Some(now);
        }
        if self.held > 0 {
            self.stats.stretched += u64::from(self.held);
            self.held = 0;
        }
        self.done = Some(sequence);
        self.skipped = self.skipped.split_off(&(sequence + 1));
        self.next = Some(at + u64::from(self.config.frame));
        self.stats.played += 1;
        Popped::Frame(entry.payload)
    }

    /// The buffer has run dry: the play-out point waits.
    fn pop_nothing(&mut self) -> Popped<T> {
        if self.next.is_none() {
            return Popped::Empty;
        }
        self.held += 1;
        let stalled = self.config.max + self.frame_time() * CONCEAL_POPS;
        if self.frame_time() * self.held > stalled {
            self.next = None;
            self.held = 0;
            self.filling_since = None;
            return Popped::Empty;
        }
        // The sender is busy sending something else.
        let elsewhere = self.skipped.last().copied() == self.highest && self.highest.is_some();
        if self.held <= CONCEAL_POPS && !elsewhere { Popped::Lost } else { Popped::Empty }
    }

    /// The frame for now is not here, a later one is.
    fn pop_hole(&mut self, first: u64, at: u64, next: u64, now: Instant) -> Popped<T> {
        let frame = u64::from(self.config.frame);
        let missing = (at - next).div_ceil(frame);
        // What was waited for while nothing came is paid back: those frames are over.
        let paid = u64::from(self.held).min(missing);
        let contiguous =
            self.done.is_some_and(|done| self.skipped.range(done + 1..first).count() as u64 == first - done - 1);
        if paid > 0 {
            self.stats.stretched += u64::from(self.held) - paid;
            self.held = 0;
            if !contiguous {
                self.stats.lost += paid;
            }
            self.next = Some((next + paid * frame).min(at));
            if paid == missing {
                return self.play(first, at, now);
            }
        }
        let next = self.next.unwrap_or(next);
        if !contiguous && self.depth(next, now) + self.frame_time() <= self.target {
            // Too shallow for this network: give the missing one another frame time.
            self.stats.stretched += 1;
            return Popped::Lost;
        }
        let after = next + frame;
        self.next = Some(after.min(at));
        if contiguous {
            return Popped::Empty;
        }
        self.stats.lost += 1;
        // Every number before the first one here is given up when its last frame is.
        if after >= at {
            self.done = Some(first - 1);
            self.fec = true;
        }
        Popped::Lost
    }

    /// How long after the fastest possible arrival the frame of `timestamp` would play `now`.
    fn depth(&self, timestamp: u64, now: Instant) -> Duration {
        let transit = self.transit(timestamp, now).saturating_sub(self.fastest);
        Duration::from_micros(u64::try_from(transit).unwrap_or(0))
    }

    fn too_deep(&mut self, at: u64, now: Instant) -> bool {
        if self.packets.len() < 2 {
            self.deep_since = None;
            return false;
        }
        let depth = self.depth(at, now);
        if depth <= self.target + self.frame_time() + self.frame_time() / 2 {
            self.deep_since = None;
            return false;
        }
        let since = *self.deep_since.get_or_insert(now);
        // Far too deep (a burst after a stall): catch up faster.
        let patience = if depth > self.target + Duration::from_millis(120) { SHRINK_AFTER / 20 } else { SHRINK_AFTER };
        let due = now.saturating_duration_since(since) >= patience;
        if due {
            self.deep_since = None;
        }
        due
    }

    fn frame_time(&self) -> Duration {
        self.units(u64::from(self.config.frame))
    }

    fn units(&self, units: u64) -> Duration {
        Duration::from_micros(units.saturating_mul(1_000_000) / u64::from(self.config.clock_rate.max(1)))
    }

    /// Arrival minus RTP time, µs, relative to the first packet.
    fn transit(&self, timestamp: u64, arrived: Instant) -> i64 {
        let Some((at, zero)) = self.origin else { return 0 };
        let wall = if arrived >= at { micros(arrived - at) } else { -micros(at - arrived) };
        let media = if timestamp >= zero {
            micros(self.units(timestamp - zero))
        } else {
            -micros(self.units(zero - timestamp))
        };
        wall.saturating_sub(media)
    }

    fn note_transit(&mut self, timestamp: u64, arrived: Instant) {
        if self.origin.is_none() {
            self.origin = Some((arrived, timestamp));
        }
        let mut transit = self.transit(timestamp, arrived);
        if !self.transits.is_empty() && transit.abs_diff(self.fastest) > EPOCH.as_micros() as u64 {
            // No network does that: the sender stopped its clock (hold), or set it. What was measured is void.
            self.transits.clear();
            self.transit_at = 0;
            self.fastest = 0;
            self.origin = Some((arrived, timestamp));
            transit = 0;
        }
        if self.transits.len() < WINDOW {
            self.transits.push(transit);
        } else {
            self.transits[self.transit_at] = transit;
            self.transit_at = (self.transit_at + 1) % WINDOW;
        }
        self.fastest = self.fastest.min(transit);
        self.since_target += 1;
        // A late one counts at once, calm is believed every 16th packet.
        let late =
            Duration::from_micros(u64::try_from(transit.saturating_sub(self.fastest)).unwrap_or(0)) > self.target;
        if late || self.since_target >= 16 {
            self.since_target = 0;
            self.retarget();
        }
    }

    fn retarget(&mut self) {
        if self.transits.len() < 16 {
            return;
        }
        let mut sorted = self.transits.clone();
        let at = (sorted.len() * 98 / 100).min(sorted.len() - 1);
        let (below, &mut high, _) = sorted.select_nth_unstable(at);
        self.fastest = below.iter().copied().min().unwrap_or(high).min(high);
        let spread = Duration::from_micros(u64::try_from(high.saturating_sub(self.fastest)).unwrap_or(0));
        self.target = (spread + self.frame_time()).clamp(self.config.min, self.config.max);
    }

    fn jumped(&self, sequence: u64, timestamp: u64) -> bool {
        let Some(at) = self.next.or_else(|| self.packets.first_key_value().map(|(_, e)| e.timestamp)) else {
            // Nothing is playing: only a number far behind tells of a restarted sender.
            return self.done.is_some_and(|done| done.abs_diff(sequence) > 3_000);
        };
        let far = self.units(at.abs_diff(timestamp)) > RESYNC;
        // Silence that was not sent moves time alone; a stream that started anew moves both, or goes back.
        far && (timestamp < at || self.highest.is_none_or(|highest| sequence.abs_diff(highest) > 1))
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "jitter_tests.rs"]
mod tests;

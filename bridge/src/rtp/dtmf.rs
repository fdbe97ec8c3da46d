//! Keys pressed on the phone, as named events in the RTP stream. RFC 4733.
//!
//! A press is a run of packets with one RTP timestamp (its beginning) and a growing duration; the last one is sent three
//! times with the end bit. Any of them may be lost. A press is told at its first packet, whichever that is.

use std::fmt;

/// One key: `0`-`9`, `*`, `#`, `A`-`D`. `Debug` does not print it: keys pressed are PINs.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digit(char);

impl Digit {
    /// By its event code, RFC 4733 3.2. `None` beyond 15 (16 is hook flash; the rest are tones).
    #[must_use]
    pub fn from_event(code: u8) -> Option<Self> {
        "0123456789*#ABCD".chars().nth(usize::from(code)).map(Self)
    }

    /// The event code.
    #[must_use]
    pub fn event(self) -> u8 {
        "0123456789*#ABCD".find(self.0).map_or(0, |at| at as u8)
    }

    /// The key. Never to a log.
    #[must_use]
    pub fn reveal(self) -> char {
        self.0
    }
}

impl fmt::Debug for Digit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digit")
    }
}

/// The four bytes of one event packet, RFC 4733 2.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventPayload {
    /// Which event.
    pub code: u8,
    /// Last packets of the press.
    pub end: bool,
    /// Power below 0 dBm0, 0 to 63.
    pub volume: u8,
    /// Since the timestamp, in RTP units.
    pub duration: u16,
}

impl EventPayload {
    /// `None`: shorter than four bytes.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let &[code, bits, d0, d1] = payload.first_chunk::<4>()?;
        Some(Self { code, end: bits & 0x80 != 0, volume: bits & 0x3f, duration: u16::from_be_bytes([d0, d1]) })
    }

    /// The four bytes.
    #[must_use]
    pub fn build(self) -> [u8; 4] {
        let [d0, d1] = self.duration.to_be_bytes();
        [self.code, u8::from(self.end) << 7 | (self.volume & 0x3f), d0, d1]
    }
}

#[derive(Debug, Clone, Copy)]
struct Press {
    timestamp: u64,
    code: u8,
    duration: u64,
    end: bool,
}

/// Tells each press once.
#[derive(Debug, Clone, Default)]
pub struct DtmfReceiver {
    /// Youngest last; old ones only to know their stragglers.
    recent: Vec<Press>,
}

const REMEMBERED: usize = 16;

impl DtmfReceiver {
    /// Takes one event packet; `timestamp` widened. `Some` on the first packet of a press.
    pub fn handle(&mut self, timestamp: u64, event: EventPayload) -> Option<Digit> {
        let duration = u64::from(event.duration);
        if let Some(known) = self.recent.iter_mut().find(|p| p.timestamp == timestamp) {
            known.duration = known.duration.max(duration);
            known.end |= event.end;
            return None;
        }
        if self.recent.len() == REMEMBERED && self.recent.first().is_some_and(|oldest| timestamp < oldest.timestamp) {
            return None;
        }
        if let Some(last) = self.recent.last_mut() {
            // No key can be pressed again before it was let go. So this is the same press: a segment of a very long one
            // (RFC 4733 2.5.1.3), or a sender that moves the timestamp along with the duration.
            let goes_on =
                last.code == event.code && timestamp > last.timestamp && timestamp <= last.timestamp + last.duration;
            if goes_on && !last.end {
                *last = Press { timestamp, code: event.code, duration, end: event.end };
                return None;
            }
        }
        let digit = Digit::from_event(event.code)?;
        if self.recent.len() == REMEMBERED {
            self.recent.remove(0);
        }
        self.recent.push(Press { timestamp, code: event.code, duration, end: event.end });
        self.recent.sort_by_key(|p| p.timestamp);
        Some(digit)
    }

    /// Forgets, for a new stream.
    pub fn reset(&mut self) {
        self.recent.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All packets of one press as a phone sends them.
    fn press(key: u8, at: u64) -> Vec<(u64, EventPayload)> {
        let mut out: Vec<_> =
            (1..=8).map(|n| (at, EventPayload { code: key, end: false, volume: 10, duration: n * 160 })).collect();
        out.extend([(at, EventPayload { code: key, end: true, volume: 10, duration: 8 * 160 }); 3]);
        out
    }

    fn heard(packets: impl IntoIterator<Item = (u64, EventPayload)>) -> String {
        let mut r = DtmfReceiver::default();
        packets.into_iter().filter_map(|(t, e)| r.handle(t, e)).map(Digit::reveal).collect()
    }

    #[test]
    fn each_press_is_told_once_in_order() {
        let all: Vec<_> =
            [1, 1, 11, 10, 0].iter().enumerate().flat_map(|(n, key)| press(*key, 1_000 + n as u64 * 2_000)).collect();
        assert_eq!(heard(all), "11#*0");
    }

    #[test]
    fn a_press_survives_the_loss_of_any_packets_but_one() {
        for kept in 0..11 {
            let mut all = vec![press(4, 1_000)[kept]];
            all.push(press(4, 3_000)[10 - kept]);
            assert_eq!(heard(all), "44", "{kept}");
        }
    }

    #[test]
    fn stragglers_of_the_last_press_are_not_a_new_one() {
        let mut all = press(5, 1_000);
        let straggler = all.pop().unwrap();
        all.extend(press(6, 3_000));
        all.push(straggler);
        assert_eq!(heard(all), "56");
    }

    #[test]
    fn a_sender_that_moves_the_timestamp_presses_once() {
        let all = (0..10_u16).map(|n| {
            (1_000 + u64::from(n) * 160, EventPayload { code: 9, end: n == 9, volume: 0, duration: (n + 1) * 160 })
        });
        assert_eq!(heard(all), "9");
    }

    #[test]
    fn flash_and_tones_are_no_keys() {
        assert_eq!(heard(press(16, 0).into_iter().chain(press(200, 4_000))), "");
    }

    #[test]
    fn debug_hides_the_key() {
        assert_eq!(format!("{:?}", Digit::from_event(7)), "Some(Digit)");
    }
}

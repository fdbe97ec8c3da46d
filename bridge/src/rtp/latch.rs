//! Symmetric RTP: send to where the stream really comes from, and let nobody steal it.
//!
//! Behind NAT the address in SDP is not the one packets come from (RFC 4961, RFC 7362). Answering any source would let a
//! stranger who guesses the port take the call's audio. So:
//!
//! - The SDP address is believed at once; so is another port of its host.
//! - A stranger must send three packets of one stream in order before it is believed.
//! - Once latched, others are foreign until the peer has been silent for two seconds; only the SDP address itself may
//!   take over from a stranger at any time.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The peer may be silent this long before another may take its place.
const SILENCE: Duration = Duration::from_secs(2);
/// Packets in order that make a stranger believable.
const PROBATION: u8 = 3;

/// Where to send, whom to hear.
#[derive(Debug, Clone)]
pub struct Latch {
    announced: SocketAddr,
    peer: Option<(SocketAddr, Instant)>,
    candidate: Option<Candidate>,
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    from: SocketAddr,
    ssrc: u32,
    sequence: u16,
    seen: u8,
}

impl Latch {
    /// `announced`: from SDP.
    #[must_use]
    pub fn new(announced: SocketAddr) -> Self {
        Self { announced, peer: None, candidate: None }
    }

    /// Where to send now.
    #[must_use]
    pub fn to(&self) -> SocketAddr {
        self.peer.map_or(self.announced, |(peer, _)| peer)
    }

    /// Whether the peer has been heard at all.
    #[must_use]
    pub fn heard(&self) -> bool {
        self.peer.is_some()
    }

    /// A packet that reads as RTP came. `true`: it is the peer's.
    pub fn accept(&mut self, now: Instant, from: SocketAddr, ssrc: u32, sequence: u16) -> bool {
        if let Some((peer, last)) = &mut self.peer {
            if *peer == from {
                *last = now;
                return true;
            }
            let silent = now.saturating_duration_since(*last) >= SILENCE;
            if !silent && (from != self.announced || *peer == self.announced) {
                return false;
            }
        }
        let known_host = from == self.announced || from.ip() == self.announced.ip();
        if known_host || self.proven(from, ssrc, sequence) {
            self.candidate = None;
            self.peer = Some((from, now));
            return true;
        }
        false
    }

    /// The signalling names a new address (re-INVITE).
    pub fn announce(&mut self, address: SocketAddr) {
        if address != self.announced {
            *self = Self::new(address);
        }
    }

    fn proven(&mut self, from: SocketAddr, ssrc: u32, sequence: u16) -> bool {
        let seen = match self.candidate {
            Some(c) if c.from == from && c.ssrc == ssrc && sequence == c.sequence.wrapping_add(1) => c.seen + 1,
            // Another stranger does not push out one that is being proven, but a broken run starts anew.
            Some(c) if c.from != from && c.seen > 1 => {
                self.candidate = Some(Candidate { seen: c.seen - 1, ..c });
                return false;
            }
            _ => 1,
        };
        self.candidate = Some(Candidate { from, ssrc, sequence, seen });
        seen >= PROBATION
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_announced_address_and_its_other_ports_are_believed_at_once() {
        let now = Instant::now();
        let mut latch = Latch::new(addr("192.0.2.1:4000"));
        assert_eq!(latch.to(), addr("192.0.2.1:4000"));
        assert!(latch.accept(now, addr("192.0.2.1:6000"), 1, 1));
        assert_eq!(latch.to(), addr("192.0.2.1:6000"));
    }

    #[test]
    fn a_stranger_needs_a_stream_then_holds_it() {
        let now = Instant::now();
        let (nat, thief) = (addr("198.51.100.9:5000"), addr("203.0.113.5:5000"));
        let mut latch = Latch::new(addr("10.0.0.1:4000"));
        assert!(!latch.accept(now, nat, 1, 65_535));
        assert!(!latch.accept(now, nat, 1, 0));
        assert!(latch.accept(now, nat, 1, 1));
        for n in 0..10 {
            assert!(!latch.accept(now, thief, 2, n));
        }
        assert_eq!(latch.to(), nat);
    }

    #[test]
    fn random_packets_never_latch() {
        let now = Instant::now();
        let mut latch = Latch::new(addr("10.0.0.1:4000"));
        for n in 0..1_000_u32 {
            assert!(!latch.accept(now, addr("203.0.113.5:5000"), n, (n * 7_919) as u16));
        }
    }

    #[test]
    fn after_silence_another_may_come_and_the_announced_one_may_come_always() {
        let now = Instant::now();
        let (nat, moved, sdp) = (addr("198.51.100.9:5000"), addr("198.51.100.9:7000"), addr("10.0.0.1:4000"));
        let mut latch = Latch::new(sdp);
        for n in 0..3 {
            latch.accept(now, nat, 1, n);
        }
        assert!(!latch.accept(now + Duration::from_secs(1), moved, 1, 3));
        for n in 0..3 {
            latch.accept(now + Duration::from_secs(3), moved, 1, 3 + n);
        }
        assert_eq!(latch.to(), moved);
        assert!(latch.accept(now + Duration::from_secs(3), sdp, 5, 0));
        assert!(!latch.accept(now + Duration::from_secs(4), moved, 1, 9));
    }
}

//! The door for strangers: how many new requests are looked at, in all and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

/// New requests a second from everyone together, and what may come at once.
const ALL: Rate = Rate { per_second: 200.0, burst: 400.0 };
/// The same for one address.
const ONE: Rate = Rate { per_second: 40.0, burst: 100.0 };
/// Addresses remembered.
const ADDRESSES: usize = 4_096;

#[derive(Clone, Copy)]
struct Rate {
    per_second: f64,
    burst: f64,
}

#[derive(Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    fn full(rate: Rate, now: Instant) -> Self {
        Self { left: rate.burst, at: now }
    }

    fn take(&mut self, rate: Rate, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + since * rate.per_second).min(rate.burst);
        self.at = now;
        if self.left < 1.0 {
            return false;
        }
        self.left -= 1.0;
        true
    }
}

/// Token buckets.
pub(super) struct Guard {
    all: Bucket,
    each: HashMap<IpAddr, Bucket>,
}

impl Guard {
    pub(super) fn new(now: Instant) -> Self {
        Self { all: Bucket::full(ALL, now), each: HashMap::new() }
    }

    /// Whether one more new request from `ip` is looked at.
    pub(super) fn admit(&mut self, ip: IpAddr, now: Instant) -> bool {
        if !self.each.contains_key(&ip) && self.each.len() >= ADDRESSES {
            // Those who are quiet are forgotten; if nobody is, strangers share the common bucket.
            self.each.retain(|_, b| now.saturating_duration_since(b.at).as_secs() < 10);
        }
        if (self.each.contains_key(&ip) || self.each.len() < ADDRESSES)
            && !self.each.entry(ip).or_insert_with(|| Bucket::full(ONE, now)).take(ONE, now)
        {
            return false;
        }
        self.all.take(ALL, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn one_flooding_address_does_not_shut_out_another() {
        let now = Instant::now();
        let mut guard = Guard::new(now);
        let (bad, good) = (IpAddr::from([203, 0, 113, 1]), IpAddr::from([192, 0, 2, 1]));
        let admitted = (0..10_000).filter(|_| guard.admit(bad, now)).count();
        assert_eq!(admitted, 100);
        assert!(guard.admit(good, now));
        assert!(guard.admit(bad, now + Duration::from_secs(1)));
    }

    #[test]
    fn many_addresses_together_are_bounded_in_rate_and_memory() {
        let now = Instant::now();
        let mut guard = Guard::new(now);
        let admitted = (0..100_000_u32).filter(|n| guard.admit(IpAddr::from(n.to_be_bytes()), now)).count();
        assert_eq!(admitted, 400);
        assert!(guard.each.len() <= ADDRESSES);
    }
}

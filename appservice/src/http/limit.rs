//! A limit for each of many: so many requests a minute, in bursts, in bounded memory.
use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// Whom a limiter remembers at most. When it is full, those whose bucket is full again are forgotten; if none is,
/// newcomers are refused.
const REMEMBERED: usize = 10_000;

struct Bucket {
    tokens: f64,
    at: Instant,
}

/// A token bucket for each key: `per_minute` at once, refilled over a minute.
pub(super) struct Limiter<K> {
    per_minute: f64,
    buckets: Mutex<HashMap<K, Bucket>>,
}

impl<K: Eq + Hash> Limiter<K> {
    pub(super) fn new(per_minute: u32) -> Self {
        Self { per_minute: f64::from(per_minute.max(1)), buckets: Mutex::default() }
    }

    /// Whether `key` may ask at `now`.
    pub(super) fn admit(&self, key: K, now: Instant) -> bool {
        let full = self.per_minute;
        let refilled = |b: &Bucket| (b.tokens + now.duration_since(b.at).as_secs_f64() * full / 60.0).min(full);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= REMEMBERED && !buckets.contains_key(&key) {
            buckets.retain(|_, bucket| refilled(bucket) < full);
            if buckets.len() >= REMEMBERED {
                return false;
            }
        }
        let bucket = buckets.entry(key).or_insert(Bucket { tokens: full, at: now });
        bucket.tokens = refilled(bucket);
        bucket.at = now;
        if bucket.tokens < 1.0 {
            return false;
        }
        bucket.tokens -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_is_limited_and_others_are_not() {
        let limiter = Limiter::new(3);
        let start = Instant::now();
        assert!((0..3).all(|_| limiter.admit("a", start)));
        assert!(!limiter.admit("a", start));
        assert!(limiter.admit("b", start));
        assert!(limiter.admit("a", start + Duration::from_secs(21)));
        assert!(!limiter.admit("a", start + Duration::from_secs(22)));
    }

    #[test]
    fn a_crowd_of_strangers_takes_bounded_memory() {
        let limiter = Limiter::new(1);
        let start = Instant::now();
        let admitted = (0..REMEMBERED * 2).filter(|n| limiter.admit(*n, start)).count();
        assert_eq!(admitted, REMEMBERED);
        assert!(limiter.admit(usize::MAX, start + Duration::from_secs(61)));
    }
}

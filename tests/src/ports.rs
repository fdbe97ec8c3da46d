//! Free ports on loopback, below the range from which the system takes its own.

use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

const FIRST: u16 = 12_000;
const LAST: u16 = 31_000;

fn next(count: u16) -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Each process starts elsewhere, so that two test runs do not race for the same port.
    let start = u16::try_from(std::process::id() % u32::from((LAST - FIRST) / 50)).unwrap_or(0) * 50;
    let taken = NEXT.fetch_add(count, Ordering::Relaxed);
    FIRST + (start + taken) % (LAST - FIRST)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok() && UdpSocket::bind(("127.0.0.1", port)).is_ok()
}

/// A port on which nobody listens now, for TCP and UDP.
#[must_use]
pub fn free() -> u16 {
    free_range(1)
}

/// The first of `count` neighbouring free ports; an even one.
#[must_use]
pub fn free_range(count: u16) -> u16 {
    loop {
        let first = next(count + count % 2 + 2);
        let first = first + first % 2;
        if (first..first + count).all(is_free) {
            return first;
        }
    }
}

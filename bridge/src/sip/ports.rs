//! Pairs of UDP ports for media: RTP even, RTCP the odd one above. RFC 3550 11.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;

/// A port that was let go rests this long: the last call's packets are still on their way.
const REST: Duration = Duration::from_secs(5);

/// Hands out port pairs, round and round the range.
pub(super) struct PortPool {
    ip: IpAddr,
    range: RangeInclusive<u16>,
    state: Mutex<State>,
}

struct State {
    next: u16,
    resting: VecDeque<(u16, Instant)>,
}

impl PortPool {
    /// `range` beginning with 0: the system chooses.
    pub(super) fn new(ip: IpAddr, range: RangeInclusive<u16>) -> Self {
        let next = range.start().saturating_add(range.start() & 1);
        Self { ip, range, state: Mutex::new(State { next, resting: VecDeque::new() }) }
    }

    /// Binds a pair and empties it of what came before. Ports that rest are taken only when no other is free.
    ///
    /// # Errors
    /// Every pair is in use.
    pub(super) fn bind(&self) -> io::Result<(UdpSocket, UdpSocket)> {
        if *self.range.start() == 0 {
            return self.bind_any();
        }
        let now = Instant::now();
        let (first, resting) = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            while state.resting.front().is_some_and(|(_, since)| now.duration_since(*since) >= REST) {
                state.resting.pop_front();
            }
            (state.next, state.resting.iter().map(|(port, _)| *port).collect::<Vec<_>>())
        };
        let low = self.range.start().saturating_add(self.range.start() & 1);
        let pairs: Vec<u16> = (low..*self.range.end()).step_by(2).collect();
        let from = pairs.iter().position(|p| *p >= first).unwrap_or(0);
        let turn = pairs[from.min(pairs.len())..].iter().chain(&pairs[..from.min(pairs.len())]);
        let (fresh, rested): (Vec<u16>, Vec<u16>) = turn.copied().partition(|p| !resting.contains(p));
        for port in fresh.into_iter().chain(rested) {
            if let Ok(pair) = self.bind_pair(port) {
                self.state.lock().unwrap_or_else(PoisonError::into_inner).next = port.saturating_add(2);
                return Ok(pair);
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, format!("no free pair of ports in {:?}", self.range)))
    }

    /// The call on `port` is over.
    pub(super) fn release(&self, port: u16) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.resting.push_back((port, Instant::now()));
        if state.resting.len() > 4_096 {
            state.resting.pop_front();
        }
    }

    fn bind_pair(&self, port: u16) -> io::Result<(UdpSocket, UdpSocket)> {
        let rtp = bind(self.ip, port)?;
        let rtcp = bind(self.ip, port.checked_add(1).ok_or(io::ErrorKind::AddrNotAvailable)?)?;
        Ok((rtp, rtcp))
    }

    fn bind_any(&self) -> io::Result<(UdpSocket, UdpSocket)> {
        let mut last = io::Error::from(io::ErrorKind::AddrInUse);
        for _ in 0..64 {
            let port = bind(self.ip, 0)?.local_addr()?.port() & !1;
            match self.bind_pair(port.max(1_024)) {
                Ok(pair) => return Ok(pair),
                Err(e) => last = e,
            }
        }
        Err(last)
    }
}

fn bind(ip: IpAddr, port: u16) -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind(SocketAddr::new(ip, port))?;
    socket.set_nonblocking(true)?;
    let mut scrap = [0; 2_048];
    for _ in 0..1_000 {
        if socket.recv_from(&mut scrap).is_err() {
            break;
        }
    }
    UdpSocket::from_std(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(s: &UdpSocket) -> u16 {
        s.local_addr().unwrap().port()
    }

    #[tokio::test]
    async fn pairs_are_even_and_odd_and_never_the_same_twice_in_a_row() {
        let local = IpAddr::from([127, 0, 0, 1]);
        let base = port(&PortPool::new(local, 0..=0).bind().unwrap().0);
        let pool = PortPool::new(local, base..=base.saturating_add(20));
        let mut seen = Vec::new();
        for _ in 0..3 {
            let (rtp, rtcp) = pool.bind().unwrap();
            assert_eq!((port(&rtp) % 2, port(&rtcp)), (0, port(&rtp) + 1));
            pool.release(port(&rtp));
            seen.push(port(&rtp));
        }
        seen.dedup();
        assert_eq!(seen.len(), 3);
    }

    #[tokio::test]
    async fn a_full_range_is_an_error_and_a_resting_port_better_than_none() {
        let local = IpAddr::from([127, 0, 0, 1]);
        let base = port(&PortPool::new(local, 0..=0).bind().unwrap().0);
        let pool = PortPool::new(local, base..=base + 1);
        let pair = pool.bind().unwrap();
        assert_eq!(pool.bind().unwrap_err().kind(), io::ErrorKind::AddrInUse);
        pool.release(base);
        drop(pair);
        assert_eq!(port(&pool.bind().unwrap().0), base);
    }
}

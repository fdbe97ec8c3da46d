//! Fuzz bodies: any bytes, no panic. Driven by proptest here and by cargo-fuzz from `bridge/fuzz`.

use std::time::{Duration, Instant};

use super::{RtpConfig, RtpPacket, RtpSession, rtcp};
use crate::audio::g711::G711;
use crate::time::{Now, UnixMillis};

/// One datagram through every parser.
pub fn fuzz_packet(data: &[u8]) {
    if let Ok(p) = RtpPacket::parse(data) {
        let again = p.build();
        assert_eq!(RtpPacket::parse(&again), Ok(p), "what was read builds what is read");
    }
    let _ = rtcp::parse(data);
}

/// A whole session fed with `data`: cut into steps of 20 ms, each with a datagram of the length its first byte says.
pub fn fuzz_session(data: &[u8]) {
    let peer = std::net::SocketAddr::from(([127, 0, 0, 1], 4_000));
    let mut session = RtpSession::new(RtpConfig {
        codec: G711::Pcmu,
        payload_type: 0,
        telephone_event: Some(101),
        remote: peer,
        remote_rtcp: peer,
        rtcp_mux: data.first().is_some_and(|b| b & 1 == 1),
        ssrc: 1,
        first_sequence: 65_530,
        first_timestamp: u32::MAX - 1_000,
        cname: "c".into(),
    });
    let mut now = Now { mono: Instant::now(), wall: UnixMillis(1_000_000) };
    let mut rest = data;
    while let Some((&len, after)) = rest.split_first() {
        let (datagram, after) = after.split_at(usize::from(len).min(after.len()));
        rest = after;
        session.handle_rtp(now, peer, datagram);
        session.handle_rtcp(now, peer, datagram);
        now = now.plus(Duration::from_millis(20));
        let frame = session.play_out(now);
        session.send(now, &frame.pcm);
        while session.poll_output().is_some() {}
    }
    let stats = session.stats();
    assert!(stats.mos.is_none_or(|m| (1.0..=4.5).contains(&m)));
    session.close(now);
}

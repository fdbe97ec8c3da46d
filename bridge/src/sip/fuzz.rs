//! Fuzz bodies: any bytes, no panic. Driven by proptest here and by cargo-fuzz from `bridge/fuzz`.

use super::{address, sdp, stateless};

/// A body through offer, choice and answer.
pub fn fuzz_sdp(data: &[u8]) {
    let Ok(offer) = sdp::Offer::parse(data) else { return };
    let Ok(chosen) = offer.choose(None) else { return };
    let local = sdp::Local { ip: [192, 0, 2, 1].into(), rtp: 4_000, rtcp: 4_001, id: 1, version: 1 };
    let text = sdp::answer(&offer, &chosen, &local);
    let again = sdp::Offer::parse(text.as_bytes());
    assert!(again.is_ok_and(|a| a.choose(Some(chosen.codec)).is_ok()), "our own answer is readable");
}

/// A datagram through what reads it besides the stack.
pub fn fuzz_message(data: &[u8]) {
    let source = std::net::SocketAddr::from(([192, 0, 2, 1], 5_060));
    let _ = stateless::answer(data, source, 400, "Bad Request", &[]);
    let text = String::from_utf8_lossy(data);
    let party = address::parse(&text);
    let _ = address::number(&party.user, true);
}

use super::*;
use crate::time::UnixMillis;

fn config(codec: G711, remote: &str, ssrc: u32) -> RtpConfig {
    let remote: SocketAddr = remote.parse().unwrap();
    RtpConfig {
        codec,
        payload_type: codec.payload_type(),
        telephone_event: Some(101),
        remote,
        remote_rtcp: SocketAddr::new(remote.ip(), remote.port() + 1),
        rtcp_mux: false,
        ssrc,
        first_sequence: 65_500,
        first_timestamp: u32::MAX - 4_000,
        cname: "x".into(),
    }
}

const A: &str = "192.0.2.1:4000";
const B: &str = "192.0.2.2:5000";

fn start() -> Now {
    Now { mono: Instant::now(), wall: UnixMillis(1_790_000_000_000) }
}

fn tone(hz: f64, tick: u64) -> [i16; 160] {
    std::array::from_fn(|n| {
        (((tick * 160 + n as u64) as f64 * hz * std::f64::consts::TAU / 8_000.0).sin() * 8_000.0) as i16
    })
}

/// Power of `hz` in `pcm`, as amplitude.
fn level(pcm: &[i16], hz: f64) -> f64 {
    let (mut re, mut im) = (0.0, 0.0);
    for (n, s) in pcm.iter().enumerate() {
        let a = n as f64 * hz * std::f64::consts::TAU / 8_000.0;
        re += f64::from(*s) * a.cos();
        im += f64::from(*s) * a.sin();
    }
    (re * re + im * im).sqrt() * 2.0 / pcm.len() as f64
}

/// Two sessions over a link that delays by `delay` and loses what `lose` says. Returns what each heard.
struct Pair {
    now: Now,
    a: RtpSession,
    b: RtpSession,
    link: Vec<(Now, bool, bool, Bytes)>,
    heard: [Vec<PhoneFrame>; 2],
}

impl Pair {
    fn new(codec: G711) -> Self {
        Self {
            now: start(),
            a: RtpSession::new(config(codec, B, 11)),
            b: RtpSession::new(config(codec, A, 22)),
            link: Vec::new(),
            heard: [vec![], vec![]],
        }
    }

    fn run(&mut self, ticks: u64, delay: Duration, lose: impl Fn(u64) -> bool) {
        let (a_addr, b_addr): (SocketAddr, SocketAddr) = (A.parse().unwrap(), B.parse().unwrap());
        for tick in 0..ticks {
            self.a.send(self.now, &tone(440.0, tick));
            self.b.send(self.now, &tone(700.0, tick));
            for (to_b, session) in [(true, &mut self.a), (false, &mut self.b)] {
                while let Some(out) = session.poll_output() {
                    let (control, to, bytes) = match out {
                        RtpOutput::Rtp { to, bytes } => (false, to, bytes),
                        RtpOutput::Rtcp { to, bytes } => (true, to, bytes),
                        RtpOutput::Digit(_) => continue,
                    };
                    assert_eq!(to.ip(), if to_b { b_addr.ip() } else { a_addr.ip() });
                    if control || !lose(tick) {
                        self.link.push((self.now.plus(delay), to_b, control, bytes));
                    }
                }
            }
            let now = self.now;
            let (due, later) = std::mem::take(&mut self.link).into_iter().partition(|(at, ..)| at.mono <= now.mono);
            self.link = later;
            for (at, to_b, control, bytes) in due {
                let (session, mut from) = if to_b { (&mut self.b, a_addr) } else { (&mut self.a, b_addr) };
                if control {
                    from.set_port(from.port() + 1);
                    session.handle_rtcp(at, from, &bytes);
                } else {
                    session.handle_rtp(at, from, &bytes);
                }
            }
            self.heard[0].push(self.a.play_out(self.now));
            self.heard[1].push(self.b.play_out(self.now));
            self.now = self.now.plus(Duration::from_millis(20));
        }
    }

    fn pcm(&self, side: usize, from: usize) -> Vec<i16> {
        self.heard[side][from..].iter().flat_map(|f| f.pcm).collect()
    }
}

#[test]
fn each_side_hears_the_others_tone_and_not_its_own() {
    for codec in [G711::Pcmu, G711::Pcma] {
        let mut pair = Pair::new(codec);
        pair.run(500, Duration::from_millis(30), |_| false);
        let (at_a, at_b) = (pair.pcm(0, 50), pair.pcm(1, 50));
        assert!(level(&at_a, 700.0) > 7_000.0 && level(&at_b, 440.0) > 7_000.0);
        assert!(level(&at_a, 440.0) < 50.0 && level(&at_b, 700.0) < 50.0);
        let s = pair.a.stats();
        assert_eq!((s.lost, s.concealed, s.dropped), (0, 0, Dropped::default()));
        assert!(s.mos.unwrap() > 4.2);
    }
}

#[test]
fn reports_measure_the_round_trip_and_the_loss_at_the_other_end() {
    let mut pair = Pair::new(G711::Pcmu);
    pair.run(1_500, Duration::from_millis(50), |tick| tick % 20 == 7);
    for s in [pair.a.stats(), pair.b.stats()] {
        let trip = s.round_trip.unwrap();
        assert!((95..=125).contains(&trip.as_millis()), "{trip:?}");
        assert!((0.02..0.09).contains(&s.far_lost.unwrap()), "{s:?}");
        assert!((70..=76).contains(&s.lost), "{s:?}");
        assert!(s.rtcp_sent >= 4 && s.rtcp_received > 4);
        assert!(s.mos.unwrap() < 4.2);
        // Lost ones are made up, nothing else is.
        assert!((65..=80).contains(&s.concealed), "{s:?}");
    }
}

#[test]
fn keys_are_told_once_and_leave_no_hole_in_the_sound() {
    let mut s = RtpSession::new(config(G711::Pcmu, B, 11));
    let peer: SocketAddr = B.parse().unwrap();
    let mut now = start();
    let mut digits = String::new();
    let mut concealed = 0;
    for (sequence, tick) in (0..200_u16).zip(0_u32..) {
        let (payload_type, timestamp, payload): (u8, u32, Vec<u8>) = if (50..60).contains(&tick) {
            let event = EventPayload { code: 5, end: tick > 57, volume: 10, duration: ((tick - 49) * 160) as u16 };
            (101, 50 * 160, event.build().to_vec())
        } else {
            (0, tick * 160, vec![0xff; 160])
        };
        let raw = RtpPacket { marker: false, payload_type, sequence, timestamp, ssrc: 9, payload: &payload }.build();
        s.handle_rtp(now, peer, &raw);
        concealed += usize::from(s.play_out(now).kind == FrameKind::Concealed);
        while let Some(out) = s.poll_output() {
            if let RtpOutput::Digit(d) = out {
                digits.push(d.reveal());
            }
        }
        now = now.plus(Duration::from_millis(20));
    }
    assert_eq!((digits.as_str(), concealed), ("5", 0));
    assert_eq!(s.stats().lost, 0);
}

#[test]
fn packets_of_10_30_and_60_ms_play_without_gaps() {
    for samples in [80_usize, 240, 480] {
        let mut s = RtpSession::new(config(G711::Pcma, B, 11));
        let peer: SocketAddr = B.parse().unwrap();
        let first = start();
        let mut sent = 0_u32;
        let mut kinds = Vec::new();
        for tick in 0..300_u64 {
            let now = first.plus(Duration::from_millis(tick * 20));
            while (sent as usize * samples) as u64 <= tick * 160 {
                let payload = vec![0xd5; samples];
                let p = RtpPacket {
                    marker: false,
                    payload_type: 8,
                    sequence: sent as u16,
                    timestamp: sent * samples as u32,
                    ssrc: 9,
                    payload: &payload,
                };
                s.handle_rtp(now, peer, &p.build());
                sent += 1;
            }
            kinds.push(s.play_out(now).kind);
        }
        let rough = kinds[20..].iter().filter(|k| **k != FrameKind::Voice).count();
        assert!(rough <= 3, "{samples}: {rough} {:?}", s.stats());
    }
}

#[test]
fn garbage_and_strangers_are_counted_and_change_nothing() {
    let mut s = RtpSession::new(config(G711::Pcmu, B, 11));
    let (peer, thief): (SocketAddr, SocketAddr) = (B.parse().unwrap(), "203.0.113.1:99".parse().unwrap());
    let now = start();
    let good = |n: u16| {
        RtpPacket {
            marker: false,
            payload_type: 0,
            sequence: n,
            timestamp: u32::from(n) * 160,
            ssrc: 9,
            payload: &[0xff; 160],
        }
        .build()
    };
    s.handle_rtp(now, peer, &good(0));
    s.handle_rtp(now, peer, b"hello");
    s.handle_rtp(now, peer, &[0x80; 12]);
    s.handle_rtp(now, thief, &good(1));
    s.handle_rtcp(now, peer, b"noise");
    s.handle_rtcp(now, thief, &rtcp::build(9, None, &[], "t", true));
    let own = RtpPacket { ssrc: 11, ..RtpPacket::parse(&good(2)).unwrap() }.build();
    s.handle_rtp(now, peer, &own);
    let d = s.stats().dropped;
    assert_eq!(d, Dropped { malformed: 1, malformed_rtcp: 1, unknown: 1, foreign: 2, looped: 1, unsent: 0 });
    assert_eq!(s.remote(), peer);
    assert_eq!(s.stats().goodbyes, 0);
}

#[test]
fn comfort_noise_is_heard_as_quiet_noise_until_voice_comes_back() {
    let mut s = RtpSession::new(config(G711::Pcmu, B, 11));
    let peer: SocketAddr = B.parse().unwrap();
    let mut now = start();
    let mut frames = Vec::new();
    let mut sequence = 0;
    for tick in 0..100_u32 {
        let send = match tick {
            0..30 | 60.. => Some((0, vec![0x80; 160])),
            30 => Some((13, vec![50])),
            _ => None,
        };
        if let Some((payload_type, payload)) = send {
            let p =
                RtpPacket { marker: false, payload_type, sequence, timestamp: tick * 160, ssrc: 9, payload: &payload };
            s.handle_rtp(now, peer, &p.build());
            sequence += 1;
        }
        frames.push(s.play_out(now));
        now = now.plus(Duration::from_millis(20));
    }
    let quiet = &frames[45];
    assert_eq!(quiet.kind, FrameKind::Silence);
    let rms = (quiet.pcm.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / 160.0).sqrt();
    assert!((60.0..160.0).contains(&rms), "{rms}"); // -50 dBov is 104
    assert_eq!(frames[90].kind, FrameKind::Voice);
    assert_eq!(s.stats().concealed, 0);
}

#[test]
fn a_new_stream_of_the_same_peer_is_followed() {
    let mut s = RtpSession::new(config(G711::Pcmu, B, 11));
    let peer: SocketAddr = B.parse().unwrap();
    let mut now = start();
    for n in 0..100_u16 {
        let (ssrc, sequence, timestamp) =
            if n < 50 { (9, n, u32::from(n) * 160) } else { (77, n + 9_000, 5_000_000 + u32::from(n) * 160) };
        let p = RtpPacket { marker: false, payload_type: 0, sequence, timestamp, ssrc, payload: &[0x80; 160] };
        s.handle_rtp(now, peer, &p.build());
        s.play_out(now);
        now = now.plus(Duration::from_millis(20));
    }
    let stats = s.stats();
    assert_eq!((stats.streams, stats.lost), (1, 0));
    assert!(stats.voice > 85, "{stats:?}");
}

#[test]
fn with_mux_reports_share_the_rtp_port_both_ways() {
    let mut s = RtpSession::new(RtpConfig { rtcp_mux: true, ..config(G711::Pcmu, B, 11) });
    let peer: SocketAddr = B.parse().unwrap();
    let mut now = start();
    s.send(now, &[0; 160]);
    now = now.plus(Duration::from_secs(4));
    s.handle_rtp(now, peer, &rtcp::build(9, None, &[], "t", false));
    let outputs: Vec<_> = std::iter::from_fn(|| s.poll_output()).collect();
    assert!(
        matches!(&outputs[..], [RtpOutput::Rtp { .. }, RtpOutput::Rtp { to, bytes }] if *to == peer && is_rtcp(bytes)),
        "{outputs:?}"
    );
    assert_eq!(s.stats().rtcp_received, 2);
}

proptest::proptest! {
    #[test]
    fn no_bytes_panic(data in proptest::collection::vec(proptest::num::u8::ANY, 0..2_000)) {
        crate::rtp::fuzz::fuzz_packet(&data);
        crate::rtp::fuzz::fuzz_session(&data);
    }

    #[test]
    fn no_plausible_packets_panic(packets in proptest::collection::vec(
        (proptest::sample::select(vec![0_u8, 8, 13, 101, 72, 73, 96]), proptest::num::u16::ANY, proptest::num::u32::ANY,
         0_u32..3, proptest::collection::vec(proptest::num::u8::ANY, 0..40)), 0..60)
    ) {
        let mut data = vec![0];
        for (payload_type, sequence, timestamp, ssrc, payload) in packets {
            let raw = RtpPacket { marker: false, payload_type, sequence, timestamp, ssrc, payload: &payload }.build();
            data.push(raw.len() as u8);
            data.extend(raw);
        }
        crate::rtp::fuzz::fuzz_session(&data);
    }
}

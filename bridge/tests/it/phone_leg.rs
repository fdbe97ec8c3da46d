//! A phone leg between a telephone's RTP (here: this test's own sockets and session) and a real SFU room.

use std::net::Ipv4Addr;
use std::time::Duration;

use bridge::audio::g711::G711;
use bridge::audio::{PHONE_FRAME, Sine, tone_level};
use bridge::livekit::{Encryption, JoinOptions, Participant, SfuEvent};
use bridge::phone::{Over, PhoneEvent, PhoneLeg, PhoneSettings, Prompt};
use bridge::rtp::{RtpConfig, RtpOutput, RtpSession};
use bridge::sip::PhoneMedia;
use bridge::time::Now;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use crate::livekit_party::{Party, key_of, who};
use crate::livekit_server::{Server, token};

const PHONE: f32 = 500.0;
const ALICE: f32 = 900.0;
const BOB: f32 = 1_300.0;

/// A telephone: sends its tone, keeps what it hears.
struct Telephone {
    rtp: UdpSocket,
    session: RtpSession,
    sine: Sine,
    heard: Vec<i16>,
}

impl Telephone {
    /// With the media of the other end of its line.
    async fn new() -> (Self, PhoneMedia) {
        let mut sockets = Vec::new();
        for _ in 0..4 {
            sockets.push(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap());
        }
        let address = |n: usize| sockets[n].local_addr().unwrap();
        let config = |remote: usize, ssrc| RtpConfig {
            codec: G711::Pcmu,
            payload_type: 0,
            telephone_event: Some(101),
            remote: address(remote),
            remote_rtcp: address(remote + 1),
            rtcp_mux: false,
            ssrc,
            first_sequence: 1_000,
            first_timestamp: 5_000,
            cname: "test".into(),
        };
        let (ours, theirs) = (config(2, 1), config(0, 2));
        let mut sockets = sockets.into_iter();
        let rtp = sockets.next().unwrap();
        let _rtcp = sockets.next();
        let media = PhoneMedia { rtp: sockets.next().unwrap(), rtcp: sockets.next().unwrap(), config: theirs };
        let session = RtpSession::new(ours);
        (Self { rtp, session, sine: Sine::new(PHONE, -12.0, 8_000), heard: Vec::new() }, media)
    }

    /// Talks and listens for so long.
    async fn talk(&mut self, frames: usize) -> Vec<i16> {
        self.heard.clear();
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        let mut buffer = [0; 2_048];
        let mut left = frames;
        while left > 0 {
            tokio::select! {
                _ = tick.tick() => {
                    left -= 1;
                    let frame: [i16; PHONE_FRAME] = self.sine.take(PHONE_FRAME).try_into().unwrap();
                    self.session.send(Now::read(), &frame);
                    self.heard.extend_from_slice(&self.session.play_out(Now::read()).pcm);
                }
                got = self.rtp.recv_from(&mut buffer) => {
                    let (length, source) = got.unwrap();
                    self.session.handle_rtp(Now::read(), source, &buffer[..length]);
                }
            }
            while let Some(output) = self.session.poll_output() {
                if let RtpOutput::Rtp { to, bytes } = output {
                    self.rtp.send_to(&bytes, to).await.unwrap();
                }
            }
        }
        self.heard.clone()
    }

    /// Hears these tones at their level and not those. As with the parties, a busy machine may spoil a second.
    async fn hears(&mut self, these: &[f32], not: &[f32]) {
        self.talk(75).await;
        let mut seen = Vec::new();
        for _ in 0..6 {
            let pcm = self.talk(50).await;
            let level = |hz: &f32| tone_level(&pcm, 8_000, *hz);
            assert!(not.iter().all(|hz| level(hz) < -42.0), "{:?}", not.iter().map(level).collect::<Vec<_>>());
            let levels: Vec<f32> = these.iter().map(level).collect();
            if levels.iter().all(|level| (level + 12.0).abs() < 1.0) {
                return;
            }
            seen.push(levels);
        }
        panic!("{these:?} Hz have, in dB: {seen:?}");
    }

    /// Presses a key: three starts, three ends, as phones do.
    async fn press(&mut self, event: u8, to: std::net::SocketAddr) {
        for n in 0..6u8 {
            let end = if n >= 3 { 0x80 } else { 0 };
            let mut packet = vec![0x80, 101, 0x50, n, 0, 1, 0, 0, 0, 0, 0, 1];
            packet.extend_from_slice(&[event, end | 10, 0x03, 0x20]);
            self.rtp.send_to(&packet, to).await.unwrap();
        }
    }
}

/// Passes the frames of the participant to the leg, as the desk will.
fn pump(leg: &PhoneLeg, mut events: mpsc::Receiver<SfuEvent>) -> tokio::task::JoinHandle<()> {
    let leg = leg.clone();
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            match event {
                SfuEvent::Frame(frame) => leg.frame(frame),
                SfuEvent::ParticipantLeft(who) => leg.party_left(who),
                _ => {}
            }
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_phone_and_the_room_hear_one_another_and_not_themselves() {
    let server = Server::start().await;
    let alice = Party::join(&server.url(), "phone", "alice", ALICE, Encryption::Required).await;
    let bob = Party::join(&server.url(), "phone", "bob", BOB, Encryption::Required).await;
    let options = JoinOptions::new(server.url(), token(&who("phone").0, "phone"));
    let (ghost, events) = Participant::join(options).await.unwrap();
    ghost.set_send_key(0, &key_of("phone"));
    ghost.set_receive_key(who("alice"), 0, &key_of("alice"));
    alice.knows(&["phone"]);
    bob.knows(&["phone"]);
    let (mut phone, media) = Telephone::new().await;
    let far = media.rtp.local_addr().unwrap();
    let (leg, mut told) = PhoneLeg::start(media, ghost.clone());
    let pumping = pump(&leg, events);

    // Bob's key has not come: he is silent.
    phone.hears(&[ALICE], &[PHONE, BOB]).await;

    ghost.set_receive_key(who("bob"), 0, &key_of("bob"));
    phone.hears(&[ALICE, BOB], &[PHONE]).await;

    let prompt = Sine::new(400.0, -12.0, 8_000).take(24_000).into();
    assert!(leg.play(Prompt { pcm: prompt, over: Over::Replace }));
    phone.talk(15).await;
    let during = phone.talk(25).await;
    assert!(tone_level(&during, 8_000, 400.0) > -15.0 && tone_level(&during, 8_000, ALICE) < -40.0);

    phone.press(5, far).await;
    let talking = async {
        loop {
            phone.talk(10).await;
        }
    };
    tokio::select! {
        () = talking => {}
        () = alice.hears("phone", PHONE, &[ALICE, BOB]) => {}
    }
    let stats = leg.stop().await;
    pumping.abort();
    assert!(stats.rtp.voice > 200 && stats.room.voice > 300, "{stats:?}");
    assert!(stats.mos().is_some_and(|mos| mos > 3.0), "{:?}", stats.mos());
    let mut events = Vec::new();
    while let Ok(event) = told.try_recv() {
        events.push(event);
    }
    for want in [PhoneEvent::FirstAudioFromPhone, PhoneEvent::FirstAudioToPhone, PhoneEvent::Digit('5')] {
        assert_eq!(events.iter().filter(|event| **event == want).count(), 1, "{want:?} in {events:?}");
    }
    ghost.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_phone_is_told_once() {
    let server = Server::start().await;
    let options = JoinOptions::new(server.url(), token(&who("phone").0, "dead"));
    let (ghost, _events) = Participant::join(options).await.unwrap();
    let (_phone, media) = Telephone::new().await;
    let settings = PhoneSettings { media_timeout: Duration::from_millis(200), stats_every: Duration::from_millis(300) };
    let (leg, mut told) = PhoneLeg::start_with(media, ghost, settings);
    let (mut timeouts, mut stats) = (0, 0);
    while stats < 3 {
        match told.recv().await {
            Some(PhoneEvent::MediaTimeout) => timeouts += 1,
            Some(PhoneEvent::Stats(_)) => stats += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(timeouts, 1);
    assert_eq!(leg.stop().await.rtp.received, 0);
    assert_eq!(told.recv().await, None);
}

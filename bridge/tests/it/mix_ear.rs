//! The listener of the recogniser: frames in any order become steady 16 kHz.

use std::time::{Duration, Instant};

use bridge::audio::{Listener, OpusEncoder, Sine, level};
use bridge::livekit::{FrameAudio, ParticipantIdentity, RemoteFrame};

fn frames(count: u64) -> Vec<(u64, FrameAudio)> {
    let (mut sine, mut encoder) = (Sine::new(600.0, -12.0, 48_000), OpusEncoder::new(48_000).unwrap());
    (0..count).map(|n| (n, FrameAudio::Opus(encoder.encode(&sine.take(960)).unwrap()))).collect()
}

/// Runs a listener over packets given as (20 ms step of arrival, number, sound).
fn listen(arrivals: &[(u64, u64, FrameAudio)], ticks: u64) -> Vec<Option<Vec<i16>>> {
    let start = Instant::now();
    let mut listener = Listener::new();
    (0..ticks)
        .map(|step| {
            let now = start + Duration::from_millis(20 * step);
            for (_, sequence, audio) in arrivals.iter().filter(|(at, ..)| *at == step) {
                listener.frame(RemoteFrame {
                    from: ParticipantIdentity("a".into()),
                    stream: 1,
                    sequence: *sequence,
                    timestamp: sequence * 960,
                    arrived: now,
                    audio: audio.clone(),
                });
            }
            listener.tick(now)
        })
        .collect()
}

#[test]
fn frames_in_disorder_and_with_gaps_come_out_steady() {
    let arrivals: Vec<_> = frames(200)
        .into_iter()
        .filter(|(n, _)| n % 25 != 7)
        .map(|(n, audio)| (if n % 10 == 3 { n + 1 } else { n }, n, audio))
        .collect();
    let out = listen(&arrivals, 200);
    let heard: Vec<i16> = out.iter().flatten().flatten().copied().collect();
    assert_eq!(out.iter().filter(|frame| frame.is_none()).count(), 0);
    for (n, piece) in heard.chunks(320).enumerate().skip(30).take(160) {
        let level = level(piece);
        assert!((-36.0..-9.0).contains(&level), "frame {n} has {level} dB");
    }
}

#[test]
fn after_the_last_word_comes_silence_and_then_nothing() {
    let arrivals: Vec<_> = frames(50).into_iter().map(|(n, audio)| (n, n, audio)).collect();
    let out = listen(&arrivals, 400);
    let last = out.iter().rposition(Option::is_some).unwrap();
    assert!((140..=170).contains(&last), "silence for two seconds, then nothing: {last}");
    assert!(out[..last].iter().all(Option::is_some), "without a hole");
}

#[test]
fn the_servers_silence_is_silence() {
    let silence = (50..61).map(|n| (n, n, FrameAudio::Silence));
    let arrivals: Vec<_> = frames(50).into_iter().map(|(n, audio)| (n, n, audio)).chain(silence).collect();
    let out = listen(&arrivals, 100);
    assert!(out[60..80].iter().flatten().flatten().all(|sample| sample.abs() < 400));
}

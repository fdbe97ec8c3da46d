//! A participant with a tone of its own and a record of what it hears, for the tests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bridge::audio::{Made, OpusEncoder, PartyAudio, Sine, tone_level};
use bridge::livekit::{Encryption, JoinOptions, MediaKey, Participant, ParticipantIdentity, SfuEvent};
use tokio::sync::watch;

use crate::livekit_server::token;

#[derive(Default)]
struct Record {
    events: Vec<SfuEvent>,
    heard: HashMap<ParticipantIdentity, (PartyAudio, Vec<i16>, u32)>,
}

pub struct Party {
    pub participant: Participant,
    record: Arc<Mutex<Record>>,
    changed: watch::Receiver<()>,
    tasks: [tokio::task::JoinHandle<()>; 2],
}

impl Drop for Party {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

pub fn who(name: &str) -> ParticipantIdentity {
    ParticipantIdentity(format!("@{name}:example.org:DEVICE"))
}

/// Everyone's key is made from their name, so that tests need not carry keys about.
pub fn key_of(name: &str) -> MediaKey {
    let mut bytes = [7; 16];
    for (byte, letter) in bytes.iter_mut().zip(name.bytes()) {
        *byte = letter;
    }
    MediaKey::from_bytes(&bytes).unwrap()
}

impl Party {
    /// Joins as `name`, sends a tone of `hz` (none for zero) under the key of its name.
    pub async fn join(url: &str, room: &str, name: &str, hz: f32, encryption: Encryption) -> Self {
        let options = JoinOptions { encryption, ..JoinOptions::new(url, token(&who(name).0, room)) };
        Self::join_with(options, name, hz).await
    }

    pub async fn join_with(options: JoinOptions, name: &str, hz: f32) -> Self {
        let (participant, mut events) = Participant::join(options).await.expect("the room is joined");
        participant.set_send_key(0, &key_of(name));
        let record = Arc::new(Mutex::new(Record::default()));
        let (tell, changed) = watch::channel(());
        let taken = Arc::clone(&record);
        let taker = tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                let mut record = taken.lock().unwrap();
                match event {
                    SfuEvent::Frame(frame) => {
                        let new = || (PartyAudio::new(8_000), Vec::new(), 0);
                        record.heard.entry(frame.from.clone()).or_insert_with(new).0.frame(frame).unwrap();
                    }
                    event => record.events.push(event),
                }
                drop(record);
                let _ = tell.send(());
            }
        });
        let (speaking, listening) = (participant.clone(), Arc::clone(&record));
        let ticker = tokio::spawn(async move {
            let (mut sine, mut encoder) = (Sine::new(hz, -12.0, 8_000), OpusEncoder::new(8_000).unwrap());
            let mut tick = tokio::time::interval(Duration::from_millis(20));
            loop {
                tick.tick().await;
                if hz > 0.0 {
                    speaking.send_opus_with_level(encoder.encode(&sine.take(160)).unwrap(), 960, -12);
                }
                for (audio, pcm, gaps) in listening.lock().unwrap().heard.values_mut() {
                    let mut frame = [0; 160];
                    if audio.tick(Instant::now(), &mut frame) == Made::Concealed {
                        *gaps += 1;
                    }
                    pcm.extend_from_slice(&frame);
                }
            }
        });
        Self { participant, record, changed, tasks: [taker, ticker] }
    }

    pub fn knows(&self, names: &[&str]) {
        for name in names {
            self.participant.set_receive_key(who(name), 0, &key_of(name));
        }
    }

    /// Waits until what was told and heard so far satisfies `enough`.
    async fn until(&self, what: &str, enough: impl Fn(&Record) -> bool) {
        let mut changed = self.changed.clone();
        let wait = async {
            while !enough(&self.record.lock().unwrap()) {
                // What ticks also changes: look again soon, event or none.
                let _ = tokio::time::timeout(Duration::from_millis(50), changed.changed()).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(30), wait).await.is_err() {
            let record = self.record.lock().unwrap();
            panic!("{what} did not happen; told: {:?}; stats: {:?}", record.events, self.participant.stats());
        }
    }

    pub async fn told(&self, event: SfuEvent) {
        self.told_times(event, 1).await;
    }

    pub async fn told_times(&self, event: SfuEvent, times: usize) {
        self.until(&format!("{event:?}"), |r| r.events.iter().filter(|e| **e == event).count() >= times).await;
    }

    pub async fn closed(&self) -> SfuEvent {
        let is = |e: &&SfuEvent| matches!(e, SfuEvent::Closed { .. });
        self.until("Closed", |r| r.events.iter().any(|e| is(&e))).await;
        self.record.lock().unwrap().events.iter().find(is).unwrap().clone()
    }

    pub fn count(&self, event: &SfuEvent) -> usize {
        self.record.lock().unwrap().events.iter().filter(|e| *e == event).count()
    }

    /// Forgets the sound so far, waits for a second of new sound of `from`, and gives it.
    pub async fn fresh_second(&self, from: &str) -> Vec<i16> {
        if let Some((_, pcm, gaps)) = self.record.lock().unwrap().heard.get_mut(&who(from)) {
            pcm.clear();
            *gaps = 0;
        }
        self.until(&format!("a second of {from}"), |r| r.heard.get(&who(from)).is_some_and(|h| h.1.len() >= 8_000))
            .await;
        self.record.lock().unwrap().heard[&who(from)].1.clone()
    }

    /// Hears this one's tone at its level, without gaps, and none of the others'. A machine that is busy with other tests
    /// may spoil a second: one of six must be good, and in none may there be what must not be heard.
    pub async fn hears(&self, from: &str, hz: f32, not: &[f32]) {
        // The first second has the start of the stream in it.
        let _ = self.fresh_second(from).await;
        let mut seen = Vec::new();
        for _ in 0..6 {
            let pcm = self.fresh_second(from).await;
            for &other in not {
                let level = tone_level(&pcm, 8_000, other);
                assert!(level < -45.0, "{other} Hz in {from}'s stream has {level} dB");
            }
            let (level, gaps) = (tone_level(&pcm, 8_000, hz), self.gaps(from));
            if (level + 12.0).abs() < 1.0 && gaps < 3 {
                return;
            }
            seen.push((level, gaps));
        }
        panic!("{from}'s {hz} Hz, in dB and gaps of each second: {seen:?}");
    }

    fn gaps(&self, from: &str) -> u32 {
        self.record.lock().unwrap().heard.get(&who(from)).map_or(0, |h| h.2)
    }

    pub fn heard_any_of(&self, from: &str) -> bool {
        self.record.lock().unwrap().heard.contains_key(&who(from))
    }
}

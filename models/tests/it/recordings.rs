//! Recordings of real speech through the whole of `models::files`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use models::ModelError;
use models::eval::word_error_rate;
use models::files::{Options, Recording, transcribe};
use models::notes::NoteTaker;
use models::speech::backend::{Backend, BackendError, Decoded, Task, Worker};

use crate::shared_lines::{conversation, judge, telling};
use crate::support::{config, prompt, silence};

fn options() -> Options {
    Options { recogniser: config(), terms: Vec::new(), several_voices: false, channels_apart: false }
}

fn write(path: &Path, channels: &[&[i16]]) {
    let count = u16::try_from(channels.len()).unwrap();
    let spec = hound::WavSpec {
        channels: count,
        sample_rate: 16_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    let longest = channels.iter().map(|c| c.len()).max().unwrap_or(0);
    for n in 0..longest {
        for channel in channels {
            writer.write_sample(channel.get(n).copied().unwrap_or(0)).unwrap();
        }
    }
    writer.finalize().unwrap();
}

#[test]
fn two_files_make_one_transcript_in_order_with_notes() {
    let folder = tempfile::tempdir().unwrap();
    let (first, sound) = prompt("conf-onlyperson");
    write(&folder.path().join("Ada.wav"), &[&sound]);
    let (second, later) = prompt("vm-goodbye");
    let delayed: Vec<i16> = silence(sound.len() / 16 + 1_500).into_iter().chain(later).collect();
    write(&folder.path().join("b.wav"), &[&delayed]);
    let recordings = [
        Recording { path: folder.path().join("Ada.wav"), name: None },
        Recording { path: folder.path().join("b.wav"), name: Some("Bob".to_owned()) },
    ];
    let mut last = None;
    let taker = NoteTaker::new(Vec::new(), 0, "UTC".to_owned(), Vec::new());
    let done = transcribe(&recordings, &options(), Some(taker), &mut |progress| last = Some(progress)).unwrap();
    assert_eq!(done.parties, ["Ada", "Bob"]);
    let said: Vec<_> = done.utterances.iter().map(|line| (line.speaker.as_str(), line.text.as_str())).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!((said[0].0, said[1].0), ("Ada", "Bob"));
    assert!(word_error_rate(&first, said[0].1) < 0.3 && word_error_rate(&second, said[1].1) < 0.3, "{said:?}");
    assert!(done.utterances.iter().all(|line| !line.words.is_empty() && line.start_ms < line.end_ms));
    assert!(done.utterances[1].start_ms > done.utterances[0].end_ms);
    assert_eq!(done.notes.as_ref().unwrap().written_by, "extractive");
    let last = last.unwrap();
    assert!(last.writing_notes && last.utterances == 2 && last.done_ms > 0, "{last:?}");
    assert!(done.warnings.is_empty(), "{:?}", done.warnings);
}

/// A recogniser that takes its time and counts what it was given.
#[derive(Debug, Clone, Default)]
struct Slow(Arc<AtomicU64>);

impl Backend for Slow {
    fn name(&self) -> &str {
        "slow"
    }

    fn worker(&self) -> Result<Box<dyn Worker>, ModelError> {
        Ok(Box::new(self.clone()))
    }

    fn can_caption(&self) -> bool {
        false
    }
}

impl Worker for Slow {
    fn decode(&mut self, task: &Task<'_>) -> Result<Decoded, BackendError> {
        self.0.fetch_add(task.samples.len() as u64, Ordering::Relaxed);
        // Slower than voice activity, which takes some 10 ms for an utterance.
        std::thread::sleep(Duration::from_millis(100));
        Ok(Decoded {
            text: "word".to_owned().into(),
            words: Vec::new(),
            language: None,
            languages: Vec::new(),
            confidence: 0.9,
            mean_logprob: -0.1,
            no_speech: 0.0,
            tokens: 1,
        })
    }
}

#[test]
fn a_recogniser_that_is_slower_than_the_file_is_read_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (_, sound) = prompt("vm-goodbye");
    let turn: Vec<i16> = sound.iter().copied().chain(silence(1_200)).collect();
    let turns = 90;
    write(&folder.path().join("long.wav"), &[&turn.repeat(turns)]);
    let slow = Slow::default();
    let mut options = options();
    options.recogniser.backend = Some(Arc::new(slow.clone()));
    options.recogniser.workers = 1;
    options.recogniser.inbox_ms = 1_000;
    options.recogniser.backlog_ms = 1_000;
    let recordings = [Recording { path: folder.path().join("long.wav"), name: None }];
    let done = transcribe(&recordings, &options, None, &mut |_| {}).unwrap();
    assert!(done.warnings.is_empty(), "{:?}", done.warnings);
    assert_eq!(done.utterances.len(), turns);
    assert!(slow.0.load(Ordering::Relaxed) > 0);
}

#[test]
fn each_channel_is_a_party_where_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (_, left) = prompt("vm-goodbye");
    let quiet = silence(left.len() / 16);
    write(&folder.path().join("call.wav"), &[&quiet, &left]);
    let options = Options { channels_apart: true, ..options() };
    let recordings = [Recording { path: folder.path().join("call.wav"), name: None }];
    let done = transcribe(&recordings, &options, None, &mut |_| {}).unwrap();
    assert_eq!(done.parties, ["call 1", "call 2"]);
    assert!(!done.utterances.is_empty() && done.utterances.iter().all(|line| line.speaker == "call 2"));
}

#[test]
fn people_who_share_a_file_are_told_apart_by_voice() {
    let folder = tempfile::tempdir().unwrap();
    let (sound, truth) = conversation(8);
    write(&folder.path().join("talk.wav"), &[&sound]);
    let options = Options { recogniser: telling(), several_voices: true, ..options() };
    let recordings = [Recording { path: folder.path().join("talk.wav"), name: None }];
    let done = transcribe(&recordings, &options, None, &mut |_| {}).unwrap();
    assert!(done.warnings.is_empty(), "{:?}", done.warnings);
    let told: Vec<_> = done.utterances.iter().map(|line| (line.voice, line.start_ms, line.end_ms)).collect();
    let (wrong, time) = judge(&truth, &told);
    let spoken: i64 = truth.iter().map(|turn| turn.end_ms - turn.start_ms).sum();
    assert!(wrong * 10 < time && time * 10 > spoken * 8, "{wrong} wrong of {time} of {spoken} ms: {told:?}");
    let speakers: std::collections::BTreeSet<_> = done.utterances.iter().map(|line| line.speaker.as_str()).collect();
    assert!(speakers.contains("Speaker A") && speakers.contains("Speaker B"), "{speakers:?}");
    assert!(done.to_vtt().contains("<v Speaker B>"));
}

#[test]
fn each_file_has_speakers_of_its_own_and_without_the_networks_people_are_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let (sound, _) = conversation(2);
    write(&folder.path().join("Hall.wav"), &[&sound]);
    write(&folder.path().join("Desk.wav"), &[&sound]);
    let recordings =
        ["Hall", "Desk"].map(|name| Recording { path: folder.path().join(format!("{name}.wav")), name: None });
    let options = Options { recogniser: telling(), several_voices: true, ..options() };
    let done = transcribe(&recordings, &options, None, &mut |_| {}).unwrap();
    let speakers: std::collections::BTreeSet<_> = done.utterances.iter().map(|line| line.speaker.as_str()).collect();
    assert!(speakers.contains("Speaker A (Hall)") && speakers.contains("Speaker A (Desk)"), "{speakers:?}");
    let without = Options { recogniser: config(), ..options };
    let done = transcribe(&recordings[..1], &without, None, &mut |_| {}).unwrap();
    assert!(done.warnings.iter().any(|warning| warning.contains("nobody is told apart")), "{:?}", done.warnings);
}

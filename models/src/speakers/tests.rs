//! The tracker with real weights on real voices, and what is left of them when it is gone.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::process::Command;
use std::sync::{Arc, Mutex};

use super::der::{Speech, diarisation_errors};
use super::*;
use crate::eval::prompts::SPEAKERS;
use crate::eval::upsample_8k_to_16k;

fn config() -> SpeakerConfig {
    SpeakerConfig::in_folder(&weights::default_folder()).unwrap_or_else(|error| panic!("{error}"))
}

fn models() -> Arc<SpeakerModels> {
    SpeakerModels::load(&config()).unwrap()
}

/// Prompts of one of Debian's voices, 1.5 to 6 s each, without the silence around them.
fn prompts(name: &str, count: usize) -> Vec<Vec<i16>> {
    let voice = SPEAKERS.iter().find(|s| s.name == name).unwrap();
    let prompts = voice.prompts().unwrap_or_else(|error| panic!("{error}"));
    let sounds = prompts.iter().map(|prompt| {
        let mut reader = hound::WavReader::open(&prompt.wav).unwrap();
        let pcm: Vec<i16> = reader.samples::<i16>().map(Result::unwrap).collect();
        let loud = |s: &&i16| s.unsigned_abs() > 300;
        let from = pcm.iter().position(|s| loud(&s)).unwrap_or(0);
        let to = pcm.iter().rposition(|s| loud(&s)).unwrap_or(0);
        upsample_8k_to_16k(&pcm[from..to.max(from)])
    });
    sounds.filter(|pcm| (24_000..96_000).contains(&pcm.len())).take(count).collect()
}

/// Turns of these voices in turn with pauses between them; who really spoke when.
fn conversation(voices: &[&str], turns: usize) -> (Vec<i16>, Vec<Speech>) {
    let said: Vec<Vec<Vec<i16>>> = voices.iter().map(|name| prompts(name, turns)).collect();
    let (mut pcm, mut truth) = (vec![0; 8000], Vec::new());
    for turn in 0..turns {
        let who = turn % voices.len();
        let start_ms = pcm.len() as i64 / 16;
        pcm.extend(&said[who][turn / voices.len()]);
        truth.push(Speech { start_ms, end_ms: pcm.len() as i64 / 16, speaker: voices[who].to_owned() });
        pcm.extend(std::iter::repeat_n(0, 6400 + 1600 * (turn % 3)));
    }
    (pcm, truth)
}

fn push(tracker: &mut SpeakerTracker, at: i64, pcm: &[i16]) -> i64 {
    for (number, frame) in pcm.chunks(320).enumerate() {
        tracker.push(at + number as i64 * 20, frame);
    }
    at + pcm.len() as i64 / 16
}

#[test]
fn three_people_on_one_line_are_told_apart_as_they_speak() {
    let (pcm, truth) = conversation(&["Allison (en)", "Carlo (it)", "June (fr)"], 15);
    let mut tracker = SpeakerTracker::new(models());
    let mut said = Vec::new();
    let mut heard = 0;
    for turn in &truth {
        // 0.4 s behind the end of a turn it is asked who that was.
        let until = turn.end_ms as usize * 16 + 6400;
        push(&mut tracker, heard as i64 / 16, &pcm[heard..until]);
        heard = until;
        said.extend(tracker.voices(turn.start_ms, turn.end_ms).into_iter().map(Speech::from));
    }
    let errors = diarisation_errors(&truth, &said, 250);
    assert!(errors.rate() < 0.1, "{errors:?}");
    let voices: std::collections::BTreeSet<_> = said.iter().map(|s| s.speaker.as_str()).collect();
    assert_eq!(voices.into_iter().collect::<Vec<_>>(), ["Speaker A", "Speaker B", "Speaker C"]);
    assert_eq!(tracker.stats().failed, 0);
}

#[test]
fn who_comes_back_after_an_hour_is_still_the_same_voice() {
    let (pcm, truth) = conversation(&["Allison (en)", "Carlo (it)"], 6);
    let mut tracker = SpeakerTracker::new(models());
    let end = push(&mut tracker, 1000, &pcm);
    let later = 3_600_000;
    push(&mut tracker, later, &pcm);
    let main = |tracker: &mut SpeakerTracker, at: i64, turn: &Speech| {
        let spans = tracker.voices(at + turn.start_ms, at + turn.end_ms);
        spans.into_iter().max_by_key(|span| span.end_ms - span.start_ms).map(|span| span.voice)
    };
    for turn in &truth[2..] {
        let (before, after) = (main(&mut tracker, 1000, turn), main(&mut tracker, later, turn));
        assert!(before.is_some() && before == after, "{before:?}, later {after:?}");
    }
    assert!(tracker.voices(end + 10_000, later - 10_000).is_empty());
    for span in tracker.voices(later + 2000, later + 6000) {
        assert!(
            span.start_ms >= later + 2000 && span.end_ms <= later + 6000 && span.start_ms < span.end_ms,
            "{span:?}"
        );
    }
}

#[test]
fn silence_and_a_steady_hum_cost_nothing_and_are_nobody() {
    let mut tracker = SpeakerTracker::new(models());
    let hum: Vec<i16> = (0..16_000 * 30)
        .map(|i| ((f64::from(i) * 50.0 * std::f64::consts::TAU / 16_000.0).sin() * 300.0) as i16)
        .collect();
    let at = push(&mut tracker, 0, &vec![0; 16_000 * 60]);
    push(&mut tracker, at, &hum);
    // Until the hum is known as the line's noise it may be anything.
    assert!(tracker.stats().windows <= 6, "{:?}", tracker.stats());
    assert!(tracker.voices(0, at + 30_000).is_empty());
    assert_eq!(tracker.stats().embeddings, 0);
}

#[test]
fn strange_times_and_lengths_do_no_harm() {
    let mut tracker = SpeakerTracker::new(models());
    for at in [i64::MIN, i64::MAX, 0, -1, 5, 1500, 1400, 3_000_000, i64::MAX, 0] {
        for length in [0, 1, 7, 320, 5000] {
            tracker.push(at, &vec![9000; length]);
            tracker.voices(at.saturating_sub(100), at.saturating_add(500));
        }
        tracker.voices(at, i64::MIN);
    }
    tracker.voices(i64::MIN, i64::MAX);
}

/// Runs an ignored test of this file in a process and a folder of its own; what it left in the folder.
fn alone(name: &str) -> Vec<std::ffi::OsString> {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("speakers::tests::{name}"), "--ignored", "--nocapture"])
        .current_dir(&folder)
        .env("TMPDIR", folder.path())
        .env("ROOMTONE_MODELS", weights::default_folder())
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{name}: {:?}\n{said}", output.status);
    std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect()
}

#[test]
fn files_that_are_no_onnxruntime_are_errors_and_the_right_one_loads_after_them() {
    alone("in_its_own_process_wrong_libraries_are_refused");
}

#[test]
#[ignore = "run by the test above, in its own process"]
fn in_its_own_process_wrong_libraries_are_refused() {
    let good = config();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let library = std::fs::read(&good.onnxruntime).unwrap();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let other = maps.lines().filter_map(|line| line.split_whitespace().nth(5)).find(|path| path.contains("/libc.so"));
    let mut machine = library.clone();
    machine[18] = 8;
    let mut reports = library.clone();
    reports.extend(b"https://mobile.events.data.microsoft.com/OneCollector/1.0/");
    let cases = [
        (file("reports.so", &reports), "report to its maker"),
        (folder.path().join("none.so"), "cannot read"),
        (folder.path().to_owned(), "not a file"),
        (file("empty.so", b""), "no shared library"),
        (file("text.so", b"#!/bin/sh\necho hello\n"), "no shared library"),
        (file("head.so", &library[..60]), "cut off"),
        (file("half.so", &library[..library.len() / 2]), "cut off"),
        (file("machine.so", &machine), "another kind of processor"),
        (PathBuf::from(other.unwrap()), "OrtGetApiBase"),
    ];
    for (path, expected) in cases {
        let error =
            SpeakerModels::load(&SpeakerConfig { onnxruntime: path.clone(), ..good.clone() }).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains(path.to_str().unwrap()), "{}: {error}", path.display());
    }
    SpeakerModels::load(&good).unwrap();
    let copy = file("copy.so", &library);
    let error = SpeakerModels::load(&SpeakerConfig { onnxruntime: copy, ..good.clone() }).unwrap_err();
    assert!(matches!(error, SpeakerError::OtherRuntime { .. }), "{error}");
    SpeakerModels::load(&good).unwrap();
}

#[test]
fn files_that_are_no_weights_are_errors() {
    let good = config();
    models();
    let folder = tempfile::tempdir().unwrap();
    let weights = std::fs::read(&good.segmentation).unwrap();
    for length in [0, 1, 1000, weights.len() / 2, weights.len() - 1] {
        let path = folder.path().join("cut.onnx");
        std::fs::write(&path, &weights[..length]).unwrap();
        let error = SpeakerModels::load(&SpeakerConfig { segmentation: path, ..good.clone() }).unwrap_err();
        assert!(matches!(error, SpeakerError::BadModel { .. }), "{length} bytes: {error}");
    }
    let swapped =
        SpeakerConfig { segmentation: good.embedding.clone(), embedding: good.segmentation.clone(), ..good.clone() };
    assert!(matches!(SpeakerModels::load(&swapped), Err(SpeakerError::BadModel { .. })));
    let missing = SpeakerConfig { embedding: folder.path().join("none.onnx"), ..good };
    assert!(matches!(SpeakerModels::load(&missing), Err(SpeakerError::Unreadable { .. })));
}

/// What was logged in this process.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Log;

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Keeps a thing in mind without having it in memory: its bytes, masked.
const MASK: u8 = 0x5a;

pub(super) fn masked(bytes: impl IntoIterator<Item = u8>) -> Vec<u8> {
    bytes.into_iter().map(|byte| byte ^ MASK).collect()
}

/// Which values of an embedding it is known again by.
pub(super) const PIECE: std::ops::Range<usize> = 100..108;

fn print_of(embedding: &cluster::Embedding) -> Vec<u8> {
    masked(embedding.values()[PIECE].iter().flat_map(|value| value.to_ne_bytes()))
}

/// How many of these (masked) are somewhere in the writable memory of this process.
fn in_memory(masked: &[Vec<u8>]) -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mut memory = File::open("/proc/self/mem").unwrap();
    let mut found = vec![false; masked.len()];
    let mut buffer = zeroize::Zeroizing::new(vec![0u8; 1 << 20]);
    let mut begins = vec![false; 1 << 16];
    masked.iter().for_each(|t| begins[usize::from(u16::from_ne_bytes([t[0] ^ MASK, t[1] ^ MASK]))] = true);
    for line in maps.lines().filter(|line| line.contains(" rw") && !line.contains("[v")) {
        let (from, to) = line.split_whitespace().next().unwrap().split_once('-').unwrap();
        let (mut at, to) = (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap());
        while at + 64 < to {
            let length = usize::try_from(to - at).unwrap().min(buffer.len());
            memory.seek(SeekFrom::Start(at)).unwrap();
            if memory.read_exact(&mut buffer[..length]).is_err() {
                break;
            }
            // One look at each even place; only what begins like one of them is compared.
            let mut place = 0;
            while place + 64 <= length {
                if begins[usize::from(u16::from_ne_bytes([buffer[place], buffer[place + 1]]))] {
                    let is_it = |thing: &[u8]| buffer[place..].iter().zip(thing).all(|(a, b)| a ^ MASK == *b);
                    masked.iter().zip(&mut found).for_each(|(thing, found)| *found |= is_it(thing));
                }
                place += 2;
            }
            at += (length - 64) as u64;
        }
    }
    found.into_iter().filter(|found| *found).count()
}

#[test]
fn of_voices_nothing_is_left_in_memory_logs_or_files() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let left = alone("in_its_own_process_nothing_of_voices_is_left");
    assert!(left.is_empty(), "files were written: {left:?}");
}

fn keep_log() {
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(|| Log).with_ansi(false).init();
}

/// That none of these (masked) is in what was logged, as bytes or as a number.
fn assert_not_in_log(prints: &[Vec<u8>]) {
    let log = LOG.lock().unwrap();
    for print in prints {
        let plain: Vec<u8> = print.iter().map(|byte| byte ^ MASK).collect();
        assert!(!log.windows(plain.len()).any(|place| place == plain));
        let number = f32::from_ne_bytes(plain[..4].try_into().unwrap());
        assert!(!String::from_utf8_lossy(&log).contains(&format!("{number:.4}")), "a number of a voice is in the log");
    }
}

#[test]
#[ignore = "run by the test above, in its own process"]
fn in_its_own_process_nothing_of_voices_is_left() {
    keep_log();
    let models = models();
    let mut tracker = SpeakerTracker::new(Arc::clone(&models));
    let (pcm, _) = conversation(&["Allison (en)", "Carlo (it)"], 6);
    let at = push(&mut tracker, 0, &pcm);
    // Sound that is nowhere else in memory: noise that is made here.
    let (mut seed, mut sound) = (7u64, Vec::new());
    for piece in 0..100 {
        let mut noise = zeroize::Zeroizing::new([0i16; 320]);
        for sample in noise.iter_mut() {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            *sample = (seed >> 50) as i16;
        }
        if piece == 50 {
            sound = masked(noise[100..116].iter().flat_map(|sample| sample.to_ne_bytes()));
        }
        tracker.push(at + piece * 20, &*noise);
    }
    assert_eq!(tracker.voices(0, at).iter().map(|span| span.voice).max(), Some(Voice(1)));
    let mut prints: Vec<Vec<u8>> = tracker.centres().map(print_of).collect();
    let mut prints_made = std::mem::take(&mut *cluster::MADE.lock().unwrap());
    assert!(prints.len() == 2 && prints_made.len() > 6, "the test shows nothing");
    prints.push(sound);
    assert_eq!(in_memory(&prints), 3, "what is there is not found: the test shows nothing");
    drop(tracker);
    prints.append(&mut prints_made);
    assert_eq!(in_memory(&prints), 0, "of {} prints of voices and sounds", prints.len());
    drop(models);
    assert_not_in_log(&prints);
}

#[test]
fn of_voices_on_a_live_line_nothing_is_left_in_memory_logs_or_files() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let left = alone("in_its_own_process_nothing_of_a_live_lines_voices_is_left");
    assert!(left.is_empty(), "files were written: {left:?}");
}

/// The whole way that sound takes in a call: ear, tracker on its thread, utterances with voices; then a party that withdraws and
/// one that finishes.
#[test]
#[ignore = "run by the test above, in its own process"]
fn in_its_own_process_nothing_of_a_live_lines_voices_is_left() {
    keep_log();
    let weights = |name: &str| weights::locate(&weights::named(name).unwrap(), &weights::default_folder()).unwrap();
    let mut config = crate::TranscriberConfig::new(weights(weights::DEFAULT_WHISPER), weights(weights::DEFAULT_VAD));
    config.speakers = Some(models());
    config.inbox_ms = 600_000;
    let (transcriber, mut results) = crate::Transcriber::load(config).unwrap();
    // The try-out of the networks made one too, of no voice.
    cluster::MADE.lock().unwrap().clear();
    let (pcm, _) = conversation(&["Allison (en)", "Carlo (it)"], 6);
    let shared = crate::EarOptions { several_voices: true, recorded: true, ..crate::EarOptions::default() };
    let forgotten = |lines: usize| {
        while transcriber.stats().shared_lines > lines {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    };
    // As a call brings it: of one large piece all would be in the tracker's hand at once, and none in the queue.
    let speak = |ear: &crate::PartyEar| {
        pcm.chunks(320).enumerate().for_each(|(number, frame)| ear.push(number as i64 * 20, frame));
    };
    let withdraws = transcriber.open_with(crate::PartyKey(1), shared.clone());
    speak(&withdraws);
    while withdraws.queued_ms() > 0 {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let known = std::mem::take(&mut *cluster::MADE.lock().unwrap());
    assert!(known.len() > 3 && in_memory(&known) > 0, "the test shows nothing");
    withdraws.discard();
    forgotten(0);
    let mut prints = known;
    prints.append(&mut cluster::MADE.lock().unwrap());
    assert_eq!(in_memory(&prints), 0, "of {} prints, after a withdrawal", prints.len());

    let stays = transcriber.open_with(crate::PartyKey(2), shared);
    speak(&stays);
    stays.finish();
    let mut voices = std::collections::BTreeSet::new();
    while let Some(result) = results.blocking_recv() {
        match result {
            crate::Recognised::Utterance(utterance) => voices.extend(utterance.voice),
            crate::Recognised::Finished { party: crate::PartyKey(2) } => break,
            _ => {}
        }
    }
    assert!(voices.len() == 2, "{voices:?}: the test shows nothing");
    forgotten(0);
    prints.append(&mut cluster::MADE.lock().unwrap());
    assert_eq!(in_memory(&prints), 0, "of {} prints, after the call", prints.len());
    drop((transcriber, withdraws));
    assert_not_in_log(&prints);
}

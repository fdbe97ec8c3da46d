//! Feeds recordings to a [`Transcriber`] as fast as it recognises, and collects what it says.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::source::Source;
use super::{FileError, Line, Options, Progress, Recording, Transcription};
use crate::notes::NoteTaker;
use crate::speech::{EarOptions, PartyEar, PartyKey, Recognised, SAMPLE_RATE, Transcriber, Utterance};

/// So much of a file is read and pushed at a time, in ms.
const BLOCK_MS: i64 = 1_000;
/// So much of a party's sound may wait to be listened to.
const QUEUED_MS: u64 = 10_000;
/// So much of all parties' utterances may wait to be decoded. More would only take memory.
const WAITING_MS: u64 = 60_000;
/// How often a full queue is looked at again.
const FULL_PAUSE: Duration = Duration::from_millis(5);

type Told<'a> = Mutex<(Progress, &'a mut (dyn FnMut(Progress) + Send))>;

/// Transcribes recordings that began together. Blocks until all is recognised and, if asked for, the notes are written;
/// not for a thread of an async runtime. `notes`: takes the notes, with nothing in it yet. `progress` is called from several threads, one at a time.
///
/// # Errors
/// A file cannot be read at all, or the recogniser cannot start. What can be read only in part is transcribed as far as
/// it goes, with a warning.
pub fn transcribe(
    recordings: &[Recording],
    options: &Options,
    notes: Option<NoteTaker>,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Transcription, FileError> {
    let open = |recording: &Recording| Source::open(&recording.path, options.channels_apart);
    let mut sources = recordings.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let parties = parties(recordings, &sources);

    let mut config = options.recogniser.clone();
    // A block of every party may come on top of what waits.
    let most = WAITING_MS + parties.len() as u64 * 2 * QUEUED_MS;
    config.backlog_ms = config.backlog_ms.max(u32::try_from(most).unwrap_or(u32::MAX));
    config.inbox_ms = config.inbox_ms.max((QUEUED_MS + 4 * BLOCK_MS as u64) as u32);
    let (transcriber, mut results) = Transcriber::load(config)?;

    // A length that a file claims counts until all have told theirs.
    let total_ms = sources.iter().map(|s| s.length_ms().map(|ms| ms * s.lanes() as i64)).sum();
    let start = Progress { done_ms: 0, total_ms, utterances: 0, writing_notes: false };
    let told: Told = Mutex::new((start, progress));
    let stop = AtomicBool::new(false);
    let (heard, lost) = std::thread::scope(|scope| {
        let feeder = scope.spawn(|| feed(&transcriber, &mut sources, options, &told, &stop));
        let collected = collect(&mut results, parties.len(), &transcriber, &told);
        stop.store(true, Ordering::Relaxed);
        match feeder.join() {
            Ok(()) => collected.ok_or(FileError::Stopped),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })?;

    let mut transcription = Transcription::default();
    transcription.parties = parties;
    transcription.length_ms = sources.iter().map(Source::position_ms).max().unwrap_or(0);
    transcription.warnings = warnings(recordings, &sources)?;
    if options.several_voices && options.recogniser.speakers.is_none() {
        transcription.warnings.push("nobody is told apart by voice: what that needs was not loaded".to_owned());
    }
    for (party, lost_ms) in lost {
        let name = transcription.parties.get(party).cloned().unwrap_or_default();
        transcription.warnings.push(format!("{} s of {name} were lost: the recogniser fell behind", lost_ms / 1000));
    }
    let stats = transcriber.stats();
    if stats.failed > 0 {
        transcription.warnings.push(format!("{} utterances could not be recognised", stats.failed));
    }
    if stats.voices_untold > 0 {
        let untold = stats.voices_untold;
        transcription.warnings.push(format!("of {untold} utterances it could not be told who said them"));
    }
    drop(transcriber);
    set_lines(&mut transcription, heard);
    if let Some(mut taker) = notes {
        told_mut(&told, |progress| progress.writing_notes = true);
        transcription.utterances.iter().map(Line::said).for_each(|said| taker.add(said));
        while taker.work() {}
        transcription.notes = Some(taker.finish(None));
    }
    Ok(transcription)
}

/// Each file or channel by its name; equal names are numbered.
fn parties(recordings: &[Recording], sources: &[Source]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (recording, source) in recordings.iter().zip(sources) {
        let name = recording.name.clone().unwrap_or_else(|| stem(&recording.path));
        match source.lanes() {
            1 => names.push(name),
            several => names.extend((1..=several).map(|number| format!("{name} {number}"))),
        }
    }
    let mut seen: HashMap<String, usize> = HashMap::new();
    for name in &mut names {
        let count = seen.entry(name.clone()).or_default();
        *count += 1;
        if *count > 1 {
            *name = format!("{name} ({count})");
        }
    }
    names
}

fn stem(path: &Path) -> String {
    path.file_stem().map_or_else(|| "recording".to_owned(), |stem| stem.to_string_lossy().into_owned())
}

fn told_mut(told: &Told<'_>, change: impl FnOnce(&mut Progress)) {
    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
    change(&mut told.0);
    let now = told.0;
    (told.1)(now);
}

/// Reads the recordings and pushes them, the one that is furthest behind first, so that talk stays in order.
fn feed(transcriber: &Transcriber, sources: &mut [Source], options: &Options, told: &Told<'_>, stop: &AtomicBool) {
    let ear_options = EarOptions {
        terms: options.terms.clone(),
        several_voices: options.several_voices,
        recorded: true,
        ..EarOptions::default()
    };
    let mut next = 0..;
    let mut ears: Vec<Vec<PartyEar>> = sources
        .iter()
        .map(|source| {
            let keys = next.by_ref().take(source.lanes());
            keys.map(|key| transcriber.open_with(PartyKey(key), ear_options.clone())).collect()
        })
        .collect();
    loop {
        let behind = (0..sources.len()).filter(|n| !ears[*n].is_empty()).min_by_key(|n| sources[*n].position_ms());
        let Some(number) = behind else { return };
        let (source, ears) = (&mut sources[number], &mut ears[number]);
        source.read(BLOCK_MS);
        let at = source.position_ms();
        for (lane, ear) in ears.iter().enumerate() {
            let sound = source.take(lane);
            // A block may be long: a file can come in packets of any size.
            for (second, piece) in sound.chunks(SAMPLE_RATE as usize).enumerate() {
                if !wait_for_room(transcriber, ear, stop) {
                    return;
                }
                ear.push(at + second as i64 * 1_000, piece);
            }
        }
        if source.ended() {
            ears.drain(..).for_each(PartyEar::finish);
        }
        let fed: i64 = sources.iter().map(|s| s.position_ms() * s.lanes() as i64).sum();
        let waiting = i64::try_from(transcriber.stats().waiting_ms).unwrap_or(i64::MAX);
        told_mut(told, |progress| progress.done_ms = progress.done_ms.max(fed - waiting));
    }
}

/// Waits until an ear and the workers behind it can take more. False when it is over.
fn wait_for_room(transcriber: &Transcriber, ear: &PartyEar, stop: &AtomicBool) -> bool {
    while ear.queued_ms() > QUEUED_MS || transcriber.stats().waiting_ms > WAITING_MS {
        if stop.load(Ordering::Relaxed) {
            return false;
        }
        std::thread::sleep(FULL_PAUSE);
    }
    true
}

type Collected = (Vec<Utterance>, Vec<(usize, u64)>);

/// Takes what is recognised until all parties have finished; `None` if the recogniser ends before.
fn collect(
    results: &mut tokio::sync::mpsc::Receiver<Recognised>,
    parties: usize,
    transcriber: &Transcriber,
    told: &Told<'_>,
) -> Option<Collected> {
    let (mut heard, mut lost) = (Vec::new(), Vec::new());
    let mut finished = 0;
    while finished < parties {
        match results.blocking_recv()? {
            Recognised::Utterance(utterance) => {
                heard.push(utterance);
                told_mut(told, |progress| progress.utterances = heard.len());
            }
            Recognised::Finished { .. } => finished += 1,
            Recognised::FellBehind { party, lost_ms } => lost.push((party.0 as usize, lost_ms)),
            Recognised::Caption(_) => {}
        }
        if finished > 0 {
            // Nothing more is read: what is left is what waits.
            let waiting = i64::try_from(transcriber.stats().waiting_ms).unwrap_or(0);
            told_mut(told, |p| p.done_ms = p.done_ms.max(p.total_ms.map_or(0, |total| total - waiting)));
        }
    }
    Some((heard, lost))
}

/// What people should know of each file. A file of which nothing could be read is an error.
fn warnings(recordings: &[Recording], sources: &[Source]) -> Result<Vec<String>, FileError> {
    let mut warnings = Vec::new();
    for (recording, source) in recordings.iter().zip(sources) {
        let (path, length) = (&recording.path, source.position_ms());
        if let Some(what) = source.broken() {
            if length == 0 {
                return Err(FileError::Unreadable { path: path.clone(), what: what.to_owned() });
            }
            warnings.push(format!(
                "{} is damaged ({what}): it is transcribed up to {}",
                path.display(),
                super::markdown::clock(length)
            ));
        } else if length == 0 {
            warnings.push(format!("there is no sound in {}", path.display()));
        }
        if source.lost_ms() > 0 {
            let seconds = source.lost_ms() as f64 / 1000.0;
            warnings.push(format!("{seconds:.1} s of {} could not be decoded", path.display()));
        }
    }
    Ok(warnings)
}

fn set_lines(transcription: &mut Transcription, mut heard: Vec<Utterance>) {
    heard.sort_by_key(|u| (u.start_ms, u.party.0));
    transcription.recogniser = heard.first().map(|u| u.recogniser.to_string()).unwrap_or_default();
    let parties = &transcription.parties;
    let line = |(number, mut utterance): (usize, Utterance)| {
        let party = utterance.party.0 as usize;
        let name = parties.get(party).cloned().unwrap_or_default();
        let speaker = match utterance.voice {
            Some(voice) if parties.len() == 1 => voice.to_string(),
            Some(voice) => format!("{voice} ({name})"),
            None => name,
        };
        Line {
            id: number as u64 + 1,
            party,
            voice: utterance.voice,
            speaker,
            start_ms: utterance.start_ms,
            end_ms: utterance.end_ms,
            text: std::mem::take(&mut *utterance.text),
            words: std::mem::take(&mut utterance.words),
            language: utterance.language.take(),
            confidence: utterance.confidence,
        }
    };
    transcription.utterances = heard.into_iter().enumerate().map(line).collect();
}

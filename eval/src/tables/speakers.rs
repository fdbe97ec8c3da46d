//! Diarisation error rate: several people behind one line.

use std::path::Path;

use anyhow::Context;
use indicatif::ProgressBar;
use models::eval::nonspeech::Dice;
use models::eval::prompts::{SPEAKERS, Speaker};
use models::eval::sound::narrow_band;
use models::eval::weights_folder;
use models::speakers::der::{DiarisationErrors, Speech, diarisation_errors};
use models::speakers::{SpeakerConfig, SpeakerModels, SpeakerTracker, rttm};

use crate::report::{Figure, Section, percent};
use crate::sounds;

/// The customary collar around each boundary.
const COLLAR_MS: i64 = 250;

/// Different people, most different first: Debian's English and Spanish voices are one woman.
fn people() -> Vec<&'static Speaker> {
    ["Allison (en)", "Carlo (it)", "June (fr)", "Ivrvoice (ru)", "Menardi (it)"]
        .iter()
        .filter_map(|name| SPEAKERS.iter().find(|speaker| speaker.name == *name))
        .collect()
}

/// A made conversation on one line: turns of real voices, one in six of which begins in the other's last words.
struct Mixed {
    pcm: Vec<i16>,
    truth: Vec<Speech>,
}

fn mix(voices: &[(&str, Vec<Vec<i16>>)], seconds: f64, seed: u64) -> Mixed {
    let mut dice = Dice::new(seed);
    let mut mixed = Mixed { pcm: Vec::new(), truth: Vec::new() };
    let (mut at_ms, mut last) = (500_i64, usize::MAX);
    let mut turn = 0;
    while (at_ms as f64) < seconds * 1000.0 {
        // All are heard early; then by chance, never the same twice in a row.
        let who = if turn < voices.len() { turn } else { dice.pick(voices.len()) };
        turn += 1;
        if who == last && voices.len() > 1 {
            continue;
        }
        last = who;
        let (name, recordings) = &voices[who];
        let sound = &recordings[dice.pick(recordings.len())];
        let from = usize::try_from(at_ms).unwrap_or(0) * 16;
        mixed.pcm.resize(mixed.pcm.len().max(from + sound.len()), 0);
        for (to, sample) in mixed.pcm[from..].iter_mut().zip(sound) {
            *to = to.saturating_add(*sample);
        }
        for (start, end) in spoken(sound) {
            mixed.truth.push(Speech { start_ms: at_ms + start, end_ms: at_ms + end, speaker: (*name).to_owned() });
        }
        at_ms += sound.len() as i64 / 16;
        at_ms +=
            if dice.unit() < 0.16 { -dice.between(200.0, 600.0) as i64 } else { dice.between(150.0, 900.0) as i64 };
    }
    mixed.pcm.resize(mixed.pcm.len() + 24_000, 0);
    mixed
}

/// Where a recording (one voice, studio quality) is loud: pauses of 300 ms and more are none of its speech.
fn spoken(pcm: &[i16]) -> Vec<(i64, i64)> {
    let mut spans: Vec<(i64, i64)> = Vec::new();
    for (i, frame) in pcm.chunks(160).enumerate() {
        let power = frame.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / frame.len() as f64;
        if power < 150.0 * 150.0 {
            continue;
        }
        let at = i as i64 * 10;
        match spans.last_mut() {
            Some(last) if at - last.1 < 300 => last.1 = at + 10,
            _ => spans.push((at, at + 10)),
        }
    }
    spans.retain(|(start, end)| end - start >= 80);
    spans
}

/// Who was said to speak when, asked as the product asks: a stretch at a time, when it is over.
fn told(models: &std::sync::Arc<SpeakerModels>, pcm: &[i16]) -> Vec<Speech> {
    let mut tracker = SpeakerTracker::new(std::sync::Arc::clone(models));
    let mut told: Vec<Speech> = Vec::new();
    const ASK_MS: i64 = 4000;
    let mut asked = 0;
    for (i, frame) in pcm.chunks(320).enumerate() {
        let at = i as i64 * 20;
        tracker.push(at, frame);
        if at + 20 - asked >= ASK_MS {
            told.extend(tracker.voices(asked, at + 20).into_iter().map(Speech::from));
            asked = at + 20;
        }
    }
    told.extend(tracker.voices(asked, pcm.len() as i64 / 16).into_iter().map(Speech::from));
    told
}

fn voices_told(told: &[Speech]) -> usize {
    told.iter().map(|t| &t.speaker).collect::<std::collections::BTreeSet<_>>().len()
}

/// The table of several people on one line.
///
/// # Errors
/// The weights are there and not usable, or a prompt cannot be read.
pub fn run(quick: bool, bar: &ProgressBar) -> anyhow::Result<Section> {
    let mut section = Section::default();
    let Ok(config) = SpeakerConfig::in_folder(&weights_folder()) else {
        section.say("Not measured: the speaker weights or onnxruntime are not there (`cargo xtask setup`).");
        return Ok(section);
    };
    let models = SpeakerModels::load(&config)?;
    let mut voices = Vec::new();
    for speaker in people() {
        if let Ok(recordings) = sounds::long_ones(speaker, 2.0, 24)
            && recordings.len() >= 8
        {
            voices.push((speaker.name, recordings));
        }
    }
    let (seconds, seeds) = if quick { (60.0, 1..2) } else { (180.0, 1..3) };
    let counts = if quick { 2..=3 } else { 2..=5 };
    let mut rows = Vec::new();
    for count in counts {
        if voices.len() < count {
            rows.push(vec![count.to_string(), format!("not measured: {} voices are there", voices.len())]);
            continue;
        }
        let mut row = vec![count.to_string()];
        for (band, narrow) in [("8 kHz", true), ("16 kHz", false)] {
            let (mut loose, mut strict) = (DiarisationErrors::default(), DiarisationErrors::default());
            let mut found = Vec::new();
            for seed in seeds.clone() {
                bar.set_message(format!("{count} people on one line, {band}"));
                let mixed = mix(&voices[..count], seconds, seed * 100 + count as u64);
                let told = told(&models, &if narrow { narrow_band(&mixed.pcm) } else { mixed.pcm });
                loose = loose.plus(diarisation_errors(&mixed.truth, &told, COLLAR_MS));
                strict = strict.plus(diarisation_errors(&mixed.truth, &told, 0));
                found.push(voices_told(&told).to_string());
            }
            row.extend([percent(loose.rate()), percent(strict.rate()), found.join(", ")]);
            let kind = if quick { "quick/speakers" } else { "speakers" };
            // Another processor rounds otherwise, and a voice near the border then falls to the other side.
            section.figure(format!("{kind}/{count}/{band}"), Figure::lower(loose.rate(), 0.03));
        }
        rows.push(row);
    }
    rows.iter_mut().for_each(|row| row.resize(7, "-".into()));
    section.table(
        &["people", "8 kHz", "8 kHz, no collar", "voices told", "16 kHz", "16 kHz, no collar", "voices told"],
        &rows,
    );
    section.say(
        "Real voices (Debian's prompts in English, Italian, French and Russian; all were recorded at 8 kHz, so that \"16 kHz\" \
         means without a telephone's companding), made conversations: turns by chance, one in six begins in the other's last words. Different \
         languages, microphones and rooms make voices easier to tell apart than at a real speakerphone. Error rate with a collar \
         of 250 ms and without, overlaps count. The tracker is asked as the calls go on.",
    );
    Ok(section)
}

/// One's own: `NAME.wav` with `NAME.rttm`.
///
/// # Errors
/// A file is not as it should be; the message names it, and its line.
pub fn own(folder: &Path, section: &mut Section, bar: &ProgressBar) -> anyhow::Result<()> {
    let files = super::own::files(folder, "wav")?;
    if files.is_empty() {
        section.say("Several people on one line: not measured, no speakers/NAME.wav with NAME.rttm.");
        return Ok(());
    }
    let models = SpeakerModels::load(&SpeakerConfig::in_folder(&weights_folder())?)?;
    let mut rows = Vec::new();
    for file in files {
        let turns = file.with_extension("rttm");
        let text = std::fs::read_to_string(&turns)
            .with_context(|| format!("{} has no turns: {} cannot be read", file.display(), turns.display()))?;
        let truth: Vec<Speech> = rttm::read(&text)
            .map_err(|e| anyhow::anyhow!("{}: {e}", turns.display()))?
            .into_iter()
            .map(Speech::from)
            .collect();
        bar.set_message(file.display().to_string());
        let told = told(&models, &sounds::any_wav(&file)?);
        rows.push(vec![
            file.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            voices_told(&truth).to_string(),
            voices_told(&told).to_string(),
            percent(diarisation_errors(&truth, &told, COLLAR_MS).rate()),
            percent(diarisation_errors(&truth, &told, 0).rate()),
        ]);
    }
    section.table(&["recording", "people", "voices told", "error rate", "no collar"], &rows);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_has_all_its_people_and_its_truth_lies_within_it() {
        let voice = |hz: f64| -> Vec<i16> {
            (0..32_000)
                .map(|i| (8000.0 * (f64::from(i) * hz * std::f64::consts::TAU / 16_000.0).sin()) as i16)
                .collect()
        };
        let voices = [("a", vec![voice(200.0)]), ("b", vec![voice(300.0)]), ("c", vec![voice(400.0)])];
        let mixed = mix(&voices, 30.0, 1);
        assert_eq!(voices_told(&mixed.truth), 3);
        let length = mixed.pcm.len() as i64 / 16;
        assert!(mixed.truth.iter().all(|t| 0 <= t.start_ms && t.start_ms < t.end_ms && t.end_ms <= length));
        let perfect = diarisation_errors(&mixed.truth, &mixed.truth, 0);
        assert_eq!(perfect.rate(), 0.0);
        assert!(perfect.speech_ms > 20_000);
    }

    #[test]
    fn pauses_within_a_recording_are_no_speech() {
        let mut pcm = vec![3000i16; 16_000];
        pcm.extend(vec![0; 16_000]);
        pcm.extend(vec![3000; 16_000]);
        assert_eq!(spoken(&pcm), [(0, 1000), (2000, 3000)]);
    }
}

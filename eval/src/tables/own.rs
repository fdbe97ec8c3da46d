//! One's own recordings and dialogues: `--data DIR`. Measured and printed, never stored: they are nobody else's.
//!
//! ```text
//! DIR/speech/en/NAME.wav   16-bit mono WAV at 8, 16 or 48 kHz; en: the language that is spoken
//! DIR/speech/en/NAME.txt   what is said in it
//! DIR/nonspeech/NAME.wav   sound in which nobody says a word
//! DIR/speakers/NAME.wav    several people on one line
//! DIR/speakers/NAME.rttm   who speaks when
//! DIR/notes/NAME.json      as the files in eval/dialogues
//! ```

use std::path::{Path, PathBuf};

use anyhow::Context;
use indicatif::ProgressBar;
use models::eval::{WordErrors, word_errors};

use crate::hear::{Hearer, Piece, config, text};
use crate::report::{Section, percent};
use crate::{dialogue::Dialogue, score, sounds};

/// Files of a folder with this ending, by name; none where there is no such folder.
pub fn files(folder: &Path, ending: &str) -> anyhow::Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut files: Vec<PathBuf> = entries.filter_map(Result::ok).map(|e| e.path()).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == ending));
    files.sort();
    Ok(files)
}

/// The tables of one's own data.
///
/// # Errors
/// A file is not as it should be; the message names it.
pub fn run(data: Option<&Path>, bar: &ProgressBar) -> anyhow::Result<Section> {
    let mut section = Section::default();
    let Some(data) = data else {
        section.say("Not measured: no folder of one's own was given (`--data DIR`).");
        return Ok(section);
    };
    anyhow::ensure!(data.is_dir(), "{} is no folder", data.display());
    let mut rows = Vec::new();
    let folder = data.join("speech");
    let mut languages: Vec<PathBuf> = match folder.is_dir() {
        true => std::fs::read_dir(&folder)?.filter_map(Result::ok).map(|e| e.path()).filter(|p| p.is_dir()).collect(),
        false => Vec::new(),
    };
    languages.sort();
    for language in &languages {
        rows.extend(speech(language, bar)?);
    }
    if rows.is_empty() {
        rows.push(vec!["-".into(), "not measured: no speech/LANGUAGE/NAME.wav with NAME.txt".into()]);
    }
    rows.iter_mut().for_each(|row| row.resize(5, "-".into()));
    section.table(&["language", "weights", "recordings", "words", "word error rate"], &rows);
    nonspeech(data, &mut section, bar)?;
    super::speakers::own(&data.join("speakers"), &mut section, bar)?;
    notes(&data.join("notes"), &mut section, bar)?;
    Ok(section)
}

fn speech(folder: &Path, bar: &ProgressBar) -> anyhow::Result<Vec<Vec<String>>> {
    let language = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (mut texts, mut pieces) = (Vec::new(), Vec::new());
    for file in files(folder, "wav")? {
        let words = file.with_extension("txt");
        texts.push(
            std::fs::read_to_string(&words)
                .with_context(|| format!("{} has no text: {} cannot be read", file.display(), words.display()))?,
        );
        pieces.push(Piece { pcm: sounds::any_wav(&file)?, language: Some(language.clone()), ..Piece::default() });
    }
    if pieces.is_empty() {
        return Ok(Vec::new());
    }
    let weights: &[&str] = if language == "en" { &["base.en", "base"] } else { &["base"] };
    let mut rows = Vec::new();
    for name in weights {
        bar.set_message(format!("{} recordings in {language}, {name}", pieces.len()));
        let heard = Hearer::load(config(name)?)?.hear(&pieces)?;
        let errors = texts.iter().zip(&heard).map(|(said, heard)| word_errors(said, &text(heard)));
        let errors = errors.fold(WordErrors::default(), WordErrors::plus);
        rows.push(vec![
            language.clone(),
            (*name).to_owned(),
            pieces.len().to_string(),
            errors.words.to_string(),
            percent(errors.rate()),
        ]);
    }
    Ok(rows)
}

fn nonspeech(data: &Path, section: &mut Section, bar: &ProgressBar) -> anyhow::Result<()> {
    let files = files(&data.join("nonspeech"), "wav")?;
    if files.is_empty() {
        section.say("Invented words: not measured, no nonspeech/NAME.wav.");
        return Ok(());
    }
    bar.set_message(format!("{} sounds without words", files.len()));
    let pieces = files
        .iter()
        .map(|file| Ok(Piece { pcm: sounds::any_wav(file)?, ..Piece::default() }))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let heard = Hearer::load(config("base.en")?)?.hear(&pieces)?;
    let hours = pieces.iter().map(|p| p.pcm.len() as f64).sum::<f64>() / 16_000.0 / 3600.0;
    let words: usize = heard.iter().map(|heard| text(heard).split_whitespace().count()).sum();
    section.say(&format!("Invented words: {words} in {:.1} min, {:.1} per hour.", hours * 60.0, words as f64 / hours));
    Ok(())
}

fn notes(folder: &Path, section: &mut Section, bar: &ProgressBar) -> anyhow::Result<()> {
    if files(folder, "json")?.is_empty() {
        section.say("Notes: not measured, no notes/NAME.json.");
        return Ok(());
    }
    let mut rows = Vec::new();
    for dialogue in Dialogue::all(folder)? {
        bar.set_message(dialogue.name.clone());
        let score = score::score(&dialogue, &dialogue.notes(Vec::new(), None)?);
        rows.push(vec![
            dialogue.name.clone(),
            format!("{:.3}", score.rouge.one),
            format!("{} / {}", percent(score.actions.precision()), percent(score.actions.recall())),
            percent(score.owners.recall()),
            percent(score.evidence.recall()),
        ]);
    }
    section.table(&["notes of", "ROUGE-1", "actions", "owner right", "right evidence"], &rows);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_said_and_a_file_without_its_text_is_named() {
        let bar = ProgressBar::hidden();
        assert!(run(None, &bar).unwrap().text.contains("Not measured"));
        let folder = tempfile::tempdir().unwrap();
        let text = run(Some(folder.path()), &bar).unwrap().text;
        assert_eq!(text.matches("not measured").count(), 4, "{text}");
        let english = folder.path().join("speech/en");
        std::fs::create_dir_all(&english).unwrap();
        sounds::write_wav(&english.join("a.wav"), &[0; 1600]).unwrap();
        let error = run(Some(folder.path()), &bar).unwrap_err();
        assert!(format!("{error:#}").contains("a.txt"), "{error:#}");
        std::fs::write(english.join("a.wav"), "RIFF no sound").unwrap();
        std::fs::write(english.join("a.txt"), "hello").unwrap();
        let error = run(Some(folder.path()), &bar).unwrap_err();
        assert!(format!("{error:#}").contains("a.wav"), "{error:#}");
    }
}

//! Eight parties at once: every word must stand under the one who said it.

use indicatif::ProgressBar;
use models::eval::word_errors;

use crate::hear::{Hearer, Piece, config, text};
use crate::report::{Figure, Section, percent};
use crate::sounds;

const PARTIES: usize = 8;

/// The table of attribution.
///
/// # Errors
/// Weights or prompts are not there.
pub fn run(quick: bool, bar: &ProgressBar) -> anyhow::Result<Section> {
    let mut section = Section::default();
    let rounds = if quick { 1 } else { 4 };
    let prompts = sounds::english(PARTIES * rounds)?;
    let mut hearer = Hearer::load(config("base.en")?)?;
    let (mut utterances, mut wrong, mut errors) = (0, 0, models::eval::WordErrors::default());
    for (round, eight) in prompts.chunks(PARTIES).enumerate() {
        bar.set_message(format!("eight parties at once, {} of {rounds}", round + 1));
        let pieces = eight
            .iter()
            .map(|prompt| {
                let pcm = models::eval::upsample_8k_to_16k(&sounds::at_8k(prompt)?);
                Ok(Piece { pcm, ..Piece::default() })
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        for (own, heard) in hearer.hear(&pieces)?.iter().enumerate() {
            utterances += heard.len();
            let said = text(heard);
            let mine = word_errors(&eight[own].text, &said);
            errors = errors.plus(mine);
            // Words of another are nearer to another's prompt than to one's own.
            let others = eight.iter().enumerate().filter(|(other, _)| *other != own);
            if others.map(|(_, prompt)| word_errors(&prompt.text, &said).rate()).any(|rate| rate < mine.rate()) {
                wrong += heard.len();
            }
        }
    }
    section.table(
        &["parties at once", "utterances", "under the wrong name", "word error rate"],
        &[vec![PARTIES.to_string(), utterances.to_string(), wrong.to_string(), percent(errors.rate())]],
    );
    section.say(
        "Each party is a track of its own, so this must be exact: one utterance under a wrong name fails the run.",
    );
    let kind = if quick { "quick/attribution" } else { "attribution" };
    section.figure(format!("{kind}/wrong"), Figure::lower(f64::from(u32::try_from(wrong).unwrap_or(u32::MAX)), 0.0));
    anyhow::ensure!(wrong == 0, "{wrong} of {utterances} utterances stand under the wrong party");
    anyhow::ensure!(
        utterances >= prompts.len() / 2,
        "only {utterances} utterances of {} prompts were heard",
        prompts.len()
    );
    Ok(section)
}

//! Captions while people speak: how often shown words change, and how far behind they are.

use indicatif::ProgressBar;
use models::speech::endpoint::EndpointConfig;

use crate::conversation::of_two;
use crate::hear::config;
use crate::live::{ms, play, quantile};
use crate::report::{Figure, Section, percent};

/// The table of captions. Runs in real time.
///
/// # Errors
/// Weights or prompts are not there.
pub fn run(quick: bool, bar: &ProgressBar) -> anyhow::Result<Section> {
    let mut section = Section::default();
    let seconds = if quick { 30.0 } else { 180.0 };
    let conversation = of_two(seconds, 11)?;
    bar.set_message(format!("captions of a conversation, {seconds:.0} s in real time"));
    let mut settings = config("base.en")?;
    settings.inbox_ms = 30_000;
    settings.endpoint = EndpointConfig::live();
    let seen = play(settings, &conversation.lines, true)?;
    let (stability, delays, lag) = (seen.stability(), seen.delays(), seen.caption_delays());
    let changed = stability.changed as f64 / stability.agreed.max(1) as f64;
    let overhead = stability.erased as f64 / stability.words.max(1) as f64;
    section.table(
        &["what", "figure"],
        &[
            vec![
                "captions / utterances / utterances with captions".into(),
                format!("{} / {} / {}", seen.captions.len(), stability.utterances, stability.captioned),
            ],
            vec!["agreed words shown".into(), stability.agreed.to_string()],
            vec!["of them changed later".into(), percent(changed)],
            vec!["words erased per final word (agreed and tail)".into(), format!("{overhead:.2}")],
            vec![
                "last word of a caption behind its being said, median / p95".into(),
                format!("{} / {}", ms(quantile(&lag, 0.5)), ms(quantile(&lag, 0.95))),
            ],
            vec![
                "final words behind the utterance's end, median / p95".into(),
                format!("{} / {}", ms(quantile(&delays, 0.5)), ms(quantile(&delays, 0.95))),
            ],
        ],
    );
    section.say(&format!(
        "A made conversation of two parties on lines of their own ({seconds:.0} s, weights base.en), played in real time; the times hold only for a machine that does \
         nothing else, and are not held against the stored ones.",
    ));
    let kind = if quick { "quick/captions" } else { "captions" };
    if stability.agreed > 0 {
        // What is shown when depends on the machine's speed: a few words in a hundred either way are chance.
        section.figure(format!("{kind}/changed"), Figure::lower(changed, 0.03));
        section.figure(format!("{kind}/erased"), Figure::lower(overhead, 0.15));
    }
    anyhow::ensure!(seen.lost_ms == 0, "the recogniser lost {} ms of sound", seen.lost_ms);
    Ok(section)
}

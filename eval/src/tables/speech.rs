//! Word error rate: rates, bursts of loss, weights, languages.

use indicatif::ProgressBar;
use models::eval::prompts::{Prompt, SPEAKERS};
use models::eval::{WordErrors, without_accents, word_errors};

use crate::hear::{Hearer, Piece, config, is_there, text};
use crate::line::{Losses, phone, room};
use crate::report::{Figure, Section, percent};
use crate::sounds;

/// Shares of packets lost.
const LOSSES: [f64; 5] = [0.0, 0.01, 0.03, 0.05, 0.1];
/// Weights with all conditions; the first one in a quick run.
const MAIN: [&str; 3] = ["base.en", "base", "tiny-q5_1"];
/// Weights with two conditions, where somebody has fetched them.
const MORE: [&str; 3] = ["tiny.en", "tiny", "small"];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Rate {
    Eight,
    Sixteen,
    FortyEight,
}

impl Rate {
    fn name(self) -> &'static str {
        match self {
            Self::Eight => "8 kHz",
            Self::Sixteen => "16 kHz",
            Self::FortyEight => "48 kHz",
        }
    }

    fn sound(self, prompt: &Prompt, loss: f64, seed: u64) -> anyhow::Result<Vec<i16>> {
        let mut losses = Losses::new(loss, seed);
        Ok(match self {
            Self::Eight => phone(&sounds::at_8k(prompt)?, &mut losses),
            Self::Sixteen => room(&sounds::at_16k(prompt)?, 16_000, &mut losses)?,
            Self::FortyEight => room(&sounds::at_48k(prompt)?, 48_000, &mut losses)?,
        })
    }
}

/// By chance a rate moves by two standard errors of the count of wrong words, and by half a point at least: another machine
/// rounds otherwise.
fn noise(errors: &WordErrors) -> f64 {
    let rate = errors.rate().clamp(0.0, 1.0);
    (2.0 * (rate * (1.0 - rate) / errors.words.max(1) as f64).sqrt()).max(0.005)
}

fn measure(
    hearer: &mut Hearer,
    prompts: &[Prompt],
    language: Option<&str>,
    sound: impl Fn(usize, &Prompt) -> anyhow::Result<Vec<i16>>,
    fold: bool,
) -> anyhow::Result<WordErrors> {
    let pieces = prompts
        .iter()
        .enumerate()
        .map(|(i, prompt)| {
            Ok(Piece { pcm: sound(i, prompt)?, language: language.map(str::to_owned), ..Piece::default() })
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let heard = hearer.hear(&pieces)?;
    Ok(prompts.iter().zip(&heard).fold(WordErrors::default(), |sum, (prompt, heard)| {
        let (said, heard) = (prompt.text.clone(), text(heard));
        let one = if fold {
            word_errors(&without_accents(&said), &without_accents(&heard))
        } else {
            word_errors(&said, &heard)
        };
        sum.plus(one)
    }))
}

/// The tables of recognition.
///
/// # Errors
/// Weights or prompts are not there.
pub fn run(quick: bool, bar: &ProgressBar) -> anyhow::Result<Section> {
    let mut section = Section::default();
    let prompts = sounds::english(if quick { 12 } else { 40 })?;
    let words: usize = prompts.iter().map(|p| models::eval::normalise(&p.text).len()).sum();
    section.say(&format!(
        "{} prompts of one voice (Allison, American English), {words} words, read aloud for a telephone exchange. 8 kHz: PCMU over a phone \
         leg with the bridge's own concealment. 16 kHz: the same prompts in wideband (G.722 files), over Opus with its own \
         forward error correction and concealment. 48 kHz: those brought to 48 kHz; no prompt was recorded so. Loss comes in \
         bursts of 100 ms on average (Gilbert-Elliott, 20 ms packets).",
        prompts.len()
    ));
    let mut rows = Vec::new();
    let kind = if quick { "quick/speech" } else { "speech" };
    for name in MAIN.iter().chain(&MORE) {
        let main = MAIN.contains(name);
        if quick && *name != MAIN[0] {
            continue;
        }
        if !is_there(name) {
            if main {
                rows.push(vec![(*name).to_owned(), "-".into(), "not measured: weights are not there".into()]);
            }
            continue;
        }
        let mut hearer = Hearer::load(config(name)?)?;
        for rate in [Rate::Eight, Rate::Sixteen, Rate::FortyEight] {
            if !main && rate != Rate::Eight {
                continue;
            }
            let mut row = vec![(*name).to_owned(), rate.name().to_owned()];
            for loss in LOSSES {
                if (quick || !main) && loss != 0.0 && loss != 0.05 || quick && rate == Rate::FortyEight {
                    row.push("-".into());
                    continue;
                }
                bar.set_message(format!("{name}, {}, {:.0} % loss", rate.name(), loss * 100.0));
                // Each prompt loses its own packets, the same for all weights.
                let errors =
                    measure(&mut hearer, &prompts, Some("en"), |i, p| rate.sound(p, loss, 100 + i as u64), false)?;
                row.push(percent(errors.rate()));
                let figure = Figure::lower(errors.rate(), noise(&errors));
                section.figure(format!("{kind}/{name}/{}/{:.0} %", rate.name(), loss * 100.0), figure);
            }
            rows.push(row);
        }
    }
    section.table(&["weights", "rate", "no loss", "1 %", "3 %", "5 %", "10 %"], &pad(rows, 7));
    if !quick {
        languages(&mut section, bar)?;
    }
    Ok(section)
}

fn pad(mut rows: Vec<Vec<String>>, width: usize) -> Vec<Vec<String>> {
    rows.iter_mut().for_each(|row| row.resize(width, "-".to_owned()));
    rows
}

/// Other languages and voices, with `base`: told the language, and finding it out.
fn languages(section: &mut Section, bar: &ProgressBar) -> anyhow::Result<()> {
    section.say(
        "Other languages, other voices, 8 kHz without loss, weights `base`; each is one voice. Accents do not count (the Spanish list \
         has none), numbers written in digits count as errors. \"Told\": the ear was opened with the language; \
         \"found out\": the recogniser had to.",
    );
    if !is_there("base") {
        section.say("Not measured: weights `base` are not there.");
        return Ok(());
    }
    let mut free = config("base")?;
    free.language = None;
    let mut hearer = Hearer::load(free)?;
    let mut rows = Vec::new();
    for speaker in SPEAKERS.iter().filter(|s| s.language != "en" && s.has_texts()) {
        let Ok(prompts) = sounds::sample(speaker, 25) else {
            rows.push(vec![speaker.name.to_owned(), "not measured: the package is not there".into()]);
            continue;
        };
        bar.set_message(speaker.name);
        let mut row = vec![speaker.name.to_owned()];
        for (way, language) in [("told", Some(speaker.language)), ("found out", None)] {
            let sound = |_: usize, p: &Prompt| Ok(phone(&sounds::at_8k(p)?, &mut Losses::new(0.0, 1)));
            let errors = measure(&mut hearer, &prompts, language, sound, true)?;
            if row.len() == 1 {
                row.push(errors.words.to_string());
            }
            row.push(percent(errors.rate()));
            section.figure(format!("speech/{}/{way}", speaker.name), Figure::lower(errors.rate(), noise(&errors)));
        }
        rows.push(row);
    }
    section.table(&["voice", "words", "told", "found out"], &pad(rows, 4));
    Ok(())
}

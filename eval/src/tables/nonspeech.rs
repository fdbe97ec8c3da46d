//! Words invented where nobody speaks.

use indicatif::ProgressBar;
use models::eval::nonspeech::{self, Sound};
use models::eval::prompts::SPEAKERS;

use crate::hear::{Hearer, Piece, config, text};
use crate::report::{Figure, Section};
use crate::sounds;

/// Voices for the babble: of each that is there, several recordings, because one voice at six places is six voices too.
fn voices() -> Vec<Vec<i16>> {
    SPEAKERS.iter().flat_map(|speaker| sounds::long_ones(speaker, 4.0, 3).unwrap_or_default()).collect()
}

fn sounds_of(quick: bool) -> anyhow::Result<Vec<(&'static str, Sound)>> {
    let (seconds, seeds) = if quick { (30.0, 1..2) } else { (60.0, 1..4) };
    let voices = voices();
    let mut all = Vec::new();
    for seed in seeds {
        for sound in nonspeech::made(seconds, seed) {
            let class = if sound.name.contains("music") { "music, made" } else { "tones, noise, breath, coughs" };
            if !quick || seed % 2 == 1 {
                all.push((class, sound.by_telephone()));
            }
            if !quick {
                all.push((class, sound));
            }
        }
        for sound in nonspeech::babble(&voices, seconds, seed)
            .into_iter()
            .chain(voices.first().map(|voice| nonspeech::echo(voice, seconds, seed)))
        {
            all.push(("babble, echo", sound.by_telephone()));
            all.push(("babble, echo", sound));
        }
    }
    all.extend(sounds::hold_music(if quick { 30.0 } else { 600.0 })?.into_iter().map(|s| ("music, recorded", s)));
    Ok(all)
}

/// The table of invented words.
///
/// # Errors
/// Weights are not there.
pub fn run(quick: bool, bar: &ProgressBar) -> anyhow::Result<Section> {
    let mut section = Section::default();
    let sounds = sounds_of(quick)?;
    let mut rows = Vec::new();
    let mut invented = Vec::new();
    let all: &[&str] = if quick { &["base.en"] } else { &["base.en", "base"] };
    for name in all.iter().filter(|name| crate::hear::is_there(name)) {
        let mut settings = config(name)?;
        settings.language = (*name == "base.en").then(|| "en".to_owned());
        let mut hearer = Hearer::load(settings)?;
        bar.set_message(format!("{} sounds without words, {name}", sounds.len()));
        let pieces: Vec<Piece> = sounds.iter().map(|(_, s)| Piece { pcm: s.pcm.clone(), ..Piece::default() }).collect();
        let heard = hearer.hear(&pieces)?;
        let mut classes: Vec<&str> = Vec::new();
        sounds.iter().for_each(|(class, _)| {
            if !classes.contains(class) {
                classes.push(class);
            }
        });
        for class in classes {
            let (mut seconds, mut words) = (0.0, 0);
            for ((_, sound), heard) in sounds.iter().zip(&heard).filter(|((c, _), _)| *c == class) {
                seconds += sound.pcm.len() as f64 / nonspeech::RATE;
                let count = text(heard).split_whitespace().count();
                words += count;
                if count > 0 {
                    invented.push(format!("{name}, {}: {count}", sound.name));
                }
            }
            let per_hour = words as f64 * 3600.0 / seconds;
            rows.push(vec![
                (*name).to_owned(),
                class.to_owned(),
                format!("{:.0} min", seconds / 60.0),
                words.to_string(),
                format!("{per_hour:.1}"),
            ]);
            let kind = if quick { "quick/nonspeech" } else { "nonspeech" };
            section.figure(format!("{kind}/{name}/{class}"), Figure::lower(per_hour, 0.0));
        }
    }
    section.table(&["weights", "sound", "length", "invented words", "per hour"], &rows);
    section.say(
        "Made in code from a seed, at 8 kHz (telephone) and 16 kHz: silence, comfort noise, white, pink and brown noise, hum, DTMF, \
         dial, ringback, busy and information tones, fax, siren, breathing, clicks, typing, coughs, wind, an engine, torn noise; \
         hold music in eight styles. Babble is recorded voices backwards, eighteen at once; echo is one of them, faint and torn. \
         Recorded music: Debian's `asterisk-moh-opsound-wav`, where it is there.",
    );
    if !invented.is_empty() {
        section.say(&format!("Words were invented in: {}.", invented.join("; ")));
    }
    Ok(section)
}

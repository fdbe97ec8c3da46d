//! Recorded speech whose words are known, and how well a transcript matches them.
//!
//! The recordings are telephone prompts from Debian (see `tests/peers/speech/README.md`): the phone speaks the 8 kHz ones, the
//! room's side the same voice in G.722, which is 16 kHz wideband, brought to 48 kHz.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::audio::Recording;

/// Where Debian's packages `asterisk-core-sounds-en-wav` and `-g722` put the prompts.
pub const PROMPTS: &str = "/usr/share/asterisk/sounds/en_US_f_Allison";

/// Who speaks a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// The telephone.
    Phone,
    /// The person in Element Call.
    Room,
}

/// The conversation, turn by turn: the prompt's name, and its words as they are spoken.
const TURNS: &[(Side, &str, &str)] = &[
    (
        Side::Phone,
        "queue-periodic-announce",
        "All of our representatives are currently busy. Please stay on the line and your call will be answered by the next available representative.",
    ),
    (Side::Room, "confbridge-lock-no-join", "The conference is currently locked and cannot be joined."),
    (
        Side::Phone,
        "ss-noservice",
        "The number you have dialed is not in service. Please check the number and try again.",
    ),
    (
        Side::Room,
        "confbridge-mute-extended",
        "To mute or unmute yourself. When you are muted you cannot send audio to other participants. However, you will still hear audio from other unmuted participants.",
    ),
    (Side::Phone, "vm-nobox", "You cannot reply to this message because the sender does not have a mailbox."),
    (Side::Room, "vm-tmpexists", "There is a temporary greeting which overrides your standard greetings."),
    (Side::Phone, "privacy-unident", "The party you are trying to reach does not accept unidentified calls."),
];

/// Silence between two turns, seconds.
const PAUSE: f64 = 1.2;

/// One turn of the conversation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Turn {
    /// Who speaks.
    pub side: Side,
    /// The words.
    pub text: String,
    /// When it begins, seconds from the start of both recordings.
    pub start: f64,
    /// When it ends.
    pub end: f64,
}

/// Two recordings that, started together, are a conversation in turns.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Conversation {
    /// 8 kHz mono WAV.
    pub phone: PathBuf,
    /// 48 kHz mono WAV.
    pub room: PathBuf,
    /// Who says what when.
    pub turns: Vec<Turn>,
}

impl Conversation {
    /// Reads the one that set-up has prepared in `dir`.
    ///
    /// # Errors
    /// Set-up has not run.
    pub fn load(dir: &Path) -> anyhow::Result<Self> {
        let file = dir.join("conversation.json");
        let text = fs::read_to_string(&file)
            .with_context(|| format!("{} cannot be read: run `cargo xtask setup` first", file.display()))?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Builds it in `dir` from the prompts in `prompts`.
    ///
    /// # Errors
    /// A prompt is missing, or `dir` cannot be written.
    pub fn prepare(prompts: &Path, dir: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
        let mut phone = Recording { rate: 8000, samples: Vec::new() };
        let mut room = Recording { rate: 48_000, samples: Vec::new() };
        let (mut at, mut turns) = (0.5, Vec::new());
        for (side, name, text) in TURNS {
            let (track, spoken) = match side {
                Side::Phone => (&mut phone, Recording::read(&prompts.join(format!("{name}.wav")))?),
                Side::Room => {
                    let file = prompts.join(format!("{name}.g722"));
                    let coded = fs::read(&file).with_context(|| file.display().to_string())?;
                    (&mut room, three_times(&decode_g722(&coded)))
                }
            };
            pad(track, at);
            track.samples.extend(&spoken.samples);
            let end = at + spoken.seconds();
            turns.push(Turn { side: *side, text: (*text).to_owned(), start: at, end });
            at = end + PAUSE;
        }
        pad(&mut phone, at);
        pad(&mut room, at);
        let this = Self { phone: dir.join("phone.wav"), room: dir.join("room.wav"), turns };
        phone.write(&this.phone)?;
        room.write(&this.room)?;
        fs::write(dir.join("conversation.json"), serde_json::to_vec_pretty(&this)?)?;
        Ok(this)
    }

    /// All that one side says.
    #[must_use]
    pub fn text(&self, side: Side) -> String {
        let said: Vec<_> = self.turns.iter().filter(|t| t.side == side).map(|t| t.text.as_str()).collect();
        said.join(" ")
    }

    /// How long both recordings are, seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.turns.last().map_or(0.0, |t| t.end + PAUSE)
    }
}

fn pad(track: &mut Recording, to: f64) {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a length in samples")]
    let wanted = (to * f64::from(track.rate)) as usize;
    if track.samples.len() < wanted {
        track.samples.resize(wanted, 0.0);
    }
}

/// G.722 at 64 kbit/s to 16 kHz.
fn decode_g722(coded: &[u8]) -> Vec<f64> {
    use ezk_g722::libg722::{Bitrate, decoder::Decoder};
    let mut decoder = Decoder::new(Bitrate::Mode1_64000, false, false);
    decoder.decode(coded).into_iter().map(|s| f64::from(s) / 32768.0).collect()
}

/// 16 kHz to 48 kHz: two zeros after each sample, then a low-pass at 7.5 kHz (windowed sinc, 96 taps).
fn three_times(samples: &[f64]) -> Recording {
    const TAPS: i32 = 96;
    let taps: Vec<f64> = (0..TAPS)
        .map(|i| {
            let x = f64::from(i) - f64::from(TAPS - 1) / 2.0;
            let cut = 7500.0 / 48_000.0;
            let sinc =
                if x == 0.0 { 2.0 * cut } else { (std::f64::consts::TAU * cut * x).sin() / (std::f64::consts::PI * x) };
            let window = 0.42 - 0.5 * (std::f64::consts::TAU * f64::from(i) / f64::from(TAPS - 1)).cos()
                + 0.08 * (2.0 * std::f64::consts::TAU * f64::from(i) / f64::from(TAPS - 1)).cos();
            3.0 * sinc * window
        })
        .collect();
    let count = samples.len() * 3;
    let out = (0..count)
        .map(|n| {
            taps.iter()
                .enumerate()
                .filter(|(k, _)| n >= *k && (n - k) % 3 == 0)
                .map(|(k, tap)| tap * samples[(n - k) / 3])
                .sum()
        })
        .collect();
    Recording { rate: 48_000, samples: out }
}

/// Two people on one telephone: an English and an Italian voice by turns.
#[derive(Debug, Clone)]
pub struct SharedPhone {
    /// 8 kHz mono.
    pub sound: Recording,
    /// What the first says, turn by turn.
    pub english: Vec<&'static str>,
    /// What the second says.
    pub italian: Vec<&'static str>,
}

/// The turns of a shared telephone: folder of the voice, prompt, words.
const SHARED: &[(&str, &str, &str)] = &[
    (
        "en_US_f_Allison",
        "queue-periodic-announce",
        "All of our representatives are currently busy. Please stay on the line and your call will be answered by the next available representative.",
    ),
    (
        "it_IT_m_Carlo",
        "ss-noservice",
        "Il numero che ha digitato non è in uso. Prego controllare il numero e riprovare.",
    ),
    (
        "en_US_f_Allison",
        "ss-noservice",
        "The number you have dialed is not in service. Please check the number and try again.",
    ),
    (
        "it_IT_m_Carlo",
        "queue-periodic-announce",
        "Tutti i nostri operatori sono al momento occupati. Rimanga cortesemente in linea e le risponderà il primo operatore disponibile.",
    ),
    ("en_US_f_Allison", "vm-nobox", "You cannot reply to this message because the sender does not have a mailbox."),
    (
        "it_IT_m_Carlo",
        "vm-nobox",
        "Non è possibile rispondere a questo messaggio perché il mittente non ha una casella di posta.",
    ),
];

impl SharedPhone {
    /// Reads the prompts where Debian's packages or set-up (into `cache`) have put them.
    ///
    /// # Errors
    /// A prompt is missing.
    pub fn load(cache: &Path) -> anyhow::Result<Self> {
        let mut this =
            Self { sound: Recording { rate: 8000, samples: Vec::new() }, english: Vec::new(), italian: Vec::new() };
        let mut at = 0.5;
        for (voice, prompt, text) in SHARED {
            let installed = Path::new("/usr/share/asterisk/sounds").join(voice).join(format!("{prompt}.wav"));
            let unpacked = cache.join("prompts/usr/share/asterisk/sounds").join(voice).join(format!("{prompt}.wav"));
            let spoken = Recording::read(if installed.exists() { &installed } else { &unpacked })
                .context("run `cargo xtask setup` first")?;
            pad(&mut this.sound, at);
            this.sound.samples.extend(&spoken.samples);
            at += spoken.seconds() + PAUSE;
            if voice.starts_with("en") { this.english.push(text) } else { this.italian.push(text) }
        }
        pad(&mut this.sound, at);
        Ok(this)
    }
}

/// The words of a text as a comparison sees them: lower case, no punctuation, numbers as words, common variants made one.
#[must_use]
pub fn words(text: &str) -> Vec<String> {
    let plain: String = text
        .to_lowercase()
        .replace(['’', '\''], "")
        .chars()
        .map(|c| if c.is_alphanumeric() { c } else { ' ' })
        .collect();
    plain
        .split_whitespace()
        .flat_map(|word| match word {
            "cannot" | "cant" => vec!["can", "not"],
            "mailbox" => vec!["mail", "box"],
            "dialled" => vec!["dialed"],
            "1" => vec!["one"],
            "2" => vec!["two"],
            "3" => vec!["three"],
            "ok" => vec!["okay"],
            other => vec![other],
        })
        .map(str::to_owned)
        .collect()
}

/// Word error rate: words put in, left out and replaced, over the words that were said. 0 is perfect; it can be above 1.
#[must_use]
pub fn word_error_rate(said: &str, written: &str) -> f64 {
    let (said, written) = (words(said), words(written));
    if said.is_empty() {
        return if written.is_empty() { 0.0 } else { 1.0 };
    }
    let mut row: Vec<usize> = (0..=written.len()).collect();
    for (i, a) in said.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in written.iter().enumerate() {
            let next = (diagonal + usize::from(a != b)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = next;
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of words")]
    {
        row[written.len()] as f64 / said.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_error_rate_counts_words_replaced_left_out_and_put_in() {
        assert!(word_error_rate("You cannot join.", "you can not join") < 1e-9);
        assert!((word_error_rate("one two three four", "one too three four") - 0.25).abs() < 1e-9);
        assert!((word_error_rate("one two three four", "one three four") - 0.25).abs() < 1e-9);
        assert!((word_error_rate("one two three four", "one two and three four") - 0.25).abs() < 1e-9);
        assert!((word_error_rate("a b", "") - 1.0).abs() < 1e-9);
    }

    #[test]
    fn bringing_16_khz_to_48_khz_keeps_a_tone_and_adds_no_image() {
        let tone = Recording::tone(16_000, 1000.0, 1.0, -14.2);
        let three = three_times(&tone.samples);
        assert!((three.seconds() - 1.0).abs() < 1e-9);
        assert!((three.tone_db(1000.0) + 14.2).abs() < 0.5, "{}", three.tone_db(1000.0));
        assert!(three.tone_db(15_000.0) < -60.0, "{}", three.tone_db(15_000.0));
        assert!(three.tone_db(17_000.0) < -60.0, "{}", three.tone_db(17_000.0));
    }
}

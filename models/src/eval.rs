//! Measuring: word error rate with an honest normaliser, telephone prompts with known text, plain resampling.
//!
//! Honest: it removes what is not words (case, punctuation, the spelling of numbers and common contractions), and no
//! more. No list of words that may be left out, no synonyms.

use std::path::{Path, PathBuf};

/// Word errors of one hypothesis.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct WordErrors {
    /// Words in the reference.
    pub words: usize,
    /// Words replaced by another.
    pub substituted: usize,
    /// Words left out.
    pub deleted: usize,
    /// Words that were not said.
    pub inserted: usize,
}

impl WordErrors {
    /// Errors over words of the reference; 0 if both are empty, 1 per inserted word if only the reference is.
    pub fn rate(&self) -> f64 {
        (self.substituted + self.deleted + self.inserted) as f64 / self.words.max(1) as f64
    }

    /// Sums two counts.
    pub fn plus(self, other: Self) -> Self {
        Self {
            words: self.words + other.words,
            substituted: self.substituted + other.substituted,
            deleted: self.deleted + other.deleted,
            inserted: self.inserted + other.inserted,
        }
    }
}

/// Word error rate after [`normalise`]: 0 is perfect, can exceed 1.
pub fn word_error_rate(reference: &str, hypothesis: &str) -> f64 {
    word_errors(reference, hypothesis).rate()
}

/// The errors by kind, from a cheapest alignment.
pub fn word_errors(reference: &str, hypothesis: &str) -> WordErrors {
    let (reference, hypothesis) = (normalise(reference), normalise(hypothesis));
    // (cost, substituted, deleted, inserted) per column.
    let mut row: Vec<(usize, usize, usize, usize)> = (0..=hypothesis.len()).map(|i| (i, 0, 0, i)).collect();
    for (i, said) in reference.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = (i + 1, 0, i + 1, 0);
        for (j, heard) in hypothesis.iter().enumerate() {
            let above = row[j + 1];
            let left = row[j];
            let best = if said == heard {
                diagonal
            } else {
                let replace = (diagonal.0 + 1, diagonal.1 + 1, diagonal.2, diagonal.3);
                let delete = (above.0 + 1, above.1, above.2 + 1, above.3);
                let insert = (left.0 + 1, left.1, left.2, left.3 + 1);
                [replace, delete, insert].into_iter().min_by_key(|c| c.0).unwrap_or(replace)
            };
            diagonal = above;
            row[j + 1] = best;
        }
    }
    let (_, substituted, deleted, inserted) = row[hypothesis.len()];
    WordErrors { words: reference.len(), substituted, deleted, inserted }
}

/// Words as they are compared: lower case, digits spelt out, contractions opened, no punctuation, no bracketed sounds.
pub fn normalise(text: &str) -> Vec<String> {
    let mut plain = String::with_capacity(text.len());
    let mut depth = 0usize;
    for character in text.chars() {
        match character {
            '[' | '(' | '<' => depth += 1,
            ']' | ')' | '>' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            '’' | '‘' | '`' => plain.push('\''),
            '%' => plain.push_str(" percent "),
            '&' => plain.push_str(" and "),
            '+' => plain.push_str(" plus "),
            '#' => plain.push_str(" pound "),
            _ => plain.extend(character.to_lowercase()),
        }
    }
    let mut words = Vec::new();
    for raw in plain.split(|c: char| !(c.is_alphanumeric() || c == '\'')) {
        let word = raw.trim_matches('\'');
        if word.is_empty() {
            continue;
        }
        match CONTRACTIONS.iter().find(|(short, _)| *short == word) {
            Some((_, long)) => words.extend(long.split(' ').map(str::to_owned)),
            None => push_word(word, &mut words),
        }
    }
    words
}

const CONTRACTIONS: &[(&str, &str)] = &[
    ("i'm", "i am"),
    ("you're", "you are"),
    ("we're", "we are"),
    ("they're", "they are"),
    ("it's", "it is"),
    ("that's", "that is"),
    ("there's", "there is"),
    ("what's", "what is"),
    ("let's", "let us"),
    ("can't", "can not"),
    ("cannot", "can not"),
    ("won't", "will not"),
    ("don't", "do not"),
    ("doesn't", "does not"),
    ("didn't", "did not"),
    ("isn't", "is not"),
    ("aren't", "are not"),
    ("wasn't", "was not"),
    ("haven't", "have not"),
    ("i'll", "i will"),
    ("you'll", "you will"),
    ("we'll", "we will"),
    ("i've", "i have"),
    ("you've", "you have"),
    ("we've", "we have"),
    ("okay", "ok"),
    ("voicemail", "voice mail"),
];

/// Digits become words, each number read as people read it up to 99, else digit by digit; the rest keeps its letters.
fn push_word(word: &str, words: &mut Vec<String>) {
    let ordinal =
        word.strip_suffix("st").or(word.strip_suffix("nd")).or(word.strip_suffix("rd")).or(word.strip_suffix("th"));
    if let Some(number) =
        ordinal.filter(|n| n.chars().all(|c| c.is_ascii_digit())).and_then(|n| n.parse::<usize>().ok())
        && let Some(spelt) = ORDINALS.get(number)
    {
        words.push((*spelt).to_owned());
        return;
    }
    if word.chars().all(|c| c.is_ascii_digit()) {
        match word.parse::<usize>() {
            Ok(number) if number < 100 && (word.len() == 1 || !word.starts_with('0')) => spell(number, words),
            _ => word.bytes().for_each(|digit| spell(usize::from(digit - b'0'), words)),
        }
        return;
    }
    words.push(word.chars().filter(|c| *c != '\'').collect());
}

const ORDINALS: &[&str] =
    &["zeroth", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"];

fn spell(number: usize, words: &mut Vec<String>) {
    const SMALL: [&str; 20] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ];
    const TENS: [&str; 10] = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
    if let Some(small) = SMALL.get(number) {
        words.push((*small).to_owned());
    } else {
        words.push(TENS[number / 10 % 10].to_owned());
        if !number.is_multiple_of(10) {
            words.push(SMALL[number % 10].to_owned());
        }
    }
}

/// Doubles the sample rate (8 kHz to 16 kHz) with a windowed-sinc low-pass at the old band's edge: nothing is added above
/// 4 kHz. For measuring; live sound is resampled by Opus.
pub fn upsample_8k_to_16k(pcm: &[i16]) -> Vec<i16> {
    const HALF: i64 = 16;
    let tap = |distance: f64| {
        let x = std::f64::consts::PI * distance;
        let sinc = if x == 0.0 { 1.0 } else { x.sin() / x };
        let window = 0.5 + 0.5 * (x / HALF as f64).cos();
        sinc * window
    };
    let between: Vec<f64> = (-HALF..HALF).map(|k| tap(k as f64 + 0.5)).collect();
    let mut out = Vec::with_capacity(pcm.len() * 2);
    for at in 0..pcm.len() as i64 {
        out.push(pcm[at as usize]);
        let sum: f64 = between
            .iter()
            .enumerate()
            .map(|(i, weight)| {
                let index = at - (i as i64 - HALF);
                usize::try_from(index).ok().and_then(|i| pcm.get(i)).map_or(0.0, |s| f64::from(*s) * weight)
            })
            .sum();
        out.push(sum.round().clamp(-32768.0, 32767.0) as i16);
    }
    out
}

/// A telephone prompt with what is said in it.
#[derive(Debug, Clone)]
pub struct Prompt {
    /// Its name ("vm-options").
    pub name: String,
    /// What is said.
    pub text: String,
    /// Its 8 kHz WAV file.
    pub wav: PathBuf,
}

/// The folder in which Debian's `asterisk-core-sounds-en-wav` puts its prompts (CC-BY-SA-3.0, one voice).
pub const PROMPTS: &str = "/usr/share/asterisk/sounds/en";

/// The texts of those prompts.
pub const PROMPT_LIST: &str = "/usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz";

/// Reads the prompts' texts (`name: text` per line, as in the package's `core-sounds-en.txt`), keeps those that are words
/// and whose WAV is in `folder`. In the order of the list.
pub fn prompts(list: &str, folder: &Path) -> Vec<Prompt> {
    list.lines()
        .filter(|line| !line.starts_with(';'))
        .filter_map(|line| line.split_once(": "))
        .filter(|(_, text)| !text.contains(['[', '(', '<']) && text.chars().any(char::is_alphabetic))
        .map(|(name, text)| Prompt {
            name: name.trim().to_owned(),
            text: text.trim().to_owned(),
            wav: folder.join(format!("{}.wav", name.trim())),
        })
        .filter(|prompt| prompt.wav.is_file())
        .collect()
}

/// The prompts that Debian's packages `asterisk-core-sounds-en` (text) and `-wav` (sound) have installed.
pub fn installed_prompts() -> std::io::Result<Vec<Prompt>> {
    let file = std::fs::File::open(PROMPT_LIST)?;
    let mut list = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(file), &mut list)?;
    Ok(prompts(&list, Path::new(PROMPTS)))
}

/// Where weights are: `ROOMTONE_MODELS`, else `.cache/roomtone/models` in the home folder.
pub fn weights_folder() -> PathBuf {
    crate::weights::default_folder()
}

#[cfg(test)]
pub(crate) fn weights_for_tests(file: &str) -> PathBuf {
    let path = weights_folder().join(file);
    assert!(path.is_file(), "weights {file} are missing; run `cargo xtask setup` first");
    path
}

/// A prompt's sound at 16 kHz.
#[cfg(test)]
pub(crate) fn prompt_for_tests(name: &str) -> Vec<i16> {
    let path = Path::new(PROMPTS).join(format!("{name}.wav"));
    let mut reader = hound::WavReader::open(&path).expect(
        "telephone prompts are missing; install the Debian package asterisk-core-sounds-en-wav (`cargo xtask setup`)",
    );
    let pcm: Vec<i16> = reader.samples::<i16>().map(Result::unwrap).collect();
    upsample_8k_to_16k(&pcm)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spelling_does_not_count_as_an_error() {
        let same = [
            ("Press one, then 22.", "press 1 then twenty-two"),
            ("You can't do that; it's over", "you cannot do that, it is over"),
            ("extension 1 0 0", "Extension 100"),
            ("Okay [laughs]", "OK"),
        ];
        for (reference, hypothesis) in same {
            assert_eq!(word_error_rate(reference, hypothesis), 0.0, "{reference} / {hypothesis}");
        }
    }

    #[test]
    fn errors_are_counted_by_kind() {
        let errors = word_errors("we ship the release on friday", "we chip release on the friday");
        assert_eq!(errors, WordErrors { words: 6, substituted: 1, deleted: 1, inserted: 1 });
        assert_eq!(errors.rate(), 0.5);
        assert_eq!(word_error_rate("", "thanks for watching"), 3.0);
        assert_eq!(word_error_rate("", ""), 0.0);
    }

    #[test]
    fn upsampling_keeps_a_tone_and_adds_nothing_above_the_band() {
        let tone: Vec<i16> = (0..4000)
            .map(|i| (8000.0 * (f64::from(i) * 2.0 * std::f64::consts::PI * 1000.0 / 8000.0).sin()) as i16)
            .collect();
        let up = upsample_8k_to_16k(&tone);
        let power = |hz: f64| {
            let (mut re, mut im) = (0.0, 0.0);
            for (i, s) in up.iter().enumerate() {
                let x = i as f64 * 2.0 * std::f64::consts::PI * hz / 16_000.0;
                re += f64::from(*s) * x.cos();
                im += f64::from(*s) * x.sin();
            }
            re * re + im * im
        };
        assert!(
            power(7000.0) < power(1000.0) * 1e-4,
            "the image of the tone is {:e} of it",
            power(7000.0) / power(1000.0)
        );
    }

    proptest! {
        #[test]
        fn a_text_has_no_errors_against_itself_and_rates_are_finite(a in "\\PC{0,80}", b in "\\PC{0,80}") {
            prop_assert_eq!(word_error_rate(&a, &a), 0.0);
            prop_assert!(word_error_rate(&a, &b).is_finite());
        }
    }
}

//! Against invented text: Whisper writes something for any sound. What it wrote is believed only where sound, its own
//! doubts and the text itself agree.

use std::io::Write as _;

use zeroize::Zeroizing;

/// What is known of an utterance besides its text.
#[derive(Debug, Clone, Copy)]
pub struct Evidence {
    /// How long there was voice, in ms.
    pub voiced_ms: i64,
    /// Mean voice probability of the voiced windows, 0 to 1.
    pub voice: f32,
    /// Mean log-probability of the tokens.
    pub mean_logprob: f32,
    /// Whisper's probability that there is no speech.
    pub no_speech: f32,
    /// The voice is no louder than what an echo leaves; see [`super::residue`].
    pub faint: bool,
}

/// Why a text was thrown away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Doubt {
    /// Nothing but brackets, music signs or punctuation.
    Empty,
    /// Faint and torn: what an echo canceller leaves of the other side.
    Residue,
    /// Whisper itself heard no speech, or the voice was faint and the words were unlikely.
    NoSpeech,
    /// Improbable words throughout.
    Unlikely,
    /// The same again and again.
    Repeating,
    /// More words than a mouth can say in the time.
    TooFast,
    /// What Whisper is known to write on silence ("Thanks for watching!").
    Phantom,
}

/// Gives the text as it may be shown, or why not.
pub fn check(text: &str, evidence: Evidence) -> Result<Zeroizing<String>, Doubt> {
    let text = without_sounds(text);
    let words = plain_words(&text);
    if words.is_empty() {
        return Err(Doubt::Empty);
    }
    if evidence.no_speech > 0.6 && evidence.mean_logprob < -0.5 {
        return Err(Doubt::NoSpeech);
    }
    if evidence.voice < 0.62 && evidence.mean_logprob < -0.7 {
        return Err(Doubt::NoSpeech);
    }
    if evidence.faint && evidence.mean_logprob < -0.8 {
        return Err(Doubt::Residue);
    }
    if evidence.mean_logprob < -1.3 {
        return Err(Doubt::Unlikely);
    }
    if repeats(&words) || (text.len() > 60 && compression_ratio(&text) > 2.4) {
        return Err(Doubt::Repeating);
    }
    let seconds = (evidence.voiced_ms as f32 / 1000.0).max(0.1);
    if words.len() > 3 && words.len() as f32 / seconds > 9.0 {
        return Err(Doubt::TooFast);
    }
    let (text, words) =
        if is_doubled(&words, seconds) { (first_half(&text), &words[..words.len() / 2]) } else { (text, &words[..]) };
    let whole = words.join(" ");
    if PHANTOMS.contains(&whole.as_str()) || PHANTOM_PARTS.iter().any(|part| whole.contains(part)) {
        return Err(Doubt::Phantom);
    }
    let doubtful =
        evidence.mean_logprob < -0.6 || evidence.no_speech > 0.4 || evidence.voiced_ms < 200 || evidence.voice < 0.7;
    if doubtful && OFTEN_INVENTED.contains(&whole.as_str()) {
        return Err(Doubt::Phantom);
    }
    Ok(text)
}

/// Whole utterances that nobody says on the phone and Whisper learnt from subtitles.
const PHANTOMS: &[&str] = &[
    "thanks for watching",
    "thank you for watching",
    "thank you so much for watching",
    "thank you very much for watching",
    "thanks for watching everyone",
    "thanks for watching and see you next time",
    "see you in the next video",
    "ill see you in the next video",
    "ill see you next time",
    "please subscribe",
    "subscribe",
    "please like and subscribe",
    "like and subscribe",
    "blank audio",
    "music",
    "music playing",
    "applause",
    "laughter",
    "silence",
    "inaudible",
    "the end",
    "beep",
    "beep beep",
];

/// Parts that give a phantom away wherever they stand.
const PHANTOM_PARTS: &[&str] = &[
    "subscribe to my channel",
    "subscribe to our channel",
    "subscribe to the channel",
    "subtitles by",
    "transcription by",
    "transcribed by",
    "captions by",
    "amara org",
    "casting words",
    "otter ai",
    "esoterica",
];

/// Said by people and invented by Whisper; believed only with good evidence.
const OFTEN_INVENTED: &[&str] = &[
    "you",
    "thank you",
    "thanks",
    "bye",
    "bye bye",
    "so",
    "oh",
    "okay",
    "ok",
    "hmm",
    "mm",
    "mm hmm",
    "uh",
    "um",
    "ah",
    "i",
    "the",
    "and",
    "yeah",
    "thank you very much",
    "thank you so much",
    "im sorry",
    "i dont know",
    "a",
    "huh",
    "hm",
    "all right",
    "shh",
    "no",
    "yes",
    "what",
];

/// Removes bracketed sounds ("[BLANK_AUDIO]", "(music)", "*sighs*", "♪ la ♪") and makes white space single.
fn without_sounds(text: &str) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(text.len()));
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let close = match character {
            '[' => Some(']'),
            '(' => Some(')'),
            '{' => Some('}'),
            '*' => Some('*'),
            '♪' => Some('♪'),
            '♫' => Some('♫'),
            _ => None,
        };
        let after = &rest[character.len_utf8()..];
        if let Some(close) = close {
            // Without its partner the sign alone goes.
            rest = after.find(close).map_or(after, |at| &after[at + close.len_utf8()..]);
            continue;
        }
        if character.is_whitespace() || character == '\u{fffd}' {
            if !out.is_empty() && !out.ends_with(' ') {
                out.push(' ');
            }
        } else {
            out.push(character);
        }
        rest = after;
    }
    let trimmed = out.trim_end().len();
    out.truncate(trimmed);
    // ">> " and "- " are how subtitles mark speakers.
    let lead = out.len() - out.trim_start_matches(['-', '>', ' ', '–', '—']).len();
    if lead > 0 {
        out.drain(..lead);
    }
    out
}

fn plain_words(text: &str) -> Vec<String> {
    text.split(|c: char| c.is_whitespace() || matches!(c, '-' | '_' | '.' | ',' | '…'))
        .map(|word| word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>())
        .filter(|word| !word.is_empty())
        .collect()
}

/// Whether one to six words stand again and again in a row: a loop. Numbers and letters may repeat when dictated.
fn repeats(words: &[String]) -> bool {
    for length in 1..=6usize {
        let allowed = match length {
            1 => 6,
            2 => 4,
            _ => 3,
        };
        let mut run = 1;
        for at in length..words.len() {
            if words[at] == words[at - length] && !words[at].chars().all(|c| c.is_ascii_digit()) {
                run += 1;
                if run >= allowed * length {
                    return true;
                }
            } else {
                run = 1;
            }
        }
    }
    false
}

/// Nobody says a sentence twice at more words a second than this; Whisper writes one twice where it sees little behind its end.
const TWICE_WORDS_PER_SECOND: f32 = 5.5;
/// Fewer words than this are said twice by people in a hurry ("are you there, are you there").
const TWICE_FROM: usize = 4;

/// Whether the second half is the first again, in less time than it takes to say so much.
fn is_doubled(words: &[String], seconds: f32) -> bool {
    let (first, second) = words.split_at(words.len() / 2);
    first.len() >= TWICE_FROM && first == second && words.len() as f32 / seconds > TWICE_WORDS_PER_SECOND
}

/// The first half of a text that says the same twice: the shortest beginning that has half of its words.
fn first_half(text: &str) -> Zeroizing<String> {
    let half = plain_words(text).len() / 2;
    let ends = text.char_indices().filter(|(_, c)| c.is_whitespace()).map(|(at, _)| at);
    let end = ends.into_iter().find(|end| plain_words(&text[..*end]).len() >= half).unwrap_or(text.len());
    Zeroizing::new(text[..end].to_owned())
}

/// Size over compressed size, as OpenAI's own decoder measures: loops compress well.
fn compression_ratio(text: &str) -> f32 {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    let compressed = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish());
    compressed.map_or(1.0, |bytes| text.len() as f32 / bytes.len().max(1) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SURE: Evidence = Evidence { voiced_ms: 3000, voice: 0.95, mean_logprob: -0.2, no_speech: 0.05, faint: false };

    fn shown(text: &str, evidence: Evidence) -> Result<String, Doubt> {
        check(text, evidence).map(|text| text.to_string())
    }

    #[test]
    fn what_people_say_passes() {
        for said in [
            "We ship on Friday if the mock-ups are there.",
            "No.",
            "Thank you.",
            "555 555 555 555 0100",
            "No, no, no, no.",
            "Very, very good.",
        ] {
            assert_eq!(shown(said, SURE), Ok(said.to_owned()));
        }
    }

    #[test]
    fn sounds_in_brackets_are_no_words() {
        for text in ["[BLANK_AUDIO]", " (music)", "♪♪", "*sighs*", "...", "[", "[Music] (upbeat)", "- "] {
            assert_eq!(shown(text, SURE), Err(Doubt::Empty), "{text}");
        }
        assert_eq!(shown(" Hello [laughs]  there.", SURE), Ok("Hello there.".to_owned()));
    }

    #[test]
    fn phantoms_are_not_shown() {
        for text in [
            "Thanks for watching!",
            " Thank you for watching.",
            "Subtitles by the Amara.org community",
            "Please subscribe!",
        ] {
            assert_eq!(shown(text, SURE), Err(Doubt::Phantom), "{text}");
        }
        let doubtful = Evidence { voiced_ms: 160, voice: 0.6, ..SURE };
        assert_eq!(shown("Thank you.", doubtful), Err(Doubt::Phantom));
        assert_eq!(shown("you", Evidence { no_speech: 0.5, ..SURE }), Err(Doubt::Phantom));
    }

    #[test]
    fn loops_are_not_shown() {
        for text in [
            "la la la la la la la la",
            "I'm going to go to the I'm going to go to the I'm going to go to the I'm going to go to the",
        ] {
            assert_eq!(shown(text, SURE), Err(Doubt::Repeating), "{text}");
        }
    }

    #[test]
    fn a_sentence_that_is_written_twice_but_was_said_once_stands_once() {
        let once = "Please hold while I try to locate the person you're calling.";
        let twice = format!("{once} {once}");
        assert_eq!(shown(&twice, Evidence { voiced_ms: 3400, ..SURE }), Ok(once.to_owned()));
        // Who does say it twice takes his time, or says little.
        assert_eq!(shown(&twice, Evidence { voiced_ms: 6800, ..SURE }), Ok(twice.clone()));
        assert_eq!(
            shown("I know that. I know that.", Evidence { voiced_ms: 1000, ..SURE }),
            Ok("I know that. I know that.".to_owned())
        );
    }

    #[test]
    fn faint_words_are_believed_only_where_they_are_likely() {
        let unlikely = Evidence { mean_logprob: -1.05, ..SURE };
        assert_eq!(shown("That's all.", Evidence { faint: true, ..unlikely }), Err(Doubt::Residue));
        assert_eq!(shown("That's all.", unlikely), Ok("That's all.".to_owned()));
        assert_eq!(shown("That's all.", Evidence { faint: true, ..SURE }), Ok("That's all.".to_owned()));
    }

    #[test]
    fn doubts_of_whisper_count() {
        assert_eq!(shown("It is over.", Evidence { no_speech: 0.9, mean_logprob: -0.8, ..SURE }), Err(Doubt::NoSpeech));
        assert_eq!(shown("It is over.", Evidence { mean_logprob: -1.5, ..SURE }), Err(Doubt::Unlikely));
        assert_eq!(
            shown("Ten words said in a tenth of a second are not said", Evidence { voiced_ms: 130, ..SURE }),
            Err(Doubt::TooFast)
        );
    }
}

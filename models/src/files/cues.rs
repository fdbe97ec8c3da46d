//! Subtitles: utterances cut at sentences and at what can be read at a glance, each cue with the times of its words.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::{Line, Transcription};

/// Letters of a line, of which a cue has two.
const LINE: usize = 42;
const CUE: usize = 2 * LINE;
/// A sentence's end closes a cue of at least so many letters.
const SENTENCE: usize = 24;
/// No cue stands longer, in ms.
const LONGEST: i64 = 6_000;
/// A pause between words that closes a cue, in ms.
const PAUSE: i64 = 1_500;
/// A cue stands at least so long if the next leaves it room, in ms.
const SHORTEST: i64 = 800;

/// What stands on the screen from here to there.
#[derive(Debug, PartialEq)]
struct Cue<'a> {
    start_ms: i64,
    end_ms: i64,
    speaker: &'a str,
    text: String,
}

/// A piece of text that is not cut, with the space behind it.
struct Token<'a> {
    text: &'a str,
    start_ms: i64,
    end_ms: i64,
}

/// In order of their starts. Those of one speaker never overlap.
fn cues(transcription: &Transcription) -> Vec<Cue<'_>> {
    let mut cues: Vec<Cue> = transcription.utterances.iter().flat_map(cut).collect();
    cues.sort_by_key(|cue| (cue.start_ms, cue.end_ms));
    let mut last: HashMap<&str, usize> = HashMap::new();
    for number in 0..cues.len() {
        if let Some(before) = last.insert(cues[number].speaker, number) {
            let start = cues[number].start_ms;
            let earlier = &mut cues[before];
            earlier.end_ms = earlier.end_ms.max(earlier.start_ms + SHORTEST).min(start).max(earlier.start_ms + 1);
        }
    }
    for number in last.into_values() {
        let cue = &mut cues[number];
        cue.end_ms = cue.end_ms.max(cue.start_ms + SHORTEST);
    }
    cues
}

fn cut(line: &Line) -> Vec<Cue<'_>> {
    let mut cues: Vec<Cue> = Vec::new();
    let mut open: Option<(i64, i64, String)> = None;
    let mut close = |open: &mut Option<(i64, i64, String)>| {
        let Some((start_ms, end_ms, text)) = open.take() else { return };
        if !text.trim().is_empty() {
            // Two cues of one utterance never begin at once.
            let start_ms = cues.last().map_or(start_ms, |last| start_ms.max(last.start_ms + 1));
            cues.push(Cue {
                start_ms,
                end_ms: end_ms.max(start_ms + 1),
                speaker: &line.speaker,
                text: text.trim().to_owned(),
            });
        }
    };
    for token in tokens(line) {
        if let Some((start, end, text)) = &open {
            let letters = text.chars().count();
            let whole = ends_sentence(text) && letters >= SENTENCE;
            let full = letters + token.text.trim_end().chars().count() > CUE || token.end_ms - start > LONGEST;
            if whole || full || token.start_ms - end > PAUSE {
                close(&mut open);
            }
        }
        let (_, end, text) = open.get_or_insert((token.start_ms, token.end_ms, String::new()));
        *end = token.end_ms.max(*end);
        text.push_str(token.text);
    }
    close(&mut open);
    cues
}

/// The text cut before each word that has a time; without such, at spaces, with the time shared out by letters.
fn tokens(line: &Line) -> Vec<Token<'_>> {
    timed(line).unwrap_or_else(|| guessed(line))
}

fn timed(line: &Line) -> Option<Vec<Token<'_>>> {
    let mut starts = Vec::new();
    let mut from = 0;
    for word in &line.words {
        let at = from + line.text.get(from..)?.find(word.text.as_str())?;
        starts.push(at);
        from = at + word.text.len();
    }
    *starts.first_mut()? = 0;
    let ends = starts.iter().skip(1).copied().chain([line.text.len()]);
    let pieces = starts.iter().zip(ends).zip(&line.words);
    let mut earliest = line.start_ms;
    Some(
        pieces
            .map(|((start, end), word)| {
                // Word times may waver; what is shown goes forward.
                earliest = earliest.max(word.start_ms);
                Token { text: &line.text[*start..end], start_ms: earliest, end_ms: word.end_ms.max(earliest) }
            })
            .collect(),
    )
}

fn guessed(line: &Line) -> Vec<Token<'_>> {
    let whole = line.text.len().max(1) as i64;
    let length = (line.end_ms - line.start_ms).max(0);
    let mut from = 0;
    let at = |byte: usize| line.start_ms + length * byte as i64 / whole;
    line.text
        .split_inclusive(char::is_whitespace)
        .map(|text| {
            let start = from;
            from += text.len();
            Token { text, start_ms: at(start), end_ms: at(from) }
        })
        .collect()
}

fn ends_sentence(text: &str) -> bool {
    text.trim_end().trim_end_matches(['"', '\'', '”', '’', ')']).ends_with(['.', '?', '!', '…', '。', '？', '！'])
}

/// In two lines of like length where one is too long.
fn wrapped(text: &str) -> String {
    let letters = text.chars().count();
    if letters <= LINE {
        return text.to_owned();
    }
    let spaces = text.char_indices().enumerate().filter(|(_, (_, c))| *c == ' ').map(|(nth, (at, _))| (nth, at));
    match spaces.min_by_key(|(nth, _)| nth.abs_diff(letters / 2)) {
        Some((_, at)) => format!("{}\n{}", &text[..at], &text[at + 1..]),
        None => text.to_owned(),
    }
}

fn time(ms: i64, comma: char) -> String {
    let ms = ms.max(0);
    let (seconds, rest) = (ms / 1000, ms % 1000);
    format!("{:02}:{:02}:{:02}{comma}{rest:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// One line without what would end a cue.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace("-->", "→")
}

/// SubRip. Speakers are named where there are several.
pub(super) fn srt(transcription: &Transcription) -> String {
    let cues = cues(transcription);
    let several = cues.windows(2).any(|pair| pair[0].speaker != pair[1].speaker);
    let mut out = String::new();
    for (number, cue) in cues.iter().enumerate() {
        let text = wrapped(&plain(&cue.text));
        let name = if several { format!("{}: ", plain(cue.speaker)) } else { String::new() };
        let (start, end) = (time(cue.start_ms, ','), time(cue.end_ms, ','));
        let _ = write!(out, "{}\n{start} --> {end}\n{name}{text}\n\n", number + 1);
    }
    out
}

/// WebVTT, each cue with its speaker as voice.
pub(super) fn vtt(transcription: &Transcription) -> String {
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mut out = String::from("WEBVTT\n\n");
    for (number, cue) in cues(transcription).iter().enumerate() {
        let (start, end) = (time(cue.start_ms, '.'), time(cue.end_ms, '.'));
        let (speaker, text) = (escaped(&plain(cue.speaker)), escaped(&wrapped(&plain(&cue.text))));
        let _ = write!(out, "{}\n{start} --> {end}\n<v {speaker}>{text}\n\n", number + 1);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{line, transcription};
    use super::*;

    #[test]
    fn a_long_utterance_is_cut_at_its_sentences_by_the_times_of_its_words() {
        let text = "We meet on Thursday at nine, then. Bring the drawings of the second floor with you, please, and also the estimate that the carpenter sent.";
        let t = transcription(vec![line("Ada", 1_000, 300, text)]);
        let cues = cues(&t);
        assert_eq!(cues[0].text, "We meet on Thursday at nine, then.");
        assert_eq!((cues[0].start_ms, cues[0].end_ms), (1_000, 1_000 + 7 * 300));
        assert_eq!(cues[1].start_ms, cues[0].end_ms);
        assert!(cues.iter().all(|cue| cue.text.chars().count() <= CUE && cue.end_ms - cue.start_ms <= LONGEST));
        let words: Vec<_> = cues.iter().flat_map(|cue| cue.text.split(' ')).collect();
        assert_eq!(words.join(" "), text);
    }

    #[test]
    fn text_without_spaces_or_word_times_keeps_its_letters() {
        let mut whole = line("Ada", 0, 500, "明日の会議は九時からです。");
        whole.words.clear();
        let t = transcription(vec![whole]);
        assert!(t.to_srt().contains("明日の会議は九時からです。"));
    }

    #[test]
    fn formats_are_as_players_expect_and_names_cannot_break_them() {
        let t =
            transcription(vec![line("Ada", 0, 400, "Is 3 < 4 --> yes?"), line("Bob & <Co>", 3_723_000, 400, "It is.")]);
        let expected = "1\n00:00:00,000 --> 00:00:02,400\nAda: Is 3 < 4 → yes?\n\n2\n01:02:03,000 --> 01:02:03,800\nBob & <Co>: It is.\n\n";
        assert_eq!(t.to_srt(), expected);
        let expected = "WEBVTT\n\n1\n00:00:00.000 --> 00:00:02.400\n<v Ada>Is 3 &lt; 4 → yes?\n\n2\n01:02:03.000 --> 01:02:03.800\n<v Bob &amp; &lt;Co&gt;>It is.\n\n";
        assert_eq!(t.to_vtt(), expected);
    }

    #[test]
    fn a_long_line_is_wrapped_near_its_middle() {
        let text = "Bring the drawings of the second floor with you, please.";
        let lines: Vec<String> = wrapped(text).split('\n').map(str::to_owned).collect();
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| line.chars().count() <= LINE), "{lines:?}");
    }

    proptest! {
        #[test]
        fn cues_go_forward_whatever_the_times_of_words_are(
            said in prop::collection::vec((0i64..20_000, prop::collection::vec((-500i64..9_000, 0i64..3_000, "[a-z]{1,9}[.,?]?"), 1..30), 0usize..3), 1..8),
        ) {
            let lines = said.iter().map(|(start, words, speaker)| {
                let text = words.iter().map(|w| w.2.as_str()).collect::<Vec<_>>().join(" ");
                let mut line = line(["Ada", "Bob", "Cy"][*speaker], *start, 300, &text);
                for (word, (at, length, _)) in line.words.iter_mut().zip(words) {
                    (word.start_ms, word.end_ms) = (start + at, start + at + length);
                }
                line
            });
            let t = transcription(lines.collect());
            let cues = cues(&t);
            for pair in cues.windows(2) {
                prop_assert!(pair[0].start_ms <= pair[1].start_ms);
            }
            for cue in &cues {
                prop_assert!(cue.end_ms > cue.start_ms && !cue.text.is_empty());
            }
            let count = |text: &str| text.split_whitespace().count();
            let given: usize = t.utterances.iter().map(|l| count(&l.text)).sum();
            prop_assert_eq!(cues.iter().map(|c| count(&c.text)).sum::<usize>(), given);
        }
    }
}

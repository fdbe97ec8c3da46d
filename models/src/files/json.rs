//! All there is, for programs. Field names are part of what people rely on.

use serde::Serialize;

use super::{Line, Transcription};
use crate::notes::Notes;

#[derive(Serialize)]
struct File<'a> {
    /// Counted up when a field changes its meaning.
    version: u32,
    recogniser: &'a str,
    length_ms: i64,
    parties: &'a [String],
    speakers: Vec<&'a str>,
    utterances: Vec<Utterance<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notes: Option<&'a Notes>,
    warnings: &'a [String],
}

#[derive(Serialize)]
struct Utterance<'a> {
    id: u64,
    party: &'a str,
    speaker: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    voice: Option<String>,
    start_ms: i64,
    end_ms: i64,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<&'a str>,
    confidence: f32,
    words: Vec<Word<'a>>,
}

#[derive(Serialize)]
struct Word<'a> {
    text: &'a str,
    start_ms: i64,
    end_ms: i64,
    probability: f32,
}

pub(super) fn write(transcription: &Transcription) -> String {
    let mut speakers: Vec<&str> = Vec::new();
    for line in &transcription.utterances {
        if !speakers.contains(&line.speaker.as_str()) {
            speakers.push(&line.speaker);
        }
    }
    let party = |line: &Line| transcription.parties.get(line.party).map_or("", String::as_str);
    let file = File {
        version: 1,
        recogniser: &transcription.recogniser,
        length_ms: transcription.length_ms,
        parties: &transcription.parties,
        speakers,
        utterances: transcription.utterances.iter().map(|line| utterance(line, party(line))).collect(),
        notes: transcription.notes.as_ref(),
        warnings: &transcription.warnings,
    };
    let mut text = serde_json::to_string_pretty(&file).expect("text, numbers and lists always have a JSON form");
    text.push('\n');
    text
}

fn utterance<'a>(line: &'a Line, party: &'a str) -> Utterance<'a> {
    let word = |word: &'a crate::speech::Word| Word {
        text: &word.text,
        start_ms: word.start_ms,
        end_ms: word.end_ms,
        probability: word.probability,
    };
    Utterance {
        id: line.id,
        party,
        speaker: &line.speaker,
        voice: line.voice.map(|voice| voice.to_string()),
        start_ms: line.start_ms,
        end_ms: line.end_ms,
        text: &line.text,
        language: line.language.as_deref(),
        confidence: line.confidence,
        words: line.words.iter().map(word).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{line, transcription};

    #[test]
    fn utterances_come_with_their_words_and_speakers_once() {
        let t = transcription(vec![line("Ada", 0, 400, "Good \"day\"."), line("Ada", 2_000, 400, "Yes.")]);
        let json: serde_json::Value = serde_json::from_str(&t.to_json()).unwrap();
        assert_eq!(json["speakers"], serde_json::json!(["Ada"]));
        assert_eq!(json["utterances"][0]["words"][1]["text"], "\"day\".");
        assert_eq!(json["utterances"][0]["words"][1]["start_ms"], 400);
        assert!(json.get("notes").is_none());
    }
}

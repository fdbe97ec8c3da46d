//! Captions: what was said, by whom, in the call's thread. Name first, text plain.

use bridge::time::UnixMillis;
use serde_json::Value;

use super::{Doc, Zone, text};

/// One speaker's turn: `**Bob** (14:09) We ship on Friday.` The content of its first message and of its edits.
/// `unfinished`: words of an utterance that goes on, which an ellipsis ends.
#[must_use]
pub fn caption(name: &str, started: UnixMillis, said: &[String], unfinished: Option<&str>, zone: &Zone) -> Value {
    let mut doc = Doc::new();
    let mut words = said.join(" ");
    if let Some(more) = unfinished.filter(|m| !m.trim().is_empty()) {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(more.trim_end_matches(['.', '…', ' ']));
        words.push('…');
    }
    doc.bold(name).say(&format!(" ({}) ", zone.clock(started))).say(&words);
    text(&doc)
}

/// `**Carol** [not transcribed]`: once, when someone who has not agreed speaks for the first time.
#[must_use]
pub fn not_transcribed(name: &str) -> Value {
    let mut doc = Doc::new();
    doc.bold(name).say(" [not transcribed]");
    text(&doc)
}

/// `**Phone** [not heard 14:12–14:13: connection lost]`.
#[must_use]
pub fn not_heard(name: &str, from: UnixMillis, to: UnixMillis, why: &str, zone: &Zone) -> Value {
    let mut doc = Doc::new();
    doc.bold(name).say(&format!(" [not heard {}: {why}]", zone.span(from, to)));
    text(&doc)
}

/// What is left of a turn whose words were taken back.
#[must_use]
pub fn taken_back(name: &str) -> Value {
    let mut doc = Doc::new();
    doc.bold(name).say(" [taken back]");
    text(&doc)
}

//! A call as its room shows it: the card, the captions and the notes, read from the events that a user's own client decrypted.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::element::RoomEvent;

/// One caption: a stretch of one speaker, in its last wording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Caption {
    /// The message's id.
    pub event: String,
    /// Who is said to have spoken.
    pub speaker: String,
    /// The words.
    pub text: String,
    /// When the message first stood there, milliseconds since 1970 (the homeserver's clock).
    pub ts: u64,
}

/// A call's thread.
#[derive(Debug, Clone, Default, Serialize)]
pub struct CallThread {
    /// The card's id: the thread's root.
    pub card: String,
    /// The card's text as it stands now.
    pub card_text: String,
    /// Captions, oldest first.
    pub captions: Vec<Caption>,
    /// Messages with notes: event id, plain text. More than one is an error of Roomtone's.
    pub notes: Vec<(String, String)>,
    /// All else that Roomtone wrote in the thread.
    pub others: Vec<String>,
}

impl CallThread {
    /// All that the speakers whose name fits are said to have said.
    #[must_use]
    pub fn said_by(&self, fits: fn(&str) -> bool) -> String {
        let said: Vec<_> = self.captions.iter().filter(|c| fits(&c.speaker)).map(|c| c.text.as_str()).collect();
        said.join(" ")
    }
}

/// The calls of a room, oldest first: each message of the bot that is neither in a thread nor an answer to a command, and what
/// hangs on it.
#[must_use]
pub fn calls(events: &[RoomEvent], bot: &str) -> Vec<CallThread> {
    let ours =
        || events.iter().filter(|e| e.sender == bot && e.kind == "m.room.message" && !e.redacted && !e.undecryptable);
    let mut newest: BTreeMap<&str, &RoomEvent> = BTreeMap::new();
    for edit in ours().filter(|e| e.edits().is_some()) {
        let root = edit.edits().unwrap_or_default();
        if newest.get(root).is_none_or(|was| was.ts <= edit.ts) {
            newest.insert(root, edit);
        }
    }
    let now = |e: &RoomEvent| newest.get(e.id.as_str()).map_or_else(|| e.clone(), |edit| (*edit).clone());
    let mut calls: Vec<CallThread> = ours()
        .filter(|e| e.edits().is_none() && e.thread().is_none() && is_card(e))
        .map(|e| CallThread { card: e.id.clone(), card_text: now(e).body().to_owned(), ..CallThread::default() })
        .collect();
    for e in ours().filter(|e| e.edits().is_none()) {
        let Some(call) = e.thread().and_then(|root| calls.iter_mut().find(|c| c.card == root)) else { continue };
        let shown = now(e);
        if e.content["msgtype"] != "m.text" {
            call.others.push(shown.body().to_owned());
        } else if is_notes(&shown) {
            call.notes.push((e.id.clone(), shown.body().to_owned()));
        } else if let Some((speaker, text)) = caption(shown.html()) {
            call.captions.push(Caption { event: e.id.clone(), speaker, text, ts: e.ts });
        } else {
            call.others.push(shown.body().to_owned());
        }
    }
    calls
}

/// Whether a card says that this party is heard: `Heard: Bob, phone. Not heard: Carol.`
#[must_use]
pub fn is_heard(card: &str, fits: fn(&str) -> bool) -> bool {
    let after = card.replace("Not heard:", "\n").split("Heard:").nth(1).unwrap_or_default().to_owned();
    let names = after.lines().next().unwrap_or_default().split_once(". ").map_or(after.as_str(), |(names, _)| names);
    names.split(',').any(|name| fits(name.trim().trim_end_matches('.')))
}

/// Whether a name in a caption is that of the scenarios' phone: its caller's name or number, or just "phone".
#[must_use]
pub fn is_the_phone(name: &str) -> bool {
    name.contains("Ada Lovelace") || name.contains("7946") || name.eq_ignore_ascii_case("phone")
}

/// Whether a message of the bot, in its first wording, is a call's card.
#[must_use]
pub fn is_card(e: &RoomEvent) -> bool {
    e.kind == "m.room.message" && e.content["msgtype"] == "m.notice" && e.thread().is_none() && {
        let text = e.body().trim_start_matches("* ");
        text == "Call"
            || text.starts_with("Call \u{b7}")
            || text.starts_with("Call with ")
            || text.starts_with("Missed call")
    }
}

/// Whether a message in a call's thread is its notes.
#[must_use]
pub fn is_notes(e: &RoomEvent) -> bool {
    e.content["msgtype"] == "m.text" && e.body().contains("Written by")
}

/// Speaker and words of a caption: `<strong>Bob</strong> (14:09) We ship on Friday.`
#[must_use]
pub fn caption(html: &str) -> Option<(String, String)> {
    let rest =
        html.trim_start_matches("* ").trim().strip_prefix("<strong>").or_else(|| html.trim().strip_prefix("<b>"))?;
    let (speaker, rest) = rest.split_once("</")?;
    let (_, rest) = rest.split_once('>')?;
    let rest = rest.trim_start().trim_start_matches(':').trim_start();
    let rest = match rest.strip_prefix('(').and_then(|r| r.split_once(')')) {
        Some((time, words)) if time.chars().all(|c| c.is_ascii_digit() || c == ':') => words,
        _ => rest,
    };
    let words = plain(rest.trim_start().trim_start_matches(':').trim());
    // `[not transcribed]`, `[not heard 14:12: connection lost]`, `[taken back]` say that there are no words.
    if words.starts_with('[') { None } else { Some((plain(speaker), words)) }
}

/// Text of a piece of HTML.
fn plain(html: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for c in html.chars() {
        match c {
            '<' => inside = true,
            '>' if inside => {
                inside = false;
                text.push(' ');
            }
            c if !inside => text.push(c),
            _ => {}
        }
    }
    let text = text
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(id: &str, ts: u64, content: &serde_json::Value) -> RoomEvent {
        serde_json::from_value(json!({ "room": "!r", "id": id, "sender": "@bot", "ts": ts, "type": "m.room.message",
            "wire_type": "m.room.encrypted", "content": content }))
        .unwrap()
    }

    #[test]
    fn a_card_tells_who_is_heard() {
        let card =
            "Call · since 14:08 · Bob, phone\nNotes: on. Heard: Bob, phone. Not heard: Carol. React ✅ to be heard.";
        assert!(is_heard(card, |n| n == "Bob") && is_heard(card, is_the_phone) && !is_heard(card, |n| n == "Carol"));
        assert!(!is_heard("Notes: on. Not heard: Bob, phone. React ✅", |n| n == "Bob"));
    }

    #[test]
    fn a_thread_is_read_with_its_edits_and_without_answers_to_commands() {
        let thread = json!({ "rel_type": "m.thread", "event_id": "$card" });
        let events = [
            event("$answer", 1, &json!({ "msgtype": "m.notice", "body": "Linked." })),
            event("$card", 2, &json!({ "msgtype": "m.notice", "body": "Call with +44 · ringing…" })),
            event(
                "$said",
                3,
                &json!({ "msgtype": "m.text", "body": "x", "formatted_body": "<strong>Bob</strong> (14:09) We ship", "m.relates_to": thread }),
            ),
            event(
                "$edit",
                4,
                &json!({ "msgtype": "m.text", "body": "* x", "m.new_content": { "msgtype": "m.text", "body": "x",
                "formatted_body": "<strong>Bob</strong> (14:09) We ship &amp; sing.", "m.relates_to": thread }, "m.relates_to": { "rel_type": "m.replace", "event_id": "$said" } }),
            ),
            event(
                "$notes",
                5,
                &json!({ "msgtype": "m.text", "body": "Release\nWritten by: extractive", "m.relates_to": thread }),
            ),
        ];
        let calls = calls(&events, "@bot");
        assert_eq!(calls.len(), 1);
        assert_eq!(calls[0].said_by(|who| who == "Bob"), "We ship & sing.");
        assert_eq!(calls[0].notes.len(), 1);
        assert!(calls[0].others.is_empty());
    }
}

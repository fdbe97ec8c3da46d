//! Event contents around the words: message types, empty mentions, edits, links.

use std::fmt::Write as _;

use matrix_sdk::ruma::{EventId, RoomId};
use serde_json::{Value, json};

use super::Doc;
use crate::journal::EventRef;

/// Opens the stand-in of an event id that is not known yet. A private-use character: [`clean`](super::clean) takes it
/// out of everything that comes from people.
pub const MARK_OPEN: char = '\u{f5fd}';
/// Closes it.
pub const MARK_CLOSE: char = '\u{f5fe}';

/// An `m.notice`: card, answers, announcements. Mentions nobody.
#[must_use]
pub fn notice(doc: &Doc) -> Value {
    message("m.notice", doc)
}

/// An `m.text`: captions and notes, which clients that hide notices are to show. Mentions nobody.
#[must_use]
pub fn text(doc: &Doc) -> Value {
    message("m.text", doc)
}

fn message(msgtype: &str, doc: &Doc) -> Value {
    json!({
        "msgtype": msgtype,
        "body": doc.plain(),
        "format": "org.matrix.custom.html",
        "formatted_body": doc.html(),
        "m.mentions": {},
    })
}

/// The content that puts `content` in the place of `event`, with the fallback for clients that know no edits. An edit
/// mentions nobody anew.
#[must_use]
pub fn edit(event: &EventId, content: Value) -> Value {
    let mut outer = content.clone();
    for key in ["body", "formatted_body"] {
        if let Some(Value::String(text)) = outer.get_mut(key) {
            text.insert_str(0, "* ");
        }
    }
    outer["m.mentions"] = json!({});
    outer["m.new_content"] = content;
    outer["m.relates_to"] = json!({ "rel_type": "m.replace", "event_id": event });
    outer
}

/// A link that opens an event in any Matrix client. `via`: servers that know the room. The event may still be unsent:
/// the journal puts its id in.
#[must_use]
pub fn permalink(room: &RoomId, event: &EventRef, via: &[String]) -> String {
    let mut out = format!("https://matrix.to/#/{}/", encode(room.as_str()));
    match event {
        EventRef::Event(id) => out.push_str(&encode(id.as_str())),
        unsent @ EventRef::Effect(_) => out.push_str(&unsent.placeholder()),
    }
    for (n, server) in via.iter().take(3).enumerate() {
        let _ = write!(out, "{}via={}", if n == 0 { '?' } else { '&' }, encode(server));
    }
    out
}

/// Ids as matrix.to takes them: what is not plainly harmless is percent-encoded.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'!' | b'$' | b':' | b'-' | b'.' | b'_' | b'~' => {
                out.push(b.into());
            }
            b => {
                let _ = write!(out, "%{b:02X}");
            }
        }
    }
    out
}

//! Event contents around the words: message types, empty mentions, edits.

use matrix_sdk::ruma::EventId;
use serde_json::{Value, json};

use super::Doc;

/// Opens the stand-in of an event id that is not known yet. A private-use character: [`super::clean`] takes it out of everything
/// that comes from people.
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

/// The content that puts `content` in the place of `event`, with the fallback for clients that know no edits.
#[must_use]
pub fn edit(event: &EventId, content: Value) -> Value {
    let mut outer = content.clone();
    for key in ["body", "formatted_body"] {
        if let Some(Value::String(text)) = outer.get_mut(key) {
            text.insert_str(0, "* ");
        }
    }
    outer["m.new_content"] = content;
    outer["m.relates_to"] = json!({ "rel_type": "m.replace", "event_id": event });
    outer
}

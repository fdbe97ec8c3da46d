//! Answers to commands, and announcements.

use std::time::Duration;

use bridge::ids::E164;
use bridge::time::UnixMillis;
use matrix_sdk::ruma::RoomId;
use serde_json::Value;

use super::{Doc, Zone, duration, notice, permalink};
use crate::archive::{Hit, HitPlace};
use crate::journal::EventRef;

/// A short answer: one sentence or two.
#[must_use]
pub fn plain_answer(words: &str) -> Value {
    let mut doc = Doc::new();
    doc.say(words);
    notice(&doc)
}

/// What `!notes search` found, each place with its link.
#[must_use]
pub fn hits(question: &str, hits: &[Hit], room: &RoomId, via: &[String], zone: &Zone) -> Value {
    let mut doc = Doc::new();
    if hits.is_empty() {
        doc.say(&format!("Nobody said \"{question}\" in a call of this room, as far as it was written down."));
        return notice(&doc);
    }
    doc.bold(&format!("\"{question}\"")).say(&match hits.len() {
        1 => " in one place:".to_owned(),
        n => format!(" in {n} places:"),
    });
    let items: Vec<Doc> = hits
        .iter()
        .map(|hit| {
            let mut line = Doc::new();
            let who = match hit.place {
                HitPlace::Notes => "notes",
                HitPlace::Utterance(_) => hit.speaker.as_deref().unwrap_or("somebody"),
            };
            line.say(&format!("{} · ", zone.day_and_clock(hit.at))).bold(who).say(": ").say(&hit.snippet);
            if let Some(event) = &hit.event {
                line.say(" ").link("↗", &permalink(room, &EventRef::Event(event.clone()), via));
            }
            line
        })
        .collect();
    doc.list(&items);
    notice(&doc)
}

/// A call as `!notes list` shows it.
#[derive(Debug, Clone)]
pub struct CallLine {
    /// When it began.
    pub started: UnixMillis,
    /// How long it took; `None` while it goes on.
    pub length: Option<Duration>,
    /// The notes' title.
    pub title: Option<String>,
    /// Who was in it.
    pub parties: Vec<String>,
    /// Its card.
    pub card: Option<EventRef>,
    /// Its notes.
    pub notes: Option<EventRef>,
}

/// The latest calls of a room, with links.
#[must_use]
pub fn list(calls: &[CallLine], room: &RoomId, via: &[String], zone: &Zone) -> Value {
    let mut doc = Doc::new();
    if calls.is_empty() {
        doc.say("There was no call in this room yet.");
        return notice(&doc);
    }
    doc.bold("Calls").say(", newest first:");
    let items: Vec<Doc> = calls
        .iter()
        .map(|call| {
            let mut line = Doc::new();
            line.say(&zone.day_and_clock(call.started));
            line.say(&call.length.map_or_else(|| " · going on".to_owned(), |l| format!(" · {}", duration(l))));
            if let Some(title) = call.title.as_deref().filter(|t| !t.trim().is_empty()) {
                line.say(" · ").bold(title);
            }
            if !call.parties.is_empty() {
                line.say(" · ").say(&call.parties.join(", "));
            }
            for (name, event) in [("call ↗", &call.card), ("notes ↗", &call.notes)] {
                if let Some(event) = event {
                    line.say(" · ").link(name, &permalink(room, event, via));
                }
            }
            line
        })
        .collect();
    doc.list(&items);
    notice(&doc)
}

/// The numbers that ring a room: shown whole, to that room only.
#[must_use]
pub fn numbers(numbers: &[E164]) -> Value {
    let mut doc = Doc::new();
    if numbers.is_empty() {
        doc.say("No number rings this room. An admin can link one: ").code("!call link +15550100").say(".");
    } else {
        doc.say(if numbers.len() == 1 { "This number rings this room: " } else { "These numbers ring this room: " });
        doc.say(&numbers.iter().map(E164::reveal).collect::<Vec<_>>().join(", ")).say(".");
    }
    notice(&doc)
}

/// A room's policy in words.
#[derive(Debug, Clone)]
pub struct PolicyView<'a> {
    /// Whether notes are written.
    pub notes: bool,
    /// Who recognises speech, such as `whisper base.en`.
    pub recogniser: &'a str,
    /// Who writes the notes, such as `extractive`.
    pub writer: &'a str,
    /// Who set it, as people read it; `None`: nobody yet.
    pub set_by: Option<&'a str>,
}

/// `!notes policy`.
#[must_use]
pub fn policy(view: &PolicyView<'_>) -> Value {
    let mut doc = Doc::new();
    doc.bold(if view.notes { "Notes are on in this room." } else { "Notes are off in this room." });
    if let Some(who) = view.set_by {
        doc.say(&format!(" Set by {who}."));
    }
    doc.line();
    if view.notes {
        terms(&mut doc, view);
    } else {
        doc.say("Roomtone takes no part in calls here beyond carrying phones into them, and hears nothing. An admin of the room can turn notes on: ");
        doc.code("!notes on").say(".");
    }
    notice(&doc)
}

fn terms(doc: &mut Doc, view: &PolicyView<'_>) {
    doc.say("In a call I am there for all to see. Only who agrees is heard: React ✅ on the call's card, ");
    doc.code("!notes agree").say(", or 1 on the phone. ");
    doc.say(&format!(
        "Speech is recognised by {} and the notes are written by {}, both on this server; nothing goes elsewhere. ",
        view.recogniser, view.writer
    ));
    doc.say("Sound is not kept. Captions and notes stand in the call's thread, and encrypted in my archive until they are deleted: ");
    doc.code("!notes forget me").say(".");
}

/// The announcement after the policy changed: what, by whom, what it means.
#[must_use]
pub fn policy_changed(view: &PolicyView<'_>) -> Value {
    let mut doc = Doc::new();
    let who = view.set_by.unwrap_or("An admin");
    doc.bold(&format!("{who} turned notes {}.", if view.notes { "on" } else { "off" })).say(" ");
    if view.notes {
        terms(&mut doc, view);
    } else {
        doc.say(
            "I leave calls of this room and hear nobody from now on. What was written before stays in its threads.",
        );
    }
    notice(&doc)
}

/// `!notes status`: the call in hand, or none.
#[must_use]
pub fn status(notes: bool, call: Option<(&[String], &[String])>) -> Value {
    let mut doc = Doc::new();
    let Some((heard, unheard)) = call else {
        doc.say(if notes { "Notes are on. " } else { "Notes are off. " }).say("There is no call now.");
        return notice(&doc);
    };
    let list = |names: &[String]| if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
    if notes {
        doc.say(&format!("Notes are on. Heard: {}. Not heard: {}.", list(heard), list(unheard)));
    } else {
        doc.say("Notes are off: nobody in the call is heard.");
    }
    notice(&doc)
}

//! Answers to commands, and announcements.

use std::time::Duration;

use bridge::ids::E164;
use bridge::time::UnixMillis;
use matrix_sdk::ruma::RoomId;
use serde_json::Value;

use super::card::and;
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
    /// Unfinished words are shown.
    pub live: bool,
    /// The language that is set, as a code; `None`: none is.
    pub language: Option<&'a str>,
    /// Terms in the glossary.
    pub terms: usize,
    /// Lines of which something is set (language, several people), in words.
    pub lines: &'a [String],
    /// Who recognises speech, such as `whisper base.en`.
    pub recogniser: &'a str,
    /// Who writes the notes, such as `extractive`.
    pub writer: &'a str,
    /// Other machines that see what is said.
    pub seen_by: &'a [&'a str],
    /// Notes wait until somebody sets the policy again, because words would go elsewhere than when it was set.
    pub asked_again: bool,
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
    if view.asked_again {
        doc.say(&more(view)).code("!notes on").say(".");
    } else if view.notes {
        terms(&mut doc, view);
    } else {
        doc.say("Roomtone takes no part in calls here beyond carrying phones into them, and hears nothing. An admin of the room can turn notes on: ");
        doc.code("!notes on").say(".");
    }
    settings(&mut doc, view);
    notice(&doc)
}

fn terms(doc: &mut Doc, view: &PolicyView<'_>) {
    doc.say("In a call I am there for all to see. Only who agrees is heard: React ✅ on the call's card, ");
    doc.code("!notes agree").say(", or 1 on the phone. ");
    let written = format!("Speech is recognised by {} and the notes are written by {}", view.recogniser, view.writer);
    doc.say(&match view.seen_by {
        [] => format!("{written}, both on this server; nothing goes elsewhere. "),
        hosts => format!("{written}. What is heard is also seen by {}. ", and(hosts)),
    });
    doc.say("Sound is not kept. Captions and notes stand in the call's thread, and encrypted in my archive until they are deleted: ");
    doc.code("!notes stop").say(" for this call, ").code("!notes forget me").say(" for all.");
}

fn settings(doc: &mut Doc, view: &PolicyView<'_>) {
    let mut set = Vec::new();
    if view.live {
        set.push("Captions come while people still speak.".to_owned());
    }
    if let Some(language) = view.language {
        set.push(spoken(language));
    }
    set.extend(view.lines.iter().cloned());
    match view.terms {
        0 => {}
        1 => set.push("I know one term of yours: !notes words.".to_owned()),
        n => set.push(format!("I know {n} terms of yours: !notes words.")),
    }
    if !set.is_empty() {
        doc.line().say(&set.join(" "));
    }
}

fn spoken(code: &str) -> String {
    if code == "auto" {
        "The language is found out while people speak.".to_owned()
    } else {
        format!("The language spoken here is {code}.")
    }
}

fn more(view: &PolicyView<'_>) -> String {
    format!(
        "When notes were turned on in this room, words did not go where they would go now: to {}. So I hear nobody until somebody \
         who may change the room's settings says ",
        and(view.seen_by)
    )
}

/// Says in a room that notes wait, because words would now go where they did not when its policy was set.
#[must_use]
pub fn asked_again(view: &PolicyView<'_>) -> Value {
    let mut doc = Doc::new();
    doc.bold("Notes wait.").say(" ").say(&more(view)).code("!notes on").say(".");
    notice(&doc)
}

/// The announcement after the policy changed: what, by whom, what it means. `switched`: notes were turned on or off; the
/// others: what was set anew.
#[must_use]
pub fn policy_changed(view: &PolicyView<'_>, switched: bool, live: Option<bool>, language: Option<&str>) -> Value {
    let mut doc = Doc::new();
    let who = view.set_by.unwrap_or("An admin");
    if switched {
        doc.bold(&format!("{who} turned notes {}.", if view.notes { "on" } else { "off" })).say(" ");
        if view.notes {
            terms(&mut doc, view);
        } else {
            doc.say(
                "I leave calls of this room and hear nobody from now on. What was written before stays in its threads.",
            );
        }
    }
    let mut changes = Vec::new();
    if let Some(live) = live {
        changes.push(if live {
            "Captions come while people still speak, and may change until a sentence is finished.".to_owned()
        } else {
            "Captions come once a sentence is finished.".to_owned()
        });
    }
    changes.extend(language.map(spoken));
    if !changes.is_empty() {
        if switched {
            doc.line();
        } else {
            doc.bold(&format!("{who} changed this room's settings.")).say(" ");
        }
        doc.say(&changes.join(" "));
    }
    notice(&doc)
}

/// A setting that is no part of the policy: who changed it, and what it is now.
#[must_use]
pub fn set(who: &str, what: &str) -> Value {
    let mut doc = Doc::new();
    doc.bold(who).say(" ").say(what);
    notice(&doc)
}

/// `!notes words`.
#[must_use]
pub fn words(terms: &[String]) -> Value {
    let mut doc = Doc::new();
    if terms.is_empty() {
        doc.say("I know no names or terms of this room yet. ").code("!notes words add Kubernetes, Grace Hopper");
    } else {
        doc.say("Names and terms that I know: ").say(&terms.join(", ")).say(".");
    }
    notice(&doc)
}

/// What taking words back did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakenBack {
    /// Utterances deleted.
    pub utterances: usize,
    /// In so many calls.
    pub calls: usize,
}

/// The end of an answer about words taken back.
#[must_use]
pub fn taken_back_words(taken: TakenBack) -> String {
    let utterances =
        if taken.utterances == 1 { "1 utterance".to_owned() } else { format!("{} utterances", taken.utterances) };
    let calls = if taken.calls == 1 { "1 call".to_owned() } else { format!("{} calls", taken.calls) };
    format!(
        "Deleted: {utterances} of yours in {calls}. Their captions are redacted and the notes made again without them. What \
         others have copied or their clients have kept I cannot take back."
    )
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

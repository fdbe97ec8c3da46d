//! The notes message after a call.

use std::time::Duration;

use bridge::time::UnixMillis;
use jiff::civil::Date;
use matrix_sdk::ruma::{OwnedUserId, RoomId};
use models::notes::{Action, Cited, Due, Notes};
use serde_json::{Value, json};

use super::{Doc, Zone, duration, permalink, text};
use crate::journal::EventRef;

/// An item has no more links than this.
const MOST_LINKS: usize = 3;

/// A party as the notes name it.
#[derive(Debug, Clone)]
pub struct NotesParty<'a> {
    /// Its name.
    pub name: &'a str,
    /// On a phone.
    pub phone: bool,
    /// Whether it had agreed to be heard at any time.
    pub heard: bool,
    /// The Matrix user behind it, to be told of what it is to do. `None` for phones.
    pub user: Option<OwnedUserId>,
}

/// Notes and what stands around them.
pub struct NotesPaper<'a> {
    /// The notes.
    pub notes: &'a Notes,
    /// Who was in the call, in the order of arrival.
    pub parties: &'a [NotesParty<'a>],
    /// When the call began.
    pub started: UnixMillis,
    /// How long it took.
    pub length: Duration,
    /// The room's time zone.
    pub zone: &'a Zone,
    /// A restart of ours cut the call off.
    pub interrupted: bool,
    /// What recognised the speech, such as `whisper base.en`.
    pub recogniser: &'a str,
    /// The room, for links.
    pub room: &'a RoomId,
    /// Servers that know the room, for links.
    pub via: &'a [String],
    /// The caption that shows an utterance.
    pub link: &'a dyn Fn(u64) -> Option<EventRef>,
}

/// The message: HTML and plain text of the same content, sections without content left out. Mentions who is to do something.
#[must_use]
pub fn notes(paper: &NotesPaper<'_>) -> Value {
    let notes = paper.notes;
    let mut doc = Doc::new();
    doc.block(&head(paper));
    if paper.interrupted {
        let mut line = Doc::new();
        line.italic("The call was cut off by a restart of Roomtone. These are the notes of what was heard before.");
        doc.block(&line);
    }
    if !notes.summary.is_empty() {
        let sentences: Vec<&str> = notes.summary.iter().map(|s| s.text.trim()).collect();
        let mut line = Doc::new();
        line.say(&sentences.join(" "));
        doc.block(&line);
    }
    section(&mut doc, "Decided", notes.decisions.iter().map(|d| item(paper, d)));
    section(&mut doc, "To do", notes.actions.iter().map(|a| action(paper, a)));
    section(&mut doc, "Open", notes.questions.iter().map(|q| item(paper, q)));
    section(
        &mut doc,
        "Next call",
        notes.next_meeting.iter().map(|next| {
            let mut line = Doc::new();
            line.say(&when(paper, &next.when));
            links(paper, &mut line, &next.cites);
            line
        }),
    );
    doc.block(&foot(paper));
    let mut content = text(&doc);
    let owners = owners(paper);
    if !owners.is_empty() {
        content["m.mentions"] = json!({ "user_ids": owners });
    }
    content
}

fn head(paper: &NotesPaper<'_>) -> Doc {
    let title = paper.notes.title.trim();
    let names: Vec<String> = paper
        .parties
        .iter()
        .map(|p| match (p.phone, p.heard) {
            (true, true) => format!("{} (phone)", p.name),
            (true, false) => format!("{} (phone, not heard)", p.name),
            (false, true) => p.name.to_owned(),
            (false, false) => format!("{} (not heard)", p.name),
        })
        .collect();
    let mut line = Doc::new();
    line.bold(if title.is_empty() { "Notes" } else { title }).say(" · ").say(&duration(paper.length));
    if !names.is_empty() {
        line.say(" · ").say(&names.join(", "));
    }
    line
}

fn foot(paper: &NotesPaper<'_>) -> Doc {
    let mut line = Doc::new();
    line.italic(&format!("Written by: {}, {}; on this server only.", paper.notes.written_by, paper.recogniser));
    line.say(" ").code("!notes forget me").say(" · ").code("!notes help");
    line
}

fn section(doc: &mut Doc, title: &str, items: impl Iterator<Item = Doc>) {
    let items: Vec<Doc> = items.collect();
    if items.is_empty() {
        return;
    }
    let mut head = Doc::new();
    head.bold(title);
    doc.block(&head).list(&items);
}

fn item(paper: &NotesPaper<'_>, cited: &Cited) -> Doc {
    let mut line = Doc::new();
    line.say(&cited.text);
    links(paper, &mut line, &cited.cites);
    line
}

fn action(paper: &NotesPaper<'_>, action: &Action) -> Doc {
    let mut line = Doc::new();
    line.say(&format!("☐ {}: {}", action.owner.as_deref().unwrap_or("(no owner)"), action.text.trim()));
    if let Some(due) = &action.due {
        line.say(&format!(", by {}", when(paper, due)));
    }
    links(paper, &mut line, &action.cites);
    line
}

/// What was said stands beside what it was resolved to.
fn when(paper: &NotesPaper<'_>, due: &Due) -> String {
    let time = due.time.map(|t| t.strftime(", %H:%M").to_string()).unwrap_or_default();
    format!("{}{time} (\"{}\")", day(due.date, paper.zone.at(paper.started).date()), due.said.trim())
}

/// `Thursday 26 November`, with the year where it is not the call's.
fn day(date: Date, call: Date) -> String {
    let form = if date.year() == call.year() { "%A %-d %B" } else { "%A %-d %B %Y" };
    date.strftime(form).to_string()
}

fn links(paper: &NotesPaper<'_>, line: &mut Doc, cites: &[u64]) {
    let mut events: Vec<EventRef> = Vec::new();
    for event in cites.iter().filter_map(|id| (paper.link)(*id)) {
        if events.len() < MOST_LINKS && !events.contains(&event) {
            events.push(event);
        }
    }
    for event in &events {
        line.say(" ").link("↗", &permalink(paper.room, event, paper.via));
    }
}

fn owners(paper: &NotesPaper<'_>) -> Vec<OwnedUserId> {
    let mut out = Vec::new();
    for owner in paper.notes.actions.iter().filter_map(|a| a.owner.as_deref()) {
        let mut named = paper.parties.iter().filter(|p| p.name == owner);
        // Two of one name: nobody is called upon by mistake.
        if let (Some(party), None) = (named.next(), named.next())
            && let Some(user) = &party.user
            && !out.contains(user)
        {
            out.push(user.clone());
        }
    }
    out
}

/// Every word of the notes, for the search.
#[must_use]
pub fn words_of_notes(notes: &Notes) -> String {
    let mut parts: Vec<&str> = vec![&notes.title];
    for cited in notes.summary.iter().chain(&notes.decisions).chain(&notes.questions) {
        parts.push(&cited.text);
    }
    for action in &notes.actions {
        parts.extend(action.owner.as_deref());
        parts.push(&action.text);
        parts.extend(action.due.as_ref().map(|d| d.said.as_str()));
    }
    parts.extend(notes.next_meeting.as_ref().map(|n| n.when.said.as_str()));
    parts.extend(notes.keywords.iter().map(String::as_str));
    parts.retain(|p| !p.trim().is_empty());
    parts.join("\n")
}

//! The notes message after a call.

use std::time::Duration;

use bridge::time::UnixMillis;
use jiff::civil::Date;
use matrix_sdk::ruma::{OwnedUserId, RoomId};
use models::notes::{Action, Cited, Due, ItemId, Notes};
use serde_json::{Value, json};

use super::card::and;
use super::{Doc, Zone, duration, permalink, text};
use crate::archive::TodoState;
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
    /// How long it took; `None`: it goes on.
    pub length: Option<Duration>,
    /// The room's time zone.
    pub zone: &'a Zone,
    /// A restart of ours cut the call off.
    pub interrupted: bool,
    /// What recognised the speech, such as `whisper base.en`.
    pub recogniser: &'a str,
    /// Other machines that saw the words.
    pub seen_by: &'a [&'a str],
    /// What the call cost, in words.
    pub cost: Option<&'a str>,
    /// The room, for links.
    pub room: &'a RoomId,
    /// Servers that know the room, for links.
    pub via: &'a [String],
    /// The caption that shows an utterance.
    pub link: &'a dyn Fn(u64) -> Option<EventRef>,
    /// Where the to-do of an item stands.
    pub state: &'a dyn Fn(u32) -> Option<TodoState>,
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
        "Due",
        notes.deadlines.iter().map(|d| {
            let mut line = Doc::new();
            line.say(&format!("{}{}, {}", number(d.id), d.text.trim(), when(paper, &d.due)));
            links(paper, &mut line, &d.cites);
            line
        }),
    );
    section(
        &mut doc,
        "Next call",
        notes.next_meeting.iter().map(|next| {
            let mut line = Doc::new();
            line.say(&format!("{}{}", number(next.id), when(paper, &next.when)));
            links(paper, &mut line, &next.cites);
            line
        }),
    );
    if !notes.names.is_empty() {
        doc.block(&named(paper));
    }
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
    line.bold(if title.is_empty() { "Notes" } else { title }).say(" · ");
    line.say(&paper.length.map_or_else(|| "so far".to_owned(), duration));
    if !names.is_empty() {
        line.say(" · ").say(&names.join(", "));
    }
    line
}

fn foot(paper: &NotesPaper<'_>) -> Doc {
    let mut line = Doc::new();
    let place = match paper.seen_by {
        [] => "on this server only".to_owned(),
        hosts => format!("words seen by {}", and(hosts)),
    };
    line.italic(&format!("Written by: {}, {}; {place}.", paper.notes.written_by, paper.recogniser)).say(" ");
    if let Some(cost) = paper.cost {
        line.italic(&format!("The call cost {cost}.")).say(" ");
    }
    let fixable = paper.notes.actions.iter().map(|a| a.id).chain(paper.notes.decisions.iter().map(|d| d.id));
    if let Some(id) = fixable.into_iter().find(|id| id.0 > 0) {
        line.code(&format!("!notes fix {} …", id.0)).say(" · ");
    }
    if !paper.notes.actions.is_empty() && paper.length.is_some() {
        line.code("!notes todo").say(" · ");
    }
    line.code("!notes forget me").say(" · ").code("!notes help");
    line
}

/// What people type to mend a line.
fn number(id: ItemId) -> String {
    if id.0 == 0 { String::new() } else { format!("{}. ", id.0) }
}

/// Who and what was named, each once, with the place.
fn named(paper: &NotesPaper<'_>) -> Doc {
    let mut line = Doc::new();
    line.bold("Named").say(" ");
    for (n, name) in paper.notes.names.iter().enumerate() {
        line.say(if n == 0 { "" } else { ", " }).say(&name.text);
        links(paper, &mut line, &name.cites[..name.cites.len().min(1)]);
    }
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
    line.say(&format!("{}{}", number(cited.id), cited.text.trim()));
    links(paper, &mut line, &cited.cites);
    line
}

fn action(paper: &NotesPaper<'_>, action: &Action) -> Doc {
    let mut line = Doc::new();
    let mark = match (paper.state)(action.id.0) {
        Some(TodoState::Done) => "☑",
        Some(TodoState::Dropped) => "☒ dropped:",
        _ => "☐",
    };
    let owner = action.owner.as_deref().unwrap_or("(no owner)");
    line.say(&format!("{mark} {}{owner}: {}", number(action.id), action.text.trim()));
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

/// A day as people read it, seen from another.
#[must_use]
pub fn day_seen_from(date: Date, today: Date) -> String {
    day(date, today)
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
    for deadline in &notes.deadlines {
        parts.extend([deadline.text.as_str(), deadline.due.said.as_str()]);
    }
    parts.extend(notes.names.iter().map(|n| n.text.as_str()));
    parts.extend(notes.next_meeting.as_ref().map(|n| n.when.said.as_str()));
    parts.extend(notes.keywords.iter().map(String::as_str));
    parts.retain(|p| !p.trim().is_empty());
    parts.join("\n")
}

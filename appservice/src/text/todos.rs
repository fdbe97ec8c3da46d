//! The to-do list, and reminders of it.

use jiff::civil::Date;
use matrix_sdk::ruma::{OwnedUserId, RoomId};
use serde_json::{Value, json};

use super::{Doc, day_seen_from, notice, permalink, text};
use crate::archive::{Todo, TodoState};
use crate::commands::TodoFilter;
use crate::journal::EventRef;

/// A to-do as a list shows it.
#[derive(Debug)]
pub struct TodoLine<'a> {
    /// It.
    pub todo: &'a Todo,
    /// What it rests on.
    pub link: Option<EventRef>,
    /// Who turned it, as people read it, and when (`Friday 20 November, 14:08`).
    pub turned: Option<(String, String)>,
}

/// `!notes todo`: one line each, with the number to tick it by.
#[must_use]
pub fn todos(lines: &[TodoLine<'_>], filter: TodoFilter, today: Date, room: &RoomId, via: &[String]) -> Value {
    let mut doc = Doc::new();
    if lines.is_empty() {
        doc.say(match filter {
            TodoFilter::Open => "Nothing is to be done.",
            TodoFilter::All => "There was nothing to be done in this room yet.",
            TodoFilter::Mine => "Nothing is to be done by you.",
        });
        return notice(&doc);
    }
    doc.bold("To do");
    let items: Vec<Doc> = lines.iter().map(|line| item(line, today, room, via)).collect();
    doc.list(&items);
    let mut foot = Doc::new();
    foot.code("!notes done N").say(" ticks");
    if lines.iter().filter(|l| l.todo.state == TodoState::Open).count() == 1 {
        foot.say(", and so does ✅ on this message");
    } else if lines.len() <= KEYCAPS.len() {
        foot.say(", and so does a reaction with the place in this list (1️⃣, 2️⃣, …)");
    }
    foot.say(". ").code("!notes reopen N").say(", ").code("!notes drop N").say(".");
    doc.block(&foot);
    notice(&doc)
}

/// Reactions that count, by place in a list.
const KEYCAPS: [&str; 9] = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// Which of `shown` a reaction means: a keycap or digit by place, ✅ or ☑ where there is one `open` alone.
#[must_use]
pub fn ticked(key: &str, shown: &[u32], open: &[u32]) -> Option<u32> {
    let plain: String = key.chars().filter(|c| !matches!(c, '\u{fe0f}' | '\u{20e3}')).collect();
    if let Some(place) = KEYCAPS.iter().position(|k| *k == plain) {
        return shown.get(place).copied();
    }
    let mut one = shown.iter().filter(|n| open.contains(n));
    match (plain.as_str(), one.next(), one.next()) {
        ("✅" | "☑" | "✔", Some(number), None) => Some(*number),
        _ => None,
    }
}

fn item(line: &TodoLine<'_>, today: Date, room: &RoomId, via: &[String]) -> Doc {
    let (todo, mut out) = (line.todo, Doc::new());
    let mark = match todo.state {
        TodoState::Open => "☐",
        TodoState::Done => "☑",
        TodoState::Dropped => "☒",
    };
    out.say(&format!("{mark} #{} {}", todo.number, what(todo, today)));
    let did = match todo.state {
        TodoState::Open => "opened again",
        TodoState::Done => "done",
        TodoState::Dropped => "dropped",
    };
    if let Some((who, when)) = &line.turned {
        out.say(&format!(" · {did} by {who}, {when}"));
    }
    if let Some(event) = &line.link {
        out.say(" ").link("↗", &permalink(room, event, via));
    }
    out
}

/// `Ada: mock-ups, by Thursday 26 November ("Thursday")`.
fn what(todo: &Todo, today: Date) -> String {
    let body = &todo.body;
    let mut out = format!("{}: {}", body.owner.as_deref().unwrap_or("(no owner)"), body.text.trim());
    if let Some((day, said)) = &body.due {
        let day = day.parse().map_or_else(|_| day.clone(), |day: Date| day_seen_from(day, today));
        out.push_str(&format!(", by {day} (\"{}\")", said.trim()));
    }
    out
}

/// Reminds the owner of a to-do on the day when it is due. Mentions the owner, nobody else.
#[must_use]
pub fn reminder(todo: &Todo, today: Date, owner: Option<&OwnedUserId>, link: Option<&str>) -> Value {
    let mut doc = Doc::new();
    doc.bold("Due today").say(&format!(": #{} {}", todo.number, what(todo, today)));
    if let Some(link) = link {
        doc.say(" ").link("↗", link);
    }
    doc.say(". ✅ on this message or ").code(&format!("!notes done {}", todo.number)).say(" ticks it.");
    // Clients hide notices' mentions where notices are muted: whoever is to do something is told as by a person.
    let mut content = if owner.is_some() { text(&doc) } else { notice(&doc) };
    if let Some(owner) = owner {
        content["m.mentions"] = json!({ "user_ids": [owner] });
    }
    content
}

#[cfg(test)]
mod tests {
    use matrix_sdk::ruma::{owned_event_id, owned_user_id, room_id};

    use super::*;
    use crate::archive::{CallId, TodoBody};

    fn todo(number: u32, state: TodoState) -> Todo {
        let body = TodoBody {
            text: "send the mock-ups".into(),
            owner: Some("Ada".into()),
            owner_user: Some("@ada:hs".into()),
            due: Some(("2026-11-26".into(), "Thursday".into())),
            cites: Vec::new(),
            turned: None,
        };
        Todo { number, call: CallId::from_bytes([1; 16]), item: 1, state, body }
    }

    fn today() -> Date {
        "2026-11-20".parse().unwrap()
    }

    #[test]
    fn a_list_to_the_letter() {
        let (open, done) = (todo(3, TodoState::Open), todo(4, TodoState::Done));
        let lines = [
            TodoLine { todo: &open, link: Some(EventRef::Event(owned_event_id!("$one"))), turned: None },
            TodoLine { todo: &done, link: None, turned: Some(("Bob".into(), "Friday 20 November, 14:08".into())) },
        ];
        let content = todos(&lines, TodoFilter::All, today(), room_id!("!room:hs"), &[]);
        assert_eq!(
            content["body"],
            "To do\n\
             - ☐ #3 Ada: send the mock-ups, by Thursday 26 November (\"Thursday\") ↗ https://matrix.to/#/!room:hs/$one\n\
             - ☑ #4 Ada: send the mock-ups, by Thursday 26 November (\"Thursday\") · done by Bob, Friday 20 November, 14:08\n\
             !notes done N ticks, and so does ✅ on this message. !notes reopen N, !notes drop N."
        );
        assert_eq!(content["m.mentions"], json!({}));
        let none = todos(&[], TodoFilter::Mine, today(), room_id!("!room:hs"), &[]);
        assert_eq!(none["body"], "Nothing is to be done by you.");
    }

    #[test]
    fn a_reaction_means_one_to_do_or_none() {
        assert_eq!(ticked("✅", &[3, 4], &[4]), Some(4));
        assert_eq!(ticked("☑️", &[3], &[3]), Some(3));
        assert_eq!(ticked("✅", &[3, 4], &[3, 4]), None, "which of them?");
        assert_eq!(ticked("✅", &[3], &[]), None);
        assert_eq!(ticked("2️⃣", &[7, 9], &[7, 9]), Some(9));
        assert_eq!(ticked("3️⃣", &[7, 9], &[7, 9]), None);
        assert_eq!(ticked("👍", &[3], &[3]), None);
    }

    #[test]
    fn a_reminder_mentions_its_owner_alone() {
        let owner = owned_user_id!("@ada:hs");
        let content = reminder(&todo(3, TodoState::Open), "2026-11-26".parse().unwrap(), Some(&owner), None);
        assert_eq!(
            content["body"],
            "Due today: #3 Ada: send the mock-ups, by Thursday 26 November (\"Thursday\"). ✅ on this message or !notes done 3 ticks it."
        );
        assert_eq!(content["m.mentions"], json!({ "user_ids": ["@ada:hs"] }));
        let nobody = reminder(&todo(3, TodoState::Open), today(), None, None);
        assert_eq!((nobody["msgtype"].as_str(), &nobody["m.mentions"]), (Some("m.notice"), &json!({})));
    }
}

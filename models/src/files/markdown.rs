//! A transcript for people: notes first, then turns.

use std::fmt::Write as _;

use super::{Line, Transcription};
use crate::notes::{Cited, Due, NameKind, Notes};

/// Lines of one speaker with a shorter pause between them are one turn, in ms.
const SAME_TURN: i64 = 5_000;

pub(super) fn write(transcription: &Transcription) -> String {
    let mut out = String::new();
    let title = transcription.notes.as_ref().map(|n| n.title.as_str()).filter(|t| !t.is_empty());
    let _ = writeln!(out, "# {}\n", escaped(title.unwrap_or("Transcript")));
    for warning in &transcription.warnings {
        let _ = writeln!(out, "> {}\n", escaped(warning));
    }
    if let Some(notes) = &transcription.notes {
        write_notes(&mut out, notes, transcription);
        out.push_str("## Transcript\n\n");
    }
    if transcription.utterances.is_empty() {
        out.push_str("Nothing was said.\n");
    }
    let mut before: Option<&Line> = None;
    for line in &transcription.utterances {
        let goes_on = before.is_some_and(|b| b.speaker == line.speaker && line.start_ms - b.end_ms < SAME_TURN);
        if goes_on {
            let _ = write!(out, " {}", escaped(&line.text));
        } else {
            let gap = if before.is_some() { "\n\n" } else { "" };
            let (name, at, text) = (escaped(&line.speaker), clock(line.start_ms), escaped(&line.text));
            let _ = write!(out, "{gap}**{name}** ({at}): {text}");
        }
        before = Some(line);
    }
    if before.is_some() {
        out.push('\n');
    }
    if !transcription.recogniser.is_empty() {
        let _ = write!(out, "\n*Recognised by {}*\n", escaped(&transcription.recogniser));
    }
    out
}

fn write_notes(out: &mut String, notes: &Notes, transcription: &Transcription) {
    let at = |cites: &[u64]| times(cites, transcription);
    for cited in &notes.summary {
        let _ = write!(out, "{}{} ", escaped(&cited.text), at(&cited.cites));
    }
    if !notes.summary.is_empty() {
        out.push_str("\n\n");
    }
    list(out, "Decisions", notes.decisions.iter().map(|c| cited(c, transcription)));
    list(
        out,
        "Actions",
        notes.actions.iter().map(|action| {
            let owner = action.owner.as_ref().map(|o| format!("**{}**: ", escaped(o))).unwrap_or_default();
            let due = action.due.as_ref().map(|d| format!(", due {}", day(d))).unwrap_or_default();
            format!("[ ] {owner}{}{due}{}", escaped(&action.text), at(&action.cites))
        }),
    );
    let deadline = |d: &crate::notes::Deadline| format!("{}: {}{}", escaped(&d.text), day(&d.due), at(&d.cites));
    list(out, "Deadlines", notes.deadlines.iter().map(deadline));
    list(out, "Open questions", notes.questions.iter().map(|c| cited(c, transcription)));
    list(out, "Next meeting", notes.next_meeting.iter().map(|m| format!("{}{}", day(&m.when), at(&m.cites))));
    list(
        out,
        "Named",
        notes.names.iter().map(|name| {
            let kind = match name.kind {
                NameKind::Person => "person",
                NameKind::Organisation => "organisation",
                NameKind::Product => "product",
                NameKind::Amount => "amount",
            };
            format!("{} ({kind}){}", escaped(&name.text), at(&name.cites))
        }),
    );
    if !notes.keywords.is_empty() {
        let _ = writeln!(out, "Keywords: {}\n", escaped(&notes.keywords.join(", ")));
    }
    if !notes.written_by.is_empty() {
        let _ = writeln!(out, "*Notes written by {}*\n", escaped(&notes.written_by));
    }
}

fn list(out: &mut String, title: &str, items: impl Iterator<Item = String>) {
    let mut items = items.peekable();
    if items.peek().is_none() {
        return;
    }
    let _ = writeln!(out, "## {title}\n");
    for item in items {
        let _ = writeln!(out, "- {item}");
    }
    out.push('\n');
}

fn cited(item: &Cited, transcription: &Transcription) -> String {
    format!("{}{}", escaped(&item.text), times(&item.cites, transcription))
}

/// When what is cited was said: " (0:12, 3:40)".
fn times(cites: &[u64], transcription: &Transcription) -> String {
    let found = cites.iter().filter_map(|id| transcription.utterances.iter().find(|line| line.id == *id));
    let times: Vec<_> = found.map(|line| clock(line.start_ms)).collect();
    if times.is_empty() { String::new() } else { format!(" ({})", times.join(", ")) }
}

fn day(due: &Due) -> String {
    let time = due.time.map(|t| format!(" {:02}:{:02}", t.hour(), t.minute())).unwrap_or_default();
    format!("{}{time} (“{}”)", due.date, escaped(&due.said))
}

/// Minutes and seconds, with hours where there are some.
pub(super) fn clock(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    match seconds / 3600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}

/// Spoken words are no markup.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' | '~' => out.extend(['\\', c]),
            '\n' | '\r' => out.push(' '),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::{line, transcription};
    use super::*;
    use crate::notes::Action;

    #[test]
    fn turns_are_joined_and_said_words_are_no_markup() {
        let t = transcription(vec![
            line("Ada", 0, 400, "See the *plan* <b>."),
            line("Ada", 3_000, 400, "It is good."),
            line("Bob", 70_000, 400, "# Yes."),
        ]);
        let expected = "# Transcript\n\n**Ada** (0:00): See the \\*plan\\* \\<b\\>. It is good.\n\n**Bob** (1:10): \\# Yes.\n\n*Recognised by test*\n";
        assert_eq!(t.to_markdown(), expected);
    }

    #[test]
    fn notes_tell_when_it_was_said() {
        let mut t = transcription(vec![line("Ada", 65_000, 400, "I will send it by Friday.")]);
        let due = Due { said: "Friday".to_owned(), date: jiff::civil::date(2026, 11, 27), time: None };
        let action = Action {
            id: Default::default(),
            text: "send it".to_owned(),
            owner: Some("Ada".to_owned()),
            due: Some(due),
            cites: vec![1],
        };
        t.notes = Some(Notes { title: "Plans".to_owned(), actions: vec![action], ..Notes::default() });
        let text = t.to_markdown();
        assert!(text.starts_with("# Plans\n"), "{text}");
        assert!(text.contains("- [ ] **Ada**: send it, due 2026-11-27 (“Friday”) (1:05)\n"), "{text}");
    }
}

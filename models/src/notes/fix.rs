//! What people mend in notes (`!notes fix 2 owner Bob`), so that it stays mended when the notes are made again.
//!
//! The caller keeps the [`Fix`]es of a call, oldest first, and applies them ([`apply`]) each time after the notes were made.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Due, ItemId, ItemKind, Mended, Notes};

/// One change that somebody made to one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fix {
    /// Which item.
    pub item: ItemId,
    /// What is to be otherwise.
    pub change: Change,
}

/// What is changed of an item. `Debug` shows no text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Whose it is; `None`: nobody's. Actions only.
    Owner(Option<String>),
    /// Until when; `None`: no date. Actions, deadlines and the next meeting; the last two cannot be without.
    Due(Option<Due>),
    /// Other words. Not the next meeting.
    Text(String),
    /// The item is wrong and goes.
    Drop,
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Owner(_) => "Owner",
            Self::Due(_) => "Due",
            Self::Text(_) => "Text",
            Self::Drop => "Drop",
        })
    }
}

/// Why a fix changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FixError {
    /// The item is not in the notes (any more).
    #[error("there is no item {}", .0.0)]
    NoSuchItem(ItemId),
    /// A decision has no owner, a meeting no text, and so on.
    #[error("item {} has nothing of that kind to change", .0.0)]
    NotOfThisKind(ItemId),
}

/// Applies one fix. People know better: no evidence check follows.
///
/// # Errors
/// Where there is no such item, or it has no such part; the notes are then as before.
pub fn apply_one(notes: &mut Notes, fix: &Fix) -> Result<(), FixError> {
    let drawn = drawn(notes, fix.item).ok_or(FixError::NoSuchItem(fix.item))?;
    if change(notes, &drawn, &fix.change).is_none() {
        return Err(FixError::NotOfThisKind(fix.item));
    }
    if !notes.mended.iter().any(|m| m.id == fix.item) {
        notes.mended.push(drawn);
    }
    Ok(())
}

/// Applies all fixes of a call to its freshly made notes, oldest first. Those of items that are not there any more
/// (withdrawn words) do nothing.
pub fn apply(notes: &mut Notes, fixes: &[Fix]) {
    for fix in fixes {
        // An item that is gone needs no mending; a kind never changes under its number.
        let _ = apply_one(notes, fix);
    }
}

/// The item as it stands, with its kind.
fn drawn(notes: &Notes, id: ItemId) -> Option<Mended> {
    let item = |kind, text: &str, cites: &[u64]| Mended { id, kind, text: text.to_owned(), cites: cites.to_vec() };
    if id == ItemId::default() {
        return None;
    }
    None.or_else(|| notes.decisions.iter().find(|i| i.id == id).map(|i| item(ItemKind::Decision, &i.text, &i.cites)))
        .or_else(|| notes.actions.iter().find(|i| i.id == id).map(|i| item(ItemKind::Action, &i.text, &i.cites)))
        .or_else(|| notes.questions.iter().find(|i| i.id == id).map(|i| item(ItemKind::Question, &i.text, &i.cites)))
        .or_else(|| notes.deadlines.iter().find(|i| i.id == id).map(|i| item(ItemKind::Deadline, &i.text, &i.cites)))
        .or_else(|| {
            let next = notes.next_meeting.as_ref().filter(|i| i.id == id);
            next.map(|i| item(ItemKind::NextMeeting, &i.when.said, &i.cites))
        })
}

/// `None` where the item has no such part.
fn change(notes: &mut Notes, item: &Mended, change: &Change) -> Option<()> {
    let id = item.id;
    match (item.kind, change) {
        (ItemKind::Decision, Change::Drop) => notes.decisions.retain(|i| i.id != id),
        (ItemKind::Action, Change::Drop) => notes.actions.retain(|i| i.id != id),
        (ItemKind::Question, Change::Drop) => notes.questions.retain(|i| i.id != id),
        (ItemKind::Deadline, Change::Drop) => notes.deadlines.retain(|i| i.id != id),
        (ItemKind::NextMeeting, Change::Drop) => notes.next_meeting = None,
        (ItemKind::Decision, Change::Text(text)) => {
            text.clone_into(&mut notes.decisions.iter_mut().find(|i| i.id == id)?.text);
        }
        (ItemKind::Question, Change::Text(text)) => {
            text.clone_into(&mut notes.questions.iter_mut().find(|i| i.id == id)?.text);
        }
        (ItemKind::Action, Change::Text(text)) => {
            text.clone_into(&mut notes.actions.iter_mut().find(|i| i.id == id)?.text);
        }
        (ItemKind::Deadline, Change::Text(text)) => {
            text.clone_into(&mut notes.deadlines.iter_mut().find(|i| i.id == id)?.text);
        }
        (ItemKind::Action, Change::Owner(owner)) => {
            owner.clone_into(&mut notes.actions.iter_mut().find(|i| i.id == id)?.owner);
        }
        (ItemKind::Action, Change::Due(due)) => {
            due.clone_into(&mut notes.actions.iter_mut().find(|i| i.id == id)?.due);
        }
        (ItemKind::Deadline, Change::Due(Some(due))) => {
            due.clone_into(&mut notes.deadlines.iter_mut().find(|i| i.id == id)?.due);
        }
        (ItemKind::NextMeeting, Change::Due(Some(due))) => due.clone_into(&mut notes.next_meeting.as_mut()?.when),
        _ => return None,
    }
    Some(())
}

//! Actions of a call as a to-do list: what is open, done or dropped, by whom and when. Plain data and its transitions; the
//! caller stores it and knows the time.

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::{Due, ItemId, Notes};

/// Where a thing to do stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TodoState {
    /// To be done.
    #[default]
    Open,
    /// Done.
    Done,
    /// Not to be done any more.
    Dropped,
}

impl fmt::Display for TodoState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Done => "done",
            Self::Dropped => "dropped",
        })
    }
}

/// Who last changed the state of a thing to do, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// As the caller names people (a Matrix id).
    pub by: String,
    /// Unix time in ms.
    pub at_ms: i64,
}

/// One thing to do. `Debug` shows no text; wiped when dropped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Todo {
    /// The number of its action in the notes.
    pub id: ItemId,
    /// What is to be done.
    pub text: String,
    /// Whose it is, if anybody's.
    pub owner: Option<String>,
    /// Until when, if it was said.
    pub due: Option<Due>,
    /// The utterances that it rests on.
    pub cites: Vec<u64>,
    /// Where it stands.
    #[serde(default)]
    pub state: TodoState,
    /// Who brought it there; `None` while nobody touched it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Changed>,
}

impl fmt::Debug for Todo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Todo").field("id", &self.id).field("state", &self.state).finish_non_exhaustive()
    }
}

impl Drop for Todo {
    fn drop(&mut self) {
        self.text.zeroize();
        self.owner.zeroize();
        if let Some(due) = &mut self.due {
            due.said.zeroize();
        }
    }
}

impl ZeroizeOnDrop for Todo {}

/// Why nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TodoError {
    /// There is no such thing to do (any more).
    #[error("there is nothing to do with the number {}", .0.0)]
    NoSuchItem(ItemId),
    /// It stands there already.
    #[error("item {} is already {state}", .id.0)]
    Already {
        /// Which.
        id: ItemId,
        /// Where it stands.
        state: TodoState,
        /// Who brought it there.
        changed: Option<Changed>,
    },
}

/// The to-do list of one call, in the order of the notes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TodoList {
    /// Everything, whatever its state.
    pub items: Vec<Todo>,
}

impl TodoList {
    /// Takes over the actions of notes, made for the first time or again (after [`super::fix::apply`]): words, owners and
    /// dates as they are there, states as they are here. What is not in the notes any more (withdrawn, dropped there) goes.
    pub fn update(&mut self, notes: &Notes) {
        let mut old = std::mem::take(&mut self.items);
        for action in &notes.actions {
            let known = old.iter_mut().find(|item| item.id == action.id);
            let (state, changed) = known.map(|item| (item.state, item.changed.take())).unwrap_or_default();
            self.items.push(Todo {
                id: action.id,
                text: action.text.clone(),
                owner: action.owner.clone(),
                due: action.due.clone(),
                cites: action.cites.clone(),
                state,
                changed,
            });
        }
    }

    /// Brings an item to another state. `by` and `at_ms` as in [`Changed`].
    ///
    /// # Errors
    /// Where there is no such item or it stands there already; the list is then as before.
    pub fn set(&mut self, id: ItemId, state: TodoState, by: &str, at_ms: i64) -> Result<&Todo, TodoError> {
        let item = self.items.iter_mut().find(|item| item.id == id).ok_or(TodoError::NoSuchItem(id))?;
        if item.state == state {
            return Err(TodoError::Already { id, state, changed: item.changed.clone() });
        }
        item.state = state;
        item.changed = Some(Changed { by: by.to_owned(), at_ms });
        Ok(item)
    }

    /// What is open, the most urgent first; what has no date comes last.
    #[must_use]
    pub fn open(&self) -> Vec<&Todo> {
        let mut open: Vec<&Todo> = self.items.iter().filter(|item| item.state == TodoState::Open).collect();
        open.sort_by_key(|item| {
            let due = item.due.as_ref();
            (due.is_none(), due.map(|due| (due.date, due.time)), item.id)
        });
        open
    }

    /// What is open and due on this day: to be reminded of.
    pub fn due_on(&self, day: Date) -> impl Iterator<Item = &Todo> {
        self.items
            .iter()
            .filter(move |item| item.state == TodoState::Open && item.due.as_ref().is_some_and(|due| due.date == day))
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;
    use crate::notes::Action;

    fn notes(actions: &[(u32, &str, Option<Date>)]) -> Notes {
        let action = |(id, text, day): &(u32, &str, Option<Date>)| Action {
            id: ItemId(*id),
            text: (*text).to_owned(),
            owner: None,
            due: day.map(|date| Due { said: "then".to_owned(), date, time: None }),
            cites: vec![1],
        };
        Notes { actions: actions.iter().map(action).collect(), ..Notes::default() }
    }

    #[test]
    fn states_stay_when_the_notes_are_made_again() {
        let mut list = TodoList::default();
        list.update(&notes(&[(1, "send it", None), (2, "book it", None)]));
        list.set(ItemId(2), TodoState::Done, "@bob:example.org", 5).unwrap();
        list.update(&notes(&[(2, "book the room", None), (3, "call them", None)]));
        let states: Vec<_> = list.items.iter().map(|i| (i.id.0, i.text.as_str(), i.state)).collect();
        assert_eq!(states, [(2, "book the room", TodoState::Done), (3, "call them", TodoState::Open)]);
        assert_eq!(list.items[0].changed, Some(Changed { by: "@bob:example.org".to_owned(), at_ms: 5 }));
        let stored: TodoList = serde_json::from_str(&serde_json::to_string(&list).unwrap()).unwrap();
        assert_eq!(stored, list);
    }

    #[test]
    fn what_stands_there_already_says_who_brought_it_there() {
        let mut list = TodoList::default();
        list.update(&notes(&[(1, "send it", None)]));
        list.set(ItemId(1), TodoState::Done, "ada", 1).unwrap();
        let again = list.set(ItemId(1), TodoState::Done, "bob", 2).unwrap_err();
        assert_eq!(again.to_string(), "item 1 is already done");
        assert!(matches!(again, TodoError::Already { changed: Some(changed), .. } if changed.by == "ada"));
        assert_eq!(list.set(ItemId(9), TodoState::Done, "bob", 2), Err(TodoError::NoSuchItem(ItemId(9))));
        list.set(ItemId(1), TodoState::Open, "bob", 3).unwrap();
        assert_eq!(list.items[0].changed.as_ref().map(|c| c.at_ms), Some(3));
    }

    #[test]
    fn the_most_urgent_comes_first_and_done_is_not_reminded_of() {
        let (monday, friday) = (date(2026, 11, 23), date(2026, 11, 27));
        let mut list = TodoList::default();
        list.update(&notes(&[(1, "a", None), (2, "b", Some(friday)), (3, "c", Some(monday)), (4, "d", Some(monday))]));
        list.set(ItemId(4), TodoState::Done, "ada", 1).unwrap();
        assert_eq!(list.open().iter().map(|i| i.id.0).collect::<Vec<_>>(), [3, 2, 1]);
        assert_eq!(list.due_on(monday).map(|i| i.id.0).collect::<Vec<_>>(), [3]);
    }

    proptest! {
        #[test]
        fn a_state_changes_only_by_being_set(steps in prop::collection::vec((0..6u32, 0..4usize), 0..40)) {
            let mut list = TodoList::default();
            let mut model = std::collections::BTreeMap::new();
            for (id, step) in steps {
                if step == 3 {
                    let there: Vec<(u32, &str, Option<Date>)> = (1..=id).map(|id| (id, "x", None)).collect();
                    list.update(&notes(&there));
                    model.retain(|known, _| *known <= id);
                    (1..=id).for_each(|id| { model.entry(id).or_insert(TodoState::Open); });
                    continue;
                }
                let state = [TodoState::Open, TodoState::Done, TodoState::Dropped][step];
                let changed = list.set(ItemId(id), state, "ada", 0).is_ok();
                prop_assert_eq!(changed, model.get(&id).is_some_and(|old| *old != state));
                model.entry(id).and_modify(|old| *old = state);
            }
            let now: Vec<_> = list.items.iter().map(|i| (i.id.0, i.state)).collect();
            prop_assert_eq!(now, model.into_iter().collect::<Vec<_>>());
        }
    }
}

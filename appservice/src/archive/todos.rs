//! A room's to-do list: the actions of its calls' notes, each with a number in the room that is never given twice.

use std::collections::BTreeSet;

use bridge::time::UnixMillis;
use matrix_sdk::ruma::{EventId, OwnedRoomId, RoomId};
use serde::{Deserialize, Serialize};

use super::read::{id16, open_json};
use super::store::{from_millis, millis};
use super::write::seal_json;
use super::{Archive, ArchiveError, CallId, EffectId, Place, Tx, UtteranceId};

/// Where a to-do stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TodoState {
    /// To be done.
    Open,
    /// Done.
    Done,
    /// Not to be done after all.
    Dropped,
}

impl TodoState {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Done => "done",
            Self::Dropped => "dropped",
        }
    }

    fn read(text: &str) -> Result<Self, ArchiveError> {
        [Self::Open, Self::Done, Self::Dropped]
            .into_iter()
            .find(|s| s.as_str() == text)
            .ok_or_else(|| ArchiveError::malformed("todos", "an unknown state"))
    }
}

/// Who turned a to-do, and when.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turned {
    /// Matrix user.
    pub by: String,
    /// When.
    pub at: UnixMillis,
}

/// What of a to-do is sealed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TodoBody {
    /// What is to be done.
    pub text: String,
    /// Who is to do it, as people read it.
    pub owner: Option<String>,
    /// The Matrix user behind the owner, where it is certain.
    pub owner_user: Option<String>,
    /// Until when, as understood (`2026-11-26`) and as said.
    pub due: Option<(String, String)>,
    /// Utterances that say so.
    pub cites: Vec<UtteranceId>,
    /// Who turned it last.
    pub turned: Option<Turned>,
}

/// One to-do.
#[derive(Clone, PartialEq, Eq)]
pub struct Todo {
    /// Its number in the room.
    pub number: u32,
    /// The call whose notes it stands in.
    pub call: CallId,
    /// Its number there.
    pub item: u32,
    /// Where it stands.
    pub state: TodoState,
    /// The rest.
    pub body: TodoBody,
}

/// A to-do whose owner is to be reminded now.
#[derive(Clone, PartialEq, Eq)]
pub struct Reminder {
    /// The room.
    pub room: OwnedRoomId,
    /// The to-do.
    pub todo: Todo,
    /// For when it was.
    pub at: UnixMillis,
}

impl std::fmt::Debug for Todo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Todo(#{} {:?})", self.number, self.state)
    }
}

impl std::fmt::Debug for Reminder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reminder(#{})", self.todo.number)
    }
}

impl std::fmt::Debug for TodoBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TodoBody")
    }
}

impl std::fmt::Debug for Turned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Turned")
    }
}

fn body_place(call: CallId, item: u32) -> Place {
    Place::new("todos", "body", format_args!("{call}/{item}"))
}

#[derive(sqlx::FromRow)]
struct Row {
    number: u32,
    call_id: Vec<u8>,
    room_id: String,
    room_key: Vec<u8>,
    call_key: Vec<u8>,
    item: u32,
    state: String,
    body: Vec<u8>,
    remind_ms: Option<i64>,
}

impl Tx {
    /// Brings a call's part of its room's list up to date with its notes: `items` are the notes' actions with the time to
    /// remind of each. Numbers and states stay; what is no longer in the notes goes; what is new gets the next number.
    ///
    /// # Errors
    /// [`ArchiveError::NoSuchCall`], or what the database says.
    pub async fn save_todos(
        &mut self,
        call: CallId,
        room: &RoomId,
        items: &[(u32, TodoBody, Option<UnixMillis>)],
    ) -> Result<(), ArchiveError> {
        let keys = self.keys(call).await?;
        let there: Vec<(u32, Vec<u8>)> = sqlx::query_as("SELECT item, body FROM todos WHERE call_id = ?")
            .bind(&call.as_bytes()[..])
            .fetch_all(&mut *self.sql)
            .await?;
        let wanted: BTreeSet<u32> = items.iter().map(|(item, _, _)| *item).collect();
        for (item, _) in there.iter().filter(|(item, _)| !wanted.contains(item)) {
            self.drop_todo(call, *item).await?;
        }
        for (item, body, remind) in items {
            let place = body_place(call, *item);
            let known = there.iter().find(|(there, _)| there == item);
            let Some((_, sealed)) = known else {
                self.new_todo(call, room, *item, seal_json(&keys.rows, &place, body)?, *remind).await?;
                continue;
            };
            let was: TodoBody = open_json(&keys.rows, &place, "todos", sealed)?;
            let moved = was.due != body.due;
            let body = TodoBody { turned: was.turned, ..body.clone() };
            // Another day is reminded of anew.
            sqlx::query(
                "UPDATE todos SET body = ?1, remind_ms = ?2, reminded_ms = CASE WHEN ?3 THEN NULL ELSE reminded_ms END \
                 WHERE call_id = ?4 AND item = ?5",
            )
            .bind(seal_json(&keys.rows, &place, &body)?)
            .bind(remind.map(millis))
            .bind(moved)
            .bind(&call.as_bytes()[..])
            .bind(item)
            .execute(&mut *self.sql)
            .await?;
        }
        Ok(())
    }

    async fn new_todo(
        &mut self,
        call: CallId,
        room: &RoomId,
        item: u32,
        sealed: Vec<u8>,
        remind: Option<UnixMillis>,
    ) -> Result<(), ArchiveError> {
        let (number,): (i64,) =
            sqlx::query_as("UPDATE rooms SET last_todo = last_todo + 1 WHERE room_id = ? RETURNING last_todo")
                .bind(room.as_str())
                .fetch_one(&mut *self.sql)
                .await?;
        sqlx::query(
            "INSERT INTO todos (room_id, number, call_id, item, state, body, remind_ms) VALUES (?, ?, ?, ?, 'open', ?, ?)",
        )
        .bind(room.as_str())
        .bind(number)
        .bind(&call.as_bytes()[..])
        .bind(item)
        .bind(sealed)
        .bind(remind.map(millis))
        .execute(&mut *self.sql)
        .await?;
        Ok(())
    }

    async fn drop_todo(&mut self, call: CallId, item: u32) -> Result<(), ArchiveError> {
        sqlx::query("DELETE FROM todos WHERE call_id = ? AND item = ?")
            .bind(&call.as_bytes()[..])
            .bind(item)
            .execute(&mut *self.sql)
            .await?;
        self.shredded = true;
        Ok(())
    }

    /// Deletes the to-dos that rest on some of these utterances.
    pub(super) async fn drop_todos_of(&mut self, call: CallId, said: &[UtteranceId]) -> Result<(), ArchiveError> {
        let keys = self.keys(call).await?;
        let there: Vec<(u32, Vec<u8>)> = sqlx::query_as("SELECT item, body FROM todos WHERE call_id = ?")
            .bind(&call.as_bytes()[..])
            .fetch_all(&mut *self.sql)
            .await?;
        for (item, sealed) in there {
            let body: TodoBody = open_json(&keys.rows, &body_place(call, item), "todos", &sealed)?;
            if body.cites.iter().any(|cited| said.contains(cited)) {
                self.drop_todo(call, item).await?;
            }
        }
        Ok(())
    }

    /// Turns a to-do. `None`: the room has none of that number. `Some(false)`: it stood so already.
    ///
    /// # Errors
    /// What the database says.
    pub async fn turn_todo(
        &mut self,
        room: &RoomId,
        number: u32,
        state: TodoState,
        turned: Turned,
    ) -> Result<Option<bool>, ArchiveError> {
        let row: Option<(Vec<u8>, u32, String, Vec<u8>)> =
            sqlx::query_as("SELECT call_id, item, state, body FROM todos WHERE room_id = ? AND number = ?")
                .bind(room.as_str())
                .bind(number)
                .fetch_optional(&mut *self.sql)
                .await?;
        let Some((call, item, was, sealed)) = row else { return Ok(None) };
        if TodoState::read(&was)? == state {
            return Ok(Some(false));
        }
        let call = CallId::from_bytes(id16("todos", &call)?);
        let (keys, place) = (self.keys(call).await?, body_place(call, item));
        let body: TodoBody = open_json(&keys.rows, &place, "todos", &sealed)?;
        let body = TodoBody { turned: Some(turned), ..body };
        sqlx::query("UPDATE todos SET state = ?, body = ? WHERE room_id = ? AND number = ?")
            .bind(state.as_str())
            .bind(seal_json(&keys.rows, &place, &body)?)
            .bind(room.as_str())
            .bind(number)
            .execute(&mut *self.sql)
            .await?;
        Ok(Some(true))
    }

    /// Says that the message of this effect shows these to-dos, in this order.
    ///
    /// # Errors
    /// What the database says.
    pub async fn shows_todos(
        &mut self,
        effect: EffectId,
        room: &RoomId,
        numbers: &[u32],
        at: UnixMillis,
    ) -> Result<(), ArchiveError> {
        let numbers = numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
        sqlx::query(
            "INSERT INTO todo_lists (effect_id, room_id, numbers, at_ms) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(&effect.as_bytes()[..])
        .bind(room.as_str())
        .bind(numbers)
        .bind(millis(at))
        .execute(&mut *self.sql)
        .await?;
        Ok(())
    }

    /// Remembers which to-do a reaction ticked.
    ///
    /// # Errors
    /// What the database says.
    pub async fn ticked_by(&mut self, reaction: &EventId, room: &RoomId, number: u32) -> Result<(), ArchiveError> {
        sqlx::query("INSERT INTO todo_ticks (event_id, room_id, number) VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
            .bind(reaction.as_str())
            .bind(room.as_str())
            .bind(number)
            .execute(&mut *self.sql)
            .await?;
        Ok(())
    }

    /// Forgets a reaction, and says what it had ticked.
    ///
    /// # Errors
    /// What the database says.
    pub async fn unticked(&mut self, reaction: &EventId) -> Result<Vec<u32>, ArchiveError> {
        let rows: Vec<(u32,)> = sqlx::query_as("DELETE FROM todo_ticks WHERE event_id = ? RETURNING number")
            .bind(reaction.as_str())
            .fetch_all(&mut *self.sql)
            .await?;
        Ok(rows.into_iter().map(|(n,)| n).collect())
    }

    /// The reminder is recorded: not again for this day.
    ///
    /// # Errors
    /// What the database says.
    pub async fn reminded(&mut self, room: &RoomId, number: u32, at: UnixMillis) -> Result<(), ArchiveError> {
        sqlx::query("UPDATE todos SET reminded_ms = ? WHERE room_id = ? AND number = ?")
            .bind(millis(at))
            .bind(room.as_str())
            .bind(number)
            .execute(&mut *self.sql)
            .await?;
        Ok(())
    }
}

macro_rules! select_todos {
    ($condition:literal) => {
        concat!(
            "SELECT number, todos.call_id, todos.room_id, room_key, call_key, item, todos.state, body, remind_ms FROM todos ",
            "JOIN calls ON calls.call_id = todos.call_id JOIN rooms ON rooms.room_id = todos.room_id ",
            $condition
        )
    };
}

impl Archive {
    /// A room's to-dos by number, those dropped and done too.
    ///
    /// # Errors
    /// What the database says.
    pub async fn todos(&self, room: &RoomId) -> Result<Vec<Todo>, ArchiveError> {
        let rows: Vec<Row> = sqlx::query_as(select_todos!("WHERE todos.room_id = ? ORDER BY number"))
            .bind(room.as_str())
            .fetch_all(&self.inner.reader)
            .await?;
        rows.iter().map(|row| self.todo(row)).collect()
    }

    /// When the next reminder is due.
    ///
    /// # Errors
    /// What the database says.
    pub async fn next_reminder(&self) -> Result<Option<UnixMillis>, ArchiveError> {
        let (at,): (Option<i64>,) = sqlx::query_as(
            "SELECT MIN(remind_ms) FROM todos WHERE state = 'open' AND remind_ms IS NOT NULL AND reminded_ms IS NULL",
        )
        .fetch_one(&self.inner.reader)
        .await?;
        Ok(at.map(from_millis))
    }

    /// The open to-dos whose reminder is due at `now` and not recorded yet.
    ///
    /// # Errors
    /// What the database says.
    pub async fn reminders(&self, now: UnixMillis) -> Result<Vec<Reminder>, ArchiveError> {
        let rows: Vec<Row> = sqlx::query_as(select_todos!(
            "WHERE todos.state = 'open' AND remind_ms IS NOT NULL AND reminded_ms IS NULL AND remind_ms <= ? ORDER BY remind_ms"
        ))
        .bind(millis(now))
        .fetch_all(&self.inner.reader)
        .await?;
        rows.into_iter()
            .map(|row| {
                let room = OwnedRoomId::try_from(row.room_id.as_str())
                    .map_err(|e| ArchiveError::malformed("todos", e.to_string()))?;
                let at = from_millis(row.remind_ms.unwrap_or_default());
                Ok(Reminder { room, todo: self.todo(&row)?, at })
            })
            .collect()
    }

    /// The to-dos that a message shows, in its order; none where it shows none.
    ///
    /// # Errors
    /// What the database says.
    pub async fn todos_shown_by(&self, room: &RoomId, event: &EventId) -> Result<Vec<u32>, ArchiveError> {
        let row: Option<(String,)> =
            sqlx::query_as("SELECT numbers FROM todo_lists WHERE event_id = ? AND room_id = ?")
                .bind(event.as_str())
                .bind(room.as_str())
                .fetch_optional(&self.inner.reader)
                .await?;
        Ok(row.map(|(n,)| n.split(' ').filter_map(|n| n.parse().ok()).collect()).unwrap_or_default())
    }

    fn todo(&self, row: &Row) -> Result<Todo, ArchiveError> {
        let call = CallId::from_bytes(id16("todos", &row.call_id)?);
        let keys = self.open_call_keys(&row.room_id, &row.room_key, call, &row.call_key)?;
        Ok(Todo {
            number: row.number,
            call,
            item: row.item,
            state: TodoState::read(&row.state)?,
            body: open_json(&keys.rows, &body_place(call, row.item), "todos", &row.body)?,
        })
    }
}

//! What is to change the world outside, written down before it does.
//!
//! 1. Whoever decides on an effect records it ([`Tx::record`]) in the same transaction as what it follows from.
//! 2. A sender takes the next one of a lane ([`Journal::next_ready`]): it is `Sent` on the disk before anybody acts.
//! 3. The sender acts with [`Due::transaction_id`], which is made from the effect's id and never changes, and tells the
//!    outcome: [`Journal::done`] or [`Journal::failed`].
//! 4. After a crash, what was `Sent` is `Unknown`: it is sent again under the same transaction id, and the homeserver
//!    answers with the event that it has or makes it now. Either way there is one.
//!
//! ```text
//!            next_ready            done
//!   Ready ──────────────▶ Sent ──────────▶ Done
//!     ▲  ▲   Failure::NotDone │ │ Failure::Refused
//!     │  └────────────────────┘ ├──────────────────▶ Wedged
//!     │ newer one of its slot   │ Failure::Unknown, or a crash
//!     ▼                         ▼
//!   Superseded               Unknown ── next_ready ──▶ Sent
//! ```
//!
//! A lane is one after the other: while one is `Sent`, the next waits. What is wedged is passed over; what refers to it
//! is wedged as well. Bodies are ciphertext, and are wiped once done.

mod effect;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use bridge::time::UnixMillis;
use matrix_sdk::ruma::{EventId, OwnedEventId};
use sqlx::SqliteConnection;
use tokio::sync::watch;

use crate::archive::{Archive, ArchiveError, CallId, EffectId, Place, Tx, read, store, write};
pub use effect::{Action, Effect, EventRef, Lane, NewEffect, Purpose, Relation};

/// Where an effect stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Waits to be sent.
    Ready,
    /// Being sent by this process.
    Sent,
    /// Happened.
    Done,
    /// Will not happen: refused for good, or refers to what was.
    Wedged,
    /// May have happened: to be sent again under the same transaction id.
    Unknown,
    /// A newer one took its place, or its words were withdrawn, before it was sent.
    Superseded,
}

impl State {
    fn read(text: &str) -> Result<Self, ArchiveError> {
        Ok(match text {
            "ready" => Self::Ready,
            "sent" => Self::Sent,
            "done" => Self::Done,
            "wedged" => Self::Wedged,
            "unknown" => Self::Unknown,
            "superseded" => Self::Superseded,
            _ => return Err(ArchiveError::malformed("effects", "an unknown state")),
        })
    }
}

/// How an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It certainly did not happen and may be tried again: no connection, rate limited.
    NotDone,
    /// It may have happened: a time-out, a broken connection. Tried again under the same transaction id.
    Unknown,
    /// It certainly did not happen and never will. The reason is stored and logged: nothing private in it.
    Refused(String),
}

/// An effect to be carried out now.
#[derive(Clone, PartialEq)]
pub struct Due {
    /// Its id: for [`Journal::done`] and [`Journal::failed`].
    pub id: EffectId,
    /// The Matrix transaction id: the same at every attempt.
    pub transaction_id: String,
    /// What to do.
    pub action: Action,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// When it was recorded. Homeservers forget transaction ids (Synapse: after a day).
    pub recorded: UnixMillis,
}

impl std::fmt::Debug for Due {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Due({} attempt {})", self.id, self.attempt)
    }
}

/// An unfinished or wedged effect, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its id.
    pub id: EffectId,
    /// The call it belongs to.
    pub call: Option<CallId>,
    /// The queue it waits in.
    pub lane: Lane,
    /// Such as `caption_edit`.
    pub kind: String,
    /// Where it stands.
    pub state: State,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it is wedged.
    pub reason: Option<String>,
}

/// The journal. Cheap to clone. Lives in the archive's database.
#[derive(Debug, Clone)]
pub struct Journal {
    archive: Archive,
}

/// The first unfinished effect of a lane.
const HEAD: &str = "SELECT seq, effect_id, call_id, state, body, attempts, made_ms FROM effects \
    WHERE lane = ? AND state IN ('ready', 'sent', 'unknown') ORDER BY seq LIMIT 1";
const LANES: &str = "SELECT lane FROM effects WHERE state IN ('ready', 'sent', 'unknown') \
    GROUP BY lane HAVING SUM(state = 'sent') = 0 ORDER BY MIN(seq)";

const NEVER_SENT: &str = "refers to an event that was never sent";
const DAMAGED: &str = "its body does not open";

fn body_place(id: EffectId) -> Place {
    Place::new("effects", "body", id)
}

impl Tx {
    /// Records an effect. `false` where its id is recorded already: then nothing changes, whatever the content.
    ///
    /// A newer edit of the same event, or state of the same key, takes the place of an unsent older one. A first message
    /// that was withdrawn before it was sent may be recorded again under its id.
    ///
    /// # Errors
    /// [`ArchiveError::NoSuchCall`], or what the database says.
    pub async fn record(&mut self, new: &NewEffect) -> Result<bool, ArchiveError> {
        let slot = new.effect.slot().map(|slot| self.archive.inner.keys.slots.blind(&slot).to_vec());
        let id = &new.id.as_bytes()[..];
        let known: Option<(String,)> = sqlx::query_as("SELECT state FROM effects WHERE effect_id = ?")
            .bind(id)
            .fetch_optional(&mut *self.sql)
            .await?;
        if let Some((state,)) = known {
            if State::read(&state)? != State::Superseded || slot.is_some() {
                return Ok(false);
            }
            sqlx::query("DELETE FROM effects WHERE effect_id = ?").bind(id).execute(&mut *self.sql).await?;
        }
        let now = store::millis(UnixMillis::now());
        if let Some(slot) = &slot {
            sqlx::query("UPDATE effects SET state = 'superseded', body = NULL, turned_ms = ? WHERE slot = ? AND state = 'ready'")
                .bind(now)
                .bind(slot)
                .execute(&mut *self.sql)
                .await?;
        }
        let (body, party) = match new.call {
            Some(call) => {
                let keys = self.keys(call).await?;
                let party = new.party.as_deref().map(|user| keys.party(user).to_vec());
                (write::seal_json(&keys.rows, &body_place(new.id), &new.effect)?, party)
            }
            None => (write::seal_json(&self.archive.inner.keys.journal, &body_place(new.id), &new.effect)?, None),
        };
        sqlx::query(
            "INSERT INTO effects (effect_id, call_id, lane, kind, state, slot, party, body, made_ms, turned_ms) \
             VALUES (?, ?, ?, ?, 'ready', ?, ?, ?, ?, ?)",
        )
        .bind(id)
        .bind(new.call.map(|call| call.as_bytes().to_vec()))
        .bind(&new.lane.0)
        .bind(new.effect.kind())
        .bind(slot)
        .bind(party)
        .bind(body)
        .bind(now)
        .bind(now)
        .execute(&mut *self.sql)
        .await?;
        self.recorded += 1;
        Ok(true)
    }

    /// Drops what is not sent yet and holds a party's words, and the notes with them where they rest on such. What is under
    /// way is returned.
    pub(crate) async fn drop_effects_of(
        &mut self,
        call: CallId,
        party: [u8; 16],
        notes: bool,
    ) -> Result<Vec<EffectId>, ArchiveError> {
        let id = &call.as_bytes()[..];
        let rows: Vec<(Vec<u8>,)> = sqlx::query_as(
            "SELECT effect_id FROM effects WHERE call_id = ? AND (party = ? OR (? AND kind IN ('notes', 'notes_edit'))) \
             AND state IN ('sent', 'unknown') ORDER BY seq",
        )
        .bind(id)
        .bind(&party[..])
        .bind(notes)
        .fetch_all(&mut *self.sql)
        .await?;
        sqlx::query(
            "UPDATE effects SET state = 'superseded', body = NULL, turned_ms = ? \
             WHERE call_id = ? AND (party = ? OR (? AND kind IN ('notes', 'notes_edit'))) AND state IN ('ready', 'wedged')",
        )
        .bind(store::millis(UnixMillis::now()))
        .bind(id)
        .bind(&party[..])
        .bind(notes)
        .execute(&mut *self.sql)
        .await?;
        rows.iter().map(|(id,)| read::id16("effects", id).map(EffectId::from_bytes)).collect()
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    seq: i64,
    effect_id: Vec<u8>,
    call_id: Option<Vec<u8>>,
    state: String,
    body: Option<Vec<u8>>,
    attempts: i64,
    made_ms: i64,
}

/// What a reference leads to.
enum Found {
    Event(OwnedEventId),
    NotYet,
    Never,
}

impl Journal {
    pub(crate) fn new(archive: Archive) -> Self {
        Self { archive }
    }

    /// Records one effect in a transaction of its own ([`Tx::record`]).
    ///
    /// # Errors
    /// As [`Tx::record`].
    pub async fn record(&self, new: &NewEffect) -> Result<bool, ArchiveError> {
        let mut tx = self.archive.begin().await?;
        let recorded = tx.record(new).await?;
        tx.commit().await?;
        Ok(recorded)
    }

    /// Changes whenever effects were recorded (or may be tried again): then ask [`Journal::lanes`].
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.archive.inner.recorded.subscribe()
    }

    /// The Matrix transaction id of an effect. Unlike in any other database, the same at every attempt.
    #[must_use]
    pub fn transaction_id(&self, id: EffectId) -> String {
        format!("roomtone-{}-{id}", self.archive.inner.instance)
    }

    /// The lanes that have something to send and nothing under way, longest waiting first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn lanes(&self) -> Result<Vec<Lane>, ArchiveError> {
        let rows: Vec<(String,)> = sqlx::query_as(LANES).fetch_all(&self.archive.inner.reader).await?;
        Ok(rows.into_iter().map(|(lane,)| Lane(lane)).collect())
    }

    /// Takes the next effect of a lane, `Sent` from now on. `None`: nothing to send, one is under way, or it waits for an
    /// event of another lane.
    ///
    /// # Errors
    /// What the database says.
    pub async fn next_ready(&self, lane: &Lane) -> Result<Option<Due>, ArchiveError> {
        let mut tx = self.archive.begin().await?;
        let mut due = None;
        loop {
            // The condition is the index's, word by word: SQLite uses a partial index for nothing less.
            let row: Option<Row> = sqlx::query_as(HEAD).bind(&lane.0).fetch_optional(&mut *tx.sql).await?;
            let Some(row) = row.filter(|row| row.state != "sent") else { break };
            match self.prepare(&mut tx, lane, &row).await? {
                Prepared::Due(found) => {
                    set_state(
                        &mut tx.sql,
                        row.seq,
                        "UPDATE effects SET state = 'sent', attempts = attempts + 1, turned_ms = ? WHERE seq = ?",
                    )
                    .await?;
                    due = Some(*found);
                    break;
                }
                Prepared::Waits => break,
                Prepared::Never(reason) => {
                    tracing::warn!(effect = %hex::encode(&row.effect_id), reason, "an effect of the journal cannot happen");
                    sqlx::query("UPDATE effects SET state = 'wedged', reason = ?, turned_ms = ? WHERE seq = ?")
                        .bind(reason)
                        .bind(store::millis(UnixMillis::now()))
                        .bind(row.seq)
                        .execute(&mut *tx.sql)
                        .await?;
                }
            }
        }
        tx.commit().await?;
        Ok(due)
    }

    async fn prepare(&self, tx: &mut Tx, lane: &Lane, row: &Row) -> Result<Prepared, ArchiveError> {
        let id = EffectId::from_bytes(read::id16("effects", &row.effect_id)?);
        let key = match &row.call_id {
            Some(call) => tx.keys(CallId::from_bytes(read::id16("effects", call)?)).await?.rows,
            None => self.archive.inner.keys.journal.clone(),
        };
        let body = row.body.as_deref().unwrap_or_default();
        let Ok(effect) = read::open_json::<Effect>(&key, &body_place(id), "effects", body) else {
            return Ok(Prepared::Never(DAMAGED));
        };
        let mut events = HashMap::new();
        for needed in effect.needs() {
            let EventRef::Effect(needed) = needed else { continue };
            match find(&mut tx.sql, *needed, lane, row.seq).await? {
                Found::Event(event) => events.insert(*needed, event),
                Found::NotYet => return Ok(Prepared::Waits),
                Found::Never => return Ok(Prepared::Never(NEVER_SENT)),
            };
        }
        for linked in effect.links() {
            match find(&mut tx.sql, linked, lane, row.seq).await? {
                Found::Event(event) => drop(events.insert(linked, event)),
                Found::NotYet => return Ok(Prepared::Waits),
                Found::Never => {}
            }
        }
        Ok(match effect::resolve(effect, &|id| events.get(&id).cloned()) {
            Some(action) => Prepared::Due(Box::new(Due {
                id,
                transaction_id: self.transaction_id(id),
                action,
                attempt: u32::try_from(row.attempts.saturating_add(1)).unwrap_or(u32::MAX),
                recorded: store::from_millis(row.made_ms),
            })),
            None => Prepared::Never(NEVER_SENT),
        })
    }

    /// The effect happened. `event`: what the homeserver named it. Calls, utterances and notes that it shows learn the
    /// event's id in the same transaction; its body is wiped.
    ///
    /// # Errors
    /// [`ArchiveError::NoSuchEffect`] where it was not under way, or what the database says.
    pub async fn done(&self, id: EffectId, event: Option<&EventId>) -> Result<(), ArchiveError> {
        let mut tx = self.archive.begin().await?;
        let event = event.map(EventId::as_str);
        let key = &id.as_bytes()[..];
        let changed = sqlx::query(
            "UPDATE effects SET state = 'done', body = NULL, reason = NULL, event_id = COALESCE(?, event_id), turned_ms = ? \
             WHERE effect_id = ? AND state IN ('sent', 'unknown', 'done')",
        )
        .bind(event)
        .bind(store::millis(UnixMillis::now()))
        .bind(key)
        .execute(&mut *tx.sql)
        .await?;
        if changed.rows_affected() == 0 {
            return Err(ArchiveError::NoSuchEffect(id));
        }
        for fill in [
            "UPDATE calls SET card_event = COALESCE(?, card_event) WHERE card_effect = ?",
            "UPDATE utterances SET caption_event = COALESCE(?, caption_event) WHERE caption_effect = ?",
            "UPDATE notes SET notes_event = COALESCE(?, notes_event) WHERE notes_effect = ?",
            "UPDATE todo_lists SET event_id = COALESCE(?, event_id) WHERE effect_id = ?",
        ] {
            sqlx::query(fill).bind(event).bind(key).execute(&mut *tx.sql).await?;
        }
        // Another lane may wait for this event.
        tx.recorded += 1;
        tx.commit().await
    }

    /// The attempt failed.
    ///
    /// # Errors
    /// [`ArchiveError::NoSuchEffect`] where it was not under way, or what the database says.
    pub async fn failed(&self, id: EffectId, failure: &Failure) -> Result<(), ArchiveError> {
        let mut tx = self.archive.begin().await?;
        let (state, reason) = match failure {
            Failure::NotDone => ("ready", None),
            Failure::Unknown => ("unknown", None),
            Failure::Refused(reason) => ("wedged", Some(reason.as_str())),
        };
        // One attempt of unknown outcome makes the whole effect so: a later "not done" says nothing of the earlier one.
        let changed = sqlx::query(
            "UPDATE effects SET state = CASE WHEN ?1 = 'ready' AND unsure = 1 THEN 'unknown' ELSE ?1 END, \
             unsure = MAX(unsure, ?1 = 'unknown'), reason = ?2, turned_ms = ?3 WHERE effect_id = ?4 AND state = 'sent'",
        )
        .bind(state)
        .bind(reason)
        .bind(store::millis(UnixMillis::now()))
        .bind(&id.as_bytes()[..])
        .execute(&mut *tx.sql)
        .await?;
        if changed.rows_affected() == 0 {
            return Err(ArchiveError::NoSuchEffect(id));
        }
        tx.recorded += 1;
        tx.commit().await
    }

    /// What is not finished, in order: at the start of the program, what is left to do.
    ///
    /// # Errors
    /// What the database says.
    pub async fn pending(&self) -> Result<Vec<Entry>, ArchiveError> {
        self.entries(
            "SELECT effect_id, call_id, lane, kind, state, attempts, reason FROM effects WHERE state IN ('ready', 'sent', 'unknown') \
             ORDER BY seq",
        )
        .await
    }

    /// What will not happen, and why.
    ///
    /// # Errors
    /// What the database says.
    pub async fn wedged(&self) -> Result<Vec<Entry>, ArchiveError> {
        self.entries("SELECT effect_id, call_id, lane, kind, state, attempts, reason FROM effects WHERE state = 'wedged' ORDER BY seq")
            .await
    }

    async fn entries(&self, sql: &'static str) -> Result<Vec<Entry>, ArchiveError> {
        type Columns = (Vec<u8>, Option<Vec<u8>>, String, String, String, i64, Option<String>);
        let rows: Vec<Columns> = sqlx::query_as(sql).fetch_all(&self.archive.inner.reader).await?;
        rows.into_iter()
            .map(|(id, call, lane, kind, state, attempts, reason)| {
                Ok(Entry {
                    id: EffectId::from_bytes(read::id16("effects", &id)?),
                    call: call.map(|c| read::id16("effects", &c).map(CallId::from_bytes)).transpose()?,
                    lane: Lane(lane),
                    kind,
                    state: State::read(&state)?,
                    attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
                    reason,
                })
            })
            .collect()
    }

    /// Where an effect stands, and the event that it became. `None`: never recorded, or pruned.
    ///
    /// # Errors
    /// What the database says.
    pub async fn look(&self, id: EffectId) -> Result<Option<(State, Option<OwnedEventId>)>, ArchiveError> {
        let row: Option<(String, Option<String>)> =
            sqlx::query_as("SELECT state, event_id FROM effects WHERE effect_id = ?")
                .bind(&id.as_bytes()[..])
                .fetch_optional(&self.archive.inner.reader)
                .await?;
        row.map(|(state, event)| Ok((State::read(&state)?, read::event("effects", event)?))).transpose()
    }

    /// After a start: what was under way when the last process ended may or may not have happened.
    pub(crate) async fn recover(&self) -> Result<(), ArchiveError> {
        let mut tx = self.archive.begin().await?;
        let found = sqlx::query(
            "UPDATE effects SET state = 'unknown', unsure = 1, turned_ms = ? \
             WHERE state = 'sent' AND state IN ('ready', 'sent', 'unknown')",
        )
        .bind(store::millis(UnixMillis::now()))
        .execute(&mut *tx.sql)
        .await?;
        if found.rows_affected() > 0 {
            tracing::info!(
                effects = found.rows_affected(),
                "effects were under way when the last process ended; they are sent again"
            );
        }
        tx.commit().await
    }
}

enum Prepared {
    Due(Box<Due>),
    Waits,
    Never(&'static str),
}

async fn set_state(sql: &mut SqliteConnection, seq: i64, statement: &'static str) -> Result<(), ArchiveError> {
    sqlx::query(statement).bind(store::millis(UnixMillis::now())).bind(seq).execute(sql).await?;
    Ok(())
}

/// What an effect has become. One of the same lane that comes later is never waited for: it would wait for us.
async fn find(sql: &mut SqliteConnection, id: EffectId, lane: &Lane, before: i64) -> Result<Found, ArchiveError> {
    let row: Option<(String, Option<String>, String, i64)> =
        sqlx::query_as("SELECT state, event_id, lane, seq FROM effects WHERE effect_id = ?")
            .bind(&id.as_bytes()[..])
            .fetch_optional(sql)
            .await?;
    let Some((state, event, its_lane, seq)) = row else { return Ok(Found::Never) };
    Ok(match (State::read(&state)?, read::event("effects", event)?) {
        (_, Some(event)) => Found::Event(event),
        (State::Ready | State::Sent | State::Unknown, None) if its_lane != lane.0 || seq < before => Found::NotYet,
        _ => Found::Never,
    })
}

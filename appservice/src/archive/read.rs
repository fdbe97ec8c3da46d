//! What is asked of the archive.

use std::collections::HashMap;

use bridge::ids::E164;
use matrix_sdk::ruma::{OwnedEventId, OwnedRoomId, RoomId};
use serde::de::DeserializeOwned;
use sqlx::SqliteConnection;

use super::store::{CallKeys, from_millis};
use super::write::{
    LinkDetails, NotesDetails, PartyDetails, facts_place, link_place, notes_place, party_place, said_details_place,
    said_place,
};
use super::{
    Archive, ArchiveError, CallId, CallRecord, CallState, EffectId, GrantRecord, How, NumberLink, PartyRecord, Place,
    Secret, StoredNotes, StoredUtterance, UtteranceId,
};

pub(crate) fn open_json<T: DeserializeOwned>(
    key: &Secret,
    place: &Place,
    table: &'static str,
    sealed: &[u8],
) -> Result<T, ArchiveError> {
    let plain = key.open(place, sealed)?;
    // The parser's message could quote what it read: only its kind is passed on.
    serde_json::from_slice(&plain)
        .map_err(|e| ArchiveError::malformed(table, format!("{:?} at column {}", e.classify(), e.column())))
}

pub(crate) fn event(table: &'static str, id: Option<String>) -> Result<Option<OwnedEventId>, ArchiveError> {
    id.map(|id| OwnedEventId::try_from(id).map_err(|e| ArchiveError::malformed(table, e.to_string()))).transpose()
}

pub(crate) fn id16(table: &'static str, bytes: &[u8]) -> Result<[u8; 16], ArchiveError> {
    bytes.try_into().map_err(|_| ArchiveError::malformed(table, "an id that is not 16 bytes long"))
}

/// The user that stands behind a party's hash.
pub(super) fn user_of(users: &HashMap<[u8; 16], String>, hash: &[u8]) -> Result<String, ArchiveError> {
    let found = <[u8; 16]>::try_from(hash).ok().and_then(|hash| users.get(&hash));
    found.cloned().ok_or_else(|| ArchiveError::malformed("parties", "a party that is not there"))
}

#[derive(sqlx::FromRow)]
struct CallRow {
    call_id: Vec<u8>,
    room_id: String,
    room_key: Vec<u8>,
    call_key: Vec<u8>,
    started_ms: i64,
    ended_ms: Option<i64>,
    state: String,
    card_event: Option<String>,
    notes_event: Option<String>,
    facts: Vec<u8>,
}

impl Archive {
    /// The calls that are open, oldest first. At the start of the program: those that a crash cut off.
    ///
    /// # Errors
    /// What the database says.
    pub async fn open_calls(&self) -> Result<Vec<CallRecord>, ArchiveError> {
        let rows = sqlx::query_as(
            "SELECT calls.call_id, calls.room_id, room_key, call_key, started_ms, ended_ms, state, card_event, notes_event, facts \
             FROM calls JOIN rooms ON rooms.room_id = calls.room_id LEFT JOIN notes ON notes.call_id = calls.call_id \
             WHERE state = 'open' ORDER BY started_ms",
        )
        .fetch_all(&self.inner.reader)
        .await?;
        rows.into_iter().map(|row| self.call_record(row)).collect()
    }

    /// The latest calls of a room, newest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn list_calls(&self, room: &RoomId, limit: u32) -> Result<Vec<CallRecord>, ArchiveError> {
        let rows = sqlx::query_as(
            "SELECT calls.call_id, calls.room_id, room_key, call_key, started_ms, ended_ms, state, card_event, notes_event, facts \
             FROM calls JOIN rooms ON rooms.room_id = calls.room_id LEFT JOIN notes ON notes.call_id = calls.call_id \
             WHERE calls.room_id = ? ORDER BY started_ms DESC LIMIT ?",
        )
        .bind(room.as_str())
        .bind(limit)
        .fetch_all(&self.inner.reader)
        .await?;
        rows.into_iter().map(|row| self.call_record(row)).collect()
    }

    /// One call.
    ///
    /// # Errors
    /// What the database says.
    pub async fn call(&self, call: CallId) -> Result<Option<CallRecord>, ArchiveError> {
        let row = sqlx::query_as(
            "SELECT calls.call_id, calls.room_id, room_key, call_key, started_ms, ended_ms, state, card_event, notes_event, facts \
             FROM calls JOIN rooms ON rooms.room_id = calls.room_id LEFT JOIN notes ON notes.call_id = calls.call_id \
             WHERE calls.call_id = ?",
        )
        .bind(&call.as_bytes()[..])
        .fetch_optional(&self.inner.reader)
        .await?;
        row.map(|row| self.call_record(row)).transpose()
    }

    fn call_record(&self, row: CallRow) -> Result<CallRecord, ArchiveError> {
        let id = CallId::from_bytes(id16("calls", &row.call_id)?);
        let keys = self.open_call_keys(&row.room_id, &row.room_key, id, &row.call_key)?;
        Ok(CallRecord {
            id,
            room: OwnedRoomId::try_from(row.room_id).map_err(|e| ArchiveError::malformed("calls", e.to_string()))?,
            started: from_millis(row.started_ms),
            ended: row.ended_ms.map(from_millis),
            state: match row.state.as_str() {
                "open" => CallState::Open,
                "interrupted" => CallState::Interrupted,
                _ => CallState::Ended,
            },
            card: event("calls", row.card_event)?,
            notes: event("notes", row.notes_event)?,
            facts: open_json(&keys.rows, &facts_place(id), "calls", &row.facts)?,
        })
    }

    /// The parties of a call, in the order they came.
    ///
    /// # Errors
    /// [`ArchiveError::NoSuchCall`], or what the database says.
    pub async fn parties(&self, call: CallId) -> Result<Vec<PartyRecord>, ArchiveError> {
        let keys = self.read_keys(call).await?;
        type Row = (Vec<u8>, Vec<u8>, i64, Option<i64>);
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT party, details, joined_ms, left_ms FROM parties WHERE call_id = ? ORDER BY joined_ms, party",
        )
        .bind(&call.as_bytes()[..])
        .fetch_all(&self.inner.reader)
        .await?;
        rows.into_iter()
            .map(|(party, details, joined, left)| {
                let place = party_place(call, id16("parties", &party)?);
                let PartyDetails { kind, name, user, number } = open_json(&keys.rows, &place, "parties", &details)?;
                Ok(PartyRecord { user, kind, name, number, joined: from_millis(joined), left: left.map(from_millis) })
            })
            .collect()
    }

    /// What each party of a call last said about being written down. Who said nothing is not in it: not granted.
    ///
    /// # Errors
    /// What the database says.
    pub async fn grants(&self, call: CallId) -> Result<Vec<GrantRecord>, ArchiveError> {
        let names = self.party_names(call).await?;
        let rows: Vec<(Vec<u8>, i64, bool, String)> = sqlx::query_as(
            "SELECT party, at_ms, granted, how FROM grants WHERE grant_no IN (SELECT MAX(grant_no) FROM grants WHERE call_id = ? GROUP BY party) \
             ORDER BY at_ms",
        )
        .bind(&call.as_bytes()[..])
        .fetch_all(&self.inner.reader)
        .await?;
        rows.into_iter()
            .map(|(party, at, granted, how)| {
                let how =
                    How::read(&how).ok_or_else(|| ArchiveError::malformed("grants", "an unknown way of granting"))?;
                Ok(GrantRecord { party: user_of(&names, &party)?, granted, at: from_millis(at), how })
            })
            .collect()
    }

    /// What was said in a call, in the order it was said.
    ///
    /// # Errors
    /// [`ArchiveError::NoSuchCall`], or what the database says.
    pub async fn utterances(&self, call: CallId) -> Result<Vec<StoredUtterance>, ArchiveError> {
        #[derive(sqlx::FromRow)]
        struct Row {
            utterance: i64,
            party: Vec<u8>,
            start_ms: i64,
            end_ms: i64,
            said: Vec<u8>,
            details: Option<Vec<u8>>,
            caption_effect: Option<Vec<u8>>,
            caption_event: Option<String>,
        }
        let keys = self.read_keys(call).await?;
        let names = self.party_names(call).await?;
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT utterance, party, start_ms, end_ms, said, details, caption_effect, caption_event FROM utterances WHERE call_id = ? \
             ORDER BY start_ms, utterance",
        )
        .bind(&call.as_bytes()[..])
        .fetch_all(&self.inner.reader)
        .await?;
        rows.into_iter()
            .map(|row| {
                let party = id16("utterances", &row.party)?;
                let place = said_place(call, party, row.start_ms, row.end_ms);
                let beside = said_details_place(call, party, row.start_ms, row.end_ms);
                let details = row.details.map(|d| open_json(&keys.rows, &beside, "utterances", &d)).transpose()?;
                Ok(StoredUtterance {
                    id: UtteranceId(row.utterance),
                    party: user_of(&names, &row.party)?,
                    start: from_millis(row.start_ms),
                    end: from_millis(row.end_ms),
                    text: open_text(&keys, &place, &row.said)?,
                    details: details.unwrap_or_default(),
                    caption: row
                        .caption_effect
                        .map(|e| id16("utterances", &e).map(EffectId::from_bytes))
                        .transpose()?,
                    caption_event: event("utterances", row.caption_event)?,
                })
            })
            .collect()
    }

    /// The notes of a call.
    ///
    /// # Errors
    /// [`ArchiveError::NoSuchCall`], or what the database says.
    pub async fn notes(&self, call: CallId) -> Result<Option<StoredNotes>, ArchiveError> {
        let keys = self.read_keys(call).await?;
        type Row = (Vec<u8>, i64, Option<Vec<u8>>, Option<String>);
        let row: Option<Row> =
            sqlx::query_as("SELECT body, written_ms, notes_effect, notes_event FROM notes WHERE call_id = ?")
                .bind(&call.as_bytes()[..])
                .fetch_optional(&self.inner.reader)
                .await?;
        row.map(|(sealed, written, effect, posted)| {
            let NotesDetails { body, text, writer } = open_json(&keys.rows, &notes_place(call), "notes", &sealed)?;
            let effect = effect.map(|e| id16("notes", &e).map(EffectId::from_bytes)).transpose()?;
            Ok(StoredNotes {
                body,
                text,
                writer,
                written: from_millis(written),
                effect,
                event: event("notes", posted)?,
            })
        })
        .transpose()
    }

    /// The room that a number rings.
    ///
    /// # Errors
    /// What the database says.
    pub async fn room_of_number(&self, number: &E164) -> Result<Option<OwnedRoomId>, ArchiveError> {
        let mut sql = self.inner.reader.acquire().await?;
        Ok(self.find_link(&mut sql, number).await?.map(|link| link.room))
    }

    /// The numbers that ring a room.
    ///
    /// # Errors
    /// What the database says.
    pub async fn numbers_of_room(&self, room: &RoomId) -> Result<Vec<NumberLink>, ArchiveError> {
        let rows: Vec<(Vec<u8>, String, Vec<u8>, i64)> = sqlx::query_as(
            "SELECT number_hash, room_id, details, at_ms FROM number_links WHERE room_id = ? ORDER BY at_ms",
        )
        .bind(room.as_str())
        .fetch_all(&self.inner.reader)
        .await?;
        rows.into_iter().map(|row| self.number_link(row)).collect()
    }

    pub(super) async fn find_link(
        &self,
        sql: &mut SqliteConnection,
        number: &E164,
    ) -> Result<Option<NumberLink>, ArchiveError> {
        let hash = self.inner.keys.number_hashes.blind(number.reveal().as_bytes());
        let row: Option<(Vec<u8>, String, Vec<u8>, i64)> =
            sqlx::query_as("SELECT number_hash, room_id, details, at_ms FROM number_links WHERE number_hash = ?")
                .bind(&hash[..])
                .fetch_optional(sql)
                .await?;
        row.map(|row| self.number_link(row)).transpose()
    }

    fn number_link(
        &self,
        (hash, room, sealed, at): (Vec<u8>, String, Vec<u8>, i64),
    ) -> Result<NumberLink, ArchiveError> {
        let place = link_place(id16("number_links", &hash)?);
        let LinkDetails { number, by } = open_json(&self.inner.keys.numbers, &place, "number_links", &sealed)?;
        let room = OwnedRoomId::try_from(room).map_err(|e| ArchiveError::malformed("number_links", e.to_string()))?;
        Ok(NumberLink { number, room, by, at: from_millis(at) })
    }

    pub(super) async fn party_names(&self, call: CallId) -> Result<HashMap<[u8; 16], String>, ArchiveError> {
        let keys = self.read_keys(call).await?;
        Ok(self.parties(call).await?.into_iter().map(|p| (keys.party(&p.user), p.user)).collect())
    }

    pub(super) async fn read_keys(&self, call: CallId) -> Result<CallKeys, ArchiveError> {
        let mut sql = self.inner.reader.acquire().await?;
        self.call_keys(&mut sql, call).await
    }
}

pub(super) fn open_text(keys: &CallKeys, place: &Place, sealed: &[u8]) -> Result<String, ArchiveError> {
    let plain = keys.rows.open(place, sealed)?;
    String::from_utf8(plain.to_vec()).map_err(|_| ArchiveError::malformed("utterances", "a text that is not UTF-8"))
}

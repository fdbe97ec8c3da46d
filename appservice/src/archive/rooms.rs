//! What a room has set beside its policy, sealed with the room's key; and what people call the voices of a line.

use matrix_sdk::ruma::{OwnedEventId, RoomId};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::read::{event, id16, open_json, user_of};
use super::store::{CallKeys, room_place};
use super::write::seal_json;
use super::{Archive, ArchiveError, CallId, Place, Tx, UtteranceId, VoiceName};

fn settings_place(room: &RoomId) -> Place {
    Place::new("rooms", "settings", room)
}

fn voice_place(call: CallId, party: [u8; 16], voice: u8) -> Place {
    Place::new("voices", "name", format_args!("{call}/{}/{voice}", hex::encode(party)))
}

impl Tx {
    /// Replaces what a room has set.
    ///
    /// # Errors
    /// What the database says.
    pub async fn save_room_settings<T: Serialize>(&mut self, room: &RoomId, value: &T) -> Result<(), ArchiveError> {
        let key = self.archive.clone().room_key(&mut self.sql, room).await?.subkey("settings");
        let sealed = seal_json(&key, &settings_place(room), value)?;
        sqlx::query("UPDATE rooms SET settings = ? WHERE room_id = ?")
            .bind(sealed)
            .bind(room.as_str())
            .execute(&mut *self.sql)
            .await?;
        Ok(())
    }

    /// Gives one of several voices on a line its name in this call.
    ///
    /// # Errors
    /// [`ArchiveError::NoSuchCall`], or what the database says.
    pub async fn name_voice(&mut self, call: CallId, name: &VoiceName) -> Result<(), ArchiveError> {
        let keys = self.keys(call).await?;
        let party = keys.party(&name.party);
        let sealed = keys.rows.seal(&voice_place(call, party, name.voice), name.name.as_bytes())?;
        sqlx::query(
            "INSERT INTO voices (call_id, party, voice, name) VALUES (?, ?, ?, ?) \
             ON CONFLICT (call_id, party, voice) DO UPDATE SET name = excluded.name",
        )
        .bind(&call.as_bytes()[..])
        .bind(&party[..])
        .bind(name.voice)
        .bind(sealed)
        .execute(&mut *self.sql)
        .await?;
        self.revise(call).await
    }
}

impl Archive {
    /// What a room has set; `None` where it has set nothing.
    ///
    /// # Errors
    /// What the database says.
    pub async fn room_settings<T: DeserializeOwned>(&self, room: &RoomId) -> Result<Option<T>, ArchiveError> {
        let row: Option<(Vec<u8>, Option<Vec<u8>>)> =
            sqlx::query_as("SELECT room_key, settings FROM rooms WHERE room_id = ?")
                .bind(room.as_str())
                .fetch_optional(&self.inner.reader)
                .await?;
        let Some((key, Some(sealed))) = row else { return Ok(None) };
        let key = self.inner.keys.wrap.unwrap_key(&room_place(room.as_str()), &key)?.subkey("settings");
        open_json(&key, &settings_place(room), "rooms", &sealed).map(Some)
    }

    /// [`Tx::save_room_settings`] in a transaction of its own.
    ///
    /// # Errors
    /// As there.
    pub async fn save_room_settings<T: Serialize>(&self, room: &RoomId, value: &T) -> Result<(), ArchiveError> {
        let mut tx = self.begin().await?;
        tx.save_room_settings(room, value).await?;
        tx.commit().await
    }

    /// The names that people gave to voices in a call.
    ///
    /// # Errors
    /// [`ArchiveError::NoSuchCall`], or what the database says.
    pub async fn voices(&self, call: CallId) -> Result<Vec<VoiceName>, ArchiveError> {
        let keys: CallKeys = self.read_keys(call).await?;
        let users = self.party_names(call).await?;
        let rows: Vec<(Vec<u8>, u8, Vec<u8>)> =
            sqlx::query_as("SELECT party, voice, name FROM voices WHERE call_id = ? ORDER BY party, voice")
                .bind(&call.as_bytes()[..])
                .fetch_all(&self.inner.reader)
                .await?;
        rows.into_iter()
            .map(|(party, voice, sealed)| {
                let plain = keys.rows.open(&voice_place(call, id16("voices", &party)?, voice), &sealed)?;
                let name = String::from_utf8(plain.to_vec())
                    .map_err(|_| ArchiveError::malformed("voices", "a name that is not UTF-8"))?;
                Ok(VoiceName { party: user_of(&users, &party)?, voice, name })
            })
            .collect()
    }

    /// The call of a room whose card this is.
    ///
    /// # Errors
    /// What the database says.
    pub async fn call_of_card(&self, room: &RoomId, card: &OwnedEventId) -> Result<Option<CallId>, ArchiveError> {
        let row: Option<(Vec<u8>,)> = sqlx::query_as("SELECT call_id FROM calls WHERE room_id = ? AND card_event = ?")
            .bind(room.as_str())
            .bind(card.as_str())
            .fetch_optional(&self.inner.reader)
            .await?;
        row.map(|(id,)| id16("calls", &id).map(CallId::from_bytes)).transpose()
    }

    /// The message that shows an utterance.
    ///
    /// # Errors
    /// What the database says.
    pub async fn caption_of(&self, call: CallId, utterance: UtteranceId) -> Result<Option<OwnedEventId>, ArchiveError> {
        let row: Option<(Option<String>,)> =
            sqlx::query_as("SELECT caption_event FROM utterances WHERE call_id = ? AND utterance = ?")
                .bind(&call.as_bytes()[..])
                .bind(utterance.0)
                .fetch_optional(&self.inner.reader)
                .await?;
        event("utterances", row.and_then(|(event,)| event))
    }
}

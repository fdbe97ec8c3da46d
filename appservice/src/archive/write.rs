//! What changes the archive. Everything here is a step of a transaction; [`Archive`] has each as a transaction of its own.

use std::collections::BTreeSet;

use bridge::ids::E164;
use bridge::time::UnixMillis;
use matrix_sdk::ruma::{EventId, OwnedEventId, OwnedUserId, RoomId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{Sqlite, Transaction};
use zeroize::Zeroizing;

use super::store::millis;
use super::{
    Archive, ArchiveError, CallId, CallState, EffectId, How, NewCall, NewUtterance, NotesRecord, NumberLink, PartyKind,
    PartyRecord, Place, Secret, UtteranceId, Withdrawn, words,
};

/// In `words`, the place that is the notes and no utterance.
pub(super) const IN_NOTES: i64 = -1;

/// Changes that happen together or not at all: of the archive, and of the [journal](crate::journal) (its methods on this
/// type stand there).
pub struct Tx {
    pub(crate) sql: Transaction<'static, Sqlite>,
    pub(crate) archive: Archive,
    pub(crate) recorded: u64,
    pub(super) shredded: bool,
}

impl std::fmt::Debug for Tx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tx")
    }
}

/// What of a party is sealed.
#[derive(Serialize, Deserialize)]
pub(super) struct PartyDetails {
    pub(super) kind: PartyKind,
    pub(super) name: String,
    pub(super) user: String,
    pub(super) number: Option<E164>,
}

/// What of notes is sealed.
#[derive(Serialize, Deserialize)]
pub(super) struct NotesDetails {
    pub(super) body: Value,
    pub(super) text: String,
    pub(super) writer: String,
}

/// What of a number's link is sealed.
#[derive(Serialize, Deserialize)]
pub(super) struct LinkDetails {
    pub(super) number: E164,
    pub(super) by: Option<OwnedUserId>,
}

pub(super) fn facts_place(call: CallId) -> Place {
    Place::new("calls", "facts", call)
}

pub(super) fn party_place(call: CallId, party: [u8; 16]) -> Place {
    Place::new("parties", "details", format_args!("{call}/{}", hex::encode(party)))
}

/// An utterance is bound to its speaker and times: its number is not known before it is stored.
pub(super) fn said_place(call: CallId, party: [u8; 16], start_ms: i64, end_ms: i64) -> Place {
    Place::new("utterances", "said", format_args!("{call}/{}/{start_ms}/{end_ms}", hex::encode(party)))
}

pub(super) fn said_details_place(call: CallId, party: [u8; 16], start_ms: i64, end_ms: i64) -> Place {
    Place::new("utterances", "details", format_args!("{call}/{}/{start_ms}/{end_ms}", hex::encode(party)))
}

pub(super) fn notes_place(call: CallId) -> Place {
    Place::new("notes", "body", call)
}

pub(super) fn link_place(hash: [u8; 16]) -> Place {
    Place::new("number_links", "details", hex::encode(hash))
}

pub(crate) fn seal_json<T: Serialize>(key: &Secret, place: &Place, value: &T) -> Result<Vec<u8>, ArchiveError> {
    let plain = Zeroizing::new(
        serde_json::to_vec(value).map_err(|e| ArchiveError::malformed("what is to be stored", e.to_string()))?,
    );
    Ok(key.seal(place, &plain)?)
}

impl Tx {
    /// Makes all of it durable. Returns when it is on the disk.
    ///
    /// # Errors
    /// What the database says; then none of it happened.
    pub async fn commit(self) -> Result<(), ArchiveError> {
        let Self { sql, archive, recorded, shredded } = self;
        sql.commit().await?;
        if recorded > 0 {
            archive.inner.recorded.send_modify(|n| *n += recorded);
        }
        if shredded {
            archive.truncate_log().await?;
        }
        Ok(())
    }

    /// Begins a call. A call that is there already is left as it is.
    ///
    /// # Errors
    /// What the database says.
    pub async fn open_call(&mut self, call: &NewCall) -> Result<(), ArchiveError> {
        let id = &call.id.as_bytes()[..];
        let known: Option<(i64,)> =
            sqlx::query_as("SELECT 1 FROM calls WHERE call_id = ?").bind(id).fetch_optional(&mut *self.sql).await?;
        if known.is_some() {
            return Ok(());
        }
        let (key, wrapped) = self.archive.clone().new_call_key(&mut self.sql, &call.room, call.id).await?;
        let facts = seal_json(&key, &facts_place(call.id), &call.facts)?;
        sqlx::query(
            "INSERT INTO calls (call_id, room_id, call_key, started_ms, state, card_effect, facts) VALUES (?, ?, ?, ?, 'open', ?, ?)",
        )
        .bind(id)
        .bind(call.room.as_str())
        .bind(wrapped)
        .bind(millis(call.started))
        .bind(call.card.map(|e| e.as_bytes().to_vec()))
        .bind(facts)
        .execute(&mut *self.sql)
        .await?;
        Ok(())
    }

    /// Replaces what the desk wants to know again after a crash.
    ///
    /// # Errors
    /// [`ArchiveError::NoSuchCall`], or what the database says.
    pub async fn set_facts(&mut self, call: CallId, facts: &Value) -> Result<(), ArchiveError> {
        let keys = self.keys(call).await?;
        let sealed = seal_json(&keys.rows, &facts_place(call), facts)?;
        sqlx::query("UPDATE calls SET facts = ? WHERE call_id = ?")
            .bind(sealed)
            .bind(&call.as_bytes()[..])
            .execute(&mut *self.sql)
            .await?;
        Ok(())
    }

    /// Names the call's card. Not needed where [`NewCall::card`] names its effect.
    ///
    /// # Errors
    /// What the database says.
    pub async fn set_card_event(&mut self, call: CallId, event: &EventId) -> Result<(), ArchiveError> {
        sqlx::query("UPDATE calls SET card_event = ? WHERE call_id = ?")
            .bind(event.as_str())
            .bind(&call.as_bytes()[..])
            .execute(&mut *self.sql)
            .await?;
        Ok(())
    }

    /// Adds a party or brings it up to date (name, left…).
    ///
    /// # Errors
    /// [`ArchiveError::NoSuchCall`], or what the database says.
    pub async fn upsert_party(&mut self, call: CallId, party: &PartyRecord) -> Result<(), ArchiveError> {
        let keys = self.keys(call).await?;
        let hash = keys.party(&party.user);
        let details = PartyDetails {
            kind: party.kind,
            name: party.name.clone(),
            user: party.user.clone(),
            number: party.number.clone(),
        };
        let sealed = seal_json(&keys.rows, &party_place(call, hash), &details)?;
        sqlx::query(
            "INSERT INTO parties (call_id, party, details, joined_ms, left_ms) VALUES (?, ?, ?, ?, ?) \
             ON CONFLICT (call_id, party) DO UPDATE SET details = excluded.details, left_ms = excluded.left_ms",
        )
        .bind(&call.as_bytes()[..])
        .bind(&hash[..])
        .bind(sealed)
        .bind(millis(party.joined))
        .bind(party.left.map(millis))
        .execute(&mut *self.sql)
        .await?;
        Ok(())
    }

    /// Writes down that a party agreed to be written down, or took it back.
    ///
    /// # Errors
    /// What the database says (there must be such a call).
    pub async fn record_grant(
        &mut self,
        call: CallId,
        party: &str,
        granted: bool,
        how: How,
        at: UnixMillis,
    ) -> Result<(), ArchiveError> {
        let hash = self.keys(call).await?.party(party);
        sqlx::query("INSERT INTO grants (call_id, party, at_ms, granted, how) VALUES (?, ?, ?, ?, ?)")
            .bind(&call.as_bytes()[..])
            .bind(&hash[..])
            .bind(millis(at))
            .bind(granted)
            .bind(how.as_str())
            .execute(&mut *self.sql)
            .await?;
        Ok(())
    }

    /// Adds an utterance and its words to the index.
    ///
    /// # Errors
    /// [`ArchiveError::NoSuchCall`], or what the database says.
    pub async fn add_utterance(&mut self, call: CallId, utterance: &NewUtterance) -> Result<UtteranceId, ArchiveError> {
        let keys = self.keys(call).await?;
        let hash = keys.party(&utterance.party);
        let (start, end) = (millis(utterance.start), millis(utterance.end));
        let sealed = keys.rows.seal(&said_place(call, hash, start, end), utterance.text.as_bytes())?;
        let details = seal_json(&keys.rows, &said_details_place(call, hash, start, end), &utterance.details)?;
        let id = sqlx::query(
            "INSERT INTO utterances (call_id, party, start_ms, end_ms, said, details) VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(&call.as_bytes()[..])
        .bind(&hash[..])
        .bind(start)
        .bind(end)
        .bind(sealed)
        .bind(details)
        .execute(&mut *self.sql)
        .await?
        .last_insert_rowid();
        self.index(call, &keys.words, id, &utterance.text).await?;
        Ok(UtteranceId(id))
    }

    /// Says which effect shows these utterances: the one that sends the turn, not its edits. The event's id is filled in
    /// when that is done.
    ///
    /// # Errors
    /// What the database says.
    pub async fn shown_by(
        &mut self,
        call: CallId,
        utterances: &[UtteranceId],
        caption: EffectId,
    ) -> Result<(), ArchiveError> {
        for utterance in utterances {
            sqlx::query(
                "UPDATE utterances SET caption_effect = ?1, caption_event = (SELECT event_id FROM effects WHERE effect_id = ?1) \
                 WHERE call_id = ?2 AND utterance = ?3",
            )
            .bind(&caption.as_bytes()[..])
            .bind(&call.as_bytes()[..])
            .bind(utterance.0)
            .execute(&mut *self.sql)
            .await?;
        }
        Ok(())
    }

    /// Names the message that shows an utterance. Not needed after [`Tx::shown_by`].
    ///
    /// # Errors
    /// What the database says.
    pub async fn set_caption_event(
        &mut self,
        call: CallId,
        utterance: UtteranceId,
        event: &EventId,
    ) -> Result<(), ArchiveError> {
        sqlx::query("UPDATE utterances SET caption_event = ? WHERE call_id = ? AND utterance = ?")
            .bind(event.as_str())
            .bind(&call.as_bytes()[..])
            .bind(utterance.0)
            .execute(&mut *self.sql)
            .await?;
        Ok(())
    }

    /// Deletes all that a party said in a call: utterances, their words in the index, captions not yet sent, and the notes
    /// (which rest on them; the desk makes them again). What others have seen is in the answer: record its mending in the
    /// same transaction. Where the party said nothing, nothing changes.
    ///
    /// # Errors
    /// [`ArchiveError::NoSuchCall`], or what the database says.
    pub async fn withdraw_party_words(&mut self, call: CallId, party: &str) -> Result<Withdrawn, ArchiveError> {
        let id = &call.as_bytes()[..];
        let hash = self.keys(call).await?.party(party);
        let rows: Vec<(i64, Option<String>)> =
            sqlx::query_as("SELECT utterance, caption_event FROM utterances WHERE call_id = ? AND party = ?")
                .bind(id)
                .bind(&hash[..])
                .fetch_all(&mut *self.sql)
                .await?;
        // Captions of unfinished words rest on no utterance yet.
        let shown: Vec<(String,)> = sqlx::query_as(
            "SELECT event_id FROM effects WHERE call_id = ? AND party = ? AND kind = 'caption' AND event_id IS NOT NULL",
        )
        .bind(id)
        .bind(&hash[..])
        .fetch_all(&mut *self.sql)
        .await?;
        if rows.is_empty() && shown.is_empty() {
            let under_way = self.drop_effects_of(call, hash, false).await?;
            return Ok(Withdrawn { under_way, ..Withdrawn::default() });
        }
        let ids = rows.iter().map(|(id, _)| UtteranceId(*id)).collect();
        let mut out = Withdrawn { utterances: rows.len(), ids, ..Withdrawn::default() };
        let captions: BTreeSet<String> =
            rows.into_iter().filter_map(|(_, event)| event).chain(shown.into_iter().map(|(event,)| event)).collect();
        out.captions = captions.into_iter().filter_map(|e| OwnedEventId::try_from(e).ok()).collect();
        sqlx::query("UPDATE effects SET event_id = NULL WHERE call_id = ? AND party = ? AND kind = 'caption'")
            .bind(id)
            .bind(&hash[..])
            .execute(&mut *self.sql)
            .await?;
        sqlx::query(
            "DELETE FROM words WHERE call_id = ?1 AND utterance IN (SELECT utterance FROM utterances WHERE call_id = ?1 AND party = ?2)",
        )
        .bind(id)
        .bind(&hash[..])
        .execute(&mut *self.sql)
        .await?;
        sqlx::query("DELETE FROM utterances WHERE call_id = ? AND party = ?")
            .bind(id)
            .bind(&hash[..])
            .execute(&mut *self.sql)
            .await?;
        sqlx::query("DELETE FROM voices WHERE call_id = ? AND party = ?")
            .bind(id)
            .bind(&hash[..])
            .execute(&mut *self.sql)
            .await?;
        self.drop_todos_of(call, &out.ids).await?;
        self.revise(call).await?;
        out.under_way = self.drop_effects_of(call, hash, true).await?;
        out.notes =
            sqlx::query("DELETE FROM notes WHERE call_id = ?").bind(id).execute(&mut *self.sql).await?.rows_affected()
                > 0;
        self.unindex(call, IN_NOTES).await?;
        self.shredded = true;
        Ok(out)
    }

    /// Stores a call's notes in place of older ones.
    ///
    /// # Errors
    /// [`ArchiveError::NoSuchCall`], or what the database says.
    pub async fn save_notes(&mut self, call: CallId, notes: &NotesRecord) -> Result<(), ArchiveError> {
        let keys = self.keys(call).await?;
        let details = NotesDetails { body: notes.body.clone(), text: notes.text.clone(), writer: notes.writer.clone() };
        let sealed = seal_json(&keys.rows, &notes_place(call), &details)?;
        sqlx::query(
            "INSERT INTO notes (call_id, body, written_ms, notes_effect, notes_event) \
             VALUES (?, ?, ?, ?, (SELECT event_id FROM effects WHERE effect_id = ?)) \
             ON CONFLICT (call_id) DO UPDATE SET body = excluded.body, written_ms = excluded.written_ms, \
             notes_effect = COALESCE(excluded.notes_effect, notes_effect), \
             notes_event = COALESCE(excluded.notes_event, notes_event)",
        )
        .bind(&call.as_bytes()[..])
        .bind(sealed)
        .bind(millis(notes.written))
        .bind(notes.effect.map(|e| e.as_bytes().to_vec()))
        .bind(notes.effect.map(|e| e.as_bytes().to_vec()))
        .execute(&mut *self.sql)
        .await?;
        self.unindex(call, IN_NOTES).await?;
        self.index(call, &keys.words, IN_NOTES, &notes.text).await
    }

    /// Ends a call. Parties that are still in it left with it. An ended call is left as it is.
    ///
    /// # Errors
    /// What the database says.
    pub async fn end_call(&mut self, call: CallId, ended: UnixMillis, state: CallState) -> Result<(), ArchiveError> {
        let state = match state {
            CallState::Interrupted => "interrupted",
            CallState::Ended | CallState::Open => "ended",
        };
        let id = &call.as_bytes()[..];
        let at = millis(ended);
        let done = sqlx::query(
            "UPDATE calls SET state = ?, ended_ms = MAX(?, started_ms) WHERE call_id = ? AND state = 'open'",
        )
        .bind(state)
        .bind(at)
        .bind(id)
        .execute(&mut *self.sql)
        .await?;
        if done.rows_affected() > 0 {
            sqlx::query("UPDATE parties SET left_ms = ? WHERE call_id = ? AND left_ms IS NULL")
                .bind(at)
                .bind(id)
                .execute(&mut *self.sql)
                .await?;
        }
        Ok(())
    }

    /// Deletes a call: its key, and with it every row of it, here and in the journal. Not to be undone.
    /// `true` where there was one.
    ///
    /// # Errors
    /// What the database says.
    pub async fn delete_call(&mut self, call: CallId) -> Result<bool, ArchiveError> {
        self.shredded = true;
        let done = sqlx::query("DELETE FROM calls WHERE call_id = ?")
            .bind(&call.as_bytes()[..])
            .execute(&mut *self.sql)
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Links a number to a room, in place of an older link.
    ///
    /// # Errors
    /// What the database says.
    pub async fn link_number(
        &mut self,
        number: &E164,
        room: &RoomId,
        by: Option<&UserId>,
        at: UnixMillis,
    ) -> Result<(), ArchiveError> {
        let keys = &self.archive.inner.keys;
        let hash = keys.number_hashes.blind(number.reveal().as_bytes());
        let details = LinkDetails { number: number.clone(), by: by.map(ToOwned::to_owned) };
        let sealed = seal_json(&keys.numbers, &link_place(hash), &details)?;
        sqlx::query(
            "INSERT INTO number_links (number_hash, room_id, details, at_ms) VALUES (?, ?, ?, ?) \
             ON CONFLICT (number_hash) DO UPDATE SET room_id = excluded.room_id, details = excluded.details, at_ms = excluded.at_ms",
        )
        .bind(&hash[..])
        .bind(room.as_str())
        .bind(sealed)
        .bind(millis(at))
        .execute(&mut *self.sql)
        .await?;
        Ok(())
    }

    /// Takes a number's link away. The link, where there was one.
    ///
    /// # Errors
    /// What the database says.
    pub async fn unlink_number(&mut self, number: &E164) -> Result<Option<NumberLink>, ArchiveError> {
        let archive = self.archive.clone();
        let link = archive.find_link(&mut self.sql, number).await?;
        let hash = archive.inner.keys.number_hashes.blind(number.reveal().as_bytes());
        sqlx::query("DELETE FROM number_links WHERE number_hash = ?").bind(&hash[..]).execute(&mut *self.sql).await?;
        Ok(link)
    }

    /// Takes a Matrix event in hand: `true` the first time, `false` for every repeat.
    ///
    /// In one transaction with the effects that the event leads to, so that a crash loses neither or both.
    ///
    /// # Errors
    /// What the database says.
    pub async fn handle_once(&mut self, event: &EventId, at: UnixMillis) -> Result<bool, ArchiveError> {
        let done = sqlx::query("INSERT INTO handled (event_id, at_ms) VALUES (?, ?) ON CONFLICT DO NOTHING")
            .bind(event.as_str())
            .bind(millis(at))
            .execute(&mut *self.sql)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Forgets handled events from before `before`, and journal entries that were finished before it and belong to no call.
    /// Keep at least as long as the homeserver may repeat a transaction: a week is plenty.
    ///
    /// # Errors
    /// What the database says.
    pub async fn prune(&mut self, before: UnixMillis) -> Result<u64, ArchiveError> {
        let old = millis(before);
        let events =
            sqlx::query("DELETE FROM handled WHERE at_ms < ?").bind(old).execute(&mut *self.sql).await?.rows_affected();
        let effects = sqlx::query(
            "DELETE FROM effects WHERE call_id IS NULL AND turned_ms < ? AND state IN ('done', 'superseded', 'wedged')",
        )
        .bind(old)
        .execute(&mut *self.sql)
        .await?
        .rows_affected();
        Ok(events + effects)
    }

    pub(crate) async fn keys(&mut self, call: CallId) -> Result<super::store::CallKeys, ArchiveError> {
        self.archive.clone().call_keys(&mut self.sql, call).await
    }

    pub(super) async fn index(
        &mut self,
        call: CallId,
        key: &Secret,
        place: i64,
        text: &str,
    ) -> Result<(), ArchiveError> {
        for word in words::words(text) {
            sqlx::query("INSERT INTO words (token, call_id, utterance) VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
                .bind(&key.blind(word.as_bytes())[..])
                .bind(&call.as_bytes()[..])
                .bind(place)
                .execute(&mut *self.sql)
                .await?;
        }
        Ok(())
    }

    pub(super) async fn unindex(&mut self, call: CallId, place: i64) -> Result<(), ArchiveError> {
        sqlx::query("DELETE FROM words WHERE call_id = ? AND utterance = ?")
            .bind(&call.as_bytes()[..])
            .bind(place)
            .execute(&mut *self.sql)
            .await?;
        Ok(())
    }
}

/// Each step as a transaction of its own.
macro_rules! alone {
    ($( $(#[$doc:meta])* $name:ident ( $($arg:ident : $ty:ty),* ) -> $out:ty; )*) => {
        impl Archive { $(
            $(#[$doc])*
            ///
            /// # Errors
            /// As the step of the same name of [`Tx`].
            pub async fn $name(&self, $($arg: $ty),*) -> Result<$out, ArchiveError> {
                let mut tx = self.begin().await?;
                let out = tx.$name($($arg),*).await?;
                tx.commit().await?;
                Ok(out)
            }
        )* }
    };
}

alone! {
    /// Begins a call ([`Tx::open_call`]).
    open_call(call: &NewCall) -> ();
    /// Replaces the desk's facts ([`Tx::set_facts`]).
    set_facts(call: CallId, facts: &Value) -> ();
    /// Names the call's card ([`Tx::set_card_event`]).
    set_card_event(call: CallId, event: &EventId) -> ();
    /// Adds a party or brings it up to date ([`Tx::upsert_party`]).
    upsert_party(call: CallId, party: &PartyRecord) -> ();
    /// Writes a grant down ([`Tx::record_grant`]).
    record_grant(call: CallId, party: &str, granted: bool, how: How, at: UnixMillis) -> ();
    /// Adds an utterance ([`Tx::add_utterance`]).
    add_utterance(call: CallId, utterance: &NewUtterance) -> UtteranceId;
    /// Says which effect shows these utterances ([`Tx::shown_by`]).
    shown_by(call: CallId, utterances: &[UtteranceId], caption: EffectId) -> ();
    /// Names the message that shows an utterance ([`Tx::set_caption_event`]).
    set_caption_event(call: CallId, utterance: UtteranceId, event: &EventId) -> ();
    /// Deletes all that a party said ([`Tx::withdraw_party_words`]).
    withdraw_party_words(call: CallId, party: &str) -> Withdrawn;
    /// Stores a call's notes ([`Tx::save_notes`]).
    save_notes(call: CallId, notes: &NotesRecord) -> ();
    /// Ends a call ([`Tx::end_call`]).
    end_call(call: CallId, ended: UnixMillis, state: CallState) -> ();
    /// Deletes a call and its key ([`Tx::delete_call`]).
    delete_call(call: CallId) -> bool;
    /// Links a number to a room ([`Tx::link_number`]).
    link_number(number: &E164, room: &RoomId, by: Option<&UserId>, at: UnixMillis) -> ();
    /// Takes a number's link away ([`Tx::unlink_number`]).
    unlink_number(number: &E164) -> Option<NumberLink>;
    /// Takes a Matrix event in hand ([`Tx::handle_once`]).
    handle_once(event: &EventId, at: UnixMillis) -> bool;
    /// Remembers how far something outside was read ([`Tx::set_cursor`]).
    set_cursor(name: &str, at: i64) -> ();
    /// Forgets what is old ([`Tx::prune`]).
    prune(before: UnixMillis) -> u64;
}

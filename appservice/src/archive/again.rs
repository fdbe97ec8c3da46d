//! Words and notes that change after they were written: corrections, fixes, notes that are to be made again.

use bridge::time::UnixMillis;
use serde_json::Value;

use super::read::{id16, open_json};
use super::store::millis;
use super::write::{said_details_place, said_place, seal_json};
use super::{Archive, ArchiveError, CallId, Place, SaidDetails, StoredUtterance, Tx, UtteranceId};

fn fixes_place(call: CallId) -> Place {
    Place::new("calls", "fixes", call)
}

fn kept_place(call: CallId) -> Place {
    Place::new("notes_due", "kept", call)
}

impl Tx {
    /// Puts other words in the place of an utterance's. Its number, speaker and times stay; what the recogniser told of
    /// single words goes.
    ///
    /// # Errors
    /// [`ArchiveError::NoSuchCall`], or what the database says.
    pub async fn correct_utterance(
        &mut self,
        call: CallId,
        said: &StoredUtterance,
        text: &str,
    ) -> Result<(), ArchiveError> {
        let keys = self.keys(call).await?;
        let party = keys.party(&said.party);
        let (start, end) = (millis(said.start), millis(said.end));
        let sealed = keys.rows.seal(&said_place(call, party, start, end), text.as_bytes())?;
        let details = SaidDetails { words: Vec::new(), corrected: true, ..said.details.clone() };
        let details = seal_json(&keys.rows, &said_details_place(call, party, start, end), &details)?;
        sqlx::query("UPDATE utterances SET said = ?, details = ? WHERE call_id = ? AND utterance = ?")
            .bind(sealed)
            .bind(details)
            .bind(&call.as_bytes()[..])
            .bind(said.id.0)
            .execute(&mut *self.sql)
            .await?;
        self.unindex(call, said.id.0).await?;
        self.index(call, &keys.words, said.id.0, text).await?;
        self.revise(call).await
    }

    /// Deletes one utterance and its words in the index.
    ///
    /// # Errors
    /// What the database says.
    pub async fn delete_utterance(&mut self, call: CallId, utterance: UtteranceId) -> Result<(), ArchiveError> {
        self.unindex(call, utterance.0).await?;
        sqlx::query("DELETE FROM utterances WHERE call_id = ? AND utterance = ?")
            .bind(&call.as_bytes()[..])
            .bind(utterance.0)
            .execute(&mut *self.sql)
            .await?;
        self.shredded = true;
        self.revise(call).await
    }

    /// What was said, or who said it, is no longer what it was.
    pub(super) async fn revise(&mut self, call: CallId) -> Result<(), ArchiveError> {
        sqlx::query("UPDATE calls SET revision = revision + 1 WHERE call_id = ?")
            .bind(&call.as_bytes()[..])
            .execute(&mut *self.sql)
            .await?;
        Ok(())
    }

    /// How often words of a call were taken back or corrected.
    ///
    /// # Errors
    /// [`ArchiveError::NoSuchCall`], or what the database says.
    pub async fn revision(&mut self, call: CallId) -> Result<i64, ArchiveError> {
        let row: Option<(i64,)> = sqlx::query_as("SELECT revision FROM calls WHERE call_id = ?")
            .bind(&call.as_bytes()[..])
            .fetch_optional(&mut *self.sql)
            .await?;
        row.map(|(n,)| n).ok_or(ArchiveError::NoSuchCall(call))
    }

    /// Replaces what people mended in a call's notes.
    ///
    /// # Errors
    /// [`ArchiveError::NoSuchCall`], or what the database says.
    pub async fn save_fixes(&mut self, call: CallId, fixes: &Value) -> Result<(), ArchiveError> {
        let keys = self.keys(call).await?;
        let sealed = seal_json(&keys.rows, &fixes_place(call), fixes)?;
        sqlx::query("UPDATE calls SET fixes = ? WHERE call_id = ?")
            .bind(sealed)
            .bind(&call.as_bytes()[..])
            .execute(&mut *self.sql)
            .await?;
        Ok(())
    }

    /// Says that a call's notes are to be made (again). `kept`: what of the last ones may stay, so that items keep their
    /// numbers; no word that was taken back.
    ///
    /// # Errors
    /// [`ArchiveError::NoSuchCall`], or what the database says.
    pub async fn notes_due(&mut self, call: CallId, kept: Option<&Value>) -> Result<(), ArchiveError> {
        let keys = self.keys(call).await?;
        let sealed = kept.map(|kept| seal_json(&keys.rows, &kept_place(call), kept)).transpose()?;
        sqlx::query(
            "INSERT INTO notes_due (call_id, kept, since_ms) VALUES (?, ?, ?) \
             ON CONFLICT (call_id) DO UPDATE SET kept = excluded.kept",
        )
        .bind(&call.as_bytes()[..])
        .bind(sealed)
        .bind(millis(UnixMillis::now()))
        .execute(&mut *self.sql)
        .await?;
        Ok(())
    }

    /// They are made.
    ///
    /// # Errors
    /// What the database says.
    pub async fn notes_made(&mut self, call: CallId) -> Result<(), ArchiveError> {
        sqlx::query("DELETE FROM notes_due WHERE call_id = ?")
            .bind(&call.as_bytes()[..])
            .execute(&mut *self.sql)
            .await?;
        Ok(())
    }
}

impl Archive {
    /// How often words of a call were taken back or corrected.
    ///
    /// # Errors
    /// [`ArchiveError::NoSuchCall`], or what the database says.
    pub async fn revision(&self, call: CallId) -> Result<i64, ArchiveError> {
        let row: Option<(i64,)> = sqlx::query_as("SELECT revision FROM calls WHERE call_id = ?")
            .bind(&call.as_bytes()[..])
            .fetch_optional(&self.inner.reader)
            .await?;
        row.map(|(n,)| n).ok_or(ArchiveError::NoSuchCall(call))
    }

    /// What people mended in a call's notes; `None`: nothing.
    ///
    /// # Errors
    /// [`ArchiveError::NoSuchCall`], or what the database says.
    pub async fn fixes(&self, call: CallId) -> Result<Option<Value>, ArchiveError> {
        let keys = self.read_keys(call).await?;
        let row: Option<(Option<Vec<u8>>,)> = sqlx::query_as("SELECT fixes FROM calls WHERE call_id = ?")
            .bind(&call.as_bytes()[..])
            .fetch_optional(&self.inner.reader)
            .await?;
        row.and_then(|(fixes,)| fixes).map(|f| open_json(&keys.rows, &fixes_place(call), "calls", &f)).transpose()
    }

    /// The calls whose notes are still to be made (again), longest waiting first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn notes_that_are_due(&self) -> Result<Vec<CallId>, ArchiveError> {
        let rows: Vec<(Vec<u8>,)> =
            sqlx::query_as("SELECT call_id FROM notes_due ORDER BY since_ms").fetch_all(&self.inner.reader).await?;
        rows.iter().map(|(id,)| id16("notes_due", id).map(CallId::from_bytes)).collect()
    }

    /// What of a call's last notes may stay ([`Tx::notes_due`]).
    ///
    /// # Errors
    /// [`ArchiveError::NoSuchCall`], or what the database says.
    pub async fn kept_of_notes(&self, call: CallId) -> Result<Option<Value>, ArchiveError> {
        let keys = self.read_keys(call).await?;
        let row: Option<(Option<Vec<u8>>,)> = sqlx::query_as("SELECT kept FROM notes_due WHERE call_id = ?")
            .bind(&call.as_bytes()[..])
            .fetch_optional(&self.inner.reader)
            .await?;
        row.and_then(|(kept,)| kept).map(|k| open_json(&keys.rows, &kept_place(call), "notes_due", &k)).transpose()
    }
}

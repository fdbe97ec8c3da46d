//! Search over ciphertext: the blind index names candidates, each is opened and checked.

use std::collections::BTreeSet;

use bridge::time::UnixMillis;
use matrix_sdk::ruma::{OwnedEventId, RoomId};

use super::read::{event, id16, open_json, open_text};
use super::store::from_millis;
use super::write::{IN_NOTES, NotesDetails, PartyDetails, notes_place, party_place, said_place};
use super::{Archive, ArchiveError, CallId, UtteranceId, words};

/// How much of a text around the first word found is shown, in characters.
const SNIPPET: usize = 140;
/// A question has no more words than this that count.
const MOST_WORDS: usize = 8;

/// Where words were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HitPlace {
    /// Somebody said them.
    Utterance(UtteranceId),
    /// They stand in the notes.
    Notes,
}

/// One place that has all the words asked for.
#[derive(Clone, PartialEq, Eq)]
pub struct Hit {
    /// The call.
    pub call: CallId,
    /// When the call began.
    pub started: UnixMillis,
    /// Where in it.
    pub place: HitPlace,
    /// Who said it.
    pub speaker: Option<String>,
    /// The words with what stands around them.
    pub snippet: String,
    /// The message to link to: caption or notes, else the card.
    pub event: Option<OwnedEventId>,
    /// When it was said or written.
    pub at: UnixMillis,
}

impl std::fmt::Debug for Hit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hit({} {:?})", self.call, self.place)
    }
}

#[derive(sqlx::FromRow)]
struct Candidate {
    call_id: Vec<u8>,
    utterance: i64,
    room_key: Vec<u8>,
    call_key: Vec<u8>,
    started_ms: i64,
    card_event: Option<String>,
    said: Option<Vec<u8>>,
    party: Option<Vec<u8>>,
    start_ms: Option<i64>,
    end_ms: Option<i64>,
    caption_event: Option<String>,
    details: Option<Vec<u8>>,
    body: Option<Vec<u8>>,
    written_ms: Option<i64>,
    notes_event: Option<String>,
}

impl Archive {
    /// The places in a room's calls that have all the words, newest first, at most `limit`. Forms of a word count as the
    /// word (`ships`, `shipping`); case and accents do not count. No words: no hits.
    ///
    /// # Errors
    /// What the database says.
    pub async fn search(&self, room: &RoomId, question: &str, limit: u32) -> Result<Vec<Hit>, ArchiveError> {
        let wanted: BTreeSet<String> = words::words(question).into_iter().take(MOST_WORDS).collect();
        let Some(key) = self.word_key(room).await? else { return Ok(Vec::new()) };
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let tokens: Vec<[u8; 16]> = wanted.iter().map(|w| key.blind(w.as_bytes())).collect();
        // The statement is fixed: MOST_WORDS places for words, unused ones repeat the first (IN counts a value once).
        let mut query = sqlx::query_as::<_, Candidate>(
            "SELECT w.call_id, w.utterance, room_key, call_key, started_ms, card_event, \
                    said, u.party, start_ms, end_ms, caption_event, p.details, body, written_ms, notes_event \
             FROM (SELECT call_id, utterance FROM words WHERE token IN (?, ?, ?, ?, ?, ?, ?, ?) \
                   GROUP BY call_id, utterance HAVING COUNT(*) = ?) AS w \
             JOIN calls ON calls.call_id = w.call_id JOIN rooms ON rooms.room_id = calls.room_id \
             LEFT JOIN utterances AS u ON u.call_id = w.call_id AND u.utterance = w.utterance \
             LEFT JOIN parties AS p ON p.call_id = w.call_id AND p.party = u.party \
             LEFT JOIN notes AS n ON n.call_id = w.call_id AND w.utterance = -1 \
             WHERE calls.room_id = ? ORDER BY started_ms DESC, w.utterance LIMIT ?",
        );
        for i in 0..MOST_WORDS {
            query = query.bind(tokens.get(i).unwrap_or(&tokens[0]).to_vec());
        }
        let count = i64::try_from(tokens.len()).unwrap_or(i64::MAX);
        let rows = query.bind(count).bind(room.as_str()).bind(limit).fetch_all(&self.inner.reader).await?;
        let mut hits = Vec::with_capacity(rows.len());
        for row in rows {
            if let Some(hit) = self.verify(room, row, &wanted)? {
                hits.push(hit);
            }
        }
        Ok(hits)
    }

    fn verify(&self, room: &RoomId, row: Candidate, wanted: &BTreeSet<String>) -> Result<Option<Hit>, ArchiveError> {
        let call = CallId::from_bytes(id16("words", &row.call_id)?);
        let keys = self.open_call_keys(room.as_str(), &row.room_key, call, &row.call_key)?;
        let card = event("calls", row.card_event)?;
        let started = from_millis(row.started_ms);
        let hit = if row.utterance == IN_NOTES {
            let Some(sealed) = row.body else { return Ok(None) };
            let NotesDetails { text, .. } = open_json(&keys.rows, &notes_place(call), "notes", &sealed)?;
            let Some(snippet) = snippet(&text, wanted) else { return Ok(None) };
            let at = row.written_ms.map_or(started, from_millis);
            let event = event("notes", row.notes_event)?.or(card);
            Hit { call, started, place: HitPlace::Notes, speaker: None, snippet, event, at }
        } else {
            let (Some(said), Some(party)) = (row.said, row.party) else { return Ok(None) };
            let party = id16("utterances", &party)?;
            let (start, end) = (row.start_ms.unwrap_or(0), row.end_ms.unwrap_or(0));
            let text = open_text(&keys, &said_place(call, party, start, end), &said)?;
            let Some(snippet) = snippet(&text, wanted) else { return Ok(None) };
            let speaker = row
                .details
                .map(|d| {
                    open_json::<PartyDetails>(&keys.rows, &party_place(call, party), "parties", &d).map(|d| d.name)
                })
                .transpose()?;
            let at = from_millis(start);
            let event = event("utterances", row.caption_event)?.or(card);
            Hit { call, started, place: HitPlace::Utterance(UtteranceId(row.utterance)), speaker, snippet, event, at }
        };
        Ok(Some(hit))
    }
}

/// The text around the first word found; `None` where a word is missing.
fn snippet(text: &str, wanted: &BTreeSet<String>) -> Option<String> {
    let spans = words::spans(text);
    let have: BTreeSet<&String> = spans.iter().map(|(w, _)| w).collect();
    if !wanted.iter().all(|w| have.contains(w)) {
        return None;
    }
    let at = spans.iter().find(|(w, _)| wanted.contains(w)).map_or(0, |(_, at)| *at);
    let before = text[..at].chars().count();
    let total = text.chars().count();
    if total <= SNIPPET {
        return Some(text.trim().to_owned());
    }
    let skip = before.saturating_sub(SNIPPET / 3).min(total - SNIPPET);
    let middle: String = text.chars().skip(skip).take(SNIPPET).collect();
    let (head, tail) = (if skip > 0 { "…" } else { "" }, if skip + SNIPPET < total { "…" } else { "" });
    Some(format!("{head}{}{tail}", middle.trim()))
}

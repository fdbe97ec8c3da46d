//! The end of a call: its notes, once, whatever happened before.

use bridge::time::UnixMillis;
use models::notes::{ExtractiveWriter, Notes, SaidUtterance, Transcript};

use super::{House, paper};
use crate::{
    archive::{CallId, CallRecord, CallState, EffectId, NotesRecord},
    journal::NewEffect,
};

/// Writes the notes of what is in the archive, records their message and closes the call, in one transaction.
/// Done again for the same call nothing changes: the effect that posts the notes is named after the call.
pub(crate) async fn finish(house: &House, id: CallId, ended: UnixMillis, state: CallState) -> anyhow::Result<()> {
    let Some(call) = house.archive.call(id).await?.filter(|c| c.state == CallState::Open) else { return Ok(()) };
    let written = write(house, &call, ended, state, EffectId::named(id, "notes")).await?;
    let mut tx = house.archive.begin().await?;
    if let Some((record, posted)) = &written {
        tx.save_notes(id, record).await?;
        tx.record(posted).await?;
    }
    tx.end_call(id, ended, state).await?;
    tx.commit().await?;
    tracing::info!(call = %id, notes = written.is_some(), "call closed");
    Ok(())
}

/// Makes the notes of a closed call again, of the words that are left.
pub(crate) async fn again(house: &House, id: CallId) -> anyhow::Result<()> {
    let Some(call) = house.archive.call(id).await?.filter(|c| c.state != CallState::Open) else { return Ok(()) };
    let ended = call.ended.unwrap_or(call.started);
    if let Some((record, posted)) = write(house, &call, ended, call.state, EffectId::random()?).await? {
        let mut tx = house.archive.begin().await?;
        tx.save_notes(id, &record).await?;
        tx.record(&posted).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Notes and the effect that posts them; `None` where nobody was heard.
async fn write(
    house: &House,
    call: &CallRecord,
    ended: UnixMillis,
    state: CallState,
    effect: EffectId,
) -> anyhow::Result<Option<(NotesRecord, NewEffect)>> {
    let utterances = house.archive.utterances(call.id).await?;
    if utterances.is_empty() {
        return Ok(None);
    }
    let parties = house.archive.parties(call.id).await?;
    let name = |user: &str| parties.iter().find(|p| p.user == user).map_or_else(|| user.to_owned(), |p| p.name.clone());
    let transcript = Transcript {
        utterances: utterances
            .iter()
            .map(|u| SaidUtterance {
                id: u64::try_from(u.id.0).unwrap_or_default(),
                speaker: name(&u.party),
                start_ms: offset(u.start, call.started),
                end_ms: offset(u.end, call.started),
                text: u.text.clone(),
            })
            .collect(),
        started_ms: i64::try_from(call.started.0).unwrap_or(i64::MAX),
        time_zone: house.config.notes.time_zone.clone(),
        terms: Vec::new(),
    };
    let notes = compute(transcript).await?;
    let agreed = house.archive.grants(call.id).await?;
    let heard: Vec<&str> = utterances
        .iter()
        .map(|u| u.party.as_str())
        .chain(agreed.iter().filter(|g| g.granted).map(|g| g.party.as_str()))
        .collect();
    let mut posted = paper::notes(house, call, ended, state, &parties, &heard, &utterances, &notes);
    posted.id = effect;
    let record = NotesRecord {
        body: serde_json::to_value(&notes)?,
        text: crate::text::words_of_notes(&notes),
        writer: notes.written_by.clone(),
        written: UnixMillis::now(),
        effect: Some(effect),
    };
    Ok(Some((record, posted)))
}

/// Writing may compute for a while: not on a thread that carries calls.
async fn compute(transcript: Transcript) -> anyhow::Result<Notes> {
    Ok(tokio::task::spawn_blocking(move || ExtractiveWriter.write(&transcript)).await?)
}

fn offset(at: UnixMillis, start: UnixMillis) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX).saturating_sub_unsigned(start.0)
}

//! The notes of a call: once at its end, whatever happened before, and again whenever words were taken back or corrected.
//!
//! People wait for them: what the writers have not written within [`WITHIN`] is written at once by the extractive one, and
//! the better notes take that message's place when they are there. Until then the archive knows that they are due, so that
//! a crash forgets none. Notes that were made of words that have changed meanwhile are never stored.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bridge::time::UnixMillis;
use models::notes::{Fix, NoteTaker, Notes, SaidUtterance, fix};

use super::{Notary, names::Names, paper, taking::Taking, todo};
use crate::{
    archive::{CallId, CallRecord, CallState, EffectId, NotesRecord, StoredUtterance},
    journal::{EventRef, Relation},
};

/// How long the writers may keep people waiting ([`Notary::patience`]). With the rest that is to be done the notes stand
/// within 5 s.
pub const WITHIN: Duration = Duration::from_millis(3500);
/// How often notes are begun anew because words changed while they were made.
const ATTEMPTS: u32 = 5;

/// How notes come into the thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Post {
    /// As the call's one message.
    First,
    /// In place of what stands there; as a message of its own where nothing stands there any more.
    Edit,
}

/// Writes the notes, records their message and closes the call, in one transaction. Done again for the same call nothing
/// changes: the effect that posts the notes is named after the call. `taking`: what was written while the call went on;
/// without it all is taken from the archive.
pub(crate) async fn finish(
    notary: &Arc<Notary>,
    id: CallId,
    ended: UnixMillis,
    state: CallState,
    taking: Option<Taking>,
) -> anyhow::Result<()> {
    let Some(call) = notary.archive.call(id).await?.filter(|c| c.state == CallState::Open) else { return Ok(()) };
    let call = CallRecord { ended: Some(ended), state, ..call };
    let mut taking = taking;
    for _ in 0..ATTEMPTS {
        let revision = notary.archive.revision(id).await?;
        let utterances = notary.archive.utterances(id).await?;
        if utterances.is_empty() {
            break;
        }
        let taken = match taking.take() {
            Some(taken) => taken,
            None => from_archive(notary, &call, &utterances).await?,
        };
        let (notes, all) = in_time(notary, &call, &utterances, &taken, None).await;
        if !save(notary, &call, notes.clone(), Post::First, revision, !all).await? {
            continue;
        }
        tracing::info!(call = %id, notes = true, in_time = all, "call closed");
        if !all {
            let notary_too = Arc::clone(notary);
            notary.later.spawn(async move {
                match better(&notary_too, &call, taken, notes, revision).await {
                    Ok(true) => {}
                    // Words were taken back meanwhile; whoever did that has the notes made again.
                    Ok(false) => tracing::debug!(call = %call.id, "late notes are of words that are gone"),
                    Err(error) => tracing::error!(call = %call.id, %error, "better notes could not be stored"),
                }
            });
        }
        return Ok(());
    }
    notary.archive.end_call(id, ended, state).await?;
    tracing::info!(call = %id, notes = false, "call closed");
    Ok(())
}

/// Makes the notes of a closed call again, of the words that are left.
pub(crate) async fn again(notary: &Arc<Notary>, id: CallId) -> anyhow::Result<()> {
    // One after the other: a language model has no more hands than that.
    let _turn = notary.making.lock().await;
    for _ in 0..ATTEMPTS {
        let Some(call) = notary.archive.call(id).await?.filter(|c| c.state != CallState::Open) else { return Ok(()) };
        let revision = notary.archive.revision(id).await?;
        let utterances = notary.archive.utterances(id).await?;
        if utterances.is_empty() {
            let mut tx = notary.archive.begin().await?;
            tx.save_todos(id, &call.room, &[]).await?;
            tx.notes_made(id).await?;
            return Ok(tx.commit().await?);
        }
        let previous = previous(notary, id).await?;
        let taking = from_archive(notary, &call, &utterances).await?;
        let (notes, all) = in_time(notary, &call, &utterances, &taking, previous).await;
        if !save(notary, &call, notes.clone(), Post::Edit, revision, !all).await? {
            continue;
        }
        if all || better(notary, &call, taking, notes, revision).await? {
            return Ok(());
        }
    }
    anyhow::bail!("the words of call {id} changed each time while its notes were made")
}

/// Shows the notes as they stand in the archive, with what was mended or ticked since.
pub(crate) async fn show(notary: &Arc<Notary>, id: CallId) -> anyhow::Result<()> {
    let Some(call) = notary.archive.call(id).await? else { return Ok(()) };
    let revision = notary.archive.revision(id).await?;
    let Some(stored) = notary.archive.notes(id).await? else { return Ok(()) };
    let notes: Notes = serde_json::from_value(stored.body)?;
    save(notary, &call, notes, Post::Edit, revision, false).await?;
    Ok(())
}

/// What the writers wrote in time, else what can be had at once. `true`: all is written.
async fn in_time(
    notary: &Notary,
    call: &CallRecord,
    utterances: &[StoredUtterance],
    taking: &Taking,
    previous: Option<Notes>,
) -> (Notes, bool) {
    if let Ok(Some(notes)) = tokio::time::timeout(notary.patience, taking.finish(previous.clone())).await {
        return (notes, true);
    }
    notary.metrics.notes_late();
    tracing::info!(call = %call.id, "the writers take longer: the first notes are extractive");
    let mut quick = notary.writers.extractive(call.started, &notary.time_zone);
    if let Ok(said) = transcript(notary, call, utterances).await {
        said.into_iter().for_each(|u| quick.add(u));
    }
    // Not on a thread that carries calls.
    let written = tokio::task::spawn_blocking(move || quick.finish(previous.as_ref())).await;
    (written.unwrap_or_default(), false)
}

/// Waits for the writers and puts their notes in the place of the first ones. `false`: words have changed meanwhile.
async fn better(
    notary: &Arc<Notary>,
    call: &CallRecord,
    taking: Taking,
    first: Notes,
    revision: i64,
) -> anyhow::Result<bool> {
    match taking.finish(Some(first.clone())).await {
        Some(notes) => save(notary, call, notes, Post::Edit, revision, false).await,
        // They broke off for good: the first ones stay.
        None => save(notary, call, first, Post::Edit, revision, false).await,
    }
}

/// A taker that has heard all that is in the archive.
async fn from_archive(notary: &Notary, call: &CallRecord, utterances: &[StoredUtterance]) -> anyhow::Result<Taking> {
    let terms =
        notary.archive.room_settings::<crate::settings::RoomSettings>(&call.room).await?.unwrap_or_default().terms;
    let taking = Taking::start(notary.writers.taker(call.started, &notary.time_zone, terms))?;
    transcript(notary, call, utterances).await?.into_iter().for_each(|said| taking.add(said));
    Ok(taking)
}

async fn transcript(
    notary: &Notary,
    call: &CallRecord,
    utterances: &[StoredUtterance],
) -> anyhow::Result<Vec<SaidUtterance>> {
    let names = Names::new(&notary.archive.parties(call.id).await?, &notary.archive.voices(call.id).await?);
    let said = |u: &StoredUtterance| SaidUtterance {
        id: u64::try_from(u.id.0).unwrap_or_default(),
        speaker: names.speaker(u),
        start_ms: offset(u.start, call.started),
        end_ms: offset(u.end, call.started),
        text: u.text.clone(),
    };
    Ok(utterances.iter().map(said).collect())
}

/// The notes that people have seen, for the numbers of their items.
async fn previous(notary: &Notary, id: CallId) -> anyhow::Result<Option<Notes>> {
    let stored = notary.archive.notes(id).await?.map(|n| n.body);
    let kept = match stored {
        Some(body) => Some(body),
        None => notary.archive.kept_of_notes(id).await?,
    };
    Ok(kept.map(serde_json::from_value).transpose()?)
}

/// What people mended in a call's notes.
pub(crate) async fn fixes(notary: &Notary, id: CallId) -> anyhow::Result<Vec<Fix>> {
    Ok(notary.archive.fixes(id).await?.map(serde_json::from_value).transpose()?.unwrap_or_default())
}

/// Stores notes with what people mended, brings the to-do list up to date, records the message; all or nothing. `false`:
/// they were made of words that have changed since.
async fn save(
    notary: &Arc<Notary>,
    call: &CallRecord,
    mut notes: Notes,
    post: Post,
    revision: i64,
    due: bool,
) -> anyhow::Result<bool> {
    fix::apply(&mut notes, &fixes(notary, call.id).await?);
    let page = paper::Page::of(notary, call).await?;
    let states = todo::states(notary, call).await?;
    let content = page.notes(notary, call, &notes, &states);
    let stands = notary.archive.notes(call.id).await?.and_then(|n| n.effect);
    let (effect, relation, shown_by) = match (post, stands) {
        (Post::Edit, Some(stands)) => {
            (EffectId::random()?, Some(Relation::Replace { of: EventRef::Effect(stands) }), None)
        }
        (Post::First, _) => (EffectId::named(call.id, "notes"), None, Some(EffectId::named(call.id, "notes"))),
        (Post::Edit, None) => {
            let id = EffectId::random()?;
            (id, None, Some(id))
        }
    };
    let record = NotesRecord {
        body: serde_json::to_value(&notes)?,
        text: crate::text::words_of_notes(&notes),
        writer: notes.written_by.clone(),
        written: UnixMillis::now(),
        effect: shown_by,
    };
    let todos = todo::of(notary, call, &page.parties, &notes);
    let mut tx = notary.archive.begin().await?;
    if tx.revision(call.id).await? != revision {
        return Ok(false);
    }
    tx.save_notes(call.id, &record).await?;
    tx.record(&paper::notes(notary, call, effect, relation, content)).await?;
    tx.save_todos(call.id, &call.room, &todos).await?;
    if due {
        tx.notes_due(call.id, None).await?;
    } else {
        tx.notes_made(call.id).await?;
        notary.metrics.notes_written(&notes.written_by);
    }
    if let (Post::First, Some(ended)) = (post, call.ended) {
        tx.end_call(call.id, ended, call.state).await?;
    }
    tx.commit().await?;
    Ok(true)
}

/// Answers with the notes of a call that goes on, as they stand now.
pub(crate) async fn so_far(
    notary: &Notary,
    id: CallId,
    draft: Option<Notes>,
    effect: EffectId,
    relation: Option<Relation>,
) -> anyhow::Result<()> {
    let Some(call) = notary.archive.call(id).await? else { return Ok(()) };
    let nothing = notary.archive.utterances(id).await?.is_empty();
    let content = match draft.filter(|_| !nothing) {
        Some(notes) => {
            let mut content = paper::Page::of(notary, &call).await?.notes(notary, &call, &notes, &HashMap::new());
            // Nobody is called upon by a draft.
            content["m.mentions"] = serde_json::json!({});
            content
        }
        None => crate::text::plain_answer("Nothing is written down of this call yet."),
    };
    notary.archive.journal().record(&paper::answer(notary, &call, effect, relation, content)).await?;
    Ok(())
}

/// How far into the call a moment is, in ms.
pub(crate) fn offset(at: UnixMillis, start: UnixMillis) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX).saturating_sub_unsigned(start.0)
}

/// Takes notes of a call that begins.
pub(crate) fn begin(notary: &Notary, started: UnixMillis, terms: Vec<String>) -> Option<Taking> {
    let taker: NoteTaker = notary.writers.taker(started, &notary.time_zone, terms);
    Taking::start(taker)
        .inspect_err(|error| tracing::warn!(%error, "no thread for notes: they are written at the end"))
        .ok()
}

#[cfg(test)]
#[path = "finish_tests.rs"]
mod tests;

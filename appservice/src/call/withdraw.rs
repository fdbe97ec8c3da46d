//! Taking words back: archive, captions, notes, to-dos, in one transaction with what is to be mended in the room.

use std::collections::HashSet;

use matrix_sdk::ruma::{OwnedRoomId, RoomId};
use models::notes::{Fix, Notes};

use super::{Notary, finish};
use crate::{
    archive::{CallRecord, EffectId},
    journal::{Effect, EventRef, Lane, NewEffect},
};

/// What was taken back in one call.
#[derive(Debug, Default)]
pub(crate) struct Gone {
    /// Numbers of the utterances.
    pub(crate) ids: Vec<u64>,
    /// Notes rested on them, and are to be made again.
    pub(crate) notes: bool,
}

/// Deletes what a party said in a call and has the room mended: captions and notes are redacted, the notes noted as due.
pub(crate) async fn take_back(notary: &Notary, call: &CallRecord, party: &str) -> anyhow::Result<Gone> {
    let said: HashSet<u64> = notary
        .archive
        .utterances(call.id)
        .await?
        .iter()
        .filter(|u| u.party == party)
        .filter_map(|u| u64::try_from(u.id.0).ok())
        .collect();
    let stored = notary.archive.notes(call.id).await?;
    let stands = stored.as_ref().and_then(|n| n.event.clone().map(EventRef::Event).or(n.effect.map(EventRef::Effect)));
    let notes: Option<Notes> = stored.map(|n| serde_json::from_value(n.body)).transpose()?;
    let touched = notes.as_ref().map(|notes| resting_on(notes, &said)).unwrap_or_default();
    let fixes: Vec<Fix> = finish::fixes(notary, call.id).await?;
    let left: Vec<&Fix> = fixes.iter().filter(|f| !touched.contains(&f.item.0)).collect();

    // Words and what is to be mended outside go in one transaction: a crash forgets neither.
    let mut tx = notary.archive.begin().await?;
    let gone = tx.withdraw_party_words(call.id, party).await?;
    let mut shown: Vec<EventRef> = gone.captions.into_iter().map(EventRef::Event).collect();
    shown.extend(gone.under_way.into_iter().map(EventRef::Effect));
    shown.extend(stands.filter(|_| gone.notes));
    for event in shown {
        tx.record(&redaction(notary, call, event)).await?;
    }
    if gone.notes {
        let kept = notes.map(|notes| kept(notes, &said));
        tx.notes_due(call.id, kept.map(serde_json::to_value).transpose()?.as_ref()).await?;
    }
    if left.len() < fixes.len() {
        tx.save_fixes(call.id, &serde_json::to_value(&left)?).await?;
    }
    tx.commit().await?;
    Ok(Gone { ids: gone.ids.iter().filter_map(|id| u64::try_from(id.0).ok()).collect(), notes: gone.notes })
}

fn redaction(notary: &Notary, call: &CallRecord, event: EventRef) -> NewEffect {
    let id = EffectId::named(call.id, &format!("redact {}", event.placeholder()));
    let room: &OwnedRoomId = &call.room;
    NewEffect { id, call: None, lane: Lane::room(room), party: None, effect: redact(notary, room, event) }
}

fn redact(notary: &Notary, room: &RoomId, event: EventRef) -> Effect {
    Effect::Redact {
        as_user: notary.bot.clone(),
        room: room.to_owned(),
        event,
        reason: Some("words were taken back".to_owned()),
    }
}

/// The items that rest on some of these utterances.
fn resting_on(notes: &Notes, gone: &HashSet<u64>) -> HashSet<u32> {
    let rests = |cites: &[u64]| cites.iter().any(|id| gone.contains(id));
    let mut out = HashSet::new();
    out.extend(notes.decisions.iter().chain(&notes.questions).filter(|i| rests(&i.cites)).map(|i| i.id.0));
    out.extend(notes.actions.iter().filter(|i| rests(&i.cites)).map(|i| i.id.0));
    out.extend(notes.deadlines.iter().filter(|i| rests(&i.cites)).map(|i| i.id.0));
    out.extend(notes.next_meeting.iter().filter(|i| rests(&i.cites)).map(|i| i.id.0));
    out.extend(notes.mended.iter().filter(|i| rests(&i.cites)).map(|i| i.id.0));
    out
}

/// What of notes may stay until they are made again, so that items keep their numbers: nothing that rests on words that
/// are gone, and nothing that was written of the whole.
fn kept(mut notes: Notes, gone: &HashSet<u64>) -> Notes {
    let stays = |cites: &[u64]| !cites.iter().any(|id| gone.contains(id));
    notes.title.clear();
    notes.summary.clear();
    notes.keywords.clear();
    notes.names.clear();
    notes.decisions.retain(|i| stays(&i.cites));
    notes.questions.retain(|i| stays(&i.cites));
    notes.actions.retain(|i| stays(&i.cites));
    notes.deadlines.retain(|i| stays(&i.cites));
    notes.mended.retain(|i| stays(&i.cites));
    notes.next_meeting.take_if(|i| !stays(&i.cites));
    notes
}

#[cfg(test)]
mod tests {
    use models::notes::{Action, Cited, ItemId};

    use super::*;

    #[test]
    fn nothing_that_rests_on_words_taken_back_is_kept() {
        let action = |id: u32, text: &str, cites: &[u64]| Action {
            id: ItemId(id),
            text: text.into(),
            owner: None,
            due: None,
            cites: cites.to_vec(),
        };
        let notes = Notes {
            title: "Canary".into(),
            summary: vec![Cited { text: "The canary sings.".into(), cites: vec![1], ..Cited::default() }],
            actions: vec![action(1, "feed the canary", &[1, 2]), action(4, "send the report", &[3])],
            keywords: vec!["canary".into()],
            last_item: 5,
            ..Notes::default()
        };
        let gone: HashSet<u64> = [2].into();
        assert_eq!(resting_on(&notes, &gone), [1].into());
        let kept = kept(notes, &gone);
        assert!(!serde_json::to_string(&kept).unwrap().to_lowercase().contains("canary"));
        assert_eq!((kept.actions.len(), kept.actions[0].id, kept.last_item), (1, ItemId(4), 5));
    }
}

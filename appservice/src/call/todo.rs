//! A room's to-do list: filled from notes, ticked by command or reaction, and reminded of.

use std::{collections::HashMap, sync::Arc};

use bridge::time::UnixMillis;
use matrix_sdk::ruma::{OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UserId};
use models::notes::Notes;

use super::{Notary, finish};
use crate::{
    archive::{
        CallId, CallRecord, EffectId, PartyKind, PartyRecord, Reminder, Todo, TodoBody, TodoState, Turned, UtteranceId,
    },
    journal::{Effect, EventRef, Lane, NewEffect, Purpose},
    text,
};

/// A reminder that comes later than this is none any more: the process was down for long.
const STALE: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

/// Where the to-dos of a call's notes stand, by item.
pub(crate) async fn states(notary: &Notary, call: &CallRecord) -> anyhow::Result<HashMap<u32, TodoState>> {
    let all = notary.archive.todos(&call.room).await?;
    Ok(all.into_iter().filter(|t| t.call == call.id).map(|t| (t.item, t.state)).collect())
}

/// What a call's notes put on the room's list, with the time to remind of each.
pub(crate) fn of(
    notary: &Notary,
    call: &CallRecord,
    parties: &[PartyRecord],
    notes: &Notes,
) -> Vec<(u32, TodoBody, Option<UnixMillis>)> {
    let zone = notary.zone();
    let ended = call.ended.unwrap_or(call.started);
    notes
        .actions
        .iter()
        .filter(|a| a.id.0 > 0)
        .map(|action| {
            let mut named = parties.iter().filter(|p| Some(p.name.as_str()) == action.owner.as_deref());
            // Two of one name: nobody is called upon by mistake.
            let owner_user = match (named.next(), named.next()) {
                (Some(one), None) if one.kind == PartyKind::Matrix => Some(one.user.clone()),
                _ => None,
            };
            let remind = action.due.as_ref().and_then(|due| zone.at_nine(due.date));
            let body = TodoBody {
                text: action.text.clone(),
                owner: action.owner.clone(),
                owner_user,
                due: action.due.as_ref().map(|d| (d.date.to_string(), d.said.clone())),
                cites: action.cites.iter().filter_map(|id| i64::try_from(*id).ok()).map(UtteranceId).collect(),
                turned: None,
            };
            // What was due before the call ended is not news.
            (action.id.0, body, remind.filter(|at| *at > ended))
        })
        .collect()
}

/// Turns a to-do; the notes that show it follow. `None`: there is none of that number. `Some(None)`: it stood so already.
pub(crate) async fn turn(
    notary: &Arc<Notary>,
    room: &OwnedRoomId,
    number: u32,
    state: TodoState,
    by: &UserId,
    ticked_by: Option<&OwnedEventId>,
) -> anyhow::Result<Option<Option<CallId>>> {
    let turned = Turned { by: by.to_string(), at: UnixMillis::now() };
    let mut tx = notary.archive.begin().await?;
    let Some(changed) = tx.turn_todo(room, number, state, turned).await? else { return Ok(None) };
    if let Some(reaction) = ticked_by {
        tx.ticked_by(reaction, room, number).await?;
    }
    tx.commit().await?;
    if !changed {
        return Ok(Some(None));
    }
    let call = notary.archive.todos(room).await?.into_iter().find(|t| t.number == number).map(|t| t.call);
    if let Some(call) = call {
        finish::show(notary, call).await?;
    }
    Ok(Some(call))
}

/// A reaction on some message: ticks what it means, where the message shows to-dos.
pub(crate) async fn reacted(
    notary: &Arc<Notary>,
    room: &OwnedRoomId,
    by: &OwnedUserId,
    reaction: &OwnedEventId,
    target: &OwnedEventId,
    key: &str,
) -> anyhow::Result<()> {
    let shown = notary.archive.todos_shown_by(room, target).await?;
    if shown.is_empty() {
        return Ok(());
    }
    let open: Vec<u32> = open(notary, room).await?.into_iter().map(|t| t.number).collect();
    if let Some(number) = text::ticked(key, &shown, &open) {
        turn(notary, room, number, TodoState::Done, by, Some(reaction)).await?;
    }
    Ok(())
}

/// A reaction was taken off: what it had ticked is open again.
pub(crate) async fn reaction_gone(
    notary: &Arc<Notary>,
    room: &OwnedRoomId,
    by: &OwnedUserId,
    reaction: &OwnedEventId,
) -> anyhow::Result<()> {
    let mut tx = notary.archive.begin().await?;
    let numbers = tx.unticked(reaction).await?;
    if numbers.is_empty() {
        return Ok(());
    }
    tx.commit().await?;
    for number in numbers {
        turn(notary, room, number, TodoState::Open, by, None).await?;
    }
    Ok(())
}

async fn open(notary: &Notary, room: &OwnedRoomId) -> anyhow::Result<Vec<Todo>> {
    let all = notary.archive.todos(room).await?;
    Ok(all.into_iter().filter(|t| t.state == TodoState::Open).collect())
}

/// The message that a to-do rests on first.
pub(crate) async fn link(notary: &Notary, todo: &Todo) -> Option<EventRef> {
    for cited in &todo.body.cites {
        if let Ok(Some(event)) = notary.archive.caption_of(todo.call, *cited).await {
            return Some(EventRef::Event(event));
        }
    }
    None
}

/// Records the reminders that are due, each with the mark that it was, so that it comes once. `joined`: whether the bot is
/// in a room still.
pub(crate) async fn remind(notary: &Notary, now: UnixMillis, joined: impl Fn(&RoomId) -> bool) -> anyhow::Result<()> {
    for Reminder { room, todo, at } in notary.archive.reminders(now).await? {
        let mut tx = notary.archive.begin().await?;
        tx.reminded(&room, todo.number, now).await?;
        if now.since(at) < STALE && joined(&room) {
            let owner = todo.body.owner_user.as_ref().and_then(|user| UserId::parse(user).ok());
            let via = notary.via();
            let place = link(notary, &todo).await.map(|event| text::permalink(&room, &event, &via));
            let today = notary.zone().day(now);
            let effect = Effect::SendEvent {
                as_user: notary.bot.clone(),
                room: room.clone(),
                event_type: "m.room.message".to_owned(),
                content: text::reminder(&todo, today, owner.as_ref(), place.as_deref()),
                relation: None,
                purpose: Purpose::Notice,
            };
            // Named after the day: the same one is never sent twice, another day's is another.
            let id = EffectId::named(todo.call, &format!("remind-{}-{}", todo.item, at.0));
            tx.record(&NewEffect { id, call: Some(todo.call), lane: Lane::room(&room), party: None, effect }).await?;
            tx.shows_todos(id, &room, &[todo.number], now).await?;
        }
        tx.commit().await?;
        notary.metrics.reminded();
    }
    Ok(())
}

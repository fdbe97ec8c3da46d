//! After a crash: take our devices out of the calls they were in, and write the notes of what was heard.
//!
//! The phone's leg died with the process. Its ghost and the bot may still stand in the room's list until the
//! homeserver sends their scheduled leave; they are taken out at once. Whoever is still in that call is not listened to
//! again until the room's call has been empty, or somebody says `!notes on`: the call that they agreed to is over.

use bridge::{
    matrixrtc::{MEMBER_EVENT, Member, MemberEvent, Membership},
    time::UnixMillis,
};
use matrix_sdk::ruma::{OwnedRoomId, UserId};
use serde_json::json;

use super::{House, finish, paper};
use crate::{
    archive::{CallRecord, CallState, PartyKind},
    matrix::RawStateEvent,
};

/// Closes what the last process left open. Gives the rooms whose call was cut off.
///
/// # Errors
/// When the archive cannot be read or written; then nothing may go on.
pub async fn recover(house: &House) -> anyhow::Result<Vec<OwnedRoomId>> {
    let open = house.archive.open_calls().await?;
    let mut rooms = Vec::new();
    for call in open {
        tracing::info!(call = %call.id, room = %call.room, "a call was cut off by the end of the last process");
        if let Err(error) = leave_call(house, &call).await {
            // The scheduled leave of the homeserver stands behind it.
            tracing::warn!(call = %call.id, %error, "our members could not be taken out of the call");
        }
        let utterances = house.archive.utterances(call.id).await?;
        paper::late_captions(house, &call, &utterances).await?;
        let last_words = utterances.iter().map(|u| u.end).max();
        let ended = last_words.unwrap_or(call.started);
        finish::finish(&house.notary, call.id, ended.max(call.started), CallState::Interrupted, None).await?;
        rooms.push(call.room);
    }
    Ok(rooms)
}

async fn leave_call(house: &House, call: &CallRecord) -> anyhow::Result<()> {
    let bot = house.matrix.bot();
    let mut ours = vec![bot.user_id().to_string()];
    let phones = house.archive.parties(call.id).await?.into_iter().filter(|p| p.kind == PartyKind::Phone);
    ours.extend(phones.map(|p| p.user));
    for event in bot.room_state(&call.room, MEMBER_EVENT).await? {
        if !ours.iter().any(|user| event.sender == user.as_str()) || !counts(&event) {
            continue;
        }
        let user = house.matrix.user(<&UserId>::try_from(event.sender.as_str())?).await?;
        user.send_state(&call.room, MEMBER_EVENT, &event.state_key, json!({})).await?;
        tracing::info!(call = %call.id, user = %event.sender, "taken out of the call");
    }
    Ok(())
}

fn counts(event: &RawStateEvent) -> bool {
    let (sender, state_key, event_id) = (event.sender.as_str(), event.state_key.as_str(), event.event_id.as_str());
    let event = MemberEvent { sender, state_key, content: &event.content, event_id, sent: UnixMillis(event.ts) };
    // What does not parse is taken away as well.
    !matches!(Membership::parse(&event), Ok(None))
}

/// Who of a roster's members are people: not one of our own users.
pub(crate) fn is_person(house: &House, member: &Member) -> bool {
    !house.matrix.is_ours(&member.user)
}

//! Invitations to the bot, and what it does in a room that it comes into.
use std::{sync::Arc, time::Duration};

use matrix_sdk::ruma::{OwnedRoomId, OwnedUserId};
use serde_json::json;

use super::{Inner, MatrixError, event::MatrixEvent, user::VirtualUser};

const FUNCTIONAL: &str = "io.element.functional_members";

/// Takes or refuses an invitation, in a task of its own: a join can last a minute.
pub(crate) fn answer(inner: &Arc<Inner>, bot: &VirtualUser, room: OwnedRoomId, inviter: OwnedUserId) {
    let (inner_, bot) = (inner.clone(), bot.clone());
    inner.spawn("invitation", async move {
        let accepted = inner_.permissions.may_use(&inviter);
        let done = tokio::select! {
            done = carry_out(&bot, &room, accepted) => done,
            () = inner_.stop.cancelled() => return,
        };
        match &done {
            Ok(()) => tracing::info!(%room, %inviter, accepted, "invitation answered"),
            Err(error) => tracing::warn!(%room, %inviter, accepted, %error, "an invitation cannot be answered"),
        }
        inner_.emit(MatrixEvent::Invite { room, inviter, accepted: accepted && done.is_ok() }).await;
    });
}

async fn carry_out(bot: &VirtualUser, room: &OwnedRoomId, accepted: bool) -> Result<(), MatrixError> {
    if !accepted {
        let reason = "You may not use this Roomtone. Its operator says who may (permissions).";
        return bot.leave(room, Some(reason)).await;
    }
    let mut wait = Duration::from_secs(1);
    for _ in 0..4 {
        match bot.join(room).await {
            Err(error) if !error.certain() || error.errcode() == Some("M_LIMIT_EXCEEDED") => {
                tracing::debug!(%room, %error, "joining is tried again");
            }
            done => return done,
        }
        tokio::time::sleep(wait).await;
        wait *= 3;
    }
    bot.join(room).await
}

/// Marks the bot as a functional member, where it may: clients then do not count it when they name the room.
pub(crate) fn settle_in(inner: &Arc<Inner>, bot: &VirtualUser, room: OwnedRoomId) {
    let (stop, bot) = (inner.stop.clone(), bot.clone());
    inner.spawn("functional member", async move {
        tokio::select! {
            done = mark_functional(&bot, &room) => {
                if let Err(error) = done {
                    tracing::debug!(%room, %error, "the bot is not marked as a functional member");
                }
            }
            () = stop.cancelled() => {}
        }
    });
}

async fn mark_functional(bot: &VirtualUser, room: &OwnedRoomId) -> Result<(), MatrixError> {
    if !bot.may_send_state(room, FUNCTIONAL).await? {
        return Ok(());
    }
    let mut members: Vec<String> = bot
        .get_state(room, FUNCTIONAL, "")
        .await?
        .and_then(|content| serde_json::from_value(content["service_members"].clone()).ok())
        .unwrap_or_default();
    let own = bot.user_id().to_string();
    if members.contains(&own) {
        return Ok(());
    }
    members.push(own);
    bot.send_state(room, FUNCTIONAL, "", json!({ "service_members": members })).await.map(drop)
}

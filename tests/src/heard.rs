//! Calls of which notes are written: how they begin, and when all of them are heard.

use std::time::Duration;

use anyhow::bail;

use crate::{
    element::{Microphone, RoomEvent},
    roomtone::bot,
    softphone::{Answer, Pjsua, Softphone},
    stage::Stage,
    timeline,
};

/// The event by which the bot shows the room's next call.
///
/// # Errors
/// It was not there in time, or a peer failed.
pub async fn card(stage: &Stage, room: &str) -> anyhow::Result<RoomEvent> {
    let bot = bot();
    stage
        .bob
        .event(0, "the call's card", Duration::from_secs(20), |e| {
            e.room == room && e.sender == bot && timeline::is_card(e)
        })
        .await
}

/// Waits until the card says something.
///
/// # Errors
/// It was not there in time, or a peer failed.
pub async fn card_says(stage: &Stage, card: &str, what: &str, fits: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    let bot = bot();
    let fits = |e: &RoomEvent| e.sender == bot && (e.id == card || e.edits() == Some(card)) && fits(e.body());
    stage.bob.event(0, &format!("the card to say {what}"), Duration::from_secs(25), fits).await.map(drop)
}

/// A call in which Bob and a phone are, notes are on and both have granted. Gives phone and card.
///
/// # Errors
/// It was not there in time, or a peer failed.
pub async fn call_with_notes(stage: &Stage, name: &str, room: &str, uri: &str) -> anyhow::Result<(Pjsua, String)> {
    let bob = &stage.bob;
    bob.say(room, "!notes on", None).await?;
    bob.join_call(room, Microphone::Played).await?;
    let mut phone = Pjsua::start(&stage.toolbox, stage.dir.path(), name, &["PCMU"]).await?;
    phone.ring_silently(uri).await?;
    match phone.answer(Duration::from_secs(30)).await? {
        Answer::Answered => {}
        Answer::Refused(code) => bail!("the call was refused with {code}"),
    }
    let card = card(stage, room).await?.id;
    bob.wait_audio(1, Duration::from_secs(20)).await?;
    Ok((phone, card))
}

/// Both agree to be heard: Bob by ✅ on the card, the phone by pressing 1. Waits until the card says so.
///
/// # Errors
/// It was not there in time, or a peer failed.
pub async fn both_agree(stage: &Stage, room: &str, phone: &Pjsua, card: &str) -> anyhow::Result<()> {
    stage.bob.react(room, card, "✅").await?;
    phone.press("1").await?;
    card_says(stage, card, "that both are heard", |text| {
        timeline::is_heard(text, |name| name == "Bob") && timeline::is_heard(text, timeline::is_the_phone)
    })
    .await
}

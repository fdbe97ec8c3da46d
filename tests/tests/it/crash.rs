//! `kill -9` in mid-call.

use std::time::Duration;

use anyhow::{Context, ensure};
use scenarios::{
    heard::{both_agree, call_with_notes},
    roomtone::bot,
    speech::Conversation,
    stage::Stage,
    timeline,
};

use crate::call::{nobody_of_ours_in, room, the_notes};

pub(crate) async fn after_a_kill_in_mid_call_there_is_one_set_of_notes_and_nobody_left_in_the_call(
    stage: &mut Stage,
) -> anyhow::Result<()> {
    let conversation = Conversation::load(&stage.toolbox.speech)?;
    let (room, uri) = room(stage, "+15550160").await?;
    let (phone, card) = call_with_notes(stage, "crash-phone", &room, &uri).await?;
    both_agree(stage, &room, &phone, &card).await?;
    phone.play(&conversation.phone).await?;
    let caption = stage
        .bob
        .event(0, "the first caption", Duration::from_secs(25), |e| {
            e.room == room
                && e.sender == bot()
                && e.thread() == Some(card.as_str())
                && timeline::caption(e.html()).is_some()
        })
        .await?;
    let (_, words) = timeline::caption(caption.html()).context("a caption")?;
    stage.roomtone.kill().await?;
    drop(phone); // its own end has nobody to say goodbye to
    stage.roomtone.start().await?;
    stage.bob.leave_call().await?;
    nobody_of_ours_in(stage, &room, Duration::from_secs(30)).await?;
    let notes = the_notes(stage, &room, Duration::from_secs(60)).await?;
    let thread = crate::call::thread(stage, &room).await?;
    ensure!(
        thread.captions.iter().filter(|c| c.text == words).count() <= 1,
        "a caption was posted twice: {:?}",
        thread.captions
    );
    let told: Vec<_> = words.split_whitespace().filter(|w| w.len() > 8).collect();
    println!("    said before the kill: {words:?}; notes: {notes:?}");
    ensure!(
        told.iter().any(|w| notes.contains(w.trim_matches(|c: char| !c.is_alphanumeric()))),
        "the notes have none of {told:?}: {notes}"
    );
    Ok(())
}

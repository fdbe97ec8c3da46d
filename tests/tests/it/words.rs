//! Words: what both sides say stands in the call's thread under the right names, is summed up, and can be found again.

use std::time::Duration;

use anyhow::ensure;
use scenarios::{
    element::Microphone,
    heard::{both_agree, call_with_notes, card, card_says},
    roomtone::bot,
    softphone::Softphone,
    speech::{Conversation, Side, word_error_rate},
    stage::Stage,
    timeline,
};

use crate::call::{all_content_was_encrypted, files_with, nobody_of_ours_in, room, the_notes, thread};

/// The scribe also serves people who are among themselves.
pub(crate) async fn notes_are_written_of_a_call_without_a_phone(stage: &mut Stage) -> anyhow::Result<()> {
    let conversation = Conversation::load(&stage.toolbox.speech)?;
    let (room, _) = room(stage, "+15550121").await?;
    let bob = &stage.bob;
    bob.say(&room, "!notes on", None).await?;
    bob.join_call(&room, Microphone::Played).await?;
    let card = card(stage, &room).await?.id;
    bob.say(&room, "!notes agree", None).await?;
    card_says(stage, &card, "that Bob is heard", |text| timeline::is_heard(text, |name| name == "Bob")).await?;
    bob.play(&conversation.room).await?;
    let first = conversation.turns.iter().find(|t| t.side == Side::Room);
    tokio::time::sleep(Duration::from_secs_f64(first.map_or(10.0, |t| t.end) + 2.0)).await;
    bob.leave_call().await?;
    let notes = the_notes(stage, &room, Duration::from_secs(30)).await?;
    ensure!(notes.contains("Bob"), "the notes do not say who was there: {notes}");
    let thread = thread(stage, &room).await?;
    let written = thread.said_by(|name| name == "Bob").to_lowercase();
    ensure!(written.contains("locked and can"), "Bob's words are not in the thread: {written}");
    nobody_of_ours_in(stage, &room, Duration::from_secs(15)).await
}

pub(crate) async fn spoken_words_become_captions_and_notes_that_can_be_found(stage: &mut Stage) -> anyhow::Result<()> {
    let conversation = Conversation::load(&stage.toolbox.speech)?;
    let (room, uri) = room(stage, "+15550120").await?;
    let (mut phone, card) = call_with_notes(stage, "words-phone", &room, &uri).await?;
    both_agree(stage, &room, &phone, &card).await?;
    let (a, b) = tokio::join!(phone.play(&conversation.phone), stage.bob.play(&conversation.room));
    a?;
    b?;
    tokio::time::sleep(Duration::from_secs_f64(conversation.seconds() + 1.0)).await;
    phone.hang_up().await?;
    stage.bob.leave_call().await?;
    let notes = the_notes(stage, &room, Duration::from_secs(30)).await?;
    let thread = thread(stage, &room).await?;

    let bobs: fn(&str) -> bool = |name| name == "Bob";
    for (side, speaker, fits, limit) in
        [(Side::Phone, "the phone", timeline::is_the_phone as fn(&str) -> bool, 0.15), (Side::Room, "Bob", bobs, 0.10)]
    {
        let (said, written) = (conversation.text(side), thread.said_by(fits));
        let rate = word_error_rate(&said, &written);
        println!("    {speaker}: word error rate {:.1} %", rate * 100.0);
        ensure!(
            rate < limit,
            "word error rate {:.1} % of {speaker}\n  said:    {said}\n  written: {written}",
            rate * 100.0
        );
    }
    ensure!(notes.contains("Bob") && notes.contains("Ada"), "the notes do not say who was there: {notes}");
    all_content_was_encrypted(stage, &room).await?;

    // What was said is in the room, not in Roomtone's files.
    for word in ["unidentified", "representative", "unmuted"] {
        let found = files_with(stage.roomtone.dir(), word)?;
        ensure!(found.is_empty(), "{word:?} stands in clear in {found:?}");
    }

    let caption = thread.captions.iter().find(|c| c.text.to_lowercase().contains("unidentified"));
    let caption = caption.map(|c| c.event.clone()).unwrap_or_default();
    ensure!(!caption.is_empty(), "no caption has the word");
    let mark = stage.bob.peer.mark();
    stage.bob.say(&room, "!notes search unidentified", None).await?;
    let answer = stage
        .bob
        .event(mark, "the answer to !notes search", Duration::from_secs(15), |e| {
            e.room == room && e.sender == bot() && e.kind == "m.room.message"
        })
        .await?;
    let link = answer.html().replace("%24", "$").replace("%21", "!").replace("%3A", ":");
    ensure!(
        link.contains("matrix.to") && link.contains(&caption),
        "no link to {caption} in the answer: {}",
        answer.html()
    );
    Ok(())
}

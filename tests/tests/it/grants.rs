//! Consent: of those who have not granted, not a word.

use std::time::Duration;

use anyhow::ensure;
use scenarios::{heard::call_with_notes, softphone::Softphone, speech::Conversation, stage::Stage};

use crate::call::{files_with, nobody_of_ours_in, room};

pub(crate) async fn of_those_who_have_not_granted_no_word_is_written_anywhere(stage: &mut Stage) -> anyhow::Result<()> {
    let conversation = Conversation::load(&stage.toolbox.speech)?;
    let (room, uri) = room(stage, "+15550130").await?;
    let (mut phone, _) = call_with_notes(stage, "silent-phone", &room, &uri).await?;
    let (a, b) = tokio::join!(phone.play(&conversation.phone), stage.bob.play(&conversation.room));
    a?;
    b?;
    // Two turns of the phone and one of Bob's.
    let spoken = conversation.turns[2].end + 1.0;
    tokio::time::sleep(Duration::from_secs_f64(spoken)).await;
    phone.hang_up().await?;
    stage.bob.leave_call().await?;
    nobody_of_ours_in(stage, &room, Duration::from_secs(15)).await?;
    tokio::time::sleep(Duration::from_secs(6)).await; // notes stand within five seconds of the end

    let canaries = ["representative", "next available", "number you have", "locked and can"];
    for e in stage.bob.room_events(&room).await?.iter().filter(|e| e.sender.starts_with("@_roomtone_")) {
        let text = format!("{} {}", e.body(), e.html()).to_lowercase();
        for word in canaries {
            ensure!(!text.contains(word), "{word:?} stands in {} ({}): {text}", e.id, e.kind);
        }
    }
    for word in canaries {
        let found = files_with(stage.roomtone.dir(), word)?;
        ensure!(found.is_empty(), "{word:?} stands in {found:?}");
    }
    // Logs name no whole number either.
    let found = files_with(stage.roomtone.dir(), "442079460123")?;
    let logs: Vec<_> = found.iter().filter(|f| f.extension().is_some_and(|e| e == "txt")).collect();
    ensure!(logs.is_empty(), "the caller's number stands in {logs:?}");
    Ok(())
}

//! Sound, both ways: each plays its own tone, each hears the other's and not its own.

use std::time::Duration;

use scenarios::{
    audio::Recording,
    element::Microphone,
    softphone::{Baresip, Pjsua, Softphone},
    stage::Stage,
};

use crate::call::{
    PHONE_HZ, ROOM_HZ, all_content_was_encrypted, holds_tone, nobody_of_ours_in, phone_tone, ring_and_be_answered, room,
};

pub(crate) async fn pjsua_and_element_call_hear_each_other(stage: &mut Stage) -> anyhow::Result<()> {
    let phone = Pjsua::start(&stage.toolbox, stage.dir.path(), "tone-phone", &["PCMU"]).await?;
    hear_each_other(stage, phone, "+15550111").await
}

/// baresip offers PCMA first.
pub(crate) async fn baresip_and_element_call_hear_each_other(stage: &mut Stage) -> anyhow::Result<()> {
    let phone = Baresip::new(&stage.toolbox, stage.dir.path())?;
    hear_each_other(stage, phone, "+15550112").await
}

async fn hear_each_other<S: Softphone>(stage: &Stage, mut phone: S, number: &str) -> anyhow::Result<()> {
    let (room, uri) = room(stage, number).await?;
    stage.bob.join_call(&room, Microphone::Tone(ROOM_HZ)).await?;
    ring_and_be_answered(&mut phone, &uri, &phone_tone(stage)?).await?;
    stage.bob.wait_audio(1, Duration::from_secs(20)).await?;
    tokio::time::sleep(Duration::from_secs(2)).await; // jitter buffers find their depth
    stage.bob.record_start().await?;
    tokio::time::sleep(Duration::from_secs(8)).await;
    let by_bob = stage.file(&format!("{}-heard-by-bob.wav", S::NAME));
    stage.bob.record_stop(&by_bob).await?;
    let by_phone = Recording::read(&phone.hang_up().await?)?;
    let by_bob = Recording::read(&by_bob)?;
    nobody_of_ours_in(stage, &room, Duration::from_secs(10)).await?;
    stage.bob.leave_call().await?;
    holds_tone("Bob in Element Call", &by_bob.part(0.5, by_bob.seconds() - 0.5), PHONE_HZ, ROOM_HZ)?;
    // The phone records from its answer on: the eight seconds before it hung up are those of Bob's recording.
    holds_tone(S::NAME, &by_phone.part(by_phone.seconds() - 8.0, by_phone.seconds() - 0.5), ROOM_HZ, PHONE_HZ)?;
    all_content_was_encrypted(stage, &room).await
}

//! Sound, both ways: each plays its own tone, each hears the other's and not its own.

use std::time::Duration;

use scenarios::{
    audio::Recording,
    element::Microphone,
    softphone::{Baresip, Pjsua, Softphone},
    stage::Stage,
};

use crate::call::{
    MAX_GAPS, PHONE_HZ, ROOM_HZ, all_content_was_encrypted, holds_tone, nobody_of_ours_in, phone_tone,
    ring_and_be_answered, room,
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

/// How often eight seconds are listened to at most.
const WINDOWS: usize = 3;

async fn hear_each_other<S: Softphone>(stage: &Stage, mut phone: S, number: &str) -> anyhow::Result<()> {
    let (room, uri) = room(stage, number).await?;
    stage.bob.join_call(&room, Microphone::Tone(ROOM_HZ)).await?;
    ring_and_be_answered(&mut phone, &uri, &phone_tone(stage)?).await?;
    stage.bob.wait_audio(1, Duration::from_secs(20)).await?;
    tokio::time::sleep(Duration::from_secs(2)).await; // jitter buffers find their depth
    // A busy machine stalls a browser for a tenth of a second now and then, and no link is clean then. What loses frames by
    // itself loses them in every window.
    let mut windows = Vec::new();
    for n in 0..WINDOWS {
        let file = stage.file(&format!("{}-heard-by-bob-{n}.wav", S::NAME));
        stage.bob.record_start().await?;
        tokio::time::sleep(Duration::from_secs(8)).await;
        stage.bob.record_stop(&file).await?;
        let heard = Recording::read(&file)?;
        windows.push(heard.part(0.5, heard.seconds() - 0.5));
        if windows[n].gaps(PHONE_HZ) < MAX_GAPS {
            break;
        }
        println!("    gaps of {:.2} % in window {n}: once more", windows[n].gaps(PHONE_HZ) * 100.0);
    }
    let by_phone = Recording::read(&phone.hang_up().await?)?;
    nobody_of_ours_in(stage, &room, Duration::from_secs(10)).await?;
    stage.bob.leave_call().await?;
    holds_tone("Bob in Element Call", &windows[windows.len() - 1], PHONE_HZ, ROOM_HZ)?;
    // The phone records from its answer on: what it heard in the eight seconds before it hung up, or in those before.
    let end = by_phone.seconds();
    let parts = [0.0, 8.0].map(|back| by_phone.part(end - back - 8.0, end - back - 0.5));
    let best = parts.iter().filter(|p| p.seconds() > 5.0).min_by(|a, b| a.gaps(ROOM_HZ).total_cmp(&b.gaps(ROOM_HZ)));
    holds_tone(S::NAME, best.unwrap_or(&by_phone), ROOM_HZ, PHONE_HZ)?;
    all_content_was_encrypted(stage, &room).await
}

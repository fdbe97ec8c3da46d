//! Media keys: who has none hears nothing, and who has left hears nothing of what is said after. The same listener with the right
//! keys hears everything, so it is not deaf.

use std::time::Duration;

use anyhow::{Context, ensure};
use scenarios::{
    audio::Recording,
    eavesdropper::{Eavesdropper, Mode},
    element::{ElementUser, Microphone},
    softphone::{Pjsua, Softphone},
    stage::Stage,
};

use crate::call::{PHONE_HZ, ROOM_HZ, phone_tone, ring_and_be_answered, room};

/// The loudest that a tone ever was in what a listener decoded of one participant since its mark.
async fn loudest(listener: &Eavesdropper, prefix: &std::path::Path, identity: &str, hz: f64) -> anyhow::Result<f64> {
    let decoded = listener.decoded(prefix).await?;
    Ok(match decoded.get(identity) {
        Some(d) => Recording::read(&d.file)?.loudest_tone_db(hz),
        None => scenarios::audio::FLOOR_DB,
    })
}

/// By how much a tone stands out of what a listener decoded of one participant, dB: its level against that of its neighbours. Frames
/// that are decoded without being decrypted are loud noise, so that a level alone says nothing.
async fn standing_out(
    listener: &Eavesdropper,
    prefix: &std::path::Path,
    identity: &str,
    hz: f64,
) -> anyhow::Result<f64> {
    let decoded = listener.decoded(prefix).await?;
    let Some(d) = decoded.get(identity) else { return Ok(0.0) };
    let recording = Recording::read(&d.file)?;
    let neighbours = [0.71, 0.83, 1.19, 1.31].map(|by| recording.tone_db(hz * by));
    Ok(recording.tone_db(hz) - neighbours.into_iter().fold(scenarios::audio::FLOOR_DB, f64::max))
}

/// All keys that this user was sent or made, by the participant whose frames they open.
async fn keyring(user: &ElementUser) -> anyhow::Result<Vec<(String, u8, String)>> {
    let (received, sent) = user.keys().await?;
    let mut ring: Vec<_> = received.into_iter().map(|k| (format!("{}:{}", k.from, k.device), k.index, k.key)).collect();
    ring.extend(sent.into_iter().map(|k| (format!("{}:{}", user.user_id, user.device_id), k.index, k.key)));
    Ok(ring)
}

pub(crate) async fn only_who_has_the_keys_hears_and_who_left_hears_no_more(stage: &mut Stage) -> anyhow::Result<()> {
    let (room, uri) = room(stage, "+15550140").await?;
    let bob = &stage.bob;
    let carol = ElementUser::start(&stage.toolbox, stage.dir.path(), &stage.synapse.url, "carol", "Carol").await?;
    bob.invite(&room, &carol.user_id).await?;
    carol.join(&room).await?;
    bob.join_call(&room, Microphone::Tone(ROOM_HZ)).await?;
    let mut phone = Pjsua::start(&stage.toolbox, stage.dir.path(), "secret-phone", &["PCMU"]).await?;
    ring_and_be_answered(&mut phone, &uri, &phone_tone(stage)?).await?;
    carol.join_call(&room, Microphone::Played).await?;
    carol.wait_audio(2, Duration::from_secs(30)).await?;

    let members = bob.call_members(&room).await?;
    let ghost = members
        .iter()
        .find(|m| m["sender"].as_str().is_some_and(|s| s.starts_with("@_roomtone_tel_")))
        .and_then(|m| Some(format!("{}:{}", m["sender"].as_str()?, m["device_id"].as_str()?)))
        .context("no ghost in the call")?;
    let bobs = format!("{}:{}", bob.user_id, bob.device_id);
    let speakers = [(bobs.as_str(), ROOM_HZ), (ghost.as_str(), PHONE_HZ)];
    let sfu = &stage.livekit.url;
    let listen = |identity: &'static str, mode| {
        Eavesdropper::start(&stage.toolbox, stage.dir.path(), sfu, &room, identity, mode)
    };
    let keyless = listen("keyless", Mode::Keyed).await?;
    let plain = listen("plain", Mode::Plain).await?;
    let insider = listen("insider", Mode::Keyed).await?;
    for listener in [&keyless, &plain, &insider] {
        for (identity, _) in speakers {
            listener.subscribed_to(identity).await?;
        }
    }
    let old_keys = keyring(&carol).await?;
    for (identity, index, key) in &old_keys {
        insider.set_key(identity, *index, key).await?;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    for listener in [&keyless, &plain, &insider] {
        listener.mark().await?;
    }
    tokio::time::sleep(Duration::from_secs(4)).await;
    for (identity, hz) in speakers {
        let with = loudest(&insider, &stage.file("insider"), identity, hz).await?;
        let without = loudest(&keyless, &stage.file("keyless"), identity, hz).await?;
        let clear = standing_out(&insider, &stage.file("insider"), identity, hz).await?;
        let noise = standing_out(&plain, &stage.file("plain"), identity, hz).await?;
        println!(
            "    {hz} Hz of {identity}: with keys {with:.0} dB, without {without:.0} dB; stands out by {clear:.0} dB with keys, by \
             {noise:.0} dB undecrypted"
        );
        ensure!(with > -20.0, "the listener with the keys hears {identity} at {with:.1} dB only: it proves nothing");
        ensure!(without < -60.0, "a listener without keys hears {identity} at {without:.1} dB");
        ensure!(
            clear > 20.0,
            "with the keys the tone of {identity} stands out by {clear:.1} dB only: it proves nothing"
        );
        ensure!(noise < 6.0, "undecrypted frames of {identity} hold the tone: it stands out by {noise:.1} dB");
    }

    // Carol leaves; a client that had all her keys stays subscribed.
    let mark = bob.peer.mark();
    carol.leave_call().await?;
    let newest =
        |identity: &str| old_keys.iter().filter(|(i, ..)| i == identity).map(|(_, n, _)| *n).max().unwrap_or(0);
    let (bobs_old, ghosts_old) = (newest(&bobs), newest(&ghost));
    bob.peer
        .event_after(mark, "key_out", Duration::from_secs(20), |e| e["index"] != bobs_old)
        .await
        .context("Bob's Element Call makes a new key")?;
    bob.peer
        .event_after(mark, "key_in", Duration::from_secs(20), |e| {
            e["from"].as_str().is_some_and(|f| ghost.starts_with(f)) && e["index"] != ghosts_old
        })
        .await
        .context("the ghost makes a new key")?;
    tokio::time::sleep(Duration::from_secs(7)).await; // new keys are in use at the latest five seconds after they were sent
    insider.mark().await?;
    bob.record_start().await?;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let by_bob = stage.file("bob-after-carol.wav");
    bob.record_stop(&by_bob).await?;
    for (identity, hz) in speakers {
        let still = loudest(&insider, &stage.file("insider-after"), identity, hz).await?;
        println!("    {hz} Hz of {identity} with old keys after the leave: {still:.0} dB");
        ensure!(still < -60.0, "with old keys {identity} is still heard at {still:.1} dB");
    }
    let level = Recording::read(&by_bob)?.tone_db(PHONE_HZ);
    ensure!(level > -20.0, "Bob hears the phone at {level:.1} dB only after the new keys");
    phone.hang_up().await?;
    bob.leave_call().await
}

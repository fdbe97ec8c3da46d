//! What the scenarios have in common.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use scenarios::{
    audio::Recording,
    roomtone::bot,
    softphone::{Answer, Softphone},
    stage::{Stage, linked_room},
    timeline::{self, CallThread},
};

/// What the phone plays in scenarios with tones, Hz. Neither it nor the other is near a harmonic of the other.
pub(crate) const PHONE_HZ: f64 = 730.0;
/// What the person in Element Call plays.
pub(crate) const ROOM_HZ: f64 = 440.0;
/// The level of both: 9000/32768 of full scale.
pub(crate) const SENT_DB: f64 = -14.24;

/// The largest share of frames with gaps on a clean link.
pub(crate) const MAX_GAPS: f64 = 0.01;

/// An encrypted room of its own for a scenario, linked to a number of its own.
pub(crate) async fn room(stage: &Stage, number: &str) -> anyhow::Result<(String, String)> {
    let room = linked_room(&stage.bob, &format!("Room of {number}"), number).await?;
    Ok((room, stage.roomtone.sip_uri(number)))
}

/// The phone's tone as a file.
pub(crate) fn phone_tone(stage: &Stage) -> anyhow::Result<PathBuf> {
    let file = stage.file("phone-tone.wav");
    // Whole periods, for it is played again and again.
    Recording::tone(8000, PHONE_HZ, 30.0, SENT_DB).write(&file)?;
    Ok(file)
}

/// Rings and waits for the answer.
pub(crate) async fn ring_and_be_answered<S: Softphone>(phone: &mut S, uri: &str, play: &Path) -> anyhow::Result<()> {
    phone.ring(uri, play).await?;
    match phone.answer(Duration::from_secs(30)).await? {
        Answer::Answered => Ok(()),
        Answer::Refused(code) => bail!("the call was refused with {code}"),
    }
}

/// Whether a recording holds this tone as it was sent, and not that of the listener.
pub(crate) fn holds_tone(what: &str, recording: &Recording, hz: f64, own: f64) -> anyhow::Result<()> {
    let (peak, level, of_own, gaps) =
        (recording.peak_hz(), recording.tone_db(hz), recording.tone_db(own), recording.gaps(hz));
    println!(
        "    {what}: {:.1} s, peak {peak:.0} Hz, {hz} Hz at {level:.1} dB, own {own} Hz at {of_own:.1} dB, gaps {:.2} %",
        recording.seconds(),
        gaps * 100.0
    );
    ensure!((peak - hz).abs() < 4.0, "{what} hears {peak:.0} Hz instead of {hz} Hz");
    ensure!((level - SENT_DB).abs() < 3.0, "{what} hears {hz} Hz at {level:.1} dB; it was sent at {SENT_DB} dB");
    ensure!(of_own < level - 35.0, "{what} hears itself at {of_own:.1} dB");
    ensure!(gaps < MAX_GAPS, "{what}: {:.2} % of the frames have gaps", gaps * 100.0);
    Ok(())
}

/// The room's one call as it stands.
pub(crate) async fn thread(stage: &Stage, room: &str) -> anyhow::Result<CallThread> {
    let events = stage.bob.room_events(room).await?;
    timeline::calls(&events, &bot()).pop().context("the room shows no call")
}

/// The bot's next answer to this.
pub(crate) async fn ask(stage: &Stage, room: &str, command: &str) -> anyhow::Result<String> {
    let mark = stage.bob.peer.mark();
    stage.bob.say(room, command, None).await?;
    let answer = stage
        .bob
        .event(mark, &format!("the answer to {command}"), Duration::from_secs(15), |e| {
            e.room == room
                && e.sender == bot()
                && e.kind == "m.room.message"
                && e.thread().is_none()
                && e.edits().is_none()
        })
        .await?;
    // Sums have no-break spaces.
    Ok(answer.body().replace('\u{a0}', " "))
}

/// Everybody leaves; waits until nobody of Roomtone's is in the room's call.
pub(crate) async fn nobody_of_ours_in(stage: &Stage, room: &str, limit: Duration) -> anyhow::Result<()> {
    let end = tokio::time::Instant::now() + limit;
    loop {
        let members = stage.bob.call_members(room).await?;
        let ours: Vec<_> =
            members.iter().filter_map(|m| m["sender"].as_str()).filter(|s| s.starts_with("@_roomtone_")).collect();
        if ours.is_empty() {
            return Ok(());
        }
        ensure!(tokio::time::Instant::now() < end, "still in the call after {limit:?}: {ours:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The notes of a room's call; fails unless there is exactly one message of them.
pub(crate) async fn the_notes(stage: &Stage, room: &str, limit: Duration) -> anyhow::Result<String> {
    let bot = bot();
    stage.bob.event(0, "the notes", limit, |e| e.room == room && e.sender == bot && timeline::is_notes(e)).await?;
    tokio::time::sleep(Duration::from_secs(2)).await; // a second set would come now
    let mut thread = thread(stage, room).await?;
    ensure!(thread.notes.len() == 1, "{} sets of notes", thread.notes.len());
    Ok(thread.notes.remove(0).1)
}

/// Where a word stands in files under `dir`, without regard to case. Databases are read as bytes.
pub(crate) fn files_with(dir: &Path, word: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files_with(&path, word)?);
        } else if std::fs::read(&path)
            .unwrap_or_default()
            .to_ascii_lowercase()
            .windows(word.len())
            .any(|w| w == word.to_ascii_lowercase().as_bytes())
        {
            found.push(path);
        }
    }
    Ok(found)
}

/// Every event of ours that carries content was encrypted on the wire. State events and reactions cannot be.
pub(crate) async fn all_content_was_encrypted(stage: &Stage, room: &str) -> anyhow::Result<()> {
    let events = stage.bob.room_events(room).await?;
    let ours = || events.iter().filter(|e| e.sender.starts_with("@_roomtone_") && e.state_key.is_none());
    ensure!(ours().count() > 0, "Roomtone has sent nothing");
    for e in ours() {
        ensure!(!e.undecryptable, "{} of {} cannot be decrypted", e.id, e.sender);
        let may_be_clear = matches!(e.wire_type.as_str(), "m.reaction" | "m.room.redaction");
        ensure!(may_be_clear || e.wire_type == "m.room.encrypted", "{} of {} went in clear", e.wire_type, e.sender);
    }
    Ok(())
}

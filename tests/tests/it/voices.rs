//! Several people behind one phone: each sentence stands under its voice and in its language, voices can be named, and nothing
//! that a voice is known by is kept.

use std::time::Duration;

use anyhow::ensure;
use scenarios::{
    heard::{both_agree, call_with_notes},
    softphone::Softphone,
    speech::{SharedPhone, word_error_rate},
    stage::{Options, Stage},
    vectors::files_with_vectors,
};
use serde_json::json;

use crate::call::{ask, nobody_of_ours_in, room, the_notes, thread};

pub(crate) async fn two_people_on_one_phone_are_told_apart_each_in_their_language(
    _shared: &mut Stage,
) -> anyhow::Result<()> {
    // The other scenarios' Roomtone knows English alone.
    let options = Options { config: json!({ "transcription": { "language": "auto" } }), ..Options::default() };
    let mut stage = Stage::start("voices", options).await?;
    let done = tell_apart(&stage).await;
    if done.is_err() {
        stage.dir.keep();
    }
    done
}

async fn tell_apart(stage: &Stage) -> anyhow::Result<()> {
    let said = SharedPhone::load(&stage.toolbox.cache)?;
    let sound = stage.file("two-on-one-phone.wav");
    said.sound.write(&sound)?;
    let (room, uri) = room(stage, "+15550150").await?;
    let told = ask(stage, &room, "!notes speakers phone several").await?;
    ensure!(told.contains("Speaker A"), "the bot does not tell voices apart: {told}");
    let (mut phone, card) = call_with_notes(stage, "shared-phone", &room, &uri).await?;
    both_agree(stage, &room, &phone, &card).await?;
    phone.play(&sound).await?;
    tokio::time::sleep(Duration::from_secs_f64(said.sound.seconds() + 4.0)).await;
    for (voice, name) in [("A", "Grace"), ("B", "Carlo")] {
        let named = ask(stage, &room, &format!("!notes name {voice} {name}")).await?;
        ensure!(named.contains(&format!("Speaker {voice} is {name}")), "{named}");
    }
    let unknown = ask(stage, &room, "!notes name H Heidi").await?;
    ensure!(unknown.contains("I have heard no Speaker H"), "{unknown}");
    phone.hang_up().await?;
    stage.bob.leave_call().await?;
    let notes = the_notes(stage, &room, Duration::from_secs(30)).await?;
    let thread = thread(stage, &room).await?;
    for caption in &thread.captions {
        println!("    {}: {}", caption.speaker, caption.text);
    }
    for (whose, texts, fits) in [
        ("the first", &said.english, (|name: &str| name.contains("(Speaker A)")) as fn(&str) -> bool),
        ("the second", &said.italian, |name: &str| name.contains("(Speaker B)")),
    ] {
        let (spoken, written) = (texts.join(" "), thread.said_by(fits));
        let rate = word_error_rate(&spoken, &written);
        println!("    {whose}: word error rate {:.1} %", rate * 100.0);
        ensure!(
            rate < 0.35,
            "word error rate {:.1} % of {whose}\n  said:    {spoken}\n  written: {written}",
            rate * 100.0
        );
    }
    // Whom the notes quote is theirs to choose.
    let (named, unnamed) = (["Grace", "Carlo"], ["(Speaker A)", "(Speaker B)"]);
    ensure!(named.iter().any(|name| notes.contains(name)), "the notes name neither voice: {notes}");
    ensure!(!unnamed.iter().any(|letter| notes.contains(letter)), "a voice has its letter in the notes yet: {notes}");
    let found = files_with_vectors(stage.roomtone.dir())?;
    ensure!(found.is_empty(), "what looks like a voice print stands in {found:?}");
    nobody_of_ours_in(stage, &room, Duration::from_secs(15)).await
}

//! What docs/benchmarks.md tells, measured: real calls through the real servers, and the recogniser's speed.

pub(crate) mod payments;

use std::{process::Command, time::Duration};

use anyhow::{Context, bail};
use clap::Args;
use scenarios::{
    audio::{Recording, median},
    element::{Microphone, RoomEvent},
    heard::{both_agree, call_with_notes},
    roomtone, rundir,
    softphone::{Answer, Pjsua, Softphone},
    speech::{self, Conversation, Side},
    stage::{Options as StageOptions, Stage, linked_room},
    timeline,
};

use crate::{root, setup, shell, test};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How many calls for the times of setting up.
    #[arg(long, default_value_t = 5)]
    calls: usize,
    /// Measures the debug build instead of the release build.
    #[arg(long)]
    debug: bool,
}

/// One call's times, milliseconds.
#[derive(Debug, Default)]
struct Times {
    ring: Vec<f64>,
    answer: Vec<f64>,
    to_room: Vec<f64>,
    to_phone: Vec<f64>,
    caption: Vec<f64>,
    missed: usize,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let toolbox = setup::run()?;
    if options.debug {
        shell::openly(&mut shell::build("roomtone"))?;
    } else {
        test::release(&root())?;
        rundir::use_program(rundir::target_dir()?.join("release/roomtone"));
    }
    let times = tokio::runtime::Runtime::new()?.block_on(calls(options.calls))?;
    println!("\n| what | median | worst of {} |\n|---|---|---|", options.calls);
    for (what, values) in [
        ("INVITE to ring event at the user's client", &times.ring),
        ("person joins to 200 at the phone", &times.answer),
        ("200 to first sound in Element Call", &times.to_room),
        ("200 to first sound at the phone", &times.to_phone),
    ] {
        println!("| {what} | {} | {} |", ms(median(values.clone())), ms(values.iter().copied().reduce(f64::max)));
    }
    let mut delays = times.caption;
    delays.sort_by(f64::total_cmp);
    let p95 = delays.get((delays.len() * 95).div_ceil(100).saturating_sub(1)).copied();
    println!(
        "| end of a turn to its last words in the room ({} turns) | {} | p95 {} |",
        delays.len(),
        ms(median(delays.clone())),
        ms(p95)
    );
    println!("\nThe recogniser alone, on telephone prompts:");
    shell::openly(&mut shell::build_example("rtf"))?;
    let mut alone = Command::new(rundir::target_dir()?.join("debug/examples/rtf"));
    shell::openly(alone.env("ROOMTONE_MODELS", &toolbox.weights))
}

fn ms(value: Option<f64>) -> String {
    value.map_or_else(|| "none".to_owned(), |v| format!("{v:.0} ms"))
}

#[expect(clippy::cast_precision_loss, reason = "times of this century in milliseconds fit 52 bits")]
fn between(from: u64, to: u64) -> f64 {
    to as f64 - from as f64
}

async fn calls(count: usize) -> anyhow::Result<Times> {
    let stage = Stage::start("bench", StageOptions::default()).await?;
    let mut times = Times::default();
    let tone = stage.file("tone.wav");
    Recording::tone(8000, 730.0, 10.0, -14.0).write(&tone)?;
    let (bob, room) = (&stage.bob, &stage.room);
    let mut phone = Pjsua::start(&stage.toolbox, stage.dir.path(), "phone", &["PCMU"]).await?;
    for n in 0..count {
        let mark = bob.peer.mark();
        phone.ring(&stage.uri(), &tone).await?;
        let ring = bob
            .peer
            .event_after(mark, "room_event", Duration::from_secs(20), |e| {
                e["type"] == "org.matrix.msc4075.rtc.notification"
            })
            .await
            .context("the ring")?;
        let invite = phone.when("CALLING").context("no INVITE")?;
        times.ring.push(between(invite, ring["at"].as_u64().unwrap_or_default()));
        bob.join_call(room, Microphone::Tone(440.0)).await?;
        let joined = bob
            .peer
            .events_after(mark)
            .iter()
            .rev()
            .find(|e| e["what"] == "io.element.join")
            .and_then(|e| e["at"].as_u64());
        if phone.answer(Duration::from_secs(30)).await? != Answer::Answered {
            bail!("call {n} was not answered");
        }
        let answered = phone.when("CONFIRMED").context("no 200")?;
        times.answer.push(between(joined.unwrap_or(answered), answered));
        times.to_room.push(between(answered, bob.wait_audio(1, Duration::from_secs(20)).await?));
        tokio::time::sleep(Duration::from_secs(3)).await;
        let heard = Recording::read(&phone.hang_up().await?)?;
        // The phone records from its 200 on.
        let first = (0..500).map(|i| f64::from(i) * 0.02).find(|t| heard.part(*t, t + 0.1).tone_db(440.0) > -30.0);
        times.to_phone.push(first.context("the phone heard nothing")? * 1000.0);
        bob.leave_call().await?;
        stage.call_is_over(Duration::from_secs(20)).await?;
    }
    captions(&stage, &mut times).await?;
    Ok(times)
}

/// Both sides talk in turns. When a turn's last words stood in a caption, behind their being said.
async fn captions(stage: &Stage, times: &mut Times) -> anyhow::Result<()> {
    const NUMBER: &str = "+15550190";
    let conversation = Conversation::load(&stage.toolbox.speech)?;
    let room = linked_room(&stage.bob, "Captions", NUMBER).await?;
    let (mut phone, card) = call_with_notes(stage, "talker", &room, &stage.roomtone.sip_uri(NUMBER)).await?;
    both_agree(stage, &room, &phone, &card).await?;
    let mark = stage.bob.peer.mark();
    let (a, b) = tokio::join!(phone.play(&conversation.phone), stage.bob.play(&conversation.room));
    let (phone_began, room_began) = (a?, b?.at);
    tokio::time::sleep(Duration::from_secs_f64(conversation.seconds() + 5.0)).await;
    let shown: Vec<_> = stage.bob.peer.events_after(mark).iter().filter_map(shown).collect();
    for turn in &conversation.turns {
        let began = if turn.side == Side::Phone { phone_began } else { room_began };
        let words = speech::words(&turn.text);
        let end = &words[words.len().saturating_sub(2)..];
        let at = shown.iter().find(|(speaker, words, at)| {
            timeline::is_the_phone(speaker) == (turn.side == Side::Phone)
                && between(began, *at) > turn.start * 1000.0
                && words.windows(end.len()).any(|some| some == end)
        });
        match at {
            Some((.., at)) => times.caption.push(between(began, *at) - turn.end * 1000.0),
            None => times.missed += 1,
        }
    }
    println!("caption delays, ms: {:.0?}; {} turns whose last words came out otherwise", times.caption, times.missed);
    phone.hang_up().await?;
    stage.bob.leave_call().await
}

/// Who speaks in a caption, its words, and when it was seen, decrypted, at the user's client.
fn shown(event: &serde_json::Value) -> Option<(String, Vec<String>, u64)> {
    let message: RoomEvent = serde_json::from_value(event.clone()).ok()?;
    if event["event"] != "room_event" || message.sender != roomtone::bot() {
        return None;
    }
    let (speaker, words) = timeline::caption(message.html())?;
    Some((speaker, speech::words(&words), event["at"].as_u64()?))
}

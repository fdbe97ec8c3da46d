//! One real call, for a person to watch: a phone rings an encrypted room, a person answers in Element Call, both speak, notes come
//! back. Nothing on the way is faked.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use clap::Args;
use scenarios::{
    audio::Recording,
    element::{Microphone, RoomEvent},
    roomtone,
    softphone::{Answer, Pjsua, Softphone},
    speech::{Conversation, Side, word_error_rate},
    stage::{NUMBER, Options as StageOptions, Stage},
    synapse, timeline,
};
use serde::Serialize;

use crate::{setup, shell};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Leaves everything running at the end, and says how to join with one's own Element and softphone.
    #[arg(long)]
    keep: bool,
    /// A WAV file that the phone plays, instead of the recorded prompts (any rate; 8 kHz mono is what a phone carries).
    #[arg(long, value_name = "FILE")]
    phone_audio: Option<PathBuf>,
    /// A WAV file that the person in Element Call plays.
    #[arg(long, value_name = "FILE")]
    room_audio: Option<PathBuf>,
    /// Writes what was seen as JSON.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// What was seen, for `--report`.
#[derive(Debug, Default, Serialize)]
struct Report {
    steps: Vec<Step>,
    heard: Vec<HeardSpeech>,
    thread: Option<timeline::CallThread>,
    events: Vec<EventOnTheWire>,
    screenshot: Option<PathBuf>,
    logs: PathBuf,
}

#[derive(Debug, Serialize)]
struct Step {
    seconds: f64,
    what: String,
}

#[derive(Debug, Serialize)]
struct HeardSpeech {
    by: &'static str,
    recording: PathBuf,
    level_db: f64,
    /// Of the transcript against what the speaker of that recording said; only with the built-in recordings.
    word_error_rate: Option<f64>,
}

#[derive(Debug, Serialize)]
struct EventOnTheWire {
    at_ms: u64,
    sender: String,
    kind: String,
    state: bool,
    encrypted: bool,
}

struct Teller {
    since: Instant,
    report: Report,
}

impl Teller {
    fn tell(&mut self, what: &str) {
        let seconds = self.since.elapsed().as_secs_f64();
        println!("{seconds:6.1} s  {what}");
        self.report.steps.push(Step { seconds, what: what.to_owned() });
    }
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    for file in [&options.phone_audio, &options.room_audio].into_iter().flatten() {
        Recording::read(file).with_context(|| format!("{} is no 16-bit WAV file", file.display()))?;
    }
    setup::run()?;
    println!("Building Roomtone:");
    shell::openly(&mut shell::build("roomtone"))?;
    tokio::runtime::Runtime::new()?.block_on(call(options))
}

async fn call(options: &Options) -> anyhow::Result<()> {
    println!("\nOne real call:");
    let mut teller = Teller { since: Instant::now(), report: Report::default() };
    let stage_options = StageOptions { tell: |what| println!("          {what}"), ..StageOptions::default() };
    let mut stage = Stage::start("demo", stage_options).await?;
    stage.dir.keep();
    stage.dir.path().clone_into(&mut teller.report.logs);
    let shown = show(&mut teller, &mut stage, options).await;
    if let Some(file) = &options.report {
        tokio::fs::write(file, serde_json::to_vec_pretty(&teller.report)?)
            .await
            .with_context(|| file.display().to_string())?;
        println!("report: {}", file.display());
    }
    shown?;
    if options.keep {
        keep(&stage).await?;
    }
    Ok(())
}

async fn show(teller: &mut Teller, stage: &mut Stage, options: &Options) -> anyhow::Result<()> {
    let conversation = Conversation::load(&stage.toolbox.speech)?;
    let own = options.phone_audio.is_some() || options.room_audio.is_some();
    let phone_audio = options.phone_audio.clone().unwrap_or_else(|| conversation.phone.clone());
    let room_audio = options.room_audio.clone().unwrap_or_else(|| conversation.room.clone());
    let (room, bob) = (stage.room.clone(), &stage.bob);
    teller.tell(&format!(
        "Synapse, LiveKit and Roomtone are up; {} is in the encrypted room that {NUMBER} rings",
        bob.user_id
    ));
    bob.say(&room, "!notes on", None).await?;
    bob.join_call(&room, Microphone::Played).await?;
    teller.tell("Bob is in the room's call, with Element Call in headless Chromium");
    let live = tokio::spawn(captions(bob.peer.subscribe(), room.clone(), roomtone::bot()));

    let mut phone = Pjsua::start(&stage.toolbox, stage.dir.path(), "phone", &["PCMU", "PCMA"]).await?;
    let mark = bob.peer.mark();
    phone.ring_silently(&stage.uri()).await?;
    teller.tell(&format!("a softphone (pjsua2), +44 20 7946 0123 \"Ada Lovelace\", rings {NUMBER}"));
    match phone.answer(Duration::from_secs(40)).await? {
        Answer::Answered => teller.tell("answered"),
        Answer::Refused(code) => bail!("Roomtone refused the call: {code}"),
    }
    let card = bob
        .event(0, "the call's card", Duration::from_secs(20), |e| {
            e.room == room && e.sender == roomtone::bot() && timeline::is_card(e)
        })
        .await?;
    bob.react(&room, &card.id, "✅").await?;
    teller.tell("Bob puts ✅ on the call's card: his words may be in the notes");
    bob.wait_audio(1, Duration::from_secs(20)).await?;
    teller.tell("Bob hears the phone");
    tokio::time::sleep(Duration::from_secs(4)).await; // the spoken question of whether the caller agrees
    phone.press("1").await?;
    teller.tell("the phone presses 1: its words may be in the notes too");
    bob.event(mark, "the card to say that both are heard", Duration::from_secs(15), |e| {
        e.sender == roomtone::bot()
            && e.edits() == Some(&card.id)
            && timeline::is_heard(e.body(), |name| name == "Bob")
            && timeline::is_heard(e.body(), timeline::is_the_phone)
    })
    .await?;

    bob.record_start().await?;
    let (a, b) = tokio::join!(phone.play(&phone_audio), bob.play(&room_audio));
    a?;
    let room_seconds = b?.seconds;
    let seconds = room_seconds.max(Recording::read(&phone_audio)?.seconds());
    teller.tell(&format!("both speak, {seconds:.0} s:"));
    tokio::time::sleep(Duration::from_secs_f64(seconds / 2.0)).await;
    let picture = stage.file("element-call.png");
    bob.screenshot(&picture).await?;
    teller.report.screenshot = Some(picture);
    tokio::time::sleep(Duration::from_secs_f64(seconds / 2.0 + 1.0)).await;
    let heard_by_bob = stage.file("heard-by-bob.wav");
    bob.record_stop(&heard_by_bob).await?;
    let heard_by_phone = phone.hang_up().await?;
    teller.tell("the phone hangs up");
    bob.leave_call().await?;
    teller.tell("Bob leaves the call");
    let notes = bob
        .event(mark, "the notes", Duration::from_secs(60), |e| {
            e.room == room && e.sender == roomtone::bot() && timeline::is_notes(e)
        })
        .await?;
    teller.tell("the notes are in the room, decrypted by Bob's own client:");
    live.abort();
    println!("\n{}\n", indent(notes.body()));

    tokio::time::sleep(Duration::from_secs(1)).await;
    let events = bob.room_events(&room).await?;
    let thread = timeline::calls(&events, &roomtone::bot())
        .into_iter()
        .find(|c| c.card == card.id)
        .context("the call's thread")?;
    let bobs: fn(&str) -> bool = |name| name == "Bob";
    let heard = [
        ("Bob", heard_by_bob, Side::Phone, timeline::is_the_phone as fn(&str) -> bool),
        ("phone", heard_by_phone, Side::Room, bobs),
    ];
    for (by, file, side, fits) in heard {
        let rate = (!own).then(|| word_error_rate(&conversation.text(side), &thread.said_by(fits)));
        let level_db = Recording::read(&file)?.trimmed(-50.0).rms_db();
        println!("heard by {by}: {} ({level_db:.1} dB){}", file.display(), words(rate));
        teller.report.heard.push(HeardSpeech { by, recording: file, level_db, word_error_rate: rate });
    }
    teller.report.events = events.iter().map(on_the_wire).collect();
    let clear: Vec<_> = events.iter().filter(|e| is_clear_content(e)).collect();
    println!(
        "on the wire: {} room events of Roomtone's, those with content {}",
        events.iter().filter(|e| e.sender.starts_with("@_roomtone_")).count(),
        if clear.is_empty() { "all encrypted".to_owned() } else { format!("NOT all encrypted: {clear:?}") }
    );
    if let Some(picture) = &teller.report.screenshot {
        println!("screenshot: {}", picture.display());
    }
    println!("logs and recordings: {}", stage.dir.path().display());
    teller.report.thread = Some(thread);
    stage.call_is_over(Duration::from_secs(10)).await?;
    if !clear.is_empty() {
        bail!("content went over the wire in clear");
    }
    Ok(())
}

fn words(rate: Option<f64>) -> String {
    rate.map_or_else(String::new, |r| format!("; word error rate of its transcript {:.1} %", r * 100.0))
}

/// Whether an event of ours carried content in clear. State events and reactions cannot be encrypted by Matrix as it is.
fn is_clear_content(e: &RoomEvent) -> bool {
    e.sender.starts_with("@_roomtone_")
        && e.state_key.is_none()
        && e.wire_type != "m.room.encrypted"
        && !matches!(e.wire_type.as_str(), "m.reaction" | "m.room.redaction")
}

fn on_the_wire(e: &RoomEvent) -> EventOnTheWire {
    EventOnTheWire {
        at_ms: e.ts,
        sender: e.sender.clone(),
        kind: e.kind.clone(),
        state: e.state_key.is_some(),
        encrypted: e.wire_type == "m.room.encrypted",
    }
}

/// Prints what Roomtone writes, as it comes: the card, captions, and who joins or leaves the call.
async fn captions(mut events: tokio::sync::broadcast::Receiver<serde_json::Value>, room: String, bot: String) {
    let mut last = std::collections::HashMap::new();
    while let Ok(value) = events.recv().await {
        if value["event"] != "room_event" {
            continue;
        }
        let Ok(e) = serde_json::from_value::<RoomEvent>(value) else { continue };
        if e.room != room {
            continue;
        }
        if e.kind == "org.matrix.msc3401.call.member" {
            let does = if e.content["device_id"].is_string() { "is in the call" } else { "has left the call" };
            println!("          · {} {does}", e.sender);
        } else if e.sender == bot && e.kind == "m.room.message" && !timeline::is_notes(&e) {
            let text = e.body().trim_start_matches("* ").to_owned();
            let root = e.edits().unwrap_or(&e.id).to_owned();
            if last.insert(root, text.clone()).as_ref() != Some(&text) {
                println!("{}", indent(&text));
            }
        }
    }
}

fn indent(text: &str) -> String {
    text.lines().map(|l| format!("          | {l}")).collect::<Vec<_>>().join("\n")
}

/// Leaves everything running until Ctrl-C.
async fn keep(stage: &Stage) -> anyhow::Result<()> {
    println!(
        "\nAll is still running.\n\n\
         With your own softphone: ring {} (UDP, PCMU or PCMA, on this machine).\n\
         With your own Element: homeserver {}; make a user with\n\
         \n    {} -m synapse._scripts.register_new_matrix_user -u YOU -p PASSWORD --no-admin -k '{}' {}\n\n\
         then let Bob invite you to the room {}: type   invite @YOU:{}   here.\n\
         Element must be able to reach {} and {} (this machine only).\n\
         Ctrl-C ends it all.",
        stage.uri(),
        stage.synapse.url,
        stage.toolbox.synapse_python.display(),
        synapse::REGISTRATION_SECRET,
        stage.synapse.url,
        stage.room,
        synapse::SERVER_NAME,
        stage.roomtone.url(),
        stage.livekit.url,
    );
    use tokio::io::AsyncBufReadExt;
    let mut lines = tokio::io::BufReader::new(tokio::io::stdin()).lines();
    let mut open = true;
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(()),
            line = lines.next_line(), if open => match line? {
                None => open = false,
                Some(line) => if let Some(user) = line.trim().strip_prefix("invite ") {
                    match stage.bob.invite(&stage.room, user.trim()).await {
                        Ok(()) => println!("{} is invited", user.trim()),
                        Err(error) => println!("not invited: {error:#}"),
                    }
                },
            },
        }
    }
}

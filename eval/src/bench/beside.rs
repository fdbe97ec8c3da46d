//! Side by side in one run, and the tables.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use models::eval::{WordErrors, word_errors};

use super::parts::{Delays, Heard, Memory, WEIGHTS};
use super::{Speech, ask};
use crate::conversation::{Conversation, of_two};
use crate::live::ms;
use crate::report::percent;
use crate::{root, sounds};

/// Runs all parts, or those that were named, and prints their tables.
pub fn run(options: &Speech) -> anyhow::Result<()> {
    std::fs::create_dir_all(&options.folder).with_context(|| options.folder.display().to_string())?;
    for (name, part) in [
        ("cost", cost as fn(&Speech) -> anyhow::Result<()>),
        ("latency", latency),
        ("crowd", crowd),
        ("memory", memory),
    ] {
        if options.only.is_empty() || options.only.iter().any(|only| only == name) {
            println!();
            part(options)?;
        }
    }
    Ok(())
}

fn own(arguments: &[&str]) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("bench").args(arguments);
    Ok(command)
}

fn row(name: &str, conversation: &Conversation, heard: anyhow::Result<Heard>) -> String {
    let heard = match heard {
        Ok(heard) => heard,
        Err(error) => return format!("| {name} | not measured: {error:#} | | |"),
    };
    let errors = heard.texts.iter().enumerate().map(|(party, text)| word_errors(&conversation.text(party), text));
    let errors = errors.fold(WordErrors::default(), WordErrors::plus);
    format!("| {name} | {:.1} s | {:.1} s | {} |", heard.cost.cpu, heard.cost.wall, percent(errors.rate()))
}

fn recording(options: &Speech) -> anyhow::Result<(Conversation, Vec<PathBuf>)> {
    let conversation = of_two(options.seconds, 3)?;
    let mut files = Vec::new();
    for (party, line) in conversation.lines.iter().enumerate() {
        let file = options.folder.join(format!("party-{party}.wav"));
        sounds::write_wav(&file, line)?;
        std::fs::write(file.with_extension("txt"), conversation.text(party) + "\n")?;
        files.push(file);
    }
    Ok((conversation, files))
}

fn weights() -> anyhow::Result<PathBuf> {
    Ok(models::weights::locate(&models::weights::named(WEIGHTS)?, &models::weights::default_folder())?)
}

fn cost(options: &Speech) -> anyhow::Result<()> {
    let (conversation, files) = recording(options)?;
    let threads = options.threads.to_string();
    let words: usize = (0..2).map(|party| models::eval::normalise(&conversation.text(party)).len()).sum();
    println!(
        "Two parties on tracks of their own, {:.0} s each, who speak {} and {} of the time, {words} words; weights {WEIGHTS}, \
         {threads} threads each; time without loading the weights.\n",
        conversation.lines[0].len() as f64 / 16_000.0,
        percent(conversation.share(0)),
        percent(conversation.share(1)),
    );
    println!("| recogniser | CPU time | wall time | word error rate |\n|---|---|---|---|");
    for (name, more) in [("Roomtone, as files are heard", None), ("Roomtone, as live calls are heard", Some("--live"))]
    {
        let mut ours = own(&["hear", "--threads", &threads])?;
        println!("{}", row(name, &conversation, ask(ours.args(more).args(&files))));
    }
    let Some(python) = &options.whispercpp else {
        println!("| whisper.cpp | not measured: no environment with pywhispercpp | | |");
        return faster(options, &conversation, &files);
    };
    for (name, strategy) in [
        ("whisper.cpp, greedy (the wheel's default)", "greedy"),
        ("whisper.cpp, beam 5 (its command line's default)", "beam"),
    ] {
        let mut command = Command::new(python);
        command.arg(root().join("eval/peers/whispercpp.py")).arg(weights()?).args([&threads, strategy]).args(&files);
        println!("{}", row(name, &conversation, ask(&mut command)));
    }
    faster(options, &conversation, &files)
}

fn faster(options: &Speech, conversation: &Conversation, files: &[PathBuf]) -> anyhow::Result<()> {
    let Some(python) = &options.fasterwhisper else {
        println!("| faster-whisper | not measured: no environment with faster-whisper | | |");
        return Ok(());
    };
    let folder = options.folder.join("ct2-base.en");
    convert(python, &folder)?;
    for (name, compute, beam, vad) in [
        ("faster-whisper, float32, beam 5 (its default)", "float32", "5", "no"),
        ("faster-whisper, int8, beam 5", "int8", "5", "no"),
        ("faster-whisper, int8, greedy, its own VAD (its quickest)", "int8", "1", "yes"),
    ] {
        let mut command = Command::new(python);
        command.arg(root().join("eval/peers/fasterwhisper.py")).arg(&folder);
        command.args([&options.threads.to_string(), compute, beam, vad]).args(files);
        println!("{}", row(name, conversation, ask(&mut command)));
    }
    Ok(())
}

/// The same weights as faster-whisper reads them, once.
fn convert(python: &Path, folder: &Path) -> anyhow::Result<()> {
    if folder.join("model.bin").exists() {
        return Ok(());
    }
    let half = folder.with_extension("half");
    let _ = std::fs::remove_dir_all(&half);
    let status = Command::new(python).arg(root().join("eval/peers/ggml2ct2.py")).arg(weights()?).arg(&half).status();
    anyhow::ensure!(status.is_ok_and(|s| s.success()), "the weights cannot be converted for faster-whisper");
    std::fs::rename(&half, folder).with_context(|| folder.display().to_string())
}

fn latency(options: &Speech) -> anyhow::Result<()> {
    println!("In real time, weights {WEIGHTS}, captions on, {} workers of one thread:\n", options.threads);
    println!(
        "| who speaks | utterances | all words shown behind the utterance's end: median / p95 | words for good behind it: median / p95 \
         / worst | captions | last word of a caption behind its being said: median / p95 | CPU |\n|---|---|---|---|---|---|---|"
    );
    for (name, speakers, seconds) in [("two who take turns", "0", "150"), ("two at once, without rest", "2", "90")] {
        let workers = options.threads.to_string();
        let d: Delays = ask(&mut own(&[
            "live",
            "--speakers",
            speakers,
            "--seconds",
            seconds,
            "--workers",
            &workers,
            "--captions",
        ])?)?;
        println!(
            "| {name} | {} | {} / {} | {} / {} / {} | {} | {} / {} | {:.2} cores |",
            d.utterances,
            ms(d.shown_median),
            ms(d.shown_p95),
            ms(d.median),
            ms(d.p95),
            ms(d.worst),
            d.captions,
            ms(d.caption_median),
            ms(d.caption_p95),
            d.cpu_share
        );
        anyhow::ensure!(d.lost_ms == 0, "{} ms of sound were lost", d.lost_ms);
    }
    Ok(())
}

/// More and more speakers on one core, until words come late.
fn crowd(_: &Speech) -> anyhow::Result<()> {
    const LIMIT_MS: f64 = 2000.0;
    println!("Speakers at once on one core, nearly without rest, captions on:\n");
    println!("| speakers | words behind the utterance's end: median / p95 | captions | CPU |\n|---|---|---|---|");
    let mut most = 0;
    for speakers in [1usize, 2, 3, 4, 6, 8, 12] {
        // One core for all of it: the scheduler of the system keeps the process there.
        let mut command = Command::new("taskset");
        let program = std::env::current_exe()?;
        command.args(["-c", "0"]).arg(program).args([
            "bench",
            "live",
            "--captions",
            "--seconds",
            "45",
            "--workers",
            "1",
        ]);
        let d: Delays = ask(command.args(["--speakers", &speakers.to_string()]))?;
        println!("| {speakers} | {} / {} | {} | {:.2} cores |", ms(d.median), ms(d.p95), d.captions, d.cpu_share);
        if d.lost_ms > 0 || d.p95.is_none_or(|p95| p95 >= LIMIT_MS) {
            break;
        }
        most = speakers;
    }
    println!("\nLargest number with p95 under 2 s: {most} per core.");
    Ok(())
}

fn memory(_: &Speech) -> anyhow::Result<()> {
    println!("Peak memory of the process, all ears speaking at once, captions on:\n");
    println!("| live parties | peak resident | per further party |\n|---|---|---|");
    let mut first: Option<Memory> = None;
    for ears in ["1", "2", "8", "32"] {
        let now: Memory = ask(&mut own(&["memory", ears])?)?;
        let further = first.as_ref().map_or_else(
            || "-".to_owned(),
            |one| format!("{:.1} MB", (now.peak_mb - one.peak_mb) / (now.ears - one.ears) as f64),
        );
        println!("| {} | {:.0} MB | {further} |", now.ears, now.peak_mb);
        first.get_or_insert(now);
    }
    Ok(())
}

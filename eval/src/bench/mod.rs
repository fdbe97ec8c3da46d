//! `cargo xtask bench speech`: cost beside other recognisers, latency, how many can speak at once, memory.
//!
//! Whatever is measured runs in a process of its own, so that CPU time and memory are its own.

mod beside;
mod parts;

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Parts of the measurement.
#[derive(Debug, Subcommand)]
pub enum Part {
    /// All of it, printed as the tables of docs/benchmarks.md.
    Speech(Speech),
    /// Files through the recogniser as fast as it goes: a line of JSON.
    Hear {
        /// 16-bit mono WAV at 16 kHz, each an ear of its own.
        files: Vec<PathBuf>,
        /// Workers, of one thread each.
        #[arg(long, default_value_t = 2)]
        threads: usize,
        /// Utterances are cut as in calls, where people wait for words.
        #[arg(long)]
        live: bool,
    },
    /// People who speak in real time: a line of JSON.
    Live {
        /// How many speak at once; 0: two who take turns.
        #[arg(long, default_value_t = 0)]
        speakers: usize,
        /// For how long, seconds.
        #[arg(long, default_value_t = 60.0)]
        seconds: f64,
        /// Workers.
        #[arg(long, default_value_t = 2)]
        workers: usize,
        /// With captions.
        #[arg(long)]
        captions: bool,
    },
    /// Memory with so many live ears: a line of JSON.
    Memory {
        /// How many.
        ears: usize,
    },
}

/// What to measure.
#[derive(Debug, Args)]
pub struct Speech {
    /// The Python of a virtual environment with pywhispercpp; without it that row says "not measured".
    #[arg(long)]
    whispercpp: Option<PathBuf>,
    /// The Python of a virtual environment with faster-whisper.
    #[arg(long)]
    fasterwhisper: Option<PathBuf>,
    /// Where the recording and the converted weights are kept.
    #[arg(long)]
    folder: PathBuf,
    /// Threads that each recogniser gets.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Length of the two-party recording, seconds.
    #[arg(long, default_value_t = 180.0)]
    seconds: f64,
    /// Only these parts: cost, latency, crowd, memory.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

/// Runs a part.
///
/// # Errors
/// Weights, prompts or programs are not there.
pub fn run(part: &Part) -> anyhow::Result<()> {
    match part {
        Part::Speech(options) => beside::run(options),
        Part::Hear { files, threads, live } => tell(&parts::hear(files, *threads, *live)?),
        Part::Live { speakers, seconds, workers, captions } => {
            tell(&parts::live(*speakers, *seconds, *workers, *captions)?)
        }
        Part::Memory { ears } => tell(&parts::memory(*ears)?),
    }
}

/// What the parent process looks for.
const MARK: &str = "RESULT ";

fn tell(result: &impl Serialize) -> anyhow::Result<()> {
    println!("{MARK}{}", serde_json::to_string(result)?);
    Ok(())
}

/// Runs a program and reads its line of JSON.
fn ask<T: DeserializeOwned>(command: &mut std::process::Command) -> anyhow::Result<T> {
    let program = format!("{command:?}");
    let out =
        command.stdin(std::process::Stdio::null()).output().with_context(|| format!("{program} cannot be started"))?;
    let text = String::from_utf8_lossy(&out.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix(MARK));
    let line = line.with_context(|| {
        let said = String::from_utf8_lossy(&out.stderr);
        let last: Vec<_> = said.lines().rev().take(8).collect();
        format!("{program} gave no result ({}): {}", out.status, last.into_iter().rev().collect::<Vec<_>>().join(" / "))
    })?;
    serde_json::from_str(line).with_context(|| format!("{program} gave no usable result"))
}
